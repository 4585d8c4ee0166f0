//! The fields that a server stamps on the events of a recording: times, sequence numbers, and the
//! lines with both inserted.
//!
//! Edits are minimal: only the digits of `time_us`, the `cursor` member and the id of a loop round
//! change. A line that needs no change is sent byte for byte and shares the recording's memory.
//! `timeline` decides when an event is due.
//!
//! Event numbers continue over the rounds of a loop: event `n + 3` of a recording of `n` events is
//! event 3 of the second round. It has a later time, a higher seq and another event id (see
//! `rounds`), unless all rounds share the event ids of the first.

use tokio_tungstenite::tungstenite::Bytes;

use super::chaos::{self, ChaosSpec};
use super::recording::{IndexEntry, Recording};
use super::rounds::{Edit, RoundIds};
use super::stamp_fields;
use crate::position::ServerKind;

/// Time between the last event of one round and the first event of the next, in microseconds.
pub(super) const ROUND_GAP_US: u64 = 1_000_000;

/// A recording as one kind of server serves it.
#[derive(Debug)]
pub(super) struct Stamps {
    recording: Recording,
    kind: ServerKind,
    stamps: Vec<Stamp>,
    /// Increment of every time per round, in microseconds.
    round_us: u64,
    /// Increment of every seq per round.
    round_seqs: u64,
    /// Difference between this server's clock and the recording's, in microseconds.
    clock_error_us: i64,
    /// Event ids of later rounds; `None`: the same as in the first round.
    round_ids: Option<RoundIds>,
    /// Whether the server lacks each event; `None` if it has all.
    missing: Option<Vec<bool>>,
}

#[derive(Clone, Copy, Debug)]
struct Stamp {
    time_us: u64,
    /// The maximum `time_us` up to this event. The playhead and time cursors use it, because a
    /// recording may step backwards.
    max_time_us: u64,
    /// Used on v2 servers only.
    seq: u64,
}

/// Why a v2 server can't serve a recording.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StampError {
    /// The cursors do not increase: the recording is mixed or out of order.
    #[error(
        "recording, event {event}: cursor {cursor} is not greater than {before}, but a v2 server's \
         cursors increase; serve it with --server-kind legacy, or remove the cursors"
    )]
    CursorOrder {
        /// Event number, counted from 1.
        event: usize,
        /// The event's cursor; 0 if it has none.
        cursor: u64,
        /// The previous event's cursor; 0 if it has none.
        before: u64,
    },
}

impl Stamps {
    pub(super) fn new(recording: Recording, kind: ServerKind) -> Result<Self, StampError> {
        let invent_seqs = !recording.is_v2();
        let repair_times = recording.is_v2() && kind == ServerKind::Legacy;
        let mut stamps: Vec<Stamp> = Vec::with_capacity(recording.len());
        for (i, entry) in recording.entries().iter().enumerate() {
            let before = stamps.last().copied();
            let seq = if invent_seqs { i as u64 + 1 } else { entry.cursor };
            let order = before.is_some_and(|b| seq <= b.seq) || (invent_seqs && entry.cursor != 0);
            if kind == ServerKind::V2 && order {
                return Err(StampError::CursorOrder {
                    event: i + 1,
                    cursor: entry.cursor,
                    before: if invent_seqs { 0 } else { before.map_or(0, |b| b.seq) },
                });
            }
            // A legacy server's clock never repeats (protocol/jetstream-v1.md §8). A recording of a
            // legacy server is served unchanged, even if it is out of order.
            let time_us = match before {
                Some(b) if repair_times => entry.time_us.max(b.time_us.saturating_add(1)),
                _ => entry.time_us,
            };
            let max_time_us = before.map_or(time_us, |b| time_us.max(b.max_time_us));
            stamps.push(Stamp { time_us, max_time_us, seq });
        }
        Ok(Self::over(recording, kind, stamps))
    }

