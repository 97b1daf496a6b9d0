//! A room's authority to be driven by hand, and what is looked for in its effects.

use alloc::collections::BTreeMap;

use super::*;

/// One room's authority over a log in memory, driven by hand.
pub(super) struct Room {
    pub(super) authority: Authority,
    pub(super) log: Vec<Vec<u8>>,
    /// What the store has for messages that were changed.
    pub(super) amended: BTreeMap<u64, Vec<u8>>,
    pub(super) epoch: u64,
    pub(super) now: Millis,
}

pub(super) fn actor(name: &str) -> Actor {
    Actor::new(UserId::new(name).unwrap(), name)
}

pub(super) fn submit(client: u64, counter: u64, body: Body) -> v1::Submit {
    v1::Submit {
        room_id: "lobby".into(),
        op_id: Some(v1::OpId { client, counter }),
        op: op::encode(body),
        ..Default::default()
    }
}

pub(super) fn create() -> Body {
    Body::CreateRoom(v1::CreateRoom { name: "Lobby".into(), ..Default::default() })
}

pub(super) fn join() -> Body {
    Body::Join(v1::Join {})
}

pub(super) fn post(text: &str, mentions: &[&str]) -> Body {
    let mentions = mentions.iter().map(|user| String::from(*user)).collect();
    Body::PostMessage(v1::PostMessage { text: text.into(), mentions, reply_to: None })
}

pub(super) fn want(tier: Tier, base: Option<Position>) -> v1::SetTier {
    v1::SetTier {
        room_id: "lobby".into(),
        tier: tier.wire().into(),
        base: base.map(Position::wire),
        seen: None,
        ..Default::default()
    }
}

impl Room {
    pub(super) fn new() -> Room {
        Room::over(Vec::new(), 0)
    }

    pub(super) fn over(log: Vec<Vec<u8>>, epoch: u64) -> Room {
        let config = AuthorityConfig { node: "n".into(), alias: 7, heartbeat_interval: 25_000 };
        let mut authority = Authority::new(RoomId::new("lobby").unwrap(), config, 1, Millis(0));
        assert_eq!(authority.poll_effect(), Some(Effect::Load));
        let loaded = Loaded { epoch, snapshot: None, entries: log.clone() };
        authority.handle_loaded(loaded, Millis(0)).unwrap();
        let amended = BTreeMap::new();
        let mut room = Room { authority, log, amended, epoch, now: Millis(0) };
        room.run();
        room
    }

    /// A room that ada has made and bob has joined.
    pub(super) fn with_two() -> Room {
        let mut room = Room::new();
        room.submit("ada", submit(1, 1, create()));
        room.submit("bob", submit(2, 1, join()));
        room
    }

    pub(super) fn submit(&mut self, user: &str, submit: v1::Submit) -> Vec<Effect> {
        let conn = ConnId(submit.op_id.unwrap().client);
        self.authority.submit(conn, &actor(user), submit, self.now);
        self.run()
    }

    pub(super) fn set_tier(&mut self, conn: u64, user: &str, want: v1::SetTier) -> Vec<Effect> {
        self.authority.set_tier(ConnId(conn), &actor(user), want, self.now);
        self.run()
    }

    /// Does what the store would, and returns the rest.
    pub(super) fn run(&mut self) -> Vec<Effect> {
        let mut rest = Vec::new();
        while let Some(effect) = self.authority.poll_effect() {
            match effect {
                Effect::Claim { epoch } => {
                    self.epoch = epoch;
                    self.authority.handle_claimed(epoch, self.now);
                }
                Effect::Append { expected, batch, summary, amended, changes } => {
                    let mut ahead = self.authority.state().clone();
                    let entries = batch.iter().map(|bytes| Entry::decode(bytes).unwrap());
                    let folded: Vec<_> = entries.flat_map(|entry| ahead.apply(&entry).unwrap()).collect();
                    assert_eq!(changes, folded, "what is derived from the state follows these changes");
                    assert_eq!(ahead.digest(), self.authority.ahead().digest());
                    let head = self.head();
                    let after = Position { seq: expected.seq + batch.len() as u64, ..expected };
                    assert_eq!(summary.position, Some(after.wire()));
                    if expected == head {
                        self.log.extend(batch);
                        self.amended.extend(amended);
                        self.authority.handle_appended(Appended::Done, self.now);
                    } else {
                        let missing = self.log[expected.seq as usize..].to_vec();
                        self.authority.handle_appended(Appended::Conflict { head, missing }, self.now);
                    }
                }
                Effect::Read { after } => {
                    let entries = self.log[after.seq as usize..].to_vec();
                    self.authority.handle_entries(Some((self.head(), entries)), self.now);
                }
                other => rest.push(other),
            }
        }
        rest
    }

