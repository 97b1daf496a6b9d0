//! The contract of [`Archive`](super::Archive) as tests, the same for every archive: one line a case, listed once.

use super::SharedArchive;

/// Makes empty archives of one kind; `None` where this machine can't.
pub(crate) trait Fixture: Sized {
    /// An empty archive, and what must live as long as it.
    fn new() -> impl Future<Output = Option<(SharedArchive, Self)>>;
}

macro_rules! contract {
    ($archive:ident, $fixture:ty) => {
        crate::archive::contract::contract!(@tests $archive, $fixture, [
            what_was_never_put_there_is_not_there,
            entries_come_back_as_they_were_in_order_and_in_pages,
            entries_put_twice_are_there_once,
            another_entry_in_the_place_of_one_is_an_error,
            logs_and_rooms_are_apart,
            what_a_message_has_become_is_kept_by_its_newest_change,
            an_operation_is_found_by_its_id_in_every_log,
            the_first_origin_of_a_log_holds,
            a_snapshot_never_goes_backwards_within_a_log,
            a_large_snapshot_comes_back_whole,
            a_room_is_replaced_only_where_it_was_read,
            rooms_are_paged_by_id,
            a_user_was_last_seen_at_the_latest_time,
            what_users_write_is_a_value_and_never_a_query,
            writers_at_once_lose_and_double_nothing,
            messages_are_readable_by_people_in_typed_documents,
        ]);
    };
    (@tests $archive:ident, $fixture:ty, [$($case:ident),* $(,)?]) => {
        mod $archive {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let fixture = <$fixture as crate::archive::contract::Fixture>::new().await;
                    let Some((archive, _fixture)) = fixture else { return };
                    crate::archive::contract::cases::$case(archive).await;
                }
            )*
        }
    };
}
pub(crate) use contract;

/// Entries for tests.
pub(crate) mod entries {
    use enfilade_core::op::{self, Body};
    use enfilade_core::{ClientId, Entry, Millis, OpId, v1};

    /// An entry by Ann.
    pub(crate) fn entry(seq: u64, body: Body) -> Entry {
        let ordinal = if matches!(body, Body::PostMessage(_)) { seq } else { 0 };
        Entry {
            seq,
            op_id: OpId { client: ClientId(77), counter: seq },
            author: "ann".into(),
            author_name: "Ann".into(),
            at: Millis(1_700_000_000_000 + seq),
            ordinal,
            op: op::encode(body.clone()),
            body: Some(body),
        }
    }

    /// A message.
    pub(crate) fn post(seq: u64, text: &str) -> Entry {
        entry(seq, op::post(text))
    }

    /// An edit of a message that [`post`] has made.
    pub(crate) fn edit(seq: u64, of: u64, text: &str) -> Entry {
        let edit = v1::EditMessage {
            message_id: Some(OpId { client: ClientId(77), counter: of }.wire()),
            message_seq: of,
            text: text.into(),
            ..Default::default()
        };
        entry(seq, Body::EditMessage(edit))
    }
}

#[deny(dead_code)]
pub(crate) mod cases {
    use bytes::Bytes;
    use enfilade_core::state::history;
    use enfilade_core::{ClientId, Entry, Millis, OpId, Position, RoomId, v1};
    use futures_util::future::join_all;
    use prost::Message as _;

    use super::entries::{edit, entry, post};
    use crate::archive::{PAGE_BYTES, RoomDocument, Setting, SharedArchive};
    use crate::store::{Result, StoreError};

    const EPOCH: u64 = (1 << 53) - 7;

    fn room() -> RoomId {
        RoomId::new("lobby").unwrap()
    }

    fn at(seq: u64) -> Position {
        Position { epoch: EPOCH, seq }
    }

    fn posts(seqs: impl Iterator<Item = u64>) -> Vec<Entry> {
        seqs.map(|seq| post(seq, &format!("message {seq}"))).collect()
    }

