//! Enfilade's core: everything that is decided, and nothing that is done.
//!
//! The core folds the logs of rooms into their state ([`RoomState`]), plays the client's part ([`client::Client`]) and
//! the server's part ([`authority::Authority`], [`authority::Connection`]) of the protocol, and does no IO: inputs are
//! handed in together with the time, outputs are polled. The same inputs give the same outputs on every platform.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod alone;
pub mod authority;
pub mod cache;
pub mod client;
pub mod compress;
pub mod conflict;
mod delta;
mod digest;
mod entry;
pub mod fractional_index;
mod id;
pub mod limits;
mod long;
pub mod op;
mod order;
pub mod pending;
pub mod policy;
mod position;
pub mod predict;
pub mod presence;
mod rng;
mod shared;
pub mod signal;
mod sorted;
pub mod state;
pub mod text;
pub mod tier;
mod time;
pub mod trace;
pub mod traffic;
mod weight;
pub mod wire;

pub use delta::{Delta, delta};
pub use digest::{Digest, hash53};
pub use enfilade_proto::{Code, Retry, SUBPROTOCOL_BINARY, SUBPROTOCOL_JSON, VERSION_MAX, VERSION_MIN, v1};
pub use entry::Entry;
pub use id::{ClientId, OpId, RoomId, UserId};
pub use position::Position;
pub use rng::Rng;
pub use state::{Change, RoomState};
pub use tier::Tier;
pub use time::Millis;
