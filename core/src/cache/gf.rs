//! Learned reuse.

use super::access::fade;
use super::recent::Recent;
use super::residents::{ByRoom, Residents};
use super::reuse::{BUCKETS, COUNTED, OCTAVE, Reuse, VISIT, row};
use super::shelf::{OUT, SLOTS, Shelf, Slot};
use super::{Confidence, MAX_PRIORITY, Policy};
use crate::Millis;

/// Counts of visits halve in 16 x 2^6 = 1,024 visits of other rooms.
const FADE_SHIFT: u32 = 6;
/// Blocks of slots whose worth is brought up to date with each newcomer; that of the others is as old as a few newcomers.
const REFRESH: usize = 1;
/// While little is known, tables change fast and there is time to look at more.
const EARLY: (u32, usize) = (2_048, 4);
/// After so many visits some of the rooms ever seen are looked at, to know how many of a class wait, and for how long: as
/// many, while little is known, and later fewer.
const UPKEEP: u32 = 8;
const SWEPT: u32 = 3;
/// Hits by which learning has to be ahead of last use before it decides: in general, and while last use has had no hit that
/// learning had not.
const AHEAD: (i32, i32) = (5, 2);
/// Hits by which it may be behind before last use decides again.
const BEHIND: i32 = 2;
/// Hits by which learning can be ahead, or last use, and have it count: it shall not take forever to see that things have
/// changed.
const MOST_AHEAD: (i32, i32) = (16, 2);

/// What is known of a room, resident or not: 12 bytes.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// The number of the visit that was its last.
    last: u32,
    /// Faded count of its visits as of then; 0 for a room that was never visited.
    count: u16,
    /// Its place on the shelf.
    slot: u16,
    /// The class of the count.
    class: u8,
    priority: u8,
}

impl Default for Seen {
    fn default() -> Seen {
        Seen { last: 0, count: 0, slot: OUT, class: 0, priority: 0 }
    }
}

/// Keeps the rooms that are likely to be used soon for what their place costs.
///
/// Time is the count of visits. For each class it counts after how many visits a room came back, and how many did not
/// come back yet. From that follows, for each age, the largest number of hits for a place and visit that waiting on can
/// give (the Gittins index): the worth of a room of that class and age. The least worth goes.
///
/// Learning takes time, and where habits change faster than they can be learned, plain last use does better. So it follows
/// what each of the two would hold, and one of them decides: last use at first, and learning when it would have had more
/// hits.
#[derive(Debug)]
pub struct Gf {
    capacity: usize,
    /// Visits so far.
    now: u32,
    rooms: ByRoom<Seen>,
    residents: Residents,
    /// How many rooms of some priority there may be, so that they need not be looked for where there are none.
    weighed: u32,
    pub(super) reuse: Reuse,
    /// What learning would hold, and which room it gave up last.
    shelf: Shelf,
    gone: u32,
    /// What last use would hold.
    recent: Recent,
    pub(super) duel: Duel,
    /// How far the sweep through the rooms ever seen has come.
    swept: usize,
}

/// Who decides.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Duel {
    pub(super) is_learned: bool,
    /// Hits by which learning is ahead since that was so.
    pub(super) lead: i32,
    /// Whether last use has ever had a hit that learning had not.
    pub(super) was_close: bool,
}

impl Duel {
    #[inline]
    fn note(&mut self, is_learned_hit: bool, is_recent_hit: bool) {
        if is_learned_hit == is_recent_hit {
            return;
        }
        self.was_close |= is_recent_hit;
        self.lead += i32::from(is_learned_hit) - i32::from(is_recent_hit);
        if self.is_learned {
            self.lead = self.lead.min(MOST_AHEAD.0);
            if self.lead <= -BEHIND {
                (self.is_learned, self.lead) = (false, 0);
            }
        } else {
            self.lead = self.lead.max(-MOST_AHEAD.1);
            if self.lead >= if self.was_close { AHEAD.0 } else { AHEAD.1 } {
                (self.is_learned, self.lead) = (true, 0);
            }
        }
    }
}

impl Gf {
    /// One that has seen nothing yet, for a cache of so many rooms.
    pub fn new(capacity: usize) -> Gf {
        let capacity = capacity.min(SLOTS);
        Gf {
            capacity,
            now: 0,
            rooms: ByRoom::default(),
            residents: Residents::default(),
            weighed: 0,
            reuse: Reuse::new(),
            shelf: Shelf::new(capacity),
            gone: u32::MAX,
            recent: Recent::new(capacity),
            duel: Duel::default(),
            swept: 0,
        }
    }

    /// How many rooms of a class (0 to 15, by half octaves of their visits) came back after a gap of a bucket (0 to 47,
    /// four an octave), and how many are waiting since then.
    pub fn evidence(&self, class: usize, bucket: usize) -> (u32, u32) {
        let of = |table: &super::reuse::Table| {
            table.get(class).and_then(|row| row.get(bucket)).copied().unwrap_or(0)
        };
        (of(&self.reuse.returned), of(&self.reuse.waiting))
    }

