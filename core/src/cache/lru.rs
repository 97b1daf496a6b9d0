//! Least recently used.

use core::hash::{BuildHasher, Hasher};

use lru::LruCache;

use super::Policy;
use crate::Millis;

/// The room used longest ago goes first. It learns nothing and weighs nothing.
#[derive(Debug)]
pub struct Lru {
    /// Walked in order of use, never in the order of the map.
    order: LruCache<u32, u32, FixedState>,
    capacity: usize,
    visits: u32,
}

impl Lru {
    /// An empty one, for a cache of so many rooms.
    pub fn new(capacity: usize) -> Lru {
        Lru { order: LruCache::unbounded_with_hasher(FixedState), capacity, visits: 0 }
    }
}

impl Policy for Lru {
    fn visit(&mut self, room: u32, _is_hit: bool, _at: Millis) {
        self.visits = self.visits.saturating_add(1);
        if let Some(used) = self.order.get_mut(&room) {
            *used = self.visits;
        }
    }

    fn admit(&mut self, room: u32) {
        if !self.order.contains(&room) {
            self.order.put(room, self.visits);
        }
    }

    fn remove(&mut self, room: u32) {
        self.order.pop(&room);
    }

    fn victim(&self, is_kept: &dyn Fn(u32) -> bool) -> Option<u32> {
        self.order.iter().rev().map(|(room, _)| *room).find(|room| !is_kept(*room))
    }

    /// The number of the visit that used it last.
    fn worth(&self, room: u32) -> u32 {
        self.order.peek(&room).copied().unwrap_or(0)
    }

    fn forget(&mut self, room: u32) {
        self.remove(room);
    }

    fn contains(&self, room: u32) -> bool {
        self.order.contains(&room)
    }

    fn capacity(&self) -> usize {
        self.capacity
    }

    fn len(&self) -> usize {
        self.order.len()
    }
}

/// One multiplication, equal on every platform and in every run. The numbers are our own, so nobody can craft a
/// collision.
#[derive(Clone, Copy, Debug, Default)]
struct FixedState;

#[derive(Debug)]
struct Mix(u64);

impl BuildHasher for FixedState {
    type Hasher = Mix;

    fn build_hasher(&self) -> Mix {
        Mix(0)
    }
}

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
