//! Views as JavaScript objects: the types of ts/types.ts.

use alloc::string::String;
use alloc::vec::Vec;

use enfilade_core::client::{Client, ConnectionState, RoomRow, RoomView, Synced};
use enfilade_core::op::Body;
use enfilade_core::tier::TierReason;
use enfilade_core::{OpId, RoomId, Tier, v1};
use js_sys::{Array, Reflect, Uint8Array};
use wasm_bindgen::JsValue;

use crate::json::{Json, decimal};

type Made = Result<JsValue, JsValue>;

/// An object with these fields.
pub(crate) fn object(write: impl FnOnce(&mut Json)) -> Made {
    let mut json = Json::default();
    json.item();
    write(&mut json);
    json.end();
    json.parse()
}

/// A list of what is written for each item.
pub(crate) fn list<T>(items: impl Iterator<Item = T>, mut write: impl FnMut(&mut Json, T)) -> Made {
    let mut json = Json::default();
    json.items();
    for item in items {
        json.item();
        write(&mut json, item);
        json.end();
    }
    json.end();
    json.parse()
}

pub(crate) fn connection(client: &Client) -> Made {
    let view = client.connection();
    let (state, attempt, retry_at) = match view.state {
        ConnectionState::Idle => ("idle", 0, None),
        ConnectionState::TokenNeeded => ("token-needed", 0, None),
        ConnectionState::Connecting => ("connecting", 0, None),
        ConnectionState::Authenticating => ("authenticating", 0, None),
        ConnectionState::Online => ("online", 0, None),
        ConnectionState::Waiting { until, attempt } => ("waiting", attempt, Some(until.0)),
        ConnectionState::Offline => ("offline", 0, None),
        ConnectionState::Failed { .. } => ("failed", 0, None),
    };
    let error = match view.state {
        ConnectionState::Failed { code } => Some(code),
        _ => view.reason,
    };
    object(|json| {
        json.text("state", state);
        if let Some(id) = view.user {
            json.object("user");
            json.text("id", id);
            json.text("name", view.user_name.unwrap_or(id));
            json.end();
        }
        json.optional("retryAt", retry_at);
        json.number("attempt", attempt.into());
        json.optional("error", error.map(|code| code.number().into()));
    })
}

/// The ids of the room list in order, in lines: ids have no line breaks, and one string crosses faster than thousands.
pub(crate) fn room_order(client: &Client) -> String {
    client.rooms().iter().map(|row| row.id.as_str()).collect::<Vec<_>>().join("\n")
}

/// The rows of these rooms; `null` for one that is not listed.
pub(crate) fn room_rows(client: &Client, ids: &[String]) -> Made {
    let mut json = Json::default();
    json.items();
    for id in ids {
        match RoomId::new(id).ok().and_then(|id| client.row(&id)) {
            Some(row) => room_row(&mut json, row),
            None => json.null(),
        }
    }
    json.end();
    json.parse()
}

fn room_row(json: &mut Json, row: RoomRow<'_>) {
    json.item();
    json.text("id", row.id.as_str());
    json.text("name", row.name);
    json.text("topic", row.topic);
    json.text("visibility", visibility(row.visibility));
    tier(json, row.tier, row.reason);
    if let Some(message) = row.last_message {
        json.object("lastMessage");
        json.text("author", &message.author);
        json.text("authorName", &message.author_name);
        json.text("text", &message.text);
        json.number("at", message.at);
        json.end();
    }
    json.number("lastActivity", row.last_activity);
    json.number("unread", row.unread);
    json.number("mentions", row.mentions as u64);
    json.number("userCount", row.user_count.into());
    users(json, &mut row.users.into_iter());
    json.number("memberCount", row.member_count.into());
    json.flag("following", row.following);
    json.end();
}

pub(crate) fn notifications(client: &Client) -> Made {
    list(client.notifications().rev(), notification)
}

