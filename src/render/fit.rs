//! Text in columns of a terminal: as wide as it is shown, and never wider than it may be.
//!
//! Terminals do not agree on what joined emoji take. Without the joiners every part is shown by
//! itself, as wide as everybody says; so nothing wraps by accident.

use unicode_width::UnicodeWidthChar as _;

use crate::display::printable::one_line;

/// Most bytes of a text that are looked at: more than any line shows.
const MOST_BYTES: usize = 16 * 1024;

/// `text` as one harmless line: runs of blanks are one space, what joins characters is gone.
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

/// The columns that `text` takes.
pub fn columns(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// The beginning of `text` in at most so many columns, with a `…` where something is left out.
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

/// [`cut`], filled up with spaces to exactly so many columns.
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
    fn wide_letters_take_two_columns() {
        assert_eq!(columns("世界"), 4);
        assert_eq!(cut("世界世界", 6), "世界…");
        assert_eq!(pad("世界世界", 4), "世… ");
        assert_eq!(pad("ab", 4), "ab  ");
        assert_eq!((cut("ab", 0), cut("ab", 1), cut("", 0)), ("".into(), "…".into(), "".into()));
        assert_eq!(harmless("a\tb\n\n👨\u{200d}👩 \u{1b}[31m"), "a b 👨👩 [31m");
    }

    proptest! {
        #[test]
        fn nothing_is_wider_than_it_may_be(text in "\\PC{0,40}", most in 0_usize..30) {
            let text = harmless(&text);
            prop_assert!(columns(&cut(&text, most)) <= most);
            prop_assert_eq!(columns(&pad(&text, most)), most);
        }
    }
}
