//! The world's server half: nodes that do what connections and rooms want, over the store that they share.

use enfilade_core::authority::{Appended, ConnId, ConnectionEffect, Effect, Identity, Lane, RoomRequest};
use enfilade_core::v1::room_state_sync::Data;
use enfilade_core::v1::server_frame::Body as Frame;
use enfilade_core::{Code, Millis, OpId, RoomId, Tier, UserId, limits, v1, wire};

use super::World;
use super::network::{Answer, Arrival, Life, Request};
use super::node::{BACKLOG, Socket};

impl World {
    pub(super) fn crash_node(&mut self, node: usize) {
        if !self.nodes[node].is_up {
            return;
        }
        let life = self.life(node);
        self.nodes[node].crash();
        self.nodes[node].skew = 0;
        for client in 0..self.clients.len() {
            let place = self.clients[client].link.and_then(|link| link.place);
            if place.is_some_and(|(at, _)| at == life) {
                self.cut(client);
            }
        }
        let at = self.now + 1 + self.pick(3_000) as u64;
        self.network.push(at, Arrival::Restart { node });
    }

    pub(super) fn hang_up(&mut self, node: usize, conn: ConnId) {
        if let Some(socket) = self.nodes[node].conns.get_mut(&conn) {
            socket.connection.handle_closed();
            self.serve_conn(node, conn);
            self.nodes[node].conns.remove(&conn);
        }
    }

    /// Does what a connection wants.
    pub(super) fn serve_conn(&mut self, node: usize, conn: ConnId) {
        let now = self.node_clock(node);
        while let Some(socket) = self.nodes[node].conns.get_mut(&conn)
            && let Some(effect) = socket.connection.poll_effect()
        {
            match effect {
                ConnectionEffect::Verify { token } => {
                    let identity = self.verify(&token, now);
                    let config = self.nodes[node].config.clone();
                    if let Some(socket) = self.nodes[node].conns.get_mut(&conn) {
                        socket.connection.handle_verified(identity, &config, now);
                    }
                }
                ConnectionEffect::Send(frame) => self.send(node, conn, Lane::Control, &frame),
                ConnectionEffect::Room { room, request } => {
                    let Some(actor) = socket.connection.actor().cloned() else { continue };
                    if let RoomRequest::Submit(submit) = &request
                        && let Ok(op_id) = OpId::parse(submit.op_id.as_ref())
                        && self.reference.holds(&room, op_id)
                    {
                        self.mark("an operation that is in the log comes again");
                    }
                    let seed = self.rng.next_u64();
                    let authority = self.nodes[node].authority(&room, seed, now);
                    match request {
                        RoomRequest::SetTier(want) => authority.set_tier(conn, &actor, want, now),
                        RoomRequest::Submit(submit) => authority.submit(conn, &actor, submit, now),
                        RoomRequest::History(request) => authority.history(conn, &actor, request),
                        RoomRequest::Signal(client, signal) => {
                            authority.signal(conn, &actor, client, signal, now)
                        }
                        RoomRequest::Leave => authority.unsubscribe(conn, now),
                    }
                    self.serve_room(node, &room);
                }
                ConnectionEffect::RoomList(request) => {
                    let rooms = self.store.rooms().filter(|(room, _)| room.inbox_owner().is_none());
                    let rooms = rooms.map(|(_, room)| room.summary.clone()).collect();
                    let list = v1::RoomList { request_id: request.request_id, rooms, ..Default::default() };
                    socket.connection.send(Frame::RoomList(list));
                }
                ConnectionEffect::Close(code) => self.close(node, conn, code),
            }
        }
    }

    /// What signs tokens is the server's business; here a token is good if it was issued and has not ended, mostly.
    fn verify(&mut self, token: &str, now: Millis) -> Result<Identity, Code> {
        let ends = self.tokens.get(token).copied().ok_or(Code::TokenInvalid)?;
        let refused = if Millis(ends) <= now { Some(Code::TokenExpired) } else { None };
        let refused = refused.or((self.is_disturbed && self.pick(8) == 0).then_some(Code::TokenInvalid));
        if let Some(code) = refused {
            self.mark("a token is refused");
            return Err(code);
        }
        let name = token.split('#').next().unwrap_or_default().to_owned();
        Ok(Identity { user: UserId::new(&name)?, name, expires: Millis(ends) })
    }

