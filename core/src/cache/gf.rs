//! Learned reuse.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::access::fade;
use super::prior;
use super::{Confidence, MAX_PRIORITY, Policy};
use crate::Millis;

/// Rooms of a like past form a class: half an octave of the faded count of visits each.
const COUNTED: usize = 16;
/// And one class more for each confidence of a prediction.
pub(super) const CLASSES: usize = COUNTED + 4;
/// Gaps between two visits, four buckets an octave, up to 16,383 visits and beyond.
pub(super) const BUCKETS: usize = 48;
/// A visit, in the fixed point of [`Seen::count`].
const VISIT: u16 = 16;
/// Counts of visits halve in 16 x 2^6 = 1,024 visits of other rooms.
const FADE_SHIFT: u32 = 6;
/// A visit in the fixed point of evidence.
const UNIT: u32 = 16;
/// Neighbouring classes together weigh at most so many visits: a class of which little is known yet goes by them.
const NEIGHBOUR_VISITS: u32 = 512;
/// Evidence loses a quarter after so many visits, so that habits may change.
const AGEING: u32 = 16_384;
/// One class's table is made anew after a sixty-fourth of all visits so far, but within these bounds.
const REBUILD: (u32, u32) = (4, 128);
/// Residents whose worth is brought up to date with each newcomer; the others' is as old as a few newcomers.
const REFRESH: usize = 8;
/// While little is known, tables change fast and there is time to look at more.
const EARLY: (u32, usize) = (2_048, 32);
/// After so many visits as many of the rooms ever seen are looked at, to know how many of a class wait, and for how long.
const UPKEEP: u32 = 8;
/// The last visits, from which it is known what a cache that evicts by last use would hold. A power of two.
const LOG: u32 = 4_096;
/// Hits by which last use may be ahead of what was learned, before it takes over.
const TRAIL: i32 = 4;
/// How far last use is ahead at first: nothing was learned yet.
const TRAIL_AT_FIRST: i32 = 2;
/// Hits by which learning can be ahead and have it count: it shall not take forever to see that things have changed.
const LEAD: i32 = 16;
/// Visits for which last use decides when it takes over: first, and doubled each time in a row up to.
const SPELL: (u32, u32) = (512, 4_096);
/// In place of a slot: not resident.
const OUT: u16 = u16::MAX;

/// What is known of a room, resident or not: 8 bytes.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// The number of the visit that was its last.
    last: u32,
    /// Faded count of its visits as of then; 0 for a room that was never visited.
    count: u16,
    slot: u16,
}

const UNSEEN: Seen = Seen { last: 0, count: 0, slot: OUT };

/// A resident.
#[derive(Clone, Copy, Debug)]
struct Slot {
    room: u32,
    /// The number of the visit that was its last, or at which it was fetched ahead.
    since: u32,
    /// Where its class begins in the table.
    row: u16,
    /// What its priority adds to its worth.
    bonus: u16,
}

pub(super) type Table = [[u32; BUCKETS]; CLASSES];

/// A worth is a number of 21 bits that rises with the logarithm: 5 bits of octave, 12 below, and 4 that tell rooms of one
/// bucket apart. In the list of worths the slot's own number stands below, so that one sweep finds the least and its
/// place, on signed numbers, of which processors without newer extensions find the least at once as well.
const OCTAVE: u32 = 16;
const SLOT_BITS: u32 = 10;
const SLOTS: usize = 1 << SLOT_BITS;

/// Keeps the rooms that are likely to be used soon for what their place costs.
///
/// Time is the count of visits. For each class it counts after how many visits a room came back, and how many did not
/// come back yet. From that follows, for each age, the largest number of hits for a place and visit that waiting on can
/// give (the Gittins index): the worth of a room of that class and age. The least worth goes.
///
/// Where plain last use does better (habits change faster than they can be learned), it notices, by knowing what a cache
/// of last use would hold, and leaves the choice to last use for a while.
#[derive(Debug)]
pub struct Gf {
    capacity: usize,
    /// Visits so far.
    now: u32,
    rooms: Vec<Seen>,
    slots: Vec<Slot>,
    /// What each slot is worth, and its number: apart from the slots, so that the least is found in one sweep.
    worths: Vec<i32>,
    hand: usize,

