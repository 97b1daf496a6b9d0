//! A server in the process: the authorities of all its rooms, over logs in memory.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::log::{self, Log, Made};
use super::{CONNECTIONS, ROOMS};
use crate::authority::{
    Appended, Authority, AuthorityConfig, ConnId, Connection, ConnectionConfig, ConnectionEffect, Effect,
    Identity, Loaded, RoomRequest,
};
use crate::v1::server_frame::Body as Frame;
use crate::{ClientId, Code, Digest, Millis, Position, Rng, RoomId, Tier, UserId, limits, policy, v1, wire};

/// What the host does for the server, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send this message on a connection.
    Send {
        /// Which.
        conn: ConnId,
        /// The frame, binary.
        bytes: Vec<u8>,
    },
    /// Close a connection. It counts as closed already.
    Close {
        /// Which.
        conn: ConnId,
        /// The close code.
        code: u16,
    },
    /// Store a record, for [`Server::restore`]; `None` deletes it. What was stored is not told to anybody before this
    /// came out, so a host that stores before it sends loses nothing that was acknowledged.
    Persist {
        /// Its name, which begins with `alone/`.
        key: String,
        /// Its bytes.
        value: Option<Vec<u8>>,
    },
}

/// A server without sockets, for clients of the same process. Everybody is who they say they are: a token is the user's
/// id, or that and a display name after a space.
///
/// The host calls inputs, each with the time, then [`poll`](Server::poll) until it is empty, and
/// [`handle_timeout`](Server::handle_timeout) at [`next_deadline`](Server::next_deadline). Equal seeds and inputs give
/// equal outputs.
#[derive(Debug)]
pub struct Server {
    config: ConnectionConfig,
    rng: Rng,
    now: Millis,
    rooms: BTreeMap<RoomId, Room>,
    connections: BTreeMap<ConnId, Connection>,
    last_conn: u64,
    last_alias: u32,
    /// Rooms that may want something.
    awake: BTreeSet<RoomId>,
    heartbeat: Option<Millis>,
    /// Names of the records that the host holds.
    stored: Vec<String>,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
struct Room {
    authority: Authority,
    log: Log,
    channels: BTreeMap<ConnId, Tier>,
}

impl Server {
    /// A server without rooms.
    pub fn new(seed: u64, now: Millis) -> Server {
        Server {
            config: ConnectionConfig { agent: "enfilade-alone".into(), ..ConnectionConfig::default() },
            rng: Rng::new(seed),
            now,
            rooms: BTreeMap::new(),
            connections: BTreeMap::new(),
            last_conn: 0,
            last_alias: 0,
            awake: BTreeSet::new(),
            heartbeat: None,
            stored: Vec::new(),
            outputs: VecDeque::new(),
        }
    }

    /// A server with the rooms that [`Output::Persist`] has stored. Other records are left alone; a log of which a
    /// record is missing or damaged ends before it.
    pub fn restore(records: impl IntoIterator<Item = (String, Vec<u8>)>, seed: u64, now: Millis) -> Server {
        let mut server = Server::new(seed, now);
        let records = records.into_iter().inspect(|(key, _)| server.stored.push(key.clone()));
        let logs = log::read(records.collect::<Vec<_>>());
        for (room, log) in logs.into_iter().take(ROOMS) {
            server.open(&room, log);
        }
        server.settle();
        server
    }

    /// A new connection, whose first frame is a hello. `None` when there are as many as there may be.
    pub fn connect(&mut self, now: Millis) -> Option<ConnId> {
        self.tick(now);
        if self.connections.len() >= CONNECTIONS {
            return None;
        }
        self.last_conn += 1;
        let conn = ConnId(self.last_conn);
        self.connections.insert(conn, Connection::new(conn, self.now));
        self.heartbeat.get_or_insert(self.now + self.config.heartbeat_interval);
        Some(conn)
    }

    /// A binary message has come.
    pub fn handle_frame(&mut self, conn: ConnId, bytes: &[u8], now: Millis) {
        self.tick(now);
        let frame = wire::binary::decode_client(bytes, self.config.frame_bytes);
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        connection.handle_frame(frame, &self.config, self.now);
        self.serve(conn);
        self.settle();
    }

