//! The functions that every event passes through, each measured alone.
//!
//! ```sh
//! cargo bench --bench parts
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::hint::black_box;
use std::sync::Arc;

use divan::counter::{BytesCount, ItemsCount};
use divan::{AllocProfiler, Bencher};

use skytail::archive::block::BlockDecoder;
use skytail::archive::error::RowError;
use skytail::archive::segment::Segment;
use skytail::archive::write::SegmentWriter;
use skytail::archive::write::convert::RowBuf;
use skytail::checkpoint::Checkpoint;
use skytail::checkpoint::store::Store;
use skytail::compression::inflate::Inflater;
use skytail::event::batch::Batch;
use skytail::event::event_id::{EventIdHasher, EventIdKey};
use skytail::event::format::EventFormat;
use skytail::event::header;
use skytail::event::v2;
use skytail::filter::Filter;
use skytail::position::dedup_window::DedupWindow;
use skytail::position::{EventPosition, Origin, Position, Resume, Seq, ServerKind, TimeUs};
use skytail::serve::demo;
use skytail::sink::Sink;
use skytail::sink::stdout::Stdout;
use skytail::source::archive::decode::{
    BlockSink, DecodedLines, DecoderPool, RowDecoder, RowFilter,
};
use skytail::source::websocket::frame::{FrameBuffer, Message};

/// Counts allocations as well.
#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

const EVENTS: usize = 5_000;

fn main() {
    divan::main();
}

fn lines() -> Vec<Vec<u8>> {
    let recording = demo::recording(7, EVENTS, 1_780_000_000_000_000);
    recording.lines().map(<[u8]>::to_vec).collect()
}

fn of_all<'a, 'b>(bencher: Bencher<'a, 'b>, lines: &[Vec<u8>]) -> Bencher<'a, 'b> {
    bencher
        .counter(ItemsCount::new(lines.len()))
        .counter(BytesCount::new(lines.iter().map(Vec::len).sum::<usize>()))
}

/// The places of the header fields and the structural check, in one pass.
#[divan::bench]
fn header(bencher: Bencher<'_, '_>) {
    let lines = lines();
    of_all(bencher, &lines).bench_local(|| {
        for line in &lines {
            black_box(header::parse_spans(line).unwrap());
        }
    });
}

/// The header of a line whose fields are known, as a filter needs it.
#[divan::bench]
fn header_of_spans(bencher: Bencher<'_, '_>) {
    let lines = lines();
    let spans: Vec<_> = lines.iter().map(|line| header::parse_spans(line).unwrap()).collect();
    of_all(bencher, &lines).bench_local(|| {
        for (spans, line) in spans.iter().zip(&lines) {
            black_box(spans.header(line));
        }
    });
}

/// Returns the v2 message of a v1 line.
fn v2_message(line: &[u8]) -> Vec<u8> {
    let event: serde_json::Value = serde_json::from_slice(line).unwrap();
    let kind = event["kind"].as_str().unwrap();
    let mut payload = match kind {
        "commit" => event[kind].clone(),
        _ => serde_json::json!({ kind: event[kind] }),
    };
    let time = jiff::Timestamp::from_microsecond(event["time_us"].as_i64().unwrap()).unwrap();
    payload["$type"] = format!("network.bsky.jetstream.subscribeEvents#{kind}").into();
    payload["did"] = event["did"].clone();
    payload["seq"] = 7_000_000.into();
    payload["time"] = format!("{time:.6}").into();
    serde_json::json!({"$type": "message", "payload": payload}).to_string().into_bytes()
}

/// From a v2 message to its line and its event id: with the header fields that the decoder keeps,
/// and with a second parse.
#[divan::bench(args = [(EventFormat::V1, true), (EventFormat::V1, false),
    (EventFormat::Native, true), (EventFormat::Native, false)])]
fn v2_to_id(bencher: Bencher<'_, '_>, (format, has_sidecar): (EventFormat, bool)) {
    let messages: Vec<_> = lines().iter().map(|line| v2_message(line)).collect();
    let mut identities = EventIdHasher::new(EventIdKey::new(1));
    let mut reader = v2::EventReader::default();
    let mut line = Vec::new();
    of_all(bencher, &messages).bench_local(|| {
        for message in &messages {
            let event = reader.read(message).expect("an event");
            line.clear();
            let spans = match format {
                EventFormat::V1 => event.write_v1_line(&mut line),
                EventFormat::Native => {
                    line.extend_from_slice(event.native_line());
                    event.native_spans()
                }
            };
            let spans = if has_sidecar { spans } else { format.parse_spans(&line).unwrap() };
            black_box(identities.of_line(&spans, &line));
        }
    });
}

