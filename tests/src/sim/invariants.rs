//! What holds after every step, whatever happens.

use std::collections::{BTreeMap, BTreeSet};

use enfilade_core::client::{ConnectionState, RoomView, Synced};
use enfilade_core::pending::OpState;
use enfilade_core::{Entry, OpId, RoomId, Tier, UserId, limits, v1};

use super::client::ClientHost;
use super::model::Log;
use super::world::World;
use super::{conflicts, presence};

/// Arrivals under way: more means that somebody sends without end.
const UNDER_WAY: usize = 4_000;

/// After each input that a client has handled.
pub(super) fn check_client(world: &World, client: usize) -> Result<(), String> {
    let host = &world.clients[client];
    what_was_posted_is_somewhere(world, host)?;
    attempts_to_connect_are_bounded(host)?;
    what_is_under_way_is_bounded(world, host)?;
    presence::check(world, client)?;
    if let ConnectionState::Failed { code } = host.client.connection().state {
        return Err(format!("{} has given up: {code}", host.user));
    }
    Ok(())
}

/// After each change of a room's view. Ends suffice unless all of it is new; see [`check_world`].
pub(super) fn check_room(world: &World, client: usize, room: &RoomId, is_whole: bool) -> Result<(), String> {
    let host = &world.clients[client];
    let Some(view) = host.client.room(room) else { return Ok(()) };
    let Some(log) = world.reference.log(room, view.position().epoch) else {
        // Before the first answer a lighter tier may show what a room list has told of.
        let fits = |log| what_is_shown_is_a_stretch_of_the_log(host, room, view, log, true).is_ok();
        return if view.message_count() == 0 || world.reference.logs(room).any(fits) {
            Ok(())
        } else {
            Err(format!("{} shows messages of {room} in an epoch that never was", host.user))
        };
    };
    what_is_shown_is_a_stretch_of_the_log(host, room, view, log, is_whole)?;
    tiers_are_within_their_bounds(host, room, view)?;
    let at = view.position();
    if at.seq > log.entries.len() as u64 {
        return Err(format!("{} is beyond the end of {room}", host.user));
    }
    match (view.digest(), log.digest(at.seq)) {
        (Some(held), Some(reference)) if held.value() != reference => {
            Err(format!("{} holds another state of {room} at {at:?}", host.user))
        }
        _ => Ok(()),
    }
}

/// After each stretch of time.
pub(super) fn check_world(world: &World) -> Result<(), String> {
    for client in 0..world.clients.len() {
        check_client(world, client)?;
        for room in &world.rooms {
            check_room(world, client, room, true)?;
        }
    }
    if world.network.len() > UNDER_WAY {
        return Err(format!("{} things are under way", world.network.len()));
    }
    Ok(())
}

/// What holds beyond that when nothing is under way any more.
///
/// # Errors
/// The first that does not hold.
pub fn check_at_rest(world: &World) -> Result<(), String> {
    check_world(world)?;
    conflicts::check_at_rest(world)?;
    for host in &world.clients {
        for op_id in host.acked.keys() {
            let (room, _) = &host.posted[op_id];
            let is_there =
                world.reference.current(&world.store, room).and_then(|log| log.place_in_any_words(*op_id));
            if is_there.is_none() && !world.lost.contains(op_id) {
                return Err(format!("{op_id} was acknowledged, and is not in {room}"));
            }
        }
        for room in &world.rooms {
            everybody_is_up_to_date(world, host, room)?;
            presence_is_right(world, host, room)?;
        }
    }
    Ok(())
}

fn everybody_is_up_to_date(world: &World, host: &ClientHost, room: &RoomId) -> Result<(), String> {
    let Some(view) = host.client.room(room) else { return Ok(()) };
    let (head, who) = (world.head(room), &host.user);
    if head.seq == 0 || view.tier() == Tier::Unloaded {
        return Ok(());
    }
    let Some(log) = world.reference.current(&world.store, room) else { return Ok(()) };
    if view.tier() == Tier::Active && (view.synced() != Synced::Ready || view.position() != head) {
        let (at, synced) = (view.position(), view.synced());
        return Err(format!("{who} is at {at:?} ({synced:?}) of {room}, which is at {head:?}"));
    }
    // What a store has lost is not taken back from those who saw it, as read or as a mention.
    let inbox = UserId::new(who).map(|user| RoomId::inbox(&user));
    if world.lossy.contains(room) || inbox.is_ok_and(|inbox| world.lossy.contains(&inbox)) {
        return Ok(());
    }
    let messages = log.messages.len() as u64;
    if view.head() != messages {
        return Err(format!("{who} counts {} messages in {room}, which has {messages}", view.head()));
    }
    // What somebody does not follow is not counted.
    let follows = log.members.contains(who);
    let read = world.reference.read_up_to(&world.store, who, room);
    let unread = if follows { messages.saturating_sub(read) } else { 0 };
    if view.unread() != unread {
        let tier = view.tier();
        return Err(format!("{who} sees {} unread in {room} ({tier:?}) instead of {unread}", view.unread()));
    }
    let mentions = if follows { world.reference.mentions(&world.store, who, room) } else { 0 };
    if view.mentions() != mentions {
        return Err(format!("{who} sees {} mentions in {room} instead of {mentions}", view.mentions()));
    }
    Ok(())
}

