//! A sink tap that counts the lines of a pipeline instead of writing them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::aggregate::{Aggregate, LineReader};
use super::latest::SharedLatest;
use crate::event::batch::CompactBatch;
use crate::sink::Tap;

/// An aggregate that is shared by the pipeline and the screen.
#[derive(Clone, Debug)]
pub struct SharedAggregate {
    aggregate: Arc<Mutex<Aggregate>>,
    created: Instant,
}

impl SharedAggregate {
    /// Creates an empty aggregate; its time starts now.
    #[must_use]
    pub fn new(window: Duration) -> Self {
        Self { aggregate: Arc::new(Mutex::new(Aggregate::new(window))), created: Instant::now() }
    }

    /// Locks the aggregate; also returns the time since its creation.
    pub fn lock(&self) -> (MutexGuard<'_, Aggregate>, Duration) {
        // At worst, a panic leaves one event partially counted.
        let aggregate = self.aggregate.lock().unwrap_or_else(PoisonError::into_inner);
        (aggregate, self.created.elapsed())
    }
}

/// Counts the lines of a pipeline.
#[derive(Debug)]
pub struct AggregateTap {
    aggregate: SharedAggregate,
    latest: Option<SharedLatest>,
    reader: LineReader,
}

impl AggregateTap {
    /// Creates a tap that counts into `aggregate`.
    #[must_use]
    pub fn new(aggregate: &SharedAggregate) -> Self {
        Self { aggregate: aggregate.clone(), latest: None, reader: LineReader::default() }
    }

    /// Also keeps the latest events in `latest`.
    #[must_use]
    pub fn with_latest(mut self, latest: &SharedLatest) -> Self {
        self.latest = Some(latest.clone());
        self
    }
}

impl Tap for AggregateTap {
    fn observe(&mut self, lines: &CompactBatch) {
        let (mut aggregate, at) = self.aggregate.lock();
        let mut latest = self.latest.as_ref().map(SharedLatest::lock);
        for (i, line) in lines.iter().enumerate() {
            // The dedup stage has parsed every line that it emits.
            let Some(header) = lines.header(i).map(|spans| spans.header(line)) else { continue };
            aggregate.add_event(&self.reader, &header, line, at);
            if let Some(latest) = &mut latest {
                latest.add(&header, line);
            }
        }
    }
}
