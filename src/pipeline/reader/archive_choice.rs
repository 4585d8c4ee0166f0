//! `--archive prefer`: decides when a replay that the live stream can serve is read from the
//! archive instead, and when not any more (docs/internals/cutover.md).
//!
//! Both ways are measured in seqs per second. Going to the archive needs a clear gain, staying
//! there needs none, and a pause follows each backfill, so that the reader does not go back and
//! forth.

use std::time::{Duration, Instant};

use crate::metrics::now_us;
use crate::position::{Position, Seq, ServerKind};
use crate::settings::ArchiveMode;
use crate::source::RequestedCursor;
use crate::source::archive::BackfillStart;
use crate::source::endpoint::Endpoint;

use super::retry::RetryState;
use super::{Disconnect, Reader};

/// Shortest time over which a rate is measured.
const MEASURE_FOR: Duration = Duration::from_secs(1);

/// Time over which a rate is measured before the next measurement begins.
const WINDOW: Duration = Duration::from_secs(10);

/// Time between two looks at the position.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// How old the newest event must be, in microseconds, before the archive is asked for its tip. A
/// server seals a segment every few minutes to every hour, so a smaller lag is hardly archived.
const MIN_LAG_US: u64 = 300_000_000;

/// Shortest replay up to the sealed tip, in seconds, that is worth a backfill: a plan, an index and
/// a second cutover cost several round trips.
const MIN_REPLAY_S: u64 = 10;

/// What the start of a backfill is assumed to take, in seconds.
const STARTUP_S: u64 = 1;

/// How many times faster the archive must be before the reader goes there.
const MIN_GAIN: u64 = 2;

/// How long the archive may be slower than the replay was before the reader leaves it.
const SLOW_FOR: Duration = Duration::from_secs(5);

/// The pause after a backfill, before the archive is preferred again. It doubles with each backfill
/// in a row that did not reach the sealed tip.
const PAUSE: Duration = Duration::from_secs(60);

/// The longest such pause.
const MAX_PAUSE: Duration = Duration::from_secs(3600);

/// Measures how fast seqs advance.
#[derive(Debug, Default)]
pub(super) struct RateMeter {
    /// The seq before the first advance.
    first: Option<u64>,
    window: Option<(Instant, u64)>,
    rate: Option<u64>,
}

impl RateMeter {
    /// Notes that everything up to `seq` has arrived. The measurement begins when the seq advances
    /// for the first time, because a resumed stream repeats known events before that.
    pub(super) fn observe(&mut self, now: Instant, seq: u64) {
        let Some((since, from)) = self.window else {
            let first = *self.first.get_or_insert(seq);
            self.window = (seq > first).then_some((now, seq));
            return;
        };
        let took = now.saturating_duration_since(since);
        if took < MEASURE_FOR {
            return;
        }
        self.rate = Some((seq.saturating_sub(from) as f64 / took.as_secs_f64()) as u64);
        if took >= WINDOW {
            self.window = Some((now, seq));
        }
    }

    /// Leaves `waited` out of the measurement, because the output was blocked.
    fn exclude(&mut self, waited: Duration) {
        if let Some((since, _)) = &mut self.window {
            *since += waited;
        }
    }

    /// Returns the seqs per second of the latest measurement.
    pub(super) fn rate(&self) -> Option<u64> {
        self.rate
    }
}

/// What a run has learned about the archive of one server as an alternative to its live stream.
#[derive(Debug, Default)]
pub(super) struct ArchiveChoice {
    /// Seqs per second of the last backfill; `None` before the first one.
    archive_rate: Option<u64>,
    /// The archive is not preferred before this.
    not_before: Option<Instant>,
    /// Backfills in a row that did not reach the sealed tip.
    failures: u32,
}

impl ArchiveChoice {
    fn may_begin(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|instant| now >= instant)
    }

    /// Returns whether a backfill of `distance` seqs is worth it, if the live stream replays
    /// `live_rate` seqs per second. An archive that was not measured yet is tried.
    fn is_worthwhile(&self, live_rate: u64, distance: u64) -> bool {
        let replay_s = distance / live_rate.max(1);
        let backfill_s = STARTUP_S + self.archive_rate.map_or(0, |rate| distance / rate.max(1));
        replay_s >= MIN_REPLAY_S && replay_s >= MIN_GAIN.saturating_mul(backfill_s)
    }

    /// Records the end of a backfill that was preferred.
    fn on_end(&mut self, now: Instant, rate: Option<u64>, is_complete: bool) {
        self.archive_rate = rate.or(self.archive_rate);
        self.failures = if is_complete { 0 } else { self.failures.saturating_add(1) };
        let doublings = self.failures.saturating_sub(1).min(16);
        let pause = PAUSE.saturating_mul(1 << doublings).min(MAX_PAUSE);
        self.not_before = now.checked_add(pause);
    }
}

