#![doc = include_str!("../docs/predict.md")]

mod followers;
mod pairs;
mod record;
mod rooms;
mod weigh;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::RoomId;
use crate::order::sorted;
use followers::Followers;
use pairs::Pairs;
use rooms::Rooms;
use weigh::{Features, Weights};

/// How much a predictor may hold. More than [`Bounds::default`] is cut down to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Rooms that are known. When there are more, an eighth is forgotten: those visited least, and of them the ones
    /// visited longest ago.
    pub rooms: usize,
    /// Bytes of their ids together; beyond, rooms are forgotten as well.
    pub names: usize,
    /// Pairs of rooms of which it is known what came next: a power of two. When there are more, a pair that led on
    /// least often goes.
    pub pairs: usize,
}

/// More rooms than a person moves between.
pub const ROOMS: usize = followers::ROOMS;
/// Fourteen bytes a room; ids made by this library have thirteen.
pub const NAME_BYTES: usize = 30_000;
/// Four times as many pairs as rooms: most pairs never happen.
pub const PAIRS: usize = 8_192;
/// Bytes that a predictor never exceeds: what the tables take at their largest.
pub const MEMORY_BYTES: usize = 256_000;

/// Rooms that may follow a room: most have few, a lobby has many.
const AFTER_ROOM: usize = 20;
/// Rooms that may follow two in a row: one or two, if the pair says anything.
const AFTER_PAIR: usize = 4;
/// A room that is visited within so many navigations was worth fetching: it is still held then.
pub const SOON: usize = 16;
/// The most visited rooms are candidates wherever the user is.
const POPULAR: usize = 256;
/// So many of them are tried at each visit, in turn, to learn how much popularity says by itself.
const TRIED: usize = 8;
/// After so many visits all counts are halved: some months of navigation, so that old habits fade.
const HALVED: u32 = 16_384;
/// Rooms are added in such steps, so that few rooms take little memory.
const STEP: usize = 64;

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { rooms: ROOMS, names: NAME_BYTES, pairs: PAIRS }
    }
}

/// What a prediction rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// The room came after the last two in a row.
    FollowsPair,
    /// The room came after the last one.
    FollowsRoom,
    /// The room is visited often.
    Popular,
}

impl Because {
    /// The stable name, in snake case.
    pub fn name(self) -> &'static str {
        match self {
            Because::FollowsPair => "follows_pair",
            Because::FollowsRoom => "follows_room",
            Because::Popular => "popular",
        }
    }
}

/// A room that is likely to be visited soon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prediction {
    /// Which.
    pub room: RoomId,
    /// The chance that it is visited within the next [`SOON`] navigations, in parts per million. Of rooms that are
    /// equally likely, the sooner one has more: later visits count less, down to half.
    pub confidence: u32,
    /// What says so.
    pub because: Because,
    /// How often it did before; for a popular room its visits. Counts are halved now and then.
    pub times: u16,
}

/// A room that was expected, or tried, and with which features.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    room: u16,
    after_room: u8,
    after_pair: u8,
    features: Features,
}

/// Learns which rooms are visited after which, and says which are next.
///
/// Everything comes from the visits it is told of: equal visits give equal predictions and equal bytes on every
/// platform. A visit costs the same whatever the history; only when rooms are forgotten, an eighth at a time, are the
/// tables gone through once.
#[derive(Clone, Debug)]
pub struct Predictor {
    bounds: Bounds,
    rooms: Rooms,
    /// What came after each room.
    after_room: Followers,
    after_pair: Pairs,
    weights: Weights,
    /// The room now, and the one before.
    now_in: Option<u16>,
    before: Option<u16>,
    visits: u32,
    /// Sum of the rooms' counts.
    counted: u32,
    /// Which popular rooms are tried next.
    hand: usize,
    /// What was expected at the last visits, until it has come or has not come in time.
    expected: VecDeque<Box<[Candidate]>>,
}

impl Predictor {
    /// A predictor that knows nothing.
    pub fn new(bounds: Bounds) -> Predictor {
        let most = Bounds::default();
        let bounds = Bounds {
            rooms: bounds.rooms.clamp(STEP, most.rooms),
            names: bounds.names.clamp(STEP * crate::limits::ROOM_ID_BYTES, most.names),
            // The table is looked into by a mask.
            pairs: bounds.pairs.clamp(STEP, most.pairs).next_power_of_two(),
        };
        Predictor {
            bounds,
            rooms: Rooms::default(),
            after_room: Followers::new(AFTER_ROOM),
            after_pair: Pairs::new(bounds.pairs, AFTER_PAIR),
            weights: Weights::new(),
            now_in: None,
            before: None,
            visits: 0,
            counted: 0,
            hand: 0,
            expected: VecDeque::with_capacity(SOON),
        }
    }

