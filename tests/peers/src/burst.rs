//! Benchmark 2: many messages to many subscribers at once. A burst is as many messages as may be outstanding; the next
//! one is sent when the last delivery of the one before has come.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::dialect::Dialect;
use crate::process::Server;
use crate::{MARKER, payload};

/// Longer than any burst takes.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bursts before measuring.
const WARM_UP: usize = 5;

/// What is asked of a server.
#[derive(Clone, Copy, Debug)]
pub struct Burst {
    /// Sockets that are read.
    pub subscribers: usize,
    /// Sockets that are not.
    pub slow: usize,
    /// Messages of a burst.
    pub outstanding: usize,
    /// Bytes of a message.
    pub bytes: usize,
    /// Bursts that are measured.
    pub bursts: usize,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Server CPU a delivery, in microseconds.
    pub cpu: f64,
    /// The part of it that was spent outside of the kernel.
    pub user: f64,
    /// Deliveries that a subscriber finds at once: how well the server joins them.
    pub joined: f64,
    /// Deliveries a second.
    pub rate: f64,
    /// From the burst's start to a delivery, the 99th of 100, in milliseconds.
    pub p99: f64,
}

struct Subscriber {
    stream: TcpStream,
    /// The end of what was read before, where a marker may be cut.
    tail: Vec<u8>,
}

impl Burst {
    /// Runs it. `run` keeps one run's clients from another's.
    pub fn measure(self, server: &Server, dialect: Dialect, run: u64) -> io::Result<Outcome> {
        let room = format!("burst-{run}");
        dialect.prepare(server.addr, &room)?;
        let mut poll = Poll::new()?;
        let mut subscribers = Vec::new();
        let mut slow = Vec::new();
        for n in 0..self.subscribers + self.slow {
            let client = run * 100_000 + n as u64 + 1;
            let stream = dialect.subscribe(server.addr, &room, client)?;
            if n < self.slow {
                slow.push(stream);
                continue;
            }
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(subscribers.len()), Interest::READABLE)?;
            subscribers.push(Subscriber { stream, tail: Vec::new() });
        }
        let mut publisher = dialect.publisher(server.addr, &room, self.outstanding, run)?;
        let payload = payload(self.bytes);
        let mut latencies = Vec::new();
        let mut scratch = vec![0; 256 * 1024];
        let (mut before, mut begun) = (server.cpu()?, Instant::now());
        for burst in 0..WARM_UP + self.bursts {
            if burst == WARM_UP {
                before = server.cpu()?;
                begun = Instant::now();
                latencies.clear();
            }
            let sent = Instant::now();
            publisher.publish(run, &payload, self.outstanding)?;
            let mut missing = self.subscribers * self.outstanding;
            let mut events = Events::with_capacity(1_024);
            while missing > 0 {
                poll.poll(&mut events, Some(PATIENCE))?;
                if events.is_empty() {
                    return Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        format!("{missing} deliveries are missing"),
                    ));
                }
                for event in &events {
                    let subscriber = &mut subscribers[event.token().0];
                    let deliveries = subscriber.read(&mut scratch)?;
                    if deliveries > 0 {
                        latencies.push((sent.elapsed(), deliveries));
                        missing = missing
                            .checked_sub(deliveries)
                            .ok_or_else(|| io::Error::other("too many deliveries"))?;
                    }
                }
            }
            publisher.settle(self.outstanding)?;
        }
        let elapsed = begun.elapsed();
        let after = server.cpu()?;
        let (user, system) = (after.user - before.user, after.system - before.system);
        let deliveries = (self.subscribers * self.outstanding * self.bursts) as f64;
        drop(slow);
        Ok(Outcome {
            cpu: (user + system) * 1e6 / deliveries,
            user: user * 1e6 / deliveries,
            joined: deliveries / latencies.len() as f64,
            rate: deliveries / elapsed.as_secs_f64(),
            p99: percentile(&mut latencies, 0.99).as_secs_f64() * 1e3,
        })
    }
}

impl Subscriber {
    /// Reads all there is, and counts markers.
    fn read(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
        let mut found = 0;
        loop {
            let kept = self.tail.len();
            scratch[..kept].copy_from_slice(&self.tail);
            let len = match self.stream.read(&mut scratch[kept..]) {
                Ok(0) => return Err(io::Error::other("the server has closed a subscriber that reads")),
                Ok(len) => kept + len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(found),
                Err(error) => return Err(error),
            };
            let read = &scratch[..len];
            let mut at = 0;
            while let Some(next) = read[at..].iter().position(|&byte| byte == MARKER[0]).map(|more| at + more)
            {
                if read[next..].starts_with(MARKER) {
                    found += 1;
                    at = next + MARKER.len();
                } else {
                    at = next + 1;
                }
            }
            let tail = at.max(len.saturating_sub(MARKER.len() - 1));
            self.tail.clear();
            self.tail.extend_from_slice(&read[tail..]);
        }
    }
}

fn percentile(latencies: &mut [(Duration, usize)], part: f64) -> Duration {
    latencies.sort_unstable();
    let all: usize = latencies.iter().map(|latency| latency.1).sum();
    let mut left = (all as f64 * part) as usize;
    for (latency, deliveries) in latencies.iter() {
        match left.checked_sub(*deliveries) {
            Some(rest) => left = rest,
            None => return *latency,
        }
    }
    latencies.last().map_or(Duration::ZERO, |latency| latency.0)
}
