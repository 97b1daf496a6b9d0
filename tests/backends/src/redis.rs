//! Redis: one server, one with a replica and Sentinels, and a Cluster of six.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::{PATIENCE, Process, free_ports};

/// Keeps everything that it acknowledges.
const DURABLE: [&str; 8] =
    ["--appendonly", "yes", "--appendfsync", "always", "--save", "", "--maxmemory-policy", "noeviction"];

/// One `redis-server` with its files.
pub struct Redis {
    process: Process,
    folder: TempDir,
    port: u16,
    args: Vec<String>,
}

impl Redis {
    /// One server that syncs its file before it answers.
    ///
    /// # Errors
    /// There is no `redis-server`.
    pub fn start() -> io::Result<Redis> {
        Redis::start_with(&DURABLE)
    }

    /// One server with these arguments.
    ///
    /// # Errors
    /// There is no `redis-server`.
    pub fn start_with(args: &[&str]) -> io::Result<Redis> {
        let [port] = free_ports();
        Redis::start_at(port, args)
    }

    fn start_at(port: u16, args: &[&str]) -> io::Result<Redis> {
        let folder = tempfile::tempdir()?;
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let process = launch(folder.path(), port, &args)?;
        Ok(Redis { process, folder, port, args })
    }

    /// Its port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address as clients write it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGTERM, and waits for its end.
    pub fn terminate(&mut self) {
        self.process.terminate();
    }

    /// SIGSTOP.
    pub fn pause(&self) {
        self.process.pause();
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.process.resume();
    }

    /// Starts it again on its port and files.
    ///
    /// # Errors
    /// It can't be started.
    pub fn restart(&mut self) -> io::Result<()> {
        self.process.kill();
        self.process = launch(self.folder.path(), self.port, &self.args)?;
        Ok(())
    }

    /// Runs one command, and returns what `redis-cli` would print of it, roughly: enough for tests to look at.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn ask(&self, command: &[&str]) -> String {
        ask(self.port, command).expect("Redis answers")
    }
}

fn launch(folder: &Path, port: u16, args: &[String]) -> io::Result<Process> {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"]).arg(folder).args(args);
    let mut process = Process::start("redis", folder, &mut command)?;
    // It answers as soon as it has read its files.
    process.wait_until(|| ask(port, &["PING"]).is_ok_and(|answer| is_serving(&answer)));
    Ok(process)
}

fn is_serving(answer: &str) -> bool {
    answer.starts_with("+PONG") || answer.starts_with("-NOAUTH")
}

/// Sends one command, and returns the raw answer.
///
/// # Errors
/// Nobody answers.
pub fn ask(port: u16, command: &[&str]) -> io::Result<String> {
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut request = format!("*{}\r\n", command.len());
    for word in command {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    socket.write_all(request.as_bytes())?;
    // The end of an answer is told by what comes after it: the answer to the next command, which Sentinels know too.
    socket.write_all(b"*2\r\n$4\r\nPING\r\n$3\r\nend\r\n")?;
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let count = socket.read(&mut chunk)?;
        answer.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&answer);
        if let Some(end) = text.find("$3\r\nend\r\n") {
            return Ok(text[..end].to_owned());
        }
        if count == 0 || text.starts_with("-NOAUTH") {
            return Ok(text.into_owned());
        }
    }
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} does not come about");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A master, a replica of it, and Sentinels that promote the replica when the master is gone.
pub struct Sentinels {
    /// The one that is the master at first.
    pub master: Redis,
    /// The other one.
    pub replica: Redis,
    sentinels: Vec<Redis>,
}

impl Sentinels {
    /// What the Sentinels call the master.
    pub const MASTER: &str = "mymaster";

