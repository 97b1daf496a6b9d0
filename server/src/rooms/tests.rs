//! A room whose task fails, as its clients meet it: over sockets, on a store in memory.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{Request, State};
use axum::routing::any;
use enfilade_core::authority::ConnectionConfig;
use enfilade_core::op::{self, Body};
use enfilade_core::tier::budget::Budgets;
use enfilade_core::v1::client_frame::Body as Ask;
use enfilade_core::v1::room_state_sync::Data;
use enfilade_core::{SUBPROTOCOL_BINARY, Tier, UserId, VERSION_MAX, VERSION_MIN};
use futures_util::{SinkExt as _, StreamExt as _};
use prost::Message as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::*;
use crate::auth::{Tokens, now};
use crate::folder::DataFolder;
use crate::health::Health;
use crate::net::{Net, NetConfig, accept, upgrade};
use crate::readable::{Keyspace, Readable, Value};
use crate::session::{Session, Sessions};
use crate::store::MemoryStore;

/// Longer than anything that a test waits for.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Node {
    pub(crate) rooms: Rooms,
    shown: Arc<MemoryStore>,
    tokens: Arc<Tokens>,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Node {
    pub(crate) async fn start() -> Node {
        let folder = tempfile::tempdir().unwrap();
        let data = DataFolder::open(folder.path()).unwrap();
        let tokens = Arc::new(Tokens::open(&data, Duration::from_secs(3_600)).unwrap());
        let shown = Arc::new(MemoryStore::showing(Readable::DEFAULT));
        let store: SharedStore = shown.clone();
        let config = NetConfig { shards: 1, tick: Duration::from_millis(10), ..NetConfig::default() };
        let mut rooms = None;
        let net = Net::start(&config, |_, fanout| {
            let node = "node".to_owned();
            let made = Rooms::new(
                store.clone(),
                fanout.clone(),
                Directory::new(1),
                node,
                25_000,
                Budgets::default(),
            );
            let config = Arc::new(ConnectionConfig::default());
            let rooms = rooms.insert(made).clone();
            Session::new(Sessions { rooms, tokens: tokens.clone(), config, health: Health::new() })
        })
        .unwrap();
        let listener = accept::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let adopt = |State(fanout): State<Fanout>, request: Request| upgrade::upgrade(fanout, request);
        let router = Router::new().route("/ws", any(adopt)).with_state(net.fanout().clone());
        tokio::spawn(async move {
            accept::serve(listener, router, &config, std::future::pending(), PATIENCE).await;
        });
        Node { rooms: rooms.unwrap(), shown, tokens, address, _folder: folder }
    }

    async fn connect(&self, user: &str, client: u64) -> Client {
        let user = UserId::new(user).unwrap();
        let (token, _) = self.tokens.mint(user.clone(), user.as_str(), PATIENCE, now()).unwrap();
        let mut request = format!("ws://{}/ws", self.address).into_client_request().unwrap();
        let protocol = SUBPROTOCOL_BINARY.parse().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        let (socket, _) = connect_async(request).await.unwrap();
        let mut client = Client { socket, client, conn: ConnId(0), errors: Vec::new() };
        let hello = v1::Hello {
            version_min: VERSION_MIN,
            version_max: VERSION_MAX,
            token,
            client_id: client.client,
            ..Default::default()
        };
        client.ask(Ask::Hello(hello)).await;
        let Frame::Welcome(welcome) = client.next().await.unwrap() else { panic!("no welcome") };
        client.conn = ConnId(welcome.connection_id.parse().unwrap());
        client
    }

    fn fail(&self, room: &str) {
        self.rooms.tell(&RoomId::new(room).unwrap(), RoomMessage::Fail).unwrap();
    }
}

struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    client: u64,
    conn: ConnId,
    /// Rooms that errors were about.
    errors: Vec<(String, Code)>,
}

impl Client {
    async fn ask(&mut self, request: Ask) {
        let frame = v1::ClientFrame { body: Some(request) };
        self.socket.send(Message::binary(frame.encode_to_vec())).await.unwrap();
    }

    /// The next frame, or the code of the close.
    async fn next(&mut self) -> Result<Frame, u16> {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.unwrap() {
                Some(Ok(Message::Binary(bytes))) => {
                    let frame = v1::ServerFrame::decode(bytes).unwrap().body.unwrap();
                    if let Frame::Error(error) = &frame {
                        let code = Code::from_number(error.code).unwrap();
                        self.errors.push((error.room_id.clone(), code));
                    }
                    return Ok(frame);
                }
                Some(Ok(Message::Close(close))) => return Err(close.unwrap().code.into()),
                Some(Ok(_)) => {}
                end => panic!("{end:?}"),
            }
        }
    }

    fn submission(&self, room: &str, counter: u64, body: Body) -> v1::Submit {
        v1::Submit {
            room_id: room.into(),
            op_id: Some(v1::OpId { client: self.client, counter }),
            op: op::encode(body),
            ..Default::default()
        }
    }

    /// Submits, and waits for the acknowledgement.
    async fn submit(&mut self, room: &str, counter: u64, body: Body) -> u64 {
        self.ask(Ask::Submit(self.submission(room, counter, body))).await;
        loop {
            match self.next().await.unwrap() {
                Frame::Ack(ack) if ack.op_id.unwrap().counter == counter => return ack.position.unwrap().seq,
                Frame::Rejection(rejection) => panic!("{rejection:?}"),
                _ => {}
            }
        }
    }

    async fn open(&mut self, room: &str, base: Option<v1::Position>) {
        let tier = Tier::Active.wire().into();
        self.ask(Ask::SetTier(v1::SetTier {
            room_id: room.into(),
            tier,
            base,
            seen: None,
            ..Default::default()
        }))
        .await;
    }

    /// Waits until the room is brought up to date, and returns where it is and the seqs of the entries that came.
    async fn synced(&mut self, room: &str) -> (v1::Position, Vec<u64>) {
        loop {
            let Frame::RoomStateSync(sync) = self.next().await.unwrap() else { continue };
            let at = v1::Position { epoch: sync.epoch, seq: sync.sequence_number };
            match sync.data {
                Some(Data::BulkSync(_)) if sync.room_id == room => return (at, Vec::new()),
                Some(Data::DeltaUpdate(delta)) if sync.room_id == room => {
                    return (at, delta.entries.iter().map(|entry| entry.seq).collect());
                }
                _ => {}
            }
        }
    }

    async fn told_of_failure(&mut self, room: &str) {
        while !self.errors.contains(&(room.to_owned(), Code::Internal)) {
            self.next().await.unwrap();
        }
        self.errors.clear();
    }
}

