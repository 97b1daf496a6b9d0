use alloc::string::String;
use alloc::vec::Vec;

use super::{Client, Network};
use crate::alone::Made;
use crate::op::Body;
use crate::policy::Refusal;
use crate::{Millis, OpId, RoomId, Tier, v1};

/// Everything that can happen to a client, as data: what [`Client::handle`] does with one is the method that it names.
/// Hosts that hand in inputs can be recorded and replayed, by [`trace`](crate::trace).
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// [`Client::handle_connected`].
    Connected {
        /// Of which connection.
        generation: u64,
    },
    /// [`Client::handle_frame`].
    Frame {
        /// Of which connection.
        generation: u64,
        /// The message.
        bytes: Vec<u8>,
    },
    /// [`Client::handle_disconnected`].
    Disconnected {
        /// Of which connection.
        generation: u64,
        /// The close code, or 1006.
        code: u16,
        /// The server's reason; may be empty.
        reason: String,
    },
    /// [`Client::handle_loaded`].
    Loaded {
        /// Name of the record.
        key: String,
        /// Its bytes; `None` when there is none.
        record: Option<Vec<u8>>,
    },
    /// [`Client::handle_timeout`].
    Timeout,
    /// [`Client::handle_network`].
    Network(Network),
    /// [`Client::restore`].
    Restore(Vec<(String, Vec<u8>)>),
    /// [`Client::set_token`].
    SetToken(String),
    /// [`Client::connect`].
    Connect,
    /// [`Client::disconnect`].
    Disconnect,
    /// [`Client::logout`].
    Logout,
    /// [`Client::acquire`].
    Acquire(RoomId),
    /// [`Client::release`].
    Release(RoomId),
    /// [`Client::set_tier`].
    SetTier(RoomId, Tier),
    /// [`Client::submit`], and by it `join`, `leave` and `post`.
    Submit(RoomId, Body),
    /// [`Client::create_room`].
    CreateRoom {
        /// What people read.
        name: String,
        /// Who may read.
        visibility: v1::Visibility,
        /// What it is about; may be empty.
        topic: String,
    },
    /// [`Client::mark_read`].
    MarkRead(RoomId),
    /// [`Client::cancel`].
    Cancel(OpId),
    /// [`Client::edit`].
    Edit(OpId, Body),
    /// [`Client::load_older`].
    LoadOlder(RoomId, u32),
    /// [`Client::fill_gap`].
    FillGap(RoomId, u64),
    /// [`Client::amend`], and by it `edit_message`, `delete_message`, `react` and `pin`.
    Amend(RoomId, Body),
    /// [`Client::set_draft`].
    SetDraft(RoomId, String),
    /// [`Client::set_scroll`].
    SetScroll(RoomId, String),
    /// [`Client::put_elements`].
    PutElements(RoomId, Vec<v1::ElementChange>),
    /// [`Client::set_element`].
    SetElement {
        /// Where.
        room: RoomId,
        /// Which register.
        key: String,
        /// What it holds from now on; `None` deletes it.
        value: Option<Vec<u8>>,
    },
    /// [`Client::resolve_conflict`].
    ResolveConflict(OpId, v1::ConflictChoice),
    /// [`Client::resubmit`].
    Resubmit(RoomId, Vec<Made>),
    /// [`Client::forget_visits`].
    ForgetVisits,
    /// [`Client::watch_rooms`].
    WatchRooms(bool),
    /// [`Client::warm_up`].
    WarmUp(u32),
    /// [`Client::import_navigation`].
    ImportNavigation(Vec<u8>),
    /// [`Client::erase_navigation`].
    EraseNavigation,
    /// [`Client::signal`].
    Signal {
        /// Where.
        room: RoomId,
        /// What becomes of it on the way.
        class: v1::SignalClass,
        /// What it is, in the app's words.
        kind: String,
        /// Which of its kind.
        key: String,
        /// What the app says.
        payload: Vec<u8>,
    },
}

/// What a command has made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Nothing that has a name.
    #[default]
    Done,
    /// A pending operation.
    Op(OpId),
    /// Several.
    Ops(Vec<OpId>),
    /// A room, by this pending operation.
    Room(RoomId, OpId),
    /// Whether it was taken up.
    Taken(bool),
}

impl Client {
    /// Does what the input says.
    ///
    /// # Errors
    /// Those of the method that the input names.
    pub fn handle(&mut self, input: Input, now: Millis) -> Result<Answer, Refusal> {
        match input {
            Input::Connected { generation } => self.handle_connected(generation, now),
            Input::Frame { generation, bytes } => self.handle_frame(generation, &bytes, now),
            Input::Disconnected { generation, code, reason } => {
                self.handle_disconnected(generation, code, &reason, now);
            }
            Input::Loaded { key, record } => self.handle_loaded(&key, record.as_deref(), now),
            Input::Timeout => self.handle_timeout(now),
            Input::Network(network) => self.handle_network(network, now),
            Input::Restore(records) => self.restore(records, now),
            Input::SetToken(token) => self.set_token(&token, now),
            Input::Connect => self.connect(now),
            Input::Disconnect => self.disconnect(now),
            Input::Logout => self.logout(now),
            Input::Acquire(room) => self.acquire(&room, now),
            Input::Release(room) => self.release(&room, now),
            Input::SetTier(room, tier) => self.set_tier(&room, tier, now),
            Input::Submit(room, body) => return self.submit(&room, body, now).map(Answer::Op),
            Input::CreateRoom { name, visibility, topic } => {
                let (room, op_id) = self.create_room(&name, visibility, &topic, now)?;
                return Ok(Answer::Room(room, op_id));
            }
            Input::MarkRead(room) => self.mark_read(&room, now),
            Input::Cancel(op_id) => self.cancel(op_id, now)?,
            Input::Edit(op_id, body) => self.edit(op_id, body, now)?,
            Input::LoadOlder(room, limit) => {
                return Ok(Answer::Taken(self.load_older(&room, limit as usize, now)));
            }
            Input::FillGap(room, after) => return Ok(Answer::Taken(self.fill_gap(&room, after, now))),
            Input::Amend(room, body) => return self.amend(&room, body, now).map(Answer::Op),
            Input::SetDraft(room, draft) => {
                self.tick(now);
                self.set_draft(&room, &draft);
            }
            Input::SetScroll(room, scroll) => {
                self.tick(now);
                self.set_scroll(&room, &scroll);
            }
            Input::PutElements(room, elements) => {
                return self.put_elements(&room, elements, now).map(Answer::Ops);
            }
            Input::SetElement { room, key, value } => {
                return self.set_element(&room, &key, value, now).map(Answer::Op);
            }
            Input::ResolveConflict(id, choice) => {
                return self.resolve_conflict(id, choice, now).map(Answer::Op);
            }
            Input::Resubmit(room, made) => {
                return Ok(Answer::Taken(self.resubmit(&room, made, now)? > 0));
            }
            Input::ForgetVisits => self.forget_visits(now),
            Input::WatchRooms(is_watched) => self.watch_rooms(is_watched, now),
            Input::WarmUp(count) => self.warm_up(count, now),
            Input::ImportNavigation(bytes) => self.import_navigation(&bytes, now)?,
            Input::EraseNavigation => {
                self.tick(now);
                self.erase_navigation();
            }
            Input::Signal { room, class, kind, key, payload } => {
                return Ok(Answer::Taken(self.signal(&room, class, &kind, &key, &payload, now)?));
            }
        }
        Ok(Answer::Done)
    }
}
