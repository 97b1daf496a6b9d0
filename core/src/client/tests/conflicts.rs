//! Edits made offline that meet somebody else's.

use super::together::World;
use super::*;

use crate::v1::{ConflictChoice, ConflictMode, ConflictType};

fn drawn(value: &str, version: u64) -> v1::ElementChange {
    let nonce = if value == "mine" { 9 } else { 5 };
    let value = value.as_bytes().to_vec();
    v1::ElementChange { key: "rect".into(), value, version, nonce, index: "a0".into(), deleted: false }
}

fn renamed(name: &str) -> Body {
    Body::SetInfo(v1::SetInfo { name: Some(name.into()), ..Default::default() })
}

fn mode(of: ConflictType, mode: ConflictMode, timeout: u64) -> Body {
    Body::SetConflictMode(v1::SetConflictMode {
        conflict_type: of.into(),
        mode: mode.into(),
        timeout,
        default_choice: ConflictChoice::Unspecified.into(),
    })
}

/// Ada's room under a mode. Both have drawn it once, then Ada is offline and draws `mine`, and Bob draws `theirs`.
fn met(of: Body, mine: (&str, u64), theirs: (&str, u64)) -> (World, RoomId) {
    let (mut world, room) = World::with_room();
    world.hosts[0].call(|client, now| client.submit(&room, of, now)).unwrap();
    world.draw(0, &room, &[drawn("first", 1)]);
    world.settle();
    world.hosts[0].cut(1006);
    world.draw(0, &room, &[drawn(mine.0, mine.1)]);
    world.draw(1, &room, &[drawn(theirs.0, theirs.1)]);
    world.settle();
    world.hosts[0].events.clear();
    world.wait(5_000);
    (world, room)
}

fn stands(world: &World, room: &RoomId) -> [(String, u64); 2] {
    [0, 1].map(|index| {
        let element = world.hosts[index].room(room.as_str()).element("rect").unwrap();
        assert_eq!(world.hosts[index].room(room.as_str()).pending().count(), 0);
        (String::from_utf8(element.value.clone()).unwrap(), element.version)
    })
}

fn value(bytes: &[u8]) -> String {
    match op::parse(bytes) {
        Ok(Body::PutElements(put)) => String::from_utf8(put.elements[0].value.clone()).unwrap(),
        Ok(Body::SetInfo(info)) => info.name.unwrap(),
        other => panic!("{other:?}"),
    }
}

fn conflicts(world: &World) -> Vec<v1::Conflict> {
    world.hosts[0].client.conflicts().cloned().collect()
}

fn rejected(world: &World) -> Vec<Code> {
    let code = |event: &Event| if let Event::Rejected { code, .. } = event { Some(*code) } else { None };
    world.hosts[0].events.iter().filter_map(code).collect()
}

fn choose(world: &mut World, choice: ConflictChoice) {
    let id = OpId::parse(conflicts(world)[0].id.as_ref()).unwrap();
    world.hosts[0].call(|client, now| client.resolve_conflict(id, choice, now)).unwrap();
    assert!(conflicts(world).is_empty(), "what is chosen waits no longer");
    world.settle();
    world.wait(100);
}

fn asking() -> Body {
    mode(ConflictType::ComplexMerge, ConflictMode::UserChoice, 60_000)
}

#[test]
fn elements_merge_by_their_version_unless_a_room_says_otherwise() {
    let (world, room) =
        met(mode(ConflictType::RoomConfig, ConflictMode::ClientWins, 0), ("mine", 3), ("theirs", 2));
    assert_eq!(stands(&world, &room), [("mine".into(), 3), ("mine".into(), 3)]);
    assert!(rejected(&world).is_empty());
    let (world, room) =
        met(mode(ConflictType::RoomConfig, ConflictMode::ClientWins, 0), ("mine", 2), ("theirs", 3));
    assert_eq!(stands(&world, &room), [("theirs".into(), 3), ("theirs".into(), 3)]);
    assert_eq!(rejected(&world), [Code::ElementOutdated]);
    assert!(conflicts(&world).is_empty());
}

