//! The binary `enfilade`.

use std::process::ExitCode;

fn main() -> ExitCode {
    enfilade_server::cli::run()
}
