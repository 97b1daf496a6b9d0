//! The rooms that a list shows, in memory: one row a room, as its last entry left it, with who is there now.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use enfilade_core::state::Inbox;
use enfilade_core::{Position, RoomId, limits, v1};
use prost::Message as _;

use crate::store::{RoomStore, StoreError};

/// Tag and length of a row.
const ITEM_OVERHEAD: usize = 6;

/// What a room list shows of every room. Cheap to clone.
///
/// Rows carry a revision that rises with each change on this node, so that a client asks for what has changed since
/// and the answer costs what changed, not what there is.
#[derive(Clone)]
pub struct Directory {
    rows: Arc<RwLock<Rows>>,
}

struct Rows {
    by_room: BTreeMap<RoomId, Row>,
    by_revision: BTreeMap<u64, RoomId>,
    public: BTreeSet<RoomId>,
    /// Public rooms by name; of equal names the oldest first.
    by_name: BTreeMap<String, BTreeSet<(u64, RoomId)>>,
    revision: u64,
}

struct Row {
    revision: u64,
    summary: v1::RoomSummary,
}

/// A room's row as stores keep it. Inboxes are in nobody's list.
pub(crate) fn row(room: &RoomId, summary: &v1::RoomSummary) -> Bytes {
    match room.inbox_owner() {
        Some(_) => Bytes::new(),
        None => {
            v1::RoomSummary { user_count: 0, users: Vec::new(), ..summary.clone() }.encode_to_vec().into()
        }
    }
}

/// Rows that are read from the store at a time.
const PAGE: usize = 1_000;

impl Directory {
    /// An empty directory. `first_revision` must be above every revision that an earlier process gave out: the time
    /// in milliseconds does, times a thousand.
    pub fn new(first_revision: u64) -> Directory {
        let rows = Rows {
            by_room: BTreeMap::new(),
            by_revision: BTreeMap::new(),
            public: BTreeSet::new(),
            by_name: BTreeMap::new(),
            revision: first_revision,
        };
        Directory { rows: Arc::new(RwLock::new(rows)) }
    }

