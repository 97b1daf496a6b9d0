//! Questions to readable keys, as they are put to Redis, and their answers, as `redis-cli` prints them.

use std::collections::BTreeMap;

use super::keyspace::{Keyspace, Value, ascending};

/// What is asked about a room, or an inbox: a command with the key's name, where `@` stands for the tag.
pub(super) const ROOM: &[&str] = &[
    "HGETALL rooms:@",
    "HGETALL rooms:config:@",
    "ZRANGE rooms:members:@ 0 -1 WITHSCORES",
    "HGETALL rooms:participants:@",
    "HGETALL rooms:roles:@",
    "HGETALL rooms:badges:@",
];
pub(super) const CHAT: &[&str] = &["ZRANGE rooms:chat:@ 0 -1"];
pub(super) const BOARD: &[&str] = &["HGETALL rooms:whiteboard:@"];
/// Teams have questions of their own.
pub(super) const GAME: &[&str] = &[
    "HGETALL game:@:users",
    "HLEN game:@:users",
    "ZRANGE game:@:leaderboard 0 9 REV WITHSCORES",
    "ZRANGE game:@:teams 0 -1 REV WITHSCORES",
    "GET game:@:total:taps",
];
pub(super) const USER: &[&str] = &[
    "HGETALL users:profile:@",
    "SMEMBERS users:friends:@",
    "HGETALL users:contacts:@",
    "HGETALL users:settings:@",
    "HGETALL users:rooms:@",
    "LRANGE users:notifications:@ 0 -1",
];
pub(super) const SERVER: &[&str] = &["HGETALL @"];

/// The answer, a line an item. `None` for a question that is not among those that are asked here.
pub fn answer(keys: &Keyspace, question: &[&str]) -> Option<Vec<String>> {
    let (command, key, rest) = match question {
        [command, key, rest @ ..] => (*command, *key, rest),
        _ => return None,
    };
    let pairs = |hash: &BTreeMap<String, String>| {
        hash.iter().flat_map(|(field, value)| [field.clone(), value.clone()]).collect()
    };
    Some(match (command, keys.get(key), rest) {
        ("HGETALL", Some(Value::Hash(hash)), []) => pairs(hash),
        ("HGET", Some(Value::Hash(hash)), [field]) => vec![hash.get(*field).cloned().unwrap_or_default()],
        ("HLEN", Some(Value::Hash(hash)), []) => vec![hash.len().to_string()],
        ("HLEN", None, []) => vec!["0".into()],
        ("SMEMBERS", Some(Value::Set(set)), []) => set.iter().cloned().collect(),
        ("GET", Some(Value::Text(text)), []) => vec![text.clone()],
        ("GET" | "HGET", None, _) => vec![String::new()],
        ("LRANGE", Some(Value::List(list)), [first, last]) => {
            let (skipped, taken) = range(list.len(), first, last)?;
            list.iter().skip(skipped).take(taken).cloned().collect()
        }
        ("ZRANGE", Some(Value::Scores(scores)), [first, last, how @ ..]) => {
            let (skipped, taken) = range(scores.len(), first, last)?;
            let mut list = ascending(scores);
            if how.contains(&"REV") {
                list.reverse();
            }
            let with_scores = how.contains(&"WITHSCORES");
            let lines = |(member, score): (String, i64)| {
                [Some(member), with_scores.then(|| score.to_string())].into_iter().flatten()
            };
            list.into_iter().skip(skipped).take(taken).flat_map(lines).collect()
        }
        ("HGETALL" | "SMEMBERS" | "LRANGE" | "ZRANGE", None, _) => Vec::new(),
        _ => return None,
    })
}

/// How many are skipped, and how many taken, of places counted from 0, or back from -1.
fn range(length: usize, first: &str, last: &str) -> Option<(usize, usize)> {
    let place = |text: &str| {
        let place: i64 = text.parse().ok()?;
        usize::try_from(if place < 0 { place + i64::try_from(length).ok()? + 1 } else { place + 1 }).ok()
    };
    let (first, end) = (place(first)?.saturating_sub(1), place(last).unwrap_or(0).min(length));
    Some((first, end.saturating_sub(first)))
}
