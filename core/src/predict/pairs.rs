//! Lists of what came after two rooms in a row: a hash table in sets of four.

use alloc::vec::Vec;

use super::followers::Followers;

/// Places that a pair may lie in.
const SET: usize = 4;
/// Pairs that the table begins with room for, as a power of two. It doubles when it is three quarters full.
const FIRST_BITS: u32 = 8;
/// A pair that was left more often than this is worn down before a new one takes its place.
const WORN: u8 = 2;
/// A free place: both halves of a key are below 2^11.
const FREE: u32 = u32::MAX;

#[derive(Clone, Debug)]
pub(super) struct Pairs {
    pub(super) keys: Vec<u32>,
    pub(super) lists: Followers,
    width: usize,
    used: usize,
    most: usize,
}

impl Pairs {
    /// An empty table that grows to `most` pairs, a power of two.
    pub(super) fn new(most: usize, width: usize) -> Pairs {
        let mut pairs = Pairs { keys: Vec::new(), lists: Followers::new(width), width, used: 0, most };
        pairs.clear(most.min(1 << FIRST_BITS));
        pairs
    }

    fn clear(&mut self, places: usize) {
        (self.keys, self.lists, self.used) = (Vec::new(), Followers::new(self.width), 0);
        self.keys.reserve_exact(places);
        self.keys.resize(places, FREE);
        self.lists.reserve(places);
        self.lists.resize(places);
    }

    pub(super) fn bytes(&self) -> usize {
        self.keys.capacity() * size_of::<u32>() + self.lists.bytes()
    }

    /// The first place of a pair's set.
    fn set(&self, key: u32) -> usize {
        let mixed = key.wrapping_mul(0x9e37_79b1);
        let mixed = (mixed ^ mixed >> 15).wrapping_mul(0x85eb_ca77);
        // The number of places is a power of two.
        (mixed >> 8) as usize & (self.keys.len() - 1) & !(SET - 1)
    }

    pub(super) fn find(&self, before: u16, room: u16) -> Option<usize> {
        let key = key(before, room);
        let set = self.set(key);
        (set..set + SET).find(|place| self.keys[*place] == key)
    }

    /// Notes what came after a pair. A new pair takes the place of the one left least often; all in the way of new
    /// ones lose with each that comes.
    pub(super) fn note(&mut self, before: u16, room: u16, next: u16) {
        let place = match self.find(before, room) {
            Some(place) => Some(place),
            None => {
                if self.used * 4 >= self.keys.len() * 3 && self.keys.len() < self.most {
                    self.rebuild(self.keys.len() * 2, Some);
                }
                self.take_place(key(before, room))
            }
        };
        if let Some(place) = place {
            self.lists.note(place, next);
        }
    }

    fn take_place(&mut self, key: u32) -> Option<usize> {
        let set = self.set(key);
        let places = set..set + SET;
        let free = places.clone().find(|place| self.keys[*place] == FREE);
        let place = free.or(places.clone().min_by_key(|place| self.lists.totals[*place]))?;
        if free.is_none() {
            for other in places.filter(|other| *other != place) {
                self.lists.totals[other] -= self.lists.totals[other] / 16;
            }
            if self.lists.totals[place] > WORN {
                self.lists.totals[place] -= WORN;
                return None;
            }
        }
        self.used += usize::from(free.is_some());
        self.keys[place] = key;
        self.lists.clear(place);
        Some(place)
    }

    /// Gives rooms other numbers, and forgets those that get none.
    pub(super) fn renumber(&mut self, numbers: &[Option<u16>]) {
        self.rebuild(self.keys.len(), |room| numbers.get(usize::from(room)).copied().flatten());
    }

    fn rebuild(&mut self, places: usize, number: impl Fn(u16) -> Option<u16>) {
        let numbers: Vec<Option<u16>> = (0..super::followers::ROOMS as u16).map(number).collect();
        let keys = core::mem::take(&mut self.keys);
        let lists = core::mem::replace(&mut self.lists, Followers::new(self.width));
        self.clear(places);
        let of = |half: u32| numbers.get(half as usize).copied().flatten();
        for (place, old) in keys.into_iter().enumerate().filter(|(_, old)| *old != FREE) {
            let (Some(before), Some(room)) = (of(old >> 16), of(old & 0xffff)) else { continue };
            let key = key(before, room);
            let set = self.set(key);
            // A set that was full may be so again, with more than fit; the last to come stay out.
            if let Some(free) = (set..set + SET).find(|place| self.keys[*place] == FREE) {
                let (entries, total) = lists.raw(place);
                self.keys[free] = key;
                self.lists.put(free, entries, total, &numbers);
                self.used += 1;
            }
        }
    }

    /// A table out of its parts, if they can be one for so many rooms.
    pub(super) fn restore(mut self, keys: Vec<u32>, lists: Followers, rooms: usize) -> Option<Pairs> {
        let fits = keys.len() == lists.len()
            && keys.len().is_power_of_two()
            && (SET..=self.most).contains(&keys.len())
            && lists.is_sound(rooms);
        let is_sound =
            |key: &u32| *key == FREE || ((key >> 16) as usize) < rooms && ((key & 0xffff) as usize) < rooms;
        if !fits || !keys.iter().all(is_sound) {
            return None;
        }
        self.used = keys.iter().filter(|key| **key != FREE).count();
        (self.keys, self.lists) = (keys, lists);
        Some(self)
    }
}

fn key(before: u16, room: u16) -> u32 {
    u32::from(before) << 16 | u32::from(room)
}