pub(crate) fn notification(json: &mut Json, notification: &v1::Notification) {
    json.text("id", &op_id(notification.message_id.as_ref()));
    json.text("roomId", &notification.room_id);
    json.number("ordinal", notification.ordinal);
    json.text("author", &notification.author);
    json.text("authorName", &notification.author_name);
    json.text("excerpt", &notification.excerpt);
    json.number("at", notification.at);
}

pub(crate) fn room(view: RoomView<'_>) -> Made {
    let (synced, error) = match view.synced() {
        Synced::Loading => ("loading", None),
        Synced::Ready => ("ready", None),
        Synced::Stale => ("stale", None),
        Synced::Failed(code) => ("failed", Some(code.number().into())),
    };
    object(|json| {
        json.text("id", view.id().as_str());
        json.text("name", view.name());
        tier(json, view.tier(), view.reason());
        json.text("synced", synced);
        json.optional("error", error);
        json.number("epoch", view.position().epoch);
        json.number("seq", view.position().seq);
        if let Some(info) = view.info() {
            json.object("info");
            json.text("name", &info.name);
            json.text("topic", &info.topic);
            json.text("visibility", visibility(info.visibility()));
            json.text("owner", &info.owner);
            json.number("createdAt", info.created_at);
            json.end();
        }
        config(json, view.config().unwrap_or(&v1::RoomConfig::default()));
        json.number("userCount", view.user_count().into());
        users(json, &mut view.users());
        json.number("memberCount", view.member_count().into());
        json.flag("joined", is_joined(view));
        json.number("head", view.head());
        json.number("unread", view.unread());
        json.number("mentions", view.mentions() as u64);
        json.number("bytesIn", view.bytes_in());
        json.number("bytesOut", view.bytes_out());
        json.flag("hasOlder", view.has_older());
        json.flag("loadingOlder", view.is_loading_older());
        json.text("draft", view.draft());
    })
}

fn config(json: &mut Json, config: &v1::RoomConfig) {
    json.object("config");
    json.flag("slowModeEnabled", config.slow_mode_enabled);
    json.number("slowModeDuration", config.slow_mode_duration.into());
    json.flag("subscriberOnly", config.subscriber_only);
    json.flag("followerOnly", config.follower_only);
    json.flag("emoteOnly", config.emote_only);
    json.number("capacity", config.capacity.into());
    json.end();
}

fn tier(json: &mut Json, tier: Tier, reason: TierReason) {
    json.text("tier", tier.name());
    json.object("reason");
    json.text("code", reason.name());
    json.text("text", reason.text());
    json.end();
}

fn users(json: &mut Json, users: &mut dyn Iterator<Item = &v1::PresentUser>) {
    json.list("users");
    for user in users {
        json.item();
        json.text("id", &user.user);
        json.text("name", &user.name);
        let liveness = match user.liveness() {
            v1::Liveness::Live => "live",
            v1::Liveness::Stale => "stale",
            v1::Liveness::Offline => "offline",
        };
        json.text("liveness", liveness);
        json.end();
    }
    json.end();
}

pub(crate) fn members(view: RoomView<'_>) -> Made {
    list(view.members(), |json, member| {
        let role = match member.role() {
            v1::Role::Member => "member",
            v1::Role::Moderator => "moderator",
            v1::Role::Owner => "owner",
        };
        json.text("id", &member.user);
        json.text("name", &member.name);
        json.text("role", role);
        json.number("joinedAt", member.joined_at);
        json.texts("badges", &member.badges);
        json.text("color", &member.color);
    })
}

