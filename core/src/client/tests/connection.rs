use proptest::prelude::*;

use super::*;

/// Attempts in the first minute, when this happens to each.
fn attempts_in_a_minute(mut each: impl FnMut(&mut Host)) -> usize {
    let mut host = Host::new();
    host.call(|client, now| client.set_token("token", now));
    host.call(|client, now| client.connect(now));
    while host.now < 60_000 {
        if host.state() == ConnectionState::Connecting {
            each(&mut host);
        } else {
            host.wait_for_timer();
        }
    }
    host.connects.iter().filter(|at| **at < 60_000).count()
}

#[test]
fn nothing_but_the_hello_is_sent_before_the_welcome() {
    let mut host = Host::new();
    host.call(|client, now| client.set_token("token", now));
    host.acquire("lobby");
    host.call(|client, now| client.connect(now));
    host.connected();
    host.post("lobby", "early");
    host.acquire("other");
    assert!(matches!(&host.sent[..], [Request::Hello(_)]));
    host.hear(Frame::Welcome(welcome()));
    let asked: Vec<String> = host.asked().into_iter().map(|(room, ..)| room).collect();
    assert_eq!(asked, ["lobby", "other"]);
    assert_eq!(host.submitted(), ["early"]);
}

#[test]
fn a_server_that_refuses_at_once_is_called_ever_more_rarely() {
    let attempts = attempts_in_a_minute(|host| host.cut(1006));
    assert!((4..=12).contains(&attempts), "{attempts}");
}

#[test]
fn a_server_that_welcomes_and_closes_is_not_called_more_often() {
    let attempts = attempts_in_a_minute(|host| {
        host.welcomed();
        host.cut(1012);
    });
    assert!((4..=12).contains(&attempts), "{attempts}");
}

#[test]
fn no_window_of_the_servers_and_no_flapping_network_makes_a_storm() {
    let attempts = attempts_in_a_minute(|host| {
        host.connected();
        host.hear(Frame::Welcome(v1::Welcome { reconnect_min: 1, reconnect_max: 1, ..welcome() }));
        host.cut(1006);
    });
    assert!(attempts <= 40, "{attempts}");
    let attempts = attempts_in_a_minute(|host| {
        host.cut(1006);
        host.now += 1;
        host.call(|client, now| client.handle_network(Network::Online, now));
    });
    assert!(attempts <= 121, "{attempts}");
}

#[test]
fn the_network_coming_back_ends_a_long_wait() {
    let mut host = Host::new();
    host.call(|client, now| client.set_token("token", now));
    host.call(|client, now| client.connect(now));
    for _ in 0..8 {
        host.cut(1006);
        host.wait_for_timer();
    }
    host.cut(1006);
    host.call(|client, now| client.handle_network(Network::Offline, now));
    assert_eq!(host.state(), ConnectionState::Offline);
    host.now += 1_000;
    host.call(|client, now| client.handle_network(Network::Online, now));
    assert_eq!(host.state(), ConnectionState::Connecting);
}

#[test]
fn a_server_that_goes_away_is_left_alone_for_as_long_as_it_says_and_a_little_longer() {
    let mut host = Host::online();
    let advice = v1::Advice { code: 4000, reconnect_after: 8_000, close: true, ..Default::default() };
    host.hear(Frame::Advice(advice));
    host.cut(4000);
    let ConnectionState::Waiting { until, .. } = host.state() else { panic!() };
    assert!((8_000..=13_000).contains(&until.0), "{until:?}");
    assert_eq!(host.client.connection().reason, Some(Code::GoingAway));
    host.call(|client, now| client.handle_network(Network::Foreground, now));
    assert!(host.connects.is_empty());
}

#[test]
fn an_outage_behind_the_server_is_shown_while_it_lasts_and_breaks_nothing() {
    let mut host = Host::online();
    let advice = |code: u32| Frame::Advice(v1::Advice { code, ..Default::default() });
    host.hear(advice(Code::StoreUnavailable.number()));
    assert_eq!(host.client.connection().reason, Some(Code::StoreUnavailable));
    assert_eq!(host.state(), ConnectionState::Online);
    host.hear(advice(0));
    assert_eq!((host.client.connection().reason, host.state()), (None, ConnectionState::Online));
}

#[test]
fn what_comes_from_an_earlier_connection_is_ignored() {
    let mut host = Host::online();
    let log = Log::with_two("lobby");
    host.acquire("lobby");
    let old = host.generation;
    host.reconnect();
    let bytes =
        wire::binary::encode_server(&v1::ServerFrame { body: Some(Frame::RoomStateSync(log.bulk(0))) });
    host.call(|client, now| client.handle_frame(old, &bytes, now));
    host.call(|client, now| client.handle_disconnected(old, 1006, "", now));
    host.call(|client, now| client.handle_connected(old, now));
    assert_eq!(host.room("lobby").synced(), Synced::Loading);
    assert_eq!(host.state(), ConnectionState::Online);
    assert_eq!(host.client.connection().counters.stale_inputs, 3);
}

