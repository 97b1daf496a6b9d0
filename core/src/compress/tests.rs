use alloc::string::{String, ToString};

use super::*;
use crate::op::{self, Body};
use crate::{ClientId, Entry, Millis, OpId};

fn room(id: &str, texts: &[&str]) -> RoomState {
    let mut state = RoomState::replica(RoomId::new(id).unwrap());
    state.open_epoch(9);
    let create = Body::CreateRoom(v1::CreateRoom { name: "Lobby".into(), ..Default::default() });
    let posts = texts.iter().map(|text| op::post(*text));
    for (index, body) in core::iter::once(create).chain(posts).enumerate() {
        let seq = index as u64 + 1;
        let entry = Entry {
            seq,
            op_id: OpId { client: ClientId(1), counter: seq },
            author: if seq.is_multiple_of(3) { "bob" } else { "ada" }.into(),
            author_name: "Somebody".into(),
            at: Millis(1_000 + seq),
            ordinal: seq - 1,
            op: op::encode(body.clone()),
            body: Some(body),
        };
        state.apply(&entry).unwrap();
    }
    state
}

fn lobby() -> RoomState {
    room("lobby", &["Pianos are :heart: great", "pianos need tuning", "at 10:30: tuning :heart:", "tuning"])
}

fn names(list: &[v1::Frequency]) -> Vec<(String, u32)> {
    list.iter().map(|known| (known.name.to_string(), known.count)).collect()
}

#[test]
fn a_packed_room_opens_to_the_same_digest_and_position() {
    let state = lobby();
    let bytes = pack(&state, 7).encode_to_vec();
    let read = read(state.id(), &bytes).unwrap();
    assert_eq!(read.compression_level(), v1::CompressionLevel::Fast);
    assert_eq!(read.compressed_size, read.snapshot.len() as u64);
    let opened = open(state.id(), &read).unwrap();
    assert_eq!((opened.digest(), opened.position()), (state.digest(), state.position()));
}

#[test]
fn what_can_be_shown_at_once_needs_no_snapshot() {
    let state = lobby();
    let packed = pack(&state, 7);
    let partial = partial(state.id(), &packed.encode_to_vec()).unwrap();
    assert_eq!((partial.name.as_str(), partial.user_count, partial.last_update), ("Lobby", 7, 1_005));
    let digest = partial.recent_activity;
    assert_eq!((digest.message_count, digest.last_message_time, digest.digest_version), (4, 1_005, 1));
    assert_eq!(names(&digest.user_activity), [("ada".into(), 3), ("bob".into(), 1)]);
    assert_eq!(names(&digest.emotes), [("heart".into(), 2)]);
    let words = [("tuning", 3), ("pianos", 2), ("great", 1), ("need", 1)];
    assert_eq!(names(&digest.keywords), words.map(|(word, count)| (word.to_string(), count)));
    let users = packed.user_summary.unwrap();
    assert_eq!((users.total_count, users.users[0].user.as_str()), (1, "ada"));
}

#[test]
fn a_digest_of_a_thousand_different_words_stays_short() {
    let words: Vec<String> = (0..1_000).map(|word| alloc::format!("word{word}")).collect();
    let text = words.join(" ");
    let message = v1::Message { text, author: "ada".into(), ..Default::default() };
    assert!(message_digest(&[message], 1).encoded_len() < 512);
}

#[test]
fn damaged_truncated_newer_and_foreign_snapshots_are_each_refused_with_the_reason() {
    let state = lobby();
    let good = pack(&state, 7);
    let bytes = good.encode_to_vec();
    for cut in 0..bytes.len() {
        assert!(read(state.id(), &bytes[..cut]).is_err(), "{cut}");
    }
    for place in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 0x41;
        let outcome = read(state.id(), &damaged).and_then(|room| open(state.id(), &room));
        assert!(outcome.is_err() || outcome.is_ok_and(|opened| opened.digest() == state.digest()), "{place}");
    }
    let refusal = |room: &v1::CompressedRoom| read(state.id(), &room.encode_to_vec()).unwrap_err();
    assert_eq!(refusal(&v1::CompressedRoom { version: 2, ..good.clone() }), Code::SnapshotTooNew);
    assert_eq!(refusal(&v1::CompressedRoom { fold_version: 99, ..good.clone() }), Code::SnapshotTooNew);
    assert_eq!(refusal(&v1::CompressedRoom { user_count: 8, ..good.clone() }), Code::SnapshotDamaged);
    assert_eq!(refusal(&pack(&room("other", &["x"]), 0)), Code::SnapshotOfAnotherRoom);
}

#[test]
fn what_claims_to_open_to_more_than_its_bytes_can_hold_is_not_opened() {
    let mut bomb = pack(&lobby(), 0);
    bomb.original_size = limits::SNAPSHOT_BYTES as u64;
    assert_eq!(plain(&bomb), Err(Code::SnapshotDamaged));
    bomb.compression_level = v1::CompressionLevel::High.into();
    assert!(plain(&bomb).is_err());
}

#[test]
fn a_host_may_deflate_and_inflate_by_its_own_means() {
    let state = lobby();
    let packed = pack(&state, 7);
    let plain_bytes = plain(&packed).unwrap();
    // Whatever the host makes of it, the core keeps as it is.
    let high = recompressed(packed, b"a deflate stream of the host's".to_vec());
    let read_again = read(state.id(), &high.encode_to_vec()).unwrap();
    assert_eq!(deflated(&read_again), Some(&b"a deflate stream of the host's"[..]));
    let opened = open(state.id(), &inflated(read_again, plain_bytes)).unwrap();
    assert_eq!(opened.digest(), state.digest());
}

#[cfg(feature = "deflate")]
#[test]
fn a_recompressed_room_is_smaller_and_opens_to_the_same_digest() {
    let texts: Vec<String> =
        (0..50).map(|n| alloc::format!("message number {n} about pianos and their tuning")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let state = room("lobby", &texts);
    let fast = pack(&state, 7).encode_to_vec();
    let high = recompress(state.id(), &fast).unwrap();
    assert!(high.len() < fast.len(), "{} {}", high.len(), fast.len());
    let read = read(state.id(), &high).unwrap();
    assert_eq!(read.compression_level(), v1::CompressionLevel::High);
    assert_eq!(open(state.id(), &read).unwrap().digest(), state.digest());
    let mut damaged = read;
    damaged.snapshot.truncate(20);
    assert_eq!(plain(&damaged), Err(Code::SnapshotDamaged));
}
