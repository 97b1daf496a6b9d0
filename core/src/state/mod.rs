//! The fold: a room's log in, its state out.
#![doc = include_str!("../docs/timeline.md")]

mod access;
mod amend;
mod conflicts;
mod contacts;
mod counters;
pub mod history;
mod inbox;
mod map;
mod members;
pub(crate) mod message;
mod moderation;
mod ranking;
mod snapshot;
mod timeline;
mod windows;

use alloc::string::String;
use alloc::vec::Vec;

use prost::Message as _;

pub use access::{Access, Sanctions};
pub use conflicts::Conflicts;
pub use contacts::Contacts;
pub use counters::Counters;
pub use inbox::Inbox;
pub use map::{ElementMap, Rule, newer};
pub use members::Members;
pub(crate) use members::may_moderate;
pub use snapshot::{SnapshotFor, compress, decompress};
pub use timeline::{Merged, Timeline};
pub use windows::{Seen, Windows};

use crate::op::Body;
use crate::shared::Shared;
use crate::{Code, Digest, Entry, Millis, Position, RoomId, hash53, v1, weight};

/// The newest rules of the fold that this build knows. States are comparable at equal versions alone, so a room is
/// folded by one version up to the entry that raises it.
pub const FOLD_VERSION: u32 = 1;
/// The rules by which a room's log begins.
const FIRST_FOLD_VERSION: u32 = 1;

/// What an entry changed, so that a view is updated in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Name, topic, visibility or owner.
    Info,
    /// Slow mode and the like.
    Config,
    /// This user became a member, or changed as one.
    Member(String),
    /// This user is no longer a member.
    MemberGone(String),
    /// Bans, mutes, invitations, or what a role may do.
    Access,
    /// The message with this ordinal was appended.
    MessageAdded(u64),
    /// Messages with ordinals below this one left the window.
    MessagesDropped(u64),
    /// The message with this ordinal was edited or deleted, reacted to or pinned.
    MessageChanged(u64),
    /// Which messages are pinned, or one of them.
    Pins,
    /// Messages left the window before the newest, because what is older is being looked at.
    Slid,
    /// What the inbox knows of this room: followed or not, read marker, mentions.
    Following(String),
    /// A notification about this room was added.
    Notified(String),
    /// What the inbox knows of other users, or the status of its owner.
    Contacts,
    /// The score of this user, with that of their team and the total; or their team.
    Score(String),
    /// All scores, or which teams there are.
    Scores,
    /// The register of this key was written, or its place was.
    Element(String),
    /// Conflicts that wait for a choice: one came, or went.
    Conflicts,
}

/// A room's whole state: a deterministic fold of its log.
///
/// No clock, no randomness, no floats, no unordered iteration: the same entries give the same state and the same
/// [`Digest`] on every platform. No operation is linear in the room's history.
#[derive(Clone, Debug)]
pub struct RoomState {
    id: RoomId,
    fold_version: u32,
    position: Position,
    info: Option<v1::RoomInfo>,
    config: v1::RoomConfig,
    members: Members,
    access: Shared<Access>,
    timeline: Timeline,
    inbox: Inbox,
    contacts: Shared<Contacts>,
    counters: Shared<Counters>,
    map: Shared<ElementMap>,
    conflicts: Shared<Conflicts>,
    /// Kept by authorities alone: a client never sequences, so it has no use for the others' windows.
    windows: Option<Windows>,
    last_at: Millis,
    digest: Digest,
}

impl RoomState {
    /// An empty room as a client holds it.
    pub fn replica(id: RoomId) -> RoomState {
        RoomState {
            map: ElementMap::new(rule_of(&id)).into(),
            id,
            fold_version: FIRST_FOLD_VERSION,
            position: Position::default(),
            info: None,
            config: v1::RoomConfig::default(),
            members: Members::default(),
            access: Shared::default(),
            timeline: Timeline::default(),
            inbox: Inbox::default(),
            conflicts: Shared::default(),
            contacts: Shared::default(),
            counters: Shared::default(),
            windows: None,
            last_at: Millis(0),
            digest: Digest::default(),
        }
    }

