//! Values as JSON, on one line or on many, as jq prints them: what JSON has no word for is
//! what jq makes of it, keys stay in their order and numbers keep their digits.

use std::io::Write as _;

use jaq_json::{Num, Val};

use super::MOST_BYTES;
use crate::display::printable::{acts_on_terminal, push_json_escape};

/// Deeper values are not written.
const MOST_LEVELS: usize = 10_000;

/// How JSON is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Line breaks and two spaces a level.
    pub indent: bool,
    /// Colours.
    pub colour: bool,
    /// Whether characters that could act on a terminal are written as escapes.
    pub printable: bool,
}

/// Why a value can't be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Too many levels.
    #[error("more than {MOST_LEVELS} levels of arrays and objects came out")]
    TooDeep,
    /// Too much.
    #[error("more than {} MiB came out of one event", MOST_BYTES >> 20)]
    TooLong,
    /// A table has no row for it.
    #[error(
        "a row of csv or tsv is made of an object, or of an array by numbers like --fields 0,1, and this output is {0}: let --jq make an object, like '{{did, kind}}'"
    )]
    NoRow(&'static str),
    /// JSON has no such objects.
    #[error("object keys must be strings")]
    Key,
}

const KEY: &str = "\x1b[34;1m";
const STRING: &str = "\x1b[32m";
const NULL: &str = "\x1b[90m";
const RESET: &str = "\x1b[0m";

/// Whether one event may become so many bytes.
pub fn check_length(bytes: usize) -> Result<(), WriteError> {
    if bytes > MOST_BYTES { Err(WriteError::TooLong) } else { Ok(()) }
}

/// Appends `value`. What one event becomes begins at `from` in `out`.
///
/// # Errors
/// [`WriteError`]; part of it was appended then.
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
        Val::Null => coloured(out, style, NULL, |out| out.extend_from_slice(b"null")),
        Val::Bool(true) => out.extend_from_slice(b"true"),
        Val::Bool(false) => out.extend_from_slice(b"false"),
        Val::Num(number) => write_number(out, number),
        Val::TStr(text) | Val::BStr(text) => {
            coloured(out, style, STRING, |out| write_string(out, text, style));
        }
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
            coloured(out, style, KEY, |out| write_string(out, name, style));
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

fn coloured(out: &mut Vec<u8>, style: Style, colour: &str, write: impl FnOnce(&mut Vec<u8>)) {
    if style.colour {
        out.extend_from_slice(colour.as_bytes());
    }
    write(out);
    if style.colour {
        out.extend_from_slice(RESET.as_bytes());
    }
}

/// Appends a number: one that was read and not calculated with, digit by digit.
pub fn write_number(out: &mut Vec<u8>, number: &Num) {
    // Writing to memory can't fail.
    let _ = match number {
        Num::Float(float) => return write_float(out, *float),
        Num::Dec(text) => write!(out, "{}", text.trim_start_matches('+')),
        Num::Int(int) => write!(out, "{int}"),
        Num::BigInt(int) => write!(out, "{int}"),
    };
}

/// As jq prints what it calculated: whole numbers without a point, and the nearest thing that
/// JSON has for what is no number.
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
    // Only an expression makes invalid UTF-8 (of base64, say).
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
