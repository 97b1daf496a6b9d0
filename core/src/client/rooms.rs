//! Rooms and their tiers: what holds them where they are, and what a change does.

use alloc::boxed::Box;
use alloc::string::String;

use super::bench::Bench;
use super::content::{Active, Content};
use super::history::History;
use super::index::{Keys, List};
use super::parts::Parts;
use super::received::Received;
use super::view::Synced;
use super::warm::WarmUp;
use super::{Client, Event, RoomChange};
use crate::op::Body;
use crate::tier::{Step, Tier, TierReason, transition};
use crate::{Code, Millis, Position, RoomId, v1};

/// A room that is held in any way.
#[derive(Debug, Default)]
pub(super) struct Room {
    pub(super) content: Content,
    pub(super) reason: TierReason,
    /// How many of the app's views hold it open.
    pub(super) holders: u32,
    /// The app, or the server, has set the tier; nothing moves it until it is acquired or released again.
    pub(super) is_fixed: bool,
    /// When it was last held, or the tier last changed.
    pub(super) since: Millis,
    pub(super) synced: Synced,
    /// The tier that the server was told on this connection.
    pub(super) told: Option<Tier>,
    /// When a request was sent that has not been answered.
    pub(super) asked: Option<Millis>,
    /// When a request is repeated.
    pub(super) retry_at: Option<Millis>,
    /// What is held can't be extended: the next request is for the whole state, and why.
    pub(super) reset: Option<Code>,
    pub(super) started_over: Option<Millis>,
    /// The last epoch that was replaced.
    pub(super) ended: Option<u64>,
    pub(super) healed_at: Option<Millis>,
    pub(super) parts: Option<Parts>,
    /// How many messages the room has had, by its heartbeats.
    pub(super) messages: u64,
    pub(super) history: History,
    pub(super) draft: String,
    /// Where the user has scrolled to, in the app's own words.
    pub(super) scroll: String,
    /// When the snapshot was asked for that the host's storage holds. Until it is there nothing is asked of the server.
    pub(super) loading: Option<Millis>,
    /// Position of the snapshot that the host's storage holds.
    pub(super) stored_at: Option<Position>,
    /// The stored record is older than what is held.
    pub(super) dirty_since: Option<Millis>,
    pub(super) bytes_out: u64,
    /// Bytes of the whole state, when it was last read.
    pub(super) full_size: u64,
    /// What was received; nothing for a room that nothing was received of.
    pub(super) received: Option<Box<Received>>,
    /// What the room will be once its creation is confirmed.
    pub(super) predicted: Option<Box<v1::RoomInfo>>,
    /// Where it is listed.
    pub(super) keys: Keys,
    /// It may have changed since.
    pub(super) is_marked: bool,
}

/// A request that is not answered by then is repeated.
const REPEAT: u64 = 15_000;
/// A storage that has not answered by then has nothing.
pub(super) const LOAD: u64 = 5_000;
/// A room's whole state is asked for at most this often.
const START_OVER: u64 = 1_000;

impl Room {
    pub(super) fn tier(&self) -> Tier {
        self.content.tier()
    }

    /// Nothing would be lost if the room were forgotten.
    fn is_void(&self) -> bool {
        self.tier() == Tier::Unloaded && self.holders == 0 && !self.has_ui_state() && self.told.is_none()
    }

    /// What belongs to the client, and survives every tier.
    pub(super) fn has_ui_state(&self) -> bool {
        !self.draft.is_empty() || !self.scroll.is_empty()
    }

    /// Whether the snapshot has to be loaded before anything else.
    pub(super) fn awaits_snapshot(&self) -> bool {
        match &self.content {
            Content::Active(active) => active.before.as_ref().is_some_and(|before| before.base.is_some()),
            Content::Unloaded | Content::Cached(_) | Content::Background(_) => false,
        }
    }
}

