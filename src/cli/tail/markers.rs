//! `--markers`: its check, and the warning of a run that writes a file without markers.

use std::path::Path;

use crate::cli::config::value_source::ValueSources;
use crate::cli::exit::UsageError;
use crate::event::header::Kind;
use crate::filter::Markers;
use crate::parquet;
use crate::position::StartPosition;
use crate::render::OutputFormat;
use crate::settings::{Render, TailSettings};

/// The flag that belongs to the group "Filters" and, unlike the others, only makes sense for
/// events that are kept.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Filters")]
pub struct MarkerArgs {
    /// With -c and other filters: also take what honours deletes
    /// later (account, sync, deletes of the wanted collections);
    /// see skytail scrub
    #[arg(long)]
    pub markers: bool,
}

impl MarkerArgs {
    /// Returns the setting of the filter. Parquet files are archives, so they get markers.
    pub fn setting_for(&self, output: Option<&Path>) -> Markers {
        match self.markers {
            true => Markers::Asked,
            false if output.is_some_and(parquet::is_name) => Markers::ForOutput,
            false => Markers::Off,
        }
    }
}

/// Refuses `--markers` with an output of which nothing could be removed later.
///
/// # Errors
/// [`UsageError`] with the other flag and the remedy.
pub fn check(
    args: &MarkerArgs,
    render: Option<&Render>,
    sources: &ValueSources,
) -> Result<(), UsageError> {
    let Some(render) = render.filter(|_| args.markers) else { return Ok(()) };
    let config = &render.config;
    let is_text =
        matches!(config.format, OutputFormat::Csv(_) | OutputFormat::Tsv(_) | OutputFormat::Text);
    let other = match &config.program {
        Some(_) => sources.of("jq").to_string(),
        None if is_text => "a format other than JSON".to_owned(),
        None => return Ok(()),
    };
    let problem = format!(
        "{other} does not keep what a delete needs: write the events as they are with -o FILE.ndjson, run skytail scrub on that file, and convert it afterwards; or leave --markers out"
    );
    Err(sources.usage_error("markers", problem))
}

/// Warns of a new file in which account deletions will be missing.
pub fn warn_if_missing(settings: &TailSettings, start: &StartPosition) {
    let filter = &settings.filter;
    let lacks_accounts = !filter.kinds.is_empty() && !filter.kinds.contains(&Kind::Account);
    if settings.output.is_none()
        || filter.collections.is_empty()
        || filter.markers.is_on()
        || !lacks_accounts
        || matches!(start, StartPosition::Resume(_))
    {
        return;
    }
    let remedy = match settings.render {
        Some(_) => "keep the events in an .ndjson file with --markers",
        None => "add --markers",
    };
    tracing::warn!(
        "account deletions will not be in the file: to honour them later with `skytail scrub`, {remedy}"
    );
}