    /// How many visits have put a room into a class.
    pub fn entered(&self, class: usize) -> u32 {
        self.reuse.entered.get(class).copied().unwrap_or(0)
    }

    /// Whether what was learned decides, and not last use.
    pub fn is_learned(&self) -> bool {
        self.duel.is_learned
    }

    /// Every few visits: what would cost too much each time.
    fn upkeep(&mut self) {
        for _ in 0..if self.now < 2 * EARLY.0 { UPKEEP } else { SWEPT } {
            if self.swept >= self.rooms.all().len() {
                self.swept = 0;
                self.reuse.end_sweep();
            }
            if let Some(seen) = self.rooms.all().get(self.swept).filter(|seen| seen.count > 0) {
                self.reuse.count_waiting(seen.class, self.now - seen.last);
            }
            self.swept += 1;
        }
        self.reuse.upkeep(self.now);
    }

    pub(super) fn refresh(&mut self) {
        let blocks = if self.now < EARLY.0 { EARLY.1 } else { REFRESH };
        self.shelf.refresh(blocks, &self.reuse, self.now);
    }

    /// Puts a room on the shelf, where the weakest gives way if there is no place.
    fn shelve(&mut self, room: u32, since: u32, row: u16, priority: u8) {
        let slot = Slot { room, since, row, bonus: bonus(priority) };
        let at = if !self.shelf.is_full() {
            self.shelf.push(slot, &self.reuse, self.now)
        } else if let Some((at, weakest)) = self.shelf.replace_weakest(slot, &self.reuse, self.now) {
            self.give_up(&weakest);
            at
        } else {
            return;
        };
        self.rooms.of_mut(room).slot = at;
        self.refresh();
    }

    fn give_up(&mut self, slot: &Slot) {
        self.gone = slot.room;
        self.rooms.of_mut(slot.room).slot = OUT;
        let class = usize::from(slot.row) / BUCKETS;
        if class >= COUNTED {
            // Nobody has come, and nothing later will be known of it.
            self.reuse.lose(class, self.now - slot.since);
        }
    }

    /// Takes a room from the shelf, if it is there.
    fn unshelve(&mut self, room: u32) {
        let at = self.rooms.of(room).slot;
        if let Some(slot) = self.shelf.slot(at).copied() {
            self.give_up(&slot);
            if let Some(moved) = self.shelf.remove(at, &self.reuse, self.now) {
                self.rooms.of_mut(moved.room).slot = at;
            }
        }
    }

    /// What a room of this confidence is worth when it comes in.
    pub fn worth_of_prefetched(&self, confidence: Confidence) -> u32 {
        self.reuse.worth(row(COUNTED as u8 + confidence as u8), 0)
    }

    /// How many visits ago a room was visited or fetched.
    fn idle(&self, room: u32) -> u32 {
        let seen = self.rooms.of(room);
        self.now - self.shelf.slot(seen.slot).map_or(seen.last, |slot| slot.since)
    }

    /// By last use: how much is to be said for evicting a room. The priority 10 makes it half as old.
    fn staleness(&self, room: u32) -> u64 {
        let most = u64::from(MAX_PRIORITY);
        (u64::from(self.idle(room)) + 1) * (2 * most - u64::from(self.rooms.of(room).priority).min(most))
    }

    /// How many visits ago a room's last was, and its faded count.
    pub(super) fn memory(&self, room: u32) -> Option<(u32, u16)> {
        let seen = self.rooms.of(room);
        (seen.count > 0).then(|| (self.now - seen.last, seen.count))
    }

    pub(super) fn visits(&self) -> u32 {
        self.now
    }

    /// Begins at a number of visits. Only for one that has seen nothing.
    pub(super) fn begin_at(&mut self, now: u32) {
        self.now = now;
        self.recent.begin_at(now);
        self.reuse.begin_at(now);
    }

    pub(super) fn remember(&mut self, room: u32, ago: u32, count: u16) {
        let last = self.now.saturating_sub(ago);
        *self.rooms.of_mut(room) = Seen { last, count, class: self.reuse.class(count), ..Seen::default() };
        if count > 0 {
            self.recent.remember(room, last);
        }
    }
}

fn bonus(priority: u8) -> u16 {
    // A room of priority 10 counts as if it gave twice as many hits: one octave more.
    (u32::from(priority.min(MAX_PRIORITY)) * ((1 << OCTAVE) - 1) / 10) as u16
}

