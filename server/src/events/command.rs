//! What comes in: one operation of one user or service in one room.

use std::sync::Arc;

use enfilade_core::op::{self, Body};
use enfilade_core::policy::{Actor, Facts};
use enfilade_core::wire::json;
use enfilade_core::{Code, RoomId, UserId, limits, text, v1};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Bytes of a command: an operation at its longest with its base64, and what is around it.
pub const COMMAND_BYTES: usize = 128 * 1024;
/// Bytes of a command's id: a UUID, or a few names.
const ID_BYTES: usize = 128;
/// What the user id of a service begins with. Nobody gets a token for such a user.
const SERVICE: &str = "service:";

/// A command that can be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Its sender's name for it: what comes twice under one id is done once.
    pub id: String,
    /// Where it is to be done.
    pub room: RoomId,
    /// On whose behalf.
    pub actor: Arc<Actor>,
    /// The operation's bytes.
    pub op: Vec<u8>,
}

/// The JSON of a command. `user` or `service` says on whose behalf; keys that are not known are ignored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CommandBody {
    /// 1 to 128 bytes, different for each command.
    pub id: String,
    /// The room's id.
    pub room: String,
    /// The user whose operation it is: the room treats it like one from their own client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<CommandUser>,
    /// The service whose operation it is, by a name of its own. It may do what an administrator may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// One operation of the JSON protocol, such as `{"post_message": {"text": "hello"}}`, or in short
    /// `{"tap": {"points": 1}}` or `{"send": {"text": "hello"}}`.
    pub op: Map<String, Value>,
}

/// A user as a command names them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CommandUser {
    /// The user's id.
    pub id: String,
    /// The name that others see; as the room knows them when it is absent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// Why a command can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The nearest code.
    pub code: Code,
    /// What is wrong with it.
    pub text: String,
}

impl From<Code> for Unreadable {
    fn from(code: Code) -> Unreadable {
        Unreadable { code, text: code.text().into() }
    }
}

impl Command {
    /// Reads a command's JSON and checks all that can be checked without the room.
    ///
    /// # Errors
    /// What is wrong with it. It will never be right.
    pub fn parse(payload: &[u8]) -> Result<Command, Unreadable> {
        let wrong = |code, text: &str| Unreadable { code, text: text.into() };
        if payload.len() > COMMAND_BYTES {
            return Err(wrong(Code::OpTooLarge, &format!("a command has at most {COMMAND_BYTES} bytes")));
        }
        let body: CommandBody = serde_json::from_slice(payload)
            .map_err(|error| wrong(Code::Malformed, &format!("this is no command: {error}")))?;
        if !(1..=ID_BYTES).contains(&body.id.len()) {
            return Err(wrong(Code::InvalidRequest, &format!("an id has 1 to {ID_BYTES} bytes")));
        }
        let room = RoomId::new(&body.room)?;
        let actor = match (&body.user, &body.service) {
            (Some(user), None) => person(user)?,
            (None, Some(service)) => self::service(service)?,
            _ => return Err(wrong(Code::InvalidRequest, "a command has either a `user` or a `service`")),
        };
        Ok(Command { id: body.id, room, actor: Arc::new(actor), op: operation(body.op)? })
    }
}

fn person(user: &CommandUser) -> Result<Actor, Unreadable> {
    let wrong = |text: &str| Unreadable { code: Code::InvalidRequest, text: text.into() };
    let id = UserId::new(&user.id).map_err(|_| wrong("a user id has 1 to 48 of a-z A-Z 0-9 - _ . :"))?;
    if user.id.starts_with(SERVICE) {
        return Err(wrong("a service is named in `service`"));
    }
    if !user.name.is_empty() {
        text::name(&user.name)?;
    }
    Ok(Actor::new(id, user.name.clone()))
}

fn service(name: &str) -> Result<Actor, Unreadable> {
    let id = UserId::new(&format!("{SERVICE}{name}")).ok().filter(|_| !name.is_empty());
    let text = "a service has a name of 1 to 40 of a-z A-Z 0-9 - _ . :".into();
    let id = id.ok_or(Unreadable { code: Code::InvalidRequest, text })?;
    Ok(Actor::User { id, name: name.into(), facts: Facts { is_admin: true, follows_owner: None } })
}

