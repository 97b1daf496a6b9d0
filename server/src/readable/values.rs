//! What stands in the readable keys: JSON with the names that people expect.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use enfilade_core::v1;
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

/// A message. What it does not have is left out, so that a short message is short.
pub(super) fn message(message: &v1::Message) -> String {
    #[derive(Serialize)]
    struct Row<'a> {
        message_id: String,
        user_id: &'a str,
        username: &'a str,
        message: &'a str,
        timestamp: u64,
        message_type: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        reply_to: Option<String>,
        #[serde(skip_serializing_if = "<[String]>::is_empty")]
        mentions: &'a [String],
        #[serde(skip_serializing_if = "Option::is_none")]
        edited_at: Option<u64>,
        #[serde(skip_serializing_if = "Map::is_empty")]
        reactions: Map<String, Value>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        pinned: bool,
    }
    let id = |id: Option<v1::OpId>| id.map(|id| format!("{}-{}", id.client, id.counter));
    let reactions = message.reactions.iter();
    json(&Row {
        message_id: id(message.id).unwrap_or_default(),
        user_id: &message.author,
        username: &message.author_name,
        message: &message.text,
        timestamp: message.at,
        message_type: if message.deleted { "deleted" } else { "text" },
        reply_to: id(message.reply_to),
        mentions: &message.mentions,
        edited_at: (message.edited_at > 0).then_some(message.edited_at),
        reactions: reactions
            .map(|reaction| (reaction.reaction.clone(), Value::from(reaction.users.clone())))
            .collect(),
        pinned: message.pinned,
    })
}

/// An element: its registers, and its value as it is where it is JSON, else as text, else in base64.
pub(super) fn element(element: &v1::Element) -> String {
    let v1::Element { version, nonce, index, author, seq, value, .. } = element;
    let index = json(index);
    let author = json(author);
    let (name, value) = value_of(value);
    format!(
        r#"{{"version":{version},"nonce":{nonce},"index":{index},"author":{author},"seq":{seq},"{name}":{value}}}"#
    )
}

/// A setting: text as it is, and what is no text in base64.
pub(super) fn setting(value: &[u8]) -> String {
    std::str::from_utf8(value).map_or_else(|_| STANDARD.encode(value), str::to_owned)
}

fn value_of(value: &[u8]) -> (&'static str, String) {
    match std::str::from_utf8(value) {
        Ok(text) if serde_json::from_str::<IgnoredAny>(text).is_ok() => ("value", text.to_owned()),
        Ok(text) => ("text", json(&text)),
        Err(_) => ("base64", json(&STANDARD.encode(value))),
    }
}

/// A player.
pub(super) fn player(score: &v1::Score) -> String {
    #[derive(Serialize)]
    struct Row<'a> {
        id: &'a str,
        name: &'a str,
        team: &'a str,
        taps: u64,
    }
    json(&Row { id: &score.user, name: &score.name, team: &score.team, taps: score.score })
}

/// What an inbox knows of a room.
pub(super) fn following(known: &v1::Following) -> String {
    #[derive(Serialize)]
    struct Row {
        following: bool,
        read: u64,
        mentions: usize,
    }
    json(&Row { following: known.following, read: known.read, mentions: known.mentions.len() })
}

/// A notification.
pub(super) fn notification(notification: &v1::Notification) -> String {
    #[derive(Serialize)]
    struct Row<'a> {
        kind: &'static str,
        room_id: &'a str,
        user_id: &'a str,
        username: &'a str,
        message: &'a str,
        timestamp: u64,
    }
    let kind = match notification.kind() {
        v1::NotificationKind::Mention => "mention",
        v1::NotificationKind::FriendRequest => "friend_request",
        v1::NotificationKind::FriendAccepted => "friend_accepted",
        v1::NotificationKind::Invite => "invite",
        v1::NotificationKind::Moderation => "moderation",
    };
    json(&Row {
        kind,
        room_id: &notification.room_id,
        user_id: &notification.author,
        username: &notification.author_name,
        message: &notification.excerpt,
        timestamp: notification.at,
    })
}

/// Who may see a room.
pub(super) fn room_type(visibility: v1::Visibility) -> &'static str {
    match visibility {
        v1::Visibility::Public => "public",
        v1::Visibility::Unlisted => "unlisted",
        v1::Visibility::Private => "private",
    }
}

/// What a member may do.
pub(super) fn role(role: v1::Role) -> &'static str {
    match role {
        v1::Role::Member => "member",
        v1::Role::Moderator => "moderator",
        v1::Role::Owner => "owner",
    }
}

/// How a user wants to be seen.
pub(super) fn availability(availability: v1::Availability) -> &'static str {
    match availability {
        v1::Availability::Online => "online",
        v1::Availability::Away => "away",
        v1::Availability::Busy => "busy",
        v1::Availability::Invisible => "invisible",
    }
}

/// How a user stands to one who is no friend; `None` where there is nothing to say.
pub(super) fn contact(contact: &v1::Contact) -> Option<&'static str> {
    Some(match (contact.friend(), contact.blocked, contact.following) {
        (_, true, _) => "blocked",
        (v1::FriendState::Requested, ..) => "requested",
        (v1::FriendState::Pending, ..) => "pending",
        (v1::FriendState::None, _, true) => "following",
        (v1::FriendState::None | v1::FriendState::Friends, ..) => return None,
    })
}

fn json(value: &impl Serialize) -> String {
    // Strings, numbers and lists of them always have a JSON form.
    serde_json::to_string(value).unwrap_or_default()
}
