//! Opens a recording to be read from its start, and notes what it is, so that a later step notices
//! if another program changed it.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::SystemTime;

use crate::compression::inflate::FRAME_MAGIC;
use crate::parquet::{self, Events};
use crate::paths;
use crate::platform::{self, FileId};
use crate::sqlite::MAGIC as SQLITE_MAGIC;

/// Bytes that are read at a time.
const READ_BYTES: usize = 256 << 10;
/// Bytes of text that the decompressing thread passes on at a time.
const CHUNK_BYTES: usize = 1 << 20;
/// Chunks that wait for their reader.
const CHUNKS: usize = 4;
/// The first bytes of a gzip member (RFC 1952 §2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// How a recording is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Lines.
    Plain,
    /// Lines in zstd frames.
    Zstd,
    /// Rows of a Parquet file, which are read as lines in the order in which they were received.
    Parquet,
}

/// A file as it was at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Which file it is.
    pub id: FileId,
    /// Its length in bytes.
    pub bytes: u64,
    changed: Option<SystemTime>,
}

impl Stamp {
    /// Returns the stamp of an open file, or of the file at a path.
    #[must_use]
    pub fn of(found: &Metadata) -> Self {
        let changed = found.modified().ok();
        Self { id: platform::file_id(found), bytes: found.len(), changed }
    }
}

/// Why a file can't be scrubbed.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// A symbolic link: the copy without deleted records would replace the link, not the file.
    #[error("it is a symbolic link: name the file itself, {}", .0.display())]
    Link(PathBuf),
    /// A directory.
    #[error("it is a directory: name the files in it")]
    Directory,
    /// A pipe, socket or device.
    #[error("it is {0}, which can't be rewritten: name a file")]
    NotRegular(&'static str),
    /// The copy would only replace one of its names.
    #[error(
        "it has {0} names (hard links), of which only one would be scrubbed: remove the others first"
    )]
    HardLinks(u64),
    /// There is nothing.
    #[error("there is no such file: check its name")]
    Missing,
    /// A SQLite database.
    #[error(
        "it is a SQLite database, and no recording: a database of --to sqlite:FILE applies deletes itself, and --markers-from FILE takes the deletes that it knows"
    )]
    Database,
    /// A gzip file.
    #[error("it looks like gzip, which skytail does not read: decompress it with gunzip first")]
    Gzip,
    /// The system can't open or read it.
    #[error("it can't be read: {0}")]
    Unreadable(io::Error),
}

impl From<io::Error> for InputError {
    fn from(cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            _ => Self::Unreadable(cause),
        }
    }
}

/// A recording that is open for reading.
#[derive(Debug)]
pub struct Input {
    /// The file.
    pub file: File,
    /// What it was when it was opened.
    pub stamp: Stamp,
    /// How it is stored.
    pub form: Form,
}

impl Input {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// [`InputError`].
    pub fn open(path: &Path) -> Result<Self, InputError> {
        let found = fs::symlink_metadata(path)?;
        if found.is_symlink() {
            let target = fs::canonicalize(path).or_else(|_| fs::read_link(path));
            return Err(InputError::Link(target?));
        }
        if found.is_dir() {
            return Err(InputError::Directory);
        }
        if !found.is_file() {
            return Err(InputError::NotRegular(platform::special_kind(&found.file_type())));
        }
        let mut file = paths::open_without_link(OpenOptions::new().read(true), path)?;
        let found = file.metadata()?;
        let names = platform::hard_links(&found);
        if names > 1 {
            return Err(InputError::HardLinks(names));
        }
        let mut head = Vec::new();
        (&file).take(SQLITE_MAGIC.len() as u64).read_to_end(&mut head)?;
        io::Seek::rewind(&mut &file)?;
        if head == SQLITE_MAGIC {
            return Err(InputError::Database);
        }
        if head.starts_with(&GZIP_MAGIC) {
            return Err(InputError::Gzip);
        }
        let form = match head.starts_with(&FRAME_MAGIC) {
            true => Form::Zstd,
            false if parquet::is_parquet(&mut file)? => Form::Parquet,
            false => Form::Plain,
        };
        Ok(Self { file, stamp: Stamp::of(&found), form })
    }

    /// Returns the lines of the file, decompressed, up to the length that it had when it was
    /// opened. Adds the bytes of the file to `progress` as they are read. A Parquet file is sorted
    /// in `temporary`.
    ///
    /// # Errors
    /// If the system has no memory or thread to decompress, or a Parquet file can't be read.
    pub fn lines(
        &self,
        progress: &Arc<AtomicU64>,
        temporary: &Path,
    ) -> io::Result<Box<dyn BufRead>> {
        let mut file = self.file.try_clone()?;
        io::Seek::rewind(&mut file)?;
        if self.form == Form::Parquet {
            progress.fetch_add(self.stamp.bytes, Ordering::Relaxed);
            return Ok(Box::new(BufReader::new(Events::read(file, temporary)?)));
        }
        let bytes = Counted { inner: file.take(self.stamp.bytes), read: Arc::clone(progress) };
        Ok(match self.form {
            Form::Zstd => Box::new(Decompressed::start(bytes)?),
            Form::Plain | Form::Parquet => Box::new(BufReader::with_capacity(READ_BYTES, bytes)),
        })
    }
}

/// Counts the bytes that are read.
struct Counted<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.inner.read(buffer)?;
        self.read.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

/// Text that another thread decompresses.
struct Decompressed {
    chunks: Receiver<io::Result<Vec<u8>>>,
    current: Vec<u8>,
    at: usize,
}

impl Decompressed {
    /// Starts to decompress `input`. The thread ends when this value is dropped.
    fn start(input: impl Read + Send + 'static) -> io::Result<Self> {
        let (sender, chunks) = sync_channel(CHUNKS);
        let work = move || {
            if let Err(error) = decompress(input, &sender) {
                // Without a receiver, the text is not needed any more.
                let _ = sender.send(Err(error));
            }
        };
        thread::Builder::new().name("decompress".into()).spawn(work)?;
        Ok(Self { chunks, current: Vec::new(), at: 0 })
    }
}

fn decompress(input: impl Read, sender: &SyncSender<io::Result<Vec<u8>>>) -> io::Result<()> {
    let mut decoder = zstd::stream::read::Decoder::new(input)?;
    loop {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        decoder.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk)?;
        if chunk.is_empty() || sender.send(Ok(chunk)).is_err() {
            return Ok(());
        }
    }
}

impl Read for Decompressed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?.read(buffer)?;
        self.consume(bytes);
        Ok(bytes)
    }
}

impl BufRead for Decompressed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at >= self.current.len() {
            // The thread ends after the last chunk.
            self.current = self.chunks.recv().unwrap_or_else(|_| Ok(Vec::new()))?;
            self.at = 0;
        }
        Ok(self.current.get(self.at..).unwrap_or_default())
    }

    fn consume(&mut self, bytes: usize) {
        self.at += bytes;
    }
}