    /// Visits that came after such a gap, to a room that was of this class.
    pub(super) returned: Box<Table>,
    /// Visits that put a room into this class.
    pub(super) entered: [u32; CLASSES],
    /// Rooms of this class that have not come back for so long.
    waiting: Box<Table>,
    /// The same, being counted.
    sweep: Box<Table>,
    swept: usize,
    /// Changes of a class since its table was made.
    changes: [u32; CLASSES],
    /// Worth by class and bucket.
    table: Box<[u32; 1_024]>,
    rebuild_at: u32,

    log: Box<[u32; LOG as usize]>,
    /// The visit from which on a cache of last use holds everything, and how many rooms that are.
    tail: u32,
    tail_rooms: usize,
    /// Hits by which last use is ahead.
    pub(super) trail: i32,
    pub(super) spell: u32,
    pub(super) spell_until: u32,
}

/// The bucket of a gap, and its place in it in sixteenths.
fn bucket(gap: u32) -> (usize, u32) {
    let gap = gap.clamp(4, 16_383);
    let octave = gap.ilog2();
    let six = (gap << (31 - octave)) >> 25 & 63;
    (((octave - 2) * 4 + (six >> 4)) as usize, six & 15)
}

/// A fraction in the logarithmic form of worths, without its lowest 4 bits; at least 0, and less than 2^21.
fn worth_of(hits: u64, places: u64) -> u32 {
    let value = ((hits << 24) / places).clamp(1, (1 << 30) - 1) as u32;
    let octave = value.ilog2();
    octave << OCTAVE | ((value << (31 - octave)) >> 15 & 0xfff0)
}

/// Visits from the start of a bucket to its end.
fn width(bucket: usize) -> u64 {
    if bucket == 0 { 5 } else { 1 << (bucket / 4) }
}

fn class(count: u16) -> usize {
    let count = u32::from(count.max(VISIT));
    let octave = count.ilog2();
    // The upper half begins at the square root of two.
    let is_upper = count << (31 - octave) > 0xb504_f333;
    (((octave - 4) * 2) as usize + usize::from(is_upper)).min(COUNTED - 1)
}

fn row(class: usize) -> u16 {
    (class * BUCKETS) as u16
}

fn empty() -> Box<Table> {
    Box::new([[0; BUCKETS]; CLASSES])
}

/// What a slot is worth, and its number.
#[inline]
fn worth_now(table: &[u32; 1_024], now: u32, slot: &Slot, at: usize) -> i32 {
    let (bucket, place) = bucket(now - slot.since);
    // Of equals in a bucket, the older one is worth less.
    let worth = table[(usize::from(slot.row) + bucket) & 1_023] | (15 - place);
    ((worth + u32::from(slot.bonus)) << SLOT_BITS) as i32 | at as i32
}

impl Gf {
    /// One that has seen nothing yet, for a cache of so many rooms.
    pub fn new(capacity: usize) -> Gf {
        let mut gf = Gf {
            capacity: capacity.min(SLOTS),
            now: 0,
            rooms: Vec::new(),
            slots: Vec::new(),
            worths: Vec::new(),
            hand: 0,
            returned: empty(),
            entered: [0; CLASSES],
            waiting: empty(),
            sweep: empty(),
            swept: 0,
            changes: [0; CLASSES],
            table: Box::new([0; 1_024]),
            rebuild_at: REBUILD.0,
            log: Box::new([0; LOG as usize]),
            tail: 1,
            tail_rooms: 0,
            trail: TRAIL_AT_FIRST,
            spell: 0,
            spell_until: 0,
        };
        gf.rebuild_all();
        gf
    }

    /// How many rooms of a class (0 to 15, by half octaves of their visits) came back after a gap of a bucket (0 to 47,
    /// four an octave), and how many are waiting since then.
    pub fn evidence(&self, class: usize, bucket: usize) -> (u32, u32) {
        let of = |table: &Table| table.get(class).and_then(|row| row.get(bucket)).copied().unwrap_or(0);
        (of(&self.returned), of(&self.waiting))
    }

    /// How many visits have put a room into a class.
    pub fn entered(&self, class: usize) -> u32 {
        self.entered.get(class).copied().unwrap_or(0)
    }

