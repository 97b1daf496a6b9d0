//! Questions about the order of elements: keys between keys, as Excalidraw's boards have them.

use enfilade_core::fractional_index;
use serde_json::{Value, json};

use crate::{Problem, json as read};

/// `{before, after, count}`: so many keys between two; `null` for none on that side.
pub(crate) fn between(input: &Value) -> Result<Value, Problem> {
    let count = input["count"].as_u64().unwrap_or(1).min(1_000) as usize;
    let keys = fractional_index::keys_between(input["before"].as_str(), input["after"].as_str(), count);
    Ok(keys.map_or_else(read::code, Value::from))
}

/// `{keys}`: the places whose keys must change so that all ascend, with the new ones.
pub(crate) fn heal(input: &Value) -> Result<Value, Problem> {
    let keys: Vec<&str> = read::list(input, "keys")?.iter().filter_map(Value::as_str).collect();
    Ok(fractional_index::heal(&keys).into_iter().map(|(place, key)| json!([place, key])).collect())
}
