//! The simulation: every seed of the corpus, and some hundred more.

use enfilade_tests::sim;

/// Seeds that have found something once, each under a sentence that says what.
const CORPUS: &str = include_str!("corpus/simulation.txt");
/// Seeds beyond the corpus. Many more are explored by a command: see CONTRIBUTING.
const SEEDS: u64 = 150;

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
fn no_seed_breaks_an_invariant_and_the_runs_reach_the_rare_branches() {
    let mut total = sim::Report::default();
    for seed in 0..SEEDS {
        let report = sim::run(seed).unwrap_or_else(|broken| panic!("{broken}"));
        total.entries += report.entries;
        total.acked += report.acked;
        total.cancelled += report.cancelled;
        total.conflicts += report.conflicts;
        total.connections += report.connections;
        total.disturbed += report.disturbed;
        total.failed += report.failed;
        total.bulks += report.bulks;
        total.resumed += report.resumed;
    }
    println!("{total:?}");
    // A simulation in which nothing happens proves nothing.
    assert!(total.acked > 10 * SEEDS, "{total:?}");
    assert!(total.conflicts > SEEDS / 2, "{total:?}");
    assert!(total.cancelled > SEEDS / 4, "{total:?}");
    assert!(total.disturbed > SEEDS, "{total:?}");
    assert!(total.failed > SEEDS, "{total:?}");
    assert!(total.bulks > SEEDS && total.resumed > SEEDS, "{total:?}");
}

#[test]
fn a_seed_gives_the_same_run_each_time() {
    assert_eq!(sim::run(7), sim::run(7));
}
