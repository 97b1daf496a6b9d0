//! Sending: operations from the app's hand to their acknowledgement.

use alloc::boxed::Box;
use alloc::string::{String, ToString};

use super::connection::known;
use super::content::Content;
use super::view::Synced;
use super::{Client, Event, RoomChange};
use crate::op::{self, Body};
use crate::pending::{OpState, PendingOp};
use crate::policy::{self, Actor, Facts, Refusal};
use crate::{Code, Millis, OpId, Position, Retry, RoomId, Tier, limits, pending, v1};

/// The newest message that the user has read in a room, before the inbox says so.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marker {
    pub(super) ordinal: u64,
    sent_at: Option<Millis>,
}

/// Read markers of one room are sent at most this often.
const MARKER_INTERVAL: u64 = 1_000;
/// Markers that are remembered. Beyond, those that the inbox has confirmed are forgotten.
const MARKERS: usize = 1_024;
/// The wait after an operation was put off without a time, doubled each time.
const PUT_OFF: (u64, u64) = (500, 30_000);

impl Client {
    pub(super) fn enqueue(&mut self, id: &RoomId, body: Body, now: Millis) -> Result<OpId, Refusal> {
        let bytes = op::encode(body.clone());
        op::parse(&bytes)?;
        if self.pending.len() >= limits::PENDING_OPS {
            return Err(Code::Overloaded.into());
        }
        self.predict(id, &body, now)?;
        if let Some(waiting) = self.add_to_waiting(id, &body) {
            return Ok(waiting);
        }
        let (counter, must_store) = self.counter.take();
        if must_store {
            self.save_meta();
        }
        let op_id = OpId { client: self.client_id, counter };
        let base = self.rooms.get(id).and_then(|room| room.content.base());
        let not_before = match &body {
            Body::SetReadMarker(marker) => self.marker_due(&marker.room_id),
            _ => Millis(0),
        };
        self.foresee(id, &body);
        // Held from here on, so that the app sees what it has asked for.
        self.room_mut(id);
        self.pending.push(PendingOp {
            id: op_id,
            room: id.clone(),
            body,
            bytes,
            since: now,
            offline: !self.link.is_online(),
            base,
            seen: alloc::vec::Vec::new(),
            was_sent: false,
            sent_at: now,
            not_before,
            state: OpState::Queued,
        });
        self.outbox.room(id, RoomChange::Pending);
        self.elements_changed(id, op_id);
        self.flush(now);
        // What was sent at once has been stored with that fact.
        if self.pending.get(op_id).is_some_and(|op| !op.was_sent) {
            self.save_op(op_id);
        }
        Ok(op_id)
    }

    /// Whether the authority would refuse, as far as can be told from here. It is asked in the end; so where the
    /// state is not up to date, or will have changed by then, the answer is left to it.
    fn predict(&self, id: &RoomId, body: &Body, now: Millis) -> Result<(), Refusal> {
        let (Some(room), Some(user)) = (self.rooms.get(id), &self.user) else { return Ok(()) };
        let Content::Active(active) = &room.content else { return Ok(()) };
        let decides_later = |op: &PendingOp| {
            let decides_nothing = matches!(
                op.body,
                Body::PostMessage(_) | Body::SetReadMarker(_) | Body::PutElements(_) | Body::AddScore(_)
            ) || op::target(&op.body).is_some();
            !decides_nothing && !op.is_acknowledged()
        };
        if room.synced != Synced::Ready || self.pending.of(id).any(decides_later) {
            return Ok(());
        }
        let owner = active.state.info().map_or("", |info| &info.owner);
        // Where the inbox is not here to ask, the authority knows.
        let follows = self.own_inbox_state().map(|inbox| inbox.contacts().follows(owner));
        let facts = Facts { is_admin: false, follows_owner: Some(follows.unwrap_or(true)) };
        let actor = Actor::User { id: user.id.clone(), name: user.name.clone(), facts };
        let server_now = self.signals.clock.server(now);
        match policy::may_submit(&active.state, &actor, body, server_now) {
            // It may lie beyond what is held here.
            Err(Refusal { code: Code::NoSuchMessage, .. }) => Ok(()),
            predicted => predicted,
        }
    }

