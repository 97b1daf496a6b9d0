//! The frames of both directions, all but the syncs of rooms.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::leaf::{Base64, Int, SignalClass, Tier};
use super::mirror::{Mirror, OneOf, messages, oneof};
use super::op::Op;
use super::room::{Message, OpId, Position, RoomSummary};
use super::sync::RoomStateSync;
use crate::v1;

/// A frame towards the server.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct ClientFrame(OneOf<ClientBody>);

/// A frame towards the client.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct ServerFrame(OneOf<ServerBody>);

impl Mirror for ClientFrame {
    type Wire = v1::ClientFrame;

    fn of(wire: v1::ClientFrame) -> Self {
        let v1::ClientFrame { body } = wire;
        ClientFrame(OneOf(Mirror::of(body)))
    }
    fn wire(self) -> v1::ClientFrame {
        v1::ClientFrame { body: self.0.0.wire() }
    }
}

impl Mirror for ServerFrame {
    type Wire = v1::ServerFrame;

    fn of(wire: v1::ServerFrame) -> Self {
        let v1::ServerFrame { body } = wire;
        ServerFrame(OneOf(Mirror::of(body)))
    }
    fn wire(self) -> v1::ServerFrame {
        v1::ServerFrame { body: self.0.0.wire() }
    }
}

oneof! {
    ClientBody = v1::client_frame::Body {
        "hello" Hello => Hello,
        "set_tier" SetTier => SetTier,
        "submit" Submit => Submit,
        "signal" Signal => Signal,
        "history" HistoryRequest => History,
        "token_refresh" TokenRefresh => TokenRefresh,
        "heartbeat" ClientHeartbeat => Heartbeat,
        "room_list" RoomListRequest => RoomList,
        "time_request" TimeRequest => TimeRequest,
    }
}

oneof! {
    ServerBody = v1::server_frame::Body {
        "welcome" Welcome => Welcome,
        "room_state_sync" RoomStateSync => RoomStateSync,
        "ack" Ack => Ack,
        "rejection" Rejection => Rejection,
        "signals" Signals => Signals,
        "history_page" HistoryPage => HistoryPage,
        "advice" Advice => Advice,
        "error" Error => Error,
        "heartbeat" ServerHeartbeat => Heartbeat,
        "room_list" RoomList => RoomList,
        "time_reply" TimeReply => TimeReply,
    }
}

messages! {
    Hello {
        version_min: u32,
        version_max: u32,
        token: String,
        client_id: Int,
        agent: String,
        rooms: Vec<SetTier>,
    }
    SetTier {
        room_id: String,
        tier: Tier,
        base: Option<Position>,
        seen: Option<Position>,
        digest: Option<Int>,
        reason: u32,
        warm_up: bool,
    }
    Submit {
        room_id: String,
        op_id: Option<OpId>,
        op: Op,
        base: Option<Position>,
        offline: bool,
        seen: Vec<OpId>,
    }
    Signal {
        room_id: String,
        kind: String,
        payload: Base64,
        class: SignalClass,
        key: String,
        at: Int,
    }
    HistoryRequest {
        request_id: Int,
        room_id: String,
        before_seq: Int,
        limit: u32,
        after_seq: Int,
    }
    TokenRefresh {
        token: String,
    }
    ClientHeartbeat {
        echo: Int,
    }
    RoomListRequest {
        request_id: Int,
        since: Int,
        cursor: String,
        limit: u32,
    }
    Welcome {
        version: u32,
        connection_id: String,
        user: String,
        user_name: String,
        time: Int,
        limits: Option<Limits>,
        heartbeat_interval: u32,
        reconnect_min: u32,
        reconnect_max: u32,
        agent: String,
        token_expires: Int,
    }
    Limits {
        frame_bytes: u32,
        op_bytes: u32,
        live_rooms: u32,
        cached_rooms: u32,
        in_flight: u32,
        budgets: Vec<TierBudget>,
        warm_up: Option<u32>,
    }
    Ack {
        room_id: String,
        op_id: Option<OpId>,
        position: Option<Position>,
    }
    Rejection {
        room_id: String,
        op_id: Option<OpId>,
        code: u32,
        retry_after: Int,
        reason: String,
        position: Option<Position>,
    }
    Signals {
        alias: u32,
        signals: Vec<SignalItem>,
        position: Option<Position>,
        room_id: String,
    }
    SignalItem {
        user: String,
        client: Int,
        kind: String,
        payload: Base64,
        class: SignalClass,
        key: String,
        at: Int,
    }
    HistoryPage {
        request_id: Int,
        room_id: String,
        position: Option<Position>,
        messages: Vec<Message>,
        next_before_seq: Int,
    }
    Advice {
        code: u32,
        reconnect_after: Int,
        close: bool,
        reason: String,
        room: Option<SetTier>,
    }
    Error {
        code: u32,
        reason: String,
        room_id: String,
        request_id: Int,
        retry_after: Int,
    }
    ServerHeartbeat {
        time: Int,
    }
    RoomList {
        request_id: Int,
        rooms: Vec<RoomSummary>,
        next: String,
        revision: Int,
        total: u32,
    }
    TimeRequest {
        sent: Int,
    }
    TimeReply {
        sent: Int,
        time: Int,
    }
    TierBudget {
        tier: Tier,
        memory: Int,
        bandwidth: Int,
    }
}
