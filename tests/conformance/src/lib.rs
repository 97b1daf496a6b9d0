//! The rules of the protocol as questions and answers in JSON: what `tests/vectors/rules` asks of every implementation.
//!
//! Each question is answered by the core alone. `tests/vectors/README.md` describes the questions, so that an
//! implementation in another language can be asked the same.

mod caches;
mod json;
mod merges;
mod order;
mod predictions;
mod rooms;
mod signals;
mod small;

use serde_json::Value;

/// Why a question has no answer.
pub type Problem = String;

/// A kind of question, by the name of its file.
type Rule = fn(&Value) -> Result<Value, Problem>;

/// Every kind of question.
const RULES: &[(&str, Rule)] = &[
    ("cache_eviction", caches::eviction),
    ("cache_score", caches::score),
    ("delta", rooms::delta),
    ("element_merge", merges::elements),
    ("fold", rooms::fold),
    ("fractional_index", order::between),
    ("fractional_index_heal", order::heal),
    ("hash", small::hash),
    ("message_digest", small::message_digest),
    ("packed_snapshot", rooms::packed),
    ("policy", rooms::policy),
    ("prediction", predictions::next),
    ("room_id", small::room_id),
    ("room_merge", merges::rooms),
    ("signal_clock", signals::clock),
    ("signal_delay", signals::delay),
    ("text", small::text),
    ("tier_transition", small::transition),
    ("timeline_merge", merges::timelines),
    ("version_vector", merges::vectors),
];

/// The names of all kinds of question.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|(name, _)| *name)
}

/// Answers a question, both in JSON.
///
/// # Errors
/// A sentence that says what is wrong with the question: a kind that does not exist, or an input of another shape. An
/// operation that is refused or a snapshot that is damaged is an answer, not an error.
pub fn answer(kind: &str, input: &str) -> Result<String, Problem> {
    let (_, rule) =
        RULES.iter().find(|(name, _)| *name == kind).ok_or_else(|| format!("no kind {kind:?}"))?;
    let input = serde_json::from_str(input).map_err(|error| error.to_string())?;
    Ok(rule(&input)?.to_string())
}

/// JSON with the keys of its objects in order: equal values are equal texts.
///
/// # Errors
/// Where it is no JSON.
pub fn sorted(json: &str) -> Result<String, Problem> {
    let value: Value = serde_json::from_str(json).map_err(|error| error.to_string())?;
    Ok(value.to_string())
}
