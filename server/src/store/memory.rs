use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use enfilade_core::{Position, RoomId};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use tokio::sync::broadcast;

use super::keys;
use super::leases::Leases;
use super::limits::{self, Limits, PageBounds};
use super::{
    Append, Appended, Follower, HINTS, Hint, KeyCommand, KeyStore, KeyWrite, Lease, Loaded, Page, Result,
    RoomPage, RoomStore, Start, StoreError,
};
use crate::readable::live::node_of;
use crate::readable::{Keyspace, Readable, Value};

/// A store that forgets everything with the process: for tests and simulations.
pub struct MemoryStore {
    rooms: Mutex<Option<Rooms>>,
    followers: Vec<Follower>,
    shows: Option<Readable>,
    leases: Leases,
    hints: broadcast::Sender<Hint>,
}

#[derive(Default)]
struct Rooms {
    logs: BTreeMap<RoomId, Log>,
    summaries: BTreeMap<RoomId, Bytes>,
    keys: Keyspace,
    /// Rooms of which a follower has not done everything yet.
    work: BTreeSet<(Follower, RoomId)>,
}

struct Log {
    epoch: u64,
    snapshot: Option<(Position, Bytes)>,
    /// Seq of the first of `entries`.
    oldest: u64,
    entries: VecDeque<Bytes>,
    amended: BTreeMap<u64, Bytes>,
    cursors: BTreeMap<Follower, Position>,
}

impl Log {
    fn head(&self) -> Position {
        Position { epoch: self.epoch, seq: self.oldest - 1 + self.entries.len() as u64 }
    }

    /// Entries from a seq on, or from the oldest that is left.
    fn page(&self, from: u64, mut bounds: PageBounds) -> Vec<(u64, Bytes)> {
        let from = from.max(self.oldest);
        let skip = usize::try_from(from - self.oldest).unwrap_or(usize::MAX);
        let entries = (from..).zip(self.entries.iter().skip(skip));
        entries
            .take_while(|(_, entry)| bounds.take(entry.len()))
            .map(|(seq, entry)| (seq, entry.clone()))
            .collect()
    }

    /// Entries right after a seq; none when the first of them is gone.
    fn after(&self, seq: u64) -> Vec<Bytes> {
        if seq + 1 < self.oldest {
            return Vec::new();
        }
        self.page(seq + 1, PageBounds::full()).into_iter().map(|(_, entry)| entry).collect()
    }
}

impl Default for MemoryStore {
    fn default() -> MemoryStore {
        MemoryStore {
            rooms: Mutex::new(Some(Rooms::default())),
            followers: Vec::new(),
            shows: None,
            leases: Leases::default(),
            hints: broadcast::channel(HINTS).0,
        }
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    /// An empty store that these follow.
    pub fn followed_by(followers: &[Follower]) -> MemoryStore {
        MemoryStore { followers: followers.to_vec(), ..MemoryStore::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Rooms>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An empty store with readable keys.
    pub fn showing(shows: Readable) -> MemoryStore {
        MemoryStore { shows: Some(shows), ..MemoryStore::default() }
    }

    /// An empty store with readable keys, that these follow.
    pub fn showing_followed_by(shows: Readable, followers: &[Follower]) -> MemoryStore {
        MemoryStore { shows: Some(shows), ..MemoryStore::followed_by(followers) }
    }

    /// The readable keys as they are now.
    pub fn keyspace(&self) -> Keyspace {
        self.lock().as_ref().map(|rooms| rooms.keys.clone()).unwrap_or_default()
    }

    /// Does one operation on the rooms, at once.
    fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Rooms) -> Result<T>,
    ) -> BoxFuture<'_, Result<T>> {
        let result = match self.lock().as_mut() {
            Some(rooms) => work(rooms),
            None => Err(StoreError::closed()),
        };
        ready(result).boxed()
    }
}

