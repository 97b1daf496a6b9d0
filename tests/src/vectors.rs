//! The golden vectors in `tests/vectors`: how they are read. `tests/vectors/README.md` describes the files.

use std::fs;
use std::path::{Path, PathBuf};

use enfilade_core::limits::FRAME_BYTES;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// A frame in both codecs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// Who sends it.
    pub direction: Direction,
    /// The frame in JSON.
    pub json: Box<RawValue>,
    /// The frame in protobuf, in hexadecimal. Missing only until `make-vectors` has filled it in.
    pub binary: Option<String>,
    /// The bytes hold something that this version does not know, so they are read as the JSON, but never written.
    #[serde(default)]
    pub decode_only: bool,
}

/// Bytes that a decoder refuses.
#[derive(Deserialize)]
pub struct BadCase {
    /// What is wrong with it.
    pub name: String,
    /// Who sends it.
    pub direction: Direction,
    /// What it pretends to be.
    #[serde(flatten)]
    pub frame: BadFrame,
    /// The name of the code that it gets.
    pub code: String,
    /// The largest frame that is taken.
    #[serde(default = "frame_bytes")]
    pub max: usize,
}

/// A frame that isn't one, in one of the codecs.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BadFrame {
    /// Protobuf, in hexadecimal.
    Binary(String),
    /// JSON, as the text that would be sent.
    Text(String),
}

/// A row of the registry of codes.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeRow {
    /// What travels.
    pub number: u32,
    /// What people call it.
    pub name: String,
    /// `never`, `later`, `resync` or `new_token`.
    pub retry: String,
}

/// Which way a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From a client to the server.
    Client,
    /// From the server to a client.
    Server,
}

fn frame_bytes() -> usize {
    FRAME_BYTES
}

/// The folder of protocol 1.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/v1")
}

/// The files that hold frames, and their cases.
pub fn files() -> Vec<(PathBuf, Vec<Case>)> {
    let entries = fs::read_dir(folder()).expect("tests/vectors/v1 is there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    paths.sort();
    let is_frames = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("client_") || name.starts_with("server_")
    };
    paths.into_iter().filter(is_frames).map(|path| (path.clone(), read(&path))).collect()
}

/// What is refused, and why.
pub fn bad() -> Vec<BadCase> {
    read(&folder().join("bad.json"))
}

/// The registry of codes as it is written down.
pub fn codes() -> Vec<CodeRow> {
    read(&folder().join("codes.json"))
}

fn read<T: DeserializeOwned>(path: &Path) -> T {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes that hexadecimal digits stand for.
pub fn unhex(digits: &str) -> Vec<u8> {
    assert!(digits.is_ascii() && digits.len().is_multiple_of(2), "not hexadecimal: {digits}");
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits");
    (0..digits.len()).step_by(2).map(byte).collect()
}
