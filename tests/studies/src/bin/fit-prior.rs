//! Makes the rows of `core/src/cache/prior.rs` from the tuning families without loops: of a thousand visits of a class,
//! how many are followed by another after a gap of each bucket.

use enfilade_core::Millis;
use enfilade_core::cache::{Gf, Policy};
use enfilade_studies::TUNING_FAMILIES;

const CLASSES: usize = 16;
const BUCKETS: usize = 48;
/// Seeds of its own.
const SEEDS: [u64; 4] = [161, 162, 163, 164];
/// As long as a history that is still short.
const LEN: usize = 4_000;
/// Visits below which a share is noise.
const ENOUGH: f64 = 20.0;

fn main() {
    let mut hits = [[0.0; BUCKETS]; CLASSES];
    let mut at_risk = [[0.0; BUCKETS]; CLASSES];
    for family in TUNING_FAMILIES.iter().filter(|family| !family.is_loop) {
        for seed in SEEDS {
            let mut gf = Gf::new(100);
            for room in (family.trace)(seed, LEN) {
                gf.navigate(room, 100, Millis(0));
            }
            for class in 0..CLASSES {
                let mut left = f64::from(gf.entered(class));
                for bucket in 0..BUCKETS {
                    let (returned, waiting) = gf.evidence(class, bucket);
                    hits[class][bucket] += f64::from(returned);
                    at_risk[class][bucket] += left - f64::from(waiting) / 2.0;
                    left -= f64::from(returned + waiting);
                }
            }
        }
    }
    for (hits, at_risk) in hits.iter().zip(&at_risk) {
        let mut left = 1_000.0;
        let shares: Vec<f64> = hits
            .iter()
            .zip(at_risk)
            .map(|(hits, at_risk)| {
                let share = if *at_risk > ENOUGH { left * hits / at_risk } else { 0.0 };
                left -= share;
                share
            })
            .collect();
        let smooth = |bucket: usize| match bucket {
            0 | 1 => shares[bucket],
            _ if bucket == BUCKETS - 1 => shares[bucket],
            _ => (2.0 * shares[bucket] + shares[bucket - 1] + shares[bucket + 1]) / 4.0,
        };
        let row: Vec<u8> = (0..BUCKETS).map(|bucket| smooth(bucket).round() as u8).collect();
        println!("    {row:?},");
    }
}
