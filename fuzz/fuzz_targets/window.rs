//! The window of identities, and the sieve around it, in a world of servers that are cut,
//! killed and changed: nothing comes twice, nothing is missing.
#![no_main]

#[path = "../../tests/support/simulation.rs"]
mod simulation;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if data.len() >= 2 {
        simulation::run(data);
    }
});
