//! What holds after every step, whatever happens.

use std::collections::BTreeSet;

use enfilade_core::client::Synced;
use enfilade_core::{Entry, OpId, RoomId, Tier};

use super::client::ClientHost;
use super::model::{self, Message};
use super::world::World;

/// All of them.
///
/// # Errors
/// The first that does not hold.
pub fn check(world: &World) -> Result<(), String> {
    for (room, _) in world.store.rooms() {
        let entries = model::entries(&world.store, room);
        log_is_gapless_and_each_operation_is_in_it_once(room, &entries)?;
        each_clients_operations_are_in_the_order_of_their_making(room, &entries)?;
        let messages = model::messages(&entries);
        for host in &world.clients {
            what_is_shown_is_a_stretch_of_the_log(world, host, room, &messages)?;
            equal_positions_have_equal_digests(world, host, room)?;
        }
    }
    for (index, host) in world.clients.iter().enumerate() {
        what_was_acknowledged_is_in_the_log(world, host)?;
        what_was_refused_or_taken_back_is_not(world, host)?;
        what_was_posted_is_somewhere(world, index)?;
        attempts_to_connect_are_bounded(host)?;
    }
    Ok(())
}

/// What holds beyond that when nothing is under way any more.
///
/// # Errors
/// The first that does not hold.
pub fn check_at_rest(world: &World) -> Result<(), String> {
    for host in &world.clients {
        for room in &world.rooms {
            let Some(view) = host.client.room(room) else { continue };
            let head = world.head(room);
            let who = &host.user;
            if head.seq == 0 || view.tier() == Tier::Unloaded {
                continue;
            }
            if view.tier() == Tier::Active {
                if view.synced() != Synced::Ready || view.position() != head {
                    let (at, synced) = (view.position(), view.synced());
                    return Err(format!("{who} is at {at:?} ({synced:?}) of {room}, which is at {head:?}"));
                }
                let digest = view.digest().map(|digest| digest.value());
                if digest != world.reference.digest(room, head.seq) {
                    return Err(format!("{who} holds another state of {room} than its log gives"));
                }
            }
            let messages = model::messages(&model::entries(&world.store, room)).len() as u64;
            if view.head() != messages {
                return Err(format!("{who} counts {} messages in {room}, which has {messages}", view.head()));
            }
            let read = model::read_up_to(&world.store, who, room);
            // What somebody does not follow is not counted.
            let follows = model::is_member(&world.store, who, room);
            let unread = if follows { messages.saturating_sub(read) } else { 0 };
            if view.unread() != unread {
                return Err(format!(
                    "{who} sees {} unread in {room} ({:?}) instead of {unread}",
                    view.unread(),
                    view.tier()
                ));
            }
            let mentions = if follows { model::mentions(&world.store, who, room) } else { 0 };
            if view.mentions() != mentions {
                return Err(format!(
                    "{who} sees {} mentions in {room} instead of {mentions}",
                    view.mentions()
                ));
            }
        }
    }
    Ok(())
}

fn log_is_gapless_and_each_operation_is_in_it_once(room: &RoomId, entries: &[Entry]) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    let mut at = 0;
    for (index, entry) in entries.iter().enumerate() {
        if entry.seq != index as u64 + 1 {
            return Err(format!("{room} has seq {} in place {index}", entry.seq));
        }
        if entry.at.0 < at {
            return Err(format!("time runs backwards in {room} at {}", entry.seq));
        }
        at = entry.at.0;
        if !entry.author.is_empty() && !seen.insert(entry.op_id) {
            return Err(format!("{room} has operation {} twice", entry.op_id));
        }
    }
    Ok(())
}

fn each_clients_operations_are_in_the_order_of_their_making(
    room: &RoomId,
    entries: &[Entry],
) -> Result<(), String> {
    let mut last = std::collections::BTreeMap::new();
    for entry in entries.iter().filter(|entry| !entry.author.is_empty()) {
        let before = last.insert(entry.op_id.client, entry.op_id.counter).unwrap_or(0);
        if before >= entry.op_id.counter {
            return Err(format!("{room} has {} after {before} of the same client", entry.op_id));
        }
    }
    Ok(())
}

