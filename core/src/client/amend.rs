//! The user's changes of messages: shown at once, and sent like everything else.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::content::Content;
use super::{Client, RoomChange};
use crate::op::{self, Body};
use crate::policy::Refusal;
use crate::{Code, Millis, OpId, RoomId, v1};

impl Client {
    /// Changes a message: an edit, a deletion, a reaction or a pin, with the message's id; where it lies is filled in.
    /// Text and deletion are the author's, or of those who may moderate. A message that was never sent is written anew
    /// under the id that it has, or cancelled.
    ///
    /// # Errors
    /// [`Code::NoSuchMessage`] when the message is not held, or was deleted; [`Code::InvalidOp`] for other operations;
    /// else as for [`submit`](Client::submit).
    pub fn amend(&mut self, room: &RoomId, mut body: Body, now: Millis) -> Result<OpId, Refusal> {
        let (id, _) = op::target(&body).ok_or(Code::InvalidOp)?;
        if let Some(op) = self.pending.get(id).filter(|op| !op.was_sent)
            && let Body::PostMessage(post) = &op.body
        {
            match body {
                Body::EditMessage(v1::EditMessage { text, mentions, .. }) => {
                    let post = Body::PostMessage(v1::PostMessage { text, mentions, reply_to: post.reply_to });
                    self.tick(now);
                    self.edit_op(id, post)?;
                    return Ok(id);
                }
                Body::DeleteMessage(_) => return Ok(self.cancel(id, now).map(|()| id)?),
                _ => {}
            }
        }
        let seq = self.seq_of(room, id)?;
        match &mut body {
            Body::EditMessage(edit) => edit.message_seq = seq,
            Body::DeleteMessage(delete) => delete.message_seq = seq,
            Body::React(react) => react.message_seq = seq,
            Body::Pin(pin) => pin.message_seq = seq,
            _ => {}
        }
        self.submit(room, body, now)
    }

    /// Replaces text and mentions of a message.
    ///
    /// # Errors
    /// As for [`amend`](Client::amend).
    pub fn edit_message(
        &mut self,
        room: &RoomId,
        message: OpId,
        text: &str,
        mentions: Vec<String>,
        now: Millis,
    ) -> Result<OpId, Refusal> {
        let (message_id, text) = (Some(message.wire()), text.to_string());
        self.amend(
            room,
            Body::EditMessage(v1::EditMessage { message_id, message_seq: 0, text, mentions }),
            now,
        )
    }

    /// Deletes a message. Its place in the timeline stays.
    ///
    /// # Errors
    /// As for [`amend`](Client::amend).
    pub fn delete_message(&mut self, room: &RoomId, message: OpId, now: Millis) -> Result<OpId, Refusal> {
        let message_id = Some(message.wire());
        self.amend(room, Body::DeleteMessage(v1::DeleteMessage { message_id, message_seq: 0 }), now)
    }

    /// Gives a reaction (an emoji, or the name of one in `:colons:`), or takes it back.
    ///
    /// # Errors
    /// As for [`amend`](Client::amend).
    pub fn react(
        &mut self,
        room: &RoomId,
        message: OpId,
        reaction: &str,
        removed: bool,
        now: Millis,
    ) -> Result<OpId, Refusal> {
        let (message_id, reaction) = (Some(message.wire()), reaction.to_string());
        self.amend(room, Body::React(v1::React { message_id, message_seq: 0, reaction, removed }), now)
    }

    /// Pins a message, or unpins it.
    ///
    /// # Errors
    /// As for [`amend`](Client::amend).
    pub fn pin(&mut self, room: &RoomId, message: OpId, removed: bool, now: Millis) -> Result<OpId, Refusal> {
        let message_id = Some(message.wire());
        self.amend(room, Body::Pin(v1::Pin { message_id, message_seq: 0, removed }), now)
    }

    /// Where a message lies in the log; 0 for one that is not there yet.
    fn seq_of(&self, room: &RoomId, id: OpId) -> Result<u64, Code> {
        let wire = Some(id.wire());
        let held = match self.rooms.get(room).map(|room| &room.content) {
            Some(Content::Active(active)) => {
                let timeline = active.state.timeline();
                timeline.find(id).or_else(|| timeline.pins().iter().find(|pin| pin.id == wire))
            }
            Some(Content::Background(background)) => {
                background.light.recent.iter().find(|message| message.id == wire)
            }
            Some(Content::Cached(_) | Content::Unloaded) | None => None,
        };
        match held {
            Some(message) if message.deleted => Err(Code::NoSuchMessage),
            Some(message) => Ok(message.seq),
            None if self.pending.get(id).is_some() => Ok(0),
            None => Err(Code::NoSuchMessage),
        }
    }

    /// The message that this operation changes is shown otherwise than before.
    pub(super) fn touch(&mut self, room: &RoomId, body: &Body) {
        let Some((id, _)) = op::target(body) else { return };
        let Some(view) = self.room(room) else { return };
        let wire = Some(id.wire());
        let ordinal = match &view.room.content {
            Content::Active(active) => active.state.timeline().by_id(id).map(|message| message.ordinal),
            _ => {
                let mut held = (0..view.message_count()).filter_map(|index| view.message(index));
                held.find(|message| message.id == wire).map(|message| message.ordinal)
            }
        };
        let is_pinned = matches!(body, Body::Pin(_)) || view.pins().any(|pin| pin.message.id == wire);
        if let Some(ordinal) = ordinal {
            self.outbox.room(room, RoomChange::MessageChanged(ordinal));
        }
        if is_pinned {
            self.outbox.room(room, RoomChange::Pins);
        }
    }
}
