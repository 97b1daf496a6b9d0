use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

mod timeline;

use proptest::prelude::*;

use super::*;
use crate::{ClientId, OpId, limits, op};

/// A log in the making.
struct Log {
    room: &'static str,
    entries: Vec<Entry>,
    messages: u64,
}

impl Log {
    fn new(room: &'static str) -> Log {
        Log { room, entries: Vec::new(), messages: 0 }
    }

    fn push(&mut self, author: &str, client: u64, counter: u64, op: Vec<u8>) -> Entry {
        let body = op::read(&op);
        let is_message = matches!(body, Some(Body::PostMessage(_)));
        self.messages += u64::from(is_message);
        let seq = self.entries.len() as u64 + 1;
        self.entries.push(Entry {
            seq,
            op_id: OpId { client: ClientId(client), counter },
            author: author.into(),
            author_name: author.to_uppercase(),
            at: Millis(1_000 + seq),
            ordinal: if is_message { self.messages } else { 0 },
            op,
            body,
        });
        self.entries[seq as usize - 1].clone()
    }

    /// The next operation of a user whose client has the number of their first letter.
    fn add(&mut self, author: &str, body: Body) -> Entry {
        let client = author.bytes().next().map_or(1, u64::from);
        let counter = self.entries.len() as u64 + 1;
        self.push(author, client, counter, op::encode(body))
    }

    fn fold(&self) -> RoomState {
        fold(self.room, &self.entries)
    }
}

fn id(room: &str) -> RoomId {
    RoomId::new(room).unwrap()
}

fn fold(room: &str, entries: &[Entry]) -> RoomState {
    let mut state = RoomState::authority(id(room));
    state.open_epoch(7);
    for entry in entries {
        state.apply(entry).unwrap();
    }
    state
}

fn create() -> Body {
    Body::CreateRoom(v1::CreateRoom { name: "Lobby".into(), ..Default::default() })
}

fn post(text: &str) -> Body {
    op::post(text)
}

fn join() -> Body {
    Body::Join(v1::Join {})
}

fn follow(room: &str, seq: u64) -> Body {
    let as_of = Some(v1::Position { epoch: 7, seq });
    Body::FollowRoom(v1::FollowRoom { room_id: room.into(), as_of })
}

fn unfollow(room: &str, seq: u64) -> Body {
    let as_of = Some(v1::Position { epoch: 7, seq });
    Body::UnfollowRoom(v1::UnfollowRoom { room_id: room.into(), as_of })
}

fn notify(room: &str, ordinal: u64) -> Body {
    let message_id = Some(v1::OpId { client: 1, counter: ordinal });
    Body::Notify(v1::Notify { room_id: room.into(), message_id, ordinal, ..Default::default() })
}

fn read(room: &str, ordinal: u64) -> Body {
    Body::SetReadMarker(v1::SetReadMarker { room_id: room.into(), ordinal })
}

/// A room with something in every facet.
fn lobby() -> Log {
    let mut log = Log::new("lobby");
    log.add("ada", create());
    log.add("bob", join());
    log.add("ada", post("hello"));
    log.add("bob", post("hi"));
    let slow =
        v1::SetConfig { slow_mode_enabled: Some(true), slow_mode_duration: Some(5), ..Default::default() };
    log.add("ada", Body::SetConfig(slow));
    log.add("ada", Body::SetInfo(v1::SetInfo { topic: Some("news".into()), ..Default::default() }));
    log.add("cleo", join());
    log.add("bob", Body::Leave(v1::Leave {}));
    log
}

// ------------------------------------------------------------------------------------------------------------ fold

#[test]
fn a_log_folds_to_what_it_says() {
    let state = lobby().fold();
    let info = state.info().unwrap();
    assert_eq!((info.name.as_str(), info.topic.as_str(), info.owner.as_str()), ("Lobby", "news", "ada"));
    assert_eq!(
        state.members().iter().map(|member| member.user.as_str()).collect::<Vec<_>>(),
        ["ada", "cleo"]
    );
    assert_eq!(state.members().get("ada").unwrap().role(), v1::Role::Owner);
    assert_eq!(state.members().moderators(), 1);
    assert_eq!(
        state.timeline().iter().map(|message| message.text.as_str()).collect::<Vec<_>>(),
        ["hello", "hi"]
    );
    assert_eq!((state.config().slow_mode_enabled, state.config().slow_mode_duration), (true, 5));
    assert_eq!((state.position(), state.last_at()), (Position { epoch: 7, seq: 8 }, Millis(1_008)));
    let summary = state.summary();
    assert_eq!((summary.messages, summary.member_count, summary.last_activity), (2, 2, 1_008));
    assert_eq!(summary.last_message.unwrap().text, "hi");
}

