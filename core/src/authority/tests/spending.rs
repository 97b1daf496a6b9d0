//! Budgets as the server keeps them, and what an unchanged room costs.

use prost::Message as _;

use super::*;
use crate::tier::budget::{Budget, Budgets};
use crate::traffic::Kind;

fn with_budget(tier: Tier, bandwidth: u64) -> Room {
    let mut room = Room::with_two();
    let mut budgets = Budgets::default();
    budgets.set(tier, Budget { bandwidth, ..budgets.of(tier) });
    room.authority.set_budgets(budgets, room.now);
    room
}

fn advices(effects: &[Effect]) -> Vec<&v1::Advice> {
    let advice = |effect| match effect {
        &Effect::Broadcast { tier: Tier::Active, lane: Lane::Log, ref frame } => match &frame.body {
            Some(Frame::Advice(advice)) => Some(advice),
            _ => None,
        },
        _ => None,
    };
    effects.iter().filter_map(advice).collect()
}

fn delivered_entries(effects: &[Effect]) -> usize {
    let entries = |sync: &&v1::RoomStateSync| match &sync.data {
        Some(Data::DeltaUpdate(delta)) => delta.entries.len(),
        _ => 0,
    };
    syncs(effects).iter().map(entries).sum()
}

#[test]
fn a_room_with_more_log_than_its_budget_is_advised_to_background_and_no_entry_is_dropped() {
    let mut room = with_budget(Tier::Active, 1_000);
    room.set_tier(1, "ada", want(Tier::Active, None));
    let text = "x".repeat(900);
    let (mut entries, mut advised) = (0, 0);
    // 900 bytes a second and what is around them: within the mean only at first.
    for second in 0..60 {
        room.now = Millis(1_000 * second);
        for post_of_second in 0..2 {
            let counter = 2 + 2 * second + post_of_second;
            let effects = room.submit("ada", submit(1, counter, post(&text, &[])));
            entries += delivered_entries(&effects);
            for advice in advices(&effects) {
                advised += 1;
                assert_eq!(advice.code, Code::OverBudget.number());
                assert!(!advice.reason.is_empty());
                let to = advice.room.as_ref().unwrap();
                assert_eq!((to.room_id.as_str(), to.tier()), ("lobby", v1::Tier::Background));
            }
        }
    }
    assert_eq!(entries, 120);
    // A window of ten seconds at twice the rate lasts about ten seconds, and so on.
    assert!((3..=6).contains(&advised), "{advised}");
    let traffic = room.authority.traffic();
    assert_eq!((traffic.of(Kind::DeltaUpdate).frames, traffic.dropped), (120, 0));
    assert!(traffic.of(Kind::DeltaUpdate).bytes > 120 * 900);
}

#[test]
fn a_room_within_its_budget_is_left_alone() {
    let mut room = with_budget(Tier::Active, 1_000);
    room.set_tier(1, "ada", want(Tier::Active, None));
    for second in 0..60 {
        room.now = Millis(1_000 * second);
        let effects = room.submit("ada", submit(1, 2 + second, post(&"x".repeat(600), &[])));
        assert!(advices(&effects).is_empty());
    }
    let standing = room.authority.budget(Tier::Active);
    assert_eq!((standing.receivers, standing.is_over, standing.budget.bandwidth), (1, false, 1_000));
}

#[test]
fn background_receivers_are_sent_two_kilobytes_a_second_at_most_and_in_the_end_everything_that_is_new() {
    let mut room = Room::with_two();
    room.set_tier(2, "bob", want(Tier::Background, None));
    let mut sent: Vec<(u64, usize, u64)> = Vec::new();
    let note = |room: &Room, effects: &[Effect], sent: &mut Vec<(u64, usize, u64)>| {
        for sync in syncs(effects) {
            if let (Some(Data::StateUpdate(update)), None) = (&sync.data, sync.tier) {
                let last = update.recent.last().map_or(0, |last| last.ordinal);
                sent.push((room.now.0, sync.encoded_len(), last));
            }
        }
    };
    let wait = |room: &mut Room, until: u64, sent: &mut Vec<(u64, usize, u64)>| {
        while let Some((due, _)) = room.authority.next_deadline().filter(|(due, _)| due.0 <= until) {
            room.now = room.now.max(due);
            room.authority.handle_timeout(room.now);
            let effects = room.run();
            note(room, &effects, sent);
        }
        room.now = Millis(until);
    };
    // Thirty messages of a kilobyte each second, for a minute.
    for step in 0..1_800_u64 {
        let effects = room.submit("ada", submit(1, 2 + step, post(&"x".repeat(1_000), &[])));
        note(&room, &effects, &mut sent);
        let until = room.now.0 + 33;
        wait(&mut room, until, &mut sent);
    }
    let over_a_minute: usize = sent.iter().map(|(_, bytes, _)| bytes).sum();
    // The mean, one bucket of ten seconds, and the last one that went into debt.
    assert!(over_a_minute <= 60 * 2_048 + 10 * 2_048 + 60_000, "{over_a_minute}");
    assert!(sent.windows(2).all(|pair| pair[1].0 - pair[0].0 >= 999), "at most one a second");
    let until = room.now.0 + 60_000;
    wait(&mut room, until, &mut sent);
    assert_eq!(sent.last().unwrap().2, 1_800);
    assert!(room.authority.traffic().coalesced > 100);
}

