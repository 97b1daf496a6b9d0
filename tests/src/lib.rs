//! What the tests that cross crates share.

#[allow(missing_docs)]
pub mod sim;
pub mod vectors;
