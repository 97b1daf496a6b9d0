//! The server's end of one connection.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;

use super::ConnId;
use crate::policy::Actor;
use crate::tier::budget::Budgets;
use crate::v1::client_frame::Body as Request;
use crate::v1::room_state_sync::Data;
use crate::v1::server_frame::Body as Frame;
use crate::{
    ClientId, Code, Millis, OpId, Position, RoomId, Tier, UserId, VERSION_MAX, VERSION_MIN, limits, v1,
};

/// What a server tells its clients, and what it allows them.
#[derive(Clone, Debug)]
pub struct ConnectionConfig {
    /// Name and version of the server.
    pub agent: String,
    /// Largest frame that is taken, in bytes.
    pub frame_bytes: usize,
    /// Largest operation that is taken, in bytes.
    pub op_bytes: usize,
    /// Rooms that a connection may hold Active or Background.
    pub live_rooms: usize,
    /// Rooms that a connection may hold Cached.
    pub cached_rooms: usize,
    /// Rooms that a client may fetch ahead of each navigation.
    pub warm_up: u32,
    /// Milliseconds between two heartbeats.
    pub heartbeat_interval: u64,
    /// Window of the clients' back-off, in milliseconds.
    pub reconnect_min: u64,
    /// Window of the clients' back-off, in milliseconds.
    pub reconnect_max: u64,
    /// What a room may take in each tier.
    pub budgets: Budgets,
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        ConnectionConfig {
            agent: "enfilade".into(),
            frame_bytes: limits::FRAME_BYTES,
            op_bytes: limits::OP_BYTES,
            live_rooms: limits::LIVE_ROOMS,
            cached_rooms: limits::CACHED_ROOMS,
            warm_up: limits::WARM_UP,
            heartbeat_interval: 25_000,
            reconnect_min: 500,
            reconnect_max: 20_000,
            budgets: Budgets::default(),
        }
    }
}

/// Whom a token names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub user: UserId,
    /// Their display name.
    pub name: String,
    /// When the token ends.
    pub expires: Millis,
}

/// What a connection asks of one room's authority.
#[derive(Clone, Debug, PartialEq)]
pub enum RoomRequest {
    /// To [`Authority::set_tier`](super::Authority::set_tier).
    SetTier(v1::SetTier),
    /// To [`Authority::submit`](super::Authority::submit).
    Submit(v1::Submit),
    /// To [`Authority::history`](super::Authority::history).
    History(v1::HistoryRequest),
    /// To [`Authority::signal`](super::Authority::signal).
    Signal(u64, v1::Signal),
    /// To [`Authority::unsubscribe`](super::Authority::unsubscribe).
    Leave,
}

/// What a connection wants done. The host does them in order.
#[derive(Clone, Debug, PartialEq)]
pub enum ConnectionEffect {
    /// Check the token, then [`Connection::handle_verified`].
    Verify {
        /// As the client sent it.
        token: String,
    },
    /// Send to the client, on the control lane.
    Send(Box<v1::ServerFrame>),
    /// Hand to the room's authority, with the actor, in order.
    Room {
        /// Which.
        room: RoomId,
        /// What.
        request: RoomRequest,
    },
    /// Answer with a page of the rooms that the user may see: [`Connection::send`].
    RoomList(v1::RoomListRequest),
    /// Close with this code, after all that was sent. Nothing follows.
    Close(Code),
}

/// What a connection holds of a room: 16 bytes, since there may be many.
#[derive(Clone, Copy, Debug)]
struct Held {
    tier: Tier,
    /// Heartbeats that pass until a Cached room's budget is kept again.
    debt: u8,
    /// The last head that was told of a Cached room.
    head: u64,
}

/// Tag and length of what a frame carries.
const FRAME_OVERHEAD: u64 = 2;

#[derive(Debug)]
enum Phase {
    AwaitingHello,
    Verifying(Box<v1::Hello>),
    Open,
    Closed,
}

/// The server's end of one connection: hello, token, limits, and the way from frames to rooms. No IO, no clock.
///
/// The host calls inputs, then [`poll_effect`](Connection::poll_effect) until it is empty.
#[derive(Debug)]
pub struct Connection {
    id: ConnId,
    phase: Phase,
    actor: Option<Actor>,
    client: ClientId,
    token_expires: Millis,
    malformed: u32,
    live_rooms: usize,
    /// Bytes a heartbeat that a Cached room may take.
    cached_budget: u64,
    rooms: BTreeMap<RoomId, Held>,
    heard: Millis,
    effects: VecDeque<ConnectionEffect>,
}

