//! What people complain about in systems of this kind, each as a scenario that fails when our rule against it is taken
//! out. `tests/mutations/NAME.patch` takes it out, and `npm run mutations` shows that the scenario then fails.

mod connecting;
mod opening;
mod people;
mod recovering;
mod serving;
mod simulated;
mod stage;

/// A complaint, and the scenario that shows it does not apply.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// A sentence; also the name of the patch that takes the rule out.
    pub name: &'static str,
    /// What people say of systems without the rule.
    pub complaint: &'static str,
    /// Panics when the complaint applies.
    pub run: fn(),
}

/// Hands the list of scenarios to a macro: one makes the table of them, another a test of each.
#[macro_export]
macro_rules! scenarios {
    ($with:ident) => {
        $with! {
            recovering::a_client_to_which_nothing_was_said_yet_recovers_what_it_missed
                "Recovery fails if the client reconnects before the server has said anything.";
            recovering::what_was_recovered_once_is_not_recovered_again
                "Each reconnection brings the same old messages.";
            recovering::a_quiet_room_keeps_its_place_and_notices_a_loss
                "Recovery works once, and not after hours of silence.";
            serving::who_is_far_behind_gets_the_state_and_not_the_whole_log
                "A recovery reads the whole log at once, and the store falls over.";
            recovering::a_message_that_comes_live_and_by_recovery_is_shown_once
                "A message is delivered twice when something is opened again meanwhile.";
            recovering::an_unexpected_epoch_is_a_reset
                "A position made of an old offset and a new epoch counts as recovered.";
            recovering::nothing_of_an_ended_connection_reaches_the_next
                "Recovered messages of an ended session come into the next one.";
            serving::who_opens_a_room_gets_the_answer_first_and_then_each_entry_once
                "Messages come before the answer to the subscription, or twice, or not at all.";
            connecting::an_app_that_reconnects_in_its_handler_gets_connected
                "The client stays connecting for ever after calls inside a handler.";
            connecting::no_server_makes_a_client_hammer_it
                "Hundreds of connection attempts in half a second.";
            connecting::a_device_that_slept_hears_what_waited_before_it_hangs_up
                "A healthy connection is closed after the laptop has slept.";
            connecting::when_the_network_is_back_nobody_waits
                "The network is back, and the client still waits for its long back-off.";
            connecting::a_background_tab_with_throttled_timers_stays_connected
                "Background tabs drop, because browsers throttle their timers.";
            connecting::clients_that_are_sent_away_at_once_do_not_return_at_once
                "After a restart all clients come back in the same moment.";
            connecting::what_people_look_at_is_resumed_first
                "After a reset everything is asked for at once, and what people look at comes last.";
            opening::a_view_that_mounts_twice_opens_its_room_once
                "React's strict mode opens everything twice, or closes what is still shown.";
            opening::a_message_is_shown_whole_after_its_author_has_left
                "A view that still shows somebody who has left throws.";
            connecting::a_refused_token_is_asked_for_once_and_not_tried_again
                "An expired token is tried for ever, or wedges the client.";
            people::somebody_whose_server_falls_silent_is_stale_and_not_gone
                "People are shown as gone because a server was restarted, or stay for ever.";
            serving::each_frame_travels_on_the_lane_that_says_whether_it_may_be_dropped
                "Slow consumers are cut off, or everything waits for them.";
            serving::an_entry_of_which_no_server_was_told_is_found_all_the_same
                "A lost notification between servers is a lost message.";
            opening::when_all_have_left_nothing_is_left_of_them
                "Rooms that everybody has left stay in memory.";
            opening::a_room_in_which_people_write_for_ever_stays_within_its_bounds
                "Documents grow without end.";
            opening::what_was_written_offline_survives_and_arrives_in_order
                "What was written offline is lost, or arrives in another order.";
            people::unread_is_right_in_a_room_that_was_never_opened
                "The unread count is wrong for rooms that were not loaded, and gone after a reload.";
            simulated::who_is_away_is_not_shown_as_live_for_longer_than_a_lease
                "Ghosts are online for minutes.";
            simulated::a_room_takes_no_more_memory_than_its_tier_may
                "Rooms in the background fill the memory.";
            simulated::a_background_room_is_sent_no_more_than_its_tier_may
                "Rooms in the background eat the bandwidth.";
            simulated::a_conflict_of_which_its_author_was_told_waits_in_the_inbox
                "What was put aside to be asked about is nowhere.";
            simulated::a_clock_that_is_set_far_back_stops_nobody
                "The clock was corrected, and nothing connects for an hour.";
        }
    };
}

macro_rules! table {
    ($($module:ident :: $name:ident $complaint:literal;)*) => {
        /// Every scenario.
        pub const ALL: &[Scenario] = &[
            $(Scenario { name: stringify!($name), complaint: $complaint, run: $module::$name },)*
        ];
    };
}

scenarios!(table);

/// The scenario of this name.
pub fn scenario(name: &str) -> Option<&'static Scenario> {
    ALL.iter().find(|scenario| scenario.name == name)
}
