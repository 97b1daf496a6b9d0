//! How the server and what it rests on are doing, told to load balancers, operators and clients.
//!
//! Each component (the store, the archive, events) has a [`State`], fed by what its operations return and by a probe
//! when there is nothing to do. A component that is down takes nothing else down: people go on reading what this node
//! holds, their writes wait in their own queues, and all of it drains by itself when the component answers again.
//!
//! ```text
//!            a failure                3 failures, or 1 s of them
//!      up ──────────────▶ degraded ───────────────────────────▶ down
//!       ▲   a slow answer    │  ▲                                 │
//!       └────────────────────┘  └─────────────────────────────────┘
//!        5 s without trouble              an answer
//! ```
//!
//! # What a load balancer should do
//! `/readyz` answers 200 as long as this node can serve *somebody*, and 503 while it starts and as soon as it drains. A
//! store that is gone does not make a node unready: it is gone for all nodes alike, and taking all of them out would
//! turn "people read, and their writes wait" into "nobody gets in". Whoever balances over nodes that can lose the store
//! one by one asks `/readyz?writes`, which is 503 also while this node can't write, with a balancer that falls back to
//! all nodes when none is ready. The body is the same for both, and says how every component is doing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::watch;

use self::judge::Judge;
use crate::auth::now;

mod judge;
mod store;
#[cfg(test)]
mod tests;

pub use store::Watched;

/// Between two probes while a component answers; none is sent while others ask anyway.
const PROBE: Duration = Duration::from_secs(1);
/// Between two probes while it doesn't, so that its return is noticed at once.
const PROBE_FAILING: Duration = Duration::from_millis(250);
/// A probe that takes longer has failed: something hangs.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// What a server rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// Rooms and their logs.
    Store,
    /// Their history beyond the store.
    Archive,
    /// Kafka, or streams of Redis.
    Events,
}

impl Component {
    /// All there can be.
    pub const ALL: [Component; 3] = [Component::Store, Component::Archive, Component::Events];

    /// Its name in the log, in metrics and in `/readyz`.
    pub fn name(self) -> &'static str {
        match self {
            Component::Store => "store",
            Component::Archive => "archive",
            Component::Events => "events",
        }
    }

    fn index(self) -> usize {
        match self {
            Component::Store => 0,
            Component::Archive => 1,
            Component::Events => 2,
        }
    }

    /// What its failure means, for the log.
    fn without(self) -> &'static str {
        match self {
            Component::Store => "people go on reading, and what they write waits with them",
            Component::Archive => "rooms go on, and their logs are kept until it is back",
            Component::Events => "rooms go on, and what is to be told waits",
        }
    }
}

/// How well a component does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It does not answer.
    Down,
    /// It answers, but not always, not in time, or not to everything.
    Degraded,
    /// All is well.
    Up,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Status::Down => "down",
            Status::Degraded => "degraded",
            Status::Up => "up",
        }
    }
}

/// How a component is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct State {
    /// In one word.
    pub status: Status,
    /// Since when it has been so, in milliseconds since 1970.
    pub since: u64,
    /// Whether it takes what is written. False for a store that is down, or has no space left.
    pub writes: bool,
    /// What is the matter, and what to do about it; empty when nothing is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
}

impl State {
    fn up() -> State {
        State { status: Status::Up, since: now().0, writes: true, why: String::new() }
    }
}

/// Where the server itself stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Not all is open yet.
    Starting,
    /// It serves.
    Serving,
    /// It was told to stop.
    Draining,
}

/// The body of `/readyz`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// `ready`, `degraded` (ready, but a component is not as it should be), `starting` or `draining`.
    pub status: &'static str,
    /// Whether to send people here.
    pub ready: bool,
    /// Whether what they write is taken.
    pub writes: bool,
    /// The components that are configured.
    pub components: std::collections::BTreeMap<&'static str, State>,
}

/// How all is doing. Cheap to clone.
#[derive(Clone)]
pub struct Health {
    shared: Arc<Shared>,
}

struct Shared {
    phase: watch::Sender<Phase>,
    components: [watch::Sender<Option<State>>; 3],
}

impl Default for Health {
    fn default() -> Health {
        Health::new()
    }
}

impl Health {
    /// A server that starts, and rests on nothing yet.
    pub fn new() -> Health {
        let components = Component::ALL.map(|_| watch::Sender::new(None));
        Health { shared: Arc::new(Shared { phase: watch::Sender::new(Phase::Starting), components }) }
    }

    /// The server has come to another phase.
    pub fn enter(&self, phase: Phase) {
        self.shared.phase.send_replace(phase);
    }

    /// Adds a component, which is up until told otherwise, and returns what is fed with its answers.
    pub fn meter(&self, component: Component) -> Meter {
        let tell = self.shared.components[component.index()].clone();
        tell.send_replace(Some(State::up()));
        metrics::gauge!("enfilade_component_status", "component" => component.name()).set(2.0);
        Meter { component, tell, judge: Arc::new(Mutex::new(Judge::default())) }
    }

    /// How a component is doing; `None` where it is not configured.
    pub fn state(&self, component: Component) -> Option<State> {
        self.shared.components[component.index()].borrow().clone()
    }

