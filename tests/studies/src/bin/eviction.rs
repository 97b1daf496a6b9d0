//! How many visits find their room in the cache, against the best that any cache could do, and what a visit costs.
//!
//! `eviction traces DIR` writes the traces for measuring elsewhere; `eviction report [FILE]` prints the tables, with hits
//! that were measured elsewhere (lines of trace, policy and hits) beside ours; `eviction time` prints nanoseconds alone.
#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a measurement that can't be made has failed"
)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::time::Instant;
use std::{env, fs};

use enfilade_core::Millis;
use enfilade_core::cache::{Gf, Policy, PolicyKind};
use enfilade_studies::{FAMILIES, Family, RESULT_SEEDS, TUNING_FAMILIES, TUNING_SEEDS, belady_hits};

const CAPACITY: usize = 100;
const LENGTHS: [usize; 3] = [2_000, 5_000, 30_000];
/// Rounds of each measurement of time, of which the best counts: what disturbs only ever adds.
const ROUNDS: usize = 21;

type Run = fn(&[u32]) -> usize;

/// Our policies, and those of other crates.
const RUNS: [(&str, Run); 8] = [
    ("gf", |trace| navigate(&mut Gf::new(CAPACITY), trace)),
    ("s3_fifo", |trace| navigate(&mut *PolicyKind::S3Fifo.make(CAPACITY), trace)),
    ("lru", |trace| navigate(&mut *PolicyKind::Lru.make(CAPACITY), trace)),
    ("score", |trace| navigate(&mut *PolicyKind::Score.make(CAPACITY), trace)),
    ("crate lru", |trace| {
        let mut cache = lru::LruCache::new(NonZeroUsize::new(CAPACITY).unwrap());
        count(trace, |room| {
            cache.get(&room).is_some() || {
                cache.put(room, ());
                false
            }
        })
    }),
    ("schnellru", |trace| {
        let mut cache = schnellru::LruMap::new(schnellru::ByLength::new(CAPACITY as u32));
        count(trace, |room| {
            cache.get(&room).is_some() || {
                cache.insert(room, ());
                false
            }
        })
    }),
    ("quick_cache", |trace| {
        let cache = quick_cache::unsync::Cache::new(CAPACITY);
        let mut cache = cache;
        count(trace, |room| {
            cache.get(&room).is_some() || {
                cache.insert(room, ());
                false
            }
        })
    }),
    ("moka", |trace| {
        let cache = moka::sync::Cache::new(CAPACITY as u64);
        count(trace, |room| {
            let is_hit = cache.get(&room).is_some();
            if !is_hit {
                cache.insert(room, ());
            }
            cache.run_pending_tasks();
            is_hit
        })
    }),
];

fn navigate(policy: &mut (impl Policy + ?Sized), trace: &[u32]) -> usize {
    // A visit a minute, for the policy that reads the clock.
    (0..)
        .zip(trace)
        .filter(|(minute, room)| policy.navigate(**room, CAPACITY, Millis(minute * 60_000)))
        .count()
}

fn count(trace: &[u32], mut is_hit: impl FnMut(u32) -> bool) -> usize {
    trace.iter().filter(|room| is_hit(**room)).count()
}

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["traces", folder] => write_traces(folder),
        ["report"] => report(&BTreeMap::new()),
        ["report", file] => report(&elsewhere(&fs::read_to_string(file).unwrap())),
        ["time"] => time(),
        _ => eprintln!("eviction traces DIR | report [FILE] | time"),
    }
}

