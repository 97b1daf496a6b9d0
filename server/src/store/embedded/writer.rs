//! The one thread that writes. All requests that wait when it wakes go into one transaction, which is synced to disk
//! before any of them is answered: the more wait, the less a sync costs each.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use redb::Durability;
use tokio::sync::{broadcast, oneshot};

use super::file::StoreFile;
use super::tables::{Changes, Result as TableResult, Tables};
use super::{Options, Slot};
use crate::store::{HINTS, Hint, Result, StoreError};

/// Requests of one transaction: beyond, the first would wait too long for the last.
const GROUP_REQUESTS: usize = 4_096;
/// Bytes of one transaction.
const GROUP_BYTES: usize = 8 * 1024 * 1024;
/// After a write failed, writes are refused for this long before the next is tried.
const PAUSE: Duration = Duration::from_secs(1);

/// Something to do within the next transaction.
trait Job: Send {
    fn run(&mut self, tables: &mut Tables<'_>) -> TableResult<()>;
    /// After the commit, or after whatever kept it from happening.
    fn answer(self: Box<Self>, failure: Option<&StoreError>);
}

struct Request<T, W> {
    work: Option<W>,
    result: Option<T>,
    answer: oneshot::Sender<Result<T>>,
}

impl<T, W> Job for Request<T, W>
where
    T: Send,
    W: FnOnce(&mut Tables<'_>) -> TableResult<T> + Send,
{
    fn run(&mut self, tables: &mut Tables<'_>) -> TableResult<()> {
        if let Some(work) = self.work.take() {
            self.result = Some(work(tables)?);
        }
        Ok(())
    }

    fn answer(self: Box<Self>, failure: Option<&StoreError>) {
        let result = match (failure, self.result) {
            (None, Some(result)) => Ok(result),
            (Some(failure), _) => Err(failure.clone()),
            (None, None) => Err(StoreError::closed()),
        };
        // Whoever asked may have gone.
        let _ = self.answer.send(result);
    }
}

enum Message {
    Job { job: Box<dyn Job>, bytes: usize },
    Close { closed: oneshot::Sender<()> },
}

/// What waits for the writer.
#[derive(Default)]
struct Waiting {
    requests: AtomicUsize,
    bytes: AtomicUsize,
}

/// How much the writer has done.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) commits: AtomicU64,
    pub(super) requests: AtomicU64,
}

/// The senders' end of the writer.
pub(super) struct Writer {
    queue: Mutex<Option<Sender<Message>>>,
    waiting: Arc<Waiting>,
    pub(super) counts: Arc<Counts>,
    hints: broadcast::Sender<Hint>,
    queue_requests: usize,
    queue_bytes: usize,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(file: Arc<StoreFile>, slot: Arc<Slot>, options: &Options) -> Result<Writer> {
        let (queue, messages) = channel();
        let hints = broadcast::channel(HINTS).0;
        let (waiting, counts) = (Arc::<Waiting>::default(), Arc::<Counts>::default());
        let thread = Thread {
            messages,
            file,
            slot,
            hints: hints.clone(),
            waiting: waiting.clone(),
            counts: counts.clone(),
            reserve_bytes: options.reserve_bytes,
            paused: None,
        };
        let thread = std::thread::Builder::new().name("enfilade-store".into()).spawn(move || thread.run());
        let thread = thread.map_err(|error| {
            StoreError::Unavailable(format!(
                "the store's thread can't be started ({error}); look at the limits"
            ))
        })?;
        Ok(Writer {
            queue: Mutex::new(Some(queue)),
            waiting,
            counts,
            hints,
            queue_requests: options.queue_requests,
            queue_bytes: options.queue_bytes,
            thread: Some(thread),
        })
    }

    pub(super) fn hints(&self) -> broadcast::Receiver<Hint> {
        self.hints.subscribe()
    }

    /// Does the work in the next transaction, and answers when that is on disk.
    pub(super) async fn submit<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce(&mut Tables<'_>) -> TableResult<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        self.enqueue(Box::new(Request { work: Some(work), result: None, answer }), bytes)?;
        answered.await.unwrap_or_else(|_| Err(StoreError::closed()))
    }

    fn enqueue(&self, job: Box<dyn Job>, bytes: usize) -> Result<()> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queue.as_ref().ok_or_else(StoreError::closed)?;
        // Only senders add, one at a time under the lock, so the bounds hold.
        let requests = self.waiting.requests.load(Ordering::Relaxed);
        let waiting = self.waiting.bytes.load(Ordering::Relaxed);
        if requests >= self.queue_requests || (requests > 0 && waiting + bytes > self.queue_bytes) {
            metrics::counter!("enfilade_store_overloaded_total").increment(1);
            return Err(StoreError::Overloaded);
        }
        self.waiting.requests.fetch_add(1, Ordering::Relaxed);
        self.waiting.bytes.fetch_add(bytes, Ordering::Relaxed);
        queue.send(Message::Job { job, bytes }).map_err(|_| StoreError::closed())
    }

    /// Finishes what waits, and closes the file.
    pub(super) async fn close(&self) {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (closed, done) = oneshot::channel();
        if queue.is_some_and(|queue| queue.send(Message::Close { closed }).is_ok()) {
            // An error means that the thread has ended, which is what was asked for.
            let _ = done.await;
        }
    }
}

