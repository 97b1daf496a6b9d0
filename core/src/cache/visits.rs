//! The record of visits, and what another cache would have made of them.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::PolicyKind;
use super::record::{Reader, Writer};
use crate::{Code, Millis, limits};

/// The last [`VISITS_RECORDED`](limits::VISITS_RECORDED) visits: which room, as a number that says nothing to others, and
/// when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visits(VecDeque<(u32, Millis)>);

/// What a cache would have done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WhatIf {
    /// Visits that would have found their room.
    pub hits: u32,
    /// Visits that would not.
    pub misses: u32,
    /// Rooms that would have gone.
    pub evictions: u32,
}

impl Visits {
    /// Notes a visit. Rooms have numbers below [`ROOMS_SEEN`](limits::ROOMS_SEEN); others are passed over.
    pub fn push(&mut self, room: u32, at: Millis) {
        if room as usize >= limits::ROOMS_SEEN {
            return;
        }
        if self.0.len() >= limits::VISITS_RECORDED {
            self.0.pop_front();
        }
        let at = self.0.back().map_or(at, |(_, before)| at.max(*before));
        self.0.push_back((room, at));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, Millis)> {
        self.0.iter().copied()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A dry run: what a cache of so many rooms with this policy would have made of these visits, beginning empty, with
    /// nothing that keeps a room and no priorities.
    pub fn what_if(&self, capacity: usize, policy: PolicyKind) -> WhatIf {
        let capacity = capacity.clamp(1, limits::CACHED_ROOMS);
        let mut cache = policy.make(capacity);
        let hits = self.0.iter().filter(|(room, at)| cache.navigate(*room, capacity, *at)).count();
        let misses = self.0.len() - hits;
        WhatIf { hits: hits as u32, misses: misses as u32, evictions: (misses - cache.len()) as u32 }
    }

    /// As bytes: layout, checksum, visits. Rooms are numbers in them, not names.
    pub fn export(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.number(self.0.len() as u64);
        let mut before = Millis(0);
        for (room, at) in &self.0 {
            writer.number(u64::from(*room));
            writer.number(at.since(before));
            before = *at;
        }
        writer.finish()
    }

    /// From the bytes of [`export`](Visits::export).
    ///
    /// # Errors
    /// [`Code::TraceDamaged`], and [`Code::TraceTooNew`] for a layout that this version does not know.
    pub fn import(bytes: &[u8]) -> Result<Visits, Code> {
        let reader = Reader::open(bytes, Code::TraceDamaged, Code::TraceTooNew)?;
        Visits::read(reader).ok_or(Code::TraceDamaged)
    }

    fn read(mut reader: Reader<'_>) -> Option<Visits> {
        let count = reader.up_to(limits::VISITS_RECORDED as u64)?;
        let (mut visits, mut at) = (VecDeque::new(), Millis(0));
        for _ in 0..count {
            let room = reader.up_to(limits::ROOMS_SEEN as u64 - 1)? as u32;
            at = at + reader.number()?;
            visits.push_back((room, at));
        }
        reader.is_empty().then_some(Visits(visits))
    }
}
