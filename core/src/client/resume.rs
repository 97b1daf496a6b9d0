//! After a reset everything is asked for again, but not at once: Active rooms first, Background rooms by urgency, Cached
//! rooms a few at a time once the connection stands.

use alloc::vec::Vec;

use super::Client;
use super::index::List;
use crate::order::sorted;
use crate::tier::Tier;
use crate::{Millis, RoomId, v1};

/// Cached rooms that are told of at a time: a frame each, of less than a hundred bytes.
const BATCH: usize = 50;
/// Milliseconds between two such batches, so that what people look at comes first.
const BATCH_INTERVAL: u64 = 250;

impl Client {
    /// What a hello asks for, most urgent first.
    pub(super) fn rooms_to_resume(&mut self, now: Millis) -> Vec<v1::SetTier> {
        let mut live = self.listed(List::Active);
        live.extend(self.listed(List::Background));
        let live = sorted(live, |a, b| a < b);
        let live = live.iter().filter_map(|id| self.rooms.get_key_value(id));
        // Mentions, then unread, then the one left last; what is Active is all equal.
        let urgency = |id: &RoomId, since: Millis, tier: Tier| match tier {
            Tier::Active => (tier, false, false, Millis(0)),
            _ => (tier, self.mentions(id) > 0, self.unread(id) > 0, since),
        };
        let live = live.map(|(id, room)| (urgency(id, room.since, room.tier()), id.clone())).collect();
        most_urgent_first(live).iter().filter_map(|id| self.request(id, now)).collect()
    }

    /// Rooms whose tier has changed since the hello; the Cached ones that it left out are still to come.
    pub(super) fn tell_what_has_changed(&mut self, now: Millis) {
        self.linked().iter().for_each(|id| self.tell(id, now));
        self.link.cached_due = Some(now + BATCH_INTERVAL);
    }

    /// Tells of some more Cached rooms, the one used last first, until the server watches as many as it does.
    pub(super) fn tell_of_cached(&mut self, now: Millis) {
        if !self.link.is_online() || self.link.cached_due.take_if(|due| *due <= now).is_none() {
            return;
        }
        self.relist();
        let untold: Vec<RoomId> =
            self.rooms.list(List::Untold).take(BATCH).map(|(_, id)| id.clone()).collect();
        let has_more = self.rooms.count(List::Untold) > BATCH;
        untold.iter().for_each(|id| self.tell(id, now));
        if has_more && self.may_watch_one_more() {
            self.link.cached_due = Some(now + BATCH_INTERVAL);
        }
    }

    /// Whether the server watches one more Cached room for us. What it does not watch is told by the room list.
    pub(super) fn may_watch_one_more(&self) -> bool {
        self.rooms.count(List::Watched) < self.link.cached_rooms
    }
}

/// Greatest first; equals ascending by id, as they come.
fn most_urgent_first<K: Ord + Copy>(mut rooms: Vec<(K, RoomId)>) -> Vec<RoomId> {
    let mut first = Vec::new();
    while let Some(place) = (0..rooms.len()).rev().max_by_key(|place| rooms[*place].0) {
        first.push(rooms.remove(place).1);
    }
    first
}
