use alloc::string::String;

use prost::Message as _;

use super::register;
use crate::long::LongMap;
use crate::{Digest, Entry, Millis, hash53, v1};

/// Who belongs to a room, by user id.
#[derive(Clone, Debug, Default)]
pub struct Members {
    by_user: LongMap<String, v1::Member>,
    moderators: usize,
}

impl Members {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_user.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_user.is_empty()
    }

    /// How many of them may moderate.
    pub fn moderators(&self) -> usize {
        self.moderators
    }

    /// The member of this user id.
    pub fn get(&self, user: &str) -> Option<&v1::Member> {
        self.by_user.get(user)
    }

    /// All, ascending by user id.
    pub fn iter(&self) -> impl Iterator<Item = &v1::Member> {
        self.by_user.values()
    }

    /// Makes the author a member. Somebody who is one already keeps role and date, and gets the new display name.
    pub(super) fn join(&mut self, entry: &Entry, role: v1::Role, digest: &mut Digest) {
        let mut member = v1::Member {
            user: entry.author.clone(),
            name: entry.author_name.clone(),
            role: role.into(),
            joined_at: entry.at.0,
            posted_at: 0,
            ..Default::default()
        };
        if let Some(old) = self.by_user.get(&entry.author) {
            member = v1::Member { name: member.name, ..old.clone() };
        }
        self.insert(member, digest);
    }

    pub(super) fn insert(&mut self, member: v1::Member, digest: &mut Digest) {
        self.leave(&member.user, digest);
        digest.add(hash(&member));
        self.moderators += usize::from(may_moderate(&member));
        self.by_user.insert(member.user.clone(), member);
    }

    pub(super) fn leave(&mut self, user: &str, digest: &mut Digest) -> bool {
        let Some(old) = self.by_user.remove(user) else { return false };
        digest.remove(hash(&old));
        self.moderators -= usize::from(may_moderate(&old));
        true
    }

    pub(super) fn posted(&mut self, user: &str, at: Millis) {
        if let Some(member) = self.by_user.get_mut(user) {
            member.posted_at = at.0;
        }
    }
}

/// Whether the role allows to change the room and to moderate.
pub(crate) fn may_moderate(member: &v1::Member) -> bool {
    matches!(member.role(), v1::Role::Moderator | v1::Role::Owner)
}

/// `posted_at` is left out: it changes with every message, and follows from the log, which the chain covers.
fn hash(member: &v1::Member) -> u64 {
    hash53(&v1::Member { posted_at: 0, ..member.clone() }.encode_to_vec(), register::MEMBER)
}
