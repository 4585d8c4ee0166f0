//! The reading of one v2 message: it agrees with a JSON library about what the message is, and
//! what it makes of an event is one sound line in either shape.
#![no_main]

#[path = "../../tests/support/v2_model.rs"]
mod v2_model;

libfuzzer_sys::fuzz_target!(|data: &[u8]| v2_model::check(data));
