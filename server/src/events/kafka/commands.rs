use bytes::Bytes;
use enfilade_core::RoomId;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rdkafka::producer::{FutureProducer, FutureRecord};

use super::{PATIENCE, Settings};
use crate::events::{Commands, EventsError, Result};

/// Sends commands into the topic, keyed by room.
pub struct KafkaCommands {
    topic: String,
    producer: FutureProducer,
}

impl KafkaCommands {
    /// Sends when asked; nothing is checked before.
    ///
    /// # Errors
    /// The settings are no settings.
    pub fn open(settings: &Settings) -> Result<KafkaCommands> {
        let mut config = settings.producer();
        config
            .set("partitioner", "murmur2_random")
            .set("message.timeout.ms", PATIENCE.as_millis().to_string());
        let producer = config.create().map_err(|error| settings.unusable(&error))?;
        Ok(KafkaCommands { topic: settings.commands_topic.clone(), producer })
    }
}

impl Commands for KafkaCommands {
    fn send<'a>(&'a self, room: &'a RoomId, json: Bytes) -> BoxFuture<'a, Result<()>> {
        async move {
            let record = FutureRecord::to(&self.topic).key(room.as_str()).payload(&json[..]);
            let sent = self.producer.send(record, PATIENCE).await;
            sent.map(drop).map_err(|(error, _)| EventsError::Unavailable(format!("{}: {error}", self.topic)))
        }
        .boxed()
    }
}
