//! Two sessions and a real server's state machines over a log in memory.

use super::*;
use crate::authority::{
    Appended, Authority, AuthorityConfig, ConnId, Connection, ConnectionConfig, ConnectionEffect,
    Effect as Act, Identity, Loaded, RoomRequest,
};

#[derive(Default)]
struct Server {
    now: u64,
    /// What is on disk: epoch and entries of each room.
    logs: BTreeMap<RoomId, (u64, Vec<Vec<u8>>)>,
    /// What is in memory.
    rooms: BTreeMap<RoomId, Authority>,
    channels: BTreeMap<(RoomId, ConnId), Tier>,
    connections: BTreeMap<ConnId, Connection>,
    sent: Vec<(ConnId, Frame)>,
    /// What one room has for another gets lost.
    loses_deliveries: bool,
}

impl Server {
    fn open(&mut self, conn: u64) {
        self.connections.insert(ConnId(conn), Connection::new(ConnId(conn), Millis(self.now)));
    }

    fn hear(&mut self, conn: u64, bytes: &[u8]) {
        let frame = wire::binary::decode_client(bytes, limits::FRAME_BYTES);
        let config = ConnectionConfig::default();
        let Some(connection) = self.connections.get_mut(&ConnId(conn)) else { return };
        connection.handle_frame(frame, &config, Millis(self.now));
        self.serve(ConnId(conn));
    }

    fn serve(&mut self, conn: ConnId) {
        while let Some(effect) = self.connections.get_mut(&conn).and_then(Connection::poll_effect) {
            match effect {
                ConnectionEffect::Verify { token } => {
                    let user = UserId::new(&token).unwrap();
                    let identity = Identity { user, name: token, expires: Millis(u64::MAX) };
                    let connection = self.connections.get_mut(&conn).unwrap();
                    connection.handle_verified(Ok(identity), &ConnectionConfig::default(), Millis(self.now));
                }
                ConnectionEffect::Send(frame) => self.sent.push((conn, frame.body.unwrap())),
                ConnectionEffect::Room { room, request } => self.ask(conn, room, request),
                ConnectionEffect::RoomList(_) => {}
                ConnectionEffect::Close(code) => panic!("closed: {code}"),
            }
        }
    }

    fn room(&mut self, room: &RoomId) -> &mut Authority {
        let config = AuthorityConfig {
            node: "n".into(),
            alias: self.rooms.len() as u32 + 1,
            heartbeat_interval: 25_000,
        };
        let fresh = || Authority::new(room.clone(), config, 3, Millis(0));
        self.rooms.entry(room.clone()).or_insert_with(fresh)
    }

    fn ask(&mut self, conn: ConnId, room: RoomId, request: RoomRequest) {
        let actor = self.connections[&conn].actor().unwrap().clone();
        let now = Millis(self.now);
        let authority = self.room(&room);
        match request {
            RoomRequest::SetTier(want) => authority.set_tier(conn, &actor, want, now),
            RoomRequest::Submit(submit) => authority.submit(conn, &actor, submit, now),
            RoomRequest::History(request) => authority.history(conn, &actor, request),
            RoomRequest::Signal(client, signal) => authority.signal(conn, &actor, client, signal, now),
            RoomRequest::Leave => authority.unsubscribe(conn, now),
        }
        self.run(&room);
    }

