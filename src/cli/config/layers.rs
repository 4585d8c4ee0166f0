//! Merges four layers of values: the command line overrides the environment, which overrides the
//! profile, which overrides the top level of the configuration file.
//!
//! This applies to each flag of each command without a list that could miss one. The lower
//! layers are the default values of a second clap parse. So clap checks them as it checks flags,
//! and an error of that parse is about one of them, because the command line alone passed the
//! first parse.

use std::cmp::Ordering;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::builder::BoolishValueParser;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, ArgMatches, ColorChoice, Command, CommandFactory, FromArgMatches};

use super::file::{ConfigError, ConfigFile};
use super::value_source::{ValueSource, ValueSources};
use crate::cli::Cli;
use crate::cli::exit::UsageError;
use crate::cli::layout;

/// The keys of the file that also set the flags of commands other than `tail` and `top`: they
/// mean the same for each command.
const SHARED_KEYS: [&str; 2] = ["state", "zstd-dictionary"];
/// The flags that choose the file, and so can't be keys of it.
const NOT_IN_FILE: [&str; 2] = ["config", "profile"];

/// The environment that the layers below the command line are read from.
pub struct ConfigEnv<'a> {
    /// Looks up an environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// The file that is read if the user names none; it need not exist.
    pub default_file: Option<PathBuf>,
}

/// Why the arguments can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// clap rejected the command line, or the user asked for help.
    #[error(transparent)]
    Arguments(#[from] clap::Error),
    /// The environment or the configuration file is wrong.
    #[error(transparent)]
    Config(#[from] UsageError),
}

impl From<ConfigError> for ParseError {
    fn from(error: ConfigError) -> Self {
        Self::Config(UsageError(error.to_string()))
    }
}

/// Parses all layers. `args` begins with the name of the program.
///
/// # Errors
/// The first error, or a request for help as [`ParseError::Arguments`].
pub fn parse(args: &[OsString], env: &ConfigEnv<'_>) -> Result<(Cli, ValueSources), ParseError> {
    let color = message_color(args, env);
    let given = layout::command().color(color).try_get_matches_from(args)?;
    let profile = match given.get_one::<String>("profile") {
        Some(name) => Some(name.clone()),
        None => text_variable(env, "SKYTAIL_PROFILE")?,
    };
    let mut sources = ValueSources::default();
    let file = match config_file(&given, env, profile.as_deref()) {
        Err(FileError::Ignored(error)) => {
            sources.ignore_file(error.to_string());
            None
        }
        Err(FileError::Fatal(error)) => return Err(error),
        Ok(file) => file,
    };
    sources.set_profiles(file.as_ref().map(ConfigFile::profiles).unwrap_or_default());
    let layers = Layers { env, file, profile };
    let command = layers.apply(Cli::command(), &given, true, &mut sources)?;
    let matches =
        command.try_get_matches_from(args).map_err(|error| with_source(&error, &sources))?;
    Ok((Cli::from_arg_matches(&matches)?, sources))
}

/// Returns the name of the environment variable for a flag.
#[must_use]
pub fn variable_name(long: &str) -> String {
    format!("SKYTAIL_{}", long.to_ascii_uppercase().replace('-', "_"))
}

struct Layers<'a> {
    env: &'a ConfigEnv<'a>,
    file: Option<ConfigFile>,
    profile: Option<String>,
}

/// The values that a lower layer has for a flag.
struct LayerValue {
    id: String,
    long: String,
    values: Vec<OsString>,
    source: ValueSource,
    is_switch: bool,
}

impl LayerValue {
    /// Returns whether this layer turns a switch off. Then the layers below it don't count, and
    /// there is nothing to set.
    fn is_off(&self) -> bool {
        let word = self.values.first().and_then(|value| value.to_str());
        let word = word.unwrap_or_default().to_ascii_lowercase();
        self.is_switch && matches!(word.as_str(), "false" | "no" | "off" | "n" | "f" | "0")
    }
}