impl Drop for Writer {
    /// Waits until the file is closed, so that it can be opened again.
    fn drop(&mut self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Thread {
    messages: Receiver<Message>,
    file: Arc<StoreFile>,
    slot: Arc<Slot>,
    hints: broadcast::Sender<Hint>,
    waiting: Arc<Waiting>,
    counts: Arc<Counts>,
    reserve_bytes: u64,
    /// Why and until when writes are refused.
    paused: Option<(StoreError, Instant)>,
}

impl Thread {
    fn run(mut self) {
        let closed = self.serve();
        self.slot.close(StoreError::closed());
        if let Some(closed) = closed {
            let _ = closed.send(());
        }
    }

    /// Until the store is closed, or nobody is left to ask.
    fn serve(&mut self) -> Option<oneshot::Sender<()>> {
        loop {
            let first = match self.messages.recv_timeout(PAUSE) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => {
                    self.try_to_recover();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return None,
            };
            let (mut group, mut bytes, mut closing) = (Vec::new(), 0, None);
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    Message::Job { job, bytes: more } => {
                        group.push(job);
                        bytes += more;
                    }
                    Message::Close { closed } => {
                        closing = Some(closed);
                        break;
                    }
                }
                let full = group.len() >= GROUP_REQUESTS || bytes >= GROUP_BYTES;
                next = if full { None } else { self.messages.try_recv().ok() };
            }
            if !group.is_empty() {
                self.write(group, bytes);
            }
            if closing.is_some() {
                return closing;
            }
        }
    }

    fn write(&mut self, mut group: Vec<Box<dyn Job>>, bytes: usize) {
        let started = Instant::now();
        let outcome = match self.refusal() {
            Some(refusal) => Err(refusal),
            None => self.commit(&mut group),
        };
        let requests = group.len();
        match outcome {
            Ok(changes) => {
                self.counts.requests.fetch_add(requests as u64, Ordering::Relaxed);
                if changes.any {
                    self.counts.commits.fetch_add(1, Ordering::Relaxed);
                    metrics::counter!("enfilade_store_commits_total").increment(1);
                    metrics::histogram!("enfilade_store_commit_seconds")
                        .record(started.elapsed().as_secs_f64());
                }
                metrics::counter!("enfilade_store_requests_total").increment(requests as u64);
                group.into_iter().for_each(|job| job.answer(None));
                for hint in changes.hints {
                    // Nobody watching is fine.
                    let _ = self.hints.send(hint);
                }
            }
            Err(failure) => {
                metrics::counter!("enfilade_store_failures_total").increment(requests as u64);
                group.into_iter().for_each(|job| job.answer(Some(&failure)));
            }
        }
        self.waiting.requests.fetch_sub(requests, Ordering::Relaxed);
        self.waiting.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Why nothing can be written now, if so.
    fn refusal(&mut self) -> Option<StoreError> {
        if let Some((failure, until)) = &self.paused
            && Instant::now() < *until
        {
            return Some(failure.clone());
        }
        if !self.slot.is_open() && !self.reopen() {
            return self.paused.as_ref().map(|(failure, _)| failure.clone());
        }
        let free = self.file.free_bytes();
        if free < self.reserve_bytes {
            let failure = StoreError::Full(format!(
                "{free} bytes are free for {}, which is below the reserve of {}; free some, and the server goes on by \
                 itself; nothing that was acknowledged is lost",
                self.file.path().display(),
                self.reserve_bytes
            ));
            self.pause(failure.clone());
            return Some(failure);
        }
        None
    }

    /// One transaction for the whole group, synced to disk.
    fn commit(&mut self, group: &mut [Box<dyn Job>]) -> Result<Changes> {
        let slot = self.slot.clone();
        let committed = slot.with(|database| {
            // A panic of the library must not end the thread: it is an error like others.
            catch_unwind(AssertUnwindSafe(|| -> TableResult<Changes> {
                let mut transaction = database.begin_write()?;
                transaction.set_durability(Durability::Immediate)?;
                let mut tables = Tables::open(&transaction)?;
                for job in group.iter_mut() {
                    job.run(&mut tables)?;
                }
                let changes = tables.finish();
                if changes.any {
                    transaction.commit()?;
                } else {
                    transaction.abort()?;
                }
                Ok(changes)
            }))
        })?;
        let failure = match committed {
            Ok(Ok(changes)) => {
                if self.paused.take().is_some() {
                    tracing::info!("the store writes again");
                }
                return Ok(changes);
            }
            Ok(Err(error)) => self.file.error(error),
            Err(_) => self.file.damaged("writing to it failed"),
        };
        self.pause(failure.clone());
        // The library does nothing more after a failed write until its file was opened anew.
        self.slot.close(failure.clone());
        self.reopen();
        Err(failure)
    }

    fn pause(&mut self, failure: StoreError) {
        if self.paused.is_none() {
            tracing::error!("the store refuses writes: {failure}");
        }
        self.paused = Some((failure, Instant::now() + PAUSE));
    }

    fn reopen(&mut self) -> bool {
        match self.file.open() {
            Ok(database) => {
                self.slot.open(database);
                true
            }
            Err(failure) => {
                self.slot.close(failure.clone());
                self.pause(failure);
                false
            }
        }
    }

    /// With nothing to write, reads still want the file back.
    fn try_to_recover(&mut self) {
        let due = self.paused.as_ref().is_none_or(|(_, until)| *until <= Instant::now());
        if due && !self.slot.is_open() {
            self.reopen();
        }
    }
}
