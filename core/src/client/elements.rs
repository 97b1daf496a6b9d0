//! A room's elements as the app sees and writes them: what is confirmed, under what is not.

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::content::Content;
use super::view::RoomView;
use super::{Client, RoomChange};
use crate::op::Body;
use crate::policy::Refusal;
use crate::state::ElementMap;
use crate::{Code, Millis, OpId, RoomId, limits, v1};

impl RoomView<'_> {
    /// The elements by (index, key), with what is pending over what is confirmed; in Active rooms alone. An element
    /// that is pending has `seq` 0.
    pub fn elements(&self) -> Vec<Arc<v1::Element>> {
        self.with_map(|map| map.ordered().to_vec()).unwrap_or_default()
    }

    /// The register of this key, as [`elements`](RoomView::elements) has it; `None` for one that is deleted.
    pub fn element(&self, key: &str) -> Option<Arc<v1::Element>> {
        self.with_map(|map| map.get(key).filter(|element| element.deleted_at == 0).cloned()).flatten()
    }

    /// What is pending is merged anew over what is confirmed now, by the rule of the fold: so a write that another has
    /// overtaken is not shown, and one that holds is the same register before and after its confirmation.
    fn with_map<T>(&self, read: impl FnOnce(&ElementMap) -> T) -> Option<T> {
        let Content::Active(active) = &self.room.content else { return None };
        let map = active.state.map();
        let mut puts = self.client.pending.of(self.id).filter_map(|op| match &op.body {
            Body::PutElements(put) => Some(put),
            _ => None,
        });
        let Some(first) = puts.next() else { return Some(read(map)) };
        let author = self.client.user.as_ref().map_or("", |user| user.id.as_str());
        let mut map = map.clone();
        map.preview(author, first);
        puts.for_each(|put| map.preview(author, put));
        Some(read(&map))
    }
}

impl Client {
    /// Writes elements with versions and nonces of the app's own, as a whiteboard has them. Without a connection each
    /// becomes an operation of its own, so that one that meets somebody else's is decided by itself.
    ///
    /// # Errors
    /// As for [`submit`](Client::submit). Nothing has happened then, unless a later element was refused by itself.
    pub fn put_elements(
        &mut self,
        room: &RoomId,
        elements: Vec<v1::ElementChange>,
        now: Millis,
    ) -> Result<Vec<OpId>, Refusal> {
        if self.link.is_online() {
            let put = Body::PutElements(v1::PutElements { elements });
            return self.submit(room, put, now).map(|id| alloc::vec![id]);
        }
        if self.pending.len() + elements.len() > limits::PENDING_OPS {
            return Err(Code::Overloaded.into());
        }
        let alone = |element| Body::PutElements(v1::PutElements { elements: alloc::vec![element] });
        elements.into_iter().map(|element| self.submit(room, alone(element), now)).collect()
    }

    /// Writes one register, a setting for example, over what is shown of it; `None` deletes it. The version is the next,
    /// the nonce is drawn.
    ///
    /// # Errors
    /// As for [`submit`](Client::submit).
    pub fn set_element(
        &mut self,
        room: &RoomId,
        key: &str,
        value: Option<Vec<u8>>,
        now: Millis,
    ) -> Result<OpId, Refusal> {
        let shown = self.room(room).and_then(|view| view.with_map(|map| map.get(key).cloned())).flatten();
        let change = v1::ElementChange {
            key: key.to_string(),
            deleted: value.is_none(),
            value: value.unwrap_or_default(),
            version: shown.as_ref().map_or(1, |shown| shown.version.saturating_add(1)),
            nonce: self.rng.id53(),
            index: shown.map_or_else(Default::default, |shown| shown.index.clone()),
        };
        self.submit(room, Body::PutElements(v1::PutElements { elements: alloc::vec![change] }), now)
    }

    /// The view of what this operation writes has changed, because it came or went.
    pub(super) fn elements_changed(&mut self, id: &RoomId, op_id: OpId) {
        if let Some(Body::PutElements(put)) = self.pending.get(op_id).map(|op| &op.body) {
            for element in &put.elements {
                self.outbox.room(id, RoomChange::Element(element.key.clone()));
            }
        }
    }
}
