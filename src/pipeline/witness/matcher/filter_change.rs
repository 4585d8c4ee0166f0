//! What the comparison forgets and leaves out when the filter changes.

use crate::position::TimeUs;

use super::{ExpectedEvent, Matcher, Subject, WitnessEvent};

impl Matcher {
    /// Notes an event that the server in use has, and that the filter did not want at its place.
    /// Returns the same as [`Matcher::on_main`].
    pub(in super::super) fn on_unwanted(&mut self, identity: u64, clock: TimeUs) -> Option<TimeUs> {
        if self.remove_pending(identity) {
            return None;
        }
        let (subject, is_relayed, is_unwanted) = (Subject::default(), false, true);
        self.expect(identity, clock, ExpectedEvent { subject, is_relayed, is_unwanted })
    }

    /// Forgets what the two filters of a change disagree about, as far as it is not decided while
    /// the server in use is at `main`.
    pub(in super::super) fn change_filter(
        &mut self,
        main: TimeUs,
        is_wanted: impl Fn(&WitnessEvent) -> bool,
        is_agreed: impl Fn(Subject) -> bool,
    ) {
        let decided = main.minus_us(self.window_us);
        let mut bytes = 0;
        self.pending.retain(|entry| {
            let is_kept = entry.clock <= decided || is_wanted(&entry.value);
            bytes += if is_kept { entry.value.line.len() } else { 0 };
            is_kept
        });
        self.pending_bytes = bytes;
        self.expected.retain(|entry| is_agreed(entry.value.subject));
    }

    /// Compares nothing up to this instant of either server.
    pub(in super::super) fn skip_both_to(&mut self, instant: TimeUs) {
        self.skip_to(instant);
        self.witness_floor = Some(self.witness_floor.map_or(instant, |floor| floor.max(instant)));
    }
}
