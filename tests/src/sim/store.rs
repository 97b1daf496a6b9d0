//! The store that all nodes share: rooms in memory, with compare-and-append.

use std::collections::BTreeMap;

use enfilade_core::authority::{Appended, Loaded, Stretch};
use enfilade_core::{Millis, Position, RoomId, v1};
use prost::Message as _;

/// Every room's log.
#[derive(Debug, Default)]
pub struct Store {
    rooms: BTreeMap<RoomId, Room>,
}

/// One room.
#[derive(Debug, Default)]
pub struct Room {
    /// 0 until somebody claims it.
    pub epoch: u64,
    /// Encoded entries, the first of seq 1.
    pub log: Vec<Vec<u8>>,
    /// Messages as they are since they were changed, by the seq of the entry that made them.
    pub amended: BTreeMap<u64, Vec<u8>>,
    /// The room's row in lists.
    pub summary: v1::RoomSummary,
    snapshot: Option<(u64, Vec<u8>)>,
    leases: BTreeMap<String, (Vec<u8>, Millis)>,
}

/// Entries that a load or a read gives at once: real stores give pages, and the authority reads on.
const PAGE: usize = 16;
/// The same for a log that is long, so that a run does not consist of reading it.
const LONG_PAGE: usize = 256;

impl Room {
    /// The end of the log.
    pub fn head(&self) -> Position {
        Position { epoch: self.epoch, seq: self.log.len() as u64 }
    }

    fn page(&self) -> usize {
        if self.log.len() > LONG_PAGE { LONG_PAGE } else { PAGE }
    }
}

impl Store {
    /// All rooms that have entries.
    pub fn rooms(&self) -> impl Iterator<Item = (&RoomId, &Room)> {
        self.rooms.iter().filter(|(_, room)| !room.log.is_empty())
    }

    /// One room; an empty one where there is none.
    pub fn room(&self, id: &RoomId) -> Option<&Room> {
        self.rooms.get(id)
    }

    pub(super) fn load(&self, id: &RoomId) -> Loaded {
        let Some(room) = self.rooms.get(id) else { return Loaded::default() };
        let (covered, snapshot) = match &room.snapshot {
            Some((seq, bytes)) => (*seq as usize, Some(bytes.clone())),
            None => (0, None),
        };
        let entries = room.log[covered..].iter().take(room.page()).cloned().collect();
        Loaded { epoch: room.epoch, snapshot, entries }
    }

    pub(super) fn claim(&mut self, id: &RoomId, epoch: u64) -> u64 {
        let room = self.rooms.entry(id.clone()).or_default();
        if room.epoch == 0 {
            room.epoch = epoch;
        }
        room.epoch
    }

    pub(super) fn append(
        &mut self,
        id: &RoomId,
        expected: Position,
        batch: Vec<Vec<u8>>,
        summary: v1::RoomSummary,
        amended: Vec<(u64, Vec<u8>)>,
    ) -> Appended {
        let room = self.rooms.entry(id.clone()).or_default();
        let head = room.head();
        if head != expected {
            let known = expected.epoch == head.epoch && expected.seq < head.seq;
            let missing = if known {
                room.log[expected.seq as usize..].iter().take(8).cloned().collect()
            } else {
                vec![]
            };
            return Appended::Conflict { head, missing };
        }
        room.log.extend(batch);
        room.summary = summary;
        room.amended.extend(amended);
        Appended::Done
    }

    pub(super) fn read(&self, id: &RoomId, after: Position) -> (Position, Vec<Vec<u8>>) {
        let Some(room) = self.rooms.get(id) else { return (Position::default(), Vec::new()) };
        let entries = if after.epoch == room.epoch {
            room.log.iter().skip(after.seq as usize).take(room.page()).cloned().collect()
        } else {
            Vec::new()
        };
        (room.head(), entries)
    }

    /// What there is of a range of seqs.
    pub(super) fn history(&self, id: &RoomId, from_seq: u64, before_seq: u64) -> Stretch {
        let Some(room) = self.rooms.get(id) else { return Stretch::default() };
        let end = (before_seq as usize - 1).min(room.log.len());
        let start = (from_seq as usize - 1).min(end);
        let amended = room.amended.range(from_seq..before_seq).map(|(_, bytes)| bytes.clone());
        Stretch { entries: room.log[start..end].to_vec(), amended: amended.collect() }
    }

    pub(super) fn put_snapshot(&mut self, id: &RoomId, position: Position, snapshot: Vec<u8>) -> bool {
        match self.rooms.get_mut(id).filter(|room| room.epoch == position.epoch) {
            Some(room) => {
                room.snapshot = Some((position.seq, snapshot));
                true
            }
            None => false,
        }
    }

    pub(super) fn has_snapshot(&self, id: &RoomId) -> bool {
        self.rooms.get(id).is_some_and(|room| room.snapshot.is_some())
    }

    /// The store was emptied, and has the room back from the archive under another epoch: without its last entries, if
    /// those had not come there.
    pub(super) fn reopen(&mut self, id: &RoomId, epoch: u64, lost: usize) -> usize {
        let Some(room) = self.rooms.get_mut(id).filter(|room| room.epoch != 0) else { return 0 };
        let kept = room.log.len() - lost.min(room.log.len().saturating_sub(1));
        let lost = room.log.len() - kept;
        room.log.truncate(kept);
        let is_kept =
            |bytes: &[u8]| v1::Message::decode(bytes).is_ok_and(|message| message.changed_seq <= kept as u64);
        room.amended.retain(|_, bytes| is_kept(bytes));
        room.epoch = epoch;
        room.snapshot = None;
        lost
    }

    pub(super) fn put_lease(&mut self, id: &RoomId, node: &str, record: Vec<u8>, until: Millis) {
        let room = self.rooms.entry(id.clone()).or_default();
        room.leases.insert(node.to_owned(), (record, until));
    }

    pub(super) fn leases(&self, id: &RoomId, now: Millis) -> Vec<(String, Vec<u8>, Millis)> {
        let Some(room) = self.rooms.get(id) else { return Vec::new() };
        let live = room.leases.iter().filter(|(_, (_, until))| *until > now);
        live.map(|(node, (record, until))| (node.clone(), record.clone(), *until)).collect()
    }
}
