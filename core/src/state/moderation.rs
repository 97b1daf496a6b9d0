//! Memberships, roles, sanctions and friendships as the fold sees them: whether they may be is policy's to say,
//! beforehand.

use alloc::vec::Vec;

use super::{Change, RoomState, info_hash};
use crate::op::Body;
use crate::{Entry, v1};

impl RoomState {
    pub(super) fn join(&mut self, entry: &Entry, changes: &mut Vec<Change>) {
        // An owner who was the last to leave comes back as the owner.
        let owns = self.info.as_ref().is_some_and(|info| info.owner == entry.author);
        let role = if owns { v1::Role::Owner } else { v1::Role::Member };
        self.members.join(entry, role, &mut self.digest);
        if self.access.is_invited(&entry.author) {
            self.access.uninvite(&entry.author, &mut self.digest);
        }
        changes.push(Change::Member(entry.author.clone()));
    }

    pub(super) fn end_membership(&mut self, user: &str, changes: &mut Vec<Change>) {
        if self.counters.score(user).is_some() && self.counters.leave_team(user, &mut self.digest) {
            changes.push(Change::Score(user.into()));
        }
        if self.members.leave(user, &mut self.digest) {
            changes.push(Change::MemberGone(user.into()));
            self.succeed(changes);
        }
    }

    pub(super) fn moderate(&mut self, entry: &Entry, changes: &mut Vec<Change>) {
        let digest = &mut self.digest;
        match &entry.body {
            Some(Body::SetRole(set)) => {
                self.change_member(&set.user, changes, |member| member.role = set.role);
            }
            Some(Body::SetBadges(set)) => self.change_member(&set.user, changes, |member| {
                member.badges.clone_from(&set.badges);
                member.color.clone_from(&set.color);
            }),
            Some(Body::Kick(kick)) => self.end_membership(&kick.user, changes),
            Some(Body::Ban(ban)) => {
                self.access.ban(entry, ban, digest);
                changes.push(Change::Access);
                if !ban.lifted {
                    self.end_membership(&ban.user, changes);
                }
            }
            Some(Body::Mute(mute)) => {
                self.access.mute(entry, mute, digest);
                changes.push(Change::Access);
            }
            Some(Body::Invite(invite)) => {
                match invite.withdrawn {
                    true => self.access.uninvite(&invite.user, digest),
                    false => self.access.invite(&invite.user, digest),
                }
                changes.push(Change::Access);
            }
            Some(Body::SetPermissions(set)) => {
                self.access.set_permissions(set, digest);
                changes.push(Change::Access);
            }
            _ => {}
        }
    }

    pub(super) fn score(&mut self, entry: &Entry, changes: &mut Vec<Change>) {
        let digest = &mut self.digest;
        let author = || Change::Score(entry.author.clone());
        changes.push(match &entry.body {
            Some(Body::SetTeams(set)) => {
                self.counters.set_teams(&set.teams, digest);
                Change::Scores
            }
            Some(Body::JoinTeam(join)) => {
                self.counters.join_team(entry, join.team.as_deref(), digest);
                author()
            }
            Some(Body::LeaveTeam(_)) => {
                self.counters.leave_team(&entry.author, digest);
                author()
            }
            Some(Body::AddScore(add)) => {
                let user = add.user.as_ref().unwrap_or(&entry.author);
                let name = self.members.get(user).map_or(&entry.author_name, |member| &member.name);
                self.counters.add(entry.seq, user, name, add.points, digest);
                Change::Score(user.clone())
            }
            Some(Body::ResetScores(_)) => {
                self.counters.reset(entry.seq, digest);
                Change::Scores
            }
            _ => return,
        });
    }

    pub(super) fn befriend(&mut self, entry: &Entry, changes: &mut Vec<Change>) {
        changes.push(Change::Contacts);
        let Some(kind) = self.contacts.apply(entry, &mut self.digest) else { return };
        let Some(Body::FriendNews(news)) = &entry.body else { return };
        let notification = v1::Notification {
            room_id: self.id.as_str().into(),
            message_id: Some(entry.op_id.wire()),
            author: news.user.clone(),
            author_name: news.user_name.clone(),
            at: entry.at.0,
            kind: kind.into(),
            ..Default::default()
        };
        self.inbox.announce(notification, changes);
    }

    fn change_member(&mut self, user: &str, changes: &mut Vec<Change>, change: impl FnOnce(&mut v1::Member)) {
        if self.members.change(user, &mut self.digest, change) {
            changes.push(Change::Member(user.into()));
            self.succeed(changes);
        }
    }

    /// A room that has members has an owner: when the last one has gone, the longest-standing of the highest role.
    fn succeed(&mut self, changes: &mut Vec<Change>) {
        let Some(info) = &mut self.info else { return };
        let owns = |member: &v1::Member| member.role() == v1::Role::Owner;
        if info.owner.is_empty() || self.members.get(&info.owner).is_some_and(owns) {
            return;
        }
        let Some(heir) = self.members.heir() else { return };
        let user = heir.user.clone();
        self.members.change(&user, &mut self.digest, |member| member.set_role(v1::Role::Owner));
        self.digest.remove(info_hash(info));
        info.owner.clone_from(&user);
        self.digest.add(info_hash(info));
        changes.push(Change::Info);
        changes.push(Change::Member(user));
    }
}
