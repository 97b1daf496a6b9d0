//! Questions about two histories that become one.

use enfilade_core::conflict::{self, Causality, VersionVector};
use enfilade_core::state::newer;
use enfilade_core::v1;
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

/// `{stretches}`: stretches of one timeline, as lists of messages; the ids of the merged one in order, and the indices
/// before which messages are missing.
pub(crate) fn timelines(input: &Value) -> Result<Value, Problem> {
    let stretches =
        read::list(input, "stretches")?.iter().map(read::messages).collect::<Result<Vec<_>, _>>()?;
    let merged = conflict::timelines(stretches);
    let id = |message: &v1::Message| {
        let id = message.id.unwrap_or_default();
        json!([id.client, id.counter])
    };
    Ok(json!({ "ids": merged.messages.iter().map(id).collect::<Vec<_>>(), "gaps": merged.gaps }))
}

/// `{local, server, type, mode, locked}`: what two states of one room become; `null` when the user is to be asked.
pub(crate) fn rooms(input: &Value) -> Result<Value, Problem> {
    let of = read::name(
        input,
        "type",
        &[
            ("MESSAGE_ORDER", v1::ConflictType::MessageOrder),
            ("USER_PRESENCE", v1::ConflictType::UserPresence),
            ("ROOM_CONFIG", v1::ConflictType::RoomConfig),
            ("COMPLEX_MERGE", v1::ConflictType::ComplexMerge),
        ],
    )?;
    let mode = read::name(
        input,
        "mode",
        &[
            ("UNSPECIFIED", v1::ConflictMode::Unspecified),
            ("SERVER_WINS", v1::ConflictMode::ServerWins),
            ("CLIENT_WINS", v1::ConflictMode::ClientWins),
            ("MERGE", v1::ConflictMode::Merge),
            ("USER_CHOICE", v1::ConflictMode::UserChoice),
        ],
    )?;
    let locked = input["locked"].as_str().unwrap_or_default();
    let (local, server) = (read::snapshot(&input["local"])?, read::snapshot(&input["server"])?);
    match conflict::rooms(&local, &server, of, mode, |key| key == locked) {
        Some(merged) => read::snapshot_json(merged),
        None => Ok(Value::Null),
    }
}

/// `{a, b}`: version vectors as lists of [host, count]; how they compare, and what they become.
pub(crate) fn vectors(input: &Value) -> Result<Value, Problem> {
    let vector = |field: &str| -> Result<VersionVector, Problem> {
        let mut vector = VersionVector::default();
        for pair in read::list(input, field)? {
            let (Some(host), Some(count)) = (pair[0].as_u64(), pair[1].as_u64()) else {
                return Err("a pair of numbers is missing".into());
            };
            for _ in 0..count.min(100) {
                vector.advance(host);
            }
        }
        Ok(vector)
    };
    let (mut a, b) = (vector("a")?, vector("b")?);
    let order = match a.compare(&b) {
        Causality::Equal => "equal",
        Causality::Before => "before",
        Causality::After => "after",
        Causality::Concurrent => "concurrent",
    };
    a.merge(&b);
    let merged: Vec<Value> = a.iter().map(|(host, count)| json!([host, count])).collect();
    Ok(json!({ "order": order, "merged": merged }))
}
