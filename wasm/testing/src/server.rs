use enfilade_core::alone::{Output, Server};
use enfilade_core::authority::ConnId;
use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;

use crate::{millis, object, records};

/// A server without sockets.
#[wasm_bindgen]
#[derive(Debug)]
pub struct AloneServer {
    server: Server,
}

#[wasm_bindgen]
#[allow(missing_docs, reason = "documented where it is used from, in ts/testing/bindgen.d.ts")]
impl AloneServer {
    #[wasm_bindgen(constructor)]
    pub fn new(seed: u64, stored: &Array, now: f64) -> AloneServer {
        AloneServer { server: Server::restore(records(stored), seed, millis(now)) }
    }

    /// `undefined` when there are as many as there may be.
    pub fn connect(&mut self, now: f64) -> Option<f64> {
        self.server.connect(millis(now)).map(|conn| conn.0 as f64)
    }

    pub fn frame(&mut self, conn: f64, bytes: &[u8], now: f64) {
        self.server.handle_frame(ConnId(conn as u64), bytes, millis(now));
    }

    pub fn disconnect(&mut self, conn: f64, now: f64) {
        self.server.disconnect(ConnId(conn as u64), millis(now));
    }

    pub fn timeout(&mut self, now: f64) {
        self.server.handle_timeout(millis(now));
    }

    pub fn deadline(&self) -> Option<f64> {
        self.server.next_deadline().map(|at| at.0 as f64)
    }

    /// All that is to be done, in order.
    pub fn drain(&mut self) -> Array {
        let outputs = core::iter::from_fn(|| self.server.poll()).map(|output| match output {
            Output::Send { conn, bytes } => object([
                ("kind", "send".into()),
                ("conn", (conn.0 as f64).into()),
                ("bytes", Uint8Array::from(&bytes[..]).into()),
            ]),
            Output::Close { conn, code } => object([
                ("kind", "close".into()),
                ("conn", (conn.0 as f64).into()),
                ("code", u32::from(code).into()),
            ]),
            Output::Persist { key, value } => object([
                ("kind", "persist".into()),
                ("key", key.into()),
                ("value", value.map_or(JsValue::NULL, |value| Uint8Array::from(&value[..]).into())),
            ]),
        });
        outputs.collect()
    }

    /// Ids of the rooms that have a log.
    pub fn rooms(&self) -> Vec<String> {
        self.server.rooms().map(|room| room.to_string()).collect()
    }
}
