//! What people with `redis-cli` find of a room: keys of its own beside the log, projections of its state.

use std::time::Duration;

use bytes::Bytes;
use enfilade_core::RoomId;

use super::Result;
use super::limits::{Limits, at_most, invalid};

/// One command on one readable key of a room, done in the same step as the append.
///
/// These keys are projections: nothing is decided by them, and where one is damaged (of a foreign type, for example)
/// its command is left out and counted, and the append goes on. A store without such keys ignores them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyWrite {
    /// The key's name after the configured prefix. It holds the room's id in braces, as `rooms:chat:{lobby}` does, so
    /// that all keys of a room lie in one slot of a Cluster.
    pub key: String,
    /// What is done.
    pub command: KeyCommand,
}

/// What is done to a readable key. Commands of one append are done in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyCommand {
    /// `HSET` of fields and their values.
    HSet(Vec<(Bytes, Bytes)>),
    /// `HDEL` of fields.
    HDel(Vec<Bytes>),
    /// `ZADD` of members by their scores; integers below 2^53 either way.
    ZAdd(Vec<(i64, Bytes)>),
    /// `ZREM` of members.
    ZRem(Vec<Bytes>),
    /// `ZREMRANGEBYSCORE` of the scores from the first to the second, both included.
    ZRemByScore(i64, i64),
    /// `ZREMRANGEBYRANK`: those with the highest scores stay, so many of them.
    ZKeepNewest(u32),
    /// `RPUSH` of items.
    RPush(Vec<Bytes>),
    /// `LTRIM`: the last ones stay, so many of them.
    LKeepLast(u32),
    /// `SADD` of members.
    SAdd(Vec<Bytes>),
    /// `SREM` of members.
    SRem(Vec<Bytes>),
    /// `SET` to a value.
    Set(Bytes),
    /// `DEL`.
    Del,
    /// `PEXPIRE`: the key goes after this time, in whole milliseconds.
    Expire(Duration),
    /// `PERSIST`: the key does not go by itself any more.
    Persist,
}

impl KeyWrite {
    /// A command on a key of a room: `name` with the room's id in braces after it, as in `rooms:chat:{lobby}`.
    pub fn new(name: &str, room: &RoomId, command: KeyCommand) -> KeyWrite {
        KeyWrite { key: format!("{name}:{{{room}}}"), command }
    }
}

impl KeyCommand {
    /// Bytes that the command carries.
    pub fn bytes(&self) -> usize {
        match self {
            KeyCommand::HSet(pairs) => pairs.iter().map(|(field, value)| field.len() + value.len()).sum(),
            KeyCommand::ZAdd(members) => members.iter().map(|(_, member)| member.len() + 8).sum(),
            KeyCommand::HDel(items)
            | KeyCommand::ZRem(items)
            | KeyCommand::RPush(items)
            | KeyCommand::SAdd(items)
            | KeyCommand::SRem(items) => items.iter().map(Bytes::len).sum(),
            KeyCommand::Set(value) => value.len(),
            KeyCommand::ZRemByScore(..)
            | KeyCommand::ZKeepNewest(_)
            | KeyCommand::LKeepLast(_)
            | KeyCommand::Del
            | KeyCommand::Expire(_)
            | KeyCommand::Persist => 0,
        }
    }
}

/// Whether these writes are within the limits, and all of this room.
pub(super) fn check(room: &RoomId, keys: &[KeyWrite]) -> Result<()> {
    if keys.len() > Limits::KEY_WRITES {
        return invalid(format!(
            "{} writes of keys are above the limit of {}",
            keys.len(),
            Limits::KEY_WRITES
        ));
    }
    let tag = format!("{{{room}}}");
    for write in keys {
        let tagged = write.key.find(&tag);
        if write.key.len() > Limits::KEY_BYTES || tagged.is_none() || write.key.find('{') != tagged {
            return invalid(format!("the key {:?} is not one of the room {room}", write.key));
        }
    }
    at_most("writes of keys", keys.iter().map(|write| write.command.bytes()).sum(), Limits::KEYS_BYTES)
}