    /// Notes what the room will be when its creation is confirmed, so that it can be shown before.
    pub(super) fn foresee(&mut self, id: &RoomId, body: &Body) {
        self.touch(id, body);
        let Body::CreateRoom(create) = body else { return };
        let owner = self.user.as_ref().map_or(String::new(), |user| user.id.as_str().to_string());
        let info = v1::RoomInfo {
            name: create.name.clone(),
            topic: create.topic.clone(),
            visibility: create.visibility,
            owner,
            created_at: 0,
        };
        self.room_mut(id).predicted = Some(Box::new(info));
        self.outbox.room(id, RoomChange::Meta);
    }

    /// Sends what may be sent now.
    pub(super) fn flush(&mut self, now: Millis) {
        self.pending.requeue_overdue(now);
        while self.link.is_online()
            && let Some(op) = self.pending.next(now, self.link.in_flight)
        {
            let (op_id, room, is_first) = (op.id, op.room.clone(), !op.was_sent);
            let submit = v1::Submit {
                room_id: room.as_str().to_string(),
                op_id: Some(op_id.wire()),
                op: op.bytes.clone(),
                base: op.base.map(Position::wire),
                offline: op.offline,
                seen: op.seen.clone(),
            };
            if let Body::SetReadMarker(marker) = &op.body
                && let Ok(target) = RoomId::new(&marker.room_id)
            {
                self.markers.entry(target).or_default().sent_at = Some(now);
            }
            self.pending.mark_sent(op_id, now);
            if is_first {
                self.save_op(op_id);
            }
            let bytes = self.send(v1::client_frame::Body::Submit(submit));
            self.room_mut(&room).bytes_out += bytes as u64;
            self.outbox.room(&room, RoomChange::Pending);
        }
    }

    pub(super) fn acknowledged(&mut self, ack: v1::Ack, now: Millis) {
        let (Ok(op_id), Some(position)) = (OpId::parse(ack.op_id.as_ref()), ack.position) else {
            return self.malformed(now);
        };
        let Some(op) = self.pending.get(op_id) else { return };
        let (id, position) = (op.room.clone(), Position::from(position));
        let is_creation = matches!(op.body, Body::CreateRoom(_));
        self.forget_record(&pending::key(op_id));
        let content = self.rooms.get(&id).map(|room| &room.content);
        let is_shown = content.is_none_or(|content| {
            let at = content.position();
            let is_reached = at.epoch == position.epoch && at.seq >= position.seq;
            content.tier() <= Tier::Cached || is_reached || content.shows(op_id)
        });
        if is_shown {
            if let Some(op) = self.pending.remove(op_id) {
                self.touch(&id, &op.body);
            }
        } else {
            self.pending.acknowledge(op_id, position);
        }
        self.outbox.room(&id, RoomChange::Pending);
        if is_creation {
            self.tell(&id, now);
        }
        self.flush(now);
        self.sweep(&id);
    }

    pub(super) fn rejected(&mut self, rejection: v1::Rejection, now: Millis) {
        let Ok(op_id) = OpId::parse(rejection.op_id.as_ref()) else { return self.malformed(now) };
        let Some(op) = self.pending.get(op_id).filter(|op| !op.is_acknowledged()) else { return };
        let id = op.room.clone();
        self.outbox.room(&id, RoomChange::Pending);
        let code = known(rejection.code);
        match Code::retry_of(rejection.code) {
            Retry::Later | Retry::Resync => {
                let (shortest, longest) = PUT_OFF;
                let doubled = shortest << self.pending.times_put_off(&id).min(8);
                let wait = match rejection.retry_after {
                    0 => doubled.min(longest),
                    // A slow mode may last for hours, but no number of the server's silences a room for ever.
                    asked => asked.min(24 * 60 * 60_000),
                };
                self.pending.put_off(op_id, now + wait, code);
                if Code::retry_of(rejection.code) == Retry::Resync {
                    self.resume(&id, now);
                }
            }
            // The queue goes on with the next token.
            Retry::NewToken => self.reject_token(),
            Retry::Never => {
                let (retry_after, reason) = (rejection.retry_after, rejection.reason);
                self.outbox.event(Event::Rejected { op_id, room: id, code, retry_after, reason });
                self.withdraw_op(op_id, now);
            }
        }
        self.flush(now);
    }

