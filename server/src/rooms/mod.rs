//! Live rooms: one supervised task a room, started when somebody asks for it and ended when nobody does any more.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use enfilade_core::authority::{ConnId, Reply, RoomRequest, Standing};
use enfilade_core::op::Body;
use enfilade_core::policy::Actor;
use enfilade_core::tier::budget::Budgets;
use enfilade_core::traffic::Traffic;
use enfilade_core::v1::server_frame::Body as Frame;
use enfilade_core::{Code, Position, RoomId, Tier, v1};
use tokio::sync::{mpsc, oneshot, watch};

use crate::archive::History;
use crate::events::Gate;
use crate::net::{self, Fanout};
use crate::readable::live::Connections;
use crate::store::SharedStore;

mod actor;
#[cfg(test)]
pub(crate) mod atomic;
mod calls;
mod directory;
mod encode;
mod put_back;
mod shown;
mod supervise;
#[cfg(test)]
pub(crate) mod tests;

pub use directory::Directory;
pub(crate) use directory::row;
pub use encode::{channel, encode_frame};

/// Messages that wait for a room's task. A room that falls so far behind tells its senders that it is overloaded.
const MAILBOX: usize = 8_192;
/// How long a room stays when nobody asks for it any more: people come back within a minute more often than not.
const IDLE: Duration = Duration::from_secs(60);

/// What a room's task is told.
pub(crate) enum RoomMessage {
    /// A connection asks for something.
    Request { conn: ConnId, actor: Arc<Actor>, request: RoomRequest },
    /// The server itself asks, on somebody's behalf, and waits for the answer.
    Call { actor: Arc<Actor>, submit: v1::Submit, answer: oneshot::Sender<Result<Position, Refused>> },
    /// The same for several operations in their order: what follows one that is put off is put off too.
    CallAll { calls: Vec<(Arc<Actor>, v1::Submit)>, answer: oneshot::Sender<Vec<Result<Position, Refused>>> },
    /// Somebody wants to see the room; `None` where they may not, or there is none.
    Read { actor: Arc<Actor>, answer: oneshot::Sender<Result<v1::RoomSnapshot, Code>> },
    /// A page of history for somebody without a connection.
    History {
        actor: Arc<Actor>,
        request: v1::HistoryRequest,
        answer: oneshot::Sender<Result<v1::HistoryPage, Code>>,
    },
    /// Somebody who may see the room asks what it costs.
    Cost { answer: oneshot::Sender<RoomCost> },
    /// The inbox's user asks for the rooms that they may see.
    List { conn: ConnId, request: v1::RoomListRequest },
    /// Another room's entry entails something here.
    Deliver { reply: Reply, body: Body },
    /// The other room has answered.
    Delivered { delivery: u64, settled: bool },
    /// Another room asks whether this inbox's user follows somebody.
    AskFollows { room: RoomId, user: String },
    /// The inbox has answered.
    Follows { follower: String, user: String, follows: bool },
    /// The log has probably grown.
    Hint { head: Position },
    /// The task panics.
    #[cfg(test)]
    Fail,
}

/// Why the server refused an operation.
#[derive(Clone, Copy, Debug)]
pub struct Refused {
    /// The reason.
    pub code: Code,
    /// Milliseconds to wait; 0 where waiting does not help.
    pub retry_after: u64,
}

/// What a room has cost the connections of this node.
#[derive(Clone, Copy, Debug)]
pub struct RoomCost {
    /// What was sent, by kind.
    pub traffic: Traffic,
    /// How it stands against the budgets of Active and Background.
    pub standings: [(Tier, Standing); 2],
}

/// All live rooms of this node. Cheap to clone.
#[derive(Clone)]
pub struct Rooms {
    shared: Arc<Shared>,
}

struct Shared {
    store: SharedStore,
    /// What the store no longer has.
    past: OnceLock<Arc<History>>,
    fanout: Fanout,
    directory: Directory,
    /// Where somebody may look into the store: who is connected here.
    connections: Option<Arc<Connections>>,
    node: String,
    heartbeat_interval: u64,
    budgets: Budgets,
    live: Mutex<HashMap<RoomId, Live>>,
    next_alias: AtomicU32,
    next_caller: AtomicU64,
    /// Where entries go out to others: whether there is room for more.
    gate: OnceLock<Arc<Gate>>,
    stopping: watch::Sender<bool>,
    /// Where the rooms' tasks run: shards are no threads of the runtime.
    runtime: tokio::runtime::Handle,
}

struct Live {
    mailbox: mpsc::Sender<RoomMessage>,
    /// Tells this task from a later one of the same room.
    alias: u32,
}

/// Connections of the server itself: above every number that a socket can have.
const CALLERS: u64 = 0xff << 56;

