//! Taps over REST, and the state of a game.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use enfilade_core::policy::Actor;
use enfilade_core::{ClientId, Code, OpId, RoomId, UserId, hash53, op, v1};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::api::{Answer, authenticate, random_id};
use super::error::ErrorBody;
use crate::auth::now;
use crate::events::command;
use crate::rooms::Refused;

/// Rows of the leaderboard.
const LEADERS: usize = 10;
/// Bytes of a tap's id.
const ID_BYTES: usize = 64;
/// Taps of one user at the same moment that get a number each before one gives up.
const ATTEMPTS: u32 = 16;

#[derive(Deserialize, ToSchema)]
pub(super) struct TapRequest {
    /// The game's room, which the caller has joined.
    room: String,
    /// What the tap is worth; 1 when absent.
    points: Option<u64>,
    /// 1 to 64 characters; with events a tap that comes again under the same id counts once.
    id: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Tapped {
    /// The tap's id.
    id: String,
    /// Whether it is on its way through events: then everybody in the room sees it when it has arrived. Otherwise it
    /// counts already.
    queued: bool,
    /// Where it is in the room's log, when it counts already.
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
}

/// Taps: adds to the caller's score, their team's and the total.
///
/// With events configured the tap goes through Kafka (or a stream of Redis), and this answers 202 as soon as it is
/// durable there. Without, it is applied at once, and this answers 200.
#[utoipa::path(post, path = "/api/tap", request_body = TapRequest, responses((status = 200, body = Tapped),
    (status = 202, body = Tapped), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody),
    (status = 403, body = ErrorBody), (status = 404, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn tap(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<Json<TapRequest>, JsonRejection>,
) -> Answer<impl IntoResponse> {
    let actor = authenticate(&api, &headers)?;
    let Json(request) = body.map_err(|_| Code::InvalidRequest)?;
    let room = RoomId::new(&request.room)?;
    let points = request.points.unwrap_or(1);
    let op = op::encode(command::score(points));
    op::parse(&op)?;
    let id = match request.id {
        Some(id) if (1..=ID_BYTES).contains(&id.len()) => id,
        Some(_) => return Err(Code::InvalidRequest.into()),
        None => random_id()?.to_string(),
    };
    let Some(commands) = &api.commands else {
        let position = apply(&api, &room, actor, op).await?;
        return Ok((StatusCode::OK, Json(Tapped { id, queued: false, seq: Some(position.seq) })));
    };
    let user = UserId::new(actor.user())?;
    // Nobody else's tap has this id.
    let json = command::tap(format!("{user}/{id}"), &room, &user, actor.name(), points);
    if let Err(error) = commands.send(&room, json.into()).await {
        tracing::warn!(%room, %error, "a tap was not sent on its way");
        return Err(Code::Overloaded.into());
    }
    Ok((StatusCode::ACCEPTED, Json(Tapped { id, queued: true, seq: None })))
}

/// Applies a tap at once. All taps of a user on this node are of one client, whose counter is the clock.
async fn apply(
    api: &Api,
    room: &RoomId,
    actor: Actor,
    op: Vec<u8>,
) -> Result<enfilade_core::Position, Refused> {
    let client = format!("rest/{}/{}", api.rooms.node(), actor.user());
    let client = ClientId(hash53(client.as_bytes(), 0).max(1));
    let actor = Arc::new(actor);
    let mut refused = Refused { code: Code::Overloaded, retry_after: 0 };
    for attempt in 0..ATTEMPTS {
        // Milliseconds in 41 bits, and the rest by chance, so that those of one moment differ.
        let chance = random_id().map_err(|_| Refused { code: Code::Internal, retry_after: 0 })?;
        let counter = (now().0 << 12) | (chance & 0xfff);
        let submit = v1::Submit {
            room_id: room.as_str().into(),
            op_id: Some(OpId { client, counter: counter + u64::from(attempt) }.wire()),
            op: op.clone(),
            ..Default::default()
        };
        match api.rooms.submit(room, actor.clone(), submit).await {
            // Another tap of theirs was quicker with a later number, so this one did not count.
            Err(late) if matches!(late.code, Code::OpSuperseded | Code::OpIdReused) => refused = late,
            answered => return answered,
        }
    }
    Err(refused)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct GameQuery {
    /// The game's room.
    room: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct GameState {
    room: String,
    epoch: u64,
    seq: u64,
    /// All points of all.
    total: u64,
    /// Descending by score.
    users: Vec<ScoreRow>,
    teams: Vec<TeamRow>,
    /// The first of `users`.
    leaderboard: Vec<ScoreRow>,
}

#[derive(Clone, Serialize, ToSchema)]
struct ScoreRow {
    user: String,
    name: String,
    /// Empty for nobody's.
    team: String,
    score: u64,
}

#[derive(Serialize, ToSchema)]
struct TeamRow {
    name: String,
    score: u64,
    members: u32,
}

/// The state of a room's game: scores of users and teams, and the leaderboard.
#[utoipa::path(get, path = "/api/game-state", params(GameQuery), responses((status = 200, body = GameState),
    (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub(super) async fn game_state(
    State(api): State<Api>,
    headers: HeaderMap,
    query: Result<Query<GameQuery>, QueryRejection>,
) -> Answer<Json<GameState>> {
    let actor = authenticate(&api, &headers)?;
    let Query(query) = query.map_err(|_| Code::InvalidRequest)?;
    let room = RoomId::new(&query.room)?;
    let snapshot = api.rooms.read(&room, Arc::new(actor)).await?;
    let position = snapshot.position.unwrap_or_default();
    let counters = snapshot.counters.unwrap_or_default();
    let mut users: Vec<ScoreRow> = counters.scores.into_iter().map(score).collect();
    users.sort_by(|a, b| b.score.cmp(&a.score).then_with(|| a.user.cmp(&b.user)));
    let team = |team: v1::Team| TeamRow { name: team.name, score: team.score, members: team.members };
    Ok(Json(GameState {
        room: room.as_str().into(),
        epoch: position.epoch,
        seq: position.seq,
        total: counters.total,
        leaderboard: users.iter().take(LEADERS).cloned().collect(),
        users,
        teams: counters.teams.into_iter().map(team).collect(),
    }))
}

fn score(score: v1::Score) -> ScoreRow {
    ScoreRow { user: score.user, name: score.name, team: score.team, score: score.score }
}
