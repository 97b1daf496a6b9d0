//! One thread that owns the sockets of its connections.

use std::any::Any;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use enfilade_proto::Code;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::fanout::{Command, Fanout, Queue};
use super::hub::{ABNORMAL, Hub, Phase};
use super::inbound::{Decoder, Event};
use super::{Channel, Codec, ConnId, ConnMeta, Frames, Handler, Lane, NetConfig, frame};

/// The token of a shard's queue; connections have their slots.
const QUEUE: Token = Token(usize::MAX);
/// Sockets that one call tells of.
const EVENTS: usize = 1_024;
/// What one connection may bring in a turn, so that others have theirs.
const READ_BYTES: usize = 64 * 1024;
/// The same in messages: many small ones are as much work as few large ones.
const MESSAGES_A_TURN: usize = 256;
/// What is published in one batch at most: more would only wait in one piece for the slowest socket.
const FLUSH_BYTES: usize = 256 * 1024;
/// Unsent bytes that the kernel keeps for a socket before it says that it is full: enough to be busy for a round trip,
/// and little enough for lanes to matter.
const KERNEL_UNSENT_BYTES: u32 = 128 * 1024;
/// The key of answers to pings, of which the latest is enough.
const PONG_KEY: u32 = u32::MAX;

/// All shards. Dropping it does not end them; [`Net::drain`] does.
pub struct Net {
    fanout: Fanout,
    threads: Vec<JoinHandle<()>>,
}

impl Net {
    /// Starts the shards, each with the handler that `handler(index, &fanout)` makes.
    pub fn start<H: Handler>(
        config: &NetConfig,
        mut handler: impl FnMut(usize, &Fanout) -> H,
    ) -> io::Result<Net> {
        let mut polls = Vec::new();
        let mut queues = Vec::new();
        for _ in 0..config.shard_count() {
            let poll = Poll::new()?;
            queues.push(Queue::new(mio::Waker::new(poll.registry(), QUEUE)?));
            polls.push(poll);
        }
        let fanout = Fanout::new(queues, config.max_connections);
        let mut threads = Vec::new();
        for (index, poll) in polls.into_iter().enumerate() {
            let mut shard = Shard {
                hub: Hub::new(
                    index,
                    fanout.clone(),
                    config.max_backlog_bytes,
                    ticks(config.close_timeout, config.tick),
                ),
                handler: handler(index, &fanout),
                poll,
                decoder: Decoder::new(config.max_message_bytes),
                scratch: vec![0; READ_BYTES],
                started: Instant::now(),
                now: Instant::now(),
                tick: config.tick,
                hello_ticks: ticks(config.hello_timeout, config.tick),
                message_ticks: ticks(config.message_timeout, config.tick),
                idle_ticks: ticks(config.idle_timeout, config.tick),
                drained_by: None,
            };
            let thread = std::thread::Builder::new().name(format!("shard-{index}"));
            threads.push(thread.spawn(move || shard.run())?);
        }
        Ok(Net { fanout, threads })
    }

    /// The handle to every connection.
    pub fn fanout(&self) -> &Fanout {
        &self.fanout
    }

    /// Sends what is queued to every connection, closes it with the code, and ends the shards, within the given time.
    pub async fn drain(self, code: Code, reason: &str, within: Duration) {
        self.fanout.drain(code as u16, reason, within);
        let threads = self.threads;
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                let _ = thread.join();
            }
        });
        let _ = joined.await;
    }
}

/// Whole ticks, rounded up.
fn ticks(time: Duration, tick: Duration) -> u32 {
    time.as_nanos().div_ceil(tick.as_nanos().max(1)).try_into().unwrap_or(u32::MAX / 2).max(1)
}

/// A shard, as its handler sees it while it is called: it acts at once on this shard's connections.
pub struct ShardContext<'a> {
    hub: &'a mut Hub,
    now: Instant,
}

