//! Two timelines in, as bytes; one out, in order. What `npm run merge` measures.

use enfilade_core::conflict::{Encoded, Merged, Stamped, timelines};
use enfilade_core::v1;
use prost::Message as _;
use wasm_bindgen::prelude::wasm_bindgen;

#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

/// A merged timeline, every message of which was decoded.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Timeline(Merged<v1::Message>);

#[wasm_bindgen]
impl Timeline {
    /// Decodes two stretches (snapshots that hold nothing else) and merges them; `None` when they can't be read.
    pub fn merge(a: &[u8], b: &[u8]) -> Option<Timeline> {
        let read = |bytes| Some(v1::RoomSnapshot::decode(bytes).ok()?.timeline);
        Some(Timeline(timelines(vec![read(a)?, read(b)?])))
    }

    /// The ids in order: client, counter, client, counter, …
    pub fn order(&self) -> Vec<f64> {
        order(&self.0)
    }
}

/// Merges two stretches by their stamps, and decodes the newest `shown` messages: what is looked at. Returns how many
/// messages there are and how many characters are shown.
#[wasm_bindgen]
pub fn merge_stored(a: &[u8], b: &[u8], shown: usize) -> Vec<u32> {
    let Some(merged) = stored(a, b) else { return Vec::new() };
    let newest = merged.messages.iter().rev().take(shown);
    let characters = newest.filter_map(|message| Some(message.message().ok()?.text.len() as u32)).sum();
    vec![merged.messages.len() as u32, characters]
}

/// The order that [`merge_stored`] gives.
#[wasm_bindgen]
pub fn order_stored(a: &[u8], b: &[u8]) -> Vec<f64> {
    stored(a, b).map_or_else(Vec::new, |merged| order(&merged))
}

fn stored<'a>(a: &'a [u8], b: &'a [u8]) -> Option<Merged<Encoded<'a>>> {
    Some(timelines(vec![Encoded::timeline(a).ok()?, Encoded::timeline(b).ok()?]))
}

fn order<T: Stamped>(merged: &Merged<T>) -> Vec<f64> {
    let ids = merged.messages.iter().map(|message| message.stamp().id);
    ids.flat_map(|(client, counter)| [client as f64, counter as f64]).collect()
}
