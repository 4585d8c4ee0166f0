//! Encodes rows as columns, the body of one block (protocol/jetstream-v2-archive.md §5).

use super::WriteError;
use crate::archive::entry::BlockEntry;
use crate::archive::line::MAX_PAYLOAD_BYTES;
use crate::archive::row::{Row, RowKind};

/// The columns of an unfinished block.
#[derive(Debug, Default)]
pub(super) struct Columns {
    /// Rows, and rows that compaction has removed.
    slots: usize,
    bounds: Option<Bounds>,
    seqs: Vec<u64>,
    witnessed: Vec<i64>,
    indexed: Vec<i64>,
    kinds: Vec<RowKind>,
    collections: Blob<u8>,
    dids: Blob<u16>,
    rkeys: Blob<u8>,
    revs: Blob<u8>,
    payloads: Blob<u32>,
}

/// The lowest and highest values of a block, also of removed rows.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    seqs: (u64, u64),
    witnessed: (i64, i64),
}

impl Bounds {
    fn with(bounds: Option<Self>, row: &Row<'_>) -> Self {
        let (seq, at_us) = (row.seq.0, row.witnessed_at_us);
        let Self { seqs, witnessed } =
            bounds.unwrap_or(Self { seqs: (seq, seq), witnessed: (at_us, at_us) });
        Self {
            seqs: (seqs.0.min(seq), seqs.1.max(seq)),
            witnessed: (witnessed.0.min(at_us), witnessed.1.max(at_us)),
        }
    }
}

/// A column of concatenated values of different lengths.
#[derive(Debug, Default)]
struct Blob<L> {
    lengths: Vec<L>,
    bytes: Vec<u8>,
}

impl<L: TryFrom<usize>> Blob<L> {
    fn push(&mut self, length: L, value: &[u8]) {
        self.lengths.push(length);
        self.bytes.extend_from_slice(value);
    }
}

/// Returns the length as its column stores it.
fn fit<L: TryFrom<usize>>(
    row: &Row<'_>,
    what: &'static str,
    bytes: usize,
    max: usize,
) -> Result<L, WriteError> {
    L::try_from(bytes).map_err(|_| WriteError::TooLong { what, seq: row.seq.0, bytes, max })
}

impl Columns {
    /// Returns the number of rows.
    pub(super) fn rows(&self) -> usize {
        self.seqs.len()
    }

    /// Returns the number of rows, removed ones included.
    pub(super) fn slots(&self) -> usize {
        self.slots
    }

    /// Counts a row: one in the columns, or one that compaction has removed.
    pub(super) fn count(&mut self, row: &Row<'_>) {
        self.slots += 1;
        self.bounds = Some(Bounds::with(self.bounds, row));
    }

    /// Returns the size of [`Columns::body`] in bytes.
    pub(super) fn body_bytes(&self) -> usize {
        4 + self.rows() * 34
            + self.collections.bytes.len()
            + self.dids.bytes.len()
            + self.rkeys.bytes.len()
            + self.revs.bytes.len()
            + self.payloads.bytes.len()
    }

    /// Adds a row. If a value is too long for its column, adds nothing.
    pub(super) fn push(&mut self, row: &Row<'_>) -> Result<(), WriteError> {
        let collection = fit(row, "collection", row.collection.len(), u8::MAX.into())?;
        let did = fit(row, "DID", row.did.len(), u16::MAX.into())?;
        let rkey = fit(row, "rkey", row.rkey.len(), u8::MAX.into())?;
        let rev = fit(row, "rev", row.rev.len(), u8::MAX.into())?;
        let payload = match row.payload.len() {
            bytes if bytes > MAX_PAYLOAD_BYTES => {
                let (what, max) = ("payload", MAX_PAYLOAD_BYTES);
                return Err(WriteError::TooLong { what, seq: row.seq.0, bytes, max });
            }
            bytes => bytes as u32,
        };
        self.collections.push(collection, row.collection.as_bytes());
        self.dids.push(did, row.did.as_bytes());
        self.rkeys.push(rkey, row.rkey.as_bytes());
        self.revs.push(rev, row.rev.as_bytes());
        self.payloads.push(payload, row.payload);
        self.seqs.push(row.seq.0);
        self.witnessed.push(row.witnessed_at_us);
        self.indexed.push(row.indexed_at_us);
        self.kinds.push(row.kind);
        self.count(row);
        Ok(())
    }

    /// Returns the bytes of the block before compression.
    pub(super) fn body(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.body_bytes());
        body.extend_from_slice(&(self.rows() as u32).to_le_bytes());
        self.seqs.iter().for_each(|n| body.extend_from_slice(&n.to_le_bytes()));
        self.witnessed.iter().for_each(|n| body.extend_from_slice(&n.to_le_bytes()));
        self.indexed.iter().for_each(|n| body.extend_from_slice(&n.to_le_bytes()));
        body.extend(self.kinds.iter().map(|&kind| kind as u8));
        body.extend_from_slice(&self.collections.lengths);
        self.dids.lengths.iter().for_each(|n| body.extend_from_slice(&n.to_le_bytes()));
        body.extend_from_slice(&self.rkeys.lengths);
        body.extend_from_slice(&self.revs.lengths);
        self.payloads.lengths.iter().for_each(|n| body.extend_from_slice(&n.to_le_bytes()));
        for blob in [&self.collections.bytes, &self.dids.bytes, &self.rkeys.bytes] {
            body.extend_from_slice(blob);
        }
        body.extend_from_slice(&self.revs.bytes);
        body.extend_from_slice(&self.payloads.bytes);
        body
    }

    /// Returns the entry of the block index for a block at `offset`.
    pub(super) fn entry(&self, offset: u64, frame: &[u8], body: &[u8]) -> BlockEntry {
        let (seqs, witnessed) =
            self.bounds.map_or(Default::default(), |bounds| (bounds.seqs, bounds.witnessed));
        BlockEntry {
            offset,
            frame_bytes: u32::try_from(frame.len()).unwrap_or(u32::MAX),
            body_bytes: u32::try_from(body.len()).unwrap_or(u32::MAX),
            event_count: self.rows() as u32,
            min_seq: seqs.0,
            max_seq: seqs.1,
            min_witnessed_at_us: witnessed.0,
            max_witnessed_at_us: witnessed.1,
        }
    }
}
