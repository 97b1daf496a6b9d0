//! Tiers under load: tens of thousands of changes with traffic on its way, and what ten thousand Cached rooms weigh.

use std::alloc::System;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use enfilade_core::authority::{Appended, Authority, AuthorityConfig, ConnId, Effect as Wants, Loaded};
use enfilade_core::client::{Client, ClientConfig, Effect, Synced};
use enfilade_core::op::{self, Body};
use enfilade_core::policy::Actor;
use enfilade_core::v1::client_frame::Body as Request;
use enfilade_core::v1::server_frame::Body as Frame;
use enfilade_core::wire::binary;
use enfilade_core::{Entry, Millis, Position, Rng, RoomId, Tier, UserId, v1};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes that are allocated and not freed.
fn held() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// The allocator counts for the whole process: what weighs something is alone.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const ME: ConnId = ConnId(1);

/// One room's authority over a log in memory, and one client; what is between them takes its time.
struct World {
    rng: Rng,
    now: Millis,
    room: RoomId,
    authority: Authority,
    log: Vec<Vec<u8>>,
    epoch: u64,
    /// Texts of all messages, in order.
    said: Vec<String>,
    tier: Option<Tier>,
    client: Client,
    generation: u64,
    disk: BTreeMap<String, Vec<u8>>,
    up: VecDeque<Vec<u8>>,
    down: VecDeque<Vec<u8>>,
    counter: u64,
}

fn user(name: &str) -> Actor {
    Actor::new(UserId::new(name).expect("it is there"), name)
}

impl World {
    fn new(seed: u64) -> World {
        let room = RoomId::new("lobby").expect("it is there");
        let config = AuthorityConfig { node: "n".into(), alias: 7, heartbeat_interval: 25_000 };
        let now = Millis(1_000);
        let config_of_client =
            ClientConfig { background_for: 1 << 40, cached_for: 1 << 40, ..ClientConfig::default() };
        let mut world = World {
            rng: Rng::new(seed),
            now,
            authority: Authority::new(room.clone(), config, seed, now),
            room,
            log: Vec::new(),
            epoch: 0,
            said: Vec::new(),
            tier: None,
            client: Client::new(config_of_client, seed, now),
            generation: 0,
            disk: BTreeMap::new(),
            up: VecDeque::new(),
            down: VecDeque::new(),
            counter: 0,
        };
        let _load = world.authority.poll_effect();
        world.authority.handle_loaded(Loaded::default(), now).expect("it is there");
        world.serve();
        world.say(Body::CreateRoom(v1::CreateRoom { name: "Lobby".into(), ..Default::default() }));
        world.client.set_token("token", now);
        world.client.connect(now);
        world.drain();
        world
    }

    fn head(&self) -> Position {
        Position { epoch: self.epoch, seq: self.log.len() as u64 }
    }

    /// Somebody else writes.
    fn say(&mut self, body: Body) {
        self.counter += 1;
        if let Body::PostMessage(post) = &body {
            self.said.push(post.text.clone());
        }
        let submit = v1::Submit {
            room_id: "lobby".into(),
            op_id: Some(v1::OpId { client: 99, counter: self.counter }),
            op: op::encode(body),
            ..Default::default()
        };
        self.authority.submit(ConnId(2), &user("bob"), submit, self.now);
        self.serve();
    }

    fn serve(&mut self) {
        while let Some(wants) = self.authority.poll_effect() {
            match wants {
                Wants::Claim { epoch } => {
                    self.epoch = epoch;
                    self.authority.handle_claimed(epoch, self.now);
                }
                Wants::Append { batch, .. } => {
                    self.log.extend(batch);
                    self.authority.handle_appended(Appended::Done, self.now);
                }
                Wants::Read { after } => {
                    let entries = self.log[after.seq as usize..].to_vec();
                    self.authority.handle_entries(Some((self.head(), entries)), self.now);
                }
                Wants::Send { conn, frame, .. } if conn == ME => {
                    self.down.push_back(binary::encode_server(&frame))
                }
                Wants::Broadcast { tier, frame, .. } if self.tier == Some(tier) => {
                    self.down.push_back(binary::encode_server(&frame));
                }
                Wants::Subscribe { conn, tier } if conn == ME => self.tier = tier,
                _ => {}
            }
        }
    }

    fn drain(&mut self) {
        while let Some(effect) = self.client.poll_effect() {
            match effect {
                Effect::Connect { generation } => {
                    self.generation = generation;
                    self.client.handle_connected(generation, self.now);
                }
                Effect::Send { bytes, .. } => self.up.push_back(bytes),
                Effect::Close { .. } => {}
                Effect::Persist { key, value: Some(value) } => drop(self.disk.insert(key, value)),
                Effect::Persist { key, value: None } => drop(self.disk.remove(&key)),
                Effect::Load { key } => {
                    let record = self.disk.get(&key).cloned();
                    self.client.handle_loaded(&key, record.as_deref(), self.now);
                }
            }
        }
        while self.client.poll_event().is_some() {}
    }

