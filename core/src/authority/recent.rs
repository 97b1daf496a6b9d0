use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use prost::Message as _;

use super::answer::ITEM_OVERHEAD;
use crate::{limits, v1};

/// The newest entries, to answer resumptions without the store.
#[derive(Debug, Default)]
pub(super) struct Recent {
    entries: VecDeque<Arc<v1::Entry>>,
    bytes: usize,
}

impl Recent {
    pub(super) fn push(&mut self, entry: v1::Entry) {
        self.bytes += entry.encoded_len();
        self.entries.push_back(Arc::new(entry));
        while self.entries.len() > limits::RECENT_ENTRIES || self.bytes > limits::RECENT_BYTES {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes -= oldest.encoded_len();
        }
    }

    /// What is at hand of the log, back from its end.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &v1::Entry> {
        self.entries.iter().rev().map(|entry| &**entry)
    }

    /// The entries after `seq`, if none is missing and they are few enough for a delta.
    pub(super) fn after(&self, seq: u64) -> Option<Vec<v1::Entry>> {
        let skipped = match self.entries.front() {
            Some(first) => usize::try_from((seq + 1).checked_sub(first.seq)?).ok()?,
            None => return None,
        };
        if self.entries.len().saturating_sub(skipped) > limits::DELTA_ENTRIES {
            return None;
        }
        let mut bytes = 0;
        let mut entries = Vec::new();
        for entry in self.entries.iter().skip(skipped) {
            bytes += entry.encoded_len() + ITEM_OVERHEAD;
            if bytes > limits::DELTA_BYTES {
                return None;
            }
            entries.push(v1::Entry::clone(entry));
        }
        Some(entries)
    }
}
