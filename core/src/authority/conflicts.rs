//! Operations that were made offline and meet what others did meanwhile, and the choices of their authors.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use prost::Message as _;

use super::{Authority, ConnId, Effect, Footing, From, Reply, Submission};
use crate::conflict::VersionVector;
use crate::op::{self, Body};
use crate::policy::Actor;
use crate::{ClientId, Code, Entry, Millis, OpId, Position, RoomId, UserId, hash53, limits, v1};

/// Milliseconds after which a default that did not get into the log is tried again.
const RETRY_INTERVAL: u64 = 2_000;

/// What the room's mode makes of an operation.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It is sequenced as it is.
    Accept,
    /// It is sequenced in these words, which hold over what stands.
    Restate(Body),
    Refuse(Code),
    /// Its author is asked.
    Keep(Box<v1::Conflict>),
}

/// Something that stands, was written by somebody else after the base, and is not what the operation says.
struct Met {
    of: v1::ConflictType,
    key: String,
    base: Option<Body>,
    theirs: Body,
    author: String,
}

/// The id under which an operation goes into the log in other words than its client's: by this its repetitions are
/// known.
pub(super) fn stand_in(op_id: OpId) -> OpId {
    OpId { client: ClientId(hash53(&op_id.wire().encode_to_vec(), 1).max(1)), counter: 1 }
}

impl Authority {
    /// What becomes of an operation that its author may do. `before` is decided, and not in the log yet.
    pub(super) fn verdict(&self, submission: &Submission, before: &[Entry], at: Millis) -> Verdict {
        let (base, seen) = match &submission.footing {
            Footing::Live => return Verdict::Accept,
            Footing::Chosen => return self.restate(&submission.body),
            Footing::Offline(base, seen) => (*base, seen),
        };
        // Settings have one writer, whose last word holds.
        if self.ahead.id().is_implicit() {
            return Verdict::Accept;
        }
        let Some(met) = self.meet(submission, (base, seen), before) else { return Verdict::Accept };
        let rule = self.ahead.conflicts().rule(met.of);
        match rule.mode() {
            v1::ConflictMode::Merge | v1::ConflictMode::Unspecified => Verdict::Accept,
            v1::ConflictMode::ServerWins => Verdict::Refuse(Code::ElementOutdated),
            v1::ConflictMode::ClientWins => self.restate(&submission.body),
            v1::ConflictMode::UserChoice => Verdict::Keep(Box::new(self.conflict(submission, met, rule, at))),
        }
    }

    fn restate(&self, body: &Body) -> Verdict {
        match body {
            Body::PutElements(put) => Verdict::Restate(Body::PutElements(self.ahead.map().restated(put))),
            // Of these the later one in the log holds.
            _ => Verdict::Accept,
        }
    }

    fn meet(
        &self,
        submission: &Submission,
        (base, seen): (Position, &VersionVector),
        before: &[Entry],
    ) -> Option<Met> {
        let me = submission.actor.user();
        let Body::PutElements(put) = &submission.body else {
            return self.meet_fields(submission, (base, seen), before);
        };
        let is_later = |seq: u64| base.epoch != self.ahead.position().epoch || seq > base.seq;
        let held = put.elements.iter().find_map(|change| {
            let held = self.ahead.map().get(&change.key)?;
            let is_same = (held.version, held.nonce) == (change.version, change.nonce);
            let is_known = || self.written_by(held.seq, before).is_some_and(|op_id| has_seen(seen, op_id));
            (is_later(held.seq) && held.author != me && !is_same && !is_known()).then_some(held)
        })?;
        let theirs = v1::ElementChange {
            key: held.key.clone(),
            value: held.value.clone(),
            version: held.version,
            nonce: held.nonce,
            index: held.index.clone(),
            deleted: held.deleted_at != 0,
        };
        Some(Met {
            of: v1::ConflictType::ComplexMerge,
            key: held.key.clone(),
            base: self.last_before(base, |body| element(body, &held.key)),
            theirs: Body::PutElements(v1::PutElements { elements: alloc::vec![theirs] }),
            author: held.author.clone(),
        })
    }

