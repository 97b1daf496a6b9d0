//! The archive of many servers: MongoDB. Every write is a single document's, so that no transaction is needed.

use std::time::Duration;

use bytes::Bytes;
use enfilade_core::{Entry, Millis, OpId, Position, RoomId, hash53, v1};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, TryStreamExt as _};
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{self, Binary, Document, doc};
use mongodb::error::{Error, ErrorKind, WriteFailure};
use mongodb::options::{ClientOptions, IndexOptions, ReadConcern, WriteConcern};
use mongodb::{Client, Collection, Database, IndexModel};
use prost::Message as _;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::documents::{ChatMessageDocument, OpIdDocument, date, integer};
use super::{Archive, PAGE_BYTES, PAGE_ENTRIES, PAGE_ROOMS, Page, RoomDocument, Setting, UserDocument};
use crate::store::{Result, StoreError};

const ENTRIES: &str = "entries";
const ORIGINS: &str = "origins";
const SNAPSHOTS: &str = "snapshots";
const ROOMS: &str = "rooms";
const USERS: &str = "users";

/// A document that is there already.
const DUPLICATE_KEY: i32 = 11_000;
/// MongoDB's codes for a refused login, and for one that may not do this.
const REFUSED: [i32; 3] = [13, 18, 8_000];
/// A document takes 16 MiB; this leaves room for the names of its fields.
const SNAPSHOT_BYTES: usize = 15 * 1024 * 1024;
/// How often the driver looks whether a server is there: what comes back is used within this.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Logs in which one operation can lie: those that a room had one after the other.
const FOUND: i64 = 16;

/// How MongoDB is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MongoOptions {
    /// Where it is; may hold a password, so it is never shown.
    pub url: String,
    /// The database within it.
    pub database: String,
    /// The longest that one request may take.
    pub timeout: Duration,
    /// Connections at once.
    pub pool_size: u32,
}

/// An archive in MongoDB 5 or later, or what speaks its language.
///
/// Collections: `entries`, `rooms`, `users`, `origins`, `snapshots`. Writes wait for the majority and its journals. No
/// sessions, transactions or change streams are used.
pub struct MongoArchive {
    database: Database,
    entries: Collection<Document>,
    timeout: Duration,
}

/// An entry of a log. `entry` counts, and all else is for people and for finding it.
#[derive(Serialize)]
struct EntryDocument {
    room_id: String,
    epoch: i64,
    seq: i64,
    op_id: OpIdDocument,
    user_id: String,
    username: String,
    timestamp: bson::DateTime,
    kind: &'static str,
    /// Of a message: as it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<ChatMessageDocument>,
    /// The entry that changed the message last.
    changed_seq: i64,
    entry: Binary,
    check: i64,
}

/// What is read of it.
#[derive(Deserialize)]
struct EntryRow {
    seq: i64,
    entry: Binary,
    check: i64,
    #[serde(default)]
    amended: Option<Binary>,
}

#[derive(Deserialize)]
struct OriginRow {
    from_epoch: i64,
    from_seq: i64,
}

#[derive(Deserialize)]
struct PositionRow {
    epoch: i64,
    seq: i64,
}

#[derive(Deserialize)]
struct SnapshotRow {
    epoch: i64,
    seq: i64,
    state: Binary,
    check: i64,
}

impl MongoArchive {
    /// Reaches MongoDB, and makes the indexes that are missing.
    ///
    /// # Errors
    /// `Inaccessible` for what only an operator can change: the message says what to do. `Unavailable` while it does
    /// not answer.
    pub async fn open(options: &MongoOptions) -> Result<MongoArchive> {
        let parsed = ClientOptions::parse(&options.url).await;
        let mut client = parsed.map_err(|error| {
            StoreError::Inaccessible(format!(
                "mongodb.url can't be used ({}); write it as mongodb://user:password@host:27017",
                *error.kind
            ))
        })?;
        client.app_name = Some("enfilade".into());
        client.max_pool_size = Some(options.pool_size);
        client.connect_timeout = Some(options.timeout);
        client.server_selection_timeout = Some(options.timeout);
        client.heartbeat_freq = Some(HEARTBEAT);
        client.write_concern = Some(WriteConcern::majority());
        client.read_concern = Some(ReadConcern::majority());
        let client = Client::with_options(client).map_err(explain)?;
        let database = client.database(&options.database);
        let entries = database.collection(ENTRIES);
        let archive = MongoArchive { database, entries, timeout: options.timeout };
        archive.make_indexes().await?;
        Ok(archive)
    }

