//! Messages as they are stored: merged by their stamps, and read when somebody looks at them.

use alloc::vec::Vec;
use core::cmp::Ordering;

use prost::Message as _;
use prost::encoding::{DecodeContext, decode_key, decode_varint, skip_field};

use super::{Stamp, Stamped};
use crate::{Code, v1};

/// A message of an encoded snapshot, of which nothing but the stamp was read. Stretches of thousands are merged so
/// without an allocation a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoded<'a> {
    stamp: Stamp,
    bytes: &'a [u8],
}

/// Fields of `RoomSnapshot`, `Message` and `OpId`, as room.proto numbers them.
mod tag {
    pub(super) const TIMELINE: u32 = 6;
    pub(super) const ID: u32 = 1;
    pub(super) const SEQ: u32 = 2;
    pub(super) const ORDINAL: u32 = 3;
    pub(super) const AT: u32 = 6;
    pub(super) const CHANGED_SEQ: u32 = 14;
    pub(super) const CLIENT: u32 = 1;
    pub(super) const COUNTER: u32 = 2;
}

impl<'a> Encoded<'a> {
    /// The timeline of an encoded snapshot, in its order.
    ///
    /// # Errors
    /// [`Code::Malformed`] for what is no snapshot, as far as stamps are concerned.
    pub fn timeline(snapshot: &'a [u8]) -> Result<Vec<Encoded<'a>>, Code> {
        let mut timeline = Vec::new();
        let mut rest = snapshot;
        while !rest.is_empty() {
            if let (tag::TIMELINE, Field::Bytes(bytes)) = next_field(&mut rest)? {
                timeline.push(Encoded { stamp: stamp(bytes)?, bytes });
            }
        }
        Ok(timeline)
    }

    /// The whole message.
    ///
    /// # Errors
    /// [`Code::Malformed`] when the rest of it can't be read.
    pub fn message(&self) -> Result<v1::Message, Code> {
        v1::Message::decode(self.bytes).map_err(|_| Code::Malformed)
    }
}

impl Stamped for Encoded<'_> {
    fn stamp(&self) -> Stamp {
        self.stamp
    }

    fn compare_content(&self, other: &Self) -> Ordering {
        self.bytes.cmp(other.bytes)
    }
}

/// A field's value, as far as it matters here.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Other,
}

fn stamp(message: &[u8]) -> Result<Stamp, Code> {
    let mut stamp = Stamp::default();
    let mut rest = message;
    while !rest.is_empty() {
        match next_field(&mut rest)? {
            (tag::ID, Field::Bytes(mut id)) => {
                while !id.is_empty() {
                    match next_field(&mut id)? {
                        (tag::CLIENT, Field::Number(client)) => stamp.id.0 = client,
                        (tag::COUNTER, Field::Number(counter)) => stamp.id.1 = counter,
                        _ => {}
                    }
                }
            }
            (tag::SEQ, Field::Number(seq)) => stamp.seq = seq,
            (tag::ORDINAL, Field::Number(ordinal)) => stamp.ordinal = ordinal,
            (tag::AT, Field::Number(at)) => stamp.at = at,
            (tag::CHANGED_SEQ, Field::Number(seq)) => stamp.changed_seq = seq,
            _ => {}
        }
    }
    Ok(stamp)
}

/// Takes the next field off: its tag and its value.
fn next_field<'a>(rest: &mut &'a [u8]) -> Result<(u32, Field<'a>), Code> {
    let before = *rest;
    let key = varint(rest)?;
    let tag = u32::try_from(key >> 3).map_err(|_| Code::Malformed)?;
    let value = match key & 7 {
        0 => Field::Number(varint(rest)?),
        2 => {
            let length = usize::try_from(varint(rest)?).map_err(|_| Code::Malformed)?;
            let (bytes, behind) = rest.split_at_checked(length).ok_or(Code::Malformed)?;
            *rest = behind;
            Field::Bytes(bytes)
        }
        _ => {
            // Kinds of fields that no message of ours has.
            *rest = before;
            let (tag, wire_type) = decode_key(rest).map_err(|_| Code::Malformed)?;
            skip_field(wire_type, tag, rest, DecodeContext::default()).map_err(|_| Code::Malformed)?;
            Field::Other
        }
    };
    if tag == 0 { Err(Code::Malformed) } else { Ok((tag, value)) }
}

/// Most numbers here are tags and lengths, which take one byte.
fn varint(rest: &mut &[u8]) -> Result<u64, Code> {
    match rest.split_first() {
        Some((byte, behind)) if *byte < 0x80 => {
            *rest = behind;
            Ok(u64::from(*byte))
        }
        _ => decode_varint(rest).map_err(|_| Code::Malformed),
    }
}
