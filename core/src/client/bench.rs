use alloc::boxed::Box;

use super::content::{Active, Background, Cached, Content, Light, Snapshot};
use crate::{RoomId, Tier, v1};

/// A room's content in pieces, while a transition works on it.
#[derive(Default)]
pub(super) struct Bench {
    pub(super) active: Option<Box<Active>>,
    light: Option<Light>,
    base: Option<Snapshot>,
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
            Content::Active(active) => Bench { active: Some(active), ..Bench::default() },
        }
    }

    pub(super) fn messages(&self) -> u64 {
        let active = self.active.as_ref().map_or(0, |active| active.state.timeline().head());
        let light = self.light.as_ref().map_or(0, |light| light.messages);
        active.max(light).max(self.summary.as_ref().map_or(0, |summary| summary.messages))
    }

    pub(super) fn restore(&mut self, id: &RoomId) {
        let mut active = Box::new(Active::empty(id));
        let light = self.light.as_ref().map(|light| light.user_count);
        active.user_count = light.or(self.summary.as_ref().map(|summary| summary.user_count)).unwrap_or(0);
        if let Some(state) = self.base.as_ref().and_then(|base| base.restore(id)) {
            active.state = state;
        }
        self.active = Some(active);
    }

    pub(super) fn compress(&mut self) {
        let loaded = self.active.as_ref().filter(|active| active.is_loaded());
        self.base = loaded.map(|active| Snapshot::of(&active.state));
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
        self.summary = Some(match (&self.active, &self.light) {
            (Some(active), _) => v1::RoomSummary { user_count: active.user_count, ..active.state.summary() },
            (None, Some(light)) => light.summary(id),
            (None, None) => v1::RoomSummary { room_id: id.as_str().into(), ..Default::default() },
        });
    }

    pub(super) fn finish(self, tier: Tier) -> Content {
        match tier {
            Tier::Unloaded => Content::Unloaded,
            Tier::Cached => Content::Cached(Box::new(Cached {
                summary: self.summary.unwrap_or_default(),
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
