//! A proxy in front of a Kafka broker that loses replies: what was asked is done, and whoever asked never hears of it.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Kafka's number of a request to produce records.
pub const PRODUCE: i16 = 0;
/// Kafka's number of a request to end a transaction.
pub const END_TRANSACTION: i16 = 26;
/// No frame of a test is longer.
const FRAME_BYTES: usize = 64 * 1024 * 1024;

/// Takes connections until it is dropped.
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
}

struct Shared {
    to: Mutex<Option<SocketAddr>>,
    requests: &'static [i16],
    /// One reply in so many is lost; 0 loses none.
    every: AtomicU64,
    seen: AtomicU64,
    lost: AtomicU64,
    is_over: AtomicBool,
}

impl Proxy {
    /// Listens on a free port of loopback. Replies to these requests are the ones that it loses.
    ///
    /// # Errors
    /// There is no port.
    pub fn start(requests: &'static [i16]) -> io::Result<Proxy> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            to: Mutex::new(None),
            requests,
            every: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        });
        let serving = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if serving.is_over.load(Ordering::Relaxed) {
                    return;
                }
                serving.clone().connect(client);
            }
        });
        Ok(Proxy { shared, address })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Where it connects from now on.
    pub fn connect_to(&self, to: SocketAddr) {
        *self.shared.to.lock().unwrap_or_else(PoisonError::into_inner) = Some(to);
    }

    /// From now on one reply in so many is lost, with its connection.
    pub fn lose_every(&self, every: u64) {
        self.shared.every.store(every, Ordering::Relaxed);
    }

    /// Replies that were lost.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        // Wakes the thread that listens.
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    fn connect(self: Arc<Self>, client: TcpStream) {
        let to = *self.to.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(server) = to.and_then(|to| TcpStream::connect(to).ok()) else { return };
        let (Ok(requests), Ok(replies)) = (client.try_clone(), server.try_clone()) else { return };
        let asked: Arc<Mutex<HashMap<i32, i16>>> = Arc::default();
        let known = asked.clone();
        thread::spawn(move || {
            let (mut from, mut to) = (requests, server);
            while let Ok(frame) = read(&mut from) {
                if let (Some(kind), Some(id)) = (number(&frame, 4), number(&frame, 8)) {
                    // The kind is two bytes, its version two more.
                    known.lock().unwrap_or_else(PoisonError::into_inner).insert(id, (kind >> 16) as i16);
                }
                if to.write_all(&frame).is_err() {
                    break;
                }
            }
            end(&from, &to);
        });
        thread::spawn(move || {
            let (mut from, mut to) = (replies, client);
            while let Ok(frame) = read(&mut from) {
                let id = number(&frame, 4).unwrap_or_default();
                let kind = asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
                if kind.is_some_and(|kind| self.is_lost(kind)) || to.write_all(&frame).is_err() {
                    break;
                }
            }
            end(&from, &to);
        });
    }

    fn is_lost(&self, kind: i16) -> bool {
        let every = self.every.load(Ordering::Relaxed);
        if every == 0 || !self.requests.contains(&kind) {
            return false;
        }
        let is_lost = self.seen.fetch_add(1, Ordering::Relaxed) % every == every - 1;
        self.lost.fetch_add(u64::from(is_lost), Ordering::Relaxed);
        is_lost
    }
}

/// One frame, with its length in front.
fn read(from: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let bytes = u32::from_be_bytes(length) as usize;
    if bytes > FRAME_BYTES {
        return Err(io::Error::other("a frame is too long"));
    }
    let mut frame = vec![0; 4 + bytes];
    frame[..4].copy_from_slice(&length);
    from.read_exact(&mut frame[4..])?;
    Ok(frame)
}

fn number(frame: &[u8], at: usize) -> Option<i32> {
    let bytes = frame.get(at..at + 4)?;
    Some(i32::from_be_bytes(bytes.try_into().ok()?))
}

fn end(one: &TcpStream, other: &TcpStream) {
    let _ = one.shutdown(Shutdown::Both);
    let _ = other.shutdown(Shutdown::Both);
}
