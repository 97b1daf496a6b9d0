//! The client's part: one connection, many rooms, and everything between them and the app.

mod amend;
mod backoff;
mod bench;
mod cache;
mod config;
mod conflicts;
mod connection;
mod content;
mod elements;
mod event;
mod history;
mod index;
mod input;
mod list;
mod memory;
mod parts;
mod people;
mod persist;
mod queue;
mod received;
mod resubmit;
mod resume;
mod rooms;
mod rows;
mod scores;
mod signals;
mod sync;
mod ui_state;
mod view;
mod warm;

use alloc::string::{String, ToString};
use alloc::vec::Vec;

pub use config::ClientConfig;
pub use connection::Counters;
pub use event::{Effect, Event, Network, RoomChange, Timer};
pub use input::{Answer, Input};
pub(crate) use persist::redact_record;
pub use received::BudgetView;
pub use rows::{Gap, Shown};
pub use signals::SignalCounters;
pub use view::{ConnectionState, ConnectionView, PendingView, RoomRow, RoomView, Synced};
pub use warm::{WarmUp, WarmUpCounters, Warmed};

use crate::cache::{Cache, Explanation};
use crate::op::Body;
use crate::pending::{Counter, Pending};
use crate::policy::Refusal;
use crate::sorted::{SortedMap, SortedSet};
use crate::tier::TierReason;
use crate::v1::server_frame::Body as Frame;
use crate::{ClientId, Code, Millis, OpId, Rng, RoomId, Tier, UserId, v1, wire};
use connection::{Link, Phase};
use event::Outbox;
use index::Rooms;
use list::RoomList;
use queue::Marker;
use warm::Warming;

/// The largest frame that is taken: a page of a hundred messages, each as long as may be. What a server sends in one
/// piece is its own concern; this only keeps nonsense out of memory.
const FRAME_BYTES: usize = 2 * 1024 * 1024;

#[derive(Clone, Debug)]
struct User {
    id: UserId,
    name: String,
    inbox: RoomId,
}

impl User {
    fn new(id: UserId, name: String) -> User {
        User { inbox: RoomId::inbox(&id), id, name }
    }
}

