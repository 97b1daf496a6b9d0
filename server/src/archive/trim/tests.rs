//! What the store forgets when others follow it too.

use enfilade_core::{ClientId, OpId, op};

use super::*;
use crate::archive::embedded::EmbeddedArchive;
use crate::folder::DataFolder;
use crate::store::{Append, EmbeddedStore, MemoryStore, Options};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_keeps_what_another_follower_has_not_done() {
    let place = tempfile::TempDir::new().unwrap();
    let folder = Arc::new(DataFolder::open(place.path()).unwrap());
    let embedded = Arc::new(EmbeddedStore::open(folder, &Options::default()).unwrap());
    let past = Arc::new(History::new(Arc::new(EmbeddedArchive::new(embedded)), u64::MAX));
    let store: SharedStore = Arc::new(MemoryStore::followed_by(&[Follower::Archive, Follower::Events]));
    let room = RoomId::new("lobby").unwrap();
    store.claim(&room, 7).await.unwrap();
    for from in (1..3_000).step_by(500) {
        let batch = (from..from + 500).map(|seq| entry(seq).encode().into()).collect();
        let expected = Position { epoch: 7, seq: from - 1 };
        store.append(&room, Append::new(expected, batch, bytes::Bytes::new())).await.unwrap();
    }
    let head = Position { epoch: 7, seq: 3_000 };
    store.put_snapshot(&room, head, bytes::Bytes::from_static(b"state")).await.unwrap();
    let keep = Keep { entries: 100, age: Duration::ZERO, bytes: 1 << 30 };
    let oldest = async || store.read(&room, Position { epoch: 7, seq: 1 }, 1, 1).await.unwrap().entries[0].0;
    for (done, expected) in [(None, 1), (Some(1_500), 1_501), (Some(3_000), 2_901)] {
        if let Some(seq) = done {
            store.set_cursor(&room, Follower::Events, Position { epoch: 7, seq }).await.unwrap();
        }
        let mut trimmer = Trimmer::new(store.clone(), past.clone(), keep);
        trimmer.wait_for(&[Follower::Events]);
        let batch = Batch { room: room.clone(), epoch: 7, entries: vec![entry(3_000)], bytes: 1, head };
        trimmer.advanced(&batch).await;
        assert_eq!(oldest().await, expected, "{done:?}");
    }
}

fn entry(seq: u64) -> Entry {
    Entry {
        seq,
        op_id: OpId { client: ClientId(1), counter: seq },
        author: "ann".into(),
        author_name: "Ann".into(),
        at: Millis(1_700_000_000_000 + seq),
        ordinal: seq,
        op: op::encode(op::post("x")),
        body: None,
    }
}
