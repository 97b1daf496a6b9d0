//! Beyond the window: messages that the state no longer holds, read from the store to be shown or to be decided on.
//!
//! A read answers with what the store had at some moment since it was asked for. What was confirmed since then is
//! remembered as long as a read is under way, and applied to its answer; what the answer has already is told by
//! [`changed_seq`](v1::Message::changed_seq).

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use prost::Message as _;

use super::answer::newest_that_fit;
use super::sequence::InFlight;
use super::{Authority, ConnId, Effect, From, HistoryReader, Phase, STORE_RETRY_AFTER, Submission};
use crate::op::{self, Body};
use crate::policy::Refusal;
use crate::state::message;
use crate::{Code, Entry, Millis, OpId, limits, v1};

/// For whom a stretch of the log is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A page of history.
    Page { conn: ConnId, request_id: u64 },
    /// One message, to decide on what is asked for it, or to tell who is mentioned in it now.
    Message,
}

/// What is known of an operation whose client the room remembers no longer: with so many clients that some were
/// forgotten, an operation that comes again can't be told from a new one by the state alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Past {
    /// Nobody has asked, for its client is remembered, or no client was ever forgotten.
    NotAsked,
    /// It is new.
    Nothing,
    /// It is in the log at this seq.
    At(u64),
}

/// A stretch of a log, as the store has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    /// Encoded entries, ascending.
    pub entries: Vec<Vec<u8>>,
    /// What [`Effect::Append`] gave as `amended` for entries of this stretch, in any order.
    pub amended: Vec<Vec<u8>>,
}

#[derive(Debug, Default)]
pub(super) struct Fetching {
    /// Reads that are not answered.
    reads: usize,
    /// Messages that were asked for.
    asked: BTreeSet<u64>,
    /// Operations that were asked for.
    sought: BTreeSet<OpId>,
    /// Changes of messages that were confirmed while a read was under way.
    late: VecDeque<Entry>,
    /// The newest of them that is remembered no longer: a read from before it can't be brought up to date.
    lost_seq: u64,
    /// How often the state was loaded: reads from before say nothing about it.
    generation: u64,
    /// Operations that wait for a message, and what follows them on their connections.
    parked: BTreeMap<ConnId, VecDeque<Submission>>,
    parked_count: usize,
}

impl Fetching {
    pub(super) fn is_empty(&self) -> bool {
        self.reads == 0 && self.parked_count == 0
    }

    /// How many operations wait.
    pub(super) fn parked(&self) -> usize {
        self.parked_count
    }

    /// Takes out what waits, in the order of each connection.
    pub(super) fn unpark(&mut self) -> impl Iterator<Item = Submission> + use<> {
        self.parked_count = 0;
        core::mem::take(&mut self.parked).into_values().flatten()
    }

    fn end_read(&mut self) {
        self.reads -= 1;
        if self.reads == 0 {
            self.late.clear();
        }
    }
}

impl Authority {
    /// Puts an operation aside that needs a message from beyond the window, or follows one of its connection that
    /// does. Returns one that need not wait.
    pub(super) fn park(&mut self, submission: Submission) -> Option<Submission> {
        let From::Connection(conn) = submission.from else { return Some(submission) };
        let needed = self.needed(&submission);
        let is_sought = self.must_seek(&submission);
        if needed.is_none() && !is_sought && !self.fetching.parked.contains_key(&conn) {
            return Some(submission);
        }
        if is_sought {
            self.seek(&submission);
        }
        if let Some(seq) = needed
            && self.fetching.asked.len() < limits::FETCHES
        {
            self.ask_for_message(seq);
        }
        self.fetching.parked.entry(conn).or_default().push_back(submission);
        self.fetching.parked_count += 1;
        None
    }

