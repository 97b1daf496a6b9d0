//! Opening, starting and stopping events, whichever kind is configured.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::kafka::{self, KafkaCommands, KafkaInlet, KafkaOutlet};
use super::publisher::{Options, Publisher};
use super::redis_streams::{self, StreamCommands, StreamInlet, StreamOutlet};
use super::{Backoff, Commands, Gate, Inlet, Intake, Outlet, Result};
use crate::health::{self, Component, Health};
use crate::rooms::Rooms;
use crate::store::SharedStore;

/// Which events there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// None: entries stay in the rooms, and commands come over REST and sockets alone.
    None,
    /// Kafka.
    Kafka(kafka::Settings),
    /// Streams of Redis.
    RedisStreams(redis_streams::Settings),
}

/// What is told to events at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Which there are.
    pub kind: Kind,
    /// Bounds of publishing.
    pub options: Options,
    /// Entries that may wait to go out on all nodes together; beyond, writes are refused.
    pub outbox_entries: u64,
}

/// Events whose other side has answered. Nothing goes out or comes in yet.
pub struct Opened {
    settings: Settings,
    outlet: Arc<dyn Outlet>,
    commands: Arc<dyn Commands>,
}

/// Looks whether the other side is there; `None` where nothing is configured.
///
/// # Errors
/// It does not answer, or lacks a topic: with what to do.
pub async fn open(settings: &Settings) -> Result<Option<Opened>> {
    let (outlet, commands): (Arc<dyn Outlet>, Arc<dyn Commands>) = match &settings.kind {
        Kind::None => return Ok(None),
        Kind::Kafka(kafka) => {
            (Arc::new(KafkaOutlet::open(kafka.clone()).await?), Arc::new(KafkaCommands::open(kafka)?))
        }
        Kind::RedisStreams(streams) => (
            Arc::new(StreamOutlet::open(streams.clone()).await?),
            Arc::new(StreamCommands::open(streams.clone())?),
        ),
    };
    Ok(Some(Opened { settings: settings.clone(), outlet, commands }))
}

impl Opened {
    /// What sends commands the way that others do.
    pub fn commands(&self) -> Arc<dyn Commands> {
        self.commands.clone()
    }

    /// Begins to publish what is in the store, and to do what commands say.
    pub fn start(self, rooms: &Rooms, store: &SharedStore, node: &str, health: &Health) -> Running {
        let Opened { settings, outlet, .. } = self;
        let meter = health.meter(Component::Events);
        let gate = Arc::new(Gate::new(settings.outbox_entries));
        rooms.hold_back_by(gate.clone());
        let publisher =
            Publisher::new(store.clone(), outlet.clone(), node.into(), settings.options, gate, meter.clone());
        let (publishing, stop) = watch::channel(false);
        let publisher = tokio::spawn(publisher.run(stop));
        let (taking, stop) = watch::channel(false);
        let intake = Intake::new(rooms.clone(), meter.clone());
        let (kind, store, node, told) = (settings.kind, store.clone(), node.to_owned(), meter.clone());
        let intake = tokio::spawn(async move {
            let mut backoff = Backoff::new();
            loop {
                match inlet(&kind, &store, &node) {
                    Ok(inlet) => return intake.run(inlet, stop).await,
                    Err(error) => told.failed(&error.to_string()),
                }
                backoff.wait().await;
            }
        });
        let probes = tokio::spawn(async move {
            let ask = async || {
                let begun = tokio::time::Instant::now();
                match outlet.probe().await {
                    Ok(()) => meter.answered(begun.elapsed()),
                    Err(error) => meter.failed(&error.to_string()),
                }
            };
            health::probe(meter.clone(), ask).await;
        });
        Running { publishing, publisher, taking, intake, probes }
    }
}

fn inlet(kind: &Kind, store: &SharedStore, node: &str) -> Result<Box<dyn Inlet>> {
    Ok(match kind {
        Kind::Kafka(kafka) => Box::new(KafkaInlet::open(kafka.clone())?),
        Kind::RedisStreams(streams) => {
            Box::new(StreamInlet::open(streams.clone(), store.clone(), node.into())?)
        }
        // Nothing is started without a kind.
        Kind::None => return Err(super::EventsError::Misconfigured("there are no events".into())),
    })
}

/// Events at work.
pub struct Running {
    publishing: watch::Sender<bool>,
    publisher: JoinHandle<()>,
    taking: watch::Sender<bool>,
    intake: JoinHandle<()>,
    probes: JoinHandle<()>,
}

impl Running {
    /// Takes no more commands; those under way are finished, while rooms still do them. What is not finished in time is
    /// delivered to another node.
    pub async fn stop_intake(&mut self, within: Duration) {
        self.taking.send_replace(true);
        if tokio::time::timeout(within, &mut self.intake).await.is_err() {
            self.intake.abort();
        }
    }

    /// Publishes what waits, as far as there is time; the rest waits in the store.
    pub async fn stop(mut self, within: Duration) {
        self.publishing.send_replace(true);
        if tokio::time::timeout(within, &mut self.publisher).await.is_err() {
            tracing::warn!("entries wait to go out; they will when a node runs again");
            self.publisher.abort();
        }
        self.probes.abort();
    }
}
