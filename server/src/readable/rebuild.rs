//! `enfilade rebuild-keys`: the readable keys as the logs have them, whatever is there.

use std::collections::BTreeSet;

use enfilade_core::{RoomId, RoomState};

use super::inspect::InspectError;
use super::{Names, Readable, fold};
use crate::store::{KeyCommand, KeyStore, KeyWrite, RoomStore};

/// How often a room is folded anew because somebody wrote to it meanwhile.
const ATTEMPTS: u32 = 10;

/// Writes all readable keys of a room, and takes those away that it has not. Says how many keys it has.
///
/// # Errors
/// There is no such room, it can't be read, or it is written to without a pause.
pub async fn rebuild(
    store: &dyn RoomStore,
    keys: &dyn KeyStore,
    room: &RoomId,
) -> Result<usize, InspectError> {
    for _ in 0..ATTEMPTS {
        let state = fold::state(store, room).await?;
        let (writes, count) = writes(keys.shows(), &state, keys.keys_of(room).await?);
        if keys.rewrite(room, state.position(), writes).await? {
            return Ok(count);
        }
    }
    let busy =
        format!("the room {room} is written to all the time, and its writers keep the keys; try again later");
    Err(crate::store::StoreError::Unavailable(busy).into())
}

/// What makes the keys of this state out of any that may be there, and how many keys it has.
fn writes(readable: &Readable, state: &RoomState, there: Vec<String>) -> (Vec<KeyWrite>, usize) {
    let writes = readable.whole(state);
    let named: BTreeSet<&str> = writes.iter().map(|write| write.key.as_str()).collect();
    // Who is here, and types, is no part of the log; and the global indexes note what they have.
    let names = Names::of(state.id());
    let live = [names.users(), names.typing(), names.indexed()];
    let gone: Vec<KeyWrite> = there
        .into_iter()
        .filter(|key| !named.contains(key.as_str()) && !live.contains(key))
        .map(|key| KeyWrite { key, command: KeyCommand::Del })
        .collect();
    let written = writes.iter().filter(|write| write.command != KeyCommand::Del);
    let count = written.map(|write| write.key.as_str()).collect::<BTreeSet<_>>().len();
    (gone.into_iter().chain(writes).collect(), count)
}
