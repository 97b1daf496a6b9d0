//! Who may do what: one code, by which a client predicts and an authority decides.

use alloc::string::String;

use crate::op::Body;
use crate::state::{RoomState, may_moderate};
use crate::{Code, Millis, UserId, limits, v1};

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Somebody with a token.
    User {
        /// The token's user.
        id: UserId,
        /// Their display name.
        name: String,
    },
    /// The server itself, following up an entry of one room in another.
    System,
}

impl Actor {
    /// The user id as entries name it; empty for the server itself.
    pub fn user(&self) -> &str {
        match self {
            Actor::User { id, .. } => id.as_str(),
            Actor::System => "",
        }
    }

    /// The display name; empty for the server itself.
    pub fn name(&self) -> &str {
        match self {
            Actor::User { name, .. } => name,
            Actor::System => "",
        }
    }
}

/// Why an operation is not allowed, and when it would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason.
    pub code: Code,
    /// Milliseconds after which the same operation may be tried again; 0 where there is no such time.
    pub retry_after: u64,
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Refusal {
        Refusal { code, retry_after: 0 }
    }
}

/// Whether this actor may see the room: its state, history, head and presence. `false` for rooms that don't exist.
pub fn may_read(actor: &Actor, room: &RoomState) -> bool {
    if let Some(owner) = room.id().inbox_owner() {
        return *actor == Actor::System || actor.user() == owner;
    }
    if room.id().is_server_settings() {
        return true;
    }
    match room.info() {
        Some(info) if info.visibility() == v1::Visibility::Private => {
            *actor == Actor::System || room.members().get(actor.user()).is_some()
        }
        Some(_) => true,
        None => false,
    }
}

/// Whether this actor may do this now. `now` is the authority's time; a client that predicts uses its estimate of it.
///
/// # Errors
/// The reason, and the time to wait where waiting helps.
pub fn may_submit(room: &RoomState, actor: &Actor, body: &Body, now: Millis) -> Result<(), Refusal> {
    if let Some(owner) = room.id().inbox_owner() {
        return may_submit_to_inbox(room, owner, actor, body);
    }
    if room.id().is_server_settings() {
        return match body {
            Body::PutElements(put) if *actor == Actor::System => room.map().admit(put).map_err(Refusal::from),
            _ => Err(Code::Forbidden.into()),
        };
    }
    if let Body::CreateRoom(_) = body {
        return if room.exists() { Err(Code::RoomExists.into()) } else { Ok(()) };
    }
    if !room.exists() {
        return Err(Code::UnknownRoom.into());
    }
    let member = room.members().get(actor.user());
    match body {
        Body::Join(_) => match member {
            Some(_) => Ok(()),
            None if !may_read(actor, room) => Err(Code::Forbidden.into()),
            None if room.members().len() >= limits::MEMBERS => Err(Code::RoomFull.into()),
            None => Ok(()),
        },
        Body::Leave(_) => member.map(drop).ok_or(Code::NotMember.into()),
        Body::PostMessage(_) => slow_mode(room, member.ok_or(Code::NotMember)?, now),
        Body::SetInfo(_) | Body::SetConfig(_) => {
            let member = member.ok_or(Code::NotMember)?;
            if !may_moderate(member) {
                return Err(Code::Forbidden.into());
            }
            match body {
                Body::SetConfig(config) => enforceable(config),
                _ => Ok(()),
            }
        }
        Body::PutElements(put) => {
            member.ok_or(Code::NotMember)?;
            room.map().admit(put).map_err(Refusal::from)
        }
        Body::CreateRoom(_)
        | Body::FollowRoom(_)
        | Body::UnfollowRoom(_)
        | Body::Notify(_)
        | Body::SetReadMarker(_)
        | Body::EditMessage(_)
        | Body::DeleteMessage(_)
        | Body::React(_)
        | Body::Pin(_)
        | Body::SetTeams(_)
        | Body::JoinTeam(_)
        | Body::LeaveTeam(_)
        | Body::AddScore(_)
        | Body::ResetScores(_)
        | Body::SetRole(_)
        | Body::Kick(_)
        | Body::Ban(_)
        | Body::Mute(_)
        | Body::Invite(_)
        | Body::SetBadges(_)
        | Body::SetPermissions(_)
        | Body::SetConflictMode(_)
        | Body::RaiseFoldVersion(_)
        | Body::RequestFriend(_)
        | Body::AnswerFriend(_)
        | Body::RemoveFriend(_)
        | Body::BlockUser(_)
        | Body::FollowUser(_)
        | Body::SetStatus(_)
        | Body::FriendNews(_)
        | Body::FriendStatus(_)
        | Body::AddConflict(_)
        | Body::ResolveConflict(_) => Err(Code::Forbidden.into()),
    }
}

