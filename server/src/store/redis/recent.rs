//! What was acknowledged a moment ago, so that it can be given back to a Redis that has lost it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use enfilade_core::{Position, RoomId};
use tokio::time::Instant;

use super::super::{Append, KeyWrite};

/// How far back is remembered. Redis syncs its file once a second where it does not do so always, and a replica is
/// behind by less; a file that was cut by more than this is reported.
const KEPT: Duration = Duration::from_secs(15);
/// Bytes that are remembered, of all rooms.
const BYTES: usize = 64 * 1024 * 1024;
/// What a remembered append weighs beside its bytes.
const OVERHEAD: usize = 256;

/// An append as it was acknowledged, or entries of another node as they were read.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) expected: Position,
    pub(super) batch: Vec<Bytes>,
    /// The room's row, where it is known.
    pub(super) summary: Option<Bytes>,
    pub(super) amended: Vec<(u64, Bytes)>,
    pub(super) keys: Vec<KeyWrite>,
}

impl Kept {
    /// Seq of its last entry.
    pub(super) fn last(&self) -> u64 {
        self.expected.seq + self.batch.len() as u64
    }

    /// What of it comes after a seq.
    pub(super) fn after(&self, seq: u64) -> Kept {
        let skip = seq.saturating_sub(self.expected.seq) as usize;
        let expected = Position { seq: self.expected.seq.max(seq), ..self.expected };
        Kept { expected, batch: self.batch.iter().skip(skip).cloned().collect(), ..self.clone() }
    }

    fn bytes(&self) -> usize {
        let batch = self.batch.iter().map(Bytes::len).sum::<usize>();
        let amended = self.amended.iter().map(|(_, message)| message.len()).sum::<usize>();
        let keys = self.keys.iter().map(|write| write.command.bytes()).sum::<usize>();
        batch + amended + keys + self.summary.as_ref().map_or(0, Bytes::len) + OVERHEAD
    }
}

/// The last appends of every room.
#[derive(Default)]
pub(super) struct Recent {
    kept: Mutex<State>,
}

#[derive(Default)]
struct State {
    rooms: HashMap<RoomId, VecDeque<Kept>>,
    /// One of a room's oldest each time.
    order: VecDeque<(Instant, RoomId)>,
    bytes: usize,
}

impl Recent {
    /// This node's append was acknowledged.
    pub(super) fn appended(&self, room: &RoomId, append: Append) {
        let Append { expected, batch, summary, amended, keys } = append;
        self.keep(room, Kept { expected, batch, summary: Some(summary), amended, keys });
    }

    /// Another node's entries were read, to the end of the log.
    pub(super) fn read(&self, room: &RoomId, after: Position, batch: &[Bytes]) {
        if !batch.is_empty() {
            let (amended, keys) = (Vec::new(), Vec::new());
            self.keep(room, Kept { expected: after, batch: batch.to_vec(), summary: None, amended, keys });
        }
    }

    fn keep(&self, room: &RoomId, kept: Kept) {
        let mut state = self.lock();
        state.forget_old();
        let known = state.rooms.entry(room.clone()).or_default();
        let end = known.back().filter(|last| last.expected.epoch == kept.expected.epoch).map(Kept::last);
        if end.is_some_and(|end| end >= kept.last()) {
            return;
        }
        let kept = end.map_or_else(|| kept.clone(), |end| kept.after(end));
        let bytes = kept.bytes();
        known.push_back(kept);
        state.bytes += bytes;
        state.order.push_back((Instant::now(), room.clone()));
        while state.bytes > BYTES && state.drop_oldest() {}
    }

    /// What is remembered of a room, in its order.
    pub(super) fn of(&self, room: &RoomId) -> Vec<Kept> {
        self.lock().rooms.get(room).map(|kept| kept.iter().cloned().collect()).unwrap_or_default()
    }

    /// Every room of which something is remembered.
    pub(super) fn rooms(&self) -> Vec<RoomId> {
        let mut state = self.lock();
        state.forget_old();
        state.rooms.keys().cloned().collect()
    }

    /// What was remembered of an epoch that has ended is given back or reported.
    pub(super) fn forget_epoch(&self, room: &RoomId, epoch: u64) {
        let mut state = self.lock();
        let Some(known) = state.rooms.get_mut(room) else { return };
        let freed: usize = known.iter().filter(|kept| kept.expected.epoch == epoch).map(Kept::bytes).sum();
        // The places in the order stay, and find less than they mean; that only keeps the rest a little shorter.
        known.retain(|kept| kept.expected.epoch != epoch);
        if known.is_empty() {
            state.rooms.remove(room);
        }
        state.bytes -= freed;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget_old(&mut self) {
        while self.order.front().is_some_and(|(at, _)| at.elapsed() > KEPT) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) -> bool {
        let Some((_, room)) = self.order.pop_front() else { return false };
        if let Some(known) = self.rooms.get_mut(&room) {
            if let Some(kept) = known.pop_front() {
                self.bytes -= kept.bytes();
            }
            if known.is_empty() {
                self.rooms.remove(&room);
            }
        }
        true
    }
}
