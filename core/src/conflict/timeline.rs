//! Stretches of one timeline become one.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::v1;

/// Where a message stands, and what of two copies of it is newer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Its name: client and counter.
    pub id: (u64, u64),
    /// Its place in the log; 0 while it has none.
    pub seq: u64,
    /// Its number among the room's messages; 0 while it has none.
    pub ordinal: u64,
    /// Milliseconds since 1970, by whoever stamped it.
    pub at: u64,
    /// The entry that changed it last; 0 when none did.
    pub changed_seq: u64,
}

/// Something with a place in a timeline.
pub trait Stamped {
    /// Its stamp.
    fn stamp(&self) -> Stamp;

    /// Tells copies apart whose stamps are equal, so that the outcome does not depend on their order. Copies of one
    /// log don't need it.
    fn compare_content(&self, other: &Self) -> Ordering;
}

/// A timeline of several stretches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged<T> {
    /// Each message once, in order.
    pub messages: Vec<T>,
    /// Indices of messages before which others are missing, ascending: what history fills.
    pub gaps: Vec<usize>,
}

/// Merges stretches, in any order and overlapping as they may: each message once (of two copies the one that the log
/// has, then the one that was changed later), by place in the log, stamp and id, and what has no place yet at the end.
///
/// Commutative, associative and idempotent; linear for stretches that are in order. Clocks that are wrong don't matter:
/// stamps count among messages alone that have no place.
///
/// ```
/// use enfilade_core::conflict::timelines;
/// use enfilade_core::v1;
///
/// let message = |ordinal| {
///     let id = Some(v1::OpId { client: 1, counter: ordinal });
///     v1::Message { id, seq: 2 * ordinal, ordinal, ..Default::default() }
/// };
/// let (cached, window) = (vec![message(1), message(2)], vec![message(7), message(8)]);
/// let merged = timelines(vec![window, cached]);
/// let ordinals: Vec<u64> = merged.messages.iter().map(|message| message.ordinal).collect();
/// assert_eq!((ordinals, merged.gaps), (vec![1, 2, 7, 8], vec![2]));
/// ```
pub fn timelines<T: Stamped>(stretches: Vec<Vec<T>>) -> Merged<T> {
    let mut stretches = stretches.into_iter();
    let mut all: Vec<T> = stretches.next().unwrap_or_default();
    stretches.for_each(|stretch| all.extend(stretch));
    let mut stamps: Vec<(Stamp, u32)> = Vec::with_capacity(all.len());
    let mut table = Table::new(all.len());
    for (index, message) in all.iter().enumerate() {
        let stamp = message.stamp();
        match table.find(stamp.id, &stamps) {
            Ok(place) => {
                let (known, copy) = stamps[place];
                let newer = rank(&stamp).cmp(&rank(&known)).then_with(|| {
                    let copy = all.get(copy as usize);
                    copy.map_or(Ordering::Equal, |copy| message.compare_content(copy))
                });
                if newer == Ordering::Greater {
                    stamps[place] = (stamp, index as u32);
                }
            }
            Err(slot) => {
                table.slots[slot] = stamps.len() as u32 + 1;
                stamps.push((stamp, index as u32));
            }
        }
    }
    let order = merged_order(&stamps);
    let gaps = gaps(&stamps, &order);
    let mut all: Vec<Option<T>> = all.into_iter().map(Some).collect();
    let mut messages = Vec::with_capacity(order.len());
    for place in order {
        messages.extend(all[stamps[place as usize].1 as usize].take());
    }
    Merged { messages, gaps }
}

/// Where a message stands, and which it is.
#[derive(Clone, Copy)]
struct Place {
    /// What has none yet comes after all that have one.
    seq: u64,
    at: u64,
    index: u32,
}

