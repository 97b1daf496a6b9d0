//! The core for Kotlin and Swift, through uniffi.
//!
//! The surface is synchronous and pull-only. It translates types and does nothing else: what is decided is decided in
//! `enfilade-core`, and sockets, timers and storage belong to the packages on top. Calls are few and coarse, because
//! each crossing costs; every one of them returns a `Result`, because a panic in a function that can't throw ends a
//! Swift program.

mod client;
mod code;
#[cfg(feature = "conformance")]
mod conformance;
mod frame;
mod input;
mod output;
mod people;
mod view;

uniffi::setup_scaffolding!();

pub use client::{ClientSettings, EnfiladeClient};
pub use code::{CodeRecord, FfiError, RetryDecision, code_registry};
#[cfg(feature = "conformance")]
pub use conformance::answer_question;
pub use frame::{normalise_client_frame, normalise_server_frame, subprotocol};
pub use input::{Input, NetworkState, OpId, RoomTier, RoomVisibility, SignalClass, StoredRecord};
pub use output::{Effect, Event, Notification, Refused, RoomChange, Signal, Step};
pub use people::{Availability, Contact, Friendship, Score, Scores, Team, UserStatus};
pub use view::{
    Connection, ConnectionStatus, Member, MemberRole, Message, PendingOp, PendingState, PresentUser, Reason,
    Room, RoomRow, SyncState,
};
