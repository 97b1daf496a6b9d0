use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::{Code, Rng};

fn room(id: &str) -> RoomId {
    RoomId::new(id).unwrap()
}

fn numbered(number: u64) -> RoomId {
    room(&alloc::format!("room-{number}"))
}

fn trained<'a>(visits: impl IntoIterator<Item = &'a str>) -> Predictor {
    let visits: Vec<RoomId> = visits.into_iter().map(room).collect();
    let mut predictor = Predictor::new(Bounds::default());
    predictor.extend(&visits);
    predictor
}

fn next(predictor: &Predictor, count: usize) -> Vec<String> {
    predictor.predict(count, |_| false).into_iter().map(|prediction| prediction.room.to_string()).collect()
}

/// Navigation with habits: mostly one of three rooms that a room leads to.
fn wander(seed: u64, rooms: u64, visits: usize) -> Vec<RoomId> {
    let mut rng = Rng::new(seed);
    let mut at = 0;
    let step = |_| {
        at = if rng.below(10) == 0 { rng.below(rooms) } else { (at * 7 + rng.below(3)) % rooms };
        numbered(at)
    };
    (0..visits).map(step).collect()
}

#[test]
fn without_a_history_nothing_is_predicted() {
    assert_eq!(next(&Predictor::new(Bounds::default()), 8), [""; 0]);
    assert_eq!(next(&trained(["lobby"]), 8), [""; 0]);
}

#[test]
fn what_came_after_a_room_is_expected_again() {
    let predictor = trained(["lobby", "game", "lobby", "game", "lobby", "chat", "board", "lobby"]);
    let predicted = predictor.predict(1, |_| false);
    assert_eq!(
        (predicted[0].room.as_str(), predicted[0].because, predicted[0].times),
        ("game", Because::FollowsRoom, 2)
    );
}

#[test]
fn where_somebody_comes_from_says_where_they_go() {
    // From the door by the hall to the game; from the chat by the hall to the board.
    let tour = ["door", "hall", "game", "chat", "hall", "board"];
    let mut visits: Vec<&str> = tour.iter().copied().cycle().take(60).collect();
    visits.extend(["door", "hall"]);
    let predicted = trained(visits.iter().copied()).predict(1, |_| false);
    assert_eq!((predicted[0].room.as_str(), predicted[0].because), ("game", Because::FollowsPair));
    visits.extend(["game", "chat", "hall"]);
    assert_eq!(next(&trained(visits), 1), ["board"]);
}

#[test]
fn a_popular_room_is_expected_where_nothing_else_is_known() {
    let visits = ["a", "hub", "b", "hub", "c", "hub", "d", "hub", "e", "new"];
    let predicted = trained(visits).predict(1, |_| false);
    assert_eq!(
        (predicted[0].room.as_str(), predicted[0].because, predicted[0].times),
        ("hub", Because::Popular, 4)
    );
}

#[test]
fn what_is_held_and_where_the_user_is_is_not_predicted() {
    let predictor = trained(["a", "b", "a", "c", "a", "b", "a"]);
    let predicted = predictor.predict(8, |room| room == "b");
    assert_eq!(predicted.iter().map(|prediction| prediction.room.as_str()).collect::<Vec<_>>(), ["c"]);
}

#[test]
fn staying_in_a_room_is_no_navigation() {
    let mut predictor = trained(["a", "b", "a"]);
    let bytes = predictor.export();
    predictor.visit(&room("a"));
    assert_eq!((predictor.visits(), predictor.export()), (3, bytes));
}

#[test]
fn the_likeliest_is_first_and_a_habit_makes_it_likelier() {
    let mut predictor = Predictor::new(Bounds::default());
    let confidence = |predictor: &Predictor| predictor.predict(1, |_| false)[0].confidence;
    predictor.extend(&wander(1, 200, 300));
    let before = confidence(&predictor);
    let track: Vec<RoomId> = (0..30).map(numbered).collect();
    (0..40).for_each(|_| predictor.extend(&track));
    assert_eq!(next(&predictor, 1), ["room-0"]);
    assert!(before < 900_000 && confidence(&predictor) > 900_000, "{before} {}", confidence(&predictor));
    let predicted = predictor.predict(20, |_| false);
    assert!(predicted.is_sorted_by(|one, other| one.confidence >= other.confidence));
}

#[test]
fn equal_visits_give_the_bytes_that_they_gave_on_every_platform_before() {
    let mut predictor = Predictor::new(Bounds::default());
    predictor.extend(&wander(93, 300, 5_000));
    let predicted = predictor.predict(3, |_| false);
    let predicted: Vec<_> =
        predicted.iter().map(|prediction| (prediction.room.as_str(), prediction.confidence)).collect();
    assert_eq!(predicted, [("room-159", 370_864), ("room-158", 348_846), ("room-160", 288_024)]);
    assert_eq!(crate::hash53(&predictor.export(), 0), 7_617_006_465_073_929);
}

#[test]
fn what_was_exported_predicts_the_same_elsewhere() {
    let mut predictor = Predictor::new(Bounds::default());
    for (at, room) in wander(5, 3_000, 6_000).iter().enumerate() {
        predictor.visit(room);
        if at % 500 == 3 {
            let mut copy = trained(["something", "else"]);
            copy.import(&predictor.export()).unwrap();
            assert_eq!(copy.predict(50, |_| false), predictor.predict(50, |_| false));
            assert_eq!(copy.export(), predictor.export());
        }
    }
}

