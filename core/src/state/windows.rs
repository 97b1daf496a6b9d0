use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use crate::long::LongMap;
use crate::{ClientId, Entry, OpId, hash53, limits, v1};

/// What a room remembers of an operation that comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing: it is new.
    New,
    /// It was accepted, at this seq.
    Duplicate(u64),
    /// Its id was accepted with another body.
    Reused,
    /// It was not accepted, but a later one of the same client was, so it can't be any more.
    Superseded,
    /// The client belongs to another user.
    OtherUser,
}

/// The last operations of each client, by which duplicates are known. Bounded: at most 4,096 clients, of which the
/// one idle for longest goes first, and 64 operations of each, which is more than a client may have in flight.
#[derive(Clone, Debug, Default)]
pub struct Windows {
    by_client: LongMap<ClientId, Window>,
    /// Clients by their last seq, so that the idle one is found without a search.
    by_age: LongMap<u64, ClientId>,
}

#[derive(Clone, Debug)]
struct Window {
    user: String,
    last_counter: u64,
    last_seq: u64,
    recent: VecDeque<v1::RecentOp>,
}

impl Windows {
    /// Whether this operation has been here before.
    pub fn seen(&self, user: &str, op_id: OpId, op: &[u8]) -> Seen {
        let Some(window) = self.by_client.get(&op_id.client) else { return Seen::New };
        if window.user != user {
            return Seen::OtherUser;
        }
        if op_id.counter > window.last_counter {
            return Seen::New;
        }
        match window.recent.iter().find(|recent| recent.counter == op_id.counter) {
            Some(recent) if recent.body_hash == hash53(op, 0) => Seen::Duplicate(recent.seq),
            Some(_) => Seen::Reused,
            None => Seen::Superseded,
        }
    }

    /// Whether this client may have been here, and forgotten since.
    pub fn may_have_forgotten(&self, client: ClientId) -> bool {
        self.by_client.len() >= limits::CLIENT_WINDOWS && self.by_client.get(&client).is_none()
    }

    /// Where this operation of this user is in the log, whatever its words.
    pub fn seq_of(&self, user: &str, op_id: OpId) -> Option<u64> {
        let window = self.by_client.get(&op_id.client).filter(|window| window.user == user)?;
        window.recent.iter().find(|recent| recent.counter == op_id.counter).map(|recent| recent.seq)
    }

    pub(super) fn fork(&mut self) -> Windows {
        Windows { by_client: self.by_client.fork(), by_age: self.by_age.fork() }
    }

    pub(super) fn record(&mut self, entry: &Entry) {
        // What the server itself writes is idempotent by its content.
        if entry.author.is_empty() {
            return;
        }
        let recent =
            v1::RecentOp { counter: entry.op_id.counter, seq: entry.seq, body_hash: hash53(&entry.op, 0) };
        let window = self.by_client.get_or_insert_with(entry.op_id.client, || Window {
            user: entry.author.clone(),
            last_counter: 0,
            last_seq: 0,
            recent: VecDeque::new(),
        });
        self.by_age.remove(&window.last_seq);
        window.last_counter = window.last_counter.max(recent.counter);
        window.last_seq = recent.seq;
        window.recent.push_back(recent);
        if window.recent.len() > limits::WINDOW_OPS {
            window.recent.pop_front();
        }
        self.by_age.insert(entry.seq, entry.op_id.client);
        if self.by_client.len() > limits::CLIENT_WINDOWS
            && let Some((_, idle)) = self.by_age.pop_first()
        {
            self.by_client.remove(&idle);
        }
    }

    pub(super) fn wire(&self) -> Vec<v1::ClientWindow> {
        let wire = |(client, window): (&ClientId, &Window)| v1::ClientWindow {
            user: window.user.clone(),
            client: client.0,
            last_counter: window.last_counter,
            recent: window.recent.iter().copied().collect(),
        };
        self.by_client.iter().map(wire).collect()
    }

    pub(super) fn restore(wire: Vec<v1::ClientWindow>) -> Windows {
        let mut windows = Windows::default();
        for window in wire {
            let last_seq = window.recent.last().map_or(0, |recent| recent.seq);
            windows.by_age.insert(last_seq, ClientId(window.client));
            windows.by_client.insert(
                ClientId(window.client),
                Window {
                    user: window.user,
                    last_counter: window.last_counter,
                    last_seq,
                    recent: window.recent.into(),
                },
            );
        }
        windows
    }
}
