use alloc::string::String;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::{Code, Rng};

const BASE: u64 = limits::CACHED_FOR;
const HOUR: u64 = 3_600_000;
const NOBODY: &dyn Fn(u32) -> bool = &|_| false;

fn room(id: &str) -> RoomId {
    RoomId::new(id).unwrap()
}

fn numbered(number: u64) -> RoomId {
    let mut id = String::from("room-");
    id.push_str(&alloc::format!("{number}"));
    room(&id)
}

/// A cache in which each of these was visited, a minute after the other, and left at once.
fn visited(kind: PolicyKind, capacity: usize, rooms: &[&str]) -> Cache {
    let mut cache = Cache::new(kind, capacity, BASE);
    for (minute, id) in (0..).zip(rooms) {
        cache.visit(&room(id), cache.contains(&room(id)), Millis(minute * 60_000));
        cache.admit(&room(id), 0, Millis(minute * 60_000));
    }
    cache
}

/// Rooms of which some are visited much more than others.
fn uneven(seed: u64, len: usize, rooms: u64) -> Vec<u32> {
    let rng = &mut Rng::new(seed);
    let mut room = || {
        let most = rng.below(rooms) + 1;
        rng.below(most) as u32
    };
    (0..len).map(|_| room()).collect()
}

fn hits(policy: &mut dyn Policy, trace: &[u32], capacity: usize) -> usize {
    (0..).zip(trace).filter(|(at, room)| policy.navigate(**room, capacity, Millis(*at * 1_000))).count()
}

#[test]
fn of_rooms_used_alike_the_one_used_longest_ago_goes_first() {
    for kind in PolicyKind::ALL {
        let mut cache = visited(kind, 2, &["a", "b", "c"]);
        assert!(cache.is_over(), "{kind:?}");
        assert_eq!(cache.victim(&|_| false), Some(&room("a")), "{kind:?}");
        assert_eq!(cache.evict(&|_| false), Some(room("a")), "{kind:?}");
        assert!(!cache.is_over() && cache.len() == 2, "{kind:?}");
    }
}

#[test]
fn what_is_kept_is_never_chosen_and_where_all_is_kept_the_cache_stays_over() {
    for kind in PolicyKind::ALL {
        let mut cache = visited(kind, 1, &["a", "b"]);
        assert_eq!(cache.victim(&|id| *id == room("a")), Some(&room("b")), "{kind:?}");
        assert_eq!(cache.evict(&|_| true), None, "{kind:?}");
        assert!(cache.is_over(), "{kind:?}");
        let pin = Decision::Pinned(crate::Tier::Cached, TierReason::UnreadKept);
        let text = cache.explain(&room("a"), Some(pin), &|_| true, Millis(0)).text();
        assert!(text.contains("unread") && text.contains("over its size"), "{text}");
    }
}

#[test]
fn the_score_is_the_weighted_sum_of_its_four_terms() {
    let mut access = Access::default();
    // Never visited: recency is 1.
    let terms = Terms::of(&access, Millis(0), 0, BASE, Millis(BASE));
    assert_eq!(
        (terms.age, terms.access, terms.recency, terms.priority),
        (1_000_000, 1_000_000, 1_000_000, 1_000_000)
    );
    assert_eq!(terms.score, 1_000_000);
    (0..3).for_each(|_| access.visit(Millis(0)));
    let terms = Terms::of(&access, Millis(0), 7, BASE, Millis(BASE / 2));
    assert_eq!(
        (terms.age, terms.access, terms.recency, terms.priority),
        (500_000, 250_000, 500_000, 300_000)
    );
    assert_eq!(terms.score, (3 * (500_000 + 250_000 + 500_000) + 300_000) / 10);
    // Extremes stay in range.
    let terms = Terms::of(&access, Millis(0), 255, 0, Millis(u64::MAX));
    assert_eq!((terms.age, terms.priority), (1_000_000_000, 0));
}

