//! Looks at many bytes of a line at once: sixteen for the next quote, sixty-four for the
//! brackets outside of strings. What the bits mean for an event, `scan` knows.
//!
//! Measured (`cargo bench --bench parts header`, events of 520 bytes): with eight bytes at a
//! time and a branch a byte outside of strings the header took 490 ns an event. The
//! instructions are those that every machine of the target has.

use wide::u8x16;

/// Bytes of a block: a bit each fits into a word.
pub(super) const BLOCK_BYTES: usize = 64;

const LANE: usize = 16;

/// What a line has anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Survey {
    /// A byte below the space.
    pub(super) has_control: bool,
    /// A backslash, in a string or not.
    pub(super) has_backslash: bool,
}

/// Looks through a whole line.
pub(super) fn survey(bytes: &[u8]) -> Survey {
    let (mut least, mut backslashes) = (u8x16::splat(u8::MAX), u8x16::splat(0));
    for block in bytes.as_chunks::<BLOCK_BYTES>().0 {
        look(block, &mut least, &mut backslashes);
    }
    // The last ones, and some of those before once more.
    match bytes.last_chunk::<BLOCK_BYTES>() {
        Some(block) => look(block, &mut least, &mut backslashes),
        None => look(&padded(bytes), &mut least, &mut backslashes),
    }
    let controls = least.min(u8x16::splat(0x1f)).simd_eq(least);
    Survey { has_control: controls.to_bitmask() != 0, has_backslash: backslashes.to_bitmask() != 0 }
}

#[inline(always)]
fn look(block: &[u8; BLOCK_BYTES], least: &mut u8x16, backslashes: &mut u8x16) {
    let backslash = u8x16::splat(b'\\');
    for lane in block.as_chunks::<LANE>().0 {
        let lane = u8x16::new(*lane);
        *least = least.min(lane);
        *backslashes |= lane.simd_eq(backslash);
    }
}

/// Where the first quote from `from` on stands.
#[inline(always)]
pub(super) fn find_quote(bytes: &[u8], mut from: usize) -> Option<usize> {
    loop {
        // Without a branch up to the length of nearly every string.
        let quotes = quotes_at(bytes, from)?;
        if quotes != 0 {
            return Some(from + quotes.trailing_zeros() as usize);
        }
        from += BLOCK_BYTES;
    }
}

#[inline(always)]
fn quotes_at(bytes: &[u8], from: usize) -> Option<u64> {
    let rest = bytes.get(from..).filter(|rest| !rest.is_empty())?;
    if let Some(block) = rest.first_chunk::<BLOCK_BYTES>() {
        return Some(quotes_of(block));
    }
    match bytes.last_chunk::<BLOCK_BYTES>() {
        // Those before `from` are shifted out.
        Some(block) => Some(quotes_of(block) >> (BLOCK_BYTES - rest.len())),
        None => Some(quotes_of(&padded(rest))),
    }
}

#[inline(always)]
fn quotes_of(block: &[u8; BLOCK_BYTES]) -> u64 {
    let quote = u8x16::splat(b'"');
    let mut quotes = 0;
    for (place, lane) in block.as_chunks::<LANE>().0.iter().enumerate() {
        let found = u8x16::new(*lane).simd_eq(quote);
        quotes |= u64::from(found.to_bitmask()) << (place * LANE);
    }
    quotes
}

/// Sixty-four bytes as bits, the first byte's lowest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bits {
    /// Quotes.
    pub(super) quotes: u64,
    /// Braces and square brackets.
    pub(super) brackets: u64,
    /// Backslashes; 0 where nobody asked.
    pub(super) backslashes: u64,
}

