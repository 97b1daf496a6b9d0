//! The past of a room, read across the logs that it had one after the other.
//!
//! ```text
//!  log of epoch 7          1 ──────────── 800 (then the store was emptied)
//!  log of epoch 9                          801 ──────────── 1900          origin: (7, 800)
//!  log of epoch 4                                            1901 ──▶     origin: (9, 1900)
//! ```
//!
//! Numbers go on, so that an entry is found by its seq alone once it is known in which log it lies.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use enfilade_core::authority::Stretch;
use enfilade_core::state::history;
use enfilade_core::{Entry, OpId, Position, RoomId, v1};
use prost::Message as _;

use super::bound::Bound;
use super::{PAGE_ROOMS, Page, SharedArchive};
use crate::rooms::Directory;
use crate::store::{Follower, Limits, Result, RoomStore, StoreError};

/// Logs of one room that are known: an emptied store is rare, and ends the oldest of them.
const LOGS: usize = 64;
/// Rooms whose logs are remembered.
const REMEMBERED: usize = 10_000;

/// Reads the archived past of rooms. Shared by all.
pub struct History {
    archive: SharedArchive,
    /// By room and newest epoch; what is noted of an epoch never changes.
    logs: Mutex<HashMap<(RoomId, u64), Logs>>,
    bound: Bound,
}

/// The logs of a room, newest first.
type Logs = Arc<[Log]>;

/// The entries after `after` up to `until` lie in the log of this epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Log {
    epoch: u64,
    after: u64,
    until: u64,
}

impl History {
    /// The past, as this archive has it; so many entries of one room may wait for it.
    pub fn new(archive: SharedArchive, waiting: u64) -> History {
        History { archive, logs: Mutex::default(), bound: Bound::new(waiting) }
    }

    /// Whether a room whose log ends at `head` takes more.
    ///
    /// # Errors
    /// `Full` when too much of it waits for the archive; those of the store.
    pub async fn admits(&self, store: &dyn RoomStore, room: &RoomId, head: Position) -> Result<()> {
        self.bound.admits(store, room, head).await
    }

    /// Puts the rooms of the archive into a room list that knows none, because the store has lost them. Returns how many.
    ///
    /// # Errors
    /// Those of the archive.
    pub async fn list(&self, directory: &Directory) -> Result<usize> {
        let mut count = 0;
        let mut after = None;
        loop {
            let page = self.archive.rooms(after.as_ref(), PAGE_ROOMS).await?;
            for document in page.iter().filter(|document| document.room_type == "room") {
                directory.update(document.summary());
                count += 1;
            }
            match page.last().filter(|_| page.len() == PAGE_ROOMS) {
                Some(last) => after = RoomId::new(&last.room_id).ok(),
                None => return Ok(count),
            }
            if after.is_none() {
                return Ok(count);
            }
        }
    }

    /// The archive itself.
    pub fn archive(&self) -> &SharedArchive {
        &self.archive
    }

