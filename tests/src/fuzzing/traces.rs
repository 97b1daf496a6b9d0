//! Traces of sessions, and the records of rooms hosted alone.

use enfilade_core::alone::Host;
use enfilade_core::client::{ClientConfig, Effect, Input};
use enfilade_core::trace::{Session, TRACE_BYTES, Trace};
use enfilade_core::{Millis, RoomId, hash53, op, v1};

use super::Script;

/// Steps that are replayed: a trace that repeats one step in two bytes could ask for millions.
const STEPS: usize = 300;

/// Takes the bytes as a trace, and as what is behind the header of one: else the checksum would stop nearly all.
pub(super) fn trace(bytes: &[u8]) {
    for bytes in [bytes.to_vec(), sealed(bytes)] {
        let Ok(trace) = Trace::decode(&bytes) else { continue };
        assert_eq!(Trace::decode(&trace.encode()).as_ref(), Ok(&trace));
        let mut replay = trace.replay();
        for _ in 0..STEPS {
            let Some(_step) = replay.step() else { break };
        }
        if trace.len() <= STEPS {
            let redacted = trace.redacted().expect("steps that were read");
            assert!(redacted.is_redacted() && redacted.len() == trace.len());
            assert!(redacted.replay_all().is_ok(), "a redacted trace is exact");
        }
    }
}

/// Whole traces, and what is behind their headers.
pub(super) fn traces() -> Vec<Vec<u8>> {
    let whole = recorded();
    vec![whole[HEADER..].to_vec(), whole]
}

/// A server takes the records as far as they make sense, and works.
pub(super) fn records(bytes: &[u8]) {
    let mut script = Script(bytes);
    let mut records = Vec::new();
    while let Some(step) = script.byte() {
        let key = [
            "alone/lobby",
            "alone/lobby/00000001",
            "alone/lobby/00000002",
            "alone/inbox:ada/00000001",
            "op/1-1",
        ];
        records.push((key[usize::from(step) % key.len()].to_string(), script.chunk().to_vec()));
    }
    let mut host = Host::new(ClientConfig::default(), records, 7, Millis(0));
    let lobby = RoomId::new("lobby").expect("an id");
    let inputs = [
        Input::SetToken("ada Ada".into()),
        Input::Acquire(lobby.clone()),
        Input::Connect,
        Input::Submit(lobby.clone(), op::post("hello")),
        Input::LoadOlder(lobby, 10),
    ];
    for (now, input) in (1..).zip(inputs) {
        let _ = host.handle(input, Millis(now));
    }
    for _ in 0..20 {
        let Some(at) = host.next_deadline() else { break };
        let _ = host.handle(Input::Timeout, at);
    }
}

/// What a server has stored, as a script.
pub(super) fn stored() -> Vec<Vec<u8>> {
    let mut host = Host::new(ClientConfig::default(), [], 7, Millis(0));
    let room = RoomId::new("lobby").expect("an id");
    let create = v1::CreateRoom { name: "Lobby".into(), ..Default::default() };
    let inputs = [
        Input::SetToken("ada Ada".into()),
        Input::Connect,
        Input::Submit(room.clone(), op::Body::CreateRoom(create)),
        Input::Submit(room, op::post("hello")),
    ];
    let mut script = Vec::new();
    for (now, input) in (1..).zip(inputs) {
        let _ = host.handle(input, Millis(now * 1_000));
        while let Some(effect) = host.poll_effect() {
            if let Effect::Persist { key, value: Some(value) } = effect
                && let Some(name) = key.strip_prefix("alone/lobby")
            {
                Script::write(
                    &mut script,
                    name.strip_prefix("/0000000").map_or(0, |seq| seq.parse().unwrap_or(0)),
                    &value,
                );
            }
        }
    }
    vec![script]
}

const HEADER: usize = 15;

fn sealed(payload: &[u8]) -> Vec<u8> {
    let version = 1_u16;
    let mut bytes = b"ENFT".to_vec();
    bytes.extend(version.to_le_bytes());
    bytes.push(0);
    bytes.extend(hash53(payload, u64::from(version) << 8).to_le_bytes());
    bytes.extend(payload);
    bytes
}

fn recorded() -> Vec<u8> {
    let mut session = Session::new(ClientConfig::default(), 7, Millis(0), Some(TRACE_BYTES));
    let room = RoomId::new("lobby").expect("an id");
    let create = v1::CreateRoom { name: "Lobby".into(), ..Default::default() };
    let welcome = v1::Welcome { version: 1000, user: "ada".into(), ..Default::default() };
    let body = Some(v1::server_frame::Body::Welcome(welcome));
    let welcome = enfilade_core::wire::binary::encode_server(&v1::ServerFrame { body });
    let inputs = [
        Input::SetToken("token".into()),
        Input::Acquire(room.clone()),
        Input::Connect,
        Input::Connected { generation: 1 },
        Input::Frame { generation: 1, bytes: welcome },
        Input::Submit(room.clone(), op::Body::CreateRoom(create)),
        Input::SetElement { room: room.clone(), key: "k".into(), value: Some(vec![1, 2]) },
        Input::SetDraft(room.clone(), "draft".into()),
        Input::Disconnected { generation: 1, code: 1006, reason: "gone".into() },
        Input::Timeout,
        Input::Release(room),
    ];
    for (now, input) in (1..).zip(inputs) {
        let _ = session.handle(input, Millis(now));
        while session.poll_effect().is_some() {}
        while session.poll_event().is_some() {}
    }
    session.trace().expect("it is recorded")
}
