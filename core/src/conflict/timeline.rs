//! Stretches of one timeline become one.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;

use xxhash_rust::xxh64::xxh64;

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
    // Finds the stretches that are in order already, and merges those.
    stamps.sort_by_key(|(stamp, _)| order(stamp));
    let gaps = gaps(&stamps);
    let mut all: Vec<Option<T>> = all.into_iter().map(Some).collect();
    let mut messages = Vec::with_capacity(stamps.len());
    messages.extend(stamps.iter().filter_map(|(_, index)| all.get_mut(*index as usize)?.take()));
    Merged { messages, gaps }
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

/// Messages that have no place yet come after all that have one.
fn order(stamp: &Stamp) -> (u64, u64, (u64, u64)) {
    (stamp.seq.wrapping_sub(1), stamp.at, stamp.id)
}

/// The server's word counts for more than a client's, and a later change for more than an earlier one.
fn rank(stamp: &Stamp) -> (bool, u64, u64, u64, u64) {
    (stamp.seq != 0, stamp.changed_seq, stamp.seq, stamp.ordinal, stamp.at)
}

fn gaps(stamps: &[(Stamp, u32)]) -> Vec<usize> {
    let is_gap = |pair: &[(Stamp, u32)]| match pair {
        [(before, _), (after, _)] if after.ordinal != 0 => {
            before.ordinal.checked_add(1) != Some(after.ordinal)
        }
        _ => false,
    };
    stamps.windows(2).enumerate().filter(|(_, pair)| is_gap(pair)).map(|(index, _)| index + 1).collect()
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
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&id.0.to_le_bytes());
        bytes[8..].copy_from_slice(&id.1.to_le_bytes());
        let mask = self.slots.len() - 1;
        let mut slot = xxh64(&bytes, 0) as usize & mask;
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