#[test]
fn where_the_server_wins_what_stands_stands_whatever_the_version() {
    let rule = mode(ConflictType::ComplexMerge, ConflictMode::ServerWins, 0);
    let (world, room) = met(rule, ("mine", 9), ("theirs", 2));
    assert_eq!(stands(&world, &room), [("theirs".into(), 2), ("theirs".into(), 2)]);
    assert_eq!(rejected(&world), [Code::ElementOutdated]);
}

#[test]
fn where_the_client_wins_an_older_version_holds_over_what_stands_and_only_once() {
    let rule = mode(ConflictType::ComplexMerge, ConflictMode::ClientWins, 0);
    let (world, room) = met(rule.clone(), ("mine", 2), ("theirs", 7));
    assert_eq!(stands(&world, &room), [("mine".into(), 8), ("mine".into(), 8)]);
    assert!(rejected(&world).is_empty());
    // The acknowledgement is lost, and Bob draws again before the repetition comes.
    let (mut world, room) = World::with_room();
    world.hosts[0].call(|client, now| client.submit(&room, rule, now)).unwrap();
    world.draw(0, &room, &[drawn("first", 1)]);
    world.settle();
    world.hosts[0].cut(1006);
    let id = world.draw(0, &room, &[drawn("mine", 2)])[0];
    world.draw(1, &room, &[drawn("theirs", 7)]);
    world.settle();
    let repeated = world.hosts[0].client.pending_op(id).map(|op| op.body.clone());
    let stored = world.hosts[0].stored.clone();
    world.wait(5_000);
    world.draw(1, &room, &[drawn("later", 9)]);
    world.settle();
    let mut again = Client::new(ClientConfig::default(), 1, Millis(world.hosts[0].now));
    again.restore(stored, Millis(world.hosts[0].now));
    assert_eq!(again.pending_op(id).map(|op| op.body.clone()), repeated);
    world.restart(0, again);
    world.hosts[0].acquire(room.as_str());
    world.settle();
    world.wait(5_000);
    assert_eq!(stands(&world, &room), [("later".into(), 9), ("later".into(), 9)]);
}

#[test]
fn a_choice_waits_with_base_mine_and_theirs_while_what_stands_stands() {
    let (world, room) = met(asking(), ("mine", 2), ("theirs", 2));
    assert_eq!(stands(&world, &room), [("theirs".into(), 2), ("theirs".into(), 2)]);
    assert_eq!(rejected(&world), [Code::ConflictKept]);
    assert!(world.hosts[0].has_event(|event| *event == Event::Conflicts));
    let [conflict] = &conflicts(&world)[..] else { panic!() };
    assert_eq!(
        [&conflict.base, &conflict.mine, &conflict.theirs].map(|side| value(side)),
        ["first", "mine", "theirs"]
    );
    assert_eq!((conflict.key.as_str(), conflict.theirs_author.as_str()), ("rect", "bob"));
    assert_eq!(
        (conflict.conflict_type(), conflict.room_id.as_str()),
        (ConflictType::ComplexMerge, room.as_str())
    );
    assert!(world.hosts[1].client.conflicts().next().is_none());
}

#[test]
fn choosing_mine_writes_it_in_the_users_name_over_what_stands_by_then() {
    let (mut world, room) = met(asking(), ("mine", 2), ("theirs", 2));
    world.draw(1, &room, &[drawn("still theirs", 6)]);
    world.settle();
    choose(&mut world, ConflictChoice::Mine);
    assert_eq!(stands(&world, &room), [("mine".into(), 7), ("mine".into(), 7)]);
    let element = world.hosts[1].room(room.as_str()).element("rect").unwrap();
    assert_eq!(element.author, "ada");
    world.assert_same(room.as_str());
    // It is done: nothing is left that could be repeated, whoever is killed.
    world.draw(1, &room, &[drawn("last", 8)]);
    world.settle();
    world.kill();
    world.wait(5_000);
    assert_eq!(stands(&world, &room), [("last".into(), 8), ("last".into(), 8)]);
}