    fn encoded(entries: &[Entry]) -> Vec<(u64, Bytes)> {
        entries.iter().map(|entry| (entry.seq, entry.encode().into())).collect()
    }

    pub(crate) async fn what_was_never_put_there_is_not_there(archive: SharedArchive) {
        let page = archive.entries(&room(), at(1), 100, 100).await.unwrap();
        assert_eq!(page, Default::default());
        assert_eq!(archive.find(&room(), post(1, "x").op_id).await, Ok(Vec::new()));
        assert_eq!(archive.origin(&room(), EPOCH).await, Ok(None));
        assert_eq!(archive.snapshot(&room()).await, Ok(None));
        assert_eq!(archive.room(&room()).await, Ok(None));
        assert_eq!(archive.rooms(None, 10).await, Ok(Vec::new()));
        assert_eq!(archive.user("ann").await, Ok(None));
        archive.put_entries(&room(), EPOCH, &[]).await.unwrap();
        archive.ping().await.unwrap();
    }

    pub(crate) async fn entries_come_back_as_they_were_in_order_and_in_pages(archive: SharedArchive) {
        let all = posts(1..=300);
        archive.put_entries(&room(), EPOCH, &all[150..]).await.unwrap();
        archive.put_entries(&room(), EPOCH, &all[..150]).await.unwrap();
        let page = archive.entries(&room(), at(1), 1_000, 1_000).await.unwrap();
        assert_eq!(page.entries, encoded(&all));
        let page = archive.entries(&room(), at(100), 110, 4).await.unwrap();
        assert_eq!(page.entries, encoded(&all[99..103]));
        let page = archive.entries(&room(), at(100), 102, 40).await.unwrap();
        assert_eq!(page.entries, encoded(&all[99..101]));
        assert_eq!(archive.entries(&room(), at(9), 9, 5).await.unwrap().entries, Vec::new());
        assert_eq!(archive.entries(&room(), at(9), 1, 5).await.unwrap().entries, Vec::new());
        assert_eq!(archive.entries(&room(), at(301), 900, 5).await.unwrap().entries, Vec::new());
        // Beyond its bytes a page ends, and the next one goes on there.
        let long: Vec<_> = (301..=500).map(|seq| post(seq, &"x".repeat(60_000))).collect();
        archive.put_entries(&room(), EPOCH, &long[..100]).await.unwrap();
        archive.put_entries(&room(), EPOCH, &long[100..]).await.unwrap();
        let mut next = 301;
        let mut pages = 0;
        while next <= 500 {
            let page = archive.entries(&room(), at(next), 501, 1_000).await.unwrap();
            let bytes: usize = page.entries.iter().map(|(_, entry)| entry.len()).sum();
            assert!(bytes <= PAGE_BYTES && page.entries[0].0 == next);
            (next, pages) = (page.entries.last().unwrap().0 + 1, pages + 1);
        }
        assert!(pages > 1);
    }

    pub(crate) async fn entries_put_twice_are_there_once(archive: SharedArchive) {
        let all = posts(1..=50);
        archive.put_entries(&room(), EPOCH, &all[..30]).await.unwrap();
        archive.put_entries(&room(), EPOCH, &all[10..]).await.unwrap();
        archive.put_entries(&room(), EPOCH, &all).await.unwrap();
        let page = archive.entries(&room(), at(1), 1_000, 1_000).await.unwrap();
        assert_eq!(page.entries, encoded(&all));
    }

    pub(crate) async fn another_entry_in_the_place_of_one_is_an_error(archive: SharedArchive) {
        archive.put_entries(&room(), EPOCH, &posts(1..=5)).await.unwrap();
        let mut others = posts(1..=8);
        others[3] = post(4, "another");
        let put = archive.put_entries(&room(), EPOCH, &others).await;
        assert!(matches!(put, Err(StoreError::Damaged(_))), "{put:?}");
        let page = archive.entries(&room(), at(1), 6, 10).await.unwrap();
        assert_eq!(page.entries, encoded(&posts(1..=5)));
    }

