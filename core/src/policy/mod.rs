//! Who may do what: one code, by which a client predicts and an authority decides.
#![doc = include_str!("../docs/policy.md")]

mod actor;
mod inbox;
mod message;
mod role;
mod write;

pub use actor::{Actor, Facts, Refusal};
pub use role::{defaults, may, rank};
pub use write::{asks_for_followers, may_signal, may_write};

use crate::op::Body;
use crate::state::RoomState;
use crate::{Code, Millis, limits, v1};
use v1::Capability;

/// Whether this actor may see the room: its state, history, head and presence. `false` for rooms that don't exist.
/// A ban ends membership and invitation, so it closes a private room; what is public stays readable to all.
pub fn may_read(actor: &Actor, room: &RoomState) -> bool {
    if let Some(owner) = room.id().inbox_owner() {
        return *actor == Actor::System || actor.user() == owner;
    }
    if room.id().is_server_settings() {
        return true;
    }
    match room.info() {
        Some(info) if info.visibility() == v1::Visibility::Private => {
            actor.facts().is_admin || may_user_read(actor.user(), room)
        }
        Some(_) => true,
        None => false,
    }
}

/// Whether this user may see a private room.
pub(crate) fn may_user_read(user: &str, room: &RoomState) -> bool {
    room.members().get(user).is_some() || room.access().is_invited(user)
}

/// Whether this actor may do this now. `now` is the authority's time; a client that predicts uses its estimate of it.
///
/// # Errors
/// The reason, and the time to wait where waiting helps.
pub fn may_submit(room: &RoomState, actor: &Actor, body: &Body, now: Millis) -> Result<(), Refusal> {
    if let Some(owner) = room.id().inbox_owner() {
        return inbox::may_submit(room, owner, actor, body);
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
    let write = |capability| write::may_write(room, actor, capability, now);
    let needs = |capability| role::needs(room, actor, capability);
    match body {
        Body::Join(_) => join(room, actor, now),
        Body::Leave(_) => role::member(room, actor).map(drop),
        Body::PostMessage(post) => {
            let member = write(Capability::Post)?;
            write::modes(room, actor, member, &post.text)?;
            write::slow_mode(room, actor, member, now)
        }
        Body::EditMessage(edit) => {
            let member = write(Capability::Post)?;
            write::modes(room, actor, member, &edit.text)?;
            message::own(room, actor, body)
        }
        Body::DeleteMessage(_) => {
            role::member(room, actor)?;
            message::own(room, actor, body)
        }
        Body::React(react) => {
            write(Capability::React)?;
            message::react(room, actor, body, react)
        }
        Body::Pin(pin) => {
            write(Capability::Pin)?;
            message::pin(room, body, pin)
        }
        Body::PutElements(put) => {
            write(Capability::Draw)?;
            room.map().admit(put).map_err(Refusal::from)
        }
        Body::JoinTeam(join) => {
            write(Capability::Play)?;
            let is_there = |team: &str| room.counters().team(team).is_some();
            let known = join.team.as_deref().map_or(!room.counters().teams().is_empty(), is_there);
            if known { place_for(room, actor.user()) } else { Err(Code::UnknownTeam.into()) }
        }
        Body::LeaveTeam(_) => write(Capability::Play).map(drop),
        Body::AddScore(add) => match add.user.as_deref() {
            Some(user) if user != actor.user() => {
                needs(Capability::Moderate)?;
                let is_there = room.members().get(user).is_some() || room.counters().score(user).is_some();
                if is_there { place_for(room, user) } else { Err(Code::UnknownUser.into()) }
            }
            _ => {
                write(Capability::Play)?;
                place_for(room, actor.user())
            }
        },
        Body::SetInfo(_)
        | Body::SetConfig(_)
        | Body::SetTeams(_)
        | Body::ResetScores(_)
        | Body::SetConflictMode(_) => needs(Capability::Configure),
        Body::SetBadges(set) => role::may_set_badges(room, actor, set),
        Body::SetRole(set) => role::may_set_role(room, actor, set),
        Body::SetPermissions(set) => role::may_set_permissions(room, actor, set),
        Body::Kick(kick) => {
            needs(Capability::Moderate)?;
            role::outranks(room, actor, &kick.user)?;
            room.members().get(&kick.user).map(drop).ok_or(Code::UnknownUser.into())
        }
        Body::Ban(ban) => sanction(room, actor, &ban.user, ban.lifted, room.access().bans()),
        Body::Mute(mute) => sanction(room, actor, &mute.user, mute.lifted, room.access().mutes()),
        Body::Invite(invite) => may_invite(room, actor, invite, now),
        // The rules of the fold are raised by the server, when every node knows the new ones.
        Body::RaiseFoldVersion(_) if *actor == Actor::System => Ok(()),
        Body::CreateRoom(_)
        | Body::RaiseFoldVersion(_)
        | Body::FollowRoom(_)
        | Body::UnfollowRoom(_)
        | Body::Notify(_)
        | Body::SetReadMarker(_)
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

fn place_for(room: &RoomState, user: &str) -> Result<(), Refusal> {
    if room.counters().has_place(user) { Ok(()) } else { Err(Code::TeamFull.into()) }
}

fn join(room: &RoomState, actor: &Actor, now: Millis) -> Result<(), Refusal> {
    let Actor::User { id, .. } = actor else { return Err(Code::Forbidden.into()) };
    if room.members().get(id.as_str()).is_some() {
        return Ok(());
    }
    write::not_banned(room, actor, now)?;
    if !may_read(actor, room) {
        return Err(Code::Forbidden.into());
    }
    let capacity = match room.config().capacity as usize {
        0 => limits::MEMBERS,
        asked => asked.min(limits::MEMBERS),
    };
    if room.members().len() >= capacity { Err(Code::RoomFull.into()) } else { Ok(()) }
}

/// Whether a ban or mute may be imposed, or lifted.
fn sanction(
    room: &RoomState,
    actor: &Actor,
    user: &str,
    lifted: bool,
    held: &crate::state::Sanctions,
) -> Result<(), Refusal> {
    role::needs(room, actor, Capability::Moderate)?;
    let known = held.get(user).is_some();
    if lifted {
        return if known { Ok(()) } else { Err(Code::UnknownUser.into()) };
    }
    role::outranks(room, actor, user)?;
    if !known && held.is_full(room.last_at()) { Err(Code::ListFull.into()) } else { Ok(()) }
}

fn may_invite(room: &RoomState, actor: &Actor, invite: &v1::Invite, now: Millis) -> Result<(), Refusal> {
    role::needs(room, actor, Capability::Invite)?;
    let is_invited = room.access().is_invited(&invite.user);
    if invite.withdrawn {
        return if is_invited { Ok(()) } else { Err(Code::UnknownUser.into()) };
    }
    if room.access().bans().left(&invite.user, now).is_some() {
        return Err(Code::Banned.into());
    }
    // Who is in needs no invitation, and who has one no second.
    if is_invited || room.members().get(&invite.user).is_some() {
        return Err(Code::InvalidRequest.into());
    }
    if room.access().invited_count() >= limits::INVITED { Err(Code::ListFull.into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
