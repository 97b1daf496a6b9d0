//! The contract of events as tests, the same for Kafka and for streams of Redis.
//!
//! `contract!(name, Fixture)` is the one line that a kind needs; it runs every case. The cases are listed once, here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use enfilade_core::RoomId;

use super::record::Body;
use super::{Commands, Inlet, Outlet};

/// Makes empty topics or streams of one kind.
pub(crate) trait Fixture: Sized + Send {
    /// Empty ones; `None` where this machine has none.
    fn new() -> impl Future<Output = Option<Self>> + Send;
    /// Where entries go. Each call is like another process.
    fn outlet(&self) -> impl Future<Output = Arc<dyn Outlet>> + Send;
    /// All that went out, in the order of each room.
    fn records(&self) -> impl Future<Output = Vec<Body>> + Send;
    /// Where commands come from. Each call is like another process.
    fn inlet(&self, node: &str) -> impl Future<Output = Box<dyn Inlet>> + Send;
    /// What sends commands.
    fn commands(&self) -> impl Future<Output = Arc<dyn Commands>> + Send;
    /// Reasons and payloads of the dead letters.
    fn dead(&self) -> impl Future<Output = Vec<(String, Bytes)>> + Send;
}

macro_rules! contract {
    ($kind:ident, $fixture:ty) => {
        crate::events::contract::contract!(@tests $kind, $fixture, [
            entries_of_all_rooms_go_out_in_order_and_once,
            a_crash_between_publishing_and_noting_doubles_nothing,
            who_was_replaced_publishes_nothing_more,
            two_nodes_share_the_shards_and_double_nothing,
            a_log_that_was_started_anew_goes_out_under_its_own_epoch,
            commands_are_done_in_the_order_of_their_rooms,
            commands_that_are_delivered_again_are_done_once,
            a_command_that_is_sent_twice_is_done_once,
            poison_goes_to_the_dead_letters_with_its_reason_and_holds_up_nothing,
        ]);
    };
    (@tests $kind:ident, $fixture:ty, [$($case:ident),* $(,)?]) => {
        mod $kind {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    if let Some(fixture) = <$fixture as crate::events::contract::Fixture>::new().await {
                        crate::events::contract::cases::$case(fixture).await;
                    }
                }
            )*
        }
    };
}
pub(crate) use contract;

/// Longer than anything that a test waits for.
const PATIENCE: Duration = Duration::from_secs(90);

/// Waits until it is so.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let end = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Seqs of each room and epoch, in the order in which they came.
pub(crate) fn by_room(records: &[Body]) -> BTreeMap<(String, u64), Vec<u64>> {
    let mut rooms: BTreeMap<(String, u64), Vec<u64>> = BTreeMap::new();
    for record in records {
        rooms.entry((record.room.clone(), record.epoch)).or_default().push(record.seq);
    }
    rooms
}

pub(crate) fn room(name: &str) -> RoomId {
    RoomId::new(name).expect("a room's id")
}

#[deny(dead_code)]
pub(crate) mod cases {
    use enfilade_core::policy::Actor;
    use enfilade_core::{ClientId, Entry, Millis, OpId, Position, UserId, op, v1};
    use futures_util::FutureExt as _;
    use futures_util::future::BoxFuture;
    use tokio::sync::watch;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::events::publisher::{Options, Publisher};
    use crate::events::{DeadLetter, Delivery, EventsError, Gate, Intake, Record, Result, command};
    use crate::health::{Component, Health};
    use crate::rooms::Rooms;
    use crate::rooms::tests::Node;
    use crate::store::{Append, Appended, Follower, MemoryStore, SharedStore};

    pub(crate) fn store() -> SharedStore {
        Arc::new(MemoryStore::followed_by(&[Follower::Events]))
    }

    fn entry(seq: u64) -> Bytes {
        let entry = Entry {
            seq,
            op_id: OpId { client: ClientId(1), counter: seq },
            author: "ann".into(),
            author_name: "Ann".into(),
            at: Millis(1_700_000_000_000 + seq),
            ordinal: seq,
            op: op::encode(op::post(format!("message {seq}"))),
            body: None,
        };
        entry.encode().into()
    }

    pub(crate) async fn append(store: &SharedStore, room: &RoomId, from: u64, count: u64) {
        let epoch = store.load(room).await.unwrap().unwrap().head.epoch;
        let expected = Position { epoch, seq: from - 1 };
        let batch = (from..from + count).map(entry).collect();
        let appended = store.append(room, Append::new(expected, batch, Bytes::new())).await.unwrap();
        assert!(matches!(appended, Appended::Done { .. }));
    }

    pub(crate) struct Running {
        stop: watch::Sender<bool>,
        task: JoinHandle<()>,
    }