    /// The logs that led to the one of this epoch, newest first.
    async fn logs(&self, room: &RoomId, epoch: u64) -> Result<Logs> {
        let key = (room.clone(), epoch);
        if let Some(known) = self.logs.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(known.clone());
        }
        let mut logs = vec![Log { epoch, after: 0, until: u64::MAX }];
        let mut origin = self.archive.origin(room, epoch).await?;
        let mut is_final = true;
        if origin.is_none() {
            // A log of which nothing is archived yet; what is archived of the room came before it.
            let known = self.archive.room(room).await?.map(|document| document.position());
            is_final = known.is_some_and(|known| known.epoch == epoch);
            origin = known.filter(|known| known.epoch != epoch);
        }
        while logs.len() < LOGS
            && let Some(from) = origin
        {
            if let Some(log) = logs.last_mut() {
                log.after = from.seq.min(log.until);
            }
            logs.push(Log { epoch: from.epoch, after: 0, until: from.seq });
            origin = self.archive.origin(room, from.epoch).await?;
        }
        let logs: Logs = logs.into();
        if !is_final {
            return Ok(logs);
        }
        let mut known = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(key, logs.clone());
        Ok(logs)
    }

    /// Whether the log of `epoch` goes on, itself or by others, where the log of `older` ended.
    pub(super) async fn descends(&self, room: &RoomId, epoch: u64, older: u64) -> Result<bool> {
        Ok(self.logs(room, epoch).await?.iter().skip(1).any(|log| log.epoch == older))
    }

    /// Whether a position lies in the past of the log of this epoch, or in itself.
    pub(super) async fn is_of(&self, room: &RoomId, epoch: u64, at: Position) -> Result<bool> {
        Ok(self.logs(room, epoch).await?.iter().any(|log| log.epoch == at.epoch && at.seq <= log.until))
    }

    /// In which log an entry lies, of a room whose log is the one of this epoch now.
    async fn locate(&self, room: &RoomId, at: Position) -> Result<Option<Position>> {
        let logs = self.logs(room, at.epoch).await?;
        let log = logs.iter().find(|log| (log.after + 1..=log.until).contains(&at.seq));
        Ok(log.map(|log| Position { epoch: log.epoch, seq: at.seq }))
    }

    /// Entries from `from` to before `before_seq`, ascending, of a room whose log is the one of `from`'s epoch now. May
    /// end before that: it ends at the page's bounds.
    pub async fn entries(&self, room: &RoomId, from: Position, before_seq: u64) -> Result<Page> {
        let mut page = Page::default();
        let mut bytes = 0;
        for log in self.logs(room, from.epoch).await?.iter().rev() {
            let mut next = from.seq.max(log.after + 1);
            let before = before_seq.min(log.until.saturating_add(1));
            while next < before {
                let room_left = Limits::PAGE_ENTRIES.saturating_sub(page.entries.len());
                if room_left == 0 || bytes >= Limits::PAGE_BYTES {
                    return Ok(page);
                }
                let at = Position { epoch: log.epoch, seq: next };
                let part = self.archive.entries(room, at, before, room_left).await?;
                bytes += part.entries.iter().map(|(_, entry)| entry.len()).sum::<usize>();
                page.amended.extend(part.amended);
                page.damaged.extend(part.damaged);
                match part.entries.last() {
                    Some((last, _)) => next = last + 1,
                    None => break,
                }
                page.entries.extend(part.entries);
            }
        }
        Ok(page)
    }

    /// Where an operation of this user lies in the room whose log is the one of this epoch now, as far as it is archived.
    ///
    /// # Errors
    /// Those of the archive.
    pub async fn find(&self, room: &RoomId, epoch: u64, user: &str, op_id: OpId) -> Result<Option<u64>> {
        for found in self.archive.find(room, op_id).await? {
            if self.locate(room, Position { epoch, ..found }).await? != Some(found) {
                continue;
            }
            let page = self.archive.entries(room, found, found.seq + 1, 1).await?;
            if let Some(damaged) = page.damaged.into_iter().next() {
                return Err(StoreError::Damaged(damaged));
            }
            if page.entries.iter().any(|(_, bytes)| is_of(bytes, user, op_id)) {
                return Ok(Some(found.seq));
            }
        }
        Ok(None)
    }

    /// The message at a position as the archive knows it, and in which log it lies; `None` where there is none.
    pub(super) async fn message(
        &self,
        room: &RoomId,
        at: Position,
    ) -> Result<Option<(Position, v1::Message)>> {
        let Some(at) = self.locate(room, at).await? else { return Ok(None) };
        let page = self.archive.entries(room, at, at.seq + 1, 1).await?;
        if let Some(damaged) = page.damaged.into_iter().next() {
            return Err(StoreError::Damaged(damaged));
        }
        if let Some((_, bytes)) = page.amended.first() {
            let message = v1::Message::decode(bytes.clone());
            let damaged =
                |_| StoreError::Damaged(format!("what became of the message {} can't be read", at.seq));
            return Ok(Some((at, message.map_err(damaged)?)));
        }
        let entry = page.entries.first().and_then(|(_, bytes)| Entry::decode(bytes).ok());
        Ok(entry.and_then(|entry| history::posted(&entry)).map(|message| (at, message)))
    }
}

