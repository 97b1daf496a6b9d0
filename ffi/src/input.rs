//! What goes into a client.

use enfilade_core::{ClientId, Code, Tier, client, v1};

/// How much of a room a client holds and receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum RoomTier {
    /// The id. Nothing is received.
    Unloaded,
    /// What a room list shows, and a compressed snapshot.
    Cached,
    /// Counts, configuration and the last 50 messages; at most one update a second.
    Background,
    /// Everything, as it happens.
    Active,
}

/// Who may read a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum RoomVisibility {
    /// Anybody may read, and the room is listed.
    Public,
    /// Anybody who knows the id may read.
    Unlisted,
    /// Members alone may read.
    Private,
}

/// What becomes of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum SignalClass {
    /// The newest of a kind and key replaces those before it: cursors, typing.
    Latest,
    /// Played in its time, or not at all: a note.
    Timed,
    /// Ends what a timed one of its kind and key began. Never lost.
    Release,
}

/// What the host knows about network and app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum NetworkState {
    /// There is a network (again).
    Online,
    /// There is none.
    Offline,
    /// The app has come to the foreground.
    Foreground,
    /// The app has gone to the background.
    Background,
}

/// Names an operation, and the message it makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, uniffi::Record)]
pub struct OpId {
    /// The client that made it.
    pub client: i64,
    /// The how manieth of that client.
    pub counter: i64,
}

/// A durable record, as an effect asked to persist it.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct StoredRecord {
    /// Its name.
    pub key: String,
    /// Its bytes.
    pub value: Vec<u8>,
}

/// Everything that happens to a client.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum Input {
    /// The WebSocket of that generation is open.
    Connected {
        /// As the effect that asked for it said.
        generation: i64,
    },
    /// A binary message came over it.
    Frame {
        /// Of which connection.
        generation: i64,
        /// The message.
        bytes: Vec<u8>,
    },
    /// It is closed, or could not be opened.
    Disconnected {
        /// Of which connection.
        generation: i64,
        /// The WebSocket close code; 1006 where there is none.
        code: i32,
        /// The server's reason; may be empty.
        reason: String,
    },
    /// The record that an effect asked for.
    Loaded {
        /// Its name.
        key: String,
        /// Its bytes; none when there is no such record.
        record: Option<Vec<u8>>,
    },
    /// `wake_at` of the last step is reached.
    Timeout,
    /// Network or app have changed.
    Network {
        /// To what.
        state: NetworkState,
    },
    /// A token, fresh from where the app gets it.
    SetToken {
        /// As the server takes it in its hello.
        token: String,
    },
    /// Connect, and stay connected.
    Connect,
    /// Disconnect, and stay so.
    Disconnect,
    /// Forget the user and all that is theirs.
    Logout,
    /// Somebody looks at the room: Active from here on. Counted.
    Acquire {
        /// Which.
        room: String,
    },
    /// They look no more.
    Release {
        /// Which.
        room: String,
    },
    /// Put the room into a tier, until it is acquired or released again.
    SetTier {
        /// Which.
        room: String,
        /// Which.
        tier: RoomTier,
    },
    /// Ask for the room list regularly, or no more.
    WatchRooms {
        /// Whether.
        watching: bool,
    },
    /// Make a room. The step says its id.
    CreateRoom {
        /// Its name.
        name: String,
        /// Who may read it.
        visibility: RoomVisibility,
        /// May be empty.
        topic: String,
    },
    /// Become a member.
    Join {
        /// Of which room.
        room: String,
    },
    /// Be a member no more.
    Leave {
        /// Of which room.
        room: String,
    },
    /// Post a message. The step says its id.
    Post {
        /// Where.
        room: String,
        /// What.
        text: String,
        /// Ids of the users that it mentions.
        mentions: Vec<String>,
    },
    /// Any other operation: moderation, roles, the room's rules, scores; in the user's inbox friends and status. The
    /// step says its id.
    Submit {
        /// Where.
        room: String,
        /// An encoded `Op`, as in `proto/op.proto`.
        operation: Vec<u8>,
    },
    /// All messages of the room were read.
    MarkRead {
        /// Of which room.
        room: String,
    },
    /// Take back an operation that was never sent.
    Cancel {
        /// Which.
        op_id: OpId,
    },
    /// Give a message another text: one's own, or anybody's for moderators.
    EditMessage {
        /// Where.
        room: String,
        /// Which.
        message: OpId,
        /// What it says from then on.
        text: String,
        /// Ids of the users that it mentions.
        mentions: Vec<String>,
    },
    /// Delete a message; its place stays.
    DeleteMessage {
        /// Where.
        room: String,
        /// Which.
        message: OpId,
    },
    /// React to a message, or take that back.
    React {
        /// Where.
        room: String,
        /// To which.
        message: OpId,
        /// An emoji, or the name of one in `:colons:`.
        reaction: String,
        /// Whether it is taken back.
        removed: bool,
    },
    /// Pin a message, or unpin it; for moderators.
    Pin {
        /// Where.
        room: String,
        /// Which.
        message: OpId,
        /// Whether it is unpinned.
        removed: bool,
    },
    /// Ask for the messages that are missing between two that are held.
    FillGap {
        /// Of which room.
        room: String,
        /// `gap_after` of the message behind them.
        after: i64,
    },
    /// Ask for messages before the oldest that is held.
    LoadOlder {
        /// Of which room.
        room: String,
        /// How many.
        limit: i32,
    },
    /// Send a signal to everybody who has the room open. Without a connection it goes nowhere.
    Signal {
        /// Where.
        room: String,
        /// What becomes of it.
        class: SignalClass,
        /// What it is about; at most 32 bytes.
        kind: String,
        /// What it replaces, or ends; at most 64 bytes.
        key: String,
        /// At most 1,024 bytes. An empty one takes a `Latest` signal away.
        payload: Vec<u8>,
    },
    /// Keep what is being typed.
    SetDraft {
        /// In which room.
        room: String,
        /// May be empty.
        text: String,
    },
    /// Records of an earlier run, all of them, before anything else.
    Restore {
        /// In any order.
        records: Vec<StoredRecord>,
    },
    /// Nothing; only take what there is.
    Poll,
}

