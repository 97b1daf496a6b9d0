use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use enfilade_core::RoomId;
use enfilade_core::client::{Event, RoomChange};
use js_sys::{Array, Reflect};
use wasm_bindgen::JsValue;

use crate::json::Json;
use crate::rows::{bytes, id_text, notification, object, signal};

/// What has come out of the core since the app last asked: what has changed, and what happened once. One crossing
/// carries all of it; what the changed views are now is pulled by those who look at them.
#[derive(Default)]
pub(crate) struct Drained {
    connection: bool,
    rooms: Vec<String>,
    notifications: bool,
    /// In the order of their ids.
    changes: Vec<Changes>,
    /// Those of something that happened once.
    events: Vec<Event>,
    records: Vec<(String, Option<Vec<u8>>)>,
    /// Records that are to be read and handed in.
    loads: Vec<String>,
}

/// What has changed in one room.
#[derive(Default)]
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
        self.records.push((key, value));
    }

    pub(crate) fn load(&mut self, key: String) {
        self.loads.push(key);
    }

    pub(crate) fn event(&mut self, event: Event) {
        match &event {
            Event::Connection => self.connection = true,
            Event::Rooms(rooms) => self.rooms.extend(rooms.iter().map(|room| room.as_str().to_string())),
            Event::Room { room, changes } => self.room(room, changes),
            // Counted in the room's traffic.
            Event::Ignored { .. } => {}
            // They lie in the user's inbox, as notifications do.
            Event::Conflicts => self.notifications = true,
            Event::Notified { .. } => {
                self.notifications = true;
                self.events.push(event);
            }
            Event::TokenNeeded
            | Event::Rejected { .. }
            | Event::Resynced { .. }
            | Event::Signal { .. }
            | Event::Error { .. } => self.events.push(event),
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

    /// As `Drained` of ts/core.ts.
    pub(crate) fn to_js(&self) -> Result<JsValue, JsValue> {
        let events = Array::new();
        for event in &self.events {
            events.push(&told(event)?);
        }
        let records = Array::new();
        for (key, value) in &self.records {
            let value = value.as_ref().map_or(JsValue::NULL, |value| bytes(value));
            records.push(&Array::of2(&key.as_str().into(), &value));
        }
        let drained = object(|json| {
            json.flag("connection", self.connection);
            json.texts("rooms", &self.rooms);
            json.flag("notifications", self.notifications);
            json.list("changes");
            self.changes.iter().for_each(|room| room.write(json));
            json.end();
            json.texts("loads", &self.loads);
        })?;
        Reflect::set(&drained, &"events".into(), &events)?;
        Reflect::set(&drained, &"records".into(), &records)?;
        Ok(drained)
    }
}

impl Changes {
    fn write(&self, json: &mut Json) {
        json.item();
        json.text("id", &self.id);
        json.flag("reset", self.reset);
        json.flag("messages", self.messages);
        json.numbers("changed", &self.changed);
        json.flag("pins", self.pins);
        json.flag("pending", self.pending);
        json.flag("members", self.members);
        json.flag("scores", self.scores);
        json.flag("signals", self.signals);
        json.end();
    }
}

/// As `CoreEvent` of ts/core.ts. Where the server has said nothing, `reason` is empty: the registry's sentence is in
/// ts/codes.ts.
fn told(event: &Event) -> Result<JsValue, JsValue> {
    let told = object(|json| match event {
        Event::Rejected { op_id, room, code, retry_after, reason } => {
            json.text("kind", "rejected");
            json.text("room", room.as_str());
            json.text("op", &id_text(*op_id));
            json.number("code", code.number().into());
            json.number("retryAfter", *retry_after);
            json.text("reason", reason);
        }
        Event::Resynced { room, code } => {
            json.text("kind", "resynced");
            json.text("room", room.as_str());
            json.number("code", code.number().into());
        }
        Event::Notified { notification: note } => {
            json.text("kind", "notified");
            json.object("notification");
            notification(json, note);
            json.end();
        }
        Event::Signal { room, .. } => {
            json.text("kind", "signal");
            json.text("room", room.as_str());
        }
        Event::Error { code, room, reason } => {
            json.text("kind", "error");
            json.number("code", code.number().into());
            json.text("room", room.as_ref().map_or("", |room| room.as_str()));
            json.text("reason", reason);
        }
        // The others are told as changes.
        _ => json.text("kind", "token-needed"),
    })?;
    if let Event::Signal { signal: item, .. } = event {
        Reflect::set(&told, &"signal".into(), &signal(item)?)?;
    }
    Ok(told)
}
