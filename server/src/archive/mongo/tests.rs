use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use enfilade_backends::{Mongo, or_skip};

use super::*;
use crate::archive::SharedArchive;
use crate::archive::contract::entries::{edit, post};
use crate::archive::contract::{Fixture, contract};

/// A database of its own on the server that all these tests share.
struct OwnDatabase;

impl Fixture for OwnDatabase {
    async fn new() -> Option<(SharedArchive, OwnDatabase)> {
        static SERVER: OnceLock<Option<Mongo>> = OnceLock::new();
        static DATABASES: AtomicU32 = AtomicU32::new(0);
        let server = SERVER.get_or_init(|| or_skip("MongoDB", Mongo::start())).as_ref()?;
        let number = DATABASES.fetch_add(1, Ordering::Relaxed);
        let archive = MongoArchive::open(&options(server, &format!("test{number}"))).await.unwrap();
        Some((Arc::new(archive), OwnDatabase))
    }
}

contract!(mongo, OwnDatabase);

fn options(server: &Mongo, database: &str) -> MongoOptions {
    let (url, timeout) = (server.url(), Duration::from_secs(10));
    MongoOptions { url, database: database.into(), timeout, pool_size: 10 }
}

fn room() -> RoomId {
    RoomId::new("lobby").unwrap()
}

fn at(seq: u64) -> Position {
    Position { epoch: 9, seq }
}

