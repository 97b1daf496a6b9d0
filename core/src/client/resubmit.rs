//! Taking over what was made elsewhere.

use alloc::vec::Vec;

use super::{Client, RoomChange};
use crate::alone::Made;
use crate::op;
use crate::pending::{OpState, PendingOp};
use crate::{Code, Millis, RoomId, limits};

impl Client {
    /// Puts operations of this client back into the queue, under the ids that they have: those that a room
    /// [hosted alone](crate::alone) has taken, for the room of the same id on the server that this client talks to.
    /// They go in their order, each has effect once however often it is sent or handed in, and where others have changed
    /// the same, and their author had not seen it, they are edits made offline. To be done before anything else is written into the room.
    /// Returns how many were not in the queue yet.
    ///
    /// # Errors
    /// [`Code::ClientIdTaken`] when another client has made one, [`Code::InvalidRequest`] when they don't ascend or
    /// others wait for the room already, [`Code::Overloaded`] when they are more than the queue holds, and what
    /// [`op::parse`] says of one that can't be read. Nothing has happened then.
    pub fn resubmit(&mut self, room: &RoomId, made: Vec<Made>, now: Millis) -> Result<usize, Code> {
        let now = self.tick(now);
        let mut new = Vec::new();
        let mut last = 0;
        for Made { id, op: bytes, base, seen } in made {
            if id.client != self.client_id {
                return Err(Code::ClientIdTaken);
            }
            if id.counter <= last || id.counter > self.counter.reserved() {
                return Err(Code::InvalidRequest);
            }
            last = id.counter;
            let body = op::parse(&bytes)?;
            if self.pending.get(id).is_none() {
                new.push(PendingOp {
                    id,
                    room: room.clone(),
                    body,
                    bytes,
                    since: now,
                    offline: true,
                    base: Some(base),
                    seen,
                    was_sent: false,
                    sent_at: now,
                    not_before: Millis(0),
                    state: OpState::Queued,
                });
            }
        }
        let first = new.first().map(|op| op.id);
        let overtakes = self.pending.of(room).any(|waiting| first.is_some_and(|first| first < waiting.id));
        if overtakes {
            return Err(Code::InvalidRequest);
        }
        if self.pending.len() + new.len() > limits::PENDING_OPS {
            return Err(Code::Overloaded);
        }
        let count = new.len();
        for op in new {
            let id = op.id;
            self.foresee(room, &op.body);
            self.room_mut(room);
            self.pending.push(op);
            self.save_op(id);
            self.elements_changed(room, id);
        }
        if count > 0 {
            self.outbox.room(room, RoomChange::Pending);
            self.flush(now);
        }
        Ok(count)
    }
}
