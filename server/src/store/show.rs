//! Stores that people look into, past the server.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use enfilade_core::{Position, RoomId};
use futures_util::future::BoxFuture;

use super::{KeyWrite, Result};
use crate::readable::Readable;

/// The readable keys beside the logs, for those who write them without an append.
///
/// Keys are named as in [`KeyWrite::key`]: without the configured prefix.
pub trait KeyStore: Send + Sync + 'static {
    /// How much they show.
    fn shows(&self) -> &Readable;

    /// All fields of a hash; none where the key is missing or of another type.
    fn fields<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<BTreeMap<String, String>>>;

    /// The names of the keys of this room that are there, readable ones alone. Slow: for repairs.
    fn keys_of<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Vec<String>>>;

    /// Writes keys of one room in one step, on condition that its log ends at `at`. `false` where it does not.
    ///
    /// As with an append, a command on a key of a foreign type is left out.
    fn rewrite<'a>(
        &'a self,
        room: &'a RoomId,
        at: Position,
        keys: Vec<KeyWrite>,
    ) -> BoxFuture<'a, Result<bool>>;

    /// Writes keys wherever they lie, in their order on each key, but not in one step.
    fn write(&self, keys: Vec<KeyWrite>) -> BoxFuture<'_, Result<()>>;

    /// Lets a name stand for a room in a hash of names, and takes `old` away where that stood for it. A name that
    /// stands for another room stays with that one. An empty name is none.
    fn name<'a>(
        &'a self,
        key: &'a str,
        room: &'a RoomId,
        old: &'a str,
        new: &'a str,
    ) -> BoxFuture<'a, Result<()>>;

    /// Takes those members out of a ZSET of connections whose node is none of these.
    fn prune<'a>(&'a self, key: &'a str, nodes: &'a BTreeSet<String>) -> BoxFuture<'a, Result<()>>;

    /// Tells whoever listens at a channel, which is named as keys are.
    fn publish<'a>(&'a self, channel: &'a str, message: Bytes) -> BoxFuture<'a, Result<()>>;
}
