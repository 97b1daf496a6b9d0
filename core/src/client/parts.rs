//! A whole state that comes in parts.

use crate::sorted::SortedMap;
use crate::{Code, Position, RoomId, RoomState, limits, v1};

/// More parts than a room at its largest has: each is filled by more than a quarter.
pub(super) const MAX_PARTS: u32 = 4 * (limits::STATE_BYTES / limits::BULK_PART_BYTES) as u32;

/// Parts of a BULK_SYNC, until all are there. All are of one position.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) at: Position,
    pub(super) count: u32,
    pub(super) parts: SortedMap<u32, v1::RoomSnapshot>,
    pub(super) bytes: usize,
}

impl Parts {
    /// The state that they are together.
    pub(super) fn state(self, id: &RoomId) -> Result<RoomState, Code> {
        let state = RoomState::restore(id.clone(), join(self.parts)?, false)?;
        if state.position() == self.at { Ok(state) } else { Err(Code::Malformed) }
    }
}

impl Parts {
    /// What has arrived so far.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Joins the parts of a snapshot: repeated fields in order, the rest as it stands in the first.
fn join(parts: SortedMap<u32, v1::RoomSnapshot>) -> Result<v1::RoomSnapshot, Code> {
    let mut parts = parts.into_values();
    let mut whole = parts.next().ok_or(Code::Malformed)?;
    for part in parts {
        whole.members.extend(part.members);
        whole.timeline.extend(part.timeline);
        whole.pins.extend(part.pins);
        whole.followings.extend(part.followings);
        whole.notifications.extend(part.notifications);
        whole.elements.extend(part.elements);
        whole.bans.extend(part.bans);
        whole.mutes.extend(part.mutes);
        whole.invited.extend(part.invited);
        whole.departed.extend(part.departed);
        whole.conflicts.extend(part.conflicts);
        whole.contacts.extend(part.contacts);
        if let Some(counters) = part.counters {
            whole.counters.get_or_insert_default().scores.extend(counters.scores);
        }
    }
    Ok(whole)
}
