//! Sockets: accepting and upgrading them, reading WebSocket messages, and fan-out.
//!
//! This module knows connections, channels (a `u32` that somebody publishes to) and bytes, and nothing of rooms.
//!
//! One thread a core is a *shard*. It owns its connections' sockets, reads them, and calls the [`Handler`] with each
//! message. Other threads reach connections through a [`Fanout`]: they build a frame once, whole, and publish it to a
//! channel; every shard with subscribers wakes once, joins all that is ready into one batch that its connections share,
//! and writes each socket once. A connection costs its socket, a slot and its subscriptions: it has no task, no queue
//! and no buffer until bytes are left over.
//!
//! # Order
//! What one thread sends, publishes, subscribes and unsubscribes takes effect in that order on each connection: a
//! personal answer followed by a subscription and a publication arrives as answer, then publication, and nothing of the
//! channel comes before it. Between threads, and between two channels of one wake, there is no promise.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

pub use fanout::{Fanout, Interest};
pub use shard::{Net, ShardContext};

pub mod accept;
pub mod frame;
pub mod upgrade;

mod backlog;
mod batch;
mod counters;
mod fanout;
mod hub;
mod inbound;
mod shard;
mod wheel;

/// What somebody publishes to: a number that the caller hands out. [`EVERYBODY`] is taken.
pub type Channel = u32;

/// The channel of [`Fanout::broadcast`]. A connection receives it once the handler has subscribed it.
pub const EVERYBODY: Channel = u32::MAX;

/// At most so many shards: the index is one byte of a [`ConnId`], and 255 is left for others' use.
pub const MAX_SHARDS: usize = 255;

/// How a connection's messages are encoded, chosen by its subprotocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// Protobuf in binary messages: `enfilade.proto.v1`.
    Binary,
    /// JSON in text messages: `enfilade.json.v1`.
    Json,
}

impl Codec {
    /// Both of them.
    pub const ALL: [Codec; 2] = [Codec::Binary, Codec::Json];
}

/// The promise that a frame travels under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Never dropped.
    Control,
    /// Ordered, never dropped.
    Log,
    /// The latest of a channel and key wins: one that still waits is replaced.
    State,
    /// Dropped where there is a backlog.
    Signal,
}

impl Lane {
    /// All four.
    pub const ALL: [Lane; 4] = [Lane::Control, Lane::Log, Lane::State, Lane::Signal];
}

/// One frame in the codecs that have readers: complete WebSocket frames as [`frame::encode`] builds them. An empty one
/// is not sent.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    /// For [`Codec::Binary`].
    pub binary: Bytes,
    /// For [`Codec::Json`].
    pub json: Bytes,
}

/// Names a connection for as long as it lives; a later connection in the same slot has another id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(u64);

impl ConnId {
    const SLOT_BITS: u32 = 23;
    /// Connections that one shard can hold.
    pub(crate) const MAX_SLOTS: usize = 1 << Self::SLOT_BITS;

    pub(crate) fn new(shard: usize, codec: Codec, slot: u32, generation: u32) -> Self {
        debug_assert!(shard < MAX_SHARDS && (slot as usize) < Self::MAX_SLOTS);
        ConnId((shard as u64) << 56 | (codec as u64) << 55 | u64::from(slot) << 32 | u64::from(generation))
    }

    /// The id as a number; those of 255 as first byte are never given out.
    pub fn to_u64(self) -> u64 {
        self.0
    }

    /// The id of [`ConnId::to_u64`].
    pub fn from_u64(number: u64) -> Self {
        ConnId(number)
    }

    /// The shard that owns the connection.
    pub fn shard(self) -> usize {
        (self.0 >> 56) as usize
    }

    /// The connection's codec.
    pub fn codec(self) -> Codec {
        if self.0 >> 55 & 1 == 0 { Codec::Binary } else { Codec::Json }
    }

    /// The place in its shard, small and used again after the connection is gone: a handler can index by it.
    pub fn slot(self) -> usize {
        (self.0 >> 32) as usize & (Self::MAX_SLOTS - 1)
    }

    pub(crate) fn generation(self) -> u32 {
        self.0 as u32
    }
}

impl std::fmt::Debug for ConnId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "conn {}.{}.{}", self.shard(), self.slot(), self.generation())
    }
}

