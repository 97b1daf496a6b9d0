//! What holds of any log: however it is cut, packed or handed over, it means the same.

#![allow(clippy::unwrap_used)]

use enfilade_core::authority::{Appended, Authority, AuthorityConfig, ConnId, Effect, Loaded};
use enfilade_core::op::{self, Body};
use enfilade_core::policy::Actor;
use enfilade_core::state::{SnapshotFor, compress, decompress};
use enfilade_core::{ClientId, Entry, Millis, OpId, Position, RoomId, RoomState, UserId, limits, v1};
use proptest::prelude::*;

const USERS: [&str; 3] = ["ada", "bob", "cyd"];
const EPOCH: u64 = 9;

/// What somebody asks for: who, and what.
type Wish = (usize, Body);

fn room() -> RoomId {
    RoomId::new("lobby").unwrap()
}

fn body() -> impl Strategy<Value = Body> {
    let user = prop::sample::select(&USERS[..]).prop_map(str::to_owned);
    let element = (0..4u8, 1..5u64, 0..3u64, any::<bool>()).prop_map(|(key, version, nonce, deleted)| {
        let value = if deleted { Vec::new() } else { vec![key, nonce as u8] };
        let change = v1::ElementChange {
            key: format!("shape-{key}"),
            value,
            version,
            nonce: nonce + 1,
            deleted,
            ..Default::default()
        };
        Body::PutElements(v1::PutElements { elements: vec![change] })
    });
    prop_oneof![
        6 => "[a-z]{1,12}".prop_map(op::post),
        3 => Just(Body::Join(v1::Join {})),
        1 => Just(Body::Leave(v1::Leave {})),
        4 => element,
        1 => any::<bool>().prop_map(|is_on| Body::SetConfig(v1::SetConfig {
            emote_only: Some(is_on),
            ..Default::default()
        })),
        1 => "[a-z]{1,12}".prop_map(|topic| Body::SetInfo(v1::SetInfo {
            topic: Some(topic),
            ..Default::default()
        })),
        1 => (user.clone(), any::<bool>()).prop_map(|(user, lifted)| Body::Mute(v1::Mute {
            user,
            lifted,
            ..Default::default()
        })),
        1 => user.clone().prop_map(|user| Body::Kick(v1::Kick { user, ..Default::default() })),
        1 => user.prop_map(|user| Body::SetRole(v1::SetRole { user, role: v1::Role::Moderator.into() })),
    ]
}

fn wishes(most: usize) -> impl Strategy<Value = Vec<Wish>> {
    prop::collection::vec((0..USERS.len(), body()), 1..most)
}

/// A room's server whose store answers when it is told to.
struct Room {
    authority: Authority,
    log: Vec<Vec<u8>>,
    submitted: u64,
    is_appending: bool,
}

impl Room {
    fn new() -> Room {
        let config = AuthorityConfig { node: "n1".into(), alias: 1, heartbeat_interval: 25_000 };
        let authority = Authority::new(room(), config, 7, Millis(0));
        let mut room = Room { authority, log: Vec::new(), submitted: 0, is_appending: false };
        room.serve();
        room.submit(&(0, Body::CreateRoom(v1::CreateRoom { name: "Lobby".into(), ..Default::default() })));
        room.answer();
        room
    }

    fn submit(&mut self, (user, body): &Wish) {
        self.submitted += 1;
        let op_id = OpId { client: ClientId(1 + *user as u64), counter: self.submitted };
        let submit = v1::Submit {
            room_id: "lobby".into(),
            op_id: Some(op_id.wire()),
            op: op::encode(body.clone()),
            ..Default::default()
        };
        let id = UserId::new(USERS[*user]).unwrap();
        let actor = Actor::User { name: id.as_str().into(), id, facts: Default::default() };
        self.authority.submit(ConnId(1 + *user as u64), &actor, submit, Millis(self.submitted));
        self.serve();
    }

    /// The store has all that was under way, and what a burst has gathered.
    fn answer(&mut self) {
        loop {
            if std::mem::take(&mut self.is_appending) {
                self.authority.handle_appended(Appended::Done, Millis(self.submitted));
            } else if let Some((at, _)) = self.authority.next_deadline() {
                self.authority.handle_timeout(at);
            } else {
                return;
            }
            self.serve();
        }
    }

    fn serve(&mut self) {
        let now = Millis(self.submitted);
        while let Some(effect) = self.authority.poll_effect() {
            match effect {
                Effect::Load => self.authority.handle_loaded(Loaded::default(), now).unwrap(),
                Effect::Claim { .. } => self.authority.handle_claimed(EPOCH, now),
                Effect::Append { batch, .. } => {
                    self.log.extend(batch);
                    self.is_appending = true;
                }
                Effect::Read { after } => {
                    let head = Position { epoch: EPOCH, seq: self.log.len() as u64 };
                    let entries = self.log.iter().skip(after.seq as usize).cloned().collect();
                    self.authority.handle_entries(Some((head, entries)), now);
                }
                Effect::Deliver { reply, .. } => self.authority.handle_delivered(reply.delivery, true),
                _ => {}
            }
        }
    }

