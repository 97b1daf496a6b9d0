//! Documents that people read: their names and types are part of the product, and `docs/archive.md` lists them.
//!
//! They are typed: what users wrote is always a value, never a name of a field or an operator.

use enfilade_core::op::Body;
use enfilade_core::{Entry, Millis, OpId, Position, RoomId, v1};
use mongodb::bson::DateTime;
use serde::{Deserialize, Serialize};

/// A room, by its id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoomDocument {
    /// Its id.
    pub room_id: String,
    /// The name that its owner gave it.
    pub room_name: String,
    /// User id of whoever made it.
    pub room_owner: String,
    /// `room`, `inbox` or `settings`.
    pub room_type: String,
    /// What it is about.
    pub topic: String,
    /// `public`, `unlisted` or `private`.
    pub visibility: String,
    /// Its configuration.
    pub settings: RoomSettings,
    /// When it was made.
    pub created_at: DateTime,
    /// Stamp of its last entry.
    pub last_activity: DateTime,
    /// Messages that it has had.
    pub messages: i64,
    /// The log whose entries are here...
    pub epoch: i64,
    /// ...all of them up to this one.
    pub seq: i64,
}

/// A room's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomSettings {
    /// Whether users wait between two messages.
    pub slow_mode_enabled: bool,
    /// Seconds between two messages of one user.
    pub slow_mode_duration: i64,
    /// Subscribers alone write.
    pub subscriber_only: bool,
    /// Followers alone write.
    pub follower_only: bool,
    /// Emotes alone are written.
    pub emote_only: bool,
    /// Members that it takes; 0 is as many as a room may have.
    pub capacity: i64,
}

impl RoomDocument {
    /// Of a room of which nothing is known yet.
    pub fn new(room: &RoomId, epoch: u64) -> RoomDocument {
        let room_type = match room.inbox_owner() {
            Some(_) => "inbox",
            None if room.is_server_settings() => "settings",
            None => "room",
        };
        RoomDocument {
            room_id: room.as_str().into(),
            room_name: String::new(),
            room_owner: room.inbox_owner().unwrap_or_default().into(),
            room_type: room_type.into(),
            topic: String::new(),
            visibility: if room.inbox_owner().is_some() { "private" } else { "public" }.into(),
            settings: RoomSettings::default(),
            created_at: date(Millis(0)),
            last_activity: date(Millis(0)),
            messages: 0,
            epoch: integer(epoch),
            seq: 0,
        }
    }

    /// How much of which log is here.
    pub fn position(&self) -> Position {
        Position { epoch: self.epoch.max(0) as u64, seq: self.seq.max(0) as u64 }
    }

    /// What a room list shows of it.
    pub(super) fn summary(&self) -> v1::RoomSummary {
        let visibility = match self.visibility.as_str() {
            "public" => v1::Visibility::Public,
            "unlisted" => v1::Visibility::Unlisted,
            // What can't be read is shown to nobody.
            _ => v1::Visibility::Private,
        };
        let natural = |value: i64| u64::try_from(value).unwrap_or_default();
        v1::RoomSummary {
            room_id: self.room_id.clone(),
            position: Some(self.position().wire()),
            messages: natural(self.messages),
            name: self.room_name.clone(),
            topic: self.topic.clone(),
            visibility: visibility.into(),
            last_activity: natural(self.last_activity.timestamp_millis()),
            created_at: natural(self.created_at.timestamp_millis()),
            ..Default::default()
        }
    }

    /// Takes in the next entry.
    pub fn apply(&mut self, entry: &Entry) {
        match &entry.body {
            Some(Body::CreateRoom(create)) => {
                self.room_name.clone_from(&create.name);
                self.topic.clone_from(&create.topic);
                self.room_owner.clone_from(&entry.author);
                self.visibility = visibility(create.visibility());
                self.created_at = date(entry.at);
            }
            Some(Body::SetInfo(info)) => {
                set(&mut self.room_name, &info.name);
                set(&mut self.topic, &info.topic);
                if info.visibility.is_some() {
                    self.visibility = visibility(info.visibility());
                }
            }
            Some(Body::SetConfig(config)) => {
                let settings = &mut self.settings;
                set(&mut settings.slow_mode_enabled, &config.slow_mode_enabled);
                set(&mut settings.slow_mode_duration, &config.slow_mode_duration.map(i64::from));
                set(&mut settings.subscriber_only, &config.subscriber_only);
                set(&mut settings.follower_only, &config.follower_only);
                set(&mut settings.emote_only, &config.emote_only);
                set(&mut settings.capacity, &config.capacity.map(i64::from));
            }
            _ => {}
        }
        if self.seq == 0 && self.created_at == date(Millis(0)) {
            self.created_at = date(entry.at);
        }
        self.seq = integer(entry.seq);
        self.messages = self.messages.max(integer(entry.ordinal));
        self.last_activity = self.last_activity.max(date(entry.at));
    }
}

fn set<T: Clone>(field: &mut T, value: &Option<T>) {
    if let Some(value) = value {
        field.clone_from(value);
    }
}

fn visibility(visibility: v1::Visibility) -> String {
    match visibility {
        v1::Visibility::Public => "public",
        v1::Visibility::Unlisted => "unlisted",
        v1::Visibility::Private => "private",
    }
    .into()
}

