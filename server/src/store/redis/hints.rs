//! Hints between nodes: plain pub/sub with one server, sharded pub/sub on a Cluster.
//!
//! They are only hints, so nothing is repeated that was lost. But a subscription that has silently ended is found: a
//! message to ourselves goes through each of them every second, and where it does not come back the subscription is
//! made anew.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use enfilade_core::{Position, RoomId};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, PushInfo, PushKind,
    RedisError, Value,
};
use tokio::sync::{Notify, broadcast, mpsc};
use tokio::time::{Instant, timeout};

use super::link::{Connector, Link};
use super::options::{Mode, Options};
use crate::store::{HINTS, Hint};

/// Channels of a Cluster: several, so that its masters share the work, and few, for each is a connection a node.
const SHARDS: usize = 4;
/// Between two messages to ourselves.
const PING: Duration = Duration::from_secs(1);
/// As long without a message to ourselves, and the subscription is made anew.
const SILENCE: Duration = Duration::from_millis(2_500);
/// Between two attempts to subscribe.
const PAUSE: Duration = Duration::from_millis(100);
/// Redirects that are followed until the right server is found.
const REDIRECTS: usize = 5;
/// Messages that wait to be taken; beyond, they are lost, as hints may be.
const PUSHES: usize = 4_096;
/// Hints of one message of a Cluster.
const HINTS_A_MESSAGE: usize = 512;

/// The hints of a store.
pub(super) struct Hints {
    receivers: broadcast::Sender<Hint>,
    /// Names this store, so that what we said ourselves is not taken twice.
    origin: String,
    prefix: String,
    is_cluster: bool,
    /// On a Cluster: where logs have grown, and nobody was told yet.
    unsaid: Mutex<HashMap<RoomId, Position>>,
    some_unsaid: Notify,
}

impl Hints {
    pub(super) fn new(options: &Options, origin: String) -> Hints {
        Hints {
            receivers: broadcast::channel(HINTS).0,
            origin,
            prefix: options.prefix.clone(),
            is_cluster: options.mode == Mode::Cluster,
            unsaid: Mutex::default(),
            some_unsaid: Notify::new(),
        }
    }

    pub(super) fn receiver(&self) -> broadcast::Receiver<Hint> {
        self.receivers.subscribe()
    }

    /// The channel that scripts publish to, and what they say there before the position. On a Cluster nothing: such a
    /// message would go to every server of it.
    pub(super) fn in_script(&self, room: &RoomId) -> (String, String) {
        match self.is_cluster {
            true => (String::new(), String::new()),
            false => (self.channel(0), format!("{} {room}", self.origin)),
        }
    }

    /// A log of ours has grown.
    pub(super) fn grown(&self, room: &RoomId, head: Position) {
        // Nobody watching is fine.
        let _ = self.receivers.send(Hint { room: room.clone(), head });
        if self.is_cluster {
            self.unsaid.lock().unwrap_or_else(PoisonError::into_inner).insert(room.clone(), head);
            self.some_unsaid.notify_one();
        }
    }

    fn channel(&self, shard: usize) -> String {
        match self.is_cluster {
            true => format!("{}hints:{shard}", self.prefix),
            false => format!("{}hints", self.prefix),
        }
    }

    fn shards(&self) -> usize {
        if self.is_cluster { SHARDS } else { 1 }
    }

    /// `PUBLISH`, or on a Cluster `SPUBLISH`.
    async fn publish(&self, link: &Link, shard: usize, message: &str) -> bool {
        let name = if self.is_cluster { "SPUBLISH" } else { "PUBLISH" };
        link.command(redis::cmd(name).arg(self.channel(shard)).arg(message)).await.is_ok()
    }

    /// Says on a Cluster what has grown, all that has come together in one message a channel.
    pub(super) async fn say(self: Arc<Self>, link: Arc<Link>) {
        while !link.is_closed() {
            self.some_unsaid.notified().await;
            let unsaid = std::mem::take(&mut *self.unsaid.lock().unwrap_or_else(PoisonError::into_inner));
            let mut messages = vec![Vec::new(); SHARDS];
            for (room, head) in unsaid {
                let shard = room
                    .as_str()
                    .bytes()
                    .fold(0, |sum: usize, byte| sum.wrapping_mul(31) + usize::from(byte));
                messages[shard % SHARDS].push(format!("{} {room} {} {}", self.origin, head.epoch, head.seq));
            }
            let said = messages.iter().enumerate().flat_map(|(shard, lines)| {
                lines.chunks(HINTS_A_MESSAGE).map(move |lines| (shard, lines.join("\n")))
            });
            let said = said.map(async |(shard, message)| self.publish(&link, shard, &message).await);
            futures_util::future::join_all(said).await;
        }
    }

