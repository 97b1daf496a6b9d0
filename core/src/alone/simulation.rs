//! Clients, a server, and a network that delays, breaks and loses, from one seed.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{CONNECTIONS, Output, Server};
use crate::authority::ConnId;
use crate::client::{Answer, Client, ClientConfig, Effect, Input, Synced};
use crate::policy::Refusal;
use crate::trace::Session;
use crate::{Millis, Rng, Tier};

/// When a simulation begins: some day in 2025, so that times look like times.
const BEGINNING: Millis = Millis(1_756_000_000_000);
/// Milliseconds that a message takes, at most.
const DELAY: u64 = 200;

/// Something on its way.
#[derive(Debug)]
enum Arrival {
    Opened(usize, u64),
    ToServer(ConnId, Vec<u8>),
    ToClient(usize, u64, Vec<u8>),
    Closed(usize, u64, u16),
    ServerHears(ConnId),
}

#[derive(Debug)]
struct Person {
    session: Session,
    link: Option<(u64, ConnId)>,
    records: BTreeMap<String, Vec<u8>>,
}

/// Clients of one server, for tests of apps and of what they build on: `user-0`, `user-1` and so on. Messages take up to
/// 200 ms and stay in order within a connection; connections break when the test says so. The same seed and the same
/// calls give the same course, on every platform.
#[derive(Debug)]
pub struct Simulation {
    server: Server,
    people: Vec<Person>,
    rng: Rng,
    now: Millis,
    /// By time and number, so that what was sent first arrives first.
    arrivals: BTreeMap<(Millis, u64), Arrival>,
    last: u64,
    /// When the last message of a connection arrives, in each direction.
    lanes: BTreeMap<(ConnId, bool), Millis>,
}

impl Simulation {
    /// So many clients, 64 at most, which connect.
    pub fn new(seed: u64, clients: usize) -> Simulation {
        let mut rng = Rng::new(seed);
        let server = Server::new(rng.next_u64(), BEGINNING);
        let person = |seed: u64| Person {
            session: Session::new(ClientConfig::default(), seed, BEGINNING, None),
            link: None,
            records: BTreeMap::new(),
        };
        let people = (0..clients.min(CONNECTIONS)).map(|_| person(rng.next_u64())).collect();
        let (arrivals, lanes) = (BTreeMap::new(), BTreeMap::new());
        let mut world = Simulation { server, people, rng, now: BEGINNING, arrivals, last: 0, lanes };
        for client in 0..world.people.len() {
            let _ = world.tell(client, Input::SetToken(format!("user-{client}")));
            let _ = world.tell(client, Input::Connect);
        }
        world
    }

    /// What the user of a client does. One that there is not takes nothing.
    ///
    /// # Errors
    /// As [`Client::handle`].
    pub fn tell(&mut self, client: usize, input: Input) -> Result<Answer, Refusal> {
        let Some(person) = self.people.get_mut(client) else { return Ok(Answer::Done) };
        let answer = person.session.handle(input, self.now);
        let effects: Vec<Effect> = core::iter::from_fn(|| person.session.poll_effect()).collect();
        while person.session.poll_event().is_some() {}
        for effect in effects {
            self.act(client, effect);
        }
        answer
    }

    /// A client, for its views.
    pub fn client(&self, client: usize) -> Option<&Client> {
        Some(self.people.get(client)?.session.client())
    }

    /// The server, for its logs.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Breaks a client's connection: what is on its way is lost, and both ends hear of it a little later.
    pub fn cut(&mut self, client: usize) {
        let Some((generation, conn)) = self.people.get_mut(client).and_then(|person| person.link.take())
        else {
            return;
        };
        self.arrivals.retain(|_, arrival| match arrival {
            Arrival::ToServer(of, _) => *of != conn,
            Arrival::ToClient(of, at, _) => (*of, *at) != (client, generation),
            Arrival::Opened(..) | Arrival::Closed(..) | Arrival::ServerHears(_) => true,
        });
        self.send(None, Arrival::Closed(client, generation, 1006));
        self.send(None, Arrival::ServerHears(conn));
    }

    /// Lets time pass.
    pub fn pass(&mut self, milliseconds: u64) {
        let end = self.now + milliseconds;
        loop {
            let arrival = self.arrivals.keys().next().map(|(at, _)| *at);
            let clients = self.people.iter().filter_map(|person| person.session.client().next_deadline());
            let timer = clients.map(|(at, _)| at).chain(self.server.next_deadline()).min();
            // What has arrived is heard before what is due.
            if let Some(at) = arrival.filter(|at| *at <= end && timer.is_none_or(|timer| *at <= timer)) {
                self.now = self.now.max(at);
                self.arrive();
            } else if let Some(at) = timer.filter(|at| *at <= end) {
                self.now = self.now.max(at);
                self.server.handle_timeout(self.now);
                self.carry();
                for client in 0..self.people.len() {
                    let due = self.client(client).and_then(Client::next_deadline);
                    if due.is_some_and(|(at, _)| at <= self.now) {
                        let _ = self.tell(client, Input::Timeout);
                    }
                }
            } else {
                break;
            }
        }
        self.now = end;
    }