/// A user, by their id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserDocument {
    /// Their id.
    pub user_id: String,
    /// The name under which they were last seen.
    pub username: String,
    /// What they set in their inbox: `online`, `away`, `busy`, `invisible`, with their text; empty for none.
    pub status: String,
    /// Registers of their inbox, ascending by key.
    pub settings: Vec<Setting>,
    /// Stamp of the last entry that they wrote.
    pub last_seen: DateTime,
}

impl UserDocument {
    pub(super) fn new(user: &str) -> UserDocument {
        UserDocument {
            user_id: user.into(),
            username: String::new(),
            status: String::new(),
            settings: Vec::new(),
            last_seen: date(Millis(0)),
        }
    }
}

/// One of a user's settings. The key is a value, so that it may be any text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Its key.
    pub key: String,
    /// What it is set to, as text where it is text, else in base 16.
    pub value: String,
    /// How often it was written.
    pub version: i64,
}

/// A message as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ChatMessageDocument {
    pub(super) message_id: String,
    pub(super) user_id: String,
    pub(super) username: String,
    pub(super) message: String,
    pub(super) timestamp: DateTime,
    /// `text` or `deleted`.
    pub(super) message_type: String,
    pub(super) ordinal: i64,
    pub(super) mentions: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) reply_to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) edited_at: Option<DateTime>,
    pub(super) pinned: bool,
    pub(super) reactions: Vec<ReactionDocument>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ReactionDocument {
    pub(super) reaction: String,
    pub(super) users: Vec<String>,
}

impl ChatMessageDocument {
    pub(super) fn of(message: &v1::Message) -> ChatMessageDocument {
        let id = |id: v1::OpId| format!("{}-{}", id.client, id.counter);
        let reaction = |reaction: &v1::Reaction| ReactionDocument {
            reaction: reaction.reaction.clone(),
            users: reaction.users.clone(),
        };
        ChatMessageDocument {
            message_id: message.id.map(id).unwrap_or_default(),
            user_id: message.author.clone(),
            username: message.author_name.clone(),
            message: message.text.clone(),
            timestamp: date(Millis(message.at)),
            message_type: if message.deleted { "deleted" } else { "text" }.into(),
            ordinal: integer(message.ordinal),
            mentions: message.mentions.clone(),
            reply_to: message.reply_to.map(id),
            edited_at: (message.edited_at > 0).then(|| date(Millis(message.edited_at))),
            pinned: message.pinned,
            reactions: message.reactions.iter().map(reaction).collect(),
        }
    }
}

/// An operation's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OpIdDocument {
    pub(super) client: i64,
    pub(super) counter: i64,
}

impl From<OpId> for OpIdDocument {
    fn from(id: OpId) -> OpIdDocument {
        OpIdDocument { client: integer(id.client.0), counter: integer(id.counter) }
    }
}

pub(super) fn date(at: Millis) -> DateTime {
    DateTime::from_millis(integer(at.0))
}

/// All our integers are below 2^53.
pub(super) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The name of what an entry does, as in the JSON form of operations; `unknown` for a kind of a later version.
pub(super) fn kind(entry: &Entry) -> &'static str {
    let Some(body) = &entry.body else { return "unknown" };
    match body {
        Body::CreateRoom(_) => "create_room",
        Body::SetInfo(_) => "set_info",
        Body::SetConfig(_) => "set_config",
        Body::Join(_) => "join",
        Body::Leave(_) => "leave",
        Body::PostMessage(_) => "post_message",
        Body::EditMessage(_) => "edit_message",
        Body::DeleteMessage(_) => "delete_message",
        Body::React(_) => "react",
        Body::Pin(_) => "pin",
        Body::PutElements(_) => "put_elements",
        Body::SetTeams(_) => "set_teams",
        Body::JoinTeam(_) => "join_team",
        Body::LeaveTeam(_) => "leave_team",
        Body::AddScore(_) => "add_score",
        Body::ResetScores(_) => "reset_scores",
        Body::SetRole(_) => "set_role",
        Body::Kick(_) => "kick",
        Body::Ban(_) => "ban",
        Body::Mute(_) => "mute",
        Body::Invite(_) => "invite",
        Body::SetBadges(_) => "set_badges",
        Body::SetPermissions(_) => "set_permissions",
        Body::SetConflictMode(_) => "set_conflict_mode",
        Body::RaiseFoldVersion(_) => "raise_fold_version",
        Body::FollowRoom(_) => "follow_room",
        Body::UnfollowRoom(_) => "unfollow_room",
        Body::Notify(_) => "notify",
        Body::SetReadMarker(_) => "set_read_marker",
        Body::RequestFriend(_) => "request_friend",
        Body::AnswerFriend(_) => "answer_friend",
        Body::RemoveFriend(_) => "remove_friend",
        Body::BlockUser(_) => "block_user",
        Body::FollowUser(_) => "follow_user",
        Body::SetStatus(_) => "set_status",
        Body::FriendNews(_) => "friend_news",
        Body::FriendStatus(_) => "friend_status",
        Body::AddConflict(_) => "add_conflict",
        Body::ResolveConflict(_) => "resolve_conflict",
    }
}
