use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use enfilade_core::v1::server_frame::Body as Frame;
use enfilade_core::wire::Codec;
use enfilade_core::{Code, Position, RoomId, Tier, limits, op, v1};
use enfilade_server::folder::DataFolder;
use enfilade_server::store::{Append, Appended, EmbeddedStore, Options, RoomStore as _};
use tokio::sync::watch;
use tokio::time::timeout;

use super::harness::{CODECS, Got, PATIENCE, Server, create, join, try_open};

const PUBLIC: v1::Visibility = v1::Visibility::Public;
/// Messages of each writer.
const MESSAGES: u64 = 300;
/// The counter of a writer's first message: the one before was for joining.
const FIRST: u64 = 2;

/// Writes without pause, as far as operations may be in flight; where the server goes away, it begins again at what was
/// not acknowledged when the server is up for the next time. Returns the seq of each message, as acknowledged.
async fn write(
    address: String,
    token: String,
    id: u64,
    mut up: watch::Receiver<usize>,
    acks: Arc<watch::Sender<usize>>,
) -> Vec<u64> {
    let codec = CODECS[id as usize % 2];
    let mut acked = Vec::new();
    loop {
        // It may be killed again at any time, also while clients come back.
        if let Some(mut client) = try_open(&address, codec, id).await {
            client.ask(client.greeting(&token, Vec::new()));
            if acked.is_empty() {
                client.ask(client.submission("lobby", 1, join()));
            }
            let mut next = FIRST + acked.len() as u64;
            loop {
                let awaited = FIRST + acked.len() as u64;
                while next < FIRST + MESSAGES && next - awaited < limits::IN_FLIGHT as u64 {
                    client.ask(client.submission("lobby", next, op::post(format!("{id} {next}"))));
                    next += 1;
                }
                match client.next().await {
                    Got::Frame(Frame::Ack(ack)) if ack.op_id.unwrap().counter == 1 => {}
                    Got::Frame(Frame::Ack(ack)) => {
                        assert_eq!(ack.op_id.unwrap().counter, awaited, "acknowledged in order");
                        acked.push(ack.position.unwrap().seq);
                        acks.send_modify(|count| *count += 1);
                        if acked.len() as u64 == MESSAGES {
                            return acked;
                        }
                    }
                    Got::Frame(Frame::Rejection(rejection)) => panic!("{rejection:?}"),
                    Got::Frame(_) => {}
                    Got::Closed(code) => {
                        assert_eq!(code, None, "a server that is killed says nothing");
                        break;
                    }
                }
            }
        }
        up.changed().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_message_survives_kills_once_and_in_order() {
    const WRITERS: u64 = 4;
    const KILLS: usize = 3;
    let mut server = Server::start(&[]);
    let (owner, _) = server.guest("Owner");
    let mut creator = server.connect(Codec::Binary, &owner, 99).await;
    creator.submit("lobby", 1, create(PUBLIC)).await.unwrap();

    let (up, acks) = (watch::Sender::new(0), Arc::new(watch::Sender::new(0)));
    let mut acknowledged = acks.subscribe();
    let writer = |id| {
        let (token, _) = server.guest(&format!("Writer {id}"));
        tokio::spawn(write(server.address.clone(), token, id, up.subscribe(), acks.clone()))
    };
    let writers: Vec<_> = (1..=WRITERS).map(writer).collect();
    let all = (WRITERS * MESSAGES) as usize;
    for kill in 1..=KILLS {
        let reached = acknowledged.wait_for(|count| *count >= kill * all / (KILLS + 1));
        timeout(PATIENCE, reached).await.expect("the writers go on").unwrap();
        server.kill();
        server.restart();
        up.send_replace(kill);
    }
    let mut seqs = Vec::new();
    for writer in writers {
        seqs.push(writer.await.unwrap());
    }

    let mut path = "/api/rooms/lobby/messages?limit=100".to_owned();
    let mut messages: Vec<(u64, String)> = Vec::new();
    loop {
        let (status, page) = server.get(&path, Some(&owner));
        assert_eq!(status, 200, "{page}");
        let rows = page["messages"].as_array().unwrap().iter();
        messages.splice(
            0..0,
            rows.map(|row| (row["seq"].as_u64().unwrap(), row["text"].as_str().unwrap().into())),
        );
        let Some(next) = page["next_before_seq"].as_u64() else { break };
        path = format!("/api/rooms/lobby/messages?limit=100&before_seq={next}");
    }
    assert_eq!(messages.len(), all);
    for (id, seqs) in (1..).zip(seqs) {
        let own: Vec<_> =
            messages.iter().filter(|(_, text)| text.starts_with(&format!("{id} "))).cloned().collect();
        let counters = FIRST..FIRST + MESSAGES;
        let expected: Vec<_> =
            seqs.into_iter().zip(counters.map(|counter| format!("{id} {counter}"))).collect();
        assert_eq!(own, expected);
    }
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_says_so_and_leaves_nothing_undone() {
    let mut server = Server::start(&[]);
    let mut clients = Vec::new();
    for (id, codec) in (1..).zip(CODECS) {
        let mut client = server.join(codec, "Somebody", id).await;
        client.submit(&format!("room-{id}"), 1, create(PUBLIC)).await.unwrap();
        client.open_room(&format!("room-{id}")).await;
        clients.push(client);
    }
    let told = Instant::now();
    server.terminate();
    for client in &mut clients {
        let advice = client.expect(|frame| match frame {
            Frame::Advice(advice) => Some(advice.clone()),
            _ => None,
        });
        let advice = advice.await;
        assert_eq!((advice.code, advice.close), (Code::GoingAway.number(), true));
        assert!(advice.reconnect_after > 0);
        assert_eq!(client.closed().await, Some(Code::GoingAway as u16));
    }
    assert_eq!(server.ended(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(10));
    server.restart();
    assert_eq!(server.get("/api/rooms", None).1["total"], 2);
}

#[tokio::test]
async fn a_room_whose_entries_are_damaged_says_so_and_leaves_others_alone() {
    let mut server = Server::start(&[]);
    let (token, _) = server.guest("Ada");
    let mut ada = server.connect(Codec::Binary, &token, 1).await;
    for room in ["bad", "good"] {
        ada.submit(room, 1, create(PUBLIC)).await.unwrap();
        ada.submit(room, 2, op::post("hello")).await.unwrap();
    }
    drop(ada);
    server.terminate();
    assert_eq!(server.ended(), Some(0));
    let bad = RoomId::new("bad").unwrap();
    let garbage = Bytes::from_static(b"\xff garbage");
    let head = {
        let store = open_store(&server);
        let head = store.load(&bad).await.unwrap().unwrap().head;
        let row = store.summaries_of(std::slice::from_ref(&bad)).await.unwrap().remove(0).unwrap();
        let appended = store.append(&bad, Append::new(head, vec![garbage.clone()], row)).await.unwrap();
        store.close().await.unwrap();
        let Appended::Done { head } = appended else { panic!("{appended:?}") };
        head
    };

    server.restart();
    for codec in CODECS {
        let mut ada = server.connect(codec, &token, 1).await;
        for tier in [Tier::Active, Tier::Background, Tier::Cached] {
            ada.set_tier("bad", tier, None);
            assert_eq!(ada.error().await, Code::Internal);
        }
        assert_eq!(ada.submit("bad", 3, op::post("more")).await, Err(Code::Internal));
        let (at, snapshot) = ada.open_room("good").await;
        assert_eq!(snapshot.timeline[0].text, "hello");
        let counter = if codec == Codec::Binary { 3 } else { 4 };
        assert_eq!(ada.submit("good", counter, op::post("more")).await.map(|at| at.seq), Ok(at.seq + 1));
    }
    let (status, refused) = server.get("/api/rooms/bad", Some(&token));
    assert_eq!((status, &refused["error"]["name"]), (500, &"internal".into()));
    assert_eq!(server.get("/api/rooms/good", Some(&token)).0, 200);

    server.terminate();
    assert_eq!(server.ended(), Some(0));
    let store = open_store(&server);
    let loaded = store.load(&bad).await.unwrap().unwrap();
    assert_eq!((loaded.head, loaded.entries.last()), (head, Some(&garbage)), "nothing was overwritten");
    assert_eq!(head, Position { seq: 3, ..head });
}

fn open_store(server: &Server) -> EmbeddedStore {
    let folder = DataFolder::open(&server.folder.path().join("data")).unwrap();
    EmbeddedStore::open(Arc::new(folder), &Options::default()).unwrap()
}
