//! What the server says about rooms, joined to what is held.

use alloc::vec::Vec;

use super::content::{Base, Content};
use super::parts::{MAX_PARTS, Parts};
use super::view::Synced;
use super::warm::WarmUp;
use super::{Client, Event, RoomChange};
use crate::delta::{Delta, delta};
use crate::op::{self, Body};
use crate::sorted::SortedMap;
use crate::state::Change;
use crate::traffic::Kind;
use crate::v1::room_state_sync::Data;
use crate::{Code, Entry, Millis, OpId, Position, RoomId, Tier, limits, v1};

/// At one healing a minute, two ends that never agree cost little.
const HEALING_INTERVAL: u64 = 60_000;
/// A sync frame's head, taken apart.
#[derive(Clone, Copy)]
pub(super) struct Head {
    at: Position,
    /// The frame answers a request about the tier that the room is in.
    is_answer: bool,
}

impl Client {
    pub(super) fn sync(&mut self, sync: v1::RoomStateSync, bytes: usize, now: Millis) {
        let Some(id) = self.resolve(&sync.room_id, sync.alias) else { return };
        let Some(room) = self.rooms.get_mut(&id) else { return };
        // What was on its way to the tier before. The new one is asked for when the snapshot is there.
        if room.loading.is_some() || room.synced == Synced::Failed(Code::FoldTooNew) {
            return;
        }
        let answered = sync.tier.map(Tier::from_wire);
        // An answer about a tier that the room has left since says nothing any more.
        if answered.is_some_and(|tier| tier != Some(room.tier())) {
            return;
        }
        let at = Position { epoch: sync.epoch, seq: sync.sequence_number };
        if at.epoch >= limits::INTEGER_BOUND || at.seq >= limits::INTEGER_BOUND {
            return self.malformed(now);
        }
        let head = Head { at, is_answer: answered.is_some() };
        match sync.data {
            Some(Data::DeltaUpdate(update)) => self.take_delta(&id, head, update, bytes, now),
            Some(Data::BulkSync(part)) => self.take_part(&id, head, part, bytes, now),
            Some(Data::StateUpdate(update)) => self.take_update(&id, head, update, now),
            Some(Data::Heartbeat(heartbeat)) => self.take_heartbeat(&id, head, heartbeat, now),
            // A kind that this version does not know.
            None => {}
        }
    }

    /// The room of a frame: by its id, which the first frame of a room on a connection carries, or by the alias that
    /// came with it.
    pub(super) fn resolve(&mut self, room_id: &str, alias: u32) -> Option<RoomId> {
        let id =
            if room_id.is_empty() { self.aliases.get(&alias).cloned() } else { RoomId::new(room_id).ok() };
        let id = id.filter(|id| self.rooms.get(id).is_some_and(|room| room.tier() != Tier::Unloaded));
        match &id {
            Some(id) if !room_id.is_empty() && alias != 0 => {
                self.aliases.insert(alias, id.clone());
            }
            Some(_) => {}
            None => self.link.counters.unknown_rooms += 1,
        }
        // A node gives each room one alias, so there are at most as many as rooms were held on this connection.
        if self.aliases.len() > self.rooms.len() + limits::LIVE_ROOMS + limits::CACHED_ROOMS {
            let rooms = &self.rooms;
            self.aliases.retain(|_, id| rooms.get(id).is_some_and(|room| room.tier() != Tier::Unloaded));
            // One that gives a room many aliases is not remembered for ever.
            if self.aliases.len() > self.rooms.len() + limits::LIVE_ROOMS {
                self.aliases.clear();
            }
        }
        id
    }

    fn take_delta(&mut self, id: &RoomId, head: Head, update: v1::DeltaUpdate, bytes: usize, now: Millis) {
        let entries: Result<Vec<Entry>, Code> = update.entries.into_iter().map(Entry::parse).collect();
        let Ok(entries) = entries else { return self.malformed(now) };
        let Some(room) = self.rooms.get_mut(id) else { return };
        // Entries that were on their way when the room left Active: its new tier is answered by itself.
        let Content::Active(active) = &mut room.content else { return self.ignore(id, Kind::DeltaUpdate) };
        // A log that was never opened is the beginning of any log.
        if active.state.position() == Position::default()
            && room.reset.is_none()
            && entries.first().map_or(head.at.seq == 0, |first| first.seq == 1)
        {
            active.state.open_epoch(head.at.epoch);
        }
        match delta(active.state.position(), room.ended, head.at, &entries) {
            Delta::Applied(first) => {
                if !self.apply(id, &entries[first..], now) {
                    return;
                }
                self.arrived(id, now);
                if head.is_answer {
                    self.note_saved(id, bytes);
                    self.answered(id, now);
                }
            }
            Delta::Duplicate if head.is_answer => {
                self.note_saved(id, bytes);
                self.answered(id, now);
            }
            Delta::Duplicate | Delta::Stale => {}
            Delta::Gap if head.is_answer => {
                // The server took our position for another than it is; it is not asked from there again.
                self.no_longer_asked(id);
                self.start_over(id, Code::TooFarBehind, now);
            }
            Delta::Gap => {
                self.link.counters.gaps += 1;
                self.resume(id, now);
            }
            Delta::NewEpoch => {
                if head.is_answer {
                    self.no_longer_asked(id);
                }
                self.start_over(id, Code::EpochChanged, now);
            }
        }
    }

