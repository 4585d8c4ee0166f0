//! One planned segment on the server: opens and checks its index, and fetches the frames of its
//! blocks. The server may rewrite a segment while it is read; bytes of two versions are never
//! joined (protocol/jetstream-v2-archive.md §3).
//!
//! ```text
//! prefix ─▶ footer ─▶ checksum, block index ─▶ ranges of the file   (normally)
//!      └─ no ranges, or a damaged footer ─▶ getBlock by number
//! ```

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::client::ArchiveClient;
use super::error::{ArchiveFetchError, RangeError};
use super::plan::PlannedSegment;
use crate::archive::entry::BlockEntry;
use crate::archive::error::SegmentError;
use crate::archive::segment::Segment;
use crate::archive::segment::header::{HEADER_BYTES, Header};

/// Most bytes of one stored block.
pub const MAX_FRAME_BYTES: usize = 64 << 20;
/// Most bytes of a footer. Real ones have a few MB, nearly all of it filters of DIDs.
const MAX_FOOTER_BYTES: u64 = 64 << 20;
/// How often a segment may be rewritten while it is read.
const MAX_REWRITES: u32 = 8;
/// How often a range is requested although the server sent the whole file.
const MAX_IGNORED_RANGES: u32 = 3;

/// Why a segment can't be read.
#[derive(Debug, thiserror::Error)]
pub enum RemoteSegmentError {
    /// The server no longer has it; request a new plan.
    #[error("{0}: the server does not have it any more")]
    Gone(String),
    /// The server rewrote it more than `MAX_REWRITES` times.
    #[error("{0}: it is rewritten faster than it can be read")]
    Unstable(String),
    /// A request failed.
    #[error("{name}: {source}")]
    Fetch {
        /// The segment's file name.
        name: String,
        /// Why.
        source: ArchiveFetchError,
    },
    /// Its header or index is unusable, even after a second fetch.
    #[error("{name}: {source}")]
    Damaged {
        /// The segment's file name.
        name: String,
        /// Why.
        source: SegmentError,
    },
}

/// One version of the file, as opened.
#[derive(Debug)]
pub enum SegmentVersion {
    /// The index was read and checked.
    Indexed {
        /// The strong ETag of this version.
        etag: String,
        /// Its blocks.
        blocks: Vec<BlockEntry>,
    },
    /// The number of blocks, which are fetched by number. Each has a checksum of its own.
    ByNumber(u32),
}

/// A segment on the server.
#[derive(Debug)]
pub struct RemoteSegment {
    client: Arc<ArchiveClient>,
    /// Its entry in the plan.
    pub planned: PlannedSegment,
    /// The version that is being read, if it was opened, and how often the file was rewritten.
    current: Mutex<(Option<Arc<SegmentVersion>>, u32)>,
}

impl RemoteSegment {
    /// Returns a segment that is not opened yet.
    #[must_use]
    pub fn new(client: Arc<ArchiveClient>, planned: PlannedSegment) -> Self {
        Self { client, planned, current: Mutex::new((None, 0)) }
    }

    /// Returns the current version; opens the file first if necessary.
    ///
    /// # Errors
    /// [`RemoteSegmentError`].
    pub async fn version(&self) -> Result<Arc<SegmentVersion>, RemoteSegmentError> {
        let mut current = self.current.lock().await;
        if let Some(version) = &current.0 {
            return Ok(Arc::clone(version));
        }
        let version = Arc::new(self.open(&mut current.1).await?);
        current.0 = Some(Arc::clone(&version));
        Ok(version)
    }

    /// Closes a version that the server has replaced.
    async fn forget(&self, gone: &Arc<SegmentVersion>) -> Result<(), RemoteSegmentError> {
        let mut current = self.current.lock().await;
        if current.0.as_ref().is_some_and(|present| Arc::ptr_eq(present, gone)) {
            current.0 = None;
            self.count_rewrite(&mut current.1)?;
        }
        Ok(())
    }

    /// Switches to fetching blocks by number.
    async fn disable_ranges(&self, count: u32) {
        let name = &self.planned.name;
        tracing::warn!(
            "{name}: the server does not send parts of it; asking for its blocks one by one"
        );
        self.current.lock().await.0 = Some(Arc::new(SegmentVersion::ByNumber(count)));
    }

    fn count_rewrite(&self, rewrites: &mut u32) -> Result<(), RemoteSegmentError> {
        *rewrites += 1;
        tracing::info!(
            "{}: the server rewrote it during the download; reading it again",
            self.planned.name
        );
        if *rewrites > MAX_REWRITES {
            return Err(RemoteSegmentError::Unstable(self.planned.name.clone()));
        }
        Ok(())
    }

