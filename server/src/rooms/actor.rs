//! One live room: its authority, and the task that does what the authority wants.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use enfilade_core::authority::{
    Appended, Authority, AuthorityConfig, ConnId, Effect, HistoryReader, Loaded, RoomRequest, Stretch,
};
use enfilade_core::policy::{self, Actor};
use enfilade_core::state::SnapshotFor;
use enfilade_core::v1::server_frame::Body as Frame;
use enfilade_core::{Code, Millis, OpId, Position, RoomId, Tier, limits, v1};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::calls::Calls;
use super::directory::row;
use super::encode::{channel, encode_frame, encode_shared, lane, socket};
use super::shown::{self, Shown};
use super::supervise::Clients;
use super::{CALLERS, IDLE, Refused, RoomCost, RoomMessage, Rooms};
use crate::archive;
use crate::auth::now;
use crate::net::{self, Frames};
use crate::readable::live::Connections;
use crate::store::{self, Append, StoreError};
use crate::telemetry;

/// Messages that are taken at a time, so that what they entail is batched.
const MESSAGES_AT_ONCE: usize = 256;

/// What the store has answered.
pub(super) enum Answer {
    Loaded(Result<Option<store::Loaded>, StoreError>, Option<Position>),
    Claimed(Result<u64, StoreError>),
    Appended(Result<store::Appended, StoreError>, Box<v1::RoomSummary>),
    Entries(Result<store::Page, StoreError>),
    History(HistoryReader, Result<Stretch, StoreError>),
    Found(OpId, Result<Option<u64>, StoreError>),
    Leases(Result<Vec<store::Lease>, StoreError>),
    Nothing,
}

/// How somebody within the server is given a room's state.
type SnapshotSender = oneshot::Sender<Result<v1::RoomSnapshot, Code>>;

/// One room's task.
pub(super) struct RoomTask {
    /// Who is told if the task fails.
    pub(super) clients: Clients,
    pub(super) rooms: Rooms,
    pub(super) room: RoomId,
    alias: u32,
    pub(super) authority: Authority,
    pub(super) work: FuturesUnordered<BoxFuture<'static, Answer>>,
    /// Callers within the server who wait for a submission.
    calls: HashMap<ConnId, Calls>,
    /// Callers within the server who wait for a page.
    pages: HashMap<ConnId, oneshot::Sender<Result<v1::HistoryPage, Code>>>,
    /// Callers within the server who wait until the room is loaded.
    readers: Vec<(Arc<Actor>, SnapshotSender)>,
    /// Requests of the inbox's user that wait until it is loaded.
    lists: Vec<(ConnId, v1::RoomListRequest)>,
    is_loaded: bool,
    shown: Shown,
    /// Nodes that had a lease when the store was last asked.
    nodes: BTreeSet<String>,
    /// The store can't give the room: why.
    broken: Option<Code>,
}

impl RoomTask {
    pub(super) fn new(rooms: Rooms, room: RoomId, alias: u32) -> RoomTask {
        let config = AuthorityConfig {
            node: rooms.shared.node.clone(),
            alias,
            heartbeat_interval: rooms.shared.heartbeat_interval,
        };
        let mut authority = Authority::new(room.clone(), config, random_seed(), now());
        authority.set_budgets(rooms.shared.budgets, now());
        RoomTask {
            clients: Clients::default(),
            rooms,
            room,
            alias,
            authority,
            work: FuturesUnordered::new(),
            calls: HashMap::new(),
            pages: HashMap::new(),
            readers: Vec::new(),
            lists: Vec::new(),
            is_loaded: false,
            shown: Shown::default(),
            nodes: BTreeSet::new(),
            broken: None,
        }
    }