#[test]
fn the_classes_of_use_are_those_of_the_table() {
    let at = |visits: u64, apart: u64| {
        let mut access = Access::default();
        (0..visits).for_each(|visit| access.visit(Millis(visit * apart)));
        access.frequency(Millis((visits.max(1) - 1) * apart))
    };
    assert_eq!(at(0, 0), Frequency::Low);
    assert_eq!(at(1, 0), Frequency::Low);
    assert_eq!(at(2, 23 * HOUR), Frequency::Medium);
    assert_eq!(at(2, 26 * HOUR), Frequency::Low);
    assert_eq!(at(3, HOUR), Frequency::Medium);
    assert_eq!(at(4, 0), Frequency::High);
    assert_eq!(at(6, 3 * HOUR), Frequency::High);
    // What is used now and then for ever does not become frequent.
    assert_eq!(at(100, 48 * HOUR), Frequency::Low);
    assert_eq!(at(100, 24 * HOUR), Frequency::Medium);
}

#[test]
fn a_room_may_stay_30_60_or_90_minutes_by_its_use() {
    let mut cache =
        visited(PolicyKind::Gf, 9, &["high", "high", "high", "high", "high", "medium", "medium", "low"]);
    let now = Millis(7 * 60_000);
    let minutes = |id: &str| cache.ttl(&room(id), now) / 60_000;
    assert_eq!((minutes("high"), minutes("medium"), minutes("low"), minutes("unknown")), (90, 60, 30, 30));
    cache.withdraw(&room("low"));
    cache.admit(&room("low"), 0, now);
    let explained = cache.explain(&room("low"), None, &|_| false, now + 600_000);
    assert_eq!((explained.ttl, explained.remaining), (30 * 60_000, 20 * 60_000));
}

#[test]
fn a_priority_keeps_a_room_where_the_policy_weighs_it() {
    for (kind, victim) in [(PolicyKind::Gf, "b"), (PolicyKind::Score, "b"), (PolicyKind::Lru, "a")] {
        let mut cache = Cache::new(kind, 2, BASE);
        for id in ["a", "b", "c"] {
            cache.visit(&room(id), false, Millis(1_000));
            cache.admit(&room(id), if id == "a" { 10 } else { 0 }, Millis(1_000));
        }
        assert_eq!(cache.victim(&|_| false), Some(&room(victim)), "{kind:?}");
    }
}

#[test]
fn going_round_through_more_rooms_than_fit_is_learned_where_last_use_never_hits() {
    let round: Vec<u32> = (0..6_000).map(|at| at % 150).collect();
    assert_eq!(hits(&mut Lru::new(100), &round, 100), 0);
    // The best there is keeps 99 and misses the other 51 in each round.
    assert!(hits(&mut Gf::new(100), &round, 100) > 5_850 * 99 / 150 * 9 / 10);
}

#[test]
fn habits_that_change_faster_than_they_are_learned_are_left_to_last_use() {
    // Each room is new, and used a few times soon after: what was used last is all there is to know.
    let rng = &mut Rng::new(5);
    let trace: Vec<u32> = (0..20_000_u32).map(|at| at / 4 + rng.below(90) as u32).collect();
    let (lru, gf) = (hits(&mut Lru::new(100), &trace, 100), hits(&mut Gf::new(100), &trace, 100));
    assert!(gf * 1_000 >= lru * 997, "{gf} of {lru}");
}

#[test]
fn a_prefetched_room_comes_in_only_where_there_is_a_place_or_where_it_beats_the_weakest() {
    let mut gf = Gf::new(4);
    (0..4).for_each(|room| assert!(gf.admit_prefetched(room, Confidence::Faint)));
    assert!(!gf.admit_prefetched(4, Confidence::Strong), "nothing was learned yet");
    // Going round through five rooms, of which last use never has the next one.
    (0..200).for_each(|visit| _ = gf.navigate(10 + visit % 5, 4, Millis(0)));
    assert!(gf.is_learned());
    assert!(!gf.admit_prefetched(4, Confidence::Faint));
    // Rooms that never came back are worth less than one that is surely next.
    (100..140).for_each(|room| _ = gf.navigate(room, 4, Millis(0)));
    gf.refresh();
    assert!(gf.is_learned() && gf.admit_prefetched(5, Confidence::Strong));
    assert_eq!(gf.len(), 5);
    assert!(gf.evict(NOBODY).is_some_and(|room| room != 5));
    assert!(!Lru::new(0).admit_prefetched(1, Confidence::Strong));
}

