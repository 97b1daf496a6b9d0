//! The server's part: [`Authority`] decides for one room, [`Connection`] is the server's end of one socket.

mod answer;
mod conflicts;
mod connection;
mod effect;
mod entailed;
mod fetch;
mod followers;
mod outbox;
mod recent;
mod sequence;
mod signals;
mod spending;
mod subscribers;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use prost::Message as _;

pub use connection::{Connection, ConnectionConfig, ConnectionEffect, Identity, RoomRequest};
pub use effect::{Appended, AuthorityConfig, ConnId, Effect, HistoryReader, Lane, Loaded, Reply, Timer};
pub use fetch::Stretch;

pub use spending::Standing;

use crate::conflict::VersionVector;
use crate::op::{self, Body};
use crate::policy::Actor;
use crate::presence::Occupancy;
use crate::state::{Change, SnapshotFor, compress, decompress};
use crate::tier::budget::Budgets;
use crate::traffic::Kind;
use crate::{Code, Entry, Millis, OpId, Position, Rng, RoomId, RoomState, Tier, limits, v1};
use fetch::{Fetching, Past};
use followers::Followers;
use outbox::Outbox;
use recent::Recent;
use sequence::InFlight;
use spending::Spending;
use subscribers::Subscribers;

/// A submission or a delivery that waits to be decided.
#[derive(Clone, Debug)]
struct Submission {
    from: From,
    actor: Actor,
    op_id: OpId,
    op: Vec<u8>,
    body: Body,
    footing: Footing,
    /// The message that it is about was fetched, or there is none.
    is_fetched: bool,
    /// What is known of it, where its client is no longer remembered.
    past: Past,
}

impl Submission {
    /// One about which nothing was asked yet.
    fn new(from: From, actor: Actor, op_id: OpId, op: Vec<u8>, body: Body, footing: Footing) -> Submission {
        Submission { from, actor, op_id, op, body, footing, is_fetched: false, past: Past::NotAsked }
    }

    /// One of the server's own, which needs no asking who may.
    fn own(from: From, op_id: OpId, body: Body) -> Submission {
        Submission::new(from, Actor::System, op_id, op::encode(body.clone()), body, Footing::Live)
    }
}

/// What an operation was made over.
#[derive(Clone, Debug)]
enum Footing {
    /// What the server sequences, as it happens.
    Live,
    /// This state, without a connection: others may have written the same meanwhile. Of a room hosted alone, also what its
    /// author had seen of others' operations.
    Offline(Position, VersionVector),
    /// A conflict: its author wants it to hold over whatever stands.
    Chosen,
}

#[derive(Clone, Debug)]
enum From {
    Connection(ConnId),
    Room(Reply),
    /// The authority itself.
    Own,
}

#[derive(Debug)]
enum Phase {
    /// Nothing is known of the log yet, or no longer.
    Loading,
    /// State and log agree, as far as is known.
    Ready,
    /// The first batch of an unopened log waits for the epoch.
    Claiming(InFlight),
    /// A batch is on its way to the store.
    Appending(InFlight),
    /// An append failed: what the log holds is to be read first.
    Recovering { retry_at: Option<Millis> },
}

/// What waits until the room is loaded.
#[derive(Debug)]
enum Waiting {
    SetTier(ConnId, Actor, v1::SetTier),
    History(ConnId, Actor, v1::HistoryRequest),
    AskFollows(RoomId, String),
}

/// Milliseconds after which a failed read of the store is repeated.
const RECOVERY_INTERVAL: u64 = 500;
/// What clients are told to wait when the store does not answer.
const STORE_RETRY_AFTER: u64 = 1_000;

