//! From answers and failures to one word, so that one lost answer is no alarm and an outage is one.

use std::time::{Duration, Instant};

use super::Status;

/// Failures in a row after which nobody counts on an answer any more.
const FAILURES: u32 = 3;
/// Failures for this long are an outage, however few there were.
const FAILING: Duration = Duration::from_secs(1);
/// An answer that takes longer is trouble: people notice.
const SLOW: Duration = Duration::from_secs(1);
/// Trouble is over when there was none for this long.
const STEADY: Duration = Duration::from_secs(5);
/// While nobody writes, nobody knows whether there is space again; then somebody has to try.
const FULL: Duration = Duration::from_secs(30);

/// What is known of a component's answers.
#[derive(Default)]
pub(super) struct Judge {
    /// Failures since the last answer, and when the first of them was.
    failures: u32,
    failing_since: Option<Instant>,
    last_answer: Option<Instant>,
    trouble: Option<(Instant, String)>,
    full: Option<(Instant, String)>,
}

/// What it comes to.
pub(super) struct Verdict<'a> {
    pub(super) status: Status,
    pub(super) writes: bool,
    pub(super) why: &'a str,
}

impl Judge {
    pub(super) fn answered(&mut self, took: Duration, now: Instant) {
        self.last_answer = Some(now);
        self.failures = 0;
        self.failing_since = None;
        if took > SLOW {
            self.troubled(&format!("an answer took {} ms", took.as_millis()), now);
        }
    }

    pub(super) fn failed(&mut self, why: &str, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.failing_since.get_or_insert(now);
        self.troubled(why, now);
    }

    pub(super) fn troubled(&mut self, why: &str, now: Instant) {
        self.trouble = Some((now, why.into()));
    }

    pub(super) fn written(&mut self) {
        self.full = None;
    }

    pub(super) fn full(&mut self, why: &str, now: Instant) {
        self.full = Some((now, why.into()));
    }

    pub(super) fn last_answer(&self) -> Option<Instant> {
        self.last_answer
    }

    pub(super) fn is_failing(&self) -> bool {
        self.failures > 0
    }

    pub(super) fn verdict(&mut self, now: Instant) -> Verdict<'_> {
        let is_over = |since: Instant, span| now.saturating_duration_since(since) >= span;
        let is_down = self.failures >= FAILURES
            || (self.failures > 1 && self.failing_since.is_some_and(|since| is_over(since, FAILING)));
        self.trouble.take_if(|(at, _)| is_over(*at, STEADY));
        self.full.take_if(|(at, _)| is_over(*at, FULL));
        let (status, writes) = match (is_down, self.full.is_some(), self.trouble.is_some()) {
            (true, ..) => (Status::Down, false),
            (false, true, _) => (Status::Degraded, false),
            (false, false, true) => (Status::Degraded, true),
            (false, false, false) => (Status::Up, true),
        };
        let reasons = if is_down { [&self.trouble, &self.full] } else { [&self.full, &self.trouble] };
        let why = reasons.into_iter().flatten().next().map_or("", |(_, why)| why);
        Verdict { status, writes, why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn one_failure_is_no_outage_and_three_are() {
        let (mut judge, start) = (Judge::default(), Instant::now());
        judge.answered(ms(1), start);
        judge.failed("refused", start);
        assert_eq!(judge.verdict(start).status, Status::Degraded);
        assert!(judge.verdict(start).writes);
        judge.failed("refused", start);
        judge.failed("refused again", start);
        let verdict = judge.verdict(start);
        assert_eq!((verdict.status, verdict.writes, verdict.why), (Status::Down, false, "refused again"));
    }

    #[test]
    fn failures_for_a_second_are_an_outage_however_few() {
        let (mut judge, start) = (Judge::default(), Instant::now());
        judge.failed("hangs", start);
        assert_eq!(judge.verdict(start + ms(2_000)).status, Status::Degraded, "nobody has tried again");
        judge.failed("hangs", start + ms(2_000));
        assert_eq!(judge.verdict(start + ms(2_000)).status, Status::Down);
    }

    #[test]
    fn an_answer_ends_an_outage_and_a_steady_while_ends_the_alarm() {
        let (mut judge, start) = (Judge::default(), Instant::now());
        (0..5).for_each(|_| judge.failed("gone", start));
        judge.answered(ms(1), start + ms(100));
        let verdict = judge.verdict(start + ms(100));
        assert_eq!((verdict.status, verdict.writes, verdict.why), (Status::Degraded, true, "gone"));
        assert_eq!(judge.verdict(start + ms(4_999)).status, Status::Degraded);
        assert_eq!(judge.verdict(start + ms(5_000)).status, Status::Up);
        assert_eq!(judge.verdict(start + ms(5_000)).why, "");
    }

    #[test]
    fn slow_answers_are_trouble_and_said_with_their_time() {
        let (mut judge, start) = (Judge::default(), Instant::now());
        judge.answered(ms(1_500), start);
        let verdict = judge.verdict(start);
        assert_eq!((verdict.status, verdict.why), (Status::Degraded, "an answer took 1500 ms"));
    }

    #[test]
    fn a_full_store_reads_and_does_not_write_until_a_write_has_gone_well() {
        let (mut judge, start) = (Judge::default(), Instant::now());
        judge.full("no space", start);
        judge.answered(ms(1), start);
        let verdict = judge.verdict(start + ms(10_000));
        assert_eq!((verdict.status, verdict.writes, verdict.why), (Status::Degraded, false, "no space"));
        judge.written();
        assert_eq!(judge.verdict(start + ms(10_000)).status, Status::Up);
        judge.full("no space", start);
        assert_eq!(judge.verdict(start + ms(30_000)).status, Status::Up, "nobody writes any more");
    }
}
