//! Who is connected to this node, in keys: connections, sessions, who is in which room, who types. Leased: what is not
//! renewed lapses, so that a node that dies leaves nobody behind.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use enfilade_core::{Millis, RoomId, limits};

use super::Names;
use crate::auth::now;
use crate::store::{KeyCommand, KeyStore, KeyWrite, SharedStore};

/// ZSET: user ids, by when they were last known to be connected.
pub const USERS_ONLINE: &str = "users:online";
/// ZSET: rooms with somebody in them, by when that was last known.
pub const ROOMS_ONLINE: &str = "rooms:online";

/// What has happened is written this often.
const FLUSH: Duration = Duration::from_millis(250);
/// What lasts is renewed this often: three times a lease.
const RENEW: Duration = Duration::from_millis(limits::LEASE / 3);
/// How long a connection counts that nobody renews.
const LEASE: Duration = Duration::from_millis(limits::LEASE);
/// Writes that wait; what is beyond is left out: what lasts is written anew at each renewal, and the rest lapses.
const WAITING: usize = 65_536;
/// Writes of one request.
const AT_ONCE: usize = 1_024;

/// The connections of this node, and what is to be written of them. Cheap to tell: nothing waits for the store.
pub struct Connections {
    node: String,
    session: Duration,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    conns: BTreeMap<u64, Conn>,
    /// How many each user has.
    by_user: BTreeMap<String, usize>,
    waiting: Vec<KeyWrite>,
}

struct Conn {
    user: String,
    name: String,
    since: Millis,
    rooms: BTreeMap<RoomId, Millis>,
}

impl Connections {
    /// Of a node with this name. Sessions are shown for so long after their last connection.
    pub fn new(node: String, session: Duration) -> Arc<Connections> {
        Arc::new(Connections { node, session, table: Mutex::default() })
    }

    /// Somebody has connected.
    pub fn connected(&self, conn: u64, user: &str, name: &str) {
        let mut table = self.table();
        let new = Conn { user: user.into(), name: name.into(), since: now(), rooms: BTreeMap::new() };
        self.tell_conn(&mut table, conn, &new);
        *table.by_user.entry(user.into()).or_default() += 1;
        table.conns.insert(conn, new);
    }

    /// A connection has ended.
    pub fn disconnected(&self, conn: u64) {
        let mut table = self.table();
        let Some(gone) = table.conns.remove(&conn) else { return };
        table.put(self.conn_key(conn), KeyCommand::Del);
        for room in gone.rooms.keys() {
            self.tell_left(&mut table, conn, room);
        }
        let left = table.by_user.get_mut(&gone.user).map_or(0, |count| {
            *count -= 1;
            *count
        });
        if left > 0 {
            return;
        }
        table.by_user.remove(&gone.user);
        table.put(USERS_ONLINE.into(), KeyCommand::ZRem(vec![bytes(&gone.user)]));
        let fields = [("status", "offline".to_owned()), ("last_seen", now().0.to_string())];
        table.put(session_key(&gone.user), set(fields));
    }

    /// A connection has come into a room.
    pub fn entered(&self, conn: u64, room: &RoomId) {
        let mut table = self.table();
        let at = now();
        let Some(known) = table.conns.get_mut(&conn) else { return };
        let at = *known.rooms.entry(room.clone()).or_insert(at);
        let user = known.user.clone();
        self.tell_entered(&mut table, conn, room, at);
        table.put(session_key(&user), set([("room_id", room.to_string())]));
    }

    /// A connection has left a room.
    pub fn left(&self, conn: u64, room: &RoomId) {
        let mut table = self.table();
        if table.conns.get_mut(&conn).is_some_and(|known| known.rooms.remove(room).is_some()) {
            self.tell_left(&mut table, conn, room);
        }
    }

    /// Somebody types in a room, or has stopped.
    pub fn typing(&self, room: &RoomId, user: &str, types: bool) {
        let (key, now) = (Names::of(room).typing(), now());
        let mut table = self.table();
        table.put(key.clone(), KeyCommand::ZRemByScore(0, score(now)));
        let command = match types {
            true => KeyCommand::ZAdd(vec![(score(now + limits::SIGNAL_LASTS), bytes(user))]),
            false => KeyCommand::ZRem(vec![bytes(user)]),
        };
        table.put(key.clone(), command);
        table.put(key, KeyCommand::Expire(Duration::from_millis(limits::SIGNAL_LASTS)));
    }

    /// Nodes have gone from a room without saying so: what is left of their connections goes too.
    pub async fn prune(keys: &dyn KeyStore, room: &RoomId, nodes: &BTreeSet<String>) {
        let key = Names::of(room).users();
        if let Err(error) = keys.prune(&key, nodes).await {
            tracing::debug!(%room, %error, "connections of nodes that are gone were not taken out of a room's keys");
        }
    }

