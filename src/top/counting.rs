//! The end of a pipeline that counts lines instead of writing them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::board::{Board, Reader};
use crate::event::batch::Lines;
use crate::sink::Taker;

/// A board that is counted on and looked at by two threads.
#[derive(Clone, Debug)]
pub struct Shared {
    board: Arc<Mutex<Board>>,
    began: Instant,
}

impl Shared {
    /// With nothing on it, made now.
    #[must_use]
    pub fn new(window: Duration) -> Self {
        Self { board: Arc::new(Mutex::new(Board::new(window))), began: Instant::now() }
    }

    /// The board, and what has passed since it was made.
    pub fn lock(&self) -> (MutexGuard<'_, Board>, Duration) {
        // A panic in between leaves one event half counted.
        let board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        (board, self.began.elapsed())
    }
}

/// Counts the lines of a pipeline.
#[derive(Debug)]
pub struct Counting {
    board: Shared,
    reader: Reader,
}

impl Counting {
    /// On this board.
    #[must_use]
    pub fn on(board: &Shared) -> Self {
        Self { board: board.clone(), reader: Reader::default() }
    }
}

impl Taker for Counting {
    fn take(&mut self, lines: &Lines) {
        let (mut board, at) = self.board.lock();
        for line in lines.iter() {
            board.add(&self.reader, line, at);
        }
    }
}