/// Everybody who has the room Active is shown, once, as live; nobody else is.
fn presence_is_right(world: &World, host: &ClientHost, room: &RoomId) -> Result<(), String> {
    let Some(view) = host.client.room(room) else { return Ok(()) };
    if view.tier() != Tier::Active || world.head(room).seq == 0 {
        return Ok(());
    }
    let mut here: BTreeMap<&str, u32> = BTreeMap::new();
    for other in &world.clients {
        let is_here = other.client.connection().state == ConnectionState::Online
            && other.client.room(room).is_some_and(|view| view.tier() == Tier::Active);
        if is_here {
            *here.entry(&other.user).or_insert(0) += 1;
        }
    }
    let is_live = |user: &v1::PresentUser| user.liveness() == v1::Liveness::Live;
    let shown: BTreeMap<&str, u32> =
        view.users().filter(|user| is_live(user)).map(|user| (&*user.user, user.connections)).collect();
    if shown == here && view.users().count() == shown.len() {
        Ok(())
    } else {
        Err(format!("{} sees {shown:?} in {room}, where there are {here:?}", host.user))
    }
}

/// When everybody has left.
pub(super) fn nothing_is_left(world: &World) -> Result<(), String> {
    for host in &world.clients {
        let rooms = world.rooms.iter().filter(|room| host.client.room(room).is_some());
        let rooms: Vec<&RoomId> = rooms.collect();
        if !rooms.is_empty() || host.client.connection().has_unsent || host.link.is_some() {
            return Err(format!("{} still holds {rooms:?}, {:?}", host.user, host.link));
        }
        if host.client.next_deadline().is_some() {
            return Err(format!("{} still waits for {:?}", host.user, host.client.next_deadline()));
        }
    }
    for node in &world.nodes {
        if !node.conns.is_empty() {
            return Err(format!("node {} still has {:?}", node.index, node.conns.keys()));
        }
        if let Some((room, _)) = node.rooms.iter().find(|(_, authority)| !authority.is_idle()) {
            return Err(format!("node {} is still busy with {room}", node.index));
        }
        if let Some((room, authority)) = node.rooms.iter().find(|(_, room)| room.next_deadline().is_some()) {
            let waits = authority.next_deadline();
            return Err(format!("node {} still waits for {waits:?} of {room}", node.index));
        }
    }
    if world.network.is_empty() { Ok(()) } else { Err("something is still under way".into()) }
}

/// A log must not get what its author was told would not come about.
pub(super) fn what_was_given_up_is_not_sequenced(
    clients: &[ClientHost],
    entries: &[Entry],
) -> Result<(), String> {
    for entry in entries {
        let given_up = |host: &&ClientHost| {
            host.rejected.contains_key(&entry.op_id) || host.cancelled.contains(&entry.op_id)
        };
        if let Some(host) = clients.iter().find(given_up) {
            return Err(format!(
                "{} of {} was refused or taken back, and is sequenced",
                entry.op_id, host.user
            ));
        }
    }
    Ok(())
}

pub(super) fn what_was_refused_is_not_in_the_log(
    world: &World,
    room: &RoomId,
    op_id: OpId,
) -> Result<(), String> {
    match world.reference.current(&world.store, room).and_then(|log| log.place(op_id)) {
        Some(seq) => Err(format!("{op_id} was refused, and is in {room} at {seq}")),
        None => Ok(()),
    }
}

pub(super) fn what_was_acknowledged_is_in_the_log(
    world: &World,
    client: usize,
    op_id: OpId,
) -> Result<(), String> {
    let host = &world.clients[client];
    let (room, position) = &host.acked[&op_id];
    let (_, text) = &host.posted[&op_id];
    let log = world.reference.log(room, position.epoch);
    let is_there = log.is_some_and(|log| {
        log.place_in_any_words(op_id) == Some(position.seq)
            && (text.is_empty()
                || log
                    .messages
                    .iter()
                    .rev()
                    .find(|message| message.id == op_id)
                    .is_some_and(|m| m.text == *text))
    });
    if is_there {
        Ok(())
    } else {
        Err(format!("{op_id} was acknowledged at {position:?} of {room}, and is not there"))
    }
}

