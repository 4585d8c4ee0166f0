//! Handles what jaq's lexer lacks: surrogate pairs in strings, and `$__loc__`.

use std::borrow::Cow;

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::Term;

use super::visit::each_child;

/// The variable that holds its own place in the expression.
const PLACE: &str = "$__loc__";

/// Replaces each `\ud83d\ude00` by the character that it spells, and a lone surrogate by U+FFFD.
pub fn without_surrogates(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('\\') {
        out.push_str(before);
        if let Some(first @ 0xd800..=0xdfff) = unit(escape) {
            let after = escape.get(5..).unwrap_or_default();
            let second = after.strip_prefix('\\').and_then(unit);
            let pair = second.map(|second| [first, second]);
            let character = pair.and_then(|pair| char::decode_utf16(pair).next()?.ok());
            out.push(character.unwrap_or(char::REPLACEMENT_CHARACTER));
            rest = if character.is_some() { after.get(6..).unwrap_or_default() } else { after };
        } else {
            // The character after a backslash never begins an escape of its own.
            let taken = escape.chars().next().map_or(0, char::len_utf8);
            let (character, after) = escape.split_at(taken);
            out.push('\\');
            out.push_str(character);
            rest = after;
        }
    }
    if out.is_empty() {
        return Cow::Borrowed(text);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Parses `u` and four hexadecimal digits.
fn unit(escape: &str) -> Option<u16> {
    let digits = escape.strip_prefix('u')?.get(..4)?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u16::from_str_radix(digits, 16).ok()
}

/// Returns the numbers of the lines of `text`, for [`fill_places`].
pub fn line_numbers(text: &str) -> Vec<String> {
    if !text.contains(PLACE) {
        return Vec::new();
    }
    (1..=text.lines().count().max(1)).map(|line| line.to_string()).collect()
}

/// Replaces each `$__loc__` in a term of `text` by the object that jq makes of it.
pub fn fill_places<'s>(term: &mut Term<&'s str>, text: &str, numbers: &'s [String]) {
    if let Term::Var(name) = term
        && *name == PLACE
    {
        let offset = name.as_ptr().addr().wrapping_sub(text.as_ptr().addr());
        let before = text.get(..offset).unwrap_or_default();
        let line = numbers.get(before.matches('\n').count()).map_or("1", String::as_str);
        *term = Term::Obj(vec![
            (string("file"), Some(string("<top-level>"))),
            (string("line"), Some(Term::Num(line))),
        ]);
        return;
    }
    each_child(term, &mut |child| fill_places(child, text, numbers));
}

fn string(text: &str) -> Term<&str> {
    Term::Str(None, vec![StrPart::Str(text)])
}
