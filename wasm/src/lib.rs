//! Enfilade's core for the browser: one handle over [`Client`], for the TypeScript beside it.
//!
//! Thin on purpose: it translates types, and drives socket and timer. JavaScript is called in one place alone, to be
//! woken, and never while anything is borrowed; everything else is pulled.

mod clock;
mod drained;
mod driver;
mod rows;

use std::rc::Rc;

use enfilade_core::client::{Client, ClientConfig, Network, RoomView};
use enfilade_core::op::Body;
use enfilade_core::policy::Refusal;
use enfilade_core::{ClientId, Code, OpId, RoomId, Tier, v1};
use js_sys::{Array, Function, Uint8Array};
use serde::Serialize;
use wasm_bindgen::prelude::*;

use driver::{Disposed, Driver};
use rows::js;

/// In place of the standard one, whose code is four times as large.
#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

/// A client with its socket, its timer, and everything that is held of its rooms.
#[wasm_bindgen]
pub struct EnfiladeCore {
    driver: Rc<Driver>,
}

/// What methods throw.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Refused {
    code: u32,
    retry_after: u64,
    reason: &'static str,
}

/// A number below the registry's; the TypeScript has its sentence.
const DISPOSED: u32 = 2;

type Answer<T> = Result<T, JsValue>;

#[wasm_bindgen]
#[allow(missing_docs, reason = "documented where it is used from, in ts/bindgen/enfilade_wasm.d.ts")]
impl EnfiladeCore {
    /// Times in milliseconds; what is `undefined` keeps its default.
    #[wasm_bindgen(constructor)]
    pub fn new(
        url: String,
        agent: String,
        background_for: Option<f64>,
        cached_for: Option<f64>,
        cached_rooms: Option<f64>,
        active_grace: Option<f64>,
        wake: Function,
    ) -> Answer<EnfiladeCore> {
        let seed = seed()?;
        let or = |given: Option<f64>, default: u64| given.map_or(default, |number| number as u64);
        let defaults = ClientConfig::default();
        let config = ClientConfig {
            agent,
            background_for: or(background_for, defaults.background_for),
            cached_for: or(cached_for, defaults.cached_for),
            cached_rooms: or(cached_rooms, defaults.cached_rooms as u64) as usize,
            active_grace: or(active_grace, defaults.active_grace),
            ..defaults
        };
        let driver = Driver::new(url, wake, |clock| Client::new(config, seed, clock.now()));
        Ok(EnfiladeCore { driver })
    }

    pub fn restore(&self, records: Array) -> Answer<()> {
        let records = records.iter().filter_map(|record| {
            let record: Array = record.dyn_into().ok()?;
            let value: Uint8Array = record.get(1).dyn_into().ok()?;
            Some((record.get(0).as_string()?, value.to_vec()))
        });
        let records: Vec<(String, Vec<u8>)> = records.collect();
        self.driver.command(|client, now| client.restore(records, now)).map_err(disposed)
    }

    pub fn loaded(&self, key: String, record: Option<Vec<u8>>) -> Answer<()> {
        let hand_in = |client: &mut Client, now| client.handle_loaded(&key, record.as_deref(), now);
        self.driver.command(hand_in).map_err(disposed)
    }

    pub fn set_token(&self, token: &str) -> Answer<()> {
        self.driver.command(|client, now| client.set_token(token, now)).map_err(disposed)
    }

    pub fn connect(&self) -> Answer<()> {
        self.driver.command(Client::connect).map_err(disposed)
    }

    pub fn disconnect(&self) -> Answer<()> {
        self.driver.command(Client::disconnect).map_err(disposed)
    }

    pub fn logout(&self) -> Answer<()> {
        self.driver.command(Client::logout).map_err(disposed)
    }

    pub fn dispose(&self) {
        self.driver.dispose();
    }

