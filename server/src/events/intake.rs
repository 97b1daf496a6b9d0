//! Commands become operations: read, checked, submitted in the order of their rooms, and done when they are durable.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use enfilade_core::{ClientId, Code, OpId, Retry, RoomId, hash53, limits, v1};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio::sync::watch;

use super::command::{Command, Unreadable};
use super::recent::Recent;
use super::{Backoff, DeadLetter, Delivery, Inlet};
use crate::health::Meter;
use crate::rooms::{Refused, Rooms};

/// Rooms whose commands are submitted at the same time.
const ROOMS: usize = 64;
/// Commands of one author in one room between two notes of what is done. The room knows the last
/// [`limits::WINDOW_OPS`] of an author, so that of those that are delivered again it can tell which were done.
const AT_ONCE: usize = limits::WINDOW_OPS - 4;
/// How often it is tried to note what is done, before one goes on: rooms know what is delivered again, if it is not more
/// than [`AT_ONCE`].
const NOTES: u32 = 3;
/// How often a command is tried that makes a room fail.
const ATTEMPTS: u32 = 10;

/// Does what commands say, one batch after the other.
pub struct Intake {
    rooms: Rooms,
    health: Meter,
}

/// Commands that are submitted together, and said to be done together.
#[derive(Default)]
struct Batch {
    /// The last number of each lane.
    last: HashMap<u32, u64>,
    rooms: HashMap<RoomId, Queue>,
    authors: HashMap<(RoomId, String), usize>,
    dead: Vec<DeadLetter>,
}

/// What is to be done with one command.
enum Verdict {
    Submit(Command),
    /// It was done under the same id.
    Known,
    Dead(Unreadable),
}

/// Commands of one room, in their order.
type Queue = Vec<(Delivery, Command)>;

impl Intake {
    /// Submits to these rooms.
    pub fn new(rooms: Rooms, health: Meter) -> Intake {
        Intake { rooms, health }
    }

    /// Takes commands until `stopping` says so. What is under way then is finished, if rooms still take it.
    pub async fn run(&self, mut inlet: Box<dyn Inlet>, mut stopping: watch::Receiver<bool>) {
        let mut lanes = HashMap::new();
        let mut backoff = Backoff::new();
        let stopped = stopping.clone();
        loop {
            let next = tokio::select! {
                biased;
                _ = stopping.wait_for(|stopping| *stopping) => return,
                next = inlet.next() => next,
            };
            for lane in inlet.lost() {
                lanes.remove(&lane);
            }
            let deliveries = match next {
                Ok(deliveries) => deliveries,
                Err(error) => {
                    self.health.failed(&error.to_string());
                    backoff.wait().await;
                    continue;
                }
            };
            self.health.answered(Duration::ZERO);
            backoff = Backoff::new();
            if !self.handle(&mut *inlet, &mut lanes, deliveries, &stopped).await {
                return;
            }
        }
    }

