use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use prost::Message as _;

use super::{Change, register};
use crate::long::LongMap;
use crate::op::Body;
use crate::shared::Shared;
use crate::{Digest, Position, hash53, limits, v1};
use v1::NotificationKind;

/// What a user's inbox holds: rooms followed, read markers, mentions, notifications.
#[derive(Clone, Debug, Default)]
pub struct Inbox {
    followings: LongMap<String, v1::Following>,
    notifications: Shared<VecDeque<v1::Notification>>,
    /// Mentions of all rooms.
    mentions: usize,
}

impl Inbox {
    pub(super) fn fork(&mut self) -> Inbox {
        Inbox {
            followings: self.followings.fork(),
            notifications: self.notifications.fork(),
            mentions: self.mentions,
        }
    }

    /// What is known of this room.
    pub fn following(&self, room: &str) -> Option<&v1::Following> {
        self.followings.get(room)
    }

    /// What is known of every room, ascending by its id.
    pub fn followings(&self) -> impl Iterator<Item = &v1::Following> {
        self.followings.values()
    }

    /// What is known of the rooms after this id.
    pub fn followings_after(&self, room: Option<&str>) -> impl Iterator<Item = &v1::Following> {
        // No id is empty.
        self.followings.after(room.unwrap_or_default()).map(|(_, following)| following)
    }

    /// How many rooms something is known of.
    pub fn len(&self) -> usize {
        self.followings.len()
    }

    /// Whether nothing is known of any room.
    pub fn is_empty(&self) -> bool {
        self.followings.is_empty()
    }

    /// The newest notifications, oldest first.
    pub fn notifications(&self) -> impl DoubleEndedIterator<Item = &v1::Notification> + ExactSizeIterator {
        self.notifications.iter()
    }

    /// Ordinal of the last message read in this room; 0 when none was.
    pub fn read(&self, room: &str) -> u64 {
        self.followings.get(room).map_or(0, |following| following.read)
    }

    /// Mentions beyond the read marker in this room.
    pub fn mentions(&self, room: &str) -> usize {
        self.followings.get(room).map_or(0, |following| following.mentions.len())
    }

    /// Whether the operation would change nothing, because it has been applied already or is overtaken. By this,
    /// effects that the server repeats after a crash leave no trace in the log.
    pub fn is_settled(&self, body: &Body) -> bool {
        match body {
            // Later news that changes nothing is kept all the same: what it overtakes may still be on its way.
            Body::FollowRoom(v1::FollowRoom { room_id, as_of }) => self
                .following(room_id)
                .is_some_and(|known| is_overtaken(known, as_of) || (known.following && as_of.is_none())),
            Body::UnfollowRoom(v1::UnfollowRoom { room_id, as_of }) => match self.following(room_id) {
                Some(known) => is_overtaken(known, as_of) || (!known.following && as_of.is_none()),
                None => as_of.is_none(),
            },
            Body::Notify(notify) => self.is_known(notify),
            Body::SetReadMarker(marker) => marker.ordinal <= self.read(&marker.room_id),
            _ => false,
        }
    }

    pub(super) fn apply(&mut self, body: &Body, digest: &mut Digest, changes: &mut Vec<Change>) {
        match body {
            Body::FollowRoom(v1::FollowRoom { room_id, as_of }) => {
                self.set_following(room_id, true, as_of, digest, changes);
            }
            Body::UnfollowRoom(v1::UnfollowRoom { room_id, as_of }) => {
                self.set_following(room_id, false, as_of, digest, changes);
            }
            Body::Notify(notify) => self.notify(notify, digest, changes),
            Body::SetReadMarker(marker) => self.change(&marker.room_id, digest, changes, |known| {
                known.read = known.read.max(marker.ordinal);
                known.mentions.retain(|ordinal| *ordinal > known.read);
            }),
            _ => {}
        }
    }

    pub(super) fn restore(
        followings: Vec<v1::Following>,
        notifications: Vec<v1::Notification>,
        digest: &mut Digest,
    ) -> Inbox {
        let mut inbox = Inbox { notifications: VecDeque::from(notifications).into(), ..Inbox::default() };
        for following in followings {
            digest.add(hash(&following));
            inbox.mentions += following.mentions.len();
            if let Some(twice) = inbox.followings.insert(following.room_id.clone(), following) {
                digest.remove(hash(&twice));
                inbox.mentions -= twice.mentions.len();
            }
        }
        inbox
    }

