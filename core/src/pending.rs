//! Operations that the log has not confirmed: a durable queue, in order within each room.
//!
//! An operation is sent until it is acknowledged, or refused for good, always under the id and the bytes that it was
//! made with. So its effect happens once, whatever is lost or repeated on the way.

mod depend;

use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use prost::Message as _;

use crate::op::{self, Body};
use crate::sorted::SortedMap;
use crate::{Code, Millis, OpId, Position, RoomId, v1};

/// How far an operation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpState {
    /// It waits to be sent.
    Queued,
    /// It was sent on this connection, and is not answered yet.
    Sent,
    /// The server has put it off. It is sent again at this time, and what follows in the room waits with it.
    PutOff {
        /// When it is sent again.
        until: Millis,
        /// Why it was put off.
        code: Code,
    },
    /// It is durable, at this position, which the view has not reached yet.
    Acknowledged(Position),
}

/// An operation of this client that is not part of the confirmed state.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingOp {
    /// Its name for ever.
    pub id: OpId,
    /// Where it goes.
    pub room: RoomId,
    /// What it asks for.
    pub body: Body,
    /// The same, as it is sent each time.
    pub bytes: Vec<u8>,
    /// When it was made.
    pub since: Millis,
    /// Whether it was made without a connection.
    pub offline: bool,
    /// The position on which its author looked.
    pub base: Option<Position>,
    /// What its author had seen of each client, where it was made in a room hosted alone.
    pub seen: Vec<v1::OpId>,
    /// Whether it was ever sent, so that the server may have it.
    pub was_sent: bool,
    /// When it was last sent.
    pub sent_at: Millis,
    /// It is not sent before this time.
    pub not_before: Millis,
    /// How far it has come.
    pub state: OpState,
}

/// An operation that has no answer after this is sent again: far longer than an answer takes, and soon enough for
/// whoever waits for it.
const ANSWER: u64 = 20_000;
/// First byte of a stored operation: the layout that follows.
const LAYOUT: u32 = 1;

/// The queue.
#[derive(Debug, Default)]
pub struct Pending {
    lanes: SortedMap<RoomId, Lane>,
    rooms: SortedMap<OpId, RoomId>,
    on_the_way: usize,
}

#[derive(Debug, Default)]
struct Lane {
    ops: VecDeque<PendingOp>,
    /// How often the first operation was put off in a row.
    put_off: u32,
}

impl Pending {
    /// Adds an operation behind all others of its room. One that is there already is left as it is.
    pub fn push(&mut self, op: PendingOp) {
        if self.rooms.insert(op.id, op.room.clone()).is_none() {
            self.lanes.entry(op.room.clone()).or_default().ops.push_back(op);
        }
    }

    /// Operations in all rooms, acknowledged ones included.
    pub fn len(&self) -> usize {
        self.rooms.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rooms.is_empty()
    }

    /// Whether any operation has not been acknowledged.
    pub fn has_unsent(&self) -> bool {
        self.lanes.values().flat_map(|lane| &lane.ops).any(|op| !op.is_acknowledged())
    }

    /// A room's operations, in order.
    pub fn of(&self, room: &RoomId) -> impl Iterator<Item = &PendingOp> {
        self.lanes.get(room).into_iter().flat_map(|lane| &lane.ops)
    }

    /// Rooms that have operations.
    pub fn rooms(&self) -> impl Iterator<Item = &RoomId> {
        self.lanes.keys()
    }

    /// The operation of this id.
    pub fn get(&self, id: OpId) -> Option<&PendingOp> {
        self.of(self.rooms.get(&id)?).find(|op| op.id == id)
    }

    /// Takes back an operation that was never sent.
    ///
    /// # Errors
    /// [`Code::NoSuchMessage`] when there is none of this id, [`Code::InvalidRequest`] when it was sent.
    pub fn cancel(&mut self, id: OpId) -> Result<PendingOp, Code> {
        match self.get(id) {
            None => Err(Code::NoSuchMessage),
            Some(op) if op.was_sent => Err(Code::InvalidRequest),
            Some(_) => self.remove(id).ok_or(Code::NoSuchMessage),
        }
    }

    /// Takes an operation out: it is confirmed, or refused for good.
    pub fn remove(&mut self, id: OpId) -> Option<PendingOp> {
        let room = self.rooms.remove(&id)?;
        let lane = self.lanes.get_mut(&room)?;
        let place = lane.ops.iter().position(|op| op.id == id)?;
        let op = lane.ops.remove(place)?;
        if place == 0 {
            lane.put_off = 0;
        }
        if lane.ops.is_empty() {
            self.lanes.remove(&room);
        }
        self.on_the_way -= usize::from(op.state == OpState::Sent);
        Some(op)
    }

    /// The operation to send next: of those that are first in their rooms, the one made first. `None` when nothing may
    /// be sent now; at most `limit` are on their way.
    pub fn next(&self, now: Millis, limit: usize) -> Option<&PendingOp> {
        if self.on_the_way >= limit {
            return None;
        }
        let heads = self.lanes.values().filter_map(Lane::next);
        heads.filter(|op| op.due() <= now).min_by_key(|op| (op.since, op.id))
    }

