//! The connections of one shard, the channels they receive, and the one write that each gets a wake.
//!
//! A wake runs in two halves. First everything that is asked for is noted, in order: a publication goes into its
//! channel's [`Batch`]; a connection that is sent something of its own, or that comes or goes while a batch fills, gets
//! a [`Personal`] list of pieces, which refer to batches by frame number. Then [`Hub::flush`] seals the batches and
//! writes: connections without a list, which is nearly all, share their channel's batch as it is.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::Shutdown;
use std::ops::Range;

use bytes::Bytes;
use enfilade_proto::Code;
use mio::net::TcpStream;
use slab::Slab;

use super::backlog::{Backlog, PERSONAL};
use super::batch::Batch;
use super::counters::Counters;
use super::inbound::Partial;
use super::wheel::Wheel;
use super::{Channel, Codec, ConnId, Fanout, Lane, frame};

/// Not one of them.
const NONE: u32 = u32::MAX;
/// RFC 6455's code for an end without a close frame.
pub(super) const ABNORMAL: u16 = 1006;
/// How much more than the log may wait of what the client itself asked for: it is a client's right to open many rooms
/// at once, and their content comes as control frames.
const ANSWERS_TO_LOG: usize = 8;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing was heard yet.
    Opened,
    /// It talks.
    Talking,
    /// A close frame is on its way, and then our end of the socket is shut; nothing that comes in counts.
    Closing,
}

/// A subscription: the channel's slot, and the connection's place in its list of members.
struct Sub {
    channel: u32,
    place: u32,
}

/// One connection.
pub(super) struct Conn {
    pub(super) stream: TcpStream,
    pub(super) generation: u32,
    pub(super) codec: Codec,
    pub(super) phase: Phase,
    pub(super) paused: bool,
    /// Our end is shut: all was written.
    shut: bool,
    /// Tick at which the phase began.
    pub(super) since: u32,
    /// Tick at which something was last read.
    pub(super) heard: u32,
    /// Tick of the alarm that counts.
    pub(super) alarm: u32,
    /// It is in [`Hub::again`].
    queued: bool,
    /// The last flush of several batches in which it has one at least.
    flush: u32,
    /// Its list in this wake, if any.
    personal: u32,
    subs: Vec<Sub>,
    pub(super) partial: Option<Box<Partial>>,
    backlog: Option<Box<Backlog>>,
}

struct Members {
    id: Channel,
    codec: Codec,
    /// Slots of connections.
    members: Vec<u32>,
    /// Its batch in this wake, if any.
    dirty: u32,
}

/// A part of what one connection gets in this wake.
enum Piece {
    Shared { batch: u32, frames: Range<usize> },
    Own { bytes: Bytes, lane: Lane, key: u32 },
}

/// What one connection gets in this wake, where that differs from what others get.
struct Personal {
    conn: u32,
    pieces: Vec<Piece>,
    /// How many frames of which batch it has had already, or must not have.
    taken: Vec<(u32, usize)>,
}

pub(super) struct Hub {
    pub(super) shard: usize,
    pub(super) fanout: Fanout,
    pub(super) conns: Slab<Conn>,
    pub(super) wheel: Wheel,
    pub(super) counters: Counters,
    /// Connections that are gone for their handler, which has not been told yet.
    pub(super) closed: Vec<(ConnId, u16)>,
    /// Connections that have input to be looked at.
    again: Vec<u32>,
    pub(super) close_ticks: u32,
    max_backlog: usize,
    generations: u32,
    channels: Slab<Members>,
    index: HashMap<(Channel, Codec), u32>,
    /// The batches of this wake, and the slot of each one's channel.
    batches: Vec<Batch>,
    batch_channels: Vec<u32>,
    personal: Vec<Personal>,
    flushes: u32,
    /// Lists of frames to be used again.
    spare: Vec<Vec<super::batch::Frame>>,
    /// Connections to be dropped at the end of a flush.
    doomed: Vec<(u32, Doom)>,
}

#[derive(Clone, Copy)]
enum Doom {
    Broken,
    Slow,
}

