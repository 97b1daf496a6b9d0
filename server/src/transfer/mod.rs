#![doc = include_str!("format.md")]

use std::path::PathBuf;
use std::sync::Arc;

use enfilade_core::RoomId;

use crate::archive::History;
use crate::readable::InspectError;
use crate::store::{SharedStore, StoreError};

mod export;
mod file;
mod import;
mod progress;
#[cfg(test)]
mod tests;

pub use export::export;
pub use import::{Import, import};
pub use progress::Progress;

/// Where rooms are taken from, or put.
pub struct Place {
    /// The store.
    pub store: SharedStore,
    /// The archived past, where there is an archive.
    pub past: Option<Arc<History>>,
}

/// What was moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Rooms that were written.
    pub rooms: u64,
    /// Rooms that were there already, the same or (where that was asked for) others.
    pub skipped: u64,
    /// Entries that were written.
    pub entries: u64,
}

/// Why rooms were not moved. Every message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The store or the archive.
    #[error("{0}; run the command again when that is mended, and it goes on where it was")]
    Store(#[from] StoreError),
    /// A room of the store can't be read.
    #[error("{0}")]
    Unreadable(#[from] InspectError),
    /// The file can't be read or written.
    #[error("{path} can't be read or written ({error})", path = .0.display(), error = .1)]
    File(PathBuf, std::io::Error),
    /// The file is not what it should be.
    #[error("{path} is not taken: {why}", path = .0.display(), why = .1)]
    Refused(PathBuf, String),
    /// The file is there already.
    #[error("{path} is there already; take another name, or move it away", path = .0.display())]
    Exists(PathBuf),
    /// The store has other rooms of these names.
    #[error(
        "the store has {count} of these rooms already, with logs of their own ({names}); nothing was written; import \
         into an empty store, or leave those rooms as they are with --skip-existing"
    )]
    Mixed {
        /// How many.
        count: usize,
        /// Some of them.
        names: String,
    },
    /// The past of a room has no place.
    #[error(
        "the file has {room} from entry {first} on, and there is no archive for what lies between that and its \
         snapshot at {snapshot}; nothing was written; configure an archive, or go without that part of the history \
         with --without-history"
    )]
    NoArchive {
        /// Which room.
        room: RoomId,
        /// The first entry that the file has.
        first: u64,
        /// Where the snapshot was taken.
        snapshot: u64,
    },
    /// What was read back is not what was written.
    #[error("{0} was written, and reads back as something else; keep the file, and report this")]
    Differs(RoomId),
}

type Result<T> = std::result::Result<T, TransferError>;
