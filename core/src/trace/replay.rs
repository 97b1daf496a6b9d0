//! A recording, and what becomes of it again.

use alloc::vec::Vec;
use core::hash::Hash;

use prost::Message as _;

use super::format::{self, StoredHead, StoredStep};
use super::record::{Outcome, Session};
use super::redact;
use crate::client::{Answer, Client, Effect, Event, Input};
use crate::policy::Refusal;
use crate::{Code, Millis, hash53};

/// A recorded session.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    head: StoredHead,
    is_full: bool,
    /// Steps behind their lengths, each of which can be read.
    steps: Vec<u8>,
    count: usize,
}

/// A step that was done again.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its number, from 0.
    pub index: usize,
    /// When it was done.
    pub at: Millis,
    /// What happened.
    pub input: Input,
    /// What a command made, or why not.
    pub answer: Result<Answer, Refusal>,
    /// What the host was to do.
    pub effects: Vec<Effect>,
    /// What the app was told.
    pub events: Vec<Event>,
}

/// The first step that led to something else than when it was recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Divergence {
    /// The step as it came out now.
    pub step: Step,
    /// The hash of what it led to when it was recorded.
    pub recorded: u64,
    /// And now.
    pub replayed: u64,
}

impl Trace {
    /// Reads a trace. It takes no more memory than a small multiple of the bytes.
    ///
    /// # Errors
    /// [`Code::TraceTooNew`] for one of a later layout, [`Code::TraceDamaged`] for anything else that is not whole.
    pub fn decode(bytes: &[u8]) -> Result<Trace, Code> {
        let (header, payload) = bytes.split_at_checked(format::HEADER).ok_or(Code::TraceDamaged)?;
        let [a, b, c, d, low, high, mark, checksum @ ..] = header else { return Err(Code::TraceDamaged) };
        if [*a, *b, *c, *d] != *format::MAGIC || *mark > 1 {
            return Err(Code::TraceDamaged);
        }
        let version = u16::from_le_bytes([*low, *high]);
        if version > format::VERSION {
            return Err(Code::TraceTooNew);
        }
        let is_full = *mark == 1;
        if hash53(payload, format::seed(version, is_full)).to_le_bytes() != *checksum {
            return Err(Code::TraceDamaged);
        }
        let mut rest = payload;
        let head =
            next(&mut rest).and_then(|head| StoredHead::decode(head).ok()).ok_or(Code::TraceDamaged)?;
        let steps = rest.to_vec();
        let mut count = 0;
        while !rest.is_empty() {
            step(&mut rest)?.input()?;
            count += 1;
        }
        Ok(Trace { head, is_full, steps, count })
    }

    /// The bytes of the trace.
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        format::delimit(&mut payload, &self.head.encode_to_vec());
        payload.extend_from_slice(&self.steps);
        format::seal(&payload, self.is_full)
    }

    /// How many steps there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether nothing had happened.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether the session went on when the recording was full.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// Whether what people wrote was replaced.
    pub fn is_redacted(&self) -> bool {
        self.head.is_redacted
    }

    /// Version of the core that has recorded. Another version may rightly do something else.
    pub fn version(&self) -> &str {
        &self.head.version
    }

    /// Begins the session again.
    pub fn replay(&self) -> Replay<'_> {
        let began = Millis(self.head.began);
        let client = Client::new(self.head.config(), self.head.seed, began);
        Replay { client, rest: &self.steps, index: 0, now: began }
    }

    /// Does all steps, and returns the client as it was at the end.
    ///
    /// # Errors
    /// The first step that came out otherwise.
    pub fn replay_all(&self) -> Result<Client, alloc::boxed::Box<Divergence>> {
        let mut replay = self.replay();
        while let Some(step) = replay.step() {
            step?;
        }
        Ok(replay.client)
    }

    /// The same session without what people wrote, were called or proved themselves by. It is replayed to note what its
    /// steps lead to now; the documentation of this module says what survives.
    ///
    /// # Errors
    /// [`Code::TraceDamaged`] when a record can't be read whose text would be left in it.
    pub fn redacted(&self) -> Result<Trace, Code> {
        let head = redact::head(&self.head);
        let began = Millis(head.began);
        let mut session = Session::new(head.config(), head.seed, began, Some(usize::MAX));
        let (mut rest, mut now) = (&self.steps[..], began);
        while !rest.is_empty() {
            let step = step(&mut rest)?;
            now = now + step.after;
            let _ = session.handle(redact::input(step.input()?), now);
            while session.poll_effect().is_some() {}
            while session.poll_event().is_some() {}
        }
        let trace = Trace::decode(&session.trace().unwrap_or_default())?;
        Ok(Trace { head, is_full: self.is_full, ..trace })
    }
}

/// A session that happens again, step by step.
#[derive(Debug)]
pub struct Replay<'a> {
    client: Client,
    rest: &'a [u8],
    index: usize,
    now: Millis,
}

impl Replay<'_> {
    /// The client as it is after the steps done so far.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The client as it is, for whoever goes on with it.
    pub fn into_client(self) -> Client {
        self.client
    }

    /// Does the next step. `None` at the end.
    ///
    /// # Errors
    /// When it leads to something else than it did. The steps after it can still be done, but say little.
    pub fn step(&mut self) -> Option<Result<Step, alloc::boxed::Box<Divergence>>> {
        if self.rest.is_empty() {
            return None;
        }
        // All steps were read when the trace was.
        let stored = step(&mut self.rest).ok()?;
        let recorded = stored.outcome;
        self.now = self.now + stored.after;
        let input = stored.input().ok()?;
        let mut outcome = Outcome::default();
        let answer = self.client.handle(input.clone(), self.now);
        answer.hash(&mut outcome);
        let effects: Vec<Effect> = core::iter::from_fn(|| self.client.poll_effect()).collect();
        effects.iter().for_each(|effect| effect.hash(&mut outcome));
        let events: Vec<Event> = core::iter::from_fn(|| self.client.poll_event()).collect();
        events.iter().for_each(|event| event.hash(&mut outcome));
        let replayed = outcome.finish_with(&self.client);
        let step = Step { index: self.index, at: self.now, input, answer, effects, events };
        self.index += 1;
        if replayed == recorded {
            return Some(Ok(step));
        }
        Some(Err(alloc::boxed::Box::new(Divergence { step, recorded, replayed })))
    }
}

/// What is behind the next length.
fn next<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = prost::encoding::decode_varint(rest).ok()?;
    let (message, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = after;
    Some(message)
}

fn step(rest: &mut &[u8]) -> Result<StoredStep, Code> {
    next(rest).and_then(|step| StoredStep::decode(step).ok()).ok_or(Code::TraceDamaged)
}
