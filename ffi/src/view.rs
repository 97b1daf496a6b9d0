//! What a client holds, as small records that are pulled when an event says that they have changed.

use enfilade_core::client::{ConnectionState, ConnectionView, PendingView, RoomView, Synced};
use enfilade_core::pending::OpState;
use enfilade_core::tier::TierReason;
use enfilade_core::{client, v1};

use crate::input::to_long;
use crate::{CodeRecord, OpId, RoomTier, RoomVisibility};

/// Where the connection stands.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum ConnectionStatus {
    /// Nobody wants one.
    Idle,
    /// It is being opened.
    Connecting,
    /// It is open, and not welcomed yet.
    Authenticating,
    /// Everything arrives.
    Online,
    /// The next attempt waits.
    Waiting {
        /// For this time.
        until: i64,
        /// How many attempts have failed.
        attempt: i64,
    },
    /// There is no network.
    Offline,
    /// There is no valid token.
    TokenNeeded,
    /// The server has said not to come back.
    Failed {
        /// Why.
        code: CodeRecord,
    },
}

/// The connection.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Connection {
    /// Where it stands.
    pub status: ConnectionStatus,
    /// Why it broke, or is about to; none when all is well, or nobody knows.
    pub reason: Option<CodeRecord>,
    /// The user, once the server has said who that is.
    pub user: Option<String>,
    /// Their display name.
    pub user_name: Option<String>,
    /// Bytes of frames received.
    pub bytes_in: i64,
    /// Bytes of frames sent.
    pub bytes_out: i64,
    /// Frames received.
    pub frames_in: i64,
    /// Frames sent.
    pub frames_out: i64,
    /// The server's clock minus ours, in milliseconds.
    pub clock_offset: i64,
    /// Whether any operation is not acknowledged.
    pub has_unsent: bool,
}

/// Why a room is in its tier.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Reason {
    /// Stable, in snake case.
    pub name: String,
    /// A sentence for people.
    pub text: String,
}

/// How far a room's view is that of the server.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum SyncState {
    /// Nothing is there yet.
    Loading,
    /// As the tier promises.
    Ready,
    /// It was once, and will be again.
    Stale,
    /// The server refuses it.
    Failed {
        /// Why.
        code: CodeRecord,
    },
}

/// A room without its messages, members and pending operations.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Room {
    /// Its id.
    pub id: String,
    /// Its name; the id where none is known.
    pub name: String,
    /// What it is about; may be empty.
    pub topic: String,
    /// Who may read it.
    pub visibility: RoomVisibility,
    /// How much of it is held.
    pub tier: RoomTier,
    /// Why it is in that tier.
    pub reason: Reason,
    /// How far the view is the server's.
    pub sync: SyncState,
    /// Incarnation of the log.
    pub epoch: i64,
    /// Place in the log.
    pub seq: i64,
    /// Users present.
    pub user_count: i64,
    /// Some of them.
    pub users: Vec<PresentUser>,
    /// Members.
    pub member_count: i64,
    /// Messages that are held.
    pub message_count: i64,
    /// Messages that the room has had.
    pub head: i64,
    /// Whether the server has older messages than those that are held.
    pub has_older: bool,
    /// Whether older messages are on their way.
    pub is_loading_older: bool,
    /// Whether the user is a member.
    pub is_following: bool,
    /// Messages after the read marker.
    pub unread: i64,
    /// Mentions after the read marker.
    pub mentions: i64,
    /// What is being typed.
    pub draft: String,
    /// Bytes received for it.
    pub bytes_in: i64,
    /// Bytes sent for it.
    pub bytes_out: i64,
}

/// A user who is in a room now.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct PresentUser {
    /// Their id.
    pub user: String,
    /// Their display name.
    pub name: String,
    /// Whether it is certain.
    pub live: bool,
}

/// A member of a room.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Member {
    /// Their id.
    pub user: String,
    /// Their display name.
    pub name: String,
    /// What they may do.
    pub role: MemberRole,
    /// Since when, in milliseconds since 1970.
    pub joined_at: i64,
    /// Short words; some have a meaning to the modes of a room.
    pub badges: Vec<String>,
    /// "#RRGGBB", or empty.
    pub color: String,
}

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum MemberRole {
    /// Read and write.
    Member,
    /// And keep order.
    Moderator,
    /// Everything.
    Owner,
}

