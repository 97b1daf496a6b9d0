//! Who is in a room now: leased, not logged.
//!
//! Each node tells the others whom it holds by one record a room, which lapses unless it is renewed. A lapsed record
//! makes its users *stale*, since perhaps only the observer is deaf; later they are *offline*, and gone from the view.
//! Nobody is gone because nothing was heard: that a record has lapsed long ago, the store has to say; and after a
//! silence of the store, in which nobody could renew, all have time to come back.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use prost::Message as _;

use crate::sorted::SortedMap;
use crate::{Millis, limits, v1};

/// Who is in a room, as a client sees it: connections collapsed per user.
#[derive(Clone, Debug, Default)]
pub struct Presence {
    users: SortedMap<String, v1::PresentUser>,
}

impl Presence {
    /// Takes an update: either the whole list, or what changed in it.
    pub fn apply(&mut self, update: &v1::PresenceUpdate) {
        if update.full {
            self.users.clear();
        }
        for user in &update.users {
            self.users.insert(user.user.clone(), user.clone());
        }
        for gone in &update.gone {
            self.users.remove(gone);
        }
    }

    /// Nothing is heard from now on: whoever was live was so at `since`, and nobody knows better.
    pub(crate) fn deafen(&mut self, since: Millis) {
        for user in self.users.values_mut().filter(|user| user.liveness() == v1::Liveness::Live) {
            user.set_liveness(v1::Liveness::Stale);
            user.since = since.0;
        }
    }

    /// The users, ascending by id.
    pub fn users(&self) -> impl Iterator<Item = &v1::PresentUser> {
        self.users.values()
    }

    /// How many users are named.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether nobody is named.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }
}

/// Who is in a room, as an authority keeps it: its own connections, and the records of other nodes.
#[derive(Debug, Default)]
pub(crate) struct Occupancy {
    here: BTreeMap<String, v1::PresentUser>,
    elsewhere: BTreeMap<String, Lease>,
    shown: BTreeMap<String, v1::PresentUser>,
    changed: BTreeSet<String>,
    /// When the store was last read.
    heard: Millis,
}

/// Milliseconds of silence in which a node that is alive may have lost its lease, because it could not renew it.
const SILENCE: u64 = limits::LEASE + limits::LEASE / 2;

#[derive(Debug)]
struct Lease {
    expires: Millis,
    /// When its users count as offline.
    gone_at: Millis,
    users: BTreeMap<String, v1::PresentUser>,
}

impl Occupancy {
    /// A connection of this user has opened the room on this node.
    pub(crate) fn enter(&mut self, user: &str, name: &str) {
        let present = self.here.entry(user.to_string()).or_default();
        present.user = user.to_string();
        present.name = name.to_string();
        present.connections += 1;
        self.changed.insert(user.to_string());
    }

    /// A connection of this user has left the room on this node.
    pub(crate) fn leave(&mut self, user: &str) {
        if let Some(present) = self.here.get_mut(user) {
            present.connections -= 1;
            if present.connections == 0 {
                self.here.remove(user);
            }
            self.changed.insert(user.to_string());
        }
    }

    /// This node's record for the others: as many users as fit, the first ones by id.
    pub(crate) fn record(&self) -> Vec<u8> {
        /// Tag and length of a repeated field's item.
        const ITEM_OVERHEAD: usize = 4;
        let mut bytes = 0;
        let fits = |user: &&v1::PresentUser| {
            bytes += user.encoded_len() + ITEM_OVERHEAD;
            bytes <= limits::LEASE_BYTES
        };
        let users = self.here.values().take_while(fits).cloned().collect();
        v1::PresenceUpdate { full: true, users, gone: Vec::new() }.encode_to_vec()
    }

    /// The records of other nodes, as the store holds them. One that can't be read counts as empty.
    pub(crate) fn renew(&mut self, records: Vec<(String, Vec<u8>, Millis)>, now: Millis) {
        let was_deaf = now.since(self.heard) > SILENCE;
        for lease in self.elsewhere.values_mut().filter(|_| was_deaf) {
            lease.gone_at = lease.gone_at.max(now + limits::LEASE_GRACE);
        }
        self.heard = now;
        for (node, record, expires) in records {
            let users = v1::PresenceUpdate::decode(&record[..]).unwrap_or_default().users;
            let users: BTreeMap<_, _> = users.into_iter().map(|user| (user.user.clone(), user)).collect();
            self.changed.extend(users.keys().cloned());
            let gone_at = expires + limits::LEASE_GRACE;
            if let Some(old) = self.elsewhere.insert(node, Lease { expires, gone_at, users }) {
                self.changed.extend(old.users.into_keys());
            }
        }
        self.lapse(now);
        self.elsewhere.retain(|_, lease| now <= lease.gone_at);
    }

