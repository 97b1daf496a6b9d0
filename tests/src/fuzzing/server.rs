//! A server's end of one connection, and the authorities behind it, over a store in memory: whatever a client sends.

use std::collections::BTreeMap;

use enfilade_core::authority::{
    Appended, Authority, AuthorityConfig, ConnId, Connection, ConnectionConfig, ConnectionEffect, Effect,
    Identity, Loaded, RoomRequest, Stretch,
};
use enfilade_core::limits::FRAME_BYTES;
use enfilade_core::v1::client_frame::Body as Request;
use enfilade_core::wire::{Codec, binary, decode_client, decode_server, encode_server};
use enfilade_core::{Code, Entry, Millis, Position, RoomId, UserId, op, v1};

use super::{Script, frames, texts};
use crate::vectors::Direction;

/// A timer that is due again and again at the same time never lets the host sleep.
const TIMEOUTS_AT_ONCE: usize = 100;
/// Rooms that wake each other for ever never let the host sleep either.
const EFFECTS_AT_ONCE: usize = 100_000;

/// Reads the bytes as a list of steps: most are frames, some what time, store and other nodes do.
pub(super) fn session(bytes: &[u8]) {
    let mut script = Script(bytes);
    let mut host = Host::new();
    while let Some(step) = script.byte() {
        match step % 16 {
            0..=7 => host.take(Codec::Binary, script.chunk()),
            8 | 9 => host.take(Codec::Json, script.chunk()),
            10 => host.hello(script.byte().unwrap_or(0)),
            11 => {
                let seconds = u64::from(script.byte().unwrap_or(0));
                host.pass(seconds * 1_000);
            }
            12 => host.others_append(script.chunk()),
            13 => host.store_fails = !host.store_fails,
            14 => host.let_go(),
            _ => host.reconnect(),
        }
        host.settle();
    }
    host.store_fails = false;
    host.pass(600_000);
}

/// One script with all frames in both codecs, and one for each frame in a room that was made before.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut create = vec![10, 0];
    let body = op::Body::CreateRoom(v1::CreateRoom { name: "Lobby".into(), ..Default::default() });
    for (counter, body) in [(1, body), (2, op::post("hello @grace"))] {
        let submit = v1::Submit {
            room_id: "lobby".into(),
            op_id: Some(v1::OpId { client: 4_503_599_627_370_497, counter }),
            op: op::encode(body),
            ..Default::default()
        };
        Script::write(
            &mut create,
            0,
            &binary::encode_client(&v1::ClientFrame { body: Some(Request::Submit(submit)) }),
        );
    }
    let binary = frames(Direction::Client);
    let text = texts(Direction::Client);
    let steps = binary.iter().map(|frame| (0, frame)).chain(text.iter().map(|frame| (8, frame)));
    let mut all = create.clone();
    let mut seeds = Vec::new();
    for (step, frame) in steps.filter(|(_, frame)| frame.len() < 4_096) {
        Script::write(&mut all, step, frame);
        let mut single = create.clone();
        Script::write(&mut single, step, frame);
        single.extend([11, 3]);
        Script::write(&mut single, 12, &op::encode(op::post("from elsewhere")));
        single.extend([13, 11, 1, 13, 14, 15, 10, 0]);
        Script::write(&mut single, step, frame);
        seeds.push(single);
    }
    seeds.push(all);
    seeds
}

/// A room's log, as a store keeps it.
#[derive(Default)]
struct Log {
    epoch: u64,
    snapshot: Option<Vec<u8>>,
    entries: Vec<Vec<u8>>,
    amended: BTreeMap<u64, Vec<u8>>,
}

impl Log {
    fn head(&self) -> Position {
        Position { epoch: self.epoch, seq: self.entries.len() as u64 }
    }

    fn after(&self, position: Position) -> Vec<Vec<u8>> {
        let from = usize::try_from(position.seq).unwrap_or(usize::MAX).min(self.entries.len());
        if position.epoch == self.epoch { self.entries[from..].to_vec() } else { Vec::new() }
    }
}

struct Host {
    connection: Connection,
    connections: u64,
    config: ConnectionConfig,
    rooms: BTreeMap<RoomId, Authority>,
    logs: BTreeMap<RoomId, Log>,
    now: Millis,
    store_fails: bool,
}

impl Host {
    fn new() -> Host {
        let now = Millis(1_756_471_800_000);
        Host {
            connection: Connection::new(ConnId(1), now),
            connections: 1,
            config: ConnectionConfig::default(),
            rooms: BTreeMap::new(),
            logs: BTreeMap::new(),
            now,
            store_fails: false,
        }
    }

