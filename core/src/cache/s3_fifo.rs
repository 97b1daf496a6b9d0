//! S3-FIFO with ghosts.

use alloc::collections::VecDeque;

use super::Policy;
use super::residents::ByRoom;
use crate::Millis;

/// Uses that are counted; more say nothing more.
const MOST_USES: u8 = 3;

/// Newcomers wait in a small queue; what is used again there moves to the main one, and what is not goes, leaving its
/// ghost. A room whose ghost is still there when it comes back enters the main queue at once. In the main queue a room
/// that was used gets another round.
///
/// After Yang et al., "FIFO queues are all you need for cache eviction" (2023), with a tenth of the places for newcomers
/// and as many ghosts as main places.
#[derive(Clone, Debug)]
pub struct S3Fifo {
    small: VecDeque<u32>,
    main: VecDeque<u32>,
    ghosts: VecDeque<u32>,
    rooms: ByRoom<Room>,
    capacity: usize,
    small_places: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Room {
    uses: u8,
    is_ghost: bool,
    place: Place,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Out,
    Small,
    Main,
}

impl S3Fifo {
    /// An empty one, for a cache of so many rooms.
    pub fn new(capacity: usize) -> S3Fifo {
        S3Fifo {
            small: VecDeque::new(),
            main: VecDeque::new(),
            ghosts: VecDeque::new(),
            rooms: ByRoom::default(),
            capacity,
            small_places: (capacity / 10).max(1),
        }
    }

    fn enter_main(&mut self, room: u32) {
        *self.rooms.of_mut(room) = Room { uses: 0, is_ghost: false, place: Place::Main };
        self.main.push_back(room);
    }

    fn haunt(&mut self, room: u32) {
        *self.rooms.of_mut(room) = Room { uses: 0, is_ghost: true, place: Place::Out };
        self.ghosts.push_back(room);
        if self.ghosts.len() > self.capacity - self.small_places.min(self.capacity)
            && let Some(gone) = self.ghosts.pop_front()
        {
            self.rooms.of_mut(gone).is_ghost = false;
        }
    }

    fn evict_small(&mut self, is_kept: &dyn Fn(u32) -> bool) -> Option<u32> {
        for _ in 0..self.small.len() {
            let room = self.small.pop_front()?;
            if self.rooms.of_mut(room).uses > 1 {
                self.enter_main(room);
            } else if is_kept(room) {
                self.small.push_back(room);
            } else {
                self.haunt(room);
                return Some(room);
            }
        }
        None
    }

    fn evict_main(&mut self, is_kept: &dyn Fn(u32) -> bool) -> Option<u32> {
        // After so many rounds nothing that goes round is left but what is kept.
        for _ in 0..self.main.len() * (usize::from(MOST_USES) + 1) {
            let room = self.main.pop_front()?;
            let uses = self.rooms.of_mut(room).uses;
            if uses > 0 || is_kept(room) {
                self.rooms.of_mut(room).uses = uses.saturating_sub(1);
                self.main.push_back(room);
            } else {
                *self.rooms.of_mut(room) = Room::default();
                return Some(room);
            }
        }
        None
    }
}

impl Policy for S3Fifo {
    fn visit(&mut self, room: u32, _is_hit: bool, _at: Millis) {
        let room = self.rooms.of_mut(room);
        if room.place != Place::Out {
            room.uses = (room.uses + 1).min(MOST_USES);
        }
    }

    fn admit(&mut self, room: u32) {
        if self.contains(room) {
            return;
        }
        if self.rooms.of_mut(room).is_ghost {
            self.ghosts.retain(|ghost| *ghost != room);
            self.enter_main(room);
        } else {
            *self.rooms.of_mut(room) = Room { place: Place::Small, ..Room::default() };
            self.small.push_back(room);
        }
    }

    fn remove(&mut self, room: u32) {
        match self.rooms.of(room).place {
            Place::Out => return,
            Place::Small => self.small.retain(|other| *other != room),
            Place::Main => self.main.retain(|other| *other != room),
        }
        *self.rooms.of_mut(room) = Room::default();
    }

    /// Finding it moves rooms from queue to queue, so this does it on a copy.
    fn victim(&self, is_kept: &dyn Fn(u32) -> bool) -> Option<u32> {
        self.clone().evict(is_kept)
    }

    fn evict(&mut self, is_kept: &dyn Fn(u32) -> bool) -> Option<u32> {
        let small_first = self.small.len() >= self.small_places;
        let first = if small_first { self.evict_small(is_kept) } else { self.evict_main(is_kept) };
        first.or_else(|| self.evict_main(is_kept)).or_else(|| self.evict_small(is_kept))
    }

    /// The queue it is in, and how often it was used since it came there.
    fn worth(&self, room: u32) -> u32 {
        let room = self.rooms.of(room);
        match room.place {
            Place::Out => 0,
            Place::Small => 1 + u32::from(room.uses),
            Place::Main => 5 + u32::from(room.uses),
        }
    }

    fn forget(&mut self, room: u32) {
        self.remove(room);
        self.ghosts.retain(|ghost| *ghost != room);
        *self.rooms.of_mut(room) = Room::default();
    }

    fn contains(&self, room: u32) -> bool {
        self.rooms.of(room).place != Place::Out
    }

    fn capacity(&self) -> usize {
        self.capacity
    }

    fn len(&self) -> usize {
        self.small.len() + self.main.len()
    }
}
