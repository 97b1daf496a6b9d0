use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::*;
use crate::authority::ConnId;
use crate::client::{Answer, ClientConfig, Effect, Event, Input};
use crate::op::Body;
use crate::trace::{Session, TRACE_BYTES, Trace};
use crate::{Code, Millis, RoomId, op, v1};

/// A session, its records, and the server that it is connected with.
struct Person {
    session: Session,
    link: Option<(u64, ConnId)>,
    records: BTreeMap<String, Vec<u8>>,
    events: Vec<Event>,
}

impl Person {
    fn new(seed: u64, record: Option<usize>) -> Person {
        let session = Session::new(ClientConfig::default(), seed, Millis(0), record);
        Person { session, link: None, records: BTreeMap::new(), events: Vec::new() }
    }
}

/// Sessions and a server, with frames that arrive at once.
struct World {
    server: Server,
    people: Vec<Person>,
    now: u64,
}

impl World {
    fn new(server: Server, people: Vec<Person>) -> World {
        let mut world = World { server, people, now: 1_000 };
        for person in 0..world.people.len() {
            let token = ["ada Ada Lovelace", "bob Bob"][person];
            let _ = world.tell(person, Input::SetToken(token.to_string()));
            let _ = world.tell(person, Input::Connect);
        }
        world
    }

    fn tell(&mut self, person: usize, input: Input) -> Result<Answer, Code> {
        self.now += 1;
        let answer = self.input(person, input);
        self.carry();
        answer
    }

    fn input(&mut self, person: usize, input: Input) -> Result<Answer, Code> {
        let now = Millis(self.now);
        let answer = self.people[person].session.handle(input, now).map_err(|refusal| refusal.code);
        let session = &mut self.people[person].session;
        let effects: Vec<Effect> = core::iter::from_fn(|| session.poll_effect()).collect();
        let events: Vec<Event> = core::iter::from_fn(|| session.poll_event()).collect();
        self.people[person].events.extend(events);
        for effect in effects {
            match effect {
                Effect::Connect { generation } => {
                    self.people[person].link = self.server.connect(now).map(|conn| (generation, conn));
                    let _ = self.input(person, Input::Connected { generation });
                }
                Effect::Send { bytes, .. } => {
                    if let Some((_, conn)) = self.people[person].link {
                        self.server.handle_frame(conn, &bytes, now);
                    }
                }
                Effect::Close { .. } => {
                    if let Some((_, conn)) = self.people[person].link.take() {
                        self.server.disconnect(conn, now);
                    }
                }
                Effect::Persist { key, value: Some(value) } => {
                    self.people[person].records.insert(key, value);
                }
                Effect::Persist { key, value: None } => drop(self.people[person].records.remove(&key)),
                Effect::Load { key } => {
                    let record = self.people[person].records.get(&key).cloned();
                    let _ = self.input(person, Input::Loaded { key, record });
                }
            }
        }
        answer
    }

    fn carry(&mut self) {
        while let Some(output) = self.server.poll() {
            match output {
                Output::Send { conn, bytes } => {
                    if let Some((person, generation)) = self.of(conn) {
                        let _ = self.input(person, Input::Frame { generation, bytes });
                    }
                }
                Output::Close { conn, code } => {
                    if let Some((person, generation)) = self.of(conn) {
                        let reason = String::new();
                        let _ = self.input(person, Input::Disconnected { generation, code, reason });
                    }
                }
                Output::Persist { .. } => {}
            }
        }
    }

    fn of(&self, conn: ConnId) -> Option<(usize, u64)> {
        let mut people = self.people.iter().enumerate();
        people.find_map(|(person, of)| {
            of.link.filter(|(_, current)| *current == conn).map(|(generation, _)| (person, generation))
        })
    }

    fn pass(&mut self, milliseconds: u64) {
        let end = self.now + milliseconds;
        loop {
            let deadlines = self.people.iter().filter_map(|person| person.session.client().next_deadline());
            let next = deadlines.map(|(at, _)| at).chain(self.server.next_deadline()).min();
            let Some(next) = next.filter(|at| at.0 <= end) else { break };
            self.now = self.now.max(next.0);
            self.server.handle_timeout(Millis(self.now));
            self.carry();
            for person in 0..self.people.len() {
                let _ = self.input(person, Input::Timeout);
                self.carry();
            }
        }
        self.now = end;
    }

    fn post(&mut self, person: usize, room: &RoomId, text: &str) {
        self.tell(person, Input::Submit(room.clone(), op::post(text))).unwrap();
    }

