//! What came next, after one context each: short lists, the most frequent first.

use alloc::vec::Vec;

/// A list's entry is a room and how often it came: 11 and 5 bits.
const ROOM_BITS: u32 = 11;
/// Rooms that an entry can name.
pub(super) const ROOMS: usize = 1 << ROOM_BITS;
/// At this count all counts of a list are halved, so that a habit that has changed is unlearned.
const MOST: u16 = 31;

/// Equally long lists in one piece of memory, and how often each context was left. An entry of 0 is free.
#[derive(Clone, Debug)]
pub(super) struct Followers {
    width: usize,
    pub(super) entries: Vec<u16>,
    pub(super) totals: Vec<u8>,
}

fn entry(room: u16, count: u16) -> u16 {
    count << ROOM_BITS | room
}

fn room_of(entry: u16) -> u16 {
    entry & (ROOMS as u16 - 1)
}

fn count_of(entry: u16) -> u16 {
    entry >> ROOM_BITS
}

impl Followers {
    pub(super) fn new(width: usize) -> Followers {
        Followers { width, entries: Vec::new(), totals: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.totals.len()
    }

    pub(super) fn reserve(&mut self, lists: usize) {
        self.entries.reserve_exact(lists * self.width);
        self.totals.reserve_exact(lists);
    }

    /// Cuts off lists, or adds empty ones.
    pub(super) fn resize(&mut self, lists: usize) {
        self.entries.resize(lists * self.width, 0);
        self.totals.resize(lists, 0);
    }

    pub(super) fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<u16>() + self.totals.capacity()
    }

    fn list_mut(&mut self, list: usize) -> &mut [u16] {
        &mut self.entries[list * self.width..][..self.width]
    }

    /// The rooms that came, and how often: the most frequent first, and of equals the latest.
    pub(super) fn of(&self, list: usize) -> impl Iterator<Item = (u16, u8)> {
        let entries = self.entries[list * self.width..][..self.width].iter();
        entries.take_while(|entry| **entry > 0).map(|entry| (room_of(*entry), count_of(*entry) as u8))
    }

    /// Notes what came.
    pub(super) fn note(&mut self, list: usize, room: u16) {
        self.totals[list] = self.totals[list].saturating_add(1);
        let entries = self.list_mut(list);
        let known = entries.iter().position(|entry| *entry > 0 && room_of(*entry) == room);
        let free = || entries.iter().position(|entry| *entry == 0);
        let last = entries.len() - 1;
        let mut at = known.or_else(free).unwrap_or(last);
        if known.is_some() {
            entries[at] += entry(0, 1);
        } else if count_of(entries[at]) > 1 {
            // What came more than once is worn down before it gives way.
            entries[at] -= entry(0, 1);
            return;
        } else {
            entries[at] = entry(room, 1);
        }
        while at > 0 && count_of(entries[at - 1]) <= count_of(entries[at]) {
            entries.swap(at - 1, at);
            at -= 1;
        }
        if count_of(entries[at]) == MOST {
            for entry in entries.iter_mut() {
                let halved = count_of(*entry).div_ceil(2);
                *entry = if count_of(*entry) > 1 { self::entry(room_of(*entry), halved) } else { 0 };
            }
            self.totals[list] /= 2;
        }
    }

    pub(super) fn clear(&mut self, list: usize) {
        self.list_mut(list).fill(0);
        self.totals[list] = 0;
    }

    /// Copies a list to another place, with its rooms under other numbers. Those that have none are left out.
    pub(super) fn put(&mut self, list: usize, from: &[u16], total: u8, numbers: &[Option<u16>]) {
        let kept = from.iter().filter(|entry| **entry > 0).filter_map(|known| {
            let number = numbers.get(usize::from(room_of(*known))).copied().flatten();
            number.map(|number| entry(number, count_of(*known)))
        });
        let entries = &mut self.entries[list * self.width..][..self.width];
        entries.fill(0);
        entries.iter_mut().zip(kept).for_each(|(place, entry)| *place = entry);
        self.totals[list] = total;
    }

    /// A list as it lies in memory.
    pub(super) fn raw(&self, list: usize) -> (&[u16], u8) {
        (&self.entries[list * self.width..][..self.width], self.totals[list])
    }

    /// Whether every entry names one of so many rooms.
    pub(super) fn is_sound(&self, rooms: usize) -> bool {
        self.entries.len() == self.totals.len() * self.width
            && self.entries.iter().all(|entry| *entry == 0 || usize::from(room_of(*entry)) < rooms)
    }
}