    /// Writes what happens, and renews what lasts, until nobody holds them any more.
    pub async fn run(connections: Weak<Connections>, store: SharedStore) {
        let mut renewed = tokio::time::Instant::now();
        let mut ticks = tokio::time::interval(FLUSH);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Some(connections) = connections.upgrade() else { return };
            let Some(keys) = store.keys() else { return };
            if renewed.elapsed() >= RENEW {
                renewed = tokio::time::Instant::now();
                connections.renew();
            }
            connections.flush(keys).await;
        }
    }

    /// The node stops: nobody is connected to it any more.
    pub async fn stop(&self, keys: &dyn KeyStore) {
        let conns: Vec<u64> = self.table().conns.keys().copied().collect();
        conns.into_iter().for_each(|conn| self.disconnected(conn));
        self.flush(keys).await;
    }

    /// Writes what waits, or lets it wait on when the store does not take it. Each write may be repeated.
    pub(crate) async fn flush(&self, keys: &dyn KeyStore) {
        let mut waiting = std::mem::take(&mut self.table().waiting);
        while !waiting.is_empty() {
            let rest = waiting.split_off(waiting.len().min(AT_ONCE));
            if let Err(error) = keys.write(waiting.clone()).await {
                tracing::debug!(%error, "keys of connections were not written; they will be");
                let mut table = self.table();
                waiting.extend(rest);
                waiting.append(&mut table.waiting);
                waiting.truncate(WAITING);
                table.waiting = waiting;
                return;
            }
            waiting = rest;
        }
    }

    /// Puts down everything that lasts.
    pub(crate) fn renew(&self) {
        let mut table = self.table();
        let conns = std::mem::take(&mut table.conns);
        let now = now();
        let lapsed = KeyCommand::ZRemByScore(0, score(now).saturating_sub(limits::LEASE as i64));
        table.put(USERS_ONLINE.into(), lapsed.clone());
        table.put(ROOMS_ONLINE.into(), lapsed);
        for (conn, known) in &conns {
            self.tell_conn(&mut table, *conn, known);
            known.rooms.iter().for_each(|(room, at)| self.tell_entered(&mut table, *conn, room, *at));
        }
        table.conns = conns;
    }

    fn tell_conn(&self, table: &mut Table, conn: u64, known: &Conn) {
        let at = now();
        let key = self.conn_key(conn);
        let fields = [
            ("user_id", known.user.clone()),
            ("username", known.name.clone()),
            ("server", self.node.clone()),
            ("connected_at", known.since.0.to_string()),
        ];
        table.put(key.clone(), set(fields));
        table.put(key, KeyCommand::Expire(LEASE));
        let fields = [
            ("user_id", known.user.clone()),
            ("username", known.name.clone()),
            ("socket_id", self.id(conn)),
            ("server", self.node.clone()),
            ("status", "online".to_owned()),
            ("last_seen", at.0.to_string()),
        ];
        table.put(session_key(&known.user), set(fields));
        table.put(session_key(&known.user), KeyCommand::Expire(self.session));
        table.put(USERS_ONLINE.into(), KeyCommand::ZAdd(vec![(score(at), bytes(&known.user))]));
    }

    fn tell_entered(&self, table: &mut Table, conn: u64, room: &RoomId, at: Millis) {
        let key = Names::of(room).users();
        table.put(key.clone(), KeyCommand::ZAdd(vec![(score(at), bytes(&self.id(conn)))]));
        table.put(key, KeyCommand::Expire(LEASE));
        let seen = vec![(score(now()), bytes(room.as_str()))];
        table.put(ROOMS_ONLINE.into(), KeyCommand::ZAdd(seen));
    }

    fn tell_left(&self, table: &mut Table, conn: u64, room: &RoomId) {
        table.put(Names::of(room).users(), KeyCommand::ZRem(vec![bytes(&self.id(conn))]));
    }

    fn conn_key(&self, conn: u64) -> String {
        format!("conns:{}", self.id(conn))
    }

    /// A connection's number is this node's alone.
    fn id(&self, conn: u64) -> String {
        format!("{}:{conn}", self.node)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing panics while it holds the lock.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn put(&mut self, key: String, command: KeyCommand) {
        if self.waiting.len() < WAITING {
            self.waiting.push(KeyWrite { key, command });
        }
    }
}

/// The node whose connection this is.
pub(crate) fn node_of(conn: &str) -> &str {
    conn.rsplit_once(':').map_or(conn, |(node, _)| node)
}

fn session_key(user: &str) -> String {
    format!("users:{user}")
}