    /// One frame arrives at the server.
    fn rise(&mut self) {
        let Some(bytes) = self.up.pop_front() else { return };
        match binary::decode_client(&bytes, usize::MAX).expect("it is there").body {
            Some(Request::Hello(hello)) => {
                let welcome = v1::Welcome {
                    version: 1000,
                    user: "ada".into(),
                    user_name: "Ada".into(),
                    heartbeat_interval: 25_000,
                    ..Default::default()
                };
                let frame = v1::ServerFrame { body: Some(Frame::Welcome(welcome)) };
                self.down.push_back(binary::encode_server(&frame));
                hello.rooms.into_iter().for_each(|want| self.set_tier(want));
            }
            Some(Request::SetTier(want)) => self.set_tier(want),
            Some(Request::History(request)) => self.authority.history(ME, &user("ada"), request),
            _ => {}
        }
        self.serve();
    }

    fn set_tier(&mut self, want: v1::SetTier) {
        if want.room_id == "lobby" {
            self.authority.set_tier(ME, &user("ada"), want, self.now);
        }
    }

    /// One frame arrives at the client.
    fn fall(&mut self) {
        if let Some(bytes) = self.down.pop_front() {
            self.client.handle_frame(self.generation, &bytes, self.now);
            self.drain();
        }
    }

    fn pass(&mut self, milliseconds: u64) {
        self.now = self.now + milliseconds;
        while self.authority.next_deadline().is_some_and(|(due, _)| due <= self.now) {
            self.authority.handle_timeout(self.now);
            self.serve();
        }
        // The client hears what has come before it looks at its clock.
        if self.down.is_empty() && self.client.next_deadline().is_some_and(|(due, _)| due <= self.now) {
            self.client.handle_timeout(self.now);
            self.drain();
        }
    }

    /// The connection breaks, with everything on its way, and is there again.
    fn cut(&mut self) {
        self.up.clear();
        self.down.clear();
        self.authority.unsubscribe(ME, self.now);
        self.serve();
        self.client.handle_disconnected(self.generation, 1006, "", self.now);
        self.drain();
        while self.up.is_empty() {
            self.pass(500);
        }
    }

    /// Each of the newest messages that are shown is the one of the log in that place, each once, in order, and without holes but for
    /// gaps that are shown as such.
    fn check(&self, newest: usize) {
        let Some(room) = self.client.room(&self.room) else { return };
        let mut before = 0;
        for index in room.message_count().saturating_sub(newest)..room.message_count() {
            let message = room.message(index).expect("it is there");
            assert!(message.ordinal > before, "{} after {before}", message.ordinal);
            before = message.ordinal;
            assert_eq!(message.text, self.said[message.ordinal as usize - 1]);
        }
    }

    /// Everything has arrived: what is shown is the end of the log.
    fn settle(&mut self) {
        while !self.up.is_empty() || !self.down.is_empty() {
            self.rise();
            self.fall();
        }
    }
}

/// At least so many changes, all seeds together.
const CHANGES: u64 = 30_000;

#[test]
fn in_thirty_thousand_changes_of_tier_with_traffic_on_its_way_nothing_is_lost_doubled_or_reordered() {
    let _alone = alone();
    let (mut changes, mut settled, mut said, mut cuts) = (0, 0, 0, 0);
    for seed in 0..30 {
        let mut world = World::new(seed);
        world.settle();
        let mut of_seed = 0;
        while of_seed < CHANGES / 30 {
            match world.rng.below(16) {
                0..=3 => {
                    let text = format!("message {}", world.said.len() + 1);
                    world.say(op::post(text));
                }
                4..=6 => world.rise(),
                7..=9 => world.fall(),
                10 => {
                    let milliseconds = world.rng.below(1_500);
                    world.pass(milliseconds);
                }
                11 if world.rng.below(40) == 0 => {
                    world.cut();
                    cuts += 1;
                }
                11 => {}
                _ => {
                    let tier = Tier::ALL[world.rng.below(4) as usize];
                    let before = world.client.room(&world.room).map_or(Tier::Unloaded, |room| room.tier());
                    world.client.set_tier(&world.room, tier, world.now);
                    world.drain();
                    of_seed += u64::from(before != tier);
                }
            }
            world.check(8);
            if world.rng.below(150) == 0 {
                // Nothing lost: at rest in Active, the view ends where the log does, with the same state.
                world.client.set_tier(&world.room, Tier::Active, world.now);
                world.drain();
                world.settle();
                world.check(usize::MAX);
                let room = world.client.room(&world.room).expect("it is there");
                assert_eq!((room.synced(), room.position()), (Synced::Ready, world.head()), "seed {seed}");
                assert_eq!(
                    room.digest().map(|digest| digest.value()),
                    Some(world.authority.state().digest().value())
                );
                assert_eq!(room.head(), world.said.len() as u64);
                let shown = room.message_count();
                let newest = shown.min(50);
                for back in 0..newest {
                    let message = room.message(shown - 1 - back).expect("it is there");
                    assert_eq!(message.ordinal, (world.said.len() - back) as u64);
                }
                assert!(shown >= world.said.len().min(100), "{shown} of {}", world.said.len());
                settled += 1;
            }
        }
        changes += of_seed;
        said += world.said.len();
    }
    println!(
        "{changes} changes of tier, {said} messages, {cuts} cuts, at rest {settled} times: 0 lost, 0 doubled, 0 reordered"
    );
    assert!(changes >= CHANGES && settled > 300 && said > 10_000 && cuts > 20);
}

