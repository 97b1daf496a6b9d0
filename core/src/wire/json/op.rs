//! Operations: a nested object in JSON, bytes everywhere else.

use alloc::string::String;
use alloc::vec::Vec;

use prost::Message as _;
use serde::{Deserialize, Serialize};

use super::leaf::{Base64, Int, Visibility};
use super::mirror::{Mirror, OneOf, messages, oneof};
use super::room::{OpId, Position};
use crate::v1;

/// The bytes of an operation, as `{"post_message": {…}}`.
///
/// `unknown` holds all of the bytes where the object alone does not lead back to them, because they hold a kind or
/// fields that this version does not know, or are no operation. Then they count, and the object is for reading.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Op {
    #[serde(flatten)]
    body: OneOf<Body>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<Base64>,
}

impl Mirror for Op {
    type Wire = Vec<u8>;

    fn of(wire: Vec<u8>) -> Self {
        let op = v1::Op::decode(&*wire).unwrap_or_default();
        let complete = op.encode_to_vec() == wire;
        let v1::Op { body } = op;
        Op { body: OneOf(Mirror::of(body)), unknown: (!complete).then_some(Base64(wire)) }
    }

    fn wire(self) -> Vec<u8> {
        let Op { body, unknown } = self;
        match unknown {
            Some(bytes) => bytes.0,
            None => v1::Op { body: body.0.wire() }.encode_to_vec(),
        }
    }

    fn absent(&self) -> bool {
        self.body.0.is_none() && self.unknown.is_none()
    }
}

oneof! {
    Body = v1::op::Body {
        "create_room" CreateRoom => CreateRoom,
        "set_info" SetInfo => SetInfo,
        "set_config" SetConfig => SetConfig,
        "join" Join => Join,
        "leave" Leave => Leave,
        "post_message" PostMessage => PostMessage,
        "follow_room" FollowRoom => FollowRoom,
        "unfollow_room" UnfollowRoom => UnfollowRoom,
        "notify" Notify => Notify,
        "set_read_marker" SetReadMarker => SetReadMarker,
    }
}

messages! {
    CreateRoom {
        name: String,
        visibility: Visibility,
        topic: String,
    }
    SetInfo {
        name: Option<String>,
        topic: Option<String>,
        visibility: Option<Visibility>,
    }
    SetConfig {
        slow_mode_enabled: Option<bool>,
        slow_mode_duration: Option<u32>,
        subscriber_only: Option<bool>,
        follower_only: Option<bool>,
        emote_only: Option<bool>,
    }
    Join {}
    Leave {}
    PostMessage {
        text: String,
        mentions: Vec<String>,
        reply_to: Option<OpId>,
    }
    FollowRoom {
        room_id: String,
        as_of: Option<Position>,
    }
    UnfollowRoom {
        room_id: String,
        as_of: Option<Position>,
    }
    Notify {
        room_id: String,
        message_id: Option<OpId>,
        ordinal: Int,
        author: String,
        author_name: String,
        excerpt: String,
        at: Int,
    }
    SetReadMarker {
        room_id: String,
        ordinal: Int,
    }
}
