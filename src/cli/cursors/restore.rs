//! `skytail cursors restore`: lists the earlier positions of a name, or restores one.

use std::path::Path;

use anyhow::anyhow;

use super::{Context, Exit, lease, print, tables, terminal_columns, unknown, view};
use crate::checkpoint::store::Store;

/// The end of `cursors restore --help`.
pub const RESTORE_HELP: &str = "\
Without N this lists the earlier positions of NAME, the latest first. A position
becomes an earlier one when `cursors set`, `cursors restore` or a run that
starts elsewhere (--cursor live) replaces it. The last ten of each name are kept
for 30 days. Events after the restored position are written to an output file
again.";

/// Lists the earlier positions of a name, or restores the one with this number.
pub fn restore(
    path: &Path,
    name: &str,
    number: Option<usize>,
    context: Context,
) -> anyhow::Result<Exit> {
    let Some(store) = Store::open_existing(path)? else { return Err(unknown(&[name], &[], path)) };
    let names = store.names()?;
    if !names.iter().any(|known| known == name) {
        return Err(unknown(&[name], &names, path));
    }
    let Some(number) = number else {
        let earlier = store.earlier(name, context.now)?;
        if earlier.is_empty() {
            context.eprint(&format!("no earlier position of {name:?} is kept"));
            return Ok(Exit::Done);
        }
        return print(tables::earlier(&earlier, context.now, terminal_columns()).as_bytes());
    };
    drop(store);
    let mut store = Store::open(path)?;
    let _lease = lease(path, name)?;
    if !store.restore(name, number, context.now)? {
        let kept = store.earlier(name, context.now)?.len();
        return Err(anyhow!(
            "{name:?} has no earlier position {number}: {kept} are kept; `skytail cursors restore {name}` lists them"
        ));
    }
    let cursor = store.load(name)?;
    let place = cursor.map(|cursor| view::number(&cursor).to_string()).unwrap_or_default();
    context.eprint(&format!("{name} starts at {place} with --cursor auto"));
    Ok(Exit::Done)
}