    /// An empty room as an authority holds it: with the windows by which it knows duplicates.
    pub fn authority(id: RoomId) -> RoomState {
        RoomState { windows: Some(Windows::default()), ..RoomState::replica(id) }
    }

    /// The same state again, to go another way from here: what is large is shared until one of the two changes it.
    pub(crate) fn fork(&mut self) -> RoomState {
        RoomState {
            id: self.id.clone(),
            fold_version: self.fold_version,
            position: self.position,
            info: self.info.clone(),
            config: self.config,
            members: self.members.fork(),
            access: self.access.fork(),
            timeline: self.timeline.fork(),
            inbox: self.inbox.fork(),
            contacts: self.contacts.fork(),
            counters: self.counters.fork(),
            map: self.map.fork(),
            conflicts: self.conflicts.fork(),
            windows: self.windows.as_mut().map(Windows::fork),
            last_at: self.last_at,
            digest: self.digest,
        }
    }

    /// The room's id.
    pub fn id(&self) -> &RoomId {
        &self.id
    }

    /// Where in the log this state is.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Whether there is such a room: it was created, or needs no creation, as inboxes.
    pub fn exists(&self) -> bool {
        self.info.is_some() || self.id.is_implicit()
    }

    /// Name, topic, visibility, owner; `None` before the room is created, and for inboxes.
    pub fn info(&self) -> Option<&v1::RoomInfo> {
        self.info.as_ref()
    }

    /// Slow mode and the like.
    pub fn config(&self) -> &v1::RoomConfig {
        &self.config
    }

    /// Who belongs to the room.
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// Who may come in, and what a role may do.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// The newest messages.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// For history, which a view puts before what it has.
    pub fn timeline_mut(&mut self) -> &mut Timeline {
        &mut self.timeline
    }

    /// Rooms followed, read markers and notifications; empty in rooms that are no inbox.
    pub fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// Friends, requests, blocks and follows, and the owner's status; empty in rooms that are no inbox.
    pub fn contacts(&self) -> &Contacts {
        &self.contacts
    }

    /// Teams, scores and the total.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Keyed registers: a whiteboard's elements; in an inbox the user's settings.
    pub fn map(&self) -> &ElementMap {
        &self.map
    }

    /// How conflicts are resolved; in an inbox those that wait for a choice.
    pub fn conflicts(&self) -> &Conflicts {
        &self.conflicts
    }

    /// The last operations of each client; `None` in replicas.
    pub fn windows(&self) -> Option<&Windows> {
        self.windows.as_ref()
    }

    /// Stamp of the last entry.
    pub fn last_at(&self) -> Millis {
        self.last_at
    }

    /// Bytes in memory: kept up with every change, so that asking costs nothing.
    pub fn memory(&self) -> usize {
        let inbox =
            self.inbox.len() * weight::FOLLOWING + self.inbox.notifications().len() * weight::NOTIFICATION;
        let scores = self.counters.len() * weight::SCORE;
        self.timeline.bytes() + self.members.bytes() + self.map.bytes() + scores + inbox
    }

    /// The rules by which the log is folded from here on.
    pub fn fold_version(&self) -> u32 {
        self.fold_version
    }

    /// By which two ends at one position know that they hold the same.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Names the epoch of a log that had none. Has no effect on a state that has one.
    pub fn open_epoch(&mut self, epoch: u64) {
        if self.position.epoch == 0 {
            self.position.epoch = epoch;
        }
    }

    /// The log has gone on under another epoch, with the same entries: a store that may have lost its end begins a new
    /// one, and a snapshot that is older than that is of it as well.
    pub fn go_on_under(&mut self, epoch: u64) {
        self.position.epoch = epoch;
    }

