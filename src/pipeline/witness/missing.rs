//! Finds the events that the server in use does not have, and prepares them for the output.

use std::sync::Arc;
use std::time::Instant;

use crate::event::batch::Batch;
use crate::pipeline::dedup::PassedEvent;
use crate::position::TimeUs;
use crate::settings::MissingEvents;
use crate::source::ConnectionInfo;

use super::hold::Hold;
use super::matcher::MissingEvent;
use super::serve::{MainStream, Missing, WitnessSide};

/// Most missing events of one call, and their bytes.
const MAX_MISSING: usize = 1_000;
const MAX_MISSING_BYTES: usize = 1 << 20;

/// Most missing events a second that are printed, on average over ten seconds: ten times what the
/// whole firehose has. A witness that invents events can print no more; its connection waits.
const MAX_RATE: f64 = 20_000.0;

/// Most missing events that are printed at once.
pub(super) const BURST: f64 = 10.0 * MAX_RATE;

impl WitnessSide {
    pub(super) fn find_missing(
        &mut self,
        main: &MainStream<'_>,
        reached: TimeUs,
        now: Instant,
    ) -> Option<Missing> {
        let server = self.server_in_use(main);
        let (mut batch, mut passed) = (Batch::default(), Vec::new());
        let mut connection: Option<Arc<ConnectionInfo>> = None;
        let is_printed = self.config.missing != MissingEvents::Report;
        self.refill(now);
        while passed.len() < MAX_MISSING
            && batch.buffered_bytes() < MAX_MISSING_BYTES
            && (self.allowance >= 1.0 || !is_printed)
            && self.hold.as_ref().is_none_or(Hold::has_room)
        {
            let next = self.carried.take().or_else(|| self.matcher.next_missing(reached));
            let Some(missing) = next else { break };
            let shape = missing.event.connection.shape;
            if connection.as_ref().is_some_and(|connection| connection.shape != shape) {
                self.carried = Some(missing);
                break;
            }
            // What was printed in the meantime is no longer missing.
            if main.knows(missing.identity) {
                continue;
            }
            let name = missing.event.name;
            self.counts.add(&server, self.names.name(name), &self.config.metrics);
            self.loss.iter_mut().for_each(|loss| loss.add_missing(missing.clock));
            if !is_printed {
                continue;
            }
            self.allowance -= 1.0;
            if let Some(hold) = &mut self.hold {
                let clock = missing.clock;
                hold.push_missing(missing, clock);
                continue;
            }
            let MissingEvent { identity, event, .. } = missing;
            batch.push_with(&event.line, event.header);
            passed.push(PassedEvent { identity, clock: reached, counts: event.counts });
            connection.get_or_insert(event.connection);
        }
        let witness = self.stream.as_ref().map(|stream| Arc::clone(&stream.server));
        let fate = match self.config.missing {
            MissingEvents::Print => "they are printed late",
            MissingEvents::Hold => "they are printed in their place",
            MissingEvents::Report => "they are not printed",
        };
        self.counts.report(&server, &witness.unwrap_or_default(), fate);
        let connection = connection?;
        Some(Missing { batch, passed, connection })
    }

    fn refill(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.refilled = now;
        self.allowance = (self.allowance + seconds * MAX_RATE).min(BURST);
    }
}
