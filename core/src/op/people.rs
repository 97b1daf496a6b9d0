//! Checks of the operations about people: memberships, sanctions, friends, teams.

use super::Body;
use crate::{Code, UserId, limits, text, v1};

/// Checks what can be checked without the room. Other operations than those about people are refused.
pub(super) fn check(body: &Body) -> Result<(), Code> {
    match body {
        Body::SetRole(set) => {
            user(&set.user)?;
            v1::Role::try_from(set.role).map(drop).map_err(|_| Code::InvalidRequest)
        }
        Body::Kick(kick) => {
            user(&kick.user)?;
            text::topic(&kick.reason).map(drop)
        }
        Body::Ban(v1::Ban { user: whom, until, reason, .. })
        | Body::Mute(v1::Mute { user: whom, until, reason, .. }) => {
            user(whom)?;
            countable(*until)?;
            text::topic(reason).map(drop)
        }
        Body::Invite(invite) => user(&invite.user),
        Body::SetBadges(set) => {
            user(&set.user)?;
            let fits = set.badges.len() <= limits::BADGES && set.badges.iter().all(|badge| is_badge(badge));
            if fits && is_color(&set.color) { Ok(()) } else { Err(Code::InvalidRequest) }
        }
        Body::SetPermissions(set) => {
            let role = v1::Role::try_from(set.role).map_err(|_| Code::InvalidRequest)?;
            let known = |number: &i32| (1..=v1::Capability::Administer as i32).contains(number);
            let fits = set.capabilities.len() <= v1::Capability::Administer as usize
                && set.capabilities.iter().all(known);
            // An owner may do everything; who is none can be made one.
            if fits && role != v1::Role::Owner { Ok(()) } else { Err(Code::InvalidRequest) }
        }
        Body::RequestFriend(v1::RequestFriend { user: whom })
        | Body::AnswerFriend(v1::AnswerFriend { user: whom, .. })
        | Body::RemoveFriend(v1::RemoveFriend { user: whom })
        | Body::BlockUser(v1::BlockUser { user: whom, .. })
        | Body::FollowUser(v1::FollowUser { user: whom, .. })
        | Body::FriendNews(v1::FriendNews { user: whom, .. }) => user(whom),
        Body::SetStatus(set) => status(set.availability, &set.text, set.until),
        Body::FriendStatus(v1::FriendStatus { user: whom, status: told, .. }) => {
            user(whom)?;
            told.as_ref().map_or(Ok(()), |told| status(told.availability, &told.text, told.until))
        }
        Body::SetTeams(set) => {
            let within = set.teams.len() <= limits::TEAMS;
            if within {
                set.teams.iter().try_for_each(|team| text::name(team).map(drop))
            } else {
                Err(Code::TeamFull)
            }
        }
        Body::JoinTeam(join) => join.team.as_deref().map_or(Ok(()), |team| text::name(team).map(drop)),
        Body::AddScore(add) => {
            countable(add.points)?;
            add.user.as_deref().map_or(Ok(()), user)
        }
        Body::LeaveTeam(_) | Body::ResetScores(_) => Ok(()),
        _ => Err(Code::InvalidOp),
    }
}

fn user(id: &str) -> Result<(), Code> {
    UserId::new(id).map(drop)
}

fn countable(number: u64) -> Result<(), Code> {
    if number < limits::INTEGER_BOUND { Ok(()) } else { Err(Code::InvalidRequest) }
}

fn status(availability: i32, words: &str, until: u64) -> Result<(), Code> {
    text::topic(words)?;
    countable(until)?;
    v1::Availability::try_from(availability).map(drop).map_err(|_| Code::InvalidRequest)
}

/// Lower-case letters, digits, dashes and underscores.
fn is_badge(badge: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    (1..=limits::BADGE_BYTES).contains(&badge.len()) && badge.bytes().all(allowed)
}

/// "#RRGGBB", or empty.
fn is_color(color: &str) -> bool {
    match color.as_bytes() {
        [] => true,
        [b'#', digits @ ..] => digits.len() == 6 && digits.iter().all(u8::is_ascii_hexdigit),
        _ => false,
    }
}