    pub(super) fn rebuild_all(&mut self) {
        (0..CLASSES).for_each(|class| self.rebuild(class));
    }

    /// Makes a class's table from what was seen of it, of its neighbours, and the prior.
    fn rebuild(&mut self, class: usize) {
        self.changes[class] = 0;
        // A class by itself: predictions have no neighbours.
        let (below, above) = match class {
            0 => (1, 1),
            _ if class < COUNTED => (class - 1, (class + 1).min(COUNTED - 1)),
            _ => (class, class),
        };
        let visits = if class < COUNTED { self.entered[below] + self.entered[above] } else { 0 };
        // In 256ths.
        let weight = ((NEIGHBOUR_VISITS * UNIT) << 8).checked_div(visits).unwrap_or(0).min(UNIT << 8);
        let mix = |own: u32, below: u32, above: u32| own * UNIT + (((below + above) * weight) >> 8);
        let (mut hits, mut gone) = ([0_u32; BUCKETS], [0_u32; BUCKETS]);
        let (own, known) = (&self.returned[class], [&self.returned[below], &self.returned[above]]);
        let (waits, waiting) = (&self.waiting[class], [&self.waiting[below], &self.waiting[above]]);
        for b in 0..BUCKETS {
            hits[b] = mix(own[b], known[0][b], known[1][b]);
            gone[b] = mix(waits[b], waiting[0][b], waiting[1][b]);
        }
        let ended = hits.iter().chain(&gone).sum::<u32>();
        let never = mix(self.entered[class], self.entered[below], self.entered[above]).saturating_sub(ended);
        let mut left = u64::from(never + prior::never(class));
        for (b, hits) in hits.iter_mut().enumerate() {
            *hits += prior::hits(class, b);
        }
        // From the far end: what a room that has come so far can still give, and until when it is best kept.
        let mut blocks = [(0_u64, 1_u64); BUCKETS];
        let mut count = 0;
        for b in (0..BUCKETS).rev() {
            let (hit, ending) = (u64::from(hits[b]), u64::from(hits[b] + gone[b]));
            let mut block = (hit, (width(b) * (2 * left + ending) / 2).max(1));
            left += ending;
            while count > 0 && blocks[count - 1].0 * block.1 > block.0 * blocks[count - 1].1 {
                count -= 1;
                block = (block.0 + blocks[count].0, block.1 + blocks[count].1);
            }
            blocks[count] = block;
            count += 1;
            self.table[class * BUCKETS + b] = worth_of(block.0, block.1);
        }
    }

    fn worth_now(&self, at: usize) -> i32 {
        worth_now(&self.table, self.now, &self.slots[at], at)
    }

    pub(super) fn refresh(&mut self) {
        let count = if self.now < EARLY.0 { EARLY.1 } else { REFRESH };
        let from = if self.hand < self.slots.len() { self.hand } else { 0 };
        let slots = self.slots[from..].iter().zip(&mut self.worths[from..]).take(count);
        for (at, (slot, worth)) in slots.enumerate() {
            *worth = worth_now(&self.table, self.now, slot, from + at);
        }
        self.hand = from + count;
    }

    fn is_by_last_use(&self) -> bool {
        self.now < self.spell_until
    }

    /// Follows what a cache of last use would hold, and lets it decide while it does better.
    fn compare(&mut self, seen: Seen, is_hit: bool) {
        let would_hit = seen.count > 0 && seen.last >= self.tail;
        self.tail_rooms += usize::from(!would_hit);
        if self.is_by_last_use() {
            return;
        }
        self.trail = (self.trail + i32::from(would_hit) - i32::from(is_hit)).max(-LEAD);
        if self.trail >= TRAIL {
            self.trail = 0;
            self.spell = (self.spell * 2).clamp(SPELL.0, SPELL.1);
            self.spell_until = self.now.saturating_add(self.spell);
        } else if self.trail == -LEAD {
            self.spell = 0;
        }
    }

    fn advance_tail(&mut self, room: u32) {
        self.log[(self.now % LOG) as usize] = room;
        while self.tail_rooms > self.capacity || self.now - self.tail > LOG - 2 {
            let room = self.log[(self.tail % LOG) as usize];
            let is_last = self.rooms.get(room as usize).is_some_and(|seen| seen.last == self.tail);
            self.tail_rooms = self.tail_rooms.saturating_sub(usize::from(is_last));
            self.tail += 1;
            if self.tail > self.now {
                break;
            }
        }
    }

