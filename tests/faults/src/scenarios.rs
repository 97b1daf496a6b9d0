//! The faults.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use enfilade_backends::or_skip;
use enfilade_backends::redis::{Cluster, Redis, Sentinels};
use futures_util::future::BoxFuture;
use tokio::task::block_in_place;
use tokio::time::sleep;

use crate::Size;
use crate::check::Promise;
use crate::table::{self, Row};
use crate::world::{Backend, World};

/// One fault.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    run: fn(Size) -> BoxFuture<'static, Option<Row>>,
}

macro_rules! scenarios {
    ($($name:literal => $run:ident),* $(,)?) => {
        /// All of them.
        pub(crate) const ALL: &[Scenario] =
            &[$(Scenario { name: $name, run: |size| Box::pin($run($name, size)) }),*];
    };
}

scenarios! {
    "Redis killed" => redis_killed,
    "Redis killed, after a snapshot" => killed_after_snapshot,
    "Redis paused" => redis_paused,
    "Redis stopped and started" => redis_restarted,
    "node killed" => node_killed,
    "node paused past its leases" => node_paused,
    "lines to Redis cut" => redis_cut,
    "lines to people cut" => people_cut,
    "Redis emptied" => redis_emptied,
    "Redis killed, file cut" => file_cut,
    "Sentinel failover" => sentinel_failover,
    "Cluster failover" => cluster_failover,
}

/// Runs those whose name has one of these in it; all of them where there is none.
pub(crate) async fn run_all(size: Size, names: &[String]) -> Vec<Row> {
    let mut rows = Vec::new();
    for scenario in ALL {
        if !names.is_empty() && !names.iter().any(|name| scenario.name.contains(name.as_str())) {
            continue;
        }
        eprintln!("{}…", scenario.name);
        // One that can't be played is a failure, and the others are played all the same.
        let row = tokio::spawn((scenario.run)(size)).await.unwrap_or_else(|panic| {
            let mut row = Row::new(scenario.name);
            row.failures.push(panic.to_string());
            Some(row)
        });
        row.iter().for_each(table::tell);
        rows.extend(row);
    }
    rows
}

/// Messages of each writer; there are six.
fn messages(size: Size) -> u64 {
    match size {
        Size::Short => 60,
        Size::Full => 500,
    }
}

const STRICT: Promise = Promise::NothingLost;

/// Two nodes on a Redis that syncs before it answers.
async fn durable(size: Size) -> Option<World> {
    let redis = or_skip("Redis", block_in_place(Redis::start))?;
    Some(World::start(size, Backend::Redis(redis), &[]).await)
}

async fn redis_killed(name: &'static str, size: Size) -> Option<Row> {
    let mut world = durable(size).await?;
    let fault = async |world: &mut World| {
        block_in_place(|| world.backend.redis().kill());
        sleep(Duration::from_secs(1)).await;
        block_in_place(|| world.backend.redis().restart()).expect("Redis starts again");
        Some(Instant::now())
    };
    Some(world.run(name, messages(size), STRICT, fault).await)
}

async fn killed_after_snapshot(name: &'static str, size: Size) -> Option<Row> {
    // Rooms are snapshot every thousand entries; the short run has no time for so many.
    let messages = if size == Size::Full { 700 } else { messages(size) };
    let mut world = durable(size).await?;
    let fault = async |world: &mut World| {
        world.reach(6 * messages * 85 / 100).await;
        block_in_place(|| world.backend.redis().kill());
        block_in_place(|| world.backend.redis().restart()).expect("Redis starts again");
        let back = Instant::now();
        // Whoever comes new has the snapshot to begin with.
        sleep(Duration::from_millis(200)).await;
        block_in_place(|| world.nodes[1].kill());
        block_in_place(|| world.nodes[1].restart());
        Some(back)
    };
    Some(world.run(name, messages, STRICT, fault).await)
}

async fn redis_paused(name: &'static str, size: Size) -> Option<Row> {
    let mut world = durable(size).await?;
    let fault = async |world: &mut World| {
        world.backend.redis().pause();
        sleep(Duration::from_secs(3)).await;
        world.backend.redis().resume();
        Some(Instant::now())
    };
    Some(world.run(name, messages(size), STRICT, fault).await)
}

async fn redis_restarted(name: &'static str, size: Size) -> Option<Row> {
    let mut world = durable(size).await?;
    let fault = async |world: &mut World| {
        block_in_place(|| world.backend.redis().terminate());
        block_in_place(|| world.backend.redis().restart()).expect("Redis starts again");
        Some(Instant::now())
    };
    Some(world.run(name, messages(size), STRICT, fault).await)
}

async fn node_killed(name: &'static str, size: Size) -> Option<Row> {
    let mut world = durable(size).await?;
    let fault = async |world: &mut World| {
        block_in_place(|| world.nodes[0].kill());
        let gone = Instant::now();
        sleep(Duration::from_secs(1)).await;
        block_in_place(|| world.nodes[0].restart());
        // The other node is there all the time: people go on from the moment that theirs is gone.
        Some(gone)
    };
    Some(world.run(name, messages(size), STRICT, fault).await)
}

async fn node_paused(name: &'static str, size: Size) -> Option<Row> {
    let mut world = durable(size).await?;
    // Leases hold for half a minute.
    let pause = if size == Size::Full { 32 } else { 4 };
    let fault = async |world: &mut World| {
        world.nodes[0].pause();
        sleep(Duration::from_secs(pause)).await;
        world.nodes[0].resume();
        Some(Instant::now())
    };
    Some(world.run(name, messages(size), STRICT, fault).await)
}

