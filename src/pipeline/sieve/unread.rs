//! The newest lines in a pipe: whoever was to read them may go away, and what lies in the pipe
//! then is lost, though the pipe took it. How many bytes that are, the system tells; which
//! events, this does.

use std::collections::VecDeque;

use crate::position::{Mark, TimeUs};

/// Most lines that are remembered. An output of `--jq` may be a byte long, or none.
const MAX_LINES: usize = 16_384;

/// Where the output stands behind an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) mark: Mark,
    /// Of the event, if this run wrote it.
    pub(super) identity: Option<u64>,
    /// The latest event time so far.
    pub(super) latest: TimeUs,
}

/// What the output came to before the first remembered line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// Nothing: the run began with it.
    Nothing,
    /// A place of the same server.
    Place(Place),
    /// What another server sent, to which other marks belong.
    OtherServer,
}

/// What was taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TakenBack {
    /// The last events that were written, so many of them.
    pub(super) events: usize,
    /// If the change of server is undone: how many came behind it, and are not counted above.
    pub(super) behind_change: Option<usize>,
    /// Where the output stands without them; [`Before::OtherServer`] for right before the change.
    pub(super) before: Before,
}

/// Lines of one server.
#[derive(Debug)]
struct Era {
    lines: VecDeque<(Place, usize)>,
    before: Before,
}

/// The lines that may still be in the pipe.
#[derive(Debug)]
pub(super) struct Unread {
    /// What the pipe holds at most; 0 where there is none.
    pipe_bytes: usize,
    /// Events of the batch in hand, in the order of its lines.
    fresh: Vec<Place>,
    now: Era,
    /// Lines of the server before this one.
    earlier: Option<Era>,
    /// The sum of all lines' bytes.
    bytes: usize,
    /// Bytes of a line that was not taken whole, behind all others.
    torn_bytes: usize,
}

impl Era {
    fn new(before: Before) -> Self {
        Self { lines: VecDeque::new(), before }
    }

    /// Takes lines back until `behind_bytes`, those of all that were taken, are `unread_bytes`.
    /// Says how many.
    fn take_back(&mut self, unread_bytes: usize, behind_bytes: &mut usize) -> usize {
        let before = self.lines.len();
        while *behind_bytes < unread_bytes
            && let Some((_, length)) = self.lines.pop_back()
        {
            *behind_bytes += length;
        }
        before - self.lines.len()
    }

    /// Where the output stands behind its last line.
    fn end(&self) -> Before {
        self.lines.back().map_or(self.before, |(place, _)| Before::Place(*place))
    }
}

impl Unread {
    pub(super) fn new(before: Before) -> Self {
        Self {
            pipe_bytes: 0,
            fresh: Vec::new(),
            now: Era::new(before),
            earlier: None,
            bytes: 0,
            torn_bytes: 0,
        }
    }

    /// The output is a pipe that holds so much.
    pub(super) fn watch(&mut self, pipe_bytes: usize) {
        self.pipe_bytes = pipe_bytes;
    }

    /// Whether anything is remembered.
    pub(super) fn is_watched(&self) -> bool {
        self.pipe_bytes > 0
    }

    pub(super) fn begin_batch(&mut self) {
        self.fresh.clear();
    }

    /// The next event of the batch that is about to be written.
    #[inline]
    pub(super) fn note(&mut self, mark: Mark, identity: u64, latest: TimeUs) {
        if self.is_watched() {
            self.fresh.push(Place { mark, identity: Some(identity), latest });
        }
    }

    /// The first events of the batch went into the pipe, in so many bytes each, and `torn_bytes`
    /// of the next one.
    pub(super) fn sent(&mut self, lengths: impl Iterator<Item = usize>, torn_bytes: usize) {
        for (place, length) in self.fresh.iter().zip(lengths) {
            self.now.lines.push_back((*place, length));
            self.bytes += length;
        }
        self.torn_bytes = torn_bytes;
        self.let_go(self.pipe_bytes);
    }

    /// Of all that went into the pipe, no more than the last `bytes` were not read yet.
    pub(super) fn was_read(&mut self, bytes: usize) {
        self.let_go(bytes.saturating_sub(self.torn_bytes));
    }

    /// Lets go of the oldest lines as long as `bytes` are left.
    fn let_go(&mut self, bytes: usize) {
        loop {
            let earlier = self.earlier.as_mut().filter(|era| !era.lines.is_empty());
            let is_of_now = earlier.is_none();
            let era = earlier.unwrap_or(&mut self.now);
            let Some(&(place, length)) = era.lines.front() else { return };
            if self.bytes - length < bytes && era.lines.len() <= MAX_LINES {
                return;
            }
            era.lines.pop_front();
            era.before = Before::Place(place);
            self.bytes -= length;
            if is_of_now {
                // There is something of this server to go on from.
                self.earlier = None;
            }
        }
    }

    /// The lines of this server that may be unread, so many of them, and the latest event time
    /// at the first of them.
    pub(super) fn oldest(&self) -> Option<(usize, TimeUs)> {
        self.now.lines.front().map(|(place, _)| (self.now.lines.len(), place.latest))
    }

    /// From here on marks are those of another server.
    pub(super) fn change_server(&mut self) {
        let earlier = std::mem::replace(&mut self.now, Era::new(Before::OtherServer));
        self.earlier = Some(earlier);
        self.bytes = self.earlier.iter().flat_map(|era| &era.lines).map(|(_, length)| length).sum();
    }

