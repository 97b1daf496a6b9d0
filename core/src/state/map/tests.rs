use alloc::format;
use alloc::string::String;

use proptest::prelude::*;

use super::*;

fn change(key: &str, version: u64, nonce: u64) -> v1::ElementChange {
    let value = format!("{key} {version} {nonce}").into();
    v1::ElementChange { key: key.into(), value, version, nonce, index: "a0".into(), deleted: false }
}

fn at(index: &str, change: v1::ElementChange) -> v1::ElementChange {
    v1::ElementChange { index: index.into(), ..change }
}

fn gone(change: v1::ElementChange) -> v1::ElementChange {
    v1::ElementChange { deleted: true, ..change }
}

fn put(changes: &[v1::ElementChange]) -> v1::PutElements {
    v1::PutElements { elements: changes.to_vec() }
}

/// A map, its digest, and the log that it has folded.
#[derive(Clone, Default)]
struct Board {
    map: ElementMap,
    digest: Digest,
    seq: u64,
}

impl Board {
    fn write(&mut self, author: &str, now: u64, changes: &[v1::ElementChange]) -> Vec<String> {
        self.seq += 1;
        self.map.purge(now, &mut self.digest);
        let mut changed = Vec::new();
        let by = (self.seq, author, Millis(now));
        self.map.put(by, &put(changes), &mut self.digest, |key| changed.push(key.into()));
        changed
    }

    fn shown(&self) -> Vec<(&str, &str)> {
        self.map.ordered().iter().map(|element| (&*element.key, &*element.index)).collect()
    }
}

fn board(changes: &[v1::ElementChange]) -> Board {
    let mut board = Board::default();
    board.write("ada", 1, changes);
    board
}

#[test]
fn the_higher_version_holds_whichever_comes_first() {
    for order in [[1, 2], [2, 1]] {
        let mut board = Board::default();
        order.iter().for_each(|version| drop(board.write("ada", 1, &[change("rect", *version, 5)])));
        assert_eq!(board.map.get("rect").unwrap().value, b"rect 2 5");
    }
}

#[test]
fn two_who_draw_from_the_same_version_end_with_the_lower_nonce_whichever_comes_first() {
    for order in [[7, 3], [3, 7]] {
        let mut board = Board::default();
        order.iter().for_each(|nonce| drop(board.write("ada", 1, &[change("rect", 4, *nonce)])));
        assert_eq!(board.map.get("rect").unwrap().nonce, 3);
    }
}

#[test]
fn one_who_saves_the_whole_board_erases_nothing_that_others_have_drawn() {
    let mut board = board(&[change("mine", 1, 1), change("theirs", 1, 1)]);
    board.write("bob", 2, &[change("theirs", 2, 9)]);
    // Ada's board is from before bob's change, and she sends all of it.
    assert_eq!(board.write("ada", 3, &[change("mine", 2, 4), change("theirs", 1, 1)]), ["mine"]);
    assert_eq!(board.map.get("theirs").unwrap().version, 2);
}

#[test]
fn elements_are_shown_by_index_and_those_of_one_index_by_key() {
    let board = board(&[
        at("a2", change("x", 1, 1)),
        at("a0", change("z", 1, 1)),
        at("a0", change("y", 1, 1)),
        at("Zz", change("w", 1, 1)),
    ]);
    assert_eq!(board.shown(), [("w", "Zz"), ("y", "a0"), ("z", "a0"), ("x", "a2")]);
}

#[test]
fn healing_an_index_raises_no_version_so_a_peers_edit_still_holds() {
    let mut board = board(&[change("rect", 4, 8)]);
    assert_eq!(board.write("bob", 2, &[at("a5", change("rect", 4, 8))]), ["rect"]);
    let healed = board.map.get("rect").unwrap();
    assert_eq!((healed.version, healed.index.as_str()), (4, "a5"));
    // Ada has not seen the healing, and goes on drawing.
    board.write("ada", 3, &[change("rect", 5, 2)]);
    assert_eq!(board.map.get("rect").unwrap().value, b"rect 5 2");
}

#[test]
fn of_two_healers_the_later_in_the_log_holds_and_neither_touches_the_content() {
    let mut board = board(&[change("rect", 4, 8)]);
    board.write("ada", 2, &[at("a5", change("rect", 4, 8))]);
    let other = v1::ElementChange { value: b"other".into(), ..at("a3", change("rect", 4, 8)) };
    board.write("bob", 3, &[other]);
    let healed = board.map.get("rect").unwrap();
    assert_eq!((healed.index.as_str(), healed.value.as_slice()), ("a3", &b"rect 4 8"[..]));
}

#[test]
fn what_is_deleted_does_not_come_back_by_an_older_version_within_a_day() {
    let day = limits::TOMBSTONE;
    let mut board = board(&[change("rect", 1, 1)]);
    board.write("ada", 10, &[gone(change("rect", 2, 1))]);
    assert!(board.map.is_empty() && board.map.get("rect").unwrap().value.is_empty());
    assert!(board.write("bob", 9 + day, &[change("rect", 1, 1)]).is_empty());
    // By undoing it does, as a newer version.
    let mut undone = board.clone();
    undone.write("ada", 9 + day, &[change("rect", 3, 1)]);
    assert_eq!(undone.map.len(), 1);
    assert!(undone.map.tombstones.is_empty());
    // And after a day nobody remembers.
    board.write("bob", 10 + day, &[change("other", 1, 1)]);
    assert!(board.map.get("rect").is_none() && board.map.tombstones.is_empty());
    assert_eq!(board.map.registers().len(), 1);
}

