use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use enfilade_backends::redis::Redis;
use enfilade_core::op::{self, Body};
use enfilade_core::state::{SnapshotFor, compress};
use enfilade_core::{ClientId, Entry, Millis, OpId, Position, RoomId, RoomState};
use tempfile::TempDir;

use super::*;
use crate::folder::DataFolder;
use crate::store::{Append, Appended, EmbeddedStore, MemoryStore, Options, RedisOptions, RedisStore};

const EPOCH: u64 = 77;

fn quiet() -> Progress {
    Progress::on_stderr("test")
}

fn memory() -> Place {
    Place { store: Arc::new(MemoryStore::new()), past: None }
}

fn embedded(folder: &TempDir) -> Place {
    let data = Arc::new(DataFolder::open(folder.path()).unwrap());
    Place { store: Arc::new(EmbeddedStore::open(data, &Options::default()).unwrap()), past: None }
}

fn post(seq: u64) -> Entry {
    let body = match seq {
        1 => Body::CreateRoom(enfilade_core::v1::CreateRoom { name: "Room".into(), ..Default::default() }),
        _ => op::post(format!("message {seq}")),
    };
    Entry {
        seq,
        op_id: OpId { client: ClientId(9), counter: seq },
        author: "ann".into(),
        author_name: "Ann".into(),
        at: Millis(1_000 + seq),
        ordinal: seq - 1,
        op: op::encode(body.clone()),
        body: Some(body),
    }
}

/// A room with entries up to `head`, and a snapshot at `snapshot` where that is not 0.
async fn fill(place: &Place, name: &str, head: u64, snapshot: u64) -> RoomState {
    let room = RoomId::new(name).unwrap();
    let store = &place.store;
    store.claim(&room, EPOCH).await.unwrap();
    let mut state = RoomState::authority(room.clone());
    state.open_epoch(EPOCH);
    for seq in 1..=head {
        let entry = post(seq);
        state.apply(&entry).unwrap();
        let expected = Position { epoch: EPOCH, seq: seq - 1 };
        let row = Bytes::from(format!("row {seq}"));
        let amended = if seq == 7 { vec![(3, Bytes::from_static(b"edited"))] } else { Vec::new() };
        let append = Append { amended, ..Append::new(expected, vec![entry.encode().into()], row) };
        assert!(matches!(store.append(&room, append).await.unwrap(), Appended::Done { .. }));
        if seq == snapshot {
            let packed = compress(&state.snapshot(SnapshotFor::Store));
            assert!(store.put_snapshot(&room, state.position(), packed.into()).await.unwrap());
        }
    }
    state
}

async fn all(
    place: &Place,
    name: &str,
) -> (Option<crate::store::Loaded>, crate::store::Page, Vec<(u64, Bytes)>) {
    let room = RoomId::new(name).unwrap();
    let from = Position { epoch: EPOCH, seq: 1 };
    (
        place.store.load(&room).await.unwrap(),
        place.store.read(&room, from, 10_000, usize::MAX).await.unwrap(),
        place.store.amended(&room, from, u64::MAX).await.unwrap(),
    )
}

async fn exported(place: &Place, folder: &TempDir) -> PathBuf {
    let path = folder.path().join("rooms.enfilade");
    export(place, &path, &mut quiet()).await.unwrap();
    path
}