    fn create(&mut self, person: usize) -> RoomId {
        let (name, topic) = ("Mine".to_string(), "what is mine".to_string());
        let create = Input::CreateRoom { name, visibility: v1::Visibility::Public, topic };
        let Ok(Answer::Room(room, _)) = self.tell(person, create) else { panic!("not made") };
        self.tell(person, Input::Acquire(room.clone())).unwrap();
        room
    }

    fn texts(&self, person: usize, room: &RoomId) -> Vec<String> {
        let view = self.people[person].session.client().room(room).unwrap();
        (0..view.message_count())
            .filter_map(|at| view.message(at))
            .map(|message| message.text.clone())
            .collect()
    }

    fn pending(&self, person: usize, room: &RoomId) -> usize {
        self.people[person].session.client().room(room).map_or(0, |view| view.pending().count())
    }
}

/// Ada has made a room alone, and written into it. What she has, and what the server has.
fn alone() -> (Person, Server, RoomId) {
    let mut world = World::new(Server::new(1, Millis(0)), [Person::new(7, None)].into());
    let room = world.create(0);
    ["one", "two", "three"].iter().for_each(|text| world.post(0, &room, text));
    let enabled = v1::SetConfig { emote_only: Some(false), ..Default::default() };
    world.tell(0, Input::Submit(room.clone(), Body::SetConfig(enabled))).unwrap();
    world.pass(10_000);
    assert_eq!(world.texts(0, &room), ["one", "two", "three"]);
    assert_eq!(world.pending(0, &room), 0);
    world.tell(0, Input::Disconnect).unwrap();
    (world.people.remove(0), world.server, room)
}

#[test]
fn a_room_hosted_alone_becomes_a_real_one_under_the_same_ids_in_the_same_order() {
    let (ada, server, room) = alone();
    let made = server.made(&room, ada.session.client().client_id());
    let mut real = World::new(Server::new(2, Millis(0)), Vec::new());
    real.people.push(ada);
    real.now = 60_000;
    assert_eq!(real.tell(0, Input::Resubmit(room.clone(), made.clone())), Ok(Answer::Taken(true)));
    assert_eq!(real.tell(0, Input::Resubmit(room.clone(), made.clone())), Ok(Answer::Taken(false)));
    real.tell(0, Input::Connect).unwrap();
    real.pass(60_000);
    assert_eq!(real.texts(0, &room), ["one", "two", "three"]);
    assert_eq!(real.pending(0, &room), 0);
    let ids = |made: &[Made]| made.iter().map(|made| made.id).collect::<Vec<_>>();
    let client = real.people[0].session.client().client_id();
    assert_eq!(ids(&real.server.made(&room, client)), ids(&made));

    // The app has crashed before it forgot the log, and does it all again.
    let before = real.server.head(&room);
    real.tell(0, Input::Resubmit(room.clone(), made)).unwrap();
    real.pass(60_000);
    assert_eq!((real.server.head(&room), real.pending(0, &room)), (before, 0));
}

#[test]
fn where_the_real_room_exists_both_stay_and_the_creation_is_refused() {
    let (ada, server, room) = alone();
    let made = server.made(&room, ada.session.client().client_id());
    let mut real = World::new(Server::new(2, Millis(0)), [Person::new(8, None), Person::new(9, None)].into());
    // Somebody else has a room of that id, in which ada is.
    let create = v1::CreateRoom { name: "Theirs".into(), ..Default::default() };
    real.tell(1, Input::Submit(room.clone(), Body::CreateRoom(create))).unwrap();
    real.tell(1, Input::Acquire(room.clone())).unwrap();
    real.post(1, &room, "theirs");
    real.tell(0, Input::Submit(room.clone(), Body::Join(v1::Join {}))).unwrap();
    real.tell(0, Input::Disconnect).unwrap();
    real.people[0] = ada;
    real.now = 60_000;
    real.tell(0, Input::Resubmit(room.clone(), made)).unwrap();
    real.tell(0, Input::Connect).unwrap();
    real.pass(60_000);
    assert_eq!(real.pending(0, &room), 0);
    let refused = |event: &Event| match event {
        Event::Rejected { code, .. } => Some(*code),
        _ => None,
    };
    let codes: Vec<Code> = real.people[0].events.iter().filter_map(refused).collect();
    // Only who moderates may set the room's modes, as ever.
    assert_eq!(codes, [Code::RoomExists, Code::Forbidden]);
    assert_eq!(real.texts(1, &room), ["theirs", "one", "two", "three"]);
    assert_eq!(real.texts(0, &room), real.texts(1, &room));
}