/// The client's session, without IO.
///
/// The host owns socket, clock, timers and storage, and drives the session like this:
///
/// 1. Make it with a seed (from a secure source of random numbers) and the time. Give back what was stored, by
///    [`restore`](Client::restore), before anything else.
/// 2. Call inputs (`handle_…`) and commands as they come, each with the time. The time is any clock in milliseconds,
///    best that of 1970; where it is set back, no time has passed. When a frame and a timer are due together, the frame is first.
/// 3. After each call, take [`poll_effect`](Client::poll_effect) until it is empty and do what it says, in order, then
///    [`poll_event`](Client::poll_event) until it is empty, and read the views of what has changed.
/// 4. Call [`handle_timeout`](Client::handle_timeout) at [`next_deadline`](Client::next_deadline), which may change
///    with every call. Too early does no harm.
///
/// No input is called from inside another, and nothing is called back. Views are as of the last call.
///
/// ```
/// use enfilade_core::client::{Client, ClientConfig, Effect, Event};
/// use enfilade_core::v1::{self, client_frame, room_state_sync::Data, server_frame};
/// use enfilade_core::{Entry, Millis, RoomId, Tier, op, wire};
///
/// let lobby = RoomId::new("lobby").unwrap();
/// let mut client = Client::new(ClientConfig::default(), 7, Millis(0));
/// client.set_token("a token", Millis(0));
/// client.acquire(&lobby, Millis(0));
/// client.connect(Millis(0));
///
/// // The host opens a socket, and tells when it is open.
/// let Some(Effect::Connect { generation }) = client.poll_effect() else { panic!() };
/// client.handle_connected(generation, Millis(10));
///
/// // What the client sends, and what the server says. The hello carries the rooms that are held.
/// let sent = |client: &mut Client| -> Vec<client_frame::Body> {
///     let frame = |bytes: Vec<u8>| wire::binary::decode_client(&bytes, usize::MAX).unwrap().body.unwrap();
///     std::iter::from_fn(|| client.poll_effect())
///         .filter_map(|effect| if let Effect::Send { bytes, .. } = effect { Some(frame(bytes)) } else { None })
///         .collect()
/// };
/// let hear = |client: &mut Client, body: server_frame::Body, now: u64| {
///     let bytes = wire::binary::encode_server(&v1::ServerFrame { body: Some(body) });
///     client.handle_frame(generation, &bytes, Millis(now));
/// };
/// let frames = sent(&mut client);
/// let client_frame::Body::Hello(hello) = &frames[0] else { panic!() };
/// assert_eq!(hello.rooms[0].tier(), v1::Tier::Active);
///
/// let welcome = v1::Welcome { version: 1000, user: "ada".into(), user_name: "Ada".into(), ..Default::default() };
/// hear(&mut client, server_frame::Body::Welcome(welcome), 20);
///
/// // The room's whole state comes in parts; this one fits into one.
/// let snapshot = v1::RoomSnapshot {
///     fold_version: 1,
///     position: Some(v1::Position { epoch: 9, seq: 2 }),
///     info: Some(v1::RoomInfo { name: "Lobby".into(), ..Default::default() }),
///     members: vec![v1::Member { user: "ada".into(), name: "Ada".into(), ..Default::default() }],
///     ..Default::default()
/// };
/// let sync = v1::RoomStateSync {
///     room_id: "lobby".into(),
///     alias: 1,
///     epoch: 9,
///     sequence_number: 2,
///     tier: Some(v1::Tier::Active.into()),
///     data: Some(Data::BulkSync(v1::BulkSync { part: 0, parts: 1, snapshot: Some(snapshot), reason: 0 })),
///     ..Default::default()
/// };
/// hear(&mut client, server_frame::Body::RoomStateSync(sync), 30);
/// assert_eq!(client.room(&lobby).unwrap().name(), "Lobby");
/// while let Some(_event) = client.poll_event() {}
///
/// // A message is shown at once, as pending. It is stored before it is sent.
/// let id = client.post(&lobby, "hello", Vec::new(), Millis(40)).unwrap();
/// assert_eq!(client.room(&lobby).unwrap().pending().count(), 1);
/// let frames = sent(&mut client);
/// let Some(client_frame::Body::Submit(submit)) = frames.last() else { panic!() };
/// assert_eq!(submit.op_id, Some(id.wire()));
///
/// // The entry takes its place, under the same id; the acknowledgement may come before or after.
/// let entry = v1::Entry { seq: 3, op_id: submit.op_id, author: "ada".into(), op: submit.op.clone(), ..Default::default() };
/// # let entry = v1::Entry { ordinal: 1, ..entry };
/// let sync = v1::RoomStateSync {
///     alias: 1,
///     epoch: 9,
///     sequence_number: 3,
///     data: Some(Data::DeltaUpdate(v1::DeltaUpdate { entries: vec![entry] })),
///     ..Default::default()
/// };
/// hear(&mut client, server_frame::Body::RoomStateSync(sync), 50);
/// let position = Some(v1::Position { epoch: 9, seq: 3 });
/// let ack = v1::Ack { room_id: "lobby".into(), op_id: Some(id.wire()), position };
/// hear(&mut client, server_frame::Body::Ack(ack), 50);
/// let room = client.room(&lobby).unwrap();
/// assert_eq!((room.message(0).unwrap().text.as_str(), room.pending().count()), ("hello", 0));
/// assert!(std::iter::from_fn(|| client.poll_event()).any(|event| matches!(event, Event::Room { .. })));
/// assert!(client.next_deadline().is_some());
/// ```
#[derive(Debug)]
pub struct Client {
    config: ClientConfig,
    rng: Rng,
    /// The latest time: it does not run backwards in here.
    now: Millis,
    /// By how much that is ahead of the host's clock, which was set back so far.
    ahead: u64,
    client_id: ClientId,
    counter: Counter,
    requests: u64,
    user: Option<User>,
    link: Link,
    rooms: Rooms,
    /// The numbers that stand for rooms on this connection.
    aliases: SortedMap<u32, RoomId>,
    cache: Cache,
    /// Nothing could go from the cache when it was last asked, and nothing has changed since that could.
    cache_is_kept: bool,
    /// What was learned of the rooms' use is newer than its record.
    model_dirty_since: Option<Millis>,
    pending: Pending,
    markers: SortedMap<RoomId, Marker>,
    list: RoomList,
    signals: signals::Signals,
    /// Keys that the host's storage holds.
    stored: SortedSet<String>,
    warming: Warming,
    outbox: Outbox,
}

