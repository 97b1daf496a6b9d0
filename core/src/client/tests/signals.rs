use super::*;
use crate::v1::SignalClass;

/// The server's clock at our zero.
const SERVER: u64 = 1_000_000;

fn item(class: SignalClass, key: &str, at: u64) -> v1::SignalItem {
    v1::SignalItem {
        user: "bob".into(),
        client: 2,
        kind: "midi".into(),
        payload: alloc::vec![1],
        class: class.into(),
        key: key.into(),
        at,
    }
}

fn note(key: &str, at: u64) -> v1::SignalItem {
    item(SignalClass::Timed, key, at)
}

fn note_off(key: &str, at: u64) -> v1::SignalItem {
    item(SignalClass::Release, key, at)
}

fn cursor(user: &str, client: u64, payload: &[u8]) -> v1::SignalItem {
    let user = user.into();
    v1::SignalItem { user, client, kind: "cursor".into(), payload: payload.into(), ..Default::default() }
}

fn open() -> Host {
    let mut host = Host::online();
    host.open(&Log::with_two("lobby"));
    host
}

impl Host {
    fn hear_signals(&mut self, signals: Vec<v1::SignalItem>) {
        self.hear(Frame::Signals(v1::Signals { alias: 5, signals, ..Default::default() }));
    }

    /// What was played, as "key" or "-key" for an end.
    fn played(&self) -> Vec<String> {
        let played = |event: &Event| match event {
            Event::Signal { signal, .. } if signal.class() == SignalClass::Release => {
                Some(alloc::format!("-{}", signal.key))
            }
            Event::Signal { signal, .. } => Some(signal.key.clone()),
            _ => None,
        };
        self.events.iter().filter_map(played).collect()
    }

    fn signal(&mut self, class: SignalClass, key: &str, payload: &[u8]) -> bool {
        self.call(|client, now| client.signal(&id("lobby"), class, "midi", key, payload, now)).unwrap()
    }

    fn signals_sent(&self) -> Vec<&v1::Signal> {
        let mut signals = Vec::new();
        for request in &self.sent {
            if let Request::Signal(signal) = request {
                signals.push(signal);
            }
        }
        signals
    }

    fn shown(&self) -> Vec<(&str, &[u8])> {
        self.client.signals(&id("lobby")).map(|item| (item.user.as_str(), &item.payload[..])).collect()
    }
}

#[test]
fn notes_are_played_with_the_spacing_at_which_they_were_struck() {
    let mut host = open();
    host.now = 10_000;
    let at = SERVER + 10_000;
    host.hear_signals(alloc::vec![note("a", at), note("b", at + 20), note_off("a", at + 40)]);
    assert_eq!(host.played(), [""; 0]);
    let delay = host.client.signal_delay(&id("lobby"));
    host.wait(delay);
    assert_eq!(host.played(), ["a"]);
    host.wait(19);
    assert_eq!(host.played(), ["a"]);
    host.wait(1);
    assert_eq!(host.played(), ["a", "b"]);
    host.wait(20);
    assert_eq!(host.played(), ["a", "b", "-a"]);
}

#[test]
fn a_note_that_comes_too_late_is_left_out_and_its_end_is_not() {
    let mut host = open();
    host.now = 10_000;
    host.hear_signals(alloc::vec![note("a", SERVER + 9_000), note_off("a", SERVER + 9_100)]);
    host.wait(1_000);
    assert_eq!(host.played(), ["-a"]);
    assert_eq!(host.client.signal_counters().late, 1);
}

#[test]
fn an_end_is_never_played_before_its_beginning_whatever_the_clocks_say() {
    let mut host = open();
    host.now = 10_000;
    host.hear_signals(alloc::vec![note("a", SERVER + 10_500), note_off("a", SERVER + 9_000)]);
    host.wait(5_000);
    assert_eq!(host.played(), ["a", "-a"]);
}

#[test]
fn everything_that_sounds_ends_when_the_line_breaks() {
    let mut host = open();
    host.now = 10_000;
    let at = SERVER + 10_000;
    host.hear_signals(alloc::vec![note("a", at), note("b", at), note("c", at)]);
    host.wait(100);
    // The end of b is on its way to be played when the line breaks.
    host.hear_signals(alloc::vec![note_off("b", at + 95)]);
    assert_eq!(host.played(), ["a", "b", "c"]);
    host.forget();
    host.cut(1006);
    let mut ended = host.played();
    ended.sort_unstable();
    assert_eq!(ended, ["-a", "-b", "-c"]);
    host.forget();
    host.release("lobby");
    assert_eq!(host.played(), [""; 0], "once");
}