    fn take(&mut self, codec: Codec, bytes: &[u8]) {
        let frame = decode_client(codec, bytes, self.config.frame_bytes);
        self.connection.handle_frame(frame, &self.config, self.now);
    }

    fn hello(&mut self, kind: u8) {
        let hello = v1::Hello {
            version_min: 1000,
            version_max: 1000 + u32::from(kind),
            token: "token".into(),
            client_id: 4_503_599_627_370_497,
            ..Default::default()
        };
        let frame = v1::ClientFrame { body: Some(Request::Hello(hello)) };
        self.connection.handle_frame(Ok(frame), &self.config, self.now);
    }

    fn reconnect(&mut self) {
        self.connection.handle_closed();
        self.settle();
        self.connections += 1;
        self.connection = Connection::new(ConnId(self.connections), self.now);
    }

    /// The node lets go of all rooms, as after a crash, and reads them again.
    fn let_go(&mut self) {
        self.rooms.clear();
        for id in self.logs.keys().cloned().collect::<Vec<_>>() {
            self.authority(&id);
        }
    }

    /// Another node has appended this operation to every log.
    fn others_append(&mut self, op: &[u8]) {
        let Ok(_) = op::parse(op) else { return };
        for (id, log) in &mut self.logs {
            let Some(room) = self.rooms.get_mut(id).filter(|_| log.epoch != 0) else { continue };
            let entry = v1::Entry {
                seq: log.head().seq + 1,
                op_id: Some(v1::OpId { client: 5, counter: log.head().seq + 1 }),
                author: "grace".into(),
                author_name: "Grace".into(),
                at: self.now.0,
                op: op.to_vec(),
                ordinal: 0,
            };
            // What the other node appends is an entry that folds.
            let mut state = room.state().clone();
            let after = log.after(state.position());
            let folds =
                after.iter().all(|bytes| Entry::decode(bytes).is_ok_and(|entry| state.apply(&entry).is_ok()));
            let is_post = matches!(op::parse(op), Ok(op::Body::PostMessage(_)));
            let ordinal = if is_post { state.timeline().head() + 1 } else { 0 };
            let entry = Entry::parse(v1::Entry { ordinal, ..entry });
            let Ok(entry) = entry else { continue };
            if folds && state.apply(&entry).is_ok() {
                log.entries.push(entry.encode());
                room.handle_hint(log.head());
            }
        }
    }

    fn pass(&mut self, milliseconds: u64) {
        let end = self.now + milliseconds;
        let mut at_once = 0;
        loop {
            let due = self.rooms.iter().filter_map(|(id, room)| Some((room.next_deadline()?, id)));
            let next = due.min_by_key(|((at, _), _)| *at).filter(|((at, _), _)| *at <= end);
            let Some(((at, timer), id)) = next.map(|(due, id)| (due, id.clone())) else { break };
            at_once = if at > self.now { 0 } else { at_once + 1 };
            assert!(at_once < TIMEOUTS_AT_ONCE, "{timer:?} of {id} is due for ever");
            self.now = self.now.max(at);
            if let Some(room) = self.rooms.get_mut(&id) {
                room.handle_timeout(self.now);
            }
            self.settle();
        }
        self.now = end;
        self.connection.handle_heartbeat(&self.config, self.now);
        self.settle();
    }

    /// Does what connection and rooms want until they want nothing.
    fn settle(&mut self) {
        for _ in 0..EFFECTS_AT_ONCE {
            if let Some(effect) = self.connection.poll_effect() {
                self.serve_connection(effect);
                continue;
            }
            let effect = self.rooms.iter_mut().find_map(|(id, room)| Some((id.clone(), room.poll_effect()?)));
            match effect {
                Some((id, effect)) => self.serve_room(&id, effect),
                None => return,
            }
        }
        panic!("there is always something more to do");
    }

    fn serve_connection(&mut self, effect: ConnectionEffect) {
        let conn = self.connection.id();
        match effect {
            ConnectionEffect::Verify { token } => {
                let identity = Identity {
                    user: UserId::new("ada").expect("an id"),
                    name: "Ada".into(),
                    expires: self.now + 3_600_000,
                };
                let verified = if token.is_empty() { Err(Code::TokenInvalid) } else { Ok(identity) };
                self.connection.handle_verified(verified, &self.config, self.now);
            }
            ConnectionEffect::Send(frame) => check(&frame),
            ConnectionEffect::RoomList(_) | ConnectionEffect::Close(_) => {}
            ConnectionEffect::Room { room, request } => {
                let now = self.now;
                let Some(actor) = self.connection.actor().cloned() else {
                    panic!("a room is asked by nobody")
                };
                let room = self.authority(&room);
                match request {
                    RoomRequest::SetTier(want) => room.set_tier(conn, &actor, want, now),
                    RoomRequest::Submit(submit) => room.submit(conn, &actor, submit, now),
                    RoomRequest::History(request) => room.history(conn, &actor, request),
                    RoomRequest::Signal(client, signal) => room.signal(conn, &actor, client, signal, now),
                    RoomRequest::Leave => room.unsubscribe(conn, now),
                }
            }
        }
    }

