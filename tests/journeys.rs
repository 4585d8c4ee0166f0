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
