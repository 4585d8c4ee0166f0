//! Every event is printed exactly once across cuts, kills and failovers: the dedup stage and its
//! window against a simulation of servers. (`fuzz/` generates more inputs.)

#[path = "support/simulation.rs"]
mod simulation;

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_journey_loses_or_repeats_an_event(
        bytes in prop::collection::vec(any::<u8>(), 2..160),
    ) {
        simulation::run(&bytes);
    }
}

/// Found by fuzzing: the first new event of another server shares its instant with a known one.
#[test]
fn a_new_server_may_begin_with_two_events_of_one_instant() {
    simulation::run(&[0, 238, 1, 6, 7, 10, 48, 46, 97, 27, 22, 23, 24, 25, 26, 29, 28, 29, 30]);
}

/// Found by fuzzing: the output takes the first event of another server, whose time is false, and
/// refuses the next one, which would have become the first position there.
#[test]
fn a_server_may_begin_with_a_false_time_before_the_output_breaks_off() {
    simulation::run(&[35, 26, 27, 101, 10, 7, 251, 254]);
}

/// Found by fuzzing: after a silence comes an event with a time of long ago. The clock does not show
/// when it came, so that the window forgot it before another server's replay brought it.
#[test]
fn an_event_with_an_old_time_after_a_silence_is_kept() {
    simulation::run(&[
        230, 157, 84, 96, 96, 96, 96, 96, 96, 96, 1, 9, 87, 87, 87, 87, 31, 31, 36, 87, 31,
    ]);
}
