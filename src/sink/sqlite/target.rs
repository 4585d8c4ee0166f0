//! The value of `--to sqlite:FILE?OPTIONS`. Parsing only: no file is opened here.

use std::path::PathBuf;

/// The prefix of a database's address.
pub const SCHEME: &str = "sqlite:";

/// How long a deleted record is remembered by default, in microseconds of event time: 7 days.
const TOMBSTONES_US: u64 = 7 * 86_400_000_000;

/// Which events the table `events` keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum History {
    /// There is no such table.
    #[default]
    Off,
    /// All events except those of deleted accounts.
    On,
    /// As [`History::On`], and without the events of deleted records.
    Scrubbed,
}

/// The options of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long a deleted record is remembered, in microseconds of event time.
    pub tombstones_us: u64,
    /// Whether v1 connections are refused.
    pub strict: bool,
    /// Whether `record` is stored as JSONB.
    pub jsonb: bool,
    /// The field with a full-text index, as `--fields` names it.
    pub fts: Option<String>,
    /// Whether events are kept, too.
    pub history: History,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tombstones_us: TOMBSTONES_US,
            strict: false,
            jsonb: false,
            fts: None,
            history: History::Off,
        }
    }
}

/// Why an address of a database was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The path is empty or in a form with two meanings.
    #[error("{0:?} names no file: write sqlite:FILE, such as sqlite:posts.db")]
    NoFile(String),
    /// An option is unknown.
    #[error(
        "{0:?} is not an option of a database: write strict, tombstones=30d, json=jsonb, fts=commit.record.text, history or history=scrubbed, with & between them"
    )]
    Option(String),
    /// An option is given twice.
    #[error("{0} is given twice: write each option once")]
    Twice(String),
    /// An option's value is invalid.
    #[error("{value:?} is not a value of {name}: write {expected}")]
    Value {
        /// The option.
        name: &'static str,
        /// The given value.
        value: String,
        /// What is valid.
        expected: &'static str,
    },
}

/// Returns whether a value of `--to` names a database.
#[must_use]
pub fn is_database(to: &str) -> bool {
    to.starts_with(SCHEME)
}

/// Parses `sqlite:FILE[?OPTION[&OPTION…]]`. `parse_duration` returns microseconds.
///
/// # Errors
/// [`AddressError`] says which part is wrong.
pub fn parse(
    to: &str,
    parse_duration: impl Fn(&str) -> Option<u64>,
) -> Result<(PathBuf, Options), AddressError> {
    let rest = to.strip_prefix(SCHEME).unwrap_or(to);
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = match path.strip_prefix("//") {
        Some(absolute) if absolute.starts_with('/') => absolute,
        Some(_) => return Err(AddressError::NoFile(to.to_owned())),
        None => path,
    };
    if path.is_empty() || path.ends_with('/') || path == ":memory:" {
        return Err(AddressError::NoFile(to.to_owned()));
    }
    let mut options = Options::default();
    let mut names: Vec<&str> = Vec::new();
    for option in query.split('&').filter(|option| !option.is_empty()) {
        let name = option.split_once('=').map_or(option, |(name, _)| name);
        if names.contains(&name) {
            return Err(AddressError::Twice(name.to_owned()));
        }
        names.push(name);
        set(&mut options, option, &parse_duration)?;
    }
    Ok((PathBuf::from(path), options))
}

fn set(
    options: &mut Options,
    option: &str,
    parse_duration: impl Fn(&str) -> Option<u64>,
) -> Result<(), AddressError> {
    let invalid = |name, value: &str, expected| {
        Err(AddressError::Value { name, value: value.to_owned(), expected })
    };
    match option.split_once('=').unwrap_or((option, "")) {
        ("strict", "") => options.strict = true,
        ("tombstones", value) => match parse_duration(value) {
            Some(us) => options.tombstones_us = us,
            None => {
                let expected = "a duration over zero, such as 7d or 12h: without tombstones, an event that comes late would bring a deleted record back";
                return invalid("tombstones", value, expected);
            }
        },
        ("json", "text") => options.jsonb = false,
        ("json", "jsonb") => options.jsonb = true,
        ("json", value) => return invalid("json", value, "text or jsonb"),
        ("fts", value) if is_record_field(value) => options.fts = Some(value.to_owned()),
        ("fts", value) => {
            return invalid("fts", value, "a field of the record such as commit.record.text");
        }
        ("history", "") => options.history = History::On,
        ("history", "scrubbed") => options.history = History::Scrubbed,
        ("history", value) => return invalid("history", value, "nothing, or scrubbed"),
        _ => return Err(AddressError::Option(option.to_owned())),
    }
    Ok(())
}

/// Returns whether a field of `--fields` lies within the record.
fn is_record_field(field: &str) -> bool {
    let path = field.strip_prefix(super::fields::RECORD_PREFIX);
    path.is_some_and(|path| !path.is_empty() && path.split('.').all(|part| !part.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(text: &str) -> Option<u64> {
        text.strip_suffix('d')?.parse::<u64>().ok().map(|days| days * 86_400_000_000)
    }

    #[test]
    fn an_address_has_a_file_and_options() {
        let (path, options) = parse("sqlite:posts.db", days).unwrap();
        assert_eq!((path, options), (PathBuf::from("posts.db"), Options::default()));
        let (path, options) = parse(
            "sqlite:///data/a.db?strict&tombstones=30d&json=jsonb&fts=commit.record.text&history",
            days,
        )
        .unwrap();
        assert_eq!(path, PathBuf::from("/data/a.db"));
        assert!(options.strict && options.jsonb);
        assert_eq!(options.tombstones_us, 30 * 86_400_000_000);
        assert_eq!(options.fts.as_deref(), Some("commit.record.text"));
        assert_eq!(options.history, History::On);
        let (_, options) = parse("sqlite:a?history=scrubbed", days).unwrap();
        assert_eq!(options.history, History::Scrubbed);
    }

    #[test]
    fn what_is_no_address_is_refused_with_a_reason() {
        for (given, said) in [
            ("sqlite:", "names no file"),
            ("sqlite:?strict", "names no file"),
            ("sqlite://posts.db", "names no file"),
            ("sqlite:dir/", "names no file"),
            ("sqlite::memory:", "names no file"),
            ("sqlite:a?tombstone=7d", "\"tombstone=7d\" is not an option"),
            ("sqlite:a?tombstones=x", "\"x\" is not a value of tombstones"),
            ("sqlite:a?json=b", "write text or jsonb"),
            ("sqlite:a?fts=text", "commit.record.text"),
            ("sqlite:a?fts=commit.record.a..b", "commit.record.text"),
            ("sqlite:a?history=all", "scrubbed"),
            ("sqlite:a?strict=1", "is not an option"),
            ("sqlite:a?history&history=scrubbed", "history is given twice"),
            ("sqlite:a?strict&json=text&strict", "strict is given twice"),
        ] {
            let error = parse(given, days).unwrap_err().to_string();
            assert!(error.contains(said), "{given}: {error}");
        }
    }
}
