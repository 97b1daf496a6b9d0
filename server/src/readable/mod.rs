//! Readable keys: a room as a person with redis-cli finds it.
#![doc = include_str!("keys.md")]

mod ask;
pub mod command;
mod fold;
mod inbox;
pub mod index;
mod inspect;
mod keyspace;
pub mod live;
mod names;
mod rebuild;
mod room;
mod values;
mod writes;

use std::time::Duration;

use enfilade_core::state::Change;
use enfilade_core::{Entry, RoomId, RoomState, limits};

pub use ask::answer;
pub(crate) use fold::fold_to;
pub use inspect::{InspectError, Subject, inspect};
pub use keyspace::{Keyspace, Value};
pub use names::Names;
pub use rebuild::rebuild;
use writes::Writes;

use crate::store::KeyWrite;

/// How much the readable keys show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readable {
    /// The newest messages in the chat: at most [`limits::ACTIVE_MESSAGES`], which is what a room holds.
    pub chat_messages: usize,
    /// How long a room's keys stay when nothing is written to it; `None` is for ever.
    pub expiry: Option<Duration>,
    /// How long a user's session is shown after their last connection has ended.
    pub session: Duration,
}

/// Messages that a chat shows where nobody says otherwise.
pub const CHAT_MESSAGES: usize = 100;

/// How long a session is shown where nobody says otherwise: an hour.
pub const SESSION: Duration = Duration::from_secs(3_600);

impl Default for Readable {
    fn default() -> Readable {
        Readable::DEFAULT
    }
}

impl Readable {
    /// The newest hundred messages, for ever.
    pub const DEFAULT: Readable = Readable { chat_messages: CHAT_MESSAGES, expiry: None, session: SESSION };

    /// What a batch does to the keys of a room that has all of them as of `before`: at the cost of the change.
    ///
    /// `changes` are those that lead from `before` to `after`; `batch` are the encoded entries.
    pub fn changed(
        &self,
        before: &RoomState,
        after: &RoomState,
        changes: &[Change],
        batch: &[impl AsRef<[u8]>],
    ) -> Vec<KeyWrite> {
        let mut writes = Writes::default();
        let names = Names::of(after.id());
        if after.id().inbox_owner().is_some() {
            inbox::changed(&mut writes, &names, (before, after), changes, &|| decode(batch));
        } else if after.id().is_server_settings() {
            inbox::settings_changed(&mut writes, &names.server_settings(), after, changes);
        } else {
            room::changed(&mut writes, &names, (before, after), changes, self.chat_messages());
        }
        self.finish(writes, after)
    }

    /// The keys of a room, whatever is there now.
    pub fn whole(&self, state: &RoomState) -> Vec<KeyWrite> {
        let mut writes = Writes::default();
        let names = Names::of(state.id());
        if state.id().inbox_owner().is_some() {
            inbox::whole(&mut writes, &names, state);
        } else if state.id().is_server_settings() {
            writes.delete(names.server_settings());
            inbox::settings(&mut writes, names.server_settings(), state);
        } else {
            room::whole(&mut writes, &names, state, self.chat_messages());
        }
        self.finish(writes, state)
    }

    fn chat_messages(&self) -> usize {
        self.chat_messages.min(limits::ACTIVE_MESSAGES)
    }

    /// With the expiry of every key of the room, whether or not it was written now: a room's keys go together.
    fn finish(&self, mut writes: Writes, state: &RoomState) -> Vec<KeyWrite> {
        if let Some(expiry) = self.expiry {
            keys(state).into_iter().for_each(|key| writes.expire(key, expiry));
        }
        writes.into_list()
    }
}

/// The hash that says at which position a room's keys are; `None` for the few settings of the server.
pub fn head_key(room: &RoomId) -> Option<String> {
    let names = Names::of(room);
    match room {
        id if id.inbox_owner().is_some() => Some(names.profile()),
        id if id.is_server_settings() => None,
        _ => Some(names.room()),
    }
}

/// Every key that the room has, or may have.
pub fn keys(state: &RoomState) -> Vec<String> {
    let names = Names::of(state.id());
    match state.id() {
        id if id.inbox_owner().is_some() => inbox::keys(&names),
        id if id.is_server_settings() => vec![names.server_settings()],
        _ => room::keys(&names, state),
    }
}

fn decode(batch: &[impl AsRef<[u8]>]) -> Vec<Entry> {
    // They have just been made here, so all can be read.
    batch.iter().filter_map(|bytes| Entry::decode(bytes.as_ref()).ok()).collect()
}

#[cfg(test)]
mod on_redis;
#[cfg(test)]
mod tests;
