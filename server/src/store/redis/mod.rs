//! Rooms in Redis, for as many nodes as there are: one server, one with Sentinels, or a Cluster.
//!
//! A room's log is a stream, its head a hash, and every operation one script (`lua/`) on keys that hold the room's id
//! in braces, so that they lie in one slot of a Cluster. What belongs to no single room (the directory's index, the
//! worklists) lies in another slot: a node marks a room there *before* it appends, and the append is done only while
//! that mark holds.
//!
//! # When Redis has lost its end
//!
//! A restart or a failover may lose the last entries, and whoever appends then would put other entries under their
//! numbers. So a head names the process of Redis that wrote it, and in any other process the log is *unsettled*: no
//! script reads or appends. Every node then gives back what it had acknowledged of the log in the last seconds, where
//! that begins where the log ends; after a moment for all nodes to do so, the log goes on under a new epoch. What could
//! not be given back is reported, entry by entry.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use enfilade_core::{Position, RoomId};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::broadcast;
use tokio::time::Instant;

use self::hints::{Hints, Servers};
use self::link::Link;
use self::marks::{Marks, Standing};
use self::recent::Recent;
use self::reply::Reply;
use self::scripts::{Call, Lua};
use super::limits::{self, Limits};
use super::{
    Append, Appended, Follower, Hint, KeyCommand, KeyStore, KeyWrite, Lease, Loaded, Page, Result, RoomPage,
    RoomStore, Start, StoreError,
};

mod append;
mod check;
mod hints;
mod link;
mod marks;
mod mend;
mod options;
mod recent;
mod reply;
mod scan;
mod scripts;
mod show;
#[cfg(test)]
mod tests;

pub use options::{Mode, Options};

/// Rounds of a request that finds the log unsettled, or its mark ended, before it gives up: each brings it further.
const ROUNDS: usize = 8;
/// What keys that belong to no single room lie in.
const GLOBAL: &str = "{global}";

/// A store in Redis.
///
/// Acknowledged means that Redis has executed the append, and that as many replicas have it as the options say. What
/// that is worth when Redis ends is Redis' setting: with `appendfsync always` and a replica, one fault loses nothing.
pub struct RedisStore {
    inner: Arc<Inner>,
}

struct Inner {
    link: Arc<Link>,
    options: Options,
    marks: Marks,
    recent: Recent,
    hints: Arc<Hints>,
    /// Processes of Redis, and when this node met each.
    processes: Mutex<HashMap<String, Instant>>,
}

/// The keys of one room that are ours, apart from the readable ones.
struct Keys<'a> {
    prefix: &'a str,
    room: &'a RoomId,
}

impl Keys<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}{name}:{{{}}}", self.prefix, self.room)
    }

    fn head(&self) -> String {
        self.key("head")
    }

    fn log(&self) -> String {
        self.key("log")
    }

    fn row(&self) -> String {
        self.key("row")
    }

    fn amended(&self) -> String {
        self.key("amended")
    }

    fn snapshot(&self) -> String {
        self.key("snapshot")
    }

    fn leases(&self) -> String {
        self.key("leases")
    }
}

/// The directory's index.
fn index_key(prefix: &str) -> String {
    format!("{prefix}index:{GLOBAL}")
}

/// A follower's worklist, and when each of its rooms was put there.
fn work_keys(prefix: &str, follower: Follower) -> (String, String) {
    let name = follower.name();
    (format!("{prefix}work:{name}:{GLOBAL}"), format!("{prefix}marks:{name}:{GLOBAL}"))
}

/// Every key that belongs to no single room, with its type.
fn global_keys(prefix: &str) -> Vec<(String, &'static str)> {
    let mut keys = vec![(index_key(prefix), "zset")];
    for follower in Follower::ALL {
        let (work, marks) = work_keys(prefix, follower);
        keys.extend([(work, "zset"), (marks, "hash")]);
    }
    keys
}

