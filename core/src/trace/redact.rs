//! Takes out of a trace what people wrote, without changing how long it is.

use alloc::string::String;
use alloc::vec::Vec;

use enfilade_proto::schema::{self, Content};
use prost::encoding::{
    DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field,
};

use super::format::StoredHead;
use crate::client::{Input, redact_record};
use crate::op::{self, Body};

/// Takes the place of any byte that is not known to be text.
const FILLER: u8 = b'x';

pub(super) fn head(head: &StoredHead) -> StoredHead {
    StoredHead { is_redacted: true, agent: text(&head.agent), ..head.clone() }
}

pub(super) fn input(input: Input) -> Input {
    match input {
        Input::Frame { generation, bytes } => {
            // What is no frame is only counted, whatever it says.
            let redacted = message("ServerFrame", &bytes).unwrap_or_else(|| filler(&bytes));
            Input::Frame { generation, bytes: redacted }
        }
        Input::Disconnected { generation, code, reason } => {
            Input::Disconnected { generation, code, reason: text(&reason) }
        }
        Input::Restore(records) => {
            let redacted = |(key, value): (String, Vec<u8>)| {
                let value = redact_record(&key, &value).unwrap_or_else(|| filler(&value));
                (key, value)
            };
            Input::Restore(records.into_iter().map(redacted).collect())
        }
        Input::Loaded { key, record } => {
            let record = record.map(|value| redact_record(&key, &value).unwrap_or_else(|| filler(&value)));
            Input::Loaded { key, record }
        }
        Input::PutElements(room, mut elements) => {
            elements.iter_mut().for_each(|element| element.value.fill(FILLER));
            Input::PutElements(room, elements)
        }
        Input::SetElement { room, key, value } => {
            Input::SetElement { room, key, value: value.map(|value| filler(&value)) }
        }
        Input::Resubmit(room, mut made) => {
            for made in &mut made {
                made.op = message("Op", &made.op).unwrap_or_default();
            }
            Input::Resubmit(room, made)
        }
        Input::SetToken(token) => Input::SetToken(text(&token)),
        Input::Edit(id, body) => Input::Edit(id, operation(body)),
        Input::Submit(room, body) => Input::Submit(room, operation(body)),
        Input::Amend(room, body) => Input::Amend(room, operation(body)),
        Input::CreateRoom { name, visibility, topic } => {
            Input::CreateRoom { name: text(&name), visibility, topic: text(&topic) }
        }
        Input::SetDraft(room, draft) => Input::SetDraft(room, text(&draft)),
        Input::Signal { room, class, kind, key, payload } => {
            Input::Signal { room, class, kind, key, payload: filler(&payload) }
        }
        Input::Connected { .. }
        | Input::Timeout
        | Input::Network(_)
        | Input::Connect
        | Input::Disconnect
        | Input::Logout
        | Input::Acquire(_)
        | Input::Release(_)
        | Input::SetTier(..)
        | Input::MarkRead(_)
        | Input::Cancel(_)
        | Input::LoadOlder(..)
        | Input::FillGap(..)
        | Input::SetScroll(..)
        | Input::ResolveConflict(..)
        | Input::WarmUp(_)
        // Ids of rooms alone.
        | Input::ImportNavigation(_)
        | Input::EraseNavigation
        | Input::ForgetVisits
        | Input::WatchRooms(_) => input,
    }
}

fn operation(body: Body) -> Body {
    let redacted = message("Op", &op::encode(body.clone())).and_then(|bytes| op::read(&bytes));
    redacted.unwrap_or(body)
}

/// The text with other letters, each as long as the one it replaces. White space stays, and so do colons, by which an
/// emote is known.
pub(crate) fn text(text: &str) -> String {
    let other = |letter: char| match letter {
        letter if letter.is_whitespace() || letter == ':' || letter.is_control() => letter,
        letter => ['x', '\u{e9}', '\u{20ac}', '\u{1d54f}'][letter.len_utf8() - 1],
    };
    text.chars().map(other).collect()
}

/// A message of the protocol by its name. Fields that the schema does not know are left out; `None` when the bytes are
/// no such message.
pub(crate) fn message(name: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let message = schema::MESSAGES.iter().find(|message| message.name == name)?;
    let (mut rest, mut redacted) = (bytes, Vec::with_capacity(bytes.len()));
    while !rest.is_empty() {
        let (tag, wire_type) = decode_key(&mut rest).ok()?;
        let content = message.fields.iter().find(|field| field.tag == tag).map(|field| &field.content);
        let (Some(content), WireType::LengthDelimited) = (content, wire_type) else {
            let before = rest;
            skip_field(wire_type, tag, &mut rest, DecodeContext::default()).ok()?;
            if matches!(content, Some(Content::Number)) {
                encode_key(tag, wire_type, &mut redacted);
                redacted.extend_from_slice(&before[..before.len() - rest.len()]);
            }
            continue;
        };
        let length = usize::try_from(decode_varint(&mut rest).ok()?).ok()?;
        let (value, after) = rest.split_at_checked(length)?;
        rest = after;
        let value = match content {
            // Packed numbers.
            Content::Identifier | Content::Number => value.to_vec(),
            Content::Text => text(core::str::from_utf8(value).ok()?).into_bytes(),
            Content::Bytes => filler(value),
            Content::Op => self::message("Op", value).unwrap_or_else(|| filler(value)),
            Content::Message(name) => self::message(name, value)?,
            Content::Digest => continue,
        };
        encode_key(tag, wire_type, &mut redacted);
        encode_varint(value.len() as u64, &mut redacted);
        redacted.extend(value);
    }
    Some(redacted)
}

fn filler(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|_| FILLER).collect()
}
