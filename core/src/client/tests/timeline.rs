//! Messages after they were posted, gaps, and what is unread in every tier.

use alloc::vec;

use super::*;

fn target(log: &Log, ordinal: u64) -> (Option<v1::OpId>, u64) {
    let message = log.state.timeline().get(ordinal).unwrap();
    (message.id, message.seq)
}

fn op_id(log: &Log, ordinal: u64) -> OpId {
    OpId::parse(target(log, ordinal).0.as_ref()).unwrap()
}

fn edit(log: &Log, ordinal: u64, text: &str) -> Body {
    let (message_id, message_seq) = target(log, ordinal);
    Body::EditMessage(v1::EditMessage { message_id, message_seq, text: text.into(), mentions: Vec::new() })
}

impl Log {
    /// Somebody else does this.
    fn does(&mut self, body: Body) {
        let counter = self.position().seq + 1;
        self.add("bob", OpId { client: ClientId(2), counter }, body);
    }

    fn chat(&mut self, count: usize) {
        (0..count).for_each(|_| {
            let text = alloc::format!("{}", self.state.timeline().head() + 1);
            self.say(&text);
        });
    }

    /// A page of history between two entries, as a server gives it.
    fn page(&self, request: &v1::HistoryRequest) -> Frame {
        let all = self.state.timeline().iter().rev();
        let within =
            all.filter(|message| message.seq > request.after_seq && message.seq < request.before_seq);
        let mut messages: Vec<v1::Message> =
            within.take(request.limit as usize).map(|message| (**message).clone()).collect();
        messages.reverse();
        let is_full = messages.len() == request.limit as usize;
        let first = messages.first().filter(|first| is_full && first.ordinal > 1);
        Frame::HistoryPage(v1::HistoryPage {
            request_id: request.request_id,
            room_id: self.state.id().as_str().into(),
            position: Some(self.position().wire()),
            next_before_seq: first.map_or(0, |first| first.seq),
            messages,
        })
    }
}

impl Host {
    /// Answers what was asked of history, until nothing is.
    fn answer_history(&mut self, log: &Log) -> usize {
        let mut pages = 0;
        while let Some(Request::History(request)) = self.sent.pop() {
            pages += 1;
            self.hear(log.page(&request));
        }
        pages
    }

    fn ordinals(&self, room: &str) -> Vec<u64> {
        let room = self.room(room);
        (0..room.message_count()).map(|index| room.message(index).unwrap().ordinal).collect()
    }

    fn gaps(&self, room: &str) -> Vec<(u64, u64)> {
        let room = self.room(room);
        let gaps = (0..room.message_count()).filter_map(|index| room.gap_before(index));
        gaps.map(|gap| (gap.after, gap.missing)).collect()
    }

    fn shows(&self, room: &str, ordinal: u64) -> (String, bool) {
        let room = self.room(room);
        let shown = room.shown(room.place(ordinal)).unwrap();
        (shown.message.text.clone(), shown.is_pending)
    }

    fn changed(&self) -> Vec<u64> {
        let changes = self.events.iter().filter_map(|event| match event {
            Event::Room { changes, .. } => Some(changes),
            _ => None,
        });
        let ordinal = |change: &RoomChange| match change {
            RoomChange::MessageChanged(ordinal) => Some(*ordinal),
            _ => None,
        };
        changes.flatten().filter_map(ordinal).collect()
    }
}

#[test]
fn an_edit_is_shown_at_once_and_as_pending_until_the_log_has_it() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    log.add("ada", OpId { client: ClientId(1), counter: 9 }, op::post("frist"));
    host.open(&log);
    let room = id("lobby");
    let message = op_id(&log, 1);
    let made =
        host.call(|client, now| client.edit_message(&room, message, "first", Vec::new(), now)).unwrap();
    assert_eq!(host.shows("lobby", 1), ("first".into(), true));
    assert_eq!(host.room("lobby").message(0).unwrap().text, "frist", "the confirmed message is what it was");
    assert_eq!(host.changed(), [1]);
    let Some(Request::Submit(submit)) = host.sent.last() else { panic!("{:?}", host.sent) };
    let Body::EditMessage(sent) = op::parse(&submit.op).unwrap() else { panic!() };
    assert_eq!((sent.message_seq, sent.text.as_str()), (3, "first"));
    log.add("ada", made, edit(&log, 1, "first"));
    host.hear_sync(log.delta(3));
    assert_eq!(host.shows("lobby", 1), ("first".into(), false));
}

