//! What every policy can do, and the ways to choose one.

use alloc::boxed::Box;
use core::fmt;

use super::{Gf, Lru, S3Fifo, Score};
use crate::Millis;

/// Decides which rooms stay. Rooms are numbers here, given out from 0 upwards by whoever asks; a policy holds a list
/// with an entry for each number up to the largest it was told of.
///
/// Time is the count of visits, so equal histories give equal decisions on every platform. The four-term score alone
/// reads the clock as well.
pub trait Policy: Send {
    /// Notes a visit to a room, resident or not, and whether the visitor found it held.
    fn visit(&mut self, room: u32, is_hit: bool, at: Millis);

    /// Makes a room resident, whatever the capacity: [`evict`](Policy::evict) is asked when there are too many. Has no
    /// effect on a resident.
    fn admit(&mut self, room: u32);

    /// Makes a room resident that nobody has asked for yet, if there is a place, or if the policy can tell that it is
    /// likelier to be used than the weakest resident. Returns whether it is resident now; then there may be one too many.
    fn admit_prefetched(&mut self, room: u32, _confidence: Confidence) -> bool {
        let is_in = self.contains(room) || self.len() < self.capacity();
        if is_in {
            self.admit(room);
        }
        is_in
    }

    /// Takes a room out. Has no effect on one that is not resident.
    fn remove(&mut self, room: u32);

    /// The resident that goes next, of those that nothing keeps; `None` when everything is kept.
    fn victim(&self, is_kept: &dyn Fn(u32) -> bool) -> Option<u32>;

    /// Takes out what [`victim`](Policy::victim) names: one room, and never more.
    fn evict(&mut self, is_kept: &dyn Fn(u32) -> bool) -> Option<u32> {
        let victim = self.victim(is_kept)?;
        self.remove(victim);
        Some(victim)
    }

    /// How much the policy wants to keep a resident; the least goes first. Comparable within one policy alone.
    fn worth(&self, room: u32) -> u32;

    /// How much a room matters to its user, 0 to 10. Policies that weigh nothing pass over it.
    fn set_priority(&mut self, _room: u32, _priority: u8) {}

    /// Forgets a room's history: its number will mean another one.
    fn forget(&mut self, room: u32);

    /// Whether a room is resident.
    fn contains(&self, room: u32) -> bool;

    /// How many residents there should be at most.
    fn capacity(&self) -> usize;

    /// How many residents there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The policy as the one that learns, to store what it has learned.
    fn as_gf(&mut self) -> Option<&mut Gf> {
        None
    }

    /// One navigation as studies and the dry run count it: the room is visited, and resident afterwards; when the cache
    /// was full, one other went. Returns whether it was resident before.
    fn navigate(&mut self, room: u32, capacity: usize, at: Millis) -> bool {
        let is_hit = self.contains(room);
        self.visit(room, is_hit, at);
        if !is_hit {
            if self.len() >= capacity {
                self.evict(&|_| false);
            }
            self.admit(room);
        }
        is_hit
    }
}

/// Short, so that what prints a client needs no policy's fields.
impl fmt::Debug for dyn Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// How sure a prediction is. Each class learns for itself what such a room is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// Less than one in ten.
    Faint,
    /// Up to one in four.
    Fair,
    /// Up to one in two.
    Good,
    /// Rather than not.
    Strong,
}

impl Confidence {
    /// The class of a chance in parts per million that the room is the next one.
    pub fn of_chance(ppm: u32) -> Confidence {
        match ppm {
            0..100_000 => Confidence::Faint,
            100_000..250_000 => Confidence::Fair,
            250_000..500_000 => Confidence::Good,
            _ => Confidence::Strong,
        }
    }
}

/// The policies there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PolicyKind {
    /// Learned reuse: what was seen of rooms with a like past says how soon one comes back.
    #[default]
    Gf,
    /// Three queues: a small one for newcomers, a large one for what was used again, and the ghosts of what went.
    S3Fifo,
    /// The room used longest ago goes first.
    Lru,
    /// The sum of four terms: age, count of visits, time since the last, priority.
    Score,
}

impl PolicyKind {
    /// All four.
    pub const ALL: [PolicyKind; 4] = [PolicyKind::Gf, PolicyKind::S3Fifo, PolicyKind::Lru, PolicyKind::Score];

    /// The stable name, in snake case.
    pub fn name(self) -> &'static str {
        match self {
            PolicyKind::Gf => "gf",
            PolicyKind::S3Fifo => "s3_fifo",
            PolicyKind::Lru => "lru",
            PolicyKind::Score => "score",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<PolicyKind> {
        PolicyKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// An empty policy of this kind, for a cache of so many rooms.
    pub fn make(self, capacity: usize) -> Box<dyn Policy> {
        match self {
            PolicyKind::Gf => Box::new(Gf::new(capacity)),
            PolicyKind::S3Fifo => Box::new(S3Fifo::new(capacity)),
            PolicyKind::Lru => Box::new(Lru::new(capacity)),
            PolicyKind::Score => Box::new(Score::new(capacity)),
        }
    }
}
