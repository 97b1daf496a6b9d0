//! The loop of the study for a browser's machine: each call of `main` after the first navigates once through the next of
//! the families and does nothing else, so that a host can time it, and so that it takes so little that the best of some
//! times is not interrupted.

use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use enfilade_core::Millis;
use enfilade_core::cache::{Gf, Policy};
use enfilade_studies::{FAMILIES, RESULT_SEEDS};

static CALLS: AtomicUsize = AtomicUsize::new(0);
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
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let mut gf = Gf::new(100);
    let hits = traces[call % traces.len()].iter().filter(|room| gf.navigate(**room, 100, Millis(0))).count();
    // Something that depends on all of it.
    ExitCode::from(1 + (hits % 100) as u8)
}
