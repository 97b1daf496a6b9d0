//! Does what the core asks for: the socket, the timer. Decides nothing.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::{Rc, Weak};

use enfilade_core::SUBPROTOCOL_BINARY;
use enfilade_core::client::{Answer, Client, Effect, Input};
use enfilade_core::policy::Refusal;
use enfilade_core::trace::Session;
use futures::{Sink, StreamExt};
use gloo_net::websocket::futures::WebSocket;
use gloo_net::websocket::{Message, State, WebSocketError};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;

use crate::clock::Clock;
use crate::drained::Drained;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(handler: &Closure<dyn FnMut()>, milliseconds: i32) -> JsValue;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(timer: &JsValue);
}

/// Browsers take a longer delay for none.
const LONGEST_DELAY: u64 = i32::MAX as u64;
/// What a browser says of a connection that ended without a close frame.
const ABNORMAL: u16 = 1006;

/// A client with its socket and its timer.
///
/// Nothing of the app's is called while the client is borrowed: inputs go in, then effects are done, then the app is
/// woken in a task of its own, and takes what has changed.
pub(crate) struct Driver {
    /// `None` once disposed of.
    session: RefCell<Option<Session>>,
    drained: RefCell<Drained>,
    clock: Clock,
    url: String,
    socket: RefCell<Option<(u64, web_sys::WebSocket)>>,
    timer: RefCell<Option<(u64, JsValue)>>,
    on_timer: Closure<dyn FnMut()>,
    wake: js_sys::Function,
    is_waking: Cell<bool>,
    this: Weak<Driver>,
}

/// The client was disposed of.
pub(crate) struct Disposed;

impl Driver {
    pub(crate) fn new(
        url: String,
        wake: js_sys::Function,
        session: impl FnOnce(&Clock) -> Session,
    ) -> Rc<Driver> {
        Rc::new_cyclic(|this: &Weak<Driver>| {
            let clock = Clock::default();
            let driver = this.clone();
            Driver {
                session: RefCell::new(Some(session(&clock))),
                drained: RefCell::default(),
                clock,
                url,
                socket: RefCell::default(),
                timer: RefCell::default(),
                on_timer: Closure::new(move || {
                    if let Some(driver) = driver.upgrade() {
                        driver.timer.take();
                        driver.take_in(Input::Timeout);
                    }
                }),
                wake,
                is_waking: Cell::new(false),
                this: this.clone(),
            }
        })
    }

    /// Hands in what the app wants, which drains what comes of it.
    pub(crate) fn handle(&self, input: Input) -> Result<Result<Answer, Refusal>, Disposed> {
        let now = self.clock.now();
        let answer = self.session.borrow_mut().as_mut().ok_or(Disposed)?.handle(input, now);
        self.pump();
        Ok(answer)
    }

    /// The recording so far, if one was asked for.
    pub(crate) fn trace(&self) -> Result<Option<Vec<u8>>, Disposed> {
        Ok(self.session.borrow_mut().as_mut().ok_or(Disposed)?.trace())
    }

    /// Reads from the client.
    pub(crate) fn read<T>(&self, view: impl FnOnce(&Client) -> T) -> Result<T, Disposed> {
        Ok(view(self.session.borrow().as_ref().ok_or(Disposed)?.client()))
    }

    /// What has come out since the last time.
    pub(crate) fn drain(&self) -> Result<Drained, Disposed> {
        self.read(|_| ())?;
        self.is_waking.set(false);
        Ok(self.drained.take())
    }

    /// Ends everything. Doing it again does nothing.
    pub(crate) fn dispose(&self) {
        let session = self.session.take();
        drop(session);
        if let Some((_, timer)) = self.timer.take() {
            clear_timeout(&timer);
        }
        if let Some((_, socket)) = self.socket.take() {
            close(&socket, 1000, "disposed");
        }
        self.drained.take();
    }

    /// Hands in what came by itself, and wakes the app if there is something to see.
    fn take_in(&self, input: Input) {
        if self.handle(input).is_err() || self.drained.borrow().is_empty() || self.is_waking.replace(true) {
            return;
        }
        let this = self.this.clone();
        spawn_local(async move {
            let Some(driver) = this.upgrade() else { return };
            // Unless a command of the app's has drained everything by now.
            if driver.is_waking.get() {
                let _ = driver.wake.call0(&JsValue::NULL);
            }
        });
    }

