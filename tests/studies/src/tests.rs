use enfilade_core::Millis;
use enfilade_core::cache::{Gf, Lru, Policy};

use crate::{FAMILIES, RESULT_SEEDS, belady_hits};

fn hits(policy: &mut dyn Policy, trace: &[u32]) -> usize {
    trace.iter().filter(|room| policy.navigate(**room, 100, Millis(0))).count()
}

/// Counts, which are the same on every machine; times are for the benchmark.
#[test]
fn learned_reuse_is_never_much_behind_last_use_and_far_ahead_in_the_mean() {
    let (mut gf_sum, mut lru_sum) = (0.0, 0.0);
    for family in FAMILIES {
        let trace = (family.trace)(RESULT_SEEDS[0], 30_000);
        let best = belady_hits(&trace, 100) as f64;
        let gf = hits(&mut Gf::new(100), &trace) as f64 / best;
        let lru = hits(&mut Lru::new(100), &trace) as f64 / best;
        assert!(gf > lru - 0.003, "{}: {gf} {lru}", family.name);
        if !family.is_loop {
            (gf_sum, lru_sum) = (gf_sum + gf, lru_sum + lru);
        }
    }
    let others = FAMILIES.iter().filter(|family| !family.is_loop).count() as f64;
    assert!(gf_sum / others > lru_sum / others + 0.09, "{} {}", gf_sum / others, lru_sum / others);
}