#[test]
fn damaged_truncated_and_newer_bytes_are_refused_and_learning_starts_afresh() {
    let bytes = trained(["a", "b", "a", "b", "a"]).export();
    let mut newer = bytes.clone();
    newer[0] += 1;
    let mut damaged: Vec<Vec<u8>> = (0..bytes.len()).map(|length| bytes[..length].to_vec()).collect();
    damaged.extend((0..bytes.len()).map(|at| {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        flipped
    }));
    damaged.push(newer);
    for damaged in damaged {
        let mut predictor = trained(["a", "b", "a"]);
        assert_eq!(predictor.import(&damaged), Err(Code::ModelDamaged));
        assert!(predictor.is_empty());
        predictor.extend(&["c", "d", "c"].map(room));
        assert_eq!(next(&predictor, 1), ["d"]);
    }
}

#[test]
fn more_than_the_bounds_is_refused() {
    let mut large = Predictor::new(Bounds::default());
    large.extend(&wander(5, 1_000, 2_000));
    let mut small = Predictor::new(Bounds { rooms: 64, ..Bounds::default() });
    assert_eq!(small.import(&large.export()), Err(Code::ModelDamaged));
}

#[test]
fn erasing_leaves_nothing() {
    let mut predictor = trained(["secret", "lobby", "secret", "lobby"]);
    predictor.erase();
    assert!(predictor.is_empty());
    assert_eq!(predictor.export(), Predictor::new(Bounds::default()).export());
    assert_eq!(next(&predictor, 8), [""; 0]);
}

#[test]
fn memory_is_bounded_whatever_the_navigation() {
    // Ever new rooms with the longest ids; then many rooms in every order.
    let mut predictor = Predictor::new(Bounds::default());
    let mut most = 0;
    for number in 0..6_000_u64 {
        predictor.visit(&room(&alloc::format!("{number:064}")));
        most = most.max(predictor.memory_bytes());
    }
    let mut rng = Rng::new(3);
    for _ in 0..20_000 {
        predictor.visit(&numbered(rng.below(2_300)));
        most = most.max(predictor.memory_bytes());
    }
    assert!((200_000..=MEMORY_BYTES).contains(&most), "{most}");
    // Few rooms take little.
    let mut predictor = Predictor::new(Bounds::default());
    predictor.extend(&wander(5, 50, 500));
    assert!(predictor.memory_bytes() < 20_000, "{}", predictor.memory_bytes());
}

#[test]
fn what_is_forgotten_first_is_what_was_visited_least_and_longest_ago() {
    let mut predictor = Predictor::new(Bounds { rooms: 64, ..Bounds::default() });
    for _ in 0..3 {
        predictor.extend(&["often", "too"].map(room));
    }
    for number in 0..200 {
        predictor.visit(&numbered(number));
    }
    let known = |id: &str| predictor.rooms.find(id).is_some();
    assert!(known("often") && known("too") && known("room-199") && !known("room-0"));
    assert_eq!(predictor.rooms.len().div_ceil(8), 8);
    assert!(next(&predictor, 2).contains(&"often".into()));
}

proptest! {
    #[test]
    fn any_navigation_within_small_bounds_keeps_everything_in_order(
        visits in prop::collection::vec(0..150_u64, 0..600),
        rooms in 0..100_usize,
        pairs in 0..300_usize,
    ) {
        let bounds = Bounds { rooms, names: 0, pairs };
        let mut predictor = Predictor::new(bounds);
        for visit in &visits {
            predictor.visit(&numbered(*visit));
            let rooms = &predictor.rooms;
            prop_assert!(rooms.len() <= rooms.known.len().max(64));
            prop_assert!(rooms.ranks.is_sorted_by_key(|room| core::cmp::Reverse(rooms.known[usize::from(*room)].visits)));
        }
        let last = visits.last().map(|last| numbered(*last));
        let predicted = predictor.predict(10, |_| false);
        prop_assert!(predicted.iter().all(|prediction| Some(&prediction.room) != last.as_ref()));
        prop_assert!(predicted.iter().all(|prediction| prediction.confidence <= 1_000_000));
        let mut copy = Predictor::new(bounds);
        copy.import(&predictor.export()).unwrap();
        prop_assert_eq!(copy.predict(10, |_| false), predicted);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), visits in prop::collection::vec(0..40_u64, 1..60)) {
        let mut predictor = Predictor::new(Bounds::default());
        prop_assert!(predictor.import(&bytes).is_err());
        predictor.extend(&visits.iter().map(|visit| numbered(*visit)).collect::<Vec<_>>());
        // What is inside may be anything, if it comes with a right checksum.
        let packed = predictor.export();
        let length = u32::from_le_bytes(packed[9..13].try_into().unwrap()) as usize;
        let mut plain = lz4_flex::block::decompress(&packed[13..], length).unwrap();
        for (at, byte) in bytes.iter().enumerate() {
            let place = (at * 7_919 + usize::from(*byte) * 31) % plain.len();
            plain[place] = *byte;
        }
        let block = lz4_flex::block::compress(&plain);
        let mut forged = vec![packed[0]];
        forged.extend(crate::hash53(&block, length as u64).to_le_bytes());
        forged.extend((length as u32).to_le_bytes());
        forged.extend(block);
        let _ = predictor.import(&forged);
        predictor.predict(5, |_| false);
        predictor.extend(&visits.iter().map(|visit| numbered(*visit)).collect::<Vec<_>>());
        predictor.predict(5, |_| false);
    }
}
