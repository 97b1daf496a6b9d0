//! Cached rooms: what keeps them, which one goes, and why.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::{Client, Explanation};
use crate::cache::{self, Decision, MAX_PRIORITY, PolicyKind, Visits, WhatIf};
use crate::tier::{Tier, TierReason};
use crate::{Millis, RoomId, limits};

/// The record of what was learned.
pub(super) const MODEL: &str = "cache";
/// What was learned is stored this many milliseconds after a visit: losing the last minute's costs nothing.
const MODEL_INTERVAL: u64 = 60_000;

impl Client {
    /// Why a room is held as it is, or went: what keeps it, how it is used, what its terms and its worth are. Of rooms
    /// that went, the last 64 are remembered until the end of the session.
    pub fn explain(&self, room: &RoomId) -> Explanation {
        let tier = self.tier_of(room);
        let pin = match tier {
            Tier::Unloaded => None,
            Tier::Cached => self.pinned(room).map(|reason| Decision::Pinned(tier, reason)),
            Tier::Background | Tier::Active => {
                let reason = self.rooms.get(room).map_or(TierReason::default(), |room| room.reason);
                Some(Decision::Pinned(tier, reason))
            }
        };
        self.cache.explain(room, pin, &|id| self.pinned(id).is_some(), self.now)
    }

    /// The rooms that went lately, the last first, and why.
    pub fn evicted(&self) -> impl Iterator<Item = (&RoomId, &Explanation)> {
        self.cache.evicted()
    }

    /// A dry run over the visits of this session: what a cache of so many rooms with this policy would have made of them.
    pub fn what_if(&self, capacity: usize, policy: PolicyKind) -> WhatIf {
        self.cache.visits().what_if(capacity, policy)
    }

    /// The last visits of this session, as numbers that stand for rooms: for a dry run elsewhere.
    pub fn visits(&self) -> &Visits {
        self.cache.visits()
    }

    /// Forgets how rooms were used, here and in the host's storage. What is held stays.
    pub fn forget_visits(&mut self, now: Millis) {
        let now = self.tick(now);
        self.reset_cache(now);
        self.forget_record(MODEL);
    }

    pub(super) fn reset_cache(&mut self, now: Millis) {
        let config = &self.config;
        self.cache = cache::Cache::new(config.cache_policy, config.cached_rooms, config.cached_for);
        self.model_dirty_since = None;
        self.cache_is_kept = false;
        let cached: Vec<RoomId> = self
            .rooms
            .iter()
            .filter(|(_, room)| room.tier() == Tier::Cached)
            .map(|(id, _)| id.clone())
            .collect();
        cached.iter().for_each(|id| self.enter_cache(id, now));
        self.relist_all();
    }

    pub(super) fn tier_of(&self, id: &RoomId) -> Tier {
        self.rooms.get(id).map_or(Tier::Unloaded, |room| room.tier())
    }

    /// Somebody has opened a room that nobody had open.
    pub(super) fn note_visit(&mut self, id: &RoomId, now: Millis) {
        if !self.is_own_inbox(id) {
            let is_held = self.tier_of(id) > Tier::Unloaded;
            self.cache.visit(id, is_held, now);
            self.model_dirty_since.get_or_insert(now);
        }
    }

    pub(super) fn enter_cache(&mut self, id: &RoomId, now: Millis) {
        let priority = self.priority(id, now);
        self.cache.admit(id, priority, now);
    }

    /// How much a room matters to its user, 0 to 10: 4 if it has a mention that was not read, 2 if it has anything else
    /// unread, 3 if it is followed, 2 if it was visited in the last hour or 1 in the last day, and 1 if something typed is
    /// waiting in it.
    fn priority(&self, id: &RoomId, now: Millis) -> u8 {
        let news = match (self.mentions(id), self.unread(id)) {
            (1.., _) => 4,
            (0, 1..) => 2,
            (0, 0) => 0,
        };
        let recency = match self.cache.access(id).last.map(|last| now.since(last)) {
            Some(0..3_600_000) => 2,
            Some(3_600_000..86_400_000) => 1,
            Some(86_400_000..) | None => 0,
        };
        let followed = if self.is_following(id) { 3 } else { 0 };
        (news + recency + followed + u8::from(!self.draft(id).is_empty())).min(MAX_PRIORITY)
    }

    /// What matters about a room has changed.
    pub(super) fn weigh(&mut self, id: &RoomId) {
        if self.cache.contains(id) {
            let priority = self.priority(id, self.now);
            self.cache.set_priority(id, priority);
        }
    }

    /// Why a room is not dropped from the cache, if something keeps it.
    pub(super) fn keeps(&self, id: &RoomId) -> Option<TierReason> {
        let room = self.rooms.get(id)?;
        if self.pending.of(id).next().is_some() {
            Some(TierReason::UnsentKept)
        } else if room.holders > 0 || room.is_fixed {
            Some(room.reason)
        } else if self.unread(id) > 0 {
            Some(TierReason::UnreadKept)
        } else {
            None
        }
    }

    /// The same against eviction: past the protocol's bound, unread rooms go as well.
    pub(super) fn pinned(&self, id: &RoomId) -> Option<TierReason> {
        let is_full = self.cache.len() > limits::CACHED_ROOMS;
        self.keeps(id).filter(|reason| *reason != TierReason::UnreadKept || !is_full)
    }

    /// Drops Cached rooms, one at a time, until there are as few as there should be. Where everything is kept, there are
    /// more.
    pub(super) fn trim_cache(&mut self, now: Millis) {
        while self.cache.is_over() {
            self.relist();
            if self.cache_is_kept {
                return;
            }
            let Some(victim) = self.cache.victim(&|id| self.pinned(id).is_some()).cloned() else {
                self.cache_is_kept = true;
                return;
            };
            self.change_tier(&victim, Tier::Unloaded, TierReason::CacheFull, now);
        }
    }

    pub(super) fn model_deadline(&self) -> Option<Millis> {
        self.model_dirty_since.map(|since| since + MODEL_INTERVAL)
    }

    pub(super) fn save_model(&mut self, now: Millis) {
        if self.model_deadline().is_some_and(|due| due <= now) {
            self.model_dirty_since = None;
            let model = self.cache.export();
            self.store(MODEL.to_string(), model);
        }
    }

    /// Takes in what was learned in earlier sessions. What is damaged is said, and left out: learning starts afresh.
    pub(super) fn take_model(&mut self, bytes: &[u8], now: Millis) {
        if let Err(code) = self.cache.import(bytes, now) {
            self.outbox.event(super::Event::Error { code, room: None, reason: String::new() });
        }
    }
}
