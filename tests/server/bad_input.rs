use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use enfilade_core::op::{self, Body};
use enfilade_core::v1::client_frame::Body as Ask;
use enfilade_core::v1::room_state_sync::Data;
use enfilade_core::v1::server_frame::Body as Frame;
use enfilade_core::wire::{self, Codec};
use enfilade_core::{Code, Millis, Tier, UserId, VERSION_MAX, limits, v1};
use enfilade_server::auth::Tokens;
use tokio_tungstenite::tungstenite::Message;

use super::harness::{CODECS, Client, Server, create, encode, want};

const PUBLIC: v1::Visibility = v1::Visibility::Public;

/// Somebody who has nothing to do with what others send.
struct Bystander {
    writer: Client,
    reader: Client,
    counter: u64,
}

impl Bystander {
    async fn come(server: &Server) -> Bystander {
        let mut writer = server.join(Codec::Binary, "Writer", 101).await;
        writer.submit("calm", 1, create(PUBLIC)).await.unwrap();
        let mut reader = server.join(Codec::Json, "Reader", 102).await;
        reader.open_room("calm").await;
        Bystander { writer, reader, counter: 1 }
    }

    /// A message still goes from one to the other, and nothing was refused.
    async fn goes_on(&mut self) {
        self.counter += 1;
        let text = format!("calm {}", self.counter);
        self.writer.submit("calm", self.counter, op::post(text.clone())).await.unwrap();
        assert_eq!(self.reader.texts("calm", 1).await, [text]);
        assert_eq!((self.writer.refusals(), self.reader.refusals()), (vec![], vec![]));
    }
}

fn refused(code: Code) -> String {
    format!("enfilade_refused_total{{code=\"{}\"}}", code.name())
}

fn closed(code: Code) -> String {
    format!("enfilade_closed_total{{code=\"{}\"}}", code.name())
}

/// Text or binary, as the codec has it.
fn message(codec: Codec, bytes: &[u8]) -> Message {
    match codec {
        Codec::Binary => Message::binary(bytes.to_vec()),
        Codec::Json => Message::text(String::from_utf8_lossy(bytes).into_owned()),
    }
}

#[tokio::test]
async fn garbage_and_truncated_frames_are_answered_counted_and_at_last_closed() {
    let server = Server::start(&[]);
    let mut bystander = Bystander::come(&server).await;
    for (round, codec) in (1..).zip(CODECS) {
        let mut client = server.join(codec, "Mallory", 1).await;
        let whole = wire::encode_client(
            codec,
            &v1::ClientFrame { body: Some(client.submission("calm", 1, op::post("hello"))) },
        );
        for bad in [&b"\xff\xff\xffgarbage"[..], b"{", &whole[..whole.len() / 2], &whole[..whole.len() - 1]] {
            client.say(message(codec, bad));
            assert_eq!(client.error().await, Code::Malformed);
        }
        // Frames of an unknown kind are none of these.
        client.say(message(codec, if codec == Codec::Binary { &[0xfa, 0x7f, 0] } else { b"{\"dance\":{}}" }));
        for _ in 5..=limits::MALFORMED_FRAMES {
            client.say(message(codec, b"\xffgarbage"));
        }
        assert_eq!(client.closed().await, Some(Code::ProtocolError as u16));
        assert_eq!(client.refusals(), [Code::Malformed; 4]);
        let frames = u64::from(limits::MALFORMED_FRAMES);
        server.counted("enfilade_bad_frames_total{code=\"malformed\"}", round * frames).await;
        server.counted(&closed(Code::ProtocolError), round).await;
        bystander.goes_on().await;
    }
}

#[tokio::test]
async fn a_message_beyond_the_limit_closes() {
    let server = Server::start(&[]);
    let mut bystander = Bystander::come(&server).await;
    for (round, codec) in (1..).zip(CODECS) {
        let mut client = server.join(codec, "Mallory", 1).await;
        client.say(message(codec, &vec![b' '; limits::FRAME_BYTES + 1]));
        assert_eq!(client.closed().await, Some(Code::FrameTooLarge as u16));
        server.counted(&closed(Code::FrameTooLarge), round).await;
        bystander.goes_on().await;
    }
}

#[tokio::test]
async fn the_other_codecs_messages_close() {
    let server = Server::start(&[]);
    let mut bystander = Bystander::come(&server).await;
    for (round, (codec, other)) in (1..).zip([(Codec::Binary, Codec::Json), (Codec::Json, Codec::Binary)]) {
        let (token, _) = server.guest("Mallory");
        let mut late = server.connect(codec, &token, 1).await;
        late.say(encode(other, Ask::Heartbeat(v1::ClientHeartbeat::default())));
        assert_eq!(late.closed().await, Some(Code::WrongEncoding as u16));
        let mut early = server.open(codec, 1).await;
        early.say(encode(other, early.greeting(&token, Vec::new())));
        assert_eq!(early.closed().await, Some(Code::WrongEncoding as u16));
        server.counted(&closed(Code::WrongEncoding), 2 * round).await;
        bystander.goes_on().await;
    }
}

