//! The client's session as one object.

use std::sync::{Arc, Mutex, MutexGuard};

use enfilade_core::client::{self, Answer, ClientConfig};
use enfilade_core::op::{self, Body};
use enfilade_core::trace::Session;
use enfilade_core::{Millis, RoomId, v1};

use crate::input::{from_long, to_long};
use crate::output::Refused;
use crate::people::{Contact, Scores};
use crate::view::{Connection, Member, Message, PendingOp, Room, RoomRow};
use crate::{FfiError, Input, Notification, OpId, Signal, Step};

/// What the app sets.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct ClientSettings {
    /// Name and version of the app, for the server's log.
    pub agent: String,
    /// Bytes that a recording of the session may have; none is made without it.
    #[uniffi(default = None)]
    pub record: Option<i64>,
}

/// A client's session, without IO. Its host drives it: it hands in what happens, carries out the effects of each step,
/// and pulls the views that the step's events name. It may be called from any thread; calls wait for each other.
#[derive(Debug, uniffi::Object)]
pub struct EnfiladeClient {
    core: Mutex<Session>,
}

#[uniffi::export]
impl EnfiladeClient {
    /// A session that has done nothing yet. The seed comes from a secure source of random numbers. `now` here and
    /// later are milliseconds since 1970 by a clock that does not run backwards.
    #[uniffi::constructor]
    pub fn new(settings: ClientSettings, seed: i64, now: i64) -> Result<Arc<Self>, FfiError> {
        let config = ClientConfig { agent: settings.agent, ..ClientConfig::default() };
        // Any 64 bits are a seed.
        let record = settings.record.map(|bytes| from_long(bytes) as usize);
        let core = Session::new(config, seed as u64, Millis(from_long(now)), record);
        Ok(Arc::new(EnfiladeClient { core: Mutex::new(core) }))
    }

    /// Hands in what has happened, and returns what it leads to.
    pub fn handle(&self, input: Input, now: i64) -> Result<Step, FfiError> {
        let mut core = self.lock()?;
        let now = Millis(from_long(now));
        let answer = parse(input)?.map_or(Ok(Answer::Done), |input| core.handle(input, now));
        let (room, op_id, refused) = match answer {
            Ok(Answer::Room(room, op_id)) => (Some(room), Some(op_id), None),
            Ok(Answer::Op(op_id)) => (None, Some(op_id), None),
            Ok(Answer::Done | Answer::Ops(_) | Answer::Taken(_)) => (None, None, None),
            Err(refusal) => (None, None, Some(Refused::new(refusal.code, refusal.retry_after))),
        };
        Ok(Step {
            effects: std::iter::from_fn(|| core.poll_effect()).map(Into::into).collect(),
            events: std::iter::from_fn(|| core.poll_event()).map(Into::into).collect(),
            wake_at: core.client().next_deadline().map(|(at, _)| to_long(at.0)),
            room: room.map(|room| room.to_string()),
            op_id: op_id.map(Into::into),
            refused,
        })
    }

    /// The recording so far, for a bug report; none where none was asked for.
    pub fn trace(&self) -> Result<Option<Vec<u8>>, FfiError> {
        Ok(self.lock()?.trace())
    }

    /// Where the connection stands.
    pub fn connection(&self) -> Result<Connection, FfiError> {
        Ok(self.lock()?.client().connection().into())
    }

    /// A room; none when nothing of it is held.
    pub fn room(&self, room: String) -> Result<Option<Room>, FfiError> {
        let room = RoomId::new(&room)?;
        Ok(self.lock()?.client().room(&room).map(Into::into))
    }

    /// Confirmed messages, oldest first, from the one at index `from` on, at most `count`.
    pub fn messages(&self, room: String, from: i64, count: i64) -> Result<Vec<Message>, FfiError> {
        let room = RoomId::new(&room)?;
        let core = self.lock()?;
        let Some(view) = core.client().room(&room) else { return Ok(Vec::new()) };
        let end = from_long(from).saturating_add(from_long(count)).min(view.message_count() as u64);
        let places = from_long(from)..end;
        let shown = |at: usize| Some(Message::shown(&view.shown(at)?, view.gap_before(at)));
        Ok(places.filter_map(|at| shown(at as usize)).collect())
    }

