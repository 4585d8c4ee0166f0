//! What happens to each line: malformed, unwanted, too early, written before, or to be
//! written. Also keeps the position that follows from it. Pure: no I/O, no clock.

mod advance;
mod early;
mod hold;
mod outcome;
mod pass;
mod times;
mod unread;

use std::sync::Arc;

use crate::event::batch::{Batch, Lines};
use crate::event::header::Header;
use crate::event::identity::{Identities, IdentitySecrets};
use crate::event::malformed::Malformed;
use crate::event::shape::Shape;
use crate::filter::Filter;
use crate::metrics::Metrics;
use crate::position::turns::{Turn, Turns};
use crate::position::window::{Savepoint, Window};
use crate::position::{Position, Resume, StartPosition, TimeUs};
use crate::settings::OnGap;
use crate::source::{ConnectionInfo, RequestedCursor};

use super::continuity::{Continuity, Finding, Seen};
use super::shutdown::StopReason;

use early::Early;
use times::first_times;
use unread::{Before, Place, Unread};

/// How far behind the newest event an older one may follow. Legacy's workers reorder by up to
/// 33 ms (protocol/jetstream-v1.md §8); `--until` reads on this long, so that it misses none.
const REORDER_US: u64 = 1_000_000;

/// What a sieve is asked for.
#[derive(Clone, Debug)]
pub struct Rules {
    /// What to write.
    pub filter: Filter,
    /// Whether the whole grammar is checked.
    pub strict: bool,
    /// Write at most this many lines.
    pub limit: Option<u64>,
    /// Write no event at or after this instant.
    pub until: Option<TimeUs>,
    /// Stop at the first event at or after this instant, which is written.
    pub live_at: Option<TimeUs>,
    /// How far a new connection rewinds, in microseconds of event time.
    pub rewind_us: u64,
    /// What the identities are made with.
    pub secrets: IdentitySecrets,
    /// What to do where events are missing.
    pub on_gap: OnGap,
    /// The length of the periods whose turns the output wants to know, in microseconds.
    pub period_us: Option<u64>,
}

/// A malformed line, for a warning.
#[derive(Debug)]
pub struct Rejected {
    /// What is wrong with it.
    pub error: Malformed,
    /// Its first bytes, as they came.
    pub head: Vec<u8>,
}

/// The state that a stream of lines passes through.
#[derive(Debug)]
pub struct Sieve {
    rules: Rules,
    is_open: bool,
    identities: Identities,
    /// The seed of 0.1.0, as long as identities of an earlier run decide what is new.
    former_seed: Option<u64>,
    window: Window,
    turns: Turns,
    position: Option<Position>,
    connection: Option<Arc<ConnectionInfo>>,
    /// The shape of its lines.
    shape: Shape,
    /// Events before this instant were not asked for; see [`Sieve::meet`].
    skip_until: Option<TimeUs>,
    /// What came of them so far.
    early: Early,
    /// Events with absurd times at the end of the latest batch, of which the next event shows
    /// whether they belong to the surplus.
    undecided: Batch,
    /// The time up to which this connection has come; 0 if that is not known.
    reached: TimeUs,
    /// Until an event this late, a legacy server's replay may bring what was dealt with.
    replays_until: Option<TimeUs>,
    /// Whether the connection goes on where the output stands.
    continuity: Continuity,
    /// What that came to, until somebody asks.
    finding: Option<Finding>,
    /// The server's numbers were given anew: lines of this connection (by its number) are
    /// left alone, and the marks of the next one are the first that mean something.
    renumbered: Option<u64>,
    /// The position stands still, since an event beyond `until` was seen.
    frozen: bool,
    /// It stands still, since one event that no other supports lay beyond `until`.
    held: bool,
    /// The connection (by its number) that reuses sequence numbers, and was reported.
    reusing: u64,
    written: u64,
    /// What may lie in a pipe that nobody has read yet.
    unread: Unread,
    /// What held before the change of server that may have to be taken back with it.
    earlier: Option<Earlier>,
    stop: Option<StopReason>,
    rejected: Option<Rejected>,
    /// Our own clock at the latest batch.
    now: TimeUs,
    metrics: Arc<Metrics>,
}

/// A batch that was sifted and not yet accepted by the sink.
#[derive(Debug)]
pub struct Pending {
    savepoint: Savepoint,
    position: Option<Position>,
    reached: TimeUs,
    written: u64,
}

/// The state that a change of server ended.
#[derive(Debug)]
struct Earlier {
    window: Window,
    position: Option<Position>,
}

enum Verdict {
    Write,
    Drop,
}

