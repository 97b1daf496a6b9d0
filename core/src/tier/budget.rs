//! What a room may take in each tier: bytes of the client's memory, and bytes a second of its connection.

use super::Tier;
use crate::{Millis, v1};

/// What a room may take in one tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Bytes in the client's memory.
    pub memory: u64,
    /// Bytes a second; in Cached, bytes a heartbeat.
    pub bandwidth: u64,
}

/// The budgets of all four tiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budgets([Budget; 4]);

impl Default for Budgets {
    fn default() -> Budgets {
        let budget = |memory, bandwidth| Budget { memory, bandwidth };
        Budgets([
            budget(128, 0),
            budget(4 * 1024, 64),
            budget(256 * 1024, 2 * 1024),
            budget(10 * 1024 * 1024, 256 * 1024),
        ])
    }
}

impl Budgets {
    /// The budget of a tier.
    pub fn of(&self, tier: Tier) -> Budget {
        self.0[tier as usize]
    }

    /// Sets the budget of a tier.
    pub fn set(&mut self, tier: Tier, budget: Budget) {
        self.0[tier as usize] = budget;
    }

    /// The protobuf form.
    pub fn wire(&self) -> alloc::vec::Vec<v1::TierBudget> {
        let wire = |tier: Tier| {
            let Budget { memory, bandwidth } = self.of(tier);
            v1::TierBudget { tier: tier.wire().into(), memory, bandwidth }
        };
        Tier::ALL.map(wire).into()
    }

    /// What [`wire`](Budgets::wire) has written; tiers that are missing have their defaults.
    pub fn read(wire: &[v1::TierBudget]) -> Budgets {
        let mut budgets = Budgets::default();
        for v1::TierBudget { tier, memory, bandwidth } in wire {
            if let Some(tier) = Tier::from_wire(*tier) {
                budgets.set(tier, Budget { memory: *memory, bandwidth: *bandwidth });
            }
        }
        budgets
    }

    /// The smaller of both: a contract that both ends keep. A zero is no limit of the server's, but for Unloaded.
    pub fn within(mut self, others: &[v1::TierBudget]) -> Budgets {
        for other in others {
            let Some(tier) = Tier::from_wire(other.tier) else { continue };
            let own = &mut self.0[tier as usize];
            let smaller = |own: u64, other: u64| if other == 0 { own } else { own.min(other) };
            own.memory = smaller(own.memory, other.memory);
            own.bandwidth = smaller(own.bandwidth, other.bandwidth);
        }
        self
    }
}

/// Milliseconds over which a bandwidth budget is a mean: a burst is fine, a flood is not.
pub const WINDOW: u64 = 10_000;

/// A token bucket of integers: fills at the budget's rate up to [`WINDOW`] of it. What must go goes into debt.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    /// Bytes a second.
    rate: u64,
    /// Thousandths of a byte.
    level: i64,
    at: Millis,
}

impl Bucket {
    /// A full bucket.
    pub fn new(rate: u64, now: Millis) -> Bucket {
        let mut bucket = Bucket { rate: rate.min(1 << 40), level: 0, at: now };
        bucket.fill();
        bucket
    }

    fn capacity(&self) -> i64 {
        (self.rate * WINDOW) as i64
    }

    /// Forgives all debt.
    pub fn fill(&mut self) {
        self.level = self.capacity();
    }

    /// Lets time pass.
    pub fn pass(&mut self, now: Millis) {
        let elapsed = now.since(self.at).min(WINDOW);
        self.at = self.at.max(now);
        self.level = (self.level + (self.rate * elapsed) as i64).min(self.capacity());
    }

    /// Takes what goes in any case.
    pub fn take(&mut self, bytes: usize) {
        let cost = i64::try_from(bytes).unwrap_or(i64::MAX).saturating_mul(1_000);
        // No single debt takes longer to pay off than ten windows.
        self.level = self.level.saturating_sub(cost).max(-10 * self.capacity());
    }

    /// Takes what is worth nothing later, if at least half of the bucket is left for what must go.
    pub fn take_spare(&mut self, bytes: usize) -> bool {
        let is_spare = self.level - bytes as i64 * 1_000 >= self.capacity() / 2;
        if is_spare {
            self.take(bytes);
        }
        is_spare
    }

    /// Whether more has gone than the budget allows.
    pub fn is_in_debt(&self) -> bool {
        self.level < 0
    }

    /// When the debt will be paid off; `None` where there is none.
    pub fn paid_off(&self) -> Option<Millis> {
        self.is_in_debt().then(|| self.at + (self.level.unsigned_abs()).div_ceil(self.rate.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_lets_a_burst_through_and_holds_the_mean() {
        let mut bucket = Bucket::new(1_000, Millis(0));
        bucket.take(10_000);
        assert!(!bucket.is_in_debt());
        bucket.take(500);
        assert!(bucket.is_in_debt());
        assert_eq!(bucket.paid_off(), Some(Millis(500)));
        bucket.pass(Millis(499));
        assert!(bucket.is_in_debt());
        bucket.pass(Millis(500));
        assert!(!bucket.is_in_debt());
    }

    #[test]
    fn what_is_worth_nothing_later_leaves_half_for_what_must_go() {
        let mut bucket = Bucket::new(1_000, Millis(0));
        let taken = (0..100).filter(|_| bucket.take_spare(100)).count();
        assert_eq!(taken, 50);
        assert!(!bucket.is_in_debt());
    }

    #[test]
    fn any_time_and_any_size_leave_a_bucket_that_recovers() {
        let mut bucket = Bucket::new(u64::MAX, Millis(u64::MAX));
        bucket.take(usize::MAX);
        bucket.pass(Millis(0));
        bucket.pass(Millis(u64::MAX));
        let mut bucket = Bucket::new(1, Millis(0));
        bucket.take(usize::MAX);
        (1..=11).for_each(|window| bucket.pass(Millis(window * WINDOW)));
        assert!(!bucket.is_in_debt());
    }

    #[test]
    fn both_ends_keep_the_smaller_budget() {
        let own = Budgets::default();
        let server = [
            v1::TierBudget { tier: v1::Tier::Active.into(), memory: 1 << 40, bandwidth: 1_000 },
            v1::TierBudget { tier: v1::Tier::Background.into(), memory: 0, bandwidth: 0 },
            v1::TierBudget { tier: 99, memory: 1, bandwidth: 1 },
        ];
        let both = own.within(&server);
        assert_eq!(both.of(Tier::Active), Budget { memory: 10 << 20, bandwidth: 1_000 });
        assert_eq!(both.of(Tier::Background), own.of(Tier::Background));
        assert_eq!(own.within(&own.wire()), own);
        assert_eq!(Budgets::read(&both.wire()), both);
    }
}
