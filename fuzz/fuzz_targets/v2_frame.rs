//! Parsing one v2 message: it agrees with a JSON library about the message, and turns an event into
//! one valid line in either shape, alone and in a batch.
#![no_main]

#[path = "../../tests/support/v2_model.rs"]
mod v2_model;

use skytail::event::batch::{Batch, MessageDecoder, MessageObserver};
use skytail::event::format::EventFormat;
use skytail::event::v2::{self, Message};

const ACCOUNT: &[u8] = br#"{"$type":"message","payload":{"$type":"network.bsky.jetstream.subscribeEvents#account","account":{"active":true},"did":"did:plc:a","seq":5,"time":"2026-07-04T14:38:08.390226Z"}}"#;

/// Counts what it gets.
#[derive(Default)]
struct Counts {
    events: usize,
    malformed: usize,
}

impl MessageObserver for Counts {
    fn on_event(&mut self, _seq: u64) {
        self.events += 1;
    }

    fn on_malformed(&mut self, _error: &str, _message: &[u8]) {
        self.malformed += 1;
    }
}

/// Checks that a message between others becomes the line that it becomes alone.
fn check_in_batch(message: &[u8], format: EventFormat) {
    let line = |message| match v2::read(message) {
        Ok(Message::Event(event)) => {
            let (line, header) = match format {
                EventFormat::V1 => {
                    let mut line = Vec::new();
                    let header = event.write_v1_line(&mut line);
                    (line, header)
                }
                EventFormat::Native => (event.native_line().to_vec(), event.native_spans()),
            };
            let bytes = line.len();
            Some((line, header.as_parsed(bytes)))
        }
        _ => None,
    };
    let mut batch = Batch::default();
    let messages = [ACCOUNT, message, message, ACCOUNT, message, ACCOUNT];
    messages.iter().for_each(|message| batch.push(message));
    batch.mark_encoded();
    let mut counts = Counts::default();
    batch.decode(format, &mut MessageDecoder::default(), &mut counts);
    assert_eq!(counts.events + counts.malformed, messages.len());
    assert_eq!(counts.events, batch.len());
    let expected: Vec<_> = messages.iter().filter_map(|message| line(message)).collect();
    // A message with line breaks is an event only without them.
    if expected.len() == batch.len() {
        let lines = batch.lines().enumerate().map(|(i, line)| (line.to_vec(), batch.header(i)));
        assert!(lines.eq(expected));
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    v2_model::check(data);
    for format in [EventFormat::V1, EventFormat::Native] {
        check_in_batch(data, format);
    }
});
