//! The rooms, and lists of those about which something is to be done, so that no step looks at all of them.
//!
//! Whatever may have changed a room marks it; it is listed anew before the lists are next asked. So a step costs what it
//! changes, and ten thousand Cached rooms cost a step nothing.

use alloc::vec::Vec;

use super::rooms::{LOAD, Room, room_request_due};
use super::{Client, Millis};
use crate::long::LongMap;
use crate::{RoomId, Tier};

/// What rooms are listed for, and by what they are ordered.
#[derive(Clone, Copy, Debug)]
pub(super) enum List {
    /// It changes its tier, or its snapshot is given up: when.
    Due,
    /// A request about it is repeated: when.
    Request,
    /// It is not stored as it is: since when.
    Dirty,
    /// Cached, and the server was not told: the one used last first.
    Untold,
    /// Background: the one left longest ago first.
    Background,
    /// Active.
    Active,
    /// Something of it ends with the connection.
    Linked,
    /// The server watches it as Cached.
    Watched,
    /// Somebody waits for something that is on its way.
    Busy,
    /// It is held, and there was no place for it.
    Waiting,
}

const LISTS: usize = 10;
/// The key of a room that is not in a list.
const NOT_LISTED: u64 = u64::MAX;

/// A room's key in each list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keys([u64; LISTS]);

impl Default for Keys {
    fn default() -> Keys {
        Keys([NOT_LISTED; LISTS])
    }
}

impl Keys {
    fn set(&mut self, list: List, key: Option<u64>) {
        self.0[list as usize] = key.map_or(NOT_LISTED, |key| key.min(NOT_LISTED - 1));
    }
}

#[derive(Debug, Default)]
pub(super) struct Rooms {
    rooms: LongMap<RoomId, Room>,
    lists: [LongMap<(u64, RoomId), ()>; LISTS],
    /// Rooms that may be listed wrongly.
    marked: Vec<RoomId>,
    /// How often a room was looked at: what steps cost.
    #[cfg(test)]
    pub(super) looks: core::sync::atomic::AtomicUsize,
}

impl Rooms {
    pub(super) fn len(&self) -> usize {
        self.rooms.len()
    }

    fn look(&self) {
        #[cfg(test)]
        self.looks.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
    }

    pub(super) fn get(&self, id: &RoomId) -> Option<&Room> {
        self.look();
        self.rooms.get(id)
    }

    pub(super) fn get_key_value(&self, id: &RoomId) -> Option<(&RoomId, &Room)> {
        self.rooms.get_key_value(id)
    }

    pub(super) fn contains_key(&self, id: &RoomId) -> bool {
        self.rooms.contains_key(id)
    }

    /// The room, to be changed.
    pub(super) fn get_mut(&mut self, id: &RoomId) -> Option<&mut Room> {
        self.look();
        let room = self.rooms.get_mut(id)?;
        if !core::mem::replace(&mut room.is_marked, true) {
            self.marked.push(id.clone());
        }
        Some(room)
    }

    /// The room, to be changed; an empty one if there was none.
    pub(super) fn get_or_default(&mut self, id: &RoomId) -> &mut Room {
        self.look();
        let room = self.rooms.get_or_insert_with(id.clone(), Room::default);
        if !core::mem::replace(&mut room.is_marked, true) {
            self.marked.push(id.clone());
        }
        room
    }

