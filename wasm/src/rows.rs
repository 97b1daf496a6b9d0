//! Views as JavaScript objects: the types of ts/types.ts.

use enfilade_core::client::{Client, ConnectionState, RoomRow as CoreRow, RoomView, Synced};
use enfilade_core::op::Body;
use enfilade_core::tier::TierReason;
use enfilade_core::{OpId, RoomId, Tier, v1};
use serde::Serialize;
use wasm_bindgen::JsValue;

use crate::drained::Bytes;

/// Makes a JavaScript object. What is `None` and not skipped becomes `null`.
pub(crate) fn js(value: &impl Serialize) -> Result<JsValue, JsValue> {
    let serializer = serde_wasm_bindgen::Serializer::new().serialize_missing_as_null(true);
    Ok(value.serialize(&serializer)?)
}

#[derive(Serialize)]
struct Reason {
    code: &'static str,
    text: &'static str,
}

#[derive(Serialize)]
struct User<'a> {
    id: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Connection<'a> {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<User<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_at: Option<u64>,
    attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<u32>,
}

#[derive(Serialize)]
struct Present<'a> {
    id: &'a str,
    name: &'a str,
    liveness: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Member<'a> {
    id: &'a str,
    name: &'a str,
    role: &'static str,
    joined_at: u64,
    badges: &'a [String],
    color: &'a str,
}

#[derive(Serialize)]
struct Team<'a> {
    name: &'a str,
    score: u64,
    members: u32,
}

#[derive(Serialize)]
struct Player<'a> {
    id: &'a str,
    name: &'a str,
    team: &'a str,
    score: u64,
}

#[derive(Serialize)]
struct Scores<'a> {
    teams: Vec<Team<'a>>,
    total: u64,
    own: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rank: Option<usize>,
    players: usize,
    leaders: Vec<Player<'a>>,
}

#[derive(Serialize)]
struct Contact<'a> {
    id: &'a str,
    name: &'a str,
    friend: &'static str,
    blocked: bool,
    following: bool,
    follower: bool,
    availability: &'static str,
    status: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Info<'a> {
    name: &'a str,
    topic: &'a str,
    visibility: &'static str,
    owner: &'a str,
    created_at: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    slow_mode_enabled: bool,
    slow_mode_duration: u32,
    subscriber_only: bool,
    follower_only: bool,
    emote_only: bool,
    capacity: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Room<'a> {
    id: &'a str,
    name: &'a str,
    tier: &'static str,
    reason: Reason,
    synced: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<u32>,
    epoch: u64,
    seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<Info<'a>>,
    config: Config,
    user_count: u32,
    users: Vec<Present<'a>>,
    member_count: u32,
    joined: bool,
    head: u64,
    unread: u64,
    mentions: usize,
    bytes_in: u64,
    bytes_out: u64,
    has_older: bool,
    loading_older: bool,
    draft: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LastMessage<'a> {
    author: &'a str,
    author_name: &'a str,
    text: &'a str,
    at: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    id: &'a str,
    name: &'a str,
    topic: &'a str,
    visibility: &'static str,
    tier: &'static str,
    reason: Reason,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_message: Option<LastMessage<'a>>,
    last_activity: u64,
    unread: u64,
    mentions: usize,
    user_count: u32,
    users: Vec<Present<'a>>,
    member_count: u32,
    following: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NotificationRow {
    id: String,
    room_id: String,
    ordinal: u64,
    author: String,
    author_name: String,
    excerpt: String,
    at: u64,
}

/// A signal, with all the client knows of its sender. An `ended` one stands for the end of what one of its id began.
#[derive(Debug, Serialize)]
pub(crate) struct SignalRow {
    id: String,
    user: String,
    kind: String,
    key: String,
    payload: Bytes,
    ended: bool,
}

pub(crate) fn signals(client: &Client, room: &RoomId) -> Result<JsValue, JsValue> {
    js(&client.signals(room).cloned().map(SignalRow::from).collect::<Vec<_>>())
}

pub(crate) fn connection(client: &Client) -> Result<JsValue, JsValue> {
    let view = client.connection();
    let (retry_at, attempt) = match view.state {
        ConnectionState::Waiting { until, attempt } => (Some(until.0), attempt),
        _ => (None, 0),
    };
    let state = match view.state {
        ConnectionState::Idle => "idle",
        ConnectionState::TokenNeeded => "token-needed",
        ConnectionState::Connecting => "connecting",
        ConnectionState::Authenticating => "authenticating",
        ConnectionState::Online => "online",
        ConnectionState::Waiting { .. } => "waiting",
        ConnectionState::Offline => "offline",
        ConnectionState::Failed { .. } => "failed",
    };
    let error = match view.state {
        ConnectionState::Failed { code } => Some(code),
        _ => view.reason,
    };
    let user = view.user.map(|id| User { id, name: view.user_name.unwrap_or(id) });
    js(&Connection { state, user, retry_at, attempt, error: error.map(|code| code.number()) })
}

