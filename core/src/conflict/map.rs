//! Maps, configurations and people of two states of one room.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::timelines;
use crate::state::newer;
use crate::v1::{ConflictMode, ConflictType};
use crate::{limits, v1};

/// Merges two maps element by element, both ascending by key: the higher version holds, on a tie the lower nonce. Of a
/// key that is locked (being edited here) the local element holds, so that nothing moves under somebody's hand.
///
/// Commutative, associative and idempotent, but for locks.
pub fn maps(
    local: &[v1::Element],
    other: &[v1::Element],
    is_locked: impl Fn(&str) -> bool,
) -> Vec<v1::Element> {
    let mut merged = Vec::with_capacity(local.len().max(other.len()));
    let (mut local, mut other) = (local.iter().peekable(), other.iter().peekable());
    loop {
        let order = match (local.peek(), other.peek()) {
            (None, None) => return merged,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(mine), Some(theirs)) => mine.key.cmp(&theirs.key),
        };
        let next = match order {
            Ordering::Less => local.next(),
            Ordering::Greater => other.next(),
            Ordering::Equal => match (local.next(), other.next()) {
                (Some(mine), Some(theirs)) => {
                    Some(if is_locked(&mine.key) { mine } else { newer(mine, theirs) })
                }
                (mine, theirs) => mine.or(theirs),
            },
        };
        merged.extend(next.cloned());
    }
}

/// Somebody in a room, as one client sees them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Person {
    /// Membership, with badges.
    pub member: v1::Member,
    /// Where they are now, if anywhere.
    pub presence: Option<v1::PresentUser>,
    /// What the app keeps of them on this device: selected, collapsed, muted here.
    pub ui_state: Vec<u8>,
}

/// Merges who is in a room: the server says who, with presence, badges and all the rest; what the app keeps of somebody
/// on this device stays. Idempotent; the sides are not equal, so it is not commutative.
pub fn people(local: &[Person], server: &[Person]) -> Vec<Person> {
    let mut kept: Vec<(&String, &Vec<u8>)> =
        local.iter().map(|person| (&person.member.user, &person.ui_state)).collect();
    kept.sort();
    let merge = |person: &Person| {
        let place = kept.binary_search_by(|(user, _)| (*user).cmp(&person.member.user));
        let ui_state = place.map_or_else(|_| person.ui_state.clone(), |place| kept[place].1.clone());
        Person { ui_state, ..person.clone() }
    };
    server.iter().map(merge).collect()
}

/// Resolves a conflict of two states of one room: `local` as it was kept or hosted here, `server` as it is.
/// `None` when the user is to be asked.
///
/// | | server wins | client wins | merge |
/// |---|---|---|---|
/// | message order | the server's timeline | the local timeline | both, [merged](timelines()) |
/// | presence | the server's members; local messages stay | the local members | as when the server wins |
/// | configuration | the server's; all else stays as it is here | the local one | as when the server wins |
/// | everything | the server's state | the local state | the server's, with timelines and [maps] merged |
///
/// A room that has set no mode goes by [`default_mode`](super::default_mode).
pub fn rooms(
    local: &v1::RoomSnapshot,
    server: &v1::RoomSnapshot,
    of: ConflictType,
    mode: ConflictMode,
    is_locked: impl Fn(&str) -> bool,
) -> Option<v1::RoomSnapshot> {
    let mode = if mode == ConflictMode::Unspecified { super::default_mode(of) } else { mode };
    let timeline = || {
        let mut merged = timelines(alloc::vec![local.timeline.clone(), server.timeline.clone()]);
        merged.keep_newest(limits::ACTIVE_MESSAGES);
        merged.messages
    };
    let client_wins = match mode {
        ConflictMode::UserChoice => return None,
        ConflictMode::ClientWins => true,
        ConflictMode::ServerWins | ConflictMode::Merge | ConflictMode::Unspecified => false,
    };
    let chosen = if client_wins { local } else { server };
    Some(match of {
        ConflictType::MessageOrder => {
            let timeline = if mode == ConflictMode::Merge { timeline() } else { chosen.timeline.clone() };
            v1::RoomSnapshot { timeline, ..server.clone() }
        }
        ConflictType::UserPresence => {
            let (members, member_count) = (chosen.members.clone(), chosen.member_count);
            v1::RoomSnapshot { members, member_count, timeline: timeline(), ..server.clone() }
        }
        ConflictType::RoomConfig => {
            v1::RoomSnapshot { info: chosen.info.clone(), config: chosen.config, ..local.clone() }
        }
        ConflictType::ComplexMerge | ConflictType::Unspecified if mode == ConflictMode::Merge => {
            let elements = maps(&local.elements, &server.elements, is_locked);
            v1::RoomSnapshot { elements, timeline: timeline(), ..server.clone() }
        }
        ConflictType::ComplexMerge | ConflictType::Unspecified => chosen.clone(),
    })
}
