use super::{Actor, Refusal};
use crate::op::Body;
use crate::state::RoomState;
use crate::{Code, OpId, limits, v1};
use v1::FriendState;

/// Who may do what in a user's inbox: the owner about themself, the server what it follows up, nobody else anything.
pub(super) fn may_submit(room: &RoomState, owner: &str, actor: &Actor, body: &Body) -> Result<(), Refusal> {
    let is_owner = actor.user() == owner;
    let is_system = *actor == Actor::System;
    let allowed = match body {
        // Following shows a private room in its user's list, so it follows from joining alone.
        Body::FollowRoom(_) => is_system,
        Body::UnfollowRoom(_) => is_system || is_owner,
        Body::SetReadMarker(_) | Body::PutElements(_) => is_owner,
        Body::Notify(_) | Body::FriendNews(_) | Body::FriendStatus(_) | Body::AddConflict(_) => is_system,
        Body::ResolveConflict(_) => is_system || is_owner,
        Body::RequestFriend(_)
        | Body::AnswerFriend(_)
        | Body::RemoveFriend(_)
        | Body::BlockUser(_)
        | Body::FollowUser(_)
        | Body::SetStatus(_) => is_owner,
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
        | Body::RaiseFoldVersion(_) => false,
    };
    let full = room.inbox().len() >= limits::FOLLOWINGS;
    match body {
        _ if !allowed => Err(Code::Forbidden.into()),
        Body::FollowRoom(v1::FollowRoom { room_id, .. })
            if full && room.inbox().following(room_id).is_none() =>
        {
            Err(Code::TooManyRooms.into())
        }
        // What the server resolves again is settled already; whoever chooses is told.
        Body::ResolveConflict(resolve) if !is_system => match OpId::parse(resolve.conflict_id.as_ref()) {
            Ok(id) if room.conflicts().is_open(id) => Ok(()),
            _ => Err(Code::UnknownConflict.into()),
        },
        Body::PutElements(put) => room.map().admit(put).map_err(Refusal::from),
        _ => about_users(room, owner, body).map_err(Refusal::from),
    }
}

/// Friends, blocks and follows: of somebody else, within bounds, and only where there is something to change.
fn about_users(room: &RoomState, owner: &str, body: &Body) -> Result<(), Code> {
    let contacts = room.contacts();
    let somebody = |user: &str| if user == owner { Err(Code::InvalidRequest) } else { Ok(()) };
    let known = |is: bool| if is { Ok(()) } else { Err(Code::UnknownUser) };
    let within = |is: bool| if is { Ok(()) } else { Err(Code::TooManyFriends) };
    let may_add = || within(contacts.friends() < limits::FRIENDS);
    match body {
        Body::RequestFriend(v1::RequestFriend { user }) => {
            somebody(user)?;
            match contacts.friend(user) {
                _ if contacts.is_blocked(user) => Err(Code::Blocked),
                FriendState::Requested | FriendState::Friends => Ok(()),
                FriendState::None | FriendState::Pending => {
                    may_add()?;
                    within(contacts.has_place(user))
                }
            }
        }
        Body::AnswerFriend(v1::AnswerFriend { user, accepted }) => {
            known(contacts.friend(user) == FriendState::Pending)?;
            if *accepted { may_add() } else { Ok(()) }
        }
        Body::RemoveFriend(v1::RemoveFriend { user }) => {
            known(matches!(contacts.friend(user), FriendState::Requested | FriendState::Friends))
        }
        Body::BlockUser(v1::BlockUser { user, lifted: taken_back })
        | Body::FollowUser(v1::FollowUser { user, removed: taken_back }) => {
            somebody(user)?;
            if *taken_back { Ok(()) } else { within(contacts.has_place(user)) }
        }
        _ => Ok(()),
    }
}
