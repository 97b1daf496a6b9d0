use super::*;

#[test]
fn a_connection_that_breaks_is_resumed_from_the_position_that_is_held() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    log.say("before");
    host.open(&log);
    host.cut(1006);
    assert_eq!((host.room("lobby").synced(), host.texts("lobby")), (Synced::Stale, ["before"].into()));
    log.say("meanwhile");
    host.wait_for_timer();
    host.welcomed();
    assert_eq!(host.asked(), [("lobby".into(), Tier::Active, Some(3))]);
    host.hear_sync(log.resumed(3));
    assert_eq!(host.room("lobby").synced(), Synced::Ready);
    assert_eq!(host.texts("lobby"), ["before", "meanwhile"]);
}

#[test]
fn a_quiet_room_is_resumed_without_anything_being_sent_again() {
    let mut host = Host::online();
    let log = Log::with_two("lobby");
    host.open(&log);
    host.reconnect();
    host.hear_sync(log.resumed(2));
    assert_eq!(host.room("lobby").synced(), Synced::Ready);
    assert!(!host.has_event(|event| matches!(event, Event::Resynced { .. })));
}

#[test]
fn live_entries_advance_the_view_and_known_ones_change_nothing() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    host.open(&log);
    log.say("one");
    host.hear_sync(log.delta(2));
    host.hear_sync(log.delta(2));
    log.say("two");
    host.hear_sync(log.delta(1));
    assert_eq!(host.texts("lobby"), ["one", "two"]);
    assert_eq!(host.room("lobby").position(), log.position());
    let added = |event: &Event| match event {
        Event::Room { changes, .. } => changes.contains(&RoomChange::MessageAdded(2)),
        _ => false,
    };
    assert_eq!(host.events.iter().filter(|event| added(event)).count(), 1);
    assert!(host.asked().is_empty());
}

#[test]
fn a_gap_is_seen_while_connected_and_closed_by_one_resumption() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    host.open(&log);
    log.say("lost");
    log.say("one");
    host.hear_sync(log.delta(3));
    log.say("two");
    host.hear_sync(log.delta(4));
    assert_eq!(host.asked(), [("lobby".into(), Tier::Active, Some(2))]);
    assert!(host.texts("lobby").is_empty());
    host.hear_sync(log.resumed(2));
    assert_eq!(host.texts("lobby"), ["lost", "one", "two"]);
    assert_eq!(host.room("lobby").synced(), Synced::Ready);
}

#[test]
fn a_heartbeat_ahead_of_us_is_a_gap() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    host.open(&log);
    host.hear_sync(log.heartbeat());
    assert!(host.asked().is_empty());
    log.say("lost");
    host.hear_sync(log.heartbeat());
    host.hear_sync(log.heartbeat());
    assert_eq!(host.asked(), [("lobby".into(), Tier::Active, Some(2))]);
}

#[test]
fn a_resumption_that_is_not_answered_is_repeated() {
    let mut host = Host::online();
    host.acquire("lobby");
    host.wait(15_000);
    assert_eq!(host.asked().len(), 2);
}

#[test]
fn parts_are_installed_when_all_are_there_in_whatever_order() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    log.say("hello");
    host.acquire("lobby");
    let [first, second] = log.halves();
    host.hear_sync(second.clone());
    host.hear_sync(second);
    assert_eq!((host.room("lobby").synced(), host.room("lobby").message_count()), (Synced::Loading, 0));
    host.hear_sync(first);
    assert_eq!((host.room("lobby").synced(), host.texts("lobby")), (Synced::Ready, ["hello"].into()));
    assert_eq!(host.room("lobby").member_count(), 2);
}

#[test]
fn parts_of_different_positions_are_never_mixed() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    log.say("one");
    host.acquire("lobby");
    let [first, _] = log.halves();
    host.hear_sync(first);
    log.say("two");
    let [first, second] = log.halves();
    host.hear_sync(second);
    assert_eq!(host.room("lobby").synced(), Synced::Loading);
    host.hear_sync(first);
    assert_eq!(host.texts("lobby"), ["one", "two"]);
}

#[test]
fn a_broken_snapshot_is_not_shown_and_not_asked_for_in_a_loop() {
    let mut host = Host::online();
    let log = Log::with_two("lobby");
    host.acquire("lobby");
    let mut broken = log.bulk(0);
    if let Some(Data::BulkSync(bulk)) = &mut broken.data {
        bulk.snapshot.as_mut().unwrap().position = None;
    }
    host.forget();
    host.hear_sync(broken.clone());
    assert_eq!(host.room("lobby").synced(), Synced::Loading);
    host.wait(30_000 - 1);
    assert!(host.asked().is_empty());
    assert_eq!(host.client.connection().counters.malformed, 1);
}

