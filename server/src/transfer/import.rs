//! Out of a file into a store.

use std::collections::BTreeSet;
use std::path::Path;

use bytes::Bytes;
use enfilade_core::{Digest, Entry, Position, RoomId, v1};
use prost::Message as _;

use super::file::{Amended, Entries, Reader, Record, Room};
use super::{Moved, Place, Progress, Result, TransferError};
use crate::readable;
use crate::store::{Append, Appended, Follower, Limits, Start, StoreError};

/// Names of rooms that a message lists before it only counts them.
const NAMED: usize = 5;

/// How rooms are imported.
#[derive(Clone, Copy, Debug, Default)]
pub struct Import {
    /// Whether rooms that the store has already, with logs of their own, stay as they are.
    pub skip_existing: bool,
    /// Whether a past that has no place is left out.
    pub without_history: bool,
}

/// Puts every room of a file into the store, and reads each back. An import that was interrupted goes on.
///
/// # Errors
/// Before anything is written: the file, or what the store has. After that: the store.
pub async fn import(place: &Place, path: &Path, how: Import, progress: &mut Progress) -> Result<Moved> {
    let plan = Plan::make(place, path, how, progress).await?;
    let mut reader = Reader::open(path)?;
    let mut moved = Moved::default();
    while let Some(record) = reader.next()? {
        // The file was checked: a room begins here, or it ends.
        let Record::Room(room) = record else { break };
        let id = RoomId::new(&room.room_id).map_err(|_| reader.damaged())?;
        let mut import = RoomImport::begin(place, id, room, &plan).await?;
        let digest = loop {
            match reader.next()? {
                Some(Record::Entries(entries)) => import.take(entries).await?,
                Some(Record::RoomEnd(end)) => break Digest { chain: end.chain, registers: end.registers },
                _ => return Err(reader.damaged()),
            }
            progress.reach(reader.mark().bytes);
        };
        import.finish(digest, &mut moved).await?;
        progress.reach(reader.mark().bytes);
    }
    Ok(moved)
}

/// What is done with the file's rooms, decided before anything is written.
struct Plan {
    skipped: BTreeSet<RoomId>,
}

impl Plan {
    /// Reads the whole file, and looks at what the store has of it.
    async fn make(place: &Place, path: &Path, how: Import, progress: &mut Progress) -> Result<Plan> {
        let mut reader = Reader::open(path)?;
        progress.expect(reader.size());
        let (mut rooms, mut entries, mut seen) = (0, 0, BTreeSet::new());
        let mut skipped = BTreeSet::new();
        loop {
            let room = match reader.next()? {
                Some(Record::Room(room)) => room,
                Some(Record::FileEnd(end)) if (end.rooms, end.entries) == (rooms, entries) => break,
                None => return Err(reader.truncated()),
                _ => return Err(reader.damaged()),
            };
            let id = RoomId::new(&room.room_id).map_err(|_| reader.damaged())?;
            if !seen.insert(id.clone()) {
                return Err(reader.damaged());
            }
            let mut next = room.first;
            let end = loop {
                match reader.next()? {
                    Some(Record::Entries(page)) if page.first == next && !page.entries.is_empty() => {
                        next += page.entries.len() as u64;
                    }
                    Some(Record::RoomEnd(end)) => break end,
                    None => return Err(reader.truncated()),
                    _ => return Err(reader.damaged()),
                }
            };
            // Its entries go from where its snapshot leaves off, or from before that, to its head.
            let is_whole = next == room.head + 1 && room.first <= room.snapshot_seq + 1;
            if !is_whole || end.entries != next - room.first || room.snapshot_seq > room.head {
                return Err(reader.damaged());
            }
            rooms += 1;
            entries += end.entries;
            if !is_same_log(place, &id, &room).await? {
                skipped.insert(id);
            } else if room.has_loose_past() && place.past.is_none() && !how.without_history {
                return Err(TransferError::NoArchive {
                    room: id,
                    first: room.first,
                    snapshot: room.snapshot_seq,
                });
            }
        }
        if reader.next()?.is_some() {
            return Err(reader.damaged());
        }
        if !skipped.is_empty() && !how.skip_existing {
            let names: Vec<&str> = skipped.iter().take(NAMED).map(RoomId::as_str).collect();
            let more = if skipped.len() > NAMED { ", …" } else { "" };
            return Err(TransferError::Mixed { count: skipped.len(), names: names.join(", ") + more });
        }
        Ok(Plan { skipped })
    }
}

impl Room {
    /// Whether its entries don't begin with the room's first, and yet before its snapshot.
    fn has_loose_past(&self) -> bool {
        self.first > 1 && self.first <= self.snapshot_seq
    }

    fn at(&self, seq: u64) -> Position {
        Position { epoch: self.epoch, seq }
    }
}

/// Whether the store has nothing of the room, or a beginning of the same log.
async fn is_same_log(place: &Place, id: &RoomId, room: &Room) -> Result<bool> {
    let head = place.store.read(id, room.at(1), 1, 1).await?.head;
    Ok(head == Position::default() || (head.epoch == room.epoch && head.seq <= room.head))
}

/// One room on its way into the store.
struct RoomImport<'a> {
    place: &'a Place,
    id: RoomId,
    room: Room,
    /// Where the store's log ends.
    head: u64,
    /// Entries up to this one belong into the archive, and not into the store.
    archived: u64,
    is_skipped: bool,
    /// Whether the store had nothing of it.
    is_new: bool,
    written: u64,
}

