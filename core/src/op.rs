//! Operations: what a client asks for. The bytes are relayed as they came; this module reads and checks them.

mod people;

use alloc::string::String;
use alloc::vec::Vec;

use prost::Message as _;

use crate::state::FOLD_VERSION;
pub use crate::v1::op::Body;
use crate::{Code, OpId, RoomId, UserId, limits, text, v1};

/// Reads an operation and checks all that can be checked without the room: names, lengths, ids.
pub fn parse(bytes: &[u8]) -> Result<Body, Code> {
    if bytes.len() > limits::OP_BYTES {
        return Err(Code::OpTooLarge);
    }
    let body = v1::Op::decode(bytes).ok().and_then(|op| op.body).ok_or(Code::InvalidOp)?;
    check(&body)?;
    Ok(body)
}

/// Reads an operation out of a log: `None` for a kind that this version does not know, which folds to nothing.
pub(crate) fn read(bytes: &[u8]) -> Option<Body> {
    v1::Op::decode(bytes).ok()?.body
}

/// The bytes of an operation.
pub fn encode(body: Body) -> Vec<u8> {
    v1::Op { body: Some(body) }.encode_to_vec()
}

/// A message without mentions.
pub fn post(text: impl Into<String>) -> Body {
    Body::PostMessage(v1::PostMessage { text: text.into(), ..Default::default() })
}

fn check(body: &Body) -> Result<(), Code> {
    match body {
        Body::CreateRoom(create) => {
            text::name(&create.name)?;
            text::topic(&create.topic)?;
            visibility(create.visibility)
        }
        Body::SetInfo(info) => {
            info.name.as_deref().map(text::name).transpose()?;
            info.topic.as_deref().map(text::topic).transpose()?;
            info.visibility.map_or(Ok(()), visibility)
        }
        Body::SetConfig(_) | Body::Join(_) | Body::Leave(_) => Ok(()),
        Body::PostMessage(post) => {
            text::message(&post.text)?;
            mentions(&post.mentions)?;
            post.reply_to.map_or(Ok(()), |id| OpId::parse(Some(&id)).map(drop))
        }
        Body::EditMessage(edit) => {
            message(edit.message_id.as_ref(), edit.message_seq)?;
            text::message(&edit.text)?;
            mentions(&edit.mentions)
        }
        Body::DeleteMessage(delete) => message(delete.message_id.as_ref(), delete.message_seq),
        Body::React(react) => {
            message(react.message_id.as_ref(), react.message_seq)?;
            text::reaction(&react.reaction).map(drop)
        }
        Body::Pin(pin) => message(pin.message_id.as_ref(), pin.message_seq),
        Body::RaiseFoldVersion(raise) if (1..=FOLD_VERSION).contains(&raise.version) => Ok(()),
        Body::RaiseFoldVersion(_) => Err(Code::InvalidRequest),
        Body::FollowRoom(v1::FollowRoom { room_id, .. })
        | Body::UnfollowRoom(v1::UnfollowRoom { room_id, .. }) => RoomId::new(room_id).map(drop),
        Body::Notify(notify) => {
            RoomId::new(&notify.room_id)?;
            OpId::parse(notify.message_id.as_ref()).map(drop)
        }
        Body::SetReadMarker(marker) => {
            RoomId::new(&marker.room_id)?;
            if marker.ordinal < limits::INTEGER_BOUND { Ok(()) } else { Err(Code::InvalidRequest) }
        }
        Body::PutElements(put) => put_elements(put),
        Body::SetRole(_)
        | Body::Kick(_)
        | Body::Ban(_)
        | Body::Mute(_)
        | Body::Invite(_)
        | Body::SetBadges(_)
        | Body::SetPermissions(_)
        | Body::RequestFriend(_)
        | Body::AnswerFriend(_)
        | Body::RemoveFriend(_)
        | Body::BlockUser(_)
        | Body::FollowUser(_)
        | Body::SetStatus(_)
        | Body::FriendNews(_)
        | Body::FriendStatus(_)
        | Body::SetTeams(_)
        | Body::JoinTeam(_)
        | Body::LeaveTeam(_)
        | Body::AddScore(_)
        | Body::ResetScores(_) => people::check(body),
        Body::SetConflictMode(set) => {
            let known = set.conflict_type() != v1::ConflictType::Unspecified
                && v1::ConflictMode::try_from(set.mode).is_ok()
                && v1::ConflictChoice::try_from(set.default_choice).is_ok();
            let within = set.timeout <= limits::CONFLICT_TIMEOUT_MAX;
            if known && within { Ok(()) } else { Err(Code::InvalidRequest) }
        }
        Body::AddConflict(v1::AddConflict { conflict }) => {
            let conflict = conflict.as_ref().ok_or(Code::InvalidRequest)?;
            RoomId::new(&conflict.room_id)?;
            key(&conflict.key)?;
            OpId::parse(conflict.id.as_ref()).map(drop)
        }
        Body::ResolveConflict(resolve) => {
            OpId::parse(resolve.conflict_id.as_ref())?;
            let chosen = resolve.choice() != v1::ConflictChoice::Unspecified;
            if chosen { Ok(()) } else { Err(Code::InvalidRequest) }
        }
    }
}

