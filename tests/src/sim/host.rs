//! The world's client half: apps that do what their clients want, and look at what they are told.

use enfilade_core::authority::ConnId;
use enfilade_core::client::{Effect, Event, Network as Device, RoomChange, RoomView};
use enfilade_core::tier::TierReason;
use enfilade_core::v1::room_state_sync::Data;
use enfilade_core::v1::server_frame::Body as Frame;
use enfilade_core::{Code, OpId, Retry, RoomId, Tier, limits, v1, wire};

use super::client::Link;
use super::network::{Arrival, Life};
use super::world::World;
use super::{conflicts, invariants};

impl World {
    /// Does what a client wants, and checks what it shows.
    pub(super) fn serve_client(&mut self, client: usize) {
        while let Some(effect) = self.clients[client].client.poll_effect() {
            match effect {
                Effect::Connect { generation } => {
                    let node = self.pick(self.nodes.len());
                    let now = self.now;
                    self.clients[client].attempts.push_back(now);
                    self.clients[client].link = Some(Link { generation, place: None });
                    let at = self.delay();
                    let app = self.clients[client].app;
                    self.network.push(at, Arrival::Open { client, app, generation, node });
                }
                Effect::Send { generation, bytes } => self.send_to_node(client, generation, bytes),
                Effect::Close { generation, .. } => {
                    if let Some(link) =
                        self.clients[client].link.take_if(|link| link.generation == generation)
                        && let Some((life, conn)) = link.place
                    {
                        let at = self.delay();
                        self.network.push_stream((conn.0, false), at, Arrival::Hangup { life, conn });
                    }
                }
                Effect::Persist { key, value } => {
                    let durable = &mut self.clients[client].durable;
                    match value {
                        Some(value) => durable.insert(key, value),
                        None => durable.remove(&key),
                    };
                }
                Effect::Load { key } => {
                    let (app, value) =
                        (self.clients[client].app, self.clients[client].durable.get(&key).cloned());
                    let at = self.delay();
                    self.network.push(at, Arrival::Record { client, app, key, value });
                }
            }
        }
        while let Some(event) = self.clients[client].client.poll_event() {
            self.see(client, event);
        }
        self.look_where(client);
        let checked = invariants::check_client(self, client);
        self.note(checked);
        self.count(client);
    }

    fn send_to_node(&mut self, client: usize, generation: u64, bytes: Vec<u8>) {
        let Some(Link { generation: current, place: Some((life, conn)) }) = self.clients[client].link else {
            return;
        };
        if current == generation {
            let at = self.delay();
            self.network.push_stream((conn.0, false), at, Arrival::ToNode { life, conn, bytes });
        }
    }