    /// Pinned messages of an Active room, oldest pin first. One that lies beyond what is held may have the ordinal 0
    /// and no text.
    pub fn pins(&self, room: String) -> Result<Vec<Message>, FfiError> {
        let room = RoomId::new(&room)?;
        let core = self.lock()?;
        let pins = core.client().room(&room).into_iter().flat_map(|view| view.pins());
        Ok(pins.map(|pin| Message::shown(&pin, None)).collect())
    }

    /// Operations of the room that are not confirmed, oldest first.
    pub fn pending(&self, room: String) -> Result<Vec<PendingOp>, FfiError> {
        let room = RoomId::new(&room)?;
        let core = self.lock()?;
        Ok(core.client().room(&room).into_iter().flat_map(|view| view.pending()).map(Into::into).collect())
    }

    /// Members of an Active room, ascending by id, from the one at index `from` on, at most `count`.
    pub fn members(&self, room: String, from: i64, count: i64) -> Result<Vec<Member>, FfiError> {
        let room = RoomId::new(&room)?;
        let (from, count) = (from_long(from) as usize, from_long(count) as usize);
        let core = self.lock()?;
        let members = core.client().room(&room).into_iter().flat_map(|view| view.members());
        Ok(members.skip(from).take(count).map(Into::into).collect())
    }

    /// The room list, the last active first.
    pub fn rooms(&self) -> Result<Vec<RoomRow>, FfiError> {
        Ok(self.lock()?.client().rooms().into_iter().map(Into::into).collect())
    }

    /// Teams, the total, and the leaderboard of an Active room from the place `from` on, at most `count`.
    pub fn scores(&self, room: String, from: i64, count: i64) -> Result<Scores, FfiError> {
        let room = RoomId::new(&room)?;
        let core = self.lock()?;
        let client = core.client();
        let view = client.room(&room);
        Ok(Scores::of(client, view, from_long(from) as usize, from_long(count) as usize))
    }

    /// What is known of other users: friends, requests, blocks, follows; ascending by id.
    pub fn contacts(&self) -> Result<Vec<Contact>, FfiError> {
        let core = self.lock()?;
        let client = core.client();
        Ok(client.contacts().map(|contact| Contact::of(client, contact)).collect())
    }

    /// The latest signals of others in a room that count: cursors, who is typing.
    pub fn signals(&self, room: String) -> Result<Vec<Signal>, FfiError> {
        Ok(self.lock()?.client().signals(&RoomId::new(&room)?).cloned().map(Into::into).collect())
    }

    /// What the user was told of in their inbox, oldest first.
    pub fn notifications(&self) -> Result<Vec<Notification>, FfiError> {
        Ok(self.lock()?.client().notifications().map(Into::into).collect())
    }
}

impl EnfiladeClient {
    fn lock(&self) -> Result<MutexGuard<'_, Session>, FfiError> {
        self.core.lock().map_err(|_| FfiError::Broken)
    }
}

