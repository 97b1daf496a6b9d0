//! The checker: what was acknowledged, against the log that is there in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use enfilade_core::{Position, RoomId};

use crate::node::Lost;
use crate::table::Row;
use crate::world::World;

/// What the setting promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// Nothing acknowledged is lost.
    NothingLost,
    /// What is lost is reported, entry by entry, and everybody sees a new epoch.
    LossIsReported,
}

/// The messages of a room as a node tells them: by seq.
type Log = Vec<(u64, String)>;

/// Compares everything, once everybody has come to rest within `settling`.
pub(crate) async fn check(world: &World, name: &'static str, promise: Promise, settling: Duration) -> Row {
    let mut row = Row::new(name);
    let until = Instant::now() + settling;
    for room in &world.rooms {
        let heads_now = || world.nodes.iter().map(|node| head(world, node, room)).collect::<Vec<_>>();
        let mut heads = heads_now();
        // A node that has slept has to hear of what it missed.
        while heads.iter().any(|head| *head != heads[0]) && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(50)).await;
            heads = heads_now();
        }
        let logs: Vec<_> = world.nodes.iter().map(|node| log(world, node, room)).collect();
        let (logs, heads): (Vec<Log>, Vec<Position>) = match (gathered(logs), gathered(heads)) {
            (Ok(logs), Ok(heads)) => (logs, heads),
            (Err(error), _) | (_, Err(error)) => {
                row.failures.push(format!("{room} can't be read: {error}"));
                continue;
            }
        };
        if logs.iter().any(|log| *log != logs[0]) {
            row.failures.push(format!("{room}: the nodes tell different logs"));
        }
        check_room(world, room, &logs[0], heads[0].epoch, promise, &mut row);
        for person in world.people.iter().filter(|person| person.plan.room == *room) {
            let mut look = person.look().await;
            let is_there = |look: &crate::session::Look| {
                look.is_ready && look.pending == 0 && look.position.epoch == heads[0].epoch && {
                    let held = look.messages.len().min(logs[0].len());
                    logs[0][logs[0].len() - held..] == look.messages[look.messages.len() - held..]
                        && held >= logs[0].len().min(50)
                }
            };
            while !is_there(&look) && Instant::now() < until {
                tokio::time::sleep(Duration::from_millis(50)).await;
                look = person.look().await;
            }
            let who = &person.plan.name;
            if !is_there(&look) {
                let (at, last) = (look.position, look.messages.last());
                row.failures.push(format!(
                    "{who} shows something else than the log: at {at:?} with {} pending, last {last:?}; the log ends \
                     with {:?} in epoch {}",
                    look.pending,
                    logs[0].last(),
                    heads[0].epoch
                ));
            }
            let seen = person.seen();
            row.failures.extend(seen.errors.iter().map(|error| format!("{who}: {error}")));
            row.told += u64::from(seen.told_of_outage);
        }
    }
    for node in &world.nodes {
        row.failures.extend(node.said.lock().expect("no panic").panics.iter().cloned());
    }
    row
}

fn gathered<T>(all: Vec<Result<T, String>>) -> Result<Vec<T>, String> {
    all.into_iter().collect()
}

fn check_room(world: &World, room: &RoomId, log: &Log, epoch: u64, promise: Promise, row: &mut Row) {
    let mut places: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (seq, text) in log {
        places.entry(text).or_default().push(*seq);
    }
    let doubled = places.values().filter(|seqs| seqs.len() > 1).count() as u64;
    row.doubled += doubled;
    if doubled > 0 {
        row.failures.push(format!("{room}: {doubled} messages are in the log twice"));
    }
    let reported = reported(world, room);
    let mut lost = 0;
    for person in world.people.iter().filter(|person| person.plan.room == *room && person.plan.messages > 0) {
        let name = &person.plan.name;
        let numbers = log.iter().filter_map(|(_, text)| text.strip_prefix(name)?.trim().parse::<u64>().ok());
        let numbers: Vec<u64> = numbers.collect();
        let out_of_order = numbers.windows(2).filter(|pair| pair[0] >= pair[1]).count() as u64;
        row.reordered += out_of_order;
        if out_of_order > 0 {
            row.failures.push(format!("{name}: {out_of_order} messages are out of order"));
        }
        let seen = person.seen();
        row.operations += seen.posted.len() as u64;
        row.acked += seen.acked.len() as u64;
        for (id, number) in &seen.posted {
            let Some(acked) = seen.acked.get(id).and_then(|all| all.first()) else { continue };
            match places.get(format!("{name} {number}").as_str()) {
                Some(seqs) if seqs.contains(&acked.position.seq) => {}
                Some(seqs) => row.failures.push(format!(
                    "{name} {number} was acknowledged at {:?} and is at {seqs:?}",
                    acked.position
                )),
                None => {
                    lost += 1;
                    let at = acked.position;
                    let is_reported = reported
                        .iter()
                        .any(|lost| lost.epoch == at.epoch && (lost.from..=lost.to).contains(&at.seq));
                    if !is_reported {
                        row.unreported += 1;
                    }
                }
            }
        }
    }
    row.lost += lost;
    row.reported += reported.iter().map(|lost| lost.count).sum::<u64>();
    if lost > 0 && promise == Promise::NothingLost {
        row.failures.push(format!("{room}: {lost} acknowledged messages are lost"));
    }
    if lost > 0 {
        let blind = world.people.iter().filter(|person| person.plan.room == *room);
        let blind = blind.filter(|person| {
            let epochs: BTreeSet<u64> = person.seen().epochs.clone();
            epochs.len() < 2 || !epochs.contains(&epoch)
        });
        let names: Vec<&str> = blind.map(|person| person.plan.name.as_str()).collect();
        if !names.is_empty() {
            row.failures.push(format!("{room}: something is lost, and {names:?} saw no new epoch"));
        }
    }
}

/// What the nodes have reported as lost of a room.
fn reported(world: &World, room: &RoomId) -> Vec<Lost> {
    let said = world.nodes.iter().map(|node| node.said.lock().expect("no panic").lost.clone());
    said.flatten().filter(|lost| lost.room == room.as_str()).collect()
}

fn head(world: &World, node: &crate::node::Node, room: &RoomId) -> Result<Position, String> {
    let row = tokio::task::block_in_place(|| node.get(&format!("/api/rooms/{room}"), &world.token))?;
    let number = |key: &str| row[key].as_u64().unwrap_or_default();
    Ok(Position { epoch: number("epoch"), seq: number("seq") })
}

fn log(world: &World, node: &crate::node::Node, room: &RoomId) -> Result<Log, String> {
    let mut pages: Vec<Log> = Vec::new();
    let mut path = format!("/api/rooms/{room}/messages?limit=100");
    loop {
        let page = tokio::task::block_in_place(|| node.get(&path, &world.token))?;
        let rows = page["messages"].as_array().cloned().unwrap_or_default();
        let message =
            |row: &serde_json::Value| Some((row["seq"].as_u64()?, row["text"].as_str()?.to_owned()));
        pages.push(rows.iter().filter_map(message).collect());
        let Some(next) = page["next_before_seq"].as_u64() else { break };
        path = format!("/api/rooms/{room}/messages?limit=100&before_seq={next}");
    }
    pages.reverse();
    Ok(pages.concat())
}
