use alloc::string::{String, ToString};
use alloc::vec::Vec;

use prost::Message as _;

use super::register;
use crate::op::Body;
use crate::sorted::SortedMap;
use crate::{Digest, Entry, Position, hash53, limits, v1};
use v1::{FriendEvent, FriendState, NotificationKind};

/// What a user's inbox knows of other users: friends, requests, blocks, follows; and the user's own status.
#[derive(Clone, Debug, Default)]
pub struct Contacts {
    by_user: SortedMap<String, v1::Contact>,
    status: Option<v1::Status>,
}

/// What happens to a friendship, seen from one of its two inboxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The owner wants it.
    Wants,
    /// The owner wants it no longer, or declines.
    Ends,
    /// The other wants it.
    IsWanted,
    /// The other has ended it.
    IsEnded,
    /// The other knows that it is ended.
    IsWithdrawn,
}

/// A state is what both sides want, as far as this one knows: nobody, the owner (REQUESTED), the other (PENDING), or
/// both (FRIENDS). Each side tells the other whenever its own wish changes, and the latest word counts; so both come to
/// the same, in whatever order they hear.
fn next(state: FriendState, step: Step) -> FriendState {
    use FriendState::{Friends, None, Pending, Requested};
    match (step, state) {
        (Step::Wants, None | Requested) => Requested,
        (Step::Wants, Pending | Friends) => Friends,
        (Step::IsWanted, None | Pending) => Pending,
        (Step::IsWanted, Requested | Friends) => Friends,
        (Step::Ends | Step::IsEnded, None | Requested | Pending | Friends) => None,
        (Step::IsWithdrawn, None | Pending) => None,
        (Step::IsWithdrawn, Requested | Friends) => Requested,
    }
}

impl Contacts {
    /// What is known of this user.
    pub fn get(&self, user: &str) -> Option<&v1::Contact> {
        self.by_user.get(user)
    }

    /// Of everybody of whom something is known, ascending by user id.
    pub fn iter(&self) -> impl Iterator<Item = &v1::Contact> {
        self.by_user.values().filter(|contact| !is_empty(contact))
    }

    /// The status of the inbox's owner, as they have set it; whether it has ended is for the reader to see.
    pub fn status(&self) -> Option<&v1::Status> {
        self.status.as_ref()
    }

    /// Whether the owner has blocked this user.
    pub fn is_blocked(&self, user: &str) -> bool {
        self.get(user).is_some_and(|contact| contact.blocked)
    }

    /// Whether the owner follows this user.
    pub fn follows(&self, user: &str) -> bool {
        self.get(user).is_some_and(|contact| contact.following)
    }

    /// How the owner and this user stand to each other.
    pub fn friend(&self, user: &str) -> FriendState {
        self.get(user).map_or(FriendState::None, |contact| contact.friend())
    }

    /// Friends, and users asked to be.
    pub fn friends(&self) -> usize {
        self.count(|state| matches!(state, FriendState::Requested | FriendState::Friends))
    }

    /// Whether something could be noted of this user.
    pub fn has_place(&self, user: &str) -> bool {
        self.get(user).is_some() || self.by_user.len() < limits::CONTACTS || self.dispensable().is_some()
    }

    /// Whether the operation would change nothing. By this, what the server repeats leaves no trace in the log.
    pub(super) fn is_settled(&self, body: &Body) -> bool {
        match body {
            // Who asks again is told of again: there may have been no place the first time.
            Body::RequestFriend(v1::RequestFriend { user }) => self.friend(user) == FriendState::Friends,
            Body::BlockUser(block) => self.is_blocked(&block.user) != block.lifted,
            Body::FollowUser(follow) => self.follows(&follow.user) != follow.removed,
            Body::SetStatus(set) => self.status == status(set),
            Body::FriendNews(news) => !self.takes(news),
            Body::FriendStatus(news) => {
                let known = self.get(&news.user);
                known.is_none_or(|known| {
                    is_overtaken(&known.status_as_of, &news.as_of)
                        || !matches!(known.friend(), FriendState::Requested | FriendState::Friends)
                })
            }
            _ => false,
        }
    }

    fn takes(&self, news: &v1::FriendNews) -> bool {
        let known = self.get(&news.user);
        let old = match news.event() {
            FriendEvent::Followed | FriendEvent::Unfollowed => {
                known.is_some_and(|known| is_overtaken(&known.follow_as_of, &news.as_of))
            }
            FriendEvent::Unspecified => true,
            FriendEvent::Requested
            | FriendEvent::Accepted
            | FriendEvent::Declined
            | FriendEvent::Removed
            | FriendEvent::Withdrawn => known.is_some_and(|known| is_overtaken(&known.as_of, &news.as_of)),
        };
        let is_one_too_many = news.event() == FriendEvent::Requested
            && self.friend(&news.user) == FriendState::None
            && self.count(|state| state == FriendState::Pending) >= limits::FRIENDS;
        !old && !is_one_too_many && !self.is_blocked(&news.user) && self.has_place(&news.user)
    }

