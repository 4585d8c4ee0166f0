//! Values of `--sample`: `1/100`.

use super::{ValueError, digits};
use crate::filter::Sample;

/// Parses `1/N`, and returns N.
///
/// # Errors
/// [`ValueError::Sample`], or [`ValueError::Range`] for an N of 0 or above [`Sample::MAX`].
pub fn parse_sample(text: &str) -> Result<u64, ValueError> {
    let error = || ValueError::Sample(text.to_owned());
    let one_in = digits(text.strip_prefix("1/").ok_or_else(error)?).ok_or_else(error)?;
    if !(1..=Sample::MAX).contains(&one_in) {
        let (min, max) = ("1/1".to_owned(), format!("1/{}", Sample::MAX));
        return Err(ValueError::Range { value: text.to_owned(), min, max });
    }
    Ok(one_in)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_one_in_n() {
        assert_eq!(parse_sample("1/1"), Ok(1));
        assert_eq!(parse_sample("1/1_000"), Ok(1000));
        assert_eq!(parse_sample("1/1000000000"), Ok(Sample::MAX));
    }

    #[test]
    fn rejects_other_fractions() {
        for text in ["", "100", "2/100", "1%", "0.01", "1/", "1/-5", "1 / 5", "1/x"] {
            assert_eq!(parse_sample(text), Err(ValueError::Sample(text.to_owned())), "{text}");
        }
        for text in ["1/0", "1/1000000001"] {
            assert!(matches!(parse_sample(text), Err(ValueError::Range { .. })), "{text}");
        }
    }
}
