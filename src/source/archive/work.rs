//! The work of a sweep that happens beside it: tasks that fetch, and threads that decode. What
//! they bring is put in order by `sweep`.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::decode::{Lines, Summary, Taker, Toolbox, Wants};
use super::error::FetchError;
use super::segment::{Frames, Trouble, Volume};
use crate::archive::entry::BlockEntry;
use crate::archive::error::{BlockError, RowError};
use crate::metrics::Metrics;

/// Batches of one block that may wait for the blocks before it: all of a usual one.
pub(super) const WAITING_BATCHES: usize = 16;

/// What all work of a sweep has in common.
#[derive(Debug)]
pub(super) struct Common {
    pub wants: Wants,
    pub toolbox: Toolbox,
    pub metrics: Arc<Metrics>,
}

/// One block to be decoded.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub volume: Arc<Volume>,
    pub number: u32,
    /// What the index says of it, where there is one.
    pub entry: Option<BlockEntry>,
    /// Whether it is the last of its segment.
    pub is_last: bool,
}

impl Job {
    /// Its name, for people.
    pub(super) fn name(&self) -> String {
        let (name, number) = (&self.volume.planned.name, self.number);
        match &self.entry {
            Some(entry) => format!("{name}, block {number} at byte {}", entry.frame_at()),
            None => format!("{name}, block {number}"),
        }
    }
}

/// What comes of a block, in this order: `Begins`, any number of `Lines`, `Done`; or at once
/// `Done`, `Lost` or `Failed`.
#[derive(Debug)]
pub(super) enum Message {
    Begins {
        first: u64,
        last: u64,
    },
    Lines(Lines),
    Done(Summary),
    /// Damaged, though it was fetched twice.
    Lost(String),
    Failed(Trouble),
}

/// Hands on what a block holds.
struct Outlet {
    name: String,
    out: mpsc::Sender<Message>,
    metrics: Arc<Metrics>,
}

impl Taker for Outlet {
    fn begins(&mut self, first: u64, last: u64) -> bool {
        self.out.blocking_send(Message::Begins { first, last }).is_ok()
    }

    fn takes(&mut self, lines: Lines) -> bool {
        self.out.blocking_send(Message::Lines(lines)).is_ok()
    }

    fn misses(&mut self, error: &RowError) {
        self.metrics.received.add(1);
        self.metrics.malformed.add(1);
        let total = self.metrics.malformed.get();
        // Told often at first and ever more seldom.
        if crate::display::log_throttle::is_doubling(total) {
            tracing::warn!(total, "skipped a row that is no event: {}: {error}", self.name);
        }
    }
}

/// Decodes one block, and fetches it once more where it is damaged. Ends early where nobody
/// listens any more; a thread that it started has always ended then.
pub(super) async fn decode(
    common: Arc<Common>,
    job: Job,
    frame: Frame,
    out: mpsc::Sender<Message>,
) {
    let last_word = match try_decode(&common, &job, frame, &out).await {
        Ok(last_word) => last_word,
        Err(error) => {
            tracing::warn!("{}: {error}; fetching it once more", job.name());
            let again = tokio::select! {
                again = job.volume.block(job.number) => again,
                () = out.closed() => return,
            };
            match again {
                Ok(bytes) => {
                    let whole = 0..bytes.len();
                    let frame = Frame { bytes: Arc::new(bytes), place: whole };
                    // A rewritten segment has other frames for the same rows, and maybe fewer.
                    let job = Job { entry: None, ..job.clone() };
                    let again = try_decode(&common, &job, frame, &out).await;
                    again.unwrap_or_else(|error| Message::Lost(error.to_string()))
                }
                Err(Trouble::Fetch { source: error @ FetchError::TooLarge(_), .. }) => {
                    Message::Lost(error.to_string())
                }
                Err(trouble) => Message::Failed(trouble),
            }
        }
    };
    // Nobody may listen any more.
    let _ = out.send(last_word).await;
}

/// Bytes of a block within those that came with it.
#[derive(Debug)]
pub(super) struct Frame {
    pub bytes: Arc<Vec<u8>>,
    pub place: std::ops::Range<usize>,
}

async fn try_decode(
    common: &Arc<Common>,
    job: &Job,
    frame: Frame,
    out: &mpsc::Sender<Message>,
) -> Result<Message, BlockError> {
    let common = Arc::clone(common);
    let planned = &job.volume.planned;
    let bounds = (planned.min_seq, planned.max_seq);
    let entry = job.entry.clone();
    let mut outlet =
        Outlet { name: job.name(), out: out.clone(), metrics: Arc::clone(&common.metrics) };
    let work = move || {
        let mut tools = common.toolbox.take()?;
        let stored = frame.bytes.get(frame.place.clone()).unwrap_or_default();
        let decoded = tools.decode(stored, entry.as_ref(), bounds, &common.wants, &mut outlet);
        common.toolbox.put(tools);
        decoded
    };
    match spawn_blocking(work).await {
        Ok(decoded) => decoded.map(Message::Done),
        // The thread panicked, or the runtime is going away.
        Err(_) => {
            Ok(Message::Lost("decoding it failed unexpectedly; this is a bug in skytail".into()))
        }
    }
}

/// Fetches the frames of some blocks in a row.
pub(super) async fn fetch(
    volume: Arc<Volume>,
    blocks: std::ops::Range<u32>,
    is_by_number: bool,
) -> Result<Frames, Trouble> {
    if !is_by_number {
        return volume.frames(blocks).await;
    }
    let bytes = volume.block(blocks.start).await?;
    Ok(Frames::one(bytes))
}
