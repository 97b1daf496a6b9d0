use alloc::string::{String, ToString};

use super::backoff::{Backoff, STABLE_AFTER};
use super::{Client, Effect, Event, Network};
use crate::tier::budget::Budgets;
use crate::traffic::Traffic;
use crate::{Code, Millis, Retry, RoomId, Tier, UserId, VERSION_MAX, VERSION_MIN, limits, v1, wire};

/// Where the connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nobody wants one.
    Idle,
    /// A token is asked for.
    TokenNeeded,
    Waiting {
        until: Millis,
    },
    Connecting {
        until: Millis,
    },
    Authenticating {
        until: Millis,
    },
    Online {
        since: Millis,
    },
    /// The server has said not to come back.
    Failed(Code),
}

/// One connection after the other, and what they have in common.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) phase: Phase,
    pub(super) generation: u64,
    pub(super) wanted: bool,
    pub(super) has_network: bool,
    pub(super) in_background: bool,
    pub(super) backoff: Backoff,
    pub(super) token: Option<String>,
    rejected_token: Option<String>,
    pub(super) token_asked: bool,
    /// When to ask for the next token.
    pub(super) token_due: Option<Millis>,
    /// For how long a token is good, less the margin.
    token_lasts: u64,
    /// Why the last connection ended, or will.
    pub(super) why: Option<Code>,
    pub(super) heard_at: Millis,
    heartbeat_interval: u64,
    in_grace: bool,
    malformed_here: u32,
    pub(super) in_flight: usize,
    pub(super) live_rooms: usize,
    pub(super) cached_rooms: usize,
    /// When some more Cached rooms are told of.
    pub(super) cached_due: Option<Millis>,
    pub(super) budgets: Budgets,
    pub(super) traffic: Traffic,
    pub(super) counters: Counters,
}

/// What went over the wire since the client was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes of frames received.
    pub bytes_in: u64,
    /// Bytes of frames sent.
    pub bytes_out: u64,
    /// Frames received.
    pub frames_in: u64,
    /// Frames sent.
    pub frames_out: u64,
    /// Frames that could not be decoded, or contradicted themselves.
    pub malformed: u64,
    /// Inputs of connections that were gone already.
    pub stale_inputs: u64,
    /// Frames about rooms that are not held.
    pub unknown_rooms: u64,
    /// Connection attempts.
    pub attempts: u64,
    /// Rooms that had to be resumed because an entry was missing.
    pub gaps: u64,
    /// Rooms whose whole state was replaced.
    pub resyncs: u64,
}

/// A socket that is not open, or not welcomed, by then never will be.
const HANDSHAKE: u64 = 15_000;
/// The server's interval before it has said one.
const HEARTBEAT: u64 = 25_000;
/// Servers that want to hear of each other more often than this, or hardly ever, are held to these.
const HEARTBEAT_BOUNDS: (u64, u64) = (1_000, 10 * 60_000);
/// After sleep, the time in which data that had arrived already is read.
const GRACE: u64 = 5_000;
/// Tokens are renewed this long before they end.
const TOKEN_MARGIN: u64 = 60_000;
/// The close code of an ordinary end.
const NORMAL: u16 = 1000;

impl Link {
    pub(super) fn new(budgets: Budgets) -> Link {
        Link {
            phase: Phase::Idle,
            generation: 0,
            wanted: false,
            has_network: true,
            in_background: false,
            backoff: Backoff::new(),
            token: None,
            rejected_token: None,
            token_asked: false,
            token_due: None,
            token_lasts: 0,
            why: None,
            heard_at: Millis(0),
            heartbeat_interval: HEARTBEAT,
            in_grace: false,
            malformed_here: 0,
            in_flight: limits::IN_FLIGHT,
            live_rooms: limits::LIVE_ROOMS,
            cached_rooms: limits::CACHED_ROOMS,
            cached_due: None,
            budgets,
            traffic: Traffic::default(),
            counters: Counters::default(),
        }
    }

    pub(super) fn is_online(&self) -> bool {
        matches!(self.phase, Phase::Online { .. })
    }

