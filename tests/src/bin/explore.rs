//! Explores the simulation beyond the seeds of the test suite: `explore FIRST COUNT`. Prints every seed that breaks
//! an invariant, and ends with a failure if there was one.

use std::process::ExitCode;

use enfilade_tests::sim;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let (Some(Ok(first)), Some(Ok(count))) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: explore FIRST COUNT");
        return ExitCode::from(2);
    };
    let mut broken = 0;
    for seed in first..first.saturating_add(count) {
        if let Err(story) = sim::run(seed) {
            println!("{story}");
            broken += 1;
        }
    }
    println!("{count} seeds, {broken} of them broke an invariant");
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
