//! The world: who is in it, and what each transition does to it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use enfilade_core::client::{Network as Device, Synced};
use enfilade_core::op::{Body, post};
use enfilade_core::{
    ClientId, Code, Entry, Millis, OpId, Position, Rng, RoomId, Tier, UserId, limits, op, v1,
};

use super::client::ClientHost;
use super::marks::{self, Marks};
use super::model::Reference;
use super::network::Network;
use super::node::{HEARTBEAT, Node};
use super::presence::Sightings;
use super::purse::Purse;
use super::store::Store;
use super::{Transition, act, conflicts, invariants};

/// Everything that there is.
#[derive(Debug)]
pub struct World {
    /// The true time, in milliseconds.
    pub now: u64,
    /// People's clients; somebody may have two.
    pub clients: Vec<ClientHost>,
    /// Server processes.
    pub nodes: Vec<Node>,
    /// What they share.
    pub store: Store,
    /// Rooms that somebody has made.
    pub rooms: Vec<RoomId>,
    /// What the logs mean, computed the slow way.
    pub reference: Reference,
    /// Operations that a store has lost with the end of a log.
    pub lost: BTreeSet<OpId>,
    /// Rooms of which it has.
    pub lossy: BTreeSet<RoomId>,
    pub(super) network: Network,
    pub(super) rng: Rng,
    pub(super) failing: u32,
    pub(super) is_disturbed: bool,
    /// When each token ends.
    pub(super) tokens: BTreeMap<String, u64>,
    /// For how long tokens are good; 0 for ever.
    pub(super) token_life: u64,
    pub(super) next_conn: u64,
    pub(super) report: Report,
    pub(super) sightings: Sightings,
    pub(super) purses: BTreeMap<(usize, RoomId), Purse>,
    broken: Option<String>,
    posts: u64,
}

/// What a run has seen, so that a test can tell that it saw something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Inputs handled.
    pub steps: u64,
    /// Entries in all logs.
    pub entries: u64,
    /// Messages that were acknowledged.
    pub acked: u64,
    /// The rare branches that were reached.
    pub marks: Marks,
}

impl Report {
    /// Adds those of another run.
    pub fn add(&mut self, other: &Report) {
        self.steps += other.steps;
        self.entries += other.entries;
        self.acked += other.acked;
        self.marks.add(&other.marks);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} steps, {} entries, {} acknowledged", self.steps, self.entries, self.acked)?;
        marks::ALL.iter().try_for_each(|mark| writeln!(f, "{:>8}  {mark}", self.marks.count(mark)))
    }
}

/// The longest that coming to rest may take: several back-offs, put-offs, heartbeats and leases.
const REST: u64 = 180_000;
/// Messages that are written at once and as long as may be: more than a Background room may hold in bytes.
pub(super) const LONG: usize = 24;
/// Messages of a room that is older than the world, in one of eight: more than any tier holds.
const OLD_MESSAGES: u64 = 1_150;

impl World {
    /// People and nodes that have done nothing yet. How many, and how patient they are, is the seed's choice.
    pub fn new(seed: u64) -> World {
        let mut rng = Rng::new(seed);
        let now = 1_700_000_000_000;
        let mut pick = |bound: u64| rng.below(bound) as usize;
        let (clients, nodes, cached_rooms) = (2 + pick(3), 1 + pick(3), 1 + pick(2));
        let token_life = [0, 90_000][pick(2)];
        let is_old = pick(8) == 0;
        let users = ["ada", "bob", "cyd", "ada"].iter().take(clients);
        let clients = users.map(|user| ClientHost::new(user, cached_rooms, rng.next_u64(), now)).collect();
        let mut world = World {
            now,
            clients,
            nodes: (0..nodes).map(Node::new).collect(),
            store: Store::default(),
            rooms: Vec::new(),
            reference: Reference::default(),
            lost: BTreeSet::new(),
            lossy: BTreeSet::new(),
            network: Network::default(),
            rng,
            failing: 0,
            is_disturbed: false,
            tokens: BTreeMap::new(),
            token_life,
            next_conn: 1,
            report: Report::default(),
            sightings: Sightings::default(),
            purses: BTreeMap::new(),
            broken: None,
            posts: 0,
        };
        world.nodes.iter_mut().for_each(|node| node.next_beat = now + HEARTBEAT);
        if is_old {
            world.open_an_old_room();
        }
        for client in 0..world.clients.len() {
            world.issue_token(client);
            world.serve_client(client);
        }
        world
    }

