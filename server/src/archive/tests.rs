//! Rooms whose past lies in an archive, from the submission to the page of history.

use std::time::Duration;

use enfilade_backends::{Mongo, or_skip};
use enfilade_core::op::{self, Body};
use enfilade_core::policy::Actor;
use enfilade_core::tier::budget::Budgets;
use enfilade_core::{Code, Position, RoomId, UserId, v1};
use tempfile::TempDir;

use super::*;
use crate::folder::DataFolder;
use crate::follow::Following;
use crate::net::{ConnId, ConnMeta, Handler, Net, NetConfig, ShardContext};
use crate::rooms::{Directory, Refused, Rooms};
use crate::store::{EmbeddedStore, Follower, MemoryStore, Options, SharedStore};
use crate::transfer::{self, Import, Place, Progress};

/// Sockets that nobody uses.
struct NoSession;

impl Handler for NoSession {
    fn open(&mut self, _: &mut ShardContext<'_>, _: ConnId, _: &ConnMeta) {}
    fn message(&mut self, _: &mut ShardContext<'_>, _: ConnId, _: &[u8]) {}
    fn closed(&mut self, _: &mut ShardContext<'_>, _: ConnId, _: u16) {}
}

/// Rooms on a store and an archive, followed.
struct World {
    rooms: Rooms,
    store: SharedStore,
    past: Arc<History>,
    following: Option<Following>,
    _net: Net,
    counter: u64,
}

impl World {
    fn start(store: SharedStore, past: Arc<History>, keep: Keep) -> World {
        World::paced(store, past, keep, Duration::from_millis(50))
    }

    fn paced(store: SharedStore, past: Arc<History>, keep: Keep, pace: Duration) -> World {
        let mut rooms = None;
        let config = NetConfig { shards: 1, ..NetConfig::default() };
        let net = Net::start(&config, |_, fanout| {
            rooms.get_or_insert_with(|| {
                let (node, directory) = ("node".to_owned(), Directory::new(1));
                Rooms::new(store.clone(), fanout.clone(), directory, node, 25_000, Budgets::default())
            });
            NoSession
        });
        let rooms = rooms.unwrap();
        rooms.remember(past.clone());
        let sink = ArchiveSink::new(store.clone(), past.clone(), keep, pace);
        let following = Following::start(store.clone(), Arc::new(sink), "node".into());
        World { rooms, store, past, following: Some(following), _net: net.unwrap(), counter: 0 }
    }

    /// Submits many at once, in order.
    async fn submit(&mut self, room: &RoomId, bodies: Vec<Body>) {
        let actor = Arc::new(Actor::new(UserId::new("ann").unwrap(), "Ann"));
        for chunk in bodies.chunks(200) {
            let submits = chunk.iter().map(|body| {
                self.counter += 1;
                let submit = v1::Submit {
                    room_id: room.as_str().into(),
                    op_id: Some(v1::OpId { client: 7, counter: self.counter }),
                    op: op::encode(body.clone()),
                    ..Default::default()
                };
                self.rooms.submit(room, actor.clone(), submit)
            });
            for submitted in futures_util::future::join_all(submits.collect::<Vec<_>>()).await {
                submitted.unwrap();
            }
        }
    }

    async fn try_submit(&mut self, room: &RoomId, body: Body) -> std::result::Result<Position, Refused> {
        let actor = Arc::new(Actor::new(UserId::new("ann").unwrap(), "Ann"));
        self.counter += 1;
        let submit = v1::Submit {
            room_id: room.as_str().into(),
            op_id: Some(v1::OpId { client: 7, counter: self.counter }),
            op: op::encode(body),
            ..Default::default()
        };
        self.rooms.submit(room, actor, submit).await
    }

    async fn page(&self, room: &RoomId, before_seq: u64) -> std::result::Result<v1::HistoryPage, Code> {
        let actor = Arc::new(Actor::new(UserId::new("ann").unwrap(), "Ann"));
        let request = v1::HistoryRequest { before_seq, limit: 100, request_id: 1, ..Default::default() };
        self.rooms.history(room, actor, request).await
    }

    /// All messages, from the newest page to the oldest, in order.
    async fn page_back(&self, room: &RoomId) -> Vec<v1::Message> {
        let mut all = Vec::new();
        let mut before = 0;
        loop {
            let page = self.page(room, before).await.unwrap();
            all.splice(0..0, page.messages);
            if page.next_before_seq == 0 {
                return all;
            }
            before = page.next_before_seq;
        }
    }

    /// Until the archive has all of the log.
    async fn archived(&self, room: &RoomId) -> Position {
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        loop {
            let head = self.store.load(room).await.unwrap().unwrap().head;
            if self.store.cursor(room, Follower::Archive).await.unwrap() == Some(head) {
                return head;
            }
            assert!(std::time::Instant::now() < deadline, "it was never archived");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Until the store has forgotten all but so many entries, which it does right after they were archived.
    async fn trimmed_to(&self, room: &RoomId, entries: u64) -> u64 {
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        loop {
            let head = self.store.load(room).await.unwrap().unwrap().head;
            let oldest = self.oldest(room).await;
            if head.seq + 1 - oldest <= entries {
                return oldest;
            }
            assert!(std::time::Instant::now() < deadline, "it has {oldest} to {}", head.seq);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn oldest(&self, room: &RoomId) -> u64 {
        let head = self.store.load(room).await.unwrap().unwrap().head;
        self.store.read(room, Position { seq: 1, ..head }, 1, 1).await.unwrap().entries[0].0
    }
}

fn room() -> RoomId {
    RoomId::new("lobby").unwrap()
}

fn create() -> Body {
    Body::CreateRoom(v1::CreateRoom { name: "Lobby".into(), ..Default::default() })
}

fn edit(counter: u64, seq: u64, text: &str) -> Body {
    Body::EditMessage(v1::EditMessage {
        message_id: Some(v1::OpId { client: 7, counter }),
        message_seq: seq,
        text: text.into(),
        ..Default::default()
    })
}

/// Nothing is too young, so that tests need not wait.
fn keep() -> Keep {
    Keep { age: Duration::ZERO, ..Keep::default() }
}

fn embedded() -> (TempDir, SharedStore, Arc<History>) {
    let place = TempDir::new().unwrap();
    let folder = Arc::new(DataFolder::open(place.path()).unwrap());
    let options = Options { followers: vec![Follower::Archive], ..Options::default() };
    let store = Arc::new(EmbeddedStore::open(folder, &options).unwrap());
    let past = Arc::new(History::new(Arc::new(EmbeddedArchive::new(store.clone())), u64::MAX));
    (place, store, past)
}

async fn mongo() -> Option<(Mongo, Arc<History>)> {
    mongo_with(u64::MAX).await
}

async fn mongo_with(waiting: u64) -> Option<(Mongo, Arc<History>)> {
    let server = or_skip("MongoDB", Mongo::start())?;
    let timeout = Duration::from_secs(5);
    let options = MongoOptions { url: server.url(), database: "test".into(), timeout, pool_size: 10 };
    let archive = MongoArchive::open(&options).await.unwrap();
    Some((server, Arc::new(History::new(Arc::new(archive), waiting))))
}

fn memory() -> SharedStore {
    Arc::new(MemoryStore::followed_by(&[Follower::Archive]))
}

/// Message `n` is entry `n + 1`, because the first made the room.
async fn five_thousand_are_paged_back_through(mut world: World) {
    let room = room();
    let posts = (1..=5_000).map(|n| op::post(format!("message {n}")));
    world.submit(&room, std::iter::once(create()).chain(posts).collect()).await;
    world.archived(&room).await;
    // Old ones, and one that the room still holds.
    for n in [1, 2_000, 3_999, 4_990] {
        world.submit(&room, vec![edit(n + 1, n + 1, &format!("edited {n}"))]).await;
    }
    let all = world.page_back(&room).await;
    let expected = |n: u64| match n {
        1 | 2_000 | 3_999 | 4_990 => format!("edited {n}"),
        n => format!("message {n}"),
    };
    let texts: Vec<_> = all.iter().map(|message| message.text.clone()).collect();
    assert_eq!(texts, (1..=5_000).map(expected).collect::<Vec<_>>());
    assert!(all.iter().map(|message| message.ordinal).eq(1..=5_000));

    // Enough for the next snapshot, and so for what is left of the hot log to be cut.
    world.submit(&room, (0..1_000).map(|n| op::post(format!("later {n}"))).collect()).await;
    let head = world.archived(&room).await;
    world.submit(&room, vec![op::post("the last")]).await;
    world.archived(&room).await;
    let oldest = world.trimmed_to(&room, 2_100).await;
    assert!(head.seq + 1 - oldest >= 1_000, "{oldest} of {}", head.seq);
    let rows = world.store.amended(&room, Position { seq: 1, ..head }, oldest).await.unwrap();
    assert_eq!(rows, Vec::new(), "what became of forgotten entries is in the archive alone");
    let again = world.page_back(&room).await;
    assert_eq!(again[..5_000], all[..]);
    assert_eq!(again.len(), 6_001);
    // What is beyond every window can still be edited, and shows at once.
    world.submit(&room, vec![edit(3, 3, "edited late")]).await;
    assert_eq!(world.page(&room, 10).await.unwrap().messages[1].text, "edited late");
    world.archived(&room).await;
    assert_eq!(world.page(&room, 10).await.unwrap().messages[1].text, "edited late");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_messages_are_paged_back_through_beyond_the_hot_log_of_the_embedded_store() {
    let (_place, store, past) = embedded();
    five_thousand_are_paged_back_through(World::start(store, past, keep())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_messages_are_paged_back_through_with_mongodb() {
    let Some((_server, past)) = mongo().await else { return };
    five_thousand_are_paged_back_through(World::start(memory(), past, keep())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_takes_the_archived_past_along_and_the_room_goes_on_where_it_is_imported() {
    let (_place, store, past) = embedded();
    let mut world = World::start(store.clone(), past.clone(), keep());
    let posts = (1..=3_000).map(|n| op::post(format!("message {n}")));
    world.submit(&room(), std::iter::once(create()).chain(posts).collect()).await;
    world.submit(&room(), vec![edit(5, 5, "edited")]).await;
    let head = world.archived(&room()).await;
    assert!(world.trimmed_to(&room(), 2_100).await > 1, "the store has forgotten the beginning");
    let all = world.page_back(&room()).await;
    world.following.take().unwrap().stop(Duration::from_secs(10)).await;

    let folder = TempDir::new().unwrap();
    let file = folder.path().join("rooms");
    let quiet = || Progress::on_stderr("test");
    transfer::export(&Place { store, past: Some(past) }, &file, &mut quiet()).await.unwrap();
    let Some((_server, past)) = mongo().await else { return };
    let store = memory();
    let place = Place { store: store.clone(), past: Some(past.clone()) };
    transfer::import(&place, &file, Import::default(), &mut quiet()).await.unwrap();

    let mut world = World::start(store, past, keep());
    world.counter = 10_000;
    assert_eq!(world.page_back(&room()).await, all);
    world.submit(&room(), vec![op::post("and on")]).await;
    assert_eq!(world.archived(&room()).await, Position { seq: head.seq + 1, ..head });
    assert_eq!(world.page_back(&room()).await.len(), all.len() + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_young_or_within_the_count_stays_in_the_store_unless_it_is_too_large() {
    let stays = async |keep: Keep, text: &str| {
        let (_place, store, past) = embedded();
        let mut world = World::start(store, past, keep);
        let posts = (0..2_500).map(|_| op::post(text));
        world.submit(&room(), std::iter::once(create()).chain(posts).collect()).await;
        world.archived(&room()).await;
        world.submit(&room(), vec![op::post("one more")]).await;
        let head = world.archived(&room()).await;
        // Whether or not anything is forgotten, it is soon.
        tokio::time::sleep(Duration::from_millis(1_000)).await;
        head.seq + 1 - world.oldest(&room()).await
    };
    let young = Keep { entries: 10, age: Duration::from_secs(300), bytes: u64::MAX };
    assert_eq!(stays(young, "hello").await, 2_502);
    let counted = Keep { entries: 1_000, age: Duration::ZERO, bytes: u64::MAX };
    let stayed = stays(counted, "hello").await;
    assert!((1_000..2_502).contains(&stayed), "{stayed}");
    let large = Keep { entries: 2_000, age: Duration::from_secs(300), bytes: 100_000 };
    let stayed = stays(large, &"x".repeat(500)).await;
    assert!(stayed < 2_502, "{stayed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_the_store_has_lost_comes_back_under_a_new_epoch_with_the_same_state() {
    let Some((_server, past)) = mongo().await else { return };
    let room = room();
    let mut world = World::start(memory(), past.clone(), keep());
    let posts = (1..=2_300).map(|n| op::post(format!("message {n}")));
    world.submit(&room, std::iter::once(create()).chain(posts).collect()).await;
    world.submit(&room, vec![edit(6, 6, "edited")]).await;
    world.submit(&room, vec![edit(2_100, 2_100, "edited too")]).await;
    let ended = world.archived(&room).await;
    let loaded = world.store.load(&room).await.unwrap().unwrap();
    let before = folded(&room, &loaded);

    // Another store, empty; two nodes that both want the room.
    let (store, counter) = (memory(), world.counter);
    let mut one = World::start(store.clone(), past.clone(), keep());
    let two = World::start(store, past.clone(), keep());
    one.counter = counter;
    let (a, b) = tokio::join!(one.page_back(&room), two.page_back(&room));
    assert_eq!(a, b);
    assert_eq!(a.len(), 2_300);
    assert_eq!((a[4].text.as_str(), a[2_098].text.as_str()), ("edited", "edited too"));
    let loaded = one.store.load(&room).await.unwrap().unwrap();
    let after = folded(&room, &loaded);
    assert_eq!(after.digest(), before.digest());
    assert_eq!(loaded.head.seq, ended.seq);
    assert_ne!(loaded.head.epoch, ended.epoch);

    // It goes on, and all of it is archived and paged through, across both logs.
    one.submit(&room, (1..=1_500).map(|n| op::post(format!("after {n}"))).collect()).await;
    one.submit(&room, vec![edit(7, 7, "edited in the new log")]).await;
    one.archived(&room).await;
    let all = one.page_back(&room).await;
    assert_eq!(all.len(), 3_800);
    assert!(all.iter().map(|message| message.ordinal).eq(1..=3_800));
    assert_eq!(all[5].text, "edited in the new log");
    // An operation is known by its id whichever log it lies in.
    let id = |counter| enfilade_core::OpId { client: enfilade_core::ClientId(7), counter };
    let find = async |user: &str, counter| {
        let head = one.store.load(&room).await.unwrap().unwrap().head;
        find(&*one.store, Some(&past), &room, head, user, id(counter)).await
    };
    assert_eq!(find("ann", 5).await, Ok(Some(5)));
    assert_eq!(find("ann", one.counter).await, Ok(Some(3_804)));
    assert_eq!(find("ann", 99_999).await, Ok(None));
    assert_eq!(find("somebody else", 5).await, Ok(None));

    // A second loss, of which nothing but what was archived is known.
    let third = World::start(memory(), past.clone(), keep());
    assert_eq!(third.page_back(&room).await, all);
}

fn folded(room: &RoomId, loaded: &crate::store::Loaded) -> enfilade_core::RoomState {
    let mut state = match &loaded.snapshot {
        Some((_, bytes)) => {
            let snapshot = enfilade_core::state::decompress(bytes).unwrap();
            enfilade_core::RoomState::restore(room.clone(), snapshot, true).unwrap()
        }
        None => enfilade_core::RoomState::authority(room.clone()),
    };
    for bytes in &loaded.entries {
        state.apply(&Entry::decode(bytes).unwrap()).unwrap();
    }
    state
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_mongodb_is_away_rooms_go_on_and_nothing_is_trimmed_and_then_all_is_archived() {
    let Some((mut server, past)) = mongo().await else { return };
    let room = room();
    let mut world = World::start(memory(), past, keep());
    world.submit(&room, vec![create(), op::post("before")]).await;
    world.archived(&room).await;
    server.kill();
    world.submit(&room, (1..=3_000).map(|n| op::post(format!("message {n}"))).collect()).await;
    let following = world.following.as_ref().unwrap();
    let mut standing = following.standing();
    let down = standing.wait_for(|standing| standing.down.is_some()).await.unwrap().clone();
    assert!(down.down.unwrap().0.contains("MongoDB"), "the operator is told what is down");
    assert_eq!(world.oldest(&room).await, 1, "what is not archived stays");
    // What the room and its store hold is served.
    assert_eq!(world.page(&room, 0).await.unwrap().messages.len(), 100);
    assert_eq!(world.page_back(&room).await.len(), 3_001);
    server.restart();
    let back = std::time::Instant::now();
    standing.wait_for(|standing| standing.down.is_none()).await.unwrap();
    println!("noticed after {:?}", back.elapsed());
    world.archived(&room).await;
    assert_eq!(world.page_back(&room).await.len(), 3_001);
    let document = world.past.archive().room(&room).await.unwrap().unwrap();
    assert_eq!((document.seq, document.messages, document.room_name.as_str()), (3_002, 3_001, "Lobby"));
    let ann = world.past.archive().user("ann").await.unwrap().unwrap();
    assert_eq!(ann.username, "Ann");
    world.following.take().unwrap().stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_may_be_in_an_archive_that_does_not_answer_is_not_begun_anew() {
    let Some((mut server, past)) = mongo().await else { return };
    let room = room();
    let mut world = World::start(memory(), past.clone(), keep());
    world.submit(&room, vec![create(), op::post("hello")]).await;
    world.archived(&room).await;
    server.kill();
    let other = World::start(memory(), past, keep());
    let loaded = load(&*other.store, Some(&other.past), &room).await;
    assert!(matches!(loaded, Err(crate::store::StoreError::Unavailable(_))), "{loaded:?}");
    server.restart();
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while load(&*other.store, Some(&other.past), &room).await.is_err() {
        assert!(std::time::Instant::now() < deadline);
    }
    assert_eq!(other.page_back(&room).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_the_bound_a_room_takes_no_more_until_the_archive_has_caught_up() {
    let Some((mut server, past)) = mongo_with(500).await else { return };
    let room = room();
    let mut world = World::start(memory(), past, keep());
    world.submit(&room, vec![create()]).await;
    world.archived(&room).await;
    server.kill();
    let mut taken = 0;
    let refused = loop {
        match world.try_submit(&room, op::post("hello")).await {
            Ok(_) => taken += 1,
            Err(refused) => break refused,
        }
        assert!(taken < 2_000);
    };
    assert_eq!(refused.code, Code::StoreUnavailable);
    assert!(refused.retry_after > 0, "it is to be sent again");
    assert!((450..=600).contains(&taken), "{taken}");
    // Reading goes on, and so does another room.
    assert_eq!(world.page(&room, 0).await.unwrap().messages.len(), 100);
    let other = RoomId::new("other").unwrap();
    world.store.claim(&other, 5).await.unwrap();
    world.submit(&other, vec![create()]).await;
    server.restart();
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while world.try_submit(&room, op::post("again")).await.is_err() {
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    world.archived(&room).await;
    assert_eq!(world.page_back(&room).await.len(), taken + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_was_edited_by_hand_is_left_out_of_its_page_and_can_not_be_changed() {
    use mongodb::bson::doc;
    let Some((server, past)) = mongo().await else { return };
    let room = room();
    let mut world = World::start(memory(), past, keep());
    let posts = (1..=2_400).map(|n| op::post(format!("message {n}")));
    world.submit(&room, std::iter::once(create()).chain(posts).collect()).await;
    world.archived(&room).await;
    world.submit(&room, vec![op::post("one more")]).await;
    world.archived(&room).await;
    world.trimmed_to(&room, 1_500).await;
    let client = mongodb::Client::with_uri_str(server.url()).await.unwrap();
    let entries = client.database("test").collection::<mongodb::bson::Document>("entries");
    let forged = doc! { "$set": { "entry": "what somebody thinks was said" } };
    assert_eq!(entries.update_one(doc! { "seq": 50 }, forged).await.unwrap().modified_count, 1);
    let all = world.page_back(&room).await;
    assert_eq!(all.len(), 2_400);
    assert!(all.iter().all(|message| message.seq != 50));
    let refused = world.try_submit(&room, edit(50, 50, "mended")).await.unwrap_err();
    assert_eq!(refused.code, Code::StoreUnavailable);
    world.submit(&room, vec![op::post("the room goes on")]).await;
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while world.past.archive().snapshot(&room).await.unwrap().is_none() {
        assert!(std::time::Instant::now() < deadline, "no snapshot was archived");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The room is not brought back with a hole in it.
    let lost = World::start(memory(), world.past.clone(), keep());
    let snapshots = client.database("test").collection::<mongodb::bson::Document>("snapshots");
    assert!(load(&*lost.store, Some(&lost.past), &room).await.unwrap().is_some(), "its snapshot is whole");
    snapshots.delete_many(doc! {}).await.unwrap();
    let lost = World::start(memory(), world.past.clone(), keep());
    let loaded = load(&*lost.store, Some(&lost.past), &room).await;
    let Err(crate::store::StoreError::Damaged(why)) = loaded else { panic!("{loaded:?}") };
    assert!(why.contains("edited by hand"), "{why}");
    assert_eq!(lost.store.load(&room).await, Ok(None), "nothing was begun in its place");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_to_the_archive_costs_the_embedded_store_few_commits() {
    let place = TempDir::new().unwrap();
    let folder = Arc::new(DataFolder::open(place.path()).unwrap());
    let options = Options { followers: vec![Follower::Archive], ..Options::default() };
    let store = Arc::new(EmbeddedStore::open(folder, &options).unwrap());
    let past = Arc::new(History::new(Arc::new(EmbeddedArchive::new(store.clone())), u64::MAX));
    let mut world = World::paced(store.clone(), past, keep(), Duration::from_secs(1));
    world.submit(&room(), vec![create()]).await;
    world.archived(&room()).await;
    let before = store.written().commits;
    for n in 0..300 {
        world.submit(&room(), vec![op::post(format!("message {n}"))]).await;
    }
    world.archived(&room()).await;
    let more = store.written().commits - before - 300;
    println!("{more} commits for the archive of 300 messages");
    assert!(more <= 60, "{more}");
}
