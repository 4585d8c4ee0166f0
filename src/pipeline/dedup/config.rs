//! What an [`super::EventProcessor`] is configured with.

use std::sync::Arc;

use crate::event::event_id::EventIdSecrets;
use crate::filter::Filter;
use crate::position::TimeUs;
use crate::settings::OnGap;

/// The settings of the dedup stage.
#[derive(Clone, Debug)]
pub struct ProcessorConfig {
    /// The events to emit; see [`super::EventProcessor::change_filter`].
    pub filter: Arc<Filter>,
    /// Whether every line must be valid JSON as a whole (`--strict`).
    pub strict: bool,
    /// Maximum number of lines to emit; markers don't count.
    pub limit: Option<u64>,
    /// Emit no event at or after this instant.
    pub until: Option<TimeUs>,
    /// How long to read on after `until`, in microseconds of event time.
    pub until_margin_us: u64,
    /// Stop at the first event at or after this instant, and emit that event.
    pub live_at: Option<TimeUs>,
    /// How far a new connection rewinds, in microseconds of event time.
    pub rewind_us: u64,
    /// The key of the dedup keys.
    pub secrets: EventIdSecrets,
    /// What to do when the server can't deliver events.
    pub on_gap: OnGap,
    /// The period of the output's rotation in microseconds, if the output rotates by time.
    pub period_us: Option<u64>,
}