#[test]
fn last_use_decides_until_learning_is_ahead_and_again_when_it_falls_behind() {
    let mut gf = Gf::new(100);
    let mut lru = Lru::new(100);
    // Nothing to learn: what was used last comes back.
    let rng = &mut Rng::new(9);
    let stack: Vec<u32> = (0..3_000_u32).map(|at| at / 5 + rng.below(110) as u32).collect();
    let (own, others) = (hits(&mut gf, &stack, 100), hits(&mut lru, &stack, 100));
    assert!(own + 5 >= others, "{own} {others}");
    // Round and round: last use never hits.
    let round: Vec<u32> = (0..3_000).map(|at| 10_000 + at % 150).collect();
    assert!(hits(&mut gf, &round, 100) > 1_000 && gf.is_learned());
    let moving: Vec<u32> = (0..8_000_u32).map(|at| 20_000 + at / 3 + rng.below(90) as u32).collect();
    let (own, others) = (hits(&mut gf, &moving, 100), hits(&mut lru, &moving, 100));
    assert!(own * 100 >= others * 99, "{own} {others}");
}

#[test]
fn what_predictions_of_a_confidence_are_worth_is_learned() {
    let mut gf = Gf::new(100);
    let before = gf.worth_of_prefetched(Confidence::Strong);
    for round in 0..400 {
        assert!(gf.admit_prefetched(1_000 + round, Confidence::Strong));
        gf.visit(round % 7, true, Millis(0));
        gf.remove(1_000 + round);
    }
    gf.reuse.rebuild_all();
    assert!(gf.worth_of_prefetched(Confidence::Strong) < before);
    for round in 0..4_000 {
        assert!(gf.admit_prefetched(1_000 + round % 50, Confidence::Good));
        gf.visit(1_000 + round % 50, true, Millis(0));
        gf.remove(1_000 + round % 50);
    }
    gf.reuse.rebuild_all();
    assert!(gf.worth_of_prefetched(Confidence::Good) > gf.worth_of_prefetched(Confidence::Strong));
}

#[test]
fn a_dry_run_tells_what_another_cache_would_have_done() {
    let mut cache = Cache::new(PolicyKind::Gf, 3, BASE);
    for (at, number) in (0..).zip([1, 2, 3, 1, 2, 4, 1, 2]) {
        cache.visit(&numbered(number), false, Millis(at));
    }
    let visits = cache.visits();
    assert_eq!(visits.what_if(3, PolicyKind::Lru), WhatIf { hits: 4, misses: 4, evictions: 1 });
    assert_eq!(visits.what_if(2, PolicyKind::Lru), WhatIf { hits: 0, misses: 8, evictions: 6 });
    for kind in PolicyKind::ALL {
        assert_eq!(visits.what_if(10, kind), WhatIf { hits: 4, misses: 4, evictions: 0 }, "{kind:?}");
        assert_eq!(
            visits.what_if(0, kind),
            visits.what_if(1, kind),
            "{kind:?}: a room that is visited has a place"
        );
    }
}

#[test]
fn recorded_visits_come_back_from_their_bytes_and_any_damage_is_refused() {
    let mut visits = Visits::default();
    for (at, room) in (0..).zip(uneven(3, 5_000, 300)) {
        visits.push(room, Millis(1_000_000 + at * 777));
    }
    assert_eq!(visits.len(), limits::VISITS_RECORDED);
    let bytes = visits.export();
    assert_eq!(Visits::import(&bytes), Ok(visits));
    for place in [0, 1, 5, 8, 9, 100, bytes.len() - 1] {
        let mut damaged = bytes.clone();
        damaged[place] ^= 0x40;
        let code = if place == 0 { Code::TraceTooNew } else { Code::TraceDamaged };
        assert_eq!(Visits::import(&damaged), Err(code), "byte {place}");
    }
    for length in [0, 8, 9, 1_000, bytes.len() - 1] {
        assert_eq!(Visits::import(&bytes[..length]), Err(Code::TraceDamaged), "{length} bytes");
    }
}