impl Client {
    pub(super) fn hold(&mut self, id: &RoomId, now: Millis) {
        if self.rooms.get(id).is_none_or(|room| room.holders == 0) {
            self.navigated(id, now);
            self.note_visit(id, now);
        }
        let room = self.room_mut(id);
        room.holders = room.holders.saturating_add(1);
        room.is_fixed = false;
        room.since = now;
        // A room that failed is tried again by whoever opens it.
        if room.tier() == Tier::Active && matches!(room.synced, Synced::Failed(_)) {
            room.told = None;
        }
        self.promote(id, TierReason::Acquired, now);
        self.tell(id, now);
        self.warm(now);
    }

    pub(super) fn let_go(&mut self, id: &RoomId, now: Millis) {
        let Some(room) = self.rooms.get_mut(id) else { return };
        if room.holders == 0 {
            return;
        }
        room.holders -= 1;
        room.is_fixed = false;
        if room.holders == 0 {
            room.since = now;
            self.settle_tier(id, now);
            self.promote_waiting(now);
        }
    }

    /// Opens a room that is held, and for which there was no place before.
    fn promote_waiting(&mut self, now: Millis) {
        self.relist();
        let waiting = self.rooms.list(List::Waiting).next().map(|(_, id)| id.clone());
        if let Some(id) = waiting {
            self.promote(&id, TierReason::Acquired, now);
        }
    }

    /// Makes a room Active, if one more may be live.
    fn promote(&mut self, id: &RoomId, reason: TierReason, now: Millis) {
        if self.make_room_for(id, now) {
            self.change_tier(id, Tier::Active, reason, now);
        } else {
            let tier = self.room_mut(id).tier().max(Tier::Cached);
            self.change_tier(id, tier, TierReason::LimitReached, now);
        }
    }

    /// Whether this room may be live beside the others. The Background room left longest ago makes way.
    fn make_room_for(&mut self, id: &RoomId, now: Millis) -> bool {
        let is_live = |room: &Room| room.tier() >= Tier::Background;
        if self.rooms.get(id).is_some_and(is_live) {
            return true;
        }
        self.relist();
        let live = self.rooms.count(List::Active) + self.rooms.count(List::Background);
        if live < self.link.live_rooms {
            return true;
        }
        let Some(oldest) = self.rooms.list(List::Background).next().map(|(_, id)| id.clone()) else {
            return false;
        };
        self.change_tier(&oldest, Tier::Cached, TierReason::LiveRoomsFull, now);
        true
    }

    pub(super) fn set_tier_explicitly(&mut self, id: &RoomId, tier: Tier, reason: TierReason, now: Millis) {
        self.room_mut(id).is_fixed = true;
        if tier < Tier::Background || self.make_room_for(id, now) {
            self.change_tier(id, tier, reason, now);
        } else {
            self.change_tier(id, Tier::Cached, TierReason::LimitReached, now);
        }
    }

    /// The server advises a lower tier; a higher one is the app's to choose.
    pub(super) fn follow_advice(&mut self, id: &RoomId, tier: Tier, code: u32, now: Millis) {
        if self.rooms.get(id).is_some_and(|room| tier < room.tier()) && !self.is_own_inbox(id) {
            let is_over = code == Code::OverBudget.number();
            let reason = if is_over { TierReason::OverBudget } else { TierReason::ServerAdvice };
            self.set_tier_explicitly(id, tier, reason, now);
        }
    }