    /// Folds entries that follow each other, and tells what changed. Returns whether all of them fitted.
    fn apply(&mut self, id: &RoomId, entries: &[Entry], now: Millis) -> bool {
        for entry in entries {
            let Some(Content::Active(active)) = self.rooms.get_mut(id).map(|room| &mut room.content) else {
                return false;
            };
            let changes = active.state.apply(entry);
            match changes {
                Ok(changes) => changes.into_iter().for_each(|change| self.changed(id, change)),
                Err(Code::FoldTooNew) => {
                    self.fold_too_new(id);
                    return false;
                }
                Err(code) => {
                    self.start_over(id, code, now);
                    return false;
                }
            }
            self.confirm(id, entry.op_id);
        }
        if let Some(room) = self.rooms.get_mut(id) {
            room.dirty_since.get_or_insert(now);
        }
        true
    }

    /// The room has gone on to rules that this version does not know: it shows what it holds, and says so.
    fn fold_too_new(&mut self, id: &RoomId) {
        self.no_longer_asked(id);
        let code = Code::FoldTooNew;
        if let Some(room) = self.rooms.get_mut(id)
            && room.synced != Synced::Failed(code)
        {
            room.synced = Synced::Failed(code);
            self.outbox.room(id, RoomChange::Tier);
            let reason = alloc::string::String::new();
            self.outbox.event(Event::Error { code, room: Some(id.clone()), reason });
        }
    }

    fn changed(&mut self, id: &RoomId, change: Change) {
        match change {
            Change::Info | Change::Config => self.outbox.room(id, RoomChange::Meta),
            Change::Member(_) | Change::MemberGone(_) | Change::Access | Change::Contacts => {
                self.outbox.room(id, RoomChange::Members);
                self.outbox.room(id, RoomChange::Meta);
            }
            Change::MessageAdded(ordinal) => {
                self.outbox.room(id, RoomChange::MessageAdded(ordinal));
                self.outbox.room(id, RoomChange::Unread);
            }
            Change::Score(_) | Change::Scores => self.outbox.room(id, RoomChange::Scores),
            Change::MessagesDropped(before) => {
                self.room_mut(id).history.is_exhausted = false;
                self.outbox.room(id, RoomChange::MessagesDropped(before));
            }
            Change::MessageChanged(ordinal) => self.outbox.room(id, RoomChange::MessageChanged(ordinal)),
            Change::Pins => self.outbox.room(id, RoomChange::Pins),
            Change::Slid => self.outbox.room(id, RoomChange::Reset),
            Change::Following(room) => {
                if let Ok(room) = RoomId::new(&room) {
                    self.unread_changed(&room);
                }
            }
            Change::Notified(room) => self.notified(id, &room),
            Change::Conflicts => self.outbox.conflicts(),
            Change::Element(key) => self.outbox.room(id, RoomChange::Element(key)),
        }
    }

    pub(super) fn unread_changed(&mut self, id: &RoomId) {
        self.weigh(id);
        if self.rooms.contains_key(id) {
            self.outbox.room(id, RoomChange::Unread);
        } else {
            self.outbox.row(id);
        }
    }

    fn notified(&mut self, inbox: &RoomId, room: &str) {
        let Some(Content::Active(active)) = self.rooms.get(inbox).map(|room| &room.content) else { return };
        let mut newest_first = active.state.inbox().notifications().rev();
        if let Some(notification) = newest_first.find(|notification| notification.room_id == room) {
            let notification = notification.clone().into();
            self.outbox.event(Event::Notified { notification });
        }
    }

