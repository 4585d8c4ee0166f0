//! One block: a zstd frame that contains the columns of a few thousand rows
//! (protocol/jetstream-v2-archive.md §5). Payloads are not parsed here.

use super::entry::BlockEntry;
use super::error::BlockError;
use super::fields::u32_at;
use super::row::{Row, RowKind};
use crate::compression::inflate::{InflateError, Inflater};
use crate::position::Seq;

/// Maximum number of rows in a block (§5).
pub const MAX_ROWS: usize = 262_144;
/// Default limit for the decompressed bytes of a block. The server's own limit is 1 GiB, and real
/// blocks have a few MB, so this bounds the cost of a hostile block.
pub const MAX_BLOCK_BYTES: usize = 256 << 20;
/// Bytes of a row in the columns of fixed width.
const FIXED_BYTES: u64 = 34;
/// Largest zstd window: 128 MiB, for blocks that were compressed in one piece. Frames that state a
/// plausible size need no window.
const WINDOW_LOG_MAX: u32 = 27;
/// The bit of the frame header descriptor that announces a content checksum (RFC 8878 §3.1.1.1.1).
const CHECKSUM_FLAG: u8 = 1 << 2;

/// Decodes blocks into one buffer, which is reused and grows to the largest block.
#[derive(Debug)]
pub struct BlockDecoder {
    inflater: Inflater,
    body: Vec<u8>,
    max_bytes: usize,
}

impl BlockDecoder {
    /// Returns a decoder for blocks that decompress to at most [`MAX_BLOCK_BYTES`].
    ///
    /// # Errors
    /// [`BlockError::Frame`] if zstd can't allocate memory.
    pub fn new() -> Result<Self, BlockError> {
        Self::with_cap(MAX_BLOCK_BYTES)
    }

    /// Returns a decoder for blocks that decompress to at most `max_bytes`.
    ///
    /// # Errors
    /// As [`BlockDecoder::new`].
    pub fn with_cap(max_bytes: usize) -> Result<Self, BlockError> {
        let inflater = Inflater::with_window_log(&[], WINDOW_LOG_MAX)?;
        Ok(Self { inflater, body: Vec::new(), max_bytes })
    }

    /// Decodes one stored frame, as `getBlock` returns it.
    ///
    /// # Errors
    /// [`BlockError`].
    pub fn decode(&mut self, frame: &[u8]) -> Result<Block<'_>, BlockError> {
        self.decompress(frame)?;
        Block::parse(&self.body)
    }

    /// Decompresses a frame and returns the bytes without parsing them.
    ///
    /// # Errors
    /// [`BlockError`].
    pub fn decompress(&mut self, frame: &[u8]) -> Result<&[u8], BlockError> {
        self.body.clear();
        self.inflater.append(frame, &mut self.body, self.max_bytes).map_err(
            |error| match error {
                InflateError::TooLarge { max_bytes } => BlockError::TooLarge { max_bytes },
                other => BlockError::Frame(other),
            },
        )?;
        if frame.get(4).is_none_or(|descriptor| descriptor & CHECKSUM_FLAG == 0) {
            return Err(BlockError::NoChecksum);
        }
        Ok(&self.body)
    }
}

/// The checked columns of one block.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    body_bytes: usize,
    seqs: &'a [[u8; 8]],
    witnessed: &'a [[u8; 8]],
    indexed: &'a [[u8; 8]],
    kinds: &'a [u8],
    collection_lengths: &'a [u8],
    did_lengths: &'a [[u8; 2]],
    rkey_lengths: &'a [u8],
    rev_lengths: &'a [u8],
    payload_lengths: &'a [[u8; 4]],
    collections: &'a str,
    dids: &'a str,
    rkeys: &'a str,
    revs: &'a str,
    payloads: &'a [u8],
    payloads_at: usize,
}

/// Splits columns off the front of a block.
struct Columns<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Columns<'a> {
    /// Returns the next `bytes` bytes. The caller has checked that they exist.
    fn take(&mut self, bytes: usize) -> &'a [u8] {
        let column = self.body.get(self.at..self.at + bytes).unwrap_or_default();
        self.at += bytes;
        column
    }

    /// Returns the next blob of text; `lengths` are those of its rows.
    fn text(
        &mut self,
        lengths: impl Iterator<Item = usize>,
        bytes: usize,
        what: &'static str,
    ) -> Result<&'a str, BlockError> {
        let start = self.at;
        let blob = self.take(bytes);
        let malformed = |at: usize| BlockError::Malformed {
            what,
            value: u64::from(blob.get(at).copied().unwrap_or_default()),
            at: start + at,
        };
        let text =
            simdutf8::compat::from_utf8(blob).map_err(|error| malformed(error.valid_up_to()))?;
        if !text.is_ascii() {
            // The whole blob is UTF-8. The text of each row must be, too.
            let mut end = 0;
            for length in lengths {
                end += length;
                if !text.is_char_boundary(end) {
                    return Err(malformed(end));
                }
            }
        }
        Ok(text)
    }
}

