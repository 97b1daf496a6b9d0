//! The keys of a room: what it is, who belongs to it, what was said and drawn, and the game.

use std::collections::BTreeSet;

use enfilade_core::RoomState;
use enfilade_core::state::{Change, Counters};
use enfilade_core::v1;

use super::names::Names;
use super::values;
use super::writes::Writes;

/// Every key that the room has, or may have.
pub(super) fn keys(names: &Names, state: &RoomState) -> Vec<String> {
    let mut keys = vec![
        names.room(),
        names.config(),
        names.members(),
        names.participants(),
        names.roles(),
        names.badges(),
        names.chat(),
        names.whiteboard(),
        names.players(),
        names.leaderboard(),
        names.teams(),
        names.total(),
    ];
    for team in state.counters().teams() {
        keys.extend([names.team_score(&team.name), names.team_members(&team.name)]);
    }
    keys
}

/// All of them, as the state has it.
pub(super) fn whole(writes: &mut Writes, names: &Names, state: &RoomState, messages: usize) {
    keys(names, state).into_iter().for_each(|key| writes.delete(key));
    if !state.exists() {
        return;
    }
    writes.set_fields(names.room(), info(state));
    writes.set_fields(names.room(), head(state));
    writes.set_fields(names.config(), config(state));
    state.members().iter().for_each(|member| put_member(writes, names, None, member));
    let skipped = state.timeline().len().saturating_sub(messages);
    for message in state.timeline().iter().skip(skipped) {
        writes.set_score(names.chat(), values::message(message), message.seq);
    }
    for element in state.map().ordered() {
        writes.set_fields(names.whiteboard(), [(element.key.as_str(), values::element(element))]);
    }
    let counters = state.counters();
    players(writes, names, counters);
    counters.teams().iter().for_each(|team| put_team(writes, names, team));
    if has_game(counters) {
        writes.set(names.total(), counters.total().to_string());
    }
}

/// What has changed, at the cost of the change.
pub(super) fn changed(
    writes: &mut Writes,
    names: &Names,
    (before, after): (&RoomState, &RoomState),
    changes: &[Change],
    messages: usize,
) {
    if !after.exists() {
        return;
    }
    let mut touched = Touched::default();
    changes.iter().for_each(|change| touched.take(change));
    if touched.info || !before.exists() {
        writes.set_fields(names.room(), info(after));
    }
    writes.set_fields(names.room(), head(after));
    if touched.config || !before.exists() {
        writes.set_fields(names.config(), config(after));
    }
    for user in touched.members {
        let old = before.members().get(user);
        match after.members().get(user) {
            Some(member) => put_member(writes, names, old, member),
            None => old.into_iter().for_each(|old| drop_member(writes, names, old)),
        }
    }
    chat(writes, names, (before, after), &touched.messages, messages);
    for key in touched.elements {
        match after.map().get(key).filter(|element| element.deleted_at == 0) {
            Some(element) => writes.set_fields(names.whiteboard(), [(key, values::element(element))]),
            None => writes.remove_field(names.whiteboard(), key),
        }
    }
    if touched.all_scores || !touched.scores.is_empty() {
        game(writes, names, (before.counters(), after.counters()), &touched.scores, touched.all_scores);
    }
}

/// What the changes are about, each once.
#[derive(Default)]
struct Touched<'a> {
    info: bool,
    config: bool,
    members: BTreeSet<&'a str>,
    messages: BTreeSet<u64>,
    elements: BTreeSet<&'a str>,
    scores: BTreeSet<&'a str>,
    all_scores: bool,
}

impl<'a> Touched<'a> {
    fn take(&mut self, change: &'a Change) {
        match change {
            Change::Info => self.info = true,
            Change::Config => self.config = true,
            Change::Member(user) | Change::MemberGone(user) => drop(self.members.insert(user)),
            Change::MessageChanged(ordinal) => drop(self.messages.insert(*ordinal)),
            Change::Element(key) => drop(self.elements.insert(key)),
            Change::Score(user) => drop(self.scores.insert(user)),
            Change::Scores => self.all_scores = true,
            // What was added is known by the ordinals; what left the window has left the chat before. The others are
            // of inboxes, or have no key.
            Change::MessageAdded(_)
            | Change::MessagesDropped(_)
            | Change::Slid
            | Change::Pins
            | Change::Access
            | Change::Conflicts
            | Change::Following(_)
            | Change::Notified(_)
            | Change::Contacts => {}
        }
    }
}