/// Fails when an argument is not what it should be. A command that is refused is an outcome, not a failure. `None` for
/// what is only a look at what there is.
fn parse(input: Input) -> Result<Option<client::Input>, FfiError> {
    use client::Input as Core;
    let submit = |room: String, body: Body| Ok::<_, FfiError>(Core::Submit(RoomId::new(&room)?, body));
    Ok(Some(match input {
        Input::Connected { generation } => Core::Connected { generation: from_long(generation) },
        Input::Frame { generation, bytes } => Core::Frame { generation: from_long(generation), bytes },
        Input::Disconnected { generation, code, reason } => {
            let code = u16::try_from(code).unwrap_or(ABNORMAL);
            Core::Disconnected { generation: from_long(generation), code, reason }
        }
        Input::Loaded { key, record } => Core::Loaded { key, record },
        Input::Timeout => Core::Timeout,
        Input::Network { state } => Core::Network(state.into()),
        Input::SetToken { token } => Core::SetToken(token),
        Input::Connect => Core::Connect,
        Input::Disconnect => Core::Disconnect,
        Input::Logout => Core::Logout,
        Input::Acquire { room } => Core::Acquire(RoomId::new(&room)?),
        Input::Release { room } => Core::Release(RoomId::new(&room)?),
        Input::SetTier { room, tier } => Core::SetTier(RoomId::new(&room)?, tier.into()),
        Input::WatchRooms { watching } => Core::WatchRooms(watching),
        Input::CreateRoom { name, visibility, topic } => {
            Core::CreateRoom { name, visibility: visibility.into(), topic }
        }
        Input::Join { room } => submit(room, Body::Join(v1::Join {}))?,
        Input::Leave { room } => submit(room, Body::Leave(v1::Leave {}))?,
        Input::Post { room, text, mentions } => {
            submit(room, Body::PostMessage(v1::PostMessage { text, mentions, ..Default::default() }))?
        }
        Input::Submit { room, operation } => submit(room, op::parse(&operation)?)?,
        Input::MarkRead { room } => Core::MarkRead(RoomId::new(&room)?),
        Input::Cancel { op_id } => Core::Cancel(op_id.try_into()?),
        Input::LoadOlder { room, limit } => {
            Core::LoadOlder(RoomId::new(&room)?, u32::try_from(limit).unwrap_or(0))
        }
        Input::EditMessage { room, message, text, mentions } => {
            let message_id = named(message)?;
            let edit = v1::EditMessage { message_id, message_seq: 0, text, mentions };
            Core::Amend(RoomId::new(&room)?, Body::EditMessage(edit))
        }
        Input::DeleteMessage { room, message } => {
            let delete = v1::DeleteMessage { message_id: named(message)?, message_seq: 0 };
            Core::Amend(RoomId::new(&room)?, Body::DeleteMessage(delete))
        }
        Input::React { room, message, reaction, removed } => {
            let message_id = named(message)?;
            let react = v1::React { message_id, message_seq: 0, reaction, removed };
            Core::Amend(RoomId::new(&room)?, Body::React(react))
        }
        Input::Pin { room, message, removed } => {
            let pin = v1::Pin { message_id: named(message)?, message_seq: 0, removed };
            Core::Amend(RoomId::new(&room)?, Body::Pin(pin))
        }
        Input::FillGap { room, after } => Core::FillGap(RoomId::new(&room)?, from_long(after)),
        Input::Signal { room, class, kind, key, payload } => {
            Core::Signal { room: RoomId::new(&room)?, class: class.into(), kind, key, payload }
        }
        Input::SetDraft { room, text } => Core::SetDraft(RoomId::new(&room)?, text),
        Input::Restore { records } => {
            Core::Restore(records.into_iter().map(|record| (record.key, record.value)).collect())
        }
        Input::Poll => return Ok(None),
    }))
}

/// The close code of connections that have none.
const ABNORMAL: u16 = 1006;

/// How an operation names a message.
fn named(message: OpId) -> Result<Option<v1::OpId>, FfiError> {
    Ok(Some(enfilade_core::OpId::try_from(message)?.wire()))
}

#[cfg(test)]
mod tests {
    use enfilade_core::Code;

    use super::*;
    use crate::{Effect, Event, RoomChange, RoomVisibility};

    fn client() -> Arc<EnfiladeClient> {
        EnfiladeClient::new(ClientSettings { agent: "test".into(), record: None }, -1, 1_000).unwrap()
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
    fn any_operation_can_be_asked_for_by_its_bytes() {
        let client = client();
        let tap = |points| op::encode(Body::AddScore(v1::AddScore { points, user: None }));
        let submit = |operation| client.handle(Input::Submit { room: "game".into(), operation }, 1_000);
        let first = submit(tap(2)).unwrap().op_id;
        assert_eq!(submit(tap(3)).unwrap().op_id, first);
        let scores = client.scores("game".into(), 0, 10).unwrap();
        assert_eq!((scores.own, scores.total, scores.players, scores.rank), (5, 5, 0, None));
        assert_eq!(submit(vec![1, 2, 3]).unwrap_err(), Code::InvalidOp.into());
        assert_eq!(client.contacts().unwrap(), []);
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