impl<'a> Block<'a> {
    /// Parses the decompressed body of a block without allocating.
    ///
    /// # Errors
    /// [`BlockError::Malformed`].
    pub fn parse(body: &'a [u8]) -> Result<Self, BlockError> {
        let rows = row_count(body)?;
        let mut columns = Columns { body, at: 4 };
        let seqs = columns.take(rows * 8).as_chunks().0;
        let witnessed = columns.take(rows * 8).as_chunks().0;
        let indexed = columns.take(rows * 8).as_chunks().0;
        let kinds_at = columns.at;
        let kinds = columns.take(rows);
        let collection_lengths = columns.take(rows);
        let did_lengths: &[[u8; 2]] = columns.take(rows * 2).as_chunks().0;
        let rkey_lengths = columns.take(rows);
        let rev_lengths = columns.take(rows);
        let payload_lengths: &[[u8; 4]] = columns.take(rows * 4).as_chunks().0;

        let sizes = BlobBytes {
            collections: sum(collection_lengths.iter().map(|&n| u32::from(n))),
            dids: sum(did_lengths.iter().map(|&n| u32::from(u16::from_le_bytes(n)))),
            rkeys: sum(rkey_lengths.iter().map(|&n| u32::from(n))),
            revs: sum(rev_lengths.iter().map(|&n| u32::from(n))),
            payloads: sum(payload_lengths.iter().map(|&n| u32::from_le_bytes(n))),
        };
        if sizes.all() != (body.len() - columns.at) as u64 {
            let what = "the lengths of the rows don't add up to what follows them";
            return Err(BlockError::Malformed { what, value: sizes.all(), at: columns.at });
        }
        check_kinds(kinds, kinds_at)?;
        check_seqs(seqs)?;
        let wide = |lengths: &'a [u8]| lengths.iter().map(|&n| usize::from(n));
        // The blobs are the rest of the body, so each length fits a usize.
        let collections =
            columns.text(wide(collection_lengths), sizes.collections as usize, BAD_TEXT)?;
        let did_widths = did_lengths.iter().map(|&n| usize::from(u16::from_le_bytes(n)));
        let dids = columns.text(did_widths, sizes.dids as usize, BAD_TEXT)?;
        let rkeys = columns.text(wide(rkey_lengths), sizes.rkeys as usize, BAD_TEXT)?;
        let revs = columns.text(wide(rev_lengths), sizes.revs as usize, BAD_TEXT)?;
        let payloads_at = columns.at;
        let payloads = columns.take(sizes.payloads as usize);
        Ok(Self {
            body_bytes: body.len(),
            seqs,
            witnessed,
            indexed,
            kinds,
            collection_lengths,
            did_lengths,
            rkey_lengths,
            rev_lengths,
            payload_lengths,
            collections,
            dids,
            rkeys,
            revs,
            payloads,
            payloads_at,
        })
    }

    /// Checks the block against its index entry: its size, its number of
    /// rows, and seqs within the bounds (which a compaction does not update).
    ///
    /// # Errors
    /// [`BlockError::Disagrees`].
    pub fn check_against(&self, entry: &BlockEntry) -> Result<(), BlockError> {
        let disagrees = |what, block, index| Err(BlockError::Disagrees { what, block, index });
        if self.body_bytes as u64 != u64::from(entry.body_bytes) {
            let index = entry.body_bytes.into();
            return disagrees("decompressed bytes", self.body_bytes as u64, index);
        }
        if self.len() as u64 != u64::from(entry.event_count) {
            return disagrees("number of rows", self.len() as u64, entry.event_count.into());
        }
        let seq = |bytes: Option<&[u8; 8]>| bytes.map(|&bytes| u64::from_le_bytes(bytes));
        match (seq(self.seqs.first()), seq(self.seqs.last())) {
            (Some(first), _) if first < entry.min_seq => {
                disagrees("lowest seq", first, entry.min_seq)
            }
            (_, Some(last)) if last > entry.max_seq => {
                disagrees("highest seq", last, entry.max_seq)
            }
            _ => Ok(()),
        }
    }

