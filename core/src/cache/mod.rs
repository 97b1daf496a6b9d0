#![doc = include_str!("../docs/cache.md")]

mod access;
mod explain;
mod gf;
mod lru;
mod model;
mod policy;
mod prior;
mod recent;
mod record;
mod residents;
mod reuse;
mod s3_fifo;
mod score;
mod shelf;
mod visits;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

pub use access::{Access, Frequency};
pub use explain::{Decision, Explanation};
pub use gf::Gf;
pub use lru::Lru;
pub use policy::{Confidence, Policy, PolicyKind};
pub use s3_fifo::S3Fifo;
pub use score::{MAX_PRIORITY, Score, Terms};
pub use visits::{Visits, WhatIf};

use crate::sorted::SortedMap;
use crate::tier::TierReason;
use crate::{Millis, RoomId, limits};

/// Which Cached rooms stay. The rooms themselves are kept by the client; here is how they are used, and a policy.
#[derive(Debug)]
pub struct Cache {
    capacity: usize,
    /// The base of TTLs and of the score's times, in milliseconds.
    base: u64,
    kind: PolicyKind,
    policy: Box<dyn Policy>,
    numbers: SortedMap<RoomId, u32>,
    rooms: Vec<Known>,
    visits: Visits,
    evicted: VecDeque<(RoomId, Explanation)>,
}

/// A room that was seen, by its number.
#[derive(Clone, Debug)]
struct Known {
    id: RoomId,
    access: Access,
    /// When it came into the cache.
    since: Millis,
    priority: u8,
}

impl Cache {
    /// An empty cache for so many rooms, with a base time in milliseconds: what a room of low use may stay.
    pub fn new(kind: PolicyKind, capacity: usize, base: u64) -> Cache {
        let capacity = capacity.min(limits::CACHED_ROOMS);
        Cache {
            capacity,
            base,
            kind,
            policy: kind.make(capacity),
            numbers: SortedMap::default(),
            rooms: Vec::new(),
            visits: Visits::default(),
            evicted: VecDeque::new(),
        }
    }

    /// Notes that the user has gone to a room, and whether it was held in any way.
    pub fn visit(&mut self, room: &RoomId, is_held: bool, now: Millis) {
        let number = self.number_of(room);
        self.known(number).access.visit(now);
        self.visits.push(number, now);
        self.policy.visit(number, is_held, now);
    }

    /// Enters a room. For one that is in, the priority alone is new.
    pub fn admit(&mut self, room: &RoomId, priority: u8, now: Millis) {
        let number = self.number_of(room);
        if !self.policy.contains(number) {
            self.known(number).since = now;
            self.policy.admit(number);
        }
        self.set_priority(room, priority);
    }

    /// Enters a room that is fetched ahead, if there is a place or if it beats the weakest resident. Returns whether it
    /// is in; then there may be one too many.
    pub fn admit_prefetched(&mut self, room: &RoomId, confidence: Confidence, now: Millis) -> bool {
        let number = self.number_of(room);
        if !self.policy.contains(number) {
            self.known(number).since = now;
        }
        self.policy.admit_prefetched(number, confidence)
    }

    /// Sets how much a room matters, 0 to 10. Has no effect on one that was never seen.
    pub fn set_priority(&mut self, room: &RoomId, priority: u8) {
        if let Some(number) = self.numbers.get(room).copied() {
            let priority = priority.min(MAX_PRIORITY);
            if core::mem::replace(&mut self.known(number).priority, priority) != priority || priority > 0 {
                self.policy.set_priority(number, priority);
            }
        }
    }

    /// Takes a room out. Has no effect on one that is not in.
    pub fn withdraw(&mut self, room: &RoomId) {
        if let Some(number) = self.numbers.get(room) {
            self.policy.remove(*number);
        }
    }

    /// How many rooms there are.
    pub fn len(&self) -> usize {
        self.policy.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.policy.is_empty()
    }

    /// Whether there are more rooms than there should be.
    pub fn is_over(&self) -> bool {
        self.policy.len() > self.capacity
    }

    /// Whether a room is in.
    pub fn contains(&self, room: &RoomId) -> bool {
        self.numbers.get(room).is_some_and(|number| self.policy.contains(*number))
    }

    /// The room that goes next, of those that nothing keeps. It stays until it is evicted or withdrawn.
    pub fn victim(&self, is_kept: &dyn Fn(&RoomId) -> bool) -> Option<&RoomId> {
        let victim = self.policy.victim(&|number| is_kept(&self.rooms[number as usize].id))?;
        Some(&self.rooms[victim as usize].id)
    }

