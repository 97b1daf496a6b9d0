use enfilade_core::op::{self, Body};
use enfilade_core::v1::client_frame::Body as Ask;
use enfilade_core::v1::room_state_sync::Data;
use enfilade_core::v1::server_frame::Body as Frame;
use enfilade_core::wire::Codec;
use enfilade_core::{Code, Tier, VERSION_MAX, v1};

use super::harness::{CODECS, Server, create, join, mention, position, want};

const PUBLIC: v1::Visibility = v1::Visibility::Public;

#[tokio::test]
async fn a_message_goes_from_one_client_to_another_in_both_codecs() {
    let server = Server::start(&[]);
    for (number, codec) in CODECS.into_iter().enumerate() {
        let room = format!("room-{number}");
        let (token, user) = server.guest("Ada");
        let mut ada = server.open(codec, 1).await;
        let welcome = ada.hello(&token, Vec::new()).await;
        assert_eq!((welcome.version, welcome.user, welcome.user_name), (VERSION_MAX, user, "Ada".into()));
        let limits = welcome.limits.unwrap();
        assert!(limits.op_bytes > 0 && limits.live_rooms > 0 && welcome.heartbeat_interval > 0);

        let created = ada.submit(&room, 1, create(PUBLIC)).await.unwrap();
        assert_eq!(created.seq, 1);
        let (at, snapshot) = ada.open_room(&room).await;
        assert_eq!((at, snapshot.members.len()), (created, 1));
        let mut bob = server.join(codec, "Bob", 2).await;
        bob.submit(&room, 1, join()).await.unwrap();
        let (at, _) = bob.open_room(&room).await;
        assert_eq!(at, v1::Position { seq: 2, ..created });

        let posted = ada.submit(&room, 2, op::post("hello")).await.unwrap();
        assert_eq!(posted.seq, 3);
        assert_eq!(bob.texts(&room, 1).await, ["hello"]);
        bob.submit(&room, 2, op::post("hi")).await.unwrap();
        assert_eq!(bob.texts(&room, 1).await, ["hi"]);
    }
}

#[tokio::test]
async fn clients_of_both_codecs_see_one_order() {
    const EACH: u64 = 100;
    let server = Server::start(&[]);
    let mut ada = server.join(Codec::Binary, "Ada", 1).await;
    ada.submit("lobby", 1, create(PUBLIC)).await.unwrap();
    let mut bob = server.join(Codec::Json, "Bob", 2).await;
    bob.submit("lobby", 1, join()).await.unwrap();
    ada.open_room("lobby").await;
    bob.open_room("lobby").await;
    for counter in 2..EACH + 2 {
        ada.ask(ada.submission("lobby", counter, op::post(format!("ada {counter}"))));
        bob.ask(bob.submission("lobby", counter, op::post(format!("bob {counter}"))));
    }
    let count = 2 * EACH as usize;
    let (seen_by_ada, seen_by_bob) = (ada.texts("lobby", count).await, bob.texts("lobby", count).await);
    assert_eq!(seen_by_ada, seen_by_bob);
    for user in ["ada", "bob"] {
        let own: Vec<_> = seen_by_ada.iter().filter(|text| text.starts_with(user)).cloned().collect();
        let expected: Vec<_> = (2..EACH + 2).map(|counter| format!("{user} {counter}")).collect();
        assert_eq!(own, expected);
    }
    assert_eq!((ada.refusals(), bob.refusals()), (vec![], vec![]));
}