/// The ids of the room list in order, in lines: ids have no line breaks, and one string crosses faster than thousands.
pub(crate) fn room_order(client: &Client) -> String {
    client.rooms().iter().map(|row| row.id.as_str()).collect::<Vec<_>>().join("\n")
}

/// The rows of these rooms; `null` for one that is not listed.
pub(crate) fn room_rows(client: &Client, ids: &[String]) -> Result<JsValue, JsValue> {
    let row = |id: &String| client.row(&RoomId::new(id).ok()?).map(Row::from);
    js(&ids.iter().map(row).collect::<Vec<_>>())
}

pub(crate) fn notifications(client: &Client) -> Result<JsValue, JsValue> {
    js(&client.notifications().rev().map(NotificationRow::from).collect::<Vec<_>>())
}

pub(crate) fn room(view: RoomView<'_>) -> Result<JsValue, JsValue> {
    js(&Room::from(view))
}

pub(crate) fn members(view: RoomView<'_>) -> Result<JsValue, JsValue> {
    js(&view.members().map(Member::from).collect::<Vec<_>>())
}

pub(crate) fn scores(
    client: &Client,
    view: Option<RoomView<'_>>,
    from: usize,
    count: usize,
) -> Result<JsValue, JsValue> {
    let user = client.connection().user.unwrap_or_default();
    let counters = view.and_then(|view| view.counters());
    js(&Scores {
        teams: counters.map_or(&[][..], |counters| counters.teams()).iter().map(Team::from).collect(),
        total: view.map_or(0, |view| view.total_score()),
        own: view.map_or(0, |view| view.own_score()),
        rank: counters.and_then(|counters| counters.rank(user)),
        players: counters.map_or(0, |counters| counters.len()),
        leaders: counters
            .into_iter()
            .flat_map(|counters| counters.leaders(from).take(count))
            .map(|score| Player { id: &score.user, name: &score.name, team: &score.team, score: score.score })
            .collect(),
    })
}

pub(crate) fn contacts(client: &Client) -> Result<JsValue, JsValue> {
    let contact = |contact: &'_ v1::Contact| {
        let status = client.status_of(&contact.user);
        js(&Contact {
            id: &contact.user,
            name: &contact.name,
            friend: match contact.friend() {
                v1::FriendState::None => "none",
                v1::FriendState::Requested => "requested",
                v1::FriendState::Pending => "pending",
                v1::FriendState::Friends => "friends",
            },
            blocked: contact.blocked,
            following: contact.following,
            follower: contact.follower,
            availability: match status.map(v1::Status::availability) {
                None => "",
                Some(v1::Availability::Online) => "online",
                Some(v1::Availability::Away) => "away",
                Some(v1::Availability::Busy) => "busy",
                Some(v1::Availability::Invisible) => "invisible",
            },
            status: status.map_or("", |status| &status.text),
        })
    };
    let rows = client.contacts().map(contact).collect::<Result<Vec<JsValue>, JsValue>>()?;
    Ok(rows.into_iter().collect::<js_sys::Array>().into())
}

/// As [`OpId`]'s `Display`, and empty for none.
pub(crate) fn op_id(id: Option<&v1::OpId>) -> String {
    OpId::parse(id).map(id_text).unwrap_or_default()
}

/// As [`OpId`]'s `Display`, without core's formatting.
pub(crate) fn id_text(id: OpId) -> String {
    [id.client.0.to_string(), id.counter.to_string()].join("-")
}

fn reason(reason: TierReason) -> Reason {
    Reason { code: reason.name(), text: reason.text() }
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
    let held = match view.tier() {
        Tier::Active => view.own_membership().is_some(),
        Tier::Background | Tier::Cached | Tier::Unloaded => view.is_following(),
    };
    view.pending().fold(held, |joined, op| match op.body {
        Body::CreateRoom(_) | Body::Join(_) => true,
        Body::Leave(_) => false,
        _ => joined,
    })
}

