//! Those that predict: what people usually build, and the core's.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use enfilade_core::RoomId;
use enfilade_core::predict::{Bounds, Predictor};

use crate::prefetch::Prefetcher;

/// The most visited rooms.
#[derive(Default)]
pub struct Popular {
    counts: BTreeMap<u32, u32>,
    visits: u32,
}

impl Prefetcher for Popular {
    fn visit(&mut self, room: u32) {
        *self.counts.entry(room).or_default() += 1;
        self.visits += 1;
    }

    fn predict(&self, count: usize, is_held: &dyn Fn(u32) -> bool) -> Vec<(u32, u32)> {
        let chance = |count: u32| (u64::from(count) * 1_000_000 / u64::from(self.visits)) as u32;
        let rooms = self.counts.iter().filter(|(room, _)| !is_held(**room));
        likeliest(rooms.map(|(room, count)| (*room, chance(*count))).collect(), count)
    }
}

/// What came after a context.
type After = Vec<(u32, u32)>;

/// Prediction by partial matching: counts after every context of up to so many rooms, blended from the longest to the
/// shortest by the escape method C, with exclusion. With one room alone it is Markov-1.
pub struct Ppm {
    shortest: usize,
    contexts: Vec<HashMap<Vec<u32>, After>>,
    history: Vec<u32>,
    rooms: usize,
}

impl Ppm {
    /// One room of context, and nothing where it is unknown.
    pub fn markov() -> Ppm {
        Ppm::new(1, 1)
    }

    /// Four rooms of context down to none.
    pub fn four() -> Ppm {
        Ppm::new(0, 4)
    }

    fn new(shortest: usize, longest: usize) -> Ppm {
        Ppm { shortest, contexts: vec![HashMap::new(); longest + 1], history: Vec::new(), rooms: 0 }
    }

    fn context(&self, length: usize) -> Option<&[u32]> {
        Some(&self.history[self.history.len().checked_sub(length)?..])
    }
}

impl Prefetcher for Ppm {
    fn visit(&mut self, room: u32) {
        self.rooms = self.rooms.max(room as usize + 1);
        for length in self.shortest..self.contexts.len() {
            let Some(context) = self.context(length).map(<[u32]>::to_vec) else { break };
            let after = self.contexts[length].entry(context).or_default();
            match after.iter_mut().find(|(known, _)| *known == room) {
                Some((_, count)) => *count += 1,
                None => after.push((room, 1)),
            }
        }
        self.history.push(room);
        if self.history.len() == self.contexts.len() {
            self.history.remove(0);
        }
    }

    fn predict(&self, count: usize, is_held: &dyn Fn(u32) -> bool) -> Vec<(u32, u32)> {
        // In 2^32nds.
        let mut rest = 1_u64 << 32;
        let mut chances: Vec<(u32, u64)> = Vec::new();
        let mut is_known = vec![false; self.rooms];
        for length in (self.shortest..self.contexts.len()).rev() {
            let Some(after) = self.context(length).and_then(|context| self.contexts[length].get(context))
            else {
                continue;
            };
            let new: Vec<&(u32, u32)> = after.iter().filter(|(room, _)| !is_known[*room as usize]).collect();
            let seen: u64 = new.iter().map(|(_, count)| u64::from(*count)).sum();
            let all = seen + new.len() as u64;
            if !new.is_empty() {
                chances.extend(new.iter().map(|(room, count)| (*room, rest * u64::from(*count) / all)));
                new.iter().for_each(|(room, _)| is_known[*room as usize] = true);
                rest = rest * new.len() as u64 / all;
            }
        }
        let open = chances.into_iter().filter(|(room, _)| !is_held(*room));
        likeliest(open.map(|(room, chance)| (room, ((chance * 1_000_000) >> 32) as u32)).collect(), count)
    }
}

fn likeliest(mut rooms: Vec<(u32, u32)>, count: usize) -> Vec<(u32, u32)> {
    let key = |(room, chance): &(u32, u32)| (Reverse(*chance), *room);
    if rooms.len() > count {
        rooms.select_nth_unstable_by_key(count, key);
        rooms.truncate(count);
    }
    rooms.sort_by_key(key);
    rooms
}

/// The core's predictor, with names for rooms.
pub struct Core {
    predictor: Predictor,
    names: Vec<RoomId>,
}

impl Default for Core {
    fn default() -> Core {
        Core { predictor: Predictor::new(Bounds::default()), names: Vec::new() }
    }
}

impl Prefetcher for Core {
    fn visit(&mut self, room: u32) {
        for number in self.names.len()..=room as usize {
            self.names.extend(RoomId::new(&format!("room-{number}")));
        }
        self.predictor.visit(&self.names[room as usize]);
    }

    fn predict(&self, count: usize, is_held: &dyn Fn(u32) -> bool) -> Vec<(u32, u32)> {
        let number = |name: &str| name.trim_start_matches("room-").parse().unwrap_or(u32::MAX);
        let predicted = self.predictor.predict(count, |name| is_held(number(name)));
        predicted.iter().map(|likely| (number(likely.room.as_str()), likely.confidence)).collect()
    }

    fn bytes(&self) -> usize {
        self.predictor.memory_bytes()
    }
}
