//! `--witness` and the flags that belong to it.

use std::time::Duration;

use clap::{ValueEnum, ValueHint};

use crate::cli::config::value_source::ValueSources;
use crate::cli::exit::UsageError;
use crate::cli::values::duration::parse_positive_duration;
use crate::settings::{MissingEvents, TailSettings, WhenFull, Witness};
use crate::source::endpoint::{self, Endpoint};

/// The shortest and the longest window. Servers receive an event within a second of each other;
/// what they sent within the window is kept in memory.
const MIN_WINDOW: Duration = Duration::from_secs(1);
const MAX_WINDOW: Duration = Duration::from_secs(600);

/// The flags of the witness, in the group "Source".
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Source")]
pub struct WitnessArgs {
    /// Second server to compare with: what only HOST has is
    /// printed, late, and counted
    #[arg(long, value_name = "HOST", value_hint = ValueHint::Hostname, conflicts_with = "demo")]
    pub witness: Option<String>,

    /// Event time after which an event of only one server is
    /// missing on the other
    #[arg(long, value_name = "DUR", value_parser = parse_positive_duration, default_value = "60s")]
    pub witness_window: Duration,

    /// Delay the output by one and a half windows, so that what
    /// only the witness has comes in its place
    #[arg(long, conflicts_with = "witness_only")]
    pub witness_hold: bool,

    /// What to do with an event that only the witness has: print,
    /// or only report [default: print]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "WHAT")]
    pub witness_only: Option<WitnessOnly>,
}

/// `--witness-only`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WitnessOnly {
    Print,
    Report,
}

/// Adds the witness to the settings: as the last server, after which the run asks no other.
///
/// # Errors
/// [`UsageError`] if there is nothing to compare, or a flag excludes a comparison.
pub fn add_witness(
    args: &WitnessArgs,
    mut settings: TailSettings,
    are_hosts_given: bool,
    sources: &ValueSources,
) -> Result<TailSettings, UsageError> {
    let Some(host) = &args.witness else {
        for flag in ["witness-window", "witness-hold", "witness-only"] {
            if sources.is_given(flag) {
                return Err(sources.usage_error(
                    flag,
                    "there is no witness: name one with --witness HOST, or leave this out",
                ));
            }
        }
        return Ok(settings);
    };
    let witness = endpoint::parse(host).map_err(|error| sources.usage_error("witness", error))?;
    check(&witness, args, &settings, are_hosts_given, sources)?;
    if settings.backfill_new {
        let problem = "the histories of --backfill-new have no witness: leave one of both out";
        return Err(sources.usage_error("witness", problem));
    }
    settings.endpoints.retain(|endpoint| endpoint.label != witness.label);
    settings.endpoints.push(witness);
    settings.witness = Some(Witness {
        // At most ten minutes.
        window_us: args.witness_window.as_micros() as u64,
        missing: match args.witness_only {
            Some(WitnessOnly::Report) => MissingEvents::Report,
            Some(WitnessOnly::Print) | None if args.witness_hold => MissingEvents::Hold,
            Some(WitnessOnly::Print) | None => MissingEvents::Print,
        },
    });
    Ok(settings)
}

fn check(
    witness: &Endpoint,
    args: &WitnessArgs,
    settings: &TailSettings,
    are_hosts_given: bool,
    sources: &ValueSources,
) -> Result<(), UsageError> {
    let error = |flag: &str, problem: String| Err(sources.usage_error(flag, problem));
    let label = &witness.label;
    let first = settings.endpoints.first().filter(|_| are_hosts_given);
    if first.is_some_and(|first| first.label == *label) {
        return error(
            "witness",
            format!(
                "{label} is also the first --host, and a server is no witness of itself: name another one"
            ),
        );
    }
    if !(MIN_WINDOW..=MAX_WINDOW).contains(&args.witness_window) {
        return error("witness-window", "write a time from 1s to 10m".to_owned());
    }
    if settings.buffer.when_full != WhenFull::Block {
        return error(
            "when-full",
            "what this drops would count as missing, and --witness would print it: leave one of the two out".to_owned(),
        );
    }
    if settings.archive.stripe.is_some() {
        return error(
            "archive-stripe",
            "a stripe is read from the archive alone, which has no witness: leave --witness out"
                .to_owned(),
        );
    }
    Ok(())
}
