use super::*;
use crate::pending::OpState;
use crate::policy::Refusal;

fn at(seq: u64) -> Position {
    Position { epoch: 9, seq }
}

#[test]
fn a_message_is_shown_at_once_and_takes_its_place_when_it_is_confirmed() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    host.open(&log);
    let op_id = host.post("lobby", "hello");
    assert_eq!((host.texts("lobby").len(), host.pending("lobby")), (0, ["hello"].into()));
    log.accept(op_id, "hello");
    host.hear_sync(log.delta(2));
    assert_eq!((host.texts("lobby"), host.pending("lobby").len()), (["hello"].into(), 0));
    host.hear(ack(op_id, "lobby", at(3)));
    assert_eq!((host.texts("lobby"), host.pending("lobby").len()), (["hello"].into(), 0));
    assert_eq!(host.room("lobby").message(0).unwrap().id, Some(op_id.wire()));
    assert!(!host.stored.keys().any(|key| key.starts_with("op/")));
}

#[test]
fn an_acknowledged_message_stays_in_view_until_its_entry_has_come() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    host.open(&log);
    let op_id = host.post("lobby", "hello");
    host.hear(ack(op_id, "lobby", at(3)));
    let state = host.room("lobby").pending().next().unwrap().state;
    assert_eq!(state, OpState::Acknowledged(at(3)));
    assert!(!host.client.connection().has_unsent);
    assert!(!host.stored.keys().any(|key| key.starts_with("op/")));
    log.accept(op_id, "hello");
    host.hear_sync(log.delta(2));
    assert_eq!((host.texts("lobby"), host.pending("lobby").len()), (["hello"].into(), 0));
}

#[test]
fn in_background_an_acknowledged_message_stays_until_the_update_that_shows_it() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    host.open(&log);
    host.release("lobby");
    host.hear_sync(log.projection());
    let op_id = host.post("lobby", "hello");
    host.hear(ack(op_id, "lobby", at(3)));
    assert_eq!(host.pending("lobby"), ["hello"]);
    log.accept(op_id, "hello");
    host.hear_sync(log.frame(Data::StateUpdate(log.light())));
    assert_eq!((host.texts("lobby"), host.pending("lobby").len()), (["hello"].into(), 0));
    // Cached shows no messages, so there the acknowledgement is the end.
    host.set_tier("lobby", Tier::Cached);
    let op_id = host.post("lobby", "again");
    host.hear(ack(op_id, "lobby", at(4)));
    assert!(host.pending("lobby").is_empty());
}

#[test]
fn what_was_not_acknowledged_is_sent_again_under_the_same_id_in_the_same_order() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    host.open(&log);
    let ids = ["one", "two", "three"].map(|text| host.post("lobby", text));
    // The first two were accepted, but the acknowledgements were lost.
    log.accept(ids[0], "one");
    log.accept(ids[1], "two");
    host.reconnect();
    assert_eq!(host.submitted(), ["one", "two", "three", "one", "two", "three"]);
    let op_ids = |host: &Host| -> Vec<u64> {
        let counter = |request: &Request| match request {
            Request::Submit(submit) => Some(submit.op_id.unwrap().counter),
            _ => None,
        };
        host.sent.iter().filter_map(counter).collect()
    };
    let sent = op_ids(&host);
    assert_eq!(sent[..3], sent[3..]);
    host.hear_sync(log.resumed(2));
    host.hear(ack(ids[0], "lobby", at(3)));
    host.hear(ack(ids[1], "lobby", at(4)));
    log.accept(ids[2], "three");
    host.hear_sync(log.delta(4));
    host.hear(ack(ids[2], "lobby", at(5)));
    assert_eq!((host.texts("lobby"), host.pending("lobby").len()), (["one", "two", "three"].into(), 0));
    host.reconnect();
    assert_eq!(op_ids(&host).len(), 6);
}

#[test]
fn a_whole_state_that_shows_a_message_confirms_it() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    host.open(&log);
    let op_id = host.post("lobby", "hello");
    log.accept(op_id, "hello");
    host.cut(1006);
    host.wait_for_timer();
    host.connected();
    host.hear(Frame::Welcome(welcome()));
    host.hear_sync(log.bulk(Code::TooFarBehind.number()));
    assert_eq!((host.texts("lobby"), host.pending("lobby").len()), (["hello"].into(), 0));
}

#[test]
fn what_was_written_offline_can_be_taken_back_and_what_was_sent_can_not() {
    let mut host = Host::online();
    let log = Log::with_two("lobby");
    host.open(&log);
    let sent = host.post("lobby", "sent");
    host.cut(1006);
    let waiting = host.post("lobby", "never mind");
    assert!(host.room("lobby").pending().all(|pending| pending.is_cancellable == (pending.op_id == waiting)));
    assert_eq!(host.call(|client, now| client.cancel(sent, now)), Err(Code::InvalidRequest));
    assert_eq!(host.call(|client, now| client.cancel(waiting, now)), Ok(()));
    assert_eq!(host.call(|client, now| client.cancel(waiting, now)), Err(Code::NoSuchMessage));
    assert_eq!(host.pending("lobby"), ["sent"]);
    host.wait_for_timer();
    host.welcomed();
    assert_eq!(host.submitted(), ["sent", "sent"]);
    assert_eq!(host.stored.keys().filter(|key| key.starts_with("op/")).count(), 1);
}

