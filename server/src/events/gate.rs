use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Whether entries may be written: not while the outbox is full, because what nobody takes out must not grow for ever.
///
/// Rooms ask it before each append, and refuse with a code that says *later*.
#[derive(Debug)]
pub struct Gate {
    bound: u64,
    waiting: AtomicU64,
    full: AtomicBool,
}

impl Gate {
    /// Entries that may wait to go out, on all nodes together. Beyond, writes are refused.
    pub fn new(bound: u64) -> Gate {
        Gate { bound, waiting: AtomicU64::new(0), full: AtomicBool::new(false) }
    }

    /// One that is always open.
    pub fn open() -> Gate {
        Gate::new(u64::MAX)
    }

    /// Whether writes are refused now.
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Entries that wait to go out, as was seen last.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// So many entries wait. Once closed it opens at nine tenths of the bound, so that it does not flutter.
    pub(super) fn set_waiting(&self, waiting: u64) {
        self.waiting.store(waiting, Ordering::Relaxed);
        let was_full = self.is_full();
        let is_full = if was_full { waiting > self.bound / 10 * 9 } else { waiting >= self.bound };
        self.full.store(is_full, Ordering::Relaxed);
        metrics::gauge!("enfilade_events_waiting").set(waiting as f64);
        metrics::gauge!("enfilade_events_full").set(f64::from(u8::from(is_full)));
        match (was_full, is_full) {
            (false, true) => tracing::error!(
                waiting,
                bound = self.bound,
                "THE OUTBOX IS FULL: writes are refused until events go out again; see to what events.kind names"
            ),
            (true, false) => tracing::info!(waiting, "the outbox has room again: writes are taken"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_closes_at_its_bound_and_opens_well_below() {
        let gate = Gate::new(1_000);
        gate.set_waiting(999);
        assert!(!gate.is_full());
        gate.set_waiting(1_000);
        assert!(gate.is_full());
        gate.set_waiting(950);
        assert!(gate.is_full(), "it does not flutter");
        gate.set_waiting(900);
        assert!(!gate.is_full());
        assert_eq!(gate.waiting(), 900);
    }

    #[test]
    fn an_open_gate_never_closes() {
        let gate = Gate::open();
        gate.set_waiting(u64::MAX - 1);
        assert!(!gate.is_full());
    }
}
