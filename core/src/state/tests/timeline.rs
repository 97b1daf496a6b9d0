//! Messages after they were posted, pins, and history with its holes.

use super::*;
use crate::state::timeline::Merged;

fn op_id(entry: &Entry) -> Option<v1::OpId> {
    Some(entry.op_id.wire())
}

fn edit(of: &Entry, text: &str) -> Body {
    Body::EditMessage(v1::EditMessage {
        message_id: op_id(of),
        message_seq: of.seq,
        text: text.into(),
        mentions: Vec::new(),
    })
}

fn delete(of: &Entry) -> Body {
    Body::DeleteMessage(v1::DeleteMessage { message_id: op_id(of), message_seq: of.seq })
}

fn react(of: &Entry, reaction: &str) -> Body {
    let reaction = reaction.into();
    Body::React(v1::React { message_id: op_id(of), message_seq: of.seq, reaction, removed: false })
}

fn pin(of: &Entry, removed: bool) -> Body {
    Body::Pin(v1::Pin { message_id: op_id(of), message_seq: of.seq, removed })
}

/// The changes of the last entry.
fn last_changes(log: &Log) -> Vec<Change> {
    let (last, before) = log.entries.split_last().unwrap();
    fold(log.room, before).apply(last).unwrap()
}

fn pinned(state: &RoomState) -> Vec<u64> {
    state.timeline().pins().iter().map(|pin| pin.seq).collect()
}

fn ordinals(state: &RoomState) -> Vec<u64> {
    state.timeline().iter().map(|message| message.ordinal).collect()
}

/// A lobby with this many messages more, all by ada, and the entries that made them.
fn busy(count: usize) -> (Log, Vec<Entry>) {
    let mut log = lobby();
    let posts = (0..count).map(|number| log.add("ada", post(&number.to_string()))).collect();
    (log, posts)
}

#[test]
fn an_edit_replaces_text_and_mentions_and_says_when() {
    let (mut log, posts) = busy(2);
    let edited = log.add("ada", edit(&posts[0], "better"));
    assert_eq!(last_changes(&log), [Change::MessageChanged(3)]);
    let state = log.fold();
    let message = state.timeline().get(3).unwrap();
    assert_eq!((message.text.as_str(), message.edited_at), ("better", edited.at.0));
    assert_eq!(message.changed_seq, edited.seq);
    assert_eq!(state.timeline().get(4).unwrap().edited_at, 0);
}

#[test]
fn a_deleted_message_leaves_its_place_and_ordinals_go_on_without_a_gap() {
    let (mut log, posts) = busy(2);
    log.add("bob", react(&posts[0], "👍"));
    log.add("ada", pin(&posts[0], false));
    log.add("ada", delete(&posts[0]));
    assert_eq!(last_changes(&log), [Change::Pins, Change::MessageChanged(3)]);
    log.add("ada", edit(&posts[0], "again"));
    assert_eq!(last_changes(&log), []);
    log.add("ada", post("next"));
    let state = log.fold();
    let message = state.timeline().get(3).unwrap();
    assert!(message.deleted && message.text.is_empty() && message.reactions.is_empty() && !message.pinned);
    assert_eq!((message.author.as_str(), state.timeline().head()), ("ada", 5));
    assert_eq!(ordinals(&state), [1, 2, 3, 4, 5]);
    assert!(pinned(&state).is_empty());
}

#[test]
fn pins_are_kept_with_what_becomes_of_them_when_they_have_left_the_window() {
    let (mut log, posts) = busy(3);
    log.add("ada", pin(&posts[1], false));
    assert_eq!(last_changes(&log), [Change::Pins, Change::MessageChanged(4), Change::Pins]);
    log.add("ada", pin(&posts[1], false));
    assert_eq!(last_changes(&log), [], "it is pinned already");
    (0..limits::ACTIVE_MESSAGES).for_each(|_| drop(log.add("ada", post("x"))));
    log.add("ada", edit(&posts[1], "rules"));
    assert_eq!(last_changes(&log), [Change::Pins]);
    let state = log.fold();
    assert!(state.timeline().get(4).is_none());
    assert_eq!(state.timeline().pins()[0].text, "rules");
    assert_eq!(state.timeline().find(posts[1].op_id).unwrap().ordinal, 4);
    let before = log.fold().digest().registers;
    log.add("ada", pin(&posts[1], true));
    assert_eq!(last_changes(&log), [Change::Pins]);
    assert_ne!(log.fold().digest().registers, before);
    assert!(pinned(&log.fold()).is_empty());
}

