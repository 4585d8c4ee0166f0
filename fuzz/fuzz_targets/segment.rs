//! Segments: any bytes, with a valid or invalid checksum. Never a panic, memory follows the input,
//! and if the checksums are valid, the rows are those that were written.
#![no_main]

use skytail::archive::block::BlockDecoder;
use skytail::archive::line::LineWriter;
use skytail::event::format::EventFormat;
use skytail::archive::row::{Row, RowKind};
use skytail::archive::segment::Segment;
use skytail::archive::segment::collections::MAX_TABLE_BYTES;
use skytail::archive::write::SegmentWriter;
use skytail::position::Seq;
use skytail_fuzz::{Counting, Input, peak_bytes};
use xxhash_rust::xxh3::Xxh3;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most that a block may decompress to here.
const CAP_BYTES: usize = 1 << 20;

/// Writes a segment of rows made from the input.
fn write(input: &mut Input<'_>) -> Vec<u8> {
    let mut writer = SegmentWriter::new(1 + usize::from(input.byte() % 8)).expect("memory");
    let mut seq = 0;
    for _ in 0..1 + input.byte() % 16 {
        seq += 1 + u64::from(input.byte() % 4);
        let kind = RowKind::from_number(1 + input.byte() % 7).expect("1 to 7");
        let payload = [0xa1, 0x61, input.byte(), 0x18, input.byte()];
        let row = Row {
            seq: Seq(seq),
            witnessed_at_us: input.byte().into(),
            indexed_at_us: (input.byte() % 2).into(),
            kind,
            did: ["did:plc:a", "did:plc:é"][usize::from(input.byte() % 2)],
            collection: ["", "a.b.c", "d.e.f"][usize::from(input.byte() % 3)],
            rkey: "k",
            rev: "r",
            payload: &payload,
            payload_at: 0,
        };
        writer.push(&row).expect("a row in order");
    }
    writer.seal().expect("rows")
}

/// Makes the checksum valid.
fn reseal(bytes: &mut [u8]) {
    let Some(Ok(footer)) = bytes.get(58..66).map(<[u8; 8]>::try_from) else { return };
    let footer = usize::try_from(u64::from_le_bytes(footer)).unwrap_or(usize::MAX);
    let mut hash = Xxh3::new();
    hash.update(&bytes[12..256.min(bytes.len())]);
    hash.update(bytes.get(footer..).unwrap_or_default());
    bytes[4..12].copy_from_slice(&hash.digest().to_le_bytes());
}

/// Returns the rows of all blocks that can be decoded, as text.
fn rows(bytes: &[u8]) -> Option<Vec<Option<Vec<String>>>> {
    let segment = Segment::parse(bytes).ok()?;
    let mut decoder = BlockDecoder::with_cap(CAP_BYTES).expect("memory");
    let mut writer = LineWriter::new();
    let block = |i| {
        let frame = segment.frame(bytes, i).expect("within the file");
        let block = segment.decode(i, frame, &mut decoder).ok()?;
        let mut line = Vec::new();
        for row in block.rows() {
            line.clear();
            let _ = writer.append(&row, EventFormat::Native, &mut line);
        }
        Some(block.rows().map(|row| format!("{row:?}")).collect())
    };
    Some((0..segment.blocks.len()).map(block).collect())
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let flags = input.byte();
    let (bytes, whole) = match flags & 1 {
        0 => {
            let mut bytes = write(&mut input);
            let whole = rows(&bytes);
            assert!(whole.as_ref().is_some_and(|blocks| blocks.iter().all(Option::is_some)));
            for _ in 0..input.byte() % 8 {
                let at = (usize::from(input.byte()) << 8 | usize::from(input.byte())) % bytes.len();
                bytes[at] = input.byte();
            }
            (bytes, whole)
        }
        _ => (input.rest().to_vec(), None),
    };
    let mut bytes = bytes;
    let is_resealed = flags & 2 != 0;
    if is_resealed {
        reseal(&mut bytes);
    }
    // The table of collections may be a bomb up to its cap; all else follows the input.
    let most = 40 * bytes.len() + 4 * CAP_BYTES + 8 * MAX_TABLE_BYTES as usize;
    let (found, peak) = peak_bytes(|| rows(&bytes));
    assert!(peak <= most, "{peak} bytes for {}", bytes.len());
    if let (Some(found), Some(whole), false) = (found, whole, is_resealed) {
        for (found, whole) in found.iter().zip(&whole) {
            assert!(found.is_none() || found == whole, "a damaged block passed for a whole one");
        }
    }
});
