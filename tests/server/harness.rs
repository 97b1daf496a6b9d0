//! The server in a process of its own, and clients that are no more than a socket and a codec.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use enfilade_core::op::{self, Body};
use enfilade_core::v1::client_frame::Body as Ask;
use enfilade_core::v1::server_frame::Body as Frame;
use enfilade_core::wire::{self, Codec};
use enfilade_core::{Code, Tier, VERSION_MAX, VERSION_MIN, v1};
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Longer than anything that a test waits for.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Both of them.
pub const CODECS: [Codec; 2] = [Codec::Binary, Codec::Json];
/// The server's arguments, one a line, for [`serve`].
const ARGUMENTS: &str = "SERVER_UNDER_TEST";

/// Does what the binary does, where [`Server::start`] has started this test's own program again.
pub fn serve() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else { return };
    let arguments = arguments.lines().map(Into::into);
    let is_good = enfilade_server::cli::run_with(arguments) == ExitCode::SUCCESS;
    std::process::exit(i32::from(!is_good));
}

/// A server that is killed at the end of the test.
pub struct Server {
    process: Child,
    pub address: String,
    pub folder: TempDir,
    settings: Vec<String>,
}

impl Server {
    /// Starts on a free port and an empty folder.
    pub fn start(settings: &[&str]) -> Server {
        let folder = tempfile::tempdir().expect("a folder");
        let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
        let (process, address) = start(folder.path(), "127.0.0.1:0", &settings);
        Server { process, address, folder, settings }
    }

    /// Starts again on its folder and address.
    pub fn restart(&mut self) {
        let (process, address) = start(self.folder.path(), &self.address, &self.settings);
        self.process = process;
        assert_eq!(address, self.address);
    }