    /// Takes out the room that [`victim`](Cache::victim) names.
    pub fn evict(&mut self, is_kept: &dyn Fn(&RoomId) -> bool) -> Option<RoomId> {
        let rooms = &self.rooms;
        let victim = self.policy.evict(&|number| is_kept(&rooms[number as usize].id))?;
        Some(self.rooms[victim as usize].id.clone())
    }

    /// Milliseconds that a room may stay Cached which comes in at this time.
    pub fn ttl(&self, room: &RoomId, now: Millis) -> u64 {
        self.access(room).frequency(now).ttl(self.base)
    }

    /// How a room was used.
    pub fn access(&self, room: &RoomId) -> Access {
        self.numbers.get(room).map_or_else(Access::default, |number| self.rooms[*number as usize].access)
    }

    /// Why a room is where it is. `pin` is what keeps it, if something does, as `is_kept` says of all rooms.
    pub fn explain(
        &self,
        room: &RoomId,
        pin: Option<Decision>,
        is_kept: &dyn Fn(&RoomId) -> bool,
        now: Millis,
    ) -> Explanation {
        let number = self.numbers.get(room).copied();
        let known = number.and_then(|number| self.rooms.get(number as usize));
        let (access, since, priority) =
            known.map_or_else(Default::default, |known| (known.access, known.since, known.priority));
        let is_cached = self.contains(room);
        if pin.is_none()
            && !is_cached
            && let Some((_, explanation)) = self.evicted.iter().rev().find(|(id, _)| id == room)
        {
            return *explanation;
        }
        let decision = match pin {
            Some(pin) => pin,
            None if !is_cached => Decision::NotHeld,
            None if self.victim(is_kept) == Some(room) => Decision::EvictNext,
            None => Decision::Kept,
        };
        // The class of a Cached room is that of when it came in: its time is not cut while it waits.
        let frequency = access.frequency(if is_cached { since } else { now });
        let ttl = frequency.ttl(self.base);
        let age = if is_cached { now.since(since) } else { 0 };
        Explanation {
            decision,
            policy: self.kind,
            worth: number.map_or(0, |number| self.policy.worth(number)),
            terms: Terms::of(&access, if is_cached { since } else { now }, priority, self.base, now),
            frequency,
            visits: access.visits,
            last_visit: access.last,
            priority,
            ttl,
            remaining: if is_cached { ttl.saturating_sub(age) } else { 0 },
            cached: (self.len(), self.capacity),
        }
    }

    /// Remembers why a room goes, so that it can be told afterwards.
    pub fn note_eviction(&mut self, room: &RoomId, reason: TierReason, now: Millis) {
        let explanation = self.explain(room, Some(Decision::Evicted(now, reason)), &|_| false, now);
        if self.evicted.len() >= limits::EVICTIONS_RECORDED {
            self.evicted.pop_front();
        }
        self.evicted.push_back((room.clone(), explanation));
    }

    /// The rooms that went lately, the last first, and why.
    pub fn evicted(&self) -> impl Iterator<Item = (&RoomId, &Explanation)> {
        self.evicted.iter().rev().map(|(room, explanation)| (room, explanation))
    }

    /// The visits that were recorded.
    pub fn visits(&self) -> &Visits {
        &self.visits
    }

    fn known(&mut self, number: u32) -> &mut Known {
        &mut self.rooms[number as usize]
    }

    /// The number that stands for a room. Where all are taken, that of the room visited longest ago that is not in.
    fn number_of(&mut self, room: &RoomId) -> u32 {
        if let Some(number) = self.numbers.get(room) {
            return *number;
        }
        let known = Known { id: room.clone(), access: Access::default(), since: Millis(0), priority: 0 };
        let number = if self.rooms.len() < limits::ROOMS_SEEN {
            self.rooms.push(known);
            self.rooms.len() as u32 - 1
        } else {
            let others = (0..self.rooms.len() as u32).filter(|number| !self.policy.contains(*number));
            let oldest = others.min_by_key(|number| self.rooms[*number as usize].access.last).unwrap_or(0);
            self.policy.forget(oldest);
            let gone = core::mem::replace(self.known(oldest), known);
            self.numbers.remove(&gone.id);
            oldest
        };
        self.numbers.insert(room.clone(), number);
        number
    }
}

#[cfg(test)]
mod tests;
