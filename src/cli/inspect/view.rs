//! Formats a segment or a block as a page for people and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use super::check::Damage;

use crate::archive::block::Block;
use crate::archive::entry::BlockEntry;
use crate::archive::segment::Segment;
use crate::display::table::Table;
use crate::display::units::{bytes, count, counted};
use crate::position::TimeUs;

/// The end of `skytail inspect --help`. The keys of `--json` are part of the interface.
pub const JSON_KEYS: &str = "\
inspect first checks the header, the footer and their checksum. Then it
decompresses each block, compares it with the index, and reads each row. It
reports damage on stderr, and exits with code 1. --events stops at the first
damaged block.

Keys of --json (*_us are Unix microseconds):
  size_bytes, checksum, event_count, unique_did_count, min_seq, max_seq,
  min_witnessed_us, max_witnessed_us, unreadable_rows,
  blocks [{offset, frame_bytes, body_bytes, event_count, min_seq, max_seq,
  min_witnessed_us, max_witnessed_us, collections, damage (null if sound)}],
  collections [{name, event_count, block_count}]
and for a single block: frame_bytes, body_bytes, event_count, min_seq, max_seq,
  unreadable_rows";

/// The columns of the table of blocks that a narrow screen loses: DECOMPRESSED, OFFSET and WITNESSED
/// FROM.
const DISPENSABLE: [usize; 3] = [3, 1, 6];

#[derive(Serialize)]
struct SegmentJson<'a> {
    size_bytes: u64,
    checksum: String,
    event_count: u32,
    unique_did_count: u32,
    min_seq: u64,
    max_seq: u64,
    min_witnessed_us: i64,
    max_witnessed_us: i64,
    unreadable_rows: u64,
    blocks: Vec<BlockJson<'a>>,
    collections: Vec<CollectionJson<'a>>,
}

#[derive(Serialize)]
struct BlockJson<'a> {
    offset: u64,
    frame_bytes: u32,
    body_bytes: u32,
    event_count: u32,
    min_seq: u64,
    max_seq: u64,
    min_witnessed_us: i64,
    max_witnessed_us: i64,
    collections: Vec<&'a str>,
    damage: Option<&'a str>,
}

#[derive(Serialize)]
struct CollectionJson<'a> {
    name: &'a str,
    event_count: u32,
    block_count: usize,
}

/// Returns one JSON object and a line feed.
pub fn json(segment: &Segment, damage: &Damage) -> serde_json::Result<String> {
    let Segment { header, blocks, collections, file_bytes } = segment;
    let block = |(i, block): (usize, &BlockEntry)| BlockJson {
        offset: block.offset,
        frame_bytes: block.frame_bytes,
        body_bytes: block.body_bytes,
        event_count: block.event_count,
        min_seq: block.min_seq,
        max_seq: block.max_seq,
        min_witnessed_us: block.min_witnessed_at_us,
        max_witnessed_us: block.max_witnessed_at_us,
        collections: collections.of_block(i).map(|collection| &*collection.name).collect(),
        damage: damage.blocks.get(&i).map(String::as_str),
    };
    let json = SegmentJson {
        size_bytes: *file_bytes,
        checksum: header.checksum_text(),
        event_count: header.event_count,
        unique_did_count: header.unique_did_count,
        min_seq: header.min_seq,
        max_seq: header.max_seq,
        min_witnessed_us: header.min_witnessed_at_us,
        max_witnessed_us: header.max_witnessed_at_us,
        unreadable_rows: damage.rows,
        blocks: blocks.iter().enumerate().map(block).collect(),
        collections: (0..)
            .zip(collections.all())
            .map(|(i, collection)| CollectionJson {
                name: &collection.name,
                event_count: collection.event_count,
                block_count: block_count(segment, i),
            })
            .collect(),
    };
    serde_json::to_string(&json).map(|text| text + "\n")
}

/// Returns the number of blocks that the collection with this index occurs in.
fn block_count(segment: &Segment, collection: usize) -> usize {
    (0..segment.blocks.len()).filter(|&i| segment.collections.occurs(collection, i)).count()
}