#[test]
fn an_unexpected_epoch_is_a_reset_that_the_server_has_to_confirm() {
    let mut host = Host::online();
    let log = Log::with_two("lobby");
    host.open(&log);
    let mut anew = Log::new("lobby", 5, 77);
    anew.add("bob", OpId { client: ClientId(2), counter: 1 }, op::post("anew"));
    host.hear_sync(anew.delta(0));
    assert_eq!((host.room("lobby").position(), host.room("lobby").synced()), (log.position(), Synced::Stale));
    assert_eq!(host.asked(), [("lobby".into(), Tier::Active, None)]);
    host.hear_sync(anew.bulk(0));
    assert_eq!((host.room("lobby").position(), host.texts("lobby")), (anew.position(), ["anew"].into()));
    let code = Code::EpochChanged;
    assert!(host.has_event(|event| *event == Event::Resynced { room: id("lobby"), code }));
    // What still comes of the old log is known to be over.
    host.forget();
    host.hear_sync(log.delta(1));
    assert!(host.asked().is_empty());
}

#[test]
fn a_bulk_that_nobody_asked_for_is_taken_only_when_it_says_why() {
    let mut host = Host::online();
    let log = Log::with_two("lobby");
    host.open(&log);
    let mut anew = Log::with_two("lobby");
    anew.say("healed");
    let unasked = |log: &Log, reason| v1::RoomStateSync { tier: None, ..log.bulk(reason) };
    let other = Log::new("lobby", 5, 78);
    host.hear_sync(unasked(&other, 0));
    assert_eq!(host.room("lobby").position(), log.position());
    host.hear_sync(other.bulk(0));
    assert_eq!(host.room("lobby").position(), other.position());
    let mut third = Log::new("lobby", 5, 79);
    third.say("said");
    host.hear_sync(unasked(&third, Code::EpochChanged.number()));
    assert_eq!(host.room("lobby").position(), third.position());
}

#[test]
fn an_error_before_the_whole_state_is_the_reason_and_no_second_request() {
    let mut host = Host::online();
    let log = Log::with_two("lobby");
    host.open(&log);
    host.reconnect();
    host.forget();
    let mut anew = Log::new("lobby", 5, 77);
    anew.say("anew");
    host.hear(Frame::Error(v1::Error { code: 3000, room_id: "lobby".into(), ..Default::default() }));
    host.hear_sync(anew.bulk(3000));
    assert_eq!((host.room("lobby").synced(), host.texts("lobby")), (Synced::Ready, ["anew"].into()));
    assert!(host.asked().is_empty());
}

#[test]
fn states_that_differ_at_one_position_are_healed_at_most_once_a_minute() {
    let mut host = Host::online();
    let log = Log::with_two("lobby");
    host.open(&log);
    let mut wrong = log.heartbeat();
    if let Some(Data::Heartbeat(heartbeat)) = &mut wrong.data {
        heartbeat.state_digest = Some(1);
    }
    host.hear_sync(wrong.clone());
    assert_eq!(host.asked(), [("lobby".into(), Tier::Active, None)]);
    host.hear_sync(log.bulk(0));
    assert_eq!(host.room("lobby").synced(), Synced::Ready);
    host.hear_sync(wrong);
    assert_eq!(host.asked().len(), 1);
    let code = Code::DigestMismatch;
    assert!(host.has_event(|event| *event == Event::Resynced { room: id("lobby"), code }));
}

#[test]
fn entries_that_were_on_their_way_when_the_room_was_left_change_nothing() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    host.open(&log);
    host.release("lobby");
    log.say("late");
    host.hear_sync(log.delta(2));
    assert_eq!(host.room("lobby").message_count(), 0);
    // And an answer about the tier that it was in before is not one about this.
    host.hear_sync(log.resumed(2));
    assert_eq!(host.room("lobby").message_count(), 0);
    host.hear_sync(log.projection());
    assert_eq!(host.texts("lobby"), ["late"]);
}

#[test]
fn a_background_room_follows_its_updates_and_asks_again_when_one_is_lost() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    host.open(&log);
    host.release("lobby");
    host.hear_sync(log.projection());
    log.say("one");
    host.hear_sync(log.frame(Data::StateUpdate(log.light())));
    assert_eq!((host.texts("lobby"), host.room("lobby").head()), (["one"].into(), 1));
    host.forget();
    log.say("lost");
    host.hear_sync(log.heartbeat());
    assert_eq!((host.room("lobby").head(), host.asked().len()), (2, 0));
    host.hear_sync(log.heartbeat());
    assert_eq!(host.asked(), [("lobby".into(), Tier::Background, Some(2))]);
    host.hear_sync(log.projection());
    assert_eq!(host.texts("lobby"), ["one", "lost"]);
}

