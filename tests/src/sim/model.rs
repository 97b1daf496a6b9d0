//! The reference: what the logs mean, computed the slow and obvious way, from the first entry each time.

use std::collections::{BTreeMap, BTreeSet};

use enfilade_core::op::Body;
use enfilade_core::{Entry, OpId, RoomId, RoomState};

use super::store::Store;

/// A message, as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub id: OpId,
    pub author: String,
    pub text: String,
}

/// What each log means, and what its fold's digest is at each seq.
#[derive(Debug, Default)]
pub struct Reference {
    folds: BTreeMap<RoomId, Fold>,
}

#[derive(Debug)]
struct Fold {
    state: RoomState,
    /// By seq, from 0.
    digests: Vec<u64>,
}

impl Reference {
    /// Folds what the logs have got.
    pub(super) fn follow(&mut self, store: &Store) {
        for (id, room) in store.rooms() {
            let fold = self.folds.entry(id.clone()).or_insert_with(|| {
                let state = RoomState::replica(id.clone());
                Fold { digests: vec![state.digest().value()], state }
            });
            for bytes in room.log.iter().skip(fold.digests.len() - 1) {
                let entry = Entry::decode(bytes).expect("the store holds entries");
                fold.state.apply(&entry).expect("entries follow each other");
                fold.digests.push(fold.state.digest().value());
            }
        }
    }

    /// The digest of the room's state after this many entries.
    pub fn digest(&self, room: &RoomId, seq: u64) -> Option<u64> {
        self.folds.get(room)?.digests.get(seq as usize).copied()
    }
}

/// All entries of a room.
pub fn entries(store: &Store, room: &RoomId) -> Vec<Entry> {
    let log = store.room(room).map(|room| room.log.as_slice()).unwrap_or_default();
    log.iter().map(|bytes| Entry::decode(bytes).expect("the store holds entries")).collect()
}

/// All messages among these entries, in order.
pub fn messages(entries: &[Entry]) -> Vec<Message> {
    let message = |entry: &Entry| match &entry.body {
        Some(Body::PostMessage(post)) => {
            Some(Message { id: entry.op_id, author: entry.author.clone(), text: post.text.clone() })
        }
        _ => None,
    };
    entries.iter().filter_map(message).collect()
}

/// The ordinal up to which a user has read a room.
pub fn read_up_to(store: &Store, user: &str, room: &RoomId) -> u64 {
    let inbox = RoomId::new(&format!("inbox:{user}")).expect("user ids are short");
    let marker = |entry: &Entry| match &entry.body {
        Some(Body::SetReadMarker(marker)) if marker.room_id == room.as_str() => marker.ordinal,
        _ => 0,
    };
    entries(store, &inbox).iter().map(marker).max().unwrap_or(0)
}

/// Whether the user is a member of the room.
pub fn is_member(store: &Store, user: &str, room: &RoomId) -> bool {
    let membership = |entry: &Entry| match &entry.body {
        Some(Body::CreateRoom(_) | Body::Join(_)) => Some(true),
        Some(Body::Leave(_)) => Some(false),
        _ => None,
    };
    let mut newest_first = entries(store, room).into_iter().rev().filter(|entry| entry.author == user);
    newest_first.find_map(|entry| membership(&entry)).unwrap_or(false)
}

/// How many messages beyond that mention the user, who was a member when they were posted.
pub fn mentions(store: &Store, user: &str, room: &RoomId) -> usize {
    let read = read_up_to(store, user, room);
    let mut members: BTreeSet<String> = BTreeSet::new();
    let (mut ordinal, mut count) = (0, 0);
    for entry in entries(store, room) {
        match &entry.body {
            Some(Body::CreateRoom(_) | Body::Join(_)) => drop(members.insert(entry.author.clone())),
            Some(Body::Leave(_)) => drop(members.remove(&entry.author)),
            Some(Body::PostMessage(post)) => {
                ordinal += 1;
                let named = post.mentions.iter().any(|mentioned| mentioned == user) && entry.author != user;
                if named && members.contains(user) && ordinal > read {
                    count += 1;
                }
            }
            _ => {}
        }
    }
    count
}
