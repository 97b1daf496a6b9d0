//! Answers to one connection: a tier is a recovery from a position, and history is a page.

use alloc::vec::Vec;

use prost::Message as _;

use super::fetch::Purpose;
use super::{Authority, ConnId, Effect, Lane, Phase, Waiting};
use crate::policy::{self, Actor};
use crate::state::SnapshotFor;
use crate::v1::room_state_sync::Data;
use crate::v1::server_frame::Body as Frame;
use crate::{Code, Millis, Position, Tier, limits, v1};

/// Tag and length of a repeated field's item.
pub(super) const ITEM_OVERHEAD: usize = 6;

/// How a client is brought to the room's position.
enum Recovery {
    /// By the entries that it lacks; none when it lacks none.
    Delta(Vec<v1::Entry>),
    /// By the whole state, for this reason if there is one.
    Bulk(Option<Code>),
}

impl Waiting {
    pub(super) fn is_of(&self, of: ConnId) -> bool {
        match self {
            Waiting::SetTier(conn, ..) | Waiting::History(conn, ..) => *conn == of,
            Waiting::AskFollows(..) => false,
        }
    }
}

impl Authority {
    /// Puts a connection into a tier, and brings it up to date from the position that it holds.
    pub fn set_tier(&mut self, conn: ConnId, actor: &Actor, want: v1::SetTier, now: Millis) {
        let Some(tier) = Tier::from_wire(want.tier) else {
            return self.refuse(conn, Code::InvalidRequest, 0);
        };
        if tier == Tier::Unloaded {
            return self.unsubscribe(conn, now);
        }
        if self.must_wait() {
            self.waiting.push(Waiting::SetTier(conn, actor.clone(), want));
            return;
        }
        if let Err(code) = self.readable(actor) {
            if self.asks_first() {
                self.waiting.push(Waiting::SetTier(conn, actor.clone(), want));
                return;
            }
            self.place(conn, None, now);
            return self.refuse(conn, code, 0);
        }
        let base = want.base.map(Position::from);
        let differs = self.differs(base, want.digest) || want.reason == Code::DigestMismatch.number();
        self.spending.traffic.mismatches += u64::from(differs);
        match tier {
            Tier::Active => self.answer_active(conn, base, want.digest),
            Tier::Background => {
                let projection = self.projection();
                let sync = self.frame(v1::MessageType::StateUpdate, Data::StateUpdate(projection));
                self.answer(conn, tier, sync);
            }
            // Fetched ahead: the whole state, once. The user is not there, and is shown nowhere.
            Tier::Cached if want.warm_up && want.base.is_none() => {
                for part in self.bulk_frames(None) {
                    self.answer(conn, tier, part);
                }
            }
            Tier::Cached | Tier::Unloaded => {
                // What is unchanged is told in less than a hundred bytes, request and answer together.
                let state_digest = differs.then(|| self.confirmed.digest().value());
                let messages = self.confirmed.timeline().head();
                let heartbeat = v1::RoomHeartbeat { messages, state_digest, ..Default::default() };
                let sync = self.frame(v1::MessageType::Heartbeat, Data::Heartbeat(heartbeat));
                self.answer(conn, tier, sync);
            }
        }
        self.place(conn, Some((actor, tier)), now);
    }