    fn run(&mut self, room: &RoomId) {
        let now = Millis(self.now);
        while let Some(effect) = self.room(room).poll_effect() {
            let log = self.logs.entry(room.clone()).or_default();
            let head = Position { epoch: log.0, seq: log.1.len() as u64 };
            match effect {
                Act::Load => {
                    let loaded = Loaded { epoch: log.0, snapshot: None, entries: log.1.clone() };
                    self.room(room).handle_loaded(loaded, now).unwrap();
                }
                Act::Claim { epoch } => {
                    log.0 = epoch;
                    self.room(room).handle_claimed(epoch, now);
                }
                Act::Append { expected, batch, .. } => {
                    assert_eq!(expected, head);
                    log.1.extend(batch);
                    self.room(room).handle_appended(Appended::Done, now);
                }
                Act::Read { after } => {
                    let entries = log.1[after.seq as usize..].to_vec();
                    self.room(room).handle_entries(Some((head, entries)), now);
                }
                Act::Subscribe { conn, tier } => {
                    self.channels.remove(&(room.clone(), conn));
                    self.channels.extend(tier.map(|tier| ((room.clone(), conn), tier)));
                }
                Act::Send { conn, frame, .. } => self.sent.push((conn, frame.body.unwrap())),
                Act::Broadcast { tier, frame, .. } => {
                    for ((of, conn), at) in &self.channels {
                        if of == room && *at == tier {
                            self.sent.push((*conn, frame.body.clone().unwrap()));
                        }
                    }
                }
                Act::Deliver { .. } if self.loses_deliveries => {}
                Act::Deliver { to, reply, body } => {
                    self.room(&to).deliver(reply, body, now);
                    self.run(&to);
                }
                Act::Delivered { reply, settled } => {
                    self.room(&reply.room).handle_delivered(reply.delivery, settled);
                }
                Act::AskFollows { inbox, user } => {
                    self.room(&inbox).ask_follows(room.clone(), user);
                    self.run(&inbox);
                }
                Act::Follows { room: asking, follower, user, follows } => {
                    self.room(&asking).handle_follows(&follower, user, follows, now);
                    self.run(&asking);
                }
                Act::ReadHistory { .. } => panic!("the whole log is in memory"),
                Act::Find { .. } => panic!("no client was forgotten"),
                Act::PutSnapshot { .. }
                | Act::PublishLease { .. }
                | Act::ReadLeases
                | Act::Occupied { .. } => {}
            }
        }
    }

    /// The process is killed: what is on disk is left.
    fn kill(&mut self) {
        *self = Server { now: self.now, logs: core::mem::take(&mut self.logs), ..Server::default() };
    }
}

pub(super) struct World {
    server: Server,
    pub(super) hosts: [Host; 2],
    /// How far each host's frames have been carried.
    carried: [usize; 2],
}

impl World {
    /// A room that ada has made, with bob in it, open at both.
    pub(super) fn with_room() -> (World, RoomId) {
        let mut world = World::new();
        let made =
            world.hosts[0].call(|client, now| client.create_room("Lobby", v1::Visibility::Public, "", now));
        let (room, _) = made.unwrap();
        world.hosts.iter_mut().for_each(|host| host.acquire(room.as_str()));
        world.settle();
        world.hosts[1].call(|client, now| client.join(&room, now)).unwrap();
        world.settle();
        (world, room)
    }

    /// The server's process is killed, and is back at once.
    pub(super) fn kill(&mut self) {
        self.server.kill();
        self.hosts.iter_mut().for_each(|host| host.cut(1006));
    }

    pub(super) fn lose_deliveries(&mut self, lost: bool) {
        self.server.loses_deliveries = lost;
    }

    /// Another session takes the place of this host's.
    pub(super) fn restart(&mut self, index: usize, client: Client) {
        let (name, now) = (["ada", "bob"][index], self.hosts[index].now);
        self.hosts[index] = Host { client, now, ..Host::new() };
        self.begin(index, name);
    }

    /// Another user takes the place of this host's.
    pub(super) fn sign_in(&mut self, index: usize, name: &str) {
        let now = self.hosts[index].now;
        let client = Client::new(ClientConfig::default(), 77, Millis(now));
        self.hosts[index] = Host { client, now, ..Host::new() };
        self.begin(index, name);
    }

    fn begin(&mut self, index: usize, name: &str) {
        self.server.now += 1;
        self.hosts[index].call(|client, now| client.set_token(name, now));
        self.hosts[index].call(|client, now| client.connect(now));
        self.connect(index);
    }

