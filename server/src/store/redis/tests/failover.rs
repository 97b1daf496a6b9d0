//! Another server takes over: what was acknowledged is there, under a new epoch.

use enfilade_backends::redis::Sentinels;

use super::*;

/// Longer than an election takes on a busy machine.
const ELECTION: Duration = Duration::from_secs(60);

/// Appends until it is taken, loading the log where another epoch is in force.
async fn add_at_last(store: &RedisStore, mut head: Position, text: &str) -> Position {
    let added = async {
        loop {
            match store.append(&room(), Append::new(head, vec![entry(text)], entry("row"))).await {
                Ok(Appended::Done { head }) => return head,
                Ok(Appended::Conflict { head: there, .. }) if there.epoch != 0 => {
                    // Unless it was taken, and the answer lost.
                    let loaded = store.load(&room()).await;
                    if let Ok(Some(loaded)) = loaded {
                        if loaded.entries.last() == Some(&entry(text)) {
                            return loaded.head;
                        }
                        head = loaded.head;
                    }
                }
                Ok(Appended::Conflict { .. }) => panic!("the log is gone"),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    tokio::time::timeout(ELECTION, added).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_promote_the_replica_and_nothing_that_was_acknowledged_is_lost() {
    let Some(mut servers) = or_skip("Redis with Sentinels", Sentinels::start()) else { return };
    let options = Options {
        sentinel_master: Sentinels::MASTER.into(),
        wait_replicas: 1,
        timeout: Duration::from_secs(1),
        ..options(servers.url(), Mode::Sentinel)
    };
    let (one, other) =
        (RedisStore::open(options.clone()).await.unwrap(), RedisStore::open(options).await.unwrap());
    one.claim(&room(), 7).await.unwrap();
    let mut head = Position { epoch: 7, seq: 0 };
    for n in 1..=20 {
        head = add(if n % 2 == 0 { &one } else { &other }, head, &n.to_string()).await;
    }
    servers.master.kill();
    // The one that is left has no replica to wait for; acknowledged is what it has.
    let error = one.append(&room(), Append::new(head, vec![entry("21")], entry("row"))).await;
    assert!(!matches!(error, Ok(Appended::Done { .. })), "{error:?}");
    let alone = Options { wait_replicas: 0, ..one.inner.options.clone() };
    let alone = RedisStore::open(alone);
    let alone = tokio::time::timeout(ELECTION, async {
        let mut opened = alone.await;
        while opened.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
            opened = RedisStore::open(Options { wait_replicas: 0, ..one.inner.options.clone() }).await;
        }
        opened.unwrap()
    });
    let alone = alone.await.unwrap();
    let after = add_at_last(&alone, head, "after").await;
    assert_ne!(after.epoch, 7);
    let loaded = alone.load(&room()).await.unwrap().unwrap();
    let acknowledged: Vec<Bytes> = (1..=20).map(|n: u32| entry(&n.to_string())).collect();
    assert_eq!(loaded.entries[..20], acknowledged);
    assert_eq!(loaded.entries.last(), Some(&entry("after")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_replaces_a_master_and_rooms_go_on() {
    let Some(mut cluster) = or_skip("Redis Cluster", Cluster::start()) else { return };
    let options = Options { timeout: Duration::from_secs(2), ..options(cluster.url(), Mode::Cluster) };
    let (one, other) =
        (RedisStore::open(options.clone()).await.unwrap(), RedisStore::open(options.clone()).await.unwrap());
    one.claim(&room(), 7).await.unwrap();
    let mut head = Position { epoch: 7, seq: 0 };
    for n in 1..=20 {
        head = add(if n % 2 == 0 { &one } else { &other }, head, &n.to_string()).await;
    }
    let key = format!("{}head:{{lobby}}", options.prefix);
    cluster.master_of(&key).kill();
    let after = add_at_last(&one, head, "after").await;
    assert_ne!(after.epoch, 7);
    let loaded = other.load(&room()).await.unwrap().unwrap();
    assert_eq!(loaded.head, after);
    let acknowledged: Vec<Bytes> = (1..=20).map(|n: u32| entry(&n.to_string())).collect();
    assert_eq!(loaded.entries[..20], acknowledged);
    assert_eq!(loaded.entries[20..], [entry("after")]);
    // Hints come again, from the master that is there now.
    let mut hints = other.watch();
    let heard = async {
        let mut head = after;
        loop {
            head = add_at_last(&one, head, "again").await;
            let said = async { while hints.recv().await.is_ok_and(|hint| hint.head != head) {} };
            if tokio::time::timeout(Duration::from_millis(200), said).await.is_ok() {
                return;
            }
        }
    };
    tokio::time::timeout(ELECTION, heard).await.unwrap();
}
