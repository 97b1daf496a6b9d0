//! Any frame at all, for property tests: built from bytes, so that proptest shrinks the bytes and with them the frame.

use alloc::string::String;
use alloc::vec::Vec;

use proptest::prelude::*;

use crate::limits::INTEGER_BOUND;
use crate::{op, v1};

/// Frames of the given type whose integers stay below 2^53.
pub(crate) fn frame<F: Any + core::fmt::Debug>() -> impl Strategy<Value = F> {
    proptest::collection::vec(any::<u8>(), 0..2_000).prop_map(|bytes| F::any(&mut Source { bytes, next: 0 }))
}

/// Where choices come from. Zeros when it has run dry, so that every frame ends.
pub(crate) struct Source {
    bytes: Vec<u8>,
    next: usize,
}

impl Source {
    fn byte(&mut self) -> u8 {
        let byte = self.bytes.get(self.next).copied().unwrap_or(0);
        self.next += 1;
        byte
    }
}

pub(crate) trait Any {
    fn any(source: &mut Source) -> Self;
}

impl Any for bool {
    fn any(source: &mut Source) -> Self {
        source.byte() & 1 == 1
    }
}

impl Any for u64 {
    fn any(source: &mut Source) -> Self {
        match source.byte() % 4 {
            0 => 0,
            1 => INTEGER_BOUND - 1 - u64::from(source.byte()),
            2 => u64::from(source.byte()),
            _ => (0..8).fold(0, |number, _| number << 8 | u64::from(source.byte())) % INTEGER_BOUND,
        }
    }
}

impl Any for u32 {
    fn any(source: &mut Source) -> Self {
        match source.byte() % 3 {
            0 => u32::MAX - u32::from(source.byte()),
            _ => u32::from(source.byte()),
        }
    }
}

/// Every `i32` is an enum: values that exist, and some that don't.
impl Any for i32 {
    fn any(source: &mut Source) -> Self {
        i32::from(source.byte() % 8) - 1
    }
}

impl Any for String {
    fn any(source: &mut Source) -> Self {
        const CHARS: &[char] =
            &['a', 'Z', '"', '\\', '\n', '\0', '\u{7f}', 'é', '\u{2028}', '漢', '🎹', '\u{10ffff}'];
        let length = source.byte() % 6;
        (0..length).map(|_| CHARS[usize::from(source.byte()) % CHARS.len()]).collect()
    }
}

/// All bytes are an operation: known, with something unknown behind it, or garbage.
impl Any for Vec<u8> {
    fn any(source: &mut Source) -> Self {
        let mut bytes = match source.byte() % 4 {
            0 => return (0..source.byte() % 6).map(|_| source.byte()).collect(),
            1 => op::encode(op::Body::any(source)),
            2 => Vec::new(),
            _ => return op::encode(op::Body::any(source)),
        };
        // Field 2047 with the number 1.
        bytes.extend([0xf8, 0x7f, 1]);
        bytes
    }
}

impl<T: Any> Any for Option<T> {
    fn any(source: &mut Source) -> Self {
        (!source.byte().is_multiple_of(3)).then(|| T::any(source))
    }
}

macro_rules! lists {
    ($($type:ty)*) => {$(
        impl Any for Vec<$type> {
            fn any(source: &mut Source) -> Self {
                (0..source.byte() % 4).map(|_| Any::any(source)).collect()
            }
        }
    )*};
}

lists! {
    String u64 i32 v1::ClientWindow v1::Conflict v1::OpId v1::ConflictRule v1::Contact v1::Departed v1::Element v1::ElementChange v1::Entry v1::Following v1::Member v1::Message v1::Notification v1::PresentUser v1::Reaction v1::RecentOp v1::RolePermissions v1::RoomSummary v1::Sanction v1::Score v1::SetTier v1::SignalItem v1::Team v1::TierBudget
}

macro_rules! any {
    ($($name:ident { $($field:ident)* })*) => {$(
        impl Any for v1::$name {
            fn any(source: &mut Source) -> Self {
                let _ = &source;
                v1::$name { $($field: Any::any(source),)* }
            }
        }
    )*};
}

macro_rules! one_of {
    ($($name:path { $($variant:ident)* })*) => {$(
        impl Any for $name {
            fn any(source: &mut Source) -> Self {
                use $name as Body;
                let variants: &[fn(&mut Source) -> Body] = &[$(|source| Body::$variant(Any::any(source)),)*];
                variants[usize::from(source.byte()) % variants.len()](source)
            }
        }
    )*};
}

/// A sync whose data is of the type that it says, or absent.
impl Any for v1::RoomStateSync {
    fn any(source: &mut Source) -> Self {
        use v1::MessageType;
        use v1::room_state_sync::Data;
        let data = Option::<Data>::any(source);
        let message_type = match &data {
            None => i32::any(source),
            Some(Data::StateUpdate(_)) => MessageType::StateUpdate as i32,
            Some(Data::BulkSync(_)) => MessageType::BulkSync as i32,
            Some(Data::DeltaUpdate(_)) => MessageType::DeltaUpdate as i32,
            Some(Data::Heartbeat(_)) => MessageType::Heartbeat as i32,
        };
        v1::RoomStateSync {
            message_type,
            room_id: Any::any(source),
            alias: Any::any(source),
            timestamp: Any::any(source),
            epoch: Any::any(source),
            sequence_number: Any::any(source),
            tier: Any::any(source),
            data,
        }
    }
}

