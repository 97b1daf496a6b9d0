//! Questions about rooms: what a log folds to, what meets what, who may do what.

use enfilade_core::policy::{self, Actor, Facts};
use enfilade_core::state::{SnapshotFor, decompress};
use enfilade_core::{Delta, Millis, UserId, state};
use serde_json::{Value, json};

use crate::{Problem, json as read};

/// `{room, state, entries}`: the state after the entries, and its digest. `entries` is a DELTA_UPDATE.
pub(crate) fn fold(input: &Value) -> Result<Value, Problem> {
    let mut room = read::state(read::room_id(input)?, &input["state"])?;
    let sync = read::sync(&input["entries"])?;
    room.open_epoch(sync.epoch);
    for entry in read::entries(&sync)? {
        if let Err(code) = room.apply(&entry) {
            return Ok(read::code(code));
        }
    }
    let snapshot = room.snapshot(SnapshotFor::Client { messages: usize::MAX });
    Ok(json!({
        "position": read::position_json(room.position()),
        "digest": room.digest().value(),
        "state": read::snapshot_json(snapshot)?,
    }))
}

/// `{held, ended, entries}`: how a DELTA_UPDATE meets what is held.
pub(crate) fn delta(input: &Value) -> Result<Value, Problem> {
    let sync = read::sync(&input["entries"])?;
    let head = enfilade_core::Position { epoch: sync.epoch, seq: sync.sequence_number };
    let met = enfilade_core::delta(
        read::position(&input["held"])?,
        input["ended"].as_u64(),
        head,
        &read::entries(&sync)?,
    );
    Ok(match met {
        Delta::Applied(from) => json!({ "applied": from }),
        Delta::Duplicate => "duplicate".into(),
        Delta::Gap => "gap".into(),
        Delta::Stale => "stale".into(),
        Delta::NewEpoch => "new_epoch".into(),
    })
}

/// `{room, state, actor, op, now}`: whether the actor may do this now. An actor without a user is the server.
pub(crate) fn policy(input: &Value) -> Result<Value, Problem> {
    let room = read::state(read::room_id(input)?, &input["state"])?;
    let actor = actor(&input["actor"])?;
    let body = match read::body(&input["op"])? {
        Ok(body) => body,
        Err(code) => return Ok(read::code(code)),
    };
    Ok(match policy::may_submit(&room, &actor, &body, Millis(read::number(input, "now")?)) {
        Ok(()) => "allowed".into(),
        Err(refusal) => json!({ "code": refusal.code.name(), "retry_after": refusal.retry_after }),
    })
}

fn actor(input: &Value) -> Result<Actor, Problem> {
    let Some(user) = input["user"].as_str() else { return Ok(Actor::System) };
    let id = UserId::new(user).map_err(|code| code.to_string())?;
    let facts = Facts {
        is_admin: input["is_admin"].as_bool().unwrap_or_default(),
        follows_owner: input["follows_owner"].as_bool(),
    };
    Ok(Actor::User { id, name: input["name"].as_str().unwrap_or(user).into(), facts })
}

/// `{room, packed}`: what a compressed snapshot holds, or why it is refused.
pub(crate) fn packed(input: &Value) -> Result<Value, Problem> {
    let restored = decompress(&read::bytes(input, "packed")?).and_then(|snapshot| {
        state::RoomState::restore(
            read::room_id(input).map_err(|_| enfilade_core::Code::InvalidRoomId)?,
            snapshot,
            true,
        )
    });
    Ok(match restored {
        Ok(room) => {
            json!({ "position": read::position_json(room.position()), "digest": room.digest().value() })
        }
        Err(code) => read::code(code),
    })
}