    /// Fields of the configuration, and texts of messages, don't say who wrote them: the log does.
    fn meet_fields(
        &self,
        submission: &Submission,
        (base, seen): (Position, &VersionVector),
        before: &[Entry],
    ) -> Option<Met> {
        let mine = &submission.body;
        let (of, key, theirs) = self.standing(mine)?;
        if theirs == *mine {
            return None;
        }
        let touches = |body: &Body| shared(body, mine);
        let recent = self.recent.newest_first().map(|entry| {
            (entry.seq, &*entry.author, OpId::parse(entry.op_id.as_ref()).ok(), op::read(&entry.op))
        });
        let ahead = before.iter().rev();
        let ahead = ahead.map(|entry| (entry.seq, &*entry.author, Some(entry.op_id), entry.body.clone()));
        // Seqs of another log say nothing about this one.
        let since = if base.epoch == self.ahead.position().epoch { base.seq } else { 0 };
        let mut later = ahead.chain(recent).take_while(|(seq, ..)| *seq > since);
        let is_covered = base.epoch == self.ahead.position().epoch
            && self.recent.newest_first().last().is_none_or(|oldest| oldest.seq <= base.seq + 1);
        // Where the log since the base is not at hand any more, what is different was changed.
        let author = match later.find(|(.., body)| body.as_ref().and_then(touches).is_some()) {
            Some((_, author, ..)) if author == submission.actor.user() => return None,
            Some((_, _, Some(op_id), _)) if has_seen(seen, op_id) => return None,
            Some((_, author, ..)) => author.to_string(),
            None if is_covered => return None,
            None => String::new(),
        };
        Some(Met { of, key, base: self.last_before(base, touches), theirs, author })
    }

    /// The operation that made an entry, where the log is at hand.
    fn written_by(&self, seq: u64, before: &[Entry]) -> Option<OpId> {
        let ahead = before.iter().find(|entry| entry.seq == seq).map(|entry| entry.op_id);
        let recent = || self.recent.newest_first().find(|entry| entry.seq == seq);
        ahead.or_else(|| OpId::parse(recent()?.op_id.as_ref()).ok())
    }

    /// The type and name of the first register that an operation writes, and what stands in those that it writes.
    fn standing(&self, mine: &Body) -> Option<(v1::ConflictType, String, Body)> {
        match mine {
            Body::SetConfig(mine) => {
                let config = self.ahead.config();
                let all = v1::SetConfig {
                    slow_mode_enabled: Some(config.slow_mode_enabled),
                    slow_mode_duration: Some(config.slow_mode_duration),
                    subscriber_only: Some(config.subscriber_only),
                    follower_only: Some(config.follower_only),
                    emote_only: Some(config.emote_only),
                    capacity: Some(config.capacity),
                };
                let key = [
                    (mine.slow_mode_enabled.is_some(), "slow_mode_enabled"),
                    (mine.slow_mode_duration.is_some(), "slow_mode_duration"),
                    (mine.subscriber_only.is_some(), "subscriber_only"),
                    (mine.follower_only.is_some(), "follower_only"),
                    (mine.emote_only.is_some(), "emote_only"),
                    (mine.capacity.is_some(), "capacity"),
                ];
                let (_, key) = key.into_iter().find(|(is_set, _)| *is_set)?;
                let theirs = shared(&Body::SetConfig(all), &Body::SetConfig(*mine))?;
                Some((v1::ConflictType::RoomConfig, key.into(), theirs))
            }
            Body::SetInfo(mine) => {
                let info = self.ahead.info()?;
                let all = v1::SetInfo {
                    name: Some(info.name.clone()),
                    topic: Some(info.topic.clone()),
                    visibility: Some(info.visibility),
                };
                let key = [
                    (mine.name.is_some(), "name"),
                    (mine.topic.is_some(), "topic"),
                    (mine.visibility.is_some(), "visibility"),
                ];
                let (_, key) = key.into_iter().find(|(is_set, _)| *is_set)?;
                let theirs = shared(&Body::SetInfo(all), &Body::SetInfo(mine.clone()))?;
                Some((v1::ConflictType::RoomConfig, key.into(), theirs))
            }
            Body::EditMessage(mine) => {
                let id = OpId::parse(mine.message_id.as_ref()).ok()?;
                let message = self.ahead.timeline().by_id(id)?;
                let theirs = v1::EditMessage {
                    text: message.text.clone(),
                    mentions: message.mentions.clone(),
                    ..mine.clone()
                };
                Some((v1::ConflictType::ComplexMerge, id.to_string(), Body::EditMessage(theirs)))
            }
            _ => None,
        }
    }

