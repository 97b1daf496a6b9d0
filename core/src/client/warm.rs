//! Rooms that are fetched before anybody asks for them, because they are likely to be next.
//!
//! ```text
//!  acquire ──► Predictor ──► the likeliest that is not held ──► Cache: is it worth a place?
//!                                                                     │ yes
//!      opens at once ◄── Cached, with a snapshot ◄── BULK_SYNC ◄── SetTier { Cached, warm_up }
//! ```
//!
//! One at a time, and only while nothing that people wait for is on its way. The user is not shown as present in a room
//! that is warmed up. What fails is counted and left alone.

use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::bench::short;
use super::content::{Base, Content};
use super::index::List;
use super::sync::Head;
use super::{Client, Event, RoomChange};
use crate::cache::Confidence;
use crate::predict::{Bounds, Prediction, Predictor};
use crate::tier::{Tier, TierReason};
use crate::traffic::Kind;
use crate::{Code, Millis, Retry, RoomId, limits, v1};

/// What was learned of the user's navigation.
pub(super) const NAVIGATION: &str = "navigation";
/// The record is up to 256 kB, so it is written at most once a minute, and when the app goes to the background.
const SAVE_INTERVAL: u64 = 60_000;
/// A room that has not come by then is given up.
const TIMEOUT: u64 = 15_000;
/// What is less likely than one in fifty is not worth its bytes.
const LEAST: u32 = 20_000;
/// Warm-ups that are remembered to be explained.
const REMEMBERED: usize = 32;

/// What became of a warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WarmUp {
    /// The room is being fetched.
    Asked,
    /// It is held, and opens at once.
    Ready,
    /// It was opened, and had been fetched in time.
    Used,
    /// It was opened before it was there.
    Late,
    /// It was dropped without having been opened.
    Wasted,
    /// It could not be fetched.
    Failed(Code),
}

impl WarmUp {
    /// The stable name, in snake case.
    pub fn name(self) -> &'static str {
        match self {
            WarmUp::Asked => "asked",
            WarmUp::Ready => "ready",
            WarmUp::Used => "used",
            WarmUp::Late => "late",
            WarmUp::Wasted => "wasted",
            WarmUp::Failed(_) => "failed",
        }
    }
}

/// A room that was warmed up, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warmed {
    /// Which room, how likely it was, and what said so.
    pub prediction: Prediction,
    /// Where the user was.
    pub after: RoomId,
    /// Where the user had been before.
    pub before: Option<RoomId>,
    /// When.
    pub at: Millis,
    /// What became of it.
    pub outcome: WarmUp,
}

/// What warm-ups have come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WarmUpCounters {
    /// Rooms that were asked for.
    pub asked: u64,
    /// Rooms that were opened and had been fetched in time.
    pub used: u64,
    /// Rooms that were dropped without having been opened.
    pub wasted: u64,
    /// Rooms that could not be fetched.
    pub failed: u64,
}

#[derive(Debug)]
pub(super) struct Warming {
    predictor: Predictor,
    /// Where the user is, and was before.
    trail: [Option<RoomId>; 2],
    /// Fetches that are left until the next navigation.
    left: u32,
    /// What the server allows for each.
    pub(super) allowed: u32,
    asked: Option<(RoomId, Millis)>,
    /// Since when the record is older than what was learned.
    changed: Option<Millis>,
    remembered: VecDeque<Warmed>,
    counters: WarmUpCounters,
}

impl Warming {
    pub(super) fn new() -> Warming {
        Warming {
            predictor: Predictor::new(Bounds::default()),
            trail: [None, None],
            left: 0,
            allowed: limits::WARM_UP,
            asked: None,
            changed: None,
            remembered: VecDeque::new(),
            counters: WarmUpCounters::default(),
        }
    }

    pub(super) fn is_asking(&self, id: &RoomId) -> bool {
        self.asked.as_ref().is_some_and(|(asked, _)| asked == id)
    }

    /// Notes what has become of a room's warm-up, if it is open.
    fn note(&mut self, id: &RoomId, outcome: WarmUp) {
        let is_open = |warmed: &&mut Warmed| {
            warmed.prediction.room == *id && matches!(warmed.outcome, WarmUp::Asked | WarmUp::Ready)
        };
        if let Some(warmed) = self.remembered.iter_mut().rev().find(is_open) {
            warmed.outcome = outcome;
            match outcome {
                WarmUp::Used => self.counters.used += 1,
                WarmUp::Wasted => self.counters.wasted += 1,
                WarmUp::Failed(_) => self.counters.failed += 1,
                WarmUp::Asked | WarmUp::Ready | WarmUp::Late => {}
            }
        }
    }
}