    fn over(recording: Recording, kind: ServerKind, stamps: Vec<Stamp>) -> Self {
        let earliest_us = stamps.iter().map(|s| s.time_us).min().unwrap_or(0);
        let (first, last) = (stamps.first().copied(), stamps.last().copied());
        let max_time_us = last.map_or(0, |s| s.max_time_us);
        let seqs = last.map_or(0, |s| s.seq).saturating_sub(first.map_or(0, |s| s.seq));
        Self {
            recording,
            kind,
            stamps,
            round_us: (max_time_us - earliest_us).saturating_add(ROUND_GAP_US),
            round_seqs: seqs.saturating_add(1),
            clock_error_us: 0,
            round_ids: None,
            missing: None,
        }
    }

    /// Gives the events of each later round new event ids.
    pub(super) fn with_new_event_ids(self) -> Self {
        Self { round_ids: Some(RoundIds::of(&self.recording)), ..self }
    }

    /// Applies the faults that change which events there are, and their times, seqs and order:
    /// losses, another server instance and clock faults. Clock faults change the shown times only, not when an event is due or which event a
    /// cursor resolves to.
    pub(super) fn with_chaos(self, spec: &ChaosSpec) -> Self {
        let missing = chaos::missing_events(spec, self.recording.lines());
        let mut stamps = match spec.instance {
            Some(instance) => self.with_instance(instance, missing),
            None => Self { missing, ..self },
        };
        let times: Vec<u64> = stamps.stamps.iter().map(|s| s.time_us).collect();
        for (stamp, shown_us) in stamps.stamps.iter_mut().zip(chaos::shown_times(spec, &times)) {
            stamp.time_us = shown_us;
        }
        stamps
    }

    fn with_instance(self, instance: u64, missing: Option<Vec<bool>>) -> Self {
        let accounts: Vec<String> = self.recording.lines().map(chaos::account).collect();
        let times = self.stamps.iter().map(|s| s.max_time_us);
        let received =
            chaos::reorder_for_instance(instance, times.zip(accounts.iter().map(String::as_str)));
        let mut stamps: Vec<Stamp> = Vec::with_capacity(received.len());
        for (seq, received) in (chaos::first_seq(instance)..).zip(&received) {
            // A legacy server never repeats a time (protocol/jetstream-v1.md §8).
            let time_us = match (stamps.last(), self.kind) {
                (Some(before), ServerKind::Legacy) => received.time_us.max(before.time_us + 1),
                _ => received.time_us,
            };
            stamps.push(Stamp { time_us, max_time_us: time_us, seq });
        }
        let recording = self.recording.reordered(received.iter().map(|t| t.event));
        let clock_error_us = chaos::clock_error_us(instance);
        // Two instances of one seed lack the same events.
        let is_missing = |missing: Vec<bool>| {
            received.iter().map(|t| missing.get(t.event).copied().unwrap_or(false)).collect()
        };
        let missing = missing.map(is_missing);
        Self { clock_error_us, missing, ..Self::over(recording, self.kind, stamps) }
    }

    /// Returns the difference between this server's clock and the recording's, in microseconds.
    pub(super) fn clock_error_us(&self) -> i64 {
        self.clock_error_us
    }

    pub(super) fn kind(&self) -> ServerKind {
        self.kind
    }

    pub(super) fn recording(&self) -> &Recording {
        &self.recording
    }

    /// Returns the number of events per round.
    pub(super) fn len(&self) -> u64 {
        self.stamps.len() as u64
    }

    pub(super) fn time_us(&self, event: u64) -> u64 {
        let (round, _, stamp) = self.at(event);
        stamp.time_us.saturating_add(self.round_us.saturating_mul(round))
    }

    /// Returns the maximum time up to and including this event.
    pub(super) fn max_time_us(&self, event: u64) -> u64 {
        let (round, _, stamp) = self.at(event);
        stamp.max_time_us.saturating_add(self.round_us.saturating_mul(round))
    }

    /// Returns the event's seq; meaningless on legacy.
    pub(super) fn seq(&self, event: u64) -> u64 {
        let (round, _, stamp) = self.at(event);
        stamp.seq.saturating_add(self.round_seqs.saturating_mul(round))
    }