    /// Closes a connection, after all that was sent on it.
    fn close(&mut self, node: usize, conn: ConnId, code: Code) {
        let Some(socket) = self.nodes[node].conns.get_mut(&conn) else { return };
        socket.connection.handle_closed();
        self.serve_conn(node, conn);
        let Some(socket) = self.nodes[node].conns.remove(&conn) else { return };
        let Socket { client, app, generation, .. } = socket;
        let (at, code) = (self.delay(), code as u16);
        self.network.push_stream((conn.0, true), at, Arrival::Closed { client, app, generation, code });
    }

    /// Sends every client away, as a server does that is about to stop.
    pub(super) fn drain(&mut self, node: usize) {
        if !self.nodes[node].runs() {
            return;
        }
        let conns: Vec<ConnId> = self.nodes[node].conns.keys().copied().collect();
        for conn in conns {
            let reconnect_after = self.pick(3_000) as u64;
            let code = Code::Draining.number();
            let advice = v1::Advice { code, reconnect_after, close: true, ..Default::default() };
            let frame = v1::ServerFrame { body: Some(Frame::Advice(advice)) };
            self.send(node, conn, Lane::Control, &frame);
            self.close(node, conn, Code::GoingAway);
            self.mark("a server drains");
        }
    }

    fn send(&mut self, node: usize, conn: ConnId, lane: Lane, frame: &v1::ServerFrame) {
        let Some(socket) = self.nodes[node].conns.get_mut(&conn) else { return };
        let Some(backlog) = &mut socket.backlog else { return self.transmit(node, conn, frame) };
        match lane {
            // It may be dropped.
            Lane::Signal => {}
            // The newest stands for those before it.
            Lane::State => {
                let before = backlog.len();
                backlog.retain(|(waiting, older)| *waiting != Lane::State || key(older) != key(frame));
                let is_replaced = backlog.len() < before;
                backlog.push_back((lane, frame.clone()));
                if is_replaced {
                    self.mark("a waiting state frame is replaced by a newer one");
                }
            }
            Lane::Control | Lane::Log => {
                backlog.push_back((lane, frame.clone()));
                if backlog.len() > BACKLOG {
                    self.mark("a slow consumer is closed");
                    self.close(node, conn, Code::SlowConsumer);
                }
            }
        }
    }

    fn transmit(&mut self, node: usize, conn: ConnId, frame: &v1::ServerFrame) {
        let Some(socket) = self.nodes[node].conns.get(&conn) else { return };
        let (client, app, generation) = (socket.client, socket.app, socket.generation);
        let at = self.delay();
        let bytes = wire::binary::encode_server(frame);
        self.network.push_stream((conn.0, true), at, Arrival::ToClient { client, app, generation, bytes });
    }

    /// A client's socket takes nothing for a time.
    pub(super) fn stall(&mut self, client: usize, time: u64) {
        let Some((life, conn)) = self.place(client) else { return };
        let Some(socket) = self.nodes[life.node].conns.get_mut(&conn) else { return };
        if socket.backlog.is_none() {
            socket.backlog = Some(Default::default());
            self.unrest(self.now + time);
            self.network.push(self.now + time, Arrival::Drained { life, conn });
            self.mark("a consumer stalls");
        }
    }

    /// It takes what has waited.
    pub(super) fn drained(&mut self, node: usize, conn: ConnId) {
        let socket = self.nodes[node].conns.get_mut(&conn);
        let Some(backlog) = socket.and_then(|socket| socket.backlog.take()) else { return };
        self.mark("a slow consumer catches up");
        backlog.into_iter().for_each(|(_, frame)| self.transmit(node, conn, &frame));
    }

