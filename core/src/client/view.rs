//! What the app sees: cheap getters over what is held. Nothing is copied but what has to be.

use alloc::vec::Vec;

use super::Client;
use super::connection::{Counters, Phase};
use super::content::Content;
use super::history::has_older;
use super::rooms::Room;
use crate::op::Body;
use crate::order::sorted;
use crate::pending::{OpState, PendingOp};
use crate::tier::{Tier, TierReason};
use crate::{Code, Digest, Millis, OpId, Position, RoomId, compress, limits, v1};

/// Where the connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// Nobody has asked for one.
    Idle,
    /// A token is needed first.
    TokenNeeded,
    /// The socket is being opened.
    Connecting,
    /// It is open, and the server has not welcomed us yet.
    Authenticating,
    /// All is well.
    Online,
    /// The next attempt is made later.
    Waiting {
        /// When.
        until: Millis,
        /// How many attempts have failed.
        attempt: u32,
    },
    /// There is no network.
    Offline,
    /// The server has said not to come back, until [`Client::connect`] is called.
    Failed {
        /// Why.
        code: Code,
    },
}

/// The connection's view.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionView<'a> {
    /// Where it stands.
    pub state: ConnectionState,
    /// Why it broke, or is about to; `None` when all is well, or nobody knows.
    pub reason: Option<Code>,
    /// Who the server says we are; known from the first welcome on, also offline.
    pub user: Option<&'a str>,
    /// Their display name.
    pub user_name: Option<&'a str>,
    /// What went over the wire.
    pub counters: Counters,
    /// The server's clock minus ours, in milliseconds.
    pub clock_offset: i64,
    /// Operations that are not acknowledged, in all rooms.
    pub has_unsent: bool,
}

/// How a room's view relates to the server's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Synced {
    /// There is nothing to show yet.
    #[default]
    Loading,
    /// It is up to date, as far as its tier goes.
    Ready,
    /// It shows what was held, and is being brought up to date, or waits for a connection.
    Stale,
    /// The server has refused it.
    Failed(Code),
}

/// An operation that is not confirmed, as the app shows it below the confirmed messages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PendingView<'a> {
    /// Its id, and that of the message that it will make.
    pub op_id: OpId,
    /// What it asks for.
    pub body: &'a Body,
    /// How far it has come.
    pub state: OpState,
    /// When it was made.
    pub since: Millis,
    /// Whether it can still be taken back.
    pub is_cancellable: bool,
}

impl<'a> PendingView<'a> {
    fn of(op: &'a PendingOp) -> PendingView<'a> {
        PendingView {
            op_id: op.id,
            body: &op.body,
            state: op.state,
            since: op.since,
            is_cancellable: !op.was_sent,
        }
    }

    /// The text of the message that it will make; empty when it makes none.
    pub fn text(&self) -> &'a str {
        match self.body {
            Body::PostMessage(post) => &post.text,
            _ => "",
        }
    }
}

/// A row of the room list.
#[derive(Clone, Debug)]
pub struct RoomRow<'a> {
    /// The room.
    pub id: &'a RoomId,
    /// Its name; the id where none is known.
    pub name: &'a str,
    /// Its topic.
    pub topic: &'a str,
    /// Whether only members may see it.
    pub visibility: v1::Visibility,
    /// Its tier on this client.
    pub tier: Tier,
    /// Why it is in that tier.
    pub reason: TierReason,
    /// The newest message, if one is known.
    pub last_message: Option<&'a v1::Message>,
    /// Stamp of the last entry.
    pub last_activity: u64,
    /// Messages beyond the read marker; 0 in rooms that the user does not follow.
    pub unread: u64,
    /// Mentions beyond the read marker.
    pub mentions: usize,
    /// Users present.
    pub user_count: u32,
    /// Some of them.
    pub users: Vec<&'a v1::PresentUser>,
    /// Whether the user follows the room: is a member.
    pub following: bool,
    /// Members.
    pub member_count: u32,
    /// Whether something written here waits to be sent.
    pub has_unsent: bool,
}

/// A room's view.
#[derive(Clone, Copy, Debug)]
pub struct RoomView<'a> {
    pub(super) client: &'a Client,
    pub(super) id: &'a RoomId,
    pub(super) room: &'a Room,
}

