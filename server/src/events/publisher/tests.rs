//! The outbox, with another side that answers when the test wants it to.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use enfilade_core::op::{self, Body};
use enfilade_core::policy::Actor;
use enfilade_core::{Code, RoomId, UserId, v1};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::*;
use crate::events::contract::cases::{append, store};
use crate::events::contract::{room, until};
use crate::events::{EventsError, Record, Result, ShardWriter, Taken};
use crate::health::{Component, Health};
use crate::rooms::tests::Node;

/// Takes everything while it is up, and counts it.
#[derive(Clone, Default)]
struct Other {
    is_up: Arc<AtomicBool>,
    published: Arc<AtomicU64>,
}

impl Other {
    fn answer(&self) -> Result<()> {
        if self.is_up.load(Ordering::Relaxed) {
            Ok(())
        } else {
            Err(EventsError::Unavailable("it is down".into()))
        }
    }
}

impl Outlet for Other {
    fn shards(&self) -> u32 {
        2
    }
    fn shard_of(&self, room: &RoomId) -> u32 {
        room.as_str().len() as u32 % 2
    }
    fn take(&self, _: u32) -> BoxFuture<'_, Result<Taken>> {
        async { self.answer().map(|()| Taken { writer: Box::new(self.clone()), tail: HashMap::new() }) }
            .boxed()
    }
    fn probe(&self) -> BoxFuture<'_, Result<()>> {
        async { self.answer() }.boxed()
    }
}

impl ShardWriter for Other {
    fn publish(&mut self, records: Arc<[Record]>) -> BoxFuture<'_, Result<()>> {
        async move {
            self.answer()?;
            self.published.fetch_add(records.len() as u64, Ordering::Relaxed);
            Ok(())
        }
        .boxed()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_fills_the_outbox_and_writes_go_on_when_it_has_gone_out() {
    let (store, other, gate) = (store(), Other::default(), Arc::new(Gate::new(150)));
    let names = [room("a"), room("bb")];
    for name in &names {
        store.claim(name, 7).await.unwrap();
        append(&store, name, 1, 100).await;
    }
    let meter = Health::new().meter(Component::Events);
    let (outlet, options) = (Arc::new(other.clone()), Options::default());
    let publisher = Publisher::new(store.clone(), outlet, "node".into(), options, gate.clone(), meter);
    let (stop, stopping) = watch::channel(false);
    let running = tokio::spawn(publisher.run(stopping));
    until("the outbox is full", || async { gate.is_full() }).await;
    assert_eq!(gate.waiting(), 200);

    let node = Node::start().await;
    node.rooms.hold_back_by(gate.clone());
    let lobby = room("lobby");
    let ann = Arc::new(Actor::new(UserId::new("ann").unwrap(), "Ann"));
    let create = v1::Submit {
        room_id: "lobby".into(),
        op_id: Some(v1::OpId { client: 5, counter: 1 }),
        op: op::encode(Body::CreateRoom(v1::CreateRoom { name: "Lobby".into(), ..Default::default() })),
        ..Default::default()
    };
    let refused = node.rooms.submit(&lobby, ann.clone(), create.clone()).await.unwrap_err();
    assert_eq!(refused.code, Code::OutboxFull);
    assert!(refused.retry_after > 0);

    other.is_up.store(true, Ordering::Relaxed);
    until("the outbox has room", || async { !gate.is_full() }).await;
    until("the room is made", || async {
        node.rooms.submit(&lobby, ann.clone(), create.clone()).await.is_ok()
    })
    .await;
    assert_eq!(other.published.load(Ordering::Relaxed), 200);
    stop.send_replace(true);
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stops_publishes_what_waits() {
    let (store, other) = (store(), Other::default());
    other.is_up.store(true, Ordering::Relaxed);
    let name = room("a");
    store.claim(&name, 7).await.unwrap();
    let meter = Health::new().meter(Component::Events);
    let (outlet, gate) = (Arc::new(other.clone()), Arc::new(Gate::open()));
    let publisher = Publisher::new(store.clone(), outlet, "node".into(), Options::default(), gate, meter);
    let (stop, stopping) = watch::channel(false);
    let running = tokio::spawn(publisher.run(stopping));
    append(&store, &name, 1, 10).await;
    until("the first is out", || async { other.published.load(Ordering::Relaxed) == 10 }).await;
    append(&store, &name, 11, 500).await;
    stop.send_replace(true);
    running.await.unwrap();
    assert_eq!(other.published.load(Ordering::Relaxed), 510);
}