impl Sieve {
    /// A sieve for a run that begins at `start`.
    #[must_use]
    pub fn new(rules: Rules, start: &StartPosition, metrics: Arc<Metrics>) -> Self {
        // Twice the margin, so that another server's replay, which starts one margin back by
        // that server's own clock, still lies within what is remembered.
        let span_us = rules.rewind_us.saturating_mul(2);
        let (window, position) = match start {
            StartPosition::Resume(resume) => {
                (Window::restore(span_us, resume), Some(resume.position.clone()))
            }
            _ => (Window::new(span_us), None),
        };
        let before = match &position {
            Some(Position { newest, latest_time, .. }) => {
                Before::Place(Place { mark: *newest, identity: None, latest: *latest_time })
            }
            None => Before::Nothing,
        };
        Self {
            is_open: rules.filter.is_open(),
            identities: Identities::new(rules.secrets.key),
            former_seed: rules.secrets.former_seed.filter(|_| position.is_some()),
            turns: Turns::new(
                rules.period_us,
                position.as_ref().map_or(TimeUs(0), |position| position.latest_time),
            ),
            window,
            position,
            connection: None,
            shape: Shape::V1,
            skip_until: None,
            early: Early::default(),
            undecided: Batch::default(),
            reached: TimeUs(0),
            replays_until: None,
            continuity: Continuity::Settled,
            finding: None,
            renumbered: None,
            frozen: false,
            held: false,
            reusing: 0,
            written: 0,
            unread: Unread::new(before),
            earlier: None,
            stop: None,
            rejected: None,
            now: TimeUs(0),
            rules,
            metrics,
        }
    }

    /// The lines of `batch` to write. Call [`Sieve::accepted`] or [`Sieve::refused`] with
    /// them, once the sink has spoken. `now` is our own clock.
    pub fn sift(
        &mut self,
        batch: Batch,
        connection: &Arc<ConnectionInfo>,
        now: TimeUs,
    ) -> (Lines, Pending) {
        self.now = now;
        self.meet(connection);
        self.metrics.received.add(batch.len() as u64);
        self.metrics.received_bytes.add(batch.text_bytes() as u64);
        let (shape, instant) = (self.shape, self.skip_until.unwrap_or_default());
        self.window.begin_batch(now, || first_times(&batch, shape, instant));
        // After the clock was started: lines of this batch that are accepted keep their places.
        let pending = Pending {
            savepoint: self.window.savepoint(),
            position: self.position.clone(),
            reached: self.reached,
            written: self.written,
        };
        self.turns.begin_batch();
        self.unread.begin_batch();
        let batch = self.hold_undecided(batch);
        let lines = batch
            .sift(|line| self.is_open_to(connection) && matches!(self.judge(line), Verdict::Write));
        (lines, pending)
    }

