//! A store that is watched: every answer is taken as a sign of how it is doing.

use std::time::{Duration, Instant};

use bytes::Bytes;
use enfilade_core::{Position, RoomId};
use futures_util::future::BoxFuture;
use tokio::sync::broadcast;

use super::Meter;
use crate::store::{
    Append, Appended, Follower, Hint, KeyStore, Lease, Loaded, Page, Result, RoomPage, RoomStore,
    SharedStore, Start, StoreError,
};

/// A store whose answers feed a [`Meter`], and the metrics of each kind of operation.
pub struct Watched {
    store: SharedStore,
    meter: Meter,
}

/// What an answer says beyond that there was one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Reads,
    /// There is space for what people write.
    Writes,
}

impl Watched {
    /// Watches a store.
    pub fn new(store: SharedStore, meter: Meter) -> Watched {
        Watched { store, meter }
    }

    /// Asks the store for something small: to read, and to write what changes nothing, for a store that only reads (a
    /// replica, say) is of little use. `node` is this process's name.
    pub async fn ask(&self, node: &str) {
        let room = RoomId::server_settings();
        if self.load(&room).await.is_ok() {
            // Its answer is noted where it is given.
            let _ = self.put_lease(&room, node, Bytes::new(), Duration::ZERO).await;
        }
    }

    fn watched<'a, T: Send + 'a>(
        &'a self,
        (name, kind): (&'static str, Kind),
        work: BoxFuture<'a, Result<T>>,
    ) -> BoxFuture<'a, Result<T>> {
        Box::pin(async move {
            let begun = Instant::now();
            let result = work.await;
            self.note(name, kind, begun.elapsed(), result.as_ref().err());
            result
        })
    }

    fn note(&self, operation: &'static str, kind: Kind, took: Duration, error: Option<&StoreError>) {
        metrics::histogram!("enfilade_store_operation_seconds", "operation" => operation).record(took);
        let Some(error) = error else {
            self.meter.answered(took);
            if kind == Kind::Writes {
                self.meter.written();
            }
            return;
        };
        metrics::counter!("enfilade_store_operation_failures_total", "operation" => operation).increment(1);
        match error {
            StoreError::Unavailable(why) | StoreError::Locked(why) | StoreError::Inaccessible(why) => {
                self.meter.failed(why);
            }
            StoreError::Full(why) => self.meter.full(why),
            StoreError::Overloaded | StoreError::Damaged(_) => self.meter.troubled(&error.to_string()),
            // It says something about who has asked.
            StoreError::Invalid(_) => {}
        }
    }
}

impl RoomStore for Watched {
    fn keys(&self) -> Option<&dyn KeyStore> {
        self.store.keys()
    }

    fn load<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Option<Loaded>>> {
        self.watched(("load", Kind::Reads), self.store.load(room))
    }

    fn claim<'a>(&'a self, room: &'a RoomId, epoch: u64) -> BoxFuture<'a, Result<u64>> {
        self.watched(("claim", Kind::Reads), self.store.claim(room, epoch))
    }

    fn start<'a>(&'a self, room: &'a RoomId, start: Start) -> BoxFuture<'a, Result<bool>> {
        self.watched(("start", Kind::Writes), self.store.start(room, start))
    }

    fn append<'a>(&'a self, room: &'a RoomId, append: Append) -> BoxFuture<'a, Result<Appended>> {
        let work = self.store.append(room, append);
        Box::pin(async move {
            let begun = Instant::now();
            let result = work.await;
            let kind = match &result {
                Ok(Appended::Done { .. }) => Kind::Writes,
                Ok(Appended::Conflict { .. }) | Err(_) => Kind::Reads,
            };
            self.note("append", kind, begun.elapsed(), result.as_ref().err());
            result
        })
    }

    fn amended<'a>(
        &'a self,
        room: &'a RoomId,
        from: Position,
        before_seq: u64,
    ) -> BoxFuture<'a, Result<Vec<(u64, Bytes)>>> {
        self.watched(("amended", Kind::Reads), self.store.amended(room, from, before_seq))
    }

    fn read<'a>(
        &'a self,
        room: &'a RoomId,
        from: Position,
        limit: usize,
        max_bytes: usize,
    ) -> BoxFuture<'a, Result<Page>> {
        self.watched(("read", Kind::Reads), self.store.read(room, from, limit, max_bytes))
    }

    fn put_snapshot<'a>(
        &'a self,
        room: &'a RoomId,
        position: Position,
        snapshot: Bytes,
    ) -> BoxFuture<'a, Result<bool>> {
        self.watched(("put_snapshot", Kind::Reads), self.store.put_snapshot(room, position, snapshot))
    }

    fn trim<'a>(&'a self, room: &'a RoomId, before: Position) -> BoxFuture<'a, Result<u64>> {
        self.watched(("trim", Kind::Reads), self.store.trim(room, before))
    }

    fn forget_amended<'a>(
        &'a self,
        room: &'a RoomId,
        epoch: u64,
        rows: Vec<(u64, Bytes)>,
    ) -> BoxFuture<'a, Result<()>> {
        let forget = self.store.forget_amended(room, epoch, rows);
        self.watched(("forget_amended", Kind::Reads), forget)
    }

    fn watch(&self) -> broadcast::Receiver<Hint> {
        self.store.watch()
    }

    fn put_lease<'a>(
        &'a self,
        room: &'a RoomId,
        node: &'a str,
        note: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<()>> {
        self.watched(("put_lease", Kind::Reads), self.store.put_lease(room, node, note, ttl))
    }

    fn leases<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Vec<Lease>>> {
        self.watched(("leases", Kind::Reads), self.store.leases(room))
    }

    fn summaries<'a>(
        &'a self,
        after: Option<&'a RoomId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(RoomId, Bytes)>>> {
        self.watched(("summaries", Kind::Reads), self.store.summaries(after, limit))
    }

    fn rooms<'a>(&'a self, cursor: Option<Bytes>) -> BoxFuture<'a, Result<RoomPage>> {
        self.watched(("rooms", Kind::Reads), self.store.rooms(cursor))
    }

    fn summaries_of<'a>(&'a self, rooms: &'a [RoomId]) -> BoxFuture<'a, Result<Vec<Option<Bytes>>>> {
        self.watched(("summaries_of", Kind::Reads), self.store.summaries_of(rooms))
    }

    fn pending<'a>(
        &'a self,
        follower: Follower,
        after: Option<&'a RoomId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<RoomId>>> {
        self.watched(("pending", Kind::Reads), self.store.pending(follower, after, limit))
    }

    fn cursor<'a>(&'a self, room: &'a RoomId, follower: Follower) -> BoxFuture<'a, Result<Option<Position>>> {
        self.watched(("cursor", Kind::Reads), self.store.cursor(room, follower))
    }

    fn set_cursor<'a>(
        &'a self,
        room: &'a RoomId,
        follower: Follower,
        position: Position,
    ) -> BoxFuture<'a, Result<bool>> {
        self.watched(("set_cursor", Kind::Reads), self.store.set_cursor(room, follower, position))
    }

    fn settle<'a>(
        &'a self,
        room: &'a RoomId,
        follower: Follower,
        at: Position,
    ) -> BoxFuture<'a, Result<bool>> {
        self.watched(("settle", Kind::Reads), self.store.settle(room, follower, at))
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        self.store.close()
    }
}
