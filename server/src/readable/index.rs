//! The readable keys that belong to no single room: kept by a follower of the logs, from entries alone, so that whatever
//! is repeated after a crash changes nothing.

use std::time::Duration;

use bytes::Bytes;
use enfilade_core::RoomId;
use enfilade_core::op::Body;
use futures_util::future::{BoxFuture, join_all};
use serde_json::json;

use super::Names;
use crate::follow::{Batch, Sink};
use crate::store::{Follower, KeyCommand, KeyStore, KeyWrite, Result, SharedStore};

/// ZSET: all rooms, by the time of their last entry.
pub const ROOMS_ACTIVE: &str = "rooms:active";
/// Hash: room ids by name.
pub const NAME_MAP: &str = "rooms:name-map";
/// How long what was derived of a user stays when nothing happens to them: an hour, as a session would.
const CACHED: Duration = Duration::from_secs(3_600);

/// Keeps the global keys.
pub struct Index {
    store: SharedStore,
    node: String,
}

impl Index {
    /// For a store with readable keys; of any other, nothing is kept. `node` is this server's name.
    pub fn new(store: SharedStore, node: String) -> Index {
        Index { store, node }
    }

    async fn keep(&self, keys: &dyn KeyStore, batch: &Batch) -> Result<()> {
        let kind = match batch.room.inbox_owner() {
            Some(user) => {
                cache_user(keys, &batch.room, user).await?;
                "user"
            }
            None if batch.room.is_server_settings() => "settings",
            None => {
                list_room(keys, batch).await?;
                "room"
            }
        };
        let id = batch.room.inbox_owner().unwrap_or(batch.room.as_str());
        let last = batch.last();
        let change = json!({
            "kind": kind, "id": id, "epoch": last.epoch, "seq": last.seq, "server": self.node,
        });
        let channel = format!("state-changes:{}", self.node);
        keys.publish(&channel, Bytes::from(change.to_string())).await
    }
}

impl Sink for Index {
    fn follower(&self) -> Follower {
        Follower::Index
    }

    fn take<'a>(&'a self, batches: &'a [Batch]) -> BoxFuture<'a, Vec<Result<()>>> {
        Box::pin(async move {
            match self.store.keys() {
                Some(keys) => join_all(batches.iter().map(|batch| self.keep(keys, batch))).await,
                None => batches.iter().map(|_| Ok(())).collect(),
            }
        })
    }
}

/// What is derived of a user is dropped, and made anew from the keys of their inbox.
async fn cache_user(keys: &dyn KeyStore, inbox: &RoomId, user: &str) -> Result<()> {
    let key = format!("cache:user:{user}");
    let profile = keys.fields(&Names::of(inbox).profile()).await?;
    let write = |command| KeyWrite { key: key.clone(), command };
    let mut writes = vec![write(KeyCommand::Del)];
    if !profile.is_empty() {
        let entry = serde_json::to_string(&profile).unwrap_or_default();
        writes.extend([write(KeyCommand::Set(entry.into())), write(KeyCommand::Expire(CACHED))]);
    }
    keys.write(writes).await
}