    /// Notes that the user has gone to a room. Staying where one is counts as nothing.
    pub fn visit(&mut self, room: &RoomId) {
        let name = room.as_str();
        let known = self.rooms.find(name);
        if known.is_some() && known == self.now_in {
            return;
        }
        let room = known.unwrap_or_else(|| self.add(name));
        self.learn(room);
        if let Some(now_in) = self.now_in {
            self.after_room.note(usize::from(now_in), room);
            if let Some(before) = self.before {
                self.after_pair.note(before, now_in, room);
            }
        }
        (self.before, self.now_in) = (self.now_in, Some(room));
        self.visits = self.visits.wrapping_add(1);
        self.rooms.visit(room, self.visits);
        self.counted += 1;
        if self.visits.is_multiple_of(HALVED) {
            self.counted = self.rooms.halve();
        }
    }

    /// The rooms that are likeliest to be visited soon, the likeliest first: at most `count`, and none that `is_held`.
    /// The room that the user is in is none of them. Without a history there are none.
    pub fn predict(&self, count: usize, is_held: impl Fn(&str) -> bool) -> Vec<Prediction> {
        let mut candidates = self.listed();
        let listed = candidates.len();
        for room in self.rooms.ranks.iter().take(POPULAR) {
            if !candidates[..listed].iter().any(|candidate| candidate.room == *room) {
                candidates.push(self.candidate(*room, 0, 0));
            }
        }
        candidates.retain(|candidate| {
            Some(candidate.room) != self.now_in && !is_held(self.rooms.name(candidate.room))
        });
        let scored: Vec<(i32, Candidate)> = candidates
            .into_iter()
            .map(|candidate| (self.weights.score(&candidate.features), candidate))
            .collect();
        let scored = sorted(scored, |(score, candidate), (other_score, other)| {
            (-score, candidate.room) < (-other_score, other.room)
        });
        scored
            .iter()
            .take(count)
            .filter_map(|(score, candidate)| self.prediction(*score, candidate))
            .collect()
    }

    /// Forgets everything.
    pub fn erase(&mut self) {
        *self = Predictor::new(self.bounds);
    }

    /// Whether it knows nothing.
    pub fn is_empty(&self) -> bool {
        self.rooms.len() == 0
    }

    /// How many navigations it has been told of.
    pub fn visits(&self) -> u32 {
        self.visits
    }

    /// Bytes that it holds on the heap: never more than [`MEMORY_BYTES`].
    pub fn memory_bytes(&self) -> usize {
        let expected: usize = self.expected.iter().map(|candidates| size_of_val(&**candidates)).sum();
        self.rooms.bytes()
            + self.after_room.bytes()
            + self.after_pair.bytes()
            + self.weights.bytes()
            + self.expected.capacity() * size_of::<Box<[Candidate]>>()
            + expected
    }

    fn prediction(&self, score: i32, candidate: &Candidate) -> Option<Prediction> {
        let (because, times) = match (candidate.after_pair, candidate.after_room) {
            (0, 0) => (Because::Popular, self.rooms.known[usize::from(candidate.room)].visits),
            (0, times) => (Because::FollowsRoom, times.into()),
            (times, _) => (Because::FollowsPair, times.into()),
        };
        let room = RoomId::new(self.rooms.name(candidate.room)).ok()?;
        let confidence = ((i64::from(weigh::chance(score)) * 1_000_000) >> 16) as u32;
        Some(Prediction { room, confidence, because, times })
    }

    /// The lists of where the user is, as far as there are any: after the room, and after the last two.
    fn lists(&self) -> (Option<usize>, Option<usize>) {
        let Some(now_in) = self.now_in else { return (None, None) };
        let pair = self.before.and_then(|before| self.after_pair.find(before, now_in));
        (Some(usize::from(now_in)), pair)
    }

    /// The rooms that stand in them.
    fn listed(&self) -> Vec<Candidate> {
        let (room, pair) = self.lists();
        let mut found: Vec<(u16, u8, u8)> = Vec::with_capacity(AFTER_ROOM + AFTER_PAIR + TRIED);
        for (room, times) in pair.into_iter().flat_map(|pair| self.after_pair.lists.of(pair)) {
            found.push((room, 0, times));
        }
        for (room, times) in room.into_iter().flat_map(|room| self.after_room.of(room)) {
            match found.iter_mut().find(|known| known.0 == room) {
                Some(known) => known.1 = times,
                None => found.push((room, times, 0)),
            }
        }
        found
            .into_iter()
            .map(|(room, after_room, after_pair)| self.candidate(room, after_room, after_pair))
            .collect()
    }

