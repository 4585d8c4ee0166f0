//! The dedup stage and its window, in a simulation of servers that are cut off, killed and changed:
//! no event comes twice, none is missing.
#![no_main]

#[path = "../../tests/support/simulation.rs"]
mod simulation;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if data.len() >= 2 {
        simulation::run(data);
    }
});
