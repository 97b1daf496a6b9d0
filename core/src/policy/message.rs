//! Who may change a message that was posted.

use alloc::sync::Arc;

use super::role::may;
use super::{Actor, Refusal};
use crate::op::{self, Body};
use crate::state::{RoomState, message};
use crate::{Code, limits, v1};
use v1::Capability;

/// The message that an operation names. [`Code::NoSuchMessage`] where it was deleted, or the state does not hold it: an
/// authority fetches it first, and a client leaves the answer to the authority.
fn target<'a>(room: &'a RoomState, body: &Body) -> Result<&'a Arc<v1::Message>, Refusal> {
    let held = op::target(body).and_then(|(id, _)| room.timeline().find(id));
    held.filter(|message| !message.deleted).ok_or(Code::NoSuchMessage.into())
}

/// One's own message, or anybody's for who moderates.
pub(super) fn own(room: &RoomState, actor: &Actor, body: &Body) -> Result<(), Refusal> {
    let message = target(room, body)?;
    if message.author == actor.user() || may(room, actor, Capability::Moderate) {
        Ok(())
    } else {
        Err(Code::Forbidden.into())
    }
}

/// A message takes so many reactions; taking one back is always possible.
pub(super) fn react(room: &RoomState, actor: &Actor, body: &Body, react: &v1::React) -> Result<(), Refusal> {
    let message = target(room, body)?;
    if react.removed || message::may_react(message, &react.reaction, actor.user()) {
        Ok(())
    } else {
        Err(Code::TooManyReactions.into())
    }
}

/// A room takes so many pins.
pub(super) fn pin(room: &RoomState, body: &Body, pin: &v1::Pin) -> Result<(), Refusal> {
    let message = target(room, body)?;
    if pin.removed || message.pinned || room.timeline().pins().len() < limits::PINS {
        Ok(())
    } else {
        Err(Code::TooManyPins.into())
    }
}
