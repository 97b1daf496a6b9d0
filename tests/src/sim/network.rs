//! What is under way: everything that takes time is in one queue, ordered by when it arrives.

use std::collections::BTreeMap;

use enfilade_core::authority::{Appended, ConnId, HistoryReader, Loaded, Stretch};
use enfilade_core::{Position, RoomId, v1};

/// Names one life of a node: what was under way for an earlier one is lost with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// Which node.
    pub node: usize,
    /// Its how manieth start.
    pub start: u32,
}

/// Something that arrives. `app` is the client's how manieth start: what goes to an app that has ended is lost.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// A client's socket has reached a node.
    Open { client: usize, app: u64, generation: u64, node: usize },
    /// The client hears that its socket is open.
    Opened { client: usize, app: u64, generation: u64 },
    /// The client hears that its socket is closed.
    Closed { client: usize, app: u64, generation: u64, code: u16 },
    /// The client's app has fetched a token.
    Token { client: usize },
    /// The client's storage has read a record.
    Record { client: usize, app: u64, key: String, value: Option<Vec<u8>> },
    /// A client that did nothing for a while goes on.
    WakeClient { client: usize, nap: u64 },
    /// The node hears that the socket is closed.
    Hangup { life: Life, conn: ConnId },
    /// A frame for the node.
    ToNode { life: Life, conn: ConnId, bytes: Vec<u8> },
    /// A frame for the client.
    ToClient { client: usize, app: u64, generation: u64, bytes: Vec<u8> },
    /// A socket that took nothing takes what has waited.
    Drained { life: Life, conn: ConnId },
    /// A node that did nothing for a while goes on.
    WakeNode { life: Life },
    /// A request reaches the store.
    Ask { life: Life, room: RoomId, request: Request },
    /// The store's answer reaches the node.
    Answer { life: Life, room: RoomId, answer: Answer },
    /// A node hears that a log has grown.
    Hint { node: usize, room: RoomId, head: Position },
    /// A node that crashed is back.
    Restart { node: usize },
}

/// Who takes an arrival in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Receiver {
    Client(usize),
    Node(usize),
    /// The store, or nobody's process: it is never paused.
    World,
}

impl Arrival {
    /// Who takes it in, unless it is what wakes them.
    pub(super) fn receiver(&self) -> Receiver {
        match self {
            Arrival::Opened { client, .. }
            | Arrival::Closed { client, .. }
            | Arrival::Token { client }
            | Arrival::Record { client, .. }
            | Arrival::ToClient { client, .. } => Receiver::Client(*client),
            Arrival::Open { node, .. } | Arrival::Hint { node, .. } => Receiver::Node(*node),
            Arrival::Hangup { life, .. }
            | Arrival::ToNode { life, .. }
            | Arrival::Drained { life, .. }
            | Arrival::Answer { life, .. } => Receiver::Node(life.node),
            Arrival::Ask { .. }
            | Arrival::Restart { .. }
            | Arrival::WakeClient { .. }
            | Arrival::WakeNode { .. } => Receiver::World,
        }
    }

    /// Whether it goes to this client, or comes of its wish for a socket.
    pub(super) fn is_for_client(&self, of: usize) -> bool {
        match self {
            Arrival::Open { client, .. } => *client == of,
            _ => self.receiver() == Receiver::Client(of),
        }
    }
}

/// What a node asks of the store.
#[derive(Clone, Debug)]
pub enum Request {
    Load,
    Claim(u64),
    Append {
        expected: Position,
        batch: Vec<Vec<u8>>,
        summary: Box<v1::RoomSummary>,
        amended: Vec<(u64, Vec<u8>)>,
    },
    Read {
        after: Position,
    },
    History {
        reader: HistoryReader,
        from_seq: u64,
    },
    PutSnapshot {
        position: Position,
        snapshot: Vec<u8>,
    },
    PutLease {
        record: Vec<u8>,
    },
    Leases,
}

/// What the store answers.
#[derive(Clone, Debug)]
pub enum Answer {
    Loaded(Option<Loaded>),
    Claimed(Option<u64>),
    Appended(Appended),
    Entries(Option<(Position, Vec<Vec<u8>>)>),
    History(HistoryReader, Option<Stretch>),
    Leases(Vec<(String, Vec<u8>, enfilade_core::Millis)>),
}

/// The queue, and the order within each connection.
#[derive(Debug, Default)]
pub struct Network {
    queue: BTreeMap<(u64, u64), Arrival>,
    order: u64,
    /// When the last frame of a stream arrives: none overtakes it.
    streams: BTreeMap<(u64, bool), u64>,
}

impl Network {
    /// When the next thing arrives.
    pub fn next_at(&self) -> Option<u64> {
        self.queue.keys().next().map(|(at, _)| *at)
    }

    /// How much is under way.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn pop(&mut self, now: u64) -> Option<Arrival> {
        let (at, _) = *self.queue.keys().next()?;
        if at > now { None } else { self.queue.pop_first().map(|(_, arrival)| arrival) }
    }

    pub(super) fn push(&mut self, at: u64, arrival: Arrival) {
        self.order += 1;
        self.queue.insert((at, self.order), arrival);
    }

    /// Pushes a part of a stream: it arrives no sooner than what was sent before it.
    pub(super) fn push_stream(&mut self, stream: (u64, bool), at: u64, arrival: Arrival) {
        let last = self.streams.entry(stream).or_insert(0);
        *last = at.max(*last);
        let at = *last;
        self.push(at, arrival);
    }

    /// Loses what is under way for which this holds.
    pub(super) fn lose(&mut self, lost: impl Fn(&Arrival) -> bool) {
        self.queue.retain(|_, arrival| !lost(arrival));
    }
}
