//! What a room costs, in which order rooms come back, and how two ends find that they differ.

use super::*;
use crate::tier::TierReason;
use crate::tier::budget::{Budget, Budgets};
use crate::traffic::Kind;

fn mentions_of(host: &mut Host, rooms: &[&str]) {
    let mut inbox = Log::new("inbox:ada", 3, 4);
    for (index, room) in rooms.iter().enumerate() {
        let counter = 2 * index as u64 + 1;
        let follow = v1::FollowRoom { room_id: (*room).into(), as_of: None };
        inbox.add("", OpId { client: ClientId(8), counter }, Body::FollowRoom(follow));
        let message_id = Some(v1::OpId { client: 9, counter });
        let notify = v1::Notify { room_id: (*room).into(), message_id, ordinal: 1, ..Default::default() };
        inbox.add("", OpId { client: ClientId(8), counter: counter + 1 }, Body::Notify(notify));
    }
    host.hear_sync(inbox.bulk(0));
}

#[test]
fn four_hundred_rooms_come_back_active_first_then_background_by_urgency_and_cached_ones_a_few_at_a_time() {
    let mut host = Host::with(ClientConfig {
        cached_rooms: 1_000,
        background_for: 1 << 40,
        cached_for: 1 << 40,
        ..ClientConfig::default()
    });
    host.call(|client, now| client.set_token("token", now));
    host.call(|client, now| client.connect(now));
    host.welcomed();
    let name = |number: usize| alloc::format!("room-{number:03}");
    for number in 0..400 {
        host.set_tier(&name(number), Tier::Cached);
    }
    // Six are looked at, 121 more were, and the inbox is live: as many as a connection may hold.
    for number in 101..222 {
        host.now += 1;
        host.set_tier(&name(number), Tier::Background);
    }
    (10..16).for_each(|number| host.acquire(&name(number)));
    mentions_of(&mut host, &["room-120", "room-150"]);
    host.forget();
    host.reconnect();
    let hellos: Vec<_> = host.sent.iter().filter(|sent| matches!(sent, Request::Hello(_))).collect();
    assert_eq!(hellos.len(), 1);
    let order = host.asked();
    // In the hello: what is looked at; rooms with mentions, the one left last before the other; then the rest so.
    let live: Vec<String> = order.iter().map(|(room, ..)| room.clone()).collect();
    let mut expected: Vec<String> = (10..16).map(name).collect();
    expected.extend([150, 120].map(name));
    expected.extend((101..222).rev().filter(|number| ![120, 150].contains(number)).map(name));
    assert_eq!(live, expected);
    assert_eq!(order.iter().filter(|(_, tier, _)| *tier >= Tier::Background).count(), 127);
    // Then the Cached ones: 273 of them in batches of at most fifty, none twice.
    let mut batches = Vec::new();
    loop {
        host.forget();
        let due = host.now + 250;
        host.wait(250);
        assert_eq!(host.now, due);
        match host.asked() {
            asked if asked.is_empty() => break,
            asked => {
                assert!(asked.iter().all(|(_, tier, _)| *tier == Tier::Cached));
                batches.push(asked.len());
            }
        }
    }
    assert_eq!(batches, [50, 50, 50, 50, 50, 23]);
}

#[test]
fn the_server_is_told_of_no_more_cached_rooms_than_it_watches() {
    let mut host =
        Host::with(ClientConfig { cached_rooms: 100, cached_for: 1 << 40, ..ClientConfig::default() });
    host.call(|client, now| client.set_token("token", now));
    host.call(|client, now| client.connect(now));
    host.connected();
    let limits = v1::Limits { cached_rooms: 3, ..Default::default() };
    host.hear(Frame::Welcome(v1::Welcome { limits: Some(limits), ..welcome() }));
    (0..5).for_each(|number| host.set_tier(&alloc::format!("r{number}"), Tier::Cached));
    let told = host.asked().iter().filter(|(_, tier, _)| *tier == Tier::Cached).count();
    assert_eq!(told, 3);
    // One that was live is let go of.
    host.acquire("live");
    host.forget();
    host.set_tier("live", Tier::Cached);
    assert_eq!(host.asked(), [("live".into(), Tier::Unloaded, None)]);
    assert_eq!(host.room("live").tier(), Tier::Cached);
}

#[test]
fn a_digest_mismatch_is_counted_reported_to_both_sides_and_healed_at_most_once_a_minute() {
    let mut host = Host::online();
    let log = Log::with_two("lobby");
    host.open(&log);
    let wrong = |fold_version| {
        let update = v1::StateUpdate { state_digest: Some(1), fold_version, ..Default::default() };
        log.frame(Data::StateUpdate(update))
    };
    // Other rules give other digests.
    host.hear_sync(wrong(Some(7)));
    assert!(host.asked().is_empty());
    host.hear_sync(wrong(Some(1)));
    let Some(Request::SetTier(want)) = host.sent.last() else { panic!() };
    assert_eq!((want.reason, want.base, want.digest), (Code::DigestMismatch.number(), None, None));
    host.hear_sync(log.bulk(0));
    let code = Code::DigestMismatch;
    assert!(host.has_event(|event| *event == Event::Resynced { room: id("lobby"), code }));
    host.forget();
    host.hear_sync(wrong(None));
    assert!(host.asked().is_empty());
    assert_eq!(host.client.traffic(&id("lobby")).unwrap().mismatches, 2);
    host.now += 60_000;
    host.hear_sync(wrong(None));
    assert_eq!(host.asked(), [("lobby".into(), Tier::Active, None)]);
}

