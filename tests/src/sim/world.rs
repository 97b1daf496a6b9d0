//! The world: it moves things between clients, nodes and store, and lets time pass.

use std::collections::BTreeMap;

use enfilade_core::authority::{ConnId, Connection};
use enfilade_core::client::{Effect as ClientEffect, Network as Device};
use enfilade_core::op::{Body, post};
use enfilade_core::pending::OpState;
use enfilade_core::v1::room_state_sync::Data;
use enfilade_core::v1::server_frame::Body as Frame;
use enfilade_core::{Code, Millis, OpId, Position, Rng, RoomId, Tier, limits, v1, wire};

use super::Transition;
use super::client::{ClientHost, Link};
use super::model::Reference;
use super::network::{Arrival, Life, Network};
use super::node::{Node, Socket};
use super::store::Store;

/// Everything that there is.
#[derive(Debug)]
pub struct World {
    /// The time, in milliseconds.
    pub now: u64,
    /// Two people.
    pub clients: Vec<ClientHost>,
    /// Two server processes.
    pub nodes: Vec<Node>,
    /// What they share.
    pub store: Store,
    /// Rooms that somebody has made.
    pub rooms: Vec<RoomId>,
    /// What the logs mean, computed the slow way.
    pub reference: Reference,
    pub(super) network: Network,
    pub(super) rng: Rng,
    pub(super) failing: u32,
    pub(super) is_disturbed: bool,
    posts: u64,
    next_conn: u64,
    pub(super) report: Report,
}

/// What a run has seen, so that a test can tell that it saw something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Entries in all logs.
    pub entries: u64,
    /// Messages that were acknowledged.
    pub acked: u64,
    /// Messages that were taken back.
    pub cancelled: u64,
    /// Appends that lost a race.
    pub conflicts: u64,
    /// Connections that came about.
    pub connections: u64,
    /// Frames that were lost, doubled or overtaken.
    pub disturbed: u64,
    /// Requests to the store that failed.
    pub failed: u64,
    /// Times that a whole state was sent.
    pub bulks: u64,
    /// Times that a client asked to be brought up to date, having missed something.
    pub resumed: u64,
}

/// The longest that coming to rest may take: several back-offs, put-offs and heartbeats.
const REST: u64 = 180_000;
/// From which on a run is not going to come to rest.
const ARRIVALS: u32 = 200_000;

impl World {
    /// Two people and two nodes that have done nothing yet.
    pub fn new(seed: u64) -> World {
        let mut rng = Rng::new(seed);
        let now = 1_000_000;
        let clients = ["ada", "bob"].map(|user| ClientHost::new(user, rng.next_u64(), now)).into();
        let mut world = World {
            now,
            clients,
            nodes: vec![Node::new(0), Node::new(1)],
            store: Store::default(),
            rooms: Vec::new(),
            reference: Reference::default(),
            network: Network::default(),
            rng,
            failing: 0,
            is_disturbed: false,
            posts: 0,
            next_conn: 1,
            report: Report::default(),
        };
        world.nodes.iter_mut().for_each(|node| node.next_beat = now + super::node::HEARTBEAT);
        (0..2).for_each(|client| world.serve_client(client));
        world
    }

    /// What has happened.
    pub fn report(&self) -> Report {
        Report {
            entries: self.store.rooms().map(|(_, room)| room.log.len() as u64).sum(),
            acked: self.clients.iter().map(|client| client.acked.len() as u64).sum(),
            cancelled: self.clients.iter().map(|client| client.cancelled.len() as u64).sum(),
            conflicts: self.store.conflicts,
            ..self.report.clone()
        }
    }

    pub(super) fn pick(&mut self, bound: usize) -> usize {
        self.rng.below(bound as u64) as usize
    }

    pub(super) fn some_room(&mut self) -> Option<RoomId> {
        let index = self.pick(self.rooms.len().max(1));
        self.rooms.get(index).cloned()
    }

