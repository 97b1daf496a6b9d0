//! Commands out of a topic: one member of a consumer group a node, and the dead letters.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use rdkafka::client::ClientContext;
use rdkafka::consumer::{
    BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance, StreamConsumer,
};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Message, Offset, TopicPartitionList};

use super::tail::read_back;
use super::{PATIENCE, Settings, blocking, meaning};
use crate::events::{DeadLetter, Delivery, EventsError, Inlet, Result, command, recent};

/// Commands of one batch.
const BATCH: usize = 500;
/// Bytes of one batch; its first command is always taken.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// How long a batch waits for more once it has something: a hand's breadth of what a commit costs.
const GATHER: Duration = Duration::from_millis(5);
/// The library waits for a coordinator for much longer; whoever has something to do should not.
const COMMIT: Duration = Duration::from_secs(2);
/// Bytes of a command that are kept with the dead letters: what is longer was no command anyway.
const KEPT_BYTES: usize = 64 * 1024;

/// Reads the topic of commands as one of the group's members: Kafka shares its partitions out among the nodes, and
/// moves them when a node comes or goes.
pub struct KafkaInlet {
    settings: Arc<Settings>,
    consumer: Arc<StreamConsumer<Lost>>,
    producer: FutureProducer,
    /// A command that did not fit into the batch before.
    next: Option<Delivery>,
}

/// Partitions that were taken from this node.
#[derive(Default)]
struct Lost {
    partitions: Mutex<BTreeSet<i32>>,
}

impl ClientContext for Lost {}

impl ConsumerContext for Lost {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let partitions = match rebalance {
            Rebalance::Revoke(partitions) | Rebalance::Assign(partitions) => partitions,
            Rebalance::Error(_) => return,
        };
        let mut lost = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
        lost.extend(
            partitions
                .elements()
                .iter()
                .map(rdkafka::topic_partition_list::TopicPartitionListElem::partition),
        );
    }
}

impl KafkaInlet {
    /// Joins the group. Commands come as soon as Kafka has given this node its partitions.
    ///
    /// # Errors
    /// The settings are no settings; that no broker answers shows later.
    pub fn open(settings: Settings) -> Result<KafkaInlet> {
        let mut config = settings.client();
        config
            .set("group.id", &settings.group)
            .set("group.protocol", "consumer")
            // A command is done when its effect is durable, and nobody but us knows when that is.
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("isolation.level", "read_committed")
            .set("fetch.wait.max.ms", "100")
            // In memory at most, for all partitions of this node.
            .set("queued.max.messages.kbytes", "16384");
        let consumer: StreamConsumer<Lost> =
            config.create_with_context(Lost::default()).map_err(|error| settings.unusable(&error))?;
        consumer.subscribe(&[&settings.commands_topic]).map_err(|error| settings.unusable(&error))?;
        let mut config = settings.producer();
        config.set("message.timeout.ms", PATIENCE.as_millis().to_string());
        let producer = config.create().map_err(|error| settings.unusable(&error))?;
        Ok(KafkaInlet { settings: Arc::new(settings), consumer: Arc::new(consumer), producer, next: None })
    }

    async fn batch(&mut self) -> Result<Vec<Delivery>> {
        let first = match self.next.take() {
            Some(first) => first,
            None => self.receive().await?,
        };
        let mut bytes = first.payload.len();
        let mut batch = vec![first];
        let end = tokio::time::Instant::now() + GATHER;
        while batch.len() < BATCH {
            match tokio::time::timeout_at(end, self.receive()).await {
                Ok(Ok(delivery)) if bytes + delivery.payload.len() > BATCH_BYTES => {
                    self.next = Some(delivery);
                    break;
                }
                Ok(Ok(delivery)) => {
                    bytes += delivery.payload.len();
                    batch.push(delivery);
                }
                // An error comes again, with nothing in hand.
                Ok(Err(_)) | Err(_) => break,
            }
        }
        Ok(batch)
    }