/// A server alone, and an archive in it.
async fn alone() -> Option<(Mongo, MongoArchive)> {
    let server = or_skip("MongoDB", Mongo::start())?;
    let archive = MongoArchive::open(&options(&server, "test")).await.unwrap();
    Some((server, archive))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_a_document_that_people_read() {
    let Some((_server, archive)) = alone().await else { return };
    let mut message = enfilade_core::state::history::posted(&post(1, "hello")).unwrap();
    archive.put_entries(&room(), 9, &[post(1, "hello"), edit(2, 1, "hi")]).await.unwrap();
    assert!(enfilade_core::state::history::amend(&mut message, &edit(2, 1, "hi")));
    archive.put_amended(&room(), at(1), &message).await.unwrap();
    let found = archive.entries.find_one(doc! { "room_id": "lobby", "seq": 1 }).await.unwrap().unwrap();
    assert_eq!(found.get_str("kind").unwrap(), "post_message");
    let message = found.get_document("message").unwrap();
    let fields = [
        ("message_id", "77-1"),
        ("user_id", "ann"),
        ("username", "Ann"),
        ("message", "hi"),
        ("message_type", "text"),
    ];
    for (name, value) in fields {
        assert_eq!(message.get_str(name).unwrap(), value);
    }
    assert!(message.get_datetime("timestamp").is_ok() && message.get_datetime("edited_at").is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_edited_by_hand_is_named_and_the_others_are_read() {
    let Some((_server, archive)) = alone().await else { return };
    let entries: Vec<_> = (1..=6).map(|seq| post(seq, "hello")).collect();
    archive.put_entries(&room(), 9, &entries).await.unwrap();
    let other = bson::Bson::Binary(binary(post(2, "forged").encode()));
    let edits = [
        (2, doc! { "$set": { "entry": other } }),
        (3, doc! { "$set": { "entry": "text" } }),
        (4, doc! { "$unset": { "check": 1 } }),
        (5, doc! { "$set": { "amended": binary(vec![0xff; 9]) } }),
    ];
    for (seq, edit) in edits {
        archive.entries.update_one(doc! { "seq": seq }, edit).await.unwrap();
    }
    let page = archive.entries(&room(), at(1), 99, 99).await.unwrap();
    assert_eq!(page.entries.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [1, 6]);
    assert_eq!(page.damaged.len(), 4);
    for damaged in &page.damaged {
        assert!(damaged.contains("edited by hand") && damaged.contains("ObjectId"), "{damaged}");
    }
    // It is not overwritten either: what was there is not known any more.
    let put = archive.put_entries(&room(), 9, &entries).await;
    assert!(matches!(put, Err(StoreError::Damaged(_))), "{put:?}");

    let document = RoomDocument::new(&room(), 9);
    assert!(archive.put_room(None, &document).await.unwrap());
    let rooms = archive.collection(ROOMS);
    rooms.update_one(doc! {}, doc! { "$set": { "seq": "many" } }).await.unwrap();
    let Err(StoreError::Damaged(message)) = archive.room(&room()).await else { panic!("read") };
    assert!(message.contains("rooms") && message.contains("lobby"), "{message}");
    archive.put_snapshot(&room(), at(5), Bytes::from_static(b"state")).await.unwrap();
    let snapshots = archive.collection(SNAPSHOTS);
    snapshots.update_one(doc! {}, doc! { "$set": { "state": binary(vec![1]) } }).await.unwrap();
    assert!(matches!(archive.snapshot(&room()).await, Err(StoreError::Damaged(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_the_midst_of_batches_it_has_all_that_it_took_and_nothing_twice() {
    let Some((mut server, archive)) = alone().await else { return };
    let archive = Arc::new(archive);
    let (mut next, mut kills) = (1, 0);
    let mut failures = 0;
    while next <= 4_000 {
        let batch: Vec<_> = (next..next + 100).map(|seq| post(seq, "hello")).collect();
        let putting = tokio::spawn({
            let archive = archive.clone();
            let batch = batch.clone();
            async move { archive.put_entries(&room(), 9, &batch).await }
        });
        if next % 800 == 1 && kills < 5 {
            tokio::time::sleep(Duration::from_millis(3 * kills)).await;
            server.kill();
            kills += 1;
            server.restart();
        }
        match putting.await.unwrap() {
            Ok(()) => next += 100,
            // As the follower does: the same batch again.
            Err(StoreError::Unavailable(_)) => failures += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(kills, 5);
    let mut seen = Vec::new();
    while let Ok(page) = archive.entries(&room(), at(seen.len() as u64 + 1), u64::MAX >> 11, 2_000).await {
        if page.entries.is_empty() {
            break;
        }
        seen.extend(page.entries.into_iter().map(|(seq, _)| seq));
    }
    assert_eq!(seen, (1..=4_000).collect::<Vec<_>>());
    let count = archive.entries.count_documents(doc! {}).await.unwrap();
    assert_eq!(count, 4_000);
    println!("{kills} kills, {failures} batches again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_hangs_is_given_up_in_time_and_answers_again_later() {
    let Some((server, archive)) = alone().await else { return };
    let archive = MongoArchive { timeout: Duration::from_millis(300), ..archive };
    archive.put_entries(&room(), 9, &[post(1, "hello")]).await.unwrap();
    server.pause();
    let started = std::time::Instant::now();
    let put = archive.put_entries(&room(), 9, &[post(2, "hello")]).await;
    assert!(matches!(put, Err(StoreError::Unavailable(_))), "{put:?}");
    assert!(started.elapsed() < Duration::from_secs(2));
    server.resume();
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while archive.put_entries(&room(), 9, &[post(2, "hello")]).await.is_err() {
        assert!(std::time::Instant::now() < deadline);
    }
    assert_eq!(archive.entries(&room(), at(1), 9, 9).await.unwrap().entries.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operator_got_wrong_is_said_without_the_password() {
    let open = async |url: &str| {
        let timeout = Duration::from_millis(500);
        let options = MongoOptions { url: url.into(), database: "test".into(), timeout, pool_size: 2 };
        match MongoArchive::open(&options).await {
            Ok(_) => panic!("{url} was opened"),
            Err(error) => error,
        }
    };
    for url in
        ["http://ann:secret@nowhere", "mongodb://", "mongodb://ann:secret@host:x", "mongodb://ann:sec/ret@h"]
    {
        let error = open(url).await;
        assert!(matches!(error, StoreError::Inaccessible(_)), "{url}: {error:?}");
        let message = error.to_string();
        assert!(message.contains("mongodb.url") && !message.contains("secret"), "{message}");
    }
    let error = open("mongodb://ann:secret@127.0.0.1:1").await;
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(!error.to_string().contains("secret"), "{error}");
}
