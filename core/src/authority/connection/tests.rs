use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::op;

const CLIENT: u64 = 77;
const INTERVAL: u64 = 25_000;

/// A connection and what it wanted, driven by hand.
struct End {
    connection: Connection,
    config: ConnectionConfig,
    now: Millis,
}

fn room(id: &str) -> RoomId {
    RoomId::new(id).unwrap()
}

fn identity(user: &str) -> Identity {
    Identity { user: UserId::new(user).unwrap(), name: user.to_uppercase(), expires: Millis(1_000_000) }
}

fn hello() -> v1::Hello {
    v1::Hello {
        version_min: VERSION_MIN,
        version_max: VERSION_MAX,
        token: "token".into(),
        client_id: CLIENT,
        ..Default::default()
    }
}

fn want(room: &str, tier: Tier) -> v1::SetTier {
    v1::SetTier { room_id: room.into(), tier: tier.wire().into(), ..Default::default() }
}

fn submit(room: &str, client: u64, op: Vec<u8>) -> Request {
    let op_id = Some(v1::OpId { client, counter: 1 });
    Request::Submit(v1::Submit { room_id: room.into(), op_id, op, ..Default::default() })
}

impl End {
    fn new() -> End {
        let config = ConnectionConfig { live_rooms: 2, cached_rooms: 1, ..Default::default() };
        End { connection: Connection::new(ConnId(5), Millis(0)), config, now: Millis(0) }
    }

    /// One whose hello was accepted.
    fn open() -> End {
        let mut end = End::new();
        end.ask(Request::Hello(hello()));
        end.verified(Ok(identity("ada")));
        assert!(end.connection.is_open());
        end
    }

    fn ask(&mut self, request: Request) -> Vec<ConnectionEffect> {
        self.frame(Ok(v1::ClientFrame { body: Some(request) }))
    }

    fn frame(&mut self, frame: Result<v1::ClientFrame, Code>) -> Vec<ConnectionEffect> {
        self.connection.handle_frame(frame, &self.config, self.now);
        self.effects()
    }

    fn verified(&mut self, identity: Result<Identity, Code>) -> Vec<ConnectionEffect> {
        self.connection.handle_verified(identity, &self.config, self.now);
        self.effects()
    }

    fn beat(&mut self, now: u64) -> Vec<ConnectionEffect> {
        self.now = Millis(now);
        self.connection.handle_heartbeat(&self.config, self.now);
        self.effects()
    }

    fn cached_head(&mut self, room: &RoomId, seq: u64, is_private: bool) -> Vec<ConnectionEffect> {
        self.connection.handle_cached_head(room, Position { epoch: 3, seq }, seq, is_private);
        self.effects()
    }

    fn effects(&mut self) -> Vec<ConnectionEffect> {
        core::iter::from_fn(|| self.connection.poll_effect()).collect()
    }
}

fn sent(effects: &[ConnectionEffect]) -> Vec<&Frame> {
    let each = effects.iter().filter_map(|effect| match effect {
        ConnectionEffect::Send(frame) => frame.body.as_ref(),
        _ => None,
    });
    each.collect()
}

fn closes(effects: &[ConnectionEffect]) -> Vec<Code> {
    let code = |effect: &ConnectionEffect| match effect {
        ConnectionEffect::Close(code) => Some(*code),
        _ => None,
    };
    effects.iter().filter_map(code).collect()
}

/// Codes of errors and rejections.
fn refusals(effects: &[ConnectionEffect]) -> Vec<Code> {
    let code = |frame: &&Frame| match frame {
        Frame::Error(error) => Code::from_number(error.code),
        Frame::Rejection(rejection) => Code::from_number(rejection.code),
        _ => None,
    };
    sent(effects).iter().filter_map(code).collect()
}

fn requests(effects: &[ConnectionEffect]) -> Vec<(&str, &RoomRequest)> {
    let each = effects.iter().filter_map(|effect| match effect {
        ConnectionEffect::Room { room, request } => Some((room.as_str(), request)),
        _ => None,
    });
    each.collect()
}

// ---------------------------------------------------------------------------------------------------- hello, token

