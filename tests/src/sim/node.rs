//! A server process: its connections, its rooms' authorities, and nothing that survives it.

use std::collections::{BTreeMap, VecDeque};

use enfilade_core::authority::{Authority, AuthorityConfig, ConnId, Connection, ConnectionConfig, Lane};
use enfilade_core::{Millis, RoomId, Tier, v1};

use super::network::Arrival;

/// One server process.
#[derive(Debug)]
pub struct Node {
    /// Its index.
    pub index: usize,
    /// Its how manieth start.
    pub start: u32,
    /// Whether it runs.
    pub is_up: bool,
    /// What has arrived since it does nothing, while it does nothing.
    pub(super) paused: Option<VecDeque<Arrival>>,
    /// Its clock minus the true time.
    pub(super) skew: i64,
    pub(super) rooms: BTreeMap<RoomId, Authority>,
    pub(super) conns: BTreeMap<ConnId, Socket>,
    pub(super) config: ConnectionConfig,
    pub(super) next_beat: u64,
    aliases: BTreeMap<RoomId, u32>,
}

/// The node's end of a socket.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) connection: Connection,
    pub(super) client: usize,
    pub(super) app: u64,
    pub(super) generation: u64,
    pub(super) channels: BTreeMap<RoomId, Tier>,
    /// What waits, while the client takes nothing.
    pub(super) backlog: Option<VecDeque<(Lane, v1::ServerFrame)>>,
}

/// Short, so that heartbeats take part in a run.
pub(super) const HEARTBEAT: u64 = 5_000;
/// Frames that wait for a slow consumer before it is closed.
pub(super) const BACKLOG: usize = 12;

impl Node {
    pub(super) fn new(index: usize) -> Node {
        Node {
            index,
            start: 0,
            is_up: true,
            paused: None,
            skew: 0,
            rooms: BTreeMap::new(),
            conns: BTreeMap::new(),
            config: ConnectionConfig {
                heartbeat_interval: HEARTBEAT,
                reconnect_min: 100,
                reconnect_max: 2_000,
                ..ConnectionConfig::default()
            },
            next_beat: HEARTBEAT,
            aliases: BTreeMap::new(),
        }
    }

    /// Whether it does anything.
    pub(super) fn runs(&self) -> bool {
        self.is_up && self.paused.is_none()
    }

    /// Everything in memory is gone.
    pub(super) fn crash(&mut self) {
        self.is_up = false;
        self.paused = None;
        self.rooms.clear();
        self.conns.clear();
        self.aliases.clear();
    }

    pub(super) fn restart(&mut self, now: u64) {
        self.is_up = true;
        self.start += 1;
        self.next_beat = now + HEARTBEAT;
    }

    /// The room's authority, which is started if there is none.
    pub(super) fn authority(&mut self, room: &RoomId, seed: u64, now: Millis) -> &mut Authority {
        let count = self.aliases.len() as u32;
        let alias = *self.aliases.entry(room.clone()).or_insert(count + 1);
        let node = format!("node-{}-{}", self.index, self.start);
        self.rooms.entry(room.clone()).or_insert_with(|| {
            let config = AuthorityConfig { node, alias, heartbeat_interval: HEARTBEAT };
            Authority::new(room.clone(), config, seed, now)
        })
    }
}
