//! Events about accounts: their status, their handle, and the repair of a repository.

use std::borrow::Cow;

use serde::Deserialize;

use crate::position::BELIEVED_AHEAD_US;

/// The alphabet of a revision, in the order in which its digits compare.
const DIGITS: &[u8; 32] = b"234567abcdefghijklmnopqrstuvwxyz";

/// The status that ends an account.
pub const DELETED: &str = "deleted";

/// The part of an event that its kind names.
#[derive(Debug, Default, Deserialize)]
pub struct Marker<'a> {
    /// Of an account event.
    #[serde(borrow, default)]
    pub account: Option<Body<'a>>,
    /// Of an identity event.
    #[serde(borrow, default)]
    pub identity: Option<Body<'a>>,
    /// Of a sync event.
    #[serde(borrow, default)]
    pub sync: Option<Body<'a>>,
}

/// What a relay says of an account.
#[derive(Debug, Default, Deserialize)]
pub struct Body<'a> {
    /// Whether the account's records may be shown.
    #[serde(default)]
    pub active: Option<bool>,
    /// Why they may not.
    #[serde(borrow, default)]
    pub status: Option<Cow<'a, str>>,
    /// The account's handle.
    #[serde(borrow, default)]
    pub handle: Option<Cow<'a, str>>,
    /// The revision of a repaired repository.
    #[serde(borrow, default)]
    pub rev: Option<Cow<'a, str>>,
    /// The relay's time, which is the same on every server.
    #[serde(borrow, default)]
    pub time: Option<Cow<'a, str>>,
}

impl<'a> Marker<'a> {
    /// Parses a line; empty if a member has another type than the protocol says.
    pub fn parse(line: &'a [u8]) -> Self {
        serde_json::from_slice(line).unwrap_or_default()
    }
}

impl Body<'_> {
    /// Returns when it happened, in microseconds: at the relay's time, unless that lies far ahead of
    /// `clock_us`, the time of the stream; otherwise at the server's time.
    pub fn at_us(&self, received_us: u64, clock_us: u64) -> u64 {
        let time = self.time.as_ref().and_then(|time| time.parse::<jiff::Timestamp>().ok());
        let time = time.and_then(|time| u64::try_from(time.as_microsecond()).ok());
        let is_plausible = |time: &u64| *time <= clock_us.saturating_add(BELIEVED_AHEAD_US);
        time.filter(is_plausible).unwrap_or(received_us.min(clock_us))
    }

    /// Returns whether the account is deleted.
    pub fn is_deletion(&self) -> bool {
        self.active == Some(false) && self.status.as_deref() == Some(DELETED)
    }
}

/// Returns the first revision that a repository can have at this time: a revision begins with the
/// time of its commit (AT Protocol, record keys, TID).
pub fn first_rev_at(us: u64) -> String {
    let number = us << 10;
    let digit = |place: u32| DIGITS[((number >> (5 * place)) & 31) as usize] as char;
    (0..13).rev().map(digit).collect()
}

/// Returns a revision after `rev` and before every later one.
pub fn after(rev: &str) -> String {
    format!("{rev}+")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_are_ordered_by_time() {
        // The revision of protocol/jetstream-v2.md §3, and the time of its event.
        let rev = "3mptbypluud2a";
        let time = 1_783_175_888_085_434;
        assert!(first_rev_at(time - 2_000_000).as_str() < rev);
        assert!(first_rev_at(time + 2_000_000).as_str() > rev);
        assert_eq!(first_rev_at(0), "2222222222222");
        assert!(after(rev).as_str() > rev && after(rev).as_str() < "3mptbypluud2b");
    }

    #[test]
    fn a_marker_happened_when_the_relay_says_unless_that_lies_far_ahead() {
        let of = |time: &str| Body { time: Some(time.to_owned().into()), ..Body::default() };
        assert_eq!(of("1970-01-01T00:00:01.5Z").at_us(9_000_000, 9_000_000), 1_500_000);
        // The server's time may be imported.
        assert_eq!(of("1970-01-01T00:00:01.5Z").at_us(1_000, 9_000_000), 1_500_000);
        assert_eq!(of("2999-01-01T00:00:00Z").at_us(8_000_000, 9_000_000), 8_000_000);
        assert_eq!(of("soon").at_us(8_000_000, 9_000_000), 8_000_000);
        assert_eq!(of("soon").at_us(u64::MAX, 9_000_000), 9_000_000);
    }
}