fn operation(mut op: Map<String, Value>) -> Result<Vec<u8>, Unreadable> {
    let wrong = |text: &str| Unreadable { code: Code::InvalidOp, text: text.into() };
    if op.len() != 1 {
        return Err(wrong("`op` is an object with one key, the operation's name"));
    }
    if let Some(tap) = op.remove("tap") {
        let points = tap.get("points").map_or(Some(1), Value::as_u64);
        let points = points.ok_or_else(|| wrong("the points of a tap are a number"))?;
        op.insert("add_score".into(), serde_json::json!({ "points": points }));
    }
    if let Some(send) = op.remove("send") {
        op.insert("post_message".into(), send);
    }
    let text = serde_json::to_vec(&op).map_err(|_| wrong("the operation can't be read"))?;
    let bytes = json::decode_op(&text, COMMAND_BYTES)
        .map_err(|_| wrong("the operation's fields are not those of its name"))?;
    op::parse(&bytes)?;
    Ok(bytes)
}

/// The JSON of a tap.
pub fn tap(id: String, room: &RoomId, user: &UserId, name: &str, points: u64) -> Vec<u8> {
    let body = CommandBody {
        id,
        room: room.as_str().into(),
        user: Some(CommandUser { id: user.as_str().into(), name: name.into() }),
        service: None,
        op: [("tap".to_owned(), serde_json::json!({ "points": points }))].into_iter().collect(),
    };
    // Text and numbers can always be written.
    serde_json::to_vec(&body).unwrap_or_default()
}

/// The operation of a tap.
pub fn score(points: u64) -> Body {
    Body::AddScore(v1::AddScore { points, user: None })
}

/// Bytes that an operation may have, for whoever makes one.
pub const OP_BYTES: usize = limits::OP_BYTES;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Command, Unreadable> {
        Command::parse(text.as_bytes())
    }

    fn code(text: &str) -> Code {
        parse(text).unwrap_err().code
    }

    #[test]
    fn a_tap_of_a_user_is_read_in_short_and_in_full() {
        let short =
            parse(r#"{"id":"1","room":"game","user":{"id":"ann","name":"Ann"},"op":{"tap":{"points":3}}}"#);
        let full = parse(
            r#"{"id":"1","room":"game","user":{"id":"ann","name":"Ann"},"op":{"add_score":{"points":3}}}"#,
        );
        assert_eq!(short, full);
        let command = short.unwrap();
        assert_eq!(op::parse(&command.op), Ok(score(3)));
        assert_eq!((command.actor.user(), command.actor.name()), ("ann", "Ann"));
        let one =
            parse(r#"{"id":"1","room":"game","user":{"id":"ann"},"op":{"tap":{}},"later":true}"#).unwrap();
        assert_eq!(op::parse(&one.op), Ok(score(1)));
        let user = UserId::new("ann").unwrap();
        let made = tap("1".into(), &command.room, &user, "Ann", 3);
        assert_eq!(Command::parse(&made), Ok(command));
    }

    #[test]
    fn a_service_has_a_user_of_its_own_whom_no_token_names() {
        let said = parse(r#"{"id":"1","room":"r","service":"bot","op":{"send":{"text":"hello"}}}"#).unwrap();
        assert_eq!(said.actor.user(), "service:bot");
        assert_eq!(op::parse(&said.op), Ok(op::post("hello")));
        let posing = r#"{"id":"1","room":"r","user":{"id":"service:bot"},"op":{"tap":{}}}"#;
        assert_eq!(code(posing), Code::InvalidRequest);
    }

    #[test]
    fn what_is_no_command_is_refused_with_the_reason() {
        assert_eq!(code("{"), Code::Malformed);
        assert_eq!(code("[1]"), Code::Malformed);
        assert_eq!(code(r#"{"id":"","room":"r","user":{"id":"a"},"op":{"tap":{}}}"#), Code::InvalidRequest);
        assert_eq!(code(r#"{"id":"1","room":"a b","user":{"id":"a"},"op":{"tap":{}}}"#), Code::InvalidRoomId);
        assert_eq!(code(r#"{"id":"1","room":"r","user":{"id":""},"op":{"tap":{}}}"#), Code::InvalidRequest);
        assert_eq!(code(r#"{"id":"1","room":"r","service":"","op":{"tap":{}}}"#), Code::InvalidRequest);
        assert_eq!(code(r#"{"id":"1","room":"r","op":{"tap":{}}}"#), Code::InvalidRequest);
        for op in ["{}", r#"{"fly":{}}"#, r#"{"tap":{},"send":{"text":"x"}}"#, r#"{"send":{"text":7}}"#] {
            let text = format!(r#"{{"id":"1","room":"r","user":{{"id":"a"}},"op":{op}}}"#);
            assert_eq!(code(&text), Code::InvalidOp, "{op}");
        }
        let empty = r#"{"id":"1","room":"r","user":{"id":"a"},"op":{"send":{"text":""}}}"#;
        assert_eq!(code(empty), Code::InvalidText);
        let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(COMMAND_BYTES));
        assert_eq!(code(&long), Code::OpTooLarge);
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(10));
        assert_eq!(code(&deep), Code::Malformed);
    }
}
