//! Deciding and sequencing: what comes in is decided in order, and appended in batches that grow while the store works.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{
    Appended, Authority, ConnId, Effect, Footing, From, Lane, Past, Phase, Position, RECOVERY_INTERVAL,
    Reply, STORE_RETRY_AFTER, Submission,
    conflicts::{Verdict, stand_in},
};
use crate::op::{self, Body};
use crate::policy::{self, Actor, Refusal};
use crate::state::Seen;
use crate::v1::server_frame::Body as Frame;
use crate::{ClientId, Code, Entry, Millis, OpId, Retry, hash53, limits, v1};

/// A batch on its way, and what is to be told about it afterwards.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) entries: Vec<Entry>,
    decided: Vec<(Submission, Outcome)>,
}

/// What an operation has come to, once the batch is durable. Also a refusal waits for that: it may rest on an
/// operation of the same batch.
#[derive(Clone, Debug)]
enum Outcome {
    /// It is in the log at this seq.
    At(u64),
    /// It changes nothing that is not so already.
    Settled,
    Refused(Refusal),
    /// It waits in its author's inbox for a choice.
    Kept(Box<v1::Conflict>),
}

impl Outcome {
    fn is_final_refusal(&self) -> bool {
        match self {
            Outcome::Refused(refusal) => refusal.code.retry() == Retry::Never,
            Outcome::Kept(_) => true,
            Outcome::At(_) | Outcome::Settled => false,
        }
    }
}

impl Authority {
    /// Takes an operation from a connection. It is answered by an Ack or a Rejection, in order.
    pub fn submit(&mut self, conn: ConnId, actor: &Actor, submit: v1::Submit, now: Millis) {
        let op_id = match OpId::parse(submit.op_id.as_ref()) {
            Ok(op_id) => op_id,
            Err(code) => return self.reject(conn, submit.op_id.unwrap_or_default(), code.into()),
        };
        match op::parse(&submit.op) {
            Ok(body) => {
                let (from, actor, op) = (From::Connection(conn), actor.clone(), submit.op);
                let seen =
                    submit.seen.iter().take(limits::SEEN_CLIENTS).map(|op| (op.client, op.counter)).collect();
                let footing = match submit.base.map(Position::from) {
                    Some(base) if submit.offline => Footing::Offline(base, seen),
                    Some(_) | None => Footing::Live,
                };
                self.enqueue(Submission::new(from, actor, op_id, op, body, footing), now);
            }
            Err(code) => self.reject(conn, op_id.wire(), code.into()),
        }
    }

    /// Takes what another room's entry entails here. It is answered by [`Effect::Delivered`].
    pub fn deliver(&mut self, reply: Reply, body: Body, now: Millis) {
        if let Body::AddConflict(v1::AddConflict { conflict: Some(conflict) }) = &body
            && self.confirmed.id().inbox_owner().is_none()
        {
            // What can't be read will never be accepted.
            return match self.side_of(&reply, conflict) {
                Some(side) => self.enqueue(side, now),
                None => self.settled(reply),
            };
        }
        // The server's own operations are idempotent by their content; the id only has to be one.
        let client = ClientId(hash53(reply.room.as_str().as_bytes(), 0).max(1));
        let op_id = OpId { client, counter: reply.delivery + 1 };
        self.enqueue(Submission::own(From::Room(reply), op_id, body), now);
    }

    /// How the append ended.
    pub fn handle_appended(&mut self, appended: Appended, now: Millis) {
        let in_flight = match core::mem::replace(&mut self.phase, Phase::Ready) {
            Phase::Appending(in_flight) => in_flight,
            other => {
                self.phase = other;
                return;
            }
        };
        match appended {
            Appended::Done => {
                for entry in &in_flight.entries {
                    // It has been applied to `ahead`, which was equal.
                    let applied = self.confirm(entry, now);
                    debug_assert!(applied.is_ok());
                }
                self.tell(&in_flight.entries, now);
                self.settle(in_flight.decided, now);
                self.put_snapshot_when_due();
                self.catch_up();
                self.go_on(now);
            }
            Appended::Conflict { head, missing } => {
                self.realign();
                self.requeue(in_flight);
                if head.epoch != self.confirmed.position().epoch || self.fold_foreign(&missing, now).is_err()
                {
                    self.reload();
                } else if self.confirmed.position().seq < head.seq {
                    self.recover();
                } else {
                    self.pump(now);
                }
            }
            Appended::Failed => self.fail(in_flight, Code::StoreUnavailable, now),
            Appended::Refused(code) => self.fail(in_flight, code, now),
        }
    }

