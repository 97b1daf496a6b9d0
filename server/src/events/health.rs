use std::time::Instant;

use tokio::sync::watch;

/// How one side of events is doing.
#[derive(Clone, Debug)]
pub struct Status {
    /// Whether it works.
    pub is_up: bool,
    /// Since when that is so.
    pub since: Instant,
    /// What is wrong and what to do about it; empty when nothing is.
    pub why: String,
}

/// Tells how one side of events is doing: to the log when it changes, to the metrics, and to whoever watches.
#[derive(Debug)]
pub struct Health {
    side: &'static str,
    status: watch::Sender<Status>,
}

impl Health {
    /// Works, until told otherwise. `side` names it in the log and in metrics.
    pub fn new(side: &'static str) -> Health {
        metrics::gauge!("enfilade_events_up", "side" => side).set(1.0);
        let status = Status { is_up: true, since: Instant::now(), why: String::new() };
        Health { side, status: watch::Sender::new(status) }
    }

    /// How it is doing, now and later.
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    pub(super) fn up(&self) {
        self.status.send_if_modified(|status| {
            if status.is_up {
                return false;
            }
            let seconds = status.since.elapsed().as_secs_f64();
            tracing::info!(side = self.side, seconds, "events work again");
            metrics::gauge!("enfilade_events_up", "side" => self.side).set(1.0);
            *status = Status { is_up: true, since: Instant::now(), why: String::new() };
            true
        });
    }

    pub(super) fn down(&self, why: &str) {
        self.status.send_if_modified(|status| {
            if status.is_up || status.why != why {
                tracing::error!(side = self.side, "events don't work: {why}");
            }
            metrics::counter!("enfilade_events_failures_total", "side" => self.side).increment(1);
            let was_up = status.is_up;
            if was_up {
                metrics::gauge!("enfilade_events_up", "side" => self.side).set(0.0);
                *status = Status { is_up: false, since: Instant::now(), why: why.into() };
            } else {
                status.why = why.into();
            }
            was_up
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_until_it_is_over() {
        let health = Health::new("out");
        let status = health.watch();
        health.down("no broker");
        let since = status.borrow().since;
        health.down("still no broker");
        assert_eq!((status.borrow().is_up, status.borrow().why.as_str()), (false, "still no broker"));
        assert_eq!(status.borrow().since, since, "it began with the first failure");
        health.up();
        assert!(status.borrow().is_up && status.borrow().why.is_empty());
    }
}