impl Rooms {
    /// No room is live yet. Must be called within the runtime in which the rooms will live.
    pub fn new(
        store: SharedStore,
        fanout: Fanout,
        directory: Directory,
        node: String,
        heartbeat_interval: u64,
        budgets: Budgets,
    ) -> Rooms {
        let runtime = tokio::runtime::Handle::current();
        let connections = store.keys().map(|keys| Connections::new(node.clone(), keys.shows().session));
        if let Some(connections) = &connections {
            runtime.spawn(Connections::run(Arc::downgrade(connections), store.clone()));
        }
        let shared = Shared {
            store,
            past: OnceLock::new(),
            fanout,
            directory,
            connections,
            node,
            heartbeat_interval,
            budgets,
            live: Mutex::default(),
            next_alias: AtomicU32::new(1),
            next_caller: AtomicU64::new(CALLERS),
            gate: OnceLock::new(),
            stopping: watch::Sender::new(false),
            runtime,
        };
        Rooms { shared: Arc::new(shared) }
    }

    /// Gives the rooms a past beyond what the store has. To be called before the first of them is live.
    pub fn remember(&self, past: Arc<History>) {
        let _ = self.shared.past.set(past);
    }

    /// From now on nothing is written while this gate is full.
    pub fn hold_back_by(&self, gate: Arc<Gate>) {
        // A second gate is a mistake of the caller; the first one stays.
        let _ = self.shared.gate.set(gate);
    }

    /// This node's name.
    pub fn node(&self) -> &str {
        &self.shared.node
    }

    /// What a room list shows.
    pub fn directory(&self) -> &Directory {
        &self.shared.directory
    }

    /// Who is connected to this node, where that is shown in keys.
    pub(crate) fn connections(&self) -> Option<&Arc<Connections>> {
        self.shared.connections.as_ref()
    }

    /// Rooms that have a task now.
    pub fn live(&self) -> usize {
        self.table().len()
    }

    /// Hands a connection's request to the room's task.
    ///
    /// # Errors
    /// [`Code::Overloaded`] when too much waits for it.
    pub fn request(
        &self,
        room: &RoomId,
        conn: ConnId,
        actor: Arc<Actor>,
        request: RoomRequest,
    ) -> Result<(), Code> {
        // A room that has no task has no subscribers either.
        if request == RoomRequest::Leave && !self.table().contains_key(room) {
            return Ok(());
        }
        self.tell(room, RoomMessage::Request { conn, actor, request })
    }

    /// A page of the rooms that this user may see, sent to the connection.
    ///
    /// # Errors
    /// [`Code::Overloaded`] when too much waits for the user's inbox.
    pub fn list(&self, inbox: &RoomId, conn: ConnId, request: v1::RoomListRequest) -> Result<(), Code> {
        self.tell(inbox, RoomMessage::List { conn, request })
    }

    /// Submits an operation on somebody's behalf, and waits until it is durable.
    ///
    /// # Errors
    /// The authority's refusal, with the time to wait where there is one.
    pub async fn submit(
        &self,
        room: &RoomId,
        actor: Arc<Actor>,
        submit: v1::Submit,
    ) -> Result<Position, Refused> {
        let (answer, answered) = oneshot::channel();
        let told = self.tell(room, RoomMessage::Call { actor, submit, answer });
        let refused = |code| Refused { code, retry_after: 0 };
        told.map_err(refused)?;
        answered.await.map_err(|_| refused(Code::Internal))?
    }

    /// Submits operations on people's behalf in this order, and waits until each is durable or refused. Their op ids
    /// are all different, and counters ascend. While one is put off, so are those after it.
    pub async fn submit_all(
        &self,
        room: &RoomId,
        calls: Vec<(Arc<Actor>, v1::Submit)>,
    ) -> Vec<Result<Position, Refused>> {
        let count = calls.len();
        let refused = |code| vec![Err(Refused { code, retry_after: 0 }); count];
        if count == 0 {
            return Vec::new();
        }
        let (answer, answered) = oneshot::channel();
        if let Err(code) = self.tell(room, RoomMessage::CallAll { calls, answer }) {
            return refused(code);
        }
        answered.await.unwrap_or_else(|_| refused(Code::Internal))
    }

    /// The room's state, for somebody who may read it.
    ///
    /// # Errors
    /// [`Code::UnknownRoom`], [`Code::Forbidden`], or that the store does not answer.
    pub async fn read(&self, room: &RoomId, actor: Arc<Actor>) -> Result<v1::RoomSnapshot, Code> {
        let (answer, answered) = oneshot::channel();
        self.tell(room, RoomMessage::Read { actor, answer })?;
        answered.await.map_err(|_| Code::Internal)?
    }

