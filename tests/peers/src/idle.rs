//! Benchmark 3: what a connection that says nothing costs in resident memory.

use std::io;
use std::thread::sleep;
use std::time::Duration;

use crate::dialect::Dialect;
use crate::process::Server;

/// What a server needs to come to rest.
const SETTLE: Duration = Duration::from_millis(1_500);

/// Opens so many connections, spread over so many rooms, and returns the resident bytes that each one added.
pub fn measure(server: &Server, dialect: Dialect, connections: usize, rooms: usize) -> io::Result<f64> {
    let names: Vec<String> = (0..rooms).map(|n| format!("idle-{n}")).collect();
    for name in &names {
        dialect.prepare(server.addr, name)?;
    }
    // One connection first, so that what is set up once does not count.
    let first = dialect.subscribe(server.addr, &names[0], 1)?;
    sleep(SETTLE);
    let before = server.resident()?;
    let mut open = vec![first];
    for n in 0..connections {
        open.push(dialect.subscribe(server.addr, &names[n % rooms], n as u64 + 2)?);
    }
    sleep(SETTLE);
    let after = server.resident()?;
    Ok(after.saturating_sub(before) as f64 / connections as f64)
}
