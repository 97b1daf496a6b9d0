//! A network layer on a port of its own, with a handler that does as its clients say, and clients that are plain sockets.

use std::any::Any;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::routing::any;
use enfilade_server::net::{
    Codec, ConnId, ConnMeta, EVERYBODY, Fanout, Handler, Lane, Net, NetConfig, ShardContext, accept, frame,
    upgrade,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Longer than anything that a test waits for.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What the handler has seen.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen {
    Open(ConnId),
    Message(ConnId, String),
    Told(ConnId, u32),
    Closed(ConnId, u16),
}

struct Obedient {
    seen: mpsc::UnboundedSender<Seen>,
}

impl Handler for Obedient {
    fn open(&mut self, _: &mut ShardContext<'_>, conn: ConnId, meta: &ConnMeta) {
        assert!(meta.peer.ip().is_loopback());
        assert_eq!(meta.codec, conn.codec());
        let _ = self.seen.send(Seen::Open(conn));
    }

    fn message(&mut self, cx: &mut ShardContext<'_>, conn: ConnId, payload: &[u8]) {
        let text = String::from_utf8_lossy(payload).into_owned();
        match text.split_once(' ') {
            Some(("echo", what)) => {
                cx.send(conn, Lane::Control, frame::encode(conn.codec(), what.as_bytes()))
            }
            Some(("sub", channel)) => cx.subscribe(conn, channel.parse().expect("a number")),
            _ if text == "everybody" => cx.subscribe(conn, EVERYBODY),
            _ if text == "pause" => cx.pause(conn),
            _ if text == "panic" => panic!("as it was told to"),
            _ => {}
        }
        let _ = self.seen.send(Seen::Message(conn, text));
    }

    fn told(&mut self, _: &mut ShardContext<'_>, conn: ConnId, note: Box<dyn Any + Send>) {
        let note = *note.downcast::<u32>().expect("a number");
        let _ = self.seen.send(Seen::Told(conn, note));
    }

    fn closed(&mut self, _: &mut ShardContext<'_>, conn: ConnId, code: u16) {
        let _ = self.seen.send(Seen::Closed(conn, code));
    }
}

pub struct World {
    pub net: Net,
    pub fanout: Fanout,
    pub addr: SocketAddr,
    pub seen: mpsc::UnboundedReceiver<Seen>,
    pub stop: oneshot::Sender<()>,
    pub serving: tokio::task::JoinHandle<()>,
}

/// Deadlines that no test meets by accident, and ticks that are fine enough for those that mean to.
pub fn config() -> NetConfig {
    NetConfig { shards: 2, tick: Duration::from_millis(10), close_timeout: PATIENCE, ..NetConfig::default() }
}

impl World {
    pub async fn start(config: NetConfig) -> World {
        let (seen_by, seen) = mpsc::unbounded_channel();
        let net = Net::start(&config, |_, _| Obedient { seen: seen_by.clone() }).expect("shards start");
        let fanout = net.fanout().clone();
        let listener = accept::bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let router = Router::new()
            .route(
                "/ws",
                any(|State(fanout): State<Fanout>, request: Request| upgrade::upgrade(fanout, request)),
            )
            .with_state(fanout.clone());
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            accept::serve(listener, router, &config, stopped, Duration::from_secs(1)).await;
        });
        World { net, fanout, addr, seen, stop, serving }
    }

    pub async fn next(&mut self) -> Seen {
        timeout(PATIENCE, self.seen.recv()).await.expect("the handler is called").expect("the shards live")
    }

    /// A new connection, and its id. What the handler has seen before is forgotten.
    pub async fn connect(&mut self) -> (Client, ConnId) {
        let client = Client::connect(self.addr, "enfilade.proto.v1", None).await;
        loop {
            if let Seen::Open(conn) = self.next().await {
                return (client, conn);
            }
        }
    }

    /// The next close that the handler hears of.
    pub async fn next_closed(&mut self) -> (ConnId, u16) {
        loop {
            if let Seen::Closed(conn, code) = self.next().await {
                return (conn, code);
            }
        }
    }
}

