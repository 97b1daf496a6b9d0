//! The families by name. What is tuned is tuned on [`TUNING_FAMILIES`] (and a prior is made from [`PRIOR_FAMILIES`] too); what is reported is measured on [`FAMILIES`], which
//! have other measures, other seeds, and ways of moving that the first do not have at all.

use crate::people::{
    bursts, drift, habits, hub, markov, order_two, phases, round, rounds, scans, sessions, stack, swap, web,
    weekly, zipf,
};

/// A kind of person.
pub struct Family {
    /// What results are printed under.
    pub name: &'static str,
    /// Whether the person goes round through more rooms than fit, which weighs heavily in any mean.
    pub is_loop: bool,
    /// A trace of so many navigations, by seed and length: the rooms visited, in order.
    pub trace: fn(seed: u64, len: usize) -> Vec<u32>,
}

/// Seeds for tuning.
pub const TUNING_SEEDS: &[u64] = &[61, 62, 63];
/// Seeds for results.
pub const RESULT_SEEDS: &[u64] = &[93, 94, 95];

macro_rules! families {
    ($($name:literal $is_loop:literal $person:ident $measures:tt)*) => {
        &[$(Family { name: $name, is_loop: $is_loop, trace: |seed, len| families!(@ $person, seed, len, $measures) }),*]
    };
    (@ $person:ident, $seed:ident, $len:ident, ($($measure:expr),*)) => { $person($seed, $len, $($measure),*) };
}

/// What policies are tuned on.
pub const TUNING_FAMILIES: &[Family] = families! {
    "zipf 800" false zipf(800, 3)
    "zipf 1500" false zipf(1_500, 4)
    "drift 700" false drift(700, 4, 40)
    "round 180" true round(180, 5)
    "rounds 80/140/260" true rounds(&[80, 140, 260], 4, 10)
    "scans 400" false scans(400, 4, 300, 150)
    "markov 600" false markov(600, 4, 10)
    "order-2 500" false order_two(500, 3, 15)
    "phases 8x120" false phases(8, 120, 3, 900)
    "sessions 150x6" false sessions(150, 6, 3, 10)
    "stack 500" false stack(500, 4, 3)
    "swap 90" false swap(90, 2, 400)
    "weekly 60" false weekly(120, 60, 80)
    "web 900" false web(900, 3, 25, 25)
    "hub 300" false hub(8, 300, 4, 25)
    "habits 220" false habits(220, 40)
};

/// More, to make the prior of learned reuse from, so that it suits many kinds of people.
pub const PRIOR_FAMILIES: &[Family] = families! {
    "zipf 350" false zipf(350, 3)
    "zipf 2200" false zipf(2_200, 5)
    "zipf 600" false zipf(600, 2)
    "drift 500" false drift(500, 4, 20)
    "round 130" true round(130, 10)
    "round 300" true round(300, 3)
    "scans 300" false scans(300, 3, 350, 120)
    "markov 1200" false markov(1_200, 3, 12)
    "order-2 900" false order_two(900, 4, 12)
    "phases 5x200" false phases(5, 200, 3, 700)
    "phases 15x100" false phases(15, 100, 2, 1_000)
    "sessions 300x4" false sessions(300, 4, 4, 6)
    "stack 300" false stack(300, 3, 4)
    "stack 700" false stack(700, 5, 6)
    "swap 110" false swap(110, 2, 300)
    "weekly 80" false weekly(100, 50, 100)
    "web 1100" false web(1_100, 4, 20, 30)
    "hub 400" false hub(10, 400, 3, 35)
    "habits 260" false habits(260, 80)
    "bursts 600" false bursts(600, 40, 10)
};

/// What results are reported on.
pub const FAMILIES: &[Family] = families! {
    "zipf flat" false zipf(500, 2)
    "zipf" false zipf(1_000, 4)
    "zipf steep" false zipf(3_000, 5)
    "drift slow" false drift(900, 4, 150)
    "drift fast" false drift(600, 3, 15)
    "loop" true round(150, 0)
    "loop and elsewhere" true round(240, 20)
    "loops" true rounds(&[60, 125, 180, 320], 5, 15)
    "scans" false scans(500, 3, 500, 200)
    "markov-1" false markov(900, 5, 15)
    "order-2" false order_two(700, 4, 20)
    "phases" false phases(12, 150, 2, 1_200)
    "sessions" false sessions(250, 5, 3, 8)
    "stack" false stack(800, 4, 5)
    "stack deep" false stack(400, 2, 2)
    "swap" false swap(85, 1, 600)
    "weekly" false weekly(90, 45, 120)
    "web-like" false web(1_400, 3, 30, 20)
    "hub" false hub(12, 500, 3, 18)
    "habits" false habits(300, 60)
    "bursts" false bursts(900, 50, 14)
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::belady_hits;

    #[test]
    fn a_trace_follows_from_family_seed_and_length_alone() {
        for family in FAMILIES.iter().chain(TUNING_FAMILIES) {
            let trace = (family.trace)(7, 3_000);
            assert_eq!(trace, (family.trace)(7, 3_000), "{}", family.name);
            assert_ne!(trace, (family.trace)(8, 3_000), "{}", family.name);
            assert_eq!(trace.len(), 3_000, "{}", family.name);
            assert!(
                (family.trace)(7, 300) == trace[..300],
                "{}: a longer trace goes on where a shorter one ends",
                family.name
            );
        }
    }

    #[test]
    fn every_family_leaves_something_to_decide() {
        for family in FAMILIES.iter().chain(TUNING_FAMILIES) {
            let trace = (family.trace)(7, 10_000);
            let rooms: BTreeSet<u32> = trace.iter().copied().collect();
            let best = belady_hits(&trace, 100);
            assert!(
                rooms.len() > 120 && (1_000..9_900).contains(&best),
                "{}: {} {best}",
                family.name,
                rooms.len()
            );
        }
    }

    #[test]
    fn what_is_tuned_on_is_not_what_is_reported() {
        let tuned: BTreeSet<Vec<u32>> =
            TUNING_FAMILIES.iter().flat_map(|f| TUNING_SEEDS.iter().map(|s| (f.trace)(*s, 500))).collect();
        for family in FAMILIES {
            assert!(
                RESULT_SEEDS.iter().all(|seed| !tuned.contains(&(family.trace)(*seed, 500))),
                "{}",
                family.name
            );
        }
        assert!(RESULT_SEEDS.iter().all(|seed| !TUNING_SEEDS.contains(seed)));
    }
}
