//! Follows the logs of all rooms and publishes their entries: one task a shard, and one that hands out the work.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use enfilade_core::RoomId;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::owners::{CLAIM_EVERY, Claims};
use super::{BATCH_MAX, Gate, Outlet};
use crate::health::Meter;
use crate::store::{Follower, Limits, SharedStore, StoreError};

mod batch;
mod shard;
#[cfg(test)]
mod tests;

/// How often the whole worklist is read, beside the hints: what another node left behind waits no longer than that.
const SCAN_EVERY: Duration = Duration::from_secs(5);
/// Rooms that wait for a shard's task in memory; further ones are found on the worklist later.
const DIRTY: usize = 65_536;
/// Where nodes claim shards.
const CLAIMS: &str = "server:events";

/// Bounds of publishing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Records of one transaction, at most [`BATCH_MAX`].
    pub batch_records: usize,
    /// Bytes of one transaction; a room's first record is always taken.
    pub batch_bytes: usize,
}

impl Default for Options {
    fn default() -> Options {
        // A transaction costs some 100 ms whatever it holds, so that one holds what a busy second brings.
        Options { batch_records: 5_000, batch_bytes: 8 * 1024 * 1024 }
    }
}

/// Everything that a node needs to publish.
pub struct Publisher {
    store: SharedStore,
    outlet: Arc<dyn Outlet>,
    node: String,
    options: Options,
    gate: Arc<Gate>,
    health: Meter,
    shards: Vec<Shard>,
}

/// What a shard's task is told.
#[derive(Default)]
struct Shard {
    is_owned: AtomicBool,
    dirty: Mutex<Dirty>,
    wake: Notify,
    /// Entries that wait, as far as is known.
    waiting: AtomicU64,
}

/// Rooms that probably have something to publish, in the order in which they were named.
#[derive(Default)]
struct Dirty {
    order: VecDeque<RoomId>,
    known: HashSet<RoomId>,
}

/// What a node leaves for the others.
#[derive(Default, Serialize, Deserialize)]
struct Note {
    /// Entries that wait in its shards.
    waiting: u64,
}

impl Publisher {
    /// Nothing happens before [`run`](Publisher::run).
    pub fn new(
        store: SharedStore,
        outlet: Arc<dyn Outlet>,
        node: String,
        options: Options,
        gate: Arc<Gate>,
        health: Meter,
    ) -> Publisher {
        let options = Options { batch_records: options.batch_records.clamp(1, BATCH_MAX), ..options };
        let shards = (0..outlet.shards()).map(|_| Shard::default()).collect();
        Publisher { store, outlet, node, options, gate, health, shards }
    }

