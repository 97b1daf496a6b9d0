//! What goes out in one transaction, read from the logs.

use std::collections::HashMap;
use std::sync::Arc;

use enfilade_core::{Position, RoomId};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};

use super::{Publisher, Shard};
use crate::events::Record;
use crate::store::{Follower, Limits, Page, StoreError};

/// Rooms that are read at the same time.
const READS: usize = 32;
/// Cursors that a shard holds in memory; they are read again when they were forgotten.
const CURSORS: usize = 100_000;

/// How far rooms of a shard are published, as far as its owner knows.
#[derive(Default)]
pub(super) struct Known {
    /// What is published of each room, from the tail or by this owner.
    published: HashMap<RoomId, Position>,
    /// The store's cursors.
    cursors: HashMap<RoomId, Option<Position>>,
    /// Entries of each room that wait.
    pub(super) waiting: HashMap<RoomId, u64>,
}

impl Known {
    pub(super) fn new(tail: HashMap<RoomId, Position>) -> Known {
        Known { published: tail, ..Known::default() }
    }

    pub(super) fn waiting(&self) -> u64 {
        self.waiting.values().sum()
    }

    fn keep(&mut self, room: &RoomId, cursor: Option<Position>) {
        if self.cursors.len() >= CURSORS {
            self.cursors.clear();
        }
        self.cursors.insert(room.clone(), cursor);
    }
}

/// Records of one transaction, and how far it brings each room.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) records: Vec<Record>,
    pub(super) bytes: usize,
    pub(super) rooms: HashMap<RoomId, Reached>,
}

/// How far a room is once the batch is published.
#[derive(Clone, Copy)]
pub(super) struct Reached {
    pub(super) cursor: Position,
    /// Whether the cursor is not noted yet.
    pub(super) is_new: bool,
    /// Whether the log ended there.
    pub(super) is_head: bool,
}

/// A stretch of a room's log right after the cursor.
struct Stretch {
    from: Position,
    page: Page,
}

impl Publisher {
    /// Reads what the shard's rooms have to publish, up to the bounds of a transaction.
    ///
    /// # Errors
    /// The store does not answer; the rooms are marked anew.
    pub(super) async fn gather(&self, shard: &Shard, known: &mut Known) -> Result<Batch, StoreError> {
        let mut batch = Batch::default();
        loop {
            let left = self.options.batch_records.saturating_sub(batch.records.len());
            if left == 0 || batch.bytes >= self.options.batch_bytes {
                return Ok(batch);
            }
            let rooms = shard.pop(READS.min(left));
            if rooms.is_empty() {
                return Ok(batch);
            }
            let limit = left / rooms.len();
            let bytes = (self.options.batch_bytes - batch.bytes) / rooms.len();
            let cursors: Vec<Option<Option<Position>>> = rooms
                .iter()
                .map(|room| {
                    let reached = batch.rooms.get(room).map(|reached| Some(reached.cursor));
                    reached.or_else(|| known.cursors.get(room).copied())
                })
                .collect();
            let asked = rooms.iter().zip(cursors).collect();
            let read = self.read_all(asked, limit, bytes).await;
            let mut failed = None;
            for (room, read) in rooms.into_iter().zip(read) {
                match read {
                    Ok((cursor, stretch)) => {
                        let more = batch.take(&room, cursor, stretch, known);
                        if more {
                            shard.mark(room);
                        }
                    }
                    Err(error) => {
                        shard.mark(room);
                        failed = Some(error);
                    }
                }
            }
            if let Some(error) = failed {
                batch.rooms.into_keys().for_each(|room| shard.mark(room));
                return Err(error);
            }
        }
    }

    /// What each room has after its cursor, in the order of the rooms.
    async fn read_all(
        &self,
        rooms: Vec<(&RoomId, Option<Option<Position>>)>,
        limit: usize,
        bytes: usize,
    ) -> Vec<Result<(Option<Position>, Stretch), StoreError>> {
        let reads: Vec<BoxFuture<'_, _>> =
            rooms.into_iter().map(|(room, cursor)| self.read(room, cursor, limit, bytes).boxed()).collect();
        stream::iter(reads).buffered(READS).collect().await
    }