#[test]
fn each_entry_says_what_it_changed() {
    let mut state = RoomState::replica(id("lobby"));
    let changes: Vec<Vec<Change>> = lobby().entries.iter().map(|entry| state.apply(entry).unwrap()).collect();
    let member = |user: &str| Change::Member(user.to_string());
    let expected = [
        vec![Change::Info, member("ada")],
        vec![member("bob")],
        vec![Change::MessageAdded(1)],
        vec![Change::MessageAdded(2)],
        vec![Change::Config],
        vec![Change::Info],
        vec![member("cleo")],
        vec![Change::MemberGone("bob".to_string())],
    ];
    assert_eq!(changes, expected);
}

#[test]
fn an_entry_that_is_not_the_next_one_changes_nothing() {
    let log = lobby();
    let mut state = fold("lobby", &log.entries[..4]);
    let before = (state.position(), state.digest());
    for wrong in [&log.entries[3], &log.entries[5]] {
        assert_eq!(state.apply(wrong), Err(Code::Malformed));
        assert_eq!((state.position(), state.digest()), before);
    }
}

#[test]
fn an_operation_of_an_unknown_kind_advances_the_position_and_changes_nothing_else() {
    let mut log = lobby();
    let before = log.fold();
    // Field 2047 of the operation: a kind of the future.
    let unknown = log.push("ada", 97, 99, vec![0xfa, 0x7f, 0]);
    let mut after = before.clone();
    assert_eq!(after.apply(&unknown), Ok(Vec::new()));
    assert_eq!(after.position(), before.position().next());
    assert_eq!(after.digest().registers, before.digest().registers);
    assert_ne!(after.digest().chain, before.digest().chain);
    let snapshot = |state: &RoomState| v1::RoomSnapshot {
        position: None,
        chain: 0,
        last_at: 0,
        ..state.snapshot(SnapshotFor::Client { messages: 100 })
    };
    assert_eq!(snapshot(&after), snapshot(&before));
    // It has an author, so its repetition is known.
    assert_eq!(
        after.windows().unwrap().seen("ada", unknown.op_id, &unknown.op),
        Seen::Duplicate(unknown.seq)
    );
}

#[test]
fn a_second_creation_and_the_leaving_of_a_stranger_change_nothing() {
    let mut log = lobby();
    let mut state = log.fold();
    assert_eq!(state.apply(&log.add("cleo", create())), Ok(Vec::new()));
    assert_eq!(state.apply(&log.add("zoe", Body::Leave(v1::Leave {}))), Ok(Vec::new()));
    assert_eq!(state.info().unwrap().owner, "ada");
}

#[test]
fn joining_again_renews_the_name_and_keeps_role_and_date() {
    let mut log = lobby();
    let mut again = log.add("ada", join());
    again.author_name = "Ada L.".into();
    let mut state = fold("lobby", &log.entries[..8]);
    let before = state.members().get("ada").unwrap().clone();
    state.apply(&again).unwrap();
    assert_eq!(state.members().get("ada"), Some(&v1::Member { name: "Ada L.".into(), ..before }));
}

#[test]
fn stamps_that_run_backwards_do_not_take_the_room_back() {
    let mut log = lobby();
    let mut late = log.add("ada", post("late"));
    late.at = Millis(1);
    let mut state = fold("lobby", &log.entries[..8]);
    state.apply(&late).unwrap();
    assert_eq!(state.last_at(), Millis(1_008));
}

#[test]
fn registers_that_return_to_what_they_were_return_the_digest() {
    let mut log = lobby();
    let before = log.fold().digest();
    log.add("zoe", join());
    assert_ne!(log.fold().digest().registers, before.registers);
    log.add("zoe", Body::Leave(v1::Leave {}));
    assert_eq!(log.fold().digest().registers, before.registers);
    assert_ne!(log.fold().digest().chain, before.chain);
}

// --------------------------------------------------------------------------------------------------------- timeline

