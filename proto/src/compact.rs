//! One decoder and one encoder for all messages. A message tells by [`Compact`] where its fields are; prost's
//! primitives read and check them. On the wire nothing differs from what prost's own derive does, and messages have
//! prost's trait.

use alloc::string::String;
use alloc::vec::Vec;

use prost::DecodeError;
use prost::bytes::{Buf, BufMut};
use prost::encoding::{
    self, DecodeContext, WireType, check_wire_type, decode_key, decode_varint, encode_key, encode_varint,
    encoded_len_varint, key_len,
};

/// How deep messages may lie in each other: prost's own bound.
const DEPTH: u32 = 100;

/// Where a decoded value goes.
pub enum Slot<'a> {
    /// A truth value.
    Bool(&'a mut bool),
    /// A number.
    U32(&'a mut u32),
    /// A long number.
    U64(&'a mut u64),
    /// An enumeration.
    I32(&'a mut i32),
    /// Numbers, packed or one by one.
    U32s(&'a mut Vec<u32>),
    /// Enumerations, packed or one by one.
    I32s(&'a mut Vec<i32>),
    /// Long numbers, packed or one by one.
    U64s(&'a mut Vec<u64>),
    /// Text, which must be UTF-8.
    Text(&'a mut String),
    /// Bytes.
    Bytes(&'a mut Vec<u8>),
    /// A message within.
    Message(&'a mut dyn Compact),
}

/// What a message has to tell of itself.
///
/// Not `Debug`: through a trait object, the names of all fields would be in what browsers load.
pub trait Compact {
    /// Where the value of this field goes, which is there from now on. `None` for a field that is not known.
    fn slot(&mut self, tag: u32) -> Option<Slot<'_>>;

    /// Writes all fields, ascending.
    fn write(&self, out: &mut Out<'_>);
}

/// Where a message is written to, or only measured.
pub struct Out<'a> {
    bytes: Option<&'a mut Vec<u8>>,
    len: usize,
}

impl Out<'_> {
    /// A number, unless it is 0.
    pub fn number_unless_zero(&mut self, tag: u32, value: u64) {
        if value != 0 {
            self.number(tag, value);
        }
    }

    /// A number.
    pub fn number(&mut self, tag: u32, value: u64) {
        self.head(tag, WireType::Varint, value);
    }

    /// Bytes or text.
    pub fn bytes(&mut self, tag: u32, value: &[u8]) {
        self.head(tag, WireType::LengthDelimited, value.len() as u64);
        self.len += value.len();
        if let Some(bytes) = &mut self.bytes {
            bytes.extend_from_slice(value);
        }
    }

    /// A message within.
    pub fn message(&mut self, tag: u32, value: &dyn Compact) {
        let len = encoded_len(value);
        self.head(tag, WireType::LengthDelimited, len as u64);
        match &mut self.bytes {
            Some(bytes) => value.write(&mut Out { bytes: Some(bytes), len: 0 }),
            None => self.len += len,
        }
    }

    /// Numbers in one field, if there are any.
    pub fn packed(&mut self, tag: u32, values: &mut dyn Iterator<Item = u64>) {
        let mut packed = Vec::new();
        values.for_each(|value| encode_varint(value, &mut packed));
        if !packed.is_empty() {
            self.bytes(tag, &packed);
        }
    }

    /// Key, and number or length.
    fn head(&mut self, tag: u32, wire_type: WireType, value: u64) {
        match &mut self.bytes {
            Some(bytes) => {
                encode_key(tag, wire_type, *bytes);
                encode_varint(value, *bytes);
            }
            None => self.len += key_len(tag) + encoded_len_varint(value),
        }
    }
}

/// How long the message is.
pub fn encoded_len(message: &dyn Compact) -> usize {
    let mut out = Out { bytes: None, len: 0 };
    message.write(&mut out);
    out.len
}

/// The message's bytes.
pub fn encode_to_vec(message: &dyn Compact) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(encoded_len(message));
    message.write(&mut Out { bytes: Some(&mut bytes), len: 0 });
    bytes
}

/// Writes the message's bytes to a buffer of any kind.
pub fn encode(message: &dyn Compact, buf: &mut impl BufMut) {
    buf.put_slice(&encode_to_vec(message));
}

/// Reads fields from a buffer of any kind until it is empty.
///
/// # Errors
/// When the bytes are not what the message says.
pub fn merge_from(message: &mut dyn Compact, mut buf: impl Buf) -> Result<(), DecodeError> {
    let chunk = buf.chunk();
    if chunk.len() == buf.remaining() {
        merge(message, chunk, DEPTH)?;
        buf.advance(buf.remaining());
        return Ok(());
    }
    let mut bytes = Vec::new();
    bytes.put(buf);
    merge(message, &bytes, DEPTH)
}

/// Reads one field whose key was read: what prost asks for when the message lies within one of its own.
///
/// # Errors
/// As for [`merge_from`].
pub fn merge_field(
    message: &mut dyn Compact,
    tag: u32,
    wire_type: WireType,
    buf: &mut impl Buf,
) -> Result<(), DecodeError> {
    let mut field = Vec::new();
    encode_key(tag, wire_type, &mut field);
    let length = match wire_type {
        WireType::Varint => {
            encode_varint(decode_varint(buf)?, &mut field);
            0
        }
        WireType::LengthDelimited => {
            let length = decode_varint(buf)?;
            encode_varint(length, &mut field);
            length
        }
        WireType::SixtyFourBit => 8,
        WireType::ThirtyTwoBit => 4,
        WireType::StartGroup | WireType::EndGroup => {
            return encoding::skip_field(wire_type, tag, buf, DecodeContext::default());
        }
    };
    if length > buf.remaining() as u64 {
        return Err(error("buffer underflow"));
    }
    field.put(buf.take(length as usize));
    merge(message, &field, DEPTH)
}

fn merge(message: &mut dyn Compact, mut bytes: &[u8], depth: u32) -> Result<(), DecodeError> {
    let bytes = &mut bytes;
    while !bytes.is_empty() {
        let (tag, wire_type) = decode_key(bytes)?;
        let context = DecodeContext::default();
        match message.slot(tag) {
            None => encoding::skip_field(wire_type, tag, bytes, context)?,
            Some(Slot::Bool(value)) => *value = number(wire_type, bytes)? != 0,
            Some(Slot::U32(value)) => *value = number(wire_type, bytes)? as u32,
            Some(Slot::I32(value)) => *value = number(wire_type, bytes)? as i32,
            Some(Slot::U64(value)) => *value = number(wire_type, bytes)?,
            Some(Slot::U32s(values)) => encoding::uint32::merge_repeated(wire_type, values, bytes, context)?,
            Some(Slot::I32s(values)) => encoding::int32::merge_repeated(wire_type, values, bytes, context)?,
            Some(Slot::U64s(values)) => encoding::uint64::merge_repeated(wire_type, values, bytes, context)?,
            Some(Slot::Text(value)) => {
                let text = core::str::from_utf8(delimited(wire_type, bytes)?);
                let text = text.map_err(|_| error("invalid string value: data is not UTF-8 encoded"))?;
                value.clear();
                value.push_str(text);
            }
            Some(Slot::Bytes(value)) => {
                value.clear();
                value.extend_from_slice(delimited(wire_type, bytes)?);
            }
            Some(Slot::Message(inner)) => {
                let inside = delimited(wire_type, bytes)?;
                let depth = depth.checked_sub(1).ok_or_else(|| error("recursion limit reached"))?;
                merge(inner, inside, depth)?;
            }
        }
    }
    Ok(())
}

fn number(wire_type: WireType, bytes: &mut &[u8]) -> Result<u64, DecodeError> {
    check_wire_type(WireType::Varint, wire_type)?;
    decode_varint(bytes)
}

fn delimited<'a>(wire_type: WireType, bytes: &mut &'a [u8]) -> Result<&'a [u8], DecodeError> {
    check_wire_type(WireType::LengthDelimited, wire_type)?;
    let length = usize::try_from(decode_varint(bytes)?).unwrap_or(usize::MAX);
    let (inside, rest) = bytes.split_at_checked(length).ok_or_else(|| error("buffer underflow"))?;
    *bytes = rest;
    Ok(inside)
}

#[expect(deprecated, reason = "prost has no other way to make its error")]
fn error(description: &'static str) -> DecodeError {
    DecodeError::new(description)
}

/// The new last item.
pub fn pushed<T: Default>(items: &mut Vec<T>) -> &mut T {
    items.push(T::default());
    let last = items.len() - 1;
    &mut items[last]
}

#[cfg(test)]
mod tests;

/// prost's trait for a type that is [`Compact`].
#[doc(hidden)]
#[macro_export]
macro_rules! compact_message {
    ($name:ident) => {
        impl $crate::prost::Message for $name {
            fn encode_raw(&self, buf: &mut impl $crate::prost::bytes::BufMut) {
                $crate::compact::encode(self, buf);
            }

            fn merge_field(
                &mut self,
                tag: u32,
                wire_type: $crate::prost::encoding::WireType,
                buf: &mut impl $crate::prost::bytes::Buf,
                _: $crate::prost::encoding::DecodeContext,
            ) -> Result<(), $crate::prost::DecodeError> {
                $crate::compact::merge_field(self, tag, wire_type, buf)
            }

            fn encoded_len(&self) -> usize {
                $crate::compact::encoded_len(self)
            }

            fn encode_to_vec(&self) -> $crate::prost::alloc::vec::Vec<u8> {
                $crate::compact::encode_to_vec(self)
            }

            fn merge(
                &mut self,
                buf: impl $crate::prost::bytes::Buf,
            ) -> Result<(), $crate::prost::DecodeError> {
                $crate::compact::merge_from(self, buf)
            }

            fn clear(&mut self) {
                *self = Default::default();
            }
        }
    };
}
