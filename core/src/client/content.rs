//! What a room holds in each tier.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use prost::Message as _;

use crate::presence::Presence;
use crate::{OpId, Position, RoomId, RoomState, Tier, compress, limits, v1, weight};

/// What is held of a room. One tier's fields exist in that tier alone.
#[derive(Debug, Default)]
pub(super) enum Content {
    #[default]
    Unloaded,
    Cached(Box<Cached>),
    Background(Box<Background>),
    Active(Box<Active>),
}

#[derive(Debug)]
pub(super) struct Active {
    pub(super) state: RoomState,
    pub(super) presence: Presence,
    /// Users present, where presence names fewer.
    pub(super) user_count: u32,
    /// What there is to show, and to resume from, while the snapshot is being loaded.
    pub(super) before: Option<Box<Cached>>,
}

#[derive(Debug, Default)]
pub(super) struct Background {
    pub(super) light: Light,
    pub(super) base: Option<Base>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Cached {
    pub(super) summary: v1::RoomSummary,
    pub(super) base: Option<Base>,
}

/// The light projection: counts, configuration, the newest messages.
#[derive(Clone, Debug, Default)]
pub(super) struct Light {
    pub(super) seen: Position,
    pub(super) info: Option<v1::RoomInfo>,
    pub(super) config: v1::RoomConfig,
    /// Of how the room is run; 0 where it is not known.
    pub(super) fingerprint: u64,
    pub(super) user_count: u32,
    pub(super) member_count: u32,
    /// How many messages the room has had.
    pub(super) messages: u64,
    pub(super) recent: VecDeque<Arc<v1::Message>>,
    /// How many messages are missing before the first, of those that were posted since the ones shown before.
    pub(super) missed: u64,
    pub(super) last_activity: u64,
    /// A heartbeat has spoken of entries that no update has shown yet.
    pub(super) is_behind: bool,
}

/// A full state from which the room is resumed. It lies in the host's storage, and where it fits in memory as well.
#[derive(Clone, Debug)]
pub(super) struct Base {
    pub(super) position: Position,
    /// Of the state, as it travels.
    pub(super) digest: u64,
    /// An encoded [`v1::CompressedRoom`].
    pub(super) packed: Option<Arc<[u8]>>,
}

impl Content {
    pub(super) fn tier(&self) -> Tier {
        match self {
            Content::Unloaded => Tier::Unloaded,
            Content::Cached(_) => Tier::Cached,
            Content::Background(_) => Tier::Background,
            Content::Active(_) => Tier::Active,
        }
    }

    /// Position of the full state that is held, from which a room can be resumed.
    pub(super) fn base(&self) -> Option<Position> {
        match self {
            Content::Active(active) if active.is_loaded() => Some(active.state.position()),
            _ => self.stored_base().map(|base| base.position),
        }
    }

    /// The digest of that state.
    pub(super) fn base_digest(&self) -> Option<u64> {
        match self {
            Content::Active(active) if active.is_loaded() => Some(active.state.digest().value()),
            _ => self.stored_base().map(|base| base.digest),
        }
    }

    fn stored_base(&self) -> Option<&Base> {
        match self {
            Content::Unloaded => None,
            Content::Cached(cached) => cached.base.as_ref(),
            Content::Background(background) => background.base.as_ref(),
            Content::Active(active) => active.before.as_ref()?.base.as_ref(),
        }
    }

    /// What a Cached room shows; and one whose snapshot is being loaded.
    pub(super) fn summary(&self) -> Option<&v1::RoomSummary> {
        match self {
            Content::Cached(cached) => Some(&cached.summary),
            Content::Active(active) => Some(&active.before.as_ref()?.summary),
            Content::Background(_) | Content::Unloaded => None,
        }
    }

    /// Where the view is.
    pub(super) fn position(&self) -> Position {
        match self {
            Content::Unloaded => Position::default(),
            Content::Cached(cached) => cached.summary.position.map(Position::from).unwrap_or_default(),
            Content::Background(background) => background.light.seen,
            Content::Active(active) => active.state.position(),
        }
    }

    /// How many messages the room has had, as far as the content knows.
    pub(super) fn messages(&self) -> u64 {
        match self {
            Content::Unloaded => 0,
            Content::Cached(cached) => cached.summary.messages,
            Content::Background(background) => background.light.messages,
            Content::Active(active) => active.state.timeline().head(),
        }
    }