    /// A whole inbox has come: what is read in which room may be other than it was.
    pub(super) fn inbox_replaced(&mut self, id: &RoomId) {
        if self.is_own_inbox(id) {
            self.outbox.conflicts();
            self.rooms.keys().for_each(|room| self.outbox.room(room, RoomChange::Unread));
            self.list.rows.keys().for_each(|room| self.outbox.row(room));
        }
    }

    fn take_part(&mut self, id: &RoomId, head: Head, part: v1::BulkSync, bytes: usize, now: Millis) {
        let Some(room) = self.rooms.get_mut(id) else { return };
        let Content::Active(active) = &room.content else {
            return self.take_warm_part(id, head, part, bytes, now);
        };
        let held = active.state.position();
        let is_asked = room.asked.is_some();
        if room.ended == Some(head.at.epoch) {
            return;
        }
        // Without a reason a whole state may only lead forwards in the same log, unless all of it was asked for.
        if part.reason == 0 && active.is_loaded() && room.reset.is_none() {
            if head.at.epoch != held.epoch && !is_asked {
                return self.start_over(id, Code::EpochChanged, now);
            }
            if head.at.epoch == held.epoch && head.at.seq < held.seq {
                if head.is_answer {
                    self.answered(id, now);
                }
                return;
            }
        }
        let reason = part.reason;
        if let Some(parts) = self.collect(id, head, part, bytes, now) {
            self.install(id, parts, reason, now);
        }
    }

    /// Puts a part to the others. Returns all of them when none is missing.
    pub(super) fn collect(
        &mut self,
        id: &RoomId,
        head: Head,
        part: v1::BulkSync,
        bytes: usize,
        now: Millis,
    ) -> Option<Parts> {
        let room = self.rooms.get_mut(id)?;
        if part.parts == 0 || part.parts > MAX_PARTS || part.part >= part.parts || part.snapshot.is_none() {
            self.malformed(now);
            return None;
        }
        let fits = |parts: &Parts| parts.at == head.at && parts.count == part.parts;
        if !room.parts.as_ref().is_some_and(fits) {
            room.parts =
                Some(Parts { at: head.at, count: part.parts, parts: SortedMap::default(), bytes: 0 });
        }
        let parts = room.parts.as_mut()?;
        parts.bytes += bytes;
        parts.parts.insert(part.part, part.snapshot.unwrap_or_default());
        if parts.bytes > limits::STATE_BYTES {
            room.parts = None;
            self.malformed(now);
            return None;
        }
        if parts.parts.len() == parts.count as usize { room.parts.take() } else { None }
    }

    /// Replaces a room's state by a complete BULK_SYNC.
    fn install(&mut self, id: &RoomId, parts: Parts, reason: u32, now: Millis) {
        let (at, full_size) = (parts.at, parts.bytes as u64);
        let state = match parts.state(id) {
            Ok(state) => state,
            Err(Code::FoldTooNew) => return self.fold_too_new(id),
            Err(_) => {
                self.no_longer_asked(id);
                if let Some(room) = self.rooms.get_mut(id) {
                    // Not at once: what could not be read now can't be read in a moment either.
                    room.retry_at = Some(now + HEALING_INTERVAL);
                    room.reset = Some(Code::Malformed);
                }
                return self.malformed(now);
            }
        };
        let Some(room) = self.rooms.get_mut(id) else { return };
        let Content::Active(active) = &mut room.content else { return };
        let held = active.state.position();
        let was_loaded = active.is_loaded();
        let old = core::mem::replace(&mut active.state, state);
        let why = room.reset.take().or((reason != 0).then(|| super::connection::known(reason)));
        // What is merely far behind is the same log: what was shown stays, and a gap is shown where the two don't touch.
        active.before = None;
        if held.epoch == at.epoch && matches!(why, None | Some(Code::TooFarBehind)) {
            active.state.timeline_mut().keep_older(old.timeline(), limits::HISTORY_PAGE);
        }
        room.full_size = full_size;
        if was_loaded && held.epoch != at.epoch {
            room.ended = Some(held.epoch);
        }
        room.dirty_since.get_or_insert(now);
        room.history = Default::default();
        room.predicted = None;
        room.messages = room.content.messages();
        self.outbox.room(id, RoomChange::Reset);
        if was_loaded {
            self.link.counters.resyncs += 1;
            let epoch_changed = held.epoch != at.epoch;
            let code = why.unwrap_or(if epoch_changed { Code::EpochChanged } else { Code::TooFarBehind });
            self.outbox.event(Event::Resynced { room: id.clone(), code });
        }
        self.confirm_shown(id);
        self.inbox_replaced(id);
        self.arrived(id, now);
        self.answered(id, now);
    }

