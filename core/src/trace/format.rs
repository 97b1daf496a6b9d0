//! The bytes of a trace: a header, and messages behind their lengths, first the head and then the steps.
//!
//! | bytes | |
//! |---|---|
//! | 4 | `ENFT` |
//! | 2 | version, little endian |
//! | 1 | 1 when the recording was full and the rest of the session is missing |
//! | 8 | [`hash53`] of all that follows, with version and mark as its seed |

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::alone::Made;
use crate::cache::PolicyKind;
use crate::client::{ClientConfig, Input, Network};
use crate::op::Body;
use crate::tier::budget::Budgets;
use crate::{ClientId, Code, Millis, OpId, Position, RoomId, Tier, hash53, op, v1};

pub(super) const MAGIC: &[u8; 4] = b"ENFT";
pub(super) const VERSION: u16 = 1;
pub(super) const HEADER: usize = 15;
/// What a step adds to the payload beyond its own bytes, at most, with the header.
pub(super) const OVERHEAD: usize = HEADER + 10;

/// How a session began.
#[derive(Clone, PartialEq, enfilade_proto::Message)]
pub(super) struct StoredHead {
    #[prost(uint64, tag = "1")]
    pub(super) seed: u64,
    #[prost(uint64, tag = "2")]
    pub(super) began: u64,
    /// Of the core that has recorded. Another one may rightly do something else.
    #[prost(string, tag = "3")]
    pub(super) version: String,
    #[prost(bool, tag = "4")]
    pub(super) is_redacted: bool,
    #[prost(uint64, tag = "5")]
    pub(super) client_id: u64,
    #[prost(string, tag = "6")]
    pub(super) agent: String,
    #[prost(uint64, tag = "7")]
    pub(super) active_grace: u64,
    #[prost(uint64, tag = "8")]
    pub(super) background_for: u64,
    #[prost(uint64, tag = "9")]
    pub(super) cached_for: u64,
    #[prost(uint64, tag = "10")]
    pub(super) cached_rooms: u64,
    #[prost(uint64, tag = "11")]
    pub(super) room_list_interval: u64,
    #[prost(uint64, tag = "12")]
    pub(super) save_interval: u64,
    #[prost(uint32, tag = "13")]
    pub(super) warm_up: u32,
    /// Place in the list of all policies.
    #[prost(uint32, tag = "14")]
    pub(super) cache_policy: u32,
    #[prost(message, repeated, tag = "15")]
    pub(super) budgets: Vec<v1::TierBudget>,
}

impl StoredHead {
    pub(super) fn new(config: &ClientConfig, seed: u64, began: Millis) -> StoredHead {
        // Without `..`: what is configured decides what is replayed.
        let ClientConfig {
            client_id,
            agent,
            active_grace,
            background_for,
            cached_for,
            cached_rooms,
            cache_policy,
            room_list_interval,
            save_interval,
            warm_up,
            budgets,
        } = config;
        StoredHead {
            seed,
            began: began.0,
            version: env!("CARGO_PKG_VERSION").to_string(),
            is_redacted: false,
            client_id: client_id.map_or(0, |id| id.0),
            agent: agent.clone(),
            active_grace: *active_grace,
            background_for: *background_for,
            cached_for: *cached_for,
            cached_rooms: *cached_rooms as u64,
            room_list_interval: *room_list_interval,
            save_interval: *save_interval,
            warm_up: *warm_up,
            cache_policy: *cache_policy as u32,
            budgets: budgets.wire(),
        }
    }

    pub(super) fn config(&self) -> ClientConfig {
        ClientConfig {
            client_id: (self.client_id != 0).then_some(ClientId(self.client_id)),
            agent: self.agent.clone(),
            active_grace: self.active_grace,
            background_for: self.background_for,
            cached_for: self.cached_for,
            cached_rooms: usize::try_from(self.cached_rooms).unwrap_or(usize::MAX),
            cache_policy: PolicyKind::ALL.get(self.cache_policy as usize).copied().unwrap_or_default(),
            room_list_interval: self.room_list_interval,
            save_interval: self.save_interval,
            warm_up: self.warm_up,
            budgets: Budgets::read(&self.budgets),
        }
    }
}

