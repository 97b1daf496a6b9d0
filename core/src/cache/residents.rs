//! What every policy keeps: a table with an entry for each room, and the list of those that are in.

use alloc::vec::Vec;

/// An entry for each room number. Those that nobody has set are as by default.
#[derive(Clone, Debug, Default)]
pub(super) struct ByRoom<T>(Vec<T>);

impl<T: Copy + Default> ByRoom<T> {
    pub(super) fn of(&self, room: u32) -> T {
        self.0.get(room as usize).copied().unwrap_or_default()
    }

    pub(super) fn of_mut(&mut self, room: u32) -> &mut T {
        let at = room as usize;
        if self.0.len() <= at {
            self.0.resize(at + 1, T::default());
        }
        &mut self.0[at]
    }

    /// The entries that there are, by number.
    pub(super) fn all(&self) -> &[T] {
        &self.0
    }
}

/// The rooms that are in. The order means nothing, but follows from what was done.
#[derive(Clone, Debug, Default)]
pub(super) struct Residents {
    rooms: Vec<u32>,
    /// The place of each in the list, counted from 1; 0 is not in.
    places: ByRoom<u32>,
}

impl Residents {
    pub(super) fn contains(&self, room: u32) -> bool {
        self.places.of(room) > 0
    }

    pub(super) fn len(&self) -> usize {
        self.rooms.len()
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = u32> {
        self.rooms.iter().copied()
    }

    /// Returns whether it was not in before.
    pub(super) fn insert(&mut self, room: u32) -> bool {
        let place = self.places.of_mut(room);
        let is_new = *place == 0;
        if is_new {
            self.rooms.push(room);
            *place = self.rooms.len() as u32;
        }
        is_new
    }

    /// Returns whether it was in.
    pub(super) fn remove(&mut self, room: u32) -> bool {
        let place = core::mem::take(self.places.of_mut(room));
        let Some(at) = place.checked_sub(1) else { return false };
        self.rooms.swap_remove(at as usize);
        if let Some(moved) = self.rooms.get(at as usize) {
            *self.places.of_mut(*moved) = place;
        }
        true
    }
}
