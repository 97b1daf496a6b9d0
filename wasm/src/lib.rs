//! Enfilade's core for the browser: one handle over [`Client`], for the TypeScript beside it.
//!
//! Thin on purpose: it translates types, and drives socket and timer. JavaScript is called in one place alone, to be
//! woken, and never while anything is borrowed; everything else is pulled.

mod clock;
mod drained;
mod driver;
mod messages;
mod rows;

use std::rc::Rc;

use enfilade_core::client::{Answer as Made, Client, ClientConfig, Input, Network, RoomView};
use enfilade_core::op::Body;
use enfilade_core::policy::Refusal;
use enfilade_core::trace::Session;
use enfilade_core::{ClientId, Code, OpId, RoomId, Tier, v1};
use js_sys::{Array, Function, Uint8Array};
use serde::Serialize;
use wasm_bindgen::prelude::*;

use driver::{Disposed, Driver};
use rows::{id_text, js};

/// A client with its socket, its timer, and everything that is held of its rooms.
#[wasm_bindgen]
pub struct EnfiladeCore {
    driver: Rc<Driver>,
}

/// What methods throw: `Refused` of ts/core.ts. The sentence is in ts/codes.ts.
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
    #[allow(
        clippy::too_many_arguments,
        reason = "reading an options object would cost a deserializer in the download"
    )]
    pub fn new(
        url: String,
        agent: String,
        background_for: Option<f64>,
        cached_for: Option<f64>,
        cached_rooms: Option<f64>,
        active_grace: Option<f64>,
        record: Option<f64>,
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
        let record = record.map(|bytes| bytes as usize);
        let driver = Driver::new(url, wake, |clock| Session::new(config, seed, clock.now(), record));
        Ok(EnfiladeCore { driver })
    }

    pub fn restore(&self, records: Array) -> Answer<()> {
        let records = records.iter().filter_map(|record| {
            let record: Array = record.dyn_into().ok()?;
            let value: Uint8Array = record.get(1).dyn_into().ok()?;
            Some((record.get(0).as_string()?, value.to_vec()))
        });
        let records: Vec<(String, Vec<u8>)> = records.collect();
        self.tell(Input::Restore(records))
    }

    pub fn loaded(&self, key: String, record: Option<Vec<u8>>) -> Answer<()> {
        self.tell(Input::Loaded { key, record })
    }

    pub fn set_token(&self, token: String) -> Answer<()> {
        self.tell(Input::SetToken(token))
    }

    pub fn connect(&self) -> Answer<()> {
        self.tell(Input::Connect)
    }

    pub fn disconnect(&self) -> Answer<()> {
        self.tell(Input::Disconnect)
    }

    pub fn logout(&self) -> Answer<()> {
        self.tell(Input::Logout)
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
        self.tell(Input::Network(network))
    }

    pub fn acquire(&self, room: &str) -> Answer<()> {
        self.tell(Input::Acquire(room_id(room)?))
    }

    pub fn release(&self, room: &str) -> Answer<()> {
        self.tell(Input::Release(room_id(room)?))
    }

    pub fn set_tier(&self, room: &str, tier: u8) -> Answer<()> {
        let room = room_id(room)?;
        let tier = Tier::ALL.get(usize::from(tier)).copied().ok_or_else(|| refused(Code::InvalidRequest))?;
        self.tell(Input::SetTier(room, tier))
    }

    pub fn create_room(&self, name: String, topic: String, visibility: u8) -> Answer<String> {
        let visibility =
            v1::Visibility::try_from(i32::from(visibility)).map_err(|_| refused(Code::InvalidRequest))?;
        self.make(Input::CreateRoom { name, visibility, topic })
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

    /// An encoded `Op`.
    pub fn submit_op(&self, room: &str, op: &[u8]) -> Answer<String> {
        self.submit(room, enfilade_core::op::parse(op).map_err(refused)?)
    }

    pub fn cancel(&self, op: &str) -> Answer<bool> {
        let op = op_id(op).ok_or_else(|| refused(Code::InvalidRequest))?;
        Ok(self.driver.handle(Input::Cancel(op)).map_err(disposed)?.is_ok())
    }

    pub fn mark_read(&self, room: &str) -> Answer<()> {
        self.tell(Input::MarkRead(room_id(room)?))
    }

    pub fn load_older(&self, room: &str, limit: u32) -> Answer<()> {
        self.tell(Input::LoadOlder(room_id(room)?, limit))
    }

    /// The messages that are missing after the one with this ordinal.
    pub fn fill_gap(&self, room: &str, after: f64) -> Answer<()> {
        self.tell(Input::FillGap(room_id(room)?, after as u64))
    }

    pub fn edit_message(&self, room: &str, id: &str, text: String, mentions: Vec<String>) -> Answer<String> {
        let message_id = message_id(id)?;
        self.amend(room, Body::EditMessage(v1::EditMessage { message_id, message_seq: 0, text, mentions }))
    }

    pub fn delete_message(&self, room: &str, id: &str) -> Answer<String> {
        let message_id = message_id(id)?;
        self.amend(room, Body::DeleteMessage(v1::DeleteMessage { message_id, message_seq: 0 }))
    }

    pub fn react(&self, room: &str, id: &str, reaction: String, removed: bool) -> Answer<String> {
        let message_id = message_id(id)?;
        self.amend(room, Body::React(v1::React { message_id, message_seq: 0, reaction, removed }))
    }

    pub fn pin(&self, room: &str, id: &str, removed: bool) -> Answer<String> {
        let message_id = message_id(id)?;
        self.amend(room, Body::Pin(v1::Pin { message_id, message_seq: 0, removed }))
    }

    pub fn set_draft(&self, room: &str, text: String) -> Answer<()> {
        self.tell(Input::SetDraft(room_id(room)?, text))
    }

    /// 0 latest, 1 timed, 2 release. Whether it was taken.
    pub fn signal(&self, room: &str, class: u8, kind: String, key: String, payload: Vec<u8>) -> Answer<bool> {
        let room = room_id(room)?;
        let class = v1::SignalClass::try_from(i32::from(class)).map_err(|_| refused(Code::InvalidRequest))?;
        Ok(self.ask(Input::Signal { room, class, kind, key, payload })? == Made::Taken(true))
    }

    pub fn watch_rooms(&self, on: bool) -> Answer<()> {
        self.tell(Input::WatchRooms(on))
    }

    /// Empty where no recording was asked for.
    pub fn trace(&self) -> Answer<Vec<u8>> {
        Ok(self.driver.trace().map_err(disposed)?.unwrap_or_default())
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

    /// Ranks from `from` on, at most `count`.
    pub fn scores(&self, room: &str, from: u32, count: u32) -> Answer<JsValue> {
        self.read_room(room, |client, view| rows::scores(client, view, from as usize, count as usize))
    }

    pub fn contacts(&self) -> Answer<JsValue> {
        self.read(rows::contacts)
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
            view.map_or_else(none, |view| messages::messages(client, view, after, before))
        })
    }

    pub fn pins(&self, room: &str) -> Answer<JsValue> {
        self.read_room(room, |client, view| view.map_or_else(none, |view| messages::pins(client, view)))
    }

    pub fn pending(&self, room: &str) -> Answer<JsValue> {
        self.read_room(room, |client, view| view.map_or_else(none, |view| messages::pending(client, view)))
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

    fn ask(&self, input: Input) -> Answer<Made> {
        self.driver.handle(input).map_err(disposed)?.map_err(refusal)
    }

    fn tell(&self, input: Input) -> Answer<()> {
        self.ask(input).map(drop)
    }

    /// The name of what an input has made.
    fn make(&self, input: Input) -> Answer<String> {
        Ok(match self.ask(input)? {
            Made::Room(room, _) => room.as_str().to_string(),
            Made::Op(op) => id_text(op),
            Made::Done | Made::Ops(_) | Made::Taken(_) => String::new(),
        })
    }

    fn amend(&self, room: &str, body: Body) -> Answer<String> {
        self.make(Input::Amend(room_id(room)?, body))
    }

    fn submit(&self, room: &str, body: Body) -> Answer<String> {
        self.make(Input::Submit(room_id(room)?, body))
    }
}

/// How an operation names a message.
fn message_id(id: &str) -> Answer<Option<v1::OpId>> {
    op_id(id).map(|id| Some(id.wire())).ok_or_else(|| refused(Code::InvalidRequest))
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
    thrown(DISPOSED, 0)
}

fn refused(code: Code) -> JsValue {
    thrown(code.number(), 0)
}

fn refusal(refusal: Refusal) -> JsValue {
    thrown(refusal.code.number(), refusal.retry_after)
}

fn thrown(code: u32, retry_after: u64) -> JsValue {
    js(&Refused { code, retry_after, reason: "" }).unwrap_or_default()
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
