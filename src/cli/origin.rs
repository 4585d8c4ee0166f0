//! Where the value of a flag came from, so that a message can name what must be changed.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

/// What a value came from, strongest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The command line: the flag.
    Flag(String),
    /// A variable of the environment.
    Environment(String),
    /// A file of settings.
    File {
        /// The file.
        path: PathBuf,
        /// The profile; `None` for the top of the file.
        profile: Option<String>,
        /// The key.
        key: String,
    },
    /// Nobody gave it: the default of this flag.
    Default(String),
}

impl Origin {
    /// The strength: a lower rank wins over a higher one.
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

impl fmt::Display for Origin {
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

/// The origins of all flags of one run, by their long names.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    origins: HashMap<String, Origin>,
    ignored_file: Option<String>,
}

impl Origins {
    /// Remembers where a flag's value came from.
    pub fn set(&mut self, long: &str, origin: Origin) {
        self.origins.insert(long.to_owned(), origin);
    }

    /// Where the flag's value came from.
    #[must_use]
    pub fn of(&self, long: &str) -> Origin {
        let found = self.origins.get(long).cloned();
        found.unwrap_or_else(|| Origin::Default(long.to_owned()))
    }

    /// Remembers why the default file of settings was ignored.
    pub fn ignore_file(&mut self, why: String) {
        self.ignored_file = Some(why);
    }

    /// Returns why the default file of settings was ignored, if it was.
    #[must_use]
    pub fn ignored_file(&self) -> Option<&str> {
        self.ignored_file.as_deref()
    }

    /// Whether anybody gave a value.
    #[must_use]
    pub fn is_given(&self, long: &str) -> bool {
        self.origins.contains_key(long)
    }
}
