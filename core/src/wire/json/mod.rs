//! The JSON codec: the frames of the binary codec as text, for people and for clients without protobuf.
//!
//! A frame is an object with one key, the snake-case name of its type: `{"hello": {…}}`. Fields have the names of
//! `enfilade.proto`, and as there, one that is missing reads as its default: zero, false, empty, an enum's first value.
//! Defaults are not written, but for a field that is `optional` there and present. Enums are upper-case names without
//! prefix (`ACTIVE`), bytes are base64, integers are numbers below 2^53, the `timestamp` of a sync is ISO 8601 and
//! every other time a number of milliseconds. An operation is an object with one key too, `{"post_message": {…}}`;
//! what its fields don't tell lies beside it in `unknown` (see [`Op`](op::Op)). The `data` of a sync is an object
//! whose shape follows from `message_type`.
//!
//! Unknown keys are ignored, wherever they are. Nesting is bounded by serde_json, at 128 levels; what is skipped is
//! skipped without recursion. A server takes frames of the same size in both codecs; what it sends may be several
//! times as long in JSON, since it is cut to size as protobuf.

use alloc::vec::Vec;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::within;
use crate::{Code, v1};
use mirror::Mirror;

mod frame;
mod leaf;
mod mirror;
mod op;
mod room;
mod sync;

/// The text of a frame towards the server.
pub fn encode_client(frame: &v1::ClientFrame) -> Vec<u8> {
    encode(&frame::ClientFrame::of(frame.clone()))
}

/// The text of a frame towards the client.
pub fn encode_server(frame: &v1::ServerFrame) -> Vec<u8> {
    encode(&frame::ServerFrame::of(frame.clone()))
}

/// Reads a frame from a client of at most `max` bytes.
pub fn decode_client(bytes: &[u8], max: usize) -> Result<v1::ClientFrame, Code> {
    decode::<frame::ClientFrame>(bytes, max).map(Mirror::wire)
}

/// Reads a frame from a server of at most `max` bytes.
pub fn decode_server(bytes: &[u8], max: usize) -> Result<v1::ServerFrame, Code> {
    decode::<frame::ServerFrame>(bytes, max).map(Mirror::wire)
}

/// The text of an operation's bytes, `{"post_message": {…}}`; of a kind that this version does not know, `unknown` holds
/// them.
pub fn encode_op(op: &[u8]) -> Vec<u8> {
    encode(&op::Op::of(op.to_vec()))
}

/// Reads an operation of at most `max` bytes, and returns its own bytes. What they mean is not checked.
pub fn decode_op(bytes: &[u8], max: usize) -> Result<Vec<u8>, Code> {
    decode::<op::Op>(bytes, max).map(Mirror::wire)
}

fn encode(frame: &impl Serialize) -> Vec<u8> {
    // Writing to memory does not fail, and all keys are strings; an empty object is a frame that readers ignore.
    serde_json::to_vec(frame).unwrap_or_else(|_| b"{}".to_vec())
}

fn decode<F: DeserializeOwned>(bytes: &[u8], max: usize) -> Result<F, Code> {
    serde_json::from_slice(within(bytes, max)?).map_err(|_| Code::Malformed)
}

#[cfg(test)]
mod tests;