    fn take_update(&mut self, id: &RoomId, head: Head, update: v1::StateUpdate, now: Millis) {
        let Some(room) = self.rooms.get_mut(id) else { return };
        match &mut room.content {
            Content::Active(active) => {
                if let Some(presence) = &update.presence {
                    active.presence.apply(presence);
                    active.user_count = active.presence.len() as u32;
                }
                if let Some(count) = update.user_count {
                    active.user_count = count;
                }
                if update.presence.is_some() || update.user_count.is_some() {
                    self.outbox.room(id, RoomChange::Presence);
                }
                self.compare(id, head, update.state_digest, update.fold_version, now);
            }
            Content::Background(_) => self.take_light(id, head, update, now),
            Content::Cached(_) | Content::Unloaded => self.ignore(id, Kind::StateUpdate),
        }
    }

    fn take_light(&mut self, id: &RoomId, head: Head, update: v1::StateUpdate, now: Millis) {
        let Some(room) = self.rooms.get_mut(id) else { return };
        let Content::Background(background) = &mut room.content else { return };
        let light = &mut background.light;
        if room.ended == Some(head.at.epoch) {
            return;
        }
        let is_other_epoch = light.seen.epoch != head.at.epoch && light.seen.epoch != 0;
        if !head.is_answer {
            if is_other_epoch {
                return self.start_over(id, Code::EpochChanged, now);
            }
            if head.at.seq < light.seen.seq {
                return;
            }
        }
        // The answer is the whole projection, and takes the place of what can't be extended.
        let why = if head.is_answer { room.reset.take() } else { None };
        let why = why.or(is_other_epoch.then_some(Code::EpochChanged));
        if let Some(code) = why {
            room.ended = is_other_epoch.then_some(light.seen.epoch).or(room.ended);
            background.base = None;
            *light = Default::default();
            self.link.counters.resyncs += 1;
            self.outbox.room(id, RoomChange::Reset);
            self.outbox.event(Event::Resynced { room: id.clone(), code });
        }
        light.seen = head.at;
        light.is_behind = false;
        if let Some(info) = update.info {
            light.info = Some(info);
        }
        let fingerprint = update.config_fingerprint.unwrap_or(light.fingerprint);
        let has_missed =
            light.fingerprint != 0 && light.fingerprint != fingerprint && update.room_config.is_none();
        light.fingerprint = fingerprint;
        if let Some(config) = update.room_config {
            light.config = config;
        }
        light.user_count = update.user_count.unwrap_or(light.user_count);
        light.member_count = update.member_count.unwrap_or(light.member_count);
        let (mut added, mut dropped_before, mut changed) = (Vec::new(), None, Vec::new());
        if head.is_answer {
            light.replace(update.recent);
            self.outbox.room(id, RoomChange::Reset);
        } else {
            changed = light.take_changed(update.changed);
            (added, dropped_before) = light.extend(update.recent);
        }
        let last = light.recent.back().map_or(0, |last| last.ordinal);
        light.messages = update.messages.unwrap_or(light.messages).max(last);
        room.messages = light.messages;
        let together = added.len().saturating_sub(1) as u64;
        for ordinal in added {
            self.outbox.room(id, RoomChange::MessageAdded(ordinal));
        }
        for ordinal in changed {
            self.outbox.room(id, RoomChange::MessageChanged(ordinal));
        }
        self.note(id, |traffic| traffic.coalesced += together);
        if let Some(before) = dropped_before {
            self.outbox.room(id, RoomChange::MessagesDropped(before));
        }
        self.outbox.room(id, RoomChange::Meta);
        self.outbox.room(id, RoomChange::Unread);
        self.confirm_shown(id);
        self.arrived(id, now);
        if head.is_answer {
            self.answered(id, now);
        } else if has_missed {
            // How the room is run has changed, and the update that said so is lost.
            self.link.counters.gaps += 1;
            self.resume(id, now);
        }
    }

