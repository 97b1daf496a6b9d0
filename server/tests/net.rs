//! The network layer over real sockets.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "net/harness.rs"]
mod harness;

use std::time::Duration;

use bytes::Bytes;
use enfilade_proto::Code;
use enfilade_server::net::{Codec, Interest, Lane, NetConfig, frame};
use harness::{Client, Got, PATIENCE, Seen, World, config, frames, masked};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

fn binary(text: &str) -> Bytes {
    frame::encode(Codec::Binary, text.as_bytes())
}

// ------------------------------------------------------------------------------------------------------------ order

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_gets_its_answer_then_everything_after_it_and_nothing_before() {
    const CONNECTIONS: u32 = 200;
    let mut world = World::start(config()).await;
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(world.connect().await);
    }
    let ids: Vec<_> = clients.iter().map(|(_, conn)| *conn).collect();
    let fanout = world.fanout.clone();
    // One thread is the room: it publishes, and lets connections in and out while it does.
    let room = std::thread::spawn(move || {
        let mut seq = 0;
        let publish = |seq: &mut u32| {
            *seq += 1;
            let lane = if seq.is_multiple_of(7) { Lane::Control } else { Lane::Log };
            fanout.publish(1, lane, 0, frames(&format!("{seq}")));
            // A second room, so that connections have batches of several channels in one wake.
            fanout.publish(2, Lane::Log, 0, frames(&format!("other {seq}")));
        };
        for &conn in &ids {
            publish(&mut seq);
            fanout.send(conn, Lane::Control, binary(&format!("in {seq}")));
            fanout.subscribe(conn, 1);
            fanout.subscribe(conn, 2);
            fanout.subscribe(conn, 1);
        }
        for (n, &conn) in ids.iter().enumerate() {
            publish(&mut seq);
            publish(&mut seq);
            fanout.send(conn, Lane::Control, binary(&format!("own {seq}")));
            if n % 3 == 0 {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        for &conn in &ids {
            publish(&mut seq);
            fanout.unsubscribe(conn, 1);
            fanout.send(conn, Lane::Control, binary(&format!("out {seq}")));
        }
        publish(&mut seq);
        for &conn in &ids {
            fanout.send(conn, Lane::Control, binary("end 0"));
        }
    });
    for (client, _) in &mut clients {
        let (mut seen, mut other, mut inside) = (0, 0, false);
        loop {
            let text = client.next().await.text();
            match text.split_once(' ') {
                None => {
                    let seq = text.parse::<u32>().unwrap();
                    assert!(inside, "{text} came outside of the subscription");
                    assert_eq!(seq, seen + 1);
                    seen = seq;
                }
                Some(("other", seq)) => {
                    let seq = seq.parse::<u32>().unwrap();
                    assert!(other == 0 || seq == other + 1);
                    other = seq;
                }
                Some(("in", seq)) => (seen, inside) = (seq.parse().unwrap(), true),
                Some(("own", seq)) => assert_eq!(seq.parse::<u32>().unwrap(), seen),
                Some(("out", seq)) => {
                    assert_eq!(seq.parse::<u32>().unwrap(), seen);
                    inside = false;
                }
                _ => break,
            }
        }
        assert!(!inside && seen >= CONNECTIONS * 3 && other == CONNECTIONS * 4 + 1);
    }
    room.join().unwrap();
    assert_eq!(world.fanout.interest(1), Interest { binary: false, json: false });
    assert_eq!(world.fanout.interest(2), Interest { binary: true, json: false });
}

#[tokio::test(flavor = "multi_thread")]
async fn each_codec_gets_its_own_frame_of_any_size() {
    let mut world = World::start(config()).await;
    let (mut proto, _) = world.connect().await;
    let mut json = Client::connect(world.addr, "enfilade.json.v1", None).await;
    proto.say("everybody").await;
    json.send(0x81, b"everybody").await;
    while world.fanout.interest(enfilade_server::net::EVERYBODY) != (Interest { binary: true, json: true }) {
        tokio::task::yield_now().await;
    }
    for len in [0, 1, 125, 126, 65_535, 65_536, 200_000] {
        let mut frames = frames(&"x".repeat(len));
        frames.json = frame::encode(Codec::Json, "y".repeat(len).as_bytes());
        world.fanout.broadcast(Lane::Log, 0, frames);
        assert_eq!(proto.next().await, Got::Message(vec![b'x'; len]));
        assert_eq!(json.next().await, Got::Message(vec![b'y'; len]));
    }
}

#[tokio::test]
async fn an_id_does_not_reach_a_later_connection() {
    let mut world = World::start(NetConfig { shards: 1, ..config() }).await;
    let (gone, old) = world.connect().await;
    drop(gone);
    assert_eq!(world.next_closed().await, (old, 1006));
    let (mut client, new) = world.connect().await;
    assert_eq!(new.slot(), old.slot());
    world.fanout.send(old, Lane::Control, binary("for the old one"));
    world.fanout.subscribe(old, 1);
    world.fanout.close(old, Code::Kicked, "the old one");
    world.fanout.tell(old, Box::new(1_u32));
    world.fanout.tell(new, Box::new(2_u32));
    world.fanout.publish(1, Lane::Log, 0, frames("for the old one"));
    world.fanout.send(new, Lane::Control, binary("for the new one"));
    assert_eq!(client.next().await.text(), "for the new one");
    assert_eq!(world.next().await, Seen::Told(new, 2));
    assert!(!world.fanout.interest(1).any());
    assert_eq!(world.fanout.connections(), 1);
}

// ---------------------------------------------------------------------------------------------------- back-pressure

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stops_is_closed_and_disturbs_nobody() {
    const FRAMES: usize = 400;
    let mut world = World::start(NetConfig { shards: 1, ..config() }).await;
    let (mut fast, _) = world.connect().await;
    let mut slow = Client::connect(world.addr, "enfilade.proto.v1", Some(4_096)).await;
    let slow_id = match world.next().await {
        Seen::Open(conn) => conn,
        other => panic!("{other:?}"),
    };
    fast.say("sub 1").await;
    slow.say("sub 1").await;
    assert!(matches!(world.next().await, Seen::Message(..)));
    assert!(matches!(world.next().await, Seen::Message(..)));
    let fanout = world.fanout.clone();
    let sender = tokio::spawn(async move {
        for n in 0..FRAMES {
            let mut text = format!("{n} ");
            text.push_str(&"x".repeat(60_000));
            fanout.publish(1, Lane::Log, 0, frames(&text));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    for n in 0..FRAMES {
        assert!(fast.next().await.text().starts_with(&format!("{n} ")));
    }
    sender.await.unwrap();
    assert_eq!(world.next_closed().await, (slow_id, Code::SlowConsumer as u16));
    // What it had taken is whole and in order, and then it is told why.
    let mut n = 0;
    let code = loop {
        match slow.next().await {
            Got::Close(code) => break code,
            got => assert!(got.text().starts_with(&format!("{n} "))),
        }
        n += 1;
    };
    assert_eq!(code, 4001);
    assert!(n < FRAMES);
    assert_eq!(slow.next().await, Got::End);
    fast.say("echo still here").await;
    assert_eq!(fast.next().await.text(), "still here");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_keeps_the_log_and_the_latest_state_and_drops_signals() {
    let mut world = World::start(NetConfig { max_backlog_bytes: 64 << 20, ..config() }).await;
    let mut slow = Client::connect(world.addr, "enfilade.proto.v1", Some(4_096)).await;
    slow.say("sub 1").await;
    let conn = match (world.next().await, world.next().await) {
        (Seen::Open(conn), Seen::Message(..)) => conn,
        other => panic!("{other:?}"),
    };
    // Fill what the kernel takes.
    for _ in 0..400 {
        world.fanout.publish(1, Lane::Log, 0, frames(&"x".repeat(50_000)));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    for n in 1..=300 {
        world.fanout.publish(1, Lane::State, 7, frames(&format!("state {n}")));
        world.fanout.publish(1, Lane::Signal, 0, frames(&format!("signal {n}")));
        world.fanout.publish(1, Lane::Log, 0, frames(&format!("log {n}")));
        world.fanout.send(conn, Lane::Signal, binary("signal own"));
        tokio::time::sleep(Duration::from_micros(100)).await;
    }
    world.fanout.send(conn, Lane::Control, binary("end"));
    let (mut logs, mut states) = (0, Vec::new());
    loop {
        let text = slow.next().await.text();
        match text.split_once(' ') {
            Some(("log", n)) => {
                logs += 1;
                assert_eq!(n.parse::<u32>().unwrap(), logs);
            }
            Some(("state", n)) => states.push(n.to_owned()),
            Some((other, _)) => panic!("{other} was not dropped"),
            None if text == "end" => break,
            None => {}
        }
    }
    assert_eq!((logs, states), (300, vec!["300".to_owned()]));
}

// -------------------------------------------------------------------------------------------------------- bad input

#[tokio::test]
async fn messages_in_fragments_and_pings_between_them_are_understood() {
    let mut world = World::start(config()).await;
    let (mut client, conn) = world.connect().await;
    client.send(0x02, b"echo in ").await;
    client.send(0x89, b"there?").await;
    client.send(0x00, b"several ").await;
    client.send(0x80, b"parts").await;
    assert_eq!(client.next().await, Got::Pong(b"there?".to_vec()));
    assert_eq!(client.next().await.text(), "in several parts");
    let bytes = masked(0x82, b"echo byte by byte");
    for byte in bytes {
        client.raw(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(client.next().await.text(), "byte by byte");
    // More in one go than one turn takes.
    let many: Vec<u8> = (0..2_000).flat_map(|n| masked(0x82, format!("echo {n}").as_bytes())).collect();
    client.raw(&many).await;
    for n in 0..2_000 {
        assert_eq!(client.next().await.text(), n.to_string());
    }
    client.send(0x88, &[0x03, 0xE8]).await;
    assert_eq!(client.next().await, Got::Close(1000));
    assert_eq!(client.next().await, Got::End);
    assert_eq!(world.next_closed().await, (conn, 1000));
}

#[tokio::test]
async fn each_kind_of_bad_input_gets_its_close_code_and_disturbs_nobody() {
    let mut world = World::start(config()).await;
    let (mut bystander, _) = world.connect().await;
    bystander.say("sub 1").await;
    world.next().await;
    let too_large = masked(0x82, &[0; 10]).split_off(2);
    for (name, bytes, expected) in [
        ("oversized", [&[0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0, 1][..], &too_large].concat(), 4501),
        ("text on the binary protocol", masked(0x81, b"hello"), 4502),
        ("unmasked", vec![0x82, 2, 1, 2], 1002),
        ("garbage", vec![0xFF; 300], 1002),
        ("a request after the upgrade", b"GET / HTTP/1.1\r\n\r\n".to_vec(), 1002),
    ] {
        let (mut client, conn) = world.connect().await;
        client.raw(&bytes).await;
        assert_eq!(client.next_close().await, expected, "{name}");
        assert_eq!(world.next_closed().await, (conn, expected), "{name}");
        assert_eq!(client.next().await, Got::End, "{name}");
    }
    world.fanout.publish(1, Lane::Log, 0, frames("undisturbed"));
    assert_eq!(bystander.next().await.text(), "undisturbed");
}

#[tokio::test]
async fn a_panic_of_the_handler_ends_one_connection() {
    let mut world = World::start(NetConfig { shards: 1, ..config() }).await;
    let (mut other, _) = world.connect().await;
    let (mut client, conn) = world.connect().await;
    client.say("panic").await;
    assert_eq!(client.next_close().await, 4004);
    assert_eq!(world.next_closed().await, (conn, 4004));
    other.say("echo fine").await;
    assert_eq!(other.next().await.text(), "fine");
}

#[tokio::test]
async fn a_paused_connection_is_read_again_where_it_stopped() {
    let mut world = World::start(config()).await;
    let (mut client, conn) = world.connect().await;
    let all =
        [masked(0x82, b"pause"), masked(0x82, b"echo 1"), masked(0x82, b"pause"), masked(0x82, b"echo 2")];
    client.raw(&all.concat()).await;
    assert_eq!(world.next().await, Seen::Message(conn, "pause".into()));
    client.say("echo 3").await;
    assert!(timeout(Duration::from_millis(100), world.seen.recv()).await.is_err());
    world.fanout.resume(conn);
    assert_eq!(client.next().await.text(), "1");
    world.fanout.resume(conn);
    assert_eq!(client.next().await.text(), "2");
    assert_eq!(client.next().await.text(), "3");
}

// -------------------------------------------------------------------------------------------------------- deadlines

/// Reads until the server closes, and tells what came.
async fn until_closed(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut all)).await.expect("closed at its deadline");
    // A reset is as good.
    let _ = read;
    all
}

#[tokio::test]
async fn sockets_that_say_nothing_or_half_a_request_are_closed() {
    let world = World::start(NetConfig {
        first_byte_timeout: Duration::from_millis(50),
        header_timeout: Duration::from_millis(150),
        ..config()
    })
    .await;
    let mut silent = TcpStream::connect(world.addr).await.unwrap();
    assert_eq!(until_closed(&mut silent).await, b"");
    let mut one_byte = TcpStream::connect(world.addr).await.unwrap();
    one_byte.write_all(b"G").await.unwrap();
    until_closed(&mut one_byte).await;
    let mut half = TcpStream::connect(world.addr).await.unwrap();
    half.write_all(b"GET /ws HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    until_closed(&mut half).await;
    // Neither does a connection stay after its request.
    let mut idle = TcpStream::connect(world.addr).await.unwrap();
    idle.write_all(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(until_closed(&mut idle).await.starts_with(b"HTTP/1.1 404"));
}

#[tokio::test]
async fn a_websocket_that_is_silent_slow_or_gone_quiet_is_closed() {
    let mut world = World::start(NetConfig {
        hello_timeout: Duration::from_millis(100),
        message_timeout: Duration::from_millis(200),
        ..config()
    })
    .await;
    let (mut silent, conn) = world.connect().await;
    assert_eq!(silent.next_close().await, 4003);
    assert_eq!(world.next_closed().await, (conn, 4003));
    // A ping is not a hello, nor is half a message.
    let (mut pinging, _) = world.connect().await;
    pinging.send(0x89, b"").await;
    pinging.raw(&masked(0x82, b"hello")[..7]).await;
    assert_eq!(pinging.next_close().await, 4003);
    // It said hello, and then sends a message a byte at a time, too slowly.
    let (mut slow, _) = world.connect().await;
    slow.say("hello").await;
    slow.raw(&masked(0x02, b"a fragment")).await;
    let code = loop {
        let _ = slow.stream.write_all(&masked(0x00, b"x")).await;
        if let Ok(got) = timeout(Duration::from_millis(50), slow.next()).await {
            break got;
        }
    };
    assert_eq!(code, Got::Close(4002));
    let mut world = World::start(NetConfig { idle_timeout: Duration::from_millis(200), ..config() }).await;
    let (mut quiet, _) = world.connect().await;
    quiet.say("hello").await;
    assert_eq!(quiet.next_close().await, 4002);
}

#[tokio::test]
async fn a_closed_connection_that_does_not_answer_is_dropped() {
    let mut world = World::start(NetConfig { close_timeout: Duration::from_millis(100), ..config() }).await;
    let (_client, conn) = world.connect().await;
    world.fanout.close(conn, Code::Kicked, "out");
    assert_eq!(world.next_closed().await, (conn, 4505));
    let gone = async {
        while world.fanout.connections() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("dropped");
}

// ---------------------------------------------------------------------------------------------- coming and going

async fn ask(world: &World, request: &str) -> String {
    let mut stream = TcpStream::connect(world.addr).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    String::from_utf8(until_closed(&mut stream).await).unwrap()
}

#[tokio::test]
async fn what_is_not_a_handshake_is_told_why() {
    let config = NetConfig { max_connections: 1, header_timeout: Duration::from_millis(100), ..config() };
    let mut world = World::start(config).await;
    let plain = ask(&world, "GET /ws HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(plain.starts_with("HTTP/1.1 426"), "{plain}");
    assert!(plain.contains("\"name\":\"invalid_request\""), "{plain}");
    let upgrade = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n";
    let old = ask(&world, &format!("{upgrade}Sec-WebSocket-Version: 8\r\n\r\n")).await;
    assert!(old.starts_with("HTTP/1.1 426") && old.contains("sec-websocket-version: 13"), "{old}");
    let upgrade = format!("{upgrade}Sec-WebSocket-Version: 13\r\n");
    let foreign = ask(&world, &format!("{upgrade}Sec-WebSocket-Protocol: mqtt\r\n\r\n")).await;
    assert!(foreign.starts_with("HTTP/1.1 400") && foreign.contains("\"code\":4503"), "{foreign}");
    let upgrade = format!("{upgrade}Sec-WebSocket-Protocol: enfilade.json.v1\r\n");
    let keyless = ask(&world, &format!("{upgrade}Sec-WebSocket-Key: short\r\n\r\n")).await;
    assert!(keyless.starts_with("HTTP/1.1 400"), "{keyless}");
    let (_one, _) = world.connect().await;
    let full = ask(&world, &format!("{upgrade}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")).await;
    assert!(full.starts_with("HTTP/1.1 503") && full.contains("\"code\":4005"), "{full}");
}

#[tokio::test]
async fn what_comes_with_the_handshake_is_not_lost() {
    let world = World::start(config()).await;
    let mut stream = TcpStream::connect(world.addr).await.unwrap();
    let mut all = b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Protocol: enfilade.proto.v1\r\n\r\n"
        .to_vec();
    all.extend(masked(0x82, b"echo early"));
    all.extend(masked(0x88, &[]));
    stream.write_all(&all).await.unwrap();
    let answer = until_closed(&mut stream).await;
    assert!(answer.windows(7).any(|bytes| bytes == b"\x82\x05early"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_sends_what_is_queued_and_closes_with_its_code() {
    let mut world = World::start(config()).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let (mut client, _) = world.connect().await;
        client.say("sub 1").await;
        world.next().await;
        clients.push(client);
    }
    for n in 0..50 {
        world.fanout.publish(1, Lane::Log, 0, frames(&n.to_string()));
    }
    world.stop.send(()).unwrap();
    world.serving.await.unwrap();
    assert!(TcpStream::connect(world.addr).await.is_err(), "nobody is accepted any more");
    let drained = tokio::spawn(world.net.drain(Code::GoingAway, "the server stops", PATIENCE));
    for client in &mut clients {
        for n in 0..50 {
            assert_eq!(client.next().await.text(), n.to_string());
        }
        assert_eq!(client.next().await, Got::Close(4000));
        assert_eq!(client.next().await, Got::End);
    }
    drop(clients);
    timeout(Duration::from_secs(5), drained).await.expect("it ends when all are gone").unwrap();
}