#[test]
fn choosing_theirs_changes_nothing_and_the_conflict_is_gone() {
    let (mut world, room) = met(asking(), ("mine", 2), ("theirs", 2));
    let head = world.hosts[0].room(room.as_str()).position();
    let id = OpId::parse(conflicts(&world)[0].id.as_ref()).unwrap();
    choose(&mut world, ConflictChoice::Theirs);
    assert_eq!(world.hosts[0].room(room.as_str()).position(), head);
    assert_eq!(stands(&world, &room)[0].0, "theirs");
    let again = world.hosts[0].call(|client, now| client.resolve_conflict(id, ConflictChoice::Mine, now));
    assert_eq!(again, Err(Refusal { code: Code::UnknownConflict, retry_after: 0 }));
}

#[test]
fn a_choice_can_be_made_on_another_device() {
    let (mut world, room) = met(asking(), ("mine", 2), ("theirs", 2));
    // Bob's device becomes another one of Ada's.
    world.sign_in(1, "ada");
    world.hosts[1].acquire(room.as_str());
    world.settle();
    let id = OpId::parse(world.hosts[1].client.conflicts().next().unwrap().id.as_ref()).unwrap();
    world.hosts[1].call(|client, now| client.resolve_conflict(id, ConflictChoice::Mine, now)).unwrap();
    world.settle();
    world.wait(100);
    assert!(conflicts(&world).is_empty());
    assert_eq!(stands(&world, &room)[0], ("mine".into(), 3));
}

#[test]
fn when_time_is_up_the_default_holds() {
    let (mut world, room) = met(asking(), ("mine", 2), ("theirs", 2));
    world.wait(50_000);
    assert_eq!(conflicts(&world).len(), 1);
    world.wait(10_000);
    assert!(conflicts(&world).is_empty());
    assert_eq!(stands(&world, &room)[0].0, "theirs");
    let mine = v1::SetConflictMode {
        conflict_type: ConflictType::ComplexMerge.into(),
        mode: ConflictMode::UserChoice.into(),
        timeout: 60_000,
        default_choice: ConflictChoice::Mine.into(),
    };
    let (mut world, room) = met(Body::SetConflictMode(mine), ("mine", 2), ("theirs", 2));
    // The server is away when time is up, and does it when it is back.
    world.kill();
    world.wait(70_000);
    assert!(conflicts(&world).is_empty());
    assert_eq!(stands(&world, &room)[0].0, "mine");
    world.assert_same(room.as_str());
}

#[test]
fn a_server_that_is_killed_before_the_conflict_is_kept_keeps_it_when_it_is_back() {
    let (mut world, room) = World::with_room();
    world.hosts[0].call(|client, now| client.submit(&room, asking(), now)).unwrap();
    world.draw(0, &room, &[drawn("first", 1)]);
    world.settle();
    world.hosts[0].cut(1006);
    world.draw(0, &room, &[drawn("mine", 2)]);
    world.draw(1, &room, &[drawn("theirs", 2)]);
    world.settle();
    world.lose_deliveries(true);
    world.wait(5_000);
    assert!(conflicts(&world).is_empty() && rejected(&world).is_empty(), "no answer before it is kept");
    world.kill();
    world.lose_deliveries(false);
    world.wait(5_000);
    assert_eq!((conflicts(&world).len(), rejected(&world)), (1, [Code::ConflictKept].into()));
}

#[test]
fn a_field_of_the_configuration_stays_as_the_server_has_it_unless_a_room_asks() {
    let rename = |rule: Option<Body>| {
        let (mut world, room) = World::with_room();
        if let Some(rule) = rule {
            world.hosts[0].call(|client, now| client.submit(&room, rule, now)).unwrap();
        }
        world.settle();
        world.hosts[0].cut(1006);
        world.hosts[0].call(|client, now| client.submit(&room, renamed("Mine"), now)).unwrap();
        let topic = Body::SetInfo(v1::SetInfo { topic: Some("mine".into()), ..Default::default() });
        world.hosts[0].call(|client, now| client.submit(&room, topic, now)).unwrap();
        world.write_elsewhere(&room, "bob", renamed("Theirs"));
        world.settle();
        world.wait(5_000);
        let info = world.hosts[1].room(room.as_str()).info().unwrap().clone();
        assert_eq!(info.topic, "mine", "nobody else has written the topic");
        (world, room, info.name)
    };
    let (world, _, name) = rename(None);
    assert_eq!((name.as_str(), rejected(&world)), ("Theirs", [Code::ElementOutdated].into()));
    for (wins, name) in [(ConflictMode::ClientWins, "Mine"), (ConflictMode::Merge, "Mine")] {
        assert_eq!(rename(Some(mode(ConflictType::RoomConfig, wins, 0))).2, name);
    }
    let (mut world, room, name) = rename(Some(mode(ConflictType::RoomConfig, ConflictMode::UserChoice, 0)));
    assert_eq!(name, "Theirs");
    let [conflict] = &conflicts(&world)[..] else { panic!() };
    assert_eq!(
        (conflict.key.as_str(), value(&conflict.mine), value(&conflict.theirs)),
        ("name", "Mine".into(), "Theirs".into())
    );
    choose(&mut world, ConflictChoice::Mine);
    assert_eq!(world.hosts[1].room(room.as_str()).name(), "Mine");
}