    /// Does all effects, collects all events, and sets the timer.
    fn pump(&self) {
        while let Some(effect) = self.next_effect() {
            match effect {
                Effect::Connect { generation } => self.open(generation),
                Effect::Send { generation, bytes } => self.send(generation, &bytes),
                Effect::Close { generation, code, reason } => self.close(generation, code, reason),
                Effect::Persist { key, value } => self.drained.borrow_mut().record(key, value),
                Effect::Load { key } => self.drained.borrow_mut().load(key),
            }
        }
        let mut session = self.session.borrow_mut();
        let Some(session) = session.as_mut() else { return };
        let mut drained = self.drained.borrow_mut();
        while let Some(event) = session.poll_event() {
            drained.event(event);
        }
        self.set_timer(session.client().next_deadline().map(|(due, _)| due.0));
    }

    fn next_effect(&self) -> Option<Effect> {
        self.session.borrow_mut().as_mut()?.poll_effect()
    }

    fn set_timer(&self, due: Option<u64>) {
        let mut timer = self.timer.borrow_mut();
        if timer.as_ref().map(|(due, _)| *due) == due {
            return;
        }
        if let Some((_, old)) = timer.take() {
            clear_timeout(&old);
        }
        *timer = due.map(|due| {
            let delay = due.saturating_sub(self.clock.now().0).min(LONGEST_DELAY) as i32;
            (due, set_timeout(&self.on_timer, delay))
        });
    }

    fn open(&self, generation: u64) {
        let opened = web_sys::WebSocket::new_with_str(&self.url, SUBPROTOCOL_BINARY);
        let opened = opened.ok().and_then(|raw| Some((raw.clone(), WebSocket::try_from(raw).ok()?)));
        let this = self.this.clone();
        match opened {
            Some((raw, socket)) => {
                self.socket.replace(Some((generation, raw)));
                spawn_local(read(this, generation, socket));
            }
            // The address is not one, or the page may not connect to it. In a task of its own: the core has not
            // finished asking.
            None => spawn_local(async move {
                if let Some(driver) = this.upgrade() {
                    let reason = "the socket can't be opened".into();
                    driver.take_in(Input::Disconnected { generation, code: ABNORMAL, reason });
                }
            }),
        }
    }

    /// The socket's own `send`, because gloo-net's makes a `Blob` of every frame. What can't be sent any more is sent
    /// again after the next hello, so a failure needs no answer.
    fn send(&self, generation: u64, bytes: &[u8]) {
        if let Some((current, socket)) = &*self.socket.borrow()
            && *current == generation
        {
            let _ = socket.send_with_u8_array(bytes);
        }
    }

    fn close(&self, generation: u64, code: u16, reason: &str) {
        let socket = self.socket.borrow_mut().take_if(|(current, _)| *current == generation);
        if let Some((_, socket)) = socket {
            close(&socket, code, reason);
        }
    }
}

/// A browser refuses codes that are not 1000 or 3000 to 4999; then the connection is closed without one.
fn close(socket: &web_sys::WebSocket, code: u16, reason: &str) {
    if socket.close_with_code_and_reason(code, reason).is_err() {
        let _ = socket.close();
    }
}

/// Carries what comes from one socket to the core, until it is closed or nobody is there any more.
async fn read(driver: Weak<Driver>, generation: u64, mut socket: WebSocket) {
    let hand_in = |input: Input| {
        let driver = driver.upgrade();
        driver.map(|driver| driver.take_in(input)).is_some()
    };
    let _ = poll_fn(|context| Pin::new(&mut socket).poll_ready(context)).await;
    let is_open = matches!(socket.state(), State::Open);
    if is_open && !hand_in(Input::Connected { generation }) {
        return;
    }
    while let Some(received) = socket.next().await {
        let goes_on = match received {
            Ok(Message::Bytes(bytes)) => hand_in(Input::Frame { generation, bytes }),
            // Text has no place in the binary protocol; the core counts it as what it is.
            Ok(Message::Text(text)) => hand_in(Input::Frame { generation, bytes: text.into_bytes() }),
            Err(WebSocketError::ConnectionClose(event)) => {
                hand_in(Input::Disconnected { generation, code: event.code, reason: event.reason });
                false
            }
            // The close event follows.
            Err(_) => true,
        };
        if !goes_on {
            return;
        }
    }
}
