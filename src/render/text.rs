//! `--format text`: one line per event, for people. On a terminal, lines are cut to its width;
//! elsewhere, to a width that only extreme records reach.

use jaq_json::Val;

use super::OutputDevice;
use super::json::{self, Style, WriteError};
use super::summary::EventSummary;
use super::text_width::{columns, cut, harmless, pad};

/// The assumed width of a terminal that does not report one.
const DEFAULT_COLUMNS: usize = 80;
/// From this width on, DIDs and collections are not abbreviated.
const WIDE: usize = 132;
/// The longest line if the output is not a terminal.
const MOST_COLUMNS: usize = 2_000;

/// The properties and the width of the output.
#[derive(Clone, Debug)]
pub struct TextLayout {
    device: OutputDevice,
    columns: usize,
}

/// The colour of the time column.
const DIM: &str = "\x1b[2m";
const COLLECTION: &str = "\x1b[36m";
const ACCOUNT: &str = "\x1b[34m";
const RESET: &str = "\x1b[0m";

impl TextLayout {
    /// Returns a layout for an output with these properties.
    pub fn new(device: OutputDevice) -> Self {
        let mut layout = Self { device, columns: MOST_COLUMNS };
        layout.refresh_width();
        layout
    }

    /// Reads the terminal's width, if the output is one.
    pub fn refresh_width(&mut self) {
        if self.device.is_terminal {
            let size = console::Term::stdout().size_checked();
            let known = size.map(|(_, columns)| usize::from(columns)).filter(|n| *n > 0);
            self.columns = known.unwrap_or(DEFAULT_COLUMNS);
        }
    }

    #[cfg(test)]
    pub fn with_columns(device: OutputDevice, columns: usize) -> Self {
        Self { device, columns }
    }

    /// Appends one value as a line. The output of the current event begins at `from`.
    pub fn write(&self, value: &Val, out: &mut Vec<u8>, from: usize) -> Result<(), WriteError> {
        match EventSummary::of(value) {
            Some(summary) => self.write_event(&summary, out),
            None => {
                // An output of an expression that is not an event.
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

    fn write_event(&self, summary: &EventSummary, out: &mut Vec<u8>) {
        let is_wide = self.columns >= WIDE;
        let (for_collection, for_account) = if is_wide { (26, 32) } else { (14, 9) };
        let collection = harmless(&summary.collection);
        let (collection, did) = match is_wide {
            true => (collection, harmless(&summary.did)),
            false => (short_collection(&collection), short_did(&harmless(&summary.did))),
        };
        let action = harmless(&summary.action);
        let cells = [
            (DIM, pad(&summary.time, 8)),
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
        let text = harmless(&summary.text);
        let text = if is_wide { text } else { short_dids(&text) };
        out.extend_from_slice(cut(&text, left).as_bytes());
        while out.last() == Some(&b' ') {
            out.pop();
        }
    }

    fn paint(&self, out: &mut Vec<u8>, colour: &str, cell: &str) {
        if !self.device.colour {
            out.extend_from_slice(cell.as_bytes());
            return;
        }
        // Spaces are not coloured.
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

/// Returns the last two segments of an NSID, which say more than the first ones.
fn short_collection(nsid: &str) -> String {
    let names: Vec<&str> = nsid.rsplitn(3, '.').collect();
    match names.as_slice() {
        [last, before, _] => format!("{before}.{last}"),
        _ => nsid.to_owned(),
    }
}

/// Returns the first eight characters after a DID's method, enough to distinguish accounts at a
/// glance.
fn short_did(did: &str) -> String {
    let own = did.strip_prefix("did:plc:").or_else(|| did.strip_prefix("did:web:"));
    own.map_or_else(|| cut(did, 10), |own| cut(own, 9))
}

/// Abbreviates the DID and the collection of an AT URI without scheme.
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
