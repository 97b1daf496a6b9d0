//! What outlives the process: the client's own numbers, operations that wait, and snapshots of rooms.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use prost::Message as _;

use super::bench::short;
use super::cache::MODEL;
use super::connection::Phase;
use super::content::{Base, Cached, Content};
use super::index::List;
use super::view::Synced;
use super::warm::NAVIGATION;
use super::{Client, Effect, Event, RoomChange, User};
use crate::op::Body;
use crate::order::sorted;
use crate::pending::{self, Counter, Pending, PendingOp};
use crate::state::{RoomState, SnapshotFor};
use crate::tier::{Tier, TierReason};
use crate::{ClientId, Code, Millis, Position, RoomId, UserId, compress, v1};

/// The layout of records. Others are left alone: they may be of a newer version that the user goes back to.
const LAYOUT: u32 = 2;
const META: &str = "meta";
/// What is held of a room in memory while it is Cached.
const ROOM: &str = "room/";
/// Its snapshot, which is loaded when the room is opened.
const SNAPSHOT: &str = "snap/";
const OP: &str = "op/";

#[derive(Clone, PartialEq, enfilade_proto::Message)]
struct StoredMeta {
    #[prost(uint32, tag = "1")]
    layout: u32,
    #[prost(uint64, tag = "2")]
    client_id: u64,
    #[prost(uint64, tag = "3")]
    reserved: u64,
    #[prost(string, tag = "4")]
    user: String,
    #[prost(string, tag = "5")]
    user_name: String,
}

#[derive(Clone, PartialEq, enfilade_proto::Message)]
struct StoredRoom {
    #[prost(uint32, tag = "1")]
    layout: u32,
    #[prost(message, optional, tag = "2")]
    summary: Option<v1::RoomSummary>,
    /// Position of the snapshot.
    #[prost(message, optional, tag = "3")]
    base: Option<v1::Position>,
    #[prost(string, tag = "5")]
    draft: String,
    /// Digest of the snapshot's state.
    #[prost(uint64, tag = "6")]
    digest: u64,
    #[prost(string, tag = "7")]
    scroll: String,
}

/// A record without what people wrote; `None` when it can't be read.
pub(crate) fn redact_record(key: &str, value: &[u8]) -> Option<Vec<u8>> {
    use crate::trace::redact;
    if key == MODEL {
        // Numbers, and ids of rooms, which stay.
        Some(value.to_vec())
    } else if key == META {
        let mut meta = StoredMeta::decode(value).ok()?;
        meta.user_name = redact::text(&meta.user_name);
        Some(meta.encode_to_vec())
    } else if key == NAVIGATION {
        // Ids of rooms alone.
        Some(value.to_vec())
    } else if key.starts_with(OP) {
        pending::redact_record(value)
    } else if let Some(id) = key.strip_prefix(SNAPSHOT) {
        let id = RoomId::new(id).ok()?;
        let stored = compress::read(&id, value).ok()?;
        let snapshot =
            compress::open(&id, &stored).ok()?.snapshot(SnapshotFor::Client { messages: usize::MAX });
        let bytes = redact::message("RoomSnapshot", &snapshot.encode_to_vec())?;
        let snapshot = v1::RoomSnapshot::decode(&bytes[..]).ok()?;
        let state = RoomState::restore(id, snapshot, false).ok()?;
        Some(compress::pack(&state, stored.user_count).encode_to_vec())
    } else {
        let mut room = StoredRoom::decode(value).ok()?;
        let summary = room.summary.map(|summary| redact::message("RoomSummary", &summary.encode_to_vec()));
        room.summary = summary.map(|bytes| v1::RoomSummary::decode(&bytes?[..]).ok()).unwrap_or_default();
        room.draft = redact::text(&room.draft);
        Some(room.encode_to_vec())
    }
}

