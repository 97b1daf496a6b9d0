use crate::{Entry, Position};

/// How a frame's entries meet what the receiver holds. See [`delta`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delta {
    /// Apply the entries from this index on; those before are known.
    Applied(usize),
    /// All of it is known already.
    Duplicate,
    /// Entries are missing between what is held and what came: resume from the held position.
    Gap,
    /// The frame is older than what is held, and of an epoch that has ended.
    Stale,
    /// The room's log was started anew: what is held is of another epoch, and must be replaced, never extended.
    NewEpoch,
}

/// Joins entries that came, ending at `head`, to the state held at `held`. `ended` is the last epoch known to have
/// been replaced, if there is one.
///
/// The one rule by which clients and servers join replay and live traffic. `entries` ascend without gaps and end at
/// `head.seq`; when they don't, the answer is [`Delta::Gap`].
pub fn delta(held: Position, ended: Option<u64>, head: Position, entries: &[Entry]) -> Delta {
    if head.epoch != held.epoch {
        return if ended == Some(head.epoch) { Delta::Stale } else { Delta::NewEpoch };
    }
    if head.seq <= held.seq {
        return Delta::Duplicate;
    }
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Delta::Gap };
    let gapless = entries.windows(2).all(|pair| pair[1].seq == pair[0].seq + 1);
    if !gapless || last.seq != head.seq || first.seq > held.seq + 1 {
        return Delta::Gap;
    }
    // `held.seq` is at least `first.seq - 1` and below `last.seq`, so the index is within the slice.
    Delta::Applied((held.seq + 1 - first.seq) as usize)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::{ClientId, Millis, OpId};

    fn entries(seqs: core::ops::RangeInclusive<u64>) -> Vec<Entry> {
        let entry = |seq| Entry {
            seq,
            op_id: OpId { client: ClientId(1), counter: seq },
            author: "a".into(),
            author_name: "A".into(),
            at: Millis(seq),
            ordinal: 0,
            op: Vec::new(),
            body: None,
        };
        seqs.map(entry).collect()
    }

    fn at(epoch: u64, seq: u64) -> Position {
        Position { epoch, seq }
    }

    #[test]
    fn entries_that_touch_are_applied_and_overlap_is_skipped() {
        assert_eq!(delta(at(1, 3), None, at(1, 5), &entries(4..=5)), Delta::Applied(0));
        assert_eq!(delta(at(1, 3), None, at(1, 5), &entries(2..=5)), Delta::Applied(2));
        assert_eq!(delta(at(1, 0), None, at(1, 1), &entries(1..=1)), Delta::Applied(0));
    }

    #[test]
    fn what_is_known_is_a_duplicate() {
        assert_eq!(delta(at(1, 5), None, at(1, 5), &entries(4..=5)), Delta::Duplicate);
        assert_eq!(delta(at(1, 5), None, at(1, 5), &[]), Delta::Duplicate);
        assert_eq!(delta(at(1, 5), None, at(1, 2), &entries(1..=2)), Delta::Duplicate);
    }

    #[test]
    fn a_hole_is_a_gap_wherever_it_is() {
        assert_eq!(delta(at(1, 3), None, at(1, 6), &entries(5..=6)), Delta::Gap);
        assert_eq!(delta(at(1, 3), None, at(1, 6), &[]), Delta::Gap);
        assert_eq!(delta(at(1, 3), None, at(1, 6), &entries(4..=5)), Delta::Gap);
        let mut holed = entries(4..=6);
        holed.remove(1);
        assert_eq!(delta(at(1, 3), None, at(1, 6), &holed), Delta::Gap);
    }

    #[test]
    fn another_epoch_is_new_unless_it_is_known_to_have_ended() {
        assert_eq!(delta(at(1, 3), None, at(2, 4), &entries(4..=4)), Delta::NewEpoch);
        assert_eq!(delta(at(2, 3), Some(1), at(1, 9), &entries(9..=9)), Delta::Stale);
    }
}
