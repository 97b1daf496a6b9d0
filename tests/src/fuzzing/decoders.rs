//! The decoders: they take anything or refuse it with a code, and what they have taken survives its own bytes.

use enfilade_core::conflict::{Encoded, Stamped, timelines};
use enfilade_core::limits::FRAME_BYTES;
use enfilade_core::state::{SnapshotFor, compress, decompress};
use enfilade_core::wire::{binary, json};
use enfilade_core::{Entry, RoomId, RoomState, hash53, op as operation, v1};
use prost::Message as _;

pub(super) fn client_binary(bytes: &[u8]) {
    let Ok(frame) = binary::decode_client(bytes, FRAME_BYTES) else { return };
    assert_eq!(binary::decode_client(&binary::encode_client(&frame), usize::MAX), Ok(frame.clone()));
    // Refused only for integers that JSON does not hold.
    let text = json::encode_client(&frame);
    if let Ok(again) = json::decode_client(&text, usize::MAX) {
        assert_eq!(again, frame);
    }
}

pub(super) fn server_binary(bytes: &[u8]) {
    let Ok(frame) = binary::decode_server(bytes, FRAME_BYTES) else { return };
    assert_eq!(binary::decode_server(&binary::encode_server(&frame), usize::MAX), Ok(frame.clone()));
    let text = json::encode_server(&frame);
    if let Ok(again) = json::decode_server(&text, usize::MAX) {
        // The frame itself may have held data of another type than it said, which JSON leaves out.
        assert_eq!(json::encode_server(&again), text);
    }
}

pub(super) fn client_json(bytes: &[u8]) {
    let Ok(frame) = json::decode_client(bytes, FRAME_BYTES) else { return };
    assert_eq!(json::decode_client(&json::encode_client(&frame), usize::MAX), Ok(frame.clone()));
    assert_eq!(binary::decode_client(&binary::encode_client(&frame), usize::MAX), Ok(frame));
}

pub(super) fn server_json(bytes: &[u8]) {
    let Ok(frame) = json::decode_server(bytes, FRAME_BYTES) else { return };
    assert_eq!(json::decode_server(&json::encode_server(&frame), usize::MAX), Ok(frame.clone()));
    assert_eq!(binary::decode_server(&binary::encode_server(&frame), usize::MAX), Ok(frame));
}

pub(super) fn op(bytes: &[u8]) {
    let Ok(body) = operation::parse(bytes) else { return };
    assert_eq!(operation::parse(&operation::encode(body.clone())), Ok(body));
}

pub(super) fn entry(bytes: &[u8]) {
    let Ok(entry) = Entry::decode(bytes) else { return };
    assert_eq!(Entry::decode(&entry.encode()).as_ref(), Ok(&entry));
    let mut state = RoomState::authority(room());
    let _ = state.apply(&entry);
}

/// Bytes that are a list of entries, folded as if they were a room's log, whatever seq and ordinal they claim.
pub(super) fn log(bytes: &[u8]) {
    let Ok(delta) = v1::DeltaUpdate::decode(bytes) else { return };
    for id in [room(), inbox()] {
        let mut authority = RoomState::authority(id.clone());
        let mut replica = RoomState::replica(id.clone());
        authority.open_epoch(7);
        replica.open_epoch(7);
        for wire in &delta.entries {
            let seq = authority.position().seq + 1;
            let ordinal = wire.ordinal.min(authority.timeline().head() + 1);
            let Ok(entry) = Entry::parse(v1::Entry { seq, ordinal, ..wire.clone() }) else { continue };
            let applied = authority.apply(&entry).is_ok();
            assert_eq!(replica.apply(&entry).is_ok(), applied, "both ends fold alike");
        }
        assert_eq!(replica.digest(), authority.digest());
        survives_a_snapshot(&authority);
    }
}

/// A log of these operations, as bytes for [`log`].
pub(super) fn log_of(ops: Vec<Vec<u8>>) -> Vec<u8> {
    let entry = |(index, op): (usize, Vec<u8>)| v1::Entry {
        seq: index as u64 + 1,
        op_id: Some(v1::OpId { client: 3, counter: index as u64 + 1 }),
        author: "ada".into(),
        author_name: "Ada".into(),
        at: 1_756_471_800_000 + index as u64,
        op,
        ordinal: 0,
    };
    v1::DeltaUpdate { entries: ops.into_iter().enumerate().map(entry).collect() }.encode_to_vec()
}

/// A packed snapshot as it lies in a store or with a client, and one whose checksum is right by chance.
pub(super) fn packed_snapshot(bytes: &[u8]) {
    let _ = decompress(bytes);
    const HEADER: usize = 13;
    let Some((header, block)) = bytes.split_at_checked(HEADER) else { return };
    let length = u32::from_le_bytes([header[9], header[10], header[11], header[12]]);
    let mut packed = compress(&v1::RoomSnapshot::default())[..1].to_vec();
    packed.extend(hash53(block, u64::from(length)).to_le_bytes());
    packed.extend(length.to_le_bytes());
    packed.extend(block);
    if let Ok(unpacked) = decompress(&packed) {
        assert_eq!(decompress(&compress(&unpacked)), Ok(unpacked));
    }
}

/// A snapshot that came from a server or out of a store.
pub(super) fn snapshot(bytes: &[u8]) {
    let stored = Encoded::timeline(bytes);
    let Ok(wire) = v1::RoomSnapshot::decode(bytes) else { return };
    let stamps = stored.map(|stored| stored.iter().map(Stamped::stamp).collect::<Vec<_>>());
    assert_eq!(stamps, Ok(wire.timeline.iter().map(Stamped::stamp).collect()));
    timelines(vec![wire.timeline.clone(), wire.timeline.clone()]);
    for id in [room(), inbox()] {
        for with_windows in [true, false] {
            if let Ok(mut state) = RoomState::restore(id.clone(), wire.clone(), with_windows) {
                let _ = state.summary();
                survives_a_snapshot(&state);
                for body in [operation::Body::Join(v1::Join {}), operation::post("hi")] {
                    let entry = v1::Entry {
                        seq: state.position().seq.saturating_add(1),
                        op_id: Some(v1::OpId { client: 3, counter: 4 }),
                        author: "ada".into(),
                        op: operation::encode(body),
                        ordinal: state.timeline().head().saturating_add(1),
                        ..Default::default()
                    };
                    let _ = Entry::parse(entry).and_then(|entry| state.apply(&entry).map(drop));
                }
            }
        }
    }
}

fn survives_a_snapshot(state: &RoomState) {
    let stored = state.snapshot(SnapshotFor::Store);
    let restored = RoomState::restore(state.id().clone(), stored.clone(), true);
    let restored = restored.unwrap_or_else(|code| panic!("a snapshot of ours is refused: {code}"));
    assert_eq!(restored.digest(), state.digest());
    assert_eq!(restored.position(), state.position());
    if state.windows().is_some() {
        assert_eq!(restored.snapshot(SnapshotFor::Store), stored);
    }
    let _ = state.snapshot(SnapshotFor::Client { messages: 1 });
}

fn room() -> RoomId {
    RoomId::new("lobby").expect("an id")
}

fn inbox() -> RoomId {
    RoomId::new("inbox:ada").expect("an id")
}