#[tokio::test]
async fn each_tier_is_answered_with_what_it_holds() {
    let server = Server::start(&[]);
    for (number, codec) in CODECS.into_iter().enumerate() {
        let room = format!("room-{number}");
        let mut ada = server.join(codec, "Ada", 1).await;
        ada.submit(&room, 1, create(PUBLIC)).await.unwrap();
        ada.submit(&room, 2, op::post("hello")).await.unwrap();
        let mut bob = server.join(codec, "Bob", 2).await;
        let tier_of = |sync: &v1::RoomStateSync| Tier::from_wire(sync.tier?);

        bob.set_tier(&room, Tier::Cached, None);
        let cached = bob.sync(&room, |sync| match &sync.data {
            Some(Data::Heartbeat(heartbeat)) => Some((tier_of(sync)?, heartbeat.messages)),
            _ => None,
        });
        assert_eq!(cached.await, (Tier::Cached, 1));

        bob.set_tier(&room, Tier::Background, None);
        let background = bob.sync(&room, |sync| match &sync.data {
            Some(Data::StateUpdate(update)) => Some((tier_of(sync)?, update.clone())),
            _ => None,
        });
        let (tier, light) = background.await;
        assert_eq!((tier, light.messages, light.recent.len()), (Tier::Background, Some(1), 1));
        assert_eq!(light.info.unwrap().name, "Room");
        // What is posted now comes in one update.
        for counter in 3..=7 {
            ada.submit(&room, counter, op::post("news")).await.unwrap();
        }
        let mut recent = 0;
        while recent < 5 {
            recent += bob
                .sync(&room, |sync| match &sync.data {
                    Some(Data::StateUpdate(update)) if sync.tier.is_none() => Some(update.recent.len()),
                    _ => None,
                })
                .await;
        }
        assert_eq!(recent, 5);

        let (_, whole) = bob.open_room(&room).await;
        assert_eq!(whole.timeline.len(), 6);
        let present = bob.sync(&room, |sync| match &sync.data {
            Some(Data::StateUpdate(update)) => update.presence.clone(),
            _ => None,
        });
        assert!(present.await.full);

        bob.set_tier(&room, Tier::Unloaded, None);
        // A page of history comes in order with the rest of the room, so whatever was on its way came before it.
        bob.history(&room, 0, 1).await;
        bob.passed.clear();
        ada.submit(&room, 8, op::post("unheard")).await.unwrap();
        bob.history(&room, 0, 1).await;
        assert!(
            bob.passed.iter().all(|frame| !matches!(frame, Frame::RoomStateSync(_))),
            "{:#?}",
            bob.passed
        );
    }
}

#[tokio::test]
async fn an_operation_that_is_sent_again_has_its_effect_once() {
    let server = Server::start(&[]);
    let (token, _) = server.guest("Ada");
    let mut ada = server.connect(Codec::Binary, &token, 1).await;
    ada.submit("lobby", 1, create(PUBLIC)).await.unwrap();
    let first = ada.submit("lobby", 2, op::post("once")).await.unwrap();
    assert_eq!(ada.submit("lobby", 2, op::post("once")).await, Ok(first));
    // On another connection, in another codec, it is still the same operation.
    let mut again = server.connect(Codec::Json, &token, 1).await;
    assert_eq!(again.submit("lobby", 2, op::post("once")).await, Ok(first));
    let (at, snapshot) = again.open_room("lobby").await;
    assert_eq!((at, snapshot.timeline.len()), (first, 1));
}

#[tokio::test]
async fn a_client_that_comes_back_gets_what_it_missed_and_no_more() {
    let server = Server::start(&[]);
    for (number, codec) in CODECS.into_iter().enumerate() {
        let room = format!("room-{number}");
        let mut ada = server.join(codec, "Ada", 1).await;
        ada.submit(&room, 1, create(PUBLIC)).await.unwrap();
        let (token, _) = server.guest("Bob");
        let mut bob = server.connect(codec, &token, 2).await;
        let (held, _) = bob.open_room(&room).await;
        drop(bob);
        for counter in 2..=4 {
            ada.submit(&room, counter, op::post(format!("missed {counter}"))).await.unwrap();
        }
        let mut bob = server.open(codec, 2).await;
        bob.hello(&token, vec![want(&room, Tier::Active, Some(held))]).await;
        let delta = bob.sync(&room, |sync| match &sync.data {
            Some(Data::DeltaUpdate(delta)) => {
                Some((position(sync), delta.entries.iter().map(|entry| entry.seq).collect::<Vec<_>>()))
            }
            Some(Data::BulkSync(_)) => panic!("the whole state, where the end of it was asked for"),
            _ => None,
        });
        assert_eq!(delta.await, (v1::Position { seq: 4, ..held }, vec![2, 3, 4]));
        // Live traffic goes on from there.
        ada.submit(&room, 5, op::post("live")).await.unwrap();
        assert_eq!(bob.texts(&room, 1).await, ["live"]);
    }
}

