//! Messages after they were posted: decided within the window and beyond it, stored, and shown by history.

use prost::Message as _;

use super::room::*;
use super::*;
use crate::state::message;

/// A message's entry, by its author's client and counter, and where it lies.
#[derive(Clone, Copy)]
struct Posted {
    id: v1::OpId,
    seq: u64,
}

fn edit(of: Posted, text: &str, mentions: &[&str]) -> Body {
    Body::EditMessage(v1::EditMessage {
        message_id: Some(of.id),
        message_seq: of.seq,
        text: text.into(),
        mentions: mentions.iter().map(|user| String::from(*user)).collect(),
    })
}

fn react(of: Posted, reaction: &str) -> Body {
    let reaction = reaction.into();
    Body::React(v1::React { message_id: Some(of.id), message_seq: of.seq, reaction, removed: false })
}

fn pin(of: Posted) -> Body {
    Body::Pin(v1::Pin { message_id: Some(of.id), message_seq: of.seq, removed: false })
}

/// A room whose third entry is bob's message, long gone from the window.
fn long() -> (Room, Posted) {
    let mut room = Room::with_two();
    room.submit("bob", submit(2, 2, post("old", &[])));
    for counter in 2..=limits::ACTIVE_MESSAGES as u64 + 101 {
        room.authority.submit(ConnId(1), &actor("ada"), submit(1, counter, post("x", &[])), room.now);
    }
    room.run();
    // The burst is over: what comes is decided at once.
    room.authority.submit(ConnId(1), &actor("ada"), submit(1, 1_900, post("x", &[])), room.now);
    room.now = room.now + limits::GATHER;
    room.authority.handle_timeout(room.now);
    room.run();
    let of = Posted { id: v1::OpId { client: 2, counter: 2 }, seq: 3 };
    assert!(room.authority.state().timeline().get(1).is_none());
    (room, of)
}

fn reads(effects: &[Effect]) -> Vec<u64> {
    let read = |effect: &Effect| match effect {
        Effect::ReadHistory { from_seq, .. } => Some(*from_seq),
        _ => None,
    };
    effects.iter().filter_map(read).collect()
}

/// The first message of the room, as history shows it.
fn first_message(room: &mut Room) -> v1::Message {
    page(room, 4, 0).messages.remove(0)
}

fn page(room: &mut Room, before_seq: u64, after_seq: u64) -> v1::HistoryPage {
    let request = v1::HistoryRequest {
        request_id: 5,
        room_id: "lobby".into(),
        before_seq,
        limit: limits::HISTORY_PAGE as u32,
        after_seq,
    };
    room.authority.history(ConnId(1), &actor("bob"), request);
    let effects = room.run();
    let effects = room.answer_reads(effects);
    let Effect::Send { frame, .. } = &effects[0] else { panic!("{effects:?}") };
    let Some(Frame::HistoryPage(page)) = &frame.body else { panic!("{frame:?}") };
    page.clone()
}

#[test]
fn what_is_changed_within_the_window_is_stored_and_shown_when_it_has_left_it() {
    let mut room = Room::with_two();
    room.submit("bob", submit(2, 2, post("old", &[])));
    let of = Posted { id: v1::OpId { client: 2, counter: 2 }, seq: 3 };
    room.submit("bob", submit(2, 3, edit(of, "new", &[])));
    room.submit("ada", submit(1, 2, react(of, "👍")));
    room.submit("ada", submit(1, 3, pin(of)));
    assert_eq!(room.amended.keys().copied().collect::<Vec<_>>(), [3]);
    for counter in 4..=limits::ACTIVE_MESSAGES as u64 + 101 {
        room.authority.submit(ConnId(1), &actor("ada"), submit(1, counter, post("x", &[])), room.now);
    }
    room.run();
    assert!(room.authority.state().timeline().get(1).is_none());
    let message = first_message(&mut room);
    assert_eq!((message.text.as_str(), message.pinned, message.changed_seq), ("new", true, 6));
    assert_eq!(message.reactions[0].users, ["ada"]);
    assert_eq!(room.authority.state().timeline().pins()[0].text, "new");
}

