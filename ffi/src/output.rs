//! What comes out of a client.

use enfilade_core::{Code, client, v1};

use crate::input::to_long;
use crate::{CodeRecord, OpId};

/// What one input led to. To be carried out in order: the effects, then the events.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Step {
    /// What the host does.
    pub effects: Vec<Effect>,
    /// What has changed.
    pub events: Vec<Event>,
    /// When to hand in a timeout, in milliseconds of the clock that is handed in.
    pub wake_at: Option<i64>,
    /// The room that was made.
    pub room: Option<String>,
    /// The operation that was made.
    pub op_id: Option<OpId>,
    /// Why the input had no effect, if it had none.
    pub refused: Option<Refused>,
}

/// A command that can't be carried out, as far as the client can tell without asking.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Refused {
    /// Why.
    pub code: CodeRecord,
    /// Milliseconds after which it may be tried again; 0 where there is no such time.
    pub retry_after: i64,
}

/// What the host does for the client.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum Effect {
    /// Open a WebSocket, and hand in what becomes of it under this number.
    Connect {
        /// Names the connection.
        generation: i64,
    },
    /// Send one binary message. Nothing happens when the connection is gone.
    Send {
        /// On which connection.
        generation: i64,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Close the connection. The client counts it as gone already.
    Close {
        /// Which.
        generation: i64,
        /// The close code.
        code: i32,
        /// Why, for the server's log.
        reason: String,
    },
    /// Store a record, to be given back by `Restore`; none deletes it.
    Persist {
        /// Its name.
        key: String,
        /// Its bytes.
        value: Option<Vec<u8>>,
    },
    /// Read a record that was stored, and hand it in by `Loaded`. What was stored before counts as stored.
    Load {
        /// Its name.
        key: String,
    },
}

/// What has changed. Views are read when it comes.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum Event {
    /// The connection's view.
    Connection,
    /// A token is needed.
    TokenNeeded,
    /// Rows of the room list.
    Rooms {
        /// Which.
        rooms: Vec<String>,
    },
    /// A room's view.
    Room {
        /// Which.
        room: String,
        /// What in it, in order.
        changes: Vec<RoomChange>,
    },
    /// An operation was refused for good, and has had no effect.
    Rejected {
        /// Which.
        op_id: OpId,
        /// Where.
        room: String,
        /// Why.
        code: CodeRecord,
        /// Milliseconds after which it may be tried again; 0 where there is no such time.
        retry_after: i64,
        /// The server's own words; may be empty.
        reason: String,
    },
    /// The whole state of a room was replaced.
    Resynced {
        /// Which.
        room: String,
        /// Why.
        code: CodeRecord,
    },
    /// A frame was passed over that has no place in the room's tier: mostly one that was on its way while that changed.
    Ignored {
        /// Which.
        room: String,
        /// The frame's kind.
        kind: String,
    },
    /// A timed signal is to be played now, or what one began is to end.
    Signal {
        /// Where.
        room: String,
        /// What.
        signal: Signal,
    },
    /// Somebody mentioned the user.
    Notified {
        /// Where and in what.
        notification: Notification,
    },
    /// Conflicts that wait for the user's choice: one came, or went.
    Conflicts,
    /// Something that was asked for has failed.
    Failed {
        /// Why.
        code: CodeRecord,
        /// Of which room, if of one.
        room: Option<String>,
        /// The server's own words; may be empty.
        reason: String,
    },
}

/// What has changed in a room's view.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
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
    /// A message was added at the end.
    MessageAdded {
        /// Its number in the room.
        ordinal: i64,
    },
    /// Messages with lower ordinals are no longer held.
    MessagesDropped {
        /// Than this.
        before: i64,
    },
    /// A message was edited or deleted, reacted to or pinned, or is about to be.
    MessageChanged {
        /// Its number in the room.
        ordinal: i64,
    },
    /// Which messages are pinned, or one of them.
    Pins,
    /// Older messages were put before the first.
    Prepended {
        /// How many.
        count: i64,
    },
    /// An element was written, or its place was.
    Element {
        /// Which.
        key: String,
    },
    /// Operations that are pending.
    Pending,
    /// The tier, its reason, or whether the view is up to date.
    Tier,
    /// Unread messages or mentions.
    Unread,
    /// The draft.
    Draft,
    /// Cursors, who is typing.
    Signals,
}

/// A signal of somebody else: a cursor, a note.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Signal {
    /// Who.
    pub user: String,
    /// On which of their clients.
    pub client: i64,
    /// What it is about.
    pub kind: String,
    /// What a later one of this client and kind replaces, or ends.
    pub key: String,
    /// The sender's own.
    pub payload: Vec<u8>,
    /// It ends what a timed one of its client, kind and key began.
    pub ended: bool,
}

