//! Who receives the room, and what they are told as time goes on.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use prost::Message as _;

use super::answer::{ITEM_OVERHEAD, newest_that_fit};
use super::{Authority, ConnId, Effect, Lane, Phase};
use crate::op::{self, Body};
use crate::policy::{self, Actor, Refusal};
use crate::v1::room_state_sync::Data;
use crate::v1::server_frame::Body as Frame;
use crate::{Code, Entry, Millis, OpId, Retry, Tier, compress, limits, v1};

#[derive(Debug, Default)]
pub(super) struct Subscribers {
    by_conn: BTreeMap<ConnId, Subscriber>,
    active: usize,
    background: usize,
    /// Connections of which an operation was put off: what follows it must wait, or order would be lost.
    held: BTreeMap<ConnId, (OpId, Refusal)>,
    /// What Background receivers have not been told.
    news: News,
}

#[derive(Debug)]
struct Subscriber {
    user: String,
    is_admin: bool,
    tier: Tier,
}

#[derive(Debug, Default)]
struct News {
    /// Ordinal of the first message that is news; 0 when none is.
    first_message: u64,
    /// Ordinals of messages that were changed.
    changed: BTreeSet<u64>,
    info: bool,
    config: bool,
    /// Anything else: counts.
    counts: bool,
}

impl Subscribers {
    pub(super) fn is_empty(&self) -> bool {
        self.by_conn.is_empty()
    }

    pub(super) fn has(&self, tier: Tier) -> bool {
        self.receivers(tier) > 0
    }

    pub(super) fn receivers(&self, tier: Tier) -> usize {
        match tier {
            Tier::Active => self.active,
            Tier::Background => self.background,
            Tier::Cached | Tier::Unloaded => 0,
        }
    }

    /// Takes out everybody.
    pub(super) fn drain(&mut self) -> Vec<ConnId> {
        core::mem::take(self).by_conn.into_keys().collect()
    }

    pub(super) fn conns(&self) -> Vec<ConnId> {
        self.by_conn.keys().copied().collect()
    }

    fn has_any(&self) -> bool {
        self.active + self.background > 0
    }

    /// The refusal of an earlier operation of this connection that has not been sent again, if there is one.
    pub(super) fn held_back(&mut self, conn: ConnId, op_id: OpId) -> Option<Refusal> {
        let (first, refusal) = *self.held.get(&conn)?;
        if op_id.counter > first.counter {
            return Some(refusal);
        }
        self.held.remove(&conn);
        None
    }

    /// Holds back what follows an operation that was put off.
    pub(super) fn hold_back(&mut self, conn: ConnId, op_id: OpId, refusal: Refusal) {
        let earlier = self.held.get(&conn).is_some_and(|(first, _)| first.counter < op_id.counter);
        if refusal.code.retry() == Retry::Later && !earlier {
            self.held.insert(conn, (op_id, refusal));
        }
    }

    /// An operation is in the log. It may be one that was put off because its append seemed to have failed: its client
    /// sees the entry, and does not send it again.
    pub(super) fn let_go(&mut self, confirmed: OpId) {
        let is_settled = |held: &OpId| held.client == confirmed.client && held.counter <= confirmed.counter;
        self.held.retain(|_, (held, _)| !is_settled(held));
    }

    fn count(&mut self, tier: Tier) -> Option<&mut usize> {
        match tier {
            Tier::Active => Some(&mut self.active),
            Tier::Background => Some(&mut self.background),
            Tier::Cached | Tier::Unloaded => None,
        }
    }
}

impl Authority {
    /// The connection has ended, or holds this room no longer.
    pub fn unsubscribe(&mut self, conn: ConnId, now: Millis) {
        self.waiting.retain(|waiting| !waiting.is_of(conn));
        self.subscribers.held.remove(&conn);
        self.place(conn, None, now);
    }

    /// Puts a connection into a tier's channel, or out of all. Says nothing to it.
    pub(super) fn place(&mut self, conn: ConnId, place: Option<(&Actor, Tier)>, now: Millis) {
        let place = place.filter(|(_, tier)| matches!(tier, Tier::Active | Tier::Background));
        // One's own inbox is nowhere that others could be met.
        let is_inbox = self.confirmed.id().inbox_owner().is_some();
        let old = self.subscribers.by_conn.remove(&conn);
        let unchanged = old.as_ref().map(|old| old.tier) == place.map(|(_, tier)| tier);
        if let Some(old) = old {
            if let Some(count) = self.subscribers.count(old.tier) {
                *count -= 1;
            }
            if old.tier == Tier::Active && !is_inbox {
                self.occupancy.leave(&old.user);
            }
            if old.tier == Tier::Active && place.is_none_or(|(_, tier)| tier != Tier::Active) {
                self.release_held(conn, now);
            }
        }
        if let Some((actor, tier)) = place {
            if let Some(count) = self.subscribers.count(tier) {
                *count += 1;
            }
            if tier == Tier::Active && !is_inbox {
                self.occupancy.enter(actor.user(), actor.name());
            }
            let (user, is_admin) = (actor.user().to_string(), actor.facts().is_admin);
            self.subscribers.by_conn.insert(conn, Subscriber { user, is_admin, tier });
        }
        if !unchanged {
            self.effects.push_back(Effect::Subscribe { conn, tier: place.map(|(_, tier)| tier) });
        }
        self.schedule_presence(now);
        self.schedule_beats(now);
    }

