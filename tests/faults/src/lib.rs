//! Real processes under load, and faults: nodes, Redis, MongoDB and Kafka are killed, paused, restarted, failed over,
//! emptied and cut off, while clients with the real session write and read. A checker knows every operation that was
//! acknowledged, and compares it with the log that is there in the end, on every node.
//!
//! ```text
//!   writers, readers            proxies            nodes            proxies         Redis
//!   (the core's client) ──────▶ cut, block ──────▶ processes ─────▶ cut, block ───▶ processes
//!          │ acks, positions, epochs                   │ reports of what was lost
//!          └───────────────▶ checker ◀─────────────────┘
//! ```
//!
//! The program is the server too: it starts itself with arguments in its environment.

use std::process::ExitCode;
use std::time::Duration;

mod check;
mod node;
mod proxy;
mod scenarios;
mod session;
mod table;
mod world;

/// Longer than anything that is waited for.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How much is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Part of every test run: each fault once, with few operations.
    Short,
    /// At least 30,000 operations.
    Full,
}

/// Runs all faults, or those whose names contain an argument, prints the table, and says whether all is well.
pub fn run(size: Size) -> ExitCode {
    if let Some(code) = node::serve() {
        return code;
    }
    let names: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if std::env::args().any(|argument| argument == "--list") {
        for scenario in scenarios::ALL {
            println!("{}: test", scenario.name);
        }
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let rows = runtime.block_on(scenarios::run_all(size, &names));
    table::print(&rows);
    // As other tests do, for whoever counts them.
    let failed = rows.iter().filter(|row| !row.failures.is_empty()).count();
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!("test result: {word}. {} passed; {failed} failed", rows.len() - failed);
    ExitCode::from(u8::from(failed > 0 || rows.is_empty()))
}
