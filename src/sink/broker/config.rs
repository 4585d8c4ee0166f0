//! The file of `--to-config`: secrets, which must not be on a command line, and settings that few
//! people need. It has one `key = value` a line. The broker's client defines the keys.

use std::fmt;

use crate::display::secrets;

/// Maximum number of keys.
const MAX_ENTRIES: usize = 1_000;

/// Keys and values, in the order given. `Debug` shows no value: some are secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Config(Vec<(String, String)>);

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(key, _)| key)).finish()
    }
}

/// Why a file was refused. No message repeats a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A line has no `=`.
    #[error("line {0} is not \"key = value\"")]
    Line(usize),
    /// The file has more than `MAX_ENTRIES` keys.
    #[error("it has more than {MAX_ENTRIES} keys")]
    TooMany,
}

impl Config {
    /// Parses the text of a file. Blank lines, and lines that begin with `#`, are ignored. If a key
    /// occurs twice, its last value counts.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut entries: Vec<(String, String)> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, value) = line.split_once('=').ok_or(ConfigError::Line(index + 1))?;
            let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
            if key.is_empty() {
                return Err(ConfigError::Line(index + 1));
            }
            if is_secret(&key) {
                secrets::register(&value);
            }
            entries.retain(|(known, _)| *known != key);
            entries.push((key, value));
            if entries.len() > MAX_ENTRIES {
                return Err(ConfigError::TooMany);
            }
        }
        Ok(Self(entries))
    }

    /// Returns the keys and values, in the order given.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }
}

/// Returns whether the value of a key must not reach a log. The name of a file is not a secret.
fn is_secret(key: &str) -> bool {
    let words = ["password", "secret", "token", "jaas", "nkey", "ssl.key.pem"];
    words.iter().any(|word| key.contains(word)) && !key.ends_with("location")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_of_a_key_counts_and_values_may_hold_anything() {
        let config = Config::parse("# a\n\n a = 1\nb=x=y z \na=2\nempty =\n").unwrap();
        let entries: Vec<_> = config.iter().collect();
        assert_eq!(entries, [("b", "x=y z"), ("a", "2"), ("empty", "")]);
    }

    #[test]
    fn a_line_that_is_none_is_named_and_its_words_are_not_repeated() {
        for (text, line) in [("a=1\nsecret", 2), ("=secret", 1)] {
            assert_eq!(Config::parse(text), Err(ConfigError::Line(line)));
        }
        assert!(!format!("{:?}", Config::parse("password = secret").unwrap()).contains("secret"));
    }
}
