//! Who follows the logs behind the rooms' backs, and how far each has come.

/// Does something with every entry of every room, after it was stored. Which followers there are is configuration:
/// a store keeps worklists for those alone, and writes nothing where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Follower {
    /// Writes entries to the archive.
    Archive,
    /// Hands entries to Kafka or a stream of Redis.
    Events,
    /// Keeps the readable keys that belong to no single room.
    Index,
}

impl Follower {
    /// All there can be.
    pub const ALL: [Follower; 3] = [Follower::Archive, Follower::Events, Follower::Index];

    /// Its name in keys, tables and the log.
    pub fn name(self) -> &'static str {
        match self {
            Follower::Archive => "archive",
            Follower::Events => "events",
            Follower::Index => "index",
        }
    }
}
