//! The log itself: claims, appends, reads.

use super::*;

pub(crate) async fn a_room_that_nobody_claimed_has_no_log(store: SharedStore) {
    let room = room("nobody");
    assert_eq!(store.load(&room).await, Ok(None));
    let page = store.read(&room, at(1), 10, 1_000).await.unwrap();
    assert_eq!((page.head, page.entries), (Position::default(), vec![]));
    assert_eq!(store.put_snapshot(&room, at(0), entry(0)).await, Ok(false));
    assert_eq!(store.trim(&room, at(5)).await, Ok(0));
}

pub(crate) async fn the_first_claim_is_in_force(store: SharedStore) {
    let room = room("claimed");
    assert_eq!(store.claim(&room, EPOCH).await, Ok(EPOCH));
    assert_eq!(store.claim(&room, EPOCH + 1).await, Ok(EPOCH));
    let empty = Loaded { head: at(0), snapshot: None, entries: vec![] };
    assert_eq!(load(&store, &room).await, empty);
}

pub(crate) async fn claimers_that_race_get_the_same_epoch(store: SharedStore) {
    let room = room("contested");
    let claims = (1..=20).map(|epoch| {
        let (store, room) = (store.clone(), room.clone());
        tokio::spawn(async move { store.claim(&room, epoch).await.unwrap() })
    });
    let epochs: Vec<u64> = join_all(claims).await.into_iter().map(|epoch| epoch.unwrap()).collect();
    assert!(epochs.iter().all(|epoch| *epoch == epochs[0]), "{epochs:?}");
    assert_eq!(load(&store, &room).await.head, Position::start(epochs[0]));
}

pub(crate) async fn epochs_outside_53_bits_are_refused(store: SharedStore) {
    let room = room("epochs");
    is_invalid(store.claim(&room, 0).await);
    is_invalid(store.claim(&room, 1 << 53).await);
    assert_eq!(store.claim(&room, (1 << 53) - 1).await, Ok((1 << 53) - 1));
}

pub(crate) async fn appended_entries_are_loaded_and_read_in_order(store: SharedStore) {
    let room = filled(&store, "filled", 5).await;
    append(&store, &room, 5, entries(6, 300)).await;
    let loaded = load(&store, &room).await;
    assert_eq!(loaded, Loaded { head: at(300), snapshot: None, entries: entries(1, 300) });
    let page = store.read(&room, at(4), 3, 1_000).await.unwrap();
    assert_eq!((page.head, page.entries), (at(300), numbered(4, 6)));
    let page = store.read(&room, at(299), 100, 1_000).await.unwrap();
    assert_eq!(page.entries, numbered(299, 300));
    let page = store.read(&room, at(301), 100, 1_000).await.unwrap();
    assert_eq!((page.head, page.entries), (at(300), vec![]));
}

pub(crate) async fn an_append_elsewhere_is_a_conflict_with_the_missing_entries(store: SharedStore) {
    let room = filled(&store, "moved", 4).await;
    let appended = store.append(&room, Append::new(at(1), vec![entry(99)], Bytes::new())).await;
    assert_eq!(appended, Ok(Appended::Conflict { head: at(4), missing: entries(2, 4) }));
    assert_eq!(load(&store, &room).await.entries, entries(1, 4));
}

pub(crate) async fn an_append_of_an_unclaimed_room_conflicts_with_no_log(store: SharedStore) {
    let room = room("unclaimed");
    let appended = store.append(&room, Append::new(at(0), vec![entry(1)], Bytes::from_static(b"row"))).await;
    assert_eq!(appended, Ok(Appended::Conflict { head: Position::default(), missing: vec![] }));
    assert_eq!(store.load(&room).await, Ok(None));
    assert_eq!(store.summaries(None, 10).await, Ok(vec![]));
}

