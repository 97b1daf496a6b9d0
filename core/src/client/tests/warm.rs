use super::*;
use crate::predict::{Because, Bounds, Predictor};
use crate::tier::TierReason;

/// Somebody who goes from the lobby to the game, and from the game to the board.
fn habits() -> Vec<u8> {
    let mut predictor = Predictor::new(Bounds::default());
    for _ in 0..9 {
        predictor.extend(&["lobby", "game", "board"].map(id));
    }
    predictor.export()
}

fn online() -> Host {
    let mut host = Host::online();
    host.call(|client, now| client.import_navigation(&habits(), now)).unwrap();
    host
}

impl Log {
    /// The answer to a request to warm up.
    fn warmed(&self) -> v1::RoomStateSync {
        v1::RoomStateSync { tier: Some(Tier::Cached.wire().into()), ..self.bulk(0) }
    }

    fn refused(&self, code: Code) -> Frame {
        Frame::Error(v1::Error {
            code: code.number(),
            room_id: self.state.id().as_str().into(),
            ..Default::default()
        })
    }
}

fn outcomes(host: &Host) -> Vec<(&str, &str)> {
    host.client.warmed().map(|warmed| (warmed.prediction.room.as_str(), warmed.outcome.name())).collect()
}

#[test]
fn the_likely_room_is_fetched_once_the_one_that_was_opened_is_there_and_then_opens_at_once() {
    let mut host = online();
    let (lobby, mut game) = (Log::with_two("lobby"), Log::with_two("game"));
    game.alias = 6;
    game.say("you are next");
    host.acquire("lobby");
    assert_eq!(host.asked(), [("lobby".into(), Tier::Active, None)]);
    host.forget();
    host.hear_sync(lobby.bulk(0));
    let Some(Request::SetTier(want)) = host.sent.last() else { panic!() };
    assert_eq!((want.room_id.as_str(), want.tier(), want.warm_up), ("game", v1::Tier::Cached, true));
    assert_eq!(host.room("game").reason(), TierReason::Predicted);
    assert_eq!(outcomes(&host), [("game", "asked")]);

    host.hear_sync(game.warmed());
    assert!(host.stored.contains_key("snap/game"));
    assert_eq!((outcomes(&host), host.room("game").name()), ([("game", "ready")].into(), "Lobby"));
    // One a navigation.
    host.forget();
    host.wait(20_000);
    assert_eq!(host.asked(), []);

    host.acquire("game");
    assert_eq!((host.texts("game"), host.room("game").synced()), (["you are next"].into(), Synced::Stale));
    assert_eq!(host.asked(), [("game".into(), Tier::Active, Some(3))]);
    assert_eq!(outcomes(&host), [("game", "used")]);
    assert_eq!(host.client.warm_ups().used, 1);
}

#[test]
fn a_warm_up_says_why() {
    let mut host = online();
    for room in ["board", "lobby"] {
        host.open(&Log::with_two(room));
    }
    let warmed = host.client.warmed().last().unwrap().clone();
    assert_eq!((warmed.after, warmed.before), (id("lobby"), Some(id("board"))));
    assert_eq!((warmed.prediction.room, warmed.prediction.because), (id("game"), Because::FollowsPair));
    assert!(warmed.prediction.confidence > 500_000 && warmed.prediction.times > 5);
}

#[test]
fn nothing_is_fetched_offline_or_while_somebody_waits_or_when_the_server_or_the_app_allows_none() {
    let quiet = |host: &mut Host| {
        host.wait(60_000);
        assert_eq!(host.client.warm_ups().asked, 0);
    };
    let lobby = Log::with_two("lobby");
    // The room that was opened is still on its way.
    let mut host = online();
    host.acquire("lobby");
    assert_eq!(host.client.warm_ups().asked, 0);
    // Offline.
    let mut host = Host::new();
    host.call(|client, now| client.import_navigation(&habits(), now)).unwrap();
    host.acquire("lobby");
    quiet(&mut host);
    // Something that was written is not confirmed yet.
    let mut host = online();
    host.post("game", "hello");
    host.acquire("lobby");
    host.hear_sync(lobby.bulk(0));
    assert_eq!(host.client.warm_ups().asked, 0);
    // The app is in the background.
    let mut host = online();
    host.acquire("lobby");
    host.call(|client, now| client.handle_network(Network::Background, now));
    host.hear_sync(lobby.bulk(0));
    quiet(&mut host);
    // The app wants none.
    let mut host = Host::with(ClientConfig { warm_up: 0, ..ClientConfig::default() });
    host.call(|client, now| client.set_token("token", now));
    host.call(|client, now| client.connect(now));
    host.welcomed();
    host.call(|client, now| client.import_navigation(&habits(), now)).unwrap();
    host.open(&lobby);
    quiet(&mut host);
    // The server wants none.
    let mut host = Host::new();
    host.call(|client, now| client.set_token("token", now));
    host.call(|client, now| client.connect(now));
    host.connected();
    let limits = v1::Limits { warm_up: Some(0), ..Default::default() };
    host.hear(Frame::Welcome(v1::Welcome { limits: Some(limits), ..welcome() }));
    host.call(|client, now| client.import_navigation(&habits(), now)).unwrap();
    host.open(&lobby);
    quiet(&mut host);
    host.call(|client, now| client.warm_up(5, now));
    quiet(&mut host);
}

