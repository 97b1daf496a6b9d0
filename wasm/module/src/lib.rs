//! The WASM file that browsers load: the bindings of `enfilade-wasm`, which are a library for their tests.

/// What is linked, it exports.
pub use enfilade_wasm::EnfiladeCore;

/// In place of the standard one, whose code is four times as large.
#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();
