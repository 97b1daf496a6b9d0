//! What scenarios play on: an app with its client, a room's log, and a server's room over a store that always answers.

use std::collections::BTreeMap;

use enfilade_core::authority::{
    Appended, Authority, AuthorityConfig, ConnId, Effect as RoomEffect, Lane, Loaded,
};
use enfilade_core::client::{Client, ClientConfig, Effect, Event, RoomChange};
use enfilade_core::op::{self, Body};
use enfilade_core::policy::Actor;
use enfilade_core::state::SnapshotFor;
use enfilade_core::v1::client_frame::Body as Request;
use enfilade_core::v1::room_state_sync::Data;
use enfilade_core::v1::server_frame::Body as Frame;
use enfilade_core::{
    ClientId, Entry, Millis, OpId, Position, RoomId, RoomState, Tier, UserId, hash53, limits, v1, wire,
};

pub(super) fn id(room: &str) -> RoomId {
    RoomId::new(room).expect("a valid id")
}

/// An app: it takes effects and events after each call.
pub(super) struct App {
    pub(super) client: Client,
    pub(super) now: u64,
    pub(super) generation: u64,
    pub(super) connects: Vec<u64>,
    pub(super) sent: Vec<Request>,
    pub(super) closed: Vec<u16>,
    pub(super) stored: BTreeMap<String, Vec<u8>>,
    pub(super) events: Vec<Event>,
}

