//! Time: what is due, and who does nothing for a while.

use std::collections::VecDeque;

use enfilade_core::authority::ConnId;
use enfilade_core::v1::server_frame::Body as Frame;
use enfilade_core::{Millis, RoomId, v1};

use super::network::{Arrival, Life, Receiver};
use super::world::World;
use super::{invariants, node};

/// From which on a run is not going to come to rest.
const ARRIVALS: u32 = 400_000;

impl World {
    pub(super) fn wait(&mut self, time: u64) {
        let end = self.now + time;
        let mut arrivals = 0;
        loop {
            let due = [self.network.next_at(), self.next_deadline()].into_iter().flatten().min();
            match due {
                Some(at) if at <= end => self.now = self.now.max(at),
                _ => break,
            }
            arrivals += 1;
            if arrivals > ARRIVALS {
                self.note(Err(format!("the world spins at {}", self.now)));
                return;
            }
            // What has arrived comes before what is due, as the client's contract says.
            match self.network.pop(self.now) {
                Some(arrival) => self.take(arrival),
                None => self.time_out(),
            }
            if self.broken().is_some() {
                return;
            }
        }
        self.now = end;
        let checked = invariants::check_world(self);
        self.note(checked);
    }

    /// Hands an arrival to whom it is for; who sleeps finds it on waking.
    fn take(&mut self, arrival: Arrival) {
        let waiting = match arrival.receiver() {
            Receiver::Client(client) => self.clients[client].paused.as_mut(),
            Receiver::Node(node) => self.nodes[node].paused.as_mut(),
            Receiver::World => None,
        };
        match waiting {
            Some(waiting) => waiting.push_back(arrival),
            None => {
                self.report.steps += 1;
                self.arrive(arrival);
            }
        }
    }

    fn next_deadline(&self) -> Option<u64> {
        let awake = self.clients.iter().filter(|host| host.paused.is_none());
        let clients = awake.filter_map(|host| {
            let (at, _) = host.client.next_deadline()?;
            Some(at.0.saturating_add_signed(-host.skew))
        });
        let up = || self.nodes.iter().filter(|node| node.runs());
        let rooms = up().flat_map(|node| {
            let deadline = |room: &enfilade_core::authority::Authority| {
                let (at, _) = room.next_deadline()?;
                Some(at.0.saturating_add_signed(-node.skew))
            };
            node.rooms.values().filter_map(deadline)
        });
        clients.chain(rooms).chain(up().map(|node| node.next_beat)).min()
    }

    fn time_out(&mut self) {
        for client in 0..self.clients.len() {
            self.time_out_client(client);
        }
        for node in 0..self.nodes.len() {
            if self.nodes[node].runs() {
                self.time_out_node(node);
            }
        }
    }

    fn time_out_client(&mut self, client: usize) {
        let now = self.clock(client);
        let host = &mut self.clients[client];
        if host.paused.is_none() && host.client.next_deadline().is_some_and(|(at, _)| at <= now) {
            self.report.steps += 1;
            host.client.handle_timeout(now);
            self.serve_client(client);
        }
    }

    fn time_out_node(&mut self, node: usize) {
        let now = self.node_clock(node);
        let due = |(_, room): &(&RoomId, &enfilade_core::authority::Authority)| {
            room.next_deadline().is_some_and(|(at, _)| at <= now)
        };
        let due: Vec<RoomId> = self.nodes[node].rooms.iter().filter(due).map(|(id, _)| id.clone()).collect();
        for room in due {
            if let Some(authority) = self.nodes[node].rooms.get_mut(&room) {
                self.report.steps += 1;
                authority.handle_timeout(now);
            }
            self.serve_room(node, &room);
        }
        if self.nodes[node].next_beat <= self.now {
            self.beat(node);
        }
    }

    /// What a node's clock shows.
    pub(super) fn node_clock(&self, node: usize) -> Millis {
        Millis(self.now.saturating_add_signed(self.nodes[node].skew))
    }

    fn beat(&mut self, node: usize) {
        let now = self.node_clock(node);
        self.nodes[node].next_beat = self.now + node::HEARTBEAT;
        let conns: Vec<ConnId> = self.nodes[node].conns.keys().copied().collect();
        for conn in conns {
            self.report.steps += 1;
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

    // ---------------------------------------------------------------------------------------------- pauses

    pub(super) fn pause_client(&mut self, client: usize, time: u64) {
        let host = &mut self.clients[client];
        if host.paused.is_some() {
            return;
        }
        host.paused = Some(VecDeque::new());
        host.nap += 1;
        let (at, nap) = (self.now + time, host.nap);
        self.network.push(at, Arrival::WakeClient { client, nap });
        self.mark("a client is paused");
    }

    /// A client goes on: mostly it hears first what waited, but a host may let an overdue timer come before that.
    pub(super) fn wake_client(&mut self, client: usize) {
        let Some(waiting) = self.clients[client].paused.take() else { return };
        self.lose_sight(client);
        if !waiting.is_empty() {
            self.mark("a client that slept hears what waited");
        }
        if self.pick(3) == 0 {
            self.time_out_client(client);
        }
        waiting.into_iter().for_each(|arrival| self.take(arrival));
        self.time_out_client(client);
    }

    pub(super) fn pause_node(&mut self, node: usize, time: u64) {
        if !self.nodes[node].runs() {
            return;
        }
        self.nodes[node].paused = Some(VecDeque::new());
        self.unrest(self.now + time);
        let (at, life) = (self.now + time, self.life(node));
        self.network.push(at, Arrival::WakeNode { life });
        self.mark("a node is paused");
    }

    pub(super) fn wake_node(&mut self, life: Life) {
        if let Some(waiting) = self.nodes[life.node].paused.take() {
            self.unrest(self.now);
            waiting.into_iter().for_each(|arrival| self.take(arrival));
        }
    }

    /// A client's clock is set.
    pub(super) fn set_clock(&mut self, client: usize, by: i64) {
        let now = self.now;
        self.unrest(now);
        let host = &mut self.clients[client];
        host.skew += by;
        host.jolts.push_back(now);
        let is_awake = host.paused.is_none();
        self.mark(match by {
            ..=-3_600_000 => "a clock jumps far back",
            -3_599_999..0 => "a clock jumps backwards",
            0.. => "a clock jumps forwards",
        });
        // A host's timers run by how long it is until they are due: they are set anew.
        if is_awake {
            let now = self.clock(client);
            self.clients[client].client.handle_timeout(now);
            self.serve_client(client);
        }
    }
}