async fn redis_cut(name: &'static str, size: Size) -> Option<Row> {
    let mut world = durable(size).await?;
    let cuts = if size == Size::Full { 20 } else { 4 };
    let fault = async |world: &mut World| {
        let wire = world.redis_wire.as_ref()?;
        for _ in 0..cuts {
            wire.cut();
            sleep(Duration::from_millis(150)).await;
        }
        wire.block(true);
        sleep(Duration::from_secs(1)).await;
        wire.block(false);
        Some(Instant::now())
    };
    Some(world.run(name, messages(size), STRICT, fault).await)
}

async fn people_cut(name: &'static str, size: Size) -> Option<Row> {
    let mut world = durable(size).await?;
    let cuts = if size == Size::Full { 20 } else { 4 };
    let fault = async |world: &mut World| {
        for _ in 0..cuts {
            world.wires.iter().for_each(|wire| wire.cut());
            sleep(Duration::from_millis(200)).await;
        }
        // Nothing was away: people come back when their back-off says so.
        None
    };
    Some(world.run(name, messages(size), STRICT, fault).await)
}

async fn redis_emptied(name: &'static str, size: Size) -> Option<Row> {
    let mut world = durable(size).await?;
    let fault = async |world: &mut World| {
        block_in_place(|| world.backend.redis().ask(&["FLUSHALL"]));
        Some(Instant::now())
    };
    Some(world.run(name, messages(size), Promise::LossIsReported, fault).await)
}

async fn file_cut(name: &'static str, size: Size) -> Option<Row> {
    let weak = [
        "--appendonly",
        "yes",
        "--appendfsync",
        "everysec",
        "--save",
        "",
        "--maxmemory-policy",
        "noeviction",
    ];
    let redis = or_skip("Redis", block_in_place(|| Redis::start_with(&weak)))?;
    let mut world = World::start(size, Backend::Redis(redis), &[]).await;
    let fault = async |world: &mut World| {
        block_in_place(|| {
            let redis = world.backend.redis();
            redis.kill();
            let file = newest_part(redis).expect("an append-only file");
            let length = fs::metadata(&file).expect("its length").len();
            // As if the last sync had been a while ago.
            File::options()
                .write(true)
                .open(&file)
                .and_then(|file| file.set_len(length * 9 / 10))
                .expect("cut");
            redis.restart().expect("Redis starts again");
        });
        Some(Instant::now())
    };
    Some(world.run(name, messages(size), Promise::LossIsReported, fault).await)
}

/// The file that Redis appends to.
fn newest_part(redis: &Redis) -> Option<PathBuf> {
    let files = fs::read_dir(redis.folder().join("appendonlydir")).ok()?.filter_map(Result::ok);
    let parts = files.map(|file| file.path()).filter(|path| path.to_string_lossy().ends_with(".incr.aof"));
    parts.max()
}

async fn sentinel_failover(name: &'static str, size: Size) -> Option<Row> {
    let sentinels = or_skip("Redis", block_in_place(Sentinels::start))?;
    let mut world = World::start(size, Backend::Sentinels(sentinels), &["redis.wait_replicas=1"]).await;
    let fault = async |world: &mut World| {
        let Backend::Sentinels(sentinels) = &mut world.backend else { return None };
        block_in_place(|| sentinels.master.kill());
        until(|| sentinels.replica.ask(&["ROLE"]).contains("master")).await;
        let promoted = Instant::now();
        // The old one comes back as a replica: with WAIT, nothing is acknowledged before it does.
        block_in_place(|| sentinels.master.restart()).expect("Redis starts again");
        until(|| sentinels.replica.ask(&["INFO", "replication"]).contains("connected_slaves:1")).await;
        until(|| sentinels.master.ask(&["INFO", "replication"]).contains("master_link_status:up")).await;
        eprintln!("promoted, and a replica {} ms after that", promoted.elapsed().as_millis());
        Some(Instant::now())
    };
    Some(world.run(name, messages(size), STRICT, fault).await)
}

async fn cluster_failover(name: &'static str, size: Size) -> Option<Row> {
    let cluster = or_skip("Redis Cluster", block_in_place(Cluster::start))?;
    let mut world = World::start(size, Backend::Cluster(cluster), &[]).await;
    let fault = async |world: &mut World| {
        let key = format!("enfilade:head:{{{}}}", world.rooms[0]);
        let Backend::Cluster(cluster) = &mut world.backend else { return None };
        block_in_place(|| {
            let master = cluster.master_of(&key);
            master.kill();
        });
        until(|| {
            cluster.servers.iter().any(|server| {
                enfilade_backends::redis::ask(server.port(), &["EXISTS", &key])
                    .is_ok_and(|answer| answer.starts_with(':'))
            })
        })
        .await;
        Some(Instant::now())
    };
    // One replica, and no WAIT: what the master acknowledged last may not be there.
    Some(world.run(name, messages(size), Promise::LossIsReported, fault).await)
}

/// Waits until it is so.
async fn until(mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + crate::PATIENCE;
    while !block_in_place(&mut is_so) {
        assert!(Instant::now() < deadline, "it does not come about");
        sleep(Duration::from_millis(20)).await;
    }
}
