//! One set of values out of four layers: the command line wins over the environment, that
//! over the profile, and that over the top of the file of settings.
//!
//! Responsible for that order, and for applying it to every flag of every command, so that
//! none can be forgotten. The weaker layers reach clap as the defaults of a second parse: it
//! checks them as it checks flags, and any error of that parse is theirs, since the command
//! line alone has passed the first.

use std::cmp::Ordering;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::builder::BoolishValueParser;
use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, ColorChoice, Command, CommandFactory, FromArgMatches};

use super::Cli;
use super::config_file::{ConfigError, ConfigFile};
use super::exit::UsageError;
use super::origin::{Origin, Origins};

/// The flags of other commands that the file sets too, where a command has them: they name
/// the same thing everywhere.
const SHARED_KEYS: [&str; 2] = ["state", "zstd-dictionary"];
/// The flags that choose the file can't stand in it.
const NOT_IN_FILE: [&str; 2] = ["config", "profile"];

/// What surrounds the program.
pub struct Surroundings<'a> {
    /// Looks up an environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// The file of settings that is read where none is named; it need not exist.
    pub default_config: Option<PathBuf>,
}

/// Why arguments were refused.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// By clap: something on the command line, or a call for help.
    #[error(transparent)]
    Arguments(#[from] clap::Error),
    /// Something in the environment or in the file of settings.
    #[error(transparent)]
    Surroundings(#[from] UsageError),
}

impl From<ConfigError> for ParseError {
    fn from(error: ConfigError) -> Self {
        Self::Surroundings(UsageError(error.to_string()))
    }
}

/// Parses all layers. `args` begins with the name of the program.
///
/// # Errors
/// [`ParseError`] for the first thing that is wrong, and where help was asked for.
pub fn parse(
    args: &[OsString],
    surroundings: &Surroundings<'_>,
) -> Result<(Cli, Origins), ParseError> {
    let color = message_color(args, surroundings);
    let given = Cli::command().color(color).try_get_matches_from(args)?;
    let profile = match given.get_one::<String>("profile") {
        Some(name) => Some(name.clone()),
        None => text_variable(surroundings, "SKYTAIL_PROFILE")?,
    };
    let mut origins = Origins::default();
    let file = match config_file(&given, surroundings, profile.as_deref()) {
        Err(Unread::Ignored(error)) => {
            origins.ignore_file(error.to_string());
            None
        }
        Err(Unread::Refused(error)) => return Err(error),
        Ok(file) => file,
    };
    let layers = Layers { surroundings, file, profile };
    let command = layers.apply(Cli::command(), &given, true, &mut origins)?;
    let matches = command.try_get_matches_from(args).map_err(|error| explain(&error, &origins))?;
    Ok((Cli::from_arg_matches(&matches)?, origins))
}

/// The name of the environment variable that stands for a flag.
#[must_use]
pub fn variable_name(long: &str) -> String {
    format!("SKYTAIL_{}", long.to_ascii_uppercase().replace('-', "_"))
}

struct Layers<'a> {
    surroundings: &'a Surroundings<'a>,
    file: Option<ConfigFile>,
    profile: Option<String>,
}

/// A value that a weaker layer has for a flag.
struct Candidate {
    id: String,
    long: String,
    values: Vec<OsString>,
    origin: Origin,
    is_switch: bool,
}

impl Candidate {
    /// A flag without a value that this layer switches off: it shadows weaker layers, and
    /// nothing is left to set.
    fn is_off(&self) -> bool {
        let word = self.values.first().and_then(|value| value.to_str());
        let word = word.unwrap_or_default().to_ascii_lowercase();
        self.is_switch && matches!(word.as_str(), "false" | "no" | "off" | "n" | "f" | "0")
    }
}

