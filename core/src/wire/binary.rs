//! The binary codec: protobuf, one message a frame.

use alloc::vec::Vec;

use prost::Message;

use super::within;
use crate::{Code, v1};

/// The bytes of a frame towards the server.
pub fn encode_client(frame: &v1::ClientFrame) -> Vec<u8> {
    frame.encode_to_vec()
}

/// The bytes of a frame towards the client.
pub fn encode_server(frame: &v1::ServerFrame) -> Vec<u8> {
    frame.encode_to_vec()
}

/// Reads a frame from a client of at most `max` bytes.
pub fn decode_client(bytes: &[u8], max: usize) -> Result<v1::ClientFrame, Code> {
    decode(bytes, max)
}

/// Reads a frame from a server of at most `max` bytes.
pub fn decode_server(bytes: &[u8], max: usize) -> Result<v1::ServerFrame, Code> {
    decode(bytes, max)
}

/// Nesting is bounded by prost, at 100 levels; strings are checked to be UTF-8.
fn decode<F: Message + Default>(bytes: &[u8], max: usize) -> Result<F, Code> {
    F::decode(within(bytes, max)?).map_err(|_| Code::Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits::FRAME_BYTES;
    use crate::wire::arbitrary::frame;

    #[test]
    fn a_frame_of_an_unknown_type_has_no_body() {
        // Field 2047, a message of no bytes.
        assert_eq!(decode_server(&[0xfa, 0x7f, 0], FRAME_BYTES), Ok(v1::ServerFrame { body: None }));
        assert_eq!(decode_client(&[], FRAME_BYTES), Ok(v1::ClientFrame { body: None }));
    }

    #[test]
    fn groups_nested_without_end_are_refused() {
        // Field 2047, start of a group, over and over.
        let nested = [0xfb, 0x7f].repeat(10_000);
        assert_eq!(decode_server(&nested, FRAME_BYTES), Err(Code::Malformed));
    }

    proptest! {
        #[test]
        fn client_frames_survive_their_bytes(frame in frame::<v1::ClientFrame>()) {
            prop_assert_eq!(decode_client(&encode_client(&frame), usize::MAX), Ok(frame));
        }

        #[test]
        fn server_frames_survive_their_bytes(frame in frame::<v1::ServerFrame>()) {
            prop_assert_eq!(decode_server(&encode_server(&frame), usize::MAX), Ok(frame));
        }

        #[test]
        fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_client(&bytes, FRAME_BYTES);
            let _ = decode_server(&bytes, FRAME_BYTES);
        }
    }
}
