//! What people do in a room besides writing: draw, score, react, set, and keep order.

use enfilade_core::op::Body;
use enfilade_core::{Entry, OpId, RoomId, v1};

use super::world::World;

/// Something that somebody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Writes a register of the map, or deletes it.
    Draw,
    /// Adds to a score.
    Score,
    /// Sets the teams, or joins one.
    Team,
    /// Changes the text of a message.
    Edit,
    /// Deletes a message.
    Delete,
    /// Gives a message a reaction, or takes it back.
    React,
    /// Pins a message, or unpins it.
    Pin,
    /// Sets how often people may write.
    SlowMode,
    /// Gives the room another topic.
    Topic,
    /// Gives somebody another role.
    Role,
    /// Ends somebody's membership.
    Kick,
    /// Silences somebody, or lets them speak again.
    Mute,
    /// Keeps somebody out, or no longer does.
    Ban,
    /// Chooses a side where two have written the same.
    Choose,
}

impl Act {
    pub(super) const ALL: [Act; 14] = [
        Act::Draw,
        Act::Score,
        Act::Team,
        Act::Edit,
        Act::Delete,
        Act::React,
        Act::Pin,
        Act::SlowMode,
        Act::Topic,
        Act::Role,
        Act::Kick,
        Act::Mute,
        Act::Ban,
        Act::Choose,
    ];
}

/// The mark of an entry that somebody's act has made.
pub(super) fn mark(entry: &Entry) -> Option<&'static str> {
    Some(match entry.body.as_ref()? {
        Body::PutElements(_) => "an element is written",
        Body::AddScore(_) => "a score is added",
        Body::EditMessage(_) => "a message is edited",
        Body::DeleteMessage(_) => "a message is deleted",
        Body::React(_) => "a message gets a reaction",
        Body::Kick(_) | Body::Ban(_) => "somebody's membership is ended",
        Body::Mute(_) => "somebody is silenced",
        _ => return None,
    })
}

impl World {
    pub(super) fn act(&mut self, client: usize, room: &RoomId, act: Act) {
        let now = self.clock(client);
        if act == Act::Draw {
            let (key, value) = (format!("shape-{}", self.pick(6)), (self.pick(8) > 0).then(|| vec![7; 20]));
            let drawn = self.clients[client].client.set_element(room, &key, value, now);
            return self.noted(client, room, drawn.ok());
        }
        if act == Act::Choose {
            return self.choose(client);
        }
        let Some(body) = self.body(client, room, act) else { return };
        let done = self.clients[client].client.submit(room, body, now);
        self.noted(client, room, done.ok());
    }

    /// Does what the client does not refuse at once.
    pub(super) fn submit(&mut self, client: usize, room: &RoomId, body: Body) {
        let now = self.clock(client);
        let done = self.clients[client].client.submit(room, body, now);
        self.noted(client, room, done.ok());
        self.serve_client(client);
    }

    /// From here on it must not disappear.
    pub(super) fn noted(&mut self, client: usize, room: &RoomId, op_id: Option<OpId>) {
        let Some(op_id) = op_id else { return };
        let host = &mut self.clients[client];
        host.posted.insert(op_id, (room.clone(), String::new()));
        host.unsettled.insert(op_id);
    }

    fn body(&mut self, client: usize, room: &RoomId, act: Act) -> Option<Body> {
        let user = ["ada", "bob", "cyd"][self.pick(3)].to_owned();
        let is_back = self.pick(2) == 0;
        let (message_id, message_seq) = self.some_message(client, room).unwrap_or_default();
        let is_about_a_message = matches!(act, Act::Edit | Act::Delete | Act::React | Act::Pin);
        if is_about_a_message && message_seq == 0 {
            return None;
        }
        let message_id = Some(message_id);
        Some(match act {
            Act::Draw | Act::Choose => return None,
            Act::Score => Body::AddScore(v1::AddScore { points: 1 + self.pick(9) as u64, user: None }),
            Act::Team if is_back => Body::SetTeams(v1::SetTeams { teams: vec!["red".into(), "blue".into()] }),
            Act::Team => Body::JoinTeam(v1::JoinTeam { team: None }),
            Act::Edit => {
                let text = format!("edited {}", self.pick(1_000));
                Body::EditMessage(v1::EditMessage { message_id, message_seq, text, mentions: Vec::new() })
            }
            Act::Delete => Body::DeleteMessage(v1::DeleteMessage { message_id, message_seq }),
            Act::React => {
                let reaction = ["\u{1f44d}", "\u{2764}"][self.pick(2)].into();
                Body::React(v1::React { message_id, message_seq, reaction, removed: is_back })
            }
            Act::Pin => Body::Pin(v1::Pin { message_id, message_seq, removed: is_back }),
            Act::SlowMode => Body::SetConfig(v1::SetConfig {
                slow_mode_enabled: Some(is_back),
                slow_mode_duration: Some(1),
                ..Default::default()
            }),
            Act::Topic => {
                let topic = Some(format!("topic {}", self.pick(100)));
                Body::SetInfo(v1::SetInfo { topic, ..Default::default() })
            }
            Act::Role => {
                let role = if is_back { v1::Role::Moderator } else { v1::Role::Member };
                Body::SetRole(v1::SetRole { user, role: role.into() })
            }
            Act::Kick => Body::Kick(v1::Kick { user, ..Default::default() }),
            Act::Mute => Body::Mute(v1::Mute { user, lifted: is_back, ..Default::default() }),
            Act::Ban => Body::Ban(v1::Ban { user, lifted: is_back, ..Default::default() }),
        })
    }

    fn some_message(&mut self, client: usize, room: &RoomId) -> Option<(v1::OpId, u64)> {
        let count = self.clients[client].client.room(room)?.message_count();
        let index = self.pick(count.max(1));
        let message = self.clients[client].client.room(room)?.message(index)?;
        Some((message.id?, message.seq))
    }
}
