//! How much of a room may wait for the archive. What waits can't be forgotten, so that a store whose archive is away for
//! long would grow without end: beyond the bound the room takes no more, and says so, until the archive has caught up.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use enfilade_core::{Position, RoomId};

use crate::store::{Follower, Result, RoomStore, StoreError};

/// Rooms of which it is remembered when to look again; beyond, it is looked at more often.
const REMEMBERED: usize = 10_000;

pub(super) struct Bound {
    /// Entries of one room.
    limit: u64,
    /// Up to which place a room need not be looked at again.
    admitted: Mutex<HashMap<RoomId, Position>>,
}

impl Bound {
    pub(super) fn new(limit: u64) -> Bound {
        Bound { limit, admitted: Mutex::default() }
    }

    /// Whether a room whose log ends at `head` takes more.
    pub(super) async fn admits(&self, store: &dyn RoomStore, room: &RoomId, head: Position) -> Result<()> {
        if head.seq < self.limit || self.is_admitted(room, head) {
            return Ok(());
        }
        let waiting = head.seq - self.done(store, room, head).await?.min(head.seq);
        if waiting >= self.limit {
            metrics::counter!("enfilade_archive_refused_total").increment(1);
            return Err(StoreError::Full(format!(
                "{waiting} entries wait for the archive, which is the bound (archive.waiting_entries); they are kept, and \
                 more are taken when the archive answers again"
            )));
        }
        let mut admitted = self.admitted.lock().unwrap_or_else(PoisonError::into_inner);
        if admitted.len() >= REMEMBERED {
            admitted.clear();
        }
        // Halfway to the bound is soon enough.
        let seq = head.seq + (self.limit - waiting) / 2;
        admitted.insert(room.clone(), Position { seq, ..head });
        Ok(())
    }

    fn is_admitted(&self, room: &RoomId, head: Position) -> bool {
        let admitted = self.admitted.lock().unwrap_or_else(PoisonError::into_inner);
        admitted.get(room).is_some_and(|up_to| up_to.epoch == head.epoch && head.seq < up_to.seq)
    }

    /// The last entry that need not wait.
    async fn done(&self, store: &dyn RoomStore, room: &RoomId, head: Position) -> Result<u64> {
        let cursor = store.cursor(room, Follower::Archive).await?;
        if let Some(cursor) = cursor.filter(|cursor| cursor.epoch == head.epoch) {
            return Ok(cursor.seq);
        }
        let oldest = store.read(room, Position { seq: 1, ..head }, 1, 1).await?;
        Ok(oldest.entries.first().map_or(head.seq, |(seq, _)| seq - 1))
    }
}
