//! After another process of Redis took over: what was acknowledged is given back, the log goes on under a new epoch,
//! and what is lost is reported.

use futures_util::stream::{self, StreamExt as _};

use super::append::{Manner, Outcome};
use super::*;

/// From the moment that a node meets a process of Redis until it seals a log there: other nodes meet it within this
/// time, and give back what they have.
const GRACE: Duration = Duration::from_millis(600);
/// Begins what a script says instead of a process where a node has put a lost log back; milliseconds since then follow.
const PUT_BACK: &str = "lost:";
/// While something is missing before what this node has, it looks this often whether it is there.
const TURN: Duration = Duration::from_millis(5);
/// Logs that a node mends at the same time.
const AT_ONCE: usize = 8;

/// Whether a log has everything that this node can give.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Given {
    All,
    /// Something is missing before it.
    NotYet,
}

impl Inner {
    /// Gives back what this node has of a log that is not settled in `process`, and seals it when others had time to do
    /// the same. Returns when the log is settled.
    pub(super) async fn settle_log(self: &Arc<Self>, room: &RoomId, process: &str) -> Result<()> {
        let until = match process.strip_prefix(PUT_BACK).and_then(|age| age.parse().ok()) {
            Some(age) => Instant::now() + GRACE.saturating_sub(Duration::from_millis(age)),
            None => self.met(process) + GRACE,
        };
        loop {
            let turn = match self.give_back(room).await? {
                Given::All => until,
                // Another node has what comes between, and may be about to give it back.
                Given::NotYet => until.min(Instant::now() + TURN),
            };
            if Instant::now() >= until {
                return self.seal(room).await;
            }
            tokio::time::sleep_until(turn).await;
        }
    }

    /// Mends every log of which this node has acknowledged something lately.
    pub(super) async fn mend_all(self: Arc<Self>) {
        self.marks.forget_all();
        let rooms = self.recent.rooms();
        stream::iter(rooms)
            .for_each_concurrent(AT_ONCE, |room| {
                let inner = self.clone();
                async move {
                    // A read settles the log, if it is unsettled.
                    if let Err(error) = inner.read(&room, Position::default(), 0, 0).await {
                        tracing::warn!(%room, %error, "a log was not mended; its next request will");
                    }
                }
            })
            .await;
    }

    /// When this node has met a process. At the first time everything that it remembers is looked after.
    fn met(self: &Arc<Self>, process: &str) -> Instant {
        let mut processes = self.processes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(since) = processes.get(process) {
            return *since;
        }
        let now = Instant::now();
        processes.insert(process.to_owned(), now);
        tracing::warn!(
            "another process of Redis serves: rooms go on under new epochs, with what nodes give back of their ends"
        );
        metrics::counter!("enfilade_redis_takeovers_total").increment(1);
        tokio::spawn(self.clone().mend_all());
        now
    }

    /// Appends what was acknowledged and is missing, as far as it follows the log's end.
    async fn give_back(&self, room: &RoomId) -> Result<Given> {
        let mut end: Option<Position> = None;
        for kept in self.recent.of(room) {
            // Until the end is known, the first attempt tells.
            let seq = end.map_or(kept.expected.seq, |end| end.seq);
            if kept.last() <= seq {
                continue;
            }
            let mut missing = kept.after(seq);
            let mut outcome = self.try_append(room, &missing, Manner::Mending).await?;
            if let Outcome::Conflict { head, .. } = &outcome
                && head.epoch == kept.expected.epoch
                && (missing.expected.seq..kept.last()).contains(&head.seq)
            {
                // The log ends within this batch.
                missing = kept.after(head.seq);
                outcome = self.try_append(room, &missing, Manner::Mending).await?;
            }
            end = match outcome {
                Outcome::Done { head, .. } => {
                    metrics::counter!("enfilade_redis_entries_restored_total")
                        .increment(missing.batch.len() as u64);
                    tracing::warn!(
                        %room, from = missing.expected.seq + 1, to = head.seq,
                        "entries that Redis had lost were given back"
                    );
                    Some(head)
                }
                Outcome::Conflict { head, .. } if head.epoch != kept.expected.epoch => return Ok(Given::All),
                Outcome::Conflict { head, .. } if head.seq < missing.expected.seq => {
                    return Ok(Given::NotYet);
                }
                Outcome::Conflict { head, .. } => Some(head),
                Outcome::Unsettled(_) | Outcome::Late => end,
            };
        }
        Ok(Given::All)
    }