fn set<const N: usize>(fields: [(&'static str, String); N]) -> KeyCommand {
    KeyCommand::HSet(fields.map(|(name, value)| (Bytes::from_static(name.as_bytes()), value.into())).into())
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn score(at: Millis) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readable::{Keyspace, Readable, Value};
    use crate::store::MemoryStore;

    fn members(keys: &Keyspace, key: &str) -> Vec<String> {
        match keys.get(key) {
            Some(Value::Scores(scores)) => scores.keys().cloned().collect(),
            None => Vec::new(),
            other => panic!("{key} is {other:?}"),
        }
    }

    #[tokio::test]
    async fn users_are_online_while_a_connection_of_theirs_is_and_rooms_list_connections() {
        let store = MemoryStore::showing(Readable::DEFAULT);
        let node = Connections::new("n1".into(), LEASE);
        let lobby = RoomId::new("lobby").unwrap();
        node.connected(1, "ann", "Ann");
        node.connected(2, "ann", "Ann");
        node.connected(3, "ben", "Ben");
        (1..=3).for_each(|conn| node.entered(conn, &lobby));
        node.flush(&store).await;
        let keys = store.keyspace();
        assert_eq!(members(&keys, USERS_ONLINE), ["ann", "ben"]);
        assert_eq!(members(&keys, ROOMS_ONLINE), ["lobby"]);
        assert_eq!(members(&keys, "rooms:users:{lobby}"), ["n1:1", "n1:2", "n1:3"]);
        let Some(Value::Hash(session)) = keys.get("users:ann") else { panic!() };
        assert_eq!((session["status"].as_str(), session["room_id"].as_str()), ("online", "lobby"));
        assert_eq!(session["socket_id"], "n1:2");
        // One of two tabs is closed, and the other user leaves the room.
        node.disconnected(1);
        node.left(3, &lobby);
        node.flush(&store).await;
        let keys = store.keyspace();
        assert_eq!(members(&keys, USERS_ONLINE), ["ann", "ben"]);
        assert_eq!(members(&keys, "rooms:users:{lobby}"), ["n1:2"]);
        assert!(keys.get("conns:n1:1").is_none() && keys.get("conns:n1:2").is_some());
        // The node stops.
        node.stop(&store).await;
        let keys = store.keyspace();
        assert!(members(&keys, USERS_ONLINE).is_empty() && members(&keys, "rooms:users:{lobby}").is_empty());
        let Some(Value::Hash(session)) = keys.get("users:ann") else { panic!() };
        assert_eq!(session["status"], "offline");
    }

    #[tokio::test]
    async fn what_a_dead_node_has_left_is_pruned() {
        let store = MemoryStore::showing(Readable::DEFAULT);
        let lobby = RoomId::new("lobby").unwrap();
        for name in ["n1", "n2"] {
            let node = Connections::new(name.into(), LEASE);
            node.connected(1, name, name);
            node.entered(1, &lobby);
            node.flush(&store).await;
        }
        let alive = BTreeSet::from(["n2".to_owned()]);
        Connections::prune(&store, &lobby, &alive).await;
        assert_eq!(members(&store.keyspace(), "rooms:users:{lobby}"), ["n2:1"]);
    }

    #[tokio::test]
    async fn what_the_store_did_not_take_is_written_later_in_its_order() {
        let store = MemoryStore::showing(Readable::DEFAULT);
        let node = Connections::new("n1".into(), LEASE);
        let lobby = RoomId::new("lobby").unwrap();
        let closed = MemoryStore::showing(Readable::DEFAULT);
        crate::store::RoomStore::close(&closed).await.unwrap();
        node.connected(1, "ann", "Ann");
        node.entered(1, &lobby);
        node.flush(&closed).await;
        node.left(1, &lobby);
        node.flush(&closed).await;
        node.flush(&store).await;
        assert_eq!(members(&store.keyspace(), USERS_ONLINE), ["ann"]);
        assert!(members(&store.keyspace(), "rooms:users:{lobby}").is_empty());
    }

    #[tokio::test]
    async fn who_types_is_listed_until_that_ends() {
        let store = MemoryStore::showing(Readable::DEFAULT);
        let node = Connections::new("n1".into(), LEASE);
        let lobby = RoomId::new("lobby").unwrap();
        node.typing(&lobby, "ann", true);
        node.typing(&lobby, "ben", true);
        node.typing(&lobby, "ben", false);
        node.flush(&store).await;
        let keys = store.keyspace();
        let Some(Value::Scores(typing)) = keys.get("rooms:typing:{lobby}") else { panic!() };
        assert_eq!(typing.keys().collect::<Vec<_>>(), ["ann"]);
        let left = typing["ann"] - score(now());
        assert!((1..=limits::SIGNAL_LASTS as i64).contains(&left), "{left}");
    }
}
