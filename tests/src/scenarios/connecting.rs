//! Connections: how often, how soon, and in which order.

use enfilade_core::client::{ClientConfig, ConnectionState, Event, Network};
use enfilade_core::v1::client_frame::Body as Request;
use enfilade_core::v1::server_frame::Body as Frame;
use enfilade_core::{Code, Tier, v1};

use super::stage::{App, Log, id};

fn state(app: &App) -> ConnectionState {
    app.client.connection().state
}

pub(super) fn an_app_that_reconnects_in_its_handler_gets_connected() {
    let mut app = App::new(ClientConfig::default(), 7);
    app.call(|client, now| client.set_token("a token", now));
    app.call(|client, now| client.connect(now));
    for _ in 0..5 {
        // At each change of the connection the app changes its mind, twice.
        app.connected();
        app.call(|client, now| client.disconnect(now));
        assert_eq!(state(&app), ConnectionState::Idle);
        app.call(|client, now| client.connect(now));
        if !matches!(state(&app), ConnectionState::Connecting) {
            app.until_it_dials();
        }
    }
    app.welcomed();
    assert_eq!(state(&app), ConnectionState::Online);
}

pub(super) fn no_server_makes_a_client_hammer_it() {
    let mut app = App::new(ClientConfig::default(), 7);
    app.call(|client, now| client.set_token("a token", now));
    app.call(|client, now| client.connect(now));
    // The server welcomes with a window of nothing, and hangs up at once; the app tells of networks all the time.
    while app.now < 60_000 {
        app.welcomed_with(v1::Welcome { reconnect_min: 1, reconnect_max: 1, ..Default::default() });
        app.broken(4000);
        app.call(|client, now| client.handle_network(Network::Online, now));
        if !matches!(state(&app), ConnectionState::Connecting) {
            app.until_it_dials();
        }
        app.now += 1;
    }
    for window in app.connects.iter() {
        let inside = app.connects.iter().filter(|at| (*window..window + 10_000).contains(*at)).count();
        assert!(inside <= 41, "{inside} attempts in ten seconds");
    }
}

pub(super) fn a_device_that_slept_hears_what_waited_before_it_hangs_up() {
    let mut app = App::online();
    app.hear(Frame::Heartbeat(v1::ServerHeartbeat { time: 0 }));
    // The lid is closed for an hour. What the server sent meanwhile lies in the socket, and the timer is first.
    app.now += 3_600_000;
    app.call(|client, now| client.handle_timeout(now));
    assert_eq!(state(&app), ConnectionState::Online);
    app.hear(Frame::Heartbeat(v1::ServerHeartbeat { time: 0 }));
    app.call(|client, now| client.handle_timeout(now));
    assert_eq!(state(&app), ConnectionState::Online);
    assert!(app.closed.is_empty());
}

pub(super) fn when_the_network_is_back_nobody_waits() {
    let mut app = App::online();
    app.call(|client, now| client.handle_network(Network::Offline, now));
    app.broken(1006);
    for _ in 0..8 {
        app.until_it_dials();
        app.broken(1006);
    }
    app.now += 1_000;
    let before = app.connects.len();
    app.call(|client, now| client.handle_network(Network::Online, now));
    assert_eq!(app.connects.len(), before + 1, "it dials at once");
}

pub(super) fn a_background_tab_with_throttled_timers_stays_connected() {
    let mut app = App::online();
    app.call(|client, now| client.handle_network(Network::Background, now));
    let before = app.sent.len();
    // Timers run once a minute, and later, in the foreground, each second; messages are delivered as they come.
    for second in 1..=600u64 {
        app.now += 1_000;
        if second.is_multiple_of(25) {
            app.hear(Frame::Heartbeat(v1::ServerHeartbeat { time: second }));
        }
        if second.is_multiple_of(60) || second > 300 {
            app.call(|client, now| client.handle_timeout(now));
        }
    }
    assert_eq!(state(&app), ConnectionState::Online);
    assert!(app.closed.is_empty());
    // The pings are the server's; the client answers each, and needs no timer of its own for that.
    let answers = app.sent[before..].iter().filter(|sent| matches!(sent, Request::Heartbeat(_))).count();
    assert_eq!(answers, 24);
}

pub(super) fn clients_that_are_sent_away_at_once_do_not_return_at_once() {
    const CLIENTS: u64 = 200;
    let returns = (0..CLIENTS).map(|seed| {
        let mut app = App::new(ClientConfig::default(), seed);
        app.call(|client, now| client.set_token("a token", now));
        app.call(|client, now| client.connect(now));
        app.welcomed();
        // It was connected for long enough to have proved stable; the server tells everybody the same.
        app.now += 15_000;
        let advice = v1::Advice {
            code: Code::Draining.number(),
            reconnect_after: 5_000,
            close: true,
            ..Default::default()
        };
        app.hear(Frame::Advice(advice));
        app.broken(Code::GoingAway as u16);
        app.until_it_dials();
        app.now - 15_000
    });
    let returns: Vec<u64> = returns.collect();
    assert!(
        returns.iter().all(|at| (5_000..60_000).contains(at)),
        "nobody comes before they should: {returns:?}"
    );
    for tenth in returns.iter() {
        let together = returns.iter().filter(|at| (*tenth..tenth + 100).contains(*at)).count();
        assert!(together as u64 <= CLIENTS / 8, "{together} of {CLIENTS} come within a tenth of a second");
    }
}

pub(super) fn what_people_look_at_is_resumed_first() {
    let mut app = App::online();
    // The order of names is not that of importance.
    for (room, tier) in
        [("a", Tier::Cached), ("b", Tier::Background), ("c", Tier::Active), ("d", Tier::Background)]
    {
        app.call(|client, now| client.set_tier(&id(room), tier, now));
        if tier != Tier::Cached {
            let log = Log::new(room, 9);
            app.hear(if tier == Tier::Active { log.bulk() } else { log.projection() });
        }
    }
    app.reconnected();
    let tiers: Vec<i32> = app.resumed().iter().map(|want| want.tier).collect();
    assert_eq!(tiers.len(), 4, "with the inbox, and without what is only cached: {tiers:?}");
    assert!(tiers.is_sorted_by(|a, b| a >= b), "Active first, then Background: {tiers:?}");
    app.sent.clear();
    app.wait(10_000);
    assert_eq!(app.asked("a").tier, i32::from(Tier::Cached.wire()), "that comes later");
}

pub(super) fn a_refused_token_is_asked_for_once_and_not_tried_again() {
    let mut app = App::online();
    app.events.clear();
    let refused = v1::Error { code: Code::TokenExpired.number(), ..Default::default() };
    app.hear(Frame::Error(refused));
    app.broken(Code::CloseTokenExpired as u16);
    app.wait(60_000);
    let needed = app.events.iter().filter(|event| matches!(event, Event::TokenNeeded)).count();
    assert_eq!(needed, 1, "at most one is fetched at a time");
    let before = app.connects.len();
    app.call(|client, now| client.set_token("a token", now));
    app.wait(600_000);
    assert_eq!(app.connects.len(), before, "the same token is not tried again");
    let is_told = |event: &Event| matches!(event, Event::Error { code: Code::TokenInvalid, .. });
    assert!(app.events.iter().any(is_told), "and the app is told");
    app.call(|client, now| client.set_token("a new token", now));
    if app.connects.len() == before {
        app.until_it_dials();
    }
    app.welcomed();
    assert_eq!(state(&app), ConnectionState::Online);
}
