//! The bounds of every store, checked before anything is done.

use std::time::Duration;

use bytes::Bytes;
use enfilade_core::{Position, RoomId};

use super::{Append, Result, RoomPage, Start, StoreError, keys};

/// What one request to a store may hold.
pub struct Limits;

impl Limits {
    /// Epochs and seqs stay below what JSON and JavaScript hold exactly.
    pub const INTEGER_BOUND: u64 = 1 << 53;
    /// Entries of one append. Twice what the authority batches.
    pub const BATCH_ENTRIES: usize = 1_024;
    /// Bytes of one append: what the writer may hold a few thousand times over.
    pub const BATCH_BYTES: usize = 2 * 1024 * 1024;
    /// Bytes of one entry: an op with its envelope, below one frame.
    pub const ENTRY_BYTES: usize = 64 * 1024;
    /// Bytes of a row in the directory: a message at its longest, and what surrounds it.
    pub const SUMMARY_BYTES: usize = 64 * 1024;
    /// Bytes of a stored snapshot. Active's memory budget, with room for what clients don't get.
    pub const SNAPSHOT_BYTES: usize = 16 * 1024 * 1024;
    /// Bytes of a lease's note: the users of one room on one node.
    pub const NOTE_BYTES: usize = 64 * 1024;
    /// Characters of a node's name.
    pub const NODE_BYTES: usize = 64;
    /// A lease that holds for longer is not a lease.
    pub const LEASE_TTL: Duration = Duration::from_secs(600);
    /// Entries of one page, so that a reader doesn't hold up others.
    pub const PAGE_ENTRIES: usize = 2_048;
    /// Bytes of one page; a single entry is always given.
    pub const PAGE_BYTES: usize = 4 * 1024 * 1024;
    /// Rows of one page of the directory.
    pub const PAGE_ROWS: usize = 1_000;
    /// Commands on readable keys of one append: several for each entry of a batch.
    pub const KEY_WRITES: usize = 8 * 1_024;
    /// Bytes that these commands carry: whole elements of a whiteboard may be written anew.
    pub const KEYS_BYTES: usize = 8 * 1024 * 1024;
    /// Bytes of a readable key's name: a room's id and a team's name, both at their longest, and what is between them.
    pub const KEY_BYTES: usize = 512;
    /// Rooms of one page of a worklist.
    pub const PAGE_ROOMS: usize = 1_000;
    /// Entries that one trim forgets, so that it doesn't hold up appends.
    pub const TRIM_ENTRIES: u64 = 4_096;
}

pub(super) fn invalid<T>(message: String) -> Result<T> {
    Err(StoreError::Invalid(message))
}

pub(super) fn at_most(what: &str, size: usize, limit: usize) -> Result<()> {
    if size > limit {
        invalid(format!("{what} of {size} bytes is above the limit of {limit}"))
    } else {
        Ok(())
    }
}

pub(super) fn epoch(epoch: u64) -> Result<()> {
    if (1..Limits::INTEGER_BOUND).contains(&epoch) {
        Ok(())
    } else {
        invalid(format!("the epoch {epoch} is not from 1 to 2^53 - 1"))
    }
}

pub(super) fn append(room: &RoomId, append: &Append) -> Result<()> {
    let Append { expected, batch, summary, amended: amended_rows, keys } = append;
    let expected = *expected;
    epoch(expected.epoch)?;
    if batch.is_empty() {
        return invalid("an empty batch can't be appended".into());
    }
    if batch.len() > Limits::BATCH_ENTRIES {
        return invalid(format!(
            "a batch of {} entries is above the limit of {}",
            batch.len(),
            Limits::BATCH_ENTRIES
        ));
    }
    if expected.seq >= Limits::INTEGER_BOUND - batch.len() as u64 {
        return invalid(format!("the seq {} is not below 2^53", expected.seq));
    }
    for entry in batch {
        if entry.is_empty() {
            return invalid("an entry can't be empty".into());
        }
        at_most("an entry", entry.len(), Limits::ENTRY_BYTES)?;
    }
    at_most("a batch", batch.iter().map(Bytes::len).sum(), Limits::BATCH_BYTES)?;
    at_most("a summary", summary.len(), Limits::SUMMARY_BYTES)?;
    amended(expected, batch.len(), amended_rows)?;
    keys::check(room, keys)
}

