use std::cell::Cell;

use enfilade_core::Millis;

/// The device's clock, kept from running backwards: when somebody sets it back, time goes on from where it was.
///
/// Not `performance.now()`: it stands still while a laptop sleeps, and the core would not see that nothing was heard.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    last: Cell<u64>,
    set_back: Cell<u64>,
}

impl Clock {
    pub(crate) fn now(&self) -> Millis {
        self.at(js_sys::Date::now() as u64)
    }

    fn at(&self, shown: u64) -> Millis {
        let mut now = shown + self.set_back.get();
        if now < self.last.get() {
            self.set_back.set(self.set_back.get() + self.last.get() - now);
            now = self.last.get();
        }
        self.last.set(now);
        Millis(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_goes_on_from_where_it_was() {
        let clock = Clock::default();
        let times = [1_000, 2_000, 500, 600, 700].map(|shown| clock.at(shown).0);
        assert_eq!(times, [1_000, 2_000, 2_000, 2_100, 2_200]);
    }
}