impl RoomStore for MemoryStore {
    fn load<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Option<Loaded>>> {
        self.with(|rooms| {
            let loaded = |log: &Log| {
                let covered = log.snapshot.as_ref().map_or(0, |(position, _)| position.seq);
                Loaded { head: log.head(), snapshot: log.snapshot.clone(), entries: log.after(covered) }
            };
            Ok(rooms.logs.get(room).map(loaded))
        })
    }

    fn claim<'a>(&'a self, room: &'a RoomId, epoch: u64) -> BoxFuture<'a, Result<u64>> {
        self.with(|rooms| {
            limits::epoch(epoch)?;
            let log = rooms.logs.entry(room.clone()).or_insert_with(|| Log {
                epoch,
                snapshot: None,
                oldest: 1,
                entries: VecDeque::new(),
                amended: BTreeMap::new(),
                cursors: BTreeMap::new(),
            });
            Ok(log.epoch)
        })
    }

    fn start<'a>(&'a self, room: &'a RoomId, start: Start) -> BoxFuture<'a, Result<bool>> {
        self.with(|rooms| {
            limits::start(&start)?;
            let Start { at, snapshot, summary, is_lost: _ } = start;
            if rooms.logs.contains_key(room) {
                return Ok(false);
            }
            let log = Log {
                epoch: at.epoch,
                snapshot: Some((at, snapshot)),
                oldest: at.seq + 1,
                entries: VecDeque::new(),
                amended: BTreeMap::new(),
                cursors: BTreeMap::new(),
            };
            rooms.logs.insert(room.clone(), log);
            if !summary.is_empty() {
                rooms.summaries.insert(room.clone(), summary);
            }
            Ok(true)
        })
    }

    fn append<'a>(&'a self, room: &'a RoomId, append: Append) -> BoxFuture<'a, Result<Appended>> {
        self.with(|rooms| {
            limits::append(room, &append)?;
            let Append { expected, batch, summary, amended, keys } = append;
            let Some(log) = rooms.logs.get_mut(room) else {
                return Ok(Appended::Conflict { head: Position::default(), missing: Vec::new() });
            };
            let head = log.head();
            if head != expected {
                let missing = if head.epoch == expected.epoch { log.after(expected.seq) } else { Vec::new() };
                return Ok(Appended::Conflict { head, missing });
            }
            log.entries.extend(batch);
            log.amended.extend(amended);
            if self.shows.is_some() {
                rooms.keys.apply(keys);
            }
            let head = log.head();
            if summary.is_empty() {
                rooms.summaries.remove(room);
            } else {
                rooms.summaries.insert(room.clone(), summary);
            }
            rooms.work.extend(self.followers.iter().map(|follower| (*follower, room.clone())));
            // Nobody watching is fine.
            let _ = self.hints.send(Hint { room: room.clone(), head });
            Ok(Appended::Done { head })
        })
    }

