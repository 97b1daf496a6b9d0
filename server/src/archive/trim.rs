//! What the store may forget, because the archive has it.
//!
//! ```text
//!   1 ............ before ................................ cursor ........ head
//!     archived,          archived, and kept in the store     to be archived
//!     forgotten          for those who come back
//! ```

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use enfilade_core::{Entry, Millis, Position, RoomId, limits, v1};
use prost::Message as _;

use super::history::History;
use crate::auth::now;
use crate::follow::Batch;
use crate::store::{Follower, Limits, Result, SharedStore};

/// Entries that are looked at together when their bytes are counted.
const COUNTED: u64 = 256;
/// Rooms of which it is remembered when they were last trimmed.
const REMEMBERED: usize = 50_000;

/// How much of what is archived stays in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// So many entries at least...
    pub entries: u64,
    /// ...and those that are younger than this...
    pub age: Duration,
    /// ...but not more than so many bytes.
    pub bytes: u64,
}

impl Default for Keep {
    fn default() -> Keep {
        Keep { entries: 1_000, age: Duration::from_secs(300), bytes: 16 * 1024 * 1024 }
    }
}

pub(super) struct Trimmer {
    store: SharedStore,
    past: Arc<History>,
    keep: Keep,
    /// Who has to be done with an entry too, before it is forgotten.
    others: Vec<Follower>,
    /// Where each room was when it was last seen to.
    seen_to: Mutex<HashMap<RoomId, Position>>,
}

impl Trimmer {
    pub(super) fn new(store: SharedStore, past: Arc<History>, keep: Keep) -> Trimmer {
        Trimmer { store, past, keep, others: Vec::new(), seen_to: Mutex::default() }
    }

    /// Nothing is forgotten that these followers have not done.
    pub(super) fn wait_for(&mut self, others: &[Follower]) {
        self.others = others.to_vec();
    }

    /// The first entry that some other follower has not done.
    async fn first_undone(&self, room: &RoomId, archived: Position) -> Result<u64> {
        let mut first = archived.seq + 1;
        for other in &self.others {
            let cursor = self.store.cursor(room, *other).await?;
            let done = cursor.filter(|cursor| cursor.epoch == archived.epoch).map_or(0, |cursor| cursor.seq);
            first = first.min(done + 1);
        }
        Ok(first)
    }

    /// The archive has all up to the batch's end. What fails here is done with a later batch.
    pub(super) async fn advanced(&self, batch: &Batch) {
        let at = batch.last();
        if !self.is_due(&batch.room, at) {
            return;
        }
        if let Err(error) = self.see_to(&batch.room, at, batch.head).await {
            tracing::warn!(room = %batch.room, %error, "the store was not trimmed; it will be later");
        }
    }

    /// Once in so many entries as a snapshot covers: without a new one nothing can be forgotten.
    fn is_due(&self, room: &RoomId, at: Position) -> bool {
        let mut seen_to = self.seen_to.lock().unwrap_or_else(PoisonError::into_inner);
        if seen_to.len() >= REMEMBERED {
            seen_to.clear();
        }
        let step = limits::SNAPSHOT_EVERY;
        match seen_to.get(room) {
            Some(last) if last.epoch == at.epoch && at.seq < last.seq + step => false,
            // A young log has nothing to forget.
            None if at.seq < step => false,
            Some(_) | None => {
                seen_to.insert(room.clone(), at);
                true
            }
        }
    }

    async fn see_to(&self, room: &RoomId, archived: Position, head: Position) -> Result<()> {
        if let Some(ahead) = self.copy_snapshot(room, archived).await? {
            // The room has run ahead. Its snapshot is copied when the archive has come as far.
            let seq = ahead.saturating_sub(limits::SNAPSHOT_EVERY);
            let mut seen_to = self.seen_to.lock().unwrap_or_else(PoisonError::into_inner);
            seen_to.insert(room.clone(), Position { seq, ..archived });
        }
        let before = self.first_to_keep(room, archived, head).await?;
        let before = Position { seq: before.min(self.first_undone(room, archived).await?), ..archived };
        if before.seq <= 1 {
            return Ok(());
        }
        let mut oldest = 0;
        // The store forgets a part at a time; it stops before what its snapshot does not cover.
        loop {
            let left = self.store.trim(room, before).await?;
            if left <= oldest || left >= before.seq {
                break;
            }
            oldest = left;
        }
        self.forget_amended(room, archived).await
    }