    /// Folds the next entry. Whether its author was allowed to is not asked again: the authority has decided.
    ///
    /// # Errors
    /// [`Code::Malformed`] when the entry is not the next one, [`Code::FoldTooNew`] when it raises the room to rules that
    /// this version lacks. The state is unchanged then.
    pub fn apply(&mut self, entry: &Entry) -> Result<Vec<Change>, Code> {
        if entry.seq != self.position.seq + 1 {
            return Err(Code::Malformed);
        }
        if let Some(Body::RaiseFoldVersion(raise)) = &entry.body {
            if raise.version > FOLD_VERSION {
                return Err(Code::FoldTooNew);
            }
            self.fold_version = self.fold_version.max(raise.version);
        }
        self.position = self.position.next();
        self.last_at = self.last_at.max(entry.at);
        self.digest.extend_chain(&entry.encode());
        if let Some(windows) = &mut self.windows {
            windows.record(entry);
        }
        // By the entry's stamp, and whatever the entry is: so tombstones end at one place of the log for everybody.
        if self.map.is_purge_due(self.last_at.0) {
            self.map.purge(self.last_at.0, &mut self.digest);
        }
        let mut changes = Vec::new();
        match &entry.body {
            Some(Body::CreateRoom(create)) => self.create(entry, create, &mut changes),
            Some(Body::SetInfo(info)) => self.set_info(info, &mut changes),
            Some(Body::SetConfig(config)) => self.set_config(*config, &mut changes),
            Some(Body::Join(_)) => self.join(entry, &mut changes),
            Some(Body::Leave(_)) => self.end_membership(&entry.author, &mut changes),
            Some(
                Body::SetRole(_)
                | Body::Kick(_)
                | Body::Ban(_)
                | Body::Mute(_)
                | Body::Invite(_)
                | Body::SetBadges(_)
                | Body::SetPermissions(_),
            ) => self.moderate(entry, &mut changes),
            Some(Body::PostMessage(post)) => {
                self.members.posted(&entry.author, entry.at);
                self.timeline.append(entry, post, &mut changes);
            }
            Some(body @ (Body::EditMessage(_) | Body::DeleteMessage(_) | Body::React(_) | Body::Pin(_))) => {
                self.timeline.amend(entry, body, &mut self.digest, &mut changes)
            }
            Some(Body::SetConflictMode(set)) => {
                self.conflicts.set_rule(*set, &mut self.digest);
                changes.push(Change::Config);
            }
            Some(Body::AddConflict(v1::AddConflict { conflict })) => {
                if let Some(conflict) = conflict
                    && self.conflicts.add(conflict, &mut self.digest)
                {
                    changes.push(Change::Conflicts);
                }
            }
            Some(Body::ResolveConflict(resolve)) => {
                if self.conflicts.resolve(resolve, &mut self.digest) {
                    changes.push(Change::Conflicts);
                }
            }
            Some(Body::PutElements(put)) => {
                let by = (entry.seq, entry.author.as_str(), self.last_at);
                let changed = |key: &str| changes.push(Change::Element(key.into()));
                self.map.put(by, put, &mut self.digest, changed);
            }
            Some(
                Body::RequestFriend(_)
                | Body::AnswerFriend(_)
                | Body::RemoveFriend(_)
                | Body::BlockUser(_)
                | Body::FollowUser(_)
                | Body::SetStatus(_)
                | Body::FriendNews(_)
                | Body::FriendStatus(_),
            ) => self.befriend(entry, &mut changes),
            Some(
                Body::SetTeams(_)
                | Body::JoinTeam(_)
                | Body::LeaveTeam(_)
                | Body::AddScore(_)
                | Body::ResetScores(_),
            ) => self.score(entry, &mut changes),
            Some(Body::RaiseFoldVersion(_)) => {}
            Some(Body::FollowRoom(_) | Body::UnfollowRoom(_) | Body::Notify(_) | Body::SetReadMarker(_))
            | None => {
                if let Some(body) = &entry.body {
                    self.inbox.apply(body, &mut self.digest, &mut changes);
                }
            }
        }
        Ok(changes)
    }

    /// Whether the operation would change nothing, because it has been applied already or is overtaken. By this,
    /// effects that the server repeats after a crash leave no trace in the log.
    pub fn is_settled(&self, body: &Body) -> bool {
        match body {
            Body::PutElements(put) => self.map.is_settled(put),
            Body::AddConflict(_) | Body::ResolveConflict(_) => self.conflicts.is_settled(body),
            // What a blocked user does, does not arrive.
            Body::Notify(notify) if self.contacts.is_blocked(&notify.author) => true,
            _ => self.inbox.is_settled(body) || self.contacts.is_settled(body),
        }
    }

