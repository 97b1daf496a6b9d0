//! The API under `/api`.

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use enfilade_core::authority::Standing;
use enfilade_core::op::{self, Body};
use enfilade_core::policy::Actor;
use enfilade_core::traffic::Kind;
use enfilade_core::{Code, RoomId, Tier, limits, text, v1};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::error::{ApiError, ErrorBody};
use super::{Api, game};
use crate::auth::now;

pub(super) type Answer<T> = Result<T, ApiError>;

pub(super) fn router() -> Router<Api> {
    Router::new()
        .route("/guest", post(guest))
        .route("/rooms", get(list_rooms).post(create_room))
        .route("/rooms/{id}", get(read_room))
        .route("/rooms/{id}/messages", get(read_messages))
        .route("/rooms/{id}/traffic", get(read_traffic))
        .route("/tap", post(game::tap))
        .route("/game-state", get(game::game_state))
        .route("/openapi.json", get(|| async { Json(openapi()) }))
        .fallback(|| async { ApiError::from(Code::InvalidRequest) })
}

/// The API's description.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Enfilade",
        description = "Rooms over HTTP. Everything live goes over the WebSocket at /ws."
    ),
    paths(
        guest,
        list_rooms,
        create_room,
        read_room,
        read_messages,
        read_traffic,
        game::tap,
        game::game_state
    )
)]
struct Description;

#[derive(Deserialize, ToSchema)]
struct GuestRequest {
    /// The display name: 1 to 64 characters.
    name: String,
}

#[derive(Serialize, ToSchema)]
struct Guest {
    /// For `Authorization: Bearer`, and for the hello of a socket.
    token: String,
    user_id: String,
    name: String,
    /// Milliseconds since 1970.
    expires_at: u64,
}

/// A token for somebody without an account.
#[utoipa::path(post, path = "/api/guest", request_body = GuestRequest,
    responses((status = 200, body = Guest), (status = 400, body = ErrorBody), (status = 403, body = ErrorBody)))]
async fn guest(
    State(api): State<Api>,
    body: Result<Json<GuestRequest>, JsonRejection>,
) -> Answer<Json<Guest>> {
    let Json(request) = body.map_err(|_| Code::InvalidRequest)?;
    if !api.guests {
        return Err(Code::Forbidden.into());
    }
    let name = text::name(request.name.trim())?;
    let (token, claims) = api.tokens.mint_guest(name, now())?;
    Ok(Json(Guest {
        token,
        user_id: claims.user.as_str().into(),
        name: claims.name,
        expires_at: claims.expires.0,
    }))
}

/// What a room has cost the connections of this node, since it became live.
#[derive(Serialize, ToSchema)]
struct RoomTraffic {
    kinds: Vec<KindTraffic>,
    /// Changes that travelled together with others, or were replaced by newer ones.
    coalesced: u64,
    /// Signals that were dropped to keep the budget.
    dropped: u64,
    /// Clients whose state differed from the server's at an equal position.
    mismatches: u64,
    tiers: Vec<TierTraffic>,
}

/// Frames of one kind, to all receivers.
#[derive(Serialize, ToSchema)]
struct KindTraffic {
    kind: &'static str,
    frames: u64,
    bytes: u64,
}

/// What each receiver in one tier may be sent.
#[derive(Serialize, ToSchema)]
struct TierTraffic {
    tier: &'static str,
    receivers: usize,
    bytes_per_second: u64,
    /// Whether they were sent more than that.
    over: bool,
}

/// What a room costs, frame by kind of frame. Of a private one, members may ask.
#[utoipa::path(get, path = "/api/rooms/{id}/traffic", params(("id" = String, Path)),
    responses((status = 200, body = RoomTraffic), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody)))]