    /// As a crash would.
    pub fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it has ended");
    }

    /// Tells it to stop.
    pub fn terminate(&self) {
        let process = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &process]).status().expect("kill is there").success());
    }

    /// Its exit code, once it has ended.
    pub fn ended(&mut self) -> Option<i32> {
        self.process.wait().expect("it has ended").code()
    }

    pub fn get(&self, path: &str, token: Option<&str>) -> (u16, Value) {
        let mut request = agent().get(format!("http://{}{path}", self.address));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut response = request.call().expect("an answer");
        let status = response.status().as_u16();
        (status, response.body_mut().read_json().expect("JSON"))
    }

    pub fn post(&self, path: &str, token: Option<&str>, body: &Value) -> (u16, Value) {
        let mut request = agent().post(format!("http://{}{path}", self.address));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut response = request.send_json(body).expect("an answer");
        let status = response.status().as_u16();
        (status, response.body_mut().read_json().expect("JSON"))
    }

    /// A guest's token and user id.
    pub fn guest(&self, name: &str) -> (String, String) {
        let (status, guest) = self.post("/api/guest", None, &json!({ "name": name }));
        assert_eq!(status, 200, "{guest}");
        let text = |key: &str| guest[key].as_str().expect("text").to_owned();
        (text("token"), text("user_id"))
    }

    /// A counter of `/metrics`; 0 where it was never counted. `counter` is its name and labels.
    pub fn count(&self, counter: &str) -> u64 {
        let mut response = agent().get(format!("http://{}/metrics", self.address)).call().expect("metrics");
        let text = response.body_mut().read_to_string().expect("text");
        let value = |line: &str| Some(line.strip_prefix(counter)?.trim().parse().expect("a number"));
        text.lines().find_map(value).unwrap_or(0)
    }

    /// Waits until a counter is what it should be: shards publish theirs once a tick.
    pub async fn counted(&self, counter: &str, expected: u64) {
        let reached = async {
            while self.count(counter) != expected {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let is_reached = timeout(PATIENCE, reached).await.is_ok();
        assert!(is_reached, "{counter} is {}, and should be {expected}", self.count(counter));
    }

    /// Somebody new, connected and welcomed.
    pub async fn join(&self, codec: Codec, name: &str, client: u64) -> Client {
        let (token, _) = self.guest(name);
        self.connect(codec, &token, client).await
    }

    /// Connected and welcomed with this token.
    pub async fn connect(&self, codec: Codec, token: &str, client: u64) -> Client {
        let mut connected = self.open(codec, client).await;
        connected.hello(token, Vec::new()).await;
        connected
    }

    /// A socket that has said nothing yet.
    pub async fn open(&self, codec: Codec, client: u64) -> Client {
        try_open(&self.address, codec, client).await.expect("a socket")
    }
}

/// A socket that has said nothing yet; `None` where nobody answers.
pub async fn try_open(address: &str, codec: Codec, client: u64) -> Option<Client> {
    let mut request = format!("ws://{address}/ws").into_client_request().expect("an address");
    let subprotocol = codec.subprotocol().parse().expect("a header");
    request.headers_mut().insert("sec-websocket-protocol", subprotocol);
    let (socket, _) = timeout(PATIENCE, connect_async(request)).await.expect("in time").ok()?;
    Some(Client::new(codec, client, socket))
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn start(folder: &Path, listen: &str, settings: &[String]) -> (Child, String) {
    let data = folder.join("data").display().to_string();
    let fixed = ["enfilade", "serve", "--listen", listen, "--data-dir", &data, "--log-format", "json"];
    let mut arguments: Vec<String> = fixed.map(String::from).into();
    for setting in settings {
        arguments.extend(["--set".into(), setting.clone()]);
    }
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ENFILADE_")) {
        command.env_remove(name);
    }
    command.env(ARGUMENTS, arguments.join("\n")).current_dir(folder);
    command.args(["the_server_itself", "--exact", "--ignored", "--nocapture"]);
    let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("a process");
    let mut lines = BufReader::new(process.stderr.take().expect("piped")).lines().map_while(Result::ok);
    let mut said = Vec::new();
    let address = lines.by_ref().find_map(|line| {
        let address = serde_json::from_str::<Value>(&line).ok()?["address"].as_str().map(String::from);
        said.push(line);
        address
    });
    // Its log is shown where a test fails.
    std::thread::spawn(move || lines.for_each(|line| eprintln!("server: {line}")));
    (process, address.unwrap_or_else(|| panic!("it ended before it served: {said:#?}")))
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build().into()
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What a client has received.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "held one at a time, never in numbers")]
pub enum Got {
    Frame(Frame),
    /// The server has closed, with this code; `None` when the socket just ended.
    Closed(Option<u16>),
}

/// One connection. Heartbeats are answered beside it.
pub struct Client {
    pub id: u64,
    codec: Codec,
    send: mpsc::UnboundedSender<Message>,
    got: mpsc::UnboundedReceiver<Got>,
    /// Frames that were passed over by waiting for others.
    pub passed: Vec<Frame>,
    requests: u64,
}

impl Client {
    fn new(codec: Codec, id: u64, socket: Socket) -> Client {
        let (sink, mut stream) = socket.split();
        let (send, outgoing) = mpsc::unbounded_channel();
        let (told, got) = mpsc::unbounded_channel();
        tokio::spawn(write(sink, outgoing));
        let answers = send.clone();
        tokio::spawn(async move {
            let mut aliases = HashMap::new();
            let mut closed = None;
            while let Some(Ok(message)) = stream.next().await {
                let bytes = match message {
                    Message::Binary(bytes) => bytes,
                    Message::Text(text) => text.into(),
                    Message::Close(close) => {
                        closed = close.map(|close| close.code.into());
                        continue;
                    }
                    _ => continue,
                };
                let frame = wire::decode_server(codec, &bytes, usize::MAX).expect("a frame");
                match frame.body {
                    Some(Frame::Heartbeat(beat)) => {
                        let beat = Ask::Heartbeat(v1::ClientHeartbeat { echo: beat.time });
                        let _ = answers.send(encode(codec, beat));
                    }
                    Some(frame) => drop(told.send(Got::Frame(named(frame, codec, &mut aliases)))),
                    None => panic!("a frame of a kind that this version does not know"),
                }
            }
            let _ = told.send(Got::Closed(closed));
        });
        Client { id, codec, send, got, passed: Vec::new(), requests: 0 }
    }

