//! Axum with tokio's broadcast channel, as its chat example is written. The first message says "sub ROOM" or "pub ROOM".

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::routing::any;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::broadcast;

/// Room enough for 64 outstanding messages, many times over.
const CHANNEL: usize = 1_024;

type Rooms = Arc<Mutex<HashMap<String, broadcast::Sender<Message>>>>;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let app = Router::new()
        .route(
            "/ws",
            any(|upgrade: WebSocketUpgrade, State(rooms): State<Rooms>| async move {
                upgrade.on_upgrade(|socket| serve(socket, rooms))
            }),
        )
        .with_state(Rooms::default());
    let port = enfilade_peers::port_from_environment();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("ready {port}");
    axum::serve(listener, app).await
}

async fn serve(mut socket: WebSocket, rooms: Rooms) {
    let Some(Ok(first)) = socket.recv().await else { return };
    let first = first.into_text().unwrap_or_default();
    let Some((role, room)) = first.split_once(' ') else { return };
    let room = rooms
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .entry(room.to_owned())
        .or_insert_with(|| broadcast::channel(CHANNEL).0)
        .clone();
    let mut receiver = (role == "sub").then(|| room.subscribe());
    if socket.send(Message::Text(Utf8Bytes::from_static("ok"))).await.is_err() {
        return;
    }
    let (mut sender, mut incoming) = socket.split();
    let forward = async {
        let Some(receiver) = &mut receiver else { return std::future::pending().await };
        while let Ok(message) = receiver.recv().await {
            if sender.send(message).await.is_err() {
                return;
            }
        }
    };
    let read = async {
        while let Some(Ok(message)) = incoming.next().await {
            if matches!(message, Message::Binary(_)) {
                let _ = room.send(message);
            }
        }
    };
    tokio::select! {
        () = forward => {}
        () = read => {}
    }
}