    pub(crate) async fn logs_and_rooms_are_apart(archive: SharedArchive) {
        let other = RoomId::new("lobby2").unwrap();
        archive.put_entries(&room(), EPOCH, &posts(1..=5)).await.unwrap();
        archive.put_entries(&room(), 5, &[post(2, "of another log")]).await.unwrap();
        archive.put_entries(&other, EPOCH, &[post(1, "of another room")]).await.unwrap();
        assert_eq!(archive.entries(&room(), at(1), 9, 9).await.unwrap().entries, encoded(&posts(1..=5)));
        let of = |epoch| Position { epoch, seq: 1 };
        let page = archive.entries(&room(), of(5), 9, 9).await.unwrap();
        assert_eq!(page.entries, encoded(&[post(2, "of another log")]));
        assert_eq!(archive.entries(&room(), of(6), 9, 9).await.unwrap().entries, Vec::new());
        let page = archive.entries(&other, at(1), 9, 9).await.unwrap();
        assert_eq!(page.entries, encoded(&[post(1, "of another room")]));
    }

    pub(crate) async fn what_a_message_has_become_is_kept_by_its_newest_change(archive: SharedArchive) {
        let entries = [post(1, "first"), post(2, "second"), edit(3, 1, "edited"), edit(4, 1, "again")];
        archive.put_entries(&room(), EPOCH, &entries).await.unwrap();
        let mut once = history::posted(&entries[0]).unwrap();
        assert!(history::amend(&mut once, &entries[2]));
        let mut twice = once.clone();
        assert!(history::amend(&mut twice, &entries[3]));
        let amended = async || archive.entries(&room(), at(1), 9, 9).await.unwrap().amended;
        let encode = |message: &v1::Message| vec![(1, Bytes::from(message.encode_to_vec()))];
        archive.put_amended(&room(), at(1), &once).await.unwrap();
        assert_eq!(amended().await, encode(&once));
        archive.put_amended(&room(), at(1), &twice).await.unwrap();
        archive.put_amended(&room(), at(1), &once).await.unwrap();
        archive.put_amended(&room(), at(1), &twice).await.unwrap();
        assert_eq!(amended().await, encode(&twice));
        // Where there is no entry there is nothing to note it of.
        archive.put_amended(&room(), at(800), &twice).await.unwrap();
        assert_eq!(archive.entries(&room(), at(2), 900, 9).await.unwrap().amended, Vec::new());
        // The entry is what it was.
        assert_eq!(archive.entries(&room(), at(1), 9, 9).await.unwrap().entries, encoded(&entries));
    }

    pub(crate) async fn an_operation_is_found_by_its_id_in_every_log(archive: SharedArchive) {
        archive.put_entries(&room(), EPOCH, &posts(1..=20)).await.unwrap();
        archive.put_entries(&room(), 5, &posts(7..=7)).await.unwrap();
        let mut found = archive.find(&room(), post(7, "").op_id).await.unwrap();
        found.sort_by_key(|found| found.epoch);
        assert_eq!(found, [Position { epoch: 5, seq: 7 }, at(7)]);
        assert_eq!(archive.find(&room(), post(8, "").op_id).await, Ok(vec![at(8)]));
        let unknown = OpId { client: ClientId(78), counter: 7 };
        assert_eq!(archive.find(&room(), unknown).await, Ok(Vec::new()));
        assert_eq!(archive.find(&RoomId::new("x").unwrap(), post(8, "").op_id).await, Ok(Vec::new()));
    }

    pub(crate) async fn the_first_origin_of_a_log_holds(archive: SharedArchive) {
        archive.put_origin(&room(), 9, at(800)).await.unwrap();
        archive.put_origin(&room(), 9, at(5)).await.unwrap();
        archive.put_origin(&room(), 10, Position { epoch: 9, seq: 900 }).await.unwrap();
        assert_eq!(archive.origin(&room(), 9).await, Ok(Some(at(800))));
        assert_eq!(archive.origin(&room(), 10).await, Ok(Some(Position { epoch: 9, seq: 900 })));
        assert_eq!(archive.origin(&RoomId::new("x").unwrap(), 9).await, Ok(None));
    }

