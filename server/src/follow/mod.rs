//! Following the logs: what happens to entries after they were stored, behind the rooms' backs.
//!
//! ```text
//!   worklist of the store          cursor of the room            what it is for
//!  ┌─────────────────────┐       ┌───────────────────┐       ┌──────────────────┐
//!  │ rooms that have new │ ────▶ │ read from there   │ ────▶ │ Sink::take       │
//!  │ entries             │       │ on, in batches    │       │ archive, events… │
//!  └─────────────────────┘       └───────────────────┘       └──────────────────┘
//!           ▲ settle: all is done            ▲ set_cursor: these are done │
//!           └────────────────────────────────┴────────────────────────────┘
//! ```
//!
//! A batch is handed over at least once: whoever dies between [`Sink::take`] and the cursor leaves it to be handed over
//! again, and so may two nodes for a moment after one has come or gone. Sinks make that once, each in its own way. Of one
//! room, batches come in order. Memory is bounded by [`BATCH_BYTES`], however much waits.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use enfilade_core::{Entry, Position, RoomId};
use futures_util::future::{BoxFuture, join_all};
use futures_util::{StreamExt as _, stream};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::shares::Shares;
use crate::store::{Follower, Limits, Result, SharedStore, StoreError};

mod shares;
#[cfg(test)]
mod tests;

/// Entries that are handed over at a time, of one room.
pub const BATCH_ENTRIES: usize = 512;
/// Bytes that are handed over at a time, of all rooms; one entry is always.
pub const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Rooms that are handed over at a time.
pub const BATCH_ROOMS: usize = 64;
/// Requests to the store at the same time: it serves clients first.
const READS: usize = 16;
/// Without a hint the worklist is looked at this often: hints may be lost.
const LOOK: Duration = Duration::from_secs(1);
/// Between two rounds, where the sink does not say otherwise.
const PAUSE: Duration = Duration::from_millis(100);
/// A room that failed, or could not be settled, is left alone for this long at first...
const PATIENCE_MIN: Duration = Duration::from_millis(250);
/// ...and for twice as long each time, up to this: what comes back is noticed within it.
const PATIENCE_MAX: Duration = Duration::from_secs(1);
/// A room that fails by itself, while others don't, is tried again this often at least.
const ROOM_PATIENCE_MAX: Duration = Duration::from_secs(30);
/// Rooms whose failures are remembered; beyond, they are tried more often.
const REMEMBERED: usize = 10_000;

/// What is done with entries.
pub trait Sink: Send + Sync + 'static {
    /// Whose worklist and cursors these are.
    fn follower(&self) -> Follower;

    /// Takes entries of some rooms, each room once, and answers for each in their order. `Ok` means that the batch is
    /// done for good; after an error it comes again.
    fn take<'a>(&'a self, batches: &'a [Batch]) -> BoxFuture<'a, Vec<Result<()>>>;

    /// How long is waited between two rounds, so that a busy room is followed in batches.
    fn pace(&self) -> Duration {
        PAUSE
    }

    /// The cursor of a room was set: what is up to it will not come again.
    fn advanced<'a>(&'a self, batch: &'a Batch) -> BoxFuture<'a, ()> {
        let _ = batch;
        Box::pin(std::future::ready(()))
    }
}

/// Entries of one room, in order and without a gap.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Whose they are.
    pub room: RoomId,
    /// Of which log.
    pub epoch: u64,
    /// The entries, at least one.
    pub entries: Vec<Entry>,
    /// Bytes that they take.
    pub bytes: usize,
    /// Where the log ended when they were read.
    pub head: Position,
}

impl Batch {
    /// Position of its last entry.
    pub fn last(&self) -> Position {
        Position { epoch: self.epoch, seq: self.entries.last().map_or(0, |entry| entry.seq) }
    }
}

/// How a follower is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Why its sink can't take anything now, and since when.
    pub down: Option<(String, std::time::SystemTime)>,
    /// Rooms that wait.
    pub waiting: usize,
}

/// A follower at work.
pub struct Following {
    task: JoinHandle<()>,
    stopping: watch::Sender<bool>,
    standing: watch::Receiver<Standing>,
}

impl Following {
    /// Starts to follow. Must be called within a runtime.
    pub fn start(store: SharedStore, sink: Arc<dyn Sink>, node: String) -> Following {
        let (stopping, stop) = watch::channel(false);
        let (tell, standing) = watch::channel(Standing::default());
        let hints = store.watch();
        let shares = Shares::new(sink.follower(), node);
        let follow = Follow { store, sink, shares, stop, tell, put_off: HashMap::new(), pause: PATIENCE_MIN };
        Following { task: tokio::spawn(follow.run(hints)), stopping, standing }
    }

    /// How it is doing, now and from now on.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }

