//! What the follower hands over, put into the archive: entries, what they have made of messages, and the documents of
//! their room and users. In this order, and the room's document last: its position says that all before it is here.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use enfilade_core::op::Body;
use enfilade_core::state::history as messages;
use enfilade_core::{Entry as LogEntry, Millis, Position, RoomId, v1};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};

use super::documents::{RoomDocument, Setting, integer};
use super::history::History;
use super::trim::{Keep, Trimmer};
use crate::follow::{Batch, Sink};
use crate::store::{Follower, Result, SharedStore, StoreError};

/// Rooms that are written at the same time.
const ROOMS_AT_ONCE: usize = 32;
/// Changes of messages that are written at the same time.
const CHANGES_AT_ONCE: usize = 8;
/// Who was seen is written this often at most, in milliseconds.
const SEEN_EVERY: u64 = 60_000;
/// Users of whom it is remembered when they were last written.
const SEEN: usize = 50_000;
/// Settings of one user that are kept in their document.
const SETTINGS: usize = 1_000;

/// The archive's end of a [follower](crate::follow).
pub struct ArchiveSink {
    past: Arc<History>,
    trimmer: Trimmer,
    pace: Duration,
    seen: Mutex<HashMap<String, Millis>>,
}

impl ArchiveSink {
    /// Writes to this archive what this store has, once in a while, and keeps so much of it in the store.
    pub fn new(store: SharedStore, past: Arc<History>, keep: Keep, pace: Duration) -> ArchiveSink {
        let trimmer = Trimmer::new(store, past.clone(), keep);
        ArchiveSink { past, trimmer, pace, seen: Mutex::default() }
    }

    /// The store keeps what these followers have not done yet, however old it is.
    pub fn waiting_for(mut self, others: &[Follower]) -> ArchiveSink {
        self.trimmer.wait_for(others);
        self
    }

    async fn put(&self, batch: &Batch) -> Result<()> {
        let (room, archive) = (&batch.room, self.past.archive());
        let known = archive.room(room).await?;
        let mut document = self.document(batch, known.as_ref()).await?;
        let new: Vec<LogEntry> =
            batch.entries.iter().filter(|entry| integer(entry.seq) > document.seq).cloned().collect();
        archive.put_entries(room, batch.epoch, &new).await?;
        self.put_amended(batch, &new).await?;
        new.iter().for_each(|entry| document.apply(entry));
        let expected = known.as_ref().map(RoomDocument::position);
        if expected != Some(document.position()) && !archive.put_room(expected, &document).await? {
            return Err(StoreError::Invalid(format!("another node has just archived room {room}")));
        }
        self.put_users(batch, &new).await
    }

    /// What is known of the room, at the place in the batch's log from which on there is something new.
    async fn document(&self, batch: &Batch, known: Option<&RoomDocument>) -> Result<RoomDocument> {
        let room = &batch.room;
        let before = batch.entries.first().map_or(0, |entry| entry.seq - 1);
        let Some(known) = known else {
            if before > 0 {
                self.report_gap(room, 0, before);
            }
            return Ok(RoomDocument { seq: integer(before), ..RoomDocument::new(room, batch.epoch) });
        };
        let at = known.position();
        if at.epoch == batch.epoch {
            if before > at.seq {
                self.report_gap(room, at.seq, before);
            }
            return Ok(RoomDocument { seq: integer(at.seq.max(before)), ..known.clone() });
        }
        if self.past.descends(room, at.epoch, batch.epoch).await? {
            return Err(StoreError::Invalid(format!("the log {} of room {room} has ended", batch.epoch)));
        }
        if before == 0 {
            // Begun with nothing: all is new.
            return Ok(RoomDocument::new(room, batch.epoch));
        }
        if before > at.seq {
            self.report_gap(room, at.seq, before);
        }
        // The same entries under a new epoch, or a log that went on where the archive ended.
        let origin = Position { seq: before.min(at.seq), ..at };
        self.past.archive().put_origin(room, batch.epoch, origin).await?;
        Ok(RoomDocument { epoch: integer(batch.epoch), seq: integer(before), ..known.clone() })
    }

    fn report_gap(&self, room: &RoomId, known: u64, before: u64) {
        metrics::counter!("enfilade_archive_missing_entries_total").increment(before - known);
        tracing::error!(
            %room,
            "the store no longer has the entries {} to {before}, which were never archived; they are lost",
            known + 1
        );
    }

