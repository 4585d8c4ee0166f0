//! `--format text`: one event on one line, for eyes. On a terminal the line is as wide as that
//! is and no wider; elsewhere nothing is cut but what is endless.

use jaq_json::Val;

use super::Surface;
use super::fit::{columns, cut, harmless, pad};
use super::gist::Outline;
use super::json::{self, Style, WriteError};

/// A terminal that does not say how wide it is.
const USUAL_COLUMNS: usize = 80;
/// From here on DIDs and collections are shown whole.
const WIDE: usize = 132;
/// The longest line where no terminal cuts it.
const MOST_COLUMNS: usize = 2_000;

/// The widths of the columns.
#[derive(Clone, Debug)]
pub struct Layout {
    surface: Surface,
    columns: usize,
}

/// The colours of the columns: dim, by the operation, cyan, blue.
const DIM: &str = "\x1b[2m";
const COLLECTION: &str = "\x1b[36m";
const ACCOUNT: &str = "\x1b[34m";
const RESET: &str = "\x1b[0m";

impl Layout {
    /// For an output of this kind.
    pub fn new(surface: Surface) -> Self {
        let mut layout = Self { surface, columns: MOST_COLUMNS };
        layout.measure();
        layout
    }

    /// Asks the terminal for its width.
    pub fn measure(&mut self) {
        if self.surface.is_terminal {
            let size = console::Term::stdout().size_checked();
            let known = size.map(|(_, columns)| usize::from(columns)).filter(|n| *n > 0);
            self.columns = known.unwrap_or(USUAL_COLUMNS);
        }
    }

    #[cfg(test)]
    pub fn with_columns(surface: Surface, columns: usize) -> Self {
        Self { surface, columns }
    }

    /// Appends the line of one value.
    pub fn write(&self, value: &Val, out: &mut Vec<u8>, from: usize) -> Result<(), WriteError> {
        match Outline::of(value) {
            Some(outline) => self.write_event(&outline, out),
            None => {
                // What an expression made of an event.
                let mut text = Vec::new();
                match value {
                    Val::TStr(words) => text.extend_from_slice(words),
                    value => json::write(&mut text, value, Style::default(), 0)?,
                }
                let text = harmless(&String::from_utf8_lossy(&text));
                out.extend_from_slice(cut(&text, self.columns).as_bytes());
            }
        }
        out.push(b'\n');
        json::check_length(out.len() - from)
    }

    fn write_event(&self, outline: &Outline, out: &mut Vec<u8>) {
        let is_wide = self.columns >= WIDE;
        let (for_collection, for_account) = if is_wide { (26, 32) } else { (14, 9) };
        let collection = harmless(&outline.collection);
        let (collection, did) = match is_wide {
            true => (collection, harmless(&outline.did)),
            false => (short_collection(&collection), short_did(&harmless(&outline.did))),
        };
        let action = harmless(&outline.action);
        let cells = [
            (DIM, pad(&outline.time, 8)),
            (colour_of(&action), pad(&action, 8)),
            (COLLECTION, pad(&collection, for_collection)),
            (ACCOUNT, pad(&did, for_account)),
        ];
        let mut left = self.columns;
        for (colour, cell) in cells {
            let cell = cut(&cell, left);
            left = left.saturating_sub(columns(&cell) + 1);
            self.paint(out, colour, &cell);
            if left > 0 {
                out.push(b' ');
            }
        }
        let gist = harmless(&outline.gist);
        let gist = if is_wide { gist } else { short_dids(&gist) };
        out.extend_from_slice(cut(&gist, left).as_bytes());
        while out.last() == Some(&b' ') {
            out.pop();
        }
    }

    fn paint(&self, out: &mut Vec<u8>, colour: &str, cell: &str) {
        if !self.surface.colour {
            out.extend_from_slice(cell.as_bytes());
            return;
        }
        // Spaces need no colour.
        let word = cell.trim_end();
        out.extend_from_slice(colour.as_bytes());
        out.extend_from_slice(word.as_bytes());
        out.extend_from_slice(RESET.as_bytes());
        out.extend_from_slice(cell.get(word.len()..).unwrap_or_default().as_bytes());
    }
}

fn colour_of(action: &str) -> &'static str {
    match action {
        "create" => "\x1b[32m",
        "update" => "\x1b[33m",
        "delete" => "\x1b[31m",
        _ => "\x1b[35m",
    }
}

/// The end of an NSID says more than its beginning.
fn short_collection(nsid: &str) -> String {
    let names: Vec<&str> = nsid.rsplitn(3, '.').collect();
    match names.as_slice() {
        [last, before, _] => format!("{before}.{last}"),
        _ => nsid.to_owned(),
    }
}

/// Eight letters of a DID's own part tell accounts apart for eyes.
fn short_did(did: &str) -> String {
    let own = did.strip_prefix("did:plc:").or_else(|| did.strip_prefix("did:web:"));
    own.map_or_else(|| cut(did, 10), |own| cut(own, 9))
}

/// The DIDs in an address, short.
fn short_dids(text: &str) -> String {
    if !text.starts_with("did:") {
        return text.to_owned();
    }
    let mut parts = text.splitn(3, '/');
    let did = short_did(parts.next().unwrap_or_default());
    match (parts.next(), parts.next()) {
        (Some(collection), Some(rkey)) => format!("{did}/{}/{rkey}", short_collection(collection)),
        _ => did,
    }
}

#[cfg(test)]
mod tests;