    /// A room with more messages than any tier holds, the newest of them long.
    fn open_an_old_room(&mut self) {
        let Ok(room) = RoomId::new("old") else { return };
        let ada = UserId::new("ada").map(|user| user.as_str().to_owned()).unwrap_or_default();
        let create = v1::CreateRoom { name: "Old".into(), ..Default::default() };
        let text = |number: u64| {
            let long = if number + 120 > OLD_MESSAGES { "x".repeat(700) } else { String::new() };
            format!("old message {number} {long}")
        };
        let bodies = std::iter::once(Body::CreateRoom(create));
        let bodies = bodies.chain((1..=OLD_MESSAGES).map(|number| post(text(number))));
        let entry = |(index, body): (usize, Body)| {
            let seq = index as u64 + 1;
            let op_id = OpId { client: ClientId(99), counter: seq };
            let (at, op) = (Millis(self.now - 1_000_000 + seq), op::encode(body.clone()));
            let (author, author_name) = (ada.clone(), ada.clone());
            Entry { seq, op_id, author, author_name, at, ordinal: index as u64, op, body: Some(body) }
                .encode()
        };
        let batch = bodies.enumerate().map(entry).collect();
        let epoch = self.store.claim(&room, 7);
        let summary = v1::RoomSummary { room_id: room.as_str().into(), ..Default::default() };
        self.store.append(&room, Position::start(epoch), batch, summary, Vec::new());
        self.rooms.push(room.clone());
        self.appended(&room);
    }

    /// What has happened.
    pub fn report(&self) -> Report {
        Report {
            entries: self.store.rooms().map(|(_, room)| room.log.len() as u64).sum(),
            acked: self.clients.iter().map(|client| client.acked.len() as u64).sum(),
            ..self.report.clone()
        }
    }

    /// The first invariant that did not hold.
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// Notes what an invariant says. Only the first that does not hold is of interest.
    pub(super) fn note(&mut self, checked: Result<(), String>) {
        if let Err(broken) = checked {
            self.broken.get_or_insert(broken);
        }
    }

    pub(super) fn mark(&mut self, mark: &'static str) {
        self.report.marks.reach(mark);
    }

    pub(super) fn pick(&mut self, bound: usize) -> usize {
        self.rng.below(bound as u64) as usize
    }

    pub(super) fn some_room(&mut self) -> Option<RoomId> {
        let index = self.pick(self.rooms.len().max(1));
        self.rooms.get(index).cloned()
    }

    /// A room in which this client can scroll up.
    pub(super) fn room_with_older_messages(&self, client: usize) -> Option<RoomId> {
        let client = &self.clients[client].client;
        let has_older = |room: &&RoomId| client.room(room).is_some_and(|view| view.has_older());
        self.rooms.iter().find(has_older).cloned()
    }

    pub(super) fn cancellable(&self, client: usize) -> Option<OpId> {
        let client = &self.clients[client].client;
        let pending = |room: &RoomId| client.room(room).into_iter().flat_map(|view| view.pending());
        let mut all = self.rooms.iter().flat_map(pending);
        all.find(|op| op.is_cancellable && matches!(op.body, Body::PostMessage(_))).map(|op| op.op_id)
    }

    /// What a client's clock shows.
    pub(super) fn clock(&self, client: usize) -> Millis {
        self.clients[client].clock(self.now)
    }

    /// The newest position of a room.
    pub(super) fn head(&self, room: &RoomId) -> Position {
        self.store.room(room).map(|room| room.head()).unwrap_or_default()
    }

    /// A log has grown.
    pub(super) fn appended(&mut self, id: &RoomId) {
        let Some(room) = self.store.room(id) else { return };
        let checked = match self.reference.follow(id, room) {
            Ok(entries) => {
                entries
                    .iter()
                    .filter_map(|entry| act::mark(entry).or(conflicts::mark(entry)))
                    .for_each(|mark| self.report.marks.reach(mark));
                invariants::what_was_given_up_is_not_sequenced(&self.clients, entries)
            }
            Err(broken) => Err(broken),
        };
        self.note(checked);
    }

