//! Records where the value of each flag came from, so that an error can name what to change.

use std::collections::HashMap;
use std::fmt::{self, Display};
use std::path::PathBuf;

use crate::cli::exit::UsageError;

/// Where a value came from, in order of precedence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueSource {
    /// The command line; holds the long name of the flag.
    Flag(String),
    /// An environment variable; holds its name.
    Environment(String),
    /// The configuration file.
    File {
        path: PathBuf,
        /// The profile; `None` for the top level of the file.
        profile: Option<String>,
        key: String,
    },
    /// No layer gave a value; holds the long name of the flag.
    Default(String),
}

impl ValueSource {
    /// Returns the precedence: a lower rank overrides a higher one.
    #[must_use]
    pub fn rank(&self) -> u8 {
        match self {
            Self::Flag(_) => 0,
            Self::Environment(_) => 1,
            Self::File { profile: Some(_), .. } => 2,
            Self::File { profile: None, .. } => 3,
            Self::Default(_) => 4,
        }
    }
}

impl fmt::Display for ValueSource {
    /// `--host`, `SKYTAIL_HOST`, or `/etc/x.toml: [profile.posts] host`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) | Self::Default(flag) => write!(f, "--{flag}"),
            Self::Environment(variable) => f.write_str(variable),
            Self::File { path, profile, key } => {
                write!(f, "{}: ", path.display())?;
                if let Some(profile) = profile {
                    write!(f, "[profile.{profile}] ")?;
                }
                f.write_str(key)
            }
        }
    }
}

/// The sources of all flags of one run, by the long names of the flags.
#[derive(Clone, Debug, Default)]
pub struct ValueSources {
    by_flag: HashMap<String, ValueSource>,
    ignored_file: Option<String>,
    profiles: Vec<String>,
}

impl ValueSources {
    /// Records the source of a flag's value.
    pub fn set(&mut self, long: &str, source: ValueSource) {
        self.by_flag.insert(long.to_owned(), source);
    }

    /// Returns the source of a flag's value; [`ValueSource::Default`] if none was recorded.
    #[must_use]
    pub fn of(&self, long: &str) -> ValueSource {
        let found = self.by_flag.get(long).cloned();
        found.unwrap_or_else(|| ValueSource::Default(long.to_owned()))
    }

    /// Returns an error about a flag's value that begins with the source of the value.
    #[must_use]
    pub fn usage_error(&self, long: &str, problem: impl Display) -> UsageError {
        UsageError(format!("{}: {problem}", self.of(long)))
    }

    /// Records the profiles of the configuration file.
    pub fn set_profiles(&mut self, profiles: Vec<String>) {
        self.profiles = profiles;
    }

    /// Returns the profiles of the configuration file, sorted.
    #[must_use]
    pub fn profiles(&self) -> &[String] {
        &self.profiles
    }

    /// Records why the default configuration file was ignored.
    pub fn ignore_file(&mut self, reason: String) {
        self.ignored_file = Some(reason);
    }

    /// Returns why the default configuration file was ignored, if it was.
    #[must_use]
    pub fn ignored_file(&self) -> Option<&str> {
        self.ignored_file.as_deref()
    }

    /// Returns whether any layer gave a value for the flag.
    #[must_use]
    pub fn is_given(&self, long: &str) -> bool {
        self.by_flag.contains_key(long)
    }
}
