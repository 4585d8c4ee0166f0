//! The progress line: a bar while the past is replayed, one line of numbers when live.
//!
//! Costs nothing per event: it looks at the counters a few times a second, when it is told
//! to. Times come in as arguments.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::metrics::Metrics;

use super::terminal::Terminal;
use super::units::{counted, duration, rate};

/// How often to call [`Progress::tick`].
pub const TICK: Duration = Duration::from_millis(125);

/// Rates are those of the last few seconds: long enough not to flicker, short enough to show
/// what is going on.
const RATE_SPAN_US: u64 = 5_000_000;

/// A stream this close to its server's clock is live.
const LIVE_WITHIN_US: u64 = 10_000_000;

/// Positions of the bar.
const BAR_STEPS: u64 = 1000;

/// What is known about whether anybody would see it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings {
    /// `--progress always` (`Some(true)`) or `never` (`Some(false)`).
    pub asked: Option<bool>,
    /// `-q`.
    pub quiet: bool,
    /// stderr is a terminal.
    pub stderr_is_terminal: bool,
    /// stdout is a terminal: events run through it, and would tear the line apart.
    pub stdout_is_terminal: bool,
    /// `TERM` is `dumb`.
    pub is_dumb: bool,
}

/// Whether to show progress. A line that is redrawn needs a terminal, whoever asks.
#[must_use]
pub fn should_show(s: Surroundings) -> bool {
    s.stderr_is_terminal && !s.is_dumb && s.asked.unwrap_or(!s.quiet && !s.stdout_is_terminal)
}

/// The line.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    metrics: Arc<Metrics>,
    buffer_bytes: u64,
    replay_from_us: Option<u64>,
    samples: VecDeque<Sample>,
    has_bar: bool,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at_us: u64,
    received: u64,
    event_us: u64,
}

impl Progress {
    /// A line on `terminal`. `buffer_bytes` is the size of the queue whose fill it shows;
    /// `replay_from_us` the instant that a replay starts from, where it is known.
    #[must_use]
    pub fn new(
        terminal: &Terminal,
        metrics: Arc<Metrics>,
        buffer_bytes: u64,
        replay_from_us: Option<u64>,
    ) -> Self {
        let bar = terminal.bars().add(ProgressBar::new(BAR_STEPS));
        bar.set_style(numbers_style());
        Self {
            bar,
            metrics,
            buffer_bytes,
            replay_from_us,
            samples: VecDeque::new(),
            has_bar: false,
        }
    }

    /// Draws the line as it stands at `now_us` (Unix microseconds).
    pub fn tick(&mut self, now_us: u64) {
        let event_us = self.metrics.last_event_us.get();
        if self.replay_from_us.is_none() && event_us > 0 {
            self.replay_from_us = Some(event_us);
        }
        self.samples.push_back(Sample {
            at_us: now_us,
            received: self.metrics.received.get(),
            event_us,
        });
        while self.samples.len() > 2
            && self.samples.get(1).is_some_and(|s| s.at_us + RATE_SPAN_US <= now_us)
        {
            self.samples.pop_front();
        }
        let (fraction, text) = self.line(now_us);
        if self.has_bar != fraction.is_some() {
            self.has_bar = fraction.is_some();
            self.bar.set_style(if self.has_bar { bar_style() } else { numbers_style() });
        }
        if let Some(fraction) = fraction {
            self.bar.set_position((fraction * BAR_STEPS as f64) as u64);
        }
        self.bar.set_message(text);
        self.bar.tick();
    }

    /// Takes the line away. (At a Ctrl-C its last state stays on the screen: the terminal's
    /// echo of `^C` has moved on to the next line.)
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }

    /// The share of a replay that is done, and the words.
    fn line(&self, now_us: u64) -> (Option<f64>, String) {
        let metrics = &self.metrics;
        let mut words = Vec::new();
        let (event_rate, time_rate) = self.rates();
        let event_us = metrics.last_event_us.get();
        let lag_us = now_us.saturating_sub(event_us);
        let mut fraction = None;
        if metrics.connected.get() == 0 {
            words.push(match metrics.backoff_ms.get() {
                0 => "connecting".to_owned(),
                ms => format!("reconnecting in {}", duration(Duration::from_millis(ms))),
            });
        } else if event_us == 0 {
            words.push("connected, no event yet".into());
        } else if lag_us > LIVE_WITHIN_US {
            let from_us = self.replay_from_us.unwrap_or(event_us).min(event_us);
            let whole_us = now_us.saturating_sub(from_us).max(1);
            let done = (event_us - from_us) as f64 / whole_us as f64;
            fraction = Some(done);
            words.push(format!("{:3.0}%", done * 100.0));
            words.push(rate(event_rate));
            words.push(format!("{} behind", micros(lag_us)));
            // The present runs away from us at one second a second.
            if time_rate > 1.05 {
                let left_us = lag_us as f64 / (time_rate - 1.0);
                words.push(format!("{} left", micros(left_us as u64)));
            }
        } else {
            words.push("live".into());
            words.push(rate(event_rate));
            words.push(format!("{} behind", micros(lag_us)));
        }
        words.extend(self.extras());
        (fraction, words.join("  "))
    }

    /// What is worth a word only when it isn't zero.
    fn extras(&self) -> Vec<String> {
        let metrics = &self.metrics;
        let filled = metrics.queue_bytes.get() * 100 / self.buffer_bytes.max(1);
        let mut words = Vec::new();
        if filled > 0 {
            words.push(format!("buffer {filled}%"));
        }
        for (n, noun) in [(metrics.reconnects.get(), "reconnect"), (metrics.dropped.get(), "drop")]
        {
            if n > 0 {
                words.push(counted(n, noun));
            }
        }
        words
    }

    /// Events a second, and seconds of event time a second.
    fn rates(&self) -> (f64, f64) {
        let (Some(first), Some(last)) = (self.samples.front(), self.samples.back()) else {
            return (0.0, 0.0);
        };
        let span_us = last.at_us.saturating_sub(first.at_us);
        if span_us == 0 {
            return (0.0, 0.0);
        }
        let per_second = |n: u64| n as f64 * 1e6 / span_us as f64;
        let event_time_us = match first.event_us {
            0 => 0,
            from => last.event_us.saturating_sub(from),
        };
        (
            per_second(last.received.saturating_sub(first.received)),
            event_time_us as f64 / span_us as f64,
        )
    }
}

