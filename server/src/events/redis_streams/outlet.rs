//! Entries into streams. Who takes a shard gets a token, and a script appends for the holder of the last token alone.

use std::collections::HashMap;
use std::sync::Arc;

use enfilade_core::{Position, RoomId};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use redis::Script;

use super::{Link, Settings, shard_of};
use crate::events::{BATCH_MAX, EventsError, Outlet, Record, Result, SHARDS, ShardWriter, Taken};

/// Records of one script: Redis does nothing else meanwhile, so it is a matter of a millisecond or two.
const RECORDS: usize = 250;

/// An entry of a stream: its id, and its fields with their values.
type Row = (String, Vec<(String, Vec<u8>)>);

/// Publishes to streams, each as long as `keep` says.
pub struct StreamOutlet {
    settings: Arc<Settings>,
    link: Arc<Link>,
}

impl StreamOutlet {
    /// Looks whether Redis answers.
    ///
    /// # Errors
    /// With what to do.
    pub async fn open(settings: Settings) -> Result<StreamOutlet> {
        settings.check().await?;
        let link = Arc::new(Link::new(&settings)?);
        Ok(StreamOutlet { settings: Arc::new(settings), link })
    }

    async fn take(&self, shard: u32) -> Result<Taken> {
        let token: u64 = self.link.ask(redis::cmd("INCR").arg(self.settings.owner(shard))).await?;
        let mut newest = redis::cmd("XREVRANGE");
        newest.arg(self.settings.entries(shard)).arg("+").arg("-").arg("COUNT").arg(BATCH_MAX);
        let rows: Vec<Row> = self.link.ask(&newest).await?;
        // Newest first: the first of a room counts.
        let mut tail = HashMap::new();
        for (room, position) in rows.iter().filter_map(|(_, fields)| place(fields)) {
            tail.entry(room).or_insert(position);
        }
        let writer = Writer {
            settings: self.settings.clone(),
            link: self.link.clone(),
            shard,
            token: token.to_string(),
            script: Script::new(include_str!("publish.lua")),
        };
        Ok(Taken { writer: Box::new(writer), tail })
    }
}

impl Outlet for StreamOutlet {
    fn shards(&self) -> u32 {
        SHARDS
    }

    fn shard_of(&self, room: &RoomId) -> u32 {
        shard_of(room)
    }

    fn take(&self, shard: u32) -> BoxFuture<'_, Result<Taken>> {
        self.take(shard).boxed()
    }

    fn probe(&self) -> BoxFuture<'_, Result<()>> {
        async { self.link.ask::<String>(&redis::cmd("PING")).await.map(drop) }.boxed()
    }
}

fn place(fields: &[(String, Vec<u8>)]) -> Option<(RoomId, Position)> {
    let text = |name: &str| {
        let (_, value) = fields.iter().find(|(key, _)| key == name)?;
        std::str::from_utf8(value).ok()
    };
    let position = Position { epoch: text("epoch")?.parse().ok()?, seq: text("seq")?.parse().ok()? };
    Some((RoomId::new(text("room")?).ok()?, position))
}

struct Writer {
    settings: Arc<Settings>,
    link: Arc<Link>,
    shard: u32,
    token: String,
    script: Script,
}

impl Writer {
    async fn append(&self, records: Arc<[Record]>) -> Result<()> {
        let keys = [self.settings.owner(self.shard), self.settings.entries(self.shard)];
        let keep = self.settings.keep.to_string();
        for records in records.chunks(RECORDS) {
            let numbers: Vec<(String, String)> = records
                .iter()
                .map(|record| (record.position.epoch.to_string(), record.position.seq.to_string()))
                .collect();
            let mut arguments: Vec<&[u8]> = vec![self.token.as_bytes(), keep.as_bytes()];
            for (record, (epoch, seq)) in records.iter().zip(&numbers) {
                let room = record.room.as_str().as_bytes();
                arguments.extend([
                    room,
                    epoch.as_bytes(),
                    seq.as_bytes(),
                    record.kind.as_bytes(),
                    &record.json,
                ]);
            }
            let is_ours: bool = self.link.run(&self.script, &keys, &arguments).await?;
            if !is_ours {
                return Err(EventsError::Taken);
            }
        }
        Ok(())
    }
}

impl ShardWriter for Writer {
    fn publish(&mut self, records: Arc<[Record]>) -> BoxFuture<'_, Result<()>> {
        self.append(records).boxed()
    }
}
