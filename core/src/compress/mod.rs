//! A room as a device keeps it: what can be told of it without opening the snapshot, and the packed snapshot.
//!
//! ```text
//!  RoomState ──pack──▶ CompressedRoom (lz4) ──recompress, when the device is idle──▶ CompressedRoom (deflate)
//!                         │      │                                                      │
//!                partial ◀┘      └────────────────────── open ──────────────────────────┘
//!         name, digest of messages,              the state, or why not:
//!         counts, last activity                  damaged, too new, of another room
//! ```

mod message_digest;

use alloc::vec::Vec;

use prost::Message as _;

pub use message_digest::{MESSAGE_DIGEST_VERSION, message_digest, user_summary};

use crate::state::{FOLD_VERSION, SnapshotFor};
use crate::{Code, Position, RoomId, RoomState, hash53, limits, v1};

/// The layout that is written. Newer ones are refused.
pub const COMPRESSED_VERSION: u32 = 1;
/// Seeds of hashes that are compared with others of their kind alone.
const CONFIG_SEED: u64 = 11;
const HEADER_SEED: u64 = 12;
/// One byte of LZ4 stands for at most this many: what claims more is damaged, and nothing is allocated for it.
pub(crate) const LZ4_RATIO: usize = 255;
/// And one of deflate.
#[cfg(feature = "deflate")]
const DEFLATE_RATIO: usize = 1_032;
/// Level of deflate: half of what lz4 leaves, for 25 times its time.
#[cfg(feature = "deflate")]
const DEFLATE_LEVEL: u8 = 6;

/// What can be told of a stored room without opening its snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct Partial {
    /// The room.
    pub room: RoomId,
    /// Its name; empty for an inbox.
    pub name: alloc::string::String,
    /// Who talked, about what.
    pub recent_activity: v1::MessageDigest,
    /// Users present when it was stored.
    pub user_count: u32,
    /// Stamp of the last entry, in milliseconds since 1970.
    pub last_update: u64,
    /// Where the snapshot is in the room's log.
    pub position: Position,
}

/// Packs a state at [`v1::CompressionLevel::Fast`]: the work of a transition.
pub fn pack(state: &RoomState, user_count: u32) -> v1::CompressedRoom {
    // What was scrolled back to is history, and comes again when it is asked for.
    let snapshot = state.snapshot(SnapshotFor::Client { messages: limits::JOIN_MESSAGES });
    let plain = snapshot.encode_to_vec();
    let block = lz4_flex::block::compress(&plain);
    let room = v1::CompressedRoom {
        version: COMPRESSED_VERSION,
        room_id: state.id().as_str().into(),
        position: Some(state.position().wire()),
        state_digest: state.digest().value(),
        fold_version: snapshot.fold_version,
        name: state.info().map(|info| info.name.clone()).unwrap_or_default(),
        last_activity: state.last_at().0,
        user_count,
        message_digest: Some(message_digest(&snapshot.timeline, snapshot.messages)),
        user_summary: Some(user_summary(&snapshot.members)),
        config_hash: config_fingerprint(state),
        compression_level: v1::CompressionLevel::Fast.into(),
        original_size: plain.len() as u64,
        ..Default::default()
    };
    sealed(room, block)
}

/// Hash of all that says how a room is run (configuration, permissions, rules for conflicts), 53 bits: two ends with equal fingerprints enforce the same.
pub fn config_fingerprint(state: &RoomState) -> u64 {
    let config = hash53(&state.config().encode_to_vec(), CONFIG_SEED);
    let (permissions, rules) = (state.access().changed_permissions(), state.conflicts().rules());
    let seed = permissions.iter().fold(config, |seed, role| hash53(&role.encode_to_vec(), seed));
    rules.iter().fold(seed, |seed, rule| hash53(&rule.encode_to_vec(), seed ^ 1))
}

/// Reads a stored room, and checks it without opening the snapshot.
///
/// # Errors
/// [`Code::SnapshotDamaged`], [`Code::SnapshotTooNew`] or [`Code::SnapshotOfAnotherRoom`].
pub fn read(id: &RoomId, bytes: &[u8]) -> Result<v1::CompressedRoom, Code> {
    let room = v1::CompressedRoom::decode(bytes).map_err(|_| Code::SnapshotDamaged)?;
    if room.version > COMPRESSED_VERSION || room.fold_version > FOLD_VERSION {
        return Err(Code::SnapshotTooNew);
    }
    let intact = room.version == COMPRESSED_VERSION
        && room.compressed_size == room.snapshot.len() as u64
        && room.original_size <= limits::STATE_BYTES as u64
        && room.checksum == checksum(&room);
    match intact {
        false => Err(Code::SnapshotDamaged),
        true if room.room_id != id.as_str() => Err(Code::SnapshotOfAnotherRoom),
        true => Ok(room),
    }
}

