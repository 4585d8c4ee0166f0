//! The flags that every command takes, before or after its name.

use std::path::PathBuf;

use clap::ValueHint;

use crate::settings::{ColorMode, LogFormat};

/// The flags of every command.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Display")]
pub struct GlobalArgs {
    /// Print errors only: no notices, progress or summary
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Print more on stderr; -vv prints everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// The form of what is printed on stderr
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// When to use colour; NO_COLOR is respected
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto")]
    pub color: ColorMode,

    /// Read settings from FILE [default: skytail/config.toml]
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(help_heading = "Options")]
    pub config: Option<PathBuf>,

    /// Use the settings under [profile.NAME] of that file
    #[arg(long, global = true, value_name = "NAME", help_heading = "Options")]
    pub profile: Option<String>,
}
