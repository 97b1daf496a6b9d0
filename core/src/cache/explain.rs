//! Why a room stays or goes, as data and as text.

use alloc::string::String;

use super::{Frequency, PolicyKind, Terms};
use crate::tier::TierReason;
use crate::{Millis, Tier};

/// What becomes of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is held in this tier, and something keeps it there: it is not evicted, however full the cache is.
    Pinned(Tier, TierReason),
    /// It is Cached, and others would go before it.
    Kept,
    /// It is Cached, and if one had to go now, it would be this one.
    EvictNext,
    /// It went, then and for this reason. Everything beside tells how things stood just before.
    Evicted(Millis, TierReason),
    /// It is not held, and it is not known here why.
    NotHeld,
}

/// Why a room stays or goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What becomes of it.
    pub decision: Decision,
    /// The policy that chooses among Cached rooms that nothing keeps.
    pub policy: PolicyKind,
    /// How much the policy wants to keep it, if it is Cached; the least goes first.
    pub worth: u32,
    /// The four terms, whatever the policy.
    pub terms: Terms,
    /// How often it is used.
    pub frequency: Frequency,
    /// Visits on this device, as far as they are remembered.
    pub visits: u32,
    /// The last of them.
    pub last_visit: Option<Millis>,
    /// How much it matters to the user, 0 to 10.
    pub priority: u8,
    /// Milliseconds that it may stay Cached unless something keeps it, by how often it is used.
    pub ttl: u64,
    /// How many of them are left; none also where it is not Cached.
    pub remaining: u64,
    /// Rooms in the cache, and how many there should be at most. There are more where everything is kept.
    pub cached: (usize, usize),
}

impl Explanation {
    /// The same in words, for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        match self.decision {
            Decision::Pinned(tier, reason) => {
                say(&mut text, &["It is kept ", tier.name(), ". ", reason.text()])
            }
            Decision::Kept => {
                say(&mut text, &["It is kept: the policy ", self.policy.name(), " would drop others first."])
            }
            Decision::EvictNext => {
                say(&mut text, &["It goes next: to the policy ", self.policy.name(), " it is worth least."]);
            }
            Decision::Evicted(_, reason) => say(&mut text, &["It was dropped. ", reason.text()]),
            Decision::NotHeld => say(&mut text, &["It is not held on this device."]),
        }
        if self.cached.0 > self.cached.1 {
            say(&mut text, &[" The cache is over its size, because something keeps every room in it."]);
        }
        say(&mut text, &[" Visits: "]);
        number(&mut text, u64::from(self.visits), 1);
        say(&mut text, &[", use: ", self.frequency.name(), ", may stay for minutes: "]);
        number(&mut text, self.ttl / 60_000, 1);
        say(&mut text, &[", left: "]);
        number(&mut text, self.remaining / 60_000, 1);
        let terms = &self.terms;
        let named = [
            (". Score ", terms.score),
            (" = 0.3 x age ", terms.age),
            (" + 0.3 x access ", terms.access),
            (" + 0.3 x recency ", terms.recency),
            (" + 0.1 x priority ", terms.priority),
        ];
        for (name, ppm) in named {
            say(&mut text, &[name]);
            number(&mut text, u64::from(ppm) / 1_000_000, 1);
            text.push('.');
            number(&mut text, u64::from(ppm) % 1_000_000 / 1_000, 3);
        }
        text.push('.');
        text
    }
}

fn say(text: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| text.push_str(part));
}

/// A number with at least so many digits.
fn number(text: &mut String, number: u64, digits: usize) {
    if number >= 10 || digits > 1 {
        self::number(text, number / 10, digits.saturating_sub(1));
    }
    text.push(char::from(b'0' + (number % 10) as u8));
}
