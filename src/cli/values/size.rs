//! Sizes in bytes: `8MiB`, `64k`, `1_000_000`.

use super::{ValueError, digits};

/// The largest size that a flag accepts: 1 TiB, far above any use and far below an overflow.
const MAX: u64 = 1 << 40;

/// Parses a size in bytes: a whole number with an optional unit. `k`, `M`, `G` (with or without
/// `B`) are powers of 1000, `Ki`, `Mi`, `Gi` (with or without `B`) powers of 1024. Case is ignored.
///
/// # Errors
/// [`ValueError::Size`], or [`ValueError::Range`] for 0 and for more than 1 TiB.
pub fn parse_size(text: &str) -> Result<u64, ValueError> {
    let error = || ValueError::Size(text.to_owned());
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let factor = factor(unit.trim_start_matches(' ')).ok_or_else(error)?;
    let number = digits(number).ok_or_else(error)?;
    match number.checked_mul(factor) {
        Some(bytes) if (1..=MAX).contains(&bytes) => Ok(bytes),
        _ => Err(ValueError::Range {
            value: text.to_owned(),
            min: "1".to_owned(),
            max: "1024GiB".to_owned(),
        }),
    }
}

/// Parses a size that this machine can address.
///
/// # Errors
/// As [`parse_size`].
pub fn parse_memory_size(text: &str) -> Result<usize, ValueError> {
    usize::try_from(parse_size(text)?).map_err(|_| ValueError::Size(text.to_owned()))
}

/// Parses a size for Jetstream's `maxMessageSizeBytes`: less than 2^32, because a server reads a
/// larger one as "no limit" (protocol/jetstream-v1.md §3).
///
/// # Errors
/// As [`parse_size`].
pub fn parse_message_size(text: &str) -> Result<u32, ValueError> {
    u32::try_from(parse_size(text)?).map_err(|_| ValueError::Range {
        value: text.to_owned(),
        min: "1".to_owned(),
        max: u32::MAX.to_string(),
    })
}

fn factor(unit: &str) -> Option<u64> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "ki" | "kib" => 1 << 10,
        "mi" | "mib" => 1 << 20,
        "gi" | "gib" => 1 << 30,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accepts_common_spellings() {
        for (text, bytes) in [
            ("1", 1),
            ("1_000_000", 1_000_000),
            ("64k", 64_000),
            ("64KB", 64_000),
            ("64KiB", 65_536),
            ("64ki", 65_536),
            ("8MiB", 8 << 20),
            ("8 MiB", 8 << 20),
            ("2G", 2_000_000_000),
            ("1024GiB", MAX),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn rejects_what_is_not_a_size() {
        for text in ["", "MiB", "1.5M", "-1", "8 apples", "8MiBB", "8M iB", "1__0k", "k8"] {
            assert_eq!(parse_size(text), Err(ValueError::Size(text.to_owned())), "{text}");
        }
        for text in ["0", "0MiB", "1025GiB", "18446744073709551615GiB"] {
            assert!(matches!(parse_size(text), Err(ValueError::Range { .. })), "{text}");
        }
    }

    #[test]
    fn a_message_size_stays_below_what_servers_read_as_no_limit() {
        assert_eq!(parse_message_size("4294967295"), Ok(u32::MAX));
        assert!(parse_message_size("4294967296").is_err());
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,24}") {
            let _ = parse_size(&text);
        }

        #[test]
        fn a_number_without_a_unit_is_in_bytes(n in 1u64..=MAX) {
            prop_assert_eq!(parse_size(&n.to_string()), Ok(n));
        }
    }
}
