//! The readable keys in a real Redis, asked by a real `redis-cli`.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use enfilade_backends::or_skip;
use enfilade_backends::redis::{Cluster, Redis};
use enfilade_core::op::{self, Body};
use enfilade_core::{RoomId, UserId, v1};

use super::index::Index;
use super::live::Connections;
use super::*;
use crate::follow::Following;
use crate::rooms::atomic::{Nodes, RACED, race};
use crate::store::{Follower, KeyCommand, RedisMode, RedisOptions, RedisStore, SharedStore};

const PREFIX: &str = "enfilade:";
const PATIENCE: Duration = Duration::from_secs(30);

async fn open(url: String, mode: RedisMode) -> SharedStore {
    let options = RedisOptions {
        url,
        mode,
        prefix: PREFIX.into(),
        followers: vec![Follower::Index],
        ..RedisOptions::default()
    };
    Arc::new(RedisStore::open(options).await.unwrap())
}

/// What `redis-cli` prints, line by line. `line` is for a shell, as the page has it.
fn shell(port: u16, line: &str) -> Vec<String> {
    let line = line.replacen("redis-cli", &format!("redis-cli -c -p {port}"), 1);
    let output = Command::new("sh").arg("-c").arg(&line).output().unwrap();
    let (printed, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.is_empty(), "{line}: {said}");
    printed.lines().map(str::to_owned).collect()
}

/// What has no order of its own is compared in one: pairs of a hash, members of a set.
fn sorted(line: &str, answer: &[String]) -> Vec<String> {
    let mut rows: Vec<String> = match line {
        line if line.contains("HGETALL") => answer.chunks(2).map(|pair| pair.join("\n")).collect(),
        _ => answer.to_vec(),
    };
    if line.contains("HGETALL") || line.contains("SMEMBERS") {
        rows.sort();
    }
    rows
}

/// The lines of the page that are for a shell.
fn lines_of_the_page() -> Vec<&'static str> {
    let spans = include_str!("keys.md").split('`').skip(1).step_by(2);
    let lines: Vec<_> = spans.filter(|span| span.starts_with("redis-cli ")).collect();
    assert!(lines.len() >= 25, "{lines:?}");
    lines
}

/// Whether Redis holds exactly these keys of a room.
async fn assert_shown(store: &SharedStore, port: u16, room: &RoomId, wanted: &Keyspace) {
    for (key, value) in wanted.iter() {
        let question = match value {
            Value::Text(_) => format!("GET {key}"),
            Value::Hash(_) => format!("HGETALL {key}"),
            Value::Scores(_) => format!("ZRANGE {key} 0 -1 WITHSCORES"),
            Value::Set(_) => format!("SMEMBERS {key}"),
            Value::List(_) => format!("LRANGE {key} 0 -1"),
        };
        let question: Vec<&str> = question.split(' ').collect();
        let [command, key, rest @ ..] = &question[..] else { panic!() };
        let line = format!("redis-cli {command} '{PREFIX}{key}' {}", rest.join(" "));
        let wanted = answer(wanted, &question).unwrap();
        let wanted: Vec<String> =
            wanted.iter().flat_map(|item| item.split('\n')).map(str::to_owned).collect();
        assert_eq!(sorted(&line, &shell(port, &line)), sorted(&line, &wanted), "{line}");
    }
    let there = store.keys().unwrap().keys_of(room).await.unwrap();
    let names = Names::of(room);
    let live = [names.users(), names.typing(), names.indexed()];
    let there: BTreeSet<&str> = there.iter().filter(|key| !live.contains(key)).map(String::as_str).collect();
    let wanted: BTreeSet<&str> = wanted.iter().map(|(key, _)| key).collect();
    assert_eq!(there, wanted);
}

fn whole(state: &RoomState) -> Keyspace {
    let mut keys = Keyspace::default();
    keys.apply(Readable::DEFAULT.whole(state));
    keys
}

fn element(key: &str, value: String) -> Body {
    let change = v1::ElementChange {
        key: key.into(),
        version: 1,
        nonce: 1,
        index: "a0".into(),
        value: value.into(),
        deleted: false,
    };
    Body::PutElements(v1::PutElements { elements: vec![change] })
}

