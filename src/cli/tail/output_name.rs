//! What the name of an output file says about its content: programs go by the ending.
//!
//! 0.1.0 wrote JSON lines under any name. A file that the state file knows therefore continues as
//! it began, whatever its name says.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::args::TailArgs;
use super::legacy_names::{effective_name, is_output_of};
use crate::checkpoint::store::Store;
use crate::cli::config::value_source::ValueSources;
use crate::cli::exit::UsageError;
use crate::cli::values::keywords::{Format, keyword};
use crate::position::TimeUs;
use crate::render::OutputFormat;
use crate::settings::{OutputSettings, TailSettings};

/// Names that users of other tools write for a format.
const FORMATS: [&str; 7] = ["json", "ndjson", "jsonl", "csv", "tsv", "text", "pretty"];
/// Names that users of kcat write for a start, with the value of `--cursor`.
const STARTS: [(&str, &str); 7] = [
    ("beginning", "oldest"),
    ("earliest", "oldest"),
    ("oldest", "oldest"),
    ("end", "live"),
    ("latest", "live"),
    ("live", "live"),
    ("stored", "auto"),
];

/// What an ending promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Promise {
    /// A format that skytail writes.
    Format(Format),
    /// JSON, in lines or indented.
    Json,
    /// Columns, of events that nothing changed.
    Parquet,
    /// A format that skytail does not write.
    Other(&'static str),
}

/// The result of a check of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedFormat {
    /// The format that the name chooses, if the user chose none.
    pub format: Option<Format>,
    /// Why a new file must not have this name.
    pub objection: Option<String>,
}

/// Compares the name of the output with the format.
///
/// # Errors
/// [`UsageError`] if a new file must not have this name, and there is no file of that name yet.
pub fn check(
    args: &TailArgs,
    output: Option<&OutputSettings>,
    sources: &ValueSources,
) -> Result<NamedFormat, UsageError> {
    let (Some(output), Some(given)) = (output, args.output.output.as_deref()) else {
        return Ok(NamedFormat::default());
    };
    let problem = match word(given) {
        Some(problem) => Some(problem),
        None => match of_ending(args, &output.naming.name, sources) {
            Ok(format) => return Ok(NamedFormat { format, objection: None }),
            Err(problem) => Some(problem),
        },
    };
    let objection = problem.map(|problem| sources.usage_error("output", problem));
    let naming = &output.naming;
    let is_new = naming.rotate.is_none() && !naming.working_path(TimeUs(0), 0).exists();
    match objection {
        Some(objection) if is_new => Err(objection),
        objection => Ok(NamedFormat { format: None, objection: objection.map(|error| error.0) }),
    }
}

/// Returns the answer to a name that is a word of another flag.
fn word(given: &Path) -> Option<String> {
    let given = given.to_str()?;
    if FORMATS.contains(&given) {
        return Some(format!(
            "for a format use --format {given}; a file of that name is ./{given}"
        ));
    }
    let (_, start) = STARTS.iter().find(|(name, _)| *name == given)?;
    Some(format!("for a start use --cursor {start}; a file of that name is ./{given}"))
}

/// Returns the format that the name chooses, if any, or the problem with the name.
fn of_ending(
    args: &TailArgs,
    name: &str,
    sources: &ValueSources,
) -> Result<Option<Format>, String> {
    let Some(promise) = promise(name) else { return Ok(None) };
    let render = &args.render;
    let is_given = sources.is_given("format") || render.is_json();
    match promise {
        Promise::Other(what) => Err(format!(
            "{name:?} is a name for {what}, which skytail does not write: write {:?}, or {:?} with --fields",
            with_ending(name, "ndjson"),
            with_ending(name, "csv"),
        )),
        Promise::Parquet => {
            let changed = [
                (render.jq.is_some(), "jq"),
                (render.format != Format::Ndjson, "format"),
                (render.raw_output, "raw-output"),
            ];
            match changed.iter().find(|(is_given, _)| *is_given) {
                None => Ok(None),
                Some((_, flag)) => Err(format!(
                    "Parquet files hold events as they are, and {} changes them: leave it out, and choose columns with --fields",
                    sources.of(flag)
                )),
            }
        }
        // The user's own program makes the lines.
        _ if render.raw_output => Ok(None),
        Promise::Format(format) if is_given && format == render.format => Ok(None),
        Promise::Json if matches!(render.format, Format::Ndjson | Format::Pretty) => Ok(None),
        Promise::Format(table @ (Format::Csv | Format::Tsv)) if !is_given => {
            if !render.fields.is_empty() {
                return Ok(Some(table));
            }
            Err(format!(
                "{name:?} is a name for {0}, and a table needs columns: add --fields did,commit.collection,commit.record.text, or write {1:?}",
                keyword(&table),
                with_ending(name, "ndjson"),
            ))
        }
        Promise::Format(format) if format == render.format => Ok(None),
        Promise::Format(_) | Promise::Json => {
            let (source, format) = (sources.of("format"), keyword(&render.format));
            let promised = match promise {
                Promise::Format(promised) => keyword(&promised),
                _ => "json".to_owned(),
            };
            Err(format!(
                "{name:?} is a name for {promised}, and {source} is {format}: leave one of the two out, or write {:?}",
                with_ending(name, if format == "text" { "txt" } else { &format }),
            ))
        }
    }
}

