//! Enfilade's wire format: the messages of its `.proto` files as Rust types, and the registry of codes.
#![no_std]

extern crate alloc;
// The derives name this crate.
extern crate self as enfilade_proto;

pub use code::{Code, Retry};
pub use prost;

/// Derives for messages: prost's, or in the browser, where bytes are dear, ours. They mean the same.
#[cfg(target_family = "wasm")]
pub use enfilade_proto_derive::{Message, Oneof};
#[cfg(not(target_family = "wasm"))]
pub use prost::{Message, Oneof};

mod code;
#[cfg(any(test, target_family = "wasm"))]
pub mod compact;
pub mod schema;

/// Protocol versions are `major * 1000 + minor`; this is the oldest that this build speaks.
pub const VERSION_MIN: u32 = 1000;
/// The newest protocol version that this build speaks.
pub const VERSION_MAX: u32 = 1000;
/// The WebSocket subprotocol of the binary codec.
pub const SUBPROTOCOL_BINARY: &str = "enfilade.proto.v1";
/// The WebSocket subprotocol of the JSON codec.
pub const SUBPROTOCOL_JSON: &str = "enfilade.json.v1";

/// The messages of protocol 1, generated from the `.proto` files.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/enfilade.v1.rs"));
}
