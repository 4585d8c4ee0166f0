//! Retry with a broker that passes: how long to wait before the next try, and how seldom to
//! speak of it. Told at once, then ever more seldom while it lasts, and once when it is over.

use std::time::{Duration, Instant};

/// The shortest wait.
const FIRST: Duration = Duration::from_millis(100);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(5);
/// How long after the first warning the next one follows; each later one takes twice as long.
const SPEAK_AGAIN: Duration = Duration::from_secs(30);
/// The longest silence.
const LONGEST_SILENCE: Duration = Duration::from_secs(600);

/// The retry that there is with a broker, if there is any.
#[derive(Debug)]
pub struct Retry {
    broker: String,
    /// Whether it ever worked.
    is_open: bool,
    tries: u32,
    since: Option<Instant>,
    /// When to speak again, and how long to be silent after that.
    speak: Option<(Instant, Duration)>,
}

impl Retry {
    /// No retry yet.
    pub fn new(broker: String) -> Self {
        Self { broker, is_open: false, tries: 0, since: None, speak: None }
    }

    /// Something went wrong, in words. Returns how long to wait: longer each time, and by
    /// chance, so that many clients don't come at once.
    pub fn backoff(&mut self, what: &str) -> Duration {
        self.tell(what);
        let most = FIRST.saturating_mul(1 << self.tries.min(10)).min(LONGEST);
        self.tries += 1;
        most.mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    /// Speaks of it, unless it was told not long ago.
    pub fn tell(&mut self, what: &str) {
        let now = Instant::now();
        self.since.get_or_insert(now);
        let (due, silence) = self.speak.unwrap_or((now, SPEAK_AGAIN));
        if now >= due {
            let then = match self.is_open {
                true => "events wait, and nothing is lost",
                false => "trying again",
            };
            tracing::warn!("{}: {what}; {then}", self.broker);
            self.speak = Some((now + silence, (silence * 2).min(LONGEST_SILENCE)));
        }
    }

    /// It works. Says so where retry was told of.
    pub fn over(&mut self) {
        (self.is_open, self.tries) = (true, 0);
        if let Some(since) = self.since.take()
            && self.speak.take().is_some()
        {
            let lasted = crate::display::units::duration(since.elapsed());
            tracing::warn!("{} takes events again, after {lasted}", self.broker);
        }
    }
}
