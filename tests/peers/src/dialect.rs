//! How one becomes a subscriber or a publisher of a room, server by server.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use enfilade_proto::prost::Message;
use enfilade_proto::{VERSION_MAX, VERSION_MIN, v1};

use crate::ws;

/// Operations of one client that may wait for their answer; the protocol's limit.
const IN_FLIGHT: usize = 32;
/// Publishers have ids of their own, above all subscribers.
const FIRST_PUBLISHER: u64 = 1 << 40;

/// What a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `sub ROOM` or `pub ROOM`, and from then on payloads.
    Plain,
    /// The protocol, as a browser speaks it: hello, tiers, operations.
    Enfilade,
}

/// Sends messages to a room, as one or as several clients.
pub struct Publisher {
    dialect: Dialect,
    streams: Vec<TcpStream>,
    room: String,
    counter: u64,
}

impl Dialect {
    /// Makes a room, where that is needed. Returns what subscribers need to get in.
    pub fn prepare(self, addr: SocketAddr, room: &str) -> io::Result<()> {
        if self == Dialect::Plain {
            return Ok(());
        }
        let token = guest(addr, "owner")?;
        let body = serde_json::json!({ "name": room, "id": room }).to_string();
        http(addr, &format!("POST /api/rooms HTTP/1.1\r\nAuthorization: Bearer {token}"), &body).map(drop)
    }

    /// A socket that receives what is published to the room. It still blocks.
    pub fn subscribe(self, addr: SocketAddr, room: &str, client: u64) -> io::Result<TcpStream> {
        let mut stream = ws::connect(addr)?;
        match self {
            Dialect::Plain => {
                stream.write_all(&ws::client_frame(format!("sub {room}").as_bytes()))?;
                ws::read_frame(&mut stream)?;
            }
            Dialect::Enfilade => enter(&mut stream, addr, room, client, v1::Tier::Active)?,
        }
        Ok(stream)
    }

    /// Whoever publishes to the room, with room for so many outstanding messages.
    pub fn publisher(
        self,
        addr: SocketAddr,
        room: &str,
        outstanding: usize,
        run: u64,
    ) -> io::Result<Publisher> {
        let mut streams = Vec::new();
        match self {
            Dialect::Plain => {
                let mut stream = ws::connect(addr)?;
                stream.write_all(&ws::client_frame(format!("pub {room}").as_bytes()))?;
                ws::read_frame(&mut stream)?;
                streams.push(stream);
            }
            Dialect::Enfilade => {
                for n in 0..outstanding.div_ceil(IN_FLIGHT) as u64 {
                    let client = FIRST_PUBLISHER + run * 1_000 + n;
                    let mut stream = ws::connect(addr)?;
                    enter(&mut stream, addr, room, client, v1::Tier::Cached)?;
                    let join = v1::Op { body: Some(v1::op::Body::Join(v1::Join {})) };
                    stream.write_all(&submit(room, client, 1, &join))?;
                    read_answer(&mut stream)?;
                    streams.push(stream);
                }
            }
        }
        Ok(Publisher { dialect: self, streams, room: room.to_owned(), counter: 1 })
    }
}

impl Publisher {
    /// Publishes the payload so many times, with one write a connection.
    pub fn publish(&mut self, run: u64, payload: &[u8], times: usize) -> io::Result<()> {
        match self.dialect {
            Dialect::Plain => {
                let all = ws::client_frame(payload).repeat(times);
                self.streams.iter_mut().try_for_each(|stream| stream.write_all(&all))
            }
            Dialect::Enfilade => {
                let text = String::from_utf8_lossy(payload).into_owned();
                let message = v1::PostMessage { text, ..Default::default() };
                let op = v1::Op { body: Some(v1::op::Body::PostMessage(message)) };
                let share = times.div_ceil(self.streams.len());
                for (n, stream) in self.streams.iter_mut().enumerate() {
                    let client = FIRST_PUBLISHER + run * 1_000 + n as u64;
                    let times = share.min(times - (n * share).min(times));
                    let all: Vec<u8> = (1..=times as u64)
                        .flat_map(|more| submit(&self.room, client, self.counter + more, &op))
                        .collect();
                    stream.write_all(&all)?;
                }
                self.counter += share as u64;
                Ok(())
            }
        }
    }