#[test]
fn a_cached_room_whose_snapshot_differs_from_the_servers_forgets_it() {
    let mut host = Host::online();
    let log = Log::with_two("lobby");
    host.open(&log);
    host.set_tier("lobby", Tier::Cached);
    let Some(Request::SetTier(want)) = host.sent.last() else { panic!() };
    assert_eq!((want.base, want.digest), (Some(log.position().wire()), Some(log.state.digest().value())));
    let heartbeat = v1::RoomHeartbeat { state_digest: Some(1), ..Default::default() };
    host.hear_sync(log.answer(Tier::Cached, Data::Heartbeat(heartbeat)));
    assert!(!host.stored.contains_key("snap/lobby"));
    host.forget();
    host.acquire("lobby");
    assert_eq!(host.asked(), [("lobby".into(), Tier::Active, None)]);
}

#[test]
fn every_frame_is_counted_by_room_and_kind_and_one_without_a_place_is_told_and_passed_over() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    (0..20).for_each(|_| log.say("something that somebody has said before"));
    host.open(&log);
    log.say("x");
    host.hear_sync(log.delta(22));
    host.hear_sync(log.heartbeat());
    host.hear_sync(
        log.frame(Data::StateUpdate(v1::StateUpdate { user_count: Some(3), ..Default::default() })),
    );
    let traffic = *host.client.traffic(&id("lobby")).unwrap();
    let frames = |kind| traffic.of(kind).frames;
    let kinds = [Kind::BulkSync, Kind::DeltaUpdate, Kind::Heartbeat, Kind::StateUpdate, Kind::Signals];
    assert_eq!(kinds.map(frames), [1, 1, 1, 1, 0]);
    assert_eq!(host.room("lobby").bytes_in(), traffic.total().bytes);
    host.set_tier("lobby", Tier::Background);
    host.forget();
    log.say("late");
    log.say("later");
    host.hear_sync(log.delta(23));
    assert_eq!(host.client.traffic(&id("lobby")).unwrap().ignored, 1);
    let ignored = Event::Ignored { room: id("lobby"), kind: Kind::DeltaUpdate, tier: Tier::Background };
    assert!(host.has_event(|event| *event == ignored));
    host.hear_sync(log.projection());
    log.say("two");
    log.say("at once");
    host.hear_sync(log.frame(Data::StateUpdate(log.light())));
    assert_eq!(host.client.traffic(&id("lobby")).unwrap().coalesced, 1);
    assert_eq!(host.client.total_traffic().of(Kind::BulkSync).frames, 1);
    // Resuming from what is held spares the whole state.
    host.set_tier("lobby", Tier::Active);
    host.hear_sync(log.resumed(23));
    assert!(host.client.traffic(&id("lobby")).unwrap().deltas_saved > 0);
}

#[test]
fn what_the_server_pushes_is_held_against_the_budget_that_both_agreed_on() {
    let mut host = Host::new();
    host.call(|client, now| client.set_token("token", now));
    host.call(|client, now| client.connect(now));
    host.connected();
    let mut budgets = Budgets::default();
    budgets.set(Tier::Active, Budget { memory: 1 << 30, bandwidth: 100 });
    let limits = v1::Limits { budgets: budgets.wire(), ..Default::default() };
    host.hear(Frame::Welcome(v1::Welcome { limits: Some(limits), ..welcome() }));
    let mut log = Log::with_two("lobby");
    host.open(&log);
    let view = host.client.budget(&id("lobby")).unwrap();
    assert_eq!((view.budget.bandwidth, view.budget.memory, view.is_within()), (100, 10 << 20, true));
    for _ in 0..20 {
        log.say(&"x".repeat(100));
        host.hear_sync(log.delta(log.position().seq - 1));
    }
    let view = host.client.budget(&id("lobby")).unwrap();
    assert!(view.bandwidth > 100 && !view.is_within(), "{view:?}");
}

#[test]
fn a_room_over_its_budget_is_demoted_by_advice_and_shows_why() {
    let mut host = Host::online();
    host.open(&Log::with_two("lobby"));
    let room =
        v1::SetTier { room_id: "lobby".into(), tier: v1::Tier::Background.into(), ..Default::default() };
    let code = Code::OverBudget.number();
    host.hear(Frame::Advice(v1::Advice { code, room: Some(room), ..Default::default() }));
    let room = host.room("lobby");
    assert_eq!((room.tier(), room.reason()), (Tier::Background, TierReason::OverBudget));
    assert_eq!(host.client.connection().reason, None);
    assert_eq!(host.asked().last(), Some(&("lobby".into(), Tier::Background, Some(2))));
    // Opened again by the user, it is live again.
    host.acquire("lobby");
    assert_eq!(host.room("lobby").tier(), Tier::Active);
}

#[test]
fn a_room_whose_rules_are_newer_than_this_client_says_so_and_shows_what_it_holds() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    log.say("before");
    host.open(&log);
    let entry = v1::Entry {
        seq: 4,
        op_id: Some(v1::OpId { client: 3, counter: 1 }),
        op: op::encode(Body::RaiseFoldVersion(v1::RaiseFoldVersion { version: 99 })),
        ..Default::default()
    };
    let data = Data::DeltaUpdate(v1::DeltaUpdate { entries: [entry].into() });
    host.hear_sync(v1::RoomStateSync { sequence_number: 4, ..log.frame(data) });
    let code = Code::FoldTooNew;
    assert_eq!((host.room("lobby").synced(), host.texts("lobby")), (Synced::Failed(code), ["before"].into()));
    let told = |event: &Event| matches!(event, Event::Error { code: Code::FoldTooNew, .. });
    assert_eq!(host.events.iter().filter(|event| told(event)).count(), 1);
    log.say("after");
    host.hear_sync(log.delta(3));
    host.wait(120_000);
    assert_eq!((host.asked().len(), host.client.connection().counters.malformed), (0, 0));
}