    /// Does one transition.
    pub fn apply(&mut self, transition: Transition) {
        self.report.steps += 1;
        match transition {
            Transition::Wait(time) => self.wait(time),
            Transition::Create { .. }
            | Transition::Open { .. }
            | Transition::Release { .. }
            | Transition::SetTier { .. }
            | Transition::Join { .. }
            | Transition::Leave { .. }
            | Transition::Post { .. }
            | Transition::Act { .. }
            | Transition::Cancel { .. }
            | Transition::MarkRead { .. }
            | Transition::LoadOlder { .. }
            | Transition::Offline { .. }
            | Transition::Online { .. }
            | Transition::Logout { .. } => self.command(transition),
            Transition::Cut { client } => self.cut(client),
            Transition::CrashClient { client } => self.crash_client(client),
            Transition::PauseClient { client, time } => self.pause_client(client, time),
            Transition::ClientClock { client, by } => self.set_clock(client, by),
            Transition::Stall { client, time } => self.stall(client, time),
            Transition::CrashNode { node } => self.crash_node(node),
            Transition::PauseNode { node, time } => self.pause_node(node, time),
            Transition::NodeClock { node, skew } => {
                self.nodes[node].skew = skew;
                self.unrest(self.now);
            }
            Transition::Diverge { client, other, room } => self.diverge(client, other, &room),
            Transition::Drain { node } => self.drain(node),
            Transition::FailStore { requests } => self.failing = requests,
            Transition::Reopen { room, lost } => self.reopen(&room, lost),
            Transition::Disturb { is_disturbed } => {
                (self.sightings.unrest, self.sightings.disturbed) = (self.now, self.now);
                self.is_disturbed = is_disturbed;
            }
            Transition::Unload { node } => {
                self.nodes[node].rooms.retain(|_, authority| !authority.is_idle());
            }
        }
    }

    /// Does what somebody wants of their client.
    fn command(&mut self, transition: Transition) {
        let client = match transition {
            Transition::Create { client } => {
                let name = format!("room {}", self.rooms.len());
                let now = self.clock(client);
                let made = self.clients[client].client.create_room(&name, v1::Visibility::Public, "", now);
                if let Ok((room, _)) = made {
                    self.rooms.push(room);
                }
                client
            }
            Transition::Open { client, room } => {
                let now = self.clock(client);
                self.clients[client].client.acquire(&room, now);
                self.clients[client].held.push(room);
                client
            }
            Transition::Release { client, room } => {
                self.release(client, &room);
                client
            }
            Transition::SetTier { client, room, tier } => {
                let now = self.clock(client);
                self.clients[client].client.set_tier(&room, tier, now);
                self.clients[client].tiers.remove(&room);
                client
            }
            Transition::Join { client, room } => {
                let now = self.clock(client);
                let _ = self.clients[client].client.join(&room, now);
                client
            }
            Transition::Leave { client, room } => {
                let now = self.clock(client);
                let _ = self.clients[client].client.leave(&room, now);
                client
            }
            Transition::Post { client, room, mention, times } => {
                let padding =
                    if times == LONG { "\u{1f3b9}".repeat(limits::TEXT_CHARS - 30) } else { String::new() };
                (0..times).for_each(|_| self.post(client, &room, mention, &padding));
                client
            }
            Transition::Act { client, room, act } => {
                self.act(client, &room, act);
                client
            }
            Transition::Cancel { client, op_id } => {
                let now = self.clock(client);
                if self.clients[client].client.cancel(op_id, now).is_ok() {
                    self.clients[client].cancelled.insert(op_id);
                    self.clients[client].unsettled.remove(&op_id);
                    self.mark("an operation is taken back");
                }
                client
            }
            Transition::MarkRead { client, room } => {
                let now = self.clock(client);
                self.clients[client].client.mark_read(&room, now);
                client
            }
            Transition::LoadOlder { client, room } => {
                let now = self.clock(client);
                self.clients[client].client.load_older(&room, 10, now);
                client
            }
            Transition::Offline { client } => {
                let now = self.clock(client);
                self.clients[client].client.handle_network(Device::Offline, now);
                self.serve_client(client);
                self.cut(client);
                client
            }
            Transition::Online { client } => {
                self.online(client);
                client
            }
            Transition::Logout { client } => {
                self.log_out(client);
                self.log_in(client);
                client
            }
            _ => return,
        };
        self.serve_client(client);
    }

