//! The best that a cache could do which knew the future.

use std::collections::{BTreeSet, HashMap};

/// Hits of a cache of `capacity` rooms that always evicts the room whose next use is farthest away. As everywhere here, a
/// room that is visited is in the cache afterwards.
pub fn belady_hits(trace: &[u32], capacity: usize) -> usize {
    let mut next_use = vec![usize::MAX; trace.len()];
    let mut seen = HashMap::new();
    for (at, room) in trace.iter().enumerate().rev() {
        next_use[at] = seen.insert(*room, at).unwrap_or(usize::MAX);
    }
    let mut resident: HashMap<u32, usize> = HashMap::new();
    let mut by_next = BTreeSet::new();
    let mut hits = 0;
    for (at, room) in trace.iter().enumerate() {
        if let Some(due) = resident.get(room) {
            by_next.remove(&(*due, *room));
            hits += 1;
        } else if resident.len() >= capacity
            && let Some((_, farthest)) = by_next.pop_last()
        {
            resident.remove(&farthest);
        }
        resident.insert(*room, next_use[at]);
        by_next.insert((next_use[at], *room));
    }
    hits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn belady_keeps_what_comes_back_first() {
        // With room for two: 1 and 2 miss, 3 evicts 2 (which comes last), 1 hits, 3 hits, 2 misses.
        assert_eq!(belady_hits(&[1, 2, 3, 1, 3, 2], 2), 2);
        assert_eq!(belady_hits(&[1, 2, 3, 1, 2, 3], 3), 3);
        assert_eq!(belady_hits(&[], 3), 0);
    }
}