    pub(super) fn cancellable(&self, client: usize) -> Option<OpId> {
        let client = &self.clients[client].client;
        let pending = |room: &RoomId| client.room(room).into_iter().flat_map(|view| view.pending());
        let mut all = self.rooms.iter().flat_map(pending);
        all.find(|op| op.is_cancellable && matches!(op.body, Body::PostMessage(_))).map(|op| op.op_id)
    }

    /// Does one step.
    pub fn apply(&mut self, transition: Transition) {
        let now = Millis(self.now);
        match transition {
            Transition::Wait(time) => self.wait(time),
            Transition::Create { client } => {
                let name = format!("room {}", self.rooms.len());
                let made = self.clients[client].client.create_room(&name, v1::Visibility::Public, "", now);
                if let Ok((room, _)) = made {
                    self.rooms.push(room);
                }
                self.serve_client(client);
            }
            Transition::Open { client, room } => {
                let host = &mut self.clients[client];
                host.client.acquire(&room, now);
                host.held.push(room);
                self.serve_client(client);
            }
            Transition::Release { client, room } => {
                let host = &mut self.clients[client];
                if let Some(place) = host.held.iter().position(|held| *held == room) {
                    host.held.remove(place);
                    host.client.release(&room, now);
                }
                self.serve_client(client);
            }
            Transition::SetTier { client, room, tier } => {
                self.clients[client].client.set_tier(&room, tier, now);
                self.serve_client(client);
            }
            Transition::Join { client, room } => {
                let _ = self.clients[client].client.join(&room, now);
                self.serve_client(client);
            }
            Transition::Leave { client, room } => {
                let _ = self.clients[client].client.leave(&room, now);
                self.serve_client(client);
            }
            Transition::Post { client, room, mention } => {
                self.posts += 1;
                let text = format!("message {}", self.posts);
                let mentions = if mention { vec!["ada".into(), "bob".into()] } else { Vec::new() };
                let host = &mut self.clients[client];
                if let Ok(op_id) = host.client.post(&room, &text, mentions, now) {
                    host.posted.insert(op_id, (room, text));
                }
                self.serve_client(client);
            }
            Transition::Cancel { client, op_id } => {
                let host = &mut self.clients[client];
                if host.client.cancel(op_id, now).is_ok() {
                    host.cancelled.insert(op_id);
                }
                self.serve_client(client);
            }
            Transition::MarkRead { client, room } => {
                self.clients[client].client.mark_read(&room, now);
                self.serve_client(client);
            }
            Transition::LoadOlder { client, room } => {
                self.clients[client].client.load_older(&room, 10, now);
                self.serve_client(client);
            }
            Transition::Cut { client } => self.cut(client),
            Transition::Offline { client } => {
                self.clients[client].client.handle_network(Device::Offline, now);
                self.serve_client(client);
                self.cut(client);
            }
            Transition::Online { client } => self.online(client),
            Transition::CrashClient { client } => {
                self.cut_silently(client);
                // Nothing reaches an app that is gone, and the next one numbers its sockets anew.
                self.network.lose(|arrival| arrival.is_for_client(client));
                let seed = self.rng.next_u64();
                self.clients[client].crash(seed, self.now);
                self.serve_client(client);
            }
            Transition::CrashNode { node } => self.crash_node(node),
            Transition::FailStore { requests } => self.failing = requests,
            Transition::Disturb { is_disturbed } => self.is_disturbed = is_disturbed,
            Transition::Unload { node } => {
                self.nodes[node].rooms.retain(|_, authority| !authority.is_idle());
            }
        }
        self.reference.follow(&self.store);
    }