    /// Publishes until `stopping` says so; then what is known to wait goes out, as far as it goes at once.
    pub async fn run(self, mut stopping: watch::Receiver<bool>) {
        let claims = match Claims::new(self.store.clone(), CLAIMS, self.node.clone()) {
            Ok(claims) => claims,
            Err(error) => return tracing::error!(%error, "shards of events can't be claimed"),
        };
        let publisher = Arc::new(self);
        let mut tasks = JoinSet::new();
        for shard in 0..publisher.outlet.shards() {
            tasks.spawn(publisher.clone().run_shard(shard, stopping.clone()));
        }
        tokio::select! {
            () = publisher.hand_out(&claims) => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
        // The last entries before the stop.
        publisher.scan().await;
        publisher.shards.iter().for_each(|shard| shard.wake.notify_one());
        while tasks.join_next().await.is_some() {}
        claims.leave().await;
    }

    /// Finds rooms with work, and the shards that are this node's, for ever.
    async fn hand_out(&self, claims: &Claims) {
        let mut hints = self.store.watch();
        let mut renewals = tokio::time::interval(CLAIM_EVERY);
        let mut scans = tokio::time::interval(SCAN_EVERY);
        for interval in [&mut renewals, &mut scans] {
            interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        }
        self.claim(claims).await;
        loop {
            tokio::select! {
                _ = renewals.tick() => self.claim(claims).await,
                _ = scans.tick() => self.scan().await,
                hint = hints.recv() => match hint {
                    Ok(hint) => self.mark(hint.room),
                    Err(RecvError::Lagged(_)) => scans.reset_immediately(),
                    // The store is closed, and with it everything is over soon.
                    Err(RecvError::Closed) => return,
                },
            }
        }
    }

    /// The room has probably something to publish.
    fn mark(&self, room: RoomId) {
        let shard = self.shard(self.outlet.shard_of(&room));
        if shard.is_owned.load(Ordering::Relaxed) && shard.push(room) {
            shard.wake.notify_one();
        }
    }

    /// Reads the whole worklist, page by page.
    async fn scan(&self) {
        let mut after = None;
        loop {
            let page = self.store.pending(Follower::Events, after.as_ref(), Limits::PAGE_ROOMS).await;
            let Ok(page) = page.inspect_err(|error| self.store_failed(error)) else { return };
            after = page.last().cloned();
            let is_last = page.len() < Limits::PAGE_ROOMS;
            page.into_iter().for_each(|room| self.mark(room));
            if is_last {
                return;
            }
        }
    }

    /// Says that this node lives, and finds out which shards are its own.
    async fn claim(&self, claims: &Claims) {
        let own: u64 = self.shards.iter().map(|shard| shard.waiting.load(Ordering::Relaxed)).sum();
        let note = serde_json::to_vec(&Note { waiting: own }).unwrap_or_default();
        // Shards stay whose they are while the store does not answer: nobody else can take them either.
        let others = claims.renew(note.into()).await;
        let Ok(others) = others.inspect_err(|error| self.store_failed(error)) else { return };
        let waiting: u64 = others
            .iter()
            .map(|lease| serde_json::from_slice::<Note>(&lease.note).unwrap_or_default().waiting)
            .sum();
        self.gate.set_waiting(own + waiting);
        let mut gained = false;
        for number in 0..self.outlet.shards() {
            let is_ours = claims.is_ours(number, &others);
            let shard = self.shard(number);
            let was_ours = shard.is_owned.swap(is_ours, Ordering::Relaxed);
            if was_ours != is_ours {
                tracing::debug!(shard = number, is_ours, "a shard of events has changed hands");
                shard.wake.notify_one();
            }
            gained |= is_ours && !was_ours;
        }
        if gained {
            self.scan().await;
        }
    }

    fn store_failed(&self, error: &StoreError) {
        tracing::warn!(%error, "the store can't say what is to be published; it is asked again");
    }

    fn shard(&self, number: u32) -> &Shard {
        // `shard_of` stays below `shards`, by contract.
        &self.shards[number as usize % self.shards.len()]
    }
}

impl Shard {
    /// Whether the room was not known to have work. When too many wait already it is left to the worklist.
    fn push(&self, room: RoomId) -> bool {
        let mut dirty = self.dirty.lock().unwrap_or_else(PoisonError::into_inner);
        if dirty.order.len() >= DIRTY || !dirty.known.insert(room.clone()) {
            return false;
        }
        dirty.order.push_back(room);
        true
    }

    /// The room has something to publish, which its own task finds.
    fn mark(&self, room: RoomId) {
        self.push(room);
    }

    fn pop(&self, limit: usize) -> Vec<RoomId> {
        let mut dirty = self.dirty.lock().unwrap_or_else(PoisonError::into_inner);
        let count = limit.min(dirty.order.len());
        let rooms: Vec<RoomId> = dirty.order.drain(..count).collect();
        for room in &rooms {
            dirty.known.remove(room);
        }
        rooms
    }

    fn is_clean(&self) -> bool {
        self.dirty.lock().unwrap_or_else(PoisonError::into_inner).order.is_empty()
    }

    fn clear(&self) {
        *self.dirty.lock().unwrap_or_else(PoisonError::into_inner) = Dirty::default();
    }
}
