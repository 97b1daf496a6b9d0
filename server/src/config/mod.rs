//! What an operator can set, what it is when nobody does, and what it may be.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use enfilade_core::authority::ConnectionConfig;
use enfilade_core::tier::budget::{Budget, Budgets};
use enfilade_core::{Tier, limits};
use serde::{Deserialize, Serialize};

use crate::net::NetConfig;
use crate::{serve, store};

mod archive;
mod events;
mod redis;
mod sources;

pub use archive::{Archive, ArchiveKind, Mongodb};
pub use events::{Events, EventsKind, Kafka};
pub use redis::Redis;
pub(crate) use sources::FILE_VARIABLE;
pub use sources::{Problem, Resolved, Sources};

/// The server's configuration. Defaults, then the file, then the environment, then flags: the last one that says
/// something about a key has it. `enfilade config check` prints the outcome, and who had the say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address and port of everything: demo, API and WebSocket.
    pub listen: SocketAddr,
    /// Folder of the store and the signing key. One server at a time can use it.
    pub data_dir: PathBuf,
    /// File of the key that signs tokens, the same on all nodes of a cluster; without one, the data folder's.
    pub signing_key: PathBuf,
    /// Threads that own sockets; 0 is one a core.
    pub shards: usize,
    /// Milliseconds between two heartbeats.
    pub heartbeat_interval_ms: u64,
    /// The log.
    pub log: Log,
    /// Who may come without an account.
    pub guests: Guests,
    /// How clients come back.
    pub reconnect: Reconnect,
    /// How much one client, and all together, may ask for.
    pub limits: Limits,
    /// What one room may take of one connection.
    pub bandwidth: Bandwidth,
    /// How long the server waits.
    pub timeouts: Timeouts,
    /// Where rooms are kept.
    pub store: Store,
    /// Where rooms are kept for good.
    pub archive: Archive,
    /// MongoDB, where the archive is one.
    pub mongodb: Mongodb,
    /// The Redis of a store of many nodes.
    pub redis: Redis,
    /// What goes out to other systems, and comes in from them.
    pub events: Events,
    /// Kafka, where events go through it.
    pub kafka: Kafka,
    /// Pages of other sites.
    pub cors: Cors,
}

/// The log, on the standard error stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Lines for people, or JSON objects for machines.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`; also by module: `info,enfilade_server::store=debug`.
    pub level: String,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// People without an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guests {
    /// Whether anybody who asks gets a token.
    pub allowed: bool,
    /// How long a guest's token holds.
    pub lifetime_days: u32,
}

/// The window from which clients draw the time of their next attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reconnect {
    /// At first.
    pub min_ms: u64,
    /// At most.
    pub max_ms: u64,
}

/// Bounds of what is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Bytes of one frame from a client.
    pub frame_bytes: usize,
    /// Bytes of one operation.
    pub op_bytes: usize,
    /// WebSockets at the same time.
    pub connections: usize,
    /// Sockets at the same time that are no WebSockets (yet).
    pub http_connections: usize,
    /// Bytes that may wait for a client that reads too slowly, before it is closed.
    pub backlog_bytes: usize,
    /// Rooms that one connection may hold Active or Background.
    pub live_rooms_per_connection: usize,
    /// Rooms that one connection may hold Cached.
    pub cached_rooms_per_connection: usize,
    /// Rooms that a client may fetch ahead of each navigation, because they are likely to be next.
    pub warm_up_per_navigation: u32,
}

/// What one room may take of one connection: means over ten seconds. A room whose log alone is more is advised to
/// Background; entries are never dropped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bandwidth {
    /// Active.
    pub active_bytes_per_second: u64,
    /// Background.
    pub background_bytes_per_second: u64,
    /// Cached.
    pub cached_bytes_per_heartbeat: u64,
}

/// Deadlines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// From a socket's opening to its first byte.
    pub first_byte_ms: u64,
    /// From there to the end of a request's headers.
    pub headers_ms: u64,
    /// From a WebSocket's opening to its first frame.
    pub hello_ms: u64,
    /// From the signal to stop to the end of the process.
    pub drain_ms: u64,
}

/// Which store there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreKind {
    /// One file of the data folder, for one server.
    Embedded,
    /// Redis, for as many servers as there are.
    Redis,
}

/// Where rooms are kept; what follows `kind` is about the embedded store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// Which store.
    pub kind: StoreKind,
    /// Requests that may wait to be written.
    pub queue_requests: usize,
    /// Bytes that may wait to be written.
    pub queue_bytes: usize,
    /// Memory for pages of the file.
    pub cache_bytes: usize,
    /// Free disk space below which writes are refused.
    pub reserve_bytes: u64,
}

/// Pages of other sites.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cors {
    /// Sites whose pages may call the API, such as `https://example.org`. The server's own need no mention.
    pub origins: Vec<String>,
}

