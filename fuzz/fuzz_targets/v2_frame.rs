//! Parsing one v2 message: it agrees with a JSON library about the message, and turns an event into
//! one valid line in either shape.
#![no_main]

#[path = "../../tests/support/v2_model.rs"]
mod v2_model;

libfuzzer_sys::fuzz_target!(|data: &[u8]| v2_model::check(data));