impl ShardContext<'_> {
    /// When this wake began.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The index of this shard.
    pub fn shard(&self) -> usize {
        self.hub.shard
    }

    /// The handle to connections of other shards and for other threads.
    pub fn fanout(&self) -> &Fanout {
        &self.hub.fanout
    }

    /// As [`Fanout::send`].
    pub fn send(&mut self, conn: ConnId, lane: Lane, bytes: Bytes) {
        if conn.shard() == self.hub.shard {
            self.hub.send(conn, lane, 0, bytes);
        } else {
            self.hub.fanout.send(conn, lane, bytes);
        }
    }

    /// As [`Fanout::subscribe`].
    pub fn subscribe(&mut self, conn: ConnId, channel: Channel) {
        if conn.shard() == self.hub.shard {
            self.hub.fanout.shared.subscriptions.add(channel, conn);
            self.hub.subscribe(conn, channel);
        } else {
            self.hub.fanout.subscribe(conn, channel);
        }
    }

    /// As [`Fanout::unsubscribe`].
    pub fn unsubscribe(&mut self, conn: ConnId, channel: Channel) {
        if conn.shard() == self.hub.shard {
            self.hub.unsubscribe(conn, channel);
        } else {
            self.hub.fanout.unsubscribe(conn, channel);
        }
    }

    /// Publishes to this shard's subscribers alone: for what each shard does by itself, as heartbeats.
    pub fn publish_here(&mut self, channel: Channel, lane: Lane, key: u32, frames: Frames) {
        for (codec, bytes) in [(Codec::Binary, frames.binary), (Codec::Json, frames.json)] {
            if !bytes.is_empty() {
                self.hub.publish(channel, codec, lane, key, bytes);
            }
        }
    }

    /// As [`Fanout::close`]. No message of the connection is read any more.
    pub fn close(&mut self, conn: ConnId, code: Code, reason: &str) {
        match self.hub.slot(conn) {
            Some(slot) => self.hub.close(slot, code as u16, reason, code as u16),
            None => self.hub.fanout.close(conn, code, reason),
        }
    }

    /// No more messages of the connection are read until [`ShardContext::resume`] or [`Fanout::resume`]. A paused
    /// connection is not held to be idle.
    pub fn pause(&mut self, conn: ConnId) {
        if let Some(slot) = self.hub.slot(conn) {
            self.hub.conns[slot as usize].paused = true;
        }
    }

    /// Takes back [`ShardContext::pause`].
    pub fn resume(&mut self, conn: ConnId) {
        if let Some(slot) = self.hub.slot(conn)
            && std::mem::take(&mut self.hub.conns[slot as usize].paused)
        {
            self.hub.conns[slot as usize].heard = self.hub.wheel.now();
            self.hub.look_again(slot);
        }
    }
}

struct Shard<H> {
    hub: Hub,
    handler: H,
    poll: Poll,
    decoder: Decoder,
    /// What a socket is read into.
    scratch: Vec<u8>,
    started: Instant,
    now: Instant,
    tick: Duration,
    hello_ticks: u32,
    message_ticks: u32,
    idle_ticks: u32,
    /// Set while draining.
    drained_by: Option<Instant>,
}

