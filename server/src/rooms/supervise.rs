//! Begins a room anew when its task has failed: the store has all that was acknowledged, and clients resume from there.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use enfilade_core::authority::{ConnId, RoomRequest};
use enfilade_core::v1::server_frame::Body as Frame;
use enfilade_core::{Code, RoomId, Tier, v1};
use futures_util::FutureExt as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::actor::RoomTask;
use super::encode::{channel, socket};
use super::{RoomMessage, Rooms};
use crate::net;

/// The longest that a failed room waits for connections to be closed; their shard does so in its next turn.
const CLOSING: Duration = Duration::from_secs(5);

/// Runs the room's task until it is idle. When it panics, whoever deals with it is told; the next request starts it
/// again from the store.
pub(super) async fn supervise(
    rooms: Rooms,
    room: RoomId,
    alias: u32,
    mut messages: mpsc::Receiver<RoomMessage>,
) {
    let mut task = RoomTask::new(rooms.clone(), room.clone(), alias);
    if AssertUnwindSafe(task.run(&mut messages)).catch_unwind().await.is_ok() {
        return;
    }
    tracing::error!(%room, "a room has failed; its clients resume from the store");
    metrics::counter!("enfilade_room_failures_total").increment(1);
    let mut clients = std::mem::take(&mut task.clients);
    drop(task);
    close_unanswered(&rooms, &room, alias, &mut clients, &mut messages).await;
    for conn in clients.holders() {
        if let Some(connections) = rooms.connections() {
            connections.left(conn.0, &room);
        }
        for tier in [Tier::Active, Tier::Background] {
            rooms.shared.fanout.unsubscribe(socket(conn), channel(alias, tier));
        }
        let error = v1::Error {
            code: Code::Internal.number(),
            reason: Code::Internal.text().into(),
            room_id: room.as_str().into(),
            ..Default::default()
        };
        rooms.send(conn, net::Lane::Control, Frame::Error(error));
    }
}

/// Closes the connections whose requests were lost, and lets the room go when the last of them has left it.
///
/// An operation that was lost must come before those that its client has sent since, or these would overtake it for
/// good. So until such a connection has ended, the room takes nothing.
async fn close_unanswered(
    rooms: &Rooms,
    room: &RoomId,
    alias: u32,
    clients: &mut Clients,
    messages: &mut mpsc::Receiver<RoomMessage>,
) {
    let end = Instant::now() + CLOSING;
    loop {
        for conn in clients.take_unclosed() {
            rooms.shared.fanout.close(socket(conn), Code::ServerError, Code::ServerError.text());
        }
        if !clients.has_lost() && rooms.forget_when_empty(room, alias, messages) {
            return;
        }
        match timeout_at(end, messages.recv()).await {
            Ok(Some(message)) => clients.note(&message),
            Ok(None) | Err(_) => return rooms.forget(room, alias),
        }
    }
}

/// The connections that deal with a room's task, and what it owes them.
#[derive(Default)]
pub(super) struct Clients {
    by_conn: BTreeMap<ConnId, Dealings>,
}

#[derive(Default)]
struct Dealings {
    /// It has the room in a tier.
    holds: bool,
    /// Requests that were not answered.
    owed: usize,
    /// Whether operations are among them.
    has_submitted: bool,
    is_closed: bool,
}

impl Clients {
    /// A message is about to be handled.
    pub(super) fn note(&mut self, message: &RoomMessage) {
        let (conn, request) = match message {
            RoomMessage::Request { conn, request, .. } => (conn, request),
            RoomMessage::List { conn, .. } => {
                self.by_conn.entry(*conn).or_default().owed += 1;
                return;
            }
            _ => return,
        };
        match request {
            RoomRequest::Signal(..) => {}
            RoomRequest::Leave => drop(self.by_conn.remove(conn)),
            RoomRequest::SetTier(want) => {
                let dealings = self.by_conn.entry(*conn).or_default();
                dealings.holds = Tier::from_wire(want.tier) != Some(Tier::Unloaded);
                self.forget_when_done(*conn);
            }
            RoomRequest::Submit(_) => {
                let dealings = self.by_conn.entry(*conn).or_default();
                dealings.owed += 1;
                dealings.has_submitted = true;
            }
            RoomRequest::History(_) => self.by_conn.entry(*conn).or_default().owed += 1,
        }
    }

    /// A frame is about to be sent.
    pub(super) fn answered(&mut self, conn: ConnId, frame: Option<&Frame>) {
        let is_answer = match frame {
            Some(Frame::Ack(_) | Frame::Rejection(_) | Frame::HistoryPage(_) | Frame::RoomList(_)) => true,
            Some(Frame::Error(error)) => error.request_id != 0,
            _ => false,
        };
        if is_answer && let Some(dealings) = self.by_conn.get_mut(&conn) {
            dealings.owed = dealings.owed.saturating_sub(1);
            dealings.has_submitted &= dealings.owed > 0;
            self.forget_when_done(conn);
        }
    }

    fn forget_when_done(&mut self, conn: ConnId) {
        if self.by_conn.get(&conn).is_some_and(|dealings| !dealings.holds && dealings.owed == 0) {
            self.by_conn.remove(&conn);
        }
    }

    /// Connections that wait for an answer and have not been closed yet.
    fn take_unclosed(&mut self) -> Vec<ConnId> {
        let waiting =
            self.by_conn.iter_mut().filter(|(_, dealings)| dealings.owed > 0 && !dealings.is_closed);
        let close = |(conn, dealings): (&ConnId, &mut Dealings)| {
            dealings.is_closed = true;
            *conn
        };
        waiting.map(close).collect()
    }

    /// Whether operations were lost whose connection has not ended.
    fn has_lost(&self) -> bool {
        self.by_conn.values().any(|dealings| dealings.has_submitted)
    }

    fn holders(&self) -> impl Iterator<Item = ConnId> {
        self.by_conn.iter().filter(|(_, dealings)| !dealings.is_closed).map(|(conn, _)| *conn)
    }
}
