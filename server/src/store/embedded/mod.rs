//! Rooms in one file of the data folder. The default: no other service is needed.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use enfilade_core::{Position, RoomId};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use redb::{Database, ReadTransaction, ReadableDatabase, WriteTransaction};
use tokio::sync::{Semaphore, broadcast};

use self::file::StoreFile;
use self::tables::{Tables, View};
use self::writer::Writer;
use super::leases::Leases;
use super::limits::{self, PageBounds};
use super::{
    Append, Appended, Follower, Hint, Lease, Loaded, Page, Result, RoomPage, RoomStore, Start, StoreError,
};
use crate::folder::DataFolder;

mod file;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

/// Reads that run at the same time; a disk does not answer more of them sooner.
const READS: usize = 8;
/// Reads that wait for their turn; beyond, the answer would come too late to be of use.
const READS_WAITING: usize = 8_192;

/// Bounds of the embedded store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Requests that may wait for the writer.
    pub queue_requests: usize,
    /// Bytes that may wait for the writer; one request is always taken.
    pub queue_bytes: usize,
    /// Memory for pages of the file.
    pub cache_bytes: usize,
    /// Free disk space below which writes are refused, while everything else still has some.
    pub reserve_bytes: u64,
    /// Who has a worklist. A follower that is new to the store finds every room on its own.
    pub followers: Vec<Follower>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            queue_requests: 16_384,
            queue_bytes: 64 * 1024 * 1024,
            cache_bytes: 64 * 1024 * 1024,
            reserve_bytes: 32 * 1024 * 1024,
            followers: Vec::new(),
        }
    }
}

/// A store in a single file, for a single process.
///
/// Acknowledged means synced to disk. After a crash the file is checked and opened at its last commit. While there is
/// no space on the disk, appends are answered with [`StoreError::Full`] and reads go on; as soon as there is space,
/// appends go on too. Leases are held in memory and end with the process.
///
/// Dropping the last handle waits for the writer; [`close`](RoomStore::close) does so without blocking the thread.
pub struct EmbeddedStore {
    slot: Arc<Slot>,
    file: Arc<StoreFile>,
    writer: Writer,
    reads: Semaphore,
    reads_waiting: Semaphore,
    leases: Leases,
    followers: Arc<[Follower]>,
    // Unlocked after the file is closed.
    _folder: Arc<DataFolder>,
}

/// How much a store has written, since it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Transactions that were synced to disk.
    pub commits: u64,
    /// Requests that were answered, in those transactions or without one.
    pub requests: u64,
}

impl EmbeddedStore {
    /// Opens the store of a data folder, and makes it where there is none. Blocks; a large file that was not closed
    /// is checked whole.
    pub fn open(folder: Arc<DataFolder>, options: &Options) -> Result<EmbeddedStore> {
        let file = Arc::new(StoreFile::new(folder.clone(), options.cache_bytes));
        let database = file.open()?;
        file::admit(&database, &options.followers).map_err(|error| file.error(error))?;
        let slot = Arc::new(Slot { database: RwLock::new(Ok(database)) });
        let writer = Writer::start(file.clone(), slot.clone(), options)?;
        Ok(EmbeddedStore {
            slot,
            file,
            writer,
            reads: Semaphore::new(READS),
            reads_waiting: Semaphore::new(READS + READS_WAITING),
            leases: Leases::default(),
            followers: options.followers.clone().into(),
            _folder: folder,
        })
    }

    /// How much was written.
    pub fn written(&self) -> Written {
        let counts = &self.writer.counts;
        Written {
            commits: counts.commits.load(Ordering::Relaxed),
            requests: counts.requests.load(Ordering::Relaxed),
        }
    }

