//! Nodes, what they rest on, and people at work.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use enfilade_backends::redis::{Cluster, Redis, Sentinels};
use enfilade_core::RoomId;
use enfilade_server::auth::Tokens;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::check::{self, Promise};
use crate::node::Node;
use crate::proxy::Proxy;
use crate::session::{Plan, Session};
use crate::table::Row;
use crate::{PATIENCE, Size};

/// Rooms that are written to at the same time.
const ROOMS: usize = 3;
/// People are done, and everybody has seen it, within this time after the last fault.
const SETTLING: Duration = Duration::from_secs(15);
/// When a component is back, everybody's writes are taken again within this time. Asserted by the full run alone, which
/// has the machine for itself.
const RECOVERY: Duration = Duration::from_secs(2);

/// What the nodes rest on.
pub(crate) enum Backend {
    Redis(Redis),
    Sentinels(Sentinels),
    Cluster(Cluster),
}

impl Backend {
    /// The one server that there is.
    pub(crate) fn redis(&mut self) -> &mut Redis {
        match self {
            Backend::Redis(redis) => redis,
            Backend::Sentinels(sentinels) => &mut sentinels.master,
            Backend::Cluster(cluster) => &mut cluster.servers[0],
        }
    }
}

/// Nodes on one backend, with a wire to each, and maybe one between them and Redis.
pub(crate) struct World {
    pub(crate) backend: Backend,
    pub(crate) nodes: Vec<Node>,
    /// Between people and each node.
    pub(crate) wires: Vec<Proxy>,
    /// Between nodes and a single Redis.
    pub(crate) redis_wire: Option<Proxy>,
    /// People at work.
    pub(crate) people: Vec<Session>,
    pub(crate) rooms: Vec<RoomId>,
    pub(crate) token: String,
    acked: watch::Sender<u64>,
    runs: u64,
    /// Whether the time of recovery is asserted.
    is_timed: bool,
    _key: TempDir,
}

impl World {
    /// Two nodes. Sets what is common to all; `more` comes on top.
    pub(crate) async fn start(size: Size, backend: Backend, more: &[&str]) -> World {
        let (url, mode, redis_wire) = match &backend {
            Backend::Redis(redis) => {
                let wire = Proxy::to(format!("127.0.0.1:{}", redis.port())).await;
                (format!("redis://{}/", wire.address), "standalone", Some(wire))
            }
            Backend::Sentinels(sentinels) => (sentinels.url(), "sentinel", None),
            Backend::Cluster(cluster) => (cluster.url(), "cluster", None),
        };
        let key = tempfile::tempdir().expect("a folder");
        let file = key.path().join("key.pem");
        std::fs::write(&file, Tokens::new_key().expect("a key")).expect("a file");
        std::fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("its mode");
        let mut settings: Vec<String> = vec![
            "store.kind=redis".into(),
            format!("redis.url={url}"),
            format!("redis.mode={mode}"),
            format!("signing_key={}", file.display()),
            // A fault is over when people can write again; with a human's patience, that is what would be measured.
            "redis.timeout=1000".into(),
            "heartbeat_interval_ms=1000".into(),
            "reconnect.min_ms=250".into(),
            "reconnect.max_ms=1000".into(),
            "bandwidth.active_bytes_per_second=1073741824".into(),
        ];
        if !more.iter().any(|setting| setting.starts_with("archive.kind")) {
            settings.push("archive.kind=none".into());
        }
        settings.extend(more.iter().map(ToString::to_string));
        let nodes: Vec<Node> =
            tokio::task::block_in_place(|| (0..2).map(|_| Node::start(&settings)).collect());
        let mut wires = Vec::new();
        for node in &nodes {
            wires.push(Proxy::to(node.address.clone()).await);
        }
        let token = tokio::task::block_in_place(|| nodes[0].guest("Owner"));
        let acked = watch::Sender::new(0);
        World {
            backend,
            nodes,
            wires,
            redis_wire,
            people: Vec::new(),
            rooms: Vec::new(),
            token,
            acked,
            runs: 0,
            is_timed: size == Size::Full,
            _key: key,
        }
    }