    /// Answers with a page of messages.
    pub fn history(&mut self, conn: ConnId, actor: &Actor, request: v1::HistoryRequest) {
        if self.must_wait() {
            self.waiting.push(Waiting::History(conn, actor.clone(), request));
            return;
        }
        if let Err(code) = self.readable(actor) {
            if self.asks_first() {
                self.waiting.push(Waiting::History(conn, actor.clone(), request));
                return;
            }
            return self.refuse(conn, code, request.request_id);
        }
        let limit = (request.limit as usize).clamp(1, limits::HISTORY_PAGE);
        let end = self.confirmed.position().seq + 1;
        let before_seq = if request.before_seq == 0 { end } else { request.before_seq.min(end) };
        let after_seq = request.after_seq;
        let timeline = self.confirmed.timeline();
        let first_held = timeline.iter().next().map_or(end, |message| message.seq);
        let older = timeline.iter().rev().skip_while(|message| message.seq >= before_seq);
        let older: Vec<_> = older.take_while(|message| message.seq > after_seq).take(limit).collect();
        let page = newest_that_fit(older.iter().map(|message| &***message));
        let is_full = page.len() == limit || page.len() < older.len();
        let is_whole = timeline.head() == timeline.len() as u64 || after_seq + 1 >= first_held;
        if is_full || (before_seq > first_held && !page.is_empty()) || is_whole {
            let goes_on = |first: &&v1::Message| first.ordinal > 1 && first.seq > after_seq + 1;
            let first = page.first().filter(goes_on).filter(|_| is_full || !is_whole);
            let next = first.map_or(0, |first| first.seq);
            return self.send_page(conn, request.request_id, page, next);
        }
        let from_seq = before_seq.saturating_sub(limit as u64).max(after_seq + 1);
        let purpose = Purpose::Page { conn, request_id: request.request_id };
        self.read_history(purpose, from_seq, before_seq, after_seq);
    }

    /// The store can't give the room: everybody who waits is told, and who receives it as well, because nothing more
    /// comes from here. The host lets go of this authority.
    pub fn give_up(&mut self, code: Code) {
        for conn in self.subscribers.drain() {
            self.effects.push_back(Effect::Subscribe { conn, tier: None });
            self.dismiss(conn, code);
        }
        self.refuse_waiting(code);
        self.refuse_queue(code);
    }

    /// Says that nothing more comes, unless that is about to be said anyway.
    pub(super) fn dismiss(&mut self, conn: ConnId, code: Code) {
        if !self.waiting.iter().any(|waiting| waiting.is_of(conn)) {
            self.refuse(conn, code, 0);
        }
    }

    pub(super) fn refuse_waiting(&mut self, code: Code) {
        for waiting in core::mem::take(&mut self.waiting) {
            match waiting {
                Waiting::SetTier(conn, ..) => self.refuse(conn, code, 0),
                Waiting::History(conn, _, request) => self.refuse(conn, code, request.request_id),
                // Whoever asks does not wait for long.
                Waiting::AskFollows(..) => {}
            }
        }
        self.queue.extend(self.followers.take_waiting());
    }

    /// Answers what had to wait for the state.
    pub(super) fn settle_waiting(&mut self, now: Millis) {
        if self.must_wait() {
            return;
        }
        for waiting in core::mem::take(&mut self.waiting) {
            match waiting {
                Waiting::SetTier(conn, actor, want) => self.set_tier(conn, &actor, want, now),
                Waiting::History(conn, actor, request) => self.history(conn, &actor, request),
                Waiting::AskFollows(room, user) => self.ask_follows(room, user),
            }
        }
    }

    /// After a reload nobody knows what the subscribers lack; they get the whole state.
    pub(super) fn resync_subscribers(&mut self) {
        if self.subscribers.is_empty() {
            return;
        }
        for part in self.bulk_frames(Some(Code::EpochChanged)) {
            self.broadcast(Tier::Active, Lane::Log, Frame::RoomStateSync(part));
        }
        let projection = self.projection();
        let sync = self.frame(v1::MessageType::StateUpdate, Data::StateUpdate(projection));
        self.broadcast(Tier::Background, Lane::Log, Frame::RoomStateSync(sync));
    }

    /// Nothing can be answered before the state is there; and a room that does not exist may be about to.
    pub(super) fn must_wait(&self) -> bool {
        match self.phase {
            Phase::Ready => false,
            Phase::Loading | Phase::Recovering { .. } => true,
            Phase::Claiming(_) | Phase::Appending(_) => !self.confirmed.exists(),
        }
    }

