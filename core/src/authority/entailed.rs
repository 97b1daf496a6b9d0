//! What an entry entails in the inboxes of users, by the state as it is with this entry.

use alloc::string::String;
use alloc::vec::Vec;

use crate::op::{self, Body};
use crate::{Entry, Position, RoomState, UserId, text, v1};
use v1::{FriendEvent, FriendState, NotificationKind};

/// Joining is following, and the end of a membership the end of it. Whom a message mentions is told, if they are
/// members; and so is who is invited or moderated. What changes in one inbox about another user, that user's is told.
pub(super) fn entailed(room: &RoomState, entry: &Entry) -> Vec<(UserId, Body)> {
    let mut told = Entailed { room, entry, out: Vec::new() };
    match &entry.body {
        Some(Body::CreateRoom(_) | Body::Join(_)) => {
            let (room_id, as_of) = (told.room_id(), told.as_of());
            told.tell(&entry.author, Body::FollowRoom(v1::FollowRoom { room_id, as_of }));
        }
        Some(Body::Leave(_)) => told.end_following(&entry.author),
        Some(Body::PostMessage(post)) => told.mentions(post),
        Some(Body::EditMessage(edit)) => told.edited(edit),
        Some(Body::Invite(invite)) if !invite.withdrawn => {
            let name = room.info().map_or("", |info| &info.name);
            told.notify(&invite.user, NotificationKind::Invite, name.into());
        }
        Some(Body::SetRole(set)) => {
            let role = match set.role() {
                v1::Role::Member => "member",
                v1::Role::Moderator => "moderator",
                v1::Role::Owner => "owner",
            };
            told.moderated(&set.user, "role", role);
        }
        Some(Body::Kick(kick)) => {
            told.end_following(&kick.user);
            told.moderated(&kick.user, "kick", &kick.reason);
        }
        Some(Body::Ban(ban)) if !ban.lifted => {
            told.end_following(&ban.user);
            told.moderated(&ban.user, "ban", &ban.reason);
        }
        Some(Body::Mute(mute)) if !mute.lifted => told.moderated(&mute.user, "mute", &mute.reason),
        Some(body) if room.id().inbox_owner().is_some() => told.contacts(body),
        _ => {}
    }
    told.out
}

/// The message that an entry changes, if it is held.
pub(super) fn target<'a>(room: &'a RoomState, entry: &Entry) -> Option<&'a v1::Message> {
    let (id, _) = op::target(entry.body.as_ref()?)?;
    room.timeline().find(id).map(|message| &**message)
}

struct Entailed<'a> {
    room: &'a RoomState,
    entry: &'a Entry,
    out: Vec<(UserId, Body)>,
}