#[tokio::test]
async fn what_is_no_websocket_ends_without_harm() {
    let server = Server::start(&[]);
    let mut bystander = Bystander::come(&server).await;
    let mut socket = TcpStream::connect(&server.address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    socket.write_all(b"\x16\x03\x01garbage\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // It may be answered or just ended.
    let _ = socket.read_to_end(&mut answer);
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&answer));

    let subprotocol =
        "sec-websocket-protocol: enfilade.proto.v1\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    let mut socket = TcpStream::connect(&server.address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(
        socket,
        "GET /ws HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n{subprotocol}\r\n"
    )
    .unwrap();
    // A frame without a mask, of an opcode that there is not.
    socket.write_all(&[0x8b, 0x02, 1, 2]).unwrap();
    socket.read_to_end(&mut answer).unwrap();
    let close = &answer[answer.len() - 2..];
    assert!(answer.windows(3).any(|bytes| bytes == b"101"), "{}", String::from_utf8_lossy(&answer));
    assert!(answer.windows(2).any(|bytes| bytes == 1002_u16.to_be_bytes()), "{close:?}");
    server.counted("enfilade_closed_total{code=\"not_websocket\"}", 1).await;
    bystander.goes_on().await;
}

#[tokio::test]
async fn a_hello_that_is_none_closes_with_its_code() {
    let server = Server::start(&[]);
    let mut bystander = Bystander::come(&server).await;
    let (token, user) = server.guest("Mallory");
    let tokens =
        Tokens::open_existing(&server.folder.path().join("data"), Duration::from_secs(60)).unwrap().unwrap();
    let long_ago = Millis(1_000_000_000_000);
    let (expired, _) =
        tokens.mint(UserId::new(&user).unwrap(), "Mallory", Duration::from_secs(60), long_ago).unwrap();
    let mut forged = token.clone().into_bytes();
    let place = forged.len() - 10;
    forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    let other = Server::start(&[]);
    let (foreign, _) = other.guest("Mallory");

    for (round, codec) in (1..).zip(CODECS) {
        let hello = |token: &str, version: u32| {
            let (version_min, version_max) = (version, version);
            Ask::Hello(v1::Hello {
                version_min,
                version_max,
                token: token.into(),
                client_id: 1,
                ..Default::default()
            })
        };
        let early = Ask::SetTier(want("calm", Tier::Active, None));
        for (ask, close, error) in [
            (hello(&token, VERSION_MAX + 1), Code::UnsupportedVersion, None),
            (early, Code::HelloExpected, None),
            (hello(&expired, VERSION_MAX), Code::CloseTokenExpired, Some(Code::TokenExpired)),
            (hello(&forged, VERSION_MAX), Code::CloseTokenInvalid, Some(Code::TokenInvalid)),
            (hello(&foreign, VERSION_MAX), Code::CloseTokenInvalid, Some(Code::TokenInvalid)),
            (hello("", VERSION_MAX), Code::CloseTokenInvalid, Some(Code::TokenInvalid)),
        ] {
            let mut client = server.open(codec, 1).await;
            client.ask(ask.clone());
            assert_eq!(client.closed().await, Some(close as u16), "{ask:?}");
            assert_eq!(client.refusals(), error.into_iter().collect::<Vec<_>>(), "{ask:?}");
        }
        server.counted(&closed(Code::UnsupportedVersion), round).await;
        server.counted(&closed(Code::HelloExpected), round).await;
        server.counted(&closed(Code::CloseTokenExpired), round).await;
        server.counted(&closed(Code::CloseTokenInvalid), 3 * round).await;
        server.counted(&refused(Code::TokenInvalid), 3 * round).await;
        bystander.goes_on().await;
    }
}

#[tokio::test]
async fn a_second_hello_and_the_token_of_another_close() {
    let server = Server::start(&[]);
    let mut bystander = Bystander::come(&server).await;
    let (token, _) = server.guest("Mallory");
    let mut twice = server.connect(Codec::Binary, &token, 1).await;
    twice.ask(twice.greeting(&token, Vec::new()));
    assert_eq!(twice.closed().await, Some(Code::HelloExpected as u16));
    let mut other = server.connect(Codec::Json, &token, 1).await;
    // One's own token is welcome at any time.
    other.ask(Ask::TokenRefresh(v1::TokenRefresh { token }));
    other.submit("mine", 1, create(PUBLIC)).await.unwrap();
    other.ask(Ask::TokenRefresh(v1::TokenRefresh { token: server.guest("Eve").0 }));
    assert_eq!(other.closed().await, Some(Code::CloseTokenInvalid as u16));
    bystander.goes_on().await;
}

