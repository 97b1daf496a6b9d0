use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use enfilade_core::{Position, RoomId};

use super::*;
use crate::store::{Append, MemoryStore, SharedStore, contract};

fn room() -> RoomId {
    RoomId::new("lobby").unwrap()
}

struct Fixture;

impl contract::Fixture for Fixture {
    async fn new() -> Option<(SharedStore, Fixture)> {
        let store = Arc::new(MemoryStore::followed_by(&crate::store::Follower::ALL));
        Some((Arc::new(Watched::new(store, Health::new().meter(Component::Store))), Fixture))
    }
}

contract::contract!(watched, Fixture);

#[tokio::test]
async fn a_store_that_was_closed_is_down_and_readers_are_still_let_in() {
    let health = Health::new();
    let store: SharedStore = Arc::new(MemoryStore::new());
    let store: SharedStore = Arc::new(Watched::new(store, health.meter(Component::Store)));
    assert_eq!(health.report().status, "starting");
    assert!(!health.report().ready);
    health.enter(Phase::Serving);
    assert_eq!(health.report().status, "ready");

    let mut changes = health.watch(Component::Store);
    changes.mark_unchanged();
    store.close().await.unwrap();
    for _ in 0..3 {
        store.load(&room()).await.unwrap_err();
    }
    let report = health.report();
    assert_eq!((report.status, report.ready, report.writes), ("degraded", true, false));
    assert_eq!(report.components["store"].status, Status::Down);
    assert!(report.components["store"].why.contains("closed"));
    assert!(changes.has_changed().unwrap() && !health.takes_writes());
    let body = serde_json::to_value(&report).unwrap();
    assert_eq!(body["components"]["store"]["status"], "down");
    assert_eq!(body["components"]["archive"], serde_json::Value::Null, "what is not configured is not there");

    health.enter(Phase::Draining);
    assert_eq!((health.report().status, health.report().ready), ("draining", false));
}

#[tokio::test]
async fn requests_that_are_outside_the_contract_say_nothing_about_the_store() {
    let health = Health::new();
    let store: SharedStore = Arc::new(MemoryStore::new());
    let store = Watched::new(store, health.meter(Component::Store));
    for _ in 0..5 {
        let nothing = Append::new(Position { epoch: 1, seq: 0 }, Vec::new(), Bytes::new());
        crate::store::RoomStore::append(&store, &room(), nothing).await.unwrap_err();
    }
    assert_eq!(health.state(Component::Store).unwrap().status, Status::Up);
}

#[tokio::test]
async fn the_probe_finds_an_outage_when_nobody_asks_and_its_end() {
    let health = Health::new();
    let meter = health.meter(Component::Store);
    let is_gone = AtomicBool::new(true);
    let ask = || async {
        match is_gone.load(Ordering::Relaxed) {
            true => meter.failed("gone"),
            false => meter.answered(Duration::from_millis(1)),
        }
    };
    let mut changes = health.watch(Component::Store);
    let reached = |status| move |state: &Option<State>| state.as_ref().unwrap().status == status;
    let watching = async {
        changes.wait_for(reached(Status::Down)).await.unwrap();
        is_gone.store(false, Ordering::Relaxed);
        let told = Instant::now();
        changes.wait_for(reached(Status::Degraded)).await.unwrap();
        assert!(health.takes_writes() && told.elapsed() < Duration::from_secs(1));
    };
    tokio::select! {
        () = probe(meter.clone(), ask) => {}
        () = watching => {}
    }
}

#[tokio::test]
async fn a_component_that_hangs_is_down() {
    let health = Health::new();
    let meter = health.meter(Component::Archive);
    let mut changes = health.watch(Component::Archive);
    let down =
        async { changes.wait_for(|state| state.as_ref().unwrap().status == Status::Down).await.map(drop) };
    tokio::select! {
        () = probe(meter.clone(), std::future::pending::<()>) => {}
        down = down => down.unwrap(),
    }
    let why = health.state(Component::Archive).unwrap().why;
    assert!(why.contains("longer than two seconds"), "{why}");
    assert!(health.takes_writes(), "an archive that is gone keeps nobody from writing");
}