    fn set_following(
        &mut self,
        room: &str,
        following: bool,
        as_of: &Option<v1::Position>,
        digest: &mut Digest,
        changes: &mut Vec<Change>,
    ) {
        self.change(room, digest, changes, |known| {
            if is_overtaken(known, as_of) {
                return;
            }
            known.following = following;
            known.as_of = as_of.or(known.as_of);
        });
    }

    fn notify(&mut self, notify: &v1::Notify, digest: &mut Digest, changes: &mut Vec<Change>) {
        if self.is_known(notify) {
            return;
        }
        if notify.kind() == NotificationKind::Mention {
            self.mention(notify, digest, changes);
        }
        let notification = v1::Notification {
            room_id: notify.room_id.clone(),
            message_id: notify.message_id,
            ordinal: notify.ordinal,
            author: notify.author.clone(),
            author_name: notify.author_name.clone(),
            excerpt: notify.excerpt.clone(),
            at: notify.at,
            kind: notify.kind,
        };
        self.announce(notification, changes);
    }

    /// Whether the inbox has taken this in already. Only mentions are counted by room; of the others the newest are
    /// known by their id, and what is older than those is old.
    fn is_known(&self, notify: &v1::Notify) -> bool {
        if notify.kind() == NotificationKind::Mention {
            return self
                .following(&notify.room_id)
                .is_some_and(|known| self.is_counted(known, notify.ordinal));
        }
        let is_same = |known: &v1::Notification| {
            (&known.room_id, known.message_id) == (&notify.room_id, notify.message_id)
        };
        let full = self.notifications.len() >= limits::NOTIFICATIONS;
        let is_old = full && self.notifications.front().is_some_and(|oldest| notify.at <= oldest.at);
        is_old || self.notifications.iter().any(is_same)
    }

    fn mention(&mut self, notify: &v1::Notify, digest: &mut Digest, changes: &mut Vec<Change>) {
        let is_full = self.mentions >= limits::MENTIONS_HELD;
        self.change(&notify.room_id, digest, changes, |known| {
            let place = known.mentions.partition_point(|ordinal| *ordinal < notify.ordinal);
            known.mentions.insert(place, notify.ordinal);
            if known.mentions.len() > if is_full { 1 } else { limits::MENTIONS_COUNTED } {
                known.mentions.remove(0);
            }
        });
    }

    pub(super) fn announce(&mut self, notification: v1::Notification, changes: &mut Vec<Change>) {
        changes.push(Change::Notified(notification.room_id.clone()));
        self.notifications.push_back(notification);
        if self.notifications.len() > limits::NOTIFICATIONS {
            self.notifications.pop_front();
        }
    }

    /// Changes one register, and the digest by its old and its new hash.
    fn change(
        &mut self,
        room: &str,
        digest: &mut Digest,
        changes: &mut Vec<Change>,
        change: impl FnOnce(&mut v1::Following),
    ) {
        if self.followings.len() >= limits::FOLLOWINGS && !self.followings.contains_key(room) {
            return;
        }
        let known = self.followings.get_or_insert_with(room.to_string(), v1::Following::default);
        if known.room_id.is_empty() {
            known.room_id.push_str(room);
        } else {
            digest.remove(hash(known));
        }
        self.mentions -= known.mentions.len();
        change(known);
        self.mentions += known.mentions.len();
        digest.add(hash(known));
        changes.push(Change::Following(room.to_string()));
    }

    /// Whether the mention at this ordinal is read, counted, or older than all that are counted.
    fn is_counted(&self, known: &v1::Following, ordinal: u64) -> bool {
        let full = known.mentions.len() >= limits::MENTIONS_COUNTED || self.mentions >= limits::MENTIONS_HELD;
        ordinal <= known.read
            || known.mentions.binary_search(&ordinal).is_ok()
            || (full && known.mentions.first().is_some_and(|first| ordinal < *first))
    }
}

/// Whether the room's log has said something later. Other epochs can't be compared: there, the news counts.
fn is_overtaken(known: &v1::Following, as_of: &Option<v1::Position>) -> bool {
    match (known.as_of.map(Position::from), as_of.map(Position::from)) {
        (Some(known), Some(news)) => known.epoch == news.epoch && known.seq >= news.seq,
        _ => false,
    }
}

fn hash(following: &v1::Following) -> u64 {
    hash53(&following.encode_to_vec(), register::FOLLOWING)
}
