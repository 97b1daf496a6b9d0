//! Changes of messages in the fold: edits, deletions, reactions and pins, each found by the message's id.

use alloc::sync::Arc;
use alloc::vec::Vec;

use prost::Message as _;

use super::{Change, Timeline, message, register};
use crate::op::{self, Body};
use crate::{Digest, Entry, OpId, hash53, limits, v1, weight};

impl Timeline {
    /// Folds an entry that changes a message, wherever that is held. Replicas that don't hold it have nothing to
    /// change; all of them know that it is pinned, which the digest covers.
    pub(super) fn amend(
        &mut self,
        entry: &Entry,
        body: &Body,
        digest: &mut Digest,
        changes: &mut Vec<Change>,
    ) {
        let Some((id, seq)) = op::target(body) else { return };
        let was_pinned = self.pin_place(id);
        match body {
            Body::Pin(pin) if !pin.removed => {
                if was_pinned.is_some() || self.pins.len() >= limits::PINS {
                    return;
                }
                let stub =
                    || Arc::new(v1::Message { id: Some(id.wire()), seq, pinned: true, ..Default::default() });
                let known = self.find(id).cloned().unwrap_or_else(stub);
                self.pins.push(known);
                digest.add(pin_hash(id));
            }
            Body::Pin(_) | Body::DeleteMessage(_) => {
                if let Some(place) = was_pinned {
                    self.pins.remove(place);
                    digest.remove(pin_hash(id));
                }
            }
            _ => {}
        }
        let is_pinned = self.pin_place(id);
        if is_pinned.is_some() != was_pinned.is_some() {
            changes.push(Change::Pins);
        }
        // A message that came with history may be changed by this entry already.
        let change = |message: &mut Arc<v1::Message>| {
            let mut changed = v1::Message::clone(message);
            let is_changed = message::replay(&mut changed, entry);
            if is_changed {
                *message = Arc::new(changed);
            }
            is_changed
        };
        let ordinal = self.by_id(id).map(|message| message.ordinal);
        if let Some(place) = ordinal.and_then(|ordinal| self.place(ordinal).ok()) {
            let held = &mut self.window[place];
            let before = weight::message(held);
            if change(held) {
                self.bytes = self.bytes + weight::message(held) - before;
                changes.push(Change::MessageChanged(held.ordinal));
                if let Some(pin) = is_pinned {
                    self.pins[pin] = held.clone();
                    changes.push(Change::Pins);
                }
            }
        } else if let Some(pin) = is_pinned
            && self.pins[pin].ordinal > 0
            && change(&mut self.pins[pin])
        {
            changes.push(Change::Pins);
        }
        let wire = Some(id.wire());
        if let Some(held) = self.fetched.iter_mut().find(|held| held.id == wire) {
            change(held);
        }
    }

    /// The pins of a snapshot, as the digest knows them.
    pub(super) fn hash_pins(&self, digest: &mut Digest) {
        let ids = self.pins.iter().filter_map(|pin| OpId::parse(pin.id.as_ref()).ok());
        ids.for_each(|id| digest.add(pin_hash(id)));
    }

    fn pin_place(&self, id: OpId) -> Option<usize> {
        let wire = Some(id.wire());
        self.pins.iter().position(|pin| pin.id == wire)
    }
}

/// Of a pin the digest covers the id; the message's content follows from the log, which the chain covers.
fn pin_hash(id: OpId) -> u64 {
    hash53(&id.wire().encode_to_vec(), register::PIN)
}