impl Client {
    pub(super) fn store(&mut self, key: String, value: Vec<u8>) {
        if !self.stored.contains(&key) {
            self.stored.insert(key.clone());
        }
        self.outbox.effect(Effect::Persist { key, value: Some(value) });
    }

    pub(super) fn forget_record(&mut self, key: &str) {
        if self.stored.remove(key) {
            self.outbox.effect(Effect::Persist { key: key.to_string(), value: None });
        }
    }

    pub(super) fn save_meta(&mut self) {
        let (user, user_name) = match &self.user {
            Some(user) => (user.id.as_str().to_string(), user.name.clone()),
            None => Default::default(),
        };
        let client_id = self.client_id.0;
        let meta =
            StoredMeta { layout: LAYOUT, client_id, reserved: self.counter.reserved(), user, user_name };
        self.store(META.to_string(), meta.encode_to_vec());
    }

    pub(super) fn save_op(&mut self, id: crate::OpId) {
        if let Some(op) = self.pending.get(id) {
            let record = op.encode();
            self.store(pending::key(id), record);
        }
    }

    /// Writes a room's records, or deletes them where nothing is worth keeping.
    pub(super) fn save(&mut self, id: &RoomId) {
        let Some(room) = self.rooms.get_mut(id) else { return };
        room.dirty_since = None;
        let held = match &room.content {
            Content::Unloaded => None,
            Content::Cached(cached) => Some(Cached::clone(cached)),
            Content::Background(background) => {
                Some(Cached { summary: background.light.summary(id), base: background.base.clone() })
            }
            Content::Active(active) if active.is_loaded() => {
                let summary = v1::RoomSummary { user_count: active.user_count, ..active.state.summary() };
                let base = Some(Base::of(&active.state, active.user_count));
                Some(Cached { summary, base })
            }
            Content::Active(active) => active.before.as_deref().cloned(),
        };
        let held = held.filter(|held| held.base.is_some());
        let position = held.as_ref().and_then(|held| held.base.as_ref()).map(|base| base.position);
        if held.is_none() && !room.has_ui_state() {
            room.stored_at = None;
            self.forget_record(&key(SNAPSHOT, id));
            return self.forget_record(&key(ROOM, id));
        }
        let is_new = core::mem::replace(&mut room.stored_at, position) != position;
        let (summary, base) = held.map(|held| (short(held.summary), held.base)).unwrap_or_default();
        let record = StoredRoom {
            layout: LAYOUT,
            summary: base.is_some().then_some(summary),
            base: position.map(Position::wire),
            digest: base.as_ref().map_or(0, |base| base.digest),
            draft: room.draft.clone(),
            scroll: room.scroll.clone(),
        };
        match base.and_then(|base| base.packed) {
            Some(packed) if is_new => self.store(key(SNAPSHOT, id), packed.to_vec()),
            None if position.is_none() => self.forget_record(&key(SNAPSHOT, id)),
            Some(_) | None => {}
        }
        self.store(key(ROOM, id), record.encode_to_vec());
    }

    /// Asks the host for a room's snapshot.
    pub(super) fn load(&mut self, id: &RoomId, now: Millis) {
        self.room_mut(id).loading = Some(now);
        self.outbox.effect(Effect::Load { key: key(SNAPSHOT, id) });
    }

    pub(super) fn take_loaded(&mut self, key: &str, bytes: Option<&[u8]>, now: Millis) {
        if let Some(Ok(id)) = key.strip_prefix(SNAPSHOT).map(RoomId::new) {
            self.loaded(&id, bytes, now);
        }
    }

