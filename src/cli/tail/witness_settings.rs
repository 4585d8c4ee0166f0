//! `--witness` and the flags that belong to it.

use std::time::Duration;

use clap::{ValueEnum, ValueHint};

use crate::cli::config::value_source::ValueSources;
use crate::cli::exit::UsageError;
use crate::cli::values::duration::parse_positive_duration;
use crate::settings::{CursorMode, MissingEvents, TailSettings, WhenFull, Witness};
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

    /// Leave the server in use for the witness if it lacks this
    /// share of the events of a window, like 1% [default: never]
    #[arg(long, value_name = "PERCENT", value_parser = parse_share)]
    pub witness_leave: Option<u32>,

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

/// Parses a share in percent, with at most four digits after the point, into events of a million.
fn parse_share(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim_end();
    let (whole, digits) = number.split_once('.').unwrap_or((number, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let ppm = || {
        let is_sound = is_number(whole) && is_number(digits) && digits.len() <= 4;
        let whole: u32 = Some(whole).filter(|_| is_sound)?.parse().ok()?;
        let digits: u32 = format!("{digits:0<4}").parse().ok()?;
        whole.checked_mul(10_000)?.checked_add(digits)
    };
    ppm()
        .filter(|ppm| (1..=1_000_000).contains(ppm))
        .ok_or_else(|| "write a share from 0.0001% to 100%, like 1% or 0.5%".to_owned())
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
        for flag in ["witness-window", "witness-leave", "witness-hold", "witness-only"] {
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
        leave_ppm: args.witness_leave,
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
    if let CursorMode::Seq(seq) = settings.cursor {
        let seq = seq.0;
        return error(
            "cursor",
            format!(
                "{seq} is a sequence number of one server and means nothing on the witness: give a time"
            ),
        );
    }
    if args.witness_leave.is_some() && args.witness_only == Some(WitnessOnly::Report) {
        return error(
            "witness-leave",
            "the run would continue with the events of the witness, and --witness-only report prints none of them: leave one of the two out".to_owned(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_percentage() {
        for (text, ppm) in [("1%", 10_000), ("0.5%", 5_000), ("100", 1_000_000), ("0.0001%", 1)] {
            assert_eq!(parse_share(text), Ok(ppm), "{text}");
        }
        for text in ["", "%", "0%", "101%", "-1%", "1.%2", "0.00001%", "+1", ".", "5000000000%"] {
            assert!(parse_share(text).is_err(), "{text}");
        }
    }
}
