//! Starting, serving and stopping: everything in its order.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use enfilade_core::Code;
use enfilade_core::authority::ConnectionConfig;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::signal::unix::{SignalKind, signal};

use crate::archive::{self, ArchiveSink};
use crate::auth::{Tokens, now};
use crate::events;
use crate::folder::DataFolder;
use crate::follow::Following;
use crate::health::{self, Component, Health, Phase, Watched};
use crate::http::{self, Api};
use crate::net::{Net, NetConfig, accept};
use crate::readable::index::Index;
use crate::rooms::{Directory, Rooms};
use crate::session::{self, Session, Sessions};
use crate::store::{EmbeddedStore, Follower, Options as StoreOptions, RedisOptions, RedisStore, SharedStore};
use crate::transfer::Place;

/// Why the server did not start, or did not stop as it should. The message says what to do.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Of the time to drain, what connections have to take the rest and close; the rest is for requests and the store.
const CLOSING_SHARE: u32 = 2;

/// What the server is told at its start, after all sources of configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen; port 0 is any that is free.
    pub listen: SocketAddr,
    /// Where rooms and the signing key are kept.
    pub data_dir: PathBuf,
    /// The signing key that the nodes of a cluster share; without it the data folder has one of its own.
    pub signing_key: Option<PathBuf>,
    /// Bounds and deadlines of sockets.
    pub net: NetConfig,
    /// What connections are told and allowed.
    pub connection: ConnectionConfig,
    /// Bounds of the embedded store, and who follows whatever store there is.
    pub store: StoreOptions,
    /// Where rooms are kept for good.
    pub archive: archive::Settings,
    /// The Redis that is the store; without it the embedded one is.
    pub redis: Option<RedisOptions>,
    /// What goes out to other systems, and comes in from them.
    pub events: events::Settings,
    /// Whether somebody without an account gets a token.
    pub guests: bool,
    /// How long such a token is good.
    pub guest_lifetime: Duration,
    /// Other sites whose pages may call the API.
    pub cors_origins: Vec<String>,
    /// From the order to stop until the process ends.
    pub drain: Duration,
}

/// Serves until the process is told to stop, then drains.
///
/// # Errors
/// What stands in the way of starting: the address, the data folder, the store.
pub async fn run(settings: Settings, metrics: PrometheusHandle) -> Result<(), Failure> {
    let Settings { listen, drain, .. } = settings;
    // The address first: a second server on the same folder is told of the port, which is what was meant.
    let health = Health::new();
    let node = node_name();
    let listener = accept::bind(listen).map_err(|error| cannot_listen(listen, &error))?;
    let address = listener.local_addr()?;
    let folder = Arc::new(DataFolder::open(&settings.data_dir)?);
    let tokens = Arc::new(match &settings.signing_key {
        Some(file) => Tokens::open_file(file, settings.guest_lifetime)?,
        None => Tokens::open(&folder, settings.guest_lifetime)?,
    });
    // What the server rests on opens first, and sockets last: whoever gets in is served. It closes the other way round.
    let begun = Instant::now();
    let (store, embedded) = open_store(&settings, folder).await?;
    let meter = health.meter(Component::Store);
    let watched = Arc::new(Watched::new(store, meter.clone()));
    let store: SharedStore = watched.clone();
    started("store", begun);
    let begun = Instant::now();
    let past = archive::open(&settings.archive, embedded).await?;
    if past.is_some() {
        started("archive", begun);
    }

    let begun = Instant::now();
    let opened = events::open(&settings.events).await?;
    if opened.is_some() {
        started("events", begun);
    }

    // Revisions of the room list must not repeat those of an earlier process.
    let directory = Directory::new(now().0 * 1_000);
    let mut count = directory.load_all(&*store).await?;
    if let Some(past) = past.as_ref().filter(|past| count == 0 && past.archive().is_apart()) {
        count = past.list(&directory).await?;
    }

    let heartbeat_interval = settings.connection.heartbeat_interval;
    let begun = Instant::now();
    let mut starting = None;
    let net = Net::start(&settings.net, |_, fanout| {
        let sessions = starting.get_or_insert_with(|| Sessions {
            rooms: Rooms::new(
                store.clone(),
                fanout.clone(),
                directory.clone(),
                node.clone(),
                heartbeat_interval,
                settings.connection.budgets,
            ),
            tokens: tokens.clone(),
            config: Arc::new(settings.connection.clone()),
            health: health.clone(),
        });
        Session::new(sessions.clone())
    })?;
    let fanout = net.fanout().clone();
    let rooms = match starting {
        Some(sessions) => sessions.rooms,
        None => return Err("no shard was started".into()),
    };
    let mut archiving = None;
    if let Some(past) = past {
        rooms.remember(past.clone());
        let others: Vec<Follower> =
            settings.store.followers.iter().copied().filter(|of| *of == Follower::Events).collect();
        let (keep, pace) = (settings.archive.keep, settings.archive.pace);
        let sink = ArchiveSink::new(store.clone(), past.clone(), keep, pace).waiting_for(&others);
        let following = Following::start(store.clone(), Arc::new(sink), node.clone());
        // An embedded archive does as its store does.
        let probing = past.archive().is_apart().then(|| {
            let meter = health.meter(Component::Archive);
            tokio::spawn(async move {
                health::probe(meter.clone(), || archive::ask(past.archive(), &meter)).await;
            })
        });
        archiving = Some((following, probing));
    }
    // Where somebody may look into the store, a follower keeps the keys that belong to no single room.
    let indexing = store.keys().is_some().then(|| {
        let index = Index::new(store.clone(), node.clone());
        Following::start(store.clone(), Arc::new(index), node.clone())
    });
    let commands = opened.as_ref().map(events::Opened::commands);
    let mut running = opened.map(|opened| opened.start(&rooms, &store, &node, &health));
    let hints = tokio::spawn(rooms.clone().follow_hints());
    let beats = tokio::spawn(session::beat(fanout.clone(), Duration::from_millis(heartbeat_interval)));
    let told = tokio::spawn(session::tell_of_outages(fanout.clone(), health.clone()));
    let probes = tokio::spawn(async move {
        let (watched, node) = (&watched, &node);
        health::probe(meter, || watched.ask(node)).await;
    });

    let api = Api {
        rooms: rooms.clone(),
        commands,
        tokens,
        guests: settings.guests,
        fanout: fanout.clone(),
        metrics,
        health: health.clone(),
    };
    started("sockets", begun);
    if settings.guests {
        tracing::warn!(
            "GUESTS ARE ALLOWED: anybody who reaches this server gets a token. Set guests.allowed = false to change that."
        );
    }
    health.enter(Phase::Serving);
    tracing::info!(%address, rooms = count, data = %settings.data_dir.display(), "serving at http://{address}");

    let reconnect_after = Duration::from_millis(settings.connection.reconnect_min);
    let stop = stop_requested();
    let stopping = {
        let (health, fanout) = (health.clone(), fanout.clone());
        async move {
            let signal = stop.await;
            health.enter(Phase::Draining);
            stopped("readiness", signal);
            session::advise(&fanout, reconnect_after);
            stopped("welcome", "clients are advised to come back, each at a time of its own");
        }
    };
    let router = http::router(api, &settings.cors_origins);
    accept::serve(listener, router, &settings.net, stopping, drain / 4).await;

    stopped("requests", "nobody new gets in");

    // What is under way becomes durable and is answered, then sockets close, then what all of that rested on.
    beats.abort();
    told.abort();
    if let Some(events) = &mut running {
        events.stop_intake(drain / 16).await;
        stopped("commands", "what was under way is durable, the rest is left to others");
    }
    rooms.stop(drain / 8).await;
    stopped("rooms", "what was under way is durable and answered");
    net.drain(Code::GoingAway, Code::GoingAway.text(), drain / CLOSING_SHARE).await;
    stopped("sockets", "all are closed");
    hints.abort();
    probes.abort();
    if let Some(events) = running {
        events.stop(drain / 8).await;
        stopped("events", "what was written has gone out, as far as there was time");
    }
    if let Some(following) = indexing {
        following.stop(drain / 16).await;
    }
    if let Some((following, probing)) = archiving {
        following.stop(drain / 8).await;
        probing.inspect(|probing| probing.abort());
        stopped("archive", "what was written is archived, as far as there was time");
    }
    store.close().await?;
    stopped("store", "it is closed");
    tracing::info!("stopped");
    Ok(())
}