#[test]
fn what_was_learned_comes_back_from_its_bytes_and_damage_changes_nothing() {
    let (capacity, now) = (20, Millis(9_000_000));
    let mut cache = Cache::new(PolicyKind::Gf, capacity, BASE);
    let visit = |cache: &mut Cache, number: u32| {
        let id = numbered(u64::from(number));
        let is_held = cache.contains(&id);
        cache.visit(&id, is_held, now);
        if !is_held && cache.len() >= capacity {
            cache.evict(&|_| false);
        }
        cache.admit(&id, 0, now);
        is_held
    };
    uneven(8, 5_000, 120).into_iter().for_each(|number| _ = visit(&mut cache, number));
    let bytes = cache.export();
    let mut again = Cache::new(PolicyKind::Gf, capacity, BASE);
    assert_eq!(again.import(&bytes, now), Ok(()));
    assert_eq!(again.export(), bytes);
    assert_eq!(again.access(&numbered(0)), cache.access(&numbered(0)));
    assert!(again.is_empty(), "which rooms are held is not part of what was learned");
    // Nobody needs to learn it again.
    let later = uneven(9, 1_000, 120);
    let taught = later.iter().filter(|number| visit(&mut again, **number)).count();
    let mut fresh = Cache::new(PolicyKind::Gf, capacity, BASE);
    let untaught = later.iter().filter(|number| visit(&mut fresh, **number)).count();
    assert!(taught >= untaught, "{taught} {untaught}");

    let before = again.export();
    for place in [0, 3, 9, 30, bytes.len() / 2, bytes.len() - 1] {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1;
        assert_eq!(again.import(&damaged, now), Err(Code::ModelDamaged), "byte {place}");
    }
    assert_eq!(again.import(&bytes[..40], now), Err(Code::ModelDamaged));
    assert_eq!(again.export(), before);
    // Other policies remember how rooms were used, and pass over the rest.
    let mut lru = Cache::new(PolicyKind::Lru, capacity, BASE);
    assert_eq!(lru.import(&bytes, now), Ok(()));
    assert_eq!(lru.access(&numbered(0)), cache.access(&numbered(0)));
    assert_eq!(cache.import(&lru.export(), now), Ok(()));
}

#[test]
fn the_room_visited_longest_ago_is_forgotten_where_too_many_were_seen() {
    let mut cache = Cache::new(PolicyKind::Gf, 2, BASE);
    cache.visit(&numbered(0), false, Millis(0));
    cache.admit(&numbered(0), 0, Millis(0));
    for number in 1..=limits::ROOMS_SEEN as u64 {
        cache.visit(&numbered(number), false, Millis(number));
    }
    assert_eq!(cache.access(&numbered(1)).visits, 0);
    assert_eq!((cache.access(&numbered(0)).visits, cache.access(&numbered(2)).visits), (1, 1));
    assert!(cache.contains(&numbered(0)));
}

#[test]
fn it_can_be_told_afterwards_why_a_room_went() {
    let mut cache = visited(PolicyKind::Gf, 1, &["a", "b"]);
    let now = Millis(120_000);
    let before = cache.explain(&room("a"), None, &|_| false, now);
    assert_eq!(before.decision, Decision::EvictNext);
    cache.note_eviction(&room("a"), TierReason::CacheFull, now);
    cache.withdraw(&room("a"));
    let after = cache.explain(&room("a"), None, &|_| false, now + HOUR);
    assert_eq!(after, Explanation { decision: Decision::Evicted(now, TierReason::CacheFull), ..before });
    assert!(after.text().contains("The cache was full"), "{}", after.text());
    assert_eq!(cache.explain(&room("c"), None, &|_| false, now).decision, Decision::NotHeld);
    for number in 0..100 {
        cache.note_eviction(&numbered(number), TierReason::CacheExpired, now);
    }
    assert_eq!(cache.evicted().count(), limits::EVICTIONS_RECORDED);
}

#[test]
fn an_explanation_reads_like_this() {
    let mut cache = visited(PolicyKind::Score, 5, &["a", "b", "a"]);
    cache.set_priority(&room("a"), 5);
    let explained = cache.explain(&room("a"), None, &|_| false, Millis(15 * 60_000));
    assert_eq!(
        explained.text(),
        "It is kept: the policy score would drop others first. Visits: 2, use: medium, may stay for minutes: 60, left: 45. \
         Score 0.429 = 0.3 x age 0.500 + 0.3 x access 0.333 + 0.3 x recency 0.433 + 0.1 x priority 0.500."
    );
}

