//! The bound: ready frames, one `write` a subscriber with as many of them as came at once, by one thread that does
//! nothing else. It reads no protocol: a client's first frame says who it is by its length, and each further one of a
//! publisher is as long as the environment says.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

/// `sub ` or `pub `, masked with zeros, starts here in the first frame.
const FIRST_PAYLOAD: usize = 6;

fn main() -> io::Result<()> {
    let port = enfilade_peers::port_from_environment();
    let payload: usize = std::env::var("PAYLOAD").ok().and_then(|bytes| bytes.parse().ok()).unwrap_or(128);
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    println!("ready {port}");
    let masked = enfilade_peers::ws::client_frame(&vec![0; payload]).len();
    let frame = enfilade_peers::ws::server_frame(&enfilade_peers::payload(payload));
    loop {
        // One run: subscribers come, then their publisher, which ends it by leaving.
        let mut subscribers = Vec::new();
        let mut publisher = loop {
            let mut stream = listener.accept()?.0;
            stream.set_nodelay(true)?;
            match greet(&mut stream) {
                Ok(true) => break stream,
                Ok(false) => subscribers.push(stream),
                // Somebody looked whether we listen.
                Err(_) => {}
            }
        };
        let mut input = vec![0; 64 * 1024];
        let mut batch = Vec::new();
        let mut pending = 0;
        loop {
            match publisher.read(&mut input) {
                Ok(0) | Err(_) => break,
                Ok(len) => pending += len,
            }
            let frames = pending / masked;
            pending %= masked;
            batch.resize(frames * frame.len(), 0);
            for place in batch.chunks_mut(frame.len()) {
                place.copy_from_slice(&frame);
            }
            for subscriber in &mut subscribers {
                subscriber.write_all(&batch)?;
            }
        }
    }
}

/// Answers the handshake and the first message. Tells whether it is a publisher.
fn greet(stream: &mut TcpStream) -> io::Result<bool> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    stream.write_all(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    )?;
    let mut first = [0; 256];
    let len = stream.read(&mut first)?;
    stream.write_all(&enfilade_peers::ws::server_frame(b"ok"))?;
    Ok(len > FIRST_PAYLOAD && first[FIRST_PAYLOAD] == b'p')
}
