//! The deterministic simulation: clients, nodes, a store and a network in one process, from one seed.
//!
//! A run is a list of [`Transition`]s that a seed chooses, and of the inputs that follow from them. A step is one input
//! handled: a frame, a timer, a command, a request to the store or its answer. After each of them all [`invariants`]
//! hold, or the run fails and prints its seed; the same seed gives the same run on every machine. Then all faults
//! cease, and what is left must come to rest: nothing pending, everybody at the head, the same state everywhere. Then
//! all leave, and nothing may be left of them. What runs have to reach is listed in [`marks`].

pub mod act;
mod arrive;
pub mod client;
mod conflicts;
mod host;
pub mod invariants;
pub mod marks;
pub mod model;
pub mod network;
pub mod node;
mod presence;
mod purse;
mod serve;
pub mod store;
mod time;
pub mod transition;
pub mod world;

pub use marks::Marks;
pub use transition::Transition;
pub use world::{Report, World};

/// Transitions of one run: enough for rooms to be made, left, cut off and come back to several times.
pub const TRANSITIONS: usize = 250;

/// Runs a seed to its end.
///
/// # Errors
/// Which invariant did not hold, after which transition.
pub fn run(seed: u64) -> Result<Report, String> {
    let mut world = World::new(seed);
    for index in 0..TRANSITIONS {
        let transition = Transition::choose(&mut world);
        world.apply(transition.clone());
        if let Some(broken) = world.broken() {
            return Err(format!("seed {seed}, transition {index}, {transition:?}: {broken}"));
        }
    }
    let at_rest = world.settle().and_then(|()| invariants::check_at_rest(&world));
    at_rest.map_err(|broken| format!("seed {seed}, at rest: {broken}"))?;
    world.all_leave().map_err(|broken| format!("seed {seed}, when all have left: {broken}"))?;
    Ok(world.report())
}
