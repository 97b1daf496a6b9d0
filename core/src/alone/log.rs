//! The logs of rooms that are hosted alone, in memory and as records.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use prost::Message as _;

use super::ENTRIES;
use crate::authority::Stretch;
use crate::conflict::VersionVector;
use crate::state::message;
use crate::{ClientId, Entry, OpId, Position, RoomId, limits, op, v1};

/// Records of logs are called `alone/ROOM` for the log's epoch, and `alone/ROOM/SEQ` for entries from there on.
const PREFIX: &str = "alone/";

/// An operation that the log has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Under this id, which it keeps.
    pub id: OpId,
    /// As its client sent it.
    pub op: Vec<u8>,
    /// The end of the log when it was made. Of an epoch that no other log has, so that to any other log it says:
    /// before everything.
    pub base: Position,
    /// The last operation of each other client that was in the log by then: what its author had seen. At most
    /// [`SEEN_CLIENTS`](limits::SEEN_CLIENTS).
    pub seen: Vec<v1::OpId>,
}

#[derive(Clone, PartialEq, enfilade_proto::Message)]
struct StoredLog {
    #[prost(uint64, tag = "1")]
    epoch: u64,
    #[prost(bytes = "vec", repeated, tag = "2")]
    entries: Vec<Vec<u8>>,
}

/// A room's log.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    epoch: u64,
    entries: Vec<Vec<u8>>,
}

impl Log {
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn head(&self) -> Position {
        Position { epoch: self.epoch, seq: self.entries.len() as u64 }
    }

    pub(super) fn entries_after(&self, seq: u64) -> Vec<Vec<u8>> {
        let after = usize::try_from(seq).unwrap_or(usize::MAX);
        self.entries.get(after..).unwrap_or_default().to_vec()
    }

    /// A stretch with what has become of its messages, found by reading on from there: the whole log is in memory.
    pub(super) fn stretch(&self, from_seq: u64, before_seq: u64) -> Stretch {
        let entries = self.between(from_seq, before_seq);
        let decoded = entries.iter().filter_map(|bytes| Entry::decode(bytes).ok());
        let mut messages: BTreeMap<OpId, v1::Message> =
            decoded.filter_map(|entry| Some((entry.op_id, message::posted(entry)?))).collect();
        for entry in self.entries_after(from_seq).iter().filter_map(|bytes| Entry::decode(bytes).ok()) {
            let target = entry.body.as_ref().and_then(op::target);
            if let Some(of) = target.and_then(|(id, _)| messages.get_mut(&id)) {
                message::replay(of, &entry);
            }
        }
        let amended = messages.values().filter(|message| message.changed_seq > 0);
        Stretch { amended: amended.map(|message| message.encode_to_vec()).collect(), entries }
    }

    /// Entries from the first to before the other.
    pub(super) fn between(&self, from: u64, before: u64) -> Vec<Vec<u8>> {
        let place = |seq: u64| usize::try_from(seq.max(1) - 1).unwrap_or(usize::MAX).min(self.entries.len());
        self.entries.get(place(from)..place(before)).unwrap_or_default().to_vec()
    }

    /// Whether so many more have place.
    pub(super) fn takes(&self, count: usize) -> bool {
        self.entries.len() + count <= ENTRIES
    }

    /// The record that opens the log.
    pub(super) fn open(&mut self, room: &RoomId, epoch: u64) -> (String, Vec<u8>) {
        self.epoch = epoch;
        let record = StoredLog { epoch, entries: Vec::new() };
        (key(room, None), record.encode_to_vec())
    }

    /// The record that holds the batch.
    pub(super) fn append(&mut self, room: &RoomId, batch: Vec<Vec<u8>>) -> (String, Vec<u8>) {
        let record = StoredLog { epoch: self.epoch, entries: batch.clone() };
        let key = key(room, Some(self.entries.len() as u64 + 1));
        self.entries.extend(batch);
        (key, record.encode_to_vec())
    }

    /// What this client has made, in order.
    pub(super) fn made_by(&self, client: ClientId) -> Vec<Made> {
        let entries = self.entries.iter().filter_map(|bytes| Entry::decode(bytes).ok());
        let mut seen = VersionVector::default();
        let mut made = Vec::new();
        for entry in entries.filter(|entry| !entry.author.is_empty()) {
            if entry.op_id.client != client {
                seen.merge(&[(entry.op_id.client.0, entry.op_id.counter)].into_iter().collect());
                continue;
            }
            let wire = |(client, counter)| v1::OpId { client, counter };
            made.push(Made {
                id: entry.op_id,
                op: entry.op,
                base: Position { epoch: self.epoch, seq: entry.seq - 1 },
                seen: seen.iter().take(limits::SEEN_CLIENTS).map(wire).collect(),
            });
        }
        made
    }

    /// Names of all its records.
    pub(super) fn keys(&self, room: &RoomId, known: &[String]) -> Vec<String> {
        let whole = key(room, None);
        let is_own = |key: &&String| {
            key.strip_prefix(&whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        known.iter().filter(is_own).cloned().collect()
    }
}

/// The logs that these records hold. A log ends where a record is missing or can't be read: what comes after can't be
/// told from what never was.
pub(super) fn read(records: impl IntoIterator<Item = (String, Vec<u8>)>) -> BTreeMap<RoomId, Log> {
    let records: BTreeMap<String, Vec<u8>> = records.into_iter().collect();
    let mut logs: BTreeMap<RoomId, Log> = BTreeMap::new();
    // In the order of their names, so a log's epoch comes first and its batches follow.
    for (key, record) in &records {
        let Some(name) = key.strip_prefix(PREFIX) else { continue };
        let (room, seq) =
            name.split_once('/').map_or((name, None), |(room, seq)| (room, seq.parse::<usize>().ok()));
        let (Ok(room), Ok(stored)) = (RoomId::new(room), StoredLog::decode(&record[..])) else { continue };
        match seq {
            None if !name.contains('/') => logs.entry(room).or_default().epoch = stored.epoch,
            None => {}
            Some(seq) => {
                let log = logs.entry(room).or_default();
                let follows = log.epoch == stored.epoch && seq == log.entries.len() + 1;
                let reads = stored.entries.iter().all(|entry| Entry::decode(entry).is_ok());
                if follows && reads && log.takes(stored.entries.len()) {
                    log.entries.extend(stored.entries);
                }
            }
        }
    }
    logs.retain(|_, log| log.epoch != 0);
    logs
}

/// Padded, so that names ascend as numbers do.
fn key(room: &RoomId, seq: Option<u64>) -> String {
    let mut key = PREFIX.to_string();
    key.push_str(room.as_str());
    if let Some(seq) = seq {
        key.push_str(&alloc::format!("/{seq:08}"));
    }
    key
}