    /// What the log at hand last said at or before the base, reduced to what matters.
    fn last_before(&self, base: Position, part: impl Fn(&Body) -> Option<Body>) -> Option<Body> {
        if base.epoch != self.ahead.position().epoch {
            return None;
        }
        let mut known = self.recent.newest_first().filter(|entry| entry.seq <= base.seq);
        known.find_map(|entry| part(&op::read(&entry.op)?))
    }

    fn conflict(
        &self,
        submission: &Submission,
        met: Met,
        rule: v1::ConflictRule,
        at: Millis,
    ) -> v1::Conflict {
        let mut theirs = op::encode(met.theirs.clone());
        if submission.op.len() + theirs.len() > limits::CONFLICT_BYTES
            && let Body::PutElements(mut put) = met.theirs
        {
            // It stands in the room, where it can be read.
            put.elements.iter_mut().for_each(|element| element.value.clear());
            theirs = op::encode(Body::PutElements(put));
        }
        let mut base = met.base.map(op::encode).unwrap_or_default();
        if submission.op.len() + theirs.len() + base.len() > limits::CONFLICT_BYTES {
            base.clear();
        }
        v1::Conflict {
            id: Some(submission.op_id.wire()),
            room_id: self.ahead.id().as_str().into(),
            conflict_type: met.of.into(),
            key: met.key,
            base,
            mine: submission.op.clone(),
            theirs,
            theirs_author: met.author,
            at: at.0,
            deadline: at.0.saturating_add(rule.timeout),
            default_choice: rule.default_choice,
            choice: v1::ConflictChoice::Unspecified.into(),
        }
    }

    /// Puts a conflict into its author's inbox. The operation is answered when it is there: until then its client sends
    /// it again, so it is never lost.
    pub(super) fn keep(&mut self, conn: ConnId, actor: &Actor, conflict: v1::Conflict, now: Millis) {
        let (Ok(id), Ok(user)) = (OpId::parse(conflict.id.as_ref()), UserId::new(actor.user())) else {
            return;
        };
        let body = Body::AddConflict(v1::AddConflict { conflict: Some(conflict) });
        self.dispatch(RoomId::inbox(&user), body, super::outbox::Then::Refuse(conn, id), now);
    }

    /// In a room: the author of a conflict has chosen their side, in the inbox that delivers it.
    pub(super) fn side_of(&self, reply: &Reply, conflict: &v1::Conflict) -> Option<Submission> {
        let user = UserId::new(reply.room.inbox_owner()?).ok()?;
        let id = OpId::parse(conflict.id.as_ref()).ok()?;
        let op = conflict.mine.clone();
        let body = op::parse(&op).ok()?;
        // The name is the one that the room knows, once it is loaded.
        let actor = Actor::new(user, "");
        Some(Submission::new(From::Room(reply.clone()), actor, stand_in(id), op, body, Footing::Chosen))
    }

    /// In an inbox: delivers the sides that were chosen, and sees that defaults hold in time.
    pub(super) fn tend_conflicts(&mut self, now: Millis) {
        let conflicts = self.confirmed.conflicts();
        if let Some(deadline) = conflicts.next_deadline() {
            // What is overdue holds at once, whenever the inbox is next loaded; what was tried, after a while.
            let timer = self.timers.conflict.get_or_insert(Millis(deadline).max(now));
            *timer = (*timer).min(Millis(deadline).max(now + RETRY_INTERVAL));
        }
        let chosen: Vec<v1::Conflict> = conflicts.undelivered().cloned().collect();
        for conflict in chosen {
            let Ok(id) = OpId::parse(conflict.id.as_ref()) else { continue };
            match RoomId::new(&conflict.room_id) {
                Ok(_) if self.outbox.is_settling(id) => {}
                Ok(to) => {
                    let body = Body::AddConflict(v1::AddConflict { conflict: Some(conflict) });
                    self.dispatch(to, body, super::outbox::Then::Settle(id), now);
                }
                Err(_) => self.settle_choice(id),
            }
        }
    }

