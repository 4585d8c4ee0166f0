//! Tests of the sidecar: no stage parses an event that an earlier one has parsed.

use super::*;
use crate::event::event_id::{EventIdKey, EventIdSecrets};
use crate::event::header;
use crate::event::header_spans::HeaderSpans;
use crate::filter::Filter;
use crate::position::{EventPosition, Origin, Seq, ServerKind};
use crate::settings::OnGap;

/// A time at which every server existed.
const T0: u64 = 1_783_000_000_000_000;

fn processor() -> EventProcessor {
    let config = ProcessorConfig {
        filter: Arc::new(Filter::default()),
        strict: false,
        limit: None,
        until: None,
        until_margin_us: REORDER_US,
        live_at: None,
        rewind_us: 1_000_000,
        secrets: EventIdSecrets { key: EventIdKey::new(1), legacy_seed: None },
        on_gap: OnGap::Warn,
        period_us: None,
    };
    EventProcessor::new(config, &StartPosition::Live, Arc::default())
}

fn connection(requested: RequestedCursor) -> Arc<ConnectionInfo> {
    let server = "a.example".into();
    let origin = Origin { server, kind: ServerKind::V2, filter_fingerprint: 1 };
    Arc::new(ConnectionInfo::v1(1, origin, requested))
}

fn line(seq: u64) -> String {
    format!(r#"{{"did":"d","time_us":{},"cursor":{seq},"kind":"new"}}"#, T0 + seq)
}

fn spans(line: &str) -> Option<HeaderSpans> {
    header::parse_spans(line.as_bytes()).ok()
}

/// Returns a batch of lines that a second parse would reject, with the fields of sound ones.
fn parsed_batch(seqs: std::ops::RangeInclusive<u64>) -> Batch {
    let mut batch = Batch::default();
    for seq in seqs {
        batch.push_with(b"no event", spans(&line(seq)));
    }
    batch
}

#[test]
fn an_event_with_an_entry_of_the_sidecar_is_not_parsed_again() {
    let (mut processor, live) = (processor(), connection(RequestedCursor::Live));
    let staged = processor.process(parsed_batch(1..=6), &live, TimeUs(T0));
    assert_eq!(staged.lines().len(), 6);
    // A partial write: the position of the accepted lines comes from their entries, too.
    let bytes = "no event\n".len() * 2 + 3;
    let lines = processor.rollback(staged, Delivery::Bytes(bytes));
    assert_eq!(processor.position().unwrap().newest.seq.unwrap().0, 2);
    assert_eq!(lines.header(5), spans(&line(6)));
}

#[test]
fn a_surplus_is_removed_by_the_entries_of_the_sidecar() {
    let instant = RequestedCursor::Instant(TimeUs(T0 + 3));
    let mut processor = processor();
    let staged = processor.process(parsed_batch(1..=6), &connection(instant), TimeUs(T0));
    assert_eq!(staged.lines().header(0), spans(&line(3)));
    assert_eq!(staged.lines().len(), 4);
    let _ = processor.commit(staged, Delivery::Bytes(0));
}

#[test]
fn the_stage_fills_the_entry_of_each_event_that_it_emits() {
    let (mut processor, live) = (processor(), connection(RequestedCursor::Live));
    let mut batch = Batch::default();
    for text in [&*line(1), "no event", &*line(1), &*line(2)] {
        batch.push(text.as_bytes());
    }
    let staged = processor.process(batch, &live, TimeUs(T0));
    let headers = [0, 1, 2].map(|i| staged.lines().header(i));
    assert_eq!(headers, [spans(&line(1)), spans(&line(2)), None]);
    let _ = processor.commit(staged, Delivery::Bytes(0));
}

#[test]
fn a_watermark_of_the_archive_takes_the_position_of_the_live_stream_not_back() {
    let (mut processor, live) = (processor(), connection(RequestedCursor::Live));
    let staged = processor.process(parsed_batch(1..=20), &live, TimeUs(T0));
    let _ = processor.commit(staged, Delivery::Bytes(0));
    let archive = Origin { filter_fingerprint: 2, ..live.origin.clone() };
    let archive = Arc::new(ConnectionInfo::v1(2, archive, RequestedCursor::Archive));
    let mut newest_after = |seq| {
        let through = EventPosition { time: TimeUs(T0 + seq), seq: Some(Seq(seq)) };
        processor.advance_watermark(&archive, through, TimeUs(T0 + 100));
        let position = processor.position().unwrap();
        (position.newest.seq.unwrap().0, position.origin.filter_fingerprint)
    };
    assert_eq!([10, 20, 21].map(&mut newest_after), [(20, 1), (20, 1), (21, 2)]);
}
