//! The server of `tail --demo`: it serves a synthetic recording in this process on a loopback
//! port. The run tails it over a real WebSocket, as any other server.

use std::sync::mpsc;
use std::thread::JoinHandle;

use anyhow::Context as _;
use tokio::sync::oneshot;

use crate::position::{Seq, ServerKind};
use crate::serve::{self, Rate, ServeSettings, Server, demo};
use crate::source::endpoint::{self, Endpoint};

/// The seed of the events. It is fixed, so that a second run can resume where the first stopped.
const SEED: u64 = 20_261_123;

/// The time of the last event, in Unix microseconds; the server moves all times to now.
/// It is fixed because record keys and revisions are made from times.
const END_US: u64 = 1_767_225_600_000_000;

/// Events in the recording: about ten seconds at its own speed.
const EVENTS: usize = 6_000;

/// Events before the start of the demo: `--cursor oldest` replays them.
const HISTORY_EVENTS: u64 = 1_000;

/// Events in a segment: few enough for the archive to hold a part of the replayed events.
const SEGMENT_EVENTS: u64 = 500;
const BLOCK_EVENTS: usize = 100;

/// What the server does at the end of the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtEnd {
    /// Closes the connections.
    Close,
    /// Starts again.
    Loop,
}

/// The running demo server.
#[derive(Debug)]
pub struct DemoServer {
    endpoint: Endpoint,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl DemoServer {
    /// Starts the server. With `after`, the last event of an earlier run, all events up to it are
    /// already replayable.
    ///
    /// # Errors
    /// If the system has no loopback port or no thread for it.
    pub fn start(after: Option<Seq>, at_end: AtEnd) -> anyhow::Result<Self> {
        let past_events = after.map_or(0, |seq| (seq.0 + 1).saturating_sub(demo::FIRST_SEQ));
        let settings = ServeSettings {
            listen: ([127, 0, 0, 1], 0).into(),
            kind: Some(ServerKind::V2),
            rate: Rate::Speed(1.0),
            restamp: true,
            segment_events: SEGMENT_EVENTS,
            block_events: BLOCK_EVENTS,
            history_events: HISTORY_EVENTS.max(past_events).min(EVENTS as u64),
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
        // The label is part of the saved position, and the port is different in each run.
        Ok(Self { endpoint: Endpoint { label: "demo".into(), ..endpoint }, stop, thread })
    }

    /// Returns the address of the server.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    /// Stops the server, and waits for its thread.
    pub fn stop(self) {
        let _ = self.stop.send(());
        if self.thread.join().is_err() {
            tracing::error!("the demo server failed unexpectedly; this is a bug in skytail");
        }
    }
}
