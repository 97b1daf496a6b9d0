use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use enfilade_backends::{Process, free_ports, or_skip};
use tempfile::TempDir;

use super::*;
use crate::events::contract::{Fixture, contract};
use crate::events::record::Body;
use crate::events::{Commands, Inlet, Outlet};
use crate::store::{MemoryStore, SharedStore};

/// A Redis that keeps every write.
pub(crate) struct Redis {
    _process: Mutex<Process>,
    port: u16,
    _folder: TempDir,
}

impl Redis {
    fn start() -> std::io::Result<Redis> {
        let folder = tempfile::tempdir()?;
        let [port] = free_ports();
        let mut server = Command::new("redis-server");
        server.args([
            "--port",
            &port.to_string(),
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
            "--save",
            "",
        ]);
        let mut process = Process::start("redis", folder.path(), server.args(["--bind", "127.0.0.1"]))?;
        process.wait_until(|| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Ok(Redis { _process: Mutex::new(process), port, _folder: folder })
    }
}

fn server() -> Option<Arc<Redis>> {
    static SHARED: Mutex<Weak<Redis>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(redis) = shared.upgrade() {
        return Some(redis);
    }
    let redis = Arc::new(or_skip("Redis", Redis::start())?);
    *shared = Arc::downgrade(&redis);
    Some(redis)
}

/// Fields of an entry.
type Fields = Vec<(String, Vec<u8>)>;

/// Streams of one test.
struct Streams {
    _redis: Arc<Redis>,
    settings: Settings,
    link: Link,
    /// Where nodes claim streams of commands.
    claims: SharedStore,
}

impl Streams {
    async fn rows(&self, key: String) -> Vec<Fields> {
        let rows: Vec<(String, Fields)> =
            self.link.ask(redis::cmd("XRANGE").arg(key).arg("-").arg("+")).await.unwrap();
        rows.into_iter().map(|(_, fields)| fields).collect()
    }
}

fn field(fields: &[(String, Vec<u8>)], name: &str) -> Vec<u8> {
    fields.iter().find(|(key, _)| key == name).unwrap().1.clone()
}

impl Fixture for Streams {
    async fn new() -> Option<Streams> {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let redis = tokio::task::spawn_blocking(server).await.unwrap()?;
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let settings = Settings {
            urls: vec![format!("redis://127.0.0.1:{}/", redis.port)],
            prefix: format!("test-{number}:"),
            keep: 1_000_000,
            commands: 1_000,
        };
        let link = Link::new(&settings).unwrap();
        Some(Streams { _redis: redis, link, settings, claims: Arc::new(MemoryStore::new()) })
    }

    async fn outlet(&self) -> Arc<dyn Outlet> {
        Arc::new(StreamOutlet::open(self.settings.clone()).await.unwrap())
    }

    async fn records(&self) -> Vec<Body> {
        let mut records = Vec::new();
        for shard in 0..SHARDS {
            for fields in self.rows(self.settings.entries(shard)).await {
                let body: Body = serde_json::from_slice(&field(&fields, "record")).unwrap();
                assert_eq!(field(&fields, "room"), body.room.as_bytes());
                assert_eq!(field(&fields, "seq"), body.seq.to_string().as_bytes());
                records.push(body);
            }
        }
        records
    }

    async fn inlet(&self, node: &str) -> Box<dyn Inlet> {
        Box::new(StreamInlet::open(self.settings.clone(), self.claims.clone(), node.into()).unwrap())
    }

    async fn commands(&self) -> Arc<dyn Commands> {
        Arc::new(StreamCommands::open(self.settings.clone()).unwrap())
    }

    async fn dead(&self) -> Vec<(String, Bytes)> {
        let rows = self.rows(self.settings.dead_letters()).await;
        let letter = |fields: Fields| {
            (String::from_utf8(field(&fields, "reason")).unwrap(), field(&fields, "command").into())
        };
        rows.into_iter().map(letter).collect()
    }
}

contract!(contract, Streams);

#[tokio::test]
async fn streams_that_nobody_reads_take_no_more_commands_than_they_may() {
    let Some(mut streams) = Streams::new().await else { return };
    streams.settings.commands = 3;
    let commands = streams.commands().await;
    let room = crate::events::contract::room("lobby");
    for _ in 0..3 {
        commands.send(&room, Bytes::from_static(b"{}")).await.unwrap();
    }
    let refused = commands.send(&room, Bytes::from_static(b"{}")).await.unwrap_err();
    assert!(refused.to_string().contains("as many commands as it may"), "{refused}");
}

#[tokio::test]
async fn a_redis_that_is_not_there_is_named_without_its_password() {
    let settings = Settings {
        urls: vec!["redis://me:secret@127.0.0.1:1/".into()],
        prefix: String::new(),
        keep: 1,
        commands: 1,
    };
    let said = tokio::time::timeout(Duration::from_secs(30), settings.check()).await.unwrap();
    let said = said.unwrap_err().to_string();
    assert!(said.contains("127.0.0.1:1") && !said.contains("secret"), "{said}");
}
