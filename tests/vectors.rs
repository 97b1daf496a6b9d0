//! Holds the codecs against the golden vectors: what protocol 1.0 wrote is read for ever, and written the same.

#![allow(clippy::unwrap_used, reason = "a vector that can't be read is a failure")]

use std::collections::BTreeSet;

use enfilade_core::limits::FRAME_BYTES;
use enfilade_core::v1::{client_frame, op, room_state_sync, server_frame};
use enfilade_core::wire::{Codec, decode_client, decode_server, encode_client, encode_server};
use enfilade_core::{Code, Retry, v1};
use enfilade_tests::vectors::{BadFrame, Case, CodeRow, Direction, bad, codes, files, hex, unhex};
use prost::Message as _;
use serde_json::Value;

/// Names the variants of a `oneof`, and lists all names. A variant that is not here does not compile.
macro_rules! kinds {
    ($list:ident, $name:ident, $type:path { $($variant:ident $text:literal)* }) => {
        const $list: &[&str] = &[$($text),*];

        fn $name(body: &$type) -> &'static str {
            use $type as Body;
            match body { $(Body::$variant(_) => $text,)* }
        }
    };
}

kinds!(CLIENT_KINDS, client_kind, client_frame::Body {
    Hello "hello"
    SetTier "set_tier"
    Submit "submit"
    Signal "signal"
    History "history"
    TokenRefresh "token_refresh"
    Heartbeat "heartbeat"
    RoomList "room_list"
    TimeRequest "time_request"
});

kinds!(SERVER_KINDS, server_kind, server_frame::Body {
    Welcome "welcome"
    RoomStateSync "room_state_sync"
    Ack "ack"
    Rejection "rejection"
    Signals "signals"
    HistoryPage "history_page"
    Advice "advice"
    Error "error"
    Heartbeat "heartbeat"
    RoomList "room_list"
    TimeReply "time_reply"
});

kinds!(OP_KINDS, op_kind, op::Body {
    CreateRoom "create_room"
    SetInfo "set_info"
    SetConfig "set_config"
    Join "join"
    Leave "leave"
    PostMessage "post_message"
    EditMessage "edit_message"
    DeleteMessage "delete_message"
    React "react"
    Pin "pin"
    PutElements "put_elements"
    SetTeams "set_teams"
    JoinTeam "join_team"
    LeaveTeam "leave_team"
    AddScore "add_score"
    ResetScores "reset_scores"
    SetRole "set_role"
    Kick "kick"
    Ban "ban"
    Mute "mute"
    Invite "invite"
    SetBadges "set_badges"
    SetPermissions "set_permissions"
    SetConflictMode "set_conflict_mode"
    RaiseFoldVersion "raise_fold_version"
    FollowRoom "follow_room"
    UnfollowRoom "unfollow_room"
    Notify "notify"
    SetReadMarker "set_read_marker"
    RequestFriend "request_friend"
    AnswerFriend "answer_friend"
    RemoveFriend "remove_friend"
    BlockUser "block_user"
    FollowUser "follow_user"
    SetStatus "set_status"
    FriendNews "friend_news"
    FriendStatus "friend_status"
    AddConflict "add_conflict"
    ResolveConflict "resolve_conflict"
});

kinds!(DATA_KINDS, data_kind, room_state_sync::Data {
    StateUpdate "STATE_UPDATE"
    BulkSync "BULK_SYNC"
    DeltaUpdate "DELTA_UPDATE"
    Heartbeat "HEARTBEAT"
});

/// A frame of either direction.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
enum Frame {
    Client(v1::ClientFrame),
    Server(v1::ServerFrame),
}

impl Frame {
    fn decode(codec: Codec, direction: Direction, bytes: &[u8], max: usize) -> Result<Frame, Code> {
        match direction {
            Direction::Client => decode_client(codec, bytes, max).map(Frame::Client),
            Direction::Server => decode_server(codec, bytes, max).map(Frame::Server),
        }
    }

    fn encode(&self, codec: Codec) -> Vec<u8> {
        match self {
            Frame::Client(frame) => encode_client(codec, frame),
            Frame::Server(frame) => encode_server(codec, frame),
        }
    }