fn what_is_shown_is_a_stretch_of_the_log(
    host: &ClientHost,
    room: &RoomId,
    view: RoomView<'_>,
    log: &Log,
    is_whole: bool,
) -> Result<(), String> {
    /// Rows at the end that are looked at when not all are.
    const END: usize = 4;
    let who = &host.user;
    let count = view.message_count();
    let mut ends = (0..count).take(1).chain(count.saturating_sub(END).max(1)..count);
    let mut all = 0..count;
    let rows: &mut dyn Iterator<Item = usize> = if is_whole { &mut all } else { &mut ends };
    let mut shown = BTreeSet::new();
    let mut before: Option<(usize, u64)> = None;
    for index in rows {
        let Some(message) = view.message(index) else { return Err(format!("{room} has no row {index}")) };
        let id = OpId::parse(message.id.as_ref()).map_err(|code| format!("{room}: {code}"))?;
        let logged = (message.ordinal as usize).checked_sub(1).and_then(|place| log.messages.get(place));
        let is_right = |logged: &super::model::Message| {
            logged.id == id && logged.says(&message.text) && logged.author == message.author
        };
        if !logged.is_some_and(is_right) {
            return Err(format!("{who} shows {message:?} in {room}, and the log has {logged:?}"));
        }
        if let Some((row, ordinal)) = before {
            let rows = (index - row) as u64;
            let gaps = (row + 1..=index).filter_map(|between| view.gap_before(between));
            let missing: u64 = gaps.map(|gap| gap.missing).sum();
            if message.ordinal != ordinal + rows + missing {
                return Err(format!("{who} shows {} after {ordinal} in {room}", message.ordinal));
            }
        }
        before = Some((index, message.ordinal));
        shown.insert(id);
    }
    match view.pending().find(|op| shown.contains(&op.op_id)) {
        Some(op) => Err(format!("{who} shows {} twice in {room}", op.op_id)),
        None => Ok(()),
    }
}

fn tiers_are_within_their_bounds(host: &ClientHost, room: &RoomId, view: RoomView<'_>) -> Result<(), String> {
    let most = match view.tier() {
        Tier::Unloaded | Tier::Cached => 0,
        Tier::Background => limits::BACKGROUND_MESSAGES,
        Tier::Active => limits::ACTIVE_MESSAGES,
    };
    if view.message_count() > most {
        return Err(format!("{} holds {} messages of {room}", host.user, view.message_count()));
    }
    let Some(budget) = host.client.budget(room) else { return Ok(()) };
    if budget.memory > budget.budget.memory {
        return Err(format!("{} takes {} bytes for {room} in {:?}", host.user, budget.memory, budget.tier));
    }
    Ok(())
}

/// Nothing that somebody wrote disappears: it is on its way, in the log, refused with a code, or taken back.
fn what_was_posted_is_somewhere(world: &World, host: &ClientHost) -> Result<(), String> {
    for op_id in &host.unsettled {
        let (room, text) = &host.posted[op_id];
        let is_known = host.client.pending_op(*op_id).is_some() || world.reference.holds(room, *op_id);
        if !is_known {
            return Err(format!("{text:?} of {} in {room} has disappeared", host.user));
        }
    }
    Ok(())
}

/// Whatever servers say, a client attempts at most this often in ten seconds: forty times in a row at the shortest
/// interval that it accepts, and once more after each new beginning of its process or its clock.
fn attempts_to_connect_are_bounded(host: &ClientHost) -> Result<(), String> {
    const WINDOW: u64 = 10_000;
    const MOST: usize = 41;
    let last = host.attempts.back().copied().unwrap_or(0);
    let recent = |times: &std::collections::VecDeque<u64>| {
        times.iter().rev().take_while(|at| **at + WINDOW > last).count()
    };
    let (attempts, jolts) = (recent(&host.attempts), recent(&host.jolts));
    if attempts > MOST + jolts {
        Err(format!("{} has tried to connect {attempts} times in ten seconds", host.user))
    } else {
        Ok(())
    }
}

/// A client has so many operations on the way as it may, stores no more than what it holds, and waits in line.
fn what_is_under_way_is_bounded(world: &World, host: &ClientHost) -> Result<(), String> {
    let inbox = host.client.own_inbox();
    let ops = || world.rooms.iter().chain(inbox).filter_map(|room| host.client.room(room));
    let sent = ops().flat_map(|view| view.pending()).filter(|op| op.state == OpState::Sent).count();
    if sent > limits::IN_FLIGHT {
        return Err(format!("{} has {sent} operations on their way", host.user));
    }
    let pending: usize = ops().map(|view| view.pending().count()).sum();
    // Its own numbers, what was learned of navigation and of the rooms' use, one an operation, and two a room and the inbox: what is said of
    // it, and its snapshot.
    let most = 3 + pending + 2 * (world.rooms.len() + 1);
    if host.durable.len() > most {
        return Err(format!("{} stores {} records, for {pending} operations", host.user, host.durable.len()));
    }
    Ok(())
}
