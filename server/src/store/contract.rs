//! The contract of [`RoomStore`](super::RoomStore) as tests, the same for every store.
//!
//! `contract!(name, Fixture)` is the one line that a store needs; it runs every case. The cases are listed once, here:
//! a case that is listed and not written doesn't compile, and neither does one that is written and not listed, because
//! dead code is an error in [`cases`].

use super::SharedStore;

/// Makes empty stores of one kind.
pub(crate) trait Fixture: Sized {
    /// An empty store, and what must live as long as it.
    fn new() -> impl Future<Output = (SharedStore, Self)>;
}

macro_rules! contract {
    ($store:ident, $fixture:ty) => {
        crate::store::contract::contract!(@tests $store, $fixture, [
            a_room_that_nobody_claimed_has_no_log,
            the_first_claim_is_in_force,
            claimers_that_race_get_the_same_epoch,
            epochs_outside_53_bits_are_refused,
            appended_entries_are_loaded_and_read_in_order,
            an_append_elsewhere_is_a_conflict_with_the_missing_entries,
            an_append_of_an_unclaimed_room_conflicts_with_no_log,
            an_append_of_another_epoch_conflicts_without_entries,
            an_append_beyond_the_head_conflicts_without_entries,
            the_same_append_twice_is_stored_once,
            what_becomes_of_entries_is_stored_with_the_batch_that_says_so,
            an_append_that_loses_amends_nothing,
            appenders_that_race_lose_and_double_nothing,
            rooms_do_not_see_each_other,
            appends_outside_the_limits_are_refused_and_change_nothing,
            the_largest_append_is_taken,
            a_conflict_over_many_entries_is_capped,
            pages_keep_their_bounds_and_always_advance,
            reading_another_epoch_gives_the_head_alone,
            a_load_starts_after_the_snapshot,
            a_load_of_many_entries_is_capped,
            a_snapshot_never_goes_backwards,
            a_snapshot_outside_the_log_is_not_taken,
            trim_keeps_order_and_what_the_snapshot_does_not_cover,
            a_trimmed_room_takes_appends_and_reports_what_it_can,
            trim_of_another_epoch_does_nothing,
            a_long_trim_goes_in_steps,
            the_directory_is_paged_by_id,
            an_empty_summary_takes_the_row_away,
            a_refused_append_leaves_the_directory_alone,
            rows_are_found_by_id,
            watchers_are_told_of_appends,
            leases_are_replaced_dropped_and_expire,
            leases_outside_the_limits_are_refused,
            a_closed_store_says_so,
        ]);
    };
    (@tests $store:ident, $fixture:ty, [$($case:ident),* $(,)?]) => {
        mod $store {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let (store, _fixture) = <$fixture as crate::store::contract::Fixture>::new().await;
                    crate::store::contract::cases::$case(store).await;
                }
            )*
        }
    };
}
pub(crate) use contract;

#[deny(dead_code)]
pub(crate) mod cases {
    use std::time::Duration;

    use bytes::Bytes;
    use enfilade_core::{Position, RoomId};
    use futures_util::future::join_all;

    use crate::store::{Appended, Hint, Limits, Loaded, SharedStore, StoreError};

    const EPOCH: u64 = 4_242;

    fn room(name: &str) -> RoomId {
        RoomId::new(name).unwrap()
    }

    fn at(seq: u64) -> Position {
        Position { epoch: EPOCH, seq }
    }

    fn entry(seq: u64) -> Bytes {
        Bytes::from(format!("entry {seq}"))
    }

    /// Entries with the seqs from `first` to `last`.
    fn entries(first: u64, last: u64) -> Vec<Bytes> {
        (first..=last).map(entry).collect()
    }

    fn numbered(first: u64, last: u64) -> Vec<(u64, Bytes)> {
        (first..=last).map(|seq| (seq, entry(seq))).collect()
    }

    /// A room with `count` entries.
    async fn filled(store: &SharedStore, name: &str, count: u64) -> RoomId {
        let room = room(name);
        assert_eq!(store.claim(&room, EPOCH).await, Ok(EPOCH));
        let mut seq = 0;
        while seq < count {
            let last = count.min(seq + Limits::BATCH_ENTRIES as u64);
            append(store, &room, seq, entries(seq + 1, last)).await;
            seq = last;
        }
        room
    }

