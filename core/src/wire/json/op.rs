//! Operations: a nested object in JSON, bytes everywhere else.

use alloc::string::String;
use alloc::vec::Vec;

use prost::Message as _;
use serde::{Deserialize, Serialize};

use super::leaf::{
    Availability, Base64, Capability, ConflictChoice, ConflictMode, ConflictType, FriendEvent, Int,
    NotificationKind, Role, Visibility,
};
use super::mirror::{Mirror, OneOf, messages, oneof};
use super::room::{Conflict, OpId, Position, Status};
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
        "edit_message" EditMessage => EditMessage,
        "delete_message" DeleteMessage => DeleteMessage,
        "react" React => React,
        "pin" Pin => Pin,
        "put_elements" PutElements => PutElements,
        "set_teams" SetTeams => SetTeams,
        "join_team" JoinTeam => JoinTeam,
        "leave_team" LeaveTeam => LeaveTeam,
        "add_score" AddScore => AddScore,
        "reset_scores" ResetScores => ResetScores,
        "set_role" SetRole => SetRole,
        "kick" Kick => Kick,
        "ban" Ban => Ban,
        "mute" Mute => Mute,
        "invite" Invite => Invite,
        "set_badges" SetBadges => SetBadges,
        "set_permissions" SetPermissions => SetPermissions,
        "set_conflict_mode" SetConflictMode => SetConflictMode,
        "raise_fold_version" RaiseFoldVersion => RaiseFoldVersion,
        "follow_room" FollowRoom => FollowRoom,
        "unfollow_room" UnfollowRoom => UnfollowRoom,
        "notify" Notify => Notify,
        "set_read_marker" SetReadMarker => SetReadMarker,
        "request_friend" RequestFriend => RequestFriend,
        "answer_friend" AnswerFriend => AnswerFriend,
        "remove_friend" RemoveFriend => RemoveFriend,
        "block_user" BlockUser => BlockUser,
        "follow_user" FollowUser => FollowUser,
        "set_status" SetStatus => SetStatus,
        "friend_news" FriendNews => FriendNews,
        "friend_status" FriendStatus => FriendStatus,
        "add_conflict" AddConflict => AddConflict,
        "resolve_conflict" ResolveConflict => ResolveConflict,
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
        capacity: Option<u32>,
    }
    Join {}
    Leave {}
    PostMessage {
        text: String,
        mentions: Vec<String>,
        reply_to: Option<OpId>,
    }
    EditMessage {
        message_id: Option<OpId>,
        message_seq: Int,
        text: String,
        mentions: Vec<String>,
    }
    DeleteMessage {
        message_id: Option<OpId>,
        message_seq: Int,
    }
    React {
        message_id: Option<OpId>,
        message_seq: Int,
        reaction: String,
        removed: bool,
    }
    Pin {
        message_id: Option<OpId>,
        message_seq: Int,
        removed: bool,
    }
    PutElements {
        elements: Vec<ElementChange>,
    }
    SetTeams {
        teams: Vec<String>,
    }
    JoinTeam {
        team: Option<String>,
    }
    LeaveTeam {}
    AddScore {
        points: Int,
        user: Option<String>,
    }
    ResetScores {}
    SetRole {
        user: String,
        role: Role,
    }
    Kick {
        user: String,
        reason: String,
    }
    Ban {
        user: String,
        until: Int,
        reason: String,
        lifted: bool,
    }
    Mute {
        user: String,
        until: Int,
        reason: String,
        lifted: bool,
    }
    Invite {
        user: String,
        withdrawn: bool,
    }
    SetBadges {
        user: String,
        badges: Vec<String>,
        color: String,
    }
    SetPermissions {
        role: Role,
        capabilities: Vec<Capability>,
        reset: bool,
    }
    SetConflictMode {
        conflict_type: ConflictType,
        mode: ConflictMode,
        timeout: Int,
        default_choice: ConflictChoice,
    }
    RaiseFoldVersion {
        version: u32,
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
        kind: NotificationKind,
    }
    SetReadMarker {
        room_id: String,
        ordinal: Int,
    }
    RequestFriend {
        user: String,
    }
    AnswerFriend {
        user: String,
        accepted: bool,
    }
    RemoveFriend {
        user: String,
    }
    BlockUser {
        user: String,
        lifted: bool,
    }
    FollowUser {
        user: String,
        removed: bool,
    }
    SetStatus {
        availability: Availability,
        text: String,
        until: Int,
    }
    FriendNews {
        user: String,
        user_name: String,
        event: FriendEvent,
        as_of: Option<Position>,
    }
    FriendStatus {
        user: String,
        status: Option<Status>,
        as_of: Option<Position>,
    }
    AddConflict {
        conflict: Option<Conflict>,
    }
    ResolveConflict {
        conflict_id: Option<OpId>,
        choice: ConflictChoice,
    }
    ElementChange {
        key: String,
        value: Base64,
        version: Int,
        nonce: Int,
        index: String,
        deleted: bool,
    }
}