#[test]
fn a_hello_is_verified_welcomed_and_then_its_rooms_are_opened_in_order() {
    let mut end = End::new();
    let rooms = vec![want("a", Tier::Active), want("b", Tier::Cached)];
    let effects = end.ask(Request::Hello(v1::Hello { rooms: rooms.clone(), ..hello() }));
    assert_eq!(effects, [ConnectionEffect::Verify { token: "token".into() }]);
    assert_eq!(end.connection.actor(), None);

    let effects = end.verified(Ok(identity("ada")));
    let ConnectionEffect::Send(frame) = &effects[0] else { panic!("{effects:?}") };
    let Some(Frame::Welcome(welcome)) = &frame.body else { panic!("{frame:?}") };
    assert_eq!(
        (welcome.user.as_str(), welcome.user_name.as_str(), welcome.version),
        ("ada", "ADA", VERSION_MAX)
    );
    assert_eq!((welcome.connection_id.as_str(), welcome.token_expires), ("5", 1_000_000));
    let limits = welcome.limits.clone().unwrap();
    assert_eq!((limits.live_rooms, limits.cached_rooms), (2, 1));
    let expected: Vec<_> = rooms.iter().map(|want| RoomRequest::SetTier(want.clone())).collect();
    assert_eq!(requests(&effects[1..]), [("a", &expected[0]), ("b", &expected[1])]);
    assert_eq!(end.connection.actor().map(Actor::user), Some("ada"));
}

#[test]
fn versions_without_a_common_one_close() {
    for (version_min, version_max) in [(VERSION_MAX + 1, VERSION_MAX + 9), (0, VERSION_MIN - 1)] {
        let effects = End::new().ask(Request::Hello(v1::Hello { version_min, version_max, ..hello() }));
        assert_eq!(effects, [ConnectionEffect::Close(Code::UnsupportedVersion)]);
    }
    let wide = v1::Hello { version_min: 0, version_max: u32::MAX, ..hello() };
    assert!(closes(&End::new().ask(Request::Hello(wide))).is_empty());
}

#[test]
fn a_client_id_out_of_range_closes() {
    for client_id in [0, limits::INTEGER_BOUND] {
        let effects = End::new().ask(Request::Hello(v1::Hello { client_id, ..hello() }));
        assert_eq!(
            (refusals(&effects), closes(&effects)),
            (vec![Code::InvalidRequest], vec![Code::ProtocolError])
        );
    }
}

#[test]
fn a_token_that_is_refused_is_named_and_closes() {
    for (code, close) in
        [(Code::TokenExpired, Code::CloseTokenExpired), (Code::TokenInvalid, Code::CloseTokenInvalid)]
    {
        let mut end = End::new();
        end.ask(Request::Hello(hello()));
        let effects = end.verified(Err(code));
        assert_eq!((refusals(&effects), closes(&effects)), (vec![code], vec![close]));
        assert_eq!(close as u16, if code == Code::TokenExpired { 4600 } else { 4601 });
        assert!(!end.connection.is_open());
    }
}

#[test]
fn a_token_beyond_any_length_is_not_even_verified() {
    let token = "x".repeat(limits::TOKEN_BYTES + 1);
    let effects = End::new().ask(Request::Hello(v1::Hello { token: token.clone(), ..hello() }));
    assert_eq!(closes(&effects), [Code::CloseTokenInvalid]);
    let effects = End::open().ask(Request::TokenRefresh(v1::TokenRefresh { token }));
    assert_eq!(closes(&effects), [Code::CloseTokenInvalid]);
}

#[test]
fn the_hello_comes_first_and_once() {
    let early = || Request::RoomList(v1::RoomListRequest::default());
    let mut before = End::new();
    assert_eq!(before.ask(early()), [ConnectionEffect::Close(Code::HelloExpected)]);
    let mut verifying = End::new();
    verifying.ask(Request::Hello(hello()));
    assert_eq!(closes(&verifying.ask(early())), [Code::HelloExpected]);
    assert_eq!(closes(&End::open().ask(Request::Hello(hello()))), [Code::HelloExpected]);
    assert_eq!(Code::HelloExpected as u16, 4504);
}