impl<H: Handler> Shard<H> {
    fn run(&mut self) {
        let mut events = Events::with_capacity(EVENTS);
        let mut commands = Vec::new();
        let mut due = Vec::new();
        loop {
            let timeout = if self.hub.is_busy() { Duration::ZERO } else { self.until_next_tick() };
            if let Err(error) = self.poll.poll(&mut events, Some(timeout))
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "a shard can't wait for its sockets");
                std::thread::sleep(self.tick);
            }
            self.now = Instant::now();
            for slot in self.hub.take_again() {
                self.read_on(slot);
            }
            for event in events.iter().filter(|event| event.token() != QUEUE) {
                let slot = event.token().0 as u32;
                if event.is_writable() {
                    self.hub.writable(slot);
                }
                if event.is_readable() || event.is_read_closed() || event.is_error() {
                    self.read(slot);
                }
                if event.is_read_closed() {
                    // The end may have come with the last bytes, and is told of once.
                    self.hub.look_again(slot);
                }
            }
            self.obey(&mut commands);
            self.look_at_clock(&mut due);
            self.hub.flush();
            self.tell_closed();
            if self.is_drained() {
                self.hub.counters.publish();
                return;
            }
        }
    }

    fn until_next_tick(&self) -> Duration {
        let next = self.tick * (self.hub.wheel.now() + 1);
        (self.started + next).saturating_duration_since(Instant::now())
    }

    /// Calls the handler. If it panics, that ends the connection and no more.
    fn call(&mut self, conn: Option<ConnId>, call: impl FnOnce(&mut H, &mut ShardContext<'_>)) {
        let mut context = ShardContext { hub: &mut self.hub, now: self.now };
        let handler = &mut self.handler;
        if catch_unwind(AssertUnwindSafe(|| call(handler, &mut context))).is_err() {
            self.hub.counters.panics += 1;
            tracing::error!(?conn, "the handler of a connection panicked");
            if let Some(slot) = conn.and_then(|conn| self.hub.slot(conn)) {
                let code = Code::ServerError;
                self.hub.close(slot, code as u16, code.text(), code as u16);
            }
        }
    }

    fn tell_closed(&mut self) {
        while !self.hub.closed.is_empty() {
            for (conn, code) in std::mem::take(&mut self.hub.closed) {
                self.call(None, |handler, cx| handler.closed(cx, conn, code));
            }
        }
    }

    // --------------------------------------------------------------------------------------------- the queue

    fn obey(&mut self, commands: &mut Vec<Command>) {
        if let Some(queue) = self.hub.fanout.shared.queues.get(self.hub.shard) {
            queue.take(commands);
        }
        let mut published = 0;
        for command in commands.drain(..) {
            match command {
                Command::Publish { channel, codec, lane, key, bytes } => {
                    published += bytes.len();
                    self.hub.publish(channel, codec, lane, key, bytes);
                    if published >= FLUSH_BYTES {
                        published = 0;
                        self.hub.flush();
                    }
                }
                Command::Send { conn, lane, key, bytes } => self.hub.send(conn, lane, key, bytes),
                Command::Subscribe { conn, channel } => self.hub.subscribe(conn, channel),
                Command::Unsubscribe { conn, channel } => self.hub.unsubscribe(conn, channel),
                Command::Close { conn, code, reason } => {
                    if let Some(slot) = self.hub.slot(conn) {
                        self.hub.close(slot, code, &reason, code);
                    }
                }
                Command::Adopt { stream, peer, codec, early } => {
                    self.adopt(stream, ConnMeta { peer, codec }, &early);
                }
                Command::Resume { conn } => ShardContext { hub: &mut self.hub, now: self.now }.resume(conn),
                Command::Tell { conn, note } => self.tell(conn, note),
                Command::Drain { code, reason, within } => self.drain(code, &reason, within),
            }
        }
    }

    fn tell(&mut self, conn: ConnId, note: Box<dyn Any + Send>) {
        if self.hub.slot(conn).is_some() {
            self.call(Some(conn), |handler, cx| handler.told(cx, conn, note));
        }
    }

    fn adopt(&mut self, stream: std::net::TcpStream, meta: ConnMeta, early: &[u8]) {
        let _ = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(KERNEL_UNSENT_BYTES);
        let refused = self.drained_by.is_some() || self.hub.conns.len() >= ConnId::MAX_SLOTS;
        if refused || stream.set_nonblocking(true).is_err() {
            self.give_up();
            return;
        }
        let conn = self.hub.insert(TcpStream::from_std(stream), meta.codec);
        let slot = conn.slot() as u32;
        let connection = &mut self.hub.conns[conn.slot()];
        let both = Interest::READABLE | Interest::WRITABLE;
        if self.poll.registry().register(&mut connection.stream, Token(conn.slot()), both).is_err() {
            self.hub.remove(slot, ABNORMAL);
            self.hub.closed.retain(|closed| closed.0 != conn);
            return;
        }
        self.set_alarm(slot);
        self.call(Some(conn), |handler, cx| handler.open(cx, conn, &meta));
        if !early.is_empty() {
            self.take_input(slot, &mut early.to_vec());
        }
    }

    /// A connection that was given to this shard never came to be.
    fn give_up(&self) {
        if let Some(queue) = self.hub.fanout.shared.queues.get(self.hub.shard) {
            queue.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn drain(&mut self, code: u16, reason: &str, within: Duration) {
        self.drained_by = Some(self.now + within);
        let slots: Vec<u32> = self.hub.conns.iter().map(|(slot, _)| slot as u32).collect();
        for slot in slots {
            self.hub.close(slot, code, reason, code);
        }
    }

    fn is_drained(&self) -> bool {
        self.drained_by.is_some_and(|by| self.hub.conns.is_empty() || self.now >= by)
    }

    // --------------------------------------------------------------------------------------------- the clock

    fn look_at_clock(&mut self, due: &mut Vec<super::wheel::Alarm>) {
        let elapsed = self.now.saturating_duration_since(self.started).as_nanos();
        let tick = (elapsed / self.tick.as_nanos().max(1)).try_into().unwrap_or(u32::MAX - 1);
        if tick == self.hub.wheel.now() {
            return;
        }
        self.hub.wheel.advance(tick, due);
        for alarm in due.drain(..) {
            if let Some(conn) = self.hub.conns.get_mut(alarm.slot as usize)
                && conn.alarm == alarm.tick
            {
                conn.alarm = 0;
                self.look_at(alarm.slot);
            }
        }
        self.call(None, |handler, cx| handler.tick(cx));
        self.hub.counters.publish();
    }

    /// Acts on a deadline that has passed, and sets the alarm for the next one.
    fn look_at(&mut self, slot: u32) {
        let now = self.hub.wheel.now();
        let Some(conn) = self.hub.conns.get(slot as usize) else { return };
        if self.deadline(conn) > now {
            self.set_alarm(slot);
            return;
        }
        let (code, reason) = match conn.phase {
            Phase::Closing => {
                self.hub.remove(slot, ABNORMAL);
                return;
            }
            Phase::Opened => (Code::HelloTimeout, Code::HelloTimeout.text()),
            Phase::Talking if conn.heard.saturating_add(self.idle_ticks) <= now => {
                (Code::HeartbeatTimeout, Code::HeartbeatTimeout.text())
            }
            Phase::Talking => (Code::HeartbeatTimeout, "a message was begun and not finished in time"),
        };
        self.hub.close(slot, code as u16, reason, code as u16);
    }

    /// The tick of the connection's earliest deadline.
    fn deadline(&self, conn: &super::hub::Conn) -> u32 {
        let message = conn.partial.as_ref().and_then(|partial| partial.since);
        let message = message.map_or(u32::MAX, |since| since.saturating_add(self.message_ticks));
        match conn.phase {
            Phase::Closing => conn.since.saturating_add(self.hub.close_ticks),
            Phase::Opened => conn.since.saturating_add(self.hello_ticks),
            Phase::Talking if conn.paused => u32::MAX,
            Phase::Talking => message.min(conn.heard.saturating_add(self.idle_ticks)),
        }
    }

    /// Sees to it that the connection is looked at by its deadline. One alarm that is early enough is enough.
    fn set_alarm(&mut self, slot: u32) {
        let Some(conn) = self.hub.conns.get(slot as usize) else { return };
        let deadline = self.deadline(conn);
        if conn.alarm == 0 || conn.alarm > deadline {
            let alarm = self.hub.wheel.set(slot, deadline);
            self.hub.conns[slot as usize].alarm = alarm;
        }
    }

    // ------------------------------------------------------------------------------------------------- input

    /// The socket has input, or its end.
    fn read(&mut self, slot: u32) {
        let Some(conn) = self.hub.conns.get_mut(slot as usize) else { return };
        if conn.paused && conn.phase != Phase::Closing {
            // Resuming reads it.
            return;
        }
        if conn.partial.as_ref().is_some_and(|partial| !partial.held.is_empty()) {
            // It is in `again`.
            return;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let result = loop {
            match conn.stream.read(&mut scratch) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        match result {
            Ok(0) => self.hub.remove(slot, ABNORMAL),
            Ok(len) => {
                conn.heard = self.hub.wheel.now();
                self.hub.counters.bytes_in += len as u64;
                if len == scratch.len() || conn.phase == Phase::Closing {
                    // There may be more, of which the poll will not tell again.
                    self.hub.look_again(slot);
                }
                self.take_input(slot, &mut scratch[..len]);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.hub.remove(slot, ABNORMAL),
        }
        self.scratch = scratch;
    }

    /// Goes on with a connection that had its turn, or was paused.
    fn read_on(&mut self, slot: u32) {
        let Some(conn) = self.hub.conns.get_mut(slot as usize) else { return };
        if conn.paused {
            return;
        }
        let held = conn.partial.as_mut().map(|partial| std::mem::take(&mut partial.held)).unwrap_or_default();
        if held.is_empty() {
            self.read(slot);
        } else {
            let mut held = held;
            self.hub.look_again(slot);
            self.take_input(slot, &mut held);
        }
    }

    /// Works off input, message by message, as far as the connection's turn goes.
    fn take_input(&mut self, slot: u32, input: &mut [u8]) {
        let Some(conn) = self.hub.conns.get_mut(slot as usize) else { return };
        if conn.phase == Phase::Closing {
            return;
        }
        let (codec, generation) = (conn.codec, conn.generation);
        let id = ConnId::new(self.hub.shard, codec, slot, generation);
        let mut partial = conn.partial.take();
        let mut at = 0;
        let mut messages = 0;
        loop {
            let event = match self.decoder.next(codec, &mut partial, input, &mut at) {
                Ok(Some(event)) => event,
                Ok(None) => break,
                Err(fault) => {
                    self.hub.counters.malformed += 1;
                    self.hub.close(slot, fault.code, fault.reason, fault.code);
                    return;
                }
            };
            match event {
                Event::Message(place) => {
                    self.hub.counters.messages_in += 1;
                    self.hub.conns[slot as usize].phase = Phase::Talking;
                    let payload = place.of(input, &partial);
                    self.call(Some(id), |handler, cx| handler.message(cx, id, payload));
                }
                Event::Ping(place) => {
                    self.hub.send(id, Lane::State, PONG_KEY, frame::pong(place.of(input, &partial)));
                }
                Event::Pong => {}
                Event::Close(code) => {
                    self.hub.close(slot, code, "", code);
                    return;
                }
            }
            if self.hub.slot(id).is_none() {
                return;
            }
            messages += 1;
            let paused = self.hub.conns[slot as usize].paused;
            if paused || messages == MESSAGES_A_TURN {
                if at < input.len() {
                    partial.get_or_insert_default().held = input[at..].to_vec();
                    if !paused {
                        self.hub.look_again(slot);
                    }
                }
                break;
            }
        }
        let now = self.hub.wheel.now();
        if let Some(partial) = &mut partial {
            partial.since.get_or_insert(now);
        }
        let waits = partial.is_some();
        if let Some(conn) = self.hub.conns.get_mut(slot as usize) {
            conn.partial = partial;
        }
        if waits {
            self.set_alarm(slot);
        }
    }
}