/// The whole grammar, as `--strict` checks it.
#[divan::bench]
fn strict(bencher: Bencher<'_, '_>) {
    let lines = lines();
    of_all(bencher, &lines).bench_local(|| {
        for line in &lines {
            black_box(serde_json::from_slice::<serde::de::IgnoredAny>(line).unwrap());
        }
    });
}

/// A tree of each event, which skytail never builds.
#[divan::bench]
fn tree(bencher: Bencher<'_, '_>) {
    let lines = lines();
    of_all(bencher, &lines).bench_local(|| {
        for line in &lines {
            black_box(serde_json::from_slice::<serde_json::Value>(line).unwrap());
        }
    });
}

#[divan::bench(args = [1, 100])]
fn collections(bencher: Bencher<'_, '_>, patterns: usize) {
    let lines = lines();
    let headers: Vec<_> = lines.iter().map(|line| header::parse(line).unwrap()).collect();
    let mut filter = Filter::default();
    for i in 1..patterns {
        filter.collections.add(&format!("com.example.c{i}")).unwrap();
    }
    filter.collections.add("app.bsky.graph.*").unwrap();
    of_all(bencher, &lines)
        .bench_local(|| headers.iter().filter(|header| filter.wants(header, 500)).count());
}

#[divan::bench(args = [1, 10_000])]
fn dids(bencher: Bencher<'_, '_>, dids: usize) {
    let lines = lines();
    let headers: Vec<_> = lines.iter().map(|line| header::parse(line).unwrap()).collect();
    let dids = (0..dids).map(|i| format!("did:plc:{i:024}")).collect();
    let filter = Filter { dids, ..Filter::default() };
    of_all(bencher, &lines)
        .bench_local(|| headers.iter().filter(|header| filter.wants(header, 500)).count());
}

#[divan::bench]
fn identity(bencher: Bencher<'_, '_>) {
    let lines = lines();
    let spans: Vec<_> = lines.iter().map(|line| header::parse_spans(line).unwrap()).collect();
    let mut identities = EventIdHasher::new(EventIdKey::new(1));
    of_all(bencher, &lines).bench_local(|| {
        for (spans, line) in spans.iter().zip(&lines) {
            black_box(identities.of_line(spans, line));
        }
    });
}

/// A full window: every event is looked up and added, and evicts an old one.
#[divan::bench]
fn window(bencher: Bencher<'_, '_>) {
    let mut window = DedupWindow::new(u64::MAX);
    let mut next = 0_u64;
    let mut some = move |count: u64| {
        for _ in 0..count {
            next += 1;
            let mark = EventPosition { time: TimeUs(next * 500), seq: Some(Seq(next)) };
            let identity = next.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            assert!(!window.contains(identity));
            window.advance(mark);
            window.insert(identity);
            window.settle(None);
        }
    };
    some(200_000);
    bencher.counter(ItemsCount::new(EVENTS)).bench_local(|| some(EVENTS as u64));
}

/// Frames into a batch, as the reader does it.
#[divan::bench]
fn frames(bencher: Bencher<'_, '_>) {
    let lines = lines();
    let mut wire = Vec::new();
    for line in &lines {
        wire.extend_from_slice(&[0x81, 126]);
        wire.extend_from_slice(&(line.len() as u16).to_be_bytes());
        wire.extend_from_slice(line);
    }
    let mut batch = Batch::with_capacity(wire.len() + lines.len());
    let mut buffer = FrameBuffer::new(1 << 24, &[]);
    of_all(bencher, &lines).bench_local(|| {
        batch.reset(usize::MAX);
        let mut rest = &wire[..];
        while !rest.is_empty() {
            let space = buffer.unfilled();
            let count = space.len().min(rest.len());
            space[..count].copy_from_slice(&rest[..count]);
            buffer.advance(count);
            rest = &rest[count..];
            while let Some(message) = buffer.next().unwrap() {
                if let Message::Text(line) = message {
                    batch.push(line);
                }
            }
        }
        assert_eq!(batch.len(), lines.len());
    });
}

fn compressed(lines: &[Vec<u8>]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let dictionary = zstd::dict::from_samples(lines, 64 * 1024).unwrap();
    let mut compressor = zstd::bulk::Compressor::with_dictionary(1, &dictionary).unwrap();
    let packed = lines.iter().map(|line| compressor.compress(line).unwrap()).collect();
    (dictionary, packed)
}

#[divan::bench]
fn inflate(bencher: Bencher<'_, '_>) {
    let lines = lines();
    let (dictionary, packed) = compressed(&lines);
    let mut inflater = Inflater::new(&dictionary).unwrap();
    let mut out = Vec::with_capacity(1 << 20);
    of_all(bencher, &lines).bench_local(|| {
        for frame in &packed {
            out.clear();
            inflater.append(frame, &mut out, 1 << 24).unwrap();
        }
    });
}