impl From<RoomTier> for Tier {
    fn from(tier: RoomTier) -> Self {
        match tier {
            RoomTier::Unloaded => Tier::Unloaded,
            RoomTier::Cached => Tier::Cached,
            RoomTier::Background => Tier::Background,
            RoomTier::Active => Tier::Active,
        }
    }
}

impl From<Tier> for RoomTier {
    fn from(tier: Tier) -> Self {
        match tier {
            Tier::Unloaded => RoomTier::Unloaded,
            Tier::Cached => RoomTier::Cached,
            Tier::Background => RoomTier::Background,
            Tier::Active => RoomTier::Active,
        }
    }
}

impl From<SignalClass> for v1::SignalClass {
    fn from(class: SignalClass) -> Self {
        match class {
            SignalClass::Latest => v1::SignalClass::Latest,
            SignalClass::Timed => v1::SignalClass::Timed,
            SignalClass::Release => v1::SignalClass::Release,
        }
    }
}

impl From<RoomVisibility> for v1::Visibility {
    fn from(visibility: RoomVisibility) -> Self {
        match visibility {
            RoomVisibility::Public => v1::Visibility::Public,
            RoomVisibility::Unlisted => v1::Visibility::Unlisted,
            RoomVisibility::Private => v1::Visibility::Private,
        }
    }
}

impl From<v1::Visibility> for RoomVisibility {
    fn from(visibility: v1::Visibility) -> Self {
        match visibility {
            v1::Visibility::Public => RoomVisibility::Public,
            v1::Visibility::Unlisted => RoomVisibility::Unlisted,
            v1::Visibility::Private => RoomVisibility::Private,
        }
    }
}

impl From<NetworkState> for client::Network {
    fn from(state: NetworkState) -> Self {
        match state {
            NetworkState::Online => client::Network::Online,
            NetworkState::Offline => client::Network::Offline,
            NetworkState::Foreground => client::Network::Foreground,
            NetworkState::Background => client::Network::Background,
        }
    }
}

impl TryFrom<OpId> for enfilade_core::OpId {
    type Error = Code;

    fn try_from(id: OpId) -> Result<Self, Code> {
        let wire = v1::OpId { client: from_long(id.client), counter: from_long(id.counter) };
        enfilade_core::OpId::parse(Some(&wire))
    }
}

impl From<enfilade_core::OpId> for OpId {
    fn from(id: enfilade_core::OpId) -> Self {
        let enfilade_core::OpId { client: ClientId(client), counter } = id;
        OpId { client: to_long(client), counter: to_long(counter) }
    }
}

impl From<&v1::OpId> for OpId {
    fn from(id: &v1::OpId) -> Self {
        OpId { client: to_long(id.client), counter: to_long(id.counter) }
    }
}

/// Integers of the protocol stay below 2^53; Kotlin's and Swift's own integers hold them without unsigned types.
pub(crate) fn to_long(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Negative numbers, which mean nothing here, become 0.
pub(crate) fn from_long(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