impl Hub {
    pub(super) fn new(shard: usize, fanout: Fanout, max_backlog: usize, close_ticks: u32) -> Self {
        Hub {
            shard,
            fanout,
            conns: Slab::new(),
            wheel: Wheel::new(),
            counters: Counters::default(),
            closed: Vec::new(),
            again: Vec::new(),
            close_ticks,
            max_backlog,
            generations: 0,
            channels: Slab::new(),
            index: HashMap::new(),
            batches: Vec::new(),
            batch_channels: Vec::new(),
            personal: Vec::new(),
            flushes: 0,
            spare: Vec::new(),
            doomed: Vec::new(),
        }
    }

    // ---------------------------------------------------------------------------------------------- connections

    /// Takes a socket in.
    pub(super) fn insert(&mut self, stream: TcpStream, codec: Codec) -> ConnId {
        self.generations = self.generations.wrapping_add(1);
        self.counters.opened += 1;
        let now = self.wheel.now();
        let slot = self.conns.insert(Conn {
            stream,
            generation: self.generations,
            codec,
            phase: Phase::Opened,
            paused: false,
            shut: false,
            since: now,
            heard: now,
            alarm: 0,
            queued: false,
            flush: 0,
            personal: NONE,
            subs: Vec::new(),
            partial: None,
            backlog: None,
        });
        ConnId::new(self.shard, codec, slot as u32, self.generations)
    }

    /// The slot of a connection that is open.
    pub(super) fn slot(&self, conn: ConnId) -> Option<u32> {
        let found = self.conns.get(conn.slot())?;
        (conn.shard() == self.shard && found.generation == conn.generation() && found.phase != Phase::Closing)
            .then_some(conn.slot() as u32)
    }

    pub(super) fn id(&self, slot: u32) -> Option<ConnId> {
        let conn = self.conns.get(slot as usize)?;
        Some(ConnId::new(self.shard, conn.codec, slot, conn.generation))
    }

    /// Sends what the connection has due, then a close frame, and waits for the other end to close. The handler hears
    /// of it as `told`.
    pub(super) fn close(&mut self, slot: u32, code: u16, reason: &str, told: u16) {
        let Some(id) = self.id(slot).filter(|&id| self.slot(id).is_some()) else { return };
        self.take_pending(slot);
        self.push_own(slot, frame::close(code, reason), Lane::Control, 0);
        self.begin_closing(slot, id, told);
    }

    /// The same for a connection that has not taken what was sent: what waits is dropped.
    fn close_slow(&mut self, slot: u32) {
        let Some(id) = self.id(slot).filter(|&id| self.slot(id).is_some()) else { return };
        let code = Code::SlowConsumer;
        if let Some(backlog) = &mut self.conns[slot as usize].backlog {
            backlog.keep_begun_frame();
        }
        self.counters.slow_consumers += 1;
        self.push_own(slot, frame::close(code as u16, code.text()), Lane::Control, 0);
        self.begin_closing(slot, id, code as u16);
    }

    /// Has the connection looked at in the next turn, once.
    pub(super) fn look_again(&mut self, slot: u32) {
        if let Some(conn) = self.conns.get_mut(slot as usize)
            && !conn.queued
        {
            conn.queued = true;
            self.again.push(slot);
        }
    }

    /// The connections to look at in this turn.
    pub(super) fn take_again(&mut self) -> Vec<u32> {
        let again = std::mem::take(&mut self.again);
        for &slot in &again {
            if let Some(conn) = self.conns.get_mut(slot as usize) {
                conn.queued = false;
            }
        }
        again
    }

    /// Whether there is something to do without waiting.
    pub(super) fn is_busy(&self) -> bool {
        !self.again.is_empty() || self.is_dirty() || !self.closed.is_empty()
    }

    fn begin_closing(&mut self, slot: u32, id: ConnId, told: u16) {
        self.leave_all(slot);
        self.closed.push((id, told));
        let now = self.wheel.now();
        let deadline = now.saturating_add(self.close_ticks);
        if let Some(conn) = self.conns.get_mut(slot as usize) {
            conn.phase = Phase::Closing;
            conn.paused = false;
            conn.since = now;
            conn.partial = None;
            conn.alarm = self.wheel.set(slot, deadline);
        }
        // While it was paused, its end may have come unnoticed.
        self.look_again(slot);
    }

