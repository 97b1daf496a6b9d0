//! Version vectors: how often each of several rooms that were hosted alone was written, and what knew of what.

use crate::sorted::SortedMap;

/// How two version vectors lie to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Causality {
    /// The same writes.
    Equal,
    /// The other has all of these writes and more.
    Before,
    /// These are all of the other's writes and more.
    After,
    /// Each has writes that the other lacks: a conflict, where they touch the same.
    Concurrent,
}

/// How many writes of each host are known. A host that has never written counts 0, whether or not it is named.
#[derive(Clone, Debug, Default)]
pub struct VersionVector {
    counts: SortedMap<u64, u64>,
}

impl VersionVector {
    /// Writes of this host that are known.
    pub fn get(&self, host: u64) -> u64 {
        self.counts.get(&host).copied().unwrap_or(0)
    }

    /// Notes another write of this host, and says how many there are.
    pub fn advance(&mut self, host: u64) -> u64 {
        let count = self.counts.entry(host).or_default();
        *count = count.saturating_add(1);
        *count
    }

    /// Takes in what another has seen. Commutative, associative, idempotent.
    pub fn merge(&mut self, other: &VersionVector) {
        for (host, count) in other.counts.iter() {
            let known = self.counts.entry(*host).or_default();
            *known = (*known).max(*count);
        }
    }

    /// How the writes known here lie to those known there.
    pub fn compare(&self, other: &VersionVector) -> Causality {
        let within = |a: &VersionVector, b: &VersionVector| {
            a.counts.iter().all(|(host, count)| *count <= b.get(*host))
        };
        match (within(self, other), within(other, self)) {
            (true, true) => Causality::Equal,
            (true, false) => Causality::Before,
            (false, true) => Causality::After,
            (false, false) => Causality::Concurrent,
        }
    }

    /// Hosts and their counts, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.counts.iter().map(|(host, count)| (*host, *count))
    }
}

impl FromIterator<(u64, u64)> for VersionVector {
    fn from_iter<I: IntoIterator<Item = (u64, u64)>>(counts: I) -> VersionVector {
        let mut vector = VersionVector::default();
        for (host, count) in counts {
            let known = vector.counts.entry(host).or_default();
            *known = (*known).max(count);
        }
        vector
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn any_vector() -> impl Strategy<Value = VersionVector> {
        prop::collection::vec((0..4_u64, 0..4_u64), 0..5).prop_map(VersionVector::from_iter)
    }

    fn merged(a: &VersionVector, b: &VersionVector) -> Vec<(u64, u64)> {
        let mut merged = a.clone();
        merged.merge(b);
        // A host named with 0 is one that is not named.
        merged.iter().filter(|(_, count)| *count > 0).collect()
    }

    #[test]
    fn two_who_write_alone_are_concurrent_until_one_has_seen_the_other() {
        let (mut ada, mut bob) = (VersionVector::default(), VersionVector::default());
        assert_eq!(ada.compare(&bob), Causality::Equal);
        ada.advance(1);
        assert_eq!((ada.compare(&bob), bob.compare(&ada)), (Causality::After, Causality::Before));
        bob.advance(2);
        assert_eq!(ada.compare(&bob), Causality::Concurrent);
        ada.merge(&bob);
        assert_eq!(ada.compare(&bob), Causality::After);
    }

    proptest! {
        #[test]
        fn merging_version_vectors_is_commutative_associative_and_idempotent(
            a in any_vector(), b in any_vector(), c in any_vector(),
        ) {
            prop_assert_eq!(merged(&a, &b), merged(&b, &a));
            prop_assert_eq!(merged(&a, &a), merged(&a, &VersionVector::default()));
            let (mut ab, mut bc) = (a.clone(), b.clone());
            ab.merge(&b);
            bc.merge(&c);
            prop_assert_eq!(merged(&ab, &c), merged(&a, &bc));
            prop_assert!(matches!(a.compare(&ab), Causality::Equal | Causality::Before));
        }

        #[test]
        fn what_is_before_one_way_is_after_the_other(a in any_vector(), b in any_vector()) {
            let turned = match a.compare(&b) {
                Causality::Before => Causality::After,
                Causality::After => Causality::Before,
                same => same,
            };
            prop_assert_eq!(b.compare(&a), turned);
        }
    }
}
