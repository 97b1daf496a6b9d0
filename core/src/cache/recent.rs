//! What a cache that evicts by last use would hold, without holding it.

use alloc::boxed::Box;

/// Visits that are looked back on. A power of two. Rooms whose last visit is further back count as dropped.
const LOG: u32 = 4_096;

/// The rooms used last are those whose last visit came at or after one moment, the tail. So their number and the tail say
/// it all, and the log says whose visits the tail passes when it moves on.
#[derive(Debug)]
pub(super) struct Recent {
    capacity: usize,
    log: Box<[u32; LOG as usize]>,
    tail: u32,
    held: usize,
    /// The room that was dropped last.
    pub(super) dropped: u32,
}

impl Recent {
    pub(super) fn new(capacity: usize) -> Recent {
        Recent {
            capacity: capacity.max(1),
            log: Box::new([0; LOG as usize]),
            tail: 1,
            held: 0,
            dropped: u32::MAX,
        }
    }

    /// Whether a room is held whose last visit was the one of this number, counted from 1.
    #[inline]
    pub(super) fn holds(&self, last: u32) -> bool {
        last >= self.tail
    }

    /// Notes visit `now` to a room, whose visit before was `before`, or 0. `last` gives the number of a room's last visit.
    #[inline]
    pub(super) fn visit(&mut self, room: u32, before: u32, now: u32, last: impl Fn(u32) -> u32) {
        self.held += usize::from(!self.holds(before));
        self.log[(now % LOG) as usize] = room;
        self.settle(now, last);
    }

    #[inline]
    fn settle(&mut self, now: u32, last: impl Fn(u32) -> u32) {
        while (self.held > self.capacity || now - self.tail > LOG - 2) && self.tail < now {
            let room = self.log[(self.tail % LOG) as usize];
            let is_last = last(room) == self.tail;
            self.held = self.held.saturating_sub(usize::from(is_last));
            self.dropped = if is_last { room } else { self.dropped };
            self.tail += 1;
        }
    }

    /// Forgets a room whose last visit was the one of this number.
    pub(super) fn forget(&mut self, last: u32) {
        self.held -= usize::from(self.holds(last) && self.held > 0);
    }

    /// Begins after `now` visits of which the last are told by [`remember`](Recent::remember).
    pub(super) fn begin_at(&mut self, now: u32) {
        self.tail = now.saturating_sub(LOG - 2).max(1);
    }

    /// Notes a room whose last visit was the one of this number.
    pub(super) fn remember(&mut self, room: u32, last: u32) {
        if self.holds(last) {
            self.log[(last % LOG) as usize] = room;
            self.held += 1;
        }
    }
}
