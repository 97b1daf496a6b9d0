//! The handle by which other threads reach connections, and the queue of each shard behind it.

use std::any::Any;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use enfilade_proto::Code;

use super::{Channel, Codec, ConnId, EVERYBODY, Frames, Lane};

/// Bytes in one shard's queue from which on signals are dropped, and [`Fanout::is_pressed`] is true: some hundred
/// milliseconds of a shard's work, so that whoever feeds it hears of it before memory does.
const PRESSED_BYTES: usize = 16 * 1024 * 1024;

/// The table of subscriptions is cut in so many parts, so that rooms on different threads seldom wait for each other.
const INTEREST_PARTS: usize = 32;

/// What one thread asks of a shard.
pub(super) enum Command {
    Adopt { stream: TcpStream, peer: SocketAddr, codec: Codec, early: Bytes },
    Publish { channel: Channel, codec: Codec, lane: Lane, key: u32, bytes: Bytes },
    Send { conn: ConnId, lane: Lane, key: u32, bytes: Bytes },
    Subscribe { conn: ConnId, channel: Channel },
    Unsubscribe { conn: ConnId, channel: Channel },
    Close { conn: ConnId, code: u16, reason: String },
    Resume { conn: ConnId },
    Tell { conn: ConnId, note: Box<dyn Any + Send> },
    Drain { code: u16, reason: String, within: Duration },
}

impl Command {
    fn weight(&self) -> usize {
        size_of::<Command>()
            + match self {
                Command::Publish { bytes, .. } | Command::Send { bytes, .. } => bytes.len(),
                _ => 0,
            }
    }
}

/// One shard's queue. It wakes the shard when something comes into an empty one.
pub(super) struct Queue {
    commands: Mutex<Vec<Command>>,
    /// Weight of what is queued.
    weight: AtomicUsize,
    waker: mio::Waker,
    /// Connections that the shard has, or has been given.
    pub(super) connections: AtomicUsize,
}

impl Queue {
    pub(super) fn new(waker: mio::Waker) -> Self {
        Queue {
            commands: Mutex::default(),
            weight: AtomicUsize::new(0),
            waker,
            connections: AtomicUsize::new(0),
        }
    }

    fn push(&self, command: Command) {
        self.weight.fetch_add(command.weight(), Ordering::Relaxed);
        let mut commands = lock(&self.commands);
        commands.push(command);
        let first = commands.len() == 1;
        drop(commands);
        if first {
            // It fails only if the shard is gone, and then nobody is there to be woken.
            let _ = self.waker.wake();
        }
    }

    /// Swaps what is queued against an empty list, whose memory is used on.
    pub(super) fn take(&self, into: &mut Vec<Command>) {
        debug_assert!(into.is_empty());
        std::mem::swap(&mut *lock(&self.commands), into);
        let weight = into.iter().map(Command::weight).sum();
        self.weight.fetch_sub(weight, Ordering::Relaxed);
    }
}

/// Subscribers by shard.
type Counts = HashMap<(Channel, Codec), Box<[u32]>>;

/// Which shards have subscribers of which channel. Counted by whoever subscribes, before the shard hears of it, so that
/// a publication that follows a subscription on one thread is never missed.
pub(super) struct Subscriptions {
    parts: Box<[Mutex<Counts>]>,
    hasher: RandomState,
    shards: usize,
}

impl Subscriptions {
    fn new(shards: usize) -> Self {
        Subscriptions {
            parts: (0..INTEREST_PARTS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            shards,
        }
    }

    fn part(&self, channel: Channel) -> MutexGuard<'_, Counts> {
        lock(&self.parts[self.hasher.hash_one(channel) as usize % INTEREST_PARTS])
    }

    pub(super) fn add(&self, channel: Channel, conn: ConnId) {
        let mut part = self.part(channel);
        let counts = part.entry((channel, conn.codec())).or_insert_with(|| vec![0; self.shards].into());
        if let Some(count) = counts.get_mut(conn.shard()) {
            *count += 1;
        }
    }

    pub(super) fn remove(&self, channel: Channel, codec: Codec, shard: usize) {
        let mut part = self.part(channel);
        let Some(counts) = part.get_mut(&(channel, codec)) else {
            return;
        };
        if let Some(count) = counts.get_mut(shard) {
            *count = count.saturating_sub(1);
        }
        if counts.iter().all(|&count| count == 0) {
            part.remove(&(channel, codec));
        }
    }

    fn for_each_shard(&self, channel: Channel, codec: Codec, mut visit: impl FnMut(usize)) {
        let part = self.part(channel);
        let Some(counts) = part.get(&(channel, codec)) else {
            return;
        };
        // The lock is held while queues are pushed to, which takes as long as a push: a subscriber that leaves
        // meanwhile waits that long.
        for (shard, _) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            visit(shard);
        }
    }

    fn has(&self, channel: Channel, codec: Codec) -> bool {
        self.part(channel).contains_key(&(channel, codec))
    }
}

/// The codecs in which somebody receives a channel, so that a frame is not encoded for nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    /// Somebody reads protobuf.
    pub binary: bool,
    /// Somebody reads JSON.
    pub json: bool,
}