#[test]
fn an_operation_on_a_message_beyond_the_window_waits_until_that_is_there() {
    let (mut room, of) = long();
    let asked = room.submit("bob", submit(2, 3, edit(of, "new", &[])));
    assert_eq!(reads(&asked), [3]);
    assert!(acks(&asked).is_empty() && rejections(&asked).is_empty() && !room.authority.fetching.is_empty());
    let answered = room.answer_reads(asked);
    assert_eq!(acks(&answered), [(3, room.log.len() as u64)]);
    assert!(room.authority.fetching.is_empty());
    assert_eq!(first_message(&mut room).text, "new");
    // It is held now, as a message of the window would be.
    assert_eq!(rejections(&room.submit("cleo", submit(3, 1, react(of, "👍")))), [(1, Code::NotMember)]);
    room.submit("cleo", submit(3, 2, join()));
    let reacted = room.submit("cleo", submit(3, 3, react(of, "👍")));
    assert_eq!((reads(&reacted), acks(&reacted).len()), (vec![], 1));
    assert_eq!(rejections(&room.submit("cleo", submit(3, 4, edit(of, "mine", &[])))), [(4, Code::Forbidden)]);
    assert_eq!(first_message(&mut room).reactions[0].users, ["cleo"]);
}

#[test]
fn what_follows_on_the_connection_keeps_its_order_and_others_go_on() {
    let (mut room, of) = long();
    let asked = room.submit("bob", submit(2, 3, edit(of, "new", &[])));
    assert!(acks(&room.submit("bob", submit(2, 4, post("after", &[])))).is_empty());
    assert_eq!(acks(&room.submit("ada", submit(1, 2_000, post("y", &[])))).len(), 1);
    let answered = acks(&room.answer_reads(asked));
    let counters: Vec<u64> = answered.iter().map(|(counter, _)| *counter).collect();
    assert_eq!(counters, [3, 4]);
    assert!(answered[0].1 < answered[1].1);
}

#[test]
fn a_store_that_does_not_answer_puts_off_the_operation_and_what_follows_it() {
    let (mut room, of) = long();
    let asked = room.submit("bob", submit(2, 3, edit(of, "new", &[])));
    room.submit("bob", submit(2, 4, post("after", &[])));
    let Some(Effect::ReadHistory { reader, .. }) = asked.first().cloned() else { panic!("{asked:?}") };
    room.authority.handle_history(reader, None, room.now);
    let refused = rejections(&room.run());
    assert_eq!(refused, [(3, Code::StoreUnavailable), (4, Code::StoreUnavailable)]);
    let again = room.submit("bob", submit(2, 3, edit(of, "new", &[])));
    let again = room.answer_reads(again);
    assert_eq!(acks(&again).len(), 1);
    assert_eq!(acks(&room.submit("bob", submit(2, 4, post("after", &[])))).len(), 1);
}

#[test]
fn a_place_where_there_is_no_such_message_is_read_once_and_refused() {
    let (mut room, of) = long();
    for (counter, seq) in [(3, 2), (4, 1), (5, 0), (6, 900)] {
        let elsewhere = Posted { seq, ..of };
        let effects = room.submit("bob", submit(2, counter, react(elsewhere, "👍")));
        let effects = room.answer_reads(effects);
        assert_eq!(rejections(&effects), [(counter, Code::NoSuchMessage)]);
    }
    assert!(room.authority.fetching.is_empty());
}

#[test]
fn what_is_decided_while_a_message_is_being_read_is_not_lost_from_it() {
    let (mut room, of) = long();
    let first = room.submit("bob", submit(2, 3, edit(of, "one", &[])));
    room.answer_reads(first);
    // Another reader asks for the page before the next change, and is answered after it.
    let request = v1::HistoryRequest { request_id: 5, before_seq: 4, limit: 100, ..Default::default() };
    room.authority.history(ConnId(1), &actor("bob"), request);
    let asked = room.run();
    let Some(Effect::ReadHistory { reader, from_seq }) = asked.first().cloned() else { panic!("{asked:?}") };
    let before = room.stretch(from_seq, reader.before_seq);
    room.submit("bob", submit(2, 4, edit(of, "two", &[])));
    room.authority.handle_history(reader, Some(before), room.now);
    let effects = room.run();
    let Effect::Send { frame, .. } = &effects[0] else { panic!("{effects:?}") };
    let Some(Frame::HistoryPage(page)) = &frame.body else { panic!("{frame:?}") };
    assert_eq!(page.messages[0].text, "two");
}

#[test]
fn a_message_that_another_node_has_changed_meanwhile_is_changed_once_and_in_order() {
    let (mut room, of) = long();
    // The other node has pinned and edited it; this one has read neither entry yet.
    let counter = room.log.len() as u64;
    room.append_elsewhere("bob", 77, edit(of, "theirs", &[]));
    let mut theirs = v1::Message { id: Some(of.id), seq: of.seq, ordinal: 1, ..Default::default() };
    theirs.author = "bob".into();
    let entry = Entry::decode(room.log.last().unwrap()).unwrap();
    assert!(message::replay(&mut theirs, &entry));
    room.amended.insert(of.seq, theirs.encode_to_vec());
    let asked = room.submit("bob", submit(2, 3, react(of, "👍")));
    let answered = room.answer_reads(asked);
    assert_eq!(acks(&answered), [(3, counter + 2)]);
    let message = first_message(&mut room);
    assert_eq!((message.text.as_str(), message.reactions.len()), ("theirs", 1));
}

