use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use enfilade_core::{Position, RoomId};
use futures_util::future::join_all;
use tempfile::TempDir;

use super::{EmbeddedStore, Options};
use crate::folder::DataFolder;
use crate::store::contract::{Fixture, contract};
use crate::store::{Append, Appended, Follower, RoomStore, SharedStore, StoreError};

const EPOCH: u64 = 77;

struct OnDisk {
    _folder: TempDir,
}

impl Fixture for OnDisk {
    async fn new() -> Option<(SharedStore, OnDisk)> {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { followers: Follower::ALL.to_vec(), ..Options::default() };
        Some((Arc::new(open_with(folder.path(), &options).unwrap()), OnDisk { _folder: folder }))
    }
}

contract!(embedded, OnDisk);

fn open(folder: &Path) -> Result<EmbeddedStore, StoreError> {
    open_with(folder, &Options::default())
}

fn open_with(folder: &Path, options: &Options) -> Result<EmbeddedStore, StoreError> {
    EmbeddedStore::open(Arc::new(DataFolder::open(folder)?), options)
}

fn room() -> RoomId {
    RoomId::new("room").unwrap()
}

fn at(seq: u64) -> Position {
    Position { epoch: EPOCH, seq }
}

async fn append(store: &EmbeddedStore, seq: u64, entry: Bytes) -> Result<Appended, StoreError> {
    store.append(&room(), Append::new(at(seq), vec![entry], Bytes::from_static(b"row"))).await
}