/// What is known of a connection before its first message.
#[derive(Clone, Debug)]
pub struct ConnMeta {
    /// The other end of the socket.
    pub peer: SocketAddr,
    /// From the subprotocol.
    pub codec: Codec,
}

/// Reacts to what connections send. One instance a shard, called on the shard's thread, which must not block.
///
/// For each connection: one `open`, any number of `message` and `told`, one `closed`. After `closed` the id is void.
pub trait Handler: Send + 'static {
    /// A WebSocket was opened.
    fn open(&mut self, cx: &mut ShardContext<'_>, conn: ConnId, meta: &ConnMeta);

    /// A whole message came; for [`Codec::Json`] it is valid UTF-8. None comes while the connection is paused.
    fn message(&mut self, cx: &mut ShardContext<'_>, conn: ConnId, payload: &[u8]);

    /// Somebody called [`Fanout::tell`].
    fn told(&mut self, cx: &mut ShardContext<'_>, conn: ConnId, note: Box<dyn std::any::Any + Send>) {
        let _ = (cx, conn, note);
    }

    /// The connection is gone or about to go, with this WebSocket close code (1006 where there was none).
    fn closed(&mut self, cx: &mut ShardContext<'_>, conn: ConnId, code: u16);

    /// Called every [`NetConfig::tick`].
    fn tick(&mut self, cx: &mut ShardContext<'_>) {
        let _ = cx;
    }
}

/// Bounds and deadlines of everything that touches sockets.
#[derive(Clone, Debug)]
pub struct NetConfig {
    /// Threads that own sockets; 0 is one a core.
    pub shards: usize,
    /// WebSockets at the same time; beyond it upgrades are answered with 503.
    pub max_connections: usize,
    /// Sockets at the same time that have not been upgraded (yet); beyond it they are closed at once.
    pub max_http_connections: usize,
    /// Bytes of one message from a client, whole; a longer one is closed with 4501.
    pub max_message_bytes: usize,
    /// Bytes that may wait for a client that reads too slowly, state and signals aside; then it is closed with 4001.
    pub max_backlog_bytes: usize,
    /// From a socket's opening to its first byte.
    pub first_byte_timeout: Duration,
    /// From there to the end of a request's headers; also between requests.
    pub header_timeout: Duration,
    /// The longest that a plain HTTP connection may live.
    pub http_lifetime: Duration,
    /// From the upgrade to the first whole message; then 4003.
    pub hello_timeout: Duration,
    /// From a message's first byte to its last; then 4002.
    pub message_timeout: Duration,
    /// Longest silence of a client; then 4002.
    pub idle_timeout: Duration,
    /// What a closing connection has to take the rest and answer.
    pub close_timeout: Duration,
    /// How finely deadlines are kept, and how often [`Handler::tick`] runs.
    pub tick: Duration,
}

impl Default for NetConfig {
    fn default() -> Self {
        NetConfig {
            shards: 0,
            // A file descriptor each; the process's limit on those is usually the lower one.
            max_connections: 100_000,
            max_http_connections: 4_096,
            // Four times the largest operation, and a hello of 128 rooms, fit.
            max_message_bytes: 64 * 1024,
            // Some seconds of a busy room for a phone in a tunnel.
            max_backlog_bytes: 1024 * 1024,
            first_byte_timeout: Duration::from_secs(5),
            header_timeout: Duration::from_secs(10),
            http_lifetime: Duration::from_secs(300),
            hello_timeout: Duration::from_secs(10),
            message_timeout: Duration::from_secs(20),
            // Two heartbeats.
            idle_timeout: Duration::from_secs(50),
            close_timeout: Duration::from_secs(3),
            tick: Duration::from_millis(250),
        }
    }
}

impl NetConfig {
    /// The number of shards that `shards` asks for.
    pub fn shard_count(&self) -> usize {
        let wanted = match self.shards {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        };
        wanted.clamp(1, MAX_SHARDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_holds_its_parts_at_their_limits() {
        for (shard, codec, slot, generation) in [
            (0, Codec::Binary, 0, 0),
            (254, Codec::Json, (1 << 23) - 1, u32::MAX),
            (3, Codec::Json, 5_000, 7),
        ] {
            let id = ConnId::new(shard, codec, slot, generation);
            assert_eq!(
                (id.shard(), id.codec(), id.slot(), id.generation()),
                (shard, codec, slot as usize, generation)
            );
        }
    }
}