#[test]
fn what_was_written_while_connected_is_no_conflict_however_late_it_comes() {
    let (mut world, room) = World::with_room();
    world.hosts[0].call(|client, now| client.submit(&room, asking(), now)).unwrap();
    world.draw(0, &room, &[drawn("first", 1)]);
    world.settle();
    world.draw(0, &room, &[drawn("mine", 2)]);
    world.draw(1, &room, &[drawn("theirs", 3)]);
    world.settle();
    assert!(conflicts(&world).is_empty());
    assert_eq!(stands(&world, &room)[0], ("theirs".into(), 3));
}

#[test]
fn when_too_many_wait_the_default_of_the_oldest_holds() {
    let (mut world, room) = World::with_room();
    world.hosts[0].call(|client, now| client.submit(&room, asking(), now)).unwrap();
    let many = limits::CONFLICTS + 2;
    let all = |by: &str| -> Vec<v1::ElementChange> {
        let one = |index| v1::ElementChange { key: alloc::format!("e{index}"), ..drawn(by, 2) };
        (0..many).map(one).collect()
    };
    world.settle();
    world.hosts[0].cut(1006);
    world.draw(0, &room, &all("mine"));
    world.draw(1, &room, &all("theirs"));
    world.settle();
    world.wait(10_000);
    let waiting = conflicts(&world);
    assert_eq!(waiting.len(), limits::CONFLICTS);
    assert_eq!(waiting[0].key, "e2");
    assert_eq!(rejected(&world).len(), many);
}

#[test]
fn a_message_that_a_moderator_has_edited_meanwhile_is_a_question_where_a_room_asks() {
    let (mut world, room) = World::with_room();
    world.hosts[0].call(|client, now| client.submit(&room, asking(), now)).unwrap();
    let message = world.hosts[0].post(room.as_str(), "helo");
    world.settle();
    let shown = world.hosts[0].room(room.as_str()).message(0).unwrap().clone();
    let edit = |text: &str| {
        Body::EditMessage(v1::EditMessage {
            message_id: Some(message.wire()),
            message_seq: shown.seq,
            text: text.into(),
            mentions: Vec::new(),
        })
    };
    world.hosts[0].cut(1006);
    world.hosts[0].call(|client, now| client.submit(&room, edit("mine"), now)).unwrap();
    world.write_elsewhere(&room, "bob", edit("theirs"));
    world.settle();
    world.wait(5_000);
    let text = |world: &World| world.hosts[1].room(room.as_str()).message(0).unwrap().text.clone();
    assert_eq!((text(&world), rejected(&world)), ("theirs".into(), [Code::ConflictKept].into()));
    let [conflict] = &conflicts(&world)[..] else { panic!() };
    assert_eq!((conflict.key.clone(), conflict.theirs_author.as_str()), (alloc::format!("{message}"), "bob"));
    let side = |bytes: &[u8]| match op::parse(bytes) {
        Ok(Body::EditMessage(edit)) => edit.text,
        other => panic!("{other:?}"),
    };
    assert_eq!((side(&conflict.mine), side(&conflict.theirs)), ("mine".into(), "theirs".into()));
    choose(&mut world, ConflictChoice::Mine);
    assert_eq!(text(&world), "mine");
}
