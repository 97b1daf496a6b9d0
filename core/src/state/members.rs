use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use prost::Message as _;

use super::register;
use crate::long::LongMap;
use crate::shared::Shared;
use crate::{Digest, Entry, Millis, hash53, limits, v1, weight};

/// Who belongs to a room, by user id. Every count is that of the set.
#[derive(Clone, Debug, Default)]
pub struct Members {
    by_user: LongMap<String, v1::Member>,
    moderators: usize,
    /// What they weigh in memory.
    bytes: usize,
    owners: usize,
    /// When those who have left last posted, in the order of leaving.
    departed: Shared<VecDeque<v1::Departed>>,
}

impl Members {
    pub(super) fn fork(&mut self) -> Members {
        Members { by_user: self.by_user.fork(), departed: self.departed.fork(), ..*self }
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_user.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_user.is_empty()
    }

    /// How many of them are moderators or owners.
    pub fn moderators(&self) -> usize {
        self.moderators
    }

    /// How many of them are owners.
    pub fn owners(&self) -> usize {
        self.owners
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
        let name = entry.author_name.clone();
        if self.change(&entry.author, digest, |member| member.name.clone_from(&name)) {
            return;
        }
        // Slow mode is not over for those who leave and come back.
        let back = self.departed.iter().position(|departed| departed.user == entry.author);
        let posted_at = back.and_then(|at| self.departed.remove(at)).map_or(0, |departed| departed.posted_at);
        let user = entry.author.clone();
        let joined_at = entry.at.0;
        let member = v1::Member { user, name, role: role.into(), joined_at, posted_at, ..Default::default() };
        self.insert(member, digest);
    }

    pub(super) fn insert(&mut self, member: v1::Member, digest: &mut Digest) {
        self.remove(&member.user, digest);
        self.count(&member, digest, 1);
        self.by_user.insert(member.user.clone(), member);
    }

    pub(super) fn leave(&mut self, user: &str, digest: &mut Digest) -> bool {
        let Some(old) = self.remove(user, digest) else { return false };
        if old.posted_at != 0 {
            self.departed.push_back(v1::Departed { user: old.user, posted_at: old.posted_at });
            if self.departed.len() > limits::DEPARTED {
                self.departed.pop_front();
            }
        }
        true
    }

    /// Changes a member, and says whether there is one.
    pub(super) fn change(
        &mut self,
        user: &str,
        digest: &mut Digest,
        change: impl FnOnce(&mut v1::Member),
    ) -> bool {
        let Some(mut member) = self.remove(user, digest) else { return false };
        change(&mut member);
        self.insert(member, digest);
        true
    }

    pub(super) fn posted(&mut self, user: &str, at: Millis) {
        if let Some(member) = self.by_user.get_mut(user) {
            member.posted_at = at.0;
        }
    }

    /// Who owns the room when its owner has gone: of the highest role, the longest here.
    pub(super) fn heir(&self) -> Option<&v1::Member> {
        self.iter().min_by_key(|member| (-member.role, member.joined_at))
    }

    pub(super) fn departed(&self) -> Vec<v1::Departed> {
        self.departed.iter().cloned().collect()
    }

    pub(super) fn restore(
        members: Vec<v1::Member>,
        departed: Vec<v1::Departed>,
        digest: &mut Digest,
    ) -> Members {
        let mut restored = Members { departed: VecDeque::from(departed).into(), ..Members::default() };
        members.into_iter().for_each(|member| restored.insert(member, digest));
        restored
    }

    fn remove(&mut self, user: &str, digest: &mut Digest) -> Option<v1::Member> {
        let old = self.by_user.remove(user)?;
        self.count(&old, digest, -1);
        Some(old)
    }

    /// Counts a member in or out.
    fn count(&mut self, member: &v1::Member, digest: &mut Digest, by: isize) {
        if by > 0 {
            digest.add(hash(member))
        } else {
            digest.remove(hash(member))
        }
        let count =
            |counter: &mut usize, counts| *counter = counter.wrapping_add_signed(by * isize::from(counts));
        self.bytes = self.bytes.wrapping_add_signed(by * weight::member(member) as isize);
        count(&mut self.moderators, may_moderate(member));
        count(&mut self.owners, member.role() == v1::Role::Owner);
    }
}

/// `posted_at` is left out: it changes with every message, and follows from the log, which the chain covers.
fn hash(member: &v1::Member) -> u64 {
    hash53(&v1::Member { posted_at: 0, ..member.clone() }.encode_to_vec(), register::MEMBER)
}

/// Whether the role is one that moderates.
pub(crate) fn may_moderate(member: &v1::Member) -> bool {
    member.role() != v1::Role::Member
}