#[test]
fn the_timeline_holds_the_newest_thousand() {
    let mut log = lobby();
    let mut state = log.fold();
    let mut dropped = Vec::new();
    for number in 0..limits::ACTIVE_MESSAGES as u64 + 3 {
        let changes = state.apply(&log.add("ada", post(&number.to_string()))).unwrap();
        dropped.extend(changes.into_iter().filter(|change| matches!(change, Change::MessagesDropped(_))));
    }
    let timeline = state.timeline();
    assert_eq!((timeline.len(), timeline.head(), timeline.first_ordinal()), (1_000, 1_005, Some(6)));
    assert_eq!(dropped, (2..=6).map(Change::MessagesDropped).collect::<Vec<_>>());
    assert_eq!(timeline.get(5), None);
    assert_eq!(timeline.get(6).unwrap().ordinal, 6);
    assert_eq!(timeline.get(1_006), None);
    let last = timeline.last().unwrap();
    let id = OpId::parse(last.id.as_ref()).unwrap();
    assert_eq!(timeline.by_id(id), Some(last));
    let gone = OpId { client: ClientId(97), counter: 3 };
    assert_eq!(timeline.by_id(gone), None);
}

// -------------------------------------------------------------------------------------------------------- snapshots

#[test]
fn a_stored_snapshot_is_the_same_state_windows_included() {
    let log = lobby();
    let state = log.fold();
    let packed = compress(&state.snapshot(SnapshotFor::Store));
    let again = RoomState::restore(id("lobby"), decompress(&packed).unwrap(), true).unwrap();
    assert_eq!(again.digest(), state.digest());
    assert_eq!(again.snapshot(SnapshotFor::Store), state.snapshot(SnapshotFor::Store));
    let known = &log.entries[3];
    assert_eq!(again.windows().unwrap().seen("bob", known.op_id, &known.op), Seen::Duplicate(4));
}

#[test]
fn a_clients_snapshot_goes_without_windows() {
    let snapshot = lobby().fold().snapshot(SnapshotFor::Client { messages: 1 });
    assert_eq!((snapshot.windows.len(), snapshot.timeline.len(), snapshot.messages), (0, 1, 2));
    assert!(RoomState::restore(id("lobby"), snapshot, false).unwrap().windows().is_none());
}

#[test]
fn a_packed_snapshot_with_any_byte_damaged_is_refused() {
    let packed = compress(&lobby().fold().snapshot(SnapshotFor::Store));
    for place in 0..packed.len() {
        let mut damaged = packed.clone();
        damaged[place] ^= 1;
        assert_eq!(decompress(&damaged), Err(Code::Malformed), "byte {place}");
    }
    for length in 0..packed.len() {
        assert_eq!(decompress(&packed[..length]), Err(Code::Malformed), "{length} bytes");
    }
}

#[test]
fn a_snapshot_that_contradicts_itself_is_refused() {
    let good = || lobby().fold().snapshot(SnapshotFor::Store);
    let newer = v1::RoomSnapshot { fold_version: FOLD_VERSION + 1, ..good() };
    assert_eq!(RoomState::restore(id("lobby"), newer, true).err(), Some(Code::FoldTooNew));
    let bad: [(&str, v1::RoomSnapshot); 6] = [
        ("no fold at all", v1::RoomSnapshot { fold_version: 0, ..good() }),
        ("no position", v1::RoomSnapshot { position: None, ..good() }),
        (
            "a position that no log has",
            v1::RoomSnapshot { position: Some(v1::Position { epoch: 7, seq: u64::MAX }), ..good() },
        ),
        ("a timeline that ends before the head", v1::RoomSnapshot { messages: 9, ..good() }),
        (
            "a timeline with a hole",
            v1::RoomSnapshot {
                timeline: vec![v1::Message { ordinal: 1, ..Default::default() }; 2],
                ..good()
            },
        ),
        (
            "a head that is no count",
            v1::RoomSnapshot { timeline: Vec::new(), messages: limits::INTEGER_BOUND, ..good() },
        ),
    ];
    for (what, snapshot) in bad {
        assert_eq!(RoomState::restore(id("lobby"), snapshot, true).err(), Some(Code::Malformed), "{what}");
    }
}

