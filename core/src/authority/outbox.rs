//! What an entry entails in other rooms: idempotent, and repeated until the other room has settled it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::entailed::{entailed, target};
use super::{Authority, ConnId, Effect, Reply};
use crate::op::{self, Body};
use crate::{Code, Entry, Millis, OpId, RoomId, UserId};

/// Milliseconds after which a delivery that was not answered, or not settled, is repeated.
const RETRY_INTERVAL: u64 = 2_000;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    next: u64,
    deliveries: BTreeMap<u64, Delivery>,
    /// Edits of messages that are not held: whom they mention can be told when the message has been fetched.
    lookups: Vec<Lookup>,
}

#[derive(Debug)]
struct Lookup {
    entry: Entry,
    retry_at: Millis,
}

#[derive(Debug)]
struct Delivery {
    to: RoomId,
    body: Body,
    retry_at: Millis,
    then: Then,
}

/// What happens when the other room has settled a delivery.
#[derive(Clone, Copy, Debug)]
pub(super) enum Then {
    Nothing,
    /// The operation of this connection is refused: it lies in its author's inbox now.
    Refuse(ConnId, OpId),
    /// The chosen side of this conflict is where it should be.
    Settle(OpId),
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.deliveries.is_empty() && self.lookups.is_empty()
    }

    /// Whether the chosen side of this conflict is on its way.
    pub(super) fn is_settling(&self, id: OpId) -> bool {
        self.deliveries.values().any(|delivery| matches!(delivery.then, Then::Settle(of) if of == id))
    }

    /// Forgets all deliveries. Numbers are not used again: answers to forgotten ones may be under way.
    pub(super) fn forget(&mut self) {
        self.deliveries.clear();
        self.lookups.clear();
    }

    pub(super) fn next_retry(&self) -> Option<Millis> {
        let lookups = self.lookups.iter().map(|lookup| lookup.retry_at);
        self.deliveries.values().map(|delivery| delivery.retry_at).chain(lookups).min()
    }
}

impl Authority {
    /// The other room's answer to an [`Effect::Deliver`].
    pub fn handle_delivered(&mut self, delivery: u64, settled: bool) {
        if !settled {
            return;
        }
        match self.outbox.deliveries.remove(&delivery).map(|delivery| delivery.then) {
            Some(Then::Refuse(conn, op_id)) => self.reject(conn, op_id.wire(), Code::ConflictKept.into()),
            Some(Then::Settle(id)) => self.settle_choice(id),
            Some(Then::Nothing) | None => {}
        }
        self.put_snapshot_when_due();
    }

    /// Sends off what this confirmed entry entails.
    pub(super) fn follow_up(&mut self, entry: &Entry, now: Millis) {
        if let Some(Body::EditMessage(edit)) = &entry.body
            && !edit.mentions.is_empty()
            && edit.message_seq > 0
            && target(&self.confirmed, entry).is_none()
        {
            self.outbox.lookups.push(Lookup { entry: entry.clone(), retry_at: now + RETRY_INTERVAL });
            return self.ask_for_message(edit.message_seq);
        }
        self.deliver_all(entailed(&self.confirmed, entry), now);
    }

    /// Follows up the edits of a message that was fetched, or turned out to be none.
    pub(super) fn follow_up_fetched(&mut self, seq: u64, is_known: bool, now: Millis) {
        if !is_known {
            return;
        }
        let is_of = |lookup: &mut Lookup| {
            lookup.entry.body.as_ref().and_then(op::target).is_some_and(|(_, of)| of == seq)
        };
        let known: Vec<Lookup> = self.outbox.lookups.extract_if(.., is_of).collect();
        known.iter().for_each(|lookup| self.deliver_all(entailed(&self.confirmed, &lookup.entry), now));
    }

    fn deliver_all(&mut self, deliveries: Vec<(UserId, Body)>, now: Millis) {
        for (user, body) in deliveries {
            self.dispatch(RoomId::inbox(&user), body, Then::Nothing, now);
        }
    }

    /// Has something done in another room, until that is settled.
    pub(super) fn dispatch(&mut self, to: RoomId, body: Body, then: Then, now: Millis) {
        let delivery = self.outbox.next;
        self.outbox.next += 1;
        let retry_at = now + RETRY_INTERVAL;
        self.outbox.deliveries.insert(delivery, Delivery { to, body, retry_at, then });
        self.emit(delivery);
    }

    pub(super) fn retry_deliveries(&mut self, now: Millis) {
        let due = |(number, delivery): (&u64, &mut Delivery)| {
            (delivery.retry_at <= now).then(|| {
                delivery.retry_at = now + RETRY_INTERVAL;
                *number
            })
        };
        let due: Vec<u64> = self.outbox.deliveries.iter_mut().filter_map(due).collect();
        due.into_iter().for_each(|number| self.emit(number));
        let mut missing = Vec::new();
        for lookup in self.outbox.lookups.iter_mut().filter(|lookup| lookup.retry_at <= now) {
            lookup.retry_at = now + RETRY_INTERVAL;
            missing.extend(lookup.entry.body.as_ref().and_then(op::target));
        }
        missing.into_iter().for_each(|(_, seq)| self.ask_for_message(seq));
    }

    fn emit(&mut self, number: u64) {
        if let Some(delivery) = self.outbox.deliveries.get(&number) {
            self.effects.push_back(Effect::Deliver {
                to: delivery.to.clone(),
                reply: Reply { room: self.confirmed.id().clone(), delivery: number },
                body: delivery.body.clone(),
            });
        }
    }
}