/// Decides for one room on one node: validates, sequences, and projects to the tiers. No IO, no clock.
///
/// The host calls inputs, then [`poll_effect`](Authority::poll_effect) until it is empty and does what it says in
/// order, then waits for the next input or [`next_deadline`](Authority::next_deadline). An effect that names an
/// answering input is answered exactly once.
///
/// ```
/// use enfilade_core::authority::*;
/// use enfilade_core::{Millis, RoomId, UserId, op, policy::Actor, v1};
///
/// let config = AuthorityConfig { node: "n1".into(), alias: 1, heartbeat_interval: 25_000 };
/// let mut room = Authority::new(RoomId::new("lobby").unwrap(), config, 7, Millis(0));
/// assert_eq!(room.poll_effect(), Some(Effect::Load));
/// room.handle_loaded(Loaded::default(), Millis(0)).unwrap();
///
/// let ada = Actor::new(UserId::new("ada").unwrap(), "Ada");
/// let create = v1::CreateRoom { name: "Lobby".into(), ..Default::default() };
/// let submit = v1::Submit {
///     room_id: "lobby".into(),
///     op_id: Some(v1::OpId { client: 1, counter: 1 }),
///     op: op::encode(op::Body::CreateRoom(create)),
///     ..Default::default()
/// };
/// room.submit(ConnId(1), &ada, submit, Millis(1));
///
/// // An unopened log is claimed first; whoever claims first names the epoch.
/// let Some(Effect::Claim { epoch }) = room.poll_effect() else { panic!() };
/// room.handle_claimed(epoch, Millis(1));
/// let Some(Effect::Append { expected, batch, .. }) = room.poll_effect() else { panic!() };
/// assert_eq!((expected.epoch, expected.seq, batch.len()), (epoch, 0, 1));
///
/// // Nothing is told to anybody before the store has it.
/// assert_eq!(room.poll_effect(), None);
/// room.handle_appended(Appended::Done, Millis(2));
/// let is_ack = |effect: Effect| match effect {
///     Effect::Send { frame, .. } => matches!(frame.body, Some(v1::server_frame::Body::Ack(_))),
///     _ => false,
/// };
/// assert!(std::iter::from_fn(|| room.poll_effect()).any(is_ack));
/// ```
#[derive(Debug)]
pub struct Authority {
    config: AuthorityConfig,
    /// What the store has acknowledged. Everything that is told comes from here.
    confirmed: RoomState,
    /// `confirmed` and the batch in flight: what the next operation is decided by.
    ahead: RoomState,
    /// What leads from `confirmed` to `ahead`, until it is handed out with the batch.
    changes: Vec<Change>,
    phase: Phase,
    queue: VecDeque<Submission>,
    waiting: Vec<Waiting>,
    fetching: Fetching,
    recent: Recent,
    subscribers: Subscribers,
    spending: Spending,
    signals: signals::Signals,
    occupancy: Occupancy,
    outbox: Outbox,
    followers: Followers,
    /// The end of the log according to hints.
    hinted: Position,
    /// Why nothing can be written while the log is about to be read again.
    trouble: Code,
    /// Whether the store has just said that the log ends where this node is. Only then is anything refused for good: on
    /// a node that lags, a room may not be there yet, or its newest member.
    is_at_end: bool,
    snapshot_seq: u64,
    /// Entries of the last batch: by this a burst is expected to be followed by another.
    last_batch: usize,
    timers: Timers,
    rng: Rng,
    effects: VecDeque<Effect>,
}

#[derive(Debug, Default)]
struct Timers {
    presence: Option<Millis>,
    background: Option<Millis>,
    heartbeat: Option<Millis>,
    lease: Option<Millis>,
    gather: Option<Millis>,
    conflict: Option<Millis>,
}

impl Authority {
    /// An authority that knows nothing yet: its first effect asks for the room.
    pub fn new(room: RoomId, config: AuthorityConfig, seed: u64, now: Millis) -> Authority {
        Authority {
            config,
            confirmed: RoomState::authority(room.clone()),
            ahead: RoomState::authority(room),
            changes: Vec::new(),
            phase: Phase::Loading,
            queue: VecDeque::new(),
            waiting: Vec::new(),
            fetching: Fetching::default(),
            recent: Recent::default(),
            subscribers: Subscribers::default(),
            spending: Spending::new(Budgets::default(), now),
            signals: signals::Signals::default(),
            occupancy: Occupancy::default(),
            outbox: Outbox::default(),
            followers: Followers::default(),
            hinted: Position::default(),
            trouble: Code::StoreUnavailable,
            is_at_end: false,
            snapshot_seq: 0,
            last_batch: 0,
            timers: Timers::default(),
            rng: Rng::new(seed),
            effects: VecDeque::from([Effect::Load]),
        }
    }

    /// The room's state as the store has it.
    pub fn state(&self) -> &RoomState {
        &self.confirmed
    }

    /// The room's state as of after the batch that is on its way to the store; the same as [`state`](Authority::state)
    /// while there is none.
    pub fn ahead(&self) -> &RoomState {
        &self.ahead
    }

    /// Whether nobody is subscribed and nothing is under way, so that the host may let go of the room.
    pub fn is_idle(&self) -> bool {
        self.subscribers.is_empty()
            && self.queue.is_empty()
            && self.waiting.is_empty()
            && self.fetching.is_empty()
            && self.outbox.is_empty()
            && self.followers.is_empty()
            && matches!(self.phase, Phase::Ready)
    }

