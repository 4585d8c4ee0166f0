//! DAG-CBOR to JSON and back: what is accepted becomes valid, sorted JSON, has one form, and comes
//! back unchanged except for what JSON can't distinguish; any JSON becomes a record that can be
//! read.
#![no_main]

use serde_json::Value;
use skytail::archive::transcode::Transcoder;
use skytail::archive::write::convert::record_to_cbor;
use skytail_fuzz::{Counting, peak_bytes};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// serde_json refuses deeper nesting.
const SURE_DEPTH: usize = 100;

fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in json.bytes() {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn transcode(cbor: &[u8]) -> Option<String> {
    let mut out = b"kept".to_vec();
    let outcome = Transcoder::new().append(cbor, &mut out);
    assert!(out.starts_with(b"kept"));
    match outcome {
        Ok(()) => Some(String::from_utf8(out.split_off(4)).expect("UTF-8")),
        Err(error) => {
            assert_eq!(out, b"kept");
            assert!(error.at <= cbor.len(), "{error}");
            None
        }
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&flags, data)) = data.split_first() else { return };
    if flags & 1 == 0 {
        let (json, peak) = peak_bytes(|| transcode(data));
        assert!(peak <= 2000 + 100 * data.len(), "{peak} bytes for {}", data.len());
        let Some(json) = json else { return };
        assert!(json.bytes().all(|b| b >= 0x20 && !b"<>&".contains(&b)));
        if depth(&json) > SURE_DEPTH {
            return;
        }
        serde_json::from_str::<Value>(&json).expect("sound JSON");
        // Whole floats become integers, and maps that look like links become links, once. From then
        // on it has one form.
        let Ok((cbor, _)) = record_to_cbor(json.as_bytes()) else { return };
        let again = transcode(&cbor).expect("what we write");
        let (twice, _) = record_to_cbor(again.as_bytes()).expect("what we print");
        assert_eq!(cbor, twice);
        return;
    }
    if let Ok((cbor, _)) = record_to_cbor(data) {
        let json = transcode(&cbor);
        let text = std::str::from_utf8(data).expect("serde_json took it");
        if depth(text) <= SURE_DEPTH && text.len() < 1 << 20 {
            // `3.0` is a float, and prints as the integer `3`: also once.
            let once = record_to_cbor(json.expect("what we write").as_bytes()).expect("ours").0;
            let again = transcode(&once).expect("what we write");
            assert_eq!(record_to_cbor(again.as_bytes()).expect("what we print").0, once);
        }
    }
});