    /// Ends all faults, lets everything come to rest, and says what does not.
    ///
    /// # Errors
    /// What is still under way after a long time.
    pub fn settle(&mut self) -> Result<(), String> {
        self.failing = 0;
        self.is_disturbed = false;
        for client in 0..self.clients.len() {
            self.online(client);
        }
        self.wait(REST);
        self.reference.follow(&self.store);
        for host in &self.clients {
            let rooms = self.rooms.iter().filter_map(|room| host.client.room(room));
            for view in rooms {
                if let Some(op) = view.pending().next() {
                    return Err(format!("{}: {op:?} in {} is pending for ever", host.user, view.id()));
                }
            }
        }
        Ok(())
    }

    // ------------------------------------------------------------------------------------------------ time

    fn wait(&mut self, time: u64) {
        let end = self.now + time;
        let mut arrivals = 0;
        loop {
            let due = [self.network.next_at(), self.next_deadline()].into_iter().flatten().min();
            match due {
                Some(at) if at <= end => self.now = self.now.max(at),
                _ => break,
            }
            arrivals += 1;
            assert!(arrivals < ARRIVALS, "the world spins at {}", self.now);
            // What has arrived comes before what is due, as the client's contract says.
            if let Some(arrival) = self.network.pop(self.now) {
                self.arrive(arrival);
            } else {
                self.time_out();
            }
        }
        self.now = end;
    }

    fn next_deadline(&self) -> Option<u64> {
        let clients = self.clients.iter().filter_map(|host| host.client.next_deadline()).map(|(at, _)| at.0);
        let up = || self.nodes.iter().filter(|node| node.is_up);
        let rooms = up().flat_map(|node| node.rooms.values()).filter_map(|room| room.next_deadline());
        clients.chain(rooms.map(|(at, _)| at.0)).chain(up().map(|node| node.next_beat)).min()
    }

    fn time_out(&mut self) {
        let now = Millis(self.now);
        for client in 0..self.clients.len() {
            if self.clients[client].client.next_deadline().is_some_and(|(at, _)| at <= now) {
                self.clients[client].client.handle_timeout(now);
                self.serve_client(client);
            }
        }
        for node in 0..self.nodes.len() {
            if !self.nodes[node].is_up {
                continue;
            }
            let due = |(_, room): &(&RoomId, &enfilade_core::authority::Authority)| {
                room.next_deadline().is_some_and(|(at, _)| at <= now)
            };
            let due: Vec<RoomId> =
                self.nodes[node].rooms.iter().filter(due).map(|(id, _)| id.clone()).collect();
            for room in due {
                if let Some(authority) = self.nodes[node].rooms.get_mut(&room) {
                    authority.handle_timeout(now);
                }
                self.serve_room(node, &room);
            }
            if self.nodes[node].next_beat <= self.now {
                self.beat(node);
            }
        }
    }

    fn beat(&mut self, node: usize) {
        let now = Millis(self.now);
        self.nodes[node].next_beat = self.now + super::node::HEARTBEAT;
        let conns: Vec<ConnId> = self.nodes[node].conns.keys().copied().collect();
        for conn in conns {
            let config = self.nodes[node].config.clone();
            let Some(socket) = self.nodes[node].conns.get_mut(&conn) else { continue };
            if socket.connection.is_open() {
                socket.connection.send(Frame::Heartbeat(v1::ServerHeartbeat { time: now.0 }));
            }
            socket.connection.handle_heartbeat(&config, now);
            let cached: Vec<RoomId> = socket.connection.cached().cloned().collect();
            for room in cached {
                let Some(stored) = self.store.room(&room) else { continue };
                socket.connection.handle_cached_head(
                    &room,
                    stored.head(),
                    stored.summary.messages,
                    stored.summary.visibility() == v1::Visibility::Private,
                );
            }
            self.serve_conn(node, conn);
        }
    }

    /// How long something takes: mostly little, sometimes long.
    pub(super) fn delay(&mut self) -> u64 {
        let longest = [2, 2, 5, 30, 400][self.pick(5)];
        self.now + 1 + self.pick(longest) as u64
    }

    // --------------------------------------------------------------------------------------------- arrivals