    fn amended<'a>(
        &'a self,
        room: &'a RoomId,
        from: Position,
        before_seq: u64,
    ) -> BoxFuture<'a, Result<Vec<(u64, Bytes)>>> {
        self.with(|rooms| {
            let log = rooms.logs.get(room).filter(|log| log.epoch == from.epoch && from.seq < before_seq);
            let rows = log.into_iter().flat_map(|log| log.amended.range(from.seq..before_seq));
            Ok(rows.take(Limits::PAGE_ENTRIES).map(|(seq, row)| (*seq, row.clone())).collect())
        })
    }

    fn read<'a>(
        &'a self,
        room: &'a RoomId,
        from: Position,
        limit: usize,
        max_bytes: usize,
    ) -> BoxFuture<'a, Result<Page>> {
        self.with(|rooms| {
            let Some(log) = rooms.logs.get(room) else {
                return Ok(Page { head: Position::default(), entries: Vec::new() });
            };
            let head = log.head();
            let entries = if from.epoch == head.epoch {
                log.page(from.seq, PageBounds::new(limit, max_bytes))
            } else {
                Vec::new()
            };
            Ok(Page { head, entries })
        })
    }

    fn put_snapshot<'a>(
        &'a self,
        room: &'a RoomId,
        position: Position,
        snapshot: Bytes,
    ) -> BoxFuture<'a, Result<bool>> {
        self.with(|rooms| {
            limits::snapshot(position, &snapshot)?;
            let Some(log) = rooms.logs.get_mut(room) else { return Ok(false) };
            let newer = log.snapshot.as_ref().is_none_or(|(stored, _)| stored.seq < position.seq);
            let taken = newer && position.epoch == log.epoch && position.seq <= log.head().seq;
            if taken {
                log.snapshot = Some((position, snapshot));
            }
            Ok(taken)
        })
    }

    fn trim<'a>(&'a self, room: &'a RoomId, before: Position) -> BoxFuture<'a, Result<u64>> {
        self.with(|rooms| {
            let Some(log) = rooms.logs.get_mut(room) else { return Ok(0) };
            let covered = log.snapshot.as_ref().map_or(0, |(position, _)| position.seq);
            if before.epoch == log.epoch {
                let end = before.seq.min(covered + 1).min(log.oldest + Limits::TRIM_ENTRIES);
                while log.oldest < end && log.entries.pop_front().is_some() {
                    log.oldest += 1;
                }
            }
            Ok(log.oldest)
        })
    }

    fn forget_amended<'a>(
        &'a self,
        room: &'a RoomId,
        epoch: u64,
        rows: Vec<(u64, Bytes)>,
    ) -> BoxFuture<'a, Result<()>> {
        self.with(|rooms| {
            if let Some(log) = rooms.logs.get_mut(room).filter(|log| log.epoch == epoch) {
                log.amended.retain(|seq, message| !rows.iter().any(|(of, row)| of == seq && row == message));
            }
            Ok(())
        })
    }

    fn watch(&self) -> broadcast::Receiver<Hint> {
        self.hints.subscribe()
    }

    fn put_lease<'a>(
        &'a self,
        room: &'a RoomId,
        node: &'a str,
        note: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<()>> {
        self.with(|_| {
            limits::lease(node, &note, ttl)?;
            self.leases.put(room, node, note, ttl)
        })
    }

    fn leases<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Vec<Lease>>> {
        self.with(|_| Ok(self.leases.of(room)))
    }

    fn summaries<'a>(
        &'a self,
        after: Option<&'a RoomId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(RoomId, Bytes)>>> {
        self.with(|rooms| {
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let rows = rooms.summaries.range((from, Bound::Unbounded));
            Ok(rows
                .take(limit.min(Limits::PAGE_ROWS))
                .map(|(room, row)| (room.clone(), row.clone()))
                .collect())
        })
    }

    fn rooms<'a>(&'a self, cursor: Option<Bytes>) -> BoxFuture<'a, Result<RoomPage>> {
        self.with(|rooms| {
            let after = limits::room_cursor(cursor.as_ref())?;
            let from = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
            let ids = rooms.logs.range((from, Bound::Unbounded)).take(Limits::PAGE_ROOMS);
            Ok(limits::room_page(ids.map(|(room, _)| room.clone()).collect()))
        })
    }

    fn summaries_of<'a>(&'a self, rooms: &'a [RoomId]) -> BoxFuture<'a, Result<Vec<Option<Bytes>>>> {
        self.with(|stored| {
            limits::rows(rooms.len())?;
            Ok(rooms.iter().map(|room| stored.summaries.get(room).cloned()).collect())
        })
    }

    fn pending<'a>(
        &'a self,
        follower: Follower,
        after: Option<&'a RoomId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<RoomId>>> {
        self.with(|rooms| {
            let listed = rooms.work.iter().filter(|(of, _)| *of == follower).map(|(_, room)| room);
            let listed = listed.filter(|room| after.is_none_or(|after| *room > after));
            Ok(listed.take(limit.min(Limits::PAGE_ROOMS)).cloned().collect())
        })
    }

    fn cursor<'a>(&'a self, room: &'a RoomId, follower: Follower) -> BoxFuture<'a, Result<Option<Position>>> {
        self.with(|rooms| Ok(rooms.logs.get(room).and_then(|log| log.cursors.get(&follower).copied())))
    }

    fn set_cursor<'a>(
        &'a self,
        room: &'a RoomId,
        follower: Follower,
        position: Position,
    ) -> BoxFuture<'a, Result<bool>> {
        self.with(|rooms| {
            let Some(log) = rooms.logs.get_mut(room) else { return Ok(false) };
            let stored = log.cursors.get(&follower).copied();
            let taken = limits::is_cursor(stored, position, log.head());
            if taken {
                log.cursors.insert(follower, position);
            }
            Ok(taken)
        })
    }

    fn settle<'a>(
        &'a self,
        room: &'a RoomId,
        follower: Follower,
        at: Position,
    ) -> BoxFuture<'a, Result<bool>> {
        self.with(|rooms| {
            let settled = rooms.logs.get(room).is_some_and(|log| log.head() == at);
            if settled {
                rooms.work.remove(&(follower, room.clone()));
            }
            Ok(settled)
        })
    }

    fn keys(&self) -> Option<&dyn KeyStore> {
        self.shows.is_some().then_some(self)
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        *self.lock() = None;
        ready(Ok(())).boxed()
    }
}