    /// What the entries make of messages, those of the archive among them.
    async fn put_amended(&self, batch: &Batch, new: &[LogEntry]) -> Result<()> {
        let room = &batch.room;
        let mut changed: BTreeMap<u64, Option<(Position, v1::Message)>> = BTreeMap::new();
        for entry in new {
            let Some(seq) = messages::target(entry) else { continue };
            if let Entry::Vacant(unknown) = changed.entry(seq) {
                let at = Position { epoch: batch.epoch, seq };
                unknown.insert(self.past.message(room, at).await?);
            }
            if let Some(Some((_, message))) = changed.get_mut(&seq) {
                messages::amend(message, entry);
            }
        }
        let put = |(at, message): (Position, v1::Message)| async move {
            self.past.archive().put_amended(room, at, &message).await
        };
        let changed = changed.into_values().flatten().filter(|(_, message)| message.changed_seq > 0);
        stream::iter(changed.map(put)).buffer_unordered(CHANGES_AT_ONCE).try_collect::<Vec<()>>().await?;
        Ok(())
    }

    async fn put_users(&self, batch: &Batch, new: &[LogEntry]) -> Result<()> {
        let mut authors: BTreeMap<&str, &LogEntry> = BTreeMap::new();
        for entry in new.iter().filter(|entry| !entry.author.is_empty()) {
            authors.insert(&entry.author, entry);
        }
        let is_due = |author: &str, at: Millis| {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.get(author).is_none_or(|last| at.since(*last) >= SEEN_EVERY)
        };
        for (author, entry) in authors {
            if is_due(author, entry.at) {
                self.past.archive().see_user(author, &entry.author_name, entry.at).await?;
                let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                if seen.len() >= SEEN {
                    seen.clear();
                }
                seen.insert(author.to_owned(), entry.at);
            }
        }
        match batch.room.inbox_owner() {
            Some(user) => self.put_settings(user, new).await,
            None => Ok(()),
        }
    }

    /// What an inbox says of its owner.
    async fn put_settings(&self, user: &str, new: &[LogEntry]) -> Result<()> {
        let says = |entry: &&LogEntry| matches!(entry.body, Some(Body::SetStatus(_) | Body::PutElements(_)));
        if !new.iter().any(|entry| says(&entry)) {
            return Ok(());
        }
        let archive = self.past.archive();
        let known = archive.user(user).await?;
        let (mut status, settings) = known.map(|user| (user.status, user.settings)).unwrap_or_default();
        let mut settings: BTreeMap<String, Setting> =
            settings.into_iter().map(|setting| (setting.key.clone(), setting)).collect();
        for entry in new {
            match &entry.body {
                Some(Body::SetStatus(set)) => status = status_text(set),
                Some(Body::PutElements(put)) => {
                    put.elements.iter().for_each(|element| set(&mut settings, element));
                }
                _ => {}
            }
        }
        let settings: Vec<Setting> = settings.into_values().collect();
        archive.set_user(user, &status, &settings).await?;
        tracing::debug!(user, "synced a user");
        Ok(())
    }
}

fn set(settings: &mut BTreeMap<String, Setting>, element: &v1::ElementChange) {
    let version = integer(element.version);
    let is_newer = settings.get(&element.key).is_none_or(|known| known.version <= version);
    if element.deleted && is_newer {
        settings.remove(&element.key);
    } else if is_newer && (settings.len() < SETTINGS || settings.contains_key(&element.key)) {
        let value = match std::str::from_utf8(&element.value) {
            Ok(text) => text.to_owned(),
            Err(_) => element.value.iter().map(|byte| format!("{byte:02x}")).collect(),
        };
        settings.insert(element.key.clone(), Setting { key: element.key.clone(), value, version });
    }
}

fn status_text(set: &v1::SetStatus) -> String {
    let availability = match set.availability() {
        v1::Availability::Online => "online",
        v1::Availability::Away => "away",
        v1::Availability::Busy => "busy",
        v1::Availability::Invisible => "invisible",
    };
    match set.text.as_str() {
        "" => availability.into(),
        text => format!("{availability}: {text}"),
    }
}

impl Sink for ArchiveSink {
    fn follower(&self) -> Follower {
        Follower::Archive
    }

    fn pace(&self) -> Duration {
        self.pace
    }

    fn take<'a>(&'a self, batches: &'a [Batch]) -> BoxFuture<'a, Vec<Result<()>>> {
        let puts = batches.iter().map(|batch| self.put(batch));
        // One after the other they are answered in order.
        stream::iter(puts.collect::<Vec<_>>()).buffered(ROOMS_AT_ONCE).collect().boxed()
    }

    fn advanced<'a>(&'a self, batch: &'a Batch) -> BoxFuture<'a, ()> {
        self.trimmer.advanced(batch).boxed()
    }
}