    fn arrive(&mut self, arrival: Arrival) {
        let now = Millis(self.now);
        match arrival {
            Arrival::Open { client, generation, node } => self.open(client, generation, node),
            Arrival::Opened { client, generation } => {
                self.report.connections += 1;
                self.clients[client].client.handle_connected(generation, now);
                self.serve_client(client);
            }
            Arrival::Closed { client, generation, code } => {
                self.clients[client].client.handle_disconnected(generation, code, "", now);
                self.serve_client(client);
            }
            Arrival::Hangup { life, conn } if self.lives(life) => self.hang_up(life.node, conn),
            Arrival::ToNode { life, conn, bytes } if self.lives(life) => {
                let frame = wire::binary::decode_client(&bytes, limits::FRAME_BYTES);
                let config = self.nodes[life.node].config.clone();
                if let Some(socket) = self.nodes[life.node].conns.get_mut(&conn) {
                    socket.connection.handle_frame(frame, &config, now);
                    self.serve_conn(life.node, conn);
                }
            }
            Arrival::ToClient { client, generation, bytes } => {
                let before = self.remember(client, &bytes);
                self.clients[client].client.handle_frame(generation, &bytes, now);
                self.report.bulks += u64::from(before);
                self.serve_client(client);
            }
            Arrival::Ask { life, room, request } => self.ask(life, room, request),
            Arrival::Answer { life, room, answer } if self.lives(life) => {
                self.answer(life.node, &room, answer)
            }
            Arrival::Hint { node, room, head } => {
                if let Some(authority) = self.nodes[node].rooms.get_mut(&room) {
                    authority.handle_hint(head);
                    self.serve_room(node, &room);
                }
            }
            Arrival::Restart { node } => self.nodes[node].restart(self.now),
            Arrival::Hangup { .. } | Arrival::ToNode { .. } | Arrival::Answer { .. } => {}
        }
    }

    fn lives(&self, life: Life) -> bool {
        let node = &self.nodes[life.node];
        node.is_up && node.start == life.start
    }

    pub(super) fn life(&self, node: usize) -> Life {
        Life { node, start: self.nodes[node].start }
    }

    fn open(&mut self, client: usize, generation: u64, node: usize) {
        let is_wanted = self.clients[client].link.is_some_and(|link| link.generation == generation);
        if !is_wanted {
            return;
        }
        if !self.nodes[node].is_up {
            let at = self.delay();
            self.clients[client].link = None;
            return self.network.push(at, Arrival::Closed { client, generation, code: 1006 });
        }
        let conn = ConnId(self.next_conn);
        self.next_conn += 1;
        let connection = Connection::new(conn, Millis(self.now));
        let socket = Socket { connection, client, generation, channels: BTreeMap::new() };
        self.nodes[node].conns.insert(conn, socket);
        let place = Some((self.life(node), conn));
        self.clients[client].link = Some(Link { generation, place });
        let at = self.delay();
        self.network.push_stream((conn.0, true), at, Arrival::Opened { client, generation });
    }

    /// Notes acknowledgements and refusals as the client hears them. Says whether it is a whole state.
    fn remember(&mut self, client: usize, bytes: &[u8]) -> bool {
        let host = &mut self.clients[client];
        let frame = wire::binary::decode_server(bytes, limits::FRAME_BYTES).ok().and_then(|frame| frame.body);
        match frame {
            Some(Frame::Ack(ack)) => {
                let op_id = OpId::parse(ack.op_id.as_ref());
                let room = RoomId::new(&ack.room_id);
                if let (Ok(op_id), Ok(room), Some(position)) = (op_id, room, ack.position)
                    && host.posted.contains_key(&op_id)
                {
                    host.acked.insert(op_id, (room, position.into()));
                }
            }
            Some(Frame::Rejection(rejection)) => {
                let code = Code::from_number(rejection.code);
                if let (Ok(op_id), Some(code)) = (OpId::parse(rejection.op_id.as_ref()), code)
                    && code.retry() != enfilade_core::Retry::Later
                {
                    host.rejected.insert(op_id, code);
                }
            }
            Some(Frame::RoomStateSync(sync)) => return matches!(sync.data, Some(Data::BulkSync(_))),
            _ => {}
        }
        false
    }