fn may_submit_to_inbox(room: &RoomState, owner: &str, actor: &Actor, body: &Body) -> Result<(), Refusal> {
    let allowed = match body {
        // Following shows a private room in its user's list, so it follows from joining alone.
        Body::FollowRoom(_) => *actor == Actor::System,
        Body::UnfollowRoom(_) => *actor == Actor::System || actor.user() == owner,
        Body::SetReadMarker(_) | Body::PutElements(_) => actor.user() == owner,
        Body::Notify(_) => *actor == Actor::System,
        Body::CreateRoom(_)
        | Body::SetInfo(_)
        | Body::SetConfig(_)
        | Body::Join(_)
        | Body::Leave(_)
        | Body::PostMessage(_)
        | Body::EditMessage(_)
        | Body::DeleteMessage(_)
        | Body::React(_)
        | Body::Pin(_)
        | Body::SetTeams(_)
        | Body::JoinTeam(_)
        | Body::LeaveTeam(_)
        | Body::AddScore(_)
        | Body::ResetScores(_)
        | Body::SetRole(_)
        | Body::Kick(_)
        | Body::Ban(_)
        | Body::Mute(_)
        | Body::Invite(_)
        | Body::SetBadges(_)
        | Body::SetPermissions(_)
        | Body::SetConflictMode(_)
        | Body::RaiseFoldVersion(_)
        | Body::RequestFriend(_)
        | Body::AnswerFriend(_)
        | Body::RemoveFriend(_)
        | Body::BlockUser(_)
        | Body::FollowUser(_)
        | Body::SetStatus(_)
        | Body::FriendNews(_)
        | Body::FriendStatus(_)
        | Body::AddConflict(_)
        | Body::ResolveConflict(_) => false,
    };
    let full = room.inbox().len() >= limits::FOLLOWINGS;
    match body {
        _ if !allowed => Err(Code::Forbidden.into()),
        Body::FollowRoom(v1::FollowRoom { room_id, .. })
            if full && room.inbox().following(room_id).is_none() =>
        {
            Err(Code::TooManyRooms.into())
        }
        Body::PutElements(put) => room.map().admit(put).map_err(Refusal::from),
        _ => Ok(()),
    }
}

/// Moderators are exempt from slow mode, as people know it elsewhere.
fn slow_mode(room: &RoomState, member: &v1::Member, now: Millis) -> Result<(), Refusal> {
    let config = room.config();
    if !config.slow_mode_enabled || may_moderate(member) || member.posted_at == 0 {
        return Ok(());
    }
    let interval = u64::from(config.slow_mode_duration) * 1_000;
    match interval.saturating_sub(now.since(Millis(member.posted_at))) {
        0 => Ok(()),
        retry_after => Err(Refusal { code: Code::SlowMode, retry_after }),
    }
}

/// A mode that nobody enforces would be a false promise; so it can't be switched on.
fn enforceable(config: &v1::SetConfig) -> Result<(), Refusal> {
    let promised = [config.subscriber_only, config.follower_only, config.emote_only];
    if promised.contains(&Some(true)) { Err(Code::InvalidRequest.into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
