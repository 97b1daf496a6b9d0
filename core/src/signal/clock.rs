use crate::Millis;

/// Samples that are compared: enough for one to have met no queue on its way.
const SAMPLES: usize = 8;
/// Milliseconds between the first samples.
const FIRST_SPACING: u64 = 500;
/// Milliseconds between later ones. Two clocks drift by some milliseconds in that time.
const SPACING: u64 = 30_000;

/// What the server's clock shows, as well as that can be known from here.
///
/// A question and its answer give `offset = server's time - (sent + received) / 2`, wrong by at most half of the round
/// trip, so of the last eight the one with the shortest round trip counts. Nothing is asked until somebody needs it:
/// before that, the time in the welcome serves.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    offset: i64,
    /// (round trip, offset), the newest last; a ring.
    samples: [(u64, i64); SAMPLES],
    taken: usize,
    /// When the next question is due; `None` while nobody needs it.
    due: Option<Millis>,
    asked: Option<Millis>,
}

impl Clock {
    /// The clock as the server's welcome tells it; forgets the samples of an earlier connection.
    pub fn welcomed(&mut self, server: u64, now: Millis) {
        let needed = self.due.is_some() || self.asked.is_some();
        *self = Clock { offset: difference(server, now.0), ..Clock::default() };
        self.due = needed.then_some(now);
    }

    /// Somebody needs the time to be exact: questions are due from now on.
    pub fn need(&mut self, now: Millis) {
        if self.due.is_none() && self.asked.is_none() {
            self.due = Some(now);
        }
    }

    /// When the next question is due.
    pub fn deadline(&self) -> Option<Millis> {
        self.due
    }

    /// What to ask with, if a question is due: our time, which the answer repeats.
    pub fn ask(&mut self, now: Millis) -> Option<u64> {
        self.due.take_if(|due| *due <= now)?;
        self.asked = Some(now);
        Some(now.0)
    }

    /// The answer. One that was not asked for is ignored.
    pub fn answered(&mut self, sent: u64, server: u64, now: Millis) {
        if self.asked != Some(Millis(sent)) {
            return;
        }
        self.asked = None;
        let trip = now.since(Millis(sent));
        self.samples[self.taken % SAMPLES] = (trip, difference(server, sent + trip / 2));
        self.taken += 1;
        let known = &self.samples[..self.taken.min(SAMPLES)];
        if let Some((_, offset)) = known.iter().min_by_key(|(trip, _)| *trip) {
            self.offset = *offset;
        }
        let spacing = if self.taken < SAMPLES { FIRST_SPACING } else { SPACING };
        self.due = Some(now + spacing);
    }

    /// The server's clock minus ours, in milliseconds.
    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// What the server's clock shows at this time of ours.
    pub fn server(&self, now: Millis) -> Millis {
        Millis(now.0.saturating_add_signed(self.offset))
    }

    /// Our time at this time of the server's.
    pub fn local(&self, server: Millis) -> Millis {
        Millis(server.0.saturating_add_signed(self.offset.saturating_neg()))
    }
}

/// Saturating: what a server says may be anything.
fn difference(server: u64, ours: u64) -> i64 {
    if server >= ours {
        i64::try_from(server - ours).unwrap_or(i64::MAX)
    } else {
        i64::try_from(ours - server).map_or(i64::MIN, |behind| -behind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks over a network of these delays, with a server that is 5,000 ms ahead.
    fn sample(clock: &mut Clock, there: u64, back: u64) {
        let due = clock.deadline().unwrap();
        let sent = clock.ask(due).unwrap();
        clock.answered(sent, sent + there + 5_000, Millis(sent + there + back));
    }

    #[test]
    fn the_shortest_round_trip_of_the_last_eight_counts() {
        let mut clock = Clock::default();
        clock.welcomed(6_080, Millis(1_000));
        assert_eq!(clock.offset(), 5_080);
        clock.need(Millis(1_000));
        sample(&mut clock, 90, 10);
        assert_eq!(clock.offset(), 5_040);
        sample(&mut clock, 4, 4);
        assert_eq!(clock.offset(), 5_000);
        (0..7).for_each(|_| sample(&mut clock, 300, 10));
        assert_eq!(clock.offset(), 5_000, "a queue on the way changes nothing");
        sample(&mut clock, 300, 10);
        assert_eq!(clock.offset(), 5_145, "and what is too old counts no longer");
    }

    #[test]
    fn nothing_is_asked_until_it_is_needed_and_then_ever_more_seldom() {
        let mut clock = Clock::default();
        clock.welcomed(0, Millis(0));
        assert_eq!((clock.deadline(), clock.ask(Millis(99_999))), (None, None));
        clock.need(Millis(10));
        (0..SAMPLES).for_each(|_| sample(&mut clock, 1, 1));
        let before = clock.deadline().unwrap();
        sample(&mut clock, 1, 1);
        assert_eq!(clock.deadline().unwrap().since(before), SPACING + 2);
        clock.need(Millis(10));
        assert!(clock.deadline().unwrap() > Millis(SPACING));
    }

    #[test]
    fn answers_to_nothing_and_times_from_nowhere_do_no_harm() {
        let mut clock = Clock::default();
        clock.answered(0, u64::MAX, Millis(0));
        assert_eq!(clock.offset(), 0);
        clock.welcomed(u64::MAX, Millis(0));
        assert_eq!(clock.server(Millis(u64::MAX)), Millis(u64::MAX));
        clock.welcomed(0, Millis(u64::MAX));
        assert_eq!(clock.local(Millis(u64::MAX)), Millis(u64::MAX));
        assert_eq!(clock.server(Millis(0)), Millis(0));
    }

    #[test]
    fn a_new_connection_asks_anew() {
        let mut clock = Clock::default();
        clock.need(Millis(0));
        assert!(clock.ask(Millis(0)).is_some());
        clock.welcomed(0, Millis(700));
        assert_eq!(clock.deadline(), Some(Millis(700)));
        clock.answered(0, 9_999, Millis(800));
        assert_eq!(clock.offset(), -700, "the answer to the old connection's question is none");
    }
}
