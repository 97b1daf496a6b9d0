use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use enfilade_core::op;
use enfilade_core::{ClientId, Millis, OpId};

use super::*;
use crate::store::{Append, Appended, MemoryStore, RoomStore};

const EPOCH: u64 = 5;

/// Remembers what it was given, and fails as it is told to.
#[derive(Default)]
struct Taken {
    seqs: Mutex<BTreeMap<RoomId, Vec<u64>>>,
    is_down: Mutex<bool>,
    refuses: Option<RoomId>,
}

impl Taken {
    fn of(&self, room: &RoomId) -> Vec<u64> {
        self.seqs.lock().unwrap().get(room).cloned().unwrap_or_default()
    }

    fn count(&self) -> usize {
        self.seqs.lock().unwrap().values().map(Vec::len).sum()
    }
}

impl Sink for Taken {
    fn follower(&self) -> Follower {
        Follower::Archive
    }

    fn take<'a>(&'a self, batches: &'a [Batch]) -> BoxFuture<'a, Vec<Result<()>>> {
        let take = |batch: &Batch| {
            if *self.is_down.lock().unwrap_or_else(PoisonError::into_inner) {
                return Err(StoreError::Unavailable("it is down".into()));
            }
            if self.refuses.as_ref() == Some(&batch.room) {
                return Err(StoreError::Damaged("this room".into()));
            }
            let mut seqs = self.seqs.lock().unwrap();
            seqs.entry(batch.room.clone()).or_default().extend(batch.entries.iter().map(|entry| entry.seq));
            Ok(())
        };
        Box::pin(std::future::ready(batches.iter().map(take).collect()))
    }
}

fn room(n: usize) -> RoomId {
    RoomId::new(&format!("room{n}")).unwrap()
}

fn store() -> SharedStore {
    Arc::new(MemoryStore::followed_by(&[Follower::Archive]))
}

async fn append(store: &dyn RoomStore, room: &RoomId, from: u64, count: u64) {
    store.claim(room, EPOCH).await.unwrap();
    let entry = |seq| {
        let body = op::post("hello");
        let entry = Entry {
            seq,
            op_id: OpId { client: ClientId(1), counter: seq },
            author: "ann".into(),
            author_name: "Ann".into(),
            at: Millis(1),
            ordinal: seq,
            op: op::encode(body.clone()),
            body: Some(body),
        };
        Bytes::from(entry.encode())
    };
    let batch = (from + 1..=from + count).map(entry).collect();
    let expected = Position { epoch: EPOCH, seq: from };
    let done = Appended::Done { head: Position { epoch: EPOCH, seq: from + count } };
    assert_eq!(store.append(room, Append::new(expected, batch, Bytes::new())).await, Ok(done));
}

async fn until(mut is_so: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(std::time::Instant::now() < deadline, "it never came to be");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn start(store: &SharedStore, sink: &Arc<Taken>, node: &str) -> Following {
    Following::start(store.clone(), sink.clone(), node.into())
}

#[tokio::test]
async fn every_entry_is_handed_over_once_in_order_and_the_worklist_is_empty_then() {
    let (store, sink) = (store(), Arc::new(Taken::default()));
    append(&*store, &room(0), 0, 1_000).await;
    append(&*store, &room(0), 1_000, 700).await;
    let following = start(&store, &sink, "a");
    for n in 1..100 {
        append(&*store, &room(n), 0, 3).await;
    }
    append(&*store, &room(0), 1_700, 50).await;
    until(|| sink.count() == 1_750 + 99 * 3).await;
    assert_eq!(sink.of(&room(0)), (1..=1_750).collect::<Vec<_>>());
    assert_eq!(sink.of(&room(50)), [1, 2, 3]);
    let head = Position { epoch: EPOCH, seq: 1_750 };
    assert_eq!(store.cursor(&room(0), Follower::Archive).await, Ok(Some(head)));
    following.stop(Duration::from_secs(5)).await;
    assert_eq!(store.pending(Follower::Archive, None, 1_000).await, Ok(Vec::new()));
    assert_eq!(sink.count(), 1_750 + 99 * 3);
}

#[tokio::test]
async fn what_a_sink_could_not_take_comes_again_when_it_can() {
    let (store, sink) = (store(), Arc::new(Taken::default()));
    *sink.is_down.lock().unwrap() = true;
    let following = start(&store, &sink, "a");
    append(&*store, &room(0), 0, 600).await;
    let mut standing = following.standing();
    standing.wait_for(|standing| standing.down.is_some()).await.unwrap();
    append(&*store, &room(0), 600, 600).await;
    assert_eq!(sink.count(), 0);
    let started = std::time::Instant::now();
    *sink.is_down.lock().unwrap() = false;
    until(|| sink.count() == 1_200).await;
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(sink.of(&room(0)), (1..=1_200).collect::<Vec<_>>());
    standing.wait_for(|standing| standing.down.is_none()).await.unwrap();
}

#[tokio::test]
async fn a_room_that_can_not_be_taken_does_not_hold_up_the_others() {
    let (store, sink) = (store(), Arc::new(Taken { refuses: Some(room(1)), ..Taken::default() }));
    let _following = start(&store, &sink, "a");
    for n in 0..3 {
        append(&*store, &room(n), 0, 10).await;
    }
    until(|| sink.count() == 20).await;
    append(&*store, &room(2), 10, 10).await;
    until(|| sink.count() == 30).await;
    assert_eq!(store.pending(Follower::Archive, None, 10).await.unwrap().first(), Some(&room(1)));
    assert_eq!(store.cursor(&room(1), Follower::Archive).await, Ok(None));
}

#[tokio::test]
async fn another_process_goes_on_where_the_one_before_had_come_to() {
    let (store, sink) = (store(), Arc::new(Taken::default()));
    append(&*store, &room(0), 0, 100).await;
    let first = start(&store, &sink, "a");
    until(|| sink.count() == 100).await;
    // It ends without a word; its lease lapses.
    drop(first);
    append(&*store, &room(0), 100, 100).await;
    let _second = start(&store, &sink, "a");
    until(|| sink.count() == 200).await;
    assert_eq!(sink.of(&room(0)), (1..=200).collect::<Vec<_>>());
}

#[tokio::test]
async fn two_nodes_share_the_rooms_and_one_takes_over_all_when_the_other_has_gone() {
    let store = store();
    let (one, two) = (Arc::new(Taken::default()), Arc::new(Taken::default()));
    let (a, _b) = (start(&store, &one, "a"), start(&store, &two, "b"));
    // Until each has seen the other's lease.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    for n in 0..40 {
        append(&*store, &room(n), 0, 2).await;
    }
    until(|| one.count() + two.count() >= 80).await;
    assert_eq!(one.count() + two.count(), 80);
    assert!(one.count() >= 10 && two.count() >= 10, "{} and {}", one.count(), two.count());
    a.stop(Duration::from_secs(5)).await;
    for n in 0..40 {
        append(&*store, &room(n), 2, 1).await;
    }
    until(|| one.count() + two.count() == 120).await;
}