fn what_is_shown_is_a_stretch_of_the_log(
    world: &World,
    host: &ClientHost,
    room: &RoomId,
    messages: &[Message],
) -> Result<(), String> {
    let Some(view) = host.client.room(room) else { return Ok(()) };
    let mut shown = BTreeSet::new();
    let mut before = 0;
    for index in 0..view.message_count() {
        let Some(message) = view.message(index) else { return Err(format!("{room} has no row {index}")) };
        let id = OpId::parse(message.id.as_ref()).map_err(|code| format!("{room}: {code}"))?;
        let logged = messages.get(message.ordinal as usize - 1);
        if logged.is_none_or(|logged| {
            logged.id != id || logged.text != message.text || logged.author != message.author
        }) {
            return Err(format!("{} shows {message:?} in {room}, and the log has {logged:?}", host.user));
        }
        if message.ordinal <= before
            || (before > 0 && view.tier() == Tier::Active && message.ordinal != before + 1)
        {
            return Err(format!("{} shows {} after {before} in {room}", host.user, message.ordinal));
        }
        before = message.ordinal;
        shown.insert(id);
    }
    for op in view.pending() {
        if shown.contains(&op.op_id) {
            return Err(format!("{} shows {} twice in {room}", host.user, op.op_id));
        }
    }
    let head = world.head(room);
    if view.position().epoch == head.epoch && view.position().seq > head.seq {
        return Err(format!("{} is beyond the end of {room}", host.user));
    }
    Ok(())
}

fn equal_positions_have_equal_digests(world: &World, host: &ClientHost, room: &RoomId) -> Result<(), String> {
    let Some(view) = host.client.room(room) else { return Ok(()) };
    let Some(digest) = view.digest().filter(|_| view.position().epoch != 0) else { return Ok(()) };
    match world.reference.digest(room, view.position().seq) {
        Some(reference) if reference == digest.value() => Ok(()),
        _ => Err(format!("{} holds another state of {room} at {:?}", host.user, view.position())),
    }
}

fn what_was_acknowledged_is_in_the_log(world: &World, host: &ClientHost) -> Result<(), String> {
    for (op_id, (room, position)) in &host.acked {
        let entries = model::entries(&world.store, room);
        let place = (position.seq as usize).checked_sub(1).and_then(|index| entries.get(index));
        let (_, text) = &host.posted[op_id];
        let is_there = place.is_some_and(|entry| {
            entry.op_id == *op_id
                && model::messages(std::slice::from_ref(entry)).iter().any(|message| message.text == *text)
        });
        if !is_there {
            return Err(format!(
                "{op_id} was acknowledged at {position:?} of {room}, where there is {place:?}"
            ));
        }
    }
    Ok(())
}

fn what_was_refused_or_taken_back_is_not(world: &World, host: &ClientHost) -> Result<(), String> {
    for op_id in host.rejected.keys().chain(&host.cancelled) {
        let Some((room, _)) = host.posted.get(op_id) else { continue };
        if model::entries(&world.store, room).iter().any(|entry| entry.op_id == *op_id) {
            return Err(format!("{op_id} of {} was refused or taken back, and is in {room}", host.user));
        }
    }
    Ok(())
}

/// Nothing that somebody wrote disappears: it is on its way, in the log, refused with a code, or taken back.
fn what_was_posted_is_somewhere(world: &World, client: usize) -> Result<(), String> {
    let host = &world.clients[client];
    for (op_id, (room, text)) in &host.posted {
        let settled = host.acked.contains_key(op_id)
            || host.rejected.contains_key(op_id)
            || host.cancelled.contains(op_id);
        let is_known = settled
            || world.is_pending(client, *op_id)
            || host.client.pending_op(*op_id).is_some()
            || model::entries(&world.store, room).iter().any(|entry| entry.op_id == *op_id);
        if !is_known {
            return Err(format!("{text:?} of {} in {room} has disappeared", host.user));
        }
    }
    Ok(())
}

/// Whatever servers say, a client attempts at most this often in ten seconds, not counting what people do.
fn attempts_to_connect_are_bounded(host: &ClientHost) -> Result<(), String> {
    const WINDOW: u64 = 10_000;
    const MOST: usize = 60;
    let last = host.attempts.last().copied().unwrap_or(0);
    let recent = host.attempts.iter().rev().take_while(|at| **at + WINDOW > last).count();
    if recent > MOST + host.nudges {
        Err(format!("{} has tried to connect {recent} times", host.user))
    } else {
        Ok(())
    }
}
