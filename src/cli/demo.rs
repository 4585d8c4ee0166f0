//! The server behind `tail --demo`: a synthetic recording, served in-process on a loopback
//! port, and tailed over a real WebSocket like any other server.

use std::sync::mpsc;
use std::thread::JoinHandle;

use anyhow::Context as _;
use tokio::sync::oneshot;

use crate::position::{Seq, ServerKind};
use crate::serve::{self, Rate, ServeSettings, Server, demo};
use crate::source::endpoint::{self, Endpoint};

/// The same events each time, so that a second run can go on where the first one stopped.
const SEED: u64 = 20_261_123;

/// When its last event happened, in Unix microseconds; the server moves all times to now.
/// Fixed, since keys and revisions are made from times.
const END_US: u64 = 1_767_225_600_000_000;

/// Events in the recording: about ten seconds at the speed it was made for.
const EVENTS: usize = 6_000;

/// Events that have happened when the demo begins: what `--cursor oldest` replays.
const HISTORY_EVENTS: u64 = 1_000;

/// Events in a segment, so that what has happened is in the archive, and in one of its blocks.
const SEGMENT_EVENTS: u64 = 500;
const BLOCK_EVENTS: usize = 100;

/// What the demo does at the end of its recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtEnd {
    /// It ends.
    Close,
    /// It begins again.
    Loop,
}

/// The running demo server.
#[derive(Debug)]
pub struct Demo {
    endpoint: Endpoint,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Demo {
    /// Starts the server. With `after`, the last event of an earlier run, everything up to it
    /// has happened.
    ///
    /// # Errors
    /// Where the system gives no loopback port or no thread.
    pub fn start(after: Option<Seq>, at_end: AtEnd) -> anyhow::Result<Self> {
        let seen = after.map_or(0, |seq| (seq.0 + 1).saturating_sub(demo::FIRST_SEQ));
        let settings = ServeSettings {
            listen: ([127, 0, 0, 1], 0).into(),
            kind: Some(ServerKind::V2),
            rate: Rate::Speed(1.0),
            restamp: true,
            segment_events: SEGMENT_EVENTS,
            block_events: BLOCK_EVENTS,
            history_events: HISTORY_EVENTS.max(seen).min(EVENTS as u64),
            looping: at_end == AtEnd::Loop,
            at_end: serve::AtEnd::Close,
            ..ServeSettings::default()
        };
        let recording = demo::recording(SEED, EVENTS, END_US);
        let (stop, stopped) = oneshot::channel();
        let (ready, address) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("demo".into())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let run = runtime.map(|runtime| {
                    runtime.block_on(async {
                        let server = serve::bind(settings, recording).await;
                        let bound = server.as_ref().map(Server::local_addr);
                        let _ = ready.send(bound.map_err(ToString::to_string));
                        if let Ok(server) = server {
                            let stop = async { drop(stopped.await) };
                            if let Err(error) = server.run(stop).await {
                                tracing::error!("the demo server failed: {error}");
                            }
                        }
                    });
                });
                if let Err(error) = run {
                    tracing::error!("the demo server can't start: {error}");
                }
            })
            .context("start the demo server")?;
        let address = address.recv().context("the demo server did not start")?;
        let address = address.map_err(anyhow::Error::msg).context("start the demo server")?;
        let endpoint = endpoint::parse(&format!("ws://{address}")).context("the demo server")?;
        // The port changes from run to run; the recording and its sequence numbers do not.
        Ok(Self { endpoint: Endpoint { label: "demo".into(), ..endpoint }, stop, thread })
    }

    /// The server to tail.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    /// Stops the server and waits until it has.
    pub fn stop(self) {
        let _ = self.stop.send(());
        if self.thread.join().is_err() {
            tracing::error!("the demo server failed unexpectedly; this is a bug in skytail");
        }
    }
}