    /// Returns the first event, over all rounds, at or after a time.
    pub(super) fn first_at(&self, time_us: u64) -> u64 {
        let last_us = self.stamps.last().map_or(0, |s| s.max_time_us);
        let round = time_us.saturating_sub(last_us).div_ceil(self.round_us);
        let within = time_us.saturating_sub(round.saturating_mul(self.round_us));
        let index = self.stamps.partition_point(|s| s.max_time_us < within) as u64;
        round.saturating_mul(self.len()).saturating_add(index)
    }

    /// Returns the first event, over all rounds, with this seq or a higher one.
    pub(super) fn first_with_seq(&self, seq: u64) -> u64 {
        let last = self.stamps.last().map_or(0, |s| s.seq);
        let round = seq.saturating_sub(last).div_ceil(self.round_seqs);
        let within = seq.saturating_sub(round.saturating_mul(self.round_seqs));
        let index = self.stamps.partition_point(|s| s.seq < within) as u64;
        round.saturating_mul(self.len()).saturating_add(index)
    }

    /// Returns the event's line as recorded; sufficient for filters, which ignore stamps.
    pub(super) fn recorded_line(&self, event: u64) -> Bytes {
        let (_, entry, _) = self.at(event);
        self.recording.line(entry)
    }

    /// Returns the event's line as recorded, with the event id of its round.
    pub(super) fn line_with_round_id(&self, event: u64) -> Bytes {
        let line = self.recorded_line(event);
        match self.round_edit(event, &line) {
            Some(edit) => edited(&line, vec![edit]),
            None => line,
        }
    }

    fn round_edit(&self, event: u64, line: &[u8]) -> Option<Edit> {
        let (round, ..) = self.at(event);
        self.round_ids?.edit(line, round)
    }

    /// Returns whether the server lacks this event, which is so in every round.
    pub(super) fn is_missing(&self, event: u64) -> bool {
        let index = (event % self.len()) as usize;
        self.missing.as_ref().is_some_and(|missing| missing.get(index) == Some(&true))
    }

    /// Returns whether v1 endpoints never send this event.
    pub(super) fn is_v2_only(&self, event: u64) -> bool {
        self.at(event).1.is_v2_only
    }

    /// Returns the event's line as this server sends it, with its time shifted by `shift_us`. The
    /// seq is that of `slot`, which equals the event except after a crash (see `chaos`).
    pub(super) fn line(&self, event: u64, slot: u64, shift_us: i64) -> Bytes {
        let (_, entry, _) = self.at(event);
        let line = self.recording.line(entry);
        let time_us = self.time_us(event).saturating_add_signed(shift_us);
        let seq = if self.kind == ServerKind::V2 { self.seq(slot) } else { 0 };
        if time_us == entry.time_us && seq == entry.cursor {
            return line;
        }
        restamp(&line, entry, time_us, seq, self.round_edit(event, &line))
    }

    fn at(&self, event: u64) -> (u64, &IndexEntry, Stamp) {
        let (round, index) = (event / self.len(), (event % self.len()) as usize);
        (round, &self.recording.entries()[index], self.stamps[index])
    }
}

/// Returns the line with this time, with this seq as its cursor (0: without a cursor), and with one
/// optional further edit.
fn restamp(line: &[u8], entry: &IndexEntry, time_us: u64, seq: u64, rename: Option<Edit>) -> Bytes {
    let time = (entry.time_span(), time_us.to_string());
    let cursor = match (entry.cursor_span(), seq) {
        (Some(span), 1..) => Some((span, seq.to_string())),
        (Some(_), 0) => {
            let member = stamp_fields::find(line).and_then(|m| m.cursor);
            member.map(|m| (m.whole, String::new()))
        }
        // A v2 server writes the members in this order (protocol/jetstream-v1.md §7).
        (None, 1..) => Some((time.0.end..time.0.end, format!(",\"cursor\":{seq}"))),
        (None, 0) => None,
    };
    edited(line, [Some(time), cursor, rename].into_iter().flatten().collect())
}