    /// Decides what waits, and sends it off as one batch, unless one is on its way.
    pub(super) fn pump(&mut self, now: Millis) {
        self.timers.gather = None;
        if matches!(self.phase, Phase::Ready) {
            self.tend_conflicts(now);
        }
        while matches!(self.phase, Phase::Ready) && !self.queue.is_empty() {
            let mut in_flight = InFlight { entries: Vec::new(), decided: Vec::new() };
            let mut bytes = 0;
            self.changes.clear();
            while in_flight.entries.len() < limits::BATCH_OPS
                && bytes < limits::BATCH_BYTES
                && let Some(submission) = self.queue.pop_front()
            {
                let Some(submission) = self.park(submission) else { continue };
                let Some(submission) = self.wait_for_facts(submission, now) else { continue };
                let outcome = self.decide(&submission, &mut in_flight.entries, now);
                bytes += submission.op.len() + self.amended_bytes(&submission.body);
                in_flight.decided.push((submission, outcome));
            }
            if in_flight.entries.is_empty() {
                if !self.is_at_end && in_flight.decided.iter().any(|(_, outcome)| outcome.is_final_refusal())
                {
                    self.requeue(in_flight);
                    return self.recover();
                }
                self.settle(in_flight.decided, now);
                self.settle_waiting(now);
            } else if self.confirmed.position().epoch == 0 {
                self.phase = Phase::Claiming(in_flight);
                let epoch = self.rng.id53();
                self.effects.push_back(Effect::Claim { epoch });
            } else {
                self.append(in_flight);
            }
        }
    }

    pub(super) fn append(&mut self, in_flight: InFlight) {
        let batch = in_flight.entries.iter().map(Entry::encode).collect();
        self.last_batch = in_flight.entries.len();
        let mut summary = self.ahead.summary();
        summary.user_count = self.occupancy.count();
        self.effects.push_back(Effect::Append {
            expected: self.confirmed.position(),
            batch,
            summary: Box::new(summary),
            amended: self.amended(&in_flight),
            changes: core::mem::take(&mut self.changes),
        });
        self.phase = Phase::Appending(in_flight);
    }

    /// The batch may have been written or not: everybody is told to come back, and the log is read first.
    pub(super) fn fail(&mut self, in_flight: InFlight, code: Code, now: Millis) {
        self.realign();
        self.requeue(in_flight);
        self.refuse_queue(code);
        self.trouble = code;
        self.phase = Phase::Recovering { retry_at: Some(now + RECOVERY_INTERVAL) };
    }

    fn enqueue(&mut self, submission: Submission, now: Millis) {
        let refused = match self.phase {
            Phase::Recovering { retry_at: Some(_) } => Some(self.trouble),
            _ if self.has_too_much_to_do() => Some(Code::Overloaded),
            _ => None,
        };
        if let Some(code) = refused {
            let refusal = Refusal { code, retry_after: STORE_RETRY_AFTER };
            return self.conclude(submission, Outcome::Refused(refusal), now);
        }
        self.queue.push_back(submission);
        let is_first = self.queue.len() == 1 && matches!(self.phase, Phase::Ready);
        if is_first && self.last_batch >= limits::BURST {
            self.timers.gather = Some(now + limits::GATHER);
        }
        if self.timers.gather.is_none() || self.queue.len() >= limits::BATCH_OPS {
            self.pump(now);
        }
    }

    fn requeue(&mut self, in_flight: InFlight) {
        for (submission, _) in in_flight.decided.into_iter().rev() {
            self.queue.push_front(submission);
        }
    }

