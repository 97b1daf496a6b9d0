use super::*;
use crate::tier::TierReason;

fn why(host: &Host, room: &str) -> (Tier, TierReason) {
    (host.room(room).tier(), host.room(room).reason())
}

#[test]
fn a_room_that_is_left_goes_down_tier_by_tier_and_says_why() {
    let mut host = Host::online();
    let log = Log::with_two("lobby");
    host.open(&log);
    assert_eq!(why(&host, "lobby"), (Tier::Active, TierReason::Acquired));
    host.call(|client, now| client.disconnect(now));
    host.release("lobby");
    assert_eq!(why(&host, "lobby"), (Tier::Background, TierReason::Released));
    host.wait(60_000);
    assert_eq!(why(&host, "lobby"), (Tier::Cached, TierReason::IdleInBackground));
    assert!(host.stored.contains_key("room/lobby"));
    host.wait(30 * 60_000);
    assert_eq!(why(&host, "lobby").0, Tier::Cached);
    host.wait(1);
    assert!(host.client.room(&id("lobby")).is_none());
    assert!(!host.stored.contains_key("room/lobby"));
}

#[test]
fn a_room_is_live_as_long_as_anybody_holds_it() {
    let mut host = Host::online();
    host.acquire("lobby");
    host.acquire("lobby");
    host.release("lobby");
    assert_eq!(host.room("lobby").tier(), Tier::Active);
    host.release("lobby");
    assert_eq!(host.room("lobby").tier(), Tier::Background);
    host.release("lobby");
    host.acquire("lobby");
    assert_eq!(host.room("lobby").tier(), Tier::Active);
}

#[test]
fn a_grace_keeps_a_room_active_through_a_remount() {
    let mut host = Host::with(ClientConfig { active_grace: 500, ..ClientConfig::default() });
    host.acquire("lobby");
    host.release("lobby");
    host.wait(400);
    assert_eq!(host.room("lobby").tier(), Tier::Active);
    host.acquire("lobby");
    host.wait(10_000);
    assert_eq!(host.room("lobby").tier(), Tier::Active);
    host.release("lobby");
    host.wait(500);
    assert_eq!(host.room("lobby").tier(), Tier::Background);
}

#[test]
fn each_change_of_tier_is_told_with_the_position_that_is_held() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    host.open(&log);
    host.release("lobby");
    log.say("while away");
    host.hear_sync(log.projection());
    assert_eq!(host.room("lobby").unread(), 0);
    host.acquire("lobby");
    let base = Some(2);
    let lobby = || String::from("lobby");
    assert_eq!(host.asked(), [(lobby(), Tier::Background, base), (lobby(), Tier::Active, base)]);
    assert_eq!(host.room("lobby").synced(), Synced::Stale);
    assert_eq!(host.room("lobby").name(), "Lobby");
    host.hear_sync(log.resumed(2));
    assert_eq!((host.room("lobby").synced(), host.texts("lobby")), (Synced::Ready, ["while away"].into()));
}

#[test]
fn a_cached_room_is_painted_at_once_and_then_brought_up_to_date() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    log.say("old");
    host.open(&log);
    host.set_tier("lobby", Tier::Cached);
    assert_eq!((host.room("lobby").message_count(), host.room("lobby").name()), (0, "Lobby"));
    log.say("new");
    host.hear_sync(log.answer(
        Tier::Cached,
        Data::Heartbeat(v1::RoomHeartbeat { messages: 2, state_digest: None, ..Default::default() }),
    ));
    assert_eq!(host.room("lobby").head(), 2);
    host.forget();
    host.acquire("lobby");
    assert_eq!((host.room("lobby").synced(), host.texts("lobby")), (Synced::Stale, ["old"].into()));
    assert_eq!(host.asked(), [("lobby".into(), Tier::Active, Some(3))]);
    host.hear_sync(log.resumed(3));
    assert_eq!((host.room("lobby").synced(), host.texts("lobby")), (Synced::Ready, ["old", "new"].into()));
}

