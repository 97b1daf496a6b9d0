use prost::Message as _;

use super::*;
use crate::client::content::Content;
use crate::tier::TierReason;

/// The same app after its process has ended: what was stored is all that is left.
fn again(host: &Host) -> Host {
    let mut again = Host::new();
    again.stored = host.stored.clone();
    let stored = host.stored.clone();
    again.call(|client, now| client.restore(stored, now));
    again
}

#[test]
fn after_a_reload_rooms_are_painted_from_their_snapshots_and_brought_up_to_date() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    log.say("before");
    host.open(&log);
    host.wait(5_000);
    let mut host = again(&host);
    assert_eq!(host.room("lobby").reason(), TierReason::Restored);
    host.acquire("lobby");
    assert_eq!((host.room("lobby").synced(), host.texts("lobby")), (Synced::Stale, ["before"].into()));
    host.call(|client, now| client.set_token("token", now));
    host.call(|client, now| client.connect(now));
    host.welcomed();
    assert_eq!(host.asked(), [("lobby".into(), Tier::Active, Some(3))]);
    log.say("after");
    host.hear_sync(log.resumed(3));
    assert_eq!(host.texts("lobby"), ["before", "after"]);
}

#[test]
fn after_a_reload_the_queue_goes_on_under_the_same_ids_and_no_number_is_used_twice() {
    let mut host = Host::online();
    let sent = host.post("lobby", "sent");
    host.cut(1006);
    let waiting = host.post("lobby", "waiting");
    let client_id = host.client.client_id();
    let mut host = again(&host);
    assert_eq!(host.client.client_id(), client_id);
    assert_eq!(host.pending("lobby"), ["sent", "waiting"]);
    let cancellable: Vec<bool> = host.room("lobby").pending().map(|pending| pending.is_cancellable).collect();
    assert_eq!(cancellable, [false, true]);
    let third = host.post("lobby", "third");
    assert!(sent < waiting && waiting < third);
    host.call(|client, now| client.set_token("token", now));
    host.call(|client, now| client.connect(now));
    host.welcomed();
    assert_eq!(host.submitted(), ["sent", "waiting", "third"]);
    let Some(Request::Hello(hello)) = host.sent.first() else { panic!() };
    assert_eq!(hello.client_id, client_id.0);
}

#[test]
fn the_user_and_the_inbox_are_known_offline_after_a_reload() {
    let mut host = Host::online();
    let mut inbox = Log::new("inbox:ada", 3, 4);
    let follow = v1::FollowRoom { room_id: "lobby".into(), as_of: None };
    inbox.add("", OpId { client: ClientId(8), counter: 1 }, Body::FollowRoom(follow));
    host.hear_sync(inbox.bulk(0));
    let mut log = Log::with_two("lobby");
    log.say("unread");
    host.open(&log);
    host.wait(5_000);
    let host = again(&host);
    assert_eq!(host.client.connection().user, Some("ada"));
    assert_eq!(host.room("lobby").unread(), 1);
}

#[test]
fn a_room_that_was_opened_before_the_records_came_is_painted_when_they_come() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    log.say("before");
    host.open(&log);
    host.release("lobby");
    let mut early = Host::new();
    early.acquire("lobby");
    let stored = host.stored.clone();
    early.stored = stored.clone();
    early.call(|client, now| client.restore(stored, now));
    assert_eq!((early.room("lobby").synced(), early.texts("lobby")), (Synced::Stale, ["before"].into()));
}

#[test]
fn records_that_cannot_be_read_are_as_good_as_none_and_go_with_the_logout() {
    let mut host = Host::new();
    let records =
        ["meta", "op/1", "room/lobby", "room/a b", "unknown"].map(|key| (key.into(), b"\xff\xff".to_vec()));
    host.stored = records.clone().into();
    host.call(|client, now| client.restore(records, now));
    host.acquire("lobby");
    assert_eq!(host.room("lobby").synced(), Synced::Loading);
    host.call(|client, now| client.logout(now));
    assert!(host.stored.is_empty());
}

#[test]
fn a_damaged_snapshot_is_not_painted_and_not_resumed_from() {
    let mut host = Host::online();
    let log = Log::with_two("lobby");
    host.open(&log);
    host.release("lobby");
    let record = host.stored.get_mut("snap/lobby").unwrap();
    let last = record.len() - 1;
    record[last] ^= 0xff;
    refused_and_loaded_afresh(&mut again(&host), Code::SnapshotDamaged);
}