#[test]
fn a_token_is_asked_for_once_and_the_same_refused_one_is_not_tried_again() {
    let mut host = Host::new();
    host.call(|client, now| client.connect(now));
    assert_eq!(host.state(), ConnectionState::TokenNeeded);
    host.call(|client, now| client.connect(now));
    host.call(|client, now| client.set_token("bad", now));
    host.connected();
    let error = v1::Error { code: Code::TokenInvalid.number(), ..Default::default() };
    host.hear(Frame::Error(error));
    host.cut(4601);
    assert_eq!(host.state(), ConnectionState::TokenNeeded);
    let asked = |host: &Host| host.events.iter().filter(|event| **event == Event::TokenNeeded).count();
    assert_eq!(asked(&host), 2);
    host.forget();
    host.call(|client, now| client.set_token("bad", now));
    assert_eq!((host.connects.len(), asked(&host)), (0, 0));
    assert!(host.has_event(|event| matches!(event, Event::Error { code: Code::TokenInvalid, .. })));
    host.wait(1_000);
    host.call(|client, now| client.set_token("good", now));
    host.welcomed();
    assert_eq!(host.state(), ConnectionState::Online);
}

#[test]
fn a_token_is_renewed_before_it_ends_on_the_same_connection() {
    let mut host = Host::new();
    host.call(|client, now| client.set_token("one", now));
    host.call(|client, now| client.connect(now));
    host.connected();
    host.hear(Frame::Welcome(v1::Welcome { token_expires: 1_000_000 + 600_000, ..welcome() }));
    host.forget();
    for _ in 0..27 {
        host.wait(20_000);
        host.hear(Frame::Heartbeat(v1::ServerHeartbeat { time: 1 }));
    }
    assert_eq!(host.events.iter().filter(|event| **event == Event::TokenNeeded).count(), 1);
    host.call(|client, now| client.set_token("two", now));
    assert!(matches!(host.sent.last(), Some(Request::TokenRefresh(refresh)) if refresh.token == "two"));
}

#[test]
fn a_close_code_that_says_never_is_obeyed_until_somebody_connects() {
    let mut host = Host::online();
    host.cut(4506);
    assert_eq!(host.state(), ConnectionState::Failed { code: Code::Replaced });
    host.wait(600_000);
    assert!(host.connects.is_empty());
    host.call(|client, now| client.connect(now));
    assert_eq!(host.state(), ConnectionState::Connecting);
}

#[test]
fn a_heartbeat_is_answered_and_silence_ends_the_connection() {
    let mut host = Host::online();
    host.hear(Frame::Heartbeat(v1::ServerHeartbeat { time: 77 }));
    assert!(matches!(&host.sent[..], [Request::Heartbeat(v1::ClientHeartbeat { echo: 77 })]));
    host.wait(37_499);
    assert_eq!(host.state(), ConnectionState::Online);
    host.wait(1);
    assert_eq!(host.closed, [4002]);
    assert!(matches!(host.state(), ConnectionState::Waiting { .. }));
}

#[test]
fn after_sleep_what_lies_in_the_socket_is_heard_before_the_connection_is_given_up() {
    let mut host = Host::online();
    host.now += 3_600_000;
    host.call(|client, now| client.handle_timeout(now));
    assert_eq!(host.state(), ConnectionState::Online);
    host.hear(Frame::Heartbeat(v1::ServerHeartbeat { time: 1 }));
    host.wait(30_000);
    assert_eq!(host.state(), ConnectionState::Online);
    host.now += 3_600_000;
    host.call(|client, now| client.handle_timeout(now));
    host.wait(5_000);
    assert_eq!(host.closed, [4002]);
}

#[test]
fn a_socket_that_never_opens_and_a_welcome_that_never_comes_are_given_up() {
    let mut host = Host::new();
    host.call(|client, now| client.set_token("token", now));
    host.call(|client, now| client.connect(now));
    host.wait(15_000);
    assert_eq!(host.closed.len(), 1);
    host.wait_for_timer();
    host.connected();
    host.wait(15_000);
    assert_eq!(host.closed.len(), 2);
}

#[test]
fn a_server_of_another_version_is_not_spoken_to() {
    let mut host = Host::new();
    host.call(|client, now| client.set_token("token", now));
    host.call(|client, now| client.connect(now));
    host.connected();
    host.hear(Frame::Welcome(v1::Welcome { version: 2000, ..welcome() }));
    assert_eq!(host.state(), ConnectionState::Failed { code: Code::UnsupportedVersion });
    assert_eq!(host.closed, [4503]);
}