fn put_elements(put: &v1::PutElements) -> Result<(), Code> {
    if !(1..=limits::ELEMENTS_PER_OP).contains(&put.elements.len()) {
        return Err(Code::InvalidRequest);
    }
    put.elements.iter().try_for_each(element)
}

fn element(element: &v1::ElementChange) -> Result<(), Code> {
    key(&element.key)?;
    let numbers =
        (1..limits::INTEGER_BOUND).contains(&element.version) && element.nonce < limits::INTEGER_BOUND;
    let index = element.index.len() <= limits::ELEMENT_INDEX_BYTES
        && element.index.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match () {
        () if element.value.len() > limits::ELEMENT_BYTES => Err(Code::ElementTooLarge),
        () if !numbers || !index => Err(Code::InvalidRequest),
        () => Ok(()),
    }
}

/// The key of a register: short, and printable.
fn key(key: &str) -> Result<(), Code> {
    let within = (1..=limits::ELEMENT_KEY_BYTES).contains(&key.len());
    if within && !key.chars().any(char::is_control) { Ok(()) } else { Err(Code::InvalidRequest) }
}

/// The message that an operation changes, and where it lies in the log; 0 where that is not known.
pub(crate) fn target(body: &Body) -> Option<(OpId, u64)> {
    let (id, seq) = match body {
        Body::EditMessage(edit) => (&edit.message_id, edit.message_seq),
        Body::DeleteMessage(delete) => (&delete.message_id, delete.message_seq),
        Body::React(react) => (&react.message_id, react.message_seq),
        Body::Pin(pin) => (&pin.message_id, pin.message_seq),
        _ => return None,
    };
    Some((OpId::parse(id.as_ref()).ok()?, seq))
}

fn message(id: Option<&v1::OpId>, seq: u64) -> Result<(), Code> {
    OpId::parse(id)?;
    if seq < limits::INTEGER_BOUND { Ok(()) } else { Err(Code::InvalidRequest) }
}

fn mentions(users: &[String]) -> Result<(), Code> {
    if users.len() > limits::MENTIONS {
        return Err(Code::InvalidRequest);
    }
    users.iter().try_for_each(|user| UserId::new(user).map(drop))
}

fn visibility(number: i32) -> Result<(), Code> {
    v1::Visibility::try_from(number).map(drop).map_err(|_| Code::InvalidRequest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_survives_its_bytes() {
        let body = post("hello");
        assert_eq!(parse(&encode(body.clone())), Ok(body));
    }

    #[test]
    fn garbage_empty_and_unknown_operations_are_refused() {
        for bad in [&b""[..], b"\xff\xff\xff", &[0xf2, 0x7f, 1, 0]] {
            assert_eq!(parse(bad), Err(Code::InvalidOp), "{bad:?}");
        }
        assert_eq!(parse(&alloc::vec![0; limits::OP_BYTES + 1]), Err(Code::OpTooLarge));
    }

    fn put(key: &str, version: u64, index: &str) -> Body {
        let element =
            v1::ElementChange { key: key.into(), version, index: index.into(), ..Default::default() };
        Body::PutElements(v1::PutElements { elements: alloc::vec![element] })
    }

    #[test]
    fn the_largest_element_fits_and_a_larger_one_is_named_as_such() {
        let sized = |bytes: usize| {
            let Body::PutElements(mut put) = put(&"k".repeat(limits::ELEMENT_KEY_BYTES), 1, "a0") else {
                panic!()
            };
            put.elements[0].value = alloc::vec![0; bytes];
            parse(&encode(Body::PutElements(put))).map(drop)
        };
        assert_eq!(sized(limits::ELEMENT_BYTES), Ok(()));
        assert_eq!(sized(limits::ELEMENT_BYTES + 1), Err(Code::ElementTooLarge));
    }

    #[test]
    fn fields_out_of_bounds_are_refused() {
        let message_id = Some(v1::OpId { client: 1, counter: 1 });
        let bad = [
            Body::PostMessage(v1::PostMessage { text: "".into(), ..Default::default() }),
            Body::PostMessage(v1::PostMessage {
                text: "x".into(),
                mentions: alloc::vec!["a".into(); 51],
                reply_to: None,
            }),
            Body::CreateRoom(v1::CreateRoom { name: "\u{0}".into(), ..Default::default() }),
            Body::CreateRoom(v1::CreateRoom { name: "n".into(), visibility: 9, ..Default::default() }),
            put("", 1, "a0"),
            put("k\n", 1, "a0"),
            put("k", 0, "a0"),
            put("k", 1 << 53, "a0"),
            put("k", 1, "a 0"),
            Body::PutElements(v1::PutElements::default()),
            Body::SetReadMarker(v1::SetReadMarker { room_id: "a b".into(), ordinal: 1 }),
            Body::DeleteMessage(v1::DeleteMessage::default()),
            Body::React(v1::React { message_id, reaction: "a b".into(), ..Default::default() }),
            Body::React(v1::React { message_id, reaction: "👍".repeat(17), ..Default::default() }),
            Body::EditMessage(v1::EditMessage { message_id, text: " ".into(), ..Default::default() }),
            Body::Pin(v1::Pin { message_id, message_seq: 1 << 53, removed: false }),
            Body::SetReadMarker(v1::SetReadMarker { room_id: "a".into(), ordinal: 1 << 53 }),
        ];
        for body in bad {
            assert!(parse(&encode(body.clone())).is_err(), "{body:?}");
        }
    }
}
