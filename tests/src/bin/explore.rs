//! Explores the simulation beyond the seeds of the test suite: `explore STEPS [SEED]` runs seeds from this one on until
//! so many inputs were handled. A seed that breaks an invariant is printed, and written into the corpus, where each
//! later run of the tests replays it. Ends with a failure if there was one.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::panic;
use std::path::Path;
use std::process::ExitCode;

use enfilade_tests::sim;

/// Where so many seeds break, more of them tell nothing new.
const ENOUGH: u32 = 20;
/// Beyond the seeds of the test suite.
const FIRST: u64 = 1_000;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.replace('_', "").parse::<u64>());
    let (steps, first) = match (arguments.next(), arguments.next()) {
        (Some(Ok(steps)), None) => (steps, FIRST),
        (Some(Ok(steps)), Some(Ok(first))) => (steps, first),
        _ => {
            eprintln!("usage: explore STEPS [SEED]");
            return ExitCode::from(2);
        }
    };
    let mut total = sim::Report::default();
    let (mut seed, mut broken) = (first, 0);
    while total.steps < steps && broken < ENOUGH {
        // A seed that breaks early must not keep the loop from ending.
        total.steps += 1;
        match panic::catch_unwind(|| sim::run(seed)).unwrap_or_else(|_| Err(format!("seed {seed}: a panic")))
        {
            Ok(report) => total.add(&report),
            Err(story) => {
                println!("{story}");
                keep(seed, &story);
                broken += 1;
            }
        }
        seed += 1;
    }
    println!("{total}");
    println!("{} seeds from {first} on, {broken} of them broke an invariant", seed - first);
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn keep(seed: u64, story: &str) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/simulation.txt");
    let line = story.lines().next().unwrap_or_default();
    let written =
        OpenOptions::new().append(true).open(&corpus).and_then(|mut file| writeln!(file, "{seed} {line}"));
    if let Err(error) = written {
        eprintln!("{}: {error}", corpus.display());
    }
}