impl Connection {
    /// A connection that has just been opened.
    pub fn new(id: ConnId, now: Millis) -> Connection {
        Connection {
            id,
            phase: Phase::AwaitingHello,
            actor: None,
            client: ClientId(0),
            token_expires: Millis(0),
            malformed: 0,
            live_rooms: 0,
            cached_budget: 0,
            rooms: BTreeMap::new(),
            heard: now,
            effects: VecDeque::new(),
        }
    }

    /// The number that the host gave.
    pub fn id(&self) -> ConnId {
        self.id
    }

    /// Who is connected, once the token was checked.
    pub fn actor(&self) -> Option<&Actor> {
        self.actor.as_ref()
    }

    /// Whether the hello was accepted.
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    /// The next thing to be done.
    pub fn poll_effect(&mut self) -> Option<ConnectionEffect> {
        self.effects.pop_front()
    }

    /// Takes a frame, or why it could not be decoded.
    pub fn handle_frame(
        &mut self,
        frame: Result<v1::ClientFrame, Code>,
        config: &ConnectionConfig,
        now: Millis,
    ) {
        self.heard = now;
        let request = match frame {
            Ok(frame) => frame.body,
            Err(code) => return self.handle_malformed(code),
        };
        match (&self.phase, request) {
            (Phase::Closed, _) => {}
            // A frame of a kind that this version does not know.
            (_, None) => {}
            (Phase::AwaitingHello, Some(Request::Hello(hello))) => self.handle_hello(hello),
            (Phase::AwaitingHello, Some(_)) | (_, Some(Request::Hello(_))) => self.close(Code::HelloExpected),
            // Nothing can be asked before the token is known to be good; a client that does is answered in order,
            // because the host verifies before it hands in the next frame.
            (Phase::Verifying(_), Some(_)) => self.close(Code::HelloExpected),
            (Phase::Open, Some(request)) => self.handle_request(request, config, now),
        }
    }

    /// Whom the token names, or why it is not accepted.
    pub fn handle_verified(
        &mut self,
        identity: Result<Identity, Code>,
        config: &ConnectionConfig,
        now: Millis,
    ) {
        let identity = match identity {
            Ok(identity) => identity,
            Err(code) => return self.refuse_token(code),
        };
        let actor = Actor::new(identity.user.clone(), identity.name.clone());
        match core::mem::replace(&mut self.phase, Phase::Open) {
            Phase::Verifying(hello) => {
                self.actor = Some(actor);
                self.token_expires = identity.expires;
                self.welcome(identity, config, now);
                for want in hello.rooms {
                    self.set_tier(want, config);
                }
            }
            Phase::Open if self.actor.as_ref().map(Actor::user) == Some(actor.user()) => {
                self.token_expires = identity.expires;
            }
            // A refreshed token must name the same user: rooms were opened in that name.
            Phase::Open => self.refuse_token(Code::TokenInvalid),
            other => self.phase = other,
        }
    }

    /// Sends a frame that the host has made: a room list.
    pub fn send(&mut self, body: Frame) {
        if !matches!(self.phase, Phase::Closed) {
            self.effects.push_back(ConnectionEffect::Send(Box::new(v1::ServerFrame { body: Some(body) })));
        }
    }

    /// Called once every heartbeat interval: closes a connection that has been silent for two, or whose token has
    /// ended.
    pub fn handle_heartbeat(&mut self, config: &ConnectionConfig, now: Millis) {
        if now.since(self.heard) > 2 * config.heartbeat_interval {
            self.close(Code::HeartbeatTimeout);
        } else if self.is_open() && now > self.token_expires {
            self.refuse_token(Code::TokenExpired);
        }
    }

    /// The rooms that are held Cached: the host looks up their heads at each heartbeat, and hands them in.
    pub fn cached(&self) -> impl Iterator<Item = &RoomId> {
        self.rooms.iter().filter(|(_, held)| held.tier == Tier::Cached).map(|(room, _)| room)
    }

