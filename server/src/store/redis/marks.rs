//! Which rooms this node has put onto the worklists, and until when it may rely on that.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use enfilade_core::RoomId;
use tokio::time::Instant;

/// Rooms that are remembered; beyond, those whose marks have ended are forgotten, and then all.
const ROOMS: usize = 100_000;

/// What this node has marked.
pub(super) struct Marks {
    lifetime: Duration,
    rooms: Mutex<HashMap<RoomId, Mark>>,
}

#[derive(Clone, Copy)]
struct Mark {
    /// By the clock of Redis.
    ends: u64,
    made: Instant,
    /// Whether the directory's index has the room too.
    has_row: bool,
}

/// What is to be done before an append.
pub(super) enum Standing {
    /// Nothing: the mark holds until then.
    Holds(u64),
    /// The mark holds, and should be renewed beside the append.
    Ages(u64),
    /// A mark comes first.
    Missing,
}

impl Marks {
    pub(super) fn new(lifetime: Duration) -> Marks {
        Marks { lifetime, rooms: Mutex::default() }
    }

    pub(super) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// How a room stands. Whoever is told that the mark ages renews it: others are not told for a while.
    pub(super) fn standing(&self, room: &RoomId, needs_row: bool) -> Standing {
        let mut rooms = self.lock();
        let Some(mark) = rooms.get_mut(room).filter(|mark| mark.has_row || !needs_row) else {
            return Standing::Missing;
        };
        let age = mark.made.elapsed();
        if age * 4 >= self.lifetime * 3 {
            Standing::Missing
        } else if age * 3 >= self.lifetime {
            Standing::Ages(mark.ends)
        } else {
            Standing::Holds(mark.ends)
        }
    }

    /// A mark was made. `asked` is when: its answer came later.
    pub(super) fn note(&self, room: &RoomId, ends: u64, asked: Instant, has_row: bool) {
        let mut rooms = self.lock();
        if rooms.len() >= ROOMS {
            rooms.retain(|_, mark| mark.made.elapsed() < self.lifetime);
            if rooms.len() >= ROOMS {
                rooms.clear();
            }
        }
        rooms.insert(room.clone(), Mark { ends, made: asked, has_row });
    }

    pub(super) fn forget(&self, room: &RoomId) {
        self.lock().remove(room);
    }

    /// Redis may have lost what was marked.
    pub(super) fn forget_all(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RoomId, Mark>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
