//! The ways in which made-up people move. Each function is one of them, with its measures as arguments; the families name
//! them with measures filled in.

use enfilade_core::Rng;

/// Odds that fall with rank as `1 / rank^(quarters / 4)`. Square roots alone, which are exact everywhere.
pub(crate) struct Zipf(Vec<u64>);

impl Zipf {
    pub(crate) fn new(rooms: usize, quarters: u32) -> Zipf {
        let mut sum = 0;
        let weight = |rank: usize| {
            let whole = (rank as f64).powi((quarters / 4) as i32);
            let root = (rank as f64).sqrt();
            let part = [1.0, root.sqrt(), root, root * root.sqrt()][(quarters % 4) as usize];
            (1e9 / (whole * part)) as u64 + 1
        };
        Zipf((1..=rooms).map(|rank| (sum += weight(rank), sum).1).collect())
    }

    pub(crate) fn rank(&self, rng: &mut Rng) -> usize {
        let at = rng.below(*self.0.last().unwrap_or(&1));
        self.0.partition_point(|sum| *sum <= at)
    }
}

fn shuffled(rooms: usize, first: u32, rng: &mut Rng) -> Vec<u32> {
    let mut order: Vec<u32> = (first..first + rooms as u32).collect();
    for last in (1..order.len()).rev() {
        order.swap(last, rng.below(last as u64 + 1) as usize);
    }
    order
}

fn chance(percent: u64, rng: &mut Rng) -> bool {
    rng.below(100) < percent
}

/// Independent visits, some rooms more popular than others.
pub(crate) fn zipf(seed: u64, len: usize, rooms: usize, quarters: u32) -> Vec<u32> {
    let rng = &mut Rng::new(seed);
    let (odds, order) = (Zipf::new(rooms, quarters), shuffled(rooms, 0, rng));
    (0..len).map(|_| order[odds.rank(rng)]).collect()
}

/// Popularity that moves: every `every` visits two rooms change places, and now and then one gives way to a new room.
pub(crate) fn drift(seed: u64, len: usize, rooms: usize, quarters: u32, every: usize) -> Vec<u32> {
    let rng = &mut Rng::new(seed);
    let (odds, mut order) = (Zipf::new(rooms, quarters), shuffled(rooms, 0, rng));
    let mut unused = rooms as u32;
    (0..len)
        .map(|at| {
            if at % every == every - 1 {
                let (one, other) = (odds.rank(rng), rng.below(rooms as u64) as usize);
                order.swap(one, other);
                if chance(25, rng) {
                    order[other] = unused;
                    unused += 1;
                }
            }
            order[odds.rank(rng)]
        })
        .collect()
}

/// Round and round through `rooms` rooms, with a visit elsewhere now and then.
pub(crate) fn round(seed: u64, len: usize, rooms: usize, elsewhere_percent: u64) -> Vec<u32> {
    let rng = &mut Rng::new(seed);
    let (order, odds) = (shuffled(rooms, 0, rng), Zipf::new(2 * rooms, 4));
    let mut at = 0;
    (0..len)
        .map(|_| {
            if chance(elsewhere_percent, rng) {
                return rooms as u32 + odds.rank(rng) as u32;
            }
            at = (at + 1) % rooms;
            order[at]
        })
        .collect()
}

/// Rounds of several lengths, one after the other, as somebody who looks through lists does.
pub(crate) fn rounds(
    seed: u64,
    len: usize,
    lengths: &[usize],
    turns: u64,
    elsewhere_percent: u64,
) -> Vec<u32> {
    let rng = &mut Rng::new(seed);
    let odds = Zipf::new(400, 3);
    let mut trace = Vec::with_capacity(len);
    while trace.len() < len {
        let which = rng.below(lengths.len() as u64) as usize;
        let first = 1_000 * (which as u32 + 1);
        for _ in 0..=rng.below(turns) {
            for room in 0..lengths[which] as u32 {
                if chance(elsewhere_percent, rng) {
                    trace.push(odds.rank(rng) as u32);
                }
                trace.push(first + room);
            }
        }
    }
    trace.truncate(len);
    trace
}