    /// Takes an operation out that will have no effect, cancelled or refused for good, and what rests on it.
    pub(super) fn withdraw_op(&mut self, op_id: OpId, now: Millis) {
        let dependents = self.pending.dependents(op_id);
        self.withdraw_one(op_id, now);
        for (op_id, code) in dependents {
            let Some(room) = self.pending.get(op_id).map(|op| op.room.clone()) else { continue };
            self.withdraw_one(op_id, now);
            let reason = String::new();
            self.outbox.event(Event::Rejected { op_id, room, code, retry_after: 0, reason });
        }
    }

    /// Replaces what a waiting operation asks for.
    pub(super) fn edit_op(&mut self, op_id: OpId, body: Body) -> Result<(), Code> {
        op::parse(&op::encode(body.clone()))?;
        self.pending.may_edit(op_id, &body)?;
        let Some(id) = self.pending.get(op_id).map(|op| op.room.clone()) else { return Ok(()) };
        self.foresee(&id, &body);
        // What it would have written, and what it will.
        self.elements_changed(&id, op_id);
        self.pending.replace(op_id, body);
        self.elements_changed(&id, op_id);
        self.save_op(op_id);
        self.outbox.room(&id, RoomChange::Pending);
        Ok(())
    }

    fn withdraw_one(&mut self, op_id: OpId, now: Millis) {
        if let Some(id) = self.pending.get(op_id).map(|op| op.room.clone()) {
            self.elements_changed(&id, op_id);
        }
        let Some(op) = self.pending.remove(op_id) else { return };
        self.forget_record(&pending::key(op_id));
        self.touch(&op.room, &op.body);
        match &op.body {
            Body::CreateRoom(_) => {
                self.room_mut(&op.room).predicted = None;
                self.outbox.room(&op.room, RoomChange::Meta);
                self.tell(&op.room, now);
            }
            // The conflict may be open again.
            Body::ResolveConflict(_) => self.outbox.conflicts(),
            Body::SetReadMarker(marker) => {
                if let Ok(target) = RoomId::new(&marker.room_id) {
                    self.markers.remove(&target);
                    self.unread_changed(&target);
                }
            }
            _ => {}
        }
        self.outbox.room(&op.room, RoomChange::Pending);
        self.sweep(&op.room);
    }

    /// The view shows the entry of this operation: it is pending no longer, acknowledged or not.
    pub(super) fn confirm(&mut self, id: &RoomId, op_id: OpId) {
        if let Some(op) = self.pending.remove(op_id) {
            self.forget_record(&pending::key(op_id));
            self.touch(id, &op.body);
            self.outbox.room(id, RoomChange::Pending);
        }
    }

    pub(super) fn mark(&mut self, id: &RoomId, now: Millis) {
        let Some(inbox) = self.own_inbox().cloned() else { return };
        let content = self.rooms.get(id).map_or(0, |room| match room.tier() {
            // What is shown is what was read.
            Tier::Active | Tier::Background => room.content.messages(),
            Tier::Cached | Tier::Unloaded => self.head(id),
        });
        let ordinal = if content == 0 { self.head(id) } else { content };
        if ordinal == 0 || ordinal <= self.read_up_to(id) {
            return;
        }
        self.markers.entry(id.clone()).or_default().ordinal = ordinal;
        self.unread_changed(id);
        let body = Body::SetReadMarker(v1::SetReadMarker { room_id: id.as_str().to_string(), ordinal });
        let is_same = |op: &&PendingOp| match &op.body {
            Body::SetReadMarker(marker) => !op.was_sent && marker.room_id == id.as_str(),
            _ => false,
        };
        let waiting = self.pending.of(&inbox).find(is_same).map(|op| op.id);
        match waiting {
            Some(waiting) => {
                self.pending.replace(waiting, body);
                self.save_op(waiting);
            }
            None => {
                // Nothing about a marker can be refused but its size; then it stays as it was.
                let _ = self.enqueue(&inbox, body, now);
            }
        }
        self.prune_markers();
    }

    fn marker_due(&self, target: &str) -> Millis {
        let marker = RoomId::new(target).ok().and_then(|target| self.markers.get(&target));
        marker.and_then(|marker| marker.sent_at).map_or(Millis(0), |sent| sent + MARKER_INTERVAL)
    }

    fn prune_markers(&mut self) {
        if self.markers.len() > MARKERS {
            let mut markers = core::mem::take(&mut self.markers);
            markers.retain(|id, marker| self.inbox_read(id) < marker.ordinal);
            self.markers = markers;
        }
    }
}