#[test]
fn a_new_token_of_the_same_user_holds_on_and_one_of_another_closes() {
    let mut end = End::open();
    let effects = end.ask(Request::TokenRefresh(v1::TokenRefresh { token: "next".into() }));
    assert_eq!(effects, [ConnectionEffect::Verify { token: "next".into() }]);
    let longer = Identity { expires: Millis(2_000_000), ..identity("ada") };
    assert!(end.verified(Ok(longer)).is_empty());
    end.now = Millis(1_500_000);
    end.ask(Request::Heartbeat(v1::ClientHeartbeat::default()));
    assert!(end.beat(1_500_001).is_empty());

    end.ask(Request::TokenRefresh(v1::TokenRefresh { token: "other".into() }));
    assert_eq!(closes(&end.verified(Ok(identity("bob")))), [Code::CloseTokenInvalid]);
    assert_eq!(end.connection.actor().map(Actor::user), Some("ada"));
}

#[test]
fn a_token_that_ends_ends_the_connection() {
    let mut end = End::open();
    end.now = Millis(1_000_000);
    end.ask(Request::Heartbeat(v1::ClientHeartbeat::default()));
    assert!(end.beat(1_000_000).is_empty());
    let effects = end.beat(1_000_001);
    assert_eq!(
        (refusals(&effects), closes(&effects)),
        (vec![Code::TokenExpired], vec![Code::CloseTokenExpired])
    );
}

// -------------------------------------------------------------------------------------------------------- bad input

#[test]
fn bad_frames_are_answered_until_they_are_too_many() {
    let mut end = End::open();
    for _ in 1..limits::MALFORMED_FRAMES {
        let effects = end.frame(Err(Code::Malformed));
        assert_eq!((refusals(&effects), closes(&effects)), (vec![Code::Malformed], vec![]));
    }
    let effects = end.frame(Err(Code::Malformed));
    assert_eq!((refusals(&effects), closes(&effects)), (vec![Code::Malformed], vec![Code::ProtocolError]));
    assert_eq!(Code::ProtocolError as u16, 4500);
    assert_eq!(limits::MALFORMED_FRAMES, 8);
    // What was on its way is not answered any more.
    assert!(end.frame(Err(Code::Malformed)).is_empty());
    assert!(end.ask(Request::SetTier(want("a", Tier::Active))).is_empty());
}

#[test]
fn a_first_frame_that_is_none_closes_at_once() {
    let effects = End::new().frame(Err(Code::Malformed));
    assert_eq!((refusals(&effects), closes(&effects)), (vec![Code::Malformed], vec![Code::ProtocolError]));
}

#[test]
fn frames_of_an_unknown_type_are_ignored_at_any_time() {
    let unknown = || Ok(v1::ClientFrame { body: None });
    let mut end = End::new();
    assert!(end.frame(unknown()).is_empty());
    end.ask(Request::Hello(hello()));
    assert!(end.frame(unknown()).is_empty());
    end.verified(Ok(identity("ada")));
    assert!(end.frame(unknown()).is_empty());
    assert!(end.connection.is_open());
}

#[test]
fn requests_with_fields_out_of_range_get_their_codes() {
    let long = "x".repeat(65);
    let history = |room_id: &str| {
        Request::History(v1::HistoryRequest { request_id: 9, room_id: room_id.into(), ..Default::default() })
    };
    let signal = |room: &str, kind: usize, payload: usize| {
        Request::Signal(v1::Signal {
            room_id: room.into(),
            kind: "k".repeat(kind),
            payload: vec![0; payload],
            ..Default::default()
        })
    };
    let unknown_tier = v1::SetTier { room_id: "a".into(), tier: 9, ..Default::default() };
    let own = || op::encode(op::post("x"));
    for (request, code) in [
        (Request::SetTier(want("", Tier::Active)), Code::InvalidRoomId),
        (Request::SetTier(want(&long, Tier::Active)), Code::InvalidRoomId),
        (Request::SetTier(want("a\u{0}b", Tier::Active)), Code::InvalidRoomId),
        (Request::SetTier(unknown_tier), Code::InvalidRequest),
        (history("a b"), Code::InvalidRoomId),
        (signal("a", limits::SIGNAL_KIND_BYTES + 1, 0), Code::InvalidRequest),
        (signal("a", 1, limits::SIGNAL_BYTES + 1), Code::InvalidRequest),
        (signal("", 1, 1), Code::InvalidRequest),
        (submit("a b", CLIENT, own()), Code::InvalidRoomId),
        (submit("a", CLIENT + 1, own()), Code::InvalidRequest),
        (submit("a", 0, own()), Code::InvalidRequest),
        (submit("a", CLIENT, vec![0; limits::OP_BYTES + 1]), Code::OpTooLarge),
    ] {
        let mut end = End::open();
        let effects = end.ask(request.clone());
        assert_eq!((refusals(&effects), effects.len()), (vec![code], 1), "{request:?}");
        assert!(end.connection.is_open());
    }
}

