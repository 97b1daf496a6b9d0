//! Coverage marks: the rare branches that runs must reach, by name. A run in which nothing rare happens proves little.

use std::collections::BTreeMap;

/// Every mark. The seeds of a run reach all of them together, or the run fails.
pub const ALL: &[&str] = &[
    "a tier rises",
    "a tier falls",
    "a room is evicted because the cache is full",
    "a Cached room expires",
    "something unsent keeps a room in the cache",
    "something unread keeps a room in the cache",
    "a likely room is fetched ahead",
    "a delta resumes a room",
    "a whole state opens a room",
    "a whole state comes in several parts",
    "too far behind for a delta",
    "a position beyond the log's end",
    "an epoch ends while a client holds it",
    "a store is reopened under a new epoch",
    "a reopened store has lost its end",
    "a node reloads a room",
    "a node finds itself overtaken at an append",
    "an append fails before it is done",
    "an append fails after it was done",
    "an operation is put off",
    "an operation is refused for good",
    "an operation is taken back",
    "an operation that is in the log comes again",
    "an operation outlives its app",
    "a gap is seen",
    "a frame finds its room in another tier",
    "a frame of an ended connection comes late",
    "a frame is lost",
    "a frame is doubled",
    "a frame is overtaken",
    "a hint is lost",
    "a client is paused",
    "a node is paused",
    "a client that slept hears what waited",
    "a clock jumps forwards",
    "a clock jumps backwards",
    "a clock jumps far back",
    "a consumer stalls",
    "a waiting state frame is replaced by a newer one",
    "a slow consumer is closed",
    "a slow consumer catches up",
    "a token is renewed",
    "a token is refused",
    "a server drains",
    "somebody logs out with something unsent",
    "somebody is shown as stale",
    "history is loaded",
    "a window drops its oldest messages",
    "a snapshot is stored",
    "a room is loaded from a snapshot",
    "an element is written",
    "a score is added",
    "a message is edited",
    "a message is deleted",
    "a message gets a reaction",
    "somebody's membership is ended",
    "somebody is silenced",
    "slow mode holds somebody back",
    "a conflict waits for its author's choice",
    "a conflict is resolved where it was made",
    "a conflict is resolved on another device",
    "a default holds for want of a choice",
    "a chosen side has reached its room",
    "a Background room's bandwidth is spent",
    "a Background room lets go of messages to stay within its bytes",
];

/// How often each was reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks(BTreeMap<&'static str, u64>);

impl Marks {
    /// Notes that a branch was reached.
    ///
    /// # Panics
    /// When the name is not in [`ALL`]: a mark that nobody asks for is a slip of the pen.
    pub fn reach(&mut self, mark: &'static str) {
        assert!(ALL.contains(&mark), "{mark:?} is not in the list of marks");
        *self.0.entry(mark).or_insert(0) += 1;
    }

    /// Adds those of another run.
    pub fn add(&mut self, other: &Marks) {
        for (mark, count) in &other.0 {
            *self.0.entry(mark).or_insert(0) += count;
        }
    }

    /// How often this one was reached.
    pub fn count(&self, mark: &str) -> u64 {
        self.0.get(mark).copied().unwrap_or(0)
    }

    /// Those that were not.
    pub fn missing(&self) -> Vec<&'static str> {
        ALL.iter().copied().filter(|mark| self.count(mark) == 0).collect()
    }
}