    /// Before anybody is sent away for good: whether this node must first learn if the log has grown.
    fn asks_first(&mut self) -> bool {
        if !self.is_at_end && matches!(self.phase, Phase::Ready) {
            self.recover();
        }
        !self.is_at_end
    }

    pub(super) fn readable(&self, actor: &Actor) -> Result<(), Code> {
        match self.confirmed.exists() {
            false => Err(Code::UnknownRoom),
            true if !policy::may_read(actor, &self.confirmed) => Err(Code::Forbidden),
            true => Ok(()),
        }
    }

    /// Whether the client holds another state at the same position.
    fn differs(&self, base: Option<Position>, digest: Option<u64>) -> bool {
        base == Some(self.confirmed.position())
            && digest.is_some_and(|digest| digest != self.confirmed.digest().value())
    }

    fn answer_active(&mut self, conn: ConnId, base: Option<Position>, digest: Option<u64>) {
        match self.recovery(base, digest) {
            Recovery::Delta(entries) => {
                let sync = self.delta_frame(entries);
                self.answer(conn, Tier::Active, sync);
            }
            Recovery::Bulk(reason) => {
                if let Some(code @ (Code::EpochChanged | Code::PositionAhead)) = reason {
                    self.refuse(conn, code, 0);
                }
                for part in self.bulk_frames(reason) {
                    self.answer(conn, Tier::Active, part);
                }
            }
        }
        let presence = v1::StateUpdate { presence: Some(self.occupancy.full()), ..self.counts() };
        let sync = self.frame(v1::MessageType::StateUpdate, Data::StateUpdate(presence));
        self.answer(conn, Tier::Active, sync);
    }

    fn recovery(&self, base: Option<Position>, digest: Option<u64>) -> Recovery {
        let head = self.confirmed.position();
        if self.differs(base, digest) {
            return Recovery::Bulk(Some(Code::DigestMismatch));
        }
        match base {
            None => Recovery::Bulk(None),
            Some(base) if base.epoch != head.epoch => Recovery::Bulk(Some(Code::EpochChanged)),
            Some(base) if base.seq > head.seq => Recovery::Bulk(Some(Code::PositionAhead)),
            Some(base) if base.seq == head.seq => Recovery::Delta(Vec::new()),
            Some(base) => match self.recent.after(base.seq) {
                Some(entries) => Recovery::Delta(entries),
                None => Recovery::Bulk(Some(Code::TooFarBehind)),
            },
        }
    }

    /// The whole state in parts that fit into frames, all at one position.
    fn bulk_frames(&self, reason: Option<Code>) -> Vec<v1::RoomStateSync> {
        let snapshot = self.confirmed.snapshot(SnapshotFor::Client { messages: limits::JOIN_MESSAGES });
        let parts = split(snapshot);
        let count = parts.len() as u32;
        let frame = |(part, snapshot)| {
            let bulk = v1::BulkSync {
                part: part as u32,
                parts: count,
                snapshot: Some(snapshot),
                reason: reason.map_or(0, Code::number),
            };
            self.frame(v1::MessageType::BulkSync, Data::BulkSync(bulk))
        };
        parts.into_iter().enumerate().map(frame).collect()
    }

    /// Sends a frame that says which room and tier it is about.
    fn answer(&mut self, conn: ConnId, tier: Tier, sync: v1::RoomStateSync) {
        let sync = v1::RoomStateSync {
            room_id: self.confirmed.id().as_str().into(),
            tier: Some(tier.wire().into()),
            ..sync
        };
        self.send(conn, Lane::Control, Frame::RoomStateSync(sync));
    }

    pub(super) fn refuse(&mut self, conn: ConnId, code: Code, request_id: u64) {
        let error = v1::Error {
            code: code.number(),
            reason: code.text().into(),
            room_id: self.confirmed.id().as_str().into(),
            request_id,
            retry_after: 0,
        };
        self.send(conn, Lane::Control, Frame::Error(error));
    }