#[test]
fn a_message_that_is_put_off_holds_back_what_follows_and_is_sent_again_in_order() {
    let mut host = Host::online();
    let log = Log::with_two("lobby");
    host.open(&log);
    let one = host.post("lobby", "one");
    let two = host.post("lobby", "two");
    host.hear(rejection(one, "lobby", Code::SlowMode, 3_000));
    host.hear(rejection(two, "lobby", Code::SlowMode, 3_000));
    let three = host.post("lobby", "three");
    let other = host.post("other", "elsewhere");
    assert_eq!(host.submitted(), ["one", "two", "elsewhere"]);
    let state = host.room("lobby").pending().next().unwrap().state;
    assert_eq!(state, OpState::PutOff { until: Millis(3_000), code: Code::SlowMode });
    host.forget();
    host.wait(2_999);
    assert!(host.submitted().is_empty());
    host.wait(1);
    assert_eq!(host.submitted(), ["one", "two", "three"]);
    assert!(!host.has_event(|event| matches!(event, Event::Rejected { .. })));
    assert!(one < two && two < three && three < other);
}

#[test]
fn a_message_that_is_refused_for_good_is_taken_out_and_reported() {
    let mut host = Host::online();
    let log = Log::with_two("lobby");
    host.open(&log);
    let one = host.post("lobby", "one");
    host.post("lobby", "two");
    host.hear(rejection(one, "lobby", Code::Forbidden, 0));
    assert_eq!(host.pending("lobby"), ["two"]);
    let refused = |event: &Event| match event {
        Event::Rejected { op_id, code, .. } => *op_id == one && *code == Code::Forbidden,
        _ => false,
    };
    assert!(host.has_event(refused));
    // A code that this version does not know is gone by its range.
    let two = host.room("lobby").pending().next().unwrap().op_id;
    host.hear(Frame::Rejection(v1::Rejection { op_id: Some(two.wire()), code: 2999, ..Default::default() }));
    assert_eq!(host.pending("lobby"), ["two"]);
}

#[test]
fn what_the_authority_would_refuse_is_refused_at_once_where_the_state_is_known() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    let config =
        v1::SetConfig { slow_mode_enabled: Some(true), slow_mode_duration: Some(10), ..Default::default() };
    log.add("ada", OpId { client: ClientId(1), counter: 2 }, Body::SetConfig(config));
    log.add("ada", OpId { client: ClientId(1), counter: 3 }, Body::Leave(v1::Leave {}));
    host.open(&log);
    let post = |host: &mut Host| host.call(|client, now| client.post(&id("lobby"), "x", Vec::new(), now));
    assert_eq!(post(&mut host), Err(Refusal { code: Code::NotMember, retry_after: 0 }));
    assert!(host.sent.is_empty());
    // After joining the authority has the word.
    host.call(|client, now| client.join(&id("lobby"), now)).unwrap();
    assert!(post(&mut host).is_ok());
    assert!(host.call(|client, now| client.post(&id("lobby"), "", Vec::new(), now)).is_err());
}

#[test]
fn a_room_made_offline_can_be_opened_and_written_into_before_the_server_knows_it() {
    let mut host = Host::new();
    let made =
        host.call(|client, now| client.create_room("Attic", v1::Visibility::Public, "old things", now));
    let (room, creation) = made.unwrap();
    let name = room.as_str();
    host.acquire(name);
    let message = host.post(name, "first");
    assert_eq!((host.room(name).name(), host.room(name).synced()), ("Attic", Synced::Stale));
    assert_eq!(host.client.row(&room).unwrap().topic, "old things");
    host.call(|client, now| client.set_token("token", now));
    host.call(|client, now| client.connect(now));
    host.welcomed();
    // Nothing is asked about a room that does not exist yet.
    assert!(host.asked().is_empty());
    assert_eq!(host.submitted(), ["first"]);
    host.hear(ack(creation, name, at(1)));
    assert_eq!(host.asked(), [(name.into(), Tier::Active, None)]);
    let mut log = Log::new(name, 5, 9);
    let create = v1::CreateRoom { name: "Attic".into(), ..Default::default() };
    log.add("ada", creation, Body::CreateRoom(create));
    log.accept(message, "first");
    host.hear_sync(log.bulk(0));
    assert_eq!((host.texts(name), host.room(name).pending().count()), (["first"].into(), 0));
    assert!(host.room(name).own_membership().is_some());
}

#[test]
fn a_room_whose_creation_is_refused_is_no_longer_foreseen() {
    let mut host = Host::online();
    let made = host.call(|client, now| client.create_room("Attic", v1::Visibility::Public, "", now));
    let (room, creation) = made.unwrap();
    host.acquire(room.as_str());
    host.hear(rejection(creation, room.as_str(), Code::RoomExists, 0));
    assert!(host.room(room.as_str()).info().is_none());
    assert_eq!(host.asked(), [(room.as_str().into(), Tier::Active, None)]);
}

