//! When silence means the end: `--exit-when-live` and `--until` on a stream that has nothing
//! more to send. v1 has no word for "the replay is over".

use std::time::{Duration, Instant};

use crate::metrics::now_us;
use crate::pipeline::stop::Reason;
use crate::position::TimeUs;
use crate::source::liveness::Liveness;
use crate::source::stream::Stream;

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

/// Events and answers to pings of a stream when it was asked whether there is more.
pub(super) type AskedAt = Option<(u64, u64)>;

/// Whether a stream has nothing more for now: quiet for a while, and a ping answered since.
pub(super) fn is_exhausted(asked_at: &mut AskedAt, alive: &Liveness, stream: &mut Stream) -> bool {
    match *asked_at {
        Some((events, pongs)) if events == stream.events() => stream.pongs() > pongs,
        _ => {
            *asked_at = None;
            if alive.quiet_for(Instant::now()) >= QUIET {
                *asked_at = Some((stream.events(), stream.pongs()));
                stream.ping();
            }
            false
        }
    }
}

impl WhenQuiet {
    /// Why the run ends now, if it does.
    pub(super) fn check(
        self,
        asked_at: &mut AskedAt,
        alive: &Liveness,
        stream: &mut Stream,
    ) -> Option<Reason> {
        let reason = match self {
            Self::Wait => return None,
            Self::CaughtUp => Reason::CaughtUp,
            Self::Until(until) if now_us() > until.0 => Reason::Until,
            Self::Until(_) => return None,
        };
        is_exhausted(asked_at, alive, stream).then_some(reason)
    }
}
