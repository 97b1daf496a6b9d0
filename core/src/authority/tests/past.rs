//! Operations of clients that the room remembers no longer.

use alloc::vec;

use super::*;
use crate::{ClientId, OpId};

/// A room that Ada (client 1) has made, with so many clients since that hers was forgotten.
fn crowded() -> Room {
    let mut room = Room::with_two();
    for client in 100..100 + limits::CLIENT_WINDOWS as u64 {
        room.append_elsewhere("bob", client, post("hi", &[]));
    }
    room.authority.handle_hint(room.head());
    room.run();
    room
}

fn sought(effects: &[Effect]) -> Vec<(&str, u64)> {
    let sought = effects.iter().filter_map(|effect| match effect {
        Effect::Find { user, op_id } => Some((user.as_str(), op_id.counter)),
        _ => None,
    });
    sought.collect()
}

fn id(client: u64, counter: u64) -> OpId {
    OpId { client: ClientId(client), counter }
}

#[test]
fn an_operation_from_before_the_room_forgot_its_client_is_acknowledged_where_it_is() {
    let mut room = crowded();
    let count = room.log.len();
    let asked = room.submit("ada", submit(1, 1, post("again", &[])));
    assert_eq!(sought(&asked), [("ada", 1)]);
    // What follows on the connection waits with it, and is looked for too: it might have been here as well.
    let next = room.submit("ada", submit(1, 2, post("new", &[])));
    assert_eq!((acks(&next), sought(&next)), (vec![], vec![("ada", 2)]));
    room.authority.handle_found(id(1, 1), Some(Some(1)), room.now);
    let effects = room.run();
    assert_eq!((acks(&effects), sought(&effects)), (vec![(1, 1)], vec![]));
    room.authority.handle_found(id(1, 2), Some(None), room.now);
    assert_eq!(acks(&room.run()), vec![(2, count as u64 + 1)]);
    assert_eq!(room.log.len(), count + 1);
    // From now on it is known.
    assert_eq!(acks(&room.submit("ada", submit(1, 3, post("newer", &[])))), [(3, count as u64 + 2)]);
    assert!(room.authority.fetching.is_empty());
}

#[test]
fn while_nobody_knows_whether_an_operation_is_new_it_is_put_off() {
    let mut room = crowded();
    let count = room.log.len();
    room.submit("cleo", submit(9_999_999, 7, post("hello", &[])));
    room.authority.handle_found(id(9_999_999, 7), None, room.now);
    assert_eq!(rejections(&room.run()), [(7, Code::StoreUnavailable)]);
    assert_eq!(room.log.len(), count);
    let again = room.submit("cleo", submit(9_999_999, 7, post("hello", &[])));
    assert_eq!(sought(&again), [("cleo", 7)]);
}

#[test]
fn as_long_as_no_client_was_forgotten_nobody_is_asked() {
    let mut room = Room::with_two();
    let effects = room.submit("ada", submit(77, 5, post("hello", &[])));
    assert!(sought(&effects).is_empty() && acks(&effects).len() == 1);
}