one_of! {
    v1::client_frame::Body { Hello SetTier Submit Signal History TokenRefresh Heartbeat RoomList TimeRequest }
    v1::server_frame::Body {
        Welcome RoomStateSync Ack Rejection Signals HistoryPage Advice Error Heartbeat RoomList TimeReply
    }
    v1::room_state_sync::Data { StateUpdate BulkSync DeltaUpdate Heartbeat }
    v1::op::Body {
        CreateRoom SetInfo SetConfig Join Leave PostMessage EditMessage DeleteMessage React Pin PutElements SetTeams JoinTeam LeaveTeam AddScore ResetScores SetRole Kick Ban Mute Invite SetBadges SetPermissions SetConflictMode RaiseFoldVersion FollowRoom UnfollowRoom Notify SetReadMarker RequestFriend AnswerFriend RemoveFriend BlockUser FollowUser SetStatus FriendNews FriendStatus AddConflict ResolveConflict
    }
}

any! {
    ClientFrame { body }
    ServerFrame { body }
    CreateRoom { name visibility topic }
    SetInfo { name topic visibility }
    SetConfig { slow_mode_enabled slow_mode_duration subscriber_only follower_only emote_only capacity }
    Join {}
    Leave {}
    PostMessage { text mentions reply_to }
    FollowRoom { room_id as_of }
    UnfollowRoom { room_id as_of }
    Notify { room_id message_id ordinal author author_name excerpt at kind }
    SetReadMarker { room_id ordinal }
    Position { epoch seq }
    OpId { client counter }
    Entry { seq op_id author author_name at op ordinal }
    RoomInfo { name topic visibility owner created_at }
    RoomConfig { slow_mode_enabled slow_mode_duration subscriber_only follower_only emote_only capacity }
    Departed { user posted_at }
    Member { user name role joined_at posted_at badges color }
    Message { id seq ordinal author author_name at text mentions reply_to edited_at deleted reactions pinned changed_seq }
    Notification { room_id message_id ordinal author author_name excerpt at kind }
    Following { room_id following read mentions as_of }
    ClientWindow { user client last_counter recent }
    RecentOp { counter seq body_hash }
    RoomSnapshot { fold_version position info config members timeline messages last_at chain followings notifications windows member_count pins elements counters bans mutes invited permissions conflict_rules contacts status conflicts departed }
    RoomSummary { room_id position messages name topic visibility member_count last_activity last_message user_count users following created_at }
    PresentUser { user name liveness connections since }
    Hello { version_min version_max token client_id agent rooms }
    SetTier { room_id tier base seen digest reason warm_up }
    Submit { room_id op_id op base offline seen }
    Signal { room_id kind payload class key at }
    HistoryRequest { request_id room_id before_seq limit after_seq }
    TokenRefresh { token }
    ClientHeartbeat { echo }
    RoomListRequest { request_id since cursor limit }
    Welcome { version connection_id user user_name time limits heartbeat_interval reconnect_min reconnect_max agent token_expires }
    Limits { frame_bytes op_bytes live_rooms cached_rooms in_flight budgets warm_up }
    Ack { room_id op_id position }
    Rejection { room_id op_id code retry_after reason position }
    Signals { alias signals position room_id }
    SignalItem { user client kind payload class key at }
    HistoryPage { request_id room_id position messages next_before_seq }
    Advice { code reconnect_after close reason room }
    Error { code reason room_id request_id retry_after }
    ServerHeartbeat { time }
    RoomList { request_id rooms next revision total }
    StateUpdate { info room_config user_count moderator_count member_count messages recent presence state_digest stream_status changed config_fingerprint fold_version }
    PresenceUpdate { full users gone }
    BulkSync { part parts snapshot reason }
    DeltaUpdate { entries }
    RoomHeartbeat { messages state_digest user_count last_activity fold_version }
    EditMessage { message_id message_seq text mentions }
    DeleteMessage { message_id message_seq }
    React { message_id message_seq reaction removed }
    Pin { message_id message_seq removed }
    PutElements { elements }
    ElementChange { key value version nonce index deleted }
    SetTeams { teams }
    JoinTeam { team }
    LeaveTeam {}
    AddScore { points user }
    ResetScores {}
    SetRole { user role }
    Kick { user reason }
    Ban { user until reason lifted }
    Mute { user until reason lifted }
    Invite { user withdrawn }
    SetBadges { user badges color }
    SetPermissions { role capabilities reset }
    SetConflictMode { conflict_type mode timeout default_choice }
    RaiseFoldVersion { version }
    RequestFriend { user }
    AnswerFriend { user accepted }
    RemoveFriend { user }
    BlockUser { user lifted }
    FollowUser { user removed }
    SetStatus { availability text until }
    FriendNews { user user_name event as_of }
    FriendStatus { user status as_of }
    AddConflict { conflict }
    ResolveConflict { conflict_id choice }
    Sanction { user until reason by }
    RolePermissions { role capabilities }
    ConflictRule { conflict_type mode timeout default_choice }
    Element { key value version nonce index deleted_at seq author }
    Team { name score members }
    Score { user name team score }
    Counters { teams scores total }
    Reaction { reaction users }
    Status { availability text until }
    Contact { user name friend blocked following follower status since as_of status_as_of follow_as_of }
    Conflict { id room_id conflict_type key base mine theirs theirs_author at deadline default_choice choice }
    TimeRequest { sent }
    TierBudget { tier memory bandwidth }
    TimeReply { sent time }
}