impl Policy for Gf {
    fn visit(&mut self, room: u32, _is_hit: bool, _at: Millis) {
        self.now = self.now.saturating_add(1);
        let now = self.now;
        let seen = self.rooms.of_mut(room);
        let was = *seen;
        let gap = now - was.last;
        seen.count = fade(u32::from(was.count), gap >> FADE_SHIFT) as u16;
        seen.count = seen.count.saturating_add(VISIT);
        seen.class = self.reuse.class(seen.count);
        seen.last = now;
        let (class, priority) = (seen.class, seen.priority);
        if was.count > 0 {
            self.reuse.came_back(usize::from(was.class), gap);
        }
        self.reuse.enter(usize::from(class));
        self.duel.note(was.slot != OUT, self.recent.holds(was.last));
        if let Some(slot) = self.shelf.slot(was.slot).copied() {
            let from = usize::from(slot.row) / BUCKETS;
            if from >= COUNTED {
                self.reuse.came_back(from, now - slot.since);
            }
            let slot = Slot { since: now, row: row(class), ..slot };
            self.shelf.set(was.slot, slot, &self.reuse, now);
        } else {
            self.shelve(room, now, row(class), priority);
        }
        self.recent.visit(room, was.last, now, |room| self.rooms.of(room).last);
        if now.is_multiple_of(UPKEEP) {
            self.upkeep();
        }
    }

    fn admit(&mut self, room: u32) {
        if self.residents.insert(room) && !self.shelf.is_full() {
            let seen = self.rooms.of(room);
            if seen.slot == OUT {
                self.shelve(room, seen.last, row(seen.class), seen.priority);
            }
        }
    }

    fn admit_prefetched(&mut self, room: u32, confidence: Confidence) -> bool {
        if self.contains(room) {
            return true;
        }
        let class = COUNTED + confidence as usize;
        let beats_weakest =
            !self.shelf.is_full() || self.worth_of_prefetched(confidence) > self.shelf.weakest().1;
        let has_place = self.residents.len() < self.capacity;
        if !(has_place || beats_weakest && self.duel.is_learned) {
            return false;
        }
        self.residents.insert(room);
        let (seen, row) = (self.rooms.of(room), row(class as u8));
        if let Some(slot) = self.shelf.slot(seen.slot).copied() {
            self.shelf.set(seen.slot, Slot { since: self.now, row, ..slot }, &self.reuse, self.now);
        } else if beats_weakest {
            self.shelve(room, self.now, row, seen.priority);
        } else {
            return true;
        }
        self.reuse.enter(class);
        true
    }

    fn remove(&mut self, room: u32) {
        self.residents.remove(room);
        // What was fetched ahead has no other claim.
        let slot = self.shelf.slot(self.rooms.of(room).slot);
        if slot.is_some_and(|slot| usize::from(slot.row) >= COUNTED * BUCKETS) {
            self.unshelve(room);
        }
    }

    fn victim(&self, is_kept: &dyn Fn(u32) -> bool) -> Option<u32> {
        let is_candidate = |room: &u32| !is_kept(*room);
        let is_in = |room: &u32| self.residents.contains(*room);
        if self.duel.is_learned {
            let is_gone = |room: &u32| self.rooms.of(*room).slot == OUT && is_in(room);
            let key = |room: &u32| {
                let seen = self.rooms.of(*room);
                if seen.slot == OUT { (0, seen.last) } else { (1, self.shelf.worth(seen.slot)) }
            };
            let gone = Some(self.gone).filter(is_gone).filter(is_candidate);
            return gone.or_else(|| self.residents.iter().filter(is_candidate).min_by_key(key));
        }
        let is_dropped =
            |room: &u32| self.weighed == 0 && is_in(room) && !self.recent.holds(self.rooms.of(*room).last);
        let dropped = Some(self.recent.dropped).filter(is_dropped).filter(is_candidate);
        dropped.or_else(|| {
            self.residents.iter().rev().filter(is_candidate).max_by_key(|room| self.staleness(*room))
        })
    }

    fn worth(&self, room: u32) -> u32 {
        if !self.contains(room) {
            return 0;
        }
        if self.duel.is_learned {
            self.shelf.worth(self.rooms.of(room).slot)
        } else {
            u32::MAX - self.idle(room)
        }
    }

    fn set_priority(&mut self, room: u32, priority: u8) {
        let seen = self.rooms.of_mut(room);
        seen.priority = priority;
        let at = seen.slot;
        self.weighed = self.weighed.saturating_add(u32::from(priority > 0));
        if let Some(slot) = self.shelf.slot(at).copied() {
            self.shelf.set(at, Slot { bonus: bonus(priority), ..slot }, &self.reuse, self.now);
        }
    }

    fn forget(&mut self, room: u32) {
        self.remove(room);
        self.unshelve(room);
        let seen = core::mem::take(self.rooms.of_mut(room));
        self.recent.forget(seen.last);
    }

    fn contains(&self, room: u32) -> bool {
        self.residents.contains(room)
    }

    fn capacity(&self) -> usize {
        self.capacity
    }

    fn len(&self) -> usize {
        self.residents.len()
    }

    fn as_gf(&mut self) -> Option<&mut Gf> {
        Some(self)
    }
}
