//! A client's session between a server that says anything and a storage that holds anything.

use std::collections::BTreeMap;

use enfilade_core::client::{Client, ClientConfig, Effect};
use enfilade_core::v1::server_frame::Body as Frame;
use enfilade_core::wire::binary;
use enfilade_core::{Millis, RoomId, Tier, v1};

use super::{Script, frames};
use crate::vectors::Direction;

/// A timer that is due again and again at the same time never lets the host sleep.
const TIMEOUTS_AT_ONCE: usize = 100;

/// Reads the bytes as a list of steps: most are frames, some what user, network and time do.
pub(super) fn session(bytes: &[u8]) {
    let mut script = Script(bytes);
    let mut host = Host::new();
    host.connect();
    while let Some(step) = script.byte() {
        match step % 16 {
            0..=7 => {
                let frame = script.chunk();
                host.client.handle_frame(host.generation, frame, host.now);
            }
            8 => {
                let seconds = u64::from(script.byte().unwrap_or(0));
                host.pass(seconds * 1_000);
            }
            9 => {
                let text = String::from_utf8_lossy(script.chunk()).into_owned();
                let _ = host.client.post(&host.room(step), &text, vec!["grace".into()], host.now);
            }
            10 => host.client.acquire(&host.room(step), host.now),
            11 => host.client.release(&host.room(step), host.now),
            12 => {
                let tier = Tier::from_wire(i32::from(script.byte().unwrap_or(0) % 4));
                host.client.set_tier(&host.room(step), tier.expect("one of four"), host.now);
            }
            13 => {
                let room = host.room(step);
                host.client.load_older(&room, 10, host.now);
                host.client.mark_read(&room, host.now);
                host.client.watch_rooms(step & 0x80 == 0, host.now);
                let _ = host.client.join(&room, host.now);
            }
            14 => {
                let code = u16::from_le_bytes([script.byte().unwrap_or(0), script.byte().unwrap_or(0)]);
                host.client.handle_disconnected(host.generation, code, "", host.now);
                host.drain();
                host.pass(60_000);
                host.connect();
            }
            _ => {
                let damage = script.chunk();
                host.restart(usize::from(step >> 4), damage);
            }
        }
        host.drain();
    }
    host.pass(600_000);
}

/// One script with all frames, and one a frame with what a user does after it.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let frames: Vec<Vec<u8>> =
        frames(Direction::Server).into_iter().filter(|frame| frame.len() < 4_096).collect();
    let mut all = Vec::new();
    for frame in &frames {
        Script::write(&mut all, 0, frame);
    }
    let single = frames.iter().map(|frame| {
        let mut script = vec![10];
        Script::write(&mut script, 0, frame);
        Script::write(&mut script, 9, b"hello");
        script.extend([8, 3, 12, 2, 13, 8, 90, 11, 14, 0xee, 3]);
        Script::write(&mut script, 15, &[]);
        Script::write(&mut script, 0, frame);
        script
    });
    single.chain([all.clone()]).collect()
}

struct Host {
    client: Client,
    generation: u64,
    now: Millis,
    records: BTreeMap<String, Vec<u8>>,
}

impl Host {
    fn new() -> Host {
        let now = Millis(1_756_471_800_000);
        let mut host = Host { client: client(now), generation: 0, now, records: BTreeMap::new() };
        host.begin();
        host
    }

    fn begin(&mut self) {
        self.client.set_token("token", self.now);
        self.client.acquire(&self.room(0), self.now);
        self.client.connect(self.now);
        self.drain();
    }

    /// The socket opens, and the server welcomes the user.
    fn connect(&mut self) {
        self.client.handle_connected(self.generation, self.now);
        let welcome = v1::Welcome {
            version: 1000,
            user: "ada".into(),
            user_name: "Ada".into(),
            heartbeat_interval: 25_000,
            ..Default::default()
        };
        let frame = binary::encode_server(&v1::ServerFrame { body: Some(Frame::Welcome(welcome)) });
        self.client.handle_frame(self.generation, &frame, self.now);
        self.drain();
    }

    fn room(&self, step: u8) -> RoomId {
        let id = ["lobby", "study.room_2", "other", "inbox:ada"][usize::from(step >> 4) % 4];
        RoomId::new(id).expect("an id")
    }

    /// Does what the client wants, and reads all of its views, as an app would.
    fn drain(&mut self) {
        while let Some(effect) = self.client.poll_effect() {
            match effect {
                Effect::Connect { generation } => self.generation = generation,
                Effect::Send { bytes, .. } => {
                    let sent = binary::decode_client(&bytes, usize::MAX);
                    assert!(sent.is_ok_and(|frame| frame.body.is_some()), "the client sends frames");
                }
                Effect::Close { .. } => {}
                Effect::Persist { key, value: Some(value) } => drop(self.records.insert(key, value)),
                Effect::Persist { key, value: None } => drop(self.records.remove(&key)),
                Effect::Load { key } => {
                    let record = self.records.get(&key).cloned();
                    self.client.handle_loaded(&key, record.as_deref(), self.now);
                }
            }
        }
        while self.client.poll_event().is_some() {}
        let _ = self.client.connection();
        assert!(self.client.notifications().count() <= 1_000);
        for row in self.client.rooms() {
            let Some(room) = self.client.room(row.id) else { continue };
            let _ = (room.synced(), room.name(), room.users().count(), room.members().count(), room.unread());
            let ordinals: Vec<u64> = (0..room.message_count())
                .filter_map(|index| room.message(index))
                .map(|message| message.ordinal)
                .collect();
            assert_eq!(ordinals.len(), room.message_count(), "every message that is counted can be read");
            assert!(ordinals.is_sorted_by(|one, next| one < next), "messages ascend: {ordinals:?}");
            let _ = room.pending().map(|pending| pending.text().len()).sum::<usize>();
        }
    }

    /// Time passes, with a look at every timer on the way.
    fn pass(&mut self, milliseconds: u64) {
        let end = self.now + milliseconds;
        let mut at_once = 0;
        while let Some((at, timer)) = self.client.next_deadline().filter(|(at, _)| *at <= end) {
            at_once = if at > self.now { 0 } else { at_once + 1 };
            assert!(at_once < TIMEOUTS_AT_ONCE, "{timer:?} is due for ever");
            self.now = self.now.max(at);
            self.client.handle_timeout(self.now);
            self.drain();
            // Sockets don't open by themselves here, so that an hour without a server stays short.
            if self.records.len() > 10_000 {
                return;
            }
        }
        self.now = end;
    }

    /// The app starts anew, with one of the stored records damaged.
    fn restart(&mut self, record: usize, damage: &[u8]) {
        let count = self.records.len().max(1);
        if let Some(value) = self.records.values_mut().nth(record % count)
            && !damage.is_empty()
        {
            *value = damage.to_vec();
        }
        self.client = client(self.now);
        self.client.restore(self.records.clone(), self.now);
        self.drain();
        self.begin();
        self.connect();
    }
}

fn client(now: Millis) -> Client {
    Client::new(ClientConfig::default(), 7, now)
}