    /// Everything that was delivered, until it is durable or buried. `false` when the server stops before.
    async fn handle(
        &self,
        inlet: &mut dyn Inlet,
        lanes: &mut HashMap<u32, Recent>,
        deliveries: Vec<Delivery>,
        stopping: &watch::Receiver<bool>,
    ) -> bool {
        let mut batch = Batch::default();
        for delivery in deliveries {
            let recent = match lanes.entry(delivery.lane) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(vacant) => match self.recent(inlet, &delivery, stopping).await {
                    Some(recent) => vacant.insert(recent),
                    None => return false,
                },
            };
            let verdict = judge(recent, &delivery);
            if !batch.has_place(&verdict) && !self.finish(inlet, std::mem::take(&mut batch), stopping).await {
                return false;
            }
            batch.add(delivery, verdict);
        }
        self.finish(inlet, batch, stopping).await
    }

    async fn finish(&self, inlet: &mut dyn Inlet, batch: Batch, stopping: &watch::Receiver<bool>) -> bool {
        let Batch { last, rooms, mut dead, .. } = batch;
        let source = inlet.source();
        let work: Vec<BoxFuture<'_, _>> = rooms
            .into_iter()
            .map(|(room, queue)| self.submit(room, queue, &source, stopping).boxed())
            .collect();
        let done: Vec<Option<Vec<DeadLetter>>> = stream::iter(work).buffer_unordered(ROOMS).collect().await;
        for letters in done {
            let Some(letters) = letters else { return false };
            dead.extend(letters);
        }
        if !dead.is_empty() && !self.bury(inlet, dead, stopping).await {
            return false;
        }
        let mut lanes: Vec<(u32, u64)> = last.into_iter().collect();
        lanes.sort_unstable();
        let mut backoff = Backoff::new();
        for _ in 0..NOTES {
            match inlet.done(&lanes).await {
                Ok(()) => break,
                // Whoever gets them again finds them done.
                Err(error) => self.health.failed(&error.to_string()),
            }
            backoff.wait().await;
        }
        true
    }

    /// Puts away what can't be done. `false` when the server stops before.
    async fn bury(
        &self,
        inlet: &mut dyn Inlet,
        mut dead: Vec<DeadLetter>,
        stopping: &watch::Receiver<bool>,
    ) -> bool {
        dead.sort_by_key(|letter| (letter.delivery.lane, letter.delivery.number));
        let mut backoff = Backoff::new();
        while let Err(error) = inlet.bury(&dead).await {
            self.health.failed(&error.to_string());
            if *stopping.borrow() {
                return false;
            }
            backoff.wait().await;
        }
        for DeadLetter { delivery, reason, text } in dead {
            metrics::counter!("enfilade_commands_dead_total", "reason" => reason).increment(1);
            let Delivery { lane, number, .. } = delivery;
            tracing::warn!(
                lane,
                number,
                reason,
                "a command can't be done, and lies with the dead letters: {text}"
            );
        }
        true
    }

    /// The ids of a lane that is new to this process: what went through it lately is read.
    async fn recent(
        &self,
        inlet: &mut dyn Inlet,
        first: &Delivery,
        stopping: &watch::Receiver<bool>,
    ) -> Option<Recent> {
        let mut backoff = Backoff::new();
        loop {
            match inlet.before(first.lane, first.number).await {
                Ok(payloads) => {
                    let mut recent = Recent::default();
                    for command in payloads.iter().filter_map(|payload| Command::parse(payload).ok()) {
                        recent.insert(&command.id);
                    }
                    return Some(recent);
                }
                Err(error) => self.health.failed(&error.to_string()),
            }
            if *stopping.borrow() {
                return None;
            }
            backoff.wait().await;
        }
    }

    /// Submits one room's commands in their order, until each is durable or can never be. `None` when the server stops
    /// before.
    ///
    /// What follows a command that is put off is put off with it, by the room itself; so order holds.
    async fn submit(
        &self,
        room: RoomId,
        mut queue: Queue,
        source: &str,
        stopping: &watch::Receiver<bool>,
    ) -> Option<Vec<DeadLetter>> {
        let mut dead = Vec::new();
        let mut backoff = Backoff::new();
        let mut attempts = 0;
        while !queue.is_empty() {
            let submits = queue.iter().map(|(delivery, command)| {
                let submit = v1::Submit {
                    room_id: room.as_str().into(),
                    op_id: Some(op_id(source, delivery, command).wire()),
                    op: command.op.clone(),
                    ..Default::default()
                };
                (command.actor.clone(), submit)
            });
            let answers = self.rooms.submit_all(&room, submits.collect()).await;
            let mut put_off = None;
            let mut left = Vec::new();
            for (row, answer) in queue.into_iter().zip(answers) {
                let refused = match answer {
                    Ok(_) => continue,
                    Err(refused) => refused,
                };
                let is_last_attempt = refused.code == Code::Internal && attempts >= ATTEMPTS;
                match refused.code {
                    // After the first that is put off, the others wait for their turn.
                    _ if put_off.is_some() => left.push(row),
                    code if must_wait(code) && !is_last_attempt => {
                        put_off = Some(refused);
                        left.push(row);
                    }
                    code => {
                        // Those behind it may have been put off with it.
                        if code.retry() == Retry::Later {
                            put_off = Some(Refused { code, retry_after: 0 });
                        }
                        dead.push(letter(row.0, &code.into()));
                    }
                }
            }
            queue = left;
            if let Some(Refused { code, .. }) = put_off.filter(|refused| must_wait(refused.code)) {
                if *stopping.borrow() {
                    return None;
                }
                attempts = if code == Code::Internal { attempts + 1 } else { 0 };
                metrics::counter!("enfilade_commands_put_off_total", "code" => code.name()).increment(1);
                backoff.wait().await;
            } else {
                (backoff, attempts) = (Backoff::new(), 0);
            }
        }
        Some(dead)
    }
}

impl Batch {
    fn has_place(&self, verdict: &Verdict) -> bool {
        let Verdict::Submit(command) = verdict else { return true };
        self.authors.get(&author(command)).is_none_or(|count| *count < AT_ONCE)
    }

    fn add(&mut self, delivery: Delivery, verdict: Verdict) {
        metrics::counter!("enfilade_commands_total").increment(1);
        self.last.insert(delivery.lane, delivery.number);
        match verdict {
            Verdict::Submit(command) => {
                *self.authors.entry(author(&command)).or_default() += 1;
                self.rooms.entry(command.room.clone()).or_default().push((delivery, command));
            }
            Verdict::Known => metrics::counter!("enfilade_commands_repeated_total").increment(1),
            Verdict::Dead(why) => self.dead.push(letter(delivery, &why)),
        }
    }
}

fn author(command: &Command) -> (RoomId, String) {
    (command.room.clone(), command.actor.user().to_owned())
}

fn judge(recent: &mut Recent, delivery: &Delivery) -> Verdict {
    match Command::parse(&delivery.payload) {
        Ok(command) if recent.insert(&command.id) => Verdict::Submit(command),
        Ok(_) => Verdict::Known,
        Err(why) => Verdict::Dead(why),
    }
}

/// Whether the server is at fault, and will do it later. What the room's rules put off (slow mode, a mute) is refused
/// for good: nothing waits behind somebody who may not write yet.
fn must_wait(code: Code) -> bool {
    match code {
        Code::SlowMode | Code::RateLimited => false,
        code => code.retry() == Retry::Later,
    }
}

/// The place of a command names its operation: delivered again, by whatever node, it is the same one.
fn op_id(source: &str, delivery: &Delivery, command: &Command) -> OpId {
    let author = format!("{source}/{}/{}", delivery.lane, command.actor.user());
    OpId { client: ClientId(hash53(author.as_bytes(), 0).max(1)), counter: delivery.number }
}

fn letter(delivery: Delivery, why: &Unreadable) -> DeadLetter {
    DeadLetter { delivery, reason: why.code.name(), text: why.text.clone() }
}
