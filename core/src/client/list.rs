//! The room list, polled in pages.

use alloc::string::String;

use super::Client;
use crate::sorted::{SortedMap, SortedSet};
use crate::{Millis, RoomId, limits, v1};

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

    /// A request of this number has failed. Returns whether it was one of ours.
    pub(super) fn request_failed(&mut self, request_id: u64, retry_after: u64, now: Millis) -> bool {
        if self.list.asked.as_ref().is_some_and(|asked| asked.request_id == request_id) {
            self.list.asked = None;
            self.list.due = Some(now + retry_after.max(self.config.room_list_interval));
            return true;
        }
        self.history_failed(request_id)
    }

    pub(super) fn next_request(&mut self) -> u64 {
        self.requests += 1;
        self.requests
    }
}