    /// Keeps one subscription, until the store is closed. `on_return` is called when it was made anew.
    pub(super) async fn listen(
        self: Arc<Self>,
        link: Arc<Link>,
        servers: Arc<Servers>,
        shard: usize,
        on_return: impl Fn(),
    ) {
        let mut was_up = false;
        while !link.is_closed() {
            let (pushes, mut pushed) = mpsc::channel(PUSHES);
            let channel = self.channel(shard);
            match timeout(SILENCE, servers.subscribe(&channel, pushes)).await {
                Ok(Ok(_connection)) => {
                    if was_up {
                        on_return();
                    }
                    was_up = true;
                    self.hear(&link, shard, &mut pushed).await;
                    if !link.is_closed() {
                        metrics::counter!("enfilade_redis_resubscriptions_total").increment(1);
                        tracing::info!(channel, "hints are subscribed anew");
                    }
                }
                Ok(Err(error)) => tracing::debug!(channel, %error, "hints can't be subscribed"),
                Err(_) => tracing::debug!(channel, "hints can't be subscribed in time"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Until the subscription ends, or is silent.
    async fn hear(&self, link: &Link, shard: usize, pushed: &mut mpsc::Receiver<PushInfo>) {
        let mut last = Instant::now();
        let mut pings = tokio::time::interval(PING);
        pings.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                push = pushed.recv() => match push {
                    Some(PushInfo { kind: PushKind::Message | PushKind::SMessage, data }) => {
                        if self.take(&data) {
                            last = Instant::now();
                        }
                    }
                    Some(PushInfo { kind: PushKind::Disconnection | PushKind::Unsubscribe | PushKind::SUnsubscribe, .. })
                    | None => return,
                    Some(_) => {}
                },
                _ = pings.tick() => {
                    if link.is_closed() || last.elapsed() > SILENCE {
                        return;
                    }
                    // While Redis does not answer, silence says nothing; the subscription ends with its connection.
                    let message = format!("{} ping", self.origin);
                    if !timeout(PING, self.publish(link, shard, &message)).await.unwrap_or(false) {
                        last = Instant::now();
                    }
                }
            }
        }
    }

    /// Whether it came from ourselves.
    fn take(&self, data: &[Value]) -> bool {
        let Some(Value::BulkString(message)) = data.get(1) else { return false };
        let Ok(message) = std::str::from_utf8(message) else { return false };
        let mut is_ours = false;
        for line in message.lines() {
            let mut words = line.split(' ');
            if words.next() == Some(&self.origin) {
                is_ours = true;
                continue;
            }
            let room = words.next().and_then(|room| RoomId::new(room).ok());
            let mut number = || words.next().and_then(|word| word.parse().ok());
            if let (Some(room), Some(epoch), Some(seq)) = (room, number(), number()) {
                // Nobody watching is fine.
                let _ = self.receivers.send(Hint { room, head: Position { epoch, seq } });
            }
        }
        is_ours
    }

    /// Starts what keeps the hints going.
    pub(super) fn start(
        self: &Arc<Self>,
        link: &Arc<Link>,
        servers: &Arc<Servers>,
        on_return: impl Fn() + Clone + Send + Sync + 'static,
    ) {
        for shard in 0..self.shards() {
            tokio::spawn(self.clone().listen(link.clone(), servers.clone(), shard, on_return.clone()));
        }
        if self.is_cluster {
            tokio::spawn(self.clone().say(link.clone()));
        }
    }
}

/// Where a channel is subscribed.
pub(super) enum Servers {
    One(Box<Connector>),
    Cluster(Vec<ConnectionInfo>),
}

impl Servers {
    /// The addresses were understood before.
    pub(super) fn new(options: &Options) -> std::result::Result<Servers, RedisError> {
        if options.mode != Mode::Cluster {
            return Ok(Servers::One(Box::new(Connector::new(options, ProtocolVersion::RESP3)?)));
        }
        let infos = options.urls().into_iter().map(IntoConnectionInfo::into_connection_info);
        Ok(Servers::Cluster(infos.collect::<std::result::Result<_, RedisError>>()?))
    }

    /// A connection of its own that has subscribed.
    async fn subscribe(
        &self,
        channel: &str,
        pushes: mpsc::Sender<PushInfo>,
    ) -> std::result::Result<MultiplexedConnection, RedisError> {
        let config = || {
            let pushes = pushes.clone();
            let take = move |push| {
                // Whoever is late loses hints.
                let _ = pushes.try_send(push);
                Ok::<(), redis::aio::SendError>(())
            };
            AsyncConnectionConfig::new().set_push_sender(take).set_response_timeout(Some(SILENCE))
        };
        match self {
            Servers::One(connector) => {
                let mut connection = connector.connect(&config()).await?;
                connection.subscribe(channel).await?;
                Ok(connection)
            }
            Servers::Cluster(seeds) => {
                let mut outcome = Err(closed());
                for seed in seeds {
                    outcome = subscribe_from(seed.clone(), channel, &config).await;
                    if outcome.is_ok() {
                        break;
                    }
                }
                outcome
            }
        }
    }
}

/// Follows redirects from one server of a Cluster to the one that has the channel.
async fn subscribe_from(
    mut server: ConnectionInfo,
    channel: &str,
    config: &impl Fn() -> AsyncConnectionConfig,
) -> std::result::Result<MultiplexedConnection, RedisError> {
    for _ in 0..REDIRECTS {
        let settings = server.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let client = Client::open(server.clone().set_redis_settings(settings))?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&config()).await?;
        let subscribed = redis::cmd("SSUBSCRIBE").arg(channel).query_async::<Value>(&mut connection).await;
        let error = match subscribed {
            Ok(_) => return Ok(connection),
            Err(error) => error,
        };
        let Some((host, port)) = error.redirect_node().and_then(|(address, _)| address.rsplit_once(':'))
        else {
            return Err(error);
        };
        let Ok(port) = port.parse() else { return Err(error) };
        let address = match server.addr() {
            redis::ConnectionAddr::TcpTls { insecure, tls_params, .. } => redis::ConnectionAddr::TcpTls {
                host: host.to_owned(),
                port,
                insecure: *insecure,
                tls_params: tls_params.clone(),
            },
            _ => redis::ConnectionAddr::Tcp(host.to_owned(), port),
        };
        server = server.set_addr(address);
    }
    Err(closed())
}

fn closed() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::NotConnected).into()
}