    /// The other end is gone.
    pub fn disconnect(&mut self, conn: ConnId, now: Millis) {
        self.tick(now);
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.handle_closed();
            self.serve(conn);
            self.connections.remove(&conn);
            self.settle();
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Millis) {
        self.tick(now);
        let due = |room: &Room| room.authority.next_deadline().is_some_and(|(at, _)| at <= now);
        for (id, room) in self.rooms.iter_mut().filter(|(_, room)| due(room)) {
            room.authority.handle_timeout(now);
            self.awake.insert(id.clone());
        }
        if self.heartbeat.take_if(|at| *at <= now).is_some() {
            self.beat();
        }
        self.settle();
    }

    /// When [`handle_timeout`](Server::handle_timeout) wants to be called.
    pub fn next_deadline(&self) -> Option<Millis> {
        let rooms = self.rooms.values().filter_map(|room| room.authority.next_deadline());
        rooms.map(|(at, _)| at).chain(self.heartbeat).min()
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The rooms that have a log, without inboxes, ascending by id.
    pub fn rooms(&self) -> impl Iterator<Item = &RoomId> {
        let has_log = |(_, room): &(&RoomId, &Room)| room.log.head().seq > 0;
        self.rooms.iter().filter(has_log).map(|(id, _)| id).filter(|id| !id.is_implicit())
    }

    /// Where a room's log ends.
    pub fn head(&self, room: &RoomId) -> Option<Position> {
        Some(self.rooms.get(room)?.log.head())
    }

    /// The digest of a room's state, by which a replica at the same position can be compared with it.
    pub fn digest(&self, room: &RoomId) -> Option<Digest> {
        Some(self.rooms.get(room)?.authority.state().digest())
    }

    /// What a client has made in a room, in order: to be [taken over](crate::client::Client::resubmit) into another
    /// server's room of the same id.
    pub fn made(&self, room: &RoomId, client: ClientId) -> Vec<Made> {
        self.rooms.get(room).map_or_else(Vec::new, |room| room.log.made_by(client))
    }

    /// Deletes a room, whose content another server has taken over. Has no effect while it is open.
    pub fn forget(&mut self, id: &RoomId) -> bool {
        let Some(room) = self.rooms.get(id).filter(|room| room.channels.is_empty()) else { return false };
        let keys = room.log.keys(id, &self.stored);
        self.rooms.remove(id);
        self.stored.retain(|key| !keys.contains(key));
        self.outputs.extend(keys.into_iter().map(|key| Output::Persist { key, value: None }));
        true
    }

    fn tick(&mut self, now: Millis) {
        self.now = self.now.max(now);
    }

    fn open(&mut self, id: &RoomId, log: Log) {
        self.last_alias += 1;
        let heartbeat_interval = self.config.heartbeat_interval;
        let config = AuthorityConfig { node: "alone".into(), alias: self.last_alias, heartbeat_interval };
        let authority = Authority::new(id.clone(), config, self.rng.next_u64(), self.now);
        self.rooms.insert(id.clone(), Room { authority, log, channels: BTreeMap::new() });
        self.awake.insert(id.clone());
    }

    /// The room, made at its first use. `None` when there are as many as there may be.
    fn room(&mut self, id: &RoomId) -> Option<&mut Room> {
        if !self.rooms.contains_key(id) {
            if self.rooms.len() >= ROOMS {
                return None;
            }
            self.open(id, Log::default());
        }
        self.awake.insert(id.clone());
        // An authority takes nothing before it has its log.
        self.settle_room(id);
        self.rooms.get_mut(id)
    }

    /// Does what a connection wants.
    fn serve(&mut self, conn: ConnId) {
        while let Some(effect) = self.connections.get_mut(&conn).and_then(Connection::poll_effect) {
            match effect {
                ConnectionEffect::Verify { token } => {
                    let identity = identity(&token);
                    if let Some(connection) = self.connections.get_mut(&conn) {
                        connection.handle_verified(identity, &self.config, self.now);
                    }
                }
                ConnectionEffect::Send(frame) => self.send(conn, &frame),
                ConnectionEffect::Room { room, request } => self.ask(conn, &room, request),
                ConnectionEffect::RoomList(request) => {
                    let list = self.list(conn, &request);
                    if let Some(connection) = self.connections.get_mut(&conn) {
                        connection.send(Frame::RoomList(list));
                    }
                }
                ConnectionEffect::Close(code) => {
                    self.connections.remove(&conn);
                    self.outputs.push_back(Output::Close { conn, code: code.number() as u16 });
                }
            }
        }
    }

    fn ask(&mut self, conn: ConnId, id: &RoomId, request: RoomRequest) {
        let Some(actor) = self.connections.get(&conn).and_then(|connection| connection.actor().cloned())
        else {
            return;
        };
        let now = self.now;
        let Some(room) = self.room(id) else {
            let code = Code::TooManyRooms;
            let (room_id, reason) = (id.as_str().into(), code.text().into());
            let error = v1::Error { code: code.number(), room_id, reason, ..Default::default() };
            if let Some(connection) = self.connections.get_mut(&conn) {
                connection.send(Frame::Error(error));
            }
            return;
        };
        match request {
            RoomRequest::SetTier(want) => room.authority.set_tier(conn, &actor, want, now),
            RoomRequest::Submit(submit) => room.authority.submit(conn, &actor, submit, now),
            RoomRequest::History(request) => room.authority.history(conn, &actor, request),
            RoomRequest::Signal(client, signal) => room.authority.signal(conn, &actor, client, signal, now),
            RoomRequest::Leave => room.authority.unsubscribe(conn, now),
        }
        self.settle_room(id);
    }

    /// Until no room wants anything any more.
    fn settle(&mut self) {
        while let Some(room) = self.awake.pop_first() {
            self.settle_room(&room);
        }
    }

    fn settle_room(&mut self, id: &RoomId) {
        while let Some(effect) = self.rooms.get_mut(id).and_then(|room| room.authority.poll_effect()) {
            self.act(id, effect);
        }
    }

    fn act(&mut self, id: &RoomId, effect: Effect) {
        let now = self.now;
        let Some(room) = self.rooms.get_mut(id) else { return };
        match effect {
            Effect::Load => {
                let entries = room.log.entries_after(0);
                let loaded = Loaded { epoch: room.log.epoch(), snapshot: None, entries };
                // Entries were read when the log was; those that don't follow each other leave the room unloaded.
                let _ = room.authority.handle_loaded(loaded, now);
            }
            Effect::Claim { epoch } => {
                let record = room.log.open(id, epoch);
                room.authority.handle_claimed(epoch, now);
                self.persist(record);
            }
            Effect::Append { batch, .. } => {
                if room.log.takes(batch.len()) {
                    let record = room.log.append(id, batch);
                    self.persist(record);
                    self.with_authority(id, |authority| authority.handle_appended(Appended::Done, now));
                } else {
                    room.authority.handle_appended(Appended::Failed, now);
                }
            }
            Effect::Read { after } => {
                let page = (room.log.head(), room.log.entries_after(after.seq));
                room.authority.handle_entries(Some(page), now);
            }
            Effect::ReadHistory { reader, from_seq } => {
                let stretch = room.log.stretch(from_seq, reader.before_seq);
                room.authority.handle_history(reader, Some(stretch), now);
            }
            // Nobody is forgotten here: there are not as many clients.
            Effect::Find { op_id, .. } => room.authority.handle_found(op_id, Some(None), now),
            Effect::Subscribe { conn, tier } => match tier {
                Some(tier) => drop(room.channels.insert(conn, tier)),
                None => drop(room.channels.remove(&conn)),
            },
            Effect::Send { conn, frame, .. } => self.send(conn, &frame),
            Effect::Broadcast { tier, frame, .. } => {
                let of_tier = room.channels.iter().filter(|(_, at)| **at == tier);
                let receivers: Vec<ConnId> = of_tier.map(|(conn, _)| *conn).collect();
                receivers.into_iter().for_each(|conn| self.send(conn, &frame));
            }
            Effect::Deliver { to, reply, body } => {
                if let Some(room) = self.room(&to) {
                    room.authority.deliver(reply, body, now);
                }
            }
            Effect::Delivered { reply, settled } => {
                self.with_authority(&reply.room, |authority| {
                    authority.handle_delivered(reply.delivery, settled)
                });
                self.awake.insert(reply.room);
            }
            Effect::AskFollows { inbox, user } => {
                if let Some(room) = self.room(&inbox) {
                    room.authority.ask_follows(id.clone(), user);
                    self.awake.insert(inbox);
                }
            }
            Effect::Follows { room, follower, user, follows } => {
                self.with_authority(&room, |authority| {
                    authority.handle_follows(&follower, user, follows, now)
                });
                self.awake.insert(room);
            }
            // One node, whose logs are in memory.
            Effect::PutSnapshot { .. }
            | Effect::PublishLease { .. }
            | Effect::ReadLeases
            | Effect::Occupied { .. } => {}
        }
    }

    fn with_authority(&mut self, id: &RoomId, call: impl FnOnce(&mut Authority)) {
        if let Some(room) = self.rooms.get_mut(id) {
            call(&mut room.authority);
        }
    }

    fn persist(&mut self, (key, value): (String, Vec<u8>)) {
        self.stored.push(key.clone());
        self.outputs.push_back(Output::Persist { key, value: Some(value) });
    }

    fn send(&mut self, conn: ConnId, frame: &v1::ServerFrame) {
        if self.connections.contains_key(&conn) {
            let bytes = wire::binary::encode_server(frame);
            self.outputs.push_back(Output::Send { conn, bytes });
        }
    }

    /// The rooms that the user may see, ascending by id, as many as fit into a page.
    fn list(&mut self, conn: ConnId, request: &v1::RoomListRequest) -> v1::RoomList {
        use prost::Message as _;
        let mut list = v1::RoomList { request_id: request.request_id, ..Default::default() };
        let Some(actor) = self.connections.get(&conn).and_then(|connection| connection.actor().cloned())
        else {
            return list;
        };
        let user = UserId::new(actor.user()).ok().map(|user| RoomId::inbox(&user));
        let inbox = user.and_then(|inbox| self.rooms.get(&inbox)).map(|room| room.authority.state().inbox());
        let mut bytes = 0;
        for (id, room) in &self.rooms {
            let state = room.authority.state();
            let follows =
                inbox.and_then(|inbox| inbox.following(id.as_str())).is_some_and(|known| known.following);
            let Some(info) = state.info().filter(|_| !id.is_implicit()) else { continue };
            if !follows && (info.visibility() != v1::Visibility::Public || !policy::may_read(&actor, state)) {
                continue;
            }
            list.total += 1;
            let row = v1::RoomSummary { following: Some(follows), ..state.summary() };
            bytes += row.encoded_len();
            let fits = list.rooms.len() < limits::ROOM_LIST_PAGE && bytes <= limits::ROOM_LIST_BYTES;
            if id.as_str() <= request.cursor.as_str() || !list.next.is_empty() {
                continue;
            }
            match fits {
                true => list.rooms.push(row),
                false => list.next = list.rooms.last().map(|last| last.room_id.clone()).unwrap_or_default(),
            }
        }
        list
    }

    /// The heads of Cached rooms, and the end of connections that have fallen silent.
    fn beat(&mut self) {
        let ids: Vec<ConnId> = self.connections.keys().copied().collect();
        for conn in ids {
            let Some(connection) = self.connections.get_mut(&conn) else { continue };
            connection.handle_heartbeat(&self.config, self.now);
            let cached: Vec<RoomId> = connection.cached().cloned().collect();
            for id in cached {
                let Some(room) = self.rooms.get(&id) else { continue };
                let state = room.authority.state();
                let is_private =
                    state.info().is_some_and(|info| info.visibility() == v1::Visibility::Private);
                connection.handle_cached_head(&id, state.position(), state.timeline().head(), is_private);
            }
            self.serve(conn);
        }
        if !self.connections.is_empty() {
            self.heartbeat = Some(self.now + self.config.heartbeat_interval);
        }
    }
}

fn identity(token: &str) -> Result<Identity, Code> {
    let (id, name) = token.split_once(' ').unwrap_or((token, token));
    let user = UserId::new(id).map_err(|_| Code::TokenInvalid)?;
    Ok(Identity { user, name: name.to_string(), expires: Millis(limits::INTEGER_BOUND - 1) })
}