    fn post(&mut self, client: usize, room: &RoomId, mention: bool, padding: &str) {
        self.posts += 1;
        let text = format!("message {} {padding}", self.posts);
        let mentions = if mention { vec!["ada".into(), "bob".into(), "cyd".into()] } else { Vec::new() };
        let now = self.clock(client);
        let host = &mut self.clients[client];
        if let Ok(op_id) = host.client.post(room, &text, mentions, now) {
            host.posted.insert(op_id, (room.clone(), text));
            host.unsettled.insert(op_id);
        }
    }

    fn release(&mut self, client: usize, room: &RoomId) {
        let now = self.clock(client);
        let host = &mut self.clients[client];
        if let Some(place) = host.held.iter().position(|held| held == room) {
            host.held.remove(place);
            host.client.release(room, now);
        }
    }

    /// The store was emptied, and has the room back under a new epoch.
    fn reopen(&mut self, room: &RoomId, lost: usize) {
        let old = self.head(room);
        if old.epoch == 0 {
            return;
        }
        self.unrest(self.now);
        let epoch = self.rng.id53();
        let lost = self.store.reopen(room, epoch, lost) as u64;
        if let Some(log) = self.reference.log(room, old.epoch).filter(|_| lost > 0) {
            let entries = log.entries.iter().rev().take(lost as usize);
            self.lost.extend(entries.map(|entry| entry.op_id));
            self.lossy.insert(room.clone());
            self.mark("a reopened store has lost its end");
        }
        self.mark("a store is reopened under a new epoch");
        self.appended(room);
        self.hint(room);
    }

    /// Ends all faults, lets everything come to rest, and says what does not.
    ///
    /// # Errors
    /// What is still under way after a long time, or the first invariant that was broken.
    pub fn settle(&mut self) -> Result<(), String> {
        self.failing = 0;
        self.is_disturbed = false;
        self.unrest(self.now);
        for node in 0..self.nodes.len() {
            self.nodes[node].skew = 0;
            self.wake_node(self.life(node));
        }
        for client in 0..self.clients.len() {
            self.wake_client(client);
            self.online(client);
        }
        self.wait(REST / 2);
        self.try_again();
        self.wait(REST / 2);
        for host in &self.clients {
            let rooms = self.rooms.iter().filter_map(|room| host.client.room(room));
            for view in rooms {
                if let Some(op) = view.pending().next() {
                    let (who, tier, synced, at) = (&host.user, view.tier(), view.synced(), view.position());
                    return Err(format!(
                        "{who}: {:?} is {:?} for ever in {} ({tier:?}, {synced:?}, {at:?})",
                        op.op_id,
                        op.state,
                        view.id()
                    ));
                }
            }
        }
        self.broken.clone().map_or(Ok(()), Err)
    }

    /// Who has opened a room before it was there opens it again.
    fn try_again(&mut self) {
        let clients = 0..self.clients.len();
        let all = clients.flat_map(|client| self.rooms.iter().map(move |room| (client, room.clone())));
        for (client, room) in all.collect::<Vec<_>>() {
            let view = self.clients[client].client.room(&room);
            if view.is_some_and(|view| matches!(view.synced(), Synced::Failed(Code::UnknownRoom))) {
                self.apply(Transition::Open { client, room });
            }
        }
    }

    /// Everybody lets go of everything and logs out; then nothing may be left of them anywhere.
    ///
    /// # Errors
    /// What is.
    pub fn all_leave(&mut self) -> Result<(), String> {
        for client in 0..self.clients.len() {
            while let Some(room) = self.clients[client].held.first().cloned() {
                self.release(client, &room);
                self.serve_client(client);
            }
        }
        self.wait(30_000);
        for client in 0..self.clients.len() {
            self.log_out(client);
            self.serve_client(client);
        }
        self.wait(REST / 2);
        self.broken.clone().map_or(Ok(()), Err)?;
        invariants::nothing_is_left(self)
    }
}

/// A message that the simulation's own tests post.
pub fn message(text: &str) -> Body {
    post(text)
}

/// The tier of a room as a client has it.
pub fn tier(host: &ClientHost, room: &RoomId) -> Tier {
    host.client.room(room).map_or(Tier::Unloaded, |view| view.tier())
}
