//! Keyed registers: a whiteboard's elements, a user's settings.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::{Ordering, Reverse};

use prost::Message as _;

use super::register;
use crate::{Code, Digest, Millis, hash53, limits, v1};

/// Which of two writes of one register holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rule {
    /// The higher version, on a tie the lower nonce: what was drawn side by side has one outcome everywhere.
    #[default]
    Versioned,
    /// The later one in the log, whatever its version. Settings are a person's last word.
    LastWriter,
}

/// A room's map. Values are opaque; what is merged lies beside them.
///
/// Three lists of the same elements: by key, in the order in which the app shows them, and the tombstones by age. Each
/// write moves pointers in them and hashes one element, so it costs the same in a map that is nearly full.
#[derive(Clone, Debug, Default)]
pub struct ElementMap {
    rule: Rule,
    by_key: Vec<Arc<v1::Element>>,
    /// What is not deleted, by (index, key).
    ordered: Vec<Arc<v1::Element>>,
    /// By time of deletion.
    tombstones: Vec<Arc<v1::Element>>,
    bytes: usize,
}

/// How a write meets what is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meeting {
    /// It takes the register.
    Wins,
    /// It is the same write with another place: the place alone is taken.
    Heals,
    /// It is what is held.
    Known,
    /// What is held is newer.
    Loses,
}

/// Which of two states of one element holds: the higher version, then the lower nonce, then what its log said later.
/// The rest only makes the order total, so that merging is commutative, associative and idempotent whatever comes in.
pub fn newer<'a>(a: &'a v1::Element, b: &'a v1::Element) -> &'a v1::Element {
    fn rank(element: &v1::Element) -> impl Ord + '_ {
        let content = (element.deleted_at, &element.value, &element.author);
        (element.version, Reverse(element.nonce), element.seq, &element.index, content)
    }
    if rank(a) >= rank(b) { a } else { b }
}

impl ElementMap {
    pub(super) fn new(rule: Rule) -> ElementMap {
        ElementMap { rule, ..ElementMap::default() }
    }

    /// How many elements there are, tombstones not counted.
    pub fn len(&self) -> usize {
        self.ordered.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ordered.is_empty()
    }

    /// Bytes that the map counts for, tombstones included: at most [`limits::MAP_BYTES`].
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The register of this key; a tombstone has `deleted_at`.
    pub fn get(&self, key: &str) -> Option<&Arc<v1::Element>> {
        self.by_key.get(self.place(key).ok()?)
    }

    /// What is not deleted, by (index, key).
    pub fn ordered(&self) -> &[Arc<v1::Element>] {
        &self.ordered
    }

    /// All registers ascending by key, tombstones included.
    pub fn registers(&self) -> &[Arc<v1::Element>] {
        &self.by_key
    }

    /// Whether a write may be accepted as a whole.
    ///
    /// # Errors
    /// [`Code::MapFull`] when the map would grow beyond its bounds, [`Code::ElementOutdated`] when nothing of it would
    /// hold.
    pub fn admit(&self, put: &v1::PutElements) -> Result<(), Code> {
        let (mut bytes, mut count) = (self.bytes, self.by_key.len());
        let mut outdated = true;
        for change in &put.elements {
            let held = self.get(&change.key);
            match self.meet(held, change) {
                Meeting::Loses => continue,
                Meeting::Known | Meeting::Heals => {}
                Meeting::Wins => {
                    // Of several writes of one key each counts, which is too much and never too little.
                    bytes += weight(&change.key, &change.value, &change.index);
                    bytes -= held.map_or(0, |held| size(held).min(bytes));
                    count += usize::from(held.is_none());
                }
            }
            outdated = false;
        }
        let grows = bytes > self.bytes || count > self.by_key.len();
        match () {
            () if outdated => Err(Code::ElementOutdated),
            () if grows && (bytes > limits::MAP_BYTES || count > limits::ELEMENTS) => Err(Code::MapFull),
            () => Ok(()),
        }
    }

    /// Whether a write changes nothing, because all of it is held already.
    pub fn is_settled(&self, put: &v1::PutElements) -> bool {
        put.elements.iter().all(|change| self.meet(self.get(&change.key), change) == Meeting::Known)
    }

    /// The same write in versions that hold over what is there.
    pub fn restated(&self, put: &v1::PutElements) -> v1::PutElements {
        let restated = |change: &v1::ElementChange| {
            let held = self.get(&change.key);
            let loses = self.meet(held, change) == Meeting::Loses;
            let version =
                held.filter(|_| loses).map_or(change.version, |held| held.version.saturating_add(1));
            v1::ElementChange { version, ..change.clone() }
        };
        v1::PutElements { elements: put.elements.iter().map(restated).collect() }
    }