    /// Whether the view shows the message that this operation made.
    pub(super) fn shows(&self, id: OpId) -> bool {
        match self {
            Content::Unloaded | Content::Cached(_) => false,
            Content::Background(background) => {
                background.light.recent.iter().any(|message| message.id == Some(id.wire()))
            }
            Content::Active(active) => active.state.timeline().by_id(id).is_some(),
        }
    }
}

impl Active {
    pub(super) fn empty(id: &RoomId) -> Active {
        let state = RoomState::replica(id.clone());
        Active { state, presence: Presence::default(), user_count: 0, before: None }
    }

    /// Whether the state is the server's, of any age. Epoch 0 is nobody's.
    pub(super) fn is_loaded(&self) -> bool {
        self.state.position().epoch != 0
    }
}

impl Base {
    /// Packs a state as the base from which the room is resumed later.
    pub(super) fn of(state: &RoomState, user_count: u32) -> Base {
        let packed = compress::pack(state, user_count).encode_to_vec();
        Base { position: state.position(), digest: state.digest().value(), packed: Some(packed.into()) }
    }

    /// The state, where it lies in memory.
    pub(super) fn restore(&self, id: &RoomId) -> Option<RoomState> {
        compress::read(id, self.packed.as_ref()?).and_then(|room| compress::open(id, &room)).ok()
    }
}

impl Light {
    pub(super) fn of(state: &RoomState, user_count: u32) -> Light {
        let timeline = state.timeline();
        let skipped = timeline.len().saturating_sub(limits::BACKGROUND_MESSAGES).max(timeline.settled());
        Light {
            seen: state.position(),
            info: state.info().cloned(),
            config: *state.config(),
            fingerprint: compress::config_fingerprint(state),
            user_count,
            member_count: state.members().len() as u32,
            messages: timeline.head(),
            recent: timeline.iter().skip(skipped).cloned().collect(),
            missed: 0,
            last_activity: state.last_at().0,
            is_behind: false,
        }
    }

    pub(super) fn of_summary(summary: &v1::RoomSummary) -> Light {
        let info = (!summary.name.is_empty()).then(|| v1::RoomInfo {
            name: summary.name.clone(),
            topic: summary.topic.clone(),
            visibility: summary.visibility,
            owner: Default::default(),
            created_at: summary.created_at,
        });
        Light {
            // Of the summary's position nothing but the counts was seen; what is shown is of its log.
            seen: Position { seq: 0, ..summary.position.map(Position::from).unwrap_or_default() },
            info,
            user_count: summary.user_count,
            member_count: summary.member_count,
            messages: summary.messages,
            recent: summary.last_message.iter().cloned().map(Arc::new).collect(),
            last_activity: summary.last_activity,
            ..Light::default()
        }
    }

    /// Bytes in memory. There are at most fifty messages to be weighed.
    pub(super) fn memory(&self) -> usize {
        let texts = self.info.as_ref().map_or(0, |info| info.name.len() + info.topic.len());
        texts + self.recent.iter().map(|message| weight::message(message)).sum::<usize>()
    }

    /// Forgets the oldest messages, so many bytes of them, but not the newest. Returns the ordinal before which they went.
    pub(super) fn lighten(&mut self, bytes: usize) -> Option<u64> {
        let mut freed = 0;
        let before = self.recent.len();
        while freed < bytes && self.recent.len() > 1 {
            freed += self.recent.pop_front().map_or(0, |message| weight::message(&message));
        }
        self.recent.front().filter(|_| self.recent.len() < before).map(|first| first.ordinal)
    }

    pub(super) fn summary(&self, id: &RoomId) -> v1::RoomSummary {
        let info = self.info.clone().unwrap_or_default();
        v1::RoomSummary {
            room_id: id.as_str().into(),
            position: Some(self.seen.wire()),
            messages: self.messages,
            name: info.name,
            topic: info.topic,
            visibility: info.visibility,
            member_count: self.member_count,
            last_activity: self.last_activity,
            last_message: self.recent.back().map(|message| v1::Message::clone(message)),
            user_count: self.user_count,
            users: Vec::new(),
            following: None,
            created_at: info.created_at,
        }
    }

