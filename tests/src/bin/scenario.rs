//! Plays scenarios: `scenario NAME…`, or all of them. A failing one ends it. Without the rest of the tests it builds
//! quickly, which is what `npm run mutations` needs.

use std::process::ExitCode;

use enfilade_tests::scenarios::{ALL, scenario};

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    if names.first().is_some_and(|name| name == "--list") {
        ALL.iter().for_each(|scenario| println!("{}\t{}", scenario.name, scenario.complaint));
        return ExitCode::SUCCESS;
    }
    for name in &names {
        let Some(scenario) = scenario(name) else {
            eprintln!("no scenario {name}");
            return ExitCode::from(2);
        };
        (scenario.run)();
        println!("{name}: holds");
    }
    if names.is_empty() {
        ALL.iter().for_each(|scenario| (scenario.run)());
        println!("{} scenarios hold", ALL.len());
    }
    ExitCode::SUCCESS
}
