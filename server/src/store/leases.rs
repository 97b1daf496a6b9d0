use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use enfilade_core::RoomId;
use tokio::time::Instant;

use super::{Lease, Result, StoreError};

/// Leases that are held at once: every live room of a large node, with room to spare.
const LEASES: usize = 200_000;

/// Leases in memory, for stores that a single process uses.
#[derive(Default)]
pub(super) struct Leases {
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    rooms: BTreeMap<RoomId, BTreeMap<String, (Bytes, Instant)>>,
    count: usize,
}

impl Leases {
    pub(super) fn put(&self, room: &RoomId, node: &str, note: Bytes, ttl: Duration) -> Result<()> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if ttl.is_zero() {
            held.remove(room, node);
            return Ok(());
        }
        if held.count >= LEASES {
            held.forget_expired(now);
        }
        let known = held.rooms.get(room).is_some_and(|nodes| nodes.contains_key(node));
        if !known {
            if held.count >= LEASES {
                return Err(StoreError::Overloaded);
            }
            held.count += 1;
        }
        held.rooms.entry(room.clone()).or_default().insert(node.to_owned(), (note, now + ttl));
        Ok(())
    }

    pub(super) fn of(&self, room: &RoomId) -> Vec<Lease> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        held.forget_expired_of(room, now);
        let Some(nodes) = held.rooms.get(room) else { return Vec::new() };
        let lease = |(node, (note, until)): (&String, &(Bytes, Instant))| Lease {
            node: node.clone(),
            note: note.clone(),
            remaining: until.duration_since(now),
        };
        nodes.iter().map(lease).collect()
    }
}

impl Held {
    fn remove(&mut self, room: &RoomId, node: &str) {
        let Some(nodes) = self.rooms.get_mut(room) else { return };
        if nodes.remove(node).is_some() {
            self.count -= 1;
        }
        if nodes.is_empty() {
            self.rooms.remove(room);
        }
    }

    fn forget_expired_of(&mut self, room: &RoomId, now: Instant) {
        let Some(nodes) = self.rooms.get_mut(room) else { return };
        let before = nodes.len();
        nodes.retain(|_, (_, until)| *until > now);
        self.count -= before - nodes.len();
        if nodes.is_empty() {
            self.rooms.remove(room);
        }
    }

    fn forget_expired(&mut self, now: Instant) {
        let mut count = 0;
        self.rooms.retain(|_, nodes| {
            nodes.retain(|_, (_, until)| *until > now);
            count += nodes.len();
            !nodes.is_empty()
        });
        self.count = count;
    }
}