async fn list_room(keys: &dyn KeyStore, batch: &Batch) -> Result<()> {
    let Some(last) = batch.entries.last() else { return Ok(()) };
    let member = Bytes::copy_from_slice(batch.room.as_str().as_bytes());
    let score = i64::try_from(last.at.0).unwrap_or(i64::MAX);
    let listed = KeyWrite { key: ROOMS_ACTIVE.into(), command: KeyCommand::ZAdd(vec![(score, member)]) };
    keys.write(vec![listed]).await?;
    let named = batch.entries.iter().rev().find_map(|entry| match entry.body.as_ref()? {
        Body::CreateRoom(create) => Some(create.name.as_str()),
        Body::SetInfo(info) => info.name.as_deref(),
        _ => None,
    });
    let Some(name) = named else { return Ok(()) };
    // Which name stands for the room now is noted beside it, after the new one is there: what is repeated in between
    // takes away what is gone already.
    let noted = Names::of(&batch.room).indexed();
    let old = keys.fields(&noted).await?.remove("name").unwrap_or_default();
    keys.name(NAME_MAP, &batch.room, &old, name).await?;
    let name = Bytes::copy_from_slice(name.as_bytes());
    let note = KeyWrite { key: noted, command: KeyCommand::HSet(vec![("name".into(), name)]) };
    keys.write(vec![note]).await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use enfilade_core::v1;

    use super::*;
    use crate::follow::Following;
    use crate::readable::{Readable, Value};
    use crate::rooms::atomic::Nodes;
    use crate::store::MemoryStore;

    fn named(name: &str) -> Body {
        Body::SetInfo(v1::SetInfo { name: Some(name.into()), ..Default::default() })
    }

    fn hash(store: &MemoryStore, key: &str) -> Vec<(String, String)> {
        match store.keyspace().get(key) {
            Some(Value::Hash(hash)) => hash.clone().into_iter().collect(),
            None => Vec::new(),
            other => panic!("{key} is {other:?}"),
        }
    }

    async fn until(what: &str, is_so: impl Fn() -> bool) {
        for _ in 0..600 {
            if is_so() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("not within 12 s: {what}");
    }

    #[tokio::test]
    async fn rooms_are_listed_and_found_by_their_newest_name() {
        let store = Arc::new(MemoryStore::showing_followed_by(Readable::DEFAULT, &[Follower::Index]));
        let shared: SharedStore = store.clone();
        let follow = |node: &str| {
            let index = Index::new(shared.clone(), node.into());
            Following::start(shared.clone(), Arc::new(index), node.into())
        };
        let following = follow("a");
        let nodes = Nodes::on(shared.clone());
        nodes.create("one", v1::SetConfig::default()).await;
        nodes.create("two", v1::SetConfig::default()).await;
        nodes.submit(0, "one", "owner", 3, named("Piano")).await.unwrap();
        let pairs =
            |pairs: [(&str, &str); 2]| pairs.map(|(name, room)| (name.to_owned(), room.to_owned())).to_vec();
        let wanted = pairs([("Piano", "one"), ("two!", "two")]);
        until("the name of the first", || hash(&store, NAME_MAP) == wanted).await;
        // A name that is taken stays with the room that has it.
        nodes.submit(1, "two", "owner", 3, named("Piano")).await.unwrap();
        nodes.submit(1, "two", "owner", 4, named("Drums")).await.unwrap();
        let wanted = pairs([("Drums", "two"), ("Piano", "one")]);
        until("the name of the second", || hash(&store, NAME_MAP) == wanted).await;
        // All of it again, as after a crash: nothing changes.
        following.stop(Duration::from_secs(5)).await;
        let before = store.keyspace();
        for room in ["one", "two"] {
            let room = RoomId::new(room).unwrap();
            let page =
                shared.read(&room, shared.load(&room).await.unwrap().unwrap().head, 1, 1).await.unwrap();
            let entries = page.entries.iter().map(|(_, bytes)| enfilade_core::Entry::decode(bytes).unwrap());
            let batch =
                Batch { epoch: page.head.epoch, entries: entries.collect(), bytes: 1, head: page.head, room };
            let index = Index::new(shared.clone(), "b".into());
            assert_eq!(index.take(&[batch]).await, [Ok(())]);
        }
        assert_eq!(store.keyspace(), before);
        let active = match before.get(ROOMS_ACTIVE) {
            Some(Value::Scores(scores)) => scores.keys().cloned().collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(active, ["one", "two"]);
        let Some(Value::Text(cached)) = before.get("cache:user:owner") else { panic!() };
        assert!(cached.contains(r#""user_id":"owner""#), "{cached}");
    }
}