    /// Does one transition, step by step, as the table says.
    pub(super) fn change_tier(&mut self, id: &RoomId, to: Tier, reason: TierReason, now: Millis) {
        let room = self.room_mut(id);
        let from = room.tier();
        if from != to || room.reason != reason {
            room.reason = reason;
            self.outbox.room(id, RoomChange::Tier);
        }
        let steps = transition(from, to);
        if steps.is_empty() {
            return;
        }
        if from == Tier::Cached && to == Tier::Unloaded {
            self.cache.note_eviction(id, reason, now);
        }
        if from == Tier::Active && to != Tier::Active {
            self.end_signals(Some(id));
        }
        let room = self.room_mut(id);
        let mut bench = Bench::clear(core::mem::take(&mut room.content));
        if from != to {
            (room.since, room.asked, room.retry_at, room.parts) = (now, None, None, None);
            room.history = History::default();
            room.loading = None;
            if let Some(received) = &mut room.received {
                received.restart(now);
            }
            room.messages = room.messages.max(bench.messages());
        }
        let mut is_told = false;
        for step in steps {
            match step {
                Step::Open => bench.active = Some(Box::new(Active::empty(id))),
                Step::Restore => bench.restore(id),
                Step::Compress => bench.compress(),
                Step::Project => bench.project(id),
                Step::Summarize => bench.summarize(id),
                Step::Persist | Step::Forget => self.room_mut(id).dirty_since = Some(now),
                Step::Admit => self.enter_cache(id, now),
                Step::Withdraw => self.cache.withdraw(id),
                Step::Tell => is_told = true,
            }
        }
        let room = self.room_mut(id);
        room.content = bench.finish(to);
        if from == to {
            return;
        }
        let awaits_snapshot = room.awaits_snapshot();
        let shows = room.content.base().is_some() && !awaits_snapshot;
        room.synced = if shows || room.predicted.is_some() { Synced::Stale } else { Synced::Loading };
        if to <= Tier::Cached {
            room.synced = Synced::Ready;
            self.pending.drop_acknowledged(id);
        }
        if awaits_snapshot {
            self.load(id, now);
        } else if to == Tier::Active {
            self.confirm_shown(id);
        }
        self.outbox.room(id, RoomChange::Reset);
        self.inbox_replaced(id);
        if to < from && self.room_mut(id).dirty_since.is_some() {
            self.save(id);
        }
        self.unpack(id);
        if to == Tier::Unloaded {
            self.unwarmed(id);
        }
        if is_told {
            self.tell(id, now);
        }
        self.keep_within_budget(id);
        self.trim_cache(now);
        self.sweep(id);
    }

    /// A Cached room's snapshot lies in the host's storage, and not in memory.
    pub(super) fn unpack(&mut self, id: &RoomId) {
        if let Content::Cached(cached) = &mut self.room_mut(id).content
            && let Some(base) = &mut cached.base
        {
            base.packed = None;
        }
    }

    /// Where a room goes that nobody holds and nobody has fixed, and when it goes on from there.
    fn settle_tier(&mut self, id: &RoomId, now: Millis) {
        while let Some((due, to, reason)) = self.next_tier(id)
            && due <= now
        {
            self.change_tier(id, to, reason, now);
        }
    }

    pub(super) fn next_tier(&self, id: &RoomId) -> Option<(Millis, Tier, TierReason)> {
        let room = self.rooms.get(id)?;
        if room.holders > 0 || room.is_fixed || self.is_own_inbox(id) {
            return None;
        }
        let config = &self.config;
        match room.tier() {
            Tier::Active => Some((room.since + config.active_grace, Tier::Background, TierReason::Released)),
            Tier::Background => {
                Some((room.since + config.background_for, Tier::Cached, TierReason::IdleInBackground))
            }
            Tier::Cached => {
                // It goes when it is older than its time, not when it is as old.
                let due = room.since + self.cache.ttl(id, room.since) + 1;
                match self.keeps(id) {
                    None => Some((due, Tier::Unloaded, TierReason::CacheExpired)),
                    Some(reason) => (room.reason != reason).then_some((due, Tier::Cached, reason)),
                }
            }
            Tier::Unloaded => None,
        }
    }

    /// Forgets a room of which nothing is held.
    pub(super) fn sweep(&mut self, id: &RoomId) {
        if self.rooms.get(id).is_some_and(Room::is_void) && self.pending.of(id).next().is_none() {
            self.rooms.remove(id);
        }
    }

