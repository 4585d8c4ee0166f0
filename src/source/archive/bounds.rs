//! Which seqs a backfill reads: from its start to the sealed tip, to `--until`, or to the end of
//! its stripe. The server's list of segments shows the seqs.
//!
//! Source: protocol/jetstream-v2-archive.md §2, §8.

use super::client::ArchiveClient;
use super::segment_list::{ListError, ListedSegment, for_each_segment};
use super::{BackfillError, BackfillStart};
use crate::position::TimeUs;

/// Events up to this long after `--until` are read, too: only they show that all events before it
/// have come. The same as the order that the dedup stage waits for.
const READ_AFTER_UNTIL_US: u64 = 1_000_000;

/// Stripe `number` of `of` of a history, counted from 1. A stripe has whole segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stripe {
    /// 1 to `of`.
    pub number: u32,
    /// The number of stripes.
    pub of: u32,
}

impl std::fmt::Display for Stripe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

/// How a backfill ends before the sealed tip, and what it may use.
#[derive(Clone, Copy, Debug, Default)]
pub struct BackfillLimits {
    /// Most parallel downloads, and most blocks decoded in parallel.
    pub parallelism: usize,
    /// Most bytes that the run downloads from archives.
    pub max_bytes: Option<u64>,
    /// The time up to which events are wanted, exclusive.
    pub until: Option<TimeUs>,
    /// The stripe to read, and the start of the whole history.
    pub stripe: Option<(Stripe, BackfillStart)>,
}

/// Where a backfill ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackfillEnd {
    /// At the newest sealed event; the live stream continues.
    SealedTip,
    /// At the segment that `--until` lies in.
    Until,
    /// At the end of its stripe.
    Stripe,
}

/// The seqs that a backfill reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Exclusive.
    pub(super) after: u64,
    /// Events before this time, at the start, are not wanted.
    pub(super) since: Option<TimeUs>,
    /// Inclusive; `None` for the sealed tip.
    pub(super) last: Option<u64>,
    pub(super) end: BackfillEnd,
}

impl Bounds {
    /// Looks the bounds up in the list of segments, as far as they need it.
    ///
    /// # Errors
    /// [`BackfillError`], also for a stripe of a history that is not sealed up to `--until`.
    pub(super) async fn find(
        client: &ArchiveClient,
        from: BackfillStart,
        limits: &BackfillLimits,
    ) -> Result<Self, BackfillError> {
        let whole = match limits.stripe {
            None => from,
            Some((_, origin)) => origin,
        };
        let mut span = Span::new(whole, limits.until);
        if span.needs_list() {
            read(client, |segment| span.observe(segment)).await?;
        }
        match limits.stripe {
            None => Ok(span.bounds()),
            Some((stripe, _)) => striped(client, &span, stripe, from).await,
        }
    }
}

/// Finds the bounds of a stripe, and continues in it at `from`.
async fn striped(
    client: &ArchiveClient,
    span: &Span,
    stripe: Stripe,
    from: BackfillStart,
) -> Result<Bounds, BackfillError> {
    let Some(indexes) = span.indexes() else { return Err(BackfillError::Unsealed(span.newest)) };
    let (first, next) = stripe_of(indexes, stripe);
    let (mut before, mut last) = (0, 0);
    read(client, |segment| {
        if !segment.is_empty() {
            if segment.index < first {
                before = segment.max_seq;
            }
            if segment.index < next {
                last = segment.max_seq;
            }
        }
        segment.index < next
    })
    .await?;
    let whole = span.bounds();
    let is_first = stripe.number == 1;
    let mut after = before.max(whole.after);
    let mut since = whole.since.filter(|_| is_first);
    if let BackfillStart::After(seq) = from
        && seq > after
    {
        (after, since) = (seq, None);
    }
    Ok(Bounds { after, since, last: Some(last.max(after)), end: BackfillEnd::Stripe })
}

/// Returns the numbers of the first segment of a stripe and of the first one after it. Stripe
/// sizes differ by one segment at most, and each segment of `all` is in one stripe.
fn stripe_of((first, last): (u64, u64), stripe: Stripe) -> (u64, u64) {
    let count = u128::from(last - first + 1);
    let at = |number: u32| {
        let segments = count * u128::from(number) / u128::from(stripe.of.max(1));
        first + u64::try_from(segments).unwrap_or(u64::MAX)
    };
    (at(stripe.number.saturating_sub(1)), at(stripe.number))
}

async fn read(
    client: &ArchiveClient,
    visit: impl FnMut(&ListedSegment) -> bool,
) -> Result<(), BackfillError> {
    let all = for_each_segment(client, visit).await;
    all.map_err(|error: ListError| BackfillError::from_list("listSegments", error))
}

/// The part of an archive from a start to `--until`, as its list of segments shows it.
#[derive(Debug)]
struct Span {
    from: BackfillStart,
    until: Option<i64>,
    /// The number of the first segment and the seq before it, once found.
    start: Option<(u64, u64)>,
    /// The number and the last seq of the segment that `until` lies in.
    end: Option<(u64, u64)>,
    /// The last seq and the latest time of the list so far.
    last_seq: u64,
    newest: TimeUs,
}

