use super::*;
use crate::cache::{Decision, PolicyKind, WhatIf};
use crate::tier::{Tier, TierReason};

const MINUTE: u64 = 60_000;

fn small(cached_rooms: usize) -> Host {
    Host::with(ClientConfig { cached_rooms, background_for: 0, ..ClientConfig::default() })
}

fn visit(host: &mut Host, room: &str) {
    host.acquire(room);
    host.release(room);
    host.wait(10);
}

#[test]
fn a_room_can_say_at_any_time_why_it_is_held_or_went() {
    let mut host = small(2);
    let decision = |host: &Host, room: &str| host.client.explain(&id(room)).decision;
    assert_eq!(decision(&host, "a"), Decision::NotHeld);
    host.acquire("a");
    assert_eq!(decision(&host, "a"), Decision::Pinned(Tier::Active, TierReason::Acquired));
    host.release("a");
    host.wait(10);
    assert_eq!(decision(&host, "a"), Decision::EvictNext);
    visit(&mut host, "b");
    visit(&mut host, "c");
    let gone = host.client.explain(&id("a"));
    assert!(matches!(gone.decision, Decision::Evicted(_, TierReason::CacheFull)));
    assert_eq!((gone.visits, gone.policy, gone.ttl), (1, PolicyKind::Gf, 30 * MINUTE));
    assert!(gone.text().contains("The cache was full"));
    assert_eq!(host.client.evicted().map(|(room, _)| room.as_str()).collect::<Vec<_>>(), ["a"]);
    host.post("b", "not yet");
    assert_eq!(decision(&host, "b"), Decision::Pinned(Tier::Cached, TierReason::UnsentKept));
    assert_eq!(decision(&host, "c"), Decision::EvictNext);
}

#[test]
fn a_room_in_frequent_use_stays_cached_three_times_as_long() {
    let mut host = small(10);
    for _ in 0..5 {
        visit(&mut host, "often");
    }
    visit(&mut host, "once");
    host.wait(30 * MINUTE + 1);
    assert!(host.client.room(&id("once")).is_none());
    let explained = host.client.explain(&id("often"));
    assert_eq!((explained.ttl, explained.remaining / MINUTE), (90 * MINUTE, 59));
    host.wait(59 * MINUTE);
    assert_eq!(host.room("often").tier(), Tier::Cached);
    host.wait(MINUTE);
    assert!(host.client.room(&id("often")).is_none());
    assert!(matches!(
        host.client.explain(&id("often")).decision,
        Decision::Evicted(_, TierReason::CacheExpired)
    ));
}

#[test]
fn a_dry_run_of_this_session_tells_what_a_larger_cache_would_have_saved() {
    let mut host = small(1);
    ["a", "b", "a", "b"].iter().for_each(|room| visit(&mut host, room));
    assert_eq!(host.client.what_if(1, PolicyKind::Lru), WhatIf { hits: 0, misses: 4, evictions: 3 });
    assert_eq!(host.client.what_if(2, PolicyKind::Lru), WhatIf { hits: 2, misses: 2, evictions: 0 });
    // Opening what is open is no visit.
    host.acquire("a");
    host.acquire("a");
    assert_eq!(host.client.visits().len(), 5);
}

#[test]
fn what_was_learned_outlives_the_session_and_goes_with_the_logout() {
    let mut host = small(5);
    for _ in 0..4 {
        visit(&mut host, "a");
    }
    host.wait(MINUTE);
    assert!(host.stored.contains_key("cache"));
    let mut next = small(5);
    visit(&mut next, "b");
    next.stored = host.stored.clone();
    let stored = host.stored.clone();
    next.call(|client, now| client.restore(stored, now));
    assert_eq!(next.client.explain(&id("a")).visits, 4);
    assert_eq!(next.client.explain(&id("b")).visits, 1);
    assert_eq!(next.client.what_if(9, PolicyKind::Gf).misses, 1);
    next.call(|client, now| client.forget_visits(now));
    assert_eq!(next.client.explain(&id("a")).visits, 0);
    assert!(!next.stored.contains_key("cache"));
    host.call(|client, now| client.logout(now));
    assert!(host.stored.is_empty());
    assert_eq!(host.client.explain(&id("a")).visits, 0);
}

#[test]
fn what_was_learned_is_left_out_when_it_is_damaged_and_that_is_said() {
    let mut host = small(5);
    visit(&mut host, "a");
    host.wait(MINUTE);
    let mut stored = host.stored.clone();
    let record = stored.get_mut("cache").unwrap();
    let last = record.len() - 1;
    record[last] ^= 1;
    let mut next = small(5);
    next.call(|client, now| client.restore(stored, now));
    assert_eq!(next.client.explain(&id("a")).visits, 0);
    let is_said = |event: &Event| matches!(event, Event::Error { code: Code::ModelDamaged, .. });
    assert!(next.events.iter().any(is_said));
}