    /// Drops a connection at once.
    pub(super) fn remove(&mut self, slot: u32, code: u16) {
        let Some(id) = self.id(slot) else { return };
        if self.slot(id).is_some() {
            self.closed.push((id, code));
        }
        self.leave_all(slot);
        let conn = self.conns.remove(slot as usize);
        if let Some(personal) = self.personal.get_mut(conn.personal as usize) {
            personal.conn = NONE;
        }
        self.counters.closed += 1;
        if let Some(queue) = self.fanout.shared.queues.get(self.shard) {
            queue.connections.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        }
    }

    // ------------------------------------------------------------------------------------------------- channels

    /// Subscribes a connection; the subscription has been counted already.
    pub(super) fn subscribe(&mut self, conn: ConnId, channel: Channel) {
        let codec = conn.codec();
        let Some(slot) = self.slot(conn) else {
            self.fanout.shared.subscriptions.remove(channel, codec, self.shard);
            return;
        };
        let at = *self.index.entry((channel, codec)).or_insert_with(|| {
            self.channels.insert(Members { id: channel, codec, members: Vec::new(), dirty: NONE }) as u32
        });
        let connection = &mut self.conns[slot as usize];
        if connection.subs.iter().any(|sub| sub.channel == at) {
            self.fanout.shared.subscriptions.remove(channel, codec, self.shard);
            return;
        }
        let members = &mut self.channels[at as usize];
        connection.subs.push(Sub { channel: at, place: members.members.len() as u32 });
        members.members.push(slot);
        if let Some(batch) = self.batches.get(members.dirty as usize) {
            // What this batch holds already was published before.
            let (batch, had) = (members.dirty, batch.frames.len());
            let personal = self.personal(slot);
            personal.taken.retain(|taken| taken.0 != batch);
            personal.taken.push((batch, had));
        }
    }

    pub(super) fn unsubscribe(&mut self, conn: ConnId, channel: Channel) {
        let Some(slot) = self.slot(conn) else { return };
        let Some(&at) = self.index.get(&(channel, conn.codec())) else { return };
        let subs = &self.conns[slot as usize].subs;
        let Some(place) = subs.iter().position(|sub| sub.channel == at) else { return };
        if self.channels[at as usize].dirty != NONE {
            self.take_pending(slot);
        }
        let sub = self.conns[slot as usize].subs.swap_remove(place);
        self.leave(&sub);
    }

    fn leave_all(&mut self, slot: u32) {
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        for sub in std::mem::take(&mut conn.subs) {
            self.leave(&sub);
        }
    }

    /// Takes a connection out of a channel's list, whose last member takes its place.
    fn leave(&mut self, sub: &Sub) {
        let channel = &mut self.channels[sub.channel as usize];
        channel.members.swap_remove(sub.place as usize);
        if let Some(&moved) = channel.members.get(sub.place as usize)
            && let Some(conn) = self.conns.get_mut(moved as usize)
            && let Some(moved) = conn.subs.iter_mut().find(|moved| moved.channel == sub.channel)
        {
            moved.place = sub.place;
        }
        self.fanout.shared.subscriptions.remove(channel.id, channel.codec, self.shard);
        if channel.members.is_empty() {
            if let Some(batch) = self.batch_channels.get_mut(channel.dirty as usize) {
                *batch = NONE;
            }
            self.index.remove(&(channel.id, channel.codec));
            self.channels.remove(sub.channel as usize);
        }
    }

    // ---------------------------------------------------------------------------------- the first half of a wake

    /// Notes a frame for all subscribers of a channel.
    pub(super) fn publish(&mut self, channel: Channel, codec: Codec, lane: Lane, key: u32, bytes: Bytes) {
        let Some(&at) = self.index.get(&(channel, codec)) else { return };
        let members = &mut self.channels[at as usize];
        if members.dirty == NONE {
            members.dirty = self.batches.len() as u32;
            let frames = self.spare.pop().unwrap_or_default();
            self.batches.push(Batch { origin: channel.into(), frames, ..Batch::default() });
            self.batch_channels.push(at);
        }
        self.batches[members.dirty as usize].push(bytes, lane, key);
    }

    /// Notes a frame for one connection.
    pub(super) fn send(&mut self, conn: ConnId, lane: Lane, key: u32, bytes: Bytes) {
        let Some(slot) = self.slot(conn) else { return };
        self.take_pending(slot);
        self.push_own(slot, bytes, lane, key);
    }

