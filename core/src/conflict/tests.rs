use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::slice;

use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::{Code, v1};

fn message(client: u64, counter: u64, seq: u64, at: u64) -> v1::Message {
    let id = Some(v1::OpId { client, counter });
    let text = format!("{client}-{counter}");
    v1::Message { id, seq, ordinal: seq, at, text, ..Default::default() }
}

fn ids(merged: &Merged<v1::Message>) -> Vec<(u64, u64)> {
    merged.messages.iter().map(|message| message.stamp().id).collect()
}

fn element(key: &str, version: u64, nonce: u64) -> v1::Element {
    let value = format!("{key} {version} {nonce}").into();
    v1::Element { key: key.into(), version, nonce, value, ..Default::default() }
}

#[test]
fn the_same_message_is_shown_once_though_its_copies_do_not_touch() {
    let stretch = vec![message(1, 1, 5, 50), message(2, 1, 6, 60), message(1, 1, 5, 50)];
    let other = vec![message(2, 1, 6, 60), message(1, 1, 5, 50)];
    assert_eq!(ids(&timelines(vec![stretch, other])), [(1, 1), (2, 1)]);
}

#[test]
fn messages_of_one_millisecond_have_one_order_on_every_replica() {
    let a = vec![message(7, 1, 0, 100), message(3, 1, 0, 100)];
    let b = vec![message(5, 1, 0, 100)];
    let merged = timelines(vec![a.clone(), b.clone()]);
    assert_eq!(ids(&merged), [(3, 1), (5, 1), (7, 1)]);
    assert_eq!(merged, timelines(vec![b, a]));
}

#[test]
fn clocks_that_are_wrong_do_not_move_what_the_server_has_placed() {
    let fast = vec![message(1, 1, 10, 9_999_999)];
    let slow = vec![message(2, 1, 11, 1)];
    assert_eq!(ids(&timelines(vec![slow, fast])), [(1, 1), (2, 1)]);
}

#[test]
fn what_has_no_place_yet_comes_last_and_gives_way_to_its_sequenced_copy() {
    let local = vec![message(1, 1, 4, 40), message(1, 2, 0, 10)];
    assert_eq!(ids(&timelines(vec![local.clone()])), [(1, 1), (1, 2)]);
    let server = vec![message(1, 2, 3, 30)];
    let merged = timelines(vec![local, server]);
    assert_eq!(ids(&merged), [(1, 2), (1, 1)]);
    assert_eq!(merged.messages[0].seq, 3);
}

#[test]
fn an_edited_copy_holds_over_an_older_one() {
    let edited = v1::Message { changed_seq: 9, text: "edited".into(), ..message(1, 1, 5, 50) };
    for order in [[message(1, 1, 5, 50), edited.clone()], [edited.clone(), message(1, 1, 5, 50)]] {
        assert_eq!(timelines(order.map(|copy| vec![copy]).into()).messages, slice::from_ref(&edited));
    }
}

#[test]
fn stretches_that_do_not_touch_leave_a_gap_that_goes_with_what_is_let_go_of() {
    let stretch =
        |ordinals: core::ops::RangeInclusive<u64>| ordinals.map(|n| message(1, n, n, n)).collect::<Vec<_>>();
    let mut merged = timelines(vec![stretch(20..=22), stretch(1..=3), stretch(10..=12)]);
    assert_eq!(merged.gaps, [3, 6]);
    merged.keep_newest(5);
    assert_eq!((merged.messages.len(), &*merged.gaps), (5, &[2][..]));
    merged.keep_newest(3);
    assert!(merged.gaps.is_empty());
    assert!(timelines(vec![stretch(1..=3), stretch(4..=6)]).gaps.is_empty());
}

#[test]
fn an_element_that_is_being_edited_stays_as_it_is_here() {
    let local = [element("a", 1, 1), element("b", 1, 1)];
    let theirs = [element("a", 2, 1), element("b", 2, 1), element("c", 1, 1)];
    let merged = maps(&local, &theirs, |key| key == "a");
    let versions: Vec<_> = merged.iter().map(|element| (&*element.key, element.version)).collect();
    assert_eq!(versions, [("a", 1), ("b", 2), ("c", 1)]);
}

