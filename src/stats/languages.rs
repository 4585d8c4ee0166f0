//! Extracts the languages that a record declares from one line.

use std::fmt;

use memchr::memmem::Finder;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, SeqAccess, Visitor};

/// Maximum length of a language tag, in bytes (RFC 5646 §4.4.1 requires 35).
pub const MAX_LANGUAGE_BYTES: usize = 35;

/// Maximum number of tags read per record: a post may have three, a hostile record millions.
const MAX_TAGS: usize = 16;

/// Extracts language tags from event lines.
#[derive(Debug)]
pub struct LanguageParser {
    langs: Finder<'static>,
}

impl Default for LanguageParser {
    fn default() -> Self {
        Self { langs: Finder::new(b"\"langs\"") }
    }
}

impl LanguageParser {
    /// Returns the distinct languages of a commit's record (`langs`), in either format. A line
    /// without the key's bytes is not parsed. Of more than 16 tags only the first are returned, and
    /// a tag that is too long is cut just above the maximum length, so that callers can recognise
    /// it.
    #[must_use]
    pub fn parse(&self, line: &[u8]) -> Vec<String> {
        if self.langs.find(line).is_none() {
            return Vec::new();
        }
        let Ok(event) = serde_json::from_slice::<Event>(line) else { return Vec::new() };
        let record = event.record.or_else(|| event.commit.and_then(|commit| commit.record));
        let Some(Tags(mut langs)) = record.and_then(|record| record.langs) else {
            return Vec::new();
        };
        langs.sort_unstable();
        langs.dedup();
        langs
    }
}

/// The path to `langs` in both formats.
#[derive(Deserialize)]
struct Event {
    commit: Option<Commit>,
    record: Option<Record>,
}

#[derive(Deserialize)]
struct Commit {
    record: Option<Record>,
}

#[derive(Deserialize)]
struct Record {
    langs: Option<Tags>,
}

/// The first tags of an array of strings.
struct Tags(Vec<String>);

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(TagsVisitor)
    }
}

struct TagsVisitor;

impl<'de> Visitor<'de> for TagsVisitor {
    type Value = Tags;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of language tags")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut tags: A) -> Result<Tags, A::Error> {
        let mut first = Vec::new();
        while first.len() < MAX_TAGS {
            match tags.next_element()? {
                Some(Tag(tag)) => first.push(tag),
                None => return Ok(Tags(first)),
            }
        }
        while tags.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Tags(first))
    }
}

/// One tag, truncated if it is too long.
struct Tag(String);

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TagVisitor)
    }
}

struct TagVisitor;

impl Visitor<'_> for TagVisitor {
    type Value = Tag;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a language tag")
    }

    fn visit_str<E: Error>(self, tag: &str) -> Result<Tag, E> {
        let end = tag.char_indices().map(|(at, _)| at).find(|at| *at > MAX_LANGUAGE_BYTES);
        Ok(Tag(tag.get(..end.unwrap_or(tag.len())).unwrap_or_default().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn languages(langs: &str) -> Vec<String> {
        let line = format!(r#"{{"commit":{{"record":{{"langs":{langs}}}}}}}"#);
        LanguageParser::default().parse(line.as_bytes())
    }

    #[test]
    fn each_language_of_a_record_is_found_once() {
        assert_eq!(languages(r#"["pt-BR","en","\u0065n"]"#), ["en", "pt-BR"]);
        for none in ["null", "[]", r#""en""#, r#"["en",7]"#, r#"{"en":1}"#, "7"] {
            assert_eq!(languages(none), [""; 0], "{none}");
        }
    }

    #[test]
    fn a_million_tags_or_a_long_tag_use_little_memory() {
        let many: Vec<String> = (0..1_000_000).map(|n| n.to_string()).collect();
        let found = languages(&serde_json::to_string(&many).unwrap());
        assert_eq!(found.len(), MAX_TAGS);
        assert!(found.capacity() <= 64, "{}", found.capacity());
        for long in ["x".repeat(1_000_000), "\u{1f41f}".repeat(100_000)] {
            let found = languages(&serde_json::to_string(&[long]).unwrap());
            let bytes = found[0].len();
            assert!((MAX_LANGUAGE_BYTES + 1..MAX_LANGUAGE_BYTES + 5).contains(&bytes));
            assert!(found[0].capacity() < 64);
        }
    }
}