#[test]
fn signals_are_dropped_before_the_log_has_to_wait_and_what_ends_a_note_is_not() {
    let mut room = with_budget(Tier::Active, 200);
    room.set_tier(1, "ada", want(Tier::Active, None));
    let signal = |class: v1::SignalClass| v1::Signal {
        room_id: "lobby".into(),
        kind: "midi".into(),
        key: "60".into(),
        payload: vec![0; 100],
        class: class.into(),
        at: 0,
    };
    let mut played = 0;
    for _ in 0..100 {
        room.authority.signal(ConnId(1), &actor("ada"), 1, signal(v1::SignalClass::Timed), room.now);
        played += room.run().len();
    }
    assert!((1..15).contains(&played), "{played}");
    assert_eq!(room.authority.traffic().dropped, 100 - played as u64);
    room.authority.signal(ConnId(1), &actor("ada"), 1, signal(v1::SignalClass::Release), room.now);
    assert_eq!(room.run().len(), 1);
}

#[test]
fn a_cached_room_learns_in_under_a_hundred_bytes_that_nothing_has_changed() {
    let mut room = Room::with_two();
    for counter in 2..200 {
        room.submit("ada", submit(1, counter, post("some message", &[])));
    }
    let head = room.authority.state().position();
    let digest = Some(room.authority.state().digest().value());
    let ask = v1::SetTier { digest, ..want(Tier::Cached, Some(head)) };
    let row = v1::ClientFrame { body: Some(v1::client_frame::Body::SetTier(ask.clone())) }.encoded_len();
    let effects = room.set_tier(1, "ada", ask.clone());
    let [Effect::Send { frame, .. }] = &effects[..] else { panic!("{effects:?}") };
    let Some(Frame::RoomStateSync(sync)) = &frame.body else { panic!() };
    assert_eq!((sync.sequence_number, sync.epoch), (head.seq, head.epoch));
    let Some(Data::Heartbeat(heartbeat)) = &sync.data else { panic!() };
    assert_eq!((heartbeat.messages, heartbeat.state_digest), (198, None));
    let bytes = row + frame.encoded_len();
    assert!(bytes < 100, "{bytes}");
    // Opened unchanged, it is an empty delta.
    let effects = room.set_tier(1, "ada", v1::SetTier { digest, ..want(Tier::Active, Some(head)) });
    let Some(Data::DeltaUpdate(delta)) = &syncs(&effects)[0].data else { panic!() };
    assert!(delta.entries.is_empty());
    assert!(syncs(&effects).iter().all(|sync| !matches!(sync.data, Some(Data::BulkSync(_)))));
}

#[test]
fn a_client_with_another_state_at_the_same_position_is_told_and_gets_the_whole_state() {
    let mut room = Room::with_two();
    let head = room.authority.state().position();
    let wrong = |tier| v1::SetTier { digest: Some(1), ..want(tier, Some(head)) };
    let effects = room.set_tier(1, "ada", wrong(Tier::Cached));
    let Some(Data::Heartbeat(heartbeat)) = &syncs(&effects)[0].data else { panic!() };
    assert_eq!(heartbeat.state_digest, Some(room.authority.state().digest().value()));
    let effects = room.set_tier(1, "ada", wrong(Tier::Active));
    let Some(Data::BulkSync(bulk)) = &syncs(&effects)[0].data else { panic!() };
    assert_eq!(bulk.reason, Code::DigestMismatch.number());
    // And one that has found it by itself says so.
    let reason = Code::DigestMismatch.number();
    room.set_tier(1, "ada", v1::SetTier { reason, ..want(Tier::Active, None) });
    assert_eq!(room.authority.traffic().mismatches, 3);
}

#[test]
fn the_rules_of_the_fold_rise_by_an_entry_of_the_servers_and_no_further_than_it_knows() {
    let mut room = Room::with_two();
    let raise = |version| Body::RaiseFoldVersion(v1::RaiseFoldVersion { version });
    assert_eq!(rejections(&room.submit("ada", submit(1, 2, raise(1)))), [(2, Code::Forbidden)]);
    assert_eq!(rejections(&room.submit("ada", submit(1, 3, raise(99)))), [(3, Code::InvalidRequest)]);
    assert_eq!(room.authority.state().fold_version(), 1);
}
