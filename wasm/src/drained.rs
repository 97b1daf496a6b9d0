use enfilade_core::RoomId;
use enfilade_core::client::{Event, RoomChange};
use serde::{Serialize, Serializer};

use crate::rows::{NotificationRow, SignalRow, id_text};

/// What has come out of the core since the app last asked: what has changed, and what happened once. One crossing
/// carries all of it; what the changed views are now is pulled by those who look at them.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Drained {
    connection: bool,
    rooms: Vec<String>,
    notifications: bool,
    /// In the order of their ids.
    changes: Vec<Changes>,
    events: Vec<Told>,
    records: Vec<(String, Option<Bytes>)>,
    /// Records that are to be read and handed in.
    loads: Vec<String>,
}

/// What has changed in one room.
#[derive(Debug, Default, Serialize)]
struct Changes {
    id: String,
    reset: bool,
    messages: bool,
    /// Ordinals of messages that are others than before, in their places.
    changed: Vec<u64>,
    pins: bool,
    pending: bool,
    members: bool,
    scores: bool,
    signals: bool,
}

/// Something that happened once: `CoreEvent` of ts/core.ts. Where the server has said nothing, `reason` is empty: the
/// registry's sentence is in ts/codes.ts.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
enum Told {
    Rejected { room: String, op: String, code: u32, retry_after: u64, reason: String },
    Resynced { room: String, code: u32 },
    Notified { notification: NotificationRow },
    TokenNeeded,
    Signal { room: String, signal: SignalRow },
    Error { code: u32, room: String, reason: String },
}

#[derive(Debug)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Drained {
    pub(crate) fn is_empty(&self) -> bool {
        !(self.connection || self.notifications)
            && self.rooms.is_empty()
            && self.changes.is_empty()
            && self.events.is_empty()
            && self.records.is_empty()
            && self.loads.is_empty()
    }

    pub(crate) fn record(&mut self, key: String, value: Option<Vec<u8>>) {
        self.records.push((key, value.map(Bytes)));
    }

    pub(crate) fn load(&mut self, key: String) {
        self.loads.push(key);
    }

    pub(crate) fn event(&mut self, event: Event) {
        match event {
            Event::Connection => self.connection = true,
            Event::Rooms(rooms) => self.rooms.extend(rooms.iter().map(|room| room.as_str().to_string())),
            Event::Room { room, changes } => self.room(&room, &changes),
            Event::TokenNeeded => self.events.push(Told::TokenNeeded),
            Event::Rejected { op_id, room, code, retry_after, reason } => self.events.push(Told::Rejected {
                room: room.as_str().to_string(),
                op: id_text(op_id),
                code: code.number(),
                retry_after,
                reason,
            }),
            Event::Resynced { room, code } => {
                self.events.push(Told::Resynced { room: room.as_str().to_string(), code: code.number() });
            }
            // Counted in the room's traffic.
            Event::Ignored { .. } => {}
            Event::Notified { notification } => {
                self.notifications = true;
                self.events.push(Told::Notified { notification: NotificationRow::from(&*notification) });
            }
            Event::Signal { room, signal } => {
                let signal = SignalRow::from(*signal);
                self.events.push(Told::Signal { room: room.as_str().to_string(), signal });
            }
            // They lie in the user's inbox, as notifications do.
            Event::Conflicts => self.notifications = true,
            Event::Error { code, room, reason } => self.events.push(Told::Error {
                code: code.number(),
                room: room.map(|room| room.as_str().to_string()).unwrap_or_default(),
                reason,
            }),
        }
    }

    fn room(&mut self, room: &RoomId, changes: &[RoomChange]) {
        // Notifications are kept in the user's inbox, which is a room.
        self.notifications |= room.inbox_owner().is_some();
        let place = self.changes.binary_search_by(|known| known.id.as_str().cmp(room.as_str()));
        let place = place.unwrap_or_else(|place| {
            self.changes.insert(place, Changes { id: room.as_str().to_string(), ..Changes::default() });
            place
        });
        let Some(entry) = self.changes.get_mut(place) else { return };
        for change in changes {
            match change {
                RoomChange::Reset => entry.reset = true,
                RoomChange::MessageChanged(ordinal) => entry.changed.push(*ordinal),
                RoomChange::Pins => entry.pins = true,
                RoomChange::MessageAdded(_) | RoomChange::MessagesDropped(_) | RoomChange::Prepended(_) => {
                    entry.messages = true;
                }
                RoomChange::Pending => entry.pending = true,
                RoomChange::Members => entry.members = true,
                RoomChange::Scores => entry.scores = true,
                RoomChange::Signals => entry.signals = true,
                // The view, which is read anew after every change.
                RoomChange::Meta
                | RoomChange::Presence
                | RoomChange::Element(_)
                | RoomChange::Tier
                | RoomChange::Unread
                | RoomChange::Draft => {}
            }
        }
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}
