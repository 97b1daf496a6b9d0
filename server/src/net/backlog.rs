//! What a socket did not take, lane by lane.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};

use bytes::Bytes;

use super::batch::Batch;
use super::{Lane, frame};

/// Pieces that one system call writes; the kernel takes 1,024, and a socket seldom has room for more than these.
const PIECES_A_WRITE: usize = 64;
/// A slice that keeps more than so many times its own size in memory is copied instead.
const COPY_BELOW: usize = 4;
/// The origin of frames that were sent to one connection alone; above every channel's number.
pub(super) const PERSONAL: u64 = u64::MAX;

/// One or more whole frames.
struct Waiting {
    bytes: Bytes,
    lane: Lane,
    origin: u64,
    key: u32,
}

/// Frames that wait for one socket, in order.
#[derive(Default)]
pub(super) struct Backlog {
    waiting: VecDeque<Waiting>,
    /// Bytes of the first that the socket took already.
    written: usize,
    /// Waiting bytes by lane.
    bytes: [usize; 4],
}

/// What became of an attempt to write.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) bytes: usize,
    pub(super) writes: u32,
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Bytes that wait in a lane.
    pub(super) fn bytes(&self, lane: Lane) -> usize {
        self.bytes[lane as usize]
    }

    /// Queues one frame. A state frame takes the place of the one with its origin and key, at the end, so that it never
    /// overtakes the log that it tells of.
    pub(super) fn push(&mut self, bytes: Bytes, lane: Lane, origin: u64, key: u32) {
        if lane == Lane::State {
            // What the socket has taken a part of must be finished.
            let first = usize::from(self.written > 0);
            let older = |waiting: &Waiting| {
                waiting.lane == Lane::State && waiting.origin == origin && waiting.key == key
            };
            if let Some(at) = (first..self.waiting.len()).find(|&at| older(&self.waiting[at]))
                && let Some(replaced) = self.waiting.remove(at)
            {
                self.bytes[Lane::State as usize] -= replaced.bytes.len();
            }
        }
        self.bytes[lane as usize] += bytes.len();
        self.waiting.push_back(Waiting { bytes, lane, origin, key });
    }

    /// Queues frames of a sealed batch, as few slices of it as their lanes allow. Tells how many signals it left out.
    pub(super) fn push_batch(
        &mut self,
        batch: &Batch,
        frames: std::ops::Range<usize>,
        keep_signals: bool,
    ) -> u32 {
        if batch.is_plain() {
            self.push_run(batch, batch.start(frames.start), batch.start(frames.end));
            return 0;
        }
        let mut dropped = 0;
        let mut run = batch.start(frames.start);
        for index in frames.clone() {
            let frame = &batch.frames[index];
            if frame.bytes.is_empty() || matches!(frame.lane, Lane::Control | Lane::Log) {
                continue;
            }
            self.push_run(batch, run, batch.start(index));
            run = frame.end;
            if frame.lane == Lane::State || keep_signals {
                self.push(frame.bytes.clone(), frame.lane, batch.origin, frame.key);
            } else {
                dropped += 1;
            }
        }
        self.push_run(batch, run, batch.start(frames.end));
        dropped
    }

    fn push_run(&mut self, batch: &Batch, from: usize, to: usize) {
        if from == to {
            return;
        }
        let run = batch.bytes.slice(from..to);
        let run = if run.len() * COPY_BELOW < batch.bytes.len() { Bytes::copy_from_slice(&run) } else { run };
        self.push(run, Lane::Log, batch.origin, 0);
    }

    /// Queues what is left of a batch of which a socket took `written` bytes. The backlog must be empty.
    pub(super) fn push_rest(&mut self, batch: &Batch, written: usize) -> u32 {
        debug_assert!(self.is_empty());
        let at = batch.frames.partition_point(|frame| frame.end <= written);
        let start = batch.start(at);
        if start == written {
            return self.push_batch(batch, at..batch.frames.len(), false);
        }
        // This one is begun, so it is finished, whatever its lane.
        self.push(batch.bytes.slice(start..batch.frames[at].end), Lane::Control, batch.origin, 0);
        self.written = written - start;
        self.push_batch(batch, at + 1..batch.frames.len(), false)
    }

    /// Writes until all is written or the socket takes no more.
    pub(super) fn write_to(&mut self, socket: &mut impl Write) -> io::Result<Written> {
        let mut done = Written::default();
        while !self.waiting.is_empty() {
            let mut slices = [IoSlice::new(&[]); PIECES_A_WRITE];
            let mut asked = 0;
            for (at, (slice, waiting)) in slices.iter_mut().zip(&self.waiting).enumerate() {
                let skip = if at == 0 { self.written } else { 0 };
                *slice = IoSlice::new(&waiting.bytes[skip..]);
                asked += waiting.bytes.len() - skip;
            }
            let pieces = self.waiting.len().min(PIECES_A_WRITE);
            let result = match &slices[..pieces] {
                [one] => socket.write(one),
                many => socket.write_vectored(many),
            };
            match result {
                Ok(taken) => {
                    done.writes += 1;
                    done.bytes += taken;
                    self.took(taken);
                    if taken < asked {
                        // The socket is full; it tells when it has room again.
                        return Ok(done);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(done),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn took(&mut self, taken: usize) {
        self.written += taken;
        while let Some(first) = self.waiting.front() {
            if self.written < first.bytes.len() {
                break;
            }
            self.written -= first.bytes.len();
            self.bytes[first.lane as usize] -= first.bytes.len();
            self.waiting.pop_front();
        }
    }

    /// Leaves out the signals that have not begun. Tells how many.
    pub(super) fn drop_signals(&mut self) -> u32 {
        if self.bytes[Lane::Signal as usize] == 0 {
            return 0;
        }
        let before = self.waiting.len();
        let (mut at, begun) = (0, self.written > 0);
        let bytes = &mut self.bytes;
        self.waiting.retain(|waiting| {
            let keep = waiting.lane != Lane::Signal || (at == 0 && begun);
            at += 1;
            if !keep {
                bytes[Lane::Signal as usize] -= waiting.bytes.len();
            }
            keep
        });
        (before - self.waiting.len()) as u32
    }

    /// Forgets everything but the rest of the frame that the socket has taken a part of, so that a close frame can
    /// follow it.
    pub(super) fn keep_begun_frame(&mut self) {
        let begun = if self.written > 0 { self.waiting.pop_front() } else { None };
        let mut written = self.written;
        *self = Backlog::default();
        let Some(begun) = begun else { return };
        let mut rest = begun.bytes;
        while let Some(len) = frame::first_len(&rest) {
            if written == 0 {
                return;
            }
            if written < len {
                self.push(rest.slice(..len), Lane::Control, PERSONAL, 0);
                self.written = written;
                return;
            }
            written -= len;
            rest = rest.slice(len..);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Codec;

    /// Takes so many bytes, then blocks.
    struct Socket {
        room: usize,
        got: Vec<u8>,
    }

    impl Write for Socket {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.room);
            if taken == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.room -= taken;
            self.got.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            let mut taken = 0;
            for slice in slices {
                match self.write(slice) {
                    Ok(more) => taken += more,
                    Err(error) if taken == 0 => return Err(error),
                    Err(_) => break,
                }
            }
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn mixed() -> Batch {
        let mut batch = Batch { origin: 7, ..Batch::default() };
        for (text, lane) in [
            (&b"log1"[..], Lane::Log),
            (b"log2", Lane::Log),
            (b"SIG1", Lane::Signal),
            (b"stat", Lane::State),
            (b"log3", Lane::Log),
            (b"SIG2", Lane::Signal),
        ] {
            batch.push(Bytes::from_static(text), lane, 0);
        }
        batch.seal();
        batch
    }

    fn rest_after(written: usize) -> (String, u32) {
        let mut backlog = Backlog::default();
        let dropped = backlog.push_rest(&mixed(), written);
        let mut socket = Socket { room: usize::MAX, got: Vec::new() };
        backlog.write_to(&mut socket).expect("this socket does not fail");
        assert!(backlog.is_empty());
        assert_eq!(backlog.bytes, [0; 4]);
        (String::from_utf8(socket.got).expect("ASCII"), dropped)
    }

    #[test]
    fn what_is_left_of_a_batch_keeps_begun_frames_and_drops_signals() {
        assert_eq!(rest_after(0), ("log1log2statlog3".into(), 2));
        assert_eq!(rest_after(2), ("g1log2statlog3".into(), 2));
        assert_eq!(rest_after(8), ("statlog3".into(), 2));
        assert_eq!(rest_after(9), ("IG1statlog3".into(), 1));
        assert_eq!(rest_after(13), ("tatlog3".into(), 1));
        assert_eq!(rest_after(23), ("2".into(), 0));
    }

    #[test]
    fn state_is_replaced_at_the_end_by_origin_and_key() {
        let mut backlog = Backlog::default();
        backlog.push(Bytes::from_static(b"a1"), Lane::State, 1, 0);
        backlog.push(Bytes::from_static(b"b1"), Lane::State, 2, 0);
        backlog.push(Bytes::from_static(b"log"), Lane::Log, 1, 0);
        backlog.push(Bytes::from_static(b"a2"), Lane::State, 1, 0);
        assert_eq!(backlog.bytes(Lane::State), 4);
        let mut socket = Socket { room: 1, got: Vec::new() };
        assert_eq!(backlog.write_to(&mut socket).expect("no failure"), Written { bytes: 1, writes: 1 });
        // The first is begun now, so both go out.
        backlog.push(Bytes::from_static(b"b2"), Lane::State, 2, 0);
        socket.room = 100;
        backlog.write_to(&mut socket).expect("no failure");
        assert_eq!(socket.got, b"b1loga2b2");
    }

    #[test]
    fn any_number_of_pieces_is_written_in_order_whatever_the_socket_takes() {
        for room in [1, 7, 100, 1_000] {
            let mut backlog = Backlog::default();
            let mut expected = Vec::new();
            for n in 0..200_u8 {
                backlog.push(Bytes::from(vec![n; 3]), Lane::Control, PERSONAL, 0);
                expected.extend([n; 3]);
            }
            let mut socket = Socket { room: 0, got: Vec::new() };
            while !backlog.is_empty() {
                socket.room = room;
                backlog.write_to(&mut socket).expect("no failure");
            }
            assert_eq!(socket.got, expected);
        }
    }

    #[test]
    fn a_slow_consumer_keeps_the_rest_of_one_frame_alone() {
        let frames: Vec<Bytes> = (0..5_u8).map(|n| frame::encode(Codec::Binary, &[n; 10])).collect();
        for written in 0..60 {
            let mut batch = Batch::default();
            for frame in &frames {
                batch.push(frame.clone(), Lane::Log, 0);
            }
            batch.seal();
            let mut backlog = Backlog::default();
            backlog.push_batch(&batch, 0..5, false);
            let mut socket = Socket { room: written, got: Vec::new() };
            backlog.write_to(&mut socket).expect("no failure");
            backlog.keep_begun_frame();
            socket.room = usize::MAX;
            backlog.write_to(&mut socket).expect("no failure");
            assert_eq!(socket.got.len(), written.next_multiple_of(12), "after {written}");
            assert!(backlog.is_empty());
        }
    }
}