#[tokio::test]
async fn a_socket_that_says_nothing_is_closed() {
    let server = Server::start(&["timeouts.hello_ms=300"]);
    let mut bystander = Bystander::come(&server).await;
    let mut silent = server.open(Codec::Binary, 1).await;
    assert_eq!(silent.closed().await, Some(Code::HelloTimeout as u16));
    server.counted(&closed(Code::HelloTimeout), 1).await;
    bystander.goes_on().await;
}

#[tokio::test]
async fn rooms_that_are_not_there_are_unknown_to_every_request() {
    let server = Server::start(&[]);
    let mut bystander = Bystander::come(&server).await;
    for (round, codec) in (1..).zip(CODECS) {
        let mut client = server.join(codec, "Mallory", round).await;
        for tier in [Tier::Active, Tier::Background, Tier::Cached] {
            client.set_tier("nowhere", tier, None);
            assert_eq!(client.error().await, Code::UnknownRoom, "{tier:?}");
        }
        for (counter, body) in (1..).zip([op::post("x"), Body::Join(v1::Join {}), Body::Leave(v1::Leave {})])
        {
            assert_eq!(client.submit("nowhere", counter, body).await, Err(Code::UnknownRoom));
        }
        client.ask(Ask::History(v1::HistoryRequest {
            request_id: 9,
            room_id: "nowhere".into(),
            ..Default::default()
        }));
        let request_id = client.expect(|frame| match frame {
            Frame::Error(error) if error.code == Code::UnknownRoom.number() => Some(error.request_id),
            _ => None,
        });
        assert_eq!(request_id.await, 9);
        server.counted(&refused(Code::UnknownRoom), round * 7).await;
        bystander.goes_on().await;
    }
    assert_eq!(server.get("/api/rooms", None).1["total"], 1);
}

#[tokio::test]
async fn names_texts_and_ids_that_are_no_good_are_refused_by_name() {
    // As JSON writes it, what is no operation is a third longer: at the default bound it would be too long for a frame.
    const OP_BYTES: usize = 20 * 1024;
    let server = Server::start(&["limits.op_bytes=20480"]);
    let mut bystander = Bystander::come(&server).await;
    let (long_id, long_name, long_text) = ("x".repeat(65), "ä".repeat(65), "x".repeat(4_001));
    for (round, codec) in (1..).zip(CODECS) {
        let mut client = server.join(codec, "Mallory", round).await;
        let mine = format!("mine-{round}");
        client.submit(&mine, 1, create(PUBLIC)).await.unwrap();
        let named = |name: &str| Body::CreateRoom(v1::CreateRoom { name: name.into(), ..Default::default() });
        let cases = [
            ("new", named(""), Code::InvalidName),
            ("new", named("  "), Code::InvalidName),
            ("new", named(&long_name), Code::InvalidName),
            ("new", named("a\u{0}b"), Code::InvalidName),
            ("new", named("\u{202e}evil"), Code::InvalidName),
            ("", named("Name"), Code::InvalidRoomId),
            ("a b", named("Name"), Code::InvalidRoomId),
            ("a\u{1}", named("Name"), Code::InvalidRoomId),
            (&long_id, named("Name"), Code::InvalidRoomId),
            (&mine, named("Name"), Code::RoomExists),
            (&mine, op::post(""), Code::InvalidText),
            (&mine, op::post("\u{7}"), Code::InvalidText),
            (&mine, op::post(long_text.clone()), Code::InvalidText),
            (
                &mine,
                Body::SetInfo(v1::SetInfo { name: Some("".into()), ..Default::default() }),
                Code::InvalidName,
            ),
        ];
        let count = cases.len() as u64;
        for (counter, (room, body, code)) in (2..).zip(cases) {
            assert_eq!(client.submit(room, counter, body.clone()).await, Err(code), "{room:?} {body:?}");
        }
        for (room, code) in
            [("", Code::InvalidRoomId), (&long_id, Code::InvalidRoomId), ("\u{0}", Code::InvalidRoomId)]
        {
            client.set_tier(room, Tier::Active, None);
            assert_eq!(client.error().await, code);
        }
        // An operation that is none, and one that is too large.
        for (counter, (bytes, code)) in
            (2 + count..).zip([(vec![0xff; 9], Code::InvalidOp), (vec![0; OP_BYTES + 1], Code::OpTooLarge)])
        {
            let op_id = Some(v1::OpId { client: round, counter });
            let room_id = mine.clone();
            client.ask(Ask::Submit(v1::Submit { room_id, op_id, op: bytes, ..Default::default() }));
            assert_eq!(client.answer(counter).await, Err(code));
        }
        // Nothing of it has come to be, and the next good one is as good as ever.
        assert_eq!(client.submit(&mine, 99, op::post("fine")).await.map(|at| at.seq), Ok(2));
        server.counted(&refused(Code::InvalidName), round * 6).await;
        server.counted(&refused(Code::InvalidText), round * 3).await;
        server.counted(&refused(Code::InvalidRoomId), round * 7).await;
        server.counted(&refused(Code::OpTooLarge), round).await;
        bystander.goes_on().await;
    }
}