impl Layers<'_> {
    /// Sets the values of the layers as defaults of the flags of `command` and of the subcommand
    /// that was called, and records the source of each value.
    fn apply(
        &self,
        mut command: Command,
        given: &ArgMatches,
        is_root: bool,
        sources: &mut ValueSources,
    ) -> Result<Command, UsageError> {
        let name = if is_root { "" } else { command.get_name() };
        let reads_from_file = |long: &str| match name {
            "" | "tail" | "plan" => true,
            // `top` shows a profile from now on, even if `tail` resumes it.
            "top" => long != "cursor",
            _ => SHARED_KEYS.contains(&long),
        };
        let mut values = Vec::new();
        for arg in command.get_arguments() {
            let Some(long) = arg.get_long().filter(|_| !arg.is_hide_set()) else { continue };
            if is_on_command_line(given, arg, is_root) {
                sources.set(long, ValueSource::Flag(long.to_owned()));
            } else if let Some(value) = self.layer_value(arg, long, reads_from_file(long))? {
                values.push(value);
            }
        }
        let conflicts = conflicts(&command);
        for value in &values {
            sources.set(&value.long, value.source.clone());
        }
        values.retain(|value| !value.is_off());
        let overridden = overridden(&values, &conflicts, &command, given, is_root)?;
        for value in values {
            if !overridden.contains(&value.id) {
                command = command.mut_arg(&value.id, |arg| with_default(arg, value.values));
            }
        }
        if let Some((name, below)) = given.subcommand() {
            let sub = command.find_subcommand(name).cloned();
            if let Some(sub) = sub {
                let sub = self.apply(sub, below, false, sources)?;
                command = command.mut_subcommand(name, |_| sub);
            }
        }
        Ok(command)
    }

    /// Returns the values of the highest layer below the command line that has the flag.
    fn layer_value(
        &self,
        arg: &Arg,
        long: &str,
        reads_from_file: bool,
    ) -> Result<Option<LayerValue>, UsageError> {
        let make = |values, source| LayerValue {
            id: arg.get_id().to_string(),
            long: long.to_owned(),
            values,
            source,
            is_switch: matches!(arg.get_action(), ArgAction::SetTrue),
        };
        let name = variable_name(long);
        if let Some(value) = variable(self.env, &name) {
            return Ok(Some(make(vec![value], ValueSource::Environment(name))));
        }
        let Some(file) = &self.file else { return Ok(None) };
        if !reads_from_file {
            return Ok(None);
        }
        let Some((values, is_from_profile)) = file.get(long, self.profile.as_deref()) else {
            return Ok(None);
        };
        let source = ValueSource::File {
            path: file.path().to_owned(),
            profile: is_from_profile.then(|| self.profile.clone()).flatten(),
            key: long.to_owned(),
        };
        if values.len() > 1 && !matches!(arg.get_action(), ArgAction::Append) {
            return Err(UsageError(format!("{source}: this takes one value, not a list")));
        }
        if values.is_empty() {
            return Err(UsageError(format!(
                "{source}: the list is empty: write a value, or leave the key out"
            )));
        }
        let values = values.iter().map(OsString::from).collect();
        Ok(Some(make(values, source)))
    }
}

/// Returns whether the flag is on the command line. clap collects global flags at the root.
fn is_on_command_line(given: &ArgMatches, arg: &Arg, is_root: bool) -> bool {
    let source = given.value_source(arg.get_id().as_str());
    (is_root || !arg.is_global_set()) && source == Some(clap::parser::ValueSource::CommandLine)
}

/// Returns the pairs of ids of flags that exclude each other.
fn conflicts(command: &Command) -> Vec<(String, String)> {
    let id = |arg: &Arg| arg.get_id().to_string();
    let mut pairs = Vec::new();
    for arg in command.get_arguments() {
        for other in command.get_arg_conflicts_with(arg) {
            pairs.push((id(arg), id(other)));
        }
    }
    pairs
}

/// Returns the ids of the values that conflict with a value of a higher layer. clap itself
/// compares only flags on the command line.
fn overridden(
    values: &[LayerValue],
    conflicts: &[(String, String)],
    command: &Command,
    given: &ArgMatches,
    is_root: bool,
) -> Result<Vec<String>, UsageError> {
    let find = |id: &str| values.iter().find(|value| value.id == id);
    let is_flag = |id: &str| {
        let mut args = command.get_arguments();
        args.any(|arg| arg.get_id() == id && is_on_command_line(given, arg, is_root))
    };
    let mut overridden = Vec::new();
    for (a, b) in conflicts {
        match (find(a), find(b)) {
            (Some(_), None) if is_flag(b) => overridden.push(a.clone()),
            (None, Some(_)) if is_flag(a) => overridden.push(b.clone()),
            (Some(a), Some(b)) => match a.source.rank().cmp(&b.source.rank()) {
                Ordering::Less => overridden.push(b.id.clone()),
                Ordering::Greater => overridden.push(a.id.clone()),
                Ordering::Equal => {
                    return Err(UsageError(format!(
                        "{} and {} exclude each other: leave one of the two out",
                        a.source, b.source
                    )));
                }
            },
            _ => {}
        }
    }
    Ok(overridden)
}

