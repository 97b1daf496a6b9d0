//! The short run, part of `npm test`.

use std::process::ExitCode;

fn main() -> ExitCode {
    enfilade_faults::run(enfilade_faults::Size::Short)
}
