use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Change;
use super::message::is_newer;
use crate::long::LongMap;
use crate::{Entry, OpId, limits, v1, weight};

/// The newest messages of a room, ascending by ordinal. What the log has brought has no holes; a client that scrolls
/// back, or keeps what it held before a longer absence, has holes between stretches, which history fills.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    pub(super) window: VecDeque<Arc<v1::Message>>,
    by_id: LongMap<OpId, u64>,
    head: u64,
    /// What the window weighs in memory.
    pub(super) bytes: usize,
    /// Messages up to this ordinal were held before a longer absence: whether they have changed since is not known.
    stale: u64,
    /// Oldest pin first. One whose message is not known has an id and a seq alone.
    pub(super) pins: Vec<Arc<v1::Message>>,
    /// From beyond the window, for an authority to decide by; the one fetched longest ago goes first.
    pub(super) fetched: VecDeque<Arc<v1::Message>>,
}

/// What taking in a page of history has done to the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Messages that were put before the first.
    pub before: usize,
    /// Whether anything else has changed: a hole was filled, a message replaced, the window has slid.
    pub within: bool,
}

impl Timeline {
    /// How many messages the room has had.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// How many messages the window holds.
    pub fn len(&self) -> usize {
        self.window.len()
    }

    /// Whether the window is empty.
    pub fn is_empty(&self) -> bool {
        self.window.is_empty()
    }

