//! What belongs to the client and survives every tier: what the user has typed, and where they are.

use alloc::string::ToString;

use super::{Client, RoomChange};
use crate::{RoomId, limits};

impl Client {
    /// Keeps what the user has typed and not sent. It survives every tier.
    pub fn set_draft(&mut self, room: &RoomId, draft: &str) {
        if self.draft(room) != draft {
            self.room_mut(room).draft = draft.to_string();
            self.keep_ui_state(room, draft.is_empty());
        }
    }

    /// What the user has typed and not sent.
    pub fn draft(&self, room: &RoomId) -> &str {
        self.rooms.get(room).map_or("", |room| &room.draft)
    }

    /// Keeps where the user has scrolled to, in the app's own words: at most 64 bytes, longer ones count as none. It
    /// survives every tier.
    pub fn set_scroll(&mut self, room: &RoomId, scroll: &str) {
        let scroll = if scroll.len() > limits::SCROLL_BYTES { "" } else { scroll };
        if self.scroll(room) != scroll {
            self.room_mut(room).scroll = scroll.to_string();
            self.keep_ui_state(room, scroll.is_empty());
        }
    }

    /// Where the user has scrolled to.
    pub fn scroll(&self, room: &RoomId) -> &str {
        self.rooms.get(room).map_or("", |room| &room.scroll)
    }

    fn keep_ui_state(&mut self, room: &RoomId, is_gone: bool) {
        let now = self.now;
        self.room_mut(room).dirty_since.get_or_insert(now);
        self.outbox.room(room, RoomChange::Draft);
        if is_gone {
            self.save(room);
            self.sweep(room);
        }
    }
}
