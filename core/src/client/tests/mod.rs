//! The session, driven by hand: a host that does what it is told, and a server whose frames the tests choose.

mod cache;
mod conflicts;
mod connection;
mod elements;
mod people;
mod queue;
mod restore;
mod rooms;
mod signals;
mod sync;
mod tiers;
mod timeline;
mod together;
mod warm;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::*;
use crate::state::{RoomState, SnapshotFor};
use crate::v1::client_frame::Body as Request;
use crate::v1::room_state_sync::Data;
use crate::{Entry, Position, limits, op};

/// The app's side: takes effects and events after each call.
struct Host {
    client: Client,
    now: u64,
    generation: u64,
    connects: Vec<u64>,
    sent: Vec<Request>,
    closed: Vec<u16>,
    stored: BTreeMap<String, Vec<u8>>,
    events: Vec<Event>,
}

/// The server's side of one room: a log, and the frames that are made of it.
struct Log {
    state: RoomState,
    entries: Vec<Entry>,
    alias: u32,
}

fn id(room: &str) -> RoomId {
    RoomId::new(room).unwrap()
}

fn welcome() -> v1::Welcome {
    v1::Welcome {
        version: 1000,
        user: "ada".into(),
        user_name: "Ada".into(),
        time: 1_000_000,
        heartbeat_interval: 25_000,
        ..Default::default()
    }
}

impl Host {
    fn new() -> Host {
        Host::with(ClientConfig::default())
    }