    /// Writes to other tables of the file, in the next transaction. `work` says whether it has changed anything.
    pub(crate) async fn write_tables<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce(&WriteTransaction) -> tables::Result<(T, bool)> + Send + 'static,
    ) -> Result<T> {
        self.writer.submit(bytes, move |tables: &mut Tables<'_>| tables.others(work)).await
    }

    /// Reads in a transaction of its own, on a thread that may block.
    async fn view<T: Send + 'static>(
        &self,
        read: impl FnOnce(&View) -> tables::Result<T> + Send + 'static,
    ) -> Result<T> {
        self.read_tables(move |transaction| read(&View::open(transaction)?)).await
    }

    /// As [`view`](Self::view), of any table of the file.
    pub(crate) async fn read_tables<T: Send + 'static>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> tables::Result<T> + Send + 'static,
    ) -> Result<T> {
        let _place = self.reads_waiting.try_acquire().map_err(|_| StoreError::Overloaded)?;
        let _turn = self.reads.acquire().await.map_err(|_| StoreError::closed())?;
        let slot = self.slot.clone();
        let file = self.file.clone();
        let read = move || {
            let read = slot.with(|database| {
                let transaction = database.begin_read()?;
                read(&transaction)
            })?;
            read.map_err(|error| {
                let failure = file.error(error);
                tracing::error!("the store can't be read: {failure}");
                if !matches!(failure, StoreError::Damaged(_)) {
                    // After a failed read the library answers nothing more until the writer opens the file anew.
                    slot.close(failure.clone());
                }
                failure
            })
        };
        let read = tokio::task::spawn_blocking(read).await;
        read.unwrap_or_else(|_| Err(self.file.damaged("reading it failed")))
    }
}

/// The open file, or why there is none.
struct Slot {
    database: RwLock<Result<Database>>,
}

impl Slot {
    fn with<T>(&self, work: impl FnOnce(&Database) -> T) -> Result<T> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        database.as_ref().map(work).map_err(StoreError::clone)
    }

    fn is_open(&self) -> bool {
        self.with(|_| ()).is_ok()
    }

    /// Waits until nobody uses what was there, and returns it.
    fn replace(&self, by: Result<Database>) -> Option<Database> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *database, by).ok()
    }

    /// Lets go of the file; from now on everything is answered with `reason`.
    fn close(&self, reason: StoreError) {
        if let Some(database) = self.replace(Err(reason)) {
            file::discard(database);
        }
    }

    fn open(&self, database: Database) {
        self.replace(Ok(database));
    }
}

impl RoomStore for EmbeddedStore {
    fn load<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Option<Loaded>>> {
        let room = room.clone();
        self.view(move |view| view.load(&room)).boxed()
    }

    fn claim<'a>(&'a self, room: &'a RoomId, epoch: u64) -> BoxFuture<'a, Result<u64>> {
        let room = room.clone();
        async move {
            limits::epoch(epoch)?;
            self.writer.submit(0, move |tables| tables.claim(&room, epoch)).await
        }
        .boxed()
    }

    fn start<'a>(&'a self, room: &'a RoomId, start: Start) -> BoxFuture<'a, Result<bool>> {
        let room = room.clone();
        async move {
            limits::start(&start)?;
            let bytes = start.snapshot.len() + start.summary.len();
            self.writer.submit(bytes, move |tables| tables.start(&room, &start)).await
        }
        .boxed()
    }

    fn append<'a>(&'a self, room: &'a RoomId, append: Append) -> BoxFuture<'a, Result<Appended>> {
        let room = room.clone();
        async move {
            limits::append(&room, &append)?;
            let bytes = append.bytes();
            let followers = self.followers.clone();
            let work = move |tables: &mut Tables<'_>| tables.append(&room, &append, &followers);
            self.writer.submit(bytes, work).await
        }
        .boxed()
    }

