//! Events, Kafka, and streams of Redis.

use serde::{Deserialize, Serialize};

use crate::events::publisher::Options;
use crate::events::{self, BATCH_MAX, Kind, kafka, redis_streams};

/// What goes out to other systems, and comes in from them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// Through Kafka, through streams of Redis, or not at all.
    pub kind: EventsKind,
    /// Entries that may wait to go out, on all nodes together; beyond, writes are refused until there are fewer.
    pub outbox_entries: u64,
    /// Entries that go out at once.
    pub batch_entries: usize,
    /// Bytes that go out at once.
    pub batch_bytes: usize,
    /// Where Redis is for streams: `redis://user:password@host:6379/0`; several of a Cluster with commas between them.
    pub streams_url: String,
    /// What the keys of streams begin with.
    pub streams_prefix: String,
    /// Entries that each of the eight streams keeps, roughly.
    pub streams_keep: usize,
    /// Commands that may wait in each of the eight streams; further ones are refused.
    pub streams_commands: usize,
}

/// Which way events go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventsKind {
    /// Not at all.
    None,
    /// Kafka.
    Kafka,
    /// Streams of Redis.
    RedisStreams,
}

/// How Kafka is reached, and what its topics are called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kafka {
    /// Some brokers: `host:9092,host:9092`.
    pub brokers: String,
    /// Entries go here.
    pub topic: String,
    /// Commands come from here.
    pub commands_topic: String,
    /// Commands that can't be done go here.
    pub dead_letters_topic: String,
    /// Names this installation: the consumer group of its nodes, and their transactional ids.
    pub group: String,
    /// Whether topics that are missing are made, with eight partitions and the brokers' default of replicas.
    pub create_topics: bool,
    /// For brokers that ask for a name and a password (SASL/PLAIN).
    pub username: String,
    /// Belongs to the name.
    pub password: String,
    /// Further settings of librdkafka: `["client.rack=a"]`.
    pub properties: Vec<String>,
}

impl Default for Events {
    fn default() -> Events {
        let options = Options::default();
        Events {
            kind: EventsKind::None,
            outbox_entries: 1_000_000,
            batch_entries: options.batch_records,
            batch_bytes: options.batch_bytes,
            streams_url: "redis://127.0.0.1:6379".into(),
            streams_prefix: "enfilade:".into(),
            streams_keep: 1_000_000,
            streams_commands: 100_000,
        }
    }
}

impl Default for Kafka {
    fn default() -> Kafka {
        Kafka {
            brokers: "127.0.0.1:9092".into(),
            topic: "enfilade.entries".into(),
            commands_topic: "enfilade.commands".into(),
            dead_letters_topic: "enfilade.commands.dead".into(),
            group: "enfilade".into(),
            create_topics: false,
            username: String::new(),
            password: String::new(),
            properties: Vec::new(),
        }
    }
}

/// Kafka takes no longer names of topics.
const TOPIC_BYTES: usize = 249;

impl Events {
    /// What events are told at their start.
    pub(super) fn settings(&self, kafka: &Kafka) -> events::Settings {
        let kind = match self.kind {
            EventsKind::None => Kind::None,
            EventsKind::Kafka => Kind::Kafka(kafka.settings()),
            EventsKind::RedisStreams => Kind::RedisStreams(redis_streams::Settings {
                urls: self.streams_url.split(',').map(|url| url.trim().to_owned()).collect(),
                prefix: self.streams_prefix.clone(),
                keep: self.streams_keep,
                commands: self.streams_commands,
            }),
        };
        let options = Options { batch_records: self.batch_entries, batch_bytes: self.batch_bytes };
        events::Settings { kind, options, outbox_entries: self.outbox_entries }
    }

    /// Keys whose values can't be: with what they may be.
    pub(super) fn faults(&self, kafka: &Kafka) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let mut range = |key, value: u64, min: u64, max: u64| {
            if !(min..=max).contains(&value) {
                faults.push((key, format!("it must be from {min} to {max}")));
            }
        };
        range("events.outbox_entries", self.outbox_entries, 1_000, 1_000_000_000);
        range("events.batch_entries", self.batch_entries as u64, 1, BATCH_MAX as u64);
        range("events.batch_bytes", self.batch_bytes as u64, 1 << 16, 1 << 26);
        // Whoever takes a shard over looks for what was published last among so many.
        range("events.streams_keep", self.streams_keep as u64, 2 * BATCH_MAX as u64, 1_000_000_000);
        range("events.streams_commands", self.streams_commands as u64, 100, 1_000_000_000);
        let is_url = |url: &str| ["redis://", "rediss://"].iter().any(|start| url.trim().starts_with(start));
        if !self.streams_url.split(',').all(is_url) {
            faults.push(("events.streams_url", "write it as redis://user:password@host:6379/0".into()));
        }
        let topics = [
            ("kafka.topic", &kafka.topic),
            ("kafka.commands_topic", &kafka.commands_topic),
            ("kafka.dead_letters_topic", &kafka.dead_letters_topic),
            ("kafka.group", &kafka.group),
        ];
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        for (key, name) in topics {
            if !(1..=TOPIC_BYTES).contains(&name.len()) || !name.chars().all(allowed) {
                faults.push((
                    key,
                    format!("use 1 to {TOPIC_BYTES} letters, digits, dots, hyphens and underscores"),
                ));
            }
        }
        let names = [&kafka.topic, &kafka.commands_topic, &kafka.dead_letters_topic];
        if names.iter().enumerate().any(|(at, name)| names[..at].contains(name)) {
            faults.push(("kafka.topic", "entries, commands and dead letters need a topic each".into()));
        }
        if kafka.brokers.split(',').any(|broker| !is_broker(broker.trim())) {
            faults.push(("kafka.brokers", "write it as host:9092,host:9092".into()));
        }
        if let Some(wrong) = kafka.properties.iter().find(|property| !property.contains('=')) {
            faults.push(("kafka.properties", format!("{wrong:?} has no value; write it as name=value")));
        }
        faults
    }
}

impl Kafka {
    fn settings(&self) -> kafka::Settings {
        let pair =
            |property: &String| property.split_once('=').map(|(key, value)| (key.into(), value.into()));
        kafka::Settings {
            brokers: self.brokers.clone(),
            topic: self.topic.clone(),
            commands_topic: self.commands_topic.clone(),
            dead_letters_topic: self.dead_letters_topic.clone(),
            group: self.group.clone(),
            create_topics: self.create_topics,
            username: self.username.clone(),
            password: self.password.clone(),
            properties: self.properties.iter().filter_map(pair).collect(),
        }
    }
}

fn is_broker(broker: &str) -> bool {
    broker.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}