fn create() -> Body {
    Body::CreateRoom(v1::CreateRoom { name: "room".into(), ..Default::default() })
}

#[tokio::test]
async fn a_room_that_fails_tells_its_clients_who_resume_and_leaves_others_alone() {
    let node = Node::start().await;
    let mut ada = node.connect("ada", 1).await;
    ada.submit("lobby", 1, create()).await;
    ada.open("lobby", None).await;
    let mut bob = node.connect("bob", 2).await;
    bob.open("lobby", None).await;
    let (held, _) = bob.synced("lobby").await;
    let mut cleo = node.connect("cleo", 3).await;
    cleo.submit("attic", 1, create()).await;
    cleo.open("attic", None).await;
    cleo.synced("attic").await;

    node.fail("lobby");
    ada.told_of_failure("lobby").await;
    bob.told_of_failure("lobby").await;
    assert_eq!(ada.submit("lobby", 2, op::post("still here")).await, 2);
    bob.open("lobby", Some(held)).await;
    let (_, entries) = bob.synced("lobby").await;
    assert_eq!(entries, [2]);
    // A repetition is still known: the windows came back with the log.
    assert_eq!(ada.submit("lobby", 2, op::post("still here")).await, 2);

    assert_eq!(cleo.submit("attic", 2, op::post("undisturbed")).await, 2);
    assert_eq!(cleo.errors, []);
}

#[tokio::test]
async fn operations_that_a_failure_has_lost_come_again_before_those_after_them() {
    let node = Node::start().await;
    let mut ada = node.connect("ada", 1).await;
    ada.submit("lobby", 1, create()).await;
    let mut bob = node.connect("bob", 2).await;
    bob.open("lobby", None).await;
    bob.synced("lobby").await;

    // Both are in the mailbox before the task sees the first.
    let lobby = RoomId::new("lobby").unwrap();
    let actor = Arc::new(Actor::new(UserId::new("ada").unwrap(), "ada"));
    node.fail("lobby");
    let lost = RoomRequest::Submit(ada.submission("lobby", 2, op::post("lost")));
    node.rooms.request(&lobby, ada.conn, actor, lost).unwrap();

    // The connection ends, so that nothing overtakes what was lost; its client resumes on another.
    let code = loop {
        if let Err(code) = ada.next().await {
            break code;
        }
    };
    assert_eq!(code, Code::ServerError as u16);
    let mut ada = node.connect("ada", 1).await;
    assert_eq!(ada.submit("lobby", 2, op::post("lost")).await, 2);
    assert_eq!(ada.submit("lobby", 3, op::post("later")).await, 3);
    // Whoever had nothing to lose keeps the connection.
    bob.told_of_failure("lobby").await;
    bob.open("lobby", None).await;
    assert_eq!(bob.synced("lobby").await.0.seq, 3);
}

/// Members of a readable ZSET.
fn members(keys: &Keyspace, key: &str) -> Vec<String> {
    match keys.get(key) {
        Some(Value::Scores(scores)) => scores.keys().cloned().collect(),
        None => Vec::new(),
        other => panic!("{key} is {other:?}"),
    }
}

#[tokio::test]
async fn who_is_connected_and_where_and_types_is_shown_in_keys_while_it_lasts() {
    let node = Node::start().await;
    let until = async |what: &str, is_so: &dyn Fn(&Keyspace) -> bool| {
        for _ in 0..500 {
            if is_so(&node.shown.keyspace()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{what}: {:?}", node.shown.keyspace());
    };
    let mut ada = node.connect("ada", 1).await;
    ada.submit("lobby", 1, create()).await;
    ada.open("lobby", None).await;
    let mut bob = node.connect("bob", 2).await;
    bob.open("lobby", None).await;
    bob.synced("lobby").await;
    let here = [ada.conn, bob.conn].map(|conn| format!("node:{}", conn.0));
    until("both are here", &|keys| {
        members(keys, "users:online") == ["ada", "bob"] && members(keys, "rooms:users:{lobby}").len() == 2
    })
    .await;
    assert!(members(&node.shown.keyspace(), "rooms:users:{lobby}").iter().all(|conn| here.contains(conn)));
    let typing = v1::Signal { room_id: "lobby".into(), kind: "typing".into(), ..Default::default() };
    ada.ask(Ask::Signal(typing)).await;
    until("one types", &|keys| members(keys, "rooms:typing:{lobby}") == ["ada"]).await;
    drop(ada);
    until("one has gone", &|keys| {
        members(keys, "users:online") == ["bob"]
            && members(keys, "rooms:users:{lobby}") == [here[1].as_str()]
            && keys.get(&format!("conns:{}", here[0])).is_none()
    })
    .await;
}