impl Client {
    /// A session that has done nothing yet. Equal seeds, inputs and times give equal sessions.
    pub fn new(config: ClientConfig, seed: u64, now: Millis) -> Client {
        let mut rng = Rng::new(seed);
        let link = Link::new(config.budgets);
        let made = ClientId(rng.id53());
        Client {
            client_id: config.client_id.unwrap_or(made),
            cache: Cache::new(config.cache_policy, config.cached_rooms, config.cached_for),
            model_dirty_since: None,
            config,
            rng,
            now,
            ahead: 0,
            counter: Counter::after(0),
            requests: 0,
            user: None,
            link,
            rooms: Rooms::default(),
            cache_is_kept: false,
            aliases: SortedMap::default(),
            pending: Pending::default(),
            markers: SortedMap::default(),
            list: RoomList::default(),
            signals: signals::Signals::default(),
            stored: SortedSet::default(),
            warming: Warming::new(),
            outbox: Outbox::default(),
        }
    }

    /// Gives back the records that [`Effect::Persist`] has stored, in any order, before anything else is called.
    /// Records that can't be read are left alone.
    pub fn restore(&mut self, records: impl IntoIterator<Item = (String, Vec<u8>)>, now: Millis) {
        let now = self.tick(now);
        self.take_records(records.into_iter(), now);
    }

    /// This client's id.
    pub fn client_id(&self) -> ClientId {
        self.client_id
    }

    // ------------------------------------------------------------------------------------------------- inputs

    /// The socket that [`Effect::Connect`] asked for is open.
    pub fn handle_connected(&mut self, generation: u64, now: Millis) {
        let now = self.tick(now);
        if self.is_current(generation) {
            self.opened(now);
        }
    }

    /// A binary message has come. Nothing in it can do more than be counted, if it is not what the protocol says.
    pub fn handle_frame(&mut self, generation: u64, bytes: &[u8], now: Millis) {
        let now = self.tick(now);
        if !self.is_current(generation) {
            return;
        }
        self.heard(bytes.len(), now);
        match wire::binary::decode_server(bytes, FRAME_BYTES) {
            Ok(frame) => self.handle_body(frame.body, bytes.len(), now),
            Err(_) => self.malformed(now),
        }
        self.warm(now);
    }

    /// The socket is closed, or could not be opened: with the close code, or 1006 where there is none.
    pub fn handle_disconnected(&mut self, generation: u64, code: u16, _reason: &str, now: Millis) {
        let now = self.tick(now);
        if self.is_current(generation) {
            self.closed(code, now);
        }
    }

    /// The record that [`Effect::Load`] asked for; `None` when the storage does not have it. A snapshot that can't be
    /// used is refused with [`Event::Error`], and the room is loaded afresh.
    pub fn handle_loaded(&mut self, key: &str, record: Option<&[u8]>, now: Millis) {
        let now = self.tick(now);
        self.take_loaded(key, record, now);
    }

