//! What happens to one message after it was posted: the rules by which the log changes it, and by which a client shows
//! what will become of it.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::op::{self, Body};
use crate::{Entry, limits, v1};

/// The message that an entry made, before anything changed it.
pub(crate) fn posted(entry: Entry) -> Option<v1::Message> {
    let Some(Body::PostMessage(post)) = entry.body else { return None };
    Some(v1::Message {
        id: Some(entry.op_id.wire()),
        seq: entry.seq,
        ordinal: entry.ordinal,
        author: entry.author,
        author_name: entry.author_name,
        at: entry.at.0,
        text: post.text,
        mentions: post.mentions,
        reply_to: post.reply_to,
        ..Default::default()
    })
}

/// Applies an operation to the message that it is about. Returns whether that made a difference: to give a reaction
/// twice, or to take back one that is not there, makes none, and nothing happens to a message that was deleted.
pub(crate) fn change(message: &mut v1::Message, body: &Body, author: &str, at: u64) -> bool {
    if message.deleted {
        return false;
    }
    match body {
        Body::EditMessage(edit) => {
            message.text.clone_from(&edit.text);
            message.mentions.clone_from(&edit.mentions);
            message.edited_at = at;
            true
        }
        Body::DeleteMessage(_) => {
            // Its place stays, so that ordinals have no gaps.
            *message = v1::Message {
                id: message.id,
                seq: message.seq,
                ordinal: message.ordinal,
                author: core::mem::take(&mut message.author),
                author_name: core::mem::take(&mut message.author_name),
                at: message.at,
                deleted: true,
                ..Default::default()
            };
            true
        }
        Body::React(react) if react.removed => take_back(&mut message.reactions, &react.reaction, author),
        Body::React(react) => may_react(message, &react.reaction, author) && give(message, react, author),
        Body::Pin(pin) => core::mem::replace(&mut message.pinned, !pin.removed) == pin.removed,
        _ => false,
    }
}

/// Applies an entry, unless it is about another message or was applied already. Returns whether that made a difference.
pub(crate) fn replay(message: &mut v1::Message, entry: &Entry) -> bool {
    let Some(body) = &entry.body else { return false };
    let is_its = op::target(body).is_some_and(|(id, _)| message.id == Some(id.wire()));
    let is_changed =
        is_its && entry.seq > message.changed_seq && change(message, body, &entry.author, entry.at.0);
    if is_changed {
        message.changed_seq = entry.seq;
    }
    is_changed
}

/// Whether the message takes one more reaction, or has this one from this user.
pub(crate) fn may_react(message: &v1::Message, reaction: &str, user: &str) -> bool {
    let of = message.reactions.iter().find(|known| known.reaction == reaction);
    if of.is_some_and(|known| place(&known.users, user).is_ok()) {
        return true;
    }
    let given: usize = message.reactions.iter().map(|known| known.users.len()).sum();
    given < limits::REACTED && (of.is_some() || message.reactions.len() < limits::REACTIONS)
}

fn give(message: &mut v1::Message, react: &v1::React, user: &str) -> bool {
    let known = message.reactions.iter_mut().find(|known| known.reaction == react.reaction);
    match known {
        Some(known) => {
            let place = place(&known.users, user);
            place.map_err(|place| known.users.insert(place, user.to_string())).is_err()
        }
        None => {
            let reaction = react.reaction.clone();
            message.reactions.push(v1::Reaction { reaction, users: alloc::vec![user.to_string()] });
            true
        }
    }
}

fn take_back(reactions: &mut Vec<v1::Reaction>, reaction: &str, user: &str) -> bool {
    let Some(at) = reactions.iter().position(|known| known.reaction == reaction) else { return false };
    let users = &mut reactions[at].users;
    let Ok(place) = place(users, user) else { return false };
    users.remove(place);
    if users.is_empty() {
        reactions.remove(at);
    }
    true
}

fn place(users: &[String], user: &str) -> Result<usize, usize> {
    users.binary_search_by(|known| known.as_str().cmp(user))
}

/// Whether a message that came is no worse than the one that is held: the same, or changed since.
pub(super) fn is_newer(came: &v1::Message, held: &v1::Message) -> bool {
    came.changed_seq > held.changed_seq
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    fn react(reaction: &str, removed: bool) -> Body {
        Body::React(v1::React { reaction: reaction.into(), removed, ..Default::default() })
    }

    #[test]
    fn a_reaction_given_twice_counts_once_and_the_last_one_taken_back_leaves_nothing() {
        let mut message = v1::Message { text: "hi".into(), ..Default::default() };
        assert!(change(&mut message, &react("👍", false), "ben", 1));
        assert!(change(&mut message, &react("👍", false), "ann", 1));
        assert!(!change(&mut message, &react("👍", false), "ben", 1));
        assert_eq!(message.reactions[0].users, ["ann", "ben"]);
        assert!(change(&mut message, &react("👍", true), "ann", 1));
        assert!(!change(&mut message, &react("👍", true), "ann", 1));
        assert!(change(&mut message, &react("👍", true), "ben", 1));
        assert!(message.reactions.is_empty());
    }

    #[test]
    fn reactions_are_bounded_by_kind_and_in_all() {
        let mut message = v1::Message::default();
        for number in 0..=limits::REACTIONS {
            let given = change(&mut message, &react(&format!("r{number}"), false), "ann", 1);
            assert_eq!(given, number < limits::REACTIONS);
        }
        for user in 0..limits::REACTED {
            change(&mut message, &react("r0", false), &format!("user{user}"), 1);
        }
        let given: usize = message.reactions.iter().map(|known| known.users.len()).sum();
        assert_eq!(given, limits::REACTED);
        // What was given can be given again, and taken back.
        assert!(may_react(&message, "r0", "ann") && !may_react(&message, "r0", "zoe"));
        assert!(change(&mut message, &react("r0", true), "ann", 1) && may_react(&message, "r0", "zoe"));
    }

    #[test]
    fn of_a_deleted_message_its_place_and_author_stay() {
        let mut message = v1::Message {
            id: Some(v1::OpId { client: 1, counter: 2 }),
            seq: 9,
            ordinal: 4,
            author: "ann".into(),
            at: 5,
            text: "secret".into(),
            mentions: ["ben".into()].into(),
            pinned: true,
            ..Default::default()
        };
        change(&mut message, &react("👍", false), "ben", 6);
        assert!(change(&mut message, &Body::DeleteMessage(Default::default()), "ann", 7));
        let left = v1::Message {
            id: message.id,
            seq: 9,
            ordinal: 4,
            author: "ann".into(),
            at: 5,
            deleted: true,
            ..Default::default()
        };
        assert_eq!(message, left);
        assert!(!change(&mut message, &react("👍", false), "ben", 8));
    }
}
