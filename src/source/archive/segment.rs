//! One planned segment on the server: its index, checked, and the frames of its blocks, in
//! whichever way they can be had. A segment may be rewritten while it is read; what is read of
//! one generation is never joined with another (protocol/jetstream-v2-archive.md §3).
//!
//! ```text
//! beginning ─▶ footer ─▶ checksum, block index ─▶ ranges of the file   (the usual way)
//!         └─ no ranges, or a damaged footer ─▶ getBlock by number
//! ```

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::error::{FetchError, RangeError};
use super::fetch::Way;
use super::plan::Planned;
use crate::archive::entry::BlockEntry;
use crate::archive::error::SegmentError;
use crate::archive::segment::Segment;
use crate::archive::segment::header::{HEADER_BYTES, Header};

/// Most bytes of one stored block.
pub const MAX_FRAME_BYTES: usize = 64 << 20;
/// Most bytes of a footer: those of real files have some MB, nearly all of it filters of DIDs.
const MAX_FOOTER_BYTES: u64 = 64 << 20;
/// How often a segment may be rewritten while it is read.
const MAX_REWRITES: u32 = 8;
/// How often parts of a file are asked for where the whole came.
const RANGE_TRIES: u32 = 3;

/// What goes wrong with a segment.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The server has it no more: the plan is to be made anew.
    #[error("{0}: the server does not have it any more")]
    Gone(String),
    /// It is rewritten again and again.
    #[error("{0}: it is rewritten faster than it can be read")]
    Restless(String),
    /// The bytes can't be had now, or not by us.
    #[error("{name}: {source}")]
    Fetch {
        /// The segment.
        name: String,
        /// Why.
        source: FetchError,
    },
    /// What it says of itself can't be used, though it was asked for twice.
    #[error("{name}: {source}")]
    Damaged {
        /// The segment.
        name: String,
        /// Why.
        source: SegmentError,
    },
}

/// What is known of the file as it is now.
#[derive(Debug)]
pub enum Generation {
    /// Its index was read and checked.
    Indexed {
        /// What tells it from other generations.
        etag: String,
        /// Its blocks.
        blocks: Vec<BlockEntry>,
    },
    /// So many blocks, to be asked for by number. Each is covered by a checksum of its own.
    Numbered(u32),
}

/// A segment on the server.
#[derive(Debug)]
pub struct Volume {
    way: Arc<Way>,
    /// What the plan says of it.
    pub planned: Planned,
    now: Mutex<(Option<Arc<Generation>>, u32)>,
}

impl Volume {
    /// A segment of which nothing was read yet.
    #[must_use]
    pub fn new(way: Arc<Way>, planned: Planned) -> Self {
        Self { way, planned, now: Mutex::new((None, 0)) }
    }

