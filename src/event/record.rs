//! Reads strings of a commit's record from the bytes of a line, without a syntax tree.

use std::borrow::Cow;

use super::error::Malformed;
use super::format::EventFormat;
use super::header::members;
use super::json_string::string_end;
use super::scanner::{RawString, Scanner};

/// Returns the JSON text of an event's record; `None` if it has none.
///
/// If a member occurs twice, the last one counts, as it does for the header. The line must be an
/// event of kind `commit` that the header's parser accepts.
#[must_use]
pub fn find(line: &[u8], format: EventFormat) -> Option<&str> {
    let mut scanner = Scanner::new(line).ok()?;
    if format == EventFormat::Native {
        return record_member(&mut scanner).ok()?;
    }
    let mut record = None;
    let read = members(&mut scanner, "an event expected", |scanner, key| {
        if key != "commit" {
            return scanner.skip_value();
        }
        record = match scanner.peek() {
            Some(b'{') => record_member(scanner)?,
            _ => scanner.skip_value().map(|()| None)?,
        };
        Ok(())
    });
    read.ok().and(record)
}

/// Returns the JSON text of a commit's record, and its CID if that is a string without escapes;
/// `None` if there is no record. The line must be as for [`find`], in the v1 format.
#[must_use]
pub fn find_with_cid(line: &[u8]) -> Option<(&str, Option<&str>)> {
    let mut scanner = Scanner::new(line).ok()?;
    let mut found = (None, None);
    let read = members(&mut scanner, "an event expected", |scanner, key| {
        if key != "commit" {
            return scanner.skip_value();
        }
        found = (None, None);
        if scanner.peek() != Some(b'{') {
            return scanner.skip_value();
        }
        members(scanner, "an object expected", |scanner, key| {
            let start = scanner.offset();
            scanner.skip_value()?;
            let text = scanner.text_since(start);
            if key == "record" {
                found.0 = Some(text);
            } else if key == "cid" {
                let cid = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
                found.1 = cid.filter(|cid| !cid.contains('\\'));
            }
            Ok(())
        })
    });
    read.ok()?;
    Some((found.0?, found.1))
}

/// Reads an object, and returns the text of its last member `record`.
fn record_member<'a>(scanner: &mut Scanner<'a>) -> Result<Option<&'a str>, Malformed> {
    let mut record = None;
    members(scanner, "an object expected", |scanner, key| {
        let start = scanner.offset();
        scanner.skip_value()?;
        if key == "record" {
            record = Some(scanner.text_since(start));
        }
        Ok(())
    })?;
    Ok(record)
}

/// Returns whether `is_wanted` accepts one of the tags in the member `langs` of a record. The last
/// `langs` counts, and only if it is an array; items that are not strings are skipped.
pub fn any_language(record: &str, mut is_wanted: impl FnMut(&str) -> bool) -> bool {
    let Ok(mut scanner) = Scanner::new(record.as_bytes()) else { return false };
    let mut found = false;
    if scanner.peek() != Some(b'{') {
        return false;
    }
    let read = items(&mut scanner, (b'{', b'}'), |scanner| {
        let key = scanner.string("member name expected")?;
        scanner.expect(b':', "':' expected")?;
        if unescape(key.raw()) != "langs" {
            return scanner.skip_value();
        }
        found = false;
        if scanner.peek() != Some(b'[') {
            return scanner.skip_value();
        }
        items(scanner, (b'[', b']'), |scanner| {
            if scanner.peek() != Some(b'"') {
                return scanner.skip_value();
            }
            let tag: RawString<'_> = scanner.string("a language tag expected")?;
            found = found || is_wanted(&unescape(tag.raw()));
            Ok(())
        })
    });
    read.is_ok() && found
}

/// Calls `each` at each item between a pair of brackets. `each` must consume the item.
fn items<'a>(
    scanner: &mut Scanner<'a>,
    (open, close): (u8, u8),
    mut each: impl FnMut(&mut Scanner<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    scanner.expect(open, "an object or array expected")?;
    if scanner.take(close) {
        return Ok(());
    }
    loop {
        each(scanner)?;
        if scanner.take(close) {
            return Ok(());
        }
        scanner.expect(b',', "',' or a closing bracket expected")?;
    }
}

/// Returns whether `is_wanted` accepts one of the string values in a JSON text, at any depth. Names
/// of members are not values. The values of a repeated member all count.
pub fn any_string(json: &str, mut is_wanted: impl FnMut(&str) -> bool) -> bool {
    let bytes = json.as_bytes();
    let mut at = 0;
    while let Some(open) = find_byte(bytes, at, b'"') {
        let Some(close) = string_end(bytes, open + 1) else { return false };
        at = close + 1;
        let is_name = bytes.get(at..).and_then(next_byte) == Some(b':');
        let raw = json.get(open + 1..close).unwrap_or_default();
        if !is_name && is_wanted(&unescape(raw)) {
            return true;
        }
    }
    false
}

fn find_byte(bytes: &[u8], from: usize, byte: u8) -> Option<usize> {
    memchr::memchr(byte, bytes.get(from..)?).map(|at| from + at)
}

fn next_byte(bytes: &[u8]) -> Option<u8> {
    bytes.iter().copied().find(|byte| !byte.is_ascii_whitespace())
}

/// Returns the text that the body of a JSON string stands for. U+FFFD replaces a surrogate without
/// its other half; an escape that JSON does not have stays as it is written.
fn unescape(raw: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\\', raw.as_bytes()).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((before, escaped)) = rest.split_once('\\') {
        text.push_str(before);
        rest = push_escape(escaped, &mut text);
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// Appends the character of the escape whose text after the backslash is `escaped`; returns what
/// follows it.
fn push_escape<'a>(escaped: &'a str, text: &mut String) -> &'a str {
    let mut chars = escaped.chars();
    let c = match chars.next() {
        Some(c @ ('"' | '\\' | '/')) => c,
        Some('b') => '\u{8}',
        Some('f') => '\u{c}',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('u') => match code_unit(chars.as_str()) {
            Some((unit, rest)) => return push_unit(unit, rest, text),
            None => '\\',
        },
        _ => '\\',
    };
    text.push(c);
    // What follows a backslash that begins no escape is text of its own.
    if c == '\\' && !escaped.starts_with('\\') { escaped } else { chars.as_str() }
}

/// Appends the character that begins with a UTF-16 code unit, which `\u` gave; returns what follows
/// it.
fn push_unit<'a>(unit: u32, rest: &'a str, text: &mut String) -> &'a str {
    if (0xd800..0xdc00).contains(&unit)
        && let Some((low, after)) = rest.strip_prefix("\\u").and_then(code_unit)
        && (0xdc00..0xe000).contains(&low)
    {
        let c = char::from_u32(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00));
        text.push(c.unwrap_or(char::REPLACEMENT_CHARACTER));
        return after;
    }
    text.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
    rest
}

/// Reads four hexadecimal digits; returns their value and what follows them.
fn code_unit(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u32::from_str_radix(digits, 16).ok()).flatten().map(|unit| (unit, rest))
}

#[cfg(test)]
#[path = "record/tests.rs"]
mod tests;
