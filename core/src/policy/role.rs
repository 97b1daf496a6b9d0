//! Roles, what each may do, and who stands above whom.

use super::{Actor, Refusal};
use crate::state::RoomState;
use crate::{Code, v1};
use v1::{Capability, Role};

/// A set of capabilities as bits: by its number.
const fn bits(capabilities: &[Capability]) -> u32 {
    let (mut bits, mut at) = (0, 0);
    while at < capabilities.len() {
        bits |= 1 << capabilities[at] as u32;
        at += 1;
    }
    bits
}

const MEMBER: u32 =
    bits(&[Capability::Post, Capability::React, Capability::Draw, Capability::Play, Capability::Signal]);
const MODERATOR: u32 =
    MEMBER | bits(&[Capability::Pin, Capability::Moderate, Capability::Invite, Capability::Configure]);
const OWNER: u32 = MODERATOR | bits(&[Capability::Administer]);

/// What a role may do where a room says nothing else, as bits by the capabilities' numbers.
pub fn defaults(role: Role) -> u32 {
    match role {
        Role::Member => MEMBER,
        Role::Moderator => MODERATOR,
        Role::Owner => OWNER,
    }
}

/// Whether the actor's role allows this in the room; the server itself and its administrators may do everything.
/// Whether they may just now (not muted, not in slow mode) is [`may_submit`](super::may_submit)'s to say.
pub fn may(room: &RoomState, actor: &Actor, capability: Capability) -> bool {
    let Some(member) = room.members().get(actor.user()) else { return actor.facts().is_admin };
    let granted = match member.role() {
        // Else a room could be left without anybody who may change that.
        Role::Owner => OWNER,
        role => room.access().permissions(role).unwrap_or(defaults(role)),
    };
    actor.facts().is_admin || granted & bits(&[capability]) != 0
}

/// Where somebody stands: 0 outside, then members, moderators, owners, and last who administers the server. Who is to
/// be moderated must stand lower.
pub fn rank(room: &RoomState, actor: &Actor) -> u32 {
    if actor.facts().is_admin { u32::MAX } else { rank_of(room, actor.user()) }
}

fn rank_of(room: &RoomState, user: &str) -> u32 {
    room.members().get(user).map_or(0, |member| place(member.role()))
}

fn place(role: Role) -> u32 {
    role as u32 + 1
}

pub(super) fn member<'a>(room: &'a RoomState, actor: &Actor) -> Result<&'a v1::Member, Refusal> {
    room.members().get(actor.user()).ok_or(Code::NotMember.into())
}

pub(super) fn needs(room: &RoomState, actor: &Actor, capability: Capability) -> Result<(), Refusal> {
    if may(room, actor, capability) {
        return Ok(());
    }
    member(room, actor)?;
    Err(Code::Forbidden.into())
}

pub(super) fn outranks(room: &RoomState, actor: &Actor, user: &str) -> Result<(), Refusal> {
    if rank(room, actor) > rank_of(room, user) { Ok(()) } else { Err(Code::Forbidden.into()) }
}

/// A role up to one's own may be given to whoever stands lower. An owner may step down while there is another.
pub(super) fn may_set_role(room: &RoomState, actor: &Actor, set: &v1::SetRole) -> Result<(), Refusal> {
    needs(room, actor, Capability::Administer)?;
    let target = room.members().get(&set.user).ok_or(Code::UnknownUser)?;
    if set.user == actor.user() {
        let is_last = target.role() == Role::Owner && room.members().owners() == 1;
        return if is_last || set.role > target.role { Err(Code::Forbidden.into()) } else { Ok(()) };
    }
    outranks(room, actor, &set.user)?;
    if place(set.role()) <= rank(room, actor) { Ok(()) } else { Err(Code::Forbidden.into()) }
}

/// The permissions of lower roles, and no capability that one does not have oneself.
pub(super) fn may_set_permissions(
    room: &RoomState,
    actor: &Actor,
    set: &v1::SetPermissions,
) -> Result<(), Refusal> {
    needs(room, actor, Capability::Administer)?;
    let lower = set.role() != Role::Owner && place(set.role()) < rank(room, actor);
    if lower
        && set
            .capabilities
            .iter()
            .all(|number| Capability::try_from(*number).is_ok_and(|capability| may(room, actor, capability)))
    {
        Ok(())
    } else {
        Err(Code::Forbidden.into())
    }
}

/// One's own colour is one's own; badges mean something to the modes of a room, so they are given.
pub(super) fn may_set_badges(room: &RoomState, actor: &Actor, set: &v1::SetBadges) -> Result<(), Refusal> {
    let target = room.members().get(&set.user).ok_or(Code::UnknownUser)?;
    if set.user == actor.user() {
        return if set.badges == target.badges { Ok(()) } else { needs(room, actor, Capability::Configure) };
    }
    needs(room, actor, Capability::Configure)?;
    outranks(room, actor, &set.user)
}