#[test]
fn a_refused_change_is_gone_with_its_reason() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    log.say("hi");
    host.open(&log);
    let message = op_id(&log, 1);
    let made = host.call(|client, now| client.react(&id("lobby"), message, "👍", false, now)).unwrap();
    let view = host.room("lobby");
    let shown = view.shown(0).unwrap();
    assert_eq!((shown.message.reactions[0].users[0].as_str(), shown.is_pending), ("ada", true));
    host.events.clear();
    host.hear(rejection(made, "lobby", Code::TooManyReactions, 0));
    assert!(!host.room("lobby").shown(0).unwrap().is_pending);
    assert!(host.room("lobby").shown(0).unwrap().message.reactions.is_empty());
    assert_eq!(host.changed(), [1]);
    assert!(host.has_event(|event| matches!(event, Event::Rejected { code: Code::TooManyReactions, .. })));
}

#[test]
fn what_policy_refuses_is_not_even_asked() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    log.say("bob's");
    host.open(&log);
    let (room, message) = (id("lobby"), op_id(&log, 1));
    // ada owns the room, and may; somebody who only joined may not.
    assert!(host.call(|client, now| client.pin(&room, message, false, now)).is_ok());
    let mut other = Log::new("other", 6, 9);
    other.does(Body::CreateRoom(v1::CreateRoom { name: "O".into(), ..Default::default() }));
    other.add("ada", OpId { client: ClientId(1), counter: 9 }, Body::Join(v1::Join {}));
    other.say("bob's");
    host.open(&other);
    let (room, message) = (id("other"), op_id(&other, 1));
    let refused = host.call(|client, now| client.edit_message(&room, message, "x", Vec::new(), now));
    assert_eq!(refused.unwrap_err().code, Code::Forbidden);
    let refused = host.call(|client, now| client.pin(&room, message, false, now));
    assert_eq!(refused.unwrap_err().code, Code::Forbidden);
    let nowhere = OpId { client: ClientId(2), counter: 77 };
    let refused = host.call(|client, now| client.delete_message(&room, nowhere, now));
    assert_eq!(refused.unwrap_err().code, Code::NoSuchMessage);
    assert!(host.sent.is_empty());
}

#[test]
fn a_message_that_was_never_sent_is_edited_and_deleted_in_the_queue() {
    let mut host = Host::online();
    let log = Log::with_two("lobby");
    host.open(&log);
    host.cut(1006);
    let (room, made) = (id("lobby"), host.post("lobby", "helo"));
    host.call(|client, now| client.edit_message(&room, made, "hello", Vec::new(), now)).unwrap();
    assert_eq!(host.pending("lobby"), ["hello"]);
    host.call(|client, now| client.delete_message(&room, made, now)).unwrap();
    assert!(host.pending("lobby").is_empty());
}

#[test]
fn an_absence_too_long_for_a_delta_leaves_a_gap_that_history_fills() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    log.chat(120);
    host.open(&log);
    host.cut(1006);
    log.does(edit(&log, 110, "edited meanwhile"));
    let deleted = target(&log, 115);
    log.does(Body::DeleteMessage(v1::DeleteMessage { message_id: deleted.0, message_seq: deleted.1 }));
    log.chat(600);
    while host.state() != ConnectionState::Connecting {
        host.wait_for_timer();
    }
    host.welcomed();
    host.sent.clear();
    host.hear_sync(log.bulk(Code::TooFarBehind.number()));
    // What was shown stays where it was, and what has become of it is asked at once.
    assert_eq!(host.gaps("lobby"), [(120, 500)]);
    assert_eq!(host.texts("lobby")[89], "110");
    assert!(!host.room("lobby").is_verified());
    assert_eq!(host.answer_history(&log), 1);
    assert!(host.room("lobby").is_verified());
    assert_eq!((host.texts("lobby")[89], host.texts("lobby")[94]), ("edited meanwhile", ""));
    assert_eq!(host.gaps("lobby"), [(120, 500)]);
    // The user asks once; page after page is fetched.
    host.sent.clear();
    assert!(host.call(|client, now| client.fill_gap(&id("lobby"), 120, now)));
    assert!(!host.call(|client, now| client.fill_gap(&id("lobby"), 120, now)), "it is on its way");
    assert!(host.room("lobby").gap_before(host.room("lobby").place(621)).unwrap().is_loading);
    assert_eq!(host.answer_history(&log), 5);
    assert_eq!(host.gaps("lobby"), []);
    assert_eq!(host.ordinals("lobby"), (21..=720).collect::<Vec<_>>());
    assert_eq!(host.room("lobby").digest(), Some(log.state.digest()));
    assert!(!host.call(|client, now| client.fill_gap(&id("lobby"), 120, now)), "there is nothing to fill");
}

