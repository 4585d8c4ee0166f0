//! Retries after temporary failures of a broker: how long to wait, and when to log. A failure
//! is logged at once, then at doubling intervals while it lasts, and once when it is over.

use std::time::{Duration, Instant};

/// The wait after the first failure, at most.
const FIRST: Duration = Duration::from_millis(100);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(5);
/// The interval between the first two warnings; each later one is twice as long.
const FIRST_LOG_INTERVAL: Duration = Duration::from_secs(30);
const LONGEST_LOG_INTERVAL: Duration = Duration::from_secs(600);

/// The state of the retries with one broker.
#[derive(Debug)]
pub struct Retry {
    broker: String,
    /// Whether the broker has ever accepted anything.
    is_open: bool,
    tries: u32,
    since: Option<Instant>,
    /// When to log again, and the interval after that.
    next_log: Option<(Instant, Duration)>,
}

impl Retry {
    /// Returns the state before any failure.
    pub fn new(broker: String) -> Self {
        Self { broker, is_open: false, tries: 0, since: None, next_log: None }
    }

    /// Records a failure. Returns how long to wait: exponentially longer each time, with jitter,
    /// so that many clients don't retry at the same moment.
    pub fn backoff(&mut self, cause: &str) -> Duration {
        self.warn(cause);
        let most = FIRST.saturating_mul(1 << self.tries.min(10)).min(LONGEST);
        self.tries += 1;
        most.mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    /// Logs a failure, unless one was logged not long ago.
    pub fn warn(&mut self, cause: &str) {
        let now = Instant::now();
        self.since.get_or_insert(now);
        let (due, interval) = self.next_log.unwrap_or((now, FIRST_LOG_INTERVAL));
        if now >= due {
            let then = match self.is_open {
                true => "events wait, and nothing is lost",
                false => "trying again",
            };
            tracing::warn!("{}: {cause}; {then}", self.broker);
            self.next_log = Some((now + interval, (interval * 2).min(LONGEST_LOG_INTERVAL)));
        }
    }

    /// Records a success, and logs it if a failure was logged.
    pub fn succeeded(&mut self) {
        (self.is_open, self.tries) = (true, 0);
        if let Some(since) = self.since.take()
            && self.next_log.take().is_some()
        {
            let lasted = crate::display::units::duration(since.elapsed());
            tracing::warn!("{} takes events again, after {lasted}", self.broker);
        }
    }
}