    pub(super) fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Connecting { .. } | Phase::Authenticating { .. } | Phase::Online { .. })
    }

    pub(super) fn forget_token(&mut self) {
        (self.token, self.rejected_token, self.token_asked) = (None, None, false);
    }

    /// Something must have been heard by then.
    pub(super) fn heartbeat_due(&self) -> Option<Millis> {
        self.is_online().then(|| self.heard_at + self.heartbeat_interval * 3 / 2)
    }
}

impl Client {
    pub(super) fn begin(&mut self, now: Millis) {
        if self.link.token.is_none() {
            return self.need_token();
        }
        match self.link.backoff.earliest() {
            earliest if earliest <= now => self.dial(now),
            until => self.enter(Phase::Waiting { until }),
        }
    }

    pub(super) fn enter(&mut self, phase: Phase) {
        self.link.phase = phase;
        self.outbox.connection();
    }

    fn dial(&mut self, now: Millis) {
        self.link.generation += 1;
        self.link.counters.attempts += 1;
        self.link.backoff.attempt(now);
        self.enter(Phase::Connecting { until: now + HANDSHAKE });
        self.outbox.effect(Effect::Connect { generation: self.link.generation });
    }

    pub(super) fn need_token(&mut self) {
        self.enter(Phase::TokenNeeded);
        self.ask_for_token();
    }

    pub(super) fn ask_for_token(&mut self) {
        if !core::mem::replace(&mut self.link.token_asked, true) {
            self.outbox.event(Event::TokenNeeded);
        }
    }

    /// Whether an input is of the connection that there is.
    pub(super) fn is_current(&mut self, generation: u64) -> bool {
        let current = generation == self.link.generation && self.link.is_live();
        self.link.counters.stale_inputs += u64::from(!current);
        current
    }

    pub(super) fn opened(&mut self, now: Millis) {
        if !matches!(self.link.phase, Phase::Connecting { .. }) {
            return;
        }
        self.link.heard_at = now;
        self.link.in_grace = false;
        self.link.malformed_here = 0;
        self.enter(Phase::Authenticating { until: now + HANDSHAKE });
        let hello = v1::Hello {
            version_min: VERSION_MIN,
            version_max: VERSION_MAX,
            token: self.link.token.clone().unwrap_or_default(),
            client_id: self.client_id.0,
            agent: self.config.agent.clone(),
            rooms: self.rooms_to_resume(now),
        };
        self.send(v1::client_frame::Body::Hello(hello));
    }

    pub(super) fn send(&mut self, body: v1::client_frame::Body) -> usize {
        let bytes = wire::binary::encode_client(&v1::ClientFrame { body: Some(body) });
        let length = bytes.len();
        self.link.counters.frames_out += 1;
        self.link.counters.bytes_out += length as u64;
        self.outbox.effect(Effect::Send { generation: self.link.generation, bytes });
        length
    }

    /// Something was heard.
    pub(super) fn heard(&mut self, bytes: usize, now: Millis) {
        self.link.heard_at = now;
        self.link.in_grace = false;
        self.link.counters.frames_in += 1;
        self.link.counters.bytes_in += bytes as u64;
    }

    /// A frame was not what the protocol says. One is forgiven, and so are a few; a peer that goes on is not ours.
    pub(super) fn malformed(&mut self, now: Millis) {
        self.link.counters.malformed += 1;
        self.link.malformed_here += 1;
        if self.link.malformed_here > limits::MALFORMED_FRAMES && self.link.is_live() {
            self.hang_up(Code::ProtocolError, "frames that can't be decoded", now);
        }
    }

