//! Messages that were not held: scrolled back to, or missing between two stretches.

use super::content::{Active, Content};
use super::view::Synced;
use super::{Client, RoomChange};
use crate::{Position, RoomId, limits, v1};

/// A room's request for history, and what is known of what it can bring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct History {
    /// The request that is not answered.
    pub(super) asked: Option<u64>,
    what: What,
    /// What it asked for: messages between these entries, and how many.
    before_seq: u64,
    after_seq: u64,
    limit: u32,
    /// The server has nothing before what is held.
    pub(super) is_exhausted: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum What {
    /// What is before the first that is held.
    #[default]
    Older,
    /// What is missing after the message with this ordinal.
    Gap(u64),
    /// What has become of the stretch that was held before a longer absence.
    Stale,
}

impl History {
    /// Whether older messages are on their way.
    pub(super) fn is_loading_older(&self) -> bool {
        self.asked.is_some() && self.what == What::Older
    }

    /// Whether the gap after the message with this ordinal is being filled.
    pub(super) fn fills(&self, after: u64) -> bool {
        self.asked.is_some() && self.what == What::Gap(after)
    }
}

impl Client {
    pub(super) fn ask_for_older(&mut self, id: &RoomId, limit: usize) -> bool {
        let Some(active) = self.askable(id) else { return false };
        let history = self.rooms.get(id).map(|room| room.history).unwrap_or_default();
        if !has_older(active, history) {
            return false;
        }
        let before_seq = active.state.timeline().iter().next().map_or(0, |first| first.seq);
        let limit = limit.clamp(1, limits::HISTORY_PAGE) as u32;
        self.ask(id, History { what: What::Older, before_seq, limit, ..History::default() });
        true
    }

    pub(super) fn ask_for_gap(&mut self, id: &RoomId, after: u64) -> bool {
        let Some(active) = self.askable(id) else { return false };
        let timeline = active.state.timeline();
        let Some(place) = timeline.iter().position(|message| message.ordinal == after) else { return false };
        let (Some(below), Some(above)) = (timeline.at(place), timeline.at(place + 1)) else { return false };
        if above.ordinal == below.ordinal + 1 {
            return false;
        }
        let (before_seq, after_seq) = (above.seq, below.seq);
        self.ask_all(id, What::Gap(after), before_seq, after_seq);
        true
    }

    /// Asks what has become of messages that were held before a longer absence.
    pub(super) fn verify(&mut self, id: &RoomId) {
        let Some(timeline) = self.askable(id).map(|active| active.state.timeline()) else { return };
        let (Some(first), Some(last)) = (timeline.at(0), timeline.stale()) else { return };
        let (before_seq, after_seq) = (last.seq + 1, first.seq.saturating_sub(1));
        self.ask_all(id, What::Stale, before_seq, after_seq);
    }

    /// The content of a room that history can be asked for now.
    fn askable(&self, id: &RoomId) -> Option<&Active> {
        let room = self.rooms.get(id)?;
        let Content::Active(active) = &room.content else { return None };
        (self.link.is_online() && room.history.asked.is_none()).then_some(active)
    }

    fn ask_all(&mut self, id: &RoomId, what: What, before_seq: u64, after_seq: u64) {
        let limit = limits::HISTORY_PAGE as u32;
        self.ask(id, History { what, before_seq, after_seq, limit, ..History::default() });
    }

    fn ask(&mut self, id: &RoomId, history: History) {
        let request_id = self.next_request();
        let request = v1::HistoryRequest {
            request_id,
            room_id: id.as_str().into(),
            before_seq: history.before_seq,
            limit: history.limit,
            after_seq: history.after_seq,
        };
        let bytes = self.send(v1::client_frame::Body::History(request));
        let room = self.room_mut(id);
        let is_exhausted = room.history.is_exhausted && history.what != What::Older;
        room.history = History { asked: Some(request_id), is_exhausted, ..history };
        room.bytes_out += bytes as u64;
        let is_gap = matches!(history.what, What::Gap(_));
        self.outbox.room(id, if is_gap { RoomChange::Reset } else { RoomChange::Meta });
    }

    pub(super) fn take_history(&mut self, page: v1::HistoryPage) {
        let Ok(id) = RoomId::new(&page.room_id) else { return };
        let Some(room) = self.rooms.get_mut(&id) else { return };
        let asked = room.history;
        if asked.asked != Some(page.request_id) {
            return;
        }
        room.history.asked = None;
        let Content::Active(active) = &mut room.content else { return };
        let epoch = page.position.map(Position::from).unwrap_or_default().epoch;
        if epoch != active.state.position().epoch {
            return;
        }
        let timeline = active.state.timeline_mut();
        let held = timeline.len();
        if asked.what == What::Stale {
            timeline.verify(page.messages.first().map(|first| first.ordinal));
        }
        let forgotten = held - timeline.len();
        let merged = timeline.merge(&page.messages, asked.what == What::Older);
        let next = page.next_before_seq;
        let goes_on = (asked.after_seq + 1..asked.before_seq).contains(&next);
        match asked.what {
            What::Older if page.messages.is_empty() && goes_on => {
                // A stretch of the log without messages.
                return self.ask(&id, History { before_seq: next, ..asked });
            }
            What::Older => {
                let is_exhausted = next == 0 || merged == Default::default();
                room.history.is_exhausted = is_exhausted;
            }
            What::Gap(after) => {
                // The window may have slid past the other end of the gap, which is its beginning then.
                let is_open = timeline.get(after).is_some() && timeline.get(after + 1).is_none();
                if timeline.len() == limits::ACTIVE_MESSAGES {
                    room.history.is_exhausted = false;
                }
                if goes_on && is_open {
                    self.ask(&id, History { before_seq: next, ..asked });
                }
            }
            What::Stale => {}
        }
        self.outbox.room(
            &id,
            match merged.within || forgotten > 0 {
                true => RoomChange::Reset,
                false => RoomChange::Prepended(merged.before),
            },
        );
    }

    /// The request for history of this number has failed. Returns whether there was one.
    pub(super) fn history_failed(&mut self, request_id: u64) -> bool {
        let linked = self.linked();
        let is_asked =
            |id: &&RoomId| self.rooms.get(id).is_some_and(|room| room.history.asked == Some(request_id));
        let Some(id) = linked.iter().find(is_asked).cloned() else { return false };
        self.room_mut(&id).history.asked = None;
        // Also a gap is no longer shown as being filled.
        self.outbox.room(&id, RoomChange::Reset);
        true
    }
}

/// Whether there are messages before the first that is held.
pub(super) fn has_older(active: &Active, history: History) -> bool {
    let timeline = active.state.timeline();
    let reaches_back = timeline.first_ordinal().map_or(timeline.head() == 0, |first| first <= 1);
    !history.is_exhausted && !reaches_back
}

/// Whether the room shows everything as it is: up to date, and without messages that are not verified.
pub(super) fn is_verified(active: &Active, synced: Synced) -> bool {
    synced == Synced::Ready && active.state.timeline().stale().is_none()
}