#[test]
fn a_background_room_whose_log_was_started_anew_drops_what_it_held() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    log.say("old");
    host.open(&log);
    host.release("lobby");
    host.hear_sync(log.projection());
    let mut anew = Log::new("lobby", 5, 77);
    anew.say("anew");
    host.forget();
    host.hear_sync(anew.frame(Data::StateUpdate(anew.light())));
    assert_eq!(
        (host.texts("lobby"), host.asked()),
        (["old"].into(), [("lobby".into(), Tier::Background, None)].into())
    );
    host.hear_sync(anew.projection());
    assert_eq!(host.texts("lobby"), ["anew"]);
    host.acquire("lobby");
    assert_eq!(host.asked().last(), Some(&("lobby".into(), Tier::Active, None)));
}

#[test]
fn an_inbox_that_was_never_written_takes_its_first_entry() {
    let mut host = Host::online();
    let mut inbox = Log::new("inbox:ada", 3, 0);
    host.hear_sync(inbox.bulk(0));
    inbox = Log::new("inbox:ada", 3, 4);
    let notify =
        v1::Notify { room_id: "lobby".into(), ordinal: 3, author: "bob".into(), ..Default::default() };
    inbox.add("", OpId { client: ClientId(8), counter: 1 }, Body::Notify(notify));
    host.hear_sync(inbox.delta(0));
    assert_eq!(host.client.notifications().count(), 1);
    let named = |event: &Event| match event {
        Event::Notified { notification } => notification.author == "bob",
        _ => false,
    };
    assert!(host.has_event(named));
    assert!(host.sent.is_empty());
}

#[test]
fn unread_and_mentions_are_the_rooms_head_against_the_inboxs_marker() {
    let mut host = Host::online();
    let mut inbox = Log::new("inbox:ada", 3, 4);
    let server = |counter| OpId { client: ClientId(8), counter };
    let room_id = || String::from("lobby");
    inbox.add("", server(1), Body::FollowRoom(v1::FollowRoom { room_id: room_id(), as_of: None }));
    inbox.add("", server(2), Body::SetReadMarker(v1::SetReadMarker { room_id: room_id(), ordinal: 1 }));
    let notify = |ordinal| Body::Notify(v1::Notify { room_id: room_id(), ordinal, ..Default::default() });
    inbox.add("", server(3), notify(3));
    host.hear_sync(inbox.bulk(0));
    let mut log = Log::with_two("lobby");
    ["one", "two", "three"].into_iter().for_each(|text| log.say(text));
    host.open(&log);
    assert_eq!((host.room("lobby").unread(), host.room("lobby").mentions()), (2, 1));
    host.call(|client, now| client.mark_read(&id("lobby"), now));
    assert_eq!((host.room("lobby").unread(), host.room("lobby").mentions()), (0, 0));
    // What another device has read counts here as well.
    log.say("four");
    host.hear_sync(log.delta(5));
    assert_eq!(host.room("lobby").unread(), 1);
    inbox.add("ada", server(4), Body::SetReadMarker(v1::SetReadMarker { room_id: room_id(), ordinal: 4 }));
    host.hear_sync(inbox.delta(3));
    assert_eq!(host.room("lobby").unread(), 0);
}

#[test]
fn presence_is_counted_and_named_and_renewed_by_the_answer_to_a_resumption() {
    let mut host = Host::online();
    let log = Log::with_two("lobby");
    host.open(&log);
    let user = |user: &str| v1::PresentUser { user: user.into(), name: user.into(), ..Default::default() };
    let update = |full, users| v1::StateUpdate {
        presence: Some(v1::PresenceUpdate { full, users, gone: Vec::new() }),
        ..Default::default()
    };
    let full = update(true, [user("ada"), user("bob")].into());
    host.hear_sync(log.answer(Tier::Active, Data::StateUpdate(full)));
    host.hear_sync(log.frame(Data::StateUpdate(update(false, [user("eve")].into()))));
    let names: Vec<&str> = host.room("lobby").users().map(|user| user.user.as_str()).collect();
    assert_eq!((names.join(" "), host.room("lobby").user_count()), ("ada bob eve".into(), 3));
    host.reconnect();
    host.hear_sync(log.resumed(2));
    host.hear_sync(log.answer(Tier::Active, Data::StateUpdate(update(true, [user("ada")].into()))));
    assert_eq!(host.room("lobby").user_count(), 1);
}