    /// Where the output stands. Only true between batches.
    #[must_use]
    pub fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }

    /// The position with its identities, to be saved.
    #[must_use]
    pub fn resume(&self) -> Option<Resume> {
        let position = self.position.clone()?;
        // mutant: forgets-identities
        Some(Resume { position, identities: self.window.identities() })
    }

    /// Where the lines left in the latest batch pass into a new period.
    #[must_use]
    pub fn turns(&self) -> &[Turn] {
        self.turns.list()
    }

    /// Why no further line is wanted.
    #[must_use]
    pub fn stop_reason(&self) -> Option<StopReason> {
        self.stop
    }

    /// The latest malformed line that nobody has asked about yet.
    pub fn take_rejected(&mut self) -> Option<Rejected> {
        self.rejected.take()
    }

    /// What the connection's first events said, where it matters and nobody has asked yet.
    pub fn take_finding(&mut self) -> Option<Finding> {
        self.finding.take()
    }

    /// The newest event's time, while a connection brings only events from before the instant
    /// that it was asked for.
    #[must_use]
    pub fn early(&self) -> Option<TimeUs> {
        self.early.newest()
    }

    /// Whether lines of this connection are still looked at.
    fn is_open_to(&self, connection: &ConnectionInfo) -> bool {
        self.stop.is_none() && self.renumbered != Some(connection.number)
    }

    /// Notes which connection the lines come from.
    fn meet(&mut self, connection: &Arc<ConnectionInfo>) {
        // The number alone does not say it: until a connection's first sound event its kind
        // of server is a guess, and malformed lines may come before that.
        if self.connection.as_ref().is_some_and(|known| known == connection) {
            return;
        }
        // A v2 server translates a recent instant to the start of its active segment: seconds
        // to an hour early (protocol/jetstream-v1.md §4.1). The surplus ends with the first
        // event that is late enough; from there on older times are imported ones. A server of
        // either kind that lags behind the instant takes it for "live" (§4) and sends what it
        // has: that was written long ago, from another server or before this one fell back.
        self.skip_until = match connection.requested {
            RequestedCursor::Instant(instant) if !connection.is_clamped => Some(instant),
            _ => None,
        };
        self.shape = connection.shape;
        self.early = Early::default();
        // Another connection brings them again: the position has not passed them.
        self.undecided = Batch::default();
        self.reached = match connection.requested {
            RequestedCursor::Instant(instant) => instant,
            _ => TimeUs(0),
        };
        let is_same = |position: &&Position| position.origin == connection.origin;
        self.replays_until = self.position.as_ref().filter(is_same).map(|p| p.newest.time);
        self.continuity = Continuity::of(
            connection,
            self.position.as_ref(),
            &self.window,
            &self.rules.filter,
            self.renumbered.is_some(),
        );
        self.connection = Some(Arc::clone(connection));
    }

    fn judge(&mut self, line: &[u8]) -> Verdict {
        // By reference: the header is large, and moving it costs as much as hashing it.
        let parsed = self.shape.parse(line);
        let header = match &parsed {
            Ok(header) => header,
            Err(error) => return self.reject(line, error.clone()),
        };
        if self.rules.strict
            && let Err(error) = check_grammar(line)
        {
            return self.reject(line, error);
        }
        let mark = self.place(header);
        let time = TimeUs(header.time_us);
        if !self.is_absurd(time) && self.is_early(time) {
            self.metrics.early.add(1);
            return Verdict::Drop;
        }
        if self.is_past_until(time) {
            return Verdict::Drop;
        }
        let is_wanted = self.is_open || self.rules.filter.wants(header, line.len());
        let identity = is_wanted.then(|| self.identify(header));
        let is_known = identity.is_some_and(|identity| self.window.contains(identity));
        // In front of the end of the surplus, a time that only the event claims may be false: what
        // is in its place was perhaps written long ago. The next event decides for both.
        let is_claim = self.skip_until.is_some() && self.window.is_jump(time);
        // mutant: takes-time-for-identity
        if !is_claim && !self.goes_on(Seen { mark, is_wanted, is_known }) {
            return Verdict::Drop;
        }
        if let Some(identity) = identity.filter(|_| is_known) {
            self.metrics.duplicate.add(1);
            self.meet_again(identity, mark);
            // What was written before may have come from the present, too.
            if self.rules.live_at.is_some() {
                self.window.see_time(time);
                self.catch_up();
            }
            return Verdict::Drop;
        }
        if is_claim {
            self.window.see_time(time);
        } else {
            self.notice_reuse(mark, identity);
            self.advance(mark, time, is_wanted);
        }
        self.catch_up();
        match identity {
            None => {
                self.metrics.filtered.add(1);
                Verdict::Drop
            }
            Some(identity) => {
                self.window.insert(identity);
                self.unread.note(mark, identity, self.window.latest());
                self.turns.note(self.window.latest());
                self.written += 1;
                if self.rules.limit.is_some_and(|limit| self.written >= limit) {
                    self.stop = Some(StopReason::Limit);
                }
                Verdict::Write
            }
        }
    }

    /// Returns the identity under which the event is known, or else its own.
    ///
    /// A position saved by 0.1.0 has XXH3 identities, and the file does not say which function
    /// made one. So both are looked up until the identities of the earlier run have left the
    /// rewind margin; what this run writes is remembered under its own function only.
    #[inline]
    fn identify(&mut self, header: &Header<'_>) -> u64 {
        let identity = self.identities.of(header);
        let Some(seed) = self.former_seed else { return identity };
        let former = self.identities.former(seed);
        let is_former = !self.window.contains(identity) && self.window.contains(former);
        if is_former { former } else { identity }
    }

    /// Whether the stream may go on with this event, as far as what lies between it and the
    /// output's place is concerned.
    fn goes_on(&mut self, seen: Seen) -> bool {
        let Some(finding) = self.continuity.look(seen, self.now) else { return true };
        let goes_on = match &finding {
            Finding::Gap(_) if self.rules.on_gap == OnGap::Fail => {
                self.stop = Some(StopReason::Gap);
                false
            }
            Finding::Gap(_) | Finding::Ahead { .. } | Finding::Reused { .. } => true,
            Finding::Renumbered { .. } => {
                self.renumbered = self.connection.as_ref().map(|connection| connection.number);
                false
            }
        };
        self.finding = Some(finding);
        goes_on
    }

    fn reject(&mut self, line: &[u8], error: Malformed) -> Verdict {
        self.metrics.malformed.add(1);
        let head = line.get(..200).unwrap_or(line).to_vec();
        self.rejected = Some(Rejected { error, head });
        Verdict::Drop
    }
}

/// The whole JSON grammar, for `--strict`.
fn check_grammar(line: &[u8]) -> Result<(), Malformed> {
    serde_json::from_slice::<serde::de::IgnoredAny>(line)
        .map(drop)
        .map_err(|e| Malformed { what: "invalid JSON", at: e.column() })
}
