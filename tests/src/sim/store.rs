//! The store that all nodes share: rooms in memory, with compare-and-append.

use std::collections::BTreeMap;

use enfilade_core::authority::{Appended, Loaded};
use enfilade_core::{Millis, Position, RoomId, v1};

/// Every room's log.
#[derive(Debug, Default)]
pub struct Store {
    rooms: BTreeMap<RoomId, Room>,
    /// How often two nodes wanted to append at one position.
    pub conflicts: u64,
}

/// One room.
#[derive(Debug, Default)]
pub struct Room {
    /// 0 until somebody claims it.
    pub epoch: u64,
    /// Encoded entries, the first of seq 1.
    pub log: Vec<Vec<u8>>,
    /// The room's row in lists.
    pub summary: v1::RoomSummary,
    snapshot: Option<(u64, Vec<u8>)>,
    leases: BTreeMap<String, (Vec<u8>, Millis)>,
}

impl Room {
    /// The end of the log.
    pub fn head(&self) -> Position {
        Position { epoch: self.epoch, seq: self.log.len() as u64 }
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
        // A page, as real stores give; the authority reads on.
        let entries = room.log[covered..].iter().take(16).cloned().collect();
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
    ) -> Appended {
        let room = self.rooms.entry(id.clone()).or_default();
        let head = room.head();
        if head != expected {
            self.conflicts += 1;
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
        Appended::Done
    }

    pub(super) fn read(&self, id: &RoomId, after: Position) -> (Position, Vec<Vec<u8>>) {
        let Some(room) = self.rooms.get(id) else { return (Position::default(), Vec::new()) };
        let entries = if after.epoch == room.epoch {
            room.log.iter().skip(after.seq as usize).take(16).cloned().collect()
        } else {
            Vec::new()
        };
        (room.head(), entries)
    }

    pub(super) fn put_snapshot(&mut self, id: &RoomId, position: Position, snapshot: Vec<u8>) {
        if let Some(room) = self.rooms.get_mut(id).filter(|room| room.epoch == position.epoch) {
            room.snapshot = Some((position.seq, snapshot));
        }
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