pub(crate) async fn an_append_of_another_epoch_conflicts_without_entries(store: SharedStore) {
    let room = filled(&store, "epoch", 3).await;
    let other = Position { epoch: EPOCH + 1, seq: 3 };
    let appended = store.append(&room, Append::new(other, vec![entry(4)], Bytes::new())).await;
    assert_eq!(appended, Ok(Appended::Conflict { head: at(3), missing: vec![] }));
}

pub(crate) async fn an_append_beyond_the_head_conflicts_without_entries(store: SharedStore) {
    let room = filled(&store, "ahead", 3).await;
    let appended = store.append(&room, Append::new(at(7), vec![entry(8)], Bytes::new())).await;
    assert_eq!(appended, Ok(Appended::Conflict { head: at(3), missing: vec![] }));
}

pub(crate) async fn the_same_append_twice_is_stored_once(store: SharedStore) {
    let room = filled(&store, "twice", 2).await;
    append(&store, &room, 2, entries(3, 4)).await;
    let again = store.append(&room, Append::new(at(2), entries(3, 4), Bytes::new())).await;
    assert_eq!(again, Ok(Appended::Conflict { head: at(4), missing: entries(3, 4) }));
    assert_eq!(load(&store, &room).await.entries, entries(1, 4));
}

async fn amend(store: &SharedStore, room: &RoomId, at_seq: u64, amended: &[(u64, &str)]) -> Appended {
    let amended = amended.iter().map(|(seq, text)| (*seq, Bytes::from((*text).to_owned()))).collect();
    let batch = vec![entry(at_seq + 1)];
    store
        .append(room, Append { amended, ..Append::new(at(at_seq), batch, Bytes::from_static(b"row")) })
        .await
        .unwrap()
}

async fn amended(store: &SharedStore, room: &RoomId, from: u64, before: u64) -> Vec<(u64, String)> {
    let rows = store.amended(room, at(from), before).await.unwrap();
    rows.into_iter().map(|(seq, row)| (seq, String::from_utf8(row.into()).unwrap())).collect()
}

pub(crate) async fn what_becomes_of_entries_is_stored_with_the_batch_that_says_so(store: SharedStore) {
    let row = |seq: u64, text: &str| (seq, text.to_owned());
    let room = filled(&store, "amended", 5).await;
    let neighbour = filled(&store, "amended-too", 5).await;
    assert_eq!(amended(&store, &room, 1, 100).await, []);
    assert_eq!(
        amend(&store, &room, 5, &[(4, "four"), (2, "two"), (6, "six")]).await,
        Appended::Done { head: at(6) }
    );
    amend(&store, &room, 6, &[(2, "two again")]).await;
    let all = [row(2, "two again"), row(4, "four"), row(6, "six")];
    assert_eq!(amended(&store, &room, 1, 100).await, all);
    assert_eq!(amended(&store, &room, 2, 6).await, all[..2]);
    assert_eq!(amended(&store, &room, 6, 6).await, []);
    assert_eq!(amended(&store, &neighbour, 1, 100).await, []);
    let other = Position { epoch: EPOCH + 1, seq: 1 };
    assert_eq!(store.amended(&room, other, 100).await, Ok(vec![]));
    // The entries are what they were; what became of them outlives them, for it may have happened just now.
    assert_eq!(load(&store, &room).await.entries, entries(1, 7));
    store.put_snapshot(&room, at(7), entry(0)).await.unwrap();
    assert_eq!(store.trim(&room, at(4)).await, Ok(4));
    assert_eq!(amended(&store, &room, 1, 100).await, all);
    // It is forgotten where it is what the caller means.
    let bytes = |seq: u64, text: &'static str| (seq, Bytes::from_static(text.as_bytes()));
    store.forget_amended(&room, EPOCH + 1, vec![bytes(2, "two again")]).await.unwrap();
    store.forget_amended(&room, EPOCH, vec![bytes(2, "two"), bytes(3, "three")]).await.unwrap();
    assert_eq!(amended(&store, &room, 1, 100).await, all);
    store.forget_amended(&room, EPOCH, vec![bytes(2, "two again"), bytes(6, "six")]).await.unwrap();
    assert_eq!(amended(&store, &room, 1, 100).await, all[1..2]);
}