    fn amended<'a>(
        &'a self,
        room: &'a RoomId,
        from: Position,
        before_seq: u64,
    ) -> BoxFuture<'a, Result<Vec<(u64, Bytes)>>> {
        let room = room.clone();
        self.view(move |view| view.amended(&room, from, before_seq)).boxed()
    }

    fn read<'a>(
        &'a self,
        room: &'a RoomId,
        from: Position,
        limit: usize,
        max_bytes: usize,
    ) -> BoxFuture<'a, Result<Page>> {
        let room = room.clone();
        self.view(move |view| view.read(&room, from, PageBounds::new(limit, max_bytes))).boxed()
    }

    fn put_snapshot<'a>(
        &'a self,
        room: &'a RoomId,
        position: Position,
        snapshot: Bytes,
    ) -> BoxFuture<'a, Result<bool>> {
        let room = room.clone();
        async move {
            limits::snapshot(position, &snapshot)?;
            let bytes = snapshot.len();
            self.writer.submit(bytes, move |tables| tables.put_snapshot(&room, position, &snapshot)).await
        }
        .boxed()
    }

    fn trim<'a>(&'a self, room: &'a RoomId, before: Position) -> BoxFuture<'a, Result<u64>> {
        let room = room.clone();
        self.writer.submit(0, move |tables| tables.trim(&room, before)).boxed()
    }

    fn forget_amended<'a>(
        &'a self,
        room: &'a RoomId,
        epoch: u64,
        rows: Vec<(u64, Bytes)>,
    ) -> BoxFuture<'a, Result<()>> {
        let room = room.clone();
        self.writer.submit(0, move |tables| tables.forget_amended(&room, epoch, &rows)).boxed()
    }

    fn watch(&self) -> broadcast::Receiver<Hint> {
        self.writer.hints()
    }

    fn put_lease<'a>(
        &'a self,
        room: &'a RoomId,
        node: &'a str,
        note: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<()>> {
        let put = || {
            limits::lease(node, &note, ttl)?;
            self.slot.with(|_| ())?;
            self.leases.put(room, node, note.clone(), ttl)
        };
        ready(put()).boxed()
    }

    fn leases<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Vec<Lease>>> {
        ready(self.slot.with(|_| self.leases.of(room))).boxed()
    }

    fn summaries<'a>(
        &'a self,
        after: Option<&'a RoomId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(RoomId, Bytes)>>> {
        let after = after.cloned();
        self.view(move |view| view.summaries(after.as_ref(), limit)).boxed()
    }

    fn rooms<'a>(&'a self, cursor: Option<Bytes>) -> BoxFuture<'a, Result<RoomPage>> {
        async move {
            let after = limits::room_cursor(cursor.as_ref())?;
            self.view(move |view| view.rooms(after.as_ref())).await.map(limits::room_page)
        }
        .boxed()
    }

    fn summaries_of<'a>(&'a self, rooms: &'a [RoomId]) -> BoxFuture<'a, Result<Vec<Option<Bytes>>>> {
        let rooms = rooms.to_vec();
        async move {
            limits::rows(rooms.len())?;
            self.view(move |view| view.summaries_of(&rooms)).await
        }
        .boxed()
    }

    fn pending<'a>(
        &'a self,
        follower: Follower,
        after: Option<&'a RoomId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<RoomId>>> {
        let after = after.cloned();
        self.view(move |view| view.pending(follower, after.as_ref(), limit)).boxed()
    }

    fn cursor<'a>(&'a self, room: &'a RoomId, follower: Follower) -> BoxFuture<'a, Result<Option<Position>>> {
        let room = room.clone();
        self.view(move |view| view.cursor(&room, follower)).boxed()
    }

    fn set_cursor<'a>(
        &'a self,
        room: &'a RoomId,
        follower: Follower,
        position: Position,
    ) -> BoxFuture<'a, Result<bool>> {
        let room = room.clone();
        self.writer.submit(0, move |tables| tables.set_cursor(&room, follower, position)).boxed()
    }

    fn settle<'a>(
        &'a self,
        room: &'a RoomId,
        follower: Follower,
        at: Position,
    ) -> BoxFuture<'a, Result<bool>> {
        let room = room.clone();
        self.writer.submit(0, move |tables| tables.settle(&room, follower, at)).boxed()
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        async {
            self.writer.close().await;
            Ok(())
        }
        .boxed()
    }
}