    /// Folds an operation about other users, and says what the owner is to be notified of.
    pub(super) fn apply(&mut self, entry: &Entry, digest: &mut Digest) -> Option<NotificationKind> {
        match entry.body.as_ref()? {
            Body::RequestFriend(ask) => self.step(entry, &ask.user, Step::Wants, digest),
            Body::AnswerFriend(answer) => {
                let step = if answer.accepted { Step::Wants } else { Step::Ends };
                self.step(entry, &answer.user, step, digest);
            }
            Body::RemoveFriend(remove) => self.step(entry, &remove.user, Step::Ends, digest),
            Body::BlockUser(block) => {
                if !block.lifted {
                    self.step(entry, &block.user, Step::Ends, digest);
                }
                self.change(&block.user, digest, |contact| contact.blocked = !block.lifted);
            }
            Body::FollowUser(follow) => {
                self.change(&follow.user, digest, |contact| contact.following = !follow.removed);
            }
            Body::SetStatus(set) => {
                digest.remove(status_hash(&self.status));
                self.status = status(set);
                digest.add(status_hash(&self.status));
            }
            Body::FriendNews(news) if self.takes(news) => return self.news(entry, news, digest),
            Body::FriendStatus(news) if !self.is_settled(entry.body.as_ref()?) => {
                self.change(&news.user, digest, |contact| {
                    contact.status.clone_from(&news.status);
                    contact.status_as_of = news.as_of;
                });
            }
            _ => {}
        }
        None
    }

    fn news(
        &mut self,
        entry: &Entry,
        news: &v1::FriendNews,
        digest: &mut Digest,
    ) -> Option<NotificationKind> {
        let before = self.friend(&news.user);
        let step = match news.event() {
            FriendEvent::Requested | FriendEvent::Accepted => Step::IsWanted,
            FriendEvent::Declined | FriendEvent::Removed => Step::IsEnded,
            FriendEvent::Withdrawn => Step::IsWithdrawn,
            event @ (FriendEvent::Followed | FriendEvent::Unfollowed | FriendEvent::Unspecified) => {
                self.change(&news.user, digest, |contact| {
                    rename(contact, news);
                    contact.follower = event == FriendEvent::Followed;
                    contact.follow_as_of = news.as_of;
                });
                return None;
            }
        };
        self.step(entry, &news.user, step, digest);
        self.change(&news.user, digest, |contact| {
            rename(contact, news);
            contact.as_of = news.as_of;
        });
        match (before, self.friend(&news.user)) {
            (FriendState::None, FriendState::Pending) if news.event() == FriendEvent::Requested => {
                Some(NotificationKind::FriendRequest)
            }
            (FriendState::Requested, FriendState::Friends) => Some(NotificationKind::FriendAccepted),
            _ => None,
        }
    }

    fn step(&mut self, entry: &Entry, user: &str, step: Step, digest: &mut Digest) {
        let (before, at) = (self.friend(user), entry.at.0);
        let after = next(before, step);
        self.change(user, digest, |contact| {
            if before != after {
                contact.set_friend(after);
                contact.since = at;
            }
            if after == FriendState::None {
                contact.status = None;
            }
        });
    }

    /// Changes one register, and the digest by its old and its new hash.
    fn change(&mut self, user: &str, digest: &mut Digest, change: impl FnOnce(&mut v1::Contact)) {
        if !self.has_place(user) {
            return;
        }
        if self.get(user).is_none()
            && self.by_user.len() >= limits::CONTACTS
            && let Some(gone) = self.dispensable()
            && let Some(gone) = self.by_user.remove(&gone)
        {
            digest.remove(hash(&gone));
        }
        let contact = self.by_user.entry(user.to_string()).or_default();
        if contact.user.is_empty() {
            contact.user.push_str(user);
        } else {
            digest.remove(hash(contact));
        }
        change(contact);
        digest.add(hash(contact));
    }

    /// Whose place another may take: of whom nothing is known any more, or else a mere follower; the oldest first.
    fn dispensable(&self) -> Option<String> {
        let mere = |contact: &&v1::Contact| {
            contact.friend() == FriendState::None && !contact.blocked && !contact.following
        };
        let oldest =
            self.by_user.values().filter(mere).min_by_key(|contact| (contact.follower, contact.since));
        oldest.map(|contact| contact.user.clone())
    }

    fn count(&self, counts: impl Fn(FriendState) -> bool) -> usize {
        self.by_user.values().filter(|contact| counts(contact.friend())).count()
    }