#[test]
fn of_another_log_nothing_is_kept() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    log.chat(5);
    host.open(&log);
    let mut other = Log::new("lobby", 5, 10);
    other.does(Body::CreateRoom(v1::CreateRoom { name: "L".into(), ..Default::default() }));
    (0..9).for_each(|_| other.say("other"));
    host.hear_sync(other.bulk(Code::EpochChanged.number()));
    assert_eq!(host.texts("lobby"), ["other"; 9]);
    assert!(host.room("lobby").is_verified());
}

#[test]
fn scrolling_back_goes_on_beyond_a_thousand_messages_and_the_newest_stay() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    log.chat(1_000);
    host.open(&log);
    let room = id("lobby");
    while host.room("lobby").has_older() {
        assert!(host.call(|client, now| client.load_older(&room, 100, now)));
        host.answer_history(&log);
    }
    assert_eq!(host.ordinals("lobby"), (1..=1_000).collect::<Vec<_>>());
    // The server's window is as long; what is older comes from its store.
    let older = log.state.snapshot(SnapshotFor::Store).timeline;
    let mut log = Log::with_two("long");
    log.chat(1_000);
    host.open(&log);
    let room = id("long");
    while host.room("long").message_count() < 1_000 {
        assert!(host.call(|client, now| client.load_older(&room, 100, now)));
        host.answer_history(&log);
    }
    let before = host.room("long").position().seq;
    log.chat(250);
    host.hear_sync(log.delta(before));
    assert!(host.room("long").has_older(), "a full window does not end history");
    assert!(host.call(|client, now| client.load_older(&room, 100, now)));
    let Some(Request::History(request)) = host.sent.last().cloned() else { panic!() };
    let messages: Vec<v1::Message> =
        older.into_iter().filter(|message| (151..=250).contains(&message.ordinal)).collect();
    host.hear(Frame::HistoryPage(v1::HistoryPage {
        request_id: request.request_id,
        room_id: "long".into(),
        position: Some(log.position().wire()),
        next_before_seq: messages[0].seq,
        messages,
    }));
    let ordinals = host.ordinals("long");
    assert_eq!((ordinals.len(), ordinals[0], ordinals[999]), (1_000, 151, 1_250));
    assert_eq!(host.gaps("long"), [(1_050, 100)]);
    // Back to the newest.
    assert!(host.call(|client, now| client.fill_gap(&room, 1_050, now)));
    host.answer_history(&log);
    assert_eq!((host.gaps("long"), host.ordinals("long")[0]), (vec![], 251));
    assert!(host.room("long").has_older());
}

#[test]
fn a_background_room_shows_what_was_changed_and_where_it_has_missed_something() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    log.chat(60);
    host.set_tier("lobby", Tier::Background);
    host.hear_sync(log.answer(Tier::Background, Data::StateUpdate(recent(&log, 50))));
    assert_eq!((host.ordinals("lobby")[0], host.gaps("lobby")), (11, vec![]));
    log.does(edit(&log, 40, "edited"));
    let changed = [(**log.state.timeline().get(40).unwrap()).clone()].into();
    host.events.clear();
    host.hear_sync(log.frame(Data::StateUpdate(v1::StateUpdate { changed, ..Default::default() })));
    assert_eq!((host.texts("lobby")[29], host.changed()), ("edited", vec![40]));
    log.chat(80);
    host.hear_sync(log.frame(Data::StateUpdate(recent(&log, 50))));
    assert_eq!((host.ordinals("lobby"), host.gaps("lobby")), ((91..=140).collect(), vec![(60, 30)]));
    let gap = host.room("lobby").gap_before(0).unwrap();
    assert!(!gap.is_fillable && !host.call(|client, now| client.fill_gap(&id("lobby"), gap.after, now)));
}

fn recent(log: &Log, count: usize) -> v1::StateUpdate {
    let skipped = log.state.timeline().len().saturating_sub(count);
    let mut update = log.light();
    update.recent.drain(..skipped);
    update
}

// ------------------------------------------------------------------------------------------------------------ unread

/// ada's inbox, in which she follows the lobby, has read up to `read`, and is mentioned in these messages.
fn inbox(read: u64, mentions: &[u64]) -> Log {
    let mut inbox = Log::new("inbox:ada", 77, 3);
    let room_id = || "lobby".into();
    let system = |counter| OpId { client: ClientId(4), counter };
    inbox.add("", system(1), Body::FollowRoom(v1::FollowRoom { room_id: room_id(), as_of: None }));
    if read > 0 {
        let marker = v1::SetReadMarker { room_id: room_id(), ordinal: read };
        inbox.add("ada", system(2), Body::SetReadMarker(marker));
    }
    for ordinal in mentions {
        let message_id = Some(v1::OpId { client: 2, counter: *ordinal });
        let notify = v1::Notify { room_id: room_id(), message_id, ordinal: *ordinal, ..Default::default() };
        inbox.add("", system(10 + ordinal), Body::Notify(notify));
    }
    inbox
}

