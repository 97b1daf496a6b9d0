//! A client that goes to and fro between two tiers of a room in which somebody else writes, step by step.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a measurement that can't be made has failed")]

use std::collections::{BTreeMap, VecDeque};

use enfilade_core::alone::{Output, Server};
use enfilade_core::authority::ConnId;
use enfilade_core::client::{Client, ClientConfig, Effect, Synced};
use enfilade_core::{Millis, RoomId, Tier, compress, v1};
use prost::Message;

/// A client, what it has stored, and its connection.
struct Person {
    client: Client,
    disk: BTreeMap<String, Vec<u8>>,
    /// How often something was read from the disk.
    loads: usize,
    generation: u64,
    conn: Option<ConnId>,
    up: VecDeque<Vec<u8>>,
    down: VecDeque<Vec<u8>>,
}

impl Person {
    fn new(seed: u64, now: Millis) -> Person {
        let config = ClientConfig { background_for: 1 << 40, cached_for: 1 << 40, ..ClientConfig::default() };
        let mut client = Client::new(config, seed, now);
        client.set_token(&format!("person-{seed}"), now);
        client.connect(now);
        let (up, down) = (VecDeque::new(), VecDeque::new());
        Person { client, disk: BTreeMap::new(), loads: 0, generation: 0, conn: None, up, down }
    }

    /// What the host of a client does, as cheaply as it can be done.
    fn act(&mut self, now: Millis) {
        while let Some(effect) = self.client.poll_effect() {
            match effect {
                Effect::Connect { generation } => {
                    self.generation = generation;
                    self.client.handle_connected(generation, now);
                }
                Effect::Send { bytes, .. } => self.up.push_back(bytes),
                Effect::Close { .. } => {}
                Effect::Persist { key, value: Some(value) } => drop(self.disk.insert(key, value)),
                Effect::Persist { key, value: None } => drop(self.disk.remove(&key)),
                Effect::Load { key } => {
                    self.loads += 1;
                    self.client.handle_loaded(&key, self.disk.get(&key).map(Vec::as_slice), now);
                }
            }
        }
        while self.client.poll_event().is_some() {}
    }

    fn take_in(&mut self, now: Millis) {
        while let Some(bytes) = self.down.pop_front() {
            self.client.handle_frame(self.generation, &bytes, now);
            self.act(now);
        }
    }
}

/// Both clients, and the server between them.
pub struct Change {
    now: Millis,
    server: Server,
    /// Who writes, and who comes and goes.
    people: [Person; 2],
    room: RoomId,
    written: u32,
}

impl Change {
    /// Steps of a round. Those of the client alone are 0, 2 (it opens the room), 3, 5 (it leaves it) and 6 (what was
    /// stored is decompressed and decoded, and that is all); in the others the server answers, and somebody writes.
    pub const STEPS: usize = 7;

    /// A room with so many messages, which the client holds as Cached.
    pub fn new(messages: u32) -> Change {
        let now = Millis(1_000);
        let mut people = [1, 2].map(|seed| Person::new(seed, now));
        let (room, _) = people[0].client.create_room("Lobby", v1::Visibility::Public, "", now).unwrap();
        let mut world = Change { now, server: Server::new(7, now), people, room, written: 0 };
        world.settle();
        for person in &mut world.people {
            person.client.set_tier(&world.room, Tier::Active, now);
        }
        world.settle();
        (0..messages).for_each(|_| world.write());
        world.people[1].client.set_tier(&world.room, Tier::Cached, world.now);
        world.settle();
        world
    }

    fn write(&mut self) {
        self.written += 1;
        let text = format!(
            "message {} of many, and about as long as people write in a chat: not very",
            self.written
        );
        self.now = self.now + 2_000;
        self.people[0].client.post(&self.room, &text, Vec::new(), self.now).unwrap();
        self.settle();
    }

    /// Everything arrives, on both sides.
    fn settle(&mut self) {
        self.people.iter_mut().for_each(|person| person.act(self.now));
        while self.people.iter().any(|person| !person.up.is_empty() || !person.down.is_empty()) {
            self.serve();
            self.people.iter_mut().for_each(|person| person.take_in(self.now));
        }
    }

    /// What was sent comes to the server, and its answers go on their way.
    fn serve(&mut self) {
        for person in &mut self.people {
            while let Some(bytes) = person.up.pop_front() {
                let conn = *person.conn.get_or_insert_with(|| self.server.connect(self.now).unwrap());
                self.server.handle_frame(conn, &bytes, self.now);
            }
        }
        while let Some(output) = self.server.poll() {
            if let Output::Send { conn, bytes } = output {
                let to = self.people.iter_mut().find(|person| person.conn == Some(conn));
                to.unwrap().down.push_back(bytes);
            }
        }
    }

    /// Takes the next step, of which the number says how far the round is.
    pub fn step(&mut self, step: usize) {
        let now = self.now;
        let tier = if step < 3 { Tier::Active } else { Tier::Cached };
        match step {
            0 | 3 => {
                self.people[1].client.set_tier(&self.room, tier, now);
                self.people[1].act(now);
            }
            1 => self.serve(),
            4 => {
                self.serve();
                let held = std::mem::take(&mut self.people[1].down);
                (0..2).for_each(|_| self.write());
                self.people[1].down.extend(held);
            }
            2 | 5 => {
                let person = &mut self.people[1];
                person.take_in(now);
                if person.client.next_deadline().is_some_and(|(due, _)| due <= now) {
                    // What waits to be stored is stored.
                    person.client.handle_timeout(now);
                }
                person.act(now);
                let room = self.people[1].client.room(&self.room).unwrap();
                assert!(room.tier() == tier && (step == 5 || room.synced() == Synced::Ready));
                assert!(step == 5 || room.message_count() >= 50);
            }
            _ => {
                let record = self.people[1]
                    .disk
                    .iter()
                    .find(|(key, _)| key.starts_with("snap/") && key.ends_with(self.room.as_str()));
                let room = compress::read(&self.room, record.unwrap().1).unwrap();
                v1::RoomSnapshot::decode(&compress::plain(&room).unwrap()[..]).unwrap();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_goes_to_and_fro_has_all_that_was_written_meanwhile() {
        let mut change = Change::new(60);
        for round in 0..20 {
            for step in 0..3 {
                change.step(step);
            }
            let room = change.people[1].client.room(&change.room).unwrap();
            assert_eq!(room.message_count(), 60 + 2 * round);
            for step in 3..Change::STEPS {
                change.step(step);
            }
            assert_eq!(change.people[1].loads, round + 1, "the snapshot came from the disk");
        }
    }
}