    /// Does what is due. To be called at [`next_deadline`](Client::next_deadline).
    pub fn handle_timeout(&mut self, now: Millis) {
        let now = self.tick(now);
        self.connection_timeouts(now);
        self.room_timeouts(now);
        self.flush(now);
        self.save_timeout(now);
        self.warm_timeout(now);
        self.list_timeout(now);
        self.signal_timeouts(now);
    }

    /// Tells what the host knows about network and app.
    pub fn handle_network(&mut self, network: Network, now: Millis) {
        let now = self.tick(now);
        self.network(network, now);
    }

    // ----------------------------------------------------------------------------------------------- commands

    /// Gives a token, at first or in answer to [`Event::TokenNeeded`]. One that the server has refused is not tried
    /// again.
    pub fn set_token(&mut self, token: &str, now: Millis) {
        let now = self.tick(now);
        self.take_token(token, now);
    }

    /// Connects, and stays connected. Has no effect on a session that does already; after a failure it starts anew.
    pub fn connect(&mut self, now: Millis) {
        let now = self.tick(now);
        self.link.wanted = true;
        if matches!(self.link.phase, Phase::Idle | Phase::TokenNeeded | Phase::Failed(_)) {
            self.begin(now);
        }
    }

    /// Disconnects, and stays so. Nothing is lost: what is pending waits.
    pub fn disconnect(&mut self, now: Millis) {
        self.tick(now);
        self.hang_up_for_good();
    }

    /// Disconnects and deletes everything: token, queue, snapshots, markers. The one call that does.
    pub fn logout(&mut self, now: Millis) {
        let now = self.tick(now);
        self.log_out(now);
    }

    /// Opens a room: it is Active as long as anybody holds it. Each call is matched by a [`release`](Client::release).
    pub fn acquire(&mut self, room: &RoomId, now: Millis) {
        let now = self.tick(now);
        self.hold(room, now);
    }

    /// Lets go of a room. When nobody holds it, it goes to Background, later to Cached, and then it is Unloaded.
    /// Has no effect on a room that nobody holds.
    pub fn release(&mut self, room: &RoomId, now: Millis) {
        let now = self.tick(now);
        self.let_go(room, now);
    }

    /// Puts a room into a tier, where it stays until it is next acquired or released.
    pub fn set_tier(&mut self, room: &RoomId, tier: Tier, now: Millis) {
        let now = self.tick(now);
        self.set_tier_explicitly(room, tier, TierReason::Explicit, now);
    }

    /// Asks for an operation. It is shown as pending at once, stored, and sent until it is acknowledged.
    ///
    /// # Errors
    /// What the authority would say, where that can be told from here. Nothing has happened then.
    pub fn submit(&mut self, room: &RoomId, body: Body, now: Millis) -> Result<OpId, Refusal> {
        let now = self.tick(now);
        self.enqueue(room, body, now)
    }

    /// Makes a room under a new id. It can be opened and written into before the server has heard of it.
    ///
    /// # Errors
    /// As for [`submit`](Client::submit).
    pub fn create_room(
        &mut self,
        name: &str,
        visibility: v1::Visibility,
        topic: &str,
        now: Millis,
    ) -> Result<(RoomId, OpId), Refusal> {
        let now = self.tick(now);
        let id = self.new_room_id()?;
        let (name, topic) = (name.to_string(), topic.to_string());
        let create = v1::CreateRoom { name, visibility: visibility.into(), topic };
        let op_id = self.enqueue(&id, Body::CreateRoom(create), now)?;
        Ok((id, op_id))
    }

    /// Becomes a member of a room, which is following it.
    ///
    /// # Errors
    /// As for [`submit`](Client::submit).
    pub fn join(&mut self, room: &RoomId, now: Millis) -> Result<OpId, Refusal> {
        self.submit(room, Body::Join(v1::Join {}), now)
    }

