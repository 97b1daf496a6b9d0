//! A server in a process of its own.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::PATIENCE;

/// The server's arguments, one a line.
const ARGUMENTS: &str = "FAULTS_SERVER_ARGUMENTS";

/// Does what the binary does, where [`Node::start`] has started this program again.
pub(crate) fn serve() -> Option<ExitCode> {
    let arguments = std::env::var(ARGUMENTS).ok()?;
    Some(enfilade_server::cli::run_with(arguments.lines().map(Into::into)))
}

/// Entries that a node says are lost.
#[derive(Clone, Debug)]
pub(crate) struct Lost {
    pub(crate) room: String,
    pub(crate) epoch: u64,
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) count: u64,
}

/// What a node has said in its log that matters here.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) lost: Vec<Lost>,
    pub(crate) panics: Vec<String>,
    pub(crate) lines: Vec<String>,
}

/// One server, killed when this is dropped.
pub(crate) struct Node {
    process: Child,
    pub(crate) address: String,
    folder: TempDir,
    settings: Vec<String>,
    pub(crate) said: Arc<Mutex<Said>>,
}

impl Node {
    /// Starts on a free port.
    pub(crate) fn start(settings: &[String]) -> Node {
        let folder = tempfile::tempdir().expect("a folder");
        let said = Arc::<Mutex<Said>>::default();
        let (process, address) = start(folder.path(), "127.0.0.1:0", settings, &said);
        Node { process, address, folder, settings: settings.to_vec(), said }
    }

    /// Starts again on its folder and address.
    pub(crate) fn restart(&mut self) {
        let (process, _) = start(self.folder.path(), &self.address, &self.settings, &self.said);
        self.process = process;
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it has ended");
    }

    /// SIGSTOP.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw);
        kill_process(id.expect("a process id"), signal).expect("it runs");
    }

    /// What it answers as JSON.
    pub(crate) fn get(&self, path: &str, token: &str) -> Result<Value, String> {
        let request = agent().get(format!("http://{}{path}", self.address));
        let mut response = request
            .header("authorization", format!("Bearer {token}"))
            .call()
            .map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        let body: Value = response.body_mut().read_json().map_err(|error| error.to_string())?;
        if status == 200 { Ok(body) } else { Err(body.to_string()) }
    }

    /// Makes a public room.
    pub(crate) fn create(&self, room: &str, token: &str) -> Result<(), String> {
        let request = agent().post(format!("http://{}/api/rooms", self.address));
        let body = serde_json::json!({ "id": room, "name": "Room" });
        let mut response = request
            .header("authorization", format!("Bearer {token}"))
            .send_json(body)
            .map_err(|error| error.to_string())?;
        match response.status().as_u16() {
            201 => Ok(()),
            _ => Err(response.body_mut().read_to_string().unwrap_or_default()),
        }
    }

    /// A guest's token.
    pub(crate) fn guest(&self, name: &str) -> String {
        let request = agent().post(format!("http://{}/api/guest", self.address));
        let mut response = request.send_json(serde_json::json!({ "name": name })).expect("an answer");
        let guest: Value = response.body_mut().read_json().expect("JSON");
        guest["token"].as_str().expect("a token").to_owned()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn start(folder: &Path, listen: &str, settings: &[String], said: &Arc<Mutex<Said>>) -> (Child, String) {
    let data = folder.join("data").display().to_string();
    let fixed = ["enfilade", "serve", "--listen", listen, "--data-dir", &data, "--log-format", "json"];
    let mut arguments: Vec<String> = fixed.map(String::from).into();
    for setting in settings {
        arguments.extend(["--set".into(), setting.clone()]);
    }
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("ENFILADE_") || ["REDIS_URL", "MONGODB_URI", "PORT"].contains(&&*text) {
            command.env_remove(&name);
        }
    }
    command.env(ARGUMENTS, arguments.join("\n")).current_dir(folder);
    let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("a process");
    let mut lines = BufReader::new(process.stderr.take().expect("piped")).lines().map_while(Result::ok);
    let mut early = Vec::new();
    let address = lines.by_ref().find_map(|line| {
        let parsed = serde_json::from_str::<Value>(&line).unwrap_or_default();
        early.push(line);
        parsed["address"].as_str().map(String::from)
    });
    let said = said.clone();
    std::thread::spawn(move || lines.for_each(|line| hear(&said, line)));
    (process, address.unwrap_or_else(|| panic!("it ended before it served: {early:#?}")))
}

/// Lines that are kept of a node's log, for whoever looks into a failure.
const LINES: usize = 4_000;

fn hear(said: &Mutex<Said>, text: String) {
    let mut said = said.lock().expect("no panic");
    let line: Value = serde_json::from_str(&text).unwrap_or_default();
    let message = line["message"].as_str().unwrap_or_default();
    if message.starts_with("panicked") {
        said.panics.push(text.clone());
    }
    if let (Some(room), Some(count)) = (line["room"].as_str(), line["lost"].as_u64()) {
        let number = |key: &str| line[key].as_u64().unwrap_or_default();
        let (from, to, epoch) = (number("from"), number("to"), number("epoch"));
        said.lost.push(Lost { room: room.into(), epoch, from, to, count });
    }
    if said.lines.len() < LINES {
        said.lines.push(text);
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build().into()
}