/// Compares a running backfill with the live replay in whose place it is read.
#[derive(Debug)]
pub(super) struct BackfillMonitor {
    live_rate: Option<u64>,
    meter: RateMeter,
    slow_since: Option<Instant>,
}

impl BackfillMonitor {
    /// Monitors a backfill in place of a replay with this rate; with `None`, the stream can't
    /// replay, and the backfill is never too slow.
    pub(super) fn new(live_rate: Option<u64>, now: Instant, after: u64) -> Self {
        let meter = RateMeter { window: Some((now, after)), ..RateMeter::default() };
        Self { live_rate, meter, slow_since: None }
    }

    /// Notes that the backfill has returned everything up to `seq`. An error ends the backfill.
    pub(super) fn observe(&mut self, now: Instant, seq: u64) -> Result<(), Disconnect> {
        let Some(live) = self.live_rate else { return Ok(()) };
        self.meter.observe(now, seq);
        let slow_rate = self.meter.rate().filter(|archive| *archive < live);
        let Some(archive) = slow_rate else {
            self.slow_since = None;
            return Ok(());
        };
        let since = *self.slow_since.get_or_insert(now);
        if now.saturating_duration_since(since) < SLOW_FOR {
            return Ok(());
        }
        Err(Disconnect::ArchiveSlower { archive, live })
    }

    /// Leaves `waited` out of the measurement, because the output was blocked.
    pub(super) fn exclude(&mut self, waited: Duration) {
        self.meter.exclude(waited);
    }

    /// Returns the seqs per second of the backfill.
    pub(super) fn rate(&self) -> Option<u64> {
        self.meter.rate()
    }
}

