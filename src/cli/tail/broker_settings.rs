//! The settings of `--to` and `--to-config`. This checks only the flags; `Session::open` connects.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::args::OutputArgs;
use crate::cli::config::value_source::ValueSources;
use crate::cli::exit::UsageError;
use crate::sink::broker::BrokerSettings;
use crate::sink::broker::config::Config;
use crate::sink::broker::target::{self, Target};
use crate::sink::sqlite;

/// Most bytes read of `--to-config`.
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// Returns the broker to publish to; `None` for files, databases and standard output.
///
/// # Errors
/// [`UsageError`] with the flag, the value and the remedy.
pub fn broker_settings(
    args: &OutputArgs,
    sources: &ValueSources,
) -> Result<Option<BrokerSettings>, UsageError> {
    let Some(to) = &args.to else {
        return match &args.to_config {
            Some(_) => Err(sources.usage_error(
                "to-config",
                "this configures a broker, and no broker is named: name one with --to URL, or leave this out",
            )),
            None => Ok(None),
        };
    };
    if sqlite::target::is_database(to) {
        return Ok(None);
    }
    let target = target::parse(to).map_err(|error| sources.usage_error("to", error))?;
    if args.output.as_deref().is_some_and(|path| path != Path::new("-")) {
        let output = sources.of("output");
        let problem = format!("a run has one output, and {output} names another: leave one out");
        return Err(sources.usage_error("to", problem));
    }
    if !target.kind.is_built_in() {
        return Err(sources.usage_error("to", missing_feature(&target)));
    }
    let config = match &args.to_config {
        Some(path) => read(path).map_err(|error| sources.usage_error("to-config", error))?,
        None => Config::default(),
    };
    Ok(Some(BrokerSettings { target, config }))
}

/// Returns what to do if this build has no client for the broker.
fn missing_feature(target: &Target) -> String {
    let feature = target.kind.scheme();
    format!(
        "this build of skytail can't publish to {feature}: build one that can (cargo install skytail --features {feature}; in a clone: cargo install --path . --features {feature})"
    )
}

fn read(path: &Path) -> Result<Config, String> {
    let shown = path.display();
    let mut text = String::new();
    let read =
        File::open(path).and_then(|file| file.take(MAX_FILE_BYTES).read_to_string(&mut text));
    read.map_err(|error| format!("can't read {shown}: {error}"))?;
    Config::parse(&text).map_err(|error| format!("{shown}: {error}"))
}
