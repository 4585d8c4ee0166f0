//! Damage and malice: an error, never a panic, never a wrong event.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use xxhash_rust::xxh3::Xxh3;

use skytail::archive::block::{Block, BlockDecoder};
use skytail::archive::error::{BlockError, SegmentError};
use skytail::archive::line::LineWriter;
use skytail::archive::segment::Segment;
use skytail::event::format::EventFormat;

use super::rows::{blocks, rows, segment};

/// Random changes of a file: offsets, and the bytes written there.
fn byte_changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5)
}

/// Makes the checksum match the changed bytes.
fn reseal(bytes: &mut [u8]) {
    let Some(footer) = bytes.get(58..66).map(|b| u64::from_le_bytes(b.try_into().unwrap())) else {
        return;
    };
    let mut hash = Xxh3::new();
    hash.update(&bytes[12..256.min(bytes.len())]);
    hash.update(bytes.get(usize::try_from(footer).unwrap_or(usize::MAX)..).unwrap_or_default());
    bytes[4..12].copy_from_slice(&hash.digest().to_le_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damage_is_detected_or_harmless(rows in rows(1..12), byte_changes in byte_changes()) {
        let mut bytes = segment(&rows, 4);
        let whole = blocks(&Segment::parse(&bytes).unwrap(), &bytes);
        for (at, value) in byte_changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let Ok(segment) = Segment::parse(&bytes) else { return Ok(()) };
        // The checksum covers header and footer; each block has its own.
        for (found, whole) in blocks(&segment, &bytes).iter().zip(&whole) {
            prop_assert!(found.is_none() || found == whole, "{:?}", found);
        }
    }

    #[test]
    fn a_truncated_segment_is_refused(rows in rows(1..6), cut in any::<prop::sample::Index>()) {
        let bytes = segment(&rows, 4);
        let cut = cut.index(bytes.len());
        prop_assert!(Segment::parse(&bytes[..cut]).is_err());
    }

    #[test]
    fn malicious_bytes_with_a_valid_checksum_never_panic(
        rows in rows(1..12),
        byte_changes in byte_changes(),
        in_footer in prop::collection::vec((0..120_usize, any::<u8>()), 0..4),
    ) {
        let mut bytes = segment(&rows, 4);
        for (at, value) in byte_changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let footer = u64::from_le_bytes(bytes[58..66].try_into().unwrap());
        for (at, value) in in_footer {
            let at = usize::try_from(footer).ok().and_then(|footer| footer.checked_add(at));
            if let Some(byte) = at.and_then(|at| bytes.get_mut(at)) {
                *byte = value;
            }
        }
        reseal(&mut bytes);
        if let Ok(segment) = Segment::parse(&bytes) {
            for rows in blocks(&segment, &bytes).into_iter().flatten() {
                prop_assert!(rows.windows(2).all(|pair| pair[0].seq < pair[1].seq));
            }
        }
    }

    #[test]
    fn any_body_decodes_to_rows_or_an_error(
        rows in rows(1..6),
        byte_changes in byte_changes(),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let bytes = segment(&rows, 100);
        let whole = Segment::parse(&bytes).unwrap();
        let mut decoder = BlockDecoder::new().unwrap();
        let mut body = decoder.decompress(whole.frame(&bytes, 0).unwrap()).unwrap().to_vec();
        for (at, value) in byte_changes {
            let at = at.index(body.len());
            body[at] = value;
        }
        if let Some(cut) = cut {
            body.truncate(cut.index(body.len()));
        }
        let Ok(block) = Block::parse(&body) else { return Ok(()) };
        let mut writer = LineWriter::new();
        let mut used = 4 + block.len() * 34;
        prop_assert_eq!(block.rows().count(), block.len());
        for row in block.rows() {
            used += row.did.len() + row.collection.len() + row.rkey.len() + row.rev.len();
            used += row.payload.len();
            let mut line = b"kept".to_vec();
            match writer.append(&row, EventFormat::V1, &mut line) {
                Ok(_) => {
                    let line = std::str::from_utf8(&line[4..]).unwrap();
                    serde_json::from_str::<serde_json::Value>(line).unwrap();
                    skytail::event::header::parse(line.as_bytes()).unwrap();
                }
                Err(error) => {
                    prop_assert_eq!(&line[..], b"kept");
                    prop_assert_eq!(error.seq, row.seq);
                    prop_assert!(error.block_at <= body.len());
                }
            }
        }
        prop_assert_eq!(used, body.len());
    }
}

#[test]
fn claims_of_a_segment_are_compared_with_its_content() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let rows = rows(9).new_tree(&mut runner).unwrap().current();
    let sound = segment(&rows, 3);
    let parsed = Segment::parse(&sound).unwrap();
    let footer = parsed.header.footer_offset as usize;
    let filters = parsed.header.block_filters_offset as usize;
    let table = parsed.header.collection_index_offset as usize;
    // The offset, the value written there, and the offset in the error.
    for (at, value, expected) in [
        (14, &[0xff, 0xff, 0xff, 0xff][..], "more than 2^20 blocks (4294967295) at byte 14"),
        (14, &4_u32.to_le_bytes(), "the block index has another length"),
        (26, &[0xff; 8], "the lowest seq is above the highest"),
        (66, &[0; 8], "an offset lies before what must precede it (0) at byte 66"),
        (74, &[0xff; 8], "an offset lies before what must precede it"),
        (82, &[0xff; 8], "the file ends before its collection index"),
        (90, &[1; 8], "the block index is not where the footer starts"),
        (footer, &[0; 8], "a block is not where the one before ends (0)"),
        (footer + 8, &[0xff; 4], "a block reaches into the footer (4294967295)"),
        (footer + 12, &[0xff; 4], "a block of more than 1 GiB"),
        (footer + 16, &[0xff; 4], "a block of too many rows"),
        (footer + 20, &[0xff; 8], "seqs of blocks don't ascend"),
        (filters, &[9, 0, 0, 0], "DID filters for another number of blocks (9)"),
        (filters + 4, &[0xff; 4], "DID filters of another size than their room"),
        (table, &[0xff; 4], "more than 2^20 collections"),
        (table + 4, &[9, 0, 0, 0], "masks for another number of blocks (9)"),
        (table + 8, &[9, 0, 0, 0], "masks of a wrong length (9)"),
        (table + 12, &[0xff; 4], "a collection table too large (4294967295)"),
        (table + 12, &[1, 0, 0, 0], "the collection index at byte"),
        (table + 12, &[0, 0, 1, 0], "a collection table of another size"),
        (0, b"jss1", "not a segment of Jetstream"),
        (12, &[2, 0], "it is of version 2 at byte 12"),
    ] {
        let mut bytes = sound.clone();
        bytes[at..at + value.len()].copy_from_slice(value);
        reseal(&mut bytes);
        let error = Segment::parse(&bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected:?} is not in {error:?}");
        // With the old checksum it is damage, if the offsets can be parsed at all.
        bytes[4..12].copy_from_slice(&sound[4..12]);
        assert!(Segment::parse(&bytes).is_err());
    }
    let mut active = sound.clone();
    active[4..12].fill(0);
    assert!(matches!(Segment::parse(&active), Err(SegmentError::Active)));
    let mut more = sound.clone();
    more.push(0);
    assert!(matches!(Segment::parse(&more), Err(SegmentError::Checksum { .. })));
    reseal(&mut more);
    assert!(matches!(Segment::parse(&more), Err(SegmentError::Collections { .. })));
}