    /// The same, now and from now on.
    pub fn watch(&self, component: Component) -> watch::Receiver<Option<State>> {
        self.shared.components[component.index()].subscribe()
    }

    /// Whether what people write is taken.
    pub fn takes_writes(&self) -> bool {
        self.shared.components[Component::Store.index()].borrow().as_ref().is_none_or(|state| state.writes)
    }

    /// All of it.
    pub fn report(&self) -> Report {
        let phase = *self.shared.phase.borrow();
        let components = Component::ALL.into_iter();
        let components: std::collections::BTreeMap<_, _> =
            components.filter_map(|component| Some((component.name(), self.state(component)?))).collect();
        let is_well = components.values().all(|state| state.status == Status::Up);
        let ready = phase == Phase::Serving;
        let status = match phase {
            Phase::Starting => "starting",
            Phase::Serving if is_well => "ready",
            Phase::Serving => "degraded",
            Phase::Draining => "draining",
        };
        Report { status, ready, writes: ready && self.takes_writes(), components }
    }
}

/// Is fed with what a component answers, and tells how it is doing when that changes: in the log, in metrics, and to
/// whoever watches. Cheap to clone.
#[derive(Clone)]
pub struct Meter {
    component: Component,
    tell: watch::Sender<Option<State>>,
    judge: Arc<Mutex<Judge>>,
}

impl Meter {
    /// It has answered, after this time.
    pub fn answered(&self, took: Duration) {
        self.judge(|judge, now| judge.answered(took, now));
    }

    /// It has not answered, or not as it should.
    pub fn failed(&self, why: &str) {
        metrics::counter!("enfilade_component_failures_total", "component" => self.component.name())
            .increment(1);
        self.judge(|judge, now| judge.failed(why, now));
    }

    /// It answers, and something is the matter all the same.
    pub fn troubled(&self, why: &str) {
        self.judge(|judge, now| judge.troubled(why, now));
    }

    /// It has taken a write, which shows that there is space.
    pub fn written(&self) {
        self.judge(|judge, _| judge.written());
    }

    /// It has no space for what is written.
    pub fn full(&self, why: &str) {
        metrics::counter!("enfilade_component_failures_total", "component" => self.component.name())
            .increment(1);
        self.judge(|judge, now| judge.full(why, now));
    }

    /// Time has passed: what was wrong may be over.
    pub fn look(&self) {
        self.judge(|_, _| {});
    }

    /// When it last answered.
    fn last_answer(&self) -> Option<Instant> {
        self.lock().last_answer()
    }

    /// Whether it doesn't answer now.
    fn is_failing(&self) -> bool {
        self.lock().is_failing()
    }

    fn lock(&self) -> MutexGuard<'_, Judge> {
        self.judge.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn judge(&self, feed: impl FnOnce(&mut Judge, Instant)) {
        let now = Instant::now();
        // Changes are told under the lock, so that they are told in their order.
        let mut judge = self.lock();
        feed(&mut judge, now);
        let verdict = judge.verdict(now);
        let is_same = self
            .tell
            .borrow()
            .as_ref()
            .is_some_and(|known| known.status == verdict.status && known.writes == verdict.writes);
        if !is_same {
            self.change(State {
                status: verdict.status,
                since: crate::auth::now().0,
                writes: verdict.writes,
                why: verdict.why.to_owned(),
            });
        }
    }

    fn change(&self, state: State) {
        let component = self.component.name();
        let since = self.tell.borrow().as_ref().map_or(state.since, |before| before.since);
        let seconds = state.since.saturating_sub(since) as f64 / 1_000.0;
        let (status, why) = (state.status.name(), &state.why);
        match state.status {
            Status::Up => {
                tracing::info!(component, status, after_seconds = seconds, "{component} is up again")
            }
            Status::Degraded => tracing::warn!(component, status, "{component} is degraded: {why}"),
            Status::Down => tracing::error!(
                component,
                status,
                "{component} is down, and {}: {why}",
                self.component.without()
            ),
        }
        let level = match state.status {
            Status::Down => 0.0,
            Status::Degraded => 1.0,
            Status::Up => 2.0,
        };
        metrics::gauge!("enfilade_component_status", "component" => component).set(level);
        metrics::counter!("enfilade_component_changes_total", "component" => component, "status" => status)
            .increment(1);
        self.tell.send_replace(Some(state));
    }
}

/// Asks a component once in a while whether it answers, as long as nobody else does, until the future is dropped. `ask`
/// feeds the meter itself; a question that takes too long is given up, and counts as a failure.
pub async fn probe<F: Future<Output = ()>>(meter: Meter, ask: impl Fn() -> F) {
    loop {
        tokio::time::sleep(if meter.is_failing() { PROBE_FAILING } else { PROBE }).await;
        let is_heard = meter.last_answer().is_some_and(|at| at.elapsed() < PROBE);
        if is_heard && !meter.is_failing() {
            meter.look();
        } else if tokio::time::timeout(PROBE_TIMEOUT, ask()).await.is_err() {
            meter.failed("it takes longer than two seconds to answer; look at its load, and at the network");
        }
    }
}
