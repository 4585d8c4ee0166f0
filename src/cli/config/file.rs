//! Parses the configuration file: TOML whose keys are the long flags of `skytail tail`, at the top
//! level and in `[profile.NAME]` tables. This checks the syntax and the keys; the flags check the
//! values.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// Largest file, in bytes. A list of 10,000 DIDs takes 350 kB; longer lists belong in `@FILE`.
const MAX_BYTES: u64 = 4 << 20;

/// A parsed configuration file.
#[derive(Clone, Debug, Default)]
pub struct ConfigFile {
    path: PathBuf,
    top_level: BTreeMap<String, Vec<String>>,
    profiles: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

/// Why a configuration file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("can't read the settings in {}: {error}", path.display())]
    Read { path: PathBuf, error: std::io::Error },
    #[error("{} is larger than 4 MiB: put long lists into separate files, for example did = \"@FILE\"", .0.display())]
    TooLarge(PathBuf),
    #[error("{} is not a TOML file: {problem} in line {line}", path.display())]
    Syntax {
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The parser's message. It does not quote the file, because a host may hold a password.
        problem: String,
    },
    /// A key that is not a flag.
    #[error("{}: {key:?} is not a setting: {}", path.display(), remedy(.suggestion.as_deref()))]
    UnknownKey {
        path: PathBuf,
        /// The key with its table, such as `profile.posts.host`.
        key: String,
        suggestion: Option<String>,
    },
    /// A value of a type that no flag has.
    #[error("{}: {key:?} is of type {found}: write a string, a number, true or false, or a list of strings", path.display())]
    Value {
        path: PathBuf,
        /// The key with its table, such as `profile.posts.host`.
        key: String,
        /// The TOML type.
        found: &'static str,
    },
    #[error("{} has no [profile.{name}]: {}", path.display(), profiles(.known))]
    UnknownProfile { path: PathBuf, name: String, known: Vec<String> },
    /// `--profile` without a file.
    #[error("there is no profile {name:?}, because there is no file {}: create it, or name another with --config", path.display())]
    NoFile { name: String, path: PathBuf },
}

impl ConfigError {
    /// Returns whether the system refused to read the file; `false` if the content is wrong.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        matches!(self, Self::Read { error, .. } if error.kind() != ErrorKind::InvalidData)
    }
}

fn remedy(suggestion: Option<&str>) -> String {
    match suggestion {
        Some(suggestion) => format!("did you mean {suggestion:?}?"),
        None => "keys are the long flags of `skytail tail`, without leading dashes".to_owned(),
    }
}

fn profiles(known: &[String]) -> String {
    if known.is_empty() {
        "it has no profiles".to_owned()
    } else {
        format!("its profiles are {}", known.join(", "))
    }
}

impl ConfigFile {
    /// Reads a file that may hold the `known` keys.
    ///
    /// # Errors
    /// The first error, also in profiles that the run does not use.
    pub fn load(path: &Path, known: &[String]) -> Result<Self, ConfigError> {
        let text = read(path)?;
        let table: Table = toml::from_str(&text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            ConfigError::Syntax {
                path: path.to_owned(),
                line: 1 + before.matches('\n').count(),
                problem: error.message().replace('\n', " "),
            }
        })?;
        let mut file = Self { path: path.to_owned(), ..Self::default() };
        for (key, value) in table {
            if key == "profile" {
                file.add_profiles(value, known)?;
            } else {
                let values = file.values(&key, value, &key, known)?;
                file.top_level.insert(key, values);
            }
        }
        Ok(file)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the values of a key from the profile if it has the key, else from the top level, and
    /// whether they are from the profile.
    pub fn get(&self, key: &str, profile: Option<&str>) -> Option<(&[String], bool)> {
        let in_profile =
            profile.and_then(|name| self.profiles.get(name)).and_then(|table| table.get(key));
        match in_profile {
            Some(values) => Some((values, true)),
            None => self.top_level.get(key).map(|values| (values.as_slice(), false)),
        }
    }

    /// Checks that the profile exists.
    ///
    /// # Errors
    /// [`ConfigError::UnknownProfile`] with the profiles that exist.
    pub fn check_profile(&self, name: &str) -> Result<(), ConfigError> {
        if self.profiles.contains_key(name) {
            return Ok(());
        }
        Err(ConfigError::UnknownProfile {
            path: self.path.clone(),
            name: name.to_owned(),
            known: self.profiles(),
        })
    }

    /// Returns the names of the profiles, sorted.
    pub fn profiles(&self) -> Vec<String> {
        self.profiles.keys().cloned().collect()
    }

    fn add_profiles(&mut self, value: Value, known: &[String]) -> Result<(), ConfigError> {
        for (name, table) in self.table("profile", value)? {
            let full = format!("profile.{name}");
            let mut settings = BTreeMap::new();
            for (key, value) in self.table(&full, table)? {
                let full = format!("{full}.{key}");
                let values = self.values(&key, value, &full, known)?;
                settings.insert(key, values);
            }
            self.profiles.insert(name, settings);
        }
        Ok(())
    }

