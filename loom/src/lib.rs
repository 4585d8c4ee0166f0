//! Models of the hand-off between reader and writer (`src/pipeline/handoff`), which loom runs
//! in every interleaving with at most four preemptions. `.ci/loom` runs them, and checks that
//! each hand-off that it breaks on purpose fails one of them.

#[path = "../../src/pipeline/handoff/mod.rs"]
pub mod handoff;
#[cfg(test)]
mod models;

/// Loom's counterparts of `src/pipeline/sync.rs`.
mod sync {
    use std::future::{Future, poll_fn};
    pub use std::sync::PoisonError;
    use std::task::{Poll, Waker};

    pub use loom::sync::{Condvar, Mutex, MutexGuard};

    /// Tokio's `Notify` for one waiting task: a wake-up without a waiting task is stored.
    #[derive(Debug)]
    pub struct Notify(Mutex<Notified>);

    #[derive(Debug)]
    struct Notified {
        permit: bool,
        waiting: Option<Waker>,
    }

    impl Notify {
        pub fn new() -> Self {
            Self(Mutex::new(Notified { permit: false, waiting: None }))
        }

        pub fn notify_one(&self) {
            let mut notified = self.0.lock().unwrap();
            notified.permit = true;
            let waiting = notified.waiting.take();
            drop(notified);
            if let Some(waker) = waiting {
                waker.wake();
            }
        }

        pub fn notified(&self) -> impl Future<Output = ()> {
            poll_fn(|context| {
                let mut notified = self.0.lock().unwrap();
                if std::mem::take(&mut notified.permit) {
                    return Poll::Ready(());
                }
                notified.waiting = Some(context.waker().clone());
                Poll::Pending
            })
        }
    }
}
