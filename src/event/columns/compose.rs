//! Composes the line of an event from its columns.

use super::{EventColumns, Text};
use crate::event::error::Malformed;
use crate::event::header::members;
use crate::event::scanner::Scanner;

/// The payloads, each with its columns in the order in which servers write them.
const PAYLOADS: [(&str, &[(&str, Value)]); 4] = [
    (
        "commit",
        &[
            ("rev", Value::Text(Text::Rev)),
            ("operation", Value::Text(Text::Operation)),
            ("collection", Value::Text(Text::Collection)),
            ("rkey", Value::Text(Text::Rkey)),
            ("record", Value::Raw(Text::Record)),
            ("cid", Value::Text(Text::Cid)),
        ],
    ),
    ("identity", &[("handle", Value::Text(Text::Handle))]),
    ("account", &[("active", Value::Active), ("status", Value::Text(Text::Status))]),
    ("sync", &[("rev", Value::Text(Text::Rev))]),
];

/// Where a member comes from.
#[derive(Clone, Copy)]
enum Value {
    Text(Text),
    /// A column that holds JSON text.
    Raw(Text),
    Active,
}

/// Appends the event to `line`, without a line feed.
///
/// # Errors
/// [`Malformed`] if the columns do not make one event on one line, for example because `record` is
/// not JSON. `line` is then unchanged.
pub fn compose(columns: &EventColumns<'_>, line: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut event = String::with_capacity(512);
    event.push('{');
    if columns.text(Text::Did).is_none() {
        return Err(Malformed { what: "no member did", at: 0 });
    }
    push_text(&mut event, "did", columns.text(Text::Did));
    push_number(&mut event, "time_us", columns.time_us);
    push_number(&mut event, "cursor", columns.seq);
    push_text(&mut event, "kind", columns.text(Text::Kind));
    let mut extra = Extra::read(columns.text(Text::Extra))?;
    let is_sync = columns.text(Text::Kind) == Some("sync");
    for (payload, members) in PAYLOADS {
        let mut inside = String::new();
        for (name, value) in members {
            // The column of revisions belongs to one payload.
            let is_of_other = *name == "rev" && (payload == "sync") != is_sync;
            if !is_of_other {
                push_value(&mut inside, name, *value, columns);
            }
        }
        extra.merge(&mut event, payload, inside);
    }
    extra.rest(&mut event);
    event.push('}');
    check(&event)?;
    line.extend_from_slice(event.as_bytes());
    Ok(())
}

/// Fails unless the text is one balanced object on one line.
fn check(event: &str) -> Result<(), Malformed> {
    let mut scanner = Scanner::new(event.as_bytes())?;
    scanner.skip_value()?;
    scanner.end()
}

/// The members of the column `extra`: those of the payloads, and the text of the others.
#[derive(Default)]
struct Extra<'a> {
    payloads: [Option<&'a str>; PAYLOADS.len()],
    others: Vec<(String, &'a str)>,
}

impl<'a> Extra<'a> {
    fn read(text: Option<&'a str>) -> Result<Self, Malformed> {
        let mut extra = Self::default();
        let Some(text) = text else { return Ok(extra) };
        let mut scanner = Scanner::new(text.as_bytes())?;
        members(&mut scanner, "the column extra holds no JSON object", |scanner, key| {
            let raw = super::raw_value(scanner)?;
            let place = PAYLOADS.iter().position(|(name, _)| *name == key);
            match place.and_then(|i| extra.payloads.get_mut(i)) {
                Some(slot) => *slot = Some(raw),
                None => extra.others.push((key.to_owned(), raw)),
            }
            Ok(())
        })?;
        scanner.end()?;
        Ok(extra)
    }

    /// Appends a payload with the members of its columns and those of `extra`, if it has any.
    fn merge(&mut self, event: &mut String, payload: &str, mut inside: String) {
        let place = PAYLOADS.iter().position(|(name, _)| *name == payload);
        let raw = place.and_then(|i| self.payloads.get_mut(i)).and_then(Option::take);
        let rest = raw.and_then(|raw| raw.strip_prefix('{')?.strip_suffix('}'));
        match (raw, rest) {
            (None, _) if inside.is_empty() => return,
            (Some(raw), None) => return push_raw(event, payload, raw),
            _ => {}
        }
        let rest = rest.unwrap_or_default().trim_matches(' ');
        if !inside.is_empty() && !rest.is_empty() {
            inside.push(',');
        }
        inside.push_str(rest);
        push_raw(event, payload, &format!("{{{inside}}}"));
    }

    fn rest(&self, event: &mut String) {
        for (key, raw) in &self.others {
            push_raw(event, key, raw);
        }
    }
}

fn push_value(inside: &mut String, name: &str, value: Value, columns: &EventColumns<'_>) {
    match value {
        Value::Text(column) => push_text(inside, name, columns.text(column)),
        Value::Raw(column) => {
            if let Some(raw) = columns.text(column) {
                push_raw(inside, name, raw);
            }
        }
        Value::Active => {
            if let Some(active) = columns.active {
                push_raw(inside, name, if active { "true" } else { "false" });
            }
        }
    }
}

fn push_name(inside: &mut String, name: &str) {
    if !inside.is_empty() && inside != "{" {
        inside.push(',');
    }
    push_string(inside, name);
    inside.push(':');
}

fn push_raw(inside: &mut String, name: &str, raw: &str) {
    push_name(inside, name);
    inside.push_str(raw);
}

fn push_text(inside: &mut String, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        push_name(inside, name);
        push_string(inside, text);
    }
}

fn push_number(inside: &mut String, name: &str, number: Option<i64>) {
    if let Some(number) = number {
        push_raw(inside, name, &number.to_string());
    }
}

/// Appends a JSON string.
pub(super) fn push_string(text: &mut String, value: &str) {
    let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    text.push('"');
    if value.bytes().all(is_plain) {
        text.push_str(value);
    } else {
        for c in value.chars() {
            match c {
                '"' => text.push_str("\\\""),
                '\\' => text.push_str("\\\\"),
                c if c < ' ' => text.push_str(&format!("\\u{:04x}", c as u32)),
                c => text.push(c),
            }
        }
    }
    text.push('"');
}
