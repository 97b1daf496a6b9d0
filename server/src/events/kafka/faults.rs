//! A broker that loses replies, while entries go out.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use enfilade_backends::proxy::{END_TRANSACTION, PRODUCE, Proxy};
use enfilade_backends::{Kafka, or_skip};
use enfilade_core::RoomId;

use super::tests::Topics;
use crate::events::contract::cases::{Running, append, store, until_published};
use crate::events::contract::{Fixture as _, by_room, room};
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
