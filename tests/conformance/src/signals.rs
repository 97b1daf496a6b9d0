//! Questions about time: what the server's clock shows, and how long notes are held back.

use enfilade_core::Millis;
use enfilade_core::signal::{Clock, Jitter};
use serde_json::{Value, json};

use crate::{Problem, json as read};

/// `{welcome: {server, now}, samples: [{there, back, ahead}]}`: the offset after each question and answer, where the
/// question takes `there` milliseconds, the answer `back`, and the server is `ahead` of the client.
pub(crate) fn clock(input: &Value) -> Result<Value, Problem> {
    let mut clock = Clock::default();
    let welcome = &input["welcome"];
    clock.welcomed(read::number(welcome, "server")?, Millis(read::number(welcome, "now")?));
    clock.need(Millis(read::number(welcome, "now")?));
    let mut offsets = vec![clock.offset()];
    for sample in read::list(input, "samples")? {
        let due = clock.deadline().ok_or("no question is due")?;
        let sent = clock.ask(due).ok_or("no question is due")?;
        let arrived = sent + read::number(sample, "there")?;
        clock.answered(
            sent,
            arrived + read::number(sample, "ahead")?,
            Millis(arrived + read::number(sample, "back")?),
        );
        offsets.push(clock.offset());
    }
    Ok(offsets.into())
}

/// `{lateness}`: after each arrival, whether it is played and the delay from then on.
pub(crate) fn delay(input: &Value) -> Result<Value, Problem> {
    let mut jitter = Jitter::default();
    let mut arrivals = Vec::new();
    for lateness in read::list(input, "lateness")? {
        let is_played = jitter.arrived(lateness.as_u64().ok_or("a lateness is a number")?);
        arrivals.push(json!([is_played, jitter.delay()]));
    }
    Ok(arrivals.into())
}
