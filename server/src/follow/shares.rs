//! Which node follows which rooms: each node tells by a lease that it is there, and a room is the share of the node
//! whose name goes best with it. So no room costs a lease of its own, and when a node comes or goes, only the rooms move
//! that it takes or leaves.

use std::time::Duration;

use bytes::Bytes;
use enfilade_core::{RoomId, hash53};
use tokio::time::Instant;

use crate::store::{Follower, Result, RoomStore};

/// A node that has not said for so long that it is there has gone.
const LEASE: Duration = Duration::from_secs(6);
/// How often it says so.
const RENEW: Duration = Duration::from_secs(2);

pub(super) struct Shares {
    /// Beside which the leases lie; nobody's room.
    place: Option<RoomId>,
    node: String,
    /// All that are there, this one among them.
    nodes: Vec<String>,
    renewed: Option<Instant>,
}

impl Shares {
    pub(super) fn new(follower: Follower, node: String) -> Shares {
        let place = RoomId::new(&format!("server:followers:{}", follower.name())).ok();
        Shares { place, nodes: vec![node.clone()], node, renewed: None }
    }

    /// Says that this node is there, and looks who else is, when that is due.
    pub(super) async fn renew(&mut self, store: &dyn RoomStore) -> Result<()> {
        let Some(place) = &self.place else { return Ok(()) };
        if self.renewed.is_some_and(|at| at.elapsed() < RENEW) {
            return Ok(());
        }
        store.put_lease(place, &self.node, Bytes::new(), LEASE).await?;
        let mut nodes: Vec<String> = store.leases(place).await?.into_iter().map(|lease| lease.node).collect();
        if !nodes.contains(&self.node) {
            nodes.push(self.node.clone());
        }
        self.nodes = nodes;
        self.renewed = Some(Instant::now());
        Ok(())
    }

    /// Whether this room is this node's.
    pub(super) fn has(&self, room: &RoomId) -> bool {
        let weight =
            |node: &String| (hash53(room.as_str().as_bytes(), hash53(node.as_bytes(), 0)), node.clone());
        self.nodes.iter().map(weight).max().is_none_or(|(_, node)| node == self.node)
    }

    /// The others need not wait until the lease has lapsed.
    pub(super) async fn leave(&self, store: &dyn RoomStore) {
        if let Some(place) = &self.place {
            let _ = store.put_lease(place, &self.node, Bytes::new(), Duration::ZERO).await;
        }
    }
}