    /// Every few visits: what would cost too much each time.
    fn upkeep(&mut self) {
        for _ in 0..UPKEEP {
            if self.swept >= self.rooms.len() {
                self.swept = 0;
                for class in 0..COUNTED {
                    self.waiting[class] = core::mem::replace(&mut self.sweep[class], [0; BUCKETS]);
                }
            }
            if let Some(seen) = self.rooms.get(self.swept).filter(|seen| seen.count > 0) {
                self.sweep[class(seen.count)][bucket(self.now - seen.last).0] += 1;
            }
            self.swept += 1;
        }
        if self.now >= self.rebuild_at {
            self.rebuild_at = self.now.saturating_add((self.now / 64).clamp(REBUILD.0, REBUILD.1));
            let most = (0..CLASSES).max_by_key(|class| self.changes[*class]);
            if let Some(class) = most.filter(|class| self.changes[*class] > 0) {
                self.rebuild(class);
            }
        }
        if self.now.is_multiple_of(AGEING) {
            let rows = self.returned.iter_mut().chain(&mut self.waiting[COUNTED..]);
            rows.flatten().chain(&mut self.entered).for_each(|count| *count -= *count / 4);
        }
    }

    fn seen(&mut self, room: u32) -> &mut Seen {
        let at = room as usize;
        if self.rooms.len() <= at {
            self.rooms.resize(at + 1, UNSEEN);
        }
        &mut self.rooms[at]
    }

    fn enter(&mut self, room: u32, prefetched: Option<usize>) {
        let (at, now) = (self.slots.len(), self.now);
        if at >= SLOTS {
            return;
        }
        let seen = self.seen(room);
        seen.slot = at as u16;
        let (since, class) = match prefetched {
            Some(class) => (now, class),
            None => (seen.last, class(seen.count)),
        };
        self.slots.push(Slot { room, since, row: row(class), bonus: 0 });
        self.worths.push(self.worth_now(at));
        self.refresh();
    }

    /// What a room of this confidence is worth when it comes in.
    pub fn worth_of_prefetched(&self, confidence: Confidence) -> u32 {
        self.table[(COUNTED + confidence as usize) * BUCKETS]
    }

    /// How many visits ago a room's last was, and its faded count.
    pub(super) fn memory(&self, room: u32) -> Option<(u32, u16)> {
        let seen = self.rooms.get(room as usize).filter(|seen| seen.count > 0)?;
        Some((self.now - seen.last, seen.count))
    }

    pub(super) fn visits(&self) -> u32 {
        self.now
    }

    /// Begins at a number of visits. Only for one that has seen nothing.
    pub(super) fn begin_at(&mut self, now: u32) {
        (self.now, self.tail, self.rebuild_at) = (now, now.saturating_add(1), now);
    }

    pub(super) fn remember(&mut self, room: u32, ago: u32, count: u16) {
        let last = self.now.saturating_sub(ago);
        *self.seen(room) = Seen { last, count, slot: OUT };
    }
}

impl Policy for Gf {
    fn visit(&mut self, room: u32, is_hit: bool, _at: Millis) {
        self.now = self.now.saturating_add(1);
        let mut seen = *self.seen(room);
        self.compare(seen, is_hit);
        if seen.count > 0 {
            let (gap, was) = (self.now - seen.last, class(seen.count));
            self.returned[was][bucket(gap).0] += 1;
            self.changes[was] += 1;
            seen.count = fade(u32::from(seen.count), gap >> FADE_SHIFT) as u16;
        }
        seen.count = seen.count.saturating_add(VISIT);
        seen.last = self.now;
        let class = class(seen.count);
        self.entered[class] += 1;
        self.changes[class] += 1;
        self.rooms[room as usize] = seen;
        if seen.slot != OUT {
            let at = usize::from(seen.slot);
            let slot = &mut self.slots[at];
            let (was, since) = (usize::from(slot.row) / BUCKETS, slot.since);
            (slot.row, slot.since) = (row(class), self.now);
            if was >= COUNTED {
                self.returned[was][bucket(self.now - since).0] += 1;
                self.changes[was] += 1;
            }
            self.worths[at] = self.worth_now(at);
        }
        self.advance_tail(room);
        if self.now.is_multiple_of(UPKEEP) {
            self.upkeep();
        }
    }