impl KeyStore for MemoryStore {
    fn shows(&self) -> &Readable {
        self.shows.as_ref().unwrap_or(&Readable::DEFAULT)
    }

    fn fields<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<BTreeMap<String, String>>> {
        self.with(|rooms| match rooms.keys.get(key) {
            Some(Value::Hash(hash)) => Ok(hash.clone()),
            _ => Ok(BTreeMap::new()),
        })
    }

    fn keys_of<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Vec<String>>> {
        let tag = format!("{{{room}}}");
        self.with(move |rooms| {
            Ok(rooms.keys.iter().map(|(key, _)| key.to_owned()).filter(|key| key.contains(&tag)).collect())
        })
    }

    fn rewrite<'a>(
        &'a self,
        room: &'a RoomId,
        at: Position,
        keys: Vec<KeyWrite>,
    ) -> BoxFuture<'a, Result<bool>> {
        self.with(|rooms| {
            keys::check(room, &keys)?;
            let is_there = rooms.logs.get(room).is_some_and(|log| log.head() == at);
            if is_there {
                rooms.keys.apply(keys);
            }
            Ok(is_there)
        })
    }

    fn write(&self, keys: Vec<KeyWrite>) -> BoxFuture<'_, Result<()>> {
        self.with(|rooms| {
            rooms.keys.apply(keys);
            Ok(())
        })
    }

    fn name<'a>(
        &'a self,
        key: &'a str,
        room: &'a RoomId,
        old: &'a str,
        new: &'a str,
    ) -> BoxFuture<'a, Result<()>> {
        self.with(|rooms| {
            rooms.keys.name(key, room.as_str(), old, new);
            Ok(())
        })
    }

    fn prune<'a>(&'a self, key: &'a str, nodes: &'a BTreeSet<String>) -> BoxFuture<'a, Result<()>> {
        self.with(|rooms| {
            let Some(Value::Scores(scores)) = rooms.keys.get(key) else { return Ok(()) };
            let gone = scores.keys().filter(|conn| !nodes.contains(node_of(conn)));
            let gone: Vec<Bytes> = gone.map(|conn| Bytes::from(conn.clone())).collect();
            rooms.keys.apply([KeyWrite { key: key.to_owned(), command: KeyCommand::ZRem(gone) }]);
            Ok(())
        })
    }

    fn publish<'a>(&'a self, _: &'a str, _: Bytes) -> BoxFuture<'a, Result<()>> {
        // Nobody listens within the process.
        ready(Ok(())).boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::MemoryStore;
    use crate::store::contract::{Fixture, contract};
    use crate::store::{Follower, SharedStore};

    struct InMemory;

    impl Fixture for InMemory {
        async fn new() -> Option<(SharedStore, InMemory)> {
            Some((Arc::new(MemoryStore::followed_by(&Follower::ALL)), InMemory))
        }
    }

    contract!(memory, InMemory);
}