async fn read_traffic(
    State(api): State<Api>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Answer<Json<RoomTraffic>> {
    let actor = authenticate(&api, &headers)?;
    let id = RoomId::new(&id)?;
    api.rooms.read(&id, Arc::new(actor)).await?;
    let cost = api.rooms.cost(&id).await?;
    let kind = |kind: Kind| {
        let tally = cost.traffic.of(kind);
        KindTraffic { kind: kind.name(), frames: tally.frames, bytes: tally.bytes }
    };
    let tier = |(tier, standing): (Tier, Standing)| TierTraffic {
        tier: tier.name(),
        receivers: standing.receivers,
        bytes_per_second: standing.budget.bandwidth,
        over: standing.is_over,
    };
    Ok(Json(RoomTraffic {
        kinds: Kind::ALL.map(kind).into(),
        coalesced: cost.traffic.coalesced,
        dropped: cost.traffic.dropped,
        mismatches: cost.traffic.mismatches,
        tiers: cost.standings.map(tier).into(),
    }))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct PageQuery {
    /// `next` of the page before.
    cursor: Option<String>,
    /// Rows, from 1 to 100.
    limit: Option<usize>,
    /// The room of exactly this name alone: none, or one, which is the oldest of several.
    name: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct RoomPage {
    rooms: Vec<RoomRow>,
    /// Ask with this cursor for the next page; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// Public rooms in all.
    total: usize,
}

#[derive(Serialize, ToSchema)]
struct RoomRow {
    id: String,
    name: String,
    topic: String,
    /// `public`, `unlisted` or `private`.
    visibility: &'static str,
    members: u32,
    /// Users present now.
    users: u32,
    /// Messages that the room has had.
    messages: u64,
    /// Milliseconds since 1970.
    last_activity: u64,
    epoch: u64,
    seq: u64,
}

/// The public rooms.
#[utoipa::path(get, path = "/api/rooms", params(PageQuery),
    responses((status = 200, body = RoomPage), (status = 400, body = ErrorBody)))]
async fn list_rooms(
    State(api): State<Api>,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Answer<Json<RoomPage>> {
    let Query(query) = query.map_err(|_| Code::InvalidRequest)?;
    if let Some(name) = &query.name {
        let rooms: Vec<RoomRow> = api.rooms.directory().named(name).map(row).into_iter().collect();
        let total = rooms.len();
        return Ok(Json(RoomPage { rooms, next: None, total }));
    }
    let cursor = query.cursor.as_deref().map(RoomId::new).transpose()?;
    let limit = query.limit.unwrap_or(limits::ROOM_LIST_PAGE).clamp(1, limits::ROOM_LIST_PAGE);
    let (rooms, next, total) = api.rooms.directory().public(cursor.as_ref(), limit);
    let next = next.map(|next| next.as_str().to_owned());
    Ok(Json(RoomPage { rooms: rooms.into_iter().map(row).collect(), next, total }))
}

#[derive(Deserialize, ToSchema)]
struct CreateRequest {
    name: String,
    #[serde(default)]
    topic: String,
    /// `public` (the default), `unlisted` or `private`.
    visibility: Option<String>,
    /// 1 to 64 characters of a-z, A-Z, 0-9, '-', '_', '.' and ':'; made up when absent.
    id: Option<String>,
    /// Makes up an id of six digits, which people tell each other and no other room has.
    #[serde(default)]
    code: bool,
    /// Members that the room takes; as many as a room may have when absent.
    capacity: Option<u32>,
}

#[derive(Serialize, ToSchema)]
struct Created {
    id: String,
    epoch: u64,
    seq: u64,
}

/// Creates a room, which the caller then owns.
#[utoipa::path(post, path = "/api/rooms", request_body = CreateRequest, responses((status = 201, body = Created),
    (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 409, body = ErrorBody)))]
async fn create_room(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<Json<CreateRequest>, JsonRejection>,
) -> Answer<impl IntoResponse> {
    let actor = authenticate(&api, &headers)?;
    let Json(request) = body.map_err(|_| Code::InvalidRequest)?;
    let visibility = match request.visibility.as_deref() {
        None | Some("public") => v1::Visibility::Public,
        Some("unlisted") => v1::Visibility::Unlisted,
        Some("private") => v1::Visibility::Private,
        Some(_) => return Err(Code::InvalidRequest.into()),
    };
    let create = v1::CreateRoom { name: request.name, topic: request.topic, visibility: visibility.into() };
    let create = Body::CreateRoom(create);
    let (actor, client) = (Arc::new(actor), random_id()?);
    let submit = |id: &RoomId, counter, body: &Body| v1::Submit {
        room_id: id.as_str().into(),
        op_id: Some(v1::OpId { client, counter }),
        op: op::encode(body.clone()),
        ..Default::default()
    };
    let mut attempts = if request.code { CODES } else { 1 };
    let (id, mut position) = loop {
        let id = match &request.id {
            Some(id) => RoomId::new(id)?,
            None if request.code => RoomId::code(random_id()?),
            None => RoomId::new(&random_id()?.to_string())?,
        };
        attempts -= 1;
        match api.rooms.submit(&id, actor.clone(), submit(&id, 1, &create)).await {
            Ok(position) => break (id, position),
            Err(refused) if refused.code == Code::RoomExists && attempts > 0 => {}
            Err(refused) => return Err(refused.into()),
        }
    };
    if request.capacity.is_some() {
        let config = v1::SetConfig { capacity: request.capacity, ..Default::default() };
        let submit = submit(&id, 2, &Body::SetConfig(config));
        position = api.rooms.submit(&id, actor, submit).await?;
    }
    let created = Created { id: id.as_str().into(), epoch: position.epoch, seq: position.seq };
    Ok((StatusCode::CREATED, Json(created)))
}

#[derive(Serialize, ToSchema)]
struct Room {
    #[serde(flatten)]
    row: RoomRow,
    owner: String,
    created_at: u64,
    slow_mode_seconds: Option<u32>,
    members_list: Vec<MemberRow>,
}

#[derive(Serialize, ToSchema)]
struct MemberRow {
    user: String,
    name: String,
    /// `member`, `moderator` or `owner`.
    role: &'static str,
    joined_at: u64,
}

/// One room. A private one needs the token of a member.
#[utoipa::path(get, path = "/api/rooms/{id}", params(("id" = String, Path)), responses((status = 200, body = Room),
    (status = 403, body = ErrorBody), (status = 404, body = ErrorBody)))]