impl Interest {
    /// Whether anybody receives it at all.
    pub fn any(self) -> bool {
        self.binary || self.json
    }
}

pub(super) struct Shared {
    pub(super) queues: Box<[Queue]>,
    pub(super) subscriptions: Subscriptions,
    pub(super) max_connections: usize,
}

/// Reaches every connection of every shard, from any thread, without waiting. Cheap to clone.
///
/// What is asked for an id whose connection is gone does nothing.
#[derive(Clone)]
pub struct Fanout {
    pub(super) shared: Arc<Shared>,
}

impl Fanout {
    pub(super) fn new(queues: Vec<Queue>, max_connections: usize) -> Self {
        let subscriptions = Subscriptions::new(queues.len());
        Fanout { shared: Arc::new(Shared { queues: queues.into(), subscriptions, max_connections }) }
    }

    /// Sends a frame to every subscriber of the channel. `key` tells state frames of one channel apart: of those with
    /// the same key, the latest wins; other lanes ignore it.
    pub fn publish(&self, channel: Channel, lane: Lane, key: u32, frames: Frames) {
        for (codec, bytes) in [(Codec::Binary, frames.binary), (Codec::Json, frames.json)] {
            if bytes.is_empty() {
                continue;
            }
            self.shared.subscriptions.for_each_shard(channel, codec, |shard| {
                if let Some(queue) = self.shared.queues.get(shard)
                    && (lane != Lane::Signal || queue.weight.load(Ordering::Relaxed) < PRESSED_BYTES)
                {
                    queue.push(Command::Publish { channel, codec, lane, key, bytes: bytes.clone() });
                }
            });
        }
    }

    /// Publishes to [`EVERYBODY`].
    pub fn broadcast(&self, lane: Lane, key: u32, frames: Frames) {
        self.publish(EVERYBODY, lane, key, frames);
    }

    /// Sends a frame, in the connection's codec, to one connection.
    pub fn send(&self, conn: ConnId, lane: Lane, bytes: Bytes) {
        self.push(conn, Command::Send { conn, lane, key: 0, bytes });
    }

    /// From here on the connection receives what is published to the channel. Twice is once.
    pub fn subscribe(&self, conn: ConnId, channel: Channel) {
        self.shared.subscriptions.add(channel, conn);
        self.push(conn, Command::Subscribe { conn, channel });
    }

    /// From here on the connection receives nothing of the channel; what was published before still arrives.
    pub fn unsubscribe(&self, conn: ConnId, channel: Channel) {
        self.push(conn, Command::Unsubscribe { conn, channel });
    }

    /// Sends what is queued so far, then a close frame.
    pub fn close(&self, conn: ConnId, code: Code, reason: impl Into<String>) {
        self.push(conn, Command::Close { conn, code: code as u16, reason: reason.into() });
    }

    /// Takes back [`ShardContext::pause`](super::ShardContext::pause).
    pub fn resume(&self, conn: ConnId) {
        self.push(conn, Command::Resume { conn });
    }

    /// Hands something to the connection's handler, on its thread: [`Handler::told`](super::Handler::told).
    pub fn tell(&self, conn: ConnId, note: Box<dyn Any + Send>) {
        self.push(conn, Command::Tell { conn, note });
    }

    /// The codecs in which somebody receives the channel.
    pub fn interest(&self, channel: Channel) -> Interest {
        Interest {
            binary: self.shared.subscriptions.has(channel, Codec::Binary),
            json: self.shared.subscriptions.has(channel, Codec::Json),
        }
    }

    /// Whether a shard has fallen behind so far that producers should take less in: answer `Overloaded`, or wait.
    pub fn is_pressed(&self) -> bool {
        self.shared.queues.iter().any(|queue| queue.weight.load(Ordering::Relaxed) >= PRESSED_BYTES)
    }

    /// WebSockets that are open now.
    pub fn connections(&self) -> usize {
        self.shared.queues.iter().map(|queue| queue.connections.load(Ordering::Relaxed)).sum()
    }

    pub(super) fn is_full(&self) -> bool {
        self.connections() >= self.shared.max_connections
    }

    /// Gives a socket that speaks WebSocket from now on to the shard that has fewest. `early` was read from it already.
    pub(super) fn adopt(&self, stream: TcpStream, peer: SocketAddr, codec: Codec, early: Bytes) {
        let fewest = self.shared.queues.iter().min_by_key(|queue| queue.connections.load(Ordering::Relaxed));
        if let Some(queue) = fewest {
            queue.connections.fetch_add(1, Ordering::Relaxed);
            queue.push(Command::Adopt { stream, peer, codec, early });
        }
    }

    pub(super) fn drain(&self, code: u16, reason: &str, within: Duration) {
        for queue in &self.shared.queues {
            queue.push(Command::Drain { code, reason: reason.to_owned(), within });
        }
    }

    fn push(&self, conn: ConnId, command: Command) {
        if let Some(queue) = self.shared.queues.get(conn.shard()) {
            queue.push(command);
        }
    }
}

/// Nothing panics while it holds one of these locks, so a poisoned one is as good as new.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
