//! The simulation: every seed of the corpus, and as many more as make enough steps.

use enfilade_tests::sim;

/// Seeds that have found something once, each under a sentence that says what.
const CORPUS: &str = include_str!("corpus/simulation.txt");
/// Seeds beyond the corpus. Many more are explored by a command: see CONTRIBUTING.
const SEEDS: u64 = 60;
/// Inputs that these handle at least, all invariants holding after each.
const STEPS: u64 = 20_000;

#[test]
fn every_seed_that_found_something_is_replayed() {
    for line in CORPUS.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        let (seed, story) = line.split_once(' ').unwrap_or((line, ""));
        let seed = seed.parse().expect("a line of the corpus begins with a seed");
        if let Err(broken) = sim::run(seed) {
            panic!("{story}\n{broken}");
        }
    }
}

#[test]
fn no_seed_breaks_an_invariant_and_every_rare_branch_is_reached() {
    let mut total = sim::Report::default();
    for seed in 0..SEEDS {
        let report = sim::run(seed).unwrap_or_else(|broken| panic!("{broken}"));
        total.add(&report);
    }
    println!("{total}");
    assert!(total.steps >= STEPS, "{} steps", total.steps);
    // A simulation in which nothing happens proves nothing.
    assert!(total.acked > 10 * SEEDS, "{total}");
    assert_eq!(total.marks.missing(), Vec::<&str>::new(), "no seed has reached these");
}

#[test]
fn a_seed_gives_the_same_run_each_time() {
    assert_eq!(sim::run(7), sim::run(7));
}
