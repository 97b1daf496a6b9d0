//! The way to Redis: one shared connection, opened anew when it breaks, a bound of requests in flight, and retries.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, ErrorKind, IntoConnectionInfo, Pipeline,
    ProtocolVersion, RedisError, ServerErrorKind, Value,
};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::options::{Mode, Options};
use super::scripts::{Call, Lua};
use crate::store::{Result, StoreError};

/// Requests that wait for their turn; beyond, the answer would come too late to be of use.
const WAITING: usize = 16_384;
/// After an attempt to connect has failed, the next waits this long.
const CONNECT_PAUSE: Duration = Duration::from_millis(50);
/// How long one attempt to connect may take: a machine that is there answers sooner.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two attempts of a request; each time twice as long.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// The way to Redis.
pub(super) struct Link {
    kind: Kind,
    place: String,
    in_flight: Semaphore,
    waiting: Semaphore,
    timeout: Duration,
    attempts: u32,
    closed: AtomicBool,
}

enum Kind {
    /// One server at a time. Where appends wait for replicas they have a connection of their own: that wait would hold
    /// up everything else.
    Single {
        shared: Box<Single>,
        appends: Box<Single>,
    },
    Cluster(ClusterConnection),
}

/// A connection that is opened when it is needed.
struct Single {
    connector: Arc<Connector>,
    slot: Mutex<Slot>,
}

#[derive(Default)]
struct Slot {
    /// Rises with each connection, so that one failure ends one connection.
    generation: u64,
    open: Option<MultiplexedConnection>,
    failed: Option<(Instant, RedisError)>,
}

/// How a connection to the one master is opened.
pub(super) enum Connector {
    Direct(Box<Client>),
    Sentinel(Box<Mutex<SentinelClient>>),
}

impl Connector {
    /// Takes the addresses. Pushes need the newer protocol.
    pub(super) fn new(
        options: &Options,
        protocol: ProtocolVersion,
    ) -> std::result::Result<Connector, RedisError> {
        let urls = options.urls();
        if options.mode != Mode::Sentinel {
            let info = urls.first().copied().unwrap_or_default().into_connection_info()?;
            let settings = info.redis_settings().clone().set_protocol(protocol);
            return Ok(Connector::Direct(Box::new(Client::open(info.set_redis_settings(settings))?)));
        }
        let infos = urls.iter().map(|url| url.into_connection_info());
        let infos = infos.collect::<std::result::Result<Vec<ConnectionInfo>, RedisError>>()?;
        let addresses = infos.iter().map(|info| info.addr().clone());
        let (master, server) = (&options.sentinel_master, SentinelServerType::Master);
        let mut builder =
            SentinelClientBuilder::new(addresses, master, server)?.set_client_to_redis_protocol(protocol);
        if let Some(settings) = infos.first().map(ConnectionInfo::redis_settings) {
            builder = builder.set_client_to_redis_db(settings.db());
            if let Some(username) = settings.username() {
                builder = builder.set_client_to_redis_username(username);
            }
            if let Some(password) = settings.password() {
                builder = builder.set_client_to_redis_password(password);
            }
        }
        if !options.sentinel_password.is_empty() {
            builder = builder.set_client_to_sentinel_password(&options.sentinel_password);
        }
        Ok(Connector::Sentinel(Box::new(Mutex::new(builder.build()?))))
    }

    /// Opens a connection.
    pub(super) async fn connect(
        &self,
        config: &AsyncConnectionConfig,
    ) -> std::result::Result<MultiplexedConnection, RedisError> {
        match self {
            Connector::Direct(client) => client.get_multiplexed_async_connection_with_config(config).await,
            Connector::Sentinel(client) => client.lock().await.get_async_connection_with_config(config).await,
        }
    }
}

impl Single {
    fn new(connector: Arc<Connector>) -> Single {
        Single { connector, slot: Mutex::default() }
    }