#[tokio::test]
async fn positions_that_are_not_of_this_log_are_named_and_replaced() {
    let server = Server::start(&[]);
    let mut bystander = Bystander::come(&server).await;
    for (round, codec) in (1..).zip(CODECS) {
        let mut client = server.join(codec, "Mallory", 1).await;
        let (at, _) = client.open_room("calm").await;
        let ahead = v1::Position { seq: at.seq + 9, ..at };
        let elsewhere = v1::Position { epoch: at.epoch ^ 1, ..at };
        let largest = v1::Position { epoch: limits::INTEGER_BOUND - 1, seq: limits::INTEGER_BOUND - 1 };
        for (base, code) in
            [(ahead, Code::PositionAhead), (elsewhere, Code::EpochChanged), (largest, Code::EpochChanged)]
        {
            client.set_tier("calm", Tier::Active, Some(base));
            assert_eq!(client.error().await, code);
            let reason = client.sync("calm", |sync| match &sync.data {
                Some(Data::BulkSync(bulk)) => Some((bulk.reason, sync.sequence_number)),
                _ => None,
            });
            assert_eq!(reason.await, (code.number(), at.seq));
        }
        server.counted(&refused(Code::PositionAhead), round).await;
        server.counted(&refused(Code::EpochChanged), 2 * round).await;
        bystander.goes_on().await;
    }
}

#[tokio::test]
async fn an_operations_id_is_good_for_one_body_and_one_user() {
    let server = Server::start(&[]);
    let mut bystander = Bystander::come(&server).await;
    for (round, codec) in (1..).zip(CODECS) {
        let room = format!("room-{round}");
        let mut ada = server.join(codec, "Ada", 1).await;
        ada.submit(&room, 1, create(PUBLIC)).await.unwrap();
        ada.submit(&room, 5, op::post("hello")).await.unwrap();
        assert_eq!(ada.submit(&room, 5, op::post("goodbye")).await, Err(Code::OpIdReused));
        assert_eq!(ada.submit(&room, 4, op::post("late")).await, Err(Code::OpSuperseded));
        // Another user under the same client id, and an operation in the name of another client.
        let mut eve = server.join(codec, "Eve", 1).await;
        assert_eq!(eve.submit(&room, 6, op::post("me too")).await, Err(Code::ClientIdTaken));
        let op_id = Some(v1::OpId { client: 7, counter: 1 });
        let op = op::encode(op::post("not me"));
        eve.ask(Ask::Submit(v1::Submit { room_id: room.clone(), op_id, op, ..Default::default() }));
        assert_eq!(eve.answer(1).await, Err(Code::InvalidRequest));
        let (at, snapshot) = ada.open_room(&room).await;
        assert_eq!((at.seq, snapshot.timeline[0].text.as_str()), (2, "hello"));
        server.counted(&refused(Code::OpIdReused), round).await;
        server.counted(&refused(Code::ClientIdTaken), round).await;
        bystander.goes_on().await;
    }
}

#[tokio::test]
async fn more_rooms_than_a_connection_may_hold_are_refused_one_by_one() {
    let server =
        Server::start(&["limits.live_rooms_per_connection=2", "limits.cached_rooms_per_connection=1"]);
    let mut bystander = Bystander::come(&server).await;
    let mut client = server.join(Codec::Json, "Mallory", 1).await;
    for room in ["a", "b", "c"] {
        client.submit(room, 1, create(PUBLIC)).await.unwrap();
    }
    client.open_room("a").await;
    client.open_room("b").await;
    client.set_tier("c", Tier::Active, None);
    assert_eq!(client.error().await, Code::TooManyRooms);
    client.set_tier("b", Tier::Unloaded, None);
    client.open_room("c").await;
    assert_eq!(client.submit("d", 1, create(PUBLIC)).await.map(|at| at.seq), Ok(1));
    assert_eq!(client.submit("e", 1, create(PUBLIC)).await, Err(Code::TooManyRooms));
    server.counted(&refused(Code::TooManyRooms), 2).await;
    bystander.goes_on().await;
}
