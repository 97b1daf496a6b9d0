//! The archive, and MongoDB.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::archive::{self, Keep, Kind, MongoOptions};

/// Where rooms are kept for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// In the embedded store's file, in MongoDB, or nowhere: then the store forgets nothing.
    pub kind: ArchiveKind,
    /// Of what is archived, so many entries of each room stay in the store at least.
    pub keep_entries: u64,
    /// And those that are younger than this.
    pub keep_seconds: u64,
    /// But not more than so many bytes.
    pub keep_bytes: u64,
    /// What is new is written together, once in so many milliseconds.
    pub write_every_ms: u64,
    /// Entries of one room that may wait while the archive does not answer; beyond, the room takes no more.
    pub waiting_entries: u64,
}

/// Which archive there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArchiveKind {
    /// None.
    None,
    /// In the file of the embedded store.
    Embedded,
    /// MongoDB.
    Mongodb,
}

/// How MongoDB is reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mongodb {
    /// Where it is: `mongodb://user:password@host:27017`, or `mongodb+srv://…`.
    pub url: String,
    /// The database within it.
    pub database: String,
    /// The longest that one request may take, in milliseconds.
    pub timeout_ms: u64,
    /// Connections at once.
    pub pool_size: u32,
}

impl Default for Archive {
    fn default() -> Archive {
        let keep = Keep::default();
        Archive {
            kind: ArchiveKind::Embedded,
            keep_entries: keep.entries,
            keep_seconds: keep.age.as_secs(),
            keep_bytes: keep.bytes,
            write_every_ms: 1_000,
            waiting_entries: 1_000_000,
        }
    }
}

impl Default for Mongodb {
    fn default() -> Mongodb {
        Mongodb {
            url: "mongodb://127.0.0.1:27017".into(),
            database: "enfilade".into(),
            timeout_ms: 5_000,
            pool_size: 20,
        }
    }
}

/// MongoDB takes at most this many bytes in the name of a database.
const DATABASE_BYTES: usize = 63;

impl Archive {
    /// What the archive is told at its start.
    pub(super) fn settings(&self, mongodb: &Mongodb) -> archive::Settings {
        let kind = match self.kind {
            ArchiveKind::None => Kind::None,
            ArchiveKind::Embedded => Kind::Embedded,
            ArchiveKind::Mongodb => Kind::Mongodb(MongoOptions {
                url: mongodb.url.clone(),
                database: mongodb.database.clone(),
                timeout: Duration::from_millis(mongodb.timeout_ms),
                pool_size: mongodb.pool_size,
            }),
        };
        let age = Duration::from_secs(self.keep_seconds);
        archive::Settings {
            kind,
            keep: Keep { entries: self.keep_entries, age, bytes: self.keep_bytes },
            pace: Duration::from_millis(self.write_every_ms),
            waiting: self.waiting_entries,
        }
    }

    /// Keys whose values can't be: with what they may be.
    pub(super) fn faults(&self, mongodb: &Mongodb) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let mut range = |key, value: u64, min: u64, max: u64| {
            if !(min..=max).contains(&value) {
                faults.push((key, format!("it must be from {min} to {max}")));
            }
        };
        // Below, those who come back after a moment would find nothing to go on from.
        range("archive.keep_entries", self.keep_entries, 100, 1_000_000);
        range("archive.keep_seconds", self.keep_seconds, 0, 86_400);
        range("archive.keep_bytes", self.keep_bytes, 1 << 20, 1 << 32);
        range("archive.write_every_ms", self.write_every_ms, 10, 60_000);
        range("archive.waiting_entries", self.waiting_entries, 10_000, 1 << 40);
        range("mongodb.timeout_ms", mongodb.timeout_ms, 100, 60_000);
        range("mongodb.pool_size", mongodb.pool_size.into(), 1, 1_000);
        let is_url = ["mongodb://", "mongodb+srv://"].iter().any(|start| mongodb.url.starts_with(start));
        if !is_url {
            faults.push(("mongodb.url", "write it as mongodb://user:password@host:27017".into()));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let name = &mongodb.database;
        if !(1..=DATABASE_BYTES).contains(&name.len()) || !name.chars().all(allowed) {
            faults.push((
                "mongodb.database",
                format!("use 1 to {DATABASE_BYTES} letters, digits, hyphens and underscores"),
            ));
        }
        faults
    }
}
