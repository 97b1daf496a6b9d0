#![doc = include_str!("../docs/merge.md")]

mod encoded;
mod map;
mod timeline;
mod vector;

pub use encoded::Encoded;
pub use map::{Person, maps, people, rooms};
pub use timeline::{Merged, Stamp, Stamped, timelines};
pub use vector::{Causality, VersionVector};

use crate::v1::{ConflictMode, ConflictType};

/// How conflicts of a type are resolved where a room has not set another mode.
pub fn default_mode(of: ConflictType) -> ConflictMode {
    match of {
        ConflictType::MessageOrder | ConflictType::ComplexMerge => ConflictMode::Merge,
        ConflictType::UserPresence | ConflictType::RoomConfig => ConflictMode::ServerWins,
        ConflictType::Unspecified => ConflictMode::ServerWins,
    }
}

#[cfg(test)]
mod tests;
