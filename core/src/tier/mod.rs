#![doc = include_str!("../docs/tiers.md")]

pub mod budget;

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

    /// The stable name, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Tier::Unloaded => "unloaded",
            Tier::Cached => "cached",
            Tier::Background => "background",
            Tier::Active => "active",
        }
    }
}

/// One step of a change of tier. A transition's steps are done in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Begin with an empty replica, which the server fills.
    Open,
    /// Make the replica from the compressed snapshot, or empty where there is none; what it shows is stale until the
    /// server has answered.
    Restore,
    /// Pack the replica into a compressed snapshot: the base from which the room is resumed.
    Compress,
    /// Make the light projection from the best that is held.
    Project,
    /// Keep what a room list shows.
    Summarize,
    /// Write the snapshot to the host's storage.
    Persist,
    /// Delete the room's record from the host's storage.
    Forget,
    /// Enter the cache.
    Admit,
    /// Leave the cache.
    Withdraw,
    /// Send the tier and the held position to the server, which answers with what happened since.
    Tell,
}

/// What a change of tier does. All sixteen are defined.
pub fn transition(from: Tier, to: Tier) -> &'static [Step] {
    use Step::{Admit, Compress, Forget, Open, Persist, Project, Restore, Summarize, Tell, Withdraw};
    use Tier::{Active, Background, Cached, Unloaded};
    match (from, to) {
        (Unloaded, Unloaded) => &[],
        (Unloaded, Cached) => &[Summarize, Admit, Tell],
        (Unloaded, Background) => &[Project, Tell],
        (Unloaded, Active) => &[Open, Tell],

        (Cached, Unloaded) => &[Withdraw, Forget, Tell],
        (Cached, Cached) => &[Admit],
        (Cached, Background) => &[Withdraw, Project, Tell],
        (Cached, Active) => &[Withdraw, Restore, Tell],

        (Background, Unloaded) => &[Forget, Tell],
        (Background, Cached) => &[Summarize, Admit, Tell],
        (Background, Background) => &[],
        (Background, Active) => &[Restore, Tell],

        (Active, Unloaded) => &[Forget, Tell],
        (Active, Cached) => &[Compress, Persist, Summarize, Admit, Tell],
        (Active, Background) => &[Compress, Persist, Project, Tell],
        (Active, Active) => &[],
    }
}

macro_rules! reasons {
    ($($(#[$meta:meta])* $reason:ident $name:literal $text:literal;)*) => {
        /// Why a room is in the tier that it is in.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum TierReason { $($(#[$meta])* #[doc = $text] $reason,)* }

        impl TierReason {
            /// The stable name, in snake case.
            pub fn name(self) -> &'static str {
                match self { $(TierReason::$reason => $name,)* }
            }

            /// A sentence for people.
            pub fn text(self) -> &'static str {
                match self { $(TierReason::$reason => $text,)* }
            }
        }
    };
}

reasons! {
    #[default] NeverOpened "never_opened" "It has not been opened on this device.";
    Acquired "acquired" "It is open.";
    Released "released" "It was left a moment ago.";
    IdleInBackground "idle_in_background" "It was left a while ago.";
    CacheFull "cache_full" "The cache was full, and this room was the least likely to be opened soon.";
    CacheExpired "cache_expired" "It was not used for so long that its snapshot was dropped.";
    Explicit "explicit" "The app has put it there.";
    UnsentKept "unsent_kept" "It is kept because something written here has not been sent yet.";
    UnreadKept "unread_kept" "It is kept because it has unread messages.";
    LiveRoomsFull "live_rooms_full" "More rooms were live than may be, and this one was left longest ago.";
    LimitReached "limit_reached" "The server allows no more live rooms.";
    ServerAdvice "server_advice" "The server has advised it.";
    OverBudget "over_budget" "It took more of the connection than its budget.";
    NotFound "not_found" "The server has no such room.";
    Refused "refused" "The server does not let you read it.";
    Restored "restored" "Its snapshot was found in this device's storage.";
    Predicted "predicted" "It is likely to be next.";
    OwnInbox "own_inbox" "It is your inbox, which is live whenever you are online.";
}

#[cfg(test)]
mod tests;
