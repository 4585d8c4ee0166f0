//! Values of `--archive-stripe`: `2/4`.

use super::{ValueError, digits};
use crate::source::archive::bounds::Stripe;

/// Most stripes: far more machines than a server has segments for.
const MAX_STRIPES: u64 = 10_000;

/// Parses `I/N` with 1 ≤ I ≤ N.
///
/// # Errors
/// [`ValueError::Stripe`].
pub fn parse_stripe(text: &str) -> Result<Stripe, ValueError> {
    let parse = || {
        let (number, of) = text.split_once('/')?;
        let (number, of) = (digits(number)?, digits(of)?);
        let is_valid = (1..=MAX_STRIPES).contains(&of) && (1..=of).contains(&number);
        let (number, of) = (u32::try_from(number).ok()?, u32::try_from(of).ok()?);
        is_valid.then_some(Stripe { number, of })
    };
    parse().ok_or_else(|| ValueError::Stripe(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_one_of_several() {
        assert_eq!(parse_stripe("1/1"), Ok(Stripe { number: 1, of: 1 }));
        assert_eq!(parse_stripe("3/10000"), Ok(Stripe { number: 3, of: 10_000 }));
        for text in ["", "1", "0/4", "5/4", "1/0", "1/10001", "-1/4", "1/4/2", "a/b", " 1/4"] {
            assert_eq!(parse_stripe(text), Err(ValueError::Stripe(text.to_owned())), "{text}");
        }
    }
}