    fn take_heartbeat(&mut self, id: &RoomId, head: Head, heartbeat: v1::RoomHeartbeat, now: Millis) {
        let Some(room) = self.rooms.get_mut(id) else { return };
        if room.messages < heartbeat.messages {
            room.messages = heartbeat.messages;
            self.outbox.room(id, RoomChange::Unread);
        }
        match &mut room.content {
            Content::Active(_) => {
                self.compare(id, head, heartbeat.state_digest, heartbeat.fold_version, now);
            }
            Content::Background(background) => {
                let light = &mut background.light;
                if light.seen.epoch != head.at.epoch && light.seen.epoch != 0 {
                    if room.ended != Some(head.at.epoch) {
                        self.start_over(id, Code::EpochChanged, now);
                    }
                } else if head.at.seq > light.seen.seq {
                    // An update may be waiting for its second; one that is still missing at the next heartbeat is lost.
                    if core::mem::replace(&mut light.is_behind, true) {
                        self.resume(id, now);
                    }
                }
            }
            Content::Cached(cached) => {
                cached.summary.messages = heartbeat.messages;
                let before = cached.summary.position.replace(head.at.wire());
                if before.is_some_and(|before| before.epoch != head.at.epoch) {
                    cached.summary.last_message = None;
                }
                room.messages = heartbeat.messages;
                let differs = |base: &Base| {
                    base.position == head.at
                        && heartbeat.state_digest.is_some_and(|digest| digest != base.digest)
                };
                if cached.base.take_if(|base| differs(base)).is_some() {
                    self.note(id, |traffic| traffic.mismatches += 1);
                    self.save(id);
                    let code = Code::DigestMismatch;
                    self.outbox.event(Event::Resynced { room: id.clone(), code });
                }
                // A server that warms nothing up answers as for any Cached room.
                if head.is_answer {
                    self.end_warm_up(id, WarmUp::Failed(Code::InvalidRequest), now);
                }
            }
            Content::Unloaded => {}
        }
    }

    /// Holds a position that the server has named against that of the replica.
    fn compare(
        &mut self,
        id: &RoomId,
        head: Head,
        digest: Option<u64>,
        fold_version: Option<u32>,
        now: Millis,
    ) {
        let Some(room) = self.rooms.get_mut(id) else { return };
        let Content::Active(active) = &room.content else { return };
        let held = active.state.position();
        // The answer to a request is on its way, and will say it all.
        if room.asked.is_some() || room.ended == Some(head.at.epoch) {
            return;
        }
        if held.epoch != head.at.epoch {
            return self.start_over(id, Code::EpochChanged, now);
        }
        if head.at.seq > held.seq {
            self.link.counters.gaps += 1;
            return self.resume(id, now);
        }
        // States that were folded by different rules may differ.
        let same_rules = fold_version.is_none_or(|version| version == active.state.fold_version());
        let differs = digest.is_some_and(|digest| digest != active.state.digest().value());
        if held != head.at || !differs || !same_rules {
            return;
        }
        let may_heal = room.healed_at.is_none_or(|healed| now.since(healed) >= HEALING_INTERVAL);
        if may_heal {
            room.healed_at = Some(now);
        }
        self.note(id, |traffic| traffic.mismatches += 1);
        if may_heal {
            self.start_over(id, Code::DigestMismatch, now);
        }
    }

    /// The view has reached a new position: what was acknowledged up to there is part of it now.
    fn arrived(&mut self, id: &RoomId, now: Millis) {
        self.keep_within_budget(id);
        let Some(room) = self.rooms.get(id) else { return };
        let changes = self.pending.of(id).filter(|op| op.is_acknowledged() && op::target(&op.body).is_some());
        let changes: Vec<Body> = changes.map(|op| op.body.clone()).collect();
        if self.pending.settle(id, room.content.position()) {
            self.outbox.room(id, RoomChange::Pending);
            changes.iter().for_each(|body| self.touch(id, body));
        }
        // A confirmation may have let the next operation go.
        self.flush(now);
    }

    /// The outstanding request has been answered in full.
    fn answered(&mut self, id: &RoomId, now: Millis) {
        self.no_longer_asked(id);
        let Some(room) = self.rooms.get_mut(id) else { return };
        if let Some(code) = room.reset {
            return self.start_over(id, code, now);
        }
        if room.synced != Synced::Ready {
            room.synced = Synced::Ready;
            self.outbox.room(id, RoomChange::Tier);
        }
        self.verify(id);
    }

    fn no_longer_asked(&mut self, id: &RoomId) {
        if let Some(room) = self.rooms.get_mut(id) {
            (room.asked, room.retry_at) = (None, None);
        }
    }

    /// Pending operations that the view shows are confirmed.
    pub(super) fn confirm_shown(&mut self, id: &RoomId) {
        let Some(room) = self.rooms.get(id) else { return };
        let shown = self.pending.of(id).map(|op| op.id).filter(|op| room.content.shows(*op));
        let shown: Vec<OpId> = shown.collect();
        shown.into_iter().for_each(|op| self.confirm(id, op));
    }
}
