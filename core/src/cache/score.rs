//! The four-term score.

use core::cmp::Reverse;

use super::residents::{ByRoom, Residents};
use super::{Access, Policy};
use crate::{Millis, limits};

const MILLION: u64 = 1_000_000;
/// A term beyond this says nothing more; it keeps sums far from the end of their type.
const MOST: u64 = 1_000 * MILLION;
/// The most that a room can matter.
pub const MAX_PRIORITY: u8 = 10;

/// What speaks for evicting a room, in parts per million. A score is `0.3 age + 0.3 access + 0.3 recency + 0.1 priority`;
/// the highest goes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Time in the cache over the base time; at most 1,000 times it.
    pub age: u32,
    /// `1 / (1 + visits)`.
    pub access: u32,
    /// Time since the last visit over the base time, or 1 if there was none; at most 1,000 times it.
    pub recency: u32,
    /// `1 - priority / 10`.
    pub priority: u32,
    /// The weighted sum.
    pub score: u32,
}

impl Terms {
    /// The terms of a room that is in the cache `since` then, against a base time in milliseconds.
    pub fn of(access: &Access, since: Millis, priority: u8, base: u64, now: Millis) -> Terms {
        let base = base.max(1);
        // Whole and rest apart, so that no product is too large; 128 bits would be divided by a library of their own.
        let over_base = |time: u64| {
            let whole = (time / base).saturating_mul(MILLION);
            whole.saturating_add((time % base).saturating_mul(MILLION) / base).min(MOST)
        };
        let age = over_base(now.since(since));
        let rarity = MILLION / (1 + u64::from(access.visits));
        let recency = access.last.map_or(MILLION, |last| over_base(now.since(last)));
        let indifference = MILLION - MILLION / 10 * u64::from(priority.min(MAX_PRIORITY));
        let score = (3 * (age + rarity + recency) + indifference) / 10;
        Terms {
            age: age as u32,
            access: rarity as u32,
            recency: recency as u32,
            priority: indifference as u32,
            score: score as u32,
        }
    }
}

/// The room with the highest [`Terms::score`] goes first.
#[derive(Debug)]
pub struct Score {
    rooms: ByRoom<Room>,
    residents: Residents,
    /// How many have come in so far.
    came: u64,
    capacity: usize,
    now: Millis,
}

#[derive(Clone, Copy, Debug, Default)]
struct Room {
    access: Access,
    since: Millis,
    /// How many had come in before.
    after: u64,
    priority: u8,
}

impl Score {
    /// An empty one, for a cache of so many rooms.
    pub fn new(capacity: usize) -> Score {
        Score { rooms: ByRoom::default(), residents: Residents::default(), came: 0, capacity, now: Millis(0) }
    }

    fn score(&self, room: u32) -> u32 {
        let room = self.rooms.of(room);
        Terms::of(&room.access, room.since, room.priority, limits::CACHED_FOR, self.now).score
    }
}

impl Policy for Score {
    fn visit(&mut self, room: u32, _is_hit: bool, at: Millis) {
        self.now = self.now.max(at);
        let now = self.now;
        self.rooms.of_mut(room).access.visit(now);
    }

    fn admit(&mut self, room: u32) {
        if self.residents.insert(room) {
            let held = self.rooms.of_mut(room);
            (held.since, held.after) = (self.now, self.came);
            self.came += 1;
        }
    }

    fn remove(&mut self, room: u32) {
        self.residents.remove(room);
    }

    fn victim(&self, is_kept: &dyn Fn(u32) -> bool) -> Option<u32> {
        let candidates = self.residents.iter().filter(|room| !is_kept(*room));
        // Of equals the one that came first.
        candidates.max_by_key(|room| (self.score(*room), Reverse(self.rooms.of(*room).after)))
    }

    /// The complement of the score.
    fn worth(&self, room: u32) -> u32 {
        u32::MAX - self.score(room)
    }

    fn set_priority(&mut self, room: u32, priority: u8) {
        self.rooms.of_mut(room).priority = priority;
    }

    fn forget(&mut self, room: u32) {
        self.remove(room);
        *self.rooms.of_mut(room) = Room::default();
    }

    fn contains(&self, room: u32) -> bool {
        self.residents.contains(room)
    }

    fn capacity(&self) -> usize {
        self.capacity
    }

    fn len(&self) -> usize {
        self.residents.len()
    }
}
