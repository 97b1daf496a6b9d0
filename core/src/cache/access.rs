//! How a room is used: what is counted of its visits, and how long it may therefore stay.

use crate::Millis;

/// A visit, in the fixed point of [`Access::heat`].
const VISIT: u32 = 1_024;
/// Heat halves in a day, so that it is about the number of visits of the last day and a half.
const HALF_LIFE: u64 = 24 * 60 * 60_000;
/// Visits, faded, from which a room counts as frequently used: it is opened several times a day.
const HIGH_HEAT: u32 = 4 * VISIT;
/// Visits, faded, from which a room counts as used now and then: it was opened again within a day or so.
const MEDIUM_HEAT: u32 = VISIT + VISIT / 2;
/// `65,536 x 2^(-n/16)`: how much is left after `n` sixteenths of a half-life.
pub(super) const FADE: [u32; 16] = [
    65_536, 62_757, 60_097, 57_549, 55_109, 52_772, 50_535, 48_393, 46_341, 44_376, 42_495, 40_693, 38_968,
    37_316, 35_734, 34_219,
];

/// What is left of an amount after so many sixteenths of its half-life.
pub(super) fn fade(amount: u32, sixteenths: u32) -> u32 {
    let part = (u64::from(amount) * u64::from(FADE[(sixteenths & 15) as usize])) >> 16;
    (part as u32).checked_shr(sixteenths >> 4).unwrap_or(0)
}

/// The access pattern of one room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// How often it was visited on this device.
    pub visits: u32,
    /// When it was visited last; `None` when never.
    pub last: Option<Millis>,
    /// Visits, each worth 1,024 and half as much a day later, as of the last visit.
    pub(super) heat: u32,
}

impl Access {
    /// Notes a visit.
    pub fn visit(&mut self, now: Millis) {
        self.heat = self.heat_at(now).saturating_add(VISIT);
        self.visits = self.visits.saturating_add(1);
        self.last = Some(now);
    }

    fn heat_at(&self, now: Millis) -> u32 {
        let idle = self.last.map_or(0, |last| now.since(last));
        fade(self.heat, u32::try_from(idle / (HALF_LIFE / 16)).unwrap_or(u32::MAX))
    }

    /// The class of use at this time.
    pub fn frequency(&self, now: Millis) -> Frequency {
        match self.heat_at(now) {
            HIGH_HEAT.. => Frequency::High,
            MEDIUM_HEAT.. => Frequency::Medium,
            _ => Frequency::Low,
        }
    }
}

/// How often a room is used.
///
/// | class | visits, each worth half as much a day later | may stay Cached |
/// |---|---|---|
/// | High | 4 and more | 3 x the base time: 90 minutes |
/// | Medium | 1.5 and more | 2 x: 60 minutes |
/// | Low | fewer | 1 x: 30 minutes |
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Frequency {
    /// Visited once, or long ago.
    Low,
    /// Visited again within a day or so.
    Medium,
    /// Visited several times a day.
    High,
}

impl Frequency {
    /// The stable name, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Frequency::Low => "low",
            Frequency::Medium => "medium",
            Frequency::High => "high",
        }
    }

    /// Milliseconds that such a room may stay Cached; it goes when it is there for longer.
    pub fn ttl(self, base: u64) -> u64 {
        base.saturating_mul(match self {
            Frequency::Low => 1,
            Frequency::Medium => 2,
            Frequency::High => 3,
        })
    }
}
