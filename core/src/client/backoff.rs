use crate::{Millis, Rng};

/// When the next connection attempt may be made: full jitter over a window that doubles, within what the server asks
/// for and what we allow it to ask for.
#[derive(Debug)]
pub(super) struct Backoff {
    min: u64,
    max: u64,
    /// Attempts since a connection last proved stable.
    attempts: u32,
    last_attempt: Option<Millis>,
    /// The server has asked not to be called before this.
    advised: Millis,
}

/// The window before a server has set one: a restarted server is found within a second, an absent one is not pestered.
pub(super) const DEFAULT_WINDOW: (u64, u64) = (500, 20_000);
/// No server can make us call more often than this.
const MIN_FLOOR: u64 = 250;
/// No server can keep the window from opening at least this far.
const MAX_FLOOR: u64 = 5_000;
/// No server can send us away for longer than this.
const CEILING: u64 = 10 * 60_000;
/// A connection that lasted this long was worth having. A shorter one counts as a failed attempt, so a server that
/// welcomes and closes is not called more often than one that refuses.
pub(super) const STABLE_AFTER: u64 = 10_000;

impl Backoff {
    pub(super) fn new() -> Backoff {
        let (min, max) = DEFAULT_WINDOW;
        Backoff { min, max, attempts: 0, last_attempt: None, advised: Millis(0) }
    }

    /// The server sets the window. Zeros leave it as it is.
    pub(super) fn set_window(&mut self, min: u64, max: u64) {
        if min > 0 {
            self.min = min.clamp(MIN_FLOOR, CEILING);
        }
        if max > 0 {
            self.max = max;
        }
        self.max = self.max.clamp(self.min.max(MAX_FLOOR), CEILING);
    }

    /// The server asks to wait. Everybody was told the same, so some jitter goes on top.
    pub(super) fn advise(&mut self, wait: u64, rng: &mut Rng, now: Millis) {
        let wait = wait.min(CEILING);
        self.advised = self.advised.max(now + wait + rng.below(self.min.max(wait / 2)));
    }

    pub(super) fn attempt(&mut self, now: Millis) {
        self.attempts = self.attempts.saturating_add(1);
        self.last_attempt = Some(now);
    }

    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Forgets the failures: the connection was stable, or the network is another one now.
    pub(super) fn reset(&mut self) {
        self.attempts = 0;
    }

    /// The time of the next attempt after a failure.
    pub(super) fn next(&self, rng: &mut Rng, now: Millis) -> Millis {
        let widest = self.min.saturating_mul(1 << self.attempts.clamp(1, 16)).min(self.max);
        let wait = self.min + rng.below(widest.saturating_sub(self.min) + 1);
        self.earliest().max(now + wait)
    }

    /// Before this there is no attempt, whoever asks.
    pub(super) fn earliest(&self) -> Millis {
        let spaced = self.last_attempt.map_or(Millis(0), |last| last + self.min);
        spaced.max(self.advised)
    }

    /// The wait without a network, in case nobody tells when it is back.
    pub(super) fn longest(&self) -> u64 {
        self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_within_the_window_and_is_spread_over_it() {
        let mut backoff = Backoff::new();
        let mut rng = Rng::new(1);
        for attempt in 1..40 {
            backoff.attempt(Millis(0));
            let widest = (500u64 << attempt.min(16)).min(20_000);
            let waits: alloc::vec::Vec<u64> = (0..200).map(|_| backoff.next(&mut rng, Millis(0)).0).collect();
            assert!(waits.iter().all(|wait| (500..=widest).contains(wait)));
            let middle = (500 + widest) / 2;
            assert!(waits.iter().any(|wait| *wait < middle) && waits.iter().any(|wait| *wait > middle));
        }
    }

    #[test]
    fn no_server_can_set_a_window_without_bounds() {
        let mut backoff = Backoff::new();
        backoff.set_window(1, 1);
        assert_eq!((backoff.min, backoff.max), (MIN_FLOOR, MAX_FLOOR));
        backoff.set_window(u64::MAX, u64::MAX);
        assert_eq!((backoff.min, backoff.max), (CEILING, CEILING));
        backoff.advise(u64::MAX, &mut Rng::new(1), Millis(0));
        assert!(backoff.earliest().0 <= CEILING * 2);
    }
}
