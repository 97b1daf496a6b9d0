//! The keys of a user's inbox, and the server's settings.

use std::collections::BTreeSet;

use enfilade_core::op::Body;
use enfilade_core::state::Change;
use enfilade_core::v1::FriendState;
use enfilade_core::{Entry, RoomState, limits};

use super::names::Names;
use super::values;
use super::writes::Writes;

/// Every key that an inbox has, or may have.
pub(super) fn keys(names: &Names) -> Vec<String> {
    vec![
        names.profile(),
        names.friends(),
        names.contacts(),
        names.settings(),
        names.rooms(),
        names.notifications(),
    ]
}

pub(super) fn whole(writes: &mut Writes, names: &Names, state: &RoomState) {
    keys(names).into_iter().for_each(|key| writes.delete(key));
    profile(writes, names, state);
    for contact in state.contacts().iter() {
        put_contact(writes, names, state, &contact.user);
    }
    settings(writes, names.settings(), state);
    for known in state.inbox().followings() {
        writes.set_fields(names.rooms(), [(known.room_id.as_str(), values::following(known))]);
    }
    writes.push(names.notifications(), state.inbox().notifications().map(values::notification));
}

/// What has changed. Whom a change of contacts is about, the entries say.
pub(super) fn changed(
    writes: &mut Writes,
    names: &Names,
    (before, after): (&RoomState, &RoomState),
    changes: &[Change],
    entries: &dyn Fn() -> Vec<Entry>,
) {
    profile(writes, names, after);
    settings_changed(writes, &names.settings(), after, changes);
    if changes.contains(&Change::Contacts) {
        let entries = entries();
        let users: BTreeSet<&str> = entries.iter().filter_map(contact_of).collect();
        for user in users {
            if before.contacts().get(user) != after.contacts().get(user) {
                drop_contact(writes, names, before, user);
                put_contact(writes, names, after, user);
            }
        }
    }
    let rooms: BTreeSet<&str> = changes.iter().filter_map(followed).collect();
    for known in rooms.into_iter().filter_map(|room| after.inbox().following(room)) {
        writes.set_fields(names.rooms(), [(known.room_id.as_str(), values::following(known))]);
    }
    let all = after.inbox().notifications();
    let new = changes.iter().filter(|change| matches!(change, Change::Notified(_))).count().min(all.len());
    if new > 0 {
        let skipped = all.len() - new;
        writes.push(names.notifications(), all.skip(skipped).map(values::notification));
        writes.keep_last(names.notifications(), limits::NOTIFICATIONS);
    }
}

/// All registers of a map of settings, in a hash of this name.
pub(super) fn settings(writes: &mut Writes, key: String, state: &RoomState) {
    for element in state.map().ordered() {
        writes.set_fields(key.clone(), [(element.key.as_str(), values::setting(&element.value))]);
    }
}

pub(super) fn settings_changed(writes: &mut Writes, key: &str, after: &RoomState, changes: &[Change]) {
    let written = changes.iter().filter_map(|change| match change {
        Change::Element(name) => Some(name.as_str()),
        _ => None,
    });
    for name in written.collect::<BTreeSet<_>>() {
        match after.map().get(name).filter(|element| element.deleted_at == 0) {
            Some(element) => writes.set_fields(key.to_owned(), [(name, values::setting(&element.value))]),
            None => writes.remove_field(key.to_owned(), name),
        }
    }
}

/// Small enough to be written with every entry.
fn profile(writes: &mut Writes, names: &Names, state: &RoomState) {
    let status = state.contacts().status().cloned().unwrap_or_default();
    let position = state.position();
    let fields = [
        ("user_id", state.id().inbox_owner().unwrap_or_default().to_owned()),
        ("status", values::availability(status.availability()).to_owned()),
        ("status_until", status.until.to_string()),
        ("status_text", status.text),
        ("last_activity", state.last_at().0.to_string()),
        ("epoch", position.epoch.to_string()),
        ("seq", position.seq.to_string()),
    ];
    writes.set_fields(names.profile(), fields);
}

fn put_contact(writes: &mut Writes, names: &Names, state: &RoomState, user: &str) {
    let Some(contact) = state.contacts().get(user) else { return };
    if contact.friend() == FriendState::Friends {
        writes.add(names.friends(), user);
    }
    if let Some(standing) = values::contact(contact) {
        writes.set_fields(names.contacts(), [(user, standing.to_owned())]);
    }
}

fn drop_contact(writes: &mut Writes, names: &Names, state: &RoomState, user: &str) {
    let Some(contact) = state.contacts().get(user) else { return };
    if contact.friend() == FriendState::Friends {
        writes.remove(names.friends(), user);
    }
    if values::contact(contact).is_some() {
        writes.remove_field(names.contacts(), user);
    }
}

fn followed(change: &Change) -> Option<&str> {
    match change {
        Change::Following(room) => Some(room),
        _ => None,
    }
}

/// The user whom an operation on contacts is about.
fn contact_of(entry: &Entry) -> Option<&str> {
    Some(match entry.body.as_ref()? {
        Body::RequestFriend(ask) => &ask.user,
        Body::AnswerFriend(answer) => &answer.user,
        Body::RemoveFriend(remove) => &remove.user,
        Body::BlockUser(block) => &block.user,
        Body::FollowUser(follow) => &follow.user,
        Body::FriendNews(news) => &news.user,
        Body::FriendStatus(news) => &news.user,
        _ => return None,
    })
}
