//! Which Cached room goes first when there are too many: the one used longest ago, unless something keeps it.

use core::hash::{BuildHasher, Hasher};

use lru::LruCache;

use crate::RoomId;

/// The order in which Cached rooms were used. The rooms themselves are kept by the client.
#[derive(Debug)]
pub struct Cache {
    order: LruCache<RoomId, (), FixedState>,
    capacity: usize,
}

impl Cache {
    /// An empty cache for this many rooms.
    pub fn new(capacity: usize) -> Cache {
        Cache { order: LruCache::unbounded_with_hasher(FixedState), capacity }
    }

    /// Enters a room, or notes that it was used.
    pub fn admit(&mut self, room: &RoomId) {
        self.order.put(room.clone(), ());
    }

    /// Takes a room out. Has no effect on one that is not in.
    pub fn withdraw(&mut self, room: &RoomId) {
        self.order.pop(room);
    }

    /// How many rooms there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Whether there are more rooms than there should be.
    pub fn is_over(&self) -> bool {
        self.order.len() > self.capacity
    }

    /// The room used longest ago that nothing keeps. The walk follows use, never the map, so it is the same everywhere.
    pub fn victim(&self, is_kept: impl Fn(&RoomId) -> bool) -> Option<&RoomId> {
        self.order.iter().rev().map(|(room, ())| room).find(|room| !is_kept(room))
    }
}

/// FNV-1a with its standard start: equal on every platform and in every run. Ids come from people who may enter the
/// room, so a crafted collision costs its author a slow room list and nobody else anything.
#[derive(Clone, Copy, Debug, Default)]
struct FixedState;

#[derive(Debug)]
struct Fnv(u64);

impl BuildHasher for FixedState {
    type Hasher = Fnv;

    fn build_hasher(&self) -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(id: &str) -> RoomId {
        RoomId::new(id).unwrap()
    }

    fn cache(capacity: usize, rooms: &[&str]) -> Cache {
        let mut cache = Cache::new(capacity);
        rooms.iter().for_each(|id| cache.admit(&room(id)));
        cache
    }

    #[test]
    fn the_room_used_longest_ago_goes_first() {
        let mut cache = cache(2, &["a", "b", "c"]);
        assert!(cache.is_over());
        assert_eq!(cache.victim(|_| false), Some(&room("a")));
        cache.admit(&room("a"));
        assert_eq!(cache.victim(|_| false), Some(&room("b")));
        cache.withdraw(&room("b"));
        assert!(!cache.is_over());
    }

    #[test]
    fn a_room_that_is_kept_is_passed_over() {
        let cache = cache(1, &["a", "b"]);
        assert_eq!(cache.victim(|id| *id == room("a")), Some(&room("b")));
        assert_eq!(cache.victim(|_| true), None);
    }
}
