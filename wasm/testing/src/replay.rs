use enfilade_core::client::Client;
use enfilade_core::trace::Trace;
use enfilade_core::{Millis, RoomId};
use js_sys::Array;
use wasm_bindgen::prelude::*;

use crate::{Answer, object, refused};

/// A trace, and how far it was replayed.
#[wasm_bindgen]
#[derive(Debug)]
pub struct TraceReplay {
    trace: Trace,
    /// Steps done.
    done: usize,
    client: Client,
}

#[wasm_bindgen]
#[allow(missing_docs, reason = "documented where it is used from, in ts/testing/bindgen.d.ts")]
impl TraceReplay {
    #[wasm_bindgen(constructor)]
    pub fn new(bytes: &[u8]) -> Answer<TraceReplay> {
        let trace = Trace::decode(bytes).map_err(refused)?;
        let client = trace.replay().into_client();
        Ok(TraceReplay { trace, done: 0, client })
    }

    /// Number of steps, and what else the trace says of itself.
    pub fn about(&self) -> JsValue {
        object([
            ("steps", (self.trace.len() as f64).into()),
            ("full", self.trace.is_full().into()),
            ("redacted", self.trace.is_redacted().into()),
            ("version", self.trace.version().into()),
        ])
    }

    pub fn redacted(&self) -> Answer<Vec<u8>> {
        Ok(self.trace.redacted().map_err(refused)?.encode())
    }

    /// Goes to where so many steps are done, backwards too, and returns what the last `shown` of them led to.
    pub fn seek(&mut self, steps: usize, shown: usize) -> Array {
        let mut replay = self.trace.replay();
        let told = Array::new();
        self.done = 0;
        while self.done < steps {
            let Some(step) = replay.step() else { break };
            self.done += 1;
            if self.done + shown <= steps {
                continue;
            }
            let (step, exact) = match step {
                Ok(step) => (step, true),
                Err(divergence) => (divergence.step, false),
            };
            let texts = |texts: Vec<String>| texts.into_iter().map(JsValue::from).collect::<Array>().into();
            told.push(&object([
                ("index", (step.index as f64).into()),
                ("at", (step.at.0 as f64).into()),
                ("exact", exact.into()),
                ("input", format!("{:?}", step.input).into()),
                ("effects", texts(step.effects.iter().map(|effect| format!("{effect:?}")).collect())),
                ("events", texts(step.events.iter().map(|event| format!("{event:?}")).collect())),
            ]));
        }
        self.client = replay.into_client();
        told
    }

    /// The first step that came out otherwise; `undefined` when none did.
    pub fn divergence(&self) -> Option<f64> {
        self.trace.replay_all().err().map(|divergence| divergence.step.index as f64)
    }

    /// What the client holds of a room after the steps done; `undefined` when nothing.
    pub fn room(&self, room: &str) -> JsValue {
        RoomId::new(room).map_or(JsValue::UNDEFINED, |room| view(&self.client, &room))
    }
}

/// A room in a few words.
pub(crate) fn view(client: &Client, room: &RoomId) -> JsValue {
    let Some(view) = client.room(room) else { return JsValue::UNDEFINED };
    let texts = (0..view.message_count()).filter_map(|at| view.message(at));
    let row = |author: &str, text: &str, at: Millis| {
        object([("author", author.into()), ("text", text.into()), ("at", (at.0 as f64).into())])
    };
    let messages = texts.map(|message| row(&message.author, &message.text, Millis(message.at)));
    object([
        ("name", view.name().into()),
        ("tier", view.tier().name().into()),
        ("epoch", (view.position().epoch as f64).into()),
        ("seq", (view.position().seq as f64).into()),
        ("messages", messages.collect::<Array>().into()),
        ("pending", (view.pending().count() as f64).into()),
        ("unread", (view.unread() as f64).into()),
    ])
}
