use crate::v1;

/// A place in a room's log: `seq` counts its entries from 1 without gaps, `epoch` names the log's incarnation.
///
/// One value, because each half prevents another failure: without `seq` a gap goes unseen, without `epoch` an emptied
/// and refilled log looks like the old one. Positions of different epochs are not ordered, so there is no `Ord`.
///
#[doc = include_str!("docs/position.md")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Position {
    /// Names the log's incarnation: a random number of 53 bits, or 0 for a log that was never opened.
    pub epoch: u64,
    /// The last entry before this place; 0 is before the first.
    pub seq: u64,
}

impl Position {
    /// The place before the first entry of an epoch.
    pub fn start(epoch: u64) -> Position {
        Position { epoch, seq: 0 }
    }

    /// The place behind the next entry.
    pub fn next(self) -> Position {
        Position { seq: self.seq + 1, ..self }
    }

    /// The protobuf form.
    pub fn wire(self) -> v1::Position {
        v1::Position { epoch: self.epoch, seq: self.seq }
    }
}

impl From<v1::Position> for Position {
    fn from(wire: v1::Position) -> Position {
        Position { epoch: wire.epoch, seq: wire.seq }
    }
}