    fn push_own(&mut self, slot: u32, bytes: Bytes, lane: Lane, key: u32) {
        self.personal(slot).pieces.push(Piece::Own { bytes, lane, key });
    }

    /// The connection's list in this wake.
    fn personal(&mut self, slot: u32) -> &mut Personal {
        let conn = &mut self.conns[slot as usize];
        if conn.personal == NONE {
            conn.personal = self.personal.len() as u32;
            self.personal.push(Personal { conn: slot, pieces: Vec::new(), taken: Vec::new() });
        }
        &mut self.personal[conn.personal as usize]
    }

    /// Puts what the connection's channels hold by now into its list, so that something of its own can follow.
    fn take_pending(&mut self, slot: u32) {
        self.personal(slot);
        let conn = &self.conns[slot as usize];
        let personal = &mut self.personal[conn.personal as usize];
        for sub in &conn.subs {
            let dirty = self.channels[sub.channel as usize].dirty;
            let Some(batch) = self.batches.get(dirty as usize) else { continue };
            let end = batch.frames.len();
            let taken = match personal.taken.iter_mut().find(|taken| taken.0 == dirty) {
                Some(taken) => &mut taken.1,
                None => {
                    personal.taken.push((dirty, 0));
                    let Some(last) = personal.taken.last_mut() else { continue };
                    &mut last.1
                }
            };
            if *taken < end {
                personal.pieces.push(Piece::Shared { batch: dirty, frames: *taken..end });
                *taken = end;
            }
        }
    }

    // --------------------------------------------------------------------------------- the second half of a wake

    /// Whether there is anything to flush.
    pub(super) fn is_dirty(&self) -> bool {
        !self.batches.is_empty() || !self.personal.is_empty()
    }

    /// Writes each connection what it has due, once.
    pub(super) fn flush(&mut self) {
        if !self.is_dirty() {
            return;
        }
        self.flushes = self.flushes.wrapping_add(1);
        self.counters.wakes += 1;
        for batch in &mut self.batches {
            batch.seal();
            self.counters.replaced_states += u64::from(batch.replaced);
        }
        if self.batch_channels.len() > 1 {
            self.list_receivers_of_several();
        }
        self.write_shared();
        self.write_personal();
        for at in std::mem::take(&mut self.batch_channels) {
            if let Some(channel) = self.channels.get_mut(at as usize) {
                channel.dirty = NONE;
            }
        }
        for mut batch in self.batches.drain(..) {
            batch.frames.clear();
            if self.spare.len() < SPARE_LISTS && batch.frames.capacity() <= SPARE_FRAMES {
                self.spare.push(batch.frames);
            }
        }
        for (slot, doom) in std::mem::take(&mut self.doomed) {
            match doom {
                Doom::Broken => self.remove(slot, ABNORMAL),
                Doom::Slow => self.close_slow(slot),
            }
        }
    }

    /// Gives a list to each connection that receives more than one of the batches.
    fn list_receivers_of_several(&mut self) {
        for at in 0..self.batch_channels.len() {
            let channel = self.batch_channels[at];
            if channel == NONE {
                continue;
            }
            for place in 0..self.channels[channel as usize].members.len() {
                let slot = self.channels[channel as usize].members[place];
                let conn = &mut self.conns[slot as usize];
                if conn.personal != NONE {
                    continue;
                }
                if conn.flush == self.flushes {
                    self.personal(slot);
                } else {
                    conn.flush = self.flushes;
                }
            }
        }
    }

    fn write_shared(&mut self) {
        for (batch, &channel) in self.batches.iter().zip(&self.batch_channels) {
            let Some(channel) = self.channels.get(channel as usize) else { continue };
            for &slot in &channel.members {
                let conn = &mut self.conns[slot as usize];
                if conn.personal != NONE {
                    continue;
                }
                if let Err(doom) = conn.write_batch(batch, self.max_backlog, &mut self.counters) {
                    self.doomed.push((slot, doom));
                }
            }
        }
    }

