//! Makes the rows of `core/src/cache/prior.rs` from families that no results are reported on: how rarely a room of each
//! class that has not come back until a bucket comes back in it, in eighths of a bit.

use enfilade_core::Millis;
use enfilade_core::cache::{Gf, Policy};
use enfilade_studies::{PRIOR_FAMILIES, TUNING_FAMILIES};

const CLASSES: usize = 16;
const BUCKETS: usize = 48;
/// Seeds of its own.
const SEEDS: [u64; 4] = [161, 162, 163, 164];
/// As long as histories that are still short.
const LENGTHS: [usize; 2] = [1_000, 4_000];
/// So many returns of each family count, however often its people come back.
const RETURNS: f64 = 10_000.0;
/// Rooms at risk below which neighbouring classes and buckets are asked as well, further and further away.
const ENOUGH: f64 = 300.0;

type Table = [[f64; BUCKETS]; CLASSES];

fn main() {
    let (mut hits, mut at_risk) = ([[0.0; BUCKETS]; CLASSES], [[0.0; BUCKETS]; CLASSES]);
    for family in TUNING_FAMILIES.iter().chain(PRIOR_FAMILIES) {
        let (mut of_family, mut risk) = ([[0.0; BUCKETS]; CLASSES], [[0.0; BUCKETS]; CLASSES]);
        for (seed, len) in SEEDS.iter().flat_map(|seed| LENGTHS.map(|len| (*seed, len))) {
            gather(&(family.trace)(seed, len), &mut of_family, &mut risk);
        }
        let weight = RETURNS / of_family.iter().flatten().sum::<f64>();
        add(&mut hits, &of_family, weight);
        add(&mut at_risk, &risk, weight);
    }
    for class in 0..CLASSES {
        let rarity = |bucket| -8.0 * hazard(&hits, &at_risk, class, bucket).log2();
        let row: Vec<u8> =
            (0..BUCKETS).map(|bucket| rarity(bucket).round().clamp(1.0, 130.0) as u8).collect();
        println!("    {row:?},");
    }
}

fn add(sum: &mut Table, of: &Table, weight: f64) {
    sum.iter_mut().flatten().zip(of.iter().flatten()).for_each(|(sum, of)| *sum += weight * of);
}

fn gather(trace: &[u32], hits: &mut Table, at_risk: &mut Table) {
    let mut gf = Gf::new(100);
    for room in trace {
        gf.navigate(*room, 100, Millis(0));
    }
    for class in 0..CLASSES {
        let mut left = f64::from(gf.entered(class));
        for bucket in 0..BUCKETS {
            let (returned, waiting) = gf.evidence(class, bucket);
            hits[class][bucket] += f64::from(returned);
            at_risk[class][bucket] += (left - f64::from(waiting) / 2.0).max(f64::from(returned));
            left -= f64::from(returned + waiting);
        }
    }
}

/// The share of those at risk that come back in a bucket. The nearer a neighbour, the more it says; the first bucket, of
/// those who come back at once, is like no other.
fn hazard(hits: &Table, at_risk: &Table, class: usize, bucket: usize) -> f64 {
    let (mut hit, mut risk) = (0.0, 0.0);
    for distance in 0..BUCKETS {
        for (other, near) in (0..CLASSES).flat_map(|other| (0..BUCKETS).map(move |near| (other, near))) {
            let away = (2 * other.abs_diff(class)).max(near.abs_diff(bucket));
            if away == distance && (near == 0) == (bucket == 0) {
                let weight = 1.0 / (1.0 + distance as f64);
                hit += weight * hits[other][near];
                risk += weight * at_risk[other][near];
            }
        }
        if distance > 0 && risk > ENOUGH {
            break;
        }
    }
    ((hit + 0.01) / (risk + 1.0)).clamp(1e-5, 0.95)
}