/// Places in order. Ascending stretches are found and merged two by two, so few stretches take few steps; written out,
/// because the library's sort is large and slow where code is compiled for size.
fn merged_order(stamps: &[(Stamp, u32)]) -> Vec<u32> {
    let id = |place: &Place| stamps.get(place.index as usize).map(|(stamp, _)| stamp.id);
    let is_before = |a: &Place, b: &Place| match (a.seq == b.seq, a.at == b.at) {
        (false, _) => a.seq < b.seq,
        (true, false) => a.at < b.at,
        (true, true) => id(a) < id(b),
    };
    let place = |(index, (stamp, _)): (usize, &(Stamp, u32))| Place {
        seq: stamp.seq.wrapping_sub(1),
        at: stamp.at,
        index: index as u32,
    };
    let mut order: Vec<Place> = stamps.iter().enumerate().map(place).collect();
    let mut merged: Vec<Place> = Vec::with_capacity(order.len());
    let descends = |pair: &[Place]| matches!(pair, [a, b] if is_before(b, a));
    // Where stretches end.
    let mut ends: Vec<usize> =
        order.windows(2).enumerate().filter(|(_, pair)| descends(pair)).map(|(index, _)| index + 1).collect();
    ends.push(order.len());
    while ends.len() > 1 {
        let mut rest = &order[..];
        let mut taken = 0;
        let mut left = Vec::with_capacity(ends.len().div_ceil(2));
        for pair in ends.chunks(2) {
            let end = pair[pair.len() - 1];
            let (both, behind) = rest.split_at(end - taken);
            let (mut a, mut b) = both.split_at(pair[0] - taken);
            while let (Some(first), Some(second)) = (a.first(), b.first()) {
                let (next, from) = if is_before(second, first) { (second, &mut b) } else { (first, &mut a) };
                merged.push(*next);
                *from = &from[1..];
            }
            merged.extend_from_slice(a);
            merged.extend_from_slice(b);
            left.push(end);
            (rest, taken) = (behind, end);
        }
        core::mem::swap(&mut order, &mut merged);
        merged.clear();
        ends = left;
    }
    order.into_iter().map(|place| place.index).collect()
}

impl<T> Merged<T> {
    /// Lets go of all but the newest.
    pub fn keep_newest(&mut self, count: usize) {
        let dropped = self.messages.len().saturating_sub(count);
        self.messages.drain(..dropped);
        self.gaps.retain(|gap| *gap > dropped);
        self.gaps.iter_mut().for_each(|gap| *gap -= dropped);
    }
}

/// The server's word counts for more than a client's, and a later change for more than an earlier one.
fn rank(stamp: &Stamp) -> (bool, u64, u64, u64, u64) {
    (stamp.seq != 0, stamp.changed_seq, stamp.seq, stamp.ordinal, stamp.at)
}

fn gaps(stamps: &[(Stamp, u32)], order: &[u32]) -> Vec<usize> {
    let ordinal = |place: u32| stamps[place as usize].0.ordinal;
    let is_gap = |index: &usize| {
        let (before, after) = (ordinal(order[*index - 1]), ordinal(order[*index]));
        after != 0 && before.checked_add(1) != Some(after)
    };
    (1..order.len()).filter(is_gap).collect()
}

/// Ids by a hash that is the same everywhere. Never iterated.
struct Table {
    /// Indices plus one; 0 is free.
    slots: Vec<u32>,
}

impl Table {
    fn new(len: usize) -> Table {
        Table { slots: alloc::vec![0; (2 * len).next_power_of_two()] }
    }

    /// The index of the stamp with this id, or the slot where it belongs.
    fn find(&self, id: (u64, u64), stamps: &[(Stamp, u32)]) -> Result<usize, usize> {
        let mask = self.slots.len() - 1;
        // Clients are random numbers and counters are not: both are spread over the upper half, which is used.
        let mixed = (id.0 ^ id.1.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ mixed >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
        let mut slot = (mixed >> 32) as usize & mask;
        // At most half of the slots are taken, so there is a free one.
        while let Some(index) = self.slots[slot].checked_sub(1) {
            if stamps[index as usize].0.id == id {
                return Ok(index as usize);
            }
            slot = (slot + 1) & mask;
        }
        Err(slot)
    }
}

impl Stamped for v1::Message {
    fn stamp(&self) -> Stamp {
        let id = self.id.unwrap_or_default();
        Stamp {
            id: (id.client, id.counter),
            seq: self.seq,
            ordinal: self.ordinal,
            at: self.at,
            changed_seq: self.changed_seq,
        }
    }

    fn compare_content(&self, other: &v1::Message) -> Ordering {
        let content = |message: &v1::Message| (message.edited_at, message.deleted, message.pinned);
        content(self).cmp(&content(other)).then_with(|| self.text.cmp(&other.text))
    }
}

impl<T: Stamped> Stamped for Arc<T> {
    fn stamp(&self) -> Stamp {
        (**self).stamp()
    }

    fn compare_content(&self, other: &Arc<T>) -> Ordering {
        (**self).compare_content(other)
    }
}
