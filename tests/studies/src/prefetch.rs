//! A cache in front of which somebody fetches rooms ahead.

use enfilade_core::Millis;
use enfilade_core::cache::{Confidence, PolicyKind};

/// Says which rooms are next.
pub trait Prefetcher {
    /// Notes a visit.
    fn visit(&mut self, room: u32);

    /// The rooms that are likeliest to be next and not held, the likeliest first, each with its chance in parts per
    /// million.
    fn predict(&self, count: usize, is_held: &dyn Fn(u32) -> bool) -> Vec<(u32, u32)>;

    /// Bytes that it takes; 0 for peers that don't say.
    fn bytes(&self) -> usize {
        0
    }
}

/// What came of a trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Visits that found the room held.
    pub hits: usize,
    /// Rooms that were fetched ahead.
    pub fetches: usize,
    /// Of them those that were visited while they were held.
    pub useful: usize,
}

/// What was not spent is saved, up to so many fetches.
const SAVED: u32 = 8;
/// A whole fetch.
const WHOLE: u32 = 1_000;
/// Rooms that are asked for at each visit.
const ASKED: usize = 8;

/// Plays a trace through a cache. After each visit there are `budget` thousandths of a fetch to spend. With less than one
/// a visit they are saved for what is likelier than usual, by the same rule for every prefetcher.
pub fn prefetch(
    trace: &[u32],
    capacity: usize,
    policy: PolicyKind,
    mut prefetcher: Option<&mut dyn Prefetcher>,
    budget: u32,
) -> Outcome {
    let mut policy = policy.make(capacity);
    let mut is_unused = vec![false; trace.iter().max().map_or(0, |most| *most as usize + 1)];
    let (mut saved, mut usual) = (0, 0_i64);
    let mut outcome = Outcome::default();
    for room in trace {
        let is_hit = policy.navigate(*room, capacity, Millis(0));
        let was_fetched = std::mem::take(&mut is_unused[*room as usize]);
        outcome.hits += usize::from(is_hit);
        outcome.useful += usize::from(is_hit && was_fetched);
        let Some(prefetcher) = prefetcher.as_deref_mut() else { continue };
        prefetcher.visit(*room);
        saved = (saved + budget).min(SAVED * WHOLE);
        let likely = prefetcher.predict(ASKED, &|room| policy.contains(room));
        let demanded = usual * i64::from(SAVED * WHOLE - saved) / i64::from(SAVED * WHOLE) * 6 / 5;
        for (room, chance) in &likely {
            if saved < WHOLE || i64::from(*chance) < demanded {
                break;
            }
            if policy.admit_prefetched(*room, Confidence::of_chance(*chance)) {
                while policy.len() > capacity {
                    policy.evict(&|_| false);
                }
                saved -= WHOLE;
                outcome.fetches += 1;
                is_unused[*room as usize] = true;
            }
        }
        if let Some((_, best)) = likely.first()
            && budget < WHOLE
        {
            usual += (i64::from(*best) - usual) / 64;
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Core, Ppm, RESULT_SEEDS, TUNING_FAMILIES, TUNING_SEEDS};

    const CAPACITY: usize = 100;

    fn play(trace: &[u32], prefetcher: &mut dyn Prefetcher, budget: u32) -> Outcome {
        prefetch(trace, CAPACITY, PolicyKind::Gf, Some(prefetcher), budget)
    }

    #[test]
    fn nothing_is_fetched_beyond_the_budget() {
        for family in TUNING_FAMILIES {
            let trace = (family.trace)(TUNING_SEEDS[0], 1_000);
            for (budget, most) in [(0, 0), (500, 500), (1_000, 1_000)] {
                let outcome = play(&trace, &mut Core::default(), budget);
                assert!(
                    outcome.fetches <= most && outcome.useful <= outcome.fetches,
                    "{} {outcome:?}",
                    family.name
                );
            }
        }
    }

    #[test]
    fn at_an_equal_budget_more_is_useful_than_of_what_people_usually_build() {
        // The same families as are tuned on, but other seeds, and short enough for a test.
        let traces: Vec<_> =
            TUNING_FAMILIES.iter().map(|family| (family.trace)(RESULT_SEEDS[0], 2_500)).collect();
        for budget in [500, 1_000] {
            let useful = |make: &dyn Fn() -> Box<dyn Prefetcher>| -> usize {
                traces.iter().map(|trace| play(trace, &mut *make(), budget).useful).sum()
            };
            let core = useful(&|| Box::new(Core::default()));
            let (markov, four) = (useful(&|| Box::new(Ppm::markov())), useful(&|| Box::new(Ppm::four())));
            assert!(core * 20 >= markov * 21 && core >= four, "{budget}: {core} {markov} {four}");
        }
    }

    #[test]
    fn a_beginning_loses_no_more_than_a_fiftieth() {
        let sum = |with: bool| -> usize {
            let hits = |trace: Vec<u32>| match with {
                true => play(&trace, &mut Core::default(), 1_000).hits,
                false => prefetch(&trace, CAPACITY, PolicyKind::Gf, None, 0).hits,
            };
            TUNING_FAMILIES.iter().map(|family| hits((family.trace)(RESULT_SEEDS[0], 300))).sum()
        };
        assert!(sum(true) * 50 >= sum(false) * 49, "{} {}", sum(true), sum(false));
    }
}
