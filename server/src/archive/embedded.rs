//! The archive of a single machine: tables in the file of its store.

use std::sync::Arc;

use bytes::Bytes;
use enfilade_core::{Entry, Millis, OpId, Position, RoomId, v1};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use mongodb::bson;
use prost::Message as _;
use redb::{
    ReadOnlyTable, ReadTransaction, ReadableTable as _, TableDefinition, TableError, WriteTransaction,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::documents::date;
use super::{Archive, PAGE_BYTES, PAGE_ENTRIES, PAGE_ROOMS, Page, RoomDocument, Setting, UserDocument};
use crate::store::{EmbeddedStore, Result, StoreError};

/// Room, epoch, seq.
type EntryKey = (&'static str, u64, u64);
/// Room, client, counter, epoch, seq.
type OpKey = (&'static str, u64, u64, u64, u64);
/// Epoch, seq and what was there.
type At = (u64, u64, &'static [u8]);

const ENTRIES: TableDefinition<EntryKey, &[u8]> = TableDefinition::new("archive_entries");
/// With the entry that changed it last.
const AMENDED: TableDefinition<EntryKey, (u64, &[u8])> = TableDefinition::new("archive_amended");
const OPS: TableDefinition<OpKey, ()> = TableDefinition::new("archive_ops");
/// By room and epoch.
const ORIGINS: TableDefinition<(&str, u64), (u64, u64)> = TableDefinition::new("archive_origins");
const SNAPSHOTS: TableDefinition<&str, At> = TableDefinition::new("archive_snapshots");
const ROOMS: TableDefinition<&str, &[u8]> = TableDefinition::new("archive_rooms");
const USERS: TableDefinition<&str, &[u8]> = TableDefinition::new("archive_users");

type TableResult<T> = std::result::Result<T, redb::Error>;

/// An archive in the store's own file. What is written waits for the writer's next transaction, as all writes do.
pub struct EmbeddedArchive {
    store: Arc<EmbeddedStore>,
}

impl EmbeddedArchive {
    /// The archive within this store.
    pub fn new(store: Arc<EmbeddedStore>) -> EmbeddedArchive {
        EmbeddedArchive { store }
    }

    /// Writes in the next transaction, and says whether there was anything to write.
    async fn write<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce(&WriteTransaction) -> TableResult<(T, bool)> + Send + 'static,
    ) -> Result<T> {
        self.store.write_tables(bytes, work).await
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> TableResult<T> + Send + 'static,
    ) -> Result<T> {
        self.store.read_tables(work).await
    }
}

/// A table to read, if anything was ever written to it.
fn table<K: redb::Key + 'static, V: redb::Value + 'static>(
    transaction: &ReadTransaction,
    definition: TableDefinition<K, V>,
) -> TableResult<Option<ReadOnlyTable<K, V>>> {
    match transaction.open_table(definition) {
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        table => Ok(Some(table?)),
    }
}

fn encode(document: &impl Serialize) -> TableResult<Vec<u8>> {
    bson::serialize_to_vec(document).map_err(|error| redb::Error::Corrupted(error.to_string()))
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> TableResult<T> {
    let read = bson::deserialize_from_slice(bytes);
    read.map_err(|error| redb::Error::Corrupted(format!("a document of the archive can't be read: {error}")))
}

impl Archive for EmbeddedArchive {
    fn put_entries<'a>(
        &'a self,
        room: &'a RoomId,
        epoch: u64,
        entries: &'a [Entry],
    ) -> BoxFuture<'a, Result<()>> {
        let room = room.clone();
        let rows: Vec<_> = entries.iter().map(|entry| (entry.seq, entry.op_id, entry.encode())).collect();
        let bytes = rows.iter().map(|(_, _, bytes)| bytes.len()).sum();
        async move {
            let put = self.write(bytes, move |transaction| {
                let mut entries = transaction.open_table(ENTRIES)?;
                let mut ops = transaction.open_table(OPS)?;
                let mut has_changed = false;
                for (seq, op_id, bytes) in rows {
                    let key = (room.as_str(), epoch, seq);
                    let there = entries.get(key)?.map(|there| there.value() == bytes.as_slice());
                    match there {
                        Some(true) => {}
                        Some(false) => return Ok((Err(seq), has_changed)),
                        None => {
                            entries.insert(key, bytes.as_slice())?;
                            ops.insert((room.as_str(), op_id.client.0, op_id.counter, epoch, seq), ())?;
                            has_changed = true;
                        }
                    }
                }
                Ok((Ok(()), has_changed))
            });
            put.await?.map_err(|seq| StoreError::Damaged(format!("the archive has another entry {seq}")))
        }
        .boxed()
    }

    fn put_amended<'a>(
        &'a self,
        room: &'a RoomId,
        at: Position,
        message: &'a v1::Message,
    ) -> BoxFuture<'a, Result<()>> {
        let room = room.clone();
        let (changed_seq, message) = (message.changed_seq, message.encode_to_vec());
        self.write(message.len(), move |transaction| {
            let key = (room.as_str(), at.epoch, at.seq);
            let is_there = transaction.open_table(ENTRIES)?.get(key)?.is_some();
            let mut amended = transaction.open_table(AMENDED)?;
            let is_newer = amended.get(key)?.is_none_or(|known| known.value().0 < changed_seq);
            if is_there && is_newer {
                amended.insert(key, (changed_seq, message.as_slice()))?;
            }
            Ok(((), is_there && is_newer))
        })
        .boxed()
    }

    fn entries<'a>(
        &'a self,
        room: &'a RoomId,
        from: Position,
        before_seq: u64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page>> {
        let room = room.clone();
        self.read(move |transaction| {
            let mut page = Page::default();
            let Some(entries) = table(transaction, ENTRIES)? else { return Ok(page) };
            if from.seq >= before_seq {
                return Ok(page);
            }
            let key = |seq| (room.as_str(), from.epoch, seq);
            let mut bytes = 0;
            for row in entries.range(key(from.seq)..key(before_seq))?.take(limit.min(PAGE_ENTRIES)) {
                let (key, entry) = row?;
                bytes += entry.value().len();
                if bytes > PAGE_BYTES && !page.entries.is_empty() {
                    break;
                }
                page.entries.push((key.value().2, Bytes::copy_from_slice(entry.value())));
            }
            let (Some(amended), Some((last, _))) = (table(transaction, AMENDED)?, page.entries.last()) else {
                return Ok(page);
            };
            for row in amended.range(key(from.seq)..=key(*last))? {
                let (key, message) = row?;
                page.amended.push((key.value().2, Bytes::copy_from_slice(message.value().1)));
            }
            Ok(page)
        })
        .boxed()
    }

    fn find<'a>(&'a self, room: &'a RoomId, op_id: OpId) -> BoxFuture<'a, Result<Vec<Position>>> {
        let room = room.clone();
        self.read(move |transaction| {
            let Some(ops) = table(transaction, OPS)? else { return Ok(Vec::new()) };
            let key = |epoch, seq| (room.as_str(), op_id.client.0, op_id.counter, epoch, seq);
            let rows = ops.range(key(0, 0)..=key(u64::MAX, u64::MAX))?;
            let position =
                |row: std::result::Result<(redb::AccessGuard<'_, OpKey>, _), redb::StorageError>| {
                    let (_, _, _, epoch, seq) = row?.0.value();
                    Ok(Position { epoch, seq })
                };
            rows.map(position).collect()
        })
        .boxed()
    }

    fn put_origin<'a>(&'a self, room: &'a RoomId, epoch: u64, origin: Position) -> BoxFuture<'a, Result<()>> {
        let room = room.clone();
        self.write(0, move |transaction| {
            let mut origins = transaction.open_table(ORIGINS)?;
            let is_new = origins.get((room.as_str(), epoch))?.is_none();
            if is_new {
                origins.insert((room.as_str(), epoch), (origin.epoch, origin.seq))?;
            }
            Ok(((), is_new))
        })
        .boxed()
    }

    fn origin<'a>(&'a self, room: &'a RoomId, epoch: u64) -> BoxFuture<'a, Result<Option<Position>>> {
        let room = room.clone();
        self.read(move |transaction| {
            let Some(origins) = table(transaction, ORIGINS)? else { return Ok(None) };
            let origin = origins.get((room.as_str(), epoch))?.map(|row| row.value());
            Ok(origin.map(|(epoch, seq)| Position { epoch, seq }))
        })
        .boxed()
    }

    fn put_snapshot<'a>(
        &'a self,
        room: &'a RoomId,
        at: Position,
        snapshot: Bytes,
    ) -> BoxFuture<'a, Result<()>> {
        let room = room.clone();
        self.write(snapshot.len(), move |transaction| {
            let mut snapshots = transaction.open_table(SNAPSHOTS)?;
            let known = snapshots.get(room.as_str())?.map(|row| (row.value().0, row.value().1));
            let is_newer = known.is_none_or(|(epoch, seq)| epoch != at.epoch || seq < at.seq);
            if is_newer {
                snapshots.insert(room.as_str(), (at.epoch, at.seq, snapshot.as_ref()))?;
            }
            Ok(((), is_newer))
        })
        .boxed()
    }

    fn snapshot<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Option<(Position, Bytes)>>> {
        let room = room.clone();
        self.read(move |transaction| {
            let Some(snapshots) = table(transaction, SNAPSHOTS)? else { return Ok(None) };
            Ok(snapshots.get(room.as_str())?.map(|row| {
                let (epoch, seq, state) = row.value();
                (Position { epoch, seq }, Bytes::copy_from_slice(state))
            }))
        })
        .boxed()
    }

    fn room<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Option<RoomDocument>>> {
        let room = room.clone();
        self.read(move |transaction| {
            let Some(rooms) = table(transaction, ROOMS)? else { return Ok(None) };
            rooms.get(room.as_str())?.map(|row| decode(row.value())).transpose()
        })
        .boxed()
    }

    fn put_room<'a>(
        &'a self,
        expected: Option<Position>,
        document: &'a RoomDocument,
    ) -> BoxFuture<'a, Result<bool>> {
        let document = document.clone();
        self.write(0, move |transaction| {
            let mut rooms = transaction.open_table(ROOMS)?;
            let known = rooms.get(document.room_id.as_str())?.map(|row| decode::<RoomDocument>(row.value()));
            if known.transpose()?.map(|known| known.position()) != expected {
                return Ok((false, false));
            }
            rooms.insert(document.room_id.as_str(), encode(&document)?.as_slice())?;
            Ok((true, true))
        })
        .boxed()
    }

    fn rooms<'a>(
        &'a self,
        after: Option<&'a RoomId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<RoomDocument>>> {
        let after = after.cloned();
        self.read(move |transaction| {
            let Some(rooms) = table(transaction, ROOMS)? else { return Ok(Vec::new()) };
            let from = match &after {
                Some(room) => std::ops::Bound::Excluded(room.as_str()),
                None => std::ops::Bound::Unbounded,
            };
            let rows = rooms.range::<&str>((from, std::ops::Bound::Unbounded))?;
            rows.take(limit.min(PAGE_ROOMS)).map(|row| decode(row?.1.value())).collect()
        })
        .boxed()
    }

    fn user<'a>(&'a self, user: &'a str) -> BoxFuture<'a, Result<Option<UserDocument>>> {
        let user = user.to_owned();
        self.read(move |transaction| {
            let Some(users) = table(transaction, USERS)? else { return Ok(None) };
            users.get(user.as_str())?.map(|row| decode(row.value())).transpose()
        })
        .boxed()
    }

    fn see_user<'a>(&'a self, user: &'a str, name: &'a str, at: Millis) -> BoxFuture<'a, Result<()>> {
        let name = name.to_owned();
        self.change_user(user, move |user| {
            let is_newer = user.last_seen < date(at);
            if is_newer {
                (user.last_seen, user.username) = (date(at), name);
            }
            is_newer
        })
        .boxed()
    }

    fn set_user<'a>(
        &'a self,
        user: &'a str,
        status: &'a str,
        settings: &'a [Setting],
    ) -> BoxFuture<'a, Result<()>> {
        let (status, settings) = (status.to_owned(), settings.to_vec());
        self.change_user(user, move |user| {
            (user.status, user.settings) = (status, settings);
            true
        })
        .boxed()
    }

    fn is_apart(&self) -> bool {
        false
    }

    fn ping(&self) -> BoxFuture<'_, Result<()>> {
        self.read(|_| Ok(())).boxed()
    }
}

