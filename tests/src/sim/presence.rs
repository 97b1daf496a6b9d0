//! Who is shown in a room, held against who is there: after every step, and not only when all is quiet.
//!
//! Somebody is *there* while their client is connected and has the room Active. Leases, the reading of them and the time
//! that faults take lie between that and what others see; after so long as all of these take together, no ghost may be
//! live, and nobody may be missing.

use std::collections::BTreeMap;

use enfilade_core::client::{ConnectionState, Synced};
use enfilade_core::{RoomId, Tier, limits, v1};

use super::world::World;

/// Until others know: a lease, the interval at which leases are read and renewed, clocks that differ by eight seconds,
/// and frames on their way.
const KNOWN: u64 = limits::LEASE + limits::LEASE / 3 + 10_000;
/// Until who is gone is shown no more: the time in which they are stale as well, and another reading.
const GONE: u64 = KNOWN + limits::LEASE_GRACE + limits::LEASE / 3;
/// The longest that a node, its store and a connection may be silent together, each for as long as faults last.
const SILENT: u64 = 100_000;

/// Since when and until when clients were where.
#[derive(Debug, Default)]
pub(super) struct Sightings {
    /// Since when a client is in a room, connected and up to date.
    there: BTreeMap<(usize, RoomId), u64>,
    /// When a user was last in a room with any of their clients.
    left: BTreeMap<(RoomId, String), u64>,
    /// Until when something was at work that delays what nodes know of each other.
    pub(super) unrest: u64,
    /// Until when frames were lost or overtaken.
    pub(super) disturbed: u64,
}

impl World {
    /// Notes where a client is, as of its last input.
    pub(super) fn look_where(&mut self, client: usize) {
        let now = self.now;
        if self.is_disturbed {
            (self.sightings.unrest, self.sightings.disturbed) = (now, now);
        }
        let host = &self.clients[client];
        let is_online = host.client.connection().state == ConnectionState::Online && host.paused.is_none();
        for room in &self.rooms {
            let view = host.client.room(room);
            let is_there = is_online
                && view.is_some_and(|view| (view.tier(), view.synced()) == (Tier::Active, Synced::Ready));
            let key = (client, room.clone());
            if is_there {
                self.sightings.there.entry(key).or_insert(now);
            } else if self.sightings.there.remove(&key).is_some() {
                self.sightings.left.insert((room.clone(), host.user.clone()), now);
            }
        }
    }

    /// From here on it counts anew how long a client is where it is.
    pub(super) fn lose_sight(&mut self, client: usize) {
        let now = self.now;
        let user = self.clients[client].user.clone();
        let (gone, there) =
            std::mem::take(&mut self.sightings.there).into_iter().partition(|((of, _), _)| *of == client);
        self.sightings.there = there;
        let gone: BTreeMap<(usize, RoomId), u64> = gone;
        self.sightings.left.extend(gone.into_keys().map(|(_, room)| ((room, user.clone()), now)));
    }

    /// Something is at work until then that delays what nodes know.
    pub(super) fn unrest(&mut self, until: u64) {
        self.sightings.unrest = self.sightings.unrest.max(until);
    }
}

/// After each input that a client has handled, and after each stretch of time.
pub(super) fn check(world: &World, client: usize) -> Result<(), String> {
    world.rooms.iter().try_for_each(|room| check_room(world, client, room))
}

/// Whether a client of this user has the room Active on a connection, be it that the answer has not come yet: its node
/// may have told the others before.
fn is_arriving(world: &World, user: &str, room: &RoomId) -> bool {
    world.clients.iter().any(|host| {
        let is_active = host.client.room(room).is_some_and(|view| view.tier() == Tier::Active);
        host.user == user && host.link.is_some() && host.paused.is_none() && is_active
    })
}

fn check_room(world: &World, client: usize, room: &RoomId) -> Result<(), String> {
    let sightings = &world.sightings;
    let host = &world.clients[client];
    let Some(ready_since) = sightings.there.get(&(client, room.clone())).copied() else { return Ok(()) };
    let Some(view) = host.client.room(room) else { return Ok(()) };
    if host.paused.is_some() || world.head(room).seq == 0 || host.link.is_none() {
        return Ok(());
    }
    let who = &host.user;
    let whole_since = sightings.disturbed.max(ready_since);
    let quiet_since = sightings.unrest.max(whole_since);
    // Since when each user is there, by the client that is there for longest.
    let mut there: BTreeMap<&str, u64> = BTreeMap::new();
    for ((other, _), since) in sightings.there.iter().filter(|((_, of), _)| of == room) {
        let known = there.entry(&world.clients[*other].user).or_insert(*since);
        *known = (*known).min(*since);
    }
    let shown: BTreeMap<&str, v1::Liveness> =
        view.users().map(|user| (user.user.as_str(), user.liveness())).collect();
    for (user, liveness) in &shown {
        if there.contains_key(user) || is_arriving(world, user, room) {
            continue;
        }
        let left = sightings.left.get(&(room.clone(), (*user).to_owned())).copied().unwrap_or(0);
        let away = world.now.saturating_sub(left.max(quiet_since));
        if *liveness == v1::Liveness::Live && away > KNOWN {
            return Err(format!("{who} sees {user} live in {room}, who is away for {away} ms"));
        }
        if away > GONE {
            return Err(format!("{who} still sees {user} in {room}, who is away for {away} ms"));
        }
    }
    for (user, since) in there {
        let here = world.now.saturating_sub(since.max(quiet_since));
        if here > KNOWN && shown.get(user) != Some(&v1::Liveness::Live) {
            let as_what = shown.get(user);
            return Err(format!("{who} sees {user} as {as_what:?} in {room}, who is there for {here} ms"));
        }
        // Who is deaf shows others as stale, and never as gone.
        let known = world.now.saturating_sub(since.max(whole_since));
        if known > SILENT && !shown.contains_key(user) {
            return Err(format!("{who} does not see {user} in {room}, who is there for {known} ms"));
        }
    }
    Ok(())
}