/// A mention, as the user's inbox keeps it.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Notification {
    /// Where.
    pub room: String,
    /// Which message.
    pub message_id: OpId,
    /// Its number in the room.
    pub ordinal: i64,
    /// Who wrote it.
    pub author: String,
    /// Their display name.
    pub author_name: String,
    /// How it begins.
    pub excerpt: String,
    /// When, in milliseconds since 1970.
    pub at: i64,
}

impl Refused {
    pub(crate) fn new(code: Code, retry_after: u64) -> Refused {
        Refused { code: code.into(), retry_after: to_long(retry_after) }
    }
}

impl From<client::Effect> for Effect {
    fn from(effect: client::Effect) -> Self {
        match effect {
            client::Effect::Connect { generation } => Effect::Connect { generation: to_long(generation) },
            client::Effect::Send { generation, bytes } => {
                Effect::Send { generation: to_long(generation), bytes }
            }
            client::Effect::Close { generation, code, reason } => {
                Effect::Close { generation: to_long(generation), code: code.into(), reason: reason.into() }
            }
            client::Effect::Persist { key, value } => Effect::Persist { key, value },
            client::Effect::Load { key } => Effect::Load { key },
        }
    }
}

impl From<client::Event> for Event {
    fn from(event: client::Event) -> Self {
        match event {
            client::Event::Connection => Event::Connection,
            client::Event::TokenNeeded => Event::TokenNeeded,
            client::Event::Rooms(rooms) => {
                Event::Rooms { rooms: rooms.iter().map(ToString::to_string).collect() }
            }
            client::Event::Room { room, changes } => {
                Event::Room { room: room.to_string(), changes: changes.into_iter().map(Into::into).collect() }
            }
            client::Event::Rejected { op_id, room, code, retry_after, reason } => Event::Rejected {
                op_id: op_id.into(),
                room: room.to_string(),
                code: code.into(),
                retry_after: to_long(retry_after),
                reason,
            },
            client::Event::Resynced { room, code } => {
                Event::Resynced { room: room.to_string(), code: code.into() }
            }
            client::Event::Ignored { room, kind, tier: _ } => {
                Event::Ignored { room: room.to_string(), kind: kind.name().into() }
            }
            client::Event::Signal { room, signal } => {
                Event::Signal { room: room.to_string(), signal: (*signal).into() }
            }
            client::Event::Notified { notification } => {
                Event::Notified { notification: (&*notification).into() }
            }
            client::Event::Conflicts => Event::Conflicts,
            client::Event::Error { code, room, reason } => {
                Event::Failed { code: code.into(), room: room.map(|room| room.to_string()), reason }
            }
        }
    }
}

impl From<client::RoomChange> for RoomChange {
    fn from(change: client::RoomChange) -> Self {
        match change {
            client::RoomChange::Reset => RoomChange::Reset,
            client::RoomChange::Meta => RoomChange::Meta,
            client::RoomChange::Members => RoomChange::Members,
            client::RoomChange::Scores => RoomChange::Scores,
            client::RoomChange::Presence => RoomChange::Presence,
            client::RoomChange::MessageAdded(ordinal) => {
                RoomChange::MessageAdded { ordinal: to_long(ordinal) }
            }
            client::RoomChange::MessagesDropped(before) => {
                RoomChange::MessagesDropped { before: to_long(before) }
            }
            client::RoomChange::MessageChanged(ordinal) => {
                RoomChange::MessageChanged { ordinal: to_long(ordinal) }
            }
            client::RoomChange::Pins => RoomChange::Pins,
            client::RoomChange::Prepended(count) => RoomChange::Prepended { count: to_long(count as u64) },
            client::RoomChange::Element(key) => RoomChange::Element { key },
            client::RoomChange::Pending => RoomChange::Pending,
            client::RoomChange::Tier => RoomChange::Tier,
            client::RoomChange::Unread => RoomChange::Unread,
            client::RoomChange::Draft => RoomChange::Draft,
            client::RoomChange::Signals => RoomChange::Signals,
        }
    }
}

impl From<v1::SignalItem> for Signal {
    fn from(item: v1::SignalItem) -> Self {
        let ended = item.class() == v1::SignalClass::Release;
        let v1::SignalItem { user, client, kind, key, payload, .. } = item;
        Signal { user, client: to_long(client), kind, key, payload, ended }
    }
}

impl From<&v1::Notification> for Notification {
    fn from(notification: &v1::Notification) -> Self {
        Notification {
            room: notification.room_id.clone(),
            message_id: notification.message_id.as_ref().map(OpId::from).unwrap_or_default(),
            ordinal: to_long(notification.ordinal),
            author: notification.author.clone(),
            author_name: notification.author_name.clone(),
            excerpt: notification.excerpt.clone(),
            at: to_long(notification.at),
        }
    }
}
