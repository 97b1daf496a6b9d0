//! One timing wheel a shard: a deadline costs eight bytes, and moving it back costs nothing.

/// Ticks until the wheel comes round. A deadline further away fires early, and is set again by whoever looks at it.
const SLOTS: usize = 256;

/// An alarm that was set: it is due if the connection in `slot` still waits for this very `tick`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Alarm {
    pub(super) slot: u32,
    pub(super) tick: u32,
}

/// Alarms by the tick at which they fire.
pub(super) struct Wheel {
    slots: Box<[Vec<Alarm>]>,
    now: u32,
}

impl Wheel {
    pub(super) fn new() -> Self {
        Wheel { slots: (0..SLOTS).map(|_| Vec::new()).collect(), now: 0 }
    }

    /// The tick that was advanced to last.
    pub(super) fn now(&self) -> u32 {
        self.now
    }

    /// Sets an alarm, and tells for which tick: the next one at the earliest, one turn ahead at the latest.
    pub(super) fn set(&mut self, slot: u32, tick: u32) -> u32 {
        let tick = tick.clamp(self.now + 1, self.now + SLOTS as u32 - 1);
        self.slots[tick as usize % SLOTS].push(Alarm { slot, tick });
        tick
    }

    /// Moves on to `tick` and appends to `due` all alarms up to it.
    pub(super) fn advance(&mut self, tick: u32, due: &mut Vec<Alarm>) {
        let steps = tick.saturating_sub(self.now).min(SLOTS as u32);
        for step in 1..=steps {
            due.append(&mut self.slots[(self.now + step) as usize % SLOTS]);
        }
        self.now = self.now.max(tick);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_fire_once_at_their_tick() {
        let mut wheel = Wheel::new();
        let mut due = Vec::new();
        assert_eq!(wheel.set(1, 3), 3);
        assert_eq!(wheel.set(2, 0), 1);
        assert_eq!(wheel.set(3, 10_000), 255);
        wheel.advance(2, &mut due);
        assert_eq!(due, [Alarm { slot: 2, tick: 1 }]);
        due.clear();
        wheel.advance(300, &mut due);
        assert_eq!(due, [Alarm { slot: 1, tick: 3 }, Alarm { slot: 3, tick: 255 }]);
        due.clear();
        wheel.advance(5_000, &mut due);
        assert!(due.is_empty());
        assert_eq!(wheel.now(), 5_000);
    }
}