    /// Says hello, and waits for the welcome.
    pub async fn hello(&mut self, token: &str, rooms: Vec<v1::SetTier>) -> v1::Welcome {
        self.ask(self.greeting(token, rooms));
        self.expect(|frame| match frame {
            Frame::Welcome(welcome) => Some(welcome.clone()),
            _ => None,
        })
        .await
    }

    pub fn greeting(&self, token: &str, rooms: Vec<v1::SetTier>) -> Ask {
        Ask::Hello(v1::Hello {
            version_min: VERSION_MIN,
            version_max: VERSION_MAX,
            token: token.into(),
            client_id: self.id,
            agent: "test".into(),
            rooms,
        })
    }

    pub fn ask(&self, request: Ask) {
        self.say(encode(self.codec, request));
    }

    pub fn say(&self, message: Message) {
        // Where the socket has ended, that is received as such.
        let _ = self.send.send(message);
    }

    pub async fn next(&mut self) -> Got {
        timeout(PATIENCE, self.got.recv()).await.expect("in time").unwrap_or(Got::Closed(None))
    }

    /// The code of the close, after whatever comes before it.
    pub async fn closed(&mut self) -> Option<u16> {
        loop {
            match self.next().await {
                Got::Frame(frame) => self.passed.push(frame),
                Got::Closed(code) => return code,
            }
        }
    }

    /// The first frame that is one of those, passing over the others, which can be asked for later.
    pub async fn expect<T>(&mut self, wanted: impl Fn(&Frame) -> Option<T>) -> T {
        let known = self.passed.iter().enumerate().find_map(|(place, frame)| Some((place, wanted(frame)?)));
        if let Some((place, found)) = known {
            self.passed.remove(place);
            return found;
        }
        loop {
            match self.next().await {
                Got::Frame(frame) => match wanted(&frame) {
                    Some(found) => return found,
                    None => self.passed.push(frame),
                },
                Got::Closed(code) => panic!("closed with {code:?}, after {:#?}", self.passed),
            }
        }
    }

    /// The next error's code.
    pub async fn error(&mut self) -> Code {
        let number = self
            .expect(|frame| match frame {
                Frame::Error(error) => Some(error.code),
                _ => None,
            })
            .await;
        Code::from_number(number).expect("a code of the registry")
    }

    /// Codes of errors and rejections among the frames that were passed over.
    pub fn refusals(&self) -> Vec<Code> {
        let code = |frame: &Frame| match frame {
            Frame::Error(error) => Code::from_number(error.code),
            Frame::Rejection(rejection) => Code::from_number(rejection.code),
            _ => None,
        };
        self.passed.iter().filter_map(code).collect()
    }

    pub fn submission(&self, room: &str, counter: u64, body: Body) -> Ask {
        Ask::Submit(v1::Submit {
            room_id: room.into(),
            op_id: Some(v1::OpId { client: self.id, counter }),
            op: op::encode(body),
            ..Default::default()
        })
    }

    /// Submits, and waits for the answer: the position, or why not.
    pub async fn submit(&mut self, room: &str, counter: u64, body: Body) -> Result<v1::Position, Code> {
        self.ask(self.submission(room, counter, body));
        self.answer(counter).await
    }

    pub async fn answer(&mut self, counter: u64) -> Result<v1::Position, Code> {
        self.expect(|frame| match frame {
            Frame::Ack(ack) if ack.op_id?.counter == counter => Some(Ok(ack.position?)),
            Frame::Rejection(rejection) if rejection.op_id?.counter == counter => {
                Some(Err(Code::from_number(rejection.code)?))
            }
            _ => None,
        })
        .await
    }

    pub fn set_tier(&self, room: &str, tier: Tier, base: Option<v1::Position>) {
        self.ask(Ask::SetTier(want(room, tier, base)));
    }

    /// The next sync frame of a room that is one of those.
    pub async fn sync<T>(&mut self, room: &str, wanted: impl Fn(&v1::RoomStateSync) -> Option<T>) -> T {
        self.expect(|frame| match frame {
            Frame::RoomStateSync(sync) if sync.room_id == room => wanted(sync),
            _ => None,
        })
        .await
    }

