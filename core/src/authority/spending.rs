//! The budgets of the tiers, as the server keeps them: what waits is gathered, what is worth nothing later is dropped,
//! and who receives more log than a connection should carry is advised to a lower tier.

use super::{Authority, Effect, Lane};
use crate::tier::budget::{Bucket, Budget, Budgets};
use crate::traffic::{Kind, Traffic};
use crate::v1::server_frame::Body as Frame;
use crate::{Code, Millis, Tier, v1};

/// What a room's receivers were sent. All receivers of a tier are sent the same frames, so one bucket a tier is each
/// one's own.
#[derive(Debug)]
pub(super) struct Spending {
    budgets: Budgets,
    active: Bucket,
    background: Bucket,
    pub(super) traffic: Traffic,
}

/// How a room stands in one tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What each receiver may be sent.
    pub budget: Budget,
    /// Receivers.
    pub receivers: usize,
    /// Whether they were sent more than that, over the last seconds.
    pub is_over: bool,
}

impl Spending {
    pub(super) fn new(budgets: Budgets, now: Millis) -> Spending {
        let bucket = |tier| Bucket::new(budgets.of(tier).bandwidth, now);
        Spending {
            budgets,
            active: bucket(Tier::Active),
            background: bucket(Tier::Background),
            traffic: Traffic::default(),
        }
    }

    pub(super) fn pass(&mut self, now: Millis) {
        self.active.pass(now);
        self.background.pass(now);
    }

    fn bucket(&mut self, tier: Tier) -> Option<&mut Bucket> {
        match tier {
            Tier::Active => Some(&mut self.active),
            Tier::Background => Some(&mut self.background),
            Tier::Cached | Tier::Unloaded => None,
        }
    }

    /// When Background receivers may be sent something again; `None` when they may now.
    pub(super) fn background_due(&self) -> Option<Millis> {
        self.background.paid_off()
    }
}

impl Authority {
    /// Sets what a room may take of a connection. The defaults are those of [`Budgets`].
    pub fn set_budgets(&mut self, budgets: Budgets, now: Millis) {
        self.spending = Spending { traffic: self.spending.traffic, ..Spending::new(budgets, now) };
    }

    /// What was sent to all receivers of this room by this node, by kind.
    pub fn traffic(&self) -> &Traffic {
        &self.spending.traffic
    }

    /// How the room stands in a tier.
    pub fn budget(&self, tier: Tier) -> Standing {
        let is_over = match tier {
            Tier::Active => self.spending.active.is_in_debt(),
            Tier::Background => self.spending.background.is_in_debt(),
            Tier::Cached | Tier::Unloaded => false,
        };
        let receivers = self.subscribers.receivers(tier);
        Standing { budget: self.spending.budgets.of(tier), receivers, is_over }
    }

    /// Counts a frame for all receivers of a tier. Returns whether it goes: a signal may not.
    pub(super) fn spend(&mut self, tier: Tier, lane: Lane, frame: &v1::ServerFrame) -> bool {
        let bytes = prost::Message::encoded_len(frame);
        let receivers = self.subscribers.receivers(tier) as u64;
        let Some(bucket) = self.spending.bucket(tier) else { return true };
        let goes = match lane {
            Lane::Signal => bucket.take_spare(bytes),
            Lane::Control | Lane::Log | Lane::State => {
                bucket.take(bytes);
                true
            }
        };
        match (&frame.body, goes) {
            (Some(body), true) => {
                self.spending.traffic.count(Kind::of(body), receivers, receivers * bytes as u64)
            }
            (Some(Frame::Signals(signals)), false) => {
                self.spending.traffic.dropped += signals.signals.len() as u64
            }
            (Some(_) | None, _) => {}
        }
        goes
    }

    /// Advises Active receivers to Background, when the log alone is more than they should be sent. Entries are never
    /// dropped. At most once a window; who stays is advised again.
    pub(super) fn advise_when_over(&mut self) {
        let is_inbox = self.confirmed.id().inbox_owner().is_some();
        if is_inbox || !self.spending.active.is_in_debt() || !self.subscribers.has(Tier::Active) {
            return;
        }
        self.spending.active.fill();
        let code = Code::OverBudget;
        let room = v1::SetTier {
            room_id: self.confirmed.id().as_str().into(),
            tier: Tier::Background.wire().into(),
            reason: code.number(),
            ..Default::default()
        };
        let advice = v1::Advice {
            code: code.number(),
            reason: code.text().into(),
            room: Some(room),
            ..Default::default()
        };
        let frame = alloc::boxed::Box::new(v1::ServerFrame { body: Some(Frame::Advice(advice)) });
        // In order with the entries that were too many.
        self.effects.push_back(Effect::Broadcast { tier: Tier::Active, lane: Lane::Log, frame });
    }
}
