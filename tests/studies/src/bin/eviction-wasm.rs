//! The loop of the study for a browser's machine: each call of `main` after the first navigates once through every family
//! and does nothing else, so that a host can time it.

use std::process::ExitCode;
use std::sync::OnceLock;

use enfilade_core::Millis;
use enfilade_core::cache::{Gf, Policy};
use enfilade_studies::{FAMILIES, RESULT_SEEDS};

static TRACES: OnceLock<Vec<Vec<u32>>> = OnceLock::new();

fn main() -> ExitCode {
    let mut is_first = false;
    let traces = TRACES.get_or_init(|| {
        is_first = true;
        FAMILIES.iter().map(|family| (family.trace)(RESULT_SEEDS[0], 30_000)).collect()
    });
    if is_first {
        return ExitCode::SUCCESS;
    }
    let mut hits = 0;
    for trace in traces {
        let mut gf = Gf::new(100);
        hits += trace.iter().filter(|room| gf.navigate(**room, 100, Millis(0))).count();
    }
    // Something that depends on all of it.
    ExitCode::from(1 + (hits % 100) as u8)
}
