use alloc::format;

use super::*;
use crate::v1::SignalClass;

fn signal(class: SignalClass, kind: &str, key: &str, payload: &[u8]) -> v1::Signal {
    v1::Signal {
        room_id: "lobby".into(),
        kind: kind.into(),
        payload: payload.into(),
        class: class.into(),
        key: key.into(),
        at: 0,
    }
}

fn note(key: &str) -> v1::Signal {
    signal(SignalClass::Timed, "midi", key, &[0x90, 60, 100])
}

fn note_off(key: &str) -> v1::Signal {
    signal(SignalClass::Release, "midi", key, &[0x80, 60, 0])
}

fn cursor(at: u8) -> v1::Signal {
    signal(SignalClass::Latest, "cursor", "", &[at])
}

/// A room that ada and bob have Active, over connections 1 and 2.
fn open() -> Room {
    let mut room = Room::with_two();
    room.set_tier(1, "ada", want(Tier::Active, None));
    room.set_tier(2, "bob", want(Tier::Active, None));
    room
}

impl Room {
    fn signal(&mut self, conn: u64, user: &str, signal: v1::Signal) -> Vec<(Lane, v1::Signals)> {
        self.authority.signal(ConnId(conn), &actor(user), conn, signal, self.now);
        relayed(&self.run())
    }

    fn wait(&mut self, millis: u64) -> Vec<(Lane, v1::Signals)> {
        self.now = self.now + millis;
        self.authority.handle_timeout(self.now);
        relayed(&self.run())
    }
}

fn relayed(effects: &[Effect]) -> Vec<(Lane, v1::Signals)> {
    let signals = |effect: &Effect| match effect {
        Effect::Broadcast { tier: Tier::Active, lane, frame } => match &frame.body {
            Some(Frame::Signals(signals)) => Some((*lane, signals.clone())),
            _ => None,
        },
        _ => None,
    };
    effects.iter().filter_map(signals).collect()
}

#[test]
fn any_number_of_cursors_is_one_frame_an_interval_with_the_newest_of_each() {
    let mut room = open();
    room.now = Millis(1_000);
    assert_eq!(room.signal(1, "ada", cursor(1)).len(), 1, "the first goes at once");
    for at in 2..50 {
        assert!(room.signal(1, "ada", cursor(at)).is_empty());
        assert!(room.signal(2, "bob", cursor(at + 100)).is_empty());
    }
    assert!(room.wait(limits::SIGNAL_INTERVAL - 1).is_empty());
    let frames = room.wait(1);
    let [(Lane::Signal, frame)] = &frames[..] else { panic!("{frames:?}") };
    let payloads: Vec<_> = frame.signals.iter().map(|item| item.payload[0]).collect();
    assert_eq!(payloads, [49, 149]);
    assert!(room.wait(1_000).is_empty());
}

#[test]
fn a_note_goes_at_once_and_may_be_dropped_and_its_end_may_not() {
    let mut room = open();
    let [(Lane::Signal, on)] = &room.signal(1, "ada", note("60"))[..] else { panic!() };
    assert_eq!(on.signals[0].class(), SignalClass::Timed);
    let [(Lane::Log, off)] = &room.signal(1, "ada", note_off("60"))[..] else { panic!() };
    assert_eq!((off.signals[0].class(), off.signals[0].key.as_str()), (SignalClass::Release, "60"));
    let again = room.signal(1, "ada", note_off("60"));
    assert!(matches!(&again[..], [(Lane::Signal, _)]), "an end of nothing takes no guaranteed place");
}

#[test]
fn what_a_player_holds_ends_when_the_player_drops_out() {
    let mut room = open();
    room.signal(1, "ada", note("60"));
    room.signal(1, "ada", note("64"));
    room.signal(1, "ada", note_off("60"));
    room.authority.unsubscribe(ConnId(1), room.now);
    let ends = relayed(&room.run());
    let [(Lane::Log, frame)] = &ends[..] else { panic!("{ends:?}") };
    let [end] = &frame.signals[..] else { panic!() };
    assert_eq!((end.class(), end.key.as_str(), end.user.as_str()), (SignalClass::Release, "64", "ada"));
    room.authority.unsubscribe(ConnId(1), room.now);
    assert!(relayed(&room.run()).is_empty());
}

#[test]
fn going_to_background_ends_what_is_held_too() {
    let mut room = open();
    room.signal(1, "ada", note("60"));
    let effects = room.set_tier(1, "ada", want(Tier::Background, None));
    assert!(matches!(&relayed(&effects)[..], [(Lane::Log, _)]));
}

#[test]
fn nobody_holds_more_than_a_hand_can() {
    let mut room = open();
    for key in 0..limits::HELD_SIGNALS {
        assert_eq!(room.signal(1, "ada", note(&format!("{key}"))).len(), 1);
    }
    assert!(room.signal(1, "ada", note("one more")).is_empty());
    assert_eq!(room.signal(1, "ada", note("0")).len(), 1, "what is held already may be struck again");
}

#[test]
fn a_time_that_can_not_be_is_now() {
    let mut room = open();
    room.now = Millis(50_000);
    let future = v1::Signal { at: 50_000 + limits::SIGNAL_CLOCK_SKEW + 1, ..note("60") };
    assert_eq!(room.signal(1, "ada", future)[0].1.signals[0].at, 50_000);
    let past = v1::Signal { at: 49_800, ..note("61") };
    assert_eq!(room.signal(1, "ada", past)[0].1.signals[0].at, 49_800);
}

#[test]
fn signals_of_strangers_and_oversized_ones_go_nowhere() {
    let mut room = open();
    let set =
        Body::SetInfo(v1::SetInfo { visibility: Some(v1::Visibility::Private.into()), ..Default::default() });
    room.submit("ada", submit(1, 2, set));
    assert!(room.signal(3, "eve", note("60")).is_empty());
    let long = "k".repeat(limits::SIGNAL_KEY_BYTES + 1);
    assert!(room.signal(1, "ada", note(&long)).is_empty());
}
