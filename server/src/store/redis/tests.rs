//! The contract on a real Redis, and what is Redis' own.

use std::sync::Weak;
use std::sync::atomic::{AtomicUsize, Ordering};

use enfilade_backends::or_skip;
use enfilade_backends::redis::{Cluster, Redis};

use super::*;
use crate::store::SharedStore;
use crate::store::contract::{Fixture, contract};

mod cost;
mod failover;
mod model;

/// Each store has the keys under a prefix of its own, so that all share one Redis.
fn prefix() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("test{}:", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn options(url: String, mode: Mode) -> Options {
    Options {
        url,
        mode,
        prefix: prefix(),
        followers: Follower::ALL.to_vec(),
        mark_lifetime: Duration::from_millis(200),
        clock_skew: Duration::ZERO,
        ..Options::default()
    }
}

async fn open(options: Options) -> SharedStore {
    Arc::new(RedisStore::open(options).await.unwrap())
}

/// What several tests use at the same time: started for the first, ended with the last.
struct Shared<T>(Mutex<Weak<T>>);

impl<T> Shared<T> {
    fn get(&self, name: &str, start: impl FnOnce() -> std::io::Result<T>) -> Option<Arc<T>> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = shared.upgrade() {
            return Some(running);
        }
        let started = Arc::new(or_skip(name, start())?);
        *shared = Arc::downgrade(&started);
        Some(started)
    }
}