impl Layers<'_> {
    /// Gives the flags of `command`, and of the subcommand that was called, the defaults that
    /// the layers hold, and remembers the origin of every value.
    fn apply(
        &self,
        mut command: Command,
        given: &ArgMatches,
        is_root: bool,
        origins: &mut Origins,
    ) -> Result<Command, UsageError> {
        let name = if is_root { "" } else { command.get_name() };
        let takes = |long: &str| match name {
            "" | "tail" => true,
            // A profile that goes on where it stopped can be watched from now on.
            "top" => long != "cursor",
            _ => SHARED_KEYS.contains(&long),
        };
        let mut candidates = Vec::new();
        for arg in command.get_arguments() {
            let Some(long) = arg.get_long() else { continue };
            if is_given(given, arg, is_root) {
                origins.set(long, Origin::Flag(long.to_owned()));
            } else if let Some(candidate) = self.candidate(arg, long, takes(long))? {
                candidates.push(candidate);
            }
        }
        let rivals = rivals(&command);
        for candidate in &candidates {
            origins.set(&candidate.long, candidate.origin.clone());
        }
        candidates.retain(|c| !c.is_off());
        let yielding = yielding(&candidates, &rivals, &command, given, is_root)?;
        for candidate in candidates {
            if !yielding.contains(&candidate.id) {
                command = command.mut_arg(&candidate.id, |arg| with_default(arg, candidate.values));
            }
        }
        if let Some((name, below)) = given.subcommand() {
            let sub = command.find_subcommand(name).cloned();
            if let Some(sub) = sub {
                let sub = self.apply(sub, below, false, origins)?;
                command = command.mut_subcommand(name, |_| sub);
            }
        }
        Ok(command)
    }

    fn candidate(
        &self,
        arg: &Arg,
        long: &str,
        is_in_file: bool,
    ) -> Result<Option<Candidate>, UsageError> {
        let make = |values, origin| Candidate {
            id: arg.get_id().to_string(),
            long: long.to_owned(),
            values,
            origin,
            is_switch: matches!(arg.get_action(), ArgAction::SetTrue),
        };
        let name = variable_name(long);
        if let Some(value) = variable(self.surroundings, &name) {
            return Ok(Some(make(vec![value], Origin::Environment(name))));
        }
        let Some(file) = &self.file else { return Ok(None) };
        if !is_in_file {
            return Ok(None);
        }
        let Some((values, of_profile)) = file.get(long, self.profile.as_deref()) else {
            return Ok(None);
        };
        let origin = Origin::File {
            path: file.path().to_owned(),
            profile: of_profile.then(|| self.profile.clone()).flatten(),
            key: long.to_owned(),
        };
        if values.len() > 1 && !matches!(arg.get_action(), ArgAction::Append) {
            return Err(UsageError(format!("{origin}: this takes one value, not a list")));
        }
        if values.is_empty() {
            return Err(UsageError(format!(
                "{origin}: the list is empty: write a value, or leave the key out"
            )));
        }
        let values = values.iter().map(OsString::from).collect();
        Ok(Some(make(values, origin)))
    }
}

/// Whether the flag is on the command line. Global flags are looked up at the root, where clap
/// collects them.
fn is_given(given: &ArgMatches, arg: &Arg, is_root: bool) -> bool {
    (is_root || !arg.is_global_set())
        && given.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
}

/// The pairs of flags, by id, that exclude each other.
fn rivals(command: &Command) -> Vec<(String, String)> {
    let id = |arg: &Arg| arg.get_id().to_string();
    let mut pairs = Vec::new();
    for arg in command.get_arguments() {
        for rival in command.get_arg_conflicts_with(arg) {
            pairs.push((id(arg), id(rival)));
        }
    }
    pairs
}

/// The ids of the candidates that a stronger layer's choice rules out. clap itself compares
/// only what stands on the command line.
fn yielding(
    candidates: &[Candidate],
    rivals: &[(String, String)],
    command: &Command,
    given: &ArgMatches,
    is_root: bool,
) -> Result<Vec<String>, UsageError> {
    let find = |id: &str| candidates.iter().find(|c| c.id == id);
    let is_flag = |id: &str| {
        let mut args = command.get_arguments();
        args.any(|arg| arg.get_id() == id && is_given(given, arg, is_root))
    };
    let mut yielding = Vec::new();
    for (a, b) in rivals {
        match (find(a), find(b)) {
            (Some(_), None) if is_flag(b) => yielding.push(a.clone()),
            (None, Some(_)) if is_flag(a) => yielding.push(b.clone()),
            (Some(a), Some(b)) => match a.origin.rank().cmp(&b.origin.rank()) {
                Ordering::Less => yielding.push(b.id.clone()),
                Ordering::Greater => yielding.push(a.id.clone()),
                Ordering::Equal => {
                    return Err(UsageError(format!(
                        "{} and {} exclude each other: leave one of the two out",
                        a.origin, b.origin
                    )));
                }
            },
            _ => {}
        }
    }
    Ok(yielding)
}

