use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use enfilade_backends::{Kafka, or_skip};
use rdkafka::Message as _;
use rdkafka::message::{BorrowedMessage, Headers as _};

use super::tail::read_back;
use super::*;
use crate::events::contract::{Fixture, contract};
use crate::events::record::Body;
use crate::events::{Commands, Inlet, Outlet};

/// One broker for all tests that run at the same time, because a broker takes seconds to start.
fn broker() -> Option<Arc<Mutex<Kafka>>> {
    static SHARED: Mutex<Weak<Mutex<Kafka>>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(kafka) = shared.upgrade() {
        return Some(kafka);
    }
    let kafka = Arc::new(Mutex::new(or_skip("Kafka", Kafka::start())?));
    *shared = Arc::downgrade(&kafka);
    Some(kafka)
}

/// Topics of one test.
pub(crate) struct Topics {
    pub(crate) kafka: Arc<Mutex<Kafka>>,
    pub(crate) settings: Settings,
}

impl Topics {
    pub(crate) async fn on(kafka: Arc<Mutex<Kafka>>, brokers: String) -> Topics {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        // RUST_LOG says how much is told of a test that fails.
        let log =
            tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env());
        let _ = log.with_test_writer().try_init();
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let settings = Settings {
            brokers,
            topic: format!("entries-{number}"),
            commands_topic: format!("commands-{number}"),
            dead_letters_topic: format!("dead-{number}"),
            group: format!("enfilade-{number}"),
            create_topics: false,
            username: String::new(),
            password: String::new(),
            properties: Vec::new(),
        };
        for (topic, partitions) in
            [(&settings.topic, 3), (&settings.commands_topic, 3), (&settings.dead_letters_topic, 1)]
        {
            enfilade_backends::create_topic(&settings.brokers, topic, partitions).await;
        }
        Topics { kafka, settings }
    }

    async fn all<T: Send + 'static>(
        &self,
        topic: &str,
        partitions: i32,
        take: impl Fn(&BorrowedMessage<'_>) -> Option<T> + Send + 'static,
    ) -> Vec<T> {
        let (settings, topic) = (self.settings.clone(), topic.to_owned());
        let read = move || {
            let mut all = Vec::new();
            for partition in 0..partitions {
                all.extend(read_back(&settings, &topic, partition, None, usize::MAX >> 2, &take)?);
            }
            Ok(all)
        };
        blocking(read).await.unwrap()
    }
}

impl Fixture for Topics {
    async fn new() -> Option<Topics> {
        let kafka = tokio::task::spawn_blocking(broker).await.unwrap()?;
        let brokers = kafka.lock().unwrap().brokers();
        Some(Topics::on(kafka, brokers).await)
    }

    async fn outlet(&self) -> Arc<dyn Outlet> {
        Arc::new(KafkaOutlet::open(self.settings.clone()).await.unwrap())
    }

    async fn records(&self) -> Vec<Body> {
        let read = |message: &BorrowedMessage<'_>| {
            let body: Body = serde_json::from_slice(message.payload()?).unwrap();
            assert_eq!(message.key(), Some(body.room.as_bytes()));
            Some(body)
        };
        self.all(&self.settings.topic, 3, read).await
    }

    async fn inlet(&self, _: &str) -> Box<dyn Inlet> {
        Box::new(KafkaInlet::open(self.settings.clone()).unwrap())
    }

    async fn commands(&self) -> Arc<dyn Commands> {
        Arc::new(KafkaCommands::open(&self.settings).unwrap())
    }

    async fn dead(&self) -> Vec<(String, Bytes)> {
        let read = |message: &BorrowedMessage<'_>| {
            let header = message.headers()?.iter().find(|header| header.key == "reason")?;
            let reason = String::from_utf8(header.value?.to_vec()).unwrap();
            Some((reason, Bytes::copy_from_slice(message.payload()?)))
        };
        self.all(&self.settings.dead_letters_topic, 1, read).await
    }
}

contract!(contract, Topics);

#[tokio::test]
async fn a_broker_that_is_not_there_and_a_topic_that_is_not_there_are_named_with_what_to_do() {
    let Some(topics) = Topics::new().await else { return };
    let nowhere = Settings { brokers: "127.0.0.1:1".into(), ..topics.settings.clone() };
    let said = nowhere.check().await.unwrap_err().to_string();
    assert!(said.contains("127.0.0.1:1") && said.contains("kafka.brokers"), "{said}");
    let mut missing = Settings { commands_topic: "not-there".into(), ..topics.settings.clone() };
    let said = missing.check().await.unwrap_err().to_string();
    assert!(said.contains("--create --topic not-there"), "{said}");
    missing.create_topics = true;
    missing.check().await.unwrap();
    missing.create_topics = false;
    missing.check().await.unwrap();
}