fn any_kind() -> impl Strategy<Value = PolicyKind> {
    prop::sample::select(PolicyKind::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn equal_visits_give_equal_decisions(kind in any_kind(), seed: u64, capacity in 1..40_usize) {
        let trace = uneven(seed, 1_500, 150);
        let [one, other] = [0; 2].map(|_| {
            let mut policy = kind.make(capacity);
            let hits = hits(&mut *policy, &trace, capacity);
            (hits, (0..150).map(|room| policy.worth(room)).collect::<Vec<_>>(), policy.victim(NOBODY))
        });
        prop_assert_eq!(one, other);
    }

    #[test]
    fn a_cache_is_never_over_and_evicts_one_room_at_a_time_and_the_one_it_named(
        kind in any_kind(), seed: u64, capacity in 1..40_usize,
    ) {
        let mut policy = kind.make(capacity);
        for (at, room) in (0..).zip(uneven(seed, 1_500, 150)) {
            policy.visit(room, policy.contains(room), Millis(at * 1_000));
            if policy.contains(room) {
                continue;
            }
            if policy.len() == capacity {
                let named = policy.victim(NOBODY);
                let before = policy.len();
                prop_assert_eq!(policy.evict(NOBODY), named);
                prop_assert_eq!(policy.len(), before - 1);
                prop_assert!(named.is_some_and(|room| !policy.contains(room)));
            }
            policy.admit(room);
            prop_assert!(policy.len() <= capacity && policy.contains(room));
        }
    }

    #[test]
    fn pinned_rooms_stay_and_explanations_agree_with_what_is_done(
        kind in any_kind(), seed: u64, capacity in 1..12_usize, pins in prop::collection::vec(0..40_u64, 0..14),
    ) {
        let mut cache = Cache::new(kind, capacity, BASE);
        let pins: Vec<RoomId> = pins.into_iter().map(numbered).collect();
        let is_kept = |id: &RoomId| pins.contains(id);
        for (at, number) in (0..).zip(uneven(seed, 400, 40)) {
            let (id, now) = (numbered(u64::from(number)), Millis(at * 10_000));
            cache.visit(&id, cache.contains(&id), now);
            cache.admit(&id, (number % 11) as u8, now);
            while cache.is_over() {
                let next: Vec<RoomId> = (0..40)
                    .map(numbered)
                    .filter(|id| cache.explain(id, None, &is_kept, now).decision == Decision::EvictNext)
                    .collect();
                let victim = cache.evict(&is_kept);
                prop_assert_eq!(next.first(), victim.as_ref());
                prop_assert!(next.len() <= 1 && !victim.as_ref().is_some_and(is_kept));
                if victim.is_none() {
                    // Everything is kept, and the cache says so.
                    prop_assert!((0..40).map(numbered).filter(|id| cache.contains(id)).all(|id| is_kept(&id)));
                    let text = cache.explain(&id, None, &is_kept, now).text();
                    prop_assert!(text.contains("over its size"));
                    break;
                }
            }
        }
    }

    #[test]
    fn no_bytes_make_the_cache_fail(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut sealed = alloc::vec![1];
        sealed.extend_from_slice(&crate::hash53(&bytes, 0).to_le_bytes());
        sealed.extend_from_slice(&bytes);
        for bytes in [&bytes, &sealed] {
            let _ = Visits::import(bytes);
            let mut cache = Cache::new(PolicyKind::Gf, 5, BASE);
            if cache.import(bytes, Millis(0)).is_ok() {
                cache.visit(&room("a"), false, Millis(0));
            }
        }
    }

    /// Any evidence that the checks let through can be worked with.
    #[test]
    fn forged_evidence_does_no_harm(numbers in prop::collection::vec(0..=(1_u64 << 17), 1_100)) {
        let mut writer = record::Writer::default();
        writer.number(1);
        numbers.iter().take(5).for_each(|number| writer.number(number & 1));
        for class in 0..20 {
            writer.number(numbers[class]);
            let share = |at: usize| numbers[20 + class * 48 + at] / 48;
            (0..48).for_each(|at| writer.number(share(at)));
        }
        writer.number(0);
        let mut cache = Cache::new(PolicyKind::Gf, 5, BASE);
        prop_assert_eq!(cache.import(&writer.finish(), Millis(0)), Ok(()));
        for (at, number) in (0..).zip(uneven(1, 300, 20)) {
            cache.visit(&numbered(u64::from(number)), false, Millis(at));
        }
    }
}