/// The state of a room that [`read`] has checked.
///
/// # Errors
/// [`Code::SnapshotDamaged`] when the snapshot is not what was said about it, [`Code::SnapshotTooNew`] when it is
/// compressed in a way that this build can't open: the host opens those by [`inflated`].
pub fn open(id: &RoomId, room: &v1::CompressedRoom) -> Result<RoomState, Code> {
    let plain = plain(room)?;
    let snapshot = v1::RoomSnapshot::decode(&plain[..]).map_err(|_| Code::SnapshotDamaged)?;
    let state = RoomState::restore(id.clone(), snapshot, false).map_err(|_| Code::SnapshotDamaged)?;
    let is_same =
        Some(state.position().wire()) == room.position && state.digest().value() == room.state_digest;
    if is_same { Ok(state) } else { Err(Code::SnapshotDamaged) }
}

/// What can be shown at once.
///
/// # Errors
/// As for [`read`].
pub fn partial(id: &RoomId, bytes: &[u8]) -> Result<Partial, Code> {
    let room = read(id, bytes)?;
    Ok(Partial {
        room: id.clone(),
        name: room.name,
        recent_activity: room.message_digest.unwrap_or_default(),
        user_count: room.user_count,
        last_update: room.last_activity,
        position: room.position.map(Position::from).unwrap_or_default(),
    })
}

/// The deflate stream of a room that is kept at [`v1::CompressionLevel::High`]: a host whose core was built without
/// the feature `deflate` inflates it by its own means, and goes on with [`inflated`].
pub fn deflated(room: &v1::CompressedRoom) -> Option<&[u8]> {
    (room.compression_level() == v1::CompressionLevel::High).then_some(&room.snapshot)
}

/// The room with its snapshot inflated by the host.
pub fn inflated(room: v1::CompressedRoom, plain: Vec<u8>) -> v1::CompressedRoom {
    let level = v1::CompressionLevel::None.into();
    sealed(v1::CompressedRoom { compression_level: level, ..room }, plain)
}

/// The plain snapshot, for a host that deflates it by its own means and keeps [`recompressed`].
///
/// # Errors
/// As for [`open`].
pub fn plain(room: &v1::CompressedRoom) -> Result<Vec<u8>, Code> {
    let (size, packed) = (room.original_size as usize, &room.snapshot);
    let plain = match room.compression_level() {
        v1::CompressionLevel::None => packed.clone(),
        v1::CompressionLevel::Fast if size / LZ4_RATIO <= packed.len() => {
            lz4_flex::block::decompress(packed, size).map_err(|_| Code::SnapshotDamaged)?
        }
        v1::CompressionLevel::Fast => return Err(Code::SnapshotDamaged),
        v1::CompressionLevel::High => inflate(packed, size)?,
    };
    if plain.len() == size { Ok(plain) } else { Err(Code::SnapshotDamaged) }
}

/// The room with its snapshot as a raw deflate stream that the host has made of [`plain`].
pub fn recompressed(room: v1::CompressedRoom, deflated: Vec<u8>) -> v1::CompressedRoom {
    let level = v1::CompressionLevel::High.into();
    sealed(v1::CompressedRoom { compression_level: level, ..room }, deflated)
}

/// A stored room at [`v1::CompressionLevel::High`], for hosts to call on their records when the device is idle.
///
/// # Errors
/// As for [`read`] and [`open`].
#[cfg(feature = "deflate")]
pub fn recompress(id: &RoomId, bytes: &[u8]) -> Result<Vec<u8>, Code> {
    let room = read(id, bytes)?;
    let deflated = miniz_oxide::deflate::compress_to_vec(&plain(&room)?, DEFLATE_LEVEL);
    Ok(recompressed(room, deflated).encode_to_vec())
}

#[cfg(feature = "deflate")]
fn inflate(packed: &[u8], size: usize) -> Result<Vec<u8>, Code> {
    if size / DEFLATE_RATIO > packed.len() {
        return Err(Code::SnapshotDamaged);
    }
    miniz_oxide::inflate::decompress_to_vec_with_limit(packed, size).map_err(|_| Code::SnapshotDamaged)
}

#[cfg(not(feature = "deflate"))]
fn inflate(_: &[u8], _: usize) -> Result<Vec<u8>, Code> {
    Err(Code::SnapshotTooNew)
}

fn sealed(mut room: v1::CompressedRoom, snapshot: Vec<u8>) -> v1::CompressedRoom {
    room.compressed_size = snapshot.len() as u64;
    room.snapshot = snapshot;
    room.checksum = checksum(&room);
    room
}

/// Over the snapshot, seeded by what stands beside it: neither can change without the other.
fn checksum(room: &v1::CompressedRoom) -> u64 {
    let position = room.position.unwrap_or_default();
    let beside = [
        position.epoch,
        position.seq,
        room.state_digest,
        room.last_activity,
        room.config_hash,
        room.original_size,
        u64::from(room.fold_version),
        u64::from(room.user_count),
        room.compression_level as u64,
    ];
    let seed = beside.iter().fold(HEADER_SEED, |seed, number| hash53(&number.to_le_bytes(), seed));
    let seed = hash53(room.room_id.as_bytes(), hash53(room.name.as_bytes(), seed));
    let digest = room.message_digest.as_ref().map(v1::MessageDigest::encode_to_vec).unwrap_or_default();
    let users = room.user_summary.as_ref().map(v1::UserSummary::encode_to_vec).unwrap_or_default();
    hash53(&room.snapshot, hash53(&digest, hash53(&users, seed)))
}

#[cfg(test)]
mod tests;
