//! What stands between a member and a message: sanctions, permissions, and the modes of the room.

use super::role::{may, member};
use super::{Actor, Refusal};
use crate::op::Body;
use crate::state::RoomState;
use crate::{Code, Millis, text, v1};
use v1::Capability;

/// Badges by which a member may write where only subscribers may.
const SUBSCRIBERS: [&str; 3] = ["subscriber", "vip", "moderator"];

/// Whether the actor may write by this capability now: is a member, not banned, not muted, and has it.
///
/// # Errors
/// The reason, and for how long a mute lasts.
pub fn may_write<'a>(
    room: &'a RoomState,
    actor: &Actor,
    capability: Capability,
    now: Millis,
) -> Result<&'a v1::Member, Refusal> {
    not_banned(room, actor, now)?;
    let member = member(room, actor)?;
    not_muted(room, actor, now)?;
    if may(room, actor, capability) { Ok(member) } else { Err(Code::Forbidden.into()) }
}

pub(super) fn not_banned(room: &RoomState, actor: &Actor, now: Millis) -> Result<(), Refusal> {
    match room.access().bans().left(actor.user(), now) {
        Some(retry_after) => Err(Refusal { code: Code::Banned, retry_after }),
        None => Ok(()),
    }
}

fn not_muted(room: &RoomState, actor: &Actor, now: Millis) -> Result<(), Refusal> {
    match room.access().mutes().left(actor.user(), now) {
        Some(retry_after) => Err(Refusal { code: Code::Muted, retry_after }),
        None => Ok(()),
    }
}

/// Whether the actor may send signals: whoever may read the room, unless they are kept out, muted, or the role of
/// members (of which visitors have less) may not.
pub fn may_signal(room: &RoomState, actor: &Actor, now: Millis) -> bool {
    let role_may = match room.members().get(actor.user()) {
        Some(_) => may(room, actor, Capability::Signal),
        None => {
            let of_members = room.access().permissions(v1::Role::Member);
            let of_members = of_members.unwrap_or(super::defaults(v1::Role::Member));
            actor.facts().is_admin || of_members & (1 << Capability::Signal as u32) != 0
        }
    };
    super::may_read(actor, room)
        && role_may
        && not_banned(room, actor, now).is_ok()
        && not_muted(room, actor, now).is_ok()
}

/// Who moderates is exempt from the modes, as people know it elsewhere.
fn is_exempt(room: &RoomState, actor: &Actor) -> bool {
    may(room, actor, Capability::Moderate)
}

/// Subscriber-only, follower-only, emote-only.
pub(super) fn modes(room: &RoomState, actor: &Actor, member: &v1::Member, text: &str) -> Result<(), Refusal> {
    let config = room.config();
    if is_exempt(room, actor) {
        return Ok(());
    }
    let subscribes = || member.badges.iter().any(|badge| SUBSCRIBERS.contains(&badge.as_str()));
    if config.subscriber_only && !subscribes() {
        return Err(Code::SubscriberOnly.into());
    }
    if config.follower_only && actor.facts().follows_owner != Some(true) {
        return Err(Code::FollowerOnly.into());
    }
    if config.emote_only && !text::is_emotes(text) {
        return Err(Code::EmoteOnly.into());
    }
    Ok(())
}

/// Whether the answer hangs on whether the actor follows the room's owner.
pub fn asks_for_followers(room: &RoomState, actor: &Actor, body: &Body) -> bool {
    matches!(body, Body::PostMessage(_) | Body::EditMessage(_))
        && room.config().follower_only
        && actor.facts().follows_owner.is_none()
        && room.members().get(actor.user()).is_some()
        && !is_exempt(room, actor)
}

pub(super) fn slow_mode(
    room: &RoomState,
    actor: &Actor,
    member: &v1::Member,
    now: Millis,
) -> Result<(), Refusal> {
    let config = room.config();
    if !config.slow_mode_enabled || member.posted_at == 0 || is_exempt(room, actor) {
        return Ok(());
    }
    let interval = u64::from(config.slow_mode_duration) * 1_000;
    match interval.saturating_sub(now.since(Millis(member.posted_at))) {
        0 => Ok(()),
        retry_after => Err(Refusal { code: Code::SlowMode, retry_after }),
    }
}
