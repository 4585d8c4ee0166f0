//! Blocks: frames and bodies of any bytes. Never a panic, no memory for claimed lengths, every row
//! within the body, which is used up exactly; an event is one valid line or none.
#![no_main]

use skytail::archive::block::{Block, BlockDecoder};
use skytail::archive::line::LineWriter;
use skytail::event::format::EventFormat;
use skytail::event::header;
use skytail_fuzz::{Counting, peak_bytes};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn look(block: &Block<'_>, body_bytes: usize) {
    let mut writer = LineWriter::new();
    let (mut used, mut last) = (4 + 34 * block.len(), 0);
    for row in block.rows() {
        assert!(row.seq.0 > last);
        last = row.seq.0;
        used += row.did.len() + row.collection.len() + row.rkey.len() + row.rev.len();
        used += row.payload.len();
        for shape in [EventFormat::V1, EventFormat::Native] {
            let mut line = b"kept".to_vec();
            match writer.append(&row, shape, &mut line) {
                Ok(entry) => {
                    if shape == EventFormat::V1 {
                        let header = header::parse(&line[4..]).expect("an event");
                        assert_eq!(header.cursor, Some(row.seq.0));
                    }
                    if let Some(entry) = entry {
                        assert_eq!(shape.parse_spans(&line[4..]), Ok(entry));
                    }
                }
                Err(error) => {
                    assert_eq!(line, b"kept");
                    assert!(error.seq == row.seq && error.block_at <= body_bytes);
                }
            }
        }
    }
    assert_eq!(used, body_bytes);
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&flags, body)) = data.split_first() else { return };
    let mut decoder = BlockDecoder::with_cap(1 << 20).expect("memory");
    if flags & 1 == 0 {
        if let Ok(block) = decoder.decode(body) {
            look(&block, block.body_bytes());
        }
        return;
    }
    let (parsed, peak) = peak_bytes(|| Block::parse(body));
    assert!(peak < 1000, "{peak} bytes to parse {}", body.len());
    if let Ok(block) = parsed {
        look(&block, body.len());
        // In a frame it is the same block.
        let mut compressor = zstd::bulk::Compressor::new(1).expect("memory");
        compressor.include_checksum(true).expect("known");
        let frame = compressor.compress(body).expect("memory");
        let again = decoder.decode(&frame).expect("a sound block");
        assert!(again.rows().eq(block.rows()));
    }
});
