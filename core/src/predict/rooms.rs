//! The rooms that are known: their names, how often they are visited, and when they last were.

use alloc::string::String;
use alloc::vec::Vec;

use crate::order::sorted;

/// What is known of a room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// Where its name ends; it begins where the last one's ends.
    pub(super) name_end: u16,
    /// Its visits, halved every so often.
    pub(super) visits: u16,
    /// Number of its last visit.
    pub(super) last: u32,
}

/// Rooms by number, by name and by rank.
#[derive(Clone, Debug, Default)]
pub(super) struct Rooms {
    pub(super) known: Vec<Known>,
    pub(super) names: String,
    /// Numbers in the order of names.
    by_name: Vec<u16>,
    /// Numbers, the most visited first.
    pub(super) ranks: Vec<u16>,
    /// The inverse: each room's place in `ranks`.
    places: Vec<u16>,
}

impl Rooms {
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.known.capacity() * size_of::<Known>()
            + self.names.capacity()
            + (self.by_name.capacity() + self.ranks.capacity() + self.places.capacity()) * size_of::<u16>()
    }

    pub(super) fn name(&self, room: u16) -> &str {
        let start = match usize::from(room).checked_sub(1) {
            Some(before) => self.known[before].name_end,
            None => 0,
        };
        &self.names[usize::from(start)..usize::from(self.known[usize::from(room)].name_end)]
    }

    pub(super) fn find(&self, name: &str) -> Option<u16> {
        let place = self.by_name.binary_search_by(|room| self.name(*room).cmp(name)).ok()?;
        Some(self.by_name[place])
    }

    pub(super) fn reserve(&mut self, rooms: usize) {
        self.known.reserve_exact(rooms);
        self.by_name.reserve_exact(rooms);
        self.ranks.reserve_exact(rooms);
        self.places.reserve_exact(rooms);
    }

    /// Takes in a room that is not known. The caller has made room.
    pub(super) fn add(&mut self, name: &str, now: u32) -> u16 {
        let number = self.known.len() as u16;
        let place = self.by_name.partition_point(|room| self.name(*room) < name);
        self.by_name.insert(place, number);
        self.names.push_str(name);
        self.known.push(Known { name_end: self.names.len() as u16, visits: 0, last: now });
        self.ranks.push(number);
        self.places.push(number);
        number
    }

    /// Counts a visit. The ranks stay in order: the room changes places with the first of its equals.
    pub(super) fn visit(&mut self, room: u16, now: u32) {
        let visits = self.known[usize::from(room)].visits;
        let first = self.ranks.partition_point(|other| self.known[usize::from(*other)].visits > visits);
        let place = self.places[usize::from(room)];
        let other = self.ranks[first];
        self.ranks.swap(first, usize::from(place));
        self.places[usize::from(other)] = place;
        self.places[usize::from(room)] = first as u16;
        let known = &mut self.known[usize::from(room)];
        (known.visits, known.last) = (visits.saturating_add(1), now);
    }

    /// Halves all counts, and gives their sum.
    pub(super) fn halve(&mut self) -> u32 {
        self.known.iter_mut().for_each(|known| known.visits /= 2);
        self.known.iter().map(|known| u32::from(known.visits)).sum()
    }

    /// Chooses which to forget: of those visited least, the ones visited longest ago. Gives the numbers that the rest
    /// will have.
    pub(super) fn choose(&self, forget: usize, spare: &[u16]) -> Vec<Option<u16>> {
        let worth = |room: &u16| {
            let known = &self.known[usize::from(*room)];
            (known.visits, known.last, *room)
        };
        let rooms = (0..self.known.len() as u16).filter(|room| !spare.contains(room)).collect();
        let order = sorted(rooms, |one, other| worth(one) < worth(other));
        let mut numbers = alloc::vec![Some(0); self.known.len()];
        order.iter().take(forget).for_each(|room| numbers[usize::from(*room)] = None);
        for (number, kept) in numbers.iter_mut().flatten().enumerate() {
            *kept = number as u16;
        }
        numbers
    }

    /// Gives rooms their new numbers, in the same order, and forgets those that get none.
    pub(super) fn renumber(&mut self, numbers: &[Option<u16>]) {
        let mut names = String::with_capacity(self.names.capacity());
        let mut known = Vec::with_capacity(self.known.capacity());
        for room in (0..self.known.len()).filter(|room| numbers[*room].is_some()) {
            names.push_str(self.name(room as u16));
            known.push(Known { name_end: names.len() as u16, ..self.known[room] });
        }
        self.known = known;
        self.names = names;
        let renumbered = |list: &mut Vec<u16>| {
            list.retain(|room| numbers[usize::from(*room)].is_some());
            list.iter_mut().for_each(|room| *room = numbers[usize::from(*room)].unwrap_or(*room));
        };
        renumbered(&mut self.by_name);
        renumbered(&mut self.ranks);
        self.place();
    }

    /// Rooms out of their parts, if they can be.
    pub(super) fn restore(known: Vec<Known>, names: String, ranks: Vec<u16>) -> Option<Rooms> {
        let mut rooms = Rooms { known, names, ranks, ..Rooms::default() };
        let count = rooms.len();
        let mut start = 0;
        for known in &rooms.known {
            let name = rooms.names.get(start..usize::from(known.name_end))?;
            crate::RoomId::new(name).ok()?;
            start += name.len();
        }
        let mut is_ranked = alloc::vec![false; count];
        for room in &rooms.ranks {
            *is_ranked.get_mut(usize::from(*room))? = true;
        }
        let visits = |room: &u16| rooms.known[usize::from(*room)].visits;
        let is_ordered = rooms.ranks.is_sorted_by(|one, other| visits(one) >= visits(other));
        let by_name = sorted((0..count as u16).collect(), |one, other| rooms.name(*one) < rooms.name(*other));
        let is_unique = by_name.is_sorted_by(|one, other| rooms.name(*one) < rooms.name(*other));
        rooms.by_name = by_name;
        let is_whole = start == rooms.names.len()
            && rooms.ranks.len() == count
            && is_ranked.iter().all(|ranked| *ranked);
        if !is_whole || !is_ordered || !is_unique {
            return None;
        }
        rooms.place();
        Some(rooms)
    }

    fn place(&mut self) {
        self.places.resize(self.ranks.len(), 0);
        for (place, room) in self.ranks.iter().enumerate() {
            self.places[usize::from(*room)] = place as u16;
        }
    }
}