    async fn open(&self, rewrites: &mut u32) -> Result<SegmentVersion, RemoteSegmentError> {
        let (mut damaged, mut ignored_ranges) = (None, 0);
        loop {
            match self.read_index().await {
                Ok(version) => return Ok(version),
                Err(OpenError::Changed) => self.count_rewrite(rewrites)?,
                Err(OpenError::RangeIgnored(header)) => {
                    ignored_ranges += 1;
                    if ignored_ranges < MAX_IGNORED_RANGES {
                        continue;
                    }
                    tracing::warn!(
                        "{}: the server does not send parts of it; asking for its blocks one by one",
                        self.planned.name
                    );
                    return self.open_by_number(&header).await;
                }
                Err(OpenError::Damaged(source, header)) => {
                    tracing::warn!("{}: {source}", self.planned.name);
                    if damaged.replace(()).is_none() {
                        continue;
                    }
                    // The blocks have checksums of their own.
                    return match header {
                        Some(header) => self.open_by_number(&header).await,
                        None => Err(RemoteSegmentError::Damaged {
                            name: self.planned.name.clone(),
                            source,
                        }),
                    };
                }
                Err(OpenError::Fetch(source)) => return Err(self.fetch_error(source)),
            }
        }
    }

    async fn read_index(&self) -> Result<SegmentVersion, OpenError> {
        let target = format!("getSegment?name={}", self.planned.name);
        let prefix =
            self.client.fetch_prefix(&target, HEADER_BYTES).await.map_err(OpenError::Fetch)?;
        let head: &[u8; HEADER_BYTES] = match prefix.bytes.first_chunk() {
            Some(head) => head,
            None => {
                let (at, source) = (prefix.bytes.len() as u64, eof());
                return Err(OpenError::Damaged(SegmentError::Read { at, source }, None));
            }
        };
        let Some((etag, file_bytes)) = prefix.version else {
            // Without the size, offsets can't be checked against the end of the file.
            let size = crate::archive::segment::header::MAX_SEGMENT_BYTES;
            let header = Header::parse(head, size);
            let header = header.map_err(|error| OpenError::Damaged(error, None))?;
            return Err(OpenError::RangeIgnored(Box::new(header)));
        };
        let header = Header::parse(head, file_bytes).map_err(|e| OpenError::Damaged(e, None))?;
        let footer_bytes = file_bytes - header.footer_offset.min(file_bytes);
        if footer_bytes > MAX_FOOTER_BYTES {
            let (what, at) = ("a footer of more than 64 MiB", header.footer_offset);
            let error = SegmentError::Malformed { what, value: footer_bytes, at };
            return Err(OpenError::Damaged(error, Some(Box::new(header))));
        }
        let range = header.footer_offset..file_bytes;
        let footer = match self.client.fetch_range(&target, range, &etag).await {
            Ok(footer) => footer,
            Err(RangeError::Changed) => return Err(OpenError::Changed),
            Err(RangeError::RangeIgnored) => return Err(OpenError::RangeIgnored(Box::new(header))),
            Err(RangeError::Fetch(error)) => return Err(OpenError::Fetch(error)),
        };
        let mut ends = SegmentEnds {
            head,
            footer_at: header.footer_offset,
            footer: &footer,
            file_bytes,
            at: 0,
        };
        match Segment::read(&mut ends) {
            Ok(segment) => Ok(SegmentVersion::Indexed { etag, blocks: segment.blocks }),
            Err(error) => Err(OpenError::Damaged(error, Some(Box::new(header)))),
        }
    }

    /// Opens the file without an index. No checksum covers the number of blocks in the header, so
    /// the server must confirm that it has no block of that number.
    async fn open_by_number(&self, header: &Header) -> Result<SegmentVersion, RemoteSegmentError> {
        let count = header.block_count;
        match self.client.fetch_file(&self.block_target(count), MAX_FRAME_BYTES).await {
            Err(error)
                if error.has_name("BlockNotFound") || error.refused_status() == Some(400) =>
            {
                Ok(SegmentVersion::ByNumber(count))
            }
            Err(error) => Err(self.fetch_error(error)),
            Ok(_) => {
                let what = "the server has more blocks than the header names";
                let source = SegmentError::Malformed { what, value: count.into(), at: 14 };
                Err(RemoteSegmentError::Damaged { name: self.planned.name.clone(), source })
            }
        }
    }

