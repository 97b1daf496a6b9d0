//! What is not remembered: cursors, typing, notes.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Client, Event, RoomChange};
use crate::signal::{Clock, Jitter};
use crate::sorted::SortedMap;
use crate::v1::SignalClass;
use crate::{Code, Millis, RoomId, Tier, limits, v1};

/// By which one signal stands for another: sender, kind, key.
type Name = (u64, String, String);

#[derive(Debug, Default)]
pub(super) struct Signals {
    pub(super) clock: Clock,
    rooms: SortedMap<RoomId, RoomSignals>,
    /// The newest of each own (room, kind, key) that has not been sent, and when it may be.
    outgoing: SortedMap<(RoomId, String, String), v1::Signal>,
    quiet_until: Millis,
    counters: SignalCounters,
}

/// What became of signals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalCounters {
    /// Timed signals that came too late to be played.
    pub late: u64,
    /// Signals that found no place: more came than anybody could show or play.
    pub overflowing: u64,
    /// Own signals that a newer one replaced before they were sent.
    pub coalesced: u64,
}

#[derive(Debug, Default)]
struct RoomSignals {
    jitter: Jitter,
    /// Ascending by when they are played, then in the order in which they came.
    queue: Vec<(Millis, v1::SignalItem)>,
    /// What is shown, and until when.
    shown: SortedMap<Name, (Millis, v1::SignalItem)>,
    /// What was begun and has not ended, with its user.
    sounding: SortedMap<Name, String>,
}

impl Client {
    /// Sends a signal to everybody who has the room open. Latest ones may wait for [`limits::SIGNAL_INTERVAL`], in which
    /// a newer one of the same kind and key takes their place; timed ones and releases are stamped with the server's
    /// time and go at once. Returns whether it was taken: there is no use in a signal that is sent later, so without a
    /// connection, or in a room that is not Active, it is not.
    ///
    /// # Errors
    /// [`Code::InvalidRequest`] when kind, key or payload are longer than [`limits`] allows.
    pub fn signal(
        &mut self,
        room: &RoomId,
        class: SignalClass,
        kind: &str,
        key: &str,
        payload: &[u8],
        now: Millis,
    ) -> Result<bool, Code> {
        let now = self.tick(now);
        let fits = kind.len() <= limits::SIGNAL_KIND_BYTES
            && key.len() <= limits::SIGNAL_KEY_BYTES
            && payload.len() <= limits::SIGNAL_BYTES;
        if !fits {
            return Err(Code::InvalidRequest);
        }
        if !self.link.is_online() || !self.is_active(room) {
            return Ok(false);
        }
        let mut signal = v1::Signal {
            room_id: room.as_str().into(),
            kind: kind.into(),
            payload: payload.into(),
            class: class.into(),
            key: key.into(),
            at: 0,
        };
        if class == SignalClass::Latest {
            let name = (room.clone(), signal.kind.clone(), signal.key.clone());
            if self.signals.outgoing.insert(name, signal).is_some() {
                self.signals.counters.coalesced += 1;
            }
            self.send_signals(now);
        } else {
            self.signals.clock.need(now);
            signal.at = self.signals.clock.server(now).0;
            self.send(v1::client_frame::Body::Signal(signal));
        }
        Ok(true)
    }

    /// The latest signals of others that count: at most one of each sender, kind and key, ascending by these.
    pub fn signals(&self, room: &RoomId) -> impl Iterator<Item = &v1::SignalItem> {
        self.signals.rooms.get(room).into_iter().flat_map(|room| room.shown.values()).map(|(_, item)| item)
    }

    /// Milliseconds between the time of a timed signal in this room and its playing.
    pub fn signal_delay(&self, room: &RoomId) -> u64 {
        self.signals.rooms.get(room).map_or_else(|| Jitter::default().delay(), |room| room.jitter.delay())
    }

    /// What became of signals since the start.
    pub fn signal_counters(&self) -> SignalCounters {
        self.signals.counters
    }

    pub(super) fn take_signals(&mut self, signals: v1::Signals, now: Millis) {
        let Some(id) = self.resolve(&signals.room_id, signals.alias) else { return };
        if !self.is_active(&id) {
            return;
        }
        for item in signals.signals {
            // One's own are known here already.
            if item.client != self.client_id.0 {
                self.take_signal(&id, item, now);
            }
        }
    }

    pub(super) fn signal_deadline(&self) -> Option<Millis> {
        let sending = (!self.signals.outgoing.is_empty()).then_some(self.signals.quiet_until);
        let queued = self.signals.rooms.values().filter_map(|room| room.queue.first()).map(|(at, _)| *at);
        let shown = self.signals.rooms.values().flat_map(|room| room.shown.values()).map(|(until, _)| *until);
        queued.chain(shown).chain(sending).chain(self.signals.clock.deadline()).min()
    }

