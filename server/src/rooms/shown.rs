//! A room's readable keys: whether they are all there, and what an append does to them.

use enfilade_core::authority::Authority;
use enfilade_core::policy::{self, Actor};
use enfilade_core::state::Change;
use enfilade_core::{Millis, Position, RoomId, v1};

use crate::readable::live::Connections;
use crate::readable::{self, Readable};
use crate::store::{KeyStore, KeyWrite, Limits, Result};

/// What a room's task knows of its readable keys.
///
/// Whoever appends keeps them up to date, so keys that were once seen to be those of the log's end stay so, and each
/// append writes what it changes. Where that was not seen (a new log, deleted keys, a store that did not answer), the
/// next append writes all of them.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// The log in which they were seen to be complete.
    epoch: Option<u64>,
    /// The same, once the append that is under way is done.
    next: Option<u64>,
}

impl Shown {
    /// The room was loaded: its log ended at `head`, and the keys were those of `shown`.
    pub(super) fn loaded(&mut self, head: Position, shown: Option<Position>) {
        // They may be ahead: another node has appended in between.
        let complete = shown.filter(|shown| shown.epoch == head.epoch && shown.seq >= head.seq);
        self.epoch = complete.filter(|_| head.seq > 0).map(|shown| shown.epoch);
    }

    /// What the append that is on its way does to the keys.
    pub(super) fn append(
        &mut self,
        readable: &Readable,
        authority: &Authority,
        changes: &[Change],
        batch: &[Vec<u8>],
        now: Millis,
    ) -> Vec<KeyWrite> {
        let (before, after) = (authority.state(), authority.ahead());
        let epoch = after.position().epoch;
        let may_have_expired = readable
            .expiry
            .is_some_and(|expiry| u128::from(now.since(before.last_at())) * 2 > expiry.as_millis());
        let is_complete = self.epoch == Some(epoch) && before.position().seq > 0 && !may_have_expired;
        let writes = match is_complete {
            true => readable.changed(before, after, changes, batch),
            false => readable.whole(after),
        };
        let fits = writes.len() <= Limits::KEY_WRITES
            && writes.iter().map(|write| write.command.bytes()).sum::<usize>() <= Limits::KEYS_BYTES;
        self.next = fits.then_some(epoch);
        if fits {
            return writes;
        }
        // The log counts, and the keys are written whole when they fit again.
        tracing::warn!(room = %after.id(), "the readable keys of a room are too much for one append; they are left as they are");
        Vec::new()
    }

    /// The append is done.
    pub(super) fn appended(&mut self) {
        self.epoch = self.next;
    }
}

/// The position that a room's keys say they are at.
pub(super) async fn position(store: &dyn KeyStore, room: &RoomId) -> Result<Option<Position>> {
    let Some(key) = readable::head_key(room) else { return Ok(None) };
    let fields = store.fields(&key).await?;
    let number = |name: &str| fields.get(name)?.parse().ok();
    Ok(number("epoch").zip(number("seq")).map(|(epoch, seq)| Position { epoch, seq }))
}

/// The kind of signal by which apps say that somebody types.
const TYPING: &str = "typing";

/// Notes who types, of those who may.
pub(super) fn typing(
    connections: &Connections,
    room: &Authority,
    actor: &Actor,
    signal: &v1::Signal,
    now: Millis,
) {
    if signal.kind == TYPING && policy::may_signal(room.state(), actor, now) {
        let types = signal.class() != v1::SignalClass::Release;
        connections.typing(room.state().id(), actor.user(), types);
    }
}