#[test]
fn an_error_repeats_the_request_and_not_a_name_of_any_length() {
    let request = v1::HistoryRequest { request_id: 9, room_id: "ü".repeat(5_000), ..Default::default() };
    let effects = End::open().ask(Request::History(request));
    let [Frame::Error(error)] = sent(&effects)[..] else { panic!("{effects:?}") };
    assert_eq!((error.request_id, error.room_id.chars().count()), (9, limits::ROOM_ID_BYTES));
}

#[test]
fn good_requests_reach_their_room() {
    let mut end = End::open();
    let signal =
        v1::Signal { room_id: "a".into(), kind: "typing".into(), payload: vec![1], ..Default::default() };
    let effects = end.ask(Request::Signal(signal.clone()));
    assert_eq!(requests(&effects), [("a", &RoomRequest::Signal(CLIENT, signal))]);
    let history = v1::HistoryRequest { room_id: "a".into(), ..Default::default() };
    let effects = end.ask(Request::History(history.clone()));
    assert_eq!(requests(&effects), [("a", &RoomRequest::History(history))]);
    let list = v1::RoomListRequest { request_id: 4, ..Default::default() };
    assert_eq!(end.ask(Request::RoomList(list.clone())), [ConnectionEffect::RoomList(list)]);
}

// ------------------------------------------------------------------------------------------------------------ limits

#[test]
fn a_connection_holds_so_many_live_rooms_and_no_more() {
    let mut end = End::open();
    let mut tier = |room: &str, tier| refusals(&end.ask(Request::SetTier(want(room, tier))));
    assert!(tier("a", Tier::Active).is_empty());
    assert!(tier("b", Tier::Background).is_empty());
    assert_eq!(tier("c", Tier::Active), [Code::TooManyRooms]);
    // A change between the live tiers takes no further place, and one that goes makes place.
    assert!(tier("b", Tier::Active).is_empty());
    assert!(tier("a", Tier::Cached).is_empty());
    assert!(tier("c", Tier::Active).is_empty());
    // Three rooms in all: live and cached.
    assert_eq!(tier("d", Tier::Cached), [Code::TooManyRooms]);
    assert!(tier("d", Tier::Unloaded).is_empty());
    assert!(tier("a", Tier::Unloaded).is_empty());
    assert!(tier("d", Tier::Cached).is_empty());
    assert_eq!(tier("d", Tier::Active), [Code::TooManyRooms]);
}

#[test]
fn a_submission_takes_a_place_too() {
    let mut end = End::open();
    let op = || op::encode(op::post("x"));
    for room in ["a", "b", "c"] {
        assert_eq!(requests(&end.ask(submit(room, CLIENT, op()))).len(), 1);
    }
    assert_eq!(refusals(&end.ask(submit("d", CLIENT, op()))), [Code::TooManyRooms]);
    assert_eq!(requests(&end.ask(submit("a", CLIENT, op()))).len(), 1);
}

// ------------------------------------------------------------------------------------------------ heartbeat, closing

#[test]
fn two_intervals_of_silence_close_and_any_frame_breaks_the_silence() {
    let mut end = End::open();
    assert_eq!(end.config.heartbeat_interval, INTERVAL);
    assert!(end.beat(2 * INTERVAL).is_empty());
    end.frame(Ok(v1::ClientFrame { body: None }));
    assert!(end.beat(4 * INTERVAL).is_empty());
    assert_eq!(closes(&end.beat(4 * INTERVAL + 1)), [Code::HeartbeatTimeout]);
    assert_eq!(Code::HeartbeatTimeout as u16, 4002);
}