    pub fn network(&self, what: u8) -> Answer<()> {
        let network = match what {
            0 => Network::Online,
            1 => Network::Offline,
            2 => Network::Foreground,
            _ => Network::Background,
        };
        self.driver.command(|client, now| client.handle_network(network, now)).map_err(disposed)
    }

    pub fn acquire(&self, room: &str) -> Answer<()> {
        let room = room_id(room)?;
        self.driver.command(|client, now| client.acquire(&room, now)).map_err(disposed)
    }

    pub fn release(&self, room: &str) -> Answer<()> {
        let room = room_id(room)?;
        self.driver.command(|client, now| client.release(&room, now)).map_err(disposed)
    }

    pub fn set_tier(&self, room: &str, tier: u8) -> Answer<()> {
        let room = room_id(room)?;
        let tier = Tier::ALL.get(usize::from(tier)).copied().ok_or_else(|| refused(Code::InvalidRequest))?;
        self.driver.command(|client, now| client.set_tier(&room, tier, now)).map_err(disposed)
    }

    pub fn create_room(&self, name: &str, topic: &str, visibility: u8) -> Answer<String> {
        let visibility =
            v1::Visibility::try_from(i32::from(visibility)).map_err(|_| refused(Code::InvalidRequest))?;
        let created = self.driver.command(|client, now| client.create_room(name, visibility, topic, now));
        let (room, _) = created.map_err(disposed)?.map_err(refusal)?;
        Ok(room.to_string())
    }

    pub fn join(&self, room: &str) -> Answer<String> {
        self.submit(room, Body::Join(v1::Join {}))
    }

    pub fn leave(&self, room: &str) -> Answer<String> {
        self.submit(room, Body::Leave(v1::Leave {}))
    }

    pub fn post(&self, room: &str, text: String, mentions: Vec<String>) -> Answer<String> {
        self.submit(room, Body::PostMessage(v1::PostMessage { text, mentions, reply_to: None }))
    }

    pub fn cancel(&self, op: &str) -> Answer<bool> {
        let op = op_id(op).ok_or_else(|| refused(Code::InvalidRequest))?;
        let cancelled = self.driver.command(|client, now| client.cancel(op, now)).map_err(disposed)?;
        Ok(cancelled.is_ok())
    }

    pub fn mark_read(&self, room: &str) -> Answer<()> {
        let room = room_id(room)?;
        self.driver.command(|client, now| client.mark_read(&room, now)).map_err(disposed)
    }

    pub fn load_older(&self, room: &str, limit: u32) -> Answer<()> {
        let room = room_id(room)?;
        self.driver.command(|client, now| client.load_older(&room, limit as usize, now)).map_err(disposed)?;
        Ok(())
    }

    pub fn set_draft(&self, room: &str, text: &str) -> Answer<()> {
        let room = room_id(room)?;
        self.driver.command(|client, _| client.set_draft(&room, text)).map_err(disposed)
    }

    /// 0 latest, 1 timed, 2 release. Whether it was taken.
    pub fn signal(&self, room: &str, class: u8, kind: &str, key: &str, payload: &[u8]) -> Answer<bool> {
        let room = room_id(room)?;
        let class = v1::SignalClass::try_from(i32::from(class)).map_err(|_| refused(Code::InvalidRequest))?;
        let taken = self.driver.command(|client, now| client.signal(&room, class, kind, key, payload, now));
        taken.map_err(disposed)?.map_err(refused)
    }

    pub fn watch_rooms(&self, on: bool) -> Answer<()> {
        self.driver.command(|client, now| client.watch_rooms(on, now)).map_err(disposed)
    }

    pub fn drain(&self) -> Answer<JsValue> {
        js(&self.driver.drain().map_err(disposed)?)
    }

    pub fn connection(&self) -> Answer<JsValue> {
        self.read(rows::connection)
    }

    pub fn traffic(&self) -> Answer<Vec<f64>> {
        let counters = self.driver.read(|client| client.connection().counters).map_err(disposed)?;
        let counters = [counters.bytes_in, counters.bytes_out, counters.frames_in, counters.frames_out];
        Ok(counters.map(|count| count as f64).to_vec())
    }