    async fn make_indexes(&self) -> Result<()> {
        let unique = IndexOptions::builder().name("log".to_owned()).unique(true).build();
        let log = IndexModel::builder().keys(doc! { "room_id": 1, "epoch": 1, "seq": 1 }).options(unique);
        let named = IndexOptions::builder().name("operation".to_owned()).build();
        let operation = IndexModel::builder()
            .keys(doc! { "room_id": 1, "op_id.client": 1, "op_id.counter": 1 })
            .options(named);
        let make = self.entries.create_indexes([log.build(), operation.build()]);
        self.within(async { make.await.map(drop) }).await
    }

    /// One request, within the time that it may take.
    async fn within<T>(&self, request: impl Future<Output = mongodb::error::Result<T>>) -> Result<T> {
        match tokio::time::timeout(self.timeout, request).await {
            Ok(answer) => answer.map_err(explain),
            Err(_) => Err(StoreError::Unavailable(format!(
                "MongoDB has not answered within {} ms",
                self.timeout.as_millis()
            ))),
        }
    }

    fn collection(&self, name: &str) -> Collection<Document> {
        self.database.collection(name)
    }

    async fn find_one<T: DeserializeOwned>(&self, name: &str, filter: Document) -> Result<Option<T>> {
        let found = self.within(async { self.collection(name).find_one(filter).await }).await?;
        found.map(|document| decode(name, document)).transpose()
    }

    /// Puts a document there unless one with its `_id` is; whether it did.
    async fn insert(&self, name: &str, document: Document) -> Result<bool> {
        let collection = self.collection(name);
        let inserted = tokio::time::timeout(self.timeout, async { collection.insert_one(document).await });
        match inserted.await {
            Ok(Ok(_)) => Ok(true),
            Ok(Err(error)) if is_duplicate(&error) => Ok(false),
            Ok(Err(error)) => Err(explain(error)),
            Err(_) => self.within(std::future::pending()).await,
        }
    }

    /// Those of the entries that are there must be the same.
    async fn compare(&self, room: &RoomId, epoch: u64, entries: &[Entry]) -> Result<()> {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(()) };
        let mut from = Position { epoch, seq: first.seq };
        let mut expected = entries.iter();
        while from.seq <= last.seq {
            let page = self.entries(room, from, last.seq + 1, PAGE_ENTRIES).await?;
            if let Some(damaged) = page.damaged.into_iter().next() {
                return Err(StoreError::Damaged(damaged));
            }
            let Some((end, _)) = page.entries.last() else { break };
            from.seq = end + 1;
            for (seq, bytes) in &page.entries {
                let same =
                    expected.find(|entry| entry.seq == *seq).is_some_and(|entry| entry.encode() == *bytes);
                if !same {
                    return Err(changed(
                        ENTRIES,
                        &format!("{{room_id: \"{room}\", epoch: {epoch}, seq: {seq}}}"),
                        "it is another entry than the log has",
                    ));
                }
            }
        }
        Ok(())
    }
}

