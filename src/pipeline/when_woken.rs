//! A future that is polled only after it was woken.
//!
//! `select!` polls all its futures whenever one of them wakes the task. The reader's task waits for
//! signals, timers, changes of the filter and much else, and events that come one by one wake it
//! thousands of times a second: to poll everything with each event took a third of the instructions
//! of an event (docs/internals/performance.md).

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// Passes a poll on to a pinned future if that future was woken since the last one, or was never
/// polled.
#[derive(Debug)]
pub(super) struct WhenWoken<'a, F> {
    future: Pin<&'a mut F>,
    wakes: Arc<Wakes>,
    /// Wakes `wakes`.
    waker: Waker,
}

#[derive(Debug)]
struct Wakes {
    is_woken: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Before the task: it may look at once.
        self.is_woken.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl<'a, F: Future> WhenWoken<'a, F> {
    /// Returns a future that completes as `future` does.
    pub(super) fn new(future: Pin<&'a mut F>) -> Self {
        let wakes = Arc::new(Wakes { is_woken: AtomicBool::new(true), task: AtomicWaker::new() });
        Self { future, waker: Waker::from(Arc::clone(&wakes)), wakes }
    }

    /// Replaces the future.
    pub(super) fn set(&mut self, future: F) {
        self.future.set(future);
        self.wakes.is_woken.store(true, Ordering::Release);
    }
}

impl<F: Future> Future for WhenWoken<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // Before the check: a wake between the two reaches the task.
        self.wakes.task.register(context.waker());
        if !self.wakes.is_woken.load(Ordering::Acquire)
            || !self.wakes.is_woken.swap(false, Ordering::AcqRel)
        {
            return Poll::Pending;
        }
        let Self { future, waker, .. } = &mut *self;
        future.as_mut().poll(&mut Context::from_waker(waker))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;

    use tokio::sync::Notify;

    use super::*;

    /// Counts the polls of a future.
    async fn counted<F: Future>(polls: &Cell<u32>, future: F) -> F::Output {
        let mut future = pin!(future);
        std::future::poll_fn(|context| {
            polls.set(polls.get() + 1);
            future.as_mut().poll(context)
        })
        .await
    }

    #[test]
    fn a_future_is_polled_once_and_then_only_when_it_is_woken() {
        let (polls, notify) = (Cell::new(0), Notify::new());
        let mut waiting = pin!(counted(&polls, notify.notified()));
        let mut waiting = WhenWoken::new(waiting.as_mut());
        let mut context = Context::from_waker(Waker::noop());
        let mut poll = || Pin::new(&mut waiting).poll(&mut context).is_ready();
        assert!(!poll() && !poll() && !poll());
        assert_eq!(polls.get(), 1);
        notify.notify_one();
        assert!(poll());
        assert_eq!(polls.get(), 2);
    }

    #[test]
    fn a_future_that_replaces_another_is_polled() {
        let (first, second) = (Cell::new(0), Cell::new(0));
        let pending = |polls| counted(polls, std::future::pending::<()>());
        let mut waiting = pin!(pending(&first));
        let mut waiting = WhenWoken::new(waiting.as_mut());
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut waiting).poll(&mut context).is_pending());
        waiting.set(pending(&second));
        assert!(Pin::new(&mut waiting).poll(&mut context).is_pending());
        assert_eq!((first.get(), second.get()), (1, 1));
    }

    #[test]
    fn no_wake_from_another_thread_is_missed() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for _ in 0..2_000 {
            let notify = Arc::new(Notify::new());
            let other = Arc::clone(&notify);
            let thread = std::thread::spawn(move || other.notify_one());
            runtime.block_on(async {
                let mut waiting = pin!(notify.notified());
                WhenWoken::new(waiting.as_mut()).await;
            });
            thread.join().unwrap();
        }
    }
}
