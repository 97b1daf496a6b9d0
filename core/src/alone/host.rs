//! A client and the server that it talks to, in one process.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Output, Server};
use crate::authority::ConnId;
use crate::client::{Answer, Client, ClientConfig, Effect, Event, Input};
use crate::policy::Refusal;
use crate::trace::Session;
use crate::{Millis, RoomId};

/// The close code of a connection that the server does not take.
const REFUSED: u16 = 1013;

/// A client whose server is in the same process: for one player, for a demo without a network, for tests.
///
/// It is driven as a client is, by [`handle`](Host::handle), [`poll_effect`](Host::poll_effect),
/// [`poll_event`](Host::poll_event) and [`next_deadline`](Host::next_deadline), but has no sockets: of effects only
/// [`Effect::Persist`] and [`Effect::Load`] come out.
#[derive(Debug)]
pub struct Host {
    session: Session,
    server: Server,
    link: Option<(u64, ConnId)>,
    effects: VecDeque<Effect>,
    events: VecDeque<Event>,
}

impl Host {
    /// A client and a server with all that was stored, by both.
    pub fn new(
        config: ClientConfig,
        records: impl IntoIterator<Item = (String, Vec<u8>)>,
        seed: u64,
        now: Millis,
    ) -> Host {
        let is_log = |record: &(String, Vec<u8>)| record.0.starts_with("alone/");
        let (logs, own): (Vec<_>, Vec<_>) = records.into_iter().partition(is_log);
        let mut host = Host {
            session: Session::new(config, seed, now, None),
            server: Server::restore(logs, seed.rotate_left(32) ^ 1, now),
            link: None,
            effects: VecDeque::new(),
            events: VecDeque::new(),
        };
        if !own.is_empty() {
            let _ = host.handle(Input::Restore(own), now);
        }
        host
    }

    /// The client, for its views.
    pub fn client(&self) -> &Client {
        self.session.client()
    }

    /// The server, for its logs.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Client and server each for itself, to connect the client with another server and have it
    /// [take over](Client::resubmit) what it has made here.
    pub fn into_parts(mut self, now: Millis) -> (Session, Server) {
        let _ = self.handle(Input::Disconnect, now);
        (self.session, self.server)
    }

    /// Hands in what happens to the client, and carries what comes of it to and fro until both ends are quiet.
    ///
    /// # Errors
    /// As [`Client::handle`].
    pub fn handle(&mut self, input: Input, now: Millis) -> Result<Answer, Refusal> {
        let is_time = input == Input::Timeout;
        let mut out = VecDeque::new();
        let answer = self.tell(input, now, &mut out);
        if is_time {
            self.server.handle_timeout(now);
        }
        loop {
            if let Some(effect) = out.pop_front() {
                self.act(effect, now, &mut out);
            } else if let Some(output) = self.server.poll() {
                self.carry(output, now, &mut out);
            } else {
                return answer;
            }
        }
    }

    /// The next record to store or to read.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// The next change for the app to see.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Input::Timeout`] is to be handed in.
    pub fn next_deadline(&self) -> Option<Millis> {
        let client = self.client().next_deadline().map(|(at, _)| at);
        client.into_iter().chain(self.server.next_deadline()).min()
    }

    /// [`Server::forget`].
    pub fn forget(&mut self, room: &RoomId) -> bool {
        let is_gone = self.server.forget(room);
        while let Some(output) = self.server.poll() {
            if let Output::Persist { key, value } = output {
                self.effects.push_back(Effect::Persist { key, value });
            }
        }
        is_gone
    }

    fn tell(&mut self, input: Input, now: Millis, out: &mut VecDeque<Effect>) -> Result<Answer, Refusal> {
        let answer = self.session.handle(input, now);
        out.extend(core::iter::from_fn(|| self.session.poll_effect()));
        self.events.extend(core::iter::from_fn(|| self.session.poll_event()));
        answer
    }

    /// Does what the client wants.
    fn act(&mut self, effect: Effect, now: Millis, out: &mut VecDeque<Effect>) {
        match effect {
            Effect::Connect { generation } => {
                self.link = self.server.connect(now).map(|conn| (generation, conn));
                let input = match self.link {
                    Some(_) => Input::Connected { generation },
                    None => Input::Disconnected { generation, code: REFUSED, reason: String::new() },
                };
                let _ = self.tell(input, now, out);
            }
            Effect::Send { generation, bytes } => {
                if let Some((_, conn)) = self.link.filter(|(current, _)| *current == generation) {
                    self.server.handle_frame(conn, &bytes, now);
                }
            }
            Effect::Close { generation, .. } => {
                if let Some((_, conn)) = self.link.take_if(|(current, _)| *current == generation) {
                    self.server.disconnect(conn, now);
                }
            }
            Effect::Persist { .. } | Effect::Load { .. } => self.effects.push_back(effect),
        }
    }

    /// Does what the server wants.
    fn carry(&mut self, output: Output, now: Millis, out: &mut VecDeque<Effect>) {
        let generation = |conn: ConnId| self.link.filter(|(_, current)| *current == conn).map(|(of, _)| of);
        match output {
            Output::Send { conn, bytes } => {
                if let Some(generation) = generation(conn) {
                    let _ = self.tell(Input::Frame { generation, bytes }, now, out);
                }
            }
            Output::Close { conn, code } => {
                if let Some(generation) = generation(conn) {
                    self.link = None;
                    let _ =
                        self.tell(Input::Disconnected { generation, code, reason: String::new() }, now, out);
                }
            }
            Output::Persist { key, value } => self.effects.push_back(Effect::Persist { key, value }),
        }
    }
}
