//! The network layer alone, for measuring it: the first message says "sub ROOM" or "pub ROOM", and a publisher's further
//! messages go to the room. Listens on the port in `PORT`, with as many shards as `SHARDS` says (0: one a core).

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::routing::any;
use enfilade_server::net::{
    Channel, Codec, ConnId, ConnMeta, Fanout, Frames, Handler, Lane, Net, NetConfig, ShardContext, accept,
    frame, upgrade,
};

struct Relay {
    rooms: Arc<Mutex<HashMap<String, Channel>>>,
    /// By connection.
    publishes: HashMap<ConnId, Channel>,
}

impl Handler for Relay {
    fn open(&mut self, _: &mut ShardContext<'_>, _: ConnId, _: &ConnMeta) {}

    fn message(&mut self, cx: &mut ShardContext<'_>, conn: ConnId, payload: &[u8]) {
        if let Some(&channel) = self.publishes.get(&conn) {
            let frames = Frames { binary: frame::encode(Codec::Binary, payload), ..Frames::default() };
            cx.fanout().publish(channel, Lane::Log, 0, frames);
            return;
        }
        let text = String::from_utf8_lossy(payload);
        let Some((role, room)) = text.split_once(' ') else { return };
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        let next = rooms.len() as Channel;
        let channel = *rooms.entry(room.to_owned()).or_insert(next);
        if role == "sub" {
            cx.subscribe(conn, channel);
        } else {
            self.publishes.insert(conn, channel);
        }
        cx.send(conn, Lane::Control, frame::encode(conn.codec(), b"ok"));
    }

    fn closed(&mut self, _: &mut ShardContext<'_>, conn: ConnId, _: u16) {
        self.publishes.remove(&conn);
    }
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse::<u16>().ok());
    let port = number("PORT").unwrap_or(7700);
    let shards = number("SHARDS").unwrap_or(0).into();
    let config = NetConfig { shards, idle_timeout: Duration::from_secs(600), ..NetConfig::default() };
    let rooms = Arc::default();
    let net = Net::start(&config, |_, _| Relay { rooms: Arc::clone(&rooms), publishes: HashMap::new() })?;
    let router = Router::new()
        .route("/ws", any(|State(fanout): State<Fanout>, request: Request| upgrade::upgrade(fanout, request)))
        .with_state(net.fanout().clone());
    let listener = accept::bind(([127, 0, 0, 1], port).into())?;
    println!("ready {port}");
    accept::serve(listener, router, &config, std::future::pending(), Duration::ZERO).await;
    Ok(())
}