    /// Does what waits, as far as the time goes, and ends.
    pub async fn stop(mut self, within: Duration) {
        self.stopping.send_replace(true);
        if tokio::time::timeout(within, &mut self.task).await.is_err() {
            self.task.abort();
            tracing::warn!(
                "followers had work left when the time to stop was over; it goes on at the next start"
            );
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Follow {
    store: SharedStore,
    sink: Arc<dyn Sink>,
    shares: Shares,
    stop: watch::Receiver<bool>,
    tell: watch::Sender<Standing>,
    /// Rooms that are left alone: how long at a time, and until when.
    put_off: HashMap<RoomId, (Duration, Instant)>,
    /// How long everything is left alone when the sink takes nothing.
    pause: Duration,
}

/// What became of a round.
enum Round {
    /// All that waits was seen to.
    Done,
    /// Store or sink don't answer.
    Down,
}

impl Follow {
    async fn run(mut self, mut hints: broadcast::Receiver<crate::store::Hint>) {
        loop {
            let is_last = *self.stop.borrow_and_update();
            let round = self.round().await;
            if is_last {
                return self.shares.leave(&*self.store).await;
            }
            let pause = match round {
                Round::Done => {
                    self.pause = PATIENCE_MIN;
                    self.sink.pace()
                }
                Round::Down => {
                    self.pause = (self.pause * 2).min(PATIENCE_MAX);
                    self.pause
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = self.stop.changed() => continue,
            }
            if matches!(round, Round::Done) {
                tokio::select! {
                    // A hint that lags is as good as one that comes.
                    hint = hints.recv() => if matches!(hint, Err(broadcast::error::RecvError::Closed)) {
                        tokio::time::sleep(LOOK).await;
                    },
                    () = tokio::time::sleep(LOOK) => {}
                    _ = self.stop.changed() => {}
                }
                hints = hints.resubscribe();
            }
        }
    }

    /// Sees to every room of the worklist once.
    async fn round(&mut self) -> Round {
        if let Err(error) = self.shares.renew(&*self.store).await {
            return self.down(&error);
        }
        let now = Instant::now();
        self.put_off.retain(|_, (_, until)| *until + ROOM_PATIENCE_MAX > now);
        let mut after = None;
        let mut waiting = 0;
        loop {
            let page = self.store.pending(self.sink.follower(), after.as_ref(), Limits::PAGE_ROOMS).await;
            let page = match page {
                Ok(page) => page,
                Err(error) => return self.down(&error),
            };
            waiting += page.len();
            let is_last = page.len() < Limits::PAGE_ROOMS;
            after = page.last().cloned();
            let is_due = |room: &RoomId| self.put_off.get(room).is_none_or(|(_, until)| *until <= now);
            let mine: Vec<RoomId> =
                page.into_iter().filter(|room| self.shares.has(room) && is_due(room)).collect();
            for rooms in mine.chunks(BATCH_ROOMS) {
                if let Err(error) = self.see_to(rooms).await {
                    return self.down(&error);
                }
            }
            if is_last {
                break;
            }
        }
        metrics::gauge!("enfilade_follower_rooms_waiting", "follower" => self.name()).set(waiting as f64);
        self.up();
        self.tell.send_if_modified(|standing| std::mem::replace(&mut standing.waiting, waiting) != waiting);
        Round::Done
    }

    /// Reads on in these rooms, until each was handed over to its end or has failed.
    async fn see_to(&mut self, rooms: &[RoomId]) -> Result<()> {
        let mut rooms = rooms.to_vec();
        while !rooms.is_empty() {
            let share = BATCH_BYTES / rooms.len();
            let read = |room: RoomId| {
                let store = self.store.clone();
                let follower = self.sink.follower();
                async move { (read(&*store, follower, &room, share).await, room) }
            };
            let reads: Vec<_> = stream::iter(rooms.drain(..).map(read)).buffered(READS).collect().await;
            let (mut batches, mut done) = (Vec::new(), Vec::new());
            for (next, room) in reads {
                match next {
                    Ok(Next::Entries(batch)) => batches.push(batch),
                    Ok(Next::Nothing(head)) => done.push((room, head)),
                    Err(error @ StoreError::Damaged(_)) => self.put_off(&room, &error),
                    Err(error) => return Err(error),
                }
            }
            self.settle(done).await?;
            if batches.is_empty() {
                return Ok(());
            }
            let taken = self.sink.take(&batches).await;
            let mut unavailable = None;
            let mut advanced = Vec::new();
            for (batch, taken) in batches.iter().zip(taken) {
                match taken {
                    Ok(()) => advanced.push(batch),
                    Err(
                        error @ (StoreError::Unavailable(_) | StoreError::Overloaded | StoreError::Full(_)),
                    ) => {
                        unavailable = Some(error);
                    }
                    Err(error) => self.put_off(&batch.room, &error),
                }
            }
            self.advance(&advanced).await?;
            rooms.extend(advanced.into_iter().map(|batch| batch.room.clone()));
            if let Some(error) = unavailable {
                return Err(error);
            }
        }
        Ok(())
    }

    async fn advance(&mut self, batches: &[&Batch]) -> Result<()> {
        let follower = self.sink.follower();
        // At once, so that a store which writes in groups does.
        let set = batches.iter().map(|batch| self.store.set_cursor(&batch.room, follower, batch.last()));
        let set = join_all(set.collect::<Vec<_>>()).await;
        for (batch, set) in batches.iter().zip(set) {
            // Where the log was started anew in the meantime, the next reading finds out.
            if set? {
                self.sink.advanced(batch).await;
            }
            self.put_off.remove(&batch.room);
            let count = batch.entries.len() as u64;
            metrics::counter!("enfilade_follower_entries_total", "follower" => self.name()).increment(count);
            if let Some(entry) = batch.entries.first() {
                let behind = crate::auth::now().since(entry.at) as f64 / 1_000.0;
                metrics::histogram!("enfilade_follower_lag_seconds", "follower" => self.name())
                    .record(behind);
            }
        }
        if !batches.is_empty() {
            self.up();
        }
        Ok(())
    }

    async fn settle(&mut self, done: Vec<(RoomId, Position)>) -> Result<()> {
        let follower = self.sink.follower();
        let settle = done.iter().map(|(room, head)| self.store.settle(room, follower, *head));
        let settled = join_all(settle.collect::<Vec<_>>()).await;
        for ((room, _), settled) in done.into_iter().zip(settled) {
            if settled? {
                self.put_off.remove(&room);
            } else if self.put_off.len() < REMEMBERED {
                // Somebody may be about to append; there is no hurry.
                self.put_off.insert(room, (PATIENCE_MIN, Instant::now() + PATIENCE_MAX));
            }
        }
        Ok(())
    }

    /// A room that fails alone does not hold up the others.
    fn put_off(&mut self, room: &RoomId, error: &StoreError) {
        metrics::counter!("enfilade_follower_failures_total", "follower" => self.name()).increment(1);
        let before = self.put_off.get(room).map(|(patience, _)| *patience);
        if before.is_none_or(|patience| patience < ROOM_PATIENCE_MAX) {
            tracing::error!(follower = self.name(), %room, %error, "entries of a room were not handed over; it is tried again");
        }
        let patience = before.map_or(PATIENCE_MIN, |patience| patience * 2).min(ROOM_PATIENCE_MAX);
        if self.put_off.len() < REMEMBERED || before.is_some() {
            self.put_off.insert(room.clone(), (patience, Instant::now() + patience));
        }
    }

    fn up(&self) {
        metrics::gauge!("enfilade_follower_up", "follower" => self.name()).set(1.0);
        self.tell.send_if_modified(|standing| {
            let Some((_, since)) = standing.down.take() else { return false };
            let seconds = since.elapsed().unwrap_or_default().as_secs_f32();
            tracing::info!(follower = self.name(), seconds, "following goes on");
            true
        });
    }

    fn down(&self, error: &StoreError) -> Round {
        metrics::counter!("enfilade_follower_failures_total", "follower" => self.name()).increment(1);
        metrics::gauge!("enfilade_follower_up", "follower" => self.name()).set(0.0);
        self.tell.send_if_modified(|standing| {
            if standing.down.is_some() {
                return false;
            }
            tracing::error!(follower = self.name(), %error, "following has to wait; nothing is lost meanwhile");
            standing.down = Some((error.to_string(), std::time::SystemTime::now()));
            true
        });
        Round::Down
    }

    fn name(&self) -> &'static str {
        self.sink.follower().name()
    }
}

/// What comes next in a room.
enum Next {
    Entries(Batch),
    /// All is done up to the head.
    Nothing(Position),
}

async fn read(
    store: &dyn crate::store::RoomStore,
    follower: Follower,
    room: &RoomId,
    max_bytes: usize,
) -> Result<Next> {
    let cursor = store.cursor(room, follower).await?.unwrap_or_default();
    let mut page = store.read(room, cursor.next(), BATCH_ENTRIES, max_bytes).await?;
    if page.head.epoch != cursor.epoch && page.head.seq > 0 {
        let first = Position { epoch: page.head.epoch, seq: 1 };
        page = store.read(room, first, BATCH_ENTRIES, max_bytes).await?;
    }
    if page.entries.is_empty() {
        return Ok(Next::Nothing(page.head));
    }
    let bytes = page.entries.iter().map(|(_, entry)| entry.len()).sum();
    let decode = |(seq, bytes): &(u64, Bytes)| {
        let entry = Entry::decode(bytes).ok().filter(|entry| entry.seq == *seq);
        entry.ok_or_else(|| StoreError::Damaged(format!("the entry {seq} of room {room} can't be read")))
    };
    let entries = page.entries.iter().map(decode).collect::<Result<Vec<_>>>()?;
    Ok(Next::Entries(Batch { room: room.clone(), epoch: page.head.epoch, entries, bytes, head: page.head }))
}
