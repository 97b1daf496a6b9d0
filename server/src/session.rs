//! Between sockets and rooms: each shard's connections, and the way of a frame to the room that it is for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use enfilade_core::authority::{
    ConnId, Connection, ConnectionConfig, ConnectionEffect, Identity, RoomRequest,
};
use enfilade_core::policy::Actor;
use enfilade_core::v1::server_frame::Body as Frame;
use enfilade_core::{Code, Millis, Position, RoomId, UserId, v1, wire};

use crate::auth::{Tokens, now};
use crate::health::{Component, Health};
use crate::net::{self, Codec, ConnMeta, EVERYBODY, Fanout, Handler, Lane, ShardContext};
use crate::rooms::{Rooms, encode_frame};
use crate::telemetry;

/// What all shards share.
#[derive(Clone)]
pub struct Sessions {
    /// The live rooms.
    pub rooms: Rooms,
    /// Who may connect.
    pub tokens: Arc<Tokens>,
    /// What connections are told and allowed.
    pub config: Arc<ConnectionConfig>,
    /// Whether what they write is taken.
    pub health: Health,
}

/// One shard's connections.
pub struct Session {
    shared: Sessions,
    /// By slot, which is small and used again.
    connections: Vec<Option<Box<Open>>>,
    /// Where the sweep over the slots is: each connection is visited once a heartbeat interval.
    swept: usize,
    sweep: Sweep,
}

struct Open {
    conn: net::ConnId,
    actor: Option<Arc<Actor>>,
    connection: Connection,
}

/// How far a sweep has to go, so that it comes round once an interval whatever the number of slots.
struct Sweep {
    interval: Duration,
    last: Instant,
}

impl Session {
    /// A shard without connections.
    pub fn new(shared: Sessions) -> Session {
        let interval = Duration::from_millis(shared.config.heartbeat_interval.max(1));
        Session { shared, connections: Vec::new(), swept: 0, sweep: Sweep { interval, last: Instant::now() } }
    }

    fn open(&mut self, conn: net::ConnId) -> Option<&mut Open> {
        self.connections.get_mut(conn.slot())?.as_deref_mut().filter(|open| open.conn == conn)
    }

    /// Does what a connection wants, until it wants nothing more.
    fn do_effects(&mut self, cx: &mut ShardContext<'_>, conn: net::ConnId) {
        let shared = self.shared.clone();
        let Some(open) = self.open(conn) else { return };
        while let Some(effect) = open.connection.poll_effect() {
            match effect {
                ConnectionEffect::Verify { token } => {
                    let identity = identify(&shared.tokens, &token, now());
                    let was_open = open.connection.is_open();
                    open.connection.handle_verified(identity, &shared.config, now());
                    open.actor = open.connection.actor().cloned().map(Arc::new);
                    if open.connection.is_open() && !was_open {
                        if let (Some(connections), Some(actor)) = (shared.rooms.connections(), &open.actor) {
                            connections.connected(conn.to_u64(), actor.user(), actor.name());
                        }
                        cx.subscribe(conn, EVERYBODY);
                        // After that, so that whoever is not told now is told with everybody.
                        if !shared.health.takes_writes() {
                            open.connection.send(outage(true));
                        }
                    }
                }
                ConnectionEffect::Send(frame) => {
                    telemetry::count_refusal(&frame);
                    cx.send(conn, Lane::Control, encode_frame(conn.codec(), &frame))
                }
                ConnectionEffect::Room { room, request } => {
                    let Some(actor) = open.actor.clone() else { continue };
                    let is_leave = request == RoomRequest::Leave;
                    let told = shared.rooms.request(&room, ConnId(conn.to_u64()), actor, request);
                    match told {
                        Ok(()) => {}
                        // A room that has ended in the meantime has no subscribers.
                        Err(_) if is_leave => {}
                        // What was not taken can't be answered in order any more: the client comes back and resumes.
                        Err(code) => {
                            tracing::warn!(%room, %code, "a connection is closed, because its room did not take a request");
                            let close =
                                if code == Code::Draining { Code::GoingAway } else { Code::ServerError };
                            cx.close(conn, close, close.text());
                        }
                    }
                }
                ConnectionEffect::RoomList(request) => {
                    let user = open.connection.actor().map(|actor| actor.user().to_owned());
                    let inbox =
                        user.and_then(|user| UserId::new(&user).ok()).map(|user| RoomId::inbox(&user));
                    let Some(inbox) = inbox else { continue };
                    let request_id = request.request_id;
                    if let Err(code) = shared.rooms.list(&inbox, ConnId(conn.to_u64()), request) {
                        open.connection.send(Frame::Error(v1::Error {
                            code: code.number(),
                            reason: code.text().into(),
                            request_id,
                            ..Default::default()
                        }));
                    }
                }
                ConnectionEffect::Close(code) => cx.close(conn, code, code.text()),
            }
        }
    }

