//! Entries into a topic: one transactional producer for each shard of partitions.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use enfilade_core::{Position, RoomId};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rdkafka::Message as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, Headers as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use super::tail::read_back;
use super::{PATIENCE, Settings, blocking, meaning};
use crate::events::partition::partition_of;
use crate::events::record::header;
use crate::events::{BATCH_MAX, EventsError, Outlet, Record, Result, SHARDS, ShardWriter, Taken};

/// A transaction of a node that stopped in its midst holds readers up for so long at most, when nobody takes over.
const TRANSACTION: Duration = Duration::from_secs(30);

/// Publishes to a topic. A room's partition is that of its id as a key, as Kafka's own clients have it; a shard is some
/// partitions. The transactional id of a shard is the same on all nodes, so that who takes it fences who had it.
pub struct KafkaOutlet {
    settings: Arc<Settings>,
    partitions: u32,
    prober: Arc<BaseProducer>,
}

impl KafkaOutlet {
    /// Looks how many partitions the topic has.
    ///
    /// # Errors
    /// No broker answers, or there is no such topic: with what to do.
    pub async fn open(settings: Settings) -> Result<KafkaOutlet> {
        settings.check().await?;
        let settings = Arc::new(settings);
        let prober = Arc::new(settings.prober()?);
        let (known, client) = (settings.clone(), prober.clone());
        let partitions = blocking(move || known.partitions(&client, &known.topic)).await?;
        if partitions == 0 {
            return Err(settings.missing(&settings.topic));
        }
        Ok(KafkaOutlet { settings, partitions, prober })
    }
}

impl Outlet for KafkaOutlet {
    fn shards(&self) -> u32 {
        self.partitions.min(SHARDS)
    }

    fn shard_of(&self, room: &RoomId) -> u32 {
        partition_of(room.as_str().as_bytes(), self.partitions) % self.shards()
    }

    fn take(&self, shard: u32) -> BoxFuture<'_, Result<Taken>> {
        let (settings, partitions, shards) = (self.settings.clone(), self.partitions, self.shards());
        blocking(move || take(&settings, partitions, shards, shard)).boxed()
    }

    fn probe(&self) -> BoxFuture<'_, Result<()>> {
        let (settings, prober) = (self.settings.clone(), self.prober.clone());
        blocking(move || settings.partitions(&prober, &settings.topic).map(drop)).boxed()
    }
}

fn take(settings: &Arc<Settings>, partitions: u32, shards: u32, shard: u32) -> Result<Taken> {
    let mut config = settings.producer();
    config
        .set("transactional.id", format!("{}-{}-{shard}", settings.group, settings.topic))
        .set("transaction.timeout.ms", TRANSACTION.as_millis().to_string())
        .set("message.timeout.ms", (TRANSACTION / 2).as_millis().to_string())
        .set("compression.type", "lz4");
    let producer: BaseProducer = config.create().map_err(|error| settings.unusable(&error))?;
    let now = settings.partitions(&producer, &settings.topic)?;
    if now != partitions {
        return Err(EventsError::Misconfigured(format!(
            "the topic {} has {now} partitions, and had {partitions} when this node started: rooms would change \
             partitions in the midst of their records; restart all nodes",
            settings.topic
        )));
    }
    // From here on whoever had the shard can't commit, and what they had begun is settled.
    producer.init_transactions(PATIENCE).map_err(|error| meaning(&error))?;
    let mut tail = HashMap::new();
    for partition in (shard..partitions).step_by(shards as usize) {
        // In the order of the log: the last one of a room counts.
        let found = read_back(settings, &settings.topic, partition as i32, None, BATCH_MAX, place)?;
        tail.extend(found);
    }
    let writer = Writer { producer: Arc::new(producer), settings: settings.clone(), partitions };
    Ok(Taken { writer: Box::new(writer), tail })
}

/// Room and position of a record of ours.
fn place(message: &BorrowedMessage<'_>) -> Option<(RoomId, Position)> {
    let room = RoomId::new(std::str::from_utf8(message.key()?).ok()?).ok()?;
    let headers = message.headers()?;
    let number = |name: &str| {
        let header = headers.iter().find(|header| header.key == name)?;
        std::str::from_utf8(header.value?).ok()?.parse().ok()
    };
    Some((room, Position { epoch: number(header::EPOCH)?, seq: number(header::SEQ)? }))
}

struct Writer {
    producer: Arc<BaseProducer>,
    settings: Arc<Settings>,
    partitions: u32,
}

impl ShardWriter for Writer {
    fn publish(&mut self, records: Arc<[Record]>) -> BoxFuture<'_, Result<()>> {
        let (producer, settings, partitions) =
            (self.producer.clone(), self.settings.clone(), self.partitions);
        blocking(move || {
            publish(&producer, &settings.topic, partitions, &records).map_err(|error| meaning(&error))
        })
        .boxed()
    }
}

fn publish(
    producer: &BaseProducer,
    topic: &str,
    partitions: u32,
    records: &[Record],
) -> std::result::Result<(), KafkaError> {
    producer.begin_transaction()?;
    for record in records {
        let key = record.room.as_str();
        let (epoch, seq) = (record.position.epoch.to_string(), record.position.seq.to_string());
        let headers = OwnedHeaders::new_with_capacity(3)
            .insert(Header { key: header::EPOCH, value: Some(&epoch) })
            .insert(Header { key: header::SEQ, value: Some(&seq) })
            .insert(Header { key: header::KIND, value: Some(&record.kind) });
        // Stamped by the time of publishing, not of the entry: what waited for longer than the topic keeps records would
        // be deleted at once.
        let mut message = BaseRecord::to(topic)
            .partition(partition_of(key.as_bytes(), partitions) as i32)
            .key(key)
            .payload(&record.json[..])
            .headers(headers);
        while let Err((error, refused)) = producer.send(message) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(error);
            }
            message = refused;
            producer.poll(Duration::from_millis(10));
        }
    }
    // What was not delivered makes the commit fail.
    producer.commit_transaction(TRANSACTION)
}
