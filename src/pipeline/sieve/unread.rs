//! The newest lines in a pipe: whoever was to read them may go away, and what lies in the pipe
//! then is lost, though the pipe took it. How many bytes that are, the system tells; which
//! events, this does.

use std::collections::VecDeque;

use crate::position::Mark;

/// Most lines that are remembered. An output of `--jq` may be a byte long, or none.
const MAX_LINES: usize = 16_384;

/// An event that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) mark: Mark,
    pub(super) identity: u64,
}

/// What the output came to before the first remembered line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// Nothing: the run began with it.
    Nothing,
    /// A place of the same server, and the event there if it was written by this run.
    Mark(Mark, Option<u64>),
    /// Something that no mark of this server names.
    Unknown,
}

/// What was taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TakenBack {
    /// The last events that were written, so many of them.
    pub(super) events: usize,
    /// Where the output stands without them. Never [`Before::Unknown`].
    pub(super) before: Before,
}

/// The lines that may still be in the pipe.
#[derive(Debug)]
pub(super) struct Unread {
    /// What the pipe holds at most; 0 where there is none.
    pipe_bytes: usize,
    /// Events of the batch in hand, in the order of its lines.
    fresh: Vec<Event>,
    lines: VecDeque<(Event, usize)>,
    /// The sum of the lines' bytes.
    bytes: usize,
    /// Bytes of a line that was not taken whole, behind all others.
    torn_bytes: usize,
    before: Before,
}

impl Unread {
    pub(super) fn new(before: Before) -> Self {
        Self {
            pipe_bytes: 0,
            fresh: Vec::new(),
            lines: VecDeque::new(),
            bytes: 0,
            torn_bytes: 0,
            before,
        }
    }

    /// The output is a pipe that holds so much.
    pub(super) fn watch(&mut self, pipe_bytes: usize) {
        self.pipe_bytes = pipe_bytes;
    }

    pub(super) fn begin_batch(&mut self) {
        self.fresh.clear();
    }

    /// The next event of the batch that is about to be written.
    #[inline]
    pub(super) fn note(&mut self, mark: Mark, identity: u64) {
        if self.pipe_bytes > 0 {
            self.fresh.push(Event { mark, identity });
        }
    }

    /// The first events of the batch went into the pipe, in so many bytes each, and `torn_bytes`
    /// of the next one.
    pub(super) fn sent(&mut self, lengths: impl Iterator<Item = usize>, torn_bytes: usize) {
        for (event, length) in self.fresh.iter().zip(lengths) {
            self.lines.push_back((*event, length));
            self.bytes += length;
        }
        self.torn_bytes = torn_bytes;
        while let Some(&(event, length)) = self.lines.front()
            && (self.bytes - length >= self.pipe_bytes || self.lines.len() > MAX_LINES)
        {
            self.lines.pop_front();
            self.bytes -= length;
            self.before = Before::Mark(event.mark, Some(event.identity));
        }
    }

    /// From here on marks are those of another server.
    pub(super) fn change_server(&mut self) {
        self.lines.clear();
        self.bytes = 0;
        self.before = Before::Unknown;
    }

    /// Of all that went into the pipe, the last `bytes` were not read, and never will be. An
    /// event counts as read with its last byte.
    pub(super) fn take_back(&mut self, bytes: usize) -> Option<TakenBack> {
        let unread_bytes = bytes.saturating_sub(self.torn_bytes);
        let (mut events, mut behind_bytes) = (0, 0);
        let mut first = None;
        while behind_bytes < unread_bytes
            && let Some((event, length)) = self.lines.pop_back()
        {
            behind_bytes += length;
            events += 1;
            first = Some(event);
        }
        let known = |event: Event| Before::Mark(event.mark, Some(event.identity));
        let first = first?;
        let before = match (self.lines.back(), self.before) {
            (Some((event, _)), _) => known(*event),
            (None, Before::Unknown) => {
                // There must be something to go on from.
                events -= 1;
                known(first)
            }
            (None, before) => before,
        };
        (self.bytes, self.torn_bytes) = (self.bytes - behind_bytes, 0);
        (events > 0).then_some(TakenBack { events, before })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::TimeUs;
    use proptest::prelude::*;

    fn mark(n: u64) -> Mark {
        Mark { time: TimeUs(n), seq: None }
    }

    fn unread(before: Before, lengths: &[usize]) -> Unread {
        let mut unread = Unread::new(before);
        unread.watch(100);
        for (n, length) in lengths.iter().enumerate() {
            unread.begin_batch();
            unread.note(mark(n as u64), n as u64);
            unread.sent(std::iter::once(*length), 0);
        }
        unread
    }

    #[test]
    fn an_event_counts_as_read_with_its_last_byte() {
        let take_back = |bytes| unread(Before::Nothing, &[10, 10, 10]).take_back(bytes);
        let back = |events, before| Some(TakenBack { events, before });
        assert_eq!(take_back(0), None);
        assert_eq!(take_back(1), back(1, Before::Mark(mark(1), Some(1))));
        assert_eq!(take_back(10), back(1, Before::Mark(mark(1), Some(1))));
        assert_eq!(take_back(11), back(2, Before::Mark(mark(0), Some(0))));
        assert_eq!(take_back(30), back(3, Before::Nothing));
    }

    #[test]
    fn the_torn_rest_of_a_line_is_none() {
        let mut some = unread(Before::Nothing, &[10]);
        some.begin_batch();
        some.note(mark(1), 1);
        some.sent(std::iter::empty(), 4);
        assert_eq!(some.take_back(4), None);
    }

    #[test]
    fn behind_a_change_of_server_the_first_event_stays() {
        let mut some = unread(Before::Nothing, &[10]);
        some.change_server();
        for n in [5, 6] {
            some.begin_batch();
            some.note(mark(n), n);
            some.sent(std::iter::once(10), 0);
        }
        let before = Before::Mark(mark(5), Some(5));
        assert_eq!(some.take_back(60), Some(TakenBack { events: 1, before }));
        assert_eq!(some.take_back(60), None);
    }

    proptest! {
        #[test]
        fn takes_back_what_a_list_would(
            lengths in prop::collection::vec(0..40_usize, 1..60),
            bytes in 0..100_usize,
        ) {
            let total: usize = lengths.iter().sum();
            let bytes = bytes.min(total);
            let mut end = 0;
            let ends = lengths.iter().map(|length| { end += length; end });
            let read = ends.filter(|end| *end <= total - bytes).count();
            let back = unread(Before::Nothing, &lengths).take_back(bytes);
            // Lines without a byte in front of the first unread one count as read.
            prop_assert_eq!(back.map_or(0, |back| back.events), lengths.len() - read);
        }
    }
}