    /// The name of the file that holds frames of this kind, without its extension.
    fn kind(&self) -> String {
        match self {
            Frame::Client(frame) => format!("client_{}", frame.body.as_ref().map_or("unknown", client_kind)),
            Frame::Server(frame) => format!("server_{}", frame.body.as_ref().map_or("unknown", server_kind)),
        }
    }
}

fn binary(case: &Case) -> Vec<u8> {
    unhex(case.binary.as_deref().expect("cargo run -p enfilade-tests --bin make-vectors completes new cases"))
}

fn for_each_case(mut check: impl FnMut(&str, &Case, Frame)) {
    for (path, cases) in files() {
        for case in cases {
            let place = format!("{}: {}", path.file_stem().unwrap().to_str().unwrap(), case.name);
            let frame = Frame::decode(Codec::Binary, case.direction, &binary(&case), FRAME_BYTES);
            check(&place, &case, frame.unwrap_or_else(|code| panic!("{place}: {code}")));
        }
    }
}

#[test]
fn both_codecs_read_every_vector_as_the_same_frame() {
    for_each_case(|place, case, frame| {
        let json = Frame::decode(Codec::Json, case.direction, case.json.get().as_bytes(), FRAME_BYTES);
        assert_eq!(json, Ok(frame), "{place}");
    });
}

#[test]
fn every_vector_is_written_as_it_stands() {
    for_each_case(|place, case, frame| {
        let written: Value = serde_json::from_slice(&frame.encode(Codec::Json)).unwrap();
        let stored: Value = serde_json::from_str(case.json.get()).unwrap();
        assert_eq!(written, stored, "{place}");
        let same = hex(&frame.encode(Codec::Binary)) == hex(&binary(case));
        assert_eq!(same, !case.decode_only, "{place}");
    });
}

#[test]
fn every_kind_of_frame_operation_and_sync_has_a_vector() {
    let mut frames = BTreeSet::new();
    let mut ops = BTreeSet::new();
    let mut data = BTreeSet::new();
    let mut names = BTreeSet::new();
    for_each_case(|place, _, frame| {
        assert!(names.insert(place.to_string()), "two cases of the same name: {place}");
        assert!(place.starts_with(&format!("{}: ", frame.kind())), "{place} is a {}", frame.kind());
        frames.insert(frame.kind());
        match frame {
            Frame::Client(v1::ClientFrame { body: Some(client_frame::Body::Submit(submit)) }) => {
                let op = v1::Op::decode(&*submit.op).unwrap_or_default();
                ops.extend(op.body.as_ref().map(op_kind));
            }
            Frame::Server(v1::ServerFrame { body: Some(server_frame::Body::RoomStateSync(sync)) }) => {
                data.extend(sync.data.as_ref().map(data_kind));
            }
            _ => {}
        }
    });
    let client = CLIENT_KINDS.iter().chain(&["unknown"]).map(|kind| format!("client_{kind}"));
    let server = SERVER_KINDS.iter().chain(&["unknown"]).map(|kind| format!("server_{kind}"));
    assert_eq!(frames, client.chain(server).collect());
    assert_eq!(ops, OP_KINDS.iter().copied().collect());
    assert_eq!(data, DATA_KINDS.iter().copied().collect());
}

#[test]
fn what_is_no_frame_gets_its_code() {
    for case in bad() {
        let (codec, bytes) = match &case.frame {
            BadFrame::Binary(digits) => (Codec::Binary, unhex(digits)),
            BadFrame::Text(text) => (Codec::Json, text.clone().into_bytes()),
        };
        let result = Frame::decode(codec, case.direction, &bytes, case.max);
        let code = result.as_ref().err().map(|code| code.name());
        assert_eq!(code, Some(&*case.code), "{codec:?}, {}: {result:?}", case.name);
    }
}

#[test]
fn the_registry_of_codes_is_as_written_down() {
    let row = |code: &Code| CodeRow {
        number: code.number(),
        name: code.name().into(),
        retry: match code.retry() {
            Retry::Never => "never",
            Retry::Later => "later",
            Retry::Resync => "resync",
            Retry::NewToken => "new_token",
        }
        .into(),
    };
    let registry: Vec<CodeRow> = Code::ALL.iter().map(row).collect();
    let written = codes();
    for row in &written {
        assert!(registry.contains(row), "{row:?} has changed, and codes are stable for ever");
    }
    assert_eq!(written, registry, "add the new codes to tests/vectors/v1/codes.json");
}
