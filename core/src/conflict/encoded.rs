//! Messages as they are stored: merged by their stamps, and read when somebody looks at them.

use alloc::vec::Vec;
use core::cmp::Ordering;

use prost::Message as _;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

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
        fields(snapshot, |tag, field| {
            if let (tag::TIMELINE, Field::Bytes(bytes)) = (tag, field) {
                timeline.push(Encoded { stamp: stamp(bytes)?, bytes });
            }
            Ok(())
        })?;
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

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn stamp(message: &[u8]) -> Result<Stamp, Code> {
    let mut stamp = Stamp::default();
    fields(message, |tag, field| {
        match (tag, field) {
            (tag::ID, Field::Bytes(id)) => fields(id, |tag, field| {
                match (tag, field) {
                    (tag::CLIENT, Field::Number(client)) => stamp.id.0 = client,
                    (tag::COUNTER, Field::Number(counter)) => stamp.id.1 = counter,
                    _ => {}
                }
                Ok(())
            })?,
            (tag::SEQ, Field::Number(seq)) => stamp.seq = seq,
            (tag::ORDINAL, Field::Number(ordinal)) => stamp.ordinal = ordinal,
            (tag::AT, Field::Number(at)) => stamp.at = at,
            (tag::CHANGED_SEQ, Field::Number(seq)) => stamp.changed_seq = seq,
            _ => {}
        }
        Ok(())
    })?;
    Ok(stamp)
}

/// Hands out the numbers and the bytes of a message, one after the other.
fn fields<'a>(
    message: &'a [u8],
    mut each: impl FnMut(u32, Field<'a>) -> Result<(), Code>,
) -> Result<(), Code> {
    let mut rest = message;
    while !rest.is_empty() {
        let (tag, wire_type) = decode_key(&mut rest).map_err(|_| Code::Malformed)?;
        match wire_type {
            WireType::Varint => {
                each(tag, Field::Number(decode_varint(&mut rest).map_err(|_| Code::Malformed)?))?;
            }
            WireType::LengthDelimited => {
                let length = decode_varint(&mut rest).map_err(|_| Code::Malformed)?;
                let length = usize::try_from(length).map_err(|_| Code::Malformed)?;
                let (bytes, behind) = rest.split_at_checked(length).ok_or(Code::Malformed)?;
                each(tag, Field::Bytes(bytes))?;
                rest = behind;
            }
            _ => skip_field(wire_type, tag, &mut rest, DecodeContext::default())
                .map_err(|_| Code::Malformed)?,
        }
    }
    Ok(())
}