    fn table(&self, key: &str, value: Value) -> Result<Table, ConfigError> {
        match value {
            Value::Table(table) => Ok(table),
            other => Err(ConfigError::UnknownKey {
                path: self.path.clone(),
                key: key.to_owned(),
                suggestion: Some(match other {
                    Value::String(name) => format!("[profile.{name}]"),
                    _ => "[profile.NAME]".to_owned(),
                }),
            }),
        }
    }

    /// Returns the values of one key as a command line would hold them.
    fn values(
        &self,
        key: &str,
        value: Value,
        full_key: &str,
        known: &[String],
    ) -> Result<Vec<String>, ConfigError> {
        if !known.iter().any(|name| name == key) {
            return Err(ConfigError::UnknownKey {
                path: self.path.clone(),
                key: full_key.to_owned(),
                suggestion: closest_key(key, known),
            });
        }
        let scalar = |value: Value| match value {
            Value::String(text) => Ok(text),
            Value::Integer(number) => Ok(number.to_string()),
            Value::Float(number) => Ok(number.to_string()),
            Value::Boolean(yes) => Ok(yes.to_string()),
            Value::Datetime(time) => Ok(time.to_string()),
            other => Err(ConfigError::Value {
                path: self.path.clone(),
                key: full_key.to_owned(),
                found: other.type_str(),
            }),
        };
        match value {
            Value::Array(values) => values.into_iter().map(scalar).collect(),
            value => Ok(vec![scalar(value)?]),
        }
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    use std::io::Read as _;

    let failed = |error| ConfigError::Read { path: path.to_owned(), error };
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text))
        .map_err(failed)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(ConfigError::TooLarge(path.to_owned()));
    }
    Ok(text)
}

/// Returns the most similar known key, if it is similar enough to suggest.
fn closest_key(key: &str, known: &[String]) -> Option<String> {
    let key = key.to_ascii_lowercase().replace('_', "-");
    let scored = known.iter().map(|name| (strsim::jaro_winkler(&key, name), name));
    let (score, name) = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (score > 0.8).then(|| name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<ConfigFile, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        let known = ["host", "collection", "buffer", "demo", "checkpoint-every"];
        ConfigFile::load(&path, &known.map(str::to_owned))
    }

    fn message(text: &str) -> String {
        load(text).unwrap_err().to_string()
    }

    #[test]
    fn a_profile_overrides_the_top_level_key_by_key() {
        let file = load(
            "host = 'a'\nbuffer = 5\ndemo = true\n[profile.posts]\nhost = ['b', 'c']\n[profile.other]\n",
        )
        .unwrap();
        let strings = |values: &[&str]| values.iter().map(|&v| v.to_owned()).collect::<Vec<_>>();
        assert_eq!(file.get("host", None), Some((&strings(&["a"])[..], false)));
        assert_eq!(file.get("host", Some("posts")), Some((&strings(&["b", "c"])[..], true)));
        assert_eq!(file.get("host", Some("other")), Some((&strings(&["a"])[..], false)));
        assert_eq!(file.get("buffer", Some("posts")), Some((&strings(&["5"])[..], false)));
        assert_eq!(file.get("demo", None), Some((&strings(&["true"])[..], false)));
        assert_eq!(file.get("collection", None), None);
    }

    #[test]
    fn an_unknown_key_is_reported_with_a_suggestion() {
        assert!(
            message("hots = 'a'").ends_with("\"hots\" is not a setting: did you mean \"host\"?")
        );
        assert!(message("[profile.x]\ncheckpoint_every = '1s'").ends_with(
            "\"profile.x.checkpoint_every\" is not a setting: did you mean \"checkpoint-every\"?"
        ));
        assert!(message("zzz = 1").ends_with("without leading dashes"));
    }

    #[test]
    fn a_wrong_setting_is_reported_with_its_key_or_line() {
        assert!(message("host = ").contains("is not a TOML file"));
        let secret = message("limit = 1\nhost = 'wss://me:s3cret@h.example' x");
        assert!(secret.ends_with("in line 2") && !secret.contains("s3cret"), "{secret}");
        assert!(message("host = {a = 1}").contains("\"host\" is of type table"));
        assert!(message("host = [['a']]").contains("\"host\" is of type array"));
        assert!(message("profile = 'posts'").contains("did you mean \"[profile.posts]\"?"));
        assert!(message("[profile]\nposts = 1").contains("\"profile.posts\" is not a setting"));
    }

    #[test]
    fn an_unknown_profile_lists_those_that_exist() {
        let file = load("[profile.likes]\n[profile.posts]\n").unwrap();
        assert!(file.check_profile("posts").is_ok());
        let error = file.check_profile("psots").unwrap_err().to_string();
        assert!(
            error.ends_with("has no [profile.psots]: its profiles are likes, posts"),
            "{error}"
        );
        let error = load("").unwrap().check_profile("x").unwrap_err().to_string();
        assert!(error.ends_with("it has no profiles"), "{error}");
    }

    #[test]
    fn an_error_names_the_missing_file() {
        let error = ConfigFile::load(Path::new("/nowhere/c.toml"), &[]).unwrap_err();
        assert!(error.to_string().starts_with("can't read the settings in /nowhere/c.toml: "));
    }
}
