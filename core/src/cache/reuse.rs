//! What was seen of how soon rooms come back, and what a place is therefore worth.

use alloc::boxed::Box;

use super::prior;

/// Rooms of a like past form a class: half an octave of the faded count of visits each.
pub(super) const COUNTED: usize = 16;
/// And one class more for each confidence of a prediction.
pub(super) const CLASSES: usize = COUNTED + 4;
/// Gaps between two visits, four buckets an octave, up to 16,383 visits and beyond.
pub(super) const BUCKETS: usize = 48;
/// A visit, in the fixed point of faded counts.
pub(super) const VISIT: u16 = 16;
/// A visit in the fixed point of evidence.
pub(super) const UNIT: u32 = 16;
/// Neighbouring classes together weigh at most so many visits: a class of which little is known yet goes by them.
const NEIGHBOUR_VISITS: u32 = 512;
/// Evidence loses a quarter after so many visits, so that habits may change.
const AGEING: u32 = 16_384;
/// One class's table is made anew after a sixty-fourth of all visits so far, but within these bounds.
const REBUILD: (u32, u32) = (4, 256);

pub(super) type Table = [[u32; BUCKETS]; CLASSES];

/// A worth is a number of 21 bits that rises with the logarithm: 5 bits of octave, 12 below, and 4 that tell rooms of one
/// bucket apart.
pub(super) const OCTAVE: u32 = 16;

/// Counts by class, and the table that follows from them.
#[derive(Debug)]
pub(super) struct Reuse {
    /// Visits that came after such a gap, to a room that was of this class.
    pub(super) returned: Box<Table>,
    /// Visits that put a room into this class.
    pub(super) entered: [u32; CLASSES],
    /// Rooms of this class that have not come back for so long.
    pub(super) waiting: Box<Table>,
    /// The same, being counted.
    sweep: Box<Table>,
    /// Changes of a class since its table was made.
    changes: [u32; CLASSES],
    /// Worth by class and bucket.
    table: Box<[u32; 1_024]>,
    rebuild_at: u32,
    log: Log,
}

fn empty() -> Box<Table> {
    Box::new([[0; BUCKETS]; CLASSES])
}

impl Reuse {
    pub(super) fn new() -> Reuse {
        let mut reuse = Reuse {
            returned: empty(),
            entered: [0; CLASSES],
            waiting: empty(),
            sweep: empty(),
            changes: [0; CLASSES],
            table: Box::new([0; 1_024]),
            rebuild_at: REBUILD.0,
            log: Log::new(),
        };
        reuse.rebuild_all();
        reuse
    }

    /// The worth of a room after a gap, whose class begins there in the table.
    #[inline]
    pub(super) fn worth(&self, row: u16, gap: u32) -> u32 {
        let log = self.log.of(gap);
        // Of equals in a bucket, the older one is worth less.
        self.table[(usize::from(row) + (log >> 4)) & 1_023] | (15 - (log & 15)) as u32
    }

    /// The bucket of a gap.
    #[inline]
    fn bucket(&self, gap: u32) -> usize {
        self.log.of(gap) >> 4
    }

    /// The class of a faded count.
    #[inline]
    pub(super) fn class(&self, count: u16) -> u8 {
        let log = self.log.of(u32::from(count.max(VISIT)));
        // The upper half begins at the square root of two: 27 of 64.
        ((log >> 6) * 2 + usize::from(log & 63 >= 27) - 4).min(COUNTED - 1) as u8
    }

    /// A room of this class came back after a gap.
    #[inline]
    pub(super) fn came_back(&mut self, class: usize, gap: u32) {
        let bucket = self.bucket(gap);
        self.returned[class][bucket] += 1;
        self.changes[class] += 1;
    }

    /// A room has come into this class.
    #[inline]
    pub(super) fn enter(&mut self, class: usize) {
        self.entered[class] += 1;
        self.changes[class] += 1;
    }

    /// A room of this class went, and nothing later will be known of it.
    pub(super) fn lose(&mut self, class: usize, gap: u32) {
        let bucket = self.bucket(gap);
        self.waiting[class][bucket] += 1;
        self.changes[class] += 1;
    }

    /// A room of this class is waiting.
    pub(super) fn count_waiting(&mut self, class: u8, gap: u32) {
        let bucket = self.bucket(gap);
        self.sweep[usize::from(class)][bucket] += 1;
    }

    /// All that are waiting were counted.
    pub(super) fn end_sweep(&mut self) {
        for class in 0..COUNTED {
            self.waiting[class] = core::mem::replace(&mut self.sweep[class], [0; BUCKETS]);
        }
    }

    /// Now and then: one class's table, and the fading of evidence.
    pub(super) fn upkeep(&mut self, now: u32) {
        if now >= self.rebuild_at {
            self.rebuild_at = now.saturating_add((now / 64).clamp(REBUILD.0, REBUILD.1));
            let most = (0..CLASSES).max_by_key(|class| self.changes[*class]);
            if let Some(class) = most.filter(|class| self.changes[*class] > 0) {
                self.rebuild(class);
            }
        }
        if now.is_multiple_of(AGEING) {
            let rows = self.returned.iter_mut().chain(&mut self.waiting[COUNTED..]);
            rows.flatten().chain(&mut self.entered).for_each(|count| *count -= *count / 4);
        }
    }

    /// Begins at a number of visits.
    pub(super) fn begin_at(&mut self, now: u32) {
        self.rebuild_at = now;
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
        let mut left = u64::from(never + prior::expect(class, &mut hits));
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
}

/// Buckets of gaps, looked up: for most processors that is faster than counting leading zeros by instructions that they all
/// have.
#[derive(Debug)]
pub(super) struct Log(Box<[u16; LOG]>);

const LOG: usize = 1 << 11;
/// Gaps beyond are all alike.
const MOST: u32 = 16_383;

impl Log {
    fn new() -> Log {
        let mut log = Box::new([0; LOG]);
        for (gap, log) in (0..).zip(log.iter_mut()) {
            let gap = gap.max(4_u32);
            let octave = gap.ilog2();
            *log = ((octave - 2) << 6 | ((gap << (31 - octave)) >> 25 & 63)) as u16;
        }
        Log(log)
    }

    /// 64 times the binary logarithm of a quarter of the number, the part below an octave being linear.
    #[inline]
    fn of(&self, number: u32) -> usize {
        let number = number.min(MOST) as usize;
        let is_large = usize::from(number >= LOG);
        usize::from(self.0[(number >> (3 * is_large)) & (LOG - 1)]) + 192 * is_large
    }
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

/// Where a class begins in the table.
pub(super) fn row(class: u8) -> u16 {
    u16::from(class) * BUCKETS as u16
}
