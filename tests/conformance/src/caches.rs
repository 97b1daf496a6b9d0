//! Questions about caching: what speaks for letting a room go, and which one goes.

use enfilade_core::cache::{Access, Cache, PolicyKind, Terms};
use enfilade_core::{Millis, RoomId};
use serde_json::{Value, json};

use crate::{Problem, json as read};

/// `{visits, since, priority, base, now}`: times of visits, when the room came in, and the base time; the four terms of
/// the score in parts per million, how often the room is used, and how long it stays.
pub(crate) fn score(input: &Value) -> Result<Value, Problem> {
    let mut access = Access::default();
    for visit in read::list(input, "visits")? {
        access.visit(Millis(visit.as_u64().ok_or("a time is a number")?));
    }
    let (base, now) = (read::number(input, "base")?, Millis(read::number(input, "now")?));
    let priority = read::number(input, "priority")?.min(255) as u8;
    let terms = Terms::of(&access, Millis(read::number(input, "since")?), priority, base, now);
    let frequency = access.frequency(now);
    Ok(json!({
        "age": terms.age,
        "access": terms.access,
        "recency": terms.recency,
        "priority": terms.priority,
        "score": terms.score,
        "frequency": frequency.name(),
        "ttl": frequency.ttl(base),
    }))
}

/// `{policy, capacity, visits, times, kept}`: rooms visited in this order, so many times over, a second apart, with one
/// room that is never let go; how often a room was there, and the first hundred that went.
pub(crate) fn eviction(input: &Value) -> Result<Value, Problem> {
    let policy = read::text(input, "policy")?;
    let kind = PolicyKind::from_name(policy).ok_or_else(|| format!("no policy {policy:?}"))?;
    let mut cache = Cache::new(kind, read::number(input, "capacity")?.min(1_000) as usize, BASE);
    let kept = input["kept"].as_str().unwrap_or_default();
    let (mut hits, mut gone, mut now) = (0, Vec::new(), Millis(0));
    for _ in 0..input["times"].as_u64().unwrap_or(1).min(10_000) {
        for room in read::list(input, "visits")? {
            let id = room.as_str().and_then(|id| RoomId::new(id).ok()).ok_or("a room's id is missing")?;
            let is_held = cache.contains(&id);
            hits += u64::from(is_held);
            cache.visit(&id, is_held, now);
            cache.admit(&id, PRIORITY, now);
            while cache.is_over() {
                match cache.evict(&|room| room.as_str() == kept) {
                    Some(room) => gone.push(room.to_string()),
                    None => break,
                }
            }
            now = now + 1_000;
        }
    }
    gone.truncate(100);
    Ok(json!({ "hits": hits, "gone": gone, "held": cache.len() }))
}

/// Half an hour: the time for which a room that is seldom used stays.
const BASE: u64 = 30 * 60_000;
/// Neither more nor less than others.
const PRIORITY: u8 = 5;
