//! Callers within the server, and the operations whose outcome they wait for.

use enfilade_core::{Code, Position, v1};
use tokio::sync::oneshot;

use super::Refused;

type Outcome = Result<Position, Refused>;

/// Operations that somebody within the server has submitted together.
pub(super) struct Calls {
    /// Each with its outcome, once it is known.
    ops: Vec<(v1::OpId, Option<Outcome>)>,
    left: usize,
    to: To,
}

enum To {
    One(oneshot::Sender<Outcome>),
    All(oneshot::Sender<Vec<Outcome>>),
}

impl Calls {
    pub(super) fn one(submit: &v1::Submit, to: oneshot::Sender<Outcome>) -> Calls {
        Calls { ops: vec![(submit.op_id.unwrap_or_default(), None)], left: 1, to: To::One(to) }
    }

    pub(super) fn all<'a>(
        submits: impl Iterator<Item = &'a v1::Submit>,
        to: oneshot::Sender<Vec<Outcome>>,
    ) -> Calls {
        let ops: Vec<_> = submits.map(|submit| (submit.op_id.unwrap_or_default(), None)).collect();
        Calls { left: ops.len(), ops, to: To::All(to) }
    }

    /// One of them is decided. Whether it was the last.
    pub(super) fn decide(&mut self, op_id: Option<v1::OpId>, outcome: Outcome) -> bool {
        let wanted = op_id.unwrap_or_default();
        if let Some((_, slot)) = self.ops.iter_mut().find(|(op_id, slot)| *op_id == wanted && slot.is_none())
        {
            *slot = Some(outcome);
            self.left -= 1;
        }
        self.left == 0
    }

    /// Tells whoever waits.
    pub(super) fn answer(self) {
        let lost = Err(Refused { code: Code::Internal, retry_after: 0 });
        let mut outcomes = self.ops.into_iter().map(|(_, outcome)| outcome.unwrap_or(lost));
        // Nobody waiting any more is fine.
        match self.to {
            To::One(to) => drop(to.send(outcomes.next().unwrap_or(lost))),
            To::All(to) => drop(to.send(outcomes.collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submit(client: u64, counter: u64) -> v1::Submit {
        v1::Submit { op_id: Some(v1::OpId { client, counter }), ..Default::default() }
    }

    #[test]
    fn outcomes_keep_the_order_of_their_operations() {
        let submits = [submit(1, 1), submit(2, 2), submit(1, 3)];
        let (to, mut told) = oneshot::channel();
        let mut calls = Calls::all(submits.iter(), to);
        let at = |seq| Ok(Position { epoch: 1, seq });
        assert!(!calls.decide(submits[2].op_id, at(30)));
        assert!(!calls.decide(submits[0].op_id, at(10)));
        assert!(!calls.decide(Some(v1::OpId { client: 9, counter: 9 }), at(90)), "nobody asked for it");
        let full = Err(Refused { code: Code::RoomFull, retry_after: 0 });
        assert!(calls.decide(submits[1].op_id, full));
        calls.answer();
        let outcomes = told.try_recv().unwrap();
        assert_eq!(outcomes[0].as_ref().unwrap().seq, 10);
        assert_eq!(outcomes[1].as_ref().unwrap_err().code, Code::RoomFull);
        assert_eq!(outcomes[2].as_ref().unwrap().seq, 30);
    }
}
