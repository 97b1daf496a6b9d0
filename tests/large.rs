//! Rooms at all of their bounds: what is stored of them opens again, and a lost race costs what it changes.

use std::alloc::System;
use std::sync::{Mutex, PoisonError};

use enfilade_core::authority::{Appended, Authority, AuthorityConfig, ConnId, Effect, Loaded};
use enfilade_core::op::{self, Body};
use enfilade_core::policy::Actor;
use enfilade_core::state::{SnapshotFor, compress, decompress};
use enfilade_core::{ClientId, Entry, Millis, OpId, Position, RoomId, RoomState, UserId, limits, v1};
use enfilade_tests::full;
use prost::Message as _;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The allocator counts for the whole process.
static ALONE: Mutex<()> = Mutex::new(());

const NOW: Millis = Millis(1 << 41);

#[test]
fn a_room_and_an_inbox_at_all_of_their_bounds_are_stored_and_open_again() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for name in ["lobby", "inbox:ada"] {
        let room = RoomId::new(name).expect("it is an id");
        let whole = full::snapshot(room.inbox_owner().is_some(), 1);
        let state = RoomState::restore(room.clone(), whole, true).expect("it is within its bounds");
        let stored = state.snapshot(SnapshotFor::Store);
        let plain = stored.encoded_len();
        let packed = compress(&stored);
        println!("{name}: {plain} bytes, {} packed", packed.len());
        assert!(plain > 8 << 20 && plain < limits::STATE_BYTES, "{plain}");
        let again = RoomState::restore(room.clone(), decompress(&packed).expect("it opens"), true);
        assert_eq!(again.expect("it is whole").digest(), state.digest());
        // A client's snapshot of it, too.
        let packed = enfilade_core::compress::pack(&state, 1).encode_to_vec();
        let read = enfilade_core::compress::read(&room, &packed).expect("it can be read");
        let again = enfilade_core::compress::open(&room, &read).expect("it opens");
        assert_eq!(again.digest(), state.digest());
    }
}

fn actor(name: &str) -> Actor {
    Actor::new(UserId::new(name).expect("it is an id"), name)
}

fn submit(counter: u64, body: Body) -> v1::Submit {
    v1::Submit {
        room_id: "lobby".into(),
        op_id: Some(v1::OpId { client: 5, counter }),
        op: op::encode(body),
        ..Default::default()
    }
}

/// What is in flight: the batch, and where it was to go. The room has forgotten clients, so it asks whether the
/// operation is an old one, and it is not.
fn batch(authority: &mut Authority) -> (Position, Vec<Vec<u8>>) {
    let mut appended = None;
    while let Some(effect) = authority.poll_effect() {
        match effect {
            Effect::Append { expected, batch, .. } => appended = Some((expected, batch)),
            Effect::Find { op_id, .. } => authority.handle_found(op_id, Some(None), NOW),
            _ => {}
        }
    }
    appended.expect("something is appended")
}

/// Bytes that are allocated when a batch of one is lost to another node, decided again, and stored.
fn lost_race(part: usize, bodies: [Body; 2]) -> usize {
    let room = RoomId::new("lobby").expect("it is an id");
    let mut whole = full::snapshot(false, part);
    // The two who write are members, and nobody is muted.
    let member =
        |user: &str| v1::Member { user: user.into(), role: v1::Role::Member.into(), ..Default::default() };
    whole.members.truncate(whole.members.len() - 2);
    whole.members.extend([member("ada"), member("bob")]);
    let score = |user: &str| v1::Score { user: user.into(), ..Default::default() };
    if let Some(counters) = &mut whole.counters {
        counters.scores.truncate(counters.scores.len() - 2);
        counters.scores.extend([score("ada"), score("bob")]);
    }
    let mut state = RoomState::restore(room.clone(), whole, true).expect("it is within its bounds");
    let position = state.position();
    let loaded = Loaded {
        epoch: position.epoch,
        snapshot: Some(compress(&state.snapshot(SnapshotFor::Store))),
        entries: Vec::new(),
    };
    let config = AuthorityConfig { node: "n".into(), alias: 7, heartbeat_interval: 25_000 };
    let mut authority = Authority::new(room, config, 7, NOW);
    let _load = authority.poll_effect();
    authority.handle_loaded(loaded, NOW).expect("it opens");
    let [mine, theirs] = bodies;
    authority.submit(ConnId(1), &actor("ada"), submit(1, mine), NOW);
    let _lost = batch(&mut authority);
    let is_message = matches!(theirs, Body::PostMessage(_));
    let foreign = Entry {
        seq: position.seq + 1,
        op_id: OpId { client: ClientId(6), counter: 1 },
        author: "bob".into(),
        author_name: "bob".into(),
        at: NOW,
        ordinal: if is_message { state.timeline().head() + 1 } else { 0 },
        op: op::encode(theirs.clone()),
        body: Some(theirs),
    };
    let missing = vec![foreign.encode()];
    let head = position.next();
    let before = ALLOCATOR.stats().bytes_allocated;
    authority.handle_appended(Appended::Conflict { head, missing }, NOW);
    let (expected, again) = batch(&mut authority);
    authority.handle_appended(Appended::Done, NOW);
    let cost = ALLOCATOR.stats().bytes_allocated - before;
    assert_eq!(expected, head);
    // It is as if everything had come in order.
    state.apply(&foreign).expect("it follows");
    again.iter().for_each(|bytes| {
        state.apply(&Entry::decode(bytes).expect("it can be read")).expect("it follows");
    });
    assert_eq!(authority.state().digest(), state.digest());
    assert_eq!(authority.state().position(), state.position());
    cost
}

#[test]
fn a_lost_race_costs_what_it_changes_however_large_the_room() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let posts = || [op::post("mine"), op::post("theirs")];
    let scores = || {
        let add = Body::AddScore(v1::AddScore { points: 1, ..Default::default() });
        [add.clone(), add]
    };
    for (name, bodies) in [("messages", posts as fn() -> [Body; 2]), ("scores", scores)] {
        let (small, large) = (lost_race(16, bodies()), lost_race(1, bodies()));
        println!(
            "a lost race of {name}: {small} bytes allocated in a room a sixteenth full, {large} in a full one"
        );
        // Pieces of 256 entries are copied, and lists of pointers; the room holds 47 MB.
        assert!(large < 2 << 20, "{large}");
    }
}
