//! The WASM file that browsers load: the bindings of `enfilade-wasm`, which are a library for their tests.
#![cfg_attr(target_family = "wasm", no_std)]

/// What is linked, it exports.
pub use enfilade_wasm::EnfiladeCore;

/// In place of the standard one, whose code is four times as large.
#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

/// In place of std's, which says nothing in a browser either, but keeps all that a panic has to say: the places in the
/// source, the sentences and the formatting, 15 kB of the download.
#[cfg(target_family = "wasm")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
