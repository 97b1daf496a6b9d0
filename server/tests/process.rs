//! The binary as an operator meets it: what it says, and with which code it ends.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The binary in a folder of its own, without anything from this process's environment that it would read.
fn enfilade(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_enfilade"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ENFILADE_") {
            command.env_remove(name);
        }
    }
    command.current_dir(folder).args(arguments);
    command
}

fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = enfilade(folder, arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

struct Server {
    process: Child,
    address: String,
}

impl Server {
    /// Starts on a free port, and waits until it says where.
    fn start(folder: &Path, arguments: &[&str]) -> Server {
        let mut command = enfilade(folder, &["--listen", "127.0.0.1:0", "--log-format", "json"]);
        let mut process = command.args(arguments).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = lines.by_ref().find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
            line["address"].as_str().map(String::from)
        });
        std::thread::spawn(move || lines.for_each(drop));
        Server { process, address: address.expect("it ended before it served") }
    }

    fn get(&self, path: &str) -> String {
        let mut socket = TcpStream::connect(&self.address).unwrap();
        write!(socket, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    }

    fn post(&self, path: &str, token: &str, body: &str) -> String {
        let mut socket = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        write!(
            socket,
            "POST {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    }

    fn signal(&self, signal: &str) {
        let process = self.process.id().to_string();
        assert!(Command::new("kill").args([signal, &process]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn place() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn it_serves_without_a_command_and_ends_with_0_when_told_to() {
    let place = place();
    let mut server = Server::start(place.path(), &[]);
    assert!(server.get("/readyz").starts_with("HTTP/1.1 200"));
    assert!(server.get("/metrics").contains("enfilade_build_info"));
    assert!(place.path().join("data/rooms.redb").exists());
    let told = Instant::now();
    server.signal("-TERM");
    assert_eq!(server.process.wait().unwrap().code(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(10));
}

#[test]
fn parts_start_and_stop_in_their_order_and_the_log_says_so() {
    let place = place();
    let mut command = enfilade(place.path(), &["--listen", "127.0.0.1:0", "--log-format", "json"]);
    let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut steps: Vec<String> = Vec::new();
    for line in BufReader::new(process.stderr.take().unwrap()).lines() {
        let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        if let Some(step) = line["step"].as_str() {
            let verb = line["message"].as_str().unwrap().split(':').next().unwrap();
            steps.push(format!("{verb} {step}"));
        }
        if line["address"].is_string() {
            steps.push("serving".into());
            let process = process.id().to_string();
            assert!(Command::new("kill").args(["-TERM", &process]).status().unwrap().success());
        }
    }
    assert_eq!(process.wait().unwrap().code(), Some(0));
    let expected = [
        "started store",
        "started archive",
        "started sockets",
        "serving",
        "stopped readiness",
        "stopped welcome",
        "stopped requests",
        "stopped rooms",
        "stopped sockets",
        "stopped archive",
        "stopped store",
    ];
    assert_eq!(steps, expected);
}

#[test]
fn readiness_says_how_everything_is_doing() {
    let place = place();
    let server = Server::start(place.path(), &[]);
    for path in ["/readyz", "/readyz?writes"] {
        let answer = server.get(path);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let body: serde_json::Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        assert_eq!((&body["status"], &body["writes"]), (&"ready".into(), &true.into()), "{body}");
        assert_eq!(body["components"]["store"]["status"], "up", "{body}");
    }
    assert!(server.get("/metrics").contains("enfilade_component_status{component=\"store\"} 2"));
}

#[test]
fn rooms_are_exported_and_imported_by_commands() {
    let (place, other) = (place(), place());
    let export = |file: &str| run(place.path(), &["export", file]);
    let server = Server::start(place.path(), &[]);
    let (code, _, said) = export("rooms");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("in use by another server"), "{said}");
    drop(server);
    assert_eq!(export("rooms").0, Some(0));
    let (code, _, said) = export("rooms");
    assert!(code == Some(1) && said.contains("is there already"), "{said}");
    let file = place.path().join("rooms").display().to_string();
    let (code, printed, _) = run(other.path(), &["import", &file]);
    assert_eq!(code, Some(0));
    assert!(printed.contains("imported 0 rooms"), "{printed}");
    fs::write(&file, "garbage").unwrap();
    let (code, _, said) = run(other.path(), &["import", &file]);
    assert!(code == Some(1) && said.contains("too short"), "{said}");
}

#[test]
fn a_killed_server_starts_again_on_its_folder() {
    let place = place();
    let mut server = Server::start(place.path(), &["serve"]);
    server.signal("-KILL");
    server.process.wait().unwrap();
    assert!(Server::start(place.path(), &["serve"]).get("/readyz").starts_with("HTTP/1.1 200"));
}

#[test]
fn guests_are_announced_loudly_unless_they_are_not_allowed() {
    let place = place();
    for (allowed, said) in [("true", true), ("false", false)] {
        let mut command = enfilade(place.path(), &["--guests", allowed, "--listen", "127.0.0.1:0"]);
        let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stderr.take().unwrap()).lines().map(Result::unwrap);
        let log: Vec<String> = lines.take_while(|line| !line.contains("serving at")).collect();
        let announced = log.iter().any(|line| line.contains("WARN") && line.contains("GUESTS ARE ALLOWED"));
        process.kill().unwrap();
        process.wait().unwrap();
        assert_eq!(announced, said, "{log:#?}");
    }
}

#[test]
fn a_port_in_use_is_named_with_what_to_do() {
    let place = place();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, _, said) = run(place.path(), &["--listen", &address]);
    assert_eq!(code, Some(1));
    assert!(said.contains(&address) && said.contains("--listen"), "{said}");
    assert!(!place.path().join("data").exists());
}

#[test]
fn a_folder_in_use_is_named_with_who_uses_it() {
    let place = place();
    let server = Server::start(place.path(), &[]);
    let (code, _, said) = run(place.path(), &["--listen", "127.0.0.1:0"]);
    assert_eq!(code, Some(1));
    let holder = format!("process {}", server.process.id());
    assert!(said.contains("data") && said.contains(&holder) && said.contains("--data-dir"), "{said}");
    assert!(server.get("/readyz").starts_with("HTTP/1.1 200"));
}

#[test]
fn damaged_files_are_named_and_left_as_they_are() {
    for file in ["rooms.redb", "signing-key.pem"] {
        let place = place();
        let path = place.path().join("data").join(file);
        fs::create_dir(place.path().join("data")).unwrap();
        fs::write(&path, "garbage").unwrap();
        let (code, _, said) = run(place.path(), &["--listen", "127.0.0.1:0"]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(file) && said.contains("move it away"), "{said}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "garbage");
    }
}

#[test]
fn a_data_folder_that_can_not_be_is_named() {
    let place = place();
    fs::write(place.path().join("data"), "a file").unwrap();
    let (code, _, said) = run(place.path(), &["--listen", "127.0.0.1:0"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("data is no folder"), "{said}");
}

#[test]
fn the_checked_configuration_says_where_each_value_is_from() {
    let place = place();
    fs::write(place.path().join("enfilade.toml"), "shards = 2\n[log]\nlevel = \"warn\"").unwrap();
    let mut command = enfilade(place.path(), &["config", "check", "--listen", "127.0.0.1:9"]);
    let output = command.env("ENFILADE_LOG__FORMAT", "json").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    for (value, source) in [
        ("listen = \"127.0.0.1:9\"", "--listen"),
        ("shards = 2", "enfilade.toml"),
        ("log.level = \"warn\"", "enfilade.toml"),
        ("log.format = \"json\"", "ENFILADE_LOG__FORMAT"),
        ("guests.allowed = true", "default"),
    ] {
        let line = text.lines().find(|line| line.starts_with(value));
        assert!(line.is_some_and(|line| line.ends_with(&format!("# {source}"))), "{value}: {text}");
    }
}

#[test]
fn a_wrong_configuration_is_said_whole_and_ends_with_2() {
    let place = place();
    fs::write(place.path().join("enfilade.toml"), "lisen = \"127.0.0.1:9\"").unwrap();
    for command in [&["config", "check"][..], &["serve"], &[]] {
        let (code, _, said) = run(place.path(), &[command, &["--shards", "many"]].concat());
        assert_eq!(code, Some(2));
        assert!(said.contains("enfilade.toml: ") && said.contains("did you mean `listen`?"), "{said}");
        assert!(said.contains("--shards: "), "{said}");
    }
    assert!(!place.path().join("data").exists());
}

#[test]
fn tokens_are_minted_and_inspected_beside_a_running_server() {
    let place = place();
    let _server = Server::start(place.path(), &[]);
    let (code, token, _) =
        run(place.path(), &["token", "mint", "--user", "ada", "--name", "Ada", "--days", "2"]);
    assert_eq!(code, Some(0));
    let (code, said, _) = run(place.path(), &["token", "inspect", token.trim()]);
    assert_eq!(code, Some(0));
    let claims: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&claims["user"], &claims["name"], &claims["guest"]),
        (&"ada".into(), &"Ada".into(), &false.into())
    );
    let (code, _, said) = run(place.path(), &["token", "inspect", "forged"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("not one of this server's"), "{said}");
}

#[test]
fn inspecting_says_what_is_in_the_store_or_what_to_do() {
    let place = place();
    let (code, _, said) = run(place.path(), &["inspect", "rooms"]);
    assert!(code == Some(1) && said.contains("data_dir"), "{said}");
    let mut server = Server::start(place.path(), &[]);
    let (code, _, said) = run(place.path(), &["inspect", "rooms"]);
    assert!(code == Some(1) && said.contains("process"), "{said}");
    server.signal("-TERM");
    server.process.wait().unwrap();
    let (code, printed, said) = run(place.path(), &["inspect", "rooms"]);
    assert_eq!((code, printed.as_str()), (Some(0), ""), "{said}");
    let (code, _, said) = run(place.path(), &["inspect", "room", "lobby"]);
    assert!(code == Some(1) && said.contains("there is no room lobby"), "{said}");
    let (code, _, said) = run(place.path(), &["inspect", "chat", "no room"]);
    assert!(code == Some(1) && said.contains("no room id"), "{said}");
    let (code, _, said) = run(place.path(), &["rebuild-keys"]);
    assert!(code == Some(1) && said.contains("no readable keys"), "{said}");
}

#[test]
fn operators_look_into_redis_while_servers_use_it() {
    let Some(redis) = enfilade_backends::or_skip("Redis", enfilade_backends::redis::Redis::start()) else {
        return;
    };
    let place = place();
    let url = format!("redis.url={}", redis.url());
    let on_redis = ["--set", "store.kind=redis", "--set", &url, "--set", "archive.kind=none"];
    let server = Server::start(place.path(), &on_redis);
    let guest = server.post("/api/guest", "", r#"{"name":"Ann"}"#);
    let token = guest.split(r#""token":""#).nth(1).unwrap().split('"').next().unwrap().to_owned();
    let created = server.post("/api/rooms", &token, r#"{"id":"lobby","name":"The lobby","capacity":5}"#);
    assert!(created.starts_with("HTTP/1.1 201"), "{created}");
    let operate = |command: &[&str]| run(place.path(), &[&on_redis[..], command].concat());
    let (code, printed, said) = operate(&["inspect", "room", "lobby"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(printed.contains("room_name\nThe lobby\n") && printed.contains("capacity\n5\n"), "{printed}");
    assert!(redis.ask(&["DEL", "enfilade:rooms:{lobby}"]).starts_with(":1"));
    let (code, printed, said) = operate(&["rebuild-keys"]);
    assert!(code == Some(0) && printed.contains("2 rooms were rebuilt"), "{printed}{said}");
    assert!(redis.ask(&["HGET", "enfilade:rooms:{lobby}", "room_name"]).contains("The lobby"));
    // The follower of the logs is a moment behind.
    let begun = Instant::now();
    while !redis.ask(&["HGET", "enfilade:rooms:name-map", "The lobby"]).contains("lobby\r") {
        assert!(begun.elapsed() < Duration::from_secs(20), "the name was not indexed");
        std::thread::sleep(Duration::from_millis(50));
    }
}
