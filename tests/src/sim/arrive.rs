//! What happens when something arrives, at a client or at a node.

use std::collections::BTreeMap;

use enfilade_core::authority::{ConnId, Connection};
use enfilade_core::{limits, wire};

use super::client::Link;
use super::network::{Arrival, Life};
use super::node::Socket;
use super::world::World;

impl World {
    pub(super) fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Open { client, app, .. }
            | Arrival::Opened { client, app, .. }
            | Arrival::Closed { client, app, .. }
            | Arrival::Record { client, app, .. }
            | Arrival::ToClient { client, app, .. }
                if app != self.clients[client].app => {}
            Arrival::Open { client, generation, node, .. } => self.open(client, generation, node),
            Arrival::Opened { client, generation, .. } => {
                let now = self.clock(client);
                self.clients[client].client.handle_connected(generation, now);
                self.serve_client(client);
            }
            Arrival::Closed { client, generation, code, .. } => {
                let now = self.clock(client);
                self.clients[client].client.handle_disconnected(generation, code, "", now);
                self.serve_client(client);
            }
            Arrival::Token { client } => {
                let now = self.clock(client);
                let token = self.clients[client].token();
                self.issue_token(client);
                self.clients[client].client.set_token(&token, now);
                self.mark("a token is renewed");
                self.serve_client(client);
            }
            Arrival::Record { client, key, value, .. } => {
                let now = self.clock(client);
                self.clients[client].client.handle_loaded(&key, value.as_deref(), now);
                self.serve_client(client);
            }
            Arrival::ToClient { client, generation, bytes, .. } => {
                self.look_at(client, generation, &bytes);
                let now = self.clock(client);
                self.clients[client].client.handle_frame(generation, &bytes, now);
                self.serve_client(client);
            }
            Arrival::WakeClient { client, nap } => {
                if self.clients[client].nap == nap {
                    self.wake_client(client);
                }
            }
            Arrival::Hangup { life, conn } if self.lives(life) => self.hang_up(life.node, conn),
            Arrival::ToNode { life, conn, bytes } if self.lives(life) => {
                let frame = wire::binary::decode_client(&bytes, limits::FRAME_BYTES);
                let (config, now) = (self.nodes[life.node].config.clone(), self.node_clock(life.node));
                if let Some(socket) = self.nodes[life.node].conns.get_mut(&conn) {
                    socket.connection.handle_frame(frame, &config, now);
                    self.serve_conn(life.node, conn);
                }
            }
            Arrival::Drained { life, conn } if self.lives(life) => self.drained(life.node, conn),
            Arrival::WakeNode { life } if self.lives(life) => self.wake_node(life),
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
            Arrival::Hangup { .. }
            | Arrival::ToNode { .. }
            | Arrival::Drained { .. }
            | Arrival::WakeNode { .. }
            | Arrival::Answer { .. } => {}
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
        let app = self.clients[client].app;
        let is_wanted = self.clients[client].link.is_some_and(|link| link.generation == generation);
        if !is_wanted {
            return;
        }
        if !self.nodes[node].is_up {
            let at = self.delay();
            self.clients[client].link = None;
            return self.network.push(at, Arrival::Closed { client, app, generation, code: 1006 });
        }
        let conn = ConnId(self.next_conn);
        self.next_conn += 1;
        let connection = Connection::new(conn, self.node_clock(node));
        let channels = BTreeMap::new();
        let socket = Socket { connection, client, app, generation, channels, backlog: None };
        self.nodes[node].conns.insert(conn, socket);
        let place = Some((self.life(node), conn));
        self.clients[client].link = Some(Link { generation, place });
        let at = self.delay();
        self.network.push_stream((conn.0, true), at, Arrival::Opened { client, app, generation });
    }
}
