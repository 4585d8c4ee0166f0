//! Generated rows, written to a segment and read back.

use proptest::prelude::*;
use serde_json::json;

use skytail::archive::block::BlockDecoder;
use skytail::archive::line::LineWriter;
use skytail::archive::row::RowKind;
use skytail::archive::segment::Segment;
use skytail::archive::write::convert::{RowBuf, record_to_cbor};
use skytail::archive::write::{SegmentWriter, WriteError};
use skytail::event::format::EventFormat;
use skytail::position::Seq;

/// Generates a row of any kind.
pub fn row() -> impl Strategy<Value = RowBuf> {
    let kinds = prop::sample::select(vec![
        RowKind::Create,
        RowKind::Update,
        RowKind::Delete,
        RowKind::Identity,
        RowKind::Account,
        RowKind::Sync,
        RowKind::Resync,
    ]);
    let times = (0..2_000_000_000_000_000_i64, prop_oneof![Just(0), 1..99_i64]);
    let names = (
        0..9_u32,
        prop::sample::select(vec!["app.bsky.feed.post", "app.bsky.feed.like", "größe.ünd.x", ""]),
    );
    (kinds, times, names, "[a-z0-9:é]{0,30}", any::<i64>(), ".{0,60}").prop_map(
        |(kind, (witnessed_at_us, indexed_at_us), (did, collection), rkey, n, text)| {
            let is_commit = kind.operation().is_some();
            let did = format!("did:plc:{did}");
            let value = json!({"did": did, "text": text, "n": n, "a": [n, null, {"b": text}]});
            let payload = match kind {
                RowKind::Delete => Vec::new(),
                _ => record_to_cbor(value.to_string().as_bytes()).unwrap().0,
            };
            let of_commit = |text: &str| if is_commit { text.to_owned() } else { String::new() };
            RowBuf {
                seq: Seq(1),
                witnessed_at_us,
                indexed_at_us,
                kind,
                did,
                collection: of_commit(collection),
                rkey: of_commit(&rkey),
                rev: of_commit("3mptbypluud2a"),
                payload,
            }
        },
    )
}

