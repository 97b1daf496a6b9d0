use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::{ClientId, Entry, OpId, RoomId, UserId, op};

fn user(id: &str) -> Actor {
    Actor::new(UserId::new(id).unwrap(), id.to_uppercase())
}

/// A room by its log: who did what, each a second after the other.
fn room(id: &str, log: &[(&str, Body)]) -> RoomState {
    let mut state = RoomState::authority(RoomId::new(id).unwrap());
    for (place, (author, body)) in log.iter().enumerate() {
        let seq = place as u64 + 1;
        let entry = Entry {
            seq,
            op_id: OpId { client: ClientId(1), counter: seq },
            author: (*author).into(),
            author_name: (*author).into(),
            at: Millis(seq * 1_000),
            ordinal: 0,
            op: op::encode(body.clone()),
            body: Some(body.clone()),
        };
        state.apply(&entry).unwrap();
    }
    state
}

fn create(visibility: v1::Visibility) -> Body {
    Body::CreateRoom(v1::CreateRoom {
        name: "Lobby".into(),
        visibility: visibility.into(),
        ..Default::default()
    })
}

fn join() -> Body {
    Body::Join(v1::Join {})
}

fn leave() -> Body {
    Body::Leave(v1::Leave {})
}

fn slow(seconds: u32) -> Body {
    Body::SetConfig(v1::SetConfig {
        slow_mode_enabled: Some(true),
        slow_mode_duration: Some(seconds),
        ..Default::default()
    })
}

/// One operation of each kind.
fn every_body() -> Vec<Body> {
    let room_id = || "lobby".to_string();
    vec![
        create(v1::Visibility::Public),
        Body::SetInfo(v1::SetInfo::default()),
        Body::SetConfig(v1::SetConfig::default()),
        join(),
        leave(),
        op::post("hello"),
        Body::FollowRoom(v1::FollowRoom { room_id: room_id(), as_of: None }),
        Body::UnfollowRoom(v1::UnfollowRoom { room_id: room_id(), as_of: None }),
        Body::Notify(v1::Notify { room_id: room_id(), ordinal: 1, ..Default::default() }),
        Body::SetReadMarker(v1::SetReadMarker { room_id: room_id(), ordinal: 1 }),
    ]
}

/// What becomes of [`every_body`], by an actor.
fn answers(room: &RoomState, actor: &Actor) -> Vec<Result<(), Code>> {
    let answer = |body: &Body| may_submit(room, actor, body, Millis(9_000)).map_err(|refusal| refusal.code);
    every_body().iter().map(answer).collect()
}

const FORBIDDEN: Result<(), Code> = Err(Code::Forbidden);
const NOT_MEMBER: Result<(), Code> = Err(Code::NotMember);
const EXISTS: Result<(), Code> = Err(Code::RoomExists);

#[test]
fn each_operation_is_for_whom_it_is_meant() {
    let log = [("ada", create(v1::Visibility::Public)), ("bob", join())];
    let state = room("lobby", &log);
    let inbox_only = [FORBIDDEN; 4];
    for (actor, expected) in [
        // create, info, config, join, leave, post
        (user("ada"), [EXISTS, Ok(()), Ok(()), Ok(()), Ok(()), Ok(())]),
        (user("bob"), [EXISTS, FORBIDDEN, FORBIDDEN, Ok(()), Ok(()), Ok(())]),
        (user("zoe"), [EXISTS, NOT_MEMBER, NOT_MEMBER, Ok(()), NOT_MEMBER, NOT_MEMBER]),
        // The server moderates what it is no member of.
        (Actor::System, [EXISTS, Ok(()), Ok(()), FORBIDDEN, NOT_MEMBER, NOT_MEMBER]),
    ] {
        assert_eq!(answers(&state, &actor), [&expected[..], &inbox_only].concat(), "{actor:?}");
    }
}

#[test]
fn an_inbox_is_its_owners_and_the_servers_and_nobody_elses() {
    let state = room("inbox:bob", &[]);
    let room_only = [FORBIDDEN; 6];
    for (actor, expected) in [
        // follow, unfollow, notify, marker
        (user("bob"), [FORBIDDEN, Ok(()), FORBIDDEN, Ok(())]),
        (user("ada"), [FORBIDDEN; 4]),
        (Actor::System, [Ok(()), Ok(()), Ok(()), FORBIDDEN]),
    ] {
        assert_eq!(answers(&state, &actor), [&room_only[..], &expected].concat(), "{actor:?}");
    }
    assert!(may_read(&user("bob"), &state) && may_read(&Actor::System, &state));
    assert!(!may_read(&user("ada"), &state));
}

