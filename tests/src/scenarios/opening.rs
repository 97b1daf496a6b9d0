//! Rooms: opened, left, filled, and written into without a connection.

use enfilade_core::client::{ClientConfig, ConnectionState};
use enfilade_core::op::Body;
use enfilade_core::v1::client_frame::Body as Request;
use enfilade_core::{Tier, limits, v1};

use super::stage::{App, Desk, Log, id};
use crate::sim::{Transition, World};

pub(super) fn a_view_that_mounts_twice_opens_its_room_once() {
    let config = ClientConfig { active_grace: 200, ..ClientConfig::default() };
    let mut app = App::new(config, 7);
    app.call(|client, now| client.set_token("a token", now));
    app.call(|client, now| client.connect(now));
    app.welcomed();
    app.sent.clear();
    let about = |app: &App| {
        let lobby = |request: &&Request| matches!(request, Request::SetTier(want) if want.room_id == "lobby");
        app.sent.iter().filter(lobby).count()
    };
    // Mount, unmount, mount; and a second view of the same room that comes and goes.
    app.call(|client, now| client.acquire(&id("lobby"), now));
    app.call(|client, now| client.release(&id("lobby"), now));
    app.call(|client, now| client.acquire(&id("lobby"), now));
    app.hear(Log::new("lobby", 9).bulk());
    app.call(|client, now| client.acquire(&id("lobby"), now));
    app.call(|client, now| client.release(&id("lobby"), now));
    app.wait(5_000);
    assert_eq!(about(&app), 1, "the server hears of it once");
    assert_eq!(app.client.room(&id("lobby")).map(|view| view.tier()), Some(Tier::Active));
    app.call(|client, now| client.release(&id("lobby"), now));
    app.wait(5_000);
    assert_eq!(app.client.room(&id("lobby")).map(|view| view.tier()), Some(Tier::Background));
}

pub(super) fn a_message_is_shown_whole_after_its_author_has_left() {
    let (mut app, mut log) = (App::online(), Log::new("lobby", 9));
    log.add("bob", Body::Join(v1::Join {}));
    log.post("bob", "bye");
    app.call(|client, now| client.acquire(&id("lobby"), now));
    app.hear(log.bulk());
    log.add("bob", Body::Leave(v1::Leave {}));
    app.hear(log.delta(4, false));
    let view = app.client.room(&id("lobby")).expect("it is open");
    assert!(view.members().all(|member| member.user != "bob"));
    let message = view.message(0).expect("it is there");
    assert_eq!((message.author.as_str(), message.author_name.as_str()), ("bob", "BOB"));
    log.post("bob", "a message whose author never was a member here");
    app.hear(log.delta(5, false));
    let view = app.client.room(&id("lobby")).expect("it is open");
    assert_eq!(view.message(1).map(|message| message.author_name.as_str()), Some("BOB"));
}

pub(super) fn when_all_have_left_nothing_is_left_of_them() {
    let mut world = World::new(3);
    let clients = world.clients.len();
    world.apply(Transition::Wait(5_000));
    world.apply(Transition::Create { client: 0 });
    world.apply(Transition::Wait(5_000));
    let room = world.rooms.last().expect("it was made").clone();
    for client in 0..clients {
        world.apply(Transition::Open { client, room: room.clone() });
        world.apply(Transition::Join { client, room: room.clone() });
        world.apply(Transition::Wait(2_000));
        world.apply(Transition::Post { client, room: room.clone(), mention: true, times: 3 });
    }
    // One is cut off in the middle of it, and one comes and goes.
    world.apply(Transition::Cut { client: 1 });
    world.apply(Transition::CrashClient { client: 0 });
    world.apply(Transition::Wait(3_000));
    assert_eq!(world.settle(), Ok(()));
    assert_eq!(world.all_leave(), Ok(()));
}

pub(super) fn a_room_in_which_people_write_for_ever_stays_within_its_bounds() {
    const MESSAGES: u64 = 3_000;
    let (mut app, mut log) = (App::online(), Log::new("lobby", 9));
    app.call(|client, now| client.acquire(&id("lobby"), now));
    app.hear(log.bulk());
    let mut sizes = Vec::new();
    for number in 1..=MESSAGES {
        log.post("bob", &format!("message {number:6}"));
        app.hear(log.delta(log.position().seq, false));
        app.events.clear();
        if number == MESSAGES / 2 || number == MESSAGES {
            app.wait(10_000);
            app.hear(log.heartbeat());
            sizes.push(app.stored.values().map(Vec::len).sum::<usize>());
        }
    }
    let view = app.client.room(&id("lobby")).expect("it is open");
    assert_eq!(view.message_count(), limits::ACTIVE_MESSAGES);
    assert!(sizes[1] < sizes[0] + sizes[0] / 4, "what is stored does not grow with the log: {sizes:?}");
    app.call(|client, now| client.set_tier(&id("lobby"), Tier::Background, now));
    let view = app.client.room(&id("lobby")).expect("it is in the background");
    assert!(view.message_count() <= limits::BACKGROUND_MESSAGES);
    // The server keeps no more of it either.
    let mut desk = Desk::new("lobby");
    for number in 0..1_500 {
        desk.submit(1, "ada", enfilade_core::op::post(format!("message {number}")));
        desk.done.clear();
    }
    assert_eq!(desk.authority.state().timeline().len(), limits::ACTIVE_MESSAGES);
}

pub(super) fn what_was_written_offline_survives_and_arrives_in_order() {
    let (mut app, log) = (App::online(), Log::new("lobby", 9));
    app.call(|client, now| client.acquire(&id("lobby"), now));
    app.hear(log.bulk());
    app.broken(1006);
    for text in ["one", "two", "three"] {
        app.call(|client, now| client.post(&id("lobby"), text, Vec::new(), now)).expect("it is queued");
    }
    // The app ends without notice, and the next connections fail: one is refused, one breaks off before the welcome.
    let mut app = app.restarted();
    app.broken(1006);
    app.until_it_dials();
    app.connected();
    app.broken(4004);
    app.until_it_dials();
    app.welcomed();
    assert_eq!(app.client.connection().state, ConnectionState::Online);
    let submitted = app.sent.iter().filter_map(|request| match request {
        Request::Submit(submit) => Some(enfilade_core::op::parse(&submit.op)),
        _ => None,
    });
    let texts: Vec<String> = submitted
        .filter_map(|body| match body {
            Ok(Body::PostMessage(post)) => Some(post.text),
            _ => None,
        })
        .collect();
    assert_eq!(texts, ["one", "two", "three"]);
    // Only logout throws it away.
    app.call(|client, now| client.logout(now));
    assert!(app.stored.is_empty());
}
