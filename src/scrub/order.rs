//! What comes before what in the events of one account. Files may overlap, and be of several
//! servers, whose sequence numbers and times differ.
//!
//! - Commits have an order of their own on every server: the repository's `rev`.
//! - Account events have none. The order of lines decides within a file, and a server's time
//!   decides as well. If either says that an event precedes the deletion of its account, it does.

use super::entry::{ELSEWHERE, Place};

/// By how much the times of two files may contradict the order of the files, in microseconds: a
/// minute, because clocks are set back and servers' clocks differ.
pub const DISORDER_US: u64 = 60_000_000;

/// The most markers of one account that [`Markers`] distinguishes.
const MOST_MARKERS: usize = 64;

/// The letters of a TID: 5 bits each (AT Protocol, "TID").
const TID_LETTERS: &[u8; 32] = b"234567abcdefghijklmnopqrstuvwxyz";
/// The length of a TID.
const TID_LENGTH: usize = 13;
/// The bits of a TID after its time in microseconds.
const CLOCK_BITS: u32 = 10;

/// When an event came. Moments sort by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// The server's time in Unix microseconds; 0 if it is absurd.
    pub time_us: u64,
    /// The place of its line in the recordings.
    pub place: Place,
}

/// One occurrence of a marker, such as the deletion of an account.
#[derive(Clone, Copy, Debug)]
struct Marker {
    /// The relay's number, which is the same on every server; 0 without one.
    relay_seq: u64,
    moment: Moment,
    /// Whether no occurrence of the same marker has an earlier place.
    is_first: bool,
}

impl Marker {
    /// Returns whether an event of the same account at `event` precedes it.
    fn is_after(&self, event: Moment) -> bool {
        let Moment { time_us, place } = self.moment;
        let is_elsewhere = place.file() == ELSEWHERE;
        let is_same_file = event.place.file() == place.file();
        // In a copy of the recording everything comes again, also what is later.
        let is_earlier = event.place < place && (is_same_file || self.is_first);
        if event.time_us == 0 || time_us == 0 {
            return is_earlier;
        }
        let is_near = event.time_us.saturating_sub(time_us) <= DISORDER_US && !is_elsewhere;
        event.time_us <= time_us || (is_earlier && (is_same_file || is_near))
    }
}

/// The markers of one kind of one account, in bounded memory.
#[derive(Clone, Debug, Default)]
pub struct Markers(Vec<Marker>);

impl Markers {
    /// Adds a marker. The occurrences of one marker must be added one after the other, the last
    /// place first. With more than 64 the latest place and the latest time count as one marker, so
    /// that rather too much is before it.
    pub fn add(&mut self, relay_seq: u64, moment: Moment) {
        if let Some(last) = self.0.last_mut()
            && last.relay_seq == relay_seq
            && relay_seq > 0
        {
            last.is_first = false;
        }
        self.0.push(Marker { relay_seq, moment, is_first: true });
        if self.0.len() > MOST_MARKERS {
            let latest = self.0.iter().fold(moment, |latest, marker| Moment {
                time_us: latest.time_us.max(marker.moment.time_us),
                place: latest.place.max(marker.moment.place),
            });
            let at = |moment| Marker { relay_seq: 0, moment, is_first: true };
            self.0.clear();
            self.0.extend([at(Moment { time_us: 0, ..latest }), at(latest)]);
        }
    }

    /// Returns whether an event at `event` is before one of these.
    #[must_use]
    pub fn are_after(&self, event: Moment) -> bool {
        self.0.iter().any(|marker| marker.is_after(event))
    }
}

/// Returns the number of a rev, by which the commits of a repository are ordered: the rev is a TID,
/// whose first part is a time.
#[must_use]
pub fn rev_number(rev: &[u8]) -> Option<u64> {
    if rev.len() != TID_LENGTH {
        return None;
    }
    let mut number = 0_u64;
    for letter in rev {
        let value = TID_LETTERS.iter().position(|known| known == letter)?;
        // The first letter has four bits.
        if number >> 59 != 0 {
            return None;
        }
        number = number << 5 | value as u64;
    }
    Some(number)
}