#[test]
fn the_largest_messages_that_there_may_be_still_make_a_snapshot_that_opens() {
    let mut log = lobby();
    let text = "\u{1f600}".repeat(limits::TEXT_CHARS);
    let mut state = log.fold();
    for _ in 0..limits::ACTIVE_MESSAGES {
        state.apply(&log.add("ada", post(&text))).unwrap();
    }
    let snapshot = decompress(&compress(&state.snapshot(SnapshotFor::Store))).unwrap();
    let again = RoomState::restore(id("lobby"), snapshot, true).unwrap();
    assert_eq!((again.digest(), again.timeline().head()), (state.digest(), state.timeline().head()));
    assert!(again.timeline().len() >= limits::JOIN_MESSAGES);
}

// ------------------------------------------------------------------------------------------------------------ inbox

fn inbox(bodies: &[Body]) -> RoomState {
    let mut log = Log::new("inbox:bob");
    for body in bodies {
        log.push("", 1, 1, op::encode(body.clone()));
    }
    log.fold()
}

#[test]
fn an_effect_that_is_repeated_is_settled_and_changes_nothing() {
    let bodies = [follow("lobby", 2), notify("lobby", 3), read("lobby", 2)];
    for body in bodies {
        let once = inbox(core::slice::from_ref(&body));
        assert!(once.inbox().is_settled(&body), "{body:?}");
        let twice = inbox(&[body.clone(), body.clone()]);
        assert_eq!(twice.digest().registers, once.digest().registers, "{body:?}");
        let notifications = |state: &RoomState| state.inbox().notifications().len();
        assert_eq!(notifications(&twice), notifications(&once), "{body:?}");
    }
}

#[test]
fn news_about_following_is_overtaken_by_later_news_of_the_same_log() {
    let state = inbox(&[follow("lobby", 5), unfollow("lobby", 3)]);
    assert!(state.inbox().following("lobby").unwrap().following);
    assert!(state.inbox().is_settled(&unfollow("lobby", 4)));
    assert!(!state.inbox().is_settled(&unfollow("lobby", 6)));
    let gone = inbox(&[follow("lobby", 5), unfollow("lobby", 6)]);
    assert!(!gone.inbox().following("lobby").unwrap().following);
    // Of another epoch nothing is known to be later.
    let as_of = Some(v1::Position { epoch: 8, seq: 1 });
    let reopened = Body::UnfollowRoom(v1::UnfollowRoom { room_id: "lobby".into(), as_of });
    assert!(!inbox(&[follow("lobby", 5)]).inbox().is_settled(&reopened));
}

#[test]
fn later_news_that_changes_nothing_still_overtakes_what_is_on_its_way() {
    // Joined, left and joined again; the news of leaving comes last.
    assert!(!inbox(&[follow("lobby", 5)]).inbox().is_settled(&follow("lobby", 9)));
    let state = inbox(&[follow("lobby", 5), follow("lobby", 9), unfollow("lobby", 8)]);
    assert!(state.inbox().following("lobby").unwrap().following);
    // Joined and left; the news of joining comes last.
    assert!(!inbox(&[]).inbox().is_settled(&unfollow("lobby", 6)));
    let state = inbox(&[unfollow("lobby", 6), follow("lobby", 5)]);
    assert!(!state.inbox().following("lobby").unwrap().following);
    assert!(state.inbox().is_settled(&unfollow("lobby", 6)), "what is repeated leaves no trace");
}

#[test]
fn a_read_marker_never_moves_back_and_takes_the_mentions_before_it() {
    let state = inbox(&[notify("lobby", 3), notify("lobby", 7), read("lobby", 5), read("lobby", 4)]);
    assert_eq!((state.inbox().read("lobby"), state.inbox().mentions("lobby")), (5, 1));
    assert_eq!(state.inbox().notifications().len(), 2);
    // What is read already is no mention any more, however late it comes.
    assert!(state.inbox().is_settled(&notify("lobby", 4)));
    assert_eq!((state.inbox().read("other"), state.inbox().mentions("other")), (0, 0));
}

#[test]
fn mentions_that_come_out_of_order_count_once_each() {
    let state = inbox(&[notify("lobby", 7), notify("lobby", 3), notify("lobby", 7), notify("lobby", 3)]);
    assert_eq!(state.inbox().following("lobby").unwrap().mentions, [3, 7]);
    assert_eq!(state.inbox().notifications().len(), 2);
}