/// The room is opened: it shows no message, says why, and asks for the whole state, with the reason.
fn refused_and_loaded_afresh(host: &mut Host, code: Code) {
    host.acquire("lobby");
    assert_eq!((host.room("lobby").message_count(), host.room("lobby").name()), (0, "Lobby"));
    let room = Some(id("lobby"));
    assert!(
        host.has_event(|event| *event == Event::Error { code, room: room.clone(), reason: String::new() })
    );
    assert!(!host.stored.contains_key("snap/lobby"));
    host.call(|client, now| client.set_token("token", now));
    host.call(|client, now| client.connect(now));
    host.welcomed();
    assert_eq!(host.asked()[0], ("lobby".into(), Tier::Active, None));
    let Some(Request::Hello(hello)) = host.sent.first() else { panic!() };
    let want = hello.rooms.iter().find(|want| want.room_id == "lobby").unwrap();
    assert_eq!((want.reason, want.digest), (code.number(), None));
    host.hear_sync(Log::with_two("lobby").bulk(0));
    assert_eq!(host.room("lobby").synced(), Synced::Ready);
}

#[test]
fn truncated_newer_and_foreign_snapshots_are_refused_with_the_reason_and_the_room_is_loaded_afresh() {
    let mut host = Host::online();
    for room in ["lobby", "other"] {
        host.open(&Log::with_two(room));
        host.release(room);
    }
    let good = host.stored["snap/lobby"].clone();
    let newer = v1::CompressedRoom { version: 2, ..v1::CompressedRoom::decode(&good[..]).unwrap() };
    let cases = [
        (good[..good.len() / 2].to_vec(), Code::SnapshotDamaged),
        (newer.encode_to_vec(), Code::SnapshotTooNew),
        (host.stored["snap/other"].clone(), Code::SnapshotOfAnotherRoom),
    ];
    for (record, code) in cases {
        let mut host = again(&host);
        host.stored.insert("snap/lobby".into(), record);
        refused_and_loaded_afresh(&mut host, code);
    }
}

#[test]
fn a_storage_that_has_lost_the_snapshot_or_never_answers_costs_a_cold_load() {
    let mut host = Host::online();
    let log = Log::with_two("lobby");
    host.open(&log);
    host.set_tier("lobby", Tier::Cached);
    host.forget();
    host.stored.remove("snap/lobby");
    host.acquire("lobby");
    assert_eq!(host.asked(), [("lobby".into(), Tier::Active, None)]);
    host.hear_sync(log.bulk(0));
    host.set_tier("lobby", Tier::Cached);
    host.forget();
    // A host that has not answered yet: nothing is asked before it has, or is given up.
    host.client.acquire(&id("lobby"), Millis(host.now));
    let is_load = |effect: &Effect| matches!(effect, Effect::Load { key } if key == "snap/lobby");
    assert!(core::iter::from_fn(|| host.client.poll_effect()).any(|effect| is_load(&effect)));
    assert_eq!((host.room("lobby").name(), host.room("lobby").synced()), ("Lobby", Synced::Loading));
    host.call(|_, _| ());
    assert!(host.asked().is_empty());
    host.wait(5_000);
    assert_eq!(host.asked(), [("lobby".into(), Tier::Active, None)]);
}

#[test]
fn what_the_snapshot_holds_is_in_storage_while_the_room_is_cached_and_comes_back_from_there() {
    let mut host = Host::online();
    let mut log = Log::with_two("lobby");
    log.say("before");
    host.open(&log);
    host.set_tier("lobby", Tier::Cached);
    let Content::Cached(cached) = &host.client.rooms.get(&id("lobby")).unwrap().content else { panic!() };
    assert!(cached.base.as_ref().unwrap().packed.is_none());
    host.forget();
    host.acquire("lobby");
    assert_eq!((host.texts("lobby"), host.room("lobby").synced()), (["before"].into(), Synced::Stale));
    assert_eq!(host.asked(), [("lobby".into(), Tier::Active, Some(3))]);
}

#[test]
fn draft_and_scroll_position_survive_all_sixteen_transitions_and_the_process() {
    let mut host = Host::online();
    host.open(&Log::with_two("lobby"));
    host.client.set_draft(&id("lobby"), "half a sen");
    host.client.set_scroll(&id("lobby"), "17+230");
    for from in Tier::ALL {
        for to in Tier::ALL {
            host.set_tier("lobby", from);
            host.set_tier("lobby", to);
            let room = host.room("lobby");
            assert_eq!((room.tier(), room.draft(), room.scroll()), (to, "half a sen", "17+230"));
        }
    }
    host.wait(5_000);
    let mut host = again(&host);
    assert_eq!((host.client.draft(&id("lobby")), host.client.scroll(&id("lobby"))), ("half a sen", "17+230"));
    host.client.set_scroll(&id("lobby"), &"x".repeat(65));
    assert_eq!(host.client.scroll(&id("lobby")), "");
}