    /// What is not as it should be when all is quiet, in words: an open room that is not at the end of the server's log,
    /// or whose state is another than the server's, and what was never acknowledged.
    pub fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (client, person) in self.people.iter().enumerate() {
            for room in self.server.rooms() {
                let Some(view) = person.session.client().room(room) else { continue };
                if view.pending().next().is_some() {
                    wrong.push(format!("user-{client} waits for an acknowledgement in {room}"));
                }
                if view.tier() != Tier::Active || view.synced() != Synced::Ready {
                    continue;
                }
                if self.server.head(room) != Some(view.position()) {
                    wrong.push(format!("user-{client} is not at the end of {room}"));
                } else if view.digest() != self.server.digest(room) {
                    wrong.push(format!("user-{client} holds another state of {room} than the server"));
                }
            }
        }
        wrong
    }

    fn act(&mut self, client: usize, effect: Effect) {
        let conn = |world: &Simulation, generation: u64| {
            world.people[client].link.filter(|(current, _)| *current == generation).map(|(_, conn)| conn)
        };
        match effect {
            Effect::Connect { generation } => match self.server.connect(self.now) {
                Some(conn) => {
                    self.people[client].link = Some((generation, conn));
                    self.send(Some((conn, false)), Arrival::Opened(client, generation));
                }
                None => self.send(None, Arrival::Closed(client, generation, 1006)),
            },
            Effect::Send { generation, bytes } => {
                if let Some(conn) = conn(self, generation) {
                    self.send(Some((conn, true)), Arrival::ToServer(conn, bytes));
                }
            }
            Effect::Close { generation, .. } => {
                if let Some(conn) = conn(self, generation) {
                    self.people[client].link = None;
                    self.send(Some((conn, true)), Arrival::ServerHears(conn));
                }
            }
            Effect::Persist { key, value: Some(value) } => {
                drop(self.people[client].records.insert(key, value))
            }
            Effect::Persist { key, value: None } => drop(self.people[client].records.remove(&key)),
            Effect::Load { key } => {
                let record = self.people[client].records.get(&key).cloned();
                let _ = self.tell(client, Input::Loaded { key, record });
            }
        }
    }

    /// Does what the server wants.
    fn carry(&mut self) {
        while let Some(output) = self.server.poll() {
            let of = |conn: ConnId| {
                let mut people = self.people.iter().enumerate();
                people.find_map(|(client, person)| match person.link {
                    Some((generation, current)) if current == conn => Some((client, generation)),
                    Some(_) | None => None,
                })
            };
            match output {
                Output::Send { conn, bytes } => {
                    if let Some((client, generation)) = of(conn) {
                        self.send(Some((conn, false)), Arrival::ToClient(client, generation, bytes));
                    }
                }
                Output::Close { conn, code } => {
                    if let Some((client, generation)) = of(conn) {
                        self.send(Some((conn, false)), Arrival::Closed(client, generation, code));
                    }
                }
                Output::Persist { .. } => {}
            }
        }
    }

    /// Puts something on its way; not before what went the same way earlier.
    fn send(&mut self, lane: Option<(ConnId, bool)>, arrival: Arrival) {
        let mut at = self.now + 1 + self.rng.below(DELAY);
        if let Some(lane) = lane {
            let last = self.lanes.entry(lane).or_default();
            at = at.max(*last);
            *last = at;
        }
        self.last += 1;
        self.arrivals.insert((at, self.last), arrival);
    }

    fn arrive(&mut self) {
        let Some((_, arrival)) = self.arrivals.pop_first() else { return };
        match arrival {
            Arrival::Opened(client, generation) => {
                let _ = self.tell(client, Input::Connected { generation });
            }
            Arrival::ToServer(conn, bytes) => self.server.handle_frame(conn, &bytes, self.now),
            Arrival::ToClient(client, generation, bytes) => {
                let _ = self.tell(client, Input::Frame { generation, bytes });
            }
            Arrival::Closed(client, generation, code) => {
                if self.people[client].link.is_some_and(|(current, _)| current == generation) {
                    self.people[client].link = None;
                }
                let _ = self.tell(client, Input::Disconnected { generation, code, reason: String::new() });
            }
            Arrival::ServerHears(conn) => {
                self.server.disconnect(conn, self.now);
                self.lanes.retain(|(of, _), _| *of != conn);
            }
        }
        self.carry();
    }
}
