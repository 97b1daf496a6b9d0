use enfilade_core::Millis;
use enfilade_core::cache::{Gf, Lru, Policy};

use crate::{FAMILIES, RESULT_SEEDS, belady_hits};

fn hits(policy: &mut dyn Policy, trace: &[u32]) -> usize {
    trace.iter().filter(|room| policy.navigate(**room, 100, Millis(0))).count()
}

/// Counts, which are the same on every machine; times are for the benchmark.
#[test]
fn learned_reuse_is_never_much_behind_last_use_and_far_ahead_in_the_mean() {
    for (len, seeds, ahead) in [(1_000, 3, 0.02), (2_000, 3, 0.04), (5_000, 3, 0.06), (30_000, 1, 0.09)] {
        let (mut gf_sum, mut lru_sum) = (0.0, 0.0);
        for family in FAMILIES {
            let (mut gf, mut lru) = (0.0, 0.0);
            for seed in &RESULT_SEEDS[..seeds] {
                let trace = (family.trace)(*seed, len);
                let best = (seeds * belady_hits(&trace, 100)) as f64;
                gf += hits(&mut Gf::new(100), &trace) as f64 / best;
                lru += hits(&mut Lru::new(100), &trace) as f64 / best;
            }
            assert!(gf > lru - 0.003, "{} {len}: {gf} {lru}", family.name);
            if !family.is_loop {
                (gf_sum, lru_sum) = (gf_sum + gf, lru_sum + lru);
            }
        }
        let others = FAMILIES.iter().filter(|family| !family.is_loop).count() as f64;
        assert!(
            gf_sum / others > lru_sum / others + ahead,
            "{len}: {} {}",
            gf_sum / others,
            lru_sum / others
        );
    }
}
