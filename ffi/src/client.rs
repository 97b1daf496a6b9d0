//! The client's session as one object.

use std::sync::{Arc, Mutex, MutexGuard};

use enfilade_core::client::{Client, ClientConfig};
use enfilade_core::policy::Refusal;
use enfilade_core::{Millis, RoomId};

use crate::input::{from_long, to_long};
use crate::output::Refused;
use crate::view::{Connection, Member, Message, PendingOp, Room, RoomRow};
use crate::{FfiError, Input, Notification, Signal, Step};

/// What the app sets.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct ClientSettings {
    /// Name and version of the app, for the server's log.
    pub agent: String,
}

/// A client's session, without IO. Its host drives it: it hands in what happens, carries out the effects of each step,
/// and pulls the views that the step's events name. It may be called from any thread; calls wait for each other.
#[derive(Debug, uniffi::Object)]
pub struct EnfiladeClient {
    core: Mutex<Client>,
}

#[uniffi::export]
impl EnfiladeClient {
    /// A session that has done nothing yet. The seed comes from a secure source of random numbers. `now` here and
    /// later are milliseconds since 1970 by a clock that does not run backwards.
    #[uniffi::constructor]
    pub fn new(settings: ClientSettings, seed: i64, now: i64) -> Result<Arc<Self>, FfiError> {
        let config = ClientConfig { agent: settings.agent, ..ClientConfig::default() };
        // Any 64 bits are a seed.
        let core = Client::new(config, seed as u64, Millis(from_long(now)));
        Ok(Arc::new(EnfiladeClient { core: Mutex::new(core) }))
    }

    /// Hands in what has happened, and returns what it leads to.
    pub fn handle(&self, input: Input, now: i64) -> Result<Step, FfiError> {
        let mut core = self.lock()?;
        let made = apply(&mut core, input, Millis(from_long(now)))?;
        let (room, op_id, refused) = match made {
            Ok(made) => (made.room, made.op_id, None),
            Err(refusal) => (None, None, Some(Refused::new(refusal.code, refusal.retry_after))),
        };
        Ok(Step {
            effects: std::iter::from_fn(|| core.poll_effect()).map(Into::into).collect(),
            events: std::iter::from_fn(|| core.poll_event()).map(Into::into).collect(),
            wake_at: core.next_deadline().map(|(at, _)| to_long(at.0)),
            room: room.map(|room| room.to_string()),
            op_id: op_id.map(Into::into),
            refused,
        })
    }

    /// Where the connection stands.
    pub fn connection(&self) -> Result<Connection, FfiError> {
        Ok(self.lock()?.connection().into())
    }

    /// A room; none when nothing of it is held.
    pub fn room(&self, room: String) -> Result<Option<Room>, FfiError> {
        let room = RoomId::new(&room)?;
        Ok(self.lock()?.room(&room).map(Into::into))
    }

    /// Confirmed messages, oldest first, from the one at index `from` on, at most `count`.
    pub fn messages(&self, room: String, from: i64, count: i64) -> Result<Vec<Message>, FfiError> {
        let room = RoomId::new(&room)?;
        let core = self.lock()?;
        let Some(view) = core.room(&room) else { return Ok(Vec::new()) };
        let end = from_long(from).saturating_add(from_long(count)).min(view.message_count() as u64);
        let places = from_long(from)..end;
        Ok(places.filter_map(|at| view.message(at as usize)).map(Into::into).collect())
    }

    /// Operations of the room that are not confirmed, oldest first.
    pub fn pending(&self, room: String) -> Result<Vec<PendingOp>, FfiError> {
        let room = RoomId::new(&room)?;
        let core = self.lock()?;
        Ok(core.room(&room).into_iter().flat_map(|view| view.pending()).map(Into::into).collect())
    }

    /// Members of an Active room, ascending by id, from the one at index `from` on, at most `count`.
    pub fn members(&self, room: String, from: i64, count: i64) -> Result<Vec<Member>, FfiError> {
        let room = RoomId::new(&room)?;
        let (from, count) = (from_long(from) as usize, from_long(count) as usize);
        let core = self.lock()?;
        let members = core.room(&room).into_iter().flat_map(|view| view.members());
        Ok(members.skip(from).take(count).map(Into::into).collect())
    }