struct Standalone(#[expect(dead_code, reason = "it runs as long as the test")] Arc<Redis>);

impl Fixture for Standalone {
    async fn new() -> Option<(SharedStore, Standalone)> {
        static SHARED: Shared<Redis> = Shared(Mutex::new(Weak::new()));
        let redis = SHARED.get("Redis", Redis::start)?;
        Some((open(options(redis.url(), Mode::Standalone)).await, Standalone(redis)))
    }
}

contract!(standalone, Standalone);

struct OnCluster(#[expect(dead_code, reason = "it runs as long as the test")] Arc<Cluster>);

impl Fixture for OnCluster {
    async fn new() -> Option<(SharedStore, OnCluster)> {
        static SHARED: Shared<Cluster> = Shared(Mutex::new(Weak::new()));
        let cluster = SHARED.get("Redis Cluster", Cluster::start)?;
        Some((open(options(cluster.url(), Mode::Cluster)).await, OnCluster(cluster)))
    }
}

contract!(cluster, OnCluster);

fn room() -> RoomId {
    RoomId::new("lobby").unwrap()
}

fn entry(text: &str) -> Bytes {
    Bytes::from(text.to_owned())
}

/// Appends one entry wherever the log ends, and says where it is.
async fn add(store: &RedisStore, at: Position, text: &str) -> Position {
    let append = Append::new(at, vec![entry(text)], Bytes::from_static(b"row"));
    match store.append(&room(), append).await.unwrap() {
        Appended::Done { head } => head,
        other => panic!("{other:?}"),
    }
}

async fn refused(options: Options) -> String {
    match RedisStore::open(options).await {
        Err(StoreError::Inaccessible(message) | StoreError::Unavailable(message)) => message,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was taken"),
    }
}

#[tokio::test]
async fn what_can_be_no_store_is_refused_with_what_to_do() {
    let Some(redis) = or_skip(
        "Redis",
        Redis::start_with(&["--requirepass", "secret", "--maxmemory-policy", "allkeys-lru"]),
    ) else {
        return;
    };
    let with = |url: String| options(url, Mode::Standalone);
    let place = format!("127.0.0.1:{}", redis.port());
    let message = refused(with("http://nowhere".into())).await;
    assert!(message.contains("redis://user:password@host"), "{message}");
    let message = refused(with("redis://127.0.0.1:1/".into())).await;
    assert!(message.contains("127.0.0.1:1 can't be reached"), "{message}");
    let message = refused(with(redis.url())).await;
    assert!(message.contains("does not take the user or password"), "{message}");
    let message = refused(with(format!("redis://:wrong@{place}/"))).await;
    assert!(
        message.contains("does not take the user or password") && !message.contains("wrong@"),
        "{message}"
    );
    let message = refused(with(format!("redis://:secret@{place}/99"))).await;
    assert!(message.contains("has no such database"), "{message}");
    let url = format!("redis://:secret@{place}/");
    let message = refused(with(url.clone())).await;
    assert!(message.contains("config set maxmemory-policy noeviction"), "{message}");
    assert!(!message.contains("secret"), "{message}");
    let message = refused(options(url, Mode::Cluster)).await;
    assert!(message.contains("Cluster") || message.contains("cluster"), "{message}");
}

#[tokio::test]
async fn a_cluster_without_slots_is_refused() {
    let Some(cluster) = or_skip("Redis Cluster", Cluster::start_unjoined()) else { return };
    let message = refused(options(cluster.url(), Mode::Cluster)).await;
    assert!(message.contains("slots"), "{message}");
    let one = refused(options(cluster.servers[0].url(), Mode::Standalone)).await;
    assert!(one.contains("redis.mode = \"cluster\""), "{one}");
}

#[tokio::test]
async fn keys_of_a_foreign_type_are_named_and_nothing_is_written_over() {
    let Some(redis) = or_skip("Redis", Redis::start()) else { return };
    let options = options(redis.url(), Mode::Standalone);
    redis.ask(&["SET", &format!("{}index:{GLOBAL}", options.prefix), "mine"]);
    let message = refused(options.clone()).await;
    assert!(message.contains("choose another redis.prefix"), "{message}");

    let options = Options { prefix: "other:".into(), ..options };
    let store = RedisStore::open(options).await.unwrap();
    for key in ["other:head:{lobby}", "other:log:{lobby}"] {
        redis.ask(&["SET", key, "mine"]);
        let failed = store.load(&room()).await.unwrap_err();
        assert!(matches!(failed, StoreError::Damaged(_)), "{failed:?}");
        assert_eq!(redis.ask(&["GET", key]), "$4\r\nmine\r\n");
        redis.ask(&["DEL", key]);
    }
}

#[tokio::test]
async fn a_redis_that_has_no_memory_left_is_full_and_goes_on_when_it_has() {
    let Some(redis) = or_skip("Redis", Redis::start()) else { return };
    let store = RedisStore::open(options(redis.url(), Mode::Standalone)).await.unwrap();
    store.claim(&room(), 7).await.unwrap();
    let head = add(&store, Position { epoch: 7, seq: 0 }, "one").await;
    redis.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let append = Append::new(head, vec![entry("two")], Bytes::new());
    let full = store.append(&room(), append).await.unwrap_err();
    assert!(matches!(&full, StoreError::Full(message) if message.contains("maxmemory")), "{full:?}");
    assert_eq!(store.load(&room()).await.unwrap().unwrap().entries, [entry("one")]);
    redis.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    add(&store, head, "two").await;
}

#[tokio::test]
async fn scripts_that_redis_has_forgotten_are_sent_again() {
    let Some(redis) = or_skip("Redis", Redis::start()) else { return };
    let store = RedisStore::open(options(redis.url(), Mode::Standalone)).await.unwrap();
    store.claim(&room(), 7).await.unwrap();
    let head = add(&store, Position { epoch: 7, seq: 0 }, "one").await;
    redis.ask(&["SCRIPT", "FLUSH"]);
    add(&store, head, "two").await;
}

#[tokio::test]
async fn a_restart_that_lost_nothing_goes_on_with_everything_under_a_new_epoch() {
    let Some(mut redis) = or_skip("Redis", Redis::start()) else { return };
    let store = RedisStore::open(options(redis.url(), Mode::Standalone)).await.unwrap();
    store.claim(&room(), 7).await.unwrap();
    let one = add(&store, Position { epoch: 7, seq: 0 }, "one").await;
    let two = add(&store, one, "two").await;
    store.put_snapshot(&room(), one, entry("state")).await.unwrap();
    store.set_cursor(&room(), Follower::Archive, one).await.unwrap();
    redis.kill();
    redis.restart().unwrap();
    let begun = Instant::now();
    let loaded = store.load(&room()).await.unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_ne!(loaded.head.epoch, two.epoch);
    assert_eq!(loaded.head.seq, 2);
    let epoch = loaded.head.epoch;
    assert_eq!(loaded.snapshot, Some((Position { epoch, seq: 1 }, entry("state"))));
    assert_eq!(loaded.entries, [entry("two")]);
    // Followers go on from where they were.
    assert_eq!(store.cursor(&room(), Follower::Archive).await, Ok(Some(Position { epoch, seq: 1 })));
    let old = Append::new(two, vec![entry("three")], Bytes::new());
    let conflict = store.append(&room(), old).await.unwrap();
    assert_eq!(conflict, Appended::Conflict { head: Position { epoch, seq: 2 }, missing: vec![] });
    add(&store, loaded.head, "three").await;
}

/// Keeps nothing, so that a restart loses everything since the last save.
const FORGETFUL: [&str; 4] = ["--appendonly", "no", "--save", ""];

#[tokio::test]
async fn entries_that_redis_lost_are_given_back_by_those_who_wrote_them() {
    let Some(mut redis) = or_skip("Redis", Redis::start_with(&FORGETFUL)) else { return };
    let options = options(redis.url(), Mode::Standalone);
    let (one, other) =
        (RedisStore::open(options.clone()).await.unwrap(), RedisStore::open(options).await.unwrap());
    one.claim(&room(), 7).await.unwrap();
    let mut head = add(&one, Position { epoch: 7, seq: 0 }, "1").await;
    redis.ask(&["SAVE"]);
    // Both write in turn; each holds what the other lacks.
    for n in 2..=21 {
        head = add(if n % 2 == 0 { &one } else { &other }, head, &n.to_string()).await;
    }
    let keys = vec![KeyWrite::new("rooms", &room(), KeyCommand::HSet(vec![(entry("name"), entry("Lobby"))]))];
    let append = Append {
        keys,
        amended: vec![(3, entry("amended"))],
        ..Append::new(head, vec![entry("22")], entry("row 22"))
    };
    one.append(&room(), append).await.unwrap();
    redis.kill();
    redis.restart().unwrap();
    let loaded = other.load(&room()).await.unwrap().unwrap();
    assert_ne!(loaded.head.epoch, 7);
    let all: Vec<Bytes> = (1..=22).map(|n: u32| entry(&n.to_string())).collect();
    assert_eq!(loaded.entries, all);
    let from = Position { epoch: loaded.head.epoch, seq: 1 };
    assert_eq!(one.amended(&room(), from, 100).await, Ok(vec![(3, entry("amended"))]));
    assert_eq!(one.summaries_of(&[room()]).await, Ok(vec![Some(entry("row 22"))]));
    assert_eq!(one.load(&room()).await.unwrap().unwrap(), loaded);
}

#[tokio::test]
async fn entries_that_nobody_can_give_back_never_stand_under_their_old_numbers() {
    let Some(mut redis) = or_skip("Redis", Redis::start_with(&FORGETFUL)) else { return };
    let options = options(redis.url(), Mode::Standalone);
    let gone = RedisStore::open(options.clone()).await.unwrap();
    gone.claim(&room(), 7).await.unwrap();
    let one = add(&gone, Position { epoch: 7, seq: 0 }, "one").await;
    redis.ask(&["SAVE"]);
    let two = add(&gone, one, "two").await;
    drop(gone);
    redis.kill();
    redis.restart().unwrap();
    let store = RedisStore::open(options).await.unwrap();
    // Somebody who has seen only the first entry would write a second one in the place of what was lost.
    let append = Append::new(one, vec![entry("another two")], Bytes::new());
    let Appended::Conflict { head, missing } = store.append(&room(), append).await.unwrap() else { panic!() };
    assert_ne!(head.epoch, two.epoch);
    assert_eq!((head.seq, missing), (1, vec![]));
    let another = add(&store, head, "another two").await;
    assert_ne!(another, two);
}

#[tokio::test]
async fn an_emptied_redis_has_no_room_and_takes_new_ones() {
    let Some(redis) = or_skip("Redis", Redis::start()) else { return };
    let store = RedisStore::open(options(redis.url(), Mode::Standalone)).await.unwrap();
    store.claim(&room(), 7).await.unwrap();
    let head = add(&store, Position { epoch: 7, seq: 0 }, "one").await;
    redis.ask(&["FLUSHALL"]);
    let append = Append::new(head, vec![entry("two")], Bytes::new());
    let none = Appended::Conflict { head: Position::default(), missing: vec![] };
    assert_eq!(store.append(&room(), append).await, Ok(none));
    assert_eq!(store.load(&room()).await, Ok(None));
    assert_eq!(store.claim(&room(), 8).await, Ok(8));
    add(&store, Position { epoch: 8, seq: 0 }, "one again").await;
}

#[tokio::test]
async fn a_redis_that_hangs_is_given_up_in_time_and_found_again() {
    let Some(redis) = or_skip("Redis", Redis::start()) else { return };
    let options = Options { timeout: Duration::from_millis(300), ..options(redis.url(), Mode::Standalone) };
    let store = RedisStore::open(options).await.unwrap();
    store.claim(&room(), 7).await.unwrap();
    redis.pause();
    let begun = Instant::now();
    let failed = store.load(&room()).await.unwrap_err();
    assert!(matches!(&failed, StoreError::Unavailable(message) if message.contains("in time")), "{failed:?}");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    redis.resume();
    let begun = Instant::now();
    while store.load(&room()).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(2));
    }
}