#[test]
fn everything_that_sounds_ends_when_the_room_is_left() {
    let mut host = open();
    host.now = 10_000;
    host.hear_signals(alloc::vec![note("a", SERVER + 10_000), cursor("bob", 2, b"1")]);
    host.wait(100);
    host.release("lobby");
    assert_eq!((host.played(), host.shown()), (["a".into(), "-a".into()].to_vec(), Vec::new()));
}

#[test]
fn a_flood_of_notes_is_bounded_and_no_end_is_lost_in_it() {
    let mut host = open();
    host.now = 10_000;
    let at = SERVER + 10_500;
    let mut flood: Vec<_> =
        (0..2 * limits::TIMED_SIGNALS).map(|key| note(&alloc::format!("{key}"), at)).collect();
    flood.extend((0..3 * limits::TIMED_SIGNALS).map(|key| note_off(&alloc::format!("{key}"), at)));
    host.hear_signals(flood);
    host.wait(5_000);
    let ends = host.played().iter().filter(|key| key.starts_with('-')).count();
    assert_eq!(ends, 3 * limits::TIMED_SIGNALS);
    assert_eq!(host.played().len() - ends, limits::TIMED_SIGNALS);
}

#[test]
fn the_newest_cursor_of_each_is_shown_until_it_is_taken_away_or_not_repeated() {
    let mut host = open();
    host.hear_signals(alloc::vec![cursor("bob", 2, b"1"), cursor("bob", 2, b"2"), cursor("eve", 3, b"9")]);
    assert_eq!(host.shown(), [("bob", &b"2"[..]), ("eve", b"9")]);
    let changes = |event: &Event| match event {
        Event::Room { changes, .. } => changes.contains(&RoomChange::Signals),
        _ => false,
    };
    assert!(host.has_event(changes));
    host.hear_signals(alloc::vec![cursor("eve", 3, b"")]);
    assert_eq!(host.shown(), [("bob", &b"2"[..])]);
    host.wait(limits::SIGNAL_LASTS);
    assert!(host.shown().is_empty());
}

#[test]
fn of_own_cursors_the_newest_is_sent_at_most_thirty_times_a_second() {
    let mut host = open();
    host.now = 10_000;
    for at in 0..100 {
        assert!(host.signal(SignalClass::Latest, "", &[at]));
        host.wait(1);
    }
    host.wait(100);
    let sent: Vec<u8> = host.signals_sent().iter().map(|signal| signal.payload[0]).collect();
    assert_eq!(sent, [0, 32, 65, 98, 99]);
    assert_eq!(host.client.signal_counters().coalesced, 95);
}

#[test]
fn notes_are_stamped_with_the_servers_time_which_is_asked_for_from_then_on() {
    let mut host = open();
    host.wait(10_000);
    assert!(!host.sent.iter().any(|request| matches!(request, Request::TimeRequest(_))));
    host.signal(SignalClass::Timed, "a", &[1]);
    assert_eq!(host.signals_sent()[0].at, SERVER + 10_000);
    host.wait(0);
    let asked =
        |request: &Request| if let Request::TimeRequest(asked) = request { Some(asked.sent) } else { None };
    assert_eq!(host.sent.iter().find_map(asked), Some(10_000));
    host.now += 10;
    host.hear(Frame::TimeReply(v1::TimeReply { sent: 10_000, time: SERVER + 10_105 }));
    assert_eq!(host.client.connection().clock_offset, 1_000_100);
}

#[test]
fn own_signals_do_not_come_back_and_those_of_other_rooms_are_not_sent() {
    let mut host = open();
    let own = host.client.client_id().0;
    host.hear_signals(alloc::vec![cursor("ada", own, b"1")]);
    assert!(host.shown().is_empty());
    let elsewhere =
        |client: &mut Client, now| client.signal(&id("other"), SignalClass::Latest, "k", "", b"", now);
    assert_eq!(host.call(elsewhere), Ok(false));
    host.cut(1006);
    assert!(!host.signal(SignalClass::Timed, "a", b""), "a note that is sent later is no note");
    let long = "k".repeat(limits::SIGNAL_KEY_BYTES + 1);
    let refused =
        |client: &mut Client, now| client.signal(&id("lobby"), SignalClass::Timed, "k", &long, b"", now);
    assert_eq!(host.call(refused), Err(Code::InvalidRequest));
}