/// Every entry of the room, with its seq.
async fn all_entries(store: &EmbeddedStore) -> Vec<(u64, Bytes)> {
    let mut entries = Vec::new();
    loop {
        let from = entries.len() as u64 + 1;
        let page = store.read(&room(), at(from), usize::MAX, usize::MAX).await.unwrap();
        if page.entries.is_empty() {
            assert_eq!(page.head.seq, from - 1);
            return entries;
        }
        assert_eq!(page.entries[0].0, from);
        entries.extend(page.entries);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_that_wait_together_share_a_commit() {
    const ROOMS: usize = 200;
    let place = tempfile::tempdir().unwrap();
    let store = Arc::new(open(place.path()).unwrap());
    let rooms: Vec<RoomId> = (0..ROOMS).map(|n| RoomId::new(&format!("room-{n}")).unwrap()).collect();
    join_all(rooms.iter().map(|room| store.claim(room, EPOCH))).await;
    let before = store.written();
    let appends = rooms.into_iter().map(|room| {
        let store = store.clone();
        tokio::spawn(async move {
            store.append(&room, Append::new(at(0), vec![Bytes::from_static(b"x")], Bytes::new())).await
        })
    });
    for append in join_all(appends).await {
        assert_eq!(append.unwrap(), Ok(Appended::Done { head: at(1) }));
    }
    let after = store.written();
    assert_eq!(after.requests - before.requests, ROOMS as u64);
    let commits = after.commits - before.commits;
    assert!(commits < ROOMS as u64 / 2, "{commits} commits for {ROOMS} appends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_alone_costs_no_commit() {
    let place = tempfile::tempdir().unwrap();
    let store = open(place.path()).unwrap();
    store.claim(&room(), EPOCH).await.unwrap();
    let commits = store.written().commits;
    append(&store, 5, Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(store.written().commits, commits);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
// The lock is held across awaits, and for writing, to hold up the writer.
#[allow(clippy::await_holding_lock, clippy::readonly_write_lock)]
async fn beyond_its_bounds_the_queue_says_so_and_takes_more_later() {
    let place = tempfile::tempdir().unwrap();
    let bounds = Options { queue_requests: 3, queue_bytes: 1_000, ..Options::default() };
    let store = Arc::new(open_with(place.path(), &bounds).unwrap());
    store.claim(&room(), EPOCH).await.unwrap();
    let submit = |seq: u64, size: usize| {
        let store = store.clone();
        tokio::spawn(async move { append(&store, seq, Bytes::from(vec![1; size])).await })
    };
    let slot = store.slot.clone();
    let hold = slot.database.write().unwrap();
    let first = submit(0, 900);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(submit(1, 900).await.unwrap(), Err(StoreError::Overloaded), "too many bytes");
    let rest = [submit(1, 10), submit(2, 10)];
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(submit(3, 1).await.unwrap(), Err(StoreError::Overloaded), "too many requests");
    drop(hold);
    assert_eq!(first.await.unwrap(), Ok(Appended::Done { head: at(1) }));
    for request in rest {
        request.await.unwrap().unwrap();
    }
    let head = store.load(&room()).await.unwrap().unwrap().head;
    append(&store, head.seq, Bytes::from_static(b"x")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_stored_is_there_after_closing_and_opening() {
    let place = tempfile::tempdir().unwrap();
    let store = open(place.path()).unwrap();
    store.claim(&room(), EPOCH).await.unwrap();
    for seq in 0..5 {
        append(&store, seq, Bytes::from(vec![seq as u8 + 1; 10])).await.unwrap();
    }
    store.put_snapshot(&room(), at(3), Bytes::from_static(b"state")).await.unwrap();
    store.trim(&room(), at(3)).await.unwrap();
    let before = store.load(&room()).await;
    store.close().await.unwrap();
    drop(store);
    let store = open(place.path()).unwrap();
    assert_eq!(store.load(&room()).await, before);
    assert_eq!(store.claim(&room(), 5).await, Ok(EPOCH));
    assert_eq!(store.summaries(None, 5).await.unwrap().len(), 1);
    assert_eq!(append(&store, 5, Bytes::from_static(b"x")).await, Ok(Appended::Done { head: at(6) }));
}

#[test]
fn a_data_folder_in_use_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let _store = open(place.path()).unwrap();
    let Err(error) = open(place.path()) else { panic!("opened twice") };
    assert!(matches!(error, StoreError::Locked(_)), "{error:?}");
}

/// A store file with a few rooms, closed.
async fn stored(place: &Path) -> Vec<u8> {
    let store = open(place).unwrap();
    store.claim(&room(), EPOCH).await.unwrap();
    for seq in 0..50 {
        append(&store, seq, Bytes::from(vec![7; 5_000])).await.unwrap();
    }
    store.close().await.unwrap();
    fs::read(place.join("rooms.redb")).unwrap()
}

#[tokio::test]
async fn a_damaged_file_is_named_and_left_as_it_is() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("rooms.redb");
    let good = stored(place.path()).await;
    let garbage: Vec<u8> = (0..50_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut scribbled = good.clone();
    scribbled[5_000..].chunks_mut(4_096).for_each(|page| page[100] ^= 0xff);
    let mut damages = vec![vec![], garbage, b"short".to_vec(), vec![0; good.len()], scribbled];
    damages.extend([10, 400, 4_096, good.len() / 2, good.len() - 4_096].map(|len| good[..len].to_vec()));
    for (n, damaged) in damages.into_iter().enumerate() {
        fs::write(&file, &damaged).unwrap();
        match open(place.path()) {
            Err(StoreError::Damaged(message)) => {
                assert!(message.contains("rooms.redb") && message.contains("move it away"), "{message}");
            }
            Err(other) => panic!("damage {n}: {other:?}"),
            Ok(_) => panic!("damage {n}: opened"),
        }
        assert!(fs::read(&file).unwrap() == damaged, "damage {n} was overwritten");
    }
    fs::write(&file, good).unwrap();
    assert_eq!(all_entries(&open(place.path()).unwrap()).await.len(), 50);
}

#[tokio::test]
async fn a_file_of_a_later_format_is_refused() {
    let place = tempfile::tempdir().unwrap();
    stored(place.path()).await;
    {
        let database = redb::Database::open(place.path().join("rooms.redb")).unwrap();
        let transaction = database.begin_write().unwrap();
        let mut meta = transaction.open_table(super::tables::META).unwrap();
        meta.insert("format", 9u32.to_le_bytes().as_slice()).unwrap();
        drop(meta);
        transaction.commit().unwrap();
    }
    let Err(StoreError::Inaccessible(message)) = open(place.path()) else { panic!("opened") };
    assert!(message.contains("format 9"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn below_the_reserve_writes_are_refused_and_reads_go_on() {
    let place = tempfile::tempdir().unwrap();
    stored(place.path()).await;
    let store = open_with(place.path(), &Options { reserve_bytes: u64::MAX, ..Options::default() }).unwrap();
    let Err(StoreError::Full(message)) = append(&store, 50, Bytes::from_static(b"x")).await else {
        panic!("written")
    };
    assert!(message.contains("reserve"), "{message}");
    assert_eq!(all_entries(&store).await.len(), 50);
}

/// This test binary again, running one test alone with a folder to work in.
fn child(test: &str, folder: &Path) -> Vec<String> {
    let binary = std::env::current_exe().unwrap();
    let test = format!("store::embedded::tests::{test}");
    let line = ["env", &format!("{CHILD}={}", folder.display()), binary.to_str().unwrap()];
    line.into_iter().chain([&test, "--exact", "--nocapture"]).map(String::from).collect()
}

/// Names the folder of a test that runs as a child of another; without it such a test does nothing.
const CHILD: &str = "STORE_TEST_CHILD";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_appends_until_it_is_killed() {
    let Ok(folder) = std::env::var(CHILD) else { return };
    let store = open(Path::new(&folder)).unwrap();
    let mut seq = match store.load(&room()).await.unwrap() {
        Some(loaded) => loaded.head.seq,
        None => store.claim(&room(), EPOCH).await.map(|_| 0).unwrap(),
    };
    loop {
        let entry = Bytes::from(format!("entry {}", seq + 1));
        assert_eq!(append(&store, seq, entry).await, Ok(Appended::Done { head: at(seq + 1) }));
        seq += 1;
        println!("acked {seq}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_loses_nothing_that_it_acknowledged() {
    let place = tempfile::tempdir().unwrap();
    let mut acked = 0;
    for round in 1..=3 {
        let line = child("child_that_appends_until_it_is_killed", place.path());
        let mut child = Command::new(&line[0]).args(&line[1..]).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut killed = false;
        for line in lines {
            if let Some((_, seq)) = line.unwrap().split_once("acked ") {
                acked = seq.parse::<u64>().unwrap();
            }
            if acked >= round * 100 && !killed {
                child.kill().unwrap();
                killed = true;
            }
        }
        child.wait().unwrap();
        let store = open(place.path()).unwrap();
        let entries = all_entries(&store).await;
        assert!(entries.len() as u64 >= acked, "{} entries of {acked} acknowledged", entries.len());
        for (seq, entry) in entries {
            assert_eq!(entry, format!("entry {seq}"));
        }
    }
}

/// Appends until the disk is full, then frees some, and goes on. Every acknowledged entry must survive.
async fn fill_and_recover(folder: &Path, free: impl FnOnce()) {
    let entry = |seq: u64| Bytes::from(vec![(seq % 251) as u8 + 1; 30_000]);
    let store = open_with(folder, &Options { reserve_bytes: 0, ..Options::default() }).unwrap();
    store.claim(&room(), EPOCH).await.unwrap();
    let mut acked = 0;
    let failure = loop {
        match append(&store, acked, entry(acked + 1)).await {
            Ok(appended) => assert_eq!(appended, Appended::Done { head: at(acked + 1) }),
            Err(failure) => break failure,
        }
        acked += 1;
    };
    assert!(matches!(failure, StoreError::Full(_)), "{failure:?}");
    assert!(failure.to_string().contains("no space left"), "{failure}");
    assert!(acked > 10, "{acked}");
    // While it is full, what is there can be read, and appends are refused.
    assert!(all_entries(&store).await.len() as u64 >= acked);
    assert!(matches!(append(&store, acked, entry(acked + 1)).await, Err(StoreError::Full(_))));
    assert!(store.load(&room()).await.is_ok());

    free();
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut recovered = 0;
    while recovered < 5 {
        assert!(Instant::now() < deadline, "it did not recover");
        match append(&store, acked, entry(acked + 1)).await {
            Ok(Appended::Done { head }) => (acked, recovered) = (head.seq, recovered + 1),
            // The append that failed had been stored.
            Ok(Appended::Conflict { head, missing }) => {
                assert_eq!((head, missing), (at(acked + 1), vec![entry(acked + 1)]));
                acked += 1;
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    store.close().await.unwrap();
    drop(store);
    let entries = all_entries(&open(folder).unwrap()).await;
    assert_eq!(entries.len() as u64, acked);
    for (seq, found) in entries {
        assert!(found == entry(seq), "entry {seq} is another");
    }
    println!("survived a full disk at {acked} entries");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_on_a_small_disk() {
    let Ok(folder) = std::env::var(CHILD) else { return };
    let ballast = Path::new(&folder).join("ballast");
    fs::write(&ballast, vec![1; 4 << 20]).unwrap();
    fill_and_recover(&Path::new(&folder).join("data"), || fs::remove_file(&ballast).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_with_a_limit_on_file_sizes() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Ok(folder) = std::env::var(CHILD) else { return };
    let limit = getrlimit(Resource::Fsize);
    fill_and_recover(Path::new(&folder), || {
        setrlimit(Resource::Fsize, Rlimit { current: limit.maximum, ..limit }).unwrap();
    })
    .await;
}

#[test]
fn a_full_disk_is_survived() {
    let place = tempfile::tempdir().unwrap();
    let line = child("child_on_a_small_disk", place.path());
    let mount = format!("mount -t tmpfs -o size=12m none {}", place.path().display());
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
    if !unshare.arg(&mount).status().is_ok_and(|status| status.success()) {
        println!("SKIPPED: no small disk can be mounted here; the limit on file sizes stands in for it");
        return;
    }
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
    let output = unshare.arg(format!("{mount} && exec \"$@\"")).arg("sh").args(line).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("survived a full disk"), "{text}");
}

#[test]
fn a_limit_on_file_sizes_is_survived() {
    let place = tempfile::tempdir().unwrap();
    let line = child("child_with_a_limit_on_file_sizes", place.path());
    let mut shell = Command::new("sh");
    // Without the trap the signal ends the process before the error is seen. The unit is 512 bytes.
    shell.args(["-c", "trap '' XFSZ; ulimit -S -f 8192; exec \"$@\"", "sh"]);
    let output = shell.args(line).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("survived a full disk"), "{text}");
}

#[tokio::test]
async fn a_follower_that_is_new_to_the_store_finds_every_room() {
    let place = tempfile::tempdir().unwrap();
    let followed_by = |followers: &[Follower]| {
        open_with(place.path(), &Options { followers: followers.to_vec(), ..Options::default() }).unwrap()
    };
    let store = followed_by(&[Follower::Events]);
    store.claim(&room(), EPOCH).await.unwrap();
    append(&store, 0, Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(store.settle(&room(), Follower::Events, at(1)).await, Ok(true));
    assert_eq!(store.pending(Follower::Archive, None, 10).await, Ok(vec![]));
    drop(store);

    let store = followed_by(&[Follower::Archive, Follower::Events]);
    assert_eq!(store.pending(Follower::Archive, None, 10).await, Ok(vec![room()]));
    assert_eq!(store.pending(Follower::Events, None, 10).await, Ok(vec![]));
    drop(store);

    // Whoever pauses can't know what it has missed.
    drop(followed_by(&[Follower::Archive]));
    let store = followed_by(&[Follower::Archive, Follower::Events]);
    assert_eq!(store.pending(Follower::Events, None, 10).await, Ok(vec![room()]));
}
