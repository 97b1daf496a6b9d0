//! What policies are measured on: made-up people who move between rooms, and the best that any cache could do.
//!
//! Every trace is a list of room numbers and follows from family, seed and length alone, on every platform: there is no
//! float whose last bit could differ. The families and seeds that policies are tuned on are not those that results are
//! reported on.
#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "offline study, on rooms that it numbers"
)]

mod belady;
mod families;
mod peers;
mod people;
mod prefetch;
mod tiers;

pub use belady::belady_hits;
#[cfg(test)]
mod tests;

pub use families::{FAMILIES, Family, PRIOR_FAMILIES, RESULT_SEEDS, TUNING_FAMILIES, TUNING_SEEDS};
pub use peers::{Core, Popular, Ppm};
pub use prefetch::{Outcome, Prefetcher, prefetch};
pub use tiers::Change;
