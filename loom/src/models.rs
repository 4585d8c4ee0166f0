use std::collections::VecDeque;
use std::time::{Duration, Instant};

use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use loom::thread;

use crate::handoff::inline_writer::{BatchWriter, SharedWriter};
use crate::handoff::{Closed, Handoff, Queue};

#[derive(Default)]
struct Numbers(VecDeque<u32>);

impl Queue for Numbers {
    type Item = u32;

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn pop(&mut self) -> Option<u32> {
        self.0.pop_front()
    }
}

/// Writes numbers to a list, which the thread returns at its end.
struct List {
    written: Vec<u32>,
    count: Arc<AtomicUsize>,
    /// What an inline write left.
    rest: Option<u32>,
    /// The output takes this number only from the thread.
    blocks_at: u32,
    /// The writer ends after this number.
    ends_at: u32,
}

impl List {
    fn push(&mut self, number: u32) -> Option<()> {
        self.written.push(number);
        self.count.fetch_add(1, SeqCst);
        Some(())
    }
}

impl BatchWriter for List {
    type Item = u32;
    type Batch = ();
    type Output = Vec<u32>;

    fn on_idle(&mut self) -> Instant {
        // Loom's clock stands still: only a wake-up ends a wait.
        Instant::now() + Duration::from_secs(3_600)
    }

    fn has_ended(&self) -> bool {
        self.written.last() == Some(&self.ends_at)
    }

    fn write(&mut self, number: u32) -> Option<()> {
        assert_eq!(self.rest, None, "a queued item overtakes the rest of an inline write");
        self.push(number)
    }

    fn can_write_inline(&self) -> bool {
        self.rest.is_none() && !self.has_ended()
    }

    fn write_inline(&mut self, number: u32) -> Option<()> {
        if number == self.blocks_at {
            self.rest = Some(number);
            return None;
        }
        self.push(number)
    }

    fn resume(&mut self) -> Option<()> {
        let number = self.rest.take()?;
        self.push(number)
    }

    fn finish(&mut self) -> Vec<u32> {
        assert_eq!(self.rest, None, "the rest of an inline write is lost");
        std::mem::take(&mut self.written)
    }
}

/// Both sides, the thread running.
struct Model {
    handoff: Arc<Handoff<Numbers>>,
    writer: Arc<SharedWriter<List>>,
    count: Arc<AtomicUsize>,
    thread: thread::JoinHandle<Option<Vec<u32>>>,
}

impl Model {
    fn start(blocks_at: u32, ends_at: u32) -> Self {
        let count = Arc::new(AtomicUsize::new(0));
        let (written, rest) = (Vec::new(), None);
        let list = List { written, count: Arc::clone(&count), rest, blocks_at, ends_at };
        let writer = Arc::new(SharedWriter::new(list));
        let handoff = Arc::new(Handoff::new(Numbers::default()));
        let (theirs, queue) = (Arc::clone(&writer), Arc::clone(&handoff));
        let thread = thread::spawn(move || {
            let output = theirs.run(&queue, drop);
            queue.close_writer();
            output
        });
        Self { handoff, writer, count, thread }
    }

    fn send(&self, number: u32) -> Result<(), Closed> {
        self.handoff.send_with(|queue| queue.0.push_back(number))
    }

    /// Passes a number on as the reader does: inline if that is possible, or else queued.
    fn forward(&self, number: u32) -> Result<(), Closed> {
        match self.writer.try_inline(&self.handoff, 1) {
            Some(inline) => {
                inline.write(number);
                Ok(())
            }
            None => self.send(number),
        }
    }

    fn end(self) -> Option<Vec<u32>> {
        self.handoff.close_reader();
        self.thread.join().unwrap()
    }
}

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(4);
    builder.check(model);
}

#[test]
fn each_item_is_written_once_and_in_order() {
    check(|| {
        let model = Model::start(2, 0);
        for number in 1..=3 {
            model.forward(number).unwrap();
        }
        assert_eq!(model.end(), Some(vec![1, 2, 3]));
    });
}

#[test]
fn queued_items_are_not_overtaken_by_an_inline_write() {
    check(|| {
        let model = Model::start(0, 0);
        model.send(1).unwrap();
        model.forward(2).unwrap();
        assert_eq!(model.end(), Some(vec![1, 2]));
    });
}

#[test]
fn drained_means_written() {
    check(|| {
        let model = Model::start(2, 0);
        model.send(1).unwrap();
        model.forward(2).unwrap();
        assert_eq!(block_on(model.handoff.drained()), Ok(()));
        assert_eq!(model.count.load(SeqCst), 2);
        assert_eq!(model.end(), Some(vec![1, 2]));
    });
}

#[test]
fn a_reader_that_waits_for_room_is_woken() {
    check(|| {
        let model = Model::start(0, 0);
        for number in 1..=2 {
            block_on(model.handoff.wait_until(Numbers::is_empty)).unwrap();
            model.send(number).unwrap();
        }
        assert_eq!(model.end(), Some(vec![1, 2]));
    });
}

#[test]
fn a_writer_that_ends_does_not_leave_the_reader_waiting() {
    check(|| {
        let model = Model::start(0, 1);
        let _ = model.forward(1);
        let _ = model.forward(2);
        let drained = block_on(model.handoff.drained());
        assert!(drained == Err(Closed) || model.count.load(SeqCst) == 1);
        assert_eq!(model.end(), Some(vec![1]));
    });
}
