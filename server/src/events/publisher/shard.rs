//! One shard's task: takes the shard while it is this node's, and publishes what its rooms have.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use enfilade_core::RoomId;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio::sync::watch;

use super::batch::{Batch, Known, Reached};
use super::{Publisher, Shard};
use crate::events::{Backoff, EventsError, ShardWriter, Taken};
use crate::store::{Follower, StoreError};

/// Cursors that are noted at the same time.
const NOTES: usize = 64;
/// After somebody else took a shard, before it is taken back: their claim and ours are compared in between.
const TAKEN_PAUSE: Duration = Duration::from_secs(3);
/// How long a shard waits for marks before it looks again whether it is still this node's.
const IDLE: Duration = Duration::from_secs(5);

/// A shard that this node has taken.
struct Held {
    writer: Box<dyn ShardWriter>,
    known: Known,
}

impl Publisher {
    pub(super) async fn run_shard(self: Arc<Self>, number: u32, stopping: watch::Receiver<bool>) {
        let shard = self.shard(number);
        let mut held: Option<Held> = None;
        let mut backoff = Backoff::new();
        // What is known to wait while nothing goes out.
        let mut behind = Known::default();
        loop {
            let is_owned = shard.is_owned.load(Ordering::Relaxed);
            if !is_owned {
                held = None;
                behind = Known::default();
                shard.clear();
                shard.waiting.store(0, Ordering::Relaxed);
            }
            let is_idle = !is_owned || shard.is_clean();
            if *stopping.borrow() && is_idle {
                return;
            }
            if is_idle {
                // A mark that came before the wait is not lost: the notification is kept.
                let _ = tokio::time::timeout(IDLE, shard.wake.notified()).await;
                continue;
            }
            match self.step(number, shard, &mut held, &stopping).await {
                Ok(()) => {
                    behind = Known::default();
                    backoff = Backoff::new();
                }
                Err(Failure::Taken) => {
                    tracing::info!(shard = number, "another node publishes this shard now");
                    held = None;
                    tokio::time::sleep(TAKEN_PAUSE).await;
                }
                Err(Failure::Down(why)) => {
                    held = None;
                    self.health.failed(&why);
                    if *stopping.borrow() {
                        return;
                    }
                    self.measure(shard, &mut behind).await;
                    shard.waiting.store(behind.waiting(), Ordering::Relaxed);
                    backoff.wait().await;
                }
                Err(Failure::Store(error)) => {
                    self.store_failed(&error);
                    if *stopping.borrow() {
                        return;
                    }
                    backoff.wait().await;
                }
            }
        }
    }

    /// Publishes one batch, and notes how far that brings its rooms.
    async fn step(
        &self,
        number: u32,
        shard: &Shard,
        held: &mut Option<Held>,
        stopping: &watch::Receiver<bool>,
    ) -> Result<(), Failure> {
        let Held { writer, known } = match held {
            Some(held) => held,
            None => {
                let Taken { writer, tail } = self.outlet.take(number).await?;
                held.insert(Held { writer, known: Known::new(tail) })
            }
        };
        let mut batch = self.gather(shard, known).await?;
        shard.waiting.store(known.waiting() + batch.records.len() as u64, Ordering::Relaxed);
        let records = batch.records();
        if !records.is_empty() {
            let begun = Instant::now();
            if let Err(error) = writer.publish(records.clone()).await {
                batch.rooms.into_keys().for_each(|room| shard.mark(room));
                return Err(error.into());
            }
            metrics::counter!("enfilade_events_published_total").increment(records.len() as u64);
            metrics::histogram!("enfilade_events_publish_seconds").record(begun.elapsed());
            // How long a transaction takes says how much it holds, not how they are doing.
            self.health.answered(Duration::ZERO);
        }
        batch.is_published(known);
        self.note(&batch, stopping).await;
        shard.waiting.store(known.waiting(), Ordering::Relaxed);
        Ok(())
    }

    /// Notes the batch's cursors, and takes rooms off the worklist that are done. Goes on until all are noted: the next
    /// transaction must not begin before, because only the last one is looked for by whoever comes after. A node that
    /// stops tries once.
    async fn note(&self, batch: &Batch, stopping: &watch::Receiver<bool>) {
        let mut backoff = Backoff::new();
        let mut left: Vec<_> = batch.rooms.iter().collect();
        while !left.is_empty() {
            let notes: Vec<BoxFuture<'_, _>> =
                left.iter().map(|(room, reached)| self.note_one(room, **reached).boxed()).collect();
            let noted: Vec<Result<(), _>> = stream::iter(notes).buffered(NOTES).collect().await;
            let mut failed = Vec::new();
            for (row, noted) in left.into_iter().zip(noted) {
                if let Err(error) = noted {
                    self.store_failed(&error);
                    failed.push(row);
                }
            }
            left = failed;
            if *stopping.borrow() {
                return;
            }
            if !left.is_empty() {
                backoff.wait().await;
            }
        }
    }

    async fn note_one(&self, room: &RoomId, reached: Reached) -> Result<(), StoreError> {
        if reached.is_new {
            // That another node was further is no error.
            self.store.set_cursor(room, Follower::Events, reached.cursor).await?;
        }
        if reached.is_head {
            // What has grown meanwhile stays on the list.
            self.store.settle(room, Follower::Events, reached.cursor).await?;
        }
        Ok(())
    }
}

enum Failure {
    Taken,
    Down(String),
    Store(StoreError),
}

impl From<EventsError> for Failure {
    fn from(error: EventsError) -> Failure {
        match error {
            EventsError::Taken => Failure::Taken,
            EventsError::Unavailable(why) | EventsError::Misconfigured(why) => Failure::Down(why),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::Store(error)
    }
}