pub(crate) fn scores(client: &Client, view: Option<RoomView<'_>>, from: usize, count: usize) -> Made {
    let user = client.connection().user.unwrap_or_default();
    let counters = view.and_then(|view| view.counters());
    object(|json| {
        json.number("total", view.map_or(0, |view| view.total_score()));
        json.number("own", view.map_or(0, |view| view.own_score()));
        json.optional("rank", counters.and_then(|counters| counters.rank(user)).map(|rank| rank as u64));
        json.number("players", counters.map_or(0, |counters| counters.len()) as u64);
        json.list("teams");
        for team in counters.map_or(&[][..], |counters| counters.teams()) {
            json.item();
            json.text("name", &team.name);
            json.number("score", team.score);
            json.number("members", team.members.into());
            json.end();
        }
        json.end();
        json.list("leaders");
        for score in counters.into_iter().flat_map(|counters| counters.leaders(from).take(count)) {
            json.item();
            json.text("id", &score.user);
            json.text("name", &score.name);
            json.text("team", &score.team);
            json.number("score", score.score);
            json.end();
        }
        json.end();
    })
}

pub(crate) fn contacts(client: &Client) -> Made {
    list(client.contacts(), |json, contact| {
        let status = client.status_of(&contact.user);
        let friend = match contact.friend() {
            v1::FriendState::None => "none",
            v1::FriendState::Requested => "requested",
            v1::FriendState::Pending => "pending",
            v1::FriendState::Friends => "friends",
        };
        let availability = match status.map(v1::Status::availability) {
            None => "",
            Some(v1::Availability::Online) => "online",
            Some(v1::Availability::Away) => "away",
            Some(v1::Availability::Busy) => "busy",
            Some(v1::Availability::Invisible) => "invisible",
        };
        json.text("id", &contact.user);
        json.text("name", &contact.name);
        json.text("friend", friend);
        json.flag("blocked", contact.blocked);
        json.flag("following", contact.following);
        json.flag("follower", contact.follower);
        json.text("availability", availability);
        json.text("status", status.map_or("", |status| &status.text));
    })
}

pub(crate) fn signals(client: &Client, room: &RoomId) -> Made {
    let rows = Array::new();
    for item in client.signals(room) {
        rows.push(&signal(item)?);
    }
    Ok(rows.into())
}

/// A signal, with all the client knows of its sender. An `ended` one stands for the end of what one of its id began.
pub(crate) fn signal(item: &v1::SignalItem) -> Made {
    let mut id = decimal(item.client);
    for part in [&item.kind, &item.key] {
        id.push('/');
        id.push_str(part);
    }
    let row = object(|json| {
        json.text("id", &id);
        json.text("user", &item.user);
        json.text("kind", &item.kind);
        json.text("key", &item.key);
        json.flag("ended", item.class() == v1::SignalClass::Release);
    })?;
    Reflect::set(&row, &"payload".into(), &bytes(&item.payload))?;
    Ok(row)
}

pub(crate) fn bytes(bytes: &[u8]) -> JsValue {
    Uint8Array::from(bytes).into()
}

/// As [`OpId`]'s `Display`, and empty for none.
pub(crate) fn op_id(id: Option<&v1::OpId>) -> String {
    OpId::parse(id).map(id_text).unwrap_or_default()
}

/// As [`OpId`]'s `Display`.
pub(crate) fn id_text(id: OpId) -> String {
    let mut text = decimal(id.client.0);
    text.push('-');
    text.push_str(&decimal(id.counter));
    text
}

fn visibility(visibility: v1::Visibility) -> &'static str {
    match visibility {
        v1::Visibility::Public => "public",
        v1::Visibility::Unlisted => "unlisted",
        v1::Visibility::Private => "private",
    }
}

/// Whether the user is a member, or will be once what is pending is done.
fn is_joined(view: RoomView<'_>) -> bool {
    let mut joined = match view.tier() {
        Tier::Active => view.own_membership().is_some(),
        Tier::Background | Tier::Cached | Tier::Unloaded => view.is_following(),
    };
    for op in view.pending() {
        match op.body {
            Body::CreateRoom(_) | Body::Join(_) => joined = true,
            Body::Leave(_) => joined = false,
            _ => {}
        }
    }
    joined
}