#[test]
fn members_draw_and_of_settings_the_owner_has_the_say() {
    let element = v1::ElementChange { key: "k".into(), version: 1, ..Default::default() };
    let body = Body::PutElements(v1::PutElements { elements: vec![element] });
    let may =
        |state: &RoomState, actor: Actor| may_submit(state, &actor, &body, Millis(0)).map_err(|no| no.code);
    let lobby = room("lobby", &[("ada", create(v1::Visibility::Public)), ("bob", join())]);
    let inbox = room("inbox:bob", &[]);
    let settings = room("server:settings", &[]);
    for (state, bob, zoe, system) in [
        (&lobby, Ok(()), NOT_MEMBER, NOT_MEMBER),
        (&inbox, Ok(()), FORBIDDEN, FORBIDDEN),
        (&settings, FORBIDDEN, FORBIDDEN, Ok(())),
    ] {
        assert_eq!((may(state, user("bob")), may(state, user("zoe"))), (bob, zoe));
        assert_eq!(may(state, Actor::System), system);
    }
    assert!(may_read(&user("zoe"), &settings));
    assert_eq!(answers(&settings, &user("bob")), [FORBIDDEN; 10]);
}

#[test]
fn a_room_that_is_not_there_can_be_created_and_nothing_else() {
    let state = room("lobby", &[]);
    let mut expected = vec![Err(Code::UnknownRoom); 10];
    expected[0] = Ok(());
    assert_eq!(answers(&state, &user("ada")), expected);
    assert!(!may_read(&user("ada"), &state) && !may_read(&Actor::System, &state));
}

#[test]
fn visibility_says_who_may_read_and_join() {
    for (visibility, stranger) in
        [(v1::Visibility::Public, true), (v1::Visibility::Unlisted, true), (v1::Visibility::Private, false)]
    {
        let state = room("lobby", &[("ada", create(visibility))]);
        assert!(may_read(&user("ada"), &state) && may_read(&Actor::System, &state));
        assert_eq!(may_read(&user("zoe"), &state), stranger, "{visibility:?}");
        let joins = may_submit(&state, &user("zoe"), &join(), Millis(0));
        assert_eq!(joins, if stranger { Ok(()) } else { Err(Code::Forbidden.into()) }, "{visibility:?}");
    }
}

#[test]
fn who_leaves_a_private_room_is_outside_again() {
    let private = v1::SetInfo { visibility: Some(v1::Visibility::Private.into()), ..Default::default() };
    let mut log =
        vec![("ada", create(v1::Visibility::Public)), ("bob", join()), ("ada", Body::SetInfo(private))];
    assert!(may_read(&user("bob"), &room("lobby", &log)));
    log.push(("bob", leave()));
    let state = room("lobby", &log);
    assert!(!may_read(&user("bob"), &state));
    assert_eq!(may_submit(&state, &user("bob"), &join(), Millis(0)), Err(Code::Forbidden.into()));
}

#[test]
fn slow_mode_says_when_the_next_message_is_welcome() {
    let log = [
        ("ada", create(v1::Visibility::Public)),
        ("bob", join()),
        ("ada", slow(30)),
        ("bob", op::post("one")),
        ("ada", op::post("two")),
    ];
    let state = room("lobby", &log);
    let post = |actor: &str, now| may_submit(&state, &user(actor), &op::post("x"), Millis(now));
    let wait = |retry_after| Err(Refusal { code: Code::SlowMode, retry_after });
    // Bob wrote at 4 seconds.
    assert_eq!(post("bob", 4_000), wait(30_000));
    assert_eq!(post("bob", 33_999), wait(1));
    assert_eq!(post("bob", 34_000), Ok(()));
    // A clock behind the stamp makes nobody wait for longer than the interval.
    assert_eq!(post("bob", 0), wait(30_000));
    // Who moderates is exempt, and so is everything that is no message.
    assert_eq!(post("ada", 5_000), Ok(()));
    assert_eq!(may_submit(&state, &user("bob"), &leave(), Millis(4_000)), Ok(()));
}

#[test]
fn slow_mode_lets_the_first_message_through_and_ends_when_it_is_switched_off() {
    let mut log = vec![("ada", create(v1::Visibility::Public)), ("bob", join()), ("ada", slow(30))];
    let post =
        |log: &[(&str, Body)]| may_submit(&room("lobby", log), &user("bob"), &op::post("x"), Millis(9_000));
    assert_eq!(post(&log), Ok(()));
    log.push(("bob", op::post("one")));
    assert!(post(&log).is_err());
    let off = v1::SetConfig { slow_mode_enabled: Some(false), ..Default::default() };
    log.push(("ada", Body::SetConfig(off)));
    assert_eq!(post(&log), Ok(()));
}

#[test]
fn slow_mode_at_its_longest_does_not_overflow() {
    let log = [
        ("ada", create(v1::Visibility::Public)),
        ("bob", join()),
        ("ada", slow(u32::MAX)),
        ("bob", op::post("x")),
    ];
    let refusal = may_submit(&room("lobby", &log), &user("bob"), &op::post("y"), Millis(4_000)).unwrap_err();
    assert_eq!(refusal.retry_after, u64::from(u32::MAX) * 1_000);
}

