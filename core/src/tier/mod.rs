//! How much of a room a client holds and receives.

use crate::v1;

/// How much of a room a client holds and receives: a contract that both ends keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// The id. Nothing is received.
    #[default]
    Unloaded,
    /// What a room list shows, and a compressed snapshot. The head is received at heartbeat time.
    Cached,
    /// Counts, configuration and the last 50 messages. At most one update a second is received.
    Background,
    /// Everything, as it happens.
    Active,
}

impl Tier {
    /// All four, ascending.
    pub const ALL: [Tier; 4] = [Tier::Unloaded, Tier::Cached, Tier::Background, Tier::Active];

    /// The protobuf form.
    pub fn wire(self) -> v1::Tier {
        match self {
            Tier::Unloaded => v1::Tier::Unloaded,
            Tier::Cached => v1::Tier::Cached,
            Tier::Background => v1::Tier::Background,
            Tier::Active => v1::Tier::Active,
        }
    }

    /// Takes a tier that came over the wire; `None` for one that this version does not know.
    pub fn from_wire(number: i32) -> Option<Tier> {
        match v1::Tier::try_from(number).ok()? {
            v1::Tier::Unloaded => Some(Tier::Unloaded),
            v1::Tier::Cached => Some(Tier::Cached),
            v1::Tier::Background => Some(Tier::Background),
            v1::Tier::Active => Some(Tier::Active),
        }
    }
}