#[test]
fn a_warm_up_that_fails_is_counted_and_disturbs_nobody() {
    let mut host = online();
    let (lobby, game) = (Log::with_two("lobby"), Log::with_two("game"));
    host.open(&lobby);
    host.hear(game.refused(Code::Forbidden));
    assert!(!host.has_event(|event| matches!(event, Event::Error { .. })));
    assert!(host.client.room(&id("game")).is_none() || host.room("game").tier() == Tier::Unloaded);
    assert_eq!((outcomes(&host), host.client.warm_ups().failed), ([("game", "failed")].into(), 1));
    // It is not tried again soon.
    host.forget();
    host.call(|client, now| client.warm_up(1, now));
    assert_eq!(host.asked(), [("board".into(), Tier::Cached, None)]);
}

#[test]
fn what_never_comes_is_given_up_and_so_is_everything_when_the_connection_breaks() {
    let mut host = online();
    host.open(&Log::with_two("lobby"));
    host.wait(15_000);
    assert_eq!(
        (outcomes(&host), host.asked()),
        ([("game", "failed")].into(), [("game".into(), Tier::Unloaded, None)].into())
    );

    let mut host = online();
    host.open(&Log::with_two("lobby"));
    host.reconnect();
    assert_eq!(outcomes(&host), [("game", "failed")]);
    assert_eq!(host.asked(), [("lobby".into(), Tier::Active, Some(2))]);
}

#[test]
fn a_server_that_warms_nothing_up_is_no_trouble() {
    let mut host = online();
    host.open(&Log::with_two("lobby"));
    let game = Log::with_two("game");
    let heartbeat = v1::RoomHeartbeat { messages: 0, ..Default::default() };
    host.hear_sync(game.answer(Tier::Cached, Data::Heartbeat(heartbeat)));
    assert_eq!(outcomes(&host), [("game", "failed")]);
    host.open(&game);
    assert_eq!(host.room("game").synced(), Synced::Ready);
}

#[test]
fn a_room_that_is_opened_before_it_is_there_is_simply_opened() {
    let mut host = online();
    host.open(&Log::with_two("lobby"));
    host.acquire("game");
    assert_eq!(
        (outcomes(&host), host.asked()),
        ([("game", "late")].into(), [("game".into(), Tier::Active, None)].into())
    );
    let game = Log::with_two("game");
    host.hear_sync(game.warmed());
    assert_eq!(host.room("game").synced(), Synced::Loading);
    host.hear_sync(game.bulk(0));
    assert_eq!(host.room("game").synced(), Synced::Ready);
}

#[test]
fn a_snapshot_that_cannot_be_read_is_as_good_as_none() {
    let mut host = online();
    host.open(&Log::with_two("lobby"));
    let game = Log::with_two("game");
    host.hear_sync(v1::RoomStateSync { sequence_number: 99, ..game.warmed() });
    assert_eq!(
        (outcomes(&host), host.stored.contains_key("snap/game")),
        ([("game", "failed")].into(), false)
    );
}

#[test]
fn a_room_that_was_fetched_for_nothing_is_dropped_like_any_other_and_counted() {
    let mut host = online();
    host.open(&Log::with_two("lobby"));
    host.hear_sync(Log::with_two("game").warmed());
    host.wait(31 * 60_000);
    assert_eq!((outcomes(&host), host.client.warm_ups().wasted), ([("game", "wasted")].into(), 1));
    assert!(!host.stored.contains_key("snap/game") && !host.stored.contains_key("room/game"));
}

#[test]
fn navigation_is_stored_once_a_minute_and_known_after_a_reload() {
    let mut host = Host::new();
    for _ in 0..5 {
        for room in ["lobby", "game", "board"] {
            host.acquire(room);
            host.release(room);
        }
    }
    assert!(!host.stored.contains_key("navigation"));
    host.wait(60_000);
    assert_eq!(host.stored["navigation"], host.client.export_navigation());
    host.acquire("lobby");
    let predicted = host.client.predictions(3);
    host.call(|client, now| client.handle_network(Network::Background, now));
    let mut again = Host::new();
    // Where somebody has gone before the records were there is not forgotten.
    again.acquire("game");
    let stored = host.stored.clone();
    again.call(|client, now| client.restore(stored, now));
    assert_eq!(predicted[0].room, id("game"));
    assert_eq!(again.client.predictions(1)[0].room, id("board"));
}

#[test]
fn navigation_is_erased_on_request_and_by_the_logout() {
    let mut host = online();
    host.wait(60_000);
    assert!(host.stored.contains_key("navigation") && !host.client.predictions(1).is_empty());
    host.call(|client, _| client.erase_navigation());
    assert!(!host.stored.contains_key("navigation") && host.client.predictions(1).is_empty());

    let mut host = online();
    host.wait(60_000);
    host.call(|client, now| client.logout(now));
    assert!(host.stored.is_empty() && host.client.predictions(1).is_empty());
    assert_eq!(host.client.warmed().count(), 0);
}

#[test]
fn a_damaged_record_of_navigation_is_reported_and_learning_starts_afresh() {
    let mut host = Host::new();
    let records = [("navigation".into(), b"\x01damaged".to_vec())];
    host.call(|client, now| client.restore(records, now));
    assert!(
        host.has_event(|event| matches!(event, Event::Error { code: Code::ModelDamaged, room: None, .. }))
    );
    assert_eq!(host.call(|client, now| client.import_navigation(b"", now)), Err(Code::ModelDamaged));
    host.acquire("lobby");
    host.acquire("game");
    assert_eq!(host.client.predictions(1)[0].room, id("lobby"));
}
