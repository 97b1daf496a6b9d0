//! A broker that loses replies, dies and comes back, while entries go out and commands come in.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use enfilade_backends::proxy::{END_TRANSACTION, PRODUCE, Proxy};
use enfilade_backends::{Kafka, or_skip};
use enfilade_core::{RoomId, UserId};

use super::tests::Topics;
use crate::events::command;
use crate::events::contract::cases::{Running, append, game, store, total, until_published};
use crate::events::contract::{Fixture as _, by_room, room, until};
use crate::rooms::tests::Node;
use crate::store::SharedStore;

/// Rooms that are written to.
const ROOMS: u64 = 12;

async fn rooms(store: &SharedStore) -> Vec<RoomId> {
    let names: Vec<RoomId> = (0..ROOMS).map(|number| room(&format!("room-{number}"))).collect();
    for name in &names {
        store.claim(name, 7).await.unwrap();
    }
    names
}

/// Appends to all rooms in turn, `step` entries each, until each has so many.
async fn write(store: SharedStore, rooms: Vec<RoomId>, step: u64, count: u64, pause: Duration) {
    for from in (0..count).step_by(step as usize) {
        for room in &rooms {
            append(&store, room, from + 1, step).await;
        }
        tokio::time::sleep(pause).await;
    }
}

fn complete(records: &[crate::events::record::Body], count: u64) {
    let seen = by_room(records);
    assert_eq!(seen.len() as u64, ROOMS);
    for (name, seqs) in seen {
        assert_eq!(seqs, (1..=count).collect::<Vec<u64>>(), "{name:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_that_are_lost_double_nothing_and_lose_nothing() {
    let proxy = Proxy::start(&[PRODUCE, END_TRANSACTION]).unwrap();
    let Some(kafka) = or_skip("Kafka", Kafka::start_behind(&proxy)) else { return };
    let topics = Topics::on(Arc::new(Mutex::new(kafka)), format!("127.0.0.1:{}", proxy.port())).await;
    let store = store();
    let names = rooms(&store).await;
    proxy.lose_every(4);
    let publisher = Running::publisher(&topics, &store, "a").await;
    write(store.clone(), names, 20, 500, Duration::from_millis(100)).await;
    let records = until_published(&topics, (ROOMS * 500) as usize).await;
    proxy.lose_every(0);
    publisher.stop().await;
    complete(&records, 500);
    complete(&topics.records().await, 500);
    assert!(proxy.lost() >= 5, "only {} replies were lost", proxy.lost());
    println!("{} records, {} replies lost, 0 doubled, 0 missing", records.len(), proxy.lost());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_killed_under_load_gets_everything_once_when_it_is_back() {
    let Some(kafka) = or_skip("Kafka", Kafka::start()) else { return };
    let brokers = kafka.brokers();
    let topics = Topics::on(Arc::new(Mutex::new(kafka)), brokers).await;
    let store = store();
    let names = rooms(&store).await;
    let publisher = Running::publisher(&topics, &store, "a").await;
    // Commands come in at the same time.
    let node = Node::start().await;
    let lobby = game(&node.rooms, "game", &["ann"]).await;
    let commands = topics.commands().await;
    let intake = Running::intake(topics.inlet("a").await, &node.rooms).await;
    let writing = tokio::spawn(write(store.clone(), names, 50, 1_000, Duration::from_millis(150)));
    let is_over = Arc::new(AtomicBool::new(false));
    let sending = {
        let (commands, is_over, lobby) = (commands.clone(), is_over.clone(), lobby.clone());
        tokio::spawn(async move {
            let user = UserId::new("ann").unwrap();
            let mut sent = 0;
            while !is_over.load(Ordering::Relaxed) {
                let json = command::tap(format!("tap-{sent}"), &lobby, &user, "", 1);
                // Nobody knows whether one without an answer has arrived: so it is sent again, under the same id.
                while commands.send(&lobby, json.clone().into()).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                sent += 1;
            }
            sent
        })
    };
    let mut back = Vec::new();
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        let (kafka, count) = (topics.kafka.clone(), total(&node.rooms, &lobby).await);
        tokio::task::spawn_blocking(move || {
            let mut kafka = kafka.lock().unwrap();
            kafka.kill();
            kafka.restart().unwrap();
        })
        .await
        .unwrap();
        let since = Instant::now();
        until("commands come in again", || async { total(&node.rooms, &lobby).await > count }).await;
        back.push(since.elapsed());
    }
    writing.await.unwrap();
    let records = until_published(&topics, (ROOMS * 1_000) as usize).await;
    is_over.store(true, Ordering::Relaxed);
    let sent: u64 = sending.await.unwrap();
    until("every tap counts", || async { total(&node.rooms, &lobby).await >= sent }).await;
    intake.stop().await;
    publisher.stop().await;
    complete(&records, 1_000);
    assert_eq!(total(&node.rooms, &lobby).await, sent, "each tap counts once");
    assert!(topics.dead().await.is_empty());
    println!(
        "{} records and {sent} commands, each once; commands went on {back:?} after the broker",
        records.len()
    );
}