#[test]
fn an_inbox_keeps_the_newest_notifications_and_counts_up_to_a_bound() {
    let bodies: Vec<Body> = (1..=limits::MENTIONS_COUNTED as u64 + 5).map(|at| notify("lobby", at)).collect();
    let state = inbox(&bodies);
    assert_eq!(state.inbox().notifications().len(), limits::NOTIFICATIONS);
    assert_eq!(state.inbox().notifications().next_back().unwrap().ordinal, 1_005);
    assert_eq!(state.inbox().mentions("lobby"), limits::MENTIONS_COUNTED);
    // One that was counted out is not counted again.
    assert!(state.inbox().is_settled(&notify("lobby", 2)));
}

// ---------------------------------------------------------------------------------------------------------- windows

fn window_of(counters: &[u64]) -> RoomState {
    let mut log = Log::new("lobby");
    for counter in counters {
        log.push("ada", 1, *counter, op::encode(post(&counter.to_string())));
    }
    log.fold()
}

fn seen(state: &RoomState, user: &str, client: u64, counter: u64, text: &str) -> Seen {
    let op_id = OpId { client: ClientId(client), counter };
    state.windows().unwrap().seen(user, op_id, &op::encode(post(text)))
}

#[test]
fn a_window_tells_new_from_repeated_from_reused_from_overtaken() {
    let state = window_of(&[1, 2, 5]);
    assert_eq!(seen(&state, "ada", 1, 6, "6"), Seen::New);
    assert_eq!(seen(&state, "ada", 1, 5, "5"), Seen::Duplicate(3));
    assert_eq!(seen(&state, "ada", 1, 2, "2"), Seen::Duplicate(2));
    assert_eq!(seen(&state, "ada", 1, 2, "another"), Seen::Reused);
    assert_eq!(seen(&state, "ada", 1, 4, "4"), Seen::Superseded);
    assert_eq!(seen(&state, "bob", 1, 6, "6"), Seen::OtherUser);
    assert_eq!(seen(&state, "bob", 2, 1, "1"), Seen::New);
}

#[test]
fn a_window_knows_more_operations_than_may_be_in_flight_and_not_all() {
    let counters: Vec<u64> = (1..=limits::WINDOW_OPS as u64 + 1).collect();
    let state = window_of(&counters);
    const { assert!(limits::WINDOW_OPS > limits::IN_FLIGHT) };
    assert_eq!(seen(&state, "ada", 1, 2, "2"), Seen::Duplicate(2));
    assert_eq!(seen(&state, "ada", 1, 1, "1"), Seen::Superseded);
}

#[test]
fn of_too_many_clients_the_one_idle_for_longest_goes_first() {
    let mut log = Log::new("lobby");
    for client in 1..=limits::CLIENT_WINDOWS as u64 {
        log.push("ada", client, 1, op::encode(post("x")));
    }
    // The first client writes again, so the second has been idle for longest.
    log.push("ada", 1, 2, op::encode(post("x")));
    let mut state = log.fold();
    state.apply(&log.push("ada", 9_999, 1, op::encode(post("x")))).unwrap();
    assert_eq!(seen(&state, "ada", 2, 1, "x"), Seen::New);
    assert_eq!(seen(&state, "ada", 1, 1, "x"), Seen::Duplicate(1));
    assert_eq!(seen(&state, "ada", 3, 1, "x"), Seen::Duplicate(3));
    // It is the same after a restart: age survives in a snapshot.
    let again = RoomState::restore(id("lobby"), state.snapshot(SnapshotFor::Store), true).unwrap();
    let next = log.push("ada", 10_000, 1, op::encode(post("x")));
    for mut state in [state, again] {
        state.apply(&next).unwrap();
        assert_eq!(seen(&state, "ada", 3, 1, "x"), Seen::New);
        assert_eq!(seen(&state, "ada", 4, 1, "x"), Seen::Duplicate(4));
        assert_eq!(state.snapshot(SnapshotFor::Store).windows.len(), limits::CLIENT_WINDOWS);
    }
}

#[test]
fn what_the_server_itself_writes_has_no_window() {
    let mut log = Log::new("inbox:bob");
    let entry = log.push("", 1, 1, op::encode(follow("lobby", 1)));
    assert_eq!(log.fold().windows().unwrap().seen("bob", entry.op_id, &entry.op), Seen::New);
}

