//! What goes into an [`Authority`] and comes out of it.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

#[cfg(doc)]
use super::Authority;
use super::fetch::Purpose;
#[cfg(doc)]
use crate::limits;
use crate::op::Body;
use crate::state::Change;
use crate::{Code, OpId, Position, RoomId, Tier, v1};

/// Names a connection of this node. The host gives the number, and never twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// What a frame may be subjected to when its receiver is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Never dropped.
    Control,
    /// Ordered, never dropped; a receiver that can't keep up is closed.
    Log,
    /// Latest wins: a newer frame of the same room takes the place of one that waits.
    State,
    /// May be dropped.
    Signal,
}

/// What an authority is told at its start.
#[derive(Clone, Debug)]
pub struct AuthorityConfig {
    /// This node's name, for presence leases.
    pub node: String,
    /// The number that stands for the room on this node.
    pub alias: u32,
    /// Milliseconds between two HEARTBEATs of the room.
    pub heartbeat_interval: u64,
}

/// A room as the store has it.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The log's epoch; 0 when the room has no log.
    pub epoch: u64,
    /// The newest stored snapshot, as [`Effect::PutSnapshot`] gave it.
    pub snapshot: Option<Vec<u8>>,
    /// The entries after the snapshot, or some of them: the authority reads on where they end.
    pub entries: Vec<Vec<u8>>,
}

/// How an append ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The batch is durable.
    Done,
    /// The log was elsewhere: at `head`, with `missing` after the expected position (or some of them).
    Conflict {
        /// The end of the log.
        head: Position,
        /// Entries after the expected position; empty when the epoch differs.
        missing: Vec<Vec<u8>>,
    },
    /// It is not known whether the batch was written.
    Failed,
    /// The host has not tried, because nothing may be written now: the code says why, and that it passes.
    Refused(Code),
}

/// Who waits for the answer to a delivery from another room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The room that delivers.
    pub room: RoomId,
    /// Its number for the delivery.
    pub delivery: u64,
}

/// What an authority wants done. The host does them in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Read the room from the store, then [`Authority::handle_loaded`], or [`Authority::handle_not_loaded`] when the store
    /// does not answer.
    Load,
    /// Open the log under this epoch unless it has one, then [`Authority::handle_claimed`].
    Claim {
        /// A random number.
        epoch: u64,
    },
    /// Append if the log is at `expected`, then [`Authority::handle_appended`].
    Append {
        /// Where the log must be.
        expected: Position,
        /// Encoded entries.
        batch: Vec<Vec<u8>>,
        /// The room's row in lists, as of after the batch.
        summary: Box<v1::RoomSummary>,
        /// Messages that the batch changes, by the seq of the entry that made them: to be stored in the same step, in
        /// place of what was stored for that seq before, and handed out with history.
        amended: Vec<(u64, Vec<u8>)>,
        /// What the batch changes between [`Authority::state`] and [`Authority::ahead`], in its order: by this the
        /// host writes what it derives from the state in the same step, at the cost of the change.
        changes: Vec<Change>,
    },
    /// Read entries after this position, then [`Authority::handle_entries`].
    Read {
        /// Where reading begins.
        after: Position,
    },
    /// Read entries from `from_seq` to before `before_seq`, and what is stored as amended for them, then
    /// [`Authority::handle_history`]. It is asked for to show a page, and to decide on a message that is beyond the
    /// window.
    ReadHistory {
        /// Goes back with the entries.
        reader: HistoryReader,
        /// The first entry wanted.
        from_seq: u64,
    },
    /// Look whether an operation of this user is in the log, however long ago, then [`Authority::handle_found`]. It is
    /// asked for where the room has had more clients than it remembers, and this one is not among them.
    Find {
        /// Whose it is.
        user: String,
        /// Its id.
        op_id: OpId,
    },
    /// Store this; no answer is expected.
    PutSnapshot {
        /// Where it was taken.
        position: Position,
        /// Compressed.
        snapshot: Vec<u8>,
    },
    /// Put the connection into the channel of this tier, out of any other of this room; `None`: out of all.
    Subscribe {
        /// Who.
        conn: ConnId,
        /// Active or Background.
        tier: Option<Tier>,
    },
    /// Send to one connection.
    Send {
        /// To whom.
        conn: ConnId,
        /// How it is treated when the receiver is slow.
        lane: Lane,
        /// What.
        frame: Box<v1::ServerFrame>,
    },
    /// Send to every connection in the channel of this tier. The frame names the room by its alias alone.
    Broadcast {
        /// Active or Background.
        tier: Tier,
        /// How it is treated where a receiver is slow.
        lane: Lane,
        /// What.
        frame: Box<v1::ServerFrame>,
    },
    /// Follow up an entry in another room: [`Authority::deliver`] there, and when that room has answered by
    /// [`Effect::Delivered`], [`Authority::handle_delivered`] here.
    Deliver {
        /// The other room.
        to: RoomId,
        /// Goes with it.
        reply: Reply,
        /// What is to be done there.
        body: Body,
    },
    /// The answer to a delivery: to be handed to `reply.room`.
    Delivered {
        /// What was asked.
        reply: Reply,
        /// Whether it is durable, or will never be accepted; else it is to be repeated.
        settled: bool,
    },
    /// Ask a user's inbox whether its owner follows a user: [`Authority::ask_follows`] there, with this room.
    AskFollows {
        /// The inbox.
        inbox: RoomId,
        /// Whom.
        user: String,
    },
    /// The answer to [`Effect::AskFollows`]: to be handed to `room`, by [`Authority::handle_follows`].
    Follows {
        /// Who has asked.
        room: RoomId,
        /// The owner of the inbox.
        follower: String,
        /// Whom.
        user: String,
        /// Whether they do.
        follows: bool,
    },
    /// Store this node's presence record, for [`limits::LEASE`] milliseconds.
    PublishLease {
        /// Who is here.
        record: Vec<u8>,
    },
    /// Read the other nodes' presence records, then [`Authority::handle_leases`].
    ReadLeases,
    /// The room's presence has changed: what a room list shows of it.
    Occupied {
        /// How many.
        count: u32,
        /// The first few.
        users: Vec<v1::PresentUser>,
    },
}

/// A stretch of the log that is being read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryReader {
    pub(super) purpose: Purpose,
    pub(super) generation: u64,
    /// Where the room was when this was asked for.
    pub(super) since: u64,
    pub(super) from_seq: u64,
    /// The stretch ends before this entry.
    pub before_seq: u64,
    /// What the request goes back to.
    pub(super) after_seq: u64,
}

/// Why an authority wants to be called at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Changes of presence are to be told.
    Presence,
    /// Background receivers are due an update.
    Background,
    /// The room's HEARTBEAT is due.
    Heartbeat,
    /// Presence leases are to be renewed and read.
    Lease,
    /// A delivery to another room is to be repeated.
    Delivery,
    /// An inbox has not said whom its owner follows.
    Facts,
    /// What a burst has brought is to be appended.
    Gather,
    /// Nobody has chosen in time: the default of a conflict holds.
    Conflict,
    /// The newest signals are to be relayed.
    Signals,
    /// The store is to be asked again after a failure.
    Recovery,
}