    /// The place of the message that must be fetched before this can be decided.
    fn needed(&self, submission: &Submission) -> Option<u64> {
        let (id, seq) = op::target(&submission.body)?;
        let timeline = self.ahead.timeline();
        let first = timeline.iter().next().map_or(self.ahead.position().seq + 1, |first| first.seq);
        let is_beyond = (1..first).contains(&seq) && timeline.find(id).is_none();
        (is_beyond && !submission.is_fetched).then_some(seq)
    }

    fn must_seek(&self, submission: &Submission) -> bool {
        let client = submission.op_id.client;
        let windows = self.ahead.windows();
        submission.past == Past::NotAsked && windows.is_some_and(|windows| windows.may_have_forgotten(client))
    }

    fn seek(&mut self, submission: &Submission) {
        if self.fetching.sought.len() < limits::FETCHES && self.fetching.sought.insert(submission.op_id) {
            self.fetching.reads += 1;
            let (user, op_id) = (submission.actor.user().into(), submission.op_id);
            self.effects.push_back(Effect::Find { user, op_id });
        }
    }

    /// Where the operation that [`Effect::Find`] asked for is in the log, if it is; the outer `None` when nobody knows.
    pub fn handle_found(&mut self, op_id: OpId, found: Option<Option<u64>>, now: Millis) {
        self.fetching.end_read();
        self.fetching.sought.remove(&op_id);
        for mut submission in self.fetching.unpark() {
            if submission.op_id == op_id && submission.past == Past::NotAsked {
                submission.past = match found {
                    Some(Some(seq)) => Past::At(seq),
                    Some(None) => Past::Nothing,
                    None => {
                        let refusal =
                            Refusal { code: Code::StoreUnavailable, retry_after: STORE_RETRY_AFTER };
                        self.put_off(submission, refusal);
                        continue;
                    }
                };
            }
            self.queue.push_back(submission);
        }
        self.pump(now);
    }

    pub(super) fn ask_for_message(&mut self, seq: u64) {
        if self.fetching.asked.insert(seq) {
            self.read_history(Purpose::Message, seq, seq + 1, 0);
        }
    }

    pub(super) fn read_history(&mut self, purpose: Purpose, from_seq: u64, before_seq: u64, after_seq: u64) {
        self.fetching.reads += 1;
        let generation = self.fetching.generation;
        let since = self.confirmed.position().seq;
        let reader = HistoryReader { purpose, generation, since, from_seq, before_seq, after_seq };
        self.effects.push_back(Effect::ReadHistory { reader, from_seq });
    }

    /// Remembers a confirmed change for the reads that are under way.
    pub(super) fn note_late(&mut self, entry: &Entry) {
        let is_change = entry.body.as_ref().and_then(op::target).is_some();
        if self.fetching.reads == 0 || !is_change {
            return;
        }
        self.fetching.late.push_back(entry.clone());
        if self.fetching.late.len() > limits::LATE_CHANGES
            && let Some(lost) = self.fetching.late.pop_front()
        {
            self.fetching.lost_seq = lost.seq;
        }
    }

    /// The state was loaded anew: what was fetched is gone, and what waits begins again.
    pub(super) fn forget_fetched(&mut self) {
        self.fetching.generation += 1;
        self.fetching.lost_seq = 0;
        self.fetching.late.clear();
        self.fetching.asked.clear();
        self.fetching.sought.clear();
        self.queue.iter_mut().for_each(|submission| submission.is_fetched = false);
        let parked = self.fetching.unpark().map(|submission| Submission { is_fetched: false, ..submission });
        self.queue.extend(parked);
    }

    /// What [`Effect::ReadHistory`] asked for; `None` when the store did not answer.
    pub fn handle_history(&mut self, reader: HistoryReader, stretch: Option<Stretch>, now: Millis) {
        let is_current =
            reader.generation == self.fetching.generation && reader.since >= self.fetching.lost_seq;
        let messages = stretch.filter(|_| is_current).map(|stretch| self.materialise(&reader, stretch));
        self.fetching.end_read();
        match reader.purpose {
            Purpose::Page { conn, request_id } => match messages {
                Some(messages) => self.answer_page(&reader, conn, request_id, messages),
                None => self.refuse(conn, Code::StoreUnavailable, request_id),
            },
            Purpose::Message => {
                // Else it was asked for again after the state was loaded.
                if reader.generation == self.fetching.generation {
                    self.fetching.asked.remove(&reader.from_seq);
                    self.take_message(reader.from_seq, messages, now);
                }
            }
        }
    }

