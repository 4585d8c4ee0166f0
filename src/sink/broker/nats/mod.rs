//! NATS JetStream. A thread with a runtime of its own connects, publishes in order, and answers the
//! server's pings while the writer is idle.

mod options;
mod publisher;
mod session;

use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use super::BrokerSettings;
use super::error::BrokerError;
use super::in_flight::InFlight;
use super::offsets::Offsets;

use options::Options;
use publisher::Publisher;

/// The handle of the thread. Dropping it ends the thread and forgets unacknowledged messages.
#[derive(Debug)]
pub struct NatsClient {
    close: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl NatsClient {
    /// Connects and starts to take messages from `in_flight`. `known` has the end offset of an
    /// earlier run's checkpoint; later messages are read back and not published again. Returns the
    /// current end offset of the stream.
    ///
    /// # Errors
    /// [`BrokerError`] if no server answers for some seconds, or if a server refuses.
    pub fn connect(
        settings: &BrokerSettings,
        known: &Offsets,
        in_flight: Arc<InFlight>,
    ) -> Result<(Self, Offsets), BrokerError> {
        let options = Options::new(settings)?;
        let publisher = Publisher::new(options, known.get(&0).copied(), Arc::clone(&in_flight));
        let (close, closed) = oneshot::channel();
        let (opened, open) = mpsc::sync_channel(1);
        let work = move || run(publisher, &opened, closed, &in_flight);
        let thread = std::thread::Builder::new().name("nats".to_owned()).spawn(work);
        let thread = thread.map_err(|cause| system("start a thread", &cause))?;
        let client = Self { close: Some(close), thread: Some(thread) };
        let lost = |_| Err(broken("its thread ended unexpectedly"));
        let end = open.recv().unwrap_or_else(lost)?;
        Ok((client, Offsets::from([(0, end)])))
    }
}

impl Drop for NatsClient {
    fn drop(&mut self) {
        drop(self.close.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

type Opened = mpsc::SyncSender<Result<u64, BrokerError>>;

/// Runs the thread.
fn run(
    mut publisher: Publisher,
    opened: &Opened,
    closed: oneshot::Receiver<()>,
    in_flight: &InFlight,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(cause) => {
            let _ = opened.send(Err(system("start the runtime", &cause)));
            return;
        }
    };
    let failure = runtime.block_on(async {
        let work = async {
            match publisher.open().await {
                Ok((session, end)) => {
                    // The receiver exists: the caller blocks until this message.
                    let _ = opened.send(Ok(end));
                    publisher.run(session).await
                }
                Err(error) => {
                    let _ = opened.send(Err(error.clone()));
                    error
                }
            }
        };
        tokio::select! {
            biased;
            _ = closed => None,
            failure = work => Some(failure),
        }
    });
    // A DNS lookup can't be interrupted, and its result is not needed any more.
    runtime.shutdown_timeout(Duration::ZERO);
    in_flight.fail(failure.unwrap_or_else(|| broken("it was closed")));
}

fn system(what: &'static str, cause: &std::io::Error) -> BrokerError {
    BrokerError::System { what, cause: cause.to_string() }
}

fn broken(cause: &str) -> BrokerError {
    BrokerError::Broken { broker: "NATS".to_owned(), cause: cause.to_owned() }
}