/// A message that the log has confirmed.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Message {
    /// That of the operation that made it.
    pub id: OpId,
    /// Its number in the room.
    pub ordinal: i64,
    /// Who wrote it.
    pub author: String,
    /// Their display name then.
    pub author_name: String,
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// What they wrote.
    pub text: String,
    /// Ids of the users that it mentions.
    pub mentions: Vec<String>,
    /// The message that it answers.
    pub reply_to: Option<OpId>,
    /// When its text was last replaced, in milliseconds since 1970; 0 when it never was.
    pub edited_at: i64,
    /// Whether only its place is left.
    pub deleted: bool,
    /// Whether it is pinned.
    pub pinned: bool,
    /// In the order of their first use.
    pub reactions: Vec<Reaction>,
    /// Whether something about it was changed here that is not confirmed yet. It is shown as it will be.
    pub is_changing: bool,
    /// How many messages are missing between it and the one before; 0 when none are.
    pub missing_before: i64,
    /// What `FillGap` takes to ask for them.
    pub gap_after: i64,
}

/// Who has reacted to a message in one way.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Reaction {
    /// An emoji, or the name of one in `:colons:`.
    pub reaction: String,
    /// User ids, ascending.
    pub users: Vec<String>,
}

/// An operation of this client that the log has not confirmed.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct PendingOp {
    /// Its id; a message keeps it when it is confirmed.
    pub id: OpId,
    /// The text of a message; none for other operations.
    pub text: Option<String>,
    /// How far it has come.
    pub state: PendingState,
    /// When it was made, by our clock.
    pub since: i64,
    /// Whether it can still be taken back.
    pub is_cancellable: bool,
}

/// How far an operation has come.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum PendingState {
    /// It waits to be sent.
    Queued,
    /// It was sent, and is not answered yet.
    Sent,
    /// The server has put it off.
    PutOff {
        /// Until this time.
        until: i64,
        /// Why.
        code: CodeRecord,
    },
    /// It is durable; the view has not reached it yet.
    Acknowledged,
}

/// A row of the room list.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct RoomRow {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is about; may be empty.
    pub topic: String,
    /// How much of it is held.
    pub tier: RoomTier,
    /// Why it is in that tier.
    pub reason: Reason,
    /// The last message.
    pub last_message: Option<Message>,
    /// When something last happened, in milliseconds since 1970.
    pub last_activity: i64,
    /// Messages after the read marker.
    pub unread: i64,
    /// Mentions after the read marker.
    pub mentions: i64,
    /// Users present.
    pub user_count: i64,
    /// Some of them.
    pub users: Vec<PresentUser>,
    /// Members.
    pub member_count: i64,
    /// Whether the user is a member.
    pub is_following: bool,
    /// Whether something written here waits to be sent.
    pub has_unsent: bool,
}

impl From<ConnectionView<'_>> for Connection {
    fn from(view: ConnectionView<'_>) -> Self {
        let counters = view.counters;
        Connection {
            status: view.state.into(),
            reason: view.reason.map(Into::into),
            user: view.user.map(Into::into),
            user_name: view.user_name.map(Into::into),
            bytes_in: to_long(counters.bytes_in),
            bytes_out: to_long(counters.bytes_out),
            frames_in: to_long(counters.frames_in),
            frames_out: to_long(counters.frames_out),
            clock_offset: view.clock_offset,
            has_unsent: view.has_unsent,
        }
    }
}

impl From<ConnectionState> for ConnectionStatus {
    fn from(state: ConnectionState) -> Self {
        match state {
            ConnectionState::Idle => ConnectionStatus::Idle,
            ConnectionState::TokenNeeded => ConnectionStatus::TokenNeeded,
            ConnectionState::Connecting => ConnectionStatus::Connecting,
            ConnectionState::Authenticating => ConnectionStatus::Authenticating,
            ConnectionState::Online => ConnectionStatus::Online,
            ConnectionState::Waiting { until, attempt } => {
                ConnectionStatus::Waiting { until: to_long(until.0), attempt: attempt.into() }
            }
            ConnectionState::Offline => ConnectionStatus::Offline,
            ConnectionState::Failed { code } => ConnectionStatus::Failed { code: code.into() },
        }
    }
}

impl From<Synced> for SyncState {
    fn from(synced: Synced) -> Self {
        match synced {
            Synced::Loading => SyncState::Loading,
            Synced::Ready => SyncState::Ready,
            Synced::Stale => SyncState::Stale,
            Synced::Failed(code) => SyncState::Failed { code: code.into() },
        }
    }
}

impl From<TierReason> for Reason {
    fn from(reason: TierReason) -> Self {
        Reason { name: reason.name().into(), text: reason.text().into() }
    }
}

