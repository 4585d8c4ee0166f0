//! What `--to` and `--to-config` mean together. Whether the broker is there is found out by
//! whoever opens it.

use std::io::Read as _;
use std::path::Path;

use super::exit::UsageError;
use super::origin::Origins;
use super::tail::OutputArgs;
use crate::sink::broker::BrokerSettings;
use crate::sink::broker::config::Config;
use crate::sink::broker::target::{self, Target};

/// Most bytes of the file.
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// The broker to publish to; `None` for files and standard output.
///
/// # Errors
/// [`UsageError`], naming the flag, the value and the remedy.
pub fn broker_settings(
    args: &OutputArgs,
    origins: &Origins,
) -> Result<Option<BrokerSettings>, UsageError> {
    let wrong =
        |long, told: &dyn std::fmt::Display| UsageError(format!("{}: {told}", origins.of(long)));
    let Some(to) = &args.to else {
        return match &args.to_config {
            Some(_) => Err(wrong(
                "to-config",
                &"it tells of a broker, and none is named: name one with --to URL, or leave this out",
            )),
            None => Ok(None),
        };
    };
    let target = target::parse(to).map_err(|error| wrong("to", &error))?;
    if args.output.as_deref().is_some_and(|path| path != Path::new("-")) {
        let output = origins.of("output");
        let told = format!("events go to one place, and {output} names another: leave one out");
        return Err(wrong("to", &told));
    }
    if !target.kind.is_built_in() {
        return Err(wrong("to", &lacks(&target)));
    }
    let config = match &args.to_config {
        Some(path) => read(path).map_err(|told| wrong("to-config", &told))?,
        None => Config::default(),
    };
    Ok(Some(BrokerSettings { target, config }))
}

/// What to do where this build has no client for it.
fn lacks(target: &Target) -> String {
    let feature = target.kind.scheme();
    format!(
        "this build of skytail can't publish to {feature}: build one that can (cargo install skytail --features {feature}; in a clone: cargo install --path . --features {feature})"
    )
}

fn read(path: &Path) -> Result<Config, String> {
    let shown = path.display();
    let mut text = String::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES).read_to_string(&mut text));
    read.map_err(|error| format!("can't read {shown}: {error}"))?;
    Config::parse(&text).map_err(|error| format!("{shown}: {error}"))
}