impl Archive for MongoArchive {
    fn put_entries<'a>(
        &'a self,
        room: &'a RoomId,
        epoch: u64,
        entries: &'a [Entry],
    ) -> BoxFuture<'a, Result<()>> {
        async move {
            if entries.is_empty() {
                return Ok(());
            }
            let documents: Vec<_> = entries.iter().map(|entry| document(room, epoch, entry)).collect();
            let collection = self.database.collection::<EntryDocument>(ENTRIES);
            let insert = async { Ok(collection.insert_many(&documents).ordered(false).await) };
            match self.within(insert).await? {
                Ok(_) => Ok(()),
                Err(error) if is_duplicate(&error) => self.compare(room, epoch, entries).await,
                Err(error) => Err(explain(error)),
            }
        }
        .boxed()
    }

    fn put_amended<'a>(
        &'a self,
        room: &'a RoomId,
        at: Position,
        message: &'a v1::Message,
    ) -> BoxFuture<'a, Result<()>> {
        async move {
            let changed_seq = integer(message.changed_seq);
            let mut filter = entry_filter(room, at);
            filter.insert("changed_seq", doc! { "$lt": changed_seq });
            let readable = bson::serialize_to_bson(&ChatMessageDocument::of(message));
            let readable = readable.map_err(|error| StoreError::Invalid(error.to_string()))?;
            let set = doc! { "$set": {
                "message": readable,
                "changed_seq": changed_seq,
                "amended": binary(message.encode_to_vec()),
            } };
            self.within(async { self.entries.update_one(filter, set).await.map(drop) }).await
        }
        .boxed()
    }

    fn entries<'a>(
        &'a self,
        room: &'a RoomId,
        from: Position,
        before_seq: u64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page>> {
        async move {
            let mut page = Page::default();
            if from.seq >= before_seq || limit == 0 {
                return Ok(page);
            }
            let mut filter = doc! { "room_id": room.as_str(), "epoch": integer(from.epoch) };
            filter.insert("seq", doc! { "$gte": integer(from.seq), "$lt": integer(before_seq) });
            let limit = limit.min(PAGE_ENTRIES) as i64;
            let fields = doc! { "seq": 1, "entry": 1, "check": 1, "amended": 1 };
            let find = self.entries.find(filter).sort(doc! { "seq": 1 }).projection(fields).limit(limit);
            let read = async {
                let mut found = find.await?;
                let mut documents = Vec::new();
                let mut bytes = 0;
                while let Some(document) = found.try_next().await? {
                    bytes += document.get_binary_generic("entry").map_or(0, Vec::len);
                    if bytes > PAGE_BYTES && !documents.is_empty() {
                        break;
                    }
                    documents.push(document);
                }
                Ok(documents)
            };
            for document in self.within(read).await? {
                let id = document.get("_id").map(ToString::to_string).unwrap_or_default();
                match read_entry(document) {
                    Ok((seq, entry, amended)) => {
                        page.entries.push((seq, entry));
                        page.amended.extend(amended.map(|amended| (seq, amended)));
                    }
                    Err(why) => {
                        page.damaged.push(changed(ENTRIES, &format!("{{_id: {id}}}"), &why).to_string())
                    }
                }
            }
            Ok(page)
        }
        .boxed()
    }

    fn find<'a>(&'a self, room: &'a RoomId, op_id: OpId) -> BoxFuture<'a, Result<Vec<Position>>> {
        async move {
            let OpIdDocument { client, counter } = op_id.into();
            let filter = doc! { "room_id": room.as_str(), "op_id.client": client, "op_id.counter": counter };
            let fields = doc! { "epoch": 1, "seq": 1 };
            let read = async {
                let found = self.entries.find(filter).projection(fields).limit(FOUND).await?;
                found.try_collect::<Vec<Document>>().await
            };
            let found = self.within(read).await?;
            found.into_iter().map(|row| decode::<PositionRow>(ENTRIES, row).map(position)).collect()
        }
        .boxed()
    }

    fn put_origin<'a>(&'a self, room: &'a RoomId, epoch: u64, origin: Position) -> BoxFuture<'a, Result<()>> {
        async move {
            let document = doc! {
                "_id": origin_id(room, epoch),
                "room_id": room.as_str(),
                "epoch": integer(epoch),
                "from_epoch": integer(origin.epoch),
                "from_seq": integer(origin.seq),
            };
            self.insert(ORIGINS, document).await.map(drop)
        }
        .boxed()
    }

    fn origin<'a>(&'a self, room: &'a RoomId, epoch: u64) -> BoxFuture<'a, Result<Option<Position>>> {
        async move {
            let row = self.find_one(ORIGINS, doc! { "_id": origin_id(room, epoch) }).await?;
            Ok(row.map(|row: OriginRow| position(PositionRow { epoch: row.from_epoch, seq: row.from_seq })))
        }
        .boxed()
    }

    fn put_snapshot<'a>(
        &'a self,
        room: &'a RoomId,
        at: Position,
        snapshot: Bytes,
    ) -> BoxFuture<'a, Result<()>> {
        async move {
            if snapshot.len() > SNAPSHOT_BYTES {
                return Err(StoreError::Invalid(format!(
                    "a snapshot of {} bytes does not fit into a document of MongoDB; the one before stays",
                    snapshot.len()
                )));
            }
            let document = doc! {
                "_id": room.as_str(),
                "epoch": integer(at.epoch),
                "seq": integer(at.seq),
                "check": check(&snapshot, at.seq),
                "state": binary(snapshot.into()),
            };
            if self.insert(SNAPSHOTS, document.clone()).await? {
                return Ok(());
            }
            let another = doc! { "epoch": { "$ne": integer(at.epoch) } };
            let older = doc! { "seq": { "$lt": integer(at.seq) } };
            let filter = doc! { "_id": room.as_str(), "$or": [another, older] };
            let collection = self.collection(SNAPSHOTS);
            self.within(async { collection.replace_one(filter, document).await.map(drop) }).await
        }
        .boxed()
    }

    fn snapshot<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Option<(Position, Bytes)>>> {
        async move {
            let row: Option<SnapshotRow> = self.find_one(SNAPSHOTS, doc! { "_id": room.as_str() }).await?;
            let Some(SnapshotRow { epoch, seq, state, check: known }) = row else { return Ok(None) };
            let at = position(PositionRow { epoch, seq });
            if check(&state.bytes, at.seq) != known {
                return Err(changed(SNAPSHOTS, &format!("{{_id: \"{room}\"}}"), "its check is another"));
            }
            Ok(Some((at, state.bytes.into())))
        }
        .boxed()
    }

    fn room<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Option<RoomDocument>>> {
        self.find_one(ROOMS, doc! { "_id": room.as_str() }).boxed()
    }

    fn put_room<'a>(
        &'a self,
        expected: Option<Position>,
        document: &'a RoomDocument,
    ) -> BoxFuture<'a, Result<bool>> {
        async move {
            let mut filter = doc! { "_id": &document.room_id };
            let readable = bson::serialize_to_document(document);
            let mut new = readable.map_err(|error| StoreError::Invalid(error.to_string()))?;
            new.insert("_id", &document.room_id);
            let Some(expected) = expected else { return self.insert(ROOMS, new).await };
            filter.insert("epoch", integer(expected.epoch));
            filter.insert("seq", integer(expected.seq));
            let collection = self.collection(ROOMS);
            let replaced = self.within(async { collection.replace_one(filter, new).await }).await?;
            Ok(replaced.matched_count == 1)
        }
        .boxed()
    }

    fn rooms<'a>(
        &'a self,
        after: Option<&'a RoomId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<RoomDocument>>> {
        async move {
            let filter = after.map_or_else(Document::new, |room| doc! { "_id": { "$gt": room.as_str() } });
            let limit = limit.min(PAGE_ROOMS) as i64;
            let collection = self.collection(ROOMS);
            let read = async {
                let found = collection.find(filter).sort(doc! { "_id": 1 }).limit(limit).await?;
                found.try_collect::<Vec<Document>>().await
            };
            let found = self.within(read).await?;
            found.into_iter().map(|document| decode(ROOMS, document)).collect()
        }
        .boxed()
    }

    fn user<'a>(&'a self, user: &'a str) -> BoxFuture<'a, Result<Option<UserDocument>>> {
        self.find_one(USERS, doc! { "_id": user }).boxed()
    }

    fn see_user<'a>(&'a self, user: &'a str, name: &'a str, at: Millis) -> BoxFuture<'a, Result<()>> {
        async move {
            self.make_user(user).await?;
            let filter = doc! { "_id": user, "last_seen": { "$lt": date(at) } };
            let set = doc! { "$set": { "username": name, "last_seen": date(at) } };
            let collection = self.collection(USERS);
            self.within(async { collection.update_one(filter, set).await.map(drop) }).await
        }
        .boxed()
    }

    fn set_user<'a>(
        &'a self,
        user: &'a str,
        status: &'a str,
        settings: &'a [Setting],
    ) -> BoxFuture<'a, Result<()>> {
        async move {
            self.make_user(user).await?;
            let settings = bson::serialize_to_bson(settings);
            let settings = settings.map_err(|error| StoreError::Invalid(error.to_string()))?;
            let set = doc! { "$set": { "status": status, "settings": settings } };
            let collection = self.collection(USERS);
            self.within(async { collection.update_one(doc! { "_id": user }, set).await.map(drop) }).await
        }
        .boxed()
    }

    fn ping(&self) -> BoxFuture<'_, Result<()>> {
        self.within(async { self.database.run_command(doc! { "ping": 1 }).await.map(drop) }).boxed()
    }
}

