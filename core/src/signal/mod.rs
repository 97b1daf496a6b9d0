#![doc = include_str!("../docs/signals.md")]

mod clock;
mod jitter;

pub use clock::Clock;
pub use jitter::Jitter;