    pub(super) fn welcome(&mut self, welcome: v1::Welcome, now: Millis) {
        if !matches!(self.link.phase, Phase::Authenticating { .. }) {
            return self.malformed(now);
        }
        if !(VERSION_MIN..=VERSION_MAX).contains(&welcome.version) {
            self.close(Code::UnsupportedVersion.number() as u16, "unsupported version");
            self.forget_connection();
            return self.fail(Code::UnsupportedVersion);
        }
        let Ok(user) = UserId::new(&welcome.user) else { return self.malformed(now) };
        if !self.adopt_user(user, welcome.user_name, now) {
            return;
        }
        let link = &mut self.link;
        link.backoff.set_window(welcome.reconnect_min.into(), welcome.reconnect_max.into());
        let (shortest, longest) = HEARTBEAT_BOUNDS;
        if welcome.heartbeat_interval > 0 {
            link.heartbeat_interval = u64::from(welcome.heartbeat_interval).clamp(shortest, longest);
        }
        let asked = welcome.limits.unwrap_or_default();
        let bounded = |asked: u32, bound: usize| if asked == 0 { bound } else { bound.min(asked as usize) };
        link.in_flight = bounded(asked.in_flight, limits::IN_FLIGHT);
        self.warming.allowed = asked.warm_up.unwrap_or(limits::WARM_UP).min(limits::WARM_UP);
        link.live_rooms = bounded(asked.live_rooms, limits::LIVE_ROOMS);
        link.cached_rooms = bounded(asked.cached_rooms, limits::CACHED_ROOMS);
        link.budgets = self.config.budgets.within(&asked.budgets);
        self.signals.clock.welcomed(welcome.time, now);
        let lasts = welcome.token_expires.saturating_sub(welcome.time);
        link.token_lasts = lasts.saturating_sub(TOKEN_MARGIN.min(lasts / 2));
        link.token_due = (welcome.token_expires > 0).then(|| now + link.token_lasts);
        link.rejected_token = None;
        link.why = None;
        self.enter(Phase::Online { since: now });
        self.open_inbox(now);
        self.tell_what_has_changed(now);
        self.flush(now);
        self.list_on_welcome(now);
    }

    /// The host says that the connection is gone.
    pub(super) fn closed(&mut self, code: u16, now: Millis) {
        let code = u32::from(code);
        // Below 4000 the number is WebSocket's own, and says nothing that we could go by.
        let is_ours = code >= 4000;
        if is_ours {
            self.link.why = Some(known(code));
        }
        match is_ours.then(|| Code::retry_of(code)) {
            Some(Retry::Never) => {
                self.forget_connection();
                self.fail(known(code));
            }
            Some(Retry::NewToken) => self.reject_token(),
            Some(Retry::Later | Retry::Resync) | None => self.lost(now),
        }
    }

    /// Counts the connection as gone, and closes it.
    pub(super) fn hang_up(&mut self, code: Code, reason: &'static str, now: Millis) {
        self.link.why = Some(code);
        // Only codes of the registry's upper half may be sent.
        let number = code.number() as u16;
        self.close(if number >= 4000 { number } else { NORMAL }, reason);
        self.lost(now);
    }

    fn close(&mut self, code: u16, reason: &'static str) {
        self.outbox.effect(Effect::Close { generation: self.link.generation, code, reason });
    }

    fn lost(&mut self, now: Millis) {
        if let Phase::Online { since } = self.link.phase
            && now.since(since) >= STABLE_AFTER
        {
            self.link.backoff.reset();
        }
        self.forget_connection();
        if !self.link.wanted {
            return self.enter(Phase::Idle);
        }
        let mut until = self.link.backoff.next(&mut self.rng, now);
        if !self.link.has_network {
            until = until.max(now + self.link.backoff.longest());
        }
        self.enter(Phase::Waiting { until });
    }

    /// Nothing of the connection outlives it but counters.
    fn forget_connection(&mut self) {
        self.pending.requeue();
        self.leave_rooms();
        self.end_signals(None);
        self.list.interrupted();
        self.link.token_due = None;
        self.link.cached_due = None;
    }

    pub(super) fn fail(&mut self, code: Code) {
        self.link.wanted = false;
        self.enter(Phase::Failed(code));
        self.outbox.event(Event::Error { code, room: None, reason: String::new() });
    }

    /// The server does not take the token: there is no use in coming back with the same.
    pub(super) fn reject_token(&mut self) {
        if self.link.is_live() {
            self.close(NORMAL, "token refused");
            self.forget_connection();
        }
        self.link.rejected_token = self.link.token.take().or(self.link.rejected_token.take());
        self.need_token();
    }

