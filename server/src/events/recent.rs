use std::collections::{HashSet, VecDeque};

use enfilade_core::hash53;

/// Ids of commands that a lane remembers.
pub(super) const IDS: usize = 10_000;

/// The ids of the last commands of a lane: a command that its sender sent twice is done once. A lane's log holds them;
/// whoever takes the lane over reads them there.
#[derive(Debug, Default)]
pub(super) struct Recent {
    known: HashSet<u64>,
    order: VecDeque<u64>,
}

impl Recent {
    /// Notes an id. `false` where it is known.
    pub(super) fn insert(&mut self, id: &str) -> bool {
        let hash = hash53(id.as_bytes(), 0);
        if !self.known.insert(hash) {
            return false;
        }
        self.order.push_back(hash);
        if self.order.len() > IDS
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ids_are_known_and_older_ones_forgotten() {
        let mut recent = Recent::default();
        for id in 0..=IDS {
            assert!(recent.insert(&id.to_string()));
        }
        assert!(!recent.insert(&IDS.to_string()));
        assert!(!recent.insert("1"));
        assert!(recent.insert("0"), "it was the oldest");
        assert_eq!(recent.known.len(), recent.order.len());
    }
}
