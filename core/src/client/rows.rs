//! The timeline as rows: messages as they will be when what is pending is done, and the gaps between them.

use alloc::borrow::Cow;
use alloc::sync::Arc;

use super::content::Content;
use super::history::is_verified;
use super::view::RoomView;
use crate::pending::PendingOp;
use crate::state::message;
use crate::{OpId, op, v1};

/// Messages that are missing between two that are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Ordinal of the message before them: what [`Client::fill_gap`](super::Client::fill_gap) asks for.
    pub after: u64,
    /// How many they are.
    pub missing: u64,
    /// Whether they are on their way.
    pub is_loading: bool,
    /// Whether they can be asked for: in Active rooms.
    pub is_fillable: bool,
}

/// A message as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown<'a> {
    /// The confirmed message with what is pending applied.
    pub message: Cow<'a, v1::Message>,
    /// Whether anything of it is pending.
    pub is_pending: bool,
}

impl<'a> RoomView<'a> {
    /// The message at this place with the user's own changes that are not confirmed yet.
    pub fn shown(&self, index: usize) -> Option<Shown<'a>> {
        self.message(index).map(|message| self.show(message))
    }

    /// Pinned messages, oldest pin first, with the user's own changes; in Active rooms alone. Of one that lies beyond
    /// what is held there may be nothing but its id and its seq.
    pub fn pins(&self) -> impl Iterator<Item = Shown<'a>> + use<'a> {
        let view = *self;
        let pins: &'a [Arc<v1::Message>] = match &self.room.content {
            Content::Active(active) => active.state.timeline().pins(),
            Content::Unloaded | Content::Cached(_) | Content::Background(_) => &[],
        };
        pins.iter().map(move |pin| view.show(pin)).filter(|shown| shown.message.pinned)
    }

    /// What is missing between the message at this place and the one before. Before the first there is a gap where a
    /// Background room has received more than it holds; what is merely older is history.
    pub fn gap_before(&self, index: usize) -> Option<Gap> {
        let first = self.message(index)?.ordinal;
        let (after, is_fillable) = match (&self.room.content, index.checked_sub(1)) {
            (Content::Background(background), None) => {
                (first.saturating_sub(background.light.missed + 1), false)
            }
            (_, None) => return None,
            (content, Some(before)) => (self.message(before)?.ordinal, matches!(content, Content::Active(_))),
        };
        let missing = first.saturating_sub(after + 1);
        let is_loading = self.room.history.fills(after);
        (missing > 0).then_some(Gap { after, missing, is_loading, is_fillable })
    }

    /// Whether everything that is shown is as the server has it: up to date, and without messages of before a longer
    /// absence of which it is not known whether they have changed.
    pub fn is_verified(&self) -> bool {
        match &self.room.content {
            Content::Active(active) => is_verified(active, self.room.synced),
            Content::Unloaded | Content::Cached(_) | Content::Background(_) => true,
        }
    }

    /// Where the message with this ordinal is among those that are held, or would be.
    pub fn place(&self, ordinal: u64) -> usize {
        let (mut low, mut high) = (0, self.message_count());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.message(middle).is_some_and(|message| message.ordinal < ordinal) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    fn show(&self, message: &'a v1::Message) -> Shown<'a> {
        let mut shown = Shown { message: Cow::Borrowed(message), is_pending: false };
        let user = self.client.user.as_ref().map_or("", |user| user.id.as_str());
        for op in self.client.pending.of(self.id).filter(|op| changes(op, message)) {
            message::change(shown.message.to_mut(), &op.body, user, op.since.0);
            shown.is_pending = true;
        }
        shown
    }
}

fn changes(op: &PendingOp, of: &v1::Message) -> bool {
    op::target(&op.body).is_some_and(|(id, _)| OpId::parse(of.id.as_ref()) == Ok(id))
}