#[test]
fn presence_and_badges_come_from_the_server_and_ui_state_from_the_client() {
    let person = |user: &str, badge: &str, here: bool, ui: &str| Person {
        member: v1::Member { user: user.into(), badges: [String::from(badge)].into(), ..Default::default() },
        presence: here.then(|| v1::PresentUser { user: user.into(), ..Default::default() }),
        ui_state: ui.as_bytes().into(),
    };
    let local = [person("ada", "old", false, "open"), person("gone", "", true, "open")];
    let server = [person("ada", "vip", true, ""), person("new", "", true, "")];
    let merged = people(&local, &server);
    assert_eq!(merged, [person("ada", "vip", true, "open"), person("new", "", true, "")]);
    assert_eq!(people(&merged, &server), merged);
}

#[test]
fn each_type_of_conflict_has_its_default_and_each_mode_its_effect() {
    use ConflictMode::{ClientWins, Merge, ServerWins, Unspecified, UserChoice};
    use ConflictType::{ComplexMerge, MessageOrder, RoomConfig, UserPresence};
    let room = |who: &str, first: u64| v1::RoomSnapshot {
        info: Some(v1::RoomInfo { name: who.into(), ..Default::default() }),
        config: Some(v1::RoomConfig { emote_only: who == "local", ..Default::default() }),
        members: vec![v1::Member { user: who.into(), ..Default::default() }],
        timeline: vec![message(1, first, first, first)],
        elements: vec![element(who, 1, 1)],
        ..Default::default()
    };
    let (local, server) = (room("local", 1), room("server", 2));
    // Name, first member, messages, elements.
    let resolved = |of, mode| {
        let room = rooms(&local, &server, of, mode, |_| false)?;
        let name = room.info?.name;
        Some((name, room.members[0].user.clone(), room.timeline.len(), room.elements.len()))
    };
    let is =
        |name: &str, member: &str, messages, elements| Some((name.into(), member.into(), messages, elements));
    for (of, default, server_wins, client_wins, merged) in [
        (
            MessageOrder,
            Merge,
            is("server", "server", 1, 1),
            is("server", "server", 1, 1),
            is("server", "server", 2, 1),
        ),
        (
            UserPresence,
            ServerWins,
            is("server", "server", 2, 1),
            is("server", "local", 2, 1),
            is("server", "server", 2, 1),
        ),
        (
            RoomConfig,
            ServerWins,
            is("server", "local", 1, 1),
            is("local", "local", 1, 1),
            is("server", "local", 1, 1),
        ),
        (
            ComplexMerge,
            Merge,
            is("server", "server", 1, 1),
            is("local", "local", 1, 1),
            is("server", "server", 2, 2),
        ),
    ] {
        assert_eq!(default_mode(of), default);
        assert_eq!(resolved(of, ServerWins), server_wins, "{of:?}");
        assert_eq!(resolved(of, ClientWins), client_wins, "{of:?}");
        assert_eq!(resolved(of, Merge), merged, "{of:?}");
        assert_eq!(resolved(of, UserChoice), None);
        assert_eq!(resolved(of, Unspecified), resolved(of, default));
    }
}

#[test]
fn a_merged_timeline_keeps_the_newest_thousand() {
    let all: Vec<_> = (1..=1_500).map(|n| message(1, n, n, n)).collect();
    let room =
        |messages: &[v1::Message]| v1::RoomSnapshot { timeline: messages.to_vec(), ..Default::default() };
    let (local, server) = (room(&all[..900]), room(&all[600..]));
    let merged =
        rooms(&local, &server, ConflictType::MessageOrder, ConflictMode::Merge, |_| false).unwrap().timeline;
    assert_eq!((merged.len(), merged[0].seq, merged[999].seq), (1_000, 501, 1_500));
}

fn any_stretch() -> impl Strategy<Value = Vec<v1::Message>> {
    let any = (1..4_u64, 1..6_u64, 0..6_u64, 0..4_u64, 0..3_u64, "[ab]").prop_map(
        |(client, counter, seq, at, changed_seq, text)| v1::Message {
            changed_seq,
            text,
            ..message(client, counter, seq, at)
        },
    );
    prop::collection::vec(any, 0..12)
}

