//! One sweep through the archive: page by page, with some downloads and some decoding at once,
//! and everything handed on in the order of seqs.
//!
//! Three short queues, each in order: pieces being fetched, blocks cut out of the piece in
//! front, blocks being decoded. Only the block in front is listened to; those behind it wait
//! when their own little queue is full, and so no order of events can lock the sweep up.

mod holes;
mod loss;
mod pieces;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::decode::{Lines, Summary, Toolbox, Wants, seq};
use super::fetch::Way;
use super::list::{self, Hole};
use super::plan::{self, Page, Planned, Wish};
use super::segment::{Frames, Generation, Trouble, Volume};
use super::work::{Common, Frame, Job, Message};
use super::{Beginning, Step, SweepError};
use crate::event::format::EventFormat;
use crate::filter::Filter;
use crate::position::{EventPosition, TimeUs};

/// A sweep on its way.
#[derive(Debug)]
pub struct Sweep {
    way: Arc<Way>,
    common: Arc<Common>,
    parallelism: usize,
    /// The sealed tip when the sweep began. What is sealed meanwhile is the stream's.
    tip: u64,
    /// How far the page in hand goes.
    through: u64,
    /// Everything up to here was handed on.
    done: u64,
    volumes: VecDeque<Planned>,
    opening: Option<Opening>,
    pieces: VecDeque<Piece>,
    fetching: VecDeque<Fetching>,
    cut: VecDeque<(Job, Result<Frame, Message>)>,
    decoding: VecDeque<Decoding>,
    /// The highest seq of the block before.
    last_block_seq: u64,
    /// Whether the instant was reached that the sweep begins with.
    is_late: bool,
    latest: TimeUs,
    /// A gap whose other end is not known yet.
    open_gap: Option<(u64, String)>,
    /// What to ask the planner for.
    wish: Wish,
    /// Everything up to here was planned, or is in `holes`.
    planned: u64,
    /// Stretches that the plan leaves out and that were not reported yet, ascending.
    holes: VecDeque<Hole>,
}

#[derive(Debug)]
enum Opening {
    Task(Arc<Volume>, JoinHandle<Result<Arc<Generation>, Trouble>>),
    /// The plan names its blocks.
    Named(Arc<Volume>),
}

/// Some blocks in a row.
#[derive(Debug)]
struct Piece {
    volume: Arc<Volume>,
    blocks: Range<u32>,
    is_by_number: bool,
    is_last: bool,
}

#[derive(Debug)]
struct Fetching {
    piece: Piece,
    task: JoinHandle<Result<Frames, Trouble>>,
}

#[derive(Debug)]
struct Decoding {
    job: Job,
    messages: mpsc::Receiver<Message>,
    task: Option<JoinHandle<()>>,
}

enum News {
    Opened(Result<Arc<Generation>, Trouble>),
    Named,
    Fetched(Result<Frames, Trouble>),
    Message(Message),
    Broken,
    /// The page is done.
    Nothing,
}

impl Sweep {
    /// Begins a sweep: plans its first page.
    ///
    /// # Errors
    /// [`SweepError`].
    pub async fn begin(
        way: Arc<Way>,
        beginning: Beginning,
        filter: Filter,
        shape: EventFormat,
        parallelism: usize,
    ) -> Result<Self, SweepError> {
        let (after, since) = match beginning {
            Beginning::After(after) => (after, None),
            Beginning::Since(instant) => {
                let after = list::seq_before(&way, instant).await;
                (after.map_err(|e| SweepError::of_list("listSegments", e))?, Some(instant))
            }
        };
        let mut wish = Wish::of(&filter);
        let page = plan::page(&way, &mut wish, after, None).await;
        let page = page.map_err(|e| SweepError::of_list("planSnapshot", e))?;
        let tip = page.sealed_tip_seq;
        let wants = Wants { filter, shape, after, up_to: tip, since };
        let metrics = Arc::clone(&way.metrics);
        metrics.backfill.begin(after, tip);
        let common = Common { wants, toolbox: Toolbox::default(), metrics };
        let mut sweep = Self {
            way,
            common: Arc::new(common),
            parallelism: parallelism.max(1),
            tip,
            through: after,
            done: after,
            volumes: VecDeque::new(),
            opening: None,
            pieces: VecDeque::new(),
            fetching: VecDeque::new(),
            cut: VecDeque::new(),
            decoding: VecDeque::new(),
            last_block_seq: 0,
            is_late: since.is_none(),
            latest: TimeUs(0),
            open_gap: None,
            wish,
            planned: after,
            holes: VecDeque::new(),
        };
        sweep.take_page(page).await;
        Ok(sweep)
    }

