//! Operations that must be one step, raced by users of two nodes on one store: what each store must give.

use enfilade_core::op;
use enfilade_core::state::decompress;
use enfilade_core::{RoomState, UserId};
use futures_util::future::join_all;

use super::*;
use crate::net::{ConnMeta, Handler, Net, NetConfig, ShardContext};
use crate::readable::{Keyspace, Readable};
use crate::store::{EmbeddedStore, MemoryStore, Options};

/// Two nodes on one store, without sockets.
pub(crate) struct Nodes {
    pub(crate) store: SharedStore,
    nodes: Vec<Rooms>,
    _nets: Vec<Net>,
}

/// Nobody connects.
struct Nobody;

impl Handler for Nobody {
    fn open(&mut self, _: &mut ShardContext<'_>, _: net::ConnId, _: &ConnMeta) {}
    fn message(&mut self, _: &mut ShardContext<'_>, _: net::ConnId, _: &[u8]) {}
    fn closed(&mut self, _: &mut ShardContext<'_>, _: net::ConnId, _: u16) {}
    fn tick(&mut self, _: &mut ShardContext<'_>) {}
}

impl Nodes {
    pub(crate) fn on(store: SharedStore) -> Nodes {
        Nodes::on_each([store.clone(), store])
    }

    /// Each node has its own way to what they share.
    pub(crate) fn on_each(stores: [SharedStore; 2]) -> Nodes {
        let config = NetConfig { shards: 1, ..NetConfig::default() };
        let (mut nodes, mut nets) = (Vec::new(), Vec::new());
        for (name, store) in ["a", "b"].into_iter().zip(&stores) {
            let net = Net::start(&config, |_, _| Nobody).unwrap();
            let (fanout, directory) = (net.fanout().clone(), Directory::new(1));
            let budgets = Budgets::default();
            let rooms = Rooms::new(store.clone(), fanout, directory, name.into(), 25_000, budgets);
            tokio::spawn(rooms.clone().follow_hints());
            nodes.push(rooms);
            nets.push(net);
        }
        let [store, _] = stores;
        Nodes { store, nodes, _nets: nets }
    }

    /// Submits on one of the nodes, again where the answer is to come back later.
    pub(crate) async fn submit(
        &self,
        node: usize,
        room: &str,
        user: &str,
        counter: u64,
        body: Body,
    ) -> Result<Position, Code> {
        let room = RoomId::new(room).unwrap();
        let actor = Arc::new(Actor::new(UserId::new(user).unwrap(), user.to_uppercase()));
        let client = enfilade_core::hash53(user.as_bytes(), 0).max(1);
        let submit = v1::Submit {
            room_id: room.as_str().into(),
            op_id: Some(v1::OpId { client, counter }),
            op: op::encode(body),
            ..Default::default()
        };
        loop {
            let answer = self.nodes[node % 2].submit(&room, actor.clone(), submit.clone()).await;
            match answer {
                Err(refused) if refused.code.retry() == enfilade_core::Retry::Later => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                answer => return answer.map_err(|refused| refused.code),
            }
        }
    }

    pub(crate) async fn create(&self, room: &str, config: v1::SetConfig) {
        let create = v1::CreateRoom { name: format!("{room}!"), ..Default::default() };
        self.submit(0, room, "owner", 1, Body::CreateRoom(create)).await.unwrap();
        self.submit(0, room, "owner", 2, Body::SetConfig(config)).await.unwrap();
    }

    /// The room as the store's log has it.
    pub(crate) async fn state(&self, room: &str) -> RoomState {
        fold(&*self.store, &RoomId::new(room).unwrap()).await
    }
}

async fn fold(store: &dyn crate::store::RoomStore, id: &RoomId) -> RoomState {
    let loaded = store.load(id).await.unwrap().unwrap();
    let mut state = match loaded.snapshot {
        Some((_, snapshot)) => RoomState::restore(id.clone(), decompress(&snapshot).unwrap(), true).unwrap(),
        None => RoomState::authority(id.clone()),
    };
    state.go_on_under(loaded.head.epoch);
    while state.position() != loaded.head {
        let page = store.read(id, state.position().next(), 1_000, 1 << 20).await.unwrap();
        for (_, entry) in page.entries {
            state.apply(&enfilade_core::Entry::decode(&entry).unwrap()).unwrap();
        }
    }
    state
}

fn join() -> Body {
    Body::Join(v1::Join {})
}

fn tap(points: u64) -> Body {
    Body::AddScore(v1::AddScore { points, user: None })
}

/// A name for each test's room, so that all can share a store.
async fn fifty_joiners_for_ten_places_are_ten_members(nodes: &Nodes) {
    // The owner has a place too.
    nodes.create("full", v1::SetConfig { capacity: Some(11), ..Default::default() }).await;
    let users: Vec<String> = (0..50).map(|user| format!("user-{user}")).collect();
    let joins = users.iter().enumerate().map(|(at, user)| nodes.submit(at, "full", user, 1, join()));
    let answers = join_all(joins).await;
    let inside = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(inside, 10, "{answers:?}");
    assert!(answers.iter().all(|answer| matches!(answer, Ok(_) | Err(Code::RoomFull))), "{answers:?}");
    let state = nodes.state("full").await;
    assert_eq!(state.members().len(), 11);
    for (user, answer) in users.iter().zip(&answers) {
        assert_eq!(state.members().get(user).is_some(), answer.is_ok(), "{user}");
    }
    // Who leaves makes one place, for which all that are outside race again.
    let (at, _) = answers.iter().enumerate().find(|(_, answer)| answer.is_ok()).unwrap();
    nodes.submit(at + 1, "full", &users[at], 2, Body::Leave(v1::Leave {})).await.unwrap();
    let outside: Vec<usize> = (0..50).filter(|user| answers[*user].is_err()).collect();
    let again = outside.iter().map(|user| nodes.submit(*user, "full", &users[*user], 2, join()));
    let inside = join_all(again).await.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!((inside, nodes.state("full").await.members().len()), (1, 11));
}

async fn a_tap_counts_once_for_user_team_and_total(nodes: &Nodes) {
    nodes.create("taps", v1::SetConfig::default()).await;
    let teams = vec!["blue".into(), "red".into()];
    nodes.submit(0, "taps", "owner", 3, Body::SetTeams(v1::SetTeams { teams })).await.unwrap();
    let users: Vec<String> = (0..20).map(|user| format!("user-{user}")).collect();
    let enter = users.iter().enumerate().map(|(at, user)| async move {
        nodes.submit(at, "taps", user, 1, join()).await.unwrap();
        nodes.submit(at, "taps", user, 2, Body::JoinTeam(v1::JoinTeam { team: None })).await.unwrap();
    });
    join_all(enter).await;
    let state = nodes.state("taps").await;
    let members: Vec<u32> = state.counters().teams().iter().map(|team| team.members).collect();
    assert_eq!(members, [10, 10], "whoever names no team goes where the fewest are");
    // Each user taps on both nodes in turn, and sends every tap twice, as after a lost answer.
    let taps = users.iter().enumerate().map(|(at, user)| async move {
        for count in 0..10 {
            for node in [at, at + 1] {
                nodes.submit(node + count, "taps", user, 3 + count as u64, tap(3)).await.unwrap();
            }
        }
    });
    join_all(taps).await;
    let state = nodes.state("taps").await;
    assert_eq!(state.counters().total(), 600);
    assert!(users.iter().all(|user| state.counters().score(user).unwrap().score == 30));
    let scores: Vec<u64> = state.counters().teams().iter().map(|team| team.score).collect();
    assert_eq!(scores, [300, 300]);
}

async fn a_reset_among_taps_leaves_sums_that_agree(nodes: &Nodes) {
    nodes.create("reset", v1::SetConfig::default()).await;
    let teams = vec!["blue".into(), "red".into()];
    nodes.submit(0, "reset", "owner", 3, Body::SetTeams(v1::SetTeams { teams })).await.unwrap();
    let users: Vec<String> = (0..8).map(|user| format!("user-{user}")).collect();
    let taps = users.iter().enumerate().map(|(at, user)| async move {
        nodes.submit(at, "reset", user, 1, join()).await.unwrap();
        nodes.submit(at, "reset", user, 2, Body::JoinTeam(v1::JoinTeam { team: None })).await.unwrap();
        for count in 0..20 {
            nodes.submit(at + count, "reset", user, 3 + count as u64, tap(1)).await.unwrap();
            if at == 0 && count % 7 == 3 {
                let counter = 10 + count as u64;
                nodes
                    .submit(1, "reset", "owner", counter, Body::ResetScores(v1::ResetScores {}))
                    .await
                    .unwrap();
            }
        }
    });
    join_all(taps).await;
    let state = nodes.state("reset").await;
    let counters = state.counters();
    let of_users: u64 = counters.leaders(0).map(|score| score.score).sum();
    let of_teams: u64 = counters.teams().iter().map(|team| team.score).sum();
    assert_eq!((of_users, of_teams), (counters.total(), counters.total()));
    let leaders: Vec<u64> = counters.leaders(0).map(|score| score.score).collect();
    assert!(leaders.is_sorted_by(|a, b| a >= b) && counters.total() < 160, "{leaders:?}");
}

async fn a_code_belongs_to_one_room(nodes: &Nodes) {
    let create = |user: usize| {
        let create = Body::CreateRoom(v1::CreateRoom { name: format!("by {user}"), ..Default::default() });
        async move { nodes.submit(user, "123456", &format!("user-{user}"), 1, create).await }
    };
    let answers = join_all((0..10).map(create)).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    assert!(answers.iter().all(|answer| matches!(answer, Ok(_) | Err(Code::RoomExists))), "{answers:?}");
    let first = answers.iter().position(Result::is_ok).unwrap();
    assert_eq!(nodes.state("123456").await.info().unwrap().name, format!("by {first}"));
}

/// All of them, on this store.
pub(crate) async fn race(nodes: Nodes) -> Nodes {
    fifty_joiners_for_ten_places_are_ten_members(&nodes).await;
    a_tap_counts_once_for_user_team_and_total(&nodes).await;
    a_reset_among_taps_leaves_sums_that_agree(&nodes).await;
    a_code_belongs_to_one_room(&nodes).await;
    nodes
}

/// Rooms that [`race`] has left.
pub(crate) const RACED: [&str; 4] = ["full", "taps", "reset", "123456"];

#[tokio::test]
async fn on_the_store_in_memory_every_step_is_one_and_the_keys_are_those_of_the_state() {
    let store = Arc::new(MemoryStore::showing(Readable::DEFAULT));
    let nodes = race(Nodes::on(store.clone())).await;
    let mut wanted = Keyspace::default();
    for room in RACED {
        wanted.apply(Readable::DEFAULT.whole(&nodes.state(room).await));
    }
    for user in ["inbox:owner", "inbox:user-1"] {
        // What is entailed there follows: that the user is a member.
        wanted.apply(Readable::DEFAULT.whole(&nodes.state(user).await));
    }
    let shown = store.keyspace();
    for (key, value) in wanted.iter() {
        assert_eq!(shown.get(key), Some(value), "{key}");
    }
}

#[tokio::test]
async fn on_the_embedded_store_every_step_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let data = Arc::new(crate::folder::DataFolder::open(folder.path()).unwrap());
    let store = EmbeddedStore::open(data, &Options::default()).unwrap();
    race(Nodes::on(Arc::new(store))).await;
}