#[test]
fn replicas_with_windows_of_different_length_agree_on_the_digest_whatever_is_changed() {
    let (mut log, posts) = busy(20);
    let snapshot = log.fold().snapshot(SnapshotFor::Client { messages: 5 });
    let mut short = RoomState::restore(id("lobby"), snapshot, false).unwrap();
    let from = log.entries.len();
    log.add("ada", edit(&posts[0], "better"));
    log.add("bob", react(&posts[1], "👍"));
    log.add("ada", pin(&posts[2], false));
    log.add("ada", pin(&posts[19], false));
    log.add("ada", delete(&posts[3]));
    for entry in &log.entries[from..] {
        short.apply(entry).unwrap();
    }
    let whole = log.fold();
    assert_eq!(short.digest(), whole.digest());
    assert_eq!(pinned(&short), pinned(&whole));
    // Of what it never held, a replica knows that it is pinned, and shows it when history brings it.
    assert_eq!((short.timeline().pins()[0].ordinal, whole.timeline().pins()[0].ordinal), (0, 5));
    let page: Vec<v1::Message> = whole.timeline().iter().map(|message| (**message).clone()).collect();
    assert_eq!(short.timeline_mut().merge(&page, true), Merged { before: 17, within: false });
    assert!(short.timeline().iter().eq(whole.timeline().iter()));
    assert_eq!(short.timeline().pins(), whole.timeline().pins());
    assert_eq!(short.digest(), whole.digest());
}

#[test]
fn a_snapshot_restores_changed_messages_and_pins_to_the_same_digest() {
    let (mut log, posts) = busy(3);
    log.add("bob", react(&posts[0], "👍"));
    log.add("ada", pin(&posts[0], false));
    log.add("ada", delete(&posts[2]));
    let state = log.fold();
    let restored = RoomState::restore(id("lobby"), state.snapshot(SnapshotFor::Store), true).unwrap();
    assert_eq!(restored.digest(), state.digest());
    assert_eq!(restored.timeline().pins(), state.timeline().pins());
    assert!(restored.timeline().iter().eq(state.timeline().iter()));
    let few = state.snapshot(SnapshotFor::Client { messages: 1 });
    let restored = RoomState::restore(id("lobby"), few, false).unwrap();
    assert_eq!((restored.digest(), restored.timeline().pins()[0].text.as_str()), (state.digest(), "0"));
}

#[test]
fn pins_have_a_bound_and_a_snapshot_beyond_it_is_refused() {
    let (mut log, posts) = busy(limits::PINS + 1);
    posts.iter().for_each(|post| drop(log.add("ada", pin(post, false))));
    assert_eq!(last_changes(&log), []);
    let state = log.fold();
    assert_eq!(state.timeline().pins().len(), limits::PINS);
    let mut snapshot = state.snapshot(SnapshotFor::Store);
    snapshot.pins.push(v1::Message::default());
    assert!(RoomState::restore(id("lobby"), snapshot, true).is_err());
}

#[test]
fn what_history_brings_changed_is_not_changed_back_by_entries_from_before() {
    let (mut log, posts) = busy(20);
    let snapshot = log.fold().snapshot(SnapshotFor::Client { messages: 5 });
    let mut behind = RoomState::restore(id("lobby"), snapshot, false).unwrap();
    let first = log.add("ada", edit(&posts[0], "one"));
    let second = log.add("ada", edit(&posts[0], "two"));
    let ahead = log.fold();
    let page = [v1::Message::clone(ahead.timeline().get(3).unwrap())];
    behind.timeline_mut().merge(&page, true);
    assert_eq!(behind.apply(&first).unwrap(), []);
    assert_eq!(behind.timeline().get(3).unwrap().text, "two");
    behind.apply(&second).unwrap();
    assert_eq!((behind.timeline().get(3), behind.digest()), (ahead.timeline().get(3), ahead.digest()));
}

