//! What rooms take of this client's memory, and how they are kept within the budgets of their tiers.

use super::content::{Base, Cached, Content};
use super::{Client, RoomChange};
use crate::{RoomId, Tier, weight};

impl Client {
    /// Bytes that a room takes in memory; 0 for a room of which nothing is held. Draft and scroll position belong to
    /// the app and are not counted.
    pub fn memory(&self, room: &RoomId) -> u64 {
        let Some(held) = self.rooms.get(room) else { return 0 };
        let parts = held.parts.as_ref().map_or(0, |parts| parts.bytes());
        match held.tier() {
            // Its id, and that something of the app's is kept for it.
            Tier::Unloaded => room.as_str().len() as u64,
            Tier::Cached | Tier::Background | Tier::Active => {
                (weight::ROOM + room.as_str().len() + held.content.memory() + parts) as u64
            }
        }
    }

    /// Bytes that all rooms take together.
    pub fn total_memory(&self) -> u64 {
        self.rooms.keys().map(|id| self.memory(id)).sum()
    }

    /// Lets go of the oldest messages of a room that takes more than its budget. The newest one stays.
    pub(super) fn keep_within_budget(&mut self, id: &RoomId) {
        let memory = self.memory(id);
        let Some(room) = self.rooms.get_mut(id) else { return };
        let over = memory.saturating_sub(self.link.budgets.of(room.tier()).memory) as usize;
        if over == 0 {
            return;
        }
        let dropped_before = match &mut room.content {
            Content::Active(active) => active.state.timeline_mut().lighten(over),
            Content::Background(background) => {
                // The host's storage has it, too.
                let is_stored =
                    background.base.as_ref().is_some_and(|base| room.stored_at == Some(base.position));
                let spare =
                    background.base.as_mut().filter(|_| is_stored).and_then(|base| base.packed.take());
                let left = over.saturating_sub(spare.map_or(0, |packed| packed.len()));
                background.light.lighten(left)
            }
            Content::Cached(_) | Content::Unloaded => None,
        };
        if let Some(before) = dropped_before {
            room.history.is_exhausted = false;
            self.outbox.room(id, RoomChange::MessagesDropped(before));
        }
    }
}

impl Content {
    fn memory(&self) -> usize {
        match self {
            Content::Unloaded => 0,
            Content::Cached(cached) => cached.memory(),
            Content::Background(background) => background.light.memory() + packed(background.base.as_ref()),
            Content::Active(active) => {
                let before = active.before.as_ref().map_or(0, |before| before.memory());
                active.state.memory() + active.presence.len() * weight::PRESENT + before
            }
        }
    }
}

impl Cached {
    fn memory(&self) -> usize {
        weight::summary(&self.summary) + packed(self.base.as_ref())
    }
}

fn packed(base: Option<&Base>) -> usize {
    base.and_then(|base| base.packed.as_ref()).map_or(0, |packed| packed.len())
}
