//! The world's server half: nodes that do what connections and rooms want, over the store that they share.

use enfilade_core::authority::{Appended, ConnId, ConnectionEffect, Effect, Identity, RoomRequest};
use enfilade_core::v1::room_state_sync::Data;
use enfilade_core::v1::server_frame::Body as Frame;
use enfilade_core::{Code, Millis, RoomId, UserId, limits, v1, wire};

use super::World;
use super::network::{Answer, Arrival, Life, Request};
use super::node::Socket;

impl World {
    pub(super) fn crash_node(&mut self, node: usize) {
        if !self.nodes[node].is_up {
            return;
        }
        let life = self.life(node);
        self.nodes[node].crash();
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
        let now = Millis(self.now);
        while let Some(socket) = self.nodes[node].conns.get_mut(&conn)
            && let Some(effect) = socket.connection.poll_effect()
        {
            match effect {
                ConnectionEffect::Verify { token } => {
                    let expires = Millis(u64::MAX);
                    let identity = UserId::new(&token).map(|user| Identity { name: token, user, expires });
                    let config = self.nodes[node].config.clone();
                    if let Some(socket) = self.nodes[node].conns.get_mut(&conn) {
                        socket.connection.handle_verified(identity, &config, now);
                    }
                }
                ConnectionEffect::Send(frame) => self.send(node, conn, &frame),
                ConnectionEffect::Room { room, request } => {
                    let Some(actor) = socket.connection.actor().cloned() else { continue };
                    let seed = self.rng.next_u64();
                    let authority = self.nodes[node].authority(&room, seed, now.0);
                    match request {
                        RoomRequest::SetTier(want) => {
                            self.report.resumed += u64::from(want.base.is_some());
                            authority.set_tier(conn, &actor, want, now);
                        }
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
                ConnectionEffect::Close(code) => {
                    let (client, generation) = (socket.client, socket.generation);
                    let at = self.delay();
                    let code = code as u16;
                    let closed = Arrival::Closed { client, generation, code };
                    self.network.push_stream((conn.0, true), at, closed);
                    self.nodes[node].conns.remove(&conn);
                }
            }
        }
    }

    fn send(&mut self, node: usize, conn: ConnId, frame: &v1::ServerFrame) {
        let Some(socket) = self.nodes[node].conns.get(&conn) else { return };
        let (client, generation) = (socket.client, socket.generation);
        let at = self.delay();
        let bytes = wire::binary::encode_server(frame);
        self.network.push_stream((conn.0, true), at, Arrival::ToClient { client, generation, bytes });
    }

    /// Sends a shared frame to one of its receivers, which it reaches once, or not as it should.
    fn send_shared(&mut self, node: usize, conn: ConnId, frame: &v1::ServerFrame) {
        // Changes of presence are not repeated on one connection, so only a cut loses them.
        let is_recoverable = match &frame.body {
            Some(Frame::RoomStateSync(sync)) => match &sync.data {
                Some(Data::StateUpdate(update)) => update.presence.is_none(),
                _ => true,
            },
            _ => false,
        };
        let Some(socket) = self.nodes[node].conns.get(&conn) else { return };
        let (client, generation) = (socket.client, socket.generation);
        if !self.is_disturbed || !is_recoverable || self.pick(4) > 0 {
            return self.send(node, conn, frame);
        }
        self.report.disturbed += 1;
        match self.pick(3) {
            0 => {}
            1 => {
                self.send(node, conn, frame);
                self.send(node, conn, frame);
            }
            _ => {
                let at = self.delay();
                let bytes = wire::binary::encode_server(frame);
                self.network.push(at, Arrival::ToClient { client, generation, bytes });
            }
        }
    }

    /// Does what a room wants.
    pub(super) fn serve_room(&mut self, node: usize, room: &RoomId) {
        while let Some(authority) = self.nodes[node].rooms.get_mut(room)
            && let Some(effect) = authority.poll_effect()
        {
            match effect {
                Effect::Send { conn, frame, .. } => self.send(node, conn, &frame),
                Effect::Broadcast { tier, frame, .. } => {
                    let receives =
                        |(_, socket): &(&ConnId, &Socket)| socket.channels.get(room) == Some(&tier);
                    let conns = self.nodes[node].conns.iter().filter(receives);
                    let conns: Vec<ConnId> = conns.map(|(conn, _)| *conn).collect();
                    conns.into_iter().for_each(|conn| self.send_shared(node, conn, &frame));
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
                    let (now, other) = (self.now, to.clone());
                    self.nodes[node].authority(&to, seed, now).deliver(reply, body, Millis(now));
                    self.serve_room(node, &other);
                }
                Effect::Delivered { reply, settled } => {
                    if let Some(authority) = self.nodes[node].rooms.get_mut(&reply.room) {
                        authority.handle_delivered(reply.delivery, settled);
                        self.serve_room(node, &reply.room);
                    }
                }
                Effect::Occupied { .. } => {}
                Effect::Load => self.request(node, room, Request::Load),
                Effect::Claim { epoch } => self.request(node, room, Request::Claim(epoch)),
                Effect::Append { expected, batch, summary } => {
                    self.request(node, room, Request::Append { expected, batch, summary });
                }
                Effect::Read { after } => self.request(node, room, Request::Read { after }),
                Effect::ReadHistory { reader, from_seq } => {
                    self.request(node, room, Request::History { reader, from_seq });
                }
                Effect::PutSnapshot { position, snapshot } => {
                    self.request(node, room, Request::PutSnapshot { position, snapshot });
                }
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
        self.failing = self.failing.saturating_sub(1);
        self.report.failed += u64::from(fails);
        // A failure may come before or after the deed.
        let is_done = !fails || self.pick(2) == 0;
        let store = &mut self.store;
        let answer = match request {
            Request::Load => Answer::Loaded((!fails).then(|| store.load(&room))),
            Request::Claim(epoch) => {
                let claimed = is_done.then(|| store.claim(&room, epoch));
                Answer::Claimed(claimed.filter(|_| !fails))
            }
            Request::Append { expected, batch, summary } => {
                let appended = is_done.then(|| store.append(&room, expected, batch, *summary));
                if appended == Some(Appended::Done) {
                    self.hint(&room);
                }
                Answer::Appended(appended.filter(|_| !fails).unwrap_or(Appended::Failed))
            }
            Request::Read { after } => Answer::Entries((!fails).then(|| store.read(&room, after))),
            Request::History { reader, from_seq } => {
                let log = store.room(&room).map(|room| room.log.as_slice()).unwrap_or_default();
                let end = (reader.before_seq as usize - 1).min(log.len());
                let start = (from_seq as usize - 1).min(end);
                let entries = log[start..end].to_vec();
                Answer::History(reader, (!fails).then_some(entries))
            }
            Request::PutSnapshot { position, snapshot } => {
                if is_done {
                    store.put_snapshot(&room, position, snapshot);
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
    fn hint(&mut self, room: &RoomId) {
        let head = self.store.room(room).map(|room| room.head()).unwrap_or_default();
        for node in 0..self.nodes.len() {
            let times = [0, 1, 1, 1, 1, 2][self.pick(6)];
            for _ in 0..times {
                let at = self.delay();
                self.network.push(at, Arrival::Hint { node, room: room.clone(), head });
            }
        }
    }

    pub(super) fn answer(&mut self, node: usize, room: &RoomId, answer: Answer) {
        let now = Millis(self.now);
        let Some(authority) = self.nodes[node].rooms.get_mut(room) else { return };
        let mut is_broken = false;
        match answer {
            Answer::Loaded(Some(loaded)) => is_broken = authority.handle_loaded(loaded, now).is_err(),
            Answer::Loaded(None) => is_broken = true,
            Answer::Claimed(epoch) => authority.handle_claimed(epoch, now),
            Answer::Appended(appended) => authority.handle_appended(appended, now),
            Answer::Entries(page) => authority.handle_entries(page, now),
            Answer::History(reader, entries) => authority.handle_history(reader, entries),
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
