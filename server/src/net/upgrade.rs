//! From an HTTP request to a WebSocket on a shard.

use std::net::{SocketAddr, TcpStream};

use axum::Json;
use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use enfilade_proto::{Code, SUBPROTOCOL_BINARY, SUBPROTOCOL_JSON};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use soketto::handshake::http::{Server, is_upgrade_request};

use super::{Codec, Fanout};

/// The one WebSocket version there is.
const WEBSOCKET_VERSION: &str = "13";

/// Answers a WebSocket handshake, and gives the socket to a shard. What is not a handshake gets a coded error.
///
/// The request must have come through [`super::accept::serve`].
pub async fn upgrade(fanout: Fanout, mut request: Request) -> Response {
    if !is_upgrade_request(&request) {
        let mut response = refuse(
            StatusCode::UPGRADE_REQUIRED,
            Code::InvalidRequest,
            "This address speaks WebSocket: send Connection: Upgrade and Upgrade: websocket.",
        );
        response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        return response;
    }
    if request.headers().get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != WEBSOCKET_VERSION)
    {
        let mut response =
            refuse(StatusCode::UPGRADE_REQUIRED, Code::InvalidRequest, "Sec-WebSocket-Version must be 13.");
        response
            .headers_mut()
            .insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static(WEBSOCKET_VERSION));
        return response;
    }
    let Some((subprotocol, codec)) = choose_subprotocol(request.headers()) else {
        return refuse(
            StatusCode::BAD_REQUEST,
            Code::UnsupportedVersion,
            "Sec-WebSocket-Protocol must offer enfilade.proto.v1 or enfilade.json.v1.",
        );
    };
    let Ok(handshake) = Server::new().receive_request(&request) else {
        return refuse(
            StatusCode::BAD_REQUEST,
            Code::InvalidRequest,
            "Sec-WebSocket-Key must be 16 bytes in base64.",
        );
    };
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    let (Some(on_upgrade), Some(peer)) = (request.extensions_mut().remove::<OnUpgrade>(), peer) else {
        return refuse(
            StatusCode::UPGRADE_REQUIRED,
            Code::InvalidRequest,
            "This connection can't be upgraded.",
        );
    };
    if fanout.is_full() {
        metrics::counter!("enfilade_upgrades_refused_total", "reason" => "full").increment(1);
        return refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            Code::TooManyConnections,
            Code::TooManyConnections.text(),
        );
    }
    tokio::spawn(async move {
        // It fails if the client is gone before it has the answer.
        if let Ok(upgraded) = on_upgrade.await
            && let Some((stream, early)) = take_socket(upgraded)
        {
            fanout.adopt(stream, peer, codec, early);
        }
    });
    let mut response = handshake.map(|()| axum::body::Body::empty());
    response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
    response
}

/// The first of the client's offers that is spoken here.
fn choose_subprotocol(headers: &HeaderMap) -> Option<(&'static str, Codec)> {
    let offers = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    offers.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).find_map(|offer| {
        match offer.trim() {
            SUBPROTOCOL_BINARY => Some((SUBPROTOCOL_BINARY, Codec::Binary)),
            SUBPROTOCOL_JSON => Some((SUBPROTOCOL_JSON, Codec::Json)),
            _ => None,
        }
    })
}

/// Takes the socket, and what was read from it beyond the request, out of hyper and tokio.
fn take_socket(upgraded: Upgraded) -> Option<(TcpStream, Bytes)> {
    let parts = upgraded.downcast::<TokioIo<tokio::net::TcpStream>>().ok()?;
    Some((parts.io.into_inner().into_std().ok()?, parts.read_buf))
}

fn refuse(status: StatusCode, code: Code, message: &str) -> Response {
    let body = serde_json::json!({
        "error": { "code": code.number(), "name": code.name(), "message": message }
    });
    (status, Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(values: &[&'static str]) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(value));
        }
        choose_subprotocol(&headers).map(|(name, _)| name)
    }

    #[test]
    fn the_first_known_subprotocol_is_chosen() {
        assert_eq!(
            offered(&["enfilade.proto.v2, enfilade.json.v1 ,enfilade.proto.v1"]),
            Some(SUBPROTOCOL_JSON)
        );
        assert_eq!(offered(&["graphql-ws", "enfilade.proto.v1"]), Some(SUBPROTOCOL_BINARY));
        assert_eq!(offered(&["enfilade.proto"]), None);
        assert_eq!(offered(&[]), None);
    }
}
