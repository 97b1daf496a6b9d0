use enfilade_core::op::{self, Body};
use enfilade_core::{ClientId, Entry, Millis, OpId, RoomState};

use super::*;
use crate::store::{Append, MemoryStore};

const FIRST_REVISION: u64 = 1_000;

fn id(room: &str) -> RoomId {
    RoomId::new(room).unwrap()
}

fn row(room: &str, seq: u64, visibility: v1::Visibility) -> v1::RoomSummary {
    v1::RoomSummary {
        room_id: room.into(),
        position: Some(v1::Position { epoch: 1, seq }),
        messages: seq,
        visibility: visibility.into(),
        ..Default::default()
    }
}

fn public(room: &str, seq: u64) -> v1::RoomSummary {
    row(room, seq, v1::Visibility::Public)
}

fn with(rows: impl IntoIterator<Item = v1::RoomSummary>) -> Directory {
    let directory = Directory::new(FIRST_REVISION);
    rows.into_iter().for_each(|row| directory.update(row));
    directory
}

/// The inbox of somebody who follows these rooms.
fn following(rooms: &[&str]) -> RoomState {
    let mut state = RoomState::replica(id("inbox:bob"));
    for (place, room) in rooms.iter().enumerate() {
        let body = Body::FollowRoom(v1::FollowRoom { room_id: (*room).into(), as_of: None });
        let seq = place as u64 + 1;
        let entry = Entry {
            seq,
            op_id: OpId { client: ClientId(1), counter: seq },
            author: String::new(),
            author_name: String::new(),
            at: Millis(seq),
            ordinal: 0,
            op: op::encode(body.clone()),
            body: Some(body),
        };
        state.apply(&entry).unwrap();
    }
    state
}

fn page(directory: &Directory, inbox: &RoomState, cursor: &str, limit: u32) -> v1::RoomList {
    let request = v1::RoomListRequest { request_id: 5, cursor: cursor.into(), limit, since: 0 };
    directory.page(inbox.inbox(), &request)
}

fn since(directory: &Directory, inbox: &RoomState, since: u64, limit: u32) -> v1::RoomList {
    let request = v1::RoomListRequest { since, limit, ..Default::default() };
    directory.page(inbox.inbox(), &request)
}

fn ids(list: &v1::RoomList) -> Vec<&str> {
    list.rooms.iter().map(|row| row.room_id.as_str()).collect()
}

#[test]
fn pages_ascend_and_lead_to_each_other() {
    let directory = with(["c", "a", "e", "b", "d"].map(|room| public(room, 1)));
    let nobody = following(&[]);
    let first = page(&directory, &nobody, "", 2);
    assert_eq!(
        (ids(&first), first.next.as_str(), first.total, first.request_id),
        (vec!["a", "b"], "b", 5, 5)
    );
    let second = page(&directory, &nobody, &first.next, 2);
    assert_eq!((ids(&second), second.next.as_str()), (vec!["c", "d"], "d"));
    let last = page(&directory, &nobody, &second.next, 2);
    assert_eq!((ids(&last), last.next.as_str()), (vec!["e"], ""));
    // A page that ends with the last row leads nowhere.
    assert_eq!(page(&directory, &nobody, "", 5).next, "");
}

#[test]
fn a_page_has_as_many_rows_as_it_may_whatever_is_asked() {
    let directory =
        with((0..limits::ROOM_LIST_PAGE + 1).map(|number| public(&format!("room-{number:03}"), 1)));
    let nobody = following(&[]);
    for limit in [0, limits::ROOM_LIST_PAGE as u32, u32::MAX] {
        assert_eq!(page(&directory, &nobody, "", limit).rooms.len(), limits::ROOM_LIST_PAGE);
    }
    assert_eq!(ids(&page(&directory, &nobody, "no cursor of ours", 1)), ["room-000"]);
}

