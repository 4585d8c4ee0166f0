//! Parquet's hybrid of run lengths and bit-packed groups (`Encodings.md`, RLE), for definition
//! levels and for indices into a dictionary.

use super::error::ReadError;

/// Values in a bit-packed group.
const GROUP: usize = 8;

/// Appends `values`, each of `width` bits.
pub(super) fn encode(values: &[u32], width: u8, out: &mut Vec<u8>) {
    let mut at = 0;
    // Values that wait for a bit-packed run; a multiple of eight, except at the end.
    let mut packed = 0;
    while let Some(value) = values.get(at) {
        let run = values.get(at..).unwrap_or_default();
        let run = run.iter().take_while(|next| *next == value).count();
        // What completes the last group of eight belongs to the bit-packed run.
        let fill = (GROUP - packed % GROUP) % GROUP;
        if run < fill + GROUP {
            packed += 1;
            at += 1;
            continue;
        }
        let start = at - packed;
        pack(values.get(start..at + fill).unwrap_or_default(), width, out);
        packed = 0;
        varint((run - fill) as u64 * 2, out);
        out.extend_from_slice(value.to_le_bytes().get(..bytes_of(width)).unwrap_or_default());
        at += run;
    }
    pack(values.get(values.len() - packed..).unwrap_or_default(), width, out);
}

fn bytes_of(width: u8) -> usize {
    usize::from(width).div_ceil(8)
}

fn pack(values: &[u32], width: u8, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let groups = values.len().div_ceil(GROUP);
    varint(groups as u64 * 2 + 1, out);
    let (mut bits, mut filled) = (0_u64, 0_u32);
    let padding = groups * GROUP - values.len();
    for value in values.iter().copied().chain(std::iter::repeat_n(0, padding)) {
        bits |= u64::from(value) << filled;
        filled += u32::from(width);
        while filled >= 8 {
            out.push(bits as u8);
            bits >>= 8;
            filled -= 8;
        }
    }
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Returns how many bits the values up to `max` need.
pub(super) fn width_of(max: u32) -> u8 {
    (u32::BITS - max.leading_zeros()) as u8
}

/// Decodes one value after another. Holds no more than its place in the bytes, however long a run
/// claims to be.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Decoder {
    at: usize,
    width: u8,
    run: Run,
}

#[derive(Clone, Copy, Debug, Default)]
enum Run {
    #[default]
    None,
    Repeated {
        value: u32,
        left: u64,
    },
    Packed {
        left: u64,
        /// The next bit, from `at`.
        bit: u64,
    },
}

impl Decoder {
    /// Returns a decoder at an offset. `width` is at most 32.
    pub(super) fn new(at: usize, width: u8) -> Self {
        Self { at, width, run: Run::None }
    }

    /// Returns the next value; fails at the end of the bytes.
    pub(super) fn next(&mut self, bytes: &[u8]) -> Result<u32, ReadError> {
        loop {
            match &mut self.run {
                Run::Repeated { value, left } if *left > 0 => {
                    *left -= 1;
                    return Ok(*value);
                }
                Run::Packed { left, bit } if *left > 0 => {
                    let value = bits(bytes, self.at, *bit, self.width).ok_or(SHORT)?;
                    *left -= 1;
                    *bit += u64::from(self.width);
                    return Ok(value);
                }
                Run::Packed { bit, .. } => {
                    self.at += usize::try_from(*bit / 8).map_err(|_| SHORT)?;
                    self.start_run(bytes)?;
                }
                _ => self.start_run(bytes)?,
            }
        }
    }

    fn start_run(&mut self, bytes: &[u8]) -> Result<(), ReadError> {
        let mut header = 0_u64;
        for shift in (0..35).step_by(7) {
            let byte = *bytes.get(self.at).ok_or(SHORT)?;
            self.at += 1;
            header |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        let count = header >> 1;
        if header & 1 == 1 {
            self.run = Run::Packed { left: count * GROUP as u64, bit: 0 };
            return Ok(());
        }
        let end = self.at + bytes_of(self.width);
        let stored = bytes.get(self.at..end).ok_or(SHORT)?;
        let value = stored.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
        self.at = end;
        self.run = Run::Repeated { value, left: count };
        Ok(())
    }
}

const SHORT: ReadError = ReadError::Damaged("a page ends before its values");

/// Returns `width` bits that begin `bit` bits after the byte at `at`.
fn bits(bytes: &[u8], at: usize, bit: u64, width: u8) -> Option<u32> {
    let first = at.checked_add(usize::try_from(bit / 8).ok()?)?;
    let shift = bit % 8;
    let length = (shift + u64::from(width)).div_ceil(8) as usize;
    let stored = bytes.get(first..first.checked_add(length)?)?;
    let value = stored.iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    Some(((value >> shift) & ((1 << width) - 1)) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(bytes: &[u8], width: u8, count: usize) -> Vec<u32> {
        let mut decoder = Decoder::new(0, width);
        (0..count).map(|_| decoder.next(bytes).unwrap()).collect()
    }

    #[test]
    fn long_runs_are_short_and_an_end_is_noticed() {
        let values = [vec![1; 100_000], vec![0, 1, 1], vec![2; 20]].concat();
        let mut bytes = Vec::new();
        encode(&values, 2, &mut bytes);
        assert!(bytes.len() < 16, "{}", bytes.len());
        assert_eq!(decode(&bytes, 2, values.len()), values);
        let mut decoder = Decoder::new(0, 2);
        assert!((0..200_000).any(|_| decoder.next(&bytes).is_err()));
    }

    proptest! {
        #[test]
        fn values_are_decoded_as_they_were(
            runs in prop::collection::vec((0..40_u32, 1..30_usize), 0..20), wider in 0..12_u8,
        ) {
            let values: Vec<u32> =
                runs.iter().flat_map(|(value, n)| std::iter::repeat_n(*value, *n)).collect();
            let width = width_of(values.iter().copied().max().unwrap_or(0)) + wider;
            let mut bytes = Vec::new();
            encode(&values, width, &mut bytes);
            prop_assert_eq!(decode(&bytes, width, values.len()), values);
        }

        #[test]
        fn any_bytes_end_without_a_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..40), width in 0..33_u8,
        ) {
            let mut decoder = Decoder::new(0, width);
            let _ = (0..1_000).try_for_each(|_| decoder.next(&bytes).map(drop));
        }
    }
}
