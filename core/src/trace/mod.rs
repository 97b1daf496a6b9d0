#![doc = include_str!("../docs/trace.md")]

mod format;
mod record;
pub(crate) mod redact;
mod replay;

pub use record::Session;
pub use replay::{Divergence, Replay, Step, Trace};

/// Bytes that a recording may have. An hour in a busy room is about a megabyte; a bug report is not much larger.
pub const TRACE_BYTES: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests;