    pub(super) fn refuse_queue(&mut self, code: Code) {
        let refusal = Refusal { code, retry_after: STORE_RETRY_AFTER };
        let queue = core::mem::take(&mut self.queue);
        for submission in queue.into_iter().chain(self.fetching.unpark()) {
            self.put_off(submission, refusal);
        }
    }

    pub(super) fn put_off(&mut self, submission: Submission, refusal: Refusal) {
        // A refusal needs no time.
        self.conclude(submission, Outcome::Refused(refusal), Millis(0));
    }

    /// Decides one operation of a connection in the connection's order: while an earlier one is put off, so is this.
    fn decide(&mut self, submission: &Submission, entries: &mut Vec<Entry>, now: Millis) -> Outcome {
        let From::Connection(conn) = submission.from else { return self.judge(submission, entries, now) };
        if let Some(refusal) = self.subscribers.held_back(conn, submission.op_id) {
            return Outcome::Refused(refusal);
        }
        let outcome = self.judge(submission, entries, now);
        if let Outcome::Refused(refusal) = outcome {
            self.subscribers.hold_back(conn, submission.op_id, refusal);
        }
        outcome
    }

    /// Judges one operation by all that is decided before it, and applies it to `ahead` when it is accepted.
    fn judge(&mut self, submission: &Submission, entries: &mut Vec<Entry>, now: Millis) -> Outcome {
        let Submission { actor, op_id, op, body, footing, .. } = submission;
        let (user, windows) = (actor.user(), self.ahead.windows());
        let seen = match (actor, footing, windows) {
            // It may be in the log in other words.
            (_, Footing::Chosen, Some(windows)) => {
                windows.seq_of(user, *op_id).map_or(Seen::New, Seen::Duplicate)
            }
            (Actor::User { .. }, _, Some(windows)) => windows.seen(user, *op_id, op),
            _ => Seen::New,
        };
        match (seen, submission.past) {
            (Seen::New, Past::At(seq)) => return Outcome::At(seq),
            (Seen::New, Past::NotAsked | Past::Nothing) => {}
            (Seen::Duplicate(seq), _) => return Outcome::At(seq),
            (Seen::Reused, _) => return Outcome::Refused(Code::OpIdReused.into()),
            (Seen::Superseded, _) => return Outcome::Refused(Code::OpSuperseded.into()),
            (Seen::OtherUser, _) => return Outcome::Refused(Code::ClientIdTaken.into()),
        }
        if let (Footing::Offline(..), Some(windows)) = (footing, windows)
            && let Some(seq) = windows.seq_of(user, stand_in(*op_id))
        {
            return Outcome::At(seq);
        }
        // Stamps never run backwards, so neither does the time by which slow mode counts.
        let at = now.max(self.ahead.last_at());
        let allowed = policy::may_submit(&self.ahead, actor, body, at);
        match allowed {
            // Whether what is outdated has met something depends on where its author looked.
            Ok(()) | Err(Refusal { code: Code::ElementOutdated, .. }) => {}
            Err(refusal) => return Outcome::Refused(refusal),
        }
        if self.ahead.is_settled(body) {
            return Outcome::Settled;
        }
        match (self.verdict(submission, entries, at), allowed) {
            (Verdict::Refuse(code), _) => Outcome::Refused(code.into()),
            (Verdict::Keep(conflict), _) => Outcome::Kept(conflict),
            (Verdict::Accept, Err(refusal)) => Outcome::Refused(refusal),
            (Verdict::Accept, Ok(())) => {
                if let Some(first) = self.make_way(body) {
                    self.sequence((&Actor::System, *op_id), op::encode(first.clone()), first, at, entries);
                }
                self.sequence((actor, *op_id), op.clone(), body.clone(), at, entries)
            }
            (Verdict::Restate(body), _) => {
                if let Err(refusal) = policy::may_submit(&self.ahead, actor, &body, at) {
                    return Outcome::Refused(refusal);
                }
                let op_id = match footing {
                    Footing::Chosen => *op_id,
                    Footing::Live | Footing::Offline(..) => stand_in(*op_id),
                };
                self.sequence((actor, op_id), op::encode(body.clone()), body, at, entries)
            }
        }
    }

