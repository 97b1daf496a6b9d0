//! Incremental writes against whole ones: whatever happens, the keys are those of the state.

use bytes::Bytes;
use enfilade_core::op::{self, Body};
use enfilade_core::{ClientId, Millis, OpId, Position, RoomId, limits, v1};
use proptest::prelude::*;

use super::*;
use crate::store::{Append, KeyCommand, KeyStore as _, MemoryStore, RoomStore as _};

/// A room's log in the making, with its keys as the appends leave them.
struct Room {
    state: RoomState,
    log: Vec<Vec<u8>>,
    keys: Keyspace,
    readable: Readable,
    /// Commands of the last append.
    written: Vec<KeyWrite>,
}

impl Room {
    fn new(id: &str, chat_messages: usize) -> Room {
        let mut state = RoomState::authority(RoomId::new(id).unwrap());
        state.open_epoch(7);
        let readable = Readable { chat_messages, ..Readable::DEFAULT };
        Room { state, log: Vec::new(), keys: Keyspace::default(), readable, written: Vec::new() }
    }

    /// Appends a batch of operations, each by its author.
    fn append(&mut self, batch: impl IntoIterator<Item = (&'static str, Body)>) {
        let before = self.state.clone();
        let (mut changes, mut entries) = (Vec::new(), Vec::new());
        for (author, body) in batch {
            let seq = self.state.position().seq + 1;
            let is_message = matches!(body, Body::PostMessage(_));
            let entry = Entry {
                seq,
                op_id: OpId { client: ClientId(author.len() as u64 + 1), counter: seq },
                author: author.into(),
                author_name: author.to_uppercase(),
                at: Millis(1_000 * seq),
                ordinal: if is_message { self.state.timeline().head() + 1 } else { 0 },
                op: op::encode(body.clone()),
                body: Some(body),
            };
            changes.extend(self.state.apply(&entry).unwrap());
            entries.push(entry.encode());
        }
        self.written = match before.position().seq {
            0 => self.readable.whole(&self.state),
            _ => self.readable.changed(&before, &self.state, &changes, &entries),
        };
        self.log.extend(entries);
        self.keys.apply(self.written.clone());
    }

    fn whole(&self) -> Keyspace {
        let mut keys = Keyspace::default();
        keys.apply(self.readable.whole(&self.state));
        keys
    }

    fn hash(&self, key: &str, field: &str) -> Option<&str> {
        match self.keys.get(key)? {
            Value::Hash(hash) => hash.get(field).map(String::as_str),
            other => panic!("{key} is {other:?}"),
        }
    }

    fn scores(&self, key: &str) -> Vec<(String, i64)> {
        match self.keys.get(key) {
            Some(Value::Scores(scores)) => keyspace::ascending(scores),
            None => Vec::new(),
            other => panic!("{key} is {other:?}"),
        }
    }
}

fn create() -> (&'static str, Body) {
    ("ann", Body::CreateRoom(v1::CreateRoom { name: "Lobby".into(), ..Default::default() }))
}

fn element(key: &str, version: u64, value: &str, deleted: bool) -> Body {
    let change = v1::ElementChange {
        key: key.into(),
        version,
        nonce: 1,
        index: "a0".into(),
        value: value.into(),
        deleted,
    };
    Body::PutElements(v1::PutElements { elements: vec![change] })
}

fn user() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["ann", "benny", "carla1", "d"])
}

fn team() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["blue".to_owned(), "red".into(), "gr{e}en".into()])
}

