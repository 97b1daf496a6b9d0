//! One thread that owns the sockets of its connections.

use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use enfilade_proto::Code;

use super::fanout::Fanout;
use super::{Channel, ConnId, Handler, Lane, NetConfig};

/// All shards. Dropping it does not end them; [`Net::drain`] does.
pub struct Net {
    fanout: Fanout,
}

impl Net {
    /// Starts the shards, each with the handler that `handler(index, &fanout)` makes.
    pub fn start<H: Handler>(
        config: &NetConfig,
        mut handler: impl FnMut(usize, &Fanout) -> H,
    ) -> io::Result<Net> {
        let _ = (config, &mut handler);
        Err(io::Error::other("not yet"))
    }

    /// The handle to every connection.
    pub fn fanout(&self) -> &Fanout {
        &self.fanout
    }

    /// Sends what is queued to every connection, closes it with the code, and ends the shards, within the given time.
    pub async fn drain(self, code: Code, reason: &str, within: Duration) {
        self.fanout.drain(code as u16, reason, within);
    }
}

/// A shard, as its handler sees it while it is called: it acts at once on this shard's connections.
pub struct ShardContext<'a> {
    fanout: &'a Fanout,
    now: Instant,
}

impl ShardContext<'_> {
    /// When this wake began.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The handle to connections of other shards and for other threads.
    pub fn fanout(&self) -> &Fanout {
        self.fanout
    }

    /// As [`Fanout::send`].
    pub fn send(&mut self, conn: ConnId, lane: Lane, bytes: Bytes) {
        self.fanout.send(conn, lane, bytes);
    }

    /// As [`Fanout::subscribe`].
    pub fn subscribe(&mut self, conn: ConnId, channel: Channel) {
        self.fanout.subscribe(conn, channel);
    }

    /// As [`Fanout::unsubscribe`].
    pub fn unsubscribe(&mut self, conn: ConnId, channel: Channel) {
        self.fanout.unsubscribe(conn, channel);
    }

    /// As [`Fanout::close`].
    pub fn close(&mut self, conn: ConnId, code: Code, reason: &str) {
        self.fanout.close(conn, code, reason);
    }

    /// No more messages of the connection are read until [`ShardContext::resume`] or [`Fanout::resume`].
    pub fn pause(&mut self, conn: ConnId) {
        let _ = conn;
    }

    /// Takes back [`ShardContext::pause`].
    pub fn resume(&mut self, conn: ConnId) {
        self.fanout.resume(conn);
    }
}