/// An input, and what it led to. One flat message for all kinds.
#[derive(Clone, PartialEq, enfilade_proto::Message)]
pub(super) struct StoredStep {
    /// Milliseconds since the step before.
    #[prost(uint64, tag = "1")]
    pub(super) after: u64,
    #[prost(uint32, tag = "2")]
    pub(super) kind: u32,
    #[prost(string, tag = "3")]
    pub(super) room: String,
    #[prost(string, tag = "4")]
    pub(super) text: String,
    #[prost(string, tag = "5")]
    pub(super) other_text: String,
    #[prost(bytes = "vec", tag = "6")]
    pub(super) bytes: Vec<u8>,
    #[prost(uint64, tag = "7")]
    pub(super) number: u64,
    #[prost(uint64, tag = "8")]
    pub(super) other_number: u64,
    #[prost(message, repeated, tag = "9")]
    pub(super) records: Vec<StoredRecord>,
    #[prost(enumeration = "v1::ConflictChoice", tag = "11")]
    choice: i32,
    #[prost(message, repeated, tag = "12")]
    made: Vec<StoredMade>,
    /// Hash of answer, effects, events and next deadline.
    #[prost(uint64, tag = "10")]
    pub(super) outcome: u64,
}

#[derive(Clone, PartialEq, enfilade_proto::Message)]
pub(super) struct StoredRecord {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) value: Vec<u8>,
}

#[derive(Clone, PartialEq, enfilade_proto::Message)]
pub(super) struct StoredMade {
    #[prost(message, optional, tag = "1")]
    id: Option<v1::OpId>,
    #[prost(bytes = "vec", tag = "2")]
    op: Vec<u8>,
    #[prost(message, optional, tag = "3")]
    base: Option<v1::Position>,
    #[prost(message, repeated, tag = "4")]
    seen: Vec<v1::OpId>,
}

impl From<&Made> for StoredMade {
    fn from(made: &Made) -> StoredMade {
        let (id, base) = (Some(made.id.wire()), Some(made.base.wire()));
        StoredMade { id, op: made.op.clone(), base, seen: made.seen.clone() }
    }
}

impl TryFrom<StoredMade> for Made {
    type Error = Code;

    fn try_from(made: StoredMade) -> Result<Made, Code> {
        let base = made.base.map(Position::from).ok_or(Code::TraceDamaged)?;
        let id = OpId::parse(made.id.as_ref()).map_err(|_| Code::TraceDamaged)?;
        Ok(Made { id, op: made.op, base, seen: made.seen })
    }
}

// Kinds of steps. Stable: add, never reuse.
pub(super) const RESUBMIT: u32 = 40;
pub(super) const CONNECTED: u32 = 1;
pub(super) const FRAME: u32 = 2;
pub(super) const DISCONNECTED: u32 = 3;
pub(super) const TIMEOUT: u32 = 4;
pub(super) const NETWORK: u32 = 5;
pub(super) const RESTORE: u32 = 6;
pub(super) const SET_TOKEN: u32 = 7;
pub(super) const CONNECT: u32 = 8;
pub(super) const DISCONNECT: u32 = 9;
pub(super) const LOGOUT: u32 = 10;
pub(super) const ACQUIRE: u32 = 11;
pub(super) const RELEASE: u32 = 12;
pub(super) const SET_TIER: u32 = 13;
pub(super) const SUBMIT: u32 = 14;
pub(super) const CREATE_ROOM: u32 = 15;
pub(super) const MARK_READ: u32 = 16;
pub(super) const CANCEL: u32 = 17;
pub(super) const LOAD_OLDER: u32 = 18;
pub(super) const SET_DRAFT: u32 = 19;
pub(super) const WATCH_ROOMS: u32 = 20;
pub(super) const SIGNAL: u32 = 21;
pub(super) const LOADED: u32 = 22;
pub(super) const NOT_LOADED: u32 = 23;
pub(super) const SET_SCROLL: u32 = 24;
pub(super) const PUT_ELEMENTS: u32 = 25;
pub(super) const SET_ELEMENT: u32 = 26;
pub(super) const DELETE_ELEMENT: u32 = 27;
pub(super) const RESOLVE_CONFLICT: u32 = 28;
pub(super) const WARM_UP: u32 = 29;
pub(super) const IMPORT_NAVIGATION: u32 = 30;
pub(super) const ERASE_NAVIGATION: u32 = 31;
pub(super) const EDIT: u32 = 32;
pub(super) const FILL_GAP: u32 = 33;
pub(super) const AMEND: u32 = 34;
pub(super) const FORGET_VISITS: u32 = 41;

const NETWORKS: [Network; 4] = [Network::Online, Network::Offline, Network::Foreground, Network::Background];

/// A room's id, for the arms of one `match`.
fn named(step: &mut StoredStep, room: &RoomId) {
    step.room.push_str(room.as_str());
}