    /// What the room has cost the connections of this node.
    ///
    /// # Errors
    /// [`Code::Overloaded`] when too much waits for the room.
    pub async fn cost(&self, room: &RoomId) -> Result<RoomCost, Code> {
        let (answer, answered) = oneshot::channel();
        self.tell(room, RoomMessage::Cost { answer })?;
        answered.await.map_err(|_| Code::Internal)
    }

    /// A page of the room's history, for somebody who may read it.
    ///
    /// # Errors
    /// As [`Rooms::read`].
    pub async fn history(
        &self,
        room: &RoomId,
        actor: Arc<Actor>,
        request: v1::HistoryRequest,
    ) -> Result<v1::HistoryPage, Code> {
        let (answer, answered) = oneshot::channel();
        self.tell(room, RoomMessage::History { actor, request, answer })?;
        answered.await.map_err(|_| Code::Internal)?
    }

    /// Follows the store's hints until the rooms stop: a live room reads on, the row of another is read anew.
    pub async fn follow_hints(self) {
        let mut hints = self.shared.store.watch();
        let mut stopping = self.shared.stopping.subscribe();
        loop {
            let hint = tokio::select! {
                _ = stopping.wait_for(|stopping| *stopping) => return,
                hint = hints.recv() => hint,
            };
            match hint {
                Ok(hint) => self.follow_hint(hint).await,
                // Hints are only hints; heartbeats show what was missed.
                Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
            }
        }
    }

    /// Ends every room's task once what it has under way is done, and waits for that.
    pub async fn stop(&self, within: Duration) {
        self.shared.stopping.send_replace(true);
        let ended = async {
            while self.live() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(within, ended).await.is_err() {
            tracing::warn!(rooms = self.live(), "rooms had work under way when the time to stop was over");
        }
        if let (Some(connections), Some(keys)) = (self.connections(), self.shared.store.keys()) {
            connections.stop(keys).await;
        }
    }

    async fn follow_hint(&self, hint: crate::store::Hint) {
        let live = self.table().get(&hint.room).map(|live| live.mailbox.clone());
        match live {
            // A full mailbox is no loss: the room is busy, and reads on with its next append.
            Some(mailbox) => drop(mailbox.try_send(RoomMessage::Hint { head: hint.head })),
            None if self.directory().is_behind(&hint.room, hint.head) => {
                if let Ok(rows) = self.shared.store.summaries_of(std::slice::from_ref(&hint.room)).await {
                    rows.into_iter().flatten().for_each(|row| self.directory().load(&row));
                }
            }
            None => {}
        }
    }

    /// Puts a message into the room's mailbox, and starts its task if it has none.
    pub(crate) fn tell(&self, room: &RoomId, message: RoomMessage) -> Result<(), Code> {
        let mut table = self.table();
        let live = match table.get(room) {
            Some(live) => live,
            None if *self.shared.stopping.borrow() => return Err(Code::Draining),
            None => {
                let live = self.start(room.clone());
                table.entry(room.clone()).or_insert(live)
            }
        };
        live.mailbox.try_send(message).map_err(|_| Code::Overloaded)
    }

    /// Sends a frame to one connection.
    fn send(&self, conn: ConnId, lane: net::Lane, body: Frame) {
        let conn = encode::socket(conn);
        let frame = v1::ServerFrame { body: Some(body) };
        self.shared.fanout.send(conn, lane, encode_frame(conn.codec(), &frame));
    }

    /// Takes the task out of the table.
    fn forget(&self, room: &RoomId, alias: u32) {
        let mut table = self.table();
        if table.get(room).is_some_and(|live| live.alias == alias) {
            table.remove(room);
        }
    }

    /// Takes the task out of the table unless a message has come in the meantime.
    fn forget_when_empty(&self, room: &RoomId, alias: u32, messages: &mpsc::Receiver<RoomMessage>) -> bool {
        let mut table = self.table();
        if !messages.is_empty() {
            return false;
        }
        if table.get(room).is_some_and(|live| live.alias == alias) {
            table.remove(room);
        }
        true
    }

    fn start(&self, room: RoomId) -> Live {
        let (mailbox, messages) = mpsc::channel(MAILBOX);
        let alias = self.shared.next_alias.fetch_add(1, Ordering::Relaxed);
        self.shared.runtime.spawn(supervise::supervise(self.clone(), room, alias, messages));
        Live { mailbox, alias }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<RoomId, Live>> {
        // Nothing panics while it holds the lock, so a poisoned table is as good as new.
        self.shared.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_caller(&self) -> ConnId {
        ConnId(self.shared.next_caller.fetch_add(1, Ordering::Relaxed))
    }
}
