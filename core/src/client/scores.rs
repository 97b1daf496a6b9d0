//! Scores and teams as the app sees them: what is confirmed, and the user's own points on top of it.

use super::content::Content;
use super::{Client, RoomView};
use crate::op::Body;
use crate::state::Counters;
use crate::{OpId, RoomId, v1};

impl<'a> RoomView<'a> {
    /// Teams, scores, ranks and the total, as confirmed; in Active rooms alone.
    pub fn counters(&self) -> Option<&'a Counters> {
        match &self.room.content {
            Content::Active(active) => Some(active.state.counters()),
            Content::Unloaded | Content::Cached(_) | Content::Background(_) => None,
        }
    }

    /// The user's own points: those confirmed, and those on their way.
    pub fn own_score(&self) -> u64 {
        let user = self.client.user.as_ref().map_or("", |user| user.id.as_str());
        let confirmed =
            self.counters().and_then(|counters| counters.score(user)).map_or(0, |score| score.score);
        confirmed.saturating_add(self.points_on_their_way())
    }

    /// All points of the room, with the user's own that are on their way.
    pub fn total_score(&self) -> u64 {
        self.counters().map_or(0, Counters::total).saturating_add(self.points_on_their_way())
    }

    fn points_on_their_way(&self) -> u64 {
        let points = self.client.pending.of(self.id).filter_map(|op| own_points(&op.body));
        points.fold(0, u64::saturating_add)
    }
}

impl Client {
    /// Points that wait to be sent and more points are one operation: however fast somebody taps, and however long
    /// they are offline. Returns the one that waited.
    pub(super) fn add_to_waiting(&mut self, id: &RoomId, body: &Body) -> Option<OpId> {
        let more = own_points(body)?;
        let last = self.pending.of(id).last().filter(|op| !op.was_sent)?;
        let (op_id, points) = (last.id, own_points(&last.body)?.checked_add(more)?);
        if points >= crate::limits::INTEGER_BOUND {
            return None;
        }
        self.pending.replace(op_id, Body::AddScore(v1::AddScore { points, user: None }));
        self.save_op(op_id);
        self.outbox.room(id, super::RoomChange::Pending);
        Some(op_id)
    }
}

fn own_points(body: &Body) -> Option<u64> {
    match body {
        Body::AddScore(v1::AddScore { points, user: None }) => Some(*points),
        _ => None,
    }
}
