//! The inflater: arbitrary bytes, damaged frames and bombs. The cap holds, memory follows the
//! output, earlier bytes stay unchanged, and the next valid frame is read.
#![no_main]

use std::sync::OnceLock;

use skytail::compression::inflate::Inflater;
use skytail_fuzz::{Counting, Input, peak_bytes};
use zstd::zstd_safe::CParameter;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A dictionary of generated events.
fn dictionary() -> &'static [u8] {
    static DICTIONARY: OnceLock<Vec<u8>> = OnceLock::new();
    DICTIONARY.get_or_init(|| {
        let sample = |n: u32| {
            let hash = n.wrapping_mul(2_654_435_761);
            format!(r#"{{"did":"did:plc:{hash:x}","time_us":{n},"kind":"commit","commit":{{"rev":"{hash}"}}}}"#)
        };
        let samples: Vec<String> = (0..500).map(sample).collect();
        zstd::dict::from_samples(&samples, 4096).expect("samples enough")
    })
}

fn deflate(data: &[u8], dictionary: &[u8], with_size: bool) -> Vec<u8> {
    let mut compressor = zstd::bulk::Compressor::with_dictionary(1, dictionary).expect("sound");
    compressor.set_parameter(CParameter::ContentSizeFlag(with_size)).expect("known");
    compressor.compress(data).expect("enough memory")
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let flags = input.byte();
    let max_bytes = usize::from(input.byte()) << (input.byte() % 12);
    let (times, hits) = (usize::from(input.byte()), input.byte() % 6);
    let hits: Vec<(usize, u8)> = (0..hits)
        .map(|_| (usize::from(input.byte()) * 256 + usize::from(input.byte()), input.byte()))
        .collect();
    let dictionary = if flags & 1 == 0 { dictionary() } else { &[] };
    let body = input.rest();
    // Either the bytes after the magic number, or a real frame of them, then damaged.
    let mut frame = match flags & 2 {
        0 => [&[0x28, 0xb5, 0x2f, 0xfd], body].concat(),
        _ => deflate(&body.repeat(1 + times), dictionary, flags & 4 == 0),
    };
    for (at, value) in &hits {
        let at = at % frame.len();
        frame[at] = *value;
    }
    let mut inflater = Inflater::new(dictionary).expect("a sound dictionary");
    let mut out = b"kept".to_vec();
    let (outcome, peak) = peak_bytes(|| inflater.append(&frame, &mut out, max_bytes));
    assert!(out.starts_with(b"kept") && out.len() - 4 <= max_bytes);
    assert!(peak <= 4 * max_bytes + frame.len() * 17 + 100_000, "{peak} bytes, cap {max_bytes}");
    match outcome {
        Ok(()) if hits.is_empty() && flags & 2 != 0 => assert_eq!(out[4..], body.repeat(1 + times)),
        Ok(()) => {}
        Err(error) => {
            assert_eq!(out, b"kept");
            assert!(error.to_string().chars().all(|c| !c.is_control()));
            let fits = body.len() * (1 + times) <= max_bytes;
            assert!(flags & 2 == 0 || !hits.is_empty() || !fits, "refused a sound frame: {error}");
        }
    }
    out.clear();
    inflater.append(&deflate(b"an event", dictionary, true), &mut out, 100).expect("sound");
    assert_eq!(out, b"an event");
});
