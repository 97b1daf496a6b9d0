use enfilade_core::alone::Simulation;
use enfilade_core::client::Input;
use enfilade_core::op::{self, Body};
use enfilade_core::{RoomId, Tier, v1};
use wasm_bindgen::prelude::*;

use crate::replay::view;
use crate::{Answer, refused};

/// Clients, a server and the network between them, from one seed.
#[wasm_bindgen]
#[derive(Debug)]
pub struct World {
    simulation: Simulation,
}

#[wasm_bindgen]
#[allow(missing_docs, reason = "documented where it is used from, in ts/testing/bindgen.d.ts")]
impl World {
    #[wasm_bindgen(constructor)]
    pub fn new(seed: u64, clients: usize) -> World {
        World { simulation: Simulation::new(seed, clients) }
    }

    pub fn create_room(&mut self, client: usize, room: &str, name: String) -> Answer<()> {
        let create = v1::CreateRoom { name, ..Default::default() };
        self.submit(client, room, Body::CreateRoom(create))
    }

    pub fn join(&mut self, client: usize, room: &str) -> Answer<()> {
        self.submit(client, room, Body::Join(v1::Join {}))
    }

    pub fn post(&mut self, client: usize, room: &str, text: &str) -> Answer<()> {
        self.submit(client, room, op::post(text))
    }

    pub fn acquire(&mut self, client: usize, room: &str) -> Answer<()> {
        self.tell(client, Input::Acquire(RoomId::new(room).map_err(refused)?))
    }

    pub fn release(&mut self, client: usize, room: &str) -> Answer<()> {
        self.tell(client, Input::Release(RoomId::new(room).map_err(refused)?))
    }

    /// 0 unloaded, 1 cached, 2 background, 3 active.
    pub fn set_tier(&mut self, client: usize, room: &str, tier: u8) -> Answer<()> {
        let tier = Tier::ALL.get(usize::from(tier)).copied().unwrap_or(Tier::Unloaded);
        self.tell(client, Input::SetTier(RoomId::new(room).map_err(refused)?, tier))
    }

    /// The connection breaks; the client is not told at once, and what is on its way is lost.
    pub fn cut(&mut self, client: usize) {
        self.simulation.cut(client);
    }

    pub fn pass(&mut self, milliseconds: f64) {
        self.simulation.pass(milliseconds as u64);
    }

    /// What a client holds of a room; `undefined` when nothing.
    pub fn room(&self, client: usize, room: &str) -> JsValue {
        let room = RoomId::new(room).ok();
        let held = self.simulation.client(client).zip(room);
        held.map_or(JsValue::UNDEFINED, |(client, room)| view(client, &room))
    }

    /// What is not as it should be, in words; empty when all is well.
    pub fn wrong(&self) -> Vec<String> {
        self.simulation.wrong()
    }
}

impl World {
    fn submit(&mut self, client: usize, room: &str, body: Body) -> Answer<()> {
        self.tell(client, Input::Submit(RoomId::new(room).map_err(refused)?, body))
    }

    fn tell(&mut self, client: usize, input: Input) -> Answer<()> {
        self.simulation.tell(client, input).map(drop).map_err(|refusal| refused(refusal.code))
    }
}
