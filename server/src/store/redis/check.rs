//! What is looked at before the first request: whether this is a Redis that keeps what it was told to keep.

use redis::Value;

use super::link::Link;
use super::options::{Mode, Options};
use super::reply;
use crate::store::{Result, StoreError};

/// The oldest that has what the scripts need.
const OLDEST: u32 = 7;
/// Slots of a Cluster.
const SLOTS: &str = "16384";

/// Refuses a Redis that can't be our store, and warns of one that may forget.
pub(super) async fn check(link: &Link, options: &Options) -> Result<()> {
    let place = options.place();
    let refuse = |message: String| Err(StoreError::Inaccessible(message));
    let info = info(link).await?;
    let field = |name: &str| {
        let found = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        found.map(str::trim).unwrap_or_default().to_owned()
    };
    let version = field("redis_version");
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < OLDEST) {
        return refuse(format!("Redis at {place} is version {version}; this server needs {OLDEST} or newer"));
    }
    let is_cluster = field("cluster_enabled") == "1";
    match (options.mode, is_cluster) {
        (Mode::Standalone | Mode::Sentinel, true) => {
            return refuse(format!("Redis at {place} is part of a Cluster; set redis.mode = \"cluster\""));
        }
        (Mode::Cluster, false) => {
            return refuse(format!(
                "Redis at {place} is not part of a Cluster; set redis.mode = \"standalone\""
            ));
        }
        _ => {}
    }
    if is_cluster {
        let state = reply::text(link.command(redis::cmd("CLUSTER").arg("INFO")).await?)?;
        let says = |line: &str| state.lines().any(|found| found.trim() == line);
        if !says(&format!("cluster_slots_assigned:{SLOTS}")) {
            return refuse(format!(
                "the Cluster at {place} has slots that no server serves; assign them with `redis-cli --cluster fix` \
                 or `redis-cli --cluster create`"
            ));
        }
    }
    let policy = field("maxmemory_policy");
    if policy != "noeviction" {
        return refuse(format!(
            "Redis at {place} has the maxmemory-policy {policy}, and would drop rooms when memory is short; set \
             `maxmemory-policy noeviction` in its redis.conf or by `redis-cli config set maxmemory-policy noeviction`"
        ));
    }
    if field("aof_enabled") != "1" {
        tracing::warn!(
            redis = place,
            "REDIS KEEPS NO APPEND-ONLY FILE: what was acknowledged is lost when it ends; set `appendonly yes` and \
             `appendfsync always` in its redis.conf"
        );
    }
    foreign(link, options).await?;
    tracing::info!(redis = place, version, mode = ?options.mode, "Redis: ready");
    Ok(())
}

async fn info(link: &Link) -> Result<String> {
    let mut cmd = redis::cmd("INFO");
    cmd.arg("everything");
    match link.command(&cmd).await? {
        // Of a Cluster every master answers; they are set up alike, and the weakest one counts.
        Value::Map(answers) => {
            let texts =
                answers.into_iter().map(|(_, answer)| reply::text(answer)).collect::<Result<Vec<_>>>()?;
            let evicts = |text: &&String| !text.contains("maxmemory_policy:noeviction");
            let weakest = texts.iter().find(evicts).or(texts.first());
            weakest.cloned().ok_or_else(reply::unexpected)
        }
        answer => reply::text(answer),
    }
}

/// Keys that are not any room's must be ours or absent.
async fn foreign(link: &Link, options: &Options) -> Result<()> {
    let names = super::global_keys(&options.prefix);
    for (key, ours) in names {
        let kind = reply::text(link.command(redis::cmd("TYPE").arg(&key)).await?)?;
        if kind != "none" && kind != ours {
            return Err(StoreError::Inaccessible(format!(
                "the key {key} at {} is a {kind}, and ours would be a {ours}: another program writes keys with our \
                 prefix; choose another redis.prefix, or move that key away",
                options.place()
            )));
        }
    }
    Ok(())
}