    /// The room list, the last active first.
    pub fn rooms(&self) -> Result<Vec<RoomRow>, FfiError> {
        Ok(self.lock()?.rooms().into_iter().map(Into::into).collect())
    }

    /// The latest signals of others in a room that count: cursors, who is typing.
    pub fn signals(&self, room: String) -> Result<Vec<Signal>, FfiError> {
        Ok(self.lock()?.signals(&RoomId::new(&room)?).cloned().map(Into::into).collect())
    }

    /// What the user was told of in their inbox, oldest first.
    pub fn notifications(&self) -> Result<Vec<Notification>, FfiError> {
        Ok(self.lock()?.notifications().map(Into::into).collect())
    }
}

impl EnfiladeClient {
    fn lock(&self) -> Result<MutexGuard<'_, Client>, FfiError> {
        self.core.lock().map_err(|_| FfiError::Broken)
    }
}

/// What a command has made.
#[derive(Default)]
struct Made {
    room: Option<RoomId>,
    op_id: Option<enfilade_core::OpId>,
}

impl Made {
    fn op(op_id: enfilade_core::OpId) -> Made {
        Made { room: None, op_id: Some(op_id) }
    }
}

/// Fails when an argument is not what it should be. A command that is refused is an outcome, not a failure.
fn apply(core: &mut Client, input: Input, now: Millis) -> Result<Result<Made, Refusal>, FfiError> {
    match input {
        Input::Connected { generation } => core.handle_connected(from_long(generation), now),
        Input::Frame { generation, bytes } => core.handle_frame(from_long(generation), &bytes, now),
        Input::Disconnected { generation, code, reason } => {
            let code = u16::try_from(code).unwrap_or(ABNORMAL);
            core.handle_disconnected(from_long(generation), code, &reason, now);
        }
        Input::Loaded { key, record } => core.handle_loaded(&key, record.as_deref(), now),
        Input::Timeout => core.handle_timeout(now),
        Input::Network { state } => core.handle_network(state.into(), now),
        Input::SetToken { token } => core.set_token(&token, now),
        Input::Connect => core.connect(now),
        Input::Disconnect => core.disconnect(now),
        Input::Logout => core.logout(now),
        Input::Acquire { room } => core.acquire(&RoomId::new(&room)?, now),
        Input::Release { room } => core.release(&RoomId::new(&room)?, now),
        Input::SetTier { room, tier } => core.set_tier(&RoomId::new(&room)?, tier.into(), now),
        Input::WatchRooms { watching } => core.watch_rooms(watching, now),
        Input::CreateRoom { name, visibility, topic } => {
            let made = core.create_room(&name, visibility.into(), &topic, now);
            return Ok(made.map(|(room, op_id)| Made { room: Some(room), op_id: Some(op_id) }));
        }
        Input::Join { room } => return Ok(core.join(&RoomId::new(&room)?, now).map(Made::op)),
        Input::Leave { room } => return Ok(core.leave(&RoomId::new(&room)?, now).map(Made::op)),
        Input::Post { room, text, mentions } => {
            return Ok(core.post(&RoomId::new(&room)?, &text, mentions, now).map(Made::op));
        }
        Input::MarkRead { room } => core.mark_read(&RoomId::new(&room)?, now),
        Input::Cancel { op_id } => {
            let cancelled = core.cancel(op_id.try_into()?, now);
            return Ok(cancelled.map(|()| Made::default()).map_err(Refusal::from));
        }
        Input::LoadOlder { room, limit } => {
            core.load_older(&RoomId::new(&room)?, usize::try_from(limit).unwrap_or(0), now);
        }
        Input::Signal { room, class, kind, key, payload } => {
            let taken = core.signal(&RoomId::new(&room)?, class.into(), &kind, &key, &payload, now);
            return Ok(taken.map(|_| Made::default()).map_err(Refusal::from));
        }
        Input::SetDraft { room, text } => core.set_draft(&RoomId::new(&room)?, &text),
        Input::Restore { records } => {
            core.restore(records.into_iter().map(|record| (record.key, record.value)), now);
        }
        Input::Poll => {}
    }
    Ok(Ok(Made::default()))
}