    pub(crate) async fn a_snapshot_never_goes_backwards_within_a_log(archive: SharedArchive) {
        let put = async |at, state: &'static str| {
            archive.put_snapshot(&room(), at, Bytes::from_static(state.as_bytes())).await.unwrap();
            archive.snapshot(&room()).await.unwrap().unwrap()
        };
        assert_eq!(put(at(5), "five").await, (at(5), Bytes::from("five")));
        assert_eq!(put(at(7), "seven").await, (at(7), Bytes::from("seven")));
        assert_eq!(put(at(6), "six").await, (at(7), Bytes::from("seven")));
        let other = Position { epoch: 3, seq: 1 };
        assert_eq!(put(other, "another log").await, (other, Bytes::from("another log")));
    }

    pub(crate) async fn a_large_snapshot_comes_back_whole(archive: SharedArchive) {
        let state: Bytes =
            (0..10 * 1024 * 1024u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        archive.put_snapshot(&room(), at(5), state.clone()).await.unwrap();
        assert!(archive.snapshot(&room()).await.unwrap() == Some((at(5), state)));
    }

    pub(crate) async fn a_room_is_replaced_only_where_it_was_read(archive: SharedArchive) {
        let mut document = RoomDocument::new(&room(), EPOCH);
        assert_eq!(archive.put_room(Some(at(0)), &document).await, Ok(false));
        assert_eq!(archive.put_room(None, &document).await, Ok(true));
        assert_eq!(archive.put_room(None, &document).await, Ok(false));
        (document.seq, document.room_name) = (7, "Lobby".into());
        assert_eq!(archive.put_room(Some(at(0)), &document).await, Ok(true));
        assert_eq!(archive.put_room(Some(at(0)), &document).await, Ok(false));
        assert_eq!(archive.put_room(Some(Position { epoch: 1, seq: 7 }), &document).await, Ok(false));
        assert_eq!(archive.room(&room()).await, Ok(Some(document)));
    }

    pub(crate) async fn rooms_are_paged_by_id(archive: SharedArchive) {
        let ids: Vec<_> = (0..25).map(|n| RoomId::new(&format!("room-{n:02}")).unwrap()).collect();
        for room in ids.iter().rev() {
            assert!(archive.put_room(None, &RoomDocument::new(room, EPOCH)).await.unwrap());
        }
        let mut found: Vec<RoomId> = Vec::new();
        loop {
            let page = archive.rooms(found.last(), 10).await.unwrap();
            found.extend(page.iter().map(|document| RoomId::new(&document.room_id).unwrap()));
            if page.len() < 10 {
                break;
            }
        }
        assert_eq!(found, ids);
    }

    pub(crate) async fn a_user_was_last_seen_at_the_latest_time(archive: SharedArchive) {
        archive.see_user("ann", "Ann", Millis(5_000)).await.unwrap();
        archive.see_user("ann", "Ann B.", Millis(7_000)).await.unwrap();
        archive.see_user("ann", "Ann", Millis(6_000)).await.unwrap();
        let setting = Setting { key: "theme".into(), value: "dark".into(), version: 3 };
        archive.set_user("ann", "away", std::slice::from_ref(&setting)).await.unwrap();
        let ann = archive.user("ann").await.unwrap().unwrap();
        assert_eq!((ann.user_id.as_str(), ann.username.as_str()), ("ann", "Ann B."));
        assert_eq!(ann.last_seen.timestamp_millis(), 7_000);
        assert_eq!((ann.status.as_str(), ann.settings), ("away", vec![setting]));
        assert_eq!(archive.user("ben").await, Ok(None));
    }

    pub(crate) async fn what_users_write_is_a_value_and_never_a_query(archive: SharedArchive) {
        let evil = ["$where", "{\"$gt\": \"\"}", "a.b", "$set", "';--", "\u{0}nul", "__proto__"];
        let mut entries = Vec::new();
        for (seq, text) in (1..).zip(evil) {
            let mut entry = post(seq, text);
            entry.author_name = text.into();
            entries.push(entry);
        }
        archive.put_entries(&room(), EPOCH, &entries).await.unwrap();
        assert_eq!(archive.entries(&room(), at(1), 99, 99).await.unwrap().entries, encoded(&entries));
        let settings: Vec<_> =
            evil.iter().map(|key| Setting { key: (*key).into(), value: (*key).into(), version: 1 }).collect();
        for text in evil.iter().filter(|text| !text.contains('\u{0}')) {
            archive.see_user(text, text, Millis(1)).await.unwrap();
            archive.set_user(text, text, &settings).await.unwrap();
            let user = archive.user(text).await.unwrap().unwrap();
            assert_eq!((user.user_id.as_str(), user.username.as_str()), (*text, *text));
            assert_eq!((user.status.as_str(), &user.settings), (*text, &settings));
        }
        // An operator in the place of an id finds nobody.
        assert_eq!(archive.user("{\"$ne\": null}").await, Ok(None));
    }

    pub(crate) async fn writers_at_once_lose_and_double_nothing(archive: SharedArchive) {
        let all = posts(1..=400);
        let put = |n: usize| {
            let (archive, all) = (archive.clone(), all.clone());
            tokio::spawn(async move {
                for batch in all[n * 40..(n * 40 + 120).min(400)].chunks(40) {
                    archive.put_entries(&room(), EPOCH, batch).await?;
                }
                Result::Ok(())
            })
        };
        for put in join_all((0..10).map(put)).await {
            put.unwrap().unwrap();
        }
        let page = archive.entries(&room(), at(1), 1_000, 1_000).await.unwrap();
        assert_eq!(page.entries, encoded(&all));
        // Of those who replace a room at once, one wins.
        assert!(archive.put_room(None, &RoomDocument::new(&room(), EPOCH)).await.unwrap());
        let replace = |seq: i64| {
            let archive = archive.clone();
            tokio::spawn(async move {
                let document = RoomDocument { seq, ..RoomDocument::new(&room(), EPOCH) };
                archive.put_room(Some(at(0)), &document).await.unwrap()
            })
        };
        let won = join_all((1..=10).map(replace)).await;
        assert_eq!(won.into_iter().filter(|won| *won.as_ref().unwrap()).count(), 1);
    }

    pub(crate) async fn messages_are_readable_by_people_in_typed_documents(archive: SharedArchive) {
        let mut document = RoomDocument::new(&room(), EPOCH);
        let create = v1::CreateRoom { name: "Lobby".into(), topic: "tea".into(), ..Default::default() };
        let config = v1::SetConfig { slow_mode_enabled: Some(true), capacity: Some(5), ..Default::default() };
        let bodies = [
            enfilade_core::op::Body::CreateRoom(create),
            enfilade_core::op::Body::SetConfig(config),
            enfilade_core::op::post("hello"),
        ];
        for (seq, body) in (1..).zip(bodies) {
            document.apply(&entry(seq, body));
        }
        assert!(archive.put_room(None, &document).await.unwrap());
        let room = archive.room(&room()).await.unwrap().unwrap();
        assert_eq!((room.room_name.as_str(), room.room_owner.as_str()), ("Lobby", "ann"));
        assert_eq!((room.topic.as_str(), room.room_type.as_str()), ("tea", "room"));
        assert_eq!((room.visibility.as_str(), room.messages), ("public", 3));
        assert!(room.settings.slow_mode_enabled && room.settings.capacity == 5);
        assert_eq!(room.position(), at(3));
        assert!(room.created_at < room.last_activity);
    }
}