    pub(super) fn send_page(
        &mut self,
        conn: ConnId,
        request_id: u64,
        messages: Vec<v1::Message>,
        next_before_seq: u64,
    ) {
        let page = v1::HistoryPage {
            request_id,
            room_id: self.confirmed.id().as_str().into(),
            position: Some(self.confirmed.position().wire()),
            messages,
            next_before_seq,
        };
        self.send(conn, Lane::Control, Frame::HistoryPage(page));
    }
}

/// As many messages as fit into a frame, ascending; they come newest first.
pub(super) fn newest_that_fit<'a>(messages: impl Iterator<Item = &'a v1::Message>) -> Vec<v1::Message> {
    let mut bytes = 0;
    let within = |message: &&v1::Message| {
        bytes += message.encoded_len() + ITEM_OVERHEAD;
        bytes <= limits::MESSAGES_BYTES
    };
    let mut fitting: Vec<_> = messages.take_while(within).cloned().collect();
    fitting.reverse();
    fitting
}

/// Cuts a snapshot into parts of at most [`limits::BULK_PART_BYTES`]. Single fields go with the first.
fn split(mut whole: v1::RoomSnapshot) -> Vec<v1::RoomSnapshot> {
    let members = core::mem::take(&mut whole.members);
    let timeline = core::mem::take(&mut whole.timeline);
    let pins = core::mem::take(&mut whole.pins);
    let followings = core::mem::take(&mut whole.followings);
    let notifications = core::mem::take(&mut whole.notifications);
    let elements = core::mem::take(&mut whole.elements);
    let bans = core::mem::take(&mut whole.bans);
    let mutes = core::mem::take(&mut whole.mutes);
    let invited = core::mem::take(&mut whole.invited);
    let departed = core::mem::take(&mut whole.departed);
    let conflicts = core::mem::take(&mut whole.conflicts);
    let contacts = core::mem::take(&mut whole.contacts);
    let scores = whole.counters.as_mut().map(|counters| core::mem::take(&mut counters.scores));
    let mut parts = Parts { bytes: whole.encoded_len(), parts: alloc::vec![whole] };
    members.into_iter().for_each(|item| parts.room_for(item.encoded_len()).members.push(item));
    timeline.into_iter().for_each(|item| parts.room_for(item.encoded_len()).timeline.push(item));
    pins.into_iter().for_each(|item| parts.room_for(item.encoded_len()).pins.push(item));
    followings.into_iter().for_each(|item| parts.room_for(item.encoded_len()).followings.push(item));
    notifications.into_iter().for_each(|item| parts.room_for(item.encoded_len()).notifications.push(item));
    conflicts.into_iter().for_each(|item| parts.room_for(item.encoded_len()).conflicts.push(item));
    elements.into_iter().for_each(|item| parts.room_for(item.encoded_len()).elements.push(item));
    bans.into_iter().for_each(|item| parts.room_for(item.encoded_len()).bans.push(item));
    mutes.into_iter().for_each(|item| parts.room_for(item.encoded_len()).mutes.push(item));
    invited.into_iter().for_each(|item| parts.room_for(item.len()).invited.push(item));
    departed.into_iter().for_each(|item| parts.room_for(item.encoded_len()).departed.push(item));
    contacts.into_iter().for_each(|item| parts.room_for(item.encoded_len()).contacts.push(item));
    for item in scores.into_iter().flatten() {
        let part = parts.room_for(item.encoded_len());
        part.counters.get_or_insert_default().scores.push(item);
    }
    parts.parts
}

struct Parts {
    parts: Vec<v1::RoomSnapshot>,
    bytes: usize,
}

impl Parts {
    /// The part that takes an item of this size.
    fn room_for(&mut self, item: usize) -> &mut v1::RoomSnapshot {
        self.bytes += item + ITEM_OVERHEAD;
        if self.bytes > limits::BULK_PART_BYTES {
            self.bytes = item + ITEM_OVERHEAD;
            self.parts.push(v1::RoomSnapshot::default());
        }
        let last = self.parts.len() - 1;
        &mut self.parts[last]
    }
}