    /// Takes what is new, ascending. Of the room's last messages as many are held as may be; where some between are
    /// missing, there is a gap. Returns the ordinals added, and the one below which messages went.
    pub(super) fn extend(&mut self, messages: Vec<v1::Message>) -> (Vec<u64>, Option<u64>) {
        let mut added = Vec::new();
        let mut dropped_before = None;
        for message in messages {
            let last = self.recent.back().map(|last| last.ordinal);
            if last.is_some_and(|last| message.ordinal <= last) {
                continue;
            }
            self.last_activity = self.last_activity.max(message.at);
            added.push(message.ordinal);
            self.recent.push_back(Arc::new(message));
            // Of others than the room's last the server does not say whether they change.
            let held = limits::BACKGROUND_MESSAGES as u64;
            let oldest = self.recent.back().map_or(0, |last| (last.ordinal + 1).saturating_sub(held));
            while self.recent.front().is_some_and(|first| first.ordinal < oldest)
                && let Some(gone) = self.recent.pop_front()
            {
                let first = self.recent.front().map_or(0, |first| first.ordinal);
                self.missed = first.saturating_sub(gone.ordinal + 1);
                dropped_before = Some(first);
            }
        }
        (added, dropped_before)
    }

    /// Takes messages that are held and have changed. Returns the ordinals of those that differ from what was held.
    pub(super) fn take_changed(&mut self, messages: Vec<v1::Message>) -> Vec<u64> {
        let mut changed = Vec::new();
        for message in messages {
            let place = self.recent.binary_search_by(|held| held.ordinal.cmp(&message.ordinal));
            let held = place.ok().and_then(|place| self.recent.get_mut(place));
            if let Some(held) = held
                && held.changed_seq < message.changed_seq
            {
                changed.push(message.ordinal);
                *held = Arc::new(message);
            }
        }
        changed
    }

    /// Takes the whole projection: the messages in it, and none besides.
    pub(super) fn replace(&mut self, messages: Vec<v1::Message>) {
        let last = self.recent.back().map_or(0, |last| last.ordinal);
        let first = messages.first().map_or(0, |first| first.ordinal);
        self.missed = if last == 0 { 0 } else { first.saturating_sub(last + 1) };
        self.last_activity = self.last_activity.max(messages.last().map_or(0, |last| last.at));
        self.recent = messages.into_iter().map(Arc::new).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(ordinals: core::ops::RangeInclusive<u64>) -> Vec<v1::Message> {
        ordinals.map(|ordinal| v1::Message { ordinal, ..Default::default() }).collect()
    }

    fn held(light: &Light) -> Vec<u64> {
        light.recent.iter().map(|message| message.ordinal).collect()
    }

    #[test]
    fn the_light_projection_holds_the_last_fifty_messages_and_knows_what_it_has_missed() {
        let mut light = Light::default();
        assert_eq!(light.extend(messages(1..=3)), ([1, 2, 3].into(), None));
        assert_eq!(light.extend(messages(2..=4)), ([4].into(), None));
        assert_eq!(light.extend(messages(7..=8)), ([7, 8].into(), None));
        assert_eq!((held(&light), light.missed), ([1, 2, 3, 4, 7, 8].into(), 0));
        light.extend(messages(9..=53));
        assert_eq!((held(&light)[..3].to_vec(), light.missed), ([4, 7, 8].into(), 0));
        light.extend(messages(54..=100));
        assert_eq!((held(&light), light.missed), ((51..=100).collect(), 0));
        let (_, dropped) = light.extend(messages(160..=200));
        assert_eq!((held(&light), light.missed, dropped), ((160..=200).collect(), 59, Some(160)));
        light.replace(messages(260..=300));
        assert_eq!((held(&light), light.missed), ((260..=300).collect(), 59));
    }

    #[test]
    fn a_change_of_a_message_that_is_held_replaces_it_once_and_others_are_passed_over() {
        let mut light = Light::default();
        light.extend(messages(1..=3));
        let edited = v1::Message { ordinal: 2, changed_seq: 9, text: "new".into(), ..Default::default() };
        let unknown = v1::Message { ordinal: 7, changed_seq: 9, ..Default::default() };
        assert_eq!(light.take_changed([edited.clone(), unknown].into()), Vec::from([2]));
        assert!(light.take_changed([edited].into()).is_empty());
        assert_eq!(light.recent[1].text, "new");
    }
}