    fn serve_room(&mut self, id: &RoomId, effect: Effect) {
        let now = self.now;
        let store_fails = self.store_fails;
        let log = self.logs.entry(id.clone()).or_default();
        let Some(room) = self.rooms.get_mut(id) else { return };
        match effect {
            Effect::Load => {
                let snapshot = log.snapshot.clone();
                let from =
                    if snapshot.is_some() { room_position(&snapshot) } else { Position::start(log.epoch) };
                let loaded = Loaded { epoch: log.epoch, snapshot, entries: log.after(from) };
                room.handle_loaded(loaded, now).expect("what an authority has stored, it reads");
            }
            Effect::Claim { .. } if store_fails => room.handle_claimed(None, now),
            Effect::Claim { epoch } => {
                log.epoch = if log.epoch == 0 { epoch } else { log.epoch };
                room.handle_claimed(log.epoch, now);
            }
            Effect::Append { .. } if store_fails => room.handle_appended(Appended::Failed, now),
            Effect::Append { expected, batch, amended, .. } if expected == log.head() => {
                log.entries.extend(batch);
                log.amended.extend(amended);
                room.handle_appended(Appended::Done, now);
            }
            Effect::Append { expected, .. } => {
                let conflict = Appended::Conflict { head: log.head(), missing: log.after(expected) };
                room.handle_appended(conflict, now);
            }
            Effect::Read { .. } if store_fails => room.handle_entries(None, now),
            Effect::Read { after } => room.handle_entries(Some((log.head(), log.after(after))), now),
            Effect::ReadHistory { reader, .. } if store_fails => room.handle_history(reader, None, now),
            Effect::ReadHistory { reader, from_seq } => {
                let entries = log.after(Position { epoch: log.epoch, seq: from_seq.saturating_sub(1) });
                let amended = log.amended.range(from_seq..reader.before_seq);
                let amended = amended.map(|(_, bytes)| bytes.clone()).collect();
                room.handle_history(reader, Some(Stretch { entries, amended }), now);
            }
            Effect::PutSnapshot { snapshot, .. } => log.snapshot = Some(snapshot),
            Effect::Send { frame, .. } | Effect::Broadcast { frame, .. } => check(&frame),
            Effect::Deliver { to, reply, body } => self.authority(&to).deliver(reply, body, now),
            Effect::Delivered { reply, settled } => {
                if let Some(room) = self.rooms.get_mut(&reply.room) {
                    room.handle_delivered(reply.delivery, settled);
                }
            }
            Effect::AskFollows { inbox, user } => self.authority(&inbox).ask_follows(id.clone(), user),
            Effect::Follows { room, follower, user, follows } => {
                if let Some(room) = self.rooms.get_mut(&room) {
                    room.handle_follows(&follower, user, follows, now);
                }
            }
            Effect::Find { op_id, .. } => room.handle_found(op_id, (!store_fails).then_some(None), now),
            Effect::ReadLeases => room.handle_leases(Vec::new(), now),
            Effect::Subscribe { .. } | Effect::PublishLease { .. } | Effect::Occupied { .. } => {}
        }
    }

    fn authority(&mut self, id: &RoomId) -> &mut Authority {
        let alias = self.rooms.len() as u32 + 1;
        let now = self.now;
        self.rooms.entry(id.clone()).or_insert_with(|| {
            let config = AuthorityConfig { node: "n1".into(), alias, heartbeat_interval: 25_000 };
            Authority::new(id.clone(), config, 7, now)
        })
    }
}

fn room_position(snapshot: &Option<Vec<u8>>) -> Position {
    let unpacked = snapshot.as_deref().map(enfilade_core::state::decompress);
    unpacked
        .and_then(Result::ok)
        .and_then(|snapshot| snapshot.position)
        .map(Position::from)
        .unwrap_or_default()
}

/// What a server sends is a frame in both codecs, and none that its clients refuse for its size.
fn check(frame: &v1::ServerFrame) {
    let bytes = encode_server(Codec::Binary, frame);
    assert_eq!(decode_server(Codec::Binary, &bytes, FRAME_BYTES).as_ref(), Ok(frame));
    // Refused only for integers that JSON does not hold, which a client may have sent, and is told of.
    if let Ok(again) = decode_server(Codec::Json, &encode_server(Codec::Json, frame), usize::MAX) {
        assert_eq!(again, *frame);
    }
}
