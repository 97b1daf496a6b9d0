//! How likely a room is, from what is known of it: logistic regression in integers, learned as it goes.
//!
//! What is known of a candidate are three features, each one of a few: how it stands in the list after this room, how in
//! the list after the last two, and how popular it is and how long ago it was visited. Each has a weight, in bits of log
//! odds; their sum says how likely the room is to be visited soon. When it is known whether it was, the three weights
//! move towards the answer, in large steps at first.

use alloc::vec::Vec;

/// 16 bits after the point.
pub(super) const ONE: i32 = 1 << 16;
/// How a room can stand in a list. See [`standing`].
const STANDINGS: usize = 20;
/// Popularities, ages, and whether it stands in any list.
const HABITS: usize = 8 * 16 * 2;
/// All weights.
const WEIGHTS: usize = 2 * STANDINGS + HABITS;
/// No weight goes beyond 64 bits of log odds, so that sums can't overflow.
const BOUND: i32 = 64 * ONE;
/// The first answers to a weight count as if eight had come before; later ones each move it by a 128th.
const FIRST_STEP: i32 = 8;
const LAST_STEP: i32 = 128;

/// The weights' places: after the last room, after the last two, and its habit.
pub(super) type Features = [u16; 3];

/// Where a room stands in the list of a context: nowhere, or in classes of its count and of its share.
pub(super) fn standing(count: u8, total: u8) -> u16 {
    let (count, total) = (u16::from(count), u16::from(total.max(count)));
    if total == 0 {
        return 0;
    }
    if count == 0 {
        return 1 + u16::from(total > 3) + u16::from(total > 10);
    }
    let often = match count {
        1 => 0,
        2 => 1,
        3..=4 => 2,
        _ => 3,
    };
    let share = match count * 8 / total {
        0..=1 => 0,
        2..=3 => 1,
        4..=6 => 2,
        _ => 3,
    };
    4 + often * 4 + share
}

/// A room's habit: the classes of its share of all visits, and of how many visits ago its last was.
pub(super) fn habit(count: u16, all: u32, age: u32, is_listed: bool) -> u16 {
    let share = u32::from(count) * 4096 / all.max(256) + 1;
    let (share, age) = (share.ilog2().min(7), (32 - age.leading_zeros()).min(15));
    u16::from(is_listed) * 128 + (share * 16 + age) as u16
}

pub(super) fn features(after_room: u16, after_pair: u16, habit: u16) -> Features {
    [after_room, STANDINGS as u16 + after_pair, 2 * STANDINGS as u16 + habit]
}

/// The learned weights, and how many answers each has had, as far as that matters.
#[derive(Clone, Debug)]
pub(super) struct Weights {
    pub(super) values: Vec<i32>,
    pub(super) answers: Vec<u8>,
}

impl Weights {
    /// What is likely before anything was learned: the higher in a list, and the more popular, the likelier.
    pub(super) fn new() -> Weights {
        let standing =
            |at: usize| if at < 4 { 0 } else { (at % 4) as i32 * ONE + (at as i32 / 4 - 1) * ONE / 2 };
        let lists = (0..2 * STANDINGS).map(|at| standing(at % STANDINGS));
        let habits = (0..HABITS as i32).map(|at| (at / 16 % 8) * ONE / 2 - 7 * ONE);
        Weights { values: lists.chain(habits).collect(), answers: alloc::vec![0; WEIGHTS] }
    }

    pub(super) fn bytes(&self) -> usize {
        self.values.capacity() * size_of::<i32>() + self.answers.capacity()
    }

    /// Log odds, in bits.
    pub(super) fn score(&self, features: &Features) -> i32 {
        features.iter().map(|at| self.values[usize::from(*at)]).sum()
    }

    /// Moves the weights towards an answer: 0 for what has not come, up to [`ONE`] for what has.
    pub(super) fn learn(&mut self, features: &Features, answer: i32) {
        let error = answer - chance(self.score(features));
        for at in features.map(usize::from) {
            let answers = &mut self.answers[at];
            let step = FIRST_STEP + i32::from(*answers / 2);
            *answers = (*answers + 1).min(2 * (LAST_STEP - FIRST_STEP) as u8);
            self.values[at] = (self.values[at] + error * 4 / step).clamp(-BOUND, BOUND);
        }
    }

    /// Weights out of their parts, if they can be.
    pub(super) fn restore(values: Vec<i32>, answers: Vec<u8>) -> Option<Weights> {
        let fits = values.len() == WEIGHTS
            && answers.len() == WEIGHTS
            && values.iter().all(|value| (-BOUND..=BOUND).contains(value));
        fits.then_some(Weights { values, answers })
    }
}

/// `1 / (1 + 2^-score)`, within a thousandth.
pub(super) fn chance(score: i32) -> i32 {
    let away = score.unsigned_abs().min(31 * ONE as u32);
    let (whole, part) = (away >> 16, away & 0xffff);
    // 2^-part by a parabola through its ends, and then halved so often.
    let linear = (45_004 * u64::from(part)) >> 16;
    let square = (12_236 * ((u64::from(part) * u64::from(part)) >> 16)) >> 16;
    let power = (ONE as u64 - linear + square) >> whole;
    let small = ((power << 16) / (ONE as u64 + power)) as i32;
    if score < 0 { small } else { ONE - small }
}
