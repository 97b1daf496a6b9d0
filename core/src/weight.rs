//! What things weigh in memory, in bytes: equal on every platform, so that what a budget drops is so too. The fixed
//! parts are those of 64-bit machines, with what an allocator adds; a test holds them against a counting allocator.

use crate::v1;

/// A message without its texts, and its place in the timeline's index.
const MESSAGE: usize = 480;
/// A text of its own: pointer, length, and the allocator's share.
const TEXT: usize = 40;
/// A member without its texts.
const MEMBER: usize = 320;
/// A score, and its places in the rankings.
pub(crate) const SCORE: usize = 384;
/// A room that an inbox follows, with mentions as they mostly are.
pub(crate) const FOLLOWING: usize = 256;
/// A notification with its excerpt.
pub(crate) const NOTIFICATION: usize = 640;
/// Somebody who is present.
pub(crate) const PRESENT: usize = 256;
/// What is held of a room besides its content: times, counters, its place in the map.
pub(crate) const ROOM: usize = 1_024;
/// A summary without its texts.
const SUMMARY: usize = 512;

pub(crate) fn message(message: &v1::Message) -> usize {
    let texts = message.text.len() + message.author.len() + message.author_name.len();
    let mentions: usize = message.mentions.iter().map(|user| user.len() + TEXT).sum();
    let reactions = message.reactions.iter().map(|reaction| {
        let users: usize = reaction.users.iter().map(|user| user.len() + TEXT).sum();
        reaction.reaction.len() + 2 * TEXT + users
    });
    MESSAGE + texts + mentions + reactions.sum::<usize>()
}

pub(crate) fn member(member: &v1::Member) -> usize {
    let badges: usize = member.badges.iter().map(|badge| badge.len() + TEXT).sum();
    // The id is the key as well.
    MEMBER + 2 * member.user.len() + member.name.len() + member.color.len() + badges
}

pub(crate) fn summary(summary: &v1::RoomSummary) -> usize {
    let texts = summary.room_id.len() + summary.name.len() + summary.topic.len();
    SUMMARY + texts + summary.last_message.as_ref().map_or(0, message) + summary.users.len() * PRESENT
}
