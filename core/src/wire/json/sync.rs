//! `room_state_sync`: the one frame whose `data` takes its shape from another field, `message_type`.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::leaf::{Int, MessageType, Tier, Timestamp};
use super::mirror::{Mirror, messages};
use super::room::{Entry, Message, PresentUser, RoomConfig, RoomInfo, RoomSnapshot};
use crate::v1;
use crate::v1::room_state_sync::Data as Wire;

/// Everything the server says about a room's state.
pub(super) struct RoomStateSync(Sync<Data>);

/// The frame with its data either typed or not looked at yet.
#[derive(Serialize, Deserialize)]
#[serde(default, bound(deserialize = "D: Deserialize<'de>"))]
struct Sync<D> {
    #[serde(skip_serializing_if = "Mirror::absent")]
    message_type: MessageType,
    #[serde(skip_serializing_if = "Mirror::absent")]
    room_id: String,
    #[serde(skip_serializing_if = "Mirror::absent")]
    alias: u32,
    #[serde(skip_serializing_if = "Mirror::absent")]
    timestamp: Timestamp,
    #[serde(skip_serializing_if = "Mirror::absent")]
    epoch: Int,
    #[serde(skip_serializing_if = "Mirror::absent")]
    sequence_number: Int,
    #[serde(skip_serializing_if = "Mirror::absent")]
    tier: Option<Tier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<D>,
}

#[derive(Serialize)]
#[serde(untagged)]
#[allow(clippy::large_enum_variant, reason = "there is one at a time, on its way through")]
enum Data {
    StateUpdate(StateUpdate),
    BulkSync(BulkSync),
    DeltaUpdate(DeltaUpdate),
    Heartbeat(RoomHeartbeat),
}

impl<D> Default for Sync<D> {
    fn default() -> Self {
        Sync {
            message_type: MessageType::default(),
            room_id: String::new(),
            alias: 0,
            timestamp: Timestamp::default(),
            epoch: Int::default(),
            sequence_number: Int::default(),
            tier: None,
            data: None,
        }
    }
}

impl<D> Sync<D> {
    fn with_data<E>(self, data: Option<E>) -> Sync<E> {
        let Sync { message_type, room_id, alias, timestamp, epoch, sequence_number, tier, data: _ } = self;
        Sync { message_type, room_id, alias, timestamp, epoch, sequence_number, tier, data }
    }
}

impl Serialize for RoomStateSync {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RoomStateSync {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut sync = Sync::<Value>::deserialize(deserializer)?;
        let data = match sync.data.take() {
            Some(value) => Data::read(sync.message_type, value).map_err(serde::de::Error::custom)?,
            None => None,
        };
        Ok(RoomStateSync(sync.with_data(data)))
    }
}

impl Data {
    /// Data of a type that this version does not know is skipped.
    fn read(of: MessageType, value: Value) -> Result<Option<Data>, serde_json::Error> {
        match of.known() {
            Some(v1::MessageType::StateUpdate) => {
                serde_json::from_value(value).map(Data::StateUpdate).map(Some)
            }
            Some(v1::MessageType::BulkSync) => serde_json::from_value(value).map(Data::BulkSync).map(Some),
            Some(v1::MessageType::DeltaUpdate) => {
                serde_json::from_value(value).map(Data::DeltaUpdate).map(Some)
            }
            Some(v1::MessageType::Heartbeat) => serde_json::from_value(value).map(Data::Heartbeat).map(Some),
            Some(v1::MessageType::Unspecified) | None => Ok(None),
        }
    }

    fn message_type(wire: &Wire) -> v1::MessageType {
        match wire {
            Wire::StateUpdate(_) => v1::MessageType::StateUpdate,
            Wire::BulkSync(_) => v1::MessageType::BulkSync,
            Wire::DeltaUpdate(_) => v1::MessageType::DeltaUpdate,
            Wire::Heartbeat(_) => v1::MessageType::Heartbeat,
        }
    }
}

impl Mirror for Data {
    type Wire = Wire;

    fn of(wire: Wire) -> Self {
        match wire {
            Wire::StateUpdate(update) => Data::StateUpdate(Mirror::of(update)),
            Wire::BulkSync(bulk) => Data::BulkSync(Mirror::of(bulk)),
            Wire::DeltaUpdate(delta) => Data::DeltaUpdate(Mirror::of(delta)),
            Wire::Heartbeat(heartbeat) => Data::Heartbeat(Mirror::of(heartbeat)),
        }
    }
    fn wire(self) -> Wire {
        match self {
            Data::StateUpdate(update) => Wire::StateUpdate(update.wire()),
            Data::BulkSync(bulk) => Wire::BulkSync(bulk.wire()),
            Data::DeltaUpdate(delta) => Wire::DeltaUpdate(delta.wire()),
            Data::Heartbeat(heartbeat) => Wire::Heartbeat(heartbeat.wire()),
        }
    }
}

impl Mirror for RoomStateSync {
    type Wire = v1::RoomStateSync;

    /// Data of another type than `message_type` says has no meaning, and no form in JSON: it is left out.
    fn of(wire: v1::RoomStateSync) -> Self {
        let v1::RoomStateSync { message_type, room_id, alias, timestamp, epoch, sequence_number, tier, data } =
            wire;
        let data = data.filter(|data| Data::message_type(data) as i32 == message_type);
        RoomStateSync(Sync {
            message_type: Mirror::of(message_type),
            room_id,
            alias,
            timestamp: Mirror::of(timestamp),
            epoch: Mirror::of(epoch),
            sequence_number: Mirror::of(sequence_number),
            tier: Mirror::of(tier),
            data: Mirror::of(data),
        })
    }
    fn wire(self) -> v1::RoomStateSync {
        let Sync { message_type, room_id, alias, timestamp, epoch, sequence_number, tier, data } = self.0;
        v1::RoomStateSync {
            message_type: message_type.wire(),
            room_id,
            alias,
            timestamp: timestamp.wire(),
            epoch: epoch.wire(),
            sequence_number: sequence_number.wire(),
            tier: tier.wire(),
            data: data.wire(),
        }
    }
}

messages! {
    StateUpdate {
        info: Option<RoomInfo>,
        room_config: Option<RoomConfig>,
        user_count: Option<u32>,
        moderator_count: Option<u32>,
        member_count: Option<u32>,
        messages: Option<Int>,
        recent: Vec<Message>,
        presence: Option<PresenceUpdate>,
        state_digest: Option<Int>,
        stream_status: Option<String>,
        changed: Vec<Message>,
        config_fingerprint: Option<Int>,
        fold_version: Option<u32>,
    }
    PresenceUpdate {
        full: bool,
        users: Vec<PresentUser>,
        gone: Vec<String>,
    }
    BulkSync {
        part: u32,
        parts: u32,
        snapshot: Option<RoomSnapshot>,
        reason: u32,
    }
    DeltaUpdate {
        entries: Vec<Entry>,
    }
    RoomHeartbeat {
        messages: Int,
        state_digest: Option<Int>,
        user_count: Option<u32>,
        last_activity: Option<Int>,
        fold_version: Option<u32>,
    }
}
