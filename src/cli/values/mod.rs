//! Parsers of the values of flags: pure functions from text to a number, a time or a keyword. Each
//! error says what to write instead. The caller adds the name of the flag and the source of the
//! text.

pub mod account;
pub mod address;
pub mod count;
pub mod cursor;
pub mod duration;
pub mod keywords;
pub mod list;
pub mod rotate;
pub mod sample;
pub mod size;
pub mod stripe;
pub mod time;

/// Why a value is not valid. Every message ends with what to write instead.
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
    /// Not a duration, for a flag that also accepts `never`.
    #[error(
        "{0:?} is not a duration: write a number with ms, s, m, h or d, such as 250ms or 5m, or never"
    )]
    DurationOrNever(String),
    /// Not a duration, for a flag that also accepts `all`.
    #[error("{0:?} is not a duration: write a number with s, m, h or d, such as 30m or 6h, or all")]
    DurationOrAll(String),
    /// Not a whole number.
    #[error("{0:?} is not a whole number: write digits (100_000), or a number with k or M (10k)")]
    Count(String),
    /// Not a whole number, for a flag that also accepts `unlimited`.
    #[error("{0:?} is not a whole number: write digits (10, or 1_000), or unlimited")]
    CountOrUnlimited(String),
    /// Not an address to listen on.
    #[error(
        "{0:?} is not an address to listen on: write one with its port (127.0.0.1:9464, [::1]:9464), or a port alone, which means 127.0.0.1"
    )]
    ListenAddress(String),
    /// Not a DNS server.
    #[error(
        "{0:?} is not a DNS server: write its address (1.1.1.1), or address and port ([::1]:53)"
    )]
    DnsServer(String),
    /// Not a time.
    #[error(
        "{0:?} is not a time: write one like 2026-11-23T10:00:00Z, yesterday, an age like 15m, +15m for the future, or Unix microseconds (16 digits)"
    )]
    Time(String),
    /// Not a sample.
    #[error("{0:?} is not a sample: write 1/N, such as 1/100 for one in a hundred")]
    Sample(String),
    /// Not a stripe.
    #[error("{0:?} is not a stripe: write I/N, such as 2/4 for the second of four")]
    Stripe(String),
    /// Not a rotation.
    #[error("{0:?} is not a rotation: write hourly, daily, or a size (100MiB)")]
    Rotate(String),
    /// Outside the range of the flag.
    #[error("{value} is out of range: write {min} to {max}")]
    Range {
        /// The value as it was written.
        value: String,
        /// The smallest accepted value.
        min: String,
        /// The largest accepted value.
        max: String,
    },
}

/// A value, or `None` for the keyword that means "no limit".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrNever<T>(pub Option<T>);

/// Parses digits with single underscores between them; `None` for anything else, and for a number
/// that does not fit 64 bits.
fn digits(text: &str) -> Option<u64> {
    let tidy = !text.starts_with('_') && !text.ends_with('_') && !text.contains("__");
    let only_digits = text.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    if text.is_empty() || !tidy || !only_digits {
        return None;
    }
    text.replace('_', "").parse().ok()
}
