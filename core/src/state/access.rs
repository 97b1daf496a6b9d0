use alloc::string::{String, ToString};
use alloc::vec::Vec;

use prost::Message as _;

use super::register;
use crate::sorted::{SortedMap, SortedSet};
use crate::{Digest, Entry, Millis, hash53, limits, v1};

/// Who may come in, and what a role may do: sanctions, invitations, permissions.
#[derive(Clone, Debug)]
pub struct Access {
    bans: Sanctions,
    mutes: Sanctions,
    invited: SortedSet<String>,
    /// What members and moderators may do instead of their default, as bits by the capabilities' numbers.
    permissions: [Option<u32>; 2],
}

/// Bans or mutes, by user id. One that has ended has no effect, and stays until its place is needed.
#[derive(Clone, Debug)]
pub struct Sanctions {
    register: u64,
    by_user: SortedMap<String, v1::Sanction>,
}

impl Default for Access {
    fn default() -> Self {
        let sanctions = |register| Sanctions { register, by_user: SortedMap::default() };
        Access {
            bans: sanctions(register::BAN),
            mutes: sanctions(register::MUTE),
            invited: SortedSet::default(),
            permissions: [None; 2],
        }
    }
}

impl Access {
    /// Who is kept out.
    pub fn bans(&self) -> &Sanctions {
        &self.bans
    }

    /// Who may not write.
    pub fn mutes(&self) -> &Sanctions {
        &self.mutes
    }

    /// Whether this user was invited and has not joined.
    pub fn is_invited(&self, user: &str) -> bool {
        self.invited.contains(user)
    }

    /// Users invited who have not joined, ascending.
    pub fn invited(&self) -> impl Iterator<Item = &str> {
        self.invited.items().iter().map(String::as_str)
    }

    /// How many those are.
    pub fn invited_count(&self) -> usize {
        self.invited.len()
    }

    /// What a role may do in this room, as bits by the capabilities' numbers; `None` is the role's default.
    pub fn permissions(&self, role: v1::Role) -> Option<u32> {
        self.permissions.get(role as usize).copied().flatten()
    }

    pub(super) fn ban(&mut self, entry: &Entry, ban: &v1::Ban, digest: &mut Digest) {
        let sanction = sanction(entry, &ban.user, ban.until, &ban.reason);
        self.bans.set(sanction, ban.lifted, entry.at, digest);
        self.uninvite(&ban.user, digest);
    }

    pub(super) fn mute(&mut self, entry: &Entry, mute: &v1::Mute, digest: &mut Digest) {
        let sanction = sanction(entry, &mute.user, mute.until, &mute.reason);
        self.mutes.set(sanction, mute.lifted, entry.at, digest);
    }

    pub(super) fn invite(&mut self, user: &str, digest: &mut Digest) {
        if self.invited.len() < limits::INVITED && self.invited.insert(user.to_string()) {
            digest.add(hash53(user.as_bytes(), register::INVITED));
        }
    }

    pub(super) fn uninvite(&mut self, user: &str, digest: &mut Digest) {
        if self.invited.remove(user) {
            digest.remove(hash53(user.as_bytes(), register::INVITED));
        }
    }

    pub(super) fn set_permissions(&mut self, set: &v1::SetPermissions, digest: &mut Digest) {
        let bits = set.capabilities.iter().fold(0, |bits, number| bits | 1_u32.unbounded_shl(*number as u32));
        let Some(place) = self.permissions.get_mut(set.role as usize) else { return };
        let hash = |bits: Option<u32>| {
            bits.map_or(0, |bits| {
                hash53(&[set.role as u8, bits as u8, (bits >> 8) as u8], register::PERMISSIONS)
            })
        };
        digest.remove(hash(*place));
        *place = (!set.reset).then_some(bits);
        digest.add(hash(*place));
    }

    pub(super) fn snapshot(&self, whole: &mut v1::RoomSnapshot) {
        whole.bans = self.bans.iter().cloned().collect();
        whole.mutes = self.mutes.iter().cloned().collect();
        whole.invited = self.invited().map(ToString::to_string).collect();
        whole.permissions = self.changed_permissions();
    }

