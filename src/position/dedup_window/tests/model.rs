//! Property tests of the window against a model of a server and its replays.

use proptest::prelude::*;

use super::*;

/// A step in the life of a window, in one server's stream.
#[derive(Clone, Debug)]
enum Step {
    /// New events, each written or not, their times `pace` apart; times of long ago if `imported`.
    Read { events: Vec<bool>, pace: u64, imported: bool },
    /// The same, but the sink takes only a part.
    Refuse { events: Vec<bool>, pace: u64, accepted: usize },
    /// A new connection, perhaps of a new process.
    Reconnect { restarts: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let events = || prop::collection::vec(any::<bool>(), 0..40);
    prop_oneof![
        6 => (events(), 0u64..80, prop::bool::weighted(0.1))
            .prop_map(|(events, pace, imported)| Step::Read { events, pace, imported }),
        1 => (events(), 0u64..80, 0usize..40)
            .prop_map(|(events, pace, accepted)| Step::Refuse { events, pace, accepted }),
        2 => any::<bool>().prop_map(|restarts| Step::Reconnect { restarts }),
    ]
}

/// A stream, which of its events were written, and the window under test.
struct Model {
    window: DedupWindow,
    has_seqs: bool,
    stream: Vec<(EventPosition, bool)>,
    clock: u64,
}

impl Model {
    fn read(&mut self, events: &[bool], pace: u64, imported: bool) {
        for &is_written in events {
            self.clock += pace;
            let time = if imported { 1 } else { self.clock };
            let identity = self.stream.len() as u64;
            let seq = self.has_seqs.then_some(Seq(identity + 1));
            let at = EventPosition { time: TimeUs(time), seq };
            self.window.advance(at);
            if is_written {
                self.window.insert(identity);
            }
            self.stream.push((at, is_written));
        }
    }

    /// Returns the stream from the rewind point on, as a server would replay it.
    fn replayed(&self) -> impl Iterator<Item = (u64, EventPosition, bool)> + '_ {
        let from = self.window.rewind_to();
        let is_asked = move |at: EventPosition| {
            from.is_none_or(|from| match from.seq {
                Some(_) => at.seq >= from.seq,
                None => at.time >= from.time,
            })
        };
        let numbered = self.stream.iter().enumerate();
        numbered
            .filter(move |(_, (at, _))| is_asked(*at))
            .map(|(i, (at, is_written))| (i as u64, *at, *is_written))
    }

    fn check(&self) -> Result<(), TestCaseError> {
        for (identity, at, is_written) in self.replayed() {
            prop_assert_eq!(self.window.contains(identity), is_written, "{:?}", at);
        }
        let kept = self.window.keys.len() as u64;
        prop_assert!(kept <= 2 * MAX_EVENTS + MAX_EVENTS / REWIND_POINTS);
        Ok(())
    }

    fn reconnect(&mut self, restarts: bool) {
        let Some((newest, _)) = self.stream.last() else { return };
        if restarts && self.window.rewind_to().is_some() {
            self.window = DedupWindow::restore(1000, &resume(&self.window, *newest));
        }
        let again: Vec<_> = self.replayed().collect();
        for (identity, at, _) in again {
            match self.window.contains(identity) {
                true => self.window.on_duplicate(identity, at),
                false => {
                    self.window.advance(at);
                }
            }
        }
        self.window.settle(None);
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Read { events, pace, imported } => {
                let imported = imported && self.has_seqs;
                self.read(&events, pace, imported);
                self.window.settle(None);
            }
            Step::Refuse { events, pace, accepted } => {
                let (snapshot, before) = (self.window.snapshot(), self.stream.len());
                self.read(&events, pace, false);
                // Up to the last line that was taken everything has happened.
                let new = self.stream.iter().enumerate().skip(before);
                let taken: Vec<_> = new.filter(|(_, (_, w))| *w).take(accepted).collect();
                let end = taken.last().map_or(before, |(i, _)| i + 1);
                let marks: Vec<EventPosition> = taken.iter().map(|(_, (at, _))| *at).collect();
                self.window.roll_back(snapshot, &marks);
                self.stream.truncate(end);
                self.clock = self.stream.last().map_or(0, |(m, _)| m.time.0).max(self.clock);
                self.reconnect(true);
            }
            Step::Reconnect { restarts } => self.reconnect(restarts),
        }
    }
}

proptest! {
    #[test]
    fn a_replay_is_recognised_event_by_event(
        steps in prop::collection::vec(step(), 1..60), has_seqs: bool,
    ) {
        let window = DedupWindow::new(1000);
        let mut model = Model { window, has_seqs, stream: Vec::new(), clock: 10 };
        for step in steps {
            model.take(step);
            model.check()?;
        }
    }

    /// The model is a list of all events ever written.
    #[test]
    fn everything_written_since_the_rewind_point_is_known(
        steps in prop::collection::vec((0u64..400, any::<bool>(), any::<bool>()), 1..400)
    ) {
        let mut window = DedupWindow::new(1000);
        let mut written = Vec::new();
        let mut time = 0;
        for (i, (step, is_written, settles)) in steps.into_iter().enumerate() {
            time += step;
            window.advance(at(time));
            if is_written {
                window.insert(i as u64);
                written.push((i as u64, time));
            }
            if settles {
                window.settle(None);
            }
        }
        let rewind_to = window.rewind_to().unwrap().time.0;
        for (identity, at) in written {
            if at > rewind_to {
                prop_assert!(window.contains(identity));
            }
        }
    }
}
