//! `npm run faults`: every fault, with at least 30,000 operations in all.

use std::process::ExitCode;

fn main() -> ExitCode {
    enfilade_faults::run(enfilade_faults::Size::Full)
}
