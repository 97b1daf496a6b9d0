//! One decoder and one encoder for all messages. A message tells by [`Decode`] and [`Encode`] where its fields are; prost's
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

/// What a message has to tell of itself to be read. Apart from [`Encode`], so that what is never read, or never written,
/// leaves no code.
///
/// Not `Debug`: through a trait object, the names of all fields would be in what browsers load.
pub trait Decode {
    /// Reads the field of this number, with the input's method for what it holds.
    fn field(&mut self, tag: u32, input: &mut Input<'_>);
}

/// What a message has to tell of itself to be written.
pub trait Encode {
    /// Writes all fields, ascending.
    fn write(&self, out: &mut Out<'_>);
}

/// What a message is read from, at one of its fields.
pub struct Input<'a> {
    bytes: &'a [u8],
    tag: u32,
    wire_type: WireType,
    depth: u32,
    /// The first thing that was wrong.
    error: Option<DecodeError>,
}

impl<'a> Input<'a> {
    /// A number.
    pub fn number(&mut self) -> u64 {
        let number =
            check_wire_type(WireType::Varint, self.wire_type).and_then(|()| decode_varint(&mut self.bytes));
        self.accept(number)
    }

    /// A truth value.
    pub fn bool(&mut self, value: &mut bool) {
        *value = self.number() != 0;
    }

    /// A number.
    pub fn u32(&mut self, value: &mut u32) {
        *value = self.number() as u32;
    }

    /// An enumeration.
    pub fn i32(&mut self, value: &mut i32) {
        *value = self.number() as i32;
    }

    /// A long number.
    pub fn u64(&mut self, value: &mut u64) {
        *value = self.number();
    }

    /// A truth value that may be absent.
    pub fn optional_bool(&mut self, value: &mut Option<bool>) {
        self.bool(value.get_or_insert_default());
    }

    /// A number that may be absent.
    pub fn optional_u32(&mut self, value: &mut Option<u32>) {
        self.u32(value.get_or_insert_default());
    }

    /// An enumeration that may be absent.
    pub fn optional_i32(&mut self, value: &mut Option<i32>) {
        self.i32(value.get_or_insert_default());
    }

    /// A long number that may be absent.
    pub fn optional_u64(&mut self, value: &mut Option<u64>) {
        self.u64(value.get_or_insert_default());
    }

    /// Numbers, packed or one by one.
    pub fn u32s(&mut self, values: &mut Vec<u32>) {
        let context = DecodeContext::default();
        let read = encoding::uint32::merge_repeated(self.wire_type, values, &mut self.bytes, context);
        self.accept(read);
    }

    /// Enumerations, packed or one by one.
    pub fn i32s(&mut self, values: &mut Vec<i32>) {
        let context = DecodeContext::default();
        let read = encoding::int32::merge_repeated(self.wire_type, values, &mut self.bytes, context);
        self.accept(read);
    }

    /// Long numbers, packed or one by one.
    pub fn u64s(&mut self, values: &mut Vec<u64>) {
        let context = DecodeContext::default();
        let read = encoding::uint64::merge_repeated(self.wire_type, values, &mut self.bytes, context);
        self.accept(read);
    }

    /// Text, which must be UTF-8.
    pub fn text(&mut self, value: &mut String) {
        let text = core::str::from_utf8(self.delimited());
        let text = text.map_err(|_| error("invalid string value: data is not UTF-8 encoded"));
        *value = self.accept(text).into();
    }

    /// Text that may be absent.
    pub fn optional_text(&mut self, value: &mut Option<String>) {
        self.text(value.get_or_insert_default());
    }

    /// One more text.
    pub fn texts(&mut self, values: &mut Vec<String>) {
        self.text(pushed(values));
    }

    /// Bytes.
    pub fn bytes(&mut self, value: &mut Vec<u8>) {
        *value = self.delimited().into();
    }

    /// Bytes that may be absent.
    pub fn optional_bytes(&mut self, value: &mut Option<Vec<u8>>) {
        self.bytes(value.get_or_insert_default());
    }

    /// One more piece of bytes.
    pub fn pieces(&mut self, values: &mut Vec<Vec<u8>>) {
        self.bytes(pushed(values));
    }

    /// A message within.
    pub fn message(&mut self, message: &mut dyn Decode) {
        let inside = self.delimited();
        let read = match self.depth.checked_sub(1) {
            Some(depth) => merge(message, inside, depth),
            None => Err(error("recursion limit reached")),
        };
        self.accept(read);
    }

    /// A field that is not known.
    pub fn skip(&mut self) {
        let context = DecodeContext::default();
        let skipped = encoding::skip_field(self.wire_type, self.tag, &mut self.bytes, context);
        self.accept(skipped);
    }

    fn delimited(&mut self) -> &'a [u8] {
        let inside = check_wire_type(WireType::LengthDelimited, self.wire_type)
            .and_then(|()| decode_varint(&mut self.bytes))
            .and_then(|length| {
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                let (inside, rest) =
                    self.bytes.split_at_checked(length).ok_or_else(|| error("buffer underflow"))?;
                self.bytes = rest;
                Ok(inside)
            });
        self.accept(inside)
    }

    /// What was read, or nothing and an error.
    fn accept<T: Default>(&mut self, read: Result<T, DecodeError>) -> T {
        read.unwrap_or_else(|error| {
            self.error.get_or_insert(error);
            T::default()
        })
    }
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
    pub fn message(&mut self, tag: u32, value: &dyn Encode) {
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
pub fn encoded_len(message: &dyn Encode) -> usize {
    let mut out = Out { bytes: None, len: 0 };
    message.write(&mut out);
    out.len
}

/// The message's bytes.
pub fn encode_to_vec(message: &dyn Encode) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(encoded_len(message));
    message.write(&mut Out { bytes: Some(&mut bytes), len: 0 });
    bytes
}

/// Writes the message's bytes to a buffer of any kind.
pub fn encode(message: &dyn Encode, buf: &mut impl BufMut) {
    buf.put_slice(&encode_to_vec(message));
}

/// Reads fields from a buffer of any kind until it is empty.
///
/// # Errors
/// When the bytes are not what the message says.
pub fn merge_from(message: &mut dyn Decode, mut buf: impl Buf) -> Result<(), DecodeError> {
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
    message: &mut dyn Decode,
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

fn merge(message: &mut dyn Decode, bytes: &[u8], depth: u32) -> Result<(), DecodeError> {
    let mut input = Input { bytes, tag: 0, wire_type: WireType::Varint, depth, error: None };
    while !input.bytes.is_empty() {
        (input.tag, input.wire_type) = decode_key(&mut input.bytes)?;
        message.field(input.tag, &mut input);
        if let Some(error) = input.error {
            return Err(error);
        }
    }
    Ok(())
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

/// prost's trait for a type that is [`Decode`] and [`Encode`].
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