    /// Stops being a member.
    ///
    /// # Errors
    /// As for [`submit`](Client::submit).
    pub fn leave(&mut self, room: &RoomId, now: Millis) -> Result<OpId, Refusal> {
        self.submit(room, Body::Leave(v1::Leave {}), now)
    }

    /// Writes a message, with the ids of the users that it mentions.
    ///
    /// # Errors
    /// As for [`submit`](Client::submit).
    pub fn post(
        &mut self,
        room: &RoomId,
        text: &str,
        mentions: Vec<String>,
        now: Millis,
    ) -> Result<OpId, Refusal> {
        let post = v1::PostMessage { text: text.to_string(), mentions, reply_to: None };
        self.submit(room, Body::PostMessage(post), now)
    }

    /// Notes that the user has read what the room shows. Any number of calls make at most one marker a second.
    pub fn mark_read(&mut self, room: &RoomId, now: Millis) {
        let now = self.tick(now);
        self.mark(room, now);
    }

    /// Changes what an operation asks for that was never sent: the text of a message, for example. Id and place in the
    /// queue stay.
    ///
    /// # Errors
    /// [`Code::NoSuchMessage`] when it is not pending, [`Code::InvalidRequest`] when the server may have it or `body` is
    /// of another kind, and what is wrong with `body`.
    pub fn edit(&mut self, op_id: OpId, body: Body, now: Millis) -> Result<(), Code> {
        self.tick(now);
        self.edit_op(op_id, body)
    }

    /// Takes back an operation that was never sent. What rests on it goes with it, each told by [`Event::Rejected`]:
    /// answers to a message and edits of it, and all that was written into a room whose creation is taken back.
    ///
    /// # Errors
    /// [`Code::NoSuchMessage`] when it is not pending, [`Code::InvalidRequest`] when the server may have it.
    pub fn cancel(&mut self, op_id: OpId, now: Millis) -> Result<(), Code> {
        let now = self.tick(now);
        match self.pending.get(op_id) {
            None => Err(Code::NoSuchMessage),
            Some(op) if op.was_sent => Err(Code::InvalidRequest),
            Some(_) => {
                self.withdraw_op(op_id, now);
                Ok(())
            }
        }
    }

    /// Asks for messages before the first that an Active room holds. Returns whether a request was sent. A room holds
    /// [`ACTIVE_MESSAGES`](crate::limits::ACTIVE_MESSAGES); beyond, what lies between those looked at and the newest
    /// goes, and leaves a gap.
    pub fn load_older(&mut self, room: &RoomId, limit: usize, now: Millis) -> bool {
        self.tick(now);
        self.ask_for_older(room, limit)
    }

    /// Asks for the messages that are missing after the one with this ordinal, as [`RoomView::gap_before`] shows it,
    /// page by page until none is missing. Returns whether a request was sent.
    pub fn fill_gap(&mut self, room: &RoomId, after: u64, now: Millis) -> bool {
        self.tick(now);
        self.ask_for_gap(room, after)
    }

    /// Keeps the room list up to date, or no longer does.
    pub fn watch_rooms(&mut self, is_watched: bool, now: Millis) {
        let now = self.tick(now);
        self.watch(is_watched, now);
    }

    // ------------------------------------------------------------------------------------------------ outputs