#[test]
fn scrolling_back_puts_older_messages_before_the_first() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    ["one", "two", "three"].into_iter().for_each(|text| log.say(text));
    host.acquire("lobby");
    let mut sync = log.bulk(0);
    if let Some(Data::BulkSync(bulk)) = &mut sync.data {
        bulk.snapshot.as_mut().unwrap().timeline.drain(..2);
    }
    host.hear_sync(sync);
    host.forget();
    assert!(host.room("lobby").has_older());
    assert!(host.call(|client, now| client.load_older(&id("lobby"), 50, now)));
    assert!(!host.call(|client, now| client.load_older(&id("lobby"), 50, now)));
    let Some(Request::History(request)) = host.sent.last().cloned() else { panic!() };
    assert_eq!((host.sent.len(), request.before_seq), (1, 5));
    let page = |request_id, messages, next_before_seq| v1::HistoryPage {
        request_id,
        room_id: "lobby".into(),
        position: Some(log.position().wire()),
        messages,
        next_before_seq,
    };
    // A stretch without messages is passed over.
    host.hear(Frame::HistoryPage(page(request.request_id, Vec::new(), 4)));
    let Some(Request::History(request)) = host.sent.last().cloned() else { panic!() };
    assert_eq!(request.before_seq, 4);
    let older = log.state.timeline().iter().take(2).map(|message| (**message).clone()).collect();
    host.hear(Frame::HistoryPage(page(request.request_id, older, 0)));
    assert_eq!(host.texts("lobby"), ["one", "two", "three"]);
    assert!(!host.room("lobby").has_older());
}

#[test]
fn frames_about_rooms_that_are_not_held_are_counted_and_ignored() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    host.hear_sync(log.bulk(0));
    log.say("x");
    host.hear_sync(log.delta(2));
    assert!(host.client.room(&id("lobby")).is_none());
    assert_eq!(host.client.connection().counters.unknown_rooms, 2);
}

#[test]
fn bytes_are_counted_for_each_room() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    host.open(&log);
    let before = (host.room("lobby").bytes_in(), host.room("lobby").bytes_out());
    log.say("x");
    host.hear_sync(log.delta(2));
    host.post("lobby", "y");
    assert!(host.room("lobby").bytes_in() > before.0 && host.room("lobby").bytes_out() > before.1);
}

#[test]
fn numbers_beyond_the_protocols_are_refused_before_anybody_counts_with_them() {
    let mut host = Host::online();
    let log = Log::with_two("lobby");
    host.open(&log);
    host.hear_sync(v1::RoomStateSync { sequence_number: u64::MAX, ..log.delta(1) });
    let mut sync = log.delta(1);
    if let Some(Data::DeltaUpdate(delta)) = &mut sync.data {
        delta.entries[0].seq = u64::MAX;
    }
    host.hear_sync(sync);
    let mut sync = log.bulk(Code::DigestMismatch.number());
    if let Some(Data::BulkSync(bulk)) = &mut sync.data {
        bulk.snapshot.as_mut().unwrap().messages = u64::MAX;
    }
    host.hear_sync(sync);
    assert_eq!(host.client.connection().counters.malformed, 3);
    assert_eq!(host.room("lobby").position(), log.position());
}

#[test]
fn a_server_whose_answers_never_fit_is_not_asked_in_a_loop() {
    let mut host = Host::online();
    let log = Log::with_two("lobby");
    host.open(&log);
    for _ in 0..50 {
        host.hear_sync(v1::RoomStateSync { epoch: 78, ..log.resumed(0) });
        host.wait(10);
    }
    assert_eq!(host.asked().len(), 1);
    host.wait(1_000);
    assert_eq!(host.asked().len(), 2);
}

#[test]
fn a_background_room_that_has_missed_how_it_is_run_asks_anew() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    host.open(&log);
    host.set_tier("lobby", Tier::Background);
    let update = |log: &Log, config: Option<v1::RoomConfig>| {
        let config_fingerprint = Some(crate::compress::config_fingerprint(&log.state));
        v1::StateUpdate { room_config: config, config_fingerprint, recent: Vec::new(), ..log.light() }
    };
    host.hear_sync(log.answer(Tier::Background, Data::StateUpdate(update(&log, Some(*log.state.config())))));
    let known = host.room("lobby").config_fingerprint();
    assert_eq!(known, Some(crate::compress::config_fingerprint(&log.state)));
    host.forget();
    let slow = |seconds| {
        let (slow_mode_enabled, slow_mode_duration) = (Some(true), Some(seconds));
        Body::SetConfig(v1::SetConfig { slow_mode_enabled, slow_mode_duration, ..Default::default() })
    };
    let counter = |log: &Log| OpId { client: ClientId(2), counter: 100 + log.position().seq };
    // Told with the configuration, all is well.
    log.add("ada", counter(&log), slow(5));
    host.hear_sync(log.frame(Data::StateUpdate(update(&log, Some(*log.state.config())))));
    assert!(host.asked().is_empty() && host.room("lobby").config_fingerprint() != known);
    // The update that said so is lost; the next one gives it away.
    log.add("ada", counter(&log), slow(7));
    log.say("hello");
    host.hear_sync(log.frame(Data::StateUpdate(update(&log, None))));
    assert_eq!(host.asked().iter().map(|(_, tier, _)| *tier).collect::<Vec<_>>(), [Tier::Background]);
}