#[test]
fn a_block_that_differs_from_its_index_entry_is_refused() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let bytes = segment(&rows(6).new_tree(&mut runner).unwrap().current(), 3);
    let segment = Segment::parse(&bytes).unwrap();
    let mut decoder = BlockDecoder::new().unwrap();
    let swapped = segment.decode(0, segment.frame(&bytes, 1).unwrap(), &mut decoder);
    let Err(SegmentError::Block { index: 0, at: 264, source }) = swapped.map(drop) else {
        panic!("the second block was accepted as the first");
    };
    assert!(matches!(source, BlockError::Disagrees { .. }), "{source}");
}

#[test]
fn a_decompression_bomb_is_stopped_at_the_cap() {
    let mut compressor = zstd::bulk::Compressor::new(1).unwrap();
    compressor.include_checksum(true).unwrap();
    let bomb = compressor.compress(&vec![0; 8 << 20]).unwrap();
    let mut decoder = BlockDecoder::with_cap(1 << 20).unwrap();
    let outcome = decoder.decode(&bomb).map(drop);
    assert_eq!(outcome, Err(BlockError::TooLarge { max_bytes: 1 << 20 }));
}

#[test]
fn a_frame_without_a_checksum_is_refused() {
    let frame = zstd::bulk::compress(&[0; 4], 1).unwrap();
    let outcome = BlockDecoder::new().unwrap().decode(&frame).map(drop);
    assert_eq!(outcome, Err(BlockError::NoChecksum));
}

#[test]
fn malformed_blocks_and_records_are_refused_and_an_empty_block_is_not() {
    let huge_count = [0xff, 0xff, 0xff, 0xff, 0];
    let error = Block::parse(&huge_count).unwrap_err();
    assert!(matches!(error, BlockError::Malformed { value: 0xffff_ffff, at: 0, .. }), "{error}");
    assert!(Block::parse(&[0; 4]).unwrap().is_empty());
    let magic = [0x28, 0xb5, 0x2f, 0xfd];
    assert!(BlockDecoder::new().unwrap().decode(&magic).is_err());
    let record = b"\xa2\xa00a1\xfb00000000";
    let mut transcoder = skytail::archive::transcode::Transcoder::new();
    assert!(transcoder.append(record, &mut Vec::new()).is_err());
}
