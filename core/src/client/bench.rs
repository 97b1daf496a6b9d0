use alloc::boxed::Box;

use super::content::{Active, Background, Base, Cached, Content, Light};
use crate::{RoomId, Tier, text, v1};

/// A room's content in pieces, while a transition works on it.
#[derive(Default)]
pub(super) struct Bench {
    pub(super) active: Option<Box<Active>>,
    light: Option<Light>,
    base: Option<Base>,
    summary: Option<v1::RoomSummary>,
}

impl Bench {
    pub(super) fn clear(content: Content) -> Bench {
        match content {
            Content::Unloaded => Bench::default(),
            Content::Cached(cached) => {
                Bench { summary: Some(cached.summary), base: cached.base, ..Bench::default() }
            }
            Content::Background(background) => {
                Bench { light: Some(background.light), base: background.base, ..Bench::default() }
            }
            Content::Active(mut active) => match active.before.take() {
                // One that was still being loaded has nothing but what it had before.
                Some(before) if !active.is_loaded() => {
                    Bench { summary: Some(before.summary), base: before.base, ..Bench::default() }
                }
                _ => Bench { active: Some(active), ..Bench::default() },
            },
        }
    }

    pub(super) fn messages(&self) -> u64 {
        let active = self.active.as_ref().map_or(0, |active| active.state.timeline().head());
        let light = self.light.as_ref().map_or(0, |light| light.messages);
        active.max(light).max(self.summary.as_ref().map_or(0, |summary| summary.messages))
    }

    /// Makes the replica from the base; where that lies in the host's storage, it is to be loaded first.
    pub(super) fn restore(&mut self, id: &RoomId) {
        let mut active = Box::new(Active::empty(id));
        if self.summary.is_none() {
            self.summarize(id);
        }
        active.user_count = self.summary.as_ref().map_or(0, |summary| summary.user_count);
        match self.base.take() {
            Some(base) if base.packed.is_some() => {
                if let Some(state) = base.restore(id) {
                    active.state = state;
                }
            }
            Some(base) => {
                let summary = self.summary.take().unwrap_or_default();
                active.before = Some(Box::new(Cached { summary, base: Some(base) }));
            }
            None => {}
        }
        self.active = Some(active);
    }

    pub(super) fn compress(&mut self) {
        if let Some(active) = self.active.as_ref().filter(|active| active.is_loaded()) {
            self.base = Some(Base::of(&active.state, active.user_count));
        }
    }

    pub(super) fn project(&mut self, id: &RoomId) {
        let restored = || self.base.as_ref().and_then(|base| base.restore(id));
        self.light = Some(match (&self.active, &self.summary) {
            (Some(active), _) => Light::of(&active.state, active.user_count),
            (None, Some(summary)) => match restored() {
                Some(state) => Light::of(&state, summary.user_count),
                None => Light::of_summary(summary),
            },
            (None, None) => Light::default(),
        });
    }

    pub(super) fn summarize(&mut self, id: &RoomId) {
        let before = self.summary.take();
        self.summary = Some(match (&self.active, &self.light) {
            (Some(active), _) => v1::RoomSummary { user_count: active.user_count, ..active.state.summary() },
            (None, Some(light)) => light.summary(id),
            (None, None) => before
                .unwrap_or_else(|| v1::RoomSummary { room_id: id.as_str().into(), ..Default::default() }),
        });
    }

    pub(super) fn finish(self, tier: Tier) -> Content {
        match tier {
            Tier::Unloaded => Content::Unloaded,
            Tier::Cached => Content::Cached(Box::new(Cached {
                summary: short(self.summary.unwrap_or_default()),
                base: self.base,
            })),
            Tier::Background => Content::Background(Box::new(Background {
                light: self.light.unwrap_or_default(),
                base: self.base,
            })),
            Tier::Active => self.active.map_or(Content::Unloaded, Content::Active),
        }
    }
}

/// A summary as a Cached room keeps it in memory: of the last message no more than a row shows.
pub(super) fn short(mut summary: v1::RoomSummary) -> v1::RoomSummary {
    if let Some(last) = &mut summary.last_message {
        last.text = text::excerpt(&last.text).into();
        last.mentions = Default::default();
        last.reactions = Default::default();
    }
    summary
}