impl RedisStore {
    /// Connects, and looks whether this is a Redis that can be a store.
    ///
    /// # Errors
    /// What is wrong with the address, the password, the database or the settings of Redis, and what to do.
    pub async fn open(options: Options) -> Result<RedisStore> {
        let link = Arc::new(Link::open(&options).await?);
        check::check(&link, &options).await?;
        let mut origin = [0; 8];
        getrandom::fill(&mut origin)
            .map_err(|error| StoreError::Unavailable(format!("there is no randomness: {error}")))?;
        let hints = Arc::new(Hints::new(&options, format!("{:016x}", u64::from_le_bytes(origin))));
        let servers = Servers::new(&options).map_err(|error| link::refused(&error, &options.place()))?;
        let inner = Arc::new(Inner {
            link: link.clone(),
            marks: Marks::new(options.mark_lifetime),
            options,
            recent: Recent::default(),
            hints: hints.clone(),
            processes: Mutex::default(),
        });
        let returned = {
            let inner = Arc::downgrade(&inner);
            move || {
                if let Some(inner) = inner.upgrade() {
                    tokio::spawn(inner.mend_all());
                }
            }
        };
        hints.start(&link, &Arc::new(servers), returned);
        Ok(RedisStore { inner })
    }
}

impl Drop for RedisStore {
    fn drop(&mut self) {
        self.inner.link.close();
    }
}

impl Inner {
    fn keys<'a>(&'a self, room: &'a RoomId) -> Keys<'a> {
        Keys { prefix: &self.options.prefix, room }
    }

    /// Runs a script on a room's log, and settles the log first where that is needed.
    async fn on_log(self: &Arc<Self>, room: &RoomId, script: &Lua, call: &Call) -> Result<Reply> {
        for _ in 0..ROUNDS {
            let mut reply = Reply::parse(self.link.script(script, call).await?)?;
            if reply.status() != "unsettled" {
                return Ok(reply);
            }
            self.settle_log(room, &reply.text()?).await?;
        }
        Err(restless(room))
    }

    async fn load(self: &Arc<Self>, room: &RoomId) -> Result<Option<Loaded>> {
        let keys = self.keys(room);
        let call = Call::on(vec![keys.head(), keys.log(), keys.snapshot()])
            .size(Limits::PAGE_ENTRIES)
            .size(Limits::PAGE_BYTES);
        let mut reply = self.on_log(room, &scripts::LOAD, &call).await?;
        match reply.status() {
            "none" => match reply.number()? {
                0 => Ok(None),
                _ => Err(headless(room)),
            },
            "ok" => {
                let head = reply.position()?;
                let covered = Position { seq: reply.number()?, ..head };
                let snapshot = Some(reply.bytes()?).filter(|bytes| !bytes.is_empty());
                let entries = reply.list()?;
                if (covered.seq > 0 && snapshot.is_none()) || (covered.seq < head.seq && entries.is_empty()) {
                    return Err(StoreError::Damaged(format!(
                        "the log of room {room} goes on to {}, but what follows entry {} is missing in Redis; a key \
                         of it was removed or cut: restore it from a copy",
                        head.seq, covered.seq
                    )));
                }
                Ok(Some(Loaded { head, snapshot: snapshot.map(|bytes| (covered, bytes)), entries }))
            }
            _ => reply.unexpected(),
        }
    }

    async fn claim(self: &Arc<Self>, room: &RoomId, epoch: u64) -> Result<u64> {
        limits::epoch(epoch)?;
        let keys = self.keys(room);
        let call = Call::on(vec![keys.head(), keys.log()]).number(epoch);
        let mut reply = Reply::parse(self.link.script(&scripts::CLAIM, &call).await?)?;
        match reply.status() {
            "ok" => {
                let epoch = reply.number()?;
                // A log that begins anew: whatever was acknowledged of the one before is gone.
                self.report_lost(room, epoch).await;
                Ok(epoch)
            }
            "headless" => Err(headless(room)),
            _ => reply.unexpected(),
        }
    }

    async fn start(self: &Arc<Self>, room: &RoomId, start: Start) -> Result<bool> {
        limits::start(&start)?;
        let Start { at, snapshot, summary, is_lost } = start;
        if !summary.is_empty() {
            self.marked(room, true).await?;
        }
        let keys = self.keys(room);
        let call = Call::on(vec![keys.head(), keys.log(), keys.row(), keys.snapshot()])
            .number(at.epoch)
            .number(at.seq)
            .bytes(snapshot)
            .bytes(summary)
            .size(usize::from(is_lost));
        let answer = self.link.replicated(&scripts::START, &call, self.options.wait_replicas).await?;
        let mut reply = Reply::parse(answer)?;
        match reply.status() {
            "ok" => Ok(reply.number()? == 1),
            "headless" => Err(headless(room)),
            _ => reply.unexpected(),
        }
    }