    async fn append(store: &SharedStore, room: &RoomId, seq: u64, batch: Vec<Bytes>) {
        let head = at(seq + batch.len() as u64);
        let appended = store.append(room, at(seq), batch, Bytes::from_static(b"row")).await;
        assert_eq!(appended, Ok(Appended::Done { head }));
    }

    async fn load(store: &SharedStore, room: &RoomId) -> Loaded {
        store.load(room).await.unwrap().unwrap()
    }

    fn is_invalid<T: std::fmt::Debug>(result: Result<T, StoreError>) {
        assert!(matches!(result, Err(StoreError::Invalid(_))), "{result:?}");
    }

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
        let appended = store.append(&room, at(1), vec![entry(99)], Bytes::new()).await;
        assert_eq!(appended, Ok(Appended::Conflict { head: at(4), missing: entries(2, 4) }));
        assert_eq!(load(&store, &room).await.entries, entries(1, 4));
    }

    pub(crate) async fn an_append_of_an_unclaimed_room_conflicts_with_no_log(store: SharedStore) {
        let room = room("unclaimed");
        let appended = store.append(&room, at(0), vec![entry(1)], Bytes::from_static(b"row")).await;
        assert_eq!(appended, Ok(Appended::Conflict { head: Position::default(), missing: vec![] }));
        assert_eq!(store.load(&room).await, Ok(None));
        assert_eq!(store.summaries(None, 10).await, Ok(vec![]));
    }

    pub(crate) async fn an_append_of_another_epoch_conflicts_without_entries(store: SharedStore) {
        let room = filled(&store, "epoch", 3).await;
        let other = Position { epoch: EPOCH + 1, seq: 3 };
        let appended = store.append(&room, other, vec![entry(4)], Bytes::new()).await;
        assert_eq!(appended, Ok(Appended::Conflict { head: at(3), missing: vec![] }));
    }

    pub(crate) async fn an_append_beyond_the_head_conflicts_without_entries(store: SharedStore) {
        let room = filled(&store, "ahead", 3).await;
        let appended = store.append(&room, at(7), vec![entry(8)], Bytes::new()).await;
        assert_eq!(appended, Ok(Appended::Conflict { head: at(3), missing: vec![] }));
    }

    pub(crate) async fn the_same_append_twice_is_stored_once(store: SharedStore) {
        let room = filled(&store, "twice", 2).await;
        append(&store, &room, 2, entries(3, 4)).await;
        let again = store.append(&room, at(2), entries(3, 4), Bytes::new()).await;
        assert_eq!(again, Ok(Appended::Conflict { head: at(4), missing: entries(3, 4) }));
        assert_eq!(load(&store, &room).await.entries, entries(1, 4));
    }

    async fn amend(store: &SharedStore, room: &RoomId, at_seq: u64, amended: &[(u64, &str)]) -> Appended {
        let amended = amended.iter().map(|(seq, text)| (*seq, Bytes::from((*text).to_owned()))).collect();
        let batch = vec![entry(at_seq + 1)];
        store.append_amending(room, at(at_seq), batch, Bytes::from_static(b"row"), amended).await.unwrap()
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
        // The entries are what they were; what is trimmed goes with what became of it.
        assert_eq!(load(&store, &room).await.entries, entries(1, 7));
        store.put_snapshot(&room, at(7), entry(0)).await.unwrap();
        assert_eq!(store.trim(&room, at(4)).await, Ok(4));
        assert_eq!(amended(&store, &room, 1, 100).await, all[1..]);
    }

    pub(crate) async fn an_append_that_loses_amends_nothing(store: SharedStore) {
        let room = filled(&store, "lost", 5).await;
        let lost = amend(&store, &room, 3, &[(1, "lost")]).await;
        assert_eq!(lost, Appended::Conflict { head: at(5), missing: entries(4, 5) });
        for (seq, bytes) in [(0, vec![1]), (7, vec![1]), (1, vec![]), (1, vec![1; Limits::ENTRY_BYTES + 1])] {
            let invalid = vec![(seq, Bytes::from(bytes))];
            let refused = store.append_amending(&room, at(5), vec![entry(6)], Bytes::new(), invalid).await;
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
                        match store.append(&room, head, vec![mine.clone()], Bytes::new()).await.unwrap() {
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
        is_invalid(store.append(&room, at(1), vec![], none.clone()).await);
        is_invalid(store.append(&room, at(1), vec![none.clone()], none.clone()).await);
        is_invalid(store.append(&room, at(1), vec![of(Limits::ENTRY_BYTES + 1)], none.clone()).await);
        is_invalid(store.append(&room, at(1), vec![of(1); Limits::BATCH_ENTRIES + 1], none.clone()).await);
        let large = Limits::BATCH_BYTES / Limits::ENTRY_BYTES + 1;
        is_invalid(store.append(&room, at(1), vec![of(Limits::ENTRY_BYTES); large], none.clone()).await);
        is_invalid(store.append(&room, at(1), vec![of(1)], of(Limits::SUMMARY_BYTES + 1)).await);
        is_invalid(store.append(&room, Position::start(0), vec![of(1)], none.clone()).await);
        is_invalid(store.append(&room, at((1 << 53) - 1), vec![of(1)], none).await);
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
        let appended = store.append(&room, at(0), vec![entry(1)], Bytes::new()).await.unwrap();
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

    pub(crate) async fn a_load_starts_after_the_snapshot(store: SharedStore) {
        let room = filled(&store, "snapshot", 10).await;
        let state = Bytes::from_static(b"state at 7");
        assert_eq!(store.put_snapshot(&room, at(7), state.clone()).await, Ok(true));
        let loaded = load(&store, &room).await;
        assert_eq!(loaded, Loaded { head: at(10), snapshot: Some((at(7), state)), entries: entries(8, 10) });
        let state = Bytes::from_static(b"state at 10");
        assert_eq!(store.put_snapshot(&room, at(10), state.clone()).await, Ok(true));
        let loaded = load(&store, &room).await;
        assert_eq!(loaded, Loaded { head: at(10), snapshot: Some((at(10), state)), entries: vec![] });
    }

    pub(crate) async fn a_load_of_many_entries_is_capped(store: SharedStore) {
        let count = Limits::PAGE_ENTRIES as u64 + 10;
        let room = filled(&store, "long", count).await;
        let loaded = load(&store, &room).await;
        assert_eq!((loaded.head, loaded.entries.len()), (at(count), Limits::PAGE_ENTRIES));
        let rest = store.read(&room, at(Limits::PAGE_ENTRIES as u64 + 1), 100, 10_000).await.unwrap();
        assert_eq!(rest.entries, numbered(Limits::PAGE_ENTRIES as u64 + 1, count));
    }

    pub(crate) async fn a_snapshot_never_goes_backwards(store: SharedStore) {
        let room = filled(&store, "backwards", 10).await;
        let newer = Bytes::from_static(b"newer");
        assert_eq!(store.put_snapshot(&room, at(8), newer.clone()).await, Ok(true));
        assert_eq!(store.put_snapshot(&room, at(8), entry(0)).await, Ok(false));
        assert_eq!(store.put_snapshot(&room, at(5), entry(0)).await, Ok(false));
        assert_eq!(load(&store, &room).await.snapshot, Some((at(8), newer)));
    }

    pub(crate) async fn a_snapshot_outside_the_log_is_not_taken(store: SharedStore) {
        let room = filled(&store, "outside", 3).await;
        assert_eq!(store.put_snapshot(&room, at(4), entry(0)).await, Ok(false));
        let other = Position { epoch: EPOCH + 1, seq: 2 };
        assert_eq!(store.put_snapshot(&room, other, entry(0)).await, Ok(false));
        assert_eq!(load(&store, &room).await.snapshot, None);
    }

    pub(crate) async fn trim_keeps_order_and_what_the_snapshot_does_not_cover(store: SharedStore) {
        let room = filled(&store, "trimmed", 10).await;
        assert_eq!(store.trim(&room, at(9)).await, Ok(1), "nothing is covered without a snapshot");
        store.put_snapshot(&room, at(6), entry(0)).await.unwrap();
        assert_eq!(store.trim(&room, at(4)).await, Ok(4));
        assert_eq!(store.trim(&room, at(2)).await, Ok(4), "what is gone is gone");
        let page = store.read(&room, at(1), 100, 10_000).await.unwrap();
        assert_eq!(page.entries, numbered(4, 10));
        assert_eq!(store.trim(&room, at(100)).await, Ok(7));
        let loaded = load(&store, &room).await;
        assert_eq!(
            loaded,
            Loaded { head: at(10), snapshot: Some((at(6), entry(0))), entries: entries(7, 10) }
        );
    }

    pub(crate) async fn a_trimmed_room_takes_appends_and_reports_what_it_can(store: SharedStore) {
        let room = filled(&store, "emptied", 5).await;
        store.put_snapshot(&room, at(5), entry(0)).await.unwrap();
        assert_eq!(store.trim(&room, at(6)).await, Ok(6));
        let page = store.read(&room, at(1), 100, 10_000).await.unwrap();
        assert_eq!((page.head, page.entries), (at(5), vec![]));
        append(&store, &room, 5, entries(6, 7)).await;
        let behind = store.append(&room, at(5), vec![entry(0)], Bytes::new()).await;
        assert_eq!(behind, Ok(Appended::Conflict { head: at(7), missing: entries(6, 7) }));
        let gone = store.append(&room, at(3), vec![entry(0)], Bytes::new()).await;
        assert_eq!(gone, Ok(Appended::Conflict { head: at(7), missing: vec![] }));
    }

    pub(crate) async fn trim_of_another_epoch_does_nothing(store: SharedStore) {
        let room = filled(&store, "other", 5).await;
        store.put_snapshot(&room, at(5), entry(0)).await.unwrap();
        assert_eq!(store.trim(&room, Position { epoch: EPOCH + 1, seq: 4 }).await, Ok(1));
        assert_eq!(store.read(&room, at(1), 100, 10_000).await.unwrap().entries, numbered(1, 5));
    }

    pub(crate) async fn a_long_trim_goes_in_steps(store: SharedStore) {
        let count = Limits::TRIM_ENTRIES + 100;
        let room = filled(&store, "steps", count).await;
        store.put_snapshot(&room, at(count), entry(0)).await.unwrap();
        assert_eq!(store.trim(&room, at(count)).await, Ok(Limits::TRIM_ENTRIES + 1));
        assert_eq!(store.trim(&room, at(count)).await, Ok(count));
        assert_eq!(store.read(&room, at(1), 100, 10_000).await.unwrap().entries, numbered(count, count));
    }

    pub(crate) async fn the_directory_is_paged_by_id(store: SharedStore) {
        let names: Vec<String> = (0..25).map(|n| format!("room-{n:02}")).collect();
        for name in names.iter().rev() {
            let room = filled(&store, name, 0).await;
            store.append(&room, at(0), vec![entry(1)], Bytes::from(format!("row of {name}"))).await.unwrap();
        }
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = store.summaries(after.as_ref(), 10).await.unwrap();
            let last = page.len() < 10;
            for (room, row) in page {
                assert_eq!(row, format!("row of {room}"));
                seen.push(room.to_string());
                after = Some(room);
            }
            if last {
                break;
            }
        }
        assert_eq!(seen, names);
        assert_eq!(store.summaries(None, 0).await, Ok(vec![]));
        let beyond = store.summaries(Some(&room("zzz")), 10).await;
        assert_eq!(beyond, Ok(vec![]));
    }

    pub(crate) async fn an_empty_summary_takes_the_row_away(store: SharedStore) {
        let room = filled(&store, "shy", 1).await;
        assert_eq!(store.summaries(None, 10).await.unwrap().len(), 1);
        store.append(&room, at(1), vec![entry(2)], Bytes::new()).await.unwrap();
        assert_eq!(store.summaries(None, 10).await, Ok(vec![]));
    }

    pub(crate) async fn a_refused_append_leaves_the_directory_alone(store: SharedStore) {
        let room = filled(&store, "kept", 1).await;
        store.append(&room, at(0), vec![entry(9)], Bytes::from_static(b"wrong")).await.unwrap();
        assert_eq!(store.summaries(None, 10).await, Ok(vec![(room, Bytes::from_static(b"row"))]));
    }

    pub(crate) async fn rows_are_found_by_id(store: SharedStore) {
        let known = filled(&store, "known", 1).await;
        let asked = [room("unknown"), known.clone(), known];
        let row = Some(Bytes::from_static(b"row"));
        assert_eq!(store.summaries_of(&asked).await, Ok(vec![None, row.clone(), row]));
        is_invalid(store.summaries_of(&vec![room("x"); Limits::PAGE_ROWS + 1]).await);
    }

    pub(crate) async fn watchers_are_told_of_appends(store: SharedStore) {
        let mut hints = store.watch();
        let room = filled(&store, "watched", 2).await;
        let hint = tokio::time::timeout(Duration::from_secs(5), hints.recv()).await.unwrap().unwrap();
        assert_eq!(hint, Hint { room, head: at(2) });
    }

    pub(crate) async fn leases_are_replaced_dropped_and_expire(store: SharedStore) {
        let (here, there) = (room("here"), room("there"));
        let minute = Duration::from_secs(60);
        let notes = async |room: &RoomId| {
            let leases = store.leases(room).await.unwrap();
            for lease in &leases {
                assert!(!lease.remaining.is_zero() && lease.remaining <= minute, "{lease:?}");
            }
            leases.into_iter().map(|lease| (lease.node, lease.note)).collect::<Vec<_>>()
        };
        let note = |text: &'static str| Bytes::from_static(text.as_bytes());
        store.put_lease(&here, "n2", note("two"), minute).await.unwrap();
        store.put_lease(&here, "n1", note("one"), minute).await.unwrap();
        store.put_lease(&here, "n1", note("one again"), minute).await.unwrap();
        store.put_lease(&there, "n1", note("elsewhere"), Duration::from_millis(50)).await.unwrap();
        assert_eq!(notes(&here).await, [("n1".into(), note("one again")), ("n2".into(), note("two"))]);
        store.put_lease(&here, "n2", Bytes::new(), Duration::ZERO).await.unwrap();
        store.put_lease(&here, "n3", Bytes::new(), Duration::ZERO).await.unwrap();
        assert_eq!(notes(&here).await, [("n1".into(), note("one again"))]);
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(notes(&there).await, []);
    }

    pub(crate) async fn leases_outside_the_limits_are_refused(store: SharedStore) {
        let room = room("leases");
        let minute = Duration::from_secs(60);
        is_invalid(store.put_lease(&room, "", Bytes::new(), minute).await);
        is_invalid(store.put_lease(&room, &"n".repeat(Limits::NODE_BYTES + 1), Bytes::new(), minute).await);
        is_invalid(store.put_lease(&room, "n", Bytes::from(vec![0; Limits::NOTE_BYTES + 1]), minute).await);
        is_invalid(store.put_lease(&room, "n", Bytes::new(), Limits::LEASE_TTL + minute).await);
        assert_eq!(store.leases(&room).await, Ok(vec![]));
    }

    pub(crate) async fn a_closed_store_says_so(store: SharedStore) {
        let room = filled(&store, "closed", 1).await;
        assert_eq!(store.close().await, Ok(()));
        assert_eq!(store.close().await, Ok(()));
        let unavailable = |result: Result<(), StoreError>| {
            assert!(matches!(result, Err(StoreError::Unavailable(_))), "{result:?}");
        };
        unavailable(store.load(&room).await.map(drop));
        unavailable(store.claim(&room, EPOCH).await.map(drop));
        unavailable(store.append(&room, at(1), vec![entry(2)], Bytes::new()).await.map(drop));
        unavailable(store.read(&room, at(1), 1, 1).await.map(drop));
        unavailable(store.put_snapshot(&room, at(1), entry(1)).await.map(drop));
        unavailable(store.trim(&room, at(1)).await.map(drop));
        unavailable(store.put_lease(&room, "n", Bytes::new(), Duration::from_secs(1)).await);
        unavailable(store.leases(&room).await.map(drop));
        unavailable(store.summaries(None, 1).await.map(drop));
        unavailable(store.summaries_of(&[room]).await.map(drop));
    }
}
