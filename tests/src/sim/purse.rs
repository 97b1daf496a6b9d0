//! What a node has sent to a room's Background receivers, held against their bandwidth: who was sent more than the
//! budget is sent nothing more until it is paid for.

use enfilade_core::tier::budget::{Budgets, WINDOW};
use enfilade_core::v1::server_frame::Body;
use enfilade_core::{RoomId, Tier, v1};
use prost::Message as _;

use super::world::World;

/// What may be spent, in thousandths of a byte, and as of when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Purse {
    level: i64,
    at: u64,
}

impl World {
    /// Takes a frame for Background receivers out of the purse.
    ///
    /// # Errors
    /// When it goes while an earlier one is not paid for.
    pub(super) fn spend(
        &mut self,
        node: usize,
        room: &RoomId,
        frame: &v1::ServerFrame,
    ) -> Result<(), String> {
        let now = self.node_clock(node).0;
        let rate = Budgets::default().of(Tier::Background).bandwidth;
        let full = (rate * WINDOW) as i64;
        let purse = self.purses.entry((node, room.clone())).or_insert(Purse { level: full, at: now });
        let earned = (rate * now.saturating_sub(purse.at).min(20 * WINDOW)) as i64;
        (purse.level, purse.at) = ((purse.level + earned).min(full), purse.at.max(now));
        let before = purse.level;
        purse.level = (purse.level - frame.encoded_len() as i64 * 1_000).max(-10 * full);
        let is_update = match &frame.body {
            Some(Body::RoomStateSync(sync)) => {
                matches!(sync.data, Some(v1::room_state_sync::Data::StateUpdate(_)))
            }
            _ => false,
        };
        let is_spent = before >= 0 && purse.level < 0;
        // A timer is late by less than a second.
        if is_update && before < -((rate * 1_000) as i64) {
            return Err(format!("node {node} sends {room} to Background, {} bytes in debt", -before / 1_000));
        }
        if is_spent {
            self.mark("a Background room's bandwidth is spent");
        }
        Ok(())
    }
}