    pub(super) fn room_timeouts(&mut self, now: Millis) {
        self.tell_of_cached(now);
        for id in self.listed_until(List::Due, now) {
            self.settle_tier(&id, now);
            if self.rooms.get(&id).and_then(|room| room.loading).is_some_and(|since| since + LOAD <= now) {
                self.loaded(&id, None, now);
            }
        }
        if !self.link.is_online() {
            return;
        }
        for id in self.listed_until(List::Request, now) {
            if let Some(room) = self.rooms.get_mut(&id)
                && room_request_due(room).is_some_and(|due| due <= now)
            {
                (room.asked, room.retry_at, room.told) = (None, None, None);
                self.tell(&id, now);
            }
        }
    }

    pub(super) fn room_deadline(&self) -> Option<Millis> {
        let request = if self.link.is_online() { self.first_at(List::Request) } else { None };
        self.first_at(List::Due).into_iter().chain(request).chain(self.link.cached_due).min()
    }

    /// Tells the server the room's tier, unless it knows.
    pub(super) fn tell(&mut self, id: &RoomId, now: Millis) {
        if self.link.is_online()
            && let Some(request) = self.request(id, now)
        {
            let bytes = self.send(v1::client_frame::Body::SetTier(request));
            if let Some(room) = self.rooms.get_mut(id) {
                room.bytes_out += bytes as u64;
            }
        }
    }

    /// The request by which a room is resumed in its tier; `None` when the server knows, or can't know yet.
    pub(super) fn request(&mut self, id: &RoomId, now: Millis) -> Option<v1::SetTier> {
        if self.awaits_creation(id) {
            return None;
        }
        let warm_up = self.warming.is_asking(id);
        self.relist();
        let room = self.rooms.get(id)?;
        let tier = room.tier();
        // The server watches so many Cached rooms and no more.
        let is_watched = tier != Tier::Cached || room.told == Some(tier) || self.may_watch_one_more();
        let tier = if is_watched { tier } else { Tier::Unloaded };
        let room = self.rooms.get_mut(id)?;
        if room.loading.is_some()
            || room.told == Some(tier)
            || (tier == Tier::Unloaded && room.told.is_none())
        {
            return None;
        }
        room.told = (tier != Tier::Unloaded).then_some(tier);
        room.asked = (tier >= Tier::Background).then_some(now);
        room.retry_at = None;
        room.parts = None;
        let reason = room.reset.map_or(0, Code::number);
        let base = room.content.base().filter(|_| room.reset.is_none());
        let digest = room.content.base_digest().filter(|_| base.is_some());
        let seen = match &room.content {
            Content::Background(background) => Some(background.light.seen),
            Content::Unloaded | Content::Cached(_) | Content::Active(_) => None,
        };
        let seen = seen.filter(|seen| seen.epoch != 0 && Some(*seen) != base && room.reset.is_none());
        Some(v1::SetTier {
            room_id: id.as_str().into(),
            tier: tier.wire().into(),
            base: base.map(Position::wire),
            seen: seen.map(Position::wire),
            digest,
            reason,
            warm_up,
        })
    }

    /// Asks for what is missing since the held position. At most one such request is on its way for each room.
    pub(super) fn resume(&mut self, id: &RoomId, now: Millis) {
        let Some(room) = self.rooms.get_mut(id) else { return };
        if room.asked.is_none() {
            room.told = None;
            self.mark_stale(id);
            self.tell(id, now);
        }
    }

    /// What is held can't be extended: asks for the whole state. Until it is there, the view shows what it has.
    pub(super) fn start_over(&mut self, id: &RoomId, code: Code, now: Millis) {
        let Some(room) = self.rooms.get_mut(id) else { return };
        room.reset = Some(code);
        room.parts = None;
        // A server whose answers never fit is not asked in a loop.
        if room.started_over.is_some_and(|before| now.since(before) < START_OVER) {
            room.retry_at.get_or_insert(now + START_OVER);
            return self.mark_stale(id);
        }
        room.started_over = Some(now);
        self.resume(id, now);
    }

