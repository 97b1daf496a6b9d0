//! What is done with bytes from anywhere: every decoder and both sessions, each as a function that must not panic.
//!
//! `cargo fuzz` explores with them (see `fuzz/`), and `tests/garbage.rs` replays `tests/corpus` and mutated vectors on
//! every run.

mod client;
mod decoders;
mod server;
mod traces;

use std::fs;
use std::path::{Path, PathBuf};

use enfilade_core::state::compress;
use enfilade_core::v1::{client_frame, room_state_sync, server_frame};
use enfilade_core::wire::binary;
use prost::Message as _;

use crate::vectors::{BadFrame, Direction, bad, files, unhex};

/// Something that takes bytes from outside.
pub struct Target {
    /// As `cargo fuzz` and the folders of the corpus call it.
    pub name: &'static str,
    /// Panics when something is wrong.
    pub run: fn(&[u8]),
    /// Good inputs, by which mutation begins.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "client_binary", run: decoders::client_binary, seeds: || frames(Direction::Client) },
    Target { name: "server_binary", run: decoders::server_binary, seeds: || frames(Direction::Server) },
    Target { name: "client_json", run: decoders::client_json, seeds: || texts(Direction::Client) },
    Target { name: "server_json", run: decoders::server_json, seeds: || texts(Direction::Server) },
    Target { name: "op", run: decoders::op, seeds: ops },
    Target { name: "entry", run: decoders::entry, seeds: entries },
    Target { name: "log", run: decoders::log, seeds: logs },
    Target { name: "packed_snapshot", run: decoders::packed_snapshot, seeds: packed_snapshots },
    Target { name: "snapshot", run: decoders::snapshot, seeds: snapshots },
    Target { name: "client_session", run: client::session, seeds: client::seeds },
    Target { name: "server_session", run: server::session, seeds: server::seeds },
    Target { name: "trace_session", run: traces::trace, seeds: traces::traces },
    Target { name: "alone_session", run: traces::records, seeds: traces::stored },
];

/// The target of this name.
pub fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|target| target.name == name).unwrap_or_else(|| panic!("no target {name}"))
}

/// Where inputs are kept that once found something, or reach far.
pub fn corpus(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name)
}

/// The kept inputs, with their names.
pub fn kept(target: &Target) -> Vec<(String, Vec<u8>)> {
    let Ok(entries) = fs::read_dir(corpus(target)) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path.display().to_string(), bytes)
    };
    paths.into_iter().map(read).collect()
}

/// Bytes as a list of steps: each a number and, for some, a chunk.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A chunk behind its length in two bytes, or as much of it as there is.
    fn chunk(&mut self) -> &'a [u8] {
        let length = u16::from_le_bytes([self.byte().unwrap_or(0), self.byte().unwrap_or(0)]);
        let (chunk, rest) = self.0.split_at(usize::from(length).min(self.0.len()));
        self.0 = rest;
        chunk
    }

    fn write(script: &mut Vec<u8>, step: u8, chunk: &[u8]) {
        script.push(step);
        script.extend((chunk.len() as u16).to_le_bytes());
        script.extend(chunk);
    }
}

fn frames(direction: Direction) -> Vec<Vec<u8>> {
    let cases = files().into_iter().flat_map(|(_, cases)| cases);
    let good = cases.filter(|case| case.direction == direction).filter_map(|case| case.binary);
    let refused =
        bad().into_iter().filter(|case| case.direction == direction).filter_map(|case| match case.frame {
            BadFrame::Binary(digits) => Some(digits),
            BadFrame::Text(_) => None,
        });
    good.chain(refused).map(|digits| unhex(&digits)).collect()
}

fn texts(direction: Direction) -> Vec<Vec<u8>> {
    let cases = files().into_iter().flat_map(|(_, cases)| cases);
    let good = cases.filter(|case| case.direction == direction).map(|case| case.json.get().to_string());
    let refused =
        bad().into_iter().filter(|case| case.direction == direction).filter_map(|case| match case.frame {
            BadFrame::Binary(_) => None,
            BadFrame::Text(text) => Some(text),
        });
    good.chain(refused).map(String::into_bytes).collect()
}

fn ops() -> Vec<Vec<u8>> {
    let bodies = frames(Direction::Client)
        .into_iter()
        .filter_map(|bytes| binary::decode_client(&bytes, bytes.len()).ok()?.body);
    let submits = bodies.filter_map(|body| match body {
        client_frame::Body::Submit(submit) => Some(submit.op),
        _ => None,
    });
    submits.collect()
}

fn sync_data() -> Vec<room_state_sync::Data> {
    let bodies = frames(Direction::Server)
        .into_iter()
        .filter_map(|bytes| binary::decode_server(&bytes, bytes.len()).ok()?.body);
    let data = bodies.filter_map(|body| match body {
        server_frame::Body::RoomStateSync(sync) => sync.data,
        _ => None,
    });
    data.collect()
}

fn logs() -> Vec<Vec<u8>> {
    let deltas = sync_data().into_iter().filter_map(|data| match data {
        room_state_sync::Data::DeltaUpdate(delta) => Some(delta.encode_to_vec()),
        _ => None,
    });
    deltas.chain([decoders::log_of(ops())]).collect()
}

fn entries() -> Vec<Vec<u8>> {
    let deltas = sync_data().into_iter().filter_map(|data| match data {
        room_state_sync::Data::DeltaUpdate(delta) => Some(delta.entries),
        _ => None,
    });
    deltas.flatten().map(|entry| entry.encode_to_vec()).collect()
}

fn snapshots() -> Vec<Vec<u8>> {
    let bulks = sync_data().into_iter().filter_map(|data| match data {
        room_state_sync::Data::BulkSync(bulk) => bulk.snapshot,
        _ => None,
    });
    bulks.map(|snapshot| snapshot.encode_to_vec()).collect()
}

fn packed_snapshots() -> Vec<Vec<u8>> {
    let bulks = sync_data().into_iter().filter_map(|data| match data {
        room_state_sync::Data::BulkSync(bulk) => bulk.snapshot,
        _ => None,
    });
    bulks.map(|snapshot| compress(&snapshot)).collect()
}