    /// What is said of an entry, but for when: a stamp tells when the batch was made.
    fn entries(&self) -> Vec<Entry> {
        let entry = |bytes: &Vec<u8>| Entry { at: Millis(0), ..Entry::decode(bytes).unwrap() };
        self.log.iter().map(entry).collect()
    }
}

/// The log of these wishes, as far as they are granted.
fn log(wishes: &[Wish]) -> Vec<Entry> {
    let mut room = Room::new();
    for wish in wishes {
        room.submit(wish);
        room.answer();
    }
    room.log.iter().map(|bytes| Entry::decode(bytes).unwrap()).collect()
}

fn fold(entries: &[Entry], is_authority: bool) -> RoomState {
    let mut state = if is_authority { RoomState::authority(room()) } else { RoomState::replica(room()) };
    state.open_epoch(EPOCH);
    for entry in entries {
        state.apply(entry).unwrap();
    }
    state
}

/// What people see of a state.
fn shown(state: &RoomState) -> impl PartialEq + std::fmt::Debug + use<> {
    (
        state.position(),
        state.digest().value(),
        state.info().cloned(),
        *state.config(),
        state.members().iter().cloned().collect::<Vec<_>>(),
        state.timeline().iter().map(|message| v1::Message::clone(message)).collect::<Vec<_>>(),
        state.timeline().head(),
        state.map().ordered().iter().map(|element| v1::Element::clone(element)).collect::<Vec<_>>(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn how_a_log_is_cut_into_batches_does_not_matter(
        wishes in wishes(40),
        pauses in prop::collection::vec(any::<bool>(), 40),
    ) {
        let (mut one_by_one, mut in_batches) = (Room::new(), Room::new());
        for (wish, is_answered) in wishes.iter().zip(&pauses) {
            one_by_one.submit(wish);
            one_by_one.answer();
            in_batches.submit(wish);
            if *is_answered {
                in_batches.answer();
            }
        }
        in_batches.answer();
        prop_assert_eq!(in_batches.entries(), one_by_one.entries());
    }

    #[test]
    fn a_projection_and_what_came_since_is_the_projection_of_the_newer_state(
        wishes in wishes(40),
        cut in any::<prop::sample::Index>(),
    ) {
        let entries = log(&wishes);
        let cut = 1 + cut.index(entries.len());
        let older = fold(&entries[..cut.min(entries.len())], true);
        let newer = fold(&entries, true);
        let projection = SnapshotFor::Client { messages: limits::JOIN_MESSAGES };
        let mut held = RoomState::restore(room(), older.snapshot(projection), false).unwrap();
        for entry in entries.iter().skip(cut) {
            held.apply(entry).unwrap();
        }
        let fresh = RoomState::restore(room(), newer.snapshot(projection), false).unwrap();
        prop_assert_eq!(shown(&held), shown(&fresh));
    }

    #[test]
    fn a_packed_snapshot_restores_the_state_and_goes_on_like_it(
        wishes in wishes(40),
        cut in any::<prop::sample::Index>(),
    ) {
        let entries = log(&wishes);
        let cut = (1 + cut.index(entries.len())).min(entries.len());
        for is_authority in [true, false] {
            let mut state = fold(&entries[..cut], is_authority);
            let packed = compress(&state.snapshot(SnapshotFor::Store));
            let mut restored =
                RoomState::restore(room(), decompress(&packed).unwrap(), is_authority).unwrap();
            prop_assert_eq!(shown(&restored), shown(&state));
            for entry in &entries[cut..] {
                let (there, here) = (restored.apply(entry).unwrap(), state.apply(entry).unwrap());
                prop_assert_eq!(there, here);
            }
            prop_assert_eq!(shown(&restored), shown(&state));
            if let (Some(there), Some(here)) = (restored.windows(), state.windows()) {
                for entry in &entries {
                    let seen = |windows: &enfilade_core::state::Windows| {
                        windows.seen(&entry.author, entry.op_id, &entry.op)
                    };
                    prop_assert_eq!(seen(there), seen(here));
                }
            }
        }
    }

    #[test]
    fn a_log_read_back_folds_to_the_same_state(wishes in wishes(40)) {
        let entries = log(&wishes);
        let read: Vec<Entry> = entries.iter().map(|entry| Entry::decode(&entry.encode()).unwrap()).collect();
        prop_assert_eq!(&read, &entries);
        let over_the_wire: Vec<Entry> =
            entries.iter().map(|entry| Entry::parse(entry.clone().wire()).unwrap()).collect();
        prop_assert_eq!(shown(&fold(&over_the_wire, false)), shown(&fold(&entries, true)));
    }
}
