//! Frames to bytes and back, in two codecs with the same meaning.
//!
//! Every WebSocket message is one frame. Fields and frame types that this version does not know are ignored: a frame
//! of an unknown type decodes to one whose `body` is `None`, which callers skip.

use alloc::vec::Vec;

use crate::{Code, SUBPROTOCOL_BINARY, v1};

pub mod binary;
#[cfg(feature = "json")]
pub mod json;

#[cfg(test)]
pub(crate) mod arbitrary;

/// How frames are written on a connection. Chosen by the WebSocket subprotocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// Protobuf, in binary WebSocket messages.
    Binary,
    /// JSON, in text WebSocket messages.
    #[cfg(feature = "json")]
    Json,
}

impl Codec {
    /// The codec that a subprotocol names, if it is one of ours.
    pub fn from_subprotocol(name: &str) -> Option<Codec> {
        match name {
            SUBPROTOCOL_BINARY => Some(Codec::Binary),
            #[cfg(feature = "json")]
            crate::SUBPROTOCOL_JSON => Some(Codec::Json),
            _ => None,
        }
    }

    /// The WebSocket subprotocol.
    pub fn subprotocol(self) -> &'static str {
        match self {
            Codec::Binary => SUBPROTOCOL_BINARY,
            #[cfg(feature = "json")]
            Codec::Json => crate::SUBPROTOCOL_JSON,
        }
    }

    /// Whether its frames travel in text messages.
    pub fn is_text(self) -> bool {
        match self {
            Codec::Binary => false,
            #[cfg(feature = "json")]
            Codec::Json => true,
        }
    }
}

/// The bytes of a frame towards the server.
pub fn encode_client(codec: Codec, frame: &v1::ClientFrame) -> Vec<u8> {
    match codec {
        Codec::Binary => binary::encode_client(frame),
        #[cfg(feature = "json")]
        Codec::Json => json::encode_client(frame),
    }
}

/// The bytes of a frame towards the client.
pub fn encode_server(codec: Codec, frame: &v1::ServerFrame) -> Vec<u8> {
    match codec {
        Codec::Binary => binary::encode_server(frame),
        #[cfg(feature = "json")]
        Codec::Json => json::encode_server(frame),
    }
}

/// Reads a frame from a client. [`Code::FrameTooLarge`] beyond `max` bytes, [`Code::Malformed`] for what is no frame.
pub fn decode_client(codec: Codec, bytes: &[u8], max: usize) -> Result<v1::ClientFrame, Code> {
    match codec {
        Codec::Binary => binary::decode_client(bytes, max),
        #[cfg(feature = "json")]
        Codec::Json => json::decode_client(bytes, max),
    }
}

/// Reads a frame from a server. [`Code::FrameTooLarge`] beyond `max` bytes, [`Code::Malformed`] for what is no frame.
pub fn decode_server(codec: Codec, bytes: &[u8], max: usize) -> Result<v1::ServerFrame, Code> {
    match codec {
        Codec::Binary => binary::decode_server(bytes, max),
        #[cfg(feature = "json")]
        Codec::Json => json::decode_server(bytes, max),
    }
}

fn within(bytes: &[u8], max: usize) -> Result<&[u8], Code> {
    if bytes.len() <= max { Ok(bytes) } else { Err(Code::FrameTooLarge) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_codec_and_its_subprotocol_name_each_other() {
        assert_eq!(Codec::from_subprotocol(Codec::Binary.subprotocol()), Some(Codec::Binary));
        #[cfg(feature = "json")]
        assert_eq!(Codec::from_subprotocol(Codec::Json.subprotocol()), Some(Codec::Json));
        assert_eq!(Codec::from_subprotocol("enfilade.proto.v2"), None);
    }

    #[test]
    fn a_frame_beyond_the_limit_is_not_even_looked_at() {
        let garbage = [0xff; 9];
        assert_eq!(decode_client(Codec::Binary, &garbage, 8), Err(Code::FrameTooLarge));
        assert_eq!(decode_client(Codec::Binary, &garbage, 9), Err(Code::Malformed));
    }
}
