//! The regular expression of `--grep`.

use std::fmt;

use memchr::memmem::Finder;
use regex::{Regex, RegexBuilder};

use crate::event::record;

use super::record_rules::has_unicode_escape;

/// Most bytes of a compiled expression. `\p{L}{50}` takes about half of it.
const MAX_COMPILED_BYTES: usize = 4 << 20;
/// Most bytes of the cache of states that a search fills.
const MAX_CACHE_BYTES: usize = 1 << 20;
/// Deepest nesting of groups.
const MAX_NESTING: u32 = 100;
/// Most bytes of an expression's text.
const MAX_TEXT_BYTES: usize = 64 * 1024;
/// Most characters of an expression that an error shows.
const SHOWN_CHARS: usize = 100;

/// A regular expression for the string values of a record.
#[derive(Clone)]
pub struct Grep {
    regex: Regex,
    /// Finds the expression in a line if it matches its own text only, and JSON can write it in no
    /// other way than literally or with `\u`.
    literal: Option<Finder<'static>>,
}

/// Why an expression can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrepError {
    /// The expression matches every string.
    #[error("the regular expression is empty: write one, such as 'rust|cargo'")]
    Empty,
    /// The syntax is wrong.
    #[error("{0}; put a \\ before a special character to match it, as in '\\('")]
    Syntax(String),
    /// The expression would need too much memory.
    #[error("{0:?} is too large when compiled (limit 4 MiB): write a shorter expression")]
    TooLarge(String),
}

impl Grep {
    /// Compiles an expression.
    ///
    /// # Errors
    /// [`GrepError`].
    pub fn new(text: &str) -> Result<Self, GrepError> {
        let shown = || text.chars().take(SHOWN_CHARS).collect::<String>();
        if text.is_empty() {
            return Err(GrepError::Empty);
        }
        if text.len() > MAX_TEXT_BYTES {
            return Err(GrepError::TooLarge(shown()));
        }
        let regex = RegexBuilder::new(text)
            .size_limit(MAX_COMPILED_BYTES)
            .dfa_size_limit(MAX_CACHE_BYTES)
            .nest_limit(MAX_NESTING)
            .build();
        let regex = regex.map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => GrepError::TooLarge(shown()),
            error => GrepError::Syntax(syntax_error(&shown(), &error.to_string())),
        })?;
        Ok(Self { regex, literal: is_literal(text).then(|| Finder::new(text).into_owned()) })
    }

    /// Returns the expression.
    #[must_use]
    pub fn text(&self) -> &str {
        self.regex.as_str()
    }

    /// Returns `false` if the bytes of a line alone show that no record in it matches.
    pub(super) fn may_match(&self, line: &[u8]) -> bool {
        let Some(literal) = &self.literal else { return true };
        literal.find(line).is_some() || has_unicode_escape(line)
    }

    /// Returns whether the expression matches in a string value of the record.
    pub(super) fn matches_record(&self, record: &str) -> bool {
        record::any_string(record, |text| self.regex.is_match(text))
    }
}

impl fmt::Debug for Grep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Grep").field(&self.text()).finish()
    }
}

/// Returns whether an expression matches its own text only, and JSON writes that text without
/// escapes or with `\u`.
fn is_literal(text: &str) -> bool {
    let is_plain = |c: char| !c.is_control() && !matches!(c, '"' | '\\' | '/');
    text.chars().all(is_plain) && regex::escape(text) == text
}

/// Returns the parser's reason on one line. Its message draws a picture on several lines.
fn syntax_error(shown: &str, message: &str) -> String {
    let reason = message.lines().last().unwrap_or_default();
    format!("{shown:?} is no regular expression: {}", reason.trim_start_matches("error: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_expression_is_refused_with_the_reason_on_one_line() {
        let refusal = |text: &str| Grep::new(text).unwrap_err().to_string();
        assert_eq!(
            refusal("(a"),
            r#""(a" is no regular expression: unclosed group; put a \ before a special character to match it, as in '\('"#
        );
        assert!(refusal("a{9999999999}").contains(" is no regular expression: "));
        assert!(refusal(&"(".repeat(200)).contains(" is no regular expression: "));
        assert!(refusal(r"(\w{1000}){1000}").contains("is too large when compiled"));
        assert!(refusal(&"x".repeat(100_000)).contains("is too large when compiled"));
        assert_eq!(Grep::new("").unwrap_err(), GrepError::Empty);
    }

    #[test]
    fn the_check_of_the_bytes_is_for_literals_only() {
        let may = |text: &str, line: &str| Grep::new(text).unwrap().may_match(line.as_bytes());
        assert!(may("cat", r#"{"a":"a cat"}"#) && !may("cat", r#"{"a":"a dog"}"#));
        assert!(may("cat", r#"{"a":"c\u0061t"}"#));
        assert!(may("c.t", r#"{"a":"a dog"}"#) && may("a/b", r#"{"a":"a\/b"}"#));
    }
}
