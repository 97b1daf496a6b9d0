//! What `enfilade/testing` loads: a server in the process, replay of traces, and simulation. Thin, like the client's
//! bindings: it translates types.

mod replay;
mod server;
mod simulation;

use enfilade_core::{Code, Millis};
use js_sys::{Array, Object, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;

pub use replay::TraceReplay;
pub use server::AloneServer;
pub use simulation::World;

type Answer<T> = Result<T, JsValue>;

/// Thrown as the code's number.
fn refused(code: Code) -> JsValue {
    code.number().into()
}

fn millis(now: f64) -> Millis {
    Millis(now as u64)
}

/// Key and bytes of each record; others are left out.
fn records(records: &Array) -> Vec<(String, Vec<u8>)> {
    let record = |record: JsValue| {
        let record: Array = record.dyn_into().ok()?;
        let value: Uint8Array = record.get(1).dyn_into().ok()?;
        Some((record.get(0).as_string()?, value.to_vec()))
    };
    records.iter().filter_map(record).collect()
}

fn object<const N: usize>(fields: [(&str, JsValue); N]) -> JsValue {
    let object = Object::new();
    for (name, value) in fields {
        // A new object takes any field.
        let _ = Reflect::set(&object, &name.into(), &value);
    }
    object.into()
}