/// Returns the page; `columns` is the width of the terminal, `None` for programs.
pub fn text(segment: &Segment, damage: &Damage, columns: Option<usize>) -> String {
    let Segment { header, blocks, collections, file_bytes } = segment;
    let frames: u64 = blocks.iter().map(|block| u64::from(block.frame_bytes)).sum();
    let bodies: u64 = blocks.iter().map(|block| u64::from(block.body_bytes)).sum();
    let in_blocks: u64 = blocks.iter().map(|block| u64::from(block.event_count)).sum();
    let mut page = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(page, "{name:<12} {value}");
    };
    line("size", format!("{} ({} bytes)", bytes(*file_bytes), count(*file_bytes)));
    line("checksum", format!("{} of header and footer (correct)", header.checksum_text()));
    // A server seals segments without events, with 0 for each bound.
    if header.max_seq == 0 {
        line("seqs", "none (an empty segment)".into());
    } else {
        line("seqs", format!("{} to {}", header.min_seq, header.max_seq));
        line("witnessed", span(header.min_witnessed_at_us, header.max_witnessed_at_us));
    }
    line(
        "events",
        match u64::from(header.event_count) {
            events if events == in_blocks => count(events),
            events => {
                format!("{} in the header, {} in the blocks", count(events), count(in_blocks))
            }
        },
    );
    line("accounts", count(header.unique_did_count.into()));
    line(
        "blocks",
        format!(
            "{}: {}, decompressed {}",
            count(blocks.len() as u64),
            bytes(frames),
            bytes(bodies)
        ),
    );
    line("checked", checked(blocks.len() as u64, damage));
    line("collections", count(collections.all().len() as u64));
    let blocks = block_table(segment).fitted(columns, &DISPENSABLE);
    format!("{page}\n{blocks}\n{}", collection_table(segment))
}

/// Returns the numbers of blocks and rows, with those that can't be read.
fn checked(blocks: u64, damage: &Damage) -> String {
    let part = |all: u64, what: &str, bad: u64, how: &str| match bad {
        0 => counted(all, what),
        bad => format!("{} ({} {how})", counted(all, what), count(bad)),
    };
    let blocks = part(blocks, "block", damage.blocks.len() as u64, "damaged");
    format!("{blocks}, {}", part(damage.checked_rows, "row", damage.rows, "unreadable"))
}

fn block_table(segment: &Segment) -> Table<7> {
    let titles = ["BLOCK", "OFFSET", "BYTES", "DECOMPRESSED", "EVENTS", "SEQS", "WITNESSED FROM"];
    let mut table = Table::new(titles);
    for (i, block) in segment.blocks.iter().enumerate() {
        table.row([
            i.to_string(),
            block.offset.to_string(),
            count(block.frame_bytes.into()),
            count(block.body_bytes.into()),
            count(block.event_count.into()),
            format!("{} to {}", block.min_seq, block.max_seq),
            time(block.min_witnessed_at_us),
        ]);
    }
    table
}

fn collection_table(segment: &Segment) -> Table<3> {
    let mut table = Table::new(["COLLECTION", "EVENTS", "BLOCKS"]);
    for (i, collection) in segment.collections.all().iter().enumerate() {
        // The three names that are not collections have no event count.
        let is_sentinel = collection.name.starts_with('$');
        let events = if is_sentinel { String::new() } else { count(collection.event_count.into()) };
        table.row([collection.name.clone(), events, count(block_count(segment, i) as u64)]);
    }
    table
}

fn span(from_us: i64, to_us: i64) -> String {
    format!("{} to {}", time(from_us), time(to_us))
}

/// Formats a time, or the number of microseconds if it is before 1970.
fn time(us: i64) -> String {
    u64::try_from(us).map_or_else(|_| us.to_string(), |us| TimeUs(us).to_string())
}

/// The report about a single block.
#[derive(Serialize)]
pub struct BlockReport {
    frame_bytes: usize,
    body_bytes: usize,
    event_count: usize,
    min_seq: Option<u64>,
    max_seq: Option<u64>,
    unreadable_rows: u64,
}

impl BlockReport {
    pub fn new(frame_bytes: usize, block: &Block<'_>, damage: &Damage) -> Self {
        Self {
            frame_bytes,
            body_bytes: block.body_bytes(),
            event_count: block.len(),
            min_seq: block.rows().next().map(|row| row.seq.0),
            max_seq: block.rows().last().map(|row| row.seq.0),
            unreadable_rows: damage.rows,
        }
    }

    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self).map(|text| text + "\n")
    }

    pub fn text(&self) -> String {
        let seqs = match (self.min_seq, self.max_seq) {
            (Some(min), Some(max)) => format!("{min} to {max}"),
            _ => "none".to_owned(),
        };
        let (frame, body) = (bytes(self.frame_bytes as u64), bytes(self.body_bytes as u64));
        let events = count(self.event_count as u64);
        format!(
            "block        {frame}, decompressed {body}\nevents       {events}\nseqs         {seqs}\n"
        )
    }
}
