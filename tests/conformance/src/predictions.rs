//! Questions about navigation: which rooms are next.

use enfilade_core::RoomId;
use enfilade_core::predict::{Bounds, Predictor};
use serde_json::{Value, json};

use crate::{Problem, json as read};

/// `{visits, times, count}`: rooms visited in this order, so many times over; the likeliest rooms next, with the
/// confidence in parts per million and what it rests on.
pub(crate) fn next(input: &Value) -> Result<Value, Problem> {
    let mut predictor = Predictor::new(Bounds::default());
    for _ in 0..input["times"].as_u64().unwrap_or(1).min(10_000) {
        for room in read::list(input, "visits")? {
            let id = room.as_str().and_then(|id| RoomId::new(id).ok()).ok_or("a room's id is missing")?;
            predictor.visit(&id);
        }
    }
    let count = read::number(input, "count")?.min(100) as usize;
    let row = |prediction: &enfilade_core::predict::Prediction| {
        json!([prediction.room.as_str(), prediction.confidence, prediction.because.name()])
    };
    Ok(predictor.predict(count, |_| false).iter().map(row).collect())
}
