//! The keywords of flags that accept one of a few, and the setting that each keyword means.

use clap::ValueEnum;
use clap::builder::PossibleValue;

use crate::event::format::EventFormat;
use crate::event::header::{Kind, Operation};
use crate::filter::SampleBy;
use crate::settings::{
    ArchiveMode, ColorMode, CompressMode, JoinMode, LogFormat, OnGap, ProgressMode,
    ProtocolPreference, RenderErrors, WhenFull,
};

/// The values of `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One value a line.
    Ndjson,
    /// Indented JSON.
    Pretty,
    /// One line for people.
    Text,
    /// A table with commas.
    Csv,
    /// A table with tabs.
    Tsv,
}

/// Implements clap's trait for a type of the settings, which don't depend on clap. The keywords
/// have no help text: with one, clap would print every flag of a page on three lines.
macro_rules! keywords {
    ($type:ident: $($variant:ident = $keyword:literal $(| $alias:literal)*),+) => {
        impl ValueEnum for $type {
            fn value_variants<'a>() -> &'a [Self] {
                &[$(Self::$variant),+]
            }

            fn to_possible_value(&self) -> Option<PossibleValue> {
                #[allow(unreachable_patterns, reason = "some types have values without a keyword")]
                match self {
                    $(Self::$variant => Some(PossibleValue::new($keyword)$(.alias($alias))*),)+
                    _ => None,
                }
            }
        }
    };
}

keywords!(Kind: Commit = "commit", Identity = "identity", Account = "account", Sync = "sync");
keywords!(ProtocolPreference: Auto = "auto", V1 = "v1", V2 = "v2");
keywords!(EventFormat: V1 = "v1", Native = "native");
keywords!(Operation: Create = "create", Update = "update", Delete = "delete");
keywords!(SampleBy: Record = "record", Did = "did");
keywords!(WhenFull: Block = "block", DropNewest = "drop-newest", DropOldest = "drop-oldest");
keywords!(CompressMode: Auto = "auto", On = "on", Off = "off");
keywords!(ProgressMode: Auto = "auto", Always = "always", Never = "never");
keywords!(ColorMode: Auto = "auto", Always = "always", Never = "never");
keywords!(ArchiveMode: Auto = "auto", Prefer = "prefer", Off = "off");
keywords!(JoinMode: Auto = "auto", Single = "single");
keywords!(RenderErrors: Skip = "skip", Fail = "fail");
keywords!(Format: Ndjson = "ndjson" | "json" | "jsonl", Pretty = "pretty", Text = "text", Csv = "csv", Tsv = "tsv");
keywords!(OnGap: Warn = "warn", Fail = "fail");
keywords!(LogFormat: Text = "text", Json = "json");

/// Returns the keyword of a value; empty for a value that has none.
pub fn keyword<T: ValueEnum>(value: &T) -> String {
    value.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default()
}
