//! Bytes from anywhere, on every run: the kept corpus, and mutated vectors, through everything that takes bytes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use enfilade_core::Rng;
use enfilade_tests::fuzzing::{TARGETS, Target, kept};
use enfilade_tests::vectors::hex;

/// For each decoder. All of it together is a few seconds of one core in a debug build.
const MUTATIONS: usize = 12_000;
/// The sessions do more with each input.
const SESSION_MUTATIONS: usize = 3_000;
/// The same inputs on every run: whoever wants others, fuzzes.
const SEED: u64 = 20_250_829;

#[test]
fn what_was_kept_from_fuzzing_does_no_harm() {
    for target in TARGETS {
        for (name, bytes) in kept(target) {
            run(target, &bytes, &name);
        }
    }
}

#[test]
fn mutated_vectors_do_no_harm() {
    for target in TARGETS {
        let mut rng = Rng::new(SEED);
        let mut seeds = (target.seeds)();
        seeds.extend(kept(target).into_iter().map(|(_, bytes)| bytes));
        for (index, seed) in seeds.iter().enumerate() {
            run(target, seed, &format!("{}: seed {index}", target.name));
        }
        let count = if target.name.ends_with("session") { SESSION_MUTATIONS } else { MUTATIONS };
        for index in 0..count {
            let bytes = mutate(&mut rng, &seeds);
            run(target, &bytes, &format!("{}: mutation {index}", target.name));
        }
    }
}

fn run(target: &Target, bytes: &[u8], name: &str) {
    if catch_unwind(AssertUnwindSafe(|| (target.run)(bytes))).is_err() {
        panic!("{name} did harm. Keep it in tests/corpus/{}: {}", target.name, hex(bytes));
    }
}

/// One to four changes of a seed: bits, bytes that mean something, cuts, repetitions, parts of another seed.
fn mutate(rng: &mut Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    const TELLING: &[u8] = &[0x00, 0x01, 0x7f, 0x80, 0xff, b'"', b'{', b'}', b'[', b'\\', b'-', b'9'];
    let pick = |rng: &mut Rng, below: usize| rng.below(below.max(1) as u64) as usize;
    let mut bytes = seeds[pick(rng, seeds.len())].clone();
    for _ in 0..=pick(rng, 4) {
        let at = pick(rng, bytes.len());
        match pick(rng, 7) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << pick(rng, 8),
            1 if !bytes.is_empty() => bytes[at] = TELLING[pick(rng, TELLING.len())],
            2 if !bytes.is_empty() => drop(bytes.remove(at)),
            3 => bytes.truncate(at),
            4 => {
                let end = (at + pick(rng, 16)).min(bytes.len());
                let part = bytes[at.min(end)..end].to_vec();
                bytes.splice(at.min(end)..at.min(end), part);
            }
            5 => {
                let other = &seeds[pick(rng, seeds.len())];
                let from = pick(rng, other.len());
                let part = other[from.min(other.len())..(from + pick(rng, 64)).min(other.len())].to_vec();
                let at = at.min(bytes.len());
                bytes.splice(at..at, part);
            }
            _ => bytes.insert(at.min(bytes.len()), rng.below(256) as u8),
        }
    }
    bytes
}