fn counts(host: &Host) -> (u64, usize) {
    let row = host.client.row(&id("lobby")).unwrap();
    if let Some(room) = host.client.room(&id("lobby")) {
        assert_eq!((room.unread(), room.mentions()), (row.unread, row.mentions), "row and view agree");
    }
    (row.unread, row.mentions)
}

#[test]
fn unread_and_mentions_are_right_in_every_tier_and_through_every_change_of_it() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    log.chat(10);
    host.hear_sync(inbox(4, &[3, 6, 9]).bulk(0));
    // Active.
    host.open(&log);
    assert_eq!(counts(&host), (6, 2));
    // A deleted message keeps its place, so it counts as what it was.
    let (message_id, message_seq) = target(&log, 10);
    log.does(Body::DeleteMessage(v1::DeleteMessage { message_id, message_seq }));
    log.chat(1);
    host.hear_sync(log.delta(12));
    assert_eq!(counts(&host), (7, 2));
    // Background: told of by updates.
    host.set_tier("lobby", Tier::Background);
    assert_eq!(counts(&host), (7, 2));
    host.hear_sync(log.projection());
    log.chat(2);
    host.hear_sync(log.frame(Data::StateUpdate(recent(&log, 2))));
    assert_eq!(counts(&host), (9, 2));
    // Cached: told of by heartbeats.
    host.set_tier("lobby", Tier::Cached);
    assert_eq!(counts(&host), (9, 2));
    log.chat(3);
    let heartbeat = v1::RoomHeartbeat { messages: log.state.timeline().head(), ..Default::default() };
    host.hear_sync(log.answer(Tier::Cached, Data::Heartbeat(heartbeat)));
    assert_eq!(counts(&host), (12, 2));
    // And up again: what was posted meanwhile is not forgotten while it is being fetched.
    host.set_tier("lobby", Tier::Active);
    assert_eq!(counts(&host), (12, 2));
    host.hear_sync(log.bulk(0));
    assert_eq!(counts(&host), (12, 2));
    // Read here: at once, and in every tier.
    host.call(|client, now| client.mark_read(&id("lobby"), now));
    assert_eq!(counts(&host), (0, 0));
    host.set_tier("lobby", Tier::Cached);
    assert_eq!(counts(&host), (0, 0));
}

#[test]
fn a_room_that_was_never_loaded_counts_by_the_room_list_and_by_the_inbox() {
    let mut host = Host::online();
    host.call(|client, now| client.watch_rooms(true, now));
    let Some(Request::RoomList(request)) = host.sent.last().cloned() else { panic!("{:?}", host.sent) };
    let row =
        v1::RoomSummary { room_id: "lobby".into(), messages: 40, name: "L".into(), ..Default::default() };
    let list = v1::RoomList { request_id: request.request_id, rooms: vec![row], ..Default::default() };
    host.hear(Frame::RoomList(list));
    host.hear_sync(inbox(30, &[20, 35]).bulk(0));
    assert_eq!(counts(&host), (10, 1));
    assert!(host.client.room(&id("lobby")).is_none_or(|room| room.tier() == Tier::Unloaded));
    // A mention is told of by the inbox before the list is asked again; the message is there, so it is unread.
    host.hear_sync(inbox(30, &[20, 35, 44]).bulk(0));
    assert_eq!(counts(&host), (14, 2));
}

#[test]
fn what_is_unread_outlives_a_reload() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    log.chat(10);
    host.hear_sync(inbox(4, &[6]).bulk(0));
    host.open(&log);
    host.set_tier("lobby", Tier::Cached);
    host.wait(60_000);
    let stored: Vec<(String, Vec<u8>)> = host.stored.clone().into_iter().collect();
    let mut again = Host::new();
    again.call(|client, now| client.restore(stored, now));
    assert_eq!(again.room("lobby").tier(), Tier::Cached);
    assert_eq!(again.room("lobby").head(), 10);
    again.call(|client, now| client.set_token("token", now));
    again.call(|client, now| client.connect(now));
    again.welcomed();
    again.hear_sync(inbox(4, &[6]).bulk(0));
    assert_eq!(counts(&again), (6, 1));
}
