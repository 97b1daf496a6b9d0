//! What the tests that cross crates share.

pub mod full;
pub mod fuzzing;
pub mod rules;
pub mod scenarios;
#[allow(missing_docs)]
pub mod sim;
pub mod vectors;
