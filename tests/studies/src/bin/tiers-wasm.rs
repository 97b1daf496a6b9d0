//! What a change of tier costs a client in a browser's machine. Each call of `main` takes the next of the steps below and
//! does nothing else, so that a host can time those that are the client's, and only those. For each of [`SIZES`] there is
//! one call that prepares, and then [`ROUNDS`] rounds of seven calls:
//!
//! 1. open: the client makes the Cached room Active, and reads its snapshot;
//! 2. (the server answers, with what was written meanwhile)
//! 3. open: the client takes the answer in;
//! 4. leave: the client makes the room Cached, and stores its snapshot;
//! 5. (the server answers; two messages are written)
//! 6. leave: the client takes the answer in;
//! 7. bound: the stored snapshot is decompressed and decoded, and that is all.
#![allow(clippy::unwrap_used, reason = "a measurement that can't be made has failed")]

use std::process::ExitCode;
use std::sync::Mutex;

use enfilade_studies::Change;

/// As in the npm package.
#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

const SIZES: [u32; 3] = [50, 500, 5_000];
const ROUNDS: usize = 200;

static HERE: Mutex<(usize, Option<Change>)> = Mutex::new((0, None));

fn main() -> ExitCode {
    let mut here = HERE.lock().unwrap();
    let (call, change) = &mut *here;
    let calls = 1 + Change::STEPS * ROUNDS;
    let (size, at) = (*call / calls % SIZES.len(), *call % calls);
    *call += 1;
    match at.checked_sub(1) {
        None => *change = Some(Change::new(SIZES[size])),
        Some(step) => change.as_mut().unwrap().step(step % Change::STEPS),
    }
    ExitCode::SUCCESS
}
