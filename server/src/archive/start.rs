//! Which archive there is, by the configuration.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{EmbeddedArchive, History, Keep, MongoArchive, MongoOptions, SharedArchive};
use crate::health::Meter;
use crate::store::{EmbeddedStore, Result, StoreError};

/// What the archive is told at its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Which one.
    pub kind: Kind,
    /// How much of what is archived stays in the store.
    pub keep: Keep,
    /// How long entries wait at most before they are written together.
    pub pace: Duration,
    /// Entries of a room that may wait for the archive, before the room takes no more.
    pub waiting: u64,
}

/// Where rooms are archived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nowhere: the store keeps everything.
    None,
    /// In the file of the embedded store.
    Embedded,
    /// In MongoDB.
    Mongodb(MongoOptions),
}

/// Opens the archive, if there is one.
///
/// # Errors
/// Those of [`MongoArchive::open`]; and where the embedded archive lacks its store.
pub async fn open(settings: &Settings, store: Option<Arc<EmbeddedStore>>) -> Result<Option<Arc<History>>> {
    let archive: SharedArchive = match (&settings.kind, store) {
        (Kind::None, _) => return Ok(None),
        (Kind::Embedded, Some(store)) => Arc::new(EmbeddedArchive::new(store)),
        (Kind::Embedded, None) => {
            return Err(StoreError::Inaccessible(
                "archive.kind = \"embedded\" needs store.kind = \"embedded\"; use \"mongodb\" or \"none\""
                    .into(),
            ));
        }
        (Kind::Mongodb(options), _) => Arc::new(MongoArchive::open(options).await?),
    };
    Ok(Some(Arc::new(History::new(archive, settings.waiting))))
}

/// Asks the archive whether it answers, and tells the meter.
pub async fn ask(archive: &SharedArchive, meter: &Meter) {
    let begun = Instant::now();
    match archive.ping().await {
        Ok(()) => meter.answered(begun.elapsed()),
        Err(error) => meter.failed(&error.to_string()),
    }
}