    fn answer_page(
        &mut self,
        reader: &HistoryReader,
        conn: ConnId,
        request_id: u64,
        messages: Vec<v1::Message>,
    ) {
        let page = newest_that_fit(messages.iter().rev());
        let next = match page.first() {
            Some(first) if page.len() < messages.len() => first.seq,
            _ if reader.from_seq > reader.after_seq + 1 => reader.from_seq,
            _ => 0,
        };
        self.send_page(conn, request_id, page, next);
    }

    /// The messages of a stretch, as they are now.
    fn materialise(&self, reader: &HistoryReader, stretch: Stretch) -> Vec<v1::Message> {
        let amended = stretch.amended.iter().filter_map(|bytes| v1::Message::decode(&bytes[..]).ok());
        let amended: BTreeMap<u64, v1::Message> = amended.map(|message| (message.seq, message)).collect();
        let entries = stretch.entries.iter().filter_map(|bytes| Entry::decode(bytes).ok());
        let within = entries.filter(|entry| (reader.from_seq..reader.before_seq).contains(&entry.seq));
        let mut messages: Vec<v1::Message> = within.filter_map(message::posted).collect();
        for message in &mut messages {
            if let Some(amended) = amended.get(&message.seq) {
                *message = amended.clone();
            }
            for entry in &self.fetching.late {
                message::replay(message, entry);
            }
        }
        messages
    }

    fn take_message(&mut self, seq: u64, messages: Option<Vec<v1::Message>>, now: Millis) {
        let is_known = messages.is_some();
        if let Some(message) = messages.into_iter().flatten().next() {
            self.confirmed.timeline_mut().fetch(message.clone());
            let mut ahead = message;
            if let Phase::Claiming(in_flight) | Phase::Appending(in_flight) = &self.phase {
                for entry in &in_flight.entries {
                    message::replay(&mut ahead, entry);
                }
            }
            self.ahead.timeline_mut().fetch(ahead);
        }
        self.follow_up_fetched(seq, is_known, now);
        for mut submission in self.fetching.unpark() {
            let is_its = op::target(&submission.body).is_some_and(|(_, of)| of == seq);
            if is_its && !is_known {
                // What follows on the connection is held back until this comes again.
                let refusal = Refusal { code: Code::StoreUnavailable, retry_after: STORE_RETRY_AFTER };
                self.put_off(submission, refusal);
                continue;
            }
            submission.is_fetched |= is_its;
            self.queue.push_back(submission);
        }
        self.pump(now);
    }

    /// The messages that a batch changes, as they are after it: what history shows of them from then on.
    pub(super) fn amended(&self, in_flight: &InFlight) -> Vec<(u64, Vec<u8>)> {
        let targets = in_flight.entries.iter().filter_map(|entry| op::target(entry.body.as_ref()?));
        let before = self.confirmed.position().seq;
        let changed = targets.filter_map(|(id, _)| self.ahead.timeline().find(id));
        let changed = changed.filter(|message| message.changed_seq > before);
        let changed: BTreeMap<u64, &v1::Message> = changed.map(|message| (message.seq, &**message)).collect();
        changed.into_iter().map(|(seq, message)| (seq, message.encode_to_vec())).collect()
    }

    /// Bytes of the message that this changes, which is stored with the batch.
    pub(super) fn amended_bytes(&self, body: &Body) -> usize {
        let held = op::target(body).and_then(|(id, _)| self.ahead.timeline().find(id));
        held.map_or(0, |message| message.encoded_len())
    }
}
