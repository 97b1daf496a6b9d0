//! What rooms have been: their whole logs beyond what the store keeps hot, documents of rooms and users that people can
//! read, and snapshots by which a room comes back that the store has lost.
//!
//! Nothing here is on the way of an operation. The [follower](crate::follow) reads the store's logs and writes them
//! here, and only what is here is trimmed there. All writes are idempotent, so whatever dies in between, it is done
//! again.

use std::sync::Arc;

use bytes::Bytes;
use enfilade_core::{Entry, Millis, OpId, Position, RoomId, v1};
use futures_util::future::BoxFuture;

use crate::store::Result;

mod bound;
#[cfg(test)]
mod contract;
mod documents;
mod embedded;
mod history;
mod mongo;
mod reopen;
mod sink;
mod start;
#[cfg(test)]
mod tests;
mod trim;

pub use documents::{RoomDocument, RoomSettings, Setting, UserDocument};
pub use embedded::EmbeddedArchive;
pub use history::{History, find, stretch};
pub use mongo::{MongoArchive, MongoOptions};
pub use reopen::{load, recall, reopen};
pub use sink::ArchiveSink;
pub use start::{Kind, Settings, ask, open};
pub use trim::Keep;

/// An archive of rooms. One instance serves all rooms of a process; clone the `Arc`.
///
/// What is written is durable when the future has ended well; after an error, or when it was dropped, it may be there
/// or not, and is to be written again. Entries lie under the epoch of their log. How the logs of a room follow each
/// other is told by [`origin`](Archive::origin).
pub trait Archive: Send + Sync + 'static {
    /// Puts entries of a log there: at most [`PUT_ENTRIES`]. One that is there already stays.
    ///
    /// # Errors
    /// `Damaged` when another entry is in the place of one of these.
    fn put_entries<'a>(
        &'a self,
        room: &'a RoomId,
        epoch: u64,
        entries: &'a [Entry],
    ) -> BoxFuture<'a, Result<()>>;

    /// Notes what has become of the message at a position, unless what is noted there is as new: by
    /// [`changed_seq`](v1::Message::changed_seq). Has no effect where there is no entry.
    fn put_amended<'a>(
        &'a self,
        room: &'a RoomId,
        at: Position,
        message: &'a v1::Message,
    ) -> BoxFuture<'a, Result<()>>;

    /// Entries of a log from `from` to before `before_seq`, ascending, with what has become of them: at most `limit`
    /// and [`PAGE_ENTRIES`] and, but for the first, at most [`PAGE_BYTES`].
    fn entries<'a>(
        &'a self,
        room: &'a RoomId,
        from: Position,
        before_seq: u64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page>>;

    /// Where an operation lies, in whichever of the room's logs.
    fn find<'a>(&'a self, room: &'a RoomId, op_id: OpId) -> BoxFuture<'a, Result<Vec<Position>>>;

    /// Notes that the log of this epoch goes on where another ended. What is noted first holds.
    fn put_origin<'a>(&'a self, room: &'a RoomId, epoch: u64, origin: Position) -> BoxFuture<'a, Result<()>>;

    /// Where the log of this epoch came from; `None` for one that began with nothing.
    fn origin<'a>(&'a self, room: &'a RoomId, epoch: u64) -> BoxFuture<'a, Result<Option<Position>>>;

    /// Keeps the room's state at a position, in place of the one before, unless that is of the same log and as new.
    fn put_snapshot<'a>(
        &'a self,
        room: &'a RoomId,
        at: Position,
        snapshot: Bytes,
    ) -> BoxFuture<'a, Result<()>>;

    /// The newest snapshot.
    fn snapshot<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Option<(Position, Bytes)>>>;

    /// What is known of a room. Its position says how much of the log is here, all of it.
    fn room<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Option<RoomDocument>>>;

    /// Replaces what is known of a room, if that is `expected` still; `false` when it is not. `None`: there is nothing.
    fn put_room<'a>(
        &'a self,
        expected: Option<Position>,
        document: &'a RoomDocument,
    ) -> BoxFuture<'a, Result<bool>>;

    /// Rooms after this one, ascending by id.
    fn rooms<'a>(
        &'a self,
        after: Option<&'a RoomId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<RoomDocument>>>;

    /// What is known of a user.
    fn user<'a>(&'a self, user: &'a str) -> BoxFuture<'a, Result<Option<UserDocument>>>;

    /// Notes that a user was there under this name: never an older time than is known.
    fn see_user<'a>(&'a self, user: &'a str, name: &'a str, at: Millis) -> BoxFuture<'a, Result<()>>;

    /// Replaces what the user has set: status and settings.
    fn set_user<'a>(
        &'a self,
        user: &'a str,
        status: &'a str,
        settings: &'a [Setting],
    ) -> BoxFuture<'a, Result<()>>;

    /// Whether it outlives the store, so that it may know rooms which the store has lost.
    fn is_apart(&self) -> bool {
        true
    }

    /// Whether it answers.
    fn ping(&self) -> BoxFuture<'_, Result<()>>;
}

/// An archive that is shared by all parts of the server.
pub type SharedArchive = Arc<dyn Archive>;

/// A stretch of an archived log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Encoded entries with their seq, ascending.
    pub entries: Vec<(u64, Bytes)>,
    /// What has become of them: encoded messages, by seq.
    pub amended: Vec<(u64, Bytes)>,
    /// Entries that can't be read, each with what is the matter. Somebody has changed them.
    pub damaged: Vec<String>,
}

/// Entries of one call of [`Archive::put_entries`]: what a follower hands over at a time.
pub const PUT_ENTRIES: usize = 1_024;
/// Entries of one page: as of the store.
pub const PAGE_ENTRIES: usize = crate::store::Limits::PAGE_ENTRIES;
/// Bytes of one page: as of the store.
pub const PAGE_BYTES: usize = crate::store::Limits::PAGE_BYTES;
/// Rooms of one page.
pub const PAGE_ROOMS: usize = 1_000;