    /// The archive keeps a snapshot too, by which the room comes back without folding all of its log. Returns where the
    /// store's is, if it is ahead of what is archived.
    async fn copy_snapshot(&self, room: &RoomId, archived: Position) -> Result<Option<u64>> {
        let loaded = self.store.load(room).await?;
        let Some((at, snapshot)) = loaded.and_then(|loaded| loaded.snapshot) else { return Ok(None) };
        if at.seq > archived.seq {
            return Ok(Some(at.seq));
        }
        let at = Position { epoch: archived.epoch, ..at };
        self.past.archive().put_snapshot(room, at, snapshot).await?;
        Ok(None)
    }

    /// The oldest entry that stays in the store.
    async fn first_to_keep(&self, room: &RoomId, archived: Position, head: Position) -> Result<u64> {
        let mut first = (head.seq + 1).saturating_sub(self.keep.entries).max(1);
        if self.keep.age > Duration::ZERO {
            first = self.first_younger(room, Position { seq: first, ..archived }).await?;
        }
        // Backwards from the end, until there are too many bytes.
        let mut bytes = 0;
        let mut end = head.seq + 1;
        while end > first {
            let from = end.saturating_sub(COUNTED).max(first);
            let at = Position { seq: from, ..archived };
            let page = self.store.read(room, at, (end - from) as usize, Limits::PAGE_BYTES).await?;
            for (seq, entry) in page.entries.iter().rev() {
                bytes += entry.len() as u64;
                if bytes > self.keep.bytes {
                    return Ok(seq + 1);
                }
            }
            end = from;
        }
        Ok(first)
    }

    /// The first entry that is younger than what is kept, or `last` where that comes before it: stamps never run
    /// backwards, so that half of what is left is ruled out at a time.
    async fn first_younger(&self, room: &RoomId, last: Position) -> Result<u64> {
        let since = Millis(now().0.saturating_sub(self.keep.age.as_millis() as u64));
        let oldest = self.store.read(room, Position { seq: 1, ..last }, 1, 1).await?;
        let Some((mut low, _)) = oldest.entries.first().cloned() else { return Ok(last.seq) };
        let mut high = last.seq.max(low);
        while low < high {
            let middle = low + (high - low) / 2;
            let page = self.store.read(room, Position { seq: middle, ..last }, 1, 1).await?;
            let entry = page.entries.first().and_then(|(_, bytes)| Entry::decode(bytes).ok());
            match entry {
                Some(entry) if entry.at < since => low = middle + 1,
                Some(_) => high = middle,
                None => return Ok(low),
            }
        }
        Ok(low)
    }

    /// What has become of entries that the store has forgotten is in the archive too, unless it happened just now.
    async fn forget_amended(&self, room: &RoomId, archived: Position) -> Result<()> {
        let oldest = self.store.read(room, Position { seq: 1, ..archived }, 1, 1).await?;
        let before = oldest.entries.first().map_or(archived.seq + 1, |(seq, _)| *seq);
        let from = Position { seq: 1, ..archived };
        let mut rows = self.store.amended(room, from, before).await?;
        let is_archived = |message: v1::Message| message.changed_seq <= archived.seq;
        rows.retain(|(_, bytes)| v1::Message::decode(bytes.clone()).is_ok_and(is_archived));
        if rows.is_empty() {
            return Ok(());
        }
        self.store.forget_amended(room, archived.epoch, rows).await
    }
}

#[cfg(test)]
mod tests;
