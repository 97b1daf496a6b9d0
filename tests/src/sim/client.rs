//! A client's host: it does what the client wants, stores what it persists, and remembers what it was told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use enfilade_core::client::{Client, ClientConfig, Counters};
use enfilade_core::{Code, Millis, OpId, Position, RoomId, Tier};

use super::network::Arrival;

/// One client of one person, who may have several.
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
    /// Those that are neither acknowledged nor refused nor given up.
    pub unsettled: BTreeSet<OpId>,
    /// What was acknowledged, and where.
    pub acked: BTreeMap<OpId, (RoomId, Position)>,
    /// What was refused for good.
    pub rejected: BTreeMap<OpId, Code>,
    /// What was taken back in time.
    pub cancelled: BTreeSet<OpId>,
    /// When it tried to connect.
    pub attempts: VecDeque<u64>,
    /// When its process, or its clock, began anew: only then an attempt may follow another at once.
    pub jolts: VecDeque<u64>,
    /// What has arrived since it does nothing, while it does nothing.
    pub(super) paused: Option<VecDeque<Arrival>>,
    /// Its how manieth start.
    pub(super) app: u64,
    /// Its how manieth pause.
    pub(super) nap: u64,
    /// Its clock minus the true time.
    pub(super) skew: i64,
    /// The tokens that it was given, by which they differ.
    pub(super) tokens: u64,
    /// What the session had counted at the last look.
    pub(super) counters: Counters,
    /// The tier of each room at the last look, and since when; not where the app has set it.
    pub(super) tiers: BTreeMap<RoomId, (Tier, Millis)>,
    cached_rooms: usize,
}

/// How long an unused room stays Cached.
pub(super) const CACHED_FOR: u64 = 20_000;

/// A socket.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// The client's number for it.
    pub generation: u64,
    /// The node and its number for it, once it has arrived there.
    pub place: Option<(super::network::Life, enfilade_core::authority::ConnId)>,
}

impl ClientHost {
    pub(super) fn new(user: &str, cached_rooms: usize, seed: u64, now: u64) -> ClientHost {
        let mut host = ClientHost {
            user: user.into(),
            client: session(cached_rooms, seed, now),
            durable: BTreeMap::new(),
            link: None,
            held: Vec::new(),
            posted: BTreeMap::new(),
            unsettled: BTreeSet::new(),
            acked: BTreeMap::new(),
            rejected: BTreeMap::new(),
            cancelled: BTreeSet::new(),
            attempts: VecDeque::new(),
            jolts: VecDeque::new(),
            paused: None,
            app: 0,
            nap: 0,
            skew: 0,
            tokens: 0,
            counters: Counters::default(),
            tiers: BTreeMap::new(),
            cached_rooms,
        };
        host.start(Millis(now));
        host
    }

    /// What its clock shows.
    pub fn clock(&self, now: u64) -> Millis {
        Millis(now.saturating_add_signed(self.skew))
    }

    /// The app is ended without notice, and started again with what was persisted.
    pub(super) fn crash(&mut self, seed: u64, now: u64) {
        self.client = session(self.cached_rooms, seed, self.clock(now).0);
        self.client.restore(self.durable.clone(), self.clock(now));
        self.link = None;
        self.paused = None;
        self.app += 1;
        self.nap += 1;
        self.held.clear();
        self.counters = Counters::default();
        self.tiers.clear();
        self.jolts.push_back(now);
        self.start(self.clock(now));
    }

    pub(super) fn start(&mut self, now: Millis) {
        let token = self.token();
        self.client.set_token(&token, now);
        self.client.connect(now);
        self.client.watch_rooms(true, now);
    }

    /// A token of this user: what signs tokens is the server's business, not the core's.
    pub(super) fn token(&mut self) -> String {
        self.tokens += 1;
        format!("{}#{}", self.user, self.tokens)
    }
}

fn session(cached_rooms: usize, seed: u64, now: u64) -> Client {
    let config = ClientConfig {
        background_for: 4_000,
        cached_for: CACHED_FOR,
        cached_rooms,
        save_interval: 1_000,
        ..ClientConfig::default()
    };
    Client::new(config, seed, Millis(now))
}