    /// Returns the number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seqs.len()
    }

    /// Returns whether compaction removed all rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seqs.is_empty()
    }

    /// Returns the lowest seq; `None` without a row.
    #[must_use]
    pub fn first_seq(&self) -> Option<Seq> {
        self.seqs.first().map(|&bytes| Seq(u64::from_le_bytes(bytes)))
    }

    /// Returns the highest seq; `None` without a row.
    #[must_use]
    pub fn last_seq(&self) -> Option<Seq> {
        self.seqs.last().map(|&bytes| Seq(u64::from_le_bytes(bytes)))
    }

    /// Returns the size of the decompressed block in bytes.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        self.body_bytes
    }

    /// Returns the rows, by ascending seq.
    #[must_use]
    pub fn rows(&self) -> Rows<'a> {
        let Self { collections, dids, rkeys, revs, payloads, .. } = *self;
        Rows { block: *self, next: 0, collections, dids, rkeys, revs, payloads }
    }
}

/// Returns the number of rows, and checks that the body has the columns of fixed width for them.
fn row_count(body: &[u8]) -> Result<usize, BlockError> {
    let malformed = |what, value| Err(BlockError::Malformed { what, value, at: 0 });
    let Some(count) = u32_at(body, 0) else {
        return malformed("too short for a number of rows", body.len() as u64);
    };
    let rows = count as usize;
    if rows > MAX_ROWS {
        return malformed("more rows than are allowed", count.into());
    }
    if 4 + u64::from(count) * FIXED_BYTES > body.len() as u64 {
        return malformed("more rows than bytes for them", count.into());
    }
    Ok(rows)
}

/// Bytes of the blobs after the columns of fixed width.
struct BlobBytes {
    collections: u64,
    dids: u64,
    rkeys: u64,
    revs: u64,
    payloads: u64,
}

impl BlobBytes {
    fn all(&self) -> u64 {
        self.collections + self.dids + self.rkeys + self.revs + self.payloads
    }
}

/// Returns the sum of a column of lengths: at most 262,144 times 2^32, which fits 64 bits.
fn sum(lengths: impl Iterator<Item = u32>) -> u64 {
    lengths.map(u64::from).sum()
}

const BAD_TEXT: &str = "text that is not UTF-8";

fn check_kinds(kinds: &[u8], at: usize) -> Result<(), BlockError> {
    match kinds.iter().position(|&kind| RowKind::from_number(kind).is_none()) {
        None => Ok(()),
        Some(row) => {
            let value = u64::from(kinds.get(row).copied().unwrap_or_default());
            Err(BlockError::Malformed { what: "an unknown kind of row", value, at: at + row })
        }
    }
}

/// Checks that seqs are strictly ascending and below [`Seq::LIMIT`] (v2 §3).
fn check_seqs(seqs: &[[u8; 8]]) -> Result<(), BlockError> {
    let mut last = 0;
    for (row, &bytes) in seqs.iter().enumerate() {
        let seq = u64::from_le_bytes(bytes);
        if seq <= last || seq >= Seq::LIMIT {
            let what = "an invalid seq, or one not above its predecessor";
            return Err(BlockError::Malformed { what, value: seq, at: 4 + row * 8 });
        }
        last = seq;
    }
    Ok(())
}

/// The rows of a block.
#[derive(Clone, Debug)]
pub struct Rows<'a> {
    block: Block<'a>,
    next: usize,
    collections: &'a str,
    dids: &'a str,
    rkeys: &'a str,
    revs: &'a str,
    payloads: &'a [u8],
}

/// Splits the first `bytes` bytes off a checked blob.
fn cut<'a>(blob: &mut &'a str, bytes: usize) -> &'a str {
    let (first, rest) = blob.split_at_checked(bytes).unwrap_or_default();
    *blob = rest;
    first
}

impl<'a> Iterator for Rows<'a> {
    type Item = Row<'a>;

    fn next(&mut self) -> Option<Row<'a>> {
        let (block, i) = (&self.block, self.next);
        let seq = Seq(u64::from_le_bytes(*block.seqs.get(i)?));
        let kind = RowKind::from_number(*block.kinds.get(i)?)?;
        let payload_at = block.payloads_at + (block.payloads.len() - self.payloads.len());
        let payload_bytes = u32::from_le_bytes(*block.payload_lengths.get(i)?) as usize;
        let (payload, payloads) = self.payloads.split_at_checked(payload_bytes)?;
        self.payloads = payloads;
        self.next += 1;
        Some(Row {
            seq,
            witnessed_at_us: i64::from_le_bytes(*block.witnessed.get(i)?),
            indexed_at_us: i64::from_le_bytes(*block.indexed.get(i)?),
            kind,
            collection: cut(&mut self.collections, (*block.collection_lengths.get(i)?).into()),
            did: cut(&mut self.dids, u16::from_le_bytes(*block.did_lengths.get(i)?).into()),
            rkey: cut(&mut self.rkeys, (*block.rkey_lengths.get(i)?).into()),
            rev: cut(&mut self.revs, (*block.rev_lengths.get(i)?).into()),
            payload,
            payload_at,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.block.len() - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Rows<'_> {}