/// Ada and Bob in a room that asks about conflicts. Ada draws, and Bob draws over it; then both bring what they have made
/// to a real server, Bob's perhaps without what he had seen. What stands there in the end, and what Bob is asked about.
fn merged(has_seen: bool) -> (Vec<u8>, usize) {
    let people = [Person::new(7, None), Person::new(8, None)].into();
    let mut world = World::new(Server::new(1, Millis(0)), people);
    let room = world.create(0);
    let ask = v1::SetConflictMode {
        conflict_type: v1::ConflictType::ComplexMerge.into(),
        mode: v1::ConflictMode::UserChoice.into(),
        ..Default::default()
    };
    world.tell(0, Input::Submit(room.clone(), Body::SetConflictMode(ask))).unwrap();
    world.tell(1, Input::Acquire(room.clone())).unwrap();
    world.tell(1, Input::Submit(room.clone(), Body::Join(v1::Join {}))).unwrap();
    world.pass(5_000);
    let draw =
        |value: u8| Input::SetElement { room: room.clone(), key: "rect".into(), value: Some([value].into()) };
    world.tell(0, draw(1)).unwrap();
    world.pass(5_000);
    world.tell(1, draw(2)).unwrap();
    world.pass(5_000);
    let made = [0, 1].map(|person| {
        let mut made = world.server.made(&room, world.people[person].session.client().client_id());
        made.iter_mut().filter(|_| !has_seen).for_each(|made| made.seen.clear());
        world.tell(person, Input::Disconnect).unwrap();
        made
    });
    let mut real = World::new(Server::new(2, Millis(0)), Vec::new());
    (real.people, real.now) = (world.people, 60_000);
    for (person, made) in made.into_iter().enumerate() {
        real.tell(person, Input::Resubmit(room.clone(), made)).unwrap();
        real.tell(person, Input::Connect).unwrap();
        real.pass(60_000);
        assert_eq!(real.pending(person, &room), 0);
    }
    let view = real.people[0].session.client().room(&room).unwrap();
    let stands = view.element("rect").unwrap().value.clone();
    (stands, real.people[1].session.client().conflicts().count())
}

#[test]
fn what_an_author_had_seen_in_a_room_hosted_alone_is_no_conflict_when_it_is_merged() {
    assert_eq!(merged(true), ([2].into(), 0));
    // Else it might have been drawn beside the other.
    assert_eq!(merged(false), ([1].into(), 1));
}

#[test]
fn what_another_client_has_made_is_not_taken_over() {
    let (ada, server, room) = alone();
    let made = server.made(&room, ada.session.client().client_id());
    let mut real = World::new(Server::new(2, Millis(0)), [Person::new(8, None)].into());
    assert_eq!(real.tell(0, Input::Resubmit(room.clone(), made.clone())), Err(Code::ClientIdTaken));
    real.people[0] = ada;
    let mut backwards = made.clone();
    backwards.reverse();
    assert_eq!(real.tell(0, Input::Resubmit(room.clone(), backwards)), Err(Code::InvalidRequest));
    let mut unreadable = made;
    unreadable[1].op = Vec::from([255]);
    assert!(real.tell(0, Input::Resubmit(room.clone(), unreadable)).is_err());
    assert_eq!(real.pending(0, &room), 0);
}

#[test]
fn a_log_ends_before_a_record_that_is_missing_or_damaged() {
    let mut world = World::new(Server::new(1, Millis(0)), [Person::new(7, None)].into());
    let mut records = BTreeMap::new();
    let mut keep = |world: &mut World| {
        while let Some(output) = world.server.poll() {
            if let Output::Persist { key, value } = &output {
                records.insert(key.clone(), value.clone().unwrap());
            }
            if let Output::Send { conn, bytes } = output
                && let Some((person, generation)) = world.of(conn)
            {
                let _ = world.input(person, Input::Frame { generation, bytes });
            }
        }
    };
    let create = v1::CreateRoom { name: "Mine".into(), ..Default::default() };
    let room = RoomId::new("mine").unwrap();
    for body in [Body::CreateRoom(create), op::post("one"), op::post("two"), op::post("three")] {
        world.now += 1_000;
        let _ = world.input(0, Input::Submit(room.clone(), body));
        world.server.handle_timeout(Millis(world.now));
        keep(&mut world);
    }
    let head = |records: &BTreeMap<String, Vec<u8>>| {
        let server = Server::restore(records.clone(), 1, Millis(0));
        server.head(&room).map(|head| head.seq)
    };
    let whole = head(&records).unwrap();
    assert_eq!(Some(whole), world.server.head(&room).map(|head| head.seq));
    let batches: Vec<String> = records.keys().filter(|key| key.starts_with("alone/mine/")).cloned().collect();
    assert!(batches.len() >= 3, "{batches:?}");
    let mut missing = records.clone();
    missing.remove(&batches[1]);
    assert!(head(&missing).unwrap() < whole);
    let mut damaged = records.clone();
    damaged.insert(batches[2].clone(), Vec::from([0, 1, 2]));
    assert!(head(&damaged).unwrap() < whole);
    records.remove("alone/mine");
    assert_eq!(head(&records), None);
}

