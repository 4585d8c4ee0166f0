//! The archive: a server of sealed segments, and the comparison with libzstd.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use skytail::archive::name::segment_name;
use skytail::archive::segment::Segment;
use skytail::archive::write::convert::RowBuf;
use skytail::archive::write::{BLOCK_EVENTS, SegmentWriter};

use super::compare::Bench;
use super::corpus::lines;
use super::measure::{self, Output, ResourceUsage};
use super::report::{Report, median, ratio};
use super::server;

/// The size from which on the real servers seal a segment.
const SEGMENT_BYTES: usize = 256 << 20;

/// Sealed segments in memory.
struct Archive {
    segments: Vec<(Segment, Vec<u8>)>,
}

impl Archive {
    fn new(events: usize) -> Self {
        let (mut segments, mut left) = (Vec::new(), events);
        let writer = || SegmentWriter::new(BLOCK_EVENTS).expect("memory for zstd");
        let mut open = writer();
        lines(events, |line| {
            let row = RowBuf::from_line(line, None).expect("a sound event");
            open.push(&row.as_row()).expect("rows in order");
            left -= 1;
            if left == 0 || open.bytes() >= SEGMENT_BYTES {
                let bytes = std::mem::replace(&mut open, writer()).seal().expect("a segment");
                segments.push((Segment::parse(&bytes).expect("as it was written"), bytes));
            }
        });
        Self { segments }
    }

    fn bytes(&self) -> usize {
        self.segments.iter().map(|(_, bytes)| bytes.len()).sum()
    }

    /// Decompresses each block and copies it once: what any reader of an archive must do.
    fn floor(&self) -> ResourceUsage {
        let mut decompressor = zstd::bulk::Decompressor::new().expect("memory for zstd");
        let (mut body, mut copy) = (Vec::with_capacity(64 << 20), Vec::new());
        let began = Instant::now();
        for (segment, bytes) in &self.segments {
            for block in 0..segment.blocks.len() {
                let frame = segment.frame(bytes, block).expect("a block");
                body.clear();
                decompressor.decompress_to_buffer(frame, &mut body).expect("a sound frame");
                copy.clear();
                copy.extend_from_slice(std::hint::black_box(&body));
                std::hint::black_box(&copy);
            }
        }
        let wall_us = began.elapsed().as_micros() as u64;
        // It never waits.
        ResourceUsage { wall_us, cpu_us: wall_us, peak_rss_kib: 0, succeeded: true }
    }

    fn plan(&self) -> String {
        let tip = self.segments.last().map_or(0, |(segment, _)| segment.header.max_seq);
        let segments = self.segments.iter().enumerate().map(|(index, (segment, _))| {
            let header = &segment.header;
            serde_json::json!({
                "name": segment_name(index as u64),
                "index": index,
                "checksum": header.checksum_text(),
                "minSeq": header.min_seq,
                "maxSeq": header.max_seq,
                "mode": "segment",
            })
        });
        let segments: Vec<_> = segments.collect();
        serde_json::json!({
            "plannedThroughSeq": tip,
            "sealedTipSeq": tip,
            "segments": segments,
        })
        .to_string()
    }

    /// Answers the requests of one connection.
    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        stream.set_nodelay(true).ok()?;
        loop {
            let head = server::read_head(&mut stream)?;
            let length = header(&head, "content-length").and_then(|text| text.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            std::io::Read::read_exact(&mut stream, &mut body).ok()?;
            let target = head.split(' ').nth(1)?;
            if target.ends_with("planSnapshot") {
                let plan = self.plan();
                let bytes = plan.len();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                     Content-Length: {bytes}\r\n\r\n{plan}"
                );
                stream.write_all(answer.as_bytes()).ok()?;
            } else if let Some((_, name)) = target.split_once("getSegment?name=") {
                self.send_range(&mut stream, name, &head)?;
            } else {
                stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").ok()?;
            }
        }
    }

    fn send_range(&self, stream: &mut TcpStream, name: &str, head: &str) -> Option<()> {
        let (segment, bytes) =
            self.segments.get(skytail::archive::name::segment_index(name)? as usize)?;
        let (start, end) = header(head, "range")?.strip_prefix("bytes=")?.split_once('-')?;
        let (start, end) = (start.parse::<usize>().ok()?, end.parse::<usize>().ok()?);
        let end = end.min(bytes.len() - 1);
        let (length, all) = (end + 1 - start, bytes.len());
        let etag = segment.header.checksum_text();
        let answer = format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {start}-{end}/{all}\r\n\
             Content-Length: {length}\r\nETag: \"{etag}\"\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).ok()?;
        stream.write_all(&bytes[start..=end]).ok()
    }
}

fn header<'a>(head: &'a str, wanted: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case(wanted).then(|| value.trim())
    })
}

/// Accepts connections as long as the process lives.
fn listen(archive: Arc<Archive>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen on this machine");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let archive = Arc::clone(&archive);
            std::thread::spawn(move || archive.serve(stream));
        }
    });
    address
}

impl Bench {
    /// The whole archive, from a server on the same cores.
    pub fn archive(&self, report: &mut Report) {
        let events = self.arguments.archive_events;
        let archive = Arc::new(Archive::new(events));
        let mib = archive.bytes() as f64 / f64::from(1 << 20);
        report.figure("archive, size", mib, "MiB", None);
        let host = listen(Arc::clone(&archive)).to_string();
        let count = events.to_string();
        let flags = ["--protocol", "v2", "--cursor", "oldest", "-n", &count];
        let run = || measure::run(&self.skytail("", &host, &flags), Output::Null);
        let rounds =
            self.rounds(self.arguments.rounds, vec![Box::new(|| archive.floor()), Box::new(run)]);
        report.compare("archive", &["libzstd and a copy", "skytail"], &rounds);
        let cpu = ratio(&rounds, 1, 0, |took| took.cpu_us as f64);
        report.figure("archive, CPU beside libzstd and a copy", cpu, "×", None);
        let of = |what: fn(&ResourceUsage) -> u64| {
            median(rounds.iter().map(|round| what(&round[1]) as f64))
        };
        let cpu_us = of(|took| took.cpu_us) / events as f64;
        report.figure("archive, CPU an event", cpu_us, "µs", Some(1.2));
        let wall_us = of(|took| took.wall_us) / events as f64;
        report.figure("archive, wall an event (0.667 is 1.5 M/s)", wall_us, "µs", Some(0.667));
        let rss = of(|took| took.peak_rss_kib) / 1024.0;
        report.figure("archive, peak memory", rss, "MiB", Some(64.0));
    }
}