/// The close code of connections that have none.
const ABNORMAL: u16 = 1006;

#[cfg(test)]
mod tests {
    use enfilade_core::Code;

    use super::*;
    use crate::{Effect, Event, RoomChange, RoomVisibility};

    fn client() -> Arc<EnfiladeClient> {
        EnfiladeClient::new(ClientSettings { agent: "test".into() }, -1, 1_000).unwrap()
    }

    #[test]
    fn a_step_carries_everything_that_an_input_led_to() {
        let client = client();
        client.handle(Input::SetToken { token: "t".into() }, 1_000).unwrap();
        let step = client.handle(Input::Connect, 1_000).unwrap();
        assert!(matches!(step.effects[..], [Effect::Connect { .. }]), "{step:?}");
        assert!(step.events.contains(&Event::Connection));
        assert!(step.wake_at.is_some());
        assert_eq!(client.handle(Input::Poll, 1_000).unwrap().effects, []);
    }

    #[test]
    fn a_message_is_pending_in_the_room_that_was_just_made() {
        let client = client();
        let (name, topic) = ("Lobby".to_string(), String::new());
        let create = Input::CreateRoom { name, visibility: RoomVisibility::Public, topic };
        let room = client.handle(create, 1_000).unwrap().room.unwrap();
        let post = Input::Post { room: room.clone(), text: "hello".into(), mentions: Vec::new() };
        let step = client.handle(post, 1_000).unwrap();
        let changed = |event: &Event| match event {
            Event::Room { changes, .. } => changes.contains(&RoomChange::Pending),
            _ => false,
        };
        assert!(step.events.iter().any(changed), "{step:?}");
        let pending = client.pending(room.clone()).unwrap();
        assert_eq!(pending.last().unwrap().text.as_deref(), Some("hello"));
        assert_eq!(pending.last().map(|op| op.id), step.op_id);
        assert_eq!(client.room(room).unwrap().unwrap().name, "Lobby");
    }

    #[test]
    fn what_is_refused_is_an_outcome_and_what_is_malformed_an_error() {
        let client = client();
        let step =
            client.handle(Input::Cancel { op_id: crate::OpId { client: 1, counter: 1 } }, 1_000).unwrap();
        assert_eq!(step.refused.unwrap().code.number, Code::NoSuchMessage.number());
        let error = client.handle(Input::Acquire { room: "no room".into() }, 1_000).unwrap_err();
        assert_eq!(error, Code::InvalidRoomId.into());
        let error = client.handle(Input::Cancel { op_id: crate::OpId { client: -1, counter: 1 } }, 1_000);
        assert_eq!(error.unwrap_err(), Code::InvalidRequest.into());
    }

    #[test]
    fn after_a_panic_within_every_call_is_an_error() {
        let client = client();
        let other = client.clone();
        let panicked = std::thread::spawn(move || {
            let _core = other.core.lock();
            panic!("for the test");
        });
        assert!(panicked.join().is_err());
        assert_eq!(client.connection(), Err(FfiError::Broken));
        assert_eq!(client.handle(Input::Poll, 1_000), Err(FfiError::Broken));
    }

    #[test]
    fn indexes_out_of_range_give_nothing() {
        let client = client();
        client.handle(Input::Acquire { room: "a".into() }, 1_000).unwrap();
        assert_eq!(client.messages("a".into(), -5, i64::MAX).unwrap(), []);
        assert_eq!(client.messages("a".into(), i64::MAX, i64::MAX).unwrap(), []);
        assert_eq!(client.members("a".into(), i64::MAX, 1).unwrap(), []);
        assert_eq!(client.room("unheard-of".into()).unwrap(), None);
    }
}
