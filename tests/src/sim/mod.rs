//! The deterministic simulation: clients, nodes, a store and a network in one process, from one seed.
//!
//! A run is a list of [`Transition`]s that a seed chooses. After each of them all [`invariants`] hold, or the run fails
//! and prints its seed; the same seed gives the same run on every machine. At its end all faults cease, and what is
//! left must come to rest: nothing pending, everybody at the head, the same state everywhere.

pub mod client;
pub mod invariants;
pub mod model;
pub mod network;
pub mod node;
mod serve;
pub mod store;
pub mod transition;
pub mod world;

pub use transition::Transition;
pub use world::{Report, World};

/// Steps of one run: enough for rooms to be made, left, cut off and come back to several times.
pub const STEPS: usize = 250;

/// Runs a seed to its end.
///
/// # Errors
/// Which invariant did not hold, after which step.
pub fn run(seed: u64) -> Result<Report, String> {
    let mut world = World::new(seed);
    for step in 0..STEPS {
        let transition = Transition::choose(&mut world);
        world.apply(transition.clone());
        invariants::check(&world)
            .map_err(|broken| format!("seed {seed}, step {step}, after {transition:?}: {broken}"))?;
    }
    world.settle().map_err(|broken| format!("seed {seed}, at rest: {broken}"))?;
    invariants::check(&world).map_err(|broken| format!("seed {seed}, at rest: {broken}"))?;
    invariants::check_at_rest(&world).map_err(|broken| format!("seed {seed}, at rest: {broken}"))?;
    Ok(world.report())
}
