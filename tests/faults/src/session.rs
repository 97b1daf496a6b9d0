//! One client: the core's session on a real socket, and what it has seen.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use enfilade_core::client::{Client, ClientConfig, Effect, Event, Synced};
use enfilade_core::v1::server_frame::Body as Frame;
use enfilade_core::wire::{Codec, binary};
use enfilade_core::{Code, Millis, OpId, Position, RoomId};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

/// Operations that a writer has under way at a time.
const UNDER_WAY: usize = 8;
/// A socket that is not open by then will not be.
const CONNECT: Duration = Duration::from_secs(2);

/// What a client does.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) room: RoomId,
    /// Begins each of its messages; they end with a number that counts from 1.
    pub(crate) name: String,
    /// Messages that it writes; 0 for a reader.
    pub(crate) messages: u64,
    pub(crate) token: String,
    /// Where it connects: the first unless that fails, then the next.
    pub(crate) addresses: Vec<String>,
    pub(crate) seed: u64,
}

/// An operation that the server has acknowledged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acked {
    pub(crate) position: Position,
    pub(crate) at: Instant,
}

/// What a client has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Which message each operation is.
    pub(crate) posted: BTreeMap<OpId, u64>,
    /// Every acknowledgement; of one operation there may be several.
    pub(crate) acked: BTreeMap<OpId, Vec<Acked>>,
    /// Epochs of the room that its view was in.
    pub(crate) epochs: BTreeSet<u64>,
    /// Whether it was told that writes are not taken.
    pub(crate) told_of_outage: bool,
    pub(crate) errors: Vec<String>,
    pub(crate) connects: u64,
}

/// What a client's view of its room shows at a moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Look {
    /// Seq and text of the messages that it holds.
    pub(crate) messages: Vec<(u64, String)>,
    pub(crate) position: Position,
    pub(crate) pending: usize,
    pub(crate) is_ready: bool,
}

/// A client at work.
pub(crate) struct Session {
    pub(crate) plan: Plan,
    seen: Arc<Mutex<Seen>>,
    told: mpsc::UnboundedSender<FromSocket>,
    task: tokio::task::JoinHandle<()>,
}

impl Session {
    /// Starts it. `acked` counts what all have got acknowledged; `go` lets writers write.
    pub(crate) fn start(plan: Plan, acked: watch::Sender<u64>) -> Session {
        let seen = Arc::<Mutex<Seen>>::default();
        let (told, heard) = mpsc::unbounded_channel();
        let task = tokio::spawn(drive(plan.clone(), seen.clone(), acked, told.clone(), heard));
        Session { plan, seen, told, task }
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no panic")
    }

    /// What its view shows now.
    pub(crate) async fn look(&self) -> Look {
        let (answer, answered) = oneshot::channel();
        let _ = self.told.send(FromSocket::Look(answer));
        answered.await.expect("the session goes on")
    }

