//! Whatever happens on the way, every event is printed, and none twice: the sieve and its
//! window against a small world of servers. (`fuzz/` makes more of these journeys.)

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
