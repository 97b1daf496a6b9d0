//! Questions that need no room.

use enfilade_core::{RoomId, Tier, compress, hash53, text, tier, v1};
use serde_json::{Value, json};

use crate::{Problem, json as read};

/// `{bytes, seed}`: 53 bits of XXH64.
pub(crate) fn hash(input: &Value) -> Result<Value, Problem> {
    Ok(hash53(&read::bytes(input, "bytes")?, read::number(input, "seed")?).into())
}

/// `{id}`: whether it names a room, and whose inbox it is.
pub(crate) fn room_id(input: &Value) -> Result<Value, Problem> {
    Ok(match RoomId::new(read::text(input, "id")?) {
        Ok(id) => json!({ "inbox_of": id.inbox_owner() }),
        Err(code) => read::code(code),
    })
}

/// `{name}`, `{topic}` or `{message}`: what is kept of it; `{excerpt}`: what a notification repeats.
pub(crate) fn text(input: &Value) -> Result<Value, Problem> {
    let (field, kept) = if let Some(name) = input["name"].as_str() {
        ("name", text::name(name))
    } else if let Some(topic) = input["topic"].as_str() {
        ("topic", text::topic(topic))
    } else if let Some(message) = input["message"].as_str() {
        ("message", text::message(message))
    } else {
        ("excerpt", Ok(text::excerpt(read::text(input, "excerpt")?)))
    };
    Ok(kept.map_or_else(read::code, |kept| json!({ (field): kept })))
}

/// `{from, to}`: the steps from one tier to another.
pub(crate) fn transition(input: &Value) -> Result<Value, Problem> {
    let named = |field: &str| {
        let name = read::text(input, field)?;
        Tier::ALL.into_iter().find(|tier| tier.name() == name).ok_or_else(|| format!("no tier {name:?}"))
    };
    let steps = tier::transition(named("from")?, named("to")?);
    Ok(steps.iter().map(|step| format!("{step:?}").to_lowercase()).collect::<Vec<_>>().into())
}

/// `{messages, count}`: what was talked about. `count` is how many the room has had.
pub(crate) fn message_digest(input: &Value) -> Result<Value, Problem> {
    let messages = read::messages(&input["messages"])?;
    let digest = compress::message_digest(&messages, read::number(input, "count")?);
    let top = |list: &[v1::Frequency]| -> Vec<Value> {
        list.iter().map(|item| json!([item.name, item.count])).collect()
    };
    Ok(json!({
        "version": digest.digest_version,
        "message_count": digest.message_count,
        "last_message_time": digest.last_message_time,
        "user_activity": top(&digest.user_activity),
        "keywords": top(&digest.keywords),
        "emotes": top(&digest.emotes),
    }))
}