    // ---------------------------------------------------------------------------------------------- clients

    /// Does what a client wants.
    fn serve_client(&mut self, client: usize) {
        while let Some(effect) = self.clients[client].client.poll_effect() {
            match effect {
                ClientEffect::Connect { generation } => {
                    let node = self.pick(self.nodes.len());
                    self.clients[client].attempts.push(self.now);
                    self.clients[client].link = Some(Link { generation, place: None });
                    let at = self.delay();
                    self.network.push(at, Arrival::Open { client, generation, node });
                }
                ClientEffect::Send { generation, bytes } => {
                    let Some(Link { generation: current, place: Some((life, conn)) }) =
                        self.clients[client].link
                    else {
                        continue;
                    };
                    if current == generation {
                        let at = self.delay();
                        self.network.push_stream((conn.0, false), at, Arrival::ToNode { life, conn, bytes });
                    }
                }
                ClientEffect::Close { generation, .. } => {
                    if let Some(link) =
                        self.clients[client].link.take_if(|link| link.generation == generation)
                        && let Some((life, conn)) = link.place
                    {
                        let at = self.delay();
                        self.network.push_stream((conn.0, false), at, Arrival::Hangup { life, conn });
                    }
                }
                ClientEffect::Persist { key, value } => {
                    let durable = &mut self.clients[client].durable;
                    match value {
                        Some(value) => durable.insert(key, value),
                        None => durable.remove(&key),
                    };
                }
                ClientEffect::Load { key } => {
                    let record = self.clients[client].durable.get(&key).cloned();
                    self.clients[client].client.handle_loaded(&key, record.as_deref(), Millis(self.now));
                }
            }
        }
        while self.clients[client].client.poll_event().is_some() {}
    }

    fn online(&mut self, client: usize) {
        self.clients[client].nudges += 1;
        self.clients[client].client.handle_network(Device::Online, Millis(self.now));
        self.serve_client(client);
    }

    /// Cuts a client's connection: what is under way is lost, and both ends hear of it.
    pub(super) fn cut(&mut self, client: usize) {
        let Some(link) = self.clients[client].link else { return };
        self.cut_silently(client);
        let at = self.delay();
        self.network.push(at, Arrival::Closed { client, generation: link.generation, code: 1006 });
    }

    fn cut_silently(&mut self, client: usize) {
        let Some(link) = self.clients[client].link.take() else { return };
        let Some((life, conn)) = link.place else { return };
        self.network.lose(|arrival| match arrival {
            Arrival::ToNode { conn: of, .. } => *of == conn,
            Arrival::ToClient { client: of, generation, .. } | Arrival::Opened { client: of, generation } => {
                *of == client && *generation == link.generation
            }
            _ => false,
        });
        let at = self.delay();
        self.network.push(at, Arrival::Hangup { life, conn });
    }

    /// Whether this operation of a client is still on its way.
    pub(super) fn is_pending(&self, client: usize, op_id: OpId) -> bool {
        let pending = self.clients[client].client.pending_op(op_id);
        pending.is_some_and(|op| !matches!(op.state, OpState::Acknowledged(_)))
    }

    /// The newest position of a room.
    pub(super) fn head(&self, room: &RoomId) -> Position {
        self.store.room(room).map(|room| room.head()).unwrap_or_default()
    }
}

/// A message that the simulation's own tests post.
pub fn message(text: &str) -> Body {
    post(text)
}

/// The tier of a room as a client has it.
pub fn tier(host: &ClientHost, room: &RoomId) -> Tier {
    host.client.room(room).map_or(Tier::Unloaded, |view| view.tier())
}