fn edited(line: &[u8], mut edits: Vec<Edit>) -> Bytes {
    edits.sort_by_key(|(span, _)| span.start);
    let mut out = Vec::with_capacity(line.len() + 32);
    let mut from = 0;
    for (span, text) in edits {
        out.extend_from_slice(line.get(from..span.start).unwrap_or_default());
        out.extend_from_slice(text.as_bytes());
        from = span.end;
    }
    out.extend_from_slice(line.get(from..).unwrap_or_default());
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(time_us: u64, cursor: Option<u64>) -> String {
        let cursor = cursor.map_or(String::new(), |c| format!(",\"cursor\":{c}"));
        format!(
            r#"{{"did":"did:plc:a","time_us":{time_us}{cursor},"kind":"identity","identity":{{"did":"did:plc:a","seq":1}}}}"#
        )
    }

    fn stamps(events: &[(u64, Option<u64>)], kind: ServerKind) -> Stamps {
        let lines: Vec<String> = events.iter().map(|&(t, c)| line(t, c)).collect();
        let recording = Recording::from_bytes(lines.join("\n").into_bytes(), "x").unwrap();
        Stamps::new(recording, kind).unwrap()
    }

    fn sent(stamps: &Stamps, event: u64, shift_us: i64) -> String {
        String::from_utf8(stamps.line(event, event, shift_us).to_vec()).unwrap()
    }

    #[test]
    fn a_matching_recording_is_served_byte_for_byte_even_out_of_order() {
        let legacy = stamps(&[(30, None), (10, None)], ServerKind::Legacy);
        assert_eq!(sent(&legacy, 1, 0), line(10, None));
        let v2 = stamps(&[(30, Some(5)), (30, Some(9))], ServerKind::V2);
        assert_eq!(sent(&v2, 1, 0), line(30, Some(9)));
    }

    #[test]
    fn a_v2_server_numbers_a_legacy_recording() {
        let v2 = stamps(&[(30, None), (10, None)], ServerKind::V2);
        assert_eq!(sent(&v2, 0, 0), line(30, Some(1)));
        assert_eq!(sent(&v2, 1, 0), line(10, Some(2)));
    }

    #[test]
    fn a_legacy_server_removes_the_cursor_and_never_repeats_a_time() {
        let legacy = stamps(
            &[(30, Some(1)), (30, Some(2)), (29, Some(3)), (50, Some(4))],
            ServerKind::Legacy,
        );
        let all: Vec<String> = (0..4).map(|i| sent(&legacy, i, 0)).collect();
        assert_eq!(all, [line(30, None), line(31, None), line(32, None), line(50, None)]);
    }

    #[test]
    fn the_next_round_has_later_times_and_higher_seqs() {
        let v2 = stamps(&[(30, Some(5)), (40, Some(9))], ServerKind::V2);
        assert_eq!(sent(&v2, 2, 0), line(30 + 1_000_010, Some(10)));
        assert_eq!(sent(&v2, 5, 7), line(47 + 2 * 1_000_010, Some(19)));
        for event in 0..6 {
            assert_eq!(v2.first_at(v2.time_us(event)), event);
            assert_eq!(v2.first_with_seq(v2.seq(event)), event);
        }
        assert_eq!(v2.first_with_seq(6), 1);
        assert_eq!(v2.first_at(41), 2);
    }

    #[test]
    fn a_time_cursor_finds_the_first_event_not_before_it_in_a_recording_out_of_order() {
        let legacy = stamps(&[(10, None), (40, None), (20, None), (50, None)], ServerKind::Legacy);
        assert_eq!(legacy.first_at(15), 1);
        assert_eq!(legacy.first_at(41), 3);
    }

    #[test]
    fn v2_rejects_cursors_that_do_not_increase_and_names_the_event() {
        for events in [[(1, Some(4)), (2, Some(4))], [(1, None), (2, Some(4))]] {
            let lines: Vec<String> = events.iter().map(|&(t, c)| line(t, c)).collect();
            let recording = Recording::from_bytes(lines.join("\n").into_bytes(), "x").unwrap();
            let error = Stamps::new(recording.clone(), ServerKind::V2).unwrap_err();
            assert!(error.to_string().contains("event 2"), "{error}");
            assert!(Stamps::new(recording, ServerKind::Legacy).is_ok());
        }
    }
}
