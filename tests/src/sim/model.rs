//! The reference: what the logs mean, computed the slow and obvious way beside the core's own fold.

use std::collections::{BTreeMap, BTreeSet};

use enfilade_core::op::Body;
use enfilade_core::{ClientId, Code, Entry, OpId, RoomId, RoomState, UserId, hash53, v1};
use prost::Message as _;

use super::store::{Room, Store};

/// A message, as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub id: OpId,
    pub author: String,
    pub text: String,
    /// What it was changed to later, if it was; nothing where it was deleted.
    pub edits: Vec<String>,
}

impl Message {
    /// Whether this is, or was, its text. Which one it is at a position, the digest tells.
    pub fn says(&self, text: &str) -> bool {
        self.text == text || self.edits.iter().any(|edit| edit == text)
    }
}

/// What each log means, of every epoch that it has had.
#[derive(Debug, Default)]
pub struct Reference {
    logs: BTreeMap<(RoomId, u64), Log>,
}

/// One incarnation of a room's log.
#[derive(Debug)]
pub struct Log {
    /// All of them, from the first.
    pub entries: Vec<Entry>,
    /// All of them, by ordinal from 1.
    pub messages: Vec<Message>,
    /// Who belongs to the room.
    pub members: BTreeSet<String>,
    /// What the core's fold says after the last entry.
    pub state: RoomState,
    places: BTreeMap<OpId, u64>,
    /// By seq, from 0.
    digests: Vec<u64>,
    last_counters: BTreeMap<ClientId, u64>,
    /// In an inbox: how far which room is read.
    read: BTreeMap<String, u64>,
    /// Whom which message mentions: members, and not its author.
    mentions: Vec<(u64, String)>,
}

impl Reference {
    /// Folds what a log has got, and returns the new entries.
    ///
    /// # Errors
    /// What the log must never hold.
    pub(super) fn follow(&mut self, id: &RoomId, room: &Room) -> Result<&[Entry], String> {
        let log = self.logs.entry((id.clone(), room.epoch)).or_insert_with(|| Log::new(id));
        let known = log.entries.len();
        for bytes in room.log.iter().skip(known) {
            let entry = Entry::decode(bytes).map_err(|code| format!("{id} holds nonsense: {code}"))?;
            log.take(id, entry)?;
        }
        Ok(&log.entries[known..])
    }

    /// The log that a room had, or has, under this epoch.
    pub fn log(&self, room: &RoomId, epoch: u64) -> Option<&Log> {
        self.logs.get(&(room.clone(), epoch))
    }

    /// The logs that a room has had, under all epochs.
    pub fn logs(&self, room: &RoomId) -> impl Iterator<Item = &Log> {
        self.logs.range((room.clone(), 0)..=(room.clone(), u64::MAX)).map(|(_, log)| log)
    }

    /// The log that a room has now.
    pub fn current(&self, store: &Store, room: &RoomId) -> Option<&Log> {
        self.log(room, store.room(room)?.epoch)
    }

    /// Whether the operation was ever sequenced, be it in a log that is no more.
    pub fn holds(&self, room: &RoomId, op_id: OpId) -> bool {
        self.logs(room).any(|log| log.places.contains_key(&op_id))
    }

    /// The ordinal up to which a user has read a room.
    pub fn read_up_to(&self, store: &Store, user: &str, room: &RoomId) -> u64 {
        let inbox = UserId::new(user).map(|user| RoomId::inbox(&user)).ok();
        let log = inbox.and_then(|inbox| self.current(store, &inbox));
        log.and_then(|log| log.read.get(room.as_str()).copied()).unwrap_or(0)
    }

    /// How many messages beyond that mention the user, who was a member when they were posted.
    pub fn mentions(&self, store: &Store, user: &str, room: &RoomId) -> usize {
        let read = self.read_up_to(store, user, room);
        let mentions = self.current(store, room).map(|log| log.mentions.as_slice()).unwrap_or_default();
        mentions.iter().filter(|(ordinal, mentioned)| mentioned == user && *ordinal > read).count()
    }
}

