use super::together::World;
use super::*;

fn drawn(key: &str, version: u64, nonce: u64) -> v1::ElementChange {
    let value = alloc::format!("{version} by {nonce}").into_bytes();
    v1::ElementChange { key: key.into(), value, version, nonce, index: "a0".into(), deleted: false }
}

fn shown(world: &World, index: usize, room: &RoomId) -> Vec<(String, u64, u64, bool)> {
    let elements = world.hosts[index].room(room.as_str()).elements();
    let row = |element: &alloc::sync::Arc<v1::Element>| {
        (element.key.clone(), element.version, element.nonce, element.seq > 0)
    };
    elements.iter().map(row).collect()
}

impl World {
    pub(super) fn draw(&mut self, index: usize, room: &RoomId, elements: &[v1::ElementChange]) -> Vec<OpId> {
        self.hosts[index].call(|client, now| client.put_elements(room, elements.to_vec(), now)).unwrap()
    }

    fn assert_same_board(&self, room: &RoomId) {
        self.assert_same(room.as_str());
        assert_eq!(shown(self, 0, room), shown(self, 1, room));
        let digest = |index: usize| self.hosts[index].room(room.as_str()).digest();
        assert_eq!(digest(0), digest(1));
    }
}

#[test]
fn an_element_shows_at_once_and_is_the_same_register_when_it_is_confirmed() {
    let (mut world, room) = World::with_room();
    world.hosts[0].events.clear();
    world.draw(0, &room, &[drawn("rect", 1, 7)]);
    assert_eq!(shown(&world, 0, &room), [("rect".into(), 1, 7, false)]);
    assert_eq!(shown(&world, 1, &room), []);
    let told = |event: &Event| match event {
        Event::Room { changes, .. } => changes.contains(&RoomChange::Element("rect".into())),
        _ => false,
    };
    assert!(world.hosts[0].has_event(told));
    world.settle();
    assert_eq!(shown(&world, 0, &room), [("rect".into(), 1, 7, true)]);
    assert!(world.hosts[1].has_event(told));
    assert_eq!(world.hosts[0].room(room.as_str()).pending().count(), 0);
    world.assert_same_board(&room);
}

#[test]
fn what_is_pending_is_merged_anew_over_what_others_draw_meanwhile() {
    let (mut world, room) = World::with_room();
    world.draw(0, &room, &[drawn("rect", 1, 7), drawn("line", 1, 7)]);
    world.settle();
    world.hosts[1].cut(1006);
    world.draw(1, &room, &[drawn("rect", 3, 9)]);
    world.draw(1, &room, &[drawn("line", 2, 9)]);
    world.draw(0, &room, &[drawn("rect", 2, 8)]);
    world.draw(0, &room, &[drawn("line", 2, 8)]);
    world.settle();
    // Bob's rectangle is newer than Ada's, and her line wins by its nonce.
    world.wait(5_000);
    assert_eq!(shown(&world, 1, &room), [("line".into(), 2, 8, true), ("rect".into(), 3, 9, true)]);
    world.assert_same_board(&room);
}

#[test]
fn a_board_of_large_elements_reaches_whoever_opens_it_in_parts() {
    let (mut world, room) = World::with_room();
    world.hosts[1].set_tier(room.as_str(), Tier::Unloaded);
    for index in 0..60 {
        let key = alloc::format!("e{index}");
        let large = v1::ElementChange { value: alloc::vec![7; limits::ELEMENT_BYTES], ..drawn(&key, 1, 1) };
        world.draw(0, &room, &[large]);
        world.settle();
    }
    world.hosts[1].acquire(room.as_str());
    world.settle();
    assert_eq!(world.hosts[1].room(room.as_str()).elements().len(), 60);
    world.assert_same_board(&room);
}

#[test]
fn a_setting_is_the_last_one_written_on_whatever_device() {
    let (mut world, _) = World::with_room();
    let inbox = world.hosts[0].client.own_inbox().unwrap().clone();
    let set = |world: &mut World, value: &str| {
        let value = Some(value.as_bytes().to_vec());
        let set = world.hosts[0].call(|client, now| client.set_element(&inbox, "theme", value, now));
        set.unwrap();
    };
    set(&mut world, "dark");
    set(&mut world, "light");
    let value =
        |world: &World| world.hosts[0].client.room(&inbox).unwrap().element("theme").unwrap().value.clone();
    assert_eq!(value(&world), b"light");
    world.settle();
    assert_eq!(value(&world), b"light");
    world.hosts[0].call(|client, now| client.set_element(&inbox, "theme", None, now)).unwrap();
    assert!(world.hosts[0].client.room(&inbox).unwrap().element("theme").is_none());
    world.settle();
    assert!(world.hosts[0].client.room(&inbox).unwrap().elements().is_empty());
    // Nobody else reads or writes it.
    let refused = world.hosts[1].call(|client, now| client.set_element(&inbox, "theme", None, now));
    assert!(refused.is_ok(), "the inbox is not held, so the server is asked");
    world.settle();
    assert!(world.hosts[1].has_event(|event| matches!(event, Event::Rejected { code: Code::Forbidden, .. })));
}

#[test]
fn the_servers_settings_are_read_by_everybody_and_written_by_the_server_alone() {
    let (mut world, _) = World::with_room();
    let settings = RoomId::server_settings();
    let put = v1::PutElements { elements: [drawn("motd", 1, 1)].into() };
    let reply = crate::authority::Reply { room: id("admin"), delivery: 1 };
    world.server_delivers(&settings, reply, Body::PutElements(put));
    world.hosts[1].acquire(settings.as_str());
    world.settle();
    assert_eq!(shown(&world, 1, &settings), [("motd".into(), 1, 1, true)]);
    let refused = world.hosts[1].call(|client, now| client.set_element(&settings, "motd", None, now));
    assert_eq!(refused, Err(Refusal { code: Code::Forbidden, retry_after: 0 }));
}
