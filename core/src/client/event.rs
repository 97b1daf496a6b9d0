use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use crate::long::LongMap;
use crate::sorted::SortedSet;
use crate::traffic::Kind;
use crate::{Code, OpId, RoomId, Tier, v1};

/// What the host does for the client. In the order in which they come.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Effect {
    /// Open a WebSocket, and hand in what becomes of it under this number.
    Connect {
        /// Names the connection. Inputs that carry another number are ignored.
        generation: u64,
    },
    /// Send one binary message.
    Send {
        /// On this connection; nothing happens when it is gone.
        generation: u64,
        /// The frame.
        bytes: Vec<u8>,
    },
    /// Close the connection. The client counts it as gone already.
    Close {
        /// Which.
        generation: u64,
        /// The close code: of the registry, or 1000. Browsers may send both.
        code: u16,
        /// Why, for the server's log.
        reason: &'static str,
    },
    /// Store a record, to be given back by [`Client::restore`](super::Client::restore); `None` deletes it.
    Persist {
        /// Its name: `meta`, `navigation`, `op/…`, `room/…` or `snap/…`.
        key: String,
        /// Its bytes.
        value: Option<Vec<u8>>,
    },
    /// Read a record that was stored, be it by an earlier process, and hand it to
    /// [`Client::handle_loaded`](super::Client::handle_loaded). What was stored before this effect counts as stored.
    Load {
        /// Its name: `snap/…`.
        key: String,
    },
}

/// What has changed. The state has advanced before an event says so; views are read when it comes.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Event {
    /// The connection's view has changed.
    Connection,
    /// A token is needed: call [`Client::set_token`](super::Client::set_token). Not repeated until then.
    TokenNeeded,
    /// Rows of the room list have changed, come or gone.
    Rooms(Vec<RoomId>),
    /// A room's view has changed.
    Room {
        /// Which.
        room: RoomId,
        /// What in it, in order.
        changes: Vec<RoomChange>,
    },
    /// An operation was refused for good, and has had no effect. It is no longer pending.
    Rejected {
        /// Which.
        op_id: OpId,
        /// Where.
        room: RoomId,
        /// Why.
        code: Code,
        /// Milliseconds after which it may be tried again; 0 where there is no such time.
        retry_after: u64,
        /// The server's own words; may be empty.
        reason: String,
    },
    /// The whole state of a room was replaced, because what was held could not be extended.
    Resynced {
        /// Which.
        room: RoomId,
        /// Why.
        code: Code,
    },
    /// A timed signal is to be played now, or what it began is to end. Both come in order; an end comes for everything
    /// that has begun, at the latest when the connection is lost or the room left.
    Signal {
        /// Where.
        room: RoomId,
        /// What. Never one of the class `LATEST`: of those, [`RoomChange::Signals`] tells.
        signal: Box<v1::SignalItem>,
    },
    /// A frame was passed over that has no place in the room's tier: mostly one that was on its way while the tier
    /// changed. It is counted in the room's traffic.
    Ignored {
        /// Which.
        room: RoomId,
        /// What it was.
        kind: Kind,
        /// Where the room is.
        tier: Tier,
    },
    /// Somebody mentioned the user.
    Notified {
        /// What the inbox has taken in.
        notification: Box<v1::Notification>,
    },
    /// Conflicts that wait for the user's choice: one came, or went. See
    /// [`Client::conflicts`](super::Client::conflicts).
    Conflicts,
    /// Something that was asked for has failed.
    Error {
        /// Why.
        code: Code,
        /// Of which room, if of one.
        room: Option<RoomId>,
        /// The server's own words; may be empty.
        reason: String,
    },
}

/// What has changed in a room's view.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RoomChange {
    /// Everything: read the whole view again.
    Reset,
    /// Name, topic, configuration or counts.
    Meta,
    /// Who belongs to the room, and what they may do; in the inbox, what is known of other users.
    Members,
    /// Scores and teams.
    Scores,
    /// Who is there now.
    Presence,
    /// The message with this ordinal was added at the end.
    MessageAdded(u64),
    /// Messages with ordinals below this one are no longer held.
    MessagesDropped(u64),
    /// The message with this ordinal was edited or deleted, reacted to or pinned, or is about to be.
    MessageChanged(u64),
    /// Which messages are pinned, or one of them.
    Pins,
    /// So many older messages were put before the first.
    Prepended(usize),
    /// The element of this key was written, by anybody, or its place was.
    Element(String),
    /// Operations that are pending.
    Pending,
    /// The tier, its reason, or whether the view is up to date.
    Tier,
    /// Unread messages or mentions.
    Unread,
    /// The draft.
    Draft,
    /// Cursors, who is typing: the latest signals that count.
    Signals,
}