    async fn read(
        self: &Arc<Self>,
        room: &RoomId,
        from: Position,
        limit: usize,
        bytes: usize,
    ) -> Result<Page> {
        let keys = self.keys(room);
        let call = Call::on(vec![keys.head(), keys.log()])
            .number(from.epoch)
            .number(from.seq)
            .size(limit.min(Limits::PAGE_ENTRIES))
            .size(bytes.min(Limits::PAGE_BYTES));
        let mut reply = self.on_log(room, &scripts::READ, &call).await?;
        match reply.status() {
            "none" => Ok(Page { head: Position::default(), entries: Vec::new() }),
            "ok" => {
                let head = reply.position()?;
                let first = reply.number()?;
                let entries = reply.list()?;
                if first + entries.len() as u64 == head.seq + 1 {
                    self.recent.read(room, Position { seq: first - 1, ..head }, &entries);
                }
                Ok(Page { head, entries: (first..).zip(entries).collect() })
            }
            _ => reply.unexpected(),
        }
    }

    async fn amended(&self, room: &RoomId, from: Position, before_seq: u64) -> Result<Vec<(u64, Bytes)>> {
        if from.seq >= before_seq {
            return if self.link.is_closed() { Err(StoreError::closed()) } else { Ok(Vec::new()) };
        }
        let keys = self.keys(room);
        let call = Call::on(vec![keys.head(), keys.amended()])
            .number(from.epoch)
            .number(from.seq)
            .number(before_seq)
            .size(Limits::PAGE_ENTRIES);
        let mut reply = Reply::parse(self.link.script(&scripts::AMENDED, &call).await?)?;
        let row = |row: Bytes| {
            let colon = row.iter().position(|byte| *byte == b':').ok_or_else(reply::unexpected)?;
            let seq = std::str::from_utf8(&row[..colon]).ok().and_then(|seq| seq.parse().ok());
            Ok((seq.ok_or_else(reply::unexpected)?, row.slice(colon + 1..)))
        };
        reply.list()?.into_iter().map(row).collect()
    }

    async fn put_snapshot(self: &Arc<Self>, room: &RoomId, position: Position, state: Bytes) -> Result<bool> {
        limits::snapshot(position, &state)?;
        let keys = self.keys(room);
        let call = Call::on(vec![keys.head(), keys.snapshot()])
            .number(position.epoch)
            .number(position.seq)
            .bytes(state);
        Ok(self.on_log(room, &scripts::SNAPSHOT, &call).await?.number()? == 1)
    }

    async fn trim(self: &Arc<Self>, room: &RoomId, before: Position) -> Result<u64> {
        let keys = self.keys(room);
        let call = Call::on(vec![keys.head(), keys.log()])
            .number(before.epoch)
            .number(before.seq)
            .number(Limits::TRIM_ENTRIES);
        self.on_log(room, &scripts::TRIM, &call).await?.number()
    }

    async fn forget_amended(&self, room: &RoomId, epoch: u64, rows: Vec<(u64, Bytes)>) -> Result<()> {
        let keys = self.keys(room);
        let mut call = Call::on(vec![keys.head(), keys.amended()]).number(epoch);
        for (seq, message) in rows {
            call = call.number(seq).bytes(message);
        }
        self.link.script(&scripts::FORGET_AMENDED, &call).await.map(drop)
    }

    async fn put_lease(&self, room: &RoomId, node: &str, note: Bytes, ttl: Duration) -> Result<()> {
        limits::lease(node, &note, ttl)?;
        let millis = if ttl.is_zero() { 0 } else { ttl.as_millis().max(1) as u64 };
        let call = Call::on(vec![self.keys(room).leases()]).text(node).number(millis).bytes(note);
        self.link.script(&scripts::PUT_LEASE, &call).await.map(drop)
    }

    async fn leases(&self, room: &RoomId) -> Result<Vec<Lease>> {
        let call = Call::on(vec![self.keys(room).leases()]);
        let mut reply = Reply::parse(self.link.script(&scripts::LEASES, &call).await?)?;
        let mut leases = Vec::new();
        let mut values = reply.list()?.into_iter();
        while let (Some(node), Some(note), Some(left)) = (values.next(), values.next(), values.next()) {
            let text = |bytes: Bytes| String::from_utf8(bytes.into()).map_err(|_| reply::unexpected());
            let left = text(left)?.parse().map_err(|_| reply::unexpected())?;
            leases.push(Lease { node: text(node)?, note, remaining: Duration::from_millis(left) });
        }
        leases.sort_by(|a, b| a.node.cmp(&b.node));
        Ok(leases)
    }

