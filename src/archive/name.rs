//! The names of segment files (protocol/jetstream-v2-archive.md §2).

/// Number of base-36 digits of the index in a name.
const DIGITS: usize = 10;

/// Returns the name of the segment with this index: `seg_000000002a.jss` for 82.
#[must_use]
pub fn segment_name(index: u64) -> String {
    let mut digits = Vec::new();
    let mut rest = index;
    while rest > 0 {
        // A remainder below 36 is always a digit.
        digits.push(char::from_digit((rest % 36) as u32, 36).unwrap_or('0'));
        rest /= 36;
    }
    let digits: String = digits.into_iter().rev().collect();
    format!("seg_{digits:0>DIGITS$}.jss")
}

/// Returns the index in a name; `None` unless [`segment_name`] returns the same name for it.
#[must_use]
pub fn segment_index(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("seg_")?.strip_suffix(".jss")?;
    let index = u64::from_str_radix(digits, 36).ok()?;
    (segment_name(index) == name).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_indices_are_one_to_one() {
        assert_eq!(segment_name(82), "seg_000000002a.jss");
        assert_eq!(segment_name(0), "seg_0000000000.jss");
        for index in [0, 1, 35, 36, 82, u64::MAX] {
            assert_eq!(segment_index(&segment_name(index)), Some(index));
        }
        for wrong in ["seg_2a.jss", "seg_000000002A.jss", "seg_+00000002a.jss", "../seg.jss", ""] {
            assert_eq!(segment_index(wrong), None, "{wrong}");
        }
    }
}
