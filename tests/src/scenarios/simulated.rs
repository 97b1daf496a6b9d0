//! What the simulation holds against every step, on seeds that come across it.

use crate::sim;

fn hold(seeds: &[u64]) {
    for seed in seeds {
        if let Err(broken) = sim::run(*seed) {
            panic!("{broken}");
        }
    }
}

pub(super) fn who_is_away_is_not_shown_as_live_for_longer_than_a_lease() {
    hold(&[13]);
}

pub(super) fn a_room_takes_no_more_memory_than_its_tier_may() {
    hold(&[2]);
}

pub(super) fn a_background_room_is_sent_no_more_than_its_tier_may() {
    hold(&[30]);
}

pub(super) fn a_conflict_of_which_its_author_was_told_waits_in_the_inbox() {
    hold(&[1]);
}

pub(super) fn a_clock_that_is_set_far_back_stops_nobody() {
    hold(&[1]);
}