    /// Sends a shared frame to one of its receivers, which it reaches once, or not as it should.
    fn send_shared(&mut self, node: usize, conn: ConnId, lane: Lane, frame: &v1::ServerFrame) {
        // Changes of presence are not repeated on one connection, so only a cut loses them.
        let is_recoverable = match &frame.body {
            Some(Frame::RoomStateSync(sync)) => match &sync.data {
                Some(Data::StateUpdate(update)) => update.presence.is_none(),
                _ => true,
            },
            _ => false,
        };
        let Some(socket) = self.nodes[node].conns.get(&conn) else { return };
        let (client, app, generation) = (socket.client, socket.app, socket.generation);
        if !self.is_disturbed || !is_recoverable || self.pick(4) > 0 {
            return self.send(node, conn, lane, frame);
        }
        match self.pick(3) {
            0 => self.mark("a frame is lost"),
            1 => {
                self.mark("a frame is doubled");
                self.send(node, conn, lane, frame);
                self.send(node, conn, lane, frame);
            }
            _ => {
                self.mark("a frame is overtaken");
                let at = self.delay();
                let bytes = wire::binary::encode_server(frame);
                self.network.push(at, Arrival::ToClient { client, app, generation, bytes });
            }
        }
    }

    /// Does what a room wants.
    pub(super) fn serve_room(&mut self, node: usize, room: &RoomId) {
        while let Some(authority) = self.nodes[node].rooms.get_mut(room)
            && let Some(effect) = authority.poll_effect()
        {
            match effect {
                Effect::Send { conn, lane, frame } => self.send(node, conn, lane, &frame),
                Effect::Broadcast { tier, lane, frame } => {
                    if tier == Tier::Background {
                        let checked = self.spend(node, room, &frame);
                        self.note(checked);
                    }
                    let receives =
                        |(_, socket): &(&ConnId, &Socket)| socket.channels.get(room) == Some(&tier);
                    let conns = self.nodes[node].conns.iter().filter(receives);
                    let conns: Vec<ConnId> = conns.map(|(conn, _)| *conn).collect();
                    conns.into_iter().for_each(|conn| self.send_shared(node, conn, lane, &frame));
                }
                Effect::Subscribe { conn, tier } => {
                    if let Some(socket) = self.nodes[node].conns.get_mut(&conn) {
                        match tier {
                            Some(tier) => socket.channels.insert(room.clone(), tier),
                            None => socket.channels.remove(room),
                        };
                    }
                }
                Effect::Deliver { to, reply, body } => {
                    let seed = self.rng.next_u64();
                    let (now, other) = (self.node_clock(node), to.clone());
                    self.nodes[node].authority(&to, seed, now).deliver(reply, body, now);
                    self.serve_room(node, &other);
                }
                Effect::Delivered { reply, settled } => {
                    if let Some(authority) = self.nodes[node].rooms.get_mut(&reply.room) {
                        authority.handle_delivered(reply.delivery, settled);
                        self.serve_room(node, &reply.room);
                    }
                }
                Effect::AskFollows { inbox, user } => {
                    let seed = self.rng.next_u64();
                    let now = self.node_clock(node);
                    self.nodes[node].authority(&inbox, seed, now).ask_follows(room.clone(), user);
                    self.serve_room(node, &inbox);
                }
                Effect::Follows { room, follower, user, follows } => {
                    let now = self.node_clock(node);
                    if let Some(authority) = self.nodes[node].rooms.get_mut(&room) {
                        authority.handle_follows(&follower, user, follows, now);
                        self.serve_room(node, &room);
                    }
                }
                Effect::Occupied { .. } => {}
                Effect::Load => {
                    self.purses.remove(&(node, room.clone()));
                    if authority.state().exists() {
                        self.mark("a node reloads a room");
                    }
                    self.request(node, room, Request::Load);
                }
                Effect::Claim { epoch } => self.request(node, room, Request::Claim(epoch)),
                Effect::Append { expected, batch, summary, amended, changes: _ } => {
                    self.request(node, room, Request::Append { expected, batch, summary, amended });
                }
                Effect::Read { after } => self.request(node, room, Request::Read { after }),
                Effect::ReadHistory { reader, from_seq } => {
                    self.request(node, room, Request::History { reader, from_seq });
                }
                Effect::PutSnapshot { position, snapshot } => {
                    self.request(node, room, Request::PutSnapshot { position, snapshot });
                }
                Effect::Find { .. } => unreachable!("fewer clients than a room remembers"),
                Effect::PublishLease { record } => self.request(node, room, Request::PutLease { record }),
                Effect::ReadLeases => self.request(node, room, Request::Leases),
            }
        }
    }

    // ------------------------------------------------------------------------------------------------ store