    pub fn room_order(&self) -> Answer<String> {
        self.read(|client| Ok(rows::room_order(client)))
    }

    pub fn room_rows(&self, ids: Vec<String>) -> Answer<JsValue> {
        self.read(|client| rows::room_rows(client, &ids))
    }

    pub fn notifications(&self) -> Answer<JsValue> {
        self.read(rows::notifications)
    }

    /// `undefined` for a room of which nothing is held.
    pub fn room(&self, room: &str) -> Answer<JsValue> {
        self.read_room(room, |_, view| view.map_or(Ok(JsValue::UNDEFINED), rows::room))
    }

    pub fn members(&self, room: &str) -> Answer<JsValue> {
        self.read_room(room, |_, view| view.map_or_else(none, rows::members))
    }

    pub fn signals(&self, room: &str) -> Answer<JsValue> {
        let room = room_id(room)?;
        self.read(|client| rows::signals(client, &room))
    }

    pub fn first_ordinal(&self, room: &str) -> Answer<f64> {
        let first = |view: RoomView<'_>| Some(view.message(0)?.ordinal as f64);
        self.read_room(room, |_, view| Ok(view.and_then(first).unwrap_or_default()))
    }

    pub fn messages(&self, room: &str, after: f64, before: f64) -> Answer<JsValue> {
        let (after, before) = (after as u64, before as u64);
        self.read_room(room, |client, view| {
            view.map_or_else(none, |view| rows::messages(client, view, after, before))
        })
    }

    pub fn pending(&self, room: &str) -> Answer<JsValue> {
        self.read_room(room, |client, view| view.map_or_else(none, |view| rows::pending(client, view)))
    }
}

impl EnfiladeCore {
    fn read<T>(&self, view: impl FnOnce(&Client) -> Answer<T>) -> Answer<T> {
        self.driver.read(view).map_err(disposed)?
    }

    fn read_room<T>(
        &self,
        room: &str,
        view: impl FnOnce(&Client, Option<RoomView<'_>>) -> Answer<T>,
    ) -> Answer<T> {
        let room = room_id(room)?;
        self.read(|client| view(client, client.room(&room)))
    }

    fn submit(&self, room: &str, body: Body) -> Answer<String> {
        let room = room_id(room)?;
        let submitted = self.driver.command(|client, now| client.submit(&room, body, now));
        Ok(submitted.map_err(disposed)?.map_err(refusal)?.to_string())
    }
}

/// An empty list, of a room of which nothing is held.
fn none() -> Answer<JsValue> {
    Ok(Array::new().into())
}

fn room_id(id: &str) -> Answer<RoomId> {
    RoomId::new(id).map_err(refused)
}

/// Reads what `OpId`'s `Display` writes.
fn op_id(id: &str) -> Option<OpId> {
    let (client, counter) = id.split_once('-')?;
    Some(OpId { client: ClientId(client.parse().ok()?), counter: counter.parse().ok()? })
}

fn disposed(_: Disposed) -> JsValue {
    js(&Refused { code: DISPOSED, retry_after: 0, reason: "" }).unwrap_or_default()
}

fn refused(code: Code) -> JsValue {
    refusal(Refusal { code, retry_after: 0 })
}

fn refusal(refusal: Refusal) -> JsValue {
    let Refusal { code, retry_after } = refusal;
    js(&Refused { code: code.number(), retry_after, reason: code.text() }).unwrap_or_default()
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues, catch)]
    fn get_random_values(bytes: &Uint8Array) -> Result<Uint8Array, JsValue>;
}

/// A client id is made of it, so it must differ between any two tabs anywhere.
fn seed() -> Answer<u64> {
    let array = Uint8Array::new_with_length(8);
    get_random_values(&array)?;
    let mut bytes = [0; 8];
    array.copy_to(&mut bytes);
    Ok(u64::from_le_bytes(bytes))
}