impl MongoArchive {
    async fn make_user(&self, user: &str) -> Result<()> {
        let new = bson::serialize_to_document(&UserDocument::new(user));
        let new = new.map_err(|error| StoreError::Invalid(error.to_string()))?;
        let filter = doc! { "_id": user };
        let collection = self.collection(USERS);
        let put = collection.update_one(filter, doc! { "$setOnInsert": new }).upsert(true);
        match self.within(async { Ok(put.await) }).await? {
            Ok(_) => Ok(()),
            // Somebody else has just made it.
            Err(error) if is_duplicate(&error) => Ok(()),
            Err(error) => Err(explain(error)),
        }
    }
}

fn document(room: &RoomId, epoch: u64, entry: &Entry) -> EntryDocument {
    let bytes = entry.encode();
    let message = enfilade_core::state::history::posted(entry);
    EntryDocument {
        room_id: room.as_str().into(),
        epoch: integer(epoch),
        seq: integer(entry.seq),
        op_id: entry.op_id.into(),
        user_id: entry.author.clone(),
        username: entry.author_name.clone(),
        timestamp: date(entry.at),
        kind: super::documents::kind(entry),
        message: message.as_ref().map(ChatMessageDocument::of),
        changed_seq: 0,
        check: check(&bytes, entry.seq),
        entry: binary(bytes),
    }
}