impl Span {
    fn new(from: BackfillStart, until: Option<TimeUs>) -> Self {
        let until = until.map(|until| signed(until.plus_us(READ_AFTER_UNTIL_US)));
        let start = (from == BackfillStart::After(0)).then_some((0, 0));
        Self { from, until, start, end: None, last_seq: 0, newest: TimeUs(0) }
    }

    fn needs_list(&self) -> bool {
        self.until.is_some() || matches!(self.from, BackfillStart::Since(_))
    }

    /// Takes the next segment; returns whether more are needed.
    fn observe(&mut self, segment: &ListedSegment) -> bool {
        if segment.is_empty() {
            return true;
        }
        let is_start = match self.from {
            BackfillStart::After(seq) => segment.max_seq > seq,
            BackfillStart::Since(instant) => segment.max_witnessed_at >= signed(instant),
        };
        let oldest = segment.min_witnessed_at.unwrap_or(segment.max_witnessed_at);
        if self.last_seq == 0 && self.until.is_some_and(|until| oldest >= until) {
            // The server witnessed nothing before `until`, but it may have imported older times.
            self.until = None;
        }
        if self.start.is_none() && is_start {
            self.start = Some((segment.index, segment.min_seq.saturating_sub(1)));
        }
        self.last_seq = segment.max_seq;
        let newest = u64::try_from(segment.max_witnessed_at).unwrap_or(0);
        self.newest = self.newest.max(TimeUs(newest));
        if self.until.is_some_and(|until| segment.max_witnessed_at >= until) {
            self.end = Some((segment.index, segment.max_seq));
        }
        self.end.is_none() && (self.until.is_some() || self.start.is_none())
    }

    /// Returns the numbers of the first and the last segment; `None` if the end is not sealed yet.
    fn indexes(&self) -> Option<(u64, u64)> {
        let (last, _) = self.end?;
        let first = self.start.map_or(last, |(first, _)| first.min(last));
        Some((first, last))
    }

    fn bounds(&self) -> Bounds {
        let (after, since) = match self.from {
            BackfillStart::After(seq) => (seq, None),
            BackfillStart::Since(instant) => {
                (self.start.map_or(self.last_seq, |(_, before)| before), Some(instant))
            }
        };
        let last = self.end.map(|(_, last)| last.max(after));
        let end = if last.is_some() { BackfillEnd::Until } else { BackfillEnd::SealedTip };
        Bounds { after, since, last, end }
    }
}

fn signed(time: TimeUs) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn segment(index: u64, event_count: u64) -> ListedSegment {
        let (min_seq, max_seq) = (index * 10 + 1, index * 10 + 10);
        let at_us = 1_000_000_000 * (index as i64 + 1);
        ListedSegment {
            index,
            event_count: Some(event_count),
            min_seq,
            max_seq,
            size_bytes: None,
            min_witnessed_at: Some(at_us - 999_999_999),
            max_witnessed_at: at_us,
        }
    }

    fn span(from: BackfillStart, until: Option<u64>) -> Span {
        let mut span = Span::new(from, until.map(TimeUs));
        let _ = (0..20).all(|index| span.observe(&segment(index, 10)));
        span
    }

    #[test]
    fn the_segment_of_until_is_the_last_one() {
        // Segment 4 has the times after 4,000 s up to 5,000 s.
        let bounds = span(BackfillStart::After(7), Some(4_500_000_000)).bounds();
        assert_eq!((bounds.after, bounds.last, bounds.end), (7, Some(50), BackfillEnd::Until));
        // A second more is read.
        let bounds = span(BackfillStart::After(0), Some(4_999_500_000)).bounds();
        assert_eq!(bounds.last, Some(60));
        let bounds = span(BackfillStart::Since(TimeUs(2_000_000_001)), None).bounds();
        assert_eq!((bounds.after, bounds.last, bounds.end), (20, None, BackfillEnd::SealedTip));
        // Not sealed yet.
        let bounds = span(BackfillStart::After(0), Some(20_000_000_000)).bounds();
        assert_eq!(bounds.end, BackfillEnd::SealedTip);
        // Older times can only be imported ones.
        let bounds = span(BackfillStart::After(0), Some(0)).bounds();
        assert_eq!(bounds.last, Some(10));
        let imported = |index| ListedSegment { min_witnessed_at: None, ..segment(index, 10) };
        let mut all = Span::new(BackfillStart::After(0), Some(TimeUs(500)));
        let _ = (0..20).all(|index| all.observe(&imported(index)));
        assert_eq!(all.bounds().end, BackfillEnd::SealedTip);
        // The position is after it already.
        let bounds = span(BackfillStart::After(80), Some(4_500_000_000)).bounds();
        assert_eq!((bounds.after, bounds.last), (80, Some(80)));
    }

    proptest! {
        #[test]
        fn each_segment_is_in_one_stripe(first in 0u64..1_000, count in 1u64..5_000, of in 1u32..300) {
            let mut next = first;
            for number in 1..=of {
                let (from, to) = stripe_of((first, first + count - 1), Stripe { number, of });
                prop_assert_eq!(from, next);
                prop_assert!((to - from).abs_diff(count / u64::from(of)) <= 1);
                next = to;
            }
            prop_assert_eq!(next, first + count);
        }
    }
}