fn promise(name: &str) -> Option<Promise> {
    if crate::parquet::is_name(Path::new(name)) {
        return Some(Promise::Parquet);
    }
    let name = name.strip_suffix(".zst").unwrap_or(name).to_ascii_lowercase();
    let (_, ending) = name.rsplit_once('.')?;
    Some(match ending {
        "ndjson" | "jsonl" => Promise::Format(Format::Ndjson),
        "json" => Promise::Json,
        "csv" => Promise::Format(Format::Csv),
        "tsv" => Promise::Format(Format::Tsv),
        "parquet" => Promise::Other("Parquet with another ending than .parquet"),
        "db" | "sqlite" | "sqlite3" => Promise::Other("a database"),
        _ => return None,
    })
}

/// Returns the name with another ending, which keeps `.zst`.
fn with_ending(name: &str, ending: &str) -> String {
    let (plain, zst) = match name.strip_suffix(".zst") {
        Some(plain) => (plain, ".zst"),
        None => (name, ""),
    };
    let stem = plain.rsplit_once('.').map_or(plain, |(stem, _)| stem);
    format!("{stem}.{ending}{zst}")
}

/// Refuses a name that says something else than the file will hold, unless the state file knows
/// the file and it began like that.
///
/// # Errors
/// [`UsageError`] with the objection, or as the state file reports.
pub fn check_known(settings: &TailSettings) -> anyhow::Result<()> {
    let objection = settings.output.as_ref().and_then(|output| output.objection.as_ref());
    let Some(objection) = objection else { return Ok(()) };
    let refused = || Err(UsageError(objection.clone()).into());
    let store = settings.state.as_deref().map(Store::open_existing).transpose()?.flatten();
    let Some(store) = store else { return refused() };
    let consumer = effective_name(&store, settings)?;
    let outputs = store.outputs(&consumer)?;
    let known = outputs.iter().rfind(|record| is_output_of(record, settings));
    match known {
        Some(record) if began_alike(&record.path, settings) => Ok(()),
        _ => refused(),
    }
}

/// Returns whether the file begins as this run would begin it, as far as its first byte shows. A
/// file that is empty, or can't be read, counts as one that does.
fn began_alike(path: &Path, settings: &TailSettings) -> bool {
    let format = settings.render.as_ref().map(|render| &render.config.format);
    let is_table = matches!(format, Some(OutputFormat::Csv(_) | OutputFormat::Tsv(_)));
    match first_byte(path) {
        Ok(Some(b'{')) => !is_table,
        Ok(Some(_)) => format.is_some(),
        Ok(None) | Err(_) => true,
    }
}

fn first_byte(path: &Path) -> io::Result<Option<u8>> {
    let file = File::open(path)?;
    let mut first = Vec::new();
    if path.extension().is_some_and(|ending| ending == "zst") {
        zstd::Decoder::new(file)?.take(1).read_to_end(&mut first)?;
    } else {
        file.take(1).read_to_end(&mut first)?;
    }
    Ok(first.first().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_promise_a_format_in_any_case_and_before_zst() {
        for (name, promised) in [
            ("x.csv", Some(Promise::Format(Format::Csv))),
            ("x.TSV.zst", Some(Promise::Format(Format::Tsv))),
            ("x.jsonl", Some(Promise::Format(Format::Ndjson))),
            ("x.json", Some(Promise::Json)),
            ("x.parquet", Some(Promise::Parquet)),
            ("x.Parquet", Some(Promise::Other("Parquet with another ending than .parquet"))),
            ("x.sqlite", Some(Promise::Other("a database"))),
            ("x.log", None),
            ("csv", None),
            ("x.zst", None),
        ] {
            assert_eq!(promise(name), promised, "{name}");
        }
    }

    #[test]
    fn another_ending_keeps_the_compression() {
        assert_eq!(with_ending("x.csv.zst", "ndjson"), "x.ndjson.zst");
        assert_eq!(with_ending("a.b.parquet", "csv"), "a.b.csv");
    }
}
