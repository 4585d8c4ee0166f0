//! How one value of one flag is read: pure functions from text to a number, an instant or a
//! word, each with a message that says what would have been right. They know neither the
//! flag's name nor where the text came from; whoever calls adds both.

pub mod account;
pub mod address;
pub mod count;
pub mod cursor;
pub mod duration;
pub mod keywords;
pub mod list;
pub mod rotate;
pub mod size;
pub mod time;

/// Why a value was refused. Every message ends in what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Not a size in bytes.
    #[error(
        "{0:?} is not a size: write bytes (1_000_000), or a number with k, M, G, KiB, MiB or GiB (8MiB)"
    )]
    Size(String),
    /// Not a duration.
    #[error(
        "{0:?} is not a duration: write a number with ms, s, m, h or d, such as 250ms, 5m or 1h30m"
    )]
    Duration(String),
    /// Not a duration, where `never` would have been right too.
    #[error(
        "{0:?} is not a duration: write a number with ms, s, m, h or d, such as 250ms or 5m, or never"
    )]
    DurationOrNever(String),
    /// Not a whole number.
    #[error("{0:?} is not a whole number: write digits, with underscores if you like (100_000)")]
    Count(String),
    /// Not a whole number, where no limit would have been right too.
    #[error("{0:?} is not a whole number: write digits (10, or 1_000), or unlimited")]
    CountOrUnlimited(String),
    /// Not an address to listen on.
    #[error(
        "{0:?} is not an address to listen on: write one with its port (127.0.0.1:9464, [::1]:9464), or the port alone, which is then of 127.0.0.1"
    )]
    ListenAddress(String),
    /// Not a DNS server.
    #[error(
        "{0:?} is not a DNS server: write its address (1.1.1.1), or address and port ([::1]:53)"
    )]
    DnsServer(String),
    /// Not an instant.
    #[error(
        "{0:?} is not a time: write one like 2026-11-23T10:00:00Z, an age like -15m, or Unix microseconds (16 digits)"
    )]
    Time(String),
    /// Not a rotation.
    #[error("{0:?} is no rotation: write hourly, daily, or a size (100MiB)")]
    Rotate(String),
    /// A good value of its sort, but outside the range.
    #[error("{value} is out of range: write {least} to {most}")]
    Range {
        /// The value as it was written.
        value: String,
        /// The smallest that is accepted.
        least: String,
        /// The largest that is accepted.
        most: String,
    },
}

/// A value, or the word that means "no limit".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrNever<T>(pub Option<T>);

/// Reads digits with single underscores between them; `None` for anything else, and for what
/// 64 bits can't hold.
fn digits(text: &str) -> Option<u64> {
    let tidy = !text.starts_with('_') && !text.ends_with('_') && !text.contains("__");
    let only_digits = text.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    if text.is_empty() || !tidy || !only_digits {
        return None;
    }
    text.replace('_', "").parse().ok()
}