    /// The next thing to be done.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When [`handle_timeout`](Authority::handle_timeout) wants to be called, and why.
    pub fn next_deadline(&self) -> Option<(Millis, Timer)> {
        let recovery = match self.phase {
            Phase::Recovering { retry_at } => retry_at,
            _ => None,
        };
        [
            (self.timers.presence, Timer::Presence),
            (self.timers.background, Timer::Background),
            (self.timers.heartbeat, Timer::Heartbeat),
            (self.timers.lease, Timer::Lease),
            (self.timers.gather, Timer::Gather),
            (self.timers.conflict, Timer::Conflict),
            (self.signals.deadline(), Timer::Signals),
            (self.outbox.next_retry(), Timer::Delivery),
            (self.followers.deadline(), Timer::Facts),
            (recovery, Timer::Recovery),
        ]
        .into_iter()
        .filter_map(|(at, timer)| at.map(|at| (at, timer)))
        .min_by_key(|(at, _)| *at)
    }

    /// Takes the room from the store.
    ///
    /// # Errors
    /// [`Code::Malformed`] when what is stored can't be read, or its entries don't follow each other. Such a room
    /// stays unloaded: the host reports it, and nothing is overwritten.
    pub fn handle_loaded(&mut self, loaded: Loaded, now: Millis) -> Result<(), Code> {
        let id = self.confirmed.id().clone();
        let mut state = match &loaded.snapshot {
            Some(snapshot) => RoomState::restore(id, decompress(snapshot)?, true)?,
            None => RoomState::authority(id),
        };
        if loaded.snapshot.is_some() && loaded.epoch == 0 {
            return Err(Code::Malformed);
        }
        // The store says that the snapshot is of this log, whichever epoch it was taken in.
        state.go_on_under(loaded.epoch);
        self.snapshot_seq = state.position().seq;
        self.recent = Recent::default();
        self.outbox.forget();
        self.confirmed = state;
        self.forget_fetched();
        for bytes in &loaded.entries {
            // Whether what these entries entail has reached the other rooms is not known; repeating is harmless.
            let entry = Entry::decode(bytes)?;
            self.confirm(&entry, now)?;
            self.recent.push(entry.wire());
        }
        let more = !loaded.entries.is_empty();
        self.realign();
        self.phase = Phase::Ready;
        self.resync_subscribers();
        if more {
            // The store hands out a page at a time; an empty one ends the log.
            self.recover();
        } else {
            self.go_on(now);
        }
        Ok(())
    }

    /// The store did not give the room. Everybody who waits or receives is told to come back, and the store is asked
    /// again after a while. What was put off is remembered meanwhile: nothing that was sent after it may overtake it.
    pub fn handle_not_loaded(&mut self, now: Millis) {
        if !matches!(self.phase, Phase::Loading) {
            return;
        }
        for conn in self.subscribers.conns() {
            self.place(conn, None, now);
            self.dismiss(conn, Code::StoreUnavailable);
        }
        self.refuse_waiting(Code::StoreUnavailable);
        self.refuse_queue(Code::StoreUnavailable);
        self.trouble = Code::StoreUnavailable;
        self.phase = Phase::Recovering { retry_at: Some(now + RECOVERY_INTERVAL) };
    }

    /// Does what has waited, as the store has just said where the log ends.
    fn go_on(&mut self, now: Millis) {
        self.is_at_end = true;
        self.settle_waiting(now);
        self.pump(now);
        self.is_at_end = false;
    }

    /// The log's epoch, by the answer to [`Effect::Claim`]; `None` when the store did not answer.
    pub fn handle_claimed(&mut self, epoch: impl Into<Option<u64>>, now: Millis) {
        match (core::mem::replace(&mut self.phase, Phase::Ready), epoch.into()) {
            (Phase::Claiming(in_flight), Some(epoch)) => {
                self.confirmed.open_epoch(epoch);
                self.ahead.open_epoch(epoch);
                self.append(in_flight);
            }
            (Phase::Claiming(in_flight), None) => self.fail(in_flight, Code::StoreUnavailable, now),
            (other, _) => self.phase = other,
        }
    }

    /// Somebody has appended to the log, which is at `head` now. Only a hint: it may be late, repeated or missing.
    pub fn handle_hint(&mut self, head: Position) {
        self.hinted = head;
        self.catch_up();
    }

    /// Where the log ends, and the entries (or some of them) after the position asked for; `None` when the store did
    /// not answer.
    pub fn handle_entries(&mut self, page: Option<(Position, Vec<Vec<u8>>)>, now: Millis) {
        let Phase::Recovering { .. } = self.phase else { return };
        let Some((head, entries)) = page else {
            self.trouble = Code::StoreUnavailable;
            self.phase = Phase::Recovering { retry_at: Some(now + RECOVERY_INTERVAL) };
            return;
        };
        if head.epoch != self.confirmed.position().epoch {
            return self.reload();
        }
        let more = !entries.is_empty();
        // What lies between was trimmed: the snapshot has it.
        let is_trimmed = !more && head.seq > self.confirmed.position().seq;
        if is_trimmed || self.fold_foreign(&entries, now).is_err() {
            self.reload();
        } else if more {
            self.recover();
        } else {
            self.phase = Phase::Ready;
            self.hinted = self.confirmed.position();
            self.go_on(now);
        }
    }

