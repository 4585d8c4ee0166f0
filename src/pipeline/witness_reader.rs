//! Reads the witness: chooses the server that is compared with the one in use, and runs a second
//! [`Reader`] for it.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::compression::dictionary::Dictionary;
use crate::metrics::Metrics;
use crate::position::{Position, StartPosition, TimeUs};
use crate::settings::{
    Archive, ArchiveMode, Connection, MaxRetries, OnGap, TailSettings, WhenFull,
};
use crate::source::endpoint::Endpoint;
use crate::source::v2::deferred::DeferredDecoder;
use crate::source::v2::dictionaries::Dictionaries;

use super::build::client;
use super::channel::channel;
use super::dedup::{EventProcessor, ProcessorConfig};
use super::feedback::WriterFeedback;
use super::filter_updates::FilterUpdates;
use super::reader::{OnIdle, Reader, SideState};
use super::shutdown::{Shutdown, StopReason};
use super::witness::{WitnessLink, WitnessStream};

/// How often the server in use is looked at.
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// The pause after a server that can't be the witness.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// What a [`WitnessReader`] shares with the rest of the run.
pub(super) struct WitnessParts {
    /// The rules of the server in use.
    pub(super) rules: ProcessorConfig,
    pub(super) start: StartPosition,
    /// The position of the output.
    pub(super) feedback: Arc<WriterFeedback>,
    pub(super) v1_dictionary: Option<Dictionary>,
    pub(super) dictionaries: Arc<Dictionaries>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) stop: Shutdown,
}

/// The reader of the witness.
pub(super) struct WitnessReader {
    settings: TailSettings,
    parts: WitnessParts,
    link: Arc<WitnessLink>,
    /// The filters that the output has changed to.
    filters: FilterUpdates,
    window_us: u64,
    /// The server that was read last.
    former: Option<Arc<str>>,
    /// The server in use, counted from 1: the last one that a connection was made to.
    in_use: Cell<u64>,
}

impl WitnessReader {
    pub(super) fn new(
        settings: &TailSettings,
        parts: WitnessParts,
        link: Arc<WitnessLink>,
        filters: FilterUpdates,
    ) -> Self {
        let window_us = settings.witness.map_or(0, |witness| witness.window_us);
        Self {
            settings: settings.clone(),
            parts,
            link,
            filters,
            window_us,
            former: None,
            in_use: Cell::new(0),
        }
    }

    /// Reads a witness until the run stops.
    pub(super) async fn run(mut self) {
        let mut is_paused = false;
        loop {
            tokio::select! {
                () = self.parts.stop.requested() => return,
                () = self.server_is_known() => {}
            }
            let Some(choice) = self.choose() else {
                if !std::mem::replace(&mut is_paused, true) {
                    self.link.offer(None);
                    tracing::warn!(
                        "the witness is the server in use now, and there is no other: nothing is compared"
                    );
                }
                sleep(CHECK_EVERY).await;
                continue;
            };
            is_paused = false;
            self.read(choice).await;
        }
    }

    /// Waits until the run has chosen its server.
    async fn server_is_known(&self) {
        while self.parts.metrics.server.get() == 0 {
            sleep(CHECK_EVERY).await;
        }
    }

    /// Returns the index of the server to compare with: the witness, which is the last one, or the
    /// first other one while the witness is the server in use.
    fn choose(&self) -> Option<usize> {
        let endpoints = &self.settings.endpoints;
        let metrics = &self.parts.metrics;
        // A server that refuses is not in use.
        if metrics.connected.get() == 1 || self.in_use.get() == 0 {
            self.in_use.set(metrics.server.get());
        }
        let in_use = usize::try_from(self.in_use.get()).ok()?.checked_sub(1)?;
        let in_use = endpoints.get(in_use).map(|endpoint| &endpoint.label);
        let last = endpoints.len().checked_sub(1)?;
        let mut candidates = std::iter::once(last).chain(0..last);
        candidates.find(|i| endpoints.get(*i).map(|endpoint| &endpoint.label) != in_use)
    }

    /// Reads one server until another one has to be the witness, or it can't be read.
    async fn read(&mut self, choice: usize) {
        let Some(endpoint) = self.settings.endpoints.get(choice).cloned() else { return };
        let server = Arc::clone(&endpoint.label);
        let stop = Shutdown::new(Duration::ZERO);
        let reader = self.reader(endpoint, stop.clone());
        self.former = Some(server.clone());
        let ended = {
            let mut reading = std::pin::pin!(reader.run());
            tokio::select! {
                ended = &mut reading => ended,
                () = self.is_over(choice) => {
                    stop.request(StopReason::Failed);
                    return;
                }
            }
        };
        if let Err(error) = ended {
            tracing::warn!(
                %server,
                "the witness can't be read ({error}): the run continues with one server, and tries again in a minute"
            );
            self.link.offer(None);
            tokio::select! {
                () = sleep(RETRY_AFTER) => {}
                () = self.is_over(choice) => {}
            }
        }
    }