    /// Two servers and three Sentinels.
    ///
    /// # Errors
    /// There is no `redis-server`.
    pub fn start() -> io::Result<Sentinels> {
        let master = Redis::start()?;
        let port = master.port().to_string();
        let replica_of = format!("127.0.0.1 {port}");
        let mut args = DURABLE.to_vec();
        args.extend(["--replicaof", &replica_of, "--repl-diskless-sync-delay", "0"]);
        let replica = Redis::start_with(&args)?;
        wait_for("replication", || replica.ask(&["INFO", "replication"]).contains("master_link_status:up"));
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            sentinels.push(start_sentinel(&port)?);
        }
        let started = Sentinels { master, replica, sentinels };
        wait_for("a quorum of Sentinels", || {
            started.sentinels.iter().all(|sentinel| {
                let answer = sentinel.ask(&["SENTINEL", "CKQUORUM", Sentinels::MASTER]);
                let replicas = sentinel.ask(&["INFO", "sentinel"]);
                answer.starts_with("+OK 3") && replicas.contains("slaves=1,sentinels=3")
            })
        });
        Ok(started)
    }

    /// The Sentinels' addresses, with commas between.
    pub fn url(&self) -> String {
        self.sentinels.iter().map(Redis::url).collect::<Vec<_>>().join(",")
    }
}

fn start_sentinel(master: &str) -> io::Result<Redis> {
    let [port] = free_ports();
    let folder = tempfile::tempdir()?;
    // Sentinels write to their configuration.
    let file = folder.path().join("sentinel.conf");
    let name = Sentinels::MASTER;
    std::fs::write(
        &file,
        format!(
            "sentinel monitor {name} 127.0.0.1 {master} 2\nsentinel down-after-milliseconds {name} 500\n\
             sentinel failover-timeout {name} 5000\nsentinel parallel-syncs {name} 1\n"
        ),
    )?;
    let mut command = Command::new("redis-server");
    command.arg(&file).args(["--sentinel", "--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"]);
    let mut process = Process::start("sentinel", folder.path(), command.arg(folder.path()))?;
    process.wait_until(|| ask(port, &["PING"]).is_ok_and(|answer| is_serving(&answer)));
    Ok(Redis { process, folder, port, args: Vec::new() })
}

/// Six servers: three masters, and a replica of each.
pub struct Cluster {
    /// All of them.
    pub servers: Vec<Redis>,
}

impl Cluster {
    /// A Cluster whose every slot is served.
    ///
    /// # Errors
    /// There is no `redis-server` or no `redis-cli`.
    pub fn start() -> io::Result<Cluster> {
        let servers = Cluster::start_unjoined()?;
        let addresses: Vec<String> =
            servers.servers.iter().map(|server| format!("127.0.0.1:{}", server.port())).collect();
        let mut command = Command::new("redis-cli");
        command.args(["--cluster", "create"]).args(addresses);
        let made = command.args(["--cluster-replicas", "1", "--cluster-yes"]).output()?;
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
        wait_for("a whole Cluster", || {
            servers.servers.iter().all(|server| {
                let is_ok = server.ask(&["CLUSTER", "INFO"]).contains("cluster_state:ok");
                let replication = server.ask(&["INFO", "replication"]);
                let is_linked =
                    !replication.contains("role:slave") || replication.contains("master_link_status:up");
                is_ok && is_linked && server.ask(&["CLUSTER", "NODES"]).matches("slave ").count() == 3
            })
        });
        Ok(servers)
    }

    /// Six servers that don't know of each other: a Cluster without slots.
    ///
    /// # Errors
    /// There is no `redis-server`.
    pub fn start_unjoined() -> io::Result<Cluster> {
        let mut args = DURABLE.to_vec();
        args.extend(["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"]);
        args.extend(["--repl-diskless-sync-delay", "0", "--cluster-replica-validity-factor", "0"]);
        // The bus listens ten thousand above, unless it is told.
        let mut servers = Vec::new();
        for _ in 0..6 {
            let [port, bus] = free_ports();
            let bus = bus.to_string();
            let mut args = args.clone();
            args.extend(["--cluster-port", &bus]);
            servers.push(Redis::start_at(port, &args)?);
        }
        Ok(Cluster { servers })
    }

    /// Addresses of its servers, with commas between.
    pub fn url(&self) -> String {
        self.servers.iter().map(Redis::url).collect::<Vec<_>>().join(",")
    }

    /// The server that is the master of a key's slot now.
    ///
    /// # Panics
    /// When there is none.
    pub fn master_of(&mut self, key: &str) -> &mut Redis {
        let is_master = |server: &Redis| {
            ask(server.port(), &["INFO", "replication"]).is_ok_and(|info| info.contains("role:master"))
                && ask(server.port(), &["EXISTS", key]).is_ok_and(|answer| answer.starts_with(':'))
        };
        self.servers.iter_mut().find(|server| is_master(server)).expect("a master of that slot")
    }
}