    /// Reads every row of the store, and says how many there are.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn load_all(&self, store: &dyn RoomStore) -> Result<usize, StoreError> {
        let mut after = None;
        let mut count = 0;
        loop {
            let page = store.summaries(after.as_ref(), PAGE).await?;
            count += page.len();
            page.iter().for_each(|(_, row)| self.load(row));
            match page.into_iter().last() {
                Some((last, _)) => after = Some(last),
                None => return Ok(count),
            }
        }
    }

    /// Takes a stored row; one that can't be read, or is older than what is known, has no effect.
    pub fn load(&self, row: &Bytes) {
        if let Ok(summary) = v1::RoomSummary::decode(row.clone()) {
            self.update(summary);
        }
    }

    /// A room's log has grown. Who is there stays as it is known.
    pub fn update(&self, summary: v1::RoomSummary) {
        let Ok(room) = RoomId::new(&summary.room_id) else { return };
        let mut rows = self.write();
        let known = rows.by_room.get(&room).map(|row| &row.summary);
        let position = |summary: &v1::RoomSummary| summary.position.map(Position::from).unwrap_or_default();
        let is_older = known.is_some_and(|known| {
            let (known, new) = (position(known), position(&summary));
            known.epoch == new.epoch && known.seq > new.seq
        });
        if is_older {
            return;
        }
        let (user_count, users) =
            known.map(|known| (known.user_count, known.users.clone())).unwrap_or_default();
        rows.put(room, v1::RoomSummary { user_count, users, ..summary });
    }

    /// Somebody has come to or left a room.
    pub fn occupy(&self, room: &RoomId, user_count: u32, users: Vec<v1::PresentUser>) {
        let mut rows = self.write();
        if let Some(row) = rows.by_room.get(room) {
            let summary = v1::RoomSummary { user_count, users, ..row.summary.clone() };
            rows.put(room.clone(), summary);
        }
    }

    /// The row of a room.
    pub fn get(&self, room: &RoomId) -> Option<v1::RoomSummary> {
        self.read().by_room.get(room).map(|row| row.summary.clone())
    }

    /// The public room of this name; of several the oldest.
    pub fn named(&self, name: &str) -> Option<v1::RoomSummary> {
        let rows = self.read();
        let (_, room) = rows.by_name.get(name)?.first()?;
        rows.by_room.get(room).map(|row| row.summary.clone())
    }

    /// Where the room's log is, and how many messages it has had.
    pub fn head(&self, room: &RoomId) -> Option<(Position, u64)> {
        let rows = self.read();
        let summary = &rows.by_room.get(room)?.summary;
        Some((summary.position.map(Position::from)?, summary.messages))
    }

    /// Whether the row is older than this position.
    pub fn is_behind(&self, room: &RoomId, head: Position) -> bool {
        room.inbox_owner().is_none() && self.head(room).is_none_or(|(known, _)| known != head)
    }

    /// A page of the rooms that are public or that the inbox's user follows.
    ///
    /// Without `since`: ascending by id, from after the cursor. With it: what has changed after that revision, in the
    /// order of the changes; then `next` is empty and `revision` is where the page ends, whether or not there is more.
    pub fn page(&self, inbox: &Inbox, request: &v1::RoomListRequest) -> v1::RoomList {
        let limit = match request.limit as usize {
            0 => limits::ROOM_LIST_PAGE,
            limit => limit.min(limits::ROOM_LIST_PAGE),
        };
        let rows = self.read();
        let follows = |room: &RoomId| inbox.following(room.as_str()).is_some_and(|known| known.following);
        let show = |room: &RoomId| {
            let row = rows.by_room.get(room)?;
            Some(v1::RoomSummary { following: Some(follows(room)), ..row.summary.clone() })
        };
        let mut list = v1::RoomList {
            request_id: request.request_id,
            revision: rows.revision,
            total: rows.total(inbox),
            ..Default::default()
        };
        let mut bytes = 0;
        let mut has_room_for = |row: &v1::RoomSummary, taken: usize| {
            bytes += row.encoded_len() + ITEM_OVERHEAD;
            taken < limit && bytes <= limits::ROOM_LIST_BYTES
        };
        if request.since > 0 {
            let changed = (Bound::Excluded(request.since), Bound::Unbounded);
            for (revision, room) in rows.by_revision.range(changed) {
                let visible = rows.public.contains(room) || follows(room);
                if let Some(row) = show(room).filter(|_| visible) {
                    if !has_room_for(&row, list.rooms.len()) {
                        return list;
                    }
                    list.rooms.push(row);
                }
                list.revision = *revision;
            }
            return list;
        }
        let mut after = RoomId::new(&request.cursor).ok();
        while let Some(room) = rows.next_visible(inbox, after.as_ref()) {
            if let Some(row) = show(&room) {
                if !has_room_for(&row, list.rooms.len()) {
                    list.next = list.rooms.last().map(|last| last.room_id.clone()).unwrap_or_default();
                    break;
                }
                list.rooms.push(row);
            }
            after = Some(room);
        }
        list
    }

    /// A page of the public rooms, ascending by id, and where the next begins.
    pub fn public(
        &self,
        cursor: Option<&RoomId>,
        limit: usize,
    ) -> (Vec<v1::RoomSummary>, Option<RoomId>, usize) {
        let rows = self.read();
        let start = cursor.map_or(Bound::Unbounded, |cursor| Bound::Excluded(cursor.clone()));
        let mut ids = rows.public.range((start, Bound::Unbounded));
        let page: Vec<_> = ids
            .by_ref()
            .take(limit)
            .filter_map(|room| Some(rows.by_room.get(room)?.summary.clone()))
            .collect();
        let next = ids.next().and(page.last()).and_then(|last| RoomId::new(&last.room_id).ok());
        (page, next, rows.public.len())
    }

    fn read(&self) -> RwLockReadGuard<'_, Rows> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Rows> {
        self.rows.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
    fn put(&mut self, room: RoomId, summary: v1::RoomSummary) {
        self.revision += 1;
        self.rename(&room, &summary);
        match summary.visibility() {
            v1::Visibility::Public => self.public.insert(room.clone()),
            v1::Visibility::Unlisted | v1::Visibility::Private => self.public.remove(&room),
        };
        let row = Row { revision: self.revision, summary };
        if let Some(old) = self.by_room.insert(room.clone(), row) {
            self.by_revision.remove(&old.revision);
        }
        self.by_revision.insert(self.revision, room);
    }

    /// Lists a room under its name, unless nothing of that has changed.
    fn rename(&mut self, room: &RoomId, new: &v1::RoomSummary) {
        let old = self.by_room.get(room).map(|row| &row.summary);
        let listing = |row: &v1::RoomSummary| (row.visibility, row.created_at);
        if old.is_some_and(|old| old.name == new.name && listing(old) == listing(new)) {
            return;
        }
        if let Some(old) = old
            && let Some(rooms) = self.by_name.get_mut(&old.name)
        {
            rooms.remove(&(old.created_at, room.clone()));
            if rooms.is_empty() {
                self.by_name.remove(&old.name);
            }
        }
        if new.visibility() == v1::Visibility::Public && !new.name.is_empty() {
            let rooms = self.by_name.entry(new.name.clone()).or_default();
            rooms.insert((new.created_at, room.clone()));
        }
    }

    /// The first room after this one that is public or followed.
    fn next_visible(&self, inbox: &Inbox, after: Option<&RoomId>) -> Option<RoomId> {
        let start = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.clone()));
        let public = self.public.range((start, Bound::Unbounded)).next();
        let followed = inbox
            .followings_after(after.map(RoomId::as_str))
            .filter(|known| known.following)
            .filter_map(|known| RoomId::new(&known.room_id).ok())
            .find(|room| self.by_room.contains_key(room));
        match (public, followed) {
            (Some(public), Some(followed)) => Some(public.clone().min(followed)),
            (Some(public), None) => Some(public.clone()),
            (None, followed) => followed,
        }
    }

    fn total(&self, inbox: &Inbox) -> u32 {
        let hidden = inbox.followings().filter(|known| known.following).filter(|known| {
            RoomId::new(&known.room_id)
                .is_ok_and(|room| self.by_room.contains_key(&room) && !self.public.contains(&room))
        });
        (self.public.len() + hidden.count()) as u32
    }
}

#[cfg(test)]
mod tests;