    /// Somebody's operation gets into the log by another node.
    pub(super) fn write_elsewhere(&mut self, room: &RoomId, author: &str, body: Body) {
        let (epoch, log) = self.server.logs.get_mut(room).unwrap();
        let seq = log.len() as u64 + 1;
        let entry = v1::Entry {
            seq,
            op_id: Some(v1::OpId { client: 4_711, counter: seq }),
            author: author.into(),
            author_name: author.into(),
            op: op::encode(body),
            ..Default::default()
        };
        log.push(prost::Message::encode_to_vec(&entry));
        let head = Position { epoch: *epoch, seq };
        self.server.room(room).handle_hint(head);
        self.server.run(room);
    }

    pub(super) fn server_delivers(&mut self, to: &RoomId, reply: crate::authority::Reply, body: Body) {
        let now = Millis(self.server.now);
        self.server.room(to).deliver(reply, body, now);
        self.server.run(to);
    }

    fn new() -> World {
        let host = |name: &str, seed| {
            let mut host = Host::new();
            host.client = Client::new(ClientConfig::default(), seed, Millis(0));
            host.call(|client, now| client.set_token(name, now));
            host.call(|client, now| client.connect(now));
            host
        };
        let mut world =
            World { server: Server::default(), hosts: [host("ada", 1), host("bob", 2)], carried: [0, 0] };
        world.connect(0);
        world.connect(1);
        world
    }

    fn conn(&self, index: usize) -> u64 {
        self.hosts[index].generation * 10 + index as u64
    }

    fn connect(&mut self, index: usize) {
        self.carried[index] = self.hosts[index].sent.len();
        self.server.open(self.conn(index));
        self.hosts[index].connected();
        self.settle();
    }

    /// Carries frames until nobody has anything to say.
    pub(super) fn settle(&mut self) {
        loop {
            let mut is_quiet = true;
            for index in 0..2 {
                while self.carried[index] < self.hosts[index].sent.len() {
                    let body = self.hosts[index].sent[self.carried[index]].clone();
                    self.carried[index] += 1;
                    let bytes = wire::binary::encode_client(&v1::ClientFrame { body: Some(body) });
                    self.server.hear(self.conn(index), &bytes);
                    is_quiet = false;
                }
            }
            for (conn, body) in core::mem::take(&mut self.server.sent) {
                is_quiet = false;
                for index in 0..2 {
                    if ConnId(self.conn(index)) == conn {
                        self.hosts[index].hear(body.clone());
                    }
                }
            }
            if is_quiet {
                return;
            }
        }
    }

    /// Lets time pass for all, in steps.
    pub(super) fn wait(&mut self, milliseconds: u64) {
        let end = self.server.now + milliseconds;
        while self.server.now < end {
            self.server.now += 50;
            let rooms: Vec<RoomId> = self.server.rooms.keys().cloned().collect();
            for room in rooms {
                let now = Millis(self.server.now);
                self.server.room(&room).handle_timeout(now);
                self.server.run(&room);
            }
            for index in 0..2 {
                self.hosts[index].now = self.server.now;
                let before = self.hosts[index].generation;
                self.hosts[index].call(|client, now| client.handle_timeout(now));
                if self.hosts[index].generation != before {
                    self.connect(index);
                }
            }
            self.settle();
        }
    }

    pub(super) fn assert_same(&self, room: &str) {
        let log = &self.server.logs[&id(room)].1;
        for host in &self.hosts {
            assert_eq!(host.room(room).position().seq, log.len() as u64);
            assert_eq!(host.room(room).synced(), Synced::Ready);
            assert_eq!(host.client.connection().counters.malformed, 0);
        }
        assert_eq!(self.hosts[0].texts(room), self.hosts[1].texts(room));
    }
}