#[test]
fn private_and_unlisted_rooms_are_shown_to_their_followers_alone() {
    let directory = with([
        row("attic", 1, v1::Visibility::Private),
        row("cellar", 1, v1::Visibility::Unlisted),
        public("lobby", 1),
    ]);
    let (nobody, bob) = (following(&[]), following(&["attic", "cellar", "gone"]));
    assert_eq!(
        (ids(&page(&directory, &nobody, "", 9)), page(&directory, &nobody, "", 9).total),
        (vec!["lobby"], 1)
    );
    let shown = page(&directory, &bob, "", 9);
    assert_eq!((ids(&shown), shown.total), (vec!["attic", "cellar", "lobby"], 3));
    assert_eq!(
        shown.rooms.iter().map(|row| row.following).collect::<Vec<_>>(),
        [Some(true), Some(true), Some(false)]
    );
    assert_eq!(ids(&since(&directory, &nobody, FIRST_REVISION, 9)), ["lobby"]);
    assert_eq!(ids(&since(&directory, &bob, FIRST_REVISION, 9)), ["attic", "cellar", "lobby"]);
    let (rows, _, total) = directory.public(None, 9);
    assert_eq!((rows.len(), total), (1, 1));
}

#[test]
fn a_room_that_turns_private_goes_from_the_public_list() {
    let directory = with([public("lobby", 1)]);
    directory.update(row("lobby", 2, v1::Visibility::Private));
    assert!(ids(&page(&directory, &following(&[]), "", 9)).is_empty());
    assert_eq!(ids(&page(&directory, &following(&["lobby"]), "", 9)), ["lobby"]);
}

#[test]
fn what_changed_since_comes_in_the_order_of_the_changes_and_once() {
    let directory = with(["a", "b", "c"].map(|room| public(room, 1)));
    let nobody = following(&[]);
    let all = page(&directory, &nobody, "", 9);
    assert_eq!(all.revision, FIRST_REVISION + 3);
    let nothing = since(&directory, &nobody, all.revision, 9);
    assert_eq!((ids(&nothing), nothing.revision), (vec![], all.revision));

    directory.update(public("b", 2));
    directory.update(public("a", 2));
    directory.update(public("b", 3));
    let news = since(&directory, &nobody, all.revision, 9);
    assert_eq!((ids(&news), news.next.as_str()), (vec!["a", "b"], ""));
    assert_eq!(news.rooms[1].messages, 3);
    // A page that is full says where to go on.
    let first = since(&directory, &nobody, all.revision, 1);
    assert_eq!(ids(&first), ["a"]);
    let second = since(&directory, &nobody, first.revision, 1);
    assert_eq!((ids(&second), second.revision), (vec!["b"], news.revision));
}

#[test]
fn an_older_row_does_not_take_the_place_of_a_newer_one() {
    let directory = with([public("lobby", 5)]);
    directory.update(public("lobby", 4));
    assert_eq!(directory.head(&id("lobby")), Some((Position { epoch: 1, seq: 5 }, 5)));
    // The log was started anew, so its numbers are small again.
    let anew = v1::RoomSummary { position: Some(v1::Position { epoch: 2, seq: 1 }), ..public("lobby", 1) };
    directory.update(anew);
    assert_eq!(directory.head(&id("lobby")), Some((Position { epoch: 2, seq: 1 }, 1)));
    assert!(!directory.is_behind(&id("lobby"), Position { epoch: 2, seq: 1 }));
    assert!(directory.is_behind(&id("lobby"), Position { epoch: 2, seq: 2 }));
    assert!(directory.is_behind(&id("new"), Position { epoch: 1, seq: 1 }));
    assert!(!directory.is_behind(&id("inbox:bob"), Position { epoch: 1, seq: 1 }));
}

#[test]
fn who_is_there_outlives_the_next_entry_and_is_a_change() {
    let directory = with([public("lobby", 1)]);
    let user = v1::PresentUser { user: "ada".into(), ..Default::default() };
    directory.occupy(&id("lobby"), 1, vec![user.clone()]);
    directory.update(public("lobby", 2));
    let row = directory.get(&id("lobby")).unwrap();
    assert_eq!((row.user_count, row.users, row.messages), (1, vec![user], 2));
    assert_eq!(ids(&since(&directory, &following(&[]), FIRST_REVISION + 1, 9)), ["lobby"]);
    directory.occupy(&id("unknown"), 1, Vec::new());
    assert_eq!(directory.get(&id("unknown")), None);
}