async fn put(place: &Place, path: &Path) -> Result<Moved> {
    import(place, path, Import::default(), &mut quiet()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_go_from_one_store_into_another_and_back_unchanged() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let source = memory();
    fill(&source, "lobby", 40, 25).await;
    fill(&source, "inbox:ann", 3, 0).await;
    fill(&source, "empty", 0, 0).await;
    let path = exported(&source, &folder).await;

    let target = embedded(&data);
    assert_eq!(put(&target, &path).await.unwrap(), Moved { rooms: 3, skipped: 0, entries: 43 });
    let back = memory();
    let second = folder.path().join("second");
    export(&target, &second, &mut quiet()).await.unwrap();
    put(&back, &second).await.unwrap();
    for name in ["lobby", "inbox:ann", "empty"] {
        assert_eq!(all(&target, name).await, all(&source, name).await, "{name}");
        assert_eq!(all(&back, name).await, all(&source, name).await, "{name}");
    }
    assert_eq!(fs::read(&path).unwrap(), fs::read(&second).unwrap(), "the same rooms make the same file");
    let rows = target.store.summaries(None, 10).await.unwrap();
    assert_eq!(rows.iter().find(|(room, _)| room.as_str() == "lobby").unwrap().1, "row 40");
    // Again changes nothing.
    assert_eq!(put(&target, &path).await.unwrap(), Moved { rooms: 0, skipped: 3, entries: 0 });
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_move_into_redis_and_back() {
    let Some(redis) = enfilade_backends::or_skip("Redis", Redis::start()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let source = memory();
    fill(&source, "lobby", 40, 25).await;
    fill(&source, "inbox:ann", 3, 0).await;
    let path = exported(&source, &folder).await;
    let options = RedisOptions { url: redis.url(), ..RedisOptions::default() };
    let target = Place { store: Arc::new(RedisStore::open(options).await.unwrap()), past: None };
    assert_eq!(put(&target, &path).await.unwrap(), Moved { rooms: 2, skipped: 0, entries: 43 });
    let second = folder.path().join("second");
    export(&target, &second, &mut quiet()).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), fs::read(&second).unwrap());
    let back = memory();
    put(&back, &second).await.unwrap();
    for name in ["lobby", "inbox:ann"] {
        assert_eq!(all(&back, name).await, all(&source, name).await, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trimmed_log_starts_after_its_snapshot_only_where_that_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let source = memory();
    fill(&source, "lobby", 40, 25).await;
    let room = RoomId::new("lobby").unwrap();
    source.store.trim(&room, Position { epoch: EPOCH, seq: 20 }).await.unwrap();
    let path = exported(&source, &folder).await;
    let target = memory();
    let refused = put(&target, &path).await.unwrap_err();
    assert!(matches!(refused, TransferError::NoArchive { first: 20, snapshot: 25, .. }), "{refused}");
    assert_eq!(target.store.load(&room).await, Ok(None), "nothing was written");
    let how = Import { without_history: true, ..Import::default() };
    let moved = import(&target, &path, how, &mut quiet()).await.unwrap();
    assert_eq!(moved, Moved { rooms: 1, skipped: 0, entries: 15 });
    assert_eq!(all(&target, "lobby").await.0, all(&source, "lobby").await.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_and_an_import_that_were_interrupted_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let source = memory();
    for name in ["a", "b", "c"] {
        fill(&source, name, 30, 10).await;
    }
    let path = exported(&source, &folder).await;
    let whole = fs::read(&path).unwrap();
    let part = folder.path().join("again.part");
    for length in [12, 13, whole.len() / 3, whole.len() / 2, whole.len() - 1] {
        fs::write(&part, &whole[..length]).unwrap();
        export(&source, &folder.path().join("again"), &mut quiet()).await.unwrap();
        assert_eq!(fs::read(folder.path().join("again")).unwrap(), whole, "from byte {length} on");
        fs::remove_file(folder.path().join("again")).unwrap();
    }
    // A part of one room is there, as after a crash.
    let target = memory();
    fill(&target, "b", 12, 0).await;
    assert_eq!(put(&target, &path).await.unwrap(), Moved { rooms: 3, skipped: 0, entries: 90 - 12 });
    assert_eq!(all(&target, "b").await, all(&source, "b").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_are_not_mixed_unless_asked() {
    let folder = tempfile::tempdir().unwrap();
    let source = memory();
    for name in ["a", "b"] {
        fill(&source, name, 5, 0).await;
    }
    let path = exported(&source, &folder).await;
    let other = memory();
    let room = RoomId::new("a").unwrap();
    other.store.claim(&room, EPOCH + 1).await.unwrap();
    let refused = put(&other, &path).await.unwrap_err();
    assert!(
        refused.to_string().contains("(a)") && refused.to_string().contains("--skip-existing"),
        "{refused}"
    );
    assert_eq!(other.store.load(&RoomId::new("b").unwrap()).await, Ok(None), "nothing was written");
    let how = Import { skip_existing: true, ..Import::default() };
    let moved = import(&other, &path, how, &mut quiet()).await.unwrap();
    assert_eq!(moved, Moved { rooms: 1, skipped: 1, entries: 5 });
    assert_eq!(other.store.load(&room).await.unwrap().unwrap().head.epoch, EPOCH + 1);
    // One that has gone further is another one too.
    let ahead = memory();
    fill(&ahead, "a", 6, 0).await;
    assert!(matches!(put(&ahead, &path).await.unwrap_err(), TransferError::Mixed { count: 1, .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_is_taken_that_is_not_what_was_written_wherever_it_was_changed() {
    let folder = tempfile::tempdir().unwrap();
    let source = memory();
    fill(&source, "a", 4, 2).await;
    fill(&source, "b", 2, 0).await;
    let path = exported(&source, &folder).await;
    let whole = fs::read(&path).unwrap();
    let bad = folder.path().join("bad");
    let target = memory();
    for length in 0..whole.len() {
        fs::write(&bad, &whole[..length]).unwrap();
        let refused = put(&target, &bad).await.unwrap_err().to_string();
        assert!(refused.contains("truncated") || refused.contains("too short"), "{length}: {refused}");
    }
    for place in 0..whole.len() {
        let mut changed = whole.clone();
        changed[place] ^= 0x10;
        fs::write(&bad, changed).unwrap();
        let refused = put(&target, &bad).await.unwrap_err();
        assert!(matches!(refused, TransferError::Refused(..)), "{place}: {refused}");
    }
    let mut newer = whole.clone();
    newer[8] = 2;
    fs::write(&bad, newer).unwrap();
    assert!(put(&target, &bad).await.unwrap_err().to_string().contains("newer program"));
    let mut longer = whole.clone();
    longer.extend(&whole[12..]);
    fs::write(&bad, longer).unwrap();
    assert!(put(&target, &bad).await.is_err());
    assert_eq!(target.store.rooms(None).await.unwrap().rooms, vec![], "nothing was written");
    assert!(matches!(export(&source, &path, &mut quiet()).await.unwrap_err(), TransferError::Exists(_)));
}