    /// The snapshot is there, or will not be: the room goes on from it, or is loaded afresh.
    pub(super) fn loaded(&mut self, id: &RoomId, bytes: Option<&[u8]>, now: Millis) {
        let Some(room) = self.rooms.get_mut(id) else { return };
        if room.loading.take().is_none() {
            return;
        }
        let Content::Active(active) = &mut room.content else { return };
        let mut full_size = 0;
        let opened = bytes.map(|bytes| {
            let read = compress::read(id, bytes)?;
            full_size = read.original_size;
            compress::open(id, &read)
        });
        let refused = opened.as_ref().and_then(|opened| opened.as_ref().err()).copied();
        match opened {
            Some(Ok(state)) => {
                active.state = state;
                active.before = None;
                room.full_size = full_size;
                room.synced = Synced::Stale;
                room.messages = room.messages.max(room.content.messages());
                self.outbox.room(id, RoomChange::Reset);
                self.confirm_shown(id);
                self.inbox_replaced(id);
            }
            Some(Err(_)) | None => {
                if let Some(before) = &mut active.before {
                    before.base = None;
                }
                room.stored_at = None;
                self.forget_record(&key(SNAPSHOT, id));
            }
        }
        if let Some(code) = refused {
            self.room_mut(id).reset = Some(code);
            self.outbox.event(Event::Error { code, room: Some(id.clone()), reason: String::new() });
        }
        self.tell(id, now);
    }

    pub(super) fn save_deadline(&self) -> Option<Millis> {
        let since = self.first_at(List::Dirty);
        since.map(|since| since + self.config.save_interval).into_iter().chain(self.model_deadline()).min()
    }

    pub(super) fn save_timeout(&mut self, now: Millis) {
        if let Some(since) = now.0.checked_sub(self.config.save_interval) {
            self.listed_until(List::Dirty, Millis(since)).iter().for_each(|id| self.save(id));
        }
        self.save_model(now);
    }

    pub(super) fn take_records(&mut self, records: impl Iterator<Item = (String, Vec<u8>)>, now: Millis) {
        let (mut ops, mut model) = (Vec::new(), None);
        for (key, value) in records {
            if key == META {
                self.take_meta(&value);
            } else if key == NAVIGATION {
                self.take_navigation(&value);
            } else if key == MODEL {
                model = Some(value);
            } else if key.starts_with(OP) {
                ops.extend(PendingOp::decode(&value).ok());
            } else if let Some(id) = key.strip_prefix(ROOM)
                && let Ok(id) = RoomId::new(id)
            {
                self.take_room(&id, &value, now);
            }
            // A snapshot waits until its room is opened.
            // Also what could not be read is deleted at logout.
            self.stored.insert(key);
        }
        if let Some(model) = model {
            self.take_model(&model, now);
        }
        self.take_ops(ops);
        self.open_inbox(now);
        let ids: Vec<RoomId> = self.rooms.keys().cloned().collect();
        ids.iter().for_each(|id| self.confirm_shown(id));
        self.relist_all();
        self.trim_cache(now);
    }

    fn take_meta(&mut self, bytes: &[u8]) {
        let Ok(meta) = StoredMeta::decode(bytes) else { return };
        // Numbers that were given out already can't be changed.
        if meta.layout != LAYOUT || meta.client_id == 0 || self.counter.reserved() > 0 {
            return;
        }
        self.client_id = ClientId(meta.client_id);
        self.counter = Counter::after(meta.reserved);
        if let Ok(id) = UserId::new(&meta.user) {
            self.user = Some(User::new(id, meta.user_name));
            self.outbox.connection();
        }
    }

    fn take_room(&mut self, id: &RoomId, bytes: &[u8], now: Millis) {
        let Ok(stored) = StoredRoom::decode(bytes) else { return };
        if stored.layout != LAYOUT {
            return;
        }
        let room = self.rooms.get_or_default(id);
        if !room.has_ui_state() {
            (room.draft, room.scroll) = (stored.draft, stored.scroll);
        }
        let Some(position) = stored.base.map(Position::from) else { return };
        room.stored_at = Some(position);
        let base = Some(Base { position, digest: stored.digest, packed: None });
        let cached = Box::new(Cached { summary: stored.summary.unwrap_or_default(), base });
        match &mut room.content {
            Content::Unloaded => {
                room.messages = room.messages.max(cached.summary.messages);
                room.content = Content::Cached(cached);
                (room.reason, room.since, room.synced) = (TierReason::Restored, now, Synced::Ready);
                self.enter_cache(id, now);
            }
            // It was opened before the records were there.
            Content::Active(active) if !active.is_loaded() => {
                active.before = Some(cached);
                (room.told, room.asked, room.parts) = (None, None, None);
                self.load(id, now);
            }
            Content::Active(_) | Content::Background(_) | Content::Cached(_) => {}
        }
        self.outbox.room(id, RoomChange::Reset);
    }

