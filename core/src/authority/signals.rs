//! Signals: relayed to those who have the room Active, never logged.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use super::{Authority, ConnId, Lane};
use crate::policy::{self, Actor};
use crate::v1::SignalClass;
use crate::v1::server_frame::Body as Frame;
use crate::{Millis, Tier, limits, v1};

/// What a timed signal began, by kind and key.
type Held = (String, String);

#[derive(Debug, Default)]
pub(super) struct Signals {
    /// The newest of each (connection, kind, key) since the last frame.
    latest: BTreeMap<(ConnId, String, String), v1::SignalItem>,
    /// When they go out; and until when a further one waits.
    due: Option<Millis>,
    quiet_until: Millis,
    /// What each connection began and has not ended: it is ended for a player who drops out.
    held: BTreeMap<ConnId, Player>,
}

#[derive(Debug, Default)]
struct Player {
    user: String,
    client: u64,
    keys: BTreeSet<Held>,
}

impl Signals {
    fn holds(&self, conn: ConnId, signal: &v1::Signal) -> bool {
        let key = (signal.kind.clone(), signal.key.clone());
        self.held.get(&conn).is_some_and(|player| player.keys.contains(&key))
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        self.due
    }
}

impl Authority {
    /// Relays a signal to everybody who has the room Active, the sender's other tabs included.
    ///
    /// Latest ones wait for up to [`limits::SIGNAL_INTERVAL`], so that any number of cursors is one frame. Timed ones
    /// and releases go at once. A release of something that was begun is never dropped: it travels with the log.
    pub fn signal(&mut self, conn: ConnId, actor: &Actor, client: u64, signal: v1::Signal, now: Millis) {
        self.spending.pass(now);
        let class = signal.class();
        // What has begun ends, whatever has become of the room meanwhile.
        let ends = class == SignalClass::Release && self.signals.holds(conn, &signal);
        if !is_within_bounds(&signal)
            || (!ends && (self.must_wait() || !policy::may_signal(&self.confirmed, actor, now)))
        {
            return;
        }
        // A time that can't be is none: a receiver would wait for it.
        let at = if signal.at == 0 || Millis(signal.at).since(now) > limits::SIGNAL_CLOCK_SKEW {
            now.0
        } else {
            signal.at
        };
        let item = v1::SignalItem {
            user: actor.user().into(),
            client,
            class: class.into(),
            kind: signal.kind,
            payload: signal.payload,
            key: signal.key,
            at,
        };
        match class {
            SignalClass::Latest => self.gather_signal(conn, item, now),
            SignalClass::Timed => {
                if self.hold(conn, actor, &item) {
                    self.relay(Lane::Signal, alloc::vec![item]);
                }
            }
            SignalClass::Release => {
                let lane = if self.let_go_of(conn, &item) { Lane::Log } else { Lane::Signal };
                self.relay(lane, alloc::vec![item]);
            }
        }
    }

    /// Sends what has gathered.
    pub(super) fn flush_signals(&mut self, now: Millis) {
        if self.signals.due.take_if(|due| *due <= now).is_none() {
            return;
        }
        self.signals.quiet_until = now + limits::SIGNAL_INTERVAL;
        let mut frame = Vec::new();
        let mut bytes = 0;
        for item in core::mem::take(&mut self.signals.latest).into_values() {
            let size =
                item.user.len() + item.kind.len() + item.key.len() + item.payload.len() + ITEM_OVERHEAD;
            if bytes + size > limits::DELTA_BYTES {
                self.relay(Lane::Signal, core::mem::take(&mut frame));
                bytes = 0;
            }
            bytes += size;
            frame.push(item);
        }
        self.relay(Lane::Signal, frame);
    }

    /// Ends what the connection began: nobody else will.
    pub(super) fn release_held(&mut self, conn: ConnId, now: Millis) {
        self.signals.latest.retain(|(of, ..), _| *of != conn);
        let Some(player) = self.signals.held.remove(&conn) else { return };
        let release = |(kind, key): Held| v1::SignalItem {
            user: player.user.clone(),
            client: player.client,
            class: SignalClass::Release.into(),
            kind,
            key,
            at: now.0,
            payload: Vec::new(),
        };
        let items = player.keys.into_iter().map(release).collect();
        self.relay(Lane::Log, items);
    }

    fn gather_signal(&mut self, conn: ConnId, item: v1::SignalItem, now: Millis) {
        if self.signals.due.is_none() && self.signals.quiet_until <= now {
            self.signals.quiet_until = now + limits::SIGNAL_INTERVAL;
            return self.relay(Lane::Signal, alloc::vec![item]);
        }
        let key = (conn, item.kind.clone(), item.key.clone());
        if self.signals.latest.len() < limits::LATEST_SIGNALS || self.signals.latest.contains_key(&key) {
            let replaced = self.signals.latest.insert(key, item).is_some();
            self.spending.traffic.coalesced += u64::from(replaced);
            let due = self.signals.quiet_until;
            self.signals.due.get_or_insert(due);
        }
    }

    /// Notes what is begun. `false` when the connection holds as much as it may: then it does not begin.
    fn hold(&mut self, conn: ConnId, actor: &Actor, item: &v1::SignalItem) -> bool {
        if item.key.is_empty() {
            return true;
        }
        let player = self.signals.held.entry(conn).or_default();
        player.user = actor.user().into();
        player.client = item.client;
        let held = (item.kind.clone(), item.key.clone());
        if player.keys.len() >= limits::HELD_SIGNALS && !player.keys.contains(&held) {
            return false;
        }
        player.keys.insert(held);
        true
    }

    fn let_go_of(&mut self, conn: ConnId, item: &v1::SignalItem) -> bool {
        let Some(player) = self.signals.held.get_mut(&conn) else { return false };
        let was_held = player.keys.remove(&(item.kind.clone(), item.key.clone()));
        if player.keys.is_empty() {
            self.signals.held.remove(&conn);
        }
        was_held
    }

    fn relay(&mut self, lane: Lane, items: Vec<v1::SignalItem>) {
        if items.is_empty() {
            return;
        }
        let signals = v1::Signals {
            alias: self.config.alias,
            signals: items,
            position: Some(self.confirmed.position().wire()),
            room_id: String::new(),
        };
        self.broadcast(Tier::Active, lane, Frame::Signals(signals));
    }
}

/// What the fields of an item take besides their bytes.
const ITEM_OVERHEAD: usize = 32;

fn is_within_bounds(signal: &v1::Signal) -> bool {
    signal.payload.len() <= limits::SIGNAL_BYTES
        && signal.kind.len() <= limits::SIGNAL_KIND_BYTES
        && signal.key.len() <= limits::SIGNAL_KEY_BYTES
}
