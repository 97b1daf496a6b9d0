//! The room list, polled in pages, and history, which is asked for in the same way.

use alloc::string::String;

use super::content::Content;
use super::rooms::History;
use super::{Client, RoomChange};
use crate::sorted::{SortedMap, SortedSet};
use crate::{Millis, Position, RoomId, limits, v1};

/// Rows of rooms that the user may see, as the server lists them.
#[derive(Debug, Default)]
pub(super) struct RoomList {
    pub(super) is_watched: bool,
    pub(super) rows: SortedMap<RoomId, v1::RoomSummary>,
    /// What changed since is asked for; 0 for all.
    revision: u64,
    asked: Option<Asked>,
    due: Option<Millis>,
    /// Rooms of a listing of all, to know which have gone.
    listed: SortedSet<RoomId>,
}

#[derive(Debug)]
struct Asked {
    request_id: u64,
    at: Millis,
}

/// Rows that are kept. Lists beyond are for searching, not for showing.
const ROWS: usize = 5_000;
/// A request without an answer is repeated after this.
const REPEAT: u64 = 15_000;

impl RoomList {
    /// The connection is gone; another node numbers its revisions otherwise, so all is asked for.
    pub(super) fn interrupted(&mut self) {
        self.asked = None;
        self.due = None;
        self.revision = 0;
        self.listed.clear();
    }

    /// Forgets the rows; whether they are watched stays.
    pub(super) fn forget(&mut self) {
        self.interrupted();
        self.rows.clear();
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        let repeat = self.asked.as_ref().map(|asked| asked.at + REPEAT);
        repeat.or(self.due).filter(|_| self.is_watched)
    }
}

impl Client {
    pub(super) fn list_on_welcome(&mut self, now: Millis) {
        if self.list.is_watched {
            self.ask_for_rooms(String::new(), now);
        }
    }

    pub(super) fn watch(&mut self, is_watched: bool, now: Millis) {
        if core::mem::replace(&mut self.list.is_watched, is_watched) != is_watched {
            self.list.interrupted();
            if self.link.is_online() {
                self.list_on_welcome(now);
            }
        }
    }

    fn ask_for_rooms(&mut self, cursor: String, now: Millis) {
        let request_id = self.next_request();
        self.list.asked = Some(Asked { request_id, at: now });
        self.list.due = None;
        let since = self.list.revision;
        let limit = limits::ROOM_LIST_PAGE as u32;
        let request = v1::RoomListRequest { request_id, since, cursor, limit };
        self.send(v1::client_frame::Body::RoomList(request));
    }

    pub(super) fn take_rooms(&mut self, page: v1::RoomList, now: Millis) {
        let is_asked = self.list.asked.as_ref().is_some_and(|asked| asked.request_id == page.request_id);
        if !is_asked {
            return;
        }
        self.list.asked = None;
        for row in page.rooms {
            let Ok(id) = RoomId::new(&row.room_id) else { continue };
            if self.list.revision == 0 {
                self.list.listed.insert(id.clone());
            }
            let is_known = self.list.rows.contains_key(&id);
            if is_known || self.list.rows.len() < ROWS {
                let old = self.list.rows.insert(id.clone(), row);
                if old.as_ref() != self.list.rows.get(&id) {
                    self.outbox.row(&id);
                    self.unread_changed(&id);
                }
            }
        }
        if !page.next.is_empty() && self.list.listed.len() < ROWS {
            return self.ask_for_rooms(page.next, now);
        }
        if self.list.revision == 0 {
            let listed = core::mem::take(&mut self.list.listed);
            for id in self.list.rows.keys().filter(|id| !listed.contains(id)) {
                self.outbox.row(id);
            }
            self.list.rows.retain(|id, _| listed.contains(id));
        }
        self.list.revision = page.revision;
        self.list.due = Some(now + self.config.room_list_interval);
    }

    pub(super) fn list_timeout(&mut self, now: Millis) {
        if self.link.is_online()
            && !self.link.in_background
            && self.list.deadline().is_some_and(|due| due <= now)
        {
            self.list.listed.clear();
            self.ask_for_rooms(String::new(), now);
        }
    }

    pub(super) fn ask_for_history(&mut self, id: &RoomId, limit: usize) -> bool {
        let is_online = self.link.is_online();
        let Some(room) = self.rooms.get_mut(id) else { return false };
        let Content::Active(active) = &room.content else { return false };
        if !is_online || room.history.asked.is_some() || !has_older(active, room.history) {
            return false;
        }
        let before_seq = active.state.timeline().iter().next().map_or(0, |first| first.seq);
        self.ask_before(id, before_seq, limit.clamp(1, limits::HISTORY_PAGE) as u32);
        true
    }

    fn ask_before(&mut self, id: &RoomId, before_seq: u64, limit: u32) {
        let request_id = self.next_request();
        let request = v1::HistoryRequest {
            request_id,
            room_id: id.as_str().into(),
            before_seq,
            limit,
            ..Default::default()
        };
        let bytes = self.send(v1::client_frame::Body::History(request));
        let room = self.room_mut(id);
        room.history = History { asked: Some(request_id), before_seq, limit, is_exhausted: false };
        room.bytes_out += bytes as u64;
    }

    pub(super) fn take_history(&mut self, page: v1::HistoryPage, bytes: usize) {
        let Ok(id) = RoomId::new(&page.room_id) else { return };
        let Some(room) = self.rooms.get_mut(&id) else { return };
        room.bytes_in += bytes as u64;
        let History { asked, before_seq, limit, .. } = room.history;
        if asked != Some(page.request_id) {
            return;
        }
        room.history.asked = None;
        let Content::Active(active) = &mut room.content else { return };
        let epoch = page.position.map(Position::from).unwrap_or_default().epoch;
        if epoch != active.state.position().epoch {
            return;
        }
        let added = active.state.timeline_mut().prepend(&page.messages);
        let next = page.next_before_seq;
        if added == 0 && page.messages.is_empty() && (1..before_seq).contains(&next) {
            // A stretch of the log without messages.
            return self.ask_before(&id, next, limit);
        }
        room.history.is_exhausted = next == 0 || added == 0;
        self.outbox.room(&id, RoomChange::Prepended(added));
    }

    /// A request of this number has failed. Returns whether it was one of ours.
    pub(super) fn request_failed(&mut self, request_id: u64, retry_after: u64, now: Millis) -> bool {
        if self.list.asked.as_ref().is_some_and(|asked| asked.request_id == request_id) {
            self.list.asked = None;
            self.list.due = Some(now + retry_after.max(self.config.room_list_interval));
            return true;
        }
        let of_room = |room: &&mut super::rooms::Room| room.history.asked == Some(request_id);
        let room = self.rooms.values_mut().find(of_room);
        room.map(|room| room.history.asked = None).is_some()
    }

    fn next_request(&mut self) -> u64 {
        self.requests += 1;
        self.requests
    }
}

/// Whether there may be messages before the first that is held, and room for them.
pub(super) fn has_older(active: &super::content::Active, history: History) -> bool {
    let timeline = active.state.timeline();
    let reaches_back = timeline.first_ordinal().map_or(timeline.head() == 0, |first| first <= 1);
    !history.is_exhausted && !reaches_back && timeline.len() < limits::ACTIVE_MESSAGES
}