impl Default for Config {
    fn default() -> Config {
        let store = store::Options::default();
        let bandwidth = |tier| Budgets::default().of(tier).bandwidth;
        Config {
            // This machine alone, until somebody decides otherwise.
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7700)),
            data_dir: PathBuf::from("data"),
            signing_key: PathBuf::new(),
            shards: 0,
            heartbeat_interval_ms: 25_000,
            log: Log { format: LogFormat::Human, level: "info".into() },
            guests: Guests { allowed: true, lifetime_days: 30 },
            reconnect: Reconnect { min_ms: 500, max_ms: 20_000 },
            limits: Limits {
                frame_bytes: limits::FRAME_BYTES,
                op_bytes: limits::OP_BYTES,
                connections: 20_000,
                http_connections: 4_096,
                backlog_bytes: 1024 * 1024,
                live_rooms_per_connection: limits::LIVE_ROOMS,
                cached_rooms_per_connection: limits::CACHED_ROOMS,
                warm_up_per_navigation: limits::WARM_UP,
            },
            bandwidth: Bandwidth {
                active_bytes_per_second: bandwidth(Tier::Active),
                background_bytes_per_second: bandwidth(Tier::Background),
                cached_bytes_per_heartbeat: bandwidth(Tier::Cached),
            },
            timeouts: Timeouts {
                first_byte_ms: 10_000,
                headers_ms: 10_000,
                hello_ms: 10_000,
                drain_ms: 10_000,
            },
            store: Store {
                kind: StoreKind::Embedded,
                queue_requests: store.queue_requests,
                queue_bytes: store.queue_bytes,
                cache_bytes: store.cache_bytes,
                reserve_bytes: store.reserve_bytes,
            },
            archive: Archive::default(),
            mongodb: Mongodb::default(),
            redis: Redis::default(),
            events: Events::default(),
            kafka: Kafka::default(),
            cors: Cors { origins: Vec::new() },
        }
    }
}

/// Room for the envelope of an operation within a frame.
const ENVELOPE_BYTES: usize = 1_024;
/// A frame is held whole in memory, once a connection.
const FRAME_BYTES_MAX: usize = 1024 * 1024;

impl Config {
    /// How long a guest's token holds.
    pub fn guest_lifetime(&self) -> Duration {
        Duration::from_secs(u64::from(self.guests.lifetime_days) * 86_400)
    }

    /// The file of the signing key, where one is named.
    pub fn signing_key(&self) -> Option<PathBuf> {
        (!self.signing_key.as_os_str().is_empty()).then(|| self.signing_key.clone())
    }

    /// Who follows the logs.
    fn followers(&self) -> Vec<store::Follower> {
        let archive = (self.archive.kind != ArchiveKind::None).then_some(store::Follower::Archive);
        let events = (self.events.kind != EventsKind::None).then_some(store::Follower::Events);
        let index = (self.store.kind == StoreKind::Redis).then_some(store::Follower::Index);
        [archive, events, index].into_iter().flatten().collect()
    }