    /// What the store has of a stretch.
    pub(super) fn stretch(&self, from_seq: u64, before_seq: u64) -> Stretch {
        let entries = self.log[from_seq as usize - 1..before_seq as usize - 1].to_vec();
        let amended = self.amended.range(from_seq..before_seq).map(|(_, bytes)| bytes.clone()).collect();
        Stretch { entries, amended }
    }

    /// Answers what was asked of the store, and returns the rest.
    pub(super) fn answer_reads(&mut self, effects: Vec<Effect>) -> Vec<Effect> {
        let mut rest = Vec::new();
        for effect in effects {
            match effect {
                Effect::ReadHistory { reader, from_seq } => {
                    let stretch = self.stretch(from_seq, reader.before_seq);
                    self.authority.handle_history(reader, Some(stretch), self.now);
                    let more = self.run();
                    rest.extend(self.answer_reads(more));
                }
                other => rest.push(other),
            }
        }
        rest
    }

    pub(super) fn head(&self) -> Position {
        Position { epoch: self.epoch, seq: self.log.len() as u64 }
    }

    /// Another node appends an operation.
    pub(super) fn append_elsewhere(&mut self, user: &str, client: u64, body: Body) {
        let seq = self.log.len() as u64 + 1;
        let entry = v1::Entry {
            seq,
            op_id: Some(v1::OpId { client, counter: 1 }),
            author: user.into(),
            author_name: user.into(),
            at: self.now.0,
            ordinal: 0,
            op: op::encode(body),
        };
        self.log.push(prost::Message::encode_to_vec(&entry));
    }
}

pub(super) fn acks(effects: &[Effect]) -> Vec<(u64, u64)> {
    let ack = |effect: &Effect| match effect {
        Effect::Send { frame, .. } => match &frame.body {
            Some(Frame::Ack(ack)) => Some((ack.op_id.unwrap().counter, ack.position.unwrap().seq)),
            _ => None,
        },
        _ => None,
    };
    effects.iter().filter_map(ack).collect()
}

pub(super) fn rejections(effects: &[Effect]) -> Vec<(u64, Code)> {
    let rejection = |effect: &Effect| match effect {
        Effect::Send { frame, .. } => match &frame.body {
            Some(Frame::Rejection(rejection)) => {
                Some((rejection.op_id.unwrap().counter, Code::from_number(rejection.code).unwrap()))
            }
            _ => None,
        },
        _ => None,
    };
    effects.iter().filter_map(rejection).collect()
}

pub(super) fn errors(effects: &[Effect]) -> Vec<Code> {
    let error = |effect: &Effect| match effect {
        Effect::Send { frame, .. } => match &frame.body {
            Some(Frame::Error(error)) => Code::from_number(error.code),
            _ => None,
        },
        _ => None,
    };
    effects.iter().filter_map(error).collect()
}

pub(super) fn syncs(effects: &[Effect]) -> Vec<&v1::RoomStateSync> {
    let sync = |effect| match effect {
        &Effect::Send { ref frame, .. } | &Effect::Broadcast { ref frame, .. } => match &frame.body {
            Some(Frame::RoomStateSync(sync)) => Some(sync),
            _ => None,
        },
        _ => None,
    };
    effects.iter().filter_map(sync).collect()
}

pub(super) fn delivered(effects: &[Effect]) -> Vec<(&str, &Body)> {
    pub(super) fn delivery(effect: &Effect) -> Option<(&str, &Body)> {
        match effect {
            Effect::Deliver { to, body, .. } => Some((to.as_str(), body)),
            _ => None,
        }
    }
    effects.iter().filter_map(delivery).collect()
}
