//! The Enfilade server as a library: stores, tokens, configuration, sockets and rooms. The binary only calls it.

pub mod archive;
pub mod auth;
pub mod cli;
pub mod config;
pub mod events;
pub mod folder;
pub mod follow;
pub mod health;
pub mod http;
pub mod net;
pub mod readable;
pub mod rooms;
pub mod serve;
pub mod session;
pub mod store;
pub mod telemetry;
pub mod transfer;