impl Client {
    /// Rooms that were warmed up lately, the last one last: why, and what has become of it.
    pub fn warmed(&self) -> impl Iterator<Item = &Warmed> {
        self.warming.remembered.iter()
    }

    /// What all warm-ups have come to.
    pub fn warm_ups(&self) -> WarmUpCounters {
        self.warming.counters
    }

    /// The rooms that are likeliest to be opened next, the likeliest first, held ones too.
    pub fn predictions(&self, count: usize) -> Vec<Prediction> {
        self.warming.predictor.predict(count, |_| false)
    }

    /// Warms up so many rooms now, as far as rooms are likely, the server allows it, and there is nothing else to do.
    pub fn warm_up(&mut self, count: u32, now: Millis) {
        let now = self.tick(now);
        self.warming.left = count.min(self.warming.allowed);
        self.warm(now);
    }

    /// What was learned of the user's navigation, as bytes.
    pub fn export_navigation(&self) -> Vec<u8> {
        self.warming.predictor.export()
    }

    /// Takes in what [`export_navigation`](Client::export_navigation) gave, on this device or another, in place of what
    /// was learned here.
    ///
    /// # Errors
    /// [`Code::ModelDamaged`] when it can't be read; learning starts afresh then.
    pub fn import_navigation(&mut self, bytes: &[u8], now: Millis) -> Result<(), Code> {
        let now = self.tick(now);
        self.warming.changed.get_or_insert(now);
        self.warming.predictor.import(bytes)
    }

    /// Forgets the user's navigation, here and in the host's storage.
    pub fn erase_navigation(&mut self) {
        self.forget_navigation();
        self.forget_record(NAVIGATION);
    }

    pub(super) fn forget_navigation(&mut self) {
        let allowed = self.warming.allowed;
        self.warming = Warming { allowed, ..Warming::new() };
    }

    /// The user goes to a room that nothing holds yet.
    pub(super) fn navigated(&mut self, id: &RoomId, now: Millis) {
        if id.inbox_owner().is_some() {
            return;
        }
        let warming = &mut self.warming;
        let was_asked = warming.is_asking(id);
        if was_asked {
            warming.asked = None;
        }
        warming.note(id, if was_asked { WarmUp::Late } else { WarmUp::Used });
        if warming.trail[0].as_ref() != Some(id) {
            warming.trail.swap(0, 1);
            warming.trail[0] = Some(id.clone());
            warming.predictor.visit(id);
            warming.changed.get_or_insert(now);
            warming.left = self.config.warm_up.min(warming.allowed);
        }
    }

    /// Fetches the next room, if there is one to fetch and nothing else to do.
    pub(super) fn warm(&mut self, now: Millis) {
        let idle = self.warming.left > 0 && self.warming.asked.is_none() && self.link.is_online();
        if !idle || self.link.in_background {
            return;
        }
        self.relist();
        if self.is_busy() {
            return;
        }
        let likely = self.warming.predictor.predict(1, |name| self.is_not_to_be_warmed(name));
        let prediction = likely.into_iter().next().filter(|likely| likely.confidence >= LEAST);
        let (Some(prediction), Some(after)) = (prediction, self.warming.trail[0].clone()) else {
            self.warming.left = 0;
            return;
        };
        let id = prediction.room.clone();
        let warming = &mut self.warming;
        warming.left -= 1;
        // Where every place is taken, it must be likelier to be used than the weakest there.
        if !self.cache.admit_prefetched(&id, Confidence::of_chance(prediction.confidence), now) {
            return;
        }
        warming.counters.asked += 1;
        warming.asked = Some((id.clone(), now));
        if warming.remembered.len() == REMEMBERED {
            warming.remembered.pop_front();
        }
        let before = warming.trail[1].clone();
        warming.remembered.push_back(Warmed { prediction, after, before, at: now, outcome: WarmUp::Asked });
        self.change_tier(&id, Tier::Cached, TierReason::Predicted, now);
    }

