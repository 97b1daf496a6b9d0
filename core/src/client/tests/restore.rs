use super::*;
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
    let record = host.stored.get_mut("room/lobby").unwrap();
    let last = record.len() - 1;
    record[last] ^= 0xff;
    let mut host = again(&host);
    host.acquire("lobby");
    assert_eq!(host.room("lobby").message_count(), 0);
    host.call(|client, now| client.set_token("token", now));
    host.call(|client, now| client.connect(now));
    host.welcomed();
    assert_eq!(host.asked(), [("lobby".into(), Tier::Active, None)]);
}