fn sets() -> [(&'static str, &'static [Family], &'static [u64]); 2] {
    [("result", FAMILIES, RESULT_SEEDS), ("tuning", TUNING_FAMILIES, TUNING_SEEDS)]
}

fn name_of(set: &str, family: &Family, seed: u64, len: usize) -> String {
    format!("{set}_{}_{seed}_{len}", family.name.replace([' ', '/'], "-"))
}

fn write_traces(folder: &str) {
    fs::create_dir_all(folder).unwrap();
    for (set, families, seeds) in sets().into_iter().take(1) {
        for (family, seed) in families.iter().flat_map(|family| seeds.iter().map(move |seed| (family, *seed)))
        {
            for len in LENGTHS {
                let bytes: Vec<u8> =
                    (family.trace)(seed, len).iter().flat_map(|room| room.to_le_bytes()).collect();
                fs::write(format!("{folder}/{}.u32", name_of(set, family, seed, len)), bytes).unwrap();
            }
        }
    }
}

/// Hits by policy and trace.
type Hits = BTreeMap<String, BTreeMap<String, usize>>;

fn elsewhere(lines: &str) -> Hits {
    let mut hits = Hits::new();
    for line in lines.lines() {
        if let [trace, policy, count] = line.split('\t').collect::<Vec<_>>()[..] {
            hits.entry(policy.to_string()).or_default().insert(trace.to_string(), count.parse().unwrap());
        }
    }
    hits
}

/// Shares of Belady's hits in percent, by family, of one policy.
type Shares = Vec<(bool, f64)>;

fn report(elsewhere: &Hits) {
    println!("Hits in percent of Belady's, capacity {CAPACITY}, mean of seeds {RESULT_SEEDS:?}\n");
    for (set, families, seeds) in sets() {
        for len in LENGTHS {
            let others = elsewhere.keys().filter(|_| set == "result").cloned();
            let mut shares: Vec<(String, Shares)> = RUNS
                .iter()
                .map(|(name, _)| (*name).to_string())
                .chain(others)
                .map(|name| (name, Vec::new()))
                .collect();
            for family in families {
                let traces: Vec<(u64, Vec<u32>)> =
                    seeds.iter().map(|seed| (*seed, (family.trace)(*seed, len))).collect();
                let best: Vec<usize> = traces.iter().map(|(_, trace)| belady_hits(trace, CAPACITY)).collect();
                for (place, (name, shares)) in shares.iter_mut().enumerate() {
                    let hits = |(seed, trace): &(u64, Vec<u32>)| match RUNS.get(place) {
                        Some((_, run)) => run(trace),
                        None => elsewhere[name][&name_of(set, family, *seed, len)],
                    };
                    let sum: f64 =
                        traces.iter().zip(&best).map(|(trace, best)| hits(trace) as f64 / *best as f64).sum();
                    shares.push((family.is_loop, 100.0 * sum / seeds.len() as f64));
                }
            }
            print_table(set, families, len, &shares);
        }
    }
    time();
}

fn print_table(set: &str, families: &[Family], len: usize, shares: &[(String, Shares)]) {
    println!("{set} families, {len} navigations");
    let columns =
        |cells: &mut dyn Iterator<Item = String>| cells.map(|cell| format!("{cell:>11}")).collect::<String>();
    println!("{:24}{}", "", columns(&mut shares.iter().map(|(name, _)| name.clone())));
    for (place, family) in families.iter().enumerate() {
        let cells = &mut shares.iter().map(|(_, shares)| format!("{:.1}", shares[place].1));
        println!("{:24}{}", family.name, columns(cells));
    }
    let mean = |shares: &Shares, with_loops: bool| {
        let kept: Vec<f64> =
            shares.iter().filter(|(is_loop, _)| with_loops || !is_loop).map(|(_, share)| *share).collect();
        kept.iter().sum::<f64>() / kept.len() as f64
    };
    for (title, with_loops) in [("mean", true), ("mean without loops", false)] {
        println!(
            "{title:24}{}",
            columns(&mut shares.iter().map(|(_, shares)| format!("{:.2}", mean(shares, with_loops))))
        );
        let best = shares[4..]
            .iter()
            .max_by(|one, other| mean(&one.1, with_loops).total_cmp(&mean(&other.1, with_loops)));
        let (name, best) = best.map(|(name, shares)| (name, mean(shares, with_loops))).unwrap();
        println!("{:24}{:+.2} against the best peer, {name}", "", mean(&shares[0].1, with_loops) - best);
    }
    let (gf, lru) = (&shares[0].1, &shares[2].1);
    let least =
        families.iter().zip(gf.iter().zip(lru)).map(|(family, (gf, lru))| (gf.1 - lru.1, family.name));
    let (least, family) = least.min_by(|one, other| one.0.total_cmp(&other.0)).unwrap();
    println!("{:24}{least:+.2} against lru where it is least ahead, {family}\n", "");
}

/// Nanoseconds a visit, the best of rounds that take turns.
fn time() {
    println!("nanoseconds a navigation, best of {ROUNDS} rounds in turns, 30,000 navigations");
    let mut sums = [0.0; RUNS.len()];
    for family in FAMILIES {
        let trace = (family.trace)(RESULT_SEEDS[0], 30_000);
        let mut best = [f64::MAX; RUNS.len()];
        for _ in 0..ROUNDS {
            for (best, (_, run)) in best.iter_mut().zip(RUNS) {
                let start = Instant::now();
                black_box(run(black_box(&trace)));
                *best = best.min(start.elapsed().as_nanos() as f64 / trace.len() as f64);
            }
        }
        sums.iter_mut().zip(best).for_each(|(sum, best)| *sum += best);
    }
    for ((name, _), sum) in RUNS.iter().zip(sums) {
        println!("{name:24}{:>11.1}", sum / FAMILIES.len() as f64);
    }
}