async fn read_room(State(api): State<Api>, headers: HeaderMap, Path(id): Path<String>) -> Answer<Json<Room>> {
    let actor = authenticate(&api, &headers)?;
    let id = RoomId::new(&id)?;
    let snapshot = api.rooms.read(&id, Arc::new(actor)).await?;
    let info = snapshot.info.unwrap_or_default();
    let config = snapshot.config.unwrap_or_default();
    let position = snapshot.position.unwrap_or_default();
    Ok(Json(Room {
        row: RoomRow {
            id: id.as_str().into(),
            visibility: visibility(info.visibility()),
            name: info.name,
            topic: info.topic,
            members: snapshot.member_count,
            users: api.rooms.directory().get(&id).map_or(0, |row| row.user_count),
            messages: snapshot.messages,
            last_activity: snapshot.last_at,
            epoch: position.epoch,
            seq: position.seq,
        },
        owner: info.owner,
        created_at: info.created_at,
        slow_mode_seconds: config.slow_mode_enabled.then_some(config.slow_mode_duration),
        members_list: snapshot.members.into_iter().map(member).collect(),
    }))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct MessagesQuery {
    /// `next_before_seq` of the page before; the newest messages when absent.
    before_seq: Option<u64>,
    /// Messages, from 1 to 100.
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
struct MessagePage {
    /// Ascending.
    messages: Vec<MessageRow>,
    /// Ask for messages before this seq to go on; absent when there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_before_seq: Option<u64>,
}

#[derive(Serialize, ToSchema)]
struct MessageRow {
    /// The operation that made it: client and counter.
    id: String,
    seq: u64,
    ordinal: u64,
    author: String,
    author_name: String,
    at: u64,
    text: String,
    mentions: Vec<String>,
}

/// A room's messages, newest page first.
#[utoipa::path(get, path = "/api/rooms/{id}/messages", params(("id" = String, Path), MessagesQuery),
    responses((status = 200, body = MessagePage), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody)))]
async fn read_messages(
    State(api): State<Api>,
    headers: HeaderMap,
    Path(id): Path<String>,
    query: Result<Query<MessagesQuery>, QueryRejection>,
) -> Answer<Json<MessagePage>> {
    let actor = authenticate(&api, &headers)?;
    let id = RoomId::new(&id)?;
    let Query(query) = query.map_err(|_| Code::InvalidRequest)?;
    let request = v1::HistoryRequest {
        request_id: 1,
        room_id: id.as_str().into(),
        before_seq: query.before_seq.unwrap_or(0),
        limit: query.limit.unwrap_or(limits::HISTORY_PAGE as u32),
        ..Default::default()
    };
    let page = api.rooms.history(&id, Arc::new(actor), request).await?;
    Ok(Json(MessagePage {
        messages: page.messages.into_iter().map(message).collect(),
        next_before_seq: (page.next_before_seq > 0).then_some(page.next_before_seq),
    }))
}

/// Whose token the request carries.
pub(super) fn authenticate(api: &Api, headers: &HeaderMap) -> Answer<Actor> {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
        .ok_or(Code::TokenInvalid)?;
    let claims = api.tokens.verify(token.trim(), now())?;
    Ok(Actor::new(claims.user, claims.name))
}

/// Codes that are tried for a room; with half of all taken, one creation in a million fails.
const CODES: u32 = 20;

/// A random number from 1 to 2^53 - 1.
pub(super) fn random_id() -> Answer<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|_| Code::Internal)?;
    Ok((u64::from_le_bytes(bytes) % (limits::INTEGER_BOUND - 1)) + 1)
}

fn row(summary: v1::RoomSummary) -> RoomRow {
    let position = summary.position.unwrap_or_default();
    RoomRow {
        visibility: visibility(summary.visibility()),
        id: summary.room_id,
        name: summary.name,
        topic: summary.topic,
        members: summary.member_count,
        users: summary.user_count,
        messages: summary.messages,
        last_activity: summary.last_activity,
        epoch: position.epoch,
        seq: position.seq,
    }
}

fn member(member: v1::Member) -> MemberRow {
    let role = match member.role() {
        v1::Role::Member => "member",
        v1::Role::Moderator => "moderator",
        v1::Role::Owner => "owner",
    };
    MemberRow { role, user: member.user, name: member.name, joined_at: member.joined_at }
}

fn message(message: v1::Message) -> MessageRow {
    let id = message.id.unwrap_or_default();
    MessageRow {
        id: format!("{}-{}", id.client, id.counter),
        seq: message.seq,
        ordinal: message.ordinal,
        author: message.author,
        author_name: message.author_name,
        at: message.at,
        text: message.text,
        mentions: message.mentions,
    }
}

fn visibility(visibility: v1::Visibility) -> &'static str {
    match visibility {
        v1::Visibility::Public => "public",
        v1::Visibility::Unlisted => "unlisted",
        v1::Visibility::Private => "private",
    }
}
