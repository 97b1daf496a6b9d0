//! Out of a store into a file.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use enfilade_core::{Position, RoomId};

use super::file::{Amended, Entries, FileEnd, Mark, Reader, Record, Room, RoomEnd, Writer};
use super::{Moved, Place, Progress, Result, TransferError};
use crate::readable;
use crate::store::Limits;

/// Writes every room into a file that is not there yet. An export that was interrupted goes on.
///
/// # Errors
/// The store, the file, or a room that can't be read.
pub async fn export(place: &Place, path: &Path, progress: &mut Progress) -> Result<Moved> {
    if path.exists() {
        return Err(TransferError::Exists(path.into()));
    }
    let part = part_of(path);
    let (mut writer, done, mut moved) = match part.exists() {
        true => resume(&part)?,
        false => (Writer::create(&part)?, BTreeSet::new(), Moved::default()),
    };
    let mut rooms = BTreeSet::new();
    let mut cursor = None;
    loop {
        let page = place.store.rooms(cursor).await?;
        rooms.extend(page.rooms);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    progress.expect(rooms.len() as u64);
    progress.reach(done.len() as u64);
    let (mut count, mut all) = (done.len() as u64, moved.entries);
    moved = Moved { skipped: done.len() as u64, ..Moved::default() };
    for room in rooms.iter().filter(|room| !done.contains(room)) {
        if let Some(entries) = export_room(place, room, &mut writer).await? {
            moved.rooms += 1;
            moved.entries += entries;
            all += entries;
            count += 1;
        }
        progress.reach(count);
    }
    writer.write(&Record::FileEnd(FileEnd { rooms: count, entries: all }))?;
    writer.sync()?;
    drop(writer);
    fs::rename(&part, path).map_err(|error| TransferError::File(path.into(), error))?;
    Ok(moved)
}

/// The file until it is complete.
fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// The rooms that a file has whole, and a writer that goes on after them.
fn resume(part: &Path) -> Result<(Writer, BTreeSet<RoomId>, Moved)> {
    let mut reader = Reader::open(part)?;
    let (mut done, mut entries, mut current) = (BTreeSet::new(), 0, None);
    let mut good: Mark = reader.mark();
    // What comes after the last room that is whole is written again.
    while let Ok(Some(record)) = reader.next() {
        match record {
            Record::Room(room) => current = RoomId::new(&room.room_id).ok(),
            Record::Entries(_) => {}
            Record::RoomEnd(end) => {
                done.extend(current.take());
                entries += end.entries;
                good = reader.mark();
            }
            Record::FileEnd(_) => break,
        }
    }
    let moved = Moved { entries, ..Moved::default() };
    Ok((Writer::resume(part, good)?, done, moved))
}

/// Writes one room, and says how many entries it has; `None` where it has gone meanwhile.
async fn export_room(place: &Place, room: &RoomId, writer: &mut Writer) -> Result<Option<u64>> {
    let Some(loaded) = place.store.load(room).await? else { return Ok(None) };
    let head = loaded.head;
    let summary = place.store.summaries_of(std::slice::from_ref(room)).await?.pop().flatten();
    // The state at the head that the file will have, whatever is appended meanwhile.
    let state = readable::fold_to(&*place.store, room, loaded.clone(), head.seq).await?;
    let (snapshot_at, snapshot) = loaded.snapshot.unwrap_or_default();
    let start = Position { epoch: head.epoch, seq: 1 };
    let oldest =
        place.store.read(room, start, 1, 1).await?.entries.first().map_or(head.seq + 1, |(seq, _)| *seq);
    let first = match &place.past {
        Some(past) if oldest > 1 => {
            past.entries(room, start, oldest).await?.entries.first().map_or(oldest, |(seq, _)| *seq)
        }
        _ => oldest,
    };
    writer.write(&Record::Room(Room {
        room_id: room.as_str().into(),
        epoch: head.epoch,
        head: head.seq,
        snapshot_seq: snapshot_at.seq,
        snapshot,
        summary: summary.unwrap_or_default(),
        first,
    }))?;
    let mut next = first;
    while next <= head.seq {
        let from = Position { epoch: head.epoch, seq: next };
        let (entries, amended) = match &place.past {
            Some(past) if next < oldest => {
                let page = past.entries(room, from, oldest).await?;
                if let Some(damaged) = page.damaged.into_iter().next() {
                    return Err(crate::store::StoreError::Damaged(damaged).into());
                }
                (page.entries, page.amended)
            }
            _ => {
                let page = place.store.read(room, from, Limits::PAGE_ENTRIES, Limits::PAGE_BYTES).await?;
                let end = page.entries.last().map_or(next, |(seq, _)| seq + 1);
                let amended = amended(place, room, from, end).await?;
                (page.entries, amended)
            }
        };
        let entries: Vec<(u64, Bytes)> =
            entries.into_iter().take_while(|(seq, _)| *seq <= head.seq).collect();
        let is_next = entries.first().is_some_and(|(seq, _)| *seq == next);
        let Some(last) = entries.last().filter(|_| is_next).map(|(seq, _)| *seq) else {
            let why = format!("the entry {next} of room {room} is missing; look at the log of the archive");
            return Err(crate::store::StoreError::Damaged(why).into());
        };
        let amended = amended.into_iter().map(|(seq, message)| Amended { seq, message }).collect();
        let entries = entries.into_iter().map(|(_, bytes)| bytes).collect();
        writer.write(&Record::Entries(Entries { first: next, entries, amended }))?;
        next = last + 1;
    }
    let (digest, entries) = (state.digest(), head.seq + 1 - first.min(head.seq + 1));
    writer.write(&Record::RoomEnd(RoomEnd { entries, chain: digest.chain, registers: digest.registers }))?;
    Ok(Some(entries))
}

/// What has become of entries before a seq, all of it.
async fn amended(place: &Place, room: &RoomId, from: Position, before: u64) -> Result<Vec<(u64, Bytes)>> {
    let mut all: Vec<(u64, Bytes)> = Vec::new();
    let mut from = from;
    loop {
        let page = place.store.amended(room, from, before).await?;
        let is_full = page.len() >= Limits::PAGE_ENTRIES;
        let last = page.last().map(|(seq, _)| *seq);
        all.extend(page);
        match last {
            Some(last) if is_full => from.seq = last + 1,
            _ => return Ok(all),
        }
    }
}
