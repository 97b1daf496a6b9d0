mod friends;
mod past;
mod room;
mod signals;
mod spending;
mod timeline;

use alloc::string::String;
use alloc::vec;

use super::*;
use crate::UserId;
use crate::op;
use crate::v1::room_state_sync::Data;
use crate::v1::server_frame::Body as Frame;
use room::*;

#[test]
fn operations_on_a_room_that_does_not_exist_leave_nothing_behind() {
    let mut room = Room::new();
    assert_eq!(rejections(&room.submit("ada", submit(1, 1, post("x", &[])))), [(1, Code::UnknownRoom)]);
    assert_eq!(errors(&room.set_tier(1, "ada", want(Tier::Active, None))), [Code::UnknownRoom]);
    assert_eq!((room.epoch, room.log.len()), (0, 0));
    assert!(room.authority.is_idle());
}

#[test]
fn a_room_that_is_warmed_up_is_sent_whole_and_its_visitor_is_seen_by_nobody() {
    let mut room = Room::with_two();
    room.set_tier(1, "ada", want(Tier::Active, None));
    let warm = v1::SetTier { warm_up: true, ..want(Tier::Cached, None) };
    let effects = room.set_tier(2, "bob", warm);
    let is_whole = |frame: &Frame| {
        matches!(frame, Frame::RoomStateSync(v1::RoomStateSync { data: Some(Data::BulkSync(_)), tier: Some(tier), .. })
            if *tier == v1::Tier::Cached as i32)
    };
    let sent: Vec<&Frame> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Send { frame, .. } => frame.body.as_ref(),
            _ => None,
        })
        .collect();
    assert!(sent.len() == 1 && is_whole(sent[0]), "{sent:?}");
    // Nobody is told of anything, and nobody is let in.
    assert_eq!(effects.len(), 1);
}

#[test]
fn what_waits_while_the_store_works_becomes_one_batch() {
    let mut room = Room::with_two();
    let (ada, now) = (actor("ada"), room.now);
    for counter in 2..=9 {
        room.authority.submit(ConnId(1), &ada, submit(1, counter, post("x", &[])), now);
    }
    let Some(Effect::Append { batch, .. }) = room.authority.poll_effect() else { panic!() };
    assert_eq!(batch.len(), 1);
    assert_eq!(room.authority.poll_effect(), None);
    room.log.extend(batch);
    room.authority.handle_appended(Appended::Done, now);
    let sizes: Vec<usize> = core::iter::from_fn(|| room.authority.poll_effect())
        .filter_map(|effect| match effect {
            Effect::Append { batch, .. } => Some(batch.len()),
            _ => None,
        })
        .collect();
    assert_eq!(sizes, [7]);
}

#[test]
fn after_a_burst_the_next_one_is_gathered_before_it_is_appended() {
    let mut room = Room::with_two();
    let ada = actor("ada");
    let send = |room: &mut Room, first: u64, count: u64| -> Vec<usize> {
        let now = room.now;
        (first..first + count).for_each(|counter| {
            room.authority.submit(ConnId(1), &ada, submit(1, counter, post("x", &[])), now);
        });
        let mut sizes = Vec::new();
        while let Some(effect) = room.authority.poll_effect() {
            if let Effect::Append { batch, .. } = effect {
                sizes.push(batch.len());
                room.log.extend(batch);
                room.authority.handle_appended(Appended::Done, now);
            }
        }
        sizes
    };
    // The first burst is not foreseen; the second is.
    assert_eq!(send(&mut room, 2, 8), [1, 7]);
    assert!(send(&mut room, 10, 8).is_empty());
    assert_eq!(room.authority.next_deadline(), Some((room.now + limits::GATHER, Timer::Gather)));
    room.now = room.now + limits::GATHER;
    room.authority.handle_timeout(room.now);
    assert_eq!(send(&mut room, 18, 0), [8]);
    // What comes alone afterwards waits once more, and then not at all.
    assert!(send(&mut room, 18, 1).is_empty());
    room.now = room.now + limits::GATHER;
    room.authority.handle_timeout(room.now);
    assert_eq!(send(&mut room, 19, 0), [1]);
    assert_eq!(send(&mut room, 19, 1), [1]);
}

