//! Questions about two histories that become one.

use enfilade_core::state::newer;
use serde_json::{Value, json};

use crate::{Problem, json as read};

/// `{a, b}`: which of two states of one element holds.
pub(crate) fn elements(input: &Value) -> Result<Value, Problem> {
    let (a, b) = (read::element(&input["a"])?, read::element(&input["b"])?);
    let holds = newer(&a, &b);
    // Merging is commutative: the other way round must say the same.
    if newer(&b, &a) != holds {
        return Err("the order of the question decides".into());
    }
    Ok(json!({ "holds": if *holds == a { "a" } else { "b" } }))
}