#[test]
fn a_full_room_takes_nobody_in_and_keeps_whom_it_has() {
    let names: Vec<_> = (1..limits::MEMBERS).map(|number| alloc::format!("user-{number}")).collect();
    let mut log = vec![("ada", create(v1::Visibility::Public))];
    log.extend(names.iter().map(|name| (name.as_str(), join())));
    let state = room("lobby", &log);
    assert_eq!(state.members().len(), limits::MEMBERS);
    assert_eq!(may_submit(&state, &user("zoe"), &join(), Millis(0)), Err(Code::RoomFull.into()));
    assert_eq!(may_submit(&state, &user("user-7"), &join(), Millis(0)), Ok(()));
}

#[test]
fn a_full_inbox_follows_no_further_room_and_goes_on_with_those_it_has() {
    let follow = |number: usize| {
        let room_id = alloc::format!("room-{number}");
        Body::FollowRoom(v1::FollowRoom { room_id, as_of: None })
    };
    let log: Vec<_> = (0..limits::FOLLOWINGS).map(|number| ("", follow(number))).collect();
    let state = room("inbox:bob", &log);
    assert_eq!(state.inbox().len(), limits::FOLLOWINGS);
    let one_more = may_submit(&state, &Actor::System, &follow(limits::FOLLOWINGS), Millis(0));
    assert_eq!(one_more, Err(Code::TooManyRooms.into()));
    assert_eq!(may_submit(&state, &Actor::System, &follow(7), Millis(0)), Ok(()));
}

mod moderation;
// -------------------------------------------------------------------------------------------------- others' messages

/// ada owns the lobby, ben and cleo are members; ben has written the third entry.
fn talk(more: &[(&str, Body)]) -> RoomState {
    let mut log = vec![("ada", create(v1::Visibility::Public)), ("ben", join()), ("ben", op::post("hi"))];
    log.push(("cleo", join()));
    log.extend(more.iter().cloned());
    room("lobby", &log)
}

fn bens() -> Option<v1::OpId> {
    Some(v1::OpId { client: 1, counter: 3 })
}

fn edit() -> Body {
    let edit = v1::EditMessage { message_id: bens(), message_seq: 3, text: "ho".into(), mentions: vec![] };
    Body::EditMessage(edit)
}

fn delete() -> Body {
    Body::DeleteMessage(v1::DeleteMessage { message_id: bens(), message_seq: 3 })
}

fn react(reaction: &str) -> Body {
    let reaction = reaction.to_string();
    Body::React(v1::React { message_id: bens(), message_seq: 3, reaction, removed: false })
}

fn pin() -> Body {
    Body::Pin(v1::Pin { message_id: bens(), message_seq: 3, removed: false })
}

fn verdict(room: &RoomState, who: &str, body: &Body) -> Result<(), Code> {
    may_submit(room, &user(who), body, Millis(9_000)).map_err(|refusal| refusal.code)
}

#[test]
fn a_message_is_edited_and_deleted_by_its_author_and_by_moderators() {
    let room = talk(&[]);
    for body in [edit(), delete()] {
        assert_eq!(verdict(&room, "ben", &body), Ok(()));
        assert_eq!(verdict(&room, "ada", &body), Ok(()));
        assert_eq!(verdict(&room, "cleo", &body), Err(Code::Forbidden));
        assert_eq!(verdict(&room, "dora", &body), Err(Code::NotMember));
    }
}

#[test]
fn members_react_moderators_pin_and_nobody_does_either_to_what_is_deleted() {
    let room = talk(&[]);
    assert_eq!(verdict(&room, "cleo", &react("👍")), Ok(()));
    assert_eq!(verdict(&room, "dora", &react("👍")), Err(Code::NotMember));
    assert_eq!(verdict(&room, "cleo", &pin()), Err(Code::Forbidden));
    assert_eq!(verdict(&room, "ada", &pin()), Ok(()));
    let room = talk(&[("ben", delete())]);
    for body in [edit(), delete(), react("👍"), pin()] {
        assert_eq!(verdict(&room, "ada", &body), Err(Code::NoSuchMessage));
    }
}

#[test]
fn reactions_and_pins_beyond_the_bounds_are_refused() {
    let reactions: Vec<(&str, Body)> =
        (0..limits::REACTIONS).map(|number| ("ben", react(&number.to_string()))).collect();
    let room = talk(&reactions);
    assert_eq!(verdict(&room, "cleo", &react("one more")), Err(Code::TooManyReactions));
    assert_eq!(verdict(&room, "cleo", &react("1")), Ok(()));
    let mut pins = Vec::new();
    for counter in 5..5 + limits::PINS as u64 {
        let message_id = Some(v1::OpId { client: 1, counter });
        pins.insert(0, ("ben", op::post("x")));
        pins.push(("ada", Body::Pin(v1::Pin { message_id, message_seq: counter, removed: false })));
    }
    let room = talk(&pins);
    assert_eq!(verdict(&room, "ada", &pin()), Err(Code::TooManyPins));
}