/// Returns the flag with the values of a layer as its default.
fn with_default(arg: Arg, values: Vec<OsString>) -> Arg {
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        // Accept `SKYTAIL_STRICT=1`, which is what people write.
        return arg.value_parser(BoolishValueParser::new()).default_values(values);
    }
    arg.default_values(values)
}

/// Why no configuration file was loaded.
enum FileError {
    /// The default file can't be read, and the user named neither a file nor a profile.
    Ignored(ConfigError),
    Fatal(ParseError),
}

impl<E: Into<ParseError>> From<E> for FileError {
    fn from(error: E) -> Self {
        Self::Fatal(error.into())
    }
}

/// Loads the configuration file that the user named, or the default one if it exists.
fn config_file(
    given: &ArgMatches,
    env: &ConfigEnv<'_>,
    profile: Option<&str>,
) -> Result<Option<ConfigFile>, FileError> {
    let named = match given.get_one::<PathBuf>("config") {
        Some(path) => Some(path.clone()),
        None => variable(env, "SKYTAIL_CONFIG").map(PathBuf::from),
    };
    let is_default = named.is_none();
    let default = &env.default_file;
    let path = named.or_else(|| default.clone().filter(|path| may_exist(path)));
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
        // `sudo -u` keeps the HOME of a user whose files the new user may not read.
        Err(error) if is_default && profile.is_none() && error.is_unreadable() => {
            return Err(FileError::Ignored(error));
        }
        loaded => loaded?,
    };
    if let Some(name) = profile {
        file.check_profile(name)?;
    }
    Ok(Some(file))
}

/// Returns whether a file may exist at the path. If the system does not say, this returns true,
/// and reading the file reports the reason.
fn may_exist(path: &Path) -> bool {
    let exists = path.try_exists();
    exists.unwrap_or_else(|error| error.kind() != ErrorKind::NotADirectory)
}

/// Returns whether clap's own messages are coloured. clap prints them before it has parsed the
/// flags, so only this function looks for `--color` by hand.
fn message_color(args: &[OsString], env: &ConfigEnv<'_>) -> ColorChoice {
    let flag = args.iter().enumerate().rev().find_map(|(index, arg)| match arg.to_str()? {
        "--color" => args.get(index + 1)?.to_str(),
        arg => arg.strip_prefix("--color="),
    });
    let variable = || text_variable(env, "SKYTAIL_COLOR").ok().flatten();
    match flag.map(str::to_owned).or_else(variable).as_deref() {
        Some("always") => ColorChoice::Always,
        Some("never") => ColorChoice::Never,
        _ => ColorChoice::Auto,
    }
}

/// Returns the keys that the file may hold: the long flags of `tail` and the global ones. A hidden
/// flag is a synonym, and has neither a key nor a variable.
fn known_keys() -> Vec<String> {
    let root = Cli::command();
    let tail = root.find_subcommand("tail");
    let of_tail = tail.into_iter().flat_map(Command::get_arguments);
    let shown = root.get_arguments().chain(of_tail).filter(|arg| !arg.is_hide_set());
    let longs = shown.filter_map(Arg::get_long);
    let keys = longs.filter(|long| !NOT_IN_FILE.contains(long));
    keys.map(str::to_owned).collect()
}

/// Looks up a variable. An empty one counts as unset, because scripts and container files often
/// can't leave one out.
fn variable(env: &ConfigEnv<'_>, name: &str) -> Option<OsString> {
    (env.variable)(name).filter(|value| !value.is_empty())
}

fn text_variable(env: &ConfigEnv<'_>, name: &str) -> Result<Option<String>, UsageError> {
    let text = variable(env, name).map(OsString::into_string);
    text.transpose().map_err(|value| UsageError(format!("{name}: {value:?} is not UTF-8")))
}

/// Puts the source of the value in front of clap's message about it.
fn with_source(error: &clap::Error, sources: &ValueSources) -> UsageError {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let text = text.split("\n\nFor more information").next().unwrap_or(text);
    let long = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(shown)) => shown.trim_start_matches('-').split([' ', '=']).next(),
        _ => None,
    };
    match long.filter(|long| sources.is_given(long)) {
        Some(long) => sources.usage_error(long, text),
        None => UsageError(text.to_owned()),
    }
}

#[cfg(test)]
mod tests;