    /// What a room list shows of it. Presence is the caller's to add.
    pub fn summary(&self) -> v1::RoomSummary {
        let info = self.info.clone().unwrap_or_default();
        v1::RoomSummary {
            room_id: self.id.as_str().into(),
            position: Some(self.position.wire()),
            messages: self.timeline.head(),
            name: info.name,
            topic: info.topic,
            visibility: info.visibility,
            member_count: self.members.len() as u32,
            last_activity: self.last_at.0,
            last_message: self.timeline.last().map(|message| v1::Message::clone(message)),
            user_count: 0,
            users: Vec::new(),
            following: None,
            created_at: info.created_at,
        }
    }

    fn create(&mut self, entry: &Entry, create: &v1::CreateRoom, changes: &mut Vec<Change>) {
        if self.info.is_some() {
            return;
        }
        let info = v1::RoomInfo {
            name: create.name.clone(),
            topic: create.topic.clone(),
            visibility: create.visibility,
            owner: entry.author.clone(),
            created_at: entry.at.0,
        };
        self.digest.add(info_hash(&info));
        self.info = Some(info);
        changes.push(Change::Info);
        // The server itself may create rooms; it becomes no member of them.
        if !entry.author.is_empty() {
            self.members.join(entry, v1::Role::Owner, &mut self.digest);
            changes.push(Change::Member(entry.author.clone()));
        }
    }

    fn set_info(&mut self, new: &v1::SetInfo, changes: &mut Vec<Change>) {
        let Some(info) = &mut self.info else { return };
        self.digest.remove(info_hash(info));
        if let Some(name) = &new.name {
            info.name.clone_from(name);
        }
        if let Some(topic) = &new.topic {
            info.topic.clone_from(topic);
        }
        if let Some(visibility) = new.visibility {
            info.visibility = visibility;
        }
        self.digest.add(info_hash(info));
        changes.push(Change::Info);
    }

    fn set_config(&mut self, new: v1::SetConfig, changes: &mut Vec<Change>) {
        let config = &mut self.config;
        self.digest.remove(config_hash(config));
        config.slow_mode_enabled = new.slow_mode_enabled.unwrap_or(config.slow_mode_enabled);
        config.slow_mode_duration = new.slow_mode_duration.unwrap_or(config.slow_mode_duration);
        config.subscriber_only = new.subscriber_only.unwrap_or(config.subscriber_only);
        config.follower_only = new.follower_only.unwrap_or(config.follower_only);
        config.emote_only = new.emote_only.unwrap_or(config.emote_only);
        config.capacity = new.capacity.unwrap_or(config.capacity);
        self.digest.add(config_hash(config));
        changes.push(Change::Config);
    }
}

/// Seeds that keep the registers' hashes apart: a member and a following of equal bytes are different registers.
mod register {
    pub(super) const INFO: u64 = 1;
    pub(super) const CONFIG: u64 = 2;
    pub(super) const MEMBER: u64 = 3;
    pub(super) const FOLLOWING: u64 = 4;
    pub(super) const PIN: u64 = 5;
    pub(super) const ELEMENT: u64 = 40;
    pub(super) const BAN: u64 = 20;
    pub(super) const MUTE: u64 = 21;
    pub(super) const INVITED: u64 = 22;
    pub(super) const PERMISSIONS: u64 = 23;
    pub(super) const CONFLICT: u64 = 41;
    pub(super) const CONFLICT_RULE: u64 = 42;
    pub(super) const CONTACT: u64 = 24;
    pub(super) const STATUS: u64 = 25;
    pub(super) const TEAM: u64 = 26;
    pub(super) const SCORE: u64 = 27;
    pub(super) const TOTAL: u64 = 28;
}

/// Settings are a person's, or the server's, last word; what many draw is merged.
fn rule_of(id: &RoomId) -> Rule {
    if id.is_implicit() { Rule::LastWriter } else { Rule::Versioned }
}

fn info_hash(info: &v1::RoomInfo) -> u64 {
    hash53(&info.encode_to_vec(), register::INFO)
}

/// The configuration of a new room counts as nothing, so that an empty state has the digest zero.
fn config_hash(config: &v1::RoomConfig) -> u64 {
    if *config == v1::RoomConfig::default() { 0 } else { hash53(&config.encode_to_vec(), register::CONFIG) }
}

#[cfg(test)]
mod tests;