    /// What is known of the file; read now if nothing is.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn generation(&self) -> Result<Arc<Generation>, Trouble> {
        let mut now = self.now.lock().await;
        if let Some(generation) = &now.0 {
            return Ok(Arc::clone(generation));
        }
        let generation = Arc::new(self.open(&mut now.1).await?);
        now.0 = Some(Arc::clone(&generation));
        Ok(generation)
    }

    /// Forgets a generation that is no more.
    async fn forget(&self, gone: &Arc<Generation>) -> Result<(), Trouble> {
        let mut now = self.now.lock().await;
        if now.0.as_ref().is_some_and(|present| Arc::ptr_eq(present, gone)) {
            now.0 = None;
            self.count_rewrite(&mut now.1)?;
        }
        Ok(())
    }

    /// From now on its blocks are asked for by number.
    async fn give_up_ranges(&self, count: u32) {
        let name = &self.planned.name;
        tracing::warn!(
            "{name}: the server does not send parts of it; asking for its blocks one by one"
        );
        self.now.lock().await.0 = Some(Arc::new(Generation::Numbered(count)));
    }

    fn count_rewrite(&self, rewrites: &mut u32) -> Result<(), Trouble> {
        *rewrites += 1;
        tracing::info!("{}: rewritten while it was read; reading it anew", self.planned.name);
        if *rewrites > MAX_REWRITES {
            return Err(Trouble::Restless(self.planned.name.clone()));
        }
        Ok(())
    }

    /// Reads what is to be known of the file.
    async fn open(&self, rewrites: &mut u32) -> Result<Generation, Trouble> {
        let (mut damaged, mut unparted) = (None, 0);
        loop {
            match self.read_index().await {
                Ok(generation) => return Ok(generation),
                Err(Opening::Changed) => self.count_rewrite(rewrites)?,
                Err(Opening::NotHonoured(header)) => {
                    unparted += 1;
                    if unparted < RANGE_TRIES {
                        continue;
                    }
                    tracing::warn!(
                        "{}: the server does not send parts of it; asking for its blocks one by one",
                        self.planned.name
                    );
                    return self.numbered(&header).await;
                }
                Err(Opening::Damaged(source, header)) => {
                    tracing::warn!("{}: {source}", self.planned.name);
                    if damaged.replace(()).is_none() {
                        continue;
                    }
                    // The blocks have checksums of their own.
                    return match header {
                        Some(header) => self.numbered(&header).await,
                        None => Err(Trouble::Damaged { name: self.planned.name.clone(), source }),
                    };
                }
                Err(Opening::Fetch(source)) => return Err(self.trouble(source)),
            }
        }
    }

    async fn read_index(&self) -> Result<Generation, Opening> {
        let target = format!("getSegment?name={}", self.planned.name);
        let beginning = self.way.beginning(&target, HEADER_BYTES).await.map_err(Opening::Fetch)?;
        let head: &[u8; HEADER_BYTES] = match beginning.bytes.first_chunk() {
            Some(head) => head,
            None => {
                let (at, source) = (beginning.bytes.len() as u64, eof());
                return Err(Opening::Damaged(SegmentError::Read { at, source }, None));
            }
        };
        let Some((etag, file_bytes)) = beginning.whole else {
            // Without the size: what must lie within the file can't be checked.
            let size = crate::archive::segment::header::MAX_SEGMENT_BYTES;
            let header = Header::parse(head, size);
            let header = header.map_err(|error| Opening::Damaged(error, None))?;
            return Err(Opening::NotHonoured(Box::new(header)));
        };
        let header = Header::parse(head, file_bytes).map_err(|e| Opening::Damaged(e, None))?;
        let footer_bytes = file_bytes - header.footer_offset.min(file_bytes);
        if footer_bytes > MAX_FOOTER_BYTES {
            let (what, at) = ("a footer of more than 64 MiB", header.footer_offset);
            let error = SegmentError::Malformed { what, value: footer_bytes, at };
            return Err(Opening::Damaged(error, Some(Box::new(header))));
        }
        let range = header.footer_offset..file_bytes;
        let footer = match self.way.range(&target, range, &etag).await {
            Ok(footer) => footer,
            Err(RangeError::Changed) => return Err(Opening::Changed),
            Err(RangeError::NotHonoured) => return Err(Opening::NotHonoured(Box::new(header))),
            Err(RangeError::Fetch(error)) => return Err(Opening::Fetch(error)),
        };
        let mut ends =
            Ends { head, footer_at: header.footer_offset, footer: &footer, file_bytes, at: 0 };
        match Segment::read(&mut ends) {
            Ok(segment) => Ok(Generation::Indexed { etag, blocks: segment.blocks }),
            Err(error) => Err(Opening::Damaged(error, Some(Box::new(header)))),
        }
    }

    /// The way without an index. The number of blocks stands in a header that nothing vouches
    /// for: it must be the first that the server does not have.
    async fn numbered(&self, header: &Header) -> Result<Generation, Trouble> {
        let count = header.block_count;
        match self.way.file(&self.block_target(count), MAX_FRAME_BYTES).await {
            Err(error) if error.is_named("BlockNotFound") || error.refused_with() == Some(400) => {
                Ok(Generation::Numbered(count))
            }
            Err(error) => Err(self.trouble(error)),
            Ok(_) => {
                let what = "the server has more blocks than the header names";
                let source = SegmentError::Malformed { what, value: count.into(), at: 14 };
                Err(Trouble::Damaged { name: self.planned.name.clone(), source })
            }
        }
    }

    /// The stored frames of some blocks in a row, back to back, and where each lies in that.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn frames(&self, blocks: Range<u32>) -> Result<Frames, Trouble> {
        let mut unparted = 0;
        loop {
            let generation = self.generation().await?;
            let Generation::Indexed { etag, blocks: index } = &*generation else {
                return self.frames_by_number(blocks).await;
            };
            // Blocks never go away (§3): a file without them is another one.
            let entries = index.get(blocks.start as usize..blocks.end as usize);
            let Some((entries, (first, last))) =
                entries.and_then(|entries| Some((entries, entries.first().zip(entries.last())?)))
            else {
                return Err(Trouble::Gone(self.planned.name.clone()));
            };
            let range = first.offset..last.frame_at() + u64::from(last.frame_bytes);
            let target = format!("getSegment?name={}", self.planned.name);
            match self.way.range(&target, range.clone(), etag).await {
                Ok(bytes) => {
                    let place = |entry: &BlockEntry| {
                        let start = (entry.frame_at() - range.start) as usize;
                        start..start + entry.frame_bytes as usize
                    };
                    let places = entries.iter().map(place).collect();
                    return Ok(Frames { bytes, places, entries: entries.to_vec() });
                }
                Err(RangeError::Changed) => self.forget(&generation).await?,
                Err(RangeError::NotHonoured) => {
                    unparted += 1;
                    if unparted >= RANGE_TRIES {
                        self.give_up_ranges(index.len() as u32).await;
                    }
                }
                Err(RangeError::Fetch(error)) => return Err(self.trouble(error)),
            }
        }
    }

    async fn frames_by_number(&self, blocks: Range<u32>) -> Result<Frames, Trouble> {
        let mut frames = Frames::default();
        for number in blocks {
            let start = frames.bytes.len();
            frames.bytes.extend_from_slice(&self.block(number).await?);
            frames.places.push(start..frames.bytes.len());
        }
        Ok(frames)
    }

    /// One stored frame, by its number.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn block(&self, number: u32) -> Result<Vec<u8>, Trouble> {
        let frame = self.way.file(&self.block_target(number), MAX_FRAME_BYTES).await;
        frame.map_err(|error| self.trouble(error))
    }

    fn block_target(&self, number: u32) -> String {
        format!("getBlock?segment={}&blockIndex={number}", self.planned.name)
    }

    fn trouble(&self, source: FetchError) -> Trouble {
        let name = self.planned.name.clone();
        match source.refused_with() {
            Some(404) => Trouble::Gone(name),
            _ => Trouble::Fetch { name, source },
        }
    }
}

/// Why an index can't be used.
enum Opening {
    Changed,
    NotHonoured(Box<Header>),
    Damaged(SegmentError, Option<Box<Header>>),
    Fetch(FetchError),
}

/// Stored frames.
#[derive(Debug, Default)]
pub struct Frames {
    /// All of them, with what stands between.
    pub bytes: Vec<u8>,
    /// Where each lies.
    pub places: Vec<Range<usize>>,
    /// What the index says of each; empty where there is none.
    pub entries: Vec<BlockEntry>,
}

impl Frames {
    /// A single frame, of which no index tells.
    #[must_use]
    pub fn one(bytes: Vec<u8>) -> Self {
        let places = std::iter::once(0..bytes.len()).collect();
        Self { bytes, places, entries: Vec::new() }
    }
}

/// The two ends of a file, as if all of it were there.
struct Ends<'a> {
    head: &'a [u8],
    footer_at: u64,
    footer: &'a [u8],
    file_bytes: u64,
    at: u64,
}

impl Read for Ends<'_> {
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

impl Seek for Ends<'_> {
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