    /// What roles may do that differ from their default.
    pub(crate) fn changed_permissions(&self) -> Vec<v1::RolePermissions> {
        let mut changed = Vec::new();
        for role in [v1::Role::Member, v1::Role::Moderator] {
            if let Some(bits) = self.permissions(role) {
                let capabilities = (1..32).filter(|number| bits & (1 << number) != 0).collect();
                changed.push(v1::RolePermissions { role: role.into(), capabilities });
            }
        }
        changed
    }

    /// Takes these parts out of a snapshot; `None` when there are more than a room may have.
    pub(super) fn restore(whole: &mut v1::RoomSnapshot, digest: &mut Digest) -> Option<Access> {
        let mut access = Access::default();
        let within = whole.bans.len() <= limits::SANCTIONS
            && whole.mutes.len() <= limits::SANCTIONS
            && whole.invited.len() <= limits::INVITED;
        if !within {
            return None;
        }
        let take = core::mem::take::<Vec<v1::Sanction>>;
        take(&mut whole.bans).into_iter().for_each(|ban| access.bans.insert(ban, digest));
        take(&mut whole.mutes).into_iter().for_each(|mute| access.mutes.insert(mute, digest));
        whole.invited.iter().for_each(|user| access.invite(user, digest));
        for known in core::mem::take(&mut whole.permissions) {
            let v1::RolePermissions { role, capabilities } = known;
            access.set_permissions(&v1::SetPermissions { role, capabilities, reset: false }, digest);
        }
        Some(access)
    }
}

impl Sanctions {
    /// The sanction of this user, ended or not.
    pub fn get(&self, user: &str) -> Option<&v1::Sanction> {
        self.by_user.get(user)
    }

    /// All, ascending by user id, ended ones included.
    pub fn iter(&self) -> impl Iterator<Item = &v1::Sanction> {
        self.by_user.values()
    }

    /// For how many milliseconds from `now` this user is still under it: 0 is for ever, `None` not at all.
    pub fn left(&self, user: &str, now: Millis) -> Option<u64> {
        let until = self.get(user)?.until;
        if until == 0 { Some(0) } else { until.checked_sub(now.0).filter(|left| *left > 0) }
    }

    /// Whether there is no place for another, because none has ended by then.
    pub fn is_full(&self, now: Millis) -> bool {
        self.by_user.len() >= limits::SANCTIONS && self.by_user.values().all(|known| !has_ended(known, now))
    }

    fn set(&mut self, sanction: v1::Sanction, lifted: bool, at: Millis, digest: &mut Digest) {
        if lifted {
            return self.remove(&sanction.user, digest);
        }
        if self.by_user.len() >= limits::SANCTIONS {
            let ended = self.by_user.values().filter(|known| has_ended(known, at));
            let ended: Vec<String> = ended.map(|known| known.user.clone()).collect();
            ended.iter().for_each(|user| self.remove(user, digest));
        }
        if self.by_user.len() < limits::SANCTIONS || self.by_user.contains_key(&sanction.user) {
            self.insert(sanction, digest);
        }
    }

    fn insert(&mut self, sanction: v1::Sanction, digest: &mut Digest) {
        self.remove(&sanction.user, digest);
        digest.add(self.hash(&sanction));
        self.by_user.insert(sanction.user.clone(), sanction);
    }

    fn remove(&mut self, user: &str, digest: &mut Digest) {
        if let Some(old) = self.by_user.remove(user) {
            digest.remove(self.hash(&old));
        }
    }

    fn hash(&self, sanction: &v1::Sanction) -> u64 {
        hash53(&sanction.encode_to_vec(), self.register)
    }
}

fn has_ended(sanction: &v1::Sanction, at: Millis) -> bool {
    sanction.until != 0 && sanction.until <= at.0
}

fn sanction(entry: &Entry, user: &str, until: u64, reason: &str) -> v1::Sanction {
    v1::Sanction { user: user.to_string(), until, reason: reason.to_string(), by: entry.author.clone() }
}
