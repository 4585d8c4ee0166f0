//! The settings of `--output`, `--rotate` and `--append`. This checks only names; `open_output`
//! finds out whether a file may be written.

use std::path::Path;

use super::args::OutputArgs;
use super::consumer_name;
use crate::cli::config::value_source::ValueSources;
use crate::cli::exit::UsageError;
use crate::event::format::EventFormat;
use crate::filter::Filter;
use crate::parquet::fields;
use crate::settings::{ListNames, OutputSettings};
use crate::sink::file::naming::Naming;
use crate::sink::file::parquet::ParquetSettings;
use crate::source::endpoint::Endpoint;

/// Returns the files to write; `None` for standard output and brokers.
///
/// # Errors
/// [`UsageError`] with the flag, the value and the remedy.
pub fn output_settings(
    args: &OutputArgs,
    sources: &ValueSources,
) -> Result<Option<OutputSettings>, UsageError> {
    let Some(path) = args.output.as_deref().filter(|path| *path != Path::new("-")) else {
        let needs_file = [("rotate", args.rotate.is_some()), ("append", args.append)];
        return match needs_file.iter().find(|(_, is_given)| *is_given) {
            Some((long, _)) if args.to.is_some() => {
                Err(sources.usage_error(long, "what --to names is no such file: leave this out"))
            }
            Some((long, _)) => Err(sources.usage_error(
                long,
                "stdout is not a file: name one with --output FILE, or leave this out",
            )),
            None => Ok(None),
        };
    };
    let naming =
        Naming::new(path, args.rotate).map_err(|error| sources.usage_error("output", error))?;
    if naming.is_parquet() && args.append {
        let problem = "nothing can be appended to a Parquet file: leave this out";
        return Err(sources.usage_error("append", problem));
    }
    if naming.is_parquet() && args.shape == EventFormat::Native {
        let problem = "the columns of Parquet files are those of the v1 format: leave this out";
        return Err(sources.usage_error("shape", problem));
    }
    Ok(Some(OutputSettings {
        naming,
        append: args.append,
        objection: None,
        parquet: ParquetSettings::default(),
    }))
}

/// Returns what Parquet files have beside the events.
///
/// # Errors
/// [`UsageError`] about `--fields`.
pub fn parquet_settings(
    given: &[String],
    endpoints: &[Endpoint],
    filter: &Filter,
    lists: &ListNames,
    sources: &ValueSources,
) -> Result<ParquetSettings, UsageError> {
    let fields = fields::parse(given).map_err(|error| sources.usage_error("fields", error))?;
    let servers: Vec<&str> = endpoints.iter().map(|endpoint| &*endpoint.label).collect();
    let metadata = [
        ("skytail.server", servers.join(",")),
        ("skytail.filters", consumer_name::describe(filter, lists)),
    ];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), value)).to_vec();
    Ok(ParquetSettings { fields, metadata })
}
