use alloc::format;
use alloc::vec::Vec;

use super::*;

fn op(room: &str, counter: u64) -> PendingOp {
    let body = op::post("hello");
    PendingOp {
        id: id(counter),
        room: RoomId::new(room).unwrap(),
        bytes: op::encode(body.clone()),
        body,
        since: Millis(counter),
        offline: true,
        seen: Vec::new(),
        base: Some(Position { epoch: 7, seq: 3 }),
        was_sent: false,
        sent_at: Millis(0),
        not_before: Millis(0),
        state: OpState::Queued,
    }
}

fn id(counter: u64) -> OpId {
    OpId { client: crate::ClientId(9), counter }
}

fn queue(ops: &[(&str, u64)]) -> Pending {
    let mut pending = Pending::default();
    ops.iter().for_each(|(room, counter)| pending.push(op(room, *counter)));
    pending
}

/// Sends all that may be sent now.
fn send(pending: &mut Pending, now: u64) -> Vec<u64> {
    let mut sent = Vec::new();
    while let Some(next) = pending.next(Millis(now), 32).map(|op| op.id) {
        pending.mark_sent(next, Millis(now));
        sent.push(next.counter);
    }
    sent
}

#[test]
fn operations_are_sent_as_they_were_made_and_in_order_in_each_room() {
    let mut pending = queue(&[("b", 1), ("a", 2), ("b", 3)]);
    assert_eq!(send(&mut pending, 0), [1, 2, 3]);
}

#[test]
fn no_more_than_the_limit_are_on_their_way() {
    let mut pending = queue(&[("a", 1), ("b", 2), ("c", 3)]);
    for counter in [1, 2] {
        assert_eq!(pending.next(Millis(0), 2).map(|op| op.id), Some(id(counter)));
        pending.mark_sent(id(counter), Millis(0));
    }
    assert_eq!(pending.next(Millis(0), 2), None);
    assert_eq!(pending.next_deadline(2), Some(Millis(ANSWER)));
}

#[test]
fn what_was_on_its_way_is_sent_again_under_the_same_id_and_bytes() {
    let mut pending = queue(&[("a", 1), ("a", 2)]);
    assert_eq!(send(&mut pending, 0), [1, 2]);
    let before = pending.get(id(1)).unwrap().bytes.clone();
    pending.requeue();
    assert_eq!(send(&mut pending, 0), [1, 2]);
    assert_eq!(pending.get(id(1)).unwrap().bytes, before);
}

#[test]
fn what_is_never_answered_is_sent_again_with_all_that_follows_it() {
    let mut pending = queue(&[("a", 1), ("a", 2), ("b", 3)]);
    pending.mark_sent(id(3), Millis(5_000));
    send(&mut pending, 0);
    assert_eq!(pending.next_deadline(32), Some(Millis(ANSWER)));
    pending.requeue_overdue(Millis(ANSWER - 1));
    assert!(send(&mut pending, ANSWER).is_empty());
    pending.requeue_overdue(Millis(ANSWER));
    assert_eq!(send(&mut pending, ANSWER), [1, 2]);
}

#[test]
fn an_operation_that_was_put_off_holds_back_what_follows_in_its_room() {
    let mut pending = queue(&[("a", 1), ("a", 2), ("b", 3)]);
    send(&mut pending, 0);
    // The authority puts off what follows, too; perhaps for longer.
    pending.put_off(id(1), Millis(500), Code::SlowMode);
    pending.put_off(id(2), Millis(100), Code::SlowMode);
    assert_eq!(pending.times_put_off(&RoomId::new("a").unwrap()), 1);
    assert!(send(&mut pending, 499).is_empty());
    assert_eq!(pending.next_deadline(32), Some(Millis(500)));
    assert_eq!(send(&mut pending, 500), [1, 2]);
}

#[test]
fn an_acknowledged_operation_stays_until_the_view_has_reached_it() {
    let mut pending = queue(&[("a", 1)]);
    send(&mut pending, 0);
    let room = RoomId::new("a").unwrap();
    pending.acknowledge(id(1), Position { epoch: 7, seq: 4 });
    assert!(!pending.has_unsent());
    assert!(!pending.settle(&room, Position { epoch: 7, seq: 3 }));
    assert!(pending.settle(&room, Position { epoch: 7, seq: 4 }));
    assert!(pending.is_empty());
}

#[test]
fn only_what_was_never_sent_can_be_taken_back() {
    let mut pending = queue(&[("a", 1), ("a", 2)]);
    pending.mark_sent(id(1), Millis(0));
    assert_eq!(pending.cancel(id(1)), Err(Code::InvalidRequest));
    pending.requeue();
    assert_eq!(pending.cancel(id(1)), Err(Code::InvalidRequest));
    assert_eq!(pending.cancel(id(2)).map(|op| op.id), Ok(id(2)));
    assert_eq!(pending.cancel(id(2)), Err(Code::NoSuchMessage));
}