impl Log {
    fn new(id: &RoomId) -> Log {
        let state = RoomState::replica(id.clone());
        Log {
            entries: Vec::new(),
            messages: Vec::new(),
            members: BTreeSet::new(),
            places: BTreeMap::new(),
            digests: vec![state.digest().value()],
            state,
            last_counters: BTreeMap::new(),
            read: BTreeMap::new(),
            mentions: Vec::new(),
        }
    }

    /// The digest of the room's state after this many entries.
    pub fn digest(&self, seq: u64) -> Option<u64> {
        self.digests.get(seq as usize).copied()
    }

    /// Where an operation is.
    pub fn place(&self, op_id: OpId) -> Option<u64> {
        self.places.get(&op_id).copied()
    }

    /// Where an operation is, in its own words or, where it holds over another's, in the server's, under the id that
    /// stands for it.
    pub fn place_in_any_words(&self, op_id: OpId) -> Option<u64> {
        let client = ClientId(hash53(&op_id.wire().encode_to_vec(), 1).max(1));
        self.place(op_id).or_else(|| self.place(OpId { client, counter: 1 }))
    }

    fn take(&mut self, id: &RoomId, entry: Entry) -> Result<(), String> {
        if entry.seq != self.entries.len() as u64 + 1 {
            return Err(format!("{id} has seq {} in place {}", entry.seq, self.entries.len() + 1));
        }
        if self.entries.last().is_some_and(|last| last.at > entry.at) {
            return Err(format!("time runs backwards in {id} at {}", entry.seq));
        }
        if !entry.author.is_empty() {
            if self.places.insert(entry.op_id, entry.seq).is_some() {
                return Err(format!("{id} has operation {} twice", entry.op_id));
            }
            let last = self.last_counters.insert(entry.op_id.client, entry.op_id.counter).unwrap_or(0);
            if last >= entry.op_id.counter {
                return Err(format!("{id} has {} after {last} of the same client", entry.op_id));
            }
        }
        self.interpret(&entry);
        let folded: Result<_, Code> = self.state.apply(&entry);
        folded.map_err(|code| format!("{id} can't be folded at {}: {code}", entry.seq))?;
        self.digests.push(self.state.digest().value());
        self.entries.push(entry);
        Ok(())
    }

    fn interpret(&mut self, entry: &Entry) {
        match &entry.body {
            Some(Body::CreateRoom(_) | Body::Join(_)) => {
                self.members.insert(entry.author.clone());
            }
            Some(Body::Leave(_)) => {
                self.members.remove(&entry.author);
            }
            Some(Body::PostMessage(post)) => {
                let (id, author) = (entry.op_id, entry.author.clone());
                self.messages.push(Message { id, author, text: post.text.clone(), edits: Vec::new() });
                let mut named: BTreeSet<&String> = post.mentions.iter().collect();
                named.retain(|user| **user != entry.author && self.members.contains(*user));
                let ordinal = self.messages.len() as u64;
                self.mentions.extend(named.into_iter().map(|user| (ordinal, user.clone())));
            }
            Some(Body::Kick(v1::Kick { user, .. }) | Body::Ban(v1::Ban { user, lifted: false, .. })) => {
                self.members.remove(user);
            }
            Some(Body::EditMessage(edit)) => self.edit(edit.message_id.as_ref(), &edit.text),
            Some(Body::DeleteMessage(deletion)) => self.edit(deletion.message_id.as_ref(), ""),
            Some(Body::SetReadMarker(marker)) => {
                let read = self.read.entry(marker.room_id.clone()).or_insert(0);
                *read = marker.ordinal.max(*read);
            }
            _ => {}
        }
    }

    fn edit(&mut self, message: Option<&v1::OpId>, text: &str) {
        let Ok(id) = OpId::parse(message) else { return };
        if let Some(message) = self.messages.iter_mut().rev().find(|message| message.id == id) {
            message.edits.push(text.to_owned());
        }
    }
}