    fn admit(&mut self, room: u32) {
        if !self.contains(room) {
            self.enter(room, None);
        }
    }

    fn admit_prefetched(&mut self, room: u32, confidence: Confidence) -> bool {
        if self.contains(room) {
            return true;
        }
        let class = COUNTED + confidence as usize;
        let weakest = self.worths.iter().min().map_or(0, |worth| *worth as u32 >> SLOT_BITS);
        let is_worth_it = self.worth_of_prefetched(confidence) > weakest && !self.is_by_last_use();
        if self.slots.len() >= SLOTS || self.slots.len() >= self.capacity && !is_worth_it {
            return false;
        }
        self.enter(room, Some(class));
        self.entered[class] += 1;
        self.changes[class] += 1;
        true
    }

    fn remove(&mut self, room: u32) {
        let Some(seen) = self.rooms.get_mut(room as usize).filter(|seen| seen.slot != OUT) else { return };
        let at = usize::from(core::mem::replace(&mut seen.slot, OUT));
        let gone = self.slots.swap_remove(at);
        self.worths.swap_remove(at);
        if let Some(moved) = self.slots.get(at) {
            self.rooms[moved.room as usize].slot = at as u16;
            self.worths[at] = self.worths[at] >> SLOT_BITS << SLOT_BITS | at as i32;
        }
        let class = usize::from(gone.row) / BUCKETS;
        if class >= COUNTED {
            // Nobody has come, and nothing later will be known of it.
            self.waiting[class][bucket(self.now - gone.since).0] += 1;
            self.changes[class] += 1;
        }
    }

    fn victim(&self, is_kept: &dyn Fn(u32) -> bool) -> Option<u32> {
        let is_candidate = |slot: &&Slot| !is_kept(slot.room);
        if self.is_by_last_use() {
            return self
                .slots
                .iter()
                .filter(is_candidate)
                .min_by_key(|slot| slot.since)
                .map(|slot| slot.room);
        }
        let least = self.worths.iter().fold(i32::MAX, |least, worth| least.min(*worth));
        let slot = self.slots.get(least as usize & (SLOTS - 1))?;
        if is_candidate(&slot) {
            return Some(slot.room);
        }
        let worths = self.slots.iter().zip(&self.worths).filter(|(slot, _)| is_candidate(slot));
        worths.min_by_key(|(_, worth)| **worth).map(|(slot, _)| slot.room)
    }

    fn worth(&self, room: u32) -> u32 {
        let Some(seen) = self.rooms.get(room as usize).filter(|seen| seen.slot != OUT) else { return 0 };
        let at = usize::from(seen.slot);
        if self.is_by_last_use() { self.slots[at].since } else { self.worths[at] as u32 >> SLOT_BITS }
    }

    fn set_priority(&mut self, room: u32, priority: u8) {
        let at = self.rooms.get(room as usize).map_or(usize::from(OUT), |seen| usize::from(seen.slot));
        if let Some(slot) = self.slots.get_mut(at) {
            // A room of priority 10 counts as if it gave twice as many hits: one octave more.
            slot.bonus = (u32::from(priority.min(MAX_PRIORITY)) * ((1 << OCTAVE) - 1) / 10) as u16;
            self.worths[at] = self.worth_now(at);
        }
    }

    fn forget(&mut self, room: u32) {
        self.remove(room);
        if let Some(seen) = self.rooms.get_mut(room as usize) {
            let was_held = seen.count > 0 && seen.last >= self.tail;
            self.tail_rooms = self.tail_rooms.saturating_sub(usize::from(was_held));
            *seen = UNSEEN;
        }
    }

    fn contains(&self, room: u32) -> bool {
        self.rooms.get(room as usize).is_some_and(|seen| seen.slot != OUT)
    }

    fn len(&self) -> usize {
        self.slots.len()
    }

    fn as_gf(&mut self) -> Option<&mut Gf> {
        Some(self)
    }
}
