//! The core for Kotlin and Swift, through uniffi.
//!
//! The surface is synchronous and pull-only. It translates types and does nothing else: what is decided is decided in
//! `enfilade-core`, and sockets, timers and storage belong to the packages on top. Calls are few and coarse, because
//! each crossing costs; every one of them returns a `Result`, because a panic in a function that can't throw ends a
//! Swift program.

mod code;

uniffi::setup_scaffolding!();

pub use code::{CodeRecord, FfiError, RetryDecision, code_registry};