/// A frame from the server.
#[derive(Debug, PartialEq, Eq)]
pub enum Got {
    Message(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16),
    End,
}

impl Got {
    pub fn text(self) -> String {
        match self {
            Got::Message(bytes) => String::from_utf8(bytes).expect("UTF-8"),
            other => panic!("not a message: {other:?}"),
        }
    }
}

/// A client that does as little as possible by itself, so that it can misbehave.
pub struct Client {
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub async fn connect(addr: SocketAddr, subprotocol: &str, receive_buffer: Option<u32>) -> Client {
        let socket = TcpSocket::new_v4().expect("a socket");
        if let Some(bytes) = receive_buffer {
            socket.set_recv_buffer_size(bytes).expect("a buffer");
        }
        let mut stream = socket.connect(addr).await.expect("a connection");
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: {subprotocol}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(timeout(PATIENCE, stream.read_u8()).await.expect("in time").expect("an answer"));
        }
        let answer = String::from_utf8(answer).expect("ASCII").to_lowercase();
        assert!(answer.starts_with("http/1.1 101"), "{answer}");
        // The example of RFC 6455.
        assert!(answer.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{answer}");
        assert!(answer.contains(&format!("sec-websocket-protocol: {subprotocol}")), "{answer}");
        Client { stream, buffer: Vec::new() }
    }

    pub async fn say(&mut self, text: &str) {
        self.send(0x82, text.as_bytes()).await;
    }

    /// A frame with this first byte.
    pub async fn send(&mut self, first: u8, payload: &[u8]) {
        self.raw(&masked(first, payload)).await;
    }

    pub async fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the server reads");
    }

    pub async fn next(&mut self) -> Got {
        timeout(PATIENCE, self.read()).await.expect("a frame in time")
    }

    async fn read(&mut self) -> Got {
        loop {
            if let Some((first, payload)) = self.take_frame() {
                return match first {
                    0x81 | 0x82 => Got::Message(payload),
                    0x8A => Got::Pong(payload),
                    0x88 => Got::Close(
                        payload.get(..2).map_or(1005, |code| u16::from_be_bytes([code[0], code[1]])),
                    ),
                    other => panic!("not a frame of a server: {other:#x}"),
                };
            }
            let mut chunk = vec![0; 64 * 1024];
            match self.stream.read(&mut chunk).await {
                Ok(0) | Err(_) => {
                    assert!(self.buffer.is_empty(), "the end came within a frame");
                    return Got::End;
                }
                Ok(len) => self.buffer.extend_from_slice(&chunk[..len]),
            }
        }
    }

    fn take_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let (first, second) = (*self.buffer.first()?, *self.buffer.get(1)?);
        let (header, len) = match second {
            126 => (4, u16::from_be_bytes(self.buffer.get(2..4)?.try_into().ok()?).into()),
            127 => (10, u64::from_be_bytes(self.buffer.get(2..10)?.try_into().ok()?) as usize),
            len => (2, usize::from(len)),
        };
        let payload = self.buffer.get(header..header + len)?.to_vec();
        self.buffer.drain(..header + len);
        Some((first, payload))
    }

    /// The close code, whatever comes before it.
    pub async fn next_close(&mut self) -> u16 {
        loop {
            match self.next().await {
                Got::Close(code) => return code,
                Got::End => panic!("no close frame"),
                _ => {}
            }
        }
    }
}

pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        0..=125 => frame.push(0x80 | payload.len() as u8),
        126..=0xFFFF => {
            frame.push(0x80 | 126);
            frame.extend((payload.len() as u16).to_be_bytes());
        }
        _ => {
            frame.push(0x80 | 127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    let mask = [0x12, 0x34, 0x56, 0x78];
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// A text as the server frames it, in both codecs.
pub fn frames(text: &str) -> enfilade_server::net::Frames {
    enfilade_server::net::Frames {
        binary: frame::encode(Codec::Binary, text.as_bytes()),
        json: frame::encode(Codec::Json, text.as_bytes()),
    }
}