    /// The next thing for the host to do.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.relist();
        self.outbox.next_effect()
    }

    /// The next change for the app to see.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.outbox.next_event()
    }

    /// When [`handle_timeout`](Client::handle_timeout) wants to be called, and why.
    pub fn next_deadline(&self) -> Option<(Millis, Timer)> {
        let (reconnect, handshake) = match self.link.phase {
            Phase::Waiting { until } => (Some(until), None),
            Phase::Connecting { until } | Phase::Authenticating { until } => (None, Some(until)),
            Phase::Idle | Phase::TokenNeeded | Phase::Online { .. } | Phase::Failed(_) => (None, None),
        };
        let online = |at: Option<Millis>| at.filter(|_| self.link.is_online());
        [
            (reconnect, Timer::Reconnect),
            (handshake, Timer::Handshake),
            (self.link.heartbeat_due(), Timer::Heartbeat),
            (self.link.token_due, Timer::Token),
            (online(self.pending.next_deadline(self.link.in_flight)), Timer::Resend),
            (self.room_deadline(), Timer::Room),
            (self.warm_deadline(), Timer::Room),
            (self.save_deadline(), Timer::Save),
            (self.navigation_deadline(), Timer::Save),
            (online(self.signal_deadline()), Timer::Signals),
            (online(self.list.deadline()).filter(|_| !self.link.in_background), Timer::RoomList),
        ]
        .into_iter()
        .filter_map(|(at, timer)| at.map(|at| (self.host_time(at), timer)))
        .min()
    }

    // ----------------------------------------------------------------------------------------------------- rest

    /// The time by which the session counts. When the host's clock is set back, by a second or by years, no time has
    /// passed, and from there it goes on.
    fn tick(&mut self, now: Millis) -> Millis {
        let told = now + self.ahead;
        self.ahead += self.now.since(told);
        self.now = self.now.max(told);
        self.now
    }

    /// What the host's clock shows at one of the session's times.
    fn host_time(&self, at: Millis) -> Millis {
        Millis(at.0.saturating_sub(self.ahead))
    }

    fn handle_body(&mut self, body: Option<Frame>, bytes: usize, now: Millis) {
        let is_welcomed = self.link.is_online();
        if let Some(body) = &body {
            self.count(body, bytes, now);
        }
        match body {
            Some(Frame::Welcome(welcome)) => self.welcome(welcome, now),
            Some(Frame::Advice(advice)) => self.advice(advice, now),
            Some(Frame::Error(error)) => self.error(error, now),
            Some(Frame::Heartbeat(heartbeat)) => {
                self.send(v1::client_frame::Body::Heartbeat(v1::ClientHeartbeat { echo: heartbeat.time }));
            }
            Some(Frame::RoomStateSync(sync)) if is_welcomed => self.sync(sync, bytes, now),
            Some(Frame::Ack(ack)) if is_welcomed => self.acknowledged(ack, now),
            Some(Frame::Rejection(rejection)) if is_welcomed => self.rejected(rejection, now),
            Some(Frame::HistoryPage(page)) if is_welcomed => self.take_history(page),
            Some(Frame::RoomList(page)) if is_welcomed => self.take_rooms(page, now),
            Some(Frame::Signals(signals)) if is_welcomed => self.take_signals(signals, now),
            Some(Frame::TimeReply(reply)) => self.signals.clock.answered(reply.sent, reply.time, now),
            Some(
                Frame::RoomStateSync(_)
                | Frame::Ack(_)
                | Frame::Rejection(_)
                | Frame::HistoryPage(_)
                | Frame::Signals(_)
                | Frame::RoomList(_),
            ) => self.malformed(now),
            // A kind that this version does not know.
            None => {}
        }
    }

    fn error(&mut self, error: v1::Error, now: Millis) {
        let code = connection::known(error.code);
        if code.retry() == crate::Retry::NewToken {
            return self.reject_token();
        }
        if error.request_id != 0 && self.request_failed(error.request_id, error.retry_after, now) {
            return;
        }
        match RoomId::new(&error.room_id) {
            Ok(id) => self.room_refused(&id, code, error.retry_after, error.reason, now),
            Err(_) => self.outbox.event(Event::Error { code, room: None, reason: error.reason }),
        }
    }

    /// A name for a new room: 65 bits of chance, in letters and digits that can't be mistaken for each other.
    fn new_room_id(&mut self) -> Result<RoomId, Code> {
        const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
        let digit = |_| char::from(ALPHABET[self.rng.below(32) as usize]);
        let id: String = (0..13).map(digit).collect();
        RoomId::new(&id)
    }
}

#[cfg(test)]
mod tests;