    /// The head of a Cached room: told if it has moved. Whether this user may know that of a private room, only its
    /// authority can say, so that one is asked.
    pub fn handle_cached_head(&mut self, room: &RoomId, head: Position, messages: u64, is_private: bool) {
        let Some(held) = self.rooms.get_mut(room).filter(|held| held.tier == Tier::Cached) else { return };
        if held.debt > 0 {
            // The head is told by a later heartbeat, as it is then.
            held.debt -= 1;
            return;
        }
        if core::mem::replace(&mut held.head, head.seq) == head.seq {
            return;
        }
        if is_private {
            let tier = Tier::Cached.wire().into();
            let again = v1::SetTier { room_id: room.as_str().into(), tier, ..Default::default() };
            return self.ask(room.clone(), RoomRequest::SetTier(again));
        }
        let sync = v1::RoomStateSync {
            message_type: v1::MessageType::Heartbeat.into(),
            room_id: room.as_str().into(),
            epoch: head.epoch,
            sequence_number: head.seq,
            data: Some(Data::Heartbeat(v1::RoomHeartbeat { messages, ..Default::default() })),
            ..Default::default()
        };
        let bytes = prost::Message::encoded_len(&sync) as u64 + FRAME_OVERHEAD;
        let beats = (bytes - 1) / self.cached_budget.max(1);
        held.debt = u8::try_from(beats).unwrap_or(u8::MAX);
        self.send(Frame::RoomStateSync(sync));
    }

    /// The socket has ended: every room that was touched is told.
    pub fn handle_closed(&mut self) {
        self.phase = Phase::Closed;
        for room in core::mem::take(&mut self.rooms).into_keys() {
            self.effects.push_back(ConnectionEffect::Room { room, request: RoomRequest::Leave });
        }
    }

    fn handle_hello(&mut self, hello: v1::Hello) {
        if hello.version_min > VERSION_MAX || hello.version_max < VERSION_MIN {
            return self.close(Code::UnsupportedVersion);
        }
        if !(1..limits::INTEGER_BOUND).contains(&hello.client_id) {
            self.error(Code::InvalidRequest, "", 0);
            return self.close(Code::ProtocolError);
        }
        if hello.token.len() > limits::TOKEN_BYTES {
            return self.refuse_token(Code::TokenInvalid);
        }
        self.client = ClientId(hello.client_id);
        self.effects.push_back(ConnectionEffect::Verify { token: hello.token.clone() });
        self.phase = Phase::Verifying(Box::new(hello));
    }

    fn handle_request(&mut self, request: Request, config: &ConnectionConfig, now: Millis) {
        match request {
            // Handled before.
            Request::Hello(_) => {}
            Request::SetTier(want) => self.set_tier(want, config),
            Request::Submit(submit) => self.submit(submit, config),
            Request::Signal(signal) => {
                let fits = signal.payload.len() <= limits::SIGNAL_BYTES
                    && signal.kind.len() <= limits::SIGNAL_KIND_BYTES
                    && signal.key.len() <= limits::SIGNAL_KEY_BYTES;
                match RoomId::new(&signal.room_id) {
                    Ok(room) if fits => self.ask(room, RoomRequest::Signal(self.client.0, signal)),
                    _ => self.error(Code::InvalidRequest, &signal.room_id, 0),
                }
            }
            Request::History(request) => match RoomId::new(&request.room_id) {
                Ok(room) => self.ask(room, RoomRequest::History(request)),
                Err(code) => self.error(code, &request.room_id, request.request_id),
            },
            Request::TokenRefresh(refresh) if refresh.token.len() > limits::TOKEN_BYTES => {
                self.refuse_token(Code::TokenInvalid);
            }
            Request::TokenRefresh(refresh) => {
                self.effects.push_back(ConnectionEffect::Verify { token: refresh.token });
            }
            Request::Heartbeat(_) => {}
            Request::RoomList(request) => self.effects.push_back(ConnectionEffect::RoomList(request)),
            Request::TimeRequest(request) => {
                self.send(Frame::TimeReply(v1::TimeReply { sent: request.sent, time: now.0 }));
            }
        }
    }

    fn set_tier(&mut self, want: v1::SetTier, config: &ConnectionConfig) {
        let (room, tier) = match (RoomId::new(&want.room_id), Tier::from_wire(want.tier)) {
            (Ok(room), Some(tier)) => (room, tier),
            (Err(code), _) => return self.error(code, &want.room_id, 0),
            (_, None) => return self.error(Code::InvalidRequest, &want.room_id, 0),
        };
        let is_live = |tier| matches!(tier, Tier::Active | Tier::Background);
        let was_live = self.rooms.get(&room).is_some_and(|held| is_live(held.tier));
        let live_rooms = self.live_rooms + usize::from(is_live(tier)) - usize::from(was_live);
        let is_full = (live_rooms > config.live_rooms && live_rooms > self.live_rooms)
            || !self.has_place(&room, config);
        if is_full && tier != Tier::Unloaded {
            return self.error(Code::TooManyRooms, room.as_str(), 0);
        }
        self.live_rooms = live_rooms;
        match tier {
            Tier::Unloaded => drop(self.rooms.remove(&room)),
            tier => drop(self.rooms.insert(room.clone(), Held { tier, debt: 0, head: u64::MAX })),
        }
        self.ask(room, RoomRequest::SetTier(want));
    }

