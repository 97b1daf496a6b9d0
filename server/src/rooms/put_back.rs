//! A log that the store has lost, while this node holds the room: the node puts it back.

use enfilade_core::state::{SnapshotFor, compress};

use super::actor::{Answer, RoomTask};
use super::row;
use crate::archive;
use crate::store::Start;

impl RoomTask {
    /// Starts the log again from the state that is held here, and loads it. Other nodes may have more of it, and give
    /// that back to the store before it goes on.
    pub(super) fn put_back(&mut self) {
        let state = self.authority.state();
        let at = state.position();
        let snapshot = compress(&state.snapshot(SnapshotFor::Store)).into();
        let start = Start { at, snapshot, summary: row(&self.room, &state.summary()), is_lost: true };
        let (store, room) = (self.rooms.shared.store.clone(), self.room.clone());
        let past = self.rooms.shared.past.get().cloned();
        self.work.push(Box::pin(async move {
            match store.start(&room, start).await {
                Ok(is_first) => {
                    if is_first {
                        metrics::counter!("enfilade_rooms_put_back_total").increment(1);
                        tracing::error!(
                            %room, epoch = at.epoch, seq = at.seq,
                            "THE STORE HAS LOST A ROOM; this node puts back what it holds, under a new epoch"
                        );
                    }
                    Answer::Loaded(archive::load(&*store, past.as_deref(), &room).await, None)
                }
                Err(error) => Answer::Loaded(Err(error), None),
            }
        }));
    }
}