/// Why the client wants to be called. See [`Client::next_deadline`](super::Client::next_deadline).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The back-off ends: connect again.
    Reconnect,
    /// The connection must be open, and welcomed, by now.
    Handshake,
    /// Something must have been heard by now.
    Heartbeat,
    /// The token ends soon.
    Token,
    /// An operation that was held back can be sent.
    Resend,
    /// A room goes to a lower tier, or a request about it is repeated.
    Room,
    /// A snapshot is due to be stored.
    Save,
    /// The room list is asked for again.
    RoomList,
    /// A signal is to be sent, played or forgotten, or the server asked for its time.
    Signals,
}

/// What the host knows about network and app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// There is a network (again).
    Online,
    /// There is none.
    Offline,
    /// The app has come to the foreground.
    Foreground,
    /// The app has gone to the background.
    Background,
}

/// Changes of one room that are kept apart until the host takes them; beyond, the view is read anew as a whole.
const ROOM_CHANGES: usize = 256;

/// Effects and events that the host has not taken yet.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    effects: VecDeque<Effect>,
    events: VecDeque<Event>,
    connection: bool,
    conflicts: bool,
    rooms: LongMap<RoomId, Vec<RoomChange>>,
    rows: SortedSet<RoomId>,
    /// Rooms that were told of since they were last listed.
    pub(super) told: Vec<RoomId>,
}

impl Outbox {
    pub(super) fn effect(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    pub(super) fn event(&mut self, event: Event) {
        self.events.push_back(event);
    }

    pub(super) fn connection(&mut self) {
        self.connection = true;
    }

    pub(super) fn conflicts(&mut self) {
        self.conflicts = true;
    }

    fn note(&mut self, room: &RoomId) {
        if self.told.last() != Some(room) {
            self.told.push(room.clone());
        }
    }

    pub(super) fn row(&mut self, room: &RoomId) {
        self.note(room);
        if !self.rows.contains(room) && room.inbox_owner().is_none() {
            self.rows.insert(room.clone());
        }
    }

    pub(super) fn room(&mut self, room: &RoomId, change: RoomChange) {
        let shows_in_list = match change {
            RoomChange::Members
            | RoomChange::Scores
            | RoomChange::MessagesDropped(_)
            | RoomChange::Prepended(_)
            | RoomChange::Element(_)
            | RoomChange::Pins
            | RoomChange::Pending
            | RoomChange::Draft
            | RoomChange::Signals => false,
            RoomChange::Reset
            | RoomChange::Meta
            | RoomChange::Presence
            | RoomChange::MessageAdded(_)
            | RoomChange::MessageChanged(_)
            | RoomChange::Tier
            | RoomChange::Unread => true,
        };
        self.note(room);
        if shows_in_list {
            self.row(room);
        }
        if !self.rooms.contains_key(room) {
            self.rooms.insert(room.clone(), Vec::new());
        }
        let Some(changes) = self.rooms.get_mut(room) else { return };
        if changes.first() == Some(&RoomChange::Reset) || changes.last() == Some(&change) {
            return;
        }
        if change == RoomChange::Reset || changes.len() == ROOM_CHANGES {
            changes.clear();
            changes.push(RoomChange::Reset);
        } else {
            changes.push(change);
        }
    }

    pub(super) fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    pub(super) fn next_event(&mut self) -> Option<Event> {
        if core::mem::take(&mut self.connection) {
            return Some(Event::Connection);
        }
        if core::mem::take(&mut self.conflicts) {
            return Some(Event::Conflicts);
        }
        if let Some((room, changes)) = self.rooms.pop_first() {
            return Some(Event::Room { room, changes });
        }
        if !self.rows.is_empty() {
            return Some(Event::Rooms(core::mem::take(&mut self.rows).into_iter().collect()));
        }
        self.events.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_a_room_come_together_and_a_flood_becomes_a_reset() {
        let mut outbox = Outbox::default();
        let room = RoomId::new("a").unwrap();
        outbox.room(&room, RoomChange::Pending);
        outbox.room(&room, RoomChange::Pending);
        outbox.room(&room, RoomChange::MessageAdded(1));
        let changes = [RoomChange::Pending, RoomChange::MessageAdded(1)].into();
        assert_eq!(outbox.next_event(), Some(Event::Room { room: room.clone(), changes }));
        assert_eq!(outbox.next_event(), Some(Event::Rooms([room.clone()].into())));
        assert_eq!(outbox.next_event(), None);
        (0..1_000).for_each(|ordinal| outbox.room(&room, RoomChange::MessageAdded(ordinal)));
        assert_eq!(outbox.next_event(), Some(Event::Room { room, changes: [RoomChange::Reset].into() }));
    }
}