    impl Running {
        pub(crate) async fn publisher(fixture: &impl Fixture, store: &SharedStore, node: &str) -> Running {
            let options = Options { batch_records: 200, ..Options::default() };
            let (gate, health) = (Arc::new(Gate::open()), Health::new().meter(Component::Events));
            let outlet = fixture.outlet().await;
            let publisher = Publisher::new(store.clone(), outlet, node.into(), options, gate, health);
            let (stop, stopping) = watch::channel(false);
            Running { stop, task: tokio::spawn(publisher.run(stopping)) }
        }

        pub(crate) async fn intake(inlet: Box<dyn Inlet>, rooms: &Rooms) -> Running {
            let intake = Intake::new(rooms.clone(), Health::new().meter(Component::Events));
            let (stop, stopping) = watch::channel(false);
            Running { stop, task: tokio::spawn(async move { intake.run(inlet, stopping).await }) }
        }

        pub(crate) async fn stop(self) {
            self.stop.send_replace(true);
            self.task.await.unwrap();
        }
    }

    pub(crate) async fn until_published(fixture: &impl Fixture, count: usize) -> Vec<Body> {
        until("everything is published", || async { fixture.records().await.len() >= count }).await;
        fixture.records().await
    }

    pub(crate) async fn entries_of_all_rooms_go_out_in_order_and_once(fixture: impl Fixture) {
        let store = store();
        let names: Vec<RoomId> = (0..20).map(|number| room(&format!("room-{number}"))).collect();
        for name in &names {
            store.claim(name, 7).await.unwrap();
            append(&store, name, 1, 10).await;
        }
        let publisher = Running::publisher(&fixture, &store, "a").await;
        for step in 1..5 {
            for name in &names {
                append(&store, name, 1 + 10 * step, 10).await;
            }
        }
        let records = until_published(&fixture, 1_000).await;
        let rooms = by_room(&records);
        assert_eq!(rooms.len(), 20);
        for (name, seqs) in &rooms {
            assert_eq!(*seqs, (1..=50).collect::<Vec<u64>>(), "{name:?}");
        }
        let first = &records[0];
        assert_eq!((first.kind.as_str(), first.author.as_str()), ("post_message", "ann"));
        assert_eq!(first.body["text"], "message 1");
        until("the worklist is empty", || async {
            store.pending(Follower::Events, None, 100).await.unwrap().is_empty()
        })
        .await;
        for name in &names {
            let cursor = store.cursor(name, Follower::Events).await.unwrap();
            assert_eq!(cursor, Some(Position { epoch: 7, seq: 50 }));
        }
        publisher.stop().await;
    }

    pub(crate) async fn a_crash_between_publishing_and_noting_doubles_nothing(fixture: impl Fixture) {
        let store = store();
        let lobby = room("lobby");
        store.claim(&lobby, 7).await.unwrap();
        append(&store, &lobby, 1, 300).await;
        {
            // A node that dies right after its transaction: nothing is noted in the store.
            let outlet = fixture.outlet().await;
            let mut taken = outlet.take(outlet.shard_of(&lobby)).await.unwrap();
            assert!(taken.tail.is_empty());
            let records: Vec<Record> =
                (1..=120).map(|seq| Record::of(&lobby, 7, &entry(seq)).unwrap()).collect();
            taken.writer.publish(records.into()).await.unwrap();
        }
        let publisher = Running::publisher(&fixture, &store, "b").await;
        let records = until_published(&fixture, 300).await;
        publisher.stop().await;
        assert_eq!(by_room(&records)[&("lobby".into(), 7)], (1..=300).collect::<Vec<u64>>());
        assert_eq!(fixture.records().await.len(), 300);
    }

    pub(crate) async fn who_was_replaced_publishes_nothing_more(fixture: impl Fixture) {
        let (one, other) = (fixture.outlet().await, fixture.outlet().await);
        let lobby = room("lobby");
        let record = |seq| -> Arc<[Record]> { [Record::of(&lobby, 7, &entry(seq)).unwrap()].into() };
        let shard = one.shard_of(&lobby);
        let mut first = one.take(shard).await.unwrap();
        first.writer.publish(record(1)).await.unwrap();
        let mut second = other.take(shard).await.unwrap();
        assert_eq!(second.tail.get(&lobby), Some(&Position { epoch: 7, seq: 1 }));
        assert_eq!(first.writer.publish(record(2)).await, Err(EventsError::Taken));
        second.writer.publish(record(2)).await.unwrap();
        assert_eq!(by_room(&fixture.records().await)[&("lobby".into(), 7)], [1, 2]);
    }

