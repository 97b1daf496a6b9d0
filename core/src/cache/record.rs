//! Bytes out and in: a layout, a checksum, and whole numbers in as few bytes as they need.

use alloc::vec::Vec;

use crate::{Code, hash53};

/// The layout of both records, which is their first byte.
const LAYOUT: u8 = 1;
const HEADER: usize = 1 + 8;

#[derive(Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn number(&mut self, number: u64) {
        let mut rest = number;
        while rest >= 0x80 {
            self.0.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn finish(self) -> Vec<u8> {
        let mut record = Vec::with_capacity(HEADER + self.0.len());
        record.push(LAYOUT);
        record.extend_from_slice(&hash53(&self.0, 0).to_le_bytes());
        record.extend_from_slice(&self.0);
        record
    }
}

pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Opens a record. The errors are `damaged`, and `newer` for a layout that is not known here.
    pub(super) fn open(record: &'a [u8], damaged: Code, newer: Code) -> Result<Reader<'a>, Code> {
        let (header, body) = record.split_at_checked(HEADER).ok_or(damaged)?;
        if header[0] > LAYOUT {
            return Err(newer);
        }
        let is_whole = header[0] == LAYOUT && header[1..] == hash53(body, 0).to_le_bytes();
        if is_whole { Ok(Reader(body)) } else { Err(damaged) }
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..63).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    /// A number that is at most so large.
    pub(super) fn up_to(&mut self, most: u64) -> Option<u64> {
        self.number().filter(|number| *number <= most)
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