impl<'a> RoomView<'a> {
    /// The room.
    pub fn id(&self) -> &'a RoomId {
        self.id
    }

    /// Its tier.
    pub fn tier(&self) -> Tier {
        self.room.tier()
    }

    /// Why it is in that tier.
    pub fn reason(&self) -> TierReason {
        self.room.reason
    }

    /// Where the view is in the room's log.
    pub fn position(&self) -> Position {
        self.room.content.position()
    }

    /// The digest of the full state, where one is held: in Active.
    pub fn digest(&self) -> Option<Digest> {
        match &self.room.content {
            Content::Active(active) => Some(active.state.digest()),
            Content::Unloaded | Content::Cached(_) | Content::Background(_) => None,
        }
    }

    /// Whether the view is up to date.
    pub fn synced(&self) -> Synced {
        self.room.synced
    }

    /// Name, topic, visibility, owner, as far as the tier holds them. Of a room whose creation is pending, what it
    /// will be.
    pub fn info(&self) -> Option<&'a v1::RoomInfo> {
        let held = match &self.room.content {
            Content::Unloaded | Content::Cached(_) => None,
            Content::Background(background) => background.light.info.as_ref(),
            Content::Active(active) => active.state.info(),
        };
        held.or(self.room.predicted.as_deref())
    }

    /// The room's name; its id where none is known.
    pub fn name(&self) -> &'a str {
        match (&self.room.content, self.info()) {
            (_, Some(info)) => &info.name,
            (content, None) if content.summary().is_some_and(|summary| !summary.name.is_empty()) => {
                content.summary().map_or("", |summary| &summary.name)
            }
            _ => self.client.list.rows.get(self.id).map_or(self.id.as_str(), |row| &row.name),
        }
    }

    /// Slow mode and the like; `None` in tiers that don't hold it.
    pub fn config(&self) -> Option<&'a v1::RoomConfig> {
        match &self.room.content {
            Content::Unloaded | Content::Cached(_) => None,
            Content::Background(background) => Some(&background.light.config),
            Content::Active(active) => Some(active.state.config()),
        }
    }

    /// By which two ends know that they enforce the same: of configuration, permissions and rules for conflicts. `None`
    /// where it is not known.
    pub fn config_fingerprint(&self) -> Option<u64> {
        let fingerprint = match &self.room.content {
            Content::Unloaded | Content::Cached(_) => 0,
            Content::Background(background) => background.light.fingerprint,
            Content::Active(active) if active.is_loaded() => compress::config_fingerprint(&active.state),
            Content::Active(_) => 0,
        };
        (fingerprint != 0).then_some(fingerprint)
    }

    /// Users present, as far as is known.
    pub fn user_count(&self) -> u32 {
        match &self.room.content {
            Content::Unloaded => self.client.list.rows.get(self.id).map_or(0, |row| row.user_count),
            Content::Cached(cached) => cached.summary.user_count,
            Content::Background(background) => background.light.user_count,
            Content::Active(active) => active.user_count,
        }
    }

    /// Who is present; in Active rooms alone.
    pub fn users(&self) -> impl Iterator<Item = &'a v1::PresentUser> + use<'a> {
        let active = match &self.room.content {
            Content::Active(active) => Some(active),
            Content::Unloaded | Content::Cached(_) | Content::Background(_) => None,
        };
        active.into_iter().flat_map(|active| active.presence.users())
    }

    /// How many members the room has.
    pub fn member_count(&self) -> u32 {
        match &self.room.content {
            Content::Unloaded => self.client.list.rows.get(self.id).map_or(0, |row| row.member_count),
            Content::Cached(cached) => cached.summary.member_count,
            Content::Background(background) => background.light.member_count,
            Content::Active(active) => active.state.members().len() as u32,
        }
    }

    /// The members, ascending by user id; in Active rooms alone.
    pub fn members(&self) -> impl Iterator<Item = &'a v1::Member> + use<'a> {
        let active = match &self.room.content {
            Content::Active(active) => Some(active),
            Content::Unloaded | Content::Cached(_) | Content::Background(_) => None,
        };
        active.into_iter().flat_map(|active| active.state.members().iter())
    }

    /// The user's own membership, where members are held.
    pub fn own_membership(&self) -> Option<&'a v1::Member> {
        match (&self.room.content, &self.client.user) {
            (Content::Active(active), Some(user)) => active.state.members().get(user.id.as_str()),
            _ => None,
        }
    }

    /// Confirmed messages that are held.
    pub fn message_count(&self) -> usize {
        match &self.room.content {
            Content::Unloaded | Content::Cached(_) => 0,
            Content::Background(background) => background.light.recent.len(),
            Content::Active(active) => active.state.timeline().len(),
        }
    }

    /// The confirmed message at this place, counted from the oldest that is held.
    pub fn message(&self, index: usize) -> Option<&'a v1::Message> {
        match &self.room.content {
            Content::Unloaded | Content::Cached(_) => None,
            Content::Background(background) => background.light.recent.get(index).map(|message| &**message),
            Content::Active(active) => active.state.timeline().at(index).map(|message| &**message),
        }
    }

    /// The confirmed message with this ordinal, if it is held.
    pub fn message_by_ordinal(&self, ordinal: u64) -> Option<&'a v1::Message> {
        self.message(self.place(ordinal)).filter(|message| message.ordinal == ordinal)
    }

    /// Operations that are not confirmed, in order; those of messages follow the confirmed messages.
    pub fn pending(&self) -> impl Iterator<Item = PendingView<'a>> + use<'a> {
        self.client.pending.of(self.id).map(PendingView::of)
    }

    /// How many messages the room has had.
    pub fn head(&self) -> u64 {
        self.client.head(self.id)
    }

    /// Messages beyond the read marker; 0 in rooms that the user does not follow.
    pub fn unread(&self) -> u64 {
        self.client.unread(self.id)
    }

    /// Mentions beyond the read marker; 0 in rooms that the user does not follow.
    pub fn mentions(&self) -> usize {
        self.client.mentions(self.id)
    }

    /// Ordinal of the last message that the user has read.
    pub fn read_up_to(&self) -> u64 {
        self.client.read_up_to(self.id)
    }

    /// Whether the user follows the room: is a member.
    pub fn is_following(&self) -> bool {
        self.client.is_following(self.id)
    }

    /// Whether [`Client::load_older`] would bring something.
    pub fn has_older(&self) -> bool {
        match &self.room.content {
            Content::Active(active) => has_older(active, self.room.history),
            Content::Unloaded | Content::Cached(_) | Content::Background(_) => false,
        }
    }

    /// Whether older messages are on their way.
    pub fn is_loading_older(&self) -> bool {
        self.room.history.is_loading_older()
    }

    /// Bytes of frames about this room that were received.
    pub fn bytes_in(&self) -> u64 {
        self.room.received.as_ref().map_or(0, |received| received.traffic.total().bytes)
    }

    /// Bytes of frames about this room that were sent after the hello.
    pub fn bytes_out(&self) -> u64 {
        self.room.bytes_out
    }

    /// What the user has typed and not sent.
    pub fn draft(&self) -> &'a str {
        &self.room.draft
    }

    /// Where the user has scrolled to, as [`Client::set_scroll`] was told.
    pub fn scroll(&self) -> &'a str {
        &self.room.scroll
    }
}

