//! Decimal numbers, eight digits at a time in one word.

const ZEROS: u64 = 0x3030_3030_3030_3030;

/// Ten to the power of the index.
const POWERS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// Returns the value and the number of the digits at the start of `text`; at most sixteen are read.
#[inline(always)]
pub(super) fn leading_digits(text: &[u8]) -> (u64, usize) {
    let Some(first) = text.first_chunk::<8>() else { return one_by_one(text) };
    let (value, count) = of_word(*first);
    if count < 8 {
        return (value, count);
    }
    let Some(second) = text.get(8..).and_then(|rest| rest.first_chunk::<8>()) else {
        return one_by_one(text);
    };
    let (low, more) = of_word(*second);
    (value * POWERS.get(more).copied().unwrap_or_default() + low, 8 + more)
}

#[cold]
fn one_by_one(text: &[u8]) -> (u64, usize) {
    let digits = text.iter().take(16).take_while(|byte| byte.is_ascii_digit());
    digits.fold((0, 0), |(value, count), digit| (value * 10 + u64::from(digit - b'0'), count + 1))
}

/// Returns the value and the number of the digits at the start of eight bytes.
#[inline(always)]
fn of_word(bytes: [u8; 8]) -> (u64, usize) {
    let digits = u64::from_le_bytes(bytes) ^ ZEROS;
    // Sets the highest bit of a byte over 9. A carry only reaches bytes after the first such one.
    let others = (digits.wrapping_add(0x7676_7676_7676_7676) | digits) & 0x8080_8080_8080_8080;
    let count = others.trailing_zeros() / 8;
    // Moves the digits to the end; the zeros before them do not change the value.
    let digits = digits.checked_shl(64 - 8 * count).unwrap_or(0);
    (combine(digits), count as usize)
}

/// Returns the number of which each byte is one digit.
#[inline(always)]
fn combine(ones: u64) -> u64 {
    // Pairs, then fours, then all eight, with one multiplication each.
    let pairs = (ones.wrapping_mul(10 << 8 | 1) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100 << 16 | 1) >> 16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000 << 32 | 1) >> 32
}

/// Returns the sixteen digits of a number below 10^16, zeros first; those of the remainder for a
/// larger one.
#[inline(always)]
pub(super) fn sixteen_digits(number: u64) -> [u8; 16] {
    let mut text = [0; 16];
    let (high, low) = text.split_at_mut(8);
    high.copy_from_slice(&eight_digits(number / 100_000_000 % 100_000_000));
    low.copy_from_slice(&eight_digits(number % 100_000_000));
    text
}

/// Returns the digits of a number below 10^8.
#[inline(always)]
fn eight_digits(number: u64) -> [u8; 8] {
    // Halves of four digits, then of two, then single digits, in the order of the text. The
    // factors are reciprocals, exact for numbers of that size.
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let pairs = hundreds | ((fours - hundreds * 100) << 16);
    let tens = ((pairs * 103) >> 10) & 0x000f_000f_000f_000f;
    let ones = tens | ((pairs - tens * 10) << 8);
    (ones | ZEROS).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn leading_digits_agree_with_the_standard_library(
            digits in "[0-9]{0,20}", rest in "[a-z,}/:\u{e9}]{0,12}",
        ) {
            let text = format!("{digits}{rest}");
            let first = &digits[..digits.len().min(16)];
            let value = first.parse().unwrap_or(0);
            prop_assert_eq!(leading_digits(text.as_bytes()), (value, first.len()));
        }

        #[test]
        fn no_other_byte_counts_as_a_digit(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            let count = bytes.iter().take(16).take_while(|byte| byte.is_ascii_digit()).count();
            prop_assert_eq!(leading_digits(&bytes).1, count);
        }

        #[test]
        fn sixteen_digits_agree_with_the_standard_library(
            number in prop_oneof![0..10_000_000_000_000_000_u64, 0..100_000_u64],
        ) {
            prop_assert_eq!(sixteen_digits(number).to_vec(), format!("{number:016}").into_bytes());
        }
    }

    #[test]
    fn every_pair_of_digits_is_exact() {
        for number in 0..10_000 {
            let text = format!("{number:04}{:04}", 9_999 - number);
            assert_eq!(eight_digits(text.parse().unwrap()), text.as_bytes());
        }
    }
}
