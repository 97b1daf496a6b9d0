//! What the store is told about its Redis.

use std::fmt;
use std::time::Duration;

use crate::readable::Readable;
use crate::store::Follower;

/// Which kind of Redis is at the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// One server.
    Standalone,
    /// The addresses are those of Sentinels, which say who is the master.
    Sentinel,
    /// The addresses are those of some nodes of a Cluster.
    Cluster,
}

/// Where Redis is, and how it is asked.
#[derive(Clone, PartialEq, Eq)]
pub struct Options {
    /// `redis://user:password@host:port/database`, or `rediss://` for TLS; several of them with commas between for
    /// Sentinels and a Cluster.
    pub url: String,
    /// What is there.
    pub mode: Mode,
    /// What every key begins with.
    pub prefix: String,
    /// The master's name, with Sentinels.
    pub sentinel_master: String,
    /// The Sentinels' own password; empty where they have none.
    pub sentinel_password: String,
    /// Requests in flight at the same time.
    pub pool_size: usize,
    /// How long a request may take, with everything that it waits for.
    pub timeout: Duration,
    /// How often a request is repeated that Redis did not take; every request is idempotent.
    pub retry_attempts: u32,
    /// Replicas that must have an append before it counts as done.
    pub wait_replicas: u32,
    /// How much the readable keys show.
    pub shows: Readable,
    /// Who has a worklist.
    pub followers: Vec<Follower>,
    /// How long a node relies on having put a room onto the worklists.
    pub mark_lifetime: Duration,
    /// By how much the clocks of Redis' servers may differ.
    pub clock_skew: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            url: "redis://127.0.0.1:6379/".into(),
            mode: Mode::Standalone,
            prefix: "enfilade:".into(),
            sentinel_master: "mymaster".into(),
            sentinel_password: String::new(),
            pool_size: 20,
            timeout: Duration::from_millis(5_000),
            retry_attempts: 3,
            wait_replicas: 0,
            shows: Readable::DEFAULT,
            followers: Vec::new(),
            mark_lifetime: Duration::from_secs(30),
            clock_skew: Duration::from_secs(5),
        }
    }
}

impl fmt::Debug for Options {
    /// Without what is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("mode", &self.mode)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// The addresses, one by one.
    pub(super) fn urls(&self) -> Vec<&str> {
        self.url.split(',').map(str::trim).filter(|url| !url.is_empty()).collect()
    }

    /// Where that is, without what is secret: for messages.
    pub(super) fn place(&self) -> String {
        let place = |url: &str| {
            let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
            let host = after_scheme.rsplit_once('@').map_or(after_scheme, |(_, host)| host);
            host.trim_end_matches('/').to_owned()
        };
        self.urls().into_iter().map(place).collect::<Vec<_>>().join(", ")
    }
}