    /// Makes rooms, lets people write `messages` each, lets `fault` happen in the midst of it, and checks everything.
    /// `fault` returns when what it has hurt was back, for the time of recovery; `None` where nothing was away.
    pub(crate) async fn run(
        &mut self,
        name: &'static str,
        messages: u64,
        promise: Promise,
        fault: impl AsyncFnOnce(&mut World) -> Option<Instant>,
    ) -> Row {
        let begun = Instant::now();
        self.gather(name, messages).await;
        let all = messages * self.people.iter().filter(|person| person.plan.messages > 0).count() as u64;
        let mut failures = Vec::new();
        if !self.reach(all * 3 / 10).await {
            failures
                .push(format!("only {} of {all} were acknowledged before the fault", *self.acked.borrow()));
        }
        let back = fault(self).await;
        if !self.reach(all).await {
            let waiting = self.people.iter().filter(|person| !person.is_done());
            let who: Vec<String> = waiting.map(|person| person.plan.name.clone()).collect();
            let acked = *self.acked.borrow();
            failures.push(format!("only {acked} of {all} were acknowledged in the end; waiting: {who:?}"));
        }
        let recovery = back.and_then(|back| self.recovery(back));
        let mut row = check::check(self, name, promise, SETTLING).await;
        if let Some(recovery) = recovery.filter(|time| *time >= RECOVERY && self.is_timed) {
            failures.push(format!("recovery took {} ms", recovery.as_millis()));
        }
        row.failures.splice(0..0, failures);
        row.recovery = recovery;
        row.took = begun.elapsed();
        self.people.clear();
        row
    }

    /// New rooms, and in each a writer and a reader at every node.
    async fn gather(&mut self, name: &str, messages: u64) {
        self.runs += 1;
        self.acked.send_replace(0);
        let prefix: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        self.rooms = (1..=ROOMS)
            .map(|room| RoomId::new(&format!("f{}-{prefix}-{room}", self.runs)).expect("a room's id"))
            .collect();
        for room in &self.rooms {
            tokio::task::block_in_place(|| {
                self.nodes[0].create(room.as_str(), &self.token).expect("a room");
            });
        }
        let addresses: Vec<String> = self.wires.iter().map(|wire| wire.address.clone()).collect();
        for (index, room) in self.rooms.iter().enumerate() {
            for home in 0..self.nodes.len() {
                for writes in [true, false] {
                    let kind = if writes { "w" } else { "r" };
                    let name = format!("{kind}{}-{index}-{home}", self.runs);
                    let token = tokio::task::block_in_place(|| self.nodes[home].guest(&name));
                    let mut addresses = addresses.clone();
                    addresses.rotate_left(home);
                    let seed = self.runs * 1_000 + (index * 10 + home * 2 + usize::from(writes)) as u64;
                    let plan = Plan {
                        room: room.clone(),
                        name,
                        messages: if writes { messages } else { 0 },
                        token,
                        addresses,
                        seed: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
                    };
                    self.people.push(Session::start(plan, self.acked.clone()));
                }
            }
        }
    }

    /// Waits until so many operations are acknowledged.
    pub(crate) async fn reach(&self, count: u64) -> bool {
        let mut acked = self.acked.subscribe();
        timeout(PATIENCE, acked.wait_for(|acked| *acked >= count)).await.is_ok_and(|reached| reached.is_ok())
    }

    /// From `back` until every writer who was not done then had something acknowledged.
    fn recovery(&self, back: Instant) -> Option<Duration> {
        let first = |person: &Session| {
            let seen = person.seen();
            let acks = seen.acked.values().filter_map(|all| all.first()).filter(|acked| acked.at >= back);
            acks.map(|acked| acked.at - back).min()
        };
        self.people.iter().filter_map(first).max()
    }
}
