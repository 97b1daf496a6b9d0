//! Servers as processes: started on a free port, stopped by their own id, and measured by what the kernel says of them.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Longer than any server takes to start.
const START: Duration = Duration::from_secs(20);

/// Seconds of processor time.
#[derive(Clone, Copy, Debug)]
pub struct Cpu {
    /// In the program itself.
    pub user: f64,
    /// In the kernel, on its behalf.
    pub system: f64,
}

/// A running server.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub addr: SocketAddr,
}

impl Server {
    /// Starts a command that listens on the port in its variable `PORT` (other variables may hold `{port}`).
    pub fn start(command: &[String], variables: &[(String, String)]) -> io::Result<Server> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let (program, arguments) = command.split_first().ok_or_else(|| io::Error::other("no command"))?;
        let port_text = port.to_string();
        let mut child = Command::new(program)
            .args(arguments.iter().map(|argument| argument.replace("{port}", &port_text)))
            .envs(variables.iter().map(|(name, value)| (name, value.replace("{port}", &port_text))))
            .env("PORT", &port_text)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        if let Some(output) = child.stdout.take() {
            // Whatever it says is read, so that it never waits for us.
            std::thread::spawn(move || BufReader::new(output).lines().for_each(drop));
        }
        let mut server = Server { child, addr: ([127, 0, 0, 1], port).into() };
        let begun = Instant::now();
        while TcpStream::connect(server.addr).is_err() {
            if let Some(status) = server.child.try_wait()? {
                return Err(io::Error::other(format!("{program} ended with {status}")));
            }
            if begun.elapsed() > START {
                return Err(io::Error::other(format!("{program} does not listen on {port}")));
            }
            sleep(Duration::from_millis(10));
        }
        Ok(server)
    }

    /// User and system time that the process has used.
    pub fn cpu(&self) -> io::Result<Cpu> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name may hold anything, so count from behind its bracket; fields 14 and 15 of proc(5).
        let fields: Vec<&str> =
            stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
        let seconds = |at: usize| {
            let ticks = fields.get(at).and_then(|ticks| ticks.parse::<u64>().ok()).unwrap_or(0);
            ticks as f64 / rustix::param::clock_ticks_per_second() as f64
        };
        Ok(Cpu { user: seconds(11), system: seconds(12) })
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kilobytes.map(|kilobytes| kilobytes * 1024).ok_or_else(|| io::Error::other("no VmRSS"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lets this process, and the servers it starts, open as many files as the system allows.
pub fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}