// ------------------------------------------------------------------------------------------------------- properties

/// Any operation of a few people in a few rooms, sensible or not: the fold never asks whether it was allowed.
fn any_body() -> impl Strategy<Value = Body> {
    let room = || prop_oneof![Just("lobby"), Just("attic")];
    let name = || "[a-z]{1,8}";
    prop_oneof![
        4 => "[ -~]{1,40}".prop_map(op::post),
        2 => Just(join()),
        1 => Just(Body::Leave(v1::Leave {})),
        1 => (name(), 0..3).prop_map(|(name, visibility)| Body::CreateRoom(v1::CreateRoom {
            name,
            visibility,
            topic: String::new(),
        })),
        1 => (proptest::option::of(name()), proptest::option::of(0..3)).prop_map(|(topic, visibility)| {
            Body::SetInfo(v1::SetInfo { name: None, topic, visibility })
        }),
        1 => (any::<Option<bool>>(), any::<Option<u32>>()).prop_map(|(enabled, duration)| {
            Body::SetConfig(v1::SetConfig {
                slow_mode_enabled: enabled,
                slow_mode_duration: duration,
                ..Default::default()
            })
        }),
        1 => (room(), 0..9_u64).prop_map(|(room, seq)| follow(room, seq)),
        1 => (room(), 0..9_u64).prop_map(|(room, seq)| unfollow(room, seq)),
        1 => (room(), 1..9_u64).prop_map(|(room, ordinal)| notify(room, ordinal)),
        1 => (room(), 1..9_u64).prop_map(|(room, ordinal)| read(room, ordinal)),
    ]
}

fn any_log() -> impl Strategy<Value = Vec<Entry>> {
    let author = prop_oneof![Just("ada"), Just("bob"), Just("cleo"), Just("")];
    proptest::collection::vec((author, any_body()), 0..60).prop_map(|steps| {
        let mut log = Log::new("lobby");
        for (author, body) in steps {
            log.add(author, body);
        }
        log.entries
    })
}

proptest! {
    #[test]
    fn equal_logs_give_equal_states_however_they_are_cut(entries in any_log(), cut in 0..60_usize, messages in 0..20_usize) {
        let whole = fold("lobby", &entries);
        let cut = cut.min(entries.len());
        let before = fold("lobby", &entries[..cut]);
        let receivers = [(SnapshotFor::Store, true), (SnapshotFor::Client { messages }, false)];
        for (receiver, with_windows) in receivers {
            let snapshot = decompress(&compress(&before.snapshot(receiver))).unwrap();
            let mut state = RoomState::restore(id("lobby"), snapshot, with_windows).unwrap();
            prop_assert_eq!(state.digest(), before.digest());
            for entry in &entries[cut..] {
                state.apply(entry).unwrap();
            }
            // Whatever the window, the digest is the same.
            prop_assert_eq!(state.digest(), whole.digest());
            prop_assert_eq!(state.summary().messages, whole.summary().messages);
            prop_assert_eq!(state.members().moderators(), whole.members().moderators());
            let all = SnapshotFor::Client { messages: 0 };
            prop_assert_eq!(state.snapshot(all), whole.snapshot(all));
        }
    }

    #[test]
    fn an_entry_survives_its_bytes_and_folds_to_the_same(entries in any_log()) {
        let again: Vec<Entry> = entries.iter().map(|entry| Entry::decode(&entry.encode()).unwrap()).collect();
        prop_assert_eq!(fold("lobby", &again).digest(), fold("lobby", &entries).digest());
    }

    #[test]
    fn changes_name_every_message_of_the_log_in_order(entries in any_log()) {
        let mut state = RoomState::replica(id("lobby"));
        let mut added = Vec::new();
        for entry in &entries {
            let changes = state.apply(entry).unwrap();
            added.extend(changes.iter().filter_map(|change| match change {
                Change::MessageAdded(ordinal) => Some((*ordinal, entry.ordinal)),
                _ => None,
            }));
        }
        for (place, (told, stamped)) in added.iter().enumerate() {
            prop_assert_eq!((*told, *stamped), (place as u64 + 1, place as u64 + 1));
        }
    }

    #[test]
    fn bytes_that_nobody_packed_are_refused_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(decompress(&bytes), Err(Code::Malformed));
    }
}