impl From<RoomView<'_>> for Room {
    fn from(view: RoomView<'_>) -> Self {
        let info = view.info();
        Room {
            id: view.id().to_string(),
            name: view.name().into(),
            topic: info.map(|info| info.topic.clone()).unwrap_or_default(),
            visibility: info.map(|info| info.visibility()).unwrap_or_default().into(),
            tier: view.tier().into(),
            reason: view.reason().into(),
            sync: view.synced().into(),
            epoch: to_long(view.position().epoch),
            seq: to_long(view.position().seq),
            user_count: view.user_count().into(),
            users: view.users().map(Into::into).collect(),
            member_count: view.member_count().into(),
            message_count: to_long(view.message_count() as u64),
            head: to_long(view.head()),
            has_older: view.has_older(),
            is_loading_older: view.is_loading_older(),
            is_following: view.is_following(),
            unread: to_long(view.unread()),
            mentions: to_long(view.mentions() as u64),
            draft: view.draft().into(),
            bytes_in: to_long(view.bytes_in()),
            bytes_out: to_long(view.bytes_out()),
        }
    }
}

impl From<&v1::PresentUser> for PresentUser {
    fn from(user: &v1::PresentUser) -> Self {
        let live = user.liveness() == v1::Liveness::Live;
        PresentUser { user: user.user.clone(), name: user.name.clone(), live }
    }
}

impl From<&v1::Member> for Member {
    fn from(member: &v1::Member) -> Self {
        Member {
            user: member.user.clone(),
            name: member.name.clone(),
            role: match member.role() {
                v1::Role::Member => MemberRole::Member,
                v1::Role::Moderator => MemberRole::Moderator,
                v1::Role::Owner => MemberRole::Owner,
            },
            joined_at: to_long(member.joined_at),
            badges: member.badges.clone(),
            color: member.color.clone(),
        }
    }
}

impl From<&v1::Message> for Message {
    fn from(message: &v1::Message) -> Self {
        Message {
            id: message.id.as_ref().map(OpId::from).unwrap_or_default(),
            ordinal: to_long(message.ordinal),
            author: message.author.clone(),
            author_name: message.author_name.clone(),
            at: to_long(message.at),
            text: message.text.clone(),
            mentions: message.mentions.clone(),
            reply_to: message.reply_to.as_ref().map(OpId::from),
            edited_at: to_long(message.edited_at),
            deleted: message.deleted,
            pinned: message.pinned,
            reactions: message.reactions.iter().map(Into::into).collect(),
            is_changing: false,
            missing_before: 0,
            gap_after: 0,
        }
    }
}

impl From<&v1::Reaction> for Reaction {
    fn from(given: &v1::Reaction) -> Self {
        Reaction { reaction: given.reaction.clone(), users: given.users.clone() }
    }
}

impl Message {
    /// A row of the timeline.
    pub(crate) fn shown(shown: &client::Shown<'_>, gap: Option<client::Gap>) -> Message {
        Message {
            is_changing: shown.is_pending,
            missing_before: gap.map_or(0, |gap| to_long(gap.missing)),
            gap_after: gap.map_or(0, |gap| to_long(gap.after)),
            ..Message::from(&*shown.message)
        }
    }
}

impl From<PendingView<'_>> for PendingOp {
    fn from(view: PendingView<'_>) -> Self {
        PendingOp {
            id: view.op_id.into(),
            text: Some(view.text()).filter(|text| !text.is_empty()).map(Into::into),
            state: match view.state {
                OpState::Queued => PendingState::Queued,
                OpState::Sent => PendingState::Sent,
                OpState::PutOff { until, code } => {
                    PendingState::PutOff { until: to_long(until.0), code: code.into() }
                }
                OpState::Acknowledged(_) => PendingState::Acknowledged,
            },
            since: to_long(view.since.0),
            is_cancellable: view.is_cancellable,
        }
    }
}

impl From<client::RoomRow<'_>> for RoomRow {
    fn from(row: client::RoomRow<'_>) -> Self {
        RoomRow {
            id: row.id.to_string(),
            name: row.name.into(),
            topic: row.topic.into(),
            tier: row.tier.into(),
            reason: row.reason.into(),
            last_message: row.last_message.map(Into::into),
            last_activity: to_long(row.last_activity),
            unread: to_long(row.unread),
            mentions: to_long(row.mentions as u64),
            user_count: row.user_count.into(),
            users: row.users.into_iter().map(Into::into).collect(),
            member_count: row.member_count.into(),
            is_following: row.following,
            has_unsent: row.has_unsent,
        }
    }
}