    /// The sealed tip that the sweep leads to; 0 for an empty archive.
    #[must_use]
    pub fn tip(&self) -> u64 {
        self.tip
    }

    /// What comes next; `None` at the end. Cancel-safe.
    ///
    /// # Errors
    /// [`SweepError`]. What came before it stays true.
    pub async fn next(&mut self) -> Result<Option<Step>, SweepError> {
        loop {
            self.employ();
            let step = match self.news().await {
                News::Broken => return Err(SweepError::Broken),
                News::Opened(opened) => {
                    self.opened(opened);
                    None
                }
                News::Named => {
                    self.named();
                    None
                }
                News::Fetched(fetched) => {
                    self.fetched(fetched);
                    None
                }
                News::Message(message) => self.heard(message)?,
                News::Nothing => match self.page_is_done() {
                    Some(mut step) => {
                        self.find_time(&mut step).await;
                        Some(step)
                    }
                    None if self.through >= self.tip => return Ok(None),
                    None => {
                        self.next_page().await?;
                        None
                    }
                },
            };
            if step.is_some() {
                return Ok(step);
            }
        }
    }

    /// Ends everything that was started, and waits until it has.
    pub async fn end(mut self) {
        self.common.metrics.backfill.end();
        let mut tasks = Vec::new();
        if let Some(Opening::Task(_, task)) = self.opening.take() {
            task.abort();
            // An aborted task ends with an error, which is what was wanted.
            let _ = task.await;
        }
        for fetching in self.fetching.drain(..) {
            fetching.task.abort();
            let _ = fetching.task.await;
        }
        // Threads can't be aborted: they end when nobody listens.
        tasks.extend(self.decoding.drain(..).filter_map(|decoding| decoding.task));
        for task in tasks {
            let _ = task.await;
        }
    }

    async fn next_page(&mut self) -> Result<(), SweepError> {
        let (after, tip) = (self.through, Some(self.tip));
        let page = plan::page(&self.way, &mut self.wish, after, tip).await;
        self.take_page(page.map_err(|e| SweepError::of_list("planSnapshot", e))?).await;
        Ok(())
    }

    async fn take_page(&mut self, page: Page) {
        self.find_holes(&page).await;
        self.through = self.through.max(page.planned_through_seq);
        self.common.metrics.backfill.segments.add(page.segments.len() as u64);
        self.volumes = page.segments.into();
    }

    /// Everything that the page names was handed on.
    fn page_is_done(&mut self) -> Option<Step> {
        if let Some(step) = self.missing_before(self.through + 1) {
            return Some(step);
        }
        if self.through <= self.done {
            return None;
        }
        self.done = self.through;
        self.common.metrics.backfill.at_seq.set(self.done);
        let through = seq(self.done).map(|seq| EventPosition { time: self.latest, seq: Some(seq) });
        Some(Step { through, ..Step::default() })
    }

    /// Where no row has shown the time, the list of segments knows it: a position without a
    /// time would have another server begin at its very beginning. Not worth failing for.
    async fn find_time(&mut self, step: &mut Step) {
        let Some(EventPosition { time: TimeUs(0), seq: Some(seq) }) = step.through else { return };
        match list::time_at(&self.way, seq.0).await {
            Ok(time) => {
                self.latest = time;
                step.through = Some(EventPosition { time, seq: Some(seq) });
            }
            Err(error) => tracing::debug!("listSegments: {error}"),
        }
    }