/// The flag with the values of a layer where nobody gives others.
fn with_default(arg: Arg, values: Vec<OsString>) -> Arg {
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        // `SKYTAIL_STRICT=1` is what people write.
        return arg.value_parser(BoolishValueParser::new()).default_values(values);
    }
    arg.default_values(values)
}

/// Why there is no file of settings.
enum Unread {
    /// The default file can't be read, and the run does not depend on it.
    Ignored(ConfigError),
    /// The run can't go on.
    Refused(ParseError),
}

impl<E: Into<ParseError>> From<E> for Unread {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

/// The file of settings: the one that was named, or the default one if there is one.
fn config_file(
    given: &ArgMatches,
    surroundings: &Surroundings<'_>,
    profile: Option<&str>,
) -> Result<Option<ConfigFile>, Unread> {
    let named = match given.get_one::<PathBuf>("config") {
        Some(path) => Some(path.clone()),
        None => variable(surroundings, "SKYTAIL_CONFIG").map(PathBuf::from),
    };
    let is_default = named.is_none();
    let default = &surroundings.default_config;
    let path = named.or_else(|| default.clone().filter(|path| is_there(path)));
    let Some(path) = path else {
        return match profile {
            Some(name) => Err(ConfigError::NoFile {
                name: name.to_owned(),
                path: default.clone().unwrap_or_default(),
            }
            .into()),
            None => Ok(None),
        };
    };
    let file = match ConfigFile::load(&path, &known_keys()) {
        // `sudo -u` keeps the HOME of a user whose files this one may not read.
        Err(error) if is_default && profile.is_none() && error.is_unreadable() => {
            return Err(Unread::Ignored(error));
        }
        loaded => loaded?,
    };
    if let Some(name) = profile {
        file.check_profile(name)?;
    }
    Ok(Some(file))
}

/// Whether there is something at the path. What can't be looked at is there: reading it says
/// why not.
fn is_there(path: &Path) -> bool {
    let looked = path.try_exists();
    looked.unwrap_or_else(|error| error.kind() != ErrorKind::NotADirectory)
}

/// Whether clap's own messages are coloured. They are printed before flags are understood, so
/// `--color` is looked for by hand, here and nowhere else.
fn message_color(args: &[OsString], surroundings: &Surroundings<'_>) -> ColorChoice {
    let flag = args.iter().enumerate().rev().find_map(|(index, arg)| match arg.to_str()? {
        "--color" => args.get(index + 1)?.to_str(),
        arg => arg.strip_prefix("--color="),
    });
    let variable = || text_variable(surroundings, "SKYTAIL_COLOR").ok().flatten();
    match flag.map(str::to_owned).or_else(variable).as_deref() {
        Some("always") => ColorChoice::Always,
        Some("never") => ColorChoice::Never,
        _ => ColorChoice::Auto,
    }
}

/// The keys that the file may hold: the long flags of `tail` and those of every command.
fn known_keys() -> Vec<String> {
    let root = Cli::command();
    let tail = root.find_subcommand("tail");
    let of_tail = tail.into_iter().flat_map(Command::get_arguments);
    let longs = root.get_arguments().chain(of_tail).filter_map(Arg::get_long);
    let keys = longs.filter(|long| !NOT_IN_FILE.contains(long));
    keys.map(str::to_owned).collect()
}

/// A variable that is set to something: an empty one counts as unset, since scripts and
/// container files often can't leave one out.
fn variable(surroundings: &Surroundings<'_>, name: &str) -> Option<OsString> {
    (surroundings.variable)(name).filter(|value| !value.is_empty())
}

fn text_variable(
    surroundings: &Surroundings<'_>,
    name: &str,
) -> Result<Option<String>, UsageError> {
    let text = variable(surroundings, name).map(OsString::into_string);
    text.transpose().map_err(|value| UsageError(format!("{name}: {value:?} is not UTF-8")))
}

/// clap's message about a value of a weaker layer, with the place to change in front.
fn explain(error: &clap::Error, origins: &Origins) -> UsageError {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let text = text.split("\n\nFor more information").next().unwrap_or(text);
    let origin = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(shown)) => {
            let long = shown.trim_start_matches('-').split([' ', '=']).next();
            long.filter(|long| origins.is_given(long)).map(|long| origins.of(long))
        }
        _ => None,
    };
    match origin {
        Some(origin) => UsageError(format!("{origin}: {text}")),
        None => UsageError(text.to_owned()),
    }
}

#[cfg(test)]
mod tests;
