//! What was missed comes once, whatever the connection does.

use enfilade_core::client::{Event, Synced};
use enfilade_core::{Code, Tier};

use super::stage::{App, Log, id};

pub(super) fn a_client_to_which_nothing_was_said_yet_recovers_what_it_missed() {
    let (mut app, mut log) = (App::online(), Log::new("lobby", 9));
    app.call(|client, now| client.acquire(&id("lobby"), now));
    app.hear(log.bulk());
    // Nothing has happened in the room, and all the same the next connection knows where to go on.
    log.post("bob", "while you were away");
    app.reconnected();
    assert_eq!(app.asked("lobby").base.map(Into::into), Some(enfilade_core::Position { epoch: 9, seq: 1 }));
    app.hear(log.delta(2, true));
    assert_eq!(app.texts("lobby"), ["while you were away"]);
}

pub(super) fn what_was_recovered_once_is_not_recovered_again() {
    let (mut app, mut log) = (App::online(), Log::new("lobby", 9));
    app.call(|client, now| client.set_tier(&id("lobby"), Tier::Background, now));
    app.hear(log.projection());
    for round in 0..3 {
        log.post("bob", &format!("message {round}"));
        app.reconnected();
        app.hear(log.projection());
        app.reconnected();
        let asked = app.asked("lobby");
        assert_eq!(asked.seen.map(Into::into), Some(log.position()), "the replay has moved the position");
        app.hear(log.projection());
    }
    assert_eq!(app.texts("lobby"), ["message 0", "message 1", "message 2"]);
}

pub(super) fn a_quiet_room_keeps_its_place_and_notices_a_loss() {
    let (mut app, mut log) = (App::online(), Log::new("lobby", 9));
    app.call(|client, now| client.acquire(&id("lobby"), now));
    app.hear(log.bulk());
    for _ in 0..500 {
        app.wait(20_000);
        app.hear(log.heartbeat());
    }
    assert!(app.closed.is_empty());
    // An entry is lost on the way while the connection stands. Nothing else happens in the room.
    log.post("bob", "lost");
    app.sent.clear();
    app.hear(log.heartbeat());
    assert_eq!(app.asked("lobby").base.map(|base| base.seq), Some(1));
    app.hear(log.delta(2, true));
    assert_eq!(app.texts("lobby"), ["lost"]);
    // And once more, hours later.
    app.wait(10_000);
    log.post("bob", "lost again");
    app.reconnected();
    app.hear(log.delta(3, true));
    assert_eq!(app.texts("lobby"), ["lost", "lost again"]);
}

pub(super) fn a_message_that_comes_live_and_by_recovery_is_shown_once() {
    let (mut app, mut log) = (App::online(), Log::new("lobby", 9));
    app.call(|client, now| client.acquire(&id("lobby"), now));
    app.hear(log.bulk());
    log.post("bob", "one");
    app.hear(log.delta(2, false));
    log.post("bob", "two");
    // The app opens the room again from the handler of the first message, and the server answers with all since then.
    app.call(|client, now| client.acquire(&id("lobby"), now));
    app.hear(log.delta(2, true));
    app.hear(log.delta(3, false));
    assert_eq!(app.texts("lobby"), ["one", "two"]);
    assert_eq!(app.announced(), [1, 2]);
    let view = app.client.room(&id("lobby")).expect("it is open");
    assert_eq!(view.synced(), Synced::Ready);
    assert_eq!(app.client.connection().counters.resyncs, 0);
}

pub(super) fn an_unexpected_epoch_is_a_reset() {
    let (mut app, mut log) = (App::online(), Log::new("lobby", 9));
    log.post("bob", "of the old log");
    app.call(|client, now| client.acquire(&id("lobby"), now));
    app.hear(log.bulk());
    // The store was emptied; another log has entries of the same numbers.
    let mut other = Log::new("lobby", 10);
    other.post("bob", "of the new log");
    other.post("bob", "next");
    app.hear(other.delta(3, false));
    let view = app.client.room(&id("lobby")).expect("it is open");
    assert_eq!(view.position(), log.position(), "what can't be extended is not extended");
    assert_eq!(app.asked("lobby").base, None, "the whole state is asked for");
    app.hear(other.bulk());
    assert_eq!(app.texts("lobby"), ["of the new log", "next"]);
    let is_told = |event: &Event| matches!(event, Event::Resynced { code: Code::EpochChanged, .. });
    assert!(app.events.iter().any(is_told), "and the app is told");
}

pub(super) fn nothing_of_an_ended_connection_reaches_the_next() {
    let (mut app, mut log) = (App::online(), Log::new("lobby", 9));
    app.call(|client, now| client.acquire(&id("lobby"), now));
    app.hear(log.bulk());
    let ended = app.generation;
    app.reconnected();
    app.hear(log.delta(2, true));
    // A frame that the old socket had in its buffer.
    log.post("bob", "late");
    app.hear_on(ended, log.delta(2, false));
    assert!(app.texts("lobby").is_empty());
    app.hear(log.delta(2, false));
    assert_eq!(app.texts("lobby"), ["late"]);
}