    /// Waits until the run stops, or another server has to be the witness.
    async fn is_over(&self, choice: usize) {
        let changed = async {
            while self.choose() == Some(choice) {
                sleep(CHECK_EVERY).await;
            }
        };
        tokio::select! {
            () = self.parts.stop.requested() => {}
            () = changed => {}
        }
    }

    /// Returns a reader of this server, and offers its stream to the writer.
    fn reader(&self, endpoint: Endpoint, stop: Shutdown) -> Reader {
        let (settings, parts) = (&self.settings, &self.parts);
        let metrics = Arc::new(Metrics::default());
        let start = self.start(&endpoint.label);
        let mut bounds = settings.buffer;
        // The witness's server waits, whatever becomes of the other events.
        bounds.when_full = WhenFull::Block;
        let (sender, receiver) = channel(bounds, Arc::clone(&metrics));
        let filter = self.filters.newest().unwrap_or_else(|| Arc::clone(&parts.rules.filter));
        let rules = ProcessorConfig {
            filter: Arc::clone(&filter),
            limit: None,
            live_at: None,
            on_gap: OnGap::Warn,
            rewind_us: settings.connection.rewind_us,
            ..parts.rules.clone()
        };
        let mut processor = EventProcessor::new(rules, &start, Arc::clone(&metrics));
        processor.enable_witness(0);
        let feedback = Arc::new(WriterFeedback::new(None));
        self.link.offer(Some(WitnessStream {
            server: Arc::clone(&endpoint.label),
            receiver,
            messages: DeferredDecoder::new(Arc::clone(&metrics)),
            processor,
            feedback: Arc::clone(&feedback),
            metrics: Arc::clone(&metrics),
            is_live: matches!(start, StartPosition::Live),
        }));
        let dictionaries = Arc::clone(&parts.dictionaries);
        let client = client(settings, parts.v1_dictionary.clone(), dictionaries, &metrics);
        client.set_filter(filter);
        Reader {
            filters: self.filters.another(),
            endpoints: vec![endpoint],
            client,
            start,
            history: None,
            limits: Connection {
                max_retries: MaxRetries::Unlimited,
                prefer_first: None,
                ..settings.connection
            },
            archive: Archive { mode: ArchiveMode::Off, stripe: None, ..settings.archive.clone() },
            until: None,
            compress: settings.compression.mode,
            batch_events: settings.buffer.batch_events(),
            on_idle: OnIdle::Wait,
            ends_with_server: false,
            is_witness: true,
            sender,
            writer: None,
            feedback,
            side: None,
            side_state: SideState::default(),
            metrics,
            stop,
        }
    }

    /// Returns where to start: as the run does, or where the output and the comparison are.
    fn start(&self, server: &Arc<str>) -> StartPosition {
        let position = self.parts.feedback.get();
        let Some(former) = &self.former else {
            let time = match (&self.parts.start, position) {
                // The server in use may have come far from there by now.
                (StartPosition::Resume(resume), _) => resume.position.rewind_to.time,
                (StartPosition::Seq(_), Some(position)) => position.max_time,
                (StartPosition::Seq(_), None) => return StartPosition::Live,
                (start, _) => return start.clone(),
            };
            return StartPosition::Time(time);
        };
        let Some(position) = position else { return StartPosition::Live };
        // What this server has sent so far.
        let compared = TimeUs(self.parts.metrics.witness.last_event_us.get());
        let compared = Some(compared).filter(|time| former == server && time.0 > 0);
        StartPosition::Time(asked_again(&position, compared, self.window_us))
    }
}

/// Returns where to ask a witness that was not read for a while to start: where the comparison with
/// it ended, as far as the output's dedup keys reach.
fn asked_again(position: &Position, compared: Option<TimeUs>, window_us: u64) -> TimeUs {
    let newest = position.max_time;
    let from = compared.map_or(newest, |compared| compared.min(newest));
    from.minus_us(window_us).max(position.rewind_to.time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::{EventPosition, Origin, ServerKind};

    #[test]
    fn a_witness_that_is_back_is_asked_for_what_it_missed() {
        let at = |time| EventPosition { time: TimeUs(time), seq: None };
        let server = "main.example".into();
        let position = Position {
            origin: Origin { server, kind: ServerKind::V2, filter_fingerprint: 0 },
            newest: at(1_000),
            rewind_to: at(300),
            max_time: TimeUs(1_000),
        };
        let asked = |compared: Option<u64>| asked_again(&position, compared.map(TimeUs), 100).0;
        assert_eq!(asked(None), 900);
        assert_eq!(asked(Some(700)), 600);
        // As far as the keys reach, and never later than for another server.
        assert_eq!(asked(Some(350)), 300);
        assert_eq!(asked(Some(2_000)), 900);
    }
}