    /// Ids of one of the sorted sets that all lie in, after one of them.
    async fn ids(&self, key: String, after: Option<&RoomId>, limit: usize) -> Result<Vec<RoomId>> {
        let from = after.map_or_else(|| "-".to_owned(), |after| format!("({after}"));
        let mut cmd = redis::cmd("ZRANGEBYLEX");
        cmd.arg(key).arg(from).arg("+").arg("LIMIT").arg(0).arg(limit);
        let ids = reply::list(self.link.command(&cmd).await?)?;
        // What is no id was written by somebody else.
        Ok(ids.into_iter().filter_map(|id| RoomId::new(std::str::from_utf8(&id).ok()?).ok()).collect())
    }

    /// The index has every room that has a row, and may have some that have none any more.
    async fn summaries(&self, after: Option<&RoomId>, limit: usize) -> Result<Vec<(RoomId, Bytes)>> {
        let limit = limit.min(Limits::PAGE_ROWS);
        let (mut found, mut after) = (Vec::new(), after.cloned());
        loop {
            let wanted = limit - found.len();
            if wanted == 0 && !self.link.is_closed() {
                return Ok(found);
            }
            let ids = self.ids(index_key(&self.options.prefix), after.as_ref(), wanted).await?;
            let is_last = ids.len() < wanted;
            let rows = self.summaries_of(&ids).await?;
            after = ids.last().cloned();
            found.extend(ids.into_iter().zip(rows).filter_map(|(room, row)| Some((room, row?))));
            if is_last {
                return Ok(found);
            }
        }
    }

    async fn summaries_of(&self, rooms: &[RoomId]) -> Result<Vec<Option<Bytes>>> {
        limits::rows(rooms.len())?;
        if rooms.is_empty() {
            return if self.link.is_closed() { Err(StoreError::closed()) } else { Ok(Vec::new()) };
        }
        let mut cmd = redis::cmd("MGET");
        for room in rooms {
            cmd.arg(self.keys(room).row());
        }
        reply::options(self.link.command(&cmd).await?)
    }

    async fn pending(&self, follower: Follower, after: Option<&RoomId>, limit: usize) -> Result<Vec<RoomId>> {
        let (work, _) = work_keys(&self.options.prefix, follower);
        self.ids(work, after, limit.min(Limits::PAGE_ROOMS)).await
    }

    async fn cursor(&self, room: &RoomId, follower: Follower) -> Result<Option<Position>> {
        let mut cmd = redis::cmd("HGET");
        cmd.arg(self.keys(room).head()).arg(format!("cursor:{}", follower.name()));
        match self.link.command(&cmd).await? {
            redis::Value::Nil => Ok(None),
            value => {
                let text = reply::text(value)?;
                let (epoch, seq) = text.split_once(':').ok_or_else(reply::unexpected)?;
                let number = |text: &str| text.parse().map_err(|_| reply::unexpected());
                Ok(Some(Position { epoch: number(epoch)?, seq: number(seq)? }))
            }
        }
    }

    async fn set_cursor(
        self: &Arc<Self>,
        room: &RoomId,
        follower: Follower,
        position: Position,
    ) -> Result<bool> {
        let call = Call::on(vec![self.keys(room).head()])
            .text(follower.name())
            .number(position.epoch)
            .number(position.seq);
        Ok(self.on_log(room, &scripts::SET_CURSOR, &call).await?.number()? == 1)
    }

    async fn settle(self: &Arc<Self>, room: &RoomId, follower: Follower, at: Position) -> Result<bool> {
        let (work, marks) = work_keys(&self.options.prefix, follower);
        let skew = self.options.clock_skew.as_millis() as u64;
        let ask = async |mark: String| {
            let call =
                Call::on(vec![work.clone(), marks.clone()]).text(room.as_str()).number(skew).text(mark);
            let mut reply = Reply::parse(self.link.script(&scripts::SETTLE, &call).await?)?;
            Ok::<_, StoreError>((reply.number()? == 1, reply.text()?))
        };
        let (has_ended, mark) = ask(String::new()).await?;
        if !has_ended || self.read(room, at.next(), 0, 0).await?.head != at {
            return Ok(false);
        }
        Ok(ask(mark).await?.0)
    }
}