fn amended(expected: Position, batch: usize, amended: &[(u64, Bytes)]) -> Result<()> {
    if amended.len() > Limits::BATCH_ENTRIES {
        return invalid(format!(
            "{} amended entries are above the limit of {}",
            amended.len(),
            Limits::BATCH_ENTRIES
        ));
    }
    for (seq, message) in amended {
        if *seq == 0 || *seq > expected.seq + batch as u64 {
            return invalid(format!("the entry {seq} that is amended is not of the log"));
        }
        if message.is_empty() {
            return invalid("an amended entry can't be empty".into());
        }
        at_most("an amended entry", message.len(), Limits::ENTRY_BYTES)?;
    }
    at_most("amended entries", amended.iter().map(|(_, message)| message.len()).sum(), Limits::BATCH_BYTES)
}

pub(super) fn snapshot(position: Position, snapshot: &Bytes) -> Result<()> {
    epoch(position.epoch)?;
    if snapshot.is_empty() {
        return invalid("a snapshot can't be empty".into());
    }
    at_most("a snapshot", snapshot.len(), Limits::SNAPSHOT_BYTES)
}

pub(super) fn start(start: &Start) -> Result<()> {
    snapshot(start.at, &start.snapshot)?;
    if start.at.seq >= Limits::INTEGER_BOUND {
        return invalid(format!("the seq {} is not below 2^53", start.at.seq));
    }
    at_most("a summary", start.summary.len(), Limits::SUMMARY_BYTES)
}

/// The room after which a page of [`RoomStore::rooms`](super::RoomStore::rooms) begins, where its cursor is a room's id.
pub(super) fn room_cursor(cursor: Option<&Bytes>) -> Result<Option<RoomId>> {
    let Some(cursor) = cursor else { return Ok(None) };
    let room = std::str::from_utf8(cursor).ok().and_then(|id| RoomId::new(id).ok());
    room.map_or_else(|| invalid("the cursor is none of this store's".into()), |room| Ok(Some(room)))
}

/// The page of [`RoomStore::rooms`](super::RoomStore::rooms) that these make; they are the last where they are few.
pub(super) fn room_page(rooms: Vec<RoomId>) -> RoomPage {
    let next = rooms.last().filter(|_| rooms.len() >= Limits::PAGE_ROOMS);
    let next = next.map(|room| Bytes::copy_from_slice(room.as_str().as_bytes()));
    RoomPage { rooms, next }
}

/// Whether a follower's cursor goes to `position`, in a log that ends at `head`.
pub(super) fn is_cursor(stored: Option<Position>, position: Position, head: Position) -> bool {
    let is_in_log = position.epoch == head.epoch && position.seq <= head.seq;
    is_in_log && stored.is_none_or(|stored| stored.epoch != position.epoch || stored.seq <= position.seq)
}

pub(super) fn lease(node: &str, note: &Bytes, ttl: Duration) -> Result<()> {
    if node.is_empty() || node.len() > Limits::NODE_BYTES {
        return invalid(format!("a node's name has 1 to {} bytes", Limits::NODE_BYTES));
    }
    if ttl > Limits::LEASE_TTL {
        return invalid(format!("a lease holds for {} s at most", Limits::LEASE_TTL.as_secs()));
    }
    at_most("a lease's note", note.len(), Limits::NOTE_BYTES)
}

pub(super) fn rows(rooms: usize) -> Result<()> {
    if rooms > Limits::PAGE_ROWS {
        return invalid(format!("{rooms} rows were asked for at once; the limit is {}", Limits::PAGE_ROWS));
    }
    Ok(())
}

/// Gathers a page of entries up to its bounds. At least one entry is always taken, so that a reader gets on.
pub(super) struct PageBounds {
    entries: usize,
    bytes: usize,
    first: bool,
}

impl PageBounds {
    pub(super) fn new(entries: usize, bytes: usize) -> PageBounds {
        PageBounds {
            entries: entries.min(Limits::PAGE_ENTRIES),
            bytes: bytes.min(Limits::PAGE_BYTES),
            first: true,
        }
    }

    pub(super) fn full() -> PageBounds {
        PageBounds::new(Limits::PAGE_ENTRIES, Limits::PAGE_BYTES)
    }

    /// Whether an entry of this size still goes onto the page.
    pub(super) fn take(&mut self, size: usize) -> bool {
        if self.entries == 0 || (size > self.bytes && !self.first) {
            return false;
        }
        self.first = false;
        self.entries -= 1;
        self.bytes = self.bytes.saturating_sub(size);
        true
    }
}