    /// Whether a change of server may have to be taken back.
    pub(super) fn reaches_change(&self) -> bool {
        self.earlier.is_some()
    }

    /// Of all that went into the pipe, the last `bytes` were not read, and never will be. An
    /// event counts as read with its last byte.
    pub(super) fn take_back(&mut self, bytes: usize) -> Option<TakenBack> {
        let unread_bytes = bytes.saturating_sub(self.torn_bytes);
        let mut behind_bytes = 0;
        let mut events = self.now.take_back(unread_bytes, &mut behind_bytes);
        let (mut behind_change, mut before) = (None, self.now.end());
        if before == Before::OtherServer {
            let earlier = self.earlier.as_mut()?;
            let first = earlier.lines.front().map(|(place, _)| Before::Place(*place));
            behind_change = Some(events);
            events = earlier.take_back(unread_bytes, &mut behind_bytes);
            if events > 0 {
                before = earlier.end();
            }
            // Two changes of server within what a pipe holds: there must be something to go on
            // from, so the first line between them stays.
            if let (true, Before::OtherServer, Some(first)) = (events > 0, before, first) {
                events -= 1;
                before = first;
            }
        }
        self.bytes = self.bytes.saturating_sub(behind_bytes);
        self.torn_bytes = 0;
        let is_any = events + behind_change.unwrap_or(0) > 0;
        is_any.then_some(TakenBack { events, behind_change, before })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mark(n: u64) -> Mark {
        Mark { time: TimeUs(n), seq: None }
    }

    fn known(n: u64) -> Before {
        Before::Place(Place { mark: mark(n), identity: Some(n), latest: TimeUs(n) })
    }

    fn unread(before: Before, lengths: &[usize]) -> Unread {
        let mut unread = Unread::new(before);
        unread.watch(100);
        for (n, length) in lengths.iter().enumerate() {
            unread.begin_batch();
            unread.note(mark(n as u64), n as u64, TimeUs(n as u64));
            unread.sent(std::iter::once(*length), 0);
        }
        unread
    }

    #[test]
    fn an_event_counts_as_read_with_its_last_byte() {
        let take_back = |bytes| unread(Before::Nothing, &[10, 10, 10]).take_back(bytes);
        let back = |events, before| Some(TakenBack { events, behind_change: None, before });
        assert_eq!(take_back(0), None);
        assert_eq!(take_back(1), back(1, known(1)));
        assert_eq!(take_back(10), back(1, known(1)));
        assert_eq!(take_back(11), back(2, known(0)));
        assert_eq!(take_back(30), back(3, Before::Nothing));
    }

    #[test]
    fn the_torn_rest_of_a_line_is_none() {
        let mut some = unread(Before::Nothing, &[10]);
        some.begin_batch();
        some.note(mark(1), 1, TimeUs(1));
        some.sent(std::iter::empty(), 4);
        assert_eq!(some.take_back(4), None);
    }

    fn send(unread: &mut Unread, events: impl Iterator<Item = u64>) {
        for n in events {
            unread.begin_batch();
            unread.note(mark(n), n, TimeUs(n));
            unread.sent(std::iter::once(10), 0);
        }
    }

    #[test]
    fn a_change_of_server_can_be_taken_back() {
        let take_back = |bytes| {
            let mut some = unread(Before::Nothing, &[10, 10]);
            some.change_server();
            send(&mut some, 5..7);
            some.take_back(bytes).map(|back| (back.events, back.behind_change, back.before))
        };
        assert_eq!(take_back(10), Some((1, None, known(5))));
        assert_eq!(take_back(20), Some((0, Some(2), Before::OtherServer)));
        assert_eq!(take_back(30), Some((1, Some(2), known(0))));
        assert_eq!(take_back(99), Some((2, Some(2), Before::Nothing)));
    }

    #[test]
    fn of_two_changes_the_first_line_between_them_stays() {
        let mut some = unread(Before::Nothing, &[10]);
        some.change_server();
        send(&mut some, 5..7);
        some.change_server();
        send(&mut some, 8..9);
        let back = TakenBack { events: 1, behind_change: Some(1), before: known(5) };
        assert_eq!(some.take_back(99), Some(back));
    }

    #[test]
    fn a_change_is_remembered_as_long_as_the_pipe_may_hold_it() {
        let mut some = unread(Before::Nothing, &[10]);
        some.change_server();
        send(&mut some, 1..11);
        assert!(some.reaches_change());
        send(&mut some, 11..12);
        assert!(!some.reaches_change());
        assert_eq!(some.take_back(100).map(|back| back.events), Some(10));
    }

    #[test]
    fn a_change_is_remembered_while_the_first_line_behind_it_was_read_in_part() {
        let mut some = unread(Before::Nothing, &[10]);
        some.change_server();
        send(&mut some, 5..7);
        some.was_read(15);
        let back = some.take_back(15);
        assert_eq!(back.map(|back| (back.events, back.behind_change)), Some((0, Some(2))));
        let mut some = unread(Before::Nothing, &[10]);
        some.change_server();
        send(&mut some, 5..7);
        some.was_read(10);
        assert!(!some.reaches_change());
    }

    #[test]
    fn what_was_read_is_let_go_of() {
        let mut some = unread(Before::Nothing, &[10, 10, 10]);
        some.was_read(11);
        assert_eq!(some.oldest(), Some((2, TimeUs(1))));
        assert_eq!(some.take_back(99).map(|back| back.before), Some(known(0)));
        some.was_read(0);
        assert_eq!((some.oldest(), some.take_back(9)), (None, None));
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