/// The bits of the block that begins at `from`; 0 for bytes that are not there. `None` where
/// none is there.
#[inline(always)]
pub(super) fn bits<const BACKSLASHES: bool>(bytes: &[u8], from: usize) -> Option<Bits> {
    let rest = bytes.get(from..).filter(|rest| !rest.is_empty())?;
    if let Some(block) = rest.first_chunk::<BLOCK_BYTES>() {
        return Some(bits_of::<BACKSLASHES>(block));
    }
    let missing = BLOCK_BYTES - rest.len();
    match bytes.last_chunk::<BLOCK_BYTES>() {
        // Those before `from` are shifted out.
        Some(block) => {
            let Bits { quotes, brackets, backslashes } = bits_of::<BACKSLASHES>(block);
            Some(Bits {
                quotes: quotes >> missing,
                brackets: brackets >> missing,
                backslashes: backslashes >> missing,
            })
        }
        None => Some(bits_of::<BACKSLASHES>(&padded(rest))),
    }
}

#[inline(always)]
fn bits_of<const BACKSLASHES: bool>(block: &[u8; BLOCK_BYTES]) -> Bits {
    let (quote, backslash) = (u8x16::splat(b'"'), u8x16::splat(b'\\'));
    // This bit is all that a brace and the square bracket of its side differ by.
    let side = u8x16::splat(b'{' ^ b'[');
    let (open, close) = (u8x16::splat(b'{'), u8x16::splat(b'}'));
    let mut bits = Bits { quotes: 0, brackets: 0, backslashes: 0 };
    for (place, lane) in block.as_chunks::<LANE>().0.iter().enumerate() {
        let lane = u8x16::new(*lane);
        let word = |found: u8x16| u64::from(found.to_bitmask()) << (place * LANE);
        let braces = lane | side;
        bits.quotes |= word(lane.simd_eq(quote));
        bits.brackets |= word(braces.simd_eq(open) | braces.simd_eq(close));
        if BACKSLASHES {
            bits.backslashes |= word(lane.simd_eq(backslash));
        }
    }
    bits
}

/// For each byte, whether an odd number of set bits stands at or before it.
#[inline]
pub(super) fn parity(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

/// The bytes that a backslash before them escapes. `carry` says so of the first byte, and then
/// of the first byte behind the block.
#[inline]
pub(super) fn escaped(backslashes: u64, carry: &mut bool) -> u64 {
    let mut escaped = u64::from(*carry);
    let mut left = backslashes & !escaped;
    *carry = false;
    while left != 0 {
        let at = left.trailing_zeros();
        if at == 63 {
            *carry = true;
            break;
        }
        escaped |= 2 << at;
        // Neither this one nor what it escapes begins another escape.
        left &= !(3 << at);
    }
    escaped
}

/// The value of the digits at the beginning, and how many they are; `None` where it is none or
/// all.
#[inline(always)]
pub(super) fn digits(bytes: &[u8; 17]) -> Option<(u64, usize)> {
    let (eight, rest) = bytes.split_first_chunk::<8>()?;
    if let Some(high) = eight_digits(*eight) {
        if let Some(low) = rest.first_chunk::<8>().and_then(|eight| eight_digits(*eight)) {
            return Some((high * 100_000_000 + low, 16));
        }
        return few_digits(rest.first_chunk()?, high).map(|(value, more)| (value, 8 + more));
    }
    few_digits(eight, 0).filter(|(_, length)| *length > 0)
}

/// Up to seven digits behind a number's first ones.
#[inline(always)]
fn few_digits(bytes: &[u8; 8], high: u64) -> Option<(u64, usize)> {
    let length = bytes.iter().position(|byte| !byte.is_ascii_digit())?;
    let digits = bytes.iter().take(length);
    Some((digits.fold(high, |value, digit| value * 10 + u64::from(digit - b'0')), length))
}

/// The eight digits' value, where all eight are digits.
#[inline]
fn eight_digits(bytes: [u8; 8]) -> Option<u64> {
    let word = u64::from_le_bytes(bytes);
    const SIXES: u64 = 0x0606_0606_0606_0606;
    const HIGH: u64 = 0xf0f0_f0f0_f0f0_f0f0;
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    // A byte from '0' on has a 3 above, and up to '9' keeps it when six are added.
    if word & HIGH != ZEROS || word.wrapping_add(SIXES) & HIGH != ZEROS {
        return None;
    }
    // Pairs, then fours, then all eight, each in one multiplication.
    let ones = word & !HIGH;
    let pairs = (ones.wrapping_mul(10 << 8 | 1) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100 << 16 | 1) >> 16) & 0x0000_ffff_0000_ffff;
    Some(fours.wrapping_mul(10_000 << 32 | 1) >> 32)
}

