//! What one wake publishes to one channel, joined into one piece of memory that all its subscribers share.

use bytes::{Bytes, BytesMut};

use super::Lane;

/// How far back a newer state frame looks for the one that it replaces. A room has a handful of state keys.
const REPLACE_WITHIN: usize = 64;

/// A frame within a batch.
pub(super) struct Frame {
    /// As it was published; empty once a newer state frame took its place.
    pub(super) bytes: Bytes,
    pub(super) lane: Lane,
    pub(super) key: u32,
    /// Where it ends in the joined bytes; known once the batch is sealed.
    pub(super) end: usize,
}

/// The frames of one channel in one wake, in order.
#[derive(Default)]
pub(super) struct Batch {
    /// Tells the state frames of one channel from those of another.
    pub(super) origin: u64,
    pub(super) frames: Vec<Frame>,
    /// All frames, one after the other; empty until the batch is sealed.
    pub(super) bytes: Bytes,
    /// Frames by lane.
    pub(super) lanes: [u32; 4],
    /// State frames that were replaced before anybody got them.
    pub(super) replaced: u32,
}

impl Batch {
    pub(super) fn push(&mut self, bytes: Bytes, lane: Lane, key: u32) {
        if lane == Lane::State {
            let older = self.frames.iter_mut().rev().take(REPLACE_WITHIN);
            for frame in older.filter(|frame| frame.lane == Lane::State && frame.key == key) {
                if !frame.bytes.is_empty() {
                    frame.bytes = Bytes::new();
                    self.replaced += 1;
                    self.lanes[Lane::State as usize] -= 1;
                }
            }
        }
        self.lanes[lane as usize] += 1;
        self.frames.push(Frame { bytes, lane, key, end: 0 });
    }

    /// Joins the frames. One alone is used as it is.
    pub(super) fn seal(&mut self) {
        let mut end = 0;
        let mut filled = 0;
        for frame in &mut self.frames {
            end += frame.bytes.len();
            filled += usize::from(!frame.bytes.is_empty());
            frame.end = end;
        }
        if filled == 1 {
            let only = self.frames.iter().find(|frame| !frame.bytes.is_empty());
            self.bytes = only.map(|frame| frame.bytes.clone()).unwrap_or_default();
            return;
        }
        let mut joined = BytesMut::with_capacity(end);
        for frame in &self.frames {
            joined.extend_from_slice(&frame.bytes);
        }
        self.bytes = joined.freeze();
    }

    /// Whether all of it must arrive, so that the whole can be treated as one.
    pub(super) fn is_plain(&self) -> bool {
        self.lanes[Lane::State as usize] == 0 && self.lanes[Lane::Signal as usize] == 0
    }

    /// Where a frame begins in the joined bytes.
    pub(super) fn start(&self, frame: usize) -> usize {
        frame.checked_sub(1).and_then(|before| self.frames.get(before)).map_or(0, |before| before.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(batch: &Batch) -> &[u8] {
        &batch.bytes
    }

    #[test]
    fn the_latest_state_of_a_key_wins_within_a_batch() {
        let mut batch = Batch::default();
        batch.push(Bytes::from_static(b"old"), Lane::State, 1);
        batch.push(Bytes::from_static(b"log"), Lane::Log, 1);
        batch.push(Bytes::from_static(b"other"), Lane::State, 2);
        batch.push(Bytes::from_static(b"new"), Lane::State, 1);
        batch.seal();
        assert_eq!(bytes(&batch), b"logothernew");
        assert_eq!((batch.replaced, batch.lanes), (1, [0, 1, 2, 0]));
        assert_eq!(batch.frames.iter().map(|frame| frame.end).collect::<Vec<_>>(), [0, 3, 8, 11]);
        assert_eq!((batch.start(0), batch.start(3)), (0, 8));
        assert!(!batch.is_plain());
    }

    #[test]
    fn one_frame_alone_is_not_copied() {
        let frame = Bytes::from(vec![1; 40]);
        let mut batch = Batch::default();
        batch.push(frame.clone(), Lane::Log, 0);
        batch.seal();
        assert_eq!(batch.bytes.as_ptr(), frame.as_ptr());
    }
}