#[test]
fn rows_that_can_not_be_read_have_no_effect() {
    let directory = with([public("lobby", 1)]);
    directory.load(&Bytes::from_static(b"\xff\xff garbage"));
    directory.update(public("no room id!", 1));
    directory.load(&Bytes::new());
    assert_eq!(page(&directory, &following(&[]), "", 9).total, 1);
}

#[test]
fn the_public_list_pages_too() {
    let directory = with(["a", "b", "c"].map(|room| public(room, 1)));
    let (rows, next, total) = directory.public(None, 2);
    assert_eq!((rows.len(), next.clone(), total), (2, Some(id("b")), 3));
    let (rows, next, _) = directory.public(next.as_ref(), 2);
    assert_eq!((rows[0].room_id.as_str(), rows.len(), next), ("c", 1, None));
}

#[tokio::test]
async fn every_row_of_the_store_is_read_at_the_start() {
    let store = MemoryStore::new();
    let count = PAGE + 1;
    for number in 0..count {
        let room = id(&format!("room-{number:05}"));
        let epoch = store.claim(&room, 1).await.unwrap();
        let row = public(room.as_str(), 1).encode_to_vec();
        store
            .append(
                &room,
                Append::new(Position::start(epoch), vec![Bytes::from_static(b"entry")], row.into()),
            )
            .await
            .unwrap();
    }
    let directory = Directory::new(FIRST_REVISION);
    assert_eq!(directory.load_all(&store).await.unwrap(), count);
    assert_eq!(directory.public(None, 1).2, count);
}

fn all_pages(directory: &Directory, mut request: v1::RoomListRequest) -> Vec<String> {
    let state = following(&[]);
    let mut rooms = Vec::new();
    loop {
        let page = directory.page(state.inbox(), &request);
        let is_last = if request.since > 0 { page.rooms.is_empty() } else { page.next.is_empty() };
        request.since = if request.since > 0 { page.revision } else { 0 };
        request.cursor.clone_from(&page.next);
        let frame = v1::ServerFrame { body: Some(v1::server_frame::Body::RoomList(page.clone())) };
        assert!(frame.encoded_len() <= limits::FRAME_BYTES, "{} rows", page.rooms.len());
        rooms.extend(page.rooms.into_iter().map(|row| row.room_id));
        if is_last {
            return rooms;
        }
    }
}

#[test]
fn pages_fit_into_frames_however_long_the_last_messages_are() {
    let directory = Directory::new(1);
    let ids: Vec<String> = (100..250).map(|number| format!("room-{number}")).collect();
    for (number, id) in ids.iter().enumerate() {
        let text = "\u{10ffff}".repeat(if number % 3 == 0 { limits::TEXT_CHARS } else { 1 });
        let last_message = Some(v1::Message { text, ..Default::default() });
        directory.update(v1::RoomSummary { room_id: id.clone(), last_message, ..Default::default() });
    }
    assert_eq!(all_pages(&directory, v1::RoomListRequest::default()), ids);
    let since = v1::RoomListRequest { since: 2, ..Default::default() };
    assert_eq!(all_pages(&directory, since), ids[1..]);
}

#[test]
fn a_public_room_is_found_by_its_name_and_of_several_the_oldest() {
    let named = |room: &str, seq, name: &str, created_at| v1::RoomSummary {
        name: name.into(),
        created_at,
        ..public(room, seq)
    };
    let directory = with([named("a", 1, "Piano", 7), named("b", 1, "Piano", 5), named("c", 1, "", 1)]);
    let found = |name: &str| directory.named(name).map(|row| row.room_id);
    assert_eq!(found("Piano").as_deref(), Some("b"));
    directory.update(named("b", 2, "Drums", 5));
    assert_eq!((found("Piano").as_deref(), found("Drums").as_deref()), (Some("a"), Some("b")));
    let hidden = v1::RoomSummary { visibility: v1::Visibility::Unlisted.into(), ..named("a", 2, "Piano", 7) };
    directory.update(hidden);
    assert_eq!((found("Piano"), found("")), (None, None));
}