    /// Whether something is on its way that somebody waits for.
    fn is_busy(&self) -> bool {
        self.pending.has_unsent() || self.rooms.count(List::Busy) > 0
    }

    fn is_not_to_be_warmed(&self, name: &str) -> bool {
        let failed = |warmed: &Warmed| {
            warmed.prediction.room.as_str() == name && matches!(warmed.outcome, WarmUp::Failed(_))
        };
        let room = RoomId::new(name).ok().and_then(|id| self.rooms.get(&id));
        room.is_some_and(|room| room.tier() > Tier::Unloaded) || self.warming.remembered.iter().any(failed)
    }

    /// A whole state has come for a room that is warmed up: its snapshot is stored.
    pub(super) fn take_warm_part(
        &mut self,
        id: &RoomId,
        head: Head,
        part: v1::BulkSync,
        bytes: usize,
        now: Millis,
    ) {
        if !self.warming.is_asking(id) {
            return self.ignore(id, Kind::BulkSync);
        }
        let Some(parts) = self.collect(id, head, part, bytes, now) else { return };
        let Ok(state) = parts.state(id) else {
            self.malformed(now);
            return self.end_warm_up(id, WarmUp::Failed(Code::Malformed), now);
        };
        let Some(room) = self.rooms.get_mut(id) else { return };
        room.messages = room.messages.max(state.timeline().head());
        if let Content::Cached(cached) = &mut room.content {
            cached.summary =
                short(v1::RoomSummary { user_count: cached.summary.user_count, ..state.summary() });
            cached.base = Some(Base::of(&state, cached.summary.user_count));
        }
        self.save(id);
        self.unpack(id);
        self.outbox.room(id, RoomChange::Meta);
        self.end_warm_up(id, WarmUp::Ready, now);
    }

    /// The warm-up of this room, if there is one, has come to an end; the next may begin.
    pub(super) fn end_warm_up(&mut self, id: &RoomId, outcome: WarmUp, now: Millis) {
        if !self.warming.is_asking(id) {
            return;
        }
        self.warming.asked = None;
        self.warming.note(id, outcome);
        if let WarmUp::Failed(code) = outcome {
            if code.retry() == Retry::Later {
                self.warming.left = 0;
            }
            self.change_tier(id, Tier::Unloaded, TierReason::CacheExpired, now);
        }
    }

    /// The connection is gone, and what was asked for does not come.
    pub(super) fn stop_warming(&mut self) {
        self.warming.left = 0;
        if let Some((id, _)) = self.warming.asked.clone() {
            self.room_mut(&id).told = None;
            self.end_warm_up(&id, WarmUp::Failed(Code::Overloaded), self.now);
        }
    }

    /// A room is no longer held.
    pub(super) fn unwarmed(&mut self, id: &RoomId) {
        if self.warming.is_asking(id) {
            self.warming.asked = None;
        }
        self.warming.note(id, WarmUp::Wasted);
    }

    pub(super) fn warm_deadline(&self) -> Option<Millis> {
        self.warming.asked.as_ref().map(|(_, since)| *since + TIMEOUT)
    }

    pub(super) fn warm_timeout(&mut self, now: Millis) {
        if let Some((id, since)) = self.warming.asked.clone()
            && since + TIMEOUT <= now
        {
            self.end_warm_up(&id, WarmUp::Failed(Code::Overloaded), now);
        }
        if self.navigation_deadline().is_some_and(|due| due <= now) {
            self.save_navigation();
        }
    }

    pub(super) fn navigation_deadline(&self) -> Option<Millis> {
        self.warming.changed.map(|since| since + SAVE_INTERVAL)
    }

    /// Writes what was learned, if there is anything new.
    pub(super) fn save_navigation(&mut self) {
        if self.warming.changed.take().is_some() {
            self.store(NAVIGATION.to_string(), self.warming.predictor.export());
        }
    }

    /// Takes in the stored record. Where the user has gone since is not forgotten.
    pub(super) fn take_navigation(&mut self, bytes: &[u8]) {
        if let Err(code) = self.warming.predictor.import(bytes) {
            self.outbox.event(Event::Error { code, room: None, reason: String::new() });
        }
        let trail = self.warming.trail.clone();
        self.warming.predictor.extend(trail.iter().rev().flatten());
    }
}