    /// Puts a room into Active, and waits for its state: where it is, and the snapshot.
    pub async fn open_room(&mut self, room: &str) -> (v1::Position, v1::RoomSnapshot) {
        self.set_tier(room, Tier::Active, None);
        self.bulk(room).await
    }

    pub async fn bulk(&mut self, room: &str) -> (v1::Position, v1::RoomSnapshot) {
        self.sync(room, |sync| match &sync.data {
            Some(v1::room_state_sync::Data::BulkSync(bulk)) => {
                assert_eq!(bulk.parts, 1, "a small room");
                Some((position(sync), bulk.snapshot.clone()?))
            }
            _ => None,
        })
        .await
    }

    /// A page of a room's history.
    pub async fn history(&mut self, room: &str, before_seq: u64, limit: u32) -> v1::HistoryPage {
        self.requests += 1;
        let request_id = self.requests;
        self.ask(Ask::History(v1::HistoryRequest {
            request_id,
            room_id: room.into(),
            before_seq,
            limit,
            ..Default::default()
        }));
        self.expect(|frame| match frame {
            Frame::HistoryPage(page) if page.request_id == request_id => Some(page.clone()),
            _ => None,
        })
        .await
    }

    /// Texts of the messages that come in deltas of a room, until there are so many.
    pub async fn texts(&mut self, room: &str, count: usize) -> Vec<String> {
        let mut texts = Vec::new();
        while texts.len() < count {
            let entries = self
                .sync(room, |sync| match &sync.data {
                    Some(v1::room_state_sync::Data::DeltaUpdate(delta)) => Some(delta.entries.clone()),
                    _ => None,
                })
                .await;
            texts.extend(entries.iter().filter_map(|entry| match op::parse(&entry.op) {
                Ok(Body::PostMessage(post)) => Some(post.text),
                _ => None,
            }));
        }
        texts
    }
}

async fn write(mut sink: SplitSink<Socket, Message>, mut outgoing: mpsc::UnboundedReceiver<Message>) {
    while let Some(message) = outgoing.recv().await {
        if sink.send(message).await.is_err() {
            return;
        }
    }
    let _ = sink.close().await;
}

/// Gives a frame its room's id where it has the alias alone. In JSON the id is always there.
fn named(mut frame: Frame, codec: Codec, aliases: &mut HashMap<u32, String>) -> Frame {
    if let Frame::RoomStateSync(sync) = &mut frame {
        assert!(codec == Codec::Binary || !sync.room_id.is_empty(), "{sync:?}");
        if sync.room_id.is_empty() {
            sync.room_id = aliases.get(&sync.alias).expect("an alias that was introduced").clone();
        } else if sync.alias != 0 {
            aliases.insert(sync.alias, sync.room_id.clone());
        }
    }
    frame
}

/// A request as a message of this codec.
pub fn encode(codec: Codec, request: Ask) -> Message {
    let bytes = wire::encode_client(codec, &v1::ClientFrame { body: Some(request) });
    match codec {
        Codec::Binary => Message::binary(bytes),
        Codec::Json => Message::text(String::from_utf8(bytes).expect("JSON is text")),
    }
}

pub fn want(room: &str, tier: Tier, base: Option<v1::Position>) -> v1::SetTier {
    v1::SetTier { room_id: room.into(), tier: tier.wire().into(), base, seen: None, ..Default::default() }
}

pub fn position(sync: &v1::RoomStateSync) -> v1::Position {
    v1::Position { epoch: sync.epoch, seq: sync.sequence_number }
}

pub fn create(visibility: v1::Visibility) -> Body {
    Body::CreateRoom(v1::CreateRoom {
        name: "Room".into(),
        visibility: visibility.into(),
        ..Default::default()
    })
}

pub fn join() -> Body {
    Body::Join(v1::Join {})
}

pub fn mention(text: &str, user: &str) -> Body {
    Body::PostMessage(v1::PostMessage { text: text.into(), mentions: vec![user.into()], reply_to: None })
}
