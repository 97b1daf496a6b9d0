//! The server end to end: a process of its own, over REST and over sockets in both codecs.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "server/bad_input.rs"]
mod bad_input;
#[path = "server/crash.rs"]
mod crash;
#[path = "server/harness.rs"]
mod harness;
#[path = "server/nodes.rs"]
mod nodes;
#[path = "server/rest.rs"]
mod rest;
#[path = "server/talk.rs"]
mod talk;

/// Not a test: what the tests start in a process of its own.
#[test]
#[ignore = "it is the server that the tests start"]
fn the_server_itself() {
    harness::serve();
}