    fn submit(&mut self, submit: v1::Submit, config: &ConnectionConfig) {
        let room = match RoomId::new(&submit.room_id) {
            Ok(room) => room,
            Err(code) => return self.reject(&submit, code),
        };
        // The op's client must be the connection's: else one tab could use up the numbers of another.
        let own = OpId::parse(submit.op_id.as_ref()).is_ok_and(|id| id.client == self.client);
        if !own {
            return self.reject(&submit, Code::InvalidRequest);
        }
        if submit.op.len() > config.op_bytes {
            return self.reject(&submit, Code::OpTooLarge);
        }
        if !self.has_place(&room, config) {
            return self.reject(&submit, Code::TooManyRooms);
        }
        // Remembered, so that the room is told when the connection ends.
        self.rooms.entry(room.clone()).or_insert(Held { tier: Tier::Unloaded, debt: 0, head: 0 });
        self.ask(room, RoomRequest::Submit(submit));
    }

    fn has_place(&self, room: &RoomId, config: &ConnectionConfig) -> bool {
        self.rooms.len() < config.live_rooms + config.cached_rooms || self.rooms.contains_key(room)
    }

    fn ask(&mut self, room: RoomId, request: RoomRequest) {
        self.effects.push_back(ConnectionEffect::Room { room, request });
    }

    fn welcome(&mut self, identity: Identity, config: &ConnectionConfig, now: Millis) {
        self.cached_budget = config.budgets.of(Tier::Cached).bandwidth;
        self.send(Frame::Welcome(v1::Welcome {
            version: VERSION_MAX,
            connection_id: alloc::string::ToString::to_string(&self.id.0),
            user: identity.user.as_str().into(),
            user_name: identity.name,
            time: now.0,
            limits: Some(v1::Limits {
                frame_bytes: config.frame_bytes as u32,
                op_bytes: config.op_bytes as u32,
                live_rooms: config.live_rooms as u32,
                cached_rooms: config.cached_rooms as u32,
                in_flight: limits::IN_FLIGHT as u32,
                warm_up: Some(config.warm_up),
                budgets: config.budgets.wire(),
            }),
            heartbeat_interval: config.heartbeat_interval as u32,
            reconnect_min: config.reconnect_min as u32,
            reconnect_max: config.reconnect_max as u32,
            agent: config.agent.clone(),
            token_expires: identity.expires.0,
        }));
    }

    fn reject(&mut self, submit: &v1::Submit, code: Code) {
        self.send(Frame::Rejection(v1::Rejection {
            room_id: submit.room_id.clone(),
            op_id: submit.op_id,
            code: code.number(),
            retry_after: 0,
            reason: code.text().into(),
            position: None,
        }));
    }

    fn error(&mut self, code: Code, room: &str, request_id: u64) {
        self.send(Frame::Error(v1::Error {
            code: code.number(),
            reason: code.text().into(),
            // What was sent may be of any length.
            room_id: room.chars().take(limits::ROOM_ID_BYTES).collect(),
            request_id,
            retry_after: 0,
        }));
    }

    /// One bad frame is answered; somebody who sends nothing else is not speaking the protocol.
    fn handle_malformed(&mut self, code: Code) {
        if matches!(self.phase, Phase::Closed) {
            return;
        }
        self.malformed += 1;
        self.error(code, "", 0);
        if self.malformed >= limits::MALFORMED_FRAMES || matches!(self.phase, Phase::AwaitingHello) {
            self.close(Code::ProtocolError);
        }
    }

    fn refuse_token(&mut self, code: Code) {
        self.error(code, "", 0);
        self.close(match code {
            Code::TokenExpired => Code::CloseTokenExpired,
            _ => Code::CloseTokenInvalid,
        });
    }

    fn close(&mut self, code: Code) {
        if !matches!(self.phase, Phase::Closed) {
            self.handle_closed();
            self.effects.push_back(ConnectionEffect::Close(code));
        }
    }
}

#[cfg(test)]
mod tests;