    /// The chosen side has reached its room, or never will.
    pub(super) fn settle_choice(&mut self, id: OpId) {
        self.enqueue_own(resolution(id, v1::ConflictChoice::Unspecified));
        // The host calls at once, with the time.
        self.timers.gather = Some(Millis(0));
    }

    /// The default holds for what nobody has chosen in time.
    pub(super) fn resolve_overdue(&mut self, now: Millis) {
        let open = self.confirmed.conflicts().open();
        let overdue: Vec<Body> = open
            .filter(|conflict| conflict.deadline <= now.0)
            .filter_map(|conflict| {
                Some(resolution(OpId::parse(conflict.id.as_ref()).ok()?, default_of(conflict)))
            })
            .collect();
        if !overdue.is_empty() {
            self.timers.conflict = Some(now + RETRY_INTERVAL);
        }
        overdue.into_iter().for_each(|body| self.enqueue_own(body));
        self.pump(now);
    }

    /// Where an inbox holds as many open conflicts as may be, the default of the oldest holds before another comes in.
    pub(super) fn make_way(&self, body: &Body) -> Option<Body> {
        let oldest = self.ahead.conflicts().in_the_way()?;
        let comes_in = matches!(body, Body::AddConflict(_));
        let id = OpId::parse(oldest.id.as_ref()).ok()?;
        comes_in.then(|| resolution(id, default_of(oldest)))
    }

    fn enqueue_own(&mut self, body: Body) {
        let client = ClientId(hash53(self.confirmed.id().as_str().as_bytes(), 0).max(1));
        let op_id = OpId { client, counter: 1 };
        self.queue.push_back(Submission::own(From::Own, op_id, body));
    }

    pub(super) fn settled(&mut self, reply: Reply) {
        self.effects.push_back(Effect::Delivered { reply, settled: true });
    }
}

/// Whether an operation's author had seen another operation: so it is no conflict to write over it.
fn has_seen(seen: &VersionVector, op_id: OpId) -> bool {
    seen.get(op_id.client.0) >= op_id.counter
}

fn resolution(id: OpId, choice: v1::ConflictChoice) -> Body {
    Body::ResolveConflict(v1::ResolveConflict { conflict_id: Some(id.wire()), choice: choice.into() })
}

fn default_of(conflict: &v1::Conflict) -> v1::ConflictChoice {
    match conflict.default_choice() {
        v1::ConflictChoice::Mine => v1::ConflictChoice::Mine,
        v1::ConflictChoice::Theirs | v1::ConflictChoice::Unspecified => v1::ConflictChoice::Theirs,
    }
}

/// The part of a write that is about this element.
fn element(body: &Body, key: &str) -> Option<Body> {
    let Body::PutElements(put) = body else { return None };
    let elements: Vec<_> = put.elements.iter().filter(|change| change.key == key).cloned().collect();
    (!elements.is_empty()).then_some(Body::PutElements(v1::PutElements { elements }))
}

/// The part of an operation that writes what another writes, too.
fn shared(body: &Body, other: &Body) -> Option<Body> {
    match (body, other) {
        (Body::SetConfig(a), Body::SetConfig(b)) => {
            let both = v1::SetConfig {
                slow_mode_enabled: a.slow_mode_enabled.filter(|_| b.slow_mode_enabled.is_some()),
                slow_mode_duration: a.slow_mode_duration.filter(|_| b.slow_mode_duration.is_some()),
                subscriber_only: a.subscriber_only.filter(|_| b.subscriber_only.is_some()),
                follower_only: a.follower_only.filter(|_| b.follower_only.is_some()),
                emote_only: a.emote_only.filter(|_| b.emote_only.is_some()),
                capacity: a.capacity.filter(|_| b.capacity.is_some()),
            };
            (both != v1::SetConfig::default()).then_some(Body::SetConfig(both))
        }
        (Body::SetInfo(a), Body::SetInfo(b)) => {
            let both = v1::SetInfo {
                name: a.name.clone().filter(|_| b.name.is_some()),
                topic: a.topic.clone().filter(|_| b.topic.is_some()),
                visibility: a.visibility.filter(|_| b.visibility.is_some()),
            };
            (both != v1::SetInfo::default()).then_some(Body::SetInfo(both))
        }
        (Body::EditMessage(a), Body::EditMessage(b)) => {
            (a.message_id == b.message_id).then(|| Body::EditMessage(a.clone()))
        }
        _ => None,
    }
}
