//! What rooms cost: counted as frames come in, and held against the budgets of their tiers.

use super::Client;
use super::event::Event;
use crate::tier::budget::{Budget, WINDOW};
use crate::traffic::{Kind, Traffic};
use crate::v1::server_frame::Body as Frame;
use crate::{Millis, RoomId, Tier};

/// What was received of one room.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Received {
    pub(super) traffic: Traffic,
    /// The current window: since when, and what was pushed in it. Answers are what was asked for, and no part of it.
    since: Millis,
    pushed: u64,
    /// The last full window's bytes a second.
    rate: u64,
}

impl Received {
    fn push(&mut self, bytes: u64, now: Millis) {
        self.roll(now);
        self.pushed += bytes;
    }

    fn roll(&mut self, now: Millis) {
        let elapsed = now.since(self.since);
        if elapsed >= WINDOW {
            self.rate = self.pushed * 1_000 / elapsed;
            (self.since, self.pushed) = (now, 0);
        }
    }

    /// Bytes a second over the last full window, or over this one if it is worse already.
    fn rate(&self) -> u64 {
        self.rate.max(self.pushed * 1_000 / WINDOW)
    }

    /// Another tier has another budget.
    pub(super) fn restart(&mut self, now: Millis) {
        (self.since, self.pushed, self.rate) = (now, 0, 0);
    }
}

/// A room held against the budget of its tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetView {
    /// The tier.
    pub tier: Tier,
    /// What it may take.
    pub budget: Budget,
    /// Bytes in this client's memory.
    pub memory: u64,
    /// Bytes a second that the server has pushed.
    pub bandwidth: u64,
}

impl BudgetView {
    /// Whether the room keeps both budgets.
    pub fn is_within(&self) -> bool {
        // A Cached room's budget is one of heartbeats, of which the server keeps count.
        let bandwidth = if self.tier == Tier::Cached { 0 } else { self.bandwidth };
        self.memory <= self.budget.memory && bandwidth <= self.budget.bandwidth
    }
}

impl Client {
    /// Counts a frame, and for which room it was.
    pub(super) fn count(&mut self, body: &Frame, bytes: usize, now: Millis) {
        let kind = Kind::of(body);
        let bytes = bytes as u64;
        self.link.traffic.count(kind, 1, bytes);
        let (room_id, alias, is_pushed) = match body {
            Frame::RoomStateSync(sync) => (&sync.room_id, sync.alias, sync.tier.is_none()),
            Frame::Signals(signals) => (&signals.room_id, signals.alias, true),
            Frame::Ack(ack) => (&ack.room_id, 0, false),
            Frame::Rejection(rejection) => (&rejection.room_id, 0, false),
            Frame::HistoryPage(page) => (&page.room_id, 0, false),
            Frame::Welcome(_)
            | Frame::Advice(_)
            | Frame::Error(_)
            | Frame::Heartbeat(_)
            | Frame::RoomList(_)
            | Frame::TimeReply(_) => return,
        };
        let named = RoomId::new(room_id).ok();
        let Some(id) = named.as_ref().or_else(|| self.aliases.get(&alias)) else { return };
        let Some(room) = self.rooms.get_mut(id) else { return };
        let received = room.received.get_or_insert_default();
        received.traffic.count(kind, 1, bytes);
        if is_pushed {
            received.push(bytes, now);
        }
    }

    /// Notes something about a room's traffic.
    pub(super) fn note(&mut self, id: &RoomId, note: impl Fn(&mut Traffic)) {
        note(&mut self.link.traffic);
        if let Some(room) = self.rooms.get_mut(id) {
            note(&mut room.received.get_or_insert_default().traffic);
        }
    }

    /// A delta of this many bytes was all that was needed.
    pub(super) fn note_saved(&mut self, id: &RoomId, bytes: usize) {
        let full_size = self.rooms.get(id).map_or(0, |room| room.full_size);
        self.note(id, |traffic| traffic.deltas_saved += full_size.saturating_sub(bytes as u64));
    }

    /// A frame that has no place in the room's tier: as when it was on its way while the tier changed.
    pub(super) fn ignore(&mut self, id: &RoomId, kind: Kind) {
        self.note(id, |traffic| traffic.ignored += 1);
        let tier = self.rooms.get(id).map_or(Tier::Unloaded, |room| room.tier());
        self.outbox.event(Event::Ignored { room: id.clone(), kind, tier });
    }

    /// What was received of all rooms since the client was made.
    pub fn total_traffic(&self) -> &Traffic {
        &self.link.traffic
    }

    /// What was received of a room since it was first held; `None` when nothing was.
    pub fn traffic(&self, room: &RoomId) -> Option<&Traffic> {
        Some(&self.rooms.get(room)?.received.as_ref()?.traffic)
    }

    /// A room's budget, and what it takes; `None` for a room of which nothing is held.
    pub fn budget(&self, room: &RoomId) -> Option<BudgetView> {
        let held = self.rooms.get(room)?;
        let tier = held.tier();
        let bandwidth = held.received.as_ref().map_or(0, |received| received.rate());
        Some(BudgetView { tier, budget: self.link.budgets.of(tier), memory: self.memory(room), bandwidth })
    }
}