    /// Reads the answers to what was published, so that they do not pile up. Fails on a refusal.
    pub fn settle(&mut self, times: usize) -> io::Result<()> {
        if self.dialect == Dialect::Plain {
            return Ok(());
        }
        let share = times.div_ceil(self.streams.len());
        for (n, stream) in self.streams.iter_mut().enumerate() {
            for _ in 0..share.min(times - (n * share).min(times)) {
                read_answer(stream)?;
            }
        }
        Ok(())
    }
}

fn send(stream: &mut TcpStream, body: v1::client_frame::Body) -> io::Result<()> {
    stream.write_all(&ws::client_frame(&v1::ClientFrame { body: Some(body) }.encode_to_vec()))
}

fn submit(room: &str, client: u64, counter: u64, op: &v1::Op) -> Vec<u8> {
    let submit = v1::Submit {
        room_id: room.to_owned(),
        op_id: Some(v1::OpId { client, counter }),
        op: op.encode_to_vec(),
        ..Default::default()
    };
    ws::client_frame(&v1::ClientFrame { body: Some(v1::client_frame::Body::Submit(submit)) }.encode_to_vec())
}

/// Hello, and one room into a tier, up to the end of its first answer.
fn enter(
    stream: &mut TcpStream,
    addr: SocketAddr,
    room: &str,
    client: u64,
    tier: v1::Tier,
) -> io::Result<()> {
    let hello = v1::Hello {
        version_min: VERSION_MIN,
        version_max: VERSION_MAX,
        token: guest(addr, &format!("guest {client}"))?,
        client_id: client,
        agent: "peers".into(),
        rooms: vec![v1::SetTier { room_id: room.to_owned(), tier: tier.into(), ..Default::default() }],
    };
    send(stream, v1::client_frame::Body::Hello(hello))?;
    loop {
        match read_server_frame(stream)? {
            v1::server_frame::Body::RoomStateSync(sync) if sync.tier.is_some() => return Ok(()),
            v1::server_frame::Body::Error(error) => return Err(io::Error::other(format!("{error:?}"))),
            _ => {}
        }
    }
}

fn read_answer(stream: &mut TcpStream) -> io::Result<()> {
    loop {
        match read_server_frame(stream)? {
            v1::server_frame::Body::Ack(_) => return Ok(()),
            v1::server_frame::Body::Rejection(rejection) => {
                return Err(io::Error::other(format!("{rejection:?}")));
            }
            _ => {}
        }
    }
}

fn read_server_frame(stream: &mut TcpStream) -> io::Result<v1::server_frame::Body> {
    loop {
        let (opcode, payload) = ws::read_frame(stream)?;
        if opcode == 8 {
            return Err(io::Error::other(format!("closed: {payload:?}")));
        }
        if let Ok(v1::ServerFrame { body: Some(body) }) = v1::ServerFrame::decode(&payload[..]) {
            return Ok(body);
        }
    }
}

/// A guest's token.
fn guest(addr: SocketAddr, name: &str) -> io::Result<String> {
    let body = serde_json::json!({ "name": name }).to_string();
    let answer = http(addr, "POST /api/guest HTTP/1.1", &body)?;
    let answer: serde_json::Value = serde_json::from_str(&answer).map_err(io::Error::other)?;
    answer["token"].as_str().map(str::to_owned).ok_or_else(|| io::Error::other("no token"))
}

fn http(addr: SocketAddr, head: &str, body: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(addr)?;
    let length = body.len();
    let rest = format!(
        "Host: {addr}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}"
    );
    stream.write_all(format!("{head}\r\n{rest}\r\n\r\n{body}").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 2") => Ok(body.to_owned()),
        _ => Err(io::Error::other(answer)),
    }
}
