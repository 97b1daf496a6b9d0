//! A room as its log has it now, for commands of operators.

use enfilade_core::state::decompress;
use enfilade_core::{Entry, RoomId, RoomState};

use super::inspect::InspectError;
use crate::store::{Limits, Loaded, RoomStore};

/// Folds what the store has. A log that grows meanwhile is folded to where it ended at some moment.
///
/// # Errors
/// There is no such room, or it can't be read.
pub(super) async fn state(store: &dyn RoomStore, room: &RoomId) -> Result<RoomState, InspectError> {
    let loaded = store.load(room).await?.ok_or_else(|| InspectError::Unknown(room.clone()))?;
    fold_to(store, room, loaded, u64::MAX).await
}

/// Folds what was loaded, and goes on to this entry, or to the log's end where that comes before.
///
/// # Errors
/// It can't be read.
pub(crate) async fn fold_to(
    store: &dyn RoomStore,
    room: &RoomId,
    loaded: Loaded,
    last: u64,
) -> Result<RoomState, InspectError> {
    let unreadable = |code| InspectError::Unreadable(room.clone(), code);
    let mut state = match &loaded.snapshot {
        Some((_, snapshot)) => decompress(snapshot)
            .and_then(|snapshot| RoomState::restore(room.clone(), snapshot, true))
            .map_err(unreadable)?,
        None => RoomState::authority(room.clone()),
    };
    state.go_on_under(loaded.head.epoch);
    let mut entries = loaded.entries;
    loop {
        for bytes in &entries {
            if state.position().seq >= last {
                return Ok(state);
            }
            Entry::decode(bytes).and_then(|entry| state.apply(&entry)).map_err(unreadable)?;
        }
        let from = state.position().next();
        let page = store.read(room, from, Limits::PAGE_ENTRIES, Limits::PAGE_BYTES).await?;
        if page.entries.is_empty() {
            return Ok(state);
        }
        entries = page.entries.into_iter().map(|(_, bytes)| bytes).collect();
    }
}