/// A room with twenty members and so many messages.
fn furnished(messages: u32) -> enfilade_core::RoomState {
    let name = "room-00000";
    let mut state = enfilade_core::RoomState::replica(RoomId::new(name).expect("it is there"));
    state.open_epoch(7);
    let create =
        Body::CreateRoom(v1::CreateRoom { name: name.into(), topic: "x".repeat(100), ..Default::default() });
    let joins = (0..20).map(|_| Body::Join(v1::Join {}));
    let posts = (0..messages)
        .map(|number| op::post(format!("message {number} of {name}, with a sentence or two in it")));
    for (index, body) in [create].into_iter().chain(joins).chain(posts).enumerate() {
        let author = format!("user-{}", index % 20);
        let entry = Entry {
            seq: index as u64 + 1,
            op_id: enfilade_core::OpId::parse(Some(&v1::OpId { client: 5, counter: index as u64 + 1 }))
                .expect("it is there"),
            author_name: author.clone(),
            author,
            at: Millis(index as u64),
            ordinal: (index as u64).saturating_sub(20),
            op: op::encode(body.clone()),
            body: Some(body),
        };
        state.apply(&entry).expect("it is there");
    }
    state
}

/// As the server sends it, under another name.
fn bulk(state: &enfilade_core::RoomState, name: &str, alias: u32) -> (v1::RoomStateSync, u64) {
    let position = state.position();
    let mut snapshot = state.snapshot(enfilade_core::state::SnapshotFor::Client { messages: 100 });
    snapshot.info = snapshot.info.map(|info| v1::RoomInfo { name: name.into(), ..info });
    let data = v1::BulkSync { part: 0, parts: 1, snapshot: Some(snapshot), reason: 0 };
    let sync = v1::RoomStateSync {
        room_id: name.into(),
        alias,
        epoch: position.epoch,
        sequence_number: position.seq,
        tier: Some(v1::Tier::Active.into()),
        data: Some(v1::room_state_sync::Data::BulkSync(data)),
        ..Default::default()
    };
    (sync, position.seq)
}

#[test]
fn ten_thousand_cached_rooms_are_within_four_kilobytes_of_memory_each_and_are_counted_as_what_they_weigh() {
    let _alone = alone();
    let rooms = 10_000;
    let mut world = World::new(1);
    world.settle();
    let World { client, generation, now, .. } = &mut world;
    let (generation, now) = (*generation, *now);
    let drain = |client: &mut Client, disk: &mut usize| {
        while let Some(effect) = client.poll_effect() {
            if let Effect::Persist { value: Some(value), .. } = effect {
                *disk += value.len();
            }
        }
        while client.poll_event().is_some() {}
    };
    let mut disk = 0;
    drain(client, &mut disk);
    let (furnished, plain) = (furnished(50), furnished(2));
    let before = held();
    let counted_before = client.total_memory();
    for number in 0..rooms {
        let name = format!("room-{number:05}");
        let id = RoomId::new(&name).expect("it is there");
        client.set_tier(&id, Tier::Active, now);
        // Of a Cached room's messages the last is held, whatever their number; fewer take less time to pack.
        let state = if number % 100 == 0 { &furnished } else { &plain };
        let (sync, seq) = bulk(state, &name, number as u32 + 100);
        let frame = v1::ServerFrame { body: Some(Frame::RoomStateSync(sync)) };
        client.handle_frame(generation, &binary::encode_server(&frame), now);
        assert_eq!(client.room(&id).expect("it is there").position().seq, seq);
        if number == 0 {
            let held = client.memory(&id);
            assert!(held > 20_000 && client.budget(&id).expect("it is there").is_within(), "{held}");
        }
        client.set_tier(&id, Tier::Cached, now);
        drain(client, &mut disk);
    }
    let measured = (held() - before) / rooms;
    let counted = (client.total_memory() - counted_before) as usize / rooms;
    let stored = disk / rooms;
    println!(
        "a Cached room: {measured} bytes of memory measured, {counted} counted, {stored} bytes in storage"
    );
    assert!(measured <= 4_096, "{measured}");
    assert!(counted >= measured * 4 / 5 && counted <= measured * 2, "{counted} counted, {measured} measured");
    assert!(client.rooms().len() >= rooms);
    for number in (0..rooms).step_by(97) {
        let view = client
            .budget(&RoomId::new(&format!("room-{number:05}")).expect("it is there"))
            .expect("it is there");
        assert!(view.tier == Tier::Cached && view.is_within(), "{view:?}");
    }
}