    pub(super) fn mark_stale(&mut self, id: &RoomId) {
        if let Some(room) = self.rooms.get_mut(id)
            && room.synced == Synced::Ready
            && room.tier() >= Tier::Background
        {
            room.synced = Synced::Stale;
            self.outbox.room(id, RoomChange::Tier);
        }
    }

    /// Who was there when something was last heard is perhaps still there.
    fn deafen(&mut self, id: &RoomId) {
        let heard = self.signals.clock.server(self.link.heard_at);
        if let Some(room) = self.rooms.get_mut(id)
            && let Content::Active(active) = &mut room.content
            && !active.presence.is_empty()
        {
            active.presence.deafen(heard);
            self.outbox.room(id, RoomChange::Presence);
        }
    }

    /// The server has refused a request about a room.
    pub(super) fn room_refused(
        &mut self,
        id: &RoomId,
        code: Code,
        retry_after: u64,
        reason: String,
        now: Millis,
    ) {
        use crate::Retry;
        if self.warming.is_asking(id) {
            self.room_mut(id).told = None;
            return self.end_warm_up(id, WarmUp::Failed(code), now);
        }
        let Some(room) = self.rooms.get_mut(id) else { return };
        if code.retry() != Retry::Resync {
            room.asked = None;
        }
        match code.retry() {
            Retry::Later => room.retry_at = Some(now + retry_after.max(1_000)),
            // The whole state follows; or else comes when it is asked for next.
            Retry::Resync => {
                room.reset = Some(code);
                return;
            }
            Retry::NewToken => return self.reject_token(),
            // There is no place for it; what is Cached needs none.
            Retry::Never if code == Code::TooManyRooms && room.tier() <= Tier::Background => {
                if room.tier() == Tier::Background {
                    room.told = None;
                    self.change_tier(id, Tier::Cached, TierReason::LimitReached, now);
                }
                return;
            }
            Retry::Never => {
                room.synced = Synced::Failed(code);
                room.reason = match code {
                    Code::UnknownRoom => TierReason::NotFound,
                    Code::TooManyRooms => TierReason::LimitReached,
                    _ => TierReason::Refused,
                };
                if room.tier() == Tier::Cached && room.holders == 0 {
                    let reason = room.reason;
                    room.told = None;
                    self.change_tier(id, Tier::Unloaded, reason, now);
                }
            }
        }
        self.outbox.room(id, RoomChange::Tier);
        self.outbox.event(Event::Error { code, room: Some(id.clone()), reason });
    }

    /// The connection is gone, and with it all that the server knew.
    pub(super) fn leave_rooms(&mut self) {
        self.aliases.clear();
        self.stop_warming();
        for id in self.linked() {
            self.mark_stale(&id);
            self.deafen(&id);
            if let Some(room) = self.rooms.get_mut(&id) {
                (room.told, room.asked, room.retry_at, room.parts) = (None, None, None, None);
                room.history.asked = None;
            }
            self.sweep(&id);
        }
    }

    /// Whether the server can't know the room, because its creation waits to be sent or answered.
    pub(super) fn awaits_creation(&self, id: &RoomId) -> bool {
        let mut ops = self.pending.of(id);
        ops.any(|op| matches!(op.body, Body::CreateRoom(_)) && !op.is_acknowledged())
    }

    pub(super) fn room_mut(&mut self, id: &RoomId) -> &mut Room {
        self.rooms.get_or_default(id)
    }
}

pub(super) fn room_request_due(room: &Room) -> Option<Millis> {
    room.retry_at.or(room.asked.map(|asked| asked + REPEAT))
}
