//! When silence means the end: `--exit-when-live` and `--until` on a stream that has nothing
//! more to send. v1 has no word for "the replay is over".

use std::time::{Duration, Instant};

use crate::metrics::now_us;
use crate::pipeline::stop::Reason;
use crate::position::TimeUs;
use crate::source::liveness::Liveness;
use crate::source::v1::Stream;

/// How long a stream must be quiet, with a ping answered meanwhile, before "no more events"
/// is believed (`--exit-when-live`, `--until`).
pub(super) const QUIET: Duration = Duration::from_secs(3);

/// When a quiet stream means the end of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenQuiet {
    /// It means nothing.
    Wait,
    /// The replay is over.
    CaughtUp,
    /// Nothing at all came before this instant, and now it has passed.
    Until(TimeUs),
}

/// Proof that nothing more is coming for now: quiet for a while, and a ping answered since.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    /// Events and answers to pings when we asked.
    asked_at: Option<(u64, u64)>,
}

impl Quiet {
    pub(super) fn check(
        &mut self,
        when: WhenQuiet,
        alive: &Liveness,
        stream: &mut Stream,
    ) -> Option<Reason> {
        let reason = match when {
            WhenQuiet::Wait => return None,
            WhenQuiet::CaughtUp => Reason::CaughtUp,
            WhenQuiet::Until(until) if now_us() > until.0 => Reason::Until,
            WhenQuiet::Until(_) => return None,
        };
        match self.asked_at {
            Some((events, pongs)) if events == stream.events() => {
                (stream.pongs() > pongs).then_some(reason)
            }
            _ => {
                self.asked_at = None;
                if alive.quiet_for(Instant::now()) >= QUIET {
                    self.asked_at = Some((stream.events(), stream.pongs()));
                    stream.ping();
                }
                None
            }
        }
    }
}