/// Something in every key of the page's examples.
async fn furnish(nodes: &Nodes) {
    nodes.create("lobby", v1::SetConfig { capacity: Some(50), ..Default::default() }).await;
    let teams = v1::SetTeams { teams: vec!["blue".into(), "red".into()] };
    let badges = vec!["vip".into()];
    let badges = v1::SetBadges { user: "ann".into(), badges, color: String::new() };
    let steps = [
        ("ann", Body::Join(v1::Join {})),
        ("owner", Body::SetTeams(teams)),
        ("owner", Body::SetBadges(badges)),
        ("ann", op::post("hello there")),
        ("owner", op::post("it's \"quoted\" {braced}")),
        ("owner", Body::SetInfo(v1::SetInfo { name: Some("The lobby".into()), ..Default::default() })),
        ("ann", element("line-1", r#"{"x":1.5}"#.into())),
        ("ann", Body::JoinTeam(v1::JoinTeam { team: Some("blue".into()) })),
        ("ann", Body::AddScore(v1::AddScore { points: 7, user: None })),
        ("owner", Body::AddScore(v1::AddScore { points: 9, user: None })),
    ];
    for (at, (user, body)) in steps.into_iter().enumerate() {
        nodes.submit(at, "lobby", user, 10 + at as u64, body).await.unwrap();
    }
    let user = |user: &str| user.to_owned();
    let steps = [
        ("inbox:ben", "ben", Body::RequestFriend(v1::RequestFriend { user: user("ann") })),
        ("inbox:carl", "carl", Body::RequestFriend(v1::RequestFriend { user: user("ann") })),
        (
            "inbox:ann",
            "ann",
            Body::SetStatus(v1::SetStatus { availability: 1, text: user("lunch"), until: 0 }),
        ),
        ("inbox:ann", "ann", element("theme", user("dark"))),
        ("inbox:ann", "ann", Body::AnswerFriend(v1::AnswerFriend { user: user("ben"), accepted: true })),
    ];
    for (at, (room, user, body)) in steps.into_iter().enumerate() {
        let body = match body {
            // The request is entailed, and on its way.
            Body::AnswerFriend(_) => {
                tokio::time::sleep(Duration::from_millis(500)).await;
                body
            }
            body => body,
        };
        nodes.submit(0, room, user, 30 + at as u64, body).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_of_the_page_is_answered_as_inspect_prints_it() {
    let Some(redis) = or_skip("Redis", Redis::start()) else { return };
    let store = open(redis.url(), RedisMode::Standalone).await;
    let index = Arc::new(Index::new(store.clone(), "a".into()));
    let following = Following::start(store.clone(), index, "a".into());
    let nodes = Nodes::on_each([store.clone(), open(redis.url(), RedisMode::Standalone).await]);
    furnish(&nodes).await;
    // Until the inboxes have settled what is entailed.
    tokio::time::sleep(Duration::from_secs(1)).await;
    following.stop(PATIENCE).await;
    let connections = Connections::new("NODE".into(), PATIENCE);
    let lobby = RoomId::new("lobby").unwrap();
    connections.connected(1, "ann", "Ann");
    connections.entered(1, &lobby);
    connections.typing(&lobby, "ann", true);
    connections.flush(store.keys().unwrap()).await;
    let ann = RoomId::new("inbox:ann").unwrap();
    for room in [&lobby, &ann] {
        let wanted = whole(&nodes.state(room.as_str()).await);
        assert!(wanted.iter().count() >= 5, "{wanted:?}");
        assert_shown(&store, redis.port(), room, &wanted).await;
    }
    let mut printed = String::new();
    let subjects = [
        Subject::Room(lobby.clone()),
        Subject::Chat(lobby.clone()),
        Subject::Board(lobby.clone()),
        Subject::Game(lobby.clone()),
        Subject::User(UserId::new("ann").unwrap()),
    ];
    for subject in &subjects {
        printed += &inspect(&*store, &Readable::DEFAULT, PREFIX, subject).await.unwrap();
    }
    let blocks: Vec<(&str, Vec<String>)> = printed
        .split("$ ")
        .filter_map(|block| block.split_once('\n'))
        .map(|(line, answer)| (line, answer.lines().map(str::to_owned).collect()))
        .collect();
    let mut compared = 0;
    for line in lines_of_the_page() {
        let answered = shell(redis.port(), line);
        if let Some((_, wanted)) = blocks.iter().find(|(asked, _)| *asked == line) {
            assert_eq!(sorted(line, &answered), sorted(line, wanted), "{line}");
            compared += 1;
        }
        let may_be_empty = line.contains("server:settings");
        assert!(may_be_empty || answered.iter().any(|line| !line.is_empty()), "nothing is there: {line}");
    }
    assert!(compared >= 20, "{compared}");
    let one = shell(redis.port(), "redis-cli HGET 'enfilade:game:{lobby}:users' ann");
    assert!(one[0].contains(r#""team":"blue","taps":7"#), "{one:?}");
    assert_eq!(shell(redis.port(), "redis-cli CONFIG GET appendonly"), ["appendonly", "yes"]);
    assert_eq!(shell(redis.port(), "redis-cli HGET enfilade:rooms:name-map 'The lobby'"), ["lobby"]);
    assert_eq!(shell(redis.port(), "redis-cli ZRANGE 'enfilade:rooms:users:{lobby}' 0 -1"), ["NODE:1"]);
    assert_eq!(shell(redis.port(), "redis-cli ZRANGE enfilade:users:online 0 -1"), ["ann"]);
    assert_eq!(shell(redis.port(), "redis-cli ZRANGE 'enfilade:rooms:typing:{lobby}' 0 -1"), ["ann"]);
    let left: i64 = shell(redis.port(), "redis-cli PTTL enfilade:conns:NODE:1")[0].parse().unwrap();
    assert!((1..=30_000).contains(&left), "{left}");
    Connections::prune(store.keys().unwrap(), &lobby, &BTreeSet::from(["other".to_owned()])).await;
    assert_eq!(shell(redis.port(), "redis-cli ZCARD 'enfilade:rooms:users:{lobby}'"), ["0"]);
    assert!(shell(redis.port(), "redis-cli GET enfilade:cache:user:ann")[0].contains("lunch"));
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_keys_hinder_no_append_and_are_rebuilt() {
    let Some(redis) = or_skip("Redis", Redis::start()) else { return };
    let store = open(redis.url(), RedisMode::Standalone).await;
    let nodes = Nodes::on(store.clone());
    furnish(&nodes).await;
    for line in [
        "redis-cli DEL 'enfilade:rooms:chat:{lobby}'",
        "redis-cli SET 'enfilade:rooms:chat:{lobby}' 'by hand'",
        "redis-cli DEL 'enfilade:rooms:{lobby}'",
        "redis-cli SET 'enfilade:game:{lobby}:total:taps' 1000000",
        "redis-cli HSET 'enfilade:rooms:whiteboard:{lobby}' ghost 1",
        "redis-cli SADD 'enfilade:game:{lobby}:users:not:ours' 1",
        "redis-cli LPUSH 'enfilade:rooms:members:{lobby}' 1",
    ] {
        drop(shell(redis.port(), &format!("{line} > /dev/null")));
    }
    let said = nodes.submit(1, "lobby", "ann", 90, op::post("still here")).await;
    assert!(said.is_ok(), "{said:?}");
    let lobby = RoomId::new("lobby").unwrap();
    rebuild(&*store, store.keys().unwrap(), &lobby).await.unwrap();
    let wanted = whole(&nodes.state("lobby").await);
    assert_shown(&store, redis.port(), &lobby, &wanted).await;
    // Deleted altogether, they come back with the first append of a node that loads the room.
    drop(shell(
        redis.port(),
        "redis-cli DEL 'enfilade:rooms:{lobby}' 'enfilade:rooms:chat:{lobby}' > /dev/null",
    ));
    let other = Nodes::on(open(redis.url(), RedisMode::Standalone).await);
    other.submit(0, "lobby", "ann", 91, op::post("and again")).await.unwrap();
    let wanted = whole(&nodes.state("lobby").await);
    assert_shown(&store, redis.port(), &lobby, &wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_redis_every_step_is_one_and_the_keys_are_those_of_the_state() {
    let Some(redis) = or_skip("Redis", Redis::start()) else { return };
    let [a, b] = [(); 2].map(|()| open(redis.url(), RedisMode::Standalone));
    let nodes = race(Nodes::on_each([a.await, b.await])).await;
    for room in RACED {
        let wanted = whole(&nodes.state(room).await);
        assert_shown(&nodes.store, redis.port(), &RoomId::new(room).unwrap(), &wanted).await;
    }
    // A step is one script, whatever it touches.
    let scripts = || {
        let stats = shell(redis.port(), "redis-cli INFO commandstats").into_iter();
        let calls = |line: String| {
            line.strip_prefix("cmdstat_evalsha:calls=")?.split(',').next()?.parse::<u64>().ok()
        };
        stats.filter_map(calls).sum::<u64>()
    };
    // On a room that one node alone has open: the other would read what it was told of.
    let create = Body::CreateRoom(v1::CreateRoom { name: "Solo".into(), ..Default::default() });
    nodes.submit(0, "solo", "ann", 1, create).await.unwrap();
    let teams = v1::SetTeams { teams: vec!["blue".into()] };
    nodes.submit(0, "solo", "ann", 2, Body::SetTeams(teams)).await.unwrap();
    // Until what that entails elsewhere is done.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = scripts();
    let team = Some("blue".to_owned());
    let steps = [
        Body::JoinTeam(v1::JoinTeam { team }),
        Body::AddScore(v1::AddScore { points: 1, user: None }),
        Body::AddScore(v1::AddScore { points: 2, user: None }),
        op::post("hello"),
        Body::LeaveTeam(v1::LeaveTeam {}),
        Body::ResetScores(v1::ResetScores {}),
    ];
    let count = steps.len() as u64;
    for (at, body) in steps.into_iter().enumerate() {
        nodes.submit(0, "solo", "ann", 3 + at as u64, body).await.unwrap();
    }
    assert_eq!(scripts() - before, count);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_cluster_too() {
    let Some(cluster) = or_skip("Redis Cluster", Cluster::start()) else { return };
    let [a, b] = [(); 2].map(|()| open(cluster.url(), RedisMode::Cluster));
    let nodes = race(Nodes::on_each([a.await, b.await])).await;
    let port =
        cluster.url().split(',').next().unwrap().trim_end_matches('/').rsplit(':').next().unwrap().parse();
    let port: u16 = port.unwrap();
    for room in RACED {
        let id = RoomId::new(room).unwrap();
        drop(shell(port, &format!("redis-cli DEL 'enfilade:rooms:members:{{{room}}}' > /dev/null")));
        rebuild(&*nodes.store, nodes.store.keys().unwrap(), &id).await.unwrap();
        let wanted = whole(&nodes.state(room).await);
        assert_shown(&nodes.store, port, &id, &wanted).await;
    }
    let write = |key: &str| KeyWrite { key: key.into(), command: KeyCommand::Set("1".into()) };
    let keys = nodes.store.keys().unwrap();
    keys.write(vec![write("cache:user:a"), write("cache:user:b"), write("cache:user:c")]).await.unwrap();
    keys.publish("state-changes:a", "x".into()).await.unwrap();
    assert_eq!(shell(port, "redis-cli GET enfilade:cache:user:b"), ["1"]);
}

/// Bytes that a study room's keys may take: a hundred messages, a whiteboard, five participants.
const ROOM_BUDGET: u64 = 41 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_a_study_room_stay_within_their_budget() {
    let Some(redis) = or_skip("Redis", Redis::start()) else { return };
    let store = open(redis.url(), RedisMode::Standalone).await;
    let nodes = Nodes::on(store.clone());
    nodes.create("123456", v1::SetConfig { capacity: Some(20), ..Default::default() }).await;
    let users = ["ada", "benjamin", "carla", "dora"];
    for user in users {
        nodes.submit(0, "123456", user, 1, Body::Join(v1::Join {})).await.unwrap();
    }
    // Words of a usual length: what people write at once has about forty characters.
    let text = "Shall we look at the second one again?";
    for message in 0..120 {
        nodes.submit(0, "123456", users[message % 4], 2 + message as u64, op::post(text)).await.unwrap();
    }
    // Shapes as a drawing app stores them, ten kilobytes together with what they are stored under.
    for shape in 0..16 {
        let value = format!(
            r##"{{"id":"shape-{shape}","type":"rectangle","x":{shape}.5,"y":120.25,"width":240,"height":80,"angle":0,"strokeColor":"#1e1e1e","backgroundColor":"#ffec99","fillStyle":"solid","strokeWidth":2,"strokeStyle":"solid","roughness":1,"opacity":100,"groupIds":[],"frameId":null,"roundness":{{"type":3}},"seed":1968410350,"isDeleted":false,"boundElements":[],"updated":1724936000000,"link":null,"locked":false}}"##
        );
        let body = element(&format!("shape-{shape}"), value);
        nodes.submit(0, "123456", "ada", 200 + shape, body).await.unwrap();
    }
    let names = Names::of(&RoomId::new("123456").unwrap());
    let usage = |key: &str| -> u64 {
        let line = format!("redis-cli MEMORY USAGE '{PREFIX}{key}' SAMPLES 0");
        shell(redis.port(), &line)[0].parse().unwrap_or(0)
    };
    let keys = store.keys().unwrap().keys_of(&RoomId::new("123456").unwrap()).await.unwrap();
    let total: u64 = keys.iter().map(|key| usage(key)).sum();
    let people =
        [names.members(), names.participants(), names.roles()].iter().map(|key| usage(key)).sum::<u64>();
    let about = usage(&names.room()) + usage(&names.config());
    println!(
        "a study room's keys: {total} bytes (chat {}, board {}, what it is {about}, five people {people})",
        usage(&names.chat()),
        usage(&names.whiteboard()),
    );
    assert!(total <= ROOM_BUDGET, "{total} bytes are above the budget of {ROOM_BUDGET}");
    assert_eq!(shell(redis.port(), "redis-cli ZCARD 'enfilade:rooms:chat:{123456}'"), ["100"]);
}
