//! The server's HTTP side: the API under `/api`, probes, metrics, the WebSocket's address, and the demo.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::PrometheusHandle;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::auth::Tokens;
use crate::events::Commands;
use crate::health::{Health, Report};
use crate::net::{Fanout, upgrade};
use crate::rooms::Rooms;

mod api;
mod assets;
mod error;
mod game;

pub use api::openapi;

/// The largest body that the API takes: names and topics.
const BODY_BYTES: usize = 16 * 1024;
/// Scripts, styles and pictures come from here alone; connections go to here alone.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; \
     style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self' ws: wss:; object-src 'none'; \
     base-uri 'self'; frame-ancestors 'none'; form-action 'self'";

/// What the handlers share.
#[derive(Clone)]
pub struct Api {
    /// The live rooms.
    pub rooms: Rooms,
    /// Sends commands through events, where there are any.
    pub commands: Option<Arc<dyn Commands>>,
    /// Who may do what.
    pub tokens: Arc<Tokens>,
    /// Whether somebody without an account gets a token.
    pub guests: bool,
    /// The sockets.
    pub fanout: Fanout,
    /// What `/metrics` shows.
    pub metrics: PrometheusHandle,
    /// What `/readyz` says.
    pub health: Health,
}

/// All routes. `origins` are the other sites whose pages may call the API; none need be named for the server's own.
pub fn router(api: Api, origins: &[String]) -> Router {
    let origins: Vec<HeaderValue> = origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([axum::http::Method::GET, axum::http::Method::POST])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE]);
    let header = |name, value| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
    Router::new()
        .nest("/api", api::router().layer(cors))
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/ws", get(websocket))
        .fallback(assets::serve)
        .layer(RequestBodyLimitLayer::new(BODY_BYTES))
        .layer(header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(header(header::REFERRER_POLICY, "no-referrer"))
        .layer(header(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .layer(header(HeaderName::from_static("cross-origin-opener-policy"), "same-origin"))
        .with_state(api)
}

async fn websocket(State(api): State<Api>, request: Request) -> Response {
    upgrade::upgrade(api.fanout, request).await
}

/// 200 where people are served; with `?writes`, only where what they write is taken too. The body is the same.
async fn readyz(State(api): State<Api>, request: Request) -> (StatusCode, Json<Report>) {
    let report = api.health.report();
    let asks_for_writes =
        request.uri().query().is_some_and(|query| query.split('&').any(|key| key == "writes"));
    let is_yes = report.ready && (report.writes || !asks_for_writes);
    (if is_yes { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(report))
}

async fn metrics(State(api): State<Api>) -> String {
    metrics::gauge!("enfilade_connections").set(api.fanout.connections() as f64);
    metrics::gauge!("enfilade_rooms_live").set(api.rooms.live() as f64);
    api.metrics.render()
}