impl Entailed<'_> {
    fn tell(&mut self, user: &str, body: Body) {
        if let Ok(user) = UserId::new(user) {
            self.out.push((user, body));
        }
    }

    fn room_id(&self) -> String {
        self.room.id().as_str().into()
    }

    fn as_of(&self) -> Option<v1::Position> {
        Some(Position { epoch: self.room.position().epoch, seq: self.entry.seq }.wire())
    }

    fn end_following(&mut self, user: &str) {
        let (room_id, as_of) = (self.room_id(), self.as_of());
        self.tell(user, Body::UnfollowRoom(v1::UnfollowRoom { room_id, as_of }));
    }

    /// What was done, by a word that stays the same, and why.
    fn moderated(&mut self, user: &str, deed: &str, reason: &str) {
        let excerpt = if reason.is_empty() { deed.into() } else { alloc::format!("{deed}: {reason}") };
        self.notify(user, NotificationKind::Moderation, excerpt);
    }

    fn notify(&mut self, user: &str, kind: NotificationKind, excerpt: String) {
        // Nobody is notified of what they did themselves.
        if user == self.entry.author {
            return;
        }
        let notify = v1::Notify {
            room_id: self.room_id(),
            message_id: Some(self.entry.op_id.wire()),
            ordinal: self.entry.ordinal,
            author: self.entry.author.clone(),
            author_name: self.entry.author_name.clone(),
            excerpt,
            at: self.entry.at.0,
            kind: kind.into(),
        };
        self.tell(user, Body::Notify(notify));
    }

    fn mentions(&mut self, post: &v1::PostMessage) {
        for user in self.mentioned(&post.mentions) {
            self.notify(user, NotificationKind::Mention, text::excerpt(&post.text).into());
        }
    }

    /// Whom an edit mentions is told of the message. Who was told already, or has read on, is not told again: inboxes
    /// know its ordinal.
    fn edited(&mut self, edit: &v1::EditMessage) {
        let Some(message) = target(self.room, self.entry).filter(|message| !message.deleted) else { return };
        for user in self.mentioned(&edit.mentions).into_iter().filter(|user| *user != message.author) {
            let notify = v1::Notify {
                room_id: self.room_id(),
                message_id: message.id,
                ordinal: message.ordinal,
                author: message.author.clone(),
                author_name: message.author_name.clone(),
                excerpt: text::excerpt(&edit.text).into(),
                at: message.at,
                kind: NotificationKind::Mention.into(),
            };
            self.tell(user, Body::Notify(notify));
        }
    }

    /// The members among them, once each.
    fn mentioned<'m>(&self, mentions: &'m [String]) -> Vec<&'m str> {
        let mut mentioned: Vec<&str> = mentions.iter().map(|user| user.as_str()).collect();
        mentioned.sort_unstable();
        mentioned.dedup();
        mentioned.retain(|user| self.room.members().get(user).is_some());
        mentioned
    }

    /// What an inbox says about another user, to that user's inbox.
    fn contacts(&mut self, body: &Body) {
        let contacts = self.room.contacts();
        match body {
            Body::RequestFriend(v1::RequestFriend { user }) => match contacts.friend(user) {
                FriendState::Friends => self.befriended(user),
                FriendState::Requested => self.news(user, FriendEvent::Requested),
                FriendState::None | FriendState::Pending => {}
            },
            Body::AnswerFriend(v1::AnswerFriend { user, accepted: true }) => self.befriended(user),
            Body::AnswerFriend(v1::AnswerFriend { user, accepted: false }) => {
                self.news(user, FriendEvent::Declined);
            }
            Body::RemoveFriend(v1::RemoveFriend { user }) => self.news(user, FriendEvent::Removed),
            // The other side need not know of a block: what there was is at an end, and that is all it sees.
            Body::BlockUser(v1::BlockUser { user, lifted: false }) => self.news(user, FriendEvent::Declined),
            Body::FollowUser(v1::FollowUser { user, removed }) => {
                self.news(user, if *removed { FriendEvent::Unfollowed } else { FriendEvent::Followed });
            }
            Body::SetStatus(_) => {
                let friends = contacts.iter().filter(|contact| contact.friend() == FriendState::Friends);
                friends.for_each(|friend| self.status(&friend.user));
            }
            Body::FriendNews(news) => match (news.event(), contacts.friend(&news.user)) {
                (FriendEvent::Requested, FriendState::Friends) => self.befriended(&news.user),
                (FriendEvent::Accepted, FriendState::Friends) => self.status(&news.user),
                (FriendEvent::Declined | FriendEvent::Removed, _) => {
                    self.news(&news.user, FriendEvent::Withdrawn);
                }
                _ => {}
            },
            _ => {}
        }
    }

    fn befriended(&mut self, user: &str) {
        self.news(user, FriendEvent::Accepted);
        self.status(user);
    }

    fn news(&mut self, to: &str, event: FriendEvent) {
        let user: String = self.room.id().inbox_owner().unwrap_or_default().into();
        // Empty where the entry is the server's own, which does not know the owner's name.
        let user_name = self.entry.author_name.clone();
        let news = v1::FriendNews { user, user_name, event: event.into(), as_of: self.as_of() };
        self.tell(to, Body::FriendNews(news));
    }

    /// Who is invisible shows no status.
    fn status(&mut self, to: &str) {
        let user = self.room.id().inbox_owner().unwrap_or_default().into();
        let shown = |status: &&v1::Status| status.availability() != v1::Availability::Invisible;
        let status = self.room.contacts().status().filter(shown).cloned();
        self.tell(to, Body::FriendStatus(v1::FriendStatus { user, status, as_of: self.as_of() }));
    }
}