    /// Writes the elements that hold against what is there.
    pub(super) fn put(
        &mut self,
        (seq, author, at): (u64, &str, Millis),
        put: &v1::PutElements,
        digest: &mut Digest,
        mut changed: impl FnMut(&str),
    ) {
        for change in &put.elements {
            let held = self.get(&change.key);
            let version = match (self.rule, held) {
                // Versions rise here too, so that who looks twice sees which is newer.
                (Rule::LastWriter, Some(held)) => change.version.max(held.version.saturating_add(1)),
                _ => change.version,
            };
            let mut element = match (self.meet(held, change), held) {
                (Meeting::Loses | Meeting::Known, _) => continue,
                (Meeting::Heals, Some(held)) => v1::Element::clone(held),
                (Meeting::Heals | Meeting::Wins, _) => v1::Element {
                    key: change.key.clone(),
                    // Of what is deleted nobody needs the content; that it was is what others must learn.
                    value: if change.deleted { Vec::new() } else { change.value.clone() },
                    version: version.min(limits::INTEGER_BOUND - 1),
                    nonce: change.nonce,
                    deleted_at: if change.deleted { at.0.max(1) } else { 0 },
                    ..Default::default()
                },
            };
            element.index.clone_from(&change.index);
            element.seq = seq;
            element.author = author.into();
            self.insert(element, digest);
            changed(&change.key);
        }
    }

    /// Writes what is not confirmed over what is, as the log will: what is pending has `seq` 0.
    pub(crate) fn preview(&mut self, author: &str, put: &v1::PutElements) {
        self.put((0, author, Millis(0)), put, &mut Digest::default(), |_| {});
    }

    /// Forgets tombstones that are older than a day at this time: that of an entry, which is the same everywhere.
    /// Whether a tombstone has had its time.
    pub(super) fn is_purge_due(&self, at: u64) -> bool {
        let first = self.tombstones.first();
        first.is_some_and(|tombstone| tombstone.deleted_at.saturating_add(limits::TOMBSTONE) <= at)
    }

    pub(super) fn purge(&mut self, at: u64, digest: &mut Digest) {
        while self.is_purge_due(at) {
            let key = self.tombstones[0].key.clone();
            self.remove(&key, digest);
        }
    }

    /// Takes the elements of a snapshot; `None` when they are not what a map may hold.
    pub(super) fn restore(rule: Rule, elements: Vec<v1::Element>, digest: &mut Digest) -> Option<ElementMap> {
        let mut map = ElementMap::new(rule);
        if elements.len() > limits::ELEMENTS || !elements.is_sorted_by(|a, b| a.key < b.key) {
            return None;
        }
        for element in elements {
            map.insert(element, digest);
        }
        (map.bytes <= limits::MAP_BYTES).then_some(map)
    }

    fn meet(&self, held: Option<&Arc<v1::Element>>, change: &v1::ElementChange) -> Meeting {
        let Some(held) = held else { return Meeting::Wins };
        let order = change.version.cmp(&held.version).then(held.nonce.cmp(&change.nonce));
        match order {
            // A place is healed without a new version. The log decides among healers: the later one holds.
            Ordering::Equal if held.index != change.index => Meeting::Heals,
            Ordering::Equal => Meeting::Known,
            _ if self.rule == Rule::LastWriter => Meeting::Wins,
            Ordering::Greater => Meeting::Wins,
            Ordering::Less => Meeting::Loses,
        }
    }

    fn place(&self, key: &str) -> Result<usize, usize> {
        self.by_key.binary_search_by(|element| element.key.as_str().cmp(key))
    }

    fn insert(&mut self, element: v1::Element, digest: &mut Digest) {
        self.remove(&element.key, digest);
        digest.add(hash(&element));
        self.bytes += size(&element);
        let element = Arc::new(element);
        let list = list_of(&mut self.ordered, &mut self.tombstones, &element);
        let place = list.partition_point(|other| in_list(other, &element) == Ordering::Less);
        list.insert(place, element.clone());
        let (Ok(place) | Err(place)) = self.place(&element.key);
        self.by_key.insert(place, element);
    }

    fn remove(&mut self, key: &str, digest: &mut Digest) {
        let Ok(place) = self.place(key) else { return };
        let element = self.by_key.remove(place);
        digest.remove(hash(&element));
        self.bytes -= size(&element);
        let list = list_of(&mut self.ordered, &mut self.tombstones, &element);
        if let Ok(place) = list.binary_search_by(|other| in_list(other, &element)) {
            list.remove(place);
        }
    }
}

fn list_of<'a>(
    ordered: &'a mut Vec<Arc<v1::Element>>,
    tombstones: &'a mut Vec<Arc<v1::Element>>,
    element: &v1::Element,
) -> &'a mut Vec<Arc<v1::Element>> {
    if element.deleted_at == 0 { ordered } else { tombstones }
}

/// The order of what is shown, and of tombstones: within one list the times of deletion are all zero, or all count.
fn in_list(a: &v1::Element, b: &v1::Element) -> Ordering {
    a.deleted_at.cmp(&b.deleted_at).then_with(|| a.index.cmp(&b.index)).then_with(|| a.key.cmp(&b.key))
}

/// What an element counts for, its registers and pointers included.
fn weight(key: &str, value: &[u8], index: &str) -> usize {
    key.len() + value.len() + index.len() + limits::ELEMENT_OVERHEAD
}

fn size(element: &v1::Element) -> usize {
    weight(&element.key, &element.value, &element.index)
}

fn hash(element: &v1::Element) -> u64 {
    hash53(&element.encode_to_vec(), register::ELEMENT)
}

#[cfg(test)]
mod tests;