    /// When something can be sent that can't be sent now, or is to be sent again.
    pub fn next_deadline(&self, limit: usize) -> Option<Millis> {
        let overdue = self.lanes.values().filter_map(Lane::overdue_at).min();
        if self.on_the_way >= limit {
            return overdue;
        }
        self.lanes.values().filter_map(Lane::next).map(PendingOp::due).chain(overdue).min()
    }

    /// Notes that the operation is on its way.
    pub fn mark_sent(&mut self, id: OpId, now: Millis) {
        let Some(op) = self.get_mut(id) else { return };
        let repeated = op.state == OpState::Sent;
        op.state = OpState::Sent;
        op.was_sent = true;
        op.sent_at = now;
        self.on_the_way += usize::from(!repeated);
    }

    /// The connection is gone: all that was on its way is sent again on the next.
    pub fn requeue(&mut self) {
        for op in self.lanes.values_mut().flat_map(|lane| &mut lane.ops) {
            if op.state == OpState::Sent {
                op.state = OpState::Queued;
            }
        }
        self.on_the_way = 0;
    }

    /// Where an operation has waited for its answer for too long, all of the room that are on their way are sent
    /// again, in order. The connection is alive, but what was to answer may have failed.
    pub fn requeue_overdue(&mut self, now: Millis) {
        for lane in self.lanes.values_mut() {
            if lane.overdue_at().is_none_or(|at| at > now) {
                continue;
            }
            for op in lane.ops.iter_mut().filter(|op| op.state == OpState::Sent) {
                op.state = OpState::Queued;
                self.on_the_way -= 1;
            }
        }
    }

    /// The operation is durable. It stays in view until the view has reached the position.
    pub fn acknowledge(&mut self, id: OpId, position: Position) {
        let Some(op) = self.get_mut(id) else { return };
        let was_sent = op.state == OpState::Sent;
        op.state = OpState::Acknowledged(position);
        self.on_the_way -= usize::from(was_sent);
        if let Some(lane) = self.rooms.get(&id).and_then(|room| self.lanes.get_mut(room)) {
            lane.put_off = 0;
        }
    }

    /// The server has put the operation off.
    pub fn put_off(&mut self, id: OpId, until: Millis, code: Code) {
        let Some(op) = self.get_mut(id) else { return };
        let was_sent = op.state == OpState::Sent;
        op.state = OpState::PutOff { until, code };
        self.on_the_way -= usize::from(was_sent);
        let lane = self.rooms.get(&id).and_then(|room| self.lanes.get_mut(room));
        if let Some(lane) = lane
            && lane.ops.iter().find(|op| !op.is_acknowledged()).is_some_and(|first| first.id == id)
        {
            lane.put_off = lane.put_off.saturating_add(1);
        }
    }

    /// How often in a row the first operation of this room was put off.
    pub fn times_put_off(&self, room: &RoomId) -> u32 {
        self.lanes.get(room).map_or(0, |lane| lane.put_off)
    }

    /// The view of a room has reached this position. Returns whether acknowledged operations left the queue.
    pub fn settle(&mut self, room: &RoomId, position: Position) -> bool {
        let is_settled = |op: &PendingOp| match op.state {
            // An acknowledgement of an epoch that has ended is beyond comparing; the new state is what there is.
            OpState::Acknowledged(at) => at.epoch != position.epoch || at.seq <= position.seq,
            OpState::Queued | OpState::Sent | OpState::PutOff { .. } => false,
        };
        let settled: Vec<OpId> = self.of(room).filter(|op| is_settled(op)).map(|op| op.id).collect();
        settled.iter().for_each(|id| drop(self.remove(*id)));
        !settled.is_empty()
    }

    /// Forgets the acknowledged operations of a room, whose tier no longer shows them.
    pub fn drop_acknowledged(&mut self, room: &RoomId) -> bool {
        let done: Vec<OpId> = self.of(room).filter(|op| op.is_acknowledged()).map(|op| op.id).collect();
        done.iter().for_each(|id| drop(self.remove(*id)));
        !done.is_empty()
    }

    /// Replaces the body of an operation that was never sent.
    pub fn replace(&mut self, id: OpId, body: Body) {
        if let Some(op) = self.get_mut(id)
            && !op.was_sent
        {
            op.bytes = op::encode(body.clone());
            op.body = body;
        }
    }

    fn get_mut(&mut self, id: OpId) -> Option<&mut PendingOp> {
        let lane = self.lanes.get_mut(self.rooms.get(&id)?)?;
        lane.ops.iter_mut().find(|op| op.id == id)
    }
}

impl Lane {
    /// The first operation that is not on its way. Several may be: while the authority puts one off, it puts off all
    /// that follow it on the connection.
    fn next(&self) -> Option<&PendingOp> {
        let waits = |op: &&PendingOp| matches!(op.state, OpState::Queued | OpState::PutOff { .. });
        // What follows an operation that has to wait waits with it, so that order is kept.
        self.ops.iter().find(waits).filter(|op| !self.holds(op))
    }