    /// The app sees what has changed.
    fn see(&mut self, client: usize, event: Event) {
        match event {
            Event::Room { room, changes } => {
                let is_whole = changes.first() == Some(&RoomChange::Reset);
                if is_whole {
                    self.see_tier(client, &room);
                }
                let checked = invariants::check_room(self, client, &room, is_whole);
                self.note(checked);
                for change in changes {
                    match change {
                        RoomChange::Prepended(_) => self.mark("history is loaded"),
                        RoomChange::MessagesDropped(_) => {
                            self.mark("a window drops its oldest messages");
                            let view = self.clients[client].client.room(&room);
                            let is_short = |view: RoomView<'_>| {
                                view.tier() == Tier::Background
                                    && view.message_count() < limits::BACKGROUND_MESSAGES
                            };
                            if view.is_some_and(is_short) {
                                self.mark("a Background room lets go of messages to stay within its bytes");
                            }
                        }
                        RoomChange::Tier => self.see_tier(client, &room),
                        RoomChange::Presence => self.see_people(client, &room),
                        _ => {}
                    }
                }
            }
            Event::Ignored { .. } => self.mark("a frame finds its room in another tier"),
            Event::Resynced { code, .. } => match code {
                Code::EpochChanged => self.mark("an epoch ends while a client holds it"),
                Code::TooFarBehind => self.mark("too far behind for a delta"),
                Code::PositionAhead => self.mark("a position beyond the log's end"),
                _ => {}
            },
            Event::Rejected { op_id, code, .. } => {
                self.mark("an operation is refused for good");
                let host = &mut self.clients[client];
                host.unsettled.remove(&op_id);
                if let Some((room, _)) = host.posted.get(&op_id).cloned() {
                    host.rejected.insert(op_id, code);
                    let checked = invariants::what_was_refused_is_not_in_the_log(self, &room, op_id);
                    self.note(checked);
                    if code == Code::ConflictKept {
                        let checked = conflicts::what_is_kept_waits_in_the_inbox(self, client, op_id);
                        self.note(checked);
                    }
                }
            }
            Event::TokenNeeded => {
                let at = self.delay();
                self.network.push(at, Arrival::Token { client });
            }
            _ => {}
        }
    }

    fn see_tier(&mut self, client: usize, room: &RoomId) {
        let now = self.clock(client);
        let view = self.clients[client].client.room(room);
        let (tier, reason) =
            view.map_or((Tier::Unloaded, TierReason::NeverOpened), |view| (view.tier(), view.reason()));
        let before = self.clients[client].tiers.insert(room.clone(), (tier, now));
        let Some((before, since)) = before else { return };
        match reason {
            TierReason::UnsentKept => self.mark("something unsent keeps a room in the cache"),
            TierReason::UnreadKept => self.mark("something unread keeps a room in the cache"),
            TierReason::Predicted => self.mark("a likely room is fetched ahead"),
            _ => {}
        }
        if tier > before {
            self.mark("a tier rises");
        } else if tier < before {
            self.mark("a tier falls");
        }
        if (before, tier) == (Tier::Cached, Tier::Unloaded) {
            let is_old = now.since(since) >= super::client::CACHED_FOR;
            self.mark(if is_old {
                "a Cached room expires"
            } else {
                "a room is evicted because the cache is full"
            });
        }
    }

    fn see_people(&mut self, client: usize, room: &RoomId) {
        let view = self.clients[client].client.room(room);
        if view.is_some_and(|view| view.users().any(|user| user.liveness() == v1::Liveness::Stale)) {
            self.mark("somebody is shown as stale");
        }
    }

    /// What the session has counted since the last look.
    fn count(&mut self, client: usize) {
        let counters = self.clients[client].client.connection().counters;
        let before = std::mem::replace(&mut self.clients[client].counters, counters);
        if counters.gaps > before.gaps {
            self.mark("a gap is seen");
        }
        if counters.stale_inputs > before.stale_inputs {
            self.mark("a frame of an ended connection comes late");
        }
        // Between sockets nothing is overtaken; where it is all the same, a frame may come before its welcome.
        if counters.malformed > before.malformed && self.report.marks.count("a frame is overtaken") == 0 {
            let user = &self.clients[client].user;
            let checked = Err(format!("{user} was sent what the protocol does not allow"));
            self.note(checked);
        }
    }

    /// Looks at a frame as the client is about to get it.
    pub(super) fn look_at(&mut self, client: usize, generation: u64, bytes: &[u8]) {
        let frame = wire::binary::decode_server(bytes, limits::FRAME_BYTES).ok().and_then(|frame| frame.body);
        match frame {
            Some(Frame::Ack(ack)) => {
                let host = &mut self.clients[client];
                let is_current = host.link.is_some_and(|link| link.generation == generation);
                let op_id = OpId::parse(ack.op_id.as_ref());
                let room = RoomId::new(&ack.room_id);
                if let (Ok(op_id), Ok(room), Some(position)) = (op_id, room, ack.position)
                    && host.posted.contains_key(&op_id)
                    && is_current
                {
                    host.unsettled.remove(&op_id);
                    host.acked.insert(op_id, (room, position.into()));
                    let checked = invariants::what_was_acknowledged_is_in_the_log(self, client, op_id);
                    self.note(checked);
                }
            }
            Some(Frame::Rejection(rejection)) if Code::retry_of(rejection.code) == Retry::Later => {
                self.mark("an operation is put off");
                if rejection.code == Code::SlowMode.number() {
                    self.mark("slow mode holds somebody back");
                }
            }
            Some(Frame::RoomStateSync(sync)) => match &sync.data {
                Some(Data::BulkSync(bulk)) => {
                    self.mark("a whole state opens a room");
                    if bulk.parts > 1 {
                        self.mark("a whole state comes in several parts");
                    }
                }
                Some(Data::DeltaUpdate(_)) if sync.tier.is_some() => self.mark("a delta resumes a room"),
                _ => {}
            },
            _ => {}
        }
    }

    pub(super) fn issue_token(&mut self, client: usize) {
        let host = &self.clients[client];
        let ends = if self.token_life == 0 { u64::MAX } else { self.now + self.token_life };
        self.tokens.insert(format!("{}#{}", host.user, host.tokens), ends);
    }

    pub(super) fn online(&mut self, client: usize) {
        let now = self.clock(client);
        self.clients[client].client.handle_network(Device::Online, now);
        self.serve_client(client);
    }

    pub(super) fn crash_client(&mut self, client: usize) {
        self.cut_silently(client);
        // Nothing reaches an app that is gone, and the next one numbers its sockets anew.
        self.network.lose(|arrival| arrival.is_for_client(client));
        if !self.clients[client].unsettled.is_empty() {
            self.mark("an operation outlives its app");
        }
        let (seed, now) = (self.rng.next_u64(), self.now);
        self.clients[client].crash(seed, now);
        self.issue_token(client);
        self.serve_client(client);
    }

    /// The one thing that throws away what was not sent.
    pub(super) fn log_out(&mut self, client: usize) {
        let now = self.clock(client);
        let host = &mut self.clients[client];
        let had_unsent = !host.unsettled.is_empty();
        host.client.logout(now);
        host.unsettled.clear();
        if had_unsent {
            self.mark("somebody logs out with something unsent");
        }
        self.serve_client(client);
        let host = &self.clients[client];
        if !host.durable.is_empty() {
            let checked =
                Err(format!("{} has logged out, and {:?} is stored", host.user, host.durable.keys()));
            self.note(checked);
        }
    }

    pub(super) fn log_in(&mut self, client: usize) {
        let now = self.clock(client);
        self.clients[client].start(now);
        self.issue_token(client);
        self.serve_client(client);
    }

    /// Cuts a client's connection: what is under way is lost, and both ends hear of it.
    pub(super) fn cut(&mut self, client: usize) {
        let Some(link) = self.clients[client].link else { return };
        self.cut_silently(client);
        let at = self.delay();
        let (app, generation) = (self.clients[client].app, link.generation);
        self.network.push(at, Arrival::Closed { client, app, generation, code: 1006 });
    }

    fn cut_silently(&mut self, client: usize) {
        let Some(link) = self.clients[client].link.take() else { return };
        // A client that does nothing does not notice, and is away all the same.
        self.lose_sight(client);
        let Some((life, conn)) = link.place else { return };
        self.network.lose(|arrival| match arrival {
            Arrival::ToNode { conn: of, .. } => *of == conn,
            Arrival::ToClient { client: of, generation, .. }
            | Arrival::Opened { client: of, generation, .. } => {
                *of == client && *generation == link.generation
            }
            _ => false,
        });
        let at = self.delay();
        self.network.push(at, Arrival::Hangup { life, conn });
    }

    /// Where a client's socket ends, if it has arrived.
    pub(super) fn place(&self, client: usize) -> Option<(Life, ConnId)> {
        self.clients[client].link.and_then(|link| link.place)
    }
}
