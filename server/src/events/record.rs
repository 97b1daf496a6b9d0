//! What goes out: one record for each entry of a room's log.

use bytes::Bytes;
use enfilade_core::wire::json;
use enfilade_core::{Entry, Position, RoomId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Names of the headers, beside the key, which is the room.
pub mod header {
    /// The log's incarnation, in decimal digits.
    pub const EPOCH: &str = "epoch";
    /// The entry's place in the log, in decimal digits.
    pub const SEQ: &str = "seq";
    /// The operation's name, such as `post_message`.
    pub const KIND: &str = "kind";
}

/// An entry on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it was sequenced; also the key.
    pub room: RoomId,
    /// Names it for ever, together with the room.
    pub position: Position,
    /// The operation's name; `unknown` for one that this version does not know.
    pub kind: String,
    /// The JSON of [`Body`].
    pub json: Bytes,
}

/// The JSON of a record. Fields may be added; readers ignore what they don't know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Body {
    /// The room.
    pub room: String,
    /// The log's incarnation.
    pub epoch: u64,
    /// The entry's place in it, from 1 without a gap.
    pub seq: u64,
    /// The operation's id: client and counter, with a hyphen between them.
    pub op_id: String,
    /// The author's user id; empty when the server itself is the author.
    pub author: String,
    /// The author's display name at that time.
    pub author_name: String,
    /// Milliseconds since 1970; never runs backwards within an epoch.
    pub at: u64,
    /// Counts the room's messages; 0 for entries that are none.
    pub ordinal: u64,
    /// The operation's name.
    pub kind: String,
    /// The operation's fields, as in the JSON protocol.
    pub body: Value,
}

impl Record {
    /// The record of an entry's bytes, as the store keeps them. `None` where they are damaged.
    pub fn of(room: &RoomId, epoch: u64, entry: &[u8]) -> Option<Record> {
        let entry = Entry::decode(entry).ok()?;
        let text = json::encode_op(&entry.op);
        let mut named: Map<String, Value> = serde_json::from_slice(&text).ok()?;
        // Beside the name there may be `unknown`, with bytes that this version can't read.
        let kind = named.keys().find(|name| *name != UNKNOWN).cloned();
        let kind = kind.unwrap_or_else(|| UNKNOWN.into());
        let body = named.remove(&kind).unwrap_or_default();
        let position = Position { epoch, seq: entry.seq };
        let body = Body {
            room: room.as_str().into(),
            epoch,
            seq: entry.seq,
            op_id: entry.op_id.to_string(),
            author: entry.author,
            author_name: entry.author_name,
            at: entry.at.0,
            ordinal: entry.ordinal,
            kind,
            body,
        };
        let json = serde_json::to_vec(&body).ok()?.into();
        Some(Record { room: room.clone(), position, kind: body.kind, json })
    }

    /// Bytes that it takes on its way, roughly.
    pub fn bytes(&self) -> usize {
        self.json.len() + self.room.as_str().len() + self.kind.len() + OVERHEAD
    }
}

/// Kind of an operation that this version does not know.
const UNKNOWN: &str = "unknown";
/// Header names, numbers and framing of a record.
const OVERHEAD: usize = 64;

#[cfg(test)]
mod tests {
    use enfilade_core::op::{self, Body as Op};
    use enfilade_core::{ClientId, Millis, OpId};

    use super::*;

    fn entry(op: Vec<u8>) -> Vec<u8> {
        let entry = Entry {
            seq: 12,
            op_id: OpId { client: ClientId(7), counter: 3 },
            author: "ann".into(),
            author_name: "Ann \"the\" first".into(),
            at: Millis(1_700_000_000_000),
            ordinal: 5,
            body: None,
            op,
        };
        entry.encode()
    }

    #[test]
    fn a_message_goes_out_with_its_place_author_and_words() {
        let room = RoomId::new("lobby").unwrap();
        let record = Record::of(&room, 77, &entry(op::encode(op::post("hello \u{1f600}")))).unwrap();
        assert_eq!(
            (record.position, record.kind.as_str()),
            (Position { epoch: 77, seq: 12 }, "post_message")
        );
        let value: serde_json::Value = serde_json::from_slice(&record.json).unwrap();
        assert_eq!(
            value,
            serde_json::json!({
                "room": "lobby", "epoch": 77, "seq": 12, "op_id": "7-3", "author": "ann",
                "author_name": "Ann \"the\" first", "at": 1_700_000_000_000_u64, "ordinal": 5,
                "kind": "post_message", "body": {"text": "hello \u{1f600}"},
            })
        );
        let read: Body = serde_json::from_slice(&record.json).unwrap();
        assert_eq!((read.seq, read.author_name.as_str()), (12, "Ann \"the\" first"));
    }

    #[test]
    fn an_operation_without_fields_has_an_empty_body_and_an_unknown_one_its_bytes() {
        let room = RoomId::new("lobby").unwrap();
        let join = Record::of(&room, 1, &entry(op::encode(Op::Join(Default::default())))).unwrap();
        assert!(join.json.ends_with(br#""kind":"join","body":{}}"#), "{:?}", join.json);
        let later = Record::of(&room, 1, &entry(vec![0xf2, 0x7f, 1, 0])).unwrap();
        assert_eq!(later.kind, "unknown");
        assert!(later.json.ends_with(br#""body":"8n8BAA=="}"#), "{:?}", later.json);
    }

    #[test]
    fn damaged_bytes_make_no_record() {
        assert_eq!(Record::of(&RoomId::new("lobby").unwrap(), 1, b"\xff\xff"), None);
    }
}
