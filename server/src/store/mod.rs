//! Where rooms are kept: the contract of every store, and the stores.
//!
//! A room's log is the truth, and everything else is derived from it. Nodes hold no locks on rooms: each folds the log
//! and appends on condition that the log is still where it folded to ([`RoomStore::append`]). Whoever was second gets
//! the entries that it lacks, folds them and tries again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use enfilade_core::{Code, Position, RoomId};
use futures_util::future::BoxFuture;
use tokio::sync::broadcast;

#[cfg(test)]
pub(crate) mod contract;
mod embedded;
mod follow;
mod keys;
mod leases;
mod limits;
mod memory;
mod redis;
mod show;

pub use embedded::{EmbeddedStore, Options, Written};
pub use follow::Follower;
pub use keys::{KeyCommand, KeyWrite};
pub use limits::Limits;
pub use memory::MemoryStore;
pub use redis::{Mode as RedisMode, Options as RedisOptions, RedisStore};
pub use show::KeyStore;

/// What a store's operation returns.
pub type Result<T> = std::result::Result<T, StoreError>;

/// A store of rooms. One instance serves all rooms of a process; clone the `Arc`.
///
/// Futures must be polled within a tokio runtime. A future that is dropped leaves it open whether its operation took
/// place; so does every error but [`StoreError::Invalid`] and [`StoreError::Overloaded`], which are given before
/// anything is done. Whoever doesn't know appends again at the same position: either it takes place now, or the
/// conflict shows that it had.
pub trait RoomStore: Send + Sync + 'static {
    /// Opens a room's log: its snapshot, and the entries after it.
    ///
    /// `None` when the room has no log: [`claim`](Self::claim) one. The entries begin right after the snapshot (at 1
    /// where there is none) without a gap, and are capped by [`Limits::PAGE_ENTRIES`] and [`Limits::PAGE_BYTES`]; when
    /// the last one is below `head`, [`read`](Self::read) the rest. Snapshot, entries and head are of one moment.
    fn load<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Option<Loaded>>>;

    /// Names a new log's incarnation, unless it has a name: set if absent.
    ///
    /// Returns the epoch in force, which is the caller's or that of whoever was first. Durable before it returns.
    /// The epoch is from 1 to 2^53 - 1.
    fn claim<'a>(&'a self, room: &'a RoomId, epoch: u64) -> BoxFuture<'a, Result<u64>>;

    /// Starts a room's log right after a snapshot that was taken elsewhere, and puts the room into the directory: on
    /// condition that the room has no log, not even one that was only claimed. Durable before it returns.
    ///
    /// `false`, and nothing is done, where there is one. A log that was started is as one that was trimmed up to its
    /// snapshot. No follower is told: whoever has the snapshot has what came before it.
    fn start<'a>(&'a self, room: &'a RoomId, start: Start) -> BoxFuture<'a, Result<bool>>;

    /// Appends the batch as the entries after [`Append::expected`], on condition that the log ends there.
    ///
    /// All or nothing, and durable when it returns [`Appended::Done`]. In the same step the room's row in the directory
    /// is replaced, what has become of older entries is stored, the readable keys are written, and the room comes onto
    /// the worklist of every [`Follower`].
    ///
    /// Where the log is elsewhere, nothing is written and [`Appended::Conflict`] tells where it is. A batch that is
    /// appended twice with the same `expected` is stored once: the second time is a conflict. An empty batch is
    /// invalid, and so is an append beyond the [`Limits`].
    fn append<'a>(&'a self, room: &'a RoomId, append: Append) -> BoxFuture<'a, Result<Appended>>;

    /// What has become of entries from `from` to before `before_seq`, ascending by seq: those that were amended, with
    /// what was stored last, at most [`Limits::PAGE_ENTRIES`]. None where `from` is of another epoch than the log.
    fn amended<'a>(
        &'a self,
        room: &'a RoomId,
        from: Position,
        before_seq: u64,
    ) -> BoxFuture<'a, Result<Vec<(u64, Bytes)>>>;

    /// Reads entries from `from` on (that entry included), ascending: at most `limit` of them and, but for the first,
    /// at most `max_bytes`; never more than [`Limits::PAGE_ENTRIES`] and [`Limits::PAGE_BYTES`].
    ///
    /// The page is empty when `from` is beyond the head, and when `from` is of another epoch than the log: compare
    /// with [`Page::head`]. Where `from` was trimmed away, the page begins at the oldest entry that is left. An unknown
    /// room has an empty page and the head (0, 0).
    fn read<'a>(
        &'a self,
        room: &'a RoomId,
        from: Position,
        limit: usize,
        max_bytes: usize,
    ) -> BoxFuture<'a, Result<Page>>;

    /// Stores the room's state at a position, in place of the one before. Durable before it returns.
    ///
    /// `false`, and nothing is done, where the position isn't one of the log's (another epoch, or beyond its head),
    /// or where the stored snapshot is at least as new: then another node was first, which is no error.
    fn put_snapshot<'a>(
        &'a self,
        room: &'a RoomId,
        position: Position,
        snapshot: Bytes,
    ) -> BoxFuture<'a, Result<bool>>;

    /// Forgets entries before `before`, oldest first, but none that the snapshot doesn't cover, so that a trimmed room
    /// can always be loaded. What has become of them stays until it is [forgotten](Self::forget_amended) too. Returns
    /// the oldest seq that is left, which is the head's plus 1 when none is.
    ///
    /// One call forgets at most [`Limits::TRIM_ENTRIES`]; call again while it returns less than `before`. Does nothing
    /// where `before` is of another epoch, or the room is unknown (then it returns 0).
    fn trim<'a>(&'a self, room: &'a RoomId, before: Position) -> BoxFuture<'a, Result<u64>>;

    /// Forgets what has become of entries, each by its seq and on condition that it is still this: what has become of
    /// it since stays. Does nothing where the log is of another epoch.
    fn forget_amended<'a>(
        &'a self,
        room: &'a RoomId,
        epoch: u64,
        rows: Vec<(u64, Bytes)>,
    ) -> BoxFuture<'a, Result<()>>;

    /// Hints that logs have grown, through this process or another.
    ///
    /// Only ever a hint: it may come late, twice or never, and one receiver that lags loses the oldest. The log is
    /// the truth.
    fn watch(&self) -> broadcast::Receiver<Hint>;

    /// Leaves a note of this node beside the room for `ttl`, in place of its note before. A `ttl` of zero takes it
    /// away. Not durable: a store may forget all leases when it restarts.
    fn put_lease<'a>(
        &'a self,
        room: &'a RoomId,
        node: &'a str,
        note: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<()>>;

    /// The notes beside a room that have not expired, ascending by node.
    fn leases<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Vec<Lease>>>;

    /// Rows of the directory after the room `after`, ascending by id, at most `limit` and [`Limits::PAGE_ROWS`].
    /// A page shorter than that is the last.
    fn summaries<'a>(
        &'a self,
        after: Option<&'a RoomId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(RoomId, Bytes)>>>;

    /// Ids of all rooms that have a log, inboxes too, a page at a time and in the store's own order. Rooms that are made
    /// meanwhile may be left out, and a room may come twice.
    ///
    /// `cursor` is `None` at first and then [`RoomPage::next`]. A page may be empty before the last one.
    fn rooms<'a>(&'a self, cursor: Option<Bytes>) -> BoxFuture<'a, Result<RoomPage>>;

    /// The rows of these rooms, in their order; `None` for a room without one. At most [`Limits::PAGE_ROWS`].
    fn summaries_of<'a>(&'a self, rooms: &'a [RoomId]) -> BoxFuture<'a, Result<Vec<Option<Bytes>>>>;

    /// Rooms on a follower's worklist after the room `after`, ascending by id, at most `limit` and
    /// [`Limits::PAGE_ROOMS`]. A page shorter than that is the last.
    ///
    /// A room is on the list from its append on until it was [settled](Self::settle). It may be there without need.
    fn pending<'a>(
        &'a self,
        follower: Follower,
        after: Option<&'a RoomId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<RoomId>>>;

    /// How far a follower has come in a room: its last entry that is done. `None` where it has done nothing yet.
    ///
    /// Of another epoch than the log: that log is gone, and the follower begins anew with the one that is there.
    fn cursor<'a>(&'a self, room: &'a RoomId, follower: Follower) -> BoxFuture<'a, Result<Option<Position>>>;

    /// Notes how far a follower has come. Durable before it returns.
    ///
    /// `false`, and nothing is done, where the position isn't one of the log's (another epoch, or beyond its head), or
    /// where the cursor is further in this epoch: then another node was first, which is no error.
    fn set_cursor<'a>(
        &'a self,
        room: &'a RoomId,
        follower: Follower,
        position: Position,
    ) -> BoxFuture<'a, Result<bool>>;

    /// Takes a room off a follower's worklist, on condition that the log still ends at `at`.
    ///
    /// `false` when it stays: the log has grown, or a node may be about to append. Ask again later.
    fn settle<'a>(
        &'a self,
        room: &'a RoomId,
        follower: Follower,
        at: Position,
    ) -> BoxFuture<'a, Result<bool>>;

    /// The readable keys, where somebody may look into the store.
    fn keys(&self) -> Option<&dyn KeyStore> {
        None
    }

    /// Finishes what was begun, and lets go of files and connections. Everything after it is
    /// [`StoreError::Unavailable`]. A second time it does nothing.
    fn close(&self) -> BoxFuture<'_, Result<()>>;
}

