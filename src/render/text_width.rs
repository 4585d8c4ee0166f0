//! Measures, cuts and pads text by its width in terminal columns.
//!
//! Terminals disagree on the width of joined emoji. [`harmless`] removes the joiners, so that each
//! part is displayed separately, with a width on which terminals agree, and no line wraps.

use unicode_width::UnicodeWidthChar as _;

use crate::display::printable::one_line;

/// Texts are cut here before they are measured. No line shows more.
const MOST_BYTES: usize = 16 * 1024;

/// Returns `text` as one line without control characters and joiners, each run of white space
/// replaced by one space.
pub fn harmless(text: &str) -> String {
    let mut end = text.len().min(MOST_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let head = text.get(..end).unwrap_or(text);
    let joins =
        |c: &char| matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{ad}');
    let plain: String = head.chars().filter(|c| !joins(c)).collect();
    one_line(plain.as_bytes(), MOST_BYTES)
}

/// Returns the width of `text` in columns.
pub fn columns(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// Returns the start of `text` in at most `most` columns, with a final `…` if it was cut.
pub fn cut(text: &str, most: usize) -> String {
    if columns(text) <= most {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut left = most.saturating_sub(1);
    for c in text.chars() {
        let width = c.width().unwrap_or(0);
        if width > left {
            break;
        }
        left -= width;
        cut.push(c);
    }
    if most > 0 {
        cut.push('…');
    }
    cut
}

/// Cuts `text` or pads it with spaces to exactly `width` columns.
pub fn pad(text: &str, width: usize) -> String {
    let mut cut = cut(text, width);
    cut.extend(std::iter::repeat_n(' ', width.saturating_sub(columns(&cut))));
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!(columns("世界"), 4);
        assert_eq!(cut("世界世界", 6), "世界…");
        assert_eq!(pad("世界世界", 4), "世… ");
        assert_eq!(pad("ab", 4), "ab  ");
        assert_eq!((cut("ab", 0), cut("ab", 1), cut("", 0)), ("".into(), "…".into(), "".into()));
        assert_eq!(harmless("a\tb\n\n👨\u{200d}👩 \u{1b}[31m"), "a b 👨👩 [31m");
    }

    proptest! {
        #[test]
        fn no_text_exceeds_its_width(text in "\\PC{0,40}", most in 0_usize..30) {
            let text = harmless(&text);
            prop_assert!(columns(&cut(&text, most)) <= most);
            prop_assert_eq!(columns(&pad(&text, most)), most);
        }
    }
}