    /// Keys whose values are of the right kind, and still can't be: with what to do.
    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let mut range = |key, value: u64, min: u64, max: u64| {
            if !(min..=max).contains(&value) {
                faults.push((key, format!("it must be from {min} to {max}")));
            }
        };
        let limits = &self.limits;
        range("limits.op_bytes", limits.op_bytes as u64, 64, limits::OP_BYTES as u64);
        let frame_min = limits.op_bytes.saturating_add(ENVELOPE_BYTES) as u64;
        range("limits.frame_bytes", limits.frame_bytes as u64, frame_min, FRAME_BYTES_MAX as u64);
        range("limits.connections", limits.connections as u64, 1, 1_000_000);
        range("limits.http_connections", limits.http_connections as u64, 1, 100_000);
        let backlog_min = 2 * limits::FRAME_BYTES as u64;
        range("limits.backlog_bytes", limits.backlog_bytes as u64, backlog_min, 1 << 30);
        range("limits.live_rooms_per_connection", limits.live_rooms_per_connection as u64, 1, 1_024);
        range("limits.cached_rooms_per_connection", limits.cached_rooms_per_connection as u64, 1, 65_536);
        range(
            "limits.warm_up_per_navigation",
            limits.warm_up_per_navigation.into(),
            0,
            limits::WARM_UP.into(),
        );
        let bandwidth = &self.bandwidth;
        range("bandwidth.active_bytes_per_second", bandwidth.active_bytes_per_second, 1_024, 1 << 30);
        range("bandwidth.background_bytes_per_second", bandwidth.background_bytes_per_second, 128, 1 << 30);
        range("bandwidth.cached_bytes_per_heartbeat", bandwidth.cached_bytes_per_heartbeat, 16, 1 << 20);
        let timeouts = &self.timeouts;
        range("timeouts.first_byte_ms", timeouts.first_byte_ms, 100, 600_000);
        range("timeouts.headers_ms", timeouts.headers_ms, 100, 600_000);
        range("timeouts.hello_ms", timeouts.hello_ms, 100, 600_000);
        range("timeouts.drain_ms", timeouts.drain_ms, 100, 600_000);
        range("heartbeat_interval_ms", self.heartbeat_interval_ms, 100, 300_000);
        range("reconnect.min_ms", self.reconnect.min_ms, 10, 60_000);
        range("reconnect.max_ms", self.reconnect.max_ms, self.reconnect.min_ms, 600_000);
        range("guests.lifetime_days", self.guests.lifetime_days.into(), 1, 3_650);
        range("shards", self.shards as u64, 0, 255);
        range("store.queue_requests", self.store.queue_requests as u64, 1, 1_000_000);
        range("store.queue_bytes", self.store.queue_bytes as u64, 1 << 20, 1 << 33);
        range("store.cache_bytes", self.store.cache_bytes as u64, 1 << 20, 1 << 40);
        faults.extend(self.archive.faults(&self.mongodb));
        faults.extend(self.redis.faults());
        faults.extend(self.events.faults(&self.kafka));
        if self.data_dir.as_os_str().is_empty() {
            faults.push(("data_dir", "it must name a folder".into()));
        }
        if let Err(error) = self.log.level.parse::<tracing_subscriber::EnvFilter>() {
            faults.push(("log.level", format!("{error}; use error, warn, info, debug or trace")));
        }
        if let Some(origin) = self.cors.origins.iter().find(|origin| !is_origin(origin)) {
            faults
                .push(("cors.origins", format!("{origin:?} is no origin; write it as https://example.org")));
        }
        faults
    }
}

impl From<&Config> for serve::Settings {
    fn from(config: &Config) -> serve::Settings {
        let Config { limits, timeouts, store, .. } = config;
        serve::Settings {
            listen: config.listen,
            data_dir: config.data_dir.clone(),
            signing_key: config.signing_key(),
            net: NetConfig {
                shards: config.shards,
                max_connections: limits.connections,
                max_http_connections: limits.http_connections,
                max_message_bytes: limits.frame_bytes,
                max_backlog_bytes: limits.backlog_bytes,
                first_byte_timeout: Duration::from_millis(timeouts.first_byte_ms),
                header_timeout: Duration::from_millis(timeouts.headers_ms),
                hello_timeout: Duration::from_millis(timeouts.hello_ms),
                // A client answers each heartbeat, so that two without an answer are silence.
                idle_timeout: Duration::from_millis(2 * config.heartbeat_interval_ms),
                ..NetConfig::default()
            },
            connection: ConnectionConfig {
                agent: concat!("enfilade/", env!("CARGO_PKG_VERSION")).into(),
                frame_bytes: limits.frame_bytes,
                op_bytes: limits.op_bytes,
                live_rooms: limits.live_rooms_per_connection,
                cached_rooms: limits.cached_rooms_per_connection,
                warm_up: limits.warm_up_per_navigation,
                heartbeat_interval: config.heartbeat_interval_ms,
                reconnect_min: config.reconnect.min_ms,
                reconnect_max: config.reconnect.max_ms,
                budgets: budgets(&config.bandwidth),
            },
            store: store::Options {
                queue_requests: store.queue_requests,
                queue_bytes: store.queue_bytes,
                cache_bytes: store.cache_bytes,
                reserve_bytes: store.reserve_bytes,
                followers: config.followers(),
            },
            archive: config.archive.settings(&config.mongodb),
            redis: (store.kind == StoreKind::Redis).then(|| (&config.redis).into()),
            events: config.events.settings(&config.kafka),
            guests: config.guests.allowed,
            guest_lifetime: config.guest_lifetime(),
            cors_origins: config.cors.origins.clone(),
            // Ends before the process would be killed for being late.
            drain: Duration::from_millis(timeouts.drain_ms) * 9 / 10,
        }
    }
}

fn budgets(bandwidth: &Bandwidth) -> Budgets {
    let mut budgets = Budgets::default();
    let set = [
        (Tier::Active, bandwidth.active_bytes_per_second),
        (Tier::Background, bandwidth.background_bytes_per_second),
        (Tier::Cached, bandwidth.cached_bytes_per_heartbeat),
    ];
    for (tier, bandwidth) in set {
        budgets.set(tier, Budget { bandwidth, ..budgets.of(tier) });
    }
    budgets
}

/// Scheme, host and maybe a port, and nothing else: what browsers send.
fn is_origin(origin: &str) -> bool {
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    host.is_some_and(|host| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        !host.is_empty() && host.chars().all(allowed)
    })
}
