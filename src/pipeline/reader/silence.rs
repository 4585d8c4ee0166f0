//! How long each server's stream may be silent: at least `--stall-timeout`, and longer if the
//! stream was silent for longer although the server was well.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::position::EventPosition;
use crate::source::liveness::{Liveness, LivenessLimits};

use super::Reader;
use super::retry::RetryState;

/// What one server's silences have shown.
#[derive(Debug, Default)]
pub(super) struct SilenceHistory {
    /// The longest silence after which an event came, in microseconds.
    longest_us: AtomicU64,
    /// The position when a connection was given up as stalled, if the latest one was.
    stalled_at: Option<Option<EventPosition>>,
}

impl SilenceHistory {
    fn longest(&self) -> Duration {
        Duration::from_micros(self.longest_us.load(Relaxed))
    }

    /// Notes the longest silence of a connection.
    pub(super) fn learn(&self, alive: &Liveness) {
        self.longest_us.store(micros(alive.longest_silence()), Relaxed);
    }

    /// Notes that a connection was given up after a silence of `limit`. If a new connection has
    /// brought nothing new since the last time, the stream itself was silent.
    fn on_stall(&mut self, limit: Duration, newest: Option<EventPosition>) {
        if self.stalled_at == Some(newest) {
            self.longest_us.fetch_max(micros(limit), Relaxed);
        }
        self.stalled_at = Some(newest);
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Reader {
    fn liveness_limits_after(&self, longest_silence: Duration) -> LivenessLimits {
        LivenessLimits {
            ping_after: self.limits.ping_after,
            pong_timeout: self.limits.pong_timeout,
            stall_timeout: self.limits.stall_timeout,
            longest_silence,
        }
    }

    /// Returns the limits of a connection whose server's silences are unknown.
    pub(super) fn liveness_limits(&self) -> LivenessLimits {
        self.liveness_limits_after(Duration::ZERO)
    }

    /// Returns the limits of a connection to the present server.
    pub(super) fn limits_here(&self, retry: &RetryState) -> LivenessLimits {
        let longest = retry.endpoint().map(|endpoint| endpoint.silence.longest());
        self.liveness_limits_after(longest.unwrap_or_default())
    }

    /// Notes that a connection to the present server was given up after a silence of `limit`.
    pub(super) fn note_stall(&self, limit: Duration, retry: &mut RetryState) {
        let newest = self.feedback.get().map(|position| position.newest);
        retry.update_endpoint(|endpoint| endpoint.silence.on_stall(limit, newest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::TimeUs;

    #[test]
    fn a_silence_counts_if_two_connections_in_a_row_brought_nothing_new() {
        let minute = Duration::from_secs(60);
        let mark = |time| Some(EventPosition { time: TimeUs(time), seq: None });
        let mut silence = SilenceHistory::default();
        silence.on_stall(minute, mark(1));
        assert_eq!(silence.longest(), Duration::ZERO);
        // The new connection brought what the stalled one had not.
        silence.on_stall(minute, mark(2));
        assert_eq!(silence.longest(), Duration::ZERO);
        silence.on_stall(minute, mark(2));
        assert_eq!(silence.longest(), minute);
        silence.on_stall(4 * minute, mark(2));
        assert_eq!(silence.longest(), 4 * minute);
    }
}