#[test]
fn every_pair_of_tiers_can_be_walked_and_leaves_the_room_in_the_second() {
    for from in Tier::ALL {
        for to in Tier::ALL {
            let mut host = Host::online();
            let log = Log::with_two("lobby");
            host.open(&log);
            host.set_tier("lobby", from);
            host.set_tier("lobby", to);
            let tier = host.client.room(&id("lobby")).map_or(Tier::Unloaded, |room| room.tier());
            assert_eq!(tier, to, "{from:?} -> {to:?}");
            let told: Vec<Tier> = host.asked().into_iter().map(|(_, tier, _)| tier).collect();
            let expected: Vec<Tier> = [(Tier::Active, from), (from, to)]
                .into_iter()
                .filter(|(before, after)| before != after)
                .map(|(_, after)| after)
                .collect();
            assert_eq!(told, expected, "{from:?} -> {to:?}");
        }
    }
}

#[test]
fn an_explicit_tier_holds_until_the_room_is_opened_again() {
    let mut host = Host::online();
    host.set_tier("lobby", Tier::Background);
    host.call(|client, now| client.disconnect(now));
    host.wait(3_600_000);
    assert_eq!(why(&host, "lobby"), (Tier::Background, TierReason::Explicit));
    host.acquire("lobby");
    host.release("lobby");
    host.wait(60_000);
    assert_eq!(why(&host, "lobby"), (Tier::Cached, TierReason::IdleInBackground));
}

#[test]
fn a_full_cache_drops_the_room_used_longest_ago_but_none_that_waits_to_be_sent_or_read() {
    let mut host = Host::with(ClientConfig { cached_rooms: 2, background_for: 0, ..ClientConfig::default() });
    let visit = |host: &mut Host, room: &str| {
        host.acquire(room);
        host.release(room);
        host.wait(10);
    };
    visit(&mut host, "unsent");
    host.post("unsent", "not yet");
    visit(&mut host, "a");
    visit(&mut host, "b");
    assert!(host.client.room(&id("a")).is_none());
    assert_eq!(host.room("unsent").tier(), Tier::Cached);
    assert_eq!(host.room("b").tier(), Tier::Cached);
    host.wait(30 * 60_000);
    assert_eq!(why(&host, "unsent"), (Tier::Cached, TierReason::UnsentKept));
}

#[test]
fn an_unread_room_stays_cached_until_it_is_read() {
    let mut host = Host::online();
    let mut inbox = Log::new("inbox:ada", 3, 4);
    let follow = v1::FollowRoom { room_id: "lobby".into(), as_of: None };
    inbox.add("", OpId { client: ClientId(8), counter: 1 }, Body::FollowRoom(follow));
    host.hear_sync(inbox.bulk(0));
    let mut log = Log::with_two("lobby");
    log.say("unread");
    host.open(&log);
    host.release("lobby");
    assert_eq!(host.room("lobby").unread(), 1);
    host.call(|client, now| client.disconnect(now));
    host.wait(3_600_000);
    assert_eq!(why(&host, "lobby"), (Tier::Cached, TierReason::UnreadKept));
    host.call(|client, now| client.mark_read(&id("lobby"), now));
    assert_eq!(host.room("lobby").unread(), 0);
    host.wait(1);
    assert!(host.client.room(&id("lobby")).is_none());
}

#[test]
fn no_more_rooms_are_live_than_may_be_and_the_one_left_longest_ago_makes_way() {
    let mut host = Host::new();
    host.call(|client, now| client.set_token("token", now));
    host.call(|client, now| client.connect(now));
    host.connected();
    let bounds = v1::Limits { live_rooms: 3, ..Default::default() };
    host.hear(Frame::Welcome(v1::Welcome { limits: Some(bounds), ..welcome() }));
    // The inbox is one of the three.
    host.acquire("a");
    host.now += 1;
    host.acquire("b");
    host.release("a");
    host.now += 1;
    host.acquire("c");
    assert_eq!(why(&host, "a"), (Tier::Cached, TierReason::LiveRoomsFull));
    host.acquire("d");
    assert_eq!(why(&host, "d"), (Tier::Cached, TierReason::LimitReached));
    assert_eq!(host.room("c").tier(), Tier::Active);
}