    /// The entries after the room's cursor. Of a log that was started anew, from its beginning.
    async fn read(
        &self,
        room: &RoomId,
        cursor: Option<Option<Position>>,
        limit: usize,
        bytes: usize,
    ) -> Result<(Option<Position>, Stretch), StoreError> {
        let cursor = match cursor {
            Some(cursor) => cursor,
            None => self.store.cursor(room, Follower::Events).await?,
        };
        let limit = limit.min(Limits::PAGE_ENTRIES);
        let from = cursor.unwrap_or_default().next();
        let page = self.store.read(room, from, limit, bytes).await?;
        if page.head.epoch == from.epoch {
            return Ok((cursor, Stretch { from, page }));
        }
        let from = Position { epoch: page.head.epoch, seq: 1 };
        let page = self.store.read(room, from, limit, bytes).await?;
        Ok((cursor, Stretch { from, page }))
    }

    /// Looks how much waits in the rooms that are marked, while nothing goes out.
    pub(super) async fn measure(&self, shard: &Shard, known: &mut Known) {
        let rooms = shard.pop(MEASURED);
        let asked = rooms.iter().map(|room| (room, known.cursors.get(room).copied())).collect();
        let read = self.read_all(asked, 1, 1).await;
        for (room, read) in rooms.into_iter().zip(read) {
            if let Ok((cursor, Stretch { from, page })) = read {
                known.keep(&room, cursor);
                let waiting = (page.head.seq + 1).saturating_sub(from.seq);
                known.waiting.insert(room.clone(), waiting);
            }
            shard.mark(room);
        }
    }
}

/// Rooms that are looked at in one step while nothing goes out.
const MEASURED: usize = 1_000;

impl Batch {
    /// Takes what was read of a room. Whether there is more.
    fn take(
        &mut self,
        room: &RoomId,
        cursor: Option<Position>,
        Stretch { from, page }: Stretch,
        known: &mut Known,
    ) -> bool {
        if page.head.epoch == 0 {
            // Nobody has written to it yet, or it is gone.
            known.waiting.remove(room);
            return false;
        }
        let mut last = Position { epoch: page.head.epoch, seq: from.seq - 1 };
        if let Some((first, _)) = page.entries.first().filter(|(first, _)| *first > from.seq) {
            let missing = first - from.seq;
            metrics::counter!("enfilade_events_missing_total").increment(missing);
            tracing::error!(%room, from = from.seq, missing, "entries were trimmed before they were published");
        }
        for (seq, entry) in &page.entries {
            last.seq = *seq;
            let is_published =
                known.published.get(room).is_some_and(|at| at.epoch == last.epoch && *seq <= at.seq);
            if is_published {
                metrics::counter!("enfilade_events_skipped_total").increment(1);
                continue;
            }
            match Record::of(room, last.epoch, entry) {
                Some(record) => {
                    self.bytes += record.bytes();
                    self.records.push(record);
                }
                None => {
                    metrics::counter!("enfilade_events_missing_total").increment(1);
                    tracing::error!(%room, seq, "a damaged entry can't be published");
                }
            }
        }
        let is_head = last.seq >= page.head.seq;
        if is_head {
            known.waiting.remove(room);
        } else {
            known.waiting.insert(room.clone(), page.head.seq - last.seq);
        }
        known.keep(room, cursor);
        let is_new = cursor != Some(last) && last.seq > 0;
        let was_new = self.rooms.get(room).is_some_and(|reached| reached.is_new);
        self.rooms.insert(room.clone(), Reached { cursor: last, is_new: is_new || was_new, is_head });
        !is_head
    }

    /// Everything is published: what the owner knows is further.
    pub(super) fn is_published(&self, known: &mut Known) {
        for (room, reached) in &self.rooms {
            let is_past = |at: &Position| at.epoch != reached.cursor.epoch || at.seq <= reached.cursor.seq;
            if known.published.get(room).is_some_and(is_past) {
                known.published.remove(room);
            }
            known.cursors.insert(room.clone(), Some(reached.cursor));
        }
    }

    /// The records, to be published.
    pub(super) fn records(&mut self) -> Arc<[Record]> {
        std::mem::take(&mut self.records).into()
    }
}