#[test]
fn history_fills_holes_from_either_side_and_leaves_out_what_the_log_has_not_brought() {
    let (log, _) = busy(20);
    let whole: Vec<v1::Message> = log.fold().timeline().iter().map(|message| (**message).clone()).collect();
    let snapshot = log.fold().snapshot(SnapshotFor::Client { messages: 5 });
    let mut state = RoomState::restore(id("lobby"), snapshot, false).unwrap();
    assert_eq!(state.timeline().tail(), 0);
    let timeline = state.timeline_mut();
    assert_eq!(timeline.merge(&whole[..3], true), Merged { before: 3, within: false });
    assert_eq!((timeline.tail(), timeline.len()), (3, 8));
    assert_eq!(timeline.merge(&whole[10..19], false), Merged { before: 0, within: true });
    assert_eq!((timeline.tail(), timeline.len()), (3, 15));
    assert_eq!(timeline.merge(&whole[3..10], false), Merged { before: 0, within: true });
    assert_eq!(timeline.merge(&whole, false), Merged::default());
    let beyond = [v1::Message { ordinal: 23, ..Default::default() }, v1::Message::default()];
    assert_eq!(timeline.merge(&beyond, false), Merged::default());
    assert_eq!((timeline.tail(), ordinals(&state)), (0, (1..=22).collect::<Vec<_>>()));
    assert_eq!(state.digest(), log.fold().digest());
}

#[test]
fn a_full_window_slides_to_where_it_is_looked_at_and_keeps_the_newest() {
    let (mut log, _) = busy(limits::ACTIVE_MESSAGES);
    let message = |ordinal| v1::Message {
        ordinal,
        id: Some(v1::OpId { client: 9, counter: ordinal }),
        ..Default::default()
    };
    log.add("ada", post("y"));
    log.add("ada", post("y"));
    let mut state = log.fold();
    let (first, head) = (state.timeline().first_ordinal().unwrap(), state.timeline().head());
    assert_eq!((first, head), (5, 1_004));
    assert!(state.timeline_mut().merge(&[message(3), message(4)], true).within);
    let mut expected: Vec<u64> = (3..=902).collect();
    expected.extend(905..=1_004);
    assert_eq!(ordinals(&state), expected);
    assert_eq!(state.timeline().tail(), 900);
    // What is new goes on at the end; what gives way is between.
    let mut slides = 0;
    for _ in 0..20 {
        let entry = log.add("ada", post("z"));
        slides += usize::from(state.apply(&entry).unwrap().contains(&Change::Slid));
    }
    assert_eq!((slides, state.timeline().first_ordinal()), (1, Some(3)));
    assert!(state.timeline().len() <= limits::ACTIVE_MESSAGES);
    // Back to the newest: the window slides the other way, and the oldest go.
    let newer: Vec<v1::Message> = (903..=974).map(message).collect();
    state.timeline_mut().merge(&newer, false);
    assert!(state.timeline().first_ordinal() > Some(3));
    assert_eq!((state.timeline().tail(), state.timeline().len()), (0, limits::ACTIVE_MESSAGES));
    assert!(state.timeline().by_id(OpId { client: ClientId(9), counter: 3 }).is_none());
    assert_eq!(state.digest(), log.fold().digest());
}

#[test]
fn a_snapshot_of_a_window_with_holes_holds_the_newest_stretch() {
    let (log, _) = busy(20);
    let whole = log.fold();
    let snapshot = whole.snapshot(SnapshotFor::Client { messages: 5 });
    let mut state = RoomState::restore(id("lobby"), snapshot, false).unwrap();
    let oldest = v1::Message::clone(whole.timeline().get(1).unwrap());
    state.timeline_mut().merge(&[oldest], true);
    let again = RoomState::restore(id("lobby"), state.snapshot(SnapshotFor::Client { messages: 100 }), false);
    assert_eq!(ordinals(&again.unwrap()), (18..=22).collect::<Vec<_>>());
}

proptest! {
    #[test]
    fn where_the_newest_stretch_begins_is_found_in_any_window(steps in prop::collection::vec(1..4_u64, 1..60)) {
        let (log, _) = busy(200);
        let snapshot = v1::RoomSnapshot { timeline: Vec::new(), ..log.fold().snapshot(SnapshotFor::Store) };
        let mut state = RoomState::restore(id("lobby"), snapshot, false).unwrap();
        let mut ordinal = 0;
        let message = |step: &u64| {
            ordinal += step;
            v1::Message { ordinal, ..Default::default() }
        };
        let page: Vec<v1::Message> = steps.iter().map(message).collect();
        state.timeline_mut().merge(&page, true);
        let last_jump = steps.iter().skip(1).rposition(|step| *step > 1).map_or(0, |place| place + 1);
        prop_assert_eq!(state.timeline().tail(), last_jump);
    }
}