#[test]
fn read_markers_are_sent_once_a_second_and_only_the_last_counts() {
    let mut host = Host::online();
    host.hear_sync(Log::new("inbox:ada", 3, 4).bulk(0));
    let mut log = Log::with_two("lobby");
    log.say("one");
    host.open(&log);
    let markers = |host: &Host| -> Vec<u64> {
        let ordinal = |request: &Request| match request {
            Request::Submit(submit) => match op::parse(&submit.op) {
                Ok(Body::SetReadMarker(marker)) => Some(marker.ordinal),
                _ => None,
            },
            _ => None,
        };
        host.sent.iter().filter_map(ordinal).collect()
    };
    let read = |host: &mut Host| host.call(|client, now| client.mark_read(&id("lobby"), now));
    read(&mut host);
    read(&mut host);
    assert_eq!(markers(&host), [1]);
    for text in ["two", "three", "four"] {
        log.say(text);
        host.hear_sync(log.delta(log.position().seq - 1));
        host.now += 100;
        read(&mut host);
    }
    assert_eq!(markers(&host), [1]);
    host.wait(1_000);
    assert_eq!(markers(&host), [1, 4]);
    assert_eq!(host.room("inbox:ada").pending().count(), 2);
}

#[test]
fn no_more_operations_are_on_their_way_than_the_server_allows() {
    let mut host = Host::new();
    for number in 0..10 {
        host.post("lobby", ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"][number]);
    }
    host.call(|client, now| client.set_token("token", now));
    host.call(|client, now| client.connect(now));
    host.connected();
    let bounds = v1::Limits { in_flight: 4, ..Default::default() };
    host.hear(Frame::Welcome(v1::Welcome { limits: Some(bounds), ..welcome() }));
    assert_eq!(host.submitted(), ["0", "1", "2", "3"]);
    let first = host.room("lobby").pending().next().unwrap().op_id;
    host.hear(ack(first, "lobby", at(1)));
    assert_eq!(host.submitted().len(), 5);
}

/// What was refused or withdrawn since the last look, with the reason.
fn gone(host: &mut Host) -> Vec<(OpId, Code)> {
    let gone = |event: &Event| match event {
        Event::Rejected { op_id, code, .. } => Some((*op_id, *code)),
        _ => None,
    };
    core::mem::take(&mut host.events).iter().filter_map(gone).collect()
}

#[test]
fn a_message_that_waits_can_be_reworded_and_is_stored_and_sent_as_it_is_then() {
    let mut host = Host::online();
    let log = Log::with_two("lobby");
    host.open(&log);
    host.cut(1006);
    let first = host.post("lobby", "helo");
    let second = host.post("lobby", "again");
    assert_eq!(host.call(|client, now| client.edit(first, op::post("hello"), now)), Ok(()));
    assert_eq!(host.pending("lobby"), ["hello", "again"]);
    let too_long = op::post("x".repeat(limits::TEXT_CHARS + 1));
    assert!(host.call(|client, now| client.edit(second, too_long, now)).is_err());
    let mut again = Host::new();
    again.call(|client, now| client.restore(host.stored.clone(), now));
    assert_eq!(again.pending("lobby"), ["hello", "again"]);
    host.forget();
    host.wait(2_000);
    host.welcomed();
    assert_eq!(host.submitted(), ["hello", "again"]);
    assert_eq!(host.call(|client, now| client.edit(first, op::post("late"), now)), Err(Code::InvalidRequest));
}

#[test]
fn taking_back_a_room_takes_back_what_was_written_into_it() {
    let mut host = Host::online();
    host.cut(1006);
    let made = host.call(|client, now| client.create_room("New", v1::Visibility::Public, "", now));
    let (room, create) = made.unwrap();
    let posted = host.post(room.as_str(), "first");
    let elsewhere = host.post("lobby", "stays");
    host.events.clear();
    host.call(|client, now| client.cancel(create, now)).unwrap();
    assert_eq!(gone(&mut host), [(posted, Code::UnknownRoom)]);
    assert!(host.client.pending_op(elsewhere).is_some());
    assert_eq!(host.stored.keys().filter(|key| key.starts_with("op/")).count(), 1);
}

#[test]
fn an_answer_to_a_message_that_is_refused_goes_with_it_and_is_never_sent() {
    let mut host = Host::online();
    let log = Log::with_two("lobby");
    host.open(&log);
    let first = host.post("lobby", "hello");
    let answer =
        v1::PostMessage { text: "me too".into(), reply_to: Some(first.wire()), ..Default::default() };
    let answer =
        host.call(|client, now| client.submit(&id("lobby"), Body::PostMessage(answer), now)).unwrap();
    assert_eq!(host.submitted(), ["hello"]);
    host.events.clear();
    host.hear(rejection(first, "lobby", Code::Forbidden, 0));
    assert_eq!(gone(&mut host), [(first, Code::Forbidden), (answer, Code::NoSuchMessage)]);
    assert_eq!((host.submitted(), host.pending("lobby").len()), (["hello".into()].into(), 0));
}
