//! A client that may be recorded.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

use prost::Message as _;

use super::format::{self, StoredHead, StoredStep};
use crate::client::{Answer, Client, ClientConfig, Effect, Event, Input};
use crate::policy::Refusal;
use crate::{Millis, hash53};

/// A client, and a recording of all that happens to it, if one was asked for. Hosts drive this as they would the client:
/// [`handle`](Session::handle), then effects and events until there are none.
#[derive(Debug)]
pub struct Session {
    client: Client,
    recorder: Option<Box<Recorder>>,
}

impl Session {
    /// A client, recorded into at most this many bytes if a number is given: a replay begins where the client begins, so
    /// a recording can't be started later. When it is full, the rest of the session is left out, which the trace says.
    pub fn new(config: ClientConfig, seed: u64, now: Millis, record: Option<usize>) -> Session {
        let recorder = record.map(|limit| {
            let head = StoredHead::new(&config, seed, now);
            let mut payload = Vec::new();
            format::delimit(&mut payload, &head.encode_to_vec());
            Box::new(Recorder {
                payload,
                limit,
                last: now,
                step: None,
                outcome: Outcome::default(),
                is_full: false,
            })
        });
        Session { client: Client::new(config, seed, now), recorder }
    }

    /// The client, for its views.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Does what the input says.
    ///
    /// # Errors
    /// As [`Client::handle`].
    pub fn handle(&mut self, input: Input, now: Millis) -> Result<Answer, Refusal> {
        let Some(recorder) = &mut self.recorder else { return self.client.handle(input, now) };
        recorder.begin(&input, now, &self.client);
        let answer = self.client.handle(input, now);
        answer.hash(&mut recorder.outcome);
        answer
    }

    /// [`Client::poll_effect`].
    pub fn poll_effect(&mut self) -> Option<Effect> {
        let effect = self.client.poll_effect();
        if let (Some(recorder), Some(effect)) = (&mut self.recorder, &effect) {
            effect.hash(&mut recorder.outcome);
        }
        effect
    }

    /// [`Client::poll_event`].
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.client.poll_event();
        if let (Some(recorder), Some(event)) = (&mut self.recorder, &event) {
            event.hash(&mut recorder.outcome);
        }
        event
    }

    /// The recording so far, for [`Trace::decode`](super::Trace::decode); `None` where none was asked for. To be called
    /// when all effects and events of the last input were taken.
    pub fn trace(&mut self) -> Option<Vec<u8>> {
        let recorder = self.recorder.as_mut()?;
        recorder.end(&self.client);
        Some(format::seal(&recorder.payload, recorder.is_full))
    }
}

#[derive(Debug)]
struct Recorder {
    /// Head and steps, each behind its length.
    payload: Vec<u8>,
    limit: usize,
    last: Millis,
    /// The step whose effects and events are being taken.
    step: Option<StoredStep>,
    outcome: Outcome,
    is_full: bool,
}

impl Recorder {
    fn begin(&mut self, input: &Input, now: Millis, client: &Client) {
        self.end(client);
        if self.is_full {
            return;
        }
        let now = now.max(self.last);
        let mut step = StoredStep::from(input);
        step.after = now.since(self.last);
        self.last = now;
        self.step = Some(step);
    }

    /// The step's outcome is known: notes it behind the step.
    fn end(&mut self, client: &Client) {
        let Some(mut step) = self.step.take() else { return };
        step.outcome = core::mem::take(&mut self.outcome).finish_with(client);
        let step = step.encode_to_vec();
        self.is_full = self.payload.len() + step.len() + format::OVERHEAD > self.limit;
        if !self.is_full {
            format::delimit(&mut self.payload, &step);
        }
    }
}

/// Hashes what a step led to, alike on every platform: numbers are written as 64 bits of one byte order.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome(Vec<u8>, u64);

/// Bytes that are gathered before they are hashed.
const BLOCK: usize = 4 * 1024;

impl Outcome {
    /// Also when the client wants to be called again is a part of what a step led to.
    pub(super) fn finish_with(mut self, client: &Client) -> u64 {
        client.next_deadline().hash(&mut self);
        self.finish()
    }
}

impl Hasher for Outcome {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        if self.0.len() >= BLOCK {
            (self.1, self.0) = (self.finish(), Vec::new());
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.0.push(number);
    }

    fn write_u16(&mut self, number: u16) {
        self.write_u64(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.write(&number.to_le_bytes());
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn write_i32(&mut self, number: i32) {
        self.write_u64(number as u64);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64(number as u64);
    }

    fn finish(&self) -> u64 {
        hash53(&self.0, self.1)
    }
}

/// For hosts that keep records by name.
impl From<(String, Vec<u8>)> for format::StoredRecord {
    fn from((key, value): (String, Vec<u8>)) -> Self {
        format::StoredRecord { key, value }
    }
}