#[test]
fn a_stored_operation_comes_back_and_garbage_does_not() {
    let mut sent = op("a", 1);
    sent.was_sent = true;
    assert_eq!(PendingOp::decode(&sent.encode()), Ok(sent));
    for bad in [&b""[..], b"\xff\xff", b"\x08\x02"] {
        assert!(PendingOp::decode(bad).is_err());
    }
}

#[test]
fn a_counter_is_never_used_twice_though_the_last_writes_are_lost() {
    let mut counter = Counter::after(0);
    let mut stored = 0;
    let mut before = 0;
    for _ in 0..2_000 {
        // What is stored now may be lost, but not what was stored half a block ago.
        let safe = stored;
        let (number, must_store) = counter.take();
        assert!(number > before);
        if must_store {
            stored = counter.reserved();
        } else {
            assert!(number <= safe);
        }
        before = number;
    }
    assert!(Counter::after(stored).take().0 > before);
}

#[test]
fn keys_sort_as_operations_were_made() {
    assert_eq!(key(id(1)), "op/0000000000000009-0000000000000001");
    let keys: Vec<_> = [9, 10, 100, (1 << 53) - 1].map(|counter| key(id(counter))).into();
    assert!(keys.is_sorted());
    assert_eq!(format!("{}", keys[3].len()), "36");
}

/// An answer to a message, which may be pending itself.
fn answer(room: &str, counter: u64, to: u64) -> PendingOp {
    let post = v1::PostMessage { text: "yes".into(), reply_to: Some(id(to).wire()), ..Default::default() };
    with(op(room, counter), Body::PostMessage(post))
}

fn edit_of(room: &str, counter: u64, of: u64) -> PendingOp {
    let edit =
        v1::EditMessage { message_id: Some(id(of).wire()), text: "better".into(), ..Default::default() };
    with(op(room, counter), Body::EditMessage(edit))
}

fn with(op: PendingOp, body: Body) -> PendingOp {
    PendingOp { bytes: op::encode(body.clone()), body, ..op }
}

#[test]
fn what_rests_on_an_operation_is_sent_when_that_is_confirmed_and_what_follows_waits_with_it() {
    let mut pending = queue(&[("a", 1)]);
    pending.push(answer("a", 2, 1));
    pending.push(op("a", 3));
    pending.push(op("b", 4));
    assert_eq!(send(&mut pending, 0), [1, 4]);
    pending.acknowledge(id(1), Position { epoch: 7, seq: 4 });
    assert_eq!(send(&mut pending, 0), [2, 3]);
    // What is confirmed already holds nothing.
    pending.push(answer("a", 5, 77));
    assert_eq!(send(&mut pending, 0), [5]);
}

#[test]
fn dependents_are_those_that_were_not_sent_and_those_that_rest_on_them() {
    let mut pending = queue(&[("a", 1), ("a", 2)]);
    for op in [answer("a", 3, 1), edit_of("a", 4, 3), answer("a", 5, 2), edit_of("a", 6, 1)] {
        pending.push(op);
    }
    let of = |pending: &Pending, counter| -> Vec<u64> {
        pending.dependents(id(counter)).into_iter().map(|(id, _)| id.counter).collect()
    };
    assert_eq!(of(&pending, 1), [3, 4, 6]);
    assert_eq!(of(&pending, 3), [4]);
    pending.mark_sent(id(3), Millis(0));
    assert_eq!(of(&pending, 1), [6]);
    let create = Body::CreateRoom(v1::CreateRoom { name: "B".into(), ..Default::default() });
    pending.push(with(op("b", 7), create));
    pending.push(op("b", 8));
    assert_eq!(pending.dependents(id(7)), [(id(8), Code::UnknownRoom)]);
}

#[test]
fn only_what_was_never_sent_can_be_edited_and_only_as_what_it_is() {
    let mut pending = queue(&[("a", 1), ("a", 2)]);
    pending.mark_sent(id(1), Millis(0));
    let body = op::post("better");
    assert_eq!(pending.may_edit(id(1), &body), Err(Code::InvalidRequest));
    assert_eq!(pending.may_edit(id(2), &body), Ok(()));
    assert_eq!(pending.may_edit(id(2), &Body::Leave(v1::Leave {})), Err(Code::InvalidRequest));
    assert_eq!(pending.may_edit(id(3), &body), Err(Code::NoSuchMessage));
    pending.replace(id(2), body.clone());
    assert_eq!(
        pending.get(id(2)).map(|op| (op.body.clone(), op.bytes.clone())),
        Some((body.clone(), op::encode(body)))
    );
}