/// Popular rooms, with a walk through rooms that are never seen again every so often.
pub(crate) fn scans(seed: u64, len: usize, rooms: usize, quarters: u32, every: u64, scan: u64) -> Vec<u32> {
    let rng = &mut Rng::new(seed);
    let (odds, order) = (Zipf::new(rooms, quarters), shuffled(rooms, 0, rng));
    let mut unused = rooms as u32;
    let mut trace = Vec::with_capacity(len);
    while trace.len() < len {
        for _ in 0..every / 2 + rng.below(every) {
            trace.push(order[odds.rank(rng)]);
        }
        for _ in 0..scan / 2 + rng.below(scan) {
            trace.push(unused);
            unused += 1;
        }
    }
    trace.truncate(len);
    trace
}

/// The next room depends on this one: each room leads to a few others, mostly to the first of them.
pub(crate) fn markov(seed: u64, len: usize, rooms: usize, doors: usize, jump_percent: u64) -> Vec<u32> {
    let rng = &mut Rng::new(seed);
    let (anywhere, door) = (Zipf::new(rooms, 3), Zipf::new(doors, 5));
    let leads: Vec<Vec<usize>> =
        (0..rooms).map(|_| (0..doors).map(|_| anywhere.rank(rng)).collect()).collect();
    let mut room = 0;
    (0..len)
        .map(|_| {
            room = if chance(jump_percent, rng) { anywhere.rank(rng) } else { leads[room][door.rank(rng)] };
            room as u32
        })
        .collect()
}

/// The next room depends on the last two: where somebody comes from says where they go.
pub(crate) fn order_two(seed: u64, len: usize, rooms: usize, doors: u64, jump_percent: u64) -> Vec<u32> {
    let rng = &mut Rng::new(seed);
    let anywhere = Zipf::new(rooms, 3);
    let (mut before, mut room) = (0, 0);
    (0..len)
        .map(|_| {
            let next = if chance(jump_percent, rng) {
                anywhere.rank(rng)
            } else {
                // The pair decides, through a generator that it seeds.
                let door = rng.below(doors).min(rng.below(doors));
                let pair = (before * rooms + room) as u64 * doors + door;
                anywhere.rank(&mut Rng::new(seed ^ (pair << 8)))
            };
            (before, room) = (room, next);
            room as u32
        })
        .collect()
}

/// A time of life in one set of rooms, then another. Some sets return.
pub(crate) fn phases(seed: u64, len: usize, sets: u64, set: usize, quarters: u32, stay: u64) -> Vec<u32> {
    let rng = &mut Rng::new(seed);
    let (odds, common) = (Zipf::new(set, quarters), Zipf::new(50, 4));
    let mut trace = Vec::with_capacity(len);
    while trace.len() < len {
        let first = 50 + rng.below(sets) as u32 * set as u32;
        for _ in 0..stay / 2 + rng.below(stay) {
            let room = if chance(10, rng) { common.rank(rng) as u32 } else { first + odds.rank(rng) as u32 };
            trace.push(room);
        }
    }
    trace.truncate(len);
    trace
}

/// Short visits to one of many topics; within one, back and forth between its rooms.
pub(crate) fn sessions(
    seed: u64,
    len: usize,
    topics: usize,
    topic: usize,
    quarters: u32,
    stay: u64,
) -> Vec<u32> {
    let rng = &mut Rng::new(seed);
    let (which, within) = (Zipf::new(topics, quarters), Zipf::new(topic, 3));
    let mut trace = Vec::with_capacity(len);
    while trace.len() < len {
        let first = (which.rank(rng) * topic) as u32;
        for _ in 0..2 + rng.below(stay) {
            trace.push(first + within.rank(rng) as u32);
        }
    }
    trace.truncate(len);
    trace
}

/// Returns by how many other rooms came in between: the world in which "used longest ago" is right.
pub(crate) fn stack(seed: u64, len: usize, depth: usize, quarters: u32, new_percent: u64) -> Vec<u32> {
    let rng = &mut Rng::new(seed);
    let odds = Zipf::new(depth, quarters);
    let mut stack: Vec<u32> = Vec::new();
    let mut unused = 0;
    (0..len)
        .map(|_| {
            let distance = odds.rank(rng);
            let room = if chance(new_percent, rng) || distance >= stack.len() {
                unused += 1;
                unused - 1
            } else {
                stack.remove(stack.len() - 1 - distance)
            };
            stack.push(room);
            if stack.len() > depth {
                stack.remove(0);
            }
            room
        })
        .collect()
}

