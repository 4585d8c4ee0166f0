//! How long each server may be silent: at least `--stall-timeout`, and longer where it was
//! seen to be silent for longer although it was well.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::position::Mark;
use crate::source::liveness::{Liveness, LivenessLimits};

use super::Reader;
use super::retry::RetryState;

/// What one server's silences have shown.
#[derive(Debug, Default)]
pub(super) struct SilenceHistory {
    /// The longest silence that ended well, in microseconds.
    longest_silence_us: AtomicU64,
    /// Where the output stood when a connection was given up as stalled, if the latest one was.
    stalled_at: Option<Option<Mark>>,
}

impl SilenceHistory {
    fn longest_silence(&self) -> Duration {
        Duration::from_micros(self.longest_silence_us.load(Relaxed))
    }

    /// Notes what a connection has shown.
    pub(super) fn learn(&self, alive: &Liveness) {
        self.longest_silence_us.store(micros(alive.longest_silence()), Relaxed);
    }

    /// Notes that a connection was given up after a silence of `limit`. If a new connection has
    /// brought nothing new since the last time, the silence was the stream's own.
    pub(super) fn stalled(&mut self, limit: Duration, newest: Option<Mark>) {
        if self.stalled_at == Some(newest) {
            self.longest_silence_us.fetch_max(micros(limit), Relaxed);
        }
        self.stalled_at = Some(newest);
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Reader {
    /// Returns the limits of a connection to the present server.
    pub(super) fn limits_here(&self, retry: &RetryState) -> LivenessLimits {
        let pace = retry.silences.get(retry.endpoint);
        let longest_silence = pace.map_or(Duration::ZERO, SilenceHistory::longest_silence);
        LivenessLimits { longest_silence, ..self.liveness_limits() }
    }

    /// Notes how a connection to the present server was given up.
    pub(super) fn note_stall(&self, limit: Duration, retry: &mut RetryState) {
        let newest = self.feedback.get().map(|position| position.newest);
        if let Some(pace) = retry.silences.get_mut(retry.endpoint) {
            pace.stalled(limit, newest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::TimeUs;

    #[test]
    fn only_a_silence_that_brought_nothing_new_twice_is_the_streams_own() {
        let minute = Duration::from_secs(60);
        let mark = |time| Some(Mark { time: TimeUs(time), seq: None });
        let mut pace = SilenceHistory::default();
        pace.stalled(minute, mark(1));
        assert_eq!(pace.longest_silence(), Duration::ZERO);
        // The new connection brought what the stalled one had not.
        pace.stalled(minute, mark(2));
        assert_eq!(pace.longest_silence(), Duration::ZERO);
        pace.stalled(minute, mark(2));
        assert_eq!(pace.longest_silence(), minute);
        pace.stalled(4 * minute, mark(2));
        assert_eq!(pace.longest_silence(), 4 * minute);
    }
}
