//! `skytail cursors export`, `import` and `backup`: copy saved cursors to another state file or
//! machine.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::Path;

use anyhow::{Context as _, anyhow};

use super::{Context, Exit, UsageError, consumer_name, lease, print, unknown};
use crate::checkpoint::lease::Lease;
use crate::checkpoint::store::Store;
use crate::checkpoint::transfer::Export;
use crate::display::units::counted;

/// Most bytes that an import may have: sixteen of the largest consumers.
const MAX_BYTES: u64 = 64 << 20;

/// The end of `cursors export --help`.
pub const EXPORT_HELP: &str = "\
One JSON object a line: the position with its dedup keys, the earlier position,
the gaps, and the length of each output file or the offset of each broker
partition. While a run saves, this is the last saved position. Stop that run
before you continue from the copy, and also copy its output files: the import
continues them only if they have the same paths and end with the same bytes.

The output holds the secret of the dedup keys: keep it as private as the state
file. A plain copy of the state file lacks its write-ahead log; see `backup`.";

/// The end of `cursors import --help`.
pub const IMPORT_HELP: &str = "\
Reads one or more objects, checks each value, and saves all objects or none.
Without --force it does not replace a name that exists; it never replaces a name
that a run uses. The next run truncates the output files of an import as after a
kill, so import only what you trust.";

/// The end of `cursors backup --help`.
pub const BACKUP_HELP: &str = "\
The copy is SQLite's online backup, and is complete or does not exist. Use it
with --state, or replace the state file by it while no run uses that.";

/// Prints what is saved under the names.
pub fn export(path: &Path, names: &[String]) -> anyhow::Result<Exit> {
    let given: Vec<&str> = names.iter().map(String::as_str).collect();
    let Some(store) = Store::open_existing(path)? else { return Err(unknown(&given, &[], path)) };
    let mut lines = String::new();
    for name in names {
        let Some(export) = store.export(name)? else {
            return Err(unknown(&[name], &store.names()?, path));
        };
        lines += &serde_json::to_string(&export)?;
        lines.push('\n');
    }
    print(lines.as_bytes())
}

/// Saves what [`export`] printed.
pub fn import(path: &Path, input: &Path, force: bool, context: Context) -> anyhow::Result<Exit> {
    let exports = read(input)?;
    for export in &exports {
        consumer_name::check(&export.name)?;
    }
    let mut names: Vec<&str> = exports.iter().map(|export| &*export.name).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(anyhow!("{:?} occurs twice in {}: leave one out", twice[0], shown(input)));
    }
    let mut store = Store::open(path)?;
    let leases: anyhow::Result<Vec<Lease>> = names.iter().map(|name| lease(path, name)).collect();
    let _leases = leases?;
    store.import(&exports, force)?;
    for name in names {
        context.eprint(&format!("imported {name:?}"));
    }
    Ok(Exit::Done)
}

fn read(input: &Path) -> anyhow::Result<Vec<Export>> {
    let shown = shown(input);
    let mut bytes = Vec::new();
    if input == Path::new("-") {
        if io::stdin().is_terminal() {
            let message = "import: there is no input: name a file, or pipe the output of `skytail cursors export`";
            return Err(UsageError(message.to_owned()).into());
        }
        io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut bytes)
    } else {
        File::open(input).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
    }
    .with_context(|| format!("can't read {shown}"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(anyhow!("{shown} is larger than 64 MiB: import fewer names at once"));
    }
    let exports: Result<Vec<Export>, _> =
        serde_json::Deserializer::from_slice(&bytes).into_iter().collect();
    let exports = exports.map_err(|error| {
        anyhow!("{shown} is not the output of `skytail cursors export` ({error}): export it again")
    })?;
    if exports.is_empty() {
        return Err(anyhow!("{shown} is empty: export to it first"));
    }
    Ok(exports)
}

fn shown(input: &Path) -> String {
    if input == Path::new("-") { "stdin".to_owned() } else { input.display().to_string() }
}

/// Copies the state file.
pub fn backup(path: &Path, to: &Path, force: bool, context: Context) -> anyhow::Result<Exit> {
    let Some(store) = Store::open_existing(path)? else {
        return Err(anyhow!("nothing is saved in {}: there is nothing to copy", path.display()));
    };
    store.backup(to, force)?;
    let names = counted(store.names()?.len() as u64, "cursor");
    context.eprint(&format!("copied {names} to {}", to.display()));
    Ok(Exit::Done)
}