impl App {
    pub(super) fn new(config: ClientConfig, seed: u64) -> App {
        App {
            client: Client::new(config, seed, Millis(0)),
            now: 0,
            generation: 0,
            connects: Vec::new(),
            sent: Vec::new(),
            closed: Vec::new(),
            stored: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    /// An app of Ada's that is connected and welcomed.
    pub(super) fn online() -> App {
        let mut app = App::new(ClientConfig::default(), 7);
        app.call(|client, now| client.set_token("a token", now));
        app.call(|client, now| client.connect(now));
        app.welcomed();
        app
    }

    /// The same, started again with what was stored.
    pub(super) fn restarted(&self) -> App {
        let mut app = App::new(ClientConfig::default(), 8);
        (app.now, app.stored) = (self.now, self.stored.clone());
        let stored = self.stored.clone();
        app.call(|client, now| client.restore(stored, now));
        app.call(|client, now| client.set_token("a token", now));
        app.call(|client, now| client.connect(now));
        app
    }

    pub(super) fn call<R>(&mut self, call: impl FnOnce(&mut Client, Millis) -> R) -> R {
        let result = call(&mut self.client, Millis(self.now));
        self.drain();
        result
    }

    pub(super) fn drain(&mut self) {
        while let Some(effect) = self.client.poll_effect() {
            match effect {
                Effect::Connect { generation } => {
                    self.generation = generation;
                    self.connects.push(self.now);
                }
                Effect::Send { bytes, .. } => {
                    let frame = wire::binary::decode_client(&bytes, limits::FRAME_BYTES).expect("a frame");
                    self.sent.extend(frame.body);
                }
                Effect::Close { code, .. } => self.closed.push(code),
                Effect::Persist { key, value: Some(value) } => drop(self.stored.insert(key, value)),
                Effect::Persist { key, value: None } => drop(self.stored.remove(&key)),
                Effect::Load { key } => {
                    let record = self.stored.get(&key).cloned();
                    self.client.handle_loaded(&key, record.as_deref(), Millis(self.now));
                }
            }
        }
        while let Some(event) = self.client.poll_event() {
            self.events.push(event);
        }
    }

    pub(super) fn hear(&mut self, body: Frame) {
        let generation = self.generation;
        self.hear_on(generation, body);
    }

    pub(super) fn hear_on(&mut self, generation: u64, body: Frame) {
        let bytes = wire::binary::encode_server(&v1::ServerFrame { body: Some(body) });
        self.call(|client, now| client.handle_frame(generation, &bytes, now));
    }

    pub(super) fn connected(&mut self) {
        let generation = self.generation;
        self.call(|client, now| client.handle_connected(generation, now));
    }

    pub(super) fn welcomed(&mut self) {
        self.welcomed_with(v1::Welcome { heartbeat_interval: 25_000, ..Default::default() });
    }

    pub(super) fn welcomed_with(&mut self, welcome: v1::Welcome) {
        self.connected();
        let (user, user_name) = ("ada".into(), "Ada".into());
        self.hear(Frame::Welcome(v1::Welcome { version: 1000, user, user_name, time: self.now, ..welcome }));
    }

    /// The connection breaks, and after the back-off there is another.
    pub(super) fn reconnected(&mut self) {
        self.broken(1006);
        self.until_it_dials();
        self.welcomed();
    }

    pub(super) fn broken(&mut self, code: u16) {
        let generation = self.generation;
        self.call(|client, now| client.handle_disconnected(generation, code, "", now));
    }

    pub(super) fn until_it_dials(&mut self) {
        let before = self.connects.len();
        for _ in 0..100 {
            if self.connects.len() > before {
                return;
            }
            self.pass_to_next_deadline();
        }
        panic!("it never dials");
    }

    /// Time passes until a timer is due, which is then handled.
    pub(super) fn pass_to_next_deadline(&mut self) {
        let (at, _) = self.client.next_deadline().expect("it waits for something");
        self.now = self.now.max(at.0);
        self.call(|client, now| client.handle_timeout(now));
    }

    /// Time passes, and every timer is handled when it is due.
    pub(super) fn wait(&mut self, time: u64) {
        let end = self.now + time;
        while self.client.next_deadline().is_some_and(|(at, _)| at.0 <= end) {
            self.pass_to_next_deadline();
        }
        self.now = end;
    }

    /// What the last hello asked for.
    pub(super) fn resumed(&self) -> Vec<v1::SetTier> {
        let hello = |request: &Request| match request {
            Request::Hello(hello) => Some(hello.rooms.clone()),
            _ => None,
        };
        self.sent.iter().rev().find_map(hello).expect("it has said hello")
    }

    /// What was last asked about this room, in a hello or later.
    pub(super) fn asked(&self, room: &str) -> v1::SetTier {
        let of = |want: &&v1::SetTier| want.room_id == room;
        let asked = self.sent.iter().rev().find_map(|request| match request {
            Request::SetTier(want) => Some(want).filter(of).cloned(),
            Request::Hello(hello) => hello.rooms.iter().find(of).cloned(),
            _ => None,
        });
        asked.expect("it has asked for the room")
    }

    /// The server answers the last request for the room list.
    pub(super) fn list(&mut self, rooms: &[v1::RoomSummary]) {
        let number = |request: &Request| match request {
            Request::RoomList(request) => Some(request.request_id),
            _ => None,
        };
        let request_id = self.sent.iter().rev().find_map(number).expect("it has asked for the list");
        let rooms = rooms.iter().map(|row| v1::RoomSummary { following: Some(true), ..row.clone() });
        let list = v1::RoomList { request_id, rooms: rooms.collect(), revision: 1, ..Default::default() };
        self.hear(Frame::RoomList(list));
    }

    pub(super) fn texts(&self, room: &str) -> Vec<String> {
        let Some(view) = self.client.room(&id(room)) else { return Vec::new() };
        (0..view.message_count()).filter_map(|index| view.message(index)).map(|m| m.text.clone()).collect()
    }

    /// Ordinals of messages that were announced one by one.
    pub(super) fn announced(&self) -> Vec<u64> {
        let changes = self.events.iter().flat_map(|event| match event {
            Event::Room { changes, .. } => changes.as_slice(),
            _ => &[],
        });
        let added = changes.filter_map(|change| match change {
            RoomChange::MessageAdded(ordinal) => Some(*ordinal),
            _ => None,
        });
        added.collect()
    }
}

/// A room's log, and the frames that a server makes of it.
pub(super) struct Log {
    pub(super) state: RoomState,
    pub(super) entries: Vec<Entry>,
    room: String,
}

impl Log {
    /// A room that Ada has made.
    pub(super) fn new(room: &str, epoch: u64) -> Log {
        let mut state = RoomState::authority(id(room));
        state.open_epoch(epoch);
        let mut log = Log { state, entries: Vec::new(), room: room.into() };
        log.add("ada", Body::CreateRoom(v1::CreateRoom { name: "A room".into(), ..Default::default() }));
        log
    }

    /// Somebody's inbox.
    pub(super) fn inbox(user: &str, epoch: u64) -> Log {
        let room = format!("inbox:{user}");
        let mut state = RoomState::authority(id(&room));
        state.open_epoch(epoch);
        Log { state, entries: Vec::new(), room }
    }

    pub(super) fn post(&mut self, author: &str, text: &str) -> Entry {
        self.add(author, op::post(text))
    }

    pub(super) fn add(&mut self, author: &str, body: Body) -> Entry {
        let seq = self.state.position().seq + 1;
        let ordinal = match body {
            Body::PostMessage(_) => self.state.timeline().head() + 1,
            _ => 0,
        };
        let client = ClientId(author.bytes().map(u64::from).sum());
        let entry = Entry {
            seq,
            op_id: OpId { client, counter: seq },
            author: author.into(),
            author_name: author.to_uppercase(),
            at: Millis(1_000 + seq),
            ordinal,
            op: op::encode(body.clone()),
            body: Some(body),
        };
        self.state.apply(&entry).expect("the next entry");
        self.entries.push(entry.clone());
        entry
    }

    pub(super) fn position(&self) -> Position {
        self.state.position()
    }

    fn sync(&self, at: Position, tier: Option<Tier>, data: Data) -> Frame {
        Frame::RoomStateSync(v1::RoomStateSync {
            room_id: self.room.clone(),
            alias: hash53(self.room.as_bytes(), 0) as u32,
            epoch: at.epoch,
            sequence_number: at.seq,
            tier: tier.map(|tier| tier.wire().into()),
            data: Some(data),
            ..Default::default()
        })
    }

    /// The whole state, in answer to a request.
    pub(super) fn bulk(&self) -> Frame {
        let snapshot = Some(self.state.snapshot(SnapshotFor::Client { messages: limits::JOIN_MESSAGES }));
        let bulk = v1::BulkSync { part: 0, parts: 1, snapshot, reason: 0 };
        self.sync(self.position(), Some(Tier::Active), Data::BulkSync(bulk))
    }

    /// Entries from `first` on; in answer to a request, or as they happen.
    pub(super) fn delta(&self, first: u64, is_answer: bool) -> Frame {
        let entries =
            self.entries.iter().skip(first as usize - 1).map(|entry| entry.clone().wire()).collect();
        let tier = is_answer.then_some(Tier::Active);
        self.sync(self.position(), tier, Data::DeltaUpdate(v1::DeltaUpdate { entries }))
    }

    /// What a Background receiver is answered.
    pub(super) fn projection(&self) -> Frame {
        let recent = self.state.timeline().iter().map(|message| v1::Message::clone(message)).collect();
        let messages = Some(self.state.timeline().head());
        let update =
            v1::StateUpdate { recent, messages, info: self.state.info().cloned(), ..Default::default() };
        self.sync(self.position(), Some(Tier::Background), Data::StateUpdate(update))
    }

    pub(super) fn heartbeat(&self) -> Frame {
        let messages = self.state.timeline().head();
        let heartbeat = v1::RoomHeartbeat {
            messages,
            state_digest: Some(self.state.digest().value()),
            ..Default::default()
        };
        self.sync(self.position(), None, Data::Heartbeat(heartbeat))
    }
}

/// A server's room, over a store of its own.
pub(super) struct Desk {
    pub(super) authority: Authority,
    pub(super) now: u64,
    pub(super) log: Vec<Vec<u8>>,
    epoch: u64,
    /// Whether appends wait for [`Desk::appended`].
    pub(super) is_slow: bool,
    /// What was done that others see, in order.
    pub(super) done: Vec<RoomEffect>,
    submitted: u64,
}

pub(super) fn actor(user: &str) -> Actor {
    let id = UserId::new(user).expect("a valid id");
    Actor::User { id, name: user.to_uppercase(), facts: Default::default() }
}

impl Desk {
    pub(super) fn new(room: &str) -> Desk {
        let config = AuthorityConfig { node: "n1".into(), alias: 1, heartbeat_interval: 25_000 };
        let mut desk = Desk {
            authority: Authority::new(id(room), config, 7, Millis(0)),
            now: 0,
            log: Vec::new(),
            epoch: 0,
            is_slow: false,
            done: Vec::new(),
            submitted: 0,
        };
        desk.serve();
        desk.submit(
            1,
            "ada",
            Body::CreateRoom(v1::CreateRoom { name: "A room".into(), ..Default::default() }),
        );
        desk
    }

    pub(super) fn submit(&mut self, conn: u64, user: &str, body: Body) {
        self.submitted += 1;
        let op_id = OpId { client: ClientId(conn), counter: self.submitted };
        let room_id = self.authority.state().id().as_str().into();
        let submit =
            v1::Submit { room_id, op_id: Some(op_id.wire()), op: op::encode(body), ..Default::default() };
        self.authority.submit(ConnId(conn), &actor(user), submit, Millis(self.now));
        self.serve();
    }

    pub(super) fn set_tier(&mut self, conn: u64, user: &str, tier: Tier, base: Option<Position>) {
        let room_id = self.authority.state().id().as_str().into();
        let want = v1::SetTier {
            room_id,
            tier: tier.wire().into(),
            base: base.map(Position::wire),
            ..Default::default()
        };
        self.authority.set_tier(ConnId(conn), &actor(user), want, Millis(self.now));
        self.serve();
    }

    /// Time passes, and every timer is handled when it is due.
    pub(super) fn wait(&mut self, time: u64) {
        let end = self.now + time;
        while let Some((at, _)) = self.authority.next_deadline().filter(|(at, _)| at.0 <= end) {
            self.now = self.now.max(at.0);
            self.authority.handle_timeout(Millis(self.now));
            self.serve();
        }
        self.now = end;
    }

    /// The append that was under way is done.
    pub(super) fn appended(&mut self) {
        self.authority.handle_appended(Appended::Done, Millis(self.now));
        self.serve();
    }

    /// Another server appends, and nobody is told.
    pub(super) fn append_elsewhere(&mut self, body: Body) {
        let last = Entry::decode(self.log.last().expect("an entry")).expect("an entry");
        let seq = last.seq + 1;
        let entry = Entry {
            seq,
            op_id: OpId { client: ClientId(77), counter: seq },
            author: "ada".into(),
            author_name: "ADA".into(),
            at: last.at,
            ordinal: self.authority.state().timeline().head() + 1,
            op: op::encode(body.clone()),
            body: Some(body),
        };
        self.log.push(entry.encode());
    }

    fn serve(&mut self) {
        while let Some(effect) = self.authority.poll_effect() {
            let now = Millis(self.now);
            match effect {
                RoomEffect::Load => {
                    let loaded = Loaded { epoch: self.epoch, snapshot: None, entries: self.log.clone() };
                    self.authority.handle_loaded(loaded, now).expect("a good log");
                }
                RoomEffect::Claim { epoch } => {
                    self.epoch = epoch;
                    self.authority.handle_claimed(epoch, now);
                }
                RoomEffect::Append { batch, .. } => {
                    self.log.extend(batch);
                    if !self.is_slow {
                        self.authority.handle_appended(Appended::Done, now);
                    }
                }
                RoomEffect::Read { after } => {
                    let head = Position { epoch: self.epoch, seq: self.log.len() as u64 };
                    let entries = self.log.iter().skip(after.seq as usize).cloned().collect();
                    self.authority.handle_entries(Some((head, entries)), now);
                }
                RoomEffect::Deliver { reply, .. } => self.authority.handle_delivered(reply.delivery, true),
                other => self.done.push(other),
            }
        }
    }

    /// The frames that were sent to one connection or to all, with their lanes, in order.
    pub(super) fn frames(&self) -> impl Iterator<Item = (Lane, &Frame)> {
        self.done.iter().filter_map(|effect| match effect {
            RoomEffect::Send { lane, frame, .. } | RoomEffect::Broadcast { lane, frame, .. } => {
                Some((*lane, frame.body.as_ref()?))
            }
            _ => None,
        })
    }
}
