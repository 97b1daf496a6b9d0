use alloc::format;
use alloc::string::{String, ToString};

use proptest::prelude::*;

use super::*;
use crate::limits::{FRAME_BYTES, INTEGER_BOUND};
use crate::wire::arbitrary::frame;
use crate::{op, wire};

type ClientBody = v1::client_frame::Body;

fn client(text: &str) -> Result<Option<ClientBody>, Code> {
    decode_client(text.as_bytes(), FRAME_BYTES).map(|frame| frame.body)
}

fn server(text: &str) -> Result<Option<v1::server_frame::Body>, Code> {
    decode_server(text.as_bytes(), FRAME_BYTES).map(|frame| frame.body)
}

fn text(body: v1::server_frame::Body) -> String {
    String::from_utf8(encode_server(&v1::ServerFrame { body: Some(body) })).unwrap()
}

fn submit(op: Vec<u8>) -> v1::ClientFrame {
    let submit = v1::Submit { room_id: "r".into(), op, ..Default::default() };
    v1::ClientFrame { body: Some(ClientBody::Submit(submit)) }
}

#[test]
fn a_delta_reads_as_the_design_shows_it() {
    let sync = v1::RoomStateSync {
        message_type: v1::MessageType::DeltaUpdate as i32,
        room_id: "streamer123".into(),
        alias: 3,
        timestamp: 1_756_471_800_000,
        epoch: 7,
        sequence_number: 12_345,
        tier: Some(v1::Tier::Active as i32),
        data: Some(v1::room_state_sync::Data::DeltaUpdate(v1::DeltaUpdate {
            entries: alloc::vec![v1::Entry {
                seq: 12_345,
                op_id: Some(v1::OpId { client: 5, counter: 6 }),
                author: "ada".into(),
                author_name: "Ada".into(),
                at: 1_756_471_800_000,
                op: op::encode(op::post("hi")),
                ordinal: 9,
            }],
        })),
    };
    let body = v1::server_frame::Body::RoomStateSync(sync);
    let expected = concat!(
        r#"{"room_state_sync":{"message_type":"DELTA_UPDATE","room_id":"streamer123","alias":3,"#,
        r#""timestamp":"2025-08-29T12:50:00Z","epoch":7,"sequence_number":12345,"tier":"ACTIVE","#,
        r#""data":{"entries":[{"seq":12345,"op_id":{"client":5,"counter":6},"author":"ada","author_name":"Ada","#,
        r#""at":1756471800000,"op":{"post_message":{"text":"hi"}},"ordinal":9}]}}}"#,
    );
    assert_eq!(text(body.clone()), expected);
    assert_eq!(server(expected), Ok(Some(body)));
}

#[test]
fn data_may_stand_before_the_type_that_shapes_it() {
    let sync = r#"{"room_state_sync":{"data":{"messages":9},"message_type":"HEARTBEAT"}}"#;
    let Ok(Some(v1::server_frame::Body::RoomStateSync(sync))) = server(sync) else { panic!("{sync}") };
    let heartbeat = v1::RoomHeartbeat { messages: 9, state_digest: None, ..Default::default() };
    assert_eq!(sync.data, Some(v1::room_state_sync::Data::Heartbeat(heartbeat)));
}

#[test]
fn data_that_its_type_does_not_announce_is_left_out() {
    let body = |message_type| {
        let data = Some(v1::room_state_sync::Data::Heartbeat(v1::RoomHeartbeat::default()));
        text(v1::server_frame::Body::RoomStateSync(v1::RoomStateSync {
            message_type,
            data,
            ..Default::default()
        }))
    };
    assert!(body(v1::MessageType::Heartbeat as i32).contains("data"));
    assert!(!body(v1::MessageType::BulkSync as i32).contains("data"));
    assert!(!body(9).contains("data"));
}