#[test]
fn the_servers_advice_takes_a_room_down_but_never_up() {
    let mut host = Host::online();
    let log = Log::with_two("lobby");
    host.open(&log);
    let advise = |host: &mut Host, tier: Tier| {
        let room = v1::SetTier {
            room_id: "lobby".into(),
            tier: tier.wire().into(),
            base: None,
            seen: None,
            ..Default::default()
        };
        host.hear(Frame::Advice(v1::Advice { room: Some(room), ..Default::default() }));
    };
    advise(&mut host, Tier::Background);
    assert_eq!(why(&host, "lobby"), (Tier::Background, TierReason::ServerAdvice));
    advise(&mut host, Tier::Active);
    assert_eq!(host.room("lobby").tier(), Tier::Background);
}

#[test]
fn a_room_that_does_not_exist_says_so_and_is_tried_again_by_whoever_opens_it() {
    let mut host = Host::online();
    host.acquire("nowhere");
    let error = v1::Error { code: 1005, room_id: "nowhere".into(), ..Default::default() };
    host.hear(Frame::Error(error));
    assert_eq!(host.room("nowhere").synced(), Synced::Failed(Code::UnknownRoom));
    assert_eq!(host.room("nowhere").reason(), TierReason::NotFound);
    host.forget();
    host.wait(20_000);
    assert_eq!(host.asked(), []);
    host.acquire("nowhere");
    assert_eq!(host.asked(), [("nowhere".into(), Tier::Active, None)]);
}

#[test]
fn a_draft_survives_every_tier_and_the_process() {
    let mut host = Host::new();
    host.acquire("lobby");
    host.call(|client, _| client.set_draft(&id("lobby"), "half a sen"));
    host.release("lobby");
    host.set_tier("lobby", Tier::Unloaded);
    assert_eq!(host.client.draft(&id("lobby")), "half a sen");
    host.wait(10_000);
    let mut again = Host::new();
    let stored = host.stored.clone();
    again.call(|client, now| client.restore(stored, now));
    assert_eq!(again.client.draft(&id("lobby")), "half a sen");
}

#[test]
fn the_room_list_joins_what_is_polled_with_what_is_held() {
    let mut host = Host::online();
    host.call(|client, now| client.watch_rooms(true, now));
    let Some(Request::RoomList(request)) = host.sent.last().cloned() else { panic!() };
    let row = |room: &str, at: u64| v1::RoomSummary {
        room_id: room.into(),
        name: room.into(),
        messages: 4,
        last_activity: at,
        following: Some(true),
        ..Default::default()
    };
    let page = |request_id, rooms, next: &str, revision| {
        Frame::RoomList(v1::RoomList { request_id, rooms, next: next.into(), revision, total: 2 })
    };
    host.hear(page(request.request_id, [row("a", 5)].into(), "more", 0));
    let Some(Request::RoomList(next)) = host.sent.last().cloned() else { panic!() };
    assert_eq!(next.cursor, "more");
    host.hear(page(next.request_id, [row("b", 9)].into(), "", 3));
    host.acquire("held");
    // Nothing is unread before the inbox is known.
    assert!(host.client.row(&id("a")).unwrap().following);
    assert_eq!(host.client.row(&id("a")).unwrap().unread, 0);
    let ids: Vec<&str> = host.client.rooms().iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids, ["b", "a", "held"]);
    assert!(host.has_event(|event| matches!(event, Event::Rooms(rooms) if rooms.contains(&id("b")))));
    host.wait(3_000);
    assert!(matches!(host.sent.last(), Some(Request::RoomList(request)) if request.since == 3));
    host.call(|client, now| client.watch_rooms(false, now));
    host.forget();
    host.wait(10_000);
    assert!(host.sent.is_empty());
}