    fn candidate(&self, room: u16, after_room: u8, after_pair: u8) -> Candidate {
        let (list, pair) = self.lists();
        // A list that exists has been left at least once, even if its count was halved to nothing.
        let in_list = list.map_or(0, |list| weigh::standing(after_room, self.after_room.totals[list]));
        let in_pair =
            pair.map_or(0, |pair| weigh::standing(after_pair, self.after_pair.lists.totals[pair].max(1)));
        let known = &self.rooms.known[usize::from(room)];
        let age = self.visits.wrapping_sub(known.last);
        let habit = weigh::habit(known.visits, self.counted, age, after_room + after_pair > 0);
        Candidate { room, after_room, after_pair, features: weigh::features(in_list, in_pair, habit) }
    }

    /// Compares what was expected with what has come, and expects anew.
    fn learn(&mut self, room: u16) {
        if self.now_in.is_none() {
            return;
        }
        let mut candidates = self.listed();
        let popular = self.rooms.ranks.len().min(POPULAR);
        for _ in 0..TRIED {
            self.hand = (self.hand + 1) % popular;
            let tried = self.rooms.ranks[self.hand];
            let known = self.rooms.known[usize::from(tried)];
            if known.visits > 0 && !candidates.iter().any(|candidate| candidate.room == tried) {
                candidates.push(self.candidate(tried, 0, 0));
            }
        }
        self.expected.push_back(candidates.into());
        let expected = self.expected.iter_mut().rev();
        for (later, candidates) in expected.enumerate() {
            let came = candidates.iter_mut().find(|candidate| candidate.room == room);
            if let Some(came) = came {
                // The sooner it came, the better it was to expect it: what comes last counts half.
                let worth = weigh::ONE - later as i32 * weigh::ONE / (2 * SOON as i32);
                self.weights.learn(&came.features, worth);
                came.room = u16::MAX;
            }
        }
        if self.expected.len() == SOON
            && let Some(oldest) = self.expected.pop_front()
        {
            for missed in oldest.iter().filter(|candidate| candidate.room != u16::MAX) {
                self.weights.learn(&missed.features, 0);
            }
        }
    }

    /// Takes in a new room, for which others are forgotten if need be.
    fn add(&mut self, name: &str) -> u16 {
        if self.rooms.len() >= self.bounds.rooms || self.rooms.names.len() + name.len() > self.bounds.names {
            self.forget_some();
        }
        if self.rooms.len() == self.rooms.known.capacity() {
            let more = STEP.max(self.rooms.len() / 2).min(self.bounds.rooms - self.rooms.len());
            self.rooms.reserve(more);
            self.after_room.reserve(more);
        }
        if self.rooms.names.capacity() < self.rooms.names.len() + name.len() {
            let more = (self.rooms.names.len() / 2).max(STEP * crate::limits::ROOM_ID_BYTES);
            self.rooms.names.reserve_exact(more.min(self.bounds.names - self.rooms.names.len()));
        }
        let number = self.rooms.add(name, self.visits);
        self.after_room.resize(self.rooms.len());
        number
    }

    fn forget_some(&mut self) {
        let spare: Vec<u16> = self.now_in.into_iter().chain(self.before).collect();
        let numbers = self.rooms.choose(self.rooms.len().div_ceil(8), &spare);
        let number = |room: u16| numbers.get(usize::from(room)).copied().flatten();
        let lists = core::mem::replace(&mut self.after_room, Followers::new(AFTER_ROOM));
        self.rooms.renumber(&numbers);
        self.after_room.reserve(self.rooms.known.capacity());
        self.after_room.resize(self.rooms.len());
        for old in 0..lists.len() {
            if let Some(new) = number(old as u16) {
                let (entries, total) = lists.raw(old);
                self.after_room.put(usize::from(new), entries, total, &numbers);
            }
        }
        self.after_pair.renumber(&numbers);
        self.counted = self.rooms.known.iter().map(|known| u32::from(known.visits)).sum();
        (self.now_in, self.before) = (self.now_in.and_then(number), self.before.and_then(number));
        for candidate in self.expected.iter_mut().flat_map(|candidates| candidates.iter_mut()) {
            candidate.room = number(candidate.room).unwrap_or(u16::MAX);
        }
    }
}

impl<'a> Extend<&'a RoomId> for Predictor {
    fn extend<I: IntoIterator<Item = &'a RoomId>>(&mut self, visits: I) {
        visits.into_iter().for_each(|room| self.visit(room));
    }
}

#[cfg(test)]
mod tests;