fn info(state: &RoomState) -> [(&'static str, String); 6] {
    let info = state.info().cloned().unwrap_or_default();
    [
        ("room_id", state.id().to_string()),
        ("room_type", values::room_type(info.visibility()).to_owned()),
        ("room_name", info.name),
        ("room_owner", info.owner),
        ("topic", info.topic),
        ("created_at", info.created_at.to_string()),
    ]
}

/// What every entry changes.
fn head(state: &RoomState) -> [(&'static str, String); 5] {
    let position = state.position();
    [
        ("last_activity", state.last_at().0.to_string()),
        ("participant_count", state.members().len().to_string()),
        ("message_count", state.timeline().head().to_string()),
        ("epoch", position.epoch.to_string()),
        ("seq", position.seq.to_string()),
    ]
}

fn config(state: &RoomState) -> [(&'static str, String); 6] {
    let config = state.config();
    [
        ("slow_mode_enabled", config.slow_mode_enabled.to_string()),
        ("slow_mode_duration", config.slow_mode_duration.to_string()),
        ("subscriber_only", config.subscriber_only.to_string()),
        ("follower_only", config.follower_only.to_string()),
        ("emote_only", config.emote_only.to_string()),
        ("capacity", config.capacity.to_string()),
    ]
}

fn put_member(writes: &mut Writes, names: &Names, old: Option<&v1::Member>, member: &v1::Member) {
    let user = member.user.as_str();
    writes.set_score(names.members(), user.to_owned(), member.joined_at);
    writes.set_fields(names.participants(), [(user, member.name.clone())]);
    let has_role = |member: &v1::Member| member.role() != v1::Role::Member;
    if has_role(member) {
        writes.set_fields(names.roles(), [(user, values::role(member.role()).to_owned())]);
    } else if old.is_some_and(has_role) {
        writes.remove_field(names.roles(), user);
    }
    if !member.badges.is_empty() {
        writes.set_fields(names.badges(), [(user, member.badges.join(" "))]);
    } else if old.is_some_and(|old| !old.badges.is_empty()) {
        writes.remove_field(names.badges(), user);
    }
}

fn drop_member(writes: &mut Writes, names: &Names, old: &v1::Member) {
    writes.remove_member(names.members(), &old.user);
    for key in [names.participants(), names.roles(), names.badges()] {
        writes.remove_field(key, &old.user);
    }
}

fn chat(
    writes: &mut Writes,
    names: &Names,
    (before, after): (&RoomState, &RoomState),
    changed: &BTreeSet<u64>,
    messages: usize,
) {
    let (old, new) = (before.timeline().head(), after.timeline().head());
    // The chat shows the ordinals above this one.
    let below = new.saturating_sub(messages as u64);
    for ordinal in changed.range(below + 1..).copied().take_while(|ordinal| *ordinal <= old) {
        if let Some(message) = after.timeline().get(ordinal) {
            // The message before it was changed lies at its seq too.
            writes.remove_score(names.chat(), message.seq);
            writes.set_score(names.chat(), values::message(message), message.seq);
        }
    }
    for ordinal in old.max(below) + 1..=new {
        if let Some(message) = after.timeline().get(ordinal) {
            writes.set_score(names.chat(), values::message(message), message.seq);
        }
    }
    if new > old && below > 0 {
        writes.keep_highest(names.chat(), messages);
    }
}

fn game(
    writes: &mut Writes,
    names: &Names,
    (before, after): (&Counters, &Counters),
    users: &BTreeSet<&str>,
    all: bool,
) {
    if all {
        players(writes, names, after);
    } else {
        let scores = users.iter().filter_map(|user| after.score(user));
        scores.for_each(|score| put_player(writes, names, score));
    }
    for team in before.teams().iter().filter(|team| after.team(&team.name).is_none()) {
        writes.delete(names.team_score(&team.name));
        writes.delete(names.team_members(&team.name));
        writes.remove_member(names.teams(), &team.name);
    }
    for team in after.teams().iter().filter(|team| before.team(&team.name) != Some(team)) {
        put_team(writes, names, team);
    }
    match (has_game(before), has_game(after)) {
        (true, false) => writes.delete(names.total()),
        (true, true) if before.total() == after.total() => {}
        (_, true) => writes.set(names.total(), after.total().to_string()),
        (false, false) => {}
    }
}

fn players(writes: &mut Writes, names: &Names, counters: &Counters) {
    counters.leaders(0).for_each(|score| put_player(writes, names, score));
}

fn put_player(writes: &mut Writes, names: &Names, score: &v1::Score) {
    writes.set_fields(names.players(), [(score.user.as_str(), values::player(score))]);
    writes.set_score(names.leaderboard(), score.user.clone(), score.score);
}

fn put_team(writes: &mut Writes, names: &Names, team: &v1::Team) {
    writes.set(names.team_score(&team.name), team.score.to_string());
    writes.set(names.team_members(&team.name), team.members.to_string());
    writes.set_score(names.teams(), team.name.clone(), team.score);
}

fn has_game(counters: &Counters) -> bool {
    !counters.is_empty() || !counters.teams().is_empty()
}
