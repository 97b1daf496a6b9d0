//! A map that may be long, as small in WASM as a sorted list.
//!
//! Entries lie in pieces of bounded length, each a sorted list, so inserting moves a piece at most, however many
//! entries there are.

use alloc::vec::Vec;
use core::borrow::Borrow;
use core::slice;

use crate::shared::Shared;
use crate::sorted::SortedMap;

/// Entries of a piece. Moving half of them costs about as much as finding the place among a million.
const PIECE: usize = 256;

/// A map in the order of its keys.
#[derive(Clone, Debug)]
pub(crate) struct LongMap<K, V> {
    /// In order, none empty.
    pieces: Vec<Shared<SortedMap<K, V>>>,
    len: usize,
}

impl<K, V> Default for LongMap<K, V> {
    fn default() -> Self {
        LongMap { pieces: Vec::new(), len: 0 }
    }
}

/// Entries in order.
pub(crate) struct Iter<'a, K, V> {
    entries: slice::Iter<'a, (K, V)>,
    pieces: slice::Iter<'a, Shared<SortedMap<K, V>>>,
}

impl<K: Ord, V> LongMap<K, V> {
    /// The piece that has the key, if any has.
    fn piece<Q: Ord + ?Sized>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
    {
        let begins = |piece: &Shared<SortedMap<K, V>>| {
            piece.entries().first().is_some_and(|(first, _)| first.borrow() <= key)
        };
        self.pieces.partition_point(begins).saturating_sub(1)
    }

    /// The piece that has the key or has a place for it.
    fn piece_for(&mut self, key: &K) -> &mut SortedMap<K, V> {
        let at = self.piece(key);
        let is_last = at + 1 >= self.pieces.len();
        if let Some(piece) = self.pieces.get_mut(at)
            && piece.len() >= PIECE
        {
            // What grows at its end, as a log does, leaves full pieces behind.
            let is_end = is_last && piece.entries().last().is_some_and(|(last, _)| last < key);
            let rest = piece.split_off(if is_end { PIECE } else { PIECE / 2 });
            let belongs = is_end || rest.entries().first().is_some_and(|(first, _)| first <= key);
            self.pieces.insert(at + 1, rest.into());
            return &mut self.pieces[at + usize::from(belongs)];
        }
        if self.pieces.is_empty() {
            self.pieces.push(Shared::default());
        }
        &mut self.pieces[at]
    }

    /// The same map, which shares each piece until it is changed.
    pub(crate) fn fork(&mut self) -> LongMap<K, V>
    where
        K: Clone,
        V: Clone,
    {
        LongMap { pieces: self.pieces.iter_mut().map(Shared::fork).collect(), len: self.len }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.pieces.get(self.piece(key))?.get(key)
    }

    pub(crate) fn get_key_value<Q: Ord + ?Sized>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
    {
        self.pieces.get(self.piece(key))?.get_key_value(key)
    }

    pub(crate) fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let at = self.piece(key);
        self.pieces.get_mut(at)?.get_mut(key)
    }

    pub(crate) fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.get(key).is_some()
    }

    /// The value that was there before.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let old = self.piece_for(&key).insert(key, value);
        self.len += usize::from(old.is_none());
        old
    }

    /// The value of this key, made now if there was none.
    pub(crate) fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        self.len += usize::from(!self.contains_key(&key));
        self.piece_for(&key).entry(key).or_insert_with(make)
    }

    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let at = self.piece(key);
        let removed = self.pieces.get_mut(at)?.remove(key)?;
        self.thinned(at);
        Some(removed)
    }

    pub(crate) fn pop_first(&mut self) -> Option<(K, V)> {
        let first = self.pieces.first_mut()?.pop_first()?;
        self.thinned(0);
        Some(first)
    }

    /// An entry of this piece was removed: thin neighbours become one.
    fn thinned(&mut self, at: usize) {
        self.len -= 1;
        let left = self.pieces[at].len();
        if left == 0 {
            self.pieces.remove(at);
        } else if self.pieces.get(at + 1).is_some_and(|next| left + next.len() <= PIECE / 2) {
            let mut next = self.pieces.remove(at + 1);
            self.pieces[at].append(core::mem::take(&mut *next));
        }
    }

    pub(crate) fn iter(&self) -> Iter<'_, K, V> {
        Iter { entries: [].iter(), pieces: self.pieces.iter() }
    }

    /// What comes after a key, which need not be there.
    pub(crate) fn after<Q: Ord + ?Sized>(&self, key: &Q) -> Iter<'_, K, V>
    where
        K: Borrow<Q>,
    {
        let mut pieces = self.pieces.get(self.piece(key)..).unwrap_or_default().iter();
        let first = pieces.next().map_or(&[][..], |piece| piece.entries());
        let skipped = first.partition_point(|(known, _)| known.borrow() <= key);
        Iter { entries: first[skipped..].iter(), pieces }
    }

    /// Ascending by their keys.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }
}

impl<'a, K: Ord, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((key, value)) = self.entries.next() {
                return Some((key, value));
            }
            self.entries = self.pieces.next()?.entries().iter();
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_long_map_does_what_a_tree_does(
            length in 0..4 * PIECE as u16,
            steps in prop::collection::vec((0..6_u8, any::<u16>(), any::<u8>()), 0..200),
        ) {
            let (mut long, mut tree) = (LongMap::default(), BTreeMap::new());
            for key in 0..length {
                long.insert(key * 2, 0);
                tree.insert(key * 2, 0);
            }
            for (step, key, value) in steps {
                // Half of the steps near to the ends of pieces.
                let near = (key % 5) * PIECE as u16 + u16::from(value % 8);
                let key = if key % 2 == 0 { near } else { key % (2 * length + 8) };
                match step {
                    0 => prop_assert_eq!(long.insert(key, value), tree.insert(key, value)),
                    1 => prop_assert_eq!(long.remove(&key), tree.remove(&key)),
                    2 => prop_assert_eq!(long.get_or_insert_with(key, || value), tree.entry(key).or_insert(value)),
                    3 => prop_assert_eq!(long.pop_first(), tree.pop_first()),
                    4 => prop_assert!(long.after(&key).eq(tree.range(key + 1..))),
                    _ => prop_assert_eq!(long.get_mut(&key), tree.get_mut(&key)),
                }
                prop_assert_eq!(long.len(), tree.len());
                prop_assert!(long.iter().eq(tree.iter()));
                prop_assert!(long.pieces.iter().all(|piece| (1..=PIECE).contains(&piece.len())));
            }
        }
    }

    #[test]
    fn however_a_map_has_grown_or_shrunk_few_pieces_are_thin() {
        let mut map = LongMap::default();
        let key = |index: u32| index.wrapping_mul(2_654_435_761);
        for index in 0..20_000 {
            map.insert(key(index), index);
        }
        assert!(map.pieces.iter().all(|piece| piece.len() >= PIECE / 2));
        for index in 0..19_000 {
            map.remove(&key(index));
        }
        assert_eq!(map.len(), 1_000);
        assert!(map.pieces.len() <= 2 + 4 * 1_000 / PIECE, "{}", map.pieces.len());
        let mut log = LongMap::default();
        for seq in 0..2_560 {
            log.insert(seq, ());
        }
        assert_eq!(log.pieces.len(), 10);
    }
}