impl Client {
    /// The connection's view.
    pub fn connection(&self) -> ConnectionView<'_> {
        let link = &self.link;
        let state = match link.phase {
            Phase::Idle => ConnectionState::Idle,
            Phase::TokenNeeded => ConnectionState::TokenNeeded,
            Phase::Connecting { .. } => ConnectionState::Connecting,
            Phase::Authenticating { .. } => ConnectionState::Authenticating,
            Phase::Online { .. } => ConnectionState::Online,
            Phase::Waiting { .. } if !link.has_network => ConnectionState::Offline,
            Phase::Waiting { until } => {
                ConnectionState::Waiting { until: self.host_time(until), attempt: link.backoff.attempts() }
            }
            Phase::Failed(code) => ConnectionState::Failed { code },
        };
        ConnectionView {
            state,
            reason: link.why,
            user: self.user.as_ref().map(|user| user.id.as_str()),
            user_name: self.user.as_ref().map(|user| user.name.as_str()),
            counters: link.counters,
            clock_offset: self.signals.clock.offset(),
            has_unsent: self.pending.has_unsent(),
        }
    }

    /// A room's view; `None` for a room of which nothing is held.
    pub fn room(&self, id: &RoomId) -> Option<RoomView<'_>> {
        self.rooms.get_key_value(id).map(|(id, room)| RoomView { client: self, id, room })
    }

    /// The rows of the room list: rooms of the polled list and rooms that are held, the last active first.
    pub fn rooms(&self) -> Vec<RoomRow<'_>> {
        let held = self.rooms.keys().filter(|id| !self.list.rows.contains_key(*id));
        let rows = self.list.rows.keys().chain(held).filter_map(|id| self.row(id)).collect();
        sorted(rows, |a: &RoomRow<'_>, b| (b.last_activity, a.id) < (a.last_activity, b.id))
    }

    /// One row of the room list; `None` when it has none any more. Inboxes have none.
    pub fn row(&self, id: &RoomId) -> Option<RoomRow<'_>> {
        if id.inbox_owner().is_some() {
            return None;
        }
        let listed = self.list.rows.get_key_value(id);
        let held = self.room(id);
        let id = listed.map(|(id, _)| id).or(held.map(|held| held.id))?;
        // What is live is newer than the list, and the list is newer than what is cached.
        let live = held.filter(|held| held.tier() >= Tier::Background);
        let summary = listed.map(|(_, row)| row).or(match held.map(|held| &held.room.content) {
            Some(Content::Cached(cached)) => Some(&cached.summary),
            _ => None,
        });
        let info = live.and_then(|live| live.info());
        let listed_users = summary.into_iter().flat_map(|row| &row.users);
        let users: Vec<&v1::PresentUser> = match live.filter(|live| live.tier() == Tier::Active) {
            Some(live) => live.users().take(limits::SUMMARY_USERS).collect(),
            None => listed_users.collect(),
        };
        let newest = live.and_then(|live| live.message(live.message_count().checked_sub(1)?));
        let newest = newest.or(summary.and_then(|row| row.last_message.as_ref()));
        let visibility = info.map(|info| info.visibility()).or(summary.map(|row| row.visibility()));
        let last_at = summary.map_or(0, |row| row.last_activity);
        Some(RoomRow {
            id,
            name: held.map_or_else(|| summary.map_or(id.as_str(), |row| &row.name), |held| held.name()),
            topic: info.map(|info| &*info.topic).or(summary.map(|row| &*row.topic)).unwrap_or_default(),
            visibility: visibility.unwrap_or_default(),
            tier: held.map_or(Tier::Unloaded, |held| held.tier()),
            reason: held.map_or(TierReason::NeverOpened, |held| held.reason()),
            last_message: newest,
            last_activity: last_at.max(newest.map_or(0, |message| message.at)),
            unread: self.unread(id),
            mentions: self.mentions(id),
            user_count: live.or(held).map_or_else(
                || summary.map_or(0, |row| row.user_count),
                |held| match live {
                    Some(live) => live.user_count(),
                    None => summary.map_or(held.user_count(), |row| row.user_count),
                },
            ),
            users,
            following: self.is_following(id),
            member_count: match live {
                Some(live) => live.member_count(),
                None => summary.map_or(0, |row| row.member_count),
            },
            has_unsent: self.pending.of(id).any(|op| !op.is_acknowledged()),
        })
    }

    /// What the user was told of in their inbox, oldest first.
    pub fn notifications(&self) -> impl DoubleEndedIterator<Item = &v1::Notification> {
        self.inbox().into_iter().flat_map(|inbox| inbox.notifications())
    }

    /// An operation that is not confirmed.
    pub fn pending_op(&self, id: OpId) -> Option<PendingView<'_>> {
        self.pending.get(id).map(PendingView::of)
    }

    /// The inbox's id, once the user is known.
    pub fn own_inbox(&self) -> Option<&RoomId> {
        self.user.as_ref().map(|user| &user.inbox)
    }

    pub(super) fn is_own_inbox(&self, id: &RoomId) -> bool {
        self.own_inbox() == Some(id)
    }

    fn inbox(&self) -> Option<&crate::state::Inbox> {
        Some(self.own_inbox_state()?.inbox())
    }

    pub(super) fn own_inbox_state(&self) -> Option<&crate::RoomState> {
        match &self.rooms.get(self.own_inbox()?)?.content {
            Content::Active(active) => Some(&active.state),
            Content::Unloaded | Content::Cached(_) | Content::Background(_) => None,
        }
    }

    /// How many messages a room has had, by the best that is known.
    pub(super) fn head(&self, id: &RoomId) -> u64 {
        let listed = self.list.rows.get(id).map_or(0, |row| row.messages);
        // A message that mentions the user is there, whoever else has told of it.
        let mentioned = self.followed(id).and_then(|known| known.mentions.last());
        let listed = listed.max(mentioned.copied().unwrap_or(0));
        match self.rooms.get(id) {
            Some(room) if room.tier() == Tier::Active && room.synced == Synced::Ready => {
                room.content.messages()
            }
            Some(room) => room.content.messages().max(room.messages).max(listed),
            None => listed,
        }
    }

    /// The marker, be it confirmed or on its way.
    pub(super) fn read_up_to(&self, id: &RoomId) -> u64 {
        self.inbox_read(id).max(self.markers.get(id).map_or(0, |marker| marker.ordinal))
    }

    pub(super) fn inbox_read(&self, id: &RoomId) -> u64 {
        self.inbox().map_or(0, |inbox| inbox.read(id.as_str()))
    }

    /// Unread is the room's ordinal minus the marker's: never counted by what happened to be seen here. Nothing is
    /// unread before the inbox is known.
    pub(super) fn unread(&self, id: &RoomId) -> u64 {
        self.followed(id).map_or(0, |_| self.head(id).saturating_sub(self.read_up_to(id)))
    }

    pub(super) fn mentions(&self, id: &RoomId) -> usize {
        let read = self.read_up_to(id);
        let mentions = self.followed(id).into_iter().flat_map(|known| &known.mentions);
        mentions.filter(|ordinal| **ordinal > read).count()
    }

    /// What the inbox knows of a room that the user follows.
    fn followed(&self, id: &RoomId) -> Option<&v1::Following> {
        self.inbox()?.following(id.as_str()).filter(|known| known.following)
    }

    pub(super) fn is_following(&self, id: &RoomId) -> bool {
        match self.inbox().and_then(|inbox| inbox.following(id.as_str())) {
            Some(known) => known.following,
            None => self.list.rows.get(id).is_some_and(|row| row.following == Some(true)),
        }
    }
}