    async fn seal(&self, room: &RoomId) -> Result<()> {
        let (channel, message) = self.hints.in_script(room);
        let call = Call::on(vec![self.keys(room).head()]).number(random_epoch()?).text(channel).text(message);
        let reply = self.link.replicated(&scripts::SEAL, &call, self.options.wait_replicas).await?;
        let mut reply = Reply::parse(reply)?;
        match reply.status() {
            "none" => Ok(()),
            "sealed" => {
                let head = reply.position()?;
                self.compare(room, head.epoch, &reply.text()?);
                self.hints.grown(room, head);
                Ok(())
            }
            "settled" => {
                let head = reply.position()?;
                self.compare(room, head.epoch, &reply.text()?);
                Ok(())
            }
            _ => reply.unexpected(),
        }
    }

    /// The log goes on under another epoch than this node knew: whether with everything that was acknowledged.
    pub(super) async fn report_lost(&self, room: &RoomId, current: u64) {
        if !self.recent.of(room).iter().any(|kept| kept.expected.epoch != current) {
            return;
        }
        let mut cmd = redis::cmd("HGET");
        cmd.arg(self.keys(room).head()).arg("ended");
        // Where Redis does not answer, the next conflict asks again.
        match self.link.command(&cmd).await {
            Ok(redis::Value::Nil) => self.compare(room, current, ""),
            Ok(ended) => self.compare(room, current, &reply::text(ended).unwrap_or_default()),
            Err(_) => {}
        }
    }

    /// Reports what was acknowledged beyond the ends of epochs, given as `epoch:seq`; 0 is every epoch. An epoch that is
    /// not among them, nor the current one, is gone with its whole log.
    fn compare(&self, room: &RoomId, current: u64, ended: &str) {
        let ends: Vec<(u64, u64)> = ended
            .split_whitespace()
            .filter_map(|end| end.split_once(':'))
            .filter_map(|(epoch, seq)| Some((epoch.parse().ok()?, seq.parse().ok()?)))
            .collect();
        let kept = self.recent.of(room);
        let mut epochs: Vec<u64> = kept.iter().map(|kept| kept.expected.epoch).collect();
        epochs.retain(|epoch| *epoch != current);
        epochs.dedup();
        for epoch in epochs {
            let end =
                ends.iter().find(|(known, _)| *known == epoch || *known == 0).map_or(0, |(_, end)| *end);
            let of_epoch = || kept.iter().filter(|kept| kept.expected.epoch == epoch);
            let lost = |kept: &recent::Kept| kept.last().saturating_sub(kept.expected.seq.max(end));
            let lost: u64 = of_epoch().map(lost).sum();
            if lost > 0 {
                let last = of_epoch().map(recent::Kept::last).max().unwrap_or_default();
                metrics::counter!("enfilade_redis_entries_lost_total").increment(lost);
                tracing::error!(
                    %room, epoch, from = end + 1, to = last, lost,
                    "REDIS HAS LOST ENTRIES THAT WERE ACKNOWLEDGED, and they could not be given back"
                );
            }
            self.recent.forget_epoch(room, epoch);
        }
    }
}

/// From 1 to 2^53 - 1.
fn random_epoch() -> Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|error| StoreError::Unavailable(format!("there is no randomness: {error}")))?;
    Ok((u64::from_le_bytes(bytes) >> 11).max(1))
}