#[test]
fn unknown_keys_and_frames_are_ignored() {
    assert_eq!(client(r#"{"dance":{"steps":[1,2,{"x":null}]}}"#), Ok(None));
    assert_eq!(client("{}"), Ok(None));
    let heartbeat = Ok(Some(ClientBody::Heartbeat(v1::ClientHeartbeat { echo: 5 })));
    assert_eq!(client(r#"{"heartbeat":{"echo":5,"more":[-1.5]}, "later":0}"#), heartbeat);
}

#[test]
fn what_is_no_frame_is_malformed() {
    let bad = [
        "",
        " ",
        "null",
        "[]",
        "7",
        r#""hello""#,
        "{",
        r#"{"hello":"#,
        r#"{"hello":7}"#,
        r#"{"hello":{}} x"#,
        r#"{"hello":{"version_min":"1000"}}"#,
        r#"{"hello":{},"heartbeat":{}}"#,
        r#"{"hello":{"token":"\ud800"}}"#,
        r#"{"signal":{"payload":"?"}}"#,
        r#"{"set_tier":{"tier":[]}}"#,
    ];
    for bad in bad {
        assert_eq!(client(bad), Err(Code::Malformed), "{bad}");
    }
    assert_eq!(decode_client(b"{\"hello\":{\"token\":\"\xff\"}}", 99), Err(Code::Malformed));
    assert_eq!(decode_client(b"{}", 1), Err(Code::FrameTooLarge));
}

#[test]
fn integers_that_javascript_does_not_hold_are_malformed() {
    let largest = INTEGER_BOUND - 1;
    assert!(client(&format!(r#"{{"heartbeat":{{"echo":{largest}}}}}"#)).is_ok());
    for bad in ["9007199254740992", "18446744073709551616", "-1", "1.5", "1e3"] {
        assert_eq!(client(&format!(r#"{{"heartbeat":{{"echo":{bad}}}}}"#)), Err(Code::Malformed), "{bad}");
    }
    for bad in ["4294967296", "-1"] {
        assert_eq!(client(&format!(r#"{{"history":{{"limit":{bad}}}}}"#)), Err(Code::Malformed), "{bad}");
    }
}

#[test]
fn nesting_without_end_is_malformed() {
    let deep = format!(r#"{{"later":{}"#, "[".repeat(10_000));
    assert_eq!(client(&deep), Err(Code::Malformed));
    let deep = format!(r#"{{"submit":{{"op":{}"#, r#"{"x":"#.repeat(10_000));
    assert_eq!(client(&deep), Err(Code::Malformed));
}

#[test]
fn enums_are_names_and_unknown_ones_no_value() {
    let tier = |tier: &str| match client(&format!(r#"{{"set_tier":{{"tier":{tier}}}}}"#)) {
        Ok(Some(ClientBody::SetTier(set))) => Some(set.tier),
        _ => None,
    };
    assert_eq!(tier(r#""ACTIVE""#), Some(3));
    assert_eq!(tier("2"), Some(2));
    assert_eq!(tier("9"), Some(9));
    assert_eq!(tier(r#""active""#), Some(-1));
    assert_eq!(tier(r#""TIER_ACTIVE""#), Some(-1));
    assert_eq!(tier("4294967296"), None);
    assert_eq!(tier("true"), None);
}

#[test]
fn an_operation_is_an_object_as_long_as_that_tells_all_of_it() {
    let json = |op| encode_client(&submit(op));
    let known = op::encode(op::Body::Join(v1::Join {}));
    assert_eq!(json(known.clone()), br#"{"submit":{"room_id":"r","op":{"join":{}}}}"#);

    let mut extended = known;
    extended.extend([0xf8, 0x7f, 1]);
    let expected = br#"{"submit":{"room_id":"r","op":{"join":{},"unknown":"IgD4fwE="}}}"#;
    assert_eq!(json(extended.clone()), expected);
    assert_eq!(decode_client(expected, 99), Ok(submit(extended)));

    let foreign = alloc::vec![0xfa, 0x7f, 0];
    assert_eq!(json(foreign.clone()), br#"{"submit":{"room_id":"r","op":{"unknown":"+n8A"}}}"#);
    assert_eq!(decode_client(&json(foreign.clone()), 99), Ok(submit(foreign)));
}

#[test]
fn an_operation_of_an_unknown_kind_is_one_that_the_authority_refuses() {
    let Ok(Some(ClientBody::Submit(submit))) = client(r#"{"submit":{"op":{"dance":{}}}}"#) else { panic!() };
    assert_eq!(op::parse(&submit.op), Err(Code::InvalidOp));
    assert_eq!(client(r#"{"submit":{"op":{"join":{},"leave":{}}}}"#), Err(Code::Malformed));
}

#[test]
fn timestamps_are_iso_8601_with_milliseconds_when_there_are_any() {
    let heartbeat = |timestamp| {
        let sync = v1::RoomStateSync { timestamp, ..Default::default() };
        text(v1::server_frame::Body::RoomStateSync(sync))
    };
    let read =
        |timestamp: &str| match server(&format!(r#"{{"room_state_sync":{{"timestamp":{timestamp}}}}}"#)) {
            Ok(Some(v1::server_frame::Body::RoomStateSync(sync))) => Some(sync.timestamp),
            _ => None,
        };
    let cases = [
        (0, r#""1970-01-01T00:00:00Z""#),
        (1_756_471_800_000, r#""2025-08-29T12:50:00Z""#),
        (1_756_471_800_040, r#""2025-08-29T12:50:00.040Z""#),
        (951_782_400_000, r#""2000-02-29T00:00:00Z""#),
        (253_402_300_799_999, r#""9999-12-31T23:59:59.999Z""#),
        (253_402_300_800_000, "253402300800000"),
        (INTEGER_BOUND - 1, "9007199254740991"),
    ];
    for (number, json) in cases {
        if number > 0 {
            assert!(heartbeat(number).contains(&format!(r#""timestamp":{json}"#)), "{}", heartbeat(number));
        }
        assert_eq!(read(json), Some(number), "{json}");
    }
    assert_eq!(read(r#""2025-08-29T14:50:00+02:00""#), Some(1_756_471_800_000));
    for bad in
        [r#""1969-12-31T23:59:59Z""#, r#""2025-13-01T00:00:00Z""#, r#""yesterday""#, r#""""#, "-1", "{}"]
    {
        assert_eq!(read(bad), None, "{bad}");
    }
}

#[test]
fn defaults_are_left_out_unless_they_are_said_on_purpose() {
    let update = |update| {
        let data = Some(v1::room_state_sync::Data::StateUpdate(update));
        let message_type = v1::MessageType::StateUpdate as i32;
        text(v1::server_frame::Body::RoomStateSync(v1::RoomStateSync {
            message_type,
            data,
            ..Default::default()
        }))
    };
    let nothing = v1::StateUpdate::default();
    assert_eq!(update(nothing), r#"{"room_state_sync":{"message_type":"STATE_UPDATE","data":{}}}"#);
    let zero = v1::StateUpdate {
        user_count: Some(0),
        room_config: Some(v1::RoomConfig { slow_mode_duration: 30, ..Default::default() }),
        ..Default::default()
    };
    let expected = r#""data":{"room_config":{"slow_mode_duration":30},"user_count":0}}}"#;
    assert!(update(zero.clone()).ends_with(expected), "{}", update(zero));
}

#[test]
fn arbitrary_frames_reach_every_type() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut seen = alloc::collections::BTreeSet::new();
    for _ in 0..500 {
        let client = frame::<v1::ClientFrame>().new_tree(&mut runner).unwrap().current();
        let server = frame::<v1::ServerFrame>().new_tree(&mut runner).unwrap().current();
        for text in [format!("client {:?}", client.body), format!("server {:?}", server.body)] {
            seen.insert(text.split('(').take(2).map(ToString::to_string).collect::<Vec<_>>().join(" "));
        }
    }
    // Nine types towards the server, eleven towards the client, and none in either direction.
    assert_eq!(seen.len(), 22, "{seen:?}");
}

proptest! {
    #[test]
    fn client_frames_survive_json(frame in frame::<v1::ClientFrame>()) {
        prop_assert_eq!(decode_client(&encode_client(&frame), usize::MAX), Ok(frame));
    }

    #[test]
    fn server_frames_survive_json(frame in frame::<v1::ServerFrame>()) {
        prop_assert_eq!(decode_server(&encode_server(&frame), usize::MAX), Ok(frame));
    }

    #[test]
    fn both_codecs_say_the_same(frame in frame::<v1::ServerFrame>()) {
        let binary = wire::binary::decode_server(&wire::binary::encode_server(&frame), usize::MAX);
        prop_assert_eq!(decode_server(&encode_server(&frame), usize::MAX), binary);
    }

    #[test]
    fn no_text_makes_a_decoder_panic(text in r#"[{}\[\]":,a-z_0-9.\\ -]{0,80}"#) {
        let _ = client(&text);
        let _ = server(&text);
    }
}
