use alloc::string::String;
use alloc::vec::Vec;

use prost::Message as _;

use crate::op::{self, Body};
use crate::{Code, Millis, OpId, limits, v1};

/// An operation that the authority has sequenced.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its place in the room's log.
    pub seq: u64,
    /// The operation's name, given by its author's client.
    pub op_id: OpId,
    /// User id of the author; empty when the server itself is.
    pub author: String,
    /// Display name of the author at that time.
    pub author_name: String,
    /// The authority's stamp.
    pub at: Millis,
    /// Counts the room's messages from 1; 0 for entries that are none.
    pub ordinal: u64,
    /// The operation's bytes, as they came.
    pub op: Vec<u8>,
    /// What the bytes mean; `None` for a kind that this version does not know.
    pub body: Option<Body>,
}

impl Entry {
    /// Takes an entry that came over the wire or out of a store.
    pub fn parse(wire: v1::Entry) -> Result<Entry, Code> {
        if !(1..limits::INTEGER_BOUND).contains(&wire.seq) {
            return Err(Code::Malformed);
        }
        Ok(Entry {
            seq: wire.seq,
            op_id: OpId::parse(wire.op_id.as_ref()).map_err(|_| Code::Malformed)?,
            author: wire.author,
            author_name: wire.author_name,
            at: Millis(wire.at),
            ordinal: wire.ordinal,
            body: op::read(&wire.op),
            op: wire.op,
        })
    }

    /// Reads an entry's bytes.
    pub fn decode(bytes: &[u8]) -> Result<Entry, Code> {
        v1::Entry::decode(bytes).map_err(|_| Code::Malformed).and_then(Entry::parse)
    }

    /// The protobuf form.
    pub fn wire(&self) -> v1::Entry {
        v1::Entry {
            seq: self.seq,
            op_id: Some(self.op_id.wire()),
            author: self.author.clone(),
            author_name: self.author_name.clone(),
            at: self.at.0,
            op: self.op.clone(),
            ordinal: self.ordinal,
        }
    }

    /// The entry's bytes, as stores keep them.
    pub fn encode(&self) -> Vec<u8> {
        self.wire().encode_to_vec()
    }
}