/// Two sets of rooms by turns, as work and home; together they are more than fits.
pub(crate) fn swap(seed: u64, len: usize, set: usize, quarters: u32, every: usize) -> Vec<u32> {
    let rng = &mut Rng::new(seed);
    let odds = Zipf::new(set, quarters);
    (0..len)
        .map(|at| {
            let side = (at / every % 2) as u32;
            side * set as u32 + odds.rank(rng) as u32
        })
        .collect()
}

/// Seven days that each have rooms of their own, beside those of every day, and some of that week alone.
pub(crate) fn weekly(seed: u64, len: usize, day: usize, own: usize, common: usize) -> Vec<u32> {
    let rng = &mut Rng::new(seed);
    let (of_day, of_all) = (Zipf::new(own, 3), Zipf::new(common, 4));
    let news = (common + 7 * own) as u32;
    (0..len)
        .map(|at| {
            let weekday = (at / day % 7) as u32;
            match rng.below(20) {
                0..8 => of_all.rank(rng) as u32,
                8..18 => (common + own * weekday as usize) as u32 + of_day.rank(rng) as u32,
                _ => news + 30 * (at / day / 7) as u32 + rng.below(30) as u32,
            }
        })
        .collect()
}

/// As links on the web are followed: popular places, places seen once, and returns soon after.
pub(crate) fn web(
    seed: u64,
    len: usize,
    rooms: usize,
    quarters: u32,
    once_percent: u64,
    soon_percent: u64,
) -> Vec<u32> {
    let rng = &mut Rng::new(seed);
    let (odds, order, back) = (Zipf::new(rooms, quarters), shuffled(rooms, 0, rng), Zipf::new(60, 4));
    let mut unused = rooms as u32;
    let mut trace: Vec<u32> = Vec::with_capacity(len);
    for at in 0..len {
        let kind = rng.below(100);
        let room = if kind < once_percent {
            unused += 1;
            unused - 1
        } else if kind < once_percent + soon_percent && at > 60 {
            trace[at - 1 - back.rank(rng)]
        } else {
            order[odds.rank(rng)]
        };
        trace.push(room);
    }
    trace
}

/// A lobby from which everything is reached, and rooms that grow old: the newest are visited most.
pub(crate) fn hub(
    seed: u64,
    len: usize,
    hubs: u64,
    spokes: usize,
    quarters: u32,
    new_every: usize,
) -> Vec<u32> {
    let rng = &mut Rng::new(seed);
    let age = Zipf::new(spokes, quarters);
    let mut is_out = false;
    (0..len)
        .map(|at| {
            is_out = !is_out && chance(70, rng);
            if is_out {
                return rng.below(hubs).min(rng.below(hubs)) as u32;
            }
            let newest = spokes + at / new_every;
            (hubs as usize + newest - age.rank(rng)) as u32
        })
        .collect()
}

/// Rooms with habits: each is visited again after a time of its own, some often, some weekly, some hardly ever.
pub(crate) fn habits(seed: u64, len: usize, rooms: usize, jitter_percent: u64) -> Vec<u32> {
    let rng = &mut Rng::new(seed);
    let mut periods = Vec::with_capacity(rooms);
    for rank in 0..rooms as u64 {
        periods.push(12 + 3 * rank + rng.below(20 + rank));
    }
    let mut due: Vec<u64> = periods.iter().map(|period| rng.below(*period)).collect();
    (0..len)
        .map(|_| {
            let next = (0..rooms).min_by_key(|room| due[*room]).unwrap_or(0);
            let spread = (periods[next] * jitter_percent / 100).max(1);
            due[next] += periods[next] - spread / 2 + rng.below(spread);
            next as u32
        })
        .collect()
}

/// Rooms that are busy for a while and then silent: a burst of visits each, several at a time.
pub(crate) fn bursts(seed: u64, len: usize, rooms: usize, at_once: usize, visits: u64) -> Vec<u32> {
    let rng = &mut Rng::new(seed);
    let odds = Zipf::new(rooms, 3);
    let mut live: Vec<(u32, u64)> = (0..at_once).map(|room| (room as u32, 1 + rng.below(visits))).collect();
    (0..len)
        .map(|_| {
            let which = rng.below(at_once as u64) as usize;
            let (room, left) = live[which];
            live[which] =
                if left > 1 { (room, left - 1) } else { (odds.rank(rng) as u32, 1 + rng.below(visits)) };
            room
        })
        .collect()
}