#[test]
fn two_people_write_in_a_room_and_a_killed_server_loses_nothing() {
    let mut world = World::new();
    let made =
        world.hosts[0].call(|client, now| client.create_room("Lobby", v1::Visibility::Public, "", now));
    let (room, _) = made.unwrap();
    let lobby = room.as_str();
    world.hosts[0].acquire(lobby);
    world.settle();
    world.hosts[1].acquire(lobby);
    world.settle();
    world.hosts[1].call(|client, now| client.join(&room, now)).unwrap();
    world.settle();
    world.hosts[0].post(lobby, "one");
    world.hosts[1].post(lobby, "two");
    world.settle();
    world.wait(500);
    world.assert_same(lobby);
    assert_eq!(world.hosts[0].texts(lobby), ["one", "two"]);
    assert_eq!(world.hosts[0].room(lobby).user_count(), 2);
    assert!(world.hosts[1].room(lobby).is_following());

    // One goes to the background, and is told what happens there, mentions as well.
    world.hosts[1].call(|client, now| client.mark_read(&id(lobby), now));
    world.hosts[1].release(lobby);
    world.settle();
    world.hosts[0].call(|client, now| client.post(&id(lobby), "bob!", ["bob".into()].into(), now)).unwrap();
    world.settle();
    world.wait(1_500);
    let view = world.hosts[1].room(lobby);
    assert_eq!((view.tier(), view.unread(), view.mentions()), (Tier::Background, 1, 1));
    assert_eq!(view.message(view.message_count() - 1).unwrap().text, "bob!");
    world.hosts[1].acquire(lobby);
    world.settle();
    world.assert_same(lobby);

    // The server is killed while something is on its way, and comes back.
    world.hosts[0].post(lobby, "sent into the void");
    world.server.kill();
    world.hosts.iter_mut().for_each(|host| host.cut(1006));
    world.hosts[0].post(lobby, "typed meanwhile");
    world.hosts[1].post(lobby, "also meanwhile");
    world.wait(3_000);
    world.assert_same(lobby);
    let texts = world.hosts[0].texts(lobby);
    for once in ["one", "two", "bob!", "sent into the void", "typed meanwhile", "also meanwhile"] {
        assert_eq!(texts.iter().filter(|text| **text == once).count(), 1, "{texts:?}");
    }
    let place = |text| texts.iter().position(|other| *other == text);
    assert!(place("sent into the void") < place("typed meanwhile"));
    assert!(world.hosts.iter().all(|host| host.room(lobby).pending().count() == 0));

    // Heartbeats find nothing to mend.
    world.wait(60_000);
    let counters = world.hosts[0].client.connection().counters;
    assert_eq!((counters.gaps, counters.resyncs), (0, 0));
    assert!(world.hosts.iter().all(|host| !host.stored.keys().any(|key| key.starts_with("op/"))));
}

#[test]
fn a_room_that_was_cached_for_long_catches_up_by_its_whole_state() {
    let mut world = World::new();
    let made =
        world.hosts[0].call(|client, now| client.create_room("Lobby", v1::Visibility::Public, "", now));
    let (room, _) = made.unwrap();
    let lobby = room.as_str();
    world.hosts[0].acquire(lobby);
    world.settle();
    world.hosts[1].acquire(lobby);
    world.settle();
    world.hosts[1].set_tier(lobby, Tier::Cached);
    world.settle();
    for _ in 0..700 {
        world.hosts[0].post(lobby, "again");
        world.settle();
    }
    world.hosts[1].acquire(lobby);
    world.settle();
    world.assert_same_head(lobby, 700);
    assert!(
        world.hosts[1].has_event(|event| matches!(event, Event::Resynced { code: Code::TooFarBehind, .. }))
    );
    // Scrolling back brings the rest.
    for _ in 0..10 {
        world.hosts[1].call(|client, now| client.load_older(&room, 100, now));
        world.settle();
    }
    assert_eq!(world.hosts[1].room(lobby).message_count(), 700);
    assert!(!world.hosts[1].room(lobby).has_older());
}

impl World {
    fn assert_same_head(&self, room: &str, head: u64) {
        for host in &self.hosts {
            assert_eq!(host.room(room).head(), head);
            assert_eq!(host.room(room).synced(), Synced::Ready);
        }
    }
}