/// Opens what rooms are kept in, without serving: for commands that move them.
///
/// # Errors
/// The data folder, the store or the archive can't be opened, or another process uses them.
pub async fn open_place(settings: &Settings) -> Result<Place, Failure> {
    let folder = Arc::new(DataFolder::open(&settings.data_dir)?);
    let (store, embedded) = open_store(settings, folder).await?;
    let past = archive::open(&settings.archive, embedded).await?;
    Ok(Place { store, past })
}

/// Opens the store alone, for commands that look into it.
///
/// # Errors
/// The data folder or the store can't be opened, or another process uses them.
pub async fn open_store_alone(settings: &Settings) -> Result<SharedStore, Failure> {
    let folder = Arc::new(DataFolder::open(&settings.data_dir)?);
    Ok(open_store(settings, folder).await?.0)
}

/// Opens the store that the configuration names; the embedded one also by its own name, for it can hold the archive.
async fn open_store(
    settings: &Settings,
    folder: Arc<DataFolder>,
) -> Result<(SharedStore, Option<Arc<EmbeddedStore>>), Failure> {
    let Some(redis) = &settings.redis else {
        let embedded = Arc::new(EmbeddedStore::open(folder, &settings.store)?);
        return Ok((embedded.clone(), Some(embedded)));
    };
    let followers = settings.store.followers.clone();
    let store = RedisStore::open(RedisOptions { followers, ..redis.clone() }).await?;
    Ok((Arc::new(store), None))
}

/// Says in the log that a part of the server has started.
fn started(step: &'static str, begun: Instant) {
    let ms = begun.elapsed().as_millis() as u64;
    tracing::info!(step, ms, "started: {step}");
}

/// Says in the log that a part of the server has stopped, and how.
fn stopped(step: &'static str, how: &'static str) {
    tracing::info!(step, "stopped: {step} ({how})");
}

/// A name that no other process has at the same time.
fn node_name() -> String {
    let mut bytes = [0; 8];
    match getrandom::fill(&mut bytes) {
        Ok(()) => format!("node-{:016x}", u64::from_le_bytes(bytes)),
        Err(_) => format!("node-{}", std::process::id()),
    }
}

fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> Failure {
    let advice = match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            "another process uses it; stop that one, or choose another port with --listen"
        }
        std::io::ErrorKind::PermissionDenied => {
            "this user may not use it; choose a port above 1023 with --listen"
        }
        std::io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address; use 127.0.0.1 or 0.0.0.0 with --listen"
        }
        _ => "choose another with --listen",
    };
    format!("can't listen on {address} ({error}): {advice}").into()
}

/// Completes at SIGTERM or Ctrl-C, with the signal's name. A second one ends the process at once.
async fn stop_requested() -> &'static str {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::process::exit(130);
    });
    name
}
