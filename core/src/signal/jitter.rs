/// Arrivals that are looked back on: some seconds of playing.
const ARRIVALS: usize = 32;
/// Milliseconds added to the worst of them.
const MARGIN: u64 = 4;
/// Milliseconds of the shortest delay: one frame of a screen, so that what was struck together sounds together.
const SHORTEST: u64 = 16;
/// Milliseconds of the longest delay. Beyond, playing together is no longer possible, and late notes are dropped.
const LONGEST: u64 = 250;
/// Milliseconds after its time at which a note still makes sense.
const GRACE: u64 = 50;

/// How long timed signals are held back, so that they are played with the spacing at which they happened.
///
/// A signal that happened at `at` is played at `at + delay`. The delay is the worst lateness of the last 32 arrivals and
/// a margin; it rises at once and falls by a millisecond an arrival, so that playing never stumbles to catch up.
#[derive(Clone, Debug)]
pub struct Jitter {
    delay: u64,
    lateness: [u64; ARRIVALS],
    arrivals: usize,
}

impl Default for Jitter {
    fn default() -> Jitter {
        Jitter { delay: SHORTEST, lateness: [0; ARRIVALS], arrivals: 0 }
    }
}

impl Jitter {
    /// Takes note that a signal came so many milliseconds after it happened, and says whether it can still be played:
    /// not if it is later than the delay, by more than 50 ms.
    pub fn arrived(&mut self, lateness: u64) -> bool {
        let in_time = lateness <= self.delay + GRACE;
        self.lateness[self.arrivals % ARRIVALS] = lateness.min(LONGEST);
        self.arrivals += 1;
        let worst = self.lateness.iter().max().copied().unwrap_or(0);
        let wanted = (worst + MARGIN).clamp(SHORTEST, LONGEST);
        self.delay = if wanted > self.delay { wanted } else { self.delay.saturating_sub(1).max(wanted) };
        in_time
    }

    /// Milliseconds between the time of a signal and its playing.
    pub fn delay(&self) -> u64 {
        self.delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_rises_at_once_and_falls_slowly() {
        let mut jitter = Jitter::default();
        assert!(jitter.arrived(5));
        assert_eq!(jitter.delay(), SHORTEST);
        assert!(jitter.arrived(60));
        assert_eq!(jitter.delay(), 64);
        (0..ARRIVALS).for_each(|_| assert!(jitter.arrived(5)));
        assert_eq!(jitter.delay(), 63, "once the worst is out of sight");
        (0..100).for_each(|_| assert!(jitter.arrived(5)));
        assert_eq!(jitter.delay(), SHORTEST);
    }

    #[test]
    fn what_comes_far_too_late_is_not_played_and_the_delay_has_an_end() {
        let mut jitter = Jitter::default();
        assert!(!jitter.arrived(SHORTEST + GRACE + 1));
        assert!(!jitter.arrived(u64::MAX - 1_000));
        assert_eq!(jitter.delay(), LONGEST);
    }
}