    /// Whether everything that it wanted to write is acknowledged.
    pub(crate) fn is_done(&self) -> bool {
        let seen = self.seen();
        seen.posted.len() as u64 == self.plan.messages
            && seen.posted.keys().all(|id| seen.acked.contains_key(id))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(since.as_millis() as u64)
}

/// What comes from a socket, under its number.
enum FromSocket {
    Open(u64),
    Frame(u64, Vec<u8>),
    Closed(u64, u16),
    /// The test asks.
    Look(oneshot::Sender<Look>),
}

/// Carries one connection until it ends.
async fn carry(
    address: String,
    generation: u64,
    mut outgoing: mpsc::UnboundedReceiver<Message>,
    told: mpsc::UnboundedSender<FromSocket>,
) {
    let mut request = format!("ws://{address}/ws").into_client_request().expect("an address");
    let subprotocol = Codec::Binary.subprotocol().parse().expect("a header");
    request.headers_mut().insert("sec-websocket-protocol", subprotocol);
    let Ok(Ok((mut socket, _))) = timeout(CONNECT, connect_async(request)).await else {
        let _ = told.send(FromSocket::Closed(generation, 1006));
        return;
    };
    let _ = told.send(FromSocket::Open(generation));
    let mut code = 1006;
    loop {
        tokio::select! {
            message = outgoing.recv() => {
                let Some(message) = message else { break };
                if socket.send(message).await.is_err() {
                    break;
                }
            }
            message = socket.next() => match message {
                Some(Ok(Message::Binary(bytes))) => drop(told.send(FromSocket::Frame(generation, bytes.into()))),
                Some(Ok(Message::Close(close))) => code = close.map_or(1005, |close| close.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => break,
            },
        }
    }
    let _ = told.send(FromSocket::Closed(generation, code));
}

async fn drive(
    plan: Plan,
    seen: Arc<Mutex<Seen>>,
    acked: watch::Sender<u64>,
    told: mpsc::UnboundedSender<FromSocket>,
    mut heard: mpsc::UnboundedReceiver<FromSocket>,
) {
    let config = ClientConfig { warm_up: 0, ..ClientConfig::default() };
    let mut client = Client::new(config, plan.seed, now());
    client.set_token(&plan.token, now());
    client.acquire(&plan.room, now());
    client.connect(now());
    let mut driver = Driver {
        plan,
        seen,
        acked,
        told,
        socket: None,
        attempt: 0,
        posted: 0,
        waiting: VecDeque::new(),
        is_joining: false,
    };
    loop {
        driver.write(&mut client);
        driver.act(&mut client);
        let deadline = client.next_deadline().map(|(at, _)| at);
        let wait = deadline.map_or(Duration::from_secs(1), |at| Duration::from_millis(at.since(now())));
        tokio::select! {
            message = heard.recv() => if let Some(message) = message { driver.hear(&mut client, message) },
            () = tokio::time::sleep(wait) => client.handle_timeout(now()),
        }
        // What has come already is heard before anything is done about it.
        while let Ok(message) = heard.try_recv() {
            driver.hear(&mut client, message);
        }
    }
}

struct Driver {
    plan: Plan,
    seen: Arc<Mutex<Seen>>,
    acked: watch::Sender<u64>,
    told: mpsc::UnboundedSender<FromSocket>,
    socket: Option<(u64, mpsc::UnboundedSender<Message>)>,
    attempt: usize,
    posted: u64,
    /// Those that are not known to be acknowledged, in their order.
    waiting: VecDeque<OpId>,
    is_joining: bool,
}

impl Driver {
    /// Writes as long as not too much is under way.
    fn write(&mut self, client: &mut Client) {
        let room = self.plan.room.clone();
        if self.plan.messages == 0 {
            return;
        }
        let Some(view) = client.room(&room).filter(|view| view.synced() != Synced::Loading) else { return };
        if view.own_membership().is_none() {
            if !self.is_joining {
                self.is_joining = client.join(&room, now()).is_ok();
            }
            return;
        }
        let mut under_way = view.pending().count();
        while under_way < UNDER_WAY && self.posted < self.plan.messages {
            let number = self.posted + 1;
            let text = format!("{} {number}", self.plan.name);
            match client.post(&room, &text, Vec::new(), now()) {
                Ok(id) => {
                    self.seen.lock().expect("no panic").posted.insert(id, number);
                    self.waiting.push_back(id);
                }
                Err(refusal) => {
                    let mut seen = self.seen.lock().expect("no panic");
                    seen.errors.push(format!("{text} was refused here: {:?}", refusal.code));
                    return;
                }
            }
            self.posted = number;
            under_way += 1;
        }
    }

    fn act(&mut self, client: &mut Client) {
        while let Some(effect) = client.poll_effect() {
            match effect {
                Effect::Connect { generation } => {
                    let address = &self.plan.addresses[self.attempt % self.plan.addresses.len()];
                    let (send, outgoing) = mpsc::unbounded_channel();
                    self.socket = Some((generation, send));
                    tokio::spawn(carry(address.clone(), generation, outgoing, self.told.clone()));
                    self.seen.lock().expect("no panic").connects += 1;
                }
                Effect::Send { generation, bytes } => {
                    if let Some((_, socket)) = self.socket.as_ref().filter(|(open, _)| *open == generation) {
                        let _ = socket.send(Message::binary(bytes));
                    }
                }
                Effect::Close { .. } => {
                    self.attempt += 1;
                    self.socket = None;
                }
                // A cut is no reload.
                Effect::Persist { .. } => {}
                Effect::Load { key } => client.handle_loaded(&key, None, now()),
            }
        }
        let mut changed = false;
        while let Some(event) = client.poll_event() {
            let mut seen = self.seen.lock().expect("no panic");
            match event {
                Event::Rejected { op_id, code, .. } => {
                    seen.errors.push(format!("{op_id:?} was refused for good: {code:?}"));
                }
                Event::Connection => {
                    seen.told_of_outage |= client.connection().reason == Some(Code::StoreUnavailable);
                }
                Event::Room { room, .. } | Event::Resynced { room, .. } if room == self.plan.room => {
                    changed = true
                }
                _ => {}
            }
        }
        self.note_confirmed(client);
        if let Some(view) = client.room(&self.plan.room).filter(|view| changed && view.position().epoch > 0) {
            self.seen.lock().expect("no panic").epochs.insert(view.position().epoch);
        }
    }

    /// What is pending no longer is confirmed, by its entry if not by an answer: the line may have been cut in between.
    fn note_confirmed(&mut self, client: &Client) {
        let Some(view) = client.room(&self.plan.room) else { return };
        let mut seen = self.seen.lock().expect("no panic");
        while let Some(id) = self.waiting.front().copied() {
            if !seen.acked.contains_key(&id) {
                if client.pending_op(id).is_some() {
                    return;
                }
                let text = seen.posted.get(&id).map(|number| format!("{} {number}", self.plan.name));
                let shown = (0..view.message_count()).rev().filter_map(|index| view.message(index));
                let Some(message) = shown.into_iter().find(|message| Some(&message.text) == text.as_ref())
                else {
                    return;
                };
                let position = Position { epoch: view.position().epoch, seq: message.seq };
                seen.acked.insert(id, vec![Acked { position, at: Instant::now() }]);
                self.acked.send_modify(|count| *count += 1);
            }
            self.waiting.pop_front();
        }
    }

    fn hear(&mut self, client: &mut Client, message: FromSocket) {
        match message {
            FromSocket::Open(generation) => client.handle_connected(generation, now()),
            FromSocket::Frame(generation, bytes) => {
                if let Ok(frame) = binary::decode_server(&bytes, usize::MAX)
                    && let Some(Frame::Ack(ack)) = frame.body
                    && let (Ok(id), Some(position)) = (OpId::parse(ack.op_id.as_ref()), ack.position)
                {
                    let mut seen = self.seen.lock().expect("no panic");
                    if seen.posted.contains_key(&id) {
                        let acked = Acked { position: position.into(), at: Instant::now() };
                        let all = seen.acked.entry(id).or_default();
                        all.push(acked);
                        if all.len() == 1 {
                            self.acked.send_modify(|count| *count += 1);
                        }
                    }
                }
                client.handle_frame(generation, &bytes, now());
                // The view advances with each frame, and so do its effects.
                self.act(client);
            }
            FromSocket::Look(answer) => {
                let view = client.room(&self.plan.room);
                let look = view.map(|view| Look {
                    messages: (0..view.message_count())
                        .filter_map(|index| view.message(index))
                        .map(|message| (message.seq, message.text.clone()))
                        .collect(),
                    position: view.position(),
                    pending: view.pending().count(),
                    is_ready: view.synced() == Synced::Ready,
                });
                let _ = answer.send(look.unwrap_or_default());
            }
            FromSocket::Closed(generation, code) => {
                if self.socket.as_ref().is_some_and(|(open, _)| *open == generation) {
                    self.socket = None;
                    self.attempt += 1;
                }
                client.handle_disconnected(generation, code, "", now());
            }
        }
    }
}
