//! The rooms that learned reuse would hold, and what their places are worth.

use alloc::vec::Vec;

use super::reuse::Reuse;

/// In place of a slot: not on the shelf.
pub(super) const OUT: u16 = u16::MAX;
/// In the list of worths the slot's own number stands below, so that one sweep finds the least and its place.
const SLOT_BITS: u32 = 10;
pub(super) const SLOTS: usize = 1 << SLOT_BITS;
/// So many neighbours are brought up to date together, and the least worth of them is kept, so that few numbers are looked
/// at to find the least of all.
const BLOCK: usize = 8;

/// A room's place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) room: u32,
    /// The number of the visit that was its last, or at which it was fetched ahead.
    pub(super) since: u32,
    /// Where its class begins in the table.
    pub(super) row: u16,
    /// What its priority adds to its worth.
    pub(super) bonus: u16,
}

/// Slots without gaps. What they are worth is as old as a few newcomers.
#[derive(Debug)]
pub(super) struct Shelf {
    capacity: usize,
    slots: Vec<Slot>,
    /// Whole blocks; beyond the slots everything.
    worths: Vec<[i32; BLOCK]>,
    /// What no worth in a block is less than, and no less than the least was: in the form of a worth as well.
    bounds: Vec<i32>,
    /// The block that is next to be brought up to date.
    hand: usize,
}

impl Shelf {
    pub(super) fn new(capacity: usize) -> Shelf {
        let capacity = capacity.clamp(1, SLOTS);
        Shelf { capacity, slots: Vec::new(), worths: Vec::new(), bounds: Vec::new(), hand: 0 }
    }

    pub(super) fn is_full(&self) -> bool {
        self.slots.len() >= self.capacity
    }

    pub(super) fn slot(&self, at: u16) -> Option<&Slot> {
        self.slots.get(usize::from(at))
    }

    pub(super) fn worth(&self, at: u16) -> u32 {
        let at = usize::from(at);
        self.worths.get(at / BLOCK).map_or(0, |block| block[at % BLOCK] as u32 >> SLOT_BITS)
    }

    /// The slot that is worth least, and its worth.
    #[inline]
    pub(super) fn weakest(&mut self) -> (u16, u32) {
        loop {
            let bound = self.bounds.iter().fold(i32::MAX, |least, bound| least.min(*bound));
            let at = bound as usize & (SLOTS - 1);
            let Some(block) = self.worths.get(at / BLOCK) else { return (OUT, 0) };
            let least = least_of(block);
            if least == bound {
                return (at as u16, bound as u32 >> SLOT_BITS);
            }
            self.bounds[at / BLOCK] = least;
        }
    }

    /// Changes a slot.
    #[inline]
    pub(super) fn set(&mut self, at: u16, slot: Slot, reuse: &Reuse, now: u32) {
        let at = usize::from(at);
        self.slots[at] = slot;
        let worth = worth_now(reuse, now, &slot, at);
        self.worths[at / BLOCK][at % BLOCK] = worth;
        let bound = &mut self.bounds[at / BLOCK];
        *bound = worth.min(*bound);
    }

    /// Puts another room in the place of the weakest. Returns what was there.
    #[inline]
    pub(super) fn replace_weakest(&mut self, slot: Slot, reuse: &Reuse, now: u32) -> Option<(u16, Slot)> {
        let at = usize::from(self.weakest().0);
        let weakest = core::mem::replace(self.slots.get_mut(at)?, slot);
        let block = &mut self.worths[at / BLOCK];
        // Not written and read again at once, which a processor would wait for. No two worths are equal.
        let (was, worth) = (block[at % BLOCK], worth_now(reuse, now, &slot, at));
        let least = least_of(&block.map(|worth| if worth == was { i32::MAX } else { worth }));
        block[at % BLOCK] = worth;
        self.bounds[at / BLOCK] = least.min(worth);
        Some((at as u16, weakest))
    }

    /// Adds a slot, if there is a place.
    pub(super) fn push(&mut self, slot: Slot, reuse: &Reuse, now: u32) -> u16 {
        let at = self.slots.len();
        self.slots.push(slot);
        if at.is_multiple_of(BLOCK) {
            self.worths.push([i32::MAX; BLOCK]);
            self.bounds.push(i32::MAX);
        }
        self.set(at as u16, slot, reuse, now);
        at as u16
    }

    /// Takes a slot away. The last one takes its place, and is returned.
    pub(super) fn remove(&mut self, at: u16, reuse: &Reuse, now: u32) -> Option<Slot> {
        let last = self.slots.pop()?;
        let end = self.slots.len();
        let block = &mut self.worths[end / BLOCK];
        block[end % BLOCK] = i32::MAX;
        self.bounds[end / BLOCK] = least_of(block);
        if end.is_multiple_of(BLOCK) {
            self.worths.pop();
            self.bounds.pop();
        }
        if usize::from(at) == end {
            return None;
        }
        self.set(at, last, reuse, now);
        Some(last)
    }

    /// Brings so many blocks up to date.
    #[inline]
    pub(super) fn refresh(&mut self, blocks: usize, reuse: &Reuse, now: u32) {
        for _ in 0..blocks {
            if self.hand >= self.worths.len() {
                self.hand = 0;
            }
            let from = self.hand * BLOCK;
            let Some(block) = self.worths.get_mut(self.hand) else { return };
            let mut least = i32::MAX;
            for (at, (slot, worth)) in self.slots[from..].iter().zip(block.iter_mut()).enumerate() {
                *worth = worth_now(reuse, now, slot, from + at);
                least = least.min(*worth);
            }
            self.bounds[self.hand] = least;
            self.hand += 1;
        }
    }
}

#[inline]
fn least_of(block: &[i32; BLOCK]) -> i32 {
    block.iter().fold(i32::MAX, |least, worth| least.min(*worth))
}

/// What a slot is worth, and its number.
#[inline]
fn worth_now(reuse: &Reuse, now: u32, slot: &Slot, at: usize) -> i32 {
    let worth = reuse.worth(slot.row, now.wrapping_sub(slot.since));
    ((worth + u32::from(slot.bonus)) << SLOT_BITS) as i32 | at as i32
}
