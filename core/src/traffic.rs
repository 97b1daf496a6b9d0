//! What goes over the wire, room by room and kind by kind: the same counters at both ends.

use crate::v1::room_state_sync::Data;
use crate::v1::{self, server_frame::Body};

macro_rules! kinds {
    ($($kind:ident $name:literal $text:literal;)*) => {
        /// What a frame about a room is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind { $(#[doc = $text] $kind,)* }

        impl Kind {
            /// Every kind, in the order of [`Traffic::tallies`].
            pub const ALL: [Kind; 8] = [$(Kind::$kind,)*];

            /// The stable name, in snake case.
            pub fn name(self) -> &'static str {
                match self { $(Kind::$kind => $name,)* }
            }
        }
    };
}

kinds! {
    StateUpdate "state_update" "Counts, configuration, presence, and news of a Background room.";
    BulkSync "bulk_sync" "The whole state.";
    DeltaUpdate "delta_update" "Entries.";
    Heartbeat "heartbeat" "Where the room is.";
    Ack "ack" "Acknowledgements and refusals of operations.";
    Signals "signals" "Cursors, typing, notes.";
    History "history" "Pages of older messages.";
    Other "other" "Anything else.";
}

impl Kind {
    /// The kind of a server's frame.
    pub fn of(body: &Body) -> Kind {
        match body {
            Body::RoomStateSync(sync) => Kind::of_sync(sync),
            Body::Ack(_) | Body::Rejection(_) => Kind::Ack,
            Body::Signals(_) => Kind::Signals,
            Body::HistoryPage(_) => Kind::History,
            Body::Welcome(_)
            | Body::Advice(_)
            | Body::Error(_)
            | Body::Heartbeat(_)
            | Body::RoomList(_)
            | Body::TimeReply(_) => Kind::Other,
        }
    }

    /// The kind of a sync frame.
    pub fn of_sync(sync: &v1::RoomStateSync) -> Kind {
        match &sync.data {
            Some(Data::StateUpdate(_)) => Kind::StateUpdate,
            Some(Data::BulkSync(_)) => Kind::BulkSync,
            Some(Data::DeltaUpdate(_)) => Kind::DeltaUpdate,
            Some(Data::Heartbeat(_)) => Kind::Heartbeat,
            None => Kind::Other,
        }
    }
}

/// Frames of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What a room has cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// By kind, in the order of [`Kind::ALL`].
    pub tallies: [Tally; 8],
    /// Changes that travelled in a frame together with others of the room, or were replaced by newer ones.
    pub coalesced: u64,
    /// Signals that were dropped to keep the budget.
    pub dropped: u64,
    /// Bytes that deltas saved, against sending the whole state.
    pub deltas_saved: u64,
    /// Frames that had no place in the room's tier, and were passed over.
    pub ignored: u64,
    /// Equal positions at which the two ends' states had different digests.
    pub mismatches: u64,
}

impl Traffic {
    /// Counts frames.
    pub fn count(&mut self, kind: Kind, frames: u64, bytes: u64) {
        let tally = &mut self.tallies[kind as usize];
        tally.frames += frames;
        tally.bytes += bytes;
    }

    /// Frames of one kind.
    pub fn of(&self, kind: Kind) -> Tally {
        self.tallies[kind as usize]
    }

    /// Frames of all kinds.
    pub fn total(&self) -> Tally {
        let add = |sum: Tally, tally: &Tally| Tally {
            frames: sum.frames + tally.frames,
            bytes: sum.bytes + tally.bytes,
        };
        self.tallies.iter().fold(Tally::default(), add)
    }
}
