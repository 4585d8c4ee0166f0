//! Values of `--rotate`: `hourly`, `daily`, or a size.

use super::ValueError;
use super::size::parse_size;
use crate::sink::file::rotation::Rotate;

/// Smallest file size: with smaller ones, creating files would take longer than writing them.
const MIN_BYTES: u64 = 64 * 1024;

/// Parses a rotation.
///
/// # Errors
/// [`ValueError::Rotate`], or [`ValueError::Range`] for a size that is too small or too large.
pub fn parse_rotate(text: &str) -> Result<Rotate, ValueError> {
    match text {
        "hourly" => return Ok(Rotate::Hourly),
        "daily" => return Ok(Rotate::Daily),
        _ => {}
    }
    match parse_size(text) {
        Ok(bytes) if bytes >= MIN_BYTES => Ok(Rotate::Size(bytes)),
        Ok(_) | Err(ValueError::Range { .. }) => Err(ValueError::Range {
            value: text.to_owned(),
            min: "64KiB".to_owned(),
            max: "1024GiB".to_owned(),
        }),
        Err(_) => Err(ValueError::Rotate(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_keywords_and_sizes() {
        assert_eq!(parse_rotate("hourly"), Ok(Rotate::Hourly));
        assert_eq!(parse_rotate("daily"), Ok(Rotate::Daily));
        assert_eq!(parse_rotate("64KiB"), Ok(Rotate::Size(65_536)));
        assert_eq!(parse_rotate("1G"), Ok(Rotate::Size(1_000_000_000)));
    }

    #[test]
    fn rejects_other_words() {
        for text in ["", "weekly", "Hourly", "1h"] {
            assert_eq!(parse_rotate(text), Err(ValueError::Rotate(text.to_owned())));
        }
        for text in ["0", "1", "65535", "2000GiB"] {
            assert!(matches!(parse_rotate(text), Err(ValueError::Range { .. })), "{text}");
        }
    }
}