    /// Puts out of the room whom this entry has taken the right to read, and tells them.
    pub(super) fn put_out(&mut self, entry: &Entry, now: Millis) {
        let may_take = matches!(
            &entry.body,
            Some(Body::Leave(_) | Body::Kick(_) | Body::Ban(_) | Body::Invite(_) | Body::SetInfo(_))
        );
        let is_private =
            self.confirmed.info().is_some_and(|info| info.visibility() == v1::Visibility::Private);
        if !may_take || !is_private {
            return;
        }
        let may_read = |subscriber: &Subscriber| {
            subscriber.is_admin || policy::may_user_read(&subscriber.user, &self.confirmed)
        };
        let out = self.subscribers.by_conn.iter().filter(|(_, subscriber)| !may_read(subscriber));
        let out: Vec<ConnId> = out.map(|(conn, _)| *conn).collect();
        for conn in out {
            self.place(conn, None, now);
            self.refuse(conn, Code::Forbidden, 0);
        }
    }

    /// Tells everybody what has become durable.
    pub(super) fn tell(&mut self, entries: &[Entry], now: Millis) {
        self.spending.pass(now);
        let mut chunk: Vec<v1::Entry> = Vec::new();
        let mut bytes = 0;
        for entry in entries {
            self.take_note(entry);
            let wire = entry.wire();
            self.recent.push(wire.clone());
            let size = wire.encoded_len() + ITEM_OVERHEAD;
            if bytes + size > limits::DELTA_BYTES {
                self.tell_active(core::mem::take(&mut chunk));
                bytes = 0;
            }
            bytes += size;
            chunk.push(wire);
        }
        self.tell_active(chunk);
        self.advise_when_over();
        if !self.subscribers.has(Tier::Background) {
            // Whoever comes is told of it by the projection.
            self.subscribers.news = News::default();
        } else if self.timers.background.is_none() {
            self.timers.background = Some(now + limits::BACKGROUND_INTERVAL);
        }
    }

    fn tell_active(&mut self, entries: Vec<v1::Entry>) {
        if !entries.is_empty() {
            let sync = self.delta_frame(entries);
            self.broadcast(Tier::Active, Lane::Log, Frame::RoomStateSync(sync));
        }
    }

    /// A delta that leads up to its last entry.
    pub(super) fn delta_frame(&self, entries: Vec<v1::Entry>) -> v1::RoomStateSync {
        let seq = entries.last().map_or(self.confirmed.position().seq, |last| last.seq);
        let data = Data::DeltaUpdate(v1::DeltaUpdate { entries });
        v1::RoomStateSync { sequence_number: seq, ..self.frame(v1::MessageType::DeltaUpdate, data) }
    }

    /// A frame at the confirmed position, with the alias alone.
    pub(super) fn frame(&self, message_type: v1::MessageType, data: Data) -> v1::RoomStateSync {
        let position = self.confirmed.position();
        v1::RoomStateSync {
            message_type: message_type.into(),
            room_id: String::new(),
            alias: self.config.alias,
            timestamp: self.confirmed.last_at().0,
            epoch: position.epoch,
            sequence_number: position.seq,
            tier: None,
            data: Some(data),
        }
    }

    /// The whole light projection: what somebody is told who comes into Background.
    pub(super) fn projection(&self) -> v1::StateUpdate {
        let newest = self.confirmed.timeline().iter().rev().take(limits::BACKGROUND_MESSAGES);
        v1::StateUpdate {
            info: self.confirmed.info().cloned(),
            room_config: Some(*self.confirmed.config()),
            recent: newest_that_fit(newest.map(|message| &**message)),
            ..self.counts()
        }
    }

    pub(super) fn counts(&self) -> v1::StateUpdate {
        v1::StateUpdate {
            user_count: Some(self.occupancy.count()),
            moderator_count: Some(self.confirmed.members().moderators() as u32),
            member_count: Some(self.confirmed.members().len() as u32),
            messages: Some(self.confirmed.timeline().head()),
            state_digest: Some(self.confirmed.digest().value()),
            fold_version: Some(self.confirmed.fold_version()),
            config_fingerprint: Some(compress::config_fingerprint(&self.confirmed)),
            ..Default::default()
        }
    }

    pub(super) fn schedule_presence(&mut self, now: Millis) {
        if self.occupancy.is_dirty() && self.timers.presence.is_none() {
            self.timers.presence = Some(now + limits::PRESENCE_INTERVAL);
        }
    }