    /// Presence records of the other nodes: name, record, when it lapses.
    pub fn handle_leases(&mut self, records: Vec<(String, Vec<u8>, Millis)>, now: Millis) {
        let others = records.into_iter().filter(|(node, ..)| *node != self.config.node).collect();
        self.occupancy.renew(others, now);
        self.schedule_presence(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Millis) {
        self.spending.pass(now);
        let is_due = |timer: &mut Option<Millis>| timer.take_if(|at| *at <= now).is_some();
        if is_due(&mut self.timers.presence) {
            self.flush_presence(now);
        }
        if is_due(&mut self.timers.background) {
            self.flush_background(now);
        }
        if is_due(&mut self.timers.heartbeat) {
            self.beat(now);
        }
        if is_due(&mut self.timers.lease) {
            self.renew_lease(now);
        }
        if is_due(&mut self.timers.conflict) {
            self.resolve_overdue(now);
        }
        if is_due(&mut self.timers.gather) {
            self.pump(now);
        }
        if let Phase::Recovering { retry_at } = &mut self.phase
            && is_due(retry_at)
        {
            self.recover();
        }
        self.flush_signals(now);
        self.retry_deliveries(now);
        self.lose_patience(now);
    }

    /// Asks the store for what comes after the confirmed position, and goes on when it has answered.
    fn recover(&mut self) {
        self.phase = Phase::Recovering { retry_at: None };
        self.effects.push_back(Effect::Read { after: self.confirmed.position() });
    }

    fn reload(&mut self) {
        self.phase = Phase::Loading;
        self.effects.push_back(Effect::Load);
    }

    /// Reads on when a hint says that there is more than is known.
    fn catch_up(&mut self) {
        let known = self.confirmed.position();
        if !matches!(self.phase, Phase::Ready) || self.hinted == Position::default() {
            return;
        }
        if self.hinted.epoch != known.epoch {
            self.hinted = Position::default();
            self.reload();
        } else if self.hinted.seq > known.seq {
            self.recover();
        }
    }

    /// Folds entries that the store has and this node did not write, and tells the subscribers.
    fn fold_foreign(&mut self, entries: &[Vec<u8>], now: Millis) -> Result<(), Code> {
        let mut folded = Vec::new();
        for bytes in entries {
            let entry = Entry::decode(bytes)?;
            if entry.seq > self.confirmed.position().seq {
                self.confirm(&entry, now)?;
                // What is ahead was realigned, or never was ahead.
                self.ahead.apply(&entry)?;
                folded.push(entry);
            }
        }
        if !folded.is_empty() {
            self.tell(&folded, now);
        }
        Ok(())
    }

    /// What was decided ahead of the store is given up.
    pub(super) fn realign(&mut self) {
        self.ahead = self.confirmed.fork();
    }

    /// Folds an entry that the store has, and follows it up by the state as it is then.
    pub(super) fn confirm(&mut self, entry: &Entry, now: Millis) -> Result<(), Code> {
        self.confirmed.apply(entry)?;
        self.note_late(entry);
        self.subscribers.let_go(entry.op_id);
        self.follow_up(entry, now);
        self.put_out(entry, now);
        Ok(())
    }

    fn put_snapshot_when_due(&mut self) {
        let position = self.confirmed.position();
        // A snapshot says that all before it has been followed up: entries are repeated from there after a crash.
        if position.seq >= self.snapshot_seq + limits::SNAPSHOT_EVERY && self.outbox.is_empty() {
            self.snapshot_seq = position.seq;
            let snapshot = compress(&self.confirmed.snapshot(SnapshotFor::Store));
            self.effects.push_back(Effect::PutSnapshot { position, snapshot });
        }
    }

    fn send(&mut self, conn: ConnId, lane: Lane, body: v1::server_frame::Body) {
        let frame = Box::new(v1::ServerFrame { body: Some(body) });
        if let Some(body) = &frame.body {
            self.spending.traffic.count(Kind::of(body), 1, frame.encoded_len() as u64);
        }
        self.effects.push_back(Effect::Send { conn, lane, frame });
    }

    fn broadcast(&mut self, tier: Tier, lane: Lane, body: v1::server_frame::Body) {
        if self.subscribers.has(tier) {
            let frame = Box::new(v1::ServerFrame { body: Some(body) });
            if self.spend(tier, lane, &frame) {
                self.effects.push_back(Effect::Broadcast { tier, lane, frame });
            }
        }
    }
}

#[cfg(test)]
mod tests;