#[test]
fn an_edit_tells_whom_it_mentions_whether_the_message_is_held_or_not() {
    let mut room = Room::with_two();
    room.submit("ada", submit(1, 2, post("hi", &[])));
    let of = Posted { id: v1::OpId { client: 1, counter: 2 }, seq: 3 };
    let effects = room.submit("ada", submit(1, 3, edit(of, "hi bob", &["bob", "ada", "nobody"])));
    let [(to, Body::Notify(notify))] = delivered(&effects)[..] else { panic!("{effects:?}") };
    assert_eq!((to, notify.ordinal, notify.excerpt.as_str()), ("inbox:bob", 1, "hi bob"));
    assert_eq!(notify.message_id, Some(of.id));

    let (mut room, of) = long();
    let asked = room.submit("bob", submit(2, 3, edit(of, "hi ada", &["ada"])));
    let answered = room.answer_reads(asked);
    assert_eq!(delivered(&answered).len(), 1);
    // A node that does not hold the message follows the entry up all the same: whoever wrote it may have crashed.
    let entry = room.log.pop().unwrap();
    let mut other = Room::over(room.log.clone(), room.epoch);
    other.amended = room.amended.clone();
    other.log.push(entry);
    other.authority.handle_hint(other.head());
    let effects = other.run();
    assert_eq!(reads(&effects), [3]);
    let effects = other.answer_reads(effects);
    let [(to, Body::Notify(notify))] = delivered(&effects)[..] else { panic!("{effects:?}") };
    assert_eq!((to, notify.ordinal, notify.excerpt.as_str()), ("inbox:ada", 1, "hi ada"));
}

#[test]
fn history_between_two_entries_ends_at_the_older_one() {
    let (mut room, _) = long();
    let head = room.log.len() as u64;
    // Within the window.
    let whole = page(&mut room, head + 1, head - 10);
    assert_eq!((whole.messages.len(), whole.next_before_seq), (10, 0));
    // Longer than a page.
    let part = page(&mut room, head + 1, head - 150);
    assert_eq!((part.messages.len(), part.next_before_seq), (100, head - 99));
    let rest = page(&mut room, part.next_before_seq, head - 150);
    assert_eq!((rest.messages.len(), rest.next_before_seq), (50, 0));
    // From the store.
    let stored = page(&mut room, 60, 30);
    assert_eq!((stored.messages.len(), stored.next_before_seq), (29, 0));
    let part = page(&mut room, 80, 2);
    assert_eq!((part.messages[0].seq, part.next_before_seq), (3, 0));
}

#[test]
fn background_is_told_what_has_changed_of_the_last_fifty_messages_and_of_no_other() {
    let mut room = Room::with_two();
    for counter in 2..=80 {
        room.submit("ada", submit(1, counter, post("x", &[])));
    }
    room.set_tier(9, "bob", want(Tier::Background, None));
    let of = |counter| Posted { id: v1::OpId { client: 1, counter }, seq: counter + 1 };
    room.submit("ada", submit(1, 81, edit(of(3), "old", &[])));
    room.submit("ada", submit(1, 82, edit(of(70), "recent", &[])));
    room.submit("bob", submit(2, 2, react(of(70), "👍")));
    room.submit("ada", submit(1, 83, post("new", &[])));
    room.submit(
        "ada",
        submit(1, 84, edit(Posted { id: v1::OpId { client: 1, counter: 83 }, seq: 85 }, "newer", &[])),
    );
    room.now = room.now + limits::BACKGROUND_INTERVAL;
    room.authority.handle_timeout(room.now);
    let effects = room.run();
    let syncs = syncs(&effects);
    let Some(Data::StateUpdate(update)) = &syncs[0].data else { panic!("{effects:?}") };
    let changed: Vec<_> =
        update.changed.iter().map(|message| (message.ordinal, message.text.as_str())).collect();
    assert_eq!(changed, [(69, "recent")]);
    assert_eq!(update.changed[0].reactions.len(), 1);
    let recent: Vec<_> = update.recent.iter().map(|message| message.text.as_str()).collect();
    assert_eq!(recent, ["newer"]);
}