/// Generates rows with ascending seqs and gaps between them.
pub fn rows(count: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<RowBuf>> {
    prop::collection::vec((row(), 1..5_u64), count).prop_map(|rows| {
        let mut last = 0;
        let number = |(mut row, step): (RowBuf, u64)| {
            last += step;
            row.seq = Seq(last);
            row
        };
        rows.into_iter().map(number).collect()
    })
}

/// Returns the sealed segment of some rows.
pub fn segment(rows: &[RowBuf], block_events: usize) -> Vec<u8> {
    let mut writer = SegmentWriter::new(block_events).unwrap();
    rows.iter().for_each(|row| writer.push(&row.as_row()).unwrap());
    writer.seal().unwrap()
}

/// Returns the rows of each block, or `None` for a block that can't be decoded.
pub fn blocks(segment: &Segment, bytes: &[u8]) -> Vec<Option<Vec<RowBuf>>> {
    let mut decoder = BlockDecoder::new().unwrap();
    let decode = |i| {
        let block = segment.decode(i, segment.frame(bytes, i)?, &mut decoder).ok()?;
        Some(block.rows().map(|row| RowBuf::from(&row)).collect())
    };
    (0..segment.blocks.len()).map(decode).collect()
}

/// Returns the lines of some rows.
pub fn lines(rows: &[RowBuf], shape: EventFormat) -> Vec<String> {
    let mut writer = LineWriter::new();
    let line = |row: &RowBuf| {
        let mut line = Vec::new();
        writer.append(&row.as_row(), shape, &mut line).unwrap();
        String::from_utf8(line).unwrap()
    };
    rows.iter().map(line).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_written_segment_reads_back(rows in rows(1..60), block_events in 1..20_usize) {
        let bytes = segment(&rows, block_events);
        let segment = Segment::parse(&bytes).unwrap();
        let read: Vec<RowBuf> = blocks(&segment, &bytes).into_iter().flatten().flatten().collect();
        prop_assert_eq!(&read, &rows);

        let header = &segment.header;
        prop_assert_eq!(header.event_count as usize, rows.len());
        prop_assert_eq!(segment.blocks.len(), rows.len().div_ceil(block_events));
        prop_assert_eq!(header.min_seq, rows[0].seq.0);
        prop_assert_eq!(header.max_seq, rows.last().unwrap().seq.0);
        prop_assert_eq!(header.min_witnessed_at_us, rows.iter().map(|r| r.witnessed_at_us).min().unwrap());
        for (i, chunk) in rows.chunks(block_events).enumerate() {
            let name = |row: &RowBuf| row.kind.sentinel().unwrap_or(&row.collection).to_owned();
            let mut wanted: Vec<String> = chunk.iter().map(name).collect();
            let mut found: Vec<String> =
                segment.collections.of_block(i).map(|c| c.name.clone()).collect();
            wanted.sort();
            wanted.dedup();
            found.sort();
            prop_assert_eq!(found, wanted);
        }
        for collection in segment.collections.all() {
            let count = rows.iter().filter(|row| {
                row.kind.sentinel().is_none() && row.collection == collection.name
            });
            prop_assert_eq!(collection.event_count as usize, count.count());
        }
    }

    #[test]
    fn a_row_survives_a_round_trip_through_its_line(rows in rows(1..20)) {
        for (row, line) in rows.iter().zip(lines(&rows, EventFormat::V1)) {
            let header = skytail::event::header::parse(line.as_bytes()).unwrap();
            prop_assert_eq!(header.cursor, Some(row.seq.0));
            prop_assert_eq!(&*header.kind_text, row.kind.as_str());
            serde_json::from_str::<serde_json::Value>(&line).unwrap();
            let back = RowBuf::from_line(line.as_bytes(), None).unwrap();
            let mut expected = row.clone();
            // A line has one time, and does not show a resync.
            expected.witnessed_at_us = row.as_row().display_time_us();
            expected.indexed_at_us = 0;
            if row.kind == RowKind::Resync {
                expected.kind = RowKind::Create;
            }
            prop_assert_eq!(back, expected);
        }
    }
}

#[test]
fn rows_out_of_order_or_too_long_are_not_written() {
    let line = br#"{"did":"did:plc:a","time_us":5,"cursor":7,"kind":"commit","commit":{"rev":"r","operation":"delete","collection":"a.b.c","rkey":"k"}}"#;
    let row = RowBuf::from_line(line, None).unwrap();
    let mut writer = SegmentWriter::new(10).unwrap();
    writer.push(&row.as_row()).unwrap();
    assert!(matches!(writer.push(&row.as_row()), Err(WriteError::SeqOrder { seq: 7, last: 7 })));
    let mut long = RowBuf { seq: Seq(8), rkey: "x".repeat(256), ..row.clone() };
    let refused = writer.push(&long.as_row());
    assert!(matches!(refused, Err(WriteError::TooLong { what: "rkey", bytes: 256, .. })));
    long.rkey.pop();
    writer.push(&long.as_row()).unwrap();
    let bytes = writer.seal().unwrap();
    let read: Vec<_> = blocks(&Segment::parse(&bytes).unwrap(), &bytes).concat_all();
    assert_eq!(read, [row, long]);
}

#[test]
fn a_segment_without_rows_is_valid() {
    let bytes = SegmentWriter::new(10).unwrap().seal().unwrap();
    let segment = Segment::parse(&bytes).unwrap();
    let header = &segment.header;
    assert_eq!((header.event_count, header.min_seq, header.max_seq), (0, 0, 0));
    assert_eq!((header.min_witnessed_at_us, header.max_witnessed_at_us), (0, 0));
    assert_eq!((segment.blocks.len(), segment.collections.all().len()), (0, 0));
}

/// Flattens the blocks, all of which must have been decoded.
pub trait ConcatAll {
    fn concat_all(self) -> Vec<RowBuf>;
}

impl ConcatAll for Vec<Option<Vec<RowBuf>>> {
    fn concat_all(self) -> Vec<RowBuf> {
        self.into_iter().flat_map(|block| block.expect("the block does not decode")).collect()
    }
}
