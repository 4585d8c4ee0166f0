//! The languages of `--lang`.

use memchr::memmem;

use crate::event::record;

use super::record_rules::has_unicode_escape;

/// The name of the member that lists a record's languages, as JSON writes it without escapes.
const LANGS: &[u8] = b"\"langs\"";

/// Longest language tag, in bytes (RFC 5646 §4.4.1 requires 35).
const MAX_TAG_BYTES: usize = 35;

/// A set of language ranges (RFC 4647 §3.3.1). A record matches if one of its `langs` is a range,
/// or begins with a range and a hyphen; case does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Languages {
    /// In lower case, sorted, each once.
    ranges: Vec<String>,
}

/// The text is not a language tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a language: write its code, such as de, pt-BR or ja")]
pub struct InvalidLanguage(String);

impl Languages {
    /// Adds a range.
    ///
    /// # Errors
    /// [`InvalidLanguage`] unless `tag` has the syntax of a tag, with a language of two or three
    /// letters: only such languages have a code.
    pub fn add(&mut self, tag: &str) -> Result<(), InvalidLanguage> {
        let mut subtags = tag.split('-');
        let language = subtags.next().unwrap_or_default();
        let is_language =
            (2..=3).contains(&language.len()) && language.bytes().all(|b| b.is_ascii_alphabetic());
        let is_subtag = |subtag: &str| {
            (1..=8).contains(&subtag.len()) && subtag.bytes().all(|b| b.is_ascii_alphanumeric())
        };
        if !is_language || !subtags.all(is_subtag) || tag.len() > MAX_TAG_BYTES {
            return Err(InvalidLanguage(tag.to_owned()));
        }
        let range = tag.to_ascii_lowercase();
        if let Err(at) = self.ranges.binary_search(&range) {
            self.ranges.insert(at, range);
        }
        Ok(())
    }

    /// Returns whether the set has no ranges, and so does not restrict anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Returns the ranges in lower case, sorted.
    #[must_use]
    pub fn ranges(&self) -> &[String] {
        &self.ranges
    }

    /// Returns `false` if the bytes of a line alone show that no record in it has a language.
    pub(super) fn may_match(line: &[u8]) -> bool {
        memmem::find(line, LANGS).is_some() || has_unicode_escape(line)
    }

    /// Returns whether a record declares one of the languages.
    pub(super) fn match_record(&self, record: &str) -> bool {
        record::any_language(record, |tag| self.ranges.iter().any(|range| is_in_range(tag, range)))
    }
}

/// Returns whether a tag is a range, or begins with a range and a hyphen.
fn is_in_range(tag: &str, range: &str) -> bool {
    let (tag, range) = (tag.as_bytes(), range.as_bytes());
    let Some((start, rest)) = tag.split_at_checked(range.len()) else { return false };
    start.eq_ignore_ascii_case(range) && matches!(rest.first(), None | Some(b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_matches_whole_subtags_in_any_case() {
        for (tag, range, expected) in [
            ("de", "de", true),
            ("DE", "de", true),
            ("de-AT", "de", true),
            ("de-at", "de-at", true),
            ("de", "de-at", false),
            ("den", "de", false),
            ("d", "de", false),
            ("", "de", false),
            ("d\u{e9}", "de", false),
            ("pt-BR-x-a", "pt-br", true),
            ("pt-BRA", "pt-br", false),
        ] {
            assert_eq!(is_in_range(tag, range), expected, "{tag} in {range}");
        }
    }

    #[test]
    fn tags_are_checked_and_kept_once_in_lower_case() {
        let mut languages = Languages::default();
        for tag in ["pt-BR", "de", "PT-br", "zh-Hant-TW", "yue"] {
            languages.add(tag).unwrap();
        }
        assert_eq!(languages.ranges(), ["de", "pt-br", "yue", "zh-hant-tw"]);
        let long = format!("de{}", "-abcdefgh".repeat(4));
        for bad in ["", "d", "german", "de_AT", "de-", "-de", "*", "de-abcdefghi", "d\u{e9}", &long]
        {
            assert_eq!(languages.add(bad), Err(InvalidLanguage(bad.to_owned())), "{bad}");
        }
    }
}
