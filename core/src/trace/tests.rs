use alloc::string::ToString;
use alloc::vec::Vec;

use super::*;
use crate::client::{ClientConfig, Input};
use crate::{Code, Millis, RoomId};

/// A session that was never connected, with all kinds of inputs that need no server.
fn recorded(limit: usize) -> Session {
    let mut session = Session::new(ClientConfig::default(), 7, Millis(1_000), Some(limit));
    let room = RoomId::new("lobby").unwrap();
    let inputs = [
        Input::SetToken("a secret".to_string()),
        Input::Acquire(room.clone()),
        Input::Connect,
        Input::Submit(room.clone(), crate::op::post("what I say")),
        Input::SetDraft(room.clone(), "what I would say".to_string()),
        Input::Connected { generation: 1 },
        Input::Frame { generation: 1, bytes: Vec::from([1, 2, 3]) },
        Input::Disconnected { generation: 1, code: 1006, reason: "gone".to_string() },
        Input::Timeout,
        Input::Release(room),
        Input::WatchRooms(true),
        Input::WarmUp(2),
        Input::ImportNavigation(b"model".to_vec()),
        Input::EraseNavigation,
    ];
    for (step, input) in (0..).zip(inputs) {
        let _ = session.handle(input, Millis(1_000 + step * 40));
        while session.poll_effect().is_some() {}
        while session.poll_event().is_some() {}
    }
    session
}

#[test]
fn a_trace_that_is_damaged_anywhere_or_cut_is_refused() {
    let bytes = recorded(TRACE_BYTES).trace().unwrap();
    assert_eq!(Trace::decode(&bytes).map(|trace| trace.len()), Ok(14));
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 4;
        let refused = Trace::decode(&damaged).unwrap_err();
        // A changed version can't be told from a new one.
        let expected = if at == 4 || at == 5 { Code::TraceTooNew } else { Code::TraceDamaged };
        assert_eq!(refused, expected, "byte {at}");
        assert_eq!(Trace::decode(&bytes[..at]).unwrap_err(), Code::TraceDamaged, "{at} bytes");
    }
}

#[test]
fn a_trace_of_a_newer_version_is_refused_as_such() {
    let mut bytes = recorded(TRACE_BYTES).trace().unwrap();
    bytes[4] += 1;
    assert_eq!(Trace::decode(&bytes), Err(Code::TraceTooNew));
}

#[test]
fn a_recording_that_is_full_says_so_keeps_its_bound_and_is_exact_as_far_as_it_goes() {
    let whole = recorded(TRACE_BYTES).trace().unwrap();
    for limit in [100, 200, whole.len() - 1] {
        let bytes = recorded(limit).trace().unwrap();
        assert!(bytes.len() <= limit.max(100), "{} of {limit}", bytes.len());
        let trace = Trace::decode(&bytes).unwrap();
        assert!(trace.is_full() && trace.len() < 14);
        trace.replay_all().unwrap();
    }
    assert!(!Trace::decode(&whole).unwrap().is_full());
}

#[test]
fn what_was_not_asked_for_is_not_recorded() {
    let mut session = Session::new(ClientConfig::default(), 7, Millis(0), None);
    session.handle(Input::Connect, Millis(0)).unwrap();
    assert_eq!(session.trace(), None);
}

#[test]
fn a_divergence_names_the_first_step_that_came_out_otherwise() {
    let trace = Trace::decode(&recorded(TRACE_BYTES).trace().unwrap()).unwrap();
    // Another seed: another client id, which first shows in what the queue stores.
    let mut head = trace.clone().encode();
    let seed_at = super::format::HEADER + 2;
    assert_eq!(head[seed_at], 7, "the seed is the head's first field");
    head[seed_at] = 8;
    let payload = head.split_off(super::format::HEADER);
    let other = Trace::decode(&super::format::seal(&payload, false)).unwrap();
    let divergence = other.replay_all().unwrap_err();
    assert_eq!(divergence.step.index, 3);
    assert_ne!(divergence.recorded, divergence.replayed);
}

#[test]
fn the_trace_can_be_taken_while_the_session_goes_on() {
    let mut session = recorded(TRACE_BYTES);
    let first = Trace::decode(&session.trace().unwrap()).unwrap();
    let again = Trace::decode(&session.trace().unwrap()).unwrap();
    assert_eq!(first, again);
    let _ = session.handle(Input::Timeout, Millis(90_000));
    while session.poll_effect().is_some() {}
    while session.poll_event().is_some() {}
    let longer = Trace::decode(&session.trace().unwrap()).unwrap();
    assert_eq!(longer.len(), first.len() + 1);
    longer.replay_all().unwrap();
}
