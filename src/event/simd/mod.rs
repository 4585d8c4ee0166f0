//! Classifies 64 bytes of a line at once: which are quotes, brackets and backslashes. The terms
//! are those of simdjson: a structural index, the prefix XOR of the quotes (which bytes are inside
//! strings), and the characters after odd runs of backslashes (which are escaped).
//!
//! The functions of this file serve the general parser (`scanner`), and use only instructions that
//! every processor of the target has. Measured (`cargo bench --bench parts header`, events of 520
//! bytes): with eight bytes at a time, and a branch per byte outside of strings, parsing a header
//! took 490 ns per event.
//!
//! [`dispatch`] makes the structural index of the fast path, which classifies a whole line in one
//! pass, with AVX2 or AVX-512 if the processor has it.

pub(super) mod dispatch;
mod lanes;
pub(super) mod structural_index;

use wide::u8x16;

/// Bytes per block: one bit per byte fits into a `u64`.
pub(super) const BLOCK_BYTES: usize = 64;

/// Bytes per vector.
const LANE: usize = 16;

/// What a whole line contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ScannedClass {
    /// A byte below 0x20.
    pub(super) has_control: bool,
    /// A backslash, inside or outside of strings.
    pub(super) has_backslash: bool,
}

/// Classifies a whole line.
pub(super) fn line_class(bytes: &[u8]) -> ScannedClass {
    let (mut least, mut backslashes) = (u8x16::splat(u8::MAX), u8x16::splat(0));
    for block in bytes.as_chunks::<BLOCK_BYTES>().0 {
        accumulate(block, &mut least, &mut backslashes);
    }
    // The last block overlaps the one before.
    match bytes.last_chunk::<BLOCK_BYTES>() {
        Some(block) => accumulate(block, &mut least, &mut backslashes),
        None => accumulate(&padded(bytes), &mut least, &mut backslashes),
    }
    let controls = least.min(u8x16::splat(0x1f)).simd_eq(least);
    ScannedClass {
        has_control: controls.to_bitmask() != 0,
        has_backslash: backslashes.to_bitmask() != 0,
    }
}

#[inline(always)]
fn accumulate(block: &[u8; BLOCK_BYTES], least: &mut u8x16, backslashes: &mut u8x16) {
    let backslash = u8x16::splat(b'\\');
    for lane in block.as_chunks::<LANE>().0 {
        let lane = u8x16::new(*lane);
        *least = least.min(lane);
        *backslashes |= lane.simd_eq(backslash);
    }
}

/// Returns the offset of the first quote at or after `from`.
#[inline(always)]
pub(super) fn find_quote(bytes: &[u8], mut from: usize) -> Option<usize> {
    loop {
        // One block, without a branch inside, is longer than nearly every string.
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
        // The bytes before `from` are shifted out.
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

/// The classes of a block's bytes, one bit per byte; bit 0 is the first byte.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockBits {
    pub(super) quotes: u64,
    /// Braces and square brackets, inside or outside of strings.
    pub(super) brackets: u64,
    /// Backslashes; 0 unless the caller asked for them.
    pub(super) backslashes: u64,
}

/// Returns the bits of the block that begins at `from`, which are 0 after the end of `bytes`;
/// `None` if `from` is not before the end.
#[inline(always)]
pub(super) fn block_bits<const BACKSLASHES: bool>(bytes: &[u8], from: usize) -> Option<BlockBits> {
    let rest = bytes.get(from..).filter(|rest| !rest.is_empty())?;
    if let Some(block) = rest.first_chunk::<BLOCK_BYTES>() {
        return Some(classify::<BACKSLASHES>(block));
    }
    let missing = BLOCK_BYTES - rest.len();
    match bytes.last_chunk::<BLOCK_BYTES>() {
        // The bytes before `from` are shifted out.
        Some(block) => {
            let BlockBits { quotes, brackets, backslashes } = classify::<BACKSLASHES>(block);
            Some(BlockBits {
                quotes: quotes >> missing,
                brackets: brackets >> missing,
                backslashes: backslashes >> missing,
            })
        }
        None => Some(classify::<BACKSLASHES>(&padded(rest))),
    }
}

#[inline(always)]
fn classify<const BACKSLASHES: bool>(block: &[u8; BLOCK_BYTES]) -> BlockBits {
    let (quote, backslash) = (u8x16::splat(b'"'), u8x16::splat(b'\\'));
    // A brace and the square bracket of the same side differ in this bit only.
    let side = u8x16::splat(b'{' ^ b'[');
    let (open, close) = (u8x16::splat(b'{'), u8x16::splat(b'}'));
    let mut bits = BlockBits { quotes: 0, brackets: 0, backslashes: 0 };
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

/// Returns the prefix XOR: bit i is set if an odd number of bits up to and including bit i is set.
/// For unescaped quotes, these are the bytes inside strings, opening quotes included.
#[inline]
pub(super) fn prefix_xor(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

/// Returns the bytes that are escaped: those after an odd run of backslashes. `carry` is 1 if the
/// block's first byte is escaped, and is set for the first byte of the next block.
#[inline]
pub(super) fn escaped(backslashes: u64, carry: &mut u64) -> u64 {
    let mut escaped = *carry;
    let mut left = backslashes & !escaped;
    *carry = 0;
    while left != 0 {
        let at = left.trailing_zeros();
        if at == 63 {
            *carry = 1;
            break;
        }
        escaped |= 2 << at;
        // Neither this backslash nor the byte that it escapes begins another escape.
        left &= !(3 << at);
    }
    escaped
}

/// Copies the last bytes of a line into a block, and fills the rest with spaces.
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
        fn line_class_agrees_with_one_byte_at_a_time(bytes in prop::collection::vec(byte(), 0..100)) {
            let expected = ScannedClass {
                has_control: bytes.iter().any(|&b| b < b' '),
                has_backslash: bytes.contains(&b'\\'),
            };
            prop_assert_eq!(line_class(&bytes), expected);
        }

        #[test]
        fn find_quote_finds_the_first_quote(
            bytes in prop::collection::vec(byte(), 0..200), from in 0..210_usize,
        ) {
            let rest = bytes.iter().enumerate().skip(from);
            let expected = rest.clone().find(|(_, b)| **b == b'"').map(|(place, _)| place);
            prop_assert_eq!(find_quote(&bytes, from), expected);
        }

        #[test]
        fn block_bits_agree_with_one_byte_at_a_time(
            bytes in prop::collection::vec(byte(), 0..200), from in 0..210_usize,
        ) {
            let found = block_bits::<true>(&bytes, from);
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
        fn prefix_xor_agrees_with_counting(word in any::<u64>()) {
            for place in 0..64 {
                let upto = word & (u64::MAX >> (63 - place));
                prop_assert_eq!(prefix_xor(word) >> place & 1 == 1, upto.count_ones() % 2 == 1);
            }
        }

        #[test]
        fn escaped_bytes_agree_with_one_byte_at_a_time(
            words in prop::collection::vec(prop_oneof![any::<u64>(), Just(u64::MAX)], 1..4),
        ) {
            let (mut carry, mut is_escaped) = (0, false);
            for word in words {
                let found = escaped(word, &mut carry);
                for place in 0..64 {
                    prop_assert_eq!(found >> place & 1 == 1, is_escaped);
                    is_escaped = !is_escaped && word >> place & 1 == 1;
                }
            }
        }
    }
}