    pub(super) fn snapshot(&self, whole: &mut v1::RoomSnapshot) {
        whole.contacts = self.by_user.values().cloned().collect();
        whole.status.clone_from(&self.status);
    }

    /// Takes these parts out of a snapshot; `None` when there are more than an inbox may have.
    pub(super) fn restore(whole: &mut v1::RoomSnapshot, digest: &mut Digest) -> Option<Contacts> {
        let mut contacts = Contacts { status: whole.status.take(), ..Contacts::default() };
        digest.add(status_hash(&contacts.status));
        if whole.contacts.len() > limits::CONTACTS {
            return None;
        }
        let all: Vec<v1::Contact> = core::mem::take(&mut whole.contacts);
        for contact in all {
            digest.add(hash(&contact));
            if let Some(twice) = contacts.by_user.insert(contact.user.clone(), contact) {
                digest.remove(hash(&twice));
            }
        }
        Some(contacts)
    }
}

fn rename(contact: &mut v1::Contact, news: &v1::FriendNews) {
    if !news.user_name.is_empty() {
        contact.name.clone_from(&news.user_name);
    }
}

/// Nothing is known but that something was.
fn is_empty(contact: &v1::Contact) -> bool {
    contact.friend() == FriendState::None && !contact.blocked && !contact.following && !contact.follower
}

/// The default status counts as none.
fn status(set: &v1::SetStatus) -> Option<v1::Status> {
    let status = v1::Status { availability: set.availability, text: set.text.clone(), until: set.until };
    (status != v1::Status::default()).then_some(status)
}

/// Whether the other inbox has said something later. Other epochs can't be compared: there, the news counts.
fn is_overtaken(known: &Option<v1::Position>, news: &Option<v1::Position>) -> bool {
    match (known.map(Position::from), news.map(Position::from)) {
        (Some(known), Some(news)) => known.epoch == news.epoch && known.seq >= news.seq,
        _ => false,
    }
}

fn hash(contact: &v1::Contact) -> u64 {
    hash53(&contact.encode_to_vec(), register::CONTACT)
}

fn status_hash(status: &Option<v1::Status>) -> u64 {
    status.as_ref().map_or(0, |status| hash53(&status.encode_to_vec(), register::STATUS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClientId, Millis, OpId};

    fn entry(seq: u64, body: Body) -> Entry {
        let op_id = OpId { client: ClientId(1), counter: seq };
        let (author, at) = (String::from("ada"), Millis(seq));
        Entry {
            seq,
            op_id,
            author_name: author.clone(),
            author,
            at,
            ordinal: 0,
            op: Vec::new(),
            body: Some(body),
        }
    }

    fn follow(user: String) -> Body {
        Body::FollowUser(v1::FollowUser { user, removed: false })
    }

    fn followed(user: String, seq: u64) -> Body {
        let (event, as_of) = (FriendEvent::Followed.into(), Some(v1::Position { epoch: 1, seq }));
        Body::FriendNews(v1::FriendNews { user, event, as_of, ..Default::default() })
    }

    #[test]
    fn a_full_list_makes_place_by_the_oldest_follower_and_by_nobody_else() {
        let (mut contacts, mut digest) = (Contacts::default(), Digest::default());
        for number in 0..limits::CONTACTS - 1 {
            contacts.apply(&entry(number as u64, follow(alloc::format!("user-{number}"))), &mut digest);
        }
        contacts.apply(&entry(9_000, followed("fan-1".into(), 1)), &mut digest);
        contacts.apply(&entry(9_001, followed("fan-2".into(), 1)), &mut digest);
        assert!(contacts.get("fan-1").is_none() && contacts.get("fan-2").is_some());
        contacts.apply(&entry(9_002, follow("somebody".into())), &mut digest);
        assert!(contacts.get("fan-2").is_none() && contacts.follows("somebody"));
        assert!(!contacts.has_place("nobody") && contacts.follows("user-0"));
        // All that was counted is counted out again.
        let mut whole = v1::RoomSnapshot::default();
        contacts.snapshot(&mut whole);
        let mut again = Digest::default();
        assert!(Contacts::restore(&mut whole, &mut again).is_some());
        assert_eq!(again, digest);
    }

    #[test]
    fn old_news_has_no_effect() {
        let (mut contacts, mut digest) = (Contacts::default(), Digest::default());
        contacts.apply(&entry(1, followed("bob".into(), 7)), &mut digest);
        let (event, as_of) = (FriendEvent::Unfollowed.into(), Some(v1::Position { epoch: 1, seq: 6 }));
        let old = Body::FriendNews(v1::FriendNews { user: "bob".into(), event, as_of, ..Default::default() });
        assert!(contacts.is_settled(&old));
        contacts.apply(&entry(2, old), &mut digest);
        assert!(contacts.get("bob").unwrap().follower);
    }
}
