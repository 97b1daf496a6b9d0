//! How questions are read.

use enfilade_core::wire::json;
use enfilade_core::{Code, Entry, Position, RoomId, RoomState, op, v1};
use serde_json::{Value, json};
use v1::room_state_sync::Data;
use v1::server_frame::Body;

use crate::Problem;

/// What a frame may be long: a question holds whole rooms.
const BYTES: usize = 16 * 1024 * 1024;

pub(crate) fn text<'a>(input: &'a Value, field: &str) -> Result<&'a str, Problem> {
    input[field].as_str().ok_or_else(|| format!("{field}: a text is missing"))
}

pub(crate) fn number(input: &Value, field: &str) -> Result<u64, Problem> {
    input[field].as_u64().ok_or_else(|| format!("{field}: a number is missing"))
}

pub(crate) fn list<'a>(input: &'a Value, field: &str) -> Result<&'a [Value], Problem> {
    input[field].as_array().map(Vec::as_slice).ok_or_else(|| format!("{field}: a list is missing"))
}

pub(crate) fn bytes(input: &Value, field: &str) -> Result<Vec<u8>, Problem> {
    let digits = text(input, field)?;
    let byte = |at| digits.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (0..digits.len())
        .step_by(2)
        .map(|at| byte(at).ok_or_else(|| format!("{field}: no hexadecimal digits")))
        .collect()
}

pub(crate) fn position(input: &Value) -> Result<Position, Problem> {
    Ok(Position { epoch: number(input, "epoch")?, seq: number(input, "seq")? })
}

pub(crate) fn position_json(position: Position) -> Value {
    json!({ "epoch": position.epoch, "seq": position.seq })
}

pub(crate) fn code(code: Code) -> Value {
    json!({ "code": code.name() })
}

/// A `room_state_sync` frame, as the JSON codec writes it.
pub(crate) fn sync(input: &Value) -> Result<v1::RoomStateSync, Problem> {
    let frame = json!({ "room_state_sync": input }).to_string();
    match json::decode_server(frame.as_bytes(), BYTES).map_err(|code| code.to_string())?.body {
        Some(Body::RoomStateSync(sync)) => Ok(sync),
        _ => Err("no room_state_sync".into()),
    }
}

/// The entries of a `DELTA_UPDATE`.
pub(crate) fn entries(sync: &v1::RoomStateSync) -> Result<Vec<Entry>, Problem> {
    let Some(Data::DeltaUpdate(update)) = &sync.data else { return Err("no DELTA_UPDATE".into()) };
    update.entries.iter().map(|entry| Entry::parse(entry.clone()).map_err(|code| code.to_string())).collect()
}

/// An operation, as the JSON codec writes it.
pub(crate) fn op(input: &Value) -> Result<Vec<u8>, Problem> {
    let frame = json!({ "submit": { "op": input } }).to_string();
    match json::decode_client(frame.as_bytes(), BYTES).map_err(|code| code.to_string())?.body {
        Some(v1::client_frame::Body::Submit(submit)) => Ok(submit.op),
        _ => Err("no operation".into()),
    }
}

/// An operation that the core knows, or the code by which it is refused whatever the room.
pub(crate) fn body(input: &Value) -> Result<Result<op::Body, Code>, Problem> {
    Ok(op::parse(&self::op(input)?))
}

/// A room's state out of a snapshot in JSON; an empty room for `null`.
pub(crate) fn state(id: RoomId, input: &Value) -> Result<RoomState, Problem> {
    if input.is_null() {
        return Ok(RoomState::replica(id));
    }
    RoomState::restore(id, snapshot(input)?, true).map_err(|code| code.to_string())
}

/// A snapshot, as the JSON codec writes it.
pub(crate) fn snapshot(input: &Value) -> Result<v1::RoomSnapshot, Problem> {
    let whole = json!({ "message_type": "BULK_SYNC", "data": { "snapshot": input, "parts": 1 } });
    match sync(&whole)?.data {
        Some(Data::BulkSync(v1::BulkSync { snapshot: Some(snapshot), .. })) => Ok(snapshot),
        _ => Err("no snapshot".into()),
    }
}

/// An element of a map.
pub(crate) fn element(input: &Value) -> Result<v1::Element, Problem> {
    let elements = snapshot(&json!({ "elements": [input] }))?.elements;
    elements.into_iter().next().ok_or_else(|| "no element".into())
}

/// Messages of a timeline.
pub(crate) fn messages(input: &Value) -> Result<Vec<v1::Message>, Problem> {
    Ok(snapshot(&json!({ "timeline": input }))?.timeline)
}

/// One of several names.
pub(crate) fn name<T: Copy>(input: &Value, field: &str, names: &[(&str, T)]) -> Result<T, Problem> {
    let given = text(input, field)?;
    let known = names.iter().find(|(name, _)| *name == given);
    known.map(|(_, value)| *value).ok_or_else(|| format!("{field}: no {given:?}"))
}

/// A snapshot in JSON.
pub(crate) fn snapshot_json(snapshot: v1::RoomSnapshot) -> Result<Value, Problem> {
    let data = Data::BulkSync(v1::BulkSync { parts: 1, snapshot: Some(snapshot), ..Default::default() });
    let message_type = v1::MessageType::BulkSync.into();
    let sync = v1::RoomStateSync { message_type, data: Some(data), ..Default::default() };
    let frame = v1::ServerFrame { body: Some(Body::RoomStateSync(sync)) };
    let mut frame: Value =
        serde_json::from_slice(&json::encode_server(&frame)).map_err(|error| error.to_string())?;
    Ok(frame["room_state_sync"]["data"]["snapshot"].take())
}

pub(crate) fn room_id(input: &Value) -> Result<RoomId, Problem> {
    RoomId::new(text(input, "room")?).map_err(|code| code.to_string())
}