    fn take_ops(&mut self, ops: Vec<PendingOp>) {
        let ops = sorted(ops, |a, b| a.id < b.id);
        if let Some(last) = ops.last()
            && self.counter.reserved() < last.id.counter
        {
            // The record of the numbers is lost; the operations tell enough.
            self.client_id = last.id.client;
            self.counter = Counter::after(last.id.counter);
        }
        for op in ops {
            self.foresee(&op.room, &op.body);
            if let Body::SetReadMarker(marker) = &op.body
                && let Ok(target) = RoomId::new(&marker.room_id)
            {
                let known = self.markers.entry(target).or_default();
                known.ordinal = known.ordinal.max(marker.ordinal);
            }
            self.room_mut(&op.room);
            self.outbox.room(&op.room, RoomChange::Pending);
            self.pending.push(op);
        }
    }

    /// Notes who the server says we are. Returns whether the connection can be used.
    pub(super) fn adopt_user(&mut self, id: UserId, name: String, now: Millis) -> bool {
        let is_other = self.user.as_ref().is_some_and(|user| user.id != id);
        let is_renamed = self.user.as_ref().is_none_or(|user| user.name != name);
        if is_other && self.pending.has_unsent() {
            // What one user has written is not sent in the name of another, and not thrown away: logout decides.
            self.hang_up(Code::ClientIdTaken, "another user", now);
            self.fail(Code::ClientIdTaken);
            return false;
        }
        if is_other {
            // What one user may read is not shown to another. The hello spoke of it, so there is a new one.
            self.hang_up(Code::ClientIdTaken, "another user", now);
            self.forget_everything(now);
        }
        self.user = Some(User::new(id, name));
        if is_other || is_renamed {
            self.save_meta();
        }
        !is_other
    }

    /// Deletes every record, and all that is held but what the app has asked to see.
    pub(super) fn forget_everything(&mut self, now: Millis) {
        for key in core::mem::take(&mut self.stored) {
            self.outbox.effect(Effect::Persist { key, value: None });
        }
        self.user = None;
        self.pending = Pending::default();
        self.markers.clear();
        self.client_id = ClientId(self.rng.id53());
        self.counter = Counter::after(0);
        self.list.forget();
        self.forget_navigation();
        let rooms = core::mem::take(&mut self.rooms);
        // Whoever makes room in the cache must find no room there that is not held.
        self.reset_cache(now);
        for (id, room) in rooms.iter() {
            self.outbox.room(id, RoomChange::Reset);
            if room.holders > 0 {
                let held = self.room_mut(id);
                (held.holders, held.since) = (room.holders, now);
                self.change_tier(id, Tier::Active, TierReason::Acquired, now);
            }
        }
    }

    pub(super) fn log_out(&mut self, now: Millis) {
        self.hang_up_for_good();
        self.forget_everything(now);
        self.link.forget_token();
        self.enter(Phase::Idle);
    }

    /// The user's inbox is live whenever the user is known.
    pub(super) fn open_inbox(&mut self, now: Millis) {
        if let Some(inbox) = self.own_inbox().cloned() {
            self.change_tier(&inbox, Tier::Active, TierReason::OwnInbox, now);
        }
    }
}

fn key(kind: &str, id: &RoomId) -> String {
    let mut key = String::from(kind);
    key.push_str(id.as_str());
    key
}
