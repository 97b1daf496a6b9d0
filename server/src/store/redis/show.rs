//! The readable keys, written without an append.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use redis::Value;

use super::append::commands_of;
use super::*;
use crate::readable::Readable;
use crate::store::{KeyStore, keys};

/// Keys that are written at the same time, so that clients come first.
const AT_ONCE: usize = 8;
/// Keys that a server looks at in one step of a search.
const STEP: usize = 1_000;
/// What the readable keys of rooms begin with.
const READABLE: [&str; 3] = ["rooms:", "game:", "users:"];

impl Inner {
    /// A key with the prefix.
    fn named(&self, key: &str) -> String {
        format!("{}{key}", self.options.prefix)
    }

    async fn fields(&self, key: &str) -> Result<BTreeMap<String, String>> {
        let cmd = redis::Cmd::hgetall(self.named(key));
        let values = match self.link.command(&cmd).await {
            Ok(Value::Map(pairs)) => pairs.into_iter().flat_map(|(field, value)| [field, value]).collect(),
            Ok(Value::Array(values)) => values,
            Err(error @ (StoreError::Unavailable(_) | StoreError::Overloaded)) => return Err(error),
            // A key of another type has no fields.
            Ok(_) | Err(_) => Vec::new(),
        };
        let mut texts = Vec::with_capacity(values.len());
        for value in values {
            texts.push(String::from_utf8_lossy(&reply::bytes(value)?).into_owned());
        }
        let mut texts = texts.into_iter();
        let mut fields = BTreeMap::new();
        while let (Some(field), Some(value)) = (texts.next(), texts.next()) {
            fields.insert(field, value);
        }
        Ok(fields)
    }

    async fn keys_of(&self, room: &RoomId) -> Result<Vec<String>> {
        let prefix = &self.options.prefix;
        let tag = format!("{{{room}}}");
        let mut found = BTreeSet::new();
        for master in self.link.masters().await? {
            let mut cursor = "0".to_owned();
            loop {
                let mut cmd = redis::cmd("SCAN");
                cmd.arg(&cursor).arg("MATCH").arg(format!("{prefix}*{tag}*")).arg("COUNT").arg(STEP);
                let Value::Array(answer) = self.link.command_at(&master, &cmd).await? else {
                    return Err(reply::unexpected());
                };
                let [next, keys] = <[Value; 2]>::try_from(answer).map_err(|_| reply::unexpected())?;
                let keys = reply::list(keys)?.into_iter();
                let ours = keys.filter_map(|key| {
                    let key = std::str::from_utf8(&key).ok()?.strip_prefix(prefix.as_str())?.to_owned();
                    let is_readable = key == tag || READABLE.iter().any(|begin| key.starts_with(begin));
                    is_readable.then_some(key)
                });
                found.extend(ours);
                cursor = reply::text(next)?;
                if cursor == "0" {
                    break;
                }
            }
        }
        Ok(found.into_iter().collect())
    }

    async fn rewrite(self: &Arc<Self>, room: &RoomId, at: Position, writes: &[KeyWrite]) -> Result<bool> {
        keys::check(room, writes)?;
        let mut names = vec![self.keys(room).head()];
        let mut places = HashMap::new();
        let mut commands = Vec::new();
        for write in writes {
            let place = *places.entry(&write.key).or_insert_with(|| {
                names.push(self.named(&write.key));
                names.len()
            });
            commands.extend(commands_of(write).into_iter().map(|(name, arguments)| (name, place, arguments)));
        }
        let mut call = Call::on(names).number(at.epoch).number(at.seq).size(commands.len());
        for (name, place, arguments) in commands {
            call = call.text(name).size(place).size(arguments.len());
            call.args.extend(arguments);
        }
        Ok(self.on_log(room, &scripts::REWRITE, &call).await?.number()? == 1)
    }

    /// One script a key.
    async fn write(&self, writes: Vec<KeyWrite>) -> Result<()> {
        let mut by_key: BTreeMap<String, Vec<Bytes>> = BTreeMap::new();
        for write in &writes {
            let arguments = by_key.entry(self.named(&write.key)).or_default();
            for (name, items) in commands_of(write) {
                arguments.extend([Bytes::from_static(name.as_bytes()), items.len().to_string().into()]);
                arguments.extend(items);
            }
        }
        let calls = by_key.into_iter().map(|(key, args)| async move {
            self.link.script(&scripts::KEYS, &Call { keys: vec![key], args }).await.map(drop)
        });
        stream::iter(calls).buffer_unordered(AT_ONCE).try_collect().await
    }
}

impl KeyStore for RedisStore {
    fn shows(&self) -> &Readable {
        &self.inner.options.shows
    }

    fn fields<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<BTreeMap<String, String>>> {
        self.inner.fields(key).boxed()
    }

    fn keys_of<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Vec<String>>> {
        self.inner.keys_of(room).boxed()
    }

    fn rewrite<'a>(
        &'a self,
        room: &'a RoomId,
        at: Position,
        keys: Vec<KeyWrite>,
    ) -> BoxFuture<'a, Result<bool>> {
        async move { self.inner.rewrite(room, at, &keys).await }.boxed()
    }

    fn write(&self, keys: Vec<KeyWrite>) -> BoxFuture<'_, Result<()>> {
        self.inner.write(keys).boxed()
    }

    fn name<'a>(
        &'a self,
        key: &'a str,
        room: &'a RoomId,
        old: &'a str,
        new: &'a str,
    ) -> BoxFuture<'a, Result<()>> {
        let call = Call::on(vec![self.inner.named(key)]).text(room.as_str()).text(old).text(new);
        async move { self.inner.link.script(&scripts::NAME, &call).await.map(drop) }.boxed()
    }

    fn prune<'a>(&'a self, key: &'a str, nodes: &'a BTreeSet<String>) -> BoxFuture<'a, Result<()>> {
        let call = Call::on(vec![self.inner.named(key)]);
        let call = nodes.iter().fold(call, |call, node| call.text(node.as_str()));
        async move { self.inner.link.script(&scripts::PRUNE, &call).await.map(drop) }.boxed()
    }

    fn publish<'a>(&'a self, channel: &'a str, message: Bytes) -> BoxFuture<'a, Result<()>> {
        let mut cmd = redis::cmd("PUBLISH");
        cmd.arg(self.inner.named(channel)).arg(message.as_ref());
        async move { self.inner.link.command(&cmd).await.map(drop) }.boxed()
    }
}