/// The last bytes of a line as a block; the rest of it is spaces.
#[inline(never)]
fn padded(rest: &[u8]) -> [u8; BLOCK_BYTES] {
    let mut block = [b' '; BLOCK_BYTES];
    if let Some(head) = block.get_mut(..rest.len()) {
        head.copy_from_slice(rest);
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn byte() -> impl Strategy<Value = u8> {
        let special = prop::sample::select(&b"\"\\{}[]|;\x7b\x5b\x1f\x00\x7f\x80\xff"[..]);
        prop_oneof![2 => any::<u8>(), 3 => special, 3 => Just(b'a')]
    }

    proptest! {
        #[test]
        fn a_survey_agrees_with_one_byte_at_a_time(bytes in prop::collection::vec(byte(), 0..100)) {
            let expected = Survey {
                has_control: bytes.iter().any(|&b| b < b' '),
                has_backslash: bytes.contains(&b'\\'),
            };
            prop_assert_eq!(survey(&bytes), expected);
        }

        #[test]
        fn the_first_quote_is_found(
            bytes in prop::collection::vec(byte(), 0..200), from in 0..210_usize,
        ) {
            let rest = bytes.iter().enumerate().skip(from);
            let expected = rest.clone().find(|(_, b)| **b == b'"').map(|(place, _)| place);
            prop_assert_eq!(find_quote(&bytes, from), expected);
        }

        #[test]
        fn bits_agree_with_one_byte_at_a_time(
            bytes in prop::collection::vec(byte(), 0..200), from in 0..210_usize,
        ) {
            let found = bits::<true>(&bytes, from);
            prop_assert_eq!(found.is_some(), from < bytes.len());
            let Some(found) = found else { return Ok(()) };
            let of = |is: fn(u8) -> bool| {
                let set = bytes.iter().skip(from).take(64).enumerate().filter(|(_, b)| is(**b));
                set.fold(0, |word, (place, _)| word | 1_u64 << place)
            };
            prop_assert_eq!(found.quotes, of(|b| b == b'"'));
            prop_assert_eq!(found.brackets, of(|b| b"{}[]".contains(&b)));
            prop_assert_eq!(found.backslashes, of(|b| b == b'\\'));
        }

        #[test]
        fn parity_agrees_with_counting(word in any::<u64>()) {
            for place in 0..64 {
                let upto = word & (u64::MAX >> (63 - place));
                prop_assert_eq!(parity(word) >> place & 1 == 1, upto.count_ones() % 2 == 1);
            }
        }

        #[test]
        fn escapes_agree_with_reading_on(
            words in prop::collection::vec(prop_oneof![any::<u64>(), Just(u64::MAX)], 1..4),
        ) {
            let (mut carry, mut is_escaped) = (false, false);
            for word in words {
                let found = escaped(word, &mut carry);
                for place in 0..64 {
                    prop_assert_eq!(found >> place & 1 == 1, is_escaped);
                    is_escaped = !is_escaped && word >> place & 1 == 1;
                }
            }
        }

        #[test]
        fn eight_digits_agree_with_the_library(
            bytes in prop_oneof![any::<[u8; 8]>(), prop::array::uniform8(b'0'..=b'9')],
        ) {
            let is_number = bytes.iter().all(u8::is_ascii_digit);
            let text = std::str::from_utf8(&bytes).ok().filter(|_| is_number);
            prop_assert_eq!(eight_digits(bytes), text.and_then(|text| text.parse().ok()));
        }
    }
}
