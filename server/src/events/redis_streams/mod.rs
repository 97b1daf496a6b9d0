//! Streams of Redis in place of Kafka: one stream a shard, whose name has a hash tag, so that each lies in one slot of a
//! Cluster.

mod commands;
mod inlet;
mod link;
mod outlet;

pub use commands::StreamCommands;
pub use inlet::StreamInlet;
pub use outlet::StreamOutlet;

use std::time::Duration;

use enfilade_core::RoomId;

use self::link::Link;
use super::partition::partition_of;
use super::{Result, SHARDS};

/// Where Redis is, and what the streams are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `redis://` or `rediss://` URLs: one for a server that stands alone, several of a Cluster.
    pub urls: Vec<String>,
    /// What every key begins with.
    pub prefix: String,
    /// Entries that a shard's stream keeps, roughly; older ones go.
    pub keep: usize,
    /// Commands that may wait in a stream; further ones are refused.
    pub commands: usize,
}

/// How long Redis may take to answer before it counts as gone.
const PATIENCE: Duration = Duration::from_secs(5);
/// The consumer group of all nodes.
const GROUP: &str = "enfilade";

impl Settings {
    fn entries(&self, shard: u32) -> String {
        format!("{}events:{{{shard}}}", self.prefix)
    }

    fn owner(&self, shard: u32) -> String {
        format!("{}events:{{{shard}}}:owner", self.prefix)
    }

    fn commands_of(&self, shard: u32) -> String {
        format!("{}commands:{{{shard}}}", self.prefix)
    }

    fn dead_letters(&self) -> String {
        format!("{}commands:dead", self.prefix)
    }

    /// Sees to it that Redis answers.
    ///
    /// # Errors
    /// What to do.
    pub async fn check(&self) -> Result<()> {
        let link = Link::new(self)?;
        let version: String = link.ask(redis::cmd("INFO").arg("server")).await?;
        if version.contains("redis_version") {
            return Ok(());
        }
        Err(super::EventsError::Misconfigured("what answers at the URL of the streams is no Redis".into()))
    }
}

fn shard_of(room: &RoomId) -> u32 {
    partition_of(room.as_str().as_bytes(), SHARDS)
}

#[cfg(test)]
mod tests;