#[test]
fn a_repeated_operation_is_acknowledged_at_its_first_place() {
    let mut room = Room::with_two();
    let first = room.submit("ada", submit(1, 2, post("hello", &[])));
    let again = room.submit("ada", submit(1, 2, post("hello", &[])));
    assert_eq!((acks(&first), acks(&again)), (vec![(2, 3)], vec![(2, 3)]));
    assert_eq!(room.log.len(), 3);
}

#[test]
fn an_operation_id_can_not_be_used_for_another_body_or_by_another_user() {
    let mut room = Room::with_two();
    room.submit("ada", submit(1, 2, post("hello", &[])));
    assert_eq!(rejections(&room.submit("ada", submit(1, 2, post("bye", &[])))), [(2, Code::OpIdReused)]);
    assert_eq!(rejections(&room.submit("bob", submit(1, 3, post("me", &[])))), [(3, Code::ClientIdTaken)]);
    assert_eq!(room.log.len(), 3);
}

#[test]
fn an_operation_that_a_later_one_has_overtaken_is_refused_for_good() {
    let mut room = Room::with_two();
    room.submit("ada", submit(1, 5, post("later", &[])));
    assert_eq!(
        rejections(&room.submit("ada", submit(1, 4, post("earlier", &[])))),
        [(4, Code::OpSuperseded)]
    );
}

#[test]
fn what_follows_an_operation_that_was_put_off_waits_with_it() {
    let mut room = Room::with_two();
    let slow =
        v1::SetConfig { slow_mode_enabled: Some(true), slow_mode_duration: Some(30), ..Default::default() };
    room.submit("ada", submit(1, 2, Body::SetConfig(slow)));
    room.now = Millis(1_000);
    assert_eq!(acks(&room.submit("bob", submit(2, 2, post("one", &[])))), [(2, 4)]);
    assert_eq!(rejections(&room.submit("bob", submit(2, 3, post("two", &[])))), [(3, Code::SlowMode)]);
    // Leaving would be allowed by itself, but it was asked for after the message.
    assert_eq!(
        rejections(&room.submit("bob", submit(2, 4, Body::Leave(v1::Leave {})))),
        [(4, Code::SlowMode)]
    );
    room.now = Millis(31_000);
    assert_eq!(acks(&room.submit("bob", submit(2, 3, post("two", &[])))), [(3, 5)]);
    assert_eq!(acks(&room.submit("bob", submit(2, 4, Body::Leave(v1::Leave {})))), [(4, 6)]);
}

