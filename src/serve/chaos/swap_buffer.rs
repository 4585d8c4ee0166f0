//! `swap`: swaps consecutive events of a connection at random. Events of one account are never
//! swapped, because the protocol guarantees their order and no client could restore it. Pure; the
//! time is an argument.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::serve::step::Step;

/// Maximum time for which an event waits for its successor.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// Events that were taken from the feed and are not sent yet.
#[derive(Debug, Default)]
pub(in crate::serve) struct SwapBuffer {
    ready: VecDeque<u64>,
    /// The event that waits for its successor, and the end of the wait.
    held: Option<(u64, Instant)>,
}

/// The decisions of a swap.
pub(in crate::serve) trait SwapPolicy {
    /// Returns whether to swap this event with the next one.
    fn injects(&self, event: u64) -> bool;
    /// Returns whether two events are of one account.
    fn same_account(&self, one: u64, other: u64) -> bool;
}

impl SwapBuffer {
    /// Returns the connection's next step; `feed` supplies events.
    pub(in crate::serve) fn next(
        &mut self,
        swaps: &impl SwapPolicy,
        now: Instant,
        mut feed: impl FnMut() -> Step,
    ) -> Step {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Step::Send(event);
            }
            match (feed(), self.held) {
                (Step::Send(event), Some((held, _))) => {
                    self.held = None;
                    let pair = match swaps.same_account(held, event) {
                        true => [held, event],
                        false => [event, held],
                    };
                    self.ready.extend(pair);
                }
                (Step::Send(event), None) if swaps.injects(event) => {
                    self.held = Some((event, now + MAX_WAIT));
                }
                (Step::WaitUntil(at), Some((_, until))) if now < until => {
                    return Step::WaitUntil(at.min(until));
                }
                (Step::WaitUntil(_) | Step::End, Some((held, _))) => {
                    self.held = None;
                    return Step::Send(held);
                }
                (step, _) => return step,
            }
        }
    }

    /// Returns an event to the front of the buffer.
    pub(in crate::serve) fn put_back(&mut self, event: u64) {
        self.ready.push_front(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Swaps every third event; 3 and 4 are of one account.
    struct Third;

    impl SwapPolicy for Third {
        fn injects(&self, event: u64) -> bool {
            event.is_multiple_of(3)
        }
        fn same_account(&self, one: u64, other: u64) -> bool {
            (one, other) == (3, 4)
        }
    }

    fn sent(steps: Vec<Step>, now: Instant) -> Vec<Step> {
        let (mut order, mut steps) = (SwapBuffer::default(), steps.into_iter());
        let mut feed = || steps.next().unwrap_or(Step::End);
        let mut sent = Vec::new();
        loop {
            let step = order.next(&Third, now, &mut feed);
            sent.push(step);
            if step == Step::End {
                return sent;
            }
        }
    }

    #[test]
    fn consecutive_events_are_swapped_unless_they_are_of_one_account() {
        let sent = sent((0..8).map(Step::Send).collect(), Instant::now());
        let expected = [1, 0, 2, 3, 4, 5, 7, 6].map(Step::Send);
        assert_eq!(sent, [&expected[..], &[Step::End]].concat());
    }

    #[test]
    fn an_event_waits_for_its_successor_but_not_for_ever() {
        let now = Instant::now();
        let mut order = SwapBuffer::default();
        let far = now + Duration::from_secs(60);
        let mut steps = vec![Step::WaitUntil(far), Step::WaitUntil(far), Step::Send(0)];
        let mut feed = || steps.pop().unwrap_or(Step::End);
        let until = now + MAX_WAIT;
        assert_eq!(order.next(&Third, now, &mut feed), Step::WaitUntil(until));
        assert_eq!(order.next(&Third, until, &mut feed), Step::Send(0));
        assert_eq!(order.next(&Third, until, &mut feed), Step::End);
    }

    #[test]
    fn the_last_event_has_no_successor() {
        let sent = sent(vec![Step::Send(6)], Instant::now());
        assert_eq!(sent, [Step::Send(6), Step::End]);
    }
}
