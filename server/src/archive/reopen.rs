//! A room that the store has lost comes back: the archive's newest snapshot, and the entries after it, give its state,
//! and a new log goes on from there.

use enfilade_core::state::{SnapshotFor, compress, decompress};
use enfilade_core::{Entry, Position, RoomId, RoomState};

use super::history::History;
use crate::rooms::row;
use crate::store::{Loaded, Result, RoomStore, Start, StoreError};

/// The room as of its last archived entry; `None` for one that the archive does not know.
///
/// # Errors
/// Those of the archive. `Damaged` where entries are missing or were changed: then nothing is opened.
pub async fn recall(past: &History, room: &RoomId) -> Result<Option<RoomState>> {
    let Some(document) = past.archive().room(room).await? else { return Ok(None) };
    let end = document.position();
    let damaged =
        |what: &str| StoreError::Damaged(format!("the archive's room {room} can't be brought back: {what}"));
    let mut state = match past.archive().snapshot(room).await? {
        Some((at, bytes)) if at.seq <= end.seq && past.is_of(room, end.epoch, at).await? => {
            let snapshot = decompress(&bytes).map_err(|_| damaged("its snapshot can't be read"))?;
            let state = RoomState::restore(room.clone(), snapshot, true);
            state.map_err(|_| damaged("its snapshot can't be read"))?
        }
        _ => {
            let mut state = RoomState::authority(room.clone());
            state.open_epoch(end.epoch);
            state
        }
    };
    while state.position().seq < end.seq {
        let next = Position { epoch: end.epoch, seq: state.position().seq + 1 };
        let page = past.entries(room, next, end.seq + 1).await?;
        if let Some(first) = page.damaged.first() {
            super::history::report(room, &page.damaged);
            return Err(damaged(first));
        }
        if page.entries.is_empty() {
            return Err(damaged(&format!("its entry {} is missing", next.seq)));
        }
        for (seq, bytes) in &page.entries {
            let applied = Entry::decode(bytes).and_then(|entry| state.apply(&entry));
            applied.map_err(|_| damaged(&format!("its entry {seq} does not follow the one before")))?;
        }
    }
    Ok(Some(state))
}

/// Opens a new log for a room that the store has lost, if the archive knows the room: under `epoch`, unless somebody
/// else was faster. Returns whether there is a log to load now.
///
/// # Errors
/// Those of both. As long as the archive does not answer nobody knows whether the room is new, so that it is not
/// opened.
pub async fn reopen(store: &dyn RoomStore, past: &History, room: &RoomId, epoch: u64) -> Result<bool> {
    let Some(state) = recall(past, room).await? else { return Ok(false) };
    let ended = state.position();
    let mut snapshot = state.snapshot(SnapshotFor::Store);
    let at = Position { epoch, seq: ended.seq };
    snapshot.position = Some(at.wire());
    let mut summary = state.summary();
    summary.position = Some(at.wire());
    // Noted first: what the new log follows must be known before anything is in it.
    past.archive().put_origin(room, epoch, ended).await?;
    let start =
        Start { at, snapshot: compress(&snapshot).into(), summary: row(room, &summary), is_lost: false };
    if store.start(room, start).await? {
        metrics::counter!("enfilade_rooms_reopened_total").increment(1);
        let seq = ended.seq;
        tracing::warn!(%room, epoch, seq, "the store had lost a room; it comes back from the archive under a new epoch");
    }
    Ok(true)
}

/// The room as the store has it, after it was brought back where the store has lost it.
///
/// # Errors
/// Those of [`reopen`].
pub async fn load(store: &dyn RoomStore, past: Option<&History>, room: &RoomId) -> Result<Option<Loaded>> {
    let loaded = store.load(room).await?;
    let Some(past) = past.filter(|past| loaded.is_none() && past.archive().is_apart()) else {
        return Ok(loaded);
    };
    if reopen(store, past, room, random_epoch()?).await? { store.load(room).await } else { Ok(None) }
}

/// A number that no other log has had.
fn random_epoch() -> Result<u64> {
    let mut bytes = [0; 8];
    let failed = |error| StoreError::Unavailable(format!("there are no random numbers ({error})"));
    getrandom::fill(&mut bytes).map_err(failed)?;
    Ok((u64::from_le_bytes(bytes) % (crate::store::Limits::INTEGER_BOUND - 1)) + 1)
}