#[test]
fn a_lost_race_folds_what_is_missing_and_decides_anew() {
    let mut room = Room::with_two();
    room.set_tier(9, "bob", want(Tier::Active, None));
    room.append_elsewhere("cleo", 3, join());
    room.append_elsewhere("cleo", 3, Body::Leave(v1::Leave {}));
    let effects = room.submit("ada", submit(1, 2, post("hello", &[])));
    assert_eq!(acks(&effects), [(2, 5)]);
    let told: Vec<u64> = syncs(&effects)
        .iter()
        .filter_map(|sync| match &sync.data {
            Some(Data::DeltaUpdate(delta)) => Some(delta.entries.iter().map(|entry| entry.seq)),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(told, [3, 4, 5]);
}

#[test]
fn after_a_failed_append_the_log_is_read_before_anything_else() {
    let mut room = Room::with_two();
    let (ada, now) = (actor("ada"), room.now);
    room.authority.submit(ConnId(1), &ada, submit(1, 2, post("hello", &[])), now);
    let Some(Effect::Append { batch, .. }) = room.authority.poll_effect() else { panic!() };
    // The store has it, but the answer was lost.
    room.log.extend(batch);
    room.authority.handle_appended(Appended::Failed, now);
    assert_eq!(rejections(&room.run()), [(2, Code::StoreUnavailable)]);
    assert_eq!(
        rejections(&room.submit("ada", submit(1, 2, post("hello", &[])))),
        [(2, Code::StoreUnavailable)]
    );
    let (at, timer) = room.authority.next_deadline().unwrap();
    assert_eq!(timer, Timer::Recovery);
    room.now = at;
    room.authority.handle_timeout(at);
    room.run();
    assert_eq!(acks(&room.submit("ada", submit(1, 2, post("hello", &[])))), [(2, 3)]);
    assert_eq!(room.log.len(), 3);
}

#[test]
fn an_append_that_the_host_refuses_is_put_off_with_the_hosts_reason_and_order_holds() {
    let mut room = Room::with_two();
    let (ada, now) = (actor("ada"), room.now);
    room.authority.submit(ConnId(1), &ada, submit(1, 2, post("one", &[])), now);
    let Some(Effect::Append { .. }) = room.authority.poll_effect() else { panic!() };
    room.authority.submit(ConnId(1), &ada, submit(1, 3, post("two", &[])), now);
    room.authority.handle_appended(Appended::Refused(Code::OutboxFull), now);
    assert_eq!(rejections(&room.run()), [(2, Code::OutboxFull), (3, Code::OutboxFull)]);
    assert_eq!(rejections(&room.submit("ada", submit(1, 3, post("two", &[])))), [(3, Code::OutboxFull)]);
    let (at, _) = room.authority.next_deadline().unwrap();
    room.now = at;
    room.authority.handle_timeout(at);
    room.run();
    assert_eq!(rejections(&room.submit("ada", submit(1, 3, post("two", &[])))), [(3, Code::OutboxFull)]);
    assert_eq!(acks(&room.submit("ada", submit(1, 2, post("one", &[])))), [(2, 3)]);
    assert_eq!(acks(&room.submit("ada", submit(1, 3, post("two", &[])))), [(3, 4)]);
}

#[test]
fn what_is_in_the_log_is_acknowledged_even_while_the_store_does_not_answer() {
    let mut room = Room::with_two();
    room.submit("ada", submit(1, 2, post("hello", &[])));
    let (ada, now) = (actor("ada"), room.now);
    room.authority.submit(ConnId(1), &ada, submit(1, 3, post("lost", &[])), now);
    assert!(matches!(room.authority.poll_effect(), Some(Effect::Append { .. })));
    room.authority.handle_appended(Appended::Failed, now);
    room.run();
    // Ada comes back on another connection, and repeats what was not acknowledged there.
    room.authority.submit(ConnId(9), &ada, submit(1, 2, post("hello", &[])), now);
    assert_eq!(acks(&room.run()), [(2, 3)]);
}

#[test]
fn opening_a_room_is_a_recovery_from_the_position_held() {
    let mut room = Room::with_two();
    for counter in 2..=6 {
        room.submit("ada", submit(1, counter, post("x", &[])));
    }
    let at = |seq| Some(Position { epoch: room.epoch, seq });
    let cases = [(at(7), vec![]), (at(4), vec![5, 6, 7]), (at(1), vec![2, 3, 4, 5, 6, 7])];
    for (base, expected) in cases {
        let effects = room.set_tier(9, "bob", want(Tier::Active, base));
        let sync = syncs(&effects)[0];
        assert_eq!((sync.room_id.as_str(), sync.alias, sync.sequence_number), ("lobby", 7, 7));
        let Some(Data::DeltaUpdate(delta)) = &sync.data else { panic!("{base:?}: {sync:?}") };
        assert_eq!(delta.entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_position_of_another_epoch_or_from_the_future_is_named_and_replaced() {
    let mut room = Room::with_two();
    let other = Some(Position { epoch: room.epoch ^ 1, seq: 1 });
    let ahead = Some(Position { epoch: room.epoch, seq: 99 });
    for (base, code) in [(other, Code::EpochChanged), (ahead, Code::PositionAhead)] {
        let effects = room.set_tier(9, "bob", want(Tier::Active, base));
        assert_eq!(errors(&effects), [code]);
        let Some(Data::BulkSync(bulk)) = &syncs(&effects)[0].data else { panic!() };
        assert_eq!((bulk.reason, bulk.part, bulk.parts), (code.number(), 0, 1));
    }
}

#[test]
fn a_large_room_travels_in_parts_that_fit_into_frames() {
    let mut room = Room::with_two();
    for counter in 2..=60 {
        room.submit("ada", submit(1, counter, post(&"x".repeat(3_900), &[])));
    }
    let effects = room.set_tier(9, "bob", want(Tier::Active, None));
    let mut messages = 0;
    let parts: Vec<_> = syncs(&effects)
        .into_iter()
        .filter_map(|sync| match &sync.data {
            Some(Data::BulkSync(bulk)) => {
                assert!(prost::Message::encoded_len(sync) <= limits::FRAME_BYTES);
                messages += bulk.snapshot.as_ref().unwrap().timeline.len();
                Some((bulk.part, bulk.parts))
            }
            _ => None,
        })
        .collect();
    assert_eq!((parts, messages), (vec![(0, 4), (1, 4), (2, 4), (3, 4)], 59));
}

#[test]
fn background_is_told_once_a_second_whatever_the_rate() {
    let mut room = Room::with_two();
    room.set_tier(9, "bob", want(Tier::Background, None));
    let mut frames = 0;
    for counter in 2..=101 {
        frames += syncs(&room.submit("ada", submit(1, counter, post("x", &[])))).len();
    }
    assert_eq!(frames, 0);
    room.now = Millis(limits::BACKGROUND_INTERVAL);
    room.authority.handle_timeout(room.now);
    let effects = room.run();
    let Some(Data::StateUpdate(update)) = &syncs(&effects)[0].data else { panic!() };
    assert_eq!((syncs(&effects).len(), update.recent.len(), update.messages), (1, 50, Some(100)));
    assert_eq!(update.recent.last().unwrap().ordinal, 100);
}

#[test]
fn what_was_there_before_somebody_came_is_not_told_again() {
    let mut room = Room::with_two();
    room.submit("ada", submit(1, 2, post("before", &[])));
    room.set_tier(9, "bob", want(Tier::Background, None));
    room.submit("ada", submit(1, 3, post("after", &[])));
    room.now = Millis(limits::BACKGROUND_INTERVAL);
    room.authority.handle_timeout(room.now);
    let effects = room.run();
    let Some(Data::StateUpdate(update)) = &syncs(&effects)[0].data else { panic!() };
    assert_eq!(update.recent.iter().map(|message| message.text.as_str()).collect::<Vec<_>>(), ["after"]);
}

#[test]
fn joining_and_mentions_are_followed_up_and_repeated_until_settled() {
    let mut room = Room::with_two();
    let effects = room.submit("ada", submit(1, 2, post("hi @bob", &["bob", "bob", "nobody", "ada"])));
    let deliveries = delivered(&effects);
    assert_eq!(deliveries.len(), 1);
    assert!(matches!(deliveries[0], ("inbox:bob", Body::Notify(notify)) if notify.ordinal == 1));
    let reply = |effects: &[Effect]| {
        effects.iter().find_map(|effect| match effect {
            Effect::Deliver { reply, .. } => Some(reply.delivery),
            _ => None,
        })
    };
    let number = reply(&effects).unwrap();
    room.authority.handle_delivered(number, false);
    room.now = Millis(10_000);
    room.authority.handle_timeout(room.now);
    let repeated = room.run();
    assert!(delivered(&repeated).iter().any(|(to, _)| *to == "inbox:bob"));
    (0..=number).for_each(|delivery| room.authority.handle_delivered(delivery, true));
    assert!(room.authority.is_idle());
}

#[test]
fn deliveries_that_change_nothing_leave_no_entry() {
    let config = AuthorityConfig { node: "n".into(), alias: 7, heartbeat_interval: 25_000 };
    let mut authority = Authority::new(RoomId::new("inbox:bob").unwrap(), config, 1, Millis(0));
    authority.poll_effect();
    authority.handle_loaded(Loaded::default(), Millis(0)).unwrap();
    let mut inbox =
        Room { authority, log: Vec::new(), amended: Default::default(), epoch: 0, now: Millis(0) };
    let follow = |seq| {
        let as_of = Some(v1::Position { epoch: 5, seq });
        Body::FollowRoom(v1::FollowRoom { room_id: "lobby".into(), as_of })
    };
    let reply = || Reply { room: RoomId::new("lobby").unwrap(), delivery: 0 };
    for (body, entries) in [(follow(2), 1), (follow(2), 1), (follow(1), 1)] {
        inbox.authority.deliver(reply(), body, Millis(0));
        let effects = inbox.run();
        assert!(effects.contains(&Effect::Delivered { reply: reply(), settled: true }));
        assert_eq!(inbox.log.len(), entries);
    }
}

#[test]
fn a_restarted_authority_has_the_same_state_and_knows_duplicates() {
    let mut room = Room::with_two();
    for counter in 2..=30 {
        room.submit("ada", submit(1, counter, post("x", &["bob"])));
    }
    let digest = room.authority.state().digest();
    let mut again = Room::over(room.log.clone(), room.epoch);
    assert_eq!(again.authority.state().digest(), digest);
    assert_eq!(acks(&again.submit("ada", submit(1, 30, post("x", &["bob"])))), [(30, 31)]);

    let snapshot = room.authority.state().snapshot(SnapshotFor::Store);
    let config = AuthorityConfig { node: "n".into(), alias: 7, heartbeat_interval: 25_000 };
    let mut restored = Authority::new(RoomId::new("lobby").unwrap(), config, 1, Millis(0));
    let loaded = Loaded { epoch: room.epoch, snapshot: Some(compress(&snapshot)), entries: Vec::new() };
    restored.handle_loaded(loaded, Millis(0)).unwrap();
    assert_eq!(restored.state().digest(), digest);
}

#[test]
fn a_log_that_goes_on_under_another_epoch_keeps_its_snapshot() {
    let mut room = Room::with_two();
    room.submit("ada", submit(1, 2, post("before", &[])));
    let (digest, head) = (room.authority.state().digest(), room.authority.state().position());
    let snapshot = compress(&room.authority.state().snapshot(SnapshotFor::Store));
    let epoch = room.epoch + 1;
    let loaded = Loaded { epoch, snapshot: Some(snapshot.clone()), entries: Vec::new() };
    let config = AuthorityConfig { node: "n".into(), alias: 7, heartbeat_interval: 25_000 };
    let mut reopened = Authority::new(RoomId::new("lobby").unwrap(), config, 1, Millis(0));
    reopened.handle_loaded(loaded, Millis(0)).unwrap();
    assert_eq!(reopened.state().digest(), digest);
    assert_eq!(reopened.state().position(), Position { epoch, seq: head.seq });
    let without_epoch = Loaded { epoch: 0, snapshot: Some(snapshot), entries: Vec::new() };
    assert_eq!(reopened.handle_loaded(without_epoch, Millis(0)), Err(Code::Malformed));
}

#[test]
fn history_goes_back_page_by_page_into_the_store() {
    let mut room = Room::with_two();
    for counter in 2..=1_302 {
        room.submit("ada", submit(1, counter, post("x", &[])));
    }
    assert_eq!(all_history(&mut room), (1..=1_301).collect::<Vec<_>>());
}

#[test]
fn no_frame_is_larger_than_receivers_take_however_long_messages_and_names_are() {
    let mut room = Room::with_two();
    room.set_tier(8, "bob", want(Tier::Background, None));
    room.set_tier(9, "bob", want(Tier::Active, None));
    for counter in 2..=1_102 {
        let text = "\u{10ffff}".repeat(if counter % 100 < 40 { limits::TEXT_CHARS } else { 1 });
        fits(&room.submit("ada", submit(1, counter, post(&text, &[]))));
    }
    room.now = room.now + limits::BACKGROUND_INTERVAL;
    room.authority.handle_timeout(room.now);
    fits(&room.run());
    fits(&room.set_tier(10, "bob", want(Tier::Background, None)));
    assert_eq!(all_history(&mut room), (1..=1_101).collect::<Vec<_>>());

    let id = UserId::new(&"u".repeat(limits::USER_ID_BYTES)).unwrap();
    let named = Actor::new(id, "\u{10ffff}".repeat(limits::NAME_CHARS));
    let base = room.authority.state().position();
    for counter in 1..=400 {
        room.authority.submit(ConnId(3), &named, submit(3, counter, join()), room.now);
    }
    fits(&room.run());
    fits(&room.set_tier(11, "bob", want(Tier::Active, Some(base))));
}

fn fits(effects: &[Effect]) {
    for effect in effects {
        if let Effect::Send { frame, .. } | Effect::Broadcast { frame, .. } = effect {
            assert!(prost::Message::encoded_len(&**frame) <= limits::FRAME_BYTES, "{:.200?}", frame);
        }
    }
}

/// The ordinals of all messages, read page by page.
fn all_history(room: &mut Room) -> Vec<u64> {
    let mut before_seq = 0;
    let mut ordinals: Vec<u64> = Vec::new();
    loop {
        let request = v1::HistoryRequest {
            request_id: 5,
            room_id: "lobby".into(),
            before_seq,
            limit: limits::HISTORY_PAGE as u32,
            ..Default::default()
        };
        room.authority.history(ConnId(1), &actor("bob"), request);
        let mut effects = room.run();
        if let Some(Effect::ReadHistory { reader, from_seq }) = effects.first().cloned() {
            let stretch = room.stretch(from_seq, reader.before_seq);
            room.authority.handle_history(reader, Some(stretch), room.now);
            effects = room.run();
        }
        fits(&effects);
        let Effect::Send { frame, .. } = &effects[0] else { panic!("{effects:?}") };
        let Some(Frame::HistoryPage(page)) = &frame.body else { panic!("{frame:?}") };
        ordinals.splice(0..0, page.messages.iter().map(|message| message.ordinal));
        before_seq = page.next_before_seq;
        if before_seq == 0 {
            return ordinals;
        }
    }
}

#[test]
fn a_private_room_is_closed_to_others() {
    let mut room = Room::with_two();
    let private = v1::SetInfo { visibility: Some(v1::Visibility::Private.into()), ..Default::default() };
    room.submit("ada", submit(1, 2, Body::SetInfo(private)));
    assert_eq!(errors(&room.set_tier(8, "cleo", want(Tier::Active, None))), [Code::Forbidden]);
    assert_eq!(rejections(&room.submit("cleo", submit(3, 1, join()))), [(1, Code::Forbidden)]);
    assert!(errors(&room.set_tier(9, "bob", want(Tier::Active, None))).is_empty());
}

#[test]
fn damaged_entries_are_refused_and_nothing_is_overwritten() {
    for entries in [vec![b"garbage".to_vec()], Room::with_two().log[1..].to_vec()] {
        let config = AuthorityConfig { node: "n".into(), alias: 7, heartbeat_interval: 25_000 };
        let mut authority = Authority::new(RoomId::new("lobby").unwrap(), config, 1, Millis(0));
        authority.set_tier(ConnId(1), &actor("ada"), want(Tier::Active, None), Millis(0));
        authority.poll_effect();
        let loaded = Loaded { epoch: 5, snapshot: None, entries };
        assert!(authority.handle_loaded(loaded, Millis(0)).is_err());
        authority.give_up(Code::Internal);
        let effects: Vec<Effect> = core::iter::from_fn(|| authority.poll_effect()).collect();
        assert_eq!(errors(&effects), [Code::Internal]);
        assert_eq!(effects.len(), 1);
    }
}

#[test]
fn a_default_that_fell_due_while_nobody_held_the_inbox_holds_as_soon_as_it_is_loaded() {
    let inbox = RoomId::inbox(&UserId::new("ada").unwrap());
    let conflict = v1::Conflict {
        id: Some(v1::OpId { client: 3, counter: 4 }),
        room_id: "lobby".into(),
        mine: op::encode(post("mine", &[])),
        deadline: 5_000,
        default_choice: v1::ConflictChoice::Mine.into(),
        ..Default::default()
    };
    let body = Body::AddConflict(v1::AddConflict { conflict: Some(conflict) });
    let entry = Entry {
        seq: 1,
        op_id: OpId { client: crate::ClientId(9), counter: 1 },
        author: String::new(),
        author_name: String::new(),
        at: Millis(1_000),
        ordinal: 0,
        op: op::encode(body.clone()),
        body: Some(body),
    };
    let config = AuthorityConfig { node: "n".into(), alias: 7, heartbeat_interval: 25_000 };
    let now = Millis(9_000_000);
    let mut authority = Authority::new(inbox, config, 1, now);
    assert_eq!(authority.poll_effect(), Some(Effect::Load));
    let loaded = Loaded { epoch: 5, snapshot: None, entries: [entry.encode()].into() };
    authority.handle_loaded(loaded, now).unwrap();
    assert!(matches!(authority.poll_effect(), Some(Effect::Read { .. })));
    authority.handle_entries(Some((Position { epoch: 5, seq: 1 }, Vec::new())), now);
    let (due, _) = authority.next_deadline().unwrap();
    assert!(due <= now, "{due:?}");
    authority.handle_timeout(now);
    let effects = core::iter::from_fn(|| authority.poll_effect());
    let mut appended = effects.filter_map(|effect| match effect {
        Effect::Append { batch, .. } => Entry::decode(&batch[0]).ok()?.body,
        _ => None,
    });
    let Some(Body::ResolveConflict(resolve)) = appended.next() else { panic!() };
    assert_eq!(resolve.choice(), v1::ConflictChoice::Mine);
}

#[test]
fn background_learns_by_a_fingerprint_how_the_room_is_run_permissions_and_rules_included() {
    let mut room = Room::with_two();
    room.set_tier(9, "bob", want(Tier::Background, None));
    let permissions = Body::SetPermissions(v1::SetPermissions {
        role: v1::Role::Member.into(),
        capabilities: Vec::new(),
        reset: false,
    });
    let rule = Body::SetConflictMode(v1::SetConflictMode {
        conflict_type: v1::ConflictType::ComplexMerge.into(),
        mode: v1::ConflictMode::UserChoice.into(),
        ..Default::default()
    });
    let topic = Body::SetInfo(v1::SetInfo { topic: Some("news".into()), ..Default::default() });
    let mut before = None;
    for (counter, (body, is_rule)) in
        [(permissions, true), (rule, true), (topic, false)].into_iter().enumerate()
    {
        room.submit("ada", submit(1, 2 + counter as u64, body));
        room.now = room.now + limits::BACKGROUND_INTERVAL;
        room.authority.handle_timeout(room.now);
        let effects = room.run();
        let Some(Data::StateUpdate(update)) = &syncs(&effects)[0].data else { panic!() };
        let fingerprint = update.config_fingerprint;
        assert!(fingerprint.is_some() && (fingerprint != before) == is_rule, "{update:?}");
        assert_eq!(update.room_config.is_some(), is_rule);
        before = fingerprint;
    }
    assert_eq!(before, Some(crate::compress::config_fingerprint(room.authority.state())));
}

#[test]
fn a_node_behind_what_the_store_has_trimmed_goes_on_from_the_snapshot() {
    for later in [Vec::new(), Vec::from([9])] {
        let mut room = Room::with_two();
        let mut ahead = Room::over(room.log.clone(), room.epoch);
        (2..=8).for_each(|counter| drop(ahead.submit("ada", submit(1, counter, post("x", &[])))));
        let snapshot = compress(&ahead.authority.state().snapshot(SnapshotFor::Store));
        let head = ahead.head();
        room.authority.handle_hint(head);
        assert!(matches!(room.authority.poll_effect(), Some(Effect::Read { .. })));
        // Of the log the store has its end alone, or nothing any more.
        let held = later.iter().map(|seq: &usize| ahead.log[seq - 1].clone()).collect();
        room.authority.handle_entries(Some((head, held)), room.now);
        let effects = core::iter::from_fn(|| room.authority.poll_effect());
        assert_eq!(effects.collect::<Vec<_>>(), [Effect::Load]);
        let loaded = Loaded { epoch: head.epoch, snapshot: Some(snapshot), entries: Vec::new() };
        room.authority.handle_loaded(loaded, room.now).unwrap();
        assert_eq!(room.authority.state().position(), head);
        assert_eq!(room.authority.state().digest(), ahead.authority.state().digest());
    }
}