/// Operations in a room. Some are about messages, which are named by how far back they lie.
fn room_op() -> impl Strategy<Value = RoomOp> {
    let body = prop_oneof![
        6 => "[a-z]{1,8}".prop_map(op::post),
        2 => Just(Body::Join(v1::Join {})),
        2 => Just(Body::Leave(v1::Leave {})),
        1 => (user(), 0..3_i32)
            .prop_map(|(user, role)| Body::SetRole(v1::SetRole { user: user.into(), role })),
        1 => (user(), prop::collection::vec("[a-z]{1,4}", 0..3)).prop_map(|(user, badges)| {
            Body::SetBadges(v1::SetBadges { user: user.into(), badges, color: String::new() })
        }),
        1 => user().prop_map(|user| Body::Kick(v1::Kick { user: user.into(), ..Default::default() })),
        1 => (0..9_u32).prop_map(|capacity| {
            Body::SetConfig(v1::SetConfig { capacity: Some(capacity), ..Default::default() })
        }),
        1 => "[a-z]{1,5}".prop_map(|name| {
            Body::SetInfo(v1::SetInfo { name: Some(name), ..Default::default() })
        }),
        4 => ("[a-c]", 1..5_u64, "[\"x\\\\1]{0,3}", any::<bool>())
            .prop_map(|(key, version, value, deleted)| element(&key, version, &value, deleted)),
        1 => prop::collection::btree_set(team(), 0..3)
            .prop_map(|teams| Body::SetTeams(v1::SetTeams { teams: teams.into_iter().collect() })),
        2 => prop::option::of(team()).prop_map(|team| Body::JoinTeam(v1::JoinTeam { team })),
        1 => Just(Body::LeaveTeam(v1::LeaveTeam {})),
        4 => (0..5_u64, prop::option::of(user())).prop_map(|(points, user)| {
            Body::AddScore(v1::AddScore { points, user: user.map(str::to_owned) })
        }),
        1 => Just(Body::ResetScores(v1::ResetScores {})),
    ];
    let amend = prop_oneof![
        "[a-z]{1,8}".prop_map(Amend::Edit),
        Just(Amend::Delete),
        any::<bool>().prop_map(Amend::React),
        any::<bool>().prop_map(Amend::Pin),
    ];
    prop_oneof![
        4 => (user(), body).prop_map(|(user, body)| RoomOp::Plain(user, Box::new(body))),
        2 => (user(), amend, 0..14_usize).prop_map(|(user, amend, back)| RoomOp::Amend(user, amend, back)),
    ]
}

#[derive(Clone, Debug)]
enum RoomOp {
    Plain(&'static str, Box<Body>),
    Amend(&'static str, Amend, usize),
}

#[derive(Clone, Debug)]
enum Amend {
    Edit(String),
    Delete,
    React(bool),
    Pin(bool),
}

impl RoomOp {
    fn body(self, room: &RoomState) -> Option<(&'static str, Body)> {
        let (user, amend, back) = match self {
            RoomOp::Plain(user, body) => return Some((user, *body)),
            RoomOp::Amend(user, amend, back) => (user, amend, back),
        };
        let message = room.timeline().iter().rev().nth(back)?;
        let (message_id, message_seq) = (message.id, message.seq);
        let body = match amend {
            Amend::Edit(text) => {
                Body::EditMessage(v1::EditMessage { message_id, message_seq, text, mentions: Vec::new() })
            }
            Amend::Delete => Body::DeleteMessage(v1::DeleteMessage { message_id, message_seq }),
            Amend::React(removed) => {
                Body::React(v1::React { message_id, message_seq, reaction: "👍".into(), removed })
            }
            Amend::Pin(removed) => Body::Pin(v1::Pin { message_id, message_seq, removed }),
        };
        Some((user, body))
    }
}

fn inbox_op() -> impl Strategy<Value = Body> {
    let user = || user().prop_map(str::to_owned);
    let as_of = || (1..9_u64).prop_map(|seq| Some(v1::Position { epoch: 3, seq }));
    prop_oneof![
        user().prop_map(|user| Body::RequestFriend(v1::RequestFriend { user })),
        (user(), any::<bool>())
            .prop_map(|(user, accepted)| Body::AnswerFriend(v1::AnswerFriend { user, accepted })),
        user().prop_map(|user| Body::RemoveFriend(v1::RemoveFriend { user })),
        (user(), any::<bool>()).prop_map(|(user, lifted)| Body::BlockUser(v1::BlockUser { user, lifted })),
        (user(), any::<bool>())
            .prop_map(|(user, removed)| Body::FollowUser(v1::FollowUser { user, removed })),
        (user(), 1..8_i32, as_of()).prop_map(|(user, event, as_of)| {
            Body::FriendNews(v1::FriendNews { user, event, as_of, ..Default::default() })
        }),
        (0..4_i32, "[a-z]{0,4}").prop_map(|(availability, text)| {
            Body::SetStatus(v1::SetStatus { availability, text, until: 0 })
        }),
        ("[ab]", as_of()).prop_map(|(room_id, as_of)| Body::FollowRoom(v1::FollowRoom { room_id, as_of })),
        ("[ab]", as_of())
            .prop_map(|(room_id, as_of)| Body::UnfollowRoom(v1::UnfollowRoom { room_id, as_of })),
        ("[ab]", 1..9_u64)
            .prop_map(|(room_id, ordinal)| Body::SetReadMarker(v1::SetReadMarker { room_id, ordinal })),
        ("[ab]", 1..400_u64).prop_map(|(room_id, ordinal)| {
            let message_id = Some(v1::OpId { client: 1, counter: ordinal });
            Body::Notify(v1::Notify { room_id, message_id, ordinal, at: ordinal, ..Default::default() })
        }),
        ("[a-c]", 1..5_u64, "[x1]{0,3}", any::<bool>())
            .prop_map(|(key, version, value, deleted)| element(&key, version, &value, deleted)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 96 }))]

