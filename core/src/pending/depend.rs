//! Operations that rest on others that are not confirmed: an edit of a message that waits to be sent, an answer to it,
//! whatever is written into a room that is about to be created.

use alloc::vec::Vec;

use super::{Lane, Pending, PendingOp};
use crate::op::Body;
use crate::{Code, OpId, v1};

/// The operation whose message this one is about.
fn about(body: &Body) -> Option<v1::OpId> {
    match body {
        Body::PostMessage(post) => post.reply_to,
        Body::EditMessage(edit) => edit.message_id,
        Body::DeleteMessage(delete) => delete.message_id,
        Body::React(react) => react.message_id,
        Body::Pin(pin) => pin.message_id,
        _ => None,
    }
}

impl Lane {
    /// Whether an operation has to wait until another is confirmed: the server would take an answer to a message that
    /// it then refuses.
    pub(super) fn holds(&self, op: &PendingOp) -> bool {
        let Some(id) = about(&op.body) else { return false };
        self.ops.iter().any(|other| other.id.wire() == id && !other.is_acknowledged())
    }
}

impl Pending {
    /// What can't be done when this operation is not, and was never sent, in order, with the reason. Of what was sent
    /// the server decides.
    pub fn dependents(&self, id: OpId) -> Vec<(OpId, Code)> {
        let Some(op) = self.get(id) else { return Vec::new() };
        let creates = matches!(op.body, Body::CreateRoom(_));
        let mut gone = alloc::vec![id.wire()];
        let mut dependents = Vec::new();
        for op in self.of(&op.room).skip_while(|op| op.id != id).skip(1).filter(|op| !op.was_sent) {
            let is_about = about(&op.body).is_some_and(|id| gone.contains(&id));
            if creates || is_about {
                gone.push(op.id.wire());
                dependents.push((op.id, if creates { Code::UnknownRoom } else { Code::NoSuchMessage }));
            }
        }
        dependents
    }

    /// Whether an operation may be replaced by this one while it waits: one that was never sent, by one of its kind.
    ///
    /// # Errors
    /// [`Code::NoSuchMessage`] when there is none of this id, [`Code::InvalidRequest`] when it was sent or is another
    /// kind.
    pub fn may_edit(&self, id: OpId, body: &Body) -> Result<(), Code> {
        let op = self.get(id).ok_or(Code::NoSuchMessage)?;
        let is_kind = core::mem::discriminant(&op.body) == core::mem::discriminant(body);
        if op.was_sent || !is_kind { Err(Code::InvalidRequest) } else { Ok(()) }
    }
}
