//! Makes what a run with a witness has in addition, and the margins that the comparison needs.

use std::sync::Arc;

use crate::metrics::Metrics;
use crate::position::{StartPosition, TimeUs};
use crate::settings::{Connection, MissingEvents, TailSettings};

use super::dedup::{EventProcessor, ProcessorConfig, REORDER_US};
use super::filter_updates::filter_updates;
use super::witness::{WitnessConfig, WitnessLink, WitnessSide};
use super::witness_reader::{WitnessParts, WitnessReader};
use super::writer::Arrival;

/// How many dedup keys are kept for a witness: three windows of 60 s at 1,456 events a second, in
/// about 8 MiB. At a higher rate the keys reach less far back.
const WITNESSED_KEYS: u64 = 1 << 18;

/// What a run with a witness has in addition; nothing without one.
#[derive(Default)]
pub(super) struct WitnessSetup {
    pub(super) side: Option<WitnessSide>,
    pub(super) arrival: Option<Arrival>,
    pub(super) reader: Option<WitnessReader>,
}

pub(super) fn set_up(settings: &TailSettings, parts: WitnessParts) -> WitnessSetup {
    let Some(witness) = settings.witness else { return WitnessSetup::default() };
    let link = Arc::new(WitnessLink::default());
    parts.metrics.witness.is_on.set(1);
    let (filters, updates) = filter_updates();
    let side = WitnessSide::new(WitnessConfig {
        window_us: witness.window_us,
        key: parts.rules.secrets.key,
        missing: witness.missing,
        leave_ppm: witness.leave_ppm,
        servers: settings.endpoints.iter().map(|endpoint| Arc::clone(&endpoint.label)).collect(),
        floor: resume_floor(&parts.start),
        is_live: matches!(parts.start, StartPosition::Live),
        link: Arc::clone(&link),
        filters,
        metrics: Arc::clone(&parts.metrics),
    });
    let arrival = holds(settings).then(|| arrival(settings, &parts));
    let reader = Some(WitnessReader::new(settings, parts, link, updates));
    WitnessSetup { side: Some(side), arrival, reader }
}

/// Returns whether the output waits for the witness.
fn holds(settings: &TailSettings) -> bool {
    settings.witness.is_some_and(|witness| witness.missing == MissingEvents::Hold)
}

/// Returns the stage of what has come, before it waits for the witness.
fn arrival(settings: &TailSettings, parts: &WitnessParts) -> Arrival {
    let metrics = Arc::new(Metrics::default());
    let rules = ProcessorConfig { limit: None, until: None, live_at: None, ..parts.rules.clone() };
    let mut processor = witnessed(settings, &rules, &parts.start, &metrics);
    processor.count_arrivals_in(Arc::clone(&parts.metrics));
    Arrival { processor }
}

/// Returns the dedup stage of the server in use. What waits for the witness has come before it
/// comes to this stage.
pub(super) fn processor(
    settings: &TailSettings,
    rules: &ProcessorConfig,
    start: &StartPosition,
    metrics: &Arc<Metrics>,
) -> EventProcessor {
    let mut processor = witnessed(settings, rules, start, metrics);
    if holds(settings) {
        processor.count_arrivals_in(Arc::new(Metrics::default()));
    }
    processor
}

/// Returns a dedup stage with the dedup keys that a comparison needs.
fn witnessed(
    settings: &TailSettings,
    rules: &ProcessorConfig,
    start: &StartPosition,
    metrics: &Arc<Metrics>,
) -> EventProcessor {
    let mut processor = EventProcessor::new(rules.clone(), start, Arc::clone(metrics));
    if settings.witness.is_some() {
        processor.enable_witness(WITNESSED_KEYS);
    }
    processor
}

/// Returns the instant from which a resumed run compares: from there on its dedup keys say what was
/// written.
fn resume_floor(start: &StartPosition) -> Option<TimeUs> {
    match start {
        StartPosition::Resume(resume) => Some(resume.position.rewind_to.time),
        _ => None,
    }
}

/// Returns the limits of connections. With a witness each connection rewinds two windows: what the
/// witness sent within one window is undecided, and the servers' times differ by up to another.
pub(super) fn limits(settings: &TailSettings) -> Connection {
    let limits = settings.connection;
    let margin_us = settings.witness.map_or(0, |witness| witness.window_us * 2);
    Connection { rewind_us: limits.rewind_us.max(margin_us), ..limits }
}

/// Returns half of what the dedup keys cover: with a witness one and a half windows, so that another
/// server's replay lies within the keys. It rewinds two windows, and its times differ by up to one.
pub(super) fn rewind_us(settings: &TailSettings) -> u64 {
    let margin_us = settings.witness.map_or(0, |witness| witness.window_us * 3 / 2);
    settings.connection.rewind_us.max(margin_us)
}

/// Returns how long to read on after `--until`. An event that only the witness has is known to be
/// missing one window later. If the output waits, that was decided before.
pub(super) fn until_margin_us(settings: &TailSettings) -> u64 {
    match settings.witness {
        Some(witness) if !holds(settings) => witness.window_us.max(REORDER_US),
        _ => REORDER_US,
    }
}
