//! Finds one value of an event by its path, without a syntax tree.

use std::borrow::Cow;

use super::{raw_value, string_value};
use crate::event::error::Malformed;
use crate::event::header::members;
use crate::event::scanner::Scanner;

/// Returns the text of the value at a path of keys and indices; `None` if it is missing. Of equal
/// keys the last one counts.
///
/// # Errors
/// [`Malformed`] if the line is not balanced up to that value.
pub fn find<'a>(line: &'a [u8], path: &[String]) -> Result<Option<&'a str>, Malformed> {
    let mut scanner = Scanner::new(line)?;
    let mut value = raw_value(&mut scanner)?;
    for key in path {
        let mut scanner = Scanner::new(value.as_bytes())?;
        let found = match scanner.peek() {
            Some(b'{') => member(&mut scanner, key)?,
            Some(b'[') => item(&mut scanner, key)?,
            _ => None,
        };
        let Some(found) = found else { return Ok(None) };
        value = found;
    }
    Ok(Some(value))
}

/// Returns what the text of a value stands for, if it is a string.
#[must_use]
pub fn scalar_text(raw: &str) -> Option<Cow<'_, str>> {
    string_value(raw)
}

fn member<'a>(scanner: &mut Scanner<'a>, wanted: &str) -> Result<Option<&'a str>, Malformed> {
    let mut found = None;
    members(scanner, "an object expected", |scanner, key| {
        let raw = raw_value(scanner)?;
        if key == wanted {
            found = Some(raw);
        }
        Ok(())
    })?;
    Ok(found)
}

fn item<'a>(scanner: &mut Scanner<'a>, index: &str) -> Result<Option<&'a str>, Malformed> {
    let Ok(mut left) = index.parse::<usize>() else { return Ok(None) };
    scanner.expect(b'[', "an array expected")?;
    if scanner.take(b']') {
        return Ok(None);
    }
    loop {
        let raw = raw_value(scanner)?;
        if left == 0 {
            return Ok(Some(raw));
        }
        left -= 1;
        if scanner.take(b']') {
            return Ok(None);
        }
        scanner.expect(b',', "',' or ']' expected")?;
    }
}
