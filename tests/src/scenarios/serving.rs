//! A server's room: what it answers, in which order, and on which lane.

use enfilade_core::authority::{ConnId, Effect, Lane};
use enfilade_core::op::post;
use enfilade_core::v1::room_state_sync::Data;
use enfilade_core::v1::server_frame::Body as Frame;
use enfilade_core::{Position, Tier, limits, v1};
use prost::Message as _;

use super::stage::Desk;

fn data(frame: &Frame) -> Option<&Data> {
    match frame {
        Frame::RoomStateSync(sync) => sync.data.as_ref(),
        _ => None,
    }
}

pub(super) fn who_is_far_behind_gets_the_state_and_not_the_whole_log() {
    let mut desk = Desk::new("lobby");
    (0..1_000).for_each(|number| desk.submit(1, "ada", post(format!("message {number}"))));
    let base = Position { seq: 2, ..desk.authority.state().position() };
    desk.done.clear();
    desk.set_tier(2, "bob", Tier::Active, Some(base));
    let sizes: Vec<usize> =
        desk.frames().map(|(_, frame)| v1::ServerFrame { body: Some(frame.clone()) }.encoded_len()).collect();
    assert!(sizes.iter().all(|size| *size <= limits::FRAME_BYTES), "{sizes:?}");
    let entries = desk.frames().filter_map(|(_, frame)| match data(frame) {
        Some(Data::DeltaUpdate(update)) => Some(update.entries.len()),
        _ => None,
    });
    assert!(entries.sum::<usize>() <= limits::DELTA_ENTRIES, "a thousand entries are not read and sent");
    assert!(desk.frames().any(|(_, frame)| matches!(data(frame), Some(Data::BulkSync(_)))));
    // Somebody who is little behind gets what is missing.
    desk.done.clear();
    let base = Position { seq: 990, ..base };
    desk.set_tier(3, "cyd", Tier::Active, Some(base));
    assert!(desk.frames().any(|(_, frame)| matches!(data(frame), Some(Data::DeltaUpdate(_)))));
}

pub(super) fn who_opens_a_room_gets_the_answer_first_and_then_each_entry_once() {
    let mut desk = Desk::new("lobby");
    desk.submit(1, "ada", post("before"));
    desk.is_slow = true;
    desk.submit(1, "ada", post("while it is opened"));
    desk.done.clear();
    desk.set_tier(2, "bob", Tier::Active, None);
    desk.appended();
    let mut held: Option<u64> = None;
    let mut is_subscribed = false;
    for effect in &desk.done {
        match effect {
            Effect::Subscribe { conn: ConnId(2), tier: Some(Tier::Active) } => {
                assert!(held.is_some(), "nobody receives a room before they hold it");
                is_subscribed = true;
            }
            Effect::Send { conn: ConnId(2), frame, .. } => {
                if let Some(Frame::RoomStateSync(sync)) = &frame.body
                    && let Some(Data::BulkSync(_)) = &sync.data
                {
                    assert_eq!(held, None, "one answer");
                    held = Some(sync.sequence_number);
                }
            }
            Effect::Broadcast { tier: Tier::Active, frame, .. } if is_subscribed => {
                if let Some(Frame::RoomStateSync(sync)) = &frame.body
                    && let Some(Data::DeltaUpdate(update)) = &sync.data
                {
                    for entry in &update.entries {
                        assert_eq!(Some(entry.seq), held.map(|held| held + 1), "in order, once each");
                        held = Some(entry.seq);
                    }
                }
            }
            _ => {}
        }
    }
    assert_eq!(held, Some(3));
}

pub(super) fn each_frame_travels_on_the_lane_that_says_whether_it_may_be_dropped() {
    let mut desk = Desk::new("lobby");
    desk.set_tier(1, "ada", Tier::Active, None);
    desk.submit(1, "ada", post("hello"));
    desk.wait(60_000);
    let mut seen = [0; 3];
    for (lane, frame) in desk.frames() {
        match frame {
            Frame::Ack(_) | Frame::Rejection(_) | Frame::Error(_) => {
                assert_eq!(lane, Lane::Control, "an answer is never dropped");
                seen[0] += 1;
            }
            Frame::RoomStateSync(sync) if sync.tier.is_none() => match &sync.data {
                Some(Data::DeltaUpdate(_)) => {
                    assert_eq!(lane, Lane::Log, "an entry is never dropped");
                    seen[1] += 1;
                }
                Some(Data::Heartbeat(_)) => {
                    assert_eq!(lane, Lane::State, "a heartbeat makes room for the next");
                    seen[2] += 1;
                }
                _ => {}
            },
            _ => {}
        }
    }
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
}

pub(super) fn an_entry_of_which_no_server_was_told_is_found_all_the_same() {
    let mut desk = Desk::new("lobby");
    desk.set_tier(1, "ada", Tier::Active, None);
    desk.done.clear();
    desk.append_elsewhere(post("from another server"));
    // The hint is lost, and the room is quiet.
    desk.wait(60_000);
    let is_told = desk.frames().any(|(_, frame)| match data(frame) {
        Some(Data::DeltaUpdate(update)) => update.entries.iter().any(|entry| entry.seq == 2),
        _ => false,
    });
    assert!(is_told, "the log is asked now and then whether it has grown");
}
