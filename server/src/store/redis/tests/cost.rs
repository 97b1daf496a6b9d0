//! What an operation costs Redis: commands that it sees, and so round trips.

use super::*;

/// How often a command was called, by Redis' own count.
fn calls(redis: &Redis, command: &str) -> u64 {
    let stats = redis.ask(&["INFO", "commandstats"]);
    let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn an_operation_is_one_round_trip() {
    let Some(redis) = or_skip("Redis", Redis::start()) else { return };
    let options =
        Options { mark_lifetime: Duration::from_secs(60), ..options(redis.url(), Mode::Standalone) };
    let store = RedisStore::open(options).await.unwrap();
    store.claim(&room(), 7).await.unwrap();
    // The first append marks the room, and sends the scripts.
    let mut head = add(&store, Position { epoch: 7, seq: 0 }, "first").await;
    store.load(&room()).await.unwrap();
    let count = || (calls(&redis, "evalsha"), calls(&redis, "eval"));
    let before = count();
    for n in 0..100 {
        head = add(&store, head, &n.to_string()).await;
    }
    assert_eq!(count(), (before.0 + 100, before.1), "one script an append");
    let before = count();
    let lost = store
        .append(&room(), Append::new(Position { seq: 50, ..head }, vec![entry("x")], entry("row")))
        .await;
    assert!(matches!(lost, Ok(Appended::Conflict { missing, .. }) if missing.len() == 51));
    assert_eq!(count(), (before.0 + 1, before.1), "what was missing comes with the refusal");
    store.load(&room()).await.unwrap();
    assert_eq!(count(), (before.0 + 2, before.1));
}

/// Prints figures; run it in release mode: `cargo test --release ... -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "it measures"]
async fn measure_an_append_against_ping_and_a_pipeline_by_hand() {
    const ROUNDS: usize = 5_000;
    let Some(redis) = or_skip("Redis", Redis::start_with(&FORGETFUL)) else { return };
    let store = RedisStore::open(options(redis.url(), Mode::Standalone)).await.unwrap();
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    store.claim(&room(), 7).await.unwrap();
    let mut head = Position { epoch: 7, seq: 0 };
    let mut took = [const { Vec::new() }; 3];
    for round in 0..ROUNDS {
        let begun = Instant::now();
        redis::cmd("PING").query_async::<()>(&mut connection).await.unwrap();
        took[0].push(begun.elapsed());
        // What somebody would write who trusts that nobody else appends: no check of position or epoch.
        let begun = Instant::now();
        let mut pipeline = redis::pipe();
        pipeline.atomic().cmd("XADD").arg("by-hand").arg("*").arg("e").arg(&[b'x'; 100][..]).ignore();
        pipeline.cmd("HSET").arg("by-hand-head").arg("seq").arg(round).ignore();
        pipeline.cmd("SET").arg("by-hand-row").arg(&[b'r'; 100][..]).ignore();
        pipeline.cmd("PUBLISH").arg("by-hand-hints").arg("lobby").ignore();
        pipeline.query_async::<()>(&mut connection).await.unwrap();
        took[1].push(begun.elapsed());
        let begun = Instant::now();
        let append =
            Append::new(head, vec![Bytes::from_static(&[b'x'; 100])], Bytes::from_static(&[b'r'; 100]));
        match store.append(&room(), append).await.unwrap() {
            Appended::Done { head: now } => head = now,
            other => panic!("{other:?}"),
        }
        took[2].push(begun.elapsed());
    }
    let stats = redis.ask(&["INFO", "commandstats"]);
    stats.lines().filter(|line| line.contains("evalsha")).for_each(|line| println!("{line}"));
    for (name, mut took) in ["PING", "pipeline by hand", "append"].into_iter().zip(took) {
        took.sort();
        println!("{name}: p50 {:?}, p99 {:?}", took[ROUNDS / 2], took[ROUNDS * 99 / 100]);
    }
}