fn micros(us: u64) -> String {
    duration(Duration::from_micros(us))
}

fn numbers_style() -> ProgressStyle {
    style("{wide_msg}")
}

fn bar_style() -> ProgressStyle {
    style("{bar:20} {wide_msg}").progress_chars("=> ")
}

fn style(template: &str) -> ProgressStyle {
    // The templates are ours and tested; the default one would only look different.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::{InMemoryTerm, ProgressDrawTarget};

    const NOW: u64 = 1_783_175_888_000_000;

    fn shown(width: u16, set: impl Fn(&Metrics), ticks: &[(u64, u64, u64)]) -> String {
        let screen = InMemoryTerm::new(5, width);
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(screen.clone()), 255);
        let metrics = Arc::new(Metrics::default());
        set(&metrics);
        let mut progress = Progress::new(&Terminal::with(target), Arc::clone(&metrics), 1000, None);
        for &(after_us, received, event_us) in ticks {
            metrics.received.add(received);
            metrics.last_event_us.set(event_us);
            progress.tick(NOW + after_us);
        }
        screen.contents()
    }

    #[test]
    fn a_live_stream_shows_its_rate_and_lag() {
        let ticks = [(0, 0, NOW - 200_000), (2_000_000, 1046, NOW + 1_800_000)];
        assert_eq!(shown(80, |m| m.connected.set(1), &ticks), "live  523/s  0.2s behind");
        let busy = |m: &Metrics| {
            m.connected.set(1);
            m.queue_bytes.set(120);
            m.reconnects.add(2);
            m.dropped.add(1);
        };
        assert_eq!(
            shown(80, busy, &ticks),
            "live  523/s  0.2s behind  buffer 12%  2 reconnects  1 drop"
        );
    }

    #[test]
    fn a_replay_shows_a_bar_and_the_time_left() {
        let hour = 3_600_000_000;
        let ticks = [(0, 0, NOW - hour), (1_000_000, 100_000, NOW - hour / 2)];
        insta::assert_snapshot!(shown(80, |m| m.connected.set(1), &ticks), @"=========>            50%  100.0k/s  30m01s behind  1.0s left");
        assert!(shown(40, |m| m.connected.set(1), &ticks).lines().all(|l| l.chars().count() <= 40));
    }

    #[test]
    fn nothing_is_left_at_the_end() {
        let screen = InMemoryTerm::new(5, 80);
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(screen.clone()), 8);
        let mut progress = Progress::new(&Terminal::with(target), Arc::default(), 1000, None);
        (0..9).for_each(|i| progress.tick(NOW + i));
        assert_eq!(screen.contents(), "connecting");
        progress.finish();
        assert_eq!(screen.contents(), "");
    }

    #[test]
    fn a_broken_connection_says_so() {
        assert_eq!(shown(80, |_| {}, &[(0, 0, 0)]), "connecting");
        assert_eq!(shown(80, |m| m.backoff_ms.set(1500), &[(0, 0, 0)]), "reconnecting in 1.5s");
    }

    #[test]
    fn is_shown_only_where_a_person_would_see_it() {
        let seen = Surroundings { stderr_is_terminal: true, ..Surroundings::default() };
        assert!(should_show(seen));
        assert!(!should_show(Surroundings { stdout_is_terminal: true, ..seen }));
        assert!(should_show(Surroundings { stdout_is_terminal: true, asked: Some(true), ..seen }));
        assert!(!should_show(Surroundings { quiet: true, ..seen }));
        assert!(!should_show(Surroundings { asked: Some(false), ..seen }));
        assert!(!should_show(Surroundings { is_dumb: true, asked: Some(true), ..seen }));
        assert!(!should_show(Surroundings::default()));
    }
}
