//! Frames into bytes: once a codec, whole, with the WebSocket header.

use bytes::Bytes;
use enfilade_core::authority::{ConnId, Lane};
use enfilade_core::v1::server_frame::Body;
use enfilade_core::{RoomId, Tier, v1, wire};
use prost::Message as _;

use crate::net::{self, Codec, Frames, Interest};

/// The channel of a room and tier.
pub fn channel(alias: u32, tier: Tier) -> net::Channel {
    alias << 1 | u32::from(tier == Tier::Active)
}

/// A whole WebSocket message with this frame.
pub fn encode_frame(codec: Codec, frame: &v1::ServerFrame) -> Bytes {
    match codec {
        Codec::Binary => net::frame::encode_with(codec, frame.encoded_len(), |buffer| {
            // The buffer was sized for it.
            let _ = frame.encode(buffer);
        }),
        Codec::Json => net::frame::encode(codec, &wire::encode_server(wire::Codec::Json, frame)),
    }
}

/// A shared frame in the codecs that have readers. In JSON, frames name their room always.
pub(super) fn encode_shared(interest: Interest, room: &RoomId, mut frame: v1::ServerFrame) -> Frames {
    let binary = if interest.binary { encode_frame(Codec::Binary, &frame) } else { Bytes::new() };
    if !interest.json {
        return Frames { binary, json: Bytes::new() };
    }
    match &mut frame.body {
        Some(Body::RoomStateSync(sync)) => sync.room_id = room.as_str().into(),
        Some(Body::Signals(signals)) => signals.room_id = room.as_str().into(),
        _ => {}
    }
    Frames { binary, json: encode_frame(Codec::Json, &frame) }
}

pub(super) fn lane(lane: Lane) -> net::Lane {
    match lane {
        Lane::Control => net::Lane::Control,
        Lane::Log => net::Lane::Log,
        Lane::State => net::Lane::State,
        Lane::Signal => net::Lane::Signal,
    }
}

/// The connection that an authority's number stands for.
pub(super) fn socket(conn: ConnId) -> net::ConnId {
    net::ConnId::from_u64(conn.0)
}