/// A store that is shared by all parts of the server.
pub type SharedStore = Arc<dyn RoomStore>;

/// A room as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Where the log ends. A room that was claimed and never written to has seq 0.
    pub head: Position,
    /// The newest snapshot, and where it was taken.
    pub snapshot: Option<(Position, Bytes)>,
    /// Encoded entries right after the snapshot, ascending, without a gap.
    pub entries: Vec<Bytes>,
}

/// How a log starts that is not the room's first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Where the snapshot was taken, and the log's epoch from now on. Its next entry has the next seq.
    pub at: Position,
    /// The room's state at that position.
    pub snapshot: Bytes,
    /// The room's row in the directory; an empty one makes none.
    pub summary: Bytes,
    /// Whether this is the log itself, which the store has lost: nodes that have more of it give that back, and then it
    /// goes on under a new epoch. A store that loses nothing starts the log as it is.
    pub is_lost: bool,
}

/// Some of the rooms of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomPage {
    /// Their ids, at most [`Limits::PAGE_ROOMS`].
    pub rooms: Vec<RoomId>,
    /// Where the next page begins, in words that only this store reads; `None` after the last one.
    pub next: Option<Bytes>,
}

/// What is appended to a room's log, and what is written with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Append {
    /// Where the log must end, so that this is appended.
    pub expected: Position,
    /// Encoded entries, at least one.
    pub batch: Vec<Bytes>,
    /// The room's row in the directory, in place of the one before; an empty one takes the row away.
    pub summary: Bytes,
    /// What has become of older entries, by their seq: each in place of what was stored for it before. The entries
    /// themselves stay as they are. A seq beyond the batch's last is invalid.
    pub amended: Vec<(u64, Bytes)>,
    /// The room's readable keys.
    pub keys: Vec<KeyWrite>,
}