    /// The messages, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<v1::Message>> + ExactSizeIterator {
        self.window.iter()
    }

    /// The newest message.
    pub fn last(&self) -> Option<&Arc<v1::Message>> {
        self.window.back()
    }

    /// The message at this place of the window.
    pub fn at(&self, index: usize) -> Option<&Arc<v1::Message>> {
        self.window.get(index)
    }

    /// The message with this ordinal, if it is in the window.
    pub fn get(&self, ordinal: u64) -> Option<&Arc<v1::Message>> {
        self.window.get(self.place(ordinal).ok()?)
    }

    /// The message that this operation made, if it is in the window.
    pub fn by_id(&self, id: OpId) -> Option<&Arc<v1::Message>> {
        self.get(*self.by_id.get(&id)?)
    }

    /// The message that this operation made, wherever it is held: in the window, among the pins, or fetched.
    pub fn find(&self, id: OpId) -> Option<&Arc<v1::Message>> {
        self.by_id(id).or_else(|| {
            let wire = Some(id.wire());
            let known = |message: &&Arc<v1::Message>| message.id == wire && message.ordinal > 0;
            self.pins.iter().find(known).or_else(|| self.fetched.iter().find(known))
        })
    }

    /// Pinned messages, oldest pin first, whether or not the window still holds them. Where the message itself is not
    /// known here, there is its id and its seq, and the ordinal 0.
    pub fn pins(&self) -> &[Arc<v1::Message>] {
        &self.pins
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        let aside = self.pins.iter().chain(&self.fetched);
        self.bytes + aside.map(|message| weight::message(message)).sum::<usize>()
    }

    /// Forgets the oldest messages, so many bytes of them, but not the newest. Returns the ordinal before which they went.
    pub(crate) fn lighten(&mut self, bytes: usize) -> Option<u64> {
        let mut freed = 0;
        let heavy = |message: &&Arc<v1::Message>| {
            let goes = freed < bytes;
            freed += weight::message(message);
            goes
        };
        let count = self.window.iter().take(self.window.len().saturating_sub(1)).take_while(heavy).count();
        self.forget(0, count);
        self.first_ordinal().filter(|_| count > 0)
    }

    /// Ordinal of the oldest message in the window.
    pub fn first_ordinal(&self) -> Option<u64> {
        self.window.front().map(|message| message.ordinal)
    }

    /// Where the newest stretch without holes begins.
    pub fn tail(&self) -> usize {
        let Some(last) = self.window.back() else { return 0 };
        // Along the window, ordinals rise at least as fast as places, and in the last stretch as fast.
        let ahead = |index: usize, ordinal: u64| ordinal.saturating_sub(index as u64);
        let end = ahead(self.window.len() - 1, last.ordinal);
        let (mut low, mut high) = (0, self.window.len() - 1);
        while low < high {
            let middle = low + (high - low) / 2;
            if ahead(middle, self.window[middle].ordinal) < end {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Takes in a page of history, which ascends: fills holes, puts what is older before, and replaces what has been
    /// changed since it was held. What the log has not brought yet is left out: it comes with the log. When the window
    /// has more than an Active room may hold, it slides towards the page: at its far end, or in the middle so that the
    /// newest messages stay.
    pub fn merge(&mut self, page: &[v1::Message], is_older: bool) -> Merged {
        let mut merged = Merged::default();
        let first = self.first_ordinal().unwrap_or(u64::MAX);
        for message in page {
            if !(1..=self.head).contains(&message.ordinal) {
                continue;
            }
            match self.place(message.ordinal) {
                Ok(place) if is_newer(message, &self.window[place]) => {
                    self.bytes += weight::message(message);
                    self.bytes -= weight::message(&self.window[place]);
                    self.window[place] = Arc::new(message.clone());
                    merged.within = true;
                }
                Ok(_) => {}
                Err(place) => {
                    self.index(message);
                    self.window.insert(place, Arc::new(message.clone()));
                    merged.before += usize::from(message.ordinal < first);
                    merged.within |= message.ordinal > first;
                }
            }
            self.know(message);
        }
        let over = self.window.len().saturating_sub(limits::ACTIVE_MESSAGES);
        if over > 0 {
            let from =
                if is_older { self.window.len().saturating_sub(limits::JOIN_MESSAGES + over) } else { 0 };
            self.forget(from, over);
            merged.within = true;
        }
        merged
    }

    /// Forgets the window before this ordinal.
    pub fn forget_before(&mut self, ordinal: u64) {
        let count = self.place(ordinal).unwrap_or_else(|place| place);
        self.forget(0, count);
    }

    /// Puts what another timeline of the same log holds before the first message here, at most `limit` of the newest.
    /// What has become of them since has to be asked for.
    pub(crate) fn keep_older(&mut self, old: &Timeline, limit: usize) {
        let Some(first) = self.first_ordinal() else { return };
        let end = old.place(first).unwrap_or_else(|place| place);
        for message in old.window.range(..end).rev().take(limit) {
            self.index(message);
            self.window.push_front(message.clone());
            self.stale = self.stale.max(message.ordinal);
        }
    }

    /// The newest message of which it is not known whether it has changed; so it is of all before it.
    pub fn stale(&self) -> Option<&Arc<v1::Message>> {
        let end = self.place(self.stale + 1).unwrap_or_else(|place| place);
        self.window.get(end.checked_sub(1)?)
    }

    /// A page has come that shows what has become of the stale messages from this ordinal on; those before are
    /// forgotten, and so are all where there is none.
    pub(crate) fn verify(&mut self, from: Option<u64>) {
        let end = self.stale + 1;
        self.forget_before(from.map_or(end, |from| from.min(end)));
        self.stale = 0;
    }

    /// Where what is certain begins: the newest stretch without holes and without stale messages.
    pub fn settled(&self) -> usize {
        self.tail().max(self.place(self.stale + 1).unwrap_or_else(|place| place))
    }

    /// Takes a message from beyond the window, to be found and kept up to date until others take its place.
    pub(crate) fn fetch(&mut self, message: v1::Message) {
        self.know(&message);
        self.fetched.retain(|held| held.id != message.id);
        self.fetched.push_back(Arc::new(message));
        if self.fetched.len() > limits::FETCHED_MESSAGES {
            self.fetched.pop_front();
        }
    }

    /// A pin of which nothing but the id was known is shown from now on.
    fn know(&mut self, message: &v1::Message) {
        if let Some(pin) = self.pins.iter_mut().find(|pin| pin.id == message.id && pin.ordinal == 0) {
            *pin = Arc::new(message.clone());
        }
    }

    /// Pins and the window are pointers, of which there are so many and no more.
    pub(super) fn fork(&mut self) -> Timeline {
        let (window, pins, fetched) = (self.window.clone(), self.pins.clone(), self.fetched.clone());
        Timeline { window, by_id: self.by_id.fork(), pins, fetched, ..*self }
    }

    pub(super) fn append(&mut self, entry: &Entry, post: &v1::PostMessage, changes: &mut Vec<Change>) {
        self.push(v1::Message {
            id: Some(entry.op_id.wire()),
            seq: entry.seq,
            ordinal: self.head + 1,
            author: entry.author.clone(),
            author_name: entry.author_name.clone(),
            at: entry.at.0,
            text: post.text.clone(),
            mentions: post.mentions.clone(),
            reply_to: post.reply_to,
            ..Default::default()
        });
        changes.push(Change::MessageAdded(self.head));
        if self.window.len() <= limits::ACTIVE_MESSAGES {
            return;
        }
        let tail = self.tail();
        if tail > 0 && self.window.len() - tail > 2 * limits::BACKGROUND_MESSAGES {
            // Somebody has scrolled back: what they look at stays, and the newest do.
            self.forget(tail, limits::BACKGROUND_MESSAGES);
            changes.push(Change::Slid);
        } else {
            self.forget(0, 1);
            changes.push(Change::MessagesDropped(self.first_ordinal().unwrap_or(self.head)));
        }
    }

    /// Takes the window of a snapshot. Messages that don't ascend without gaps up to `head` are refused.
    pub(super) fn restore(window: Vec<v1::Message>, head: u64, pins: Vec<v1::Message>) -> Option<Timeline> {
        let gapless = window.windows(2).all(|pair| Some(pair[1].ordinal) == pair[0].ordinal.checked_add(1));
        let ends = window.last().is_none_or(|last| last.ordinal == head);
        let fits = window.len() <= limits::ACTIVE_MESSAGES && pins.len() <= limits::PINS;
        if !gapless || !ends || head >= limits::INTEGER_BOUND || !fits {
            return None;
        }
        let pins = pins.into_iter().map(Arc::new).collect();
        let mut timeline = Timeline { pins, ..Timeline::default() };
        for message in window {
            timeline.push(message);
        }
        timeline.head = head;
        Some(timeline)
    }

    /// Where a message is in the window, or would be.
    pub(super) fn place(&self, ordinal: u64) -> Result<usize, usize> {
        self.window.binary_search_by(|message| message.ordinal.cmp(&ordinal))
    }

    fn push(&mut self, message: v1::Message) {
        self.head = message.ordinal;
        self.index(&message);
        self.window.push_back(Arc::new(message));
    }

    fn index(&mut self, message: &v1::Message) {
        self.bytes += weight::message(message);
        if let Ok(id) = OpId::parse(message.id.as_ref()) {
            self.by_id.insert(id, message.ordinal);
        }
    }

    fn forget(&mut self, from: usize, count: usize) {
        for message in self.window.drain(from..from + count) {
            self.bytes -= weight::message(&message);
            if let Ok(id) = OpId::parse(message.id.as_ref()) {
                self.by_id.remove(&id);
            }
        }
    }
}
