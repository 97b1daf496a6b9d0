//! What is kept beside the log: snapshots, the directory, leases, hints.

use super::*;

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
    assert_eq!(loaded, Loaded { head: at(10), snapshot: Some((at(6), entry(0))), entries: entries(7, 10) });
}

pub(crate) async fn a_trimmed_room_takes_appends_and_reports_what_it_can(store: SharedStore) {
    let room = filled(&store, "emptied", 5).await;
    store.put_snapshot(&room, at(5), entry(0)).await.unwrap();
    assert_eq!(store.trim(&room, at(6)).await, Ok(6));
    let page = store.read(&room, at(1), 100, 10_000).await.unwrap();
    assert_eq!((page.head, page.entries), (at(5), vec![]));
    append(&store, &room, 5, entries(6, 7)).await;
    let behind = store.append(&room, Append::new(at(5), vec![entry(0)], Bytes::new())).await;
    assert_eq!(behind, Ok(Appended::Conflict { head: at(7), missing: entries(6, 7) }));
    let gone = store.append(&room, Append::new(at(3), vec![entry(0)], Bytes::new())).await;
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
        store
            .append(&room, Append::new(at(0), vec![entry(1)], Bytes::from(format!("row of {name}"))))
            .await
            .unwrap();
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
    store.append(&room, Append::new(at(1), vec![entry(2)], Bytes::new())).await.unwrap();
    assert_eq!(store.summaries(None, 10).await, Ok(vec![]));
}

pub(crate) async fn a_refused_append_leaves_the_directory_alone(store: SharedStore) {
    let room = filled(&store, "kept", 1).await;
    store.append(&room, Append::new(at(0), vec![entry(9)], Bytes::from_static(b"wrong"))).await.unwrap();
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

fn start(seq: u64, state: &'static str) -> Start {
    let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
    Start { at: at(seq), snapshot: bytes(state), summary: bytes("row"), is_lost: false }
}

pub(crate) async fn a_log_starts_after_a_snapshot_where_there_is_none(store: SharedStore) {
    let room = room("restored");
    is_invalid(store.start(&room, Start { snapshot: Bytes::new(), ..start(7, "") }).await);
    is_invalid(store.start(&room, Start { at: Position { epoch: 0, seq: 7 }, ..start(7, "state") }).await);
    let large = Bytes::from(vec![0; Limits::SUMMARY_BYTES + 1]);
    is_invalid(store.start(&room, Start { summary: large, ..start(7, "state") }).await);
    assert_eq!(store.load(&room).await, Ok(None));

    assert_eq!(store.start(&room, start(7, "state")).await, Ok(true));
    assert_eq!(store.start(&room, start(9, "another")).await, Ok(false));
    assert_eq!(store.claim(&room, EPOCH + 1).await, Ok(EPOCH));
    let loaded = load(&store, &room).await;
    assert_eq!(loaded.snapshot, Some((at(7), Bytes::from_static(b"state"))));
    assert_eq!((loaded.head, loaded.entries), (at(7), vec![]));
    assert_eq!(
        store.summaries_of(std::slice::from_ref(&room)).await.unwrap()[0].as_deref(),
        Some(&b"row"[..])
    );

    let conflict = store.append(&room, Append::new(at(0), vec![entry(1)], Bytes::new())).await;
    assert_eq!(conflict, Ok(Appended::Conflict { head: at(7), missing: vec![] }));
    append(&store, &room, 7, entries(8, 9)).await;
    assert_eq!(load(&store, &room).await.entries, entries(8, 9));
    let page = store.read(&room, at(1), 10, usize::MAX).await.unwrap();
    assert_eq!((page.head, page.entries), (at(9), numbered(8, 9)));

    let claimed = filled(&store, "claimed", 0).await;
    assert_eq!(store.start(&claimed, start(7, "state")).await, Ok(false));
    assert_eq!(load(&store, &claimed).await.head, at(0));
}

pub(crate) async fn every_room_with_a_log_is_found(store: SharedStore) {
    let count = Limits::PAGE_ROOMS + 3;
    let names: Vec<RoomId> = (0..count).map(|number| room(&format!("r{number:05}"))).collect();
    for chunk in names.chunks(100) {
        join_all(chunk.iter().map(|room| store.claim(room, EPOCH))).await;
    }
    let mut found = Vec::new();
    let mut cursor = None;
    loop {
        let page = store.rooms(cursor).await.unwrap();
        assert!(page.rooms.len() <= Limits::PAGE_ROOMS);
        found.extend(page.rooms);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    found.sort();
    found.dedup();
    assert_eq!(found, names);
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
    unavailable(store.start(&room, start(1, "state")).await.map(drop));
    unavailable(store.rooms(None).await.map(drop));
    unavailable(store.append(&room, Append::new(at(1), vec![entry(2)], Bytes::new())).await.map(drop));
    unavailable(store.read(&room, at(1), 1, 1).await.map(drop));
    unavailable(store.put_snapshot(&room, at(1), entry(1)).await.map(drop));
    unavailable(store.trim(&room, at(1)).await.map(drop));
    unavailable(store.put_lease(&room, "n", Bytes::new(), Duration::from_secs(1)).await);
    unavailable(store.leases(&room).await.map(drop));
    unavailable(store.summaries(None, 1).await.map(drop));
    unavailable(store.summaries_of(std::slice::from_ref(&room)).await.map(drop));
    unavailable(store.pending(Follower::Archive, None, 1).await.map(drop));
    unavailable(store.cursor(&room, Follower::Archive).await.map(drop));
    unavailable(store.set_cursor(&room, Follower::Archive, at(1)).await.map(drop));
    unavailable(store.settle(&room, Follower::Archive, at(1)).await.map(drop));
}