    pub(super) fn remove(&mut self, id: &RoomId) {
        if let Some(room) = self.rooms.remove(id) {
            self.enlist(id, room.keys, Keys::default());
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&RoomId, &Room)> {
        self.rooms.iter().inspect(|_| self.look())
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &RoomId> {
        self.iter().map(|(id, _)| id)
    }

    /// The rooms of a list, in its order.
    pub(super) fn list(&self, list: List) -> impl Iterator<Item = (u64, &RoomId)> {
        self.lists[list as usize].iter().inspect(|_| self.look()).map(|((key, id), ())| (*key, id))
    }

    pub(super) fn count(&self, list: List) -> usize {
        self.lists[list as usize].len()
    }

    fn enlist(&mut self, id: &RoomId, from: Keys, to: Keys) {
        for (list, (from, to)) in self.lists.iter_mut().zip(from.0.into_iter().zip(to.0)) {
            if from == to {
                continue;
            }
            if from != NOT_LISTED {
                list.remove(&(from, id.clone()));
            }
            if to != NOT_LISTED {
                list.insert((to, id.clone()), ());
            }
        }
    }
}

impl Client {
    /// Lists anew what has changed. Costs nothing where nothing has.
    pub(super) fn relist(&mut self) {
        while let Some(id) = self.outbox.told.pop() {
            self.rooms.get_mut(&id);
        }
        while let Some(id) = self.rooms.marked.pop() {
            let keys = self.keys_of(&id);
            // What could not go before may go now.
            if self.cache_is_kept && self.tier_of(&id) == Tier::Cached {
                self.cache_is_kept = self.pinned(&id).is_some();
            }
            let Some(room) = self.rooms.rooms.get_mut(&id) else { continue };
            room.is_marked = false;
            let before = core::mem::replace(&mut room.keys, keys);
            self.rooms.enlist(&id, before, keys);
        }
    }

    /// All rooms may have changed.
    pub(super) fn relist_all(&mut self) {
        let ids: Vec<RoomId> = self.rooms.keys().cloned().collect();
        for id in ids {
            self.rooms.get_mut(&id);
        }
    }

    /// The rooms of a list, as it is now.
    pub(super) fn listed(&mut self, list: List) -> Vec<RoomId> {
        self.relist();
        self.rooms.list(list).map(|(_, id)| id.clone()).collect()
    }

    /// The rooms of a list whose time has come.
    pub(super) fn listed_until(&mut self, list: List, until: Millis) -> Vec<RoomId> {
        self.relist();
        self.rooms.list(list).take_while(|(at, _)| *at <= until.0).map(|(_, id)| id.clone()).collect()
    }

    /// Rooms that are live, and those of which something ends with the connection.
    pub(super) fn linked(&mut self) -> Vec<RoomId> {
        let mut ids = self.listed(List::Active);
        ids.extend(self.listed(List::Background));
        let others = self.rooms.list(List::Linked).map(|(_, id)| id);
        let others = others.filter(|id| self.tier_of(id) < Tier::Background).cloned();
        let others: Vec<RoomId> = others.collect();
        ids.extend(others);
        ids
    }

    /// The first time in a list of times. Rooms that have changed since the host has last taken effects count as they are
    /// and as they were: too early does no harm.
    pub(super) fn first_at(&self, list: List) -> Option<Millis> {
        let listed = self.rooms.list(list).next().map(|(at, _)| at);
        let changed = self.rooms.marked.iter().chain(&self.outbox.told);
        let changed = changed.map(|id| self.keys_of(id).0[list as usize]).filter(|at| *at != NOT_LISTED);
        changed.chain(listed).min().map(Millis)
    }

    /// Every room is listed as if all were listed now.
    #[cfg(test)]
    pub(super) fn check_lists(&self) {
        assert!(self.rooms.marked.is_empty() && self.outbox.told.is_empty());
        let mut counts = [0; LISTS];
        for (id, room) in self.rooms.iter() {
            assert_eq!(room.keys, self.keys_of(id), "{id:?}");
            counts
                .iter_mut()
                .zip(room.keys.0)
                .for_each(|(count, key)| *count += usize::from(key != NOT_LISTED));
        }
        assert_eq!(self.rooms.lists.each_ref().map(LongMap::len), counts);
    }

    fn keys_of(&self, id: &RoomId) -> Keys {
        let mut keys = Keys::default();
        let Some(room) = self.rooms.get(id) else { return keys };
        let tier = room.tier();
        let is_waited_for = room.asked.is_some() || room.loading.is_some();
        let is_linked = room.told.is_some()
            || room.asked.is_some()
            || room.retry_at.is_some()
            || room.parts.is_some()
            || room.history.asked.is_some();
        let mark = |is_listed: bool| is_listed.then_some(0);
        let loading = room.loading.map(|since| since + LOAD);
        let due = self.next_tier(id).map(|(due, ..)| due).into_iter().chain(loading).min();
        keys.set(List::Due, due.map(|due| due.0));
        keys.set(List::Request, room_request_due(room).map(|due| due.0));
        keys.set(List::Dirty, room.dirty_since.map(|since| since.0));
        let is_untold = tier == Tier::Cached && room.told.is_none();
        keys.set(List::Untold, is_untold.then_some(NOT_LISTED - 1 - room.since.0));
        keys.set(List::Background, (tier == Tier::Background).then_some(room.since.0));
        keys.set(List::Active, mark(tier == Tier::Active));
        keys.set(List::Linked, mark(is_linked));
        keys.set(List::Watched, mark(room.told == Some(Tier::Cached)));
        keys.set(List::Busy, mark(is_waited_for && !self.is_own_inbox(id)));
        keys.set(List::Waiting, mark(room.holders > 0 && !room.is_fixed && tier < Tier::Active));
        keys
    }
}