    /// The heartbeat of one slot's connection.
    fn beat(&mut self, cx: &mut ShardContext<'_>, slot: usize) {
        let shared = self.shared.clone();
        let Some(Some(open)) = self.connections.get_mut(slot) else { return };
        open.connection.handle_heartbeat(&shared.config, now());
        let cached: Vec<RoomId> = open.connection.cached().cloned().collect();
        for room in cached {
            let Some(row) = shared.rooms.directory().get(&room) else { continue };
            let head = row.position.map(Position::from).unwrap_or_default();
            let is_private = row.visibility() == v1::Visibility::Private;
            open.connection.handle_cached_head(&room, head, row.messages, is_private);
        }
        let conn = open.conn;
        self.do_effects(cx, conn);
    }
}

impl Handler for Session {
    fn open(&mut self, _: &mut ShardContext<'_>, conn: net::ConnId, _: &ConnMeta) {
        if self.connections.len() <= conn.slot() {
            self.connections.resize_with(conn.slot() + 1, || None);
        }
        let connection = Connection::new(ConnId(conn.to_u64()), now());
        self.connections[conn.slot()] = Some(Box::new(Open { conn, actor: None, connection }));
    }

    fn message(&mut self, cx: &mut ShardContext<'_>, conn: net::ConnId, payload: &[u8]) {
        let shared = self.shared.clone();
        let Some(open) = self.open(conn) else { return };
        let frame = wire::decode_client(codec(conn.codec()), payload, shared.config.frame_bytes);
        if let Err(code) = &frame {
            metrics::counter!("enfilade_bad_frames_total", "code" => code.name()).increment(1);
        }
        open.connection.handle_frame(frame, &shared.config, now());
        self.do_effects(cx, conn);
    }

    fn closed(&mut self, cx: &mut ShardContext<'_>, conn: net::ConnId, code: u16) {
        telemetry::count_close(code);
        if let Some(open) = self.open(conn) {
            open.connection.handle_closed();
            self.do_effects(cx, conn);
            if let Some(connections) = self.shared.rooms.connections() {
                connections.disconnected(conn.to_u64());
            }
            self.connections[conn.slot()] = None;
        }
    }

    fn tick(&mut self, cx: &mut ShardContext<'_>) {
        let slots = self.connections.len();
        let elapsed = self.sweep.last.elapsed();
        let due = (slots as u128 * elapsed.as_millis() / self.sweep.interval.as_millis()) as usize;
        // A small number of slots waits until at least one is due.
        if due == 0 {
            return;
        }
        self.sweep.last = Instant::now();
        for _ in 0..due.min(slots) {
            self.swept = (self.swept + 1) % slots;
            self.beat(cx, self.swept);
        }
    }
}

/// Sends every connection the server's heartbeat, one shared frame, until the future is dropped.
pub async fn beat(fanout: Fanout, interval: Duration) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        broadcast(&fanout, Frame::Heartbeat(v1::ServerHeartbeat { time: now().0 }));
    }
}

/// Tells every connection when the store takes no writes any more, and when it does again, until the future is dropped.
pub async fn tell_of_outages(fanout: Fanout, health: Health) {
    let mut changes = health.watch(Component::Store);
    let mut is_out = !health.takes_writes();
    while changes.changed().await.is_ok() {
        let was_out = std::mem::replace(&mut is_out, !health.takes_writes());
        if was_out != is_out {
            broadcast(&fanout, outage(is_out));
        }
    }
}

/// What a connection is told of the store: without a code, all is well again.
fn outage(is_out: bool) -> Frame {
    let code = is_out.then_some(Code::StoreUnavailable);
    Frame::Advice(v1::Advice {
        code: code.map_or(0, Code::number),
        reason: code.map_or("", Code::text).into(),
        ..Default::default()
    })
}

/// Tells every connection that the server stops, and when to come back.
pub fn advise(fanout: &Fanout, reconnect_after: Duration) {
    broadcast(
        fanout,
        Frame::Advice(v1::Advice {
            code: Code::GoingAway.number(),
            reconnect_after: reconnect_after.as_millis() as u64,
            close: true,
            reason: Code::GoingAway.text().into(),
            room: None,
        }),
    );
}

fn broadcast(fanout: &Fanout, body: Frame) {
    let interest = fanout.interest(EVERYBODY);
    let frame = v1::ServerFrame { body: Some(body) };
    let encode = |wanted: bool, codec| if wanted { encode_frame(codec, &frame) } else { bytes::Bytes::new() };
    let frames = net::Frames {
        binary: encode(interest.binary, Codec::Binary),
        json: encode(interest.json, Codec::Json),
    };
    fanout.broadcast(Lane::Control, 0, frames);
}

fn identify(tokens: &Tokens, token: &str, now: Millis) -> Result<Identity, Code> {
    let claims = tokens.verify(token, now)?;
    Ok(Identity { user: claims.user, name: claims.name, expires: claims.expires })
}

fn codec(codec: Codec) -> wire::Codec {
    match codec {
        Codec::Binary => wire::Codec::Binary,
        Codec::Json => wire::Codec::Json,
    }
}