fn any_map() -> impl Strategy<Value = Vec<v1::Element>> {
    let any = ("[a-d]", 1..4_u64, 0..3_u64, 0..4_u64)
        .prop_map(|(key, version, nonce, seq)| v1::Element { seq, ..element(&key, version, nonce) });
    prop::collection::vec(any, 0..6).prop_map(|mut elements: Vec<v1::Element>| {
        elements.sort_by(|a, b| a.key.cmp(&b.key));
        elements.dedup_by(|a, b| a.key == b.key);
        elements
    })
}

#[test]
fn what_is_stored_merges_as_what_was_read() {
    let snapshot = |messages: &[v1::Message]| {
        let info = Some(v1::RoomInfo { name: "Lobby".into(), ..Default::default() });
        v1::RoomSnapshot { timeline: messages.to_vec(), info, messages: 9, ..Default::default() }
            .encode_to_vec()
    };
    let a = [message(1, 1, 4, 40), v1::Message { changed_seq: 9, pinned: true, ..message(1, 2, 5, 50) }];
    let b = [message(1, 2, 5, 50), message(2, 1, 6, 60)];
    let (stored_a, stored_b) = (snapshot(&a), snapshot(&b));
    let stored =
        timelines(vec![Encoded::timeline(&stored_b).unwrap(), Encoded::timeline(&stored_a).unwrap()]);
    let read: Vec<_> = stored.messages.iter().map(|message| message.message().unwrap()).collect();
    assert_eq!(read, timelines(vec![a.to_vec(), b.to_vec()]).messages);
    assert_eq!(Encoded::timeline(&stored_a[..stored_a.len() - 1]), Err(Code::Malformed));
}

proptest! {
    #[test]
    fn the_stamp_of_what_is_stored_is_that_of_what_is_read(snapshot in crate::wire::arbitrary::frame::<v1::RoomSnapshot>()) {
        let bytes = snapshot.encode_to_vec();
        let stored = Encoded::timeline(&bytes).unwrap();
        let stamps: Vec<_> = stored.iter().map(Stamped::stamp).collect();
        prop_assert_eq!(stamps, snapshot.timeline.iter().map(Stamped::stamp).collect::<Vec<_>>());
        prop_assert!(stored.iter().zip(&snapshot.timeline).all(|(stored, read)| stored.message().as_ref() == Ok(read)));
    }

    #[test]
    fn no_bytes_make_reading_stamps_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(stored) = Encoded::timeline(&bytes) {
            stored.iter().for_each(|message| drop(message.message()));
            timelines(vec![stored]);
        }
    }

    #[test]
    fn merging_timelines_is_commutative_associative_and_idempotent(
        a in any_stretch(), b in any_stretch(), c in any_stretch(),
    ) {
        let merge = |a: &[v1::Message], b: &[v1::Message]| timelines(vec![a.to_vec(), b.to_vec()]);
        let ab = merge(&a, &b);
        prop_assert_eq!(&ab, &merge(&b, &a));
        prop_assert_eq!(merge(&ab.messages, &c), merge(&a, &merge(&b, &c).messages));
        prop_assert_eq!(&merge(&ab.messages, &ab.messages), &ab);
        prop_assert_eq!(timelines(vec![a, b]), ab);
    }

    #[test]
    fn a_merged_timeline_is_in_order_and_has_every_id_once(a in any_stretch(), b in any_stretch()) {
        let merged = timelines(vec![a.clone(), b.clone()]);
        let mut expected: Vec<_> = a.iter().chain(&b).map(|message| message.stamp().id).collect();
        expected.sort();
        expected.dedup();
        let mut found = ids(&merged);
        let place = |message: &v1::Message| (message.seq == 0, message.seq, message.at, message.stamp().id);
        prop_assert!(merged.messages.is_sorted_by_key(place));
        found.sort();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn merging_maps_is_commutative_associative_and_idempotent(a in any_map(), b in any_map(), c in any_map()) {
        let merge = |a: &[v1::Element], b: &[v1::Element]| maps(a, b, |_| false);
        prop_assert_eq!(merge(&a, &b), merge(&b, &a));
        prop_assert_eq!(merge(&merge(&a, &b), &c), merge(&a, &merge(&b, &c)));
        prop_assert_eq!(merge(&a, &a), a);
    }
}
