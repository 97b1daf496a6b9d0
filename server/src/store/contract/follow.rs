//! Readable keys, and the worklists and cursors of followers.

use super::*;

pub(crate) async fn writes_of_keys_are_taken_with_the_append_and_checked(store: SharedStore) {
    let text = |text: &'static str| Bytes::from_static(text.as_bytes());
    let room = filled(&store, "readable", 0).await;
    let append = |seq: u64, keys: Vec<KeyWrite>| Append {
        keys,
        ..Append::new(at(seq), vec![entry(seq + 1)], text("row"))
    };
    let commands = [
        KeyCommand::HSet(vec![(text("name"), text("Readable")), (text("owner"), text("ann"))]),
        KeyCommand::HDel(vec![text("owner")]),
        KeyCommand::Expire(Duration::from_secs(60)),
        KeyCommand::Persist,
    ];
    let write = |name: &str, command: &KeyCommand| KeyWrite::new(name, &room, command.clone());
    let mut keys: Vec<_> = commands.iter().map(|command| write("rooms", command)).collect();
    let scored = |score: i64| (score, Bytes::from(format!("m{score}")));
    keys.push(write("rooms:chat", &KeyCommand::ZAdd((1..=5).map(scored).collect())));
    keys.push(write("rooms:chat", &KeyCommand::ZKeepNewest(3)));
    keys.push(write("rooms:chat", &KeyCommand::ZRem(vec![text("m5")])));
    keys.push(write("rooms:chat", &KeyCommand::ZRemByScore(0, 3)));
    keys.push(write("rooms:list", &KeyCommand::RPush((0..5_000).map(entry).collect())));
    keys.push(write("rooms:list", &KeyCommand::LKeepLast(3)));
    keys.push(write("rooms:set", &KeyCommand::SAdd(vec![text("a"), text("b")])));
    keys.push(write("rooms:set", &KeyCommand::SRem(vec![text("a")])));
    keys.push(write("rooms:text", &KeyCommand::Set(text("value"))));
    keys.push(write("rooms:gone", &KeyCommand::Set(text("value"))));
    keys.push(write("rooms:gone", &KeyCommand::Del));
    let appended = store.append(&room, append(0, keys)).await;
    assert_eq!(appended, Ok(Appended::Done { head: at(1) }));
    // A key of another type than the command's is left out; the append is not.
    let foreign = vec![write("rooms:text", &commands[0])];
    let appended = store.append(&room, append(1, foreign)).await;
    assert_eq!(appended, Ok(Appended::Done { head: at(2) }));
    for key in ["rooms:chat", "rooms:chat:{other}", "{rooms}:{readable}"] {
        let foreign = KeyWrite { key: key.into(), command: KeyCommand::Del };
        is_invalid(store.append(&room, append(2, vec![foreign])).await);
    }
    let large = write("rooms:text", &KeyCommand::Set(Bytes::from(vec![0; Limits::KEYS_BYTES + 1])));
    is_invalid(store.append(&room, append(2, vec![large])).await);
    let many = vec![write("rooms:gone", &KeyCommand::Del); Limits::KEY_WRITES + 1];
    is_invalid(store.append(&room, append(2, many)).await);
    assert_eq!(load(&store, &room).await.entries, entries(1, 2));
}

async fn pending(store: &SharedStore, follower: Follower) -> Vec<RoomId> {
    store.pending(follower, None, 100).await.unwrap()
}

/// Settles as followers do: again and again, for a store may keep a room for a while.
async fn settle(store: &SharedStore, room: &RoomId, follower: Follower, seq: u64) {
    let settled = async {
        while !store.settle(room, follower, at(seq)).await.unwrap() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), settled).await.unwrap();
}

pub(crate) async fn an_append_puts_the_room_on_every_worklist(store: SharedStore) {
    let room = filled(&store, "followed", 2).await;
    for follower in Follower::ALL {
        assert_eq!(pending(&store, follower).await, std::slice::from_ref(&room));
    }
    settle(&store, &room, Follower::Events, 2).await;
    assert_eq!(pending(&store, Follower::Events).await, []);
    assert_eq!(pending(&store, Follower::Archive).await, std::slice::from_ref(&room));
    append(&store, &room, 2, entries(3, 3)).await;
    assert_eq!(pending(&store, Follower::Events).await, [room]);
}

pub(crate) async fn an_append_that_loses_puts_the_room_on_no_worklist(store: SharedStore) {
    let room = filled(&store, "quiet", 2).await;
    settle(&store, &room, Follower::Index, 2).await;
    let lost = store.append(&room, Append::new(at(1), vec![entry(2)], Bytes::new())).await;
    assert!(matches!(lost, Ok(Appended::Conflict { .. })), "{lost:?}");
    settle(&store, &room, Follower::Index, 2).await;
    assert_eq!(pending(&store, Follower::Index).await, []);
}

pub(crate) async fn worklists_are_paged_by_id(store: SharedStore) {
    let names: Vec<String> = (0..25).map(|n| format!("work-{n:02}")).collect();
    for name in names.iter().rev() {
        filled(&store, name, 1).await;
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.pending(Follower::Archive, after.as_ref(), 10).await.unwrap();
        let is_last = page.len() < 10;
        seen.extend(page.iter().map(ToString::to_string));
        after = page.into_iter().last();
        if is_last {
            break;
        }
    }
    assert_eq!(seen, names);
    assert_eq!(store.pending(Follower::Archive, None, 0).await, Ok(vec![]));
}

pub(crate) async fn a_cursor_never_goes_backwards_nor_beyond_the_log(store: SharedStore) {
    let room = filled(&store, "cursor", 5).await;
    let cursor = async || store.cursor(&room, Follower::Archive).await.unwrap();
    let set = async |position| store.set_cursor(&room, Follower::Archive, position).await.unwrap();
    assert_eq!(cursor().await, None);
    assert!(set(at(3)).await);
    assert!(set(at(3)).await, "the same again does no harm");
    assert!(!set(at(2)).await);
    assert!(!set(at(6)).await);
    assert!(!set(Position { epoch: EPOCH + 1, seq: 4 }).await);
    assert_eq!(cursor().await, Some(at(3)));
    assert!(set(at(5)).await);
    assert_eq!(cursor().await, Some(at(5)));
    assert_eq!(store.cursor(&room, Follower::Events).await, Ok(None));
    let unknown = RoomId::new("unknown").unwrap();
    assert_eq!(store.set_cursor(&unknown, Follower::Archive, at(0)).await, Ok(false));
    assert_eq!(store.cursor(&unknown, Follower::Archive).await, Ok(None));
}

pub(crate) async fn a_room_that_has_grown_stays_on_the_worklist(store: SharedStore) {
    let room = filled(&store, "grown", 3).await;
    assert_eq!(store.settle(&room, Follower::Archive, at(2)).await, Ok(false));
    let other = Position { epoch: EPOCH + 1, seq: 3 };
    assert_eq!(store.settle(&room, Follower::Archive, other).await, Ok(false));
    assert_eq!(pending(&store, Follower::Archive).await, [room]);
}