    pub(super) fn flush_presence(&mut self, now: Millis) {
        if let Some(update) = self.occupancy.flush(now) {
            let update = v1::StateUpdate {
                user_count: Some(self.occupancy.count()),
                presence: Some(update),
                ..Default::default()
            };
            let sync = self.frame(v1::MessageType::StateUpdate, Data::StateUpdate(update));
            // Each update changes the one before, so none may be replaced by a later one.
            self.broadcast(Tier::Active, Lane::Log, Frame::RoomStateSync(sync));
            self.effects.push_back(Effect::PublishLease { record: self.occupancy.record() });
            self.effects
                .push_back(Effect::Occupied { count: self.occupancy.count(), users: self.occupancy.first() });
            self.subscribers.news.counts = true;
            if self.subscribers.has(Tier::Background) && self.timers.background.is_none() {
                self.timers.background = Some(now + limits::BACKGROUND_INTERVAL);
            }
        }
        self.schedule_presence(now);
    }

    /// One update with all that has happened in the last second.
    pub(super) fn flush_background(&mut self, now: Millis) {
        // Who was sent more than the budget allows is told later, and of everything at once.
        if let Some(due) = self.spending.background_due() {
            self.timers.background = Some(due);
            return;
        }
        let news = core::mem::take(&mut self.subscribers.news);
        let timeline = self.confirmed.timeline();
        let first = match news.first_message {
            0 => timeline.head() + 1,
            first => first.max((timeline.head() + 1).saturating_sub(limits::BACKGROUND_MESSAGES as u64)),
        };
        let recent = (first..=timeline.head()).rev().filter_map(|ordinal| timeline.get(ordinal));
        // Those that are new are told as they are now; of those that have left the last fifty nothing is told.
        let oldest = (timeline.head() + 1).saturating_sub(limits::BACKGROUND_MESSAGES as u64).min(first);
        let changed = news.changed.range(oldest..first).rev().filter_map(|ordinal| timeline.get(*ordinal));
        let mut changed = newest_that_fit(recent.chain(changed).map(|message| &**message));
        let recent = changed.split_off(changed.partition_point(|message| message.ordinal < first));
        // What does not fit beside them comes with the next update.
        let told = changed.first().or(recent.first()).map_or(first, |message| message.ordinal);
        self.subscribers.news.changed = news.changed.range(oldest..told.max(oldest)).copied().collect();
        if !self.subscribers.news.changed.is_empty() {
            self.timers.background = Some(now + limits::BACKGROUND_INTERVAL);
        }
        let update = v1::StateUpdate {
            info: self.confirmed.info().filter(|_| news.info).cloned(),
            room_config: news.config.then(|| *self.confirmed.config()),
            recent,
            changed,
            ..self.counts()
        };
        self.spending.traffic.coalesced += update.recent.len().saturating_sub(1) as u64;
        let sync = self.frame(v1::MessageType::StateUpdate, Data::StateUpdate(update));
        self.broadcast(Tier::Background, Lane::Log, Frame::RoomStateSync(sync));
    }

    /// Says where the room is, so that a gap is seen while connected, and a quiet room keeps its place.
    pub(super) fn beat(&mut self, now: Millis) {
        let heartbeat = v1::RoomHeartbeat {
            messages: self.confirmed.timeline().head(),
            state_digest: Some(self.confirmed.digest().value()),
            fold_version: Some(self.confirmed.fold_version()),
            ..Default::default()
        };
        let sync = self.frame(v1::MessageType::Heartbeat, Data::Heartbeat(heartbeat));
        self.broadcast(Tier::Active, Lane::State, Frame::RoomStateSync(sync.clone()));
        self.broadcast(Tier::Background, Lane::State, Frame::RoomStateSync(sync));
        // Hints may be lost, so now and then the log itself is asked whether it has grown.
        if matches!(self.phase, Phase::Ready) {
            self.recover();
        }
        self.schedule_beats(now);
    }

    pub(super) fn renew_lease(&mut self, now: Millis) {
        if !self.occupancy.is_empty_here() {
            self.effects.push_back(Effect::PublishLease { record: self.occupancy.record() });
        }
        // Where the store does not answer, nobody is renewed: that is seen without it.
        self.occupancy.lapse(now);
        self.schedule_presence(now);
        self.effects.push_back(Effect::ReadLeases);
        self.schedule_beats(now);
    }

    /// Heartbeats and leases go on as long as somebody is subscribed.
    fn schedule_beats(&mut self, now: Millis) {
        if !self.subscribers.has_any() {
            self.timers.heartbeat = None;
            self.timers.lease = None;
            return;
        }
        self.timers.heartbeat.get_or_insert(now + self.config.heartbeat_interval);
        self.timers.lease.get_or_insert(now + limits::LEASE / 3);
    }

    fn take_note(&mut self, entry: &Entry) {
        let target = entry.body.as_ref().and_then(op::target);
        let changed = target.and_then(|(id, _)| self.confirmed.timeline().by_id(id));
        let news = &mut self.subscribers.news;
        news.changed.extend(changed.map(|message| message.ordinal));
        match &entry.body {
            Some(Body::PostMessage(_)) if news.first_message == 0 => news.first_message = entry.ordinal,
            Some(Body::CreateRoom(_) | Body::SetInfo(_)) => news.info = true,
            // By the configuration the receiver knows that nothing of how the room is run has passed it by.
            Some(Body::SetConfig(_) | Body::SetPermissions(_) | Body::SetConflictMode(_)) => {
                news.config = true
            }
            _ => {}
        }
    }
}
