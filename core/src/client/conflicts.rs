//! The user's conflicts: edits made offline that met somebody else's, and wait for a choice.

use super::Client;
#[cfg(doc)]
use super::Event;
use super::content::Content;
use crate::op::Body;
use crate::policy::Refusal;
use crate::{Code, Millis, OpId, v1};

impl Client {
    /// What waits for the user's choice, oldest first: base, mine and theirs as encoded operations. Those that were
    /// chosen here already are left out. Empty until the user's inbox is loaded. [`Event::Conflicts`] tells of changes.
    pub fn conflicts(&self) -> impl Iterator<Item = &v1::Conflict> {
        let inbox = self.own_inbox().and_then(|id| Some((id, self.rooms.get(id)?)));
        let held = inbox.and_then(|(id, room)| match &room.content {
            Content::Active(active) => Some((id, active.state.conflicts())),
            Content::Unloaded | Content::Cached(_) | Content::Background(_) => None,
        });
        held.into_iter().flat_map(move |(id, conflicts)| {
            let is_chosen = move |conflict: &v1::Conflict| {
                self.pending.of(id).any(|op| match &op.body {
                    Body::ResolveConflict(resolve) => resolve.conflict_id == conflict.id,
                    _ => false,
                })
            };
            conflicts.open().filter(move |conflict| !is_chosen(conflict))
        })
    }

    /// Chooses a side, on any of the user's devices and also without a connection. The other devices see it go; for
    /// `Mine` the server writes it into the room in the user's name, over whatever stands there by then.
    ///
    /// # Errors
    /// [`Code::UnknownConflict`] when it does not wait for a choice (any more), [`Code::InvalidRequest`] when no side is
    /// chosen; else as for [`submit`](Client::submit).
    pub fn resolve_conflict(
        &mut self,
        id: OpId,
        choice: v1::ConflictChoice,
        now: Millis,
    ) -> Result<OpId, Refusal> {
        let is_open = self.conflicts().any(|conflict| conflict.id == Some(id.wire()));
        let Some(inbox) = self.own_inbox().cloned().filter(|_| is_open) else {
            return Err(Code::UnknownConflict.into());
        };
        let resolve = v1::ResolveConflict { conflict_id: Some(id.wire()), choice: choice.into() };
        let op_id = self.submit(&inbox, Body::ResolveConflict(resolve), now)?;
        self.outbox.conflicts();
        Ok(op_id)
    }
}
