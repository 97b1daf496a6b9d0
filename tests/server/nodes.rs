//! Two servers on one Redis.

use std::time::Duration;

use enfilade_backends::or_skip;
use enfilade_backends::redis::{Cluster, Redis};
use enfilade_core::v1::room_state_sync::Data;
use enfilade_core::wire::Codec;
use enfilade_core::{Code, op, v1};

use super::harness::{Client, Server, create, join};

const PUBLIC: v1::Visibility = v1::Visibility::Public;
/// Messages of each client.
const EACH: u64 = 200;

fn two_nodes(url: &str, mode: &str) -> [Server; 2] {
    let (url, mode) = (format!("redis.url={url}"), format!("redis.mode={mode}"));
    let settings = ["store.kind=redis", &url, &mode, "archive.kind=none"];
    [Server::start(&settings), Server::start(&settings)]
}

/// Clients on both nodes write at the same time, and see one order.
async fn write_on_both([one, other]: &[Server; 2], room: &str) -> (Client, Client) {
    let mut ada = one.join(Codec::Binary, "Ada", 1).await;
    ada.submit(room, 1, create(PUBLIC)).await.unwrap();
    let mut bob = other.join(Codec::Json, "Bob", 2).await;
    bob.submit(room, 1, join()).await.unwrap();
    let (at, snapshot) = bob.open_room(room).await;
    assert_eq!((at.seq, snapshot.members.len()), (2, 2));
    ada.open_room(room).await;
    for counter in 2..EACH + 2 {
        ada.ask(ada.submission(room, counter, op::post(format!("ada {counter}"))));
        bob.ask(bob.submission(room, counter, op::post(format!("bob {counter}"))));
    }
    let count = 2 * EACH as usize;
    let (seen_by_ada, seen_by_bob) = tokio::join!(ada.texts(room, count), bob.texts(room, count));
    assert_eq!(seen_by_ada, seen_by_bob);
    for user in ["ada", "bob"] {
        let own: Vec<_> = seen_by_ada.iter().filter(|text| text.starts_with(user)).cloned().collect();
        let expected: Vec<_> = (2..EACH + 2).map(|counter| format!("{user} {counter}")).collect();
        assert_eq!(own, expected);
    }
    assert_eq!((ada.refusals(), bob.refusals()), (vec![], vec![]));
    (ada, bob)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_on_two_servers_see_one_order() {
    let Some(redis) = or_skip("Redis", Redis::start()) else { return };
    let nodes = two_nodes(&redis.url(), "standalone");
    write_on_both(&nodes, "lobby").await;
    // Both list the room, whichever of them made it.
    for node in &nodes {
        let (token, _) = node.guest("Eve");
        let (status, rooms) = node.get("/api/rooms", Some(&token));
        assert_eq!((status, &rooms["rooms"][0]["id"]), (200, &"lobby".into()), "{rooms}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_on_two_servers_see_one_order_on_a_cluster() {
    let Some(cluster) = or_skip("Redis Cluster", Cluster::start()) else { return };
    write_on_both(&two_nodes(&cluster.url(), "cluster"), "lobby").await;
}

/// The position of the next whole state that a client gets of a room.
async fn next_bulk(client: &mut Client, room: &str) -> v1::Position {
    client
        .sync(room, |sync| match &sync.data {
            Some(Data::BulkSync(_)) => Some(super::harness::position(sync)),
            _ => None,
        })
        .await
}

/// Submits until it is taken: the server may have no Redis at the moment.
async fn submit_at_last(client: &mut Client, room: &str, counter: u64, text: &str) -> v1::Position {
    loop {
        match client.submit(room, counter, op::post(text)).await {
            Ok(position) => return position,
            Err(code) => assert_eq!(code, Code::StoreUnavailable),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_of_redis_everybody_goes_on_with_everything_under_a_new_epoch() {
    let Some(mut redis) = or_skip("Redis", Redis::start()) else { return };
    let nodes = two_nodes(&redis.url(), "standalone");
    let (mut ada, mut bob) = write_on_both(&nodes, "lobby").await;
    // So many that there is a snapshot.
    let mut last = None;
    for counter in EACH + 2..EACH + 802 {
        last = Some(ada.submit("lobby", counter, op::post("more")).await.unwrap());
    }
    let before = last.unwrap();
    redis.kill();
    redis.restart().unwrap();
    let after = submit_at_last(&mut ada, "lobby", EACH + 802, "after").await;
    assert_ne!(after.epoch, before.epoch);
    assert_eq!(after.seq, before.seq + 1, "nothing was lost, and nothing is there twice");
    for client in [&mut ada, &mut bob] {
        assert_eq!(next_bulk(client, "lobby").await.epoch, after.epoch);
    }
    submit_at_last(&mut bob, "lobby", EACH + 2, "bob again").await;
    let page = bob.history("lobby", u64::MAX >> 11, 10).await;
    let texts: Vec<_> = page.messages.iter().map(|message| message.text.as_str()).collect();
    assert_eq!(texts[texts.len() - 3..], ["more", "after", "bob again"]);
}
