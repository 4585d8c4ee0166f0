//! Writes values as JSON like jq, on one line or indented: keys keep their order, numbers keep
//! their digits, and NaN and infinity become what jq prints for them.

use std::io::Write as _;

use jaq_json::{Num, Val};

use super::MOST_BYTES;
use crate::display::printable::{acts_on_terminal, push_json_escape};

/// The most levels of a value that is written.
const MOST_LEVELS: usize = 10_000;

/// The layout of JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Whether to add line breaks, and two spaces per level.
    pub indent: bool,
    /// Whether to escape characters that could act on a terminal.
    pub printable: bool,
}

/// Why a value can't be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The value has too many levels.
    #[error("the output has more than {MOST_LEVELS} levels of arrays and objects")]
    TooDeep,
    /// The output of the event is too long.
    #[error("the output of one event has more than {} MiB", MOST_BYTES >> 20)]
    TooLong,
    /// The value can't be a row of a table.
    #[error(
        "csv and tsv need objects (or arrays, with indexes like --fields 0,1), and this output is {0}: make an object with --jq, like '{{did, kind}}'"
    )]
    NoRow(&'static str),
    /// The value has an object with a key that is not a string.
    #[error("object keys must be strings")]
    Key,
}

/// Fails if the output of one event has more than [`MOST_BYTES`].
pub fn check_length(bytes: usize) -> Result<(), WriteError> {
    if bytes > MOST_BYTES { Err(WriteError::TooLong) } else { Ok(()) }
}

/// Appends `value`. The output of the current event begins at `from` in `out`.
///
/// # Errors
/// [`WriteError`]; `out` may then end with a part of the value.
pub fn write(out: &mut Vec<u8>, value: &Val, style: Style, from: usize) -> Result<(), WriteError> {
    write_at(out, value, style, from, 0)
}

fn write_at(
    out: &mut Vec<u8>,
    value: &Val,
    style: Style,
    from: usize,
    level: usize,
) -> Result<(), WriteError> {
    check_length(out.len().saturating_sub(from))?;
    if level > MOST_LEVELS {
        return Err(WriteError::TooDeep);
    }
    match value {
        Val::Null => out.extend_from_slice(b"null"),
        Val::Bool(true) => out.extend_from_slice(b"true"),
        Val::Bool(false) => out.extend_from_slice(b"false"),
        Val::Num(number) => write_number(out, number),
        Val::TStr(text) | Val::BStr(text) => write_string(out, text, style),
        Val::Arr(items) => {
            let items = items.iter().map(|item| (None, item));
            write_items(out, items, style, from, (level, b'[', b']'))?;
        }
        Val::Obj(members) => {
            let members = members.iter().map(|(key, value)| (Some(key), value));
            write_items(out, members, style, from, (level, b'{', b'}'))?;
        }
    }
    Ok(())
}

fn write_items<'v>(
    out: &mut Vec<u8>,
    items: impl ExactSizeIterator<Item = (Option<&'v Val>, &'v Val)>,
    style: Style,
    from: usize,
    (level, open, close): (usize, u8, u8),
) -> Result<(), WriteError> {
    out.push(open);
    let is_broken = style.indent && items.len() > 0;
    for (i, (key, value)) in items.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        if is_broken {
            break_line(out, level + 1);
        }
        if let Some(key) = key {
            let Val::TStr(name) = key else { return Err(WriteError::Key) };
            write_string(out, name, style);
            out.extend_from_slice(if style.indent { b": " } else { b":" });
        }
        write_at(out, value, style, from, level + 1)?;
    }
    if is_broken {
        break_line(out, level);
    }
    out.push(close);
    Ok(())
}

fn break_line(out: &mut Vec<u8>, level: usize) {
    out.push(b'\n');
    out.extend(std::iter::repeat_n(b' ', 2 * level));
}

/// Appends a number. Numbers from the event that were not calculated with keep their digits.
pub fn write_number(out: &mut Vec<u8>, number: &Num) {
    // Writing to memory can't fail.
    let _ = match number {
        Num::Float(float) => return write_float(out, *float),
        Num::Dec(text) => write!(out, "{}", text.trim_start_matches('+')),
        Num::Int(int) => write!(out, "{int}"),
        Num::BigInt(int) => write!(out, "{int}"),
    };
}

/// Appends a calculated number like jq: whole numbers without a decimal point, NaN as null, and
/// infinity as the largest finite number.
fn write_float(out: &mut Vec<u8>, float: f64) {
    let _ = match float {
        _ if float.is_nan() => out.write_all(b"null"),
        _ if float.is_infinite() => write!(out, "{:?}", f64::MAX.copysign(float)),
        _ if float.fract() == 0.0 && float.abs() < 1e17 => write!(out, "{float:.0}"),
        _ => write!(out, "{float:?}"),
    };
}

fn write_string(out: &mut Vec<u8>, text: &[u8], style: Style) {
    out.push(b'"');
    // Only an expression can produce invalid UTF-8, for example with @base64d.
    match std::str::from_utf8(text) {
        Ok(text) => escape(out, text, style),
        Err(_) => escape(out, &String::from_utf8_lossy(text), style),
    }
    out.push(b'"');
}

fn escape(out: &mut Vec<u8>, text: &str, style: Style) {
    let mut rest = text;
    let is_special = |c: char| {
        matches!(c, '\0'..='\x1f' | '"' | '\\' | '\x7f') || (style.printable && acts_on_terminal(c))
    };
    while let Some(at) = rest.find(is_special) {
        let (plain, from) = rest.split_at(at);
        out.extend_from_slice(plain.as_bytes());
        let mut chars = from.chars();
        if let Some(c) = chars.next() {
            escape_char(out, c);
        }
        rest = chars.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
}

fn escape_char(out: &mut Vec<u8>, c: char) {
    let short = match c {
        '"' | '\\' => c,
        '\n' => 'n',
        '\r' => 'r',
        '\t' => 't',
        '\u{8}' => 'b',
        '\u{c}' => 'f',
        _ => return push_json_escape(out, c),
    };
    let _ = write!(out, "\\{short}");
}