#[test]
fn a_room_for_which_there_was_no_place_is_opened_when_there_is_one() {
    let mut host = Host::new();
    host.call(|client, now| client.set_token("token", now));
    host.call(|client, now| client.connect(now));
    host.connected();
    let bounds = v1::Limits { live_rooms: 2, ..Default::default() };
    host.hear(Frame::Welcome(v1::Welcome { limits: Some(bounds), ..welcome() }));
    host.acquire("a");
    host.acquire("b");
    assert_eq!(why(&host, "b"), (Tier::Cached, TierReason::LimitReached));
    host.release("a");
    assert_eq!(why(&host, "b"), (Tier::Active, TierReason::Acquired));
    assert_eq!(why(&host, "a"), (Tier::Cached, TierReason::LiveRoomsFull));
}

/// How often a room is looked at in each kind of step, with so many rooms Cached.
fn looks(rooms: u32) -> Vec<(&'static str, usize)> {
    let mut host = Host::online();
    for number in 0..rooms {
        host.client.set_tier(&id(&alloc::format!("room-{number:05}")), Tier::Cached, Millis(0));
    }
    host.client.relist();
    while host.client.poll_effect().is_some() || host.client.poll_event().is_some() {}
    let mut log = Log::with_two("lobby");
    let mut counted = Vec::new();
    let mut step = |host: &mut Host, name, act: &mut dyn FnMut(&mut Host)| {
        let before = host.client.rooms.looks.load(core::sync::atomic::Ordering::Relaxed);
        act(host);
        host.client.relist();
        host.client.next_deadline();
        let after = host.client.rooms.looks.load(core::sync::atomic::Ordering::Relaxed);
        counted.push((name, after - before));
        host.drain();
    };
    let now = Millis(10);
    step(&mut host, "a room is opened", &mut |host| host.client.acquire(&id("lobby"), now));
    let frame =
        |sync| wire::binary::encode_server(&v1::ServerFrame { body: Some(Frame::RoomStateSync(sync)) });
    let generation = host.generation;
    let bulk = frame(log.bulk(0));
    step(&mut host, "its state comes", &mut |host| host.client.handle_frame(generation, &bulk, now));
    log.say("hello");
    let delta = frame(log.delta(2));
    step(&mut host, "an entry comes", &mut |host| host.client.handle_frame(generation, &delta, now));
    let heartbeat = v1::RoomStateSync { room_id: "room-00007".into(), alias: 9, ..log.heartbeat() };
    let heartbeat = frame(heartbeat);
    step(&mut host, "a heartbeat comes", &mut |host| host.client.handle_frame(generation, &heartbeat, now));
    step(&mut host, "a message is written", &mut |host| {
        host.client.post(&id("lobby"), "hello", Vec::new(), now).unwrap();
    });
    step(&mut host, "nothing is due", &mut |host| host.client.handle_timeout(now));
    step(&mut host, "a room goes from the cache", &mut |host| {
        host.client.set_tier(&id("room-00009"), Tier::Unloaded, now);
    });
    step(&mut host, "a room is left", &mut |host| host.client.release(&id("lobby"), now));
    step(&mut host, "it goes to the background", &mut |host| host.client.handle_timeout(Millis(20_000)));
    step(&mut host, "the connection is lost", &mut |host| {
        host.client.handle_disconnected(generation, 1006, "", Millis(20_000));
    });
    host.now = 20_000;
    while host.state() != ConnectionState::Connecting {
        host.wait_for_timer();
    }
    let generation = host.generation;
    step(&mut host, "there is another", &mut |host| {
        host.client.handle_connected(generation, Millis(host.now))
    });
    host.hear(Frame::Welcome(welcome()));
    step(&mut host, "it is told of some Cached rooms", &mut |host| {
        host.client.handle_timeout(Millis(host.now + 300));
    });
    counted
}

#[test]
fn no_step_looks_at_all_rooms() {
    let (few, many) = (looks(2_000), looks(10_000));
    for ((name, few), (_, many)) in few.iter().zip(&many) {
        // A lost connection costs what the server knew of: 1,024 Cached rooms at most.
        let bound = if *name == "the connection is lost" { 16 * limits::CACHED_ROOMS } else { 2_000 };
        assert!(*many <= few + 8 && *many < bound, "{name}: {few} with 2,000 rooms, {many} with 10,000");
    }
}