/// Returns the number that stands for the rev of an event without one: the TID of its time.
#[must_use]
pub fn rev_of_time(time_us: u64) -> u64 {
    time_us.checked_shl(CLOCK_BITS).filter(|rev| rev >> CLOCK_BITS == time_us).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time_us: u64, file: u32, line: u64) -> Moment {
        Moment { time_us, place: Place::new(file, line).unwrap() }
    }

    fn is_before(event: Moment, marker: Moment) -> bool {
        let mut markers = Markers::default();
        markers.add(1, marker);
        markers.are_after(event)
    }

    #[test]
    fn a_rev_is_a_number_that_grows_with_its_time() {
        let revs = [&b"2222222222222"[..], b"3mptbypk4ze2j", b"3mptbypluud2a", b"jzzzzzzzzzzzz"];
        let numbers: Vec<u64> = revs.iter().map(|rev| rev_number(rev).unwrap()).collect();
        assert!(numbers.is_sorted(), "{numbers:?}");
        // Within a second of its event in protocol/jetstream-v1.md §7.
        assert_eq!(rev_number(b"3mptbypk4ze2j").unwrap() >> CLOCK_BITS, 1_783_175_887_457_258);
        for rev in
            [&b""[..], b"3mptbypk4ze2", b"3mptbypk4ze2jj", b"3mptbypk4ze21", b"zzzzzzzzzzzzz"]
        {
            assert_eq!(rev_number(rev), None);
        }
        assert_eq!(rev_of_time(1_783_175_887_457_258) >> CLOCK_BITS, 1_783_175_887_457_258);
        assert_eq!(rev_of_time(u64::MAX), 0);
    }

    #[test]
    fn either_the_time_or_the_line_says_that_an_event_is_earlier() {
        assert!(is_before(at(5, 0, 9), at(5, 0, 1)) && is_before(at(9, 0, 1), at(5, 0, 2)));
        assert!(!is_before(at(6, 0, 2), at(5, 0, 1)));
        let late = 6 + DISORDER_US;
        assert!(is_before(at(late, 0, 1), at(5, 0, 2)), "in one file the line decides");
        assert!(
            is_before(at(late - 1, 0, 1), at(5, 1, 0)) && !is_before(at(late, 0, 1), at(5, 1, 0))
        );
        // An absurd time says nothing.
        assert!(is_before(at(0, 0, 1), at(5, 1, 2)) && !is_before(at(0, 0, 2), at(5, 0, 1)));
        assert!(is_before(at(9, 0, 1), at(0, 1, 2)) && !is_before(at(9, 1, 2), at(0, 0, 1)));
        // Of what is known from elsewhere, the time decides alone.
        assert!(is_before(at(5, 0, 1), at(5, ELSEWHERE, 0)));
        assert!(!is_before(at(6, 0, 1), at(5, ELSEWHERE, 0)));
        assert!(is_before(at(0, 0, 1), at(5, ELSEWHERE, 0)));
    }

    #[test]
    fn in_a_second_file_the_same_marker_counts_for_its_own_lines_only() {
        let mut markers = Markers::default();
        for (relay_seq, file, line) in [(8, 1, 3), (7, 1, 1), (7, 0, 1)] {
            markers.add(relay_seq, at(5, file, line));
        }
        assert!(markers.are_after(at(6, 1, 2)) && markers.are_after(at(6, 0, 2)), "of 8");
        markers = Markers::default();
        markers.add(7, at(5, 1, 1));
        markers.add(7, at(5, 0, 1));
        assert!(markers.are_after(at(6, 0, 0)) && markers.are_after(at(6, 1, 0)));
        assert!(!markers.are_after(at(6, 0, 2)) && !markers.are_after(at(6, 1, 2)));
    }

    #[test]
    fn many_markers_are_bounded_and_remove_rather_too_much() {
        let mut markers = Markers::default();
        let all: Vec<Moment> = (1..200).map(|n| at(1_000 - n, 0, n)).collect();
        all.iter().for_each(|moment| markers.add(0, *moment));
        assert!(markers.0.len() <= MOST_MARKERS);
        assert!((1..199).all(|n| markers.are_after(at(999, 0, n))));
    }
}
