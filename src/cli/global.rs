//! The flags that every command accepts, before or after its name.

use std::path::PathBuf;

use clap::ValueHint;

use crate::settings::{ColorMode, LogFormat};

/// The flags of every command. Help lists them after the command's own flags.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Display")]
pub struct GlobalArgs {
    /// Print errors only: no progress, no summary
    #[arg(short, long, global = true, display_order = 901, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Print more on stderr; -vv for everything
    #[arg(short, long, global = true, display_order = 902, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// Format of log lines: text or json
    #[arg(
        long,
        global = true,
        display_order = 903,
        value_enum,
        hide_possible_values = true,
        value_name = "FORMAT",
        default_value = "text"
    )]
    pub log_format: LogFormat,

    /// Colour: auto, always or never
    #[arg(
        long,
        global = true,
        display_order = 904,
        value_enum,
        hide_possible_values = true,
        value_name = "WHEN",
        default_value = "auto"
    )]
    pub color: ColorMode,

    /// Configuration file [default: skytail/config.toml]
    #[arg(long, global = true, display_order = 905, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(help_heading = None::<&'static str>)]
    pub config: Option<PathBuf>,

    /// Use the settings under [profile.NAME] of that file
    #[arg(long, global = true, display_order = 906, value_name = "NAME")]
    #[arg(help_heading = None::<&'static str>)]
    pub profile: Option<String>,
}