#[tokio::test]
async fn mentions_and_read_markers_live_in_the_inbox() {
    let server = Server::start(&[]);
    for (number, codec) in CODECS.into_iter().enumerate() {
        let room = format!("room-{number}");
        let mut ada = server.join(codec, "Ada", 1).await;
        ada.submit(&room, 1, create(PUBLIC)).await.unwrap();
        let (token, user) = server.guest("Bob");
        let inbox = format!("inbox:{user}");
        let mut bob = server.connect(codec, &token, 2).await;
        bob.open_room(&inbox).await;
        bob.submit(&room, 1, join()).await.unwrap();
        ada.submit(&room, 2, mention("hello @bob", &user)).await.unwrap();

        let mut followed = None;
        let notified = loop {
            let entries = bob.sync(&inbox, |sync| match &sync.data {
                Some(Data::DeltaUpdate(delta)) => Some(delta.entries.clone()),
                _ => None,
            });
            let bodies = entries.await.into_iter().filter_map(|entry| op::parse(&entry.op).ok());
            let mut notified = None;
            for body in bodies {
                match body {
                    Body::FollowRoom(follow) => followed = Some(follow.room_id),
                    Body::Notify(notify) => notified = Some(notify),
                    other => panic!("{other:?}"),
                }
            }
            if let Some(notified) = notified {
                break notified;
            }
        };
        assert_eq!(followed.as_deref(), Some(room.as_str()));
        assert_eq!((notified.room_id.as_str(), notified.ordinal), (room.as_str(), 1));
        assert_eq!((notified.excerpt.as_str(), notified.author_name.as_str()), ("hello @bob", "Ada"));

        let marker = Body::SetReadMarker(v1::SetReadMarker { room_id: room.clone(), ordinal: 1 });
        bob.submit(&inbox, 1, marker).await.unwrap();
        let (_, snapshot) = bob.open_room(&inbox).await;
        let following = &snapshot.followings[0];
        assert_eq!((following.following, following.read, following.mentions.len()), (true, 1, 0));
        assert_eq!(snapshot.notifications.len(), 1);

        // An inbox is nobody else's.
        ada.set_tier(&inbox, Tier::Active, None);
        assert_eq!(ada.error().await, Code::Forbidden);
        let marker = Body::SetReadMarker(v1::SetReadMarker { room_id: room.clone(), ordinal: 1 });
        assert_eq!(ada.submit(&inbox, 1, marker).await, Err(Code::Forbidden));
    }
}

