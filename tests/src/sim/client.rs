//! A client's host: it does what the client wants, stores what it persists, and remembers what it was told.

use std::collections::{BTreeMap, BTreeSet};

use enfilade_core::client::{Client, ClientConfig};
use enfilade_core::{Code, Millis, OpId, Position, RoomId};

/// One person's client.
#[derive(Debug)]
pub struct ClientHost {
    /// The user id.
    pub user: String,
    /// The session.
    pub client: Client,
    /// What was persisted, and survives a crash.
    pub durable: BTreeMap<String, Vec<u8>>,
    /// The connection, from the request on.
    pub link: Option<Link>,
    /// Rooms that the app holds open.
    pub held: Vec<RoomId>,
    /// Every message that was posted: its room and text.
    pub posted: BTreeMap<OpId, (RoomId, String)>,
    /// What was acknowledged, and where.
    pub acked: BTreeMap<OpId, (RoomId, Position)>,
    /// What was refused for good.
    pub rejected: BTreeMap<OpId, Code>,
    /// What was taken back in time.
    pub cancelled: BTreeSet<OpId>,
    /// When it tried to connect.
    pub attempts: Vec<u64>,
    /// When the app last told that there is a network, after which an attempt at once is right.
    pub nudges: usize,
}

/// A socket.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// The client's number for it.
    pub generation: u64,
    /// The node and its number for it, once it has arrived there.
    pub place: Option<(super::network::Life, enfilade_core::authority::ConnId)>,
}

impl ClientHost {
    pub(super) fn new(user: &str, seed: u64, now: u64) -> ClientHost {
        let mut host = ClientHost {
            user: user.into(),
            client: session(seed, now),
            durable: BTreeMap::new(),
            link: None,
            held: Vec::new(),
            posted: BTreeMap::new(),
            acked: BTreeMap::new(),
            rejected: BTreeMap::new(),
            cancelled: BTreeSet::new(),
            attempts: Vec::new(),
            nudges: 0,
        };
        host.start(now);
        host
    }

    /// The app is ended without notice, and started again with what was persisted.
    pub(super) fn crash(&mut self, seed: u64, now: u64) {
        self.client = session(seed, now);
        self.client.restore(self.durable.clone(), Millis(now));
        self.link = None;
        self.held.clear();
        self.nudges += 1;
        self.start(now);
    }

    fn start(&mut self, now: u64) {
        // The token is the user's id: what signs tokens is the server's business, not the core's.
        self.client.set_token(&self.user, Millis(now));
        self.client.connect(Millis(now));
        self.client.watch_rooms(true, Millis(now));
    }
}

fn session(seed: u64, now: u64) -> Client {
    let config = ClientConfig {
        background_for: 4_000,
        cached_for: 20_000,
        cached_rooms: 2,
        save_interval: 1_000,
        ..ClientConfig::default()
    };
    Client::new(config, seed, Millis(now))
}