#[test]
fn more_connections_than_there_may_be_are_refused() {
    let mut server = Server::new(1, Millis(0));
    let connected = (0..CONNECTIONS + 3).filter_map(|_| server.connect(Millis(0))).count();
    assert_eq!(connected, CONNECTIONS);
}

#[test]
fn a_log_that_was_merged_is_forgotten_with_all_its_records() {
    let (_, mut server, room) = alone();
    while server.poll().is_some() {}
    assert!(server.forget(&room));
    let gone = core::iter::from_fn(|| server.poll()).collect::<Vec<_>>();
    assert!(
        gone.len() >= 3 && gone.iter().all(|output| matches!(output, Output::Persist { value: None, .. }))
    );
    assert_eq!(server.head(&room), None);
}

/// Two people and most of what they can do, the first one recorded.
fn busy() -> (World, RoomId) {
    let people = [Person::new(7, Some(TRACE_BYTES)), Person::new(9, None)].into();
    let mut world = World::new(Server::new(1, Millis(0)), people);
    let room = world.create(0);
    world.tell(1, Input::Acquire(room.clone())).unwrap();
    world.tell(1, Input::Submit(room.clone(), Body::Join(v1::Join {}))).unwrap();
    for text in ["a secret", "un secret gardé", "秘密 secret 🤫"] {
        world.post(0, &room, text);
        world.post(1, &room, text);
    }
    let mention =
        v1::PostMessage { text: "secret @ada".into(), mentions: ["ada".into()].into(), reply_to: None };
    world.tell(1, Input::Submit(room.clone(), Body::PostMessage(mention))).unwrap();
    let secret = |text: &str| text.to_string();
    world.tell(0, Input::SetDraft(room.clone(), secret("secret draft"))).unwrap();
    world.tell(0, Input::WatchRooms(true)).unwrap();
    world
        .tell(
            0,
            Input::SetElement { room: room.clone(), key: secret("k"), value: Some(Vec::from(*b"secret")) },
        )
        .unwrap();
    let signal = Input::Signal {
        room: room.clone(),
        class: v1::SignalClass::Latest,
        kind: secret("cursor"),
        key: String::new(),
        payload: Vec::from(*b"secret"),
    };
    world.tell(0, signal).unwrap();
    world.pass(40_000);
    world.tell(0, Input::Release(room.clone())).unwrap();
    world.pass(120_000);
    world.post(1, &room, "secret while away");
    world.pass(30_000);
    world.tell(0, Input::Disconnect).unwrap();
    world.post(0, &room, "secret offline");
    world.tell(0, Input::Connect).unwrap();
    world.tell(0, Input::Acquire(room.clone())).unwrap();
    world.tell(0, Input::LoadOlder(room.clone(), 10)).unwrap();
    world.tell(0, Input::MarkRead(room.clone())).unwrap();
    world.pass(30_000);
    (world, room)
}

#[test]
fn a_recorded_session_happens_again_step_by_step() {
    let (mut world, room) = busy();
    let trace = Trace::decode(&world.people[0].session.trace().unwrap()).unwrap();
    assert!(trace.len() > 40 && !trace.is_full(), "{} steps", trace.len());
    let again = trace.replay_all().unwrap_or_else(|divergence| panic!("{divergence:?}"));
    let texts = |client: &crate::client::Client| {
        let view = client.room(&room).unwrap();
        (0..view.message_count()).filter_map(|at| view.message(at).cloned()).collect::<Vec<_>>()
    };
    assert_eq!(texts(&again), texts(world.people[0].session.client()));
    assert_eq!(Trace::decode(&trace.encode()).unwrap(), trace);
}