#[tokio::test]
async fn history_is_read_page_by_page_to_the_beginning() {
    const MESSAGES: u64 = 250;
    let server = Server::start(&[]);
    let (token, _) = server.guest("Ada");
    let mut ada = server.connect(Codec::Binary, &token, 1).await;
    ada.submit("lobby", 1, create(PUBLIC)).await.unwrap();
    for counter in 2..MESSAGES + 2 {
        ada.ask(ada.submission("lobby", counter, op::post(counter.to_string())));
    }
    ada.answer(MESSAGES + 1).await.unwrap();
    for codec in CODECS {
        let mut bob = server.join(codec, "Bob", 2).await;
        let mut before_seq = 0;
        let mut ordinals = Vec::new();
        loop {
            let page = bob.history("lobby", before_seq, 60).await;
            ordinals.splice(0..0, page.messages.iter().map(|message| message.ordinal));
            before_seq = page.next_before_seq;
            if before_seq == 0 {
                break;
            }
        }
        assert_eq!(ordinals, (1..=MESSAGES).collect::<Vec<_>>());
    }
    let mut path = "/api/rooms/lobby/messages?limit=100".to_owned();
    let mut ordinals = Vec::new();
    loop {
        let (status, page) = server.get(&path, Some(&token));
        assert_eq!(status, 200, "{page}");
        let rows = page["messages"].as_array().unwrap();
        ordinals.splice(0..0, rows.iter().map(|row| row["ordinal"].as_u64().unwrap()));
        let Some(next) = page["next_before_seq"].as_u64() else { break };
        path = format!("/api/rooms/lobby/messages?limit=100&before_seq={next}");
    }
    assert_eq!(ordinals, (1..=MESSAGES).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_heads_of_cached_rooms_come_with_the_heartbeat() {
    let server = Server::start(&["heartbeat_interval_ms=2000"]);
    let mut ada = server.join(Codec::Binary, "Ada", 1).await;
    ada.submit("lobby", 1, create(PUBLIC)).await.unwrap();
    ada.submit("attic", 1, create(v1::Visibility::Private)).await.unwrap();
    for codec in CODECS {
        let mut bob = server.join(codec, "Bob", 2).await;
        for room in ["lobby", "attic"] {
            bob.set_tier(room, Tier::Cached, None);
        }
        assert_eq!(bob.error().await, Code::Forbidden);
        let counter = if codec == Codec::Binary { 2 } else { 3 };
        ada.submit("attic", counter, op::post("among us")).await.unwrap();
        let posted = ada.submit("lobby", counter, op::post("news")).await.unwrap();
        let head = bob.expect(|frame| match frame {
            Frame::RoomStateSync(sync) => {
                assert_eq!(sync.room_id, "lobby", "the head of a room that is not for everybody");
                match &sync.data {
                    Some(Data::Heartbeat(heartbeat)) if position(sync) == posted => Some(heartbeat.messages),
                    _ => None,
                }
            }
            _ => None,
        });
        assert_eq!(head.await, counter - 1);
    }
}

#[tokio::test]
async fn rooms_are_listed_by_what_one_may_see() {
    let server = Server::start(&[]);
    let (token, user) = server.guest("Ada");
    let mut ada = server.connect(Codec::Json, &token, 1).await;
    let inbox = format!("inbox:{user}");
    ada.open_room(&inbox).await;
    ada.submit("attic", 1, create(v1::Visibility::Private)).await.unwrap();
    ada.submit("lobby", 1, create(PUBLIC)).await.unwrap();
    // Both are followed once the inbox says so.
    let mut followed = 0;
    while followed < 2 {
        followed += ada
            .sync(&inbox, |sync| match &sync.data {
                Some(Data::DeltaUpdate(delta)) => Some(delta.entries.len()),
                _ => None,
            })
            .await;
    }
    let mut bob = server.join(Codec::Binary, "Bob", 2).await;
    let follow = Body::FollowRoom(v1::FollowRoom { room_id: "attic".into(), as_of: None });
    for (client, expected) in [(&mut ada, vec!["attic", "lobby"]), (&mut bob, vec!["lobby"])] {
        client.ask(Ask::RoomList(v1::RoomListRequest { request_id: 3, ..Default::default() }));
        let rooms = client.expect(|frame| match frame {
            Frame::RoomList(list) => {
                Some(list.rooms.iter().map(|row| row.room_id.clone()).collect::<Vec<_>>())
            }
            _ => None,
        });
        assert_eq!(rooms.await, expected);
    }
    // Nobody lets themselves into the list of a private room.
    let (token, user) = server.guest("Eve");
    let mut eve = server.connect(Codec::Binary, &token, 3).await;
    assert_eq!(eve.submit(&format!("inbox:{user}"), 1, follow).await, Err(Code::Forbidden));
}
