//! The four-term score.

use alloc::vec::Vec;

use super::{Access, Confidence, Policy};
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
        let over_base = |time: u64| {
            (u128::from(time) * u128::from(MILLION) / u128::from(base.max(1))).min(u128::from(MOST))
        };
        let age = over_base(now.since(since)) as u64;
        let rarity = MILLION / (1 + u64::from(access.visits));
        let recency = access.last.map_or(MILLION, |last| over_base(now.since(last)) as u64);
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
    rooms: Vec<Room>,
    residents: Vec<u32>,
    capacity: usize,
    now: Millis,
}

#[derive(Clone, Copy, Debug, Default)]
struct Room {
    access: Access,
    since: Millis,
    priority: u8,
    is_resident: bool,
}

impl Score {
    /// An empty one, for a cache of so many rooms.
    pub fn new(capacity: usize) -> Score {
        Score { rooms: Vec::new(), residents: Vec::new(), capacity, now: Millis(0) }
    }

    fn room(&mut self, room: u32) -> &mut Room {
        let at = room as usize;
        if self.rooms.len() <= at {
            self.rooms.resize(at + 1, Room::default());
        }
        &mut self.rooms[at]
    }

    fn score(&self, room: u32) -> u32 {
        let room = self.rooms.get(room as usize).copied().unwrap_or_default();
        Terms::of(&room.access, room.since, room.priority, limits::CACHED_FOR, self.now).score
    }
}

impl Policy for Score {
    fn visit(&mut self, room: u32, _is_hit: bool, at: Millis) {
        self.now = self.now.max(at);
        let now = self.now;
        self.room(room).access.visit(now);
    }

    fn admit(&mut self, room: u32) {
        let now = self.now;
        let held = self.room(room);
        if !held.is_resident {
            (held.is_resident, held.since) = (true, now);
            self.residents.push(room);
        }
    }

    fn admit_prefetched(&mut self, room: u32, _confidence: Confidence) -> bool {
        let is_in = self.contains(room) || self.len() < self.capacity;
        if is_in {
            self.admit(room);
        }
        is_in
    }

    fn remove(&mut self, room: u32) {
        if self.contains(room) {
            self.room(room).is_resident = false;
            self.residents.retain(|other| *other != room);
        }
    }

    fn victim(&self, is_kept: &dyn Fn(u32) -> bool) -> Option<u32> {
        let candidates = self.residents.iter().copied().filter(|room| !is_kept(*room));
        // The first of equals, which came first.
        candidates.rev().max_by_key(|room| self.score(*room))
    }

    /// The complement of the score.
    fn worth(&self, room: u32) -> u32 {
        u32::MAX - self.score(room)
    }

    fn set_priority(&mut self, room: u32, priority: u8) {
        self.room(room).priority = priority;
    }

    fn forget(&mut self, room: u32) {
        self.remove(room);
        *self.room(room) = Room::default();
    }

    fn contains(&self, room: u32) -> bool {
        self.rooms.get(room as usize).is_some_and(|room| room.is_resident)
    }

    fn len(&self) -> usize {
        self.residents.len()
    }
}