#[test]
fn the_head_of_a_cached_room_is_told_when_it_has_moved() {
    let mut end = End::open();
    end.ask(Request::SetTier(want("a", Tier::Cached)));
    end.ask(Request::SetTier(want("b", Tier::Active)));
    assert_eq!(end.connection.cached().collect::<Vec<_>>(), [&room("a")]);
    let effects = end.cached_head(&room("a"), 4, false);
    let [Frame::RoomStateSync(sync)] = sent(&effects)[..] else { panic!("{effects:?}") };
    assert_eq!((sync.room_id.as_str(), sync.epoch, sync.sequence_number), ("a", 3, 4));
    let Some(Data::Heartbeat(heartbeat)) = &sync.data else { panic!("{sync:?}") };
    assert_eq!(heartbeat.messages, 4);
    assert!(end.cached_head(&room("a"), 4, false).is_empty());
    assert_eq!(end.cached_head(&room("a"), 5, false).len(), 1);
    // Rooms that are not Cached, or not held, are not told about.
    assert!(end.cached_head(&room("b"), 5, false).is_empty());
    assert!(end.cached_head(&room("z"), 5, false).is_empty());
}

#[test]
fn the_head_of_a_private_room_is_its_authoritys_to_tell() {
    let mut end = End::open();
    end.ask(Request::SetTier(want("a", Tier::Cached)));
    let effects = end.cached_head(&room("a"), 4, true);
    let again = RoomRequest::SetTier(want("a", Tier::Cached));
    assert_eq!((requests(&effects), effects.len()), (vec![("a", &again)], 1));
    assert!(end.cached_head(&room("a"), 4, true).is_empty());
}

#[test]
fn closing_tells_every_room_that_was_touched_once() {
    let mut end = End::open();
    for (room, tier) in [("a", Tier::Active), ("b", Tier::Cached), ("a", Tier::Background)] {
        end.ask(Request::SetTier(want(room, tier)));
    }
    end.ask(submit("c", CLIENT, op::encode(op::post("x"))));
    end.ask(submit("a", CLIENT, op::encode(op::post("x"))));
    end.connection.handle_closed();
    let effects = end.effects();
    let leave = &RoomRequest::Leave;
    assert_eq!(requests(&effects), [("a", leave), ("b", leave), ("c", leave)]);
    assert_eq!(effects.len(), 3);
    end.connection.handle_closed();
    assert!(end.effects().is_empty());
}

#[test]
fn a_connection_that_closes_by_itself_leaves_its_rooms_first() {
    let mut end = End::open();
    end.ask(Request::SetTier(want("a", Tier::Active)));
    let effects = end.beat(2 * INTERVAL + 1);
    let left = ConnectionEffect::Room { room: room("a"), request: RoomRequest::Leave };
    assert_eq!(effects, [left, ConnectionEffect::Close(Code::HeartbeatTimeout)]);
    // The socket's end tells nobody a second time, and nothing is sent any more.
    end.connection.handle_closed();
    end.connection.send(Frame::Heartbeat(v1::ServerHeartbeat::default()));
    end.connection.handle_cached_head(&room("a"), Position { epoch: 3, seq: 4 }, 4, false);
    assert!(end.verified(Ok(identity("ada"))).is_empty());
    assert!(!end.connection.is_open());
}

#[test]
fn a_cached_room_is_sent_sixty_four_bytes_a_heartbeat_in_the_mean_and_the_newest_head_in_the_end() {
    let mut end = End::open();
    let id = room(&"x".repeat(64));
    end.ask(Request::SetTier(want(id.as_str(), Tier::Cached)));
    let (mut bytes, mut heads) = (0, Vec::new());
    for beat in 1..=100 {
        // The room is quiet from its fiftieth entry on.
        let effects = end.cached_head(&id, beat.min(50), false);
        for frame in sent(&effects) {
            let Frame::RoomStateSync(sync) = frame else { panic!() };
            let frame = v1::ServerFrame { body: Some(Frame::RoomStateSync(sync.clone())) };
            bytes += prost::Message::encoded_len(&frame);
            heads.push(sync.sequence_number);
        }
        assert!(bytes as u64 <= (beat + 1) * 64, "{bytes} after {beat}");
    }
    assert!(heads.len() > 20);
    assert_eq!(heads.last(), Some(&50));
}