    fn request(&mut self, node: usize, room: &RoomId, request: Request) {
        let (at, life) = (self.delay(), self.life(node));
        self.network.push(at, Arrival::Ask { life, room: room.clone(), request });
    }

    /// The store does what is asked, even for a node that has crashed in the meantime.
    pub(super) fn ask(&mut self, life: Life, room: RoomId, request: Request) {
        let fails = self.failing > 0;
        if fails {
            self.unrest(self.now);
        }
        self.failing = self.failing.saturating_sub(1);
        // A failure may come before or after the deed.
        let is_done = !fails || self.pick(2) == 0;
        let store = &mut self.store;
        let answer = match request {
            Request::Load => {
                let has_snapshot = store.has_snapshot(&room);
                let loaded = (!fails).then(|| store.load(&room));
                if has_snapshot && !fails {
                    self.mark("a room is loaded from a snapshot");
                }
                Answer::Loaded(loaded)
            }
            Request::Claim(epoch) => {
                let claimed = is_done.then(|| store.claim(&room, epoch));
                Answer::Claimed(claimed.filter(|_| !fails))
            }
            Request::Append { expected, batch, summary, amended } => {
                let appended = is_done.then(|| store.append(&room, expected, batch, *summary, amended));
                match &appended {
                    Some(Appended::Done) => {
                        self.appended(&room);
                        self.hint(&room);
                        if fails {
                            self.mark("an append fails after it was done");
                        }
                    }
                    Some(_) => self.mark("a node finds itself overtaken at an append"),
                    None => self.mark("an append fails before it is done"),
                }
                Answer::Appended(appended.filter(|_| !fails).unwrap_or(Appended::Failed))
            }
            Request::Read { after } => Answer::Entries((!fails).then(|| store.read(&room, after))),
            Request::History { reader, from_seq } => {
                let stretch = store.history(&room, from_seq, reader.before_seq);
                Answer::History(reader, (!fails).then_some(stretch))
            }
            Request::PutSnapshot { position, snapshot } => {
                if is_done && store.put_snapshot(&room, position, snapshot) {
                    self.mark("a snapshot is stored");
                }
                return;
            }
            Request::PutLease { record } => {
                let node = format!("node-{}-{}", life.node, life.start);
                store.put_lease(&room, &node, record, Millis(self.now + limits::LEASE));
                return;
            }
            Request::Leases => Answer::Leases(store.leases(&room, Millis(self.now))),
        };
        let at = self.delay();
        self.network.push(at, Arrival::Answer { life, room, answer });
    }

    /// Tells the nodes that a log has grown: late, twice, or not at all.
    pub(super) fn hint(&mut self, room: &RoomId) {
        let head = self.store.room(room).map(|room| room.head()).unwrap_or_default();
        for node in 0..self.nodes.len() {
            let times = [0, 1, 1, 1, 1, 2][self.pick(6)];
            if times == 0 {
                self.mark("a hint is lost");
            }
            for _ in 0..times {
                let at = self.delay();
                self.network.push(at, Arrival::Hint { node, room: room.clone(), head });
            }
        }
    }

    pub(super) fn answer(&mut self, node: usize, room: &RoomId, answer: Answer) {
        let now = self.node_clock(node);
        let Some(authority) = self.nodes[node].rooms.get_mut(room) else { return };
        let mut is_broken = false;
        match answer {
            Answer::Loaded(Some(loaded)) => is_broken = authority.handle_loaded(loaded, now).is_err(),
            Answer::Loaded(None) => authority.handle_not_loaded(now),
            Answer::Claimed(epoch) => authority.handle_claimed(epoch, now),
            Answer::Appended(appended) => authority.handle_appended(appended, now),
            Answer::Entries(page) => authority.handle_entries(page, now),
            Answer::History(reader, stretch) => authority.handle_history(reader, stretch, now),
            Answer::Leases(records) => authority.handle_leases(records, now),
        }
        if is_broken {
            authority.give_up(Code::StoreUnavailable);
        }
        self.serve_room(node, room);
        if is_broken {
            self.nodes[node].rooms.remove(room);
        }
    }
}

/// By which a state frame replaces the one before it: the room.
fn key(frame: &v1::ServerFrame) -> Option<u32> {
    match &frame.body {
        Some(Frame::RoomStateSync(sync)) => Some(sync.alias),
        _ => None,
    }
}