pub(crate) async fn an_append_that_loses_amends_nothing(store: SharedStore) {
    let room = filled(&store, "lost", 5).await;
    let lost = amend(&store, &room, 3, &[(1, "lost")]).await;
    assert_eq!(lost, Appended::Conflict { head: at(5), missing: entries(4, 5) });
    for (seq, bytes) in [(0, vec![1]), (7, vec![1]), (1, vec![]), (1, vec![1; Limits::ENTRY_BYTES + 1])] {
        let invalid = vec![(seq, Bytes::from(bytes))];
        let refused = store
            .append(&room, Append { amended: invalid, ..Append::new(at(5), vec![entry(6)], Bytes::new()) })
            .await;
        assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
    }
    assert_eq!(amended(&store, &room, 1, 100).await, []);
    assert_eq!(load(&store, &room).await.head, at(5));
}

pub(crate) async fn appenders_that_race_lose_and_double_nothing(store: SharedStore) {
    const WRITERS: usize = 8;
    const EACH: usize = 25;
    let room = filled(&store, "race", 0).await;
    let writers = (0..WRITERS).map(|writer| {
        let (store, room) = (store.clone(), room.clone());
        tokio::spawn(async move {
            let mut head = at(0);
            for n in 0..EACH {
                let mine = Bytes::from(format!("{writer}/{n}"));
                loop {
                    match store
                        .append(&room, Append::new(head, vec![mine.clone()], Bytes::new()))
                        .await
                        .unwrap()
                    {
                        Appended::Done { head: now } => break head = now,
                        Appended::Conflict { head: now, missing } => {
                            assert_eq!(now.seq, head.seq + missing.len() as u64);
                            assert!(!missing.contains(&mine));
                            head = now;
                        }
                    }
                }
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    let loaded = load(&store, &room).await;
    assert_eq!(loaded.head, at((WRITERS * EACH) as u64));
    for writer in 0..WRITERS {
        let prefix = format!("{writer}/");
        let own: Vec<_> =
            loaded.entries.iter().filter(|entry| entry.starts_with(prefix.as_bytes())).collect();
        let expected: Vec<_> = (0..EACH).map(|n| format!("{prefix}{n}")).collect();
        assert_eq!(own, expected.iter().map(String::as_bytes).collect::<Vec<_>>());
    }
}

pub(crate) async fn rooms_do_not_see_each_other(store: SharedStore) {
    // Ids of which one begins with the other, and which sort right beside each other.
    let rooms = ["a", "a:", "a:b", "aa", "b"];
    for (n, name) in rooms.iter().enumerate() {
        filled(&store, name, n as u64 + 1).await;
    }
    for (n, name) in rooms.iter().enumerate() {
        let loaded = load(&store, &room(name)).await;
        assert_eq!(loaded.entries, entries(1, n as u64 + 1), "{name}");
        let page = store.read(&room(name), at(1), 100, 10_000).await.unwrap();
        assert_eq!(page.entries.len(), n + 1, "{name}");
    }
}

pub(crate) async fn appends_outside_the_limits_are_refused_and_change_nothing(store: SharedStore) {
    let room = filled(&store, "limits", 1).await;
    let none = Bytes::new();
    let of = |size| Bytes::from(vec![1; size]);
    is_invalid(store.append(&room, Append::new(at(1), vec![], none.clone())).await);
    is_invalid(store.append(&room, Append::new(at(1), vec![none.clone()], none.clone())).await);
    is_invalid(
        store.append(&room, Append::new(at(1), vec![of(Limits::ENTRY_BYTES + 1)], none.clone())).await,
    );
    is_invalid(
        store.append(&room, Append::new(at(1), vec![of(1); Limits::BATCH_ENTRIES + 1], none.clone())).await,
    );
    let large = Limits::BATCH_BYTES / Limits::ENTRY_BYTES + 1;
    is_invalid(
        store.append(&room, Append::new(at(1), vec![of(Limits::ENTRY_BYTES); large], none.clone())).await,
    );
    is_invalid(store.append(&room, Append::new(at(1), vec![of(1)], of(Limits::SUMMARY_BYTES + 1))).await);
    is_invalid(store.append(&room, Append::new(Position::start(0), vec![of(1)], none.clone())).await);
    is_invalid(store.append(&room, Append::new(at((1 << 53) - 1), vec![of(1)], none)).await);
    is_invalid(store.put_snapshot(&room, at(1), Bytes::new()).await);
    is_invalid(store.put_snapshot(&room, at(1), of(Limits::SNAPSHOT_BYTES + 1)).await);
    assert_eq!(load(&store, &room).await, Loaded { head: at(1), snapshot: None, entries: entries(1, 1) });
}

pub(crate) async fn the_largest_append_is_taken(store: SharedStore) {
    let room = filled(&store, "large", 0).await;
    let large = Bytes::from(vec![7; Limits::ENTRY_BYTES]);
    let count = Limits::BATCH_BYTES / Limits::ENTRY_BYTES;
    append(&store, &room, 0, vec![large.clone(); count]).await;
    append(&store, &room, count as u64, vec![Bytes::from_static(b"x"); Limits::BATCH_ENTRIES]).await;
    assert_eq!(
        store.put_snapshot(&room, at(1), Bytes::from(vec![1; Limits::SNAPSHOT_BYTES])).await,
        Ok(true)
    );
    assert_eq!(load(&store, &room).await.entries[0], large);
}

pub(crate) async fn a_conflict_over_many_entries_is_capped(store: SharedStore) {
    let count = Limits::PAGE_ENTRIES as u64 + 10;
    let room = filled(&store, "behind", count).await;
    let appended = store.append(&room, Append::new(at(0), vec![entry(1)], Bytes::new())).await.unwrap();
    let Appended::Conflict { head, missing } = appended else { panic!("{appended:?}") };
    assert_eq!((head, missing.len()), (at(count), Limits::PAGE_ENTRIES));
    assert_eq!(missing[0], entry(1));
}

pub(crate) async fn pages_keep_their_bounds_and_always_advance(store: SharedStore) {
    let room = filled(&store, "pages", 0).await;
    let sized = |size| Bytes::from(vec![1; size]);
    append(&store, &room, 0, vec![sized(10), sized(10), sized(500), sized(10)]).await;
    let sizes = async |from, limit, bytes| {
        let page = store.read(&room, at(from), limit, bytes).await.unwrap();
        page.entries.iter().map(|(seq, entry)| (*seq, entry.len())).collect::<Vec<_>>()
    };
    assert_eq!(sizes(1, 10, 25).await, [(1, 10), (2, 10)]);
    assert_eq!(sizes(3, 10, 25).await, [(3, 500)]);
    assert_eq!(sizes(2, 1, 25).await, [(2, 10)]);
    assert_eq!(sizes(1, 0, 25).await, []);
    assert_eq!(sizes(0, 1, 25).await, [(1, 10)]);
    let count = Limits::PAGE_ENTRIES as u64 + 4;
    append(&store, &room, 4, entries(5, 1_000)).await;
    append(&store, &room, 1_000, entries(1_001, 2_000)).await;
    append(&store, &room, 2_000, entries(2_001, count)).await;
    assert_eq!(sizes(1, usize::MAX, usize::MAX).await.len(), Limits::PAGE_ENTRIES);
}

pub(crate) async fn reading_another_epoch_gives_the_head_alone(store: SharedStore) {
    let room = filled(&store, "reborn", 3).await;
    let page = store.read(&room, Position { epoch: 1, seq: 1 }, 10, 1_000).await.unwrap();
    assert_eq!((page.head, page.entries), (at(3), vec![]));
}
