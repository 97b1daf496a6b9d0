//! Frames outside of any session: what conformance vectors are held against.

use enfilade_core::{SUBPROTOCOL_BINARY, wire::binary};

use crate::FfiError;

/// The WebSocket subprotocol that a session speaks.
#[uniffi::export]
pub fn subprotocol() -> Result<String, FfiError> {
    Ok(SUBPROTOCOL_BINARY.into())
}

/// Reads a frame of at most `max_bytes` towards the server, and writes it as this version does: without what it does
/// not know.
#[uniffi::export]
pub fn normalise_client_frame(bytes: Vec<u8>, max_bytes: i64) -> Result<Vec<u8>, FfiError> {
    Ok(binary::encode_client(&binary::decode_client(&bytes, size(max_bytes))?))
}

/// Reads a frame of at most `max_bytes` towards the client, and writes it as this version does: without what it does
/// not know.
#[uniffi::export]
pub fn normalise_server_frame(bytes: Vec<u8>, max_bytes: i64) -> Result<Vec<u8>, FfiError> {
    Ok(binary::encode_server(&binary::decode_server(&bytes, size(max_bytes))?))
}

fn size(bytes: i64) -> usize {
    usize::try_from(bytes).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use enfilade_core::Code;

    use super::*;

    #[test]
    fn a_frame_that_is_none_is_a_coded_error() {
        assert_eq!(normalise_client_frame(vec![0xff; 4], 4), Err(Code::Malformed.into()));
        assert_eq!(normalise_server_frame(vec![0; 5], 4), Err(Code::FrameTooLarge.into()));
        assert_eq!(normalise_server_frame(vec![0], -1), Err(Code::FrameTooLarge.into()));
    }
}