    /// Makes the next entry.
    fn sequence(
        &mut self,
        (actor, op_id): (&Actor, OpId),
        op: Vec<u8>,
        body: Body,
        at: Millis,
        entries: &mut Vec<Entry>,
    ) -> Outcome {
        let is_message = matches!(body, Body::PostMessage(_));
        let name = match actor {
            // Who is spoken for by their inbox is known by the name that they have here.
            Actor::User { id, name, .. } if name.is_empty() => {
                self.ahead.members().get(id.as_str()).map_or(id.as_str(), |member| &member.name)
            }
            actor => actor.name(),
        };
        let entry = Entry {
            seq: self.ahead.position().seq + 1,
            op_id,
            author: actor.user().to_string(),
            author_name: name.to_string(),
            at,
            ordinal: if is_message { self.ahead.timeline().head() + 1 } else { 0 },
            op,
            body: Some(body),
        };
        match self.ahead.apply(&entry) {
            Ok(changes) => self.changes.extend(changes),
            Err(_) => return Outcome::Refused(Code::Internal.into()),
        }
        let seq = entry.seq;
        entries.push(entry);
        Outcome::At(seq)
    }

    fn settle(&mut self, decided: Vec<(Submission, Outcome)>, now: Millis) {
        for (submission, outcome) in decided {
            self.conclude(submission, outcome, now);
        }
    }

    fn conclude(&mut self, submission: Submission, outcome: Outcome, now: Millis) {
        let outcome = match outcome {
            // Putting off what is in the log would hold back what follows for ever: its client may have seen the entry.
            Outcome::Refused(refusal) if refusal.code.retry() == Retry::Later => {
                self.logged_at(&submission).map_or(outcome, Outcome::At)
            }
            outcome => outcome,
        };
        match (submission.from, outcome) {
            (From::Connection(conn), Outcome::Refused(refusal)) => {
                self.subscribers.hold_back(conn, submission.op_id, refusal);
                self.reject(conn, submission.op_id.wire(), refusal);
            }
            (From::Connection(conn), outcome @ (Outcome::At(_) | Outcome::Settled)) => {
                let seq = match outcome {
                    Outcome::At(seq) => seq,
                    _ => self.confirmed.position().seq,
                };
                let position = Position { seq, ..self.confirmed.position() };
                let ack = v1::Ack {
                    room_id: self.confirmed.id().as_str().into(),
                    op_id: Some(submission.op_id.wire()),
                    position: Some(position.wire()),
                };
                self.send(conn, Lane::Control, Frame::Ack(ack));
            }
            (From::Connection(conn), Outcome::Kept(conflict)) => {
                self.keep(conn, &submission.actor, *conflict, now);
            }
            (From::Own, _) => {}
            (From::Room(reply), outcome) => {
                // What will never be accepted is settled too: repeating it would not help.
                let settled = match outcome {
                    Outcome::Refused(refusal) => refusal.code.retry() != Retry::Later,
                    _ => true,
                };
                self.effects.push_back(Effect::Delivered { reply, settled });
            }
        }
    }

    /// Where the operation is in the log, as far as is known.
    fn logged_at(&self, submission: &Submission) -> Option<u64> {
        let windows = self.confirmed.windows()?;
        match windows.seen(submission.actor.user(), submission.op_id, &submission.op) {
            Seen::Duplicate(seq) => Some(seq),
            _ => None,
        }
    }

    pub(super) fn reject(&mut self, conn: ConnId, op_id: v1::OpId, refusal: Refusal) {
        let rejection = v1::Rejection {
            room_id: self.confirmed.id().as_str().into(),
            op_id: Some(op_id),
            code: refusal.code.number(),
            retry_after: refusal.retry_after,
            reason: String::from(refusal.code.text()),
            position: Some(self.confirmed.position().wire()),
        };
        self.send(conn, Lane::Control, Frame::Rejection(rejection));
    }
}
