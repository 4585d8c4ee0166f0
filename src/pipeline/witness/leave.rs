//! Leaves a server that lacks too many events for the witness (`--witness-leave`), or that has sent
//! none.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::display::units::duration;
use crate::position::TimeUs;
use crate::position::gap::Gap;
use crate::settings::MissingEvents;

use super::loss::Progress;
use super::serve::{MainStream, WitnessSide};

/// A change of server that the comparison asks for.
#[derive(Debug)]
pub struct Leave {
    /// The server in use.
    pub from: Arc<str>,
    /// The witness.
    pub to: Arc<str>,
    /// What the server may lack from before the comparison.
    pub gap: Option<Gap>,
}

impl WitnessSide {
    /// Returns the change of server that is due, if one is. Call it after [`WitnessSide::serve`] has
    /// returned all missing events.
    pub fn leave(&mut self, main: &MainStream<'_>, now: TimeUs) -> Option<Leave> {
        self.leave_silent(main, Instant::now()).or_else(|| self.leave_lossy(main, now))
    }

    /// Leaves a server that has sent nothing in this run, and the witness has: without an event of
    /// the server in use there is nothing to compare with, and no position.
    fn leave_silent(&mut self, main: &MainStream<'_>, now: Instant) -> Option<Leave> {
        let window = Duration::from_micros(self.config.window_us);
        let is_expected = self.config.missing != MissingEvents::Report && !self.has_left_silent;
        if !is_expected || main.events > 0 || !main.is_without_position() {
            return None;
        }
        let stream = self.stream.as_ref().filter(|stream| stream.has_brought_events())?;
        let heard = *self.heard_since.get_or_insert(now);
        let silent_since = self.main_silence.silent_since()?.max(heard);
        let (from, to) = (self.server_in_use(main), Arc::clone(&stream.server));
        if now.saturating_duration_since(silent_since) < window || from == to {
            return None;
        }
        self.has_left_silent = true;
        self.config.metrics.witness.left.add(1);
        tracing::warn!(
            "{from} has sent no event in {}, and {to} has: leaving it for {to}",
            duration(window)
        );
        Some(Leave { from, to, gap: None })
    }

    /// Leaves a server that lacks too many events.
    fn leave_lossy(&mut self, main: &MainStream<'_>, now: TimeUs) -> Option<Leave> {
        let from = self.server_in_use(main);
        let loss_watch = self.loss.as_mut()?;
        if *from != *self.compared_server {
            let is_first = self.compared_server.is_empty();
            self.compared_server = Arc::clone(&from);
            if !is_first {
                loss_watch.change_server(self.main_reached);
            }
        }
        let stream = self.stream.as_ref().filter(|stream| stream.metrics.connected.get() == 1)?;
        let progress = Progress {
            main: self.main_reached,
            witness: self.reached,
            compared_from: self.matcher.compared_from(),
        };
        let loss = loss_watch.check(progress).filter(|_| *stream.server != *from)?;
        let (to, until) = (Arc::clone(&stream.server), loss.from.plus_us(self.config.window_us));
        tracing::warn!(
            "{from} did not send {} of {} events between {} and {until}: leaving it for {to}, as --witness-leave asks",
            loss.missing,
            loss.events,
            loss.from,
        );
        self.config.metrics.witness.left.add(1);
        let gap = loss.uncompared_from.map(|uncompared_from| Gap {
            seen_at: now,
            from_time: Some(uncompared_from),
            to_time: Some(loss.from),
            from_seq: None,
            to_seq: None,
            reason: format!("{from} lacks events, and was not compared there"),
        });
        Some(Leave { from, to, gap })
    }
}
