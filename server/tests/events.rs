//! The binary on Kafka: a tap over REST, by way of the broker, to a socket; and what it says without a broker.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use enfilade_backends::{Kafka, or_skip};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

struct Server {
    process: Child,
    address: String,
}

fn enfilade(folder: &Path, brokers: &str, settings: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_enfilade"));
    command.current_dir(folder).args(["--listen", "127.0.0.1:0", "--log-format", "json"]);
    command.args(["--set", "events.kind=kafka", "--set", &format!("kafka.brokers={brokers}")]);
    for setting in settings {
        command.args(["--set", setting]);
    }
    command.stderr(Stdio::piped());
    command
}

impl Server {
    fn start(folder: &Path, brokers: &str) -> Server {
        let mut process = enfilade(folder, brokers, &["kafka.create_topics=true"]).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = lines.by_ref().find_map(|line| {
            let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
            line["address"].as_str().map(String::from)
        });
        std::thread::spawn(move || lines.for_each(drop));
        Server { process, address: address.expect("it ended before it served") }
    }

    /// Status and body.
    fn ask(&self, method: &str, path: &str, token: &str, body: &Value) -> (u16, Value) {
        let mut socket = TcpStream::connect(&self.address).unwrap();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        write!(
            socket,
            "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let body = answer.split("\r\n\r\n").nth(1).unwrap();
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    fn text(&self, path: &str) -> String {
        let mut socket = TcpStream::connect(&self.address).unwrap();
        write!(socket, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tap_over_rest_reaches_a_socket_by_way_of_kafka_and_goes_out_again() {
    let Some(kafka) = or_skip("Kafka", Kafka::start()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &kafka.brokers());
    let (_, guest) = server.ask("POST", "/api/guest", "", &json!({"name": "Ann"}));
    let token = guest["token"].as_str().unwrap().to_owned();
    let (status, _) = server.ask("POST", "/api/rooms", &token, &json!({"name": "Game", "id": "game"}));
    assert_eq!(status, 201);

    let mut request = format!("ws://{}/ws", server.address).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "enfilade.json.v1".parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    let hello = json!({"hello": {"version_min": 1000, "version_max": 1000, "token": token, "client_id": 77}});
    let tier = json!({"set_tier": {"room_id": "game", "tier": "ACTIVE"}});
    for frame in [hello, tier] {
        socket.send(Message::text(frame.to_string())).await.unwrap();
    }

    let tap = json!({"room": "game", "points": 5, "id": "first"});
    for _ in 0..2 {
        let (status, tapped) = server.ask("POST", "/api/tap", &token, &tap);
        assert_eq!((status, &tapped["queued"]), (202, &Value::Bool(true)), "{tapped}");
    }
    let mut frames = Vec::new();
    let seen = async {
        while let Some(frame) = socket.next().await {
            let frame = frame.unwrap();
            frames.push(frame.clone());
            if frame
                .to_text()
                .is_ok_and(|text| text.contains("\"add_score\"") && text.contains("\"points\":5"))
            {
                return;
            }
        }
        panic!("the socket has ended: {frames:?}");
    };
    tokio::time::timeout(Duration::from_secs(60), seen).await.expect("the tap at the socket");
    let (status, game) = server.ask("GET", "/api/game-state?room=game", &token, &Value::Null);
    assert_eq!(
        (status, &game["total"], &game["leaderboard"][0]["score"]),
        (200, &json!(5), &json!(5)),
        "{game}"
    );

    // The entries have gone out: the room's creation, its place in the owner's inbox, and the tap.
    let gone_out = async {
        while !server.text("/metrics").contains("enfilade_events_published_total 3") {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), gone_out).await.expect("three entries in the topic");
    assert!(server.text("/readyz").contains("\"events\""));
    assert!(server.text("/metrics").contains("enfilade_commands_repeated_total 1"));
    let process = server.process.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &process]).status().unwrap().success());
    assert_eq!(server.process.wait().unwrap().code(), Some(0));
}

#[test]
fn without_a_broker_it_ends_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let ended = enfilade(folder.path(), "127.0.0.1:1", &[]).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(
        said.contains("no Kafka broker answers at 127.0.0.1:1") && said.contains("kafka.brokers"),
        "{said}"
    );
}
