//! What was learned, as bytes: to be stored, taken elsewhere, and taken in again.

use alloc::string::String;
use alloc::vec::Vec;

use super::followers::Followers;
use super::pairs::Pairs;
use super::rooms::{Known, Rooms};
use super::weigh::Weights;
use super::{AFTER_PAIR, AFTER_ROOM, MEMORY_BYTES, Predictor};
use crate::{Code, hash53};

/// The layout of the bytes, which is their first.
const LAYOUT: u8 = 1;
/// Layout, checksum of the rest, length of what is packed.
const HEADER: usize = 1 + 8 + 4;
/// The room before, where there is none.
const NOWHERE: u16 = u16::MAX;

impl Predictor {
    /// What was learned, as bytes: layout, checksum, length, and an lz4 block. Equal visits give equal bytes. What the
    /// last [`SOON`](super::SOON) visits were going to teach is left out.
    pub fn export(&self) -> Vec<u8> {
        let mut plain = Writer(Vec::new());
        let sizes =
            [self.visits, self.hand as u32, self.rooms.len() as u32, self.after_pair.keys.len() as u32];
        plain.words(sizes);
        plain.words(self.rooms.known.iter().map(|known| known.last));
        plain.words(self.after_pair.keys.iter().copied());
        plain.words(self.weights.values.iter().map(|value| *value as u32));
        plain.halves([self.now_in.unwrap_or(NOWHERE), self.before.unwrap_or(NOWHERE)]);
        plain.halves(self.rooms.known.iter().map(|known| known.visits));
        plain.halves(self.rooms.known.iter().map(|known| known.name_end));
        let lists = [&self.rooms.ranks, &self.after_room.entries, &self.after_pair.lists.entries];
        plain.halves(lists.into_iter().flatten().copied());
        let bytes = [&self.after_room.totals, &self.after_pair.lists.totals, &self.weights.answers];
        bytes.into_iter().for_each(|bytes| plain.0.extend_from_slice(bytes));
        plain.0.extend_from_slice(self.rooms.names.as_bytes());

        let block = lz4_flex::block::compress(&plain.0);
        let mut packed = Vec::with_capacity(HEADER + block.len());
        packed.push(LAYOUT);
        packed.extend_from_slice(&hash53(&block, plain.0.len() as u64).to_le_bytes());
        packed.extend_from_slice(&(plain.0.len() as u32).to_le_bytes());
        packed.extend_from_slice(&block);
        packed
    }

    /// Takes in what [`export`](Predictor::export) gave, in place of everything that was learned here.
    ///
    /// # Errors
    /// [`Code::ModelDamaged`] for what is damaged, truncated, of a newer version, or larger than the bounds. The
    /// predictor knows nothing then.
    pub fn import(&mut self, bytes: &[u8]) -> Result<(), Code> {
        self.erase();
        *self = self.read(bytes).ok_or(Code::ModelDamaged)?;
        Ok(())
    }

    fn read(&self, bytes: &[u8]) -> Option<Predictor> {
        let (header, block) = bytes.split_at_checked(HEADER)?;
        let checksum = u64::from_le_bytes(header[1..9].try_into().ok()?);
        let length = u32::from_le_bytes(header[9..].try_into().ok()?) as usize;
        if header[0] != LAYOUT || length > MEMORY_BYTES || checksum != hash53(block, length as u64) {
            return None;
        }
        let plain = lz4_flex::block::decompress(block, length).ok()?;
        let mut reader = Reader(&plain);
        let mut learned = Predictor::new(self.bounds);
        let [visits, hand, rooms, pairs] = reader.words(4)?[..] else { return None };
        let (rooms, pairs) = (rooms as usize, pairs as usize);
        if rooms > self.bounds.rooms || pairs > self.bounds.pairs {
            return None;
        }
        let last = reader.words(rooms)?;
        let keys = reader.words(pairs)?;
        let values =
            reader.words(learned.weights.values.len())?.into_iter().map(|value| value as i32).collect();
        let place = reader.halves(2)?;
        let counts = reader.halves(rooms)?;
        let ends = reader.halves(rooms)?;
        let ranks = reader.halves(rooms)?;
        let mut after_room = Followers::new(AFTER_ROOM);
        let mut after_pair = Followers::new(AFTER_PAIR);
        after_room.entries = reader.halves(rooms * AFTER_ROOM)?;
        after_pair.entries = reader.halves(pairs * AFTER_PAIR)?;
        after_room.totals = reader.take(rooms)?.to_vec();
        after_pair.totals = reader.take(pairs)?.to_vec();
        let answers = reader.take(learned.weights.answers.len())?.to_vec();
        let names = String::from_utf8(reader.0.to_vec()).ok()?;
        if names.len() > self.bounds.names || !after_room.is_sound(rooms) {
            return None;
        }
        let known = last.iter().zip(&counts).zip(&ends);
        let known = known.map(|((last, visits), name_end)| Known {
            name_end: *name_end,
            visits: *visits,
            last: *last,
        });
        learned.rooms = Rooms::restore(known.collect(), names, ranks)?;
        learned.weights = Weights::restore(values, answers)?;
        learned.after_pair = Pairs::restore(learned.after_pair, keys, after_pair, rooms)?;
        learned.after_room = after_room;
        let known = |room: u16| (usize::from(room) < rooms).then_some(room);
        (learned.now_in, learned.before) = (known(place[0]), known(place[1]));
        // Where rooms are known, the user is in one of them.
        if learned.now_in.is_none() != (rooms == 0) {
            return None;
        }
        learned.counted = counts.iter().map(|count| u32::from(*count)).sum();
        (learned.visits, learned.hand) = (visits, hand as usize % super::POPULAR);
        Some(learned)
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn words(&mut self, words: impl IntoIterator<Item = u32>) {
        words.into_iter().for_each(|word| self.0.extend_from_slice(&word.to_le_bytes()));
    }

    fn halves(&mut self, halves: impl IntoIterator<Item = u16>) {
        halves.into_iter().for_each(|half| self.0.extend_from_slice(&half.to_le_bytes()));
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take(&mut self, bytes: usize) -> Option<&[u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn words(&mut self, count: usize) -> Option<Vec<u32>> {
        let (words, _) = self.take(count * 4)?.as_chunks();
        Some(words.iter().map(|word| u32::from_le_bytes(*word)).collect())
    }

    fn halves(&mut self, count: usize) -> Option<Vec<u16>> {
        let (halves, _) = self.take(count * 2)?.as_chunks();
        Some(halves.iter().map(|half| u16::from_le_bytes(*half)).collect())
    }
}
