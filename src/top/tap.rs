//! The end of a pipeline that counts lines instead of writing them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::aggregate::{Aggregate, LineReader};
use crate::event::batch::Lines;
use crate::sink::Taker;

/// A board that is counted on and looked at by two threads.
#[derive(Clone, Debug)]
pub struct SharedAggregate {
    aggregate: Arc<Mutex<Aggregate>>,
    began: Instant,
}

impl SharedAggregate {
    /// With nothing on it, made now.
    #[must_use]
    pub fn new(window: Duration) -> Self {
        Self { aggregate: Arc::new(Mutex::new(Aggregate::new(window))), began: Instant::now() }
    }

    /// The board, and what has passed since it was made.
    pub fn lock(&self) -> (MutexGuard<'_, Aggregate>, Duration) {
        // A panic in between leaves one event half counted.
        let aggregate = self.aggregate.lock().unwrap_or_else(PoisonError::into_inner);
        (aggregate, self.began.elapsed())
    }
}

/// Counts the lines of a pipeline.
#[derive(Debug)]
pub struct AggregateTap {
    aggregate: SharedAggregate,
    reader: LineReader,
}

impl AggregateTap {
    /// On this board.
    #[must_use]
    pub fn new(aggregate: &SharedAggregate) -> Self {
        Self { aggregate: aggregate.clone(), reader: LineReader::default() }
    }
}

impl Taker for AggregateTap {
    fn take(&mut self, lines: &Lines) {
        let (mut aggregate, at) = self.aggregate.lock();
        for line in lines.iter() {
            aggregate.add(&self.reader, line, at);
        }
    }
}