#[tokio::test]
async fn hints_go_to_other_nodes_and_come_back_after_redis_was_restarted() {
    let Some(mut redis) = or_skip("Redis", Redis::start()) else { return };
    let options = options(redis.url(), Mode::Standalone);
    let (one, other) =
        (RedisStore::open(options.clone()).await.unwrap(), RedisStore::open(options).await.unwrap());
    one.claim(&room(), 7).await.unwrap();
    for restarts in [true, false] {
        let mut hints = other.watch();
        let heard = async {
            loop {
                let mut head = one.load(&room()).await.unwrap().unwrap().head;
                head = add(&one, head, "x").await;
                let said = async { while hints.recv().await.unwrap() != (Hint { room: room(), head }) {} };
                if tokio::time::timeout(Duration::from_millis(100), said).await.is_ok() {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), heard).await.unwrap();
        if restarts {
            redis.kill();
            redis.restart().unwrap();
        }
    }
}

#[tokio::test]
async fn an_append_on_a_worklist_is_never_forgotten_though_its_mark_has_ended() {
    let Some(redis) = or_skip("Redis", Redis::start()) else { return };
    let options =
        Options { mark_lifetime: Duration::from_millis(50), ..options(redis.url(), Mode::Standalone) };
    let store = RedisStore::open(options).await.unwrap();
    store.claim(&room(), 7).await.unwrap();
    let mut head = Position { epoch: 7, seq: 0 };
    for n in 0..40 {
        head = add(&store, head, &n.to_string()).await;
        assert_eq!(store.pending(Follower::Archive, None, 10).await, Ok(vec![room()]), "{n}");
        // Sometimes before the mark ends, and sometimes after.
        tokio::time::sleep(Duration::from_millis(n * 3)).await;
        let _ = store.settle(&room(), Follower::Archive, head).await.unwrap();
    }
}