impl<'a> From<RoomView<'a>> for Room<'a> {
    fn from(view: RoomView<'a>) -> Room<'a> {
        let (synced, error) = match view.synced() {
            Synced::Loading => ("loading", None),
            Synced::Ready => ("ready", None),
            Synced::Stale => ("stale", None),
            Synced::Failed(code) => ("failed", Some(code.number())),
        };
        Room {
            id: view.id().as_str(),
            name: view.name(),
            tier: view.tier().name(),
            reason: reason(view.reason()),
            synced,
            error,
            epoch: view.position().epoch,
            seq: view.position().seq,
            info: view.info().map(Info::from),
            config: view
                .config()
                .map(Config::from)
                .unwrap_or_else(|| Config::from(&v1::RoomConfig::default())),
            user_count: view.user_count(),
            users: view.users().map(Present::from).collect(),
            member_count: view.member_count(),
            joined: is_joined(view),
            head: view.head(),
            unread: view.unread(),
            mentions: view.mentions(),
            bytes_in: view.bytes_in(),
            bytes_out: view.bytes_out(),
            has_older: view.has_older(),
            loading_older: view.is_loading_older(),
            draft: view.draft(),
        }
    }
}

impl<'a> From<CoreRow<'a>> for Row<'a> {
    fn from(row: CoreRow<'a>) -> Row<'a> {
        Row {
            id: row.id.as_str(),
            name: row.name,
            topic: row.topic,
            visibility: visibility(row.visibility),
            tier: row.tier.name(),
            reason: reason(row.reason),
            last_message: row.last_message.map(|message| LastMessage {
                author: &message.author,
                author_name: &message.author_name,
                text: &message.text,
                at: message.at,
            }),
            last_activity: row.last_activity,
            unread: row.unread,
            mentions: row.mentions,
            user_count: row.user_count,
            users: row.users.into_iter().map(Present::from).collect(),
            member_count: row.member_count,
            following: row.following,
        }
    }
}

impl<'a> From<&'a v1::PresentUser> for Present<'a> {
    fn from(user: &'a v1::PresentUser) -> Present<'a> {
        let liveness = match user.liveness() {
            v1::Liveness::Live => "live",
            v1::Liveness::Stale => "stale",
            v1::Liveness::Offline => "offline",
        };
        Present { id: &user.user, name: &user.name, liveness }
    }
}

impl<'a> From<&'a v1::Team> for Team<'a> {
    fn from(team: &'a v1::Team) -> Team<'a> {
        Team { name: &team.name, score: team.score, members: team.members }
    }
}

impl<'a> From<&'a v1::Member> for Member<'a> {
    fn from(member: &'a v1::Member) -> Member<'a> {
        let role = match member.role() {
            v1::Role::Member => "member",
            v1::Role::Moderator => "moderator",
            v1::Role::Owner => "owner",
        };
        Member {
            id: &member.user,
            name: &member.name,
            role,
            joined_at: member.joined_at,
            badges: &member.badges,
            color: &member.color,
        }
    }
}

impl<'a> From<&'a v1::RoomInfo> for Info<'a> {
    fn from(info: &'a v1::RoomInfo) -> Info<'a> {
        Info {
            name: &info.name,
            topic: &info.topic,
            visibility: visibility(info.visibility()),
            owner: &info.owner,
            created_at: info.created_at,
        }
    }
}

impl From<&v1::RoomConfig> for Config {
    fn from(config: &v1::RoomConfig) -> Config {
        let &v1::RoomConfig {
            slow_mode_enabled,
            slow_mode_duration,
            subscriber_only,
            follower_only,
            emote_only,
            capacity,
        } = config;
        Config { slow_mode_enabled, slow_mode_duration, subscriber_only, follower_only, emote_only, capacity }
    }
}

impl From<v1::SignalItem> for SignalRow {
    fn from(item: v1::SignalItem) -> SignalRow {
        let ended = item.class() == v1::SignalClass::Release;
        let v1::SignalItem { user, client, kind, payload, key, .. } = item;
        let id = [client.to_string().as_str(), &kind, &key].join("/");
        SignalRow { id, user, kind, key, payload: Bytes(payload), ended }
    }
}

impl From<&v1::Notification> for NotificationRow {
    fn from(notification: &v1::Notification) -> NotificationRow {
        NotificationRow {
            id: op_id(notification.message_id.as_ref()),
            room_id: notification.room_id.clone(),
            ordinal: notification.ordinal,
            author: notification.author.clone(),
            author_name: notification.author_name.clone(),
            excerpt: notification.excerpt.clone(),
            at: notification.at,
        }
    }
}