impl Append {
    /// An append that amends nothing and writes no readable keys.
    pub fn new(expected: Position, batch: Vec<Bytes>, summary: Bytes) -> Append {
        Append { expected, batch, summary, amended: Vec::new(), keys: Vec::new() }
    }

    /// Bytes that it carries.
    pub fn bytes(&self) -> usize {
        let batch = self.batch.iter().map(Bytes::len).sum::<usize>();
        let amended = self.amended.iter().map(|(_, message)| message.len()).sum::<usize>();
        let keys = self.keys.iter().map(|write| write.command.bytes()).sum::<usize>();
        batch + amended + keys + self.summary.len()
    }
}

/// The answer to an append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The batch is on disk, and the log ends here.
    Done {
        /// Position of the batch's last entry.
        head: Position,
    },
    /// The log was not at the expected position, and nothing was written.
    Conflict {
        /// Where the log is. Of another epoch than expected: the log was started anew, so load it. (0, 0): there is
        /// no log, so claim it.
        head: Position,
        /// The entries right after the expected position, ascending, capped as in [`RoomStore::load`]; when the last
        /// one is below `head`, read the rest. Empty, though the head is another: they can't be had (another epoch,
        /// trimmed away, or the log ends before the expected position), so load the room anew.
        missing: Vec<Bytes>,
    },
}

/// A stretch of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Where the log ended at that moment; (0, 0) when there is none.
    pub head: Position,
    /// Encoded entries with their seq, ascending without a gap.
    pub entries: Vec<(u64, Bytes)>,
}

/// A log has probably grown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// Which one.
    pub room: RoomId,
    /// How far, at least.
    pub head: Position,
}

/// What a node left beside a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Which node.
    pub node: String,
    /// What it left.
    pub note: Bytes,
    /// How long it still holds; never zero.
    pub remaining: Duration,
}

/// Why a store did not do what was asked. Every message says what is the matter, and what to do where somebody can do
/// something about it; it is for operators and logs, and clients are told the [`code`](StoreError::code).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It does not answer, or was closed. Try again.
    #[error("{0}")]
    Unavailable(String),
    /// More waits for it than its bounds allow; nothing was done. Try again later.
    #[error("the store has more waiting than its bounds allow")]
    Overloaded,
    /// There is no space left. Reads go on; writes are refused until there is space.
    #[error("{0}")]
    Full(String),
    /// What is stored can't be read.
    #[error("{0}")]
    Damaged(String),
    /// Another process uses it.
    #[error("{0}")]
    Locked(String),
    /// The place where it should be can't be read or written.
    #[error("{0}")]
    Inaccessible(String),
    /// The request is outside the contract; nothing was done, and it will never be.
    #[error("{0}")]
    Invalid(String),
}

impl StoreError {
    /// What a client is told.
    pub fn code(&self) -> Code {
        match self {
            StoreError::Unavailable(_)
            | StoreError::Full(_)
            | StoreError::Damaged(_)
            | StoreError::Locked(_)
            | StoreError::Inaccessible(_) => Code::StoreUnavailable,
            StoreError::Overloaded => Code::Overloaded,
            StoreError::Invalid(_) => Code::InvalidRequest,
        }
    }

    /// After [`RoomStore::close`].
    fn closed() -> StoreError {
        StoreError::Unavailable("the store was closed".into())
    }
}

/// Hints that wait for a receiver before the oldest are dropped. Receivers only mark rooms, so they are quick.
const HINTS: usize = 4_096;