    /// When its oldest operation that is on its way counts as lost.
    fn overdue_at(&self) -> Option<Millis> {
        self.ops.iter().find(|op| op.state == OpState::Sent).map(|op| op.sent_at + ANSWER)
    }
}

impl PendingOp {
    /// Whether the server has confirmed it.
    pub fn is_acknowledged(&self) -> bool {
        matches!(self.state, OpState::Acknowledged(_))
    }

    fn due(&self) -> Millis {
        match self.state {
            OpState::PutOff { until, .. } => until.max(self.not_before),
            OpState::Queued | OpState::Sent | OpState::Acknowledged(_) => self.not_before,
        }
    }

    /// The operation as the host stores it.
    pub fn encode(&self) -> Vec<u8> {
        StoredOp {
            layout: LAYOUT,
            room: self.room.as_str().to_string(),
            op_id: Some(self.id.wire()),
            op: self.bytes.clone(),
            since: self.since.0,
            offline: self.offline,
            base: self.base.map(Position::wire),
            seen: self.seen.clone(),
            was_sent: self.was_sent,
        }
        .encode_to_vec()
    }

    /// Reads what [`PendingOp::encode`] wrote.
    ///
    /// # Errors
    /// [`Code::Malformed`] for anything else.
    pub fn decode(bytes: &[u8]) -> Result<PendingOp, Code> {
        let stored = StoredOp::decode(bytes).map_err(|_| Code::Malformed)?;
        if stored.layout != LAYOUT {
            return Err(Code::Malformed);
        }
        Ok(PendingOp {
            id: OpId::parse(stored.op_id.as_ref())?,
            room: RoomId::new(&stored.room)?,
            body: op::parse(&stored.op)?,
            bytes: stored.op,
            since: Millis(stored.since),
            offline: stored.offline,
            base: stored.base.map(Position::from),
            seen: stored.seen,
            was_sent: stored.was_sent,
            sent_at: Millis(0),
            not_before: Millis(0),
            state: OpState::Queued,
        })
    }
}

/// The record without what people wrote; `None` when it can't be read.
pub(crate) fn redact_record(value: &[u8]) -> Option<Vec<u8>> {
    let mut stored = StoredOp::decode(value).ok()?;
    stored.op = crate::trace::redact::message("Op", &stored.op)?;
    Some(stored.encode_to_vec())
}

/// A stored operation. Fields are numbered for good, as on the wire.
#[derive(Clone, PartialEq, enfilade_proto::Message)]
struct StoredOp {
    #[prost(uint32, tag = "1")]
    layout: u32,
    #[prost(string, tag = "2")]
    room: String,
    #[prost(message, optional, tag = "3")]
    op_id: Option<v1::OpId>,
    #[prost(bytes = "vec", tag = "4")]
    op: Vec<u8>,
    #[prost(uint64, tag = "5")]
    since: u64,
    #[prost(bool, tag = "6")]
    offline: bool,
    #[prost(message, optional, tag = "7")]
    base: Option<v1::Position>,
    #[prost(bool, tag = "8")]
    was_sent: bool,
    #[prost(message, repeated, tag = "9")]
    seen: Vec<v1::OpId>,
}

/// Numbers a client's operations. Counters are taken in blocks whose end is stored before any of them is used, so that
/// none is used twice, even when the host's last writes are lost.
#[derive(Clone, Copy, Debug)]
pub struct Counter {
    last: u64,
    reserved: u64,
}

/// Counters taken at once. Small beside 2^53, and large beside what is written between two writes of the host.
const BLOCK: u64 = 1_024;

impl Counter {
    /// Begins behind all counters that may have been used.
    pub fn after(reserved: u64) -> Counter {
        Counter { last: reserved, reserved }
    }

    /// The next number, and whether [`Counter::reserved`] has risen, so that it must be stored.
    pub fn take(&mut self) -> (u64, bool) {
        self.last += 1;
        // Half a block ahead, so that the write has time to arrive.
        let must_store = self.last + BLOCK / 2 > self.reserved;
        if must_store {
            self.reserved = self.last + BLOCK;
        }
        (self.last, must_store)
    }

    /// No counter beyond this one has been used.
    pub fn reserved(&self) -> u64 {
        self.reserved
    }
}

/// The key under which the host stores an operation. Keys of one client sort as its operations were made.
pub(crate) fn key(id: OpId) -> String {
    let mut key = String::from("op/");
    push_padded(&mut key, id.client.0);
    key.push('-');
    push_padded(&mut key, id.counter);
    key
}

/// Sixteen decimal digits hold every integer below 2^53.
fn push_padded(text: &mut String, number: u64) {
    let mut unit = 1_000_000_000_000_000;
    while unit > 0 {
        text.push(char::from(b'0' + (number / unit % 10) as u8));
        unit /= 10;
    }
}

#[cfg(test)]
mod tests;