    fn with(config: ClientConfig) -> Host {
        Host {
            client: Client::new(config, 7, Millis(0)),
            now: 0,
            generation: 0,
            connects: Vec::new(),
            sent: Vec::new(),
            closed: Vec::new(),
            stored: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    /// A host that is connected and welcomed, with everything taken.
    fn online() -> Host {
        let mut host = Host::new();
        host.call(|client, now| client.set_token("token", now));
        host.call(|client, now| client.connect(now));
        host.welcomed();
        host.forget();
        host
    }

    fn call<R>(&mut self, call: impl FnOnce(&mut Client, Millis) -> R) -> R {
        let result = call(&mut self.client, Millis(self.now));
        self.drain();
        result
    }

    fn drain(&mut self) {
        while let Some(effect) = self.client.poll_effect() {
            match effect {
                Effect::Connect { generation } => {
                    assert!(generation > self.generation);
                    self.generation = generation;
                    self.connects.push(self.now);
                }
                Effect::Send { generation, bytes } => {
                    assert_eq!(generation, self.generation);
                    let frame = wire::binary::decode_client(&bytes, limits::FRAME_BYTES).unwrap();
                    self.sent.push(frame.body.unwrap());
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
        self.client.check_lists();
        while let Some(event) = self.client.poll_event() {
            self.events.push(event);
        }
    }

    fn forget(&mut self) {
        self.sent.clear();
        self.events.clear();
        self.connects.clear();
        self.closed.clear();
    }

    fn hear(&mut self, body: Frame) {
        let bytes = wire::binary::encode_server(&v1::ServerFrame { body: Some(body) });
        let generation = self.generation;
        self.call(|client, now| client.handle_frame(generation, &bytes, now));
    }

    fn hear_sync(&mut self, sync: v1::RoomStateSync) {
        self.hear(Frame::RoomStateSync(sync));
    }

    fn connected(&mut self) {
        let generation = self.generation;
        self.call(|client, now| client.handle_connected(generation, now));
    }

    fn welcomed(&mut self) {
        self.connected();
        self.hear(Frame::Welcome(welcome()));
    }

    fn cut(&mut self, code: u16) {
        let generation = self.generation;
        self.call(|client, now| client.handle_disconnected(generation, code, "", now));
    }

    /// Cuts the connection, waits for the next, and is welcomed.
    fn reconnect(&mut self) {
        self.cut(1006);
        let until = self.now + 60_000;
        while self.state() != ConnectionState::Connecting && self.now < until {
            self.wait_for_timer();
        }
        self.welcomed();
    }

    /// Lets time pass, timer by timer.
    fn wait(&mut self, milliseconds: u64) {
        let end = self.now + milliseconds;
        while self.client.next_deadline().is_some_and(|(at, _)| at.0 <= end) {
            self.wait_for_timer();
        }
        self.now = end;
    }

    fn wait_for_timer(&mut self) {
        let (at, _) = self.client.next_deadline().expect("a timer");
        self.now = self.now.max(at.0);
        self.call(|client, now| client.handle_timeout(now));
    }

    fn state(&self) -> ConnectionState {
        self.client.connection().state
    }

    fn room(&self, room: &str) -> RoomView<'_> {
        self.client.room(&id(room)).expect("the room is held")
    }

    fn texts(&self, room: &str) -> Vec<&str> {
        let room = self.room(room);
        (0..room.message_count()).map(|index| room.message(index).unwrap().text.as_str()).collect()
    }

    fn pending(&self, room: &str) -> Vec<&str> {
        self.room(room).pending().map(|pending| pending.text()).collect()
    }

    fn acquire(&mut self, room: &str) {
        self.call(|client, now| client.acquire(&id(room), now));
    }

    fn release(&mut self, room: &str) {
        self.call(|client, now| client.release(&id(room), now));
    }

    fn set_tier(&mut self, room: &str, tier: Tier) {
        self.call(|client, now| client.set_tier(&id(room), tier, now));
    }

    fn post(&mut self, room: &str, text: &str) -> OpId {
        self.call(|client, now| client.post(&id(room), text, Vec::new(), now)).unwrap()
    }

    /// The texts of the messages that were sent, in order.
    fn submitted(&self) -> Vec<String> {
        let text = |request: &Request| match request {
            Request::Submit(submit) => match op::parse(&submit.op) {
                Ok(Body::PostMessage(post)) => Some(post.text),
                _ => None,
            },
            _ => None,
        };
        self.sent.iter().filter_map(text).collect()
    }

    /// The tiers that were asked for, with the seq of the base: those of hellos as well.
    fn asked(&self) -> Vec<(String, Tier, Option<u64>)> {
        let asked = |want: &v1::SetTier| {
            (want.room_id.clone(), Tier::from_wire(want.tier).unwrap(), want.base.map(|base| base.seq))
        };
        let mut all = Vec::new();
        for request in &self.sent {
            match request {
                Request::SetTier(want) => all.push(asked(want)),
                Request::Hello(hello) => all.extend(hello.rooms.iter().map(asked)),
                _ => {}
            }
        }
        all.retain(|(room, ..)| !room.starts_with("inbox:"));
        all
    }

    fn has_event(&self, is_it: impl Fn(&Event) -> bool) -> bool {
        self.events.iter().any(is_it)
    }

    /// An Active room with the log's state in it.
    fn open(&mut self, log: &Log) {
        self.acquire(log.state.id().as_str());
        self.hear_sync(log.bulk(0));
        self.forget();
    }
}

fn ack(op_id: OpId, room: &str, position: Position) -> Frame {
    Frame::Ack(v1::Ack { room_id: room.into(), op_id: Some(op_id.wire()), position: Some(position.wire()) })
}

fn rejection(op_id: OpId, room: &str, code: Code, retry_after: u64) -> Frame {
    Frame::Rejection(v1::Rejection {
        room_id: room.into(),
        op_id: Some(op_id.wire()),
        code: code.number(),
        retry_after,
        ..Default::default()
    })
}

impl Log {
    fn new(room: &str, alias: u32, epoch: u64) -> Log {
        let mut state = RoomState::replica(id(room));
        state.open_epoch(epoch);
        Log { state, entries: Vec::new(), alias }
    }

    /// A room that ada and bob are in.
    fn with_two(room: &str) -> Log {
        let mut log = Log::new(room, 5, 9);
        let create = v1::CreateRoom { name: "Lobby".into(), ..Default::default() };
        log.add("ada", OpId { client: ClientId(1), counter: 1 }, Body::CreateRoom(create));
        log.add("bob", OpId { client: ClientId(2), counter: 1 }, Body::Join(v1::Join {}));
        log
    }

    fn position(&self) -> Position {
        self.state.position()
    }

    fn add(&mut self, author: &str, op_id: OpId, body: Body) {
        let ordinal = match body {
            Body::PostMessage(_) => self.state.timeline().head() + 1,
            _ => 0,
        };
        let entry = Entry {
            seq: self.position().seq + 1,
            op_id,
            author: author.into(),
            author_name: author.into(),
            at: Millis(self.position().seq + 1),
            ordinal,
            op: op::encode(body.clone()),
            body: Some(body),
        };
        self.state.apply(&entry).unwrap();
        self.entries.push(entry);
    }

    /// Somebody else writes.
    fn say(&mut self, text: &str) {
        let counter = self.position().seq + 1;
        self.add("bob", OpId { client: ClientId(2), counter }, op::post(text));
    }

    /// What the client has written is accepted.
    fn accept(&mut self, op_id: OpId, text: &str) {
        self.add("ada", op_id, op::post(text));
    }

    fn frame(&self, data: Data) -> v1::RoomStateSync {
        v1::RoomStateSync {
            alias: self.alias,
            epoch: self.position().epoch,
            sequence_number: self.position().seq,
            data: Some(data),
            ..Default::default()
        }
    }

    fn answer(&self, tier: Tier, data: Data) -> v1::RoomStateSync {
        let tier = Some(tier.wire().into());
        v1::RoomStateSync { room_id: self.state.id().as_str().into(), tier, ..self.frame(data) }
    }

    /// Entries after this seq.
    fn entries_after(&self, seq: u64) -> Data {
        let entries = self.entries[seq as usize..].iter().map(Entry::wire).collect();
        Data::DeltaUpdate(v1::DeltaUpdate { entries })
    }

    /// A delta as everybody gets it.
    fn delta(&self, after: u64) -> v1::RoomStateSync {
        self.frame(self.entries_after(after))
    }

    /// The delta that answers a resumption.
    fn resumed(&self, after: u64) -> v1::RoomStateSync {
        self.answer(Tier::Active, self.entries_after(after))
    }

    fn bulk(&self, reason: u32) -> v1::RoomStateSync {
        let snapshot = Some(self.state.snapshot(SnapshotFor::Client { messages: 100 }));
        self.answer(Tier::Active, Data::BulkSync(v1::BulkSync { part: 0, parts: 1, snapshot, reason }))
    }

    /// The state in two parts: members in the first, messages in the second.
    fn halves(&self) -> [v1::RoomStateSync; 2] {
        let whole = self.state.snapshot(SnapshotFor::Client { messages: 100 });
        let second = v1::RoomSnapshot { timeline: whole.timeline.clone(), ..Default::default() };
        let first = v1::RoomSnapshot { timeline: Vec::new(), ..whole };
        let part = |part, snapshot| {
            let bulk = v1::BulkSync { part, parts: 2, snapshot: Some(snapshot), reason: 0 };
            self.answer(Tier::Active, Data::BulkSync(bulk))
        };
        [part(0, first), part(1, second)]
    }

    fn light(&self) -> v1::StateUpdate {
        v1::StateUpdate {
            info: self.state.info().cloned(),
            room_config: Some(*self.state.config()),
            user_count: Some(2),
            member_count: Some(self.state.members().len() as u32),
            messages: Some(self.state.timeline().head()),
            recent: self.state.timeline().iter().map(|message| (**message).clone()).collect(),
            ..Default::default()
        }
    }

    fn projection(&self) -> v1::RoomStateSync {
        self.answer(Tier::Background, Data::StateUpdate(self.light()))
    }

    fn heartbeat(&self) -> v1::RoomStateSync {
        let messages = self.state.timeline().head();
        let state_digest = Some(self.state.digest().value());
        self.frame(Data::Heartbeat(v1::RoomHeartbeat { messages, state_digest, ..Default::default() }))
    }
}