impl<'a> RoomImport<'a> {
    async fn begin(place: &'a Place, id: RoomId, room: Room, plan: &Plan) -> Result<RoomImport<'a>> {
        let is_skipped = plan.skipped.contains(&id);
        // A log from its first entry on is appended whole; another one starts after its snapshot.
        let is_whole = room.first <= 1 && !(place.past.is_some() && room.snapshot_seq > 0);
        let archived = if is_whole { 0 } else { room.snapshot_seq };
        let is_new = place.store.read(&id, room.at(1), 1, 1).await?.head == Position::default();
        if !is_skipped {
            if is_whole || room.snapshot_seq == 0 {
                let epoch = place.store.claim(&id, room.epoch).await?;
                if epoch != room.epoch {
                    return Err(TransferError::Mixed { count: 1, names: id.as_str().into() });
                }
            } else {
                let start = Start {
                    at: room.at(room.snapshot_seq),
                    snapshot: room.snapshot.clone(),
                    summary: room.summary.clone(),
                    is_lost: false,
                };
                // Where it was started before, that is found in the head.
                place.store.start(&id, start).await?;
            }
        }
        let head = place.store.read(&id, room.at(1), 1, 1).await?.head.seq;
        Ok(RoomImport { place, id, room, head, archived, is_skipped, is_new, written: 0 })
    }

    async fn take(&mut self, page: Entries) -> Result<()> {
        if self.is_skipped {
            return Ok(());
        }
        let Entries { first, entries, amended } = page;
        let numbered: Vec<(u64, Bytes)> = (first..).zip(entries).collect();
        if first <= self.archived {
            self.archive(&numbered, &amended).await?;
        }
        let hot: Vec<(u64, Bytes)> = numbered.into_iter().filter(|(seq, _)| *seq > self.head).collect();
        let amended: Vec<(u64, Bytes)> = amended
            .into_iter()
            .filter(|amended| amended.seq > self.archived)
            .map(|amended| (amended.seq, amended.message))
            .collect();
        for batch in batches(hot) {
            self.append(batch, &amended).await?;
        }
        Ok(())
    }

    async fn append(&mut self, batch: Vec<(u64, Bytes)>, amended: &[(u64, Bytes)]) -> Result<()> {
        let last = self.head + batch.len() as u64;
        let of_batch = amended.iter().filter(|(seq, _)| (self.head + 1..=last).contains(seq));
        let append = Append {
            amended: of_batch.cloned().collect(),
            ..Append::new(
                self.room.at(self.head),
                batch.into_iter().map(|(_, bytes)| bytes).collect(),
                self.room.summary.clone(),
            )
        };
        match self.place.store.append(&self.id, append).await? {
            Appended::Done { head } => {
                self.written += head.seq - self.head;
                self.head = head.seq;
                Ok(())
            }
            Appended::Conflict { .. } => {
                let busy =
                    format!("the room {} is written to while it is imported; stop the servers", self.id);
                Err(StoreError::Unavailable(busy).into())
            }
        }
    }

    /// Puts what lies before the snapshot into the archive.
    async fn archive(&self, numbered: &[(u64, Bytes)], amended: &[Amended]) -> Result<()> {
        let Some(past) = &self.place.past else { return Ok(()) };
        let damaged = |_| StoreError::Damaged(format!("an entry of the room {} can't be read", self.id));
        let old = numbered.iter().filter(|(seq, _)| *seq <= self.archived);
        let old: std::result::Result<Vec<Entry>, _> = old.map(|(_, bytes)| Entry::decode(bytes)).collect();
        for chunk in old.map_err(damaged)?.chunks(crate::archive::PUT_ENTRIES) {
            past.archive().put_entries(&self.id, self.room.epoch, chunk).await?;
        }
        for Amended { seq, message } in amended.iter().filter(|amended| amended.seq <= self.archived) {
            let message = v1::Message::decode(message.clone()).map_err(|_| {
                StoreError::Damaged(format!("an amended entry of the room {} can't be read", self.id))
            })?;
            past.archive().put_amended(&self.id, self.room.at(*seq), &message).await?;
        }
        Ok(())
    }

    /// Completes the room, and reads it back.
    async fn finish(self, digest: Digest, moved: &mut Moved) -> Result<()> {
        let RoomImport { place, id, room, .. } = self;
        if self.is_skipped {
            moved.skipped += 1;
            return Ok(());
        }
        if room.snapshot_seq > 0 {
            place.store.put_snapshot(&id, room.at(room.snapshot_seq), room.snapshot.clone()).await?;
        }
        // What was told is not told again.
        place.store.set_cursor(&id, Follower::Events, room.at(room.head)).await?;
        let loaded = place.store.load(&id).await?.ok_or_else(|| TransferError::Differs(id.clone()))?;
        let state = readable::fold_to(&*place.store, &id, loaded, room.head).await?;
        if state.position() != room.at(room.head) || state.digest() != digest {
            return Err(TransferError::Differs(id));
        }
        moved.entries += self.written;
        if self.written > 0 || self.is_new {
            moved.rooms += 1;
        } else {
            moved.skipped += 1;
        }
        Ok(())
    }
}

/// As many entries at a time as the store takes.
fn batches(entries: Vec<(u64, Bytes)>) -> Vec<Vec<(u64, Bytes)>> {
    let mut batches: Vec<Vec<(u64, Bytes)>> = Vec::new();
    let mut bytes = 0;
    for (seq, entry) in entries {
        bytes += entry.len();
        match batches.last_mut() {
            Some(batch) if batch.len() < Limits::BATCH_ENTRIES && bytes <= Limits::BATCH_BYTES => {
                batch.push((seq, entry));
            }
            _ => {
                bytes = entry.len();
                batches.push(vec![(seq, entry)]);
            }
        }
    }
    batches
}