/// Entries from `from` to before `before_seq` with what has become of them: from the store what it still has, and the
/// rest from the archive. The reader sees no border.
///
/// # Errors
/// Those of the store and of the archive. Entries that somebody has changed in the archive are left out of a page and
/// told to the log; where one entry alone was asked for, they are an error.
pub async fn stretch(
    store: &dyn RoomStore,
    past: Option<&History>,
    room: &RoomId,
    from: Position,
    before_seq: u64,
) -> Result<Stretch> {
    // In this order nothing is missed that moves from the store to the archive meanwhile, and what is amended meanwhile
    // says so itself.
    let mut amended = store.amended(room, from, before_seq).await?;
    let limit = before_seq.saturating_sub(from.seq) as usize;
    let page = store.read(room, from, limit, Limits::PAGE_BYTES).await?;
    let mut entries = page.entries;
    let border = entries.first().map_or(before_seq, |(seq, _)| *seq).min(before_seq);
    if let Some(past) = past
        && from.seq < border
    {
        let mut older = past.entries(room, from, border).await?;
        if !older.damaged.is_empty() {
            report(room, &older.damaged);
            if limit == 1 {
                return Err(StoreError::Damaged(older.damaged.remove(0)));
            }
        }
        older.entries.append(&mut entries);
        entries = older.entries;
        newest(&mut amended, older.amended);
    }
    let bytes = |(_, bytes): (u64, Bytes)| Vec::from(bytes);
    Ok(Stretch {
        entries: entries.into_iter().map(bytes).collect(),
        amended: amended.into_iter().map(bytes).collect(),
    })
}

/// Where an operation of this user is in a room's log, however long ago: in the archive, or in what waits for it.
///
/// # Errors
/// Those of the store and of the archive.
pub async fn find(
    store: &dyn RoomStore,
    past: Option<&History>,
    room: &RoomId,
    head: Position,
    user: &str,
    op_id: OpId,
) -> Result<Option<u64>> {
    // Without an archive nothing is ever forgotten, and nobody has kept the ids: the whole log would have to be read.
    let Some(past) = past else { return Ok(None) };
    let cursor = store.cursor(room, Follower::Archive).await?.filter(|cursor| cursor.epoch == head.epoch);
    let mut next = Position { seq: cursor.map_or(1, |cursor| cursor.seq + 1), ..head };
    while next.seq <= head.seq {
        let page = store.read(room, next, Limits::PAGE_ENTRIES, Limits::PAGE_BYTES).await?;
        if let Some((seq, _)) = page.entries.iter().find(|(_, bytes)| is_of(bytes, user, op_id)) {
            return Ok(Some(*seq));
        }
        let Some((last, _)) = page.entries.last() else { break };
        next.seq = last + 1;
    }
    past.find(room, head.epoch, user, op_id).await
}

fn is_of(bytes: &Bytes, user: &str, op_id: OpId) -> bool {
    Entry::decode(bytes).is_ok_and(|entry| entry.op_id == op_id && entry.author == user)
}

/// Of what both have noted of a message, what was changed last stays.
fn newest(amended: &mut Vec<(u64, Bytes)>, others: Vec<(u64, Bytes)>) {
    let changed = |bytes: &Bytes| v1::Message::decode(bytes.clone()).map_or(0, |message| message.changed_seq);
    for (seq, other) in others {
        match amended.iter_mut().find(|(known, _)| *known == seq) {
            Some((_, known)) if changed(known) >= changed(&other) => {}
            Some((_, known)) => *known = other,
            None => amended.push((seq, other)),
        }
    }
}

/// Tells operators what they or others have done to the archive.
pub(super) fn report(room: &RoomId, damaged: &[String]) {
    metrics::counter!("enfilade_archive_damaged_total").increment(damaged.len() as u64);
    for damaged in damaged {
        tracing::error!(%room, "{damaged}");
    }
}