    /// Runs until the room is idle, or the store can't give it.
    pub(super) async fn run(&mut self, messages: &mut mpsc::Receiver<RoomMessage>) {
        let mut batch = Vec::with_capacity(MESSAGES_AT_ONCE);
        let mut stopping = self.rooms.shared.stopping.subscribe();
        let mut idle_since = Instant::now();
        loop {
            self.do_effects();
            if self.broken.is_some() {
                return self.end_broken(messages);
            }
            let is_stopping = *stopping.borrow_and_update();
            let is_idle = self.is_idle();
            if !is_idle {
                idle_since = Instant::now();
            }
            let may_end = is_idle && (is_stopping || idle_since.elapsed() >= IDLE);
            if (may_end || (is_stopping && self.is_settled()))
                && self.rooms.forget_when_empty(&self.room, self.alias, messages)
            {
                return;
            }
            let deadline = self.authority.next_deadline().map(|(at, _)| until(at));
            let idle_end = is_idle.then(|| idle_since + IDLE);
            let wake = [deadline, idle_end].into_iter().flatten().min();
            tokio::select! {
                Some(answer) = self.work.next(), if !self.work.is_empty() => self.handle_answer(answer),
                count = messages.recv_many(&mut batch, MESSAGES_AT_ONCE) => {
                    if count == 0 {
                        return;
                    }
                    // All of them, because a failure loses those that were not handled too.
                    batch.iter().for_each(|message| self.clients.note(message));
                    batch.drain(..).for_each(|message| self.handle_message(message));
                }
                () = sleep_until(wake), if wake.is_some() => self.authority.handle_timeout(now()),
                _ = stopping.changed() => {}
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.authority.is_idle() && self.is_settled()
    }

    /// Whether nobody within the server, nor the store, is waited for.
    fn is_settled(&self) -> bool {
        self.work.is_empty() && self.calls.is_empty() && self.pages.is_empty() && self.readers.is_empty()
    }

    /// Everybody who waits is told; the next request begins anew.
    fn end_broken(&mut self, messages: &mut mpsc::Receiver<RoomMessage>) {
        let code = self.broken.unwrap_or(Code::Internal);
        self.rooms.forget(&self.room, self.alias);
        messages.close();
        while let Ok(message) = messages.try_recv() {
            self.handle_message(message);
        }
        self.authority.give_up(code);
        self.do_effects();
        for (_, answer) in self.readers.drain(..) {
            let _ = answer.send(Err(code));
        }
    }

    fn handle_message(&mut self, message: RoomMessage) {
        let now = now();
        match message {
            RoomMessage::Request { conn, actor, request } => match request {
                RoomRequest::SetTier(want) => {
                    if want.reason == Code::DigestMismatch.number() {
                        metrics::counter!("enfilade_digest_mismatches_total").increment(1);
                        tracing::warn!(room = %self.room, user = actor.user(), "a client holds another state than we do");
                    }
                    self.authority.set_tier(conn, &actor, want, now);
                }
                RoomRequest::Submit(submit) => self.authority.submit(conn, &actor, submit, now),
                RoomRequest::History(request) => self.authority.history(conn, &actor, request),
                RoomRequest::Signal(client, signal) => {
                    if let Some(connections) = self.rooms.connections() {
                        shown::typing(connections, &self.authority, &actor, &signal, now);
                    }
                    self.authority.signal(conn, &actor, client, signal, now)
                }
                RoomRequest::Leave => self.authority.unsubscribe(conn, now),
            },
            RoomMessage::Call { actor, submit, answer } => {
                let conn = self.rooms.next_caller();
                self.calls.insert(conn, Calls::one(&submit, answer));
                self.authority.submit(conn, &actor, submit, now);
            }
            RoomMessage::CallAll { calls, answer } => {
                let conn = self.rooms.next_caller();
                self.calls.insert(conn, Calls::all(calls.iter().map(|(_, submit)| submit), answer));
                for (actor, submit) in calls {
                    self.authority.submit(conn, &actor, submit, now);
                }
            }
            RoomMessage::Read { actor, answer } => {
                self.readers.push((actor, answer));
                self.answer_readers();
            }
            RoomMessage::History { actor, request, answer } => {
                let conn = self.rooms.next_caller();
                self.pages.insert(conn, answer);
                self.authority.history(conn, &actor, request);
            }
            RoomMessage::Cost { answer } => {
                let standings =
                    [Tier::Active, Tier::Background].map(|tier| (tier, self.authority.budget(tier)));
                let _ = answer.send(RoomCost { traffic: *self.authority.traffic(), standings });
            }
            RoomMessage::List { conn, request } => {
                self.lists.push((conn, request));
                self.answer_lists();
            }
            RoomMessage::Deliver { reply, body } => self.authority.deliver(reply, body, now),
            RoomMessage::Delivered { delivery, settled } => {
                self.authority.handle_delivered(delivery, settled)
            }
            RoomMessage::AskFollows { room, user } => self.authority.ask_follows(room, user),
            RoomMessage::Follows { follower, user, follows } => {
                self.authority.handle_follows(&follower, user, follows, now);
            }
            RoomMessage::Hint { head } => self.authority.handle_hint(head),
            #[cfg(test)]
            RoomMessage::Fail => panic!("as the test wants it"),
        }
    }

    fn do_effects(&mut self) {
        while let Some(effect) = self.authority.poll_effect() {
            self.do_effect(effect);
        }
    }

    fn do_effect(&mut self, effect: Effect) {
        let fanout = &self.rooms.shared.fanout;
        match effect {
            Effect::Send { conn, lane: _, frame } if conn.0 >= CALLERS => self.answer_caller(conn, *frame),
            Effect::Send { conn, lane: l, frame } => {
                self.clients.answered(conn, frame.body.as_ref());
                telemetry::count_refusal(&frame);
                let conn = socket(conn);
                fanout.send(conn, lane(l), encode_frame(conn.codec(), &frame));
            }
            Effect::Broadcast { tier, lane: l, frame } => {
                let channel = channel(self.alias, tier);
                let frames: Frames = encode_shared(fanout.interest(channel), &self.room, *frame);
                fanout.publish(channel, lane(l), 0, frames);
            }
            Effect::Subscribe { conn, tier } => {
                if let Some(connections) =
                    self.rooms.connections().filter(|_| self.room.inbox_owner().is_none())
                {
                    match tier {
                        Some(Tier::Active) => connections.entered(conn.0, &self.room),
                        _ => connections.left(conn.0, &self.room),
                    }
                }
                for each in [Tier::Active, Tier::Background] {
                    if tier != Some(each) {
                        fanout.unsubscribe(socket(conn), channel(self.alias, each));
                    }
                }
                if let Some(tier) = tier {
                    fanout.subscribe(socket(conn), channel(self.alias, tier));
                }
            }
            Effect::Deliver { to, reply, body } => {
                // Where the other room is overloaded, the delivery is repeated.
                let _ = self.rooms.tell(&to, RoomMessage::Deliver { reply, body });
            }
            Effect::Delivered { reply, settled } => {
                let delivered = RoomMessage::Delivered { delivery: reply.delivery, settled };
                let _ = self.rooms.tell(&reply.room, delivered);
            }
            Effect::AskFollows { inbox, user } => {
                // What is lost is asked again, by the submission that is sent again.
                let _ = self.rooms.tell(&inbox, RoomMessage::AskFollows { room: self.room.clone(), user });
            }
            Effect::Follows { room, follower, user, follows } => {
                let _ = self.rooms.tell(&room, RoomMessage::Follows { follower, user, follows });
            }
            Effect::Occupied { count, users } => self.rooms.directory().occupy(&self.room, count, users),
            effect => self.ask_store(effect),
        }
    }

    fn ask_store(&mut self, effect: Effect) {
        let (store, room) = (self.rooms.shared.store.clone(), self.room.clone());
        let node = self.rooms.shared.node.clone();
        let past = self.rooms.shared.past.get().cloned();
        let answer: BoxFuture<'static, Answer> = match effect {
            Effect::Load => Box::pin(async move {
                let keys = async {
                    match store.keys() {
                        Some(keys) => shown::position(keys, &room).await.ok().flatten(),
                        None => None,
                    }
                };
                let (loaded, shown) = tokio::join!(archive::load(&*store, past.as_deref(), &room), keys);
                Answer::Loaded(loaded, shown)
            }),
            Effect::Claim { epoch } => {
                Box::pin(async move { Answer::Claimed(store.claim(&room, epoch).await) })
            }
            Effect::Append { .. } if self.rooms.shared.gate.get().is_some_and(|gate| gate.is_full()) => {
                return self.authority.handle_appended(Appended::Refused(Code::OutboxFull), now());
            }
            Effect::Append { expected, batch, summary, amended, changes } => {
                let keys = match store.keys() {
                    Some(keys) => self.shown.append(keys.shows(), &self.authority, &changes, &batch, now()),
                    None => Vec::new(),
                };
                Box::pin(async move {
                    let amended = amended.into_iter().map(|(seq, message)| (seq, message.into())).collect();
                    let batch = batch.into_iter().map(Bytes::from).collect();
                    let row = row(&room, &summary);
                    if let Some(past) = past
                        && let Err(full) = past.admits(&*store, &room, expected).await
                    {
                        return Answer::Appended(Err(full), summary);
                    }
                    let append = Append { amended, keys, ..Append::new(expected, batch, row) };
                    Answer::Appended(store.append(&room, append).await, summary)
                })
            }
            Effect::Read { after } => Box::pin(async move {
                let (limit, bytes) = (store::Limits::PAGE_ENTRIES, store::Limits::PAGE_BYTES);
                Answer::Entries(store.read(&room, after.next(), limit, bytes).await)
            }),
            Effect::ReadHistory { reader, from_seq } => {
                let from = Position { seq: from_seq, ..self.authority.state().position() };
                Box::pin(async move {
                    let stretch =
                        archive::stretch(&*store, past.as_deref(), &room, from, reader.before_seq).await;
                    if let Err(error) = &stretch {
                        tracing::error!(%room, %error, "history was not read");
                    }
                    Answer::History(reader, stretch)
                })
            }
            Effect::Find { user, op_id } => {
                let head = self.authority.state().position();
                Box::pin(async move {
                    let found = archive::find(&*store, past.as_deref(), &room, head, &user, op_id).await;
                    Answer::Found(op_id, found)
                })
            }
            Effect::PutSnapshot { position, snapshot } => Box::pin(async move {
                if let Err(error) = store.put_snapshot(&room, position, snapshot.into()).await {
                    tracing::warn!(%room, %error, "a snapshot was not stored; the next one will be");
                }
                Answer::Nothing
            }),
            Effect::PublishLease { record } => Box::pin(async move {
                let lease = Duration::from_millis(limits::LEASE);
                drop(store.put_lease(&room, &node, record.into(), lease).await);
                Answer::Nothing
            }),
            Effect::ReadLeases => Box::pin(async move { Answer::Leases(store.leases(&room).await) }),
            // Done before.
            _ => return,
        };
        self.work.push(answer);
    }

    fn handle_answer(&mut self, answer: Answer) {
        let now = now();
        match answer {
            Answer::Loaded(Ok(None), _) if self.authority.state().position().seq > 0 => self.put_back(),
            Answer::Loaded(Ok(loaded), shown) => {
                self.shown.loaded(loaded.as_ref().map(|loaded| loaded.head).unwrap_or_default(), shown);
                let loaded = loaded.map(|loaded| Loaded {
                    epoch: loaded.head.epoch,
                    snapshot: loaded.snapshot.map(|(_, bytes)| bytes.into()),
                    entries: loaded.entries.into_iter().map(Vec::from).collect(),
                });
                match self.authority.handle_loaded(loaded.unwrap_or_default(), now) {
                    Ok(()) => self.handle_state(),
                    Err(code) => {
                        tracing::error!(room = %self.room, %code, "what is stored of a room can't be read");
                        self.broken = Some(Code::Internal);
                    }
                }
            }
            Answer::Loaded(Err(error), _) => {
                tracing::error!(room = %self.room, %error, "a room was not loaded");
                self.authority.handle_not_loaded(now);
                for (_, answer) in self.readers.drain(..) {
                    let _ = answer.send(Err(Code::StoreUnavailable));
                }
            }
            Answer::Claimed(epoch) => self.authority.handle_claimed(epoch.ok(), now),
            Answer::Appended(Ok(store::Appended::Done { .. }), summary) => {
                self.shown.appended();
                if self.room.inbox_owner().is_none() {
                    self.rooms.directory().update(*summary);
                }
                self.authority.handle_appended(Appended::Done, now);
            }
            Answer::Appended(Ok(store::Appended::Conflict { head, missing }), _) => {
                let missing = missing.into_iter().map(Vec::from).collect();
                self.authority.handle_appended(Appended::Conflict { head, missing }, now);
            }
            Answer::Appended(Err(error), _) => {
                tracing::error!(room = %self.room, %error, "entries were not stored; their authors try again");
                self.authority.handle_appended(Appended::Failed, now);
            }
            Answer::Entries(page) => {
                let page = page.ok().map(|page| {
                    let entries = page.entries.into_iter().map(|(_, bytes)| Vec::from(bytes)).collect();
                    (page.head, entries)
                });
                self.authority.handle_entries(page, now);
                self.handle_state();
            }
            Answer::History(reader, stretch) => self.authority.handle_history(reader, stretch.ok(), now),
            Answer::Found(op_id, found) => self.authority.handle_found(op_id, found.ok(), now),
            Answer::Leases(Ok(leases)) => {
                self.prune(leases.iter().map(|lease| lease.node.clone()).collect());
                let record = |lease: store::Lease| {
                    (lease.node, lease.note.into(), now + lease.remaining.as_millis() as u64)
                };
                self.authority.handle_leases(leases.into_iter().map(record).collect(), now);
            }
            Answer::Leases(Err(_)) | Answer::Nothing => {}
        }
    }

    /// Nodes that were in the room and are no longer among these have left connections in its keys.
    fn prune(&mut self, mut nodes: BTreeSet<String>) {
        if self.rooms.connections().is_none() {
            return;
        }
        nodes.insert(self.rooms.shared.node.clone());
        let has_lost = !self.nodes.is_subset(&nodes);
        self.nodes.clone_from(&nodes);
        if has_lost {
            let (store, room) = (self.rooms.shared.store.clone(), self.room.clone());
            self.work.push(Box::pin(async move {
                if let Some(keys) = store.keys() {
                    Connections::prune(keys, &room, &nodes).await;
                }
                Answer::Nothing
            }));
        }
    }

    /// The state has become known: those who wait for it are answered.
    fn handle_state(&mut self) {
        self.is_loaded = true;
        self.answer_readers();
        self.answer_lists();
    }

    fn answer_readers(&mut self) {
        if !self.is_loaded {
            return;
        }
        let state = self.authority.state();
        for (actor, answer) in self.readers.drain(..) {
            let snapshot = match state.exists() {
                false => Err(Code::UnknownRoom),
                true if !policy::may_read(&actor, state) => Err(Code::Forbidden),
                true => Ok(state.snapshot(SnapshotFor::Client { messages: limits::JOIN_MESSAGES })),
            };
            let _ = answer.send(snapshot);
        }
    }

    fn answer_lists(&mut self) {
        if !self.is_loaded {
            return;
        }
        for (conn, request) in std::mem::take(&mut self.lists) {
            let list = self.rooms.directory().page(self.authority.state().inbox(), &request);
            let list = Frame::RoomList(list);
            self.clients.answered(conn, Some(&list));
            self.rooms.send(conn, net::Lane::Control, list);
        }
    }

    /// An operation of a caller is decided. Whether it was the caller's last.
    fn decide(&mut self, conn: ConnId, op_id: Option<v1::OpId>, outcome: Result<Position, Refused>) -> bool {
        let is_last = self.calls.get_mut(&conn).is_none_or(|calls| calls.decide(op_id, outcome));
        if is_last && let Some(calls) = self.calls.remove(&conn) {
            calls.answer();
        }
        is_last
    }

    /// What would go to a socket goes to somebody within the server.
    fn answer_caller(&mut self, conn: ConnId, frame: v1::ServerFrame) {
        match frame.body {
            Some(Frame::Ack(ack)) => {
                let position = ack.position.map(Position::from).unwrap_or_default();
                if !self.decide(conn, ack.op_id, Ok(position)) {
                    return;
                }
            }
            Some(Frame::Rejection(rejection)) => {
                let code = Code::from_number(rejection.code).unwrap_or(Code::Internal);
                let refused = Refused { code, retry_after: rejection.retry_after };
                if !self.decide(conn, rejection.op_id, Err(refused)) {
                    return;
                }
            }
            Some(Frame::HistoryPage(page)) => {
                if let Some(answer) = self.pages.remove(&conn) {
                    let _ = answer.send(Ok(page));
                }
            }
            Some(Frame::Error(error)) => {
                if let Some(answer) = self.pages.remove(&conn) {
                    let _ = answer.send(Err(Code::from_number(error.code).unwrap_or(Code::Internal)));
                }
            }
            _ => {}
        }
        // A refusal of a caller holds back nothing: the caller is gone.
        self.authority.unsubscribe(conn, now());
    }
}

impl Drop for RoomTask {
    fn drop(&mut self) {
        metrics::counter!("enfilade_rooms_ended_total").increment(1);
    }
}

fn until(at: Millis) -> Instant {
    Instant::now() + Duration::from_millis(at.since(now()))
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}

fn random_seed() -> u64 {
    let mut bytes = [0; 8];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u64::from_le_bytes(bytes),
        // Epochs must differ between processes and rooms; the clock does for that.
        Err(_) => now().0.rotate_left(20) ^ SEED_SALT.fetch_add(1, Ordering::Relaxed),
    }
}

static SEED_SALT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