    pub(super) fn take_token(&mut self, token: &str, now: Millis) {
        self.link.token_asked = false;
        if self.link.rejected_token.as_deref() == Some(token) {
            let reason = String::from("This token was refused already.");
            return self.outbox.event(Event::Error { code: Code::TokenInvalid, room: None, reason });
        }
        let renewed = self.link.token.replace(token.to_string()).as_deref() != Some(token);
        match self.link.phase {
            Phase::Online { .. } if renewed => {
                // Nobody says when this one ends; tokens of one kind last equally long.
                let lasts = self.link.token_lasts;
                self.link.token_due = (lasts > 0).then(|| now + lasts);
                let refresh = v1::TokenRefresh { token: token.to_string() };
                self.send(v1::client_frame::Body::TokenRefresh(refresh));
            }
            Phase::TokenNeeded if self.link.wanted => self.begin(now),
            Phase::TokenNeeded => self.enter(Phase::Idle),
            Phase::Idle
            | Phase::Waiting { .. }
            | Phase::Connecting { .. }
            | Phase::Authenticating { .. }
            | Phase::Online { .. }
            | Phase::Failed(_) => {}
        }
    }

    pub(super) fn hang_up_for_good(&mut self) {
        self.link.wanted = false;
        if self.link.is_live() {
            self.close(NORMAL, "the app has disconnected");
            self.forget_connection();
        }
        self.enter(Phase::Idle);
    }

    pub(super) fn network(&mut self, network: Network, now: Millis) {
        match network {
            Network::Online | Network::Foreground => {
                self.link.has_network |= network == Network::Online;
                self.link.in_background &= network != Network::Foreground;
                // Long waits belong to the network that is gone; the spacing of attempts stays.
                if let Phase::Waiting { .. } = self.link.phase {
                    self.link.backoff.reset();
                    self.begin(now);
                }
            }
            Network::Offline => {
                self.link.has_network = false;
                // What is connected goes on until it breaks: the message may be about another network.
                if let Phase::Waiting { .. } = self.link.phase {
                    self.enter(Phase::Waiting { until: now + self.link.backoff.longest() });
                }
            }
            Network::Background => {
                self.link.in_background = true;
                self.save_navigation();
            }
        }
        self.outbox.connection();
    }

    pub(super) fn advice(&mut self, advice: v1::Advice, now: Millis) {
        if advice.reconnect_after > 0 || advice.close {
            self.link.backoff.advise(advice.reconnect_after, &mut self.rng, now);
        }
        if let Some(room) = advice.room
            && let (Ok(id), Some(tier)) = (RoomId::new(&room.room_id), Tier::from_wire(room.tier))
        {
            return self.follow_advice(&id, tier, advice.code, now);
        }
        // Without a code, what was the matter is over.
        self.link.why = (advice.code != 0).then(|| known(advice.code));
        self.outbox.connection();
    }

    pub(super) fn connection_timeouts(&mut self, now: Millis) {
        match self.link.phase {
            Phase::Waiting { until } if until <= now => self.begin(now),
            Phase::Connecting { until } | Phase::Authenticating { until } if until <= now => {
                self.hang_up(Code::HelloTimeout, "no answer in time", now);
            }
            Phase::Idle
            | Phase::TokenNeeded
            | Phase::Waiting { .. }
            | Phase::Connecting { .. }
            | Phase::Authenticating { .. }
            | Phase::Online { .. }
            | Phase::Failed(_) => {}
        }
        if let Some(due) = self.link.heartbeat_due()
            && due <= now
        {
            // A timer that is late itself means that the process slept, and what the server sent meanwhile may still
            // lie in the socket: hear that first.
            let slept = now.since(due) > self.link.heartbeat_interval / 2;
            if slept && !self.link.in_grace {
                self.link.in_grace = true;
                self.link.heard_at = now + GRACE - self.link.heartbeat_interval * 3 / 2;
            } else {
                self.hang_up(Code::HeartbeatTimeout, "nothing heard", now);
            }
        }
        if self.link.token_due.is_some_and(|due| due <= now) {
            self.link.token_due = None;
            self.ask_for_token();
        }
    }
}

/// The code of a number, or the one that says the most about a number of its range.
pub(super) fn known(number: u32) -> Code {
    Code::from_number(number).unwrap_or(match Code::retry_of(number) {
        Retry::Never => Code::InvalidRequest,
        Retry::Later => Code::Internal,
        Retry::Resync => Code::TooFarBehind,
        Retry::NewToken => Code::TokenInvalid,
    })
}