impl EmbeddedArchive {
    async fn change_user(
        &self,
        user: &str,
        change: impl FnOnce(&mut UserDocument) -> bool + Send + 'static,
    ) -> Result<()> {
        let user = user.to_owned();
        self.write(0, move |transaction| {
            let mut users = transaction.open_table(USERS)?;
            let known = users.get(user.as_str())?.map(|row| decode(row.value())).transpose()?;
            let mut document = known.unwrap_or_else(|| UserDocument::new(&user));
            let has_changed = change(&mut document);
            if has_changed {
                users.insert(user.as_str(), encode(&document)?.as_slice())?;
            }
            Ok(((), has_changed))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::archive::SharedArchive;
    use crate::archive::contract::{Fixture, contract};
    use crate::folder::DataFolder;

    struct OnDisk(#[allow(dead_code)] TempDir);

    impl Fixture for OnDisk {
        async fn new() -> Option<(SharedArchive, OnDisk)> {
            let place = TempDir::new().unwrap();
            let folder = Arc::new(DataFolder::open(place.path()).unwrap());
            let store = Arc::new(EmbeddedStore::open(folder, &crate::store::Options::default()).unwrap());
            Some((Arc::new(EmbeddedArchive::new(store)), OnDisk(place)))
        }
    }

    contract!(embedded, OnDisk);
}