    pub(crate) async fn two_nodes_share_the_shards_and_double_nothing(fixture: impl Fixture) {
        let store = store();
        let names: Vec<RoomId> = (0..16).map(|number| room(&format!("room-{number}"))).collect();
        for name in &names {
            store.claim(name, 7).await.unwrap();
        }
        let one = Running::publisher(&fixture, &store, "one").await;
        let mut other = None;
        for step in 0..6 {
            for name in &names {
                append(&store, name, 1 + 20 * step, 20).await;
            }
            // The second node comes in the midst of it, and the first goes before the end.
            if step == 1 {
                other = Some(Running::publisher(&fixture, &store, "other").await);
            }
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
        one.task.abort();
        for name in &names {
            append(&store, name, 121, 20).await;
        }
        let records = until_published(&fixture, 16 * 140).await;
        other.unwrap().stop().await;
        for (name, seqs) in by_room(&records) {
            assert_eq!(seqs, (1..=140).collect::<Vec<u64>>(), "{name:?}");
        }
    }

    pub(crate) async fn a_log_that_was_started_anew_goes_out_under_its_own_epoch(fixture: impl Fixture) {
        let lobby = room("lobby");
        for epoch in [9, 4] {
            let store = store();
            store.claim(&lobby, epoch).await.unwrap();
            append(&store, &lobby, 1, 30).await;
            let publisher = Running::publisher(&fixture, &store, "a").await;
            until("the epoch is out", || async {
                by_room(&fixture.records().await)
                    .get(&("lobby".into(), epoch))
                    .is_some_and(|seqs| seqs.len() >= 30)
            })
            .await;
            publisher.stop().await;
        }
        let rooms = by_room(&fixture.records().await);
        for epoch in [9, 4] {
            assert_eq!(rooms[&("lobby".into(), epoch)], (1..=30).collect::<Vec<u64>>());
        }
    }

    /// A room with a team game, which these users have joined.
    pub(crate) async fn game(rooms: &Rooms, name: &str, users: &[&str]) -> RoomId {
        let id = room(name);
        for (number, user) in users.iter().enumerate() {
            let actor = Arc::new(Actor::new(UserId::new(user).unwrap(), user.to_uppercase()));
            let mut bodies = vec![op::Body::Join(v1::Join {})];
            if number == 0 {
                bodies[0] = op::Body::CreateRoom(v1::CreateRoom { name: name.into(), ..Default::default() });
            }
            for (counter, body) in (1..).zip(bodies) {
                let submit = v1::Submit {
                    room_id: name.into(),
                    op_id: Some(v1::OpId { client: 1_000 + number as u64, counter }),
                    op: op::encode(body),
                    ..Default::default()
                };
                rooms.submit(&id, actor.clone(), submit).await.unwrap();
            }
        }
        id
    }

    async fn texts(rooms: &Rooms, id: &RoomId) -> Vec<String> {
        let actor = Arc::new(Actor::new(UserId::new("ann").unwrap(), "ANN"));
        let snapshot = rooms.read(id, actor).await.unwrap();
        snapshot.timeline.into_iter().map(|message| message.text).collect()
    }

    pub(crate) async fn total(rooms: &Rooms, id: &RoomId) -> u64 {
        let actor = Arc::new(Actor::new(UserId::new("ann").unwrap(), "ANN"));
        rooms.read(id, actor).await.unwrap().counters.unwrap_or_default().total
    }

    fn say(id: &str, room: &RoomId, user: &str, text: &str) -> Bytes {
        let json = serde_json::json!({"id": id, "room": room.as_str(), "user": {"id": user}, "op": {"send": {"text": text}}});
        json.to_string().into()
    }

    pub(crate) async fn commands_are_done_in_the_order_of_their_rooms(fixture: impl Fixture) {
        let node = Node::start().await;
        let commands = fixture.commands().await;
        let mut games = Vec::new();
        for number in 0..4 {
            games.push(game(&node.rooms, &format!("game-{number}"), &["ann", "ben"]).await);
        }
        for number in 0..50 {
            for game in &games {
                let user = if number % 3 == 0 { "ann" } else { "ben" };
                let id = format!("{game}-{number}");
                commands.send(game, say(&id, game, user, &number.to_string())).await.unwrap();
            }
        }
        let intake = Running::intake(fixture.inlet("a").await, &node.rooms).await;
        for game in &games {
            until("all is said", || async { texts(&node.rooms, game).await.len() >= 50 }).await;
            let expected: Vec<String> = (0..50).map(|number| number.to_string()).collect();
            assert_eq!(texts(&node.rooms, game).await, expected);
        }
        intake.stop().await;
        assert!(fixture.dead().await.is_empty());
    }

    /// Never says that anything is done, like a node that dies before it does.
    struct Forgetful(Box<dyn Inlet>);

    impl Inlet for Forgetful {
        fn source(&self) -> String {
            self.0.source()
        }
        fn next(&mut self) -> BoxFuture<'_, Result<Vec<Delivery>>> {
            self.0.next()
        }
        fn before(&mut self, lane: u32, number: u64) -> BoxFuture<'_, Result<Vec<Bytes>>> {
            self.0.before(lane, number)
        }
        fn lost(&mut self) -> Vec<u32> {
            self.0.lost()
        }
        fn bury<'a>(&'a mut self, letters: &'a [DeadLetter]) -> BoxFuture<'a, Result<()>> {
            self.0.bury(letters)
        }
        fn done<'a>(&'a mut self, _: &'a [(u32, u64)]) -> BoxFuture<'a, Result<()>> {
            async { Ok(()) }.boxed()
        }
    }

    pub(crate) async fn commands_that_are_delivered_again_are_done_once(fixture: impl Fixture) {
        let node = Node::start().await;
        let commands = fixture.commands().await;
        let game = game(&node.rooms, "game", &["ann", "ben"]).await;
        let send = async |from: u64, count: u64| {
            for number in from..from + count {
                let user = UserId::new(if number % 2 == 0 { "ann" } else { "ben" }).unwrap();
                let json = command::tap(format!("tap-{number}"), &game, &user, "", 1);
                commands.send(&game, json.into()).await.unwrap();
            }
        };
        send(0, 60).await;
        let dies = Running::intake(Box::new(Forgetful(fixture.inlet("a").await)), &node.rooms).await;
        until("the first has done all", || async { total(&node.rooms, &game).await == 60 }).await;
        dies.stop().await;
        let intake = Running::intake(fixture.inlet("b").await, &node.rooms).await;
        send(60, 40).await;
        until("the second has done the rest", || async { total(&node.rooms, &game).await >= 100 }).await;
        intake.stop().await;
        assert_eq!(total(&node.rooms, &game).await, 100);
        assert!(fixture.dead().await.is_empty());
    }

    pub(crate) async fn a_command_that_is_sent_twice_is_done_once(fixture: impl Fixture) {
        let node = Node::start().await;
        let commands = fixture.commands().await;
        let game = game(&node.rooms, "game", &["ann"]).await;
        for id in ["one", "two", "one"] {
            commands.send(&game, say(id, &game, "ann", id)).await.unwrap();
        }
        let intake = Running::intake(fixture.inlet("a").await, &node.rooms).await;
        until("it is said", || async { texts(&node.rooms, &game).await.len() >= 2 }).await;
        intake.stop().await;
        // Another process knows them from the lane's own log.
        for id in ["two", "three"] {
            commands.send(&game, say(id, &game, "ann", id)).await.unwrap();
        }
        let intake = Running::intake(fixture.inlet("b").await, &node.rooms).await;
        until("the third is said", || async { texts(&node.rooms, &game).await.len() >= 3 }).await;
        intake.stop().await;
        assert_eq!(texts(&node.rooms, &game).await, ["one", "two", "three"]);
    }

    pub(crate) async fn poison_goes_to_the_dead_letters_with_its_reason_and_holds_up_nothing(
        fixture: impl Fixture,
    ) {
        let node = Node::start().await;
        let commands = fixture.commands().await;
        let game = game(&node.rooms, "game", &["ann"]).await;
        let long = format!("{{\"id\":\"{}\"}}", "x".repeat(command::COMMAND_BYTES));
        let letters: [(&str, Bytes); 6] = [
            ("malformed", "{".into()),
            ("malformed", Bytes::from_static(b"\xff\x00\xfe")),
            ("op_too_large", long.into()),
            ("not_member", say("1", &game, "zoe", "hello")),
            ("unknown_room", say("2", &room("nowhere"), "ann", "hello")),
            ("invalid_text", say("3", &game, "ann", "")),
        ];
        for (_, payload) in &letters {
            commands.send(&game, payload.clone()).await.unwrap();
        }
        commands.send(&game, say("4", &game, "ann", "at last")).await.unwrap();
        let intake = Running::intake(fixture.inlet("a").await, &node.rooms).await;
        until("what follows is done", || async { texts(&node.rooms, &game).await == ["at last"] }).await;
        until("the others are put away", || async { fixture.dead().await.len() >= letters.len() }).await;
        intake.stop().await;
        let mut dead = fixture.dead().await;
        assert_eq!(dead.len(), letters.len());
        for (reason, payload) in letters {
            let at = dead.iter().position(|(why, kept)| why == reason && payload.starts_with(kept));
            dead.remove(at.unwrap_or_else(|| panic!("{reason} is not among {dead:?}")));
        }
    }
}