#[test]
fn in_a_map_of_settings_the_last_writer_holds_whatever_the_version() {
    let mut board = Board { map: ElementMap::new(Rule::LastWriter), ..Board::default() };
    board.write("ada", 1, &[change("theme", 9, 1)]);
    board.write("ada", 2, &[change("theme", 2, 7)]);
    let theme = board.map.get("theme").unwrap();
    assert_eq!((theme.value.as_slice(), theme.version), (&b"theme 2 7"[..], 10));
    assert_eq!(board.map.admit(&put(&[change("theme", 1, 1)])), Ok(()));
}

#[test]
fn a_write_that_would_change_nothing_is_told_from_one_that_is_outdated() {
    let board = board(&[change("a", 2, 5), change("b", 2, 5)]);
    assert!(board.map.is_settled(&put(&[change("a", 2, 5)])));
    assert_eq!(board.map.admit(&put(&[change("a", 2, 5)])), Ok(()));
    assert!(!board.map.is_settled(&put(&[change("a", 1, 5)])));
    assert_eq!(board.map.admit(&put(&[change("a", 1, 5), change("b", 2, 6)])), Err(Code::ElementOutdated));
    assert_eq!(board.map.admit(&put(&[change("a", 1, 5), change("b", 3, 6)])), Ok(()));
}

#[test]
fn a_full_map_takes_nothing_more_but_deletions_make_room() {
    let mut board = Board::default();
    let large = |key: &str, version| v1::ElementChange {
        value: alloc::vec![7; limits::ELEMENT_BYTES],
        ..change(key, version, 1)
    };
    let mut count = 0;
    while board.map.admit(&put(&[large(&format!("{count}"), 1)])).is_ok() {
        board.write("ada", 1, &[large(&format!("{count}"), 1)]);
        count += 1;
    }
    assert!(board.map.bytes() <= limits::MAP_BYTES && count > 70, "{count}");
    assert_eq!(board.map.admit(&put(&[large("more", 1)])), Err(Code::MapFull));
    assert_eq!(board.map.admit(&put(&[large("0", 2)])), Ok(()), "of the same size");
    let deletion = [gone(change("0", 2, 1))];
    assert_eq!(board.map.admit(&put(&deletion)), Ok(()));
    board.write("ada", 2, &deletion);
    assert_eq!(board.map.admit(&put(&[large("0", 3)])), Ok(()));
}

fn any_change() -> impl Strategy<Value = v1::ElementChange> {
    ("[a-d]", 1..4_u64, 0..3_u64, "[a-c][0-9]", any::<bool>()).prop_map(
        |(key, version, nonce, index, deleted)| v1::ElementChange {
            deleted,
            ..at(&index, change(&key, version, nonce))
        },
    )
}

proptest! {
    #[test]
    fn the_lists_and_the_digest_are_those_of_the_registers(
        log in prop::collection::vec((prop::collection::vec(any_change(), 1..4), 0..limits::TOMBSTONE), 0..40),
    ) {
        let mut board = Board::default();
        let mut now = 0;
        for (changes, passed) in log {
            now += passed;
            board.write("ada", now, &changes);
        }
        let registers: Vec<_> = board.map.registers().iter().map(|element| v1::Element::clone(element)).collect();
        let mut digest = Digest::default();
        let restored = ElementMap::restore(Rule::Versioned, registers, &mut digest).unwrap();
        prop_assert_eq!(digest, board.digest);
        prop_assert_eq!(&restored.ordered, &board.map.ordered);
        prop_assert_eq!(&restored.tombstones, &board.map.tombstones);
        prop_assert_eq!(restored.bytes, board.map.bytes);
        prop_assert!(board.map.ordered.is_sorted_by_key(|element| (&element.index, &element.key)));
        prop_assert!(board.map.tombstones.iter().all(|element| element.deleted_at + limits::TOMBSTONE > now));
    }

    #[test]
    fn the_newer_of_elements_does_not_depend_on_their_order_or_repetition(
        changes in prop::collection::vec(any_change(), 3),
    ) {
        let element = |index: usize| {
            let mut board = Board { seq: index as u64, ..Board::default() };
            board.write("ada", 1, &[v1::ElementChange { key: "k".into(), ..changes[index].clone() }]);
            v1::Element::clone(&board.map.registers()[0])
        };
        let [a, b, c] = [element(0), element(1), element(2)];
        prop_assert_eq!(newer(&a, &b), newer(&b, &a));
        prop_assert_eq!(newer(newer(&a, &b), &c), newer(&a, newer(&b, &c)));
        prop_assert_eq!(newer(&a, &a), &a);
    }

    #[test]
    fn writes_that_heal_nothing_give_one_board_in_any_order(
        changes in prop::collection::vec(any_change(), 0..12),
        turn in 0..12_usize,
    ) {
        // One index and one fate for each version and nonce, as of one author's write.
        let changes: Vec<_> = changes.into_iter().map(|change| v1::ElementChange {
            index: format!("a{}", change.nonce),
            deleted: change.version % 3 == 0,
            ..change
        }).collect();
        let mut turned = changes.clone();
        turned.rotate_left(turn.min(changes.len()));
        let content = |board: &Board| -> Vec<_> {
            let registers = board.map.registers().iter();
            registers.map(|element| (element.key.clone(), element.version, element.nonce)).collect()
        };
        prop_assert_eq!(content(&board(&changes)), content(&board(&turned)));
        prop_assert_eq!(board(&changes).map.len(), board(&turned).map.len());
    }
}