    async fn news(&mut self) -> News {
        let Self { opening, pieces, fetching, cut, decoding, .. } = self;
        let may_open = pieces.is_empty();
        if may_open && matches!(opening, Some(Opening::Named(_))) {
            return News::Named;
        }
        tokio::select! {
            biased;
            opened = opened(opening), if may_open && opening.is_some() => match opened {
                Ok(opened) => News::Opened(opened),
                Err(_) => News::Broken,
            },
            fetched = async { match fetching.front_mut() {
                Some(front) => (&mut front.task).await,
                None => std::future::pending().await,
            } }, if cut.is_empty() && !fetching.is_empty() => match fetched {
                Ok(fetched) => News::Fetched(fetched),
                Err(_) => News::Broken,
            },
            message = async { match decoding.front_mut() {
                Some(front) => front.messages.recv().await,
                None => std::future::pending().await,
            } }, if !decoding.is_empty() => message.map_or(News::Broken, News::Message),
            else => News::Nothing,
        }
    }

    /// A word about the block in front.
    fn heard(&mut self, message: Message) -> Result<Option<Step>, SweepError> {
        match message {
            Message::Begins { first, last } => Ok(self.begins(first, last)),
            Message::Lines(lines) => Ok(self.lines(lines)),
            Message::Done(summary) => {
                let job = self.decoding.pop_front().map(|decoding| decoding.job);
                Ok(self.finished(summary, job))
            }
            Message::Lost(why) => Ok(self.lost(&why)),
            Message::Failed(Trouble::Damaged { source, .. }) => {
                Ok(self.lost_segment(&source.to_string()))
            }
            Message::Failed(Trouble::Fetch { source, .. })
                if matches!(source, super::error::FetchError::TooLarge(_)) =>
            {
                Ok(self.lost(&source.to_string()))
            }
            Message::Failed(trouble) => Err(trouble.into()),
        }
    }

    fn begins(&mut self, first: u64, last: u64) -> Option<Step> {
        if first <= self.last_block_seq {
            let why = format!(
                "it begins with seq {first}, and the block before ends with seq {}",
                self.last_block_seq
            );
            return self.lost(&why);
        }
        self.last_block_seq = last;
        // mutant: passes-what-is-on-its-way
        self.missing_before(first)
    }

    fn lines(&mut self, lines: Lines) -> Option<Step> {
        let Lines { mut batch, late_from } = lines;
        if !self.is_late {
            let early = late_from.unwrap_or(batch.len());
            self.is_late = late_from.is_some();
            self.common.metrics.received.add(early as u64);
            self.common.metrics.early.add(early as u64);
            batch.remove_first(early);
        }
        (!batch.is_empty()).then(|| Step { batch, ..Step::default() })
    }

    fn finished(&mut self, summary: Summary, job: Option<Job>) -> Option<Step> {
        let metrics = &self.common.metrics;
        metrics.received.add(summary.unwanted);
        metrics.filtered.add(summary.unwanted);
        self.is_late |= summary.is_late;
        if job.is_some_and(|job| job.is_last) {
            metrics.backfill.segments_done.add(1);
        }
        let last = summary.last?;
        self.latest = self.latest.max(last.time);
        self.done = self.done.max(last.seq.map_or(0, |seq| seq.0));
        metrics.backfill.at_seq.set(self.done);
        let through = seq(self.done).map(|seq| EventPosition { time: self.latest, seq: Some(seq) });
        Some(Step { through, ..Step::default() })
    }
}

/// Waits for the segment that is being opened.
async fn opened(
    opening: &mut Option<Opening>,
) -> Result<Result<Arc<Generation>, Trouble>, tokio::task::JoinError> {
    match opening {
        Some(Opening::Task(_, task)) => task.await,
        _ => std::future::pending().await,
    }
}
