use xxhash_rust::xxh64::xxh64;

use crate::limits::INTEGER_BOUND;

/// 53 bits of XXH64 with a seed: enough to tell states apart, and exact in JavaScript. Not for secrets.
pub fn hash53(bytes: &[u8], seed: u64) -> u64 {
    xxh64(bytes, seed) & (INTEGER_BOUND - 1)
}

/// A room's digest: equal states give equal digests, on every platform.
///
/// `chain` is `hash53(entry, chain of the entry before)`, so clients that hold windows of different length agree.
/// `registers` is the sum (modulo 2^53) of the hashes of all registers (info, config, each member, each following),
/// so that a change costs the old hash and the new one, whatever the room's size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    /// Hash of the log up to here.
    pub chain: u64,
    /// Sum of the registers' hashes.
    pub registers: u64,
}

impl Digest {
    pub(crate) fn extend_chain(&mut self, entry: &[u8]) {
        self.chain = hash53(entry, self.chain);
    }

    pub(crate) fn add(&mut self, register: u64) {
        self.registers = (self.registers + register) & (INTEGER_BOUND - 1);
    }

    pub(crate) fn remove(&mut self, register: u64) {
        self.registers = self.registers.wrapping_sub(register) & (INTEGER_BOUND - 1);
    }

    /// Both in one number of 53 bits: what travels.
    pub fn value(self) -> u64 {
        hash53(&self.registers.to_le_bytes(), self.chain)
    }
}