impl Reader {
    /// Waits until the archive is worth reading in place of the live replay that is running, and
    /// returns the rate of that replay. Never returns unless `--archive prefer` is given.
    pub(super) async fn archive_is_faster(&self, retry: &RetryState) -> u64 {
        let present = self.endpoints.get(retry.current).zip(retry.endpoint());
        let present = present.filter(|(endpoint, _)| {
            self.archive.mode == ArchiveMode::Prefer && self.may_have_archive(endpoint, retry)
        });
        let Some((endpoint, state)) = present else { return std::future::pending().await };
        let mut meter = RateMeter::default();
        let mut ask_from = Instant::now();
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            let Some((position, seq)) = self.position_on(endpoint) else { continue };
            let now = Instant::now();
            meter.observe(now, seq.0);
            let Some(live_rate) = meter.rate() else { continue };
            let is_due = now >= ask_from && state.choice.may_begin(now);
            if !is_due || position.max_time.plus_us(MIN_LAG_US).0 > now_us() {
                continue;
            }
            ask_from = now + PAUSE;
            match self.client.sealed_tip(endpoint, seq.0, self.archive.key.clone()).await {
                Ok(tip) if state.choice.is_worthwhile(live_rate, tip.saturating_sub(seq.0)) => {
                    return live_rate;
                }
                Ok(tip) => tracing::debug!(tip, live_rate, "staying with the live stream"),
                Err(error) => {
                    let server = &endpoint.label;
                    tracing::info!(%server, "the archive can't be asked for its tip ({error}); staying with the live stream");
                }
            }
        }
    }

    /// Returns the position of the output, if it has a seq of this v2 server.
    fn position_on(&self, endpoint: &Endpoint) -> Option<(Position, Seq)> {
        let position = self.feedback.get()?;
        let origin = &position.origin;
        let is_here = origin.kind == ServerKind::V2 && origin.server == endpoint.label;
        let seq = position.newest.seq.filter(|_| is_here)?;
        Some((position, seq))
    }

    /// Sets where the archive is read in place of a live replay of this rate.
    pub(super) fn on_archive_faster(&self, live_rate: u64, retry: &mut RetryState) {
        let Some(endpoint) = self.endpoints.get(retry.current) else { return };
        // Without a seq there is no exact place in the archive.
        let RequestedCursor::Seq(seq) = self.requested_cursor(endpoint, retry) else { return };
        let server = &endpoint.label;
        tracing::info!(%server, "the live stream replays {live_rate} events a second; reading the archive, which may be faster");
        retry.set_backfill(BackfillStart::After(seq.0.saturating_sub(1)), Some(live_rate));
    }

    /// Returns from the archive to the live stream.
    pub(super) fn on_stream_better(&self, disconnect: &Disconnect, retry: &mut RetryState) {
        if let Disconnect::ArchiveSlower { archive, .. } = disconnect {
            retry.backfill_rate = Some(*archive);
        }
        self.on_preferred_end(retry, false);
        let server = self.endpoints.get(retry.current).map_or("", |endpoint| &endpoint.label);
        tracing::info!(%server, "{disconnect}; continuing with the live stream");
    }

    /// Records the end of a backfill in place of a live replay.
    pub(super) fn on_preferred_end(&self, retry: &mut RetryState, is_complete: bool) {
        let rate = retry.backfill_rate.take();
        retry.update_endpoint(|state| state.choice.on_end(Instant::now(), rate, is_complete));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, seconds: f64) -> Instant {
        start + Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_rate_is_measured_from_the_first_advance_on() {
        let start = Instant::now();
        let mut meter = RateMeter::default();
        // The replay repeats what is known for three seconds.
        for (seconds, seq) in [(0.0, 500), (1.0, 500), (3.0, 500), (4.0, 600)] {
            meter.observe(after(start, seconds), seq);
        }
        assert_eq!(meter.rate(), None);
        meter.observe(after(start, 4.5), 5_600);
        assert_eq!(meter.rate(), None, "too short");
        meter.observe(after(start, 6.0), 20_600);
        assert_eq!(meter.rate(), Some(10_000));
        // A window ends, and what was before it counts no more.
        meter.observe(after(start, 14.0), 100_600);
        meter.observe(after(start, 16.0), 100_602);
        assert_eq!(meter.rate(), Some(1));
    }

    #[test]
    fn the_archive_is_tried_for_a_long_replay_only() {
        let untried = ArchiveChoice::default();
        assert!(untried.is_worthwhile(20_000, 200_000));
        assert!(!untried.is_worthwhile(20_000, 199_999), "less than ten seconds");
        assert!(!untried.is_worthwhile(0, 9) && untried.is_worthwhile(0, 10));
    }

    #[test]
    fn going_to_the_archive_needs_twice_the_rate_and_staying_needs_the_same() {
        let (start, live) = (Instant::now(), 20_000);
        let mut choice = ArchiveChoice::default();
        choice.on_end(start, Some(39_000), true);
        assert!(!choice.is_worthwhile(live, 100_000_000));
        choice.on_end(start, Some(41_000), true);
        assert!(choice.is_worthwhile(live, 100_000_000));
        let observe = |rate: u64| {
            let mut monitor = BackfillMonitor::new(Some(live), start, 0);
            let seconds = 0..60_u64;
            seconds.clone().find(|&s| monitor.observe(after(start, s as f64), s * rate).is_err())
        };
        assert_eq!(observe(live), None);
        // Slow from the first measurement on, and for five seconds after it.
        assert_eq!(observe(live - 1), Some(6));
        assert_eq!(observe(0), Some(6));
    }

    #[test]
    fn a_blocked_output_and_a_stream_that_cannot_replay_end_no_backfill() {
        let start = Instant::now();
        let mut monitor = BackfillMonitor::new(Some(1_000), start, 0);
        assert!(monitor.observe(after(start, 2.0), 4_000).is_ok());
        monitor.exclude(Duration::from_secs(100));
        assert!(monitor.observe(after(start, 104.0), 8_000).is_ok());
        assert_eq!(monitor.rate(), Some(2_000));
        let mut forced = BackfillMonitor::new(None, start, 0);
        assert!((0..100).all(|s| forced.observe(after(start, s.into()), 0).is_ok()));
    }

    #[test]
    fn each_backfill_is_followed_by_a_pause_that_grows_with_failures() {
        let start = Instant::now();
        let mut choice = ArchiveChoice::default();
        assert!(choice.may_begin(start));
        let mut pause = |is_complete| {
            choice.on_end(start, None, is_complete);
            choice.not_before.map(|instant| (instant - start).as_secs())
        };
        let pauses: Vec<_> = (0..9).map(|_| pause(false)).collect();
        let expected = [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600];
        assert_eq!(pauses, expected.map(Some));
        assert_eq!(pause(true), Some(60));
        assert!(!choice.may_begin(after(start, 59.0)) && choice.may_begin(after(start, 60.0)));
    }
}
