//! Measures Enfilade beside its peers, as one load client that treats every server alike.

pub mod burst;
pub mod dialect;
pub mod idle;
pub mod process;
pub mod report;
pub mod ws;

/// Marks a delivery. It is valid text, and occurs neither in a frame's header nor in anything else that is sent.
pub const MARKER: &[u8] = "§¤".as_bytes();

/// A payload of so many bytes with one marker in it.
pub fn payload(len: usize) -> Vec<u8> {
    let mut payload = MARKER.to_vec();
    payload.resize(len, b'x');
    payload
}

/// What the runner tells a server to listen on.
pub fn port_from_environment() -> u16 {
    std::env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(0)
}