#[test]
fn garbage_is_counted_and_too_much_of_it_ends_the_connection() {
    let mut host = Host::online();
    let generation = host.generation;
    host.call(|client, now| client.handle_frame(generation, b"\xff\xff", now));
    assert_eq!(host.state(), ConnectionState::Online);
    for _ in 0..limits::MALFORMED_FRAMES {
        host.call(|client, now| client.handle_frame(generation, &alloc::vec![0; FRAME_BYTES + 1], now));
    }
    assert_eq!(host.closed, [4500]);
    assert_eq!(host.client.connection().counters.malformed, u64::from(limits::MALFORMED_FRAMES) + 1);
}

#[test]
fn disconnecting_keeps_everything_and_logging_out_keeps_nothing() {
    let mut host = Host::online();
    let log = Log::with_two("lobby");
    host.open(&log);
    host.call(|client, now| client.disconnect(now));
    assert_eq!(host.state(), ConnectionState::Idle);
    host.post("lobby", "later");
    host.release("lobby");
    assert!(host.stored.len() >= 3, "{:?}", host.stored.keys());
    host.call(|client, now| client.logout(now));
    assert!(host.stored.is_empty(), "{:?}", host.stored.keys());
    assert!(host.client.room(&id("lobby")).is_none());
    host.call(|client, now| client.connect(now));
    assert_eq!(host.state(), ConnectionState::TokenNeeded);
}

#[test]
fn another_user_sees_nothing_of_the_first_and_sends_nothing_of_theirs() {
    let mut host = Host::online();
    let log = Log::with_two("lobby");
    host.open(&log);
    let other = || Frame::Welcome(v1::Welcome { user: "eve".into(), ..welcome() });
    host.cut(1006);
    host.post("lobby", "from ada");
    host.wait_for_timer();
    host.connected();
    host.hear(other());
    assert_eq!(host.state(), ConnectionState::Failed { code: Code::ClientIdTaken });
    assert_eq!((host.submitted().len(), host.pending("lobby")), (0, ["from ada"].into()));
    let op_id = host.room("lobby").pending().next().unwrap().op_id;
    host.call(|client, now| client.cancel(op_id, now)).unwrap();
    let before = host.client.client_id();
    host.wait(30_000);
    host.call(|client, now| client.connect(now));
    host.connected();
    host.hear(other());
    assert_ne!(host.client.client_id(), before);
    assert_eq!(host.room("lobby").message_count(), 0);
    host.wait_for_timer();
    host.connected();
    host.hear(other());
    assert_eq!(host.state(), ConnectionState::Online);
    assert_eq!(host.client.connection().user, Some("eve"));
}

proptest! {
    #[test]
    fn no_frame_of_a_server_makes_the_session_panic(
        frames in proptest::collection::vec(crate::wire::arbitrary::frame::<v1::ServerFrame>(), 1..20)
    ) {
        let mut host = Host::online();
        let log = Log::with_two("a");
        host.open(&log);
        host.post("a", "mine");
        for mut frame in frames {
            // Half of the frames are about the room that there is.
            if let Some(Frame::RoomStateSync(sync)) = &mut frame.body {
                sync.room_id = "a".into();
                if sync.alias % 2 == 0 {
                    sync.epoch = 9;
                    sync.sequence_number %= 8;
                }
            }
            if let Some(body) = frame.body {
                host.hear(body);
            }
            host.wait(500);
            if host.state() == ConnectionState::Connecting {
                host.welcomed();
            }
        }
        let _ = host.client.rooms();
    }
}

#[test]
fn the_close_codes_of_websockets_are_not_taken_for_ours() {
    let mut host = Host::online();
    // 1006 would be "room exists" among the codes that travel in frames.
    host.cut(1006);
    assert_eq!(host.client.connection().reason, None);
    assert!(matches!(host.state(), ConnectionState::Waiting { .. }));
}

#[test]
fn a_clock_that_is_set_back_by_a_year_makes_nobody_wait_for_a_year() {
    let mut host = Host::new();
    let year = 365 * 24 * 3_600_000;
    host.now = 2 * year;
    host.call(|client, now| client.set_token("token", now));
    host.call(|client, now| client.connect(now));
    host.welcomed();
    host.cut(1006);
    assert!(matches!(host.state(), ConnectionState::Waiting { .. }));
    host.now -= year;
    host.call(|client, now| client.handle_timeout(now));
    let (due, why) = host.client.next_deadline().unwrap();
    assert_eq!(why, Timer::Reconnect);
    assert!(due.0 >= host.now && due.0 < host.now + 60_000, "{} ms", due.0.abs_diff(host.now));
    assert_eq!(host.state(), ConnectionState::Waiting { until: due, attempt: 1 });
    host.wait_for_timer();
    assert_eq!(host.state(), ConnectionState::Connecting);
    // And forwards again: nothing is repeated, and nothing waits.
    host.now += year;
    host.welcomed();
    assert_eq!(host.state(), ConnectionState::Online);
}