    /// Fetches the stored frames of consecutive blocks.
    ///
    /// # Errors
    /// [`RemoteSegmentError`].
    pub async fn fetch_frames(
        &self,
        blocks: Range<u32>,
    ) -> Result<BlockFrames, RemoteSegmentError> {
        let mut ignored_ranges = 0;
        loop {
            let version = self.version().await?;
            let SegmentVersion::Indexed { etag, blocks: index } = &*version else {
                return self.fetch_frames_by_number(blocks).await;
            };
            // A rewrite keeps the number of blocks (§3): a file with fewer is another file.
            let entries = index.get(blocks.start as usize..blocks.end as usize);
            let Some((entries, (first, last))) =
                entries.and_then(|entries| Some((entries, entries.first().zip(entries.last())?)))
            else {
                return Err(RemoteSegmentError::Gone(self.planned.name.clone()));
            };
            let range = first.offset..last.frame_at() + u64::from(last.frame_bytes);
            let target = format!("getSegment?name={}", self.planned.name);
            match self.client.fetch_range(&target, range.clone(), etag).await {
                Ok(bytes) => {
                    let span = |entry: &BlockEntry| {
                        let start = (entry.frame_at() - range.start) as usize;
                        start..start + entry.frame_bytes as usize
                    };
                    let spans = entries.iter().map(span).collect();
                    return Ok(BlockFrames { bytes, spans, entries: entries.to_vec() });
                }
                Err(RangeError::Changed) => self.forget(&version).await?,
                Err(RangeError::RangeIgnored) => {
                    ignored_ranges += 1;
                    if ignored_ranges >= MAX_IGNORED_RANGES {
                        self.disable_ranges(index.len() as u32).await;
                    }
                }
                Err(RangeError::Fetch(error)) => return Err(self.fetch_error(error)),
            }
        }
    }

    async fn fetch_frames_by_number(
        &self,
        blocks: Range<u32>,
    ) -> Result<BlockFrames, RemoteSegmentError> {
        let mut frames = BlockFrames::default();
        for number in blocks {
            let start = frames.bytes.len();
            frames.bytes.extend_from_slice(&self.fetch_block(number).await?);
            frames.spans.push(start..frames.bytes.len());
        }
        Ok(frames)
    }

    /// Fetches one stored frame by the number of its block.
    ///
    /// # Errors
    /// [`RemoteSegmentError`].
    pub async fn fetch_block(&self, number: u32) -> Result<Vec<u8>, RemoteSegmentError> {
        let frame = self.client.fetch_file(&self.block_target(number), MAX_FRAME_BYTES).await;
        frame.map_err(|error| self.fetch_error(error))
    }

    fn block_target(&self, number: u32) -> String {
        format!("getBlock?segment={}&blockIndex={number}", self.planned.name)
    }

    fn fetch_error(&self, source: ArchiveFetchError) -> RemoteSegmentError {
        let name = self.planned.name.clone();
        match source.refused_status() {
            Some(404) => RemoteSegmentError::Gone(name),
            _ => RemoteSegmentError::Fetch { name, source },
        }
    }
}

/// Why an index is unusable.
enum OpenError {
    Changed,
    RangeIgnored(Box<Header>),
    Damaged(SegmentError, Option<Box<Header>>),
    Fetch(ArchiveFetchError),
}

/// Stored frames of consecutive blocks.
#[derive(Debug, Default)]
pub struct BlockFrames {
    /// The fetched range, with the bytes between frames.
    pub bytes: Vec<u8>,
    /// The span of each frame in `bytes`.
    pub spans: Vec<Range<usize>>,
    /// The index entry of each frame; empty without an index.
    pub entries: Vec<BlockEntry>,
}

impl BlockFrames {
    /// Returns a single frame without an index entry.
    #[must_use]
    pub fn one(bytes: Vec<u8>) -> Self {
        let spans = std::iter::once(0..bytes.len()).collect();
        Self { bytes, spans, entries: Vec::new() }
    }
}

/// The header and the footer of a file, readable as if the whole file were there.
struct SegmentEnds<'a> {
    head: &'a [u8],
    footer_at: u64,
    footer: &'a [u8],
    file_bytes: u64,
    at: u64,
}

impl Read for SegmentEnds<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let (part, at) = match self.at.checked_sub(self.footer_at) {
            Some(at) => (self.footer, at),
            None => (self.head, self.at),
        };
        let rest = usize::try_from(at).ok().and_then(|at| part.get(at..)).unwrap_or_default();
        let bytes = rest.len().min(out.len());
        if let (Some(out), Some(rest)) = (out.get_mut(..bytes), rest.get(..bytes)) {
            out.copy_from_slice(rest);
        }
        self.at += bytes as u64;
        Ok(bytes)
    }
}

impl Seek for SegmentEnds<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::End(back) => self.file_bytes.saturating_add_signed(back),
            SeekFrom::Current(on) => self.at.saturating_add_signed(on),
        };
        Ok(self.at)
    }
}

fn eof() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}
