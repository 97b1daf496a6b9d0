use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Change;
use crate::long::LongMap;
use crate::{Entry, OpId, limits, v1};

/// The newest messages of a room, ascending by ordinal and without gaps.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    window: VecDeque<Arc<v1::Message>>,
    by_id: LongMap<OpId, u64>,
    head: u64,
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
        let first = self.first_ordinal()?;
        self.window.get(usize::try_from(ordinal.checked_sub(first)?).ok()?)
    }

    /// The message that this operation made, if it is in the window.
    pub fn by_id(&self, id: OpId) -> Option<&Arc<v1::Message>> {
        self.get(*self.by_id.get(&id)?)
    }

    /// Ordinal of the oldest message in the window.
    pub fn first_ordinal(&self) -> Option<u64> {
        self.window.front().map(|message| message.ordinal)
    }

    /// Puts history before the window, and says how many messages that added. `older` ascends; what does not touch
    /// the window without a gap is left out, and so is what would make it longer than an Active room may be.
    pub fn prepend(&mut self, older: &[v1::Message]) -> usize {
        let before = self.window.len();
        for message in older.iter().rev() {
            let touches =
                self.first_ordinal().is_none_or(|first| message.ordinal.checked_add(1) == Some(first));
            if touches && self.window.len() < limits::ACTIVE_MESSAGES {
                self.index(message);
                self.window.push_front(Arc::new(message.clone()));
            }
        }
        self.window.len() - before
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
        if self.window.len() > limits::ACTIVE_MESSAGES {
            self.drop_oldest();
            changes.push(Change::MessagesDropped(self.first_ordinal().unwrap_or(self.head)));
        }
    }

    /// Takes the window of a snapshot. Messages that don't ascend without gaps up to `head` are refused.
    pub(super) fn restore(window: Vec<v1::Message>, head: u64) -> Option<Timeline> {
        let gapless = window.windows(2).all(|pair| Some(pair[1].ordinal) == pair[0].ordinal.checked_add(1));
        let ends = window.last().is_none_or(|last| last.ordinal == head);
        if !gapless || !ends || head >= limits::INTEGER_BOUND || window.len() > limits::ACTIVE_MESSAGES {
            return None;
        }
        let mut timeline = Timeline::default();
        for message in window {
            timeline.push(message);
        }
        timeline.head = head;
        Some(timeline)
    }

    fn push(&mut self, message: v1::Message) {
        self.head = message.ordinal;
        self.index(&message);
        self.window.push_back(Arc::new(message));
    }

    fn index(&mut self, message: &v1::Message) {
        if let Ok(id) = OpId::parse(message.id.as_ref()) {
            self.by_id.insert(id, message.ordinal);
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(message) = self.window.pop_front()
            && let Ok(id) = OpId::parse(message.id.as_ref())
        {
            self.by_id.remove(&id);
        }
    }
}