    /// Takes note of leases that have lapsed, whether or not the store can be read.
    pub(crate) fn lapse(&mut self, now: Millis) {
        for lease in self.elsewhere.values().filter(|lease| now > lease.expires) {
            self.changed.extend(lease.users.keys().cloned());
        }
    }

    /// How many users are here, stale ones included.
    pub(crate) fn count(&self) -> u32 {
        self.shown.len() as u32
    }

    /// Whether something is to be told.
    pub(crate) fn is_dirty(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Whether nobody is here on this node.
    pub(crate) fn is_empty_here(&self) -> bool {
        self.here.is_empty()
    }

    /// What has changed since the last call, at most 100 users at a time; `None` when nothing has.
    pub(crate) fn flush(&mut self, now: Millis) -> Option<v1::PresenceUpdate> {
        let mut update = v1::PresenceUpdate::default();
        while update.users.len() + update.gone.len() < limits::PRESENT_USERS
            && let Some(user) = self.changed.pop_first()
        {
            let present = self.collapse(&user, now);
            if present.as_ref() == self.shown.get(&user) {
                continue;
            }
            match present {
                Some(present) => {
                    update.users.push(present.clone());
                    self.shown.insert(user, present);
                }
                None => {
                    self.shown.remove(&user);
                    update.gone.push(user);
                }
            }
        }
        (update != v1::PresenceUpdate::default()).then_some(update)
    }

    /// The whole list for somebody who comes in, as of the last flush: at most the first 100.
    pub(crate) fn full(&self) -> v1::PresenceUpdate {
        let users = self.shown.values().take(limits::PRESENT_USERS).cloned().collect();
        v1::PresenceUpdate { full: true, users, gone: Vec::new() }
    }

    /// The first users, for a summary.
    pub(crate) fn first(&self) -> Vec<v1::PresentUser> {
        self.shown.values().take(limits::SUMMARY_USERS).cloned().collect()
    }

    /// One user over all nodes: live when any node says so, else stale since the last lease lapsed.
    fn collapse(&self, user: &str, now: Millis) -> Option<v1::PresentUser> {
        let mut present = self.here.get(user).cloned();
        for lease in self.elsewhere.values() {
            let Some(there) = lease.users.get(user) else { continue };
            let liveness = if now > lease.expires { v1::Liveness::Stale } else { v1::Liveness::Live };
            let known = present.get_or_insert_with(|| v1::PresentUser {
                connections: 0,
                liveness: v1::Liveness::Stale.into(),
                since: 0,
                ..there.clone()
            });
            known.connections = known.connections.saturating_add(there.connections);
            if liveness == v1::Liveness::Live {
                known.set_liveness(v1::Liveness::Live);
                known.since = 0;
            } else if known.liveness() == v1::Liveness::Stale {
                known.since = known.since.max(lease.expires.0);
            }
        }
        present
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(users: &[&str]) -> Vec<u8> {
        let mut occupancy = Occupancy::default();
        users.iter().for_each(|user| occupancy.enter(user, user));
        occupancy.record()
    }

    #[test]
    fn two_connections_of_one_user_are_one_user() {
        let mut occupancy = Occupancy::default();
        occupancy.enter("ada", "Ada");
        occupancy.enter("ada", "Ada");
        let update = occupancy.flush(Millis(0)).unwrap();
        assert_eq!((update.users.len(), update.users[0].connections), (1, 2));
        occupancy.leave("ada");
        occupancy.leave("ada");
        assert_eq!(occupancy.flush(Millis(0)).unwrap().gone, ["ada"]);
        assert_eq!(occupancy.count(), 0);
        assert_eq!(occupancy.flush(Millis(0)), None);
    }

    #[test]
    fn users_of_a_silent_node_are_stale_first_and_gone_later() {
        let mut occupancy = Occupancy::default();
        let lease = || alloc::vec![("other".to_string(), record(&["bob"]), Millis(limits::LEASE))];
        occupancy.renew(lease(), Millis(0));
        assert_eq!(occupancy.flush(Millis(0)).unwrap().users[0].liveness(), v1::Liveness::Live);
        occupancy.renew(Vec::new(), Millis(limits::LEASE + 1));
        let stale = occupancy.flush(Millis(limits::LEASE + 1)).unwrap();
        assert_eq!(stale.users[0].liveness(), v1::Liveness::Stale);
        let offline = Millis(limits::LEASE + limits::LEASE_GRACE + 1);
        occupancy.renew(Vec::new(), offline);
        assert_eq!(occupancy.flush(offline).unwrap().gone, ["bob"]);
    }

    #[test]
    fn a_deaf_node_shows_others_as_stale_and_never_as_gone() {
        let mut occupancy = Occupancy::default();
        let record_of = |expires| alloc::vec![("other".to_string(), record(&["bob"]), Millis(expires))];
        occupancy.renew(record_of(limits::LEASE), Millis(0));
        occupancy.flush(Millis(0));
        // The store does not answer for an hour.
        let mut now = Millis(0);
        while now.0 < 3_600_000 {
            now = now + limits::LEASE / 3;
            occupancy.lapse(now);
            occupancy.flush(now);
            assert_eq!(occupancy.count(), 1);
        }
        let shown = occupancy.first();
        assert_eq!((shown[0].liveness(), shown[0].since), (v1::Liveness::Stale, limits::LEASE));
        // It answers again, and the other node has not renewed yet, because it could not either.
        occupancy.renew(Vec::new(), now);
        assert_eq!(occupancy.flush(now), None);
        occupancy.renew(record_of(now.0 + 10_000 + limits::LEASE), now + 10_000);
        let back = occupancy.flush(now + 10_000).unwrap();
        assert_eq!((back.users[0].liveness(), back.users[0].since), (v1::Liveness::Live, 0));
        // One that stays away after that is gone in the end.
        let mut now = now + 10_000;
        for _ in 0..6 {
            now = now + 10_000;
            occupancy.renew(Vec::new(), now);
        }
        now = now + 1;
        occupancy.renew(Vec::new(), now);
        assert_eq!(occupancy.flush(now).unwrap().gone, ["bob"]);
    }

    #[test]
    fn a_user_on_two_nodes_is_live_as_long_as_one_of_them_is() {
        let mut occupancy = Occupancy::default();
        let lease = |node: &str, expires| (node.to_string(), record(&["bob"]), Millis(expires));
        occupancy.renew(alloc::vec![lease("a", 10), lease("b", 20)], Millis(0));
        assert_eq!(occupancy.flush(Millis(0)).unwrap().users[0].connections, 2);
        occupancy.lapse(Millis(15));
        assert_eq!(occupancy.flush(Millis(15)), None);
        occupancy.lapse(Millis(25));
        let stale = occupancy.flush(Millis(25)).unwrap();
        assert_eq!((stale.users[0].liveness(), stale.users[0].since), (v1::Liveness::Stale, 20));
        occupancy.enter("bob", "Bob");
        assert_eq!(occupancy.flush(Millis(26)).unwrap().users[0].liveness(), v1::Liveness::Live);
    }

    #[test]
    fn a_record_stays_within_what_a_lease_may_hold() {
        let mut occupancy = Occupancy::default();
        (0..5_000).for_each(|user| occupancy.enter(&alloc::format!("user-{user}"), &"x".repeat(64)));
        let record = occupancy.record();
        assert!((limits::LEASE_BYTES / 2..=limits::LEASE_BYTES).contains(&record.len()));
    }

    #[test]
    fn a_view_follows_full_lists_and_changes() {
        let mut view = Presence::default();
        let user = |user: &str| v1::PresentUser { user: user.into(), ..Default::default() };
        view.apply(&v1::PresenceUpdate {
            full: true,
            users: alloc::vec![user("a"), user("b")],
            gone: Vec::new(),
        });
        view.apply(&v1::PresenceUpdate {
            full: false,
            users: alloc::vec![user("c")],
            gone: alloc::vec!["a".into()],
        });
        assert_eq!(view.users().map(|user| user.user.as_str()).collect::<Vec<_>>(), ["b", "c"]);
    }
}
