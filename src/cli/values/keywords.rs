//! The flags that take one of a few words, and which plain setting each word stands for.

use clap::ValueEnum;
use clap::builder::PossibleValue;

use crate::cli::tail::render_settings::Format;
use crate::event::header::{Kind, Operation};
use crate::event::shape::Shape;
use crate::settings::{
    ArchiveMode, ColorMode, CompressMode, JoinMode, LogFormat, OnGap, ProgressMode,
    ProtocolPreference, RenderErrors, WhenFull,
};

/// The settings know nothing of clap, so their words are tied to them here. The words carry
/// no help of their own: with it, clap would print every flag of a page over three lines.
macro_rules! keywords {
    ($type:ident: $($variant:ident = $word:literal),+) => {
        impl ValueEnum for $type {
            fn value_variants<'a>() -> &'a [Self] {
                &[$(Self::$variant),+]
            }

            fn to_possible_value(&self) -> Option<PossibleValue> {
                #[allow(unreachable_patterns, reason = "some types hold more than the flags name")]
                match self {
                    $(Self::$variant => Some(PossibleValue::new($word)),)+
                    _ => None,
                }
            }
        }
    };
}

keywords!(Kind: Commit = "commit", Identity = "identity", Account = "account", Sync = "sync");
keywords!(ProtocolPreference: Auto = "auto", V1 = "v1", V2 = "v2");
keywords!(Shape: V1 = "v1", Native = "native");
keywords!(Operation: Create = "create", Update = "update", Delete = "delete");
keywords!(WhenFull: Block = "block", DropNewest = "drop-newest", DropOldest = "drop-oldest");
keywords!(CompressMode: Auto = "auto", On = "on", Off = "off");
keywords!(ProgressMode: Auto = "auto", Always = "always", Never = "never");
keywords!(ColorMode: Auto = "auto", Always = "always", Never = "never");
keywords!(ArchiveMode: Auto = "auto", Off = "off");
keywords!(JoinMode: Auto = "auto", Single = "single");
keywords!(RenderErrors: Skip = "skip", Fail = "fail");
keywords!(Format: Ndjson = "ndjson", Pretty = "pretty", Text = "text", Csv = "csv", Tsv = "tsv");
keywords!(OnGap: Warn = "warn", Fail = "fail");
keywords!(LogFormat: Text = "text", Json = "json");

/// The word of a value, as a person writes it; empty for a value that no flag names.
pub fn keyword<T: ValueEnum>(value: &T) -> String {
    value.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default()
}