impl From<&Input> for StoredStep {
    // Writes into one step: a step built in each arm would be twice the code.
    fn from(input: &Input) -> StoredStep {
        let mut step = StoredStep::default();
        step.kind = match input {
            Input::Connected { generation } => {
                step.number = *generation;
                CONNECTED
            }
            Input::Frame { generation, bytes } => {
                step.number = *generation;
                step.bytes.extend_from_slice(bytes);
                FRAME
            }
            Input::Disconnected { generation, code, reason } => {
                step.number = *generation;
                step.other_number = u64::from(*code);
                step.text.push_str(reason);
                DISCONNECTED
            }
            Input::Loaded { key, record } => {
                step.text.push_str(key);
                step.bytes.extend(record.iter().flatten());
                if record.is_some() { LOADED } else { NOT_LOADED }
            }
            Input::Timeout => TIMEOUT,
            Input::Network(network) => {
                step.number = *network as u64;
                NETWORK
            }
            Input::Restore(records) => {
                step.records = records.iter().cloned().map(StoredRecord::from).collect();
                RESTORE
            }
            Input::SetToken(token) => {
                step.text.push_str(token);
                SET_TOKEN
            }
            Input::Connect => CONNECT,
            Input::Disconnect => DISCONNECT,
            Input::Logout => LOGOUT,
            Input::Acquire(room) => {
                named(&mut step, room);
                ACQUIRE
            }
            Input::Release(room) => {
                named(&mut step, room);
                RELEASE
            }
            Input::SetTier(room, tier) => {
                named(&mut step, room);
                step.number = tier.wire() as u64;
                SET_TIER
            }
            Input::Submit(room, body) => {
                named(&mut step, room);
                step.bytes = op::encode(body.clone());
                SUBMIT
            }
            Input::CreateRoom { name, visibility, topic } => {
                step.text.push_str(name);
                step.other_text.push_str(topic);
                step.number = *visibility as u64;
                CREATE_ROOM
            }
            Input::MarkRead(room) => {
                named(&mut step, room);
                MARK_READ
            }
            Input::Cancel(op) => {
                step.number = op.client.0;
                step.other_number = op.counter;
                CANCEL
            }
            Input::Edit(op, body) => {
                step.number = op.client.0;
                step.other_number = op.counter;
                step.bytes = op::encode(body.clone());
                EDIT
            }
            Input::LoadOlder(room, limit) => {
                named(&mut step, room);
                step.number = u64::from(*limit);
                LOAD_OLDER
            }
            Input::FillGap(room, after) => {
                named(&mut step, room);
                step.number = *after;
                FILL_GAP
            }
            Input::Amend(room, body) => {
                named(&mut step, room);
                step.bytes = op::encode(body.clone());
                AMEND
            }
            Input::SetDraft(room, draft) => {
                named(&mut step, room);
                step.text.push_str(draft);
                SET_DRAFT
            }
            Input::SetScroll(room, scroll) => {
                named(&mut step, room);
                step.text.push_str(scroll);
                SET_SCROLL
            }
            Input::PutElements(room, elements) => {
                named(&mut step, room);
                step.bytes = op::encode(Body::PutElements(v1::PutElements { elements: elements.clone() }));
                PUT_ELEMENTS
            }
            Input::SetElement { room, key, value } => {
                named(&mut step, room);
                step.text.push_str(key);
                step.bytes.extend(value.iter().flatten());
                if value.is_some() { SET_ELEMENT } else { DELETE_ELEMENT }
            }
            Input::ResolveConflict(id, choice) => {
                step.number = id.client.0;
                step.other_number = id.counter;
                step.choice = *choice as i32;
                RESOLVE_CONFLICT
            }
            Input::Resubmit(room, made) => {
                named(&mut step, room);
                step.made = made.iter().map(StoredMade::from).collect();
                RESUBMIT
            }
            Input::ForgetVisits => FORGET_VISITS,
            Input::WatchRooms(is_watched) => {
                step.number = u64::from(*is_watched);
                WATCH_ROOMS
            }
            Input::WarmUp(count) => {
                step.number = u64::from(*count);
                WARM_UP
            }
            Input::ImportNavigation(bytes) => {
                step.bytes.extend_from_slice(bytes);
                IMPORT_NAVIGATION
            }
            Input::EraseNavigation => ERASE_NAVIGATION,
            Input::Signal { room, class, kind, key, payload } => {
                named(&mut step, room);
                step.number = *class as u64;
                step.text.push_str(kind);
                step.other_text.push_str(key);
                step.bytes.extend_from_slice(payload);
                SIGNAL
            }
        };
        step
    }
}

