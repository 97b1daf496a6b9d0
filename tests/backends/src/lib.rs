//! Real servers for tests: Redis (alone, under Sentinels, as a Cluster), a MongoDB-compatible server and a Kafka
//! broker, each on loopback ports and in a folder of its own, and ended by its process id.
//!
//! `scripts/backends.mjs` gets what they need into `target/backends` of the workspace, and `npm test` runs it first.

use std::fmt::Display;
use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

mod kafka;
mod mongo;
pub mod proxy;
pub mod redis;

pub use kafka::{Kafka, create_topic};
pub use mongo::Mongo;

/// Longer than any of these servers needs to start on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A server's process. It is killed when this is dropped.
pub struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Process {
    /// Starts the command; what it prints goes to `folder/NAME.log`.
    ///
    /// # Errors
    /// The program is not there, or the folder can't be written to.
    pub fn start(name: &str, folder: &Path, command: &mut Command) -> io::Result<Process> {
        let log = folder.join(format!("{name}.log"));
        let out = File::options().create(true).append(true).open(&log)?;
        let child =
            command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).current_dir(folder).spawn()?;
        Ok(Process { child, name: name.into(), log })
    }

    /// Waits until `is_ready` says so.
    ///
    /// # Panics
    /// When the process ends before, or after [`PATIENCE`]: with what it has printed.
    pub fn wait_until(&mut self, mut is_ready: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_ready() {
            let ended = self.child.try_wait().expect("the state of a child");
            assert!(ended.is_none(), "{} has ended: {ended:?}\n{}", self.name, self.printed());
            assert!(Instant::now() < deadline, "{} is not ready\n{}", self.name, self.printed());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed.
    pub fn printed(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// SIGKILL: it ends in the midst of what it does.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, and waits for its end.
    pub fn terminate(&mut self) {
        self.signal(Signal::TERM);
        let _ = self.child.wait();
    }

    /// SIGSTOP: it hangs, and its sockets stay open.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT: it goes on as if nothing had been.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(id) = id {
            let _ = kill_process(id, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where `scripts/backends.mjs` puts what the servers need.
pub fn installed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/backends")
}

/// Ports of loopback that nobody uses now, all different.
pub fn free_ports<const N: usize>() -> [u16; N] {
    // All are held until the last is there, so that none is given twice.
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("its address").port())
}

/// What there is, or `None` where this machine lacks it: loudly, and in CI as a failure.
///
/// # Panics
/// In CI, where a backend that is not there must never look like one that works.
pub fn or_skip<T, E: Display>(backend: &str, found: Result<T, E>) -> Option<T> {
    let error = match found {
        Ok(found) => return Some(found),
        Err(error) => error,
    };
    let is_ci = std::env::var("CI").is_ok_and(|value| !value.is_empty() && value != "false");
    assert!(!is_ci, "{backend} is not to be had: {error}; run `node scripts/backends.mjs`");
    eprintln!(
        "SKIPPED, NOTHING TESTED: {backend} is not to be had: {error}; run `node scripts/backends.mjs`"
    );
    None
}
