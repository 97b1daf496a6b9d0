#![doc = include_str!("../docs/alone.md")]

mod host;
mod log;
mod server;
mod simulation;

pub use host::Host;
pub use log::Made;
pub use server::{Output, Server};
pub use simulation::Simulation;

/// Connections that a server in the process takes: tabs and players of one device.
pub const CONNECTIONS: usize = 64;
/// Rooms that it holds, inboxes included.
pub const ROOMS: usize = 1_024;
/// Entries of a room that it holds. Beyond, the room takes no more: what is hosted alone for so long is to be merged.
pub const ENTRIES: usize = 100_000;

#[cfg(test)]
mod tests;
