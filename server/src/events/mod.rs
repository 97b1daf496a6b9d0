//! Events: what rooms have decided goes out to other systems, and commands of other systems come in.
//!
//! **Out**: every entry of every room becomes a [`Record`], in a topic of Kafka or a stream of Redis. A [`publisher`]
//! follows the logs; an [`Outlet`] writes. Records of a room are in order and exactly once, named by room, epoch and
//! seq, through crashes of either side: see [`Outlet::take`].
//!
//! **In**: a [`Command`](command::Command) is one operation of one user or service in one room. An [`Inlet`] reads them,
//! the [`intake`] submits them, and only when they are durable are they told to be done. What can never be done goes to
//! the dead letters, with the reason.
//!
//! While the other side does not answer, entries wait in the logs: that is the outbox. When it is full, the [`Gate`]
//! has writes refused until it is not; nothing is ever left out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use enfilade_core::{Position, RoomId};
use futures_util::future::BoxFuture;

pub mod command;
#[cfg(test)]
mod contract;
mod gate;
mod intake;
pub mod kafka;
mod owners;
mod partition;
pub mod publisher;
mod recent;
pub mod record;
pub mod redis_streams;
mod start;

pub use gate::Gate;
pub use intake::Intake;
pub use record::Record;
pub use start::{Kind, Opened, Running, Settings, open};

/// What an operation on events returns.
pub type Result<T> = std::result::Result<T, EventsError>;

/// Why events did not go out or come in. The messages are for operators, and say what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventsError {
    /// It does not answer, or what came of the request is not known. Try again.
    #[error("{0}")]
    Unavailable(String),
    /// Another node has taken over since.
    #[error("another node has taken over")]
    Taken,
    /// Somebody has to do something about it first.
    #[error("{0}")]
    Misconfigured(String),
}

/// Records of one transaction at most, on any node and in any version: whoever takes a shard over reads back so many to
/// find what was published last.
pub const BATCH_MAX: usize = 10_000;

/// Shards of rooms at most. Each has a producer of its own, which has threads of its own.
pub const SHARDS: u32 = 8;

/// Where records go.
pub trait Outlet: Send + Sync + 'static {
    /// How many shards rooms are in; never changes.
    fn shards(&self) -> u32;

    /// The shard that a room is in; never changes.
    fn shard_of(&self, room: &RoomId) -> u32;

    /// Takes a shard, from this process or another: from now on whoever had it can't publish any more, nor finish what
    /// they had begun. Returns who can, and how far each room is published, of those that have a record among at least
    /// the last [`BATCH_MAX`] of the shard.
    ///
    /// An owner notes its cursors between two transactions. So all that is published beyond the cursors is of the last
    /// one, and lies within the tail: whoever skips it publishes nothing twice.
    fn take(&self, shard: u32) -> BoxFuture<'_, Result<Taken>>;

    /// Asks for something small, to see whether it answers.
    fn probe(&self) -> BoxFuture<'_, Result<()>>;
}

/// A shard that was taken.
pub struct Taken {
    /// Publishes, until somebody else takes the shard.
    pub writer: Box<dyn ShardWriter>,
    /// The last position of each room in the shard's tail.
    pub tail: HashMap<RoomId, Position>,
}

/// Publishes the records of one shard.
pub trait ShardWriter: Send {
    /// Publishes the records in their order, at most [`BATCH_MAX`].
    ///
    /// After an error it is not known whether all of them are published, none, or a beginning: take the shard anew.
    fn publish(&mut self, records: Arc<[Record]>) -> BoxFuture<'_, Result<()>>;
}

/// A command as it came, with its place: the place names the operation, so that a command that is delivered twice is
/// done once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Which partition or stream it came through. Its commands are handled in order, room by room.
    pub lane: u32,
    /// Its number in the lane: ascending, from 1 to 2^53 - 1.
    pub number: u64,
    /// What it was sent under; normally the room.
    pub key: Bytes,
    /// The JSON of a command, if it is one.
    pub payload: Bytes,
}

/// A command that can't be done, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The command as it came.
    pub delivery: Delivery,
    /// The stable name of a code, such as `unknown_room`.
    pub reason: &'static str,
    /// A sentence for people.
    pub text: String,
}

/// Where commands come from.
pub trait Inlet: Send {
    /// Names the source; the same in every process, and different for every topic.
    fn source(&self) -> String;

    /// The next commands, some hundreds at most, ascending within each lane. Waits for the first.
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Delivery>>>;

    /// Payloads of commands that went through the lane before this number: at least [`recent::IDS`], or all.
    fn before(&mut self, lane: u32, number: u64) -> BoxFuture<'_, Result<Vec<Bytes>>>;

    /// Lanes that this process has lost since the last call: others may have gone on with them.
    fn lost(&mut self) -> Vec<u32>;

    /// Puts away what can't be done. Durable before it returns.
    fn bury<'a>(&'a mut self, letters: &'a [DeadLetter]) -> BoxFuture<'a, Result<()>>;

    /// Everything in these lanes up to these numbers is done.
    fn done<'a>(&'a mut self, lanes: &'a [(u32, u64)]) -> BoxFuture<'a, Result<()>>;
}

/// Sends commands the way that others do.
pub trait Commands: Send + Sync + 'static {
    /// Sends one command's JSON. Durable before it returns.
    fn send<'a>(&'a self, room: &'a RoomId, json: Bytes) -> BoxFuture<'a, Result<()>>;
}

/// Back-off after failures: doubled from the first to the last.
#[derive(Clone, Copy, Debug)]
struct Backoff {
    next: Duration,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(50);
    /// Short enough that work goes on within two seconds of the other side's return.
    const LAST: Duration = Duration::from_millis(1_000);

    fn new() -> Backoff {
        Backoff { next: Backoff::FIRST }
    }

    async fn wait(&mut self) {
        tokio::time::sleep(self.next).await;
        self.next = (self.next * 2).min(Backoff::LAST);
    }
}
