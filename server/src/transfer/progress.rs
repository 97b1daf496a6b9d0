//! How far a move is: a bar on a terminal, a line once in a while elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Between two lines where there is no terminal.
const LINES: Duration = Duration::from_secs(5);

/// Shows how far something is, on the standard error stream.
pub struct Progress {
    what: &'static str,
    bar: Option<ProgressBar>,
    done: u64,
    total: u64,
    told: Instant,
}

impl Progress {
    /// A bar where the standard error stream is a terminal, lines elsewhere.
    pub fn on_stderr(what: &'static str) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{msg} [{wide_bar}] {percent}% {eta}");
            ProgressBar::new(0)
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
                .with_message(what)
        });
        Progress { what, bar, done: 0, total: 0, told: Instant::now() }
    }

    /// How much there is in all, in whatever is counted.
    pub(super) fn expect(&mut self, total: u64) {
        self.total = total;
        if let Some(bar) = &self.bar {
            bar.set_length(total);
        }
    }

    /// So much of it is done.
    pub(super) fn reach(&mut self, done: u64) {
        self.done = done;
        match &self.bar {
            Some(bar) => bar.set_position(done),
            None if self.told.elapsed() >= LINES => {
                self.told = Instant::now();
                let percent = done.saturating_mul(100) / self.total.max(1);
                eprintln!("{}: {percent}%", self.what);
            }
            None => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