impl StoredStep {
    /// The input that was recorded; an error when there is none of that kind or with that content.
    pub(super) fn input(self) -> Result<Input, Code> {
        let StoredStep { room, text, other_text, bytes, number, other_number, .. } = self;
        let room = || RoomId::new(&room).map_err(|_| Code::TraceDamaged);
        let small = || i32::try_from(number).map_err(|_| Code::TraceDamaged);
        Ok(match self.kind {
            CONNECTED => Input::Connected { generation: number },
            FRAME => Input::Frame { generation: number, bytes },
            DISCONNECTED => {
                let code = u16::try_from(other_number).map_err(|_| Code::TraceDamaged)?;
                Input::Disconnected { generation: number, code, reason: text }
            }
            TIMEOUT => Input::Timeout,
            NETWORK => {
                let network = NETWORKS.into_iter().find(|network| *network as u64 == number);
                Input::Network(network.ok_or(Code::TraceDamaged)?)
            }
            RESTORE => {
                Input::Restore(self.records.into_iter().map(|record| (record.key, record.value)).collect())
            }
            SET_TOKEN => Input::SetToken(text),
            CONNECT => Input::Connect,
            DISCONNECT => Input::Disconnect,
            LOGOUT => Input::Logout,
            ACQUIRE => Input::Acquire(room()?),
            RELEASE => Input::Release(room()?),
            SET_TIER => Input::SetTier(room()?, Tier::from_wire(small()?).ok_or(Code::TraceDamaged)?),
            SUBMIT => Input::Submit(room()?, op::read(&bytes).ok_or(Code::TraceDamaged)?),
            CREATE_ROOM => Input::CreateRoom {
                name: text,
                visibility: v1::Visibility::try_from(small()?).map_err(|_| Code::TraceDamaged)?,
                topic: other_text,
            },
            MARK_READ => Input::MarkRead(room()?),
            CANCEL => Input::Cancel(OpId { client: ClientId(number), counter: other_number }),
            EDIT => {
                let id = OpId { client: ClientId(number), counter: other_number };
                Input::Edit(id, op::read(&bytes).ok_or(Code::TraceDamaged)?)
            }
            LOAD_OLDER => Input::LoadOlder(room()?, small()?.unsigned_abs()),
            FILL_GAP => Input::FillGap(room()?, number),
            AMEND => Input::Amend(room()?, op::read(&bytes).ok_or(Code::TraceDamaged)?),
            SET_DRAFT => Input::SetDraft(room()?, text),
            LOADED => Input::Loaded { key: text, record: Some(bytes) },
            NOT_LOADED => Input::Loaded { key: text, record: None },
            SET_SCROLL => Input::SetScroll(room()?, text),
            PUT_ELEMENTS => match op::read(&bytes) {
                Some(Body::PutElements(put)) => Input::PutElements(room()?, put.elements),
                _ => return Err(Code::TraceDamaged),
            },
            SET_ELEMENT => Input::SetElement { room: room()?, key: text, value: Some(bytes) },
            DELETE_ELEMENT => Input::SetElement { room: room()?, key: text, value: None },
            RESOLVE_CONFLICT => {
                let choice = v1::ConflictChoice::try_from(self.choice).map_err(|_| Code::TraceDamaged)?;
                Input::ResolveConflict(OpId { client: ClientId(number), counter: other_number }, choice)
            }
            RESUBMIT => {
                let made = self.made.into_iter().map(Made::try_from).collect::<Result<_, Code>>();
                Input::Resubmit(room()?, made?)
            }
            FORGET_VISITS => Input::ForgetVisits,
            WATCH_ROOMS => Input::WatchRooms(number != 0),
            WARM_UP => Input::WarmUp(small()?.unsigned_abs()),
            IMPORT_NAVIGATION => Input::ImportNavigation(bytes),
            ERASE_NAVIGATION => Input::EraseNavigation,
            SIGNAL => Input::Signal {
                room: room()?,
                class: v1::SignalClass::try_from(small()?).map_err(|_| Code::TraceDamaged)?,
                kind: text,
                key: other_text,
                payload: bytes,
            },
            _ => return Err(Code::TraceDamaged),
        })
    }
}

/// Puts a message behind its length.
pub(super) fn delimit(payload: &mut Vec<u8>, message: &[u8]) {
    prost::encoding::encode_varint(message.len() as u64, payload);
    payload.extend_from_slice(message);
}

/// The whole trace.
pub(super) fn seal(payload: &[u8], is_full: bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.push(u8::from(is_full));
    bytes.extend_from_slice(&hash53(payload, seed(VERSION, is_full)).to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

pub(super) fn seed(version: u16, is_full: bool) -> u64 {
    u64::from(version) << 8 | u64::from(is_full)
}
