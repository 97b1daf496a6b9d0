//! The handle in a browser: driven with frames by a socket that the test holds.
#![cfg(target_arch = "wasm32")]
#![allow(missing_docs, clippy::unwrap_used, reason = "a failure of the page is a failure of the test")]

use std::cell::RefCell;
use std::rc::Rc;

use enfilade_core::v1::{client_frame, room_state_sync::Data, server_frame};
use enfilade_core::wire::binary;
use enfilade_core::{Code, Rng, VERSION_MAX, op, v1};
use enfilade_wasm::EnfiladeCore;
use js_sys::{Array, Function, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

#[wasm_bindgen]
extern "C" {
    type FakeSocket;
    #[wasm_bindgen(method)]
    fn opens(this: &FakeSocket);
    #[wasm_bindgen(method)]
    fn receives(this: &FakeSocket, data: &JsValue);
    #[wasm_bindgen(method)]
    fn ends(this: &FakeSocket, code: u16, reason: &str);
    #[wasm_bindgen(method, getter)]
    fn protocol(this: &FakeSocket) -> String;
    #[wasm_bindgen(method, getter)]
    fn url(this: &FakeSocket) -> String;
    #[wasm_bindgen(method, getter)]
    fn sent(this: &FakeSocket) -> Array;
    #[wasm_bindgen(method, getter)]
    fn closed(this: &FakeSocket) -> JsValue;
}

/// A handle, the sockets that it opens, and how often it woke.
struct Page {
    core: Rc<EnfiladeCore>,
    wakes: Rc<RefCell<u32>>,
    _wake: Closure<dyn FnMut()>,
}

impl Page {
    fn new() -> Page {
        Function::new_no_args(include_str!("fake_socket.js")).call0(&JsValue::NULL).unwrap();
        let wakes = Rc::new(RefCell::new(0));
        let woken = wakes.clone();
        let wake = Closure::<dyn FnMut()>::new(move || *woken.borrow_mut() += 1);
        let function: Function = wake.as_ref().clone().unchecked_into();
        let (url, agent) = ("ws://server.test/ws".into(), "test".into());
        let core = EnfiladeCore::new(url, agent, None, None, None, None, None, function).unwrap();
        Page { core: Rc::new(core), wakes, _wake: wake }
    }

    /// Connected and welcomed, with a room of three messages open.
    async fn online() -> Page {
        let page = Page::new();
        page.core.set_token("a token".into()).unwrap();
        page.core.acquire("lobby").unwrap();
        page.core.connect().unwrap();
        page.socket().opens();
        turn().await;
        page.receive(server_frame::Body::Welcome(v1::Welcome {
            version: VERSION_MAX,
            user: "ada".into(),
            user_name: "Ada".into(),
            heartbeat_interval: 25_000,
            reconnect_min: 100,
            reconnect_max: 200,
            ..Default::default()
        }));
        page.receive(sync(1, Some(v1::Tier::Active), &["one", "two", "three"]));
        turn().await;
        page
    }

    fn sockets(&self) -> Vec<FakeSocket> {
        let class = Reflect::get(&js_sys::global(), &"WebSocket".into()).unwrap();
        let opened: Array = Reflect::get(&class, &"opened".into()).unwrap().unchecked_into();
        opened.iter().map(JsCast::unchecked_into).collect()
    }

    fn socket(&self) -> FakeSocket {
        self.sockets().pop().unwrap()
    }

    fn receive(&self, body: server_frame::Body) {
        let bytes = binary::encode_server(&v1::ServerFrame { body: Some(body) });
        self.socket().receives(&Uint8Array::from(&*bytes));
    }

    fn sent(&self) -> Vec<client_frame::Body> {
        let frame = |bytes: JsValue| Uint8Array::new(&bytes).to_vec();
        let sent = self.socket().sent();
        sent.iter().map(|bytes| binary::decode_client(&frame(bytes), 65_536).unwrap().body.unwrap()).collect()
    }

    fn texts(&self) -> Vec<String> {
        let all = self.core.messages("lobby", 0.0, f64::MAX).unwrap();
        let (all, pending): (Array, Array) = (all.into(), self.core.pending("lobby").unwrap().into());
        all.iter().chain(pending.iter()).map(|row| get(&row, "text").as_string().unwrap()).collect()
    }

    fn state(&self) -> String {
        get(&self.core.connection().unwrap(), "state").as_string().unwrap()
    }
}

/// Entries of the lobby from this seq on: its creation, and messages.
fn sync(from: u64, tier: Option<v1::Tier>, texts: &[&str]) -> server_frame::Body {
    let create = op::Body::CreateRoom(v1::CreateRoom { name: "Lobby".into(), ..Default::default() });
    let creation = (from == 1).then_some(create);
    let bodies = creation.into_iter().chain(texts.iter().map(|text| op::post(*text)));
    let entries: Vec<v1::Entry> = bodies
        .zip(from..)
        .map(|(body, seq)| v1::Entry {
            seq,
            // The first entry makes the room, all others are messages.
            ordinal: seq - 1,
            op_id: Some(v1::OpId { client: 99, counter: seq }),
            author: "bob".into(),
            author_name: "Bob".into(),
            at: 1_000 + seq,
            op: op::encode(body),
        })
        .collect();
    server_frame::Body::RoomStateSync(v1::RoomStateSync {
        message_type: v1::MessageType::DeltaUpdate.into(),
        room_id: "lobby".into(),
        alias: 5,
        epoch: 7,
        sequence_number: from + entries.len() as u64 - 1,
        tier: tier.map(Into::into),
        data: Some(Data::DeltaUpdate(v1::DeltaUpdate { entries })),
        ..Default::default()
    })
}

fn get(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap()
}

/// Until tasks and microtasks that wait now are done.
async fn turn() {
    let timeout: Function = get(&js_sys::global(), "setTimeout").unchecked_into();
    let promise = Promise::new(&mut |resolve, _| {
        timeout.call2(&JsValue::NULL, &resolve, &10.into()).unwrap();
    });
    JsFuture::from(promise).await.unwrap();
}

fn code(error: JsValue) -> u32 {
    get(&error, "code").as_f64().unwrap() as u32
}

#[wasm_bindgen_test]
async fn a_room_is_opened_and_written_in() {
    let page = Page::online().await;
    assert_eq!(
        (page.socket().url(), page.socket().protocol()),
        ("ws://server.test/ws".into(), "enfilade.proto.v1".into())
    );
    assert_eq!(page.state(), "online");
    assert_eq!(page.texts(), ["one", "two", "three"]);
    let Some(client_frame::Body::Hello(hello)) = page.sent().into_iter().next() else { panic!("no hello") };
    assert_eq!((hello.token.as_str(), hello.agent.as_str()), ("a token", "test"));

    let view = page.core.room("lobby").unwrap();
    assert_eq!(get(&view, "name").as_string().unwrap(), "Lobby");
    assert_eq!(get(&view, "synced").as_string().unwrap(), "ready");
    assert_eq!(get(&view, "epoch").as_f64(), Some(7.0));
    assert_eq!(get(&view, "seq").as_f64(), Some(4.0));
    assert!(get(&view, "bytesIn").as_f64() > Some(0.0));

    // Not a member: the same rule that the server has says so before anything is sent.
    assert_eq!(
        code(page.core.post("lobby", "mine".into(), Vec::new()).unwrap_err()),
        Code::NotMember.number()
    );
    page.core.join("lobby").unwrap();
    page.core.post("lobby", "mine".into(), Vec::new()).unwrap();
    assert_eq!(page.texts(), ["one", "two", "three", "mine"]);
    let submitted =
        page.sent().into_iter().filter(|body| matches!(body, client_frame::Body::Submit(_))).count();
    assert_eq!(submitted, 2);

    page.receive(sync(5, None, &["four"]));
    turn().await;
    assert_eq!(page.texts(), ["one", "two", "three", "four", "mine"]);
    let since: Array = page.core.messages("lobby", 3.0, f64::MAX).unwrap().into();
    assert_eq!(since.length(), 1);
}

#[wasm_bindgen_test]
async fn the_app_is_woken_once_until_it_drains() {
    let page = Page::online().await;
    page.core.drain().unwrap();
    let before = *page.wakes.borrow();
    page.receive(sync(5, None, &["four"]));
    turn().await;
    page.receive(sync(6, None, &["five"]));
    turn().await;
    assert_eq!(*page.wakes.borrow(), before + 1);
    let drained = page.core.drain().unwrap();
    let changes: Array = get(&drained, "changes").into();
    assert!(
        changes.iter().any(|change| get(&change, "id") == "lobby" && get(&change, "messages").is_truthy())
    );
    page.receive(sync(7, None, &["six"]));
    turn().await;
    assert_eq!(*page.wakes.borrow(), before + 2);
}

#[wasm_bindgen_test]
async fn a_lost_connection_is_opened_again_and_what_waits_is_sent() {
    let page = Page::online().await;
    page.core.join("lobby").unwrap();
    page.socket().ends(1006, "");
    turn().await;
    assert!(matches!(page.state().as_str(), "waiting" | "connecting"), "{}", page.state());
    page.core.post("lobby", "typed meanwhile".into(), Vec::new()).unwrap();
    for _ in 0..100 {
        if page.sockets().len() > 1 {
            break;
        }
        turn().await;
    }
    assert_eq!(page.sockets().len(), 2);
    page.socket().opens();
    turn().await;
    let Some(client_frame::Body::Hello(hello)) = page.sent().into_iter().next() else { panic!("no hello") };
    let lobby = hello.rooms.iter().find(|room| room.room_id == "lobby").unwrap();
    assert_eq!((lobby.tier(), lobby.base), (v1::Tier::Active, Some(v1::Position { epoch: 7, seq: 4 })));
}

#[wasm_bindgen_test]
async fn a_close_code_that_says_never_is_final_and_has_its_number() {
    let page = Page::online().await;
    page.socket().ends(4506, "replaced");
    turn().await;
    let view = page.core.connection().unwrap();
    assert_eq!(get(&view, "state").as_string().unwrap(), "failed");
    assert_eq!(get(&view, "error").as_f64(), Some(4506.0));
    assert_eq!(page.sockets().len(), 1);
}

#[wasm_bindgen_test]
async fn garbage_and_text_do_no_harm() {
    let page = Page::online().await;
    let mut rng = Rng::new(1);
    for round in 0..500_usize {
        let bytes: Vec<u8> = (0..round % 90).map(|_| rng.below(256) as u8).collect();
        page.socket().receives(&Uint8Array::from(&*bytes));
        if page.socket().closed().is_truthy() {
            break;
        }
    }
    page.socket().receives(&"text".into());
    turn().await;
    assert_eq!(page.texts(), ["one", "two", "three"]);
    page.core.drain().unwrap();
    page.core.set_draft("lobby", "still there".into()).unwrap();
    assert_eq!(get(&page.core.room("lobby").unwrap(), "draft").as_string().unwrap(), "still there");
}

#[wasm_bindgen_test]
async fn records_come_out_and_are_taken_back() {
    let page = Page::new();
    let room = page.core.create_room("Mine".into(), String::new(), 0).unwrap();
    page.core.post(&room, "kept".into(), Vec::new()).unwrap();
    let drained = page.core.drain().unwrap();
    let records: Array = get(&drained, "records").into();
    assert!(records.length() >= 2);
    assert!(records.iter().all(|record| Array::from(&record).get(1).is_instance_of::<Uint8Array>()));

    let next = Page::new();
    next.core.restore(records).unwrap();
    let pending: Array = next.core.pending(&room).unwrap().into();
    assert_eq!(get(&pending.get(0), "text").as_string().unwrap(), "kept");
    // Not records: left alone.
    next.core.restore(Array::of2(&"x".into(), &Array::of2(&1.into(), &2.into()))).unwrap();
}

#[wasm_bindgen_test]
async fn after_dispose_everything_is_closed_and_every_call_is_an_error() {
    let page = Page::online().await;
    page.core.dispose();
    page.core.dispose();
    assert!(page.socket().closed().is_truthy());
    assert_eq!(code(page.core.connect().unwrap_err()), 2);
    assert_eq!(code(page.core.room("lobby").unwrap_err()), 2);
    assert_eq!(code(page.core.drain().unwrap_err()), 2);
    assert_eq!(code(page.core.post("lobby", "x".into(), Vec::new()).unwrap_err()), 2);
    // What still comes from the socket finds nobody.
    page.receive(sync(5, None, &["late"]));
    page.socket().ends(1000, "");
    turn().await;
}

#[wasm_bindgen_test]
fn what_can_not_be_is_refused_with_its_code() {
    let page = Page::new();
    assert_eq!(code(page.core.acquire("not an id").unwrap_err()), Code::InvalidRoomId.number());
    assert_eq!(code(page.core.post("a", " ".into(), Vec::new()).unwrap_err()), Code::InvalidText.number());
    assert_eq!(
        code(page.core.create_room("".into(), String::new(), 0).unwrap_err()),
        Code::InvalidName.number()
    );
    assert_eq!(
        code(page.core.create_room("x".into(), String::new(), 9).unwrap_err()),
        Code::InvalidRequest.number()
    );
    assert_eq!(code(page.core.set_tier("a", 7).unwrap_err()), Code::InvalidRequest.number());
    assert!(!page.core.cancel("1-1").unwrap());
    assert_eq!(code(page.core.cancel("x").unwrap_err()), Code::InvalidRequest.number());
    assert!(page.core.room("unknown").unwrap().is_undefined());
}