    pub(super) fn signal_timeouts(&mut self, now: Millis) {
        self.send_signals(now);
        if let Some(sent) = self.signals.clock.ask(now) {
            self.send(v1::client_frame::Body::TimeRequest(v1::TimeRequest { sent }));
        }
        let outbox = &mut self.outbox;
        self.signals.rooms.retain(|id, room| {
            let due = room.queue.iter().take_while(|(at, _)| *at <= now).count();
            for (_, signal) in room.queue.drain(..due) {
                outbox.event(Event::Signal { room: id.clone(), signal: Box::new(signal) });
            }
            let before = room.shown.len();
            room.shown.retain(|_, (until, _)| *until > now);
            if room.shown.len() != before {
                outbox.room(id, RoomChange::Signals);
            }
            true
        });
    }

    /// Ends what sounds and clears what is shown: nobody will say when it does. Of all rooms, or of one.
    pub(super) fn end_signals(&mut self, of: Option<&RoomId>) {
        let ended = |id: &RoomId| of.is_none_or(|of| of == id);
        self.signals.outgoing.retain(|(id, ..), _| !ended(id));
        let outbox = &mut self.outbox;
        self.signals.rooms.retain(|id, room| {
            if !ended(id) {
                return true;
            }
            if !room.shown.is_empty() {
                outbox.room(id, RoomChange::Signals);
            }
            let class = SignalClass::Release;
            let sounding = core::mem::take(&mut room.sounding).into_iter();
            let ends = sounding.map(|((client, kind, key), user)| v1::SignalItem {
                user,
                client,
                kind,
                key,
                class: class.into(),
                ..Default::default()
            });
            let waiting = room.queue.drain(..).map(|(_, signal)| signal);
            for signal in waiting.filter(|signal| signal.class() == class).chain(ends) {
                outbox.event(Event::Signal { room: id.clone(), signal: Box::new(signal) });
            }
            false
        });
    }

    fn is_active(&self, id: &RoomId) -> bool {
        self.rooms.get(id).is_some_and(|room| room.tier() == Tier::Active)
    }

    fn send_signals(&mut self, now: Millis) {
        if self.signals.outgoing.is_empty() || self.signals.quiet_until > now {
            return;
        }
        self.signals.quiet_until = now + limits::SIGNAL_INTERVAL;
        for signal in core::mem::take(&mut self.signals.outgoing).into_values() {
            self.send(v1::client_frame::Body::Signal(signal));
        }
    }

    fn take_signal(&mut self, id: &RoomId, item: v1::SignalItem, now: Millis) {
        let class = item.class();
        let name = (item.client, item.kind.clone(), item.key.clone());
        let clock = &mut self.signals.clock;
        let counters = &mut self.signals.counters;
        let room = self.signals.rooms.entry(id.clone()).or_default();
        if class == SignalClass::Latest {
            if item.payload.is_empty() {
                room.shown.remove(&name);
            } else if room.shown.len() < limits::LATEST_SIGNALS || room.shown.contains_key(&name) {
                room.shown.insert(name, (now + limits::SIGNAL_LASTS, item));
            } else {
                counters.overflowing += 1;
            }
            return self.outbox.room(id, RoomChange::Signals);
        }
        clock.need(now);
        let in_time = room.jitter.arrived(clock.server(now).since(Millis(item.at)));
        let ends = class == SignalClass::Release;
        if !ends && !in_time {
            counters.late += 1;
            return;
        }
        if !ends && room.queue.len() >= limits::TIMED_SIGNALS {
            counters.overflowing += 1;
            return;
        }
        // What was struck before it was let go is played before, whatever the clocks say.
        let is_same =
            |other: &v1::SignalItem| (other.client, &other.kind, &other.key) == (name.0, &name.1, &name.2);
        let begun =
            room.queue.iter().rev().find(|(_, other)| is_same(other)).map_or(Millis(0), |(at, _)| *at);
        let farthest = now + Jitter::default().delay() + limits::SIGNAL_CLOCK_SKEW;
        let at = clock.local(Millis(item.at) + room.jitter.delay()).min(farthest).max(begun).max(now);
        if ends {
            room.sounding.remove(&name);
        } else if room.sounding.len() < limits::TIMED_SIGNALS {
            room.sounding.insert(name, item.user.clone());
        }
        if room.queue.len() >= 2 * limits::TIMED_SIGNALS {
            // Nobody plays so much. An end is not dropped even so.
            counters.overflowing += 1;
            return self.outbox.event(Event::Signal { room: id.clone(), signal: Box::new(item) });
        }
        let place = room.queue.partition_point(|(other, _)| *other <= at);
        room.queue.insert(place, (at, item));
        self.signal_timeouts(now);
    }
}
