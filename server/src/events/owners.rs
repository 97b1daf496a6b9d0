//! Which node has which shard.

use std::time::Duration;

use bytes::Bytes;
use enfilade_core::{Code, RoomId, hash53};

use crate::store::{Lease, SharedStore, StoreError};

/// How often a node says that it lives, and looks who else does.
pub(super) const CLAIM_EVERY: Duration = Duration::from_secs(2);
/// After this a node that says nothing has lost its shards.
const CLAIM_HOLDS: Duration = Duration::from_secs(8);

/// The nodes' claims: notes beside something that is no room, for nobody can create one of its name.
pub(super) struct Claims {
    store: SharedStore,
    place: RoomId,
    node: String,
}

impl Claims {
    /// Claims of this node at a place, such as `server:events`.
    pub(super) fn new(store: SharedStore, place: &str, node: String) -> Result<Claims, Code> {
        Ok(Claims { store, place: RoomId::new(place)?, node })
    }

    /// Says that this node lives, and leaves the others a note. Returns the notes of the others.
    pub(super) async fn renew(&self, note: Bytes) -> Result<Vec<Lease>, StoreError> {
        self.store.put_lease(&self.place, &self.node, note, CLAIM_HOLDS).await?;
        let mut leases = self.store.leases(&self.place).await?;
        leases.retain(|lease| lease.node != self.node);
        Ok(leases)
    }

    /// Whether a shard is this node's.
    pub(super) fn is_ours(&self, shard: u32, others: &[Lease]) -> bool {
        let nodes = others.iter().map(|lease| lease.node.as_str()).chain([self.node.as_str()]);
        owner_of(shard, nodes) == Some(&*self.node)
    }

    /// Others need not wait until the claim runs out.
    pub(super) async fn leave(&self) {
        // If it fails, the claim runs out.
        let _ = self.store.put_lease(&self.place, &self.node, Bytes::new(), Duration::ZERO).await;
    }
}

/// The node that a shard belongs to, of those that live: each weighs every shard, and the heaviest has it. So a node
/// that comes or goes moves its own share alone, and nobody has to agree on anything. Nodes that see different lists
/// for a moment take a shard from each other, which costs time and nothing else.
fn owner_of<'a>(shard: u32, nodes: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    nodes.into_iter().max_by_key(|node| (hash53(node.as_bytes(), u64::from(shard) + 1), *node))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::MemoryStore;

    #[test]
    fn a_node_that_goes_moves_its_own_shards_alone() {
        let all = ["node-a", "node-b", "node-c"];
        for shard in 0..64 {
            let before = owner_of(shard, all).unwrap();
            let after = owner_of(shard, ["node-a", "node-b"]).unwrap();
            assert!(before == after || before == "node-c", "{shard}");
        }
        let owners: std::collections::BTreeSet<_> =
            (0..64).filter_map(|shard| owner_of(shard, all)).collect();
        assert_eq!(owners.len(), 3);
        assert_eq!(owner_of(0, []), None);
    }

    #[tokio::test]
    async fn each_shard_is_one_nodes_and_all_are_the_last_ones() {
        let store: SharedStore = Arc::new(MemoryStore::new());
        let claims = |node: &str| Claims::new(store.clone(), "server:events", node.into()).unwrap();
        let (one, other) = (claims("one"), claims("other"));
        let seen_by_other = {
            one.renew(Bytes::from_static(b"note")).await.unwrap();
            other.renew(Bytes::new()).await.unwrap()
        };
        assert_eq!(&seen_by_other[0].note[..], b"note");
        let seen_by_one = one.renew(Bytes::new()).await.unwrap();
        for shard in 0..8 {
            assert_ne!(one.is_ours(shard, &seen_by_one), other.is_ours(shard, &seen_by_other));
        }
        other.leave().await;
        let alone = one.renew(Bytes::new()).await.unwrap();
        assert!((0..8).all(|shard| one.is_ours(shard, &alone)));
    }
}