    #[test]
    fn what_is_written_with_each_batch_makes_the_keys_of_the_state(
        batches in prop::collection::vec(prop::collection::vec(room_op(), 1..6), 1..40),
    ) {
        let mut room = Room::new("lobby", 5);
        room.append([create()]);
        for batch in batches {
            // Named by what is there before the batch, as authors do who don't know each other's.
            let batch: Vec<_> = batch.into_iter().filter_map(|op| op.body(&room.state)).collect();
            if !batch.is_empty() {
                room.append(batch);
            }
            prop_assert_eq!(&room.keys, &room.whole());
        }
    }

    #[test]
    fn so_are_those_of_an_inbox(
        batches in prop::collection::vec(prop::collection::vec(inbox_op(), 1..6), 1..40),
    ) {
        let mut room = Room::new("inbox:ann", 5);
        for batch in batches {
            room.append(batch.into_iter().map(|body| ("ann", body)));
            prop_assert_eq!(&room.keys, &room.whole());
        }
    }
}

#[test]
fn a_person_finds_the_room_under_its_names() {
    let mut room = Room::new("lobby", 100);
    room.append([create(), ("benny", Body::Join(v1::Join {}))]);
    room.append([("benny", op::post("hello")), ("ann", element("e1", 3, r#"{"x":1.5}"#, false))]);
    assert_eq!(room.hash("rooms:{lobby}", "room_name"), Some("Lobby"));
    assert_eq!(room.hash("rooms:{lobby}", "participant_count"), Some("2"));
    assert_eq!(room.hash("rooms:participants:{lobby}", "benny"), Some("BENNY"));
    assert_eq!(room.hash("rooms:roles:{lobby}", "ann"), Some("owner"));
    assert_eq!(room.hash("rooms:config:{lobby}", "slow_mode_enabled"), Some("false"));
    let board = room.hash("rooms:whiteboard:{lobby}", "e1").unwrap();
    assert!(board.starts_with(r#"{"version":3,"#) && board.ends_with(r#""value":{"x":1.5}}"#), "{board}");
    let [(message, seq)] = &room.scores("rooms:chat:{lobby}")[..] else { panic!() };
    assert_eq!(*seq, 3);
    assert!(message.contains(r#""user_id":"benny","username":"BENNY","message":"hello""#), "{message}");
    assert_eq!(room.scores("rooms:members:{lobby}"), [("ann".into(), 1_000), ("benny".into(), 2_000)]);
}

#[test]
fn a_tap_costs_the_same_however_many_play() {
    let mut room = Room::new("game", 100);
    room.append([create()]);
    let teams = vec!["blue".into(), "red".into()];
    room.append([("ann", Body::SetTeams(v1::SetTeams { teams }))]);
    for player in 0..500 {
        let user = Some(format!("player-{player}"));
        room.append([("ann", Body::AddScore(v1::AddScore { points: 1, user }))]);
    }
    room.append([("ann", Body::JoinTeam(v1::JoinTeam { team: Some("blue".into()) }))]);
    room.append([("ann", Body::AddScore(v1::AddScore { points: 2, user: None }))]);
    // The room's head, the player, the leaderboard, the team's score, members and rank, the total.
    assert!(room.written.len() <= 7, "{:?}", room.written);
    assert_eq!(room.keys.get("game:{game}:team:blue:score"), Some(&Value::Text("2".into())));
    assert_eq!(room.keys.get("game:{game}:total:taps"), Some(&Value::Text("502".into())));
    assert_eq!(room.scores("game:{game}:leaderboard").last(), Some(&("ann".into(), 2)));
}

#[test]
fn a_chat_is_one_key_with_the_newest_messages_as_they_stand() {
    let mut room = Room::new("lobby", 100);
    room.append([create()]);
    (0..150).for_each(|n| room.append([("ann", op::post(format!("message {n}")))]));
    let chat = room.scores("rooms:chat:{lobby}");
    assert_eq!((chat.len(), chat[0].1, chat[99].1), (100, 52, 151));
    let last = room.state.timeline().last().unwrap().clone();
    let edit = v1::EditMessage {
        message_id: last.id,
        message_seq: last.seq,
        text: "x".into(),
        ..Default::default()
    };
    room.append([("ann", Body::EditMessage(edit))]);
    let chat = room.scores("rooms:chat:{lobby}");
    assert!(chat.len() == 100 && chat[99].0.contains(r#""message":"x""#), "{:?}", chat[99]);
}

#[test]
fn an_expiry_holds_for_every_key_of_the_room() {
    let readable = Readable { expiry: Some(Duration::from_secs(86_400)), ..Readable::default() };
    let mut room = Room::new("lobby", 100);
    room.append([create()]);
    let writes = readable.whole(&room.state);
    let expiring = writes.iter().filter(|write| matches!(write.command, KeyCommand::Expire(_)));
    let expiring: Vec<&str> = expiring.map(|write| write.key.as_str()).collect();
    assert!(writes.iter().all(|write| expiring.contains(&write.key.as_str())), "{writes:?}");
}

#[test]
fn whatever_an_element_holds_its_line_is_json() {
    for value in [&b"{\"a\":[1,2.5e3]}"[..], b"plain text", b"\xff\xfe", b"", b"\"\\\n"] {
        let element = v1::Element { value: value.into(), index: "a\"".into(), ..Default::default() };
        let line = values::element(&element);
        assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok(), "{line}");
    }
}

#[test]
fn the_largest_room_fits_one_append() {
    let mut room = Room::new("lobby", 1_000);
    room.append([create()]);
    let text = "x".repeat(limits::TEXT_CHARS);
    (0..1_000).for_each(|_| room.append([("ann", op::post(text.clone()))]));
    let writes = room.readable.whole(&room.state);
    let bytes: usize = writes.iter().map(|write| write.command.bytes()).sum();
    assert!(bytes <= crate::store::Limits::KEYS_BYTES && writes.len() <= crate::store::Limits::KEY_WRITES);
}

/// A store with a room in it, made by the one way there is.
async fn showing(rooms: &[&Room]) -> MemoryStore {
    let store = MemoryStore::showing(Readable::DEFAULT);
    for room in rooms {
        let id = room.state.id();
        store.claim(id, 7).await.unwrap();
        let expected = Position { epoch: 7, seq: 0 };
        let batch = room.log.iter().map(|entry| Bytes::from(entry.clone())).collect();
        let append =
            Append { keys: room.readable.whole(&room.state), ..Append::new(expected, batch, Bytes::new()) };
        store.append(id, append).await.unwrap();
    }
    store
}

/// A room and an inbox with something in every key.
fn furnished() -> (Room, Room) {
    let mut room = Room::new("lobby", 100);
    room.append([create(), ("benny", Body::Join(v1::Join {}))]);
    let badges = vec!["vip".into(), "subscriber".into()];
    let badges = v1::SetBadges { user: "benny".into(), badges, color: String::new() };
    let teams = v1::SetTeams { teams: vec!["blue".into(), "red".into()] };
    room.append([
        ("ann", Body::SetBadges(badges)),
        ("ann", op::post("hello there")),
        ("benny", op::post("two\nlines")),
        ("benny", element("line-1", 3, r#"{"x":1.5}"#, false)),
        ("ann", Body::SetTeams(teams)),
        ("ann", Body::JoinTeam(v1::JoinTeam { team: Some("blue".into()) })),
        ("ann", Body::AddScore(v1::AddScore { points: 7, user: None })),
        ("benny", Body::AddScore(v1::AddScore { points: 9, user: None })),
    ]);
    let mut inbox = Room::new("inbox:ann", 100);
    let as_of = Some(v1::Position { epoch: 3, seq: 1 });
    let event = v1::FriendEvent::Requested.into();
    let request = |user: &str| v1::FriendNews { user: user.into(), event, as_of, ..Default::default() };
    inbox.append([
        ("", Body::FriendNews(request("benny"))),
        ("", Body::FriendNews(request("carla"))),
        ("ann", Body::AnswerFriend(v1::AnswerFriend { user: "benny".into(), accepted: true })),
        ("ann", Body::FollowRoom(v1::FollowRoom { room_id: "lobby".into(), as_of: None })),
        ("ann", Body::SetStatus(v1::SetStatus { availability: 1, text: "lunch".into(), until: 0 })),
        ("ann", element("theme", 1, "dark", false)),
    ]);
    (room, inbox)
}

#[tokio::test]
async fn what_is_damaged_or_deleted_is_rebuilt_from_the_log() {
    let (room, inbox) = furnished();
    let store = showing(&[&room, &inbox]).await;
    let whole = store.keyspace();
    let damage = |key: &str, command| KeyWrite { key: key.into(), command };
    let damages = [
        damage("rooms:chat:{lobby}", KeyCommand::Del),
        damage("rooms:chat:{lobby}", KeyCommand::Set("by hand".into())),
        damage("game:{lobby}:total:taps", KeyCommand::Set("1000000".into())),
        damage("rooms:whiteboard:{lobby}", KeyCommand::HSet(vec![("a".into(), "b".into())])),
        damage("game:{lobby}:team:green:score", KeyCommand::Set("5".into())),
        damage("users:friends:{inbox:ann}", KeyCommand::SAdd(vec!["mallory".into()])),
    ];
    store.write(damages.into()).await.unwrap();
    // What is no projection of the log stays.
    let here = damage("rooms:users:{lobby}", KeyCommand::ZAdd(vec![(5, "conn-1".into())]));
    store.write(vec![here.clone()]).await.unwrap();
    assert_ne!(store.keyspace(), whole);
    for room in [&room, &inbox] {
        let count = rebuild(&store, &store, room.state.id()).await.unwrap();
        assert!(count >= 6, "{count}");
    }
    let mut wanted = whole.clone();
    wanted.apply([here]);
    assert_eq!(store.keyspace(), wanted);
    let unknown = rebuild(&store, &store, &RoomId::new("nowhere").unwrap()).await;
    assert!(matches!(unknown, Err(InspectError::Unknown(_))));
}

#[tokio::test]
async fn inspecting_prints_each_line_with_its_answer() {
    let (room, inbox) = furnished();
    let store = showing(&[&room, &inbox]).await;
    let print = |subject| {
        let store = &store;
        async move { inspect(store, &Readable::DEFAULT, "enfilade:", &subject).await }
    };
    let lobby = room.state.id().clone();
    let game = print(Subject::Game(lobby.clone())).await.unwrap();
    let leaders =
        "$ redis-cli ZRANGE 'enfilade:game:{lobby}:leaderboard' 0 9 REV WITHSCORES\nbenny\n9\nann\n7\n";
    assert!(game.contains(leaders), "{game}");
    assert!(game.contains("$ redis-cli GET 'enfilade:game:{lobby}:team:blue:score'\n7\n"), "{game}");
    let user = print(Subject::User(enfilade_core::UserId::new("ann").unwrap())).await.unwrap();
    assert!(user.contains("$ redis-cli SMEMBERS 'enfilade:users:friends:{inbox:ann}'\nbenny\n"), "{user}");
    let unknown = print(Subject::Room(RoomId::new("nowhere").unwrap())).await.unwrap_err().to_string();
    assert!(unknown.contains("enfilade inspect rooms"), "{unknown}");
}

#[test]
fn every_line_that_is_printed_stands_on_the_page() {
    let page = include_str!("keys.md");
    let lines = [ask::ROOM, ask::CHAT, ask::BOARD, ask::GAME].concat().into_iter();
    let lines = lines.map(|line| line.replace('@', "{lobby}"));
    let lines = lines.chain(ask::USER.iter().map(|line| line.replace('@', "{inbox:ann}")));
    let lines = lines.chain(ask::SERVER.iter().map(|line| line.replace('@', "{server:settings}")));
    for line in lines {
        let [command, key, rest @ ..] = &line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let line = [&[*command, &format!("'enfilade:{key}'")], rest].concat().join(" ");
        assert!(page.contains(&format!("`redis-cli {line}`")), "{line}");
    }
}