#[test]
fn a_redacted_session_says_nothing_and_takes_the_same_path() {
    let (mut world, _) = busy();
    let trace = Trace::decode(&world.people[0].session.trace().unwrap()).unwrap();
    let redacted = trace.redacted().unwrap();
    redacted.replay_all().unwrap();
    let bytes = redacted.encode();
    for word in ["secret", "gard", "秘密", "Lovelace", "Mine", "what is mine"] {
        assert!(trace.encode().windows(word.len()).any(|part| part == word.as_bytes()), "{word} was there");
        assert!(!bytes.windows(word.len()).any(|part| part == word.as_bytes()), "{word}");
    }
    let path = |trace: &Trace| {
        let mut replay = trace.replay();
        let mut path = Vec::new();
        while let Some(step) = replay.step() {
            let step = step.unwrap();
            let effects = step.effects.iter().map(|effect| match effect {
                Effect::Send { bytes, .. } => ("send", bytes.len()),
                Effect::Persist { key, .. } => ("persist", key.len()),
                Effect::Connect { .. } => ("connect", 0),
                Effect::Close { code, .. } => ("close", usize::from(*code)),
                Effect::Load { key } => ("load", key.len()),
            });
            let events = step.events.iter().map(|event| match event {
                Event::Room { changes, .. } => changes.len(),
                _ => 0,
            });
            path.push((step.at, step.answer, effects.collect::<Vec<_>>(), events.collect::<Vec<_>>()));
        }
        path
    };
    let (before, after) = (path(&trace), path(&redacted));
    assert_eq!(before.len(), after.len());
    for (step, (before, after)) in before.iter().zip(&after).enumerate() {
        assert_eq!(before, after, "step {step}");
    }
}

#[test]
fn a_session_that_began_with_stored_rooms_is_redacted_with_them() {
    let (first, room) = busy();
    let records = first.people[0].records.clone();
    assert!(
        records.keys().any(|key| key.starts_with("snap/") || key.starts_with("room/")),
        "{:?}",
        records.keys()
    );
    let mut person = Person::new(11, Some(TRACE_BYTES));
    person.records = records.clone();
    let mut world = World::new(first.server, Vec::new());
    world.now = first.now + 1_000;
    world.people.push(person);
    world.tell(0, Input::Restore(records.into_iter().collect())).unwrap();
    world.tell(0, Input::SetToken("ada Ada Lovelace".to_string())).unwrap();
    world.tell(0, Input::Connect).unwrap();
    world.tell(0, Input::Acquire(room)).unwrap();
    world.pass(30_000);
    let trace = Trace::decode(&world.people[0].session.trace().unwrap()).unwrap();
    trace.replay_all().unwrap_or_else(|divergence| panic!("{divergence:?}"));
    let redacted = trace.redacted().unwrap();
    assert_eq!(redacted.len(), trace.len());
    redacted.replay_all().unwrap();
    let bytes = redacted.encode();
    assert!(!bytes.windows(6).any(|part| part == b"secret"));
    assert!(!bytes.windows(8).any(|part| part == b"Lovelace"));
}

#[test]
fn equal_seeds_and_inputs_give_equal_bytes() {
    let trace = |(mut world, _): (World, RoomId)| world.people[0].session.trace();
    assert_eq!(trace(busy()), trace(busy()));
}

#[test]
fn a_simulation_ends_well_whatever_breaks_on_the_way_and_repeats_by_its_seed() {
    let run = |seed: u64| {
        let mut world = Simulation::new(seed, 3);
        let room = RoomId::new("lobby").unwrap();
        let create = v1::CreateRoom { name: "Lobby".into(), ..Default::default() };
        world.tell(0, Input::Submit(room.clone(), Body::CreateRoom(create))).unwrap();
        world.pass(2_000);
        for client in 0..3 {
            world.tell(client, Input::Acquire(room.clone())).unwrap();
            let _ = world.tell(client, Input::Submit(room.clone(), Body::Join(v1::Join {})));
        }
        for round in 0..12_usize {
            let text = alloc::format!("round {round}");
            let _ = world.tell(round % 3, Input::Submit(room.clone(), op::post(text)));
            world.pass(70);
            world.cut((round * 7 + 1) % 3);
            world.pass(900);
        }
        world.pass(120_000);
        assert_eq!(world.wrong(), [] as [String; 0]);
        let view = world.client(2).unwrap().room(&room).unwrap();
        let texts = (0..view.message_count()).filter_map(|at| view.message(at));
        (texts.map(|message| (message.text.clone(), message.at)).collect::<Vec<_>>(), view.digest())
    };
    for seed in 0..20 {
        let (texts, digest) = run(seed);
        assert_eq!(texts.len(), 12, "seed {seed}: {texts:?}");
        assert_eq!((texts, digest), run(seed), "seed {seed}");
    }
}