/// An entry that is what it was when it was put there.
fn read_entry(document: Document) -> std::result::Result<(u64, Bytes, Option<Bytes>), String> {
    let row: EntryRow = bson::deserialize_from_document(document).map_err(|error| error.to_string())?;
    let seq = u64::try_from(row.seq).map_err(|_| "its seq is negative".to_owned())?;
    let entry = Entry::decode(&row.entry.bytes).map_err(|_| "its entry can't be read".to_owned())?;
    if entry.seq != seq || check(&row.entry.bytes, seq) != row.check {
        return Err("its entry is not the one that was stored there".into());
    }
    let amended = row.amended.map(|amended| amended.bytes);
    let of = |bytes: &Vec<u8>| v1::Message::decode(&bytes[..]).ok().filter(|message| message.seq == seq);
    if amended.as_ref().is_some_and(|bytes| of(bytes).is_none()) {
        return Err("what has become of its message can't be read".into());
    }
    Ok((seq, row.entry.bytes.into(), amended.map(Bytes::from)))
}

fn entry_filter(room: &RoomId, at: Position) -> Document {
    doc! { "room_id": room.as_str(), "epoch": integer(at.epoch), "seq": integer(at.seq) }
}

fn origin_id(room: &RoomId, epoch: u64) -> String {
    format!("{room}/{epoch}")
}

fn position(row: PositionRow) -> Position {
    Position { epoch: row.epoch.max(0) as u64, seq: row.seq.max(0) as u64 }
}

fn binary(bytes: Vec<u8>) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes }
}

/// Tells bytes that were changed from those that were stored.
fn check(bytes: &[u8], seq: u64) -> i64 {
    integer(hash53(bytes, seq))
}

fn decode<T: DeserializeOwned>(collection: &str, document: Document) -> Result<T> {
    let id = document.get("_id").map(ToString::to_string).unwrap_or_default();
    let read = bson::deserialize_from_document(document);
    read.map_err(|error| changed(collection, &format!("{{_id: {id}}}"), &error.to_string()))
}

/// A document that is not as it was written.
fn changed(collection: &str, which: &str, why: &str) -> StoreError {
    StoreError::Damaged(format!(
        "the document {which} of the collection {collection} can't be used ({why}): it was probably edited by hand; put \
         it back from a copy"
    ))
}

/// Whether all that went wrong is that something was there already.
fn is_duplicate(error: &Error) -> bool {
    match &*error.kind {
        ErrorKind::Write(WriteFailure::WriteError(error)) => error.code == DUPLICATE_KEY,
        ErrorKind::InsertMany(error) => {
            let all = error.write_errors.iter().flatten().all(|error| error.code == DUPLICATE_KEY);
            all && error.write_errors.is_some() && error.write_concern_error.is_none()
        }
        _ => false,
    }
}

/// What an error means, and what to do. The driver's messages name hosts, and never the password.
fn explain(error: Error) -> StoreError {
    let refused = |why: &dyn std::fmt::Display| {
        StoreError::Inaccessible(format!(
            "MongoDB refuses this server ({why}); look at user, password and database in mongodb.url, and give the \
             user the role readWrite"
        ))
    };
    match &*error.kind {
        ErrorKind::Authentication { message, .. } => refused(message),
        ErrorKind::Command(command) if REFUSED.contains(&command.code) => refused(command),
        ErrorKind::IncompatibleServer { message, .. } => StoreError::Inaccessible(format!(
            "this MongoDB can't be used ({message}); use version 5 or later"
        )),
        ErrorKind::InvalidTlsConfig { message, .. } | ErrorKind::InvalidArgument { message, .. } => {
            StoreError::Inaccessible(format!(
                "MongoDB can't be reached as configured ({message}); look at mongodb.url"
            ))
        }
        kind => StoreError::Unavailable(format!("MongoDB does not answer: {kind}")),
    }
}

#[cfg(test)]
mod tests;