fn headless(room: &RoomId) -> StoreError {
    StoreError::Damaged(format!(
        "room {room} has entries in Redis and no head; a key of it was removed: restore it from a copy, or remove the \
         rest of the room's keys"
    ))
}

fn restless(room: &RoomId) -> StoreError {
    StoreError::Unavailable(format!(
        "the log of room {room} does not settle; Redis was restarted again and again"
    ))
}

impl RoomStore for RedisStore {
    fn keys(&self) -> Option<&dyn KeyStore> {
        Some(self)
    }

    fn load<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Option<Loaded>>> {
        self.inner.load(room).boxed()
    }

    fn claim<'a>(&'a self, room: &'a RoomId, epoch: u64) -> BoxFuture<'a, Result<u64>> {
        self.inner.claim(room, epoch).boxed()
    }

    fn start<'a>(&'a self, room: &'a RoomId, start: Start) -> BoxFuture<'a, Result<bool>> {
        self.inner.start(room, start).boxed()
    }

    fn rooms<'a>(&'a self, cursor: Option<Bytes>) -> BoxFuture<'a, Result<RoomPage>> {
        self.inner.rooms(cursor).boxed()
    }

    fn append<'a>(&'a self, room: &'a RoomId, append: Append) -> BoxFuture<'a, Result<Appended>> {
        self.inner.append(room, append).boxed()
    }

    fn amended<'a>(
        &'a self,
        room: &'a RoomId,
        from: Position,
        before_seq: u64,
    ) -> BoxFuture<'a, Result<Vec<(u64, Bytes)>>> {
        self.inner.amended(room, from, before_seq).boxed()
    }

    fn read<'a>(
        &'a self,
        room: &'a RoomId,
        from: Position,
        limit: usize,
        max_bytes: usize,
    ) -> BoxFuture<'a, Result<Page>> {
        self.inner.read(room, from, limit, max_bytes).boxed()
    }

    fn put_snapshot<'a>(
        &'a self,
        room: &'a RoomId,
        position: Position,
        snapshot: Bytes,
    ) -> BoxFuture<'a, Result<bool>> {
        self.inner.put_snapshot(room, position, snapshot).boxed()
    }

    fn trim<'a>(&'a self, room: &'a RoomId, before: Position) -> BoxFuture<'a, Result<u64>> {
        self.inner.trim(room, before).boxed()
    }

    fn forget_amended<'a>(
        &'a self,
        room: &'a RoomId,
        epoch: u64,
        rows: Vec<(u64, Bytes)>,
    ) -> BoxFuture<'a, Result<()>> {
        self.inner.forget_amended(room, epoch, rows).boxed()
    }

    fn watch(&self) -> broadcast::Receiver<Hint> {
        self.inner.hints.receiver()
    }

    fn put_lease<'a>(
        &'a self,
        room: &'a RoomId,
        node: &'a str,
        note: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<()>> {
        self.inner.put_lease(room, node, note, ttl).boxed()
    }

    fn leases<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Vec<Lease>>> {
        self.inner.leases(room).boxed()
    }

    fn summaries<'a>(
        &'a self,
        after: Option<&'a RoomId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(RoomId, Bytes)>>> {
        self.inner.summaries(after, limit).boxed()
    }

    fn summaries_of<'a>(&'a self, rooms: &'a [RoomId]) -> BoxFuture<'a, Result<Vec<Option<Bytes>>>> {
        self.inner.summaries_of(rooms).boxed()
    }

    fn pending<'a>(
        &'a self,
        follower: Follower,
        after: Option<&'a RoomId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<RoomId>>> {
        self.inner.pending(follower, after, limit).boxed()
    }

    fn cursor<'a>(&'a self, room: &'a RoomId, follower: Follower) -> BoxFuture<'a, Result<Option<Position>>> {
        self.inner.cursor(room, follower).boxed()
    }

    fn set_cursor<'a>(
        &'a self,
        room: &'a RoomId,
        follower: Follower,
        position: Position,
    ) -> BoxFuture<'a, Result<bool>> {
        self.inner.set_cursor(room, follower, position).boxed()
    }

    fn settle<'a>(
        &'a self,
        room: &'a RoomId,
        follower: Follower,
        at: Position,
    ) -> BoxFuture<'a, Result<bool>> {
        self.inner.settle(room, follower, at).boxed()
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        self.inner.link.close();
        futures_util::future::ready(Ok(())).boxed()
    }
}