    fn write_personal(&mut self) {
        // What is dropped meanwhile is dropped after the flush, so the list does not grow.
        for at in 0..self.personal.len() {
            let slot = self.personal[at].conn;
            if slot != NONE && self.conns[slot as usize].phase != Phase::Closing {
                self.take_pending(slot);
            }
        }
        for personal in std::mem::take(&mut self.personal) {
            let Some(conn) = self.conns.get_mut(personal.conn as usize) else { continue };
            conn.personal = NONE;
            let had_backlog = conn.backlog.is_some();
            let backlog = conn.backlog.get_or_insert_default();
            let mut dropped = 0;
            for piece in personal.pieces {
                match piece {
                    Piece::Shared { batch, frames } => {
                        let batch = &self.batches[batch as usize];
                        for frame in &batch.frames[frames.clone()] {
                            self.counters.frames_out[frame.lane as usize] +=
                                u64::from(!frame.bytes.is_empty());
                        }
                        dropped += backlog.push_batch(batch, frames, !had_backlog);
                    }
                    Piece::Own { lane: Lane::Signal, .. } if had_backlog => dropped += 1,
                    Piece::Own { bytes, lane, key } => {
                        self.counters.frames_out[lane as usize] += 1;
                        backlog.push(bytes, lane, PERSONAL, key);
                    }
                }
            }
            self.counters.dropped_signals += u64::from(dropped);
            let result = if had_backlog {
                conn.check_backlog(self.max_backlog)
            } else {
                conn.write_backlog(self.max_backlog, &mut self.counters)
            };
            if let Err(doom) = result {
                self.doomed.push((personal.conn, doom));
            }
        }
    }

    /// The socket has room again.
    pub(super) fn writable(&mut self, slot: u32) {
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        if conn.backlog.is_none() {
            return;
        }
        match conn.write_backlog(self.max_backlog, &mut self.counters) {
            Ok(()) => {}
            Err(Doom::Broken) => self.remove(slot, ABNORMAL),
            Err(Doom::Slow) => self.close_slow(slot),
        }
    }
}

/// Lists of frames that are kept for the next wake, and how long one of them may be: some kilobytes altogether.
const SPARE_LISTS: usize = 64;
const SPARE_FRAMES: usize = 256;

impl Conn {
    /// One system call for all of the batch; what the socket does not take waits.
    fn write_batch(
        &mut self,
        batch: &Batch,
        max_backlog: usize,
        counters: &mut Counters,
    ) -> Result<(), Doom> {
        counters.count_frames(&batch.lanes);
        if let Some(backlog) = &mut self.backlog {
            let dropped = backlog.push_batch(batch, 0..batch.frames.len(), false);
            counters.dropped_signals += u64::from(dropped);
            return self.check_backlog(max_backlog);
        }
        let taken = loop {
            match self.stream.write(&batch.bytes) {
                Ok(taken) => break taken,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break 0,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Doom::Broken),
            }
        };
        counters.writes += 1;
        counters.bytes_out += taken as u64;
        if taken == batch.bytes.len() {
            return Ok(());
        }
        let backlog = self.backlog.get_or_insert_default();
        counters.dropped_signals += u64::from(backlog.push_rest(batch, taken));
        self.check_backlog(max_backlog)
    }

    fn write_backlog(&mut self, max_backlog: usize, counters: &mut Counters) -> Result<(), Doom> {
        let Some(backlog) = &mut self.backlog else { return Ok(()) };
        let written = backlog.write_to(&mut self.stream).map_err(|_| Doom::Broken)?;
        counters.writes += u64::from(written.writes);
        counters.bytes_out += written.bytes as u64;
        counters.dropped_signals += u64::from(backlog.drop_signals());
        if !backlog.is_empty() {
            return self.check_backlog(max_backlog);
        }
        self.backlog = None;
        if self.phase == Phase::Closing && !self.shut {
            self.shut = true;
            self.stream.shutdown(Shutdown::Write).map_err(|_| Doom::Broken)?;
        }
        Ok(())
    }

    fn check_backlog(&mut self, max: usize) -> Result<(), Doom> {
        let Some(backlog) = &self.backlog else { return Ok(()) };
        let shared = backlog.bytes(Lane::Log) + backlog.bytes(Lane::State);
        let fits =
            shared <= max && shared + backlog.bytes(Lane::Control) <= max.saturating_mul(ANSWERS_TO_LOG);
        if fits || self.phase == Phase::Closing { Ok(()) } else { Err(Doom::Slow) }
    }
}
