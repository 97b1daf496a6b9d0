//! Kafka: the topics, how clients are set up, and what is checked at the start.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer as _};
use rdkafka::types::RDKafkaRespErr;

use super::{EventsError, Result};

mod commands;
#[cfg(test)]
mod faults;
mod inlet;
mod outlet;
mod tail;
#[cfg(test)]
mod tests;

pub use commands::KafkaCommands;
pub use inlet::KafkaInlet;
pub use outlet::KafkaOutlet;

/// How long a broker may take to answer before it counts as gone.
const PATIENCE: Duration = Duration::from_secs(10);
/// Partitions of topics that this server makes itself: as many as there are shards.
const PARTITIONS: i32 = super::SHARDS as i32;

/// Where Kafka is, and what the topics are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Addresses of some brokers, `host:port,host:port`.
    pub brokers: String,
    /// Entries go here.
    pub topic: String,
    /// Commands come from here.
    pub commands_topic: String,
    /// Commands that can't be done go here.
    pub dead_letters_topic: String,
    /// The consumer group of all nodes, and the beginning of their producers' transactional ids. Two installations on
    /// one cluster need different ones.
    pub group: String,
    /// Whether topics that are missing are made.
    pub create_topics: bool,
    /// For brokers that ask who we are (SASL/PLAIN); empty where they don't.
    pub username: String,
    /// Belongs to `username`.
    pub password: String,
    /// Further settings of librdkafka, such as `client.rack`.
    pub properties: Vec<(String, String)>,
}

impl Settings {
    /// What every client of ours has in common.
    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "enfilade")
            // Work goes on within a second of a broker's return.
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "500")
            .set("socket.connection.setup.timeout.ms", "5000")
            // What a broker was asked before it died is asked again.
            .set("socket.timeout.ms", "10000")
            .set("allow.auto.create.topics", "false");
        if !self.username.is_empty() {
            config
                .set("security.protocol", "SASL_PLAINTEXT")
                .set("sasl.mechanism", "PLAIN")
                .set("sasl.username", &self.username)
                .set("sasl.password", &self.password);
        }
        for (key, value) in &self.properties {
            config.set(key, value);
        }
        config
    }

    /// A producer without transactions whose retries double nothing.
    fn producer(&self) -> ClientConfig {
        let mut config = self.client();
        config.set("enable.idempotence", "true").set("acks", "all").set("linger.ms", "5");
        config
    }

    /// Sees to it that brokers answer and the topics are there. Blocks for some seconds at most.
    ///
    /// # Errors
    /// [`EventsError::Misconfigured`], with what to do.
    pub(crate) async fn check(&self) -> Result<()> {
        let settings = self.clone();
        let topics = [&self.topic, &self.commands_topic, &self.dead_letters_topic].map(String::clone);
        let missing = blocking(move || {
            let client = settings.prober()?;
            let mut missing = Vec::new();
            for topic in topics {
                if settings.partitions(&client, &topic)? == 0 {
                    missing.push(topic);
                }
            }
            Ok(missing)
        })
        .await?;
        match missing.first() {
            None => Ok(()),
            Some(_) if self.create_topics => self.create(&missing).await,
            Some(topic) => Err(self.missing(topic)),
        }
    }

    async fn create(&self, topics: &[String]) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> =
            self.client().create().map_err(|error| self.unusable(&error))?;
        let new: Vec<NewTopic<'_>> = topics
            .iter()
            .map(|topic| NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(-1)))
            .collect();
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let made = admin.create_topics(&new, &options).await.map_err(|error| self.unusable(&error))?;
        for made in made {
            match made {
                Ok(topic) => tracing::info!(topic, partitions = PARTITIONS, "made a topic"),
                // Another node was as quick.
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => {
                    let EventsError::Misconfigured(advice) = self.missing(&topic) else { continue };
                    return Err(EventsError::Misconfigured(format!("{code}: {advice}")));
                }
            }
        }
        Ok(())
    }

    fn prober(&self) -> Result<BaseProducer> {
        self.client().create().map_err(|error| self.unusable(&error))
    }

    /// Partitions of a topic; 0 where there is none.
    fn partitions<C>(&self, client: &BaseProducer<C>, topic: &str) -> Result<u32>
    where
        C: rdkafka::producer::ProducerContext + 'static,
    {
        let metadata = client
            .client()
            .fetch_metadata(Some(topic), PATIENCE)
            .map_err(|error| EventsError::Unavailable(self.unreachable(&error)))?;
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else { return Ok(0) };
        match found.error() {
            None => Ok(found.partitions().len() as u32),
            Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) => Ok(0),
            Some(error) => Err(EventsError::Misconfigured(format!(
                "the topic {topic} can't be used ({}): look at its name and at who may use it",
                RDKafkaErrorCode::from(error)
            ))),
        }
    }

    fn unreachable(&self, error: &KafkaError) -> String {
        format!("no Kafka broker answers at {} ({error}): start it, or correct kafka.brokers", self.brokers)
    }

    fn unusable(&self, error: &KafkaError) -> EventsError {
        EventsError::Misconfigured(format!("Kafka can't be used: {error}; look at the section `kafka`"))
    }

    fn missing(&self, topic: &str) -> EventsError {
        EventsError::Misconfigured(format!(
            "Kafka has no topic {topic}; create it:\n  kafka-topics.sh --bootstrap-server {} --create --topic {topic} \
             --partitions {PARTITIONS} --replication-factor 3\nor let the server do so: kafka.create_topics = true",
            self.brokers.split(',').next().unwrap_or_default()
        ))
    }
}

/// librdkafka's waiting calls, away from the threads that must not wait.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(EventsError::Unavailable("a call to Kafka failed".into())))
}

/// What an error means for whoever asked.
fn meaning(error: &KafkaError) -> EventsError {
    let code = match error {
        KafkaError::Transaction(error) => Some(error.code()),
        error => error.rdkafka_error_code(),
    };
    match code {
        Some(
            RDKafkaErrorCode::Fenced
            | RDKafkaErrorCode::ProducerFenced
            | RDKafkaErrorCode::InvalidProducerEpoch,
        ) => EventsError::Taken,
        _ => EventsError::Unavailable(format!("Kafka: {error}")),
    }
}