    /// The connection that is open, or a new one.
    async fn get(&self, response: Duration) -> std::result::Result<(u64, MultiplexedConnection), RedisError> {
        let mut slot = self.slot.lock().await;
        if let Some(open) = &slot.open {
            return Ok((slot.generation, open.clone()));
        }
        if let Some((at, error)) = &slot.failed
            && at.elapsed() < CONNECT_PAUSE
        {
            return Err(error.clone());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT.min(response)))
            .set_response_timeout(Some(response));
        match self.connector.connect(&config).await {
            Ok(connection) => {
                slot.generation += 1;
                slot.open = Some(connection.clone());
                slot.failed = None;
                Ok((slot.generation, connection))
            }
            Err(error) => {
                slot.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    /// Lets go of a connection that has failed, unless there is a newer one.
    async fn discard(&self, generation: u64) {
        let mut slot = self.slot.lock().await;
        if slot.generation == generation {
            slot.open = None;
        }
    }
}

/// One request.
enum Request<'a> {
    Command(&'a Cmd),
    /// For one server of a Cluster.
    At {
        host: &'a str,
        port: u16,
        cmd: &'a Cmd,
    },
    /// A script, and how many replicas must have what it wrote.
    Script {
        script: &'a Lua,
        call: &'a Call,
        replicas: u32,
    },
}

impl Link {
    /// Takes the addresses; whether anything is there shows the first request.
    pub(super) async fn open(options: &Options) -> Result<Link> {
        let malformed = |error: RedisError| {
            StoreError::Inaccessible(format!(
                "redis.url is not understood ({}); write it as redis://user:password@host:6379/0",
                error.detail().map_or_else(|| error.to_string(), str::to_owned)
            ))
        };
        let kind = match options.mode {
            Mode::Standalone | Mode::Sentinel => {
                let connector = Arc::new(Connector::new(options, ProtocolVersion::RESP2).map_err(malformed)?);
                let (shared, appends) = (Single::new(connector.clone()), Single::new(connector));
                let (shared, appends) = (Box::new(shared), Box::new(appends));
                Kind::Single { shared, appends }
            }
            Mode::Cluster => {
                let client = ClusterClient::builder(options.urls())
                    .retries(options.retry_attempts)
                    .connection_timeout(CONNECT_TIMEOUT.min(options.timeout))
                    .response_timeout(options.timeout)
                    .overall_response_timeout(Some(options.timeout))
                    .build()
                    .map_err(malformed)?;
                let opened = timeout(options.timeout, client.get_async_connection()).await;
                let opened = opened
                    .unwrap_or_else(|_| Err(timed_out()))
                    .map_err(|error| refused(&error, &options.place()));
                Kind::Cluster(opened?)
            }
        };
        Ok(Link {
            kind,
            place: options.place(),
            in_flight: Semaphore::new(options.pool_size),
            waiting: Semaphore::new(options.pool_size + WAITING),
            timeout: options.timeout,
            attempts: options.retry_attempts,
            closed: AtomicBool::new(false),
        })
    }

    /// Everything after it is refused.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// One command, routed by its key.
    pub(super) async fn command(&self, cmd: &Cmd) -> Result<Value> {
        self.request(&Request::Command(cmd)).await
    }

    /// Addresses of all masters, in an order of their own; with one server that is one, and empty.
    pub(super) async fn masters(&self) -> Result<Vec<String>> {
        if matches!(self.kind, Kind::Single { .. }) {
            return if self.is_closed() { Err(StoreError::closed()) } else { Ok(vec![String::new()]) };
        }
        let Value::Array(ranges) = self.command(redis::cmd("CLUSTER").arg("SLOTS")).await? else {
            return Err(super::reply::unexpected());
        };
        // First and last slot, and then the servers, the master first.
        let master = |range: Value| {
            let Value::Array(range) = range else { return None };
            let Some(Value::Array(master)) = range.into_iter().nth(2) else { return None };
            let mut parts = master.into_iter();
            let host = super::reply::text(parts.next()?).ok()?;
            Some(format!("{host}:{}", super::reply::number(parts.next()?).ok()?))
        };
        let mut masters: Vec<String> = ranges.into_iter().filter_map(master).collect();
        masters.sort();
        masters.dedup();
        Ok(masters)
    }

    /// One command on the server at one of the addresses of [`masters`](Link::masters).
    pub(super) async fn command_at(&self, address: &str, cmd: &Cmd) -> Result<Value> {
        match address.rsplit_once(':').map(|(host, port)| (host, port.parse())) {
            Some((host, Ok(port))) => self.request(&Request::At { host, port, cmd }).await,
            _ => self.command(cmd).await,
        }
    }

    /// One script.
    pub(super) async fn script(&self, script: &Lua, call: &Call) -> Result<Value> {
        self.request(&Request::Script { script, call, replicas: 0 }).await
    }

    /// One script, and then the wait until so many replicas have what it wrote, in the same round trip.
    pub(super) async fn replicated(&self, script: &Lua, call: &Call, replicas: u32) -> Result<Value> {
        self.request(&Request::Script { script, call, replicas }).await
    }

    async fn request(&self, request: &Request<'_>) -> Result<Value> {
        if self.is_closed() {
            return Err(StoreError::closed());
        }
        let deadline = Instant::now() + self.timeout;
        let _place = self.waiting.try_acquire().map_err(|_| {
            metrics::counter!("enfilade_redis_overloaded_total").increment(1);
            StoreError::Overloaded
        })?;
        let turn = timeout_at(deadline, self.in_flight.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            metrics::counter!("enfilade_redis_overloaded_total").increment(1);
            return Err(StoreError::Unavailable(format!(
                "no request to Redis at {} became free within {} ms; Redis is slow, or redis.pool_size is too small",
                self.place,
                self.timeout.as_millis()
            )));
        };
        let started = Instant::now();
        let mut pause = RETRY_PAUSE;
        let mut attempt = 0;
        let outcome = loop {
            let outcome =
                timeout_at(deadline, self.attempt(request)).await.unwrap_or_else(|_| Err(timed_out()));
            match outcome {
                Err(error)
                    if attempt < self.attempts && is_passing(&error) && Instant::now() + pause < deadline =>
                {
                    metrics::counter!("enfilade_redis_retries_total").increment(1);
                    attempt += 1;
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                outcome => break outcome,
            }
        };
        metrics::histogram!("enfilade_redis_request_seconds").record(started.elapsed().as_secs_f64());
        outcome.map_err(|error| {
            metrics::counter!("enfilade_redis_failures_total").increment(1);
            refused(&error, &self.place)
        })
    }

    async fn attempt(&self, request: &Request<'_>) -> std::result::Result<Value, RedisError> {
        match &self.kind {
            Kind::Cluster(connection) => send_cluster(&mut connection.clone(), request).await,
            Kind::Single { shared, appends } => {
                let single = match request {
                    Request::Script { replicas: 1.., .. } => appends,
                    Request::Script { .. } | Request::Command(_) | Request::At { .. } => shared,
                };
                let (generation, mut connection) = single.get(self.timeout).await?;
                let sent = send_single(&mut connection, request, self.timeout).await;
                if let Err(error) = &sent
                    && (error.is_unrecoverable_error() || is_wrong_server(error))
                {
                    single.discard(generation).await;
                }
                sent
            }
        }
    }
}

async fn send_single(
    connection: &mut MultiplexedConnection,
    request: &Request<'_>,
    patience: Duration,
) -> std::result::Result<Value, RedisError> {
    match request {
        Request::Command(cmd) | Request::At { cmd, .. } => {
            connection.req_packed_command(cmd).await?.extract_error()
        }
        Request::Script { script, call, replicas: 0 } => {
            match connection
                .req_packed_command(&script.command(call, false))
                .await
                .and_then(Value::extract_error)
            {
                Err(error) if is_unknown_script(&error) => {
                    connection.req_packed_command(&script.command(call, true)).await?.extract_error()
                }
                other => other,
            }
        }
        Request::Script { script, call, replicas } => {
            let mut sent = Err(timed_out());
            for with_text in [false, true] {
                let pipeline = with_wait(script.command(call, with_text), *replicas, patience);
                sent = after_wait(connection.req_packed_commands(&pipeline, 0, 2).await?, *replicas);
                if !sent.as_ref().is_err_and(is_unknown_script) {
                    break;
                }
            }
            sent
        }
    }
}

async fn send_cluster(
    connection: &mut ClusterConnection,
    request: &Request<'_>,
) -> std::result::Result<Value, RedisError> {
    match request {
        Request::Command(cmd) => connection.req_packed_command(cmd).await?.extract_error(),
        Request::At { host, port, cmd } => {
            let server = SingleNodeRoutingInfo::ByAddress { host: (*host).to_owned(), port: *port };
            let sent = connection.route_command((*cmd).clone(), RoutingInfo::SingleNode(server)).await;
            sent.and_then(Value::extract_error)
        }
        Request::Script { script, call, replicas } => {
            let key = call.keys.first().map(String::as_str).unwrap_or_default();
            let route = SingleNodeRoutingInfo::SpecificNode(Route::with_key(key, SlotAddr::Master));
            let mut sent = Err(timed_out());
            for with_text in [false, true] {
                let cmd = script.command(call, with_text);
                sent = if *replicas == 0 {
                    connection
                        .route_command(cmd, RoutingInfo::SingleNode(route.clone()))
                        .await
                        .and_then(Value::extract_error)
                } else {
                    // As with one server: the wait is in the same round trip.
                    let pipeline = with_wait(cmd, *replicas, CONNECT_TIMEOUT);
                    connection
                        .route_pipeline(pipeline, 0, 2, route.clone())
                        .await
                        .and_then(|values| after_wait(values, *replicas))
                };
                if !sent.as_ref().is_err_and(is_unknown_script) {
                    break;
                }
            }
            sent
        }
    }
}

/// Half of the time is for the replicas, so that an answer comes before we give up.
fn with_wait(cmd: Cmd, replicas: u32, patience: Duration) -> Pipeline {
    let mut pipeline = redis::pipe();
    pipeline.add_command(cmd);
    pipeline.cmd("WAIT").arg(replicas).arg((patience / 2).as_millis() as u64);
    pipeline
}

fn after_wait(values: Vec<Value>, replicas: u32) -> std::result::Result<Value, RedisError> {
    let mut values = values.into_iter().map(Value::extract_error);
    let answer = values.next().unwrap_or_else(|| Err(timed_out()))?;
    match values.next().unwrap_or_else(|| Err(timed_out()))? {
        Value::Int(acknowledged) if acknowledged >= i64::from(replicas) => Ok(answer),
        _ => {
            Err((ErrorKind::Client, "too few replicas have acknowledged", format!("{replicas} must")).into())
        }
    }
}

fn timed_out() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

/// A master that became a replica: the connection is fine, and leads to the wrong server.
fn is_wrong_server(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown))
}

/// Whether the next attempt may be answered. A request that has timed out has used up its time.
fn is_passing(error: &RedisError) -> bool {
    if error.is_timeout() {
        return false;
    }
    match error.kind() {
        ErrorKind::Io | ErrorKind::ClusterConnectionNotFound | ErrorKind::MasterNameNotFoundBySentinel => {
            true
        }
        ErrorKind::Server(kind) => matches!(
            kind,
            ServerErrorKind::BusyLoading
                | ServerErrorKind::TryAgain
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ReadOnly
                | ServerErrorKind::Moved
                | ServerErrorKind::Ask
        ),
        _ => false,
    }
}

/// What an error means, and what to do about it.
pub(super) fn refused(error: &RedisError, place: &str) -> StoreError {
    // The library's texts hold no addresses or passwords but those of the server's own redirects.
    let text = error.to_string();
    let code = error.code().unwrap_or_default();
    let says = |what: &str| code == what || text.contains(what);
    if says("WRONGPASS") || says("NOAUTH") || error.kind() == ErrorKind::AuthenticationFailed {
        StoreError::Inaccessible(format!(
            "Redis at {place} does not take the user or password ({text}); set them in redis.url as \
             redis://user:password@host"
        ))
    } else if says("NOPERM") {
        StoreError::Inaccessible(format!("the user of redis.url may not do everything at {place} ({text})"))
    } else if says("DB index") {
        StoreError::Inaccessible(format!(
            "Redis at {place} has no such database ({text}); the number after the host in redis.url chooses it, and \
             a Cluster has 0 alone"
        ))
    } else if says("WRONGTYPE") {
        StoreError::Damaged(format!(
            "a key at {place} that should be ours is of a foreign type ({text}); another program writes keys with \
             our prefix: choose another redis.prefix, or move that key away"
        ))
    } else if says("OOM") {
        StoreError::Full(format!(
            "Redis at {place} has no memory left ({text}); raise its maxmemory, and the server goes on by itself; \
             nothing that was acknowledged is lost"
        ))
    } else if says("MISCONF") {
        StoreError::Full(format!("Redis at {place} can't write to its disk ({text}); see to its disk"))
    } else if error.kind() == ErrorKind::ClusterConnectionNotFound {
        StoreError::Unavailable(format!(
            "the Cluster at {place} has no server for what is asked ({text}): none can be reached, or none serves the \
             slots; look at `redis-cli cluster info`, and make or mend it with `redis-cli --cluster create` or `fix`"
        ))
    } else if error.is_timeout() {
        StoreError::Unavailable(format!("Redis at {place} does not answer in time"))
    } else if error.is_connection_refusal() || error.is_io_error() {
        StoreError::Unavailable(format!(
            "Redis at {place} can't be reached ({text}); is it running, and is redis.url right?"
        ))
    } else {
        StoreError::Unavailable(format!("Redis at {place} does not do what it is asked: {text}"))
    }
}