/// The same with libzstd's simplest call.
#[divan::bench]
fn inflate_floor(bencher: Bencher<'_, '_>) {
    let lines = lines();
    let (dictionary, packed) = compressed(&lines);
    let mut decompressor = zstd::bulk::Decompressor::with_dictionary(&dictionary).unwrap();
    let mut out = Vec::with_capacity(1 << 20);
    of_all(bencher, &lines).bench_local(|| {
        for frame in &packed {
            out.clear();
            decompressor.decompress_to_buffer(frame, &mut out).unwrap();
        }
    });
}

/// One save, with as many dedup keys as five seconds of the network bring, and with the maximum.
#[divan::bench(args = [0, 10_000, 65_536])]
fn checkpoint(bencher: Bencher<'_, '_>, identities: u64) {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Store::open(&directory.path().join("state.db")).unwrap();
    let mark = EventPosition { time: TimeUs(1_780_000_000_000_000), seq: Some(Seq(1)) };
    let server = Arc::from("wss://jetstream.example.com");
    let position = Position {
        origin: Origin { server, kind: ServerKind::V2, filter_fingerprint: 1 },
        newest: mark,
        rewind_to: mark,
        max_time: mark.time,
    };
    let resume = Resume { position, identities: (0..identities).collect() };
    let mut sink = Sink::Stdout(Stdout::open().unwrap());
    bencher.bench_local(|| {
        let delivered = sink.checkpoint(|| None).unwrap();
        let checkpoint = Checkpoint::new(delivered, resume.clone());
        store.save("bench", &checkpoint, TimeUs(1)).unwrap();
    });
}

/// A segment of the archive, in blocks as large as real ones.
fn segment() -> (Vec<u8>, Segment) {
    let recording = demo::recording(7, 32_768, 1_780_000_000_000_000);
    let mut writer = SegmentWriter::new(4_096).unwrap();
    for line in recording.lines() {
        writer.push(&RowBuf::from_line(line, None).unwrap().as_row()).unwrap();
    }
    let bytes = writer.seal().unwrap();
    let segment = Segment::parse(&bytes).unwrap();
    (bytes, segment)
}

/// Counts bytes.
#[derive(Default)]
struct Count(usize);

impl BlockSink for Count {
    fn start(&mut self, _: u64, _: u64) -> bool {
        true
    }

    fn lines(&mut self, lines: DecodedLines) -> bool {
        self.0 += black_box(lines.batch.buffered_bytes());
        true
    }

    fn row_error(&mut self, error: &RowError) {
        panic!("{error}");
    }
}

/// Decodes every `threads`-th block from `first` on into lines, and returns their size in bytes.
fn decode(
    bytes: &[u8],
    segment: &Segment,
    decoder: &mut RowDecoder,
    first: usize,
    threads: usize,
) -> usize {
    let filter = RowFilter {
        filter: Filter::default(),
        shape: EventFormat::V1,
        after: 0,
        up_to: u64::MAX,
        since: None,
    };
    let bounds = (segment.header.min_seq, segment.header.max_seq);
    let mut count = Count::default();
    for block in (first..segment.blocks.len()).step_by(threads) {
        let frame = segment.frame(bytes, block).unwrap();
        decoder.decode(frame, segment.blocks.get(block), bounds, &filter, &mut count).unwrap();
    }
    count.0
}

/// Blocks of the archive into lines, on one core and on two. Bytes are those of the lines.
#[divan::bench(args = [1, 2])]
fn archive(bencher: Bencher<'_, '_>, threads: usize) {
    let (bytes, segment) = segment();
    let pool = DecoderPool::default();
    let mut all: Vec<RowDecoder> = (0..threads).map(|_| pool.acquire().unwrap()).collect();
    let out_bytes = decode(&bytes, &segment, &mut all[0], 0, 1);
    let bencher = bencher
        .counter(ItemsCount::new(segment.header.event_count))
        .counter(BytesCount::new(out_bytes));
    bencher.bench_local(|| {
        std::thread::scope(|scope| {
            for (first, decoder) in all.iter_mut().enumerate() {
                let (bytes, segment) = (&bytes, &segment);
                scope.spawn(move || decode(bytes, segment, decoder, first, threads));
            }
        });
    });
}

/// The floor of that: zstd alone, on the same blocks.
#[divan::bench]
fn archive_floor(bencher: Bencher<'_, '_>) {
    let (bytes, segment) = segment();
    let mut decoder = BlockDecoder::new().unwrap();
    let frames: Vec<&[u8]> =
        (0..segment.blocks.len()).map(|block| segment.frame(&bytes, block).unwrap()).collect();
    bencher.counter(ItemsCount::new(segment.header.event_count)).bench_local(|| {
        for frame in &frames {
            black_box(decoder.decompress(frame).unwrap());
        }
    });
}