    async fn receive(&self) -> Result<Delivery> {
        let message = loop {
            match self.consumer.recv().await {
                Ok(message) => break message,
                // The library connects again by itself, and leaves one of these for each attempt in the same queue as
                // what comes after. That brokers are gone is noticed by others.
                Err(error) if passes(&error) => {}
                Err(error) => return Err(meaning(&error)),
            }
        };
        Ok(Delivery {
            lane: message.partition() as u32,
            // From 1, as operations are counted.
            number: message.offset() as u64 + 1,
            key: Bytes::copy_from_slice(message.key().unwrap_or_default()),
            payload: kept(message.payload().unwrap_or_default()),
        })
    }

    async fn bury(&self, letter: &DeadLetter) -> Result<()> {
        let DeadLetter { delivery, reason, text } = letter;
        let (partition, offset) = (delivery.lane.to_string(), (delivery.number - 1).to_string());
        let header = |key, value| Header { key, value: Some(value) };
        let headers = OwnedHeaders::new()
            .insert(header("reason", *reason))
            .insert(header("reason_text", text))
            .insert(header("source_topic", &self.settings.commands_topic))
            .insert(header("source_partition", &partition))
            .insert(header("source_offset", &offset));
        let kept = &delivery.payload[..delivery.payload.len().min(KEPT_BYTES)];
        let record = FutureRecord::to(&self.settings.dead_letters_topic)
            .key(&delivery.key[..])
            .payload(kept)
            .headers(headers);
        let sent = self.producer.send(record, PATIENCE).await;
        sent.map(drop).map_err(|(error, _)| {
            EventsError::Unavailable(format!("{}: {error}", self.settings.dead_letters_topic))
        })
    }
}

/// Whether an error is over when there is a connection again.
fn passes(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::Resolve
        )
    )
}

/// What is longer than a command may be is cut, and then no command.
fn kept(payload: &[u8]) -> Bytes {
    Bytes::copy_from_slice(&payload[..payload.len().min(command::COMMAND_BYTES + 1)])
}

impl Inlet for KafkaInlet {
    fn source(&self) -> String {
        format!("kafka/{}", self.settings.commands_topic)
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Delivery>>> {
        self.batch().boxed()
    }

    fn before(&mut self, lane: u32, number: u64) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        let settings = self.settings.clone();
        blocking(move || {
            let end = Some(number as i64 - 1);
            let take = |message: &rdkafka::message::BorrowedMessage<'_>| message.payload().map(kept);
            read_back(&settings, &settings.commands_topic, lane as i32, end, recent::IDS, take)
        })
        .boxed()
    }

    fn lost(&mut self) -> Vec<u32> {
        let mut lost = self.consumer.context().partitions.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *lost).into_iter().map(|partition| partition as u32).collect()
    }

    fn bury<'a>(&'a mut self, letters: &'a [DeadLetter]) -> BoxFuture<'a, Result<()>> {
        let this = &*self;
        async move {
            let sent = join_all(letters.iter().map(|letter| this.bury(letter))).await;
            sent.into_iter().collect()
        }
        .boxed()
    }

    fn done<'a>(&'a mut self, lanes: &'a [(u32, u64)]) -> BoxFuture<'a, Result<()>> {
        let offsets: HashMap<(String, i32), Offset> = lanes
            .iter()
            .map(|(lane, number)| {
                // The offset after the last one that is done, and numbers are one more than offsets.
                ((self.settings.commands_topic.clone(), *lane as i32), Offset::Offset(*number as i64))
            })
            .collect();
        let consumer = self.consumer.clone();
        let commit = blocking(move || {
            let offsets = TopicPartitionList::from_topic_map(&offsets).map_err(|error| meaning(&error))?;
            consumer.commit(&offsets, CommitMode::Sync).map_err(|error| meaning(&error))
        });
        async move {
            let late = || EventsError::Unavailable("Kafka does not note in time what is done".into());
            tokio::time::timeout(COMMIT, commit).await.unwrap_or_else(|_| Err(late()))
        }
        .boxed()
    }
}
